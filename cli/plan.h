/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plan.h - the cheapest configuration that meets its objectives, and why: what `kvtwin plan` finds out.
 *
 *      plan_run.c      looks by simulation: points -> runs -> met or not
 *      plan_keep.c     runs that an interrupted plan has made already
 *      plan_print.c    the answer for people
 *      plan_write.c    the answer for machines, the folder and its picture
 *      cmd_plan.c      the command
 */
#ifndef CLI_PLAN_H
#define CLI_PLAN_H

#include "plan_search.h"
#include "plan_slo.h"

enum { PLAN_SEEDS = 5 };

/* What a look at a point found. */
struct plan_look {
    size_t point;
    bool meets, failed;      /* failed: the run did not end, or not every request finished */
    double value[SLOS_MOST]; /* of each objective */
    double usd_per_hour;     /* of the run itself, transfer included; NAN: unknown */
};

struct plan {
    struct lab *lab;
    struct slo slos[SLOS_MOST];
    size_t n_slos;
    double *cost; /* [points], rent in USD per hour; NAN: does not fit its GPUs */
    struct plan_search search;
    struct plan_look *looks; /* in the order of looking */
    size_t n_looks, room;
    size_t looks_most;
    /* Of the answer. */
    struct interval sure[SLOS_MOST]; /* of each objective, within one run */
    uint32_t seeds_met, seeds;       /* other seeds included */
    struct plan_search more;         /* with a tenth more traffic */
    bool more_done;
    size_t nearest;        /* nothing meets: the look that comes nearest */
    bool interrupted;      /* the answer is that of the looks so far, if any meets */
    json_t *before, *kept; /* runs found in the folder; runs used */
    char error[SCENARIO_ERROR_SIZE];
};

/* Searches, verifies with other seeds, asks for a tenth more traffic. Returns 0, also when nothing meets, or when stopped
 * (plan->interrupted); or a negative errno with one line in plan->error. */
KVT_MUST_CHECK int plan_run(struct plan *plan);
void plan_release(struct plan *plan);
/* The look at a point, or NULL. */
const struct plan_look *plan_find(const struct plan *plan, size_t point);
/* The objective that has least to spare in a look. */
size_t plan_binding(const struct plan *plan, const struct plan_look *look);

/* Before plan_run: what an earlier search left in the folder `dir`; nothing, when there is none. */
void plan_recall(struct plan *plan, const char *dir);
/* Is this run of the lab known? Then its values go to *look. */
bool plan_recalled(struct plan *plan, size_t run, struct plan_look *look);
/* It is now. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int plan_keep(struct plan *plan, size_t run, const struct plan_look *look);
struct out;
void plan_write_kept(struct out *o, const struct plan *plan);

void plan_print(FILE *out, const struct plan *plan);

/* Writes plan.csv, looks.json, summary.json, scenario.yaml and run.json into the folder open as dirfd. Returns 0 or a negative errno. */
KVT_MUST_CHECK int plan_write(int dirfd, const struct plan *plan);
extern const char *const plan_files[]; /* of its own; NULL at the end */
/* Draws cost against each objective into the folder `dir`, which has plan.csv. Returns 0 or a negative errno with one line
 * in why. */
KVT_MUST_CHECK int plan_draw(const struct plan *plan, const char *dir, char *why, size_t size);
/* summary.json's text, freed by the caller; NULL: out of memory. */
char *plan_json(const struct plan *plan);

#endif
