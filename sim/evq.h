/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evq.h - the event queue: what happens next, and when.
 *
 * An event is a function to call at a time. Events leave in the order of (at, seq), where seq counts pushes: two
 * events at one time leave in the order in which they were pushed. That order is total, so it depends neither on
 * the shape of the heap nor on anything but the pushes.
 *
 * There is no way to take an event out again. Whoever may change their mind puts a generation number into arg, and
 * the function returns at once when it is not the current one any more.
 *
 * The queue holds pointers that it never looks into. It owns nothing but its two arrays. Times are nanoseconds.
 */
#ifndef SIM_EVQ_H
#define SIM_EVQ_H

#include "../core/alloc.h"
#include "../core/types.h"

/* Called when its time has come. May push, also at `at` itself; may not release the queue or call sim_evq_run. */
typedef void sim_event_fn(void *self, uint64_t arg, kvt_ns at);

struct sim_event {
    kvt_ns at;
    uint64_t seq; /* this was the seq-th push, from 0 */
    sim_event_fn *fn;
    void *self;
    uint64_t arg;
};

/* Most events that can be pending at one time, and most pushes in the life of a queue (a day, at full speed). */
#define SIM_EVQ_MOST        ((1u << 24) - 2)
#define SIM_EVQ_MOST_PUSHES (UINT64_C(1) << 40)

struct sim_evq {
    kvt_ns
        now; /* nothing can be pushed before this: the last event's time, or where run() was told to end */
    uint64_t pushed; /* events so far; an event at KVT_NEVER is not one */
    uint32_t count;  /* pending */
    /* private: */
    bool hollow; /* the root was popped, and nobody has taken its place yet */
    uint32_t room;
    uint32_t unused; /* head of the list of unused slots */
    uint32_t fresh;  /* slots from here on were never used */
    struct sim_evq_key *key;
    struct sim_evq_slot *slot;
    void *key_memory, *slot_memory;
    const struct kvt_alloc *alloc;
};

/* An empty queue at time 0. Takes no memory yet. The allocator is borrowed until release. */
void sim_evq_init(struct sim_evq *q, const struct kvt_alloc *alloc);

/* Gives the memory back; pending events are forgotten. Harmless on a released or zeroed queue. */
void sim_evq_release(struct sim_evq *q);

/* Makes room for n pending events in all, so that pushes up to there cannot fail. 0; -ENOMEM. */
KVT_MUST_CHECK int sim_evq_reserve(struct sim_evq *q, uint32_t n);

/* Calls fn(self, arg, at) at that time. `at` must not be before q->now: the past is an error (asserted). An event at
 * KVT_NEVER never happens: it is accepted, and nothing is kept. 0; -ENOMEM (also beyond SIM_EVQ_MOST) or -EOVERFLOW
 * (beyond SIM_EVQ_MOST_PUSHES), and nothing is kept. The first push after a pop, or from within an event, needs no
 * memory. */
KVT_MUST_CHECK int sim_evq_push(struct sim_evq *q, kvt_ns at, sim_event_fn *fn, void *self,
                                uint64_t arg);

/* Takes the next event out and moves q->now to its time. False when there is none, and *event is untouched. */
bool sim_evq_pop(struct sim_evq *q, struct sim_event *event);

/* Time of the next event, KVT_NEVER when there is none. */
kvt_ns sim_evq_next(const struct sim_evq *q);

/* Calls every event up to and including `until`, those that are pushed meanwhile too, and leaves q->now at `until`
 * (with KVT_NEVER: at the last event). Returns how many were called. */
uint64_t sim_evq_run(struct sim_evq *q, kvt_ns until);

/* True, or trips an assertion: every invariant of evq.c. Takes time in the number of events. */
bool sim_evq_check(const struct sim_evq *q);

#endif
