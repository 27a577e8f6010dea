/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gpu.c - the roofline of gpu.h in fixed point.
 *
 * sim_gpu_prepare turns every rate into "nanoseconds per unit", an integer in units of 2^-28 ns. From
 * there on no floating point is left, and the time of iteration i of a step is
 *
 *      t(i) = whole + floor(max(compute.start + i * compute.slope, bytes.start + i * bytes.slope) / 2^28)
 *
 * because the context that decoding requests attend to grows by a constant per iteration (port.h). A
 * single step whose context has already grown by i has the same start, to the last bit: that is why
 * repeats are exact. Both lines rise, so they cross at most once: the sum over i splits there into two
 * sums of floor((a + b i) / m), each found in O(log) by the Euclid-like recursion that counts lattice
 * points under a line (Graham, Knuth, Patashnik, Concrete Mathematics, section 3.5; the form used is
 * known as floor_sum). Rounding to 2^-28 ns costs less than 1e-6 of any coefficient that matters.
 *
 *   (G1) t(i) >= 1, and t(i) <= t(i + 1).
 *   (G2) step_ns(s, j) is the sum of j single steps, exactly.
 *   (G3) An iteration never takes less than streaming its weights and KV at the data sheet's bandwidth.
 *
 * Left to others: what a chunk or a batch is (core/), where the constants come from (scenarios/catalog/).
 */
#include "gpu.h"

#include <assert.h>
#include <math.h>

#define FRACTION_BITS 28
#define ONE           ((uint64_t)1 << FRACTION_BITS)

__extension__ typedef unsigned __int128 wide;

/* start + i * slope, in units of 2^-28 ns. */
struct line {
    wide start, slope;
};

/* A step in the form t(i) of the head comment. */
struct cost {
    wide whole_ns;
    struct line compute, bytes;
};

const char *sim_gpu_check(const struct sim_gpu *g)
{
    if (g->gpus == 0)
        return "an engine needs at least one gpu";
    if (!(g->peak_flops > 0 && g->hbm_bps > 0))
        return "peak FLOP/s and memory bandwidth must be above 0";
    if (!(g->mfu > 0 && g->mfu <= 1 && g->weight_efficiency > 0 && g->weight_efficiency <= 1 &&
          g->kv_efficiency > 0 && g->kv_efficiency <= 1))
        return "mfu and efficiencies must be above 0 and at most 1";
    if (!(g->mfu_half_tokens >= 0 && g->dense_weight_b >= 0 && g->expert_weight_b >= 0 &&
          g->linear_flops_per_token >= 0 && g->head_flops_per_request >= 0 &&
          g->prefill_flops_per_pair >= 0 && g->prefill_window_flops_per_pair >= 0 &&
          g->decode_flops_per_pair >= 0 && g->decode_window_flops_per_pair >= 0 &&
          g->kv_b_per_token >= 0 && g->window_kv_b_per_token >= 0 &&
          g->collective_latency_ns >= 0 && g->collective_b_per_token >= 0 && g->host_ns >= 0 &&
          g->host_ns_per_request >= 0 && g->exchange_latency_ns >= 0 &&
          g->exchange_ns_per_token >= 0))
        return "sizes, work and times must not be negative";
    if (g->experts_per_token > g->experts)
        return "experts per token must be at most the number of experts";
    if (g->gpus > 1 && g->collectives > 0 && !(g->bus_bps > 0))
        return "more than one gpu needs a bandwidth between them";
    return NULL;
}

static uint64_t fixed(double ns)
{
    double scaled = ns * (double)ONE;

    if (!(scaled > 0))
        return 0;
    return scaled >= 0x1p63 ? (uint64_t)1 << 63 : (uint64_t)llround(scaled);
}

static double seconds_to_ns(double s)
{
    return s * 1e9;
}

/* Weights touched by 0 .. SIM_GPU_EXPERT_TABLE tokens. Powers by repeated product: no libm. */
static void prepare_weights(struct sim_gpu *g)
{
    double bps = g->gpus * g->hbm_bps * g->weight_efficiency;
    double missed = 1; /* chance that an expert is chosen by none of n tokens */

    for (uint32_t n = 0; n <= SIM_GPU_EXPERT_TABLE; n++) {
        double touched = n == SIM_GPU_EXPERT_TABLE ? g->experts : g->experts * (1 - missed);

        g->weight_ns[n] =
            fixed(seconds_to_ns((g->dense_weight_b + touched * g->expert_weight_b) / bps));
        if (g->experts)
            missed *= 1 - (double)g->experts_per_token / g->experts;
    }
}

void sim_gpu_prepare(struct sim_gpu *g)
{
    double flops = g->gpus * g->peak_flops * g->mfu;
    double kv_bps = g->gpus * g->hbm_bps * g->kv_efficiency;
    bool alone = g->gpus == 1 || g->collectives == 0;

    assert(sim_gpu_check(g) == NULL);
    g->linear_ns = fixed(seconds_to_ns(g->linear_flops_per_token / flops));
    g->linear_fill_ns =
        fixed(seconds_to_ns(g->linear_flops_per_token * g->mfu_half_tokens / flops));
    g->head_ns = fixed(seconds_to_ns(g->head_flops_per_request / flops));
    g->half_pair_ns = fixed(seconds_to_ns(g->prefill_flops_per_pair / flops / 2));
    g->half_window_pair_ns = fixed(seconds_to_ns(g->prefill_window_flops_per_pair / flops / 2));
    g->decode_pair_ns = fixed(seconds_to_ns(g->decode_flops_per_pair / flops));
    g->decode_window_pair_ns = fixed(seconds_to_ns(g->decode_window_flops_per_pair / flops));
    g->kv_ns = fixed(seconds_to_ns(g->kv_b_per_token / kv_bps));
    g->window_kv_ns = fixed(seconds_to_ns(g->window_kv_b_per_token / kv_bps));
    g->request_ns = fixed(g->host_ns_per_request);
    g->fixed_ns = fixed(g->host_ns + (alone ? 0 : g->collectives * g->collective_latency_ns) +
                        g->exchanges * g->exchange_latency_ns);
    /* A ring moves 2 (g - 1) / g of the data over each GPU's link (nccl-tests, PERFORMANCE.md). */
    g->collective_token_ns = alone
                                 ? 0
                                 : fixed(seconds_to_ns(g->collectives * g->collective_b_per_token *
                                                       2 * (g->gpus - 1) / g->gpus / g->bus_bps));
    g->collective_token_ns += fixed(g->exchange_ns_per_token);
    prepare_weights(g);
}

/* Token pairs, doubled to stay whole, of new tokens after past ones: new * (2 past + new). */
static wide half_pairs(uint64_t past, uint64_t new_tokens)
{
    return (wide)new_tokens * (2 * past + new_tokens);
}

/* The same where no token sees more than the window. */
static wide half_window_pairs(uint64_t past, uint64_t new_tokens, uint64_t window)
{
    uint64_t room = past < window ? window - past : 0;
    uint64_t growing = new_tokens < room ? new_tokens : room;

    return half_pairs(past, growing) + (wide)(new_tokens - growing) * 2 * window;
}

static void add_chunk(const struct sim_gpu *g, const struct kvt_chunk *c, uint64_t skew_tokens,
                      struct cost *cost)
{
    const uint64_t past_tokens = c->past_tokens + skew_tokens;

    cost->compute.start += g->half_pair_ns * half_pairs(past_tokens, c->new_tokens);
    cost->bytes.start += (wide)g->kv_ns * (past_tokens + c->new_tokens);
    if (g->window_tokens) {
        uint32_t past = c->past_tokens < g->window_tokens ? c->past_tokens : g->window_tokens;

        cost->compute.start += g->half_window_pair_ns *
                               half_window_pairs(c->past_tokens, c->new_tokens, g->window_tokens);
        cost->bytes.start += (wide)g->window_kv_ns * ((uint64_t)past + c->new_tokens);
    }
}

/* Read and written. */
static wide copy_ns(const struct sim_gpu *g, const struct kvt_step *s)
{
    wide ns = 0;

    for (uint32_t i = 0; i < s->n_copies; i++) {
        const uint32_t tokens = s->copies[i].tokens;

        ns += (wide)g->kv_ns * 2 * tokens;
        if (g->window_tokens)
            ns +=
                (wide)g->window_kv_ns * 2 * (tokens < g->window_tokens ? tokens : g->window_tokens);
    }
    return ns;
}

static struct cost cost_of(const struct sim_gpu *g, const struct kvt_step *s)
{
    struct cost cost = {0};
    uint64_t tokens = s->n_decode;
    uint64_t requests = (uint64_t)s->n_decode + s->n_chunks;
    const uint64_t decode_tokens = s->decode_tokens + s->decode_skew_tokens;

    for (uint32_t i = 0; i < s->n_chunks; i++) {
        tokens += s->chunks[i].new_tokens;
        add_chunk(g, &s->chunks[i], s->chunk_skew_tokens ? s->chunk_skew_tokens[i] : 0, &cost);
    }
    cost.whole_ns = (g->fixed_ns + (wide)g->collective_token_ns * tokens +
                     (wide)g->request_ns * requests + copy_ns(g, s)) >>
                    FRACTION_BITS;

    cost.compute.start += (wide)g->linear_ns * tokens + g->linear_fill_ns +
                          (wide)g->head_ns * requests + (wide)g->decode_pair_ns * decode_tokens;
    cost.compute.slope = (wide)g->decode_pair_ns * s->n_decode;
    cost.bytes.start +=
        g->weight_ns[tokens < SIM_GPU_EXPERT_TABLE ? tokens : SIM_GPU_EXPERT_TABLE] +
        (wide)g->kv_ns * decode_tokens;
    cost.bytes.slope = (wide)g->kv_ns * s->n_decode;
    if (g->window_tokens) {
        cost.compute.start += (wide)g->decode_window_pair_ns * s->window_tokens;
        cost.compute.slope += (wide)g->decode_window_pair_ns * s->n_window_growing;
        cost.bytes.start += (wide)g->window_kv_ns * s->window_tokens;
        cost.bytes.slope += (wide)g->window_kv_ns * s->n_window_growing;
    }
    /* (G1): bodies of less than a nanosecond occur only in toy models. */
    if (cost.whole_ns == 0)
        cost.whole_ns = 1;
    return cost;
}

/* Sum of floor((start + i * slope) / 2^28) over i in [0, n). Each round swaps the roles of slope and
 * modulus, as Euclid's algorithm does; after the first one everything fits in 64 bits. */
static wide floor_sum(struct line line, uint32_t n)
{
    wide sum = (wide)n * (line.start >> FRACTION_BITS) +
               (wide)n * (n - (uint64_t)1) / 2 * (line.slope >> FRACTION_BITS);
    uint64_t a = (uint64_t)line.slope & (ONE - 1), b = (uint64_t)line.start & (ONE - 1);
    uint64_t m = ONE, count = n;

    for (;;) {
        uint64_t top = a * count + b; /* < 2^28 * 2^32 + 2^28 */
        uint64_t old = m;

        if (top < m)
            return sum;
        /* Count columns instead of rows: `count` becomes the height of the line's end. */
        count = top / m;
        b = top % m;
        m = a;
        a = old;
        sum += (wide)count * (count - 1) / 2 * (a / m) + (wide)count * (b / m);
        a %= m;
        b %= m;
    }
}

static wide line_at(const struct line *line, uint32_t i)
{
    return line->start + line->slope * i;
}

static wide cost_at(const struct cost *c, uint32_t i)
{
    wide compute = line_at(&c->compute, i), bytes = line_at(&c->bytes, i);

    return c->whole_ns + ((compute > bytes ? compute : bytes) >> FRACTION_BITS);
}

/* Sum of t(i) over [0, n), n >= 1. */
static wide cost_sum(const struct cost *c, uint32_t n)
{
    const struct line *first = &c->compute, *last = &c->compute;
    struct line tail;
    uint32_t split;

    if (line_at(&c->compute, 0) < line_at(&c->bytes, 0))
        first = &c->bytes;
    if (line_at(&c->compute, n - 1) < line_at(&c->bytes, n - 1))
        last = &c->bytes;
    if (first == last)
        return n * c->whole_ns + floor_sum(*first, n);

    /* `last` starts below and is steeper: from split on it is at least as high. */
    split = (uint32_t)((first->start - last->start + (last->slope - first->slope) - 1) /
                       (last->slope - first->slope));
    tail = *last;
    tail.start += tail.slope * split;
    return n * c->whole_ns + floor_sum(*first, split) + floor_sum(tail, n - split);
}

static kvt_ns saturate(wide ns)
{
    return ns >= KVT_NEVER ? KVT_NEVER : (kvt_ns)ns;
}

kvt_ns sim_gpu_step_ns(const struct sim_gpu *g, const struct kvt_step *s, uint32_t iterations)
{
    struct cost cost = cost_of(g, s);

    assert(iterations >= 1 && iterations <= s->repeat);
    assert(s->repeat == 1 || s->n_chunks == 0);
    return saturate(iterations == 1 ? cost_at(&cost, 0) : cost_sum(&cost, iterations));
}

kvt_ns sim_gpu_between_ns(const struct sim_gpu *g, const struct kvt_step *s)
{
    uint64_t tokens = s->n_decode;

    for (uint32_t i = 0; i < s->n_chunks; i++)
        tokens += s->chunks[i].new_tokens;
    return saturate(((wide)g->collective_token_ns * tokens) >> FRACTION_BITS);
}

uint32_t sim_gpu_iterations_by(const struct sim_gpu *g, const struct kvt_step *s, kvt_ns elapsed_ns)
{
    struct cost cost = cost_of(g, s);
    wide first = cost_at(&cost, 0), last = cost_at(&cost, s->repeat - 1);
    wide low = elapsed_ns / last, high = elapsed_ns / first + 1; /* t only grows: brackets */

    if (low < 1)
        low = 1;
    if (high > s->repeat)
        high = s->repeat;
    if (low > high)
        low = high;
    while (low < high) {
        wide middle = (low + high) / 2;

        if (cost_sum(&cost, (uint32_t)middle) >= elapsed_ns)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint32_t)low;
}

kvt_ns sim_gpu_chunk_ns(const struct sim_gpu *g, uint32_t past_tokens, uint32_t new_tokens)
{
    struct kvt_chunk chunk = {.past_tokens = past_tokens, .new_tokens = new_tokens};
    struct kvt_step step = {.repeat = 1, .n_chunks = 1, .chunks = &chunk};

    return sim_gpu_step_ns(g, &step, 1);
}

kvt_ns sim_gpu_prefill_ns(const struct sim_gpu *g, uint32_t past_tokens, uint32_t new_tokens,
                          uint32_t max_batch_tokens)
{
    kvt_ns sum = 0;

    while (new_tokens) {
        uint32_t n =
            max_batch_tokens && max_batch_tokens < new_tokens ? max_batch_tokens : new_tokens;

        sum = kvt_ns_add(sum, sim_gpu_chunk_ns(g, past_tokens, n));
        past_tokens += n;
        new_tokens -= n;
    }
    return sum;
}

kvt_ns sim_gpu_decode_ns(const struct sim_gpu *g, uint32_t requests, uint32_t context_tokens)
{
    uint32_t seen =
        context_tokens < g->window_tokens || !g->window_tokens ? context_tokens : g->window_tokens;
    struct kvt_step step = {.repeat = 1,
                            .n_decode = requests,
                            .decode_tokens = (uint64_t)requests * context_tokens,
                            .window_tokens = (uint64_t)requests * seen};

    return sim_gpu_step_ns(g, &step, 1);
}
