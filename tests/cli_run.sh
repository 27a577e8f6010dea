#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_run.sh - kvtwin run as a user runs it: files, table, JSON, repeatability, Ctrl-C, full disk.
. tests/tap.sh

cat >"$scratch/small.yaml" <<'YAML'
question: small
workload:
  generate: {kind: chat, requests: 200, rate: 4/s}
cluster: {model: llama-3.1-8b, gpu: a100-80g-sxm, engines: 2, gpus_per_engine: 1}
cache:
  block_tokens: 128
  tiers:
    - {kind: gpu, capacity: auto}
    - {kind: host, capacity: 8GiB}
    - {kind: redis, nodes: 2, ttl: 1h, codec: [lz4]}
    - {kind: disk, capacity: 100GiB}
YAML

run() { # FOLDER ARGUMENTS...
    local folder=$1
    shift
    "$kvtwin" run "$scratch/small.yaml" --out "$scratch/$folder" "$@" >"$scratch/stdout" 2>"$scratch/stderr"
}

run a
report $? 'a run ends with 0'
[ ! -s "$scratch/stderr" ]
report $? 'nothing on stderr when it is no terminal'
grep -q 'hit gpu' "$scratch/stdout" && grep -q baseline "$scratch/stdout"
report $? 'the table shows hits and the baseline'
for file in summary.json requests.csv stages.csv timeline.csv ledger.csv metrics.prom run.json; do
    [ -s "$scratch/a/$file" ]
    report $? "leaves $file"
done
[ "$(value requests "$scratch/a/summary.json")" = 200 ]
report $? 'all requests are accounted for'
awk -F'[:,]' '/"(hit|computed)_tokens_/ { sum += $2 } /"prompt_tokens"/ { all = $2 } END { exit sum != all || all == 0 }' \
    "$scratch/a/summary.json"
report $? 'the ledger adds up to the prompt tokens'

same() { # A B: equal but for run.json
    diff -rq -x run.json "$scratch/$1" "$scratch/$2" >"$scratch/diff" 2>&1
}
run b && same a b
report $? 'the same run leaves the same bytes'
run c --set seed=2 && ! same a c
report $? 'another seed does not'
[ "$(value decisions_digest "$scratch/a/summary.json")" != "$(value decisions_digest "$scratch/c/summary.json")" ]
report $? 'another seed decides differently'
run b --set seed=2 && same b c
report $? 'a rerun replaces its own results'

run d --json && cmp -s "$scratch/stdout" "$scratch/d/summary.json"
report $? '--json prints summary.json'
run e --no-baseline && ! grep -q '"baseline_ttft_p50_ms": *[0-9]' "$scratch/e/summary.json"
report $? '--no-baseline has none'
run f --world null && [ "$(value world "$scratch/f/summary.json")" = null ]
report $? '--world null'
run g --set cache.enabled=false && [ "$(value hit_tokens_gpu "$scratch/g/summary.json")" = 0 ]
report $? 'without cache nothing is found'
run h --explain && [ ! -e "$scratch/h" ] && grep -q 'small.yaml:3' "$scratch/stdout" &&
    grep -q '# default' "$scratch/stdout"
report $? '--explain says where values come from, and writes nothing'
grep -v '^# ' "$scratch/stdout" >"$scratch/explained.yaml"
"$kvtwin" run "$scratch/explained.yaml" --out "$scratch/i" >/dev/null 2>&1 &&
    [ "$(value scenario_sha256 "$scratch/i/summary.json")" = "$(value scenario_sha256 "$scratch/a/summary.json")" ] &&
    [ "$(value decisions_digest "$scratch/i/summary.json")" = "$(value decisions_digest "$scratch/a/summary.json")" ]
report $? 'the explained scenario is the same scenario'

"$kvtwin" run "$scratch/small.yaml" --out "$scratch/pipe" 2>"$scratch/stderr" | head -n 1 >/dev/null
[ "${PIPESTATUS[0]}" = 0 ] && [ -s "$scratch/pipe/summary.json" ]
report $? 'a reader that goes away does not stop the files'

# Similar prompts add to exact matching, and nothing to the chain.
similar() { # FOLDER SET...
    local folder=$1 sets=()
    shift
    for set in "$@"; do sets+=(--set "$set"); done
    "$kvtwin" run scenarios/policies/approximate.yaml --out "$scratch/$folder" "${sets[@]}" >"$scratch/stdout" 2>"$scratch/stderr"
}
hits() { value hit_tokens "$scratch/$1/summary.json"; }
similar chain cache.match.approximate.threshold=off && ! grep -q 'approx_' "$scratch/chain/summary.json" && similar both &&
    [ "$(value decisions_digest "$scratch/both/summary.json")" = "$(value decisions_digest "$scratch/chain/summary.json")" ] &&
    [ "$(value approx_hits "$scratch/both/summary.json")" -gt 0 ] && [ "$(value approx_tokens_reused "$scratch/both/summary.json")" = 0 ]
report $? 'similar prompts decide nothing where the chain is matched'
grep -q 'reused thanks to it: 0 tokens' "$scratch/stdout"
report $? 'and the table says so'
similar exact cache.match.chain=false cache.match.approximate.threshold=off && similar alike cache.match.chain=false &&
    [ $(($(hits exact) + $(value approx_tokens_reused "$scratch/alike/summary.json"))) = "$(hits alike)" ] &&
    [ "$(hits alike)" -gt "$(hits exact)" ] && [ "$(hits alike)" -le "$(hits chain)" ]
report $? 'similar prompts add to exact matching, at most what the chain finds'

# Parts of blocks add to the chain what they say, and nothing where only the whole prompt is matched.
parts() { # FOLDER SET...
    local folder=$1 sets=()
    shift
    for set in "$@"; do sets+=(--set "$set"); done
    "$kvtwin" run scenarios/policies/parts.yaml --out "$scratch/$folder" "${sets[@]}" >"$scratch/stdout" 2>"$scratch/stderr"
}
of() { value "$1" "$scratch/$2/summary.json"; }
parts blocks cache.match.radix=false && ! grep -q 'radix_' "$scratch/blocks/summary.json" && parts parts &&
    [ "$(of radix_tokens_reused parts)" -gt 0 ] && [ "$(of radix_tokens_reused parts)" -le "$(of radix_tokens_possible parts)" ] &&
    [ $(($(of hit_tokens_gpu blocks) + $(of radix_tokens_reused parts))) = "$(of hit_tokens_gpu parts)" ] &&
    [ "$(of hit_blocks parts)" = "$(of hit_blocks blocks)" ] &&
    [ "$(of decisions_digest parts)" != "$(of decisions_digest blocks)" ]
report $? 'parts of blocks are found beside whole ones'
grep -q "parts of blocks: $(of radix_tokens_reused parts) tokens copied" "$scratch/stdout"
report $? 'and the table says how many'
parts whole cache.match.chain=false cache.match.radix=false && parts counted cache.match.chain=false &&
    [ "$(of radix_tokens_reused counted)" = 0 ] && [ "$(of radix_tokens_possible counted)" -gt 0 ] &&
    [ "$(of decisions_digest counted)" = "$(of decisions_digest whole)" ]
report $? 'without the chain they are counted only'
if command -v awk >/dev/null; then
    awk -v prompts=60 -v seed=3 -f scenarios/policies/prompts.awk >"$scratch/prompts.jsonl"
    parts large "workload.trace=$scratch/prompts.jsonl" cache.block_tokens=512 && parts small "workload.trace=$scratch/prompts.jsonl" &&
        [ "$(of radix_tokens_reused large)" -gt $((10 * $(of radix_tokens_reused small))) ]
    report $? 'much of large blocks, little of small ones'
else
    skip 'much of large blocks, little of small ones' 'no awk'
fi

# Tiny caches: every size ends (no livelock), and the ledger holds.
for blocks in 40 60 100 200; do
    timeout 60 "$kvtwin" run "$scratch/small.yaml" --out "$scratch/tiny" --no-baseline \
        --set cache.tiers.gpu.capacity=${blocks}blocks --set cache.tiers.host.capacity=3blocks \
        --set cache.tiers.disk.capacity=2blocks >"$scratch/stdout" 2>"$scratch/stderr"
    report $? "a gpu tier of $blocks blocks ends"
done

# Ctrl-C in the middle of a long run.
"$kvtwin" run "$scratch/small.yaml" --out "$scratch/long" --set workload.generate.requests=2000000 \
    >"$scratch/stdout" 2>"$scratch/stderr" &
pid=$!
# Until the program has a handler, a shell's background process ignores the signal: on a slow machine that takes a while.
until [ $((0x0$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null) & 2)) != 0 ] || ! kill -0 $pid 2>/dev/null; do
    sleep 0.1
done
sleep 1
kill -INT $pid 2>/dev/null
wait $pid
code=$?
[ $code = 1 ] && grep -q 'interrupted, results so far are in' "$scratch/stderr" &&
    grep -q '"interrupted": *true' "$scratch/long/summary.json"
report $? 'Ctrl-C leaves complete results so far, says so, and ends with 1'

# A disk that is full.
if [ "$(id -u)" = 0 ] && mkdir -p "$scratch/full" && mount -t tmpfs -o size=1m none "$scratch/full" 2>/dev/null; then
    "$kvtwin" run "$scratch/small.yaml" --out "$scratch/full/r" --world null --set workload.generate.requests=20 \
        >/dev/null 2>&1
    before=$(cat "$scratch/full/r/summary.json" 2>/dev/null | cksum)
    "$kvtwin" run "$scratch/small.yaml" --out "$scratch/full/r" --set workload.generate.requests=20000 \
        >/dev/null 2>"$scratch/stderr"
    code=$?
    [ $code = 1 ] && [ "$(wc -l <"$scratch/stderr")" = 1 ] &&
        [ "$(cat "$scratch/full/r/summary.json" | cksum)" = "$before" ] && [ "$(ls -A "$scratch/full")" = r ]
    report $? 'a full disk: exit 1, one line, earlier results kept'
    umount "$scratch/full"
else
    skip 'a full disk' 'cannot mount a small file system here'
fi

for command in '' run plot trace catalog doctor; do
    # shellcheck disable=SC2086
    "$kvtwin" $command --help >"$scratch/stdout" 2>"$scratch/stderr"
    [ $? = 0 ] && [ -s "$scratch/stdout" ] && [ ! -s "$scratch/stderr" ]
    report $? "kvtwin $command --help"
done
"$kvtwin" --version | grep -q '^kvtwin [0-9]'
report $? 'kvtwin --version'
"$kvtwin" doctor | grep -q 'Worlds that run here: null, sim'
report $? 'kvtwin doctor'

tap_end
