#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_cost.sh - what a run costs, as a user asks: the bill adds up, every price in it is a line of the catalogue
# with source and date, and equal latency without cache is what running it gives.
. tests/tap.sh

cat >"$scratch/cost.yaml" <<'YAML'
question: what does it cost
workload:
  generate: {kind: chat, requests: 400, rate: 6/s}
cluster: {model: llama-3.1-8b, gpu: a100-80g-sxm, engines: 2}
cache:
  block_tokens: 128
  tiers:
    - {kind: gpu, capacity: auto}
    - {kind: host, capacity: 200GiB}
    - {kind: redis, nodes: 2}
    - {kind: disk, capacity: 3TB}
prices: {inter_zone_ratio: 0.5, inter_region_ratio: 0.1, host: ec2-r7g.16xlarge}
YAML

run() { # FOLDER ARGUMENTS...
    local folder=$1
    shift
    "$kvtwin" run "$scratch/cost.yaml" --out "$scratch/$folder" "$@" >"$scratch/stdout" 2>"$scratch/stderr"
}

run a
report $? 'a run with prices ends with 0'
grep -q 'USD/h' "$scratch/stdout" && grep -q '^verdict' "$scratch/stdout" && grep -q 'the next dollar' "$scratch/stdout"
report $? 'cost and verdict stand below the table'

# Lines of cost.csv: the parts add up to the total, and that is what summary.json says.
awk -F, -v want="$(value cost_usd_per_hour "$scratch/a/summary.json")" '
    /^#/ || /^part/ { next }
    $1 == "total" { total = $2; next }
    $1 == "saved_gpu_time" { next }
    { sum += $2; if ($3 + 0 > at + 1e-5 || $3 + 0 < at - 1e-5) bad = 1; at = $4 }
    END { d = sum - total; e = total - want; exit !(bad == 0 && d * d < 1e-9 && e * e < 1e-9 && total > 0) }
' "$scratch/a/cost.csv"
report $? 'the parts of the bill add up to its total'

# Every price walks back to a line of the catalogue: same text, region, date, evidence and source.
traced=0
parts=0
while IFS=, read -r part _ _ _ _ _ _ _ _ _ price entry region date evidence _; do
    case $part in '#'* | part | total | saved_gpu_time) continue ;; esac
    parts=$((parts + 1))
    "$kvtwin" catalog "$entry" >"$scratch/entry" 2>&1 || continue
    if grep -qE "^  (price|stored|moved) +$price +$evidence  [^ ]" "$scratch/entry" &&
        grep -qE "^  region +$region\$" "$scratch/entry" && grep -qE "^  date +$date\$" "$scratch/entry" &&
        grep -qE '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' <<<"$date"; then
        source=$(sed -nE "s#^  (price|stored|moved) +$price +$evidence  ##p" "$scratch/entry")
        [ -n "$source" ] && grep -F "$part," "$scratch/a/cost.csv" | grep -qF "$source" && traced=$((traced + 1))
    fi
done <"$scratch/a/cost.csv"
[ "$parts" = 6 ] && [ "$traced" = 6 ]
report $? "all six prices are lines of the catalogue, with source and date ($traced of $parts)"

# And so does every constant of the catalogue that the scenario names.
constants=0
for name in llama-3.1-8b a100-80g-sxm pcie-gen4 ethernet-100g vllm-v1 cache.r7g.16xlarge redis nvme-gen4; do
    "$kvtwin" catalog "$name" --json >"$scratch/entry" || continue
    # Each number has a source beside it.
    [ "$(grep -c '"text":' "$scratch/entry")" = "$(grep -c '"source": "[^"]' "$scratch/entry")" ] && constants=$((constants + 1))
done
[ $constants = 8 ]
report $? 'every constant of what the scenario names has a source'

run own --set prices.gpu=2USD/h --set prices.redis=1USD/h
[ "$(value cost_usd_per_hour_gpu "$scratch/own/summary.json")" = 4.0 ] &&
    [ "$(value cost_usd_per_hour_redis "$scratch/own/summary.json")" = 2.0 ] && grep -q 'own price' "$scratch/stdout"
report $? 'own prices count, and are marked as own'

run none --set prices.gpu=2 && false || [ $? = 2 ]
report $? 'a price without unit is refused with exit 2'
[ "$(cat "$scratch/stderr")" = '--set: prices.gpu: expected a price with unit, such as 2.5USD/h' ]
report $? 'in one line, which says what was expected'

run none --world null && ! grep -q cost_usd "$scratch/none/summary.json" && ! grep -q '^cost  ' "$scratch/stdout"
report $? 'the null world has no hours to pay for'

[ "$(value cost_saving_ratio "$scratch/a/summary.json")" = null ]
report $? 'without a search there is no saving, and it says so'

# Equal latency: what the search found, run by hand, is fast enough, and one engine less is not.
slo='--set slo.ttft_p95=400ms --set workload.rate_scale=8'
# shellcheck disable=SC2086
run equal --equal-slo $slo
engines=$(value equal_slo_engines "$scratch/equal/summary.json")
[ "${engines:-0}" -gt 1 ] 2>/dev/null
report $? "a search finds a number of engines (${engines:-none})"
ttft() { # ENGINES
    # shellcheck disable=SC2086
    run by-hand $slo --set cache.enabled=false --set "cluster.engines=$1" && value ttft_p95_ms "$scratch/by-hand/summary.json"
}
if [ "${engines:-0}" -gt 1 ] 2>/dev/null; then
    enough=$(ttft "$engines")
    less=$(ttft $((engines - 1)))
    awk -v a="$enough" -v b="$less" 'BEGIN { exit !(a <= 400 && b > 400) }'
    report $? "so many are fast enough, one less is not ($enough, $less ms)"
    awk -v e="$engines" -v on="$(value cost_usd_per_hour "$scratch/equal/summary.json")" \
        -v s="$(value cost_saving_ratio "$scratch/equal/summary.json")" \
        'BEGIN { d = 1 - on / (e * 27.44705 / 8) - s; exit !(d * d < 1e-10) }'
    report $? 'and the saving is 1 - cost / their cost'
fi
run never --equal-slo
grep -q 'no number of engines' "$scratch/stdout" || [ "$(value equal_slo_reachable "$scratch/never/summary.json")" = true ]
report $? 'where no number of engines is as fast, it says so'

run miss --equal-slo --set slo.ttft_p95=1ms
grep -q 'itself misses the SLO' "$scratch/stdout"
report $? 'a run that misses its own SLO is not compared'

run a2
cmp -s "$scratch/a/summary.json" "$scratch/a2/summary.json" && cmp -s "$scratch/a/verdict.csv" "$scratch/a2/verdict.csv" &&
    cmp -s "$scratch/a/cost.csv" "$scratch/a2/cost.csv" && cmp -s "$scratch/a/crossover.csv" "$scratch/a2/crossover.csv"
report $? 'the same bytes twice'

tap_end
