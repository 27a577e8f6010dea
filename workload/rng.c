/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rng.c - see rng.h. splitmix64: a counter in steps of 2^64 / golden ratio, mixed (Steele, Lea and Flood, OOPSLA
 * 2014). It passes BigCrush; streams of different seeds are parts of one cycle of 2^64, far apart by chance.
 */
#include "rng.h"

#include "../core/mix.h"

#include <gsl/gsl_randist.h>
#include <math.h>

static uint64_t step(void *state)
{
    uint64_t *s = state;
    *s += UINT64_C(0x9e3779b97f4a7c15);
    return kvt_mix64(*s);
}

static void split_set(void *state, unsigned long seed)
{
    *(uint64_t *)state = seed;
}

/* 32 bits, as many as GSL's algorithms are written for. */
static unsigned long split_get(void *state)
{
    return step(state) >> 32;
}

static double split_double(void *state)
{
    return (double)(step(state) >> 11) * 0x1p-53;
}

static const gsl_rng_type splitmix = {
    .name = "splitmix64",
    .max = UINT32_MAX,
    .min = 0,
    .size = sizeof(uint64_t),
    .set = split_set,
    .get = split_get,
    .get_double = split_double,
};

gsl_rng wl_rng(uint64_t *state, uint64_t seed, const char *name, uint64_t id)
{
    *state = kvt_stream_seed(seed, name, id);
    return (gsl_rng){.type = &splitmix, .state = state};
}

uint32_t wl_draw_tokens(const gsl_rng *rng, double mean, double cv, uint32_t most)
{
    double tokens = mean;
    if (cv > 0) {
        const double variance = log1p(cv * cv);
        tokens = gsl_ran_lognormal(rng, log(mean) - variance / 2, sqrt(variance));
    }
    tokens = round(tokens);
    return tokens < 1 ? 1 : tokens > most ? most : (uint32_t)tokens;
}

uint32_t wl_draw_count(const gsl_rng *rng, double mean, uint32_t most)
{
    const unsigned count = mean > 1 ? gsl_ran_geometric(rng, 1 / mean) : 1;
    return count < 1 ? 1 : count > most ? most : count;
}

kvt_ns wl_draw_ns(const gsl_rng *rng, double mean_s)
{
    return mean_s > 0 ? wl_seconds(gsl_ran_exponential(rng, mean_s)) : 0;
}

kvt_ns wl_seconds(double s)
{
    return !(s > 0) ? 0 : s >= 9.2e9 ? KVT_NEVER : (kvt_ns)llround(s * 1e9);
}
