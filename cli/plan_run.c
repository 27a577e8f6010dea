/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plan_run.c - looking at points by running them; see plan.h and plan_search.h.
 *
 * All looks of a search use the same seed, so two points see the same traffic (common random numbers) and the border
 * between meeting and failing is not blurred by luck. That the answer does not hang on that seed is asked afterwards.
 *
 * A configuration that loses requests is not cheaper, it is broken: every objective is read as "and every request
 * finishes".
 *
 * A key is ordered when it is numeric and more of it never costs less and somewhere costs more, or when it is the
 * capacity of a tier: what one pays for, and room, are taken to help. Of other keys nothing is assumed.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "points.h"
#include "stop.h"

/* A batch of looks under way. */
struct batch {
    struct plan *plan;
    const size_t *points;
    size_t n;
    uint32_t replication;
    struct plan_look looks[PLAN_LOOKS_AT_ONCE];
    bool keep; /* intervals of the first point's objectives go to plan->sure */
};

static size_t run_of(const struct batch *b, size_t i)
{
    return b->points[i] * b->plan->lab->arguments->replications + b->replication;
}

static int prepare(void *self, size_t i, char *error)
{
    const struct batch *b = self;
    return lab_prepare(b->plan->lab, run_of(b, i), error);
}

static int work(void *self, size_t i, char **bytes, size_t *n, char *error)
{
    const struct batch *b = self;
    struct lab_result result;
    int rc = lab_run(b->plan->lab, run_of(b, i), &stop_wanted, &result, error);
    if (rc == 0)
        rc = lab_pack(&result, bytes, n);
    lab_result_release(&result);
    return rc;
}

static bool all_met(const struct plan *plan, const struct plan_look *look)
{
    bool meets = !look->failed;
    for (size_t k = 0; k < plan->n_slos; k++)
        meets = meets && slo_met(&plan->slos[k], look->value[k]);
    return meets;
}

static int judge(struct batch *b, struct plan_look *look, const struct lab_result *result)
{
    struct plan *plan = b->plan;
    json_t *summary = json_loads(result->json, 0, NULL);
    if (!summary)
        return -ENOMEM;
    int rc = 0;
    look->usd_per_hour = figure_value(summary, "cost_usd_per_hour");
    look->failed = figure_value(summary, "requests_finished") < figure_value(summary, "requests");
    for (size_t k = 0; k < plan->n_slos && rc == 0; k++) {
        look->value[k] = slo_value(&plan->slos[k], summary, result->requests, result->n_requests);
        if (b->keep)
            rc = slo_interval(&plan->slos[k], summary, result->requests, result->n_requests,
                              plan->lab->seed, &plan->sure[k]);
    }
    look->meets = all_met(plan, look);
    json_decref(summary);
    return rc;
}

static int done(void *self, size_t i, const char *bytes, size_t n, const char *error)
{
    struct batch *b = self;
    struct plan_look *look = &b->looks[i];
    struct lab_result result;
    *look = (struct plan_look){.point = b->points[i], .failed = true, .usd_per_hour = (double)NAN};
    for (size_t k = 0; k < SLOS_MOST; k++)
        look->value[k] = (double)NAN;
    if (!bytes) { /* such as a run that gets stuck: it meets nothing */
        snprintf(b->plan->error, sizeof b->plan->error, "%s", error);
        return 0;
    }
    int rc = lab_unpack(&result, bytes, n);
    if (rc == 0)
        rc = judge(b, look, &result);
    if (rc == 0)
        rc = plan_keep(b->plan, run_of(b, i), look);
    lab_result_release(&result);
    return rc;
}

static int run_batch(struct batch *b)
{
    size_t todo[PLAN_LOOKS_AT_ONCE], n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct plan_look *look = &b->looks[i];
        *look = (struct plan_look){.point = b->points[i]};
        if (b->keep || !plan_recalled(b->plan, run_of(b, i), look))
            todo[n++] = i; /* intervals take the requests themselves, which are not kept */
        else
            look->meets = all_met(b->plan, look);
    }
    if (n == 0)
        return stop_wanted ? -EINTR : 0;
    const struct points points = {.todo = todo,
                                  .n = n,
                                  .jobs = b->plan->lab->arguments->jobs,
                                  .self = b,
                                  .prepare = prepare,
                                  .work = work,
                                  .done = done,
                                  .stop = &stop_wanted};
    return points_run(&points, b->plan->error);
}

static int remember(struct plan *plan, const struct plan_look *look)
{
    if (plan->n_looks == plan->room) {
        size_t room = plan->room * 2 + 64;
        struct plan_look *more = realloc(plan->looks, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        plan->looks = more;
        plan->room = room;
    }
    plan->looks[plan->n_looks++] = *look;
    return 0;
}

static double strain(const struct plan *plan, const struct plan_look *at)
{
    size_t binding = plan_binding(plan, at);
    return at->failed ? INFINITY : slo_strain(&plan->slos[binding], at->value[binding]);
}

/* For the search. */
static int look(void *self, const size_t *points, size_t n, struct plan_verdict *verdicts)
{
    struct plan *plan = self;
    struct batch b = {.plan = plan, .points = points, .n = n};
    int rc = run_batch(&b);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        verdicts[i] = (struct plan_verdict){b.looks[i].meets, strain(plan, &b.looks[i])};
        if (plan->lab->rate_factor == 0)
            rc = remember(plan, &b.looks[i]);
    }
    return rc;
}

const struct plan_look *plan_find(const struct plan *plan, size_t point)
{
    for (size_t i = 0; i < plan->n_looks; i++)
        if (plan->looks[i].point == point)
            return &plan->looks[i];
    return NULL;
}

size_t plan_binding(const struct plan *plan, const struct plan_look *at)
{
    size_t binding = 0;
    for (size_t k = 1; k < plan->n_slos; k++)
        if (slo_strain(&plan->slos[k], at->value[k]) >
            slo_strain(&plan->slos[binding], at->value[binding]))
            binding = k;
    return binding;
}

/* More of it never costs less, and somewhere more; or it is room. */
static bool is_ordered(const struct plan *plan, size_t key)
{
    const struct vary *v = &plan->lab->arguments->vary;
    size_t stride = 1, len = strlen(v->keys[key].path);
    bool rises = len > 9 && strcmp(v->keys[key].path + len - 9, ".capacity") == 0;
    if (!v->keys[key].numeric)
        return false;
    for (size_t k = v->n_keys; k-- > key + 1;)
        stride *= v->keys[k].n;
    for (size_t p = 0; p < v->points; p++) {
        if (vary_digit(v, p, key) == 0)
            continue;
        double less = plan->cost[p - stride], more = plan->cost[p];
        if (more < less - 1e-9)
            return false;
        rises = rises || more > less + 1e-9;
    }
    return rises;
}

static struct plan_search search_of(struct plan *plan, double cost_least)
{
    const struct vary *v = &plan->lab->arguments->vary;
    uint32_t jobs = plan->lab->arguments->jobs ? plan->lab->arguments->jobs : points_processors();
    struct plan_search s = {.n_keys = v->n_keys,
                            .points = v->points,
                            .cost = plan->cost,
                            .look = look,
                            .self = plan,
                            .at_once = jobs < PLAN_LOOKS_AT_ONCE ? jobs : PLAN_LOOKS_AT_ONCE,
                            .looks_most = plan->looks_most,
                            .cost_least = cost_least};
    for (size_t k = 0; k < v->n_keys; k++) {
        s.n[k] = v->keys[k].n;
        s.ordered[k] = is_ordered(plan, k);
    }
    return s;
}

/* The answer with other seeds, and with an interval for the first. */
static int make_sure(struct plan *plan)
{
    for (uint32_t r = 0; r < plan->lab->arguments->replications; r++) {
        struct batch b = {
            .plan = plan, .points = &plan->search.best, .n = 1, .replication = r, .keep = r == 0};
        int rc = run_batch(&b);
        if (rc != 0)
            return rc;
        plan->seeds++;
        plan->seeds_met += b.looks[0].meets;
    }
    return 0;
}

/* With more traffic nothing cheaper can do what it could not do with less. */
static int ask_for_more(struct plan *plan)
{
    plan->lab->rate_factor = 1.1;
    plan->lab->open_group = -1;
    plan->more = search_of(plan, plan->cost[plan->search.best]);
    int rc = plan_search(&plan->more);
    plan->lab->rate_factor = 0;
    plan->lab->open_group = -1;
    plan->more_done = rc == 0;
    return rc;
}

static void find_nearest(struct plan *plan)
{
    double least = INFINITY;
    for (size_t i = 0; i < plan->n_looks; i++) {
        const struct plan_look *at = &plan->looks[i];
        size_t k = plan_binding(plan, at);
        double strain = slo_strain(&plan->slos[k], at->value[k]);
        if (strain < least ||
            (strain == least &&
             plan->cost[at->point] < plan->cost[plan->looks[plan->nearest].point])) {
            least = strain;
            plan->nearest = i;
        }
    }
}

static int run_all(struct plan *plan)
{
    plan->search = search_of(plan, -INFINITY);
    int rc = plan_search(&plan->search);
    if (rc != 0 || plan->search.best == plan->search.points)
        return rc;
    rc = make_sure(plan);
    return rc ? rc : ask_for_more(plan);
}

int plan_run(struct plan *plan)
{
    int rc = run_all(plan);
    plan->interrupted = rc == -EINTR;
    if (plan->search.best == plan->search.points)
        find_nearest(plan);
    return plan->interrupted ? 0 : rc;
}

void plan_release(struct plan *plan)
{
    plan_search_release(&plan->search);
    plan_search_release(&plan->more);
    free(plan->cost);
    free(plan->looks);
    json_decref(plan->before);
    json_decref(plan->kept);
}
