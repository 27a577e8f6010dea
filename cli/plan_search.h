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
 * The assumption can be false: a larger batch may be worse for a tail, more engines share fewer hits. So it is tested
 * all the time, with how far a point is from its limit (its *strain*, 1 at the limit), not only with which side it is on:
 *
 *      worse with more     of two points that were looked at, the one that has no less of anything is further from its limit
 *      slope               the greatest such growth of ln(strain) per step between the two, over all pairs seen
 *
 * A point that fails rules out what is below it only if it would still fail had strain grown at that slope, or by that much,
 * all the way from there: near the limit, or far down, nothing is ruled out that was not looked at. As long as no pair is
 * worse with more this is the plain rule above; the more the assumption is broken, the more the search turns into looking
 * at everything cheaper than the best.
 *
 * Nobody sees a dip between points that were never looked at. So at the end the answer is looked down from: 1, 2, 4, ... steps
 * less of each key, whether ruled out or not. What meets there is a better answer, what is worse with more
 * opens again what had been ruled out; either way the search goes on.
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

struct plan_verdict {
    bool meets;
    double strain; /* above 0; grows with the distance from the limit; INFINITY: no figure */
};

struct plan_search {
    /* The grid: points are numbered with the last key fastest, as in vary.h. */
    size_t n_keys, n[PLAN_KEYS_MOST];
    bool ordered[PLAN_KEYS_MOST];
    size_t points;
    const double *cost; /* [points], finite; a point with NAN is left out */
    /* Looks at n points (at most at_once). Returns 0 or a negative errno, which ends the search. */
    int (*look)(void *self, const size_t *points, size_t n, struct plan_verdict *verdicts);
    void *self;
    size_t at_once;    /* 1 .. PLAN_LOOKS_AT_ONCE: as many as run beside each other */
    size_t looks_most; /* 0: as many as it takes */
    double cost_least; /* points cheaper than this are known to fail; -INFINITY: nothing is known */

    /* Out. */
    uint8_t *state; /* [points], enum plan_state */
    double *strain; /* [points], NAN: not looked at */
    size_t looks, left_open;
    size_t contradictions; /* pairs of which the one with more fails and the other meets */
    double jump, slope;    /* greatest growth of ln(strain) with more, and per step; 0: none */
    size_t worse[2];       /* the pair with the greatest: less, more; points: none */
    size_t best;           /* points: none meets */
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
