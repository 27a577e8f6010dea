/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * workers.h - threads that do what takes long, the most urgent of it first.
 *
 * libuv's pool is first come, first served: a load would wait behind the pages of a long prompt
 * and the stores of the one before. So no more is handed to it than there are workers, and what
 * goes next is decided here:
 *
 *   (W1) By urgency: loads, whose requests wait; pages of steps; stores; comparing. Within one,
 *        first come, first served.
 *   (W2) One worker is kept for loads alone: of all others at most threads - 1 run.
 *   (W3) At most half of all workers fill pages, so that stores go on meanwhile.
 *
 * A worker that is done gets its next chore from the loop, not by itself: a loop that is busy
 * keeps workers waiting. The simulated world has the same rules (sim/crew.h).
 */
#ifndef BE_WORKERS_H
#define BE_WORKERS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Work for a worker, and for what it is done. */
enum be_urgency { BE_URGENT_LOAD, BE_URGENT_FILL, BE_URGENT_STORE, BE_URGENT_LAST, BE_URGENCIES };

/* Kept by the caller, inside of what it belongs to, until `after` is called. */
struct be_chore {
    struct be_workers *workers;
    struct be_chore *next;
    enum be_urgency urgency;
    void (*run)(struct be_chore *c);     /* on a worker */
    void (*after)(struct be_chore *c);   /* on the loop */
    uint64_t asked_ns, begin_ns, end_ns; /* uv_hrtime */
    uv_work_t work;
};

struct be_chore_list {
    struct be_chore *first, *last;
};

struct be_workers_stats {
    uint64_t chores;  /* done */
    uint64_t busy_ns; /* of all workers together */
    uint64_t wait_ns; /* sum over chores, from being asked for to beginning */
};

struct be_workers {
    void *self;       /* the caller's, for run and after */
    uint32_t threads; /* >= 1 */
    struct be_workers_stats stats;
    /* private: */
    uv_loop_t *loop;
    struct be_chore_list waiting[BE_URGENCIES];
    uint32_t running, fills, behind; /* handed to workers; of them fills; of them not loads */
};

/* Workers of libuv's pool, which has (at least) so many threads: UV_THREADPOOL_SIZE. */
void be_workers_init(struct be_workers *w, uv_loop_t *loop, uint32_t threads, void *self);

/* Has the chore run, and `after` called on the loop. */
void be_workers_ask(struct be_workers *w, struct be_chore *c, enum be_urgency urgency,
                    void (*run)(struct be_chore *c), void (*after)(struct be_chore *c));

/* Forgets what has not begun: it never runs, nor is `after` called. */
void be_workers_forget(struct be_workers *w);

#endif
