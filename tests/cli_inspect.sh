#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_inspect.sh - kvtwin inspect: whole values from files and from a Redis of its own, each kind of damage by its
# name, and one line for what is no value at all. test_inspect writes the values.
set -u
: "${KVTWIN:?}" "${SCRATCH:?}" "${BUILD:?}"
n=0
server=

check() { # TEXT COMMAND...
    n=$((n + 1))
    local text=$1
    shift
    if "$@"; then echo "ok $n - $text"; else
        echo "not ok $n - $text"
        sed 's/^/# /' "$SCRATCH/err"
    fi
}

skip() { # TEXT WHY
    n=$((n + 1))
    echo "ok $n - $1 # SKIP $2"
}

# Runs kvtwin inspect; leaves its exit code in $status, output in $SCRATCH/out and messages in $SCRATCH/err.
inspect() {
    "$KVTWIN" inspect "$@" >"$SCRATCH/out" 2>"$SCRATCH/err"
    status=$?
}

verified() { # PATTERN...: the last one was, and its output has lines that match
    [ "$status" = 0 ] && [ ! -s "$SCRATCH/err" ] || return 1
    local pattern
    for pattern; do
        grep -Eq -- "$pattern" "$SCRATCH/out" || {
            echo "# no $pattern"
            return 1
        }
    done
}

refused() { # STATUS PATTERN: with one line that matches
    [ "$status" = "$1" ] && [ "$(wc -l <"$SCRATCH/err")" = 1 ] && grep -Eq -- "$2" "$SCRATCH/err"
}

damaged() { # CHECK: the report names it too
    refused 1 "damaged: $1\$" && grep -Eq "failed check +$1\$" "$SCRATCH/out"
}

flip() { # FILE OFFSET: one bit
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059
    printf "$(printf '\\%03o' $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

values=$SCRATCH/values
mkdir -p "$values"
"$BUILD/tests/test_inspect" write "$values" || { echo "not ok 1 - test_inspect writes values"; exit 1; }
cd "$values" || exit 1
plain=kv:00000000000000000000000000000005:1:0-2
zstd=kv:00000000000000010000000000000005:1:0-2
int8=kv:00000000000000020000000000000005:1:0-2
meta=kv:00000000000000640000000000000005:2:meta
raw_b=$(stat -c %s raw)

# ---- Whole values -----------------------------------------------------------------------------------

inspect "$plain"
check 'a value without codec' verified '^verified +yes' '^codec +none' '^layout +packed' '^shard +1$' \
    '^of shards +2$' '^KV heads +4$' '^type +bf16' '^tokens +32$' '^digest +0{15}' '^K +24,?576 ' '^V +24,?576 '
for value in "$zstd" "$int8"; do
    inspect "$values/$value"
    check "a value with a codec, $(sed -n 's/^codec *//p' "$SCRATCH/out")" verified '^verified +yes' '^codec +[a-z0-9]'
done
inspect "$meta"
check 'a layer as three values, by its meta' verified '^layout +per-layer' '^codec of K' '^K ' '^V '
inspect "${meta%meta}v"
check 'and by its V' verified "^name +${meta%meta}v" '^verified +yes'

inspect "$zstd" --json --out decoded
json() {
    [ "$status" = 0 ] && python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["verified"] is True and r["raw_b"] == int(sys.argv[2]) and r["codec"] == "planes,zstd-1", r
assert r["k"]["nan"] == 0 and r["k"]["min"] < r["k"]["mean"] < r["k"]["max"], r
assert r["stored_b"] == r["payload_b"] + 96, r
' "$SCRATCH/out" "$raw_b"
}
check 'JSON says the same' json
check '--out writes the decoded KV' cmp -s decoded raw
inspect "$plain" --out "$SCRATCH/no/such/file"
check '--out that cannot be written' refused 1 'No such file'

# ---- Damage -----------------------------------------------------------------------------------------

broken() { # CHECK OFFSET
    cp "$zstd" bad
    flip bad "$2"
    inspect bad
    check "a flipped bit at $2 is found: $1" damaged "$1"
}
broken magic 1
broken version 5
broken checksum 9
broken checksum 20
broken checksum 200
head -c 90 "$zstd" >bad
inspect bad
check 'a value cut in its head' damaged truncated
head -c 4000 "$zstd" >bad
inspect bad
check 'a value cut in its payload' damaged length
cp "$zstd" kv:00000000000000090000000000000005:1:0-2
inspect kv:00000000000000090000000000000005:1:0-2
check "another key's value" damaged key
cp raw bad
inspect bad
check 'something else' damaged magic
: >bad
inspect bad
check 'an empty file' damaged truncated
cp "${meta%meta}k" keep
flip "${meta%meta}k" 7
inspect "$meta"
check 'a flipped bit in K alone' damaged checksum
cp keep "${meta%meta}k"
cp "$meta" keep
flip "$meta" 60
inspect "$meta"
check 'a flipped bit in meta' damaged '[a-z]+'
cp keep "$meta"
mv "${meta%meta}v" keep
inspect "$meta"
check 'a V that is missing' refused 1 ':v: missing'
mv keep "${meta%meta}v"
find_nothing() { # no flip of any of the first bytes goes unseen or ends otherwise
    local i
    for i in $(seq 0 3 95); do
        cp "$int8" bad
        flip bad "$i"
        inspect bad
        [ "$status" = 1 ] || { echo "# offset $i: $status"; return 1; }
    done
}
check 'every byte of the head counts' find_nothing

# ---- No value ---------------------------------------------------------------------------------------

inspect nothing
check 'a missing file' refused 1 'missing'
inspect "$values"
check 'a folder' refused 2 'folder'
inspect "$values/"
check 'a folder with a slash' refused 2 'folder'
truncate -s 1100M big
inspect big
check 'a file of more than 1 GiB' refused 2 '1 GiB'
rm -f big
inspect
check 'no argument' refused 2 'expected a key or a file'
inspect a b
check 'two arguments' refused 2 'expected one'
inspect --what
check 'an unknown option' refused 2 '--redis'
inspect a --redis
check 'an option without its value' refused 2 'value'
inspect --help
check 'help' verified '^usage'
inspect a --redis 'redis://u:secret@host:port'
check 'an address that is none' refused 2 'Redis address'
check 'and no password in the message' bash -c "! grep -q secret '$SCRATCH/err'"
inspect a --redis unix:/no/such/socket
check 'a Redis that is not there' refused 1 'unix:/no/such/socket'

# ---- From a Redis -----------------------------------------------------------------------------------

if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null; then
    skip 'values from a Redis' 'no redis-server here'
    echo "1..$n"
    exit 0
fi
# A socket's path may have 107 bytes, and SCRATCH may be longer.
folder=$(mktemp -d)
socket=$folder/s
end() {
    [ -z "$server" ] || { kill "$server" && wait "$server"; } 2>/dev/null
    rm -rf "$folder"
}
trap end EXIT
redis-server --port 0 --unixsocket "$socket" --save '' --dir "$folder" --requirepass secret >/dev/null 2>&1 &
server=$!
export REDISCLI_AUTH=secret KVTWIN_REDIS_PASSWORD=secret
redis() { redis-cli -s "$socket" "$@" 2>/dev/null; }
for _ in $(seq 100); do
    [ "$(redis ping)" = PONG ] && break
    sleep 0.1
done
for value in "$zstd" "$meta" "${meta%meta}k" "${meta%meta}v"; do
    redis -x set "$value" <"$value" >/dev/null
done
redis expire "$zstd" 5000 >/dev/null
redis -x -n 3 set "$plain" <"$plain" >/dev/null
redis rpush list a >/dev/null
redis -x set kv:other <"$zstd" >/dev/null

inspect "$zstd" --redis "unix:$socket"
check 'a value of a key, with its time to live' verified '^verified +yes' '^expires in +[0-9,]+ ms'
inspect "$meta" --redis "unix:$socket"
check 'a layer as three keys' verified '^layout +per-layer' '^verified +yes'
inspect "$plain" --redis "unix:$socket?db=3"
check 'of another database' verified '^codec +none'
inspect "$plain" --redis "unix:$socket"
check 'a missing key' refused 1 'missing'
inspect list --redis "unix:$socket"
check 'a key of another type' refused 1 'holds no string'
inspect kv:other --redis "unix:$socket"
check 'a value under the wrong key' damaged key
redis setrange "$zstd" 300 XXXXXXXX >/dev/null
inspect "$zstd" --redis "unix:$socket"
check 'a value damaged in Redis' damaged checksum
redis del "${meta%meta}k" >/dev/null
inspect "$meta" --redis "unix:$socket"
check 'a key of the three that is missing' refused 1 ':k: missing'
KVTWIN_REDIS_PASSWORD=wrong inspect "$zstd" --redis "unix:$socket"
check 'a wrong password' refused 1 'WRONGPASS|invalid'
KVTWIN_REDIS_PASSWORD= inspect "$zstd" --redis "unix:$socket"
check 'no password' refused 1 'NOAUTH'
{ kill -KILL "$server"; wait "$server"; } 2>/dev/null
server=
inspect "$zstd" --redis "unix:$socket"
check 'a Redis that is gone' refused 1 'unix:'
echo "1..$n"
