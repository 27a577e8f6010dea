/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * validate_rows.c - times of two worlds, row by row; see validate.h.
 *
 * A row takes its samples from operations that ended well: what failed halfway has no time to
 * compare, and is counted elsewhere. Steps give the time of one iteration. Requests give what
 * users feel.
 *
 * Distributions are compared over all operations of a row. That both worlds move the same bytes
 * in the same pieces makes them comparable, although sizes vary within. Where the very same
 * operation is found in both worlds, the two are also paired, which takes the variation of sizes
 * out:
 *
 *      signature = kind, tier, engine, keys            the k-th with a signature in one world is paired
 *      both lists sorted by (signature, order)         with the k-th in the other
 *
 * A row is beyond tolerance when p50 or p95 is off by more than allowed *and* by more than
 * floor_ns: a stage of three microseconds that takes six is not what a model of a cluster is
 * for.
 */
#include "validate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../core/mix.h"

const struct validate_tolerance validate_default = {0.10, 0.25, 20e3, 20, 0.01};

const char *validate_verdict_name(enum validate_verdict verdict)
{
    static const char *const names[] = {"within", "beyond", "few"};
    return names[verdict];
}

/* ---- Samples of a row. ---- */

/* Which times: of operations of a kind on a tier, or of requests. */
struct row_source {
    enum meter_kind kind;
    enum kvt_tier_kind tier;
    enum validate_part part;
};

static double operation_ns(const struct meter_sample *s, enum validate_part part)
{
    static const unsigned spans[VALIDATE_PARTS] = {
        [VALIDATE_MEDIUM] = 1u << KVT_SPAN_QUEUED | 1u << KVT_SPAN_WIRE,
        [VALIDATE_CODEC] = 1u << KVT_SPAN_DECODE,
        [VALIDATE_COPY] = 1u << KVT_SPAN_DESERIALISE | 1u << KVT_SPAN_COPY,
    };
    if (s->kind == METER_STEP)
        return (double)(s->end_ns - s->issue_ns) / s->blocks_ok;
    if (part == VALIDATE_TOTAL)
        return (double)(s->end_ns - s->issue_ns);
    kvt_ns sum = 0;
    for (unsigned i = 0; i < KVT_SPANS; i++)
        sum += spans[part] & 1u << i ? s->span_ns[i] : 0;
    return (double)sum;
}

static bool belongs(const struct meter_sample *s, const struct row_source *from)
{
    return s->kind == from->kind && s->tier == from->tier && s->status == KVT_OK &&
           s->blocks_ok > 0;
}

/* *values is the caller's to free; NULL when there is none. */
static int operation_times(const struct meter *m, const struct row_source *from, double **values,
                           size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < m->n_samples; i++)
        *n += belongs(&m->samples[i], from);
    *values = *n ? malloc(*n * sizeof **values) : NULL;
    if (*n && !*values)
        return -ENOMEM;
    for (size_t i = 0, k = 0; i < m->n_samples; i++)
        if (belongs(&m->samples[i], from))
            (*values)[k++] = operation_ns(&m->samples[i], from->part);
    return 0;
}

enum request_time { REQUEST_QUEUE, REQUEST_TTFT, REQUEST_TPOT, REQUEST_E2E, REQUEST_TIMES };

static double request_ns(const struct kvt_report *r, enum request_time what)
{
    switch (what) {
    case REQUEST_QUEUE:
        return (double)r->span_ns[KVT_SPAN_WAIT];
    case REQUEST_TTFT:
        return (double)(r->first_token_ns - r->arrive_ns);
    case REQUEST_TPOT:
        return (double)(r->finish_ns - r->first_token_ns) / (r->output_tokens - 1);
    default:
        return (double)(r->finish_ns - r->arrive_ns);
    }
}

static bool has_time(const struct kvt_report *r, enum request_time what)
{
    return r->outcome == KVT_FINISHED && (what != REQUEST_TPOT || r->output_tokens > 1);
}

static int request_times(const struct meter *m, enum request_time what, double **values, size_t *n)
{
    *n = 0;
    *values = m->n_reports ? malloc(m->n_reports * sizeof **values) : NULL;
    if (m->n_reports && !*values)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_reports; i++)
        if (has_time(&m->reports[i], what))
            (*values)[(*n)++] = request_ns(&m->reports[i], what);
    return 0;
}

/* ---- Pairs. ---- */

/* A time with what tells it apart. */
struct marked {
    uint64_t mark, order;
    double ns;
};

static int by_mark(const void *a, const void *b)
{
    const struct marked *x = a, *y = b;
    if (x->mark != y->mark)
        return x->mark < y->mark ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Figures of the errors over pairs; both lists are sorted here. */
static int pair_up(struct validate_row *row, struct marked *real, size_t n_real, struct marked *sim,
                   size_t n_sim)
{
    size_t most = n_real < n_sim ? n_real : n_sim, n = 0;
    if (most == 0)
        return 0;
    double *errors = malloc(most * sizeof *errors);
    if (!errors)
        return -ENOMEM;
    qsort(real, n_real, sizeof *real, by_mark);
    qsort(sim, n_sim, sizeof *sim, by_mark);
    for (size_t i = 0, j = 0; i < n_real && j < n_sim;) {
        if (real[i].mark == sim[j].mark) {
            double error = relative_error(real[i++].ns, sim[j++].ns);
            if (isfinite(error))
                errors[n++] = error;
        } else if (real[i].mark < sim[j].mark) {
            i++;
        } else {
            j++;
        }
    }
    row->pairs = n;
    row->pair_p50_error = sample_figures(errors, n).p50;
    for (size_t i = 0; i < n; i++)
        errors[i] = fabs(errors[i]);
    row->pair_p95_error = sample_figures(errors, n).p95;
    free(errors);
    return 0;
}

static uint64_t signature(const struct meter *m, const struct meter_sample *s)
{
    uint64_t h = kvt_mix64(s->engine.v + ((uint64_t)s->blocks << 32));
    for (uint32_t i = 0; i < s->blocks; i++) {
        const kvt_key *key = &m->keys[s->first_key + i];
        h = kvt_mix64(h ^ key->lo) + key->hi;
    }
    return h;
}

/* The caller frees. n: as many as operation_times found. */
static struct marked *mark_operations(const struct meter *m, const struct row_source *from,
                                      size_t n)
{
    struct marked *list = malloc(n * sizeof *list);
    for (size_t i = 0, k = 0; list && i < m->n_samples; i++)
        if (belongs(&m->samples[i], from)) {
            list[k] = (struct marked){signature(m, &m->samples[i]), k,
                                      operation_ns(&m->samples[i], from->part)};
            k++;
        }
    return list;
}

static struct marked *mark_requests(const struct meter *m, enum request_time what, size_t n)
{
    struct marked *list = malloc(n * sizeof *list);
    for (size_t i = 0, k = 0; list && i < m->n_reports; i++)
        if (has_time(&m->reports[i], what)) {
            list[k] = (struct marked){m->reports[i].id, k, request_ns(&m->reports[i], what)};
            k++;
        }
    return list;
}

/* ---- Rows. ---- */

static bool far_off(double real_ns, double sim_ns, double allowed, double floor_ns)
{
    return fabs(sim_ns - real_ns) > floor_ns && fabs(relative_error(real_ns, sim_ns)) > allowed;
}

void validate_judge(struct validate_row *row, const struct validate_tolerance *t)
{
    row->mean_error = relative_error(row->real.mean, row->sim.mean);
    row->p50_error = relative_error(row->real.p50, row->sim.p50);
    row->p95_error = relative_error(row->real.p95, row->sim.p95);
    row->p99_error = relative_error(row->real.p99, row->sim.p99);
    row->ks = ks_distance(row->real_ns, row->real.n, row->sim_ns, row->sim.n);
    row->ks_significance = ks_significance(row->ks, row->real.n, row->sim.n);
    if (row->real.n < t->least || row->sim.n < t->least)
        row->verdict = VALIDATE_FEW;
    else if (far_off(row->real.p50, row->sim.p50, t->p50, t->floor_ns) ||
             far_off(row->real.p95, row->sim.p95, t->p95, t->floor_ns))
        row->verdict = VALIDATE_BEYOND;
    else
        row->verdict = VALIDATE_WITHIN;
}

static void judge(struct validate_row *row, const struct validate_tolerance *t, size_t n_real,
                  size_t n_sim)
{
    row->real = sample_figures(row->real_ns, n_real);
    row->sim = sample_figures(row->sim_ns, n_sim);
    row->p50_low_ns = row->p50_high_ns = row->real.p50;
    row->p95_low_ns = row->p95_high_ns = row->real.p95;
    validate_judge(row, t);
}

/* The next row; should filling it fail, validate_release takes care of what it has. */
static struct validate_row *next_row(struct validation *v, const char *name)
{
    struct validate_row *row = &v->rows[v->n_rows++];
    *row = (struct validate_row){.pair_p50_error = NAN, .pair_p95_error = NAN};
    snprintf(row->name, sizeof row->name, "%s", name);
    return row;
}

/* Takes back a row in which nothing happened at all. */
static void drop_if_idle(struct validation *v, struct validate_row *row)
{
    /* Ascending, so the last one is the largest. */
    if ((row->real.n > 0 && row->real_ns[row->real.n - 1] > 0) ||
        (row->sim.n > 0 && row->sim_ns[row->sim.n - 1] > 0))
        return;
    free(row->real_ns);
    free(row->sim_ns);
    *row = (struct validate_row){0};
    v->n_rows--;
}

static int add_operations(struct validation *v, const struct meter *real, const struct meter *sim,
                          const char *name, const struct row_source *from)
{
    struct validate_row *row = next_row(v, name);
    size_t n_real, n_sim;
    int rc = operation_times(real, from, &row->real_ns, &n_real);
    if (rc == 0)
        rc = operation_times(sim, from, &row->sim_ns, &n_sim);
    if (rc != 0)
        return rc;
    if (n_real > 0 && n_sim > 0 && from->kind != METER_STEP) {
        struct marked *a = mark_operations(real, from, n_real);
        struct marked *b = mark_operations(sim, from, n_sim);
        rc = a && b ? pair_up(row, a, n_real, b, n_sim) : -ENOMEM;
        free(a);
        free(b);
    }
    judge(row, &v->tolerance, n_real, n_sim);
    drop_if_idle(v, row);
    return rc;
}

static int add_requests(struct validation *v, const struct meter *real, const struct meter *sim,
                        const char *name, enum request_time what)
{
    struct validate_row *row = next_row(v, name);
    size_t n_real, n_sim;
    int rc = request_times(real, what, &row->real_ns, &n_real);
    if (rc == 0)
        rc = request_times(sim, what, &row->sim_ns, &n_sim);
    if (rc != 0)
        return rc;
    if (n_real > 0 && n_sim > 0) {
        struct marked *a = mark_requests(real, what, n_real);
        struct marked *b = mark_requests(sim, what, n_sim);
        rc = a && b ? pair_up(row, a, n_real, b, n_sim) : -ENOMEM;
        free(a);
        free(b);
    }
    judge(row, &v->tolerance, n_real, n_sim);
    drop_if_idle(v, row);
    return rc;
}

static int add_tier(struct validation *v, const struct meter *real, const struct meter *sim,
                    enum kvt_tier_kind tier)
{
    static const char *const parts[VALIDATE_PARTS] = {"medium", "codec", "copy", "total"};
    static const enum meter_kind kinds[] = {METER_PROBE, METER_LOAD, METER_STORE};
    int rc = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        unsigned first = kinds[k] == METER_PROBE ? VALIDATE_TOTAL : VALIDATE_MEDIUM;
        for (unsigned part = first; rc == 0 && part < VALIDATE_PARTS; part++) {
            char name[sizeof v->rows[0].name];
            snprintf(name, sizeof name, "%s %s %s", meter_kind_name(kinds[k]), kvt_tier_name(tier),
                     parts[part]);
            const struct row_source from = {kinds[k], tier, (enum validate_part)part};
            rc = add_operations(v, real, sim, name, &from);
        }
    }
    return rc;
}

int validate_rows(struct validation *v, const struct meter *real, const struct meter *sim)
{
    static const char *const names[REQUEST_TIMES] = {"request queue", "request ttft",
                                                     "request tpot", "request e2e"};
    static const struct row_source step = {METER_STEP, KVT_GPU, VALIDATE_TOTAL};
    static const enum kvt_tier_kind tiers[] = {KVT_REDIS, KVT_HOST, KVT_DISK, KVT_PEER};
    int rc = 0;
    v->n_rows = 0;
    for (size_t i = 0; rc == 0 && i < sizeof tiers / sizeof tiers[0]; i++)
        rc = add_tier(v, real, sim, tiers[i]);
    if (rc == 0)
        rc = add_operations(v, real, sim, "step iteration", &step);
    for (unsigned what = 0; rc == 0 && what < REQUEST_TIMES; what++)
        rc = add_requests(v, real, sim, names[what], (enum request_time)what);
    return rc;
}
