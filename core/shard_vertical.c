/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_vertical.c - by layer: each GPU holds some layers of all positions.
 *
 *      contiguous     layer l on GPU l * G / L     0 0 0 0 1 1 1 1 ... 7 7 7 7     (L = 32, G = 8)
 *      interleaved    layer l on GPU l mod G       0 1 2 3 4 5 6 7 0 1 ... 6 7
 *
 * Both give every GPU floor(L / G) or one more layers, whatever the traffic; so balance does not
 * depend on prompts, but with L = 80 and G = 64 it is 2 layers beside 1. More GPUs than layers would
 * leave some without any, and are refused.
 */
#include "shard.h"

static const char *check(const struct kvt_shard_config *c)
{
    return c->gpus > c->layers ? "vertical sharding needs at least as many layers as GPUs" : NULL;
}

static void divide(struct kvt_shards *s)
{
    const uint64_t layers = s->config.layers, gpus = s->config.gpus;
    if (s->config.interleaved) {
        kvt_shard_divide_modulo(s);
        return;
    }
    /* GPU k has the layers l with l * G / L == k: from ceil(k L / G) on. */
    s->n = (uint32_t)gpus;
    for (uint32_t k = 0; k < s->n; k++)
        s->weight[k] =
            (uint16_t)(((k + 1) * layers + gpus - 1) / gpus - (k * layers + gpus - 1) / gpus);
}

static void place(struct kvt_shards *s, const struct kvt_shard_site *site, uint8_t *gpu)
{
    (void)site;
    for (uint32_t k = 0; k < s->n; k++)
        gpu[k] = (uint8_t)k;
}

extern const struct kvt_shard_ops kvt_shard_vertical;
const struct kvt_shard_ops kvt_shard_vertical = {
    .name = "vertical",
    .source = "layers as in pipeline parallelism (GPipe, arXiv 1811.06965)",
    .splits = KVT_SPLIT_LAYER,
    .check = check,
    .divide = divide,
    .place = place,
};
