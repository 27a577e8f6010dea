/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world.c - the simulated world's loop, timers, and the port.
 *
 * Everything that happens is an event in one queue; an event is a function, the world, a word, and a time. The
 * queue orders by time, then by the order of scheduling, so the order of completions at one time is the
 * order in which the world decided them.
 */
#include "world_fault.h"
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

void sim_world_push(struct sim_world *w, kvt_ns at, sim_event_fn *fn, uint64_t arg)
{
    int r = sim_evq_push(&w->events, at, fn, w, arg);
    if (r < 0 && !w->broken)
        w->broken = r;
}

void sim_world_done(struct sim_world *w, const struct kvt_done *done)
{
    w->stats.ended[done->status]++;
    w->stats.under_way--;
    w->deliver.done(w->core, w->now, done);
}

/* ---- Steps, timers, notes, transfers -------------------------------------------------------------------- */

static int port_step(void *self, const struct kvt_step *s)
{
    return sim_step_start(self, s);
}

static void port_interrupt(void *self, kvt_engine_id engine)
{
    struct sim_world *w = self;
    if (engine.v < w->config.engines)
        sim_step_interrupt(w, engine.v);
}

static void on_timer(void *self, uint64_t timer, kvt_ns now)
{
    struct sim_world *w = self;
    w->deliver.timer(w->core, now, timer);
}

static void port_arm(void *self, uint64_t timer, kvt_ns at)
{
    struct sim_world *w = self;
    if (at != KVT_NEVER)
        sim_world_push(w, at > w->now ? at : w->now, on_timer, timer);
}

static void port_note(void *self, const struct kvt_note *note)
{
    struct sim_world *w = self;
    if (w->observer)
        w->observer->note(w->observer->self, note);
}

static int port_probe(void *self, const struct kvt_transfer *t)
{
    return sim_op_start(self, t, OP_PROBE);
}

static int port_load(void *self, const struct kvt_transfer *t)
{
    return sim_op_start(self, t, OP_LOAD);
}

static int port_store(void *self, const struct kvt_transfer *t)
{
    return sim_op_start(self, t, OP_STORE);
}

static int port_drop(void *self, const struct kvt_transfer *t)
{
    return sim_op_start(self, t, OP_DROP);
}

static const struct kvt_port_ops port_ops = {
    .name = "sim",
    .probe = port_probe,
    .load = port_load,
    .store = port_store,
    .drop = port_drop,
    .step = port_step,
    .interrupt = port_interrupt,
    .arm = port_arm,
    .note = port_note,
};

struct kvt_port sim_world_port(struct sim_world *world)
{
    return (struct kvt_port){.ops = &port_ops, .self = world};
}

/* ---- The loop ------------------------------------------------------------------------------------ */

static kvt_ns world_next(void *self)
{
    const struct sim_world *w = self;
    return sim_evq_next(&w->events);
}

static int world_advance(void *self, struct kvt_core *core, kvt_ns until)
{
    struct sim_world *w = self;
    assert(until >= w->now && !w->core);
    w->core = core;
    while (!w->broken && sim_evq_next(&w->events) <= until) {
        struct sim_event e;
        if (!sim_evq_pop(&w->events, &e))
            break;
        assert(e.at >= w->now);
        w->now = e.at;
        w->stats.events++;
        e.fn(e.self, e.arg, e.at);
        if (!w->broken)
            w->broken = w->links.error ? w->links.error : w->crew.error;
    }
    w->core = NULL;
    if (until != KVT_NEVER)
        w->now = until;
    return w->broken;
}

static const struct kvt_world_ops world_ops = {.advance = world_advance, .next = world_next};

const struct kvt_world_ops *sim_world_ops(void)
{
    return &world_ops;
}

kvt_ns sim_world_frontend_ns(const struct sim_world *world, uint32_t prompt_tokens)
{
    return kvt_ns_add(world->config.frontend_ns,
                      (kvt_ns)ceil(prompt_tokens * world->config.hash_ns_per_token));
}

void sim_world_deliver(struct sim_world *world, const struct sim_deliver *deliver)
{
    world->deliver = *deliver;
}

/* ---- Down and up --------------------------------------------------------------------------------- */

bool sim_world_is_down(const struct sim_world *w, enum kvt_tier_kind tier, uint32_t engine)
{
    if (tier == KVT_REDIS && w->redis_down)
        return true;
    if (engine >= w->config.engines)
        return false;
    const struct engine *e = &w->engines[engine];
    return e->down[KVT_GPU] || (tier != KVT_REDIS && e->down[tier]);
}

void sim_world_set_down(struct sim_world *world, enum kvt_tier_kind tier, kvt_engine_id engine,
                        bool down)
{
    struct sim_world *w = world;
    assert(tier == KVT_REDIS || engine.v < w->config.engines);
    if (tier == KVT_REDIS)
        w->redis_down = down;
    else
        w->engines[engine.v].down[tier] = down;
    if (!down)
        return;
    sim_op_fail_all(w, tier, engine.v);
    if (tier == KVT_GPU)
        sim_step_down(w, &w->engines[engine.v]);
}
