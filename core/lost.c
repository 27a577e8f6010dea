/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lost.c - a tier that answers, but came back without what it held.
 *
 * Core's directory of a tier says what was stored there. A server that was killed and started again, a host whose
 * memory was lost, answer as before and hold nothing; a client learns that when it connects again (another run id, an
 * empty index), and not block by block. So the directory forgets all of it at once. What a transfer under way reads is
 * void: the transfer ends as the world says, and nobody finds the copy any more. What one writes is not known to be
 * lost; the world says how that ends.
 */
#include "internal.h"

#include "key.h"

static bool concerned(const struct kvt_core *core, const struct kvt_copy *c, uint32_t place,
                      uint32_t part, uint32_t parts)
{
    if (c->place != place || c->state != KVT_COPY_READY)
        return false;
    return kvt_key_server(kvt_block_key(kvt_block_at(&core->blocks, c->block)), parts) == part;
}

void kvt_core_lost(struct kvt_core *core, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine,
                   uint32_t part, uint32_t parts)
{
    assert(part < parts && now >= core->now);
    if (now > core->now)
        core->now = core->room.now = now;
    if (core->tap && core->tap->lost)
        core->tap->lost(core->tap->self, now, tier, engine, part, parts);
    const uint32_t place = tier == KVT_REDIS || engine.v < core->config.engines
                               ? kvt_room_place(&core->room, tier, engine.v)
                               : KVT_NONE;
    if (place == KVT_NONE || tier == KVT_GPU || tier == KVT_PEER)
        return;
    for (uint32_t copy = 0; copy < core->room.copies.fresh; copy++) {
        if (!concerned(core, copy_at(core, copy), place, part, parts))
            continue;
        core->stats.lost_blocks[tier]++;
        if (copy_at(core, copy)->users)
            kvt_copy_void(&core->room, copy, KVT_FATE_LOST);
        else
            kvt_copy_drop(&core->room, copy, KVT_FATE_LOST);
    }
    kvt_flush_gone(core);
}
