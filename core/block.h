/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * block.h - the block table: every KV block that the core knows, held somewhere or merely
 * remembered.
 *
 * A block is 28 bytes and has a dense number (kvt_block_id). It lists its copies (place.h), counts
 * the requests that name it, and remembers how its last copy went, so that a later miss can be told
 * apart: never seen (cold), evicted, or expired. Blocks that arrive together get adjacent numbers,
 * so walking a known chain is a sequential walk, and the successor's number is a good guess before
 * the index is asked.
 *
 *   (B1) A block with copies or requests is never forgotten.
 *   (B2) Blocks without either form the history, oldest first out, at most `history` of them.
 *
 * Per tracked block: 28 bytes here, 6.7 to 10 in the index, 28 per copy.
 */
#ifndef KVT_BLOCK_H
#define KVT_BLOCK_H

#include "index.h"
#include "pool.h"

/* How the last copy of a block went. */
enum kvt_fate {
    KVT_FATE_NONE,
    KVT_FATE_EVICTED,
    KVT_FATE_EXPIRED,
    KVT_FATE_SHARD, /* a GPU that held a part of it failed */
    KVT_FATE_LOST   /* a tier came back without it */
};

struct kvt_block {
    uint32_t key[4]; /* a kvt_key, without its alignment */
    uint32_t parent; /* the block before it in the chain; KVT_NONE at the start. With a bounded
                         history the number may have been forgotten and used again */
    uint32_t copies; /* first copy, KVT_NONE when nowhere held */
    uint32_t refs : 29;
    uint32_t fate : 3;
};

struct kvt_blocks {
    /* private: */
    struct kvt_pool pool;
    struct kvt_index index;
    uint64_t history; /* bound on blocks without copies and requests */
    uint64_t idle;    /* how many there are */
    uint32_t hand;    /* where the search for one to forget goes on */
};

KVT_MUST_CHECK int kvt_blocks_init(struct kvt_blocks *blocks, const struct kvt_alloc *alloc,
                                   uint64_t expected, uint64_t history);
void kvt_blocks_release(struct kvt_blocks *blocks);

static inline struct kvt_block *kvt_block_at(const struct kvt_blocks *blocks, uint32_t number)
{
    return kvt_pool_at_known(&blocks->pool, number, KVT_BLOCKS_SHIFT, KVT_BLOCK_B);
}
kvt_key kvt_block_key(const struct kvt_block *block);

/* Finds or adds the n blocks of a chain, in order, and counts one more request on each. numbers
 * has room for n. 0, or -ENOMEM with nothing changed but the room. */
KVT_MUST_CHECK int kvt_blocks_intern(struct kvt_blocks *blocks, const kvt_key *keys, uint32_t n,
                                     uint32_t *numbers);

/* One request less on each. */
void kvt_blocks_unref(struct kvt_blocks *blocks, const uint32_t *numbers, uint32_t n);

/* A block lost a copy: remembers how, unless fate is KVT_FATE_NONE. Called after unlinking the
 * copy; a block without any copy left may be forgotten. */
void kvt_blocks_lost(struct kvt_blocks *blocks, uint32_t number, enum kvt_fate fate);

/* To be called before a block gets its first copy. */
static inline void kvt_blocks_gains(struct kvt_blocks *blocks, uint32_t number)
{
    const struct kvt_block *b = kvt_block_at(blocks, number);
    blocks->idle -= b->refs == 0 && b->copies == KVT_NONE;
}

/* Number of blocks known; numbers run from 0 to kvt_blocks_end, with holes where blocks were
 * forgotten. */
static inline uint64_t kvt_blocks_count(const struct kvt_blocks *blocks)
{
    return blocks->pool.in_use;
}
static inline uint32_t kvt_blocks_end(const struct kvt_blocks *blocks)
{
    return blocks->pool.fresh;
}
bool kvt_block_live(const struct kvt_blocks *blocks, uint32_t number);
size_t kvt_blocks_memory_b(const struct kvt_blocks *blocks);

#endif
