/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * histogram.h - durations counted in log-linear buckets, with weights.
 *
 * The shape is fio's (stat.h, "plat" buckets) and HdrHistogram's: each power of two is cut into
 * HISTOGRAM_SUB equal buckets, and values below HISTOGRAM_SUB have a bucket each.
 *
 *      value      0 .. 127     128 .. 255     256 .. 511     512 .. 1023   ...
 *      width         1              1              2              4
 *
 * A quantile is reported as the middle of its bucket. A bucket of width w starts at w * HISTOGRAM_SUB or
 * above, so the middle is off by at most w / 2: a relative error of at most 1 / (2 * 128) = 0.4 %. Sum,
 * count, least and greatest are exact, and so is the mean.
 *
 * Memory: (64 - 7 + 1) * 128 counters of 8 bytes = 59 KB at most; pages of a zeroed histogram that are
 * never touched cost nothing.
 */
#ifndef CLI_HISTOGRAM_H
#define CLI_HISTOGRAM_H

#include "../core/types.h"

enum {
    HISTOGRAM_BITS = 7,
    HISTOGRAM_SUB = 1 << HISTOGRAM_BITS,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) * HISTOGRAM_SUB
};

/* All zero is an empty histogram. */
struct histogram {
    uint64_t total; /* sum of weights */
    uint64_t least, greatest;
    long double sum; /* of value * weight: 64 bits of mantissa, more than 10^9 values need */
    uint64_t count[HISTOGRAM_BUCKETS];
};

/* Counts value `weight` times; weight 0 does nothing. */
void histogram_add(struct histogram *h, uint64_t value, uint64_t weight);

/* Adds all of `from` to h. */
void histogram_merge(struct histogram *h, const struct histogram *from);

/* The value below which a share q (0 to 1) of the weight lies; NAN when empty. Never outside least and
 * greatest. */
double histogram_quantile(const struct histogram *h, double q);

/* NAN when empty. */
double histogram_mean(const struct histogram *h);

/* Weight of values whose bucket ends at or below `value`. */
uint64_t histogram_at_most(const struct histogram *h, uint64_t value);

#endif
