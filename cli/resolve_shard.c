/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolve_shard.c - cache.shard: on which GPUs of an engine KV lies, and what reading it costs.
 *
 *      a GPU holds           what the memory budget leaves it (budget.h)
 *      a shard of weight w   block_tokens * KV bytes per token, once / weights * w       (shard.h)
 *      a working page        page_tokens * KV bytes per token and GPU, as tensor parallelism has it
 *      part_b                KV bytes per token, once / weights                          (fabric.h)
 *
 * KV "once" has no copies for want of heads: those belong to tensor parallelism, and to `head`. Ports are
 * the GPU's NVLink, else its PCIe; NICs its rate between nodes; latency that of its all-reduce.
 *
 * In place, a step reads blocks where they lie, once; so KV bytes per token are those of one copy, for
 * what lies beside blocks too.
 */
#include "resolve.h"

#include "../core/shard_mask.h"

#include <errno.h>
#include <math.h>

#include "model.h"

enum { NODE_GPUS = 8 }; /* as in model.c */

static const struct kvt_shard_ops *policy_of(const struct scenario *s)
{
    return s->cache.shard.policy ? kvt_shard_all[s->cache.shard.policy - 1] : NULL;
}

/* The largest number of GPUs, at most g, that can be sharded by head. */
static uint32_t gpus_for_heads(uint32_t heads, uint32_t g)
{
    while (heads % g && g % heads)
        g--;
    return g;
}

static int check(const struct resolved *r, const struct scenario *s,
                 const struct catalog_model *model, const struct kvt_shard_config *c, char *error)
{
    const char *name = c->policy->name;
    const uint32_t heads = c->kv_heads ? c->kv_heads : 1;
    if (c->policy->splits == KVT_SPLIT_LAYER && c->gpus > c->layers)
        return resolve_refusef(
            s, "cache.shard.policy", error,
            "expected %s with at most %u GPUs per engine, one for each layer of %s", name,
            c->layers, model->name);
    if (c->policy->splits == KVT_SPLIT_HEAD && heads % c->gpus && c->gpus % heads)
        return resolve_refusef(
            s, "cluster.gpus_per_engine", error,
            "expected a number that divides the %u KV heads of %s, or that they divide, "
            "such as %u",
            heads, model->name, gpus_for_heads(heads, c->gpus));
    if (c->replicas > c->gpus)
        return resolve_refusef(s, "cache.shard.replicas", error,
                               "expected 1 to %u, the GPUs of an engine", c->gpus);
    if (c->slice_tokens > r->context_tokens)
        return resolve_refusef(s, "cache.shard.slice", error, "expected 1 to %u, the context of %s",
                               r->context_tokens, model->name);
    if (c->interleaved &&
        !(c->policy->splits == KVT_SPLIT_LAYER || c->policy->splits == KVT_SPLIT_SEQUENCE))
        return resolve_refusef(
            s, "cache.shard.variant", error,
            "expected contiguous: only horizontal and vertical can be interleaved");
    if (s->world == WORLD_REAL && c->policy->splits == KVT_SPLIT_HEAD && c->replicas > 1)
        return resolve_refusef(
            s, "cache.shard.replicas", error,
            "expected 1: the real world keeps heads where they are computed with, and "
            "nowhere else");
    if (s->world == WORLD_REAL && s->cache.shard.evict_alone)
        return resolve_refusef(
            s, "cache.shard.evict", error,
            "expected together: in the real world shards have memory by the page, which "
            "a block keeps or gives back whole");
    if (s->cache.shard.rereplicate && c->replicas > 1 && !kvt_shard_marks(c))
        return resolve_refusef(
            s, "cache.shard.rereplicate", error,
            "expected auto with %s: a spare GPU has there at once what the one before it had",
            c->policy->splits == KVT_SPLIT_HEAD ? "cache.shard.policy: head"
                                                : "cache.shard.access: in_place");
    const char *why = kvt_shard_check(c);
    return why ? resolve_refusef(s, "cache.shard.policy", error, "expected a usable sharding: %s",
                                 why)
               : 0;
}

static uint64_t whole(double b)
{
    return (uint64_t)ceil(b - 1e-6);
}

void resolve_shard_pages(struct resolved *r, uint64_t plain_pages)
{
    struct kvt_core_config *core = &r->core;
    struct kvt_shard_room *room = &core->shard_room;
    r->plain_gpu_pages = plain_pages;
    room->gpu_b = plain_pages * room->page_gpu_b;
    const double pages =
        floor((double)room->gpu_b * core->shard.gpus / (core->page_tokens * r->kv_b_per_token));
    core->gpu_pages = pages < KVT_NONE ? (uint64_t)pages : KVT_NONE - 1;
    r->tier_blocks[KVT_GPU] =
        core->gpu_pages / (core->block_tokens / core->page_tokens) * core->engines;
}

/* What each GPU holds, and pages enough that only that bounds. */
static void resolve_gpu_memory(struct resolved *r, const struct kvt_shards *shape)
{
    struct kvt_core_config *core = &r->core;
    struct kvt_shard_room *room = &core->shard_room;
    room->unit_b = whole(core->block_tokens * r->kv_b_per_token / shape->weight_sum);
    room->page_gpu_b = whole(core->page_tokens * r->budget.kv_b_per_token);
    room->gpu_b = UINT64_MAX;
    if (core->gpu_pages != UINT64_MAX)
        resolve_shard_pages(r, core->gpu_pages);
}

/* Query and output of one head in all layers. */
static double head_b(const struct catalog_model *m)
{
    const bool latent = m->latent_dim.number > 0;
    const double key = latent ? m->latent_dim.number : m->head_dim.number;
    const double value = latent ? m->latent_value_dim.number : m->head_dim.number;
    return m->layers.number * 2 * (key + value);
}

void resolve_shard_in_place(const struct resolved *r, const struct kvt_shards *shape,
                            struct sim_gpu *gpu)
{
    const struct sim_fabric *f = &r->sim.fabric;
    const double merge_b = shape->config.policy->splits & KVT_SPLIT_SEQUENCE ? 4 : 0;
    const double b = r->query_heads * (r->exchange_head_b + merge_b * shape->config.layers) +
                     r->kv_b_per_token * shape->copies;
    gpu->kv_b_per_token = r->kv_b_per_token;
    gpu->exchanges = 2 * shape->config.layers;
    gpu->exchange_latency_ns = (double)f->latency_ns;
    gpu->exchange_b_per_token = b;
    gpu->exchange_ns_per_token = sim_fabric_exchange_ns_per_b(f) * b;
    sim_gpu_prepare(gpu);
}

uint64_t resolve_shard_part_b(const struct resolved *r, const struct kvt_shards *shape)
{
    return whole(r->kv_b_per_token / shape->weight_sum);
}

static void resolve_fabric(struct resolved *r, const struct catalog_gpu *gpu,
                           const struct kvt_shards *shape)
{
    const struct kvt_shard_config *c = &shape->config;
    struct sim_fabric *f = &r->sim.fabric;
    const uint32_t heads = c->kv_heads ? c->kv_heads : 1;
    f->gpus = c->gpus;
    f->gpus_per_node = NODE_GPUS;
    f->port_bps = gpu->nvlink_bps.text ? gpu->nvlink_bps.number : f->pcie_bps;
    f->port_is_pcie = !gpu->nvlink_bps.text;
    f->nic_bps = gpu->inter_node_bps.text ? gpu->inter_node_bps.number : 0;
    f->latency_ns = (kvt_ns)gpu->all_reduce_latency_ns.number;
    f->parts = heads < c->gpus ? heads : c->gpus;
    f->part_b = resolve_shard_part_b(r, shape);
    if (c->access != KVT_ACCESS_IN_PLACE || c->policy->splits == KVT_SPLIT_HEAD || c->gpus == 1)
        return;
    struct sim_gpu *g = &r->sim.gpu;
    resolve_shard_in_place(r, shape, g);
    sim_gpu_prefill_cost(g, r->core.max_batch_tokens, &r->core.prefill);
}

/* GPUs that evict each by itself: what they would have to agree about is refused. */
static int resolve_alone(struct resolved *r, const struct scenario *s,
                         const struct kvt_shards *shape, char *error)
{
    const struct scenario_shard *wanted = &s->cache.shard;
    struct kvt_tier_config *gpu = &r->core.tiers[KVT_GPU];
    const char *key = "cache.shard.evict";
    if (shape->config.policy->splits == KVT_SPLIT_HEAD)
        return resolve_refusef(
            s, key, error,
            "expected together with cache.shard.policy: head: heads lie alike on all "
            "GPUs, which evict the same");
    if (wanted->resize_at_ns != KVT_NEVER || wanted->resize_gpus)
        return resolve_refusef(s, key, error, "expected together with cache.shard.resize_at");
    if (wanted->rereplicate)
        return resolve_refusef(
            s, "cache.shard.rereplicate", error,
            "expected auto with cache.shard.evict: alone: a spare GPU has there at once "
            "what lies elsewhere, too");
    if (s->cache.tiers[KVT_GPU].prefix_closed == CLOSED_YES)
        return resolve_refusef(
            s, "cache.tiers.gpu.prefix_closed", error,
            "expected auto or false with cache.shard.evict: alone: no GPU sees whole "
            "chains");
    if (gpu->ttl_ns != KVT_NEVER)
        return resolve_refusef(s, "cache.tiers.gpu.ttl", error,
                               "expected none with cache.shard.evict: alone");
    if (r->core.n_quotas)
        return resolve_refusef(
            s, "cache.quotas", error,
            "expected none with cache.shard.evict: alone: tenants' shares are the "
            "engine's, which decides nothing");
    if (kvt_mask_check(shape))
        return resolve_refusef(s, key, error,
                               "expected together: %u shards in %u copies are more than 384",
                               shape->n, shape->copies);
    gpu->prefix_closed = false;
    r->core.shard_alone = true;
    return 0;
}

int resolve_shard(struct resolved *r, const struct scenario *s, const struct catalog_gpu *gpu,
                  const struct catalog_model *model, char *error)
{
    const struct scenario_shard *wanted = &s->cache.shard;
    struct kvt_shard_config *c = &r->core.shard;
    r->plain_gpu_pages = r->core.gpu_pages;
    r->plain_gpu = r->sim.gpu;
    r->plain_prefill = r->core.prefill;
    r->plain_closed = r->core.tiers[KVT_GPU].prefix_closed;
    c->policy = policy_of(s);
    if (!c->policy && wanted->evict_alone)
        return resolve_refusef(s, "cache.shard.policy", error,
                               "expected one that shards, since cache.shard.evict is alone");
    if (!c->policy)
        return 0;
    c->access = (enum kvt_shard_access)wanted->access;
    c->gpus = (uint32_t)s->cluster.gpus_per_engine;
    c->layers = (uint32_t)model->layers.number;
    c->kv_heads = model->latent_dim.number > 0 ? 0 : (uint32_t)model->kv_heads.number;
    c->block_tokens = r->core.block_tokens;
    c->slice_tokens = (uint32_t)wanted->slice_tokens;
    c->replicas = (uint32_t)wanted->replicas;
    c->interleaved = wanted->interleaved == 1;
    c->rereplicate = wanted->rereplicate != 2 && !wanted->evict_alone && kvt_shard_marks(c);
    c->recent_blocks = wanted->recent_blocks;
    int rc = check(r, s, model, c, error);
    if (rc != 0)
        return rc;
    struct kvt_shards shape;
    kvt_shards_init(&shape, c);
    rc = wanted->evict_alone ? resolve_alone(r, s, &shape, error) : 0;
    if (rc != 0)
        return rc;
    resolve_gpu_memory(r, &shape);
    r->query_heads = (uint32_t)model->heads.number;
    r->exchange_head_b = head_b(model);
    resolve_fabric(r, gpu, &shape);
    resolve_add_note(r, "cache.shard.policy", "%s; %u shards of a block, %u copies",
                     c->policy->source, shape.n, shape.copies);
    return 0;
}

void resolve_unshard(struct resolved *r)
{
    r->core.shard.policy = NULL;
    r->core.shard_alone = false;
    r->core.tiers[KVT_GPU].prefix_closed = r->plain_closed;
    r->core.gpu_pages = r->plain_gpu_pages;
    r->core.prefill = r->plain_prefill;
    r->sim.gpu = r->plain_gpu;
    r->sim.fabric.gpus = r->sim.resized_fabric.gpus = 0;
    if (r->core.resize.gpus)
        r->faults.n = 0; /* there is nothing to move */
    r->core.resize.gpus = 0;
}
