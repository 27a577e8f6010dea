/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plan_print.c - the answer of a plan, for people; see plan.h.
 *
 * First the answer, then why nothing less will do, what comes second, what more traffic would cost, and how sure all
 * that is.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

enum { LABEL = 512 };

static char *describe(const struct plan *plan, size_t point, char label[LABEL])
{
    return vary_describe(&plan->lab->arguments->vary, point, label, LABEL);
}

static void print_values(FILE *out, const struct plan *plan, const struct plan_look *at)
{
    char cell[FIGURE_CELL], name[FIGURE_NAME];
    for (size_t k = 0; k < plan->n_slos; k++)
        fprintf(out, "%s%s %s", k ? ", " : "", figure_short(name, plan->slos[k].name),
                figure_cell(cell, plan->slos[k].name, at->value[k]));
    if (at->failed)
        fputs(", and not every request finished", out);
}

static void print_task(FILE *out, const struct plan *plan)
{
    const struct vary *v = &plan->lab->arguments->vary;
    char title[LABEL];
    fprintf(out, "%s\n", lab_describe(plan->lab, title, sizeof title));
    if (*plan->lab->session.scenario.question)
        fprintf(out, "%s\n", plan->lab->session.scenario.question);
    fputs("\nto meet     ", out);
    for (size_t k = 0; k < plan->n_slos; k++)
        fprintf(out, "%s%s", k ? ", " : "", plan->slos[k].text);
    fputs(", and every request finishes\nout of      ", out);
    for (size_t k = 0; k < v->n_keys; k++) {
        const struct vary_key *key = &v->keys[k];
        fprintf(out, "%s%s: %s .. %s, %zu values%s", k ? "\n            " : "", key->path,
                key->values[0].text, key->values[key->n - 1].text, key->n,
                plan->search.ordered[k] ? "" : ", nothing assumed of their order");
    }
    fputc('\n', out);
}

/* Why a step less of any key is too little. */
static void print_binding(FILE *out, const struct plan *plan, const struct plan_look *best)
{
    const struct vary *v = &plan->lab->arguments->vary;
    char cell[FIGURE_CELL];
    size_t binding = plan_binding(plan, best);
    const struct slo *slo = &plan->slos[binding];
    fprintf(out, "\nbinding     %s: %.1f %% to spare\n", slo->text,
            100 * (1 - slo_strain(slo, best->value[binding])));
    for (size_t k = 0; k < v->n_keys; k++) {
        size_t down = plan_step_down(&plan->search, best->point, k);
        const struct plan_look *at = down < v->points ? plan_find(plan, down) : NULL;
        if (!plan->search.ordered[k])
            continue;
        if (down == v->points) {
            fprintf(out, "            %s is at its least\n", vary_short(v, k));
            continue;
        }
        fprintf(out, "            %s=%s instead, %s: ", vary_short(v, k),
                v->keys[k].values[vary_digit(v, down, k)].text,
                figure_change(cell, "usd", plan->cost[down] - plan->cost[best->point]));
        if (at)
            print_values(out, plan, at);
        else
            fputs("not run", out);
        fputs(at && at->meets ? ", meets\n" : "\n", out);
    }
}

static void print_more(FILE *out, const struct plan *plan)
{
    char label[LABEL], cell[FIGURE_CELL];
    if (!plan->more_done)
        return;
    fputs("10 % more traffic\n            ", out);
    if (plan->more.best == plan->more.points) {
        fputs("nothing in this space meets the objectives any more\n", out);
        return;
    }
    double extra = plan->cost[plan->more.best] - plan->cost[plan->search.best];
    if (plan->more.best == plan->search.best)
        fputs("the same configuration still meets the objectives: + $0\n", out);
    else if (extra < 0.005)
        fprintf(out, "+ $0, with %s\n", describe(plan, plan->more.best, label));
    else
        fprintf(out, "%s per hour: %s\n", figure_change(cell, "usd", extra),
                describe(plan, plan->more.best, label));
}

/* Where the assumption of the search was seen to be wrong, and what came of it. */
static void print_worse(FILE *out, const struct plan *plan)
{
    const struct plan_search *s = &plan->search;
    char label[LABEL];
    if (s->worse[0] == s->points)
        return;
    const struct plan_look *less = plan_find(plan, s->worse[0]),
                           *more = plan_find(plan, s->worse[1]);
    fputs("            more is not always better here. Most of all ", out);
    print_values(out, plan, less);
    fprintf(out, " with %s\n            became ", describe(plan, less->point, label));
    print_values(out, plan, more);
    fprintf(out, " with %s;\n", describe(plan, more->point, label));
    fprintf(
        out,
        "            so only what failed by more than %.1f %%, and by more than %.1f %% for each "
        "step, ruled out less without a run\n",
        100 * expm1(s->jump), 100 * expm1(s->slope));
}

static void print_confidence(FILE *out, const struct plan *plan)
{
    char value[FIGURE_CELL], low[FIGURE_CELL], high[FIGURE_CELL];
    fprintf(out, "confidence  met with %u of %u seeds\n", plan->seeds_met, plan->seeds);
    for (size_t k = 0; k < plan->n_slos; k++) {
        const struct interval *i = &plan->sure[k];
        const char *name = plan->slos[k].name;
        if (isnan(i->low))
            continue;
        bool sure = slo_met(&plan->slos[k], i->low) && slo_met(&plan->slos[k], i->high);
        fprintf(out, "            %s %s, 95 %% interval %s .. %s: %s\n", name,
                figure_cell(value, name, i->value), figure_cell(low, name, i->low),
                figure_cell(high, name, i->high),
                sure ? "within the limit" : "reaches the limit, so a busier hour may miss it");
    }
    print_worse(out, plan);
    if (plan->search.exhausted)
        fprintf(out,
                "            stopped after %zu runs: %zu cheaper points are not known to fail\n",
                plan->search.looks, plan->search.left_open);
}

void plan_print(FILE *out, const struct plan *plan)
{
    char label[LABEL], cell[FIGURE_CELL];
    const struct plan_search *s = &plan->search;
    print_task(out, plan);
    if (s->best == s->points) {
        fputs("\nnothing in this space meets the objectives\n", out);
        if (plan->n_looks > 0) {
            const struct plan_look *at = &plan->looks[plan->nearest];
            fprintf(out, "nearest     %s, %s per hour: ", describe(plan, at->point, label),
                    figure_cell(cell, "usd", plan->cost[at->point]));
            print_values(out, plan, at);
            fprintf(out, "\nbinding     %s\n", plan->slos[plan_binding(plan, at)].text);
        }
    } else {
        const struct plan_look *best = plan_find(plan, s->best);
        fprintf(out, "\ncheapest    %s\n            %s per hour: ", describe(plan, s->best, label),
                figure_cell(cell, "usd", plan->cost[s->best]));
        print_values(out, plan, best);
        if (best->usd_per_hour > plan->cost[s->best] * 1.0005)
            fprintf(out, "; with transfer %s", figure_cell(cell, "usd", best->usd_per_hour));
        fputc('\n', out);
        print_binding(out, plan, best);
        size_t second = plan_runner_up(s);
        if (second < s->points) {
            fprintf(out,
                    "runner-up   %s\n            %s per hour more: ", describe(plan, second, label),
                    figure_cell(cell, "usd", plan->cost[second] - plan->cost[s->best]));
            print_values(out, plan, plan_find(plan, second));
            fputc('\n', out);
        } else {
            fputs("runner-up   none that was run and met the objectives with less of something\n",
                  out);
        }
        print_more(out, plan);
        print_confidence(out, plan);
    }
    fprintf(out, "runs        %zu of %zu points (%.1f %%)", s->looks, s->points,
            100.0 * (double)s->looks / (double)s->points);
    if (plan->more_done)
        fprintf(out, ", %zu with more traffic", plan->more.looks);
    fputc('\n', out);
}
