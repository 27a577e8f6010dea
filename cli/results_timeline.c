/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_timeline.c - the state of the run over time, in a bounded number of rows.
 *
 * Nobody knows beforehand how long a run lasts. The interval starts at 100 ms; when all rows are used,
 * every second one is dropped and the interval doubles, so a run of any length has 500 to 1000 rows and
 * costs the same memory. Counters in rows are cumulative, which is why a row can simply be dropped:
 * differences are taken when the file is written.
 *
 *      rows     |--1--|--2--|--3--|--4--|   full
 *      doubled  |-----2-----|-----4-----|   the same bounds, half of them
 *
 * A step may last longer than an interval (a repeated one: hundreds of iterations). Its tokens and its
 * time are spread evenly over its life, into bins of the same interval.
 *
 * An interval chosen by the user is kept up to TIMELINE_FIXED_ROWS rows, then doubled likewise.
 */
#include "results_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TIMELINE_AUTO_ROWS = 1000, TIMELINE_FIXED_ROWS = 100000 };
#define TIMELINE_AUTO_NS (100 * KVT_MILLISECOND)

int timeline_init(struct results_timeline *t, kvt_ns interval_ns)
{
    t->automatic = interval_ns == 0;
    t->interval_ns = t->automatic ? TIMELINE_AUTO_NS : interval_ns;
    t->max_rows = t->automatic ? TIMELINE_AUTO_ROWS : TIMELINE_FIXED_ROWS;
    if (t->interval_ns == KVT_NEVER)
        return 0;
    /* zeroed pages that are never touched take no memory; + 1: the last, shorter row and bin */
    t->rows = calloc(t->max_rows + 1, sizeof *t->rows);
    t->bins = calloc(t->max_rows + 1, sizeof *t->bins);
    return t->rows == NULL || t->bins == NULL ? -ENOMEM : 0;
}

void timeline_release(struct results_timeline *t)
{
    free(t->rows);
    free(t->bins);
    t->rows = NULL;
    t->bins = NULL;
}

static struct results_bin *bin_at(struct results_timeline *t, kvt_ns at)
{
    uint64_t i = at / t->interval_ns;
    return &t->bins[i < t->max_rows ? i : t->max_rows];
}

void timeline_step(struct results_timeline *t, kvt_ns begin, kvt_ns end, uint64_t tokens)
{
    if (t->bins == NULL)
        return;
    if (begin >= end) {
        bin_at(t, end)->output_tokens += (double)tokens;
        return;
    }
    double per_ns = (double)tokens / (double)(end - begin);
    for (kvt_ns from = begin; from < end;) {
        struct results_bin *bin = bin_at(t, from);
        kvt_ns to = (from / t->interval_ns + 1) * t->interval_ns;
        if (to > end || bin == &t->bins[t->max_rows])
            to = end;
        bin->output_tokens += per_ns * (double)(to - from);
        bin->busy_ns += (double)(to - from);
        from = to;
    }
}

void timeline_first_token(struct results_timeline *t, kvt_ns at)
{
    if (t->bins != NULL)
        bin_at(t, at)->output_tokens += 1;
}

/* Twice the interval, half the rows. The last row of an odd number is dropped: its bound is no longer
 * one. */
static void timeline_double(struct results_timeline *t)
{
    for (uint32_t i = 0; i < t->max_rows; i++) {
        struct results_bin bin = t->bins[i];
        memset(&t->bins[i], 0, sizeof bin);
        t->bins[i / 2].output_tokens += bin.output_tokens;
        t->bins[i / 2].busy_ns += bin.busy_ns;
    }
    struct results_bin *behind = &t->bins[t->max_rows]; /* begins where the second half now does */
    t->bins[t->max_rows / 2] = *behind;
    memset(behind, 0, sizeof *behind);
    t->n_rows /= 2;
    for (uint32_t i = 0; i < t->n_rows; i++)
        t->rows[i] = t->rows[2 * i + 1];
    t->interval_ns *= 2;
}

void timeline_sample(struct results_timeline *t, kvt_ns at, const struct kvt_core_stats *stats,
                     const struct kvt_core_gauges *gauges)
{
    if (t->n_rows > 0 && at <= t->rows[t->n_rows - 1].at_ns)
        return;
    struct results_row *row = &t->rows[t->n_rows++];
    row->at_ns = at;
    row->requests = stats->requests;
    row->ended = stats->finished + stats->rejected + stats->failed;
    row->prompt_tokens = stats->prompt_tokens;
    memcpy(row->ledger_tokens, stats->ledger_tokens, sizeof row->ledger_tokens);
    memcpy(row->evicted_blocks, stats->evicted_blocks, sizeof row->evicted_blocks);
    memcpy(row->bytes_read, stats->bytes_read, sizeof row->bytes_read);
    memcpy(row->bytes_written, stats->bytes_written, sizeof row->bytes_written);
    row->gauges = *gauges;
    if (t->n_rows == t->max_rows)
        timeline_double(t);
}

/* ---- timeline.csv ---- */

static void head(struct out *o)
{
    static const char *const per_tier[] = {"held_blocks_",    "held_bytes_", "occupancy_ratio_",
                                           "evicted_blocks_", "bytes_read_", "bytes_written_"};

    out_text(o,
             "# One line per interval, which ends at time_s. Counts are of the interval, held_*, "
             "pages_* and requests waiting, loading, running are the state at its end.\n");
    out_text(
        o, "# Hits and computed tokens count when a request finishes; output tokens and busy time "
           "when they happen.\n");
    out_text(o, "time_s,interval_s,requests_arrived,requests_ended,waiting,loading,running,"
                "prompt_tokens,prefix_hit_rate");
    for (unsigned tier = 0; tier < KVT_TIERS; tier++) {
        out_text(o, ",hit_tokens_");
        out_text(o, kvt_tier_name((enum kvt_tier_kind)tier));
    }
    out_text(o, ",computed_tokens,output_tokens,output_tokens_per_s,gpu_busy_ratio,pages_total,"
                "pages_used,pages_cached");
    for (size_t i = 0; i < sizeof per_tier / sizeof per_tier[0]; i++) {
        for (unsigned tier = 0; tier < KVT_TIERS; tier++) {
            out_char(o, ',');
            out_text(o, per_tier[i]);
            out_text(o, kvt_tier_name((enum kvt_tier_kind)tier));
        }
    }
    out_char(o, '\n');
}

static void count(struct out *o, uint64_t value)
{
    out_char(o, ',');
    out_u64(o, value);
}

static void decimal(struct out *o, double value, unsigned decimals)
{
    out_char(o, ',');
    out_fixed(o, value, decimals);
}

/* Share of the tier's room in use; NAN when it is without bound or absent. */
static double occupancy(const struct results *r, const struct kvt_core_gauges *g, unsigned tier)
{
    const struct results_tier *c = &r->options.tiers[tier];

    if (tier == KVT_GPU && g->pages_total > 0 && g->pages_total != UINT64_MAX)
        return (double)(g->pages_total - g->pages_free) / (double)g->pages_total;
    if (!c->present)
        return (double)NAN;
    if (c->capacity_b != UINT64_MAX && tier != KVT_GPU)
        return ratio_of((double)g->held_b[tier], (double)c->capacity_b);
    if (c->capacity_blocks != UINT64_MAX)
        return ratio_of((double)g->held_blocks[tier], (double)c->capacity_blocks);
    return (double)NAN;
}

static void line(struct out *o, const struct results *r, const struct results_row *row,
                 const struct results_row *before, const struct results_bin *bin)
{
    const struct kvt_core_gauges *g = &row->gauges;
    kvt_ns interval_ns = row->at_ns - before->at_ns;
    uint64_t hits = 0, prompt = row->prompt_tokens - before->prompt_tokens;
    bool paged = g->pages_total != UINT64_MAX;

    out_fixed(o, (double)row->at_ns / 1e9, 3);
    decimal(o, (double)interval_ns / 1e9, 3);
    count(o, row->requests - before->requests);
    count(o, row->ended - before->ended);
    count(o, g->waiting);
    count(o, g->loading);
    count(o, g->running);
    count(o, prompt);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        hits += row->ledger_tokens[KVT_HIT_GPU + tier] - before->ledger_tokens[KVT_HIT_GPU + tier];
    decimal(o, ratio_of((double)hits, (double)prompt), 6);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        count(o,
              row->ledger_tokens[KVT_HIT_GPU + tier] - before->ledger_tokens[KVT_HIT_GPU + tier]);
    count(o, prompt - hits);
    decimal(o, bin->output_tokens, 1);
    decimal(o, ratio_of(bin->output_tokens * 1e9, (double)interval_ns), 1);
    decimal(o, ratio_of(bin->busy_ns, (double)interval_ns * r->options.engines), 6);
    count(o, paged ? g->pages_total : 0);
    count(o, paged ? g->pages_total - g->pages_free : 0);
    count(o, paged ? g->pages_cached : 0);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        count(o, g->held_blocks[tier]);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        count(o, g->held_b[tier]);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        decimal(o, occupancy(r, g, tier), 6);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        count(o, row->evicted_blocks[tier] - before->evicted_blocks[tier]);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        count(o, row->bytes_read[tier] - before->bytes_read[tier]);
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        count(o, row->bytes_written[tier] - before->bytes_written[tier]);
    out_char(o, '\n');
}

void timeline_write(struct out *o, const struct results *r)
{
    const struct results_timeline *t = &r->timeline;
    static const struct results_row start; /* all zero */

    head(o);
    for (uint32_t i = 0; i < t->n_rows; i++) {
        struct results_bin bin = t->bins[i];
        /* the last row takes what happened at its very end, and after the last sample */
        for (uint32_t j = i + 1; i == t->n_rows - 1 && j <= t->max_rows; j++) {
            bin.output_tokens += t->bins[j].output_tokens;
            bin.busy_ns += t->bins[j].busy_ns;
        }
        line(o, r, &t->rows[i], i > 0 ? &t->rows[i - 1] : &start, &bin);
    }
}
