#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# layers.sh - proves the dependency rule of ARCHITECTURE.md, and proves that it would notice.
#
#   BUILD=build/release tests/layers.sh        (core's objects must be built there)
#
# Two rules, and a self-test of each with a sinner made for the purpose. Output is TAP.
#
#   includes   a file includes only from the folders that its own may see; core/ includes of system headers
#              only those that promise no I/O, clock or allocation
#   symbols    what core's objects leave undefined, and do not define for each other, is listed in
#              tests/core-symbols.txt
set -u
export LC_ALL=C
build=${BUILD:-build/release}

# folder -> folders it may include, itself aside
declare -A may=(
    [core]=""
    [workload]="core"
    [sim]="core"
    [backend]="core kernels"
    [kernels]=""
    [cli]="core workload sim backend kernels"
    [tests]="core workload sim backend kernels cli"
)
core_headers='(assert|errno|inttypes|limits|math|stdalign|stdatomic|stdbool|stddef|stdint|string|xxhash|openssl/evp|openssl/sha)[.]h'

# Prints each include under $1 that breaks the table; true when there is none. "x.h" lies beside the file;
# "../sim/x.h" and "sim/x.h" name their folder.
includes_hold() (
    cd "$1" || exit 1
    shopt -s nullglob
    bad=0
    for folder in "${!may[@]}"; do
        files=("$folder"/*.[ch] "$folder"/*.cu)
        [ ${#files[@]} = 0 ] && continue
        awk -v folder="$folder" -v may=" $folder ${may[$folder]} " -v core="$core_headers" '
            function refuse(header) {
                printf "# %s:%d: %s/ may not include %s\n", FILENAME, FNR, folder, header
                bad = 1
            }
            /^[ \t]*#[ \t]*include[ \t]*"/ {
                split($0, quoted, "\"")
                target = folder
                if (quoted[2] ~ "/") {
                    target = quoted[2]
                    sub("^[.][.]/", "", target)
                    sub("/.*", "", target)
                }
                if (index(may, " " target " ") == 0)
                    refuse("\"" quoted[2] "\"")
            }
            folder == "core" && /^[ \t]*#[ \t]*include[ \t]*</ {
                header = $0
                gsub(/.*<|>.*/, "", header)
                if (header !~ "^(" core ")$")
                    refuse("<" header ">")
            }
            END { exit bad }' "${files[@]}" || bad=1
    done
    exit $bad
)

# Prints each symbol that the objects take from outside the list; true when there is none.
symbols_hold() (
    for object in "$@"; do
        [ -f "$object" ] || { echo "# $object is not built"; exit 1; }
    done
    { cat tests/core-symbols.txt; nm --defined-only "$@"; echo --; nm -A -u "$@"; } | awk '
        $1 == "--" { taken = 1; next }
        !taken { if ($0 !~ /^#/) known[$NF] = 1; next }
        !($NF in known) { sub(":$", "", $1); print "# " $1 ": uses " $NF; bad = 1 }
        END { exit bad }'
)

n=0
result() { # status, text
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        failed=1
    fi
}
failed=0

includes_hold .
result $? "includes keep to their layers"

objects=()
for source in core/*.c; do
    objects+=("$build/${source%.c}.o")
done
symbols_hold "${objects[@]}"
result $? "core takes nothing from outside tests/core-symbols.txt"

# ---- Would it notice?
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

sinner() { # one line of C: core/stray.c
    mkdir -p "$scratch/core" "$scratch/sim" "$scratch/backend"
    : >"$scratch/sim/sim.h"
    : >"$scratch/backend/backend.h"
    printf '%s\n' "$1" >"$scratch/core/stray.c"
}
# Refused, and by name: a script that trips over something else has noticed nothing.
noticed() { # status, what it printed, the sinner, text
    local status=1
    [ "$1" != 0 ] && [[ $2 == *"$3"* ]] && status=0
    result $status "$4"
}

sinner 'int x;'
includes_hold "$scratch" >/dev/null
result $? "an innocent file passes"
for header in '"../sim/sim.h"' '"sim/sim.h"' '<stdio.h>' '<stdlib.h>' '<time.h>' '<gsl/gsl_rng.h>'; do
    sinner "#include $header"
    said=$(includes_hold "$scratch")
    noticed $? "$said" "core/stray.c:1: core/ may not include $header" "core including $header is noticed"
done
sinner 'int x;'
echo '#include "../backend/backend.h"' >"$scratch/sim/stray.c"
said=$(includes_hold "$scratch")
noticed $? "$said" 'sim/stray.c:1: sim/ may not' "sim including backend is noticed"

for call in 'int printf(const char *, ...); void f(void); void f(void) { printf("%d", 1); }' \
    'void *malloc(unsigned long); void *f(void); void *f(void) { return malloc(9); }' \
    'long time(long *); long f(void); long f(void) { return time(0); }' \
    'int rand(void); int f(void); int f(void) { return rand(); }'; do
    sinner "$call"
    ${CC:-gcc} -O2 -w -c -o "$scratch/stray.o" "$scratch/core/stray.c" || result 1 "the sinner compiles"
    name=$(grep -oE '(printf|malloc|time|rand)' <<<"$call" | head -n 1)
    said=$(symbols_hold "${objects[@]}" "$scratch/stray.o")
    noticed $? "$said" "stray.o: uses $name" "core calling $name is noticed"
done
echo "1..$n"
exit $failed
