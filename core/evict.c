/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict.c - see evict.h: which policies there are, and how one is made and unmade.
 */
#include "evict.h"

#include <errno.h>
#include <string.h>

/* One line for each file core/evict_<name>.c, in the order in which they are listed to people. */
#define POLICIES(POLICY)                                                                           \
    POLICY(lru)                                                                                    \
    POLICY(lfu)                                                                                    \
    POLICY(fifo)                                                                                   \
    POLICY(clock)                                                                                  \
    POLICY(s3fifo)                                                                                 \
    POLICY(sieve)                                                                                  \
    POLICY(arc)                                                                                    \
    POLICY(wtinylfu)                                                                               \
    POLICY(gdsf)                                                                                   \
    POLICY(ttl)                                                                                    \
    POLICY(value)                                                                                  \
    POLICY(belady)

#define DECLARE(name) extern const struct kvt_evict_ops kvt_evict_##name;
#define LIST(name)    &kvt_evict_##name,

POLICIES(DECLARE)

const struct kvt_evict_ops *const kvt_evict_all[] = {POLICIES(LIST) NULL};

const struct kvt_evict_ops *kvt_evict_named(const char *name)
{
    for (const struct kvt_evict_ops *const *ops = kvt_evict_all; *ops; ops++)
        if (strcmp((*ops)->name, name) == 0)
            return *ops;
    return NULL;
}

int kvt_evict_init(struct kvt_evict *e, const struct kvt_evict_ops *ops,
                   const struct kvt_evict_config *config)
{
    *e = (struct kvt_evict){.ops = ops, .alloc = config->alloc};
    e->state = e->alloc->get(e->alloc->self, ops->state_b);
    if (!e->state)
        return -ENOMEM;
    memset(e->state, 0, ops->state_b);
    const int error = ops->init(e->state, config);
    if (error) {
        e->alloc->put(e->alloc->self, e->state, ops->state_b);
        e->state = NULL;
    }
    return error;
}

void kvt_evict_release(struct kvt_evict *e)
{
    if (!e->state)
        return;
    if (e->ops->release)
        e->ops->release(e->state);
    e->alloc->put(e->alloc->self, e->state, e->ops->state_b);
    e->state = NULL;
}

size_t kvt_evict_memory_b(const struct kvt_evict *e)
{
    return e->ops->state_b + (e->ops->memory_b ? e->ops->memory_b(e->state) : 0);
}

/* Rows are never taken from the pool one by one: its segments are an array that does not move. */
int kvt_rows_cover(struct kvt_pool *rows, uint32_t slot)
{
    if (slot >> KVT_ROWS_SHIFT < rows->n_segments)
        return 0;
    return kvt_pool_reserve(rows, (uint64_t)slot + 1);
}

bool kvt_evict_wrong(const char *part, char *why, size_t size)
{
    static const char *const words[] = {"the ", NULL, " does not hold together"};
    size_t n = 0;
    for (int w = 0; w < 3; w++)
        for (const char *c = w == 1 ? part : words[w]; *c && n + 1 < size; c++)
            why[n++] = *c;
    if (size)
        why[n] = 0;
    return false;
}
