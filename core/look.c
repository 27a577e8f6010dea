/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * look.c - looking at a core without touching it: counters, gauges, orphans, memory, digest.
 */
#include "internal.h"

#include "key.h"
#include "orphans.h"

#include <string.h>

void kvt_core_stats(const struct kvt_core *core, struct kvt_core_stats *stats)
{
    const struct kvt_similar_counts *similar = &core->alike.similar.counts;
    *stats = core->stats;
    kvt_orphans_weigh(stats, core->now);
    stats->approx_lookups = similar->lookups;
    stats->approx_candidates_seen = similar->seen;
    stats->approx_compared = similar->compared;
    stats->approx_above_threshold = similar->above;
    stats->approx_found = similar->found;
}

static void add_engine(const struct kvt_core *core, uint32_t engine, struct kvt_core_gauges *g)
{
    const struct engine *e = &core->engines[engine];
    const struct kvt_place *gpu = gpu_place(core, engine);
    g->waiting += e->lists[REQ_WAITING].n;
    g->loading += e->lists[REQ_GATHERING].n;
    g->running += e->lists[REQ_RUNNING].n;
    if (core->config.gpu_pages == UINT64_MAX) {
        g->pages_total = g->pages_free = UINT64_MAX;
    } else {
        g->pages_total += kvt_pager_total(&gpu->pager);
        g->pages_free += kvt_pager_free(&gpu->pager);
    }
    g->pages_cached += gpu->cached * core->room.pages_per_block;
}

void kvt_core_gauges(const struct kvt_core *core, uint32_t engine, struct kvt_core_gauges *gauges)
{
    memset(gauges, 0, sizeof *gauges);
    for (uint32_t e = 0; e < core->config.engines; e++)
        if (engine == KVT_NONE || engine == e)
            add_engine(core, e, gauges);
    for (uint32_t p = 0; p < core->room.n_places; p++) {
        const struct kvt_place *place = &core->room.places[p];
        /* the shared tier belongs to the cluster, not to an engine */
        if (engine != KVT_NONE && (place->tier == KVT_REDIS || place->engine.v != engine))
            continue;
        gauges->held_blocks[place->tier] += place->held_blocks;
        gauges->held_b[place->tier] += place->held_b;
    }
}

static bool held(const struct kvt_core *core, uint32_t block)
{
    if (!kvt_block_live(&core->blocks, block))
        return false;
    uint32_t copy = kvt_block_at(&core->blocks, block)->copies;
    while (copy != KVT_NONE && copy_at(core, copy)->state == KVT_COPY_ORPHAN)
        copy = copy_at(core, copy)->next;
    return copy != KVT_NONE;
}

/* True when every block from `block` back to the start of its chain is held. The walk is bounded:
 * a forgotten number that was used again (block.h) may close a circle. */
static bool chain_held(const struct kvt_core *core, uint32_t block)
{
    uint64_t most = kvt_blocks_count(&core->blocks);
    for (; block != KVT_NONE; block = kvt_block_at(&core->blocks, block)->parent)
        if (!held(core, block) || !most--)
            return false;
    return true;
}

/* Most blocks follow their predecessor in the table too, and need not walk. */
void kvt_core_orphans(const struct kvt_core *core, uint64_t orphan_b[KVT_TIERS])
{
    memset(orphan_b, 0, KVT_TIERS * sizeof *orphan_b);
    const uint32_t end = kvt_blocks_end(&core->blocks);
    bool whole = false;
    for (uint32_t i = 0; i < end; i++) {
        const bool before = whole; /* block i - 1 and all before it */
        whole = held(core, i);
        if (!whole)
            continue;
        const struct kvt_block *b = kvt_block_at(&core->blocks, i);
        whole = i && b->parent == i - 1 ? before : chain_held(core, b->parent);
        if (whole)
            continue;
        for (uint32_t copy = b->copies; copy != KVT_NONE; copy = copy_at(core, copy)->next) {
            const struct kvt_place *place = kvt_place_of(&core->room, copy);
            if (copy_at(core, copy)->state == KVT_COPY_ORPHAN) /* counted elsewhere */
                continue;
            orphan_b[place->tier] += core->room.stored_b[place->tier];
        }
    }
}

uint32_t kvt_core_pages(const struct kvt_core *core, kvt_engine_id engine, uint32_t page,
                        uint32_t *pages, uint32_t n)
{
    const struct kvt_pager *pager = &gpu_place(core, engine.v)->pager;
    if (page == KVT_NONE || !pager->page)
        return 0;
    for (uint32_t i = 0; i < core->room.pages_per_block && i < n; i++) {
        pages[i] = page;
        page = kvt_pager_next(pager, page);
    }
    return core->room.pages_per_block;
}

bool kvt_core_sequence(const struct kvt_core *core, kvt_engine_id engine, uint32_t *number,
                       struct kvt_sequence *s)
{
    const struct engine *e = &core->engines[engine.v];
    uint32_t r = *number == KVT_NONE ? e->lists[REQ_RUNNING].first : req_at(core, *number)->next;
    while (r != KVT_NONE && !req_at(core, r)->chunk && !req_at(core, r)->decoding_in_step)
        r = req_at(core, r)->next;
    *number = r;
    if (r == KVT_NONE)
        return false;
    const struct req *q = req_at(core, r);
    *s = (struct kvt_sequence){.request = q->id,
                               .first_token = q->computed + q->part_tokens,
                               .tokens = q->chunk ? q->chunk : e->step_repeat,
                               .decode = !q->chunk,
                               .number = r};
    return true;
}

void kvt_core_sequence_block(const struct kvt_core *core, const struct kvt_sequence *s,
                             uint32_t index, struct kvt_sequence_block *block, uint32_t *pages)
{
    const struct req *q = req_at(core, s->number);
    const struct kvt_pager *pager = &gpu_place(core, q->engine)->pager;
    const uint32_t per_block = core->room.pages_per_block;
    *block = (struct kvt_sequence_block){0};
    if (!pager->page || core->config.partial_blocks)
        return;
    block->keyed = index < q->n_keys && block_len(core, q, index) == core->config.block_tokens;
    if (block->keyed)
        block->key = kvt_block_key(kvt_block_at(&core->blocks, q->blocks[index]));
    uint32_t page = q->tail.n ? q->tail.first : KVT_NONE;
    if (index < q->n_held) {
        const struct kvt_copy *copy = copy_at(core, q->copies[index]);
        block->filled = kvt_copy_filled(copy);
        page = copy->page;
        if (gathers(core)) {
            block->row = kvt_book_row(book_of(core, q->engine), q->copies[index]);
            block->shard_page = page;
            page = kvt_sharded_own_page(core, q, index);
        }
    } else {
        for (uint64_t skip = (uint64_t)(index - q->n_held) * per_block; skip && page != KVT_NONE;
             skip--)
            page = kvt_pager_next(pager, page);
    }
    for (; block->n_pages < per_block && page != KVT_NONE; page = kvt_pager_next(pager, page))
        pages[block->n_pages++] = page;
}

void kvt_core_digest(const struct kvt_core *core, char hex[33])
{
    const XXH128_hash_t h = XXH3_128bits_digest(&core->digest);
    kvt_key_hex((kvt_key){.hi = h.high64, .lo = h.low64}, hex);
}

uint64_t kvt_core_unfinished(const struct kvt_core *core)
{
    return core->requests.in_use;
}

size_t kvt_core_memory_b(const struct kvt_core *core)
{
    size_t pagers = 0;
    for (uint32_t e = 0; e < core->config.engines; e++)
        pagers += kvt_pager_memory_b(&gpu_place(core, e)->pager);
    return core->self_b + kvt_blocks_memory_b(&core->blocks) + kvt_room_memory_b(&core->room) +
           kvt_pool_memory_b(&core->requests) + kvt_pool_memory_b(&core->ops) +
           core->slab.memory_b + kvt_alike_memory_b(&core->alike) +
           kvt_siblings_memory_b(&core->siblings) +
           (core->step_copies ? core->config.max_batch_requests * sizeof *core->step_copies : 0) +
           core->refs_room * sizeof *core->refs +
           core->config.max_batch_requests * sizeof *core->chunks + pagers;
}

uint64_t kvt_core_tracked_blocks(const struct kvt_core *core)
{
    return kvt_blocks_count(&core->blocks);
}
