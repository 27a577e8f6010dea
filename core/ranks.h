/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ranks.h - residents sorted by a small number: a queue per rank, and the lowest and highest rank in
 * use, all in constant time.
 *
 * Ranks are 0 .. 65,535; larger ones count as the last. Which ranks are in use is a tree of bits, 64
 * to a word, three levels deep; so a first or last one is found by three counts of zeros.
 *
 * Rows begin with a queue link (queue.h). Half a mebibyte, whatever it holds.
 */
#ifndef KVT_RANKS_H
#define KVT_RANKS_H

#include "queue.h"

enum { KVT_RANKS = 65536, KVT_RANK_MAX = KVT_RANKS - 1 };

struct kvt_ranks {
    /* private: */
    struct kvt_queue *queues; /* KVT_RANKS of them */
    uint64_t root;            /* 16 bits: which words of middle are not 0 */
    uint64_t middle[KVT_RANKS >> 12];
    uint64_t leaves[KVT_RANKS >> 6];
};

/* 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_ranks_init(struct kvt_ranks *r, const struct kvt_alloc *alloc);
void kvt_ranks_release(struct kvt_ranks *r, const struct kvt_alloc *alloc);
size_t kvt_ranks_memory_b(void);

/* Walks everything: how many are in line; UINT64_MAX when something does not agree. */
uint64_t kvt_ranks_walk(const struct kvt_ranks *r, const struct kvt_pool *rows, size_t row_b);

static inline void kvt_ranks_mark(struct kvt_ranks *r, uint32_t rank)
{
    r->leaves[rank >> 6] |= UINT64_C(1) << (rank & 63);
    r->middle[rank >> 12] |= UINT64_C(1) << (rank >> 6 & 63);
    r->root |= UINT64_C(1) << (rank >> 12);
}

static inline void kvt_ranks_clear(struct kvt_ranks *r, uint32_t rank)
{
    if (r->leaves[rank >> 6] &= ~(UINT64_C(1) << (rank & 63)))
        return;
    if (r->middle[rank >> 12] &= ~(UINT64_C(1) << (rank >> 6 & 63)))
        return;
    r->root &= ~(UINT64_C(1) << (rank >> 12));
}

static inline void kvt_ranks_push(struct kvt_ranks *r, const struct kvt_pool *rows, size_t row_b,
                                  uint32_t rank, uint32_t slot)
{
    if (r->queues[rank].oldest == KVT_NONE)
        kvt_ranks_mark(r, rank);
    kvt_queue_push(&r->queues[rank], rows, row_b, slot);
}

static inline void kvt_ranks_push_oldest(struct kvt_ranks *r, const struct kvt_pool *rows,
                                         size_t row_b, uint32_t rank, uint32_t slot)
{
    if (r->queues[rank].oldest == KVT_NONE)
        kvt_ranks_mark(r, rank);
    kvt_queue_push_oldest(&r->queues[rank], rows, row_b, slot);
}

static inline void kvt_ranks_remove(struct kvt_ranks *r, const struct kvt_pool *rows, size_t row_b,
                                    uint32_t rank, uint32_t slot)
{
    kvt_queue_remove(&r->queues[rank], rows, row_b, slot);
    if (r->queues[rank].oldest == KVT_NONE)
        kvt_ranks_clear(r, rank);
}

/* The oldest of the lowest rank, or KVT_NONE. */
static inline uint32_t kvt_ranks_lowest(const struct kvt_ranks *r)
{
    if (!r->root)
        return KVT_NONE;
    uint32_t at = (uint32_t)__builtin_ctzll(r->root);
    at = at << 6 | (uint32_t)__builtin_ctzll(r->middle[at]);
    at = at << 6 | (uint32_t)__builtin_ctzll(r->leaves[at]);
    return r->queues[at].oldest;
}

/* The oldest of the highest rank, or KVT_NONE. */
static inline uint32_t kvt_ranks_highest(const struct kvt_ranks *r)
{
    if (!r->root)
        return KVT_NONE;
    uint32_t at = 63u - (uint32_t)__builtin_clzll(r->root);
    at = at << 6 | (63u - (uint32_t)__builtin_clzll(r->middle[at]));
    at = at << 6 | (63u - (uint32_t)__builtin_clzll(r->leaves[at]));
    return r->queues[at].oldest;
}

#endif
