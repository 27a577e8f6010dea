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

static const double STRAIN_LEAST =
    0.1; /* what is better than that is as good: only failing points rule out */

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

/* Steps between two points, over all keys. */
static size_t distance(const struct plan_search *s, size_t a, size_t b)
{
    size_t steps = 0;
    for (size_t k = s->n_keys; k-- > 0;) {
        size_t x = a % s->n[k], y = b % s->n[k];
        steps += x > y ? x - y : y - x;
        a /= s->n[k];
        b /= s->n[k];
    }
    return steps;
}

/* What a failing point says of the points below it; see plan_search.h. */
static void rule_out_below(struct plan_search *s, size_t fails)
{
    double excess = log(s->strain[fails]);
    for (size_t p = 0; p < s->points && !isfinite(excess); p++)
        if (isfinite(s->strain[p]) && at_most(s, p, fails))
            return; /* with less there is a figure: that there is none says nothing of what is below */
    for (size_t p = 0; p < s->points; p++)
        if (s->state[p] == PLAN_OPEN && at_most(s, p, fails) &&
            (s->slope == 0 ||
             (excess > s->jump && excess > s->slope * (double)distance(s, p, fails))))
            s->state[p] = PLAN_BELOW;
}

static void rule_out_above(struct plan_search *s, size_t meets)
{
    for (size_t p = 0; p < s->points; p++)
        if (s->state[p] == PLAN_OPEN && at_most(s, meets, p))
            s->state[p] = PLAN_ABOVE;
}

/* Everything again, by the slope that is known now. */
static void rule_out_anew(struct plan_search *s)
{
    for (size_t p = 0; p < s->points; p++)
        if ((s->state[p] == PLAN_BELOW || s->state[p] == PLAN_ABOVE) && s->cost[p] >= s->cost_least)
            s->state[p] = PLAN_OPEN; /* a cost of NAN stays out */
    for (size_t p = 0; p < s->points; p++) {
        if (s->state[p] == PLAN_MEETS)
            rule_out_above(s, p);
        else if (s->state[p] == PLAN_FAILS)
            rule_out_below(s, p);
    }
}

/* Of two points that were looked at: is `more` worse? Returns whether that is news. */
static bool compare(struct plan_search *s, size_t less, size_t more)
{
    s->contradictions += s->state[less] == PLAN_MEETS && s->state[more] == PLAN_FAILS;
    double growth = log(s->strain[more] / s->strain[less]);
    if (!isfinite(growth))
        return isfinite(s->strain[less]);
    if (growth <= 0)
        return false;
    double slope = growth / (double)distance(s, less, more);
    bool news = growth > s->jump || slope > s->slope;
    if (growth > s->jump) {
        s->jump = growth;
        s->worse[0] = less;
        s->worse[1] = more;
    }
    s->slope = slope > s->slope ? slope : s->slope;
    return news;
}

static void learn(struct plan_search *s, size_t p, const struct plan_verdict *v)
{
    bool news = false;
    s->state[p] = v->meets ? PLAN_MEETS : PLAN_FAILS;
    s->strain[p] = fmax(v->strain, STRAIN_LEAST);
    s->looks++;
    for (size_t q = 0; q < s->points; q++) {
        if (q == p || (s->state[q] != PLAN_MEETS && s->state[q] != PLAN_FAILS))
            continue;
        if (at_most(s, q, p))
            news = compare(s, q, p) || news;
        else if (at_most(s, p, q))
            news = compare(s, p, q) || news;
    }
    if (v->meets && (s->best == s->points || s->cost[p] < s->cost[s->best] ||
                     (s->cost[p] == s->cost[s->best] && p < s->best)))
        s->best = p;
    if (news)
        rule_out_anew(s);
    else if (v->meets)
        rule_out_above(s, p);
    else
        rule_out_below(s, p);
}

static int look(struct plan_search *s, const size_t *points, size_t n)
{
    struct plan_verdict verdicts[PLAN_LOOKS_AT_ONCE];
    int rc = s->look(s->self, points, n, verdicts);
    for (size_t i = 0; rc == 0 && i < n; i++)
        learn(s, points[i], &verdicts[i]);
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

static size_t stride_of(const struct plan_search *s, size_t key)
{
    size_t stride = 1;
    for (size_t k = s->n_keys; k-- > key + 1;)
        stride *= s->n[k];
    return stride;
}

/* Looks down from the answer: 1, 2, 4, ... steps less of each key, seen to fail and not only ruled out. */
static int look_down(struct plan_search *s)
{
    size_t points[PLAN_LOOKS_AT_ONCE], n = 0, best = s->best;
    for (size_t steps = 1, deeper = 1; deeper > 0; steps *= 2) {
        deeper = 0;
        for (size_t k = 0; k < s->n_keys; k++) {
            if (!s->ordered[k] || digit(s, best, k) < steps)
                continue;
            size_t p = best - steps * stride_of(s, k);
            deeper++;
            if (isnan(s->strain[p]) && s->cost[p] <= s->cost[best] && s->cost[p] >= s->cost_least &&
                may_look(s))
                points[n++] = p;
            if (n == s->at_once || (n > 0 && deeper == 0)) {
                int rc = look(s, points, n);
                if (rc != 0 || s->best != best)
                    return rc;
                n = 0;
            }
        }
    }
    return n > 0 ? look(s, points, n) : 0;
}

int plan_search(struct plan_search *s)
{
    struct list list = {.points = malloc((s->points + 1) * sizeof *list.points)};
    s->state = calloc(s->points + 1, 1);
    s->strain = malloc((s->points + 1) * sizeof *s->strain);
    s->best = s->worse[0] = s->worse[1] = s->points;
    s->looks = s->contradictions = s->left_open = 0;
    s->jump = s->slope = 0;
    s->exhausted = false;
    int rc = list.points && s->state && s->strain ? 0 : -ENOMEM;
    for (size_t p = 0; rc == 0 && p < s->points; p++) {
        s->strain[p] = (double)NAN;
        if (!(s->cost[p] >= s->cost_least) || isnan(s->cost[p]))
            s->state[p] = PLAN_BELOW;
    }
    for (size_t before = SIZE_MAX; rc == 0 && !s->exhausted && before != s->looks;) {
        before = s->looks;
        list.n = 0;
        for (size_t p = 0; p < s->points; p++)
            if (s->state[p] == PLAN_OPEN)
                list.points[list.n++] = p;
        sort_costs = s->cost;
        qsort(list.points, list.n, sizeof *list.points, by_cost);
        rc = bracket(s, &list);
        if (rc == 0 && s->best < s->points && !s->exhausted)
            rc = look_down(s);
    }
    free(list.points);
    return rc;
}

void plan_search_release(struct plan_search *s)
{
    free(s->state);
    free(s->strain);
    s->state = NULL;
    s->strain = NULL;
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
