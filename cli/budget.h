/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * budget.h - where the memory of one GPU goes, and how many tokens of KV are left for an engine.
 *
 *      memory * memory_ratio           what the serving stack may take
 *        - weights / tp                all experts included
 *        - runtime                     context, graphs, fragmentation
 *        - nccl                        communication buffers
 *        - activations                 of one full batch: see budget.c
 *        = KV pages
 *      memory * (1 - memory_ratio)     free
 */
#ifndef CLI_BUDGET_H
#define CLI_BUDGET_H

#include "catalog.h"

struct budget {
    const char *model, *gpu; /* names, borrowed from the catalogue */
    uint32_t gpus;
    /* Per GPU, bytes. */
    double memory_b, weights_b, runtime_b, nccl_b, activations_b;
    double kv_b;                  /* for KV pages; negative when the model does not fit */
    double free_b;                /* left alone by the stack */
    double kv_b_per_token;        /* of this GPU, growing with the context */
    double window_kv_b_per_token; /* of this GPU, layers with a sliding window */
    /* Of the engine. */
    uint32_t window_tokens;
    uint64_t kv_tokens; /* context tokens that fit, when no request needs a window */
    double
        request_kv_tokens; /* a full window of one request, in context tokens: subtract per request */
};

/* Returns 0 and fills *b; or -ENOSPC, *b filled too, when weights and overheads leave no room for the KV
 * of 16 tokens. */
KVT_MUST_CHECK int budget_compute(struct budget *b, const struct catalog_gpu *gpu,
                                  const struct catalog_model *model, uint32_t tp,
                                  double memory_ratio, uint32_t max_batch_tokens,
                                  uint32_t max_batch_requests);

/* "expected a model that fits: llama-3.1-405b needs 101.5 GiB per GPU, a100-80g-sxm x 8 has 72.0 GiB". */
void budget_complaint(const struct budget *b, char *text, size_t size);

/* The table, several lines, each ended. Cut at size. */
void budget_table(const struct budget *b, char *text, size_t size);

#endif
