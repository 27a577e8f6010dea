/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_validate_stats.c - statistics of two samples (cli/validate_stats.h): known values, naive twins, odd input.
 *
 * Kolmogorov's distribution is held against published points of it; distances against the definition, tried at every
 * value; significance against the share of shuffles of one sample that are as far apart.
 */
#include <math.h>
#include <string.h>

#include "cli/validate_stats.h"
#include "dice.h"

static double unit(void)
{
    return (double)(dice_word() >> 11) / 9007199254740992.0;
}

START_TEST(figures_of_small_samples)
{
    double five[] = {5, 1, 4, 2, 3}, one[] = {7};
    struct sample_figures f = sample_figures(five, 5);
    ck_assert_uint_eq(f.n, 5);
    ck_assert_double_eq_tol(f.mean, 3, 1e-12);
    ck_assert_double_eq_tol(f.p50, 3, 1e-12);
    ck_assert_double_eq_tol(f.p95, 4.8, 1e-12); /* between the 4th and the 5th: 3.8 of 4 steps */
    ck_assert_double_eq_tol(f.p99, 4.96, 1e-12);
    for (int i = 0; i < 5; i++)
        ck_assert_double_eq(five[i], i + 1); /* sorted */
    f = sample_figures(one, 1);
    ck_assert(f.mean == 7 && f.p50 == 7 && f.p95 == 7 && f.p99 == 7);
    f = sample_figures(NULL, 0);
    ck_assert(f.n == 0 && isnan(f.mean) && isnan(f.p50) && isnan(f.p95) && isnan(f.p99));
}
END_TEST

START_TEST(errors_are_relative_to_what_was_measured)
{
    ck_assert_double_eq_tol(relative_error(100, 110), 0.1, 1e-12);
    ck_assert_double_eq_tol(relative_error(100, 75), -0.25, 1e-12);
    ck_assert_double_eq(relative_error(0, 0), 0);
    ck_assert(isinf(relative_error(0, 3)) && relative_error(0, 3) > 0);
    ck_assert_double_eq(relative_error(4, 0), -1);
    ck_assert(isnan(relative_error(NAN, 1)) && isnan(relative_error(1, NAN)));
    ck_assert(isnan(relative_error(NAN, NAN)));
}
END_TEST

START_TEST(kolmogorovs_distribution)
{
    /* Points as tables of the distribution have them. */
    static const struct {
        double x, tail, within;
    } points[] = {
        {0.5, 0.9639452436648751, 1e-13},    {1.0, 0.26999967167735456, 1e-13},
        {2.0, 0.0006709252557796953, 1e-13}, {1.2238478702170823, 0.10, 1e-12},
        {1.3580986393225507, 0.05, 1e-12},   {1.6276236115189503, 0.01, 1e-12},
    };
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        ck_assert_double_eq_tol(kolmogorov_tail(points[i].x), points[i].tail, points[i].within);
    ck_assert_double_eq(kolmogorov_tail(0), 1);
    ck_assert_double_eq(kolmogorov_tail(-1), 1);
    ck_assert_double_eq_tol(kolmogorov_tail(0.05), 1, 1e-12);
    ck_assert_double_eq_tol(kolmogorov_tail(20), 0, 1e-300);
    ck_assert(isnan(kolmogorov_tail(NAN)));
    /* Both series at their seam, and never upwards. */
    ck_assert_double_eq_tol(kolmogorov_tail(1 - 1e-12), kolmogorov_tail(1), 1e-11);
    for (double x = 0.01, before = 1; x < 4; x += 0.01) {
        ck_assert_double_le(kolmogorov_tail(x), before);
        before = kolmogorov_tail(x);
        ck_assert(before >= 0 && before <= 1);
    }
}
END_TEST

/* The definition: at every value of either sample. */
static double naive_distance(const double *a, size_t n_a, const double *b, size_t n_b)
{
    double most = 0;
    for (size_t k = 0; k < n_a + n_b; k++) {
        double at = k < n_a ? a[k] : b[k - n_a], below_a = 0, below_b = 0;
        for (size_t i = 0; i < n_a; i++)
            below_a += a[i] <= at;
        for (size_t i = 0; i < n_b; i++)
            below_b += b[i] <= at;
        most = fmax(most, fabs(below_a / (double)n_a - below_b / (double)n_b));
    }
    return most;
}

START_TEST(distance_by_definition)
{
    dice_seed(11);
    for (int round = 0; round < 2000; round++) {
        double a[40], b[40];
        size_t n_a = 1 + dice_below(40), n_b = 1 + dice_below(40);
        uint64_t values = 1 + dice_below(30); /* few: ties within and between */
        for (size_t i = 0; i < n_a; i++)
            a[i] = (double)dice_below(values);
        for (size_t i = 0; i < n_b; i++)
            b[i] = (double)dice_below(values) + (double)dice_below(2) / 2;
        (void)sample_figures(a, n_a);
        (void)sample_figures(b, n_b);
        double d = ks_distance(a, n_a, b, n_b);
        MUST(fabs(d - naive_distance(a, n_a, b, n_b)) < 1e-12);
        MUST(fabs(d - ks_distance(b, n_b, a, n_a)) < 1e-12);
        MUST(d >= 0 && d <= 1);
    }
}
END_TEST

START_TEST(distance_of_odd_samples)
{
    double a[] = {1, 1, 1}, b[] = {1}, c[] = {2, 3};
    ck_assert_double_eq(ks_distance(a, 3, b, 1), 0);
    ck_assert_double_eq(ks_distance(a, 3, c, 2), 1);
    ck_assert(isnan(ks_distance(a, 0, b, 1)) && isnan(ks_distance(a, 3, b, 0)));
    ck_assert(isnan(ks_significance(NAN, 3, 3)) && isnan(ks_significance(0.5, 0, 3)));
    ck_assert_double_eq(ks_significance(0, 50, 50), 1);
    ck_assert_double_lt(ks_significance(1, 50, 50), 1e-9);
}
END_TEST

/* Two samples of one distribution: a significance below p turns up with about that frequency. */
START_TEST(significance_is_a_frequency)
{
    enum { ROUNDS = 3000, N = 60, M = 45 };
    int below_10 = 0, below_50 = 0, unlike = 0;
    dice_seed(12);
    for (int round = 0; round < ROUNDS; round++) {
        double a[N], b[M], c[M];
        for (int i = 0; i < N; i++)
            a[i] = unit();
        for (int i = 0; i < M; i++) {
            b[i] = unit();
            c[i] = unit() * 1.6;
        }
        (void)sample_figures(a, N);
        (void)sample_figures(b, M);
        (void)sample_figures(c, M);
        double p = ks_significance(ks_distance(a, N, b, M), N, M);
        below_10 += p < 0.1;
        below_50 += p < 0.5;
        unlike += ks_significance(ks_distance(a, N, c, M), N, M) < 0.1;
    }
    ck_assert_int_ge(below_10,
                     ROUNDS * 7 / 100); /* conservative by a little: the samples are finite */
    ck_assert_int_le(below_10, ROUNDS * 12 / 100);
    ck_assert_int_ge(below_50, ROUNDS * 40 / 100);
    ck_assert_int_le(below_50, ROUNDS * 54 / 100);
    ck_assert_int_ge(unlike, ROUNDS * 90 / 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("validate_stats");
    TCase *tcase = tcase_create("validate_stats");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, figures_of_small_samples);
    tcase_add_test(tcase, errors_are_relative_to_what_was_measured);
    tcase_add_test(tcase, kolmogorovs_distribution);
    tcase_add_test(tcase, distance_by_definition);
    tcase_add_test(tcase, distance_of_odd_samples);
    tcase_add_test(tcase, significance_is_a_frequency);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
