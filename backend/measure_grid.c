/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_grid.c - which whole loads and stores are measured: sizes and numbers of pieces, each
 * tier alone, Redis with one server and with all, then stores to all tiers in concert; and the
 * pages, values and files that they need.
 */
#include "measure_pipe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t piece_counts[COUNTS] = {1, 2, 4, 8, 16, 32};

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
            be_pipe_turn(p, i);
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
        be_pipe_freshen(p); /* which server has it follows from the piece's place: all are asked */
        for (p->number = 0; p->number < pipe->nodes; p->number++)
            be_pipe_command(p, BE_UNLINK);
        if (pipe->fresh % 64 == 0)
            (void)be_client_run(&pipe->client);
    }
    for (p->number = 0; n > 0 && p->number < pipe->nodes; p->number++)
        be_pipe_command(p, BE_PURGE);
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
        rc = be_pipe_once(pipe, &ns); /* so that all is there */
    pipe->keep = false;
    for (uint32_t k = 0; rc == 0 && k < COUNTS; k++) {
        if (pipe->config->quick && k % 2 != 0)
            continue;
        pipe->n = piece_counts[k];
        pipe->part[0].path = store;
        rc = be_pipe_point(pipe, clock);
        if (rc == 0)
            forget_fresh(pipe);
        if (load)
            pipe->part[0].path = *load;
        if (rc == 0 && load)
            rc = be_pipe_point(pipe, clock);
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
                be_pipe_turn(p, i);
                if (path == BE_PATH_LOAD_REDIS || path == BE_PATH_STORE_REDIS)
                    be_pipe_command(p, BE_UNLINK);
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
    be_workers_init(&pipe->workers, &pipe->client.loop,
                    config->workers ? config->workers : be_processors() + 1, pipe);
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
    char folder[PATH_MAX];
    int rc = be_scratch_open(&pipe->scratch, config->folder, why, size);
    if (rc == 0)
        rc = be_scratch_path(&pipe->scratch, "disk", folder);
    if (rc != 0)
        return rc;
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

static bool wanted(const struct be_measure_config *config, enum kvt_tier_kind tier)
{
    return config->again == 0 || (config->again >> tier & 1) != 0;
}

/* Each tier alone, Redis with one server and with all; then all tiers in concert. */
static int measure_all(struct pipe *pipe, struct be_samples *samples, char *why, size_t size)
{
    static const enum be_path host[] = {BE_PATH_STORE_HOST, BE_PATH_LOAD_HOST},
                              redis[] = {BE_PATH_STORE_REDIS, BE_PATH_LOAD_REDIS},
                              disk[] = {BE_PATH_STORE_DISK, BE_PATH_LOAD_DISK};
    const struct be_measure_config *config = pipe->config;
    const uint32_t nodes = wanted(config, KVT_REDIS) ? config->n_nodes : 0;
    const bool files = config->folder && wanted(config, KVT_DISK),
               memory = wanted(config, KVT_HOST);
    enum be_path concert[PARTS_MOST] = {BE_PATH_STORE_HOST};
    uint32_t n = 1;
    if (nodes > 0)
        concert[n++] = BE_PATH_STORE_REDIS;
    if (files)
        concert[n++] = BE_PATH_STORE_DISK;
    if (config->again)
        n = 1;
    const uint32_t tiers = (memory ? 1u : 0u) + (nodes > 1 ? 2u : nodes) + (files ? 1u : 0u),
                   counts = config->quick ? 2 * 3 : SIZES * COUNTS;
    struct be_clock clock = {.config = config,
                             .samples = samples,
                             .points = (2 * tiers + (n > 1)) * counts};
    int rc = memory ? measure_tiers(pipe, &clock, 0, host, 1, &host[1], why, size) : 0;
    if (rc == 0 && nodes > 0)
        rc = measure_tiers(pipe, &clock, 1, redis, 1, &redis[1], why, size);
    if (rc == 0 && nodes > 1)
        rc = measure_tiers(pipe, &clock, nodes, redis, 1, &redis[1], why, size);
    if (rc == 0 && files)
        rc = open_disk(pipe, why, size);
    if (rc == 0 && files)
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
    be_scratch_close(&pipe->scratch);
    if (opened)
        pipe->device.ops->free(pipe->device.self);
    free(pipe->pages);
    free(pipe);
    return rc;
}
