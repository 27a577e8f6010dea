/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard.h - on which GPUs of an engine the KV of a block lies: one table of functions, one file per
 * policy.
 *
 * An engine is a group of G GPUs that serves one copy of the model. A block is cut into *shards*:
 * the parts that a policy may place apart, each with a weight. What has the same place under every
 * circumstance is one shard, so that a block's placement is at most one byte per group of layers.
 *
 *      policy        a shard is                              lies on                      shards
 *      horizontal    the whole block                         (position / slice) mod G     1
 *       interleaved  the whole block                         block number mod G           1
 *      vertical      contiguous layers                       layer * G / L                G
 *       interleaved  the layers that are equal modulo G      layer mod G                  G
 *      hybrid        the layers that are equal modulo G      whichever of layer mod G     min(L, G)
 *                                                            and (position / slice) mod G
 *                                                            had fewer recent updates
 *      head          KV heads                                as tensor parallelism does   min(heads, G)
 *      single        the whole block                         hash of its prefix           1
 *
 * All but `head` divide a block by layers: the weight of a shard is its number of layers, and the
 * sum of the weights is L. `head` divides it by heads: each shard weighs 1, whatever the layer.
 *
 * Each shard lies on `copies` GPUs, all distinct: on its first one, g, and on g + j * stride mod G.
 * stride is G / replicas, so that copies are as far apart as they can be, and on different nodes
 * where an engine has several. Where `head` has fewer heads than GPUs (or, with latent attention,
 * none to divide by), G / heads neighbours need the same head to compute with, and hold it.
 *
 *   (S1) Every (layer, position, head) of a block lies on exactly `copies` distinct GPUs.
 *   (S2) A placement depends on the block, the configuration and, where a policy `remembers`, on
 *        the placements before it; never on time, addresses or chance.
 *   (S3) What a policy does not remember can be asked again at any time, with the same answer.
 *
 * To add a policy: one file core/shard_<name>.c with its table, and one line in shard.c. Scenario
 * files, messages and the tests of all policies follow.
 */
#ifndef KVT_SHARD_H
#define KVT_SHARD_H

#include "types.h"

/* GPUs of one engine: a shard's place is one byte. */
enum { KVT_SHARD_GPUS = 256, KVT_SHARD_LAYERS = 4096 };

/* What a policy divides the context by; what reading in place costs follows from it. */
enum kvt_shard_split { KVT_SPLIT_SEQUENCE = 1, KVT_SPLIT_LAYER = 2, KVT_SPLIT_HEAD = 4 };

/* How a context is read. */
enum kvt_shard_access {
    KVT_ACCESS_GATHER,  /* shards are copied to where the request is computed, then concatenated */
    KVT_ACCESS_IN_PLACE /* attention is computed where the shards lie */
};

struct kvt_shard_ops;

struct kvt_shard_config {
    const struct kvt_shard_ops *policy; /* NULL: not sharded; nothing below is looked at */
    enum kvt_shard_access access;
    uint32_t gpus;         /* 1 .. KVT_SHARD_GPUS */
    uint32_t layers;       /* 1 .. KVT_SHARD_LAYERS */
    uint32_t kv_heads;     /* 0: a latent, which has no heads */
    uint32_t block_tokens; /* >= 1 */
    uint32_t slice_tokens; /* >= 1 */
    uint32_t replicas;     /* 1 .. gpus */
    bool interleaved;      /* see the table above; horizontal and vertical only */
    /* hybrid: after this many blocks an update counts half. UINT64_MAX: as long as the run */
    uint64_t recent_blocks;
    bool rereplicate; /* copies that were lost with a GPU are made anew (recopy.c) */
};

/* Which block: the key that its chain begins with, and its place in the chain, from 0. */
struct kvt_shard_site {
    kvt_key prefix;
    uint32_t index;
};

/* A policy at work on one engine. */
struct kvt_shards {
    struct kvt_shard_config config;
    uint32_t n;          /* shards of a block */
    uint32_t weight_sum; /* of a block, one copy */
    uint32_t copies, stride;
    uint16_t weight[KVT_SHARD_GPUS]; /* of each shard */
    /* hybrid: updates of each GPU, in weights, halved together every recent_blocks blocks */
    uint64_t recent[KVT_SHARD_GPUS];
    uint64_t since_halving_blocks;
};

struct kvt_shard_ops {
    const char *name;   /* as in scenario files */
    const char *source; /* who defines it, in one line */
    unsigned splits;    /* of enum kvt_shard_split */
    bool remembers;     /* a placement cannot be asked again: (S3) */
    bool sliced;        /* slice_tokens matters */
    /* NULL, or one sentence (static): what of the configuration the policy cannot do. */
    const char *(*check)(const struct kvt_shard_config *config);
    /* Writes n and weight[]. */
    void (*divide)(struct kvt_shards *s);
    /* Writes the first GPU of each shard of a block: gpu[0 .. n). May change recent[]. */
    void (*place)(struct kvt_shards *s, const struct kvt_shard_site *site, uint8_t *gpu);
    /* Of policies that remember: the same for those shards of missing[0 .. n) only; the others stay. */
    void (*replace)(struct kvt_shards *s, const struct kvt_shard_site *site, const bool *missing,
                    uint8_t *gpu);
};

/* Whether it is known of each copy of a shard if it was lost with its GPU. Only where contexts are gathered, each from
 * copies that are chosen then: who reads in place goes on with the copy it began with, and by head each GPU
 * computes with its own. There a spare GPU is taken to hold all that the one before it held, at once. */
static inline bool kvt_shard_marks(const struct kvt_shard_config *c)
{
    return c->replicas > 1 && c->access == KVT_ACCESS_GATHER && c->policy->splits != KVT_SPLIT_HEAD;
}
/* Bytes that this takes in a row: a bit per GPU. */
static inline uint32_t kvt_shard_marks_b(const struct kvt_shard_config *c)
{
    return kvt_shard_marks(c) ? (c->gpus + 7) / 8 : 0;
}

/* All policies in the order in which people are told of them; NULL-terminated. */
extern const struct kvt_shard_ops *const kvt_shard_all[];

/* By name; NULL when there is none. */
const struct kvt_shard_ops *kvt_shard_named(const char *name);

/* NULL when the configuration is usable (or not sharded), else one sentence (static). */
const char *kvt_shard_check(const struct kvt_shard_config *config);

/* config is checked, sharded, and copied. */
void kvt_shards_init(struct kvt_shards *s, const struct kvt_shard_config *config);

/* Places a block that is about to be stored: gpu[0 .. s->n). An update, for policies that count. */
static inline void kvt_shards_place(struct kvt_shards *s, const struct kvt_shard_site *site,
                                    uint8_t *gpu)
{
    s->config.policy->place(s, site, gpu);
}

/* Places those shards of a block that are missing. The others' GPUs stay as they are. */
void kvt_shards_replace(struct kvt_shards *s, const struct kvt_shard_site *site,
                        const bool *missing, uint8_t *gpu);

/* The GPU of copy j (0 .. copies - 1) of a shard whose first one is gpu. */
static inline uint32_t kvt_shard_copy(const struct kvt_shards *s, uint32_t gpu, uint32_t j)
{
    return j ? (gpu + j * s->stride) % s->config.gpus
             : gpu; /* few have copies, and division is slow */
}

/* Two configurations of one policy and one model, before and after the number of GPUs changes, cut layers
 * differently. A *joint* shard is what both keep together: the layers that are in shard `of[0]` of the one and
 * `of[1]` of the other. */
struct kvt_shard_joint {
    struct kvt_shards shape[2]; /* before, after */
    uint8_t of[2][KVT_SHARD_GPUS];
    bool after; /* which of the two places blocks now */
};

/* NULL when an engine can go from one configuration to the other, else one sentence (static). Both are checked. */
const char *kvt_shard_join_check(const struct kvt_shard_config *before,
                                 const struct kvt_shard_config *after);

/* joint: as above. shards: as large as the larger of both, cut into joint shards; for sums over rows, not for placing. */
void kvt_shards_join(struct kvt_shard_joint *joint, struct kvt_shards *shards,
                     const struct kvt_shard_config *before, const struct kvt_shard_config *after);

/* The shard that holds `head` (0 .. max(kv_heads, 1) - 1) of `layer`. */
uint32_t kvt_shard_of(const struct kvt_shards *s, uint32_t layer, uint32_t head);

/* ---- What several policies share --------------------------------------------------------------- */

/* Layers that are equal modulo G: min(L, G) shards, shard k of layers k, k + G, ... */
void kvt_shard_divide_modulo(struct kvt_shards *s);
/* One shard with all layers. */
void kvt_shard_divide_whole(struct kvt_shards *s);
/* (position / slice) mod G of the block's first token. */
uint32_t kvt_shard_slice(const struct kvt_shards *s, uint32_t index);

#endif
