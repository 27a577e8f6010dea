/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_fit.c - what measured times say about latencies and rates, whatever a few of them say.
 *
 * A transfer takes from microseconds to a second, and is wrong by a share of itself: so
 * residuals are logarithms of predicted / measured, in which half as long and twice as long are
 * equally wrong, and latency counts where it matters, in small transfers. Parameters are
 * positive and may be wrong by orders of magnitude at first: so the fit moves their logarithms.
 * What disturbs a measurement (another process, a page fault) makes it many times longer: so
 * points are weighted by Tukey's bisquare,
 *
 *      w(u) = (1 - u^2)^2 for |u| < 1, else 0,      u = residual / (4.685 * s),  s = 1.4826 * median |residual|
 *
 * and fitted again until the weights stay (Holland and Welsch, Communications in Statistics
 * A6:9, 1977; 4.685 keeps 95 % of the efficiency where there are no outliers). A redescending
 * weight depends on where it starts: the first rounds weigh by 1 / |residual|, which minimises
 * the sum of absolute residuals and has no such trouble.
 *
 * A handful of points is fitted as it is.
 *
 * Levenberg-Marquardt and the robust line are GSL's. Standard errors come from the Jacobian at
 * the solution and the scale s of the weighted residuals; they say how well the points agree
 * with each other, not with the truth.
 */
#include "measure.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_L1 = 6, ROUNDS_BISQUARE = 20, STEPS = 60 };

#define TUKEY     4.685
#define LEAST_S   1e-6  /* scale of residuals that are all but zero */
#define LOG_LEAST -30.0 /* logarithms of parameters: more than any time or rate */
#define LOG_MOST  30.0

/* What a fit works on. */
struct work {
    const struct be_model *model;
    uint32_t n;             /* usable points */
    const uint32_t *row;    /* their rows */
    const double *measured; /* of rows */
    double *residual;       /* of points */
    gsl_vector *weight;
    gsl_multifit_nlinear_workspace *solver;
};

static double bounded(double log_parameter)
{
    return log_parameter < LOG_LEAST  ? LOG_LEAST
           : log_parameter > LOG_MOST ? LOG_MOST
                                      : log_parameter;
}

static int residuals(const gsl_vector *x, void *self, gsl_vector *f)
{
    const struct work *w = self;
    double parameter[BE_FIT_MOST];
    for (uint32_t i = 0; i < w->model->n_parameters; i++)
        parameter[i] = exp(bounded(gsl_vector_get(x, i)));
    for (uint32_t i = 0; i < w->n; i++) {
        const double predicted = w->model->predict(w->model->self, parameter, w->row[i]);
        const double r = log(predicted / w->measured[w->row[i]]);
        if (!isfinite(r))
            return GSL_EDOM;
        gsl_vector_set(f, i, r);
    }
    return GSL_SUCCESS;
}

double be_quantile(double *values, uint32_t n, double q)
{
    if (n == 0)
        return (double)NAN;
    gsl_sort(values, 1, n);
    return gsl_stats_quantile_from_sorted_data(values, 1, n, q);
}

/* The scale of the residuals; scratch has room for n. */
static double scale_of(const double *residual, uint32_t n, double *scratch)
{
    for (uint32_t i = 0; i < n; i++)
        scratch[i] = fabs(residual[i]);
    const double s = 1.4826 * be_quantile(scratch, n, 0.5);
    return s > LEAST_S ? s : LEAST_S;
}

/* Sets the weights anew; returns the largest change. */
static double weigh(struct work *w, bool bisquare, double *scratch)
{
    const double s = scale_of(w->residual, w->n, scratch);
    double most = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        const double r = fabs(w->residual[i]), u = r / (TUKEY * s);
        double weight = s / fmax(r, s / 10);
        if (bisquare)
            weight = u < 1 ? (1 - u * u) * (1 - u * u) : 0;
        most = fmax(most, fabs(weight - gsl_vector_get(w->weight, i)));
        gsl_vector_set(w->weight, i, weight);
    }
    return most;
}

/* One weighted least squares fit from x, which it moves. */
static bool solve(struct work *w, gsl_vector *x)
{
    gsl_multifit_nlinear_fdf fdf = {.f = residuals,
                                    .n = w->n,
                                    .p = w->model->n_parameters,
                                    .params = w};
    int info = 0;
    if (gsl_multifit_nlinear_winit(x, w->weight, &fdf, w->solver) != GSL_SUCCESS)
        return false;
    const int rc = gsl_multifit_nlinear_driver(STEPS, 1e-9, 1e-9, 0, NULL, NULL, &info, w->solver);
    /* No progress is no failure: a parameter may have gone where nothing depends on it. */
    if (rc != GSL_SUCCESS && rc != GSL_EMAXITER && rc != GSL_ENOPROG)
        return false;
    const gsl_vector *at = gsl_multifit_nlinear_position(w->solver);
    for (uint32_t i = 0; i < w->model->n_parameters; i++) {
        if (!isfinite(gsl_vector_get(at, i)))
            return false;
        gsl_vector_set(x, i, bounded(gsl_vector_get(at, i)));
    }
    gsl_vector_view f = gsl_vector_view_array(w->residual, w->n);
    return residuals(x, w, &f.vector) == GSL_SUCCESS;
}

/* Alternates between fit and weights. */
static bool iterate(struct work *w, gsl_vector *x, double *scratch)
{
    gsl_vector_set_all(w->weight, 1);
    if (!solve(w, x))
        return false;
    /* Of a handful, none can be called an outlier: p of them always agree. */
    if (w->n < 2 * w->model->n_parameters + 4)
        return true;
    for (int round = 0; round < ROUNDS_L1 + ROUNDS_BISQUARE; round++) {
        const bool bisquare = round >= ROUNDS_L1;
        if (weigh(w, bisquare, scratch) < 1e-4 && bisquare)
            return true;
        if (!solve(w, x))
            return false;
    }
    return true;
}

/* Standard errors: s^2 (J'WJ)^-1, of logarithms; an error of the logarithm is a relative one. A
 * parameter without any effect has a column of zeroes, and is left out. */
static void find_errors(const struct work *w, double scale, struct be_fit *fit)
{
    const gsl_matrix *jacobian = gsl_multifit_nlinear_jac(w->solver);
    const uint32_t p = w->model->n_parameters;
    double used = 0;
    for (uint32_t i = 0; i < w->n; i++)
        used += gsl_vector_get(w->weight, i) > 0;
    gsl_matrix *covariance = gsl_matrix_alloc(p, p);
    for (uint32_t k = 0; k < p; k++)
        fit->error[k] = INFINITY;
    if (covariance && gsl_multifit_nlinear_covar(jacobian, 1e-8, covariance) == GSL_SUCCESS) {
        const double s = scale * sqrt(used > p ? used / (used - p) : 1);
        for (uint32_t k = 0; k < p; k++) {
            const double variance = gsl_matrix_get(covariance, k, k);
            if (variance > 0 && isfinite(variance))
                fit->error[k] = fit->parameter[k] * s * sqrt(variance);
        }
    }
    gsl_matrix_free(covariance);
}

/* How good the fit is: over all points, outliers too. */
static void judge(const struct work *w, double *scratch, struct be_fit *fit)
{
    double mean = 0, all = 0, left = 0;
    for (uint32_t i = 0; i < w->n; i++)
        mean += log(w->measured[w->row[i]]) / w->n;
    for (uint32_t i = 0; i < w->n; i++) {
        const double y = log(w->measured[w->row[i]]) - mean, r = w->residual[i];
        all += y * y;
        left += r * r;
        scratch[i] = fabs(exp(w->residual[i]) - 1);
        fit->outliers += gsl_vector_get(w->weight, i) < 0.1;
    }
    fit->r2 = all > 0 ? 1 - left / all : (double)NAN;
    fit->residual_p50 = be_quantile(scratch, w->n, 0.5);
    fit->residual_p95 = be_quantile(scratch, w->n, 0.95);
    fit->fits = fit->residual_p95 <= BE_FIT_TOLERANCE;
}

static void fit_points(struct work *w, double *scratch, struct be_fit *fit)
{
    const uint32_t p = w->model->n_parameters;
    gsl_multifit_nlinear_parameters how = gsl_multifit_nlinear_default_parameters();
    gsl_vector *x = gsl_vector_alloc(p);
    w->weight = gsl_vector_alloc(w->n);
    w->solver = gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &how, w->n, p);
    for (uint32_t k = 0; x && k < p; k++)
        gsl_vector_set(x, k, bounded(log(fit->parameter[k])));
    if (x && w->weight && w->solver && iterate(w, x, scratch)) {
        fit->valid = true;
        for (uint32_t k = 0; k < p; k++)
            fit->parameter[k] = exp(gsl_vector_get(x, k));
        find_errors(w, scale_of(w->residual, w->n, scratch), fit);
        judge(w, scratch, fit);
    }
    if (w->solver)
        gsl_multifit_nlinear_free(w->solver);
    gsl_vector_free(w->weight);
    gsl_vector_free(x);
}

bool be_fit_model(const struct be_model *model, const double *measured, uint32_t n,
                  struct be_fit *fit)
{
    const uint32_t p = model->n_parameters;
    struct be_fit guess = *fit;
    *fit = (struct be_fit){0};
    if (p == 0 || p > BE_FIT_MOST || n == 0)
        return false;
    for (uint32_t k = 0; k < p; k++) {
        if (!(guess.parameter[k] > 0) || !isfinite(guess.parameter[k]))
            return false;
        fit->parameter[k] = guess.parameter[k];
    }
    uint32_t *row = malloc(n * sizeof *row);
    double *residual = malloc(2 * n * sizeof *residual);
    struct work w = {.model = model, .row = row, .measured = measured, .residual = residual};
    for (uint32_t i = 0; row && i < n; i++) {
        const double predicted = model->predict(model->self, fit->parameter, i);
        if (measured[i] > 0 && isfinite(measured[i]) && predicted > 0 && isfinite(predicted))
            row[w.n++] = i;
    }
    fit->points = w.n;
    if (row && residual && w.n >= p)
        fit_points(&w, residual + n, fit);
    free(residual);
    free(row);
    return fit->valid;
}

/* ---- A line ---------------------------------------------------------------------------------------- */

struct line {
    const double *bytes;
};

static double predict_line(const void *self, const double parameter[], uint32_t row)
{
    const struct line *line = self;
    return parameter[0] + line->bytes[row] * 1e9 / parameter[1];
}

/* GSL's robust line through rows divided by their time: 1 = a / t + b bytes / t. Sets ns and ns per byte. */
static bool first_line(const double *bytes, const double *ns, uint32_t n, double *a, double *b)
{
    gsl_matrix *x = gsl_matrix_alloc(n, 2), *covariance = gsl_matrix_alloc(2, 2);
    gsl_vector *y = gsl_vector_alloc(n), *c = gsl_vector_alloc(2);
    gsl_multifit_robust_workspace *robust =
        gsl_multifit_robust_alloc(gsl_multifit_robust_bisquare, n, 2);
    bool ok = false;
    if (x && covariance && y && c && robust) {
        for (uint32_t i = 0; i < n; i++) {
            gsl_matrix_set(x, i, 0, 1 / ns[i]);
            gsl_matrix_set(x, i, 1, bytes[i] / ns[i]);
            gsl_vector_set(y, i, 1);
        }
        const int rc = gsl_multifit_robust(x, y, c, covariance, robust);
        *a = gsl_vector_get(c, 0);
        *b = gsl_vector_get(c, 1);
        ok = (rc == GSL_SUCCESS || rc == GSL_EMAXITER) && isfinite(*a) && isfinite(*b);
    }
    if (robust)
        gsl_multifit_robust_free(robust);
    gsl_vector_free(c);
    gsl_vector_free(y);
    gsl_matrix_free(covariance);
    gsl_matrix_free(x);
    return ok;
}

bool be_fit_line(const double *bytes, const double *ns, uint32_t n, struct be_fit *fit)
{
    *fit = (struct be_fit){0};
    double *kept = n > 0 ? malloc(2 * n * sizeof *kept) : NULL, *kept_ns = kept ? kept + n : NULL;
    double least = INFINITY, most = 0, fastest = 0, a = 0, b = 0;
    uint32_t m = 0;
    for (uint32_t i = 0; kept && i < n; i++) {
        if (!(ns[i] > 0) || !isfinite(ns[i]) || !(bytes[i] > 0) || !isfinite(bytes[i]))
            continue;
        kept[m] = bytes[i];
        kept_ns[m++] = ns[i];
        least = fmin(least, bytes[i]);
        most = fmax(most, bytes[i]);
        fastest = fmax(fastest, bytes[i] / ns[i]);
    }
    if (m >= 3 && most > least) {
        const bool robust = first_line(kept, kept_ns, m, &a, &b);
        /* A start that is no pair of positive numbers is replaced by a plausible one. */
        fit->parameter[0] = robust && a > 0 ? a : 0.01 * least / fastest;
        fit->parameter[1] = 1e9 * (robust && b > 0 ? 1 / b : fastest);
        const struct line line = {kept};
        const struct be_model model = {.n_parameters = 2, .predict = predict_line, .self = &line};
        be_fit_model(&model, kept_ns, m, fit);
    }
    free(kept);
    return fit->valid;
}
