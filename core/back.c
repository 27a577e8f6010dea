/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * back.c - write-back: what leaves the GPU is first written to the tier that wants it so.
 *
 *      clear room ---> victim, dirty ---> being cleaned (a store reads it) ---> clean ---> dropped
 *                      victim, clean ------------------------------------------------^
 *
 * A block is dirty while the write-back tier is up and lacks it. Its pages come free only when the
 * store has ended, so an admission that needs them waits at the head of its queue, and is tried again
 * when the store is done; what is being cleaned counts as on its way, so that no more is cleaned than
 * is wanted. A block that is used again meanwhile stays. One that could not be stored is dropped all
 * the same: each victim is written or given up, so there is always progress.
 *
 * Decoding cannot wait. For its sake a fiftieth of the memory is kept free ahead; what it must evict
 * beyond that goes unwritten and is counted as shed, as with write-through.
 */
#include "internal.h"

enum { RESERVE_PART = 50 };

/* The place that takes what leaves the engine's GPUs, if it can now; else KVT_NONE. */
static uint32_t back_place(const struct kvt_core *core, uint32_t engine)
{
    if (core->back == KVT_TIERS)
        return KVT_NONE;
    const uint32_t place = kvt_room_place(&core->room, core->back, engine);
    return core->room.places[place].up ? place : KVT_NONE;
}

static bool dirty(struct kvt_core *core, uint32_t copy, uint32_t engine)
{
    const uint32_t place = back_place(core, engine);
    return place != KVT_NONE &&
           kvt_copy_find(&core->room, copy_at(core, copy)->block, place) == KVT_NONE;
}

/* Drops an unused copy that no tier has taken. */
static void shed(struct kvt_core *core, uint32_t copy)
{
    core->stats.store_shed_blocks[core->back]++;
    kvt_copy_drop(&core->room, copy, KVT_FATE_EVICTED);
}

static void drop(struct kvt_core *core, uint32_t copy)
{
    kvt_copy_drop(&core->room, copy,
                  kvt_copy_past(&core->room, copy) ? KVT_FATE_EXPIRED : KVT_FATE_EVICTED);
}

bool kvt_gpu_evict(struct kvt_core *core, uint32_t engine)
{
    const uint32_t copy = kvt_order_victim(&core->room, engine);
    if (copy == KVT_NONE)
        return false;
    if (core->back != KVT_TIERS && dirty(core, copy, engine))
        core->stats.store_shed_blocks[core->back]++;
    drop(core, copy);
    return true;
}

void kvt_moved_up(struct kvt_core *core, uint32_t engine, uint32_t block)
{
    const uint32_t place = kvt_room_place(&core->room, core->back, engine);
    const uint32_t copy = kvt_copy_find(&core->room, block, place);
    if (copy == KVT_NONE)
        return;
    const struct kvt_copy *c = copy_at(core, copy);
    if (c->state == KVT_COPY_READY && !c->users)
        kvt_copy_drop(&core->room, copy, KVT_FATE_NONE);
}

/* Position in its chain. A chain whose beginning was forgotten counts from there. */
static uint32_t depth_of(const struct kvt_core *core, uint32_t block)
{
    uint32_t depth = 0;
    for (uint32_t b = kvt_block_at(&core->blocks, block)->parent;
         b != KVT_NONE && kvt_block_live(&core->blocks, b) && depth < KVT_CHILDREN_MOST;
         b = kvt_block_at(&core->blocks, b)->parent)
        depth++;
    return depth;
}

/* Adds a dirty victim to the store, or drops it where the tier has no room. */
static void add(struct kvt_core *core, struct op *op, uint32_t copy, uint32_t place)
{
    const uint32_t block = copy_at(core, copy)->block;
    const struct kvt_use use = {.next = KVT_NEVER, .depth = depth_of(core, block)};
    const uint32_t tenant = core->room.has_more ? kvt_copy_more(&core->room, copy)->tenant : 0;
    const uint32_t lower = kvt_write_reserve(core, block, place, tenant, &use);
    if (lower == KVT_NONE) {
        core->stats.store_failures[core->back]++;
        kvt_copy_drop(&core->room, copy, KVT_FATE_EVICTED);
        return;
    }
    kvt_copy_use(&core->room, copy);
    kvt_order_park(&core->room, copy);
    const uint32_t k = op->used++;
    op->gpu[k] = copy;
    op->lower[k] = lower;
    op->index[k] = use.depth;
    if (op->next)
        op->next[k] = use.next;
    core->refs[k] = (struct kvt_block_ref){.key = kvt_block_key(kvt_block_at(&core->blocks, block)),
                                           .block = {block},
                                           .index = use.depth,
                                           .tokens = core->config.block_tokens,
                                           .page = copy_at(core, copy)->page};
}

static void send(struct kvt_core *core, uint32_t o)
{
    const struct op *op = op_at(core, o);
    struct engine *e = &core->engines[op->engine];
    e->cleaning_blocks += op->used;
    e->storing_blocks[op->tier] += op->used;
    kvt_flush_gone(core);
    const kvt_ns ttl_ns = core->config.tiers[op->tier].ttl_ns;
    if (op->used && kvt_emit_transfer(core, o, core->refs, op->used, ttl_ns))
        return;
    const struct kvt_done refused = {.op = {o}, .status = KVT_BUSY};
    kvt_write_done(core, o, &refused);
}

void kvt_clean_done(struct kvt_core *core, const struct op *op, uint32_t k, bool good)
{
    const uint32_t copy = op->gpu[k];
    const struct kvt_use use = use_of_op(op, k);
    struct kvt_copy *c = copy_at(core, copy);
    core->engines[op->engine].cleaning_blocks--;
    /* used again: no longer parked; extended: not the end of its chain */
    const bool leaving = c->state == KVT_COPY_READY && c->users == 1 && c->parked && !c->children;
    kvt_copy_unuse(&core->room, copy, &use);
    if (leaving && !good)
        shed(core, copy);
}

/* Blocks still to be cleared for so many to be allowed and so many pages to be free, beyond what is
 * being cleaned. */
static uint64_t missing(const struct kvt_core *core, uint32_t engine, uint64_t blocks,
                        uint64_t pages)
{
    const struct kvt_place *place = gpu_place(core, engine);
    const uint64_t capacity = place->config->capacity_blocks,
                   per_block = core->room.pages_per_block;
    const uint64_t coming = core->engines[engine].cleaning_blocks;
    const uint64_t free = kvt_pager_free(&place->pager);
    uint64_t short_of = free < pages ? (pages - free + per_block - 1) / per_block : 0;
    if (capacity != UINT64_MAX && capacity - place->copies < blocks) {
        const uint64_t lack = blocks - (capacity - place->copies);
        short_of = lack > short_of ? lack : short_of;
    }
    return short_of > coming ? short_of - coming : 0;
}

bool kvt_clear_room(struct kvt_core *core, uint32_t engine, uint64_t blocks, uint64_t pages)
{
    const uint32_t place = back_place(core, engine);
    if (place == KVT_NONE)
        return kvt_make_room(core, engine, blocks, pages);
    uint32_t o = KVT_NONE;
    for (uint64_t n; (n = missing(core, engine, blocks, pages)) > 0;) {
        const uint32_t copy = kvt_order_victim(&core->room, engine);
        if (copy == KVT_NONE)
            break;
        if (!dirty(core, copy, engine)) {
            drop(core, copy);
            continue;
        }
        if (o == KVT_NONE) {
            o = kvt_op_new(core, OP_STORE, (uint32_t)(n < core->refs_room ? n : core->refs_room));
            if (o == KVT_NONE) {
                shed(core, copy);
                continue;
            }
            op_at(core, o)->tier = core->back;
            op_at(core, o)->engine = engine;
            op_at(core, o)->cleans = true;
        }
        add(core, op_at(core, o), copy, place);
        if (op_at(core, o)->used == op_at(core, o)->n) {
            send(core, o);
            o = KVT_NONE;
        }
    }
    if (o != KVT_NONE)
        send(core, o);
    const struct kvt_place *gpu = gpu_place(core, engine);
    const uint64_t capacity = gpu->config->capacity_blocks;
    return kvt_pager_free(&gpu->pager) >= pages &&
           (capacity == UINT64_MAX || capacity - gpu->copies >= blocks);
}

void kvt_clear_ahead(struct kvt_core *core, uint32_t engine)
{
    if (back_place(core, engine) == KVT_NONE)
        return;
    const uint64_t capacity = core->config.tiers[KVT_GPU].capacity_blocks;
    const uint64_t pages = core->config.gpu_pages;
    (void)kvt_clear_room(core, engine, capacity == UINT64_MAX ? 0 : capacity / RESERVE_PART,
                         pages == UINT64_MAX ? 0 : pages / RESERVE_PART);
}
