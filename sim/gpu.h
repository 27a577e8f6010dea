/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gpu.h - how long one engine takes for an iteration: a roofline in integer nanoseconds.
 *
 * An iteration processes n tokens: those of its prefill chunks and one per decoding request.
 *
 *      iteration = host + collectives + exchanges + copies + max(compute, bytes)
 *
 *      compute      (linear FLOPs * (n + n0) / n + attention FLOPs) / (gpus * peak * mfu)
 *      bytes        (weights touched) / (gpus * hbm * weight efficiency)
 *                 + (KV read) / (gpus * hbm * kv efficiency)
 *      copies       2 * (KV copied) / (gpus * hbm * kv efficiency): parts of blocks (port.h), before anything is
 *                   computed. Each byte is read and written, and both count against the memory's bandwidth (CUDA C++ Best
 *                   Practices Guide, "Effective Bandwidth Calculation"). Of local layers at most the window. The
 *                   launch of the copy is not counted: microseconds, where a step has milliseconds
 *      exchanges    count * latency + time per token * n, where a sharded context is read in place
 *      collectives  count * (latency + bytes per token * n * 2 (g - 1) / g / bus bandwidth)
 *      host         scheduler, sampling, launches: per iteration and per request in it
 *
 * Attention of a chunk of c tokens after k tokens of context costs c * (k + c / 2) token pairs, in local
 * layers with the context capped at the window. Mixture of experts computes with the experts that each
 * token chose, and streams those that any of the n tokens chose: E * (1 - (1 - k / E)^n) on average.
 *
 * Where contexts are sharded and read in place, the skew of a step (port.h) is added to the context that
 * it attends to: all GPUs wait for the busiest.
 *
 * Time is a whole number of nanoseconds per iteration, and exact over repeats: j repeats of a decode
 * step take, to the nanosecond, as long as j single steps with growing contexts. See gpu.c.
 */
#ifndef SIM_GPU_H
#define SIM_GPU_H

#include "../core/core.h"

/* Batches up to this size have their own entry in the table of touched experts; beyond, all are. */
#define SIM_GPU_EXPERT_TABLE 512

struct sim_gpu {
    /* The GPU, each of `gpus` (the tensor parallel degree of the engine). */
    uint32_t gpus;
    double peak_flops;        /* dense, at the dtype of the matrix products */
    double mfu;               /* share of the peak that long batches reach, in (0, 1] */
    double mfu_half_tokens;   /* n0: linear layers with n tokens reach mfu * n / (n + n0) */
    double hbm_bps;           /* data sheet */
    double weight_efficiency; /* share of hbm_bps reached when streaming weights, in (0, 1] */
    double kv_efficiency;     /* and when reading KV */

    /* The model, summed over the GPUs of the engine. */
    double
        dense_weight_b; /* read by every iteration: attention, dense layers, shared experts, head */
    double expert_weight_b;        /* one expert, summed over the layers that have experts */
    uint32_t experts;              /* routed experts per layer; 0: dense model */
    uint32_t experts_per_token;    /* of those */
    double linear_flops_per_token; /* 2 * active parameters of the layers */
    double head_flops_per_request; /* 2 * hidden * vocabulary: logits of one token per request */
    double
        prefill_flops_per_pair; /* attention per (query, context) token pair: layers that see all */
    double prefill_window_flops_per_pair; /* layers with a sliding window */
    double decode_flops_per_pair;         /* as above; differs where keys are decompressed (MLA) */
    double decode_window_flops_per_pair;
    double kv_b_per_token;        /* KV that grows with the context, replicas under tp included */
    double window_kv_b_per_token; /* KV of layers with a sliding window, per token inside it */
    uint32_t window_tokens;       /* 0: no such layers */

    /* Between the GPUs. With gpus == 1 nothing of this costs time. */
    uint32_t collectives; /* all-reduces per iteration: two per layer */
    double collective_latency_ns;
    double collective_b_per_token; /* hidden size * bytes per activation */
    double bus_bps;                /* all-reduce bus bandwidth as nccl-tests defines it */

    /* Where a sharded context is read in place (fabric.h); else 0. */
    uint32_t exchanges; /* per iteration: two per layer */
    double exchange_latency_ns;
    double exchange_ns_per_token; /* of all of them */
    double exchange_b_per_token;  /* and the bytes behind that (fabric.h), for the links' sake */

    /* The serving stack on the host. */
    double host_ns;
    double host_ns_per_request; /* in the iteration: one per chunk, one per decoding request */

    /* private: written by sim_gpu_prepare. Nanoseconds in units of 2^-28. */
    uint64_t linear_ns, linear_fill_ns, head_ns;
    uint64_t half_pair_ns, half_window_pair_ns; /* prefill, per half pair */
    uint64_t decode_pair_ns, decode_window_pair_ns;
    uint64_t kv_ns, window_kv_ns;
    uint64_t collective_token_ns, request_ns;
    uint64_t fixed_ns;                            /* host and collective latency */
    uint64_t weight_ns[SIM_GPU_EXPERT_TABLE + 1]; /* by tokens in the iteration */
};

/* Returns NULL when the numbers above are usable, else one sentence (static) that says what is not. */
const char *sim_gpu_check(const struct sim_gpu *gpu);

/* Derives the private half. Call after every change of a number, before anything below. */
void sim_gpu_prepare(struct sim_gpu *gpu);

/* Exact time of the first `iterations` (1 .. step->repeat) iterations of a step. O(log iterations), never
 * 0, saturates at KVT_NEVER. Pure. */
kvt_ns sim_gpu_step_ns(const struct sim_gpu *gpu, const struct kvt_step *step, uint32_t iterations);

/* Of each iteration of a step, what bytes between its GPUs take: collectives and exchanges without their
 * latencies. Rounded down. */
kvt_ns sim_gpu_between_ns(const struct sim_gpu *gpu, const struct kvt_step *step);

/* The smallest j >= 1 whose first j iterations take at least elapsed_ns: the iteration that is under way
 * when elapsed_ns have passed. At most step->repeat. */
uint32_t sim_gpu_iterations_by(const struct sim_gpu *gpu, const struct kvt_step *step,
                               kvt_ns elapsed_ns);

/* One step with a single chunk: new_tokens after past_tokens. */
kvt_ns sim_gpu_chunk_ns(const struct sim_gpu *gpu, uint32_t past_tokens, uint32_t new_tokens);

/* Prefill on an idle engine in chunks of at most max_batch_tokens (0: in one piece). */
kvt_ns sim_gpu_prefill_ns(const struct sim_gpu *gpu, uint32_t past_tokens, uint32_t new_tokens,
                          uint32_t max_batch_tokens);

/* One decode iteration of `requests` requests with context_tokens each. */
kvt_ns sim_gpu_decode_ns(const struct sim_gpu *gpu, uint32_t requests, uint32_t context_tokens);

/* Fits core's three numbers to sim_gpu_prefill_ns by least squares of the relative error over contexts
 * and lengths up to 128 Ki tokens. All three are >= 0. */
void sim_gpu_prefill_cost(const struct sim_gpu *gpu, uint32_t max_batch_tokens,
                          struct kvt_prefill_cost *cost);

#endif
