/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_fit.c - fits of measured times against a known truth, with noise, with outliers, and with data that nothing
 * follows from.
 *
 * Noise is 3 % (standard deviation, Gaussian by the sum of twelve uniform draws), outliers are 2 to 20 times too long. 60
 * points with 3 % noise have standard errors below 1 % of the rate and of the latency; bounds are 3 %. Seeds 1 to 20.
 */
#include "../backend/measure.h"
#include "dice.h"
#include "kvt_test.h"

#include <gsl/gsl_errno.h>
#include <math.h>
#include <string.h>

enum { POINTS = 60 };

static const double latency_ns = 20000, rate_bps = 2.5e9;

static double uniform(void)
{
    return (double)(dice_word() >> 11) / 9007199254740992.0;
}

static double gauss(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

static double bytes[POINTS], ns[POINTS];

/* 4 KiB to 4 MiB, each size several times. outliers: one point in so many is far off; 0: none. */
static void make_line(uint64_t seed, uint32_t outliers)
{
    dice_seed(seed);
    for (uint32_t i = 0; i < POINTS; i++) {
        bytes[i] = 4096.0 * (double)(1u << (i % 11));
        ns[i] = (latency_ns + bytes[i] * 1e9 / rate_bps) * (1 + 0.03 * gauss());
        if (outliers > 0 && i % outliers == 0)
            ns[i] *= 2 + 18 * uniform();
    }
}

static bool near(double value, double truth, double share)
{
    return fabs(value / truth - 1) <= share;
}

START_TEST(line_is_found)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct be_fit fit;
        make_line(seed, 0);
        MUST(be_fit_line(bytes, ns, POINTS, &fit));
        MUST(near(fit.parameter[0], latency_ns, 0.03) && near(fit.parameter[1], rate_bps, 0.03));
        MUST(fit.points == POINTS && fit.fits && fit.r2 > 0.99);
        MUST(fit.residual_p50 > 0.01 && fit.residual_p50 < 0.04 && fit.residual_p95 < 0.10);
        /* The error it states is of the size that it has. */
        MUST(fit.error[0] > 0.001 * latency_ns && fit.error[0] < 0.02 * latency_ns);
        MUST(fabs(fit.parameter[0] - latency_ns) < 5 * fit.error[0]);
        MUST(fabs(fit.parameter[1] - rate_bps) < 5 * fit.error[1]);
    }
}
END_TEST

START_TEST(outliers_do_not_move_it)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct be_fit fit;
        make_line(seed, 10);
        MUST(be_fit_line(bytes, ns, POINTS, &fit));
        MUST(near(fit.parameter[0], latency_ns, 0.03) && near(fit.parameter[1], rate_bps, 0.03));
        MUST(fit.outliers >= 5 && fit.outliers <= 8);
        make_line(seed, 6);
        MUST(be_fit_line(bytes, ns, POINTS, &fit));
        MUST(near(fit.parameter[0], latency_ns, 0.04) && near(fit.parameter[1], rate_bps, 0.04));
        MUST(!fit.fits); /* a sixth of the points is far off, and that is said */
    }
}
END_TEST

START_TEST(exact_data_is_exact)
{
    struct be_fit fit;
    for (uint32_t i = 0; i < POINTS; i++) {
        bytes[i] = 1000.0 * (i + 1);
        ns[i] = latency_ns + bytes[i] * 1e9 / rate_bps;
    }
    MUST(be_fit_line(bytes, ns, POINTS, &fit));
    MUST(near(fit.parameter[0], latency_ns, 1e-6) && near(fit.parameter[1], rate_bps, 1e-6));
    MUST(fit.outliers == 0 && fit.residual_p95 < 1e-6);
}
END_TEST

START_TEST(no_latency_stays_positive)
{
    struct be_fit fit;
    for (uint32_t i = 0; i < POINTS; i++) { /* a line through a point below zero */
        bytes[i] = 65536.0 * (i + 1);
        ns[i] = bytes[i] - 20000;
    }
    MUST(be_fit_line(bytes, ns, POINTS, &fit));
    MUST(fit.parameter[0] > 0 && fit.parameter[0] < 100 && near(fit.parameter[1], 1e9, 0.10));
}
END_TEST

START_TEST(what_is_no_line_is_refused)
{
    struct be_fit fit;
    const double one_b[] = {4096, 4096, 4096, 4096}, one_ns[] = {10, 11, 9, 10};
    MUST(!be_fit_line(one_b, one_ns, 4, &fit) && !fit.valid); /* all of one size */
    MUST(!be_fit_line(one_b, one_ns, 1, &fit) && !fit.valid);
    MUST(!be_fit_line(one_b, one_ns, 0, &fit) && !fit.valid);
    const double bad_b[] = {1, (double)NAN, 3, 4, -5, 6},
                 bad_ns[] = {(double)NAN, 2, 0, INFINITY, 5, -6};
    MUST(!be_fit_line(bad_b, bad_ns, 6, &fit) && !fit.valid);
    /* Two good points among bad ones are not enough for two parameters and a doubt. */
    const double two_b[] = {1, 2, 3, 4}, two_ns[] = {1, 2, (double)NAN, 0};
    MUST(!be_fit_line(two_b, two_ns, 4, &fit));
    make_line(1, 0);
    ns[3] = (double)NAN;
    ns[9] = -1;
    bytes[20] = INFINITY;
    MUST(be_fit_line(bytes, ns, POINTS, &fit) && fit.points == POINTS - 3);
    MUST(near(fit.parameter[1], rate_bps, 0.03));
}
END_TEST

START_TEST(what_does_not_fit_says_so)
{
    struct be_fit fit;
    dice_seed(4);
    for (uint32_t i = 0; i < POINTS; i++) { /* times that have nothing to do with bytes */
        bytes[i] = 4096.0 * (double)(1u << (i % 11));
        ns[i] = exp(10 + 4 * uniform());
    }
    if (be_fit_line(bytes, ns, POINTS, &fit))
        MUST(!fit.fits && fit.residual_p95 > BE_FIT_TOLERANCE && fit.r2 < 0.5);
}
END_TEST

/* A bottleneck that moves: latency, cost per command, rate, and one parameter without any effect. */
static double predict_knee(const void *self, const double parameter[], uint32_t row)
{
    const uint32_t *n = self;
    return parameter[0] + fmax(n[row] * parameter[1], n[row] * bytes[row] * 1e9 / parameter[2]);
}

START_TEST(a_model_with_a_knee)
{
    static uint32_t pieces[POINTS];
    const double truth[] = {50000, 1500, 2e9, 1};
    const struct be_model model = {.n_parameters = 4, .predict = predict_knee, .self = pieces};
    for (uint64_t seed = 1; seed <= 20; seed++) {
        dice_seed(seed);
        for (uint32_t i = 0; i < POINTS; i++) {
            pieces[i] = 1u << (i % 9);
            bytes[i] = i < 20 ? 1 : 65536.0 * (1 + i % 7);
            ns[i] = predict_knee(pieces, truth, i) * (1 + 0.03 * gauss());
            if (i % 10 == 3)
                ns[i] *= 3;
        }
        struct be_fit fit = {.parameter = {5000, 300, 2e8, 7}};
        MUST(be_fit_model(&model, ns, POINTS, &fit));
        for (int k = 0; k < 3; k++)
            MUST(near(fit.parameter[k], truth[k], 0.04) && fit.error[k] < 0.04 * truth[k]);
        MUST(near(fit.parameter[3], 7, 1e-6) && isinf(fit.error[3]));
    }
}
END_TEST

START_TEST(models_that_cannot_be)
{
    static uint32_t pieces[POINTS];
    struct be_model model = {.n_parameters = 3, .predict = predict_knee, .self = pieces};
    struct be_fit fit = {.parameter = {1, 0, 1}};
    MUST(!be_fit_model(&model, ns, POINTS, &fit)); /* a guess that is not above 0 */
    fit = (struct be_fit){.parameter = {1, 1, (double)NAN}};
    MUST(!be_fit_model(&model, ns, POINTS, &fit));
    fit = (struct be_fit){.parameter = {1, 1, 1}};
    MUST(!be_fit_model(&model, ns, 2, &fit)); /* fewer points than parameters */
    model.n_parameters = BE_FIT_MOST + 1;
    MUST(!be_fit_model(&model, ns, POINTS, &fit));
    model.n_parameters = 0;
    MUST(!be_fit_model(&model, ns, POINTS, &fit));
}
END_TEST

START_TEST(quantiles)
{
    double v[] = {5, 1, 4, 2, 3};
    MUST(be_quantile(v, 5, 0.5) == 3 && be_quantile(v, 5, 0) == 1 && be_quantile(v, 5, 1) == 5);
    MUST(isnan(be_quantile(v, 0, 0.5)) && be_quantile(v, 1, 0.9) == 1);
}
END_TEST

int main(void)
{
    gsl_set_error_handler_off();
    Suite *suite = suite_create("fit");
    TCase *lines = tcase_create("lines"), *models = tcase_create("models");
    tcase_add_test(lines, line_is_found);
    tcase_add_test(lines, outliers_do_not_move_it);
    tcase_add_test(lines, exact_data_is_exact);
    tcase_add_test(lines, no_latency_stays_positive);
    tcase_add_test(lines, what_is_no_line_is_refused);
    tcase_add_test(lines, what_does_not_fit_says_so);
    tcase_add_test(models, a_model_with_a_knee);
    tcase_add_test(models, models_that_cannot_be);
    tcase_add_test(models, quantiles);
    suite_add_tcase(suite, lines);
    suite_add_tcase(suite, models);
    return kvt_test_main(suite);
}
