#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_sweep.sh - kvtwin sweep as a user runs it: killed half way and called again it leaves the same bytes; stored runs that are
# damaged, or of another question, are run again; replications, failures, mpirun, one line for each mistake.
. tests/tap.sh
scenario=$SCRATCH/small.yaml
cat >"$scenario" <<'YAML'
question: How much host memory is enough?
workload:
  generate: {kind: chat, requests: 1500, rate: 2/s}
cluster: {model: llama-3.1-8b, gpu: a100-80g-sxm, engines: 2}
cache:
  block_tokens: 64
  tiers:
    - {kind: gpu, capacity: 2000blocks}
    - {kind: host, capacity: 4GiB}
YAML
grid=(--vary cache.tiers.host.capacity=1GiB..16GiB log 9 --vary workload.rate_scale=0.5,1,2)

sweep() { # exit code in $status
    "$KVTWIN" sweep "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
    status=$?
}

refused() { # TEXT PATTERN ARGUMENTS...
    local text=$1 pattern=$2
    shift 2
    sweep "$scenario" --out "$SCRATCH/bad" "$@"
    check "$text" sh -c "[ $status = 2 ] && [ \$(wc -l <'$SCRATCH/err') = 1 ] && grep -q -- '$pattern' '$SCRATCH/err' && [ ! -e '$SCRATCH/bad' ]"
}

same() { # A B: every file but pictures
    local file
    [ "$(ls "$1/runs")" = "$(ls "$2/runs")" ] || return 1
    for file in sweep.csv curves.csv summary.json scenario.yaml $(cd "$1" && ls runs/*); do
        cmp -s "$1/$file" "$2/$file" || return 1
    done
}

# ---- Mistakes ----
refused "no key" "expected at least one KEY"
refused "unknown key" "unknown key" --vary cluster.engins=1,2
refused "endless range" "never end" --vary "seed=1..4 step 0"
refused "empty range" "is empty" --vary seed=4..1
refused "unknown metric" "unknown metric" --vary seed=1,2 --metrics ttft
refused "no replications" "--replications" --vary seed=1,2 --replications 0
refused "a value out of range" "cluster.engines: expected a whole number" --vary cluster.engines=0,1
mkdir "$SCRATCH/other" && echo hello >"$SCRATCH/other/mine.txt"
sweep "$scenario" --vary seed=1,2 --out "$SCRATCH/other"
check "a folder of other things is left alone" sh -c "[ $status = 2 ] && [ \$(ls -A '$SCRATCH/other') = mine.txt ]"

# ---- Whole ----
sweep "$scenario" "${grid[@]}" --out "$SCRATCH/whole"
check "27 points" sh -c "[ $status = 0 ] && [ ! -s '$SCRATCH/err' ] && [ \$(ls '$SCRATCH/whole/runs' | wc -l) = 27 ] && [ \$(wc -l <'$SCRATCH/whole/sweep.csv') = 28 ]"
"$KVTWIN" run "$scenario" --no-baseline --out "$SCRATCH/single" --set cache.tiers.host.capacity=4GiB --set workload.rate_scale=2 >/dev/null
field() { # KEY: of the point 4GiB, 2 in sweep.csv
    awk -F, -v key="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == key) at = i } $4 == "4GiB" && $5 == 2 { print $at }' "$SCRATCH/whole/sweep.csv"
}
value() { sed -n "s/^ *\"$1\": \([^,]*\),*$/\1/p" "$SCRATCH/single/summary.json"; }
ok=1
for key in ttft_p95_ms prefix_hit_rate bytes_read_host tpot_mean_ms; do
    awk -v a="$(field $key)" -v b="$(value $key)" 'BEGIN { exit !(a != "" && a == b) }' || ok=0
done
check "a point is what a run of it gives" test $ok = 1
if command -v gnuplot >/dev/null; then
    check "curves and heat maps" sh -c \
        "head -c 8 '$SCRATCH/whole/ttft_p95_ms.png' | grep -q PNG && tail -n 2 '$SCRATCH/whole/ttft_p95_ms_heat.svg' | grep -q '</svg>'"
else
    echo "skipped: no gnuplot"
fi
sweep "$scenario" "${grid[@]}" --out "$SCRATCH/whole" --metrics ttft_p99_ms
check "called again it runs nothing" grep -q '27 found, 0 done now' "$SCRATCH/out"
sweep "$scenario" "${grid[@]}" --out "$SCRATCH/whole"
sweep "$scenario" "${grid[@]}" --out "$SCRATCH/one" --jobs 1
check "one job at a time: the same bytes" same "$SCRATCH/whole" "$SCRATCH/one"

# ---- Killed, and called again ----
setsid "$KVTWIN" sweep "$scenario" "${grid[@]}" --out "$SCRATCH/killed" --jobs 1 >/dev/null 2>&1 &
pid=$!
for _ in $(seq 400); do
    [ "$(ls "$SCRATCH/killed/runs" 2>/dev/null | wc -l)" -ge 9 ] && break
    sleep 0.02
done
kill -KILL $pid
wait $pid 2>/dev/null
some=$(ls "$SCRATCH/killed/runs" | wc -l)
check "killed half way" test "$some" -ge 9 -a "$some" -lt 27 -a ! -e "$SCRATCH/killed/sweep.csv"
sleep 0.3
check "its children died with it" sh -c "! kill -0 -- -$pid 2>/dev/null"
sweep "$scenario" "${grid[@]}" --out "$SCRATCH/killed"
check "goes on: what was finished is found" grep -q "$some found, $((27 - some)) done now" "$SCRATCH/out"
check "and leaves the same bytes as one that was not killed" same "$SCRATCH/whole" "$SCRATCH/killed"

# ---- Damage ----
cp -r "$SCRATCH/whole" "$SCRATCH/hurt"
files=("$SCRATCH"/hurt/runs/*)
truncate -s -1 "${files[0]}"
sed -i 's/"ttft_p50_ms": [0-9.]*/"ttft_p50_ms": 1/' "${files[1]}"
: >"${files[2]}"
cp "${files[4]}" "${files[3]}"
sweep "$scenario" "${grid[@]}" --out "$SCRATCH/hurt"
check "four damaged runs are seen" grep -q '23 found, 4 done now, 4 of them because what was stored was damaged' "$SCRATCH/out"
check "and run again: the same bytes" same "$SCRATCH/whole" "$SCRATCH/hurt"
sed -i 's/2000blocks/2001blocks/' "$scenario"
sweep "$scenario" "${grid[@]}" --out "$SCRATCH/hurt"
check "another scenario takes nothing of the old one" grep -q '0 found, 27 done now' "$SCRATCH/out"
sed -i 's/2001blocks/2000blocks/' "$scenario"
sweep "$scenario" "${grid[@]}" --out "$SCRATCH/hurt"
check "back again it finds its own" grep -q '27 found, 0 done now' "$SCRATCH/out"

# ---- Ctrl-C ----
sed 's/requests: 1500/requests: 6000/' "$scenario" >"$SCRATCH/big.yaml"
setsid "$KVTWIN" sweep "$SCRATCH/big.yaml" --vary cluster.engines=1..300 --out "$SCRATCH/cut" >"$SCRATCH/out" 2>"$SCRATCH/err" &
pid=$!
for _ in $(seq 600); do
    [ "$(ls "$SCRATCH/cut/runs" 2>/dev/null | wc -l)" -ge 3 ] && break
    sleep 0.02
done
kill -INT $pid
wait $pid
status=$?
check "Ctrl-C: exit 1, what is missing, and a table of what there is" sh -c \
    "[ $status = 1 ] && grep -q 'of 300 runs are missing' '$SCRATCH/err' && grep -q ',done,' '$SCRATCH/cut/sweep.csv' && grep -q ',missing,' '$SCRATCH/cut/sweep.csv'"
check "no process is left" sh -c "! kill -0 -- -$pid 2>/dev/null"

# ---- Replications, failures ----
sweep "$scenario" --vary cluster.engines=1,2 --replications 4 --out "$SCRATCH/reps" --metrics ttft_p50_ms
check "four seeds, an interval" sh -c \
    "[ $status = 0 ] && [ \$(ls '$SCRATCH/reps/runs' | wc -l) = 8 ] && grep -q 'ttft_p50_ms,ttft_p50_ms_ci95' '$SCRATCH/reps/sweep.csv' && grep -q ' ±' '$SCRATCH/out'"
mean=$(for seed in 1 2 3 4; do
    "$KVTWIN" run "$scenario" --no-baseline --set cluster.engines=2 --set seed=$seed --out "$SCRATCH/single" >/dev/null
    value ttft_p50_ms
done | awk '{ s += $1 } END { printf "%.9f", s / 4 }')
check "the mean is that of the runs with these seeds" awk -F, -v mean="$mean" \
    'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "ttft_p50_ms") at = i } $1 == 2 { exit !(($at - mean) ^ 2 < 1e-12) }' "$SCRATCH/reps/sweep.csv"
sweep "$scenario" --vary cluster.model=llama-3.1-8b,llama-3.1-405b --out "$SCRATCH/large"
check "a point that fails costs that point: exit 1, its row says failed" sh -c \
    "[ $status = 1 ] && grep -q '^1,done,1' '$SCRATCH/large/sweep.csv' && grep -q '^2,failed,0' '$SCRATCH/large/sweep.csv' && grep -q '1 of 2 runs failed' '$SCRATCH/err'"

# ---- mpirun ----
OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0 "$KVTWIN" sweep "$scenario" --vary seed=1,2 --out "$SCRATCH/bad" >/dev/null 2>"$SCRATCH/err"
status=$?
if grep -q 'built without MPI' "$SCRATCH/err"; then
    check "mpirun without MPI built in: says how to build it, exit 2" sh -c "[ $status = 2 ] && grep -q 'make mpi' '$SCRATCH/err' && [ ! -e '$SCRATCH/bad' ]"
fi
tap_end
