#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_report.sh - kvtwin report as a user runs it: one file, complete, self-contained; in a browser, where there is one,
# it opens without a word on the console and shows every picture. A grid of 200 points is no larger a matter.
#
# Runs the program in $KVTWIN (default build/release/kvtwin) from the repository's root.
set -u
kvtwin=${KVTWIN:-$PWD/build/release/kvtwin}
scratch=${SCRATCH:-$(mktemp -d)}
mkdir -p "$scratch"
export KVTWIN_DATA=$PWD
n=0
failed=0

report() { # STATUS TEXT: 0 is ok
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
    fi
}

skip() {
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

cat >"$scratch/r.yaml" <<'YAML'
question: does <b>"it"</b> & that pay?
workload:
  generate: {kind: chat, requests: 150, rate: 4/s}
cluster: {model: llama-3.1-8b, gpu: a100-80g-sxm}
cache:
  block_tokens: 128
  tiers:
    - {kind: host, capacity: 8GiB}
    - {kind: redis, nodes: 2, codec: [zstd-1]}
YAML
"$kvtwin" run "$scratch/r.yaml" --out "$scratch/run" >/dev/null 2>&1
report $? 'a run to report on'
page=$scratch/run/report.html
pictures=0
if command -v gnuplot >/dev/null; then
    pictures=8
    "$kvtwin" report "$scratch/run" >"$scratch/stdout" 2>"$scratch/stderr" && [ ! -s "$scratch/stderr" ]
    report $? 'a report, its pictures drawn first'
else
    "$kvtwin" report "$scratch/run" >"$scratch/stdout" 2>"$scratch/stderr"
    report $? 'a report without pictures, which gnuplot draws'
fi
[ "$(grep -c '<figure>' "$page")" = $pictures ]
report $? "all $pictures pictures are in it"

# One file: nothing is fetched, nothing runs. Names of name spaces are no addresses to fetch.
! sed 's/xmlns[:a-z]*="[^"]*"//g' "$page" | grep -qiE '(src|href)=["'\'']?(https?:|//|file:)|<script|@import|url\((https?:|//)'
report $? 'nothing in it is fetched, and nothing runs'
ids=$(grep -oE " id=['\"][^'\"]+" "$page" | sort)
[ "$(uniq <<<"$ids" | wc -l)" = "$(wc -l <<<"$ids")" ]
report $? 'no two things share an id'
missing=$(comm -23 <(grep -oE "href=['\"]#[^'\"]+" "$page" | sed "s/.*#//" | sort -u) <(sed "s/.*id=['\"]//" <<<"$ids" | sort -u))
[ -z "$missing" ]
report $? 'every reference leads somewhere'
grep -q 'does &lt;b&gt;&quot;it&quot;&lt;/b&gt; &amp; that pay?' "$page" && ! grep -q '<b>"it"' "$page"
report $? 'text stays text'
for words in 'prompt tokens were found' 'costs .* USD an hour' 'The next dollar' 'aws-p4de.24xlarge' 'us-east-1' '2026-11-09' \
    'data-receipts' 'kvtwin run ' 'prefers-color-scheme:dark' '@media print' 'lzbench\|measured on synthetic KV'; do
    grep -q "$words" "$page"
    report $? "it says: $words"
done
# Each constant in it has evidence and source.
rows=$(grep -cE '^<tr><td>[^<]*</td><td>[^<]*</td><td class=n>' "$page")
sourced=$(grep -cE '^<tr><td>[^<]*</td><td>[^<]*</td><td class=n>[^<]*</td><td>[SDMC]</td><td>[^<]{6,}' "$page")
[ "$rows" -gt 50 ] && [ "$rows" = "$sourced" ]
report $? "every constant has a source ($sourced of $rows)"

# A grid of 200 points, made up here: ten seconds and five megabytes are far away.
mkdir -p "$scratch/grid"
{
    echo '# a grid'
    echo -n 'point,state,runs,cache.tiers.redis.nodes,workload.rate_scale,prefix_hit_rate,ttft_p95_ms,cost_usd_per_mtok_output'
    for i in $(seq 150); do echo -n ",figure_${i}_ms"; done
    echo
    for p in $(seq 200); do
        echo -n "$p,done,1,$((p % 20 + 1)),$((p / 20 + 1)),0.$((p + 100)),$((1000 - p)).5,$((p + 7))"
        for i in $(seq 150); do echo -n ",$((p * i)).25"; done
        echo
    done
} >"$scratch/grid/sweep.csv"
echo '{"scenario_name": "grid", "question": "how many nodes?", "world": "sim"}' >"$scratch/grid/summary.json"
begin=$EPOCHREALTIME
"$kvtwin" report "$scratch/grid" "$scratch/run" --out "$scratch/both.html" >"$scratch/stdout"
report $? 'a report on two folders'
awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { exit !(b - a < 10) }' && [ "$(stat -c %s "$scratch/both.html")" -lt 5000000 ]
report $? "of 200 points, within 10 s and 5 MB ($(stat -c %s "$scratch/both.html") bytes)"
grep -q 'from 800.5 to 999.5 ms over 200 points; the lowest is line 200' "$scratch/both.html"
report $? 'its answer is read from the points'

"$kvtwin" report "$scratch" >/dev/null 2>"$scratch/stderr"
[ $? = 2 ] && [ "$(wc -l <"$scratch/stderr")" = 1 ] && grep -q 'no summary.json' "$scratch/stderr"
report $? 'a folder without results is bad input'
echo '{' >"$scratch/grid/summary.json"
"$kvtwin" report "$scratch/grid" --out "$scratch/both.html" >/dev/null 2>"$scratch/stderr"
[ $? = 2 ] && grep -q 'summary.json:' "$scratch/stderr" && grep -q 'how many nodes' "$scratch/both.html"
report $? 'a broken one too, and the report that is there stays'

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -n "$browser" ] && [ $pictures -gt 0 ]; then
    open() { timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$scratch/browser" "$@" "file://$page"; }
    open --enable-logging=stderr --dump-dom >"$scratch/dom" 2>"$scratch/console"
    report $? 'a browser opens it'
    ! grep -q CONSOLE "$scratch/console"
    report $? 'nothing on the console'
    [ "$(grep -c '<svg' "$scratch/dom")" = $pictures ]
    report $? "all $pictures pictures are drawn"
    open --screenshot="$scratch/page.png" --window-size=1200,3000 >/dev/null 2>&1 && [ "$(stat -c %s "$scratch/page.png")" -gt 100000 ]
    report $? 'and there is something to see'
    open --print-to-pdf="$scratch/page.pdf" >/dev/null 2>&1 && head -c 4 "$scratch/page.pdf" | grep -q '%PDF'
    report $? 'it prints'
else
    skip 'a browser opens it and shows all pictures' 'no Chromium here'
fi

echo "1..$n"
exit $failed
