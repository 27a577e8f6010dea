/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cmd_calibrate.c - kvtwin calibrate: measures this machine and writes a profile that the
 * simulator can use.
 *
 * Copies, codecs, disk, Redis by itself; and before and after these whole loads and stores, which
 * the profile's rates come from (calibrate_fit.c). Redis servers are private ones, unless --redis names some; files go below
 * --disk and are removed. What this machine does not have is left out, said so on stderr, and is
 * then missing in the profile, where the catalogue's own entries remain.
 *
 * Nothing is written before everything was measured: Ctrl-C leaves an older profile as it was.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../backend/spawn.h"
#include "calibrate.h"
#include "commands.h"
#include "datadir.h"
#include "near.h"
#include "units.h"
#include "stop.h"

enum { NODES_MOST = 16, CODECS_MOST = 64, SPAWNED = 2, BAR = 30 };

enum part { COPIES, CODECS, DISK, REDIS, TRANSFERS, PARTS };
static const char *const part_names[PARTS] = {"copies", "codecs", "disk", "redis", "transfers"};
/* About how much of the time each takes. */
static const double part_shares[PARTS] = {0.13, 0.15, 0.06, 0.13, 0.265};
/* In which order. Whole loads and stores come twice, as far apart as can be: this machine may be faster or slower by a
 * tenth a minute later, and a profile should be neither of the two. */
static const enum part part_order[] = {TRANSFERS, COPIES, CODECS, DISK, REDIS, TRANSFERS};
enum { TURNS = sizeof part_order / sizeof *part_order };

struct options {
    const char *out, *data, *disk, *device, *model;
    const char *redis[NODES_MOST];
    uint32_t n_redis;
    uint64_t threads, connections, depth, block_tokens; /* threads 0: one per processor */
    enum be_sync sync;
    bool quick, json, direct, plots, verify, some, only[PARTS];
};

static const char help[] =
    "usage: kvtwin calibrate [OPTIONS]\n"
    "\n"
    "Measures this machine: copies, codecs, Redis, files, and whole loads and stores as the real\n"
    "world does them. Fits the simulator's parameters to them and writes a profile for --profile.\n"
    "\n"
    "  --out FILE          the profile (profile.yaml)\n"
    "  --data FOLDER       measurements, fits and pictures (calibration/ beside the profile)\n"
    "  --quick             about half a minute instead of two minutes\n"
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
        o->disk = value;
    } else if (strcmp(option, "--model") == 0) {
        o->model = value;
    } else if (strcmp(option, "--device") == 0) {
        status = take_word(option, value, devices, 3, &word);
        o->device = value;
    } else if (strcmp(option, "--sync") == 0) {
        status = take_word(option, value, syncs, 3, &word);
        o->sync = (enum be_sync)word;
    } else if (strcmp(option, "--only") == 0) {
        status = take_word(option, value, part_names, PARTS, &word);
        if (status == EXIT_DONE)
            o->only[word] = o->some = true;
    } else if (strcmp(option, "--redis") == 0) {
        if (o->n_redis == NODES_MOST)
            return refuse(option, value, "expected at most 16 servers");
        o->redis[o->n_redis++] = value;
    } else if (strcmp(option, "--threads") == 0) {
        status = take_count(option, value, 64, &o->threads);
    } else if (strcmp(option, "--connections") == 0) {
        status = take_count(option, value, 256, &o->connections);
    } else if (strcmp(option, "--depth") == 0) {
        status = take_count(option, value, 1024, &o->depth);
    } else if (strcmp(option, "--block-tokens") == 0) {
        status = take_count(option, value, 4096, &o->block_tokens);
    } else {
        return refuse(option, NULL, "unknown option, see kvtwin calibrate --help");
    }
    return status;
}

static bool take_flag(struct options *o, const char *option)
{
    if (strcmp(option, "--quick") == 0)
        o->quick = true;
    else if (strcmp(option, "--json") == 0)
        o->json = true;
    else if (strcmp(option, "--direct") == 0)
        o->direct = true;
    else if (strcmp(option, "--verify") == 0)
        o->verify = true;
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
    for (int p = 0; p < PARTS && !o->some; p++)
        o->only[p] = true;
    return EXIT_DONE;
}

/* ---- What is moved --------------------------------------------------------------------------------- */

static int read_model(const struct options *o, const struct catalog *catalog,
                      struct k_geometry *geometry)
{
    const struct catalog_model *model = NULL;
    for (uint32_t i = 0; i < catalog->models.n; i++)
        if (strcmp(catalog->models.entries[i].name, o->model ? o->model : "qwen2.5-0.5b") == 0)
            model = &catalog->models.entries[i];
    *geometry = (struct k_geometry){
        .layers = 24, .heads = 2, .head_dim = 64, .page_tokens = 16, .dtype = K_BF16};
    if (!model) {
        if (!o->model)
            return EXIT_DONE; /* a catalogue without it: its shape, all the same */
        return refuse("--model", o->model, "expected a model of the catalogue");
    }
    if (model->latent_dim.number > 0 || model->kv_heads.number < 1)
        return refuse("--model", o->model, "expected a model with keys and values per head");
    geometry->layers = (uint32_t)model->layers.number;
    geometry->heads = (uint32_t)model->kv_heads.number;
    geometry->head_dim = (uint32_t)model->head_dim.number;
    return EXIT_DONE;
}

/* The catalogue's codecs that there is code for. */
static uint32_t list_codecs(const struct catalog *catalog, const char *names[CODECS_MOST])
{
    uint32_t n = 0;
    char why[160];
    for (uint32_t i = 0; i < catalog->codecs.n && n < CODECS_MOST; i++) {
        struct be_codec codec;
        if (be_codec_parse(&codec, catalog->codecs.entries[i].name, why, sizeof why) == 0)
            names[n++] = catalog->codecs.entries[i].name;
    }
    return n;
}

static int load_catalog(struct catalog **catalog)
{
    char folder[4096], why[512];
    if (datadir_find(folder, sizeof folder - sizeof "/scenarios/catalog") != 0) {
        fprintf(stderr, "kvtwin calibrate: expected a data folder with scenarios/catalog/\n");
        return EXIT_FAILED;
    }
    strcat(folder, "/scenarios/catalog");
    if (catalog_load(catalog, folder, why, sizeof why) == 0)
        return EXIT_DONE;
    fprintf(stderr, "%s\n", why);
    return EXIT_BAD_INPUT;
}

/* Fills addresses from --redis, or starts servers. Without redis-server there are none, which is said. */
static int find_servers(const struct options *o, struct be_redis_address *nodes, uint32_t *n,
                        struct be_spawn **spawn)
{
    char why[256];
    *n = 0;
    if (!o->only[REDIS] && !o->only[TRANSFERS])
        return EXIT_DONE;
    for (; *n < o->n_redis; (*n)++)
        if (be_redis_address_parse(&nodes[*n], o->redis[*n], why, sizeof why) != 0)
            return refuse("--redis", NULL, why);
    if (*n > 0)
        return EXIT_DONE;
    const struct be_spawn_config config = {.n = SPAWNED, .memory_b = UINT64_MAX};
    *spawn = be_spawn_new(&config, why, sizeof why);
    if (!*spawn) {
        fprintf(stderr, "kvtwin calibrate: without Redis: %s\n", why);
        return EXIT_DONE;
    }
    for (; *n < SPAWNED; (*n)++)
        nodes[*n] = *be_spawn_address(*spawn, *n);
    return EXIT_DONE;
}

/* ---- Measuring ------------------------------------------------------------------------------------- */

struct bar {
    bool shown;
    double before, share; /* of the parts that were measured, and of this one */
};

static bool on_tick(void *self, double done, const char *what)
{
    const struct bar *b = self;
    if (b->shown) {
        const double share = b->before + b->share * (done < 1 ? done : 1);
        char bar[BAR + 1] = "";
        for (int i = 0; i < BAR; i++)
            bar[i] = i < (int)(share * BAR) ? '#' : '.';
        fprintf(stderr, "\r\033[Kcalibrate [%s] %3.0f %%  %s", bar, 100 * share, what);
        fflush(stderr);
    }
    return stop_wanted != 0;
}

static int measure(struct calibrate *c, const struct options *o)
{
    static int (*const measures[PARTS])(const struct be_measure_config *, struct be_samples *,
                                        char *, size_t) = {
        [COPIES] = be_measure_copies, [CODECS] = be_measure_codecs,   [DISK] = be_measure_disk,
        [REDIS] = be_measure_redis,   [TRANSFERS] = be_measure_pipes,
    };
    struct bar bar = {.shown = isatty(STDERR_FILENO) == 1};
    double all = 0;
    int rc = 0;
    for (int turn = 0; turn < TURNS; turn++)
        all += o->only[part_order[turn]] ? part_shares[part_order[turn]] : 0;
    c->config.tick = on_tick;
    c->config.self = &bar;
    for (int turn = 0; turn < TURNS && rc == 0; turn++) {
        const enum part p = part_order[turn];
        char why[256] = "";
        if (!o->only[p])
            continue;
        bar.share = part_shares[p] / all;
        rc = measures[p](&c->config, &c->samples, why, sizeof why);
        bar.before += bar.share;
        if (bar.shown && (rc != 0 || turn == TURNS - 1))
            fputs("\r\033[K", stderr);
        if (rc == -ENOTSUP) { /* this machine has none */
            if (p != REDIS)
                fprintf(stderr, "kvtwin calibrate: left out: %s\n", why);
            rc = 0;
        } else if (rc == -EINTR) {
            fputs("kvtwin calibrate: interrupted, nothing was written\n", stderr);
        } else if (rc != 0) {
            fprintf(stderr, "kvtwin calibrate: %s\n", why);
        }
    }
    if (bar.shown)
        fputs("\r\033[K", stderr);
    return rc == 0 ? EXIT_DONE : EXIT_FAILED;
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
    if (mkdir(data, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "kvtwin calibrate: %s: %s\n", data, strerror(errno));
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

static void set_up(struct calibrate *c, const struct options *o)
{
    char number[16];
    struct be_measure_config *config = &c->config;
    const time_t now = time(NULL);
    struct tm day;
    gmtime_r(&now, &day);
    strftime(c->date, sizeof c->date, "%Y-%m-%d", &day);
    c->memory_b = (double)uv_get_free_memory();
    config->quick = o->quick;
    config->block_tokens = (uint32_t)o->block_tokens;
    config->piece_b = 2 << 20;
    config->device = o->device;
    config->threads = o->threads ? (uint32_t)o->threads : be_processors();
    config->threads = config->threads > 64 ? 64 : config->threads;
    config->connections = (uint32_t)o->connections;
    config->depth = (uint32_t)o->depth;
    config->folder = o->disk;
    config->sync = o->sync;
    config->direct = o->direct;
    config->verify = o->verify;
    config->seed = 1;
    /* As many as a run has (world.h). libuv reads it when its pool is first used. */
    config->workers = o->threads ? config->threads : be_processors() + 1;
    snprintf(number, sizeof number, "%u", (unsigned)config->workers);
    setenv("UV_THREADPOOL_SIZE", number, 1);
    stop_catch();
}

/* Which device it will be, for titles. */
static int name_device(struct calibrate *c)
{
    struct be_device device;
    struct be_device_config config = {.geometry = c->config.geometry, .pools = 1};
    char why[256];
    config.geometry.pages = 1;
    if (be_device_open(&device, c->config.device, &config, why, sizeof why) != 0) {
        fprintf(stderr, "kvtwin calibrate: %s\n", why);
        return EXIT_FAILED;
    }
    snprintf(c->device, sizeof c->device, "%s", device.title);
    device.ops->free(device.self);
    return EXIT_DONE;
}

int cmd_calibrate(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR");
    struct options o = {.out = "profile.yaml",
                        .disk = temporary && *temporary ? temporary : "/tmp",
                        .device = "auto",
                        .connections = 2,
                        .depth = 2,
                        .block_tokens = 64,
                        .plots = true,
                        .verify = false};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return EXIT_DONE;
        }
    struct calibrate c = {.n_fits = 0};
    struct be_redis_address nodes[NODES_MOST];
    const char *codecs[CODECS_MOST];
    struct catalog *catalog = NULL;
    struct be_spawn *spawn = NULL;
    char data[4096];
    int status = read_options(&o, argc, argv);
    if (status == EXIT_DONE)
        status = load_catalog(&catalog);
    if (status == EXIT_DONE)
        status = read_model(&o, catalog, &c.config.geometry);
    if (status == EXIT_DONE)
        status = check_out(&o, data, sizeof data);
    if (status == EXIT_DONE) {
        set_up(&c, &o);
        c.config.codecs = codecs;
        c.config.n_codecs = list_codecs(catalog, codecs);
        c.config.nodes = nodes;
        status = name_device(&c);
    }
    if (status == EXIT_DONE)
        status = find_servers(&o, nodes, &c.config.n_nodes, &spawn);
    if (status == EXIT_DONE)
        status = measure(&c, &o);
    be_spawn_free(spawn);
    if (status == EXIT_DONE)
        status = write_all(&c, &o, data);
    calibrate_free(&c);
    catalog_free(catalog);
    return status;
}
