/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_head.c - by KV head, as tensor parallelism does (Megatron-LM, arXiv 1909.08053): each GPU
 * holds the heads that it computes with, of all layers and positions.
 *
 *      heads >= G      heads / G to a GPU                          8 heads, 4 GPUs:   01 23 45 67
 *      heads <  G      each head on G / heads neighbours           2 heads, 4 GPUs:   0 0 1 1
 *      latent          one, on every GPU (DeepSeek-V2, arXiv 2405.04434)
 *
 * The copies that come of too few heads count as replicas: more are made only if more are wanted.
 */
#include "shard.h"

static uint32_t parts(const struct kvt_shard_config *c)
{
    const uint32_t heads = c->kv_heads ? c->kv_heads : 1;
    return heads < c->gpus ? heads : c->gpus;
}

static const char *check(const struct kvt_shard_config *c)
{
    const uint32_t heads = c->kv_heads ? c->kv_heads : 1;
    if (heads % c->gpus && c->gpus % heads)
        return "sharding by head needs a number of GPUs that divides the KV heads, or that they "
               "divide";
    const uint32_t neighbours = c->gpus / parts(c);
    if (c->replicas > neighbours && c->replicas % neighbours)
        return "replicas of heads must be a multiple of the GPUs that share a head already";
    return NULL;
}

static void divide(struct kvt_shards *s)
{
    s->n = parts(&s->config);
    const uint32_t neighbours = s->config.gpus / s->n;
    if (s->copies < neighbours)
        s->copies = neighbours;
    if (neighbours > 1)
        s->stride = 1;
    for (uint32_t k = 0; k < s->n; k++)
        s->weight[k] = 1;
}

static void place(struct kvt_shards *s, const struct kvt_shard_site *site, uint8_t *gpu)
{
    (void)site;
    for (uint32_t k = 0; k < s->n; k++)
        gpu[k] = (uint8_t)(k * (s->config.gpus / s->n));
}

extern const struct kvt_shard_ops kvt_shard_head;
const struct kvt_shard_ops kvt_shard_head = {
    .name = "head",
    .source = "tensor parallelism (Megatron-LM, arXiv 1909.08053)",
    .splits = KVT_SPLIT_HEAD,
    .check = check,
    .divide = divide,
    .place = place,
};
