/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * write.c - blocks on their way down: write-through, and blocks made by decoding. (Write-back: back.c.)
 *
 * A prompt's computed blocks are offered to each write-through tier when the prompt is complete, in
 * one operation a tier, and one for each region that is written to; blocks of the output when the request ends or is preempted. None is offered
 * where it already is or is on its way. Room in a tier that core manages is made by evicting its
 * oldest unused blocks first; if none can go, this block and those after it are not stored, because
 * what lies behind a hole cannot be used. A selective tier takes what was used so many times, wherever
 * it was found; one that fills from below takes what was loaded from farther away, too. The same goes for a tier that cannot keep up: stores hold
 * the pages they read, so a slow tier would take the GPU's memory away; beyond its quota nothing is
 * offered to it. A copy counts as present only after the store ended well: the commit comes last.
 */
#include "internal.h"

uint32_t kvt_write_reserve(struct kvt_core *core, uint32_t block, uint32_t place_index,
                           uint32_t tenant, const struct kvt_use *use)
{
    const struct kvt_place *place = &core->room.places[place_index];
    if (kvt_order_hears_misses(place))
        kvt_order_miss(&core->room, place_index, block, tenant, use);
    while (!kvt_place_fits(&core->room, place))
        if (!kvt_place_evict(&core->room, place_index))
            return KVT_NONE;
    return kvt_copy_new(&core->room, block, place_index, KVT_COPY_FILLING, tenant, NULL);
}

/* Whether block i, as it was found or made, is to be written to the tier. */
static bool qualifies(const struct kvt_core *core, const struct req *q, uint32_t i,
                      enum kvt_tier_kind tier)
{
    const struct kvt_tier_config *c = &core->config.tiers[tier];
    const uint8_t src = q->src[i];
    if (c->write_after > 1)
        return copy_at(core, q->copies[i])->uses + 1u >= c->write_after; /* 1: the use at hand */
    return !is_hit(src) || (c->fill_loaded && src > KVT_HIT_GPU + (int)tier);
}

static bool wants(struct kvt_core *core, const struct req *q, uint32_t i, uint32_t place)
{
    return kvt_copy_filled(copy_at(core, q->copies[i])) &&
           qualifies(core, q, i, core->room.places[place].tier) &&
           kvt_copy_find(&core->room, q->blocks[i], place) == KVT_NONE;
}

static bool any_wanted(struct kvt_core *core, const struct req *q, uint32_t end, uint32_t place)
{
    for (uint32_t i = q->stored; i < end; i++)
        if (wants(core, q, i, place))
            return true;
    return false;
}

/* The region of a place of Redis that is another one than the engine's; KVT_NONE: it is its own. */
static uint32_t far_region(const struct kvt_core *core, uint32_t engine, uint32_t place)
{
    const uint32_t region = kvt_region_of_place(core, place);
    const bool redis = core->room.places[place].tier == KVT_REDIS;
    return redis && region != kvt_region_of(&core->config.regions, engine) ? region : KVT_NONE;
}

/* Blocks that stores to the tier hold, which have a quota: each region that is written to one of its own, because
 * the same pages go to all of them, and to the near one first. */
static uint32_t *storing_of(struct kvt_core *core, uint32_t engine, enum kvt_tier_kind tier,
                            uint32_t far)
{
    struct engine *e = &core->engines[engine];
    return far == KVT_NONE ? &e->storing_blocks[tier] : &e->storing_far_blocks[far];
}

/* Making room for one block may evict a later one of the same prompt, which is then stored anew:
 * so the operation is made for all that may come. */
static void store(struct kvt_core *core, const struct req *q, uint32_t end, uint32_t place)
{
    const enum kvt_tier_kind tier = core->room.places[place].tier;
    if (!any_wanted(core, q, end, place))
        return;
    const uint32_t far = far_region(core, q->engine, place);
    uint32_t *storing = storing_of(core, q->engine, tier, far);
    const bool idle = *storing == 0; /* one prompt may go however long it is */
    const uint32_t most = end - q->stored;
    const uint32_t o = kvt_op_new(core, OP_STORE, most);
    if (o == KVT_NONE) {
        core->stats.store_failures[tier] += most;
        return;
    }
    struct op *op = op_at(core, o);
    op->tier = tier;
    op->engine = q->engine;
    op->far = far;
    uint32_t n = 0;
    for (uint32_t i = q->stored; i < end; i++) {
        if (!wants(core, q, i, place))
            continue;
        if (!idle && *storing >= core->store_quota_blocks) {
            core->stats.store_shed_blocks[tier] += end - i;
            break;
        }
        const struct kvt_use use = use_of(q, i);
        const uint32_t copy = kvt_write_reserve(core, q->blocks[i], place, q->tenant, &use);
        if (copy == KVT_NONE) {
            core->stats.store_failures[tier]++;
            break;
        }
        op->gpu[n] = q->copies[i];
        op->lower[n] = copy;
        op->index[n] = i;
        if (op->next)
            op->next[n] = use.next;
        kvt_copy_use(&core->room, op->gpu[n]);
        ++*storing;
        const struct kvt_block *b = kvt_block_at(&core->blocks, q->blocks[i]);
        core->refs[n++] = (struct kvt_block_ref){.key = kvt_block_key(b),
                                                 .block = {q->blocks[i]},
                                                 .index = i,
                                                 .tokens = block_len(core, q, i),
                                                 .page = copy_at(core, q->copies[i])->page,
                                                 .region = kvt_region_of_place(core, place)};
    }
    kvt_flush_gone(core);
    op->used = n;
    if (n && kvt_emit_transfer(core, o, core->refs, n, core->config.tiers[tier].ttl_ns))
        return;
    const struct kvt_done refused = {.op = {o}, .status = KVT_BUSY};
    kvt_write_done(core, o, &refused);
}

/* Regions that are written to from all others. */
static uint32_t far_places(const struct kvt_core *core)
{
    return core->config.regions.write_far ? core->config.regions.n : 0;
}

void kvt_write_through(struct kvt_core *core, uint32_t r, uint32_t end)
{
    static const enum kvt_tier_kind order[] = {KVT_HOST, KVT_REDIS, KVT_DISK};
    struct req *q = req_at(core, r);
    if (end <= q->stored)
        return;
    if (book_of(core, q->engine))
        kvt_sharded_spread(core, q, end);
    for (int t = 0; t < 3; t++) {
        const struct kvt_tier_config *c = &core->config.tiers[order[t]];
        if (!c->present || !c->write_through)
            continue;
        const uint32_t own = kvt_room_place(&core->room, order[t], q->engine);
        if (core->room.places[own].up)
            store(core, q, end, own);
        for (uint32_t n = 0; order[t] == KVT_REDIS && n < far_places(core); n++) {
            const uint32_t place = core->room.base[KVT_REDIS] + n;
            if (place != own && core->room.places[place].up)
                store(core, q, end, place);
        }
    }
    q->stored = end;
}

/* As many as the place holds come back to life in touch order: what is put back last is evicted
 * last. */
void kvt_write_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done)
{
    struct op *op = op_at(core, o);
    const uint32_t n = op->used;
    const uint32_t good = done->blocks_ok < n ? done->blocks_ok : n;
    *storing_of(core, op->engine, op->tier, op->far) -= n;
    core->stats.bytes_written[op->tier] += done->bytes;
    core->stats.stored_blocks[op->tier] += good;
    core->stats.store_failures[op->tier] += n - good;
    for (uint32_t j = 0; j < n; j++) {
        const uint32_t k = core->config.touch == KVT_TOUCH_LEAF ? n - 1 - j : j;
        const struct kvt_use use = use_of_op(op, k);
        if (op->lower[k] != KVT_NONE) {
            core->stats.far_stored_blocks +=
                k < good && kvt_copy_far(core, op->lower[k], op->engine);
            if (k < good)
                kvt_copy_ready(&core->room, op->lower[k]);
            else
                kvt_copy_void(&core->room, op->lower[k], KVT_FATE_NONE);
            kvt_copy_unuse(&core->room, op->lower[k], &use);
        }
        if (op->tier == KVT_GPU && k >= good && copy_at(core, op->gpu[k])->state == KVT_COPY_READY)
            kvt_copy_void(&core->room, op->gpu[k], KVT_FATE_NONE); /* not in its shards */
        if (op->cleans)
            kvt_clean_done(core, op, k, k < good);
        else
            kvt_copy_unuse(&core->room, op->gpu[k], &use);
    }
    kvt_op_free(core, o);
}

/* Room for the request's next block, whose pages it has already. */
static bool room_for_output(struct kvt_core *core, const struct req *q)
{
    if (!book_of(core, q->engine))
        return kvt_make_room(core, q->engine, 1, 0);
    uint64_t need[KVT_SHARD_GPUS] = {0};
    kvt_sharded_place_over(core, q, q->n_held, need);
    if (kvt_make_room_on(core, q->engine, 1, 0, need))
        return true;
    kvt_sharded_let_go(core, q, q->n_held);
    return false;
}

/* Full blocks of output that have a key become cached blocks like any other: the next turn of a
 * chat begins with them. Their pages move from the tail into the copy. */
void kvt_keep_output_blocks(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    const uint32_t block_tokens = core->config.block_tokens;
    struct kvt_pager *pager = &gpu_place(core, q->engine)->pager;
    while (q->n_held < q->n_keys && ((uint64_t)q->n_held + 1) * block_tokens <= q->computed &&
           room_for_output(core, q)) {
        const uint32_t i = q->n_held;
        assert(held_tokens(core, q) == (uint64_t)i * block_tokens);
        struct kvt_page_run pages;
        kvt_pager_split(pager, &q->tail, core->room.pages_per_block, &pages);
        const uint32_t copy =
            kvt_copy_new(&core->room, q->blocks[i], q->engine, KVT_COPY_PRIVATE, q->tenant, &pages);
        if (copy == KVT_NONE) {
            kvt_pager_give(pager, pages.first, pages.n);
            kvt_sharded_let_go(core, q, i);
            return;
        }
        kvt_copy_publish(&core->room, copy);
        q->copies[i] = copy;
        q->src[i] = KVT_COMPUTED_COLD;
        q->n_held++;
    }
    kvt_write_through(core, r, q->n_held);
}
