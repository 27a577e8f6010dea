#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_readme.sh - what README shows of runs is what the program prints: line by line.
. tests/tap.sh

# Lines of the N-th block of code between two headings of README, but "..." and empty ones.
block() { # HEADING N
    awk -v heading="## $1" -v wanted="$2" '
        /^## / { inside = $0 == heading }
        inside && /^```/ { if (open) open = 0; else { open = 1; n++ }; next }
        inside && open && n == wanted && $0 != "..." && $0 != "" { print }' README.md
}

holds() { # TEXT OUTPUT: every line of standard input is one of OUTPUT
    local missing lines
    lines=$(cat)
    missing=$(grep -vxF -f "$2" <<<"$lines")
    n=$((n + 1))
    if [ -n "$lines" ] && [ -z "$missing" ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        echo "# README says, and the program does not:"
        printf '# %s\n' "${missing//$'\n'/$'\n'# }"
        failed=1
    fi
}

"$kvtwin" run scenarios/quickstart.yaml --out "$scratch/quickstart" >"$scratch/run.txt" || exit 1
holds 'the quickstart: latency, tokens, tiers' "$scratch/run.txt" < <(block 'Sixty seconds' 1)
holds 'the quickstart: bill and verdict' "$scratch/run.txt" < <(block 'Sixty seconds' 2)

"$kvtwin" compare scenarios/quickstart.yaml --vary cluster.router=round-robin,least-loaded,hash-affinity,prefix-aware \
    --out "$scratch/compare" >"$scratch/compare.txt" || exit 1
holds 'four routers side by side' "$scratch/compare.txt" < <(block 'Side by side' 2)

tap_end
