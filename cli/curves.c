/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * curves.c - see curves.h.
 *
 * The key on the x axis is the numeric one with the most values; every choice of the other keys' values is a
 * series. Axis and series are decided here, once, so that the scripts only draw.
 */
#include "curves.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "picture.h"
#include "points.h"

enum { SERIES_MOST = 24, NAME = 256, TITLE = 2 * FIGURE_NAME };

/* The key of the x axis; n_keys when there is none. */
static size_t x_key(const struct vary *v)
{
    size_t best = v->n_keys;
    for (size_t k = 0; k < v->n_keys; k++)
        if (v->keys[k].numeric && (best == v->n_keys || v->keys[k].n > v->keys[best].n))
            best = k;
    return best;
}

static bool is_heat(const struct vary *v)
{
    return v->n_keys == 2 && v->keys[0].numeric && v->keys[1].numeric && v->keys[0].n > 2 &&
           v->keys[1].n > 2;
}

/* The series of a point: its number when the digit of x is left out; and its name. */
static size_t series_of(const struct vary *v, size_t x, size_t point, char name[NAME])
{
    size_t series = 0, at = 0;
    name[0] = '\0';
    for (size_t k = 0; k < v->n_keys; k++) {
        if (k == x)
            continue;
        size_t digit = vary_digit(v, point, k);
        series = series * v->keys[k].n + digit;
        if (at < NAME)
            at += (size_t)snprintf(name + at, NAME - at, "%s%s=%s", at ? ", " : "",
                                   vary_short(v, k), v->keys[k].values[digit].text);
    }
    return series;
}

/* Axis of x: its title, and what numbers are divided by: bytes become GiB, ns seconds. */
static double x_axis(const struct vary *v, size_t x, char title[TITLE])
{
    if (x == v->n_keys) {
        title[0] = '\0';
        return 1;
    }
    const struct vary_key *key = &v->keys[x];
    snprintf(title, TITLE, "%.120s", key->path); /* values are named with their units */
    return key->kind == VARY_BYTES ? 1073741824.0 : key->kind == VARY_NS ? 1e9 : 1;
}

/* What values of a metric are divided by, with the title of the axis. */
static double y_axis(const struct curves *c, const char *metric, char title[TITLE])
{
    double most = 0, value[3];
    for (size_t p = 0; p < c->vary->points; p++) {
        c->get(c->self, p, metric, value);
        if (isfinite(value[0]) && fabs(value[0]) > most)
            most = fabs(value[0]);
    }
    return figure_axis(title, metric, most);
}

/* Twelve significant digits: what a plot and a reader need, and the same bytes everywhere. */
static void number(struct out *o, double value)
{
    char text[48] = "";
    if (isfinite(value))
        snprintf(text, sizeof text, "%.12g", value);
    out_char(o, ',');
    out_text(o, text);
}

void curves_write(struct out *o, const struct curves *c)
{
    const struct vary *v = c->vary;
    char title[TITLE], name[NAME];
    double value[3];
    size_t x = x_key(v);
    double by_x = x_axis(v, x, title);
    out_text(o, "metric,series,series_name,point,point_name,x,x_text,y,y_text,value,low,high\n");
    for (size_t m = 0; m < c->metrics->n; m++) {
        const char *metric = c->metrics->name[m];
        double by = y_axis(c, metric, title);
        for (size_t p = 0; p < v->points; p++) {
            char label[2 * NAME];
            size_t digit = x < v->n_keys ? vary_digit(v, p, x) : 0,
                   series = series_of(v, x, p, name);
            c->get(c->self, p, metric, value);
            out_text(o, metric);
            out_char(o, ',');
            out_u64(o, series);
            out_char(o, ',');
            out_field(o, name);
            out_char(o, ',');
            out_u64(o, p);
            out_char(o, ',');
            out_field(o, vary_describe(v, p, label, sizeof label));
            number(o, x < v->n_keys ? v->keys[x].values[digit].number / by_x : (double)p);
            out_char(o, ',');
            out_field(o, x < v->n_keys ? v->keys[x].values[digit].text : "");
            number(o, is_heat(v) ? v->keys[1 - x].values[vary_digit(v, p, 1 - x)].number : NAN);
            out_char(o, ',');
            out_field(o, is_heat(v) ? v->keys[1 - x].values[vary_digit(v, p, 1 - x)].text : "");
            for (int i = 0; i < 3; i++)
                number(o, value[i] / by);
            out_char(o, '\n');
        }
    }
}

/* ---- Drawing ----------------------------------------------------------------------------------------- */

static int draw(const struct curves *c, const char *dir, const char *scripts, size_t m, bool heat,
                char *why, size_t size)
{
    const struct vary *v = c->vary;
    const char *metric = c->metrics->name[m];
    size_t x = x_key(v), series = x < v->n_keys ? v->points / v->keys[x].n : v->points;
    char y_title[TITLE], x_title[TITLE], name[TITLE], settings[256], other[TITLE] = "";
    y_axis(c, metric, y_title);
    x_axis(v, x, x_title);
    if (heat)
        x_axis(v, 1 - x, other);
    snprintf(name, sizeof name, "%s%s", metric, heat ? "_heat" : "");
    snprintf(settings, sizeof settings, "%zu %d %zu %zu", series,
             x < v->n_keys && !v->keys[x].even ? 1 : 0, v->points,
             c->reference < v->points ? c->reference : v->points);
    const char *const more[] = {name, metric, y_title, x_title, settings, heat ? other : c->band,
                                NULL};
    return picture_draw_more(dir, scripts,
                             heat            ? "heat"
                             : x < v->n_keys ? "curves"
                                             : "bars",
                             name, c->subtitle, more, why, size);
}

/* All pictures: a metric each, as a heat map or not; drawn by a process each, since gnuplot takes its time. */
struct drawing {
    const struct curves *c;
    const char *dir, *scripts;
    struct {
        size_t metric;
        bool heat;
    } what[2 * FIGURES_MOST];
    size_t todo[2 * FIGURES_MOST], n;
    bool failed;
    char *why;
    size_t size;
};

static int draw_one(void *self, size_t i, char **bytes, size_t *n, char *error)
{
    const struct drawing *d = self;
    *bytes = NULL;
    *n = 0;
    return draw(d->c, d->dir, d->scripts, d->what[i].metric, d->what[i].heat, error,
                POINTS_ERROR_SIZE);
}

static int drawn(void *self, size_t i, const char *bytes, size_t n, const char *error)
{
    struct drawing *d = self;
    (void)i;
    (void)n;
    if (!bytes && !d->failed)
        snprintf(d->why, d->size, "%s", error);
    d->failed = d->failed || !bytes;
    return 0;
}

static void plan_picture(struct drawing *d, size_t metric, bool heat)
{
    d->what[d->n].metric = metric;
    d->what[d->n].heat = heat;
    d->todo[d->n] = d->n;
    d->n++;
}

int curves_draw(const struct curves *c, const char *dir, char *why, size_t size)
{
    char scripts[PATH_MAX], error[POINTS_ERROR_SIZE];
    const struct vary *v = c->vary;
    size_t x = x_key(v);
    int rc = picture_scripts(scripts, why, size);
    if (rc != 0)
        return rc;
    struct drawing *d = malloc(sizeof *d);
    if (!d) {
        snprintf(why, size, "out of memory");
        return -ENOMEM;
    }
    *d = (struct drawing){.c = c, .dir = dir, .scripts = scripts, .why = why, .size = size};
    bool too_many = x < v->n_keys && v->points / v->keys[x].n > SERIES_MOST;
    for (size_t m = 0; m < c->metrics->n; m++) {
        if (!too_many)
            plan_picture(d, m, false);
        if (is_heat(v) && (c->heat || too_many))
            plan_picture(d, m, true);
    }
    const struct points points = {
        .todo = d->todo, .n = d->n, .jobs = c->jobs, .self = d, .work = draw_one, .done = drawn};
    rc = points_run(&points, error);
    if (rc != 0)
        snprintf(why, size, "%s", *error ? error : strerror(-rc));
    else if (d->failed)
        rc = -EIO;
    free(d);
    return rc;
}
