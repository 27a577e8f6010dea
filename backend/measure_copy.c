/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_copy.c - copies: main memory, and between staging memory and the pages of a device.
 *
 * Each member of a team walks through memory of its own that is larger than a share of any
 * cache, so that a figure is one of main memory: memcpy through two areas of AREA_B (beyond
 * AREAS threads a share of as many), the device's functions through pages of the pool that are
 * its own and a ring of staging buffers. One measurement is as many pieces as take about a
 * millisecond, at the most optimistic 16 GB/s; it is booked as that many pieces in one transfer.
 *
 * Pages are handed out with a stride, so that the pages of a piece lie apart, as they do in a
 * pool that has been in use for a while.
 */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure_team.h"

enum { AREA_B = 48 << 20, AREAS = 8, INNER_B = 16 << 20, RING = 8, PAGES_MOST = 4096, SIZES = 6 };

struct member {
    unsigned char *from, *to; /* memcpy */
    void *ring[RING];
    uint32_t *pages; /* of the pool, this member's own, shuffled */
    uint32_t n_pages, next_page, turn;
    size_t next_b;
};

struct copies {
    const struct be_measure_config *config;
    struct be_device device;
    struct k_geometry geometry; /* with pages */
    struct member member[BE_TEAM_MOST];
    uint32_t threads; /* members there are */
    size_t ring_b, area_b;
    /* of the point under way */
    enum be_path path;
    size_t copy_b;
    uint32_t tokens, inner;
    struct be_team *team;
};

/* ---- One member's part ----------------------------------------------------------------------------- */

static void copy_memory(struct copies *c, struct member *m)
{
    for (uint32_t i = 0; i < c->inner; i++) {
        if (m->next_b + c->copy_b > c->area_b)
            m->next_b = 0;
        memcpy(m->to + m->next_b, m->from + m->next_b, c->copy_b);
        m->next_b += c->copy_b;
    }
}

/* The next piece's pages. */
static const uint32_t *take_pages(const struct copies *c, struct member *m)
{
    const uint32_t n = (c->tokens + c->geometry.page_tokens - 1) / c->geometry.page_tokens;
    if (m->next_page + n > m->n_pages)
        m->next_page = 0;
    m->next_page += n;
    return &m->pages[m->next_page - n];
}

static int use_device(struct copies *c, struct member *m, const struct k_part *part)
{
    const struct be_device_ops *ops = c->device.ops;
    void *self = c->device.self, *packed = m->ring[m->turn++ % RING];
    uint64_t sum;
    switch (c->path) {
    case BE_PATH_UPLOAD:
        return ops->upload(self, 0, part, packed);
    case BE_PATH_DOWNLOAD:
        return ops->download(self, 0, part, packed);
    case BE_PATH_PEER:
        return ops->peer(self, 0, part, 1, part->pages);
    case BE_PATH_FILL:
        return ops->fill(self, 0, part, c->config->seed + m->turn);
    default:
        return ops->checksum(self, 0, part, &sum);
    }
}

static int once_member(void *self, uint32_t number)
{
    struct copies *c = self;
    struct member *m = &c->member[number];
    int rc = 0;
    if (c->path == BE_PATH_MEMCPY) {
        copy_memory(c, m);
        return 0;
    }
    for (uint32_t i = 0; rc == 0 && i < c->inner; i++) {
        const struct k_part part = {.pages = take_pages(c, m),
                                    .tokens = c->tokens,
                                    .layers = c->geometry.layers};
        rc = use_device(c, m, &part);
    }
    return rc;
}

static int once(void *self, double *ns)
{
    struct copies *c = self;
    return be_team_run(c->team, ns);
}

/* ---- The grid -------------------------------------------------------------------------------------- */

static int point(struct copies *c, struct be_clock *clock, enum be_path path, double piece_b,
                 uint32_t threads)
{
    int rc;
    c->path = path;
    c->copy_b = (size_t)piece_b;
    c->inner = piece_b < INNER_B ? (uint32_t)(INNER_B / piece_b) : 1;
    c->team = be_team_new(threads, once_member, c, &rc);
    if (!c->team)
        return rc;
    const struct be_sample sample = {.path = path,
                                     .pieces = c->inner * threads,
                                     .threads = threads,
                                     .raw_b = piece_b,
                                     .stored_b = piece_b};
    rc = be_measure_point(clock, &(struct be_point){.once = once, .self = c}, &sample);
    be_team_free(c->team);
    return rc;
}

/* Thread counts: 1, 2, 4 .. and all. */
static uint32_t thread_counts(uint32_t most, bool quick, uint32_t counts[8])
{
    uint32_t n = 0;
    counts[n++] = 1;
    for (uint32_t k = 2; k < most && n < 7 && !quick; k *= 2)
        counts[n++] = k;
    if (most > 1)
        counts[n++] = most;
    return n;
}

static int measure_memcpy(struct copies *c, struct be_clock *clock, const uint32_t *counts,
                          uint32_t n_counts)
{
    int rc = 0;
    for (uint32_t s = 0; rc == 0 && s < SIZES; s++)
        for (uint32_t t = 0; rc == 0 && t < n_counts; t++)
            if (!c->config->quick || s % 2 == 0)
                rc = point(c, clock, BE_PATH_MEMCPY, 4096.0 * (double)(1u << 2 * s), counts[t]);
    return rc;
}

static int measure_device(struct copies *c, struct be_clock *clock, const uint32_t *counts,
                          uint32_t n_counts)
{
    static const enum be_path paths[] = {BE_PATH_UPLOAD, BE_PATH_DOWNLOAD, BE_PATH_PEER,
                                         BE_PATH_FILL, BE_PATH_CHECKSUM};
    int rc = 0;
    for (uint32_t p = 0; rc == 0 && p < 5; p++) {
        for (uint32_t tokens = c->geometry.page_tokens;
             rc == 0 && tokens <= c->config->block_tokens; tokens *= 2) {
            const bool copied = paths[p] == BE_PATH_UPLOAD || paths[p] == BE_PATH_DOWNLOAD;
            if (c->config->quick && !copied && tokens * 2 <= c->config->block_tokens)
                continue; /* the largest will do */
            c->tokens = tokens;
            for (uint32_t t = 0; rc == 0 && t < n_counts; t++)
                rc = point(c, clock, paths[p],
                           (double)k_packed_b(&c->geometry, c->geometry.layers, tokens), counts[t]);
        }
    }
    return rc;
}

/* ---- Memory ---------------------------------------------------------------------------------------- */

static void release(struct copies *c)
{
    for (uint32_t i = 0; i < c->threads; i++) {
        struct member *m = &c->member[i];
        for (uint32_t k = 0; k < RING; k++)
            if (m->ring[k])
                c->device.ops->stage_free(c->device.self, m->ring[k], c->ring_b);
        free(m->pages);
        free(m->from);
        free(m->to);
    }
    if (c->device.ops)
        c->device.ops->free(c->device.self);
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* A member's pages, from `first` on, in an order with a stride that is coprime to their number. */
static void deal(struct member *m, uint32_t first)
{
    uint32_t stride = m->n_pages / 3 * 2 + 1;
    while (common_divisor(m->n_pages, stride) != 1)
        stride++;
    for (uint32_t i = 0, at = 0; i < m->n_pages; i++) {
        m->pages[i] = first + at;
        at = (at + stride) % m->n_pages;
    }
}

static int member_init(struct copies *c, uint32_t i, uint32_t n_pages)
{
    struct member *m = &c->member[i];
    c->threads = i + 1;
    m->n_pages = n_pages;
    m->from = malloc(c->area_b);
    m->to = malloc(c->area_b);
    m->pages = malloc(n_pages * sizeof *m->pages);
    if (!m->from || !m->to || !m->pages)
        return -ENOMEM;
    memset(m->from, (int)i, c->area_b);
    memset(m->to, 0, c->area_b);
    deal(m, i * n_pages);
    for (uint32_t k = 0; k < RING; k++) {
        m->ring[k] = c->device.ops->stage_new(c->device.self, c->ring_b);
        if (!m->ring[k])
            return -ENOMEM;
        memset(m->ring[k], (int)(i + k), c->ring_b);
    }
    return 0;
}

static int open_device(struct copies *c, uint32_t threads, char *why, size_t size)
{
    const struct be_measure_config *config = c->config;
    const uint32_t per_block =
        (config->block_tokens + config->geometry.page_tokens - 1) / config->geometry.page_tokens;
    const size_t page_b =
        k_packed_b(&config->geometry, config->geometry.layers, config->geometry.page_tokens);
    c->area_b = threads > AREAS ? (size_t)AREA_B * AREAS / threads : AREA_B;
    uint32_t each = (uint32_t)(c->area_b / page_b);
    each = each < 2 * per_block ? 2 * per_block : each > PAGES_MOST ? PAGES_MOST : each;
    c->geometry = config->geometry;
    c->geometry.pages = each * threads;
    c->ring_b = k_packed_b(&config->geometry, config->geometry.layers, config->block_tokens);
    const struct be_device_config device = {.geometry = c->geometry, .pools = 2};
    int rc = be_device_open(&c->device, config->device, &device, why, size);
    if (rc != 0) {
        c->device.ops = NULL;
        return rc;
    }
    for (uint32_t i = 0; rc == 0 && i < threads; i++)
        rc = member_init(c, i, each);
    return rc;
}

int be_measure_copies(const struct be_measure_config *config, struct be_samples *samples, char *why,
                      size_t size)
{
    uint32_t threads = config->threads ? config->threads : be_processors(), counts[8];
    threads = threads > BE_TEAM_MOST ? BE_TEAM_MOST : threads;
    struct copies *c = calloc(1, sizeof *c);
    if (!c)
        return -ENOMEM;
    c->config = config;
    *why = '\0';
    int rc = open_device(c, threads, why, size);
    const uint32_t n_counts = thread_counts(threads, config->quick, counts);
    uint32_t steps = 0; /* sizes of pieces: one page .. a block */
    for (uint32_t t = config->geometry.page_tokens; t <= config->block_tokens; t *= 2)
        steps++;
    struct be_clock clock = {.config = config, .samples = samples};
    clock.points = n_counts * (config->quick ? SIZES / 2 + 2 * steps + 3 : SIZES + 5 * steps);
    if (rc == 0)
        rc = measure_memcpy(c, &clock, counts, n_counts);
    if (rc == 0)
        rc = measure_device(c, &clock, counts, n_counts);
    if (rc != 0 && rc != -EINTR && !*why)
        snprintf(why, size, "copies: %s", strerror(-rc));
    release(c);
    free(c);
    return rc;
}
