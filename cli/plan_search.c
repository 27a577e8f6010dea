/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plan_search.c - see plan_search.h.
 *
 * Open points are kept in a list by cost, cheapest first, cut at the best cost. A point at place r of a list of m rules out
 * m - r when it meets, and as many as are below it when it fails; the search takes the one whose lesser of the two is
 * the greatest. Counting what is below costs a walk over the list, so it is done for a sample of SAMPLE points spread
 * evenly over the list, and for the neighbours of the best of them. That is a heuristic for the number of looks only: what
 * is ruled out is ruled out by proof.
 */
#include "plan_search.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE = 96 };

static size_t digit(const struct plan_search *s, size_t point, size_t key)
{
    for (size_t k = s->n_keys; k-- > key + 1;)
        point /= s->n[k];
    return point % s->n[key];
}

/* a has no more than b of each ordered key, and the same of the others. */
static bool at_most(const struct plan_search *s, size_t a, size_t b)
{
    for (size_t k = s->n_keys; k-- > 0;) {
        size_t x = a % s->n[k], y = b % s->n[k];
        if (s->ordered[k] ? x > y : x != y)
            return false;
        a /= s->n[k];
        b /= s->n[k];
    }
    return true;
}

size_t plan_step_down(const struct plan_search *s, size_t point, size_t key)
{
    size_t stride = 1;
    for (size_t k = s->n_keys; k-- > key + 1;)
        stride *= s->n[k];
    return s->ordered[key] && digit(s, point, key) > 0 ? point - stride : s->points;
}

/* ---- The list of open points ------------------------------------------------------------------------- */

struct list {
    size_t *points; /* by cost */
    size_t n;
};

static const double *sort_costs;

static int by_cost(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    if (sort_costs[x] != sort_costs[y])
        return sort_costs[x] < sort_costs[y] ? -1 : 1;
    return x < y ? -1 : 1; /* no ties: the same answer everywhere */
}

static double best_cost(const struct plan_search *s)
{
    return s->best < s->points ? s->cost[s->best] : (double)INFINITY;
}

static void cut(struct plan_search *s, struct list *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        size_t p = list->points[i];
        if (s->state[p] == PLAN_OPEN && s->cost[p] < best_cost(s))
            list->points[n++] = p;
    }
    list->n = n;
}

static size_t below(const struct plan_search *s, const struct list *list, size_t place)
{
    size_t n = 0, p = list->points[place];
    for (size_t i = 0; i < list->n; i++)
        n += at_most(s, list->points[i], p);
    return n;
}

/* What a look at that place rules out at least. */
static size_t worth(const struct plan_search *s, const struct list *list, size_t place)
{
    size_t if_meets = list->n - place;
    if (if_meets == 0)
        return 0;
    size_t if_fails = below(s, list, place);
    return if_fails < if_meets ? if_fails : if_meets;
}

/* The place whose look is worth most, of those not taken yet and not comparable with what is. */
static size_t pick(const struct plan_search *s, const struct list *list, const size_t *taken,
                   size_t n_taken)
{
    size_t best = list->n, most = 0, step = list->n > SAMPLE ? list->n / SAMPLE : 1;
    size_t offset = n_taken * (step / 3 + 1) % step;
    for (size_t place = offset; place < list->n; place += step) {
        bool free_of = true;
        for (size_t t = 0; t < n_taken && free_of; t++)
            free_of = !at_most(s, list->points[place], taken[t]) &&
                      !at_most(s, taken[t], list->points[place]);
        size_t value = free_of ? worth(s, list, place) : 0;
        if (value > most) {
            most = value;
            best = place;
        }
    }
    return best;
}

/* ---- Looking ----------------------------------------------------------------------------------------- */

static void learn(struct plan_search *s, size_t p, bool meets)
{
    s->state[p] = meets ? PLAN_MEETS : PLAN_FAILS;
    s->looks++;
    for (size_t q = 0; q < s->points; q++) {
        if (q == p)
            continue;
        bool implied = meets ? at_most(s, p, q) : at_most(s, q, p);
        if (!implied)
            continue;
        s->contradictions += s->state[q] == (meets ? PLAN_FAILS : PLAN_MEETS);
        if (s->state[q] == PLAN_OPEN)
            s->state[q] = meets ? PLAN_ABOVE : PLAN_BELOW;
    }
    if (meets && (s->best == s->points || s->cost[p] < s->cost[s->best] ||
                  (s->cost[p] == s->cost[s->best] && p < s->best)))
        s->best = p;
}

static int look(struct plan_search *s, const size_t *points, size_t n)
{
    bool meets[PLAN_LOOKS_AT_ONCE];
    int rc = s->look(s->self, points, n, meets);
    for (size_t i = 0; rc == 0 && i < n; i++)
        learn(s, points[i], meets[i]);
    return rc;
}

static bool may_look(const struct plan_search *s)
{
    return s->looks_most == 0 || s->looks < s->looks_most;
}

/* Until nothing cheaper is open. */
static int bracket(struct plan_search *s, struct list *list)
{
    for (cut(s, list); list->n > 0 && may_look(s); cut(s, list)) {
        size_t points[PLAN_LOOKS_AT_ONCE], n = 0;
        while (n < s->at_once) {
            size_t place = pick(s, list, points, n);
            if (place == list->n)
                break;
            points[n++] = list->points[place];
        }
        int rc = look(s, points, n);
        if (rc != 0)
            return rc;
    }
    s->left_open = list->n;
    s->exhausted = list->n > 0;
    return 0;
}

/* The answer's own neighbours are seen to fail, not only ruled out. *moved: one met. */
static int verify(struct plan_search *s, bool *moved)
{
    size_t points[PLAN_KEYS_MOST], n = 0, best = s->best;
    for (size_t k = 0; k < s->n_keys; k++) {
        size_t p = plan_step_down(s, best, k);
        if (p < s->points && s->state[p] != PLAN_FAILS && s->state[p] != PLAN_MEETS &&
            s->cost[p] <= s->cost[best] && s->cost[p] >= s->cost_least)
            points[n++] = p;
    }
    for (size_t at = 0; at < n;) {
        size_t batch = n - at < s->at_once ? n - at : s->at_once;
        int rc = look(s, points + at, batch);
        if (rc != 0)
            return rc;
        at += batch;
    }
    *moved = s->best != best;
    return 0;
}

/* After a neighbour has met against the assumption, what was ruled out around it is open again. */
static void reopen(struct plan_search *s)
{
    for (size_t p = 0; p < s->points; p++)
        if (s->state[p] == PLAN_BELOW && at_most(s, p, s->best))
            s->state[p] = PLAN_OPEN;
}

int plan_search(struct plan_search *s)
{
    struct list list = {.points = malloc((s->points + 1) * sizeof *list.points)};
    s->state = calloc(s->points + 1, 1);
    s->best = s->points;
    s->looks = s->contradictions = s->left_open = 0;
    s->exhausted = false;
    int rc = list.points && s->state ? 0 : -ENOMEM;
    bool moved = rc == 0;
    for (size_t p = 0; rc == 0 && p < s->points; p++)
        if (!(s->cost[p] >= s->cost_least) || isnan(s->cost[p]))
            s->state[p] = PLAN_BELOW;
    while (rc == 0 && moved) {
        list.n = 0;
        for (size_t p = 0; p < s->points; p++)
            if (s->state[p] == PLAN_OPEN)
                list.points[list.n++] = p;
        sort_costs = s->cost;
        qsort(list.points, list.n, sizeof *list.points, by_cost);
        rc = bracket(s, &list);
        moved = false;
        if (rc == 0 && s->best < s->points && !s->exhausted)
            rc = verify(s, &moved);
        if (moved)
            reopen(s);
    }
    free(list.points);
    return rc;
}

void plan_search_release(struct plan_search *s)
{
    free(s->state);
    s->state = NULL;
}

size_t plan_runner_up(const struct plan_search *s)
{
    size_t found = s->points;
    for (size_t p = 0; p < s->points && s->best < s->points; p++) {
        if (p == s->best || s->state[p] != PLAN_MEETS || at_most(s, s->best, p))
            continue;
        if (found == s->points || s->cost[p] < s->cost[found])
            found = p;
    }
    return found;
}
