/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pool.h - records of one size, addressed by 32-bit index; and small arrays of words.
 *
 * A pool grows by whole segments that never move, so a pointer stays good until its record is given
 * back, and nothing is copied. Fresh records come in index order (chains of blocks that arrive
 * together lie together in memory); freed ones are reused last in, first out. Both orders are
 * deterministic.
 *
 * A slab hands out arrays of 32-bit words in power-of-two classes from the same kind of segments.
 *
 * After the segments that a workload needs are there, taking and giving never asks for memory.
 */
#ifndef KVT_POOL_H
#define KVT_POOL_H

#include "alloc.h"

#include <string.h>

struct kvt_pool {
    /* private: */
    const struct kvt_alloc *alloc;
    unsigned char **segments;
    uint32_t n_segments, room_segments;
    uint32_t record_b;
    uint32_t shift;     /* records per segment = 1 << shift */
    uint32_t fresh;     /* records [fresh, end) were never used */
    uint32_t free_head; /* linked through the first word of freed records */
    uint32_t in_use;
};

/* Records of record_b bytes (>= 4), 1 << shift to a segment. Allocates nothing yet. */
void kvt_pool_init(struct kvt_pool *pool, const struct kvt_alloc *alloc, uint32_t record_b,
                   uint32_t shift);
void kvt_pool_release(struct kvt_pool *pool);

/* Makes sure that `spare` more records can be taken without memory. 0 or -ENOMEM (nothing lost). */
KVT_MUST_CHECK int kvt_pool_reserve(struct kvt_pool *pool, uint64_t spare);

/* An index with undefined contents, or KVT_NONE when memory is out. */
uint32_t kvt_pool_take(struct kvt_pool *pool);
void kvt_pool_give(struct kvt_pool *pool, uint32_t index);
size_t kvt_pool_memory_b(const struct kvt_pool *pool);

static inline void *kvt_pool_at(const struct kvt_pool *pool, uint32_t index)
{
    const uint32_t mask = (1u << pool->shift) - 1;
    return pool->segments[index >> pool->shift] + (size_t)(index & mask) * pool->record_b;
}

/* The same for a pool whose shift and record size are known where this is compiled: no multiplication, no load. Both
 * must be those given to kvt_pool_init. */
static inline void *kvt_pool_at_known(const struct kvt_pool *pool, uint32_t index, uint32_t shift,
                                      size_t record_b)
{
    return pool->segments[index >> shift] + (index & ((1u << shift) - 1)) * record_b;
}

/* kvt_pool_take and kvt_pool_give for such a pool; both leave to the others what they do not see every day. */
static inline uint32_t kvt_pool_take_known(struct kvt_pool *pool, uint32_t shift, size_t record_b)
{
    const uint32_t freed = pool->free_head;
    if (freed != KVT_NONE) {
        memcpy(&pool->free_head, kvt_pool_at_known(pool, freed, shift, record_b),
               sizeof pool->free_head);
        pool->in_use++;
        return freed;
    }
    if (pool->fresh >> shift >= pool->n_segments)
        return kvt_pool_take(pool);
    pool->in_use++;
    return pool->fresh++;
}
static inline void kvt_pool_give_known(struct kvt_pool *pool, uint32_t index, uint32_t shift,
                                       size_t record_b)
{
    memcpy(kvt_pool_at_known(pool, index, shift, record_b), &pool->free_head,
           sizeof pool->free_head);
    pool->free_head = index;
    pool->in_use--;
}

enum { KVT_SLAB_CLASSES = 24 }; /* 8 words .. 64 Mi words */

struct kvt_slab {
    /* private: */
    const struct kvt_alloc *alloc;
    void *free_lists[KVT_SLAB_CLASSES];
    void *segments; /* linked through their first word */
    unsigned char *at, *end;
    size_t memory_b;
};

void kvt_slab_init(struct kvt_slab *slab, const struct kvt_alloc *alloc);
void kvt_slab_release(struct kvt_slab *slab);

/* Room for n words (n == 0 gives a valid, empty array), or NULL when memory is out. Give back
 * with the same n. */
uint32_t *kvt_slab_take(struct kvt_slab *slab, uint32_t n);
void kvt_slab_give(struct kvt_slab *slab, uint32_t *words, uint32_t n);

#endif
