/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_shard.c - the GPUs of one engine: what lies in shards is gathered, what was computed is spread.
 *
 *      gather    a load from tier gpu; a piece is one block for one GPU d
 *                shard k, heads d, on GPU row[k] ---- device.peer ----> page of the request's own, heads d, on GPU d
 *      spread    the end of the step that completes a block, on its workers
 *                page of the request's own, heads d, on GPU d ---- device.peer ----> shard k, heads d, on all its GPUs
 *
 * A block is where its shards shall lie before core hears of it, hence before anybody gathers it or stores it below.
 * That is earlier than core asks for: its store to tier gpu comes when the whole prompt is complete. It finds the
 * work done, and tells what it took. Blocks of output are kept when their request ends: until then they have no place
 * and their pages are working ones, so those are copied when the store comes, at once, block by block; core made room
 * for each before it took the next.
 *
 * Bytes that go from one GPU to another are counted, for each GPU in and out. With P(g) read from GPU g, of which
 * 1 / G stays there, that is what sim/fabric.h has over its ports. Copies within a GPU are made as well.
 */
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Memory ------------------------------------------------------------------------------------ */

struct k_geometry be_shard_geometry(const struct be_world_config *config)
{
    struct k_geometry g = config->geometry;
    if (config->shard.policy) {
        g.layers = be_cells_layers(&config->shard);
        g.pages = config->cells;
    }
    return g;
}

int be_shard_init(struct be_world *w)
{
    const struct be_cells_config config = {.shard = w->config.shard,
                                           .pages = w->config.geometry.pages,
                                           .cells = w->config.cells};
    for (uint32_t e = 0; be_sharded(w) && e < w->config.engines; e++) {
        struct engine *engine = &w->engines[e];
        engine->gpus = calloc(w->config.gpus_per_engine, sizeof *engine->gpus);
        if (!engine->gpus || be_cells_init(&engine->cells, &config) != 0)
            return -ENOMEM;
    }
    return 0;
}

void be_shard_release(struct be_world *w)
{
    for (uint32_t e = 0; w->engines && e < w->config.engines; e++) {
        be_cells_release(&w->engines[e].cells);
        free(w->engines[e].gpus);
    }
}

void be_shard_freed(void *self, kvt_engine_id engine, uint32_t page)
{
    struct be_world *w = self;
    if (be_sharded(w))
        be_cells_free(&w->engines[engine.v].cells, page);
}

/* Core counts bytes so that this cannot be; if it is, no figure of the run is worth anything. */
static int overfull(struct be_world *w)
{
    w->error = -ENOBUFS;
    return -ENOBUFS;
}

int be_shard_work(struct be_world *w, uint32_t engine, const uint32_t *pages, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!be_cells_work(&w->engines[engine].cells, pages[i]))
            return overfull(w);
    return 0;
}

int be_shard_place(struct be_world *w, uint32_t engine, const uint32_t *pages, uint32_t n,
                   const uint8_t *row)
{
    for (uint32_t i = 0; i < n; i++)
        if (!be_cells_shard(&w->engines[engine].cells, pages[i], row))
            return overfull(w);
    return 0;
}

/* ---- Copies ------------------------------------------------------------------------------------ */

/* Layers of one shard and heads d of a block, from its cells to others. */
struct way {
    uint32_t from_gpu, to_gpu;
    uint32_t from[PAGES_MOST], to[PAGES_MOST];
};

/* From copy `from_j` of some pages to copy `to_j` of others; working pages have one. */
static void find_way(const struct be_world *w, const struct be_cells *c, const uint32_t *from,
                     uint32_t from_j, const uint32_t *to, uint32_t to_j, uint32_t k, uint32_t d,
                     struct way *way)
{
    for (uint32_t i = 0; i < w->pages_per_block; i++) {
        const struct be_cell a = be_cells_at(c, from[i], k, d, from_j);
        const struct be_cell b = be_cells_at(c, to[i], k, d, to_j);
        way->from_gpu = a.gpu;
        way->from[i] = a.cell;
        way->to_gpu = b.gpu;
        way->to[i] = b.cell;
    }
}

static int copy_way(struct be_world *w, uint32_t engine, uint32_t layers, const struct way *way)
{
    const uint32_t first = engine * w->config.gpus_per_engine;
    const struct k_part part = {.pages = way->from,
                                .tokens = w->config.block_tokens,
                                .layers = layers};
    return w->device.ops->peer(w->device.self, first + way->from_gpu, &part, first + way->to_gpu,
                               way->to);
}

static uint64_t shard_b(const struct be_world *w, const struct be_cells *c, uint32_t k)
{
    return k_packed_b(&w->config.geometry, c->shape.weight[k], w->config.block_tokens);
}

void be_shard_gather(struct task *t)
{
    struct be_world *w = t->world;
    const struct op *op = t->op;
    const struct be_cells *c = &w->engines[op->engine].cells;
    const struct be_piece piece = be_task_piece(t);
    const uint32_t *to = &op->pages[(size_t)t->block * w->pages_per_block];
    const uint32_t *from = &op->from_pages[(size_t)t->block * w->pages_per_block];
    int rc = 0;
    for (uint32_t k = 0; k < c->shape.n && rc == 0; k++) {
        struct way way;
        find_way(w, c, from, op->copy, to, 0, k, piece.shard, &way);
        rc = copy_way(w, op->engine, c->shape.weight[k], &way);
        t->value_b += way.from_gpu != way.to_gpu ? shard_b(w, c, k) : 0;
    }
    t->copy_ns = be_clock(w);
    t->payload = t->value;
    if (rc == 0 && w->config.verify) {
        const struct be_pages there = be_task_pages(t, &piece);
        rc = be_pages_down(w, &there, t->value);
    }
    if (rc != 0)
        t->status = KVT_DOWN;
}

int be_shard_spread(struct be_world *w, uint32_t engine, const uint32_t *from, const uint32_t *to)
{
    const struct be_cells *c = &w->engines[engine].cells;
    int rc = 0;
    for (uint32_t j = 0; j < c->shape.copies; j++)
        for (uint32_t k = 0; k < c->shape.n; k++)
            for (uint32_t d = 0; d < w->config.gpus_per_engine && rc == 0; d++) {
                struct way way;
                find_way(w, c, from, 0, to, j, k, d, &way);
                rc = copy_way(w, engine, c->shape.weight[k], &way);
            }
    return rc;
}

/* ---- Counting ---------------------------------------------------------------------------------- */

/* Cell (k, d), copy j, of a block in shards was written from GPU d. */
static void for_each_spread(const struct be_world *w, uint32_t engine, const uint32_t *pages,
                            void (*fn)(struct engine *e, uint32_t from, uint32_t to, uint64_t b,
                                       uint64_t *sum),
                            uint64_t *sum)
{
    struct engine *e = &w->engines[engine];
    const struct be_cells *c = &e->cells;
    for (uint32_t j = 0; j < c->shape.copies; j++)
        for (uint32_t k = 0; k < c->shape.n; k++)
            for (uint32_t d = 0; d < w->config.gpus_per_engine; d++) {
                const uint32_t to = be_cells_at(c, pages[0], k, d, j).gpu;
                if (to != d)
                    fn(e, d, to, shard_b(w, c, k), sum);
            }
}

static void add_up(struct engine *e, uint32_t from, uint32_t to, uint64_t b, uint64_t *sum)
{
    (void)e;
    (void)from;
    (void)to;
    *sum += b;
}

static void book(struct engine *e, uint32_t from, uint32_t to, uint64_t b, uint64_t *sum)
{
    e->gpus[from].spread_out_b += b;
    e->gpus[to].spread_in_b += b;
    *sum += b;
}

static uint64_t spread_b(const struct be_world *w, uint32_t engine, const uint32_t *pages)
{
    uint64_t sum = 0;
    for_each_spread(w, engine, pages, add_up, &sum);
    return sum;
}

void be_shard_was_spread(struct be_world *w, uint32_t engine, const uint32_t *to)
{
    uint64_t sum = 0;
    for_each_spread(w, engine, to, book, &sum);
}

static void count_gathered(const struct task *t, const struct be_piece *piece)
{
    const struct be_world *w = t->world;
    struct engine *e = &w->engines[t->op->engine];
    const uint32_t *from = &t->op->from_pages[(size_t)t->block * w->pages_per_block];
    for (uint32_t k = 0; k < e->cells.shape.n; k++) {
        const uint32_t gpu = be_cells_at(&e->cells, from[0], k, piece->shard, t->op->copy).gpu;
        if (gpu == piece->shard)
            continue;
        e->gpus[gpu].gather_out_b += shard_b(w, &e->cells, k);
        e->gpus[piece->shard].gather_in_b += shard_b(w, &e->cells, k);
    }
}

void be_shard_moved(const struct task *t)
{
    const struct be_world *w = t->world;
    struct engine *e = &w->engines[t->op->engine];
    const struct be_cells *c = &e->cells;
    const struct be_piece piece = be_task_piece(t);
    if (t->lane == KVT_GPU) {
        count_gathered(t, &piece);
        return;
    }
    const struct be_pages p = be_task_pages(t, &piece);
    const bool up = t->op->kind == OP_LOAD;
    const uint64_t layer_b = k_packed_b(&w->config.geometry, 1, piece.tokens);
    for (uint32_t layer = piece.layer0; layer < piece.layer0 + piece.layers; layer++)
        for (uint32_t j = up ? 0 : p.copy; j < (up ? c->shape.copies : p.copy + 1); j++) {
            const uint32_t k = c->shard_of[layer];
            struct be_gpu_stats *gpu = &e->gpus[be_cells_at(c, p.pages[0], k, p.heads, j).gpu];
            gpu->up_b += up ? layer_b : 0;
            gpu->down_b += up ? 0 : layer_b;
        }
}

/* Of a cell, all layers of its shard: where shards are not equal, smaller ones leave a part of it empty. */
bool be_world_gpu(const struct be_world *w, uint32_t engine, uint32_t gpu,
                  struct be_gpu_stats *stats)
{
    if (!be_sharded(w) || engine >= w->config.engines || gpu >= w->config.gpus_per_engine)
        return false;
    const struct engine *e = &w->engines[engine];
    const struct k_geometry g = be_shard_geometry(&w->config);
    const uint64_t cell_b = k_packed_b(&g, g.layers, g.page_tokens);
    *stats = e->gpus[gpu];
    stats->shards_b = be_cells_used(&e->cells, gpu, BE_PAGE_SHARDED) * cell_b;
    stats->working_b = be_cells_used(&e->cells, gpu, BE_PAGE_WORKING) * cell_b;
    return true;
}

bool be_world_shards_check(const struct be_world *w)
{
    bool ok = true;
    for (uint32_t e = 0; be_sharded(w) && e < w->config.engines; e++)
        ok &= be_cells_check(&w->engines[e].cells);
    return ok;
}

/* ---- Blocks of output -------------------------------------------------------------------------- */

/* Its pages are working ones still; they become those of its shards. */
static int turn(struct be_world *w, uint32_t engine, const uint32_t *pages, const uint8_t *row)
{
    struct be_cells *c = &w->engines[engine].cells;
    const uint32_t gpus = w->config.gpus_per_engine, each = c->shape.n * gpus;
    uint32_t *old = malloc((size_t)w->pages_per_block * each * sizeof *old);
    int rc = old ? 0 : -ENOMEM;
    uint32_t turned = 0;
    for (; turned < w->pages_per_block && rc == 0; turned++)
        if (!be_cells_turn(c, pages[turned], row, old + (size_t)turned * each))
            rc = overfull(w);
    for (uint32_t i = 0; i < each * c->shape.copies && rc == 0; i++) {
        const uint32_t k = i / gpus % c->shape.n, d = i % gpus, j = i / each;
        struct way way = {.from_gpu = d};
        for (uint32_t p = 0; p < w->pages_per_block; p++) {
            const struct be_cell at = be_cells_at(c, pages[p], k, d, j);
            way.from[p] = old[(size_t)p * each + k * gpus + d];
            way.to[p] = at.cell;
            way.to_gpu = at.gpu;
        }
        rc = copy_way(w, engine, c->shape.weight[k], &way);
    }
    for (uint32_t p = 0; p < turned && rc == 0; p++)
        be_cells_give(c, old + (size_t)p * each);
    free(old);
    return rc;
}

/* Prompts' blocks are there already; what they took on their way is told, and was counted, by the steps. */
static int settle_store(struct op *op, const struct kvt_transfer *t)
{
    struct be_world *w = op->world;
    struct engine *e = &w->engines[op->engine];
    for (uint32_t i = 0; i < t->n_blocks; i++) {
        const uint32_t *pages = &op->pages[(size_t)i * w->pages_per_block];
        struct kvt_block_shards shards;
        if (!kvt_core_shards(w->core, t->op, i, &shards))
            return -EINVAL;
        const enum be_page_use use = be_cells_use(&e->cells, pages[0]);
        const int rc = use == BE_PAGE_SHARDED   ? 0
                       : use == BE_PAGE_WORKING ? turn(w, op->engine, pages, shards.row)
                                                : -EILSEQ; /* it was never computed */
        if (rc != 0) {
            w->error = rc;
            return rc;
        }
        if (use == BE_PAGE_WORKING)
            be_shard_was_spread(w, op->engine, pages);
        op->bytes += spread_b(w, op->engine, pages);
    }
    return 0;
}

/* ---- Operations -------------------------------------------------------------------------------- */

/* Its blocks' pages are known; here is where they are, and whatever a gather writes to. */
int be_shard_op(struct op *op, const struct kvt_transfer *t)
{
    struct be_world *w = op->world;
    const uint32_t n = t->n_blocks * w->pages_per_block;
    struct kvt_block_shards shards = {0};
    int rc = 0;
    if (op->kind == OP_STORE && t->tier == KVT_GPU)
        return settle_store(op, t);
    for (uint32_t i = 0; i < t->n_blocks && rc == 0; i++) {
        if (!kvt_core_shards(w->core, t->op, i, &shards))
            return -EINVAL;
        op->copy = shards.copy;
        if (op->kind == OP_LOAD && t->tier != KVT_GPU)
            rc = be_shard_place(w, op->engine, &op->pages[(size_t)i * w->pages_per_block],
                                w->pages_per_block, shards.row);
    }
    if (op->kind != OP_LOAD || t->tier != KVT_GPU || rc != 0)
        return rc;
    memcpy(op->from_pages, op->pages, n * sizeof *op->pages);
    if (kvt_core_gather_pages(w->core, t->op, op->pages, n) != n)
        return -EINVAL;
    return be_shard_work(w, op->engine, op->pages, n);
}
