#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_validate.sh - kvtwin validate as a user runs it: both worlds, verdicts by exit code, files and pictures, Ctrl-C,
# bad input; and nothing is left behind.
. tests/tap.sh
mkdir -p "$scratch/tmp"
export KVTWIN_DATA=$PWD TMPDIR=$scratch/tmp

# Runs kvtwin validate; leaves its exit code in $status, output in $scratch/out and messages in $scratch/err.
validate() {
    "$kvtwin" validate "$@" >"$scratch/out" 2>"$scratch/err"
    status=$?
}

one_line() { # STATUS PATTERN: the last one ended so, with one line that matches
    [ "$status" = "$1" ] && [ "$(wc -l <"$scratch/err")" = 1 ] && grep -q -- "$2" "$scratch/err"
}

# Nothing of a run is left: no folder, no socket, and so no server of ours, which lives in one.
clean() {
    [ -z "$(ls -A "$TMPDIR")" ] && ! named "$TMPDIR"
}
named() { # TEXT: some process has it in its command line. A bare machine has no pgrep
    local file word
    for file in /proc/[0-9]*/cmdline; do
        while IFS= read -r -d '' word; do
            [[ $word == *"$1"* ]] && return 0
        done 2>/dev/null <"$file"
    done
    return 1
}

# ---- Bad input: needs no server ----
validate; report "$(one_line 2 'expected a file'; echo $?)" 'no scenario'
validate none.yaml; report "$(one_line 2 'none.yaml'; echo $?)" 'a scenario that is not there'
for bad in 'x' '10%,' '300%' '-5%' ',' '10%,20%,30%'; do
    validate --tolerance "$bad" scenarios/real-local.yaml
    report "$(one_line 2 '--tolerance: expected an error such as 10%'; echo $?)" "tolerance $bad"
done
validate --floor 3 scenarios/real-local.yaml
report "$(one_line 2 '--floor: expected'; echo $?)" 'a floor without unit'
for bad in 0 100 1.5 -1 x; do
    validate --rounds "$bad" scenarios/real-local.yaml
    report "$(one_line 2 '--rounds: expected a number from 1 to 99'; echo $?)" "rounds $bad"
done
validate --calibrate --profile "$scratch/none.yaml" scenarios/real-local.yaml
report "$(one_line 2 '--calibrate: expected without --profile'; echo $?)" 'a profile beside --calibrate'
validate --quick scenarios/real-local.yaml
report "$(one_line 2 '--quick: expected with --calibrate'; echo $?)" '--quick alone'
validate --verbose scenarios/real-local.yaml
report "$(one_line 2 'unknown option'; echo $?)" 'unknown option'
validate scenarios/real-local.yaml --profile "$scratch/none.yaml"
report "$([ "$status" = 2 ]; echo $?)" 'a profile that is not there'
validate --help
report "$([ "$status" = 0 ] && grep -q 'beyond tolerance' "$scratch/out"; echo $?)" 'help'

if ! command -v redis-server >/dev/null; then
    skip 'both worlds' 'no redis-server here'
    echo "1..$n"
    exit $failed
fi

cat >"$scratch/small.yaml" <<'YAML'
question: small
workload:
  generate: {kind: chat, requests: 80, rate: 60/s, think: 200ms, user_tokens: 160, answer_tokens: 20}
cluster: {model: qwen2.5-0.5b, gpu: a100-80g-sxm, host: local, engines: 1, network: loopback}
cache:
  block_tokens: 64
  page_tokens: 16
  load_or_compute: always
  tiers:
    - {kind: gpu, capacity: 64MiB}
    - {kind: host, capacity: 64MiB}
    - {kind: redis, node: local, server: local, nodes: 1, capacity: 128MiB, address: [spawn]}
YAML
small=$scratch/small.yaml
generous=(--tolerance 200%,500% --floor 1h)

# ---- Both worlds ----
validate "$small" --out "$scratch/a" "${generous[@]}"
# A machine that is busy enough may make hit rates differ; then that is what is said.
report "$([ "$status" = 0 ] || { [ "$status" = 3 ] && grep -q 'points apart' "$scratch/out"; }; echo $?)" 'what may be off by anything is within'
for row in 'store redis medium' 'store redis total' 'store host copy' 'request ttft' 'step iteration'; do
    grep -q "^$row" "$scratch/out"
    report $? "the table has a row: $row"
done
grep -q '^keys in redis .*in both' "$scratch/out"
report $? 'keys are compared'
for file in summary.json validate-rows.csv validate-cdf.csv validate-counts.csv validate-divergences.csv; do
    [ -s "$scratch/a/$file" ]
    report $? "there is $file"
done
report "$(grep -q '"causes"' "$scratch/a/summary.json" && grep -q '"unexplained": 0' "$scratch/a/summary.json"; echo $?)" 'no divergence is unexplained'
grep -q '"verified_bytes": 0,' "$scratch/a/summary.json"
report $? 'loaded KV is not verified'
clean; report $? 'nothing is left behind'
if command -v gnuplot >/dev/null; then
    head -c 8 "$scratch/a/validate.png" 2>/dev/null | grep -q PNG && tail -n 3 "$scratch/a/validate.svg" | grep -q '</svg>'
    report $? 'a picture, as PNG and SVG'
else
    skip 'a picture, as PNG and SVG' 'gnuplot is not installed'
fi

validate "$small" --rounds 2 --out "$scratch/r" "${generous[@]}"
report "$([ "$status" = 0 ] || [ "$status" = 3 ]; echo $?)" 'two rounds'
grep -q 'medians of 2 rounds' "$scratch/out" && grep -q '^rounds .*of 2 nothing was decided otherwise' "$scratch/out" &&
    grep -q '"rounds": 2' "$scratch/r/summary.json" && grep -q '^store redis total .* to .* p95 ' "$scratch/out"
report $? 'their spread is shown'
clean; report $? 'nothing is left behind by two rounds'

# Again into the same folder, as JSON, with a tolerance that nothing can meet.
validate "$small" --out "$scratch/a" --tolerance 0%,0% --floor 0ns --json --set real.verify=true
report "$([ "$status" = 3 ]; echo $?)" 'what may not be off at all is beyond: exit 3'
cmp -s "$scratch/out" "$scratch/a/summary.json"
report $? '--json prints summary.json'
grep -q '"verdict": "beyond"' "$scratch/out"
report $? 'the verdict is in it'
grep -q '"verified_bytes": [1-9]' "$scratch/out"
report $? 'loaded KV is verified where that is wanted'
report "$([ "$(ls "$scratch/a" | wc -l)" = "$(command -v gnuplot >/dev/null && echo 7 || echo 5)" ]; echo $?)" 'earlier results were replaced'

# Constants made on the spot: measured before the real run and after it.
validate "$small" --calibrate --quick --out "$scratch/c" "${generous[@]}"
report "$([ "$status" = 0 ] || { [ "$status" = 3 ] && grep -q 'points apart' "$scratch/out"; }; echo $?)" 'with measurements of its own'
grep -q "^Constants: $scratch/c/validate-profile.yaml" "$scratch/out" && grep -q '^store redis total' "$scratch/out"
report $? 'the table says which constants'
grep -q 'worker_cores: {value' "$scratch/c/validate-profile.yaml" && grep -q 'name: local-probe' "$scratch/c/validate-profile.yaml"
report $? 'the profile lies in the folder'
clean; report $? 'nothing is left behind by measurements'

# ---- Ctrl-C ----
"$kvtwin" validate "$small" --calibrate --out "$scratch/b" >"$scratch/out" 2>"$scratch/err" &
pid=$!
sleep 1.5
kill -INT $pid
wait $pid
status=$?
report "$(one_line 1 'interrupted, nothing was written'; echo $?)" 'Ctrl-C while it measures: exit 1, one line'
report "$([ ! -e "$scratch/b" ] && [ -z "$(ls -A "$scratch" | grep partial)" ]; echo $?)" 'and no folder'
"$kvtwin" validate "$small" --set workload.generate.rate=2/s --out "$scratch/b" >"$scratch/out" 2>"$scratch/err" &
pid=$!
sleep 1.5
kill -INT $pid
wait $pid
status=$?
report "$(one_line 1 'interrupted'; echo $?)" 'Ctrl-C: exit 1, one line'
report "$([ ! -e "$scratch/b" ] && [ -z "$(ls -A "$scratch" | grep partial)" ]; echo $?)" 'and no folder'
clean; report $? 'and nothing is left behind'
tap_end
