/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inspect_kv.c - what decoded KV looks like: extremes, mean, deviation, and what is no number.
 *
 * One pass, a small buffer of widened elements at a time. Mean and squares by Welford's update
 * (Technometrics 4, 1962), which does not lose the deviation when the mean is far from zero, as
 * it is for many K channels.
 */
#include "inspect.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { AT_A_TIME = 1024 };

struct sums {
    uint64_t n;
    double mean, squares;
};

static void widen(const unsigned char *raw, enum k_dtype dtype, size_t n, float *wide)
{
    uint16_t narrow[AT_A_TIME];
    if (dtype == K_FP32) {
        memcpy(wide, raw, n * sizeof *wide);
        return;
    }
    memcpy(narrow, raw, n * sizeof *narrow);
    if (dtype == K_BF16)
        k_cast_bf16_to_f32(narrow, wide, n);
    else
        k_cast_fp16_to_f32(narrow, wide, n);
}

static void count(struct inspect_stats *stats, struct sums *sums, const float *x, size_t n)
{
    stats->elements += n;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x[i])) {
            stats->nan++;
        } else if (isinf(x[i])) {
            stats->infinite++;
        } else {
            const double from_mean = x[i] - sums->mean;
            sums->mean += from_mean / (double)++sums->n;
            sums->squares += from_mean * (x[i] - sums->mean);
            stats->min = fmin(stats->min, x[i]);
            stats->max = fmax(stats->max, x[i]);
        }
    }
}

void inspect_kv(const void *raw, enum k_dtype dtype, uint32_t layers, size_t matrix_elements,
                uint32_t n_parts, struct inspect_stats stats[2])
{
    const unsigned char *at = raw;
    struct sums sums[2] = {{0}, {0}};
    float wide[AT_A_TIME];
    assert(n_parts <= 2);
    for (uint32_t part = 0; part < n_parts; part++)
        stats[part] = (struct inspect_stats){.min = NAN, .max = NAN};
    for (uint64_t matrix = 0; matrix < (uint64_t)layers * n_parts; matrix++)
        for (size_t left = matrix_elements; left > 0;) {
            const size_t n = left < AT_A_TIME ? left : AT_A_TIME;
            widen(at, dtype, n, wide);
            count(&stats[matrix % n_parts], &sums[matrix % n_parts], wide, n);
            at += n * k_dtype_b(dtype);
            left -= n;
        }
    for (uint32_t part = 0; part < n_parts; part++) {
        const double n = (double)sums[part].n;
        stats[part].mean = sums[part].n ? sums[part].mean : NAN;
        stats[part].deviation = sums[part].n ? sqrt(sums[part].squares / n) : NAN;
    }
}
