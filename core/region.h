/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * region.h - engines of one cluster in several regions, each with a part of the redis tier of its own.
 *
 * A region is a run of engine numbers. A request brings the region in which it is served, and only engines of that
 * region may serve it (route.c). The redis tier is as many places as there are regions, each with a whole tier's
 * configuration: capacity is that of one region. What leaves a region, or comes from elsewhere:
 *
 *      policy        looks up                writes computed blocks to
 *      recompute     its own region          its own region                 far regions are no use
 *      remote-read   its own, then others    its own region                 read_far
 *      replicate     its own region          every region that lacks them   write_far
 *
 * One operation names blocks of several regions (kvt_block_ref.region), since its request waits for all of them
 * anyway; a store goes to one region, so that a near copy does not wait for a far one. A far copy is seen there only
 * when its store has ended. Stores to far regions hold the pages they read like all others, and what is beyond the
 * quota of stores (store_pages_ratio, for each region) is shed: a link that cannot keep up replicates less, it does not take the GPU's memory.
 *
 * A block that was read from afar lies on the engine's GPU afterwards, and is not written to the reader's own region.
 *
 *   (G1) With n > 1, engines first[r] .. first[r + 1] - 1 are region r's, at least one; first[0] = 0,
 *        first[n] = engines.
 *   (G2) A request is served in the region that it came with.
 */
#ifndef KVT_REGION_H
#define KVT_REGION_H

#include "types.h"

enum { KVT_REGIONS_MOST = 8 };

struct kvt_regions {
    uint32_t n; /* 0, 1: everything is in one */
    uint32_t first[KVT_REGIONS_MOST + 1];
    bool read_far, write_far;
    /* Predicted cost of a load from another region, as in struct kvt_tier_config; not below the near one. */
    double load_fixed_ns, load_ns_per_token;
};

/* Which region an engine is in; 0 where there is one only. */
static inline uint32_t kvt_region_of(const struct kvt_regions *regions, uint32_t engine)
{
    uint32_t r = 0;
    while (r + 1 < regions->n && engine >= regions->first[r + 1])
        r++;
    return r;
}

/* The engines of a region: how many of `engines`, and the first. */
static inline uint32_t kvt_region_engines(const struct kvt_regions *regions, uint32_t engines,
                                          uint32_t region, uint32_t *first)
{
    *first = regions->n > 1 ? regions->first[region] : 0;
    return regions->n > 1 ? regions->first[region + 1] - *first : engines;
}

#endif
