/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_book.c - sums over rows. Every block that comes, goes, rests or wakes costs one addition per
 * shard and copy; nothing is ever walked.
 */
#include "shard_book.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static size_t load_b(const struct kvt_shards *s)
{
    return (size_t)s->n * s->config.gpus * sizeof(uint32_t);
}

int kvt_book_init(struct kvt_shard_book *book, const struct kvt_shard_config *config,
                  const struct kvt_shard_room *room, struct kvt_pool *rows,
                  const struct kvt_alloc *alloc)
{
    memset(book, 0, sizeof *book);
    kvt_shards_init(&book->shards, config);
    book->room = *room;
    book->rows = rows;
    book->alloc = alloc;
    const size_t size_b = load_b(&book->shards);
    book->decoding.tokens = alloc->get(alloc->self, size_b);
    book->chunk.tokens = alloc->get(alloc->self, size_b);
    if (!book->decoding.tokens || !book->chunk.tokens) {
        kvt_book_release(book);
        return -ENOMEM;
    }
    kvt_load_clear(book, &book->decoding);
    kvt_load_clear(book, &book->chunk);
    return 0;
}

void kvt_book_release(struct kvt_shard_book *book)
{
    if (!book->alloc)
        return;
    const size_t size_b = load_b(&book->shards);
    if (book->decoding.tokens)
        book->alloc->put(book->alloc->self, book->decoding.tokens, size_b);
    if (book->chunk.tokens)
        book->alloc->put(book->alloc->self, book->chunk.tokens, size_b);
    book->decoding.tokens = book->chunk.tokens = NULL;
}

int kvt_book_cover(struct kvt_pool *rows, uint32_t copy)
{
    while (rows->fresh <= copy)
        if (kvt_pool_take(rows) == KVT_NONE)
            return -ENOMEM;
    return 0;
}

/* ---- Memory ------------------------------------------------------------------------------------ */

void kvt_book_count(const struct kvt_shard_book *book, const uint8_t *row, uint64_t *need)
{
    const struct kvt_shards *s = &book->shards;
    for (uint32_t k = 0; k < s->n; k++)
        need[row[k]] += s->weight[k];
    for (uint32_t j = 1; j < s->copies; j++)
        for (uint32_t k = 0; k < s->n; k++)
            need[kvt_shard_copy(s, row[k], j)] += s->weight[k];
}

static void uncount(const struct kvt_shard_book *book, const uint8_t *row, uint64_t *sum)
{
    const struct kvt_shards *s = &book->shards;
    for (uint32_t j = 0; j < s->copies; j++) {
        for (uint32_t k = 0; k < s->n; k++) {
            const uint32_t g = j ? kvt_shard_copy(s, row[k], j) : row[k];
            assert(sum[g] >= s->weight[k]);
            sum[g] -= s->weight[k];
        }
    }
}

void kvt_book_add(struct kvt_shard_book *book, uint32_t copy)
{
    memcpy(kvt_book_row(book, copy), book->placing, book->shards.n);
    kvt_book_count(book, kvt_book_row(book, copy), book->held);
    kvt_book_count(book, kvt_book_row(book, copy), book->stored);
}

void kvt_book_remove(struct kvt_shard_book *book, uint32_t copy)
{
    uncount(book, kvt_book_row(book, copy), book->held);
    book->changes++;
}

void kvt_book_rest(struct kvt_shard_book *book, uint32_t copy)
{
    kvt_book_count(book, kvt_book_row(book, copy), book->idle);
    book->changes++;
}

void kvt_book_wake(struct kvt_shard_book *book, uint32_t copy)
{
    uncount(book, kvt_book_row(book, copy), book->idle);
}

static bool fits(const struct kvt_shard_book *book, const uint64_t *need, uint64_t pages,
                 const uint64_t *spare)
{
    if (book->room.gpu_b == UINT64_MAX)
        return true;
    for (uint32_t g = 0; g < book->shards.config.gpus; g++) {
        const uint64_t weights = book->held[g] - (spare ? spare[g] : 0) + (need ? need[g] : 0);
        if (weights * book->room.unit_b + pages * book->room.page_gpu_b > book->room.gpu_b)
            return false;
    }
    return true;
}

bool kvt_book_fits(const struct kvt_shard_book *book, const uint64_t *need, uint64_t pages)
{
    return fits(book, need, pages, NULL);
}

bool kvt_book_could(const struct kvt_shard_book *book, const uint64_t *need, uint64_t pages)
{
    return fits(book, need, pages, book->idle);
}

uint64_t kvt_book_pages(const struct kvt_shard_book *book)
{
    if (book->room.gpu_b == UINT64_MAX)
        return UINT64_MAX;
    uint64_t most = 0;
    for (uint32_t g = 0; g < book->shards.config.gpus; g++) {
        const uint64_t pinned = book->held[g] - book->idle[g];
        most = pinned > most ? pinned : most;
    }
    const uint64_t pinned_b = most * book->room.unit_b;
    return pinned_b >= book->room.gpu_b ? 0 : (book->room.gpu_b - pinned_b) / book->room.page_gpu_b;
}

/* ---- Reading ----------------------------------------------------------------------------------- */

void kvt_book_parts(const struct kvt_shard_book *book, const uint8_t *row, uint32_t j,
                    uint32_t tokens, uint64_t *parts)
{
    const struct kvt_shards *s = &book->shards;
    for (uint32_t k = 0; k < s->n; k++)
        parts[kvt_shard_copy(s, row[k], j)] += (uint64_t)s->weight[k] * tokens;
}

uint32_t kvt_book_choose(const struct kvt_shard_book *book, const uint64_t *parts)
{
    const struct kvt_shards *s = &book->shards;
    uint64_t least = UINT64_MAX;
    uint32_t best = 0;
    for (uint32_t j = 0; j < s->copies; j++) {
        uint64_t most = 0;
        for (uint32_t g = 0; g < s->config.gpus; g++) {
            const uint64_t busy = parts[g] ? book->asked[kvt_shard_copy(s, g, j)] + parts[g] : 0;
            most = busy > most ? busy : most;
        }
        if (most < least) {
            least = most;
            best = j;
        }
    }
    return best;
}

void kvt_load_settle(struct kvt_shard_book *book, struct kvt_shard_load *load)
{
    const struct kvt_shards *s = &book->shards;
    const uint32_t gpus = s->config.gpus;
    for (uint32_t k = 0; load->iterations && k < s->n; k++)
        for (uint32_t g = 0; g < gpus; g++)
            book->read[g] += load->iterations * s->weight[k] * load->tokens[k * gpus + g];
    load->iterations = 0;
}

void kvt_load_clear(struct kvt_shard_book *book, struct kvt_shard_load *load)
{
    kvt_load_settle(book, load);
    memset(load->tokens, 0, load_b(&book->shards));
    load->sum = load->busy = 0;
    load->stale = false;
}

void kvt_load_add(struct kvt_shard_book *book, struct kvt_shard_load *load, const uint8_t *row,
                  uint32_t j, uint32_t tokens)
{
    const struct kvt_shards *s = &book->shards;
    kvt_load_settle(book, load);
    for (uint32_t k = 0; k < s->n; k++)
        load->tokens[k * s->config.gpus + (j ? kvt_shard_copy(s, row[k], j) : row[k])] += tokens;
    load->sum += tokens;
    load->stale = true;
}

void kvt_load_remove(struct kvt_shard_book *book, struct kvt_shard_load *load, const uint8_t *row,
                     uint32_t j, uint32_t tokens)
{
    const struct kvt_shards *s = &book->shards;
    kvt_load_settle(book, load);
    for (uint32_t k = 0; k < s->n; k++) {
        uint32_t *at =
            &load->tokens[k * s->config.gpus + (j ? kvt_shard_copy(s, row[k], j) : row[k])];
        assert(*at >= tokens);
        *at -= tokens;
    }
    assert(load->sum >= tokens);
    load->sum -= tokens;
    load->stale = true;
}

uint64_t kvt_load_skew(struct kvt_shard_book *book, struct kvt_shard_load *load)
{
    const struct kvt_shards *s = &book->shards;
    const uint32_t gpus = s->config.gpus;
    if (load->stale) {
        load->busy = 0;
        for (uint32_t k = 0; k < s->n; k++) {
            uint32_t most = 0;
            const uint32_t *of = &load->tokens[k * gpus];
            for (uint32_t g = 0; g < gpus; g++)
                most = of[g] > most ? of[g] : most;
            load->busy += (uint64_t)s->weight[k] * most;
        }
        load->stale = false;
    }
    const uint64_t busy = (load->busy * gpus + s->weight_sum - 1) / s->weight_sum;
    assert(busy >= load->sum);
    return busy - load->sum;
}
