/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * stats.h - what a trace is like: volume, lengths, burstiness, and how much any prefix cache could find.
 *
 * The bound. With room for everything and no time between, a request finds the longest run of its leading
 * blocks that some earlier request named, prompt or output: `hit_blocks` of `blocks`. Blocks are those of prompts;
 * the partial last one counts where the trace names it. hit_tokens counts min(prompt, hit blocks * block size), so a
 * whole hit counts all of the prompt. No cache of any size, tier or policy that shares prefixes can do better.
 *
 * A reuse gap is the time since a found block was last named: what TTLs and capacities are up against.
 * Percentiles of lengths are exact (nearest rank); of gaps, to 1.6 % (64 buckets per doubling).
 */
#ifndef WL_STATS_H
#define WL_STATS_H

#include "workload.h"

struct wl_spread {
    double mean;
    uint32_t p50, p90, p99, most;
};

struct wl_stats {
    uint64_t requests, prompt_tokens, output_tokens;
    double duration_s;      /* first to last arrival */
    double rate_per_s;      /* (requests - 1) / duration; 0 without duration */
    double interarrival_cv; /* standard deviation / mean of gaps; 0 without */
    struct wl_spread prompt, output;
    uint32_t block_tokens;
    uint64_t blocks, unique_blocks; /* of prompts; distinct among all named */
    uint64_t hit_blocks, hit_tokens, fully_hit;
    uint64_t sessions, tenants; /* distinct; sessions 0: the trace has none */
    double gap_p50_s, gap_p90_s, gap_p99_s, gap_max_s; /* 0 without a hit */
};

/* Runs through the source from its start, and leaves it there. Returns 0, or a negative errno with a line. */
KVT_MUST_CHECK int wl_stats_of(struct wl_source *source, struct wl_stats *stats,
                               struct wl_error *error);

#endif
