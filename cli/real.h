/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * real.h - from a scenario to the real world: what it would need, whether it fits here, and opening
 * it.
 *
 *      real_plan_init     arithmetic and checks; changes the resolved numbers where this machine decides
 *      real_open          servers of our own, a temporary folder, the world on them
 *      real_close         all of it gone, in whatever state it is
 *
 * Nothing is opened by a plan, so --explain makes one, too. GPU time is modelled: the world takes
 * the time of a step from the same sim_gpu as the simulation does.
 */
#ifndef CLI_REAL_H
#define CLI_REAL_H

#include <limits.h>
#include <signal.h>

#include "../backend/spawn.h"
#include "../backend/world.h"
#include "catalog.h"
#include "resolve.h"
#include "scenario.h"

struct real_plan {
    struct be_world_config config; /* without what real_open adds: nodes, folder, compute, stop */
    struct be_redis_address
        *nodes;                   /* owned; NULL: servers are spawned, or there is no redis tier */
    struct be_spawn_config spawn; /* n 0: none */
    const char *folder;           /* of the disk tier, the scenario's; NULL: a temporary one */
    uint32_t keys_per_block;      /* that Redis holds for one block */
    uint64_t memory_b;            /* main memory that the run may take */
};

/* What this machine has. */
struct real_machine {
    uint64_t memory_b; /* main memory that could be taken now; UINT64_MAX: unknown */
    bool cuda;         /* a GPU is there, and this build can use it */
};
struct real_machine real_machine(void);

/* Plans a typed scenario of the real world that resolve() has resolved, for this machine or, with
 * real_plan_make, for the one given. r->core.gpu_pages is decided here where it is auto. Returns 0;
 * or a negative errno with one line in error[SCENARIO_ERROR_SIZE]: what the real world cannot do,
 * does not fit, or is written wrong. */
KVT_MUST_CHECK int real_plan_init(struct real_plan *plan, struct resolved *r,
                                  const struct scenario *s, const struct catalog *catalog,
                                  char *error);
KVT_MUST_CHECK int real_plan_make(struct real_plan *plan, struct resolved *r,
                                  const struct scenario *s, const struct catalog *catalog,
                                  const struct real_machine *machine, char *error);
/* Safe on a plan of zeroes. */
void real_plan_release(struct real_plan *plan);

/* An open real world. Its clock stands at 0 until it is first told to advance. */
struct real;

/* Opens the world. With the cache of r->core off there are no tiers: no server is started then.
 * plan, r, observer and stop are borrowed until real_close. NULL with *rc and one line in
 * error[SCENARIO_ERROR_SIZE]; nothing is left then. */
KVT_MUST_CHECK struct real *real_open(const struct real_plan *plan, const struct resolved *r,
                                      const struct kvt_observer *observer,
                                      const volatile sig_atomic_t *stop, int *rc, char *error);
/* Ends the servers that real_open started, and removes what was temporary. Safe on NULL. */
void real_close(struct real *real);

struct be_world *real_world(const struct real *real);
/* The servers of our own, for faults and tests; NULL when there are none. */
struct be_spawn *real_spawn(const struct real *real);

/* One line for reports: device, Redis, disk, and that GPU time is modelled. */
void real_describe(const struct real *real, char *text, size_t size);

#endif
