/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * interval.c - see interval.h.
 *
 * Resampling without sorting again: the values are ranked once, each with the number of its batch; a
 * resample is a multiplicity per batch, and its quantiles are found in one walk over the ranked values
 * that adds multiplicities up. A thousand resamples of n values cost a thousand walks, not a thousand
 * sorts. The quantile is the same as everywhere in kvtwin (Hyndman and Fan's type 7), of the
 * multiset that the resample is.
 */
#include "interval.h"

#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double interval_t(double degrees)
{
    return degrees > 0 ? gsl_cdf_tdist_Pinv(0.975, degrees) : (double)NAN;
}

bool interval_tells(const struct interval *i)
{
    return i->low > 0 || i->high < 0;
}

struct interval interval_mean(const double *values, size_t n)
{
    if (n == 0)
        return (struct interval){(double)NAN, (double)NAN, (double)NAN};
    double mean = gsl_stats_mean(values, 1, n), half = (double)NAN;
    if (n > 1)
        half = interval_t((double)n - 1) * gsl_stats_sd(values, 1, n) / sqrt((double)n);
    return (struct interval){mean, mean - half, mean + half};
}

/* The batch of value i of n: contiguous, sizes that differ by at most one. */
static size_t batch_of(size_t i, size_t n, size_t batches)
{
    return i * batches / n;
}

struct interval interval_ratio(const double *values, const double *weights, size_t n)
{
    double sum[INTERVAL_BATCHES] = {0}, weight[INTERVAL_BATCHES] = {0};
    double all = 0, all_weight = 0, squares = 0;
    enum { B = INTERVAL_BATCHES };
    for (size_t i = 0; i < n; i++) {
        size_t b = batch_of(i, n, B);
        sum[b] += values[i];
        weight[b] += weights ? weights[i] : 1;
    }
    for (size_t b = 0; b < B; b++) {
        all += sum[b];
        all_weight += weight[b];
    }
    struct interval out = {all / all_weight, (double)NAN, (double)NAN};
    if (n < INTERVAL_LEAST || !(all_weight > 0))
        return out;
    for (size_t b = 0; b < B; b++) {
        double rest = sum[b] - out.value * weight[b];
        squares += rest * rest;
    }
    double half = interval_t(B - 1) * sqrt(squares / (B - 1) / B) / (all_weight / B);
    out.low = out.value - half;
    out.high = out.value + half;
    return out;
}

/* ---- Quantiles --------------------------------------------------------------------------------------- */

/* Values of one run, ranked, each with its batch. */
struct ranked {
    double *value;
    uint8_t *batch;
    size_t n;
};

static int rank(struct ranked *r, const double *values, size_t n)
{
    size_t *order = malloc(n * sizeof *order);
    *r = (struct ranked){malloc(n * sizeof *r->value), malloc(n), n};
    if (!order || !r->value || !r->batch) {
        free(order);
        return -ENOMEM;
    }
    gsl_sort_index(order, values, 1, n);
    for (size_t i = 0; i < n; i++) {
        r->value[i] = values[order[i]];
        r->batch[i] = (uint8_t)batch_of(order[i], n, INTERVAL_BATCHES);
    }
    free(order);
    return 0;
}

static void unrank(struct ranked *r)
{
    free(r->value);
    free(r->batch);
}

/* Quantiles of the multiset in which batch b comes times[b] times, `total` values in all. */
static void quantiles(const struct ranked *r, const unsigned *times, size_t total, const double *q,
                      size_t n_q, double *out)
{
    size_t seen = 0, i = 0;
    double last = 0; /* the value at place seen - 1 */
    for (size_t k = 0; k < n_q; k++) {
        double place = q[k] * (double)(total - 1), below = floor(place);
        size_t lower = (size_t)below;
        while (seen <= lower && i < r->n) {
            last = times[r->batch[i]] ? r->value[i] : last;
            seen += times[r->batch[i++]];
        }
        double low = last, high = low;
        if (seen <= lower + 1 && place > below) { /* the next place begins with the next value */
            size_t j = i;
            while (j < r->n && times[r->batch[j]] == 0)
                j++;
            high = j < r->n ? r->value[j] : low;
        }
        out[k] = low + (place - below) * (high - low);
    }
}

static size_t draw(gsl_rng *rng, const size_t *sizes, unsigned *times)
{
    size_t total = 0;
    memset(times, 0, INTERVAL_BATCHES * sizeof *times);
    for (unsigned b = 0; b < INTERVAL_BATCHES; b++) {
        unsigned long drawn = gsl_rng_uniform_int(rng, INTERVAL_BATCHES);
        times[drawn]++;
        total += sizes[drawn];
    }
    return total;
}

/* Differences of the resamples, by quantile: trials[k * INTERVAL_RESAMPLES + resample]. */
static int resample(const struct ranked *a, const struct ranked *b, const double *q, size_t n_q,
                    uint64_t seed, double *trials)
{
    size_t sizes[INTERVAL_BATCHES] = {0};
    unsigned times[INTERVAL_BATCHES];
    double of_a[INTERVAL_QUANTILES_MOST], of_b[INTERVAL_QUANTILES_MOST] = {0};
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (!rng)
        return -ENOMEM;
    gsl_rng_set(rng, (unsigned long)seed);
    for (size_t i = 0; i < a->n; i++)
        sizes[a->batch[i]]++;
    for (size_t r = 0; r < INTERVAL_RESAMPLES; r++) {
        size_t total = draw(rng, sizes, times);
        quantiles(a, times, total, q, n_q, of_a);
        if (b)
            quantiles(b, times, total, q, n_q, of_b);
        for (size_t k = 0; k < n_q; k++)
            trials[k * INTERVAL_RESAMPLES + r] = of_a[k] - of_b[k];
    }
    gsl_rng_free(rng);
    return 0;
}

int interval_quantiles(const double *a, const double *b, size_t n, const double *q, size_t n_q,
                       uint64_t seed, struct interval *out)
{
    struct ranked ra = {0}, rb = {0};
    for (size_t k = 0; k < n_q; k++)
        out[k] = (struct interval){(double)NAN, (double)NAN, (double)NAN};
    if (n == 0)
        return 0;
    double *trials = malloc(n_q * INTERVAL_RESAMPLES * sizeof *trials);
    int rc = trials ? rank(&ra, a, n) : -ENOMEM;
    if (rc == 0 && b)
        rc = rank(&rb, b, n);
    if (rc == 0 && n >= INTERVAL_LEAST)
        rc = resample(&ra, b ? &rb : NULL, q, n_q, seed, trials);
    for (size_t k = 0; rc == 0 && k < n_q; k++) {
        double *t = trials + k * INTERVAL_RESAMPLES;
        out[k].value = gsl_stats_quantile_from_sorted_data(ra.value, 1, n, q[k]) -
                       (b ? gsl_stats_quantile_from_sorted_data(rb.value, 1, n, q[k]) : 0);
        if (n < INTERVAL_LEAST)
            continue;
        gsl_sort(t, 1, INTERVAL_RESAMPLES);
        out[k].low = gsl_stats_quantile_from_sorted_data(t, 1, INTERVAL_RESAMPLES, 0.025);
        out[k].high = gsl_stats_quantile_from_sorted_data(t, 1, INTERVAL_RESAMPLES, 0.975);
    }
    unrank(&ra);
    unrank(&rb);
    free(trials);
    return rc;
}
