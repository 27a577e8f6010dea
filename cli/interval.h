/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * interval.h - how sure a figure is: confidence intervals for runs, and for requests of one run.
 *
 * Two situations, two methods.
 *
 * *Replications* (same scenario, other seeds) are independent: Student's t on their values.
 *
 * *Requests* of one run are not: whoever waits behind a long prompt is late with it, and a block that is
 * evicted is missed by many. So requests, in order of arrival, are cut into contiguous batches, long
 * against the memory of a queue, and the batches are taken for independent: batch means (Conway 1963;
 * Schmeiser 1982, "Batch size effects in the analysis of simulation output", Operations Research 30:
 * 10 to 30 batches lose little, more gain little). A ratio of sums, such as a hit rate, is treated as what
 * it is, a ratio estimator (Cochran, "Sampling Techniques", section 6). A quantile has no mean to
 * apply t to: its batches are resampled, whole, with replacement (Carlstein 1986, Annals of Statistics 14,
 * non-overlapping blocks), and the middle 95 % of what comes out is the interval (Efron's percentile
 * method).
 *
 * Two variants that saw the same requests are compared request by request: the difference of each
 * request is one value, or, for quantiles, both runs are resampled with the same batches. What
 * both have in common (a burst, a long prompt) then cancels out: common random numbers.
 *
 * Assumes that the run is stationary over its measured part. A trend (a queue that grows without end, a
 * cache that is still filling) widens the intervals of means and makes any figure depend on the length
 * of the run.
 */
#ifndef CLI_INTERVAL_H
#define CLI_INTERVAL_H

#include "../core/types.h"

enum {
    INTERVAL_BATCHES = 30,
    INTERVAL_LEAST = 40, /* values below which there is no interval: batches of one or two */
    INTERVAL_RESAMPLES = 1000,
    INTERVAL_QUANTILES_MOST = 4
};

/* low and high are NAN where there are too few values for an interval. */
struct interval {
    double value, low, high;
};

/* Two-sided Student t quantile for a confidence of 0.95 and so many degrees of freedom: 1.96 for
 * infinitely many. NAN for 0. */
double interval_t(double degrees);

/* Mean of independent values (replications) with its 95 % interval; NAN bounds for n < 2, all NAN for 0. */
struct interval interval_mean(const double *values, size_t n);

/* sum(values) / sum(weights) of n dependent values in order, with its 95 % interval by batches.
 * weights NULL: each 1, so the mean. */
struct interval interval_ratio(const double *values, const double *weights, size_t n);

/* For each q[0 .. n_q), rising, n_q <= INTERVAL_QUANTILES_MOST: quantile(a) - quantile(b), both of
 * the same n requests in order, with its 95 % interval by resampled batches. b NULL: the quantile of a
 * itself. The same seed gives the same interval. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int interval_quantiles(const double *a, const double *b, size_t n, const double *q,
                                      size_t n_q, uint64_t seed, struct interval *out);

/* Does the interval leave 0 on one side? False without an interval. */
bool interval_tells(const struct interval *i);

#endif
