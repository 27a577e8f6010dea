/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * curve.h - hits by capacity, exact at every capacity, from a list of the places where the curve bends.
 *
 * A block that needs capacity d hits at d and above. A histogram over d has as many cells as there are distinct
 * blocks, most of them empty or equal to their neighbours, because blocks come in runs. So what is kept is
 * where it changes:
 *
 *      step   n blocks that need d                   hits rise by n at d
 *      ramp   n blocks that need d, d+1, d+2, ...    hits rise by one at each
 *
 *      hits(c) = sum over marks with at <= c of  step + slope * (c - at + 1)
 *
 * with a ramp as slope +1 at d and -1 at d + n. Marks lie in a table by capacity (open addressing, at most half
 * full), are added up there, and are put in order once, when the curve is sealed. All counts are whole and below 2^63.
 *
 * Beside blocks a curve counts what their tokens fall short of full blocks (partial ends of prompts):
 * tokens(c) = hits(c) * block tokens - short(c).
 */
#ifndef WL_CURVE_H
#define WL_CURVE_H

#include "../core/types.h"

struct wl_mark {
    uint64_t at;
    int64_t step, slope, short_tokens;
};

/* Zero-initialised is empty. */
struct wl_curve {
    /* private: */
    struct wl_mark *marks; /* a table by capacity, at 0: empty; once sealed: n of them in order */
    size_t n, room;        /* room: a power of two, or 0 */
    bool sealed; /* step and slope are the coefficients of a line: hits(c) = step + slope * c */
};

void wl_curve_release(struct wl_curve *curve);

/* n blocks that need capacity at (> 0). Each returns 0 or -ENOMEM, and the curve is void then. Not after sealing. */
KVT_MUST_CHECK int wl_curve_step(struct wl_curve *curve, uint64_t at, uint64_t n);
/* n blocks that need at, at + 1, ..., at + n - 1. */
KVT_MUST_CHECK int wl_curve_ramp(struct wl_curve *curve, uint64_t at, uint64_t n);
/* A block that needs capacity at lacks so many tokens. */
KVT_MUST_CHECK int wl_curve_short(struct wl_curve *curve, uint64_t at, uint64_t tokens);

/* All marks of another one that is not sealed. -ENOMEM: some of them. */
KVT_MUST_CHECK int wl_curve_add(struct wl_curve *curve, const struct wl_curve *other);

/* No more marks: the curve can be asked. */
void wl_curve_seal(struct wl_curve *curve);

struct wl_hits {
    uint64_t blocks, short_tokens;
};
/* Of a cache of so many blocks. The curve is sealed. O(log marks). */
struct wl_hits wl_curve_at(const struct wl_curve *curve, uint64_t capacity);

#endif
