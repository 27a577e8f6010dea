/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_histogram.c - quantiles of the log-linear histogram beside sorted values.
 */
#include "kvt_test.h"

#include "../cli/histogram.h"
#include "../core/mix.h"

#include <math.h>

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(histogram_keeps_its_bound)
{
    enum { N = 20000 };
    struct histogram *h = calloc(1, sizeof *h);
    uint64_t *values = malloc(N * sizeof *values), sum = 0;

    ck_assert(isnan(histogram_mean(h)) && isnan(histogram_quantile(h, 0.5)));
    for (uint64_t i = 0; i < N; i++) {
        values[i] = kvt_mix64(i) >> (14 + i % 50);
        sum += values[i];
        histogram_add(h, values[i], 1);
    }
    histogram_add(h, 5, 0);
    qsort(values, N, sizeof *values, by_value);
    ck_assert_uint_eq(h->total, N);
    ck_assert_double_eq(histogram_mean(h), (double)((long double)sum / N));
    for (unsigned i = 0; i <= 1000; i++) {
        double q = i / 1000.0;
        uint64_t rank = (uint64_t)ceil(q * N);
        double exact = (double)values[rank > 0 ? rank - 1 : 0];
        double got = histogram_quantile(h, q);
        ck_assert_msg(fabs(got - exact) <= exact / 256 + 0.5, "q %g: %g, exactly %g", q, got,
                      exact);
    }
    ck_assert_double_eq(histogram_quantile(h, 1), (double)values[N - 1]);
    ck_assert_uint_eq(histogram_at_most(h, UINT64_MAX), N);
    struct histogram *both = calloc(1, sizeof *both);
    histogram_add(both, 7, 2);
    histogram_merge(both, h);
    ck_assert_uint_eq(both->total, N + 2);
    ck_assert_uint_eq(histogram_at_most(both, UINT64_MAX), N + 2);
    ck_assert_double_eq(histogram_quantile(both, 1), histogram_quantile(h, 1));
    free(both);
    histogram_add(h, UINT64_MAX, 3);
    ck_assert_uint_eq(h->total, N + 3);
    ck_assert_double_eq(histogram_quantile(h, 1), (double)UINT64_MAX);
    free(values);
    free(h);
}
END_TEST

START_TEST(histogram_weighs)
{
    struct histogram *h = calloc(1, sizeof *h);

    histogram_add(h, 10, 99);
    histogram_add(h, 1000000, 1);
    ck_assert_double_eq(histogram_quantile(h, 0.99), 10);
    ck_assert_double_eq(histogram_quantile(h, 1), 1000000);
    ck_assert_double_eq(histogram_mean(h), (99 * 10 + 1000000) / 100.0);
    free(h);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("histogram");
    TCase *all = tcase_create("all");

    tcase_add_test(all, histogram_keeps_its_bound);
    tcase_add_test(all, histogram_weighs);
    suite_add_tcase(suite, all);
    return kvt_test_main(suite);
}
