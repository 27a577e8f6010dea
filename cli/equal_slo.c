/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * equal_slo.c - see equal_slo.h.
 *
 * The search keeps two numbers: `low` engines are too few, `high` are enough.
 *
 *      double high until it is enough, or until more engines bring nothing
 *      while high - low > 1: try the middle
 */
#include "equal_slo.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static const double no_gain = 0.99, idle = 0.5;
enum { ENGINES_MOST = 2048, TIMES_MOST = 64 };

struct search {
    struct cost_equal *equal;
    struct session *session;
    const volatile sig_atomic_t *stop;
    char *error;
};

struct trial {
    bool met;
    double ttft_p95_ms, tpot_p95_ms, busy_ratio, usd_per_hour;
};

/* NAN, which is nothing asked or nothing measured, is met. */
static bool within(double value, double target)
{
    return !(value > target);
}

static int drive_trial(const struct search *x, struct resolved *r, struct results *results)
{
    void *kept = NULL;
    char label[32];
    snprintf(label, sizeof label, "%u engines", r->core.engines);
    const struct drive d = {
        .resolved = r,
        .world = WORLD_SIM,
        .source = session_source_part(x->session, WL_ROLLOUT_NOTHING),
        .results = results,
        .label = label,
        .stop = x->stop,
    };
    int rc = drive_run(&d, &kept, x->error);
    free(kept);
    return rc;
}

static void read_trial(const struct search *x, struct trial *t, const struct results *results)
{
    const struct results_figures *f = results_figures(results);
    const struct cost_equal *e = x->equal;
    t->ttft_p95_ms = f->latency[RESULTS_TTFT].p95_ms;
    t->tpot_p95_ms = f->latency[RESULTS_TPOT].p95_ms;
    t->busy_ratio = f->gpu_busy_ratio;
    t->usd_per_hour = results_cost(results)->usd_per_hour;
    t->met = within(t->ttft_p95_ms, e->ttft_p95_ms) && within(t->tpot_p95_ms, e->tpot_p95_ms) &&
             f->requests_failed + f->requests_rejected == 0;
}

/* One run with the cache off. */
static int try_engines(const struct search *x, uint32_t engines, struct trial *t)
{
    struct scenario s = x->session->scenario;
    struct resolved *r = malloc(sizeof *r);
    struct results *results = NULL;
    int rc = r ? 0 : -ENOMEM;
    s.cluster.engines = engines;
    s.regions.engines = "even";
    s.cache.enabled = false;
    s.world = WORLD_SIM;
    if (rc == 0)
        rc = resolve(r, &s, x->session->catalog, x->session->resolved.core.block_tokens, x->error);
    if (rc == 0) {
        const struct results_options options = {
            .engines = engines,
            .gpus_per_engine = (uint32_t)s.cluster.gpus_per_engine,
            .warmup_ns = s.workload.warmup_ns,
            .interval_ns = KVT_NEVER,
            .expected_requests = x->session->info.requests,
            .cost = &r->cost,
        };
        results = results_new(&options, &rc, x->error, SCENARIO_ERROR_SIZE);
    }
    if (results)
        rc = drive_trial(x, r, results);
    if (results && rc == 0)
        read_trial(x, t, results);
    results_free(results);
    free(r);
    x->equal->runs++;
    return rc;
}

static void set_target(struct cost_equal *e, const struct scenario *s,
                       const struct results_figures *f)
{
    bool given = s->slo.ttft_p95_ns != KVT_NEVER || s->slo.tpot_p95_ns != KVT_NEVER;
    e->ttft_p95_ms = given ? NAN : f->latency[RESULTS_TTFT].p95_ms;
    e->tpot_p95_ms = given ? NAN : f->latency[RESULTS_TPOT].p95_ms;
    if (s->slo.ttft_p95_ns != KVT_NEVER)
        e->ttft_p95_ms = (double)s->slo.ttft_p95_ns / 1e6;
    if (s->slo.tpot_p95_ns != KVT_NEVER)
        e->tpot_p95_ms = (double)s->slo.tpot_p95_ns / 1e6;
}

static void take(struct cost_equal *e, const struct trial *t, uint32_t engines, double cached_usd)
{
    e->reachable = true;
    e->engines = engines;
    e->usd_per_hour = t->usd_per_hour;
    e->saving_ratio = t->usd_per_hour > 0 ? 1 - cached_usd / t->usd_per_hour : (double)NAN;
    e->reached_ttft_p95_ms = t->ttft_p95_ms;
    e->reached_tpot_p95_ms = t->tpot_p95_ms;
}

/* More engines that are idle half of the time and no faster: the rest is computing. */
static bool hopeless(const struct trial *before, const struct trial *now)
{
    return now->busy_ratio < idle && now->ttft_p95_ms > no_gain * before->ttft_p95_ms &&
           now->tpot_p95_ms > no_gain * before->tpot_p95_ms;
}

static void give_up(struct cost_equal *e, const struct trial *t, uint32_t engines)
{
    e->reached_ttft_p95_ms = t->ttft_p95_ms;
    e->reached_tpot_p95_ms = t->tpot_p95_ms;
    bool ttft = !within(t->ttft_p95_ms, e->ttft_p95_ms);
    snprintf(e->note, sizeof e->note,
             "no number of engines without cache is as fast: with %u the p95 of %s is %.4g ms, not "
             "%.4g ms",
             engines, ttft ? "TTFT" : "TPOT", ttft ? t->ttft_p95_ms : t->tpot_p95_ms,
             ttft ? e->ttft_p95_ms : e->tpot_p95_ms);
}

static int search(const struct search *x, double cached_usd)
{
    struct cost_equal *e = x->equal;
    /* one for each region is the least */
    uint32_t low = resolve_regions_count(&x->session->scenario) - 1, high = low + 1;
    uint64_t most = x->session->scenario.cluster.engines * TIMES_MOST;
    struct trial now = {0}, before = {.ttft_p95_ms = INFINITY, .tpot_p95_ms = INFINITY};
    if (most > ENGINES_MOST)
        most = ENGINES_MOST;
    for (;;) {
        int rc = try_engines(x, high, &now);
        if (rc != 0)
            return rc;
        if (now.met)
            break;
        if (hopeless(&before, &now) || (uint64_t)high * 2 > most) {
            give_up(e, &now, high);
            return 0;
        }
        before = now;
        low = high;
        high *= 2;
    }
    take(e, &now, high, cached_usd);
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        int rc = try_engines(x, middle, &now);
        if (rc != 0)
            return rc;
        if (now.met) {
            high = middle;
            take(e, &now, high, cached_usd);
        } else {
            low = middle;
        }
    }
    return 0;
}

int equal_slo_find(struct cost_equal *equal, struct session *session, const struct results *cached,
                   const volatile sig_atomic_t *stop, char *error)
{
    const struct results_figures *f = results_figures(cached);
    const struct search x = {equal, session, stop, error};
    *equal = (struct cost_equal){.done = true,
                                 .usd_per_hour = NAN,
                                 .saving_ratio = NAN,
                                 .reached_ttft_p95_ms = NAN,
                                 .reached_tpot_p95_ms = NAN};
    set_target(equal, &session->scenario, f);
    if (!within(f->latency[RESULTS_TTFT].p95_ms, equal->ttft_p95_ms) ||
        !within(f->latency[RESULTS_TPOT].p95_ms, equal->tpot_p95_ms)) {
        snprintf(equal->note, sizeof equal->note,
                 "the run with the cache itself misses the SLO: p95 TTFT %.4g ms, TPOT %.4g ms",
                 f->latency[RESULTS_TTFT].p95_ms, f->latency[RESULTS_TPOT].p95_ms);
        return 0;
    }
    return search(&x, results_cost(cached)->usd_per_hour);
}
