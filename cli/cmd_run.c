/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_run.c - kvtwin run SCENARIO: one scenario, its baseline, a table, a folder of results.
 *
 *      arguments -> scenario -> catalogue -> workload -> resolved -> results folder    all input is checked
 *                -> run, baseline (the same requests, cache off) -> files -> table
 *
 * Bad input is refused before anything is written: one line, exit 2. From then on what fails is the
 * run itself, exit 1, and earlier results stay as they were. In the real world the run happens in
 * real time, and a baseline only when it is asked for. Ctrl-C ends the run after the event under
 * way: what was measured until then is written and marked; a second one ends the process.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "crossover.h"
#include "drive.h"
#include "equal_slo.h"
#include "option.h"
#include "results.h"
#include "rollout_run.h"
#include "session.h"
#include "stop.h"

enum { SETS_MOST = 256, COMMAND_MOST = 4096 };

struct arguments {
    struct session_arguments session;
    const char *out, *record;
    const char *sets[SETS_MOST];
    bool json, explain, baseline, no_baseline, equal_slo;
    char command[COMMAND_MOST];
};

/* Everything of one `run`; released by release(). */
struct run {
    struct arguments arguments;
    struct session session;
    struct results *results, *baseline;
    struct crossovers crossovers;
    struct rollout_tally tally; /* of the run itself; where there is a roll-out */
    struct rollout rollout;
    char *resolved; /* the resolved scenario, as --explain prints it */
    struct cost_plan baseline_cost;
    void *kept, *baseline_kept;
    FILE *record;
    char dir[PATH_MAX], name[NAME_MAX + 1];
    char error[SCENARIO_ERROR_SIZE];
};

static const char help[] =
    "usage: kvtwin run SCENARIO [--world null|sim|real] [--set KEY=VALUE]... [--profile FILE]\n"
    "                  [--out FOLDER] [--record FILE] [--json] [--explain] [--baseline]\n"
    "                  [--no-baseline] [--equal-slo]\n"
    "\n"
    "Runs a scenario with the cache and, as baseline, the same requests without; prints a summary "
    "and\n"
    "leaves summary.json, requests.csv, timeline.csv and more in a folder.\n"
    "\n"
    "  --world null     no time passes: hit rates alone, at full speed, without baseline\n"
    "  --world sim      modelled hardware (default, unless the scenario says otherwise)\n"
    "  --world real     this machine: memory or GPUs, Redis, files, in real time; what the GPU "
    "would\n"
    "                   compute is modelled\n"
    "  --profile FILE   entries of the catalogue as measured here, see kvtwin calibrate\n"
    "  --set KEY=VALUE  changes one value; tiers by kind: cache.tiers.redis.nodes=10\n"
    "  --out FOLDER     for the results; default results/<name of the scenario>\n"
    "  --record FILE    every input of the cache core, for a replay\n"
    "  --json           prints summary.json instead of the table\n"
    "  --explain        prints the resolved scenario, where each value comes from, and the memory "
    "of a\n"
    "                   GPU; runs nothing\n"
    "  --no-baseline    only the run with the cache; so it is in the real world, where a baseline "
    "takes\n"
    "                   as long again and is run with --baseline\n"
    "  --equal-slo      also finds how many engines without cache are as fast, by running them: "
    "what "
    "the\n"
    "                   cache saves of the bill\n"
    "\n"
    "A trace is looked for in the working folder first, then in the scenario's own. Ctrl-C keeps "
    "what was\n"
    "measured so far. Exit codes: 0 done, 1 failed or interrupted, 2 bad input.\n";

/* ---- Arguments --------------------------------------------------------------------------------------- */

static int bad(const char *what, const char *expected)
{
    fprintf(stderr, "kvtwin run: %.200s: %s\n", what, expected);
    return EXIT_BAD_INPUT;
}

/* Returns EXIT_DONE to go on, or an exit code; *asked is set when help was wanted. */
static int parse_arguments(struct arguments *a, int argc, char **argv, bool *asked)
{
    option_join(argc, argv, a->command, sizeof a->command);
    for (int i = 1; i < argc; i++) {
        const char *value = "", *name = argv[i];
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
            *asked = true;
            return EXIT_DONE;
        }
        if (strcmp(name, "--json") == 0)
            a->json = true;
        else if (strcmp(name, "--explain") == 0)
            a->explain = true;
        else if (strcmp(name, "--no-baseline") == 0)
            a->no_baseline = true;
        else if (strcmp(name, "--baseline") == 0)
            a->baseline = true;
        else if (strcmp(name, "--equal-slo") == 0)
            a->equal_slo = true;
        else if (option_value(argc, argv, &i, "--world", &value))
            a->session.world = value;
        else if (option_value(argc, argv, &i, "--profile", &value))
            a->session.profile = value;
        else if (option_value(argc, argv, &i, "--record", &value))
            a->record = value;
        else if (option_value(argc, argv, &i, "--out", &value))
            a->out = value;
        else if (option_value(argc, argv, &i, "--set", &value)) {
            if (a->session.n_sets == SETS_MOST)
                return bad("--set", "expected at most 256 times");
            a->sets[a->session.n_sets++] = value;
        } else if (name[0] == '-')
            return bad(name, "unknown option, see kvtwin run --help");
        else if (a->session.scenario)
            return bad(name, "expected one scenario");
        else
            a->session.scenario = name;
        if (!value || (value[0] == '\0' && strchr(name, '=')))
            return bad(name, "expected a value");
    }
    if (!a->session.scenario)
        return bad("SCENARIO", "expected a file, such as scenarios/quickstart.yaml");
    if (a->baseline && a->no_baseline)
        return bad("--baseline", "expected without --no-baseline");
    a->session.sets = a->sets;
    return EXIT_DONE;
}

/* Prints the budget of a GPU where people look at tables. */
static void print_budget(const struct session *s)
{
    char table[2048];
    budget_table(&s->resolved.budget, table, sizeof table);
    fputs(table, stdout);
}

static int explain(struct session *s)
{
    /* A trace that is not there yet is no reason to explain nothing. */
    if (session_workload(s) != 0)
        fprintf(stderr, "%s\n", s->error);
    int rc = session_resolve(s);
    if (rc != 0)
        return rc;
    scenario_explain(&s->scenario, stdout, resolve_note, &s->resolved);
    fputs("\n# ", stdout);
    char table[2048];
    budget_table(&s->resolved.budget, table, sizeof table);
    for (const char *c = table; *c; c++) {
        putchar(*c);
        if (*c == '\n' && c[1])
            fputs("# ", stdout);
    }
    return 0;
}

/* ---- Results ----------------------------------------------------------------------------------------- */

static int new_results(struct run *run, struct results **results, const char *dir)
{
    struct results_options options = session_results(&run->session, run->name);
    options.dir = dir;
    options.scenario = run->arguments.session.scenario;
    options.command = run->arguments.command;
    options.interval_ns = dir ? 0 : KVT_NEVER;
    options.resolved = run->resolved;
    options.cost = dir ? &run->session.resolved.cost : &run->baseline_cost;
    options.crossovers = dir ? &run->crossovers : NULL;
    int rc = 0;
    *results = results_new(&options, &rc, run->error, sizeof run->error);
    return *results ? 0 : rc;
}

/* ---- Running ----------------------------------------------------------------------------------------- */

static int write_record(void *self, const void *bytes, size_t n)
{
    return fwrite(bytes, 1, n, self) == n ? 0 : errno > 0 ? -errno : -EIO;
}

static int drive(struct run *run, const struct resolved *resolved, struct results *results,
                 const char *label, void **kept)
{
    struct session *s = &run->session;
    const bool own = results == run->results;
    const struct kvt_observer observer = {rollout_note, &run->tally};
    const struct kvt_sink sink = {.write = write_record, .self = run->record};
    const struct drive d = {
        .resolved = resolved,
        .world = (enum scenario_world)run->session.scenario.world,
        .plan = &run->session.plan,
        .record = run->record && own ? &sink : NULL,
        .also = own && s->rollout ? &observer : NULL,
        .source = session_source_part(s, own ? WL_ROLLOUT_ALL : WL_ROLLOUT_NOTHING),
        .results = results,
        .label = label,
        .stop = &stop_wanted,
    };
    return drive_run(&d, kept, run->error);
}

/* The same requests with the cache off. What it leaves is in run->baseline, or nothing when stopped. */
static int run_baseline(struct run *run)
{
    struct resolved off = run->session.resolved;
    off.core.cache = false;
    resolve_unshard(&off);
    off.core.expected_blocks = 0;
    run->baseline_cost = off.cost;
    cost_without_cache(&run->baseline_cost);
    int rc = new_results(run, &run->baseline, NULL);
    if (rc == 0)
        rc = drive(run, &off, run->baseline, "baseline", &run->baseline_kept);
    if (rc != 0) {
        results_free(run->baseline);
        run->baseline = NULL;
    }
    return rc;
}

/* In real time a baseline would double the wait, so there it is asked for. */
static bool baseline_wanted(const struct run *run)
{
    const struct arguments *a = &run->arguments;
    bool usual = run->session.scenario.world == WORLD_SIM ||
                 (run->session.scenario.world == WORLD_REAL && a->baseline);
    return usual && !a->no_baseline && run->session.resolved.core.cache;
}

/* A number of engines is found by simulation, whatever world the run itself was in. */
static bool equal_slo_wanted(const struct run *run)
{
    const struct session *s = &run->session;
    return (run->arguments.equal_slo || s->scenario.prices.equal_slo) &&
           s->scenario.world == WORLD_SIM && s->resolved.core.cache;
}

static int run_equal_slo(struct run *run)
{
    struct cost_equal equal;
    int rc = equal_slo_find(&equal, &run->session, run->results, &stop_wanted, run->error);
    if (rc == 0)
        results_set_equal(run->results, &equal);
    return rc;
}

static int run_rollout(struct run *run)
{
    int rc =
        rollout_compare(&run->rollout, &run->session, &run->tally, true, &stop_wanted, run->error);
    if (rc == 0)
        results_set_rollout(run->results, &run->rollout);
    return rc;
}

/* The recording is complete once it is on its way to the medium. */
static int close_record(struct run *run)
{
    FILE *file = run->record;
    run->record = NULL;
    if (!file || fclose(file) == 0)
        return 0;
    int rc = errno;
    snprintf(run->error, sizeof run->error, "%.200s: %s", run->arguments.record, strerror(rc));
    return -rc;
}

static int print_results(struct run *run)
{
    if (run->arguments.json) {
        int rc = results_print_json(stdout, run->results, run->baseline);
        if (rc != 0 && errno != EPIPE)
            return rc;
    } else {
        results_print(stdout, run->results, run->baseline, isatty(STDOUT_FILENO) == 1);
    }
    if (fflush(stdout) != 0 && errno != EPIPE)
        return -errno;
    return 0;
}

static int fail(const struct run *run)
{
    fprintf(stderr, "kvtwin run: %s\n", run->error);
    return EXIT_FAILED;
}

/* Runs, writes, prints. All input is good. */
static int execute(struct run *run)
{
    bool stopped = false;
    rollout_tally_init(&run->tally, &run->session.resolved.rollout,
                       &run->session.resolved.core.prefill);
    int rc = drive(run, &run->session.resolved, run->results, run->name, &run->kept);
    if (rc == -EINTR)
        stopped = true;
    else if (rc != 0)
        return fail(run);
    if (close_record(run) != 0)
        return fail(run);
    if (baseline_wanted(run) && !stopped) {
        rc = run_baseline(run);
        if (rc == -EINTR)
            stopped = true;
        else if (rc != 0)
            return fail(run);
    }
    if (run->session.rollout && !stopped) {
        rc = run_rollout(run);
        if (rc == -EINTR)
            stopped = true;
        else if (rc != 0)
            return fail(run);
    }
    if (equal_slo_wanted(run) && !stopped) {
        rc = run_equal_slo(run);
        if (rc == -EINTR)
            stopped = true;
        else if (rc != 0)
            return fail(run);
    }
    rc = results_write(run->results, run->baseline, run->error, sizeof run->error);
    if (rc != 0)
        return fail(run);
    rc = print_results(run);
    if (rc != 0) {
        snprintf(run->error, sizeof run->error, "the summary cannot be printed: %s", strerror(-rc));
        return fail(run);
    }
    if (stopped) {
        fprintf(stderr, "kvtwin run: interrupted, results so far are in %s\n", run->dir);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int refuse(const struct run *run, int rc)
{
    fprintf(stderr, "%s\n", run->error);
    return rc == -ENOSPC ? EXIT_FAILED : session_exit(rc);
}

static void release(struct run *run)
{
    if (run->record)
        fclose(run->record); /* of a run that failed: what is there says that it was cut */
    results_free(run->results);
    results_free(run->baseline);
    free(run->kept);
    free(run->baseline_kept);
    free(run->crossovers.rows);
    rollout_tally_release(&run->tally);
    rollout_release(&run->rollout);
    free(run->resolved);
    session_close(&run->session);
}

/* Reads and checks everything. Returns an exit code, EXIT_DONE to go on. */
static int read_input(struct run *run)
{
    struct session *s = &run->session;
    int rc = session_load(s, &run->arguments.session);
    if (rc == 0 && run->arguments.explain) {
        rc = explain(s);
    } else if (rc == 0) {
        rc = session_workload(s);
        if (rc == 0)
            rc = session_resolve(s);
        if (rc == 0 && s->scenario.world != WORLD_NULL &&
            crossovers_find(&run->crossovers, &s->resolved, &s->scenario, s->catalog) != 0) {
            snprintf(s->error, sizeof s->error, "kvtwin run: out of memory");
            rc = -ENOMEM;
        }
    }
    if (rc == 0)
        return EXIT_DONE;
    if (rc == -ENOSPC && !run->arguments.json) /* the model does not fit */
        print_budget(s);
    fprintf(stderr, "%s\n", s->error);
    return rc == -ENOSPC ? EXIT_BAD_INPUT : session_exit(rc);
}

/* What is kept beside the results. Out of memory: it is left out. */
static void keep_resolved(struct run *run)
{
    size_t n = 0;
    FILE *text = open_memstream(&run->resolved, &n);
    if (!text)
        return;
    scenario_explain(&run->session.scenario, text, resolve_note, &run->session.resolved);
    if (fclose(text) != 0) {
        free(run->resolved);
        run->resolved = NULL;
    }
}

/* Where results and recording go. */
static int open_output(struct run *run)
{
    const struct arguments *a = &run->arguments;
    int rc;
    session_name(&run->session, run->name, sizeof run->name);
    if (a->out)
        rc = (size_t)snprintf(run->dir, sizeof run->dir, "%s", a->out) < sizeof run->dir
                 ? 0
                 : -ENAMETOOLONG;
    else
        rc =
            results_default_dir(run->dir, sizeof run->dir, run->name, session_world(&run->session));
    if (rc != 0) {
        snprintf(run->error, sizeof run->error, "--out: expected a shorter path");
        return rc;
    }
    rc = new_results(run, &run->results, run->dir);
    if (rc == 0 && a->record) {
        run->record = fopen(a->record, "we");
        rc = run->record ? 0 : -errno;
        if (rc != 0)
            snprintf(run->error, sizeof run->error, "--record: %.200s: %s", a->record,
                     strerror(-rc));
    }
    return rc;
}

static int run_scenario(struct run *run)
{
    int code = read_input(run);
    if (code != EXIT_DONE || run->arguments.explain)
        return code;
    keep_resolved(run);
    int rc = open_output(run);
    if (rc != 0)
        return refuse(run, rc);
    stop_catch();
    return execute(run);
}

int cmd_run(int argc, char **argv)
{
    bool asked = false;
    struct run *run = calloc(1, sizeof *run);
    if (!run) {
        fputs("kvtwin run: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    int code = parse_arguments(&run->arguments, argc, argv, &asked);
    if (asked)
        fputs(help, stdout);
    else if (code == EXIT_DONE)
        code = run_scenario(run);
    if (!asked)
        release(run);
    free(run);
    return code;
}
