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
#include "grid_table.h"

static void bold(FILE *out, const char *text, bool colour)
{
    fprintf(out, "%s%s%s\n", colour ? "\033[1m" : "", text, colour ? "\033[0m" : "");
}

static void get(void *self, size_t point, const char *metric, double value[3])
{
    const struct compare_row *row = &((struct comparison *)self)->rows[point];
    value[0] = row->summary ? figure_value(row->summary, metric) : (double)NAN;
    value[1] = value[2] = (double)NAN;
}

static const char *state(void *self, size_t point)
{
    const struct compare_row *row = &((struct comparison *)self)->rows[point];
    return row->summary ? NULL : row->error ? row->error : "not run";
}

static bool mark(void *self, size_t point)
{
    return ((struct comparison *)self)->rows[point].reference == point;
}

void compare_default_metrics(struct comparison *c)
{
    grid_default_metrics(&c->metrics, &c->lab->arguments->vary,
                         c->lab->session.scenario.world == WORLD_NULL, get, c);
}

static void print_values(FILE *out, const struct comparison *c, bool colour)
{
    union {
        const struct comparison *read_only;
        void *as_tables_want;
    } self = {c};
    const struct grid_table table = {.vary = &c->lab->arguments->vary,
                                     .metrics = &c->metrics,
                                     .get = get,
                                     .state = state,
                                     .mark = mark,
                                     .self = self.as_tables_want,
                                     .colour = colour};
    grid_table_print(out, &table);
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
