/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_pipe.c - whole loads and stores of n pieces, one at a time, through the stages of the real world.
 *
 *      load    host     [ upload ]                                   [ ] on a worker, the rest on the loop
 *              redis    GET, copy to staging -> [ verify, decode -> upload ]
 *              disk     [ read -> verify, decode -> upload ]
 *      store   host     [ download ]
 *              redis    [ download -> encode ] -> SET
 *              disk     [ download -> encode -> write ]
 *
 * The stages of a transfer overlap, and share processors, caches and memory: what Redis delivers while workers verify
 * and upload is what a simulation must know, and less than what it delivers alone. After a load each piece is compared
 * with what it has to be on a worker, as world.h does by default; the load has ended by then, but it is not begun anew
 * until that is through.
 *
 * A finished prompt is stored into every tier at one time, so stores are measured in concert, too: the same pages to main
 * memory, Redis and disk, begun together, each tier's store booked by itself.
 *
 * Transfers are measured as they come in a run: the machine has rested before each, and each moves other bytes than the
 * one before (LAPS sets of pieces, each with pages, keys and files of its own).
 *
 * This is a stand-in for world.c, not a part of it: it has neither core nor deadlines, and every transfer is
 * alone. Pieces of a block differ in their key; all of them are stored once before they are loaded. Piece i goes to
 * server i modulo n.
 */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure_client.h"
#include "value.h"

enum {
    PIECES_MOST = 16,
    SIZES = 3,
    COUNTS = 5,
    PARTS_MOST = 3,
    KEPT = 512,
    LAPS = 8,
    COMMANDS = 64
};

static const uint64_t FRESH = UINT64_C(1) << 32; /* keys from here on are of one point */

static const uint32_t piece_counts[COUNTS] = {1, 2, 4, 8, 16};

struct piece {
    struct pipe *pipe;
    enum be_path path;
    uint32_t number;
    struct be_piece piece;
    struct k_part part;
    char name[BE_NAME_B];
    void *value, *raw, *scratch, *slab; /* slab: the host tier's, of this lap */
    char *slabs;                        /* of all laps */
    size_t value_b;
    const void *payload;
    kvt_ns medium_ns, decode_ns, copy_ns;
    int rc;
    uv_work_t work;
};

/* A transfer of one tier. */
struct part {
    enum be_path path;
    struct piece piece[PIECES_MOST];
    double spans[4][KEPT]; /* medium, decode, copy and whole of each repetition */
};

struct pipe {
    const struct be_measure_config *config;
    struct be_client client;
    struct be_device device;
    struct be_disk *disk;
    struct be_format format;
    struct part part[PARTS_MOST]; /* that are begun together */
    uint32_t n_parts;
    uint32_t *pages;
    uint32_t pages_per_piece;
    size_t value_room, raw_b;
    /* of the point under way */
    uint32_t n, nodes, taken;
    uint32_t lap;            /* which of LAPS sets of pieces is next */
    uint32_t on_wire, asked; /* GETs without a reply, and all so far */
    uint64_t fresh;          /* values stored under keys of their own in this point */
    bool keep;               /* stores are for loads to find: under the lap's keys */
};

static bool is_load(enum be_path path)
{
    return path == BE_PATH_LOAD_HOST || path == BE_PATH_LOAD_REDIS || path == BE_PATH_LOAD_DISK;
}

/* ---- On workers ------------------------------------------------------------------------------------ */

static void upload(struct piece *p)
{
    struct pipe *pipe = p->pipe;
    p->rc = pipe->device.ops->upload(pipe->device.self, 0, &p->part, p->payload);
    p->copy_ns = uv_hrtime();
}

static void ingest(struct piece *p)
{
    const char *why = "";
    const kvt_ns begin_ns = uv_hrtime();
    const enum kvt_status status = be_value_read(&p->pipe->format, &p->piece, p->value, p->value_b,
                                                 p->raw, p->scratch, &p->payload, &why);
    p->decode_ns = p->medium_ns + (uv_hrtime() - begin_ns);
    if (status == KVT_OK)
        upload(p);
    else
        p->rc = -EBADMSG;
}

static void load_work(uv_work_t *work)
{
    struct piece *p = work->data;
    struct pipe *pipe = p->pipe;
    if (p->path == BE_PATH_LOAD_HOST) {
        p->payload = p->slab;
        upload(p);
        return;
    }
    if (p->path == BE_PATH_LOAD_DISK) {
        p->rc = be_disk_read(pipe->disk, p->name, p->value, pipe->value_room, &p->value_b);
        p->medium_ns = uv_hrtime();
    }
    if (p->rc == 0)
        ingest(p);
}

static void compare_work(uv_work_t *work)
{
    struct piece *p = work->data;
    struct pipe *pipe = p->pipe;
    void *wanted = p->payload == p->raw ? p->value : p->raw;
    k_fill_packed(&pipe->format.geometry, &p->part, p->piece.key.lo, wanted);
    if (memcmp(wanted, p->payload, pipe->raw_b) != 0)
        p->rc = -EILSEQ;
}

static void store_work(uv_work_t *work)
{
    struct piece *p = work->data;
    struct pipe *pipe = p->pipe;
    void *packed = p->path == BE_PATH_STORE_HOST ? p->slab : p->raw;
    p->rc = pipe->device.ops->download(pipe->device.self, 0, &p->part, packed);
    p->copy_ns = uv_hrtime();
    if (p->rc != 0 || p->path == BE_PATH_STORE_HOST)
        return;
    p->rc = be_value_write(&pipe->format, &p->piece, packed, p->value, pipe->value_room,
                           &p->value_b, p->scratch);
    p->decode_ns = uv_hrtime();
    if (p->rc != 0 || p->path != BE_PATH_STORE_DISK)
        return;
    p->rc = be_disk_write(pipe->disk, p->name, p->value, p->value_b);
    p->medium_ns = uv_hrtime();
}

/* ---- On the loop ----------------------------------------------------------------------------------- */

static void queue(struct piece *p, uv_work_cb work, uv_after_work_cb after)
{
    struct be_client *client = &p->pipe->client;
    const int rc = uv_queue_work(&client->loop, &p->work, work, after);
    if (rc == 0)
        client->under_way++;
    else
        be_client_failed(client, rc);
}

static void on_reply(void *self, uint64_t arg, const struct be_reply *reply);
static void ask(struct pipe *pipe);

static void command(struct piece *p, enum be_verb verb)
{
    struct pipe *pipe = p->pipe;
    const int rc = be_client_send(&pipe->client, p->number % pipe->nodes, verb, p->name, p->value,
                                  p->value_b, on_reply, p, 0);
    if (rc != 0)
        be_client_failed(&pipe->client, rc);
}

/* True when the work went well. */
static bool back(struct piece *p, int status)
{
    p->pipe->client.under_way--;
    if (status != 0 || p->rc != 0)
        be_client_failed(&p->pipe->client, status != 0 ? status : p->rc);
    return status == 0 && p->rc == 0;
}

static void after_compare(uv_work_t *work, int status)
{
    (void)back(work->data, status);
}

static void after_load(uv_work_t *work, int status)
{
    struct piece *p = work->data;
    /* The host tier's bytes were never away. */
    if (back(p, status) && p->pipe->config->verify && p->path != BE_PATH_LOAD_HOST)
        queue(p, compare_work, after_compare);
}

static void after_store(uv_work_t *work, int status)
{
    struct piece *p = work->data;
    if (back(p, status) && p->path == BE_PATH_STORE_REDIS)
        command(p, BE_SET);
}

static void on_reply(void *self, uint64_t arg, const struct be_reply *reply)
{
    struct piece *p = self;
    struct pipe *pipe = p->pipe;
    (void)arg;
    if (!be_client_took(&pipe->client, reply))
        return;
    if (reply->kind == BE_REPLY_VALUE) {
        pipe->on_wire--;
        ask(pipe);
        if (reply->bytes_b > pipe->value_room) {
            be_client_failed(&pipe->client, -EBADMSG);
            return;
        }
        memcpy(p->value, reply->bytes, reply->bytes_b);
        p->value_b = reply->bytes_b;
        p->medium_ns = uv_hrtime();
        queue(p, load_work, after_load);
    } else {
        p->medium_ns = uv_hrtime();
    }
}

/* ---- One transfer ---------------------------------------------------------------------------------- */

static double step_to(kvt_ns *from, kvt_ns to)
{
    const kvt_ns by = to > *from ? to - *from : 0;
    *from += by;
    return (double)by;
}

/* Spans as world.h books them, and the whole, of one part. */
static double book(struct pipe *pipe, struct part *part, kvt_ns begin_ns)
{
    kvt_ns medium_ns = 0, decode_ns = 0, copy_ns = 0, at = begin_ns;
    double span[4];
    for (uint32_t i = 0; i < pipe->n; i++) {
        const struct piece *p = &part->piece[i];
        medium_ns = p->medium_ns > medium_ns ? p->medium_ns : medium_ns;
        decode_ns = p->decode_ns > decode_ns ? p->decode_ns : decode_ns;
        copy_ns = p->copy_ns > copy_ns ? p->copy_ns : copy_ns;
    }
    if (is_load(part->path)) {
        span[0] = step_to(&at, medium_ns);
        span[1] = step_to(&at, decode_ns);
        span[2] = step_to(&at, copy_ns);
    } else {
        span[2] = step_to(&at, copy_ns);
        span[1] = step_to(&at, decode_ns);
        span[0] = step_to(&at, medium_ns);
    }
    span[3] = (double)(at - begin_ns);
    for (int k = 0; k < 4 && pipe->taken < KEPT; k++)
        part->spans[k][pipe->taken] = span[k];
    return span[3];
}

/* The piece of this lap: other bytes in other places, so that no cache has them from the time before. */
static void turn(struct piece *p, uint32_t i)
{
    struct pipe *pipe = p->pipe;
    p->number = pipe->lap % LAPS * PIECES_MOST + i;
    p->piece.key.lo = pipe->config->seed + p->number;
    p->part.pages = &pipe->pages[p->number * pipe->pages_per_piece];
    p->slab = p->slabs ? p->slabs + p->number / PIECES_MOST * pipe->raw_b : NULL;
    be_piece_name(&p->piece, NULL, p->name);
}

/* A store writes what was not there before: a server that grows takes new memory for it. */
static void freshen(struct piece *p)
{
    struct pipe *pipe = p->pipe;
    p->piece.key.lo = pipe->config->seed + FRESH + pipe->fresh++;
    be_piece_name(&p->piece, NULL, p->name);
}

/* No more large values are asked for at a time than depth says: a server makes room for all replies at once. */
static void ask(struct pipe *pipe)
{
    const uint32_t most = pipe->config->depth * pipe->config->connections * pipe->nodes;
    for (; pipe->asked < pipe->n && pipe->on_wire < most; pipe->asked++, pipe->on_wire++)
        command(&pipe->part[0].piece[pipe->asked], BE_GET);
}

static void start(struct piece *p, enum be_path path)
{
    if (path == BE_PATH_STORE_REDIS && !p->pipe->keep)
        freshen(p);
    p->path = path;
    p->medium_ns = p->decode_ns = p->copy_ns = 0;
    p->rc = 0;
    if (path == BE_PATH_LOAD_REDIS)
        return; /* ask() has all of them */
    if (is_load(path))
        queue(p, load_work, after_load);
    else
        queue(p, store_work, after_store);
}

static int once(void *self, double *ns)
{
    struct pipe *pipe = self;
    for (uint32_t k = 0; k < pipe->n_parts; k++)
        for (uint32_t i = 0; i < pipe->n; i++)
            turn(&pipe->part[k].piece[i], i);
    const kvt_ns begin_ns = uv_hrtime();
    for (uint32_t k = 0; k < pipe->n_parts; k++)
        for (uint32_t i = 0; i < pipe->n; i++)
            start(&pipe->part[k].piece[i], pipe->part[k].path);
    pipe->asked = pipe->on_wire = 0;
    if (pipe->part[0].path == BE_PATH_LOAD_REDIS)
        ask(pipe);
    const int rc = be_client_run(&pipe->client);
    *ns = 0;
    for (uint32_t k = 0; k < pipe->n_parts; k++) {
        const double part_ns = book(pipe, &pipe->part[k], begin_ns);
        *ns = part_ns > *ns ? part_ns : *ns;
    }
    pipe->taken += pipe->taken < KEPT;
    pipe->lap++;
    return rc;
}

/* The sample of a part: medians over all repetitions but the first, which warmed up. */
static void take(struct pipe *pipe, struct part *part, struct be_sample *sample)
{
    const uint32_t n = pipe->taken - 1;
    sample->path = part->path;
    sample->stored_b = part->path == BE_PATH_STORE_HOST || part->path == BE_PATH_LOAD_HOST
                           ? (double)pipe->raw_b
                           : (double)part->piece[0].value_b;
    sample->nodes = sample->connections = sample->depth = 0;
    if (part->path == BE_PATH_LOAD_REDIS || part->path == BE_PATH_STORE_REDIS) {
        sample->nodes = pipe->nodes;
        sample->connections = pipe->config->connections;
        sample->depth = pipe->config->depth;
    }
    sample->medium_ns = be_quantile(part->spans[0] + 1, n, 0.5);
    sample->decode_ns = be_quantile(part->spans[1] + 1, n, 0.5);
    sample->copy_ns = be_quantile(part->spans[2] + 1, n, 0.5);
    sample->ns = be_quantile(part->spans[3] + 1, n, 0.5);
    sample->low_ns = be_quantile(part->spans[3] + 1, n, 0.1);
    sample->high_ns = be_quantile(part->spans[3] + 1, n, 0.9);
}

/* A point: a sample for each part. */
static int point(struct pipe *pipe, struct be_clock *clock)
{
    const struct be_sample usual = {.path = pipe->part[0].path,
                                    .dtype = pipe->format.geometry.dtype,
                                    .pieces = pipe->n,
                                    .threads = pipe->config->threads ? pipe->config->threads
                                                                     : be_processors(),
                                    .together = pipe->n_parts,
                                    .raw_b = (double)pipe->raw_b};
    pipe->taken = 0;
    int rc = be_measure_point(
        clock, &(struct be_point){.once = once, .self = pipe, .share = 1.4, .rested = true},
        &usual);
    for (uint32_t k = 0; rc == 0 && k < pipe->n_parts; k++) {
        struct be_sample sample = clock->samples->at[clock->samples->n - 1];
        take(pipe, &pipe->part[k], &sample);
        if (k == 0)
            clock->samples->at[clock->samples->n - 1] = sample;
        else
            rc = be_samples_add(clock->samples, &sample);
    }
    return rc;
}

/* ---- Sizes ----------------------------------------------------------------------------------------- */

static void release_part(struct pipe *pipe, struct part *part)
{
    const struct be_device_ops *ops = pipe->device.ops;
    for (uint32_t i = 0; i < PIECES_MOST; i++) {
        struct piece *p = &part->piece[i];
        if (p->value)
            ops->stage_free(pipe->device.self, p->value, pipe->value_room);
        if (p->raw)
            ops->stage_free(pipe->device.self, p->raw, pipe->raw_b);
        if (p->slabs)
            ops->stage_free(pipe->device.self, p->slabs, LAPS * pipe->raw_b);
        free(p->scratch);
        *p = (struct piece){0};
    }
}

/* Pieces of so many tokens each, their pages filled. Parts have the same pages: what is stored is the same. */
static int make_part(struct pipe *pipe, struct part *part, uint32_t tokens)
{
    struct be_format *f = &pipe->format;
    const struct be_device_ops *ops = pipe->device.ops;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < PIECES_MOST; i++) {
        struct piece *p = &part->piece[i];
        *p = (struct piece){.pipe = pipe, .number = i};
        p->work.data = p;
        p->piece = be_piece_at(f, (kvt_key){.hi = 7, .lo = pipe->config->seed + i}, tokens, 0);
        p->part = (struct k_part){.pages = &pipe->pages[i * pipe->pages_per_piece],
                                  .tokens = p->piece.tokens,
                                  .layer0 = p->piece.layer0,
                                  .layers = p->piece.layers};
        p->value = ops->stage_new(pipe->device.self, pipe->value_room);
        p->raw = ops->stage_new(pipe->device.self, pipe->raw_b);
        if (part->path == BE_PATH_STORE_HOST)
            p->slabs = ops->stage_new(pipe->device.self, LAPS * pipe->raw_b);
        p->scratch = malloc(be_value_scratch_b(f, tokens) + 1);
        if (!p->value || !p->raw || !p->scratch || (part->path == BE_PATH_STORE_HOST && !p->slabs))
            return -ENOMEM;
        memset(p->raw, 0, pipe->raw_b);
        if (p->slabs)
            memset(p->slabs, 0, LAPS * pipe->raw_b);
        for (pipe->lap = 0; rc == 0 && pipe->lap < LAPS; pipe->lap++) {
            turn(p, i);
            rc = ops->fill(pipe->device.self, 0, &p->part, p->piece.key.lo);
        }
    }
    return rc;
}

static int make_parts(struct pipe *pipe, const enum be_path *paths, uint32_t n_parts,
                      uint32_t tokens)
{
    struct be_format *f = &pipe->format;
    f->piece_layers = be_piece_layers(&f->geometry, tokens, pipe->config->piece_b);
    const struct be_piece first = be_piece_at(f, (kvt_key){0}, tokens, 0);
    const struct be_shape shape = be_piece_shape(f, &first);
    int rc = 0;
    pipe->raw_b = be_shape_raw_b(&shape);
    pipe->value_room = be_value_bound(f, tokens);
    pipe->n_parts = n_parts;
    for (uint32_t k = 0; rc == 0 && k < n_parts; k++) {
        pipe->part[k].path = paths[k];
        rc = make_part(pipe, &pipe->part[k], tokens);
    }
    return rc;
}

/* Takes away what stores left under fresh keys, and the server's memory with it. */
static void forget_fresh(struct pipe *pipe)
{
    struct piece *p = &pipe->part[0].piece[0];
    const uint64_t n = pipe->fresh;
    for (pipe->fresh = 0; pipe->nodes > 0 && pipe->fresh < n;) {
        freshen(p); /* which server has it follows from the piece's place: all are asked */
        for (p->number = 0; p->number < pipe->nodes; p->number++)
            command(p, BE_UNLINK);
        if (pipe->fresh % 64 == 0)
            (void)be_client_run(&pipe->client);
    }
    for (p->number = 0; n > 0 && p->number < pipe->nodes; p->number++)
        command(p, BE_PURGE);
    (void)be_client_run(&pipe->client);
    pipe->fresh = 0;
}

/* The stores, and if there is one the load, at each number of pieces. */
static int measure_counts(struct pipe *pipe, struct be_clock *clock, const enum be_path *load)
{
    const enum be_path store = pipe->part[0].path;
    double ns;
    pipe->n = PIECES_MOST;
    int rc = 0;
    pipe->keep = true;
    for (uint32_t lap = 0; rc == 0 && lap < LAPS; lap++)
        rc = once(pipe, &ns); /* so that all is there */
    pipe->keep = false;
    for (uint32_t k = 0; rc == 0 && k < COUNTS; k++) {
        if (pipe->config->quick && k % 2 != 0)
            continue;
        pipe->n = piece_counts[k];
        pipe->part[0].path = store;
        rc = point(pipe, clock);
        if (rc == 0)
            forget_fresh(pipe);
        if (load)
            pipe->part[0].path = *load;
        if (rc == 0 && load)
            rc = point(pipe, clock);
    }
    return rc;
}

/* What was stored is taken away again. */
static void forget(struct pipe *pipe)
{
    for (pipe->lap = 0; pipe->lap < LAPS; pipe->lap++) {
        for (uint32_t k = 0; k < pipe->n_parts; k++) {
            const enum be_path path = pipe->part[k].path;
            for (uint32_t i = 0; i < PIECES_MOST && pipe->part[k].piece[i].pipe; i++) {
                struct piece *p = &pipe->part[k].piece[i];
                turn(p, i);
                if (path == BE_PATH_LOAD_REDIS || path == BE_PATH_STORE_REDIS)
                    command(p, BE_UNLINK);
                if (path == BE_PATH_LOAD_DISK || path == BE_PATH_STORE_DISK)
                    (void)be_disk_remove(pipe->disk, p->name);
            }
        }
        (void)be_client_run(&pipe->client);
    }
}

/* All sizes: a whole block, an eighth and a half, at least a page. */
static int measure_sizes(struct pipe *pipe, struct be_clock *clock, const enum be_path *stores,
                         uint32_t n_stores, const enum be_path *load)
{
    static const uint32_t shares[SIZES] = {1, 8, 2};
    const uint32_t page = pipe->config->geometry.page_tokens;
    int rc = 0;
    for (uint32_t s = 0; rc == 0 && s < (pipe->config->quick ? SIZES - 1 : SIZES); s++) {
        const uint32_t tokens = pipe->config->block_tokens / shares[s];
        rc = make_parts(pipe, stores, n_stores, tokens < page ? page : tokens);
        if (rc == 0)
            rc = measure_counts(pipe, clock, load);
        forget(pipe);
        for (uint32_t k = 0; k < PARTS_MOST; k++)
            release_part(pipe, &pipe->part[k]);
    }
    return rc;
}

/* With `nodes` servers; 0: without Redis. */
static int measure_tiers(struct pipe *pipe, struct be_clock *clock, uint32_t nodes,
                         const enum be_path *stores, uint32_t n_stores, const enum be_path *load,
                         char *why, size_t size)
{
    const struct be_measure_config *config = pipe->config;
    pipe->nodes = nodes;
    int rc = be_client_open(&pipe->client, config->nodes, nodes, config->connections, COMMANDS,
                            2 * config->piece_b + 4096);
    if (rc == 0)
        rc = measure_sizes(pipe, clock, stores, n_stores, load);
    be_client_release(&pipe->client);
    if (rc != 0 && rc != -EINTR)
        snprintf(why, size, "%s: %s", be_path_name(stores[0]), strerror(-rc));
    return rc;
}

static int open_disk(struct pipe *pipe, char *why, size_t size)
{
    const struct be_measure_config *config = pipe->config;
    char folder[4096];
    int rc = 0;
    if ((size_t)snprintf(folder, sizeof folder, "%s/kvtwin-measure-%ld", config->folder,
                         (long)uv_os_getpid()) >= sizeof folder)
        return -ENAMETOOLONG;
    const struct be_disk_config disk = {.folder = folder,
                                        .quota_b = UINT64_MAX,
                                        .sync = config->sync,
                                        .direct = config->direct};
    pipe->disk = be_disk_open(&disk, &rc, why, size);
    return pipe->disk ? 0 : rc;
}

static int open_pipe(struct pipe *pipe, char *why, size_t size)
{
    const struct be_measure_config *config = pipe->config;
    struct be_device_config device = {.geometry = config->geometry, .pools = 1};
    pipe->pages_per_piece =
        (config->block_tokens + config->geometry.page_tokens - 1) / config->geometry.page_tokens;
    device.geometry.pages = 2 * LAPS * PIECES_MOST * pipe->pages_per_piece;
    const uint32_t n = LAPS * PIECES_MOST * pipe->pages_per_piece;
    pipe->pages = malloc(n * sizeof *pipe->pages);
    if (!pipe->pages)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) /* every other page: the pages of a piece lie apart */
        pipe->pages[i] = 2 * i;
    pipe->format = (struct be_format){.epoch = 1, .geometry = device.geometry, .shards = 1};
    return be_device_open(&pipe->device, config->device, &device, why, size);
}

/* Each tier alone, Redis with one server and with all; then all tiers in concert. */
static int measure_all(struct pipe *pipe, struct be_samples *samples, char *why, size_t size)
{
    static const enum be_path host[] = {BE_PATH_STORE_HOST, BE_PATH_LOAD_HOST},
                              redis[] = {BE_PATH_STORE_REDIS, BE_PATH_LOAD_REDIS},
                              disk[] = {BE_PATH_STORE_DISK, BE_PATH_LOAD_DISK};
    const struct be_measure_config *config = pipe->config;
    const uint32_t nodes = config->n_nodes;
    enum be_path concert[PARTS_MOST] = {BE_PATH_STORE_HOST};
    uint32_t n = 1;
    if (nodes > 0)
        concert[n++] = BE_PATH_STORE_REDIS;
    if (config->folder)
        concert[n++] = BE_PATH_STORE_DISK;
    const uint32_t tiers = n + (nodes > 1), counts = config->quick ? 2 * 3 : SIZES * COUNTS;
    struct be_clock clock = {.config = config,
                             .samples = samples,
                             .points = (2 * tiers + (n > 1)) * counts};
    int rc = measure_tiers(pipe, &clock, 0, host, 1, &host[1], why, size);
    if (rc == 0 && nodes > 0)
        rc = measure_tiers(pipe, &clock, 1, redis, 1, &redis[1], why, size);
    if (rc == 0 && nodes > 1)
        rc = measure_tiers(pipe, &clock, nodes, redis, 1, &redis[1], why, size);
    if (rc == 0 && config->folder)
        rc = open_disk(pipe, why, size);
    if (rc == 0 && config->folder)
        rc = measure_tiers(pipe, &clock, 0, disk, 1, &disk[1], why, size);
    if (rc == 0 && n > 1)
        rc = measure_tiers(pipe, &clock, nodes, concert, n, NULL, why, size);
    return rc;
}

int be_measure_pipes(const struct be_measure_config *config, struct be_samples *samples, char *why,
                     size_t size)
{
    struct pipe *pipe = calloc(1, sizeof *pipe);
    if (!pipe)
        return -ENOMEM;
    *why = '\0';
    pipe->config = config;
    int rc = open_pipe(pipe, why, size);
    const bool opened = rc == 0;
    if (rc == 0)
        rc = measure_all(pipe, samples, why, size);
    if (rc != 0 && rc != -EINTR && !*why)
        snprintf(why, size, "loads and stores: %s", strerror(-rc));
    be_disk_close(pipe->disk);
    if (opened)
        pipe->device.ops->free(pipe->device.self);
    free(pipe->pages);
    free(pipe);
    return rc;
}
