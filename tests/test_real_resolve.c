/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_real_resolve.c - what a scenario means in the real world, and which scenarios mean nothing
 * there.
 *
 * Scenarios go the whole way, text to plan, on the shipped catalogue and a machine that the test
 * makes up. Refusals are compared by place and words. Nothing is opened, but for the memory that
 * real_machine reads.
 */
#include "cli/real.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvt_test.h"

static struct catalog *catalogue;
static const struct real_machine large = {.memory_b = UINT64_C(64) << 30};

static void setup(void)
{
    char error[512];
    ck_assert_msg(catalog_load(&catalogue, "scenarios/catalog", error, sizeof error) == 0, "%s",
                  error);
}

static void teardown(void)
{
    catalog_free(catalogue);
}

static const char small[] =
    "world: real\n"
    "cluster: {model: qwen2.5-0.5b, host: local, network: loopback, engines: 2}\n"
    "cache:\n"
    "  block_tokens: 64\n"
    "  tiers:\n"
    "    - {kind: gpu, capacity: 192MiB}\n"
    "    - {kind: host, capacity: 256MiB}\n"
    "    - {kind: redis, node: local, server: local, nodes: 2, capacity: 512MiB}\n"
    "    - {kind: disk, device: local, capacity: 1GiB}\n";

/* Plans text with changes (NULL-terminated). Returns the status; the caller ends s and plan when it
 * is 0. */
static int make(struct scenario *s, struct resolved *r, struct real_plan *plan, const char *text,
                const char *const *sets, const struct real_machine *machine, char *error)
{
    *plan = (struct real_plan){0};
    int rc = scenario_load_text(s, "x.yaml", text, strlen(text), error);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && sets && sets[i]; i++)
        rc = scenario_set(s, sets[i], error);
    if (rc == 0)
        rc = scenario_type(s, error);
    if (rc == 0)
        rc = resolve(r, s, catalogue, 512, error);
    if (rc == 0 && s->world == WORLD_REAL)
        rc = real_plan_make(plan, r, s, catalogue, machine, error);
    if (rc != 0)
        scenario_release(s);
    return rc;
}

static struct scenario s;
static struct resolved r;
static struct real_plan plan;
static char error[SCENARIO_ERROR_SIZE];

static void made(const char *const *sets)
{
    ck_assert_msg(make(&s, &r, &plan, small, sets, &large, error) == 0, "%s", error);
}

static void unmade(void)
{
    real_plan_release(&plan);
    scenario_release(&s);
}

START_TEST(shape_and_sizes)
{
    made(NULL);
    const struct be_world_config *c = &plan.config;
    ck_assert_uint_eq(c->engines, 2);
    ck_assert_uint_eq(c->gpus_per_engine, 1);
    ck_assert_uint_eq(c->block_tokens, 64);
    ck_assert_uint_eq(c->geometry.layers, 24);
    ck_assert_uint_eq(c->geometry.heads, 2);
    ck_assert_uint_eq(c->geometry.head_dim, 64);
    ck_assert_uint_eq(c->geometry.page_tokens, 16);
    ck_assert_int_eq(c->geometry.dtype, K_BF16);
    /* A token has 12,288 bytes: 256 blocks of 768 KiB in 192 MiB, four pages each. */
    ck_assert_uint_eq(c->geometry.pages, 1024);
    ck_assert_uint_eq(k_pool_b(&c->geometry), 192 << 20);
    ck_assert_uint_eq(r.core.gpu_pages, 1024);
    ck_assert(r.core.page_numbers);
    ck_assert_uint_eq(c->host_b, UINT64_C(341) * 768 << 10); /* whole blocks of 256 MiB */
    ck_assert(c->tiers[KVT_GPU] && c->tiers[KVT_HOST] && c->tiers[KVT_REDIS] && c->tiers[KVT_DISK]);
    ck_assert(!c->tiers[KVT_PEER]);
    ck_assert_uint_eq(plan.spawn.n, 2);
    ck_assert_uint_eq(plan.spawn.memory_b, 256 << 20);
    ck_assert(plan.spawn.evicts);
    ck_assert_uint_eq(plan.spawn.samples, 5);
    ck_assert_ptr_null(plan.nodes);
    ck_assert_uint_eq(plan.keys_per_block, 1);
    ck_assert(c->verify);
    ck_assert_str_eq(c->device, "auto");
    ck_assert_uint_gt(c->disk.quota_b, UINT64_C(1) << 30);
    ck_assert_uint_lt(c->disk.quota_b, UINT64_C(1200) << 20);
    /* 2 x 192 MiB pages, 2 x 255.75 MiB host, 2 x 256 MiB staging, 2 x 256 MiB Redis. */
    ck_assert_uint_eq(plan.memory_b,
                      2 * ((UINT64_C(192) << 20) + c->host_b + (UINT64_C(512) << 20)));
    unmade();
}
END_TEST

START_TEST(options)
{
    static const char *const sets[] = {"real.device=host",
                                       "real.threads=3",
                                       "real.verify=false",
                                       "real.stage=8MiB",
                                       "cluster.kv_dtype=fp16",
                                       "cache.tiers.redis.layout=per-layer",
                                       "cache.tiers.redis.depth=7",
                                       "cache.tiers.redis.connections=3",
                                       "cache.tiers.redis.codec=fp16,zlib-3",
                                       "cache.tiers.redis.address=[redis://u:p@h:7000/2, unix:/s]",
                                       "cache.tiers.disk.folder=kept",
                                       "cache.tiers.disk.keep=true",
                                       "cache.tiers.disk.direct=true",
                                       "cache.tiers.disk.sync=data",
                                       NULL};
    made(sets);
    const struct be_world_config *c = &plan.config;
    ck_assert_str_eq(c->device, "host");
    ck_assert_uint_eq(c->threads, 3);
    ck_assert_uint_eq(c->stage_b, 8 << 20);
    ck_assert(!c->verify);
    ck_assert_int_eq(c->geometry.dtype, K_FP16);
    ck_assert_int_eq(c->redis.layout, BE_PER_LAYER);
    ck_assert_uint_eq(c->redis.depth, 7);
    ck_assert_uint_eq(c->redis.connections, 3);
    ck_assert_uint_eq(plan.keys_per_block, 72);
    ck_assert_int_eq(c->codec[KVT_REDIS].narrow, BE_NARROW_FP16);
    ck_assert_int_eq(c->codec[KVT_REDIS].packer, BE_PACK_ZLIB);
    ck_assert_uint_eq(c->codec[KVT_REDIS].level, 3);
    ck_assert_uint_eq(plan.spawn.n, 0);
    ck_assert_ptr_nonnull(plan.nodes);
    ck_assert_str_eq(plan.nodes[0].host, "h");
    ck_assert_uint_eq(plan.nodes[0].port, 7000);
    ck_assert_uint_eq(plan.nodes[0].database, 2);
    ck_assert_str_eq(plan.nodes[1].path, "/s");
    ck_assert_str_eq(plan.folder, "kept");
    ck_assert(c->disk.keep && c->disk.direct);
    ck_assert_int_eq(c->disk.sync, BE_SYNC_DATA);
    unmade();
}
END_TEST

/* Heads are divided among the GPUs of an engine; together they hold a token's bytes once. */
/* A value that lies in staging is verified in a pass of its own, whatever the codec: where there is no copy that would pay
 * for it, "none" has the catalogue's rates. Main memory holds raw bytes, and needs none. */
START_TEST(none_is_a_codec_where_nothing_is_staged)
{
    static const char *const staged[] = {"world=sim", "cluster.host=auto", NULL},
                             *const unstaged[] = {"world=sim", NULL};
    const struct catalog_codec *none = catalog_codec(catalogue, "none", error, sizeof error);
    ck_assert_ptr_nonnull(none);
    ck_assert_msg(make(&s, &r, &plan, small, unstaged, &large, error) == 0, "%s", error);
    ck_assert_uint_eq(r.sim.host.copy_threads, 0);
    for (int kind = 0; kind < KVT_TIERS; kind++) {
        const struct sim_codec *codec = &r.sim.codec[kind];
        ck_assert_int_eq(codec->present, kind == KVT_REDIS || kind == KVT_DISK);
        if (!codec->present)
            continue;
        ck_assert_double_eq_tol(codec->encode_bps, none->encode_bps.number, 1);
        ck_assert_double_eq_tol(codec->decode_bps, none->decode_bps.number, 1);
        ck_assert_double_eq_tol(codec->ratio, 1, 1e-9);
    }
    scenario_release(&s);
    ck_assert_msg(make(&s, &r, &plan, small, staged, &large, error) == 0, "%s", error);
    ck_assert_uint_gt(r.sim.host.copy_threads, 0);
    for (int kind = 0; kind < KVT_TIERS; kind++)
        ck_assert(!r.sim.codec[kind].present);
    scenario_release(&s);
}
END_TEST

START_TEST(heads_over_gpus)
{
    static const char *const sets[] = {"cluster.model=llama-3.2-1b", "cluster.gpus_per_engine=4",
                                       "cluster.engines=1", NULL};
    made(sets);
    ck_assert_uint_eq(plan.config.geometry.heads, 2);
    ck_assert_uint_eq(plan.config.gpus_per_engine, 4);
    ck_assert_double_eq((double)k_pool_b(&plan.config.geometry) * 4,
                        (double)plan.config.geometry.pages * 16 * r.kv_b_per_token);
    unmade();
}
END_TEST

START_TEST(width_of_kv)
{
    static const char *const fp32[] = {"world=sim", "cluster.kv_dtype=fp32",
                                       "cache.tiers.redis.codec=fp16", NULL};
    static const char *const bf16[] = {"world=sim", "cluster.kv_dtype=bf16",
                                       "cache.tiers.redis.codec=fp16", NULL};
    made(bf16);
    double narrow = r.kv_b_per_token, stored = r.core.tiers[KVT_REDIS].stored_b_per_token;
    uint64_t tokens = r.budget.kv_tokens;
    ck_assert_double_eq(narrow, 12288);
    ck_assert_double_eq(stored, 12288);
    unmade();
    made(fp32);
    ck_assert_double_eq(r.kv_b_per_token, 2 * narrow);
    ck_assert_double_eq(r.sim.kv_b_per_token, 2 * narrow);
    ck_assert_double_eq(r.sim.gpu.kv_b_per_token, 2 * narrow);
    ck_assert_uint_le(r.budget.kv_tokens, tokens / 2 + 1);
    ck_assert_double_eq(r.core.tiers[KVT_DISK].stored_b_per_token, 2 * narrow);
    /* fp16 brings it back to where it was. */
    ck_assert_double_eq(r.core.tiers[KVT_REDIS].stored_b_per_token, narrow);
    ck_assert_double_eq(r.sim.codec[KVT_REDIS].ratio, 2);
    unmade();
    static const char *const real[] = {"cluster.kv_dtype=fp32", NULL};
    made(real);
    ck_assert_int_eq(plan.config.geometry.dtype, K_FP32);
    ck_assert_uint_eq(plan.config.geometry.pages, 512);
    unmade();
}
END_TEST

START_TEST(host_of_the_cluster)
{
    static const char *const usual[] = {"world=sim", "cluster.host=auto", NULL};
    static const char *const local[] = {"world=sim", NULL};
    made(local);
    ck_assert_uint_eq(r.sim.host.copy_threads, 0); /* staging: 0 */
    ck_assert_double_eq(r.sim.host.h2d_bps, 6.8e9);
    ck_assert(!r.core.page_numbers);
    unmade();
    made(usual);
    ck_assert_uint_eq(r.sim.host.copy_threads, 1);
    ck_assert_double_eq(r.sim.host.h2d_bps, 25.1e9);
    unmade();
}
END_TEST

/* What one run stored must not be taken for another's. */
START_TEST(epoch_tells_runs_apart)
{
    static const char *const sets[][2] = {{NULL},
                                          {"cache.model_epoch=1", NULL},
                                          {"cluster.kv_dtype=fp16", NULL},
                                          {"cluster.model=llama-3.2-1b", NULL},
                                          {"cache.page_tokens=32", NULL},
                                          {"cache.block_tokens=128", NULL}};
    enum { N = sizeof sets / sizeof sets[0] };
    uint64_t epoch[N];
    for (size_t i = 0; i < N; i++) {
        made(sets[i]);
        epoch[i] = plan.config.epoch;
        unmade();
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(epoch[i], epoch[j]);
    }
    made(sets[0]);
    ck_assert_uint_eq(plan.config.epoch, epoch[0]);
    unmade();
}
END_TEST

/* Auto: what the modelled GPU leaves, but no more than half of what main memory has left for one
 * engine. */
START_TEST(pages_by_themselves)
{
    static const char *const sets[] = {"cache.tiers.gpu.capacity=auto", "real.device=host", NULL};
    static const char *const cuda[] = {"cache.tiers.gpu.capacity=auto", "real.device=cuda", NULL};
    struct real_machine machine = {.memory_b = UINT64_C(9) << 30};
    ck_assert_msg(make(&s, &r, &plan, small, sets, &machine, error) == 0, "%s", error);
    double pools_b = 2.0 * (double)k_pool_b(&plan.config.geometry);
    double beside_b = 2.0 * ((double)plan.config.host_b + (512 << 20));
    ck_assert_double_le(pools_b, (9 * 1073741824.0 - beside_b) / 2);
    ck_assert_double_gt(pools_b, (9 * 1073741824.0 - beside_b) / 2 - 4 * 786432);
    ck_assert_uint_eq(plan.config.geometry.pages % 4, 0);
    unmade();
    machine.memory_b = UINT64_C(1) << 50;
    ck_assert_msg(make(&s, &r, &plan, small, sets, &machine, error) == 0, "%s", error);
    ck_assert_uint_eq(r.core.gpu_pages, r.budget.kv_tokens / 16);
    unmade();
    machine.memory_b = UINT64_C(9) << 30;
    ck_assert_msg(make(&s, &r, &plan, small, cuda, &machine, error) == 0, "%s", error);
    ck_assert_uint_eq(r.core.gpu_pages, r.budget.kv_tokens / 16);
    unmade();
}
END_TEST

static const struct {
    const char *sets[3], *where, *words;
} refusals[] = {
    {{"cluster.model=deepseek-v3", "cluster.gpus_per_engine=16"}, "cluster.model", "(MLA)"},
    {{"cluster.model=gpt-oss-120b", "cluster.gpus_per_engine=8"},
     "cluster.model",
     "sliding window"},
    {{"cluster.model=llama-3.2-1b", "cluster.gpus_per_engine=16"},
     "cluster.gpus_per_engine",
     "divisor of the 8 KV heads"},
    {{"cluster.gpus_per_engine=7"}, "cluster.gpus_per_engine", "divisor of the 2 KV heads"},
    {{"cache.partial_blocks=true"}, "cache.partial_blocks", "expected false"},
    {{"cache.tiers.host.codec=int8"}, "cache.tiers.host.codec", "raw bytes"},
    {{"cache.tiers.host.capacity=infinite"}, "cache.tiers.host.capacity", "main memory ends"},
    {{"cache.tiers.redis.address=unix:/a"}, "cache.tiers.redis.address", "expected 2 addresses"},
    {{"cache.tiers.redis.address=unix:/a,unix:/b,unix:/c"},
     "cache.tiers.redis.address",
     "expected 2 addresses"},
    {{"cache.tiers.redis.address=spawn,unix:/b"}, "cache.tiers.redis.address", ""},
    {{"cache.tiers.redis.address=redis://u:secret@h:notaport,unix:/b"},
     "cache.tiers.redis.address",
     ""},
    {{"cache.tiers.redis.address=none"}, "cache.tiers.redis.address", ""},
    {{"cluster.gpus_per_engine=2", "cache.tiers.redis.layout=per-layer"},
     "cache.tiers.redis.layout",
     "expected packed"},
    {{"cache.tiers.disk.keep=true"}, "cache.tiers.disk.keep", "expected a folder"},
    {{"cache.tiers.host.capacity=1PiB"}, "cache.tiers.gpu.capacity", "of main memory"},
    {{"cache.tiers.redis.capacity=1PiB"}, "cache.tiers.gpu.capacity", "of main memory"},
    {{"real.stage=1PiB"}, "cache.tiers.gpu.capacity", "of main memory"},
};

START_TEST(refuses)
{
    int rc = make(&s, &r, &plan, small, refusals[_i].sets, &large, error);
    ck_assert_int_eq(rc, -EINVAL);
    ck_assert_msg(strstr(error, refusals[_i].where) != NULL, "%s", error);
    ck_assert_msg(strstr(error, refusals[_i].words) != NULL, "%s", error);
    ck_assert_msg(strstr(error, "expected") != NULL, "%s", error);
    ck_assert_ptr_null(strstr(error, "secret"));
    ck_assert_ptr_null(strchr(error, '\n'));
    ck_assert_ptr_null(plan.nodes);
    unmade();
}
END_TEST

START_TEST(too_little_memory)
{
    static const uint64_t sizes_b[] = {0, 1 << 20, UINT64_C(1900) << 20};
    static const char *const autos[] = {"cache.tiers.gpu.capacity=auto", NULL};
    for (size_t i = 0; i < sizeof sizes_b / sizeof sizes_b[0]; i++) {
        const struct real_machine machine = {.memory_b = sizes_b[i]};
        ck_assert_int_eq(make(&s, &r, &plan, small, NULL, &machine, error), -EINVAL);
        ck_assert_msg(strstr(error, "for pages, and 1.50 GiB for host tier") != NULL, "%s", error);
    }
    const struct real_machine machine = {.memory_b = UINT64_C(1) << 30};
    ck_assert_int_eq(make(&s, &r, &plan, small, autos, &machine, error), -EINVAL);
    const struct real_machine unknown = {.memory_b = UINT64_MAX};
    ck_assert_int_eq(make(&s, &r, &plan, small, NULL, &unknown, error), 0);
    unmade();
}
END_TEST

/* An access that fails is one line, and nothing is left: no server runs, no folder is there. */
START_TEST(opening_fails_clean)
{
    static const char *const sets[] = {"cache.tiers.redis.address=unix:/no/such,unix:/socket",
                                       "cache.tiers.disk.enabled=false", NULL};
    static const char *const folder[] = {"cache.tiers.redis.enabled=false",
                                         "cache.tiers.disk.folder=/no/such/folder/at/all", NULL};
    const char *const *const both[] = {sets, folder};
    for (int i = 0; i < 2; i++) {
        int rc = 0;
        made(both[i]);
        struct real *real = real_open(&plan, &r, NULL, NULL, &rc, error);
        ck_assert_ptr_null(real);
        ck_assert_int_lt(rc, 0);
        ck_assert_msg(error[0] && !strchr(error, '\n'), "%s", error);
        unmade();
    }
    real_close(NULL);
}
END_TEST

START_TEST(this_machine)
{
    const struct real_machine machine = real_machine();
    ck_assert_uint_gt(machine.memory_b, 1 << 20);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("real_resolve");
    TCase *tc = tcase_create("plan");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, shape_and_sizes);
    tcase_add_test(tc, options);
    tcase_add_test(tc, none_is_a_codec_where_nothing_is_staged);
    tcase_add_test(tc, heads_over_gpus);
    tcase_add_test(tc, width_of_kv);
    tcase_add_test(tc, host_of_the_cluster);
    tcase_add_test(tc, epoch_tells_runs_apart);
    tcase_add_test(tc, pages_by_themselves);
    tcase_add_loop_test(tc, refuses, 0, sizeof refusals / sizeof refusals[0]);
    tcase_add_test(tc, too_little_memory);
    tcase_add_test(tc, opening_fails_clean);
    tcase_add_test(tc, this_machine);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
