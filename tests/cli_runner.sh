#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_runner.sh - the runner that says "100%" would say otherwise: each way in which a program can go wrong is
# played by a small script, and the closing line must count it.
. tests/tap.sh
fakes=$SCRATCH/fakes
mkdir -p "$fakes"

fake() { # name, lines of shell
    printf '#!/bin/sh\n%s\n' "$2" >"$fakes/$1"
    chmod +x "$fakes/$1"
}
# The last two lines and the exit code of a run over the fakes named.
closes() { # expected exit, expected skipped, expected closing line, text, fake...
    local want_exit=$1 want_skipped=$2 want=$3 text=$4 out status
    shift 4
    out=$(tests/run.sh -j 2 "$SCRATCH/build" "${@/#/$fakes/}" 2>/dev/null)
    status=$?
    n=$((n + 1))
    if [ "$status" = "$want_exit" ] && [ "$(tail -n 2 <<<"$out")" = "skipped: $want_skipped
$want" ]; then
        echo "ok $n - $text"
    else
        echo "not ok $n - $text: exit $status, $(tail -n 2 <<<"$out" | tr '\n' ' ')"
        failed=1
    fi
}

fake good 'echo "100%: Checks: 3, Failures: 0, Errors: 0"'
fake more 'echo "100%: Checks: 2, Failures: 0, Errors: 0"; echo "skipped: no trace here"'
fake tap 'echo "ok 1 - a"; echo "ok 2 - b # SKIP why"; echo 1..2'
fake failing 'echo "50%: Checks: 2, Failures: 1, Errors: 0"; exit 1'
fake lying 'echo "50%: Checks: 2, Failures: 1, Errors: 0"; exit 0'
fake crashing 'echo "100%: Checks: 3, Failures: 0, Errors: 0"; kill -SEGV $$'
fake leaking 'echo "100%: Checks: 3, Failures: 0, Errors: 0"; exit 23'
fake silent 'exit 0'
fake hanging 'sleep 60'
fake notok 'echo "ok 1 - a"; echo "not ok 2 - b"; echo 1..2'
fake short 'echo "ok 1 - a"; echo 1..2'

closes 0 0 "100%: Checks: 3, Failures: 0, Errors: 0" "one good program" good
closes 0 2 "100%: Checks: 6, Failures: 0, Errors: 0" "sums and skips add up" good more tap
closes 1 0 "80%: Checks: 5, Failures: 1, Errors: 0" "a failure counts" good failing
closes 1 0 "50%: Checks: 2, Failures: 1, Errors: 0" "a failure counts whatever the exit code" lying
closes 1 0 "75%: Checks: 4, Failures: 0, Errors: 1" "a crash is an error" crashing
closes 1 0 "75%: Checks: 4, Failures: 0, Errors: 1" "a bad exit code is an error" leaking
closes 1 0 "0%: Checks: 1, Failures: 0, Errors: 1" "saying nothing is an error" silent
TEST_TIMEOUT_S=1 closes 1 0 "0%: Checks: 1, Failures: 0, Errors: 1" "hanging is an error" hanging
closes 1 0 "50%: Checks: 2, Failures: 1, Errors: 0" "not ok is a failure" notok
closes 1 0 "50%: Checks: 2, Failures: 0, Errors: 1" "a plan not kept is an error" short
closes 1 0 "0%: Checks: 1, Failures: 0, Errors: 1" "a program that is not there is an error" absent
closes 1 0 "0%: Checks: 1, Failures: 0, Errors: 1" "nothing to run is an error"
tap_end
