/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world.c - the real world's loop: operations in, events out, and a clock that nobody stops.
 *
 * Core runs on the thread that calls advance, and only there. libuv waits for sockets, workers
 * and one timer descriptor, which counts nanoseconds where libuv's own timers count milliseconds;
 * it is set to the next of a heap of times. An operation never calls core (P2): what ends at once
 * is put on a list, and the loop delivers it.
 *
 *      advance:  ready operations -> due timers -> sleep until a time, a reply or a worker -> again
 *
 * Every entry into core takes the clock anew, and never less than the entry before (P3). Sleeps
 * are at most a twentieth of a second long, so that Ctrl-C is heard.
 */
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>

static const kvt_ns longest_sleep_ns = 50 * KVT_MILLISECOND;
static const kvt_ns info_every_ns = KVT_SECOND;

kvt_ns be_clock(const struct be_world *w)
{
    return w->started ? uv_hrtime() - w->origin_ns : 0;
}

kvt_ns be_tick(struct be_world *w)
{
    const kvt_ns clock = be_clock(w);
    if (clock > w->now)
        w->now = clock;
    return w->now;
}

kvt_ns be_hrtime(const struct be_world *w, kvt_ns at)
{
    return kvt_ns_add(w->origin_ns, at);
}

/* ---- Timers ---------------------------------------------------------------------------------- */

static bool before(const struct timer *a, const struct timer *b)
{
    return a->at < b->at || (a->at == b->at && a->sequence < b->sequence);
}

void be_timer(struct be_world *w, struct timer timer)
{
    if (w->n_timers == w->room_timers) {
        const uint32_t room = w->room_timers ? 2 * w->room_timers : 64;
        struct timer *more = realloc(w->timers, room * sizeof *more);
        if (!more) {
            w->error = -ENOMEM;
            return;
        }
        w->timers = more;
        w->room_timers = room;
    }
    timer.sequence = w->timer_sequence++;
    uint32_t i = w->n_timers++;
    for (; i > 0 && before(&timer, &w->timers[(i - 1) / 2]); i = (i - 1) / 2)
        w->timers[i] = w->timers[(i - 1) / 2];
    w->timers[i] = timer;
}

static struct timer pop_timer(struct be_world *w)
{
    const struct timer top = w->timers[0], last = w->timers[--w->n_timers];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= w->n_timers)
            break;
        child += child + 1 < w->n_timers && before(&w->timers[child + 1], &w->timers[child]);
        if (!before(&w->timers[child], &last))
            break;
        w->timers[i] = w->timers[child];
        i = child;
    }
    w->timers[i] = last;
    return top;
}

static void fire(struct be_world *w, const struct timer *t)
{
    switch (t->kind) {
    case TIMER_CORE:
        kvt_core_timer(w->core, be_tick(w), t->name);
        break;
    case TIMER_STEP:
    case TIMER_FILL:
        be_step_timer(w, (uint32_t)t->name, t->generation, t->kind == TIMER_STEP);
        break;
    case TIMER_DEADLINE:
        if (t->op->live && t->op->generation == t->generation)
            be_op_expire(t->op);
        break;
    case TIMER_INFO:
        be_redis_ask_all(w);
        be_timer(w, (struct timer){.at = be_tick(w) + info_every_ns, .kind = TIMER_INFO});
        break;
    }
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void on_clock(uv_poll_t *poll, int status, int events)
{
    const struct be_world *w = poll->data;
    uint64_t times;
    (void)status;
    (void)events;
    while (read(w->clock_fd, &times, sizeof times) < 0 && errno == EINTR) {
    }
}

static int set_clock(struct be_world *w, kvt_ns at)
{
    const kvt_ns now = be_clock(w);
    kvt_ns wait_ns = at > now ? at - now : 1;
    if (wait_ns > longest_sleep_ns)
        wait_ns = longest_sleep_ns;
    const struct itimerspec spec = {.it_value = {.tv_nsec = (long)wait_ns}};
    return timerfd_settime(w->clock_fd, 0, &spec, NULL) == 0 ? 0 : -errno;
}

int be_world_open_clock(struct be_world *w)
{
    w->clock_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (w->clock_fd < 0)
        return -errno;
    int rc = uv_poll_init(&w->loop, &w->clock_poll, w->clock_fd);
    if (rc != 0)
        return rc;
    w->poll_open = true;
    w->clock_poll.data = w;
    return uv_poll_start(&w->clock_poll, UV_READABLE, on_clock);
}

void be_world_start(struct be_world *w)
{
    w->origin_ns = uv_hrtime();
    w->started = true;
    if (w->config.redis.n_nodes)
        be_timer(w, (struct timer){.at = info_every_ns, .kind = TIMER_INFO});
}

/* Only the clock's own timers are left, and nothing is under way. */
static bool idle(const struct be_world *w)
{
    if (w->stats.under_way)
        return false;
    for (uint32_t i = 0; i < w->n_timers; i++)
        if (w->timers[i].kind == TIMER_CORE)
            return false;
    return true;
}

static bool stopped(const struct be_world *w)
{
    return w->config.stop && *w->config.stop;
}

/* What can be done without waiting. */
static void run_due(struct be_world *w)
{
    for (bool any = true; any && !w->error;) {
        any = false;
        for (struct op *op; (op = op_pop(&w->ready));) {
            be_op_deliver(op);
            any = true;
        }
        while (w->n_timers && w->timers[0].at <= be_clock(w)) {
            const struct timer t = pop_timer(w);
            fire(w, &t);
            any = true;
        }
    }
}

static int world_advance(void *self, struct kvt_core *core, kvt_ns until)
{
    struct be_world *w = self;
    w->core = core;
    if (!w->started)
        be_world_start(w);
    while (!w->error) {
        run_due(w);
        if (w->error || be_clock(w) >= until || stopped(w) || (until == KVT_NEVER && idle(w)))
            break;
        kvt_ns wake = until;
        if (w->n_timers && w->timers[0].at < wake)
            wake = w->timers[0].at;
        const int rc = set_clock(w, wake);
        if (rc != 0)
            return rc;
        uv_run(&w->loop, UV_RUN_ONCE);
    }
    be_tick(w);
    return w->error;
}

static kvt_ns world_next(void *self)
{
    struct be_world *w = self;
    return idle(w) ? KVT_NEVER : be_tick(w);
}

static kvt_ns world_now(void *self)
{
    return be_tick(self);
}

const struct kvt_world_ops *be_world_ops(void)
{
    static const struct kvt_world_ops ops = {.advance = world_advance,
                                             .next = world_next,
                                             .now = world_now};
    return &ops;
}

/* ---- The port -------------------------------------------------------------------------------- */

static int port_probe(void *self, const struct kvt_transfer *t)
{
    return be_op_start(self, t, OP_PROBE);
}

static int port_load(void *self, const struct kvt_transfer *t)
{
    return be_op_start(self, t, OP_LOAD);
}

static int port_store(void *self, const struct kvt_transfer *t)
{
    return be_op_start(self, t, OP_STORE);
}

static int port_drop(void *self, const struct kvt_transfer *t)
{
    return be_op_start(self, t, OP_DROP);
}

static int port_step(void *self, const struct kvt_step *step)
{
    return be_step_start(self, step);
}

static void port_interrupt(void *self, kvt_engine_id engine)
{
    be_step_interrupt(self, engine.v);
}

static void port_arm(void *self, uint64_t timer, kvt_ns at)
{
    be_timer(self, (struct timer){.at = at, .kind = TIMER_CORE, .name = timer});
}

static void port_note(void *self, const struct kvt_note *note)
{
    const struct be_world *w = self;
    if (w->observer)
        w->observer->note(w->observer->self, note);
}

struct kvt_port be_world_port(struct be_world *w)
{
    static const struct kvt_port_ops ops = {
        .name = "real",
        .probe = port_probe,
        .load = port_load,
        .store = port_store,
        .drop = port_drop,
        .step = port_step,
        .interrupt = port_interrupt,
        .arm = port_arm,
        .note = port_note,
        .freed = be_shard_freed,
    };
    return (struct kvt_port){&ops, w};
}
