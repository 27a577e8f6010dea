/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * faults_run.c - faults as a run goes on: who is broken, since when, and when that changes; see faults.h.
 *
 * A fault waits, is on, and is over, or waits again. A part's condition is what all faults that are on make of it, so
 * it is put together anew whenever one of them comes or goes. Core hears of a part that goes after the world has felt
 * it, and of one that comes back before anything is asked of it.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../backend/spawn.h"
#include "../core/mix.h"
#include "../sim/fault.h"
#include "../sim/world.h"
#include "faults.h"

enum state { WAITING, ON, OVER };

struct one {
    enum state state;
    kvt_ns next_ns; /* of the next change */
    kvt_ns ends_ns; /* ON: what was broken is back then, and after a failover is its replica */
    bool failed_over;
    uint64_t random;
    size_t event; /* ON: index of */
};

struct fault_run {
    const struct fault_plan *plan;
    struct kvt_core *core;
    struct sim_world *sim;
    struct be_spawn *spawn;
    struct one one[SCENARIO_FAULTS_MOST];
    kvt_ns *replica_ns; /* by node: when it has a replica */
    struct fault_events events;
};

static double draw(uint64_t *random)
{
    *random += UINT64_C(0x9e3779b97f4a7c15);
    return ((double)(kvt_mix64(*random) >> 11) + 0.5) * 0x1p-53;
}

/* When a fault that is not on comes next, from `from` on. */
static kvt_ns next_begin(const struct fault *f, struct one *one, kvt_ns from)
{
    const double ns = -log(draw(&one->random)) * (double)f->every_ns;
    return ns < 9e18 ? kvt_ns_add(from, (kvt_ns)ns) : KVT_NEVER;
}

struct fault_run *faults_begin(const struct fault_plan *plan, struct kvt_core *core,
                               struct sim_world *sim, struct be_spawn *spawn)
{
    struct fault_run *run = calloc(1, sizeof *run);
    if (!run)
        return NULL;
    *run = (struct fault_run){.plan = plan, .core = core, .sim = sim, .spawn = spawn};
    run->replica_ns = calloc(plan->nodes + 1, sizeof *run->replica_ns);
    if (!run->replica_ns) {
        free(run);
        return NULL;
    }
    for (uint32_t i = 0; i < plan->n; i++) {
        const struct fault *f = &plan->faults[i];
        struct one *one = &run->one[i];
        one->random = kvt_stream_seed(plan->seed, "fault", i);
        one->next_ns = f->every_ns == KVT_NEVER ? f->at_ns : next_begin(f, one, f->at_ns);
    }
    return run;
}

kvt_ns faults_next(const struct fault_run *run)
{
    kvt_ns next = KVT_NEVER;
    for (uint32_t i = 0; i < run->plan->n; i++)
        if (run->one[i].state != OVER && run->one[i].next_ns < next)
            next = run->one[i].next_ns;
    return next;
}

void faults_last_request(struct fault_run *run)
{
    for (uint32_t i = 0; i < run->plan->n; i++)
        if (run->one[i].state == WAITING)
            run->one[i].state = OVER;
}

/* ---- The simulated world --------------------------------------------------------------------------- */

/* Which part of the simulated world a fault is about; an engine's death is its GPU's there. */
static enum sim_at sim_at_of(const struct fault *f)
{
    switch (f->at) {
    case FAULT_REDIS:
        return SIM_AT_REDIS;
    case FAULT_HOST:
        return SIM_AT_HOST;
    case FAULT_DISK:
        return SIM_AT_DISK;
    case FAULT_NETWORK:
        return SIM_AT_NETWORK;
    case FAULT_LINK:
        return SIM_AT_LINK;
    default:
        return SIM_AT_GPU;
    }
}

static bool concerns(const struct fault_run *run, const struct fault *f, enum sim_at at,
                     uint32_t number)
{
    if (f->at == FAULT_LINK)
        return at == SIM_AT_LINK && sim_world_link_named(run->sim, f->target) == number;
    return f->at != FAULT_SHARD && sim_at_of(f) == at && number >= f->first &&
           number < f->first + f->n;
}

static void add(struct sim_condition *c, const struct fault *f)
{
    c->dead |= f->kind == FAULT_KILL;
    c->cut |= f->kind == FAULT_PARTITION;
    c->full |= f->kind == FAULT_FULL;
    if (f->kind == FAULT_SLOW) {
        c->slow *= f->factor;
        c->late_ns = kvt_ns_add(c->late_ns, f->latency_ns);
    }
    if (f->kind == FAULT_CORRUPT)
        c->corrupt = 1 - (1 - c->corrupt) * (1 - f->share);
}

/* Puts the condition of all parts of a fault together anew. */
static void set_conditions(struct fault_run *run, const struct fault *f)
{
    const enum sim_at at = sim_at_of(f);
    const uint32_t link = at == SIM_AT_LINK ? sim_world_link_named(run->sim, f->target) : 0;
    const uint32_t first = at == SIM_AT_LINK ? link : f->first;
    for (uint32_t number = first; number < first + (at == SIM_AT_LINK ? 1 : f->n); number++) {
        struct sim_condition c = sim_condition_none();
        for (uint32_t i = 0; i < run->plan->n; i++)
            if (run->one[i].state == ON && concerns(run, &run->plan->faults[i], at, number))
                add(&c, &run->plan->faults[i]);
        sim_world_condition(run->sim, at, number, &c);
    }
}

/* ---- The real world -------------------------------------------------------------------------------- */

static int signal_server(struct fault_run *run, uint32_t node, int what)
{
    const pid_t pid = be_spawn_pid(run->spawn, node);
    return pid > 0 && kill(pid, what) != 0 ? -errno : 0;
}

static int break_servers(struct fault_run *run, const struct fault *f, bool broken)
{
    int rc = 0;
    for (uint32_t node = f->first; rc == 0 && node < f->first + f->n; node++) {
        if (f->kind == FAULT_PARTITION)
            rc = signal_server(run, node, broken ? SIGSTOP : SIGCONT);
        else
            rc = broken ? be_spawn_kill(run->spawn, node) : be_spawn_restart(run->spawn, node);
    }
    return rc;
}

/* ---- What core hears ------------------------------------------------------------------------------- */

/* The tier that is down in core while the fault lasts; KVT_TIERS: none, it hears of it by what fails. */
static enum kvt_tier_kind tier_down(const struct fault_run *run, const struct fault *f)
{
    if (f->kind != FAULT_KILL && f->kind != FAULT_PARTITION)
        return KVT_TIERS;
    switch (f->at) {
    case FAULT_HOST:
        return KVT_HOST;
    case FAULT_DISK:
        return KVT_DISK;
    case FAULT_GPU:
    case FAULT_ENGINE:
        return KVT_GPU;
    case FAULT_REDIS:
        return run->sim || run->spawn ? KVT_TIERS : KVT_REDIS;
    default:
        return KVT_TIERS;
    }
}

static void tell_gone(struct fault_run *run, const struct fault *f, kvt_ns now)
{
    const enum kvt_tier_kind tier = tier_down(run, f);
    for (uint32_t i = f->first; tier != KVT_TIERS && i < f->first + f->n; i++)
        kvt_core_down(run->core, now, tier, (kvt_engine_id){i});
    for (uint32_t e = f->first; f->at == FAULT_SHARD && e < f->first + f->n; e++)
        kvt_core_gpu_lost(run->core, now, (kvt_engine_id){e}, f->gpu);
}

/* Part `number` is held away by another fault still. */
static bool still_away(const struct fault_run *run, const struct fault *f, uint32_t number)
{
    for (uint32_t i = 0; i < run->plan->n; i++) {
        const struct fault *other = &run->plan->faults[i];
        if (run->one[i].state == ON && other != f && tier_down(run, other) == tier_down(run, f) &&
            number >= other->first && number < other->first + other->n)
            return true;
    }
    return false;
}

static void tell_back(struct fault_run *run, const struct fault *f, const struct one *one,
                      kvt_ns now)
{
    const enum kvt_tier_kind tier = tier_down(run, f);
    const bool lost = f->kind == FAULT_KILL && !one->failed_over;
    for (uint32_t i = f->first; i < f->first + f->n; i++) {
        const kvt_engine_id engine = {i};
        if (lost && f->at == FAULT_REDIS)
            kvt_core_lost(run->core, now, KVT_REDIS, engine, i, run->plan->nodes);
        else if (lost && f->at == FAULT_ENGINE)
            kvt_core_lost(run->core, now, KVT_HOST, engine, 0, 1);
        else if (lost && (f->at == FAULT_HOST || f->at == FAULT_DISK))
            kvt_core_lost(run->core, now, tier, engine, 0, 1);
        if (tier != KVT_TIERS && !still_away(run, f, i))
            kvt_core_up(run->core, now, tier, engine);
    }
}

/* ---- Counting -------------------------------------------------------------------------------------- */

struct counts {
    uint64_t blocks_lost, keys_lost, ended[KVT_STATUSES];
};

static void count(const struct fault_run *run, struct counts *c)
{
    struct kvt_core_stats stats;
    *c = (struct counts){0};
    kvt_core_stats(run->core, &stats);
    c->blocks_lost = stats.shard_lost_blocks;
    for (int t = 0; t < KVT_TIERS; t++)
        c->blocks_lost += stats.lost_blocks[t];
    if (run->sim) {
        struct sim_world_stats world;
        sim_world_stats(run->sim, &world);
        c->keys_lost = world.keys_lost;
        memcpy(c->ended, world.ended, sizeof c->ended);
    }
}

/* What the event holds becomes the difference to now; while it lasts it holds what there was before. */
static void close_counts(const struct fault_run *run, struct fault_event *event)
{
    struct counts c;
    count(run, &c);
    event->blocks_lost = c.blocks_lost - event->blocks_lost;
    event->keys_lost = c.keys_lost - event->keys_lost;
    for (int status = 0; status < KVT_STATUSES; status++)
        event->ended[status] = c.ended[status] - event->ended[status];
}

static struct fault_event *new_event(struct fault_run *run)
{
    struct fault_events *e = &run->events;
    if (e->n == e->room) {
        const size_t room = e->room ? 2 * e->room : 16;
        struct fault_event *more = realloc(e->event, room * sizeof *more);
        if (!more)
            return NULL;
        e->event = more;
        e->room = room;
    }
    return &e->event[e->n++];
}

/* ---- Changes --------------------------------------------------------------------------------------- */

/* Redis with a replica: does it take over before the primary is back? Then *back_ns is earlier. */
static bool takes_over(struct fault_run *run, const struct fault *f, struct one *one, kvt_ns now,
                       kvt_ns *back_ns)
{
    const struct fault_plan *plan = run->plan;
    bool replica = f->at == FAULT_REDIS && plan->replicas &&
                   (f->kind == FAULT_KILL || f->kind == FAULT_PARTITION);
    if (!replica)
        return false;
    const double more_ns = draw(&one->random) * (double)plan->failover_spread_ns;
    const kvt_ns taken_ns = kvt_ns_add(now, plan->failover_least_ns + (kvt_ns)more_ns);
    for (uint32_t i = f->first; i < f->first + f->n; i++)
        replica = replica && run->replica_ns[i] <= now;
    if (!replica || taken_ns >= *back_ns)
        return false;
    for (uint32_t i = f->first; i < f->first + f->n; i++)
        run->replica_ns[i] = *back_ns;
    *back_ns = taken_ns;
    return true;
}

/* Engines grow. How long shards move is seen at the end of the run. */
static int begin_resize(struct fault_run *run, uint32_t i, kvt_ns now)
{
    const struct fault *f = &run->plan->faults[i];
    struct fault_event *event = new_event(run);
    if (!event)
        return -ENOMEM;
    run->one[i] = (struct one){.state = OVER, .event = run->events.n - 1};
    *event = (struct fault_event){.kind = "resize",
                                  .from_ns = now,
                                  .until_ns = KVT_NEVER,
                                  .in_flight = kvt_core_unfinished(run->core)};
    memcpy(event->target, f->target, sizeof event->target);
    if (run->sim)
        sim_world_resize(run->sim);
    kvt_core_resize(run->core, now);
    return 0;
}

static void end_resize(struct fault_run *run)
{
    struct kvt_core_stats stats;
    kvt_core_stats(run->core, &stats);
    for (uint32_t i = 0; i < run->plan->n; i++)
        if (run->plan->faults[i].at == FAULT_RESIZE && stats.resize.over)
            run->events.event[run->one[i].event].until_ns = stats.resize.end_ns;
}

static int begin(struct fault_run *run, uint32_t i, kvt_ns now)
{
    const struct fault *f = &run->plan->faults[i];
    struct one *one = &run->one[i];
    struct fault_event *event = new_event(run);
    struct counts c;
    int rc = 0;
    if (!event)
        return -ENOMEM;
    count(run, &c);
    kvt_ns back_ns = f->at == FAULT_SHARD ? now : kvt_ns_add(now, f->for_ns);
    one->failed_over = takes_over(run, f, one, now, &back_ns);
    one->state = ON;
    one->next_ns = back_ns;
    one->event = run->events.n - 1;
    *event = (struct fault_event){.from_ns = now,
                                  .until_ns = KVT_NEVER,
                                  .failed_over = one->failed_over,
                                  .in_flight = kvt_core_unfinished(run->core),
                                  .blocks_lost = c.blocks_lost,
                                  .keys_lost = c.keys_lost};
    memcpy(event->ended, c.ended, sizeof event->ended);
    snprintf(event->kind, sizeof event->kind, "%s", scenario_fault_kinds[f->kind]);
    memcpy(event->target, f->target, sizeof event->target);
    if (run->sim && f->at != FAULT_SHARD) {
        const bool wiped = f->kind == FAULT_KILL && !one->failed_over;
        for (uint32_t node = f->first;
             f->at == FAULT_REDIS && (wiped || one->failed_over) && node < f->first + f->n; node++)
            sim_world_lose(run->sim, node, wiped);
        set_conditions(run, f);
    } else if (run->spawn) {
        rc = break_servers(run, f, true);
    }
    tell_gone(run, f, now);
    return rc;
}

static int end(struct fault_run *run, uint32_t i, kvt_ns now)
{
    const struct fault *f = &run->plan->faults[i];
    struct one *one = &run->one[i];
    int rc = 0;
    one->state = f->every_ns == KVT_NEVER ? OVER : WAITING;
    one->next_ns = f->every_ns == KVT_NEVER ? KVT_NEVER : next_begin(f, one, now);
    if (run->sim && f->at != FAULT_SHARD)
        set_conditions(run, f);
    else if (run->spawn)
        rc = break_servers(run, f, false);
    if (f->at != FAULT_SHARD)
        tell_back(run, f, one, now);
    struct fault_event *event = &run->events.event[one->event];
    event->until_ns = now;
    close_counts(run, event);
    return rc;
}

int faults_apply(struct fault_run *run, kvt_ns now)
{
    int rc = 0;
    while (rc == 0 && faults_next(run) <= now) {
        uint32_t i = 0;
        const kvt_ns due = faults_next(run);
        while (run->one[i].state == OVER || run->one[i].next_ns != due)
            i++;
        rc = run->one[i].state == ON                   ? end(run, i, now)
             : run->plan->faults[i].at == FAULT_RESIZE ? begin_resize(run, i, now)
                                                       : begin(run, i, now);
    }
    return rc;
}

void faults_end(struct fault_run *run, kvt_ns now, struct fault_events *events)
{
    *events = (struct fault_events){0};
    if (!run)
        return;
    end_resize(run);
    for (uint32_t i = 0; i < run->plan->n; i++) {
        if (run->one[i].state != ON)
            continue;
        close_counts(run, &run->events.event[run->one[i].event]);
        if (run->spawn && run->plan->faults[i].kind == FAULT_PARTITION &&
            break_servers(run, &run->plan->faults[i], false) != 0) {
            /* it has gone by itself */
        }
    }
    (void)now;
    *events = run->events;
    free(run->replica_ns);
    free(run);
}
