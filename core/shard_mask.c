/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_mask.c - see shard_mask.h.
 */
#include "shard_mask.h"

#include <assert.h>
#include <string.h>

static uint32_t mask_b(const struct kvt_shards *s)
{
    return (s->n * s->copies + 7) / 8;
}

/* Where a row's neighbours begin. */
static uint32_t aside_at(const struct kvt_shards *s)
{
    return (s->n + mask_b(s) + 1 + 3) / 4 * 4;
}

const char *kvt_mask_check(const struct kvt_shards *s)
{
    return (uint64_t)s->n * s->copies > 8 * KVT_MASK_MOST_B
               ? "shards are evicted alone where a block has at most 384 of them, copies included"
               : NULL;
}

uint32_t kvt_mask_row_b(const struct kvt_shards *s)
{
    return aside_at(s) + (uint32_t)sizeof(struct kvt_aside);
}

void kvt_mask_init(struct kvt_shard_book *book)
{
    const struct kvt_shards *s = &book->shards;
    assert(!book->joint);
    book->mask_b = mask_b(s);
    book->marks_b = 0; /* what is lost with a GPU is a gap like others, or there again */
    book->aside_at = aside_at(s);
    book->row_b = s->n + book->mask_b + 1;
    book->even_b = book->row_b; /* what lacks something is no even row */
    book->aside.first = book->aside.last = KVT_NONE;
    for (uint32_t g = 0; g < s->config.gpus; g++)
        book->aside.cursor[g] = KVT_NONE;
}

bool kvt_mask_alive(const struct kvt_shard_book *book, const uint8_t *row, uint32_t k)
{
    uint32_t j = 0;
    while (j < book->shards.copies && kvt_mask_lacks(book, row, k, j))
        j++;
    return j < book->shards.copies;
}

bool kvt_mask_whole(const struct kvt_shard_book *book, const uint8_t *row)
{
    uint32_t k = 0;
    while (k < book->shards.n && kvt_mask_alive(book, row, k))
        k++;
    return k == book->shards.n;
}

uint64_t kvt_mask_count(const struct kvt_shard_book *book, const uint8_t *row, uint64_t sign,
                        uint64_t *sum)
{
    const struct kvt_shards *s = &book->shards;
    uint64_t all = 0;
    for (uint32_t k = 0; k < s->n; k++) {
        for (uint32_t j = 0; j < s->copies; j++) {
            if (kvt_mask_lacks(book, row, k, j))
                continue;
            sum[kvt_shard_copy(s, row[k], j)] += sign * s->weight[k];
            all += s->weight[k];
        }
    }
    return all;
}

uint64_t kvt_mask_weight_on(const struct kvt_shard_book *book, const uint8_t *row, uint32_t gpu)
{
    const struct kvt_shards *s = &book->shards;
    uint64_t weight = 0;
    for (uint32_t k = 0; k < s->n; k++)
        for (uint32_t j = 0; j < s->copies; j++)
            if (kvt_shard_copy(s, row[k], j) == gpu && !kvt_mask_lacks(book, row, k, j))
                weight += s->weight[k];
    return weight;
}

void kvt_mask_read(const struct kvt_shard_book *book, const uint8_t *row, uint32_t j, uint8_t *gpu)
{
    const struct kvt_shards *s = &book->shards;
    for (uint32_t k = 0; k < s->n; k++) {
        uint32_t at = j, left = s->copies;
        while (kvt_mask_lacks(book, row, k, at) && --left)
            at = (at + 1) % s->copies;
        assert(left); /* nobody reads what is not usable */
        gpu[k] = (uint8_t)kvt_shard_copy(s, row[k], at);
    }
}

void kvt_mask_stored(const struct kvt_shard_book *book, const uint8_t *row, uint32_t tokens,
                     uint64_t *parts)
{
    const struct kvt_shards *s = &book->shards;
    for (uint32_t k = 0; k < s->n; k++)
        for (uint32_t j = 0; j < s->copies; j++)
            if (!kvt_mask_bit(book, row, k, j))
                parts[kvt_shard_copy(s, row[k], j)] += (uint64_t)s->weight[k] * tokens;
}
