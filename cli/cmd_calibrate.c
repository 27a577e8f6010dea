/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_calibrate.c - kvtwin calibrate: measures this machine and writes a profile that the
 * simulator can use.
 *
 * What is measured is calibrate_run.c's. What this machine does not have is left out, said so on stderr, and is then missing
 * in the profile, where the catalogue's own entries remain.
 *
 * Nothing is written before everything was measured: Ctrl-C leaves an older profile as it was.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calibrate_run.h"
#include "commands.h"
#include "near.h"
#include "units.h"
#include "stop.h"

struct options {
    struct calibrate_options measure;
    const char *out, *data;
    bool json, plots, some;
};

static const char help[] =
    "usage: kvtwin calibrate [OPTIONS]\n"
    "\n"
    "Measures this machine: copies, codecs, Redis, files, and whole loads and stores as the real\n"
    "world does them. Fits the simulator's parameters to them and writes a profile for --profile.\n"
    "\n"
    "  --out FILE          the profile (profile.yaml)\n"
    "  --data FOLDER       measurements, fits and pictures (calibration/ beside the profile)\n"
    "  --quick             less than a minute instead of five\n"
    "  --only PART         copies, codecs, disk, redis or transfers; may be repeated\n"
    "  --device NAME       auto, host or cuda (auto)\n"
    "  --model NAME        whose KV is moved, a model of the catalogue (qwen2.5-0.5b)\n"
    "  --block-tokens N    tokens of the largest block that is moved (64)\n"
    "  --threads N         that copy; workers (one per processor; and one, for loads and stores)\n"
    "  --redis ADDRESS     a server to measure; may be repeated (private ones are started)\n"
    "  --connections N     to each server (2)\n"
    "  --depth N           commands under way on each connection (2)\n"
    "  --disk FOLDER       where files are written (TMPDIR)\n"
    "  --sync WHAT         none, data or full: how files are synced (none)\n"
    "  --direct            files around the page cache\n"
    "  --verify            loads are compared with what has to be there, as `run` does (validate "
    "does not)\n"
    "  --no-plots          no pictures\n"
    "  --json              everything as JSON instead of tables\n"
    "\n"
    "Exit codes: 0 done, 1 failed or interrupted, 2 bad input.\n";

/* ---- Options --------------------------------------------------------------------------------------- */

static int refuse(const char *option, const char *value, const char *expected)
{
    fprintf(stderr, "kvtwin calibrate: %s%s%.80s: %s\n", option, value ? " " : "",
            value ? value : "", expected);
    return EXIT_BAD_INPUT;
}

static int take_count(const char *option, const char *value, uint64_t most, uint64_t *count)
{
    char expected[64];
    const char *why;
    uint64_t n = 0;
    if (units_count(value, &n, &why) == 0 && n >= 1 && n <= most) {
        *count = n;
        return EXIT_DONE;
    }
    snprintf(expected, sizeof expected, "expected a whole number from 1 to %llu",
             (unsigned long long)most);
    return refuse(option, value, expected);
}

static int take_word(const char *option, const char *value, const char *const *words, size_t n,
                     size_t *word)
{
    char expected[160] = "expected one of ";
    for (*word = 0; *word < n; (*word)++)
        if (strcmp(value, words[*word]) == 0)
            return EXIT_DONE;
    near_list(expected, sizeof expected, words, n);
    return refuse(option, value, expected);
}

/* An option with a value. */
static int take_value(struct options *o, const char *option, const char *value)
{
    static const char *const syncs[] = {"none", "data", "full"};
    static const char *const devices[] = {"auto", "host", "cuda"};
    size_t word = 0;
    int status = EXIT_DONE;
    if (strcmp(option, "--out") == 0) {
        o->out = value;
    } else if (strcmp(option, "--data") == 0) {
        o->data = value;
    } else if (strcmp(option, "--disk") == 0) {
        o->measure.disk = value;
    } else if (strcmp(option, "--model") == 0) {
        o->measure.model = value;
    } else if (strcmp(option, "--device") == 0) {
        status = take_word(option, value, devices, 3, &word);
        o->measure.device = value;
    } else if (strcmp(option, "--sync") == 0) {
        status = take_word(option, value, syncs, 3, &word);
        o->measure.sync = (enum be_sync)word;
    } else if (strcmp(option, "--only") == 0) {
        status = take_word(option, value, calibrate_part_names, CALIBRATE_PARTS, &word);
        if (status == EXIT_DONE && !o->some)
            memset(o->measure.only, 0, sizeof o->measure.only);
        if (status == EXIT_DONE)
            o->measure.only[word] = o->some = true;
    } else if (strcmp(option, "--redis") == 0) {
        if (o->measure.n_redis == CALIBRATE_NODES)
            return refuse(option, value, "expected at most 16 servers");
        o->measure.redis[o->measure.n_redis++] = value;
    } else if (strcmp(option, "--threads") == 0) {
        status = take_count(option, value, 64, &o->measure.threads);
    } else if (strcmp(option, "--connections") == 0) {
        status = take_count(option, value, 256, &o->measure.connections);
    } else if (strcmp(option, "--depth") == 0) {
        status = take_count(option, value, 1024, &o->measure.depth);
    } else if (strcmp(option, "--block-tokens") == 0) {
        status = take_count(option, value, 4096, &o->measure.block_tokens);
    } else {
        return refuse(option, NULL, "unknown option, see kvtwin calibrate --help");
    }
    return status;
}

static bool take_flag(struct options *o, const char *option)
{
    if (strcmp(option, "--quick") == 0)
        o->measure.quick = true;
    else if (strcmp(option, "--json") == 0)
        o->json = true;
    else if (strcmp(option, "--direct") == 0)
        o->measure.direct = true;
    else if (strcmp(option, "--verify") == 0)
        o->measure.verify = true;
    else if (strcmp(option, "--no-plots") == 0)
        o->plots = false;
    else
        return false;
    return true;
}

static int read_options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (take_flag(o, argv[i]))
            continue;
        if (strncmp(argv[i], "--", 2) != 0)
            return refuse(argv[i], NULL, "expected an option, see kvtwin calibrate --help");
        char option[32];
        const char *equals = strchr(argv[i], '=');
        const size_t length = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        snprintf(option, sizeof option, "%.*s", (int)(length < 31 ? length : 31), argv[i]);
        const char *value = equals ? equals + 1 : argv[i + 1];
        if (!value)
            return refuse(option, NULL, "expected a value, or this option is unknown");
        const int status = take_value(o, option, value);
        if (status != EXIT_DONE)
            return status;
        i += equals == NULL;
    }
    return EXIT_DONE;
}

/* ---- Files ----------------------------------------------------------------------------------------- */

/* The folder of a file, "." when its name has none. */
static void folder_of(const char *file, char *folder, size_t size)
{
    const char *slash = strrchr(file, '/');
    const size_t length = slash == file ? 1 : slash ? (size_t)(slash - file) : 0;
    if (length == 0)
        snprintf(folder, size, ".");
    else
        snprintf(folder, size, "%.*s", (int)length, file);
}

static bool parent_is_there(const char *folder)
{
    char parent[4096];
    folder_of(folder, parent, sizeof parent);
    return access(parent, W_OK | X_OK) == 0;
}

/* Before minutes are spent: can the results be written at all? */
static int check_out(const struct options *o, char *data, size_t size)
{
    char folder[3072];
    folder_of(o->out, folder, sizeof folder);
    struct stat status;
    if (access(folder, W_OK | X_OK) != 0 ||
        (stat(o->out, &status) == 0 && !S_ISREG(status.st_mode))) {
        fprintf(stderr, "kvtwin calibrate: --out %s: cannot be written\n", o->out);
        return EXIT_BAD_INPUT;
    }
    if (o->data)
        snprintf(data, size, "%s", o->data);
    else
        snprintf(data, size, "%s/calibration", folder);
    if (stat(data, &status) == 0 ? !S_ISDIR(status.st_mode) || access(data, W_OK | X_OK) != 0
                                 : !parent_is_there(data)) {
        fprintf(stderr, "kvtwin calibrate: %s: cannot be a folder of results\n", data);
        return EXIT_BAD_INPUT;
    }
    return EXIT_DONE;
}

static int write_all(struct calibrate *c, const struct options *o, const char *data)
{
    char why[512];
    int rc = calibrate_fit(c);
    if (rc == 0)
        rc = calibrate_write_profile(c, o->out);
    if (rc != 0) {
        fprintf(stderr, "kvtwin calibrate: %s: %s\n", o->out, strerror(-rc));
        return EXIT_FAILED;
    }
    if (calibrate_write_data(c, data, why, sizeof why) != 0) {
        fprintf(stderr, "kvtwin calibrate: %s\n", why);
        return EXIT_FAILED;
    }
    rc = o->plots ? calibrate_draw(c, data, why, sizeof why) : 0;
    if (rc != 0)
        fprintf(stderr, "kvtwin calibrate: no pictures: %s\n", why);
    if (o->json)
        return calibrate_print_json(c, stdout) == 0 && fflush(stdout) == 0 ? EXIT_DONE
                                                                           : EXIT_FAILED;
    calibrate_print(c, stdout);
    printf("\n%s: use it with --profile; measurements, fits%s in %s\n", o->out,
           o->plots && rc == 0 ? " and pictures" : "", data);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* ---- The command ----------------------------------------------------------------------------------- */

int cmd_calibrate(int argc, char **argv)
{
    struct options o = {.out = "profile.yaml",
                        .plots = true,
                        .measure = calibrate_usual("kvtwin calibrate")};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
    static struct calibrate_run run;
    char data[4096];
    int status = read_options(&o, argc, argv);
    if (status == EXIT_DONE)
        status = check_out(&o, data, sizeof data);
    if (status == EXIT_DONE) {
        stop_catch();
        status = calibrate_run_open(&run, &o.measure);
    }
    if (status == EXIT_DONE)
        status = calibrate_run_all(&run);
    calibrate_run_rest(&run);
    if (status == EXIT_DONE)
        status = write_all(&run.c, &o, data);
    calibrate_run_close(&run);
    return status;
}
