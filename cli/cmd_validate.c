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
 * With --calibrate the profile is made here, and the simulation goes last:
 *
 *      measure -> real run -> measure -> real run -> measure -> fit of all -> simulation -> comparisons
 *
 * for a machine that others share is faster or slower by a tenth some minutes later, which no constant can know.
 *
 * Ctrl-C ends it without a verdict: half a comparison is none.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calibrate_run.h"
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

enum { SETS_MOST = 256, ROUNDS_MOST = 99, BLOCK_MOST = 4096 };

/* Without a word on p95, so many times the tolerance at p50: a tail has fewer samples. */
static const double tail_tolerance = 2.5;

struct arguments {
    struct session_arguments session;
    struct validate_tolerance tolerance;
    uint64_t rounds;
    const char *out;
    const char *sets[SETS_MOST + 1]; /* and one of our own */
    bool json, calibrate, quick;
};

/* Everything of one `validate`; released by release(). */
struct run {
    struct arguments arguments;
    struct session session;
    struct meter *real, sim;          /* one for each round; empty once it was compared */
    struct calibrate_options options; /* --calibrate */
    struct calibrate_run machine;
    char profile[PATH_MAX], made[96]; /* as people are told of it; as it is opened */
    struct results_real world;        /* what the real one said of itself */
    struct validation
        *rounds; /* each real run beside the simulation; in the end the first is all of them */
    struct results_dir folder;
    char dir[PATH_MAX], name[NAME_MAX + 1];
    char error[SCENARIO_ERROR_SIZE];
};

static const char help[] =
    "usage: kvtwin validate SCENARIO [--profile FILE] [--tolerance P[,P]] [--floor DURATION]\n"
    "                       [--calibrate] [--rounds N] [--set KEY=VALUE]... [--out FOLDER] "
    "[--json]\n"
    "\n"
    "Runs a scenario in the real world and in the simulated one, on the same requests, and shows "
    "how\n"
    "far the two are apart: for each tier and stage count, p50, p95, p99, mean and the whole\n"
    "distribution; hits, evictions and keys exactly, with the cause of every difference.\n"
    "\n"
    "  --profile FILE     constants of this machine, from kvtwin calibrate, for both worlds\n"
    "  --calibrate        instead: measures this machine before the first real run and after "
    "each, on\n"
    "                     transfers of its own, and leaves the profile in the folder. Machines "
    "drift;\n"
    "                     so both worlds get the same minutes\n"
    "  --quick            fewer and shorter measurements, for --calibrate\n"
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
        else if (strcmp(name, "--calibrate") == 0)
            a->calibrate = true;
        else if (strcmp(name, "--quick") == 0)
            a->quick = true;
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
    if (a->quick && !a->calibrate)
        return bad("--quick", "expected with --calibrate, whose measurements it shortens");
    if (a->calibrate && a->session.profile)
        return bad("--calibrate", "expected without --profile: it makes one");
    int code = tolerance ? parse_tolerance(&a->tolerance, tolerance) : EXIT_DONE;
    return code == EXIT_DONE && least ? parse_floor(&a->tolerance, least) : code;
}

/* ---- Input --------------------------------------------------------------------------------------- */

/* Everything that the worlds run on. Returns an exit code, EXIT_DONE to go on. */
static int read_input(struct run *run)
{
    struct session *s = &run->session;
    session_close(s);
    *s = (struct session){.trace = ""};
    int rc = session_load(s, &run->arguments.session);
    if (rc == 0)
        rc = session_workload(s);
    if (rc == 0)
        rc = session_resolve(s);
    if (rc == 0)
        return EXIT_DONE;
    fprintf(stderr, "%s\n", s->error);
    return rc == -ENOSPC ? EXIT_BAD_INPUT : session_exit(rc);
}

/* What can be known to be wrong before minutes are spent; and which KV it is that calibrate moves. */
static int look_ahead(struct run *run)
{
    struct session *s = &run->session;
    int rc = session_load(s, &run->arguments.session);
    if (rc == 0)
        rc = session_workload(s);
    if (rc != 0) {
        fprintf(stderr, "%s\n", s->error);
        return session_exit(rc);
    }
    run->options = calibrate_usual("kvtwin validate");
    run->options.quick = run->arguments.quick;
    run->options.threads = s->scenario.real.threads;
    const uint64_t tokens = s->scenario.cache.block_tokens;
    if (tokens >= 1 && tokens <= BLOCK_MOST) /* else the trace's own, which only resolving knows */
        run->options.block_tokens = tokens;
    return EXIT_DONE;
}

static int open_folder(struct run *run)
{
    const struct arguments *a = &run->arguments;
    session_name(&run->session, run->name, sizeof run->name);
    int rc = a->out ? ((size_t)snprintf(run->dir, sizeof run->dir, "%s", a->out) < sizeof run->dir
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

/* Fits all that was measured so far, and reads the input anew with what comes of it. */
static int fit_machine(struct run *run)
{
    int rc = calibrate_fit(&run->machine.c);
    if (rc == 0)
        rc = calibrate_write_profile(&run->machine.c, run->made);
    if (rc != 0) {
        fprintf(stderr, "kvtwin validate: %.200s: %s\n", run->profile, strerror(-rc));
        return EXIT_FAILED;
    }
    return read_input(run);
}

/* The first look at this machine: all of it, and last what drifts most, since a real run comes next. The profile is
 * written into the folder that is not there yet. */
static int calibrate_first(struct run *run)
{
    if ((size_t)snprintf(run->profile, sizeof run->profile, "%s/%s", run->dir, validate_profile) >=
        sizeof run->profile)
        return bad("--out", "expected a shorter path");
    snprintf(run->made, sizeof run->made, "/proc/self/fd/%d/%s", run->folder.fd, validate_profile);
    static const enum calibrate_part parts[] = {CALIBRATE_COPIES, CALIBRATE_CODECS_PART,
                                                CALIBRATE_DISK, CALIBRATE_REDIS,
                                                CALIBRATE_TRANSFERS};
    int code = calibrate_run_open(&run->machine, &run->options);
    if (code == EXIT_DONE)
        code = calibrate_run_parts(&run->machine, parts, sizeof parts / sizeof *parts);
    run->arguments.session.profile = run->made;
    return code == EXIT_DONE ? fit_machine(run) : code;
}

/* Between real runs, and after them: what drifts most, as far as the scenario has to do with it. */
static int calibrate_more(struct run *run)
{
    static const enum calibrate_part parts[] = {CALIBRATE_REDIS, CALIBRATE_TRANSFERS};
    for (int t = KVT_GPU; t < KVT_TIERS; t++)
        if (run->session.resolved.core.tiers[t].present) /* engines' own memory always is */
            run->machine.c.config.again |= 1u << t;
    return calibrate_run_parts(&run->machine, parts, 2);
}

/* Reads and checks everything, and opens the folder. Returns an exit code, EXIT_DONE to go on. */
static int prepare(struct run *run)
{
    const bool makes = run->arguments.calibrate;
    int code = makes ? look_ahead(run) : read_input(run);
    if (code == EXIT_DONE)
        code = open_folder(run);
    stop_catch();
    return code == EXIT_DONE && makes ? calibrate_first(run) : code;
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
        .profile = run->arguments.calibrate ? run->profile : run->arguments.session.profile,
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

/* A real run beside the simulation. */
static int compare(struct run *run, size_t i)
{
    int rc = validate_compare(&run->rounds[i], &run->real[i], &run->sim,
                              &run->session.resolved.core, &run->arguments.tolerance);
    meter_release(&run->real[i]);
    if (rc != 0)
        snprintf(run->error, sizeof run->error, "out of memory");
    return rc;
}

/* One set of constants: simulation, then real runs. */
static int play(struct run *run, size_t n)
{
    int rc = drive(run, WORLD_SIM, &run->sim, "sim");
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = drive(run, WORLD_REAL, &run->real[i], "real");
        if (rc == 0)
            rc = compare(run, i);
    }
    return rc;
}

/* Real runs and measurements in turn, then the simulation. 0; a negative errno; or 1 when it was said already. */
static int play_between(struct run *run, size_t n)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = drive(run, WORLD_REAL, &run->real[i], "real");
        if (rc == 0)
            rc = calibrate_more(run) == EXIT_DONE ? 0 : 1;
    }
    calibrate_run_rest(&run->machine);
    if (rc == 0)
        rc = fit_machine(run) == EXIT_DONE ? 0 : 1;
    if (rc == 0)
        rc = drive(run, WORLD_SIM, &run->sim, "sim");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = compare(run, i);
    return rc;
}

static int execute(struct run *run)
{
    const size_t n = (size_t)run->arguments.rounds;
    run->rounds = calloc(n, sizeof *run->rounds);
    run->real = calloc(n, sizeof *run->real);
    int rc = -ENOMEM;
    if (run->rounds && run->real)
        rc = (run->arguments.calibrate ? play_between : play)(run, n);
    if (rc == -EINTR)
        snprintf(run->error, sizeof run->error, "interrupted: nothing was compared");
    if (rc == 0 && n > 1)
        rc = validate_rounds(run->rounds, n);
    if (rc == -ENOMEM && !run->error[0])
        snprintf(run->error, sizeof run->error, "out of memory");
    if (rc == 0)
        rc = show(run);
    if (rc < 0)
        fprintf(stderr, "kvtwin validate: %s\n", run->error);
    if (rc != 0)
        return EXIT_FAILED;
    return run->rounds[0].within ? EXIT_DONE : EXIT_OUTSIDE;
}

static void release(struct run *run)
{
    results_dir_abort(&run->folder);
    for (size_t i = 0; run->rounds && i < run->arguments.rounds; i++)
        validate_release(&run->rounds[i]);
    for (size_t i = 0; run->real && i < run->arguments.rounds; i++)
        meter_release(&run->real[i]);
    free(run->rounds);
    free(run->real);
    meter_release(&run->sim);
    if (run->arguments.calibrate)
        calibrate_run_close(&run->machine);
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
        if (code == EXIT_DONE)
            code = execute(run);
        release(run);
    }
    free(run);
    return code;
}
