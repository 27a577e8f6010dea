/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * null.c - see null.h. What every world has to have, in its smallest form:
 *
 *      a place for completions   an operation must not call core (P2), so its completion waits:
 *                                here in a ring, first in, first out, because all are due at once
 *      a place for timers        a 4-ary heap on (time, sequence), as timers come in any order
 *      a clock                   `now`; it moves in advance and nowhere else (P3)
 *      advance and next          what the driver turns
 *
 * A world that takes time replaces the ring: it puts completions into the heap too, at the time
 * when they are due. Both places double when full. After that nothing asks for memory.
 */
#include "null.h"

#include "core.h"

#include <errno.h>
#include <string.h>

enum { FIRST_ROOM = 64, ARITY = 4 };

struct completion {
    kvt_op_id op;
    uint32_t blocks_ok, iterations;
};

struct timer {
    kvt_ns at;
    uint64_t sequence; /* order of arming */
    uint64_t name;
};

struct kvt_null {
    const struct kvt_alloc *alloc;
    const struct kvt_observer *observer;
    kvt_ns now;
    int error;
    struct completion *ring; /* [head, head + n), modulo ring_room, a power of two */
    uint32_t head, n, ring_room;
    struct timer *heap;
    uint32_t n_timers, heap_room;
    uint64_t sequence;
};

/* Moves an array that is full to one of twice the room, in order from `head` on. False: nothing
 * happened. */
static bool grow(const struct kvt_alloc *alloc, void **array, uint32_t *room, uint32_t head,
                 size_t record_b)
{
    const uint32_t more = *room ? *room * 2 : FIRST_ROOM;
    unsigned char *new = alloc->get(alloc->self, more * record_b);
    if (!new)
        return false;
    if (*room) {
        const unsigned char *old = *array;
        const size_t behind_b = (*room - head) * record_b;
        memcpy(new, old + head * record_b, behind_b);
        memcpy(new + behind_b, old, head * record_b);
        alloc->put(alloc->self, *array, *room * record_b);
    }
    *array = new;
    *room = more;
    return true;
}

/* ---- Operations: what core asks for. --------------------------------------------------------- */

static int complete(struct kvt_null *w, struct completion c)
{
    void *ring = w->ring;
    if (w->n == w->ring_room) {
        if (!grow(w->alloc, &ring, &w->ring_room, w->head, sizeof *w->ring))
            return -ENOMEM;
        w->ring = ring;
        w->head = 0;
    }
    w->ring[(w->head + w->n++) & (w->ring_room - 1)] = c;
    return 0;
}

static int null_transfer(void *self, const struct kvt_transfer *t)
{
    return complete(self, (struct completion){.op = t->op, .blocks_ok = t->n_blocks});
}

static int null_step(void *self, const struct kvt_step *s)
{
    return complete(self, (struct completion){.op = s->op, .iterations = s->repeat});
}

static void null_interrupt(void *self, kvt_engine_id engine)
{
    (void)self; /* whatever the engine was doing has ended already */
    (void)engine;
}

static bool before(const struct timer *a, const struct timer *b)
{
    return a->at < b->at || (a->at == b->at && a->sequence < b->sequence);
}

static void null_arm(void *self, uint64_t timer, kvt_ns at)
{
    struct kvt_null *w = self;
    void *heap = w->heap;
    if (w->n_timers == w->heap_room) {
        if (!grow(w->alloc, &heap, &w->heap_room, 0, sizeof *w->heap)) {
            w->error = -ENOMEM; /* arm cannot refuse; advance will tell */
            return;
        }
        w->heap = heap;
    }
    const struct timer new = {at, w->sequence++, timer};
    uint32_t i = w->n_timers++;
    while (i > 0 && before(&new, &w->heap[(i - 1) / ARITY])) {
        w->heap[i] = w->heap[(i - 1) / ARITY];
        i = (i - 1) / ARITY;
    }
    w->heap[i] = new;
}

static void null_note(void *self, const struct kvt_note *note)
{
    const struct kvt_null *w = self;
    if (w->observer)
        w->observer->note(w->observer->self, note);
}

/* ---- Driving: what core is told. ------------------------------------------------------------- */

static struct timer pop_timer(struct kvt_null *w)
{
    const struct timer top = w->heap[0], last = w->heap[--w->n_timers];
    uint32_t i = 0;
    for (;;) {
        uint32_t first = ARITY * i + 1, least = first;
        for (uint32_t c = first + 1; c < first + ARITY && c < w->n_timers; c++)
            if (before(&w->heap[c], &w->heap[least]))
                least = c;
        if (least >= w->n_timers || !before(&w->heap[least], &last))
            break;
        w->heap[i] = w->heap[least];
        i = least;
    }
    w->heap[i] = last;
    return top;
}

static int null_advance(void *self, struct kvt_core *core, kvt_ns until)
{
    struct kvt_null *w = self;
    while (!w->error) {
        if (w->n) {
            const struct completion c = w->ring[w->head];
            w->head = (w->head + 1) & (w->ring_room - 1);
            w->n--;
            kvt_core_done(core, w->now,
                          &(struct kvt_done){.op = c.op,
                                             .status = KVT_OK,
                                             .blocks_ok = c.blocks_ok,
                                             .iterations = c.iterations});
        } else if (w->n_timers && w->heap[0].at <= until) {
            const struct timer t = pop_timer(w);
            if (t.at > w->now)
                w->now = t.at;
            kvt_core_timer(core, w->now, t.name);
        } else {
            break;
        }
    }
    if (until > w->now && until != KVT_NEVER) /* what the driver does next happens then */
        w->now = until;
    return w->error;
}

static kvt_ns null_next(void *self)
{
    const struct kvt_null *w = self;
    if (w->n)
        return w->now;
    if (!w->n_timers)
        return KVT_NEVER;
    return w->heap[0].at > w->now ? w->heap[0].at : w->now;
}

/* ---- Birth and death. ------------------------------------------------------------------------ */

struct kvt_null *kvt_null_new(const struct kvt_alloc *alloc, const struct kvt_observer *observer)
{
    struct kvt_null *w = alloc->get(alloc->self, sizeof *w);
    if (w)
        *w = (struct kvt_null){.alloc = alloc, .observer = observer};
    return w;
}

void kvt_null_free(struct kvt_null *w)
{
    if (!w)
        return;
    const struct kvt_alloc *alloc = w->alloc;
    alloc->put(alloc->self, w->ring, w->ring_room * sizeof *w->ring);
    alloc->put(alloc->self, w->heap, w->heap_room * sizeof *w->heap);
    alloc->put(alloc->self, w, sizeof *w);
}

struct kvt_port kvt_null_port(struct kvt_null *w)
{
    static const struct kvt_port_ops ops = {
        .name = "null",
        .probe = null_transfer,
        .load = null_transfer,
        .store = null_transfer,
        .drop = null_transfer,
        .step = null_step,
        .interrupt = null_interrupt,
        .arm = null_arm,
        .note = null_note,
    };
    return (struct kvt_port){&ops, w};
}

const struct kvt_world_ops *kvt_null_world(void)
{
    static const struct kvt_world_ops ops = {.advance = null_advance, .next = null_next};
    return &ops;
}
