#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_mrc.sh - kvtwin mrc: the curve beside `kvtwin run` at single sizes, files and picture, samples, policies, and one
# line for what is wrong. All sizes: test_mrc_reference.
. tests/tap.sh
trace=scenarios/traces/agent-300.jsonl

# Runs kvtwin mrc; leaves its exit code in $status, output in out and messages in err.
mrc() {
    "$kvtwin" mrc "$@" >"$scratch/out" 2>"$scratch/err"
    status=$?
}

one_line() { # STATUS PATTERN: the last mrc ended so, with one line that matches
    [ "$status" = "$1" ] && [ "$(wc -l <"$scratch/err")" = 1 ] && grep -q -- "$2" "$scratch/err"
}

refuses() { # PATTERN ARGUMENTS...: exit 2, one line, nothing written
    local pattern=$1
    shift
    rm -rf "$scratch/none"
    mrc "$@" --out "$scratch/none"
    one_line 2 "$pattern" && [ ! -e "$scratch/none" ] && [ ! -s "$scratch/out" ]
}

# A column of a row: the first data line of mrc.csv.
column() { # FILE NAME
    awk -F, -v name="$2" '/^#/ { next } !head { for (i = 1; i <= NF; i++) if ($i == name) at = i; head = 1; next }
        { print $at; exit }' "$1"
}

value() { # FILE KEY
    sed -n "s/^ *\"$2\": *\([0-9.]*\),\{0,1\}$/\1/p" "$1"
}

# ---- Beside run, at sizes of both ends -------------------------------------------------------------

same_as_run() { # CAPACITY TOUCH
    "$kvtwin" run scenarios/reference/lru.yaml --set "workload.trace=$PWD/$trace" --set "cache.tiers.gpu.capacity=$1blocks" \
        --set "cache.tiers.gpu.touch=$2" --out "$scratch/run" --json >"$scratch/run.json" || return 1
    mrc "$trace" --capacity "$1" --no-plot --out "$scratch/one"
    [ "$status" = 0 ] &&
        [ "$(column "$scratch/one/mrc.csv" "$2_hit_blocks")" = "$(value "$scratch/run.json" hit_blocks)" ] &&
        [ "$(column "$scratch/one/mrc.csv" "$2_hit_tokens")" = "$(value "$scratch/run.json" hit_tokens_gpu)" ]
}

mrc "$trace" --no-plot --out "$scratch/all" --json
check "json" test "$status" = 0
longest=$(value "$scratch/out" longest_prompt_blocks)
distinct=$(value "$scratch/out" distinct_blocks)
check "json is summary.json" cmp -s "$scratch/out" "$scratch/all/summary.json"
for touch in leaf head; do
    for part in 1 2 5 10; do
        size=$((longest + (distinct - longest) * (part - 1) / 10))
        check "$size blocks, $touch: as kvtwin run counts" same_as_run "$size" "$touch"
    done
done

# ---- Files -----------------------------------------------------------------------------------------

mrc "$trace" --model llama-3.1-8b --price 0.01USD/h --no-plot --out "$scratch/all" --capacity 1024,infinite
check "a rerun replaces its own folder" test "$status" = 0
check "memory: 1,024 blocks" test "$(column "$scratch/all/mrc.csv" capacity_gib)" = "$(awk -v t="$(column "$scratch/all/mrc.csv" capacity_tokens)" 'BEGIN { printf "%.6f", t * 131072 / 2^30 }')"
check "price" test "$(column "$scratch/all/mrc.csv" usd_per_hour)" = "$(awk -v g="$(column "$scratch/all/mrc.csv" capacity_gib)" 'BEGIN { printf "%.6f", g * 0.01 }')"
# The catalogue's prices, read from its file.
node=cache.r7g.large entry=elasticache-redis-r7g.large
usd=$(sed -n "/name: $entry\$/,/price:/s/.*price: {value: \([0-9.]*\) USD.*/\1/p" scenarios/catalog/prices.yaml)
date=$(sed -n "/name: $entry\$/,/price:/s/.*date: //p" scenarios/catalog/prices.yaml)
mrc "$trace" --model llama-3.1-70b --node $node --no-plot --out "$scratch/node" --capacity 20,200,infinite
check "a node of the catalogue" test "$status" = 0
room=$(value "$scratch/node/summary.json" unit_gib)
whole_nodes() { # each row: as many nodes as hold it, no fewer, and their price
    awk -F, -v room="$room" -v usd="$usd" '/^#/ { next } !head { head = 1; next } $1 == "" { open += $4 == "" && $5 == ""; next }
        { rows++; good += $4 * room >= $3 - 1e-6 && ($4 - 1) * room < $3 && $5 - $4 * usd < 1e-6 && $4 * usd - $5 < 1e-6 }
        END { exit !(rows == 2 && good == 2 && open == 1) }' "$scratch/node/mrc.csv"
}
check "whole nodes, rounded up" whole_nodes
check "a node: more than one is bought" test "$(tail -2 "$scratch/node/mrc.csv" | head -1 | cut -d, -f4)" -gt 1
check "the table says price, region and date" grep -q "price  *$usd USD/h per $node .*rounded up; $entry, .*$date" "$scratch/out"
check "the table says the source" grep -q 'price from  *[^ ]' "$scratch/out"
check "the file says price and date" grep -q "^# usd_per_hour: $usd USD/h per $node .*$date" "$scratch/node/mrc.csv"
check "the file says the source" grep -q '^# price from: [^ ]' "$scratch/node/mrc.csv"
mrc "$trace" --model llama-3.1-70b --node $node --per gib --no-plot --out "$scratch/node" --capacity 200
check "by the GiB" test "$(column "$scratch/node/mrc.csv" usd_per_hour)" = "$(awk -v g="$(column "$scratch/node/mrc.csv" capacity_gib)" -v r="$room" -v usd="$usd" 'BEGIN { printf "%.6f", g * usd / r }')"
mrc "$trace" --model llama-3.1-70b --node $node --price 2USD/h --no-plot --out "$scratch/node" --capacity 200
check "an own price of a node" test "$(column "$scratch/node/mrc.csv" usd_per_hour)" = "$(column "$scratch/node/mrc.csv" nodes | awk '{ printf "%.6f", 2 * $1 }')"
check "an own price is marked" grep -q 'own price$' "$scratch/out"
mrc "$trace" --model llama-3.1-70b --node ec2-r7g.16xlarge --no-plot --out "$scratch/node" --capacity 200
check "an entry of kind memory" grep -q 'ec2-r7g.16xlarge, us-east-1' "$scratch/out"
usd=$(sed -n '/name: ebs-gp3-storage$/,/stored:/s/.*stored: {value: \([0-9.]*\) USD.*/\1/p' scenarios/catalog/prices.yaml)
mrc "$trace" --model llama-3.1-70b --node ebs-gp3-storage --no-plot --out "$scratch/node" --capacity 200
check "a disk, by the GB and month" test "$(column "$scratch/node/mrc.csv" usd_per_hour)" = "$(awk -v g="$(column "$scratch/node/mrc.csv" capacity_gib)" -v usd="$usd" 'BEGIN { printf "%.6f", g * 2^30 / 1e9 * usd / 730 }')"
mrc "$trace" --model llama-3.1-8b --no-plot --out "$scratch/all" --capacity 1GiB
check "a capacity in bytes" test "$(column "$scratch/all/mrc.csv" capacity_tokens)" = 8192
cp "$scratch/all/mrc.csv" "$scratch/before.csv"
mrc "$trace" --model llama-3.1-8b --no-plot --out "$scratch/again" --capacity 1GiB
check "equal input, equal bytes" cmp -s "$scratch/before.csv" "$scratch/again/mrc.csv"
echo mine >"$scratch/again/notes.txt"
mrc "$trace" --no-plot --out "$scratch/again"
check "notes stay" test "$(cat "$scratch/again/notes.txt")" = mine

# ---- Finer blocks, samples, policies ----------------------------------------------------------------

block=$(value "$scratch/all/summary.json" block_tokens)
mrc "$trace" --block-tokens $((block / 2)) --no-plot --out "$scratch/fine" --json
check "finer blocks" test "$(value "$scratch/out" block_tokens)" = $((block / 2))
mrc scenarios/traces/chat-2000.kvt --sample 20% --no-plot --out "$scratch/sample"
check "a sample" test "$status" = 0
check "a sample has error bars" grep -q '"leaf_token_hit_rate_error": 0.0[0-9]*[1-9]' "$scratch/sample/summary.json"
mrc scenarios/traces/chat-2000.kvt --sample-blocks 5000 --no-plot --out "$scratch/sample" --json
check "a sample of a size" test "$(value "$scratch/out" tracked_blocks)" -gt 1000
mrc "$trace" --policy all --no-plot --out "$scratch/policies" --capacity "$longest,$distinct"
check "every policy" test "$status" = 0
check "every policy: two rows each" test "$(grep -c '^[a-z0-9-]*,[01],' "$scratch/policies/mrc-policies.csv")" = $((2 * $(grep -o '^[a-z0-9-]*,[01],' "$scratch/policies/mrc-policies.csv" | sort -u | wc -l)))
lru() { # FILE: simulated LRU is the curve
    local line
    line=$(grep '^lru,' "$scratch/policies/mrc-policies.csv" | head -1)
    [ "$(echo "$line" | awk -F, '{ print $(NF - 1) }')" = "$(column "$scratch/policies/mrc.csv" leaf_block_hit_rate)" ] &&
        [ "$(echo "$line" | awk -F, '{ print $(NF - 3) }')" = "$(column "$scratch/policies/mrc.csv" flat_block_hit_rate)" ]
}
check "LRU simulated is LRU in one pass" lru
mrc scenarios/traces/chat-2000.kvt --policy sieve,belady --sample 30% --no-plot --out "$scratch/small"
check "policies in miniature" test "$status" = 0
mrc "$trace" --policy belady --prefix-closed --no-plot --out "$scratch/policies" --capacity "$longest"
check "prefix-closed" grep -q '^belady,1,' "$scratch/policies/mrc-policies.csv"
as_run() { # POLICY: as `kvtwin run` counts blocks under it
    local simulated
    "$kvtwin" run scenarios/reference/lru.yaml --set "workload.trace=$PWD/$trace" --set "cache.tiers.gpu.capacity=300blocks" \
        --set "cache.tiers.gpu.evict=$1" --out "$scratch/run" --json >"$scratch/run.json" || return 1
    mrc "$trace" --policy "$1" --no-plot --out "$scratch/policies" --capacity 300
    simulated=$(grep "^$1," "$scratch/policies/mrc-policies.csv" | awk -F, '{ print $(NF - 1) }')
    [ "$simulated" = "$(awk -v hits="$(value "$scratch/run.json" hit_blocks)" -v all="$(value "$scratch/run.json" lookup_blocks)" \
        'BEGIN { printf "%.6f", hits / all }')" ]
}
for policy in belady sieve; do
    check "$policy: as kvtwin run counts" as_run "$policy"
done

# ---- Bad input -------------------------------------------------------------------------------------

: >"$scratch/empty.jsonl"
echo '{"timestamp": 0, "input_length": 5, "output_length": 1, "hash_ids": []}' >"$scratch/short.jsonl"
check "no trace" refuses 'expected a trace'
check "two traces" refuses 'expected one trace' "$trace" "$trace"
check "missing trace" refuses 'No such file' "$scratch/missing.jsonl"
check "empty trace" refuses 'the file is empty' "$scratch/empty.jsonl"
check "prompts without blocks" refuses 'at least one block' "$scratch/short.jsonl"
check "unknown option" refuses 'unknown option' "$trace" --polcy lru
check "unknown policy names the valid ones" refuses 'random: expected all, or of lru' "$trace" --policy lru,random
check "a policy that goes by a TTL" refuses 'by a TTL alone' "$trace" --policy ttl
check "sample of nothing" refuses 'above 0' "$trace" --sample 0
check "sample of more than all" refuses 'at most 1' "$trace" --sample 200%
check "two kinds of sample" refuses 'without --sample-blocks' "$trace" --sample 1% --sample-blocks 5
check "a sample without a session" refuses 'expected a larger one' "$trace" --sample-blocks 1
check "coarser blocks" refuses 'or a divisor' "$trace" --block-tokens $((block * 2))
check "blocks that do not divide" refuses 'divisor' "$trace" --block-tokens $((block - 1))
check "unknown model" refuses 'model' "$trace" --model gpt-0
check "price without model" refuses 'with --model' "$trace" --price 1USD/h
check "node without model" refuses '--node: expected with --model' "$trace" --node cache.r7g.large
check "unknown node names the valid ones" refuses 'expected one of cache.r7g.large, cache.r7g.xlarge, .*ebs-gp3-storage' "$trace" --model llama-3.1-8b --node nowhere
check "a slip names the node that was meant" refuses 'did you mean cache.r7g.16xlarge?' "$trace" --model llama-3.1-8b --node cache.r7g.16xlarg
check "a GPU is no node" refuses '--node: expected one of cache' "$trace" --model llama-3.1-8b --node aws-p5.48xlarge
check "a node without a price" refuses 'no price of local' "$trace" --model llama-3.1-8b --node local
check "per what" refuses '--per: expected node or gib' "$trace" --model llama-3.1-8b --node cache.r7g.large --per hour
check "per node of nothing" refuses '--per: expected with --node' "$trace" --model llama-3.1-8b --price 1USD/h --per node
check "per gib without a price" refuses '--per: expected with --node' "$trace" --model llama-3.1-8b --per gib
check "disks have no nodes" refuses '--per: expected gib' "$trace" --model llama-3.1-8b --node ebs-gp3-storage --per node
check "an own price of a disk" refuses '--price: expected without --node' "$trace" --model llama-3.1-8b --node ebs-gp3-storage --price 1USD/h
check "price of a node without unit" refuses '--price: expected' "$trace" --model llama-3.1-8b --node cache.r7g.large --price 1
check "price without unit" refuses 'expected' "$trace" --model llama-3.1-8b --price 1
check "capacity of nothing" refuses 'expected' "$trace" --capacity 0
check "capacity in bytes without model" refuses 'or --model' "$trace" --capacity 1GiB
check "unknown touch" refuses 'leaf or head' "$trace" --touch middle
mrc "$trace" --sample
check "missing value" one_line 2 'expected a value'
mkdir -p "$scratch/other"
echo x >"$scratch/other/file"
mrc "$trace" --out "$scratch/other"
check "a folder of something else" one_line 2 'other files'

# ---- Picture ---------------------------------------------------------------------------------------

if command -v gnuplot >/dev/null; then
    mrc "$trace" --policy lru,fifo --model llama-3.1-8b --out "$scratch/drawn"
    check "picture: no message" test ! -s "$scratch/err"
    check "picture: svg is whole" grep -q '</svg>' "$scratch/drawn/mrc.svg"
    check "picture: png" test "$(head -c 4 "$scratch/drawn/mrc.png" | tail -c 3)" = PNG
    mrc "$trace" --model llama-3.1-70b --node cache.r7g.large --out "$scratch/drawn"
    check "picture with prices: no message" test ! -s "$scratch/err"
    check "picture with prices: on the axis" grep -q '>[0-9.]* USD/h<' "$scratch/drawn/mrc.svg"
    check "picture with prices: whose" grep -q "elasticache-redis-r7g.large.*list price of $date" "$scratch/drawn/mrc.svg"
    mrc scenarios/traces/chat-2000.kvt --sample 30% --out "$scratch/drawn"
    check "picture of a sample" test ! -s "$scratch/err"
else
    echo "skipped: no gnuplot"
fi
tap_end
