#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_faults.sh - `faults:` on the command line: what is refused and how, what a run with faults leaves, twice the same.
. tests/tap.sh
peak=scenarios/faults/redis-node-at-peak.yaml
small="--no-baseline --set workload.generate.requests=900"
refused() { # what, expected part of the one line, faults, --set...
    local what=$1 expected=$2 faults=$3 out rc
    shift 3
    out=$("$kvtwin" run $peak --out "$scratch/none" --set "faults=$faults" "$@" 2>&1 >/dev/null)
    rc=$?
    [ $rc = 2 ] && [ "$(printf '%s\n' "$out" | wc -l)" = 1 ] && [[ $out == *"$expected"* ]] && [ ! -e "$scratch/none" ] ||
        { echo "# $rc $out"; false; }
    report $? "refused: $what"
}

refused "an unknown target" "faults[0].kill: expected a target: redis, redis/N, host/E" '[{at: 1s, kill: moon/0}]'
refused "a node too many" "faults[0].kill: expected redis/0 to redis/3, or redis for all of them" '[{at: 1s, kill: redis/4}]'
refused "an engine too many" "faults[1].kill: expected engine/0 to engine/3" '[{at: 1s, kill: redis/0, for: 1s}, {at: 1s, kill: engine/4}]'
refused "a number that is none" "faults[0].kill: expected redis/0 to" '[{at: 1s, kill: redis/x}]'
refused "a tier that is not there" "this cluster lacks a host tier" '[{at: 1s, kill: host/0}]'
refused "a time before the beginning" "faults[0].at: expected a duration that is not negative" '[{at: -1s, kill: redis/0}]'
refused "a time behind the end" "faults[0].at: expected a time before the last request arrives, at" '[{at: 30h, kill: redis/0}]'
refused "two kills of one node at a time" "faults[1].at: expected another time or part: redis/0 is killed by faults[0] then" \
    '[{at: 10s, kill: redis/0, for: 20s}, {at: 25s, kill: redis/0, for: 20s}]'
refused "a node and all nodes at a time" "redis is killed by faults[0] then" '[{at: 10s, kill: redis/0, for: 20s}, {at: 25s, kill: redis}]'
refused "two that may meet" "faults[1].every: expected another time or part" '[{at: 10s, kill: redis/0, for: 2s}, {every: 60s, kill: redis/0, for: 2s}]'
refused "a kind that the part has not" "expected another kind for network/0: partition, slow or corrupt" '[{at: 1s, kill: network/0}]'
refused "a GPU without shards" "expected gpu/0, all of the engine's" '[{at: 1s, kill: gpu/0.1}]'
refused "a partition that nobody would notice" "expected cache.tiers.redis.timeout, such as 1s, to be set" \
    '[{at: 1s, partition: redis/0, for: 1s}]' --set cache.tiers.redis.timeout=none
refused "again and again for ever" "faults[0].for: expected a duration" '[{every: 1min, kill: redis/0}]'
refused "an unknown failover" "cache.tiers.redis.failover: " '[{at: 1s, kill: redis/0}]' --set cache.tiers.redis.failover=magic
refused "nodes of the null world" "the null world has no time and no servers" '[{at: 1s, kill: redis/0}]' --set world=null
refused "more than servers in the real world" "the real world breaks only servers of its own" '[{at: 1s, kill: engine/0}]' --set world=real
refused "a word" "faults: expected a list such as" 'soon'
refused "a link that is killed" "expected slow: a link can be slow, and no more" '[{at: 1s, kill: redis0/nic_tx}]'
refused "a link that is not there" "faults[0].slow: expected a target" '[{at: 1s, slow: redis9/nic_tx, factor: 2}]'

run() { # name, faults, --set...
    local name=$1 faults=$2
    shift 2
    "$kvtwin" run $peak $small --out "$scratch/$name" --set "faults=$faults" "$@" >"$scratch/$name.txt" 2>&1
}
column() { # file, column, line
    awk -F, -v want="$2" -v line="$3" '/^#/ { next } !seen { for (i = 1; i <= NF; i++) at[$i] = i; seen = 1; next }
        ++n == line { print $at[want] }' "$1"
}

kills='[{at: 600s, kill: redis/0, for: 2min}, {at: 900s, slow: network, factor: 10, latency: 5ms, for: 60s}]'
run one "$kills" && run two "$kills"
report $? "a run with two faults"
same=0
for f in summary.json requests.csv timeline.csv faults.csv fault_timeline.csv; do
    cmp -s "$scratch/one/$f" "$scratch/two/$f" || same=1
done
report $same "the same bytes twice"
[ "$(column "$scratch/one/faults.csv" target 1)" = redis/0 ] && [ "$(column "$scratch/one/faults.csv" until_s 1)" = 720.000 ] &&
    [ "$(column "$scratch/one/faults.csv" blocks_lost 1)" -gt 0 ] && [ "$(column "$scratch/one/faults.csv" target 2)" = network ]
report $? "one line for each, with what was lost"
grep -q '"faults": 2' "$scratch/one/summary.json" && grep -q 'kill redis/0 at 600.0 s for 120 s: ' "$scratch/one.txt"
report $? "in the summary, for machines and for people"
awk -F, '/^#/ || /^time_s/ { next } { n++; r += $3; if ($1 <= last) bad = 1; last = $1 } END { exit !(n >= 100 && r == 900 && !bad) }' \
    "$scratch/one/fault_timeline.csv"
report $? "the time line has every request once"

run none none
[ "$(grep -vc '^#' "$scratch/none/faults.csv")" = 1 ] && ! grep -q '"faults"' "$scratch/none/summary.json"
report $? "nothing broke: no lines"
rm -rf "$scratch/none"
digest() { grep -o '"decisions_digest": "[0-9a-f]*"' "$scratch/$1/summary.json"; }
run late '[{at: 1s, slow: redis0/nic_rx, factor: 1.000001, for: 1ns}]'
run plain none
[ -n "$(digest late)" ] && [ "$(digest late)" = "$(digest plain)" ]
report $? "what is over in an instant changes no decision"

replicated="--set cache.tiers.redis.replicas=1 --set cache.tiers.redis.nodes=8"
run failover '[{at: 600s, kill: redis/1, for: 10min}]' $replicated --set cache.tiers.redis.failover=cluster-2s
[ "$(column "$scratch/failover/faults.csv" failed_over 1)" = 1 ] && [ "$(column "$scratch/failover/faults.csv" blocks_lost 1)" = 0 ] &&
    awk -v t="$(column "$scratch/failover/faults.csv" until_s 1)" 'BEGIN { exit !(t >= 602.85 && t <= 604.85) }'
report $? "a replica takes over, by the catalogue's timers"
run quick '[{at: 600s, kill: redis/1, for: 2s}]' $replicated
[ "$(column "$scratch/quick/faults.csv" failed_over 1)" = 0 ] && [ "$(column "$scratch/quick/faults.csv" blocks_lost 1)" -gt 0 ]
report $? "a primary that is back before anybody noticed takes its replica's content along"

"$kvtwin" run $peak $small --world null --out "$scratch/null" --set 'faults=[{at: 600s, kill: redis, for: 2min}, {at: 800s, kill: engine/1, for: 60s}]' >/dev/null 2>&1
[ $? = 0 ] && [ "$(column "$scratch/null/faults.csv" blocks_lost 1)" -gt 0 ]
report $? "the null world loses a tier, and an engine"

"$kvtwin" run $peak --explain --set "faults=$kills" 2>/dev/null >"$scratch/explained.yaml" &&
    "$kvtwin" run "$scratch/explained.yaml" $small --out "$scratch/again" >/dev/null 2>&1 &&
    cmp -s "$scratch/again/faults.csv" "$scratch/one/faults.csv"
report $? "explained, and run from that"

if command -v gnuplot >/dev/null; then
    "$kvtwin" plot --only faults "$scratch/one" >/dev/null && [ -s "$scratch/one/faults.png" ] && [ -s "$scratch/one/faults.svg" ]
    report $? "a picture"
    ! "$kvtwin" plot --only faults "$scratch/plain" >/dev/null 2>"$scratch/plot.txt" && grep -q 'expected a run with faults' "$scratch/plot.txt"
    report $? "no picture where nothing broke"
fi

if command -v redis-server >/dev/null; then
    TMPDIR=$(mktemp -d /tmp/kvt.XXXXXX)
    export TMPDIR
    "$kvtwin" run scenarios/real-redis.yaml --world real --out "$scratch/real" --set workload.limit=60 --set workload.rate_scale=3 \
        --set 'faults=[{at: 2s, kill: redis/0, for: 1s}, {at: 4s, partition: redis/0, for: 500ms}]' >"$scratch/real.txt" 2>&1
    [ $? = 0 ] && [ "$(column "$scratch/real/faults.csv" blocks_lost 1)" -gt 0 ] && [ "$(column "$scratch/real/faults.csv" kind 2)" = partition ] &&
        [ -z "$(ls -A "$TMPDIR")" ]
    report $? "the real world kills and stops a server of its own, and leaves nothing"
    rm -rf "$TMPDIR"
fi

tap_end
