/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * idmap.h - from 64-bit ids to 32-bit numbers, one cache line per look-up.
 *
 * A bucket is a line of five entries, ids and numbers side by side, so that a look-up that finds
 * needs no second line, and one that does not find needs no more either:
 *
 *      | id 0 .. 4 (40 B) | number 0 .. 4 (20 B) | used (2 B) | overflow (2 B) |
 *
 * overflow counts the ids that wanted this bucket and found it full: they lie further on, and a
 * look-up goes on only while it is not zero (as in index.h, whose keys are wider and lie elsewhere).
 * No entry ever moves but when the map grows.
 *
 *   (X1) An id lies in the first bucket from its home on that had room when it was added.
 *   (X2) overflow saturates at 65,535 and then stays: look-ups get longer, never wrong.
 *
 * The map is at most six tenths full: 21 bytes per id; up to 16,384 ids half full, 26 bytes.
 */
#ifndef KVT_IDMAP_H
#define KVT_IDMAP_H

#include "alloc.h"

enum { KVT_IDMAP_ENTRIES = 5 };

struct kvt_idmap_bucket {
    uint64_t id[KVT_IDMAP_ENTRIES];
    uint32_t number[KVT_IDMAP_ENTRIES];
    uint16_t used, overflow;
};

struct kvt_idmap {
    /* private: */
    const struct kvt_alloc *alloc;
    struct kvt_idmap_bucket *buckets;
    void *memory;
    size_t memory_b;
    uint64_t n_buckets, count, limit;
};

/* Empty, without room. */
void kvt_idmap_init(struct kvt_idmap *map, const struct kvt_alloc *alloc);
void kvt_idmap_release(struct kvt_idmap *map);

/* Room for n ids in all. A map grows at least by half. 0 or -ENOMEM (map unchanged). */
KVT_MUST_CHECK int kvt_idmap_reserve(struct kvt_idmap *map, uint64_t n);

/* An id that is not there; room was reserved. */
void kvt_idmap_add(struct kvt_idmap *map, uint64_t id, uint32_t number);

/* An id that is there. */
void kvt_idmap_remove(struct kvt_idmap *map, uint64_t id);

/* Walks everything: every id is found, counts agree. */
bool kvt_idmap_check(const struct kvt_idmap *map);

/* Ids may be consecutive numbers as well as hashes: one multiplication spreads them over the upper
 * bits (Fibonacci hashing: Knuth, TAOCP 3, 6.4), after the upper half was folded in. */
static inline uint64_t kvt_idmap_home(const struct kvt_idmap *map, uint64_t id)
{
    __extension__ typedef unsigned __int128 wide;
    const uint64_t hash = (id ^ id >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint64_t)(((wide)hash * map->n_buckets) >> 64);
}

static inline void kvt_idmap_prefetch(const struct kvt_idmap *map, uint64_t id)
{
    __builtin_prefetch(&map->buckets[kvt_idmap_home(map, id)], 1);
}

/* The entries of a bucket that hold id, as a mask. */
static inline uint32_t kvt_idmap_matches(const struct kvt_idmap_bucket *b, uint64_t id)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < KVT_IDMAP_ENTRIES; i++)
        m |= (uint32_t)(b->id[i] == id) << i;
    return m & b->used;
}

/* Where its number stands, or NULL; good until the map grows or the id is removed. The map has room
 * for something. */
static inline uint32_t *kvt_idmap_number(const struct kvt_idmap *map, uint64_t id)
{
    uint64_t at = kvt_idmap_home(map, id);
    for (;;) {
        struct kvt_idmap_bucket *b = &map->buckets[at];
        const uint32_t m = kvt_idmap_matches(b, id);
        if (m)
            return &b->number[__builtin_ctz(m)];
        if (!b->overflow)
            return NULL;
        at = at + 1 == map->n_buckets ? 0 : at + 1;
    }
}

/* Its number, or KVT_NONE. */
static inline uint32_t kvt_idmap_find(const struct kvt_idmap *map, uint64_t id)
{
    const uint32_t *number = kvt_idmap_number(map, id);
    return number ? *number : KVT_NONE;
}

#endif
