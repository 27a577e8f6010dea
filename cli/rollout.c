/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rollout.c - see rollout.h. Rows are sorted into intervals by counting; quantiles are GSL's, of all values, as in
 * results.c.
 */
#include "rollout.h"

#include <assert.h>
#include <errno.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "radix.h"

const char *const rollout_pass_names[ROLLOUT_PASSES] = {"steady", "cold", "warm"};

const char *rollout_warm_up_name(enum wl_warm_up warm_up)
{
    static const char *const names[] = {"none", "hot", "recent", "shadow"};
    return names[warm_up];
}

/* ---- Watching ---------------------------------------------------------------------------------------- */

void rollout_tally_init(struct rollout_tally *t, const struct wl_rollout_config *config,
                        const struct kvt_prefill_cost *prefill)
{
    *t = (struct rollout_tally){.prefill = prefill, .switch_ns = config->at_ns};
}

void rollout_tally_release(struct rollout_tally *t)
{
    free(t->rows);
    t->rows = NULL;
}

static void add_row(struct rollout_tally *t, const struct kvt_report *p, uint32_t hits)
{
    if (t->n == t->room) {
        const size_t room = t->room < 1024 ? 1024 : t->room + t->room / 2;
        struct rollout_row *more = realloc(t->rows, room * sizeof *more);
        t->failed |= !more;
        if (!more)
            return;
        t->rows = more;
        t->room = room;
    }
    t->rows[t->n++] = (struct rollout_row){.arrive_ns = p->arrive_ns,
                                           .ttft_ns = p->first_token_ns - p->arrive_ns,
                                           .prompt_tokens = p->prompt_tokens,
                                           .hit_tokens = hits};
}

static void note_report(struct rollout_tally *t, const struct kvt_note *note)
{
    const struct kvt_report *p = note->report;
    t->warm_requests += p->background;
    t->warm_late += p->background && note->now > t->switch_ns;
    if (p->outcome != KVT_FINISHED)
        return;
    uint32_t hits = 0;
    for (int class = KVT_HIT_GPU; class <= KVT_HIT_DISK; class ++)
        hits += p->ledger_tokens[class];
    const double ns = cost_prefill_ns(t->prefill, 0, p->prompt_tokens) -
                      (hits ? cost_prefill_ns(t->prefill, 0, hits) : 0);
    if (p->background) {
        t->warm_computed += p->prompt_tokens - hits;
        t->warm_prefill_ns += ns;
        return;
    }
    t->computed += p->prompt_tokens - hits;
    t->prefill_ns += ns;
    add_row(t, p, hits);
}

void rollout_note(void *self, const struct kvt_note *note)
{
    struct rollout_tally *t = self;
    if (note->kind == KVT_NOTE_REPORT)
        note_report(t, note);
    else if (note->kind == KVT_NOTE_STEP)
        t->busy_ns += (double)(note->now - note->begin_ns);
}

/* ---- Figures ----------------------------------------------------------------------------------------- */

static double quantile_ms(const double *sorted, size_t n, double q)
{
    return n ? gsl_stats_quantile_from_sorted_data(sorted, 1, n, q) / 1e6 : (double)NAN;
}

static int fill_window(struct rollout_figures *f, const struct rollout *r,
                       const struct rollout_tally *t, double *scratch)
{
    uint64_t prompt = 0, hits = 0;
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct rollout_row *row = &t->rows[i];
        if (row->arrive_ns < r->config.at_ns || row->arrive_ns >= r->window_end_ns)
            continue;
        scratch[n++] = (double)row->ttft_ns;
        prompt += row->prompt_tokens;
        hits += row->hit_tokens;
    }
    const int rc = radix_sort(scratch, n);
    f->requests = n;
    f->hit_rate = prompt ? (double)hits / (double)prompt : (double)NAN;
    f->ttft_p50_ms = quantile_ms(scratch, n, 0.50);
    f->ttft_p95_ms = quantile_ms(scratch, n, 0.95);
    f->ttft_p99_ms = quantile_ms(scratch, n, 0.99);
    return rc;
}

static void fill_totals(struct rollout_figures *f, const struct rollout_terms *terms,
                        const struct rollout_tally *t)
{
    f->computed_tokens = t->computed + t->warm_computed;
    f->prefill_gpu_s = (t->prefill_ns + t->warm_prefill_ns) / 1e9 * terms->gpus_per_engine;
    f->busy_gpu_s = t->busy_ns / 1e9 * terms->gpus_per_engine;
}

static void fill_extra(struct rollout_figures *f, const struct rollout_figures *steady,
                       double usd_per_gpu_hour)
{
    f->extra_tokens = (double)f->computed_tokens - (double)steady->computed_tokens;
    f->extra_prefill_gpu_s = f->prefill_gpu_s - steady->prefill_gpu_s;
    f->extra_busy_gpu_s = f->busy_gpu_s - steady->busy_gpu_s;
    f->extra_usd = f->extra_prefill_gpu_s / 3600 * usd_per_gpu_hour;
}

/* ---- Over time --------------------------------------------------------------------------------------- */

static kvt_ns last_arrival_ns(const struct rollout_tally *t)
{
    kvt_ns last = 0;
    for (size_t i = 0; i < t->n; i++)
        last = t->rows[i].arrive_ns > last ? t->rows[i].arrive_ns : last;
    return last;
}

/* Equal intervals, a whole number of them before the first step; the first takes what that leaves over. */
static int make_bins(struct rollout *r, kvt_ns last_ns)
{
    const kvt_ns at = r->config.at_ns;
    if (last_ns < at) /* the traffic ended before */
        return 0;
    uint64_t before = (uint64_t)round((double)at / ((double)last_ns + 1) * ROLLOUT_BINS);
    before = before < 1 ? 1 : before;
    const kvt_ns width = at / before > 0 ? at / before : 1;
    r->n_bins = before + (last_ns - at) / width + 1;
    r->bins = calloc(r->n_bins, sizeof *r->bins);
    if (!r->bins)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_bins; i++) {
        struct rollout_bin *b = &r->bins[i];
        b->begin_ns = i == 0 ? 0 : at - before * width + i * width;
        b->end_ns = at - before * width + (i + 1) * width;
        b->share = wl_rollout_share(&r->config, b->end_ns - 1);
    }
    return 0;
}

static size_t bin_of(const struct rollout *r, kvt_ns arrive_ns)
{
    const kvt_ns first_end = r->bins[0].end_ns;
    if (arrive_ns < first_end)
        return 0;
    const kvt_ns width = r->n_bins > 1 ? r->bins[1].end_ns - r->bins[1].begin_ns : 1;
    const size_t i = 1 + (size_t)((arrive_ns - first_end) / width);
    return i < r->n_bins ? i : r->n_bins - 1;
}

/* scratch has room for all rows. */
static int fill_bins(struct rollout *r, enum rollout_pass pass, const struct rollout_tally *t,
                     double *scratch)
{
    int rc = 0;
    for (size_t i = 0; i < t->n; i++)
        r->bins[bin_of(r, t->rows[i].arrive_ns)].pass[pass].requests++;
    size_t *end = calloc(r->n_bins, sizeof *end);
    if (!end)
        return -ENOMEM;
    for (size_t b = 1; b < r->n_bins; b++)
        end[b] = end[b - 1] + r->bins[b - 1].pass[pass].requests;
    for (size_t i = 0; i < t->n; i++) {
        const size_t b = bin_of(r, t->rows[i].arrive_ns);
        scratch[end[b]++] = (double)t->rows[i].ttft_ns;
        r->bins[b].pass[pass].prompt_tokens += t->rows[i].prompt_tokens;
        r->bins[b].pass[pass].hit_tokens += t->rows[i].hit_tokens;
    }
    for (size_t b = 0; rc == 0 && b < r->n_bins; b++) {
        const size_t n = r->bins[b].pass[pass].requests;
        double *values = scratch + (end[b] - n);
        rc = radix_sort(values, n);
        r->bins[b].pass[pass].ttft_p50_ms = quantile_ms(values, n, 0.50);
        r->bins[b].pass[pass].ttft_p95_ms = quantile_ms(values, n, 0.95);
    }
    free(end);
    return rc;
}

static double recovery_s(const struct rollout *r, enum rollout_pass pass)
{
    for (size_t b = 0; b < r->n_bins; b++) {
        uint64_t hits = 0, steady = 0;
        if (r->bins[b].begin_ns < r->config.at_ns)
            continue;
        for (size_t k = 0; k < ROLLOUT_TRAIL && r->bins[b - k].begin_ns >= r->config.at_ns; k++) {
            hits += r->bins[b - k].pass[pass].hit_tokens;
            steady += r->bins[b - k].pass[ROLLOUT_STEADY].hit_tokens;
            if (b == k)
                break;
        }
        /* Before all have moved the old epoch's hits would speak for the new one. */
        if (r->bins[b].end_ns > r->end_ns && (double)hits >= ROLLOUT_BACK * (double)steady)
            return (double)(r->bins[b].end_ns - r->config.at_ns) / 1e9;
    }
    return (double)NAN;
}

/* ---- All of it --------------------------------------------------------------------------------------- */

static int close_pass(struct rollout *r, const struct rollout_terms *terms, enum rollout_pass pass,
                      const struct rollout_tally *t, double *scratch)
{
    struct rollout_figures *f = &r->pass[pass];
    f->present = true;
    fill_totals(f, terms, t);
    int rc = fill_window(f, r, t, scratch);
    if (rc == 0 && r->n_bins > 0)
        rc = fill_bins(r, pass, t, scratch);
    return rc;
}

static void add_warm_up(struct rollout *r, const struct rollout_terms *terms,
                        const struct rollout_tally *t)
{
    r->warm_requests = t->warm_requests;
    r->warm_late = t->warm_late;
    r->warm_tokens = t->warm_computed;
    r->warm_prefill_gpu_s = t->warm_prefill_ns / 1e9 * terms->gpus_per_engine;
    r->warm_usd = r->warm_prefill_gpu_s / 3600 * terms->usd_per_gpu_hour;
}

int rollout_close(struct rollout *r, const struct rollout_terms *terms,
                  struct rollout_tally *const tallies[ROLLOUT_PASSES])
{
    *r = (struct rollout){.done = true,
                          .config = *terms->config,
                          .end_ns = wl_rollout_end_ns(terms->config),
                          .priced = isfinite(terms->usd_per_gpu_hour)};
    r->window_end_ns = kvt_ns_add(r->end_ns, terms->watch_ns);
    assert(tallies[ROLLOUT_STEADY]);
    size_t most = 1;
    for (int p = 0; p < ROLLOUT_PASSES; p++) {
        if (tallies[p] && tallies[p]->failed)
            return -ENOMEM;
        most = tallies[p] && tallies[p]->n > most ? tallies[p]->n : most;
    }
    double *scratch = malloc(most * sizeof *scratch);
    int rc = scratch ? make_bins(r, last_arrival_ns(tallies[ROLLOUT_STEADY])) : -ENOMEM;
    for (int p = 0; rc == 0 && p < ROLLOUT_PASSES; p++)
        if (tallies[p])
            rc = close_pass(r, terms, (enum rollout_pass)p, tallies[p], scratch);
    free(scratch);
    for (int p = 0; rc == 0 && p < ROLLOUT_PASSES; p++) {
        struct rollout_figures *f = &r->pass[p];
        fill_extra(f, &r->pass[ROLLOUT_STEADY], terms->usd_per_gpu_hour);
        f->recovery_s =
            f->present && p != ROLLOUT_STEADY ? recovery_s(r, (enum rollout_pass)p) : (double)NAN;
    }
    if (rc == 0 && tallies[ROLLOUT_WARM])
        add_warm_up(r, terms, tallies[ROLLOUT_WARM]);
    return rc;
}

void rollout_release(struct rollout *r)
{
    free(r->bins);
    r->bins = NULL;
    r->n_bins = 0;
}
