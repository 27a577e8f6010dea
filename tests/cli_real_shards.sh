#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_real_shards.sh - cache.shard in the real world as a user runs it: the same hits and the same bytes on each GPU as in
# the simulation, what is served compared byte for byte, nothing left behind; and what is refused, in one line.
. tests/tap.sh
# Short: a unix socket's path has 107 bytes.
TMPDIR=$(mktemp -d /tmp/kvt.XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

if ! command -v redis-server >/dev/null; then
    echo "ok 1 - shards in the real world # SKIP no redis-server here"
    echo 1..1
    exit 0
fi

# The scenario that comes with the program, with a smaller model, so that each request is done long before the next.
scenario=scenarios/sharding/real-local.yaml
calm="--set cluster.model=qwen2.5-0.5b --set cluster.gpus_per_engine=2 --set workload.generate.requests=24
      --set workload.generate.document_tokens=192 --set workload.generate.answer_tokens=4 --set cache.tiers.gpu.capacity=16MiB"
nothing_left() {
    [ -z "$(ls -A "$TMPDIR")" ]
}
run() { # WORLD FOLDER ARGUMENTS...
    local world=$1 folder=$2
    shift 2
    timeout 60 "$kvtwin" run $scenario --world "$world" --no-baseline $calm --out "$scratch/$folder" "$@" \
        >"$scratch/stdout" 2>"$scratch/stderr"
}
decisions() { # FOLDER: what was found where, and what each GPU holds and has stored
    grep -E '"(hit|computed)_tokens_|"(hit|lookup)_blocks"|"(evicted|stored|loaded)_blocks_' "$scratch/$1/summary.json"
    awk -F, '!/^#/ { print $1, $2, $3, $4, $5, $6, $8 }' "$scratch/$1/shards.csv"
}
of() { # KEY FOLDER
    value "$1" "$scratch/$2/summary.json"
}

for policy in horizontal vertical hybrid head single; do
    set="--set cache.shard.policy=$policy"
    run sim "sim-$policy" $set
    report $? "the simulation runs: $policy"
    # On a busy machine a request may last until the next one comes, and then time decides: three attempts.
    calm_run=no
    for attempt in 1 2 3; do
        run real "$policy" $set
        code=$?
        [ $code = 0 ] || break
        awk -F'[:,]' '/"e2e_max_ms"/ { exit !($2 < 120) }' "$scratch/$policy/summary.json" && calm_run=yes && break
    done
    report $code "the real world ends with 0: $policy"
    nothing_left
    report $? "and leaves nothing: $policy"
    [ "$(of hit_blocks "$policy")" -gt 30 ] && grep -q 'no difference' "$scratch/stdout"
    report $? "blocks are found, and are what was computed: $policy"
    if [ $calm_run = yes ]; then
        [ "$(decisions "$policy")" = "$(decisions "sim-$policy")" ]
        report $? "both worlds decide and hold the same: $policy"
    else
        skip "both worlds decide and hold the same: $policy" 'this machine is too busy'
    fi
done
awk -F, '!/^#/ && $1 != "engine" { out += $10; in_ += $11; up += $12; down += $13 } END { exit !(out > 0 && out == in_ && up > 0 && down > 0) }' \
    "$scratch/hybrid/shards.csv"
report $? 'what leaves one GPU comes to another'
run real copies --set cache.shard.policy=hybrid --set cache.shard.replicas=2 && nothing_left &&
    [ "$(of hit_blocks copies)" -gt 30 ] && grep -q 'no difference' "$scratch/stdout"
report $? 'two copies of each shard'
timeout 60 "$kvtwin" run $scenario --world real --baseline $calm --set workload.limit=6 --out "$scratch/base" \
    >"$scratch/stdout" 2>"$scratch/stderr" && nothing_left
report $? 'a baseline runs on the same engines, without shards'
run real killed --set 'faults=[{at: 1s, kill: redis/0}]' && nothing_left && [ "$(of requests_finished killed)" = 24 ] &&
    grep -q 'no difference' "$scratch/stdout"
report $? 'Redis is killed in the middle: no request is lost, no byte wrong'

refuse() { # TEXT PATTERN ARGUMENTS...
    local text=$1 pattern=$2
    shift 2
    run real refused "$@"
    [ $? = 2 ] && [ "$(wc -l <"$scratch/stderr")" = 1 ] && grep -qF "$pattern" "$scratch/stderr" &&
        [ ! -e "$scratch/refused" ] && nothing_left
    report $? "refused: $text"
}
refuse 'reading in place' 'cache.shard.access: expected gather: in the real world nothing computes' --set cache.shard.access=in_place
refuse 'copies of heads' 'cache.shard.replicas: expected 1: the real world keeps heads' --set cache.shard.policy=head --set cache.shard.replicas=2
refuse 'engines that grow' 'cache.shard.resize_at: expected never: in the real world engines neither grow nor shrink' \
    --set cache.shard.resize_at=1s --set cache.shard.resize_gpus=8
refuse 'engines that shrink' 'cache.shard.resize_at: expected never: in the real world engines neither grow nor shrink' \
    --set cluster.model=qwen2.5-7b --set cluster.gpus_per_engine=4 --set cache.shard.resize_at=1s --set cache.shard.resize_gpus=2
refuse 'GPUs that evict alone' 'cache.shard.evict: expected together: in the real world' --set cache.shard.evict=alone
refuse 'a GPU that fails' 'expected kill or partition of redis: the real world breaks only servers of its own' \
    --set 'faults=[{at: 1s, kill: gpu/0.1}]'
refuse 'GPUs that would have to share a head' 'expected a divisor of the 2 KV heads' --set cluster.gpus_per_engine=7
refuse 'more memory than there is' 'of main memory' --set cluster.engines=2000
tap_end
