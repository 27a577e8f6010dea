#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_claims.sh - kvtwin claims as a user runs it: every claim answered, the tables in README.md and BENCHMARKS.md are
# what the command prints, and answers follow the catalogue, not a table of answers.
. tests/tap.sh

# The lines of a file between two marks.
between() { # FILE NAME
    sed -n "/<!-- $2 -->/,/<!-- end of $2 -->/p" "$1" | grep '^|'
}

"$kvtwin" claims >"$scratch/plain" 2>"$scratch/stderr"
report $? 'all claims are answered'
[ ! -s "$scratch/stderr" ] && [ "$(grep -c '^  claimed' "$scratch/plain")" = "$(ls scenarios/claims/*.yaml | wc -l)" ]
report $? 'one answer for each file'
grep -qE '^[0-9]+ of [0-9]+ hold$' "$scratch/plain"
report $? 'and a count at the end'
[ "$(grep -c '^  needs: .' "$scratch/plain")" = "$(grep -cE '^  claimed .*(too|does not|not to)' "$scratch/plain")" ]
report $? 'what does not hold says what would have to be true'

"$kvtwin" claims --markdown >"$scratch/claims.md"
between README.md claims >"$scratch/readme.md"
[ -s "$scratch/readme.md" ] && cmp -s "$scratch/claims.md" "$scratch/readme.md"
report $? "README's table is what the command prints"
"$kvtwin" claims --anchors --markdown >"$scratch/anchors.md"
report $? 'all anchors are predicted'
between BENCHMARKS.md anchors >"$scratch/benchmarks.md"
[ -s "$scratch/benchmarks.md" ] && cmp -s "$scratch/anchors.md" "$scratch/benchmarks.md"
report $? "BENCHMARKS's table of anchors is what the command prints"

"$kvtwin" claims --json failover gzip >"$scratch/two.json"
[ "$(grep -c '"name"' "$scratch/two.json")" = 2 ] && grep -q '"computed": 31500000000.0' "$scratch/two.json"
report $? 'two of them, for machines'
"$kvtwin" claims no-such >/dev/null 2>"$scratch/stderr"
[ $? = 2 ] && [ "$(wc -l <"$scratch/stderr")" = 1 ]
report $? 'a name that is none is bad input'
"$kvtwin" claims scenarios/quickstart.yaml >/dev/null 2>"$scratch/stderr"
[ $? = 2 ] && grep -q 'expected a claim: what it is about' "$scratch/stderr"
report $? 'so is a scenario without a claim'

# Another catalogue, other answers: nothing is written down anywhere else.
mkdir -p "$scratch/data"
cp -r scenarios "$scratch/data/"
sed -i 's/process: {value: 1.87 GB\/s/process: {value: 3.74 GB\/s/' "$scratch/data/scenarios/catalog/redis.yaml"
sed -i 's/price: {value: 6.981 USD\/h/price: {value: 13.962 USD\/h/' "$scratch/data/scenarios/catalog/prices.yaml"
sed -i 's/detect: {value: 30 s/detect: {value: 60 s/' "$scratch/data/scenarios/catalog/redis.yaml"
number() { # NAME
    "$kvtwin" claims --json "$1" | sed -n 's/^ *"computed": \([0-9.e+-]*\),$/\1/p'
}
for name in fetch redis-price failover total-hit-raw; do
    here=$(number $name)
    there=$(KVTWIN_DATA=$scratch/data number $name)
    case $name in
    fetch) want='b < a * 0.7' ;;
    total-hit-raw) want='b < a' ;;
    redis-price) want='b == 2 * a' ;;
    failover) want='b == a + 30e9' ;;
    esac
    awk -v a="$here" -v b="$there" "BEGIN { exit !(a > 0 && $want) }"
    report $? "$name follows the catalogue ($here, $there)"
done

tap_end
