/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * drive.c - the loop between requests, world and core; see drive.h.
 *
 * The driver owns the run's clock: it asks the world to advance, and everything that happens,
 * happens inside advance or inside kvt_core_request. Sampling between the two changes nothing.
 */
#include "drive.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../core/null.h"
#include "../sim/world.h"
#include "parts.h"
#include "progress.h"

/* After the last request the world advances in pieces of this length, so that Ctrl-C is heard. */
static const kvt_ns drain_ns = 10 * KVT_SECOND, real_drain_ns = 100 * KVT_MILLISECOND;
static const kvt_ns patience_ns = 3600 * KVT_SECOND, real_patience_ns = 60 * KVT_SECOND;

/* What Redis servers hold, and what they have let go. */
struct servers {
    uint64_t blocks, memory_b, evicted, expired;
};

struct runner {
    const struct drive *d;
    struct kvt_null *null;
    struct sim_world *sim;
    struct real *real;
    struct kvt_core *core;
    struct servers before; /* of the real world: what servers had let go before this run */
    struct kvt_record record;
    struct fault_run *faults; /* NULL: nothing breaks */
    struct fault_events events;
    bool recording;
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

static void look_at_sim(const struct runner *r, struct servers *s)
{
    for (uint32_t node = 0; node < r->d->resolved->sim.redis.nodes; node++) {
        struct sim_redis_stats stats;
        sim_world_redis(r->sim, node, &stats);
        s->blocks += stats.keys;
        s->memory_b += stats.memory_b;
        s->evicted += stats.gone[SIM_REDIS_EVICTED];
        s->expired += stats.gone[SIM_REDIS_EXPIRED];
    }
}

/* As the nodes said themselves, within the last second. A block is several keys there. */
static void look_at_real(const struct runner *r, struct servers *s)
{
    uint32_t keys = r->d->plan->keys_per_block;
    for (uint32_t node = 0; node < r->d->plan->config.redis.n_nodes; node++) {
        struct be_node_stats stats;
        be_world_node(real_world(r->real), node, &stats);
        s->blocks += stats.keys;
        s->memory_b += stats.memory_b;
        s->evicted += stats.evicted_keys;
        s->expired += stats.expired_keys;
    }
    s->blocks = (s->blocks + keys - 1) / keys;
    s->evicted = (s->evicted + keys - 1) / keys;
    s->expired = (s->expired + keys - 1) / keys;
    /* A server that lost its memory begins to count anew. */
    s->evicted -= r->before.evicted < s->evicted ? r->before.evicted : s->evicted;
    s->expired -= r->before.expired < s->expired ? r->before.expired : s->expired;
}

static int build_null(struct runner *r, const struct kvt_observer *observer, struct kvt_port *port,
                      char *error)
{
    r->null = kvt_null_new(&heap, observer);
    if (!r->null) {
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
        return -ENOMEM;
    }
    *port = kvt_null_port(r->null);
    r->world = kvt_null_world();
    r->self = r->null;
    return 0;
}

static int build_sim(struct runner *r, const struct kvt_observer *observer, struct kvt_port *port,
                     char *error)
{
    char why[256];
    r->sim = sim_world_new(&r->d->resolved->sim, observer, why, sizeof why);
    if (!r->sim) {
        snprintf(error, SCENARIO_ERROR_SIZE, "the simulated world: %s", why);
        return -EINVAL;
    }
    *port = sim_world_port(r->sim);
    r->world = sim_world_ops();
    r->self = r->sim;
    return 0;
}

static int build_real(struct runner *r, const struct kvt_observer *observer, struct kvt_port *port,
                      char *error)
{
    const struct drive *d = r->d;
    int rc = 0;
    r->real = real_open(d->plan, d->resolved, observer, d->stop, &rc, error);
    if (!r->real)
        return rc;
    struct be_world *world = real_world(r->real);
    *port = be_world_port(world);
    r->world = be_world_ops();
    r->self = world;
    if (!real_spawn(r->real) && d->resolved->core.cache &&
        d->resolved->core.tiers[KVT_REDIS].present) {
        be_world_start(world); /* asking takes a clock */
        be_world_ask(world);
        struct servers before = {0};
        look_at_real(r, &before);
        r->before = before;
    }
    return 0;
}

/* Recorder and meter, as far as they are wanted: both listen to what comes into core. */
static int begin_taps(struct runner *r, char *error)
{
    const struct drive *d = r->d;
    const struct kvt_tap *tap = NULL;
    if (d->record) {
        int rc = kvt_record_init(&r->record, &heap, d->record);
        if (rc != 0) {
            snprintf(error, SCENARIO_ERROR_SIZE, "the recording: %s", strerror(-rc));
            return rc;
        }
        r->recording = true;
        tap = kvt_record_tap(&r->record);
    }
    if (d->meter)
        tap = meter_tap(d->meter, tap);
    kvt_core_tap(r->core, tap);
    return 0;
}

/* Builds world and core. What was built is in *r either way. */
static int build(struct runner *r, const struct kvt_observer *observer, char *error)
{
    const struct drive *d = r->d;
    struct kvt_port port;
    int rc = d->world == WORLD_NULL  ? build_null(r, observer, &port, error)
             : d->world == WORLD_SIM ? build_sim(r, observer, &port, error)
                                     : build_real(r, observer, &port, error);
    if (rc != 0)
        return rc;
    if (d->meter) {
        port = meter_port(d->meter, &port);
        if (r->world->now)
            meter_clock(d->meter, r->world->now, r->self);
    }
    r->core = kvt_core_new(&d->resolved->core, &port, &heap, &rc);
    if (r->core && d->resolved->faults.n > 0) {
        r->faults = faults_begin(&d->resolved->faults, r->core, r->sim,
                                 r->real ? real_spawn(r->real) : NULL);
        if (!r->faults) {
            snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
            return -ENOMEM;
        }
    }
    if (r->core)
        return begin_taps(r, error);
    snprintf(error, SCENARIO_ERROR_SIZE, "the core cannot be built: %s", strerror(-rc));
    return rc;
}

/* Puts what the Redis servers really hold, and have let go, in the place of core's directory of
 * them: core hears of an eviction only when it asks for the block. */
static void add_servers(const struct runner *r, struct kvt_core_stats *core,
                        struct kvt_core_gauges *gauges)
{
    const struct kvt_core_config *config = &r->d->resolved->core;
    struct servers s = {0};
    if (!config->cache || !config->tiers[KVT_REDIS].present || (!r->sim && !r->real))
        return;
    if (r->sim)
        look_at_sim(r, &s);
    else
        look_at_real(r, &s);
    core->evicted_blocks[KVT_REDIS] = s.evicted;
    core->expired_blocks[KVT_REDIS] = s.expired;
    gauges->held_blocks[KVT_REDIS] = s.blocks;
    gauges->held_b[KVT_REDIS] = s.memory_b;
}

static void sample(struct runner *r, kvt_ns at)
{
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    kvt_core_stats(r->core, &stats);
    kvt_core_gauges(r->core, KVT_NONE, &gauges);
    add_servers(r, &stats, &gauges);
    if (r->sim)
        results_sample_links(r->d->results, at, r->sim);
    results_sample(r->d->results, at, &stats, &gauges);
}

/* Has anything been computed, or anyone finished, in the last hour (real: minute) of the run's own
 * time? */
static int watch(struct runner *r, char *error)
{
    struct kvt_core_stats stats;
    kvt_core_stats(r->core, &stats);
    uint64_t moved = stats.iterations + stats.finished + stats.rejected + stats.failed +
                     stats.requests + stats.loaded_blocks[KVT_PEER] +
                     stats.loaded_blocks[KVT_HOST] + stats.loaded_blocks[KVT_REDIS] +
                     stats.loaded_blocks[KVT_DISK];
    if (moved != r->moved || kvt_core_unfinished(r->core) == 0) {
        r->moved = moved;
        r->moved_ns = r->now;
    } else if (r->now - r->moved_ns > (r->real ? real_patience_ns : patience_ns)) {
        snprintf(error, SCENARIO_ERROR_SIZE,
                 "the run is stuck: nothing has moved for %s, %llu requests are unfinished",
                 r->real ? "a minute" : "an hour of its own time",
                 (unsigned long long)kvt_core_unfinished(r->core));
        return -EDEADLK;
    }
    return 0;
}

static int world_broke(int rc, char *error)
{
    if (rc == -EILSEQ)
        snprintf(error, SCENARIO_ERROR_SIZE,
                 "loaded KV differs from what was computed: a defect of kvtwin, please report it");
    else
        snprintf(error, SCENARIO_ERROR_SIZE, "the world failed: %s", strerror(-rc));
    return rc;
}

/* Lets the world come to `until`; a world with a clock of its own may be later, never earlier
 * unless stopped. */
static int advance_world(struct runner *r, kvt_ns until, char *error)
{
    int rc = r->world->advance(r->self, r->core, until);
    if (rc != 0)
        return world_broke(rc, error);
    kvt_ns now = r->world->now ? r->world->now(r->self) : until;
    if (now > r->now)
        r->now = now;
    return 0;
}

/* Advances to `until`, sampling on the way. */
static int advance_sampling(struct runner *r, kvt_ns until, char *error)
{
    int rc = 0;
    while (!*r->d->stop) {
        kvt_ns due = results_next_sample(r->d->results);
        if (due > until)
            break;
        rc = advance_world(r, due, error);
        if (rc != 0)
            return rc;
        if (*r->d->stop)
            break;
        sample(r, due);
        rc = watch(r, error);
        if (rc != 0)
            return rc;
    }
    if (*r->d->stop)
        return -EINTR;
    rc = advance_world(r, until, error);
    return rc == 0 && *r->d->stop ? -EINTR : rc;
}

/* Advances to `until`; what is to break or to come back on the way does. */
static int advance(struct runner *r, kvt_ns until, char *error)
{
    int rc = 0;
    while (rc == 0 && r->faults && faults_next(r->faults) <= until) {
        const kvt_ns due = faults_next(r->faults);
        rc = advance_sampling(r, due > r->now ? due : r->now, error);
        if (rc != 0)
            return rc;
        rc = faults_apply(r->faults, r->now);
        if (rc != 0)
            snprintf(error, SCENARIO_ERROR_SIZE, "a fault could not be made: %s", strerror(-rc));
    }
    return rc == 0 ? advance_sampling(r, until > r->now ? until : r->now, error) : rc;
}

static kvt_ns delivery_ns(const struct runner *r, const struct kvt_request *request)
{
    kvt_ns at = request->arrive_ns;
    const struct sim_config *sim = &r->d->resolved->sim;
    if (r->sim)
        at = kvt_ns_add(at, sim_world_frontend_ns(r->sim, request->prompt_tokens));
    else if (r->real)
        at = kvt_ns_add(at, sim->frontend_ns +
                                (kvt_ns)ceil(request->prompt_tokens * sim->hash_ns_per_token));
    return at > r->now ? at : r->now;
}

static int feed(struct runner *r, char *error)
{
    const struct drive_source *source = &r->d->source;
    struct kvt_request request;
    int got;
    while ((got = source->next(source->self, &request, error, SCENARIO_ERROR_SIZE)) > 0) {
        int rc = advance(r, delivery_ns(r, &request), error);
        size_t n_gone = 0;
        const kvt_key *gone = rc == 0 && source->gone ? source->gone(source->self, &n_gone) : NULL;
        if (gone)
            kvt_core_discard(r->core, r->now, gone, n_gone);
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

/* Is there something to wait for? In real time a timer that nobody needs any more is not worth
 * waiting for. */
static bool goes_on(const struct runner *r, kvt_ns next)
{
    struct be_world_stats stats;
    if (!r->real || next == KVT_NEVER)
        return next != KVT_NEVER;
    be_world_stats(real_world(r->real), &stats);
    return stats.under_way > 0 || kvt_core_unfinished(r->core) > 0;
}

/* Lets everything under way come to its end. */
static int drain(struct runner *r, char *error)
{
    if (r->faults)
        faults_last_request(r->faults);
    for (kvt_ns next; goes_on(r, next = r->world->next(r->self));) {
        kvt_ns until = kvt_ns_add(r->now, r->real ? real_drain_ns : drain_ns);
        int rc = advance(r, next > until ? next : until, error);
        if (rc == 0)
            rc = watch(r, error);
        if (rc != 0)
            return rc;
        progress_step(&r->progress, r->requests, r->now);
    }
    uint64_t left = kvt_core_unfinished(r->core);
    if (left > 0 && r->faults &&
        faults_next(r->faults) != KVT_NEVER) { /* what is away comes back */
        int rc = advance(r, faults_next(r->faults), error);
        return rc ? rc : drain(r, error);
    }
    if (left > 0) {
        snprintf(error, SCENARIO_ERROR_SIZE,
                 "the run is stuck: no event is left, but %llu requests are unfinished",
                 (unsigned long long)left);
        return -EDEADLK;
    }
    return 0;
}

static uint32_t real_nodes(const struct runner *r)
{
    const struct kvt_core_config *core = &r->d->resolved->core;
    return core->cache && core->tiers[KVT_REDIS].present ? r->d->plan->config.redis.n_nodes : 0;
}

/* Also lets the servers say once more what they hold. */
static void look_at_world(const struct runner *r, struct results_real *real)
{
    struct be_world *world = real_world(r->real);
    struct be_world_stats stats;
    be_world_ask(world);
    be_world_stats(world, &stats);
    *real = (struct results_real){.verified_b = stats.verified_b,
                                  .corrupt_pieces = stats.corrupt_pieces,
                                  .steps = stats.steps,
                                  .late_steps = stats.late_steps,
                                  .late_ns_most = stats.late_ns_most};
    memcpy(real->operations, stats.ended, sizeof real->operations);
    real_describe(r->real, real->device, sizeof real->device);
}

static int end_record(struct runner *r, char *error)
{
    if (!r->recording)
        return 0;
    int rc = kvt_record_finish(&r->record);
    if (rc != 0)
        snprintf(error, SCENARIO_ERROR_SIZE, "the recording: %s", strerror(-rc));
    return rc;
}

/* Takes the last look at core and world and closes the results. */
static int finish(struct runner *r, bool interrupted, uint64_t began_wall_ns, void **kept,
                  char *error)
{
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    uint64_t orphan_b[KVT_TIERS];
    char digest[33];
    struct results_real real;
    struct parts parts;
    struct shards shards = {0};
    int rc = r->real ? parts_of_real(&parts, real_world(r->real), real_nodes(r), r->now)
                     : parts_of_sim(&parts, r->sim);
    if (rc == 0)
        rc = shards_collect(&shards, r->d->resolved, r->core, r->sim,
                            r->real ? real_world(r->real) : NULL);
    if (r->real)
        look_at_world(r, &real);
    kvt_core_stats(r->core, &stats);
    kvt_core_gauges(r->core, KVT_NONE, &gauges);
    add_servers(r, &stats, &gauges);
    if (r->sim)
        results_last_links(r->d->results, r->sim);
    kvt_core_orphans(r->core, orphan_b);
    kvt_core_digest(r->core, digest);
    faults_end(r->faults, r->now, &r->events);
    r->faults = NULL;
    if (r->d->meter)
        meter_end(r->d->meter, &stats, &gauges, digest);
    const struct results_end end = {
        .stats = &stats,
        .gauges = &gauges,
        .orphan_b = orphan_b,
        .busy = parts.busy,
        .n_busy = parts.n,
        .digest = digest,
        .real = r->real ? &real : NULL,
        .shards = &shards,
        .faults = &r->events,
        .interrupted = interrupted,
        .wall_ns = wall_clock_ns() - began_wall_ns,
        .core_memory_b = kvt_core_memory_b(r->core),
        .tracked_blocks = kvt_core_tracked_blocks(r->core),
    };
    if (rc == 0)
        rc = results_close(r->d->results, &end, error, SCENARIO_ERROR_SIZE);
    else
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
    shards_release(&shards); /* what was not taken over */
    free(parts.busy);
    *kept = parts.stats;
    return rc;
}

/* Observations go to the results, and to whoever else listens. */
static void note(void *self, const struct kvt_note *n)
{
    const struct drive *d = self;
    results_note(d->results, n);
    d->also->note(d->also->self, n);
}

int drive_run(const struct drive *d, void **kept, char *error)
{
    struct runner r = {.d = d};
    union {
        const struct drive *read_only;
        void *as_observers_want;
    } self = {d};
    const struct kvt_observer observer = {d->also ? note : results_note,
                                          d->also ? self.as_observers_want : d->results};
    uint64_t began_wall_ns = wall_clock_ns();
    *kept = NULL;
    int rc = build(&r, &observer, error);
    if (rc == 0) {
        if (d->label)
            progress_begin(&r.progress, d->label, d->source.expected);
        rc = feed(&r, error);
        if (rc == 0)
            rc = drain(&r, error);
        progress_end(&r.progress);
    }
    if (rc == 0 || rc == -EINTR) {
        int closed = finish(&r, rc == -EINTR, began_wall_ns, kept, error);
        if (closed == 0)
            closed = end_record(&r, error);
        rc = closed ? closed : rc;
    }
    if (r.recording)
        kvt_record_release(&r.record);
    if (r.faults)
        faults_end(r.faults, r.now, &r.events);
    free(r.events.event);
    kvt_core_free(r.core);
    real_close(r.real);
    sim_world_free(r.sim);
    kvt_null_free(r.null);
    return rc;
}
