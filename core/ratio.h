/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ratio.h - how alike two sequences are: Ratcliff and Obershelp's ratio, as Python defines it.
 *
 * The value is that of difflib.SequenceMatcher(None, a, b).ratio(), the same IEEE double, for any two
 * sequences of 32-bit elements: the code points of two strings, or tokens. The measure is that of
 * Ratcliff and Metzener ("Pattern matching: the Gestalt approach", Dr. Dobb's Journal, July 1988):
 * find the longest run that both have in common, do the same to what is left of it and to what is
 * right of it, and so on; with M elements matched,
 *
 *      ratio = 2 M / (n_a + n_b),     1 for two empty sequences
 *
 * What makes it Python's, and not symmetric:
 *
 *   (T1) Of longest runs the one that begins first in a counts; of those the first in b.
 *   (T2) When b has 200 elements or more, an element that makes up more than 1 % of b (count >
 *        n_b / 100 + 1) is *popular*: it begins no run. A run found without it is then extended over
 *        equal elements, popular or not, as far as its part of a and b goes.
 *   (T3) A part with nothing but popular elements in common still matches at its very start: as far as
 *        its two sides agree from their first elements on.
 *
 * Bounds from above, cheapest first: kvt_ratio_of(min(n_a, n_b), ...) is real_quick_ratio(),
 * kvt_ratio_bag is quick_ratio(). A caller that only cares for ratios beyond some value says how many
 * matches that takes (`least`); comparing stops as soon as they cannot be reached.
 *
 * Time: what is common costs, not what is long. n_a + n_b, and one step per pair of equal elements
 * that are not popular; how deep the recursion goes costs nothing (ratio.c). Memory: about 45 bytes
 * per element of both, taken when a longer pair than ever before comes, and kept.
 */
#ifndef KVT_RATIO_H
#define KVT_RATIO_H

#include "alloc.h"

/* Elements of one sequence at most. */
#define KVT_RATIO_MOST (UINT32_C(1) << 28)
/* A shorter b has no popular elements. */
enum { KVT_RATIO_POPULAR_FROM = 200 };

/* Working memory for one comparison after the other. */
struct kvt_ratio {
    /* private: */
    const struct kvt_alloc *alloc;
    uint32_t *words;
    uint64_t room;     /* words */
    uint32_t runs;     /* runs remembered at one time; 0: as many as both have elements */
    uint64_t compared; /* comparisons that got beyond the bag; for figures */
};

/* Takes no memory yet; alloc is borrowed. `runs` bounds how many common runs are remembered at one
 * time: fewer mean less memory and more passes, never another result. 0 is a good choice. */
void kvt_ratio_init(struct kvt_ratio *r, const struct kvt_alloc *alloc, uint32_t runs);
void kvt_ratio_release(struct kvt_ratio *r);

/* Makes room for a pair of such lengths, each at most KVT_RATIO_MOST. 0, -EINVAL (longer) or -ENOMEM. */
KVT_MUST_CHECK int kvt_ratio_reserve(struct kvt_ratio *r, uint32_t n_a, uint32_t n_b);

/* Elements matched when that is at least `least`; otherwise KVT_NONE. a and b are borrowed until
 * return; room for them was reserved. */
uint32_t kvt_ratio_matches(struct kvt_ratio *r, const uint32_t *a, uint32_t n_a, const uint32_t *b,
                           uint32_t n_b, uint32_t least);

/* The same for two that are equal in their first `same` elements, and no further, by what is behind those alone.
 * marks: a bit per element of b, 0 where it is popular in b; NULL: none is. True and *matches, or false: that would
 * not be the whole answer, or more than 512 elements are left; compare in full. No memory is needed. (ratio_rest.c) */
bool kvt_ratio_rest(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b,
                    const uint32_t *marks, uint32_t same, uint32_t *matches);

/* Of a with any b that begins with these n_b elements, of which marks say which are popular there (a bit each, 0:
 * popular): by_run[n].most is how many of the n_b can match at most, if no run of n or more elements, n < KVT_RATIO_RUNS,
 * ends beyond them in b. Runs are taken longest first, so all that have n or more are those of the prefix, for every
 * such b, and cut the same boxes. Only the last box goes on behind the prefix; it may match as much as its
 * smaller side. What matches in the others is settled. Runs of less than n before by_run[n].row are in those. Room was
 * reserved. */
enum { KVT_RATIO_RUNS = 7 };
struct kvt_ratio_cut {
    uint32_t most, row; /* row: of a, where the last box begins */
};
void kvt_ratio_prefix(struct kvt_ratio *r, const uint32_t *a, uint32_t n_a, const uint32_t *b,
                      uint32_t n_b, const uint32_t *marks, struct kvt_ratio_cut *by_run);

/* Elements that both have, in whatever order: no less than kvt_ratio_matches. Room was reserved. */
uint32_t kvt_ratio_bag(struct kvt_ratio *r, const uint32_t *a, uint32_t n_a, const uint32_t *b,
                       uint32_t n_b);

/* The ratio itself, by one call. 0, or as kvt_ratio_reserve. */
KVT_MUST_CHECK int kvt_ratio(struct kvt_ratio *r, const uint32_t *a, uint32_t n_a,
                             const uint32_t *b, uint32_t n_b, double *ratio);

/* 2 matches / both; 1 when both == 0. both = n_a + n_b. */
static inline double kvt_ratio_of(uint64_t matches, uint64_t both)
{
    return both ? 2.0 * (double)matches / (double)both : 1.0;
}

/* (T2) An element is popular in b when b has more of it than this. */
static inline uint32_t kvt_ratio_popular_above(uint32_t n_b)
{
    return n_b >= KVT_RATIO_POPULAR_FROM ? n_b / 100 + 1 : n_b;
}

/* The fewest matches with kvt_ratio_of(.., both) > threshold. More than both / 2, which no pair reaches,
 * when threshold is 1. threshold is 0 to 1. */
uint64_t kvt_ratio_least(double threshold, uint64_t both);

#endif
