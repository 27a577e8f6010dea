/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_gpu.c - the compute model: exact repeats, bounds, and the formulas once more in floating point.
 *
 * Random engines and steps, seeded. Beside sim_gpu_step_ns stands a naive model twice: single steps with
 * growing contexts, which must agree to the nanosecond, and the formulas of gpu.h in doubles, which
 * must agree to a millionth. The published measurements are test_gpu_published.c's.
 */
#include "kvt_test.h"

#include <math.h>

#include "../core/mix.h"
#include "../sim/gpu.h"

#define SEED 20261124u

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    state += UINT64_C(0x9e3779b97f4a7c15);
    return kvt_mix64(state) % below;
}

static double draw_between(double low, double high)
{
    return low + (high - low) * (double)draw(1u << 30) / (double)(1u << 30);
}

/* Llama-3.1-70B on eight A100, in round numbers. */
static struct sim_gpu dense_engine(void)
{
    struct sim_gpu g = {.gpus = 8,
                        .peak_flops = 312e12,
                        .mfu = 0.44,
                        .mfu_half_tokens = 0,
                        .hbm_bps = 2039e9,
                        .weight_efficiency = 0.69,
                        .kv_efficiency = 0.62,
                        .dense_weight_b = 139e9,
                        .linear_flops_per_token = 137e9,
                        .head_flops_per_request = 2.1e9,
                        .prefill_flops_per_pair = 4.0 * 80 * 64 * 128,
                        .decode_flops_per_pair = 4.0 * 80 * 64 * 128,
                        .kv_b_per_token = 327680,
                        .collectives = 160,
                        .collective_latency_ns = 6500,
                        .collective_b_per_token = 16384,
                        .bus_bps = 222e9,
                        .host_ns = 2.6e6,
                        .host_ns_per_request = 4400};
    sim_gpu_prepare(&g);
    return g;
}

/* Any engine: so that compute, memory, their crossing, windows and experts all occur. */
static struct sim_gpu random_engine(void)
{
    struct sim_gpu g = dense_engine();

    g.gpus = 1u << draw(5);
    g.mfu = draw_between(0.001, 1);
    g.mfu_half_tokens = (double)draw(3) * draw_between(0, 60);
    g.hbm_bps *= draw_between(0.1, 3);
    g.dense_weight_b *= draw_between(0, 1);
    g.decode_flops_per_pair *= draw_between(0, 60);
    g.kv_b_per_token *= draw_between(0, 2);
    if (draw(2)) {
        g.window_tokens = 1 + (uint32_t)draw(4096);
        g.window_kv_b_per_token = draw_between(0, 1e6);
        g.prefill_window_flops_per_pair = draw_between(0, 1e7);
        g.decode_window_flops_per_pair = draw_between(0, 1e8);
    }
    if (draw(2)) {
        g.experts = 1 + (uint32_t)draw(256);
        g.experts_per_token = 1 + (uint32_t)draw(g.experts);
        g.expert_weight_b = draw_between(0, 2e9);
    }
    ck_assert_ptr_null(sim_gpu_check(&g));
    sim_gpu_prepare(&g);
    return g;
}

static struct kvt_step random_decode(const struct sim_gpu *g, uint32_t most_repeat)
{
    struct kvt_step s = {.repeat = 1 + (uint32_t)draw(most_repeat),
                         .n_decode = 1 + (uint32_t)draw(300)};

    s.decode_tokens = s.n_decode * (1 + draw(20000));
    if (g->window_tokens) {
        uint64_t capped = (uint64_t)s.n_decode * g->window_tokens;

        s.n_window_growing = (uint32_t)draw(s.n_decode + 1);
        s.window_tokens = s.decode_tokens < capped ? s.decode_tokens : capped;
    }
    return s;
}

/* The step as it looks after i iterations, alone. */
static struct kvt_step after(const struct kvt_step *s, uint32_t i)
{
    struct kvt_step one = *s;

    one.repeat = 1;
    one.decode_tokens += (uint64_t)i * s->n_decode;
    one.window_tokens += (uint64_t)i * s->n_window_growing;
    return one;
}

START_TEST(repeat_is_the_sum_of_single_steps)
{
    state = SEED;
    for (int round = 0; round < 3000; round++) {
        struct sim_gpu g = random_engine();
        struct kvt_step s = random_decode(&g, round % 100 ? 200 : 20000);
        kvt_ns sum = 0, last = 0;

        for (uint32_t i = 0; i < s.repeat; i++) {
            struct kvt_step one = after(&s, i);
            kvt_ns ns = sim_gpu_step_ns(&g, &one, 1);

            ck_assert_msg(ns >= 1 && ns >= last, "seed %u round %d: iteration %u is shorter", SEED,
                          round, i);
            last = ns;
            sum += ns;
            if (i < 64 || i + 1 == s.repeat || i % 97 == 0)
                ck_assert_msg(sim_gpu_step_ns(&g, &s, i + 1) == sum,
                              "seed %u round %d: %u iterations take %llu ns, one by one %llu", SEED,
                              round, i + 1, (unsigned long long)sim_gpu_step_ns(&g, &s, i + 1),
                              (unsigned long long)sum);
        }
    }
}
END_TEST

START_TEST(iterations_by_is_the_inverse)
{
    state = SEED + 1;
    for (int round = 0; round < 3000; round++) {
        struct sim_gpu g = random_engine();
        struct kvt_step s = random_decode(&g, 300);
        kvt_ns all = sim_gpu_step_ns(&g, &s, s.repeat);
        kvt_ns elapsed = draw(all + all / 8 + 2);
        uint32_t j = sim_gpu_iterations_by(&g, &s, elapsed);

        ck_assert_uint_ge(j, 1);
        ck_assert_uint_le(j, s.repeat);
        if (j < s.repeat)
            ck_assert_uint_ge(sim_gpu_step_ns(&g, &s, j), elapsed);
        if (j > 1)
            ck_assert_uint_lt(sim_gpu_step_ns(&g, &s, j - 1), elapsed);

        uint32_t exactly = 1 + (uint32_t)draw(s.repeat);
        ck_assert_uint_eq(sim_gpu_iterations_by(&g, &s, sim_gpu_step_ns(&g, &s, exactly)), exactly);
    }
}
END_TEST

/* gpu.h's formulas, straight. Token pairs by a loop over the tokens. */
static double naive_ns(const struct sim_gpu *g, const struct kvt_step *s)
{
    double pairs = 0, local_pairs = 0, kv = (double)s->decode_tokens;
    double local_kv = (double)s->window_tokens, tokens = s->n_decode;
    double requests = s->n_decode + (double)s->n_chunks, w = g->window_tokens;
    double flops = g->gpus * g->peak_flops * g->mfu, bus = 0, touched;

    for (uint32_t i = 0; i < s->n_chunks; i++) {
        const struct kvt_chunk *c = &s->chunks[i];

        for (uint32_t t = 0; t < c->new_tokens; t++) {
            double low = c->past_tokens + t;

            pairs += low + 0.5;
            local_pairs += low + 1 <= w ? low + 0.5 : w;
        }
        kv += c->past_tokens + (double)c->new_tokens;
        local_kv += fmin(c->past_tokens, w) + c->new_tokens;
        tokens += c->new_tokens;
    }
    touched = g->experts
                  ? g->experts *
                        (1 - pow(1 - (double)g->experts_per_token / g->experts, fmin(tokens, 1e6)))
                  : 0;
    if (tokens >= SIM_GPU_EXPERT_TABLE)
        touched = g->experts;
    double compute = (g->linear_flops_per_token * (tokens + g->mfu_half_tokens) +
                      g->head_flops_per_request * requests + g->prefill_flops_per_pair * pairs +
                      g->decode_flops_per_pair * (double)s->decode_tokens) /
                     flops;
    double bytes = (g->dense_weight_b + touched * g->expert_weight_b) / g->weight_efficiency +
                   g->kv_b_per_token * kv / g->kv_efficiency;

    if (g->window_tokens) {
        compute += (g->prefill_window_flops_per_pair * local_pairs +
                    g->decode_window_flops_per_pair * (double)s->window_tokens) /
                   flops;
        bytes += g->window_kv_b_per_token * local_kv / g->kv_efficiency;
    }
    bytes /= g->gpus * g->hbm_bps;
    double copied_b = 0;
    for (uint32_t i = 0; i < s->n_copies; i++)
        copied_b +=
            s->copies[i].tokens * g->kv_b_per_token +
            (g->window_tokens ? fmin(s->copies[i].tokens, w) * g->window_kv_b_per_token : 0);
    const double copies_ns =
        1e9 * 2 * copied_b / (g->gpus * g->hbm_bps * g->kv_efficiency); /* read and written */
    if (g->gpus > 1)
        bus = g->collectives *
              (g->collective_latency_ns +
               1e9 * tokens * g->collective_b_per_token * 2 * (g->gpus - 1) / g->gpus / g->bus_bps);
    return g->host_ns + g->host_ns_per_request * requests + bus + copies_ns +
           1e9 * fmax(compute, bytes);
}

START_TEST(formulas)
{
    state = SEED + 2;
    for (int round = 0; round < 2000; round++) {
        struct sim_gpu g = random_engine();
        struct kvt_step s = random_decode(&g, 1);
        struct kvt_chunk chunks[4];
        struct kvt_step_copy copies[4];

        s.n_chunks = (uint32_t)draw(5);
        s.chunks = chunks;
        if (s.n_chunks && draw(2)) {
            s.n_decode = s.n_window_growing = 0;
            s.decode_tokens = s.window_tokens = 0;
        }
        for (uint32_t i = 0; i < s.n_chunks; i++) {
            chunks[i].past_tokens = (uint32_t)(draw(2) ? draw(6000) : 0);
            chunks[i].new_tokens = 1 + (uint32_t)draw(3000);
        }
        s.n_copies = s.n_chunks && draw(2) ? 1 + (uint32_t)draw(s.n_chunks) : 0;
        s.copies = copies;
        for (uint32_t i = 0; i < s.n_copies; i++)
            copies[i] = (struct kvt_step_copy){.tokens = 1 + (uint32_t)draw(4000)};
        double naive = naive_ns(&g, &s), ns = (double)sim_gpu_step_ns(&g, &s, 1);

        ck_assert_msg(fabs(ns - naive) <= 2 + 1e-6 * naive,
                      "seed %u round %d: %.0f ns, by the formulas %.1f", SEED + 2, round, ns,
                      naive);
    }
}
END_TEST

/* (G3), and the pitfall of a roofline that comes out faster than memory allows. */
START_TEST(never_faster_than_memory)
{
    state = SEED + 3;
    for (int round = 0; round < 2000; round++) {
        struct sim_gpu g = random_engine();
        struct kvt_step s = random_decode(&g, 1);
        double floor_ns = 1e9 *
                          (g.dense_weight_b + (double)g.experts_per_token * g.expert_weight_b +
                           g.kv_b_per_token * (double)s.decode_tokens) /
                          (g.gpus * g.hbm_bps);

        ck_assert_double_ge((double)sim_gpu_step_ns(&g, &s, 1) + 2, floor_ns * (1 - 1e-9));
    }
}
END_TEST

START_TEST(more_work_takes_longer)
{
    state = SEED + 4;
    for (int round = 0; round < 2000; round++) {
        struct sim_gpu g = random_engine();
        uint32_t past = (uint32_t)draw(30000), n = 1 + (uint32_t)draw(4000);
        uint32_t batch = 1 + (uint32_t)draw(600), context = 1 + (uint32_t)draw(30000);

        ck_assert_uint_ge(sim_gpu_chunk_ns(&g, past, n + 1), sim_gpu_chunk_ns(&g, past, n));
        ck_assert_uint_ge(sim_gpu_chunk_ns(&g, past + 1, n), sim_gpu_chunk_ns(&g, past, n));
        ck_assert_uint_ge(sim_gpu_decode_ns(&g, batch + 1, context),
                          sim_gpu_decode_ns(&g, batch, context));
        ck_assert_uint_ge(sim_gpu_decode_ns(&g, batch, context + 1),
                          sim_gpu_decode_ns(&g, batch, context));
        /* A hit shortens the bill: what is cached is not computed. */
        ck_assert_uint_gt(sim_gpu_prefill_ns(&g, 0, past + n, 2048),
                          sim_gpu_prefill_ns(&g, past, n, 2048) - (past == 0));
    }
}
END_TEST

START_TEST(experts_fill_up)
{
    struct sim_gpu g = dense_engine();

    g.dense_weight_b = 0;
    g.experts = 128;
    g.experts_per_token = 4;
    g.expert_weight_b = 1e9;
    sim_gpu_prepare(&g);
    ck_assert_uint_eq(g.weight_ns[0], 0);
    /* One token touches exactly its own experts; many touch all. */
    double per_expert = 1e9 * 1e9 / (8 * 2039e9 * 0.69) * 0x1p28;
    ck_assert_double_eq_tol((double)g.weight_ns[1] / (4 * per_expert), 1, 1e-9);
    ck_assert_double_eq_tol((double)g.weight_ns[SIM_GPU_EXPERT_TABLE] / (128 * per_expert), 1,
                            1e-9);
    for (int n = 1; n <= SIM_GPU_EXPERT_TABLE; n++)
        ck_assert_uint_gt(g.weight_ns[n], g.weight_ns[n - 1]);
}
END_TEST

START_TEST(prefill_cost_follows_the_model)
{
    struct sim_gpu g = dense_engine();
    struct kvt_prefill_cost cost;
    static const uint32_t batch[] = {0, 2048, 8192};

    for (int b = 0; b < 3; b++) {
        sim_gpu_prefill_cost(&g, batch[b], &cost);
        ck_assert_double_ge(cost.fixed_ns, 0);
        ck_assert_double_gt(cost.ns_per_token, 0);
        ck_assert_double_gt(cost.ns_per_token2, 0);
        for (uint32_t n = 512; n <= 131072; n *= 2)
            for (uint32_t past = 0; past <= 65536; past = past ? past * 4 : 1024) {
                double ns = (double)sim_gpu_prefill_ns(&g, past, n, batch[b]);
                double fit =
                    cost.fixed_ns + n * (cost.ns_per_token + cost.ns_per_token2 * (past + n / 2.0));

                ck_assert_msg(fabs(fit / ns - 1) < 0.15, "batch %u, %u after %u: %g, fit %g",
                              batch[b], n, past, ns, fit);
            }
    }
    /* The same number of iterations or one: as the chunks add up. */
    ck_assert_uint_eq(sim_gpu_prefill_ns(&g, 100, 5000, 2048),
                      sim_gpu_chunk_ns(&g, 100, 2048) + sim_gpu_chunk_ns(&g, 2148, 2048) +
                          sim_gpu_chunk_ns(&g, 4196, 904));
}
END_TEST

START_TEST(largest_numbers)
{
    struct sim_gpu g = dense_engine();
    struct kvt_step s = {.repeat = UINT32_MAX,
                         .n_decode = UINT32_MAX,
                         .decode_tokens = UINT64_MAX / 2};

    ck_assert_uint_eq(sim_gpu_step_ns(&g, &s, UINT32_MAX), KVT_NEVER);
    ck_assert_uint_eq(sim_gpu_iterations_by(&g, &s, 1), 1);
    ck_assert_uint_ge(sim_gpu_iterations_by(&g, &s, KVT_NEVER), 1);
    ck_assert_uint_gt(sim_gpu_chunk_ns(&g, UINT32_MAX / 2, UINT32_MAX / 2), 0);
}
END_TEST

START_TEST(refuses_nonsense)
{
    struct sim_gpu g = dense_engine();

    ck_assert_ptr_null(sim_gpu_check(&g));
    g.gpus = 0;
    ck_assert_ptr_nonnull(sim_gpu_check(&g));
    g = dense_engine();
    g.mfu = 1.5;
    ck_assert_ptr_nonnull(sim_gpu_check(&g));
    g = dense_engine();
    g.hbm_bps = 0;
    ck_assert_ptr_nonnull(sim_gpu_check(&g));
    g = dense_engine();
    g.host_ns = -1;
    ck_assert_ptr_nonnull(sim_gpu_check(&g));
    g = dense_engine();
    g.bus_bps = 0;
    ck_assert_ptr_nonnull(sim_gpu_check(&g));
    g = dense_engine();
    g.experts_per_token = 2;
    ck_assert_ptr_nonnull(sim_gpu_check(&g));
    g = dense_engine();
    g.kv_efficiency = NAN;
    ck_assert_ptr_nonnull(sim_gpu_check(&g));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gpu");
    TCase *tc = tcase_create("model");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, repeat_is_the_sum_of_single_steps);
    tcase_add_test(tc, iterations_by_is_the_inverse);
    tcase_add_test(tc, formulas);
    tcase_add_test(tc, never_faster_than_memory);
    tcase_add_test(tc, more_work_takes_longer);
    tcase_add_test(tc, experts_fill_up);
    tcase_add_test(tc, prefill_cost_follows_the_model);
    tcase_add_test(tc, largest_numbers);
    tcase_add_test(tc, refuses_nonsense);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
