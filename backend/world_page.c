/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_page.c - pages as core numbers them, and where they are on the device.
 *
 * Without shards page p of an engine is page p of each of its pools. With them it is cells (cells.h): the layers of
 * each shard in one of their own, in a pool that follows from what the page is used for. Bytes that travel are packed
 * by layers (kernels.h), whatever the policy, so a range of layers is cut where the next layer is not the next one of
 * the same cell, and each piece goes its own way:
 *
 *      packed    layer   0    1    2    3    4    5    6    7          vertical over 4 GPUs
 *      cells            (0 ......) (1 ......) (2 ......) (3 ......)    4 calls
 *      cells             0    1    2    3    0    1    2    3          8 calls: interleaved, hybrid
 *
 * What a block's copies hold is equal: all are written, and one is read.
 */
#include "world_impl.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t pool_of(const struct be_world *w, uint32_t engine, uint32_t gpu)
{
    return engine * w->config.gpus_per_engine + gpu;
}

struct be_pages be_task_pages(const struct task *t, const struct be_piece *piece)
{
    return (struct be_pages){.engine = t->op->engine,
                             .pages = &t->op->pages[(size_t)t->block * t->world->pages_per_block],
                             .tokens = piece->tokens,
                             .heads = piece->shard,
                             .layer0 = piece->layer0,
                             .layers = piece->layers,
                             .copy = t->op->copy};
}

static struct k_part part_of(const struct be_pages *p)
{
    return (struct k_part){.pages = p->pages,
                           .first_token = p->first_token,
                           .tokens = p->tokens,
                           .layer0 = p->layer0,
                           .layers = p->layers};
}

/* Layers of one cell that follow one another from `layer` on, before `end`. */
static uint32_t run_of(const struct be_cells *c, uint32_t layer, uint32_t end)
{
    uint32_t n = 1;
    while (layer + n < end && c->shard_of[layer + n] == c->shard_of[layer] &&
           c->row_of[layer + n] == c->row_of[layer] + n)
        n++;
    return n;
}

/* The cells of shard k in copy j, page by page; all are in one pool, which is returned. */
static uint32_t find_cells(const struct be_world *w, const struct be_pages *p, uint32_t k,
                           uint32_t j, uint32_t cells[PAGES_MOST])
{
    const struct be_cells *c = &w->engines[p->engine].cells;
    uint32_t gpu = 0;
    for (uint32_t i = p->first_token / w->config.geometry.page_tokens;
         i * w->config.geometry.page_tokens < p->first_token + p->tokens; i++) {
        const struct be_cell at = be_cells_at(c, p->pages[i], k, p->heads, j);
        cells[i] = at.cell;
        gpu = at.gpu;
    }
    return pool_of(w, p->engine, gpu);
}

/* Copies that are to be written: a working page has one. */
static uint32_t copies_of(const struct be_world *w, const struct be_pages *p)
{
    const struct be_cells *c = &w->engines[p->engine].cells;
    const uint32_t first = p->pages[p->first_token / w->config.geometry.page_tokens];
    return be_cells_use(c, first) == BE_PAGE_SHARDED ? c->shape.copies : 1;
}

int be_pages_up(struct be_world *w, const struct be_pages *p, const void *packed)
{
    const struct be_device_ops *ops = w->device.ops;
    struct k_part part = part_of(p);
    if (!be_sharded(w))
        return ops->upload(w->device.self, pool_of(w, p->engine, p->heads), &part, packed);
    const struct be_cells *c = &w->engines[p->engine].cells;
    const uint32_t end = p->layer0 + p->layers, copies = copies_of(w, p);
    uint32_t cells[PAGES_MOST];
    const char *from = packed;
    part.pages = cells;
    int rc = 0;
    for (uint32_t layer = p->layer0; layer < end && rc == 0; layer += part.layers) {
        part.layer0 = c->row_of[layer];
        part.layers = run_of(c, layer, end);
        for (uint32_t j = 0; j < copies && rc == 0; j++) {
            const uint32_t pool = find_cells(w, p, c->shard_of[layer], j, cells);
            rc = ops->upload(w->device.self, pool, &part, from);
        }
        from += k_packed_b(&w->config.geometry, part.layers, part.tokens);
    }
    return rc;
}

int be_pages_down(struct be_world *w, const struct be_pages *p, void *packed)
{
    const struct be_device_ops *ops = w->device.ops;
    struct k_part part = part_of(p);
    if (!be_sharded(w))
        return ops->download(w->device.self, pool_of(w, p->engine, p->heads), &part, packed);
    const struct be_cells *c = &w->engines[p->engine].cells;
    const uint32_t end = p->layer0 + p->layers;
    uint32_t cells[PAGES_MOST];
    char *to = packed;
    part.pages = cells;
    int rc = 0;
    for (uint32_t layer = p->layer0; layer < end && rc == 0; layer += part.layers) {
        part.layer0 = c->row_of[layer];
        part.layers = run_of(c, layer, end);
        const uint32_t pool = find_cells(w, p, c->shard_of[layer], p->copy, cells);
        rc = ops->download(w->device.self, pool, &part, to);
        to += k_packed_b(&w->config.geometry, part.layers, part.tokens);
    }
    return rc;
}

/* Where cells hold whole blocks the device fills them. Where they hold some layers only, it would take those for the
 * first ones: what is to be there is made here then, and goes up. */
int be_pages_fill(struct be_world *w, const struct be_pages *p, uint64_t seed)
{
    struct k_part part = part_of(p);
    if (!be_sharded(w))
        return w->device.ops->fill(w->device.self, pool_of(w, p->engine, p->heads), &part, seed);
    if (w->engines[p->engine].cells.shape.n == 1) {
        uint32_t cells[PAGES_MOST];
        const uint32_t pool = find_cells(w, p, 0, 0, cells);
        part.pages = cells;
        return w->device.ops->fill(w->device.self, pool, &part, seed);
    }
    void *packed = malloc(k_packed_b(&w->config.geometry, p->layers, p->tokens));
    if (!packed)
        return -ENOMEM;
    k_fill_packed(&w->config.geometry, &part, seed, packed);
    const int rc = be_pages_up(w, p, packed);
    free(packed);
    return rc;
}
