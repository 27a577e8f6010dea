/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc_direct.h - a prefix cache of one size, simulated by the core in the null world: what mrc's curves are
 * held against, size by size.
 */
#ifndef MRC_DIRECT_H
#define MRC_DIRECT_H

#include "../core/core.h"
#include "../core/null.h"
#include "../workload/mrc.h"

#include "heap.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* The configuration of scenarios/reference/lru.yaml. Returns 0 and what was found. */
static inline int direct_hits(struct wl_source *source, uint64_t capacity,
                              enum kvt_touch_order touch, struct wl_mrc_hits *hits)
{
    struct kvt_core_config config;
    struct wl_info info;
    wl_source_info(source, &info);
    kvt_core_config_init(&config);
    config.block_tokens = config.page_tokens = info.block_tokens;
    config.partial_blocks = true;
    config.recompute_last_token = config.single_flight = false;
    config.page_numbers = false;
    config.max_batch_tokens = 1000000;
    config.max_batch_requests = 256;
    config.touch = touch;
    config.tiers[KVT_GPU].capacity_blocks = capacity;
    config.expected_blocks = info.distinct_keys;
    struct kvt_null *world = kvt_null_new(&heap, NULL);
    if (!world)
        return -ENOMEM;
    const struct kvt_port port = kvt_null_port(world);
    int status = 0;
    struct kvt_core *core = kvt_core_new(&config, &port, &heap, &status);
    struct kvt_request r;
    wl_rewind(source);
    while (core && status == 0 && wl_next(source, &r) == 1) {
        status = kvt_null_world()->advance(world, core, r.arrive_ns);
        if (status == 0)
            status = kvt_core_request(core, r.arrive_ns, &r);
    }
    if (core && status == 0)
        status = kvt_null_world()->advance(world, core, KVT_NEVER);
    if (core && status == 0) {
        struct kvt_core_stats stats;
        kvt_core_stats(core, &stats);
        *hits = (struct wl_mrc_hits){stats.hit_blocks, stats.ledger_tokens[KVT_HIT_GPU]};
    }
    kvt_core_free(core);
    kvt_null_free(world);
    wl_rewind(source);
    return status;
}

/* One pass over a source. 0 or what failed. */
static inline int direct_mrc(struct wl_source *source, struct wl_mrc *mrc)
{
    struct wl_numbering numbering;
    struct wl_info info;
    struct wl_record r;
    struct wl_chain p;
    wl_source_info(source, &info);
    wl_rewind(source);
    int status = wl_numbering_init(&numbering, &info, false);
    while (status == 0 && wl_next_record(source, &r) == 1) {
        status = wl_number(&numbering, &r, &p);
        if (status == 0)
            status = wl_mrc_add(mrc, &p, wl_numbers(&numbering));
    }
    if (status == 0)
        status = wl_mrc_seal(mrc);
    wl_numbering_release(&numbering);
    wl_rewind(source);
    return status;
}

/* Size i of n between the longest prompt and all blocks, evenly on a log scale. */
static inline uint64_t direct_size(const struct wl_mrc *mrc, int i, int n)
{
    const double low = log(mrc->longest_blocks), high = log(wl_mrc_distinct(mrc));
    return (uint64_t)ceil(exp(low + (high - low) * i / (n - 1)) - 1e-6);
}

#endif
