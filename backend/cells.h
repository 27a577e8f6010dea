/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cells.h - which page of which pool holds what, where an engine's GPUs are told apart.
 *
 * Core numbers pages of the engine as a whole: page_tokens tokens in all layers and all heads. The engine has a pool
 * per GPU (device.h), and these have pages of their own, here called *cells* to tell them apart:
 *
 *      a cell        page_tokens tokens of the layers of one shard (shard.h) and of the heads of one GPU
 *      an engine's   page is made of   shards x GPUs   cells, one for each pair (shard k, heads d)
 *
 *      working       a request computes with it, as tensor parallelism does:  cell (k, d) is in pool d
 *      sharded       it belongs to a block that lies in shards:               cells (k, 0) .. (k, G - 1), copy j,
 *                                                                             are in pool kvt_shard_copy(row[k], j)
 *
 *                pool 0           pool 1           pool 2           pool 3
 *      working   (k, 0) all k     (k, 1) all k     (k, 2) all k     (k, 3) all k
 *      sharded                    (0, d) all d                      (1, d) all d      for row = 1, 3
 *
 * So a gather is cells of one pool to cells of another, layer by layer as they are: no byte changes its place within
 * a cell. All cells are equal: as many layers as the largest shard has. Where the layers do not divide by the number
 * of shards, cells of smaller ones are not full: that is all that is lost.
 *
 * Core decides which page is what, and that it fits (shard_book.h). Cells follow: they are taken when a page is first
 * used, and given back when core gives back the page. Content does not depend on the policy: cell (k, d) holds what
 * heads d of the shard's layers hold in an engine without shards, and values (value.h) are the same.
 *
 * Not for threads: one changes it, while what it says of pages that are in use stays as it is for all others.
 */
#ifndef BE_CELLS_H
#define BE_CELLS_H

#include "../core/shard.h"

enum be_page_use { BE_PAGE_FREE, BE_PAGE_WORKING, BE_PAGE_SHARDED };

struct be_cells_config {
    struct kvt_shard_config shard; /* checked; a policy that does not divide heads */
    uint32_t pages;                /* of the engine; core's numbers are below */
    uint32_t cells;                /* of each pool */
};

struct be_cells {
    struct kvt_shards shape;
    uint32_t layers_most;        /* of a shard: layers of a cell */
    uint16_t *shard_of, *row_of; /* by layer: its shard, and which of its layers it is */
    uint32_t pages, cells;
    /* private: */
    uint8_t *use; /* by page: enum be_page_use */
    uint8_t *row; /* n a page */
    uint32_t *at; /* n * G * copies a page */
    struct be_cells_pool {
        uint32_t *given;                    /* stack of those given back */
        uint32_t n_given, fresh;            /* cells [fresh, ..) were never taken */
        uint32_t used[BE_PAGE_SHARDED + 1]; /* by use */
    } * pools;
};

/* Where a cell is. */
struct be_cell {
    uint32_t gpu, cell;
};

/* How many layers a cell has: what be_cells_init will say. */
uint32_t be_cells_layers(const struct kvt_shard_config *config);

/* Cells that a pool must have, so that they suffice whatever core puts there: gpu_b bytes as core counts them, with
 * room for shards and working pages as it counts those (struct kvt_shard_room). */
uint64_t be_cells_needed(const struct kvt_shard_config *config, uint64_t gpu_b, uint64_t unit_b,
                         uint64_t page_gpu_b, uint32_t pages_per_block);

/* 0 or -ENOMEM, with nothing to release. */
KVT_MUST_CHECK int be_cells_init(struct be_cells *c, const struct be_cells_config *config);
void be_cells_release(struct be_cells *c); /* safe on zeroes */

/* The page is now a working one, or one of a block in shards, and has its cells; it was free, or that already. False:
 * some pool has no cell left, and nothing changed. */
KVT_MUST_CHECK bool be_cells_work(struct be_cells *c, uint32_t page);
KVT_MUST_CHECK bool be_cells_shard(struct be_cells *c, uint32_t page, const uint8_t *row);

/* A working page becomes one in shards and keeps its former cells for now, to be copied from: old[n * G], given back
 * by be_cells_give. False: as above. */
KVT_MUST_CHECK bool be_cells_turn(struct be_cells *c, uint32_t page, const uint8_t *row,
                                  uint32_t *old);
void be_cells_give(struct be_cells *c, const uint32_t *old);

/* The page is nobody's any more. */
void be_cells_free(struct be_cells *c, uint32_t page);

static inline enum be_page_use be_cells_use(const struct be_cells *c, uint32_t page)
{
    return (enum be_page_use)c->use[page];
}

/* Cell (k, d) of a page in use; of one in shards, copy j. */
struct be_cell be_cells_at(const struct be_cells *c, uint32_t page, uint32_t k, uint32_t d,
                           uint32_t j);

/* Cells in use on a GPU. */
static inline uint32_t be_cells_used(const struct be_cells *c, uint32_t gpu, enum be_page_use use)
{
    return c->pools[gpu].used[use];
}

/* Everything adds up, and no cell has two owners. Slow: for assert() and tests. */
bool be_cells_check(const struct be_cells *c);

#endif
