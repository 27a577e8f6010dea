/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * compare_print.c - a comparison as tables for people; see compare.h.
 *
 * First what every variant came to, then how far it is from its reference and whether that is more than
 * noise. A variant that failed or was not run keeps its row and says so.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

enum { GAP = 2, LABEL_MOST = 40 };

static void bold(FILE *out, const char *text, bool colour)
{
    fprintf(out, "%s%s%s\n", colour ? "\033[1m" : "", text, colour ? "\033[0m" : "");
}

void compare_default_metrics(struct comparison *c)
{
    static const char *const of_sim[] = {"ttft_p50_ms", "ttft_p95_ms", "tpot_p50_ms",
                                         "output_tokens_per_s", "cost_usd_per_hour"};
    struct figures *f = &c->metrics;
    bool null_world = c->lab->session.scenario.world == WORLD_NULL;
    const char *const stems[] = {"hit_tokens_", "evicted_blocks_"};
    f->n = 0;
    snprintf(f->name[f->n++], FIGURE_NAME, "prefix_hit_rate");
    for (size_t stem = 0; stem < 2; stem++) {
        for (int tier = 0; tier < KVT_TIERS; tier++) {
            bool some = false;
            char *name = f->name[f->n];
            snprintf(name, FIGURE_NAME, "%s%s", stems[stem],
                     kvt_tier_name((enum kvt_tier_kind)tier));
            for (size_t i = 0; i < c->n; i++)
                some = some || (c->rows[i].summary && figure_value(c->rows[i].summary, name) > 0);
            f->n += some;
        }
        for (size_t k = 0; stem == 0 && !null_world && k < sizeof of_sim / sizeof *of_sim; k++) {
            for (size_t i = 0; i < c->n; i++) {
                if (!c->rows[i].summary || isnan(figure_value(c->rows[i].summary, of_sim[k])))
                    continue;
                snprintf(f->name[f->n++], FIGURE_NAME, "%s", of_sim[k]);
                break;
            }
        }
    }
}

/* ---- The table of values ----------------------------------------------------------------------------- */

/* Width of a column: its head, and every cell. */
static int key_width(const struct vary *v, size_t key)
{
    size_t width = strlen(vary_short(v, key));
    for (size_t i = 0; i < v->keys[key].n; i++) {
        size_t len = strlen(v->keys[key].values[i].text);
        width = len > width ? len : width;
    }
    return (int)(width > LABEL_MOST ? LABEL_MOST : width);
}

static int metric_width(const struct comparison *c, size_t metric)
{
    char text[FIGURE_CELL];
    const char *name = c->metrics.name[metric];
    size_t width = strlen(figure_short(text, name));
    for (size_t i = 0; i < c->n; i++) {
        if (!c->rows[i].summary)
            continue;
        size_t len = strlen(figure_cell(text, name, figure_value(c->rows[i].summary, name)));
        width = len > width ? len : width;
    }
    return (int)width;
}

static void print_keys(FILE *out, const struct vary *v, const int *widths, size_t point)
{
    for (size_t k = 0; k < v->n_keys; k++)
        fprintf(out, "  %-*.*s", widths[k], widths[k],
                point == SIZE_MAX ? vary_short(v, k)
                                  : v->keys[k].values[vary_digit(v, point, k)].text);
}

static void print_values(FILE *out, const struct comparison *c, bool colour)
{
    const struct vary *v = &c->lab->arguments->vary;
    int keys[VARY_KEYS_MOST], *widths = calloc(c->metrics.n + 1, sizeof *widths);
    char text[FIGURE_CELL];
    if (!widths)
        return;
    for (size_t k = 0; k < v->n_keys; k++)
        keys[k] = key_width(v, k);
    fputs(colour ? "\033[1m    " : "    ", out);
    print_keys(out, v, keys, SIZE_MAX);
    for (size_t m = 0; m < c->metrics.n; m++) {
        widths[m] = metric_width(c, m);
        fprintf(out, "  %*s", widths[m], figure_short(text, c->metrics.name[m]));
    }
    fputs(colour ? "\033[0m\n" : "\n", out);
    for (size_t i = 0; i < c->n; i++) {
        const struct compare_row *row = &c->rows[i];
        fprintf(out, "%3zu%c", i + 1, row->reference == i ? '*' : ' ');
        print_keys(out, v, keys, i);
        if (!row->summary)
            fprintf(out, "  %s", row->error ? row->error : "not run");
        for (size_t m = 0; row->summary && m < c->metrics.n; m++) {
            const char *name = c->metrics.name[m];
            fprintf(out, "  %*s", widths[m],
                    figure_cell(text, name, figure_value(row->summary, name)));
        }
        fputc('\n', out);
    }
    free(widths);
}

/* ---- Differences ------------------------------------------------------------------------------------- */

static bool is_shown(const struct comparison *c, size_t paired)
{
    return figures_find(&c->metrics, compare_paired_names[paired]) >= 0;
}

static bool is_compared(const struct comparison *c, size_t i)
{
    const struct compare_row *row = &c->rows[i];
    return row->summary && row->reference != i && c->rows[row->reference].summary;
}

static void print_difference(FILE *out, const struct comparison *c, size_t i, size_t paired,
                             int width)
{
    const struct compare_row *row = &c->rows[i];
    const struct interval *d = &row->pairs.difference[paired];
    const char *name = compare_paired_names[paired];
    char label[512], change[FIGURE_CELL], low[FIGURE_CELL], high[FIGURE_CELL], percent[32] = "";
    double before = figure_value(c->rows[row->reference].summary, name);
    vary_describe(&c->lab->arguments->vary, i, label, sizeof label);
    fprintf(out, "    %-*s", width, label);
    if (isnan(d->value)) {
        fprintf(out, "  %s\n", row->pairs.other_traffic ? "other requests: not compared" : "-");
        return;
    }
    if (paired != PAIRED_HIT_RATE && before > 0)
        snprintf(percent, sizeof percent, "%+.1f %%", 100 * d->value / before);
    fprintf(out, "  %10s  %9s  %10s .. %-10s  %s\n", figure_change(change, name, d->value), percent,
            figure_change(low, name, d->low), figure_change(high, name, d->high),
            compare_verdict_names[row->pairs.verdict[paired]]);
}

static int label_width(const struct comparison *c)
{
    char label[512];
    size_t width = 20;
    for (size_t i = 0; i < c->n; i++) {
        size_t len = strlen(vary_describe(&c->lab->arguments->vary, i, label, sizeof label));
        width = len > width ? len : width;
    }
    return (int)width;
}

static void print_differences(FILE *out, const struct comparison *c, bool colour)
{
    size_t compared = 0, pairs = 0, alone = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (!is_compared(c, i))
            continue;
        compared++;
        pairs = c->rows[i].pairs.n > pairs ? c->rows[i].pairs.n : pairs;
        alone = c->rows[i].pairs.alone > alone ? c->rows[i].pairs.alone : alone;
    }
    if (compared == 0)
        return;
    int width = label_width(c);
    fprintf(out, "%s%-*s  %10s  %9s  %-24s  %s%s\n", colour ? "\033[1m" : "", width + 5,
            "\ndifference to *", "", "", "     95 % interval", "verdict", colour ? "\033[0m" : "");
    for (size_t k = 0; k < PAIRED; k++) {
        if (!is_shown(c, k))
            continue;
        fprintf(out, "  %s\n", compare_paired_names[k]);
        for (size_t i = 0; i < c->n; i++)
            if (is_compared(c, i))
                print_difference(out, c, i, k, width);
    }
    fprintf(out, "  paired over %zu requests, in %d batches; one verdict in twenty is chance\n",
            pairs, INTERVAL_BATCHES);
    if (alone > 0)
        fprintf(out, "  up to %zu requests finished in one of two runs only, and are left out\n",
                alone);
}

void compare_print(FILE *out, const struct comparison *c, bool colour)
{
    char title[512];
    bold(out, lab_describe(c->lab, title, sizeof title), colour);
    if (*c->lab->session.scenario.question)
        fprintf(out, "%s\n", c->lab->session.scenario.question);
    fputc('\n', out);
    print_values(out, c, colour);
    print_differences(out, c, colour);
    if (c->missing > 0) {
        char label[512];
        fputs("\nstopped; not run:", out);
        for (size_t i = 0; i < c->n; i++)
            if (!c->rows[i].summary && !c->rows[i].error)
                fprintf(out, " (%s)",
                        vary_describe(&c->lab->arguments->vary, i, label, sizeof label));
        fputc('\n', out);
    }
}
