/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * model.c - model.h: arithmetic from catalogue shapes to bytes and FLOPs.
 *
 * FLOPs count a multiply-add as two. Gated MLPs have three matrices (a peer that counted two came out
 * faster than its memory allows). Attention of one layer costs 4 * heads * head_dim per pair of tokens:
 * scores and weighted values. With MLA prefill decompresses keys and values, 2 * heads * (query_key_dim +
 * value_dim), and decode works on the latent itself, 2 * heads * (latent_dim + latent_value_dim)
 * (DeepSeek-V2, arXiv 2405.04434, section 2.1).
 */
#include "model.h"

#include <errno.h>
#include <stdio.h>

#define GATED_MATRICES 3
#define GPUS_PER_NODE  8
#define ACTIVATION_B   2 /* bf16 */

static bool has_latent(const struct catalog_model *m)
{
    return m->latent_dim.number > 0;
}

static double window_layers(const struct catalog_model *m)
{
    return m->window_tokens.number > 0 ? m->window_layers.number : 0;
}

struct model_params model_params(const struct catalog_model *m)
{
    struct model_params p = {.embedding = m->vocabulary.number * m->hidden.number};

    p.head = m->tied_embeddings.number > 0 ? 0 : p.embedding;
    if (m->experts.number > 0) {
        p.expert = GATED_MATRICES * m->hidden.number * m->expert_intermediate.number;
        p.expert_layers = m->layers.number - m->dense_layers.number;
    }
    p.dense =
        m->params.number - p.embedding - p.head - p.expert * p.expert_layers * m->experts.number;
    if (p.dense < 0)
        p.dense = 0;
    return p;
}

static double attention_params(const struct catalog_model *m)
{
    double hidden = m->hidden.number, heads = m->heads.number;

    if (has_latent(m)) {
        double value_latent = m->latent_value_dim.number;
        double rope = m->latent_dim.number - value_latent;
        double key_dim = m->query_key_dim.number - rope;

        return hidden * m->query_latent_dim.number +
               m->query_latent_dim.number * heads * m->query_key_dim.number +
               hidden * m->latent_dim.number +
               value_latent * heads * (key_dim + m->value_dim.number) +
               heads * m->value_dim.number * hidden;
    }
    return 2 * hidden * (heads + m->kv_heads.number) * m->head_dim.number;
}

double model_shape_params(const struct catalog_model *m)
{
    struct model_params p = model_params(m);
    double hidden = m->hidden.number, moe = p.expert_layers;
    double per_moe_layer = m->experts.number * p.expert +
                           GATED_MATRICES * hidden * m->shared_intermediate.number +
                           hidden * m->experts.number; /* router */

    return p.embedding + p.head + m->layers.number * attention_params(m) + moe * per_moe_layer +
           (m->layers.number - moe) * GATED_MATRICES * hidden * m->intermediate.number;
}

static double expert_bits(const struct catalog_model *m)
{
    return m->expert_weight_bits.text ? m->expert_weight_bits.number : m->weight_bits.number;
}

double model_weight_b(const struct catalog_model *m)
{
    struct model_params p = model_params(m);

    return (p.embedding + p.head + p.dense) * m->weight_bits.number / 8 +
           p.expert * p.expert_layers * m->experts.number * expert_bits(m) / 8;
}

/* Of one layer, all tp GPUs together. */
static double layer_kv_b(const struct catalog_model *m, uint32_t tp)
{
    uint32_t heads = (uint32_t)m->kv_heads.number;
    uint32_t heads_per_gpu = (heads + tp - 1) / tp;

    if (has_latent(m))
        return m->latent_dim.number * m->kv_bits.number / 8 * tp;
    return 2 * m->head_dim.number * m->kv_bits.number / 8 * heads_per_gpu * tp;
}

double model_kv_b_per_token(const struct catalog_model *m, uint32_t tp)
{
    return (m->layers.number - window_layers(m)) * layer_kv_b(m, tp);
}

double model_window_kv_b_per_token(const struct catalog_model *m, uint32_t tp)
{
    return window_layers(m) * layer_kv_b(m, tp);
}

static void fill_model(struct sim_gpu *g, const struct catalog_model *m, uint32_t tp)
{
    struct model_params p = model_params(m);
    double head = m->vocabulary.number * m->hidden.number;
    double local = window_layers(m), global = m->layers.number - local, heads = m->heads.number;
    double prefill = 4 * heads * m->head_dim.number, decode = prefill;

    if (has_latent(m)) {
        prefill = 2 * heads * (m->query_key_dim.number + m->value_dim.number);
        decode = 2 * heads * (m->latent_dim.number + m->latent_value_dim.number);
    }
    g->dense_weight_b = (p.dense + head) * m->weight_bits.number / 8;
    g->expert_weight_b = p.expert * p.expert_layers * expert_bits(m) / 8;
    g->experts = (uint32_t)m->experts.number;
    g->experts_per_token = (uint32_t)m->experts_per_token.number;
    g->linear_flops_per_token =
        2 * (p.dense + m->experts_per_token.number * p.expert * p.expert_layers);
    g->head_flops_per_request = 2 * head;
    g->prefill_flops_per_pair = global * prefill;
    g->prefill_window_flops_per_pair = local * prefill;
    g->decode_flops_per_pair = global * decode;
    g->decode_window_flops_per_pair = local * decode;
    g->kv_b_per_token = model_kv_b_per_token(m, tp);
    g->window_kv_b_per_token = model_window_kv_b_per_token(m, tp);
    g->window_tokens = local > 0 ? (uint32_t)m->window_tokens.number : 0;
    g->collectives = 2 * (uint32_t)m->layers.number; /* after attention and after the MLP */
    g->collective_b_per_token = m->hidden.number * ACTIVATION_B;
}

int model_engine(const struct catalog_gpu *gpu, const struct catalog_model *model,
                 const struct catalog_stack *stack, uint32_t tp, struct sim_gpu *out, char *error,
                 size_t error_size)
{
    bool fp8 = model->weight_bits.number <= 8 && gpu->fp8_flops.text;
    struct sim_gpu g = {.gpus = tp};
    const char *why;

    if (tp == 0 || (uint32_t)model->heads.number % tp != 0) {
        snprintf(error, error_size, "expected a number of GPUs that divides the %.0f heads of %s",
                 model->heads.number, model->name);
        return -EINVAL;
    }
    if (tp > GPUS_PER_NODE && !gpu->inter_node_bps.text) {
        snprintf(error, error_size,
                 "expected at most %d GPUs per engine: %s has no inter_node rate", GPUS_PER_NODE,
                 gpu->name);
        return -EINVAL;
    }
    g.peak_flops = fp8 ? gpu->fp8_flops.number : gpu->bf16_flops.number;
    g.mfu = catalog_at(&gpu->mfu, tp)->number;
    g.mfu_half_tokens = catalog_at(&gpu->mfu_half_tokens, tp)->number;
    g.hbm_bps = gpu->hbm_bps.number;
    g.weight_efficiency = gpu->weight_efficiency.number;
    g.kv_efficiency = gpu->kv_efficiency.number;
    g.collective_latency_ns = gpu->all_reduce_latency_ns.number;
    g.bus_bps = gpu->all_reduce_bps.number;
    if (tp > GPUS_PER_NODE && gpu->inter_node_bps.number < g.bus_bps)
        g.bus_bps = gpu->inter_node_bps.number;
    g.host_ns = catalog_at(&stack->step_ns, tp)->number;
    g.host_ns_per_request = stack->request_ns.number;
    fill_model(&g, model, tp);

    why = sim_gpu_check(&g);
    if (why) {
        snprintf(error, error_size, "expected a usable engine: %s", why);
        return -EINVAL;
    }
    *out = g;
    return 0;
}
