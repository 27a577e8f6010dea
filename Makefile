# SPDX-License-Identifier: GPL-3.0-or-later
#
# kvtwin. The targets people use:
#
#   make                the simulator: build/release/kvtwin
#   make demo           set up this machine, build, run the quickstart, draw its pictures
#   make check          set up this machine, build with -Werror, prove the layers, run every test
#   make asan           (ubsan, tsan) the same tests under a sanitizer
#   make fuzz           libFuzzer on every tests/fuzz_*.c; T=name for one, S=seconds for each
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
# assertions off, build/asan the address sanitizer, any other name plain flags with assertions on.
#
# Variables: BUILD, CC, CFLAGS (optimisation and debugging only), FOLDERS (fewer source folders, to work on
# one while another is broken: make BUILD=build/mine FOLDERS='core sim' build/mine/tests/test_evq),
# WERROR=1, V=1 (show commands), JOBS.

BUILD   ?= build/release
FOLDERS ?= core sim workload cli
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

extra.release := -DNDEBUG
extra.asan    := -fsanitize=address -fno-omit-frame-pointer
extra.ubsan   := -fsanitize=undefined -fno-sanitize-recover=undefined
extra.tsan    := -fsanitize=thread
extra.fuzz    := -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer
ifeq ($(name),fuzz)
CC := clang
else ifeq ($(origin CC),default)
CC := gcc
endif

# pkg-config is asked once, and only when something is compiled or linked: a bare machine has none yet.
PACKAGES  := gsl jansson yaml-0.1 libcrypto
once       = $(eval $(1) := $(2))$($(1))
PKG_FLAGS  = $(call once,PKG_FLAGS,$(shell pkg-config --cflags $(PACKAGES)))
PKG_LIBS   = $(call once,PKG_LIBS,$(shell pkg-config --libs $(PACKAGES)))
CHECK_LIBS = $(call once,CHECK_LIBS,$(shell pkg-config --libs check))

# -ffp-contract=off: no fused multiply-add, so that a figure is the same on every machine.
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -I. $(WARN) $(CFLAGS) -ffp-contract=off $(extra.$(name)) $(PKG_FLAGS)
LIBS       = -lcyaml $(PKG_LIBS) -lm -lpthread

ifneq ($(V),)
Q   :=
say :=
else
Q   := @
say  = @printf '  %-7s %s\n' $(1) '$(2)';
endif

# ---- What there is ----------------------------------------------------------------------------------

sources  := $(sort $(wildcard $(addsuffix /*.c,$(FOLDERS))))
objects  := $(sources:%.c=$(BUILD)/%.o)
main     := $(BUILD)/cli/main.o
library  := $(BUILD)/libkvtwin.a
programs  = $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/$(1)_*.c)))
tests    := $(call programs,test)
benches  := $(call programs,bench)
fuzzers  := $(call programs,fuzz)

all: $(if $(wildcard cli/main.c),$(BUILD)/kvtwin)

$(BUILD)/kvtwin: $(main) $(library)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# Everything but main(), as a library: a program takes what it needs.
$(library): $(filter-out $(main),$(objects))
	$(call say,AR,$@)rm -f $@ && ar crs $@ $^

$(BUILD)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/test_%: $(BUILD)/tests/test_%.o $(library)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(CHECK_LIBS) $(LIBS)

$(BUILD)/tests/bench_%: $(BUILD)/tests/bench_%.o $(library)
	$(call say,LINK,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

-include $(objects:.o=.d) $(wildcard $(BUILD)/tests/*.d)

# ---- Doing ------------------------------------------------------------------------------------------

tests: $(tests)

bench: $(benches)
	$(Q)set -e; for b in $(benches); do echo "== $${b##*/}"; $$b; done

format:
	$(Q)clang-format -i $(wildcard $(addsuffix /*.[ch],$(FOLDERS) tests))

format-check:
	$(Q)clang-format --dry-run --Werror $(wildcard $(addsuffix /*.[ch],$(FOLDERS) tests))

clean:
	$(Q)rm -rf build

.PHONY: all tests bench format format-check clean
