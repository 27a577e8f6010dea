/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_print.c - the figures of a run as a table for people.
 *
 * Sections in the order in which a practitioner asks: how much traffic, how fast and against
 * what, where the prefixes were found, what became of each token, what the tiers hold and moved,
 * how much memory was wasted, and what was busy. Numbers are scaled to the unit that reads best
 * (three significant digits, the unit beside them); exact ones are in summary.json. A "-" is
 * "not defined here".
 */
#include "results_impl.h"

#include <string.h>

enum { CELL = 24, BUSY_ROWS = 8, FILES_NAMED = 5 };

/* Colour is for section names only. */
struct table {
    FILE *out;
    bool colour;
};

/* ---- Cells. Each writes into text[CELL] and returns it. ---- */

/* 1234567 -> "1,234,567". */
static const char *count_cell(char text[CELL + 8], uint64_t value)
{
    char digits[OUT_NUMBER];
    size_t n = format_u64(digits, value), at = 0;

    for (size_t i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

/* Three significant digits of value with a unit behind. */
static const char *scaled_cell(char text[CELL], double value, const char *unit)
{
    int decimals = fabs(value) >= 99.95 ? 0 : fabs(value) >= 9.995 ? 1 : 2;
    snprintf(text, CELL, "%.*f%s%s", decimals, value, *unit != '\0' ? " " : "", unit);
    return text;
}

static const char *time_cell(char text[CELL], double ms)
{
    if (!isfinite(ms))
        return strcpy(text, "-");
    if (ms == 0)
        return strcpy(text, "0");
    if (ms < 0.9995)
        return scaled_cell(text, ms * 1e3, "us");
    if (ms < 999.5)
        return scaled_cell(text, ms, "ms");
    return scaled_cell(text, ms / 1e3, "s");
}

static const char *bytes_cell(char text[CELL], uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;

    if (bytes == 0)
        return strcpy(text, "0");
    if (bytes == UINT64_MAX)
        return strcpy(text, "infinite");
    for (; value >= 999.5; unit++)
        value /= 1024;
    if (unit == 0)
        snprintf(text, CELL, "%.0f B", value);
    else
        scaled_cell(text, value, units[unit]);
    return text;
}

static const char *percent_cell(char text[CELL], double ratio)
{
    if (!isfinite(ratio))
        return strcpy(text, "-");
    snprintf(text, CELL, "%.1f %%", 100 * ratio);
    return text;
}

/* baseline / now, as people say it. */
static const char *times_cell(char text[CELL], double before, double now)
{
    double ratio = ratio_of(before, now);
    if (!isfinite(ratio))
        return strcpy(text, "-");
    snprintf(text, CELL, "%.2fx", ratio);
    return text;
}

/* ---- Sections. ---- */

static void section(const struct table *t, const char *name, const char *columns)
{
    int width = *columns != '\0' ? 16 : 0; /* no blanks at a line's end */

    fprintf(t->out, "\n%s%-*s%s%s\n", t->colour ? "\033[1m" : "", width, name,
            t->colour ? "\033[0m" : "", columns);
}

static void print_head(const struct table *t, const struct results *r)
{
    const struct results_options *p = &r->options;

    fprintf(t->out, "%s%s%s: %s world, seed %llu%s\n", t->colour ? "\033[1m" : "",
            *p->scenario_name != '\0' ? p->scenario_name : p->scenario, t->colour ? "\033[0m" : "",
            p->world, (unsigned long long)p->seed,
            r->interrupted ? ", INTERRUPTED: figures cover what was done until then" : "");
    if (*p->question != '\0')
        fprintf(t->out, "%s\n", p->question);
    if (*p->model != '\0')
        fprintf(t->out, "%s on %u engine%s of %u x %s; blocks of %u tokens, pages of %u\n",
                p->model, p->engines, p->engines == 1 ? "" : "s", p->gpus_per_engine, p->gpu,
                p->block_tokens, p->page_tokens);
    if (*r->real.device != '\0')
        fprintf(t->out, "%s\n", r->real.device);
}

static void print_traffic(const struct table *t, const struct results *r,
                          const struct results *baseline)
{
    const struct results_figures *f = &r->figures;
    char a[CELL + 8], b[CELL];
    uint64_t unfinished =
        r->stats.requests - r->stats.finished - r->stats.rejected - r->stats.failed;

    section(t, "traffic", "");
    fprintf(t->out, "  %-14s%14s", "requests", count_cell(a, f->requests));
    if (f->requests_rejected > 0)
        fprintf(t->out, "   %llu rejected", (unsigned long long)f->requests_rejected);
    if (f->requests_failed > 0)
        fprintf(t->out, "   %llu failed", (unsigned long long)f->requests_failed);
    if (f->warmup_requests > 0)
        fprintf(t->out, "   after a warm-up of %llu", (unsigned long long)f->warmup_requests);
    if (unfinished > 0)
        fprintf(t->out, "   %llu not finished", (unsigned long long)unfinished);
    fprintf(t->out, "\n  %-14s%14s\n", "prompt tokens", count_cell(a, f->prompt_tokens));
    fprintf(t->out, "  %-14s%14s", "output tokens", count_cell(a, f->output_tokens));
    if (isfinite(f->output_tokens_per_s))
        fprintf(t->out, "   %s /s over %s", scaled_cell(a, f->output_tokens_per_s, ""),
                time_cell(b, f->duration_s * 1e3));
    fprintf(t->out, "\n  %-14s%14s", "GPU busy", percent_cell(a, f->gpu_busy_ratio));
    if (baseline != NULL)
        fprintf(t->out, "   baseline %s", percent_cell(a, baseline->figures.gpu_busy_ratio));
    fputc('\n', t->out);
    if (isfinite(f->slo_met_ratio))
        fprintf(t->out, "  %-14s%14s   %.3f requests/s meet the SLO\n", "SLO met",
                percent_cell(a, f->slo_met_ratio), f->goodput_requests_per_s);
}

static void print_latency(const struct table *t, const struct results *r,
                          const struct results *baseline)
{
    static const char *const names[RESULTS_METRICS] = {"TTFT", "TPOT", "E2E", "queue", "ITL"};
    char a[CELL], b[CELL], c[CELL], d[CELL], e[CELL], g[CELL];

    section(t, "latency",
            baseline != NULL
                ? "      mean        p50        p95        p99   cache off p50    p99    faster p50"
                : "      mean        p50        p95        p99");
    for (unsigned m = 0; m < RESULTS_METRICS; m++) {
        const struct results_latency *l = &r->figures.latency[m];

        if (l->n == 0)
            continue;
        fprintf(t->out, "  %-13s%11s%11s%11s%11s", names[m], time_cell(a, l->mean_ms),
                time_cell(b, l->p50_ms), time_cell(c, l->p95_ms), time_cell(d, l->p99_ms));
        if (baseline != NULL) {
            const struct results_latency *was = &baseline->figures.latency[m];
            fprintf(t->out, "%14s%10s%12s", time_cell(e, was->p50_ms), time_cell(g, was->p99_ms),
                    times_cell(a, was->p50_ms, l->p50_ms));
        }
        fputc('\n', t->out);
    }
}

/* The ledger, which holds the hits by tier; classes without tokens are left out. */
static void print_ledger(const struct table *t, const struct results *r)
{
    const struct results_figures *f = &r->figures;
    char a[CELL + 8], b[CELL];
    uint64_t sum = 0;

    section(t, "prompt tokens", "        tokens    share");
    for (unsigned class = 0; class < KVT_LEDGER; class ++) {
        uint64_t tokens = f->ledger_tokens[class];

        sum += tokens;
        if (tokens == 0)
            continue;
        char name[CELL];
        snprintf(name, sizeof name, "%s", kvt_ledger_name((enum kvt_ledger) class));
        for (char *c = name; *c != '\0'; c++)
            *c = *c == '_' ? ' ' : *c;
        fprintf(t->out, "  %-22s%16s%9s\n", name, count_cell(a, tokens),
                percent_cell(b, ratio_of((double)tokens, (double)f->prompt_tokens)));
    }
    fprintf(t->out, "  %-22s%16s%9s\n", "= prompt tokens", count_cell(a, sum),
            percent_cell(b, f->prompt_tokens > 0 ? 1 : (double)NAN));
    fprintf(t->out, "  %-22s%16s%9s", "  of them found", count_cell(a, f->hit_tokens),
            percent_cell(b, f->prefix_hit_rate));
    fprintf(t->out, "   in %s", count_cell(a, f->hit_blocks));
    fprintf(t->out, " of %s blocks looked up\n", count_cell(a, f->lookup_blocks));
}

/* A capacity in blocks, when it is not given in bytes. */
static const char *capacity_cell(char text[CELL + 8], const struct results_tier *config)
{
    if (config->capacity_b != UINT64_MAX || config->capacity_blocks == UINT64_MAX)
        return bytes_cell(text, config->capacity_b);
    count_cell(text, config->capacity_blocks);
    return strcat(text, " bl");
}

static void print_tiers(const struct table *t, const struct results *r)
{
    const struct kvt_core_stats *s = &r->stats;
    char a[CELL], b[CELL + 8], c[CELL], d[CELL], e[CELL], n[CELL + 8];

    section(t, "tiers",
            "       held         of   evicted blocks      read   written  orphaned   requests");
    for (unsigned tier = 0; tier < KVT_TIERS; tier++) {
        const struct results_tier *config = &r->options.tiers[tier];

        if (!config->present)
            continue;
        fprintf(t->out, "  %-14s%11s%11s%17s", kvt_tier_name((enum kvt_tier_kind)tier),
                tier == KVT_PEER ? "-" : bytes_cell(a, r->gauges.held_b[tier]),
                tier == KVT_PEER ? "-" : capacity_cell(b, config),
                count_cell(n, s->evicted_blocks[tier]));
        fprintf(t->out, "%10s%10s%10s", bytes_cell(c, s->bytes_read[tier]),
                bytes_cell(d, s->bytes_written[tier]), bytes_cell(e, r->orphan_b[tier]));
        fprintf(t->out, "%11s\n", count_cell(n, r->figures.source_requests[tier]));
    }
    fprintf(t->out, "  %-80s%12s\n", "nothing found",
            count_cell(n, r->figures.source_requests[SOURCE_NONE]));
}

static void print_memory(const struct table *t, const struct results *r)
{
    const struct results_figures *f = &r->figures;
    char a[CELL], b[CELL], n[CELL + 8];

    if (!isfinite(f->kv_waste_paged_ratio) && !isfinite(f->kv_waste_contiguous_ratio))
        return;
    section(t, "KV memory", "");
    fprintf(t->out, "  allocated, unused: %s paged, %s contiguous; %s requests found no hole\n",
            percent_cell(a, f->kv_waste_paged_ratio), percent_cell(b, f->kv_waste_contiguous_ratio),
            count_cell(n, r->stats.contiguous_refused));
    if (r->stats.preemptions > 0)
        fprintf(t->out, "  %s preemptions\n", count_cell(n, r->stats.preemptions));
}

/* Where matching by tokens was asked for. */
static void print_matching(const struct table *t, const struct results *r)
{
    const struct kvt_core_stats *s = &r->stats;
    char a[CELL + 8], b[CELL + 8], c[CELL + 8];

    if (!r->options.approximate && !r->options.radix)
        return;
    section(t, "matching by tokens", "");
    if (r->options.approximate) {
        fprintf(t->out, "  similar prompts: %s of %s look-ups found one;",
                count_cell(a, s->approx_found), count_cell(b, s->approx_lookups));
        fprintf(t->out, " %s candidates, %s compared\n", count_cell(a, s->approx_candidates_seen),
                count_cell(b, s->approx_compared));
        fprintf(t->out, "  same first blocks: %s tokens, held for %s prompts",
                count_cell(a, s->approx_common_tokens), count_cell(b, s->approx_hits));
        fprintf(t->out, "; %s of them a chain match finds as well\n",
                count_cell(c, s->approx_hits_chain_found_anyway));
        fprintf(t->out, "  reused thanks to it: %s tokens\n",
                count_cell(a, s->approx_reused_tokens));
    }
    if (r->options.radix)
        fprintf(t->out,
                "  parts of blocks: %s tokens copied, of %s that earlier prompts begin with\n",
                count_cell(a, s->radix_reused_tokens), count_cell(b, s->radix_possible_tokens));
}

static void print_fault(const struct table *t, const struct fault_event *e,
                        const struct results_fault *f)
{
    char a[CELL + 8], b[CELL], c[CELL];
    const struct results_window *w = f->at;

    fprintf(t->out, "  %s %s at %.1f s", e->kind, e->target, (double)e->from_ns / 1e9);
    if (e->until_ns == KVT_NEVER)
        fputs(" for the rest", t->out);
    else if (e->until_ns > e->from_ns)
        fprintf(t->out, " for %s", time_cell(a, (double)(e->until_ns - e->from_ns) / 1e6));
    fprintf(t->out, "%s: %llu in flight, %llu requests affected",
            e->failed_over ? ", then its replica" : "", (unsigned long long)e->in_flight,
            (unsigned long long)f->affected);
    if (f->failed > 0)
        fprintf(t->out, ", %llu failed", (unsigned long long)f->failed);
    if (e->blocks_lost > 0)
        fprintf(t->out, ", %s blocks lost", count_cell(a, e->blocks_lost));
    if (e->ended[KVT_TIMEOUT] > 0)
        fprintf(t->out, ", %s timeouts", count_cell(a, e->ended[KVT_TIMEOUT]));
    fprintf(t->out, "\n    before, during, after: hit rate %s, %s, %s;",
            percent_cell(a, w[0].hit_rate), percent_cell(b, w[1].hit_rate),
            percent_cell(c, w[2].hit_rate));
    fprintf(t->out, " TTFT p50 %s, %s, %s;", time_cell(a, w[0].ttft_ms[0]),
            time_cell(b, w[1].ttft_ms[0]), time_cell(c, w[2].ttft_ms[0]));
    fprintf(t->out, " p95 %s, %s, %s\n", time_cell(a, w[0].ttft_ms[1]),
            time_cell(b, w[1].ttft_ms[1]), time_cell(c, w[2].ttft_ms[1]));
    if (isnan(f->recovered_s))
        fputs("    hit rate: not back within the run\n", t->out);
    else if (f->recovered_s > 0)
        fprintf(t->out, "    hit rate: back after %s\n", time_cell(a, f->recovered_s * 1e3));
    else
        fputs("    hit rate: never below 95 % of before\n", t->out);
}

/* What broke, and what that did. */
static void print_faults(const struct table *t, const struct results *r)
{
    enum { SHOWN = 6 };
    const struct fault_event *e = NULL;
    const struct results_fault *f = NULL;
    const size_t n = results_fault(r, 0, &e, &f);

    if (n == 0 || has_resize(r))
        return;
    section(t, "faults", "");
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        results_fault(r, i, &e, &f);
        print_fault(t, e, f);
    }
    if (n > SHOWN)
        fprintf(t->out, "  (all %zu in faults.csv)\n", n);
}

/* What a simulation has nothing to say about. */
static void print_real(const struct table *t, const struct results *r)
{
    const struct results_real *real = &r->real;
    char a[CELL], b[CELL], n[CELL + 8];

    if (*real->device == '\0')
        return;
    section(t, "real world", "");
    if (real->verified_b > 0)
        fprintf(t->out, "  loaded and compared with what was computed: %s, no difference\n",
                bytes_cell(a, real->verified_b));
    fprintf(t->out, "  operations: %s ok", count_cell(n, real->operations[KVT_OK]));
    for (unsigned status = KVT_OK + 1; status < KVT_STATUSES; status++)
        if (real->operations[status] > 0)
            fprintf(t->out, ", %s %s", count_cell(n, real->operations[status]),
                    kvt_status_name((enum kvt_status)status));
    fprintf(t->out, "; %s corrupt values\n", count_cell(n, real->corrupt_pieces));
    fprintf(t->out, "  steps whose pages were filled late: %s of",
            percent_cell(b, ratio_of((double)real->late_steps, (double)real->steps)));
    fprintf(t->out, " %s, at most %s\n", count_cell(n, real->steps),
            time_cell(a, (double)real->late_ns_most / 1e6));
}

/* Of sharded engines only. */
static void print_shards(const struct table *t, const struct results *r)
{
    const struct shards *s = &r->shards;
    char a[CELL + 8], b[CELL + 8], c[CELL + 8];

    if (s->policy == NULL)
        return;
    section(t, "shards", "   GPU / mean of all: held     stored       read");
    fprintf(t->out, "  %s, %s, %u cop%s", s->policy, s->access, s->replicas,
            s->replicas == 1 ? "y" : "ies");
    const double balance[] = {s->held_balance, s->stored_balance, s->read_balance};
    const int used = (int)(strlen(s->policy) + strlen(s->access)) + (s->replicas == 1 ? 10 : 12);
    fprintf(t->out, "%*s", used < 38 ? 38 - used : 1, "");
    for (int i = 0; i < 3; i++)
        fprintf(t->out, "%11s", times_cell(a, balance[i], 1));
    fputc('\n', t->out);
    for (uint32_t i = 0; i < s->n_loss; i++)
        fprintf(t->out, "  any %u of %u GPUs dead: %s of cached blocks lost, at worst %s\n",
                s->loss[i].dead, s->living, percent_cell(a, s->loss[i].mean_ratio),
                percent_cell(b, s->loss[i].worst_ratio));
    if (s->lost_blocks > 0)
        fprintf(t->out, "  lost in this run: %llu blocks\n", (unsigned long long)s->lost_blocks);
    if (s->stats.recopy.copied_blocks + s->stats.recopy.left > 0)
        fprintf(t->out, "  copies made anew: of %llu blocks, %.2f GB in %.3f s%s\n",
                (unsigned long long)s->stats.recopy.copied_blocks,
                (double)s->stats.recopy.copied_b / 1e9, (double)s->stats.recopy.took_ns / 1e9,
                s->stats.recopy.left ? "; not finished" : "");
    if (!s->alone)
        return;
    fprintf(t->out,
            "  GPUs evict alone: %s shards left, %s blocks then lacked one, %s of them made whole "
            "again\n",
            count_cell(a, s->evicted_shards), count_cell(b, s->unusable_blocks),
            count_cell(c, s->again_blocks));
    fprintf(t->out, "  of no use without them: %s on average, %s of the GPUs' room\n",
            bytes_cell(a, (uint64_t)s->orphan_mean_b), percent_cell(b, s->orphan_mean_ratio));
}

/* The busiest rows, most busy first; equal ones keep their order. */
static void print_busy(const struct table *t, const struct results *r)
{
    bool done[4096] = {false};
    size_t n_busy = r->n_busy < 4096 ? r->n_busy : 4096;
    char a[CELL], b[CELL], c[CELL], n[CELL + 8];

    section(t, "busiest", "         busy       wait            jobs     bytes");
    for (unsigned shown = 0; shown < BUSY_ROWS; shown++) {
        size_t best = n_busy;
        for (size_t i = 0; i < n_busy; i++) {
            if (!done[i] && r->busy[i].busy_ratio > 0 &&
                (best == n_busy || r->busy[i].busy_ratio > r->busy[best].busy_ratio))
                best = i;
        }
        if (best == n_busy)
            break;
        done[best] = true;
        const struct results_busy *row = &r->busy[best];
        fprintf(t->out, "  %-20s%9s%11s%16s%10s\n", row->name, percent_cell(a, row->busy_ratio),
                time_cell(b, row->wait_mean_ns / 1e6), count_cell(n, row->jobs),
                bytes_cell(c, row->bytes));
    }
    if (r->n_busy > BUSY_ROWS)
        fprintf(t->out, "  (all %zu in utilization.csv)\n", r->n_busy);
}

void results_print(FILE *out, const struct results *r, const struct results *baseline, bool colour)
{
    const struct table t = {out, colour};

    print_head(&t, r);
    print_traffic(&t, r, baseline);
    print_latency(&t, r, baseline);
    print_ledger(&t, r);
    print_tiers(&t, r);
    print_memory(&t, r);
    print_matching(&t, r);
    print_shards(&t, r);
    print_faults(&t, r);
    rollout_print(out, r, colour);
    regions_print(out, r, colour);
    resize_print(out, r, colour);
    print_real(&t, r);
    print_busy(&t, r);
    cost_print(out, r, colour);
    if (r->options.dir != NULL) {
        section(&t, "files", "");
        size_t n = 0;
        fprintf(out, "  %s/:", r->options.dir);
        for (; results_files[n] != NULL; n++)
            if (n < FILES_NAMED)
                fprintf(out, " %s", results_files[n]);
        fprintf(out, " and %zu more\n  pictures: kvtwin plot %s\n", n - FILES_NAMED,
                r->options.dir);
    }
}
