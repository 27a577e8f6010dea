/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * regions.c - the draws of regions.h.
 */
#include "regions.h"

#include "../core/mix.h"

const char *regions_policy_name(enum regions_policy policy)
{
    static const char *const names[] = {"recompute", "remote-read", "replicate"};
    return names[policy];
}

/* In [0, 1), 53 bits. */
static double draw(const struct regions *r, const char *name, uint64_t id)
{
    return (double)(kvt_stream_seed(r->seed, name, id) >> 11) * 0x1p-53;
}

/* The region in which x lies when shares are laid end to end, without `but`; KVT_NONE: with all. */
static uint32_t region_at(const struct regions *r, double x, uint32_t but)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        if (i == but)
            continue;
        last = i;
        if (x < r->share[i])
            return i;
        x -= r->share[i];
    }
    return last; /* rounding */
}

uint32_t regions_of_request(const struct regions *r, const struct kvt_request *q)
{
    if (r->n <= 1)
        return 0;
    /* Sessions and lone requests are numbered apart. */
    const uint64_t whose = q->session != KVT_NONE ? q->session : UINT64_C(1) << 63 | q->id;
    const uint32_t home = region_at(r, draw(r, "region home", whose), KVT_NONE);
    if (draw(r, "region roam", q->id) >= r->roam)
        return home;
    return region_at(r, draw(r, "region away", q->id) * (1 - r->share[home]), home);
}
