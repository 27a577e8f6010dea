#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_real.sh - kvtwin run --world real as a user runs it, against servers that it starts itself: results, the same hits
# as the simulation, and nothing left behind, however the run ends.
#
# Runs the program in $KVTWIN (default build/release/kvtwin) from the repository's root. TMPDIR is a folder of our own, so
# whatever a run leaves there shows. Processes are found by their parent and ended by their number.
. tests/tap.sh
# Short: a unix socket's path has 107 bytes.
TMPDIR=$(mktemp -d /tmp/kvt.XXXXXX)
export TMPDIR
trap 'rm -rf "$TMPDIR" "$TMPDIR-own"' EXIT

report() { # STATUS TEXT: 0 is ok
    n=$((n + 1))
    if [ "$1" = 0 ]; then
        echo "ok $n - $2"
    else
        echo "not ok $n - $2"
        failed=1
        sed 's/^/# /' "$scratch/stderr" 2>/dev/null | head -n 5
    fi
}

if ! command -v redis-server >/dev/null; then
    echo "ok 1 - the real world # SKIP no redis-server here"
    echo 1..1
    exit 0
fi

# One request after the other, an eighth of a second apart, each done long before the next: no decision depends on time.
# The GPU tier holds a part of the documents, the host tier more, Redis and the disk all of them.
cat >"$scratch/calm.yaml" <<'YAML'
question: do both worlds find the same?
workload:
  generate: {kind: rag, requests: 48, rate: 8/s, arrivals: constant, documents: 20, zipf: 0.4, document_tokens: 160, document_cv: 0.2,
             documents_per_request: 1, system_tokens: 64, user_tokens: 32, answer_tokens: 4}
cluster: {model: qwen2.5-0.5b, gpu: a100-80g-sxm, host: local, network: loopback, engines: 1}
real: {device: host}
cache:
  block_tokens: 64
  load_or_compute: always
  load_patience: 0
  tiers:
    - {kind: gpu, capacity: 24blocks}
    - {kind: host, capacity: 32blocks}
    - {kind: redis, node: local, server: local, nodes: 2, capacity: 512MiB, codec: [lz4]}
    - {kind: disk, device: local, capacity: 1GiB}
YAML

real() { # FOLDER ARGUMENTS...
    local folder=$1
    shift
    timeout 60 "$kvtwin" run "$scratch/calm.yaml" --world real --out "$scratch/$folder" "$@" \
        >"$scratch/stdout" 2>"$scratch/stderr"
}
nothing_left() {
    [ -z "$(ls -A "$TMPDIR")" ]
}
whole_ledger() { # FILE
    awk -F'[:,]' '/"(hit|computed)_tokens_/ { sum += $2 } /"prompt_tokens"/ { all = $2 } END { exit sum != all || all == 0 }' "$1"
}
ledger() { # FOLDER
    grep -E '"(hit|computed)_tokens_|"(hit|lookup)_blocks"|"requests_(source|finished)|"(evicted|stored|loaded)_blocks_(gpu|host|disk)' \
        "$scratch/$1/summary.json"
}

# On a busy machine, or under a sanitizer, a request may last until the next one comes, and then time decides. Three
# attempts; one in which none did has to agree.
"$kvtwin" run "$scratch/calm.yaml" --world sim --no-baseline --out "$scratch/sim" >/dev/null 2>"$scratch/stderr"
report $? 'the scenario runs as simulation'
calm=no
for attempt in 1 2 3; do
    real real --record "$scratch/recording"
    code=$?
    [ $code = 0 ] || break
    awk -F'[:,]' '/"e2e_max_ms"/ { exit !($2 < 120) }' "$scratch/real/summary.json" && calm=yes && break
done
report $code 'the real world ends with 0'
if [ $calm = yes ] || [ "$(ledger sim)" = "$(ledger real)" ]; then
    [ "$(ledger sim)" = "$(ledger real)" ]
    report $? "both worlds find the same (attempt $attempt)"
else
    n=$((n + 1))
    echo "ok $n - both worlds find the same # SKIP too slow here: requests overlap"
fi
[ ! -s "$scratch/stderr" ] && nothing_left
report $? 'nothing on stderr, nothing left in TMPDIR'
all_files() { # FOLDER
    local file
    for file in summary.json requests.csv stages.csv timeline.csv ledger.csv metrics.prom run.json; do
        [ -s "$1/$file" ] || return 1
    done
}
all_files "$scratch/real"
report $? 'leaves all files'
whole_ledger "$scratch/real/summary.json" && [ "$(value requests "$scratch/real/summary.json")" = 48 ]
report $? 'all requests and all tokens are accounted for'
hits() { # FOLDER TIERS, each has some
    local folder=$1 tier
    shift
    for tier in "$@"; do
        [ "$(value "hit_tokens_$tier" "$scratch/$folder/summary.json")" -gt 0 ] || return 1
    done
}
hits real gpu host redis
report $? 'hits in the GPU, host and Redis tiers'
[ "$(value real_corrupt_values "$scratch/real/summary.json")" = 0 ] &&
    [ "$(value real_verified_bytes "$scratch/real/summary.json")" -gt 1000000 ]
report $? 'what was loaded was compared'
[ "$(value compute "$scratch/real/summary.json")" = modelled ] && grep -q 'GPU time is modelled' "$scratch/stdout" &&
    ! grep -q '"baseline_' "$scratch/real/summary.json"
report $? 'says that GPU time is modelled, and has no baseline'
[ "$(head -c 6 "$scratch/recording")" = KVTREC ]
report $? '--record leaves a recording'

real layer --set workload.limit=12 --set cache.tiers.redis.layout=per-layer --set cache.tiers.host.enabled=false \
    --set cache.tiers.disk.enabled=false --set cluster.kv_dtype=fp32 --set 'cache.tiers.redis.codec=fp16,zlib-1'
report $? 'layout per-layer, fp32 KV, codec fp16'
real off --set workload.limit=12 --baseline && [ -n "$(value baseline_ttft_p50_ms "$scratch/off/summary.json")" ]
report $? '--baseline runs one'
real kept --set workload.limit=12 --set cache.tiers.disk.folder="$scratch/values" --set cache.tiers.disk.keep=true &&
    [ -n "$(find "$scratch/values" -name 'kv:*' | head -n 1)" ] && nothing_left
report $? 'files are kept where that was asked for'

real policies --set workload.limit=24 --set cache.tiers.host.write=back --set cache.tiers.host.exclusive=true \
    --set cache.tiers.redis.write=selective --set cache.tiers.redis.manager=core --set cache.tiers.disk.write=none \
    --set cache.tiers.gpu.evict=s3-fifo --set workload.generate.tenants=2 --set cache.quotas=60%,30% &&
    whole_ledger "$scratch/policies/summary.json" && hits policies host && nothing_left
report $? 'write-back, selective, exclusive, s3-fifo and quotas'
real lent --set workload.limit=24 --set cluster.engines=2 --set cluster.router=round-robin --set cache.tiers.host.enabled=false \
    --set cache.tiers.redis.enabled=false --set cache.tiers.disk.enabled=false --set cache.tiers.peer.enabled=true &&
    [ "$(value hit_tokens_peer "$scratch/lent/summary.json")" -gt 0 ] && whole_ledger "$scratch/lent/summary.json"
report $? "engines lend each other's pages"

servers_of() { # PID: its children that are redis-servers. A bare machine has no pgrep
    local stat process name state parent rest
    for stat in /proc/[0-9]*/stat; do
        read -r process name state parent rest 2>/dev/null <"$stat" || continue
        [ "$parent" = "$1" ] && [ "$name" = '(redis-server)' ] && echo "$process"
    done
}
stored() { # anything, on any server
    local socket keys
    for socket in "$TMPDIR"/kvtwin-run-*/*/redis.sock; do
        keys=$(redis-cli -s "$socket" dbsize 2>/dev/null) && [ "${keys:-0}" -gt 0 ] && return
    done
    return 1
}
# Starts a run and waits until it is at work; $pid and $servers.
begin() { # FOLDER ARGUMENTS...
    local folder=$1
    shift
    "$kvtwin" run "$scratch/calm.yaml" --world real --out "$scratch/$folder" "$@" >"$scratch/stdout" 2>"$scratch/stderr" &
    pid=$!
    servers=
    for _ in $(seq 200); do
        servers=$(servers_of $pid)
        [ "$(wc -w <<<"$servers")" = 2 ] && break
        sleep 0.05
    done
    for _ in $(seq 200); do
        stored && break
        sleep 0.05
    done
}
dead() { # PIDS, within two seconds: a zombie of somebody else's is dead, too
    local process
    [ $# -gt 0 ] || return 1
    for process in "$@"; do
        for _ in $(seq 40); do
            grep -qs '^State:[[:space:]]*[^ZX]' "/proc/$process/status" || continue 2
            sleep 0.05
        done
        return 1
    done
}

begin stopped
[ "$(wc -w <<<"$servers")" = 2 ]
report $? 'starts two servers'
kill -INT $pid
wait $pid
code=$?
[ $code = 1 ] && grep -q 'interrupted, results so far are in' "$scratch/stderr" &&
    grep -q '"interrupted": *true' "$scratch/stopped/summary.json"
report $? 'Ctrl-C leaves results so far, says so, and ends with 1'
# shellcheck disable=SC2086
dead $servers && nothing_left
report $? 'Ctrl-C leaves no server, no socket, no folder'

begin hung
kill -HUP $pid
wait $pid
code=$?
# shellcheck disable=SC2086
[ $code = 1 ] && dead $servers && nothing_left && [ -s "$scratch/hung/summary.json" ]
report $? 'a terminal that closes leaves nothing either'

begin killed
kill -KILL "$(head -n 1 <<<"$servers")"
wait $pid
code=$?
[ $code = 0 ] && [ "$(value requests "$scratch/killed/summary.json")" = 48 ] && whole_ledger "$scratch/killed/summary.json"
report $? 'a server that is killed stops no run'
# shellcheck disable=SC2086
dead $servers && nothing_left
report $? 'and nothing is left then'

begin gone
kill -KILL $pid
{ wait $pid; } 2>/dev/null
# shellcheck disable=SC2086
dead $servers
report $? 'servers end with the program, even when it is killed'
! nothing_left && [ "$(find "$TMPDIR" -maxdepth 1 -name 'kvtwin-run-*' | wc -l)" = "$(find "$TMPDIR" -mindepth 1 -maxdepth 1 | wc -l)" ]
report $? 'what it had in TMPDIR is left'
mkdir "$TMPDIR/kvtwin-run-mine00" # bears such a name, and nothing else
real after --set workload.limit=12 && [ "$(ls -A "$TMPDIR")" = kvtwin-run-mine00 ] && rmdir "$TMPDIR/kvtwin-run-mine00"
report $? 'until the next run, which removes it and nothing else'

# A server of the user's own, with a password from the environment: it is used, and left alone.
mkdir "$TMPDIR-own"
socket=$TMPDIR-own/sock
redis-server --port 0 --unixsocket "$socket" --save '' --requirepass secret >/dev/null 2>&1 &
own=$!
for _ in $(seq 100); do
    [ -S "$socket" ] && break
    sleep 0.05
done
KVTWIN_REDIS_PASSWORD=secret real own --set workload.limit=24 --set cache.tiers.redis.nodes=1 \
    --set cache.tiers.redis.address="unix:$socket" --set cache.tiers.host.enabled=false &&
    [ "$(value stored_blocks_redis "$scratch/own/summary.json")" -gt 0 ] && nothing_left &&
    ! grep -rq secret "$scratch/own" "$scratch/stdout"
report $? "a server of the user's own"
held=$(redis-cli -s "$socket" -a secret --no-auth-warning dbsize)
[ "$held" = "$(value stored_blocks_redis "$scratch/own/summary.json")" ]
report $? 'and it holds what was stored'
KVTWIN_REDIS_PASSWORD=wrong real own2 --set cache.tiers.redis.nodes=1 \
    --set cache.tiers.redis.address="unix:$socket"
[ $? = 1 ] && [ "$(wc -l <"$scratch/stderr")" = 1 ] && nothing_left
report $? 'a wrong password is one line'
kill $own
wait $own 2>/dev/null

# Bad input and servers that are not there: one line, and nothing is left.
refuse() { # TEXT CODE PATTERN ARGUMENTS...
    local text=$1 code=$2 pattern=$3
    shift 3
    real refused "$@"
    [ $? = "$code" ] && [ "$(wc -l <"$scratch/stderr")" = 1 ] && grep -q "$pattern" "$scratch/stderr" &&
        [ ! -e "$scratch/refused" ] && nothing_left && ! grep -q secret "$scratch/stderr"
    report $? "$text"
}
refuse 'no server there' 1 'redis unix:/nowhere/s' --set cache.tiers.redis.nodes=1 \
    --set cache.tiers.redis.address=unix:/nowhere/s
refuse 'a port without server' 1 'redis ' --set cache.tiers.redis.nodes=1 \
    --set cache.tiers.redis.address=redis://user:secret@127.0.0.1:1
refuse 'wrong number of addresses' 2 'expected 2 addresses' --set cache.tiers.redis.address=unix:/a
refuse 'an address that is none' 2 'cache.tiers.redis.address' --set cache.tiers.redis.address=http://x,unix:/b
refuse 'a model without plain KV' 2 'MLA' --set cluster.model=deepseek-v3 --set cluster.gpus_per_engine=16
refuse 'more memory than there is' 2 'of main memory' --set cache.tiers.host.capacity=1PiB
refuse 'a codec that is none' 2 'cache.tiers.redis.codec' --set cache.tiers.redis.codec=gzip-9
refuse 'shards that are read in place' 2 'expected gather: in the real world nothing computes' --set cluster.gpus_per_engine=2 \
    --set cache.shard.policy=vertical --set cache.shard.access=in_place
refuse 'a policy that knows the future' 2 'has no future to ask' --set cache.tiers.gpu.evict=belady
refuse 'a folder that cannot be' 1 '/dev/null' --set cache.tiers.disk.folder=/dev/null/x
refuse 'a profile that is not there' 2 'no-such-profile' --profile no-such-profile

real masked --set workload.limit=1 --set cache.tiers.redis.enabled=false \
    --set cache.tiers.redis.address=redis://u:secret@h && ! grep -rq secret "$scratch/masked" "$scratch/stdout"
report $? 'a password is in no file'
real explained --explain && grep -q 'servers of its own' "$scratch/stdout" && nothing_left
report $? '--explain opens nothing'
"$kvtwin" doctor | grep -q 'Worlds that run here: null, sim, real'
report $? 'doctor knows the real world'

tap_end
