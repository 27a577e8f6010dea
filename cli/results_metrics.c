/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_metrics.c - metrics.prom: the run as one scrape, in OpenMetrics 1.0 text.
 *
 * Names follow what vLLM's /metrics calls the same things, with kvtwin_ for vllm:
 * (prompt_tokens, generation_tokens, time_to_first_token_seconds, prefix_cache_hits, ...), so
 * that an operator's dashboard needs a new prefix and no more. Base units are seconds, bytes and
 * ratios, as the format asks. Bucket counts are exact for request latencies; inter-token latency
 * comes from a histogram and its counts are off by what lies in the one bucket that a bound
 * cuts.
 */
#include "results_impl.h"

#include <string.h>

static void family(struct out *o, const char *name, const char *type, const char *unit,
                   const char *help)
{
    out_text(o, "# TYPE kvtwin_");
    out_text(o, name);
    out_char(o, ' ');
    out_text(o, type);
    if (*unit != '\0') {
        out_text(o, "\n# UNIT kvtwin_");
        out_text(o, name);
        out_char(o, ' ');
        out_text(o, unit);
    }
    out_text(o, "\n# HELP kvtwin_");
    out_text(o, name);
    out_char(o, ' ');
    out_text(o, help);
    out_char(o, '\n');
}

/* "kvtwin_<name><suffix>{<label>="<value>"} ", without braces when label is NULL. */
static void sample(struct out *o, const char *name, const char *suffix, const char *label,
                   const char *value)
{
    out_text(o, "kvtwin_");
    out_text(o, name);
    out_text(o, suffix);
    if (label != NULL) {
        out_char(o, '{');
        out_text(o, label);
        out_text(o, "=\"");
        out_text(o, value);
        out_text(o, "\"}");
    }
    out_char(o, ' ');
}

static void value_u64(struct out *o, uint64_t value)
{
    out_u64(o, value);
    out_char(o, '\n');
}

/* OpenMetrics writes an undefined value as NaN. */
static void value_real(struct out *o, double value, unsigned decimals)
{
    if (isfinite(value))
        out_fixed(o, value, decimals);
    else
        out_text(o, "NaN");
    out_char(o, '\n');
}

static void counter(struct out *o, const char *name, const char *unit, const char *help,
                    uint64_t value)
{
    family(o, name, "counter", unit, help);
    sample(o, name, "_total", NULL, NULL);
    value_u64(o, value);
}

static void counter_per_tier(struct out *o, const char *name, const char *unit, const char *help,
                             const uint64_t value[KVT_TIERS])
{
    family(o, name, "counter", unit, help);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++) {
        sample(o, name, "_total", "tier", kvt_tier_name((enum kvt_tier_kind)tier));
        value_u64(o, value[tier]);
    }
}

static void gauge(struct out *o, const char *name, const char *unit, const char *help, double value)
{
    family(o, name, "gauge", unit, help);
    sample(o, name, "", NULL, NULL);
    value_real(o, value, 6);
}

/* ---- Histograms. ---- */

/* Bounds in ms: vLLM's for request latencies, with more room for tokens below. */
static const char *const bounds[] = {"1",     "2",     "5",      "10",    "20",    "40",
                                     "60",    "80",    "100",    "250",   "500",   "750",
                                     "1000",  "2500",  "5000",   "7500",  "10000", "20000",
                                     "40000", "80000", "160000", "640000"};

static uint64_t at_most(const struct results *r, enum results_metric metric, uint64_t bound_ns)
{
    if (metric == RESULTS_ITL)
        return histogram_at_most(&r->itl, bound_ns);
    const struct results_series *s = &r->series[metric];
    uint64_t low = 0, high = s->n; /* values below index low are at most the bound */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (s->value_ns[middle] <= (double)bound_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void histogram(struct out *o, const struct results *r, enum results_metric metric,
                      const char *name, const char *help)
{
    const struct results_latency *l = &r->figures.latency[metric];

    family(o, name, "histogram", "seconds", help);
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        char le[OUT_NUMBER];
        uint64_t bound_ms = 0;
        for (const char *c = bounds[i]; *c != '\0'; c++)
            bound_ms = bound_ms * 10 + (uint64_t)(*c - '0');
        le[format_fixed(le, (double)bound_ms / 1e3, 3)] = '\0';
        sample(o, name, "_bucket", "le", le);
        value_u64(o, at_most(r, metric, bound_ms * KVT_MILLISECOND));
    }
    sample(o, name, "_bucket", "le", "+Inf");
    value_u64(o, l->n);
    sample(o, name, "_count", NULL, NULL);
    value_u64(o, l->n);
    sample(o, name, "_sum", NULL, NULL);
    value_real(o, l->n > 0 ? l->mean_ms * (double)l->n / 1e3 : 0, 6);
}

/* ---- Parts of the file. ---- */

static void label_text(struct out *o, const char *label, const char *text, char before)
{
    out_char(o, before);
    out_text(o, label);
    out_text(o, "=\"");
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            out_char(o, '\\');
        if (*text == '\n')
            out_text(o, "\\n");
        else
            out_char(o, *text);
    }
    out_char(o, '"');
}

static void write_info(struct out *o, const struct results *r)
{
    family(o, "run", "info", "", "What was run.");
    out_text(o, "kvtwin_run_info");
    label_text(o, "scenario", r->options.scenario_name, '{');
    label_text(o, "scenario_sha256", r->options.scenario_sha256, ',');
    label_text(o, "world", r->options.world, ',');
    label_text(o, "model_name", r->options.model, ',');
    label_text(o, "gpu", r->options.gpu, ',');
    label_text(o, "revision", r->options.revision, ',');
    label_text(o, "decisions_digest", r->digest, ',');
    out_text(o, "} 1\n");
}

static void write_requests(struct out *o, const struct results *r)
{
    const struct results_figures *f = &r->figures;

    counter(o, "request_success", "", "Measured requests that finished.", f->finished);
    counter(o, "request_failure", "", "Measured requests whose engine went down.",
            f->requests_failed);
    counter(o, "request_rejected", "", "Measured requests that can never fit.",
            f->requests_rejected);
    counter(o, "prompt_tokens", "", "Prompt tokens of finished requests.", f->prompt_tokens);
    counter(o, "generation_tokens", "", "Output tokens of finished requests.", f->output_tokens);
    counter(o, "prefix_cache_queries", "", "Prompt tokens looked up in the cache.",
            f->prompt_tokens);
    counter(o, "prefix_cache_hits", "", "Prompt tokens found and not computed.", f->hit_tokens);
    family(o, "prompt_tokens_by_class", "counter", "", "Prompt tokens by what became of them.");
    for (unsigned class = 0; class < KVT_LEDGER; class ++) {
        sample(o, "prompt_tokens_by_class", "_total", "class",
               kvt_ledger_name((enum kvt_ledger) class));
        value_u64(o, f->ledger_tokens[class]);
    }
    counter(o, "num_preemptions", "", "Preemptions of running requests.", r->stats.preemptions);
    counter(o, "iterations", "", "Engine iterations.", r->stats.iterations);
}

static void write_latencies(struct out *o, const struct results *r)
{
    static const struct {
        enum results_metric metric;
        const char *name, *help;
    } all[] = {
        {RESULTS_TTFT, "time_to_first_token_seconds", "Planned arrival to first token."},
        {RESULTS_TPOT, "request_time_per_output_token_seconds",
         "Mean time per token of a request."},
        {RESULTS_ITL, "inter_token_latency_seconds",
         "Duration of the iteration that made a token."},
        {RESULTS_E2E, "e2e_request_latency_seconds", "Planned arrival to last token."},
        {RESULTS_QUEUE, "request_queue_time_seconds",
         "Waiting for pages, a batch slot or a turn in the batch."},
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        histogram(o, r, all[i].metric, all[i].name, all[i].help);
}

static void write_tiers(struct out *o, const struct results *r)
{
    const struct kvt_core_stats *s = &r->stats;
    const struct kvt_core_gauges *g = &r->gauges;

    counter_per_tier(o, "evicted_blocks", "", "Blocks gone for want of room.", s->evicted_blocks);
    counter_per_tier(o, "expired_blocks", "", "Blocks gone by TTL.", s->expired_blocks);
    counter_per_tier(o, "read_bytes", "bytes", "Bytes read from the tier, coded.", s->bytes_read);
    counter_per_tier(o, "written_bytes", "bytes", "Bytes written to the tier, coded.",
                     s->bytes_written);
    family(o, "held_bytes", "gauge", "bytes", "Bytes in the tier at the end.");
    for (unsigned tier = 0; tier < KVT_TIERS; tier++) {
        sample(o, "held_bytes", "", "tier", kvt_tier_name((enum kvt_tier_kind)tier));
        value_u64(o, g->held_b[tier]);
    }
    bool paged = g->pages_total > 0 && g->pages_total != UINT64_MAX;
    gauge(o, "kv_cache_usage_ratio", "ratio", "Share of GPU pages in use at the end.",
          paged ? 1 - (double)g->pages_free / (double)g->pages_total : (double)NAN);
    gauge(o, "kv_waste_paged_ratio", "ratio", "Allocated but unused, paged allocator.",
          r->figures.kv_waste_paged_ratio);
    gauge(o, "kv_waste_contiguous_ratio", "ratio", "The same, contiguous allocator.",
          r->figures.kv_waste_contiguous_ratio);
}

void metrics_write(struct out *o, const struct results *r)
{
    write_info(o, r);
    write_requests(o, r);
    write_latencies(o, r);
    gauge(o, "duration_seconds", "seconds", "The traffic's own time.", r->figures.duration_s);
    gauge(o, "gpu_busy_ratio", "ratio", "Share of time that engines spend in steps.",
          r->figures.gpu_busy_ratio);
    write_tiers(o, r);
    out_text(o, "# EOF\n");
}
