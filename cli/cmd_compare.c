/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_compare.c - kvtwin compare SCENARIO --vary KEY=A,B,C: variants side by side on the same requests.
 *
 *      arguments -> every variant checked -> folder -> runs, one process each -> differences -> files, table
 *
 * Nothing is written before all variants are known to be sound. Ctrl-C ends the runs under way; the finished
 * rows are compared, written and printed, the others named.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "lab_command.h"
#include "compare.h"
#include "option.h"
#include "points.h"
#include "results.h"
#include "stop.h"

struct run {
    struct lab_command base;
    const char *baseline;
    struct comparison comparison;
};

static const char help[] =
    "usage: kvtwin compare SCENARIO --vary KEY=A,B,C [--vary KEY=...] [--world null|sim]\n"
    "                      [--set KEY=VALUE]... [--metrics M,M] [--baseline N|KEY=VALUE]\n"
    "                      [--profile FILE] [--jobs N] [--out FOLDER] [--json]\n"
    "\n"
    "Runs variants of a scenario on the same requests and says how they differ, and which "
    "differences\n"
    "are noise. Several --vary make every combination.\n"
    "\n"
    "  --vary KEY=A,B,C             these values; KEY as for --set\n"
    "  --vary KEY=LOW..HIGH step S  from LOW by S, not beyond HIGH\n"
    "  --vary KEY=LOW..HIGH log N   N values, each the same factor above the one before\n"
    "  --metrics M,M                numbers of summary.json to show and draw\n"
    "  --baseline N                 differences are to row N; default the first\n"
    "  --baseline KEY=VALUE         to the row that has this value and all else the same\n"
    "  --jobs N                     runs at a time; default one per processor\n"
    "  --out FOLDER                 default results/<name of the scenario>-compare\n"
    "  --json                       prints summary.json instead of the table\n"
    "\n"
    "The folder gets compare.csv (all figures of all variants), differences.csv, summary.json and "
    "a\n"
    "picture per metric. Exit codes: 0 done, 1 failed or interrupted, 2 bad input.\n";

/* ---- Arguments --------------------------------------------------------------------------------------- */

static const struct lab_command_ops command;

static int refuse(const char *line)
{
    return lab_command_refuse(&command, line);
}

/* Returns an exit code, EXIT_DONE to go on. */
static int parse_arguments(void *self, int argc, char **argv, bool *asked)
{
    struct run *run = self;
    struct lab_arguments *a = &run->base.arguments;
    lab_arguments_init(a, "--vary", argc, argv);
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *asked = true;
            return EXIT_DONE;
        }
        if (option_value(argc, argv, &i, "--baseline", &value)) {
            if (!value || !*value)
                return refuse("--baseline: expected the number of a row, or KEY=VALUE");
            run->baseline = value;
            continue;
        }
        int took = lab_option(a, argc, argv, &i, run->base.error);
        if (took < 0)
            return refuse(run->base.error);
        if (took == 0) {
            snprintf(run->base.error, sizeof run->base.error,
                     "%.200s: unknown option, see kvtwin compare --help", argv[i]);
            return refuse(run->base.error);
        }
    }
    if (!a->session.scenario)
        return refuse("SCENARIO: expected a file, such as scenarios/quickstart.yaml");
    if (a->vary.n_keys == 0)
        return refuse("--vary: expected at least one KEY=A,B,C");
    if (a->replications > 1)
        return refuse("--replications: not here: runs are paired by request; see kvtwin sweep");
    return EXIT_DONE;
}

/* Which row each is compared with. */
static int find_references(struct run *run)
{
    struct comparison *c = &run->comparison;
    const struct vary *v = &run->base.arguments.vary;
    const char *text = run->baseline ? run->baseline : "1", *equals = strchr(text, '=');
    uint64_t row;
    if (!equals) {
        if (units_count(text, &row, NULL) != 0 || row < 1 || row > c->n) {
            snprintf(run->base.error, sizeof run->base.error,
                     "--baseline: expected a row from 1 to %zu, or KEY=VALUE", c->n);
            return -EINVAL;
        }
        for (size_t i = 0; i < c->n; i++)
            c->rows[i].reference = row - 1;
        return 0;
    }
    for (size_t k = 0; k < v->n_keys; k++) {
        if (strncmp(v->keys[k].path, text, (size_t)(equals - text)) != 0 ||
            v->keys[k].path[equals - text] != '\0')
            continue;
        for (size_t i = 0; i < v->keys[k].n; i++) {
            if (strcmp(v->keys[k].values[i].text, equals + 1) != 0)
                continue;
            for (size_t p = 0; p < c->n; p++) {
                size_t digits[VARY_KEYS_MOST];
                for (size_t d = 0; d < v->n_keys; d++)
                    digits[d] = d == k ? i : vary_digit(v, p, d);
                c->rows[p].reference = vary_point(v, digits);
            }
            return 0;
        }
    }
    snprintf(run->base.error, sizeof run->base.error,
             "--baseline: %.150s: expected one of the values that --vary gives the key", text);
    return -EINVAL;
}

static int choose_metrics(void *self)
{
    struct run *run = self;
    struct comparison *c = &run->comparison;
    run->base.lab.requests = true;
    c->lab = &run->base.lab;
    const char *list = run->base.arguments.metrics;
    struct figures *known = list ? calloc(1, sizeof *known) : NULL;
    int rc = list && !known ? -ENOMEM : 0;
    if (known) {
        rc = figures_known(known);
        if (rc == 0)
            rc = figures_parse(&c->metrics, known, list, "--metrics", run->base.error,
                               sizeof run->base.error);
        for (size_t i = 0; i < c->metrics.n; i++)
            lab_want(&run->base.lab, c->metrics.name[i]);
    }
    c->chosen = list != NULL;
    run->base.lab.rollout = run->base.lab.rollout || !list;
    free(known);
    return rc;
}

static int make_rows(void *self)
{
    struct run *run = self;
    struct comparison *c = &run->comparison;
    c->n = run->base.lab.n_runs;
    c->rows = calloc(c->n, sizeof *c->rows);
    return c->rows ? find_references(run) : -ENOMEM;
}

/* ---- Running ----------------------------------------------------------------------------------------- */

static int work(void *self, size_t i, char **bytes, size_t *n, char *error)
{
    struct run *run = self;
    struct lab_result result;
    int rc = lab_run(&run->base.lab, i, &stop_wanted, &result, error);
    if (rc == 0)
        rc = lab_pack(&result, bytes, n);
    lab_result_release(&result);
    return rc;
}

static int prepare_point(void *self, size_t i, char *error)
{
    return lab_prepare(&((struct run *)self)->base.lab, i, error);
}

static int done(void *self, size_t i, const char *bytes, size_t n, const char *error)
{
    struct run *run = self;
    struct compare_row *row = &run->comparison.rows[i];
    struct lab_result result;
    row->begun = true;
    if (!bytes) {
        row->error = strdup(*error ? error : "failed");
        run->comparison.failed++;
        return row->error ? 0 : -ENOMEM;
    }
    int rc = lab_unpack(&result, bytes, n);
    if (rc != 0)
        return rc;
    row->summary = json_loads(result.json, 0, NULL);
    free(result.json);
    row->requests = result.requests;
    row->n_requests = result.n_requests;
    return row->summary ? 0 : -ENOMEM;
}

static int run_all(struct run *run)
{
    const struct points points = {.todo = run->base.lab.order,
                                  .n = run->base.lab.n_runs,
                                  .jobs = run->base.arguments.jobs,
                                  .self = run,
                                  .prepare = prepare_point,
                                  .work = work,
                                  .done = done,
                                  .label = "compare",
                                  .stop = &stop_wanted};
    int rc = points_run(&points, run->base.error);
    struct comparison *c = &run->comparison;
    c->stopped = rc == -EINTR;
    for (size_t i = 0; i < c->n; i++)
        c->missing += !c->rows[i].begun;
    return c->stopped ? 0 : rc;
}

static int compare_all(struct run *run)
{
    struct comparison *c = &run->comparison;
    bool times = run->base.lab.session.scenario.world != WORLD_NULL;
    for (size_t i = 0; i < c->n; i++) {
        struct compare_row *row = &c->rows[i], *reference = &c->rows[row->reference];
        if (row == reference || !row->summary || !reference->summary)
            continue;
        int rc = compare_pair(row->requests, row->n_requests, reference->requests,
                              reference->n_requests, times, run->base.lab.seed, &row->pairs);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Writes, draws, prints. */
static int show(struct run *run)
{
    const struct comparison *c = &run->comparison;
    char why[PATH_MAX];
    int rc = compare_write(run->base.folder.fd, c);
    rc = lab_command_install(&run->base, rc);
    if (rc != 0)
        return rc;
    if (compare_draw(c, run->base.dir, why, sizeof why) != 0)
        fprintf(stderr, "kvtwin compare: no pictures: %s\n", why);
    if (run->base.arguments.json) {
        char *json = compare_json(c);
        rc = json ? 0 : -ENOMEM;
        fputs(json ? json : "", stdout);
        free(json);
    } else {
        compare_print(stdout, c, isatty(STDOUT_FILENO) == 1);
        printf("\nTables and pictures are in %s\n", run->base.dir);
    }
    if (rc == 0 && fflush(stdout) != 0 && errno != EPIPE)
        rc = -errno;
    return rc;
}

static int execute(void *self)
{
    struct run *run = self;
    struct comparison *c = &run->comparison;
    int rc = run_all(run);
    bool some = false;
    for (size_t i = 0; i < c->n; i++)
        some = some || c->rows[i].summary;
    if (rc == 0)
        rc = compare_all(run);
    if (rc == 0 && !some) {
        fprintf(stderr, "kvtwin compare: %s\n",
                c->stopped         ? "interrupted: no variant had finished"
                : c->rows[0].error ? c->rows[0].error
                                   : "no variant finished");
        return EXIT_FAILED;
    }
    if (rc == 0 && !c->chosen)
        compare_default_metrics(c);
    if (rc == 0)
        rc = show(run);
    if (rc != 0) {
        fprintf(stderr, "kvtwin compare: %s\n", *run->base.error ? run->base.error : strerror(-rc));
        return EXIT_FAILED;
    }
    if (c->stopped || c->missing > 0)
        fprintf(stderr, "kvtwin compare: interrupted, %zu of %zu variants are missing\n",
                c->missing, c->n);
    return c->stopped || c->missing > 0 || c->failed > 0 ? EXIT_FAILED : EXIT_DONE;
}

static void release(void *self)
{
    struct comparison *c = &((struct run *)self)->comparison;
    for (size_t i = 0; i < c->n && c->rows; i++) {
        json_decref(c->rows[i].summary);
        free(c->rows[i].requests);
        free(c->rows[i].error);
    }
    free(c->rows);
}

static const struct lab_command_ops command = {.name = "compare",
                                               .help = help,
                                               .size = sizeof(struct run),
                                               .parse = parse_arguments,
                                               .choose = choose_metrics,
                                               .checked = make_rows,
                                               .execute = execute,
                                               .release = release};

int cmd_compare(int argc, char **argv)
{
    return lab_command_main(&command, argc, argv);
}
