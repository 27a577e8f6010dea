/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * validate_print.c - a validation as tables for people.
 *
 * First the times, row by row: real beside simulated, how far off, and a verdict. Then
 * decisions: hit rate, counters that differ, keys, and the causes of every request that was
 * accounted otherwise. Counters that agree are in one sentence. Exact numbers are in the files.
 */
#include "validate.h"

#include <math.h>
#include <string.h>

#include "units.h"

enum { CELL = 24, DIVERGENCES_SHOWN = 8 };

struct table {
    FILE *out;
    bool colour;
};

static void section(const struct table *t, const char *name)
{
    fprintf(t->out, "\n%s%s%s\n", t->colour ? "\033[1m" : "", name, t->colour ? "\033[0m" : "");
}

static const char *time_cell(char text[CELL], double ns)
{
    return isfinite(ns) ? units_show_ns(text, CELL, ns) : "-";
}

static const char *error_cell(char text[CELL], double error)
{
    if (isnan(error))
        return "-";
    if (error > 9.995)
        return ">10x";
    snprintf(text, CELL, "%+.1f %%", 100 * error);
    return text;
}

static const char *share_cell(char text[CELL], double share)
{
    if (isnan(share))
        return "-";
    snprintf(text, CELL, share < 0.0005 ? "<0.001" : "%.3f", share);
    return text;
}

static void print_row(const struct table *t, const struct validate_row *row)
{
    char a[CELL], b[CELL], c[CELL];
    const char *paint = !t->colour                        ? ""
                        : row->verdict == VALIDATE_BEYOND ? "\033[31m"
                        : row->verdict == VALIDATE_WITHIN ? "\033[32m"
                                                          : "";
    fprintf(t->out, "%-19s %6zu %6zu", row->name, row->real.n, row->sim.n);
    fprintf(t->out, "  %8s %8s %8s", time_cell(a, row->real.p50), time_cell(b, row->sim.p50),
            error_cell(c, row->p50_error));
    fprintf(t->out, "  %8s %8s %8s", time_cell(a, row->real.p95), time_cell(b, row->sim.p95),
            error_cell(c, row->p95_error));
    fprintf(t->out, " %8s", error_cell(c, row->mean_error));
    fprintf(t->out, "  %6s %6s", share_cell(a, row->ks), share_cell(b, row->ks_significance));
    fprintf(t->out, " %8s  %s%s%s\n", error_cell(c, row->pair_p50_error), paint,
            validate_verdict_name(row->verdict), *paint ? "\033[0m" : "");
}

static void print_times(const struct table *t, const struct validation *v)
{
    section(t, "Times");
    fprintf(t->out, "%-19s %13s  %26s  %26s %8s  %13s %8s\n", "", "samples", "p50", "p95", "mean",
            "distributions", "pairs");
    fprintf(t->out, "%-19s %6s %6s  %8s %8s %8s  %8s %8s %8s %8s  %6s %6s %8s\n", "", "real", "sim",
            "real", "sim", "error", "real", "sim", "error", "error", "KS", "p", "error");
    for (size_t i = 0; i < v->n_rows; i++)
        print_row(t, &v->rows[i]);
}

/* How far the machine itself is from one round to the next, which no simulation can be blamed for. */
static void print_spread(const struct table *t, const struct validation *v)
{
    char a[CELL], b[CELL], c[CELL], d[CELL];
    section(t, "Real world, least to largest of its rounds");
    for (size_t i = 0; i < v->n_rows; i++) {
        const struct validate_row *row = &v->rows[i];
        fprintf(t->out, "%-19s p50 %8s to %8s, p95 %8s to %8s\n", row->name,
                time_cell(a, row->p50_low_ns), time_cell(b, row->p50_high_ns),
                time_cell(c, row->p95_low_ns), time_cell(d, row->p95_high_ns));
    }
}

static void print_counts(const struct table *t, const struct validation *v)
{
    size_t same = 0;
    char real[CELL], sim[CELL];
    for (size_t i = 0; i < v->n_counts; i++)
        same += v->counts[i].real == v->counts[i].sim;
    fprintf(t->out, "%-24s %zu of %zu agree exactly%s\n", "counters", same, v->n_counts,
            same < v->n_counts ? "; those that do not:" : "");
    for (size_t i = 0; i < v->n_counts; i++) {
        const struct validate_count *c = &v->counts[i];
        if (c->real == c->sim)
            continue;
        fprintf(t->out, "  %-22s %12s real %12s sim   %s\n", c->name,
                units_show_count(real, sizeof real, c->real),
                units_show_count(sim, sizeof sim, c->sim), *c->cause ? c->cause : "unexplained");
    }
}

static void print_keys(const struct table *t, const struct validation *v)
{
    for (unsigned tier = 0; tier < KVT_TIERS; tier++) {
        const struct validate_keys *k = &v->keys[tier];
        char name[CELL];
        if (!k->present)
            continue;
        snprintf(name, sizeof name, "keys in %s", kvt_tier_name((enum kvt_tier_kind)tier));
        fprintf(t->out,
                "%-24s stored %llu real, %llu sim, %llu in both; left at the end %llu real, %llu "
                "sim, %llu in both\n",
                name, (unsigned long long)k->stored_real, (unsigned long long)k->stored_sim,
                (unsigned long long)k->stored_both, (unsigned long long)k->held_real,
                (unsigned long long)k->held_sim, (unsigned long long)k->held_both);
    }
}

static void print_divergences(const struct table *t, const struct validation *v)
{
    fprintf(t->out, "%-24s %zu of %llu accounted otherwise%s\n", "requests", v->n_divergences,
            (unsigned long long)v->requests, v->n_divergences ? ":" : "");
    for (unsigned c = 0; c < CAUSES; c++) {
        enum validate_cause cause = (enum validate_cause)c;
        if (v->causes[c] > 0)
            fprintf(t->out, "  %-11s %10llu   %s\n", validate_cause_name(cause),
                    (unsigned long long)v->causes[c], validate_cause_text(cause));
    }
    for (size_t i = 0; i < v->n_divergences && i < DIVERGENCES_SHOWN; i++) {
        const struct validate_divergence *d = &v->divergences[i];
        fprintf(t->out,
                "  request %-8llu %6u tokens: %s in the real world, %s in the simulation (%s)\n",
                (unsigned long long)d->id, d->tokens, kvt_ledger_name(d->real),
                kvt_ledger_name(d->sim), validate_cause_name(d->cause));
    }
    if (v->n_divergences > DIVERGENCES_SHOWN)
        fprintf(t->out, "  and %zu more, in validate-divergences.csv\n",
                v->n_divergences - DIVERGENCES_SHOWN);
}

static void print_decisions(const struct table *t, const struct validation *v)
{
    section(t, "Decisions");
    if (v->rounds > 1)
        fprintf(t->out, "%-24s in %zu of %zu nothing was decided otherwise; below is the worst\n",
                "rounds", v->rounds_same, v->rounds);
    fprintf(t->out, "%-24s %.4f real, %.4f sim\n", "prefix hit rate", v->hit_rate_real,
            v->hit_rate_sim);
    fprintf(t->out, "%-24s %s\n", "order of operations",
            v->same_decisions ? "the same, to the last one" : "differs, as times do");
    print_counts(t, v);
    print_keys(t, v);
    print_divergences(t, v);
}

/* Steps that are late are not the simulator's fault: this machine could not fill pages as fast
 * as the GPU that is modelled would compute them. */
static void print_real(FILE *out, const struct results_real *real)
{
    char text[CELL];
    fprintf(out, "Real world: %s.\n", real->device);
    if (real->late_steps > 0)
        fprintf(out,
                "%llu of %llu steps ended late, by up to %s: this machine fills pages slower than "
                "that GPU computes.\n",
                (unsigned long long)real->late_steps, (unsigned long long)real->steps,
                units_show_ns(text, sizeof text, (double)real->late_ns_most));
}

void validate_print(FILE *out, const struct validation *v, const struct validate_title *title,
                    bool colour)
{
    const struct table t = {out, colour};
    const struct validate_tolerance *allowed = &v->tolerance;
    char floor[CELL];
    fprintf(out,
            "%s: real world beside simulation, %llu requests, %s on %s (GPU time is modelled)\n",
            title->scenario_name, (unsigned long long)v->requests, title->model, title->gpu);
    if (title->profile)
        fprintf(out,
                "Constants: %s, which calibrate fitted on transfers of its own; the times below "
                "are the "
                "scenario's.\n",
                title->profile);
    else
        fputs("Constants: the catalogue's; kvtwin calibrate fits them to this machine.\n", out);
    print_real(out, title->real);
    if (v->rounds > 1)
        fprintf(out,
                "Times of the real world are medians of %zu rounds; samples are those of all.\n",
                v->rounds);
    print_times(&t, v);
    if (v->rounds > 1)
        print_spread(&t, v);
    print_decisions(&t, v);
    section(&t, "Verdict");
    fprintf(
        out,
        "%s: %zu of %zu judged rows are within %.3g %% at p50 and %.3g %% at p95 (or off by less "
        "than %s)\n",
        v->within ? "within" : "beyond", v->judged - v->beyond, v->judged, 100 * allowed->p50,
        100 * allowed->p95, units_show_ns(floor, sizeof floor, allowed->floor_ns));
    if (v->causes[CAUSE_NONE] > 0)
        fprintf(out, "%llu divergences are unexplained\n",
                (unsigned long long)v->causes[CAUSE_NONE]);
    if (fabs(v->hit_rate_real - v->hit_rate_sim) > allowed->hit_points)
        fprintf(out, "prefix hit rates are more than %.3g points apart\n",
                100 * allowed->hit_points);
}
