/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rng.h - named random streams for GSL's distributions.
 *
 * A stream's state is 8 bytes and its seed is all of it (splitmix64), so a stream may be made for each session,
 * turn or request and forgotten at once: nothing has to be kept to draw the same again, and no draw shifts
 * another's. GSL's own generators take 32-bit seeds and, for Mersenne Twister, 5 KB of state.
 */
#ifndef WL_RNG_H
#define WL_RNG_H

#include "../core/types.h"

#include <gsl/gsl_rng.h>

/* The stream called name of entity id in a run with seed. *state is the caller's and holds its position; the
 * result borrows it. */
gsl_rng wl_rng(uint64_t *state, uint64_t seed, const char *name, uint64_t id);

/* A whole number of at least 1, lognormal with that mean and coefficient of variation, at most `most`.
 * Rounding up to 1 shifts the mean of tiny means only. */
uint32_t wl_draw_tokens(const gsl_rng *rng, double mean, double cv, uint32_t most);
/* A whole number of at least 1, geometric with that mean (>= 1), at most `most`. */
uint32_t wl_draw_count(const gsl_rng *rng, double mean, uint32_t most);
/* Exponential seconds as integer ns, at once. */
kvt_ns wl_draw_ns(const gsl_rng *rng, double mean_s);
/* Seconds as integer ns; below 0 is 0, beyond 292 years is KVT_NEVER. */
kvt_ns wl_seconds(double s);

#endif
