/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_sim_vary.c - ratios drawn from quantiles: the quantiles come back, streams are their own, and nothing is drawn where
 * nothing varies.
 */
#include "sim/vary.h"

#include <math.h>
#include <stdlib.h>

#include "dice.h"

enum { DRAWS = 200000 };

static const struct sim_variation heavy = {true, {0.5, 0.7, 0.8, 0.9, 1, 1.2, 1.6, 3, 9}};

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

START_TEST(quantiles_are_hit_and_joined_by_lines)
{
    for (int i = 0; i < SIM_QUANTILES; i++)
        MUST(fabs(sim_variation_at(&heavy, sim_quantile_at[i]) - heavy.ratio[i]) < 1e-12);
    MUST(sim_variation_at(&heavy, 0) == 0.5 && sim_variation_at(&heavy, 1) == 9);
    MUST(fabs(sim_variation_at(&heavy, 0.625) - 1.1) < 1e-12); /* half way from p50 to p75 */
}
END_TEST

START_TEST(what_is_drawn_has_the_quantiles)
{
    static double ratio[DRAWS];
    struct sim_vary v;
    sim_vary_init(&v, &heavy, 7, "vary test");
    for (int i = 0; i < DRAWS; i++)
        ratio[i] = sim_vary_next(&v);
    qsort(ratio, DRAWS, sizeof *ratio, ascending);
    for (int i = 1; i + 1 < SIM_QUANTILES; i++) {
        /* Four standard errors of a quantile: sqrt(p (1 - p) / n) over the density. */
        const double p = sim_quantile_at[i], at = ratio[(int)(p * DRAWS)];
        const double slope = fmax((heavy.ratio[i] - heavy.ratio[i - 1]) /
                                      (sim_quantile_at[i] - sim_quantile_at[i - 1]),
                                  (heavy.ratio[i + 1] - heavy.ratio[i]) /
                                      (sim_quantile_at[i + 1] - sim_quantile_at[i]));
        MUST(fabs(at - heavy.ratio[i]) < 4 * sqrt(p * (1 - p) / DRAWS) * slope + 1e-3);
    }
}
END_TEST

START_TEST(streams_are_their_own)
{
    struct sim_vary a, b, c;
    const struct sim_variation none = {.present = false};
    int alike = 0;
    sim_vary_init(&a, &heavy, 7, "one");
    sim_vary_init(&b, &heavy, 7, "one");
    sim_vary_init(&c, &heavy, 7, "other");
    for (int i = 0; i < 100; i++) {
        const double x = sim_vary_next(&a);
        MUST(x == sim_vary_next(&b));
        alike += x == sim_vary_next(&c);
    }
    MUST(alike < 10); /* beyond p99 all are the last */
    sim_vary_init(&a, &none, 7, "one");
    MUST(sim_vary_next(&a) == 1 && a.draws == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vary");
    TCase *tc = tcase_create("vary");
    tcase_add_test(tc, quantiles_are_hit_and_joined_by_lines);
    tcase_add_test(tc, what_is_drawn_has_the_quantiles);
    tcase_add_test(tc, streams_are_their_own);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
