/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * drive.c - the loop between requests, world and core; see drive.h.
 *
 * The driver owns the run's clock: it asks the world to advance, and everything that happens, happens
 * inside advance or inside kvt_core_request. Sampling between the two changes nothing.
 */
#include "drive.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../core/null.h"
#include "../sim/world.h"
#include "progress.h"

/* After the last request the world advances in pieces of this length, so that Ctrl-C is heard. */
static const kvt_ns drain_ns = 10 * KVT_SECOND;
static const kvt_ns patience_ns = 3600 * KVT_SECOND;

struct runner {
    const struct drive *d;
    struct kvt_null *null;
    struct sim_world *sim;
    struct kvt_core *core;
    const struct kvt_world_ops *world;
    void *self;
    kvt_ns now;
    uint64_t requests;
    struct progress progress;
    /* Watchdog: the last time that something had moved on. */
    kvt_ns moved_ns;
    uint64_t moved;
};

static void *heap_get(void *self, size_t size_b)
{
    (void)self;
    return malloc(size_b);
}

static void heap_put(void *self, void *memory, size_t size_b)
{
    (void)self;
    (void)size_b;
    free(memory);
}

static const struct kvt_alloc heap = {heap_get, heap_put, NULL};

/* Builds world and core. What was built is in *r either way. */
static int build(struct runner *r, const struct kvt_observer *observer, char *error)
{
    const struct drive *d = r->d;
    struct kvt_port port;
    char why[256];
    if (d->world == WORLD_NULL) {
        r->null = kvt_null_new(&heap, observer);
        if (!r->null) {
            snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
            return -ENOMEM;
        }
        port = kvt_null_port(r->null);
        r->world = kvt_null_world();
        r->self = r->null;
    } else {
        r->sim = sim_world_new(&d->resolved->sim, observer, why, sizeof why);
        if (!r->sim) {
            snprintf(error, SCENARIO_ERROR_SIZE, "the simulated world: %s", why);
            return -EINVAL;
        }
        port = sim_world_port(r->sim);
        r->world = sim_world_ops();
        r->self = r->sim;
    }
    int rc = 0;
    r->core = kvt_core_new(&d->resolved->core, &port, &heap, &rc);
    if (r->core)
        return 0;
    snprintf(error, SCENARIO_ERROR_SIZE, "the core cannot be built: %s", strerror(-rc));
    return rc;
}

/* Puts what the Redis servers really hold, and have let go, in the place of core's directory of them: core hears of an
 * eviction only when it asks for the block. */
static void add_servers(const struct runner *r, struct kvt_core_stats *core,
                        struct kvt_core_gauges *gauges)
{
    const struct sim_redis *redis = &r->d->resolved->sim.redis;
    if (!r->sim || redis->nodes == 0)
        return;
    uint64_t keys = 0, memory_b = 0, evicted = 0, expired = 0;
    for (uint32_t node = 0; node < redis->nodes; node++) {
        struct sim_redis_stats stats;
        sim_world_redis(r->sim, node, &stats);
        keys += stats.keys;
        memory_b += stats.memory_b;
        evicted += stats.gone[SIM_REDIS_EVICTED];
        expired += stats.gone[SIM_REDIS_EXPIRED];
    }
    core->evicted_blocks[KVT_REDIS] = evicted;
    core->expired_blocks[KVT_REDIS] = expired;
    gauges->held_blocks[KVT_REDIS] = keys;
    gauges->held_b[KVT_REDIS] = memory_b;
}

static void sample(struct runner *r, kvt_ns at)
{
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    kvt_core_stats(r->core, &stats);
    kvt_core_gauges(r->core, KVT_NONE, &gauges);
    add_servers(r, &stats, &gauges);
    results_sample(r->d->results, at, &stats, &gauges);
}

/* Has anything been computed, or anyone finished, in the last hour of the run's own time? */
static int watch(struct runner *r, char *error)
{
    struct kvt_core_stats stats;
    kvt_core_stats(r->core, &stats);
    uint64_t moved = stats.iterations + stats.finished + stats.rejected + stats.failed +
                     stats.requests + stats.loaded_blocks[KVT_HOST] +
                     stats.loaded_blocks[KVT_REDIS] + stats.loaded_blocks[KVT_DISK];
    if (moved != r->moved || kvt_core_unfinished(r->core) == 0) {
        r->moved = moved;
        r->moved_ns = r->now;
    } else if (r->now - r->moved_ns > patience_ns) {
        snprintf(
            error, SCENARIO_ERROR_SIZE,
            "the run is stuck: nothing has moved for an hour of its own time, %llu requests are "
            "unfinished",
            (unsigned long long)kvt_core_unfinished(r->core));
        return -EDEADLK;
    }
    return 0;
}

static int world_broke(int rc, char *error)
{
    snprintf(error, SCENARIO_ERROR_SIZE, "the world failed: %s", strerror(-rc));
    return rc;
}

/* Advances to `until`, sampling on the way. */
static int advance(struct runner *r, kvt_ns until, char *error)
{
    int rc = 0;
    while (!*r->d->stop) {
        kvt_ns due = results_next_sample(r->d->results);
        if (due > until)
            break;
        rc = r->world->advance(r->self, r->core, due);
        if (rc != 0)
            return world_broke(rc, error);
        r->now = due;
        sample(r, due);
        rc = watch(r, error);
        if (rc != 0)
            return rc;
    }
    if (*r->d->stop)
        return -EINTR;
    rc = r->world->advance(r->self, r->core, until);
    if (rc != 0)
        return world_broke(rc, error);
    r->now = until;
    return 0;
}

static kvt_ns delivery_ns(const struct runner *r, const struct kvt_request *request)
{
    kvt_ns at = request->arrive_ns;
    if (r->sim)
        at = kvt_ns_add(at, sim_world_frontend_ns(r->sim, request->prompt_tokens));
    return at > r->now ? at : r->now;
}

static int feed(struct runner *r, char *error)
{
    const struct drive_source *source = &r->d->source;
    struct kvt_request request;
    int got;
    while ((got = source->next(source->self, &request, error, SCENARIO_ERROR_SIZE)) > 0) {
        int rc = advance(r, delivery_ns(r, &request), error);
        if (rc == 0)
            rc = kvt_core_request(r->core, r->now, &request);
        else
            return rc;
        if (rc != 0) {
            snprintf(error, SCENARIO_ERROR_SIZE, "request %llu was not accepted: %s",
                     (unsigned long long)request.id, strerror(-rc));
            return rc;
        }
        r->requests++;
        progress_step(&r->progress, r->requests, r->now);
        rc = results_status(r->d->results);
        if (rc != 0) {
            snprintf(error, SCENARIO_ERROR_SIZE, "results cannot be kept: %s", strerror(-rc));
            return rc;
        }
    }
    return got;
}

/* Lets everything under way come to its end. */
static int drain(struct runner *r, char *error)
{
    for (kvt_ns next; (next = r->world->next(r->self)) != KVT_NEVER;) {
        kvt_ns until = kvt_ns_add(r->now, drain_ns);
        int rc = advance(r, next > until ? next : until, error);
        if (rc == 0)
            rc = watch(r, error);
        if (rc != 0)
            return rc;
        progress_step(&r->progress, r->requests, r->now);
    }
    uint64_t left = kvt_core_unfinished(r->core);
    if (left > 0) {
        snprintf(error, SCENARIO_ERROR_SIZE,
                 "the run is stuck: no event is left, but %llu requests are unfinished",
                 (unsigned long long)left);
        return -EDEADLK;
    }
    return 0;
}

/* What the world's parts were busy with, for results. GPUs are left out: results has engines of its own. */
struct parts {
    size_t n;
    struct results_busy *busy;
    struct sim_part_stats *stats; /* holds the names */
};

static int collect_parts(const struct runner *r, struct parts *parts)
{
    uint32_t n = r->sim ? sim_world_parts(r->sim) : 0;
    *parts = (struct parts){0};
    if (n == 0)
        return 0;
    parts->stats = calloc(n, sizeof *parts->stats);
    parts->busy = calloc(n, sizeof *parts->busy);
    if (!parts->stats || !parts->busy)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        struct sim_part_stats *part = &parts->stats[parts->n];
        sim_world_part(r->sim, i, part);
        if (part->kind == SIM_PART_GPU)
            continue;
        parts->busy[parts->n++] = (struct results_busy){
            .name = part->name,
            .servers = part->servers,
            .busy_ratio = part->busy_ratio,
            .queue_mean = NAN,
            .wait_mean_ns = part->kind == SIM_PART_STATION ? part->mean_wait_ns : NAN,
            .jobs = part->jobs,
            .bytes = part->bytes,
        };
    }
    return 0;
}

/* Takes the last look at core and world and closes the results. */
static int finish(struct runner *r, bool interrupted, uint64_t began_wall_ns, void **kept,
                  char *error)
{
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    uint64_t orphan_b[KVT_TIERS];
    char digest[33];
    struct parts parts;
    int rc = collect_parts(r, &parts);
    kvt_core_stats(r->core, &stats);
    kvt_core_gauges(r->core, KVT_NONE, &gauges);
    add_servers(r, &stats, &gauges);
    kvt_core_orphans(r->core, orphan_b);
    kvt_core_digest(r->core, digest);
    const struct results_end end = {
        .stats = &stats,
        .gauges = &gauges,
        .orphan_b = orphan_b,
        .busy = parts.busy,
        .n_busy = parts.n,
        .digest = digest,
        .interrupted = interrupted,
        .wall_ns = wall_clock_ns() - began_wall_ns,
        .core_memory_b = kvt_core_memory_b(r->core),
        .tracked_blocks = kvt_core_tracked_blocks(r->core),
    };
    if (rc == 0)
        rc = results_close(r->d->results, &end, error, SCENARIO_ERROR_SIZE);
    else
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
    free(parts.busy);
    *kept = parts.stats;
    return rc;
}

int drive_run(const struct drive *d, void **kept, char *error)
{
    struct runner r = {.d = d};
    const struct kvt_observer observer = {results_note, d->results};
    uint64_t began_wall_ns = wall_clock_ns();
    *kept = NULL;
    int rc = build(&r, &observer, error);
    if (rc == 0) {
        progress_begin(&r.progress, d->label, d->source.expected);
        rc = feed(&r, error);
        if (rc == 0)
            rc = drain(&r, error);
        progress_end(&r.progress);
    }
    if (rc == 0 || rc == -EINTR) {
        int closed = finish(&r, rc == -EINTR, began_wall_ns, kept, error);
        rc = closed ? closed : rc;
    }
    kvt_core_free(r.core);
    sim_world_free(r.sim);
    kvt_null_free(r.null);
    return rc;
}
