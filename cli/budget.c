/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * budget.c - budget.h.
 *
 * Activations: the widest moment of a layer holds, per token of the batch, residual, normed input,
 * attention output and MLP output (four times the hidden size, on every GPU) and the gate, up and product
 * of the MLP (three times its width, split over the GPUs; experts: as many as a token chose), in bf16.
 * The logits of every request stand beside them in fp32. An upper bound by arithmetic: stacks that fuse
 * need less.
 */
#include "budget.h"

#include <errno.h>
#include <stdio.h>

#include "model.h"

#define GIB             1073741824.0
#define LEAST_KV_TOKENS 16

static double activations_b(const struct catalog_model *m, uint32_t tp, double tokens,
                            double requests)
{
    double width = m->intermediate.number;
    double expert_width =
        m->experts_per_token.number * m->expert_intermediate.number + m->shared_intermediate.number;

    if (m->experts.number > 0 && (expert_width > width || m->dense_layers.number <= 0))
        width = expert_width;
    return tokens * (4 * m->hidden.number + 3 * width / tp) * 2 +
           requests * m->vocabulary.number * 4;
}

int budget_compute(struct budget *b, const struct catalog_gpu *gpu,
                   const struct catalog_model *model, uint32_t tp, double memory_ratio,
                   uint32_t max_batch_tokens, uint32_t max_batch_requests)
{
    double per_token;

    *b = (struct budget){.model = model->name, .gpu = gpu->name, .gpus = tp};
    b->memory_b = gpu->memory_b.number;
    b->free_b = b->memory_b * (1 - memory_ratio);
    b->weights_b = model_weight_b(model) / tp;
    b->runtime_b = gpu->runtime_b.number;
    b->nccl_b = tp > 1 ? catalog_at(&gpu->nccl_b, tp)->number : 0;
    b->activations_b = activations_b(model, tp, max_batch_tokens, max_batch_requests);
    b->kv_b =
        b->memory_b * memory_ratio - b->weights_b - b->runtime_b - b->nccl_b - b->activations_b;
    b->kv_b_per_token = model_kv_b_per_token(model, tp) / tp;
    b->window_kv_b_per_token = model_window_kv_b_per_token(model, tp) / tp;
    b->window_tokens = b->window_kv_b_per_token > 0 ? (uint32_t)model->window_tokens.number : 0;

    per_token = b->kv_b_per_token > 0 ? b->kv_b_per_token : b->window_kv_b_per_token;
    b->request_kv_tokens = b->window_kv_b_per_token * b->window_tokens / per_token;
    if (b->kv_b < LEAST_KV_TOKENS * (b->kv_b_per_token + b->window_kv_b_per_token))
        return -ENOSPC;
    b->kv_tokens = (uint64_t)(b->kv_b / per_token);
    return 0;
}

void budget_complaint(const struct budget *b, char *text, size_t size)
{
    double needed = b->weights_b + b->runtime_b + b->nccl_b + b->activations_b +
                    LEAST_KV_TOKENS * (b->kv_b_per_token + b->window_kv_b_per_token);

    snprintf(text, size,
             "expected a model that fits: %s needs %.1f GiB per GPU, %s x %u has %.1f GiB",
             b->model, needed / GIB, b->gpu, b->gpus, (b->memory_b - b->free_b) / GIB);
}

void budget_table(const struct budget *b, char *text, size_t size)
{
    const struct {
        const char *name;
        double b;
    } row[] = {{"weights", b->weights_b},   {"runtime", b->runtime_b},
               {"nccl buffers", b->nccl_b}, {"activations", b->activations_b},
               {"KV pages", b->kv_b},       {"left free", b->free_b}};
    size_t len = 0;

    len += (size_t)snprintf(text, size, "memory of one GPU (%s, %s over %u)      GiB\n", b->gpu,
                            b->model, b->gpus);
    for (size_t i = 0; i < sizeof row / sizeof *row && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "  %-13s %9.2f  %5.1f %%\n", row[i].name,
                                row[i].b / GIB, 100 * row[i].b / b->memory_b);
    if (len < size)
        len += (size_t)snprintf(text + len, size - len, "  %-13s %9.2f  100.0 %%\n", "all",
                                b->memory_b / GIB);
    if (len < size && b->kv_tokens)
        snprintf(text + len, size - len, "KV tokens per engine: %llu at %.0f B per token and GPU\n",
                 (unsigned long long)b->kv_tokens, b->kv_b_per_token);
}
