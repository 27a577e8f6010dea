/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * together.c - the table of pairs that exclude each other, and what a scenario has of them.
 *
 * The first line of the table that holds is what the user reads; so the wider reason stands before the narrower, the
 * world first.
 */
#include "together.h"

#include <errno.h>
#include <string.h>

/* Short names, so that a pair and its words are a line or two of the table. */
#define REAL       TOGETHER_REAL
#define MACHINE    TOGETHER_MACHINE
#define FAULTS     TOGETHER_FAULTS
#define ROLLOUT    TOGETHER_ROLLOUT
#define REGIONS    TOGETHER_REGIONS
#define RATIO      TOGETHER_RATIO
#define SHARD      TOGETHER_SHARD
#define HEAD       TOGETHER_HEAD
#define SLICES     TOGETHER_SLICES
#define IN_PLACE   TOGETHER_IN_PLACE
#define COPIES     TOGETHER_COPIES
#define RESIZE     TOGETHER_RESIZE
#define PEER       TOGETHER_PEER
#define BACK       TOGETHER_BACK
#define REDIS_BACK TOGETHER_REDIS_BACK
#define FUTURE     TOGETHER_FUTURE
#define PARTIAL    TOGETHER_PARTIAL
#define RADIX      TOGETHER_RADIX
#define PARTS      TOGETHER_PARTS
#define SIMILAR    TOGETHER_SIMILAR
#define WINDOW     TOGETHER_WINDOW

const char *const together_names[TOGETHER_FEATURES] = {
    [REAL] = "the real world",
    [MACHINE] = "a calibrated host in simulation",
    [FAULTS] = "faults",
    [ROLLOUT] = "a roll-out",
    [REGIONS] = "regions",
    [RATIO] = "`prices.inter_region_ratio`",
    [SHARD] = "shards",
    [HEAD] = "shards by head",
    [SLICES] = "shards other than by head",
    [IN_PLACE] = "shards read in place",
    [COPIES] = "copies of shards",
    [RESIZE] = "engines that grow or shrink",
    [PEER] = "peers",
    [BACK] = "write-back",
    [REDIS_BACK] = "write-back to redis",
    [FUTURE] = "policies told the future",
    [PARTIAL] = "partial blocks",
    [RADIX] = "a token tree",
    [PARTS] = "parts of blocks",
    [SIMILAR] = "similar prompts",
    [WINDOW] = "sliding windows",
};

/* clang-format off */
const struct together_refusal together_refusals[] = {
    {REAL, FUTURE, "cache.tiers.*.evict",
     "expected a policy that knows the past: the real world has no future to ask"},
    {PARTIAL, BACK, "cache.tiers.*.write",
     "expected through: partial blocks are not written back"},

    {IN_PLACE, REAL, "cache.shard.access",
     "expected gather: in the real world nothing computes, hence nothing where shards lie"},
    {RESIZE, REAL, "cache.shard.resize_at",
     "expected never: in the real world engines neither grow nor shrink"},
    {SHARD, MACHINE, "cache.shard.policy",
     "expected none: this host is one machine, simulated with its workers, which move no shards"},
    {SLICES, WINDOW, "cache.shard.policy",
     "expected head or none: * has layers with a sliding window, which are not sharded otherwise"},
    {SHARD, BACK, "cache.tiers.*.write",
     "expected through, selective or none: a sharded gpu tier is not written back"},
    {SHARD, PEER, "cache.tiers.peer.enabled",
     "expected false: a sharded gpu tier is not lent to peers"},

    {PARTS, REAL, "cache.match.radix",
     "expected false: the real world shares whole blocks and copies no parts of them"},
    {PARTS, MACHINE, "cache.match.radix",
     "expected false: this host is one machine, simulated with its workers, which copy no parts of blocks"},
    {PARTS, PARTIAL, "cache.match.radix", "expected false, or cache.partial_blocks to be"},
    {PARTS, SHARD, "cache.match.radix", "expected false, or cache.shard.policy: none"},

    {ROLLOUT, REAL, "rollout.at",
     "expected never: a roll-out is for the null and the simulated world, not for real"},
    {ROLLOUT, FUTURE, "cache.tiers.*.evict",
     "expected a policy that is not told the future: with a roll-out the trace's own is not what comes"},
    {ROLLOUT, SIMILAR, "cache.match.approximate.threshold",
     "expected off: similar prompts of another epoch are of no use, and are not told apart"},
    {ROLLOUT, RADIX, "cache.match.radix",
     "expected false: tokens of another epoch are of no use, and are not told apart"},

    {REGIONS, REAL, "regions.names",
     "expected none: regions are for the null and the simulated world, not for real"},
    {REGIONS, MACHINE, "regions.names",
     "expected none: this host is one machine, simulated with its workers"},
    {REGIONS, FAULTS, "regions.names", "expected none beside faults"},
    {REGIONS, ROLLOUT, "regions.names", "expected none beside a roll-out"},
    {REGIONS, SHARD, "regions.names", "expected none, or cache.shard.policy: none"},
    {REGIONS, PEER, "regions.names", "expected none, or no peer tier"},
    {REGIONS, REDIS_BACK, "cache.tiers.redis.write",
     "expected through, selective or none: a tier in regions is not written back"},
    {REGIONS, RATIO, "prices.inter_region_ratio",
     "expected 0: with regions the run itself counts the bytes between them"},

    {RESIZE, HEAD, "cache.shard.policy",
     "expected another than head with cache.shard.resize_at: heads lie where they are computed with"},
    {RESIZE, IN_PLACE, "cache.shard.access",
     "expected gather with cache.shard.resize_at: who reads in place has no copy while shards move"},
    {RESIZE, COPIES, "cache.shard.replicas",
     "expected 1 with cache.shard.resize_at: other copies are not moved"},
    {RESIZE, ROLLOUT, "rollout.at", "expected never with cache.shard.resize_at"},
    {RESIZE, FAULTS, "faults", "expected none with cache.shard.resize_at"},

    {PARTIAL, REAL, "cache.partial_blocks", "the real world expected false: it keeps whole blocks"},
};
/* clang-format on */

const size_t together_n_refusals = sizeof together_refusals / sizeof *together_refusals;

/* ---- What a scenario has --------------------------------------------------------------------------- */

static bool written_back(const struct scenario *s, int tier)
{
    const struct scenario_tier *t = &s->cache.tiers[tier];
    return tier != KVT_GPU && tier != KVT_PEER && t->enabled && t->write == WRITE_BACK;
}

static bool told_the_future(const struct scenario *s, int tier)
{
    const struct scenario_tier *t = &s->cache.tiers[tier];
    return tier != KVT_PEER && t->enabled && kvt_evict_all[t->evict]->needs_future;
}

/* The first tier of which it holds; KVT_TIERS: of none. */
static int tier_that(const struct scenario *s, bool (*is)(const struct scenario *, int))
{
    int tier = 0;
    while (tier < KVT_TIERS && !is(s, tier))
        tier++;
    return tier;
}

void together_look(bool has[], const struct resolved *r, const struct scenario *s,
                   const struct catalog_model *model)
{
    const struct scenario_cache *cache = &s->cache;
    const struct scenario_shard *shard = &cache->shard;
    const struct kvt_shard_ops *policy = shard->policy ? kvt_shard_all[shard->policy - 1] : NULL;
    has[REAL] = s->world == WORLD_REAL;
    has[MACHINE] = s->world != WORLD_REAL && r->sim.machine.workers > 0;
    has[FAULTS] = s->n_faults > 0;
    has[ROLLOUT] = s->rollout.at_ns != KVT_NEVER;
    has[REGIONS] = strcmp(s->regions.names, "none") != 0;
    has[RATIO] = s->prices.inter_region_ratio > 0;
    has[SHARD] = policy != NULL;
    has[HEAD] = policy && policy->splits == KVT_SPLIT_HEAD;
    has[SLICES] = policy && policy->splits != KVT_SPLIT_HEAD;
    has[IN_PLACE] = has[SLICES] && shard->access == KVT_ACCESS_IN_PLACE;
    has[COPIES] = policy && shard->replicas > 1;
    has[RESIZE] = policy && shard->resize_at_ns != KVT_NEVER && shard->resize_gpus > 0;
    has[PEER] = cache->tiers[KVT_PEER].enabled;
    has[BACK] = tier_that(s, written_back) < KVT_TIERS;
    has[REDIS_BACK] = written_back(s, KVT_REDIS);
    has[FUTURE] = tier_that(s, told_the_future) < KVT_TIERS;
    has[PARTIAL] = cache->partial_blocks;
    has[RADIX] = cache->match_radix;
    has[PARTS] = cache->match_radix && cache->match_chain && cache->enabled;
    has[SIMILAR] = cache->approximate_threshold > 0;
    has[WINDOW] = model->window_layers.number > 0;
}

/* The text with word in place of the asterisk, if it has one. */
static void fill(char *out, size_t size, const char *text, const char *word)
{
    const size_t before = strcspn(text, "*");
    snprintf(out, size, "%.*s%s%s", (int)before, text, text[before] ? word : "",
             text[before] ? text + before + 1 : "");
}

int together_check(const struct resolved *r, const struct scenario *s,
                   const struct catalog_model *model, char *error)
{
    bool has[TOGETHER_FEATURES];
    together_look(has, r, s, model);
    for (size_t i = 0; i < together_n_refusals; i++) {
        const struct together_refusal *no = &together_refusals[i];
        char path[64], want[250];
        if (!has[no->a] || !has[no->b])
            continue;
        const int tier = tier_that(s, no->b == FUTURE ? told_the_future : written_back);
        fill(path, sizeof path, no->path,
             tier < KVT_TIERS ? kvt_tier_name((enum kvt_tier_kind)tier) : "");
        fill(want, sizeof want, no->want, model->name);
        return resolve_refuse(s, path, want, error);
    }
    return 0;
}
