/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_scenario.c - scenario files: what is read, what is refused and with which line, what --set does.
 *
 * Messages are compared whole: they are what a user sees, and the line number is half of their worth.
 */
#include "cli/scenario.h"
#include "workload/workload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvt_test.h"

/* Loads, sets (a NULL-terminated list, or NULL) and types text. Returns the status; the message is in
 * error. */
static int load(struct scenario *s, const char *text, const char *const *sets, char *error)
{
    error[0] = '\0';
    int rc = scenario_load_text(s, "x.yaml", text, strlen(text), error);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && sets && sets[i]; i++)
        rc = scenario_set(s, sets[i], error);
    if (rc == 0)
        rc = scenario_type(s, error);
    if (rc != 0)
        scenario_release(s);
    return rc;
}

static const char full[] =
    "question: does it pay?\n"
    "seed: 7\n"
    "workload:\n"
    "  trace: t.jsonl\n"
    "  rate_scale: 2\n"
    "  limit: 5000\n"
    "cluster:\n"
    "  model: llama-3.1-70b\n"
    "  engines: 4\n"
    "  router: hash-affinity\n"
    "cache:\n"
    "  block_tokens: 512\n"
    "  page_tokens: 16\n"
    "  match: {chain: false, exact: true}\n"
    "  load_or_compute: always\n"
    "  tiers:\n"
    "    - {kind: gpu, capacity: auto, touch: head}\n"
    "    - {kind: redis, nodes: 10, replicas: 1, codec: [fp16, zlib-3], ttl: 24h, write: none}\n"
    "    - {kind: disk, capacity: 8TiB, enabled: false}\n";

START_TEST(reads_all_kinds_of_values)
{
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE];
    ck_assert_msg(load(&s, full, NULL, error) == 0, "%s", error);
    ck_assert_str_eq(s.question, "does it pay?");
    ck_assert_uint_eq(s.seed, 7);
    ck_assert_uint_eq(s.world, WORLD_SIM);
    ck_assert_str_eq(s.workload.trace, "t.jsonl");
    ck_assert_double_eq(s.workload.rate_scale, 2);
    ck_assert_uint_eq(s.workload.limit, 5000);
    ck_assert_uint_eq(s.workload.max_output_tokens, UINT64_MAX);
    ck_assert_str_eq(s.cluster.model, "llama-3.1-70b");
    ck_assert_uint_eq(s.cluster.router, KVT_ROUTE_HASH_AFFINITY);
    ck_assert_uint_eq(s.cluster.max_batch_tokens, 0);
    ck_assert(!s.cache.match_chain && s.cache.match_exact);
    ck_assert_uint_eq(s.cache.load_or_compute, KVT_LOAD_ALWAYS);
    const struct scenario_tier *tiers = s.cache.tiers;
    ck_assert(tiers[KVT_GPU].enabled && tiers[KVT_REDIS].enabled);
    ck_assert(!tiers[KVT_HOST].enabled && !tiers[KVT_DISK].enabled && !tiers[KVT_PEER].enabled);
    ck_assert_int_eq(tiers[KVT_GPU].capacity.kind, UNITS_AUTO);
    ck_assert_uint_eq(tiers[KVT_GPU].touch, KVT_TOUCH_HEAD);
    ck_assert_str_eq(tiers[KVT_REDIS].codec, "fp16,zlib-3");
    ck_assert_uint_eq(tiers[KVT_REDIS].ttl_ns, 86400 * KVT_SECOND);
    ck_assert_uint_eq(tiers[KVT_REDIS].write, WRITE_NONE);
    ck_assert(tiers[KVT_REDIS].probe);
    char where[128];
    ck_assert_str_eq(scenario_where(&s, "cluster.model", where, sizeof where),
                     "x.yaml:8: cluster.model");
    ck_assert_str_eq(scenario_where(&s, "cache.tiers.redis.ttl", where, sizeof where),
                     "x.yaml:18: cache.tiers.redis.ttl");
    ck_assert_str_eq(scenario_where(&s, "cluster.gpu", where, sizeof where),
                     "x.yaml: cluster.gpu (default)");
    scenario_release(&s);
}
END_TEST

START_TEST(every_default_is_accepted)
{
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE];
    static const char *const all_tiers[] = {"cache.tiers.host.enabled=true",
                                            "cache.tiers.redis.enabled=true",
                                            "cache.tiers.disk.enabled=true", NULL};
    ck_assert_msg(load(&s, "seed: 1\n", all_tiers, error) == 0, "%s", error);
    ck_assert_ptr_null(s.workload.trace);
    ck_assert(s.cache.tiers[KVT_HOST].enabled && s.cache.tiers[KVT_DISK].enabled);
    ck_assert_uint_eq(s.cache.tiers[KVT_GPU].ttl_ns, KVT_NEVER);
    scenario_release(&s);
}
END_TEST

START_TEST(format_names_are_the_workloads)
{
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE], text[96];
    for (int format = WL_AUTO; format < WL_FORMATS; format++) {
        snprintf(text, sizeof text, "workload: {trace: t, format: %s}\n",
                 wl_format_name((enum wl_format)format));
        ck_assert_msg(load(&s, text, NULL, error) == 0, "%s", error);
        ck_assert_uint_eq(s.workload.format, (uint64_t)format);
        scenario_release(&s);
    }
}
END_TEST

START_TEST(real_world_keys)
{
    static const char text[] = "world: real\n"
                               "cluster: {kv_dtype: fp32, host: local}\n"
                               "real: {device: host, threads: 3, verify: false, stage: 64MiB}\n"
                               "cache:\n"
                               "  tiers:\n"
                               "    - kind: redis\n"
                               "      address: [\"redis://u:p@h:1\", \"unix:/s\"]\n"
                               "      layout: per-layer\n"
                               "      depth: 8\n"
                               "    - {kind: disk, capacity: 1GiB, folder: d, sync: full, "
                               "direct: true, keep: true}\n";
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE];
    ck_assert_msg(load(&s, text, NULL, error) == 0, "%s", error);
    ck_assert_uint_eq(s.world, WORLD_REAL);
    ck_assert_uint_eq(s.cluster.kv_dtype, DTYPE_FP32);
    ck_assert_str_eq(s.cluster.host, "local");
    ck_assert_uint_eq(s.real.device, DEVICE_HOST);
    ck_assert_uint_eq(s.real.threads, 3);
    ck_assert(!s.real.verify);
    ck_assert_uint_eq(s.real.stage.value, 64 << 20);
    const struct scenario_tier *redis = &s.cache.tiers[KVT_REDIS];
    ck_assert_str_eq(redis->address, "redis://u:p@h:1,unix:/s");
    ck_assert_str_eq(redis->codec, "none");
    ck_assert_uint_eq(redis->layout, LAYOUT_PER_LAYER);
    ck_assert_uint_eq(redis->depth, 8);
    const struct scenario_tier *disk = &s.cache.tiers[KVT_DISK];
    ck_assert_str_eq(disk->folder, "d");
    ck_assert_uint_eq(disk->sync, SYNC_FULL);
    ck_assert(disk->direct && disk->keep);
    scenario_release(&s);

    static const char *const few[] = {"cache.tiers.redis.enabled=true",
                                      "cache.tiers.disk.enabled=true", NULL};
    ck_assert_msg(load(&s, "seed: 1\n", few, error) == 0, "%s", error);
    ck_assert_uint_eq(s.real.device, DEVICE_AUTO);
    ck_assert_uint_eq(s.real.threads, 0);
    ck_assert(s.real.verify);
    ck_assert_int_eq(s.real.stage.kind, UNITS_AUTO);
    ck_assert_str_eq(s.cache.tiers[KVT_REDIS].address, "spawn");
    ck_assert_ptr_null(s.cache.tiers[KVT_DISK].folder);
    scenario_release(&s);
    ck_assert_int_ne(load(&s, "real: {stage: 3blocks}\n", NULL, error), 0);
    ck_assert_str_eq(error, "x.yaml:1: real.stage: expected a size such as 256MiB, or auto");
}
END_TEST

/* Passwords are for servers: neither --explain nor run.json has them. */
START_TEST(passwords_are_masked)
{
    static const char *const pairs[][2] = {
        {"redis://u:secret@h:6379/0", "redis://u:***@h:6379/0"},
        {"redis://:secret@h", "redis://:***@h"},
        {"redis://u@h:1", "redis://u@h:1"},
        {"redis://h:1/2", "redis://h:1/2"},
        {"unix:/a@b:c", "unix:/a@b:c"},
        {"redis://a:x@y@h,redis://b:z@g", "redis://a:***@h,redis://b:***@g"},
        {"--set cache.tiers.redis.address=redis://a:b@c --json",
         "--set cache.tiers.redis.address=redis://a:***@c --json"},
        {"redis://h:1,redis://a:b@c", "redis://h:1,redis://a:***@c"},
        {"://", "://"},
        {"", ""}};
    char out[256], cut[12];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        ck_assert_str_eq(scenario_mask(pairs[i][0], out, sizeof out), pairs[i][1]);
    ck_assert_uint_lt(strlen(scenario_mask("redis://user:secret@host", cut, sizeof cut)),
                      sizeof cut);
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE], *text;
    size_t size;
    static const char *const sets[] = {"cache.tiers.redis.address=[redis://u:secret@h, unix:/s]",
                                       NULL};
    ck_assert_msg(load(&s, "seed: 1\n", sets, error) == 0, "%s", error);
    FILE *out_file = open_memstream(&text, &size);
    scenario_explain(&s, out_file, NULL, NULL);
    fclose(out_file);
    ck_assert_ptr_null(strstr(text, "secret"));
    ck_assert_msg(strstr(text, "address: [\"redis://u:***@h\", \"unix:/s\"]") != NULL, "%s", text);
    free(text);
    char hash[65], other[65];
    ck_assert_int_eq(scenario_hash(&s, hash), 0);
    ck_assert_int_eq(scenario_set(&s, "cache.tiers.redis.address=redis://u:another@h,unix:/s",
                                  error),
                     0);
    ck_assert_int_eq(scenario_hash(&s, other), 0);
    ck_assert_str_ne(hash, other); /* a space less */
    ck_assert_int_eq(scenario_set(&s, "cache.tiers.redis.address=redis://u:third@h,unix:/s", error),
                     0);
    ck_assert_int_eq(scenario_hash(&s, hash), 0);
    ck_assert_str_eq(hash, other);
    scenario_release(&s);
}
END_TEST

/* Every tier with every default has a hash: some keys have no text. */
START_TEST(defaults_have_a_hash)
{
    static const char *const all[] = {"cache.tiers.host.enabled=true",
                                      "cache.tiers.redis.enabled=true",
                                      "cache.tiers.disk.enabled=true", NULL};
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE], hash[65];
    ck_assert_msg(load(&s, "seed: 1\n", all, error) == 0, "%s", error);
    ck_assert_int_eq(scenario_hash(&s, hash), 0);
    ck_assert_uint_eq(strlen(hash), 64);
    scenario_release(&s);
}
END_TEST

START_TEST(set_adds_removes_and_overrides)
{
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE];
    static const char *const sets[] = {"cache.tiers.host.capacity=64GiB",
                                       "cache.tiers.redis.enabled=false",
                                       "cache.tiers.gpu.capacity=1000blocks",
                                       "cluster.engines=2",
                                       "cluster.engines=3",
                                       "cache.tiers.disk.enabled=true",
                                       NULL};
    ck_assert_msg(load(&s, full, sets, error) == 0, "%s", error);
    ck_assert(s.cache.tiers[KVT_HOST].enabled && !s.cache.tiers[KVT_REDIS].enabled);
    ck_assert_uint_eq(s.cache.tiers[KVT_HOST].capacity.value, UINT64_C(64) << 30);
    ck_assert_int_eq(s.cache.tiers[KVT_GPU].capacity.kind, UNITS_CAPACITY_BLOCKS);
    ck_assert_uint_eq(s.cluster.engines, 3);
    ck_assert(s.cache.tiers[KVT_DISK].enabled);
    ck_assert_uint_eq(s.cache.tiers[KVT_DISK].capacity.value, UINT64_C(8) << 40);
    scenario_release(&s);
    static const char *const lists[] = {"cache.tiers.redis.codec=[int8]", NULL};
    ck_assert_int_eq(load(&s, full, lists, error), 0);
    ck_assert_str_eq(s.cache.tiers[KVT_REDIS].codec, "int8");
    scenario_release(&s);
}
END_TEST

START_TEST(set_chooses_between_trace_and_generator)
{
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE];
    static const char *const trace[] = {"workload.trace=u.jsonl", NULL};
    static const char *const generate[] = {"workload.generate.requests=10", NULL};
    ck_assert_int_eq(load(&s, "workload: {generate: {kind: rag}}\n", trace, error), 0);
    ck_assert_str_eq(s.workload.trace, "u.jsonl");
    scenario_release(&s);
    ck_assert_int_eq(load(&s, "workload: {trace: t.jsonl}\n", generate, error), 0);
    ck_assert_ptr_null(s.workload.trace);
    scenario_release(&s);
}
END_TEST

START_TEST(hash_follows_values_not_words)
{
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE], first[65], second[65];
    static const char *const other[] = {"seed=8", NULL};
    static const char *const same[] = {"seed=7", "question=another one", NULL};
    ck_assert_int_eq(load(&s, full, NULL, error), 0);
    ck_assert_int_eq(scenario_hash(&s, first), 0);
    scenario_release(&s);
    ck_assert_int_eq(load(&s, full, same, error), 0);
    ck_assert_int_eq(scenario_hash(&s, second), 0);
    ck_assert_str_eq(first, second);
    scenario_release(&s);
    ck_assert_int_eq(load(&s, full, other, error), 0);
    ck_assert_int_eq(scenario_hash(&s, second), 0);
    ck_assert_str_ne(first, second);
    scenario_release(&s);
}
END_TEST

/* The explained scenario, loaded again, is the same scenario. */
START_TEST(explanation_is_a_scenario)
{
    struct scenario s, again;
    char error[SCENARIO_ERROR_SIZE], first[65], second[65];
    char *text = NULL;
    size_t len = 0;
    ck_assert_int_eq(load(&s, full, NULL, error), 0);
    ck_assert_int_eq(scenario_hash(&s, first), 0);
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    scenario_explain(&s, out, NULL, NULL);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "# x.yaml:8\n"));
    ck_assert_msg(load(&again, text, NULL, error) == 0, "%s\n%s", error, text);
    ck_assert_int_eq(scenario_hash(&again, second), 0);
    ck_assert_str_eq(first, second);
    free(text);
    scenario_release(&s);
    scenario_release(&again);
}
END_TEST

static const struct {
    const char *text, *set, *message;
} refusals[] = {
    /* names */
    {"cache:\n  blok_tokens: 3\n", NULL,
     "x.yaml:2: cache.blok_tokens: unknown key, did you mean block_tokens?"},
    {"wrkload: 3\n", NULL, "x.yaml:1: wrkload: unknown key, did you mean workload?"},
    {"zzz: 3\n", NULL,
     "x.yaml:1: zzz: unknown key, expected one of question, expect, seed, world, workload, "
     "cluster, "
     "real, cache, faults, rollout, regions, slo, prices, claim"},
    {"seed: 1\n", "cluster.engine=3", "--set: cluster.engine: unknown key, did you mean engines?"},
    {"seed: 1\n", "cache=3", "--set: cache: expected a key with a value"},
    {"seed: 1\n", "seed", "--set: seed: expected key=value"},
    {"seed: 1\n", "=3", "--set: =3: expected key=value"},
    {"seed: 1\nseed: 2\n", NULL, "x.yaml:2: seed: expected once, but this is the second time"},
    {"cache:\n  tiers:\n    - {kind: gpu, node: x}\n", NULL,
     "x.yaml:3: cache.tiers.gpu.node: not a key of the gpu tier, expected one of enabled, "
     "capacity, "
     "ttl, ttl_refresh, evict, prefix_closed, evict_small, evict_ghost, evict_protected, "
     "evict_threshold, evict_warm_up, touch"},
    /* later work is refused, not ignored */
    {"cache:\n  shard: {policy: diagonal}\n", NULL,
     "x.yaml:2: cache.shard.policy: expected one of none, horizontal, vertical, hybrid, head, "
     "single"},
    /* faults */
    {"faults:\n  - {at: 30s}\n", NULL,
     "x.yaml:2: faults[0]: expected what happens, such as kill: redis/0; or partition, slow, "
     "corrupt, full"},
    {"faults: soon\n", NULL, "x.yaml:1: faults: expected a list of faults"},
    {"faults: [redis]\n", NULL,
     "x.yaml:1: faults[0]: expected a fault such as {at: 30s, kill: redis/0, for: 20s}"},
    {"faults:\n  - {at: 1s, kill: redis/0}\n  - {at: -1s, kill: redis/1}\n", NULL,
     "x.yaml:3: faults[1].at: expected a duration that is not negative, such as 250ms"},
    {"faults:\n  - {kill: redis/0, for: 20s}\n", NULL,
     "x.yaml:2: faults[0].at: expected a time, such as at: 30s; or every: 10min"},
    {"faults:\n  - {at: 1s, kill: redis/0, full: redis/0}\n", NULL,
     "x.yaml:2: faults[0].full: expected one of kill, partition, slow, corrupt and full in an "
     "entry, "
     "not two"},
    {"faults:\n  - {at: 1s, slow: redis/0}\n", NULL,
     "x.yaml:2: faults[0].factor: expected how slow: factor: 10, or latency: 5ms, or both"},
    {"faults:\n  - {at: 1s, kill: redis/0, fro: 2s}\n", NULL,
     "x.yaml:2: faults[0].fro: unknown key, expected one of at, every, kill, partition, slow, "
     "corrupt, full, for, factor, latency, share"},
    {"faults:\n  - {at: 1s, corrupt: redis/0, share: 0}\n", NULL,
     "x.yaml:2: faults[0].share: expected a share of the values above 0, such as 1%"},
    {"seed: 1\n", "faults={at: 1s kill: redis/0}",
     "--set: faults[0].at: expected a duration with unit, such as 250ms or 24h"},
    {"seed: 1\n", "faults=[{at: 1s, kill: redis/0}",
     "--set: faults: expected a list such as [{at: 30s, kill: redis/0, for: 20s}], or none"},
    {"cache: {shard: {lose_gpu: 5}}\n", NULL,
     "x.yaml:1: cache.shard.lose_gpu: expected under faults instead: faults: [{at: 1800s, kill: "
     "gpu/0.5}]"},
    /* matching */
    {"cache:\n  match: {chain: true, approximate: {threshold: 90}}\n", NULL,
     "x.yaml:2: cache.match.approximate.threshold: expected 0.01 to 1, or off"},
    {"cache:\n  match: {approximate: 0.9}\n", NULL,
     "x.yaml:2: cache.match.approximate: expected a section with keys"},
    {"cache:\n  match: {fuzzy: true}\n", NULL,
     "x.yaml:2: cache.match.fuzzy: unknown key, expected one of chain, exact, radix, approximate"},
    {"seed: 1\n", "cache.match.approximate.max_candidates=0",
     "--set: cache.match.approximate.max_candidates: expected a whole number from 1 to 1048576"},
    /* shapes */
    {"", NULL, "x.yaml:1: file: expected a mapping of keys to values, but it is empty"},
    {"- a\n", NULL, "x.yaml:1: file: expected keys such as workload, cluster and cache"},
    {"a: [\n", NULL,
     "x.yaml:2: syntax: expected valid YAML, but did not find expected node content"},
    {"seed: [1]\n", NULL, "x.yaml:1: seed: expected one value"},
    {"cache: 3\n", NULL, "x.yaml:1: cache: expected a section with keys"},
    {"cache:\n  tiers: {kind: gpu}\n", NULL, "x.yaml:2: cache.tiers: expected a list of tiers"},
    {"cache:\n  tiers:\n    - {kind: gpu}\n    - {kind: gpu}\n", NULL,
     "x.yaml:4: cache.tiers: expected one gpu tier, the first is in line 3"},
    {"cache:\n  tiers:\n    - {capacity: 1GiB}\n", NULL,
     "x.yaml:3: cache.tiers[0].kind: expected gpu, peer, host, redis or disk"},
    {"cache:\n  tiers:\n    - {kind: peer}\n", NULL,
     "x.yaml: cluster.engines (default): expected at least 2: the peer tier is what other engines' "
     "GPUs "
     "hold"},
    {"cluster:\n  engines: 2\ncache:\n  tiers:\n    - {kind: peer}\n", "cluster.engines=1",
     "--set: cluster.engines: expected at least 2: the peer tier is what other engines' GPUs hold"},
    {"cluster:\n  engines: 1\ncache:\n  tiers:\n    - {kind: gpu}\n",
     "cache.tiers.peer.enabled=true",
     "x.yaml:2: cluster.engines: expected at least 2: the peer tier is what other engines' GPUs "
     "hold"},
    {"cluster:\n  engines: 2\ncache:\n  tiers:\n    - {kind: peer, capacity: 1GiB}\n", NULL,
     "x.yaml:5: cache.tiers.peer.capacity: not a key of the peer tier, expected one of enabled, "
     "promote, connections"},
    {"cache:\n  tiers:\n    - {kind: redis, codec: zlib-3}\n", NULL,
     "x.yaml:3: cache.tiers.redis.codec: expected a list, such as [fp16, zlib-3]"},
    {"seed: &a 1\n", NULL, "x.yaml:1: anchor: expected a file without anchors and aliases"},
    {"seed: 1\n---\nseed: 2\n", NULL,
     "x.yaml:2: file: expected one document, but a second one begins here"},
    {"\"a\\nb\": 1\n", NULL,
     "x.yaml:1: a?b: unknown key, expected one of question, expect, seed, world, workload, "
     "cluster, "
     "real, cache, faults, rollout, regions, slo, prices, claim"},
    /* values */
    {"cache:\n  tiers:\n    - kind: host\n      capacity: 512\n", NULL,
     "x.yaml:4: cache.tiers.host.capacity: expected a capacity above zero: a size such as 512GiB, "
     "20000blocks, auto or infinite"},
    {"cache:\n  tiers:\n    - {kind: host, capacity: -1GiB}\n", NULL,
     "x.yaml:3: cache.tiers.host.capacity: expected a capacity above zero: a size such as 512GiB, "
     "20000blocks, auto or infinite"},
    {"seed: 1\n", "cache.tiers.gpu.capacity=0blocks",
     "--set: cache.tiers.gpu.capacity: expected a capacity above zero: a size such as 512GiB, "
     "20000blocks, auto or infinite"},
    {"cache:\n  tiers:\n    - {kind: redis, ttl: 24}\n", NULL,
     "x.yaml:3: cache.tiers.redis.ttl: expected a duration with unit, such as 250ms or 24h, or "
     "none"},
    {"cluster:\n  router: best\n", NULL,
     "x.yaml:2: cluster.router: expected one of round-robin, least-loaded, hash-affinity, "
     "prefix-aware"},
    {"cluster:\n  engines: 0\n", NULL,
     "x.yaml:2: cluster.engines: expected a whole number from 1 to 4096"},
    {"workload:\n  rate_scale: 0\n", NULL,
     "x.yaml:2: workload.rate_scale: expected 1e-06 to 1e+06"},
    {"workload:\n  trace:\n", NULL, "x.yaml:2: workload.trace: expected a value"},
    {"cache:\n  enabled: maybe\n", NULL, "x.yaml:2: cache.enabled: expected true or false"},
    /* between values */
    {"cache:\n  block_tokens: 512\n  page_tokens: 100\n", NULL,
     "x.yaml:3: cache.page_tokens: expected a divisor of cache.block_tokens, which is 512"},
    {"cache:\n  match: {chain: false, exact: false}\n", NULL,
     "x.yaml:2: cache.match.exact: expected chain or exact to be true"},
    {"seed: 1\n", "cache.tiers.gpu.enabled=false",
     "--set: cache.tiers.gpu.enabled: expected true: without the gpu tier set cache.enabled to "
     "false"},
    {"seed: 1\n", "cache.tiers.gpu.capacity=infinite",
     "--set: cache.tiers.gpu.capacity: expected auto, a size or blocks: infinite is for the null "
     "world"},
    {"cache:\n  tiers:\n    - {kind: redis, nodes: 3, replicas: 1}\n", NULL,
     "x.yaml:3: cache.tiers.redis.nodes: expected an even number, half of them replicas"},
    {"workload:\n  trace: t\n  generate: {kind: chat}\n", NULL,
     "x.yaml:2: workload.trace: expected either trace or generate, but both are given"},
};

START_TEST(refuses_with_one_line)
{
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE];
    const char *sets[] = {refusals[_i].set, NULL};
    ck_assert_msg(load(&s, refusals[_i].text, sets, error) == -EINVAL, "%s", refusals[_i].text);
    ck_assert_str_eq(error, refusals[_i].message);
}
END_TEST

START_TEST(refuses_what_is_no_file)
{
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE];
    ck_assert_int_eq(scenario_load(&s, "no/such.yaml", error), -ENOENT);
    ck_assert_str_eq(error, "no/such.yaml: expected a readable file: No such file or directory");
    ck_assert_int_eq(scenario_load(&s, ".", error), -EISDIR);
    ck_assert_str_eq(error, ".: expected a file, but it is a folder");
}
END_TEST

/* Nesting, long keys and many values end in a message, never in a crash. */
START_TEST(bounds_hold)
{
    struct scenario s;
    char error[SCENARIO_ERROR_SIZE];
    static char text[200000];
    memset(text, '[', sizeof text - 1);
    ck_assert_int_ne(load(&s, text, NULL, error), 0);
    memset(text, 'k', sizeof text - 1);
    memcpy(text + 1000, ": 1\n", 5);
    ck_assert_int_ne(load(&s, text, NULL, error), 0);
    ck_assert_uint_lt(strlen(error), SCENARIO_ERROR_SIZE);
    size_t at =
        (size_t)snprintf(text, sizeof text, "cache:\n  tiers:\n    - {kind: redis, codec: [");
    for (int i = 0; i < 2000; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "zlib-3,");
    snprintf(text + at, sizeof text - at, "]}\n");
    ck_assert_int_ne(load(&s, text, NULL, error), 0);
    ck_assert_ptr_null(strchr(error, '\n'));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scenario");
    TCase *tests = tcase_create("scenario");
    tcase_add_test(tests, reads_all_kinds_of_values);
    tcase_add_test(tests, every_default_is_accepted);
    tcase_add_test(tests, format_names_are_the_workloads);
    tcase_add_test(tests, real_world_keys);
    tcase_add_test(tests, passwords_are_masked);
    tcase_add_test(tests, defaults_have_a_hash);
    tcase_add_test(tests, set_adds_removes_and_overrides);
    tcase_add_test(tests, set_chooses_between_trace_and_generator);
    tcase_add_test(tests, hash_follows_values_not_words);
    tcase_add_test(tests, explanation_is_a_scenario);
    tcase_add_loop_test(tests, refuses_with_one_line, 0,
                        (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_test(tests, refuses_what_is_no_file);
    tcase_add_test(tests, bounds_hold);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
