/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_run.c - kvtwin run SCENARIO: one scenario, its baseline, a table, a folder of results.
 *
 *      arguments -> scenario -> catalogue -> workload -> resolved -> results folder    all input is checked
 *                -> run, baseline (the same requests, cache off) -> files -> table
 *
 * Bad input is refused before anything is written: one line, exit 2. From then on what fails is the run
 * itself, exit 1, and earlier results stay as they were. Ctrl-C ends the run after the event under way: what
 * was measured until then is written and marked; a second one ends the process.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../workload/workload.h"
#include "catalog.h"
#include "commands.h"
#include "datadir.h"
#include "drive.h"
#include "resolve.h"
#include "results.h"
#include "scenario.h"
#include "version.h"

enum { SETS_MOST = 256, COMMAND_MOST = 4096 };

struct arguments {
    const char *scenario, *world, *out;
    const char *sets[SETS_MOST];
    size_t n_sets;
    bool json, explain, no_baseline;
    char command[COMMAND_MOST];
};

/* Everything of one `run`; released by release(). */
struct run {
    struct arguments arguments;
    struct scenario scenario;
    struct catalog *catalog;
    struct wl_source *source;
    struct wl_info info;
    struct resolved resolved;
    struct results *results, *baseline;
    void *kept, *baseline_kept;
    char trace[PATH_MAX], dir[PATH_MAX], name[NAME_MAX + 1], sha256[65];
    char error[SCENARIO_ERROR_SIZE];
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* Files must be finished even when whoever reads the table has gone. */
    action = (struct sigaction){.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &action, NULL);
}

static const char help[] =
    "usage: kvtwin run SCENARIO [--world null|sim] [--set KEY=VALUE]... [--out FOLDER]\n"
    "                  [--json] [--explain] [--no-baseline]\n"
    "\n"
    "Runs a scenario with the cache and, as baseline, the same requests without; prints a summary "
    "and\n"
    "leaves summary.json, requests.csv, timeline.csv and more in a folder.\n"
    "\n"
    "  --world null     no time passes: hit rates alone, at full speed, without baseline\n"
    "  --world sim      modelled hardware (default, unless the scenario says otherwise)\n"
    "  --set KEY=VALUE  changes one value; tiers by kind: cache.tiers.redis.nodes=10\n"
    "  --out FOLDER     for the results; default results/<name of the scenario>\n"
    "  --json           prints summary.json instead of the table\n"
    "  --explain        prints the resolved scenario, where each value comes from, and the memory "
    "of a\n"
    "                   GPU; runs nothing\n"
    "  --no-baseline    only the run with the cache\n"
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

/* The value of option `name`, which may stand behind '=' or in the next argument. Returns whether argv[*i]
 * is the option; *value is NULL when its value is missing. */
static bool option(int argc, char **argv, int *i, const char *name, const char **value)
{
    size_t len = strlen(name);
    if (strncmp(argv[*i], name, len) != 0 || (argv[*i][len] != '=' && argv[*i][len] != '\0'))
        return false;
    if (argv[*i][len] == '=')
        *value = argv[*i] + len + 1;
    else
        *value = *i + 1 < argc ? argv[++*i] : NULL;
    return true;
}

static void join_command(struct arguments *a, int argc, char **argv)
{
    size_t at = (size_t)snprintf(a->command, sizeof a->command, "kvtwin");
    for (int i = 0; i < argc && at + strlen(argv[i]) + 2 < sizeof a->command; i++)
        at += (size_t)snprintf(a->command + at, sizeof a->command - at, " %s", argv[i]);
}

/* Returns EXIT_DONE to go on, or an exit code; *asked is set when help was wanted. */
static int parse_arguments(struct arguments *a, int argc, char **argv, bool *asked)
{
    join_command(a, argc, argv);
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
        else if (option(argc, argv, &i, "--world", &value))
            a->world = value;
        else if (option(argc, argv, &i, "--out", &value))
            a->out = value;
        else if (option(argc, argv, &i, "--set", &value)) {
            if (a->n_sets == SETS_MOST)
                return bad("--set", "expected at most 256 times");
            a->sets[a->n_sets++] = value;
        } else if (name[0] == '-')
            return bad(name, "unknown option, see kvtwin run --help");
        else if (a->scenario)
            return bad(name, "expected one scenario");
        else
            a->scenario = name;
        if (!value || (value[0] == '\0' && strchr(name, '=')))
            return bad(name, "expected a value");
    }
    if (!a->scenario)
        return bad("SCENARIO", "expected a file, such as scenarios/quickstart.yaml");
    return EXIT_DONE;
}

/* ---- Input ------------------------------------------------------------------------------------------- */

/* A scenario that comes with the program is found wherever the program is called. */
static const char *find_scenario(const char *given, char *path, size_t size)
{
    char data[PATH_MAX];
    if (given[0] == '/' || access(given, F_OK) == 0 || datadir_find(data, sizeof data) != 0)
        return given;
    if ((size_t)snprintf(path, size, "%s/%s", data, given) >= size || access(path, R_OK) != 0)
        return given;
    return path;
}

static int load_scenario(struct run *run)
{
    const struct arguments *a = &run->arguments;
    char path[PATH_MAX], world[64];
    struct scenario *s = &run->scenario;
    int rc = scenario_load(s, find_scenario(a->scenario, path, sizeof path), run->error);
    for (size_t i = 0; rc == 0 && i < a->n_sets; i++)
        rc = scenario_set(s, a->sets[i], run->error);
    if (rc == 0 && a->world && strcmp(a->world, "null") != 0 && strcmp(a->world, "sim") != 0 &&
        strcmp(a->world, "real") != 0) {
        snprintf(run->error, sizeof run->error, "--world: expected null or sim");
        rc = -EINVAL;
    }
    if (rc == 0 && a->world) {
        snprintf(world, sizeof world, "world=%.40s", a->world);
        rc = scenario_set(s, world, run->error);
    }
    if (rc == 0)
        rc = scenario_type(s, run->error);
    if (rc == 0 && s->world == WORLD_REAL) {
        snprintf(run->error, sizeof run->error,
                 "world: expected null or sim: the real world is not built in this version");
        rc = -EINVAL;
    }
    if (rc == 0 && scenario_hash(s, run->sha256) != 0) {
        snprintf(run->error, sizeof run->error, "SHA-256 is not available");
        rc = -EIO;
    }
    return rc;
}

static int load_catalog(struct run *run)
{
    char data[PATH_MAX], folder[PATH_MAX + 32];
    if (datadir_find(data, sizeof data) != 0) {
        snprintf(run->error, sizeof run->error,
                 "expected scenarios/catalog in the working folder, beside the program, or where "
                 "KVTWIN_DATA says");
        return -ENOENT;
    }
    snprintf(folder, sizeof folder, "%s/scenarios/catalog", data);
    return catalog_load(&run->catalog, folder, run->error, sizeof run->error);
}

/* The trace: as given, seen from the working folder; else from the scenario's folder. */
static int find_trace(struct run *run)
{
    const struct scenario *s = &run->scenario;
    const char *given = s->workload.trace, *slash = strrchr(s->path, '/');
    int n = snprintf(run->trace, sizeof run->trace, "%s", given);
    if (access(given, F_OK) != 0 && given[0] != '/' && slash)
        n = snprintf(run->trace, sizeof run->trace, "%.*s/%s", (int)(slash - s->path), s->path,
                     given);
    if (n > 0 && (size_t)n < sizeof run->trace && access(run->trace, F_OK) == 0)
        return 0;
    char want[300];
    snprintf(want, sizeof want, "expected a file, but there is no %.200s", given);
    return resolve_refuse(s, "workload.trace", want, run->error);
}

static int open_workload(struct run *run)
{
    const struct scenario *s = &run->scenario;
    const struct scenario_workload *w = &s->workload;
    struct wl_options options;
    struct wl_error why = {""};
    int rc = w->trace ? find_trace(run) : 0;
    if (rc != 0)
        return rc;
    wl_options_init(&options);
    options.path = w->trace ? run->trace : NULL;
    options.generate = w->generate;
    options.format = (enum wl_format)w->format;
    options.trace_block_tokens = (uint32_t)w->trace_block_tokens;
    options.block_tokens = (uint32_t)s->cache.block_tokens;
    options.partial_blocks = s->cache.partial_blocks;
    options.tenant_salts = w->tenant_salts;
    options.model_epoch = s->cache.model_epoch;
    options.layout = s->cluster.model;
    options.seed = s->seed;
    options.rate_scale = w->rate_scale;
    options.skip = w->skip;
    options.limit = w->limit;
    options.warmup_ns = w->warmup_ns;
    options.max_output_tokens =
        w->max_output_tokens < UINT32_MAX ? (uint32_t)w->max_output_tokens : UINT32_MAX;
    options.synth = (struct wl_synth){.system_tokens = (uint32_t)w->synth_system_tokens,
                                      .continues = w->synth_continues,
                                      .idle_ns = w->synth_idle_ns};
    rc = wl_open(&run->source, &options, &why);
    if (rc != 0) {
        snprintf(run->error, sizeof run->error, "%s", why.text);
        return rc;
    }
    wl_source_info(run->source, &run->info);
    return 0;
}

static int resolve_run(struct run *run)
{
    uint32_t block = run->source ? run->info.block_tokens : WL_BLOCK_TOKENS;
    int rc = resolve(&run->resolved, &run->scenario, run->catalog, block, run->error);
    run->resolved.core.expected_blocks = run->source ? run->info.distinct_keys : 0;
    return rc;
}

/* Prints the budget of a GPU where people look at tables. */
static void print_budget(const struct run *run)
{
    char table[2048];
    budget_table(&run->resolved.budget, table, sizeof table);
    fputs(table, stdout);
}

static int explain(struct run *run)
{
    /* A trace that is not there yet is no reason to explain nothing. */
    if (open_workload(run) != 0)
        fprintf(stderr, "%s\n", run->error);
    int rc = resolve_run(run);
    if (rc != 0)
        return rc;
    scenario_explain(&run->scenario, stdout, resolve_note, &run->resolved);
    fputs("\n# ", stdout);
    char table[2048];
    budget_table(&run->resolved.budget, table, sizeof table);
    for (const char *c = table; *c; c++) {
        putchar(*c);
        if (*c == '\n' && c[1])
            fputs("# ", stdout);
    }
    return 0;
}

/* ---- Results ----------------------------------------------------------------------------------------- */

static void name_scenario(struct run *run)
{
    const char *slash = strrchr(run->scenario.path, '/');
    const char *base = slash ? slash + 1 : run->scenario.path;
    const char *dot = strrchr(base, '.');
    snprintf(run->name, sizeof run->name, "%.*s", (int)(dot && dot > base ? dot - base : INT_MAX),
             base);
}

static const char *world_name(const struct run *run)
{
    return run->scenario.world == WORLD_NULL ? "null" : "sim";
}

static int new_results(struct run *run, struct results **results, const char *dir)
{
    const struct scenario *s = &run->scenario;
    const struct resolved *r = &run->resolved;
    struct results_options options = {
        .dir = dir,
        .world = world_name(run),
        .scenario = run->arguments.scenario,
        .scenario_name = run->name,
        .scenario_sha256 = run->sha256,
        .question = s->question,
        .revision = kvtwin_revision(),
        .model = s->cluster.model,
        .gpu = s->cluster.gpu,
        .command = run->arguments.command,
        .seed = s->seed,
        .engines = r->core.engines,
        .gpus_per_engine = (uint32_t)s->cluster.gpus_per_engine,
        .block_tokens = r->core.block_tokens,
        .page_tokens = r->core.page_tokens,
        .warmup_ns = s->workload.warmup_ns,
        .interval_ns = dir ? 0 : KVT_NEVER,
        .expected_requests = run->info.requests,
    };
    for (size_t kind = 0; kind < KVT_TIERS; kind++)
        options.tiers[kind] = (struct results_tier){r->core.tiers[kind].present && r->core.cache,
                                                    r->tier_blocks[kind], r->tier_b[kind]};
    int rc = 0;
    *results = results_new(&options, &rc, run->error, sizeof run->error);
    return *results ? 0 : rc;
}

/* ---- Running ----------------------------------------------------------------------------------------- */

static int next_request(void *self, struct kvt_request *request, char *error, size_t error_size)
{
    struct wl_source *source = self;
    int got = wl_next(source, request);
    if (got < 0)
        snprintf(error, error_size, "%s", wl_source_error(source));
    return got;
}

static int drive(struct run *run, const struct resolved *resolved, struct results *results,
                 const char *label, void **kept)
{
    const struct drive d = {
        .resolved = resolved,
        .world = (enum scenario_world)run->scenario.world,
        .source = {.next = next_request, .self = run->source, .expected = run->info.requests},
        .results = results,
        .label = label,
        .stop = &stop,
    };
    return drive_run(&d, kept, run->error);
}

/* The same requests with the cache off. What it leaves is in run->baseline, or nothing when stopped. */
static int run_baseline(struct run *run)
{
    struct resolved off = run->resolved;
    off.core.cache = false;
    off.core.expected_blocks = 0;
    wl_rewind(run->source);
    int rc = new_results(run, &run->baseline, NULL);
    if (rc == 0)
        rc = drive(run, &off, run->baseline, "baseline", &run->baseline_kept);
    if (rc != 0) {
        results_free(run->baseline);
        run->baseline = NULL;
    }
    return rc;
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
    int rc = drive(run, &run->resolved, run->results, run->name, &run->kept);
    if (rc == -EINTR)
        stopped = true;
    else if (rc != 0)
        return fail(run);
    bool wanted = run->scenario.world != WORLD_NULL && !run->arguments.no_baseline &&
                  run->resolved.core.cache;
    if (wanted && !stopped) {
        rc = run_baseline(run);
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
    return rc == -ENOMEM || rc == -EIO || rc == -ENOSPC ? EXIT_FAILED : EXIT_BAD_INPUT;
}

static void release(struct run *run)
{
    results_free(run->results);
    results_free(run->baseline);
    free(run->kept);
    free(run->baseline_kept);
    wl_close(run->source);
    catalog_free(run->catalog);
    scenario_release(&run->scenario);
}

static int run_scenario(struct run *run)
{
    int rc = load_scenario(run);
    if (rc == 0)
        rc = load_catalog(run);
    if (rc == 0 && run->arguments.explain) {
        rc = explain(run);
    } else if (rc == 0) {
        rc = open_workload(run);
        if (rc == 0)
            rc = resolve_run(run);
    }
    if (rc == -ENOSPC) { /* of resolve: the model does not fit */
        if (!run->arguments.json)
            print_budget(run);
        rc = -EINVAL;
    }
    if (rc != 0)
        return refuse(run, rc);
    if (run->arguments.explain)
        return EXIT_DONE;

    name_scenario(run);
    const char *out = run->arguments.out;
    if (out)
        rc = (size_t)snprintf(run->dir, sizeof run->dir, "%s", out) < sizeof run->dir
                 ? 0
                 : -ENAMETOOLONG;
    else
        rc = results_default_dir(run->dir, sizeof run->dir, run->name, world_name(run));
    if (rc != 0)
        snprintf(run->error, sizeof run->error, "--out: expected a shorter path");
    else
        rc = new_results(run, &run->results, run->dir);
    if (rc != 0)
        return refuse(run, rc);
    catch_signals();
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
