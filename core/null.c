/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * null.c - see null.h and the rules (P1) to (P6) of port.h.
 *
 * A completion waits in a ring until the driver advances the world, because an operation must not call core (P2).
 * It is delivered at the time it was issued: the time of the last event, which the driver passes in. Timers wait in
 * a binary heap on (time, sequence). Both grow by doubling; when that fails the operation is refused with -ENOMEM,
 * which core knows how to bear. A timer that finds no memory is lost: core arms them only as deadlines for loads,
 * and here no load is ever late.
 */
#include "null.h"

#include "core.h"

#include <errno.h>
#include <string.h>

struct null_timer {
    kvt_ns at;
    uint64_t sequence, timer;
};

struct kvt_null {
    const struct kvt_alloc *alloc;
    const struct kvt_observer *observer;
    kvt_ns now;
    struct kvt_done *ring; /* room is a power of two */
    uint32_t head, n, room;
    struct null_timer *heap;
    uint32_t n_timers, room_timers;
    uint64_t sequence;
};

/* A larger array with the old one's contents, or NULL. */
static void *grow(const struct kvt_alloc *alloc, void *old, size_t old_b, size_t new_b)
{
    void *memory = alloc->get(alloc->self, new_b);
    if (memory && old) {
        memcpy(memory, old, old_b);
        alloc->put(alloc->self, old, old_b);
    }
    return memory;
}

static int push(struct kvt_null *w, const struct kvt_done *done)
{
    if (w->n == w->room) {
        const uint32_t room = w->room ? w->room * 2 : 64;
        struct kvt_done *ring =
            grow(w->alloc, w->ring, w->room * sizeof *ring, room * sizeof *ring);
        if (!ring)
            return -ENOMEM;
        /* what had wrapped round goes behind the old end */
        memcpy(ring + w->room, ring, w->head * sizeof *ring);
        w->ring = ring;
        w->room = room;
    }
    w->ring[(w->head + w->n++) & (w->room - 1)] = *done;
    return 0;
}

static int transfer(void *self, const struct kvt_transfer *t)
{
    return push(self, &(struct kvt_done){.op = t->op, .status = KVT_OK, .blocks_ok = t->n_blocks});
}

static int step(void *self, const struct kvt_step *s)
{
    return push(self, &(struct kvt_done){.op = s->op, .status = KVT_OK, .iterations = s->repeat});
}

static void interrupt(void *self, kvt_engine_id engine)
{
    (void)self; /* the step is over already */
    (void)engine;
}

static bool before(const struct null_timer *a, const struct null_timer *b)
{
    return a->at < b->at || (a->at == b->at && a->sequence < b->sequence);
}

static void arm(void *self, uint64_t timer, kvt_ns at)
{
    struct kvt_null *w = self;
    if (w->n_timers == w->room_timers) {
        const uint32_t room = w->room_timers ? w->room_timers * 2 : 64;
        struct null_timer *heap =
            grow(w->alloc, w->heap, w->room_timers * sizeof *heap, room * sizeof *heap);
        if (!heap)
            return;
        w->heap = heap;
        w->room_timers = room;
    }
    const struct null_timer new = {at, w->sequence++, timer};
    uint32_t i = w->n_timers++;
    for (; i && before(&new, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = new;
}

static struct null_timer pop_timer(struct kvt_null *w)
{
    const struct null_timer first = w->heap[0], last = w->heap[--w->n_timers];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < w->n_timers && before(&w->heap[child + 1], &w->heap[child]))
            child++;
        if (child >= w->n_timers || !before(&w->heap[child], &last))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return first;
}

static void note(void *self, const struct kvt_note *n)
{
    const struct kvt_null *w = self;
    if (w->observer)
        w->observer->note(w->observer->self, n);
}

static int advance(void *self, struct kvt_core *core, kvt_ns until)
{
    struct kvt_null *w = self;
    for (;;) {
        while (w->n) {
            const struct kvt_done done = w->ring[w->head];
            w->head = (w->head + 1) & (w->room - 1);
            w->n--;
            kvt_core_done(core, w->now, &done);
        }
        if (!w->n_timers || w->heap[0].at > until)
            break;
        const struct null_timer timer = pop_timer(w);
        w->now = timer.at > w->now ? timer.at : w->now;
        kvt_core_timer(core, w->now, timer.timer);
    }
    /* whatever the driver does next happens at `until` */
    if (until != KVT_NEVER && until > w->now)
        w->now = until;
    return 0;
}

static kvt_ns next(void *self)
{
    const struct kvt_null *w = self;
    return w->n ? w->now : w->n_timers ? w->heap[0].at : KVT_NEVER;
}

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
    if (w->ring)
        w->alloc->put(w->alloc->self, w->ring, w->room * sizeof *w->ring);
    if (w->heap)
        w->alloc->put(w->alloc->self, w->heap, w->room_timers * sizeof *w->heap);
    w->alloc->put(w->alloc->self, w, sizeof *w);
}

struct kvt_port kvt_null_port(struct kvt_null *w)
{
    static const struct kvt_port_ops ops = {
        .name = "null",
        .probe = transfer,
        .load = transfer,
        .store = transfer,
        .drop = transfer,
        .step = step,
        .interrupt = interrupt,
        .arm = arm,
        .note = note,
    };
    return (struct kvt_port){&ops, w};
}

const struct kvt_world_ops *kvt_null_world(void)
{
    static const struct kvt_world_ops ops = {.advance = advance, .next = next};
    return &ops;
}
