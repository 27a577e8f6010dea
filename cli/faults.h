/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * faults.h - what breaks in a run: which parts, when, what that means to each world, and what is written down of it.
 *
 *      resolve_faults   the scenario's list (scenario_faults.c) against the cluster -> struct fault_plan
 *      faults_begin     beside a world and its core: nothing is broken yet
 *      faults_next      when something changes next; the driver advances to then
 *      faults_apply     lets it: conditions of the simulated world (sim/fault.h), signals to servers of the real one,
 *                       and what core hears: a tier went down, came back, came back empty (core.h)
 *      faults_end       the run is over
 *
 *                  kill                        partition           slow      corrupt     full
 *      redis/N     content lost, refuses       no answer           links,    of values   writes
 *                                                                  commands  read        refused
 *      host/E      memory lost                 -                   copies    likewise    likewise
 *      disk/E      content lost                unreachable         drives    likewise    likewise
 *      gpu/E       KV on its GPUs lost; its    -                   steps     -           -
 *                  requests go elsewhere
 *      gpu/E.G     that GPU's shards; a spare takes its place at once (cache.shard)
 *      engine/E    gpu/E and host/E            -                   -         -           -
 *      network/E   -                           Redis and peers     NICs      of values   -
 *      a link      -                           -                   it        -           -
 *
 * Without a number a target is all of its kind. `for` so long, then it is back: what was killed empty, what was
 * partitioned with what it held.
 *
 * Redis with replicas. Whoever watches (Sentinel, Cluster) takes a primary for dead that was unreachable for so long,
 * and a replica takes over: with the timers of cache.tiers.redis.failover, somewhere between failover_least_ns and
 * failover_spread_ns more. It has what replication had brought by then. A primary that is back before does not fail
 * over: killed and started again it is empty, and its replica copies that. After a failover there is no replica
 * until the old primary is back.
 *
 * With `every`, times between the end of one and the next are exponential, from a stream of their own ("fault" and the
 * entry's number, core/mix.h): another fault or another policy draws the same ones. Begun while requests arrive only.
 *
 * The null world knows no servers and no links: whole tiers and engines go down there. The real world kills and stops
 * the Redis servers that it started itself, and nothing else.
 */
#ifndef CLI_FAULTS_H
#define CLI_FAULTS_H

#include "../core/core.h"
#include "catalog.h"
#include "scenario.h"

struct sim_world;
struct be_spawn;
struct resolved;

enum fault_at {
    FAULT_REDIS,
    FAULT_HOST,
    FAULT_DISK,
    FAULT_GPU,
    FAULT_SHARD,
    FAULT_ENGINE,
    FAULT_NETWORK,
    FAULT_LINK,
    FAULT_RESIZE /* no fault: engines get more GPUs (resolve_resize.c); none of the kinds */
};

struct fault {
    enum scenario_fault_kind kind;
    enum fault_at at;
    uint32_t first, n;              /* nodes or engines: [first, first + n) */
    uint32_t gpu;                   /* FAULT_SHARD */
    kvt_ns at_ns, for_ns, every_ns; /* KVT_NEVER: for good; once */
    double factor, share;
    kvt_ns latency_ns;
    char target[40];
};

struct fault_plan {
    uint32_t n, nodes, engines;
    bool replicas;
    kvt_ns failover_least_ns, failover_spread_ns;
    uint64_t seed;
    struct fault faults[SCENARIO_FAULTS_MOST];
};

/* How long a failover takes at least, and how much more where things fall badly: detect, elect and promote; ping and
 * quorum. */
kvt_ns failover_least_ns(const struct catalog_redis_failover *f);
kvt_ns failover_spread_ns(const struct catalog_redis_failover *f);

/* Fills r->faults, and what r->sim needs for them; after everything else. 0 or a negative errno with one line. */
KVT_MUST_CHECK int resolve_faults(struct resolved *r, const struct scenario *s,
                                  const struct catalog *catalog, char *error);

/* The last request arrives then: whatever begins later is refused. */
KVT_MUST_CHECK int faults_check_end(const struct fault_plan *plan, const struct scenario *s,
                                    kvt_ns last_ns, char *error);

/* One time that one of them happened. */
struct fault_event {
    char kind[16], target[40];
    kvt_ns from_ns;
    kvt_ns until_ns; /* served again; KVT_NEVER: not within the run. from_ns: at once */
    bool failed_over;
    uint64_t in_flight;   /* requests in the system when it began */
    uint64_t blocks_lost; /* that core knew of; keys_lost: of Redis, found out or not */
    uint64_t keys_lost;
    uint64_t ended[KVT_STATUSES]; /* operations within it, by how they ended; simulated world */
};

struct fault_events {
    struct fault_event *event;
    size_t n, room;
};

/* A run's own state. Exactly one of sim and spawn may be there; neither: the null world. */
struct fault_run;

/* Borrowed until faults_end. NULL: memory is out. */
KVT_MUST_CHECK struct fault_run *faults_begin(const struct fault_plan *plan, struct kvt_core *core,
                                              struct sim_world *sim, struct be_spawn *spawn);

/* KVT_NEVER when nothing changes any more. */
kvt_ns faults_next(const struct fault_run *run);

/* Everything due by `now`. 0; or a negative errno: memory, or a server that cannot be killed or started. */
KVT_MUST_CHECK int faults_apply(struct fault_run *run, kvt_ns now);

/* No request comes any more: nothing new breaks. */
void faults_last_request(struct fault_run *run);

/* Closes what is still under way and hands the events over (free with free(events->event)). Safe on NULL. */
void faults_end(struct fault_run *run, kvt_ns now, struct fault_events *events);

#endif
