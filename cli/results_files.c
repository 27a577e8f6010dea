/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_files.c - which files a run leaves, where, and how they get there.
 *
 * Everything but requests.csv is written after the run, into the hidden folder that results_new made;
 * then the folder is put in place (results_dir.h). An error on the way removes the hidden folder and
 * leaves the earlier results as they were. summary.json comes last, so that it is there only when
 * all others are.
 */
#include "results.h"

#include "results_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const results_files[] = {
    "summary.json",      "requests.csv",
    "stages.csv",        "timeline.csv",
    "ledger.csv",        "utilization.csv",
    "distributions.csv", "metrics.prom",
    "run.json",          "cost.csv",
    "verdict.csv",       "crossover.csv",
    "scenario.yaml",     "lengths.csv",
    "shards.csv",        "placement.csv",
    "shard_costs.csv",   "links_over_time.csv",
    "faults.csv",        "fault_timeline.csv",
    "rollout.csv",       NULL,
};

int results_default_dir(char *dir, size_t size, const char *scenario_name, const char *world)
{
    bool plain = strcmp(world, "sim") == 0;
    int n = snprintf(dir, size, "results/%s%s%s", *scenario_name != '\0' ? scenario_name : "run",
                     plain ? "" : "-", plain ? "" : world);

    if (n < 0 || (size_t)n >= size)
        return -ENAMETOOLONG;
    for (char *at = dir + strlen("results/"); *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '-' || c == '_' || c >= 0x80 ||
                    (c == '.' && at > dir + strlen("results/"));
        if (!fits)
            *at = '-';
    }
    return 0;
}

/* Opens name in the hidden folder, lets one of the writers below fill it, and closes it. */
struct file_job {
    const char *name;
    void (*alone)(struct out *, const struct results *);
    void (*beside)(struct out *, const struct results *, const struct results *baseline);
    char *text; /* or this, moved in */
};

static int write_file(struct results *r, const struct results *baseline, struct out *o,
                      const struct file_job *job)
{
    if (job->alone == NULL && job->beside == NULL && job->text == NULL)
        return -ENOMEM;
    int status = out_open(o, r->dir.fd, job->name);
    if (status == 0) {
        if (job->alone != NULL)
            job->alone(o, r);
        else if (job->beside != NULL)
            job->beside(o, r, baseline);
        else
            out_text(o, job->text);
        status = out_close(o);
    }
    return status;
}

static void scenario_write(struct out *o, const struct results *r)
{
    out_text(o, r->options.resolved);
}

int results_write(struct results *r, const struct results *baseline, char *why, size_t size)
{
    struct file_job jobs[] = {
        {.name = "stages.csv", .alone = csv_stages},
        {.name = "timeline.csv", .alone = timeline_write},
        {.name = "ledger.csv", .beside = csv_ledger},
        {.name = "distributions.csv", .beside = csv_distributions},
        {.name = "utilization.csv", .alone = csv_utilization},
        {.name = "scenario.yaml", .alone = scenario_write},
        {.name = "cost.csv", .alone = csv_cost},
        {.name = "verdict.csv", .alone = csv_verdict},
        {.name = "crossover.csv", .alone = csv_crossover},
        {.name = "lengths.csv", .alone = csv_lengths},
        {.name = "shards.csv", .alone = csv_shards},
        {.name = "placement.csv", .alone = csv_placement},
        {.name = "shard_costs.csv", .alone = csv_shard_costs},
        {.name = "faults.csv", .alone = csv_faults},
        {.name = "fault_timeline.csv", .alone = csv_fault_timeline},
        {.name = "links_over_time.csv", .alone = links_write},
        {.name = "rollout.csv", .alone = csv_rollout},
        {.name = "metrics.prom", .alone = metrics_write},
        {.name = "run.json", .text = json_run(r)},
        {.name = "summary.json", .text = json_summary(r, baseline)},
    };
    struct out *o = malloc(sizeof *o);
    int status = o == NULL ? -ENOMEM : results_status(r);

    assert(r->closed && r->dir.is_open);
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        if (status == 0)
            status = write_file(r, baseline, o, &jobs[i]);
        free(jobs[i].text);
    }
    free(o);
    if (status != 0)
        snprintf(why, size, "%s: %s; earlier results are kept", r->dir.path, strerror(-status));
    else
        status = results_dir_install(&r->dir, why, size);
    if (status != 0)
        results_dir_abort(&r->dir);
    return status;
}

char *results_json(const struct results *r, const struct results *baseline)
{
    return json_summary(r, baseline);
}

int results_print_json(FILE *out, const struct results *r, const struct results *baseline)
{
    char *text = json_summary(r, baseline);

    if (text == NULL)
        return -ENOMEM;
    int status = fputs(text, out) < 0 || fflush(out) != 0 ? -EIO : 0;
    free(text);
    return status;
}
