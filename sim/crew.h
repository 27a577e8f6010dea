/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * crew.h - the threads of one machine: workers with their order of urgency, and cores that all threads share.
 *
 *      asked ---> waiting, by urgency ---> on a worker: so much work, at the pace that the cores allow ---> done
 *
 * The real world's rules (backend/workers.h), in simulated time:
 *
 *   (C1) Loads go before fills (pages of steps), fills before stores. Within one, first come, first served.
 *   (C2) Of all that are not loads at most workers - 1 run; of fills at most half of the workers. A single worker is
 *        nobody's own.
 *   (C3) A thread that works has at most one core; more threads than cores have equal shares (processor sharing).
 *   (C4) All workers together have at most worker_cores of them, in equal shares, too.
 *
 * Work is counted in nanoseconds of a core that nobody else wants. The cores are a link (link.h) of 10^9 such
 * nanoseconds per second and core, working threads are flows over it: all of it exact.
 */
#ifndef SIM_CREW_H
#define SIM_CREW_H

#include "../core/pool.h"
#include "link.h"

enum sim_urgency { SIM_URGENT_LOAD, SIM_URGENT_FILL, SIM_URGENT_STORE, SIM_URGENCIES };

struct sim_crew {
    uint32_t workers, cores;
    uint32_t link, own; /* numbers among the links: the cores; what of them workers can have */
    uint64_t chores;    /* begun */
    uint64_t wait_ns;   /* sum over those, from being asked for to beginning */
    /* private: */
    struct sim_links *links;
    struct kvt_pool pool;
    uint32_t first[SIM_URGENCIES], last[SIM_URGENCIES]; /* waiting; KVT_NONE: none */
    uint32_t running, fills, behind; /* chores on workers; of them fills; of them not loads */
};

/* All idle. worker_cores: INFINITY for no bound. links and allocator are borrowed until release. 0; -EINVAL without workers or cores; -ENOMEM. */
KVT_MUST_CHECK int sim_crew_init(struct sim_crew *crew, struct sim_links *links,
                                 const struct kvt_alloc *alloc, uint32_t workers, uint32_t cores,
                                 double worker_cores);
/* Gives the memory back. Harmless on a zeroed crew. */
void sim_crew_release(struct sim_crew *crew);

/* Asks a worker for so much work; fn(self, arg, end) is called when it is done. 0 or -ENOMEM. */
KVT_MUST_CHECK int sim_crew_ask(struct sim_crew *crew, kvt_ns now, enum sim_urgency urgency,
                                kvt_ns work_ns, sim_event_fn *fn, void *self, uint64_t arg);

/* The same by a thread that is no worker: it begins at once. */
KVT_MUST_CHECK int sim_crew_use(struct sim_crew *crew, kvt_ns now, kvt_ns work_ns, sim_event_fn *fn,
                                void *self, uint64_t arg);

#endif
