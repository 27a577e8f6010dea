/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * parts.h - what the parts of a world were busy with, as results want it: links and stations of the simulated one, workers
 * and sockets of the real one. GPUs are left out: results has engines of its own.
 */
#ifndef CLI_PARTS_H
#define CLI_PARTS_H

#include "../backend/world.h"
#include "../sim/world.h"
#include "results.h"

struct parts {
    size_t n;
    struct results_busy *busy;    /* free() */
    struct sim_part_stats *stats; /* holds the names; free(), after the results */
};

/* world NULL: there are none. Returns 0 or -ENOMEM; both arrays are the caller's either way. */
KVT_MUST_CHECK int parts_of_sim(struct parts *parts, const struct sim_world *world);
/* Its workers, and what went over the sockets of each of `nodes` servers until now. */
KVT_MUST_CHECK int parts_of_real(struct parts *parts, struct be_world *world, uint32_t nodes,
                                 kvt_ns now);

#endif
