# SPDX-License-Identifier: GPL-3.0-or-later
#
# kvtwin. The targets people use:
#
#   make                the simulator: build/release/kvtwin
#   make demo           set up this machine, build, run the quickstart, draw its pictures
#   make check          set up this machine, build with -Werror, prove the layers, run every test
#   make asan           (ubsan, tsan) the same tests under a sanitizer
#   make fuzz           libFuzzer on every tests/fuzz_*.c; T=name for one, S=seconds for each
#   make cuda           with CUDA kernels, where nvcc is: build/cuda/kvtwin
#   make mpi            with Open MPI, for sweeps over machines: build/mpi/kvtwin
#   make check-gpu      kernels and device on hardware; says "skipped" where there is none
#   make bench          every tests/bench_*.c, one after another
#   make layers         include rules, and core's symbols against tests/core-symbols.txt
#   make tidy           clang-tidy, warnings as errors
#   make format         clang-format in place; format-check only looks
#   make install        DESTDIR= PREFIX=/usr/local; uninstall takes it away again
#   make clean
#
# One file, not recursive. Sources are found by folder: a new .c file is built without a word here. So is a
# new test (tests/test_x.c), fuzz target (tests/fuzz_x.c) and benchmark (tests/bench_x.c), each a program of
# its own. Everything made lands under BUILD, and BUILD's last name picks the flags: build/release has
# assertions off, build/asan the address sanitizer, build/cuda has GPUs (and needs nvcc), build/mpi has MPI, any other name
# plain flags
# with assertions on.
#
# Variables: BUILD, CC, CFLAGS (optimisation and debugging only), FOLDERS (fewer source folders, to work on
# one while another is broken: make BUILD=build/mine FOLDERS='core sim' build/mine/tests/test_evq),
# WERROR=1, V=1 (show commands), JOBS.

BUILD   ?= build/release
FOLDERS ?= core sim workload kernels backend cli
PREFIX  ?= /usr/local
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
CFLAGS  ?= -O2 -g

.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

# ---- Flags ------------------------------------------------------------------------------------------

name := $(notdir $(BUILD))

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
        -Wcast-qual $(if $(WERROR),-Werror)

# Link-time optimisation is worth an eighth of the cache's speed; clang would want another linker for it.
extra.release := -DNDEBUG $(if $(findstring clang,$(CC)),,-flto=auto -ffat-lto-objects)
extra.asan    := -fsanitize=address -fno-omit-frame-pointer
extra.ubsan   := -fsanitize=undefined -fno-sanitize-recover=undefined
extra.tsan    := -fsanitize=thread
extra.fuzz    := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

# CUDA's runtime is linked in, and finds the driver by itself: the program starts on a machine without either.
# libstdc++: nvcc's launches guard their statics with it. -fmad=false: kernels round as their twins on the CPU do.
NVCC       ?= $(shell command -v nvcc)
NVCC_FLAGS ?= -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=[sm_90,compute_90]
ifeq ($(name),cuda)
cuda_home  := $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))
cuda_units := $(wildcard kernels/*.cu)
cuda_libs  := -L$(cuda_home)/lib64 -lcudart_static -lrt -ldl -l:libstdc++.a
extra.cuda := $(extra.release) -DKVT_CUDA -isystem $(cuda_home)/include
endif

# Open MPI, for `mpirun kvtwin sweep`: headers are others', so their warnings are too.
ifeq ($(name),mpi)
extra.mpi = $(extra.release) -DKVT_MPI $(patsubst -I%,-isystem %,$(call once,MPI_FLAGS,$(shell mpicc --showme:compile)))
mpi_libs  = $(call once,MPI_LIBS,$(shell mpicc --showme:link))
endif

ifeq ($(name),fuzz)
CC := clang
else ifeq ($(origin CC),default)
CC := gcc
endif

# pkg-config is asked once, and only when something is compiled or linked: a bare machine has none yet.
PACKAGES  := gsl jansson yaml-0.1 libcrypto libuv hiredis zlib libdeflate libzstd liblz4
once       = $(eval $(1) := $(2))$($(1))
PKG_FLAGS  = $(call once,PKG_FLAGS,$(shell pkg-config --cflags $(PACKAGES)))
PKG_LIBS   = $(call once,PKG_LIBS,$(shell pkg-config --libs $(PACKAGES)))
CHECK_LIBS = $(call once,CHECK_LIBS,$(shell pkg-config --libs check))

# -ffp-contract=off: no fused multiply-add, so that a figure is the same on every machine.
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. $(WARN) $(CFLAGS) -ffp-contract=off $(extra.$(name)) $(PKG_FLAGS)
LIBS       = -lcyaml $(PKG_LIBS) $(cuda_libs) $(mpi_libs) -lm -lpthread

ifneq ($(V),)
Q   :=
say :=
else
Q   := @
say  = @printf '  %-7s %s\n' $(1) '$(2)';
endif

# A build that is told where it will be installed, and from which commit it comes.
VERSION  := 0.1.0
REVISION := $(shell git describe --always --dirty --exclude '*' 2>/dev/null || echo unknown)
DATADIR  := $(PREFIX)/share/kvtwin

# ---- What there is ----------------------------------------------------------------------------------

sources  := $(sort $(wildcard $(addsuffix /*.c,$(FOLDERS))))
objects  := $(sources:%.c=$(BUILD)/%.o) $(cuda_units:%=$(BUILD)/%.o)
main     := $(BUILD)/cli/main.o
library  := $(BUILD)/libkvtwin.a
programs  = $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/$(1)_*.c)))
tests    := $(call programs,test)
benches  := $(call programs,bench)
fuzzers  := $(call programs,fuzz)
scripts  := $(sort $(wildcard tests/cli_*.sh))
# check_gpu wants the headers of CUDA.
tidy     := $(sources) $(filter-out tests/check_gpu.c,$(sort $(wildcard tests/*.c)))
readable := $(sort $(wildcard $(addsuffix /*.[ch],$(FOLDERS) tests)))

all: $(BUILD)/kvtwin
	$(Q):

$(BUILD)/kvtwin: $(main) $(library)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# Everything but main(), as a library: a program takes what it needs.
$(library): $(filter-out $(main),$(objects))
	$(call say,AR,$@)rm -f $@ && ar qcs $@ $^

$(BUILD)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) $(told) -MMD -MP -c -o $@ $<

# Prints what each kernel takes of a multiprocessor.
$(BUILD)/%.cu.o: %.cu
	$(Q)mkdir -p $(@D)
	$(call say,NVCC,$<)$(NVCC) -O3 -std=c++17 -fmad=false $(NVCC_FLAGS) -Xptxas -v -MMD -MP -MF $(@:.o=.d) \
	    -c -o $@ $< 2>&1 | awk "$$RESOURCES"

# ptxas -v, one line per kernel; everything else as it is.
define RESOURCES
/Compiling entry function/ { split($$0, quoted, "'"); kernel = quoted[2]; arch = quoted[4]; next }
/Used [0-9]+ registers/ { sub(/.*Used /, ""); printf "  %-6s %-24s %s\n", arch, kernel, $$0; next }
/Compile time|gmem|Function properties|0 bytes stack frame, 0 bytes spill/ { next }
{ print; if (/error/) bad = 1 }
END { exit bad }
endef
export RESOURCES

$(BUILD)/tests/check_%: $(BUILD)/tests/check_%.o $(library)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(CHECK_LIBS) $(LIBS)

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(library)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(CHECK_LIBS) $(LIBS)

$(BUILD)/tests/bench_%: $(BUILD)/tests/bench_%.o $(library)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# In build/fuzz libFuzzer brings the main; anywhere else tests/replay.c does.
fuzz_main := $(if $(filter fuzz,$(name)),,$(BUILD)/tests/replay.o)
$(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz_%.o $(fuzz_main) $(library)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(if $(fuzz_main),,-fsanitize=fuzzer) $(LDFLAGS) -o $@ $^ $(LIBS)

# The loops over KV bytes are written to be vectorised, which gcc 12 does from -O3 on.
$(BUILD)/kernels/%.o $(BUILD)/backend/codec_%.o: told = -O3 -fno-trapping-math

# Two objects are built again when what they are told changes: the file remembers.
$(BUILD)/cli/version.o: told = -DKVT_VERSION='"$(VERSION)"' -DKVT_REVISION='"$(REVISION)"'
$(BUILD)/cli/datadir.o: told = -DKVT_DATADIR='"$(DATADIR)"'
$(BUILD)/cli/version.o: $(BUILD)/cli/version.told
$(BUILD)/cli/datadir.o: $(BUILD)/cli/datadir.told
$(BUILD)/cli/version.told: words = $(VERSION) $(REVISION)
$(BUILD)/cli/datadir.told: words = $(DATADIR)
$(BUILD)/cli/%.told: FORCE
	$(Q)mkdir -p $(@D); echo '$(words)' | cmp -s - $@ || echo '$(words)' >$@
FORCE:

-include $(objects:.o=.d) $(wildcard $(BUILD)/tests/*.d)

# ---- Testing ----------------------------------------------------------------------------------------

# Work that is handed to a second make uses every core, unless -j was given.
again = +$(Q)$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS) -Otarget)
# Sanitizers are slow, and their fault is not the test's.
slowly := CK_TIMEOUT_MULTIPLIER=10 TEST_TIMEOUT_S=1800

tests: $(tests) $(fuzzers)

check: setup-machine
	$(again) BUILD=build/check WERROR=1 check-here

cuda: setup-machine
	$(Q)[ -n "$(NVCC)" ] || { echo 'make cuda needs nvcc: install the CUDA toolkit, or set NVCC=' >&2; exit 1; }
	$(again) BUILD=build/cuda NVCC=$(NVCC) all

mpi: setup-machine
	$(Q)command -v mpicc >/dev/null || { echo 'make mpi needs Open MPI: apt-get install libopenmpi-dev openmpi-bin' >&2; exit 1; }
	$(again) BUILD=build/mpi all

check-gpu: setup-machine
	$(if $(NVCC),$(again) BUILD=build/cuda NVCC=$(NVCC) build/cuda/tests/check_gpu,@:)
	$(Q)$(if $(NVCC),build/cuda/tests/check_gpu,echo 'skipped: no GPU (and no nvcc to build for one)')

asan ubsan tsan: setup-machine
	$(again) BUILD=build/$@ sanitize-here

# In the build folder as it is. The closing line is the sum of everything, so nothing may follow it.
check-here: format-check all tests
	$(Q)tests/run.sh -j $(JOBS) $(BUILD) tests/layers.sh $(tests) $(fuzzers) $(scripts)

sanitize-here: all tests
	$(Q)$(slowly) tests/run.sh -j $(JOBS) $(BUILD) $(tests) $(fuzzers) $(scripts)

layers: $(filter $(BUILD)/core/%,$(objects))
	$(Q)BUILD=$(BUILD) tests/layers.sh

# T=name one target, S=seconds for each. What breaks it stays in tests/corpus/ and in make check.
T ?= $(patsubst tests/fuzz_%.c,%,$(wildcard tests/fuzz_*.c))
S ?= 60
fuzz:
	$(Q)command -v clang >/dev/null || { echo 'make fuzz needs clang and its libFuzzer: apt-get install clang' >&2; exit 1; }
	$(again) BUILD=build/fuzz $(T:%=build/fuzz/tests/fuzz_%)
	$(Q)set -e; for t in $(T); do echo "== $$t, $(S) s"; mkdir -p build/fuzz/corpus/$$t tests/corpus/$$t; \
	    build/fuzz/tests/fuzz_$$t -max_total_time=$(S) -timeout=10 -print_final_stats=1 -verbosity=0 \
	        -artifact_prefix=tests/corpus/$$t/ build/fuzz/corpus/$$t tests/corpus/$$t; done

bench: setup-machine
	$(again) all $(benches)
	$(Q)set -e; for b in $(benches) $(sort $(wildcard tests/bench_*.sh)); do \
	    echo "== $${b##*/}"; BUILD=$(BUILD) KVTWIN=$(BUILD)/kvtwin $$b; done

format:
	$(Q)clang-format -i $(readable)

format-check:
	$(Q)clang-format --dry-run --Werror $(readable) 2>&1 | awk -F: '/error:/ && !seen[$$1]++ { \
	    print "not formatted (make format): " $$1; bad = 1 } END { exit bad }'

tidy:
	$(Q)command -v clang-tidy >/dev/null || { echo 'make tidy needs clang-tidy: apt-get install clang-tidy' >&2; exit 1; }
	$(Q)printf '%s\n' $(tidy) | xargs -P $(JOBS) -n 4 sh -c \
	    'clang-tidy --quiet "$$@" -- -std=c11 -D_GNU_SOURCE -I. $(PKG_FLAGS) 2>/dev/null' tidy

# ---- Using ------------------------------------------------------------------------------------------

setup-machine:
	$(Q)./setup

demo: setup-machine
	$(again) all
	$(Q)$(BUILD)/kvtwin run scenarios/quickstart.yaml
	$(Q)$(BUILD)/kvtwin plot results/quickstart

share := $(DESTDIR)$(DATADIR)

install: all
	$(Q)$(MAKE) --no-print-directory install-files

# What is built, as it is: a test installs from a build that others are using.
install-files:
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	$(Q)install $(BUILD)/kvtwin $(DESTDIR)$(PREFIX)/bin/kvtwin
	$(Q)install -m 644 cli/kvtwin.1 $(DESTDIR)$(PREFIX)/share/man/man1/kvtwin.1
	$(Q)find scenarios plots -type f -exec install -D -m 644 {} $(share)/{} \;

uninstall:
	$(Q)rm -f $(DESTDIR)$(PREFIX)/bin/kvtwin $(DESTDIR)$(PREFIX)/share/man/man1/kvtwin.1
	$(Q)rm -rf $(share)

clean:
	$(Q)rm -rf build

.PHONY: all tests check cuda mpi check-gpu asan ubsan tsan check-here sanitize-here layers fuzz bench format format-check tidy \
        setup-machine demo install install-files uninstall clean FORCE
