#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_sharding.sh - cache.shard on the command line: what is refused and how, what a run leaves, twice the same.
. tests/tap.sh
doc=scenarios/sharding/document.yaml
refused() { # what, expected part of the one line, --set...
    local what=$1 expected=$2 out
    shift 2
    out=$("$kvtwin" run "$doc" --out "$scratch/none" "$@" 2>&1 >/dev/null)
    local rc=$?
    [ $rc = 2 ] && [ "$(printf '%s\n' "$out" | wc -l)" = 1 ] && [[ $out == *"$expected"* ]] && [ ! -e "$scratch/none" ]
    report $? "refused: $what"
}

refused "more GPUs than layers by layer" "expected vertical with at most 61 GPUs per engine, one for each layer of deepseek-v3" \
    --set cluster.model=deepseek-v3 --set cluster.gpu=h200-141g-sxm --set cluster.gpus_per_engine=64 --set cache.shard.policy=vertical
refused "more copies than GPUs" "cache.shard.replicas: expected 1 to 8, the GPUs of an engine" --set cache.shard.replicas=9
refused "copies made anew in place" "cache.shard.rereplicate: expected auto with cache.shard.access: in_place" \
    --set cache.shard.replicas=2 --set cache.shard.access=in_place --set cache.shard.rereplicate=true
refused "copies made anew by head" "cache.shard.rereplicate: expected auto with cache.shard.policy: head" \
    --set cache.shard.replicas=2 --set cache.shard.policy=head --set cache.shard.rereplicate=true
refused "no slice" "cache.shard.slice: expected a whole number from 1" --set cache.shard.slice=0
refused "a slice beyond the context" "cache.shard.slice: expected 1 to 131072, the context of llama-3.1-8b" --set cache.shard.slice=131073
refused "hybrid interleaved" "cache.shard.variant: expected contiguous" --set cache.shard.variant=interleaved
refused "an unknown policy" "expected one of none, horizontal, vertical, hybrid, head, single" --set cache.shard.policy=diagonal
refused "a sliding window by layer" "expected head or none: gemma-3-27b has layers with a sliding window" --set cluster.model=gemma-3-27b
refused "in place in the real world" "cache.shard.access: expected gather" --set world=real --set cache.shard.access=in_place
refused "a GPU that is not there" "faults[0].kill: expected gpu/0.0 to gpu/0.7, the GPUs of an engine" --set "faults=[{at: 1s, kill: gpu/0.8}]"
refused "the old spelling" "expected under faults instead" --set cache.shard.lose_gpu=5
refused "GPUs that come at no time" "expected a time, since cache.shard.resize_gpus is given" --set cache.shard.resize_gpus=16
at="--set cache.shard.resize_at=30s"
refused "a time without GPUs" "expected the GPUs of an engine from then on, another number than 8" $at
grow="$at --set cache.shard.resize_gpus=16"
refused "as many GPUs" "cache.shard.resize_gpus: expected another number than 8, the GPUs of an engine before" $at --set cache.shard.resize_gpus=8
refused "fewer GPUs than divide the heads" "cache.shard.resize_gpus: expected a number such as 4; 3 would want a number of GPUs that divides the 32 heads" \
    $at --set cache.shard.resize_gpus=3
refused "fewer GPUs than the model fits on" "cache.shard.resize_gpus: expected a number such as 8; 4 would want a model that fits: llama-3.1-405b needs" \
    $at --set cluster.gpus_per_engine=16 --set cache.shard.resize_gpus=4 --set cluster.model=llama-3.1-405b --set cluster.gpu=h200-141g-sxm
refused "fewer GPUs, of which none would do" "cache.shard.resize_gpus: expected no fewer than the 16 of before; 8 would want a model that fits" \
    $at --set cluster.gpus_per_engine=16 --set cache.shard.resize_gpus=8 --set cluster.model=llama-3.1-405b --set cluster.gpu=h100-80g-sxm
refused "a part of a second node" "cache.shard.resize_gpus: expected 2 to 8, or whole nodes" $at --set cluster.gpus_per_engine=16 --set cache.shard.resize_gpus=12
refused "one GPU" "cache.shard.resize_gpus: expected" $at --set cache.shard.resize_gpus=1
refused "growing by head" "cache.shard.policy: expected another than head" $grow --set cache.shard.policy=head
refused "growing without shards" "cache.shard.policy: expected one that shards" $grow --set cache.shard.policy=none
refused "growing in place" "cache.shard.access: expected gather" $grow --set cache.shard.access=in_place
refused "growing with copies" "cache.shard.replicas: expected 1" $grow --set cache.shard.replicas=2
refused "growing with faults" "faults: expected none" $grow --set "faults=[{at: 1s, kill: gpu/0.1}]"
refused "growing when nobody is left" "cache.shard.resize_at: expected a time before the last request" --set cache.shard.resize_at=100h --set cache.shard.resize_gpus=16
refused "more GPUs than the model can use after growing" "cache.shard.resize_gpus: expected a number of GPUs that divides the 32 heads" $at --set cache.shard.resize_gpus=40
alone="--set cache.shard.evict=alone"
refused "an unknown eviction" "cache.shard.evict: expected one of together, alone" --set cache.shard.evict=apart
refused "evicting alone by head" "cache.shard.evict: expected together with cache.shard.policy: head" $alone --set cache.shard.policy=head
refused "evicting alone without shards" "cache.shard.policy: expected one that shards, since cache.shard.evict is alone" $alone --set cache.shard.policy=none
refused "evicting alone while growing" "cache.shard.evict: expected together with cache.shard.resize_at" $alone $grow
refused "copies made anew where GPUs evict alone" "cache.shard.rereplicate: expected auto with cache.shard.evict: alone" \
    $alone --set cache.shard.replicas=2 --set cache.shard.rereplicate=true
refused "evicting alone in the real world" "cache.shard.evict: expected together: in the real world" $alone --set world=real
refused "evicting alone by chains" "prefix_closed: expected auto or false with cache.shard.evict: alone" $alone --set cache.tiers.gpu.prefix_closed=true
refused "evicting alone with a time to live" "ttl: expected none with cache.shard.evict: alone" $alone --set cache.tiers.gpu.ttl=1h
refused "evicting alone with quotas" "cache.quotas: expected none with cache.shard.evict: alone" $alone --set "cache.quotas=50%/50%"
refused "evicting alone with too many copies" "cache.shard.evict: expected together: 64 shards in 7 copies are more than 384" $alone \
    --set cluster.model=llama-3.1-70b --set cluster.gpus_per_engine=64 --set cache.shard.policy=vertical --set cache.shard.replicas=7

small="--no-baseline --set workload.generate.requests=60"
for policy in horizontal vertical hybrid head single; do
    for access in gather in_place; do
        "$kvtwin" run "$doc" $small --set cache.shard.policy=$policy --set cache.shard.access=$access \
            --out "$scratch/$policy-$access" >/dev/null 2>&1
        [ $? = 0 ] && grep -q "\"shard_policy\": \"$policy\"" "$scratch/$policy-$access/summary.json"
        report $? "runs: $policy, $access"
    done
done
awk -F, '!/^#/ && $1 != "engine" { sum += $4; n++; if ($4 > $3) bad = 1 } END { exit !(n == 8 && sum > 0 && !bad) }' \
    "$scratch/horizontal-gather/shards.csv"
report $? "eight GPUs, none above its capacity"
awk -F, 'FNR == 1 { file++ } /^#/ || /^engine,/ || /^link_index,/ { next }
    file == 1 { want["engine" $1 "/gpu" $2 "/out"] = $10; next }
    { sum[$2] += $5; lines[$2]++; if ($6 < 0 || $6 > 1) bad = 1 }
    END { for (link in want) if (want[link] > 0) { d = sum[link] - want[link]; if (d < 0) d = -d; if (d > lines[link] + 1 + want[link] / 1e6) bad = 1; n++ }; exit !(n == 8 && !bad) }' \
    "$scratch/horizontal-gather/shards.csv" "$scratch/horizontal-gather/links_over_time.csv"
report $? "what links carried over time is what they carried"
sums=$(for f in horizontal vertical hybrid; do awk -F, '!/^#/ && $1 != "engine" { s += $6 } END { printf "%.0f\n", s }' "$scratch/$f-gather/shards.csv"; done | sort -u | wc -l)
[ "$sums" = 1 ]
report $? "every policy stored the same bytes"
"$kvtwin" run "$doc" $small --out "$scratch/again" --set cache.shard.policy=hybrid --set cache.shard.access=in_place >/dev/null 2>&1
same=0
for f in summary.json shards.csv placement.csv shard_costs.csv lengths.csv requests.csv links_over_time.csv; do
    cmp -s "$scratch/again/$f" "$scratch/hybrid-in_place/$f" || same=1
done
report $same "the same bytes twice"
"$kvtwin" run scenarios/sharding/gpu-lost.yaml --no-baseline --set workload.generate.requests=400 --out "$scratch/lost" >/dev/null 2>&1 &&
    grep -q '"shard_lost_blocks": [1-9]' "$scratch/lost/summary.json" &&
    grep -q '"computed_tokens_shard_missing": [1-9]' "$scratch/lost/summary.json"
report $? "a GPU that fails takes blocks with it, and the ledger says so"
"$kvtwin" run scenarios/sharding/gpu-lost.yaml --no-baseline --set workload.generate.requests=400 --set cache.shard.replicas=2 --out "$scratch/kept" >/dev/null 2>&1 &&
    grep -q '"shard_lost_blocks": 0,' "$scratch/kept/summary.json" &&
    grep -q '"computed_tokens_shard_missing": 0,' "$scratch/kept/summary.json"
report $? "another copy saves them"
for policy in horizontal vertical hybrid single; do
    "$kvtwin" run scenarios/sharding/grow-8-to-16.yaml --no-baseline --set workload.generate.requests=60 --set cache.shard.resize_at=150s \
        --set cache.shard.policy=$policy --record "$scratch/grow.rec" --out "$scratch/grow-$policy" >/dev/null 2>&1 &&
        grep -q '"resize_took_s": [0-9]' "$scratch/grow-$policy/summary.json" &&
        grep -q '"resize_gone_blocks": 0,' "$scratch/grow-$policy/summary.json" &&
        awk -F, '!/^#/ && $1 != "engine" { n++; if ($4 > $3) bad = 1 } END { exit !(n == 16 && !bad) }' "$scratch/grow-$policy/shards.csv"
    report $? "grows: $policy"
done
grep -q '"resize_moved_ratio": 0.5,' "$scratch/grow-hybrid/summary.json" && grep -q '"resize_moved_ratio": 0.9375,' "$scratch/grow-vertical/summary.json"
report $? "by layer modulo GPUs half of what is held moves, by contiguous layers 30 of 32"
for evict in together alone; do
    "$kvtwin" run scenarios/sharding/evict-alone.yaml --no-baseline --world null --set workload.generate.requests=500 \
        --set cache.shard.evict=$evict --out "$scratch/$evict" >/dev/null 2>&1
    report $? "runs: evicts $evict"
done
of() { # FOLDER KEY
    value "$2" "$scratch/$1/summary.json"
}
! grep -q shard_orphan "$scratch/together/summary.json" && ! grep -q orphan_bytes "$scratch/together/shards.csv" &&
    [ "$(of together computed_tokens_shard_missing)" = 0 ]
report $? "together no shard is missing, and nothing is said of it"
[ "$(of alone shard_evict)" = alone ] && [ "$(of alone shard_unusable_blocks)" -gt 0 ] && [ "$(of alone shard_kept_bytes)" -gt 0 ] &&
    [ "$(of alone computed_tokens_shard_missing)" -gt 0 ] && [ "$(of alone shard_completed_blocks)" -gt 0 ]
report $? "alone some are, and what is left of a block is kept"
awk -F, -v want="$(of alone shard_orphan_bytes)" '!/^#/ && $1 != "engine" { sum += $16; n++; if ($4 > $3 || $16 > $4) bad = 1 }
    END { exit !(n == 64 && sum == want && sum > 0 && !bad) }' "$scratch/alone/shards.csv"
report $? "bytes of orphans add up, and no GPU is above its capacity"
[ -n "$(of alone prefix_hit_rate)" ] && [ "$(of alone prefix_hit_rate)" = "$(of together prefix_hit_rate)" ]
report $? "where all GPUs go by one order, the one with least room decides either way"
for policy in horizontal vertical hybrid single; do
    "$kvtwin" run scenarios/sharding/shrink-16-to-8.yaml --no-baseline --set workload.generate.requests=60 --set cache.shard.resize_at=150s \
        --set cache.shard.policy=$policy --out "$scratch/shrink-$policy" >/dev/null 2>&1 &&
        grep -q '"resize_took_s": [0-9]' "$scratch/shrink-$policy/summary.json" &&
        grep -q '"resize_left_gpus": 8,' "$scratch/shrink-$policy/summary.json" &&
        awk -F, '!/^#/ && $1 != "engine" { n++; if ($4 > $3 || ($2 > 7 && $3 != 0)) bad = 1 } END { exit !(n == 16 && !bad) }' "$scratch/shrink-$policy/shards.csv"
    report $? "shrinks: $policy"
done
twice() { # rereplicate, when the second dies: blocks lost and copied
    "$kvtwin" run scenarios/sharding/gpus-lost-twice.yaml --no-baseline --set workload.generate.requests=100 --set cache.shard.rereplicate=$1 \
        --set "faults=[{at: 150s, kill: gpu/0.1}, {at: $2, kill: gpu/0.5}]" --out "$scratch/twice-$1-$2" >/dev/null 2>&1 &&
        value shard_lost_blocks "$scratch/twice-$1-$2/summary.json"
}
late=$(twice true 170s) soon=$(twice true 150.01s) never=$(twice false 170s)
[ "$late" = 0 ] && [ "$soon" -gt 0 ] && [ "$soon" -lt "$never" ]
report $? "what a second dead GPU takes: nothing once copies are made anew ($late), some before ($soon), most where nobody copies ($never)"
tap_end
