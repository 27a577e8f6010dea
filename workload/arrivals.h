/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * arrivals.h - a point process in integer nanoseconds.
 *
 *   poisson   exponential gaps
 *   gamma     gamma gaps of shape 1 / cv^2, same mean
 *   diurnal   Poisson with a sinusoidal rate, by thinning (Lewis and Shedler, 1979): candidates at the highest
 *             rate, kept with probability rate(t) / highest
 *   constant  equal gaps
 *
 * Gaps are rounded to ns one by one, so the mean rate is off by less than 1e-9 s per arrival.
 */
#ifndef WL_ARRIVALS_H
#define WL_ARRIVALS_H

#include "generate.h"

#include <gsl/gsl_rng.h>

struct wl_clock {
    struct wl_arrivals arrivals;
    double rate_per_s;
    uint64_t seed;
    const char *stream; /* static */
    uint64_t state;
    gsl_rng rng;
    kvt_ns now_ns;
};

/* Starts at 0; also starts over. The clock must not move in memory afterwards. */
void wl_clock_init(struct wl_clock *clock, const struct wl_arrivals *arrivals, double rate_per_s,
                   uint64_t seed, const char *stream);
/* The next arrival; KVT_NEVER beyond the end of time, and from then on. */
kvt_ns wl_clock_next(struct wl_clock *clock);

/* Reads "gamma(cv=2)". Returns NULL, or what was expected, *arrivals then as it was. */
const char *wl_arrivals_parse(struct wl_arrivals *arrivals, const char *text);

#endif
