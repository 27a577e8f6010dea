/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * grid_table.c - see grid_table.h. Columns are as wide as what stands in them.
 */
#include "grid_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../core/types.h"

enum { LABEL_MOST = 40, CELL = 2 * FIGURE_CELL + 8 };

/* Does any point have a value above zero (or, with `any`, a value at all)? */
static bool some(const struct vary *v, const char *name, bool any,
                 void (*get)(void *, size_t, const char *, double[3]), void *self)
{
    for (size_t p = 0; p < v->points; p++) {
        double value[3];
        get(self, p, name, value);
        if (any ? isfinite(value[0]) : value[0] > 0)
            return true;
    }
    return false;
}

void grid_default_metrics(struct figures *f, const struct vary *vary, bool null_world,
                          void (*get)(void *self, size_t point, const char *metric,
                                      double value[3]),
                          void *self)
{
    static const char *const of_time[] = {"ttft_p50_ms",       "ttft_p95_ms",
                                          "tpot_p50_ms",       "output_tokens_per_s",
                                          "cost_usd_per_hour", "inter_region_bytes"};
    /* Of what not every scenario has. Without time, latencies mean nothing. */
    static const char *const of_changes[] = {
        "fault_requests_affected",    "fault_blocks_lost",          "fault_recovered_most_s",
        "rollout_window_hit_rate",    "rollout_window_ttft_p95_ms", "rollout_recovery_s",
        "rollout_extra_prefill_gpu_s"};
    static const char *const stems[] = {"hit_tokens_", "evicted_blocks_"};
    f->n = 0;
    snprintf(f->name[f->n++], FIGURE_NAME, "prefix_hit_rate");
    for (size_t stem = 0; stem < 2; stem++) {
        for (int tier = 0; tier < KVT_TIERS; tier++) {
            char *name = f->name[f->n];
            snprintf(name, FIGURE_NAME, "%s%s", stems[stem],
                     kvt_tier_name((enum kvt_tier_kind)tier));
            f->n += some(vary, name, false, get, self);
        }
        for (size_t k = 0; stem == 0 && !null_world && k < sizeof of_time / sizeof *of_time; k++)
            if (some(vary, of_time[k], true, get, self))
                snprintf(f->name[f->n++], FIGURE_NAME, "%s", of_time[k]);
    }
    for (size_t k = 0; k < sizeof of_changes / sizeof *of_changes; k++)
        if (!(null_world && strstr(of_changes[k], "_ms")) &&
            some(vary, of_changes[k], true, get, self))
            snprintf(f->name[f->n++], FIGURE_NAME, "%s", of_changes[k]);
}

static int key_width(const struct vary *v, size_t key)
{
    size_t width = strlen(vary_short(v, key));
    for (size_t i = 0; i < v->keys[key].n; i++) {
        size_t len = strlen(v->keys[key].values[i].text);
        width = len > width ? len : width;
    }
    return (int)(width > LABEL_MOST ? LABEL_MOST : width);
}

/* A value, with what it may be off by. */
static const char *cell(const struct grid_table *t, size_t point, const char *name, char text[CELL])
{
    double value[3];
    char number[FIGURE_CELL], half[FIGURE_CELL];
    t->get(t->self, point, name, value);
    figure_cell(number, name, value[0]);
    if (t->bounds && isfinite(value[0]) && isfinite(value[2]))
        snprintf(text, CELL, "%s ±%s", number, figure_cell(half, name, value[2] - value[0]));
    else
        snprintf(text, CELL, "%s", number);
    return text;
}

/* Columns on a terminal: the sign of plus or minus has two bytes. */
static int length(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static void print_right(FILE *out, const char *text, int width)
{
    fprintf(out, "  %*s%s", width - length(text), "", text);
}

static void print_keys(FILE *out, const struct vary *v, const int *widths, size_t point)
{
    for (size_t k = 0; k < v->n_keys; k++)
        fprintf(out, "  %-*.*s", widths[k], widths[k],
                point == SIZE_MAX ? vary_short(v, k)
                                  : v->keys[k].values[vary_digit(v, point, k)].text);
}

static void print_row(FILE *out, const struct grid_table *t, size_t p, const int *keys,
                      const int *widths)
{
    char text[CELL];
    fprintf(out, "%3zu%c", p + 1, t->mark && t->mark(t->self, p) ? '*' : ' ');
    print_keys(out, t->vary, keys, p);
    const char *state = t->state ? t->state(t->self, p) : NULL;
    if (state)
        fprintf(out, "  %s", state);
    for (size_t m = 0; !state && m < t->metrics->n; m++)
        print_right(out, cell(t, p, t->metrics->name[m], text), widths[m]);
    fputc('\n', out);
}

void grid_table_print(FILE *out, const struct grid_table *t)
{
    const struct vary *v = t->vary;
    int keys[VARY_KEYS_MOST], *widths = calloc(t->metrics->n + 1, sizeof *widths);
    char text[CELL];
    if (!widths)
        return;
    for (size_t k = 0; k < v->n_keys; k++)
        keys[k] = key_width(v, k);
    for (size_t m = 0; m < t->metrics->n; m++) {
        widths[m] = length(figure_short(text, t->metrics->name[m]));
        for (size_t p = 0; p < v->points; p++) {
            int len = length(cell(t, p, t->metrics->name[m], text));
            widths[m] = len > widths[m] ? len : widths[m];
        }
    }
    fputs(t->colour ? "\033[1m    " : "    ", out);
    print_keys(out, v, keys, SIZE_MAX);
    for (size_t m = 0; m < t->metrics->n; m++)
        print_right(out, figure_short(text, t->metrics->name[m]), widths[m]);
    fputs(t->colour ? "\033[0m\n" : "\n", out);
    size_t most = t->rows_most ? t->rows_most : v->points;
    for (size_t p = 0; p < v->points; p++) {
        if (v->points > most && p == most / 2) {
            fprintf(out, "     ... %zu more\n", v->points - most);
            p = v->points - (most - most / 2);
        }
        print_row(out, t, p, keys, widths);
    }
    free(widths);
}
