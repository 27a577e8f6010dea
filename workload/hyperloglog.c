/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * hyperloglog.c - see hyperloglog.h.
 */
#include "hyperloglog.h"

#include <math.h>

void wl_sketch_add(struct wl_sketch *sketch, uint64_t hash)
{
    const uint64_t at = hash >> (64 - WL_SKETCH_BITS), rest = hash << WL_SKETCH_BITS;
    const int zeros = rest != 0 ? __builtin_clzll(rest) : 64 - WL_SKETCH_BITS;
    const uint8_t rank = (uint8_t)(zeros + 1);
    if (sketch->longest[at] < rank)
        sketch->longest[at] = rank;
}

/* What registers that are still empty, a share x of all, stand for: x + sum over k of x^(2^k) 2^(k-1). */
static double sigma(double x)
{
    double sum = x, weight = 1, before;
    if (x >= 1)
        return INFINITY;
    do {
        x *= x;
        before = sum;
        sum += x * weight;
        weight += weight;
    } while (sum > before);
    return sum;
}

/* What registers that are full stand for: (1 - x - sum over k of (1 - x^(2^-k))^2 2^-k) / 3. */
static double tau(double x)
{
    double sum = 1 - x, weight = 1, before;
    if (x <= 0 || x >= 1)
        return 0;
    do {
        x = sqrt(x);
        before = sum;
        weight *= 0.5;
        sum -= (1 - x) * (1 - x) * weight;
    } while (sum < before);
    return sum / 3;
}

double wl_sketch_count(const struct wl_sketch *sketch)
{
    enum { MOST = 64 - WL_SKETCH_BITS + 1 }; /* the largest rank */
    const double m = WL_SKETCH_SIZE;
    double having[MOST + 1] = {0};
    for (int i = 0; i < WL_SKETCH_SIZE; i++)
        having[sketch->longest[i]]++;
    double z = m * tau(1 - having[MOST] / m);
    for (int rank = MOST - 1; rank >= 1; rank--)
        z = 0.5 * (z + having[rank]);
    z += m * sigma(having[0] / m);
    return m / (2 * M_LN2) * (m / z);
}

double wl_sketch_error(void)
{
    return 1.04 / sqrt(WL_SKETCH_SIZE);
}
