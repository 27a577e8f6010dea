/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_hybrid.c - by layer or by position, whichever GPU is less busy with updates.
 *
 * A layer has a GPU, l mod G, and a position has one, (position / slice) mod G. A shard (layers that
 * are equal modulo G, of one block) goes to the one of the two that had fewer *recent updates*; if
 * they are equal, to the layer's.
 *
 * An update is a shard stored, and counts as many as it has layers, on each GPU that gets a copy.
 * Recent: the counts of all GPUs are halved each time that recent_blocks blocks were stored, so an
 * update counts 1 at first, and after n * recent_blocks blocks 2^-n of that (rounded down, all
 * together). The count takes no clock: an idle hour makes no update old, the next updates do.
 *
 * The choice cannot be found again later, hence it is remembered, a byte per shard.
 */
#include "shard.h"

static void count_block(struct kvt_shards *s)
{
    if (s->config.recent_blocks == UINT64_MAX ||
        ++s->since_halving_blocks < s->config.recent_blocks)
        return;
    s->since_halving_blocks = 0;
    for (uint32_t g = 0; g < s->config.gpus; g++)
        s->recent[g] /= 2;
}

/* With one copy only the position's GPU is looked at again and again: its count stays at hand. */
static void place_once(struct kvt_shards *s, uint32_t by_position, uint8_t *gpu)
{
    uint64_t here = s->recent[by_position];
    for (uint32_t k = 0; k < s->n; k++) {
        const uint64_t there = s->recent[k];
        if (k == by_position || here < there) {
            gpu[k] = (uint8_t)by_position;
            here += s->weight[k];
        } else {
            gpu[k] = (uint8_t)k;
            s->recent[k] = there + s->weight[k];
        }
    }
    s->recent[by_position] = here;
}

static inline void place_shard(struct kvt_shards *s, uint32_t by_position, uint32_t k, uint8_t *gpu)
{
    const uint32_t g = s->recent[by_position] < s->recent[k] ? by_position : k;
    gpu[k] = (uint8_t)g;
    for (uint32_t j = 0; j < s->copies; j++)
        s->recent[kvt_shard_copy(s, g, j)] += s->weight[k];
}

static void place_copies(struct kvt_shards *s, uint32_t by_position, uint8_t *gpu)
{
    for (uint32_t k = 0; k < s->n; k++)
        place_shard(s, by_position, k, gpu);
}

static void place(struct kvt_shards *s, const struct kvt_shard_site *site, uint8_t *gpu)
{
    const uint32_t by_position = kvt_shard_slice(s, site->index);
    if (s->copies == 1)
        place_once(s, by_position, gpu);
    else
        place_copies(s, by_position, gpu);
    count_block(s);
}

static void replace(struct kvt_shards *s, const struct kvt_shard_site *site, const bool *missing,
                    uint8_t *gpu)
{
    const uint32_t by_position = kvt_shard_slice(s, site->index);
    for (uint32_t k = 0; k < s->n; k++)
        if (missing[k])
            place_shard(s, by_position, k, gpu);
    count_block(s);
}

extern const struct kvt_shard_ops kvt_shard_hybrid;
const struct kvt_shard_ops kvt_shard_hybrid = {
    .name = "hybrid",
    .source = "layer mod G or slice mod G, by recent updates (\"Infinity\")",
    .splits = KVT_SPLIT_SEQUENCE | KVT_SPLIT_LAYER,
    .remembers = true,
    .sliced = true,
    .divide = kvt_shard_divide_modulo,
    .place = place,
    .replace = replace,
};
