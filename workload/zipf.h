/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * zipf.h - ranks 0 .. n-1, the k-th with weight (k + 1)^-s: one uniform draw, inverted in a table of sums by
 * bisection. 8 bytes a rank.
 *
 * GSL's alias tables (gsl_ran_discrete) would take constant time, but do not look at what malloc returns.
 */
#ifndef WL_ZIPF_H
#define WL_ZIPF_H

#include "../core/types.h"

#include <gsl/gsl_rng.h>

/* Zero-initialise; free with wl_zipf_release. */
struct wl_zipf {
    double *sums; /* sums[k]: weight of ranks 0 .. k */
    uint32_t n;
};

/* n >= 1. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_zipf_init(struct wl_zipf *zipf, uint32_t n, double s);
uint32_t wl_zipf_draw(const struct wl_zipf *zipf, const gsl_rng *rng);
void wl_zipf_release(struct wl_zipf *zipf);

#endif
