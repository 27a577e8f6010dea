/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_cells.c - pages of an engine and cells of its pools, beside a naive model: one list of who owns which cell.
 *
 *   random pages come, turn and go under every policy that has shards: each (shard, heads, copy) of a page in use is
 *   one cell, in the pool that the row or the heads name, of nobody else, and stays there as long as the page is in use
 *   cells that core's bytes say suffice do suffice, whatever mixture of pages they hold; half of them do not
 *   layers: each is in one shard, and the layers of a shard are numbered in order
 *   memory runs out at any point: nothing is left
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../backend/cells.h"
#include "dice.h"
#include "kvt_test.h"
#include "malloc_fails.h"

enum { PAGES = 60, GPUS_MOST = 8, CELLS_MOST = 4 * GPUS_MOST * GPUS_MOST };

static const struct {
    const char *policy;
    bool interleaved;
    uint32_t gpus, layers, replicas;
} shapes[] = {
    {"horizontal", false, 4, 6, 1}, {"single", false, 2, 5, 2},   {"horizontal", true, 1, 3, 1},
    {"vertical", false, 4, 10, 1},  {"vertical", true, 8, 8, 4},  {"hybrid", false, 4, 8, 1},
    {"hybrid", false, 8, 3, 2},     {"vertical", false, 2, 7, 2},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static struct kvt_shard_config config_of(int i)
{
    const struct kvt_shard_config c = {.policy = kvt_shard_named(shapes[i].policy),
                                       .access = KVT_ACCESS_GATHER,
                                       .gpus = shapes[i].gpus,
                                       .layers = shapes[i].layers,
                                       .kv_heads = shapes[i].gpus,
                                       .block_tokens = 16,
                                       .slice_tokens = 16,
                                       .replicas = shapes[i].replicas,
                                       .interleaved = shapes[i].interleaved,
                                       .recent_blocks = 8};
    ck_assert_ptr_null(kvt_shard_check(&c));
    return c;
}

/* ---- Beside a naive model. ---------------------------------------------------------------------- */

struct model {
    enum be_page_use use;
    uint8_t row[KVT_SHARD_GPUS];
    struct be_cell cells[CELLS_MOST]; /* by copy, shard, heads */
};

static uint32_t copies_of(const struct be_cells *c, const struct model *m)
{
    return m->use == BE_PAGE_FREE ? 0 : m->use == BE_PAGE_WORKING ? 1 : c->shape.copies;
}

/* The page is as its model says; `fresh`: it has just got its cells, which are written down. */
static void look(const struct be_cells *c, struct model *m, uint32_t page, bool fresh)
{
    const uint32_t gpus = c->shape.config.gpus;
    uint32_t n = 0;
    MUST(be_cells_use(c, page) == m->use);
    for (uint32_t j = 0; j < copies_of(c, m); j++)
        for (uint32_t k = 0; k < c->shape.n; k++)
            for (uint32_t d = 0; d < gpus; d++, n++) {
                const struct be_cell at = be_cells_at(c, page, k, d, j);
                if (fresh)
                    m->cells[n] = at;
                MUST(at.gpu == m->cells[n].gpu && at.cell == m->cells[n].cell);
                MUST(at.gpu ==
                     (m->use == BE_PAGE_WORKING ? d : (m->row[k] + j * c->shape.stride) % gpus));
                MUST(at.cell < c->cells);
            }
}

/* No cell twice; and so many in use as the lists say. */
static void owners(const struct be_cells *c, const struct model *m)
{
    static bool taken[GPUS_MOST][4096];
    uint32_t used[GPUS_MOST][3] = {{0}};
    memset(taken, 0, sizeof taken);
    for (uint32_t page = 0; page < PAGES; page++)
        for (uint32_t n = 0; n < copies_of(c, &m[page]) * c->shape.n * c->shape.config.gpus; n++) {
            const struct be_cell *at = &m[page].cells[n];
            MUST(!taken[at->gpu][at->cell]);
            taken[at->gpu][at->cell] = true;
            used[at->gpu][m[page].use]++;
        }
    for (uint32_t g = 0; g < c->shape.config.gpus; g++)
        for (int use = BE_PAGE_WORKING; use <= BE_PAGE_SHARDED; use++)
            MUST(be_cells_used(c, g, (enum be_page_use)use) == used[g][use]);
    MUST(be_cells_check(c));
}

static void random_row(const struct be_cells *c, uint8_t *row)
{
    for (uint32_t k = 0; k < c->shape.n; k++)
        row[k] = (uint8_t)dice_below(c->shape.config.gpus);
}

/* What was free becomes something, if there is room; what was something may turn, or goes. */
static void change(struct be_cells *c, struct model *m, uint32_t page)
{
    uint8_t row[KVT_SHARD_GPUS];
    uint32_t old[CELLS_MOST];
    const enum be_page_use before = m->use;
    random_row(c, row);
    if (before == BE_PAGE_FREE && dice_one_in(2)) {
        m->use = be_cells_work(c, page) ? BE_PAGE_WORKING : BE_PAGE_FREE;
    } else if (before == BE_PAGE_FREE) {
        m->use = be_cells_shard(c, page, row) ? BE_PAGE_SHARDED : BE_PAGE_FREE;
        memcpy(m->row, row, sizeof row);
    } else if (before == BE_PAGE_WORKING && dice_one_in(2)) {
        MUST(be_cells_work(c, page)); /* again: nothing happens */
        look(c, m, page, false);
        if (be_cells_turn(c, page, row, old)) {
            for (uint32_t n = 0; n < c->shape.n * c->shape.config.gpus; n++)
                MUST(old[n] == m->cells[n].cell);
            be_cells_give(c, old);
            m->use = BE_PAGE_SHARDED;
            memcpy(m->row, row, sizeof row);
        }
    } else {
        if (before == BE_PAGE_SHARDED)
            MUST(be_cells_shard(c, page, m->row));
        be_cells_free(c, page);
        m->use = BE_PAGE_FREE;
    }
    look(c, m, page, m->use != before);
}

START_TEST(pages_have_their_cells)
{
    static struct model model[PAGES];
    const struct be_cells_config config = {.shard = config_of(_i), .pages = PAGES, .cells = 300};
    struct be_cells c;
    uint32_t most = 0;
    memset(model, 0, sizeof model);
    ck_assert_int_eq(be_cells_init(&c, &config), 0);
    dice_seed(61 + (uint64_t)_i);
    for (int i = 0; i < 4000; i++) {
        const uint32_t page = (uint32_t)dice_below(PAGES);
        change(&c, &model[page], page);
        const uint32_t other = (uint32_t)dice_below(PAGES);
        look(&c, &model[other], other, false);
        if (i % 100 == 0)
            owners(&c, model);
        for (uint32_t g = 0; g < c.shape.config.gpus; g++)
            if (be_cells_used(&c, g, BE_PAGE_SHARDED) > most)
                most = be_cells_used(&c, g, BE_PAGE_SHARDED);
    }
    ck_assert_uint_gt(most, 0);
    be_cells_release(&c);
}
END_TEST

/* ---- As many as core's bytes say. --------------------------------------------------------------- */

/* Fills engines at random as core would, by bytes, until nothing more fits any GPU; each time every page found its
 * cells. Returns the most cells that a GPU had in use. */
static uint32_t fill_up(int shape, uint32_t cells, uint64_t gpu_b, uint64_t unit_b,
                        uint64_t page_gpu_b, bool *lacked)
{
    const struct be_cells_config config = {.shard = config_of(shape),
                                           .pages = 4096,
                                           .cells = cells};
    struct be_cells c;
    uint64_t used_b[GPUS_MOST] = {0};
    uint32_t most = 0;
    ck_assert_int_eq(be_cells_init(&c, &config), 0);
    const uint32_t gpus = c.shape.config.gpus, working = (uint32_t)dice_below(4);
    for (uint32_t page = 0; page < config.pages; page++) {
        uint64_t more_b[GPUS_MOST] = {0};
        uint8_t row[KVT_SHARD_GPUS];
        random_row(&c, row);
        const bool works = working == 3 || (working > 0 && dice_below(3) < working);
        bool fits = true;
        for (uint32_t g = 0; works && g < gpus; g++)
            more_b[g] = page_gpu_b;
        for (uint32_t n = 0; !works && n < c.shape.n * c.shape.copies; n++)
            more_b[kvt_shard_copy(&c.shape, row[n % c.shape.n], n / c.shape.n)] +=
                c.shape.weight[n % c.shape.n] * unit_b; /* blocks of one page */
        for (uint32_t g = 0; g < gpus; g++)
            fits &= used_b[g] + more_b[g] <= gpu_b;
        if (!fits)
            continue;
        for (uint32_t g = 0; g < gpus; g++)
            used_b[g] += more_b[g];
        *lacked |= !(works ? be_cells_work(&c, page) : be_cells_shard(&c, page, row));
    }
    for (uint32_t g = 0; g < gpus; g++) {
        const uint32_t used =
            be_cells_used(&c, g, BE_PAGE_WORKING) + be_cells_used(&c, g, BE_PAGE_SHARDED);
        most = used > most ? used : most;
    }
    be_cells_release(&c);
    return most;
}

START_TEST(cells_suffice)
{
    const struct kvt_shard_config shard = config_of(_i);
    const uint64_t once_b = 16 * 840 * (uint64_t)shard.gpus * shard.layers; /* of a page */
    const uint64_t unit_b = once_b / shard.layers, page_gpu_b = once_b / shard.gpus;
    const uint64_t gpu_b = 12 * once_b;
    const uint32_t cells = (uint32_t)be_cells_needed(&shard, gpu_b, unit_b, page_gpu_b, 1);
    uint32_t most = 0;
    dice_seed(71 + (uint64_t)_i);
    for (int round = 0; round < 60; round++) {
        bool lacked = false;
        const uint32_t used = fill_up(_i, cells, gpu_b, unit_b, page_gpu_b, &lacked);
        MUST(!lacked);
        most = used > most ? used : most;
    }
    /* And they are not many more than can be of use. */
    ck_assert_uint_gt(most, cells / 2);
    bool lacked = false;
    fill_up(_i, cells / 2, gpu_b, unit_b, page_gpu_b, &lacked);
    ck_assert(lacked);
}
END_TEST

/* ---- Layers and memory. ------------------------------------------------------------------------- */

START_TEST(layers_have_their_shards)
{
    const struct be_cells_config config = {.shard = config_of(_i), .pages = 1, .cells = 1};
    struct be_cells c;
    uint32_t seen[KVT_SHARD_GPUS] = {0}, most = 0;
    ck_assert_int_eq(be_cells_init(&c, &config), 0);
    for (uint32_t layer = 0; layer < config.shard.layers; layer++) {
        const uint32_t k = kvt_shard_of(&c.shape, layer, 0);
        ck_assert_uint_eq(c.shard_of[layer], k);
        ck_assert_uint_eq(c.row_of[layer], seen[k]++);
        most = seen[k] > most ? seen[k] : most;
    }
    ck_assert_uint_eq(c.layers_most, most);
    ck_assert_uint_eq(be_cells_layers(&config.shard), most);
    be_cells_release(&c);
    be_cells_release(&c);
}
END_TEST

START_TEST(without_memory)
{
#if OWN_ALLOCATOR
    const struct be_cells_config config = {.shard = config_of(5), .pages = 10, .cells = 10};
    struct be_cells c;
    int rc = -ENOMEM, failures = 0;
    for (long n = 0; rc == -ENOMEM; n++) {
        left = n;
        armed = true;
        rc = be_cells_init(&c, &config);
        armed = false;
        failures += rc == -ENOMEM;
    }
    ck_assert_int_eq(rc, 0);
    ck_assert_int_gt(failures, 5);
    be_cells_release(&c);
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cells");
    TCase *tcase = tcase_create("cells");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, pages_have_their_cells, 0, SHAPES);
    tcase_add_loop_test(tcase, cells_suffice, 0, SHAPES);
    tcase_add_loop_test(tcase, layers_have_their_shards, 0, SHAPES);
    tcase_add_test(tcase, without_memory);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
