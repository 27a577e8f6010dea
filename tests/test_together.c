/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_together.c - every two features, asked for together: those of the table are refused by its words, all others
 * are accepted.
 *
 * What brings a feature is told here a second time, as a user would ask for it, and what comes with it: so the table
 * is tried by the way through files and settings, not by its own idea of what a scenario has. ARCHITECTURE.md shows
 * the same table; where it differs, the message is what it has to say.
 */
#include "cli/real.h"
#include "cli/together.h"

#include <errno.h>
#include <string.h>

#include "kvt_test.h"

static struct catalog *catalogue;
static char error[SCENARIO_ERROR_SIZE];

static void setup(void)
{
    ck_assert_msg(catalog_load(&catalogue, "scenarios/catalog", error, sizeof error) == 0, "%s",
                  error);
}

static void teardown(void)
{
    catalog_free(catalogue);
}

static const char base[] =
    "cluster: {model: llama-3.1-8b, host: local, network: loopback, engines: 2, gpus_per_engine: "
    "2}\n"
    "cache:\n"
    "  block_tokens: 64\n"
    "  tiers:\n"
    "    - {kind: gpu, capacity: auto}\n"
    "    - {kind: host, capacity: 1GiB}\n"
    "    - {kind: redis, node: local, server: local, nodes: 2, capacity: 2GiB}\n";

/* Settings that bring each; with a question mark: unless the other of the pair says otherwise. */
static const char *const brings[TOGETHER_FEATURES][4] = {
    [TOGETHER_REAL] = {"world=real"},
    [TOGETHER_MACHINE] = {"?cluster.host=local"}, /* with workers, as a profile has it */
    [TOGETHER_FAULTS] = {"faults=[{at: 30s, kill: redis/0, for: 20s}]"},
    [TOGETHER_ROLLOUT] = {"rollout.at=60s"},
    [TOGETHER_REGIONS] = {"regions.names=east,west"},
    [TOGETHER_RATIO] = {"prices.inter_region_ratio=50%"},
    [TOGETHER_SHARD] = {"?cache.shard.policy=horizontal"},
    [TOGETHER_HEAD] = {"cache.shard.policy=head"},
    [TOGETHER_SLICES] = {"?cache.shard.policy=vertical"},
    [TOGETHER_IN_PLACE] = {"?cache.shard.policy=horizontal", "cache.shard.access=in_place"},
    [TOGETHER_COPIES] = {"?cache.shard.policy=horizontal", "cache.shard.replicas=2"},
    [TOGETHER_RESIZE] = {"?cache.shard.policy=horizontal", "cache.shard.resize_at=60s",
                         "cache.shard.resize_gpus=4"},
    [TOGETHER_PEER] = {"cache.tiers.peer.enabled=true"},
    [TOGETHER_BACK] = {"cache.tiers.host.write=back"},
    [TOGETHER_REDIS_BACK] = {"cache.tiers.redis.write=back"},
    [TOGETHER_FUTURE] = {"cache.tiers.gpu.evict=belady"},
    [TOGETHER_PARTIAL] = {"cache.partial_blocks=true"},
    [TOGETHER_RADIX] = {"cache.match.radix=true", "?cache.match.chain=false"},
    [TOGETHER_PARTS] = {"cache.match.radix=true", "cache.match.chain=true"},
    [TOGETHER_SIMILAR] = {"cache.match.approximate.threshold=0.9"},
    [TOGETHER_WINDOW] = {"cluster.model=gemma-3-27b"},
};

/* Refused for what they are, not for what they are together. */
static bool elsewhere(enum together_feature a, enum together_feature b)
{
    return (a == TOGETHER_BACK && b == TOGETHER_REDIS_BACK) || /* one tier is written back */
           (a == TOGETHER_REAL && b == TOGETHER_WINDOW);       /* a model of another shape */
}

/* What the two bring, by the meaning of the words. */
static void expect(bool has[], enum together_feature a, enum together_feature b)
{
    memset(has, 0, TOGETHER_FEATURES * sizeof *has);
    has[a] = has[b] = true;
    for (int f = TOGETHER_HEAD; f <= TOGETHER_RESIZE; f++)
        has[TOGETHER_SHARD] |= has[f];
    has[TOGETHER_SLICES] = has[TOGETHER_SHARD] && !has[TOGETHER_HEAD];
    has[TOGETHER_BACK] |= has[TOGETHER_REDIS_BACK];
    has[TOGETHER_RADIX] |= has[TOGETHER_PARTS];
    has[TOGETHER_MACHINE] &= !has[TOGETHER_REAL]; /* the machine itself is simulated then */
    has[TOGETHER_IN_PLACE] &= has[TOGETHER_SLICES];
}

static int set_all(struct scenario *s, enum together_feature f, bool first)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < 4 && brings[f][i]; i++)
        if ((brings[f][i][0] == '?') == first)
            rc = scenario_set(s, brings[f][i] + first, error);
    return rc;
}

/* As far as a run goes before it begins. The features that were found go to has. */
static int ask(enum together_feature a, enum together_feature b, bool has[])
{
    static const struct real_machine large = {.memory_b = UINT64_C(64) << 30};
    struct scenario s;
    struct resolved r;
    struct real_plan plan = {0};
    char why[256];
    for (uint32_t h = 0; h < catalogue->hosts.n; h++)
        if (strcmp(catalogue->hosts.entries[h].name, "local") == 0)
            catalogue->hosts.entries[h].workers.number =
                a == TOGETHER_MACHINE || b == TOGETHER_MACHINE ? 2 : 0;
    error[0] = '\0';
    int rc = scenario_load_text(&s, "x.yaml", base, sizeof base - 1, error);
    if (rc != 0)
        return rc;
    for (int first = 1; rc == 0 && first >= 0; first--) {
        rc = set_all(&s, a, first);
        rc = rc ? rc : set_all(&s, b, first);
    }
    rc = rc ? rc : scenario_type(&s, error);
    ck_assert_msg(rc == 0, "%s", error);
    rc = resolve(&r, &s, catalogue, 512, error);
    together_look(has, &r, &s, catalog_model(catalogue, s.cluster.model, why, sizeof why));
    if (rc == 0 && s.world == WORLD_REAL)
        rc = real_plan_make(&plan, &r, &s, catalogue, &large, error);
    real_plan_release(&plan);
    scenario_release(&s);
    return rc;
}

/* Does the message say this, whatever stands for an asterisk? */
static bool says(const char *message, const char *text)
{
    char part[256];
    snprintf(part, sizeof part, "%.*s", (int)strcspn(text, "*"), text);
    const char *at = strstr(message, part);
    const char *rest = strchr(text, '*');
    return at && (!rest || strstr(at, rest + 1));
}

START_TEST(every_pair)
{
    bool told[64] = {false}, found[TOGETHER_FEATURES], has[TOGETHER_FEATURES];
    ck_assert_uint_le(together_n_refusals, 64);
    for (int a = 0; a < TOGETHER_FEATURES; a++) {
        for (int b = a; b < TOGETHER_FEATURES; b++) {
            ck_assert_msg(brings[a][0] && together_names[a], "feature %d: what brings it?", a);
            expect(has, (enum together_feature)a, (enum together_feature)b);
            const int rc = ask((enum together_feature)a, (enum together_feature)b, found);
            for (int f = 0; f < TOGETHER_FEATURES; f++)
                ck_assert_msg(found[f] == has[f], "%s and %s: %s was%s found", together_names[a],
                              together_names[b], together_names[f], found[f] ? "" : " not");
            size_t i = 0;
            while (i < together_n_refusals &&
                   !(has[together_refusals[i].a] && has[together_refusals[i].b]))
                i++;
            if (i < together_n_refusals) {
                const struct together_refusal *no = &together_refusals[i];
                told[i] = true;
                ck_assert_msg(rc == -EINVAL && says(error, no->path) && says(error, no->want) &&
                                  !strchr(error, '*') && !strchr(error, '\n'),
                              "%s and %s: %d, %s", together_names[a], together_names[b], rc, error);
            } else if (!elsewhere((enum together_feature)a, (enum together_feature)b)) {
                ck_assert_msg(rc == 0, "%s and %s: %d, %s", together_names[a], together_names[b],
                              rc, error);
            }
        }
    }
    for (size_t i = 0; i < together_n_refusals; i++)
        ck_assert_msg(told[i], "nobody reads: %s: %s", together_refusals[i].path,
                      together_refusals[i].want);
}
END_TEST

/* One line of ARCHITECTURE.md for each feature that excludes another, in the order of the names. */
static void table(char *out, size_t size)
{
    size_t at = 0;
    for (int f = 0; f < TOGETHER_FEATURES; f++) {
        bool no[TOGETHER_FEATURES] = {false};
        const char *between = "| ";
        for (size_t i = 0; i < together_n_refusals; i++) {
            const struct together_refusal *pair = &together_refusals[i];
            if ((int)pair->a == f)
                no[pair->b] = true;
            if ((int)pair->b == f)
                no[pair->a] = true;
        }
        for (int other = 0; other < TOGETHER_FEATURES; other++) {
            if (!no[other])
                continue;
            if (between[0] == '|')
                at += (size_t)snprintf(out + at, size - at, "| %s ", together_names[f]);
            at += (size_t)snprintf(out + at, size - at, "%s%s", between, together_names[other]);
            between = ", ";
        }
        if (between[0] == ',')
            at += (size_t)snprintf(out + at, size - at, " |\n");
        ck_assert_uint_lt(at, size);
    }
}

START_TEST(architecture_shows_it)
{
    static char have[256 * 1024], want[8192];
    static const char head[] = "| this | not with |\n|---|---|\n";
    table(want, sizeof want);
    FILE *file = fopen("ARCHITECTURE.md", "r");
    ck_assert_ptr_nonnull(file);
    have[fread(have, 1, sizeof have - 1, file)] = '\0';
    fclose(file);
    const char *at = strstr(have, head);
    ck_assert_msg(at, "ARCHITECTURE.md: expected the table\n%s%s", head, want);
    at += sizeof head - 1;
    const char *end = strstr(at, "\n\n");
    ck_assert_msg(end && (size_t)(end + 1 - at) == strlen(want) &&
                      strncmp(at, want, strlen(want)) == 0,
                  "ARCHITECTURE.md: expected under \"not with\"\n%s", want);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("together");
    TCase *pairs = tcase_create("pairs");
    tcase_add_checked_fixture(pairs, setup, teardown);
    tcase_add_test(pairs, every_pair);
    tcase_add_test(pairs, architecture_shows_it);
    suite_add_tcase(suite, pairs);
    return kvt_test_main(suite);
}
