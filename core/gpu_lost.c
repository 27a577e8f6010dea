/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gpu_lost.c - a GPU of a sharded engine fails, and an empty spare takes its place and number.
 *
 * What ran there starts over: each request computed with all GPUs. A cached block is of use while each of its shards has a
 * copy left, so a block goes if some shard had none but on this GPU. What is left of the others is for who knows about it:
 *
 *      blocks leave whole     gathered: what they have lost is marked in their rows, and perhaps copied anew (recopy.c)
 *                             in place, by head: the spare has it at once (shard.h)
 *      GPUs evict alone       a block that has to go leaves what is left of it, as an orphan; orphans lose their part, too;
 *                             what has another copy the spare has at once (orphans.h)
 *
 * What would be lost if some GPUs failed together is asked in the same manner, and changes nothing.
 */
#include "internal.h"

#include "orphans.h"
#include "shard_mask.h"

/* Whether some shard has no copy but those on dead GPUs, and those that are not there (shard_mask.h) or were lost before. */
static bool loses(const struct kvt_shard_book *book, const uint8_t *row, const bool *dead)
{
    const struct kvt_shards *s = &book->shards;
    for (uint32_t k = 0; k < s->n; k++) {
        uint32_t j = 0;
        while (j < s->copies &&
               (dead[kvt_shard_copy(s, row[k], j)] || kvt_mask_lacks(book, row, k, j) ||
                kvt_book_marked(book, row, kvt_shard_copy(s, row[k], j))))
            j++;
        if (j == s->copies)
            return true;
    }
    return false;
}

static void lose_copies(struct kvt_core *core, uint32_t engine, uint32_t gpu)
{
    const struct kvt_shard_book *book = book_of(core, engine);
    bool dead[KVT_SHARD_GPUS] = {false};
    dead[gpu] = true;
    for (uint32_t copy = 0; copy < core->room.copies.fresh; copy++) {
        const struct kvt_copy *c = copy_at(core, copy);
        if (c->state == KVT_COPY_ORPHAN && c->place == kvt_limbo_of(&core->room, engine))
            kvt_orphans_lose(&core->room, copy, gpu);
        if (c->place != engine || (c->state != KVT_COPY_READY && c->state != KVT_COPY_FILLING) ||
            !loses(book, kvt_book_row(book, copy), dead))
            continue;
        core->stats.shard_lost_blocks += c->state == KVT_COPY_READY;
        if (!c->users && book->mask_b)
            kvt_orphans_lose(&core->room, copy, gpu);
        else if (!c->users)
            kvt_copy_drop(&core->room, copy, KVT_FATE_SHARD);
        else /* a transfer reads or fills it; what it held is gone */
            kvt_copy_void(&core->room, copy, KVT_FATE_SHARD);
    }
}

void kvt_core_gpu_lost(struct kvt_core *core, kvt_ns now, kvt_engine_id engine, uint32_t gpu)
{
    assert(now >= core->now);
    if (now > core->now)
        core->now = core->room.now = now;
    if (core->tap && core->tap->gpu_lost)
        core->tap->gpu_lost(core->tap->self, now, engine, gpu);
    if (!core->room.books || engine.v >= core->config.engines ||
        !kvt_resize_has(core, engine.v, gpu) || !core->engines[engine.v].up)
        return;
    kvt_sharded_start_over(core, engine.v);
    lose_copies(core, engine.v, gpu);
    kvt_recopy_lost(core, engine.v, gpu);
    kvt_pump(core, engine.v);
}

void kvt_core_shard_loss(const struct kvt_core *core, const bool dead[KVT_SHARD_GPUS],
                         uint64_t *lost, uint64_t *blocks)
{
    *lost = *blocks = 0;
    for (uint32_t copy = 0; core->room.books && copy < core->room.copies.fresh; copy++) {
        const struct kvt_copy *c = copy_at(core, copy);
        if (c->place >= core->config.engines || c->state != KVT_COPY_READY)
            continue;
        const struct kvt_shard_book *book = book_of(core, c->place);
        ++*blocks;
        *lost += loses(book, kvt_book_row(book, copy), dead);
    }
}
