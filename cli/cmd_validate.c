/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_validate.c - kvtwin validate SCENARIO: the same requests in the real world and in the
 * simulated one, and how far the two are apart.
 *
 *      arguments -> session (as for run --world real) -> folder        all input is checked
 *                -> simulation, metered -> real runs, metered          one set of constants, one workload
 *                -> comparison of each -> medians -> files, picture, table -> verdict
 *
 * The simulation goes first: it takes a moment, and what cannot be simulated need not be waited
 * for. Both worlds run on the same resolved numbers, the profile's where one is given. The
 * profile was fitted on transfers that calibrate made up; what is compared here is the
 * scenario's own traffic, which the fit has not seen.
 *
 * Ctrl-C ends it without a verdict: half a comparison is none.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "drive.h"
#include "option.h"
#include "picture.h"
#include "results.h"
#include "results_dir.h"
#include "session.h"
#include "stop.h"
#include "units.h"
#include "validate.h"
#include "version.h"

enum { SETS_MOST = 256, ROUNDS_MOST = 99 };

/* Without a word on p95, so many times the tolerance at p50: a tail has fewer samples. */
static const double tail_tolerance = 2.5;

struct arguments {
    struct session_arguments session;
    struct validate_tolerance tolerance;
    uint64_t rounds;
    const char *out;
    const char *sets[SETS_MOST + 1]; /* and one of our own */
    bool json;
};

/* Everything of one `validate`; released by release(). */
struct run {
    struct arguments arguments;
    struct session session;
    struct meter real, sim;
    struct results_real world; /* what the real one said of itself */
    struct validation
        *rounds; /* each real run beside the simulation; in the end the first is all of them */
    struct results_dir folder;
    char dir[PATH_MAX], name[NAME_MAX + 1];
    char error[SCENARIO_ERROR_SIZE];
};

static const char help[] =
    "usage: kvtwin validate SCENARIO [--profile FILE] [--tolerance P[,P]] [--floor DURATION]\n"
    "                       [--rounds N] [--set KEY=VALUE]... [--out FOLDER] [--json]\n"
    "\n"
    "Runs a scenario in the real world and in the simulated one, on the same requests, and shows "
    "how\n"
    "far the two are apart: for each tier and stage count, p50, p95, p99, mean and the whole\n"
    "distribution; hits, evictions and keys exactly, with the cause of every difference.\n"
    "\n"
    "  --profile FILE     constants of this machine, from kvtwin calibrate, for both worlds\n"
    "  --tolerance P,P    relative errors allowed at p50 and at p95; one alone is p50's, and p95 "
    "may\n"
    "                     be off 2.5 times as far (default 10%,25%)\n"
    "  --floor DURATION   differences below are none (default 20us)\n"
    "  --rounds N         real runs, whose medians are judged and whose spread is shown (default "
    "1)\n"
    "  --set KEY=VALUE    changes one value, as for run\n"
    "  --out FOLDER       for tables and pictures; default results/<name of the "
    "scenario>-validate\n"
    "  --json             prints summary.json instead of the tables\n"
    "\n"
    "Loaded KV is not compared byte for byte, as run does, for that takes time which a simulation "
    "knows\n"
    "nothing of; --set real.verify=true does it all the same.\n"
    "\n"
    "A row with fewer than 20 samples in either world is shown, but not judged. Exit codes: 0 "
    "within\n"
    "tolerance, 1 failed or interrupted, 2 bad input, 3 beyond tolerance.\n";

/* ---- Arguments ----------------------------------------------------------------------------------- */

static int bad(const char *what, const char *expected)
{
    fprintf(stderr, "kvtwin validate: %.200s: %s\n", what, expected);
    return EXIT_BAD_INPUT;
}

/* "10%", "0.1" or "10%,25%". */
static int parse_tolerance(struct validate_tolerance *t, const char *text)
{
    static const char expected[] = "expected an error such as 10%, or two such as 10%,25%";
    char first[64];
    const char *comma = strchr(text, ',');
    size_t n = comma ? (size_t)(comma - text) : strlen(text);
    double p50, p95;
    if (n >= sizeof first)
        return bad("--tolerance", expected);
    snprintf(first, sizeof first, "%.*s", (int)n, text);
    if (units_ratio(first, &p50, NULL) != 0 || p50 > 2)
        return bad("--tolerance", expected);
    p95 = tail_tolerance * p50;
    if (comma && (units_ratio(comma + 1, &p95, NULL) != 0 || p95 > 5))
        return bad("--tolerance", expected);
    t->p50 = p50;
    t->p95 = p95;
    return EXIT_DONE;
}

static int parse_floor(struct validate_tolerance *t, const char *text)
{
    kvt_ns floor_ns;
    const char *why;
    if (units_duration(text, &floor_ns, &why) != 0)
        return bad("--floor", why);
    t->floor_ns = (double)floor_ns;
    return EXIT_DONE;
}

/* Returns EXIT_DONE to go on, or an exit code; *asked is set when help was wanted. */
static int parse_arguments(struct arguments *a, int argc, char **argv, bool *asked)
{
    const char *tolerance = NULL, *least = NULL, *rounds = "1", *why;
    a->tolerance = validate_default;
    a->session.world = "real";
    a->session.sets = a->sets;
    a->sets[a->session.n_sets++] = "real.verify=false"; /* a later one counts */
    for (int i = 1; i < argc; i++) {
        const char *value = "", *name = argv[i];
        if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
            *asked = true;
            return EXIT_DONE;
        }
        if (strcmp(name, "--json") == 0)
            a->json = true;
        else if (option_value(argc, argv, &i, "--profile", &value))
            a->session.profile = value;
        else if (option_value(argc, argv, &i, "--tolerance", &value))
            tolerance = value;
        else if (option_value(argc, argv, &i, "--floor", &value))
            least = value;
        else if (option_value(argc, argv, &i, "--rounds", &value))
            rounds = value;
        else if (option_value(argc, argv, &i, "--out", &value))
            a->out = value;
        else if (option_value(argc, argv, &i, "--set", &value)) {
            if (a->session.n_sets > SETS_MOST)
                return bad("--set", "expected at most 256 times");
            a->sets[a->session.n_sets++] = value;
        } else if (name[0] == '-')
            return bad(name, "unknown option, see kvtwin validate --help");
        else if (a->session.scenario)
            return bad(name, "expected one scenario");
        else
            a->session.scenario = name;
        if (!value || (value[0] == '\0' && strchr(name, '=')))
            return bad(name, "expected a value");
    }
    if (!a->session.scenario)
        return bad("SCENARIO", "expected a file, such as scenarios/real-local.yaml");
    if (units_count(rounds, &a->rounds, &why) != 0 || a->rounds < 1 || a->rounds > ROUNDS_MOST)
        return bad("--rounds", "expected a number from 1 to 99");
    int code = tolerance ? parse_tolerance(&a->tolerance, tolerance) : EXIT_DONE;
    return code == EXIT_DONE && least ? parse_floor(&a->tolerance, least) : code;
}

/* ---- Input --------------------------------------------------------------------------------------- */

/* Reads and checks everything, and opens the folder. Returns an exit code, EXIT_DONE to go on. */
static int prepare(struct run *run)
{
    struct session *s = &run->session;
    const struct arguments *a = &run->arguments;
    int rc = session_load(s, &a->session);
    if (rc == 0)
        rc = session_workload(s);
    if (rc == 0)
        rc = session_resolve(s);
    if (rc != 0) {
        fprintf(stderr, "%s\n", s->error);
        return rc == -ENOSPC ? EXIT_BAD_INPUT : session_exit(rc);
    }
    session_name(s, run->name, sizeof run->name);
    rc = a->out ? ((size_t)snprintf(run->dir, sizeof run->dir, "%s", a->out) < sizeof run->dir
                       ? 0
                       : -ENAMETOOLONG)
                : results_default_dir(run->dir, sizeof run->dir, run->name, "validate");
    if (rc != 0)
        return bad("--out", "expected a shorter path");
    rc = results_dir_open(&run->folder, run->dir, run->error, sizeof run->error);
    if (rc != 0)
        fprintf(stderr, "%s\n", run->error);
    return rc == 0 ? EXIT_DONE : session_exit(rc);
}

/* ---- Running ------------------------------------------------------------------------------------- */

/* One world. Figures of the run itself are not wanted, so they stay in memory and go. */
static int drive(struct run *run, enum scenario_world world, struct meter *meter, const char *label)
{
    struct session *s = &run->session;
    const struct results_options options = {
        .world = label,
        .scenario_name = run->name,
        .engines = s->resolved.core.engines,
        .block_tokens = s->resolved.core.block_tokens,
        .page_tokens = s->resolved.core.page_tokens,
        .interval_ns = KVT_NEVER,
        .expected_requests = s->info.requests,
    };
    int rc = 0;
    void *kept = NULL;
    struct results *results = results_new(&options, &rc, run->error, sizeof run->error);
    if (!results)
        return rc;
    const struct drive d = {
        .resolved = &s->resolved,
        .world = world,
        .plan = &s->plan,
        .meter = meter,
        .source = session_source(s),
        .results = results,
        .label = label,
        .stop = &stop_wanted,
    };
    rc = drive_run(&d, &kept, run->error);
    if (rc == 0 && world == WORLD_REAL)
        run->world = *results_real(results);
    results_free(results);
    free(kept);
    if (rc == 0 && meter->error) {
        rc = meter->error;
        snprintf(run->error, sizeof run->error, "out of memory for what the %s world did", label);
    }
    return rc;
}

/* Pictures are a help, not the result: without gnuplot there is a message and no picture. */
static void draw(const struct run *run)
{
    char scripts[PATH_MAX], why[PATH_MAX], subtitle[512];
    const struct validation *v = &run->rounds[0];
    snprintf(subtitle, sizeof subtitle,
             "%.100s: %llu requests, %.60s on %.60s, GPU time modelled; %s", run->name,
             (unsigned long long)v->requests, run->session.scenario.cluster.model,
             run->session.scenario.cluster.gpu,
             run->arguments.session.profile ? "constants fitted by calibrate on other transfers"
                                            : "constants of the catalogue");
    int rc = picture_scripts(scripts, why, sizeof why);
    if (rc == 0)
        rc = picture_draw(run->dir, scripts, "validate", subtitle, why, sizeof why);
    if (rc != 0)
        fprintf(stderr, "kvtwin validate: no picture: %s\n", why);
}

/* Writes, draws, prints. */
static int show(struct run *run)
{
    const struct scenario *s = &run->session.scenario;
    const struct validation *v = &run->rounds[0];
    const struct validate_title title = {
        .scenario = run->arguments.session.scenario,
        .scenario_name = run->name,
        .scenario_sha256 = run->session.sha256,
        .revision = kvtwin_revision(),
        .profile = run->arguments.session.profile,
        .model = s->cluster.model,
        .gpu = s->cluster.gpu,
        .seed = s->seed,
        .real = &run->world,
    };
    int rc = validate_write(run->folder.fd, v, &title);
    if (rc != 0)
        snprintf(run->error, sizeof run->error, "%.200s: %s; earlier results are kept", run->dir,
                 strerror(-rc));
    else
        rc = results_dir_install(&run->folder, run->error, sizeof run->error);
    if (rc != 0)
        return rc;
    draw(run);
    if (run->arguments.json) {
        char *json = validate_json(v, &title);
        rc = json ? 0 : -ENOMEM;
        fputs(json ? json : "", stdout);
        free(json);
    } else {
        validate_print(stdout, v, &title, isatty(STDOUT_FILENO) == 1);
        printf("\nTables and pictures are in %s\n", run->dir);
    }
    if (rc == 0 && fflush(stdout) != 0 && errno != EPIPE)
        rc = -errno;
    if (rc != 0)
        snprintf(run->error, sizeof run->error, "the result cannot be printed: %s", strerror(-rc));
    return rc;
}

/* One real run and its comparison. */
static int play_round(struct run *run, size_t i)
{
    meter_release(&run->real);
    int rc = drive(run, WORLD_REAL, &run->real, "real");
    if (rc != 0)
        return rc;
    rc = validate_compare(&run->rounds[i], &run->real, &run->sim, &run->session.resolved.core,
                          &run->arguments.tolerance);
    if (rc != 0)
        snprintf(run->error, sizeof run->error, "out of memory");
    return rc;
}

static int execute(struct run *run)
{
    const size_t n = (size_t)run->arguments.rounds;
    run->rounds = calloc(n, sizeof *run->rounds);
    int rc = run->rounds ? drive(run, WORLD_SIM, &run->sim, "sim") : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = play_round(run, i);
    if (rc == -EINTR)
        snprintf(run->error, sizeof run->error, "interrupted: nothing was compared");
    if (rc == 0 && n > 1)
        rc = validate_rounds(run->rounds, n);
    if (rc == -ENOMEM && !run->error[0])
        snprintf(run->error, sizeof run->error, "out of memory");
    if (rc == 0)
        rc = show(run);
    if (rc != 0) {
        fprintf(stderr, "kvtwin validate: %s\n", run->error);
        return EXIT_FAILED;
    }
    return run->rounds[0].within ? EXIT_DONE : EXIT_OUTSIDE;
}

static void release(struct run *run)
{
    results_dir_abort(&run->folder);
    for (size_t i = 0; run->rounds && i < run->arguments.rounds; i++)
        validate_release(&run->rounds[i]);
    free(run->rounds);
    meter_release(&run->real);
    meter_release(&run->sim);
    session_close(&run->session);
}

int cmd_validate(int argc, char **argv)
{
    bool asked = false;
    struct run *run = calloc(1, sizeof *run);
    if (!run) {
        fputs("kvtwin validate: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    int code = parse_arguments(&run->arguments, argc, argv, &asked);
    if (asked) {
        fputs(help, stdout);
    } else if (code == EXIT_DONE) {
        code = prepare(run);
        stop_catch();
        if (code == EXIT_DONE)
            code = execute(run);
        release(run);
    }
    free(run);
    return code;
}
