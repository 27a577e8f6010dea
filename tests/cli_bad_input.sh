#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_bad_input.sh - bad input as a user meets it: exit 2, one line that names file, line and key, and nothing
# written.
#
# Runs the program in $KVTWIN (default build/release/kvtwin) from the repository's root.
set -u
kvtwin=${KVTWIN:-$PWD/build/release/kvtwin}
scratch=${SCRATCH:-$(mktemp -d)}
mkdir -p "$scratch"
export KVTWIN_DATA=$PWD
n=0
failed=0

report() { # ok|'not ok' TEXT
    n=$((n + 1))
    echo "$1 $n - $2"
    [ "$1" = ok ] || failed=1
}

# refuse TEXT PATTERN ARGUMENTS...: exit code 2, one line on stderr that matches the extended regular
# expression, no results folder.
refuse() {
    local text=$1 pattern=$2 code lines
    shift 2
    rm -rf "$scratch/out"
    "$kvtwin" "$@" >"$scratch/stdout" 2>"$scratch/stderr"
    code=$?
    lines=$(wc -l <"$scratch/stderr")
    if [ $code = 2 ] && [ "$lines" = 1 ] && grep -Eq "$pattern" "$scratch/stderr" && [ ! -e "$scratch/out" ]; then
        report ok "$text"
    else
        report 'not ok' "$text"
        echo "# exit $code, $lines lines, pattern $pattern"
        sed 's/^/# /' "$scratch/stderr" | head -n 5
    fi
}

run() { # TEXT PATTERN SCENARIO [SET]...: refuse `kvtwin run` of a scenario text
    local text=$1 pattern=$2 sets=()
    printf '%b' "$3" >"$scratch/s.yaml"
    shift 3
    for set in "$@"; do sets+=(--set "$set"); done
    refuse "$text" "$pattern" run "$scratch/s.yaml" --out "$scratch/out" "${sets[@]}"
}

s=$scratch/s.yaml
small='workload:\n  generate: {kind: chat, requests: 10}\n'

# Names and shapes.
run 'unknown key' "^$s:2: cache.blok_tokens: unknown key, did you mean block_tokens\?$" 'cache:\n  blok_tokens: 3\n'
run 'unknown key in --set' '^--set: cluster.engine: unknown key' "$small" cluster.engine=3
run 'duplicate key' "^$s:2: seed: expected once" 'seed: 1\nseed: 2\n'
run 'cut YAML' "^$s:[0-9]+: syntax: expected valid YAML" 'cache: {tiers: [\n'
run 'empty file' "^$s:1: file: expected" ''
run 'no text' "^$s:1: " '\xff\xfe\x00'
run 'fault without a kind' "^$s:2: faults\[0\]: expected what happens" 'faults:\n  - {at: 30s}\n'

run 'peers of one engine' "^$s:2: cluster.engines: expected at least 2: the peer tier" 'cluster:\n  engines: 1\ncache:\n  tiers:\n    - {kind: peer}\n'
run 'a peer has no room' "^$s:5: cache.tiers.peer.capacity: not a key of the peer tier" 'cluster:\n  engines: 2\ncache:\n  tiers:\n    - {kind: peer, capacity: 1GiB}\n'

# Units, ranges.
run 'size without unit' "^$s:3: cache.tiers.host.capacity: expected a capacity" 'cache:\n  tiers:\n    - {kind: host, capacity: 512}\n'
run 'wrong unit' "^$s:3: cache.tiers.host.capacity: expected a capacity" 'cache:\n  tiers:\n    - {kind: host, capacity: 512s}\n'
run 'negative capacity' '^--set: cache.tiers.host.capacity: expected a capacity above zero' "$small" cache.tiers.host.capacity=-1GiB
run 'zero capacity' '^--set: cache.tiers.gpu.capacity: expected a capacity above zero' "$small" cache.tiers.gpu.capacity=0blocks
run 'capacity below one block' '^--set: cache.tiers.host.capacity: expected room for at least one block' "$small" cache.tiers.host.capacity=1KiB
run 'gpu capacity beyond the memory' '^--set: cache.tiers.gpu.capacity: expected at most [0-9]+blocks' "$small" cache.tiers.gpu.capacity=10TiB
run 'duration without unit' '^--set: cache.tiers.redis.ttl: expected a duration with unit' "$small" cache.tiers.redis.ttl=24
run 'rate without unit' '^--set: workload.generate.rate: expected' "$small" workload.generate.rate=4
run 'rate of zero' '^--set: workload.rate_scale: expected' "$small" workload.rate_scale=0
run 'not a number' '^--set: workload.rate_scale: expected' "$small" workload.rate_scale=nan

# Names that the catalogue knows.
run 'unknown GPU' '^--set: cluster.gpu: expected' "$small" cluster.gpu=a100-81g-sxm
run 'unknown model' '^--set: cluster.model: expected' "$small" cluster.model=llama-9
run 'unknown router' '^--set: cluster.router: expected one of round-robin, least-loaded' "$small" cluster.router=best
run 'unknown policy' '^--set: cache.tiers.gpu.evict: expected one of lru, .*belady' "$small" cache.tiers.gpu.evict=mru
run 'unknown codec' '^--set: cache.tiers.redis.codec: expected' "$small" cache.tiers.redis.codec=zlip-3
run 'unknown Redis node' '^--set: cache.tiers.redis.node: expected' "$small" cache.tiers.redis.node=cache.big
run 'unknown disk' '^--set: cache.tiers.disk.device: expected' "$small" cache.tiers.disk.device=floppy
run 'unknown network' '^--set: cluster.network: expected' "$small" cluster.network=token-ring cache.tiers.redis.nodes=1
run 'model that does not fit' '^--set: cluster.model: expected a model that fits: .* GiB' "$small" cluster.model=llama-3.1-405b
run 'page that does not divide the block' 'cache.page_tokens: expected a divisor' "$small" cache.page_tokens=100

# Traces.
good='{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]}\n'
trace() { # TEXT PATTERN LINES
    printf '%b' "$3" >"$scratch/t.jsonl"
    run "$1" "$2" 'seed: 1\n' "workload.trace=$scratch/t.jsonl" workload.trace_block_tokens=512
}
run 'missing trace' "^$s:2: workload.trace: expected a file, but there is no no/such.jsonl" 'workload:\n  trace: no/such.jsonl\n'
trace 'cut JSON line' "^$scratch/t.jsonl:2: " "$good{\"timestamp\": 1000, \"input_len"
trace 'time going backwards' "^$scratch/t.jsonl:3: timestamp: " \
    "$good${good/: 0,/: 5000,}$good"
trace 'block count that does not fit the input length' "^$scratch/t.jsonl:2: hash_ids: " \
    "$good"'{"timestamp": 10, "input_length": 600, "output_length": 5, "hash_ids": [1]}\n'
trace 'empty trace' "^$scratch/t.jsonl" ''
run 'similar prompts of a generator' '^--set: cache.match.approximate.threshold: expected a trace of prompts with text or tokens, but chat' \
    "$small" cache.match.approximate.threshold=0.9
run 'similar prompts of a trace without text' "^$s:1: cache.match.approximate.threshold: expected .*, but mooncake has none" \
    'cache: {match: {approximate: {threshold: 0.9}}}\n' workload.trace=scenarios/traces/agent-300.jsonl
run 'a token tree without tokens' '^--set: cache.match.radix: expected a trace of prompts' "$small" cache.match.radix=true
run 'a ratio above one' '^--set: cache.match.approximate.threshold: expected 0.01 to 1, or off' "$small" cache.match.approximate.threshold=9

parts=scenarios/policies/parts.yaml
refuse 'parts of blocks in the real world' "^$parts:[0-9]*: cache.match.radix: expected false: the real world shares whole blocks" \
    run $parts --world real
refuse 'parts of blocks with keys of their own' "^$parts:[0-9]*: cache.match.radix: expected false, or cache.partial_blocks to be" \
    run $parts --set cache.partial_blocks=true
refuse 'parts of blocks that are sharded' "^$parts:[0-9]*: cache.match.radix: expected false, or cache.shard.policy: none" \
    run $parts --set cache.shard.policy=horizontal

# Arguments and folders.
refuse 'unknown command' "^kvtwin: rum: unknown command, did you mean run\?$" rum
refuse 'no scenario' '^kvtwin run: SCENARIO: expected a file' run
refuse 'missing scenario' '^no/such.yaml: expected a readable file' run no/such.yaml
refuse 'unknown option' '^kvtwin run: --fast: unknown option' run scenarios/quickstart.yaml --fast
refuse 'option without value' '^kvtwin run: --out: expected a value' run scenarios/quickstart.yaml --out
refuse 'unknown world' '^--world: expected null, sim or real$' run scenarios/quickstart.yaml --world moon
refuse 'two scenarios' '^kvtwin run: b.yaml: expected one scenario' run a.yaml b.yaml
printf '%b' "$small" >"$s"
touch "$scratch/file"
refuse 'results folder is a file' "$scratch/file" run "$s" --out "$scratch/file"
mkdir -p "$scratch/precious"
touch "$scratch/precious/thesis.txt"
refuse 'results folder holds other things' "$scratch/precious" run "$s" --out "$scratch/precious"
if [ "$(id -u)" != 0 ]; then
    mkdir -p "$scratch/locked"
    chmod 500 "$scratch/locked"
    refuse 'results folder cannot be written' 'locked' run "$s" --out "$scratch/locked/out"
    chmod 700 "$scratch/locked"
else
    refuse 'results folder cannot be written' '/proc' run "$s" --out /proc/kvtwin-out
fi

echo "1..$n"
exit $failed
