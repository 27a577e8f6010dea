#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_rollout.sh - rollout on the command line: what is refused and how, what a run leaves, and that the passes it is
# compared with are what they say.
. tests/tap.sh
chat=scenarios/rollout/chat.yaml
refused() { # what, expected part of the one line, --set...
    local what=$1 expected=$2 out
    shift 2
    out=$("$kvtwin" run "$chat" --out "$scratch/none" "$@" 2>&1 >/dev/null)
    local rc=$?
    [ $rc = 2 ] && [ "$(printf '%s\n' "$out" | wc -l)" = 1 ] && [[ $out == *"$expected"* ]] && [ ! -e "$scratch/none" ]
    report $? "refused: $what"
}
refused "a time without unit" "rollout.at: expected a duration with unit" --set rollout.at=1800
refused "a share of nothing" "rollout.share: expected" --set rollout.share=0%
refused "more than all" "rollout.share: expected" --set rollout.share=110%
refused "an unknown warm-up" "rollout.warm_up: expected one of none, hot, recent, shadow" --set rollout.warm_up=tepid
refused "an unknown key" "rollout" --set rollout.warmth=1
refused "a lead from before the start" "rollout.lead: expected less than rollout.at" --set rollout.warm_up=hot --set rollout.lead=1800s
refused "a switch before anything counts" "rollout.at: expected a time behind workload.warmup" --set workload.warmup=1900s
refused "the real world" "rollout.at: expected never: a roll-out is for the null and the simulated world" --set world=real
refused "a policy that is told the future" "cache.tiers.gpu.evict: expected a policy that is not told the future" --set cache.tiers.gpu.evict=belady

figure() { awk -F': ' -v key="\"$2\"" '$1 ~ key { gsub(/[ ,]/, "", $2); print $2 }' "$scratch/$1/summary.json"; }
small="--no-baseline --set workload.generate.requests=900 --set rollout.at=500s --set rollout.watch=200s"
run() { # name, --set...
    local name=$1
    shift
    "$kvtwin" run "$chat" $small "$@" --out "$scratch/$name" >"$scratch/$name.txt" 2>&1
}
run plain --set rollout.at=never
report $? "runs without a roll-out"
[ "$(grep -vc '^#' "$scratch/plain/rollout.csv")" = 1 ] && ! grep -q rollout_ "$scratch/plain/summary.json" && ! grep -q roll-out "$scratch/plain.txt"
report $? "which leaves no word of one"
run cold
report $? "runs cold"
for warm in hot recent shadow; do
    run $warm --set rollout.warm_up=$warm && grep -q "warm-up $warm" "$scratch/$warm.txt"
    report $? "runs with a warm-up: $warm"
done
computed=$(awk -F': ' '/"computed_tokens_[a-z_]*":/ { gsub(",", "", $2); s += $2 } END { print s }' "$scratch/plain/summary.json")
[ "$(figure cold rollout_steady_computed_tokens)" = "$computed" ] && [ "$computed" -gt 0 ]
report $? "the steady pass is the run without a roll-out"
[ "$(figure cold rollout_cold_computed_tokens)" = "$(figure hot rollout_cold_computed_tokens)" ]
report $? "the cold pass is the run without a warm-up"
[ "$(figure hot rollout_steady_window_requests)" = "$(figure hot rollout_warm_window_requests)" ]
report $? "the same requests in every pass"
[ "$(figure hot requests)" = 900 ] && [ "$(figure hot rollout_warm_up_requests)" -gt 0 ] &&
    [ "$(grep -vc '^#' "$scratch/hot/requests.csv")" = 901 ]
report $? "what works in the background is not among the requests"
awk -v s="$(figure hot rollout_steady_window_hit_rate)" -v c="$(figure hot rollout_cold_window_hit_rate)" \
    -v w="$(figure hot rollout_warm_window_hit_rate)" 'BEGIN { exit !(c < s && c < w) }'
report $? "a cold start loses hits, a warm-up some of them back"
awk -F, '!/^#/ && $1 != "time_s" { seen += $5; if ($5 != $9 || $5 != $13) bad = 1 } END { exit !(seen == 900 && !bad) }' "$scratch/hot/rollout.csv"
report $? "every request is in rollout.csv once, in every pass"
run again --set rollout.warm_up=hot
cmp -s "$scratch/again/summary.json" "$scratch/hot/summary.json" && cmp -s "$scratch/again/rollout.csv" "$scratch/hot/rollout.csv"
report $? "the same bytes twice"
run steps --set rollout.share=25% --set rollout.every=50s && [ "$(figure steps rollout_end_s)" = 650.0 ]
report $? "by steps"
run drop --set rollout.drop=true && awk -v l="$(figure cold held_bytes_host)" -v d="$(figure drop held_bytes_host)" 'BEGIN { exit !(d > 0 && d < l) }'
report $? "what is dropped is no longer held"
broken='faults=[{at: 480s, kill: engine/0, for: 60s}]'
run broken --set "$broken" --set rollout.warm_up=hot && run twice --set "$broken" --set rollout.warm_up=hot &&
    cmp -s "$scratch/broken/summary.json" "$scratch/twice/summary.json" && cmp -s "$scratch/broken/rollout.csv" "$scratch/twice/rollout.csv" &&
    [ "$(figure broken faults)" = 1 ] && [ "$(figure broken requests)" = 900 ]
report $? "beside faults, the same bytes twice"
run null --world null --set cache.tiers.gpu.capacity=2000blocks --set rollout.warm_up=recent && [ "$(figure null rollout_cold_extra_computed_tokens)" -gt 0 ]
report $? "in the null world"
"$kvtwin" compare "$chat" $(echo "$small" | sed 's/--no-baseline//') --vary rollout.warm_up=none,recent --out "$scratch/compare" >"$scratch/compare.txt" 2>&1
report $? "side by side"
"$kvtwin" run "$chat" ${small#--no-baseline} --set rollout.warm_up=recent --out "$scratch/alone" >/dev/null 2>&1
grep -q "roll-out hit rate" "$scratch/compare.txt" && awk -F, -v want="$(figure alone rollout_window_hit_rate)" \
    -v back="$(figure alone rollout_recovery_s)" '/^#/ { next } !n { for (i = 1; i <= NF; i++) at[$i] = i; n = 1; next } { hit = $at["rollout_window_hit_rate"]; s = $at["rollout_recovery_s"] }
    END { exit !(hit == want && s == back && hit > 0 && at["rollout_warm_window_ttft_p95_ms"]) }' "$scratch/compare/compare.csv"
report $? "with the figures of the run alone"
"$kvtwin" sweep "$chat" ${small#--no-baseline} --vary rollout.warm_up=none,recent --metrics rollout_extra_prefill_gpu_s,fault_blocks_lost \
    --set "$broken" --out "$scratch/sweep" >"$scratch/sweep.txt" 2>&1 && grep -q "roll-out GPU time *blocks lost" "$scratch/sweep.txt"
report $? "in a grid, with faults"
"$kvtwin" plot --only rollout "$scratch/plain" >/dev/null 2>"$scratch/plot.txt"
[ $? = 2 ] && grep -q "expected a run with a roll-out" "$scratch/plot.txt"
report $? "no picture of what did not happen"
if command -v gnuplot >/dev/null; then
    "$kvtwin" plot --only rollout "$scratch/hot" >/dev/null 2>"$scratch/plot.txt" && [ ! -s "$scratch/plot.txt" ] && [ -s "$scratch/hot/rollout.png" ]
    report $? "the picture"
fi
tap_end
