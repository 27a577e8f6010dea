/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_join.c - one way to cut a block for two numbers of GPUs (shard.h).
 *
 * While an engine goes from G to G' GPUs some of its blocks lie by the one rule and some by the other. Their
 * rows have to be added up together, so both are written down in joint shards: layers that neither rule takes
 * apart. Contiguous layers have at most G + G' - 1 of them, layers modulo G as many as the least common multiple, and no
 * division more than there are layers. What is not cut by layers is one shard before and after.
 */
#include "shard.h"

#include <assert.h>
#include <string.h>

/* Number of the joint shard of these two, which is added if it is new; KVT_SHARD_GPUS: one too many. */
static uint32_t joint_of(struct kvt_shard_joint *j, uint32_t *n, uint8_t before, uint8_t after)
{
    for (uint32_t k = 0; k < *n; k++)
        if (j->of[0][k] == before && j->of[1][k] == after)
            return k;
    if (*n == KVT_SHARD_GPUS)
        return KVT_SHARD_GPUS;
    j->of[0][*n] = before;
    j->of[1][*n] = after;
    return (*n)++;
}

/* Cuts all layers. False when that takes too many shards. weight may be NULL. */
static bool cut(struct kvt_shard_joint *j, uint32_t *n, uint16_t *weight)
{
    *n = 0;
    for (uint32_t layer = 0; layer < j->shape[0].config.layers; layer++) {
        const uint32_t k = joint_of(j, n, (uint8_t)kvt_shard_of(&j->shape[0], layer, 0),
                                    (uint8_t)kvt_shard_of(&j->shape[1], layer, 0));
        if (k == KVT_SHARD_GPUS)
            return false;
        if (weight)
            weight[k]++;
    }
    return true;
}

const char *kvt_shard_join_check(const struct kvt_shard_config *before,
                                 const struct kvt_shard_config *after)
{
    struct kvt_shard_joint j;
    uint32_t n;
    if (after->gpus == before->gpus || after->gpus < 2 || before->gpus < 2)
        return "an engine must have two GPUs at least before and after, and another number of them";
    if (before->policy->splits == KVT_SPLIT_HEAD)
        return "heads lie where they are computed with, and are not moved by themselves";
    if (before->access != KVT_ACCESS_GATHER)
        return "an engine whose number of GPUs changes must gather its contexts";
    if (before->replicas != 1)
        return "an engine whose number of GPUs changes can have one copy of each shard";
    if (before->policy != after->policy || before->layers != after->layers ||
        before->replicas != after->replicas || before->access != after->access)
        return "only the number of GPUs can change";
    kvt_shards_init(&j.shape[0], before);
    kvt_shards_init(&j.shape[1], after);
    return cut(&j, &n, NULL) ? NULL
                             : "both numbers of GPUs together cut layers into too many shards";
}

void kvt_shards_join(struct kvt_shard_joint *joint, struct kvt_shards *shards,
                     const struct kvt_shard_config *before, const struct kvt_shard_config *after)
{
    assert(!kvt_shard_join_check(before, after));
    memset(joint, 0, sizeof *joint);
    kvt_shards_init(&joint->shape[0], before);
    kvt_shards_init(&joint->shape[1], after);
    *shards = joint->shape[before->gpus < after->gpus];
    memset(shards->weight, 0, sizeof shards->weight);
    (void)cut(joint, &shards->n, shards->weight);
}
