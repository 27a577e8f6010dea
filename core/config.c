/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * config.c - defaults of a core's configuration, and what makes one unusable.
 */
#include "core.h"

#include "shard_mask.h"

#include <string.h>

void kvt_core_config_init(struct kvt_core_config *config)
{
    memset(config, 0, sizeof *config);
    config->engines = 1;
    config->block_tokens = 16;
    config->page_tokens = 16;
    config->gpu_pages = UINT64_MAX;
    config->page_numbers = true;
    config->max_batch_tokens = 8192;
    config->max_batch_requests = 256;
    config->cache = true;
    config->single_flight = true;
    config->recompute_last_token = true;
    config->match = KVT_MATCH_CHAIN;
    config->touch = KVT_TOUCH_LEAF;
    config->router = KVT_ROUTE_PREFIX_AWARE;
    config->load_choice = KVT_LOAD_ADAPTIVE;
    config->load_patience = 2;
    config->store_pages_ratio = 0.125;
    config->history_blocks = UINT64_MAX;
    for (int t = 0; t < KVT_TIERS; t++) {
        struct kvt_tier_config *tier = &config->tiers[t];
        tier->capacity_blocks = tier->capacity_b = UINT64_MAX;
        tier->ttl_ns = KVT_NEVER;
        tier->write_through = true;
    }
    config->tiers[KVT_GPU].present = true;
}

static const char *check_tier(const struct kvt_tier_config *tier)
{
    if (!tier->capacity_blocks || !tier->capacity_b)
        return "a tier needs room for at least one block";
    if (!(tier->stored_b_per_token >= 0) || tier->stored_b_per_token > 1e12)
        return "stored bytes per token must lie between 0 and 1e12";
    if (!(tier->load_fixed_ns >= 0) || !(tier->load_ns_per_token >= 0))
        return "predicted load times must not be negative";
    if (!tier->ttl_ns)
        return "a TTL must be longer than nothing";
    if (tier->evict && tier->evict->needs_ttl && tier->ttl_ns == KVT_NEVER)
        return "this eviction policy goes by the TTL, and the tier has none";
    return NULL;
}

static const char *check_writing(const struct kvt_core_config *c)
{
    uint32_t back = 0;
    for (int t = KVT_HOST; t < KVT_TIERS; t++) {
        const struct kvt_tier_config *tier = &c->tiers[t];
        if (!tier->present)
            continue;
        back += tier->write_back;
        if (tier->write_back && tier->write_through)
            return "a tier is written through or back, not both";
        if (tier->exclusive && (!tier->write_back || tier->manager != KVT_MANAGED_BY_CORE))
            return "an exclusive tier must be written back, and managed by core";
        if (tier->exclusive && tier->no_promote)
            return "what is moved to the GPU is kept there";
        if (tier->write_back && c->partial_blocks)
            return "partial blocks cannot be written back";
    }
    return back > 1 ? "at most one tier can be written back" : NULL;
}

static const char *check_peer(const struct kvt_core_config *c)
{
    const struct kvt_tier_config *peer = &c->tiers[KVT_PEER];
    if (!peer->present)
        return NULL;
    if (c->engines < 2)
        return "the peer tier needs another engine";
    if (peer->probe || peer->exclusive || peer->write_back)
        return "the peer tier is neither probed, nor exclusive, nor written back";
    return NULL;
}

static const char *check_quotas(const struct kvt_core_config *c)
{
    double sum = 0;
    if (c->n_quotas > KVT_QUOTAS_MOST)
        return "there can be at most 64 quotas";
    for (uint32_t i = 0; i < c->n_quotas; i++) {
        if (!(c->quotas[i] > 0))
            return "a quota must be positive";
        sum += c->quotas[i];
    }
    return sum > 1 + 1e-9 ? "quotas must not add up to more than the whole" : NULL;
}

static const char *check_resize(const struct kvt_core_config *c)
{
    const struct kvt_resize_config *r = &c->resize;
    if (!r->gpus)
        return NULL;
    struct kvt_shard_config after = c->shard;
    after.gpus = r->gpus;
    const char *why = kvt_shard_check(&after);
    why = why ? why : kvt_shard_join_check(&c->shard, &after);
    if (why)
        return why;
    if (c->page_numbers)
        return "an engine whose number of GPUs changes cannot have numbered pages";
    if (!r->gpu_pages || !r->gpu_b || !r->page_gpu_b)
        return "pages and GPUs must take and have room, whatever their number becomes";
    if (r->gpus > c->shard.gpus && (r->gpu_pages < c->gpu_pages || r->gpu_b < c->shard_room.gpu_b ||
                                    r->page_gpu_b > c->shard_room.page_gpu_b))
        return "an engine that grows must have no less room on any GPU";
    if ((r->gpu_pages == UINT64_MAX) != (c->gpu_pages == UINT64_MAX) ||
        (r->gpu_b == UINT64_MAX) != (c->shard_room.gpu_b == UINT64_MAX))
        return "an engine whose number of GPUs changes must have bounds before and after, or "
               "neither";
    return NULL;
}

static const char *check_alone(const struct kvt_core_config *c)
{
    const struct kvt_tier_config *gpu = &c->tiers[KVT_GPU];
    struct kvt_shards shape;
    if (c->shard.policy->splits == KVT_SPLIT_HEAD)
        return "heads lie alike on all GPUs, which evict the same";
    if (c->resize.gpus)
        return "an engine whose number of GPUs changes evicts its shards together";
    if (c->shard.rereplicate)
        return "where GPUs evict alone, no copies of shards are made anew in the background";
    if (gpu->prefix_closed || gpu->ttl_ns != KVT_NEVER || c->n_quotas)
        return "GPUs that evict alone know neither chains nor times to live nor quotas";
    if (c->engines > 2040)
        return "engines of which GPUs evict alone must be 1 to 2040";
    kvt_shards_init(&shape, &c->shard);
    return kvt_mask_check(&shape);
}

static const char *check_shard(const struct kvt_core_config *c)
{
    const char *why = kvt_shard_check(&c->shard);
    if (!why && c->shard_alone && !c->shard.policy)
        return "shards are evicted alone only where a policy shards";
    if (why || !c->shard.policy)
        return why;
    if (c->shard.block_tokens != c->block_tokens)
        return "shards must be those of the blocks that are cached";
    if (c->shard_room.gpu_b != UINT64_MAX && c->gpu_pages == UINT64_MAX)
        return "GPUs with so many bytes cannot have pages without end";
    if (!c->shard_room.unit_b || !c->shard_room.page_gpu_b)
        return "a shard and a page must take room";
    if (c->tiers[KVT_PEER].present)
        return "a sharded gpu tier cannot be lent to peers";
    for (int t = 0; t < KVT_TIERS; t++)
        if (c->tiers[t].present && c->tiers[t].write_back)
            return "what leaves a sharded gpu tier cannot be written back";
    why = c->shard_alone ? check_alone(c) : NULL;
    return why ? why : check_resize(c);
}

/* Every engine has a region, every region an engine. */
static const char *check_regions(const struct kvt_core_config *c)
{
    const struct kvt_regions *regions = &c->regions;
    const struct kvt_tier_config *redis = &c->tiers[KVT_REDIS];
    if (regions->n > KVT_REGIONS_MOST)
        return "there can be at most 8 regions";
    if (regions->n <= 1)
        return regions->read_far || regions->write_far ? "far regions need another region" : NULL;
    if (regions->first[0] != 0 || regions->first[regions->n] != c->engines)
        return "regions must divide the engines among them";
    for (uint32_t r = 0; r < regions->n; r++)
        if (regions->first[r] >= regions->first[r + 1])
            return "each region needs an engine";
    if (!redis->present)
        return "regions divide a redis tier, and there is none";
    if (redis->write_back || redis->exclusive)
        return "a redis tier in regions is not written back, and not exclusive";
    if (c->tiers[KVT_PEER].present || c->shard.policy)
        return "engines in regions have no peers, and are not sharded";
    if (!(regions->load_fixed_ns >= 0) || !(regions->load_ns_per_token >= 0))
        return "predicted load times must not be negative";
    return NULL;
}

const char *kvt_core_config_check(const struct kvt_core_config *c)
{
    if (c->engines < 1 || c->engines > 2048)
        return "engines must be 1 to 2048";
    if (!c->page_tokens || !c->block_tokens || c->block_tokens % c->page_tokens)
        return "block_tokens must be a multiple of page_tokens, and both positive";
    if (c->block_tokens > 1u << 20)
        return "block_tokens must be at most 1048576";
    if (!c->gpu_pages)
        return "the gpu tier needs at least one page";
    if (c->gpu_pages != UINT64_MAX && c->gpu_pages >= KVT_NONE)
        return "the gpu tier can have at most 2^32 - 2 pages per engine";
    if (!c->max_batch_requests || c->max_batch_requests > 32768)
        return "max_batch_requests must be 1 to 32768";
    if (c->max_batch_tokens <= c->max_batch_requests)
        return "max_batch_tokens must be larger than max_batch_requests";
    if (!(c->load_patience >= 0))
        return "load_patience must not be negative";
    if (!(c->store_pages_ratio >= 0 && c->store_pages_ratio <= 1))
        return "store_pages_ratio must lie between 0 and 1";
    if (!(c->approximate_threshold >= 0 && c->approximate_threshold <= 1))
        return "approximate_threshold must lie between 0 and 1";
    if (c->approximate_threshold > 0 &&
        (!c->approximate_prompts || c->approximate_prompts > 1u << 24))
        return "approximate_prompts must be 1 to 16777216";
    if (c->reuse_partial && c->match != KVT_MATCH_CHAIN)
        return "parts of blocks are reused only where matching goes by chain";
    if (c->reuse_partial && c->partial_blocks)
        return "parts of blocks are not reused where partial blocks have keys of their own";
    if (c->reuse_partial && c->shard.policy)
        return "parts of blocks are not copied in a sharded gpu tier";
    if (!c->tiers[KVT_GPU].present)
        return "the gpu tier cannot be left out";
    if (c->tiers[KVT_GPU].evict && c->tiers[KVT_GPU].evict->refuses)
        return "this eviction policy refuses to evict, and running requests need the gpu tier's "
               "room";
    const char *shard = check_shard(c), *regions = check_regions(c);
    if (shard || regions)
        return shard ? shard : regions;
    const char *quotas = check_quotas(c), *writing = check_writing(c), *peer = check_peer(c);
    if (quotas || writing || peer)
        return quotas ? quotas : writing ? writing : peer;
    for (int t = 0; t < KVT_TIERS; t++) {
        const char *why = c->tiers[t].present ? check_tier(&c->tiers[t]) : NULL;
        if (why)
            return why;
    }
    return NULL;
}
