/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * index.h - hash index from block key to block number, one cache line per lookup.
 *
 * A bucket is one 64-byte line of 12 entries: a byte of hash (tag) and a 32-bit block number each,
 * a mask of used entries, and a count of keys that wanted this bucket and found it full:
 *
 *      | tag 0 .. 11 (12 B) | used (2 B) | overflow (2 B) | number 0 .. 11 (48 B) |
 *
 * A lookup compares all tags at once, then the few keys whose tags agree; it goes on to the next
 * bucket only while overflow is not zero. Absent keys so cost one line, mostly. The idea of tags
 * beside entries and of overflow counts instead of tombstones is that of F14 (Bronson and Shi,
 * Facebook, 2019).
 *
 * Buckets are chosen by the upper half of a 64x64 multiplication, so their number need not be a
 * power of two and the table can grow by half. Load stays at or under 0.8: 6.7 to 10 bytes per
 * block.
 *
 * Keys live in the block table (block.h); the index asks for them through kvt_blocks_key.
 */
#ifndef KVT_INDEX_H
#define KVT_INDEX_H

#include "alloc.h"

struct kvt_index_bucket {
    uint8_t tag[12];
    uint16_t used, overflow;
    uint32_t number[12];
};

struct kvt_pool;

/* Of the pool that holds the blocks (block.h holds itself to it). */
enum { KVT_BLOCK_B = 28, KVT_BLOCKS_SHIFT = 13 };

struct kvt_index {
    /* private: */
    const struct kvt_alloc *alloc;
    const struct kvt_pool *blocks; /* records that start with their key */
    struct kvt_index_bucket *buckets;
    void *memory;
    size_t memory_b;
    uint64_t n_buckets, count, limit;
};

/* An index for `expected` keys without growing. 0 or -ENOMEM. blocks is borrowed; its records
 * begin with a kvt_key (any alignment). */
KVT_MUST_CHECK int kvt_index_init(struct kvt_index *index, const struct kvt_alloc *alloc,
                                  const struct kvt_pool *blocks, uint64_t expected);
void kvt_index_release(struct kvt_index *index);

/* The block with that key, or KVT_NONE. */
uint32_t kvt_index_find(const struct kvt_index *index, kvt_key key);

/* How many lines (buckets) that look-up reads. */
uint32_t kvt_index_lines(const struct kvt_index *index, kvt_key key);

/* Makes room for n more keys. 0 or -ENOMEM (index unchanged). */
KVT_MUST_CHECK int kvt_index_reserve(struct kvt_index *index, uint64_t n);

/* Adds a key that is not there; room was reserved. */
void kvt_index_add(struct kvt_index *index, kvt_key key, uint32_t number);

/* Removes a key that is there. */
void kvt_index_remove(struct kvt_index *index, kvt_key key, uint32_t number);

static inline uint64_t kvt_index_hash(kvt_key key)
{
    return key.lo ^ key.hi;
}

static inline uint64_t kvt_index_home(const struct kvt_index *index, uint64_t hash)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)hash * index->n_buckets) >> 64);
}

static inline void kvt_index_prefetch(const struct kvt_index *index, kvt_key key)
{
    __builtin_prefetch(&index->buckets[kvt_index_home(index, kvt_index_hash(key))]);
}

#endif
