/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ghosts.h - ids of blocks that were here once: two queues of them, and a map to find one.
 *
 * Policies with a memory learn from what they threw out too early: ARC keeps two such lists, S3-FIFO
 * one. A ghost is an id and two links, 16 bytes, and an entry of the map, 21 more.
 *
 * Room is reserved beforehand; nothing here allocates otherwise.
 */
#ifndef KVT_GHOSTS_H
#define KVT_GHOSTS_H

#include "idmap.h"
#include "pool.h"

struct kvt_ghosts {
    /* private: */
    struct kvt_idmap map; /* to a reference: number of the ghost << 1 | which queue */
    struct kvt_pool pool;
    struct {
        uint32_t newest, oldest;
    } queue[2];
    uint64_t length[2];
    uint64_t room;
};

void kvt_ghosts_init(struct kvt_ghosts *g, const struct kvt_alloc *alloc);
void kvt_ghosts_release(struct kvt_ghosts *g);

/* Room for n in both queues together. 0 or -ENOMEM (nothing lost). */
KVT_MUST_CHECK int kvt_ghosts_reserve(struct kvt_ghosts *g, uint64_t n);

/* A reference that says in its lowest bit which queue holds the id; KVT_NONE when none does. Good
 * until something is removed. */
static inline uint32_t kvt_ghosts_find(const struct kvt_ghosts *g, uint64_t id)
{
    return g->map.count ? kvt_idmap_find(&g->map, id) : KVT_NONE;
}

static inline void kvt_ghosts_prefetch(const struct kvt_ghosts *g, uint64_t id)
{
    if (g->map.n_buckets)
        kvt_idmap_prefetch(&g->map, id);
}

/* As newest of queue 0 or 1. The id is no ghost, and there is room. */
void kvt_ghosts_push(struct kvt_ghosts *g, uint32_t which, uint64_t id);
void kvt_ghosts_remove(struct kvt_ghosts *g, uint32_t reference);
void kvt_ghosts_drop_oldest(struct kvt_ghosts *g, uint32_t which); /* which is not empty */

size_t kvt_ghosts_memory_b(const struct kvt_ghosts *g);
bool kvt_ghosts_check(const struct kvt_ghosts *g);

#endif
