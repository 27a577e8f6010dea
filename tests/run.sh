#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# run.sh - runs the test programs and adds up what they say.
#
#   tests/run.sh -j JOBS BUILD PROGRAM...
#
# Each program runs with the repository's root as its working folder, its output in BUILD/logs/, JOBS of them
# at one time. Two kinds of output are understood, line by line:
#
#   Check's summary    100%: Checks: 12, Failures: 0, Errors: 0
#   TAP                ok 3 - text       not ok 4 - text        (scripts, and replayed fuzz inputs);
#                      a plan, 1..N, is held against the number of lines
#
# A line "skipped: why", or TAP's "# SKIP why", is counted apart. A program that ends with a signal, a
# timeout or a bad exit code that its own lines do not explain is one error; so is one that says nothing.
# The last line adds everything up, in Check's format. Exit 0 when nothing failed, else 1.
#
# Scripts find the program under test in $KVTWIN, a private scratch folder in $SCRATCH, both absolute, and
# the build folder in $BUILD.
set -u
export LC_ALL=C.UTF-8

# Runs one program; leaves its result in BUILD/logs/NAME.result as: checks failures errors skipped.
run_one() {
    local build=$1 program=$2 name=${2##*/} begin=$EPOCHREALTIME status counts seconds
    local log=$build/logs/$name.log here
    here=$(realpath "$build")
    export BUILD=$build KVTWIN=$here/kvtwin SCRATCH=$here/scratch/$name
    rm -rf "$SCRATCH"
    mkdir -p "$SCRATCH"
    timeout -k 5 "${TEST_TIMEOUT_S:-240}" "$program" >"$log" 2>&1 </dev/null
    status=$?
    rm -rf "$SCRATCH"
    seconds=$(awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f", b - a }')
    counts=$(awk -v status="$status" '
        /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+$/ {
            gsub(/[^0-9 ]/, ""); checks += $2; failures += $3; errors += $4
        }
        /^ok [0-9]/ { lines++; if (/# SKIP/) skipped++; else checks++ }
        /^not ok [0-9]/ { lines++; checks++; failures++ }
        /^1\.\.[0-9]+$/ { planned = substr($0, 4) + 0; plan = 1 }
        /^skipped: / { skipped++ }
        END {
            if (plan && planned != lines) { checks++; errors++ }
            if (failures + errors == 0 && (status != 0 || checks + skipped == 0)) { checks++; errors++ }
            print checks + 0, failures + 0, errors + 0, skipped + 0
        }' "$log")
    echo "$counts" >"$build/logs/$name.result"

    local checks failures errors skipped verdict=ok
    read -r checks failures errors skipped <<<"$counts"
    [ $((failures + errors)) = 0 ] || verdict=FAIL
    printf '  %-4s %7s s  %5d checks%s  %s\n' "$verdict" "$seconds" "$checks" \
        "$([ "$skipped" = 0 ] || echo ", $skipped skipped")" "$name"
    if [ $verdict = FAIL ]; then
        echo "  ---- $program: exit $status, whole output in $log"
        grep -aE '^not ok|:[FE]:|Assert|ERROR: |runtime error|WARNING: Thread' "$log" | head -n 20
        tail -n 15 "$log"
        echo "  ----"
    fi
}

if [ "${1:-}" = --one ]; then
    # Written in one piece, so that the lines of programs running beside each other do not mix.
    text=$(run_one "$2" "$3")
    printf '%s\n' "$text"
    exit 0
fi

jobs=1
if [ "${1:-}" = -j ]; then
    jobs=$2
    shift 2
fi
build=$1
shift
rm -rf "$build/logs" "$build/scratch"
mkdir -p "$build/logs" "$build/scratch"

# Check kills a test after 4 s by default, which a busy machine or a sanitizer exceeds for no fault.
export CK_DEFAULT_TIMEOUT=${CK_DEFAULT_TIMEOUT:-120}
printf '%s\0' "$@" | xargs -0 -r -n 1 -P "$jobs" "$0" --one "$build"

for program in "$@"; do
    cat "$build/logs/${program##*/}.result" 2>/dev/null || echo 1 0 1 0
done | awk '
    { checks += $1; failures += $2; errors += $3; skipped += $4 }
    END {
        if (checks == 0) { checks = 1; errors = 1 }
        printf "skipped: %d\n", skipped
        printf "%d%%: Checks: %d, Failures: %d, Errors: %d\n",
            int((checks - failures - errors) * 100 / checks), checks, failures, errors
        exit failures + errors > 0
    }'
