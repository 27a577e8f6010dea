/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_mask.h - rows with gaps: which copies of a block's shards are there.
 *
 * Where shards are evicted alone (orphans.h) a row goes on behind its first GPUs:
 *
 *      bytes   n             mask_b                1         to a multiple of 4   8
 *              first GPUs    a bit for each copy   fresh                          neighbours in a queue
 *                            of each shard
 *
 * The bit of copy j of shard k is number k * copies + j. What a set bit says depends on `fresh`:
 *
 *      fresh 0   that copy is not there
 *      fresh 1   all copies are there, or will be when the block is computed; that one was there before, and is not
 *                stored again
 *
 *   (M1) A row is fresh from when its copy takes over what there was of the block until some of it leaves.
 *   (M2) A row without set bits is what it would be if its block could only leave whole.
 *
 * Who reads copy j of a shard that is not there reads the next one that is, j + 1, j + 2, ... modulo copies.
 *
 * mask_b is at most KVT_MASK_MOST_B: so a row costs less than 64 bytes beside the one for each shard.
 */
#ifndef KVT_SHARD_MASK_H
#define KVT_SHARD_MASK_H

#include "shard_book.h"

/* Neighbours in the queue of what was set aside. */
struct kvt_aside {
    uint32_t before,
        behind; /* copies; KVT_NONE: there is none; before KVT_NOT_ASIDE: is not in it */
};

enum { KVT_NOT_ASIDE = UINT32_MAX - 1 };

/* NULL, or one sentence (static): why shards of so many copies cannot be evicted alone. */
const char *kvt_mask_check(const struct kvt_shards *s);

/* Bytes of a row with gaps. */
uint32_t kvt_mask_row_b(const struct kvt_shards *s);

/* The book, which is new and no joint one, has such rows; and no marks (shard_book.h) any more. */
void kvt_mask_init(struct kvt_shard_book *book);

static inline uint8_t *kvt_mask_fresh(const struct kvt_shard_book *book, uint8_t *row)
{
    return row + book->shards.n + book->mask_b;
}

static inline bool kvt_mask_bit(const struct kvt_shard_book *book, const uint8_t *row, uint32_t k,
                                uint32_t j)
{
    const uint32_t i = k * book->shards.copies + j;
    return row[book->shards.n + i / 8] >> i % 8 & 1;
}

static inline void kvt_mask_set(const struct kvt_shard_book *book, uint8_t *row, uint32_t k,
                                uint32_t j)
{
    const uint32_t i = k * book->shards.copies + j;
    row[book->shards.n + i / 8] |= (uint8_t)(1u << i % 8);
}

/* False in a book without gaps. */
static inline bool kvt_mask_lacks(const struct kvt_shard_book *book, const uint8_t *row, uint32_t k,
                                  uint32_t j)
{
    return book->mask_b && !row[book->shards.n + book->mask_b] && kvt_mask_bit(book, row, k, j);
}

/* Whether a shard has a copy at all; whether each has. */
bool kvt_mask_alive(const struct kvt_shard_book *book, const uint8_t *row, uint32_t k);
bool kvt_mask_whole(const struct kvt_shard_book *book, const uint8_t *row);

/* Adds the weights of what is there, times sign (1, or UINT64_MAX for -1), to sum[gpus]. Returns those of all GPUs
 * together. */
KVT_NOINLINE uint64_t kvt_mask_count(const struct kvt_shard_book *book, const uint8_t *row,
                                     uint64_t sign, uint64_t *sum);

/* Weights on one GPU. */
uint64_t kvt_mask_weight_on(const struct kvt_shard_book *book, const uint8_t *row, uint32_t gpu);

/* Writes where copy j of each shard is read to gpu[n]. */
KVT_NOINLINE void kvt_mask_read(const struct kvt_shard_book *book, const uint8_t *row, uint32_t j,
                                uint8_t *gpu);

/* Adds weights times tokens of what has to be stored to parts[gpus]: all copies that are there, of a fresh row those
 * that were not there before. */
KVT_NOINLINE void kvt_mask_stored(const struct kvt_shard_book *book, const uint8_t *row,
                                  uint32_t tokens, uint64_t *parts);

static inline struct kvt_aside *kvt_mask_aside(const struct kvt_shard_book *book, uint32_t copy)
{
    return (void *)(kvt_book_row(book, copy) + book->aside_at);
}

#endif
