/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cells.c - cells.h: a stack of free cells per pool, and a table from pages to cells.
 *
 * A page's row of the table has a place for each (copy j, shard k, heads d); working pages use those of copy 0. Cells
 * that were never taken are handed out in order, so that a pool's memory is touched no sooner than it is needed.
 */
#include "cells.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t gpus_of(const struct be_cells *c)
{
    return c->shape.config.gpus;
}

static size_t row_n(const struct be_cells *c)
{
    return (size_t)c->shape.n * gpus_of(c) * c->shape.copies;
}

static size_t index_of(const struct be_cells *c, uint32_t k, uint32_t d, uint32_t j)
{
    return ((size_t)j * c->shape.n + k) * gpus_of(c) + d;
}

static uint32_t most_layers(const struct kvt_shards *s)
{
    uint32_t most = 0;
    for (uint32_t k = 0; k < s->n; k++)
        most = s->weight[k] > most ? s->weight[k] : most;
    return most;
}

uint32_t be_cells_layers(const struct kvt_shard_config *config)
{
    struct kvt_shards s;
    kvt_shards_init(&s, config);
    return most_layers(&s);
}

/* a * b / c, rounded down, where only a is large. */
static uint64_t share(uint64_t a, uint64_t b, uint64_t c)
{
    return a / c * b + a % c * b / c;
}

uint64_t be_cells_needed(const struct kvt_shard_config *config, uint64_t gpu_b, uint64_t unit_b,
                         uint64_t page_gpu_b, uint32_t pages_per_block)
{
    struct kvt_shards s;
    kvt_shards_init(&s, config);
    uint64_t least = s.weight[0];
    for (uint32_t k = 1; k < s.n; k++)
        least = s.weight[k] < least ? s.weight[k] : least;
    /* A working page is n cells of a GPU, the smallest shard of a block pages_per_block * G: whichever has more for its
     * bytes, and what is mixed of both has no more than that. */
    const uint64_t working = share(gpu_b, s.n, page_gpu_b);
    const uint64_t sharded = share(gpu_b, (uint64_t)pages_per_block * config->gpus, least * unit_b);
    return working > sharded ? working : sharded;
}

static bool map_layers(struct be_cells *c)
{
    const uint32_t layers = c->shape.config.layers;
    uint16_t seen[KVT_SHARD_GPUS] = {0};
    c->shard_of = malloc(layers * sizeof *c->shard_of);
    c->row_of = malloc(layers * sizeof *c->row_of);
    if (!c->shard_of || !c->row_of)
        return false;
    for (uint32_t layer = 0; layer < layers; layer++) {
        const uint32_t k = kvt_shard_of(&c->shape, layer, 0);
        c->shard_of[layer] = (uint16_t)k;
        c->row_of[layer] = seen[k]++;
    }
    for (uint32_t k = 0; k < c->shape.n; k++)
        assert(seen[k] == c->shape.weight[k]);
    return true;
}

int be_cells_init(struct be_cells *c, const struct be_cells_config *config)
{
    assert(config->shard.policy && config->shard.policy->splits != KVT_SPLIT_HEAD);
    *c = (struct be_cells){.pages = config->pages, .cells = config->cells};
    kvt_shards_init(&c->shape, &config->shard);
    c->layers_most = most_layers(&c->shape);
    c->use = calloc((size_t)c->pages + 1, sizeof *c->use);
    c->row = malloc(((size_t)c->pages + 1) * c->shape.n);
    c->at = malloc(((size_t)c->pages + 1) * row_n(c) * sizeof *c->at);
    c->pools = calloc(gpus_of(c), sizeof *c->pools);
    bool ok = c->use && c->row && c->at && c->pools && map_layers(c);
    for (uint32_t g = 0; ok && g < gpus_of(c); g++)
        ok = (c->pools[g].given = malloc(((size_t)c->cells + 1) * sizeof(uint32_t))) != NULL;
    if (ok)
        return 0;
    be_cells_release(c);
    return -ENOMEM;
}

void be_cells_release(struct be_cells *c)
{
    for (uint32_t g = 0; c->pools && g < gpus_of(c); g++)
        free(c->pools[g].given);
    free(c->pools);
    free(c->use);
    free(c->row);
    free(c->at);
    free(c->shard_of);
    free(c->row_of);
    *c = (struct be_cells){0};
}

/* ---- Cells of pools ---------------------------------------------------------------------------- */

static uint32_t left(const struct be_cells *c, uint32_t gpu)
{
    const struct be_cells_pool *p = &c->pools[gpu];
    return p->n_given + (c->cells - p->fresh);
}

static uint32_t take(struct be_cells *c, uint32_t gpu, enum be_page_use use)
{
    struct be_cells_pool *p = &c->pools[gpu];
    p->used[use]++;
    return p->n_given ? p->given[--p->n_given] : p->fresh++;
}

static void give(struct be_cells *c, uint32_t gpu, enum be_page_use use, uint32_t cell)
{
    struct be_cells_pool *p = &c->pools[gpu];
    assert(p->used[use] > 0 && cell < p->fresh);
    p->used[use]--;
    p->given[p->n_given++] = cell;
}

/* Whether every pool has what shards of one page need. */
static bool room_for(const struct be_cells *c, const uint8_t *row)
{
    uint32_t need[KVT_SHARD_GPUS] = {0};
    for (uint32_t j = 0; j < c->shape.copies; j++)
        for (uint32_t k = 0; k < c->shape.n; k++)
            need[kvt_shard_copy(&c->shape, row[k], j)] += gpus_of(c);
    for (uint32_t g = 0; g < gpus_of(c); g++)
        if (need[g] > left(c, g))
            return false;
    return true;
}

/* ---- Pages ------------------------------------------------------------------------------------- */

bool be_cells_work(struct be_cells *c, uint32_t page)
{
    uint32_t *at = c->at + page * row_n(c);
    assert(page < c->pages && c->use[page] != BE_PAGE_SHARDED);
    if (c->use[page] == BE_PAGE_WORKING)
        return true;
    for (uint32_t g = 0; g < gpus_of(c); g++)
        if (left(c, g) < c->shape.n)
            return false;
    for (uint32_t k = 0; k < c->shape.n; k++)
        for (uint32_t d = 0; d < gpus_of(c); d++)
            at[index_of(c, k, d, 0)] = take(c, d, BE_PAGE_WORKING);
    c->use[page] = BE_PAGE_WORKING;
    return true;
}

bool be_cells_shard(struct be_cells *c, uint32_t page, const uint8_t *row)
{
    uint32_t *at = c->at + page * row_n(c);
    assert(page < c->pages && c->use[page] != BE_PAGE_WORKING);
    if (c->use[page] == BE_PAGE_SHARDED) {
        assert(memcmp(c->row + (size_t)page * c->shape.n, row, c->shape.n) == 0);
        return true;
    }
    if (!room_for(c, row))
        return false;
    for (uint32_t j = 0; j < c->shape.copies; j++)
        for (uint32_t k = 0; k < c->shape.n; k++)
            for (uint32_t d = 0; d < gpus_of(c); d++)
                at[index_of(c, k, d, j)] =
                    take(c, kvt_shard_copy(&c->shape, row[k], j), BE_PAGE_SHARDED);
    memcpy(c->row + (size_t)page * c->shape.n, row, c->shape.n);
    c->use[page] = BE_PAGE_SHARDED;
    return true;
}

bool be_cells_turn(struct be_cells *c, uint32_t page, const uint8_t *row, uint32_t *old)
{
    assert(page < c->pages && c->use[page] == BE_PAGE_WORKING);
    memcpy(old, c->at + page * row_n(c), (size_t)c->shape.n * gpus_of(c) * sizeof *old);
    c->use[page] = BE_PAGE_FREE;
    if (be_cells_shard(c, page, row))
        return true;
    c->use[page] = BE_PAGE_WORKING;
    return false;
}

void be_cells_give(struct be_cells *c, const uint32_t *old)
{
    for (uint32_t k = 0; k < c->shape.n; k++)
        for (uint32_t d = 0; d < gpus_of(c); d++)
            give(c, d, BE_PAGE_WORKING, old[index_of(c, k, d, 0)]);
}

void be_cells_free(struct be_cells *c, uint32_t page)
{
    const enum be_page_use use = be_cells_use(c, page);
    const uint32_t copies = use == BE_PAGE_SHARDED ? c->shape.copies : 1;
    for (uint32_t j = 0; use != BE_PAGE_FREE && j < copies; j++)
        for (uint32_t k = 0; k < c->shape.n; k++)
            for (uint32_t d = 0; d < gpus_of(c); d++) {
                const struct be_cell cell = be_cells_at(c, page, k, d, j);
                give(c, cell.gpu, use, cell.cell);
            }
    c->use[page] = BE_PAGE_FREE;
}

struct be_cell be_cells_at(const struct be_cells *c, uint32_t page, uint32_t k, uint32_t d,
                           uint32_t j)
{
    assert(page < c->pages && c->use[page] != BE_PAGE_FREE);
    const bool sharded = c->use[page] == BE_PAGE_SHARDED;
    const uint8_t *row = c->row + (size_t)page * c->shape.n;
    return (struct be_cell){sharded ? kvt_shard_copy(&c->shape, row[k], j) : d,
                            c->at[page * row_n(c) + index_of(c, k, d, sharded ? j : 0)]};
}

bool be_cells_check(const struct be_cells *c)
{
    const uint32_t gpus = gpus_of(c);
    uint8_t *owners = calloc((size_t)gpus * c->cells + 1, 1);
    uint32_t used[KVT_SHARD_GPUS][BE_PAGE_SHARDED + 1] = {{0}};
    bool ok = owners != NULL;
    for (uint32_t page = 0; ok && page < c->pages; page++) {
        const enum be_page_use use = be_cells_use(c, page);
        const uint32_t copies = use == BE_PAGE_SHARDED ? c->shape.copies : use != BE_PAGE_FREE;
        for (uint32_t i = 0; i < copies * c->shape.n * gpus; i++) {
            const struct be_cell cell =
                be_cells_at(c, page, i / gpus % c->shape.n, i % gpus, i / gpus / c->shape.n);
            used[cell.gpu][use]++;
            ok &= cell.cell < c->cells && owners[(size_t)cell.gpu * c->cells + cell.cell]++ == 0;
        }
    }
    for (uint32_t g = 0; ok && g < gpus; g++) {
        const struct be_cells_pool *p = &c->pools[g];
        for (uint32_t i = 0; i < p->n_given; i++)
            ok &= owners[(size_t)g * c->cells + p->given[i]]++ == 0;
        for (int use = BE_PAGE_WORKING; use <= BE_PAGE_SHARDED; use++)
            ok &= used[g][use] == p->used[use];
        ok &= p->fresh <= c->cells &&
              p->used[BE_PAGE_WORKING] + p->used[BE_PAGE_SHARDED] + p->n_given == p->fresh;
    }
    free(owners);
    return ok;
}
