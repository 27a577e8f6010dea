/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_sweep.c - kvtwin sweep SCENARIO --vary KEY=RANGE...: every point of a grid, on all cores or all ranks.
 *
 *      arguments -> every run checked -> folder, stored runs -> the others -> files, pictures, table
 *
 * A finished run is kept at once. Whatever ends a sweep (Ctrl-C, a kill, a power cut), the same command goes on where
 * it was, and what it leaves does not show that it was interrupted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "grid_table.h"
#include "points.h"
#include "progress.h"
#include "results.h"
#include "stop.h"
#include "sweep.h"

enum { ROWS_SHOWN = 60 };

struct run {
    struct lab_arguments arguments;
    struct lab lab;
    struct sweep sweep;
    struct sweep_ranks ranks;
    size_t failed;
    char dir[PATH_MAX], error[SCENARIO_ERROR_SIZE];
};

static const char help[] =
    "usage: kvtwin sweep SCENARIO --vary KEY=VALUES [--vary ...] [--replications N]\n"
    "                    [--world null|sim] [--set KEY=VALUE]... [--metrics M,M]\n"
    "                    [--profile FILE] [--jobs N] [--out FOLDER] [--json]\n"
    "       mpirun ... kvtwin sweep ...        over all ranks; in a build by `make mpi`\n"
    "\n"
    "Runs every point of a grid and draws curves, and for two numeric keys heat maps. A sweep that "
    "was\n"
    "stopped or killed goes on where it was when it is called again.\n"
    "\n"
    "  --vary KEY=A,B,C             these values; KEY as for --set\n"
    "  --vary KEY=LOW..HIGH step S  from LOW by S, not beyond HIGH\n"
    "  --vary KEY=LOW..HIGH log N   N values, each the same factor above the one before\n"
    "  --replications N             each point N times, with the seeds from the scenario's on, the "
    "same\n"
    "                               at every point; figures are means with 95 % intervals\n"
    "  --metrics M,M                numbers of summary.json to show and draw; sweep.csv has all\n"
    "  --jobs N                     runs at a time; default one per processor, per rank 1\n"
    "  --out FOLDER                 default results/<name of the scenario>-sweep\n"
    "  --json                       prints summary.json instead of the table\n"
    "\n"
    "The folder gets sweep.csv, summary.json, pictures, and runs/ with a file per finished run. "
    "Exit\n"
    "codes: 0 done, 1 failed or interrupted, 2 bad input.\n";

/* Under mpirun all ranks find the same mistake: one of them tells it. */
static int refuse(const struct run *run, const char *line)
{
    if (run->ranks.rank == 0)
        fprintf(stderr, "%s\n", line);
    return EXIT_BAD_INPUT;
}

/* Returns an exit code, EXIT_DONE to go on. */
static int parse_arguments(struct run *run, int argc, char **argv, bool *asked)
{
    struct lab_arguments *a = &run->arguments;
    char line[SCENARIO_ERROR_SIZE + 32];
    lab_arguments_init(a, "--vary", argc, argv);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *asked = true;
            return EXIT_DONE;
        }
        int took = lab_option(a, argc, argv, &i, run->error);
        if (took == 0)
            snprintf(run->error, sizeof run->error,
                     "%.200s: unknown option, see kvtwin sweep --help", argv[i]);
        if (took <= 0) {
            snprintf(line, sizeof line, "kvtwin sweep: %s", run->error);
            return refuse(run, line);
        }
    }
    if (!a->session.scenario)
        return refuse(run,
                      "kvtwin sweep: SCENARIO: expected a file, such as scenarios/quickstart.yaml");
    if (a->vary.n_keys == 0)
        return refuse(run, "kvtwin sweep: --vary: expected at least one KEY=VALUES");
    if (run->ranks.size > 0 && !sweep_has_mpi())
        return refuse(
            run,
            "kvtwin sweep: mpirun: this kvtwin is built without MPI: install Open MPI (Debian: "
            "libopenmpi-dev openmpi-bin), then make mpi, and run build/mpi/kvtwin");
    if (run->ranks.size > 0 && a->jobs == 0)
        a->jobs = 1;
    return EXIT_DONE;
}

static int choose_metrics(struct run *run)
{
    const char *list = run->arguments.metrics;
    struct figures *known = list ? calloc(1, sizeof *known) : NULL, *metrics = &run->sweep.metrics;
    int rc = list && !known ? -ENOMEM : 0;
    if (known) {
        rc = figures_known(known);
        if (rc == 0)
            rc = figures_parse(metrics, known, list, "--metrics", run->error, sizeof run->error);
        for (size_t i = 0; i < metrics->n; i++)
            lab_want(&run->lab, metrics->name[i]);
    }
    run->lab.rollout = run->lab.rollout || !list;
    free(known);
    return rc;
}

/* ---- The folder -------------------------------------------------------------------------------------- */

static int make_folder(char *path)
{
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        int rc = mkdir(path, 0777) != 0 && errno != EEXIST ? -errno : 0;
        *at = '/';
        if (rc != 0)
            return rc;
    }
    return mkdir(path, 0777) != 0 && errno != EEXIST ? -errno : 0;
}

/* Empty, or a sweep's? */
static bool is_ours(int dirfd)
{
    struct stat st;
    if (fstatat(dirfd, "runs", &st, AT_SYMLINK_NOFOLLOW) == 0)
        return S_ISDIR(st.st_mode);
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    size_t n = 0;
    while (stream && readdir(stream))
        n++;
    if (stream)
        closedir(stream);
    return n <= 2; /* . and .. */
}

static int open_folder(struct run *run)
{
    const struct lab_arguments *a = &run->arguments;
    struct sweep *s = &run->sweep;
    int rc = a->out ? ((size_t)snprintf(run->dir, sizeof run->dir, "%s", a->out) < sizeof run->dir
                           ? 0
                           : -ENAMETOOLONG)
                    : results_default_dir(run->dir, sizeof run->dir, run->lab.name, "sweep");
    if (rc == 0)
        rc = make_folder(run->dir);
    if (rc == 0) {
        s->dirfd = open(run->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = s->dirfd < 0 ? -errno : 0;
    }
    if (rc != 0) {
        snprintf(run->error, sizeof run->error, "%.300s: %s", run->dir, strerror(-rc));
        return rc;
    }
    if (!is_ours(s->dirfd)) {
        snprintf(run->error, sizeof run->error,
                 "%.300s: expected an empty folder or an earlier sweep: it holds other files",
                 run->dir);
        return -EEXIST;
    }
    char why[SCENARIO_ERROR_SIZE];
    rc = sweep_begin(s, why);
    if (rc != 0)
        snprintf(run->error, sizeof run->error, "%.200s: %.250s", run->dir, why);
    return rc;
}

/* Returns an exit code, EXIT_DONE to go on. */
static int prepare(struct run *run)
{
    run->lab.arguments = &run->arguments;
    run->sweep.lab = &run->lab;
    int rc = choose_metrics(run);
    if (rc == 0) {
        rc = lab_open(&run->lab);
        memcpy(run->error, run->lab.error, sizeof run->error);
    }
    if (rc == 0 && run->ranks.rank == 0)
        rc = open_folder(run);
    if (rc == 0)
        return EXIT_DONE;
    refuse(run, *run->error ? run->error : "kvtwin sweep: out of memory");
    return session_exit(rc);
}

/* ---- Running ----------------------------------------------------------------------------------------- */

static int work(void *self, size_t i, char **bytes, size_t *n, char *error)
{
    struct run *run = self;
    struct lab_result result;
    int rc = lab_run(&run->lab, i, &stop_wanted, &result, error);
    if (rc != 0)
        return rc;
    *bytes = result.json;
    *n = strlen(result.json);
    return 0;
}

static int prepare_run(void *self, size_t i, char *error)
{
    return lab_prepare(&((struct run *)self)->lab, i, error);
}

static int done(void *self, size_t i, const char *bytes, size_t n, const char *error)
{
    struct run *run = self;
    struct sweep_point *point = &run->sweep.points[lab_point(&run->lab, i)];
    if (!bytes) {
        run->failed++;
        if (!point->error)
            point->error = strdup(*error ? error : "failed");
        return 0;
    }
    int rc = sweep_keep(&run->sweep, i, bytes, n);
    if (rc != 0)
        snprintf(run->error, sizeof run->error, "%.200s/runs: %s", run->dir, strerror(-rc));
    return rc;
}

static int run_all(struct run *run)
{
    struct sweep *s = &run->sweep;
    const struct points points = {.todo = s->todo,
                                  .n = s->n_todo,
                                  .jobs = run->arguments.jobs,
                                  .self = run,
                                  .prepare = prepare_run,
                                  .work = work,
                                  .done = done,
                                  .label = "sweep",
                                  .finished = s->found,
                                  .all = run->lab.n_runs,
                                  .stop = &stop_wanted};
    return run->ranks.size > 0 ? sweep_mpi_run(&points, run->error)
                               : points_run(&points, run->error);
}

static const char *state(void *self, size_t point)
{
    const struct sweep_point *p = &((struct sweep *)self)->points[point];
    return p->runs > 0 ? NULL : p->error ? p->error : "not run";
}

static void print(struct run *run)
{
    struct sweep *s = &run->sweep;
    char title[512];
    const struct grid_table table = {.vary = &run->arguments.vary,
                                     .metrics = &s->metrics,
                                     .get = sweep_get,
                                     .state = state,
                                     .self = s,
                                     .bounds = run->arguments.replications > 1,
                                     .rows_most = ROWS_SHOWN,
                                     .colour = isatty(STDOUT_FILENO) == 1};
    printf("%s\n", lab_describe(&run->lab, title, sizeof title));
    if (*run->lab.session.scenario.question)
        printf("%s\n", run->lab.session.scenario.question);
    fputc('\n', stdout);
    grid_table_print(stdout, &table);
    if (run->arguments.replications > 1)
        printf("\nmeans of %u replications, with half of the 95 %% interval%s\n",
               run->arguments.replications,
               s->identical ? "; they are all the same: nothing in this scenario is drawn" : "");
    printf("\n%zu points, %zu runs: %zu found, %zu done now", run->arguments.vary.points,
           run->lab.n_runs, s->found, s->finished);
    if (s->damaged > 0)
        printf(", %zu of them because what was stored was damaged", s->damaged);
    printf("; tables and pictures are in %s\n", run->dir);
}

/* Files, pictures, table: of what there is. */
static int show(struct run *run)
{
    struct sweep *s = &run->sweep;
    char why[PATH_MAX];
    size_t damaged = s->damaged;
    int rc = sweep_gather(s);
    s->damaged = damaged; /* seen twice */
    if (rc == 0 && s->metrics.n == 0)
        grid_default_metrics(&s->metrics, &run->arguments.vary,
                             run->lab.session.scenario.world == WORLD_NULL, sweep_get, s);
    if (rc == 0)
        rc = sweep_write(s);
    if (rc != 0) {
        snprintf(run->error, sizeof run->error, "%.200s: %s", run->dir, strerror(-rc));
        return rc;
    }
    if (run->ranks.size > 0) {
        sweep_mpi_spread();
        run->arguments.jobs = 0;
    }
    if (!stop_wanted && sweep_draw(s, run->dir, why, sizeof why) != 0)
        fprintf(stderr, "kvtwin sweep: no pictures: %s\n", why);
    if (run->arguments.json) {
        char *json = sweep_json(s);
        fputs(json ? json : "", stdout);
        rc = json ? 0 : -ENOMEM;
        free(json);
    } else {
        print(run);
    }
    return rc == 0 && fflush(stdout) != 0 && errno != EPIPE ? -errno : rc;
}

static int execute(struct run *run)
{
    struct sweep *s = &run->sweep;
    int rc = run_all(run);
    if (run->ranks.rank != 0)
        return rc == 0 ? EXIT_DONE : EXIT_FAILED;
    bool stopped = rc == -EINTR;
    size_t missing = run->lab.n_runs - s->found - s->finished - run->failed;
    if (rc == 0 || stopped)
        rc = show(run);
    if (rc != 0) {
        fprintf(stderr, "kvtwin sweep: %s\n", *run->error ? run->error : strerror(-rc));
        return EXIT_FAILED;
    }
    if (stopped)
        fprintf(stderr,
                "kvtwin sweep: interrupted, %zu of %zu runs are missing: the same command goes on "
                "there\n",
                missing, run->lab.n_runs);
    if (run->failed > 0)
        fprintf(stderr, "kvtwin sweep: %zu of %zu runs failed: see state and summary.json\n",
                run->failed, run->lab.n_runs);
    return stopped || run->failed > 0 ? EXIT_FAILED : EXIT_DONE;
}

int cmd_sweep(int argc, char **argv)
{
    bool asked = false;
    struct run *run = calloc(1, sizeof *run);
    if (!run) {
        fputs("kvtwin sweep: out of memory\n", stderr);
        return EXIT_FAILED;
    }
    run->sweep.dirfd = run->sweep.store.fd = -1;
    run->ranks = sweep_ranks();
    int code = parse_arguments(run, argc, argv, &asked);
    if (asked) {
        fputs(help, stdout);
    } else if (code == EXIT_DONE) {
        code = prepare(run);
        stop_catch();
        if (code == EXIT_DONE)
            code = execute(run);
        sweep_mpi_end();
    }
    if (run->sweep.lab)
        sweep_release(&run->sweep);
    lab_close(&run->lab);
    vary_release(&run->arguments.vary);
    free(run);
    return code;
}
