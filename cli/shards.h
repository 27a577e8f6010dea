/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shards.h - what a run says of its sharded engines, and what the formulas say of all policies.
 *
 *      per GPU     bytes it holds at the end; stored there and read there since the start; what passed
 *                  its links, and how busy they were                            shards.csv
 *      placement   the longest chain that is whole in engine 0, block by layer  placement.csv
 *      orphans     where GPUs evict each by itself: shards that are of no use, since others of their block have left
 *      loss        cached blocks that would be lost if any k GPUs of each engine died, the same in all:
 *                  counted over every choice of k
 *      costs       a cached context of so many tokens and one request alone, in closed form, under every
 *                  policy and access on the scenario's hardware                 shard_costs.csv
 *
 * The closed form of a context of T tokens, blocks placed one after the other from empty counts:
 *
 *      gather        sim_fabric_ns of what lies on each GPU (0 in place)
 *      first token   gather + a step with one chunk of one token after T - 1 tokens
 *      per token     a step with one decoding request of T tokens
 *
 * in the arithmetic of the simulated world, so that a run with one request and nothing else gives the same
 * nanoseconds.
 */
#ifndef CLI_SHARDS_H
#define CLI_SHARDS_H

#include "../backend/world.h"
#include "../sim/world.h"
#include "resolve.h"

enum { SHARDS_LOSS_MOST = 3, SHARDS_LENGTHS = 11, SHARDS_POLICIES = 5 };

struct shards_gpu {
    uint32_t engine, gpu;
    struct kvt_core_gpu held;
    uint64_t out_b, in_b, h2d_b, d2h_b; /* over its links, or copied; 0 where the world has none */
    double out_busy_ratio, in_busy_ratio;
};

struct shards_loss {
    uint32_t dead;                  /* GPUs of each engine */
    double mean_ratio, worst_ratio; /* of the cached blocks, over all choices */
};

struct shards_cost {
    const char *policy, *access;
    uint64_t tokens;
    kvt_ns gather_ns, first_token_ns, token_ns;
    uint64_t gather_b;   /* over all ports */
    double held_balance; /* most / mean bytes per GPU */
};

struct shards {
    const char *policy, *access; /* NULL: not sharded, and nothing below is filled */
    uint32_t replicas, gpus, layers, block_tokens;
    uint32_t living;      /* of an engine's GPUs: those that it has at the end; its first ones */
    uint64_t lost_blocks; /* with GPUs that failed */
    bool alone;           /* GPUs evict each by itself; else the following is not filled */
    uint64_t evicted_shards, unusable_blocks, again_blocks, kept_b; /* as in core.h */
    uint64_t orphan_b, orphan_most_b;
    double orphan_mean_b,
        orphan_mean_ratio; /* over time; of what all GPUs have room for, NAN: unlimited */
    bool recopies;         /* copies that were lost are made anew, as stats say */
    struct kvt_core_stats stats;
    struct shards_gpu *gpu;
    uint32_t n_gpus;
    double held_balance, stored_balance, read_balance; /* most / mean; NAN when nothing is there */
    struct shards_loss loss[SHARDS_LOSS_MOST];
    uint32_t n_loss;
    uint8_t *chain; /* first GPU of each layer of each block */
    uint32_t chain_blocks;
    struct shards_cost cost[SHARDS_LENGTHS * SHARDS_POLICIES * 2];
    uint32_t n_costs;
};

/* Looks at core and at the world that it ran in (NULL: the other one, or none) at the end of a run. 0, or -ENOMEM with nothing to release. */
KVT_MUST_CHECK int shards_collect(struct shards *s, const struct resolved *r,
                                  const struct kvt_core *core, const struct sim_world *sim,
                                  const struct be_world *real);
void shards_release(struct shards *s);

/* The closed form for one context. False when the policy cannot shard these engines. */
bool shards_cost_of(const struct resolved *r, const struct kvt_shard_ops *policy,
                    enum kvt_shard_access access, uint64_t tokens, struct shards_cost *cost);

#endif
