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
core_headers='assert\.h|errno\.h|inttypes\.h|limits\.h|math\.h|stdalign\.h|stdatomic\.h|stdbool\.h|stddef\.h|stdint\.h|string\.h|xxhash\.h|openssl/(evp|sha)\.h'

# Prints each include under $1 that breaks the table; true when there is none.
includes_hold() (
    cd "$1" || exit 1
    bad=0
    for folder in "${!may[@]}"; do
        for file in "$folder"/*.[ch] "$folder"/*.cu; do
            [ -f "$file" ] || continue
            while IFS=: read -r line header; do
                # "x.h" lies beside the file; "../sim/x.h" and "sim/x.h" name their folder.
                target=$folder
                [[ $header != */* ]] || target=$(realpath -m --relative-to=. "$folder/$header")
                [[ $header != */* || $header == ../* ]] || target=$header
                target=${target%%/*}
                [[ " $folder ${may[$folder]} " == *" $target "* ]] && continue
                echo "# $file:$line: $folder/ may not include \"$header\""
                bad=1
            done < <(awk -F'"' '/^[ \t]*#[ \t]*include[ \t]*"/ { print FNR ":" $2 }' "$file")
            [ "$folder" = core ] || continue
            foreign=$(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<' "$file" |
                grep -vE "<($core_headers)>")
            [ -z "$foreign" ] && continue
            sed "s|^|# $file:|" <<<"$foreign"
            bad=1
        done
    done
    exit $bad
)

# Prints each symbol that the objects take from outside the list; true when there is none.
symbols_hold() (
    for object in "$@"; do
        [ -f "$object" ] || { echo "# $object is not built"; exit 1; }
    done
    known=$(mktemp)
    trap 'rm -f "$known"' EXIT
    { sed -E '/^(#|$)/d' tests/core-symbols.txt; nm --defined-only "$@" | awk 'NF == 3 { print $3 }'; } >"$known"
    bad=0
    for object in "$@"; do
        taken=$(nm -u "$object" | awk '{ print $2 }' | grep -vxFf "$known")
        for symbol in $taken; do
            echo "# $object: uses $symbol"
            bad=1
        done
    done
    exit $bad
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
noticed() { if [ "$1" = 0 ]; then result 1 "$2"; else result 0 "$2"; fi; }

sinner 'int x;'
includes_hold "$scratch" >/dev/null
result $? "an innocent file passes"
for header in '"../sim/sim.h"' '"sim/sim.h"' '<stdio.h>' '<stdlib.h>' '<time.h>' '<gsl/gsl_rng.h>'; do
    sinner "#include $header"
    includes_hold "$scratch" >/dev/null
    noticed $? "core including $header is noticed"
done
sinner 'int x;'
echo '#include "../backend/backend.h"' >"$scratch/sim/stray.c"
includes_hold "$scratch" >/dev/null
noticed $? "sim including backend is noticed"

for call in 'int printf(const char *, ...); void f(void); void f(void) { printf("%d", 1); }' \
    'void *malloc(unsigned long); void *f(void); void *f(void) { return malloc(9); }' \
    'long time(long *); long f(void); long f(void) { return time(0); }' \
    'int rand(void); int f(void); int f(void) { return rand(); }'; do
    sinner "$call"
    ${CC:-gcc} -O2 -w -c -o "$scratch/stray.o" "$scratch/core/stray.c" || result 1 "the sinner compiles"
    symbols_hold "${objects[@]}" "$scratch/stray.o" >/dev/null
    noticed $? "core calling $(grep -oE '(printf|malloc|time|rand)' <<<"$call" | head -n 1) is noticed"
done
echo "1..$n"
exit $failed
