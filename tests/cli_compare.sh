#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_compare.sh - kvtwin compare as a user runs it: the table agrees with single runs, verdicts, files, pictures, Ctrl-C,
# one line for each mistake and nothing left behind.
. tests/tap.sh
scenario=$SCRATCH/small.yaml
cat >"$scenario" <<'YAML'
question: Does the router matter?
workload:
  generate: {kind: chat, requests: 400, rate: 2/s}
cluster: {model: llama-3.1-8b, gpu: a100-80g-sxm, engines: 2}
cache:
  block_tokens: 64
  tiers:
    - {kind: gpu, capacity: 2000blocks}
    - {kind: host, capacity: 4GiB}
YAML

# Runs kvtwin compare; exit code in $status, output in $SCRATCH/out, messages in $SCRATCH/err.
compare() {
    "$KVTWIN" compare "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
    status=$?
}

one_line() { # PATTERN: bad input, one line, and no folder
    [ "$status" = 2 ] && [ "$(wc -l <"$SCRATCH/err")" = 1 ] && grep -q -- "$1" "$SCRATCH/err" &&
        [ ! -s "$SCRATCH/out" ] && [ ! -e "$SCRATCH/bad" ] && [ ! -e "$SCRATCH/.bad.partial" ]
}

refused() { # TEXT PATTERN ARGUMENTS...
    local text=$1 pattern=$2
    shift 2
    compare "$scenario" --out "$SCRATCH/bad" "$@"
    check "$text" one_line "$pattern"
}

# The value of a key in the row of a variant (from 1), of compare.csv.
cell() { # FOLDER VARIANT KEY
    awk -F, -v row="$2" -v key="$3" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == key) at = i }
        NR > 1 && $1 == row { print $at }' "$1/compare.csv"
}

value() { # FILE KEY: of a summary.json
    sed -n "s/^ *\"$2\": \([^,]*\),*$/\1/p" "$1" | head -n 1
}

# ---- Mistakes ----
refused "no key" "expected at least one KEY"
refused "unknown key" "did you mean router" --vary cluster.ruter=a,b
refused "unknown value" "cluster.router: expected one of round-robin" --vary cluster.router=round-robin,nearest
refused "value without its unit" "cache.tiers.host.capacity: expected" --vary cache.tiers.host.capacity=1,2
refused "empty range" "is empty" --vary cluster.engines=4..1
refused "endless range" "never end" --vary "cluster.engines=1..4 step 0"
refused "a range of unknown length" "how many values" --vary cache.tiers.host.capacity=1GiB..2GiB
refused "unknown metric" "did you mean ttft_p95_ms" --vary seed=1,2 --metrics ttft_p96_ms
refused "a metric that is no number of the summary" "expected a number of summary.json" --vary seed=1,2 --metrics x
refused "a baseline that is not there" "expected a row from 1 to 2" --vary seed=1,2 --baseline 3
refused "a baseline of another key" "expected one of the values" --vary seed=1,2 --baseline cluster.engines=2
refused "the real world" "expected null or sim" --vary seed=1,2 --world real
refused "an option that is not there" "unknown option" --vary seed=1,2 --frobnicate
refused "no jobs" "--jobs" --vary seed=1,2 --jobs 0
refused "a key twice" "given twice" --vary seed=1,2 --vary seed=3
refused "a file that is not there" "there is no" --vary workload.trace=nowhere.jsonl
mkdir "$SCRATCH/other" && echo hello >"$SCRATCH/other/mine.txt"
compare "$scenario" --vary seed=1,2 --out "$SCRATCH/other"
check "a folder of other things is left alone" test "$status" = 2 -a -e "$SCRATCH/other/mine.txt"

# ---- A comparison ----
routers=round-robin,least-loaded,prefix-aware
compare "$scenario" --vary cluster.router=$routers --out "$SCRATCH/a"
check "three routers" test "$status" = 0 -a ! -s "$SCRATCH/err"
check "a row for each, the reference marked" test "$(grep -cE '^ +[123][* ]  (round-robin|least-loaded|prefix-aware)' "$SCRATCH/out")" = 3
check "differences with verdicts" grep -qE 'router=prefix-aware .*(better|worse|noise|same)$' "$SCRATCH/out"
same=1
for i in 1 2 3; do
    "$KVTWIN" run "$scenario" --no-baseline --out "$SCRATCH/single" \
        --set cluster.router="$(echo $routers | cut -d, -f$i)" >/dev/null || same=0
    for key in ttft_p95_ms prefix_hit_rate hit_tokens_gpu evicted_blocks_host duration_s; do
        [ "$(cell "$SCRATCH/a" $i $key)" = "$(value "$SCRATCH/single/summary.json" $key)" ] || same=0
    done
    grep -q "$(value "$SCRATCH/single/summary.json" scenario_sha256)" "$SCRATCH/a/summary.json" || same=0
done
check "every row is what a run of that scenario gives" test $same = 1
mean() { cell "$SCRATCH/a" "$1" ttft_mean_ms; }
difference=$(awk -F, '$1 == "ttft_mean_ms" && $2 == 3 { print $5 }' "$SCRATCH/a/differences.csv")
check "the mean of the differences is the difference of the means" \
    awk -v d="$difference" -v a="$(mean 3)" -v b="$(mean 1)" 'BEGIN { exit !((d - (a - b)) ^ 2 < 1e-9) }'
cp -r "$SCRATCH/a" "$SCRATCH/kept"
compare "$scenario" --vary cluster.router=$routers --out "$SCRATCH/a" --jobs 1
check "the same bytes, whatever the jobs" sh -c \
    "cd '$SCRATCH' && cmp a/compare.csv kept/compare.csv && cmp a/differences.csv kept/differences.csv && cmp a/curves.csv kept/curves.csv"
compare "$scenario" --vary cluster.router=$routers --out "$SCRATCH/json" --json --metrics ttft_p50_ms,speedup_ttft_p50
check "--json is summary.json" cmp -s "$SCRATCH/out" "$SCRATCH/json/summary.json"
check "a metric that needs the cache off has it" grep -q '"speedup_ttft_p50": [0-9]' "$SCRATCH/json/summary.json"

compare "$scenario" --vary cluster.router=$routers --vary cache.tiers.host.capacity=1GiB..4GiB log 3 \
    --baseline cluster.router=least-loaded --world null --out "$SCRATCH/grid"
check "two keys, a range that the shell took apart, the null world" test "$status" = 0
check "nine rows, three of them references" test "$(grep -cE '^ +[1-9]\*' "$SCRATCH/out")" = 3
check "no time passes in the null world" sh -c "! grep -q TTFT '$SCRATCH/out'"
compare "$scenario" --vary seed=1,2 --out "$SCRATCH/seeds"
check "other traffic is not paired" grep -q 'other requests: not compared' "$SCRATCH/out"
compare "$scenario" --vary cluster.model=llama-3.1-8b,llama-3.1-405b --out "$SCRATCH/large"
check "a model that does not fit is a row that says so; exit 1" \
    test "$status" = 1 -a "$(cell "$SCRATCH/large" 2 state)" = failed -a "$(cell "$SCRATCH/large" 1 state)" = "done"

if command -v gnuplot >/dev/null; then
    check "a picture for each metric" sh -c \
        "head -c 8 '$SCRATCH/a/ttft_p95_ms.png' | grep -q PNG && tail -n 2 '$SCRATCH/a/prefix_hit_rate.svg' | grep -q '</svg>'"
    check "curves for a numeric key" test -s "$SCRATCH/grid/prefix_hit_rate.svg"
else
    echo "skipped: no gnuplot"
fi

# ---- Ctrl-C ----
big=$SCRATCH/big.yaml
sed 's/requests: 400/requests: 8000/' "$scenario" >"$big"
"$KVTWIN" compare "$big" --vary cluster.engines=16,1..40 --out "$SCRATCH/cut" >/dev/null 2>&1
check "a list is no range" test ! -e "$SCRATCH/cut"
# A row must be done by then: a slow machine gets more time.
for seconds in 3 12 48; do
    setsid "$KVTWIN" compare "$big" --vary cluster.engines=2..400 --jobs 2 --out "$SCRATCH/cut" >"$SCRATCH/out" 2>"$SCRATCH/err" &
    pid=$!
    sleep $seconds
    kill -INT $pid
    wait $pid
    status=$?
    [ -e "$SCRATCH/cut/compare.csv" ] && break
done
check "interrupted: exit 1, and how many are missing" sh -c \
    "[ $status = 1 ] && grep -qE 'interrupted' '$SCRATCH/err' && [ \$(wc -l <'$SCRATCH/err') = 1 ]"
check "finished rows are there, the others named" sh -c \
    "grep -q ',done,' '$SCRATCH/cut/compare.csv' && grep -q ',missing,' '$SCRATCH/cut/compare.csv' && grep -q 'not run' '$SCRATCH/out'"
check "no process is left" sh -c "! kill -0 -- -$pid 2>/dev/null"
tap_end
