#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_plot.sh - kvtwin plot: every picture of ordinary and odd results, and one line for what cannot be drawn.
. tests/tap.sh
: "${KVTWIN:?}" "${SCRATCH:?}" "${BUILD:?}"
writer=$BUILD/tests/test_results_files

# Runs kvtwin plot; leaves its exit code in $status, output in $SCRATCH/out and messages in $SCRATCH/err.
plot() {
    "$KVTWIN" plot "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
    status=$?
}

# A PNG that decodes to something is large; an SVG that was finished ends with its closing tag.
whole() { # DIR
    local picture
    for picture in ttft tpot waterfall hitrate occupancy ledger cost crossover; do
        head -c 8 "$1/$picture.png" 2>/dev/null | grep -q PNG || return 1
        [ "$(stat -c %s "$1/$picture.png")" -gt 5000 ] || return 1
        tail -n 3 "$1/$picture.svg" | grep -q '</svg>' || return 1
    done
}

one_line() { # STATUS PATTERN: the last plot ended so, with one line that matches
    [ "$status" = "$1" ] && [ "$(wc -l <"$SCRATCH/err")" = 1 ] && grep -q -- "$2" "$SCRATCH/err"
}

draws() { # DIR: no message, all pictures there and named
    plot "$1"
    [ "$status" = 0 ] && [ ! -s "$SCRATCH/err" ] && [ "$(wc -l <"$SCRATCH/out")" = 16 ] && whole "$1"
}

if [ ! -x "$KVTWIN" ] || [ ! -x "$writer" ]; then
    echo "skipped: $KVTWIN or $writer is not built"
    exit 0
fi

# ---- Bad input: needs no gnuplot ----
"$writer" --write 400 "$SCRATCH/run" || exit 1

plot; check "no folder: exit 2, one line" one_line 2 'expected a results folder'
plot "$SCRATCH/none"; check "missing folder" one_line 2 'none: No such file'
plot "$SCRATCH"; check "folder without results" one_line 2 'there is no summary.json'
plot "$SCRATCH/run/summary.json"; check "a file" one_line 2 'summary.json: Not a directory'
plot --only nothing "$SCRATCH/run"; check "unknown picture" one_line 2 'expected one of ttft'
plot --colour "$SCRATCH/run"; check "unknown option" one_line 2 'unknown option'
cp -r "$SCRATCH/run" "$SCRATCH/cut"
rm "$SCRATCH/cut/stages.csv"
plot "$SCRATCH/run" "$SCRATCH/cut"; check "missing file" one_line 2 'cut/stages.csv: No such file'
check "nothing is drawn when one folder is bad" test ! -e "$SCRATCH/run/ttft.svg"
echo 'a,b' >"$SCRATCH/cut/stages.csv"
plot "$SCRATCH/cut"; check "wrong columns" one_line 2 'expected columns source'
: >"$SCRATCH/cut/stages.csv"
plot "$SCRATCH/cut"; check "empty file" one_line 2 'expected a line of column names'
echo '{"a": ' >"$SCRATCH/cut/summary.json"
plot "$SCRATCH/cut"; check "broken JSON" one_line 2 'summary.json:[0-9]*: '
PATH=/nonexistent plot "$SCRATCH/run"; check "no gnuplot: exit 1 and what to install" one_line 1 'gnuplot-nox'

# ---- Pictures ----
if ! command -v gnuplot >/dev/null; then
    echo "skipped: gnuplot is not installed"
    echo "1..$n"
    exit 0
fi
check "sixteen pictures of a run" draws "$SCRATCH/run"
cp "$SCRATCH/run/waterfall.svg" "$SCRATCH/first.svg"
plot --only waterfall "$SCRATCH/run"
check "the same picture twice" cmp -s "$SCRATCH/first.svg" "$SCRATCH/run/waterfall.svg"
check "--only draws one" test "$(wc -l <"$SCRATCH/out")" = 2
"$writer" --write 0 "$SCRATCH/empty"
check "a run without requests" draws "$SCRATCH/empty"
"$writer" --write 1 "$SCRATCH/one"
check "a run with one request" draws "$SCRATCH/one"
cp -r "$SCRATCH/run" "$SCRATCH/bare"
for f in distributions stages timeline ledger cost crossover; do
    sed -n '/^#/p; /^#/!{p;q}' "$SCRATCH/run/$f.csv" >"$SCRATCH/bare/$f.csv"
done
check "files without a row" draws "$SCRATCH/bare"
odd="$SCRATCH/< echo \"x\" 'y' \$(z) \`w\`"
cp -r "$SCRATCH/run" "$odd"
check "a folder whose name is no command" draws "$odd"
tap_end
