/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * histogram.c - see histogram.h.
 *
 * The bucket of a value: with e = the position of its highest bit, values below HISTOGRAM_SUB are their own
 * index; others shift right by e - HISTOGRAM_BITS, which leaves HISTOGRAM_SUB .. 2 * HISTOGRAM_SUB - 1, and each
 * shift has HISTOGRAM_SUB buckets of its own.
 */
#include "histogram.h"

#include <math.h>

static unsigned bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_SUB)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    return (shift + 1) * HISTOGRAM_SUB + (unsigned)(value >> shift) - HISTOGRAM_SUB;
}

/* First value of a bucket and how many values it holds. */
static uint64_t bucket_first(unsigned bucket, uint64_t *width)
{
    if (bucket < HISTOGRAM_SUB) {
        *width = 1;
        return bucket;
    }
    unsigned shift = bucket / HISTOGRAM_SUB - 1;
    *width = UINT64_C(1) << shift;
    return (uint64_t)(HISTOGRAM_SUB + bucket % HISTOGRAM_SUB) << shift;
}

void histogram_add(struct histogram *h, uint64_t value, uint64_t weight)
{
    if (weight == 0)
        return;
    if (h->total == 0 || value < h->least)
        h->least = value;
    if (value > h->greatest)
        h->greatest = value;
    h->total += weight;
    h->sum += (long double)value * (long double)weight;
    h->count[bucket_of(value)] += weight;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    if (from->total == 0)
        return;
    if (h->total == 0 || from->least < h->least)
        h->least = from->least;
    if (from->greatest > h->greatest)
        h->greatest = from->greatest;
    h->total += from->total;
    h->sum += from->sum;
    for (unsigned bucket = bucket_of(from->least); bucket <= bucket_of(from->greatest); bucket++)
        h->count[bucket] += from->count[bucket];
}

double histogram_mean(const struct histogram *h)
{
    return h->total == 0 ? (double)NAN : (double)(h->sum / (long double)h->total);
}

double histogram_quantile(const struct histogram *h, double q)
{
    if (h->total == 0)
        return (double)NAN;
    /* the rank-th smallest, from 1; nearest rank */
    uint64_t rank = (uint64_t)ceil(q * (double)h->total);
    if (rank < 1)
        rank = 1;
    if (rank > h->total)
        rank = h->total;
    if (rank == h->total)
        return (double)h->greatest;

    uint64_t seen = 0;
    unsigned bucket = bucket_of(h->least);
    for (; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
        seen += h->count[bucket];
        if (seen >= rank)
            break;
    }
    uint64_t width;
    uint64_t first = bucket_first(bucket, &width);
    double middle = (double)first + (double)(width - 1) / 2;
    return fmin(fmax(middle, (double)h->least), (double)h->greatest);
}

uint64_t histogram_at_most(const struct histogram *h, uint64_t value)
{
    uint64_t seen = 0;

    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        uint64_t width;
        uint64_t first = bucket_first(bucket, &width);
        if (first > value || width - 1 > value - first)
            break;
        seen += h->count[bucket];
    }
    return seen;
}
