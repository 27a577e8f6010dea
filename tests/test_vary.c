/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_vary.c - what varies (cli/vary.h): lists and ranges as texts, points as digits, and one line for each mistake.
 */
#include <math.h>
#include <string.h>

#include "cli/vary.h"
#include "kvt_test.h"

static const char scenario_text_yaml[] = "workload: {generate: {kind: chat, requests: 10}}\n"
                                         "cache: {tiers: [{kind: host, capacity: 1GiB}]}\n";

/* The values of a spec, joined by blanks; or the message. */
static const char *values_of(const char *spec)
{
    static char text[4096];
    char error[SCENARIO_ERROR_SIZE];
    struct vary v = {0};
    size_t at = 0;
    text[0] = '\0';
    int rc = vary_add(&v, "--vary", spec, error);
    for (size_t i = 0; rc == 0 && i < v.keys[0].n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", i ? " " : "",
                               v.keys[0].values[i].text);
    if (rc != 0)
        snprintf(text, sizeof text, "%s", error);
    vary_release(&v);
    return text;
}

START_TEST(lists_are_split_outside_brackets)
{
    ck_assert_str_eq(values_of("cluster.router=a,b,c"), "a b c");
    ck_assert_str_eq(values_of("k= a , b "), "a b");
    ck_assert_str_eq(values_of("workload.generate.arrivals=poisson,gamma(cv=2),diurnal(a=1,b=2)"),
                     "poisson gamma(cv=2) diurnal(a=1,b=2)");
    ck_assert_str_eq(values_of("cache.tiers.host.codec=none,[fp16,zlib-3]"), "none [fp16,zlib-3]");
    ck_assert_str_eq(values_of("workload.trace=../a.jsonl,b/../c"), "../a.jsonl b/../c");
    ck_assert_str_eq(values_of("seed=7"), "7");
}
END_TEST

START_TEST(ranges_are_written_as_people_write)
{
    ck_assert_str_eq(values_of("cluster.engines=1..5"), "1 2 3 4 5");
    ck_assert_str_eq(values_of("cluster.engines=2..9 step 3"), "2 5 8");
    ck_assert_str_eq(values_of("cluster.engines=4..4"), "4");
    ck_assert_str_eq(values_of("cluster.engines=1..64 log 7"), "1 2 4 8 16 32 64");
    ck_assert_str_eq(values_of("cluster.engines=1..4 log 9"), "1 2 3 4"); /* each once */
    ck_assert_str_eq(values_of("cache.tiers.host.capacity=64GiB..256GiB step 64GiB"),
                     "64GiB 128GiB 192GiB 256GiB");
    ck_assert_str_eq(values_of("cache.tiers.redis.capacity=64GiB..4TiB log 13"),
                     "64GiB 90.5GiB 128GiB 181GiB 256GiB 362GiB 512GiB 724GiB 1TiB 1.41TiB 2TiB "
                     "2.83TiB 4TiB");
    ck_assert_str_eq(values_of("cache.tiers.host.ttl=30s..2min step 30s"), "30s 60s 90s 2min");
    ck_assert_str_eq(values_of("workload.rate_scale=0.5..2 step 0.5"), "0.5 1 1.5 2");
    ck_assert_str_eq(values_of("workload.rate_scale=0.1..0.4 step 0.1"), "0.1 0.2 0.3 0.4");
    ck_assert_str_eq(values_of("workload.generate.rate=1/s..4/s step 1/s"), "1/s 2/s 3/s 4/s");
    ck_assert_str_eq(values_of("cache.tiers.gpu.capacity=1000blocks..4000blocks log 3"),
                     "1000blocks 2000blocks 4000blocks");
}
END_TEST

START_TEST(mistakes_are_one_line_that_names_the_key)
{
    static const struct {
        const char *spec, *says;
    } cases[] = {
        {"=1", "expected KEY=VALUES"},
        {"seed", "expected KEY=VALUES"},
        {"seed=", "expected values after ="},
        {"seed=1,,2", "expected a value between commas"},
        {"seed=1,2,1", "1 is twice"},
        {"seed=3..1", "3..1 is empty"},
        {"seed=1..3 step 0", "would never end"},
        {"seed=1..3 step -1", "would never end"},
        {"seed=1..3 step 0.5", "expected a whole step"},
        {"seed=1..3 step 1s", "in the unit of the range"},
        {"seed=1..3 log 1", "from 2 to"},
        {"seed=0..3 log 3", "begins above 0"},
        {"seed=1..3 log many", "from 2 to"},
        {"seed=1..1000000", "at most"},
        {"seed=1.5..3", "whole numbers"},
        {"seed=1..", "expected a range such as"},
        {"workload.rate_scale=1..2", "how many values"},
        {"cache.tiers.host.capacity=1GiB..2s log 3", "in one kind of unit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *message = values_of(cases[i].spec);
        ck_assert_msg(strstr(message, cases[i].says) && strncmp(message, "--vary: ", 8) == 0 &&
                          !strchr(message, '\n'),
                      "%s: %s", cases[i].spec, message);
        if (cases[i].spec[0] != '=')
            ck_assert_msg(strstr(message, "seed") || strstr(message, "workload.rate_scale") ||
                              strstr(message, "cache.tiers.host.capacity"),
                          "%s: %s", cases[i].spec, message);
    }
}
END_TEST

START_TEST(points_are_digits)
{
    char error[SCENARIO_ERROR_SIZE], text[256];
    struct vary v = {0};
    ck_assert_int_eq(vary_add(&v, "--vary", "cluster.engines=1..3", error), 0);
    ck_assert_int_eq(vary_add(&v, "--vary", "cluster.router=round-robin,prefix-aware", error), 0);
    ck_assert_int_eq(vary_add(&v, "--vary", "cache.tiers.host.capacity=1GiB,2GiB", error), 0);
    ck_assert_uint_eq(v.points, 12);
    for (size_t p = 0; p < v.points; p++) {
        size_t digits[] = {vary_digit(&v, p, 0), vary_digit(&v, p, 1), vary_digit(&v, p, 2)};
        ck_assert_uint_eq(p,
                          digits[0] * 4 + digits[1] * 2 + digits[2]); /* the last is the fastest */
        ck_assert_uint_eq(vary_point(&v, digits), p);
    }
    ck_assert_str_eq(vary_describe(&v, 7, text, sizeof text),
                     "engines=2, router=prefix-aware, host.capacity=2GiB");
    ck_assert(v.keys[0].numeric && v.keys[0].even && !v.keys[1].numeric && v.keys[2].numeric);
    ck_assert_int_lt(vary_add(&v, "--vary", "cluster.engines=4,5", error), 0);
    ck_assert(strstr(error, "given twice"));
    vary_release(&v);
}
END_TEST

START_TEST(short_names_stay_apart)
{
    char error[SCENARIO_ERROR_SIZE];
    struct vary v = {0};
    ck_assert_int_eq(vary_add(&v, "--vary", "cache.tiers.host.capacity=1GiB,2GiB", error), 0);
    ck_assert_int_eq(vary_add(&v, "--vary", "cache.tiers.disk.capacity=1TiB,2TiB", error), 0);
    ck_assert_int_eq(vary_add(&v, "--vary", "workload.limit=1,2", error), 0);
    ck_assert_str_eq(vary_short(&v, 0), "host.capacity");
    ck_assert_str_eq(vary_short(&v, 1), "disk.capacity");
    ck_assert_str_eq(vary_short(&v, 2), "limit");
    vary_release(&v);
}
END_TEST

START_TEST(a_scenario_takes_the_values)
{
    char error[SCENARIO_ERROR_SIZE];
    struct vary v = {0};
    struct scenario s = {0};
    ck_assert_int_eq(scenario_load_text(&s, "t.yaml", scenario_text_yaml,
                                        strlen(scenario_text_yaml), error),
                     0);
    ck_assert_int_eq(vary_add(&v, "--vary", "cache.tiers.host.capacity=1GiB..4GiB log 3", error),
                     0);
    ck_assert_int_eq(vary_add(&v, "--vary", "cluster.engines=2,5", error), 0);
    ck_assert_int_eq(vary_check(&v, &s, "--vary", error), 0);
    ck_assert_int_eq(vary_apply(&v, 3, &s, "--vary", error), 0);
    ck_assert_uint_eq(s.cluster.engines, 5);
    ck_assert_uint_eq(s.cache.tiers[KVT_HOST].capacity.value, UINT64_C(2) << 30);
    ck_assert_int_eq(vary_apply(&v, 0, &s, "--vary", error), 0);
    ck_assert_uint_eq(s.cluster.engines, 2);
    vary_release(&v);

    /* What only the scenario's own parser knows is told in its words, with this option's name. */
    ck_assert_int_eq(vary_add(&v, "--vary", "cluster.router=prefix-aware,frobnicate", error), 0);
    ck_assert_int_eq(vary_apply(&v, 0, &s, "--vary", error), 0);
    ck_assert_int_lt(vary_apply(&v, 1, &s, "--vary", error), 0);
    ck_assert_msg(strncmp(error, "--vary: cluster.router: expected one of round-robin", 51) == 0,
                  "%s", error);
    vary_release(&v);
    ck_assert_int_eq(vary_add(&v, "--over", "cluster.engins=1,2", error), 0);
    ck_assert_int_lt(vary_check(&v, &s, "--over", error), 0);
    ck_assert_msg(strstr(error, "--over: cluster.engins: unknown key, did you mean engines?") ==
                      error,
                  "%s", error);
    vary_release(&v);
    scenario_release(&s);
}
END_TEST

START_TEST(numbers_are_written_and_read_back)
{
    static const double sizes[] = {1, 1000, 1024, 1536, 64e9, 68719476736.0, 97307854284.0};
    char text[64];
    enum vary_kind kind;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        double back =
            vary_number(vary_write(text, sizeof text, sizes[i], VARY_BYTES, false, true), &kind);
        ck_assert_msg(kind == VARY_BYTES && fabs(back - sizes[i]) <= 1, "%s", text);
    }
    ck_assert_str_eq(vary_write(text, sizeof text, 1500e6, VARY_NS, false, false), "1.5s");
    ck_assert_str_eq(vary_write(text, sizeof text, 0.00001, VARY_PLAIN, false, false), "0.00001");
    ck_assert(isnan(vary_number("lru", &kind)) && kind == VARY_WORD);
    ck_assert(vary_number("90%", &kind) == 0.9 && kind == VARY_PLAIN);
    ck_assert(vary_number("60/min", &kind) == 1 && kind == VARY_PER_S);
}
END_TEST

START_TEST(a_range_that_a_shell_took_apart)
{
    char *quoted[] = {"x", "k=1..9 log 3", "--json", NULL};
    char *apart[] = {"x", "k=1..9", "log", "3", NULL};
    char *other[] = {"x", "k=1,2", "log", "3", NULL};
    char *cut[] = {"x", "k=1..9", "log", NULL};
    ck_assert_int_eq(vary_words(3, quoted, 1), 1);
    ck_assert_int_eq(vary_words(4, apart, 1), 3);
    ck_assert_int_eq(vary_words(4, other, 1), 1);
    ck_assert_int_eq(vary_words(3, cut, 1), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vary");
    TCase *tc = tcase_create("vary");
    tcase_add_test(tc, lists_are_split_outside_brackets);
    tcase_add_test(tc, ranges_are_written_as_people_write);
    tcase_add_test(tc, mistakes_are_one_line_that_names_the_key);
    tcase_add_test(tc, points_are_digits);
    tcase_add_test(tc, short_names_stay_apart);
    tcase_add_test(tc, a_scenario_takes_the_values);
    tcase_add_test(tc, numbers_are_written_and_read_back);
    tcase_add_test(tc, a_range_that_a_shell_took_apart);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
