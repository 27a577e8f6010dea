/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shrink.c - which blocks of an engine still fit when it has fewer GPUs.
 *
 * Each GPU that stays has to hold a larger part of the weights and, of every block, more: so some blocks must go. They go
 * before anything moves, all at once, since a block that is evicted after it has moved was moved in vain. At this time
 * nobody uses any of them (resize.c waits for that), so the policy of eviction has its say about all.
 *
 *      1. every block is placed by the rule of after, in the order of their copies: its *target*
 *      2. while on some GPU that stays the targets do not fit, or what lies there now does not, or there are
 *         more pages than there shall be: the block that is worth least goes, and its target with it
 *
 * So at the end (K2) holds with the room of after, whether shards have moved or not. What it takes that a shard on its way
 * has room on both GPUs is not kept free here: resize.c evicts for that when it must.
 *
 * A policy that remembers (hybrid) counts the placements of blocks that had to go as updates, too.
 */
#include "internal.h"

#include <string.h>

/* Weights of all targets by GPU. */
struct plan {
    uint64_t weights[KVT_SHARD_GPUS];
};

static void place_again(struct kvt_core *core, uint32_t engine, struct plan *plan)
{
    struct kvt_shard_book *book = book_of(core, engine);
    const struct kvt_shards *s = &book->shards;
    *plan = (struct plan){{0}};
    for (uint32_t copy = 0; copy < core->room.copies.fresh; copy++) {
        const struct kvt_copy *c = copy_at(core, copy);
        if (c->place != engine || c->state != KVT_COPY_READY)
            continue;
        assert(!c->users);
        uint8_t *row = kvt_book_row(book, copy);
        struct kvt_shard_site site;
        memcpy(&site, row + s->n, sizeof site);
        kvt_book_place(book, &site);
        memcpy(kvt_book_target(book, row), book->placing, s->n);
        for (uint32_t k = 0; k < s->n; k++)
            plan->weights[book->placing[k]] += s->weight[k];
    }
}

static bool fits(const struct kvt_core *core, uint32_t engine, const struct plan *plan)
{
    const struct kvt_resize_config *after = &core->config.resize;
    const struct kvt_place *place = gpu_place(core, engine);
    const struct kvt_shard_book *book = place->book;
    if (kvt_pager_used(&place->pager) > after->gpu_pages)
        return false;
    for (uint32_t g = 0; after->gpu_b != UINT64_MAX && g < after->gpus; g++) {
        const uint64_t lies = kvt_book_sum(book, &book->held, g), shall = plan->weights[g];
        if ((lies > shall ? lies : shall) * book->room.unit_b > after->gpu_b)
            return false;
    }
    return true;
}

uint64_t kvt_shrink_fit(struct kvt_core *core, uint32_t engine)
{
    struct kvt_shard_book *book = book_of(core, engine);
    struct plan plan;
    uint64_t evicted = 0;
    place_again(core, engine, &plan);
    while (!fits(core, engine, &plan)) {
        const uint32_t copy = kvt_order_victim(&core->room, engine);
        assert(copy != KVT_NONE); /* nothing at all fits */
        const uint8_t *target = kvt_book_target(book, kvt_book_row(book, copy));
        for (uint32_t k = 0; k < book->shards.n; k++)
            plan.weights[target[k]] -= book->shards.weight[k];
        kvt_copy_drop(&core->room, copy,
                      kvt_copy_past(&core->room, copy) ? KVT_FATE_EXPIRED : KVT_FATE_EVICTED);
        evicted++;
    }
    return evicted;
}
