#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_regions.sh - regions on the command line: what is refused and how, what a run leaves under each policy, and what that
# costs.
. tests/tap.sh
two=scenarios/regions/two.yaml
refused() { # what, expected part of the one line, --set...
    local what=$1 expected=$2 out
    shift 2
    out=$("$kvtwin" run "$two" --out "$scratch/none" "$@" 2>&1 >/dev/null)
    local rc=$?
    [ $rc = 2 ] && [ "$(printf '%s\n' "$out" | wc -l)" = 1 ] && [[ $out == *"$expected"* ]] && [ ! -e "$scratch/none" ]
    report $? "refused: $what"
}
refused "one region" "regions.names: expected none, or 2 to 8 different names" --set regions.names=east
refused "the same twice" "regions.names: expected none, or 2 to 8 different names" --set regions.names=east,east
refused "an empty name" "regions.names: expected none, or 2 to 8" --set regions.names=east,
refused "nine regions" "regions.names: expected none, or 2 to 8" --set regions.names=a,b,c,d,e,f,g,h,i
refused "shares that are too much" "regions.share: expected even, or 2 shares that add up to 100 %" --set regions.share=60%,50%
refused "a share too few" "regions.share: expected even, or 2 shares" --set regions.share=100%
refused "a share that is none" "regions.share: expected" --set regions.share=much,little
refused "engines that do not add up" "regions.engines: expected even, or 2 numbers from 1 on that add up to cluster.engines, 4" --set regions.engines=1,2
refused "a region without engine" "regions.engines: expected even, or 2 numbers from 1 on" --set regions.engines=4,0
refused "fewer engines than regions" "cluster.engines: expected at least 2, one for each region" --set cluster.engines=1
refused "an unknown link" "regions.link: " --set regions.link=string
refused "a bandwidth without unit" "regions.bandwidth: expected" --set regions.bandwidth=50
refused "no bandwidth" "regions.bandwidth: expected more than 0" --set regions.bandwidth=0Gb/s
refused "a round trip without unit" "regions.round_trip: expected" --set regions.round_trip=31
refused "a round trip below the near one" "regions.round_trip: expected no less than within a region" --set regions.round_trip=1us
refused "more roaming than there is" "regions.roam: expected" --set regions.roam=101%
refused "an unknown policy" "regions.policy: expected one of recompute, remote-read, replicate" --set regions.policy=hope
refused "an unknown key" "regions" --set regions.weather=1
refused "nodes that cannot be divided" "cache.tiers.redis.nodes: expected as many primaries in each region" --set cache.tiers.redis.nodes=3
refused "bytes counted twice" "prices.inter_region_ratio: expected 0" --set prices.inter_region_ratio=10%
refused "beside a roll-out" "regions.names: expected none beside a roll-out" --set rollout.at=100s
refused "beside faults" "regions.names: expected none beside faults" --set 'faults=[{at: 30s, kill: redis/0, for: 20s}]'
refused "sharded engines" "regions.names: expected none, or cache.shard.policy: none" --set cache.shard.policy=horizontal
refused "write-back" "cache.tiers.redis.write: expected through, selective or none" --set cache.tiers.redis.write=back --set cache.tiers.redis.manager=core
refused "the real world" "regions.names: expected none: regions are for the null and the simulated world" --set world=real

figure() { awk -F': ' -v key="\"$2\"" '$1 ~ key { gsub(/[ ,]/, "", $2); print $2 }' "$scratch/$1/summary.json"; }
small="--set workload.generate.requests=500 --set regions.roam=20%"
run() { # name, --set...
    local name=$1
    shift
    # shellcheck disable=SC2086
    "$kvtwin" run "$two" --no-baseline $small "$@" --out "$scratch/$name" >"$scratch/$name.txt" 2>&1
}
run plain --set regions.names=none
report $? "runs without regions"
! grep -q region_ "$scratch/plain/summary.json" && ! grep -q '^regions' "$scratch/plain.txt"
report $? "which leaves no word of them"
for policy in recompute remote-read replicate; do
    run $policy --set regions.policy=$policy && grep -q "^regions  *$policy;" "$scratch/$policy.txt" &&
        [ "$(figure $policy requests_finished)" = 500 ]
    report $? "runs under $policy, and serves everyone"
done
[ "$(figure recompute inter_region_bytes)" = 0 ] && [ "$(figure recompute cost_usd_per_hour_regions)" = 0.0 ]
report $? "recompute moves nothing between regions, and pays nothing"
block=$((256 * 327680))
for policy in remote-read replicate; do
    b=$(($(figure $policy inter_region_loaded_blocks) + $(figure $policy inter_region_stored_blocks)))
    [ "$b" -gt 0 ] && [ "$(figure $policy inter_region_bytes)" = $((b * block)) ]
    report $? "$policy: bytes between regions are those of its blocks"
    links=$(awk -F, '/^region[01]-[01]\/link/ { s += $NF } END { printf "%.0f", s }' "$scratch/$policy/utilization.csv")
    [ "$links" = "$(figure $policy inter_region_bytes)" ]
    report $? "$policy: and those of the links"
    hours=$(awk -F, '!/^#/ && $1 == "regions" { print; exit }' "$scratch/$policy/cost.csv")
    [ -n "$hours" ] && [ "$(figure $policy cost_usd_per_hour_regions)" != 0.0 ]
    report $? "$policy: which are paid for"
done
awk -v a="$(figure recompute prefix_hit_rate)" -v b="$(figure remote-read prefix_hit_rate)" \
    -v c="$(figure replicate prefix_hit_rate)" 'BEGIN { exit !(a < b && a < c) }'
report $? "both find what recompute does not"
[ "$(figure remote-read inter_region_bytes)" -lt "$(figure replicate inter_region_bytes)" ]
report $? "reading moves less than storing everywhere"
run again --set regions.policy=remote-read && cmp -s "$scratch/again/summary.json" "$scratch/remote-read/summary.json" &&
    cmp -s "$scratch/again/requests.csv" "$scratch/remote-read/requests.csv"
report $? "the same bytes twice"
run price --set regions.policy=remote-read --set prices.regions=0.2USD/GB &&
    awk -v a="$(figure remote-read cost_usd_per_hour_regions)" -v b="$(figure price cost_usd_per_hour_regions)" \
        'BEGIN { d = b / a - 10; exit !(d * d < 1e-6) }'
report $? "ten times the price is ten times the cost"
run three --set regions.names=a,b,c --set regions.share=even --set cluster.engines=4 --set regions.engines=2,1,1 --set cache.tiers.redis.nodes=3 &&
    grep -q "b to c" "$scratch/three.txt"
report $? "three regions"
run null --world null --set cache.tiers.gpu.capacity=2000blocks && [ "$(figure null inter_region_loaded_blocks)" -gt 0 ] &&
    [ "$(figure null inter_region_bytes)" = null ]
report $? "in the null world, which has no links"
run equal --equal-slo --set regions.engines=3,1 --set workload.generate.requests=200 && grep -q equal_slo_runs "$scratch/equal/summary.json"
report $? "the search for as many GPUs without cache, at least one in each region"
# shellcheck disable=SC2086
"$kvtwin" compare "$two" $small --vary regions.policy=recompute,remote-read,replicate --out "$scratch/compare" >"$scratch/compare.txt" 2>&1 &&
    grep -q "inter region bytes" "$scratch/compare.txt"
report $? "side by side"
tap_end
