/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * model.h - what a catalogue model weighs, caches and computes; and the engine it makes on GPUs.
 *
 * Parameters divide into embedding, head, experts, and the rest of the layers ("dense": attention, norms,
 * routers, shared experts, dense MLPs). The total is the published one, experts, embedding and head come
 * from their shapes, dense is what remains.
 *
 *      KV bytes per token = 2 * layers * kv_heads * head_dim * bytes      (keys and values)
 *      with MLA           = layers * latent_dim * bytes                   (one compressed latent)
 *
 * Tensor parallelism over g GPUs splits heads. A KV head that g does not divide further is copied, and a
 * latent is copied to every GPU: all GPUs together then hold g * ceil(kv_heads / g) / kv_heads times the
 * bytes, with MLA g times. Layers with a sliding window hold at most `window` tokens per request.
 */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "catalog.h"
#include "../sim/gpu.h"

/* Parameters by kind; each is a count. */
struct model_params {
    double embedding, head; /* head: 0 when tied, though it computes all the same */
    double expert;          /* one expert of one layer */
    double expert_layers;   /* layers that have experts */
    double dense;           /* everything else in the layers */
};

struct model_params model_params(const struct catalog_model *m);

/* Parameters as the shapes give them: for checking the published total. */
double model_shape_params(const struct catalog_model *m);

/* Bytes of all weights, one copy. */
double model_weight_b(const struct catalog_model *m);

/* KV per token that grows with the context, all tp GPUs together, replicas included. */
double model_kv_b_per_token(const struct catalog_model *m, uint32_t tp);
/* KV per token in the layers with a sliding window; a request holds it for at most `window` tokens. */
double model_window_kv_b_per_token(const struct catalog_model *m, uint32_t tp);

/* Fills *out (not prepared) with the compute model of one engine. Returns 0, or -EINVAL with "expected .."
 * in error: a tp that does not divide the heads, or that no catalogue value covers. */
KVT_MUST_CHECK int model_engine(const struct catalog_gpu *gpu, const struct catalog_model *model,
                                const struct catalog_stack *stack, uint32_t tp, struct sim_gpu *out,
                                char *error, size_t error_size);

#endif
