/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * crew.c - workers by urgency, and cores that all threads share; see crew.h.
 *
 * A chore is a record from when it is asked for until it is done. Its flow's end comes here first: the worker takes
 * its next chore after the one that is done has been told of, as in the real world.
 */
#include "crew.h"

#include <errno.h>
#include <math.h>

enum { CHORES_SHIFT = 6 };

static const double core_bps = 1e9; /* a nanosecond of work counts as a byte */

struct chore {
    uint32_t pool_word; /* the pool's, while free */
    uint32_t next;
    enum sim_urgency urgency;
    kvt_ns asked_ns, work_ns;
    sim_event_fn *fn;
    void *self;
    uint64_t arg;
};

int sim_crew_init(struct sim_crew *crew, struct sim_links *links, const struct kvt_alloc *alloc,
                  uint32_t workers, uint32_t cores, double worker_cores)
{
    *crew = (struct sim_crew){.workers = workers, .cores = cores, .links = links};
    kvt_pool_init(&crew->pool, alloc, sizeof(struct chore), CHORES_SHIFT);
    for (int u = 0; u < SIM_URGENCIES; u++)
        crew->first[u] = crew->last[u] = KVT_NONE;
    if (workers == 0 || cores == 0)
        return -EINVAL;
    const int rc = sim_links_add(links, cores * core_bps, &crew->link);
    return rc < 0 ? rc : sim_links_add(links, worker_cores * core_bps, &crew->own);
}

void sim_crew_release(struct sim_crew *crew)
{
    if (crew->pool.alloc)
        kvt_pool_release(&crew->pool);
    *crew = (struct sim_crew){0};
}

static int work(struct sim_crew *crew, kvt_ns now, kvt_ns work_ns, bool worker, sim_event_fn *fn,
                void *self, uint64_t arg)
{
    const struct sim_flow flow = {.bytes = work_ns,
                                  .cap_bps = core_bps,
                                  .n_links = worker ? 2 : 1,
                                  .links = {crew->link, crew->own},
                                  .fn = fn,
                                  .self = self,
                                  .arg = arg};
    return sim_links_start(crew->links, now, &flow, NULL);
}

int sim_crew_use(struct sim_crew *crew, kvt_ns now, kvt_ns work_ns, sim_event_fn *fn, void *self,
                 uint64_t arg)
{
    return work(crew, now, work_ns, false, fn, self, arg);
}

static bool may_run(const struct sim_crew *crew, enum sim_urgency urgency)
{
    if (urgency == SIM_URGENT_LOAD || crew->workers == 1)
        return true;
    return crew->behind < crew->workers - 1 &&
           (urgency != SIM_URGENT_FILL || crew->fills < crew->workers / 2);
}

/* Takes the next chore that may run out of its list; KVT_NONE: none may. */
static uint32_t most_urgent(struct sim_crew *crew)
{
    for (int u = 0; u < SIM_URGENCIES; u++) {
        const uint32_t i = crew->first[u];
        if (i == KVT_NONE || !may_run(crew, (enum sim_urgency)u))
            continue;
        const struct chore *c = kvt_pool_at(&crew->pool, i);
        crew->first[u] = c->next;
        if (c->next == KVT_NONE)
            crew->last[u] = KVT_NONE;
        return i;
    }
    return KVT_NONE;
}

static void on_done(void *self, uint64_t i, kvt_ns now);

static int next(struct sim_crew *crew, kvt_ns now)
{
    uint32_t i;
    int rc = 0;
    while (rc == 0 && crew->running < crew->workers && (i = most_urgent(crew)) != KVT_NONE) {
        const struct chore *c = kvt_pool_at(&crew->pool, i);
        crew->running++;
        crew->behind += c->urgency != SIM_URGENT_LOAD;
        crew->fills += c->urgency == SIM_URGENT_FILL;
        crew->chores++;
        crew->wait_ns += now - c->asked_ns;
        rc = work(crew, now, c->work_ns, true, on_done, crew, i);
    }
    return rc;
}

static void on_done(void *self, uint64_t i, kvt_ns now)
{
    struct sim_crew *crew = self;
    const struct chore c = *(const struct chore *)kvt_pool_at(&crew->pool, (uint32_t)i);
    kvt_pool_give(&crew->pool, (uint32_t)i);
    crew->running--;
    crew->behind -= c.urgency != SIM_URGENT_LOAD;
    crew->fills -= c.urgency == SIM_URGENT_FILL;
    c.fn(c.self, c.arg, now);
    const int rc = next(crew, now);
    if (rc < 0 && !crew->links->error)
        crew->links->error = rc;
}

int sim_crew_ask(struct sim_crew *crew, kvt_ns now, enum sim_urgency urgency, kvt_ns work_ns,
                 sim_event_fn *fn, void *self, uint64_t arg)
{
    const uint32_t i = kvt_pool_take(&crew->pool);
    if (i == KVT_NONE)
        return -ENOMEM;
    *(struct chore *)kvt_pool_at(&crew->pool, i) = (struct chore){.next = KVT_NONE,
                                                                  .urgency = urgency,
                                                                  .asked_ns = now,
                                                                  .work_ns = work_ns,
                                                                  .fn = fn,
                                                                  .self = self,
                                                                  .arg = arg};
    if (crew->last[urgency] == KVT_NONE)
        crew->first[urgency] = i;
    else
        ((struct chore *)kvt_pool_at(&crew->pool, crew->last[urgency]))->next = i;
    crew->last[urgency] = i;
    return next(crew, now);
}
