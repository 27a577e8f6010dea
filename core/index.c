/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * index.c - see index.h.
 *
 * (X1) A key lies in the first bucket from its home on that had room when it was added.
 * (X2) overflow of a bucket = keys whose home is at or before it (cyclically) and that lie behind
 * it.
 *      A lookup may therefore stop at the first bucket whose overflow is zero.
 * (X3) overflow saturates at 65,535 and then stays: lookups get longer, never wrong.
 */
#include "index.h"

#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { ENTRIES = 12, FULL = (1 << ENTRIES) - 1, LINE_B = 64 };

_Static_assert(sizeof(struct kvt_index_bucket) == LINE_B, "a bucket is one cache line");

static kvt_key key_of(const struct kvt_index *index, uint32_t number)
{
    kvt_key key;
    memcpy(&key, kvt_pool_at_known(index->blocks, number, KVT_BLOCKS_SHIFT, KVT_BLOCK_B),
           sizeof key);
    return key;
}

static uint64_t buckets_for(uint64_t keys)
{
    return keys * 5 / (ENTRIES * 4) + 8;
}

static int allocate(struct kvt_index *index, uint64_t n_buckets)
{
    const size_t memory_b = n_buckets * LINE_B + LINE_B;
    unsigned char *memory = index->alloc->get(index->alloc->self, memory_b);
    if (!memory)
        return -ENOMEM;
    const size_t off = (size_t)(-(uintptr_t)memory & (LINE_B - 1));
    memset(memory, 0, memory_b);
    index->memory = memory;
    index->memory_b = memory_b;
    index->buckets = (void *)(memory + off);
    index->n_buckets = n_buckets;
    index->limit = n_buckets * ENTRIES * 4 / 5;
    return 0;
}

int kvt_index_init(struct kvt_index *index, const struct kvt_alloc *alloc,
                   const struct kvt_pool *blocks, uint64_t expected)
{
    memset(index, 0, sizeof *index);
    index->alloc = alloc;
    index->blocks = blocks;
    return allocate(index, buckets_for(expected));
}

void kvt_index_release(struct kvt_index *index)
{
    if (index->memory)
        index->alloc->put(index->alloc->self, index->memory, index->memory_b);
    index->memory = NULL;
}

/* A bit per byte of x that is zero (bytes above a zero byte may be marked too: callers verify). */
static uint64_t zero_bytes(uint64_t x)
{
    return (x - UINT64_C(0x0101010101010101)) & ~x & UINT64_C(0x8080808080808080);
}

/* Entries of a bucket whose tag may equal `tag`, as a mask. */
static uint32_t tag_matches(const struct kvt_index_bucket *b, uint8_t tag)
{
    const uint64_t pattern = UINT64_C(0x0101010101010101) * tag;
    uint64_t low, high = 0;
    memcpy(&low, b->tag, 8);
    memcpy(&high, b->tag + 8, 4);
    /* Gathers the top bits of eight bytes into eight adjacent bits. */
    const uint64_t gather = UINT64_C(0x0002040810204081);
    const uint64_t l = ((zero_bytes(low ^ pattern) >> 7) * gather) >> 49;
    const uint64_t h = ((zero_bytes(high ^ (pattern & UINT32_MAX)) >> 7) * gather) >> 49;
    return (uint32_t)((l & 0xff) | (h & 0xf) << 8) & b->used;
}

uint32_t kvt_index_find(const struct kvt_index *index, kvt_key key)
{
    const uint64_t hash = kvt_index_hash(key);
    const uint8_t tag = (uint8_t)hash;
    uint64_t at = kvt_index_home(index, hash);
    for (;;) {
        const struct kvt_index_bucket *b = &index->buckets[at];
        for (uint32_t m = tag_matches(b, tag); m; m &= m - 1) {
            const uint32_t number = b->number[__builtin_ctz(m)];
            if (kvt_key_equal(key_of(index, number), key))
                return number;
        }
        if (!b->overflow)
            return KVT_NONE;
        at = at + 1 == index->n_buckets ? 0 : at + 1;
    }
}

uint32_t kvt_index_lines(const struct kvt_index *index, kvt_key key)
{
    const uint32_t number = kvt_index_find(index, key);
    uint64_t at = kvt_index_home(index, kvt_index_hash(key));
    for (uint32_t lines = 1;; lines++) {
        const struct kvt_index_bucket *b = &index->buckets[at];
        for (uint32_t m = b->used; m && number != KVT_NONE; m &= m - 1)
            if (b->number[__builtin_ctz(m)] == number)
                return lines;
        if (!b->overflow)
            return lines;
        at = at + 1 == index->n_buckets ? 0 : at + 1;
    }
}

static void place(struct kvt_index *index, uint64_t hash, uint32_t number)
{
    uint64_t at = kvt_index_home(index, hash);
    struct kvt_index_bucket *b = &index->buckets[at];
    while (b->used == FULL) {
        if (b->overflow < UINT16_MAX)
            b->overflow++;
        at = at + 1 == index->n_buckets ? 0 : at + 1;
        b = &index->buckets[at];
    }
    const int entry = __builtin_ctz(~(uint32_t)b->used);
    b->tag[entry] = (uint8_t)hash;
    b->number[entry] = number;
    b->used = (uint16_t)(b->used | 1u << entry);
}

int kvt_index_reserve(struct kvt_index *index, uint64_t n)
{
    if (index->count + n <= index->limit)
        return 0;
    struct kvt_index old = *index;
    uint64_t n_buckets = index->n_buckets + index->n_buckets / 2;
    if (n_buckets < buckets_for(index->count + n))
        n_buckets = buckets_for(index->count + n);
    if (allocate(index, n_buckets)) {
        *index = old;
        return -ENOMEM;
    }
    /* Buckets come in order of hash in both tables, so only the keys' records are fetched at
     * random. */
    enum { AHEAD = 4 };
    for (uint64_t i = 0; i < old.n_buckets; i++) {
        const struct kvt_index_bucket *b = &old.buckets[i];
        if (i + AHEAD < old.n_buckets)
            for (uint32_t m = b[AHEAD].used; m; m &= m - 1)
                __builtin_prefetch(kvt_pool_at_known(index->blocks,
                                                     b[AHEAD].number[__builtin_ctz(m)],
                                                     KVT_BLOCKS_SHIFT, KVT_BLOCK_B));
        for (uint32_t m = b->used; m; m &= m - 1) {
            const uint32_t number = b->number[__builtin_ctz(m)];
            place(index, kvt_index_hash(key_of(index, number)), number);
        }
    }
    kvt_index_release(&old);
    return 0;
}

void kvt_index_add(struct kvt_index *index, kvt_key key, uint32_t number)
{
    assert(index->count < index->limit);
    place(index, kvt_index_hash(key), number);
    index->count++;
}

void kvt_index_remove(struct kvt_index *index, kvt_key key, uint32_t number)
{
    uint64_t at = kvt_index_home(index, kvt_index_hash(key));
    for (;;) {
        struct kvt_index_bucket *b = &index->buckets[at];
        for (uint32_t m = b->used; m; m &= m - 1) {
            const int entry = __builtin_ctz(m);
            if (b->number[entry] == number) {
                b->used = (uint16_t)(b->used & ~(1u << entry));
                index->count--;
                return;
            }
        }
        assert(b->overflow > 0);
        if (b->overflow < UINT16_MAX)
            b->overflow--;
        at = at + 1 == index->n_buckets ? 0 : at + 1;
    }
}
