#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_calibrate.sh - kvtwin calibrate: bad input ends in one line, a quick run leaves a profile that the catalogue takes,
# measurements and pictures, and nothing else.
. tests/tap.sh

# Leaves the exit code in $status, output in $SCRATCH/out and messages in $SCRATCH/err.
calibrate() {
    TMPDIR=$SCRATCH/tmp "$KVTWIN" calibrate "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
    status=$?
}

one_line() { # STATUS PATTERN
    [ "$status" = "$1" ] && [ "$(wc -l <"$SCRATCH/err")" = 1 ] && grep -q -- "$2" "$SCRATCH/err"
}

nothing_left() { # of files and servers
    [ -z "$(ls -A "$SCRATCH/tmp")" ]
}

if [ ! -x "$KVTWIN" ]; then
    echo "skipped: $KVTWIN is not built"
    exit 0
fi
mkdir -p "$SCRATCH/tmp" "$SCRATCH/new"
cd_out=$SCRATCH/new/p.yaml

calibrate --colour; check "unknown option" one_line 2 'unknown'
calibrate profile.yaml; check "no option" one_line 2 'expected an option'
calibrate --threads 0; check "no threads" one_line 2 'expected a whole number'
calibrate --only wires; check "unknown part" one_line 2 'expected one of copies'
calibrate --sync=maybe; check "unknown sync" one_line 2 'expected one of none'
calibrate --model gpt; check "unknown model" one_line 2 'expected a model'
calibrate --model deepseek-v3; check "a model without keys and values per head" one_line 2 'expected a model'
calibrate --out "$SCRATCH/no/p.yaml"; check "a folder that is not there" one_line 2 'cannot be written'
calibrate --out "$SCRATCH/new"; check "a profile that is a folder" one_line 2 'cannot be written'
calibrate --out "$cd_out" --only redis --redis 'redis://:secret@'
check "a bad address" one_line 2 '--redis'
check "a password is not told" sh -c "! grep -q secret '$SCRATCH/err'"
calibrate --quick --out "$cd_out" --only redis --redis "unix:$SCRATCH/nobody"
check "a server that is not there" one_line 1 'redis'
check "then nothing is written" test ! -e "$cd_out" -a ! -e "$SCRATCH/new/calibration" -a ! -e calibration
calibrate --out "$cd_out" --data "$SCRATCH/no/data"; check "a folder that cannot be" one_line 2 'no/data: cannot be a folder'

# A bounded run: small blocks, no pictures yet.
echo old >"$SCRATCH/new/old.yaml"
calibrate --quick --out "$cd_out" --block-tokens 32 --no-plots --only copies --only disk --only redis --only transfers
check "a quick run ends well" test "$status" = 0
check "it tells what it found" grep -q 'loads of one value, redis' "$SCRATCH/out"
check "it leaves measurements and fits" test -s "$SCRATCH/new/calibration/samples.csv" -a -s "$SCRATCH/new/calibration/fits.csv"
check "nothing else is left" nothing_left
check "no path in the profile" sh -c "! grep -q -e '$SCRATCH' -e /tmp '$cd_out'"
check "every value says how it was measured" sh -c \
    "[ \$(grep -c 'evidence: M, source: \"measured' '$cd_out') = \$(grep -c 'value:' '$cd_out') ]"
takes_it() { "$KVTWIN" run scenarios/quickstart.yaml --profile "$cd_out" --set workload.limit=50 --no-baseline --out "$SCRATCH/run" >"$SCRATCH/out" 2>&1; }
if "$KVTWIN" run --help | grep -q -- --profile; then
    check "run takes the profile" takes_it
else
    echo "ok $((n += 1)) - run takes the profile # SKIP no --profile yet"
fi

calibrate --quick --json --out "$cd_out" --only codecs --no-plots
check "JSON" grep -q '"planes-zstd-1"' "$SCRATCH/out"
check "codecs alone have no loopback" sh -c "! grep -q 'name: loopback' '$cd_out'"

# Ctrl-C: an older profile stays as it was.
TMPDIR=$SCRATCH/tmp "$KVTWIN" calibrate --out "$SCRATCH/new/old.yaml" --no-plots >"$SCRATCH/out" 2>"$SCRATCH/err" &
pid=$!
sleep 1
kill -TERM $pid
wait $pid
status=$?
check "interrupted" one_line 1 'interrupted'
check "the older profile is as it was" grep -q '^old$' "$SCRATCH/new/old.yaml"
check "nothing is left after an interruption" nothing_left

if command -v gnuplot >/dev/null; then
    calibrate --quick --out "$cd_out" --only copies
    check "a picture" sh -c "tail -n 3 '$SCRATCH/new/calibration/calibrate-copies.svg' | grep -q '</svg>'"
else
    echo "ok $((n += 1)) - a picture # SKIP no gnuplot"
fi
tap_end
