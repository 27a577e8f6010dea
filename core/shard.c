/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard.c - the registry of sharding policies, and what they have in common.
 */
#include "shard.h"

#include <assert.h>
#include <string.h>

extern const struct kvt_shard_ops kvt_shard_horizontal, kvt_shard_vertical, kvt_shard_hybrid,
    kvt_shard_head, kvt_shard_single;

const struct kvt_shard_ops *const kvt_shard_all[] = {&kvt_shard_horizontal, &kvt_shard_vertical,
                                                     &kvt_shard_hybrid,     &kvt_shard_head,
                                                     &kvt_shard_single,     NULL};

const struct kvt_shard_ops *kvt_shard_named(const char *name)
{
    for (int i = 0; kvt_shard_all[i]; i++)
        if (strlen(name) == strlen(kvt_shard_all[i]->name) &&
            memcmp(name, kvt_shard_all[i]->name, strlen(name)) == 0)
            return kvt_shard_all[i];
    return NULL;
}

const char *kvt_shard_check(const struct kvt_shard_config *c)
{
    if (!c->policy)
        return NULL;
    if (c->gpus < 1 || c->gpus > KVT_SHARD_GPUS)
        return "an engine must have 1 to 256 GPUs to shard over";
    if (c->layers < 1 || c->layers > KVT_SHARD_LAYERS)
        return "a model must have 1 to 4096 layers to be sharded";
    if (!c->block_tokens)
        return "a block must have tokens to be sharded";
    if (!c->slice_tokens)
        return "a slice must be at least one token long";
    if (c->replicas < 1 || c->replicas > c->gpus)
        return "replicas must be 1 to the number of GPUs";
    if (c->interleaved && c->policy != &kvt_shard_horizontal && c->policy != &kvt_shard_vertical)
        return "only horizontal and vertical sharding can be interleaved";
    if (!c->recent_blocks)
        return "recent updates must be those of at least one block";
    if (c->access != KVT_ACCESS_GATHER && c->access != KVT_ACCESS_IN_PLACE)
        return "a context is read by gathering it, or in place";
    return c->policy->check ? c->policy->check(c) : NULL;
}

void kvt_shards_init(struct kvt_shards *s, const struct kvt_shard_config *config)
{
    assert(config->policy && !kvt_shard_check(config));
    memset(s, 0, sizeof *s);
    s->config = *config;
    s->copies = config->replicas;
    s->stride = config->gpus / config->replicas;
    config->policy->divide(s);
    assert(s->n >= 1 && s->n <= KVT_SHARD_GPUS && s->copies <= config->gpus);
    for (uint32_t k = 0; k < s->n; k++)
        s->weight_sum += s->weight[k];
}

void kvt_shards_replace(struct kvt_shards *s, const struct kvt_shard_site *site,
                        const bool *missing, uint8_t *gpu)
{
    uint8_t anew[KVT_SHARD_GPUS];
    if (s->config.policy->remembers) {
        s->config.policy->replace(s, site, missing, gpu);
        return;
    }
    kvt_shards_place(s, site, anew); /* (S3) */
    for (uint32_t k = 0; k < s->n; k++)
        gpu[k] = missing[k] ? anew[k] : gpu[k];
}

void kvt_shard_divide_whole(struct kvt_shards *s)
{
    s->n = 1;
    s->weight[0] = (uint16_t)s->config.layers;
}

void kvt_shard_divide_modulo(struct kvt_shards *s)
{
    const uint32_t layers = s->config.layers, gpus = s->config.gpus;
    s->n = layers < gpus ? layers : gpus;
    for (uint32_t k = 0; k < s->n; k++)
        s->weight[k] = (uint16_t)((layers - k + gpus - 1) / gpus);
}

uint32_t kvt_shard_slice(const struct kvt_shards *s, uint32_t index)
{
    const uint64_t position = (uint64_t)index * s->config.block_tokens;
    return (uint32_t)(position / s->config.slice_tokens % s->config.gpus);
}

uint32_t kvt_shard_of(const struct kvt_shards *s, uint32_t layer, uint32_t head)
{
    if (s->config.policy->splits == KVT_SPLIT_HEAD)
        return s->config.kv_heads ? head / (s->config.kv_heads / s->n) : 0;
    if (s->n == 1)
        return 0;
    if (s->config.policy == &kvt_shard_vertical && !s->config.interleaved)
        return (uint32_t)((uint64_t)layer * s->config.gpus / s->config.layers);
    return layer % s->config.gpus;
}
