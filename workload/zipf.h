/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * zipf.h - ranks 0 .. n-1, the k-th with weight (k + 1)^-s, in constant time: GSL's alias tables (Walker,
 * 1977). Two draws, 24 bytes a rank.
 */
#ifndef WL_ZIPF_H
#define WL_ZIPF_H

#include "../core/types.h"

#include <gsl/gsl_randist.h>

/* Zero-initialise; free with wl_zipf_release. */
struct wl_zipf {
    gsl_ran_discrete_t *table; /* NULL: one rank only */
};

/* n >= 1. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_zipf_init(struct wl_zipf *zipf, uint32_t n, double s);
uint32_t wl_zipf_draw(const struct wl_zipf *zipf, const gsl_rng *rng);
void wl_zipf_release(struct wl_zipf *zipf);

#endif
