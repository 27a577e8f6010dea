/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * compare_write.c - what a comparison leaves in its folder; see compare.h.
 *
 *      compare.csv       a line per variant: the varied keys, then every figure of its summary
 *      differences.csv   a line per variant and paired figure: difference, interval, verdict
 *      curves.csv        what the pictures are drawn from
 *      summary.json      how it was made, and the same numbers for machines
 *
 * and what lab_write.c adds.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "curves.h"
#include "out.h"
#include "version.h"

const char *const compare_files[] = {"compare.csv", "differences.csv", "curves.csv", "summary.json",
                                     NULL};

static const char *state_of(const struct compare_row *row)
{
    return row->summary ? "done" : row->error ? "failed" : "missing";
}

/* A number of a summary as JSON has it, so that both files say the same. */
static void out_figure(struct out *o, const json_t *value)
{
    char text[64] = "";
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof text, "%.15g", json_real_value(value));
    out_char(o, ',');
    out_text(o, text);
}

static void out_keys(struct out *o, const struct vary *v, size_t point)
{
    for (size_t k = 0; k < v->n_keys; k++) {
        out_char(o, ',');
        out_field(o, point == SIZE_MAX ? v->keys[k].path
                                       : v->keys[k].values[vary_digit(v, point, k)].text);
    }
}

static void write_rows(struct out *o, const struct comparison *c)
{
    const struct vary *v = &c->lab->arguments->vary;
    struct figures *f = calloc(1, sizeof *f);
    if (!f) {
        o->error = o->error ? o->error : -ENOMEM;
        return;
    }
    for (size_t i = 0; i < c->n; i++)
        if (c->rows[i].summary)
            figures_add(f, c->rows[i].summary);
    out_text(o, "variant,state");
    out_keys(o, v, SIZE_MAX);
    for (size_t m = 0; m < f->n; m++) {
        out_char(o, ',');
        out_text(o, f->name[m]);
    }
    out_char(o, '\n');
    for (size_t i = 0; i < c->n; i++) {
        out_u64(o, i + 1);
        out_char(o, ',');
        out_text(o, state_of(&c->rows[i]));
        out_keys(o, v, i);
        for (size_t m = 0; m < f->n; m++)
            out_figure(o, json_object_get(c->rows[i].summary, f->name[m]));
        out_char(o, '\n');
    }
    free(f);
}

static bool is_compared(const struct comparison *c, size_t i)
{
    const struct compare_row *row = &c->rows[i];
    return row->summary && row->reference != i && c->rows[row->reference].summary &&
           !row->pairs.other_traffic;
}

static void write_differences(struct out *o, const struct comparison *c)
{
    const struct vary *v = &c->lab->arguments->vary;
    out_text(o, "metric,variant,reference");
    out_keys(o, v, SIZE_MAX);
    out_text(o, ",difference,low_95,high_95,verdict,requests,requests_alone\n");
    for (size_t k = 0; k < PAIRED; k++) {
        for (size_t i = 0; i < c->n; i++) {
            const struct compare_pairs *p = &c->rows[i].pairs;
            if (!is_compared(c, i) || isnan(p->difference[k].value))
                continue;
            out_text(o, compare_paired_names[k]);
            out_char(o, ',');
            out_u64(o, i + 1);
            out_char(o, ',');
            out_u64(o, c->rows[i].reference + 1);
            out_keys(o, v, i);
            out_next(o, p->difference[k].value, 9);
            out_next(o, p->difference[k].low, 9);
            out_next(o, p->difference[k].high, 9);
            out_char(o, ',');
            out_text(o, compare_verdict_names[p->verdict[k]]);
            out_char(o, ',');
            out_u64(o, p->n);
            out_char(o, ',');
            out_u64(o, p->alone);
            out_char(o, '\n');
        }
    }
}

/* ---- summary.json ------------------------------------------------------------------------------------ */

static json_t *number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *differences_of(const struct comparison *c, size_t i)
{
    const struct compare_row *row = &c->rows[i];
    json_t *all = json_object();
    for (size_t k = 0; k < PAIRED && is_compared(c, i); k++) {
        const struct interval *d = &row->pairs.difference[k];
        if (isnan(d->value))
            continue;
        json_object_set_new(all, compare_paired_names[k],
                            json_pack("{s:o, s:o, s:o, s:s}", "difference",
                                      number_or_null(d->value), "low_95", number_or_null(d->low),
                                      "high_95", number_or_null(d->high), "verdict",
                                      compare_verdict_names[row->pairs.verdict[k]]));
    }
    return all;
}

static json_t *row_json(const struct comparison *c, size_t i)
{
    const struct compare_row *row = &c->rows[i];
    const struct vary *v = &c->lab->arguments->vary;
    json_t *object = json_object(), *values = json_object();
    for (size_t k = 0; k < v->n_keys; k++)
        json_object_set_new(values, v->keys[k].path,
                            json_string(v->keys[k].values[vary_digit(v, i, k)].text));
    json_object_set_new(object, "variant", json_integer((json_int_t)i + 1));
    json_object_set_new(object, "state", json_string(state_of(row)));
    json_object_set_new(object, "values", values);
    json_object_set_new(object, "scenario_sha256", json_string(c->lab->entries[i].sha256));
    if (row->error)
        json_object_set_new(object, "error", json_string(row->error));
    if (!row->summary)
        return object;
    json_object_set_new(object, "reference", json_integer((json_int_t)row->reference + 1));
    json_object_set_new(object, "paired_requests", json_integer((json_int_t)row->pairs.n));
    json_object_set_new(object, "differences", differences_of(c, i));
    json_object_set(object, "summary", row->summary);
    return object;
}

char *compare_json(const struct comparison *c)
{
    const struct lab *lab = c->lab;
    json_t *rows = json_array();
    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(rows, row_json(c, i));
    json_t *all = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:I, s:s, s:o}", "comparison", lab->name,
        "scenario", lab->arguments->session.scenario, "question", lab->session.scenario.question,
        "world", session_world(&lab->session), "revision", kvtwin_revision(), "seed",
        (json_int_t)lab->seed, "command", lab->arguments->command, "interrupted", c->stopped,
        "batches", (json_int_t)INTERVAL_BATCHES, "definition_difference",
        "variant - reference over the requests that both finished; 95 % intervals by batch means, "
        "of quantiles by resampling the batches",
        "variants", rows);
    return lab_json(all);
}

/* ---- All of it --------------------------------------------------------------------------------------- */

/* The bounds drawn around a value are those of its difference to the reference. */
static void get(void *self, size_t point, const char *metric, double value[3])
{
    const struct comparison *c = self;
    const struct compare_row *row = &c->rows[point];
    value[0] = row->summary ? figure_value(row->summary, metric) : NAN;
    value[1] = value[2] = NAN;
    for (size_t k = 0; k < PAIRED && is_compared(c, point); k++) {
        if (strcmp(metric, compare_paired_names[k]) != 0)
            continue;
        const struct interval *d = &row->pairs.difference[k];
        value[1] = value[0] + d->low - d->value;
        value[2] = value[0] + d->high - d->value;
    }
}

/* The one row that all others are compared with, or none. */
static size_t only_reference(const struct comparison *c)
{
    for (size_t i = 1; i < c->n; i++)
        if (c->rows[i].reference != c->rows[0].reference)
            return SIZE_MAX;
    return c->rows[0].reference;
}

static struct curves curves_of(const struct comparison *c, const char *subtitle)
{
    union {
        const struct comparison *read_only;
        void *as_curves_want;
    } self = {c};
    return (struct curves){.vary = &c->lab->arguments->vary,
                           .metrics = &c->metrics,
                           .get = get,
                           .self = self.as_curves_want,
                           .subtitle = subtitle,
                           .jobs = c->lab->arguments->jobs,
                           .band = "95 % interval of the difference to the reference",
                           .reference = only_reference(c)};
}

static void write_curves(struct out *o, const struct comparison *c)
{
    const struct curves curves = curves_of(c, "");
    curves_write(o, &curves);
}

static void write_summary(struct out *o, const struct comparison *c)
{
    char *text = compare_json(c);
    if (text)
        out_text(o, text);
    else
        o->error = o->error ? o->error : -ENOMEM;
    free(text);
}

int compare_write(int dirfd, const struct comparison *c)
{
    static void (*const writers[])(struct out *,
                                   const struct comparison *) = {write_rows, write_differences,
                                                                 write_curves, write_summary};
    struct out *o = malloc(sizeof *o);
    int rc = o ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && compare_files[i]; i++) {
        rc = out_open(o, dirfd, compare_files[i]);
        if (rc == 0)
            writers[i](o, c);
        int closed = out_close(o);
        rc = rc ? rc : closed;
    }
    free(o);
    return rc ? rc : lab_write_setting(c->lab, dirfd);
}

int compare_draw(const struct comparison *c, const char *dir, char *why, size_t size)
{
    char subtitle[512];
    const struct curves curves = curves_of(c, lab_describe(c->lab, subtitle, sizeof subtitle));
    return curves_draw(&curves, dir, why, size);
}
