#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_codec.sh - kvtwin codec: figures that are known beforehand, files and stored values, and one line for what is wrong.
. tests/tap.sh

# Leaves the exit code in $status, output in $SCRATCH/out and messages in $SCRATCH/err. Little data, little time.
codec() {
    "$KVTWIN" codec --seconds 0 "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
    status=$?
}

refused() { # STATUS PATTERN
    [ "$status" = "$1" ] && [ "$(wc -l <"$SCRATCH/err")" = 1 ] && [ ! -s "$SCRATCH/out" ] &&
        grep -q -- "$2" "$SCRATCH/err"
}

done_quietly() {
    [ "$status" = 0 ] && [ ! -s "$SCRATCH/err" ] && [ -s "$SCRATCH/out" ]
}

value() { # KEY: the first of the JSON printed last
    sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" "$SCRATCH/out" | head -n 1
}

between() { # KEY LEAST MOST
    done_quietly && awk -v x="$(value "$1")" -v a="$2" -v b="$3" 'BEGIN { exit !(x != "" && x + 0 >= a && x + 0 <= b) }' &&
        return 0
    echo "# $1 is $(value "$1"), expected $2 to $3"
    return 1
}

small=(--layers 1 --heads 2 --head-dim 64 --tokens 64)

# ---- Figures ----
codec --synthetic kv --layers 1 --json --chains int8
check "int8 of bf16: two thirds of a percent over half" between ratio 1.9 2
check "int8: errors are small" between rms_relative_error 0.001 0.02
check "rates are there" between decode_core_bps 1e6 1e13
codec --synthetic kv --layers 1 --json --chains int4
check "int4 with fp32 scales: 6 bits for 16" between ratio 2.6 2.7
codec --synthetic kv --layers 1 --json --chains planes-zstd-1
check "byte planes find the exponents" between ratio 1.3 1.6
check "and lose nothing" between max_error 0 0
codec --synthetic kv --layers 1 --json --chains zstd-1 --dtype fp16
check "fp16 has little to find" between ratio 1.02 1.2
codec --synthetic kv --layers 1 --json --chains fp16 --dtype fp32
check "fp32 to fp16 is half" between ratio 2 2
check "with half a unit in the last place" between rms_relative_error 1e-5 1e-3
codec --synthetic zero "${small[@]}" --json --chains zstd-1
check "zeroes vanish" between ratio 100 100000
codec --synthetic random "${small[@]}" --json --chains zstd-1
check "random bits do not" between ratio 0.9 1
check "and then no link is slow enough" between load_pays_serial_below_bps 0 0
codec --synthetic random --chains int8
check "a NaN is said" grep -q 'int8.*not for this data' "$SCRATCH/out"
codec --synthetic gaussian "${small[@]}" --json --chains 'int8' && cp "$SCRATCH/out" "$SCRATCH/first"
codec --synthetic gaussian "${small[@]}" --json --chains 'int8'
check "the same data twice" test "$(grep -e ratio -e error "$SCRATCH/out")" = "$(grep -e ratio -e error "$SCRATCH/first")"
codec --synthetic gaussian "${small[@]}" --json --chains 'int8' --seed 2
check "another seed, other data" test "$(grep error "$SCRATCH/out")" != "$(grep error "$SCRATCH/first")"
codec --synthetic kv "${small[@]}" --threads 2 --chains 'none; int8,zstd-1'
check "a table, with threads" grep -q 'scaling' "$SCRATCH/out"
check "one line per chain" test "$(grep -c -e '^none ' -e '^int8,zstd-1 ' "$SCRATCH/out")" = 2
codec --synthetic gaussian "${small[@]}"
check "without --chains: the catalogue's" grep -q '^planes,libdeflate-1 ' "$SCRATCH/out"
"$KVTWIN" codec --help >"$SCRATCH/out"
check "--help" grep -q 'usage: kvtwin codec' "$SCRATCH/out"

# ---- Files ----
head -c 32768 /dev/zero >"$SCRATCH/kv"
codec "$SCRATCH/kv" --heads 2 --head-dim 64 --json --chains lz4
check "a file: tokens follow from its size" between tokens 64 64
codec "$SCRATCH/kv" --heads 2 --head-dim 64 --tokens 16 --layers 2 --json --chains lz4
check "blocks one behind the other" between pieces 4 4
# The stored value of FORMAT.md: its bytes, from the document.
sed -n '/^00[0-9a-f]0  /p' backend/FORMAT.md | cut -c 7-53 | tr -d ' \n' | sed 's/../\\x&/g' >"$SCRATCH/hex"
printf "$(cat "$SCRATCH/hex")" >"$SCRATCH/value"
codec "$SCRATCH/value" --json --chains none
check "a stored value is decoded" between raw_b 8 8
printf 'x' | dd of="$SCRATCH/value" bs=1 seek=100 conv=notrunc status=none
codec "$SCRATCH/value" --chains none; check "a damaged one is not" refused 2 'wrong checksum'
codec "$SCRATCH/value" --tokens 5 --chains none; check "its shape is its own" refused 2 'expected no shape'

# ---- Bad input ----
codec; check "nothing" refused 2 'expected a file, or --synthetic'
codec "$SCRATCH/kv" --synthetic kv; check "both" refused 2 'expected a file, or --synthetic'
codec a b; check "two files" refused 2 'expected one file'
codec "$SCRATCH/none" --chains none; check "no such file" refused 2 'No such file'
codec "$SCRATCH" --chains none; check "a folder" refused 2 'regular file'
codec /dev/zero --chains none; check "a device" refused 2 'regular file'
: >"$SCRATCH/empty"
codec "$SCRATCH/empty" --chains none; check "an empty file" refused 2 'regular file'
codec "$SCRATCH/kv" --heads 3 --chains none; check "not the file's shape" refused 2 'expected a multiple of'
codec --synthetic kvs; check "unknown data" refused 2 'expected gaussian, kv'
codec --synthetic kv --chains zstd-20; check "a level that is none" refused 2 'zstd-1 to zstd-19'
codec --synthetic kv --chains 'int8,planes'; check "planes of int8" refused 2 'one plane'
codec --synthetic kv --chains 'gzip-3'; check "unknown codec" refused 2 'expected none, fp16'
codec --synthetic kv --chains ''; check "no chain" refused 2 'expected a step'
codec --synthetic kv --dtype int8; check "no type of KV" refused 2 'expected bf16, fp16 or fp32'
codec --synthetic kv --tokens 0; check "no tokens" refused 2 'tokens: expected'
codec --synthetic kv --threads 65; check "threads" refused 2 '1 to 64'
codec --synthetic kv --tokens 16777216 --heads 1000 --chains none; check "too large" refused 2 '1 GiB'
codec --synthetic kv --seconds x; check "seconds" refused 2 'seconds: expected'
codec --synthetic kv --chain none; check "a near option" refused 2 'did you mean --chains'
codec --synthetic; check "no value" refused 2 'expected a value'
codec --synthetic kv -x; check "a short option" refused 2 'unknown option'
codec --synthetic kv --json=1; check "a value too many" refused 2 'expected no value'
"$KVTWIN" codec --synthetic zero "${small[@]}" --seconds 0 --chains none >/dev/full 2>"$SCRATCH/err"
check "figures that cannot be printed" test $? = 1
(ulimit -v 200000 && "$KVTWIN" codec --synthetic zero --layers 100 --chains none --seconds 0 >"$SCRATCH/out" 2>"$SCRATCH/err")
status=$?
if [ -n "$(nm "$KVTWIN" 2>/dev/null | grep -m 1 -e __asan_ -e __tsan_)" ]; then
    n=$((n + 1))
    echo "ok $n - memory that is short # SKIP a sanitizer needs more"
else
    check "memory that is short" refused 1 'memory'
fi
tap_end
