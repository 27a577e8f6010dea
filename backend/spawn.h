/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * spawn.h - private redis-server processes on unix sockets: the embedded default, so that
 * nothing has to be set up first.
 *
 * Each server gets a folder of its own below one temporary folder (scratch.h), no TCP port, no
 * persistence, a memory limit and an eviction policy. It dies with this process, however that
 * ends: it is told to (parent death signal), and spawn_free kills by pid and removes the folder.
 * What a process that was killed could not remove, the next be_spawn_new does.
 * Other processes' servers are never touched.
 */
#ifndef BE_SPAWN_H
#define BE_SPAWN_H

#include <sys/types.h>

#include "redis.h"

struct be_spawn_config {
    uint32_t n;         /* servers */
    uint64_t memory_b;  /* maxmemory of each; UINT64_MAX: none */
    bool evicts;        /* allkeys-lru; else noeviction */
    uint32_t samples;   /* maxmemory-samples; 0: the server's own */
    const char *server; /* program; NULL: redis-server of the PATH */
};

struct be_spawn;

/* Starts them and waits until all answer, at most ten seconds. Servers end with the thread that
 * starts them: call this, and be_spawn_restart, from main's. NULL with one line in error. */
KVT_MUST_CHECK struct be_spawn *be_spawn_new(const struct be_spawn_config *config, char *error,
                                             size_t error_size);
/* Address of server i. Borrowed. */
const struct be_redis_address *be_spawn_address(const struct be_spawn *spawn, uint32_t i);
/* 0 when we know it to be dead. */
pid_t be_spawn_pid(const struct be_spawn *spawn, uint32_t i);
/* Kills server i (SIGKILL), or starts it again, empty, at the same address, and waits until it
 * answers: for faults and tests. 0 or a negative errno. */
int be_spawn_kill(struct be_spawn *spawn, uint32_t i);
int be_spawn_restart(struct be_spawn *spawn, uint32_t i);
/* Ends all, waits for them, removes what they left. Safe on NULL. */
void be_spawn_free(struct be_spawn *spawn);

#endif
