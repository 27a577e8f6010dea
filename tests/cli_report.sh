#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_report.sh - kvtwin report as a user runs it: one file, complete, self-contained; in a browser, where there is one,
# it opens without a word on the console and shows every picture. A grid of 200 points is no larger a matter.
. tests/tap.sh

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
    pictures=9
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
grep -q 'from 800.5 to 999.5 ms over 200 points; the lowest is at cache.tiers.redis.nodes=1, workload.rate_scale=11' "$scratch/both.html"
report $? 'its answer is read from the points'

# What the other commands leave: variants, a grid, a plan.
sed 's/requests: 150/requests: 60/' "$scratch/r.yaml" >"$scratch/small.yaml"
"$kvtwin" compare "$scratch/small.yaml" --vary cluster.router=round-robin,prefix-aware --out "$scratch/compare" >/dev/null 2>&1
report $? 'a comparison to report on'
"$kvtwin" sweep "$scratch/small.yaml" --vary cache.tiers.host.capacity=1GiB,4GiB,8GiB --vary cache.tiers.redis.codec='[zstd-1],[fp16,zlib-3]' \
    --out "$scratch/sweep" >/dev/null 2>&1
report $? 'a sweep to report on'
"$kvtwin" plan "$scratch/small.yaml" --slo 'ttft_p95<10s' --over cluster.engines=1..3 --over cache.tiers.redis.nodes=1..2 --out "$scratch/plan" >/dev/null 2>&1
report $? 'a plan to report on'
page_all=$scratch/all.html
"$kvtwin" report "$scratch/compare" "$scratch/sweep" "$scratch/plan" --out "$page_all" >"$scratch/stdout" 2>"$scratch/stderr" && [ ! -s "$scratch/stderr" ]
report $? 'a report on the three of them'
drawn=$(ls "$scratch"/compare/*.svg "$scratch"/sweep/*.svg "$scratch"/plan/*.svg 2>/dev/null | wc -l)
[ "$(grep -c '<figure>' "$page_all")" = "$drawn" ]
report $? "all $drawn pictures of them are in it"
for words in 'small: comparison' 'small: sweep' 'small: plan' 'cluster.router=' 'over 6 points; the lowest is at cache.tiers.host.capacity=' \
    'The cheapest configuration that meets ttft_p95&lt;10s out of 6 has cluster.engines = 1, cache.tiers.redis.nodes = 1' 'with 5 of 5 seeds' '<td>cheapest</td>' \
    "plan .*small.yaml --slo 'ttft_p95&lt;10s' --over cluster.engines=1..3" 'elasticache\|AWS list price\|<td>gpu</td>\|r7g'; do
    grep -q -- "$words" "$page_all"
    report $? "it says: $words"
done
[ "$(grep -c 'The scenario, every key with where its value comes from' "$page_all")" = 3 ]
report $? 'each with its scenario'

"$kvtwin" report "$scratch" >/dev/null 2>"$scratch/stderr"
[ $? = 2 ] && [ "$(wc -l <"$scratch/stderr")" = 1 ] && grep -q 'no summary.json' "$scratch/stderr"
report $? 'a folder without results is bad input'
echo '{' >"$scratch/grid/summary.json"
"$kvtwin" report "$scratch/grid" --out "$scratch/both.html" >/dev/null 2>"$scratch/stderr"
[ $? = 2 ] && grep -q 'summary.json:' "$scratch/stderr" && grep -q 'how many nodes' "$scratch/both.html"
report $? 'a broken one too, and the report that is there stays'

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
if [ -n "$browser" ] && [ $pictures -gt 0 ]; then
    drawn_in_browser() { # PAGE PICTURES
        timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$scratch/browser" --enable-logging=stderr --dump-dom \
            "file://$1" >"$scratch/dom" 2>"$scratch/console" && ! grep -q CONSOLE "$scratch/console" && [ "$(grep -c '<svg' "$scratch/dom")" = "$2" ]
    }
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
    drawn_in_browser "$page_all" "$drawn"
    report $? "the report on variants, grid and plan too: nothing on the console, $drawn pictures"
else
    skip 'a browser opens it and shows all pictures' 'no Chromium here'
fi

tap_end
