/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plan_search.h - the cheapest point of a grid that meets a condition, by few looks at the condition.
 *
 * What a point costs is cheap to know; whether it meets the condition takes a run. Assumed is that more of an *ordered*
 * key (a later value) never makes a point fail that met: then what meets is an up-set, what fails a down-set, and
 *
 *      a point that meets    rules out every point that is not cheaper
 *      a point that fails    rules out every point that has no more of each ordered key and the same of each other
 *
 * The search brackets the border: it looks at the point that rules out the most whichever way it turns out, and ends when
 * nothing cheaper than the best is left open. Without more assumptions nobody can do with fewer than the maximal points
 * among those that are cheaper than the answer: each of these must be seen to fail.
 *
 * The assumption can be false (a larger batch may be worse for a tail). So the neighbours of the answer that are
 * one step below it are looked at in any case, never only ruled out; if one meets, the search goes on from
 * there; and every pair that contradicts the assumption is counted.
 *
 * Values of a key that is not ordered (node types) span grids side by side, which share only the best cost.
 */
#ifndef CLI_PLAN_SEARCH_H
#define CLI_PLAN_SEARCH_H

#include "../core/types.h"

enum { PLAN_KEYS_MOST = 8, PLAN_LOOKS_AT_ONCE = 64 };

enum plan_state {
    PLAN_OPEN,
    PLAN_FAILS,
    PLAN_MEETS,
    PLAN_BELOW,
    PLAN_ABOVE
}; /* looked at: two; ruled out: below a failing one, above a meeting one */

struct plan_search {
    /* The grid: points are numbered with the last key fastest, as in vary.h. */
    size_t n_keys, n[PLAN_KEYS_MOST];
    bool ordered[PLAN_KEYS_MOST];
    size_t points;
    const double *cost; /* [points], finite; a point with NAN is left out */
    /* Looks at n points (at most at_once): meets[i] for each. Returns 0 or a negative errno, which ends the search. */
    int (*look)(void *self, const size_t *points, size_t n, bool *meets);
    void *self;
    size_t at_once;    /* 1 .. PLAN_LOOKS_AT_ONCE: as many as run beside each other */
    size_t looks_most; /* 0: as many as it takes */
    double cost_least; /* points cheaper than this are known to fail; -INFINITY: nothing is known */

    /* Out. */
    uint8_t *state; /* [points], enum plan_state */
    size_t looks, contradictions, left_open;
    size_t best; /* points: none meets */
    bool
        exhausted; /* looks_most was reached: `best` is the best seen, and left_open points that are cheaper are not known */
};

/* Runs the search. Returns 0, or -ENOMEM or what look returned; state is freed by plan_search_release either way. */
KVT_MUST_CHECK int plan_search(struct plan_search *s);
void plan_search_release(struct plan_search *s);

/* The cheapest point that was seen to meet, other than the best, and that does not merely have more than the best of
 * everything; s->points when there is none. */
size_t plan_runner_up(const struct plan_search *s);
/* The point with one step less of a key, s->points when there is none. */
size_t plan_step_down(const struct plan_search *s, size_t point, size_t key);

#endif
