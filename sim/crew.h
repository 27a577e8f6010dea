/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * crew.h - the threads of one machine: workers with their order of urgency, and cores that all threads share.
 *
 *      asked ---> waiting, by urgency ---> on a worker: so much work, at the pace that the cores allow ---> done
 *
 * The real world's rules (backend/workers.h), and what its kernel does with them, in simulated time:
 *
 *   (C1) Loads go before fills (pages of steps), fills before stores. Within one, first come, first served.
 *   (C2) Of all that are not loads at most workers - 1 run; of fills at most half of the workers. A single worker is
 *        nobody's own.
 *   (C3) A thread that works has at most one core. When more threads work than there are cores, workers together
 *        have the share that equal ones would give them; and all workers together have at most cores_of their kind of
 *        work: what they copy goes through one memory, files do less so. Of both kinds, the mean of those that work.
 *   (C4) What workers have, they have in the order in which they began: the first a whole core, if there is one, the
 *        next what is left. Chores are shorter than a slice of the kernel's: who got a processor keeps it to the
 *        end of the chore, and who did not waits (traced, BENCHMARKS.md). Threads that are no workers hand a value
 *        to and fro in steps of microseconds: theirs are equal shares.
 *
 * Work is counted in nanoseconds of a core that nobody else wants, paces in 2^-30 of a core: whole numbers, rounded
 * down (a pace) and up (the end, to the next nanosecond).
 */
#ifndef SIM_CREW_H
#define SIM_CREW_H

#include "../core/pool.h"
#include "evq.h"
#include "station.h"

enum sim_urgency { SIM_URGENT_LOAD, SIM_URGENT_FILL, SIM_URGENT_STORE, SIM_URGENCIES };
/* Copying and coding alone, or files, too. */
enum sim_work { SIM_COPIES, SIM_FILES, SIM_WORKS };

struct sim_crew {
    uint32_t workers, cores;
    uint64_t chores;  /* begun */
    uint64_t wait_ns; /* sum over those, from being asked for to beginning */
    int error;        /* not 0 (-ENOMEM): an end was lost, and nothing here is true any more */
    /* private: */
    struct sim_evq *events;
    struct kvt_pool pool;
    uint64_t own[SIM_WORKS];                            /* what all workers can have at most */
    uint32_t first[SIM_URGENCIES], last[SIM_URGENCIES]; /* waiting; KVT_NONE: none */
    uint32_t running, fills, behind,
        files;                      /* chores on workers; of them fills; not loads; SIM_FILES */
    uint32_t work_first, work_last; /* at work, in the order in which they began */
    uint32_t others;                /* of them no workers */
    kvt_ns at_ns;                   /* up to when work is booked */
    sim_ns_sum busy;                /* paces, integrated up to then */
    uint64_t generation;            /* of the event that is to come */
    bool inside;                    /* that event is under way: it will find new paces itself */
};

/* All idle at time 0. cores_of: INFINITY for no bound. Events and allocator are borrowed until release. 0; -EINVAL
 * without workers or cores. */
KVT_MUST_CHECK int sim_crew_init(struct sim_crew *crew, struct sim_evq *events,
                                 const struct kvt_alloc *alloc, uint32_t workers, uint32_t cores,
                                 const double cores_of[SIM_WORKS]);
/* Gives the memory back; events still in the queue must not run any more. Harmless on a zeroed crew. */
void sim_crew_release(struct sim_crew *crew);

/* Asks a worker for so much work of a kind; fn(self, arg, end) is called when it is done, from the event queue. Times do not
 * decrease from call to call. 0 or -ENOMEM. */
KVT_MUST_CHECK int sim_crew_ask(struct sim_crew *crew, kvt_ns now, enum sim_urgency urgency,
                                enum sim_work work, kvt_ns work_ns, sim_event_fn *fn, void *self,
                                uint64_t arg);

/* The same by a thread that is no worker: it begins at once. */
KVT_MUST_CHECK int sim_crew_use(struct sim_crew *crew, kvt_ns now, kvt_ns work_ns, sim_event_fn *fn,
                                void *self, uint64_t arg);

/* Mean share of the cores that was busy in [0, now]; 0 at time 0. */
double sim_crew_busy_ratio(const struct sim_crew *crew, kvt_ns now);

#endif
