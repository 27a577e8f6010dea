/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * region.c - blocks that lie in another region: finding them, what reading them is predicted to take, and who is
 * written to (region.h).
 */
#include "internal.h"

/* The place of the redis tier in region r. */
static uint32_t place_in(const struct kvt_core *core, uint32_t r)
{
    return core->room.base[KVT_REDIS] + r;
}

static bool is_ready(const struct kvt_core *core, uint32_t copy)
{
    return copy != KVT_NONE && copy_at(core, copy)->state == KVT_COPY_READY;
}

uint32_t kvt_region_copy(const struct kvt_core *core, uint32_t block, enum kvt_tier_kind tier,
                         uint32_t place)
{
    const struct kvt_regions *regions = &core->config.regions;
    const uint32_t own = kvt_copy_peek(&core->room, block, place);
    if (tier != KVT_REDIS || !regions->read_far || is_ready(core, own))
        return own;
    for (uint32_t k = 1; k < regions->n; k++) {
        const uint32_t r = (place - place_in(core, 0) + k) % regions->n;
        const uint32_t far = kvt_copy_peek(&core->room, block, place_in(core, r));
        if (is_ready(core, far) && core->room.places[place_in(core, r)].up)
            return far;
    }
    return own;
}

bool kvt_region_far(const struct kvt_core *core, const struct req *q, uint32_t i)
{
    if (!core->config.regions.read_far || i >= q->usable || q->src[i] != KVT_HIT_REDIS)
        return false;
    const uint32_t place = kvt_room_place(&core->room, KVT_REDIS, q->engine);
    return kvt_copy_far(core, kvt_region_copy(core, q->blocks[i], KVT_REDIS, place), q->engine);
}

double kvt_region_load_ns(const struct kvt_core *core, uint64_t tokens, uint64_t far_tokens)
{
    const struct kvt_tier_config *near = &core->config.tiers[KVT_REDIS];
    const struct kvt_regions *far = &core->config.regions;
    const double near_ns = (double)tokens * near->load_ns_per_token;
    if (!far_tokens)
        return near_ns;
    const double far_ns = (double)far_tokens * far->load_ns_per_token +
                          (double)(tokens - far_tokens) * near->load_ns_per_token;
    return far_ns > near_ns ? far_ns : near_ns;
}
