/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_horizontal.c - by position in the sequence: GPU (position / slice) mod G holds all layers.
 *
 *      slice = 12,500       GPU 0         GPU 1               GPU 7
 *      100,000 tokens  [0 .. 12.5K) [12.5K .. 25K)  ... [87.5K .. 100K)
 *
 * A range's slice has a fixed length, not a G-th of the prompt, because a prompt's length is not
 * known when its beginning is shared. So a prompt shorter than a slice lies on GPU 0 whole, and so
 * does every other: the interleaved variant takes block i to GPU i mod G instead, which needs a
 * prompt of no more than G blocks to use all GPUs.
 *
 * A slice need not be a multiple of the block; a block belongs where its first token does.
 */
#include "shard.h"

static void place(struct kvt_shards *s, const struct kvt_shard_site *site, uint8_t *gpu)
{
    gpu[0] = (uint8_t)(s->config.interleaved ? site->index % s->config.gpus
                                             : kvt_shard_slice(s, site->index));
}

extern const struct kvt_shard_ops kvt_shard_horizontal;
const struct kvt_shard_ops kvt_shard_horizontal = {
    .name = "horizontal",
    .source = "context parallelism by ranges; interleaved: by block, as in DistAttention "
              "(arXiv 2401.02669)",
    .splits = KVT_SPLIT_SEQUENCE,
    .sliced = true,
    .divide = kvt_shard_divide_whole,
    .place = place,
};
