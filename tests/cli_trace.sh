#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_trace.sh - kvtwin trace: figures of small traces counted by hand and of public ones, formats there and back,
# generators, and one line for what is wrong, with nothing left behind.
. tests/tap.sh
traces=../shared/traces

# Runs kvtwin trace; leaves its exit code in $status, output in $SCRATCH/out and messages in $SCRATCH/err.
trace() {
    "$KVTWIN" trace "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
    status=$?
}

refused() { # STATUS PATTERN: the last one ended so, with one line that matches and no output
    [ "$status" = "$1" ] && [ "$(wc -l <"$SCRATCH/err")" = 1 ] && [ ! -s "$SCRATCH/out" ] &&
        grep -q -- "$2" "$SCRATCH/err"
}

done_quietly() {
    [ "$status" = 0 ] && [ ! -s "$SCRATCH/err" ] && [ -s "$SCRATCH/out" ]
}

value() { # KEY: of the JSON printed last
    sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$SCRATCH/out"
}

has() { # KEY=VALUE...: the JSON printed last says so
    local pair
    done_quietly || return 1
    for pair; do
        [ "$(value "${pair%%=*}")" = "${pair#*=}" ] && continue
        echo "# ${pair%%=*} is $(value "${pair%%=*}"), expected ${pair#*=}"
        return 1
    done
}

# Figures without the lines that name the file and its format.
figures() { # ARGUMENTS
    trace stats "$@" --json
    [ "$status" = 0 ] && grep -v -e '"trace"' -e '"format"' "$SCRATCH/out"
}

same_figures() { # FILE FILE
    figures "$1" >"$SCRATCH/a" && figures "$2" >"$SCRATCH/b" && cmp -s "$SCRATCH/a" "$SCRATCH/b"
}

# ---- Figures, counted by hand ----
# Blocks of 512, the last one partial. Found: nothing; 1 2; 1 (4 is new, so 3 behind it is not leading); 1 2 3.
cat >"$SCRATCH/hand.jsonl" <<'JSON'
{"timestamp": 0, "input_length": 1100, "output_length": 10, "hash_ids": [1, 2, 3], "session": 7, "tenant": "a"}
{"timestamp": 1000, "input_length": 1500, "output_length": 20, "hash_ids": [1, 2, 9], "session": 7, "tenant": "a"}
{"timestamp": 3000, "input_length": 1030, "output_length": 30, "hash_ids": [1, 4, 3], "session": 8, "tenant": "b"}
{"timestamp": 4000, "input_length": 1100, "output_length": 40, "hash_ids": [1, 2, 3], "session": 9, "tenant": "a"}
JSON
trace stats "$SCRATCH/hand.jsonl" --json
check "blocks and tokens found" has format=mooncake block_tokens=512 partial_blocks=true requests=4 \
    prompt_blocks=12 distinct_blocks=5 hit_blocks=6 hit_tokens=2636 prompt_tokens=4730 whole_prompts=1
check "sessions, tenants, times" has sessions=3 tenants=2 duration_s=4.0 requests_per_s=0.75 \
    output_mean_tokens=25.0 output_max_tokens=40.0
# Gaps of 1: 1 1 1 requests, of 2: 1 2, of 3: 2 1.
check "gaps between uses" has reuses=7 reuse_gap_max_s=3.0 reuse_gap_p50_requests=1.0 reuse_gap_max_requests=2.0
trace stats "$SCRATCH/hand.jsonl" --json --tenant-salts
check "tenants that share nothing" has hit_blocks=5 distinct_blocks=7 whole_prompts=1
trace stats "$SCRATCH/hand.jsonl" --json --skip 1 --limit 2 --rate-scale 2
check "--skip, --limit, --rate-scale" has requests=2 duration_s=1.0 hit_blocks=1
trace stats "$SCRATCH/hand.jsonl" --limit=1
check "one request has no rate" grep -q 'mean rate  *-$' "$SCRATCH/out"
trace stats "$SCRATCH/hand.jsonl"
check "a table with units" grep -q 'blocks  *6 of 12, 50.00 %' "$SCRATCH/out"

cat >"$SCRATCH/lengths.csv" <<'CSV'
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,4808,10
2023-11-16 18:15:50.9951690,3180,8
CSV
trace stats "$SCRATCH/lengths.csv" --synth-system-tokens 1024 --synth-continues 0
check "lengths only: says how prefixes were made up" grep -q 'system prompt of 1024 tokens' "$SCRATCH/out"
trace stats "$SCRATCH/lengths.csv" --synth-system-tokens 1024 --synth-continues 0 --json
check "and the rule decides" has hit_blocks=2 synth_system_tokens=1024

for i in 1 2; do
    printf '{"tokens": [%s %d], "output_length": 3}\n' "$(seq -s, 1 1199)," "$i"
done >"$SCRATCH/prompts.jsonl"
trace stats "$SCRATCH/prompts.jsonl" --json --block-tokens 100
check "prompts, in blocks of a wanted size" has format=prompts block_tokens=100 hit_blocks=11 distinct_blocks=13

# ---- Formats ----
for to in kvt kvtrace jsonl; do
    trace convert "$SCRATCH/hand.jsonl" "$SCRATCH/hand2.$to"
    check "to .$to" done_quietly
    check ".$to has the same figures" same_figures "$SCRATCH/hand.jsonl" "$SCRATCH/hand2.$to"
done
trace convert "$SCRATCH/hand2.kvt" "$SCRATCH/hand3.jsonl"
check "and back" cmp -s "$SCRATCH/hand2.jsonl" "$SCRATCH/hand3.jsonl"
trace convert "$SCRATCH/prompts.jsonl" "$SCRATCH/prompts2.jsonl" --block-tokens 100
check "prompts become ids, and it says so" grep -q 'became prefix ids' "$SCRATCH/out"
check "and which size cannot be told" grep -q 'trace_block_tokens 100' "$SCRATCH/out"
trace stats "$SCRATCH/prompts2.jsonl" --trace-block-tokens 100 --json
check "what was shared still is" has format=mooncake hit_blocks=11 distinct_blocks=13
cp "$SCRATCH/hand.jsonl" "$SCRATCH/self.jsonl"
trace convert "$SCRATCH/self.jsonl" "$SCRATCH/self.jsonl"
check "onto itself" same_figures "$SCRATCH/hand.jsonl" "$SCRATCH/self.jsonl"

# ---- Generators ----
for kind in chat agent rag zipf-tree; do
    parameters=(--kind "$kind" --requests 2000 --tenants 3 --arrivals 'gamma(cv=2)' --seed 5)
    trace generate "${parameters[@]}" --out "$SCRATCH/$kind.kvt"
    check "$kind: written" done_quietly
    trace generate "${parameters[@]}" --out "$SCRATCH/again.kvt"
    check "$kind: the same twice" cmp -s "$SCRATCH/$kind.kvt" "$SCRATCH/again.kvt"
    figures "${parameters[@]}" >"$SCRATCH/drawn"
    figures "$SCRATCH/$kind.kvt" >"$SCRATCH/read"
    check "$kind: figures of the file are those of the generator" cmp -s "$SCRATCH/drawn" "$SCRATCH/read"
    trace generate "${parameters[@]}" --seed 6 --out "$SCRATCH/again.kvt"
    check "$kind: another seed, another trace" test "$(cmp -s "$SCRATCH/$kind.kvt" "$SCRATCH/again.kvt"; echo $?)" = 1
    trace generate "${parameters[@]}" --out "$SCRATCH/$kind.jsonl"
    check "$kind: JSON lines, and what they leave out" grep -q 'of outputs are left out' "$SCRATCH/out"
    trace stats "$SCRATCH/$kind.jsonl" --json
    check "$kind: JSON lines hold all requests" has requests=2000 tenants=3 block_tokens=512
done
trace stats --kind rag --documents-per-request=2 --requests 100
check "a parameter with '-' and '='" done_quietly

# ---- Where prompts part ----
# The same 60 words behind a clock, an id and a number; a continuation; nothing in common.
words=$(for i in $(seq 1 60); do printf 'word%s ' "$(printf %s "$i" | tr 0-9 a-j)"; done)
{
    for own in 'It is 10:31:07.' 'It is 10:31:52.' 'It is 11:07:15.' 'Request 0b8a276b-3e99-c6c8-cf68-bc281eb81432.' \
        'Request c1a9425a-0cc8-5574-6678-9723dcd06050.' 'Answer in 54 lines.' 'Answer in 25 lines.'; do
        printf '{"text": "%s %s"}\n' "$own" "$words"
    done
    printf '{"text": "Answer in 25 lines. %sand more"}\n{"text": "????"}\n' "$words"
} >"$SCRATCH/part.jsonl"
trace divergence "$SCRATCH/part.jsonl"
parted() { # CAUSE TOKEN REQUESTS
    done_quietly && grep -qE "^$1 +$2 +$3 " "$SCRATCH/out"
}
check "a timestamp, its seconds" parted timestamp 3 1
check "a timestamp, its hour" parted timestamp 1 1
check "an id" parted id 2 1
check "a number" parted number 2 1
check "an example of both prompts" grep -q '^  ...Answer in \[25 lines' "$SCRATCH/out"
trace divergence "$SCRATCH/part.jsonl" --json --csv "$SCRATCH/part.csv"
check "totals" has continued=1 fresh=2 prompt_tokens=878 common_tokens=115
check "a row for each cause and place" test "$(wc -l <"$SCRATCH/part.csv")" = 6
trace divergence "$SCRATCH/hand.jsonl" --json
# Prefixes of 1,024, 512 and 1,100 tokens; parted behind two blocks and behind one.
check "by blocks" has continued=1 fresh=1 common_tokens=2636 prompt_tokens=4730
check "by blocks: where" test "$(value position_blocks | sort | tr '\n' ' ')" = "1 2 "
trace divergence "$SCRATCH/hand.jsonl"
check "blocks do not tell why" grep -q '^unknown ' "$SCRATCH/out"

# ---- Bad input ----
trace divergence; check "divergence without a file" refused 2 'divergence: expected one file'
trace divergence "$SCRATCH/hand.jsonl" --kind chat; check "divergence of a generator" refused 2 'unknown option'
trace divergence "$SCRATCH/hand.jsonl" --csv "$SCRATCH/none/x.csv"; check "a CSV nowhere" refused 2 'none/x.csv: No such'
printf 'TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n' >"$SCRATCH/lengths.csv"
trace divergence "$SCRATCH/lengths.csv"; check "divergence of lengths" refused 2 'expected a trace that names prefixes'
trace; check "no action" refused 2 'expected stats, divergence, convert or generate'
trace stat x; check "unknown action" refused 2 'did you mean stats'
trace stats; check "no file" refused 2 'expected a trace, or --kind'
trace stats "$SCRATCH/none"; check "missing file" refused 2 'none: .*No such file'
trace stats "$SCRATCH"; check "a folder" refused 2 'expected a regular file'
trace stats /dev/zero; check "a device" refused 2 'expected a regular file'
trace stats a b; check "two files" refused 2 'expected one file'
trace stats "$SCRATCH/hand.jsonl" --kind chat; check "file and generator" refused 2 'not both'
trace stats "$SCRATCH/hand.jsonl" --jsn; check "unknown option" refused 2 'did you mean --json'
trace stats --kind chat --reqests 4; check "unknown parameter" refused 2 'did you mean --requests'
trace stats --kind chat --rate 4; check "a rate without unit" refused 2 'rate: expected .*4/s'
trace stats --kind chats; check "unknown kind" refused 2 'kind: expected chat'
trace stats --kind rag --turns 3; check "a parameter of another kind" refused 2 'turns: '
trace stats --kind chat --arrivals 'gamma(cv=0)'; check "arrivals" refused 2 'arrivals: '
trace stats "$SCRATCH/hand.jsonl" --format yaml; check "unknown format" refused 2 'format: expected'
trace stats "$SCRATCH/hand.jsonl" --rate-scale 0; check "rate-scale 0" refused 2 'above 0'
trace stats "$SCRATCH/hand.jsonl" --block-tokens 0; check "block-tokens 0" refused 2 '1 to 1048576'
trace stats "$SCRATCH/hand.jsonl" --block-tokens 64; check "not the trace's blocks" refused 2 'expected 512'
trace stats "$SCRATCH/hand.jsonl" --skip 4; check "nothing left" refused 2 'there are none'
trace stats "$SCRATCH/hand.jsonl" --limit; check "no value" refused 2 'limit: expected a value'
trace stats "$SCRATCH/hand.jsonl" --json=yes; check "a value too many" refused 2 'expected no value'
trace stats $'a\nb'; check "a name of two lines" refused 2 'a?b: '
trace stats --bad$'\n'option; check "an option of two lines" refused 2 'unknown option'
trace convert "$SCRATCH/hand.jsonl"; check "convert to nowhere" refused 2 'expected two files'
trace convert "$SCRATCH/hand.jsonl" "$SCRATCH/x.csv"; check "convert to CSV" refused 2 '.kvt or .jsonl'
trace convert "$SCRATCH/hand.jsonl" "$SCRATCH/none/x.kvt"; check "no folder" refused 2 'No such file'
trace generate --kind chat; check "generate to nowhere" refused 2 'out: expected a file'
trace generate --kind chat x --out "$SCRATCH/x.kvt"; check "generate takes no file" refused 2 'options only'
trace generate --kind chat --json --out x.kvt; check "an option of stats" refused 2 'unknown option'
mkdir "$SCRATCH/folder.kvt"
trace generate --kind chat --requests 5 --out "$SCRATCH/folder.kvt"; check "a folder there" refused 2 'regular file'
head -n 2 "$SCRATCH/hand.jsonl" | head -c 150 >"$SCRATCH/cut.jsonl"
trace convert "$SCRATCH/cut.jsonl" "$SCRATCH/x.kvt"; check "a line cut short" refused 2 'cut.jsonl:2: '
head -c 100 "$SCRATCH/chat.kvt" >"$SCRATCH/cut.kvt"
trace stats "$SCRATCH/cut.kvt"; check "a binary trace cut short" refused 2 'cut.kvt'
trace stats "$SCRATCH/hand.jsonl" >/dev/null
"$KVTWIN" trace stats "$SCRATCH/hand.jsonl" >/dev/full 2>"$SCRATCH/err"
check "figures that cannot be printed" test $? = 1
for seed in tests/corpus/trace/*; do
    [ -f "$seed" ] || continue
    trace stats "$seed"
    check "${seed##*/}: 0, or 2 and one line" \
        test "$status,$(wc -l <"$SCRATCH/err")" = 0,0 -o "$status,$(wc -l <"$SCRATCH/err")" = 2,1
done
check "bad input left nothing" test ! -e "$SCRATCH/x.kvt" -a ! -e "$SCRATCH/x.csv"

# ---- What goes wrong on the way ----
mkdir "$SCRATCH/small"
cp "$SCRATCH/hand2.kvt" "$SCRATCH/small/old.kvt"
as_before() { # STATUS PATTERN: refused, the older file as it was and alone
    refused "$1" "$2" && [ "$(ls -A "$SCRATCH/small")" = old.kvt ] && cmp -s "$SCRATCH/hand2.kvt" "$SCRATCH/small/old.kvt"
}
(ulimit -f 8 && "$KVTWIN" trace generate --kind agent --requests 5000 --out "$SCRATCH/small/old.kvt" \
    >"$SCRATCH/out" 2>"$SCRATCH/err")
status=$?
check "a file that may not grow: exit 1, the older one stays" as_before 1 'old.kvt: '
"$KVTWIN" trace generate --kind chat --requests 200000000 --out "$SCRATCH/small/old.kvt" \
    >"$SCRATCH/out" 2>"$SCRATCH/err" &
pid=$!
sleep 1
kill -INT $pid
wait $pid
status=$?
check "Ctrl-C: exit 1, the older one stays" as_before 1 interrupted
if [ "$(id -u)" = 0 ] && mkdir -p "$SCRATCH/full" && mount -t tmpfs -o size=64k none "$SCRATCH/full" 2>/dev/null; then
    for to in kvt jsonl; do
        trace generate --kind agent --requests 5000 --out "$SCRATCH/full/x.$to"
        check "a full disk, .$to: exit 1" refused 1 'No space left'
        check "a full disk, .$to: nothing left behind" test -z "$(ls -A "$SCRATCH/full")"
    done
    umount "$SCRATCH/full"
else
    skip 'a full disk' 'cannot mount a small file system here'
fi

# ---- Public traces ----
if [ -d "$traces" ]; then
    trace stats "$traces/conversation_trace.jsonl" --json
    check "conversation trace" has requests=12031 block_tokens=512 partial_blocks=true prompt_blocks=288500 \
        distinct_blocks=182790 hit_blocks=105710 hit_tokens=54098411 prompt_tokens=144793823 sessions=null
    trace convert "$traces/conversation_trace.jsonl" "$SCRATCH/c.kvt"
    trace convert "$SCRATCH/c.kvt" "$SCRATCH/c.jsonl"
    check "its figures survive binary" same_figures "$traces/conversation_trace.jsonl" "$SCRATCH/c.kvt"
    check "and JSON lines" same_figures "$traces/conversation_trace.jsonl" "$SCRATCH/c.jsonl"
    trace stats "$traces/agentic_merged_60.jsonl" --json
    check "agentic trace" has requests=2442 block_tokens=64 partial_blocks=false prompt_blocks=2410900 \
        distinct_blocks=99577 hit_blocks=2311323 sessions=60
    trace stats "$traces/AzureLLMInferenceTrace_code.csv" --json
    check "lengths only" has format=azure requests=8819
else
    echo "skipped: no $traces"
fi
tap_end
