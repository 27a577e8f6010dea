#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_plan.sh - kvtwin plan as a user runs it: the same answer as running every configuration, few runs, exit 3 when nothing
# meets the objectives, one line for each mistake.
. tests/tap.sh
scenario=$SCRATCH/small.yaml
cat >"$scenario" <<'YAML'
question: How few engines will do?
workload:
  generate: {kind: chat, requests: 1500, rate: 40/s}
cluster: {model: llama-3.1-8b, gpu: a100-80g-sxm, engines: 2}
cache:
  block_tokens: 64
  tiers:
    - {kind: gpu, capacity: 2000blocks}
    - {kind: redis, node: cache.r7g.16xlarge, nodes: 1}
YAML
over=(--over cluster.engines=1..6 --over cache.tiers.redis.nodes=1..3)

plan() {
    "$KVTWIN" plan --out "$SCRATCH/plan" "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
    status=$?
}

refused() { # TEXT PATTERN ARGUMENTS...
    local text=$1 pattern=$2
    shift 2
    plan "$scenario" "$@"
    check "$text" sh -c "[ $status = 2 ] && [ \$(wc -l <'$SCRATCH/err') = 1 ] && grep -q -- '$pattern' '$SCRATCH/err' && [ ! -s '$SCRATCH/out' ]"
}

refused "no objective" "at least one" "${over[@]}"
refused "no keys" "at least one KEY" --slo 'ttft_p95<2s'
refused "an objective on an unknown figure" "did you mean ttft_p95_ms" --slo 'ttft_p95_m<2s' "${over[@]}"
refused "an objective on nothing known lists what there is" "expected a number of summary.json" --slo 'happiness>9' "${over[@]}"
refused "an objective without its unit" "expected a duration" --slo 'ttft_p95<2' "${over[@]}"
refused "an objective without a limit" "expected FIGURE<LIMIT" --slo 'ttft_p95' "${over[@]}"
refused "a percentile that is none" "unknown metric" --slo 'ttft_p101<2s' "${over[@]}"
refused "unknown key" "unknown key" --slo 'ttft_p95<2s' --over cluster.engins=1,2
refused "a range that never ends" "never end" --slo 'ttft_p95<2s' --over 'cluster.engines=1..4 step 0'
refused "the null world, which has no prices" "cost_usd_per_hour" --slo 'prefix_hit_rate>1%' "${over[@]}" --world null
refused "an option that is not there" "unknown option" --slo 'ttft_p95<2s' "${over[@]}" --frobnicate

plan "$scenario" --slo 'ttft_p95<150ms' "${over[@]}" --json
if grep -q 'cost_usd_per_hour' "$SCRATCH/err"; then
    echo "skipped: nothing has a price in this version"
    echo "1..$n"
    exit 0
fi
check "an answer" sh -c "[ $status = 0 ] || [ $status = 3 ]"
# Everything, by sweep; the limit is then put where a middle configuration just meets it.
"$KVTWIN" sweep "$scenario" --vary cluster.engines=1..6 --vary cache.tiers.redis.nodes=1..3 --out "$SCRATCH/all" \
    --metrics ttft_p95_ms >/dev/null
column() { # NAME: its values with the keys, engines,nodes,value
    awk -F, -v key="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == key) at = i; next } { print $4, $5, $at }' "$SCRATCH/all/sweep.csv"
}
same=1
for rank in 9 12 14; do
    limit=$(column ttft_p95_ms | sort -gk3 | sed -n "${rank}p" | awk '{ printf "%.6f", $3 + 0.001 }')
    plan "$scenario" --slo "ttft_p95<${limit}ms" "${over[@]}" --json
    [ $status = 0 ] || same=0
    cheapest=$(paste -d' ' <(column ttft_p95_ms) <(column cost_usd_per_hour) |
        awk -v limit="$limit" '$3 < limit && (best == "" || $6 < best) { best = $6 } END { print best }')
    found=$(sed -n '/"cheapest"/,$s/.*"cost_usd_per_hour": \([0-9.]*\).*/\1/p' "$SCRATCH/out" | head -n 1)
    awk -v a="$cheapest" -v b="$found" 'BEGIN { exit !(b != "" && (a - b) ^ 2 < 1e-6) }' || same=0
done
check "the same cost as the cheapest of all that meet it, for three limits" test $same = 1
plan "$scenario" --slo "ttft_p95<${limit}ms" "${over[@]}"
check "the table says what binds, what comes second, what more traffic costs, and how sure" sh -c \
    "for word in cheapest binding runner-up '10 % more traffic' 'with 5 of 5\|with . of 5 seeds' runs; do grep -q -- \"\$word\" '$SCRATCH/out' || exit 1; done"
looks() { awk -F, 'NR > 1 { n++ } END { print n + 0 }' "$SCRATCH/plan/plan.csv"; }
check "every run of the search is in plan.csv, one of them the cheapest" sh -c \
    "grep -qE '^runs +$(looks) of 18 points' '$SCRATCH/out' && [ \$(grep -c ',cheapest,' '$SCRATCH/plan/plan.csv') = 1 ] && ls '$SCRATCH/plan/summary.json' '$SCRATCH/plan/run.json' '$SCRATCH/plan/scenario.yaml' >/dev/null"
if command -v gnuplot >/dev/null; then
    check "a picture of it" sh -c "head -c 8 '$SCRATCH/plan/plan_ttft_p95_ms.png' | grep -q PNG && grep -q 'cheapest: ' '$SCRATCH/plan/plan_ttft_p95_ms.svg'"
else
    echo "skipped: no gnuplot"
fi
cp -r "$SCRATCH/plan" "$SCRATCH/once"
plan "$scenario" --slo "ttft_p95<${limit}ms" "${over[@]}" --jobs 1
check "one run at a time: the same answer" sh -c \
    "[ \"\$(grep ,cheapest, '$SCRATCH/once/plan.csv' | cut -d, -f2-)\" = \"\$(grep ,cheapest, '$SCRATCH/plan/plan.csv' | cut -d, -f2-)\" ]"
cp -r "$SCRATCH/plan" "$SCRATCH/twice"
plan "$scenario" --slo "ttft_p95<${limit}ms" "${over[@]}" --jobs 1
check "twice the same bytes, but for run.json" diff -r -x run.json "$SCRATCH/twice" "$SCRATCH/plan"
plan "$scenario" --slo 'ttft_p99.9<1us' "${over[@]}"
check "nothing meets it: exit 3, the nearest, what binds" sh -c \
    "[ $status = 3 ] && grep -q '^nearest' '$SCRATCH/out' && grep -q '^binding     ttft_p99.9<1us' '$SCRATCH/out'"
plan "$scenario" --slo 'ttft_p95<150ms' "${over[@]}" --budget 2
check "a budget is kept, and said" sh -c "grep -qE '^runs +[12] of 18 points' '$SCRATCH/out'"
# ---- Ctrl-C, SIGTERM: what there is, and on from there ----
search=("$scenario" --slo 'ttft_p95<120ms' --over cluster.engines=1..12 --over cache.tiers.redis.nodes=1..4 --jobs 1)
"$KVTWIN" plan "${search[@]}" --out "$SCRATCH/whole" >"$SCRATCH/whole.txt" 2>&1
whole=$?
for signal in INT TERM; do
    for wait in 0.1 0.2 0.3 0.4 0.6 0.8 1 1.5 2 3 4 6; do # until it comes when there are some runs, but not all
        rm -rf "$SCRATCH/cut"
        setsid "$KVTWIN" plan "${search[@]}" --out "$SCRATCH/cut" >"$SCRATCH/out" 2>"$SCRATCH/err" &
        pid=$!
        sleep $wait
        kill -$signal $pid
        wait $pid
        status=$?
        grep -q interrupted "$SCRATCH/cut/summary.json" 2>/dev/null && break
    done
    check "$signal: exit 1, one line that says what was seen and how to go on" sh -c \
        "[ $status = 1 ] && [ \$(wc -l <'$SCRATCH/err') = 1 ] && grep -q 'interrupted; .* runs are in .*/cut: the same command goes on' '$SCRATCH/err' && [ ! -s '$SCRATCH/out' ]"
    check "$signal: the folder says so" sh -c \
        "grep -q '\"interrupted\": true' '$SCRATCH/cut/summary.json' && [ -e '$SCRATCH/cut/run.json' ] && [ -e '$SCRATCH/cut/scenario.yaml' ]"
    check "$signal: no process is left" sh -c "! kill -0 -- -$pid 2>/dev/null"
    some=$(grep -c '"failed"' "$SCRATCH/cut/looks.json")
    all=$(grep -c '"failed"' "$SCRATCH/whole/looks.json")
    check "$signal: some of the runs, not all ($some of $all)" test "$some" -ge 1 -a "$some" -lt "$all"
    "$KVTWIN" plan "${search[@]}" --out "$SCRATCH/cut" >"$SCRATCH/out" 2>"$SCRATCH/err"
    check "$signal: the same again ends as if nothing had been" test $? = $whole
    for file in plan.csv summary.json looks.json; do
        check "$signal: and leaves the same bytes: $file" cmp -s "$SCRATCH/whole/$file" "$SCRATCH/cut/$file"
    done
done
# What is kept is taken: a run that says that it was broken is believed; a file that is no such file is not.
sed -i 's/"failed": false/"failed": true/' "$SCRATCH/cut/looks.json"
"$KVTWIN" plan "${search[@]}" --out "$SCRATCH/cut" >"$SCRATCH/out" 2>"$SCRATCH/err"
check "runs that are kept are not run again" grep -q ',unfinished,' "$SCRATCH/cut/plan.csv"
echo '{"runs": [1, {' >"$SCRATCH/cut/looks.json"
"$KVTWIN" plan "${search[@]}" --out "$SCRATCH/cut" >"$SCRATCH/out" 2>"$SCRATCH/err"
check "a damaged file is as good as none" cmp -s "$SCRATCH/whole/plan.csv" "$SCRATCH/cut/plan.csv"
tap_end
