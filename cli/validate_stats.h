/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * validate_stats.h - two samples beside each other: quantiles, relative errors, Kolmogorov-Smirnov.
 */
#ifndef CLI_VALIDATE_STATS_H
#define CLI_VALIDATE_STATS_H

#include "../core/types.h"

/* Of one sample; NAN but for n where it is empty. Quantiles are linear between the two nearest
 * order statistics (Hyndman and Fan's type 7), as everywhere in kvtwin. */
struct sample_figures {
    size_t n;
    double mean, p50, p95, p99;
};

/* Sorts values ascending. No NAN among them. */
struct sample_figures sample_figures(double *values, size_t n);

/* How far `model` is off, in parts of what was `measured`: (model - measured) / measured. 0 when
 * both are 0, INFINITY when only the measured one is; NAN when one of them is. */
double relative_error(double measured, double model);

/* The largest vertical distance between two empirical distribution functions, 0 to 1. Both sorted
 * ascending. NAN when one is empty. */
double ks_distance(const double *a, size_t n_a, const double *b, size_t n_b);

/* How likely such a distance, or a larger one, is between two samples of one distribution:
 * asymptotic, with Stephens' correction, good from about four values a sample on. With many ties
 * it is too large: it does not accuse in error. */
double ks_significance(double distance, size_t n_a, size_t n_b);

/* 1 - K(x), K being Kolmogorov's distribution. */
double kolmogorov_tail(double x);

#endif
