/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_csv.c - requests, waterfall, ledger, distributions and utilisation as CSV.
 *
 * Every file begins with lines that start with '#' and say what is in it, then one line of column names.
 * gnuplot skips the former; so does pandas with comment='#'. An empty field is "not defined here": the
 * TPOT of a request with one output token, the capacity of a tier without bound.
 *
 * Times per request are exact to the nanosecond (milliseconds with up to six decimals, zeros at the end
 * left out), so that a reader can add the spans and get the TTFT. Derived figures have fixed decimals.
 */
#include "results_impl.h"

/* Decimals of derived columns. */
enum { MS = 6, RATIO = 6 };

static void comma(struct out *o)
{
    out_char(o, ',');
}

static void count(struct out *o, uint64_t value)
{
    comma(o);
    out_u64(o, value);
}

static void decimal(struct out *o, double value, unsigned decimals)
{
    comma(o);
    out_fixed(o, value, decimals);
}

static void duration(struct out *o, bool defined, kvt_ns value)
{
    comma(o);
    if (defined)
        out_ns_as_ms(o, value);
}

static void define(struct out *o, enum results_metric metric)
{
    out_text(o, "# ");
    out_text(o, results_metric_names[metric]);
    out_text(o, ": ");
    out_text(o, results_definitions[metric]);
    out_char(o, '\n');
}

/* ---- requests.csv ---- */

void csv_requests_head(struct out *o)
{
    out_text(o, "# One line per request, in the order in which they ended. Latencies and spans are "
                "empty for requests that did not finish.\n");
    for (unsigned m = 0; m < RESULTS_ITL; m++)
        define(o, (enum results_metric)m);
    out_text(o, "# source: the farthest tier that served a block; hash_ms to compute_ms add up to "
                "ttft_ms; hit_* and computed_* (tokens) add up to prompt_tokens\n");
    out_text(o, "id,tenant,session,engine,outcome,measured,source,arrive_ms,ttft_ms,tpot_ms,e2e_ms,"
                "queue_ms,prompt_tokens,output_tokens,hit_blocks,lookup_blocks,preemptions,"
                "recomputed_tokens");
    for (unsigned class = 0; class < KVT_LEDGER; class ++) {
        comma(o);
        out_text(o, kvt_ledger_name((enum kvt_ledger) class));
    }
    for (unsigned span = 0; span < KVT_SPANS; span++) {
        comma(o);
        out_text(o, kvt_span_name((enum kvt_span)span));
        out_text(o, "_ms");
    }
    out_char(o, '\n');
}

void csv_request(struct out *o, const struct kvt_report *p, bool measured)
{
    static const char *const outcomes[] = {
        [KVT_FINISHED] = "finished", [KVT_REJECTED] = "rejected", [KVT_FAILED] = "failed"};
    bool finished = p->outcome == KVT_FINISHED;

    out_u64(o, p->id);
    count(o, p->tenant);
    comma(o);
    if (p->session != KVT_NONE)
        out_u64(o, p->session);
    comma(o);
    if (p->engine.v != KVT_NONE)
        out_u64(o, p->engine.v);
    comma(o);
    out_text(o, outcomes[p->outcome]);
    count(o, measured);
    comma(o);
    out_text(o, results_source_name((unsigned)p->source));
    duration(o, true, p->arrive_ns);
    duration(o, finished, report_ttft_ns(p));
    bool tpot = report_has_tpot(p);
    duration(o, tpot, tpot ? (p->finish_ns - p->first_token_ns) / (p->output_tokens - 1) : 0);
    duration(o, finished, report_e2e_ns(p));
    duration(o, finished, p->span_ns[KVT_SPAN_WAIT]);
    count(o, p->prompt_tokens);
    count(o, p->output_tokens);
    count(o, p->hit_blocks);
    count(o, p->lookup_blocks);
    count(o, p->preemptions);
    count(o, p->recomputed_tokens);
    for (unsigned class = 0; class < KVT_LEDGER; class ++)
        count(o, p->ledger_tokens[class]);
    for (unsigned span = 0; span < KVT_SPANS; span++)
        duration(o, finished, p->span_ns[span]);
    out_char(o, '\n');
}

/* ---- stages.csv ---- */

void csv_stages(struct out *o, const struct results *r)
{
    out_text(
        o, "# The latency waterfall of finished requests by source, the farthest tier that served "
           "a block.\n");
    out_text(o, "# The means of hash to compute add up to that of ttft; ttft and generation to "
                "e2e. begin_ms "
                "and end_ms place a stage on the mean request's timeline.\n");
    out_text(o, "# Means are exact; p50 and p95 are within 0.4 % (histogram) and do not add up.\n");
    out_text(o, "source,stage,requests,mean_ms,p50_ms,p95_ms,begin_ms,end_ms,ratio_of_e2e\n");
    for (unsigned source = 0; source < SOURCES; source++) {
        const struct histogram *h = r->stages[source];
        double e2e_ms = histogram_mean(&h[STAGE_E2E]) / 1e6, begin_ms = 0;

        for (unsigned stage = 0; stage < STAGES && h[STAGE_E2E].total > 0; stage++) {
            double mean_ms = histogram_mean(&h[stage]) / 1e6;
            double from_ms = stage == STAGE_TTFT || stage == STAGE_E2E ? 0 : begin_ms;

            out_text(o, results_source_name(source));
            comma(o);
            out_text(o, results_stage_name(stage));
            count(o, h[stage].total);
            decimal(o, mean_ms, MS);
            decimal(o, histogram_quantile(&h[stage], 0.50) / 1e6, MS);
            decimal(o, histogram_quantile(&h[stage], 0.95) / 1e6, MS);
            decimal(o, from_ms, MS);
            decimal(o, from_ms + mean_ms, MS);
            decimal(o, ratio_of(mean_ms, e2e_ms), RATIO);
            out_char(o, '\n');
            if (stage < KVT_SPANS)
                begin_ms += mean_ms; /* generation then begins where ttft ends */
        }
    }
}

/* ---- ledger.csv ---- */

void csv_ledger(struct out *o, const struct results *r, const struct results *baseline)
{
    const struct results_figures *f = &r->figures;
    uint64_t begin = 0;

    out_text(
        o, "# What became of each prompt token of finished requests. Classes are exclusive and add "
           "up to prompt_tokens.\n");
    out_text(o, "# baseline_tokens: the same traffic with the cache off.\n");
    out_text(o, "class,kind,tokens,ratio,begin_tokens,end_tokens,baseline_tokens\n");
    for (unsigned class = 0; class < KVT_LEDGER; class ++) {
        uint64_t tokens = f->ledger_tokens[class];

        out_text(o, kvt_ledger_name((enum kvt_ledger) class));
        out_text(o, class <= KVT_HIT_DISK ? ",hit" : ",computed");
        count(o, tokens);
        decimal(o, ratio_of((double)tokens, (double)f->prompt_tokens), RATIO);
        count(o, begin);
        count(o, begin + tokens);
        comma(o);
        if (baseline != NULL)
            out_u64(o, baseline->figures.ledger_tokens[class]);
        out_char(o, '\n');
        begin += tokens;
    }
}

/* ---- distributions.csv ---- */

/* 0 % to 99 % in steps of 0.25 %, to 100 % in steps of 0.025 %: tails need it. */
enum { COARSE = 396, FINE = 40 };

static double quantile_of(unsigned i)
{
    return i <= COARSE ? i * 0.0025 : 0.99 + (i - COARSE) * 0.00025;
}

void csv_distributions(struct out *o, const struct results *r, const struct results *baseline)
{
    for (unsigned m = 0; m < RESULTS_METRICS; m++)
        define(o, (enum results_metric)m);
    out_text(o,
             "# Values below which the share `quantile` of all values lies; baseline_*: the same "
             "traffic with the cache off. itl is within 0.4 % (histogram).\n");
    out_text(o, "quantile");
    for (unsigned m = 0; m < RESULTS_METRICS; m++) {
        comma(o);
        out_text(o, results_metric_names[m]);
        out_text(o, "_ms,baseline_");
        out_text(o, results_metric_names[m]);
        out_text(o, "_ms");
    }
    out_char(o, '\n');
    for (unsigned i = 0; i <= COARSE + FINE; i++) {
        double q = fmin(quantile_of(i), 1);

        out_fixed(o, q, 5);
        for (unsigned m = 0; m < RESULTS_METRICS; m++) {
            enum results_metric metric = (enum results_metric)m;
            decimal(o, results_quantile_ms(r, metric, q), MS);
            decimal(o, baseline != NULL ? results_quantile_ms(baseline, metric, q) : (double)NAN,
                    MS);
        }
        out_char(o, '\n');
    }
}

/* ---- utilization.csv ---- */

void csv_utilization(struct out *o, const struct results *r)
{
    out_text(
        o,
        "# How busy each part was over the measured time. engine/N: share of time in steps, jobs "
        "are iterations; a link: bytes moved / (rate * time).\n");
    out_text(o, "name,servers,busy_ratio,queue_mean,wait_mean_ms,jobs,bytes\n");
    for (size_t i = 0; i < r->n_busy; i++) {
        const struct results_busy *b = &r->busy[i];

        out_field(o, b->name);
        decimal(o, b->servers, 0);
        decimal(o, b->busy_ratio, RATIO);
        decimal(o, b->queue_mean, RATIO);
        decimal(o, b->wait_mean_ns / 1e6, MS);
        count(o, b->jobs);
        count(o, b->bytes);
        out_char(o, '\n');
    }
}
