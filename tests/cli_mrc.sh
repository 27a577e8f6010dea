#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_mrc.sh - kvtwin mrc: the curve beside `kvtwin run` at single sizes, files and picture, samples, policies, and one
# line for what is wrong. All sizes: test_mrc_reference.
set -u
kvtwin=${KVTWIN:-$PWD/build/release/kvtwin}
scratch=${SCRATCH:-$(mktemp -d)}
mkdir -p "$scratch"
export KVTWIN_DATA=$PWD
trace=scenarios/traces/agent-300.jsonl
n=0

check() { # TEXT COMMAND...
    n=$((n + 1))
    local text=$1
    shift
    if "$@"; then echo "ok $n - $text"; else echo "not ok $n - $text"; fi
}

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
    mrc scenarios/traces/chat-2000.kvt --sample 30% --out "$scratch/drawn"
    check "picture of a sample" test ! -s "$scratch/err"
else
    echo "skipped: no gnuplot"
fi
echo "1..$n"
