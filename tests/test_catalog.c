/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_catalog.c - the shipped catalogue, and what follows from it.
 *
 * Every number has unit, source and evidence; KV per token is the published one; shapes make the published parameter
 * counts; engines never beat their memory. What is said of a broken one is in test_catalog_broken.c.
 */
#include "kvt_test.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "../cli/budget.h"
#include "../cli/catalog.h"
#include "../cli/model.h"

#define GIB     1073741824.0
#define SHIPPED "scenarios/catalog"

static struct catalog *catalogue;

static void setup(void)
{
    char error[512];

    if (catalog_load(&catalogue, SHIPPED, error, sizeof error))
        ck_abort_msg("%s", error);
}

static void teardown(void)
{
    catalog_free(catalogue);
}

static const struct catalog_model *model(const char *name)
{
    char error[512];
    const struct catalog_model *m = catalog_model(catalogue, name, error, sizeof error);

    ck_assert_msg(m != NULL, "%s", error);
    return m;
}

static const struct catalog_gpu *gpu(const char *name)
{
    char error[512];
    const struct catalog_gpu *g = catalog_gpu(catalogue, name, error, sizeof error);

    ck_assert_msg(g != NULL, "%s", error);
    return g;
}

static const struct catalog_stack *stack(const char *name)
{
    char error[512];
    const struct catalog_stack *s = catalog_stack(catalogue, name, error, sizeof error);

    ck_assert_msg(s != NULL, "%s", error);
    return s;
}

/* ---- The shipped files ---------------------------------------------------------------------------- */

static void check_value(const char *entry, const char *key, const struct catalog_value *v)
{
    ck_assert_msg(v->text && v->text[0], "%s: %s has no value", entry, key);
    ck_assert_msg(v->source && strlen(v->source) > 8, "%s: %s has no source", entry, key);
    ck_assert_msg(!strstr(v->source, "../") && v->source[0] != '/',
                  "%s: %s: not a public source: %s", entry, key, v->source);
    ck_assert_msg(v->evidence && strchr("SDMC", v->evidence[0]), "%s: %s: evidence", entry, key);
    ck_assert_msg(isfinite(v->number) && v->number >= 0, "%s: %s: %s", entry, key, v->text);
    /* C says that nothing was found; nothing else may say so. */
    ck_assert_msg((v->evidence[0] == 'C') ==
                      (strncmp(v->source, "common value, unsourced", 23) == 0),
                  "%s: %s: evidence %s, but source %s", entry, key, v->evidence, v->source);
}

START_TEST(every_number_has_a_source)
{
    size_t n, values = 0;
    const struct catalog_section *s = catalog_sections(&n);

    for (size_t i = 0; i < n; i++) {
        if (!s[i].optional)
            ck_assert_uint_gt(catalog_count(catalogue, &s[i]), 0);
        for (uint32_t k = 0; k < catalog_count(catalogue, &s[i]); k++) {
            const char *entry = catalog_entry(catalogue, &s[i], k);
            const char *name = *(const char *const *)(const void *)entry;

            for (size_t f = 0; f < s[i].n_fields; f++) {
                const struct catalog_field *field = &s[i].fields[f];
                const void *at = entry + field->offset;

                if (field->kind == CATALOG_VALUE) {
                    const struct catalog_value *v = at;

                    ck_assert(v->text || !field->required);
                    if (v->text)
                        check_value(name, field->key, v);
                    values += v->text != NULL;
                } else if (field->kind == CATALOG_CURVE) {
                    const struct catalog_curve *c = at;

                    for (uint32_t p = 0; p < c->n; p++)
                        check_value(name, field->key, &c->points[p].value);
                    values += c->n;
                }
            }
        }
    }
    printf("catalogue: %zu values\n", values);
    ck_assert_uint_gt(values, 600);
}
END_TEST

START_TEST(holds_what_it_must)
{
    static const char *const gpus[] = {"a100-40g-sxm",  "a100-40g-pcie", "a100-80g-sxm",
                                       "a100-80g-pcie", "h100-80g-sxm",  "h100-80g-pcie",
                                       "h200-141g-sxm", "b200-180g-sxm", "l4",
                                       "l40s"};

    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++)
        gpu(gpus[i]);
    ck_assert_double_eq(gpu("a100-80g-sxm")->memory_b.number, 80 * GIB);
    ck_assert_double_eq(gpu("h100-80g-sxm")->hbm_bps.number, 3350e9);
    ck_assert_double_eq(gpu("h100-80g-sxm")->bf16_flops.number, 989e12);

    char error[512];
    const struct catalog_redis_node *node =
        catalog_redis_node(catalogue, "cache.r7g.16xlarge", error, sizeof error);
    ck_assert_ptr_nonnull(node);
    ck_assert_double_eq(node->nic_bps.number, 30e9 / 8);
    ck_assert_double_eq_tol(node->memory_b.number, 419.09 * GIB, 1);
    ck_assert_double_eq(node->usable_ratio.number, 0.75);

    const struct catalog_link *link = catalog_link(catalogue, "ethernet-100g", error, sizeof error);
    ck_assert_ptr_nonnull(link);
    ck_assert_double_eq(link->bandwidth_bps.number, 11.9e9);
    ck_assert_double_eq(link->round_trip_ns.number, 100e3);
}
END_TEST

/* ---- What follows from shapes --------------------------------------------------------------------- */

START_TEST(kv_per_token)
{
    static const struct {
        const char *name;
        double growing_b, constant_b;
    } published[] = {{"llama-2-7b", 524288, 0},         {"llama-2-13b", 819200, 0},
                     {"llama-2-70b", 327680, 0},        {"llama-3.1-8b", 131072, 0},
                     {"llama-3.1-70b", 327680, 0},      {"llama-3.1-405b", 516096, 0},
                     {"qwen2.5-7b", 57344, 0},          {"qwen2.5-72b", 327680, 0},
                     {"qwen3-8b", 147456, 0},           {"qwen3-32b", 262144, 0},
                     {"qwen3-235b", 192512, 0},         {"mistral-7b", 131072, 0},
                     {"mixtral-8x7b", 131072, 0},       {"mixtral-8x22b", 229376, 0},
                     {"deepseek-v3", 70272, 0},         {"gpt-oss-120b", 36864, 4718592},
                     {"gemma-3-27b", 81920, 436207616}, {"document-70b", 262144, 0},
                     {"qwen2.5-0.5b", 12288, 0},        {"llama-3.2-1b", 32768, 0}};

    ck_assert_uint_eq(sizeof published / sizeof *published, catalogue->models.n);
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const struct catalog_model *m = model(published[i].name);

        ck_assert_msg(model_kv_b_per_token(m, 1) == published[i].growing_b, "%s: %.0f B per token",
                      m->name, model_kv_b_per_token(m, 1));
        ck_assert_msg(model_window_kv_b_per_token(m, 1) * m->window_tokens.number ==
                          published[i].constant_b,
                      "%s: %.0f B of windows", m->name,
                      model_window_kv_b_per_token(m, 1) * m->window_tokens.number);
    }
}
END_TEST

START_TEST(kv_under_tensor_parallelism)
{
    /* A latent is copied to every GPU. */
    ck_assert_double_eq(model_kv_b_per_token(model("deepseek-v3"), 8), 8 * 70272);
    /* Eight heads over eight GPUs: one each; four over eight: each twice. */
    ck_assert_double_eq(model_kv_b_per_token(model("llama-3.1-70b"), 8), 327680);
    ck_assert_double_eq(model_kv_b_per_token(model("qwen3-235b"), 8), 2 * 192512);
    ck_assert_double_eq(model_kv_b_per_token(model("llama-3.1-70b"), 16), 2 * 327680);
    /* The rule as it is published: per GPU total * ceil(heads / tp) / heads. */
    for (uint32_t i = 0; i < catalogue->models.n; i++)
        for (uint32_t tp = 1; tp <= 16; tp *= 2) {
            const struct catalog_model *m = &catalogue->models.entries[i];
            double heads = m->kv_heads.number, total = model_kv_b_per_token(m, 1);
            double per_gpu = m->latent_dim.text ? total : total * ceil(heads / tp) / heads;

            ck_assert_double_eq_tol(model_kv_b_per_token(m, tp) / tp, per_gpu, 1e-6);
        }
}
END_TEST

START_TEST(shapes_make_the_parameters)
{
    for (uint32_t i = 0; i < catalogue->models.n; i++) {
        const struct catalog_model *m = &catalogue->models.entries[i];
        struct model_params p = model_params(m);
        double head = m->vocabulary.number * m->hidden.number;
        double active = p.dense + head + m->experts_per_token.number * p.expert * p.expert_layers;

        if (strcmp(m->name, "document-70b") == 0) {
            /* The document's shapes are not those of 70 B parameters. */
            ck_assert_double_lt(model_shape_params(m), 0.05 * m->params.number);
            continue;
        }
        ck_assert_msg(fabs(model_shape_params(m) / m->params.number - 1) < 0.003,
                      "%s: shapes make %.4g parameters, the catalogue has %.4g", m->name,
                      model_shape_params(m), m->params.number);
        if (m->active_params.text)
            ck_assert_msg(fabs(active / m->active_params.number - 1) < 0.06,
                          "%s: %.3g active parameters, the catalogue has %.3g", m->name, active,
                          m->active_params.number);
    }
    ck_assert_double_eq_tol(model_weight_b(model("llama-3.1-70b")), 141.1e9, 1e6);
    /* MXFP4 experts: 65 GB, not the 234 GB of bf16. */
    ck_assert_double_eq_tol(model_weight_b(model("gpt-oss-120b")), 65.25e9, 0.1e9);
}
END_TEST

/* A decode step reads every weight, and prefill does every multiplication: neither may be faster than
 * the data sheet allows. Counting two of three MLP matrices would break both. */
START_TEST(no_engine_beats_its_data_sheet)
{
    char error[512];
    unsigned engines = 0;

    for (uint32_t i = 0; i < catalogue->models.n; i++)
        for (uint32_t k = 0; k < catalogue->gpus.n; k++)
            for (uint32_t tp = 1; tp <= 8; tp *= 2) {
                const struct catalog_model *m = &catalogue->models.entries[i];
                const struct catalog_gpu *g = &catalogue->gpus.entries[k];
                struct budget b;
                struct sim_gpu engine;

                if (budget_compute(&b, g, m, tp, 0.9, 2048, 64) ||
                    model_engine(g, m, stack("ideal"), tp, &engine, error, sizeof error))
                    continue;
                sim_gpu_prepare(&engine);
                engines++;

                /* Dense: all but the input embedding. Experts: the chosen ones at least. */
                bool named = strcmp(m->name, "document-70b") == 0;
                double params = m->active_params.text ? 0.93 * m->active_params.number
                                : named               ? m->params.number
                                                      : model_shape_params(m);
                params -= m->vocabulary.number * m->hidden.number;
                double bits = m->expert_weight_bits.text ? m->expert_weight_bits.number
                                                         : m->weight_bits.number;
                double floor_ns = 1e9 * params * bits / 8 / (tp * g->hbm_bps.number);
                double peak = m->weight_bits.number <= 8 && g->fp8_flops.text
                                  ? g->fp8_flops.number
                                  : g->bf16_flops.number;
                double work_ns = 1e9 * 2 * 8192 *
                                 (params - m->vocabulary.number * m->hidden.number) / (tp * peak);

                ck_assert_msg((double)sim_gpu_decode_ns(&engine, 1, 1) >= floor_ns,
                              "%s on %u %s decodes faster than its memory", m->name, tp, g->name);
                ck_assert_msg((double)sim_gpu_prefill_ns(&engine, 0, 8192, 2048) >= work_ns,
                              "%s on %u %s prefills faster than its peak", m->name, tp, g->name);
            }
    printf("catalogue: %u engines fit\n", engines);
    ck_assert_uint_gt(engines, 200);
}
END_TEST

START_TEST(engines_that_cannot_be)
{
    struct sim_gpu engine;
    char error[512];

    ck_assert_int_eq(model_engine(gpu("a100-80g-sxm"), model("qwen2.5-7b"), stack("vllm-v1"), 8,
                                  &engine, error, sizeof error),
                     -EINVAL);
    ck_assert_str_eq(error, "expected a number of GPUs that divides the 28 heads of qwen2.5-7b");
    ck_assert_int_eq(model_engine(gpu("l4"), model("llama-3.1-70b"), stack("vllm-v1"), 16, &engine,
                                  error, sizeof error),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "at most 8 GPUs"));
}
END_TEST

/* ---- Memory --------------------------------------------------------------------------------------- */

START_TEST(memory_budget)
{
    struct budget b;
    char text[1024];

    ck_assert_int_eq(budget_compute(&b, gpu("a100-80g-sxm"), model("llama-3.1-70b"), 8, 0.9, 2048,
                                    256),
                     0);
    ck_assert_double_eq_tol(b.weights_b + b.runtime_b + b.nccl_b + b.activations_b + b.kv_b +
                                b.free_b,
                            80 * GIB, 1);
    ck_assert_double_eq_tol(b.weights_b, 141.1e9 / 8, 1e6);
    ck_assert_double_eq(b.kv_b_per_token, 40960);
    ck_assert_uint_eq(b.kv_tokens, (uint64_t)(b.kv_b / 40960));
    ck_assert_uint_gt(b.kv_tokens, 1200000);
    ck_assert_uint_lt(b.kv_tokens, 1500000);

    budget_table(&b, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "weights"));
    ck_assert_ptr_nonnull(strstr(text, "KV pages"));
    ck_assert_ptr_nonnull(strstr(text, "KV tokens per engine"));

    /* A full window of Gemma: 436,207,616 B of a request are as many context tokens as 5,324.8. */
    ck_assert_int_eq(budget_compute(&b, gpu("a100-80g-sxm"), model("gemma-3-27b"), 1, 0.9, 2048,
                                    256),
                     0);
    ck_assert_double_eq_tol(b.request_kv_tokens, 436207616.0 / 81920, 1e-6);
}
END_TEST

START_TEST(model_that_does_not_fit)
{
    struct budget b;
    char text[1024];

    ck_assert_int_eq(budget_compute(&b, gpu("a100-80g-sxm"), model("llama-3.1-405b"), 8, 0.9, 8192,
                                    256),
                     -ENOSPC);
    ck_assert_double_lt(b.kv_b, 0);
    ck_assert_uint_eq(b.kv_tokens, 0);
    budget_complaint(&b, text, sizeof text);
    ck_assert_ptr_eq(strchr(text, '\n'), NULL);
    ck_assert_msg(strncmp(text, "expected a model that fits: llama-3.1-405b needs ", 49) == 0, "%s",
                  text);
    ck_assert_ptr_nonnull(strstr(text, "a100-80g-sxm x 8 has 72.0 GiB"));
    budget_table(&b, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "weights"));

    /* No room for the text: cut, not overrun. */
    for (size_t size = 1; size < 200; size++) {
        memset(text, 'x', sizeof text);
        budget_table(&b, text, size);
        ck_assert_ptr_nonnull(memchr(text, '\0', size));
        ck_assert_int_eq(text[size], 'x');
    }
}
END_TEST

START_TEST(lookup)
{
    char error[512];
    struct catalog_point points[] = {{.tp = 2, .value.number = 20}, {.tp = 8, .value.number = 80}};
    struct catalog_curve curve = {points, 2};

    ck_assert_ptr_null(catalog_gpu(catalogue, "a100-80g-smx", error, sizeof error));
    ck_assert_str_eq(error, "expected a gpu of the catalogue, did you mean a100-80g-sxm?");
    ck_assert_ptr_null(catalog_gpu(catalogue, "a100-80g", error, sizeof error));
    ck_assert_str_eq(error, "expected a gpu of the catalogue: a100-80g-sxm, a100-80g-pcie");
    ck_assert_ptr_null(catalog_link(catalogue, "token-ring", error, sizeof error));
    ck_assert_ptr_nonnull(strstr(error, "ethernet-10g, ethernet-25g"));
    ck_assert_ptr_null(catalog_codec(catalogue, "", error, sizeof error));

    ck_assert_double_eq(catalog_at(&curve, 1)->number, 20);
    ck_assert_double_eq(catalog_at(&curve, 2)->number, 20);
    ck_assert_double_eq(catalog_at(&curve, 7)->number, 20);
    ck_assert_double_eq(catalog_at(&curve, 8)->number, 80);
    ck_assert_double_eq(catalog_at(&curve, 64)->number, 80);
    curve.n = 0;
    ck_assert_ptr_null(catalog_at(&curve, 1));
}
END_TEST

START_TEST(prices)
{
    char error[512];
    const struct catalog_price *p = catalog_price_of(catalogue, "gpu", "a100-80g-sxm", NULL, NULL);

    /* Amazon's p4de.24xlarge in us-east-1 on 2026-11-09. */
    ck_assert_str_eq(p->name, "aws-p4de.24xlarge");
    ck_assert_double_eq(p->usd_per_h.number, 27.44705);
    ck_assert_double_eq(p->gpus.number, 8);
    ck_assert_str_eq(p->date, "2026-11-09");
    ck_assert_str_eq(p->region, "us-east-1");
    p = catalog_price_of(catalogue, "redis", NULL, "cache.r7g.16xlarge", NULL);
    ck_assert_double_eq(p->usd_per_h.number, 6.981);
    p = catalog_price_of(catalogue, "redis", NULL, "cache.r7g.16xlarge", "valkey");
    ck_assert_double_eq(p->usd_per_h.number, 5.5848);
    p = catalog_price_of(catalogue, "redis", NULL, "cache.r7g.16xlarge", "self");
    ck_assert_str_eq(p->name, "ec2-r7g.16xlarge");
    ck_assert_ptr_null(catalog_price_of(catalogue, "redis", NULL, "cache.r8g.16xlarge", "redis"));
    ck_assert_double_eq(
        catalog_price(catalogue, "ebs-gp3-storage", error, sizeof error)->usd_per_gb_month.number,
        0.08);
    ck_assert_ptr_null(catalog_price(catalogue, "aws-p4.24xlarge", error, sizeof error));
    ck_assert_ptr_nonnull(strstr(error, "did you mean aws-p4d.24xlarge?"));
    for (uint32_t i = 0; i < catalogue->prices.n; i++) {
        p = &catalogue->prices.entries[i];
        ck_assert_msg(catalog_is_day(p->date), "%s: %s", p->name, p->date);
    }
    ck_assert(catalog_is_day("2024-02-29"));
    ck_assert(!catalog_is_day("2026-02-29"));
    ck_assert(!catalog_is_day("2026-13-01"));
    ck_assert(!catalog_is_day("2026-1-01"));
    ck_assert(!catalog_is_day("2026-11-0x"));
    ck_assert(!catalog_is_day("2026--1-01"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("catalog");
    TCase *shipped = tcase_create("shipped");

    tcase_add_checked_fixture(shipped, setup, teardown);
    tcase_add_test(shipped, every_number_has_a_source);
    tcase_add_test(shipped, holds_what_it_must);
    tcase_add_test(shipped, kv_per_token);
    tcase_add_test(shipped, kv_under_tensor_parallelism);
    tcase_add_test(shipped, shapes_make_the_parameters);
    tcase_add_test(shipped, no_engine_beats_its_data_sheet);
    tcase_add_test(shipped, engines_that_cannot_be);
    tcase_add_test(shipped, memory_budget);
    tcase_add_test(shipped, model_that_does_not_fit);
    tcase_add_test(shipped, lookup);
    tcase_add_test(shipped, prices);
    suite_add_tcase(suite, shipped);
    return kvt_test_main(suite);
}
