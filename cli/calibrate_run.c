/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_run.c - what is measured, with what, and in which order; see calibrate_run.h.
 *
 * Copies, codecs, disk, Redis by itself; and before and after these whole loads and stores, which the profile's rates come
 * from (calibrate_fit.c). Redis servers are private ones, unless options name some; files go below options' folder and
 * are removed.
 */
#include "calibrate_run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "datadir.h"
#include "stop.h"

enum { SPAWNED = 2, BAR = 30 };

const char *const calibrate_part_names[CALIBRATE_PARTS] = {"copies", "codecs", "disk", "redis",
                                                           "transfers"};
/* About how much of the time each takes. */
static const double part_shares[CALIBRATE_PARTS] = {0.09, 0.1, 0.04, 0.15, 0.31};

struct calibrate_options calibrate_usual(const char *who)
{
    const char *temporary = getenv("TMPDIR");
    struct calibrate_options o = {.who = who,
                                  .disk = temporary && *temporary ? temporary : "/tmp",
                                  .device = "auto",
                                  .connections = 2,
                                  .depth = 2,
                                  .block_tokens = 64};
    for (int p = 0; p < CALIBRATE_PARTS; p++)
        o.only[p] = true;
    return o;
}

/* ---- What is moved --------------------------------------------------------------------------------- */

static int read_model(const struct calibrate_options *o, const struct catalog *catalog,
                      struct k_geometry *geometry)
{
    const struct catalog_model *model = NULL;
    for (uint32_t i = 0; i < catalog->models.n; i++)
        if (strcmp(catalog->models.entries[i].name, o->model ? o->model : "qwen2.5-0.5b") == 0)
            model = &catalog->models.entries[i];
    *geometry = (struct k_geometry){
        .layers = 24, .heads = 2, .head_dim = 64, .page_tokens = 16, .dtype = K_BF16};
    if (!model && !o->model)
        return EXIT_DONE; /* a catalogue without it: its shape, all the same */
    if (!model) {
        fprintf(stderr, "%s: --model %.80s: expected a model of the catalogue\n", o->who, o->model);
        return EXIT_BAD_INPUT;
    }
    if (model->latent_dim.number > 0 || model->kv_heads.number < 1) {
        fprintf(stderr, "%s: --model %.80s: expected a model with keys and values per head\n",
                o->who, o->model);
        return EXIT_BAD_INPUT;
    }
    geometry->layers = (uint32_t)model->layers.number;
    geometry->heads = (uint32_t)model->kv_heads.number;
    geometry->head_dim = (uint32_t)model->head_dim.number;
    return EXIT_DONE;
}

/* The catalogue's codecs that there is code for. */
static uint32_t list_codecs(const struct catalog *catalog, const char *names[CALIBRATE_CODECS])
{
    uint32_t n = 0;
    char why[160];
    for (uint32_t i = 0; i < catalog->codecs.n && n < CALIBRATE_CODECS; i++) {
        struct be_codec codec;
        if (be_codec_parse(&codec, catalog->codecs.entries[i].name, why, sizeof why) == 0)
            names[n++] = catalog->codecs.entries[i].name;
    }
    return n;
}

static int load_catalog(const struct calibrate_options *o, struct catalog **catalog)
{
    char folder[4096], why[512];
    if (datadir_find(folder, sizeof folder - sizeof "/scenarios/catalog") != 0) {
        fprintf(stderr, "%s: expected a data folder with scenarios/catalog/\n", o->who);
        return EXIT_FAILED;
    }
    strcat(folder, "/scenarios/catalog");
    if (catalog_load(catalog, folder, why, sizeof why) == 0)
        return EXIT_DONE;
    fprintf(stderr, "%s\n", why);
    return EXIT_BAD_INPUT;
}

/* Fills addresses from --redis, or starts servers. Without redis-server there are none, which is said. */
static int find_servers(const struct calibrate_options *o, struct be_redis_address *nodes,
                        uint32_t *n, struct be_spawn **spawn)
{
    char why[256];
    *n = 0;
    if (!o->only[CALIBRATE_REDIS] && !o->only[CALIBRATE_TRANSFERS])
        return EXIT_DONE;
    for (; *n < o->n_redis; (*n)++)
        if (be_redis_address_parse(&nodes[*n], o->redis[*n], why, sizeof why) != 0) {
            fprintf(stderr, "%s: --redis: %s\n", o->who, why);
            return EXIT_BAD_INPUT;
        }
    if (*n > 0)
        return EXIT_DONE;
    const struct be_spawn_config config = {.n = SPAWNED, .memory_b = UINT64_MAX};
    *spawn = be_spawn_new(&config, why, sizeof why);
    if (!*spawn) {
        fprintf(stderr, "%s: without Redis: %s\n", o->who, why);
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

/* One part; samples are added. 0 or a negative errno, said. */
static int measure(struct calibrate_run *run, enum calibrate_part p)
{
    static int (*const measures[CALIBRATE_PARTS])(const struct be_measure_config *,
                                                  struct be_samples *, char *, size_t) = {
        [CALIBRATE_COPIES] = be_measure_copies,   [CALIBRATE_CODECS_PART] = be_measure_codecs,
        [CALIBRATE_DISK] = be_measure_disk,       [CALIBRATE_REDIS] = be_measure_redis,
        [CALIBRATE_TRANSFERS] = be_measure_pipes,
    };
    const char *who = run->options->who;
    const struct bar *bar = run->c.config.self;
    char why[256] = "";
    int rc = measures[p](&run->c.config, &run->c.samples, why, sizeof why);
    if (rc != 0 && bar->shown)
        fputs("\r\033[K", stderr);
    if (rc == -ENOTSUP) { /* this machine has none */
        if (p != CALIBRATE_REDIS)
            fprintf(stderr, "%s: left out: %s\n", who, why);
        rc = 0;
    } else if (rc == -EINTR) {
        fprintf(stderr, "%s: interrupted, nothing was written\n", who);
    } else if (rc != 0) {
        fprintf(stderr, "%s: %s\n", who, why);
    }
    return rc;
}

int calibrate_run_parts(struct calibrate_run *run, const enum calibrate_part *parts, uint32_t n)
{
    const struct calibrate_options *o = run->options;
    struct bar bar = {.shown = isatty(STDERR_FILENO) == 1};
    double all = 0;
    int rc = 0;
    for (uint32_t i = 0; i < n; i++)
        all += o->only[parts[i]] ? part_shares[parts[i]] : 0;
    run->c.config.tick = on_tick;
    run->c.config.self = &bar;
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        if (!o->only[parts[i]])
            continue;
        bar.share = part_shares[parts[i]] / all;
        rc = measure(run, parts[i]);
        bar.before += bar.share;
    }
    if (bar.shown)
        fputs("\r\033[K", stderr);
    return rc == 0 ? EXIT_DONE : EXIT_FAILED;
}

int calibrate_run_all(struct calibrate_run *run)
{
    /* Whole loads and stores come twice, as far apart as can be: this machine may be faster or slower by a tenth a minute
     * later, and a profile should be neither of the two. Quick ones do not. */
    static const enum calibrate_part order[] = {CALIBRATE_TRANSFERS,   CALIBRATE_COPIES,
                                                CALIBRATE_CODECS_PART, CALIBRATE_DISK,
                                                CALIBRATE_REDIS,       CALIBRATE_TRANSFERS};
    const uint32_t n = sizeof order / sizeof *order;
    return calibrate_run_parts(run, order, run->options->quick ? n - 1 : n);
}

/* ---- Opening and closing ---------------------------------------------------------------------------- */

static void set_up(struct calibrate *c, const struct calibrate_options *o)
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
}

/* Which device it will be, for titles. */
static int name_device(struct calibrate *c, const char *who)
{
    struct be_device device;
    struct be_device_config config = {.geometry = c->config.geometry, .pools = 1};
    char why[256];
    config.geometry.pages = 1;
    if (be_device_open(&device, c->config.device, &config, why, sizeof why) != 0) {
        fprintf(stderr, "%s: %s\n", who, why);
        return EXIT_FAILED;
    }
    snprintf(c->device, sizeof c->device, "%s", device.title);
    device.ops->free(device.self);
    return EXIT_DONE;
}

int calibrate_run_open(struct calibrate_run *run, const struct calibrate_options *options)
{
    struct calibrate *c = &run->c;
    *run = (struct calibrate_run){.options = options};
    int status = load_catalog(options, &run->catalog);
    if (status == EXIT_DONE)
        status = read_model(options, run->catalog, &c->config.geometry);
    if (status != EXIT_DONE)
        return status;
    set_up(c, options);
    c->config.codecs = run->codecs;
    c->config.n_codecs = list_codecs(run->catalog, run->codecs);
    c->config.nodes = run->nodes;
    status = name_device(c, options->who);
    if (status == EXIT_DONE)
        status = find_servers(options, run->nodes, &c->config.n_nodes, &run->spawn);
    return status;
}

void calibrate_run_rest(struct calibrate_run *run)
{
    be_spawn_free(run->spawn);
    run->spawn = NULL;
}

void calibrate_run_close(struct calibrate_run *run)
{
    calibrate_run_rest(run);
    calibrate_free(&run->c);
    catalog_free(run->catalog);
    run->catalog = NULL;
}
