/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_step.c - an engine's steps: how long they take, alone and beside what else its links carry.
 *
 * A step is scheduled for the end of its last iteration. An interrupt moves that to the end of the iteration
 * under way; the event scheduled before then finds another generation and is void.
 *
 * Where GPUs are told apart, a step's all-reduces and exchanges go over the same ports and NICs as gathers
 * and spreads. While nobody else is on them a step is *quiet*: it takes its closed form (gpu.h), and what its
 * links carry is merely counted. When a gather or spread begins, the step goes on in *legs*:
 *
 *      | compute | exchange | compute | exchange | ...      until nobody else is there at the end of a leg
 *
 * An iteration has as many legs of equal length as it has exchanges, but none shorter than LEG_NS. In the
 * part of a leg that is not exchange nobody is waited for. The exchange is one flow over all ports, each way,
 * and one over the NICs of all nodes; each at most as fast as it would be alone, so as fast as the busiest of
 * its links lets it be, by max-min fairness (link.h). The leg is over when both are.
 *
 * Rounding. A leg's exchange takes its whole nanoseconds alone, by pace: so legs beside nobody last as long as
 * the closed form, to the nanosecond. Bytes of legs are rounded down, and what is missing of a step's sum is
 * counted at its end.
 */
#include "world_fault.h"
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

__extension__ typedef unsigned __int128 wide;

#define LEG_NS (KVT_MILLISECOND / 2)

enum { PORTS, NICS };

/* value * n / d, rounded down. */
static uint64_t share(uint64_t value, uint64_t n, uint64_t d)
{
    return d ? (uint64_t)((wide)value * n / d) : 0;
}

static uint64_t arg_of(const struct sim_world *w, const struct engine *e)
{
    return (uint64_t)e->generation << 32 | (uint32_t)(e - w->engines);
}

/* ---- Alone ------------------------------------------------------------------------------------------ */

/* What n iterations of a step take, on GPUs that are as slow as they were when it began. */
static kvt_ns alone_ns(const struct engine *e, const struct kvt_step *s, uint32_t n)
{
    const kvt_ns ns = sim_gpu_step_ns(e->gpu, s, n);
    return e->slow == 1 ? ns : (kvt_ns)ceil((double)ns * e->slow);
}

/* As many as take at_ns alone, or longer. */
static uint32_t iterations_by(const struct engine *e, kvt_ns at_ns)
{
    if (e->slow != 1)
        at_ns = (kvt_ns)ceil((double)at_ns / e->slow);
    return sim_gpu_iterations_by(e->gpu, &e->step, at_ns);
}

/* ---- What links carry beside flows ----------------------------------------------------------------- */

/* How far a quiet step is, in nanoseconds of a step alone. */
static kvt_ns quiet_at(const struct engine *e, kvt_ns now)
{
    const kvt_ns at = e->exchange.done_ns + (now - e->exchange.since_ns);
    return at < e->alone_ns ? at : e->alone_ns;
}

static double quiet_b(const struct engine *e, kvt_ns now, uint64_t each_b)
{
    const struct exchange *x = &e->exchange;
    if (!e->stepping || !x->quiet || e->status != KVT_OK || e->alone_ns == 0)
        return 0;
    return (double)each_b * e->iterations * (double)(quiet_at(e, now) - x->done_ns) /
           (double)e->alone_ns;
}

double sim_step_port_b(const struct engine *e, kvt_ns now)
{
    return e->exchange.port_b + quiet_b(e, now, e->exchange.each.port_b);
}

double sim_step_nic_b(const struct engine *e, kvt_ns now)
{
    return e->exchange.nic_b + quiet_b(e, now, e->exchange.each.nic_b);
}

/* A quiet step is counted up to now. */
static void count_quiet(struct engine *e, kvt_ns now)
{
    struct exchange *x = &e->exchange;
    const double port_b = quiet_b(e, now, x->each.port_b);
    const double nic_b = quiet_b(e, now, x->each.nic_b);
    x->port_b += port_b;
    x->nic_b += nic_b;
    x->moved_port_b += port_b;
    x->moved_nic_b += nic_b;
    if (e->stepping && x->quiet) {
        x->done_ns = quiet_at(e, now);
        x->since_ns = now;
    }
}

/* Flows and quiet stretches together have moved what the iterations move. */
static void count_rest(struct engine *e)
{
    struct exchange *x = &e->exchange;
    x->port_b += (double)x->each.port_b * e->iterations - x->moved_port_b;
    x->nic_b += (double)x->each.nic_b * e->iterations - x->moved_nic_b;
}

/* ---- The end ------------------------------------------------------------------------------------- */

static void finish_step(struct sim_world *w, struct engine *e, kvt_ns now)
{
    count_quiet(e, now);
    if (e->status == KVT_OK)
        count_rest(e);
    e->stepping = false;
    e->busy_ns += now - e->begin_ns;
    e->steps++;
    w->stats.steps++;
    w->stats.iterations += e->iterations;
    struct kvt_done done = {.op = e->step.op, .status = e->status, .iterations = e->iterations};
    done.span_ns[KVT_SPAN_COMPUTE] = now - e->begin_ns;
    sim_world_done(w, &done);
}

static void on_step_end(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_world *w = self;
    struct engine *e = &w->engines[(uint32_t)arg];
    if (!e->stepping || e->generation != (uint32_t)(arg >> 32))
        return;
    e->timed = e->fills > 0 && e->status == KVT_OK;
    if (!e->timed)
        finish_step(w, e, now);
}

void sim_step_filled(struct sim_world *w, uint32_t engine, uint32_t number)
{
    struct engine *e = &w->engines[engine];
    if (e->number == number && --e->fills == 0 && e->stepping && e->timed)
        finish_step(w, e, w->now);
}

/* The step under way ends at `at`, and not when it was planned to before. */
static void end_step_at(struct sim_world *w, struct engine *e, kvt_ns at)
{
    e->generation++;
    sim_world_push(w, at, on_step_end, arg_of(w, e));
}

/* From done_ns on, alone. */
static void go_quietly(struct sim_world *w, struct engine *e, kvt_ns done_ns)
{
    struct exchange *x = &e->exchange;
    x->quiet = true;
    x->done_ns = done_ns;
    x->since_ns = w->now;
    end_step_at(w, e, kvt_ns_add(w->now, e->alone_ns > done_ns ? e->alone_ns - done_ns : 0));
}

/* ---- Legs ---------------------------------------------------------------------------------------- */

/* The first n iterations alone. */
static kvt_ns first_ns(const struct engine *e, uint32_t n)
{
    if (n == 0 || n == e->iterations)
        return n ? e->alone_ns : 0;
    return alone_ns(e, &e->step, n);
}

static kvt_ns leg_begin_ns(const struct exchange *x, uint32_t leg)
{
    return x->first_ns + share(x->iteration_ns, leg, x->legs);
}

/* Of the exchange of a leg, alone. */
static kvt_ns leg_exchange_ns(const struct exchange *x)
{
    const kvt_ns whole_ns = leg_begin_ns(x, x->leg + 1) - leg_begin_ns(x, x->leg);
    const kvt_ns ns = share(x->each.ns, x->leg + 1, x->legs) - share(x->each.ns, x->leg, x->legs);
    return ns < whole_ns ? ns : whole_ns;
}

static void set_iteration(struct engine *e, uint32_t iteration)
{
    struct exchange *x = &e->exchange;
    const struct sim_gpu *gpu = e->gpu;
    const uint32_t most = gpu->collectives + gpu->exchanges;
    x->iteration = iteration;
    x->first_ns = first_ns(e, iteration);
    x->iteration_ns = first_ns(e, iteration + 1) - x->first_ns;
    const kvt_ns legs = x->iteration_ns / LEG_NS;
    x->legs = legs >= most ? most : (uint32_t)legs;
    x->legs = x->legs ? x->legs : 1;
    x->leg = 0;
}

static void begin_leg(struct sim_world *w, struct engine *e, kvt_ns at_ns);

/* A leg is over, at the right time or, beside others, later. */
static void end_leg(struct sim_world *w, struct engine *e)
{
    struct exchange *x = &e->exchange;
    if (++x->leg == x->legs) {
        if (x->iteration + 1 == e->iterations) {
            finish_step(w, e, w->now);
            return;
        }
        set_iteration(e, x->iteration + 1);
    }
    const kvt_ns at_ns = leg_begin_ns(x, x->leg);
    if (sim_fabric_is_used(w, e))
        begin_leg(w, e, at_ns);
    else
        go_quietly(w, e, at_ns);
}

static void on_leg_end(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_world *w = self;
    struct engine *e = &w->engines[(uint32_t)arg];
    (void)now;
    if (e->stepping && e->generation == (uint32_t)(arg >> 32))
        end_leg(w, e);
}

static void on_flow_end(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_world *w = self;
    struct engine *e = &w->engines[(uint32_t)arg];
    struct exchange *x = &e->exchange;
    (void)now;
    x->flow[arg >> 32].v = 0;
    if (--x->flowing == 0)
        end_leg(w, e);
}

/* Bytes over all links of a kind, which alone would take ns. */
static void start_flow(struct sim_world *w, struct engine *e, uint32_t kind, uint64_t bytes,
                       kvt_ns ns)
{
    struct exchange *x = &e->exchange;
    uint32_t n;
    const uint32_t *links = sim_fabric_wide(w, e, kind == NICS, &n);
    if (bytes == 0 || n == 0)
        return;
    /* Up by more than doubles round, down by less than a nanosecond in eleven days. */
    const double pace_bps = (double)bytes * 1e9 / (double)ns * (1 + 1e-15);
    struct sim_flow f = {.bytes = bytes,
                         .cap_bps = pace_bps <= SIM_LINK_MOST_BPS ? pace_bps : INFINITY,
                         .n_links = n,
                         .wide = links,
                         .fn = on_flow_end,
                         .self = w,
                         .arg = (uint64_t)kind << 32 | (uint32_t)(e - w->engines)};
    for (uint32_t i = 0; i < n && n <= SIM_FLOW_LINKS; i++)
        f.links[i] = links[i];
    const int error = sim_links_start(&w->links, w->now, &f, &x->flow[kind]);
    if (error && !w->broken)
        w->broken = error;
    x->flowing += !error;
}

/* What is left of the leg's exchange, left_ns alone. */
static void begin_exchange(struct sim_world *w, struct engine *e, kvt_ns left_ns)
{
    struct exchange *x = &e->exchange;
    const kvt_ns ns = leg_exchange_ns(x);
    const uint64_t port_b =
        share(x->each.port_b, x->leg + 1, x->legs) - share(x->each.port_b, x->leg, x->legs);
    const uint64_t nic_b =
        share(x->each.nic_b, x->leg + 1, x->legs) - share(x->each.nic_b, x->leg, x->legs);
    const uint64_t left_port_b = share(port_b, left_ns, ns), left_nic_b = share(nic_b, left_ns, ns);
    x->flowing = 0;
    e->generation++;
    if (left_ns > 0) {
        start_flow(w, e, PORTS, left_port_b, left_ns);
        start_flow(w, e, NICS, left_nic_b, left_ns);
    }
    if (x->flowing == 0) { /* too little to be a flow */
        sim_world_push(w, kvt_ns_add(w->now, left_ns), on_leg_end, arg_of(w, e));
        return;
    }
    x->moved_port_b += (double)left_port_b;
    x->moved_nic_b += (double)left_nic_b;
}

static void on_compute_end(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_world *w = self;
    struct engine *e = &w->engines[(uint32_t)arg];
    (void)now;
    if (e->stepping && e->generation == (uint32_t)(arg >> 32))
        begin_exchange(w, e, leg_exchange_ns(&e->exchange));
}

/* Goes on with the leg at at_ns, which lies in it. */
static void begin_leg(struct sim_world *w, struct engine *e, kvt_ns at_ns)
{
    struct exchange *x = &e->exchange;
    const kvt_ns end_ns = leg_begin_ns(x, x->leg + 1);
    const kvt_ns computed_ns = end_ns - leg_exchange_ns(x);
    x->quiet = false;
    if (at_ns > computed_ns) {
        begin_exchange(w, e, end_ns > at_ns ? end_ns - at_ns : 0);
        return;
    }
    e->generation++;
    sim_world_push(w, kvt_ns_add(w->now, computed_ns - at_ns), on_compute_end, arg_of(w, e));
}

/* From at_ns of a step alone on, in legs. */
static void go_in_legs(struct sim_world *w, struct engine *e, kvt_ns at_ns)
{
    struct exchange *x = &e->exchange;
    const uint32_t n = e->iterations == 1 ? 1 : iterations_by(e, at_ns);
    const bool between = at_ns > 0 && n < e->iterations && first_ns(e, n) <= at_ns;
    set_iteration(e, between ? n : n - 1);
    const kvt_ns gone_ns = at_ns > x->first_ns ? at_ns - x->first_ns : 0;
    x->leg = (uint32_t)share(gone_ns, x->legs, x->iteration_ns);
    if (x->leg >= x->legs)
        x->leg = x->legs - 1;
    else if (leg_begin_ns(x, x->leg + 1) <= at_ns && x->leg + 1 < x->legs)
        x->leg++;
    begin_leg(w, e, at_ns);
}

void sim_step_has_company(struct sim_world *w, struct engine *e)
{
    const struct exchange *x = &e->exchange;
    if (!e->stepping || !x->quiet || e->status != KVT_OK || x->each.ns == 0 ||
        quiet_at(e, w->now) >= e->alone_ns)
        return;
    count_quiet(e, w->now);
    go_in_legs(w, e, x->done_ns);
}

/* ---- The port ------------------------------------------------------------------------------------ */

int sim_step_start(struct sim_world *w, const struct kvt_step *s)
{
    if (w->broken)
        return w->broken;
    if (s->engine.v >= w->config.engines || s->repeat == 0)
        return -EINVAL;
    struct engine *e = &w->engines[s->engine.v];
    struct exchange *x = &e->exchange;
    if (e->stepping)
        return -EBUSY;
    e->stepping = true;
    e->timed = false;
    e->fills = 0;
    e->number++;
    e->step = *s;
    e->step.chunks = NULL; /* borrowed; later nobody needs them, since then repeat is 1 */
    e->step.chunk_skew_tokens = NULL;
    e->step.copies = NULL;
    e->step.n_copies = 0;
    e->begin_ns = w->now;
    e->alone_ns = 0;
    e->gpu = w->resized ? &w->config.resized_gpu : &w->config.gpu;
    x->moved_port_b = x->moved_nic_b = 0;
    x->each = (struct sim_fabric_traffic){0};
    w->stats.under_way++;
    if (e->down[KVT_GPU]) {
        e->status = KVT_DOWN;
        e->iterations = 0;
        go_quietly(w, e, 0);
        return 0;
    }
    e->status = KVT_OK;
    e->iterations = s->repeat;
    e->slow = sim_fault_step_slow(w, s->engine.v);
    e->alone_ns = alone_ns(e, s, s->repeat);
    if (sim_world_sharded(w))
        x->each = sim_fabric_traffic_of(sim_world_fabric(w), e->gpu, s);
    if (sim_on_machine(w))
        sim_piece_fill(w, s->engine.v, s);
    if (x->each.ns > 0 && sim_fabric_is_used(w, e))
        go_in_legs(w, e, 0);
    else
        go_quietly(w, e, 0);
    return 0;
}

void sim_step_interrupt(struct sim_world *w, uint32_t engine)
{
    struct engine *e = &w->engines[engine];
    struct exchange *x = &e->exchange;
    if (!e->stepping || e->timed || e->iterations <= 1)
        return;
    const uint32_t iterations = x->quiet ? iterations_by(e, quiet_at(e, w->now)) : x->iteration + 1;
    if (iterations >= e->iterations)
        return;
    count_quiet(e, w->now);
    e->alone_ns = alone_ns(e, &e->step, iterations);
    e->iterations = iterations;
    w->stats.interrupts++;
    if (x->quiet)
        go_quietly(w, e, x->done_ns);
}

void sim_step_down(struct sim_world *w, struct engine *e)
{
    struct exchange *x = &e->exchange;
    if (!e->stepping)
        return;
    count_quiet(e, w->now);
    for (int kind = PORTS; kind <= NICS; kind++)
        if (!x->quiet && x->flow[kind].v != 0)
            sim_links_cancel(&w->links, w->now, x->flow[kind]);
    x->flow[PORTS].v = x->flow[NICS].v = 0;
    x->flowing = 0;
    e->status = KVT_DOWN;
    e->iterations = 0;
    e->alone_ns = 0;
    go_quietly(w, e, 0);
}
