/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results.c - the collector: notes in, figures out. See results.h for what each figure covers.
 *
 * Means and rates are sums divided by sums: a hit rate is hit tokens over prompt tokens of the
 * cluster, never a mean of the engines' rates. Sums of times are kept in integer nanoseconds.
 * Quantiles are GSL's
 * (linear between the two nearest order statistics, Hyndman and Fan's type 7, numpy's default),
 * taken from all samples; only ITL, of which there is one per token, comes from a histogram.
 *
 *   (R1) The ledger of the figures sums to their prompt_tokens.
 *   (R2) For each finished request the spans sum to its TTFT, so the waterfall does too.
 *
 * A report that breaks one of them is counted, and results_close refuses the run.
 */
#include "results.h"

#include "radix.h"
#include "results_impl.h"

#include <assert.h>
#include <errno.h>
#include <gsl/gsl_statistics_double.h>
#include <stdlib.h>
#include <string.h>

const char *const results_metric_names[RESULTS_METRICS] = {
    [RESULTS_TTFT] = "ttft",   [RESULTS_TPOT] = "tpot", [RESULTS_E2E] = "e2e",
    [RESULTS_QUEUE] = "queue", [RESULTS_ITL] = "itl",
};

const char *const results_definitions[RESULTS_METRICS] = {
    [RESULTS_TTFT] = "time to first token: from a request's planned arrival to its first output "
                     "token, hashing, queueing, loading and prefill included; one value per "
                     "finished request",
    [RESULTS_TPOT] = "time per output token: (finish - first token) / (output tokens - 1); one "
                     "value per finished request with at least 2 output tokens",
    [RESULTS_E2E] = "end to end: from a request's planned arrival to its last output token; one "
                    "value per finished request",
    [RESULTS_QUEUE] =
        "time before the first token spent waiting for pages, a batch slot or a turn in the "
        "batch; one value per finished request",
    [RESULTS_ITL] = "inter-token latency: duration of the engine iteration that made the token; "
                    "one value per token after a request's first",
};

const char *results_source_name(unsigned source)
{
    if (source < KVT_TIERS)
        return kvt_tier_name((enum kvt_tier_kind)source);
    return source == SOURCE_NONE ? "none" : "all";
}

const char *results_stage_name(unsigned stage)
{
    static const char *const sums[] = {"ttft", "generation", "e2e"};
    return stage < KVT_SPANS ? kvt_span_name((enum kvt_span)stage) : sums[stage - STAGE_TTFT];
}

/* ---- Building up and tearing down. ---- */

enum { EXPECTED_MAX = 1 << 24 }; /* requests for which room is made at once: 512 MiB, untouched */

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static void options_copy(struct results_options *to, const struct results_options *from)
{
    *to = *from;
    to->world = or_empty(from->world);
    to->scenario = or_empty(from->scenario);
    to->scenario_name = or_empty(from->scenario_name);
    to->scenario_sha256 = or_empty(from->scenario_sha256);
    to->question = or_empty(from->question);
    to->resolved = or_empty(from->resolved);
    to->revision = or_empty(from->revision);
    to->model = or_empty(from->model);
    to->gpu = or_empty(from->gpu);
    to->command = or_empty(from->command);
    if (to->engines == 0)
        to->engines = 1;
}

static int collector_init(struct results *r)
{
    size_t engines = r->options.engines;
    uint64_t expected = r->options.expected_requests; /* a hint: a wild one must not cost memory */

    r->requests_csv.fd = -1;
    r->first_arrival_ns = KVT_NEVER;
    r->engine_busy_ns = calloc(engines, sizeof *r->engine_busy_ns);
    r->engine_iterations = calloc(engines, sizeof *r->engine_iterations);
    r->engine_tokens = calloc(engines, sizeof *r->engine_tokens);
    if (r->options.dir != NULL) {
        r->stages = calloc(SOURCES, sizeof *r->stages);
        r->lengths = lengths_new();
    }
    r->faults = r->options.faults ? faults_new() : NULL;
    if (r->engine_busy_ns == NULL || r->engine_iterations == NULL || r->engine_tokens == NULL ||
        (r->options.dir != NULL && (r->stages == NULL || r->lengths == NULL)) ||
        (r->options.faults && r->faults == NULL))
        return -ENOMEM;
    if (expected > EXPECTED_MAX)
        expected = EXPECTED_MAX;
    for (unsigned m = 0; m < RESULTS_ITL && expected > 0; m++) {
        r->series[m].value_ns = malloc(expected * sizeof(double));
        if (r->series[m].value_ns == NULL)
            return -ENOMEM;
        r->series[m].capacity = expected;
    }
    return timeline_init(&r->timeline, r->options.dir != NULL ? r->options.interval_ns : KVT_NEVER);
}

struct results *results_new(const struct results_options *options, int *error, char *why,
                            size_t size)
{
    struct results *r = calloc(1, sizeof *r);

    *error = -ENOMEM;
    if (r != NULL) {
        options_copy(&r->options, options);
        *error = collector_init(r);
    }
    if (*error != 0) {
        snprintf(why, size, "out of memory for the results");
        results_free(r);
        return NULL;
    }
    if (options->dir != NULL) {
        *error = results_dir_open(&r->dir, options->dir, why, size);
        if (*error == 0) {
            *error = out_open(&r->requests_csv, r->dir.fd, "requests.csv");
            if (*error != 0)
                snprintf(why, size, "%s: cannot be written: %s", options->dir, strerror(-*error));
        }
        if (*error != 0) {
            results_free(r);
            return NULL;
        }
        csv_requests_head(&r->requests_csv);
    }
    return r;
}

void results_free(struct results *r)
{
    if (r == NULL)
        return;
    if (r->requests_csv.fd >= 0 && out_close(&r->requests_csv) != 0) {
        /* abandoned: the file goes with its folder */
    }
    results_dir_abort(&r->dir);
    for (unsigned m = 0; m < RESULTS_ITL; m++)
        free(r->series[m].value_ns);
    free(r->stages);
    free(r->lengths);
    faults_free(r->faults);
    shards_release(&r->shards);
    free(r->engine_busy_ns);
    free(r->engine_iterations);
    free(r->engine_tokens);
    timeline_release(&r->timeline);
    links_release(&r->links);
    free(r->busy);
    free(r->engine_names);
    free(r);
}

/* ---- Notes. ---- */

static void remember(struct results *r, int error)
{
    if (r->error == 0)
        r->error = error;
}

static void series_add(struct results *r, enum results_metric metric, kvt_ns value)
{
    struct results_series *s = &r->series[metric];

    if (s->n == s->capacity) {
        uint64_t capacity = s->capacity < 1024 ? 1024 : s->capacity + s->capacity / 2;
        double *more = realloc(s->value_ns, capacity * sizeof *more);
        if (more == NULL) {
            remember(r, -ENOMEM);
            return;
        }
        s->value_ns = more;
        s->capacity = capacity;
    }
    s->value_ns[s->n++] = (double)value;
    s->sum_ns += value;
}

static void note_stages(struct results *r, const struct kvt_report *p)
{
    kvt_ns value[STAGES];
    unsigned source = p->source < KVT_TIERS ? (unsigned)p->source : (unsigned)SOURCE_NONE;

    memcpy(value, p->span_ns, sizeof p->span_ns);
    value[STAGE_TTFT] = report_ttft_ns(p);
    value[STAGE_GENERATION] = p->finish_ns - p->first_token_ns;
    value[STAGE_E2E] = report_e2e_ns(p);
    for (unsigned stage = 0; stage < STAGES; stage++)
        histogram_add(&r->stages[source][stage], value[stage], 1);
}

static void note_tenant(struct results *r, const struct kvt_report *p)
{
    if (p->tenant >= RESULTS_TENANTS)
        return;
    struct results_tenant *t = &r->tenants[p->tenant];
    t->requests++;
    t->prompt_tokens += p->prompt_tokens;
    for (int class = KVT_HIT_GPU; class <= KVT_HIT_DISK; class ++)
        t->hit_tokens += p->ledger_tokens[class];
    t->ttft_ns += report_ttft_ns(p);
}

static void note_finished(struct results *r, const struct kvt_report *p)
{
    struct results_figures *f = &r->figures;
    uint64_t ledger = 0, spans = 0;
    kvt_ns ttft = report_ttft_ns(p), decode = p->finish_ns - p->first_token_ns;

    for (unsigned class = 0; class < KVT_LEDGER; class ++) {
        f->ledger_tokens[class] += p->ledger_tokens[class];
        ledger += p->ledger_tokens[class];
    }
    for (unsigned span = 0; span < KVT_SPANS; span++)
        spans += p->span_ns[span];
    r->broken_ledgers += ledger != p->prompt_tokens;
    r->broken_spans += spans != ttft;

    f->finished++;
    f->prompt_tokens += p->prompt_tokens;
    f->output_tokens += p->output_tokens;
    f->source_requests[p->source < KVT_TIERS ? p->source : KVT_TIERS]++;
    series_add(r, RESULTS_TTFT, ttft);
    series_add(r, RESULTS_E2E, report_e2e_ns(p));
    series_add(r, RESULTS_QUEUE, p->span_ns[KVT_SPAN_WAIT]);
    kvt_ns tpot = 0;
    if (report_has_tpot(p)) {
        tpot = decode / (p->output_tokens - 1);
        series_add(r, RESULTS_TPOT, tpot);
        r->decode_tokens += p->output_tokens - 1;
        r->decode_ns += decode;
    }
    if (r->stages != NULL)
        note_stages(r, p);
    note_tenant(r, p);
    if (r->lengths != NULL)
        lengths_note(r->lengths, p);
    const struct results_options *o = &r->options;
    r->slo_met += (o->slo_ttft_ns == 0 || ttft <= o->slo_ttft_ns) &&
                  (o->slo_tpot_ns == 0 || tpot <= o->slo_tpot_ns);
}

static void note_report(struct results *r, const struct kvt_report *p)
{
    struct results_figures *f = &r->figures;
    if (p->background)
        return; /* nobody waited for it */
    bool measured = p->arrive_ns >= r->options.warmup_ns;

    if (r->requests_csv.fd >= 0)
        csv_request(&r->requests_csv, p, measured);
    if (r->faults != NULL)
        remember(r, faults_note(r->faults, p));
    if (p->outcome == KVT_FINISHED && p->output_tokens > 0)
        timeline_first_token(&r->timeline, p->first_token_ns);
    if (!measured) {
        f->warmup_requests++;
        return;
    }
    if (p->arrive_ns < r->first_arrival_ns)
        r->first_arrival_ns = p->arrive_ns;
    f->requests++;
    f->requests_failed += p->outcome == KVT_FAILED;
    f->requests_rejected += p->outcome == KVT_REJECTED;
    f->hit_blocks += p->hit_blocks;
    f->lookup_blocks += p->lookup_blocks;
    f->preemptions += p->preemptions;
    f->recomputed_tokens += p->recomputed_tokens;
    if (p->outcome != KVT_FINISHED)
        return;
    note_finished(r, p);
    if (r->options.cost != NULL)
        cost_count(&r->tally, r->options.cost, p, results_begin_ns(r));
}

static void note_step(struct results *r, const struct kvt_note *n)
{
    uint64_t tokens = (uint64_t)n->n_decode * n->iterations;

    timeline_step(&r->timeline, n->begin_ns, n->now, tokens);
    if (n->now <= r->options.warmup_ns && r->options.warmup_ns > 0)
        return;
    kvt_ns begin = n->begin_ns > r->options.warmup_ns ? n->begin_ns : r->options.warmup_ns;
    if (n->engine.v < r->options.engines) {
        r->engine_busy_ns[n->engine.v] += n->now - begin;
        r->engine_iterations[n->engine.v] += n->iterations;
        r->engine_tokens[n->engine.v] += tokens + n->prefill_tokens;
    }
    /* within a repeated step an iteration is a few ns longer than the one before: their mean stands
     * for all of them */
    if (n->iterations > 0)
        histogram_add(&r->itl, (n->now - n->begin_ns) / n->iterations, tokens);
}

void results_note(void *self, const struct kvt_note *note)
{
    struct results *r = self;

    assert(!r->closed);
    r->last_note_ns = note->now;
    r->notes++;
    if (note->kind == KVT_NOTE_REPORT)
        note_report(r, note->report);
    else if (note->kind == KVT_NOTE_STEP)
        note_step(r, note);
}

kvt_ns results_next_sample(const struct results *r)
{
    const struct results_timeline *t = &r->timeline;
    return t->interval_ns == KVT_NEVER ? KVT_NEVER : (t->n_rows + 1) * t->interval_ns;
}

void results_sample(struct results *r, kvt_ns now, const struct kvt_core_stats *stats,
                    const struct kvt_core_gauges *gauges)
{
    if (now == results_next_sample(r))
        timeline_sample(&r->timeline, now, stats, gauges);
}

void results_sample_links(struct results *r, kvt_ns now, const struct sim_world *world)
{
    const kvt_ns interval_ns = r->timeline.interval_ns;
    if (interval_ns != KVT_NEVER)
        remember(r, links_sample(&r->links, now, interval_ns, false, world));
}

void results_last_links(struct results *r, const struct sim_world *world)
{
    const kvt_ns interval_ns = r->timeline.interval_ns;
    regions_close(r, world);
    if (interval_ns != KVT_NEVER && r->last_note_ns > 0)
        remember(r, links_sample(&r->links, r->last_note_ns, interval_ns, true, world));
}

int results_status(const struct results *r)
{
    return r->error != 0 ? r->error : r->requests_csv.error;
}

/* ---- Figures. ---- */

double series_quantile(const struct results_series *s, double q)
{
    return s->n == 0 ? (double)NAN : gsl_stats_quantile_from_sorted_data(s->value_ns, 1, s->n, q);
}

double results_quantile_ms(const struct results *r, enum results_metric metric, double q)
{
    return (metric == RESULTS_ITL ? histogram_quantile(&r->itl, q)
                                  : series_quantile(&r->series[metric], q)) /
           1e6;
}

double results_ttft_ns(const struct results *r, double q)
{
    assert(r->closed);
    return series_quantile(&r->series[RESULTS_TTFT], q);
}

static void close_latency(struct results *r, enum results_metric metric)
{
    struct results_latency *l = &r->figures.latency[metric];

    if (metric == RESULTS_ITL) {
        l->n = r->itl.total;
        l->mean_ms = histogram_mean(&r->itl) / 1e6;
    } else {
        struct results_series *s = &r->series[metric];
        remember(r, radix_sort(s->value_ns, s->n));
        l->n = s->n;
        l->mean_ms = ratio_of((double)s->sum_ns, (double)s->n) / 1e6;
    }
    l->p50_ms = results_quantile_ms(r, metric, 0.50);
    l->p95_ms = results_quantile_ms(r, metric, 0.95);
    l->p99_ms = results_quantile_ms(r, metric, 0.99);
    l->max_ms = results_quantile_ms(r, metric, 1);
}

kvt_ns results_begin_ns(const struct results *r)
{
    if (r->options.warmup_ns > 0 || r->first_arrival_ns == KVT_NEVER)
        return r->options.warmup_ns;
    return r->first_arrival_ns;
}

static void close_figures(struct results *r, const struct kvt_core_stats *stats)
{
    struct results_figures *f = &r->figures;
    kvt_ns begin = results_begin_ns(r), busy_ns = 0;

    for (unsigned m = 0; m < RESULTS_METRICS; m++)
        close_latency(r, (enum results_metric)m);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        f->hit_tokens += f->ledger_tokens[KVT_HIT_GPU + tier];
    f->prefix_hit_rate = ratio_of((double)f->hit_tokens, (double)f->prompt_tokens);

    kvt_ns duration_ns = r->last_note_ns > begin ? r->last_note_ns - begin : 0;
    f->duration_s = (double)duration_ns / 1e9;
    f->output_tokens_per_s = ratio_of((double)f->output_tokens, f->duration_s);
    f->requests_per_s = ratio_of((double)f->finished, f->duration_s);
    for (uint32_t e = 0; e < r->options.engines; e++)
        busy_ns += r->engine_busy_ns[e];
    f->gpu_busy_ratio = ratio_of((double)busy_ns, (double)duration_ns * r->options.engines);

    bool slo = r->options.slo_ttft_ns > 0 || r->options.slo_tpot_ns > 0;
    f->slo_met_ratio = slo ? ratio_of((double)r->slo_met, (double)f->requests) : (double)NAN;
    f->goodput_requests_per_s = slo ? ratio_of((double)r->slo_met, f->duration_s) : (double)NAN;
    f->kv_waste_paged_ratio =
        1 - ratio_of((double)stats->paged_used_tokens, (double)stats->paged_allocated_tokens);
    f->kv_waste_contiguous_ratio = 1 - ratio_of((double)stats->contiguous_used_tokens,
                                                (double)stats->contiguous_allocated_tokens);
}

static void close_stages(struct results *r)
{
    for (unsigned source = 0; source < SOURCE_ALL && r->stages != NULL; source++) {
        for (unsigned stage = 0; stage < STAGES; stage++)
            histogram_merge(&r->stages[SOURCE_ALL][stage], &r->stages[source][stage]);
    }
}

/* The engines' own rows, then the driver's. */
static int close_busy(struct results *r, const struct results_end *end)
{
    uint32_t engines = r->options.engines;
    double duration_ns = r->figures.duration_s * 1e9;

    r->busy = calloc(engines + end->n_busy, sizeof *r->busy);
    r->engine_names = calloc(engines, sizeof *r->engine_names);
    if (r->busy == NULL || r->engine_names == NULL)
        return -ENOMEM;
    for (uint32_t e = 0; e < engines; e++) {
        snprintf(r->engine_names[e], sizeof r->engine_names[e], "engine/%u", e);
        r->busy[e] = (struct results_busy){
            .name = r->engine_names[e],
            .servers = 1,
            .busy_ratio = ratio_of((double)r->engine_busy_ns[e], duration_ns),
            .queue_mean = (double)NAN,
            .wait_mean_ns = (double)NAN,
            .jobs = r->engine_iterations[e],
        };
    }
    if (end->n_busy > 0)
        memcpy(r->busy + engines, end->busy, end->n_busy * sizeof *end->busy);
    r->n_busy = engines + end->n_busy;
    return 0;
}

static int close_check(const struct results *r, char *why, size_t size)
{
    int status = results_status(r);

    if (status == 0 && r->broken_ledgers + r->broken_spans > 0) {
        snprintf(why, size,
                 "accounting: %llu requests with a ledger, %llu with spans that do not add up",
                 (unsigned long long)r->broken_ledgers, (unsigned long long)r->broken_spans);
        return -EPROTO;
    }
    if (status != 0)
        snprintf(why, size, "%s: %s", r->options.dir != NULL ? r->options.dir : "results",
                 strerror(-status));
    return status;
}

int results_close(struct results *r, const struct results_end *end, char *why, size_t size)
{
    assert(!r->closed);
    r->closed = true;
    r->stats = *end->stats;
    r->gauges = *end->gauges;
    if (end->orphan_b != NULL)
        memcpy(r->orphan_b, end->orphan_b, sizeof r->orphan_b);
    snprintf(r->digest, sizeof r->digest, "%s", or_empty(end->digest));
    if (end->real != NULL)
        r->real = *end->real;
    if (end->shards != NULL) {
        r->shards = *end->shards;
        *end->shards = (struct shards){0};
    }
    r->interrupted = end->interrupted;
    r->wall_ns = end->wall_ns;
    r->core_memory_b = end->core_memory_b;
    r->tracked_blocks = end->tracked_blocks;

    int closed = out_close(&r->requests_csv);
    remember(r, r->options.dir != NULL ? closed : 0);
    if (r->timeline.interval_ns != KVT_NEVER && r->last_note_ns > 0)
        timeline_sample(&r->timeline, r->last_note_ns, end->stats, end->gauges);
    close_figures(r, end->stats);
    close_stages(r);
    remember(r, close_busy(r, end));
    remember(r, faults_close(r, end->faults));
    if (r->error == 0)
        cost_close(r);
    return close_check(r, why, size);
}

const struct results_real *results_real(const struct results *r)
{
    return &r->real;
}

const struct results_figures *results_figures(const struct results *r)
{
    assert(r->closed);
    return &r->figures;
}
