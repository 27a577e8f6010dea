/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_claims.c - answers to claims, beside the same arithmetic done here from the sources' own numbers; and files
 * that state no claim.
 */
#include "cli/claims.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "kvt_test.h"

static char error[SCENARIO_ERROR_SIZE];
static struct claim c;
static char path[] = "build/test_claims.XXXXXX.yaml";

/* Answers the claim `says`-less parts: a claim section and the rest of a scenario. */
static int ask(const char *claim, const char *rest)
{
    snprintf(path, sizeof path, "build/test_claims.XXXXXX.yaml");
    int fd = mkstemps(path, 5);
    ck_assert_int_ge(fd, 0);
    dprintf(fd, "claim: {says: x, source: y, %s}\n%s", claim, rest);
    close(fd);
    int rc = claim_answer(&c, path, error);
    unlink(path);
    return rc;
}

static void answered(const char *claim, const char *rest)
{
    ck_assert_msg(ask(claim, rest) == 0, "%s", error);
}

static const char big[] = "cluster: {model: llama-3.1-70b, gpu: a100-80g-sxm, gpus_per_engine: 8}\n"
                          "cache:\n"
                          "  tiers:\n"
                          "    - {kind: redis, nodes: 2, replicas: 1, codec: [zlib-6]}\n";

START_TEST(sizes)
{
    /* 2 x 80 layers x 8 heads x 128 x 2 bytes */
    answered("measure: kv-bytes, value: 4.1GB, tokens: 32768", big);
    ck_assert_double_eq(c.computed, 327680.0 * 32768);
    ck_assert_double_eq(c.claimed, 4.1e9);
    ck_assert(!c.holds);
    ck_assert_msg(strncmp(c.needs, "125122 bytes", 12) == 0, "%s", c.needs);
    answered("measure: kv-bytes, value: 10.7GB, tokens: 32768", big);
    ck_assert(c.holds);
    ck_assert_str_eq(c.needs, "");
    answered("measure: kv-bytes, value: 11.5GB, tokens: 32768, tolerance: 5%", big);
    ck_assert(!c.holds);
    answered("measure: stored-bytes, value: 1.4GB, tokens: 32768", big);
    ck_assert_double_eq_tol(c.computed, 327680.0 * 32768 / 1.25, 1);
    answered("measure: prefixes-bytes, value: 2.8TB, tokens: 32768, count: 1000", big);
    ck_assert_double_eq_tol(c.computed, 2 * 1000 * 327680.0 * 32768 / 1.25, 1e3);
    answered("measure: tensor-bytes, value: 16GB, tokens: 8192, count: 2048", big);
    ck_assert_double_eq(c.computed, 32.0 * 8192 * 64 * 4);
    answered("measure: codec-ratio, value: 3", big);
    ck_assert_double_eq(c.computed, 1.25);
}
END_TEST

START_TEST(money_and_pauses)
{
    /* 9 primaries of 314.3 GiB for 2.8 TB, and as many replicas */
    answered("measure: redis-price, value: 250USD/h, bytes: 5.6TB", big);
    ck_assert_double_eq_tol(c.computed, 18 * 6.981, 1e-9);
    ck_assert(!c.holds);
    answered("measure: redis-price, value: 126USD/h, bytes: 5.6TB", big);
    ck_assert(c.holds);
    answered("measure: failover, value: 100ms, entry: sentinel-default", big);
    ck_assert_double_eq(c.computed, 31.5e9);
    answered("measure: failover, value: 1min, entry: sentinel-default", big);
    ck_assert(c.holds); /* less is as good */
    /* 2 x 70.55e9 bytes, of which each of 8 GPUs holds an eighth, at 100 GB/s */
    answered("measure: stream-weights, value: 4.5ms", big);
    ck_assert_double_eq_tol(c.computed / 1e9, 141.1 / 100, 0.01);
}
END_TEST

/* What Python's difflib.SequenceMatcher(None, a, b).ratio() says of the document's own texts. */
START_TEST(similarity)
{
    static const struct {
        const char *candidate;
        double ratio;
    } cases[] = {{"Compare Next.js vs Remix for a marketing site", 0.6956521739130435},
                 {"Compare Remix vs Next.js", 0.625},
                 {"Comparing web frameworks", 0.4166666666666667}};
    char claim[256];
    for (size_t i = 0; i < 3; i++) {
        snprintf(claim, sizeof claim,
                 "measure: similarity, value: 0.9, query: Compare Next.js vs Remix, candidate: %s",
                 cases[i].candidate);
        answered(claim, big);
        ck_assert_double_eq(c.computed, cases[i].ratio);
    }
    ck_assert_int_lt(ask("measure: similarity, value: 0.9, query: only one", big), 0);
}
END_TEST

/* Stages alone, by hand; the whole in order of size: not less than its longest stage, not more than their sum. */
START_TEST(stages_of_a_load)
{
    static const char rest[] =
        "workload: {trace: ../scenarios/claims/two-prompts-32k.jsonl, format: mooncake}\n"
        "cluster: {model: llama-3.1-8b, engines: 2, router: round-robin, network: ethernet-100g}\n"
        "cache:\n"
        "  load_or_compute: always\n"
        "  load_patience: 0\n"
        "  tiers:\n"
        "    - {kind: redis, nodes: 4, codec: [zlib-6], codec_cores: 16}\n";
    const double raw = 131072.0 * 32768;
    answered("measure: fetch, value: 40ms", rest);
    double fetch = c.computed; /* four processes of 1.87 GB/s */
    ck_assert_double_eq_tol(fetch / 1e9, raw / 1.25 / (4 * 1.87e9), 1e-3);
    answered("measure: decode, value: 100ms", rest);
    double decode = c.computed;
    ck_assert_double_eq_tol(decode / 1e9, raw / (16 * 202e6), 1e-4);
    answered("measure: deserialise, value: 100ms", rest);
    double copies = c.computed;
    ck_assert_double_eq_tol(copies / 1e9, raw / 16.3e9, 1e-4);
    answered("measure: copy, value: 50ms", rest);
    double copy = c.computed;
    ck_assert_double_eq_tol(copy / 1e9, raw / 25.1e9, 1e-4);
    answered("measure: ttft, value: 350ms", rest);
    ck_assert_double_ge(c.computed, fmax(fetch, decode));
    ck_assert_double_le(c.computed, fetch + decode + copies + copy + 200e6);
    double ttft = c.computed;
    answered("measure: generation, value: 450ms", rest);
    double generation = c.computed;
    answered("measure: e2e, value: 800ms", rest);
    ck_assert_double_eq_tol(c.computed, ttft + generation, 1);
    /* Weights and KV of 32K tokens at the data sheet's 2039 GB/s, 99 times, are a bound. */
    ck_assert_double_ge(generation / 1e9, 99 * (15.0e9 + raw) / 2.039e12);
    answered("measure: cold-e2e, value: 4.2s", rest);
    double cold = c.computed;
    answered("measure: speedup, value: 5.25", rest);
    ck_assert_double_eq_tol(c.computed, cold / (ttft + generation), 1e-9);
    ck_assert(!c.holds);
    answered("measure: speedup, value: 1.1", rest);
    ck_assert(c.holds); /* more is as good */
}
END_TEST

START_TEST(no_claim)
{
    static const struct {
        const char *claim, *expected;
    } cases[] = {
        {"value: 3", "claim.measure: expected a claim: what it is about"},
        {"measure: kv-byte, value: 3", "claim.measure: expected one of kv-bytes, "},
        {"measure: kv-bytes, value: 3", "claim.value: expected a size"},
        {"measure: kv-bytes", "claim.value: expected a value"},
        {"measure: kv-bytes, value: 3GB", "claim.tokens: expected how many tokens"},
        {"measure: failover, value: 1s, entry: sentinel",
         "claim.entry: expected a Redis failover of the catalogue"},
        {"measure: failover, value: 1s", "claim.entry: expected an entry"},
        {"measure: redis-price, value: 2USD/h", "claim.bytes: expected how much"},
        {"measure: hit-rate, value: 2%, tolerance: 3 GB", "claim.tolerance: expected a ratio"},
        {"measure: hit-rate, valu: 2%", "claim.valu: unknown key, did you mean value?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc = ask(cases[i].claim, big);
        ck_assert_msg(rc < 0, "%s: answered", cases[i].claim);
        size_t key = strcspn(cases[i].expected, ":");
        const char *at = strstr(error, cases[i].expected + key + 2);
        ck_assert_msg(at != NULL && strstr(error, "claim.") != NULL && strstr(error, "claim.") < at,
                      "expected \"%s\" in \"%s\"", cases[i].expected, error);
        ck_assert_msg(strchr(error, '\n') == NULL, "%s", error);
    }
    ck_assert_int_lt(claim_answer(&c, "scenarios/claims/no-such.yaml", error), 0);
}
END_TEST

START_TEST(shown)
{
    static const struct {
        enum claim_unit unit;
        double value;
        const char *text;
    } cases[] = {
        {CLAIM_NS, 40e6, "40 ms"},         {CLAIM_NS, 31.5e9, "31.5 s"},
        {CLAIM_NS, 4.5e6, "4.5 ms"},       {CLAIM_BYTES, 4.1e9, "4.10 GB"},
        {CLAIM_BYTES, 999.6e6, "1.00 GB"}, {CLAIM_BYTES, 67.1e6, "67.1 MB"},
        {CLAIM_RATIO, 0.8, "80 %"},        {CLAIM_RATIO, 0.002, "0.2 %"},
        {CLAIM_USD_PER_H, 250, "$250/h"},  {CLAIM_USD_PER_H, 69.81, "$69.81/h"},
        {CLAIM_NUMBER, 5.25, "5.25"},      {CLAIM_NUMBER, NAN, "-"},
    };
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(claim_show(text, sizeof text, cases[i].unit, cases[i].value),
                         cases[i].text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("claims");
    TCase *all = tcase_create("all");

    tcase_add_test(all, sizes);
    tcase_add_test(all, money_and_pauses);
    tcase_add_test(all, similarity);
    tcase_add_test(all, stages_of_a_load);
    tcase_add_test(all, no_claim);
    tcase_add_test(all, shown);
    suite_add_tcase(suite, all);
    return kvt_test_main(suite);
}
