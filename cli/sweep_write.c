/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sweep_write.c - the files of a sweep beside its runs; see sweep.h.
 *
 * Each is written under another name and then renamed: who reads while a sweep goes on sees the file of before or the
 * new one. Nothing that depends on the machine or the hour is in them.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "curves.h"
#include "sweep.h"
#include "version.h"

static const char *state_of(const struct sweep *s, const struct sweep_point *p)
{
    return p->runs == s->lab->arguments->replications ? "done"
           : p->error                                 ? "failed"
           : p->runs > 0                              ? "partly"
                                                      : "missing";
}

static void write_points(struct out *o, struct sweep *s)
{
    const struct vary *v = &s->lab->arguments->vary;
    bool intervals = s->lab->arguments->replications > 1;
    out_text(o, "point,state,runs");
    for (size_t k = 0; k < v->n_keys; k++) {
        out_char(o, ',');
        out_field(o, v->keys[k].path);
    }
    for (size_t c = 0; c < s->columns.n; c++) {
        out_char(o, ',');
        out_text(o, s->columns.name[c]);
        if (intervals) {
            out_char(o, ',');
            out_text(o, s->columns.name[c]);
            out_text(o, "_ci95");
        }
    }
    out_char(o, '\n');
    for (size_t p = 0; p < v->points; p++) {
        out_u64(o, p + 1);
        out_char(o, ',');
        out_text(o, state_of(s, &s->points[p]));
        out_char(o, ',');
        out_u64(o, s->points[p].runs);
        for (size_t k = 0; k < v->n_keys; k++) {
            out_char(o, ',');
            out_field(o, v->keys[k].values[vary_digit(v, p, k)].text);
        }
        for (size_t c = 0; c < s->columns.n; c++) {
            double value[3];
            sweep_get(s, p, s->columns.name[c], value);
            out_next(o, value[0], 15);
            if (intervals)
                out_next(o, value[2] - value[0], 15);
        }
        out_char(o, '\n');
    }
}

static struct curves curves_of(struct sweep *s, const char *subtitle)
{
    return (struct curves){.vary = &s->lab->arguments->vary,
                           .metrics = &s->metrics,
                           .get = sweep_get,
                           .self = s,
                           .subtitle = subtitle,
                           .jobs = s->lab->arguments->jobs,
                           .band = "95 % interval of the mean over replications",
                           .heat = true,
                           .reference = SIZE_MAX};
}

static void write_curves(struct out *o, struct sweep *s)
{
    const struct curves curves = curves_of(s, "");
    curves_write(o, &curves);
}

char *sweep_json(struct sweep *s)
{
    const struct lab *lab = s->lab;
    const struct vary *v = &lab->arguments->vary;
    json_t *points = json_array(), *keys = json_array();
    for (size_t k = 0; k < v->n_keys; k++) {
        json_t *values = json_array();
        for (size_t i = 0; i < v->keys[k].n; i++)
            json_array_append_new(values, json_string(v->keys[k].values[i].text));
        json_array_append_new(keys,
                              json_pack("{s:s, s:o}", "key", v->keys[k].path, "values", values));
    }
    for (size_t p = 0; p < v->points; p++) {
        json_t *values = json_object(), *figures = json_object();
        for (size_t k = 0; k < v->n_keys; k++)
            json_object_set_new(values, v->keys[k].path,
                                json_string(v->keys[k].values[vary_digit(v, p, k)].text));
        for (size_t m = 0; m < s->metrics.n; m++) {
            double value[3];
            sweep_get(s, p, s->metrics.name[m], value);
            json_object_set_new(figures, s->metrics.name[m],
                                isfinite(value[0]) ? json_real(value[0]) : json_null());
        }
        json_t *point = json_pack("{s:I, s:s, s:I, s:o, s:o}", "point", (json_int_t)p + 1, "state",
                                  state_of(s, &s->points[p]), "runs", (json_int_t)s->points[p].runs,
                                  "values", values, "figures", figures);
        if (point && s->points[p].error)
            json_object_set_new(point, "error", json_string(s->points[p].error));
        json_array_append_new(points, point);
    }
    json_t *all =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "sweep", lab->name, "scenario",
                  lab->arguments->session.scenario, "question", lab->session.scenario.question,
                  "world", session_world(&lab->session), "revision", kvtwin_revision(), "seed",
                  (json_int_t)lab->seed, "replications", (json_int_t)lab->arguments->replications,
                  "varied", keys, "points", points);
    return lab_json(all);
}

static void write_summary(struct out *o, struct sweep *s)
{
    char *text = sweep_json(s);
    if (text)
        out_text(o, text);
    else
        o->error = o->error ? o->error : -ENOMEM;
    free(text);
}

int sweep_write(struct sweep *s)
{
    static const struct {
        const char *name;
        void (*write)(struct out *o, struct sweep *s);
    } files[] = {{"sweep.csv", write_points},
                 {"curves.csv", write_curves},
                 {"summary.json", write_summary}};
    struct out *o = malloc(sizeof *o);
    int rc = o ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < sizeof files / sizeof *files; i++) {
        static const char temporary[] = ".being-written";
        rc = out_open(o, s->dirfd, temporary);
        if (rc == 0)
            files[i].write(o, s);
        int closed = out_close(o);
        rc = rc ? rc : closed;
        if (rc == 0 && renameat(s->dirfd, temporary, s->dirfd, files[i].name) != 0)
            rc = -errno;
        if (rc != 0)
            unlinkat(s->dirfd, temporary, 0);
    }
    free(o);
    return rc ? rc : lab_write_setting(s->lab, s->dirfd);
}

int sweep_draw(struct sweep *s, const char *dir, char *why, size_t size)
{
    char subtitle[512];
    const struct curves curves = curves_of(s, lab_describe(s->lab, subtitle, sizeof subtitle));
    return curves_draw(&curves, dir, why, size);
}
