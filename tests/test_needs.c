/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_needs.c - keys that do nothing without another: each of the table alone, beside what it needs, and as it is anyway.
 *
 * What is a value of a key other than its default is told here, once for each; a key that is missing here fails.
 */
#include "cli/scenario.h"

#include <errno.h>
#include <string.h>

#include "kvt_test.h"

static char error[SCENARIO_ERROR_SIZE];

/* A value that does something. */
static const struct {
    const char *path, *value;
} values[] = {
    {"workload.format", "qwen"},
    {"workload.trace_block_tokens", "64"},
    {"workload.synth.system_tokens", "9"},
    {"workload.synth.continues", "10%"},
    {"workload.synth.idle", "9s"},
    {"cache.match.approximate.max_candidates", "9"},
    {"cache.shard.access", "in_place"},
    {"cache.shard.replicas", "2"},
    {"cache.shard.rereplicate", "false"},
    {"cache.shard.slice", "64"},
    {"cache.shard.variant", "interleaved"},
    {"cache.shard.recent", "all"},
    {"rollout.share", "25%"},
    {"rollout.every", "60s"},
    {"rollout.by", "tenant"},
    {"rollout.warm_up", "hot"},
    {"rollout.blocks", "200"},
    {"rollout.lead", "60s"},
    {"rollout.drop", "true"},
    {"rollout.watch", "60s"},
    {"regions.share", "60%,40%"},
    {"regions.engines", "1,1"},
    {"regions.link", "ethernet-100g"},
    {"regions.round_trip", "60ms"},
    {"regions.bandwidth", "50Gb/s"},
    {"regions.connection", "5Gb/s"},
    {"regions.roam", "10%"},
    {"regions.policy", "replicate"},
    {"prices.zones", "0.02USD/GB"},
    {"prices.regions", "0.02USD/GB"},
    {"ttl_refresh", "true"},
    {"evict_small", "20%"},
    {"evict_ghost", "20%"},
    {"evict_protected", "20%"},
    {"evict_threshold", "3"},
    {"evict_warm_up", "main"},
    {"write_after", "3"},
    {"failover", "cluster-default"},
};

static const char *value_of(const char *path)
{
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strcmp(values[i].path, path) == 0)
            return values[i].value;
    ck_abort_msg("%s needs another key: which value of it does something?", path);
    return NULL;
}

/* The other one given, but off. */
static const char *switch_of(const char *path)
{
    static const char *const texts[][2] = {
        {"workload.trace", "t.jsonl"},
        {"cache.match.approximate.threshold", "off"},
        {"cache.shard.policy", "none"},
        {"rollout.at", "never"},
        {"rollout.warm_up", "none"},
        {"regions.names", "none"},
        {"prices.inter_zone_ratio", "0"},
        {"prices.inter_region_ratio", "0"},
        {"ttl", "none"},
        {"evict", "lru"},
        {"write", "through"},
        {"replicas", "0"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i][0], path) == 0)
            return texts[i][1];
    ck_abort_msg("%s is needed by another key: what turns it off?", path);
    return NULL;
}

/* "section.path=value" as --set has it. Returns what typing returns. */
static int ask(const char *section, const char *path, const char *value, const char *needed)
{
    static const char text[] = "cache:\n  tiers:\n    - {kind: host}\n    - {kind: redis}\n";
    struct scenario s;
    char set[256];
    ck_assert_int_eq(scenario_load_text(&s, "x.yaml", text, sizeof text - 1, error), 0);
    snprintf(set, sizeof set, "%s%s=%s", section, path, value);
    ck_assert_msg(scenario_set(&s, set, error) == 0, "%s", error);
    if (needed) {
        snprintf(set, sizeof set, "%s%s=%s", section, needed, switch_of(needed));
        ck_assert_msg(scenario_set(&s, set, error) == 0, "%s", error);
    }
    const int rc = scenario_type(&s, error);
    scenario_release(&s);
    return rc;
}

static void try_key(const struct scenario_key *key, const char *section)
{
    char want[SCENARIO_ERROR_SIZE];
    const char *value = value_of(key->path);
    ck_assert_str_ne(value, key->fallback);
    ck_assert_int_eq(ask(section, key->path, value, NULL), -EINVAL);
    snprintf(want, sizeof want,
             "--set: %s%s: expected %s%s beside it, without which it does nothing", section,
             key->path, section, key->needs);
    ck_assert_str_eq(error, want);
    ck_assert_msg(ask(section, key->path, key->fallback, NULL) == 0, "%s", error);
    for (const char *at = key->needs; at;) {
        const char *more = strstr(at, " or ");
        char one[64];
        snprintf(one, sizeof one, "%.*s", (int)(more ? (size_t)(more - at) : strlen(at)), at);
        const int rc = ask(section, key->path, value, one);
        ck_assert_msg(rc == 0, "%s beside %s: %s", key->path, one, error);
        at = more ? more + 4 : NULL;
    }
}

START_TEST(keys)
{
    size_t n, found = 0;
    const struct scenario_key *all = scenario_keys(&n);
    for (size_t i = 0; i < n; i++) {
        if (!all[i].needs)
            continue;
        try_key(&all[i], "");
        found++;
    }
    all = scenario_tier_keys(&n);
    for (size_t i = 0; i < n; i++) {
        if (!all[i].needs)
            continue;
        try_key(&all[i],
                all[i].kinds & (1u << KVT_HOST) ? "cache.tiers.host." : "cache.tiers.redis.");
        found++;
    }
    ck_assert_uint_eq(found, sizeof values / sizeof *values);
}
END_TEST

/* The line of the file, not of the key that is missing. */
START_TEST(a_file_names_its_line)
{
    static const char text[] = "seed: 1\nrollout:\n  every: 10s\n";
    struct scenario s;
    ck_assert_int_eq(scenario_load_text(&s, "x.yaml", text, sizeof text - 1, error), 0);
    ck_assert_int_eq(scenario_type(&s, error), -EINVAL);
    ck_assert_str_eq(error,
                     "x.yaml:3: rollout.every: expected rollout.at beside it, without which it "
                     "does nothing");
    ck_assert_int_eq(scenario_set(&s, "rollout.at=100s", error), 0);
    ck_assert_msg(scenario_type(&s, error) == 0, "%s", error);
    scenario_release(&s);
}
END_TEST

/* A trace that --set takes the place of takes what belongs to it along. */
START_TEST(explanation_without_trace)
{
    static const char text[] = "workload: {trace: t.jsonl, format: qwen}\n";
    struct scenario s, again;
    char *out = NULL;
    size_t len = 0;
    ck_assert_int_eq(scenario_load_text(&s, "x.yaml", text, sizeof text - 1, error), 0);
    ck_assert_int_eq(scenario_set(&s, "workload.generate.kind=rag", error), 0);
    ck_assert_msg(scenario_type(&s, error) == 0, "%s", error);
    FILE *file = open_memstream(&out, &len);
    ck_assert_ptr_nonnull(file);
    scenario_explain(&s, file, NULL, NULL);
    fclose(file);
    ck_assert_int_eq(scenario_load_text(&again, "y.yaml", out, len, error), 0);
    ck_assert_msg(scenario_type(&again, error) == 0, "%s\n%s", error, out);
    free(out);
    scenario_release(&again);
    scenario_release(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("needs");
    TCase *tests = tcase_create("needs");
    tcase_add_test(tests, keys);
    tcase_add_test(tests, a_file_names_its_line);
    tcase_add_test(tests, explanation_without_trace);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
