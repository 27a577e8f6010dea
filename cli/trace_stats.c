/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * trace_stats.c - what a trace is like: one pass over its records.
 *
 * Found blocks. Keys of a chain stand for all before them, so the prompt's leading blocks that
 * were named by any earlier request are what an infinite cache would find. A request finds
 * nothing of its own. Blocks of outputs are not looked for; they are there for later requests.
 *
 * Memory: 16 bytes a request for exact quantiles of lengths (GSL, linear between order
 * statistics), 8 for its arrival, at most 32 a distinct block (seen.h). Reuses are as many as
 * blocks, so their gaps go into histograms: within 0.4 % (histogram.h).
 */
#include "trace.h"

#include <errno.h>
#include <gsl/gsl_rstat.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../workload/record.h"
#include "histogram.h"
#include "progress.h"
#include "seen.h"

/* What a pass gathers; on the heap, the histograms are large. */
struct gathering {
    struct trace_stats *stats;
    bool tenant_salts;
    kvt_ns *at_ns;
    double *prompt, *output; /* tokens */
    size_t at_room, prompt_room, output_room;
    struct seen blocks, sessions, tenants;
    gsl_rstat_workspace *gaps; /* seconds between arrivals */
    struct histogram reuse_ns, reuse_requests;
};

/* ---- One record -------------------------------------------------------------------------------------- */

/* Notes a block. Returns 1 when an earlier request named it, 0, or -ENOMEM. */
static int use_block(struct gathering *g, uint32_t tenant, uint64_t id, uint32_t now)
{
    uint32_t before = 0;
    const kvt_key key = {g->tenant_salts ? tenant : 0, id};
    const int known = seen_use(&g->blocks, key, now, &before);
    if (known != 1 || before == now)
        return known < 0 ? known : 0;
    histogram_add(&g->reuse_ns, g->at_ns[now] - g->at_ns[before], 1);
    histogram_add(&g->reuse_requests, now - before, 1);
    return 1;
}

static int use_blocks(struct gathering *g, const struct wl_record *r, uint32_t now)
{
    struct trace_stats *s = g->stats;
    const uint32_t block = s->info.trace_block_tokens, full = r->prompt_tokens / block;
    const uint32_t of_prompt = r->n_ids < full ? r->n_ids : full;
    const uint64_t named = (uint64_t)of_prompt + r->has_tail;
    uint64_t found = 0;
    for (uint64_t i = 0; i < named; i++) {
        const uint64_t id = i < of_prompt ? r->ids[i] : r->tail_id;
        const int known = use_block(g, r->tenant, id, now);
        if (known < 0)
            return known;
        found += known == 1 && found == i;
    }
    for (uint32_t i = of_prompt; i < r->n_ids; i++)
        if (use_block(g, r->tenant, r->ids[i], now) < 0)
            return -ENOMEM;
    s->prompt_blocks += named;
    s->output_blocks += r->n_ids - of_prompt;
    s->hit_blocks += found;
    s->hit_tokens += found * block < r->prompt_tokens ? found * block : r->prompt_tokens;
    s->whole_prompts += named > 0 && found == named;
    return 0;
}

static int keep_lengths(struct gathering *g, const struct wl_record *r, uint32_t now)
{
    const size_t n = (size_t)now + 1;
    if (wl_grow(&g->at_ns, &g->at_room, n, sizeof g->at_ns[0]) != 0 ||
        wl_grow(&g->prompt, &g->prompt_room, n, sizeof g->prompt[0]) != 0 ||
        wl_grow(&g->output, &g->output_room, n, sizeof g->output[0]) != 0)
        return -ENOMEM;
    g->at_ns[now] = r->at_ns;
    g->prompt[now] = r->prompt_tokens;
    g->output[now] = r->output_tokens;
    g->stats->prompt_tokens += r->prompt_tokens;
    g->stats->output_tokens += r->output_tokens;
    if (now > 0)
        gsl_rstat_add((double)(r->at_ns - g->at_ns[now - 1]) / 1e9, g->gaps);
    return 0;
}

static int add(struct gathering *g, const struct wl_record *r, uint32_t now)
{
    uint32_t before;
    if (keep_lengths(g, r, now) != 0 ||
        seen_use(&g->tenants, (kvt_key){0, r->tenant}, now, &before) < 0 ||
        (r->session != KVT_NONE &&
         seen_use(&g->sessions, (kvt_key){0, r->session}, now, &before) < 0))
        return -ENOMEM;
    return use_blocks(g, r, now);
}

/* ---- All of them ------------------------------------------------------------------------------------- */

/* Sorts values. */
static struct trace_spread spread_of(double *values, size_t n)
{
    if (n == 0 || !values)
        return (struct trace_spread){0, NAN, NAN, NAN, NAN, NAN};
    gsl_sort(values, 1, n);
    return (struct trace_spread){.n = n,
                                 .mean = gsl_stats_mean(values, 1, n),
                                 .p50 = gsl_stats_quantile_from_sorted_data(values, 1, n, 0.5),
                                 .p90 = gsl_stats_quantile_from_sorted_data(values, 1, n, 0.9),
                                 .p99 = gsl_stats_quantile_from_sorted_data(values, 1, n, 0.99),
                                 .max = values[n - 1]};
}

static struct trace_spread spread_of_histogram(const struct histogram *h, double unit)
{
    if (h->total == 0)
        return (struct trace_spread){0, NAN, NAN, NAN, NAN, NAN};
    return (struct trace_spread){.n = h->total,
                                 .mean = histogram_mean(h) / unit,
                                 .p50 = histogram_quantile(h, 0.5) / unit,
                                 .p90 = histogram_quantile(h, 0.9) / unit,
                                 .p99 = histogram_quantile(h, 0.99) / unit,
                                 .max = (double)h->greatest / unit};
}

static void conclude(struct gathering *g)
{
    struct trace_stats *s = g->stats;
    const size_t n = (size_t)s->requests;
    const double mean_s = gsl_rstat_mean(g->gaps);
    s->duration_ns = n > 0 && g->at_ns ? g->at_ns[n - 1] - g->at_ns[0] : 0;
    s->rate_per_s = mean_s > 0 ? 1 / mean_s : NAN;
    s->interarrival_cv = mean_s > 0 && n > 2 ? gsl_rstat_sd(g->gaps) / mean_s : NAN;
    s->prompt = spread_of(g->prompt, n);
    s->output = spread_of(g->output, n);
    s->distinct_blocks = g->blocks.n;
    s->sessions = g->sessions.n;
    s->tenants = g->tenants.n;
    s->reuse_s = spread_of_histogram(&g->reuse_ns, 1e9);
    s->reuse_requests = spread_of_histogram(&g->reuse_requests, 1);
}

static int gather(struct gathering *g, struct wl_source *source, char *why)
{
    struct trace_stats *s = g->stats;
    struct progress bar;
    struct wl_record r;
    int rc;
    progress_begin(&bar, "reading", s->info.requests);
    while ((rc = wl_next_record(source, &r)) == 1) {
        if (s->requests == KVT_NONE) {
            snprintf(why, TRACE_ERROR, "expected at most %u requests", KVT_NONE);
            rc = -EINVAL;
            break;
        }
        rc = add(g, &r, (uint32_t)s->requests);
        if (rc == 0 && trace_stop)
            rc = -EINTR;
        if (rc != 0) {
            snprintf(why, TRACE_ERROR, "%s", rc == -EINTR ? "interrupted" : "out of memory");
            break;
        }
        s->requests++;
        progress_step(&bar, s->requests, r.at_ns);
    }
    progress_end(&bar);
    if (rc < 0 && why[0] == '\0')
        snprintf(why, TRACE_ERROR, "%s", wl_source_error(source));
    return rc;
}

int trace_stats(struct trace_stats *stats, struct wl_source *source, bool tenant_salts,
                char why[TRACE_ERROR])
{
    *stats = (struct trace_stats){0};
    why[0] = '\0';
    wl_source_info(source, &stats->info);
    struct gathering *g = calloc(1, sizeof *g);
    int rc = -ENOMEM;
    if (g) {
        g->stats = stats;
        g->tenant_salts = tenant_salts;
        g->gaps = gsl_rstat_alloc();
    }
    if (g && g->gaps)
        rc = gather(g, source, why);
    else
        snprintf(why, TRACE_ERROR, "out of memory");
    if (rc == 0)
        conclude(g);
    if (g) {
        if (g->gaps)
            gsl_rstat_free(g->gaps);
        seen_release(&g->blocks);
        seen_release(&g->sessions);
        seen_release(&g->tenants);
        free(g->at_ns);
        free(g->prompt);
        free(g->output);
    }
    free(g);
    return rc;
}
