/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_plan.c - kvtwin plan SCENARIO --slo 'ttft_p95<2s' --over KEY=RANGE: the cheapest configuration that meets it.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "lab_command.h"
#include "option.h"
#include "plan.h"
#include "results.h"
#include "stop.h"

struct run {
    struct lab_command base;
    struct plan plan;
    const char *slos[SLOS_MOST];
    uint64_t budget;
};

static const char help[] =
    "usage: kvtwin plan SCENARIO --slo 'FIGURE<LIMIT' [--slo ...] --over KEY=VALUES [--over ...]\n"
    "                   [--set KEY=VALUE]... [--profile FILE] [--budget N] [--jobs N]\n"
    "                   [--out FOLDER] [--json]\n"
    "\n"
    "Finds the cheapest configuration that meets the objectives, by a few of all runs: it assumes "
    "that more of\n"
    "what is paid for never makes things worse. Where runs show otherwise it says so, and runs "
    "more.\n"
    "\n"
    "  --slo 'ttft_p95<2s'          any number of summary.json, latencies at any percentile: "
    "ttft_p99.9, tpot_p95,\n"
    "                               e2e_p50, prefix_hit_rate>30%; all must be met, and every "
    "request must finish\n"
    "  --over KEY=A,B,C             values; KEY as for --set\n"
    "  --over KEY=LOW..HIGH step S  or  log N, or, of whole numbers, neither\n"
    "  --budget N                   runs at most; default as many as it takes\n"
    "  --replications N             seeds with which the answer is run again; default 5\n"
    "  --jobs N                     runs at a time; default one per processor\n"
    "  --out FOLDER                 default results/<name of the scenario>-plan\n"
    "  --json                       prints summary.json instead of the answer in words\n"
    "\n"
    "The folder gets plan.csv (every run of the search), summary.json, pictures of cost against "
    "each objective.\n"
    "Interrupted, it gets what there is by then, and the same command goes on there.\n"
    "Exit codes: 0 found, 1 failed or interrupted, 2 bad input, 3 nothing meets the objectives: "
    "the nearest\n"
    "configuration is told, and what binds.\n";

static const struct lab_command_ops command;

static int refuse(const char *line)
{
    return lab_command_refuse(&command, line);
}

/* Takes --slo and --budget. Returns 1 when it was one, 0 when not, -EINVAL with a line in run->base.error. */
static int own_option(struct run *run, int argc, char **argv, int *i)
{
    const char *value = NULL, *name = argv[*i];
    if (option_value(argc, argv, i, "--slo", &value)) {
        if (value && run->plan.n_slos < SLOS_MOST) {
            run->slos[run->plan.n_slos++] = value;
            return 1;
        }
        snprintf(run->base.error, sizeof run->base.error,
                 "--slo: expected FIGURE<LIMIT, at most %d times", SLOS_MOST);
        return -EINVAL;
    }
    if (option_value(argc, argv, i, "--budget", &value)) {
        if (value && units_count(value, &run->budget, NULL) == 0 && run->budget > 0)
            return 1;
        snprintf(run->base.error, sizeof run->base.error,
                 "--budget: expected a number of runs above 0");
        return -EINVAL;
    }
    return strncmp(name, "--metrics", 9) == 0 ? -ENOTSUP : 0;
}

/* Returns an exit code, EXIT_DONE to go on. */
static int parse_arguments(void *self, int argc, char **argv, bool *asked)
{
    struct run *run = self;
    struct lab_arguments *a = &run->base.arguments;
    lab_arguments_init(a, "--over", argc, argv);
    a->replications = PLAN_SEEDS;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *asked = true;
            return EXIT_DONE;
        }
        int took = own_option(run, argc, argv, &i);
        if (took == 0)
            took = lab_option(a, argc, argv, &i, run->base.error);
        if (took == 0 || took == -ENOTSUP) {
            snprintf(run->base.error, sizeof run->base.error,
                     "%.200s: unknown option, see kvtwin plan --help", argv[i]);
            took = -EINVAL;
        }
        if (took < 0)
            return refuse(run->base.error);
    }
    if (!a->session.scenario)
        return refuse("SCENARIO: expected a file, such as scenarios/quickstart.yaml");
    if (run->plan.n_slos == 0)
        return refuse("--slo: expected at least one, such as 'ttft_p95<2s'");
    if (a->vary.n_keys == 0)
        return refuse("--over: expected at least one KEY=VALUES");
    return EXIT_DONE;
}

static int choose(void *self)
{
    struct run *run = self;
    run->base.lab.requests = true;
    run->plan.lab = &run->base.lab;
    run->plan.looks_most = run->budget;
    struct figures *known = calloc(1, sizeof *known);
    int rc = known ? figures_known(known) : -ENOMEM;
    for (size_t k = 0; rc == 0 && k < run->plan.n_slos; k++)
        rc = slo_parse(&run->plan.slos[k], run->slos[k], known, run->base.error,
                       sizeof run->base.error);
    for (size_t k = 0; rc == 0 && k < run->plan.n_slos; k++)
        lab_want(&run->base.lab, run->plan.slos[k].name);
    free(known);
    return rc;
}

/* What each point is rented for. */
static int price(void *self)
{
    struct run *run = self;
    size_t points = run->base.arguments.vary.points;
    bool some = false;
    run->plan.cost = malloc(points * sizeof *run->plan.cost);
    if (!run->plan.cost)
        return -ENOMEM;
    for (size_t p = 0; p < points; p++) {
        run->plan.cost[p] =
            run->base.lab.entries[p * run->base.arguments.replications].usd_per_hour;
        some = some || isfinite(run->plan.cost[p]);
    }
    if (some)
        return 0;
    snprintf(run->base.error, sizeof run->base.error,
             "prices: expected a cost for at least one configuration: this world has no "
             "cost_usd_per_hour, or none of "
             "them fits its GPUs");
    return -EINVAL;
}

/* Writes, draws, prints. */
static int show(struct run *run)
{
    const struct plan *plan = &run->plan;
    char why[PATH_MAX], *json = NULL;
    int rc = plan_write(run->base.folder.fd, plan);
    rc = lab_command_install(&run->base, rc);
    if (rc != 0)
        return rc;
    if (!plan->interrupted && plan_draw(plan, run->base.dir, why, sizeof why) != 0)
        fprintf(stderr, "kvtwin plan: no pictures: %s\n", why);
    if (run->base.arguments.json) {
        json = plan_json(plan);
        fputs(json ? json : "", stdout);
        rc = json ? 0 : -ENOMEM;
        free(json);
    } else if (!plan->interrupted) {
        plan_print(stdout, plan);
        printf("\nEvery run and pictures are in %s\n", run->base.dir);
    }
    return rc == 0 && fflush(stdout) != 0 && errno != EPIPE ? -errno : rc;
}

/* After Ctrl-C: what was seen by then, and that the rest is still to be done. */
static void tell_interrupted(const struct run *run)
{
    const struct plan *plan = &run->plan;
    char label[512] = "";
    const bool some = plan->search.best < plan->search.points;
    if (some)
        vary_describe(&run->base.arguments.vary, plan->search.best, label, sizeof label);
    fprintf(stderr, "kvtwin plan: interrupted; %s%s",
            some ? "the cheapest that was seen to meet the objectives: "
                 : "nothing was seen to meet the objectives",
            label);
    if (plan->kept)
        fprintf(stderr, "; %zu runs are in %s: the same command goes on there",
                json_object_size(plan->kept), run->base.dir);
    fputc('\n', stderr);
}

static int execute(void *self)
{
    struct run *run = self;
    struct plan *plan = &run->plan;
    plan_recall(plan, run->base.dir);
    int rc = plan_run(plan);
    if (rc != 0) {
        fprintf(stderr, "kvtwin plan: %s\n", *plan->error ? plan->error : strerror(-rc));
        return EXIT_FAILED;
    }
    if (!plan->interrupted || plan->kept) /* else earlier results stay as they are */
        rc = show(run);
    if (rc != 0) {
        fprintf(stderr, "kvtwin plan: %s\n", *run->base.error ? run->base.error : strerror(-rc));
        return EXIT_FAILED;
    }
    if (plan->interrupted) {
        tell_interrupted(run);
        return EXIT_FAILED;
    }
    return plan->search.best < plan->search.points ? EXIT_DONE : EXIT_OUTSIDE;
}

static void release(void *self)
{
    plan_release(&((struct run *)self)->plan);
}

static const struct lab_command_ops command = {.name = "plan",
                                               .help = help,
                                               .size = sizeof(struct run),
                                               .parse = parse_arguments,
                                               .choose = choose,
                                               .checked = price,
                                               .execute = execute,
                                               .release = release};

int cmd_plan(int argc, char **argv)
{
    return lab_command_main(&command, argc, argv);
}
