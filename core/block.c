/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * block.c - see block.h.
 *
 * Interning a chain costs one index line per unknown block and usually none per known one: the
 * block after the one just found is compared first. Bucket lines are fetched ahead of use, because
 * each is a miss in every cache level once the table is large.
 *
 * Forgetting goes round the table like a clock's hand and takes the next block that nobody names or
 * holds. Numbers are given in order of arrival, so that is roughly the oldest. A freed record is
 * marked by refs == GONE until it is used again.
 */
#include "block.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { AHEAD = 12 };

/* No live block has so many requests. */
#define GONE ((1u << 29) - 1)

_Static_assert(sizeof(struct kvt_block) == KVT_BLOCK_B, "the figure in BENCHMARKS.md counts on it");

int kvt_blocks_init(struct kvt_blocks *blocks, const struct kvt_alloc *alloc, uint64_t expected,
                    uint64_t history)
{
    memset(blocks, 0, sizeof *blocks);
    kvt_pool_init(&blocks->pool, alloc, sizeof(struct kvt_block), KVT_BLOCKS_SHIFT);
    blocks->history = history;
    return kvt_index_init(&blocks->index, alloc, &blocks->pool, expected);
}

void kvt_blocks_release(struct kvt_blocks *blocks)
{
    kvt_index_release(&blocks->index);
    kvt_pool_release(&blocks->pool);
}

kvt_key kvt_block_key(const struct kvt_block *block)
{
    kvt_key key;
    memcpy(&key, block->key, sizeof key);
    return key;
}

bool kvt_block_live(const struct kvt_blocks *blocks, uint32_t number)
{
    return kvt_block_at(blocks, number)->refs != GONE;
}

static bool has_key(const struct kvt_blocks *blocks, uint32_t number, kvt_key key)
{
    const struct kvt_block *b = kvt_block_at(blocks, number);
    return kvt_key_equal(kvt_block_key(b), key) && b->refs != GONE;
}

static uint32_t add_block(struct kvt_blocks *blocks, kvt_key key, uint32_t parent)
{
    const uint32_t number = kvt_pool_take_known(&blocks->pool, KVT_BLOCKS_SHIFT, KVT_BLOCK_B);
    assert(number != KVT_NONE); /* reserved by the caller */
    struct kvt_block *b = kvt_block_at(blocks, number);
    memcpy(b->key, &key, sizeof key);
    b->parent = parent;
    b->copies = KVT_NONE;
    b->refs = 0;
    b->fate = KVT_FATE_NONE;
    kvt_index_add(&blocks->index, key, number);
    blocks->idle++;
    return number;
}

int kvt_blocks_intern(struct kvt_blocks *blocks, const kvt_key *keys, uint32_t n, uint32_t *numbers)
{
    if (kvt_pool_reserve(&blocks->pool, n) || kvt_index_reserve(&blocks->index, n))
        return -ENOMEM;
    for (uint32_t i = 0; i < n && i < AHEAD; i++)
        kvt_index_prefetch(&blocks->index, keys[i]);
    uint32_t last = KVT_NONE;
    for (uint32_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            kvt_index_prefetch(&blocks->index, keys[i + AHEAD]);
        const uint32_t guess = last + 1; /* KVT_NONE + 1 == 0: as good as any */
        uint32_t number;
        if (guess < blocks->pool.fresh && has_key(blocks, guess, keys[i]))
            number = guess;
        else
            number = kvt_index_find(&blocks->index, keys[i]);
        if (number == KVT_NONE)
            number = add_block(blocks, keys[i], last);
        struct kvt_block *b = kvt_block_at(blocks, number);
        blocks->idle -= b->refs == 0 && b->copies == KVT_NONE;
        b->refs++;
        numbers[i] = last = number;
    }
    return 0;
}

/* At most one block is forgotten per call, after looking at a bounded number: the history may
 * exceed its bound for a while when most blocks are in use. */
static void forget_one(struct kvt_blocks *blocks)
{
    const uint32_t end = blocks->pool.fresh;
    for (int looked = 0; looked < 64; looked++) {
        const uint32_t number = blocks->hand >= end ? 0 : blocks->hand;
        blocks->hand = number + 1;
        struct kvt_block *b = kvt_block_at(blocks, number);
        if (b->refs == 0 && b->copies == KVT_NONE) {
            kvt_index_remove(&blocks->index, kvt_block_key(b), number);
            kvt_pool_give_known(&blocks->pool, number, KVT_BLOCKS_SHIFT, KVT_BLOCK_B);
            b->refs = GONE; /* not the first word, where the pool keeps its link */
            blocks->idle--;
            return;
        }
    }
}

static void became_idle(struct kvt_blocks *blocks)
{
    blocks->idle++;
    if (blocks->idle > blocks->history)
        forget_one(blocks);
}

void kvt_blocks_unref(struct kvt_blocks *blocks, const uint32_t *numbers, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct kvt_block *b = kvt_block_at(blocks, numbers[i]);
        assert(b->refs > 0 && b->refs != GONE);
        b->refs--;
        if (b->refs == 0 && b->copies == KVT_NONE)
            became_idle(blocks);
    }
}

void kvt_blocks_lost(struct kvt_blocks *blocks, uint32_t number, enum kvt_fate fate)
{
    struct kvt_block *b = kvt_block_at(blocks, number);
    if (fate != KVT_FATE_NONE)
        b->fate = fate & 7u;
    if (b->refs == 0 && b->copies == KVT_NONE)
        became_idle(blocks);
}

size_t kvt_blocks_memory_b(const struct kvt_blocks *blocks)
{
    return kvt_pool_memory_b(&blocks->pool) + blocks->index.memory_b;
}
