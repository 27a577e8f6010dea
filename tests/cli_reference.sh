#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_reference.sh - hit counts of the null world against an independent model of a prefix cache, row by row:
# requests, prompt tokens, blocks, hit blocks and hit tokens, exactly, for both touch orders.
#
# The traces and the model's counts lie beside the repository, in ../shared; without them this is skipped. Runs
# the program in $KVTWIN (default build/release/kvtwin) from the repository's root.
. tests/tap.sh

value() {
    sed -n "s/^ *\"$1\": *\([0-9]*\),\{0,1\}$/\1/p" "$scratch/summary.json"
}

for reference in ../shared/reference/prefix-lru-{conversation,agentic}.csv; do
    if [ ! -r "$reference" ]; then
        echo "skipped: no $reference"
        continue
    fi
    while IFS=, read -r trace capacity order requests prompt_tokens blocks hit_blocks hit_tokens _; do
        size=${capacity}blocks
        [ "$capacity" = 0 ] && size=infinite
        "$kvtwin" run scenarios/reference/lru.yaml --set "workload.trace=../shared/traces/$trace" \
            --set "cache.tiers.gpu.capacity=$size" --set "cache.tiers.gpu.touch=$order" \
            --out "$scratch/out" --json >"$scratch/summary.json"
        found="$(value requests) $(value prompt_tokens) $(value lookup_blocks) $(value hit_blocks) $(value hit_tokens_gpu)"
        n=$((n + 1))
        if [ "$found" = "$requests $prompt_tokens $blocks $hit_blocks $hit_tokens" ]; then
            echo "ok $n - $trace, $size, $order"
        else
            echo "not ok $n - $trace, $size, $order"
            echo "# found    $found"
            echo "# expected $requests $prompt_tokens $blocks $hit_blocks $hit_tokens"
            failed=1
        fi
    done < <(tail -n +2 "$reference")
done
# The simulated cluster, given one engine, a disk without end and time to load, finds what an infinite cache finds: not
# a block more or less. Full blocks only: of the 105,710, 118 are partial ends of prompts that were found whole.
if [ -r ../shared/traces/conversation_trace.jsonl ]; then
    "$kvtwin" run scenarios/mooncake-conversation.yaml --no-baseline --out "$scratch/out" --json \
        --set cluster.engines=1 --set workload.rate_scale=0.2 \
        --set cache.tiers.disk.capacity=infinite --set cache.load_or_compute=always \
        --set cache.load_patience=0 >"$scratch/summary.json"
    n=$((n + 1))
    if [ "$(value hit_blocks) $(value requests)" = "105592 12031" ]; then
        echo "ok $n - simulated tiers find all that there is to find"
    else
        echo "not ok $n - simulated tiers find all that there is to find"
        echo "# found    $(value hit_blocks) blocks in $(value requests) requests; expected 105592 in 12031"
        failed=1
    fi
fi
[ "$n" = 0 ] || echo "1..$n"
exit $failed
