/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_interval.c - confidence intervals (cli/interval.h) and paired comparisons (cli/compare.h).
 *
 * Student's t against its table; means against arithmetic by hand; ratios and quantiles against slow twins; and what an
 * interval promises, that it contains the truth 19 times of 20, against an autoregressive process whose truth is known, which
 * intervals that take requests for independent fail.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/compare.h"
#include "cli/interval.h"
#include "dice.h"

static double unit(void)
{
    return ((double)(dice_word() >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
    return sqrt(-2 * log(unit())) * cos(6.283185307179586 * unit());
}

START_TEST(students_t)
{
    /* As every table has it. */
    ck_assert_double_eq_tol(interval_t(1), 12.7062047, 1e-6);
    ck_assert_double_eq_tol(interval_t(4), 2.7764451, 1e-6);
    ck_assert_double_eq_tol(interval_t(29), 2.0452296, 1e-6);
    ck_assert_double_eq_tol(interval_t(1e9), 1.9599640, 1e-6);
    ck_assert(isnan(interval_t(0)));
}
END_TEST

START_TEST(a_mean_of_replications)
{
    const double five[] = {1, 2, 3, 4, 5};
    struct interval i = interval_mean(five, 5);
    double half = 2.7764451051977987 * sqrt(2.5) / sqrt(5);
    ck_assert_double_eq_tol(i.value, 3, 1e-12);
    ck_assert_double_eq_tol(i.low, 3 - half, 1e-9);
    ck_assert_double_eq_tol(i.high, 3 + half, 1e-9);
    i = interval_mean(five, 1);
    ck_assert(i.value == 1 && isnan(i.low) && isnan(i.high));
    ck_assert(isnan(interval_mean(five, 0).value));
}
END_TEST

START_TEST(batches_by_hand)
{
    /* Thirty batches of two with sums 2b: means 0 .. 29. */
    double values[60];
    for (int i = 0; i < 60; i++)
        values[i] = i / 2;
    struct interval i = interval_ratio(values, NULL, 60);
    double sd = sqrt(30 * 31 / 12.0), half = 2.045229642132703 * sd / sqrt(30);
    ck_assert_double_eq_tol(i.value, 14.5, 1e-12);
    ck_assert_double_eq_tol(i.high - i.value, half, 1e-9);
    ck_assert_double_eq_tol(i.value - i.low, half, 1e-9);
    ck_assert(isnan(interval_ratio(values, NULL, INTERVAL_LEAST - 1).low));
}
END_TEST

START_TEST(a_ratio_that_is_constant_is_certain)
{
    double values[500], weights[500];
    for (int i = 0; i < 500; i++) {
        weights[i] = 1 + (double)(dice_word() % 100);
        values[i] = 0.25 * weights[i];
    }
    struct interval i = interval_ratio(values, weights, 500);
    ck_assert_double_eq_tol(i.value, 0.25, 1e-12);
    ck_assert_double_eq_tol(i.low, 0.25, 1e-9);
    ck_assert_double_eq_tol(i.high, 0.25, 1e-9);
}
END_TEST

/* x' = rho x + e: what a queue does to neighbours. */
static void autoregressive(double *x, size_t n, double rho, double mean)
{
    double at = normal() / sqrt(1 - rho * rho);
    for (size_t i = 0; i < n; i++) {
        x[i] = mean + at;
        at = rho * at + normal();
    }
}

START_TEST(the_truth_is_inside_19_times_of_20)
{
    enum { RUNS = 600, N = 3000 };
    static double x[N];
    int batched = 0, naive = 0;
    dice_seed(1);
    for (int run = 0; run < RUNS; run++) {
        autoregressive(x, N, 0.9, 7);
        struct interval i = interval_ratio(x, NULL, N), j = interval_mean(x, N);
        batched += i.low <= 7 && 7 <= i.high;
        naive += j.low <= 7 && 7 <= j.high;
    }
    ck_assert_msg(batched >= 0.925 * RUNS && batched <= 0.97 * RUNS, "batch means cover %d of %d",
                  batched, RUNS);
    ck_assert_msg(naive < 0.5 * RUNS,
                  "independence would cover %d of %d: the process tests nothing", naive, RUNS);
}
END_TEST

START_TEST(quantile_differences_cover_and_shift)
{
    enum { RUNS = 100, N = 900 };
    static double a[N], b[N];
    static const double q[] = {0.5, 0.95};
    struct interval d[2];
    int covered[2] = {0, 0};
    double width[2] = {0, 0}, sum[2] = {0, 0}, squares[2] = {0, 0};
    dice_seed(2);
    for (int run = 0; run < RUNS; run++) {
        /* b is one process, a the same with noise of its own: medians and tails are equal in truth but for the
         * shift of 1 and a known widening. */
        autoregressive(b, N, 0.6, 5);
        for (int i = 0; i < N; i++)
            a[i] = b[i] + 1 + 0.2 * normal();
        ck_assert_int_eq(interval_quantiles(a, b, N, q, 2, 42, d), 0);
        double sd = 1 / sqrt(1 - 0.36), wide = sqrt(sd * sd + 0.04);
        double truth[2] = {1, 1 + 1.6448536269514722 * (wide - sd)};
        for (int k = 0; k < 2; k++) {
            covered[k] += d[k].low <= truth[k] && truth[k] <= d[k].high;
            width[k] += (d[k].high - d[k].low) / RUNS;
            sum[k] += d[k].value;
            squares[k] += d[k].value * d[k].value;
        }
    }
    /* Resampled quantiles scatter more than quantiles do, so the promise is kept with something to spare; not by
     * being vague. */
    for (int k = 0; k < 2; k++) {
        double sd = sqrt(squares[k] / RUNS - sum[k] / RUNS * sum[k] / RUNS);
        double ratio = width[k] / (2 * 1.96 * sd);
        ck_assert_msg(covered[k] >= 0.9 * RUNS && ratio > 0.9 && ratio < 2,
                      "p%g: %d of %d, %g times as wide", 100 * q[k], covered[k], RUNS, ratio);
    }
}
END_TEST

static int ascending(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Type 7 of a copy, sorted. */
static double slow_quantile(const double *x, size_t n, double q)
{
    double *copy = malloc(n * sizeof *copy);
    memcpy(copy, x, n * sizeof *copy);
    qsort(copy, n, sizeof *copy, ascending);
    double place = q * (double)(n - 1);
    size_t below = (size_t)place;
    double out = copy[below] +
                 (below + 1 < n ? (place - (double)below) * (copy[below + 1] - copy[below]) : 0);
    free(copy);
    return out;
}

START_TEST(resampling_against_a_slow_twin)
{
    /* A value per batch: a resample is then 30 numbers with repeats, and the whole distribution is that of sorting. The
     * middle of many resamples' medians is near the sample's own; bounds are resampled values. */
    double x[90];
    static const double q[] = {0.0, 0.5, 1.0};
    struct interval d[3];
    dice_seed(3);
    for (int i = 0; i < 90; i++)
        x[i] = floor(unit() * 20); /* ties */
    ck_assert_int_eq(interval_quantiles(x, NULL, 90, q, 3, 7, d), 0);
    for (int k = 0; k < 3; k++) {
        ck_assert_double_eq_tol(d[k].value, slow_quantile(x, 90, q[k]), 1e-12);
        ck_assert(d[k].low <= d[k].high);
    }
    ck_assert_double_eq(d[0].low, d[0].value); /* no resample has less than the least */
    ck_assert_double_eq(d[2].high, d[2].value);
    struct interval again[3];
    ck_assert_int_eq(interval_quantiles(x, NULL, 90, q, 3, 7, again), 0);
    ck_assert_int_eq(memcmp(d, again, sizeof d), 0); /* the same seed */
    ck_assert_int_eq(interval_quantiles(x, x, 90, q, 3, 7, d), 0);
    for (int k = 0; k < 3; k++)
        ck_assert(d[k].value == 0 && d[k].low == 0 && d[k].high == 0);
}
END_TEST

/* ---- Pairs ------------------------------------------------------------------------------------------- */

enum { REQUESTS = 600 };

static void make_requests(struct lab_request *r, double rate, double ms)
{
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t prompt = 1000 + i % 7 * 100;
        r[i] = (struct lab_request){
            .ttft_ns = (uint64_t)(1e6 * ms * (1 + unit())),
            .tpot_ns = i % 5 ? 30000000 : UINT64_MAX,
            .e2e_ns = 1000000000,
            .prompt_tokens = prompt,
            .hit_tokens = (uint32_t)(rate * prompt),
        };
    }
}

START_TEST(pairs_are_judged)
{
    static struct lab_request a[REQUESTS], b[REQUESTS];
    struct compare_pairs p;
    dice_seed(4);
    make_requests(b, 0.5, 100);
    memcpy(a, b, sizeof a);
    ck_assert_int_eq(compare_pair(a, REQUESTS, b, REQUESTS, true, 1, &p), 0);
    ck_assert_uint_eq(p.n, REQUESTS);
    for (int k = 0; k < PAIRED; k++)
        ck_assert_int_eq(p.verdict[k], VERDICT_SAME);

    for (int i = 0; i < REQUESTS; i++) {
        a[i].hit_tokens += 100;  /* more is better */
        a[i].ttft_ns += 5000000; /* more is worse */
        a[i].e2e_ns += dice_word() % 2 ? 1000 : (uint64_t)-1000;
    }
    ck_assert_int_eq(compare_pair(a, REQUESTS, b, REQUESTS, true, 1, &p), 0);
    ck_assert_int_eq(p.verdict[PAIRED_HIT_RATE], VERDICT_BETTER);
    ck_assert_int_eq(p.verdict[PAIRED_TTFT_MEAN], VERDICT_WORSE);
    ck_assert_int_eq(p.verdict[PAIRED_TTFT_P95], VERDICT_WORSE);
    ck_assert_int_eq(p.verdict[PAIRED_TPOT_P50], VERDICT_SAME);
    ck_assert_int_eq(p.verdict[PAIRED_E2E_MEAN], VERDICT_NOISE);
    ck_assert_double_eq_tol(p.difference[PAIRED_TTFT_MEAN].value, 5, 1e-9);
    ck_assert_double_eq_tol(p.difference[PAIRED_TTFT_P50].value, 5, 1e-9);
    double prompts = 0;
    for (int i = 0; i < REQUESTS; i++)
        prompts += b[i].prompt_tokens;
    ck_assert_double_eq_tol(p.difference[PAIRED_HIT_RATE].value, 100.0 * REQUESTS / prompts, 1e-12);

    ck_assert_int_eq(compare_pair(a, REQUESTS, b, REQUESTS, false, 1, &p), 0); /* no time passes */
    ck_assert_int_eq(p.verdict[PAIRED_HIT_RATE], VERDICT_BETTER);
    ck_assert(isnan(p.difference[PAIRED_TTFT_MEAN].value));
}
END_TEST

START_TEST(pairs_that_are_none)
{
    static struct lab_request a[REQUESTS], b[REQUESTS];
    struct compare_pairs p;
    make_requests(a, 0.5, 100);
    make_requests(b, 0.5, 100);
    a[10].ttft_ns = UINT64_MAX; /* failed in one */
    ck_assert_int_eq(compare_pair(a, REQUESTS, b, REQUESTS - 5, true, 1, &p), 0);
    ck_assert_uint_eq(p.n, REQUESTS - 6);
    ck_assert_uint_eq(p.alone, 6);
    a[20].prompt_tokens++; /* other traffic */
    ck_assert_int_eq(compare_pair(a, REQUESTS, b, REQUESTS, true, 1, &p), 0);
    ck_assert(p.other_traffic && isnan(p.difference[PAIRED_HIT_RATE].value));
    ck_assert_int_eq(compare_pair(NULL, 0, b, REQUESTS, true, 1, &p), 0);
    ck_assert(p.n == 0 && isnan(p.difference[PAIRED_TTFT_P50].value));
    ck_assert_int_eq(compare_pair(b, 20, b, 20, true, 1, &p), 0);
    b[3].ttft_ns++;
    static struct lab_request c[20];
    memcpy(c, b, sizeof c);
    c[3].ttft_ns += 1000000;
    ck_assert_int_eq(compare_pair(c, 20, b, 20, true, 1, &p), 0);
    ck_assert_int_eq(p.verdict[PAIRED_TTFT_MEAN], VERDICT_NONE); /* too few */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("interval");
    TCase *tc = tcase_create("interval");
    tcase_add_test(tc, students_t);
    tcase_add_test(tc, a_mean_of_replications);
    tcase_add_test(tc, batches_by_hand);
    tcase_add_test(tc, a_ratio_that_is_constant_is_certain);
    tcase_add_test(tc, the_truth_is_inside_19_times_of_20);
    tcase_add_test(tc, quantile_differences_cover_and_shift);
    tcase_add_test(tc, resampling_against_a_slow_twin);
    tcase_add_test(tc, pairs_are_judged);
    tcase_add_test(tc, pairs_that_are_none);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
