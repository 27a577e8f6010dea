/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plan_write.c - what a plan leaves in its folder; see plan.h.
 *
 *      plan.csv          a line per run of the search, in the order of looking: the keys, the cost, each objective's figure, the verdict
 *      summary.json      the answer, and the same runs for machines
 *      looks.json        what was run, for a plan that goes on (plan_keep.c)
 *      plan_<figure>     pictures: cost against the figure of each objective, its limit, the answer marked
 *
 * and what lab_write.c adds.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "picture.h"
#include "plan.h"
#include "version.h"

enum { LABEL = 512 };

const char *const plan_files[] = {"plan.csv", "looks.json", NULL};

/* ---- summary.json ------------------------------------------------------------------------------------ */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *look_json(const struct plan *plan, const struct plan_look *at)
{
    const struct vary *v = &plan->lab->arguments->vary;
    json_t *values = json_object(), *slos = json_object();
    for (size_t k = 0; k < v->n_keys; k++)
        json_object_set_new(values, v->keys[k].path,
                            json_string(v->keys[k].values[vary_digit(v, at->point, k)].text));
    for (size_t k = 0; k < plan->n_slos; k++)
        json_object_set_new(slos, plan->slos[k].name, number(at->value[k]));
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b}", "values", values, "rent_usd_per_hour",
                     number(plan->cost[at->point]), "cost_usd_per_hour", number(at->usd_per_hour),
                     "figures", slos, "meets", at->meets, "failed", at->failed);
}

static json_t *at_json(const struct plan *plan, size_t point)
{
    const struct plan_look *at = point < plan->search.points ? plan_find(plan, point) : NULL;
    return at ? look_json(plan, at) : json_null();
}

char *plan_json(const struct plan *plan)
{
    const struct plan_search *s = &plan->search;
    json_t *looks = json_array(), *slos = json_array();
    bool found = s->best < s->points;
    for (size_t i = 0; i < plan->n_looks; i++)
        json_array_append_new(looks, look_json(plan, &plan->looks[i]));
    for (size_t k = 0; k < plan->n_slos; k++)
        json_array_append_new(slos, json_string(plan->slos[k].text));
    json_t *all =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:b, s:o, s:o, s:I, s:I, s:I, s:f, "
                  "s:f, s:b, s:o}",
                  "plan", plan->lab->name, "scenario", plan->lab->arguments->session.scenario,
                  "question", plan->lab->session.scenario.question, "world",
                  session_world(&plan->lab->session), "revision", kvtwin_revision(), "seed",
                  (json_int_t)plan->lab->seed, "slo", slos, "met", found, "cheapest",
                  at_json(plan, s->best), "runner_up", at_json(plan, plan_runner_up(s)), "points",
                  (json_int_t)s->points, "runs", (json_int_t)s->looks, "contradictions",
                  (json_int_t)s->contradictions, "worse_with_more_ratio", expm1(s->jump),
                  "worse_with_more_per_step_ratio", expm1(s->slope), "exhausted", s->exhausted,
                  "looks", looks);
    if (all && found) {
        size_t k = plan_binding(plan, plan_find(plan, s->best));
        json_object_set_new(all, "binding", json_string(plan->slos[k].text));
        json_object_set_new(all, "seeds", json_integer(plan->seeds));
        json_object_set_new(all, "seeds_met", json_integer(plan->seeds_met));
        bool more = plan->more_done && plan->more.best < plan->more.points;
        json_object_set_new(all, "more_traffic_usd_per_hour",
                            more ? number(plan->cost[plan->more.best] - plan->cost[s->best])
                                 : json_null());
    } else if (all && plan->n_looks > 0) {
        json_object_set_new(all, "nearest", look_json(plan, &plan->looks[plan->nearest]));
        size_t k = plan_binding(plan, &plan->looks[plan->nearest]);
        json_object_set_new(all, "binding", json_string(plan->slos[k].text));
    }
    if (all && plan->interrupted)
        json_object_set_new(all, "interrupted", json_true());
    return lab_json(all);
}

/* ---- The folder -------------------------------------------------------------------------------------- */

static const char *verdict_of(const struct plan *plan, const struct plan_look *at)
{
    const struct plan_search *s = &plan->search;
    return at->failed                       ? "unfinished"
           : at->point == s->best           ? "cheapest"
           : at->point == plan_runner_up(s) ? "runner-up"
           : at->meets                      ? "meets"
                                            : "fails";
}

static void write_looks(struct out *o, const struct plan *plan)
{
    const struct vary *v = &plan->lab->arguments->vary;
    out_text(o, "look,point,verdict");
    for (size_t k = 0; k < v->n_keys; k++) {
        out_char(o, ',');
        out_field(o, v->keys[k].path);
    }
    out_text(o, ",rent_usd_per_hour,cost_usd_per_hour,strain_ratio");
    for (size_t k = 0; k < plan->n_slos; k++) {
        out_char(o, ',');
        out_text(o, plan->slos[k].name);
    }
    out_char(o, '\n');
    for (size_t i = 0; i < plan->n_looks; i++) {
        const struct plan_look *at = &plan->looks[i];
        size_t binding = plan_binding(plan, at);
        out_u64(o, i + 1);
        out_char(o, ',');
        out_u64(o, at->point + 1);
        out_char(o, ',');
        out_text(o, verdict_of(plan, at));
        for (size_t k = 0; k < v->n_keys; k++) {
            out_char(o, ',');
            out_field(o, v->keys[k].values[vary_digit(v, at->point, k)].text);
        }
        out_next(o, plan->cost[at->point], 15);
        out_next(o, at->usd_per_hour, 15);
        out_next(o, slo_strain(&plan->slos[binding], at->value[binding]), 15);
        for (size_t k = 0; k < plan->n_slos; k++)
            out_next(o, at->value[k], 15);
        out_char(o, '\n');
    }
}

static void write_summary(struct out *o, const struct plan *plan)
{
    char *text = plan_json(plan);
    if (text)
        out_text(o, text);
    else
        o->error = o->error ? o->error : -ENOMEM;
    free(text);
}

int plan_write(int dirfd, const struct plan *plan)
{
    static const struct {
        const char *name;
        void (*write)(struct out *o, const struct plan *plan);
    } files[] = {{"plan.csv", write_looks},
                 {"looks.json", plan_write_kept},
                 {"summary.json", write_summary}};
    struct out *o = malloc(sizeof *o);
    int rc = o ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < sizeof files / sizeof *files; i++) {
        rc = out_open(o, dirfd, files[i].name);
        if (rc == 0)
            files[i].write(o, plan);
        int closed = out_close(o);
        rc = rc ? rc : closed;
    }
    free(o);
    return rc ? rc : lab_write_setting(plan->lab, dirfd);
}

int plan_draw(const struct plan *plan, const char *dir, char *why, size_t size)
{
    char scripts[PATH_MAX], subtitle[512], label[LABEL] = "";
    const struct plan_search *s = &plan->search;
    int rc = picture_scripts(scripts, why, size);
    lab_describe(plan->lab, subtitle, sizeof subtitle);
    if (s->best < s->points)
        vary_describe(&plan->lab->arguments->vary, s->best, label, sizeof label);
    for (size_t k = 0; rc == 0 && k < plan->n_slos; k++) {
        const struct slo *slo = &plan->slos[k];
        char name[2 * FIGURE_NAME], title[2 * FIGURE_NAME], settings[64];
        double most = fabs(slo->limit);
        for (size_t i = 0; i < plan->n_looks; i++)
            most =
                fmax(most, isfinite(plan->looks[i].value[k]) ? fabs(plan->looks[i].value[k]) : 0);
        double by = figure_axis(title, slo->name, most);
        snprintf(name, sizeof name, "plan_%s", slo->name);
        snprintf(settings, sizeof settings, "%.12g %.12g", by, slo->limit);
        const char *const more[] = {name, slo->name, title, settings, slo->text, label, NULL};
        rc = picture_draw_more(dir, scripts, "plan", name, subtitle, more, why, size);
    }
    return rc;
}
