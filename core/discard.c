/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * discard.c - blocks of which somebody knows that they will not be asked for again.
 *
 * Eviction guesses which blocks those are. Where it is known (an engine dropped them, a conversation is over) what is held
 * of them is only in the way: it leaves every tier at once, orphans (orphans.h) of each engine's GPUs too. What is in use
 * stays, and leaves in its turn. A tier's copies go one after the other, so that one drop names many of them.
 */
#include "internal.h"

#include "orphans.h"

static void discard_from(struct kvt_core *core, uint32_t place, const kvt_key *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t block = kvt_index_find(&core->blocks.index, keys[i]);
        const uint32_t copy =
            block == KVT_NONE ? KVT_NONE : kvt_copy_peek(&core->room, block, place);
        if (copy == KVT_NONE)
            continue;
        const struct kvt_copy *c = copy_at(core, copy);
        if (c->state == KVT_COPY_READY && !c->users)
            kvt_copy_drop(&core->room, copy, KVT_FATE_NONE);
        else if (c->state == KVT_COPY_ORPHAN)
            kvt_orphan_drop(&core->room, copy, KVT_FATE_NONE);
    }
    kvt_flush_gone(core);
}

void kvt_core_discard(struct kvt_core *core, kvt_ns now, const kvt_key *keys, size_t n)
{
    assert(now >= core->now);
    if (now > core->now)
        core->now = core->room.now = now;
    if (core->tap && core->tap->discard)
        core->tap->discard(core->tap->self, now, keys, n);
    const uint32_t limbos = core->room.limbo == KVT_NONE ? 0 : core->config.engines;
    for (uint32_t p = 0; p < core->room.n_places + limbos; p++)
        discard_from(core, p, keys, n);
    for (uint32_t e = 0; e < core->config.engines; e++)
        kvt_pump(core, e);
}
