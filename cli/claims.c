/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims.c - from a file with a claim to its answer.
 */
#include "claims.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stop.h"
#include "units.h"

const char *claim_show(char *text, size_t size, enum claim_unit unit, double value)
{
    static const char *const decimal[] = {"B", "KB", "MB", "GB", "TB", "PB"};
    if (!isfinite(value)) {
        snprintf(text, size, "-");
    } else if (unit == CLAIM_NS) {
        if (value >= 9.995e9)
            snprintf(text, size, "%.1f s", value / 1e9);
        else if (value >= 9.995e6)
            snprintf(text, size, "%.0f ms", value / 1e6);
        else
            snprintf(text, size, "%.2g ms", value / 1e6);
    } else if (unit == CLAIM_BYTES) {
        size_t k = 0;
        for (; fabs(value) >= 999.5 && k < 5; k++)
            value /= 1000;
        snprintf(text, size, fabs(value) < 9.995 ? "%.2f %s" : "%.1f %s", value, decimal[k]);
    } else if (unit == CLAIM_RATIO) {
        snprintf(text, size, fabs(value) < 0.0995 ? "%.1f %%" : "%.0f %%", 100 * value);
    } else if (unit == CLAIM_USD_PER_H) {
        snprintf(text, size, value < 99.5 ? "$%.2f/h" : "$%.0f/h", value);
    } else {
        snprintf(text, size, "%.3g", value);
    }
    return text;
}

static int parse_value(enum claim_unit unit, const char *text, double *value, const char **why)
{
    uint64_t whole = 0;
    int rc = -EINVAL;
    *why = "expected a value";
    if (!text)
        return rc;
    switch (unit) {
    case CLAIM_NS:
        rc = units_duration(text, &whole, why);
        *value = (double)whole;
        return rc;
    case CLAIM_BYTES:
        rc = units_bytes(text, &whole, why);
        *value = (double)whole;
        return rc;
    case CLAIM_RATIO:
        return units_ratio(text, value, why);
    case CLAIM_USD_PER_H:
        return units_price(text, value, why);
    case CLAIM_NUMBER:
        return units_number(text, value, why);
    }
    return rc;
}

static int drive_claim(struct claim_work *w)
{
    void *kept = NULL;
    const struct drive d = {
        .resolved = &w->session->resolved,
        .world = WORLD_SIM,
        .meter = w->meter,
        .source = session_source(w->session),
        .results = w->results,
        .label = "claim",
        .stop = &stop_wanted,
    };
    int rc = drive_run(&d, &kept, w->error);
    free(kept);
    return rc;
}

/* Requests that ended, by id: the first and the last one. */
static void pick_reports(struct claim_work *w)
{
    for (size_t i = 0; i < w->meter->n_reports; i++) {
        const struct kvt_report *p = &w->meter->reports[i];
        if (i == 0 || p->id < w->first.id)
            w->first = *p;
        if (i == 0 || p->id > w->last.id)
            w->last = *p;
    }
}

int claim_run(struct claim_work *w)
{
    struct session *s = w->session;
    if (w->results)
        return 0;
    const struct results_options options = {
        .world = "sim",
        .seed = s->scenario.seed,
        .engines = s->resolved.core.engines,
        .gpus_per_engine = (uint32_t)s->scenario.cluster.gpus_per_engine,
        .block_tokens = s->resolved.core.block_tokens,
        .page_tokens = s->resolved.core.page_tokens,
        .warmup_ns = s->scenario.workload.warmup_ns,
        .interval_ns = KVT_NEVER,
        .cost = &s->resolved.cost,
    };
    int rc = 0;
    w->meter = calloc(1, sizeof *w->meter);
    w->results = w->meter ? results_new(&options, &rc, w->error, SCENARIO_ERROR_SIZE) : NULL;
    if (!w->results) {
        snprintf(w->error, SCENARIO_ERROR_SIZE, "out of memory");
        return rc ? rc : -ENOMEM;
    }
    rc = drive_claim(w);
    if (rc == 0 && w->meter->n_reports == 0) {
        snprintf(w->error, SCENARIO_ERROR_SIZE, "expected requests that end");
        rc = -EINVAL;
    }
    if (rc == 0)
        pick_reports(w);
    return rc;
}

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

/* "scenarios/claims/03-fetch.yaml" -> "fetch". */
static void name_of(struct claim *claim, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    base += strspn(base, "0123456789");
    base += *base == '-';
    snprintf(claim->name, sizeof claim->name, "%.*s", (int)strcspn(base, "."), base);
}

static void judge(struct claim *c, double tolerance)
{
    double low = c->claimed * (1 - tolerance), high = c->claimed * (1 + tolerance);
    c->holds = isfinite(c->computed) && (c->side == CLAIM_LESS || c->computed >= low) &&
               (c->side == CLAIM_MORE || c->computed <= high);
    if (c->holds)
        c->needs[0] = '\0';
}

static int answer(struct claim *c, struct claim_work *w)
{
    const struct scenario *s = &w->session->scenario;
    const struct scenario_claim *claim = w->claim;
    char why[384];
    const char *expected;
    if (!claim->measure)
        return resolve_refuse(s, "claim.measure", "expected a claim: what it is about", w->error);
    const struct claim_measure *m = claim_measure_named(claim->measure, why, sizeof why);
    if (!m)
        return resolve_refuse(s, "claim.measure", why, w->error);
    if (parse_value(m->unit, claim->value, &c->claimed, &expected) != 0)
        return resolve_refuse(s, "claim.value", expected, w->error);
    if (!claim->says || !claim->source)
        return resolve_refuse(s, claim->says ? "claim.source" : "claim.says", "expected a sentence",
                              w->error);
    copy(c->says, sizeof c->says, claim->says);
    copy(c->source, sizeof c->source, claim->source);
    copy(c->unknown, sizeof c->unknown, claim->unknown);
    copy(c->measure, sizeof c->measure, m->name);
    c->unit = m->unit;
    c->side = m->side;
    w->claimed = c->claimed;
    int rc = session_workload(w->session);
    if (rc == 0)
        rc = session_resolve(w->session);
    if (rc != 0) {
        copy(w->error, SCENARIO_ERROR_SIZE, w->session->error);
        return rc;
    }
    rc = m->take(w, c);
    if (rc == 0)
        judge(c, claim->tolerance);
    return rc;
}

int claim_answer(struct claim *claim, const char *path, char *error)
{
    struct session *session = calloc(1, sizeof *session);
    const struct session_arguments arguments = {.scenario = path, .world = "sim"};
    *claim = (struct claim){.computed = NAN};
    name_of(claim, path);
    if (!session) {
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
        return -ENOMEM;
    }
    struct claim_work work = {.session = session,
                              .claim = &session->scenario.claim,
                              .error = error};
    int rc = session_load(session, &arguments);
    if (rc != 0)
        copy(error, SCENARIO_ERROR_SIZE, session->error);
    else
        rc = answer(claim, &work);
    results_free(work.results);
    if (work.meter)
        meter_release(work.meter);
    free(work.meter);
    session_close(session);
    free(session);
    return rc;
}
