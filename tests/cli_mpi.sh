#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# cli_mpi.sh - kvtwin sweep under mpirun: the same bytes as without; a rank that is killed costs nothing but time, whether
# Open MPI ends the job with it (the next call goes on with what is stored) or was told not to (its runs are done again).
#
# Runs build/mpi/kvtwin, as `make mpi` leaves it, or KVTWIN_MPI; skipped where that or mpirun is absent, or of another revision.
. tests/tap.sh
mpi=${KVTWIN_MPI:-build/mpi/kvtwin}
skip() {
    echo "skipped: $1"
    echo "1..0 # SKIP $1"
    exit 0
}
command -v mpirun >/dev/null || skip "no mpirun here (Debian: openmpi-bin)"
[ -x "$mpi" ] || skip "$mpi is not built (make mpi)"
[ "$("$mpi" --version)" = "$("$KVTWIN" --version)" ] || skip "$mpi is of another revision (make mpi)"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

same() { # A B: every file but what says when and how, and pictures
    diff -rq -x run.json -x '*.png' -x '*.svg' "$1" "$2" >"$SCRATCH/diff"
}

scenario=$SCRATCH/small.yaml
cat >"$scenario" <<'YAML'
question: How much host memory is enough?
workload:
  generate: {kind: chat, requests: 4000, rate: 2/s}
cluster: {model: llama-3.1-8b, gpu: a100-80g-sxm, engines: 2}
cache:
  block_tokens: 64
  tiers:
    - {kind: gpu, capacity: 2000blocks}
    - {kind: host, capacity: 4GiB}
YAML
grid=(--vary cache.tiers.host.capacity=1GiB..16GiB log 9 --vary workload.rate_scale=0.5,1,2 --metrics ttft_p95_ms)
"$mpi" sweep "$scenario" "${grid[@]}" --out "$SCRATCH/alone" >/dev/null
mpirun --oversubscribe -n 2 "$mpi" sweep "$scenario" "${grid[@]}" --out "$SCRATCH/two" >"$SCRATCH/out" 2>"$SCRATCH/err"
status=$?
check "two ranks" sh -c "[ $status = 0 ] && grep -q '27 found\|27 done now' '$SCRATCH/out'"
check "leave the same bytes as none" same "$SCRATCH/alone" "$SCRATCH/two"

# The rank's own process, by its place in the job: a child of the mpirun that was started here.
rank_1() {
    local child
    for child in $(cat /proc/"$1"/task/*/children); do
        tr '\0' '\n' 2>/dev/null <"/proc/$child/environ" | grep -qx 'OMPI_COMM_WORLD_RANK=1' && echo "$child"
    done
}

killed() { # FOLDER OPTION...: three ranks, one of them killed once something is stored. $status, $some: stored by then
    local folder=$1 pid victim
    shift
    mpirun "$@" --oversubscribe -n 3 "$mpi" sweep "$scenario" "${grid[@]}" --out "$folder" >"$SCRATCH/out" 2>"$SCRATCH/err" &
    pid=$!
    for _ in $(seq 1500); do
        [ "$(ls "$folder/runs" 2>/dev/null | wc -l)" -ge 3 ] && break
        sleep 0.02
    done
    victim=$(rank_1 $pid)
    [ -n "$victim" ] && kill -KILL "$victim"
    some=$(ls "$folder/runs" | wc -l)
    wait $pid
    status=$?
}

killed "$SCRATCH/ended"
check "a rank is killed, and Open MPI ends the job: not exit 0, and not all is there" test $status != 0 -a "$some" -ge 3 -a "$(ls "$SCRATCH/ended/runs" | wc -l)" -lt 27
have=$(ls "$SCRATCH/ended/runs" | wc -l)
mpirun --oversubscribe -n 2 "$mpi" sweep "$scenario" "${grid[@]}" --out "$SCRATCH/ended" >"$SCRATCH/out" 2>"$SCRATCH/err"
status=$?
check "called again it does what is missing" sh -c "[ $status = 0 ] && grep -q '$have found, $((27 - have)) done now' '$SCRATCH/out'"
check "and leaves the same bytes" same "$SCRATCH/alone" "$SCRATCH/ended"

killed "$SCRATCH/lived" --enable-recovery
check "with --enable-recovery the others do the runs of the killed rank: exit 0" sh -c "[ $status = 0 ] && grep -q 'rank 1 is lost' '$SCRATCH/err'"
check "and leave the same bytes" same "$SCRATCH/alone" "$SCRATCH/lived"
tap_end
