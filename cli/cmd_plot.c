/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_plot.c - kvtwin plot RESULTS...: pictures from the files of a run, by gnuplot.
 *
 * Each picture is one script in plots/ and becomes one SVG and one PNG inside the results
 * folder. All folders are checked before the first picture is drawn: what is not a results
 * folder ends in one line and exit 2. How a picture is drawn: picture.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "near.h"
#include "picture.h"

/* A picture, the file it reads, and the first column that this file must have. */
struct picture {
    const char *name, *file, *column, *shows;
    const char *only; /* which runs have it; others leave it out. NULL: all */
};

static const struct picture pictures[] = {
    {"ttft", "distributions.csv", "quantile", "time to first token, cache on and off", NULL},
    {"tpot", "distributions.csv", "quantile", "time per output token, cache on and off", NULL},
    {"waterfall", "stages.csv", "source", "where the time goes, by where the prefix was found",
     NULL},
    {"hitrate", "timeline.csv", "time_s", "hit rate per tier over time", NULL},
    {"occupancy", "timeline.csv", "time_s", "how full each tier is, and the queue, over time",
     NULL},
    {"ledger", "ledger.csv", "class", "what became of every prompt token", NULL},
    {"lengths", "shard_costs.csv", "policy",
     "sharded: time to first token and per token by length of the context",
     "a run of sharded engines"},
    {"placement", "placement.csv", "block", "sharded: which GPU holds which layer of a context",
     "a run of sharded engines"},
    {"shards", "shards.csv", "engine", "sharded: how evenly GPUs hold and serve KV",
     "a run of sharded engines"},
    {"faults", "fault_timeline.csv", "time_s",
     "hit rate and time to first token over time, with what broke", "a run with faults"},
    {"links", "links_over_time.csv", "link_index", "how busy each link was, over time",
     "a run in the simulated world"},
    {"rollout", "rollout.csv", "time_s", "hit rate and time to first token around a roll-out",
     "a run with a roll-out"},
    {"cost", "cost.csv", "part", "where the money goes, and what hits saved", NULL},
    {"crossover", "crossover.csv", "tier", "from which length on loading beats computing", NULL},
};

enum { PICTURES = sizeof pictures / sizeof pictures[0], SUBTITLE = 512 };

static void print_help(void)
{
    puts("usage: kvtwin plot [--only PICTURE] RESULTS...\n"
         "\n"
         "Draws the pictures of one or more runs into their results folders, as SVG and PNG.\n"
         "RESULTS is a folder that `kvtwin run` wrote, for example results/quickstart.\n"
         "\n"
         "  --only PICTURE   this one alone; may be repeated\n"
         "\n"
         "pictures:");
    for (size_t i = 0; i < PICTURES; i++)
        printf("  %-10s %s\n", pictures[i].name, pictures[i].shows);
    puts("\nNeeds gnuplot 5.4 or newer with pngcairo (Debian: gnuplot-nox).");
}

/* ---- Checking. Each returns an exit code and, if it is not 0, has printed one line. ---- */

static int bad(const char *dir, const char *file, const char *what)
{
    fprintf(stderr, "%s%s%s: %s\n", dir, *file != '\0' ? "/" : "", file, what);
    return EXIT_BAD_INPUT;
}

static int bad_errno(const char *dir, const char *file)
{
    return bad(dir, file, strerror(errno));
}

/* The first line that is no comment must begin with that column. */
static int check_csv(int dirfd, const char *dir, const struct picture *picture)
{
    int fd = openat(dirfd, picture->file, O_RDONLY | O_CLOEXEC);
    FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");
    char *line = NULL;
    size_t size = 0, n = strlen(picture->column);
    int status = EXIT_DONE;

    if (stream == NULL) {
        status = bad_errno(dir, picture->file);
        if (fd >= 0)
            close(fd);
        return status;
    }
    do {
        if (getline(&line, &size, stream) < 0) {
            status = bad(dir, picture->file, "expected a line of column names");
            break;
        }
    } while (line[0] == '#');
    if (status == EXIT_DONE && (strncmp(line, picture->column, n) != 0 || line[n] != ',')) {
        char what[96];
        snprintf(what, sizeof what, "expected columns %s,...", picture->column);
        status = bad(dir, picture->file, what);
    }
    free(line);
    fclose(stream);
    return status;
}

/* Whether the file is there and has a line after its column names. */
static bool has_lines(int dirfd, const char *file)
{
    int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
    FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");
    char *line = NULL;
    size_t size = 0;
    unsigned n = 0;

    while (stream != NULL && n < 2 && getline(&line, &size, stream) >= 0)
        n += line[0] != '#';
    free(line);
    if (stream != NULL)
        fclose(stream);
    else if (fd >= 0)
        close(fd);
    return n == 2;
}

static const char *text_of(const json_t *summary, const char *key)
{
    const char *text = json_string_value(json_object_get(summary, key));
    return text != NULL ? text : "?";
}

/* Says in one line what was run, for below the headlines. */
static void describe(const json_t *summary, char subtitle[SUBTITLE])
{
    long long engines = json_integer_value(json_object_get(summary, "engines"));
    long long requests = json_integer_value(json_object_get(summary, "requests"));

    snprintf(subtitle, SUBTITLE, "%s: %s world, %s on %lld engine%s of %lld x %s, %lld request%s%s",
             text_of(summary, "scenario_name"), text_of(summary, "world"),
             text_of(summary, "model"), engines, engines == 1 ? "" : "s",
             (long long)json_integer_value(json_object_get(summary, "gpus_per_engine")),
             text_of(summary, "gpu"), requests, requests == 1 ? "" : "s",
             json_is_true(json_object_get(summary, "interrupted")) ? " (interrupted)" : "");
    for (char *c = subtitle; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ')
            *c = ' ';
    }
}

static int check_summary(int dirfd, const char *dir, char subtitle[SUBTITLE])
{
    int fd = openat(dirfd, "summary.json", O_RDONLY | O_CLOEXEC);
    json_error_t error;
    json_t *summary;

    if (fd < 0 && errno == ENOENT)
        return bad(dir, "", "expected a results folder: there is no summary.json in it");
    if (fd < 0)
        return bad_errno(dir, "summary.json");
    summary = json_loadfd(fd, 0, &error);
    close(fd);
    if (!json_is_object(summary)) {
        json_decref(summary);
        fprintf(stderr, "%s/summary.json:%d: %s\n", dir, error.line > 0 ? error.line : 1,
                summary == NULL ? error.text : "expected an object");
        return EXIT_BAD_INPUT;
    }
    describe(summary, subtitle);
    json_decref(summary);
    return EXIT_DONE;
}

/* some: pictures were asked for by name. */
static int check_results(const char *dir, const bool wanted[PICTURES], bool some,
                         char subtitle[SUBTITLE])
{
    int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char expected[64];

    if (dirfd < 0)
        return bad_errno(dir, "");
    int status = check_summary(dirfd, dir, subtitle);
    for (size_t i = 0; i < PICTURES && status == EXIT_DONE; i++) {
        const struct picture *p = &pictures[i];
        if (wanted[i] && p->only && !has_lines(dirfd, p->file)) {
            snprintf(expected, sizeof expected, "expected %s", p->only);
            status = some ? bad(dir, p->file, expected) : EXIT_DONE;
        } else if (wanted[i])
            status = check_csv(dirfd, dir, p);
    }
    if (status == EXIT_DONE && faccessat(dirfd, ".", W_OK | X_OK, 0) != 0)
        status = bad_errno(dir, "");
    close(dirfd);
    return status;
}

/* ---- The command. ---- */

static int draw(const char *dir, const char *scripts, const struct picture *picture,
                const char *subtitle)
{
    const char *name = picture->name;
    char why[PATH_MAX];

    if (picture->only) {
        int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        bool empty = !has_lines(dirfd, picture->file);
        if (dirfd >= 0)
            close(dirfd);
        if (empty)
            return EXIT_DONE;
    }

    if (picture_draw(dir, scripts, name, subtitle, why, sizeof why) != 0) {
        fprintf(stderr, "%s\n", why);
        return EXIT_FAILED;
    }
    printf("%s/%s.svg\n%s/%s.png\n", dir, name, dir, name);
    return EXIT_DONE;
}

static int choose(const char *name, bool wanted[PICTURES])
{
    const char *names[PICTURES];

    for (size_t i = 0; i < PICTURES; i++) {
        names[i] = pictures[i].name;
        if (strcmp(name, names[i]) == 0) {
            wanted[i] = true;
            return EXIT_DONE;
        }
    }
    char list[256] = "";
    near_list(list, sizeof list, names, PICTURES);
    fprintf(stderr, "--only: %.80s: expected one of %s\n", name, list);
    return EXIT_BAD_INPUT;
}

/* Draws every wanted picture of every folder. dirs has n_dirs names. */
static int plot_all(char **dirs, int n_dirs, const bool wanted[PICTURES], bool some)
{
    char scripts[PATH_MAX], why[PATH_MAX];
    char(*subtitles)[SUBTITLE] = calloc((size_t)n_dirs, sizeof *subtitles);
    int status = subtitles == NULL ? EXIT_FAILED : EXIT_DONE;

    for (int d = 0; d < n_dirs && status == EXIT_DONE; d++)
        status = check_results(dirs[d], wanted, some, subtitles[d]);
    if (status == EXIT_DONE && picture_scripts(scripts, why, sizeof why) != 0) {
        fprintf(stderr, "%s\n", why);
        status = EXIT_FAILED;
    }
    for (int d = 0; d < n_dirs && status == EXIT_DONE; d++) {
        for (size_t i = 0; i < PICTURES && status == EXIT_DONE; i++) {
            if (wanted[i])
                status = draw(dirs[d], scripts, &pictures[i], subtitles[d]);
        }
    }
    free(subtitles);
    return status;
}

int cmd_plot(int argc, char **argv)
{
    bool wanted[PICTURES] = {false}, some = false;
    int n_dirs = 0, status = EXIT_DONE;
    char **dirs = calloc((size_t)argc, sizeof *dirs);

    if (dirs == NULL)
        return EXIT_FAILED;
    for (int i = 1; i < argc && status == EXIT_DONE; i++) {
        const char *only = strncmp(argv[i], "--only=", 7) == 0 ? argv[i] + 7 : NULL;

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            free(dirs);
            return EXIT_DONE;
        }
        if (strcmp(argv[i], "--only") == 0) {
            i++;
            only = argv[i] != NULL ? argv[i] : ""; /* argv ends with NULL */
        }
        if (only != NULL) {
            status = choose(only, wanted);
            some = true;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            fprintf(stderr, "kvtwin plot: %.80s: unknown option, see kvtwin plot --help\n",
                    argv[i]);
            status = EXIT_BAD_INPUT;
        } else {
            dirs[n_dirs++] = argv[i];
        }
    }
    if (status == EXIT_DONE && n_dirs == 0) {
        fputs("kvtwin plot: expected a results folder, for example results/quickstart\n", stderr);
        status = EXIT_BAD_INPUT;
    }
    for (size_t i = 0; i < PICTURES && !some; i++)
        wanted[i] = true;
    if (status == EXIT_DONE)
        status = plot_all(dirs, n_dirs, wanted, some);
    free(dirs);
    return status;
}
