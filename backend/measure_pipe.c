/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_pipe.c - whole loads and stores of n pieces, one at a time, through the stages of the
 * real world.
 *
 *      load    host     [ upload ]                                   [ ] on a worker, the rest on the loop
 *              redis    GET, copy to staging -> [ verify, decode -> upload ]
 *              disk     [ read -> verify, decode -> upload ]
 *      store   host     [ download ]
 *              redis    [ download -> encode ] -> SET
 *              disk     [ download -> encode -> write ]
 *
 * The stages of a transfer overlap, and share processors, caches and memory: what Redis delivers
 * while workers verify and upload is what a simulation must know, and less than what it delivers
 * alone. After a load each piece is compared with what it has to be on a worker, as world.h does
 * by default; the load has ended by then, but it is not begun anew until that is through.
 *
 * A finished prompt is stored into every tier at one time, so stores are measured in concert,
 * too: the same pages to main memory, Redis and disk, begun together, each tier's store booked
 * by itself.
 *
 * Transfers are measured as they come in a run: the machine has rested before each, and each
 * moves other bytes than the one before (LAPS sets of pieces, each with pages, keys and files of
 * its own). What is stored has just been computed: workers fill its pages, a step goes by, and nothing else has been through
 * the caches meanwhile.
 *
 * This is a stand-in for world.c, not a part of it: it has neither core nor deadlines, and every
 * transfer is alone. Pieces of a block differ in their key; all of them are stored once before
 * they are loaded. Piece i goes to server i modulo n.
 */
#include "measure_pipe.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Steps, as long as they are in a run: a block is one that a decoding step has filled up, several are a prompt's. */
static const long DECODE_NS = 3000000, PREFILL_NS = 20000000;

static const uint64_t FRESH = UINT64_C(1) << 32; /* keys from here on are of one point */

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

static struct piece *piece_of(struct be_chore *c)
{
    return (struct piece *)(void *)((char *)c - offsetof(struct piece, chore));
}

static void load_work(struct be_chore *c)
{
    struct piece *p = piece_of(c);
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

static void compare_work(struct be_chore *c)
{
    struct piece *p = piece_of(c);
    struct pipe *pipe = p->pipe;
    void *wanted = p->payload == p->raw ? p->value : p->raw;
    k_fill_packed(&pipe->format.geometry, &p->part, p->piece.key.lo, wanted);
    if (memcmp(wanted, p->payload, pipe->raw_b) != 0)
        p->rc = -EILSEQ;
}

static void fill_work(struct be_chore *c)
{
    struct piece *p = piece_of(c);
    struct pipe *pipe = p->pipe;
    p->rc = pipe->device.ops->fill(pipe->device.self, 0, &p->part, p->piece.key.lo);
}

static void store_work(struct be_chore *c)
{
    struct piece *p = piece_of(c);
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

static void queue(struct piece *p, enum be_urgency urgency, void (*work)(struct be_chore *),
                  void (*after)(struct be_chore *))
{
    p->pipe->client.under_way++;
    be_workers_ask(&p->pipe->workers, &p->chore, urgency, work, after);
}

static void on_reply(void *self, uint64_t arg, const struct be_reply *reply);
static void ask(struct pipe *pipe);

void be_pipe_command(struct piece *p, enum be_verb verb)
{
    struct pipe *pipe = p->pipe;
    const int rc = be_client_send(&pipe->client, p->number % pipe->nodes, verb, p->name, p->value,
                                  p->value_b, on_reply, p, 0);
    if (rc != 0)
        be_client_failed(&pipe->client, rc);
}

/* True when the work went well. */
static bool back(struct piece *p)
{
    p->pipe->client.under_way--;
    if (p->rc != 0)
        be_client_failed(&p->pipe->client, p->rc);
    return p->rc == 0;
}

static void after_all(struct be_chore *c)
{
    (void)back(piece_of(c));
}

/* The step before a store: pages are filled, then it is waited for. */
static int compute(struct pipe *pipe)
{
    for (uint32_t i = 0; i < pipe->n; i++) {
        struct piece *p = &pipe->part[0].piece[i]; /* all parts have the same pages */
        p->rc = 0;
        queue(p, BE_URGENT_FILL, fill_work, after_all);
    }
    const long prefill_ns = pipe->config->quick ? PREFILL_NS / 4 : PREFILL_NS;
    const int rc = be_client_run(&pipe->client);
    if (rc == 0)
        nanosleep(&(struct timespec){.tv_nsec = pipe->n == 1 ? DECODE_NS : prefill_ns}, NULL);
    return rc;
}

static void after_load(struct be_chore *c)
{
    struct piece *p = piece_of(c);
    /* The host tier's bytes were never away. */
    if (back(p) && p->pipe->config->verify && p->path != BE_PATH_LOAD_HOST)
        queue(p, BE_URGENT_LAST, compare_work, after_all);
}

static void after_store(struct be_chore *c)
{
    struct piece *p = piece_of(c);
    if (back(p) && p->path == BE_PATH_STORE_REDIS)
        be_pipe_command(p, BE_SET);
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
        queue(p, BE_URGENT_LOAD, load_work, after_load);
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
void be_pipe_turn(struct piece *p, uint32_t i)
{
    struct pipe *pipe = p->pipe;
    p->number = pipe->lap % LAPS * PIECES_MOST + i;
    p->piece.key.lo = pipe->config->seed + p->number;
    p->part.pages = &pipe->pages[p->number * pipe->pages_per_piece];
    p->slab = p->slabs ? p->slabs + p->number / PIECES_MOST * pipe->raw_b : NULL;
    be_piece_name(&p->piece, NULL, p->name);
}

/* A store writes what was not there before: a server that grows takes new memory for it. */
void be_pipe_freshen(struct piece *p)
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
        be_pipe_command(&pipe->part[0].piece[pipe->asked], BE_GET);
}

static void start(struct piece *p, enum be_path path)
{
    if (path == BE_PATH_STORE_REDIS && !p->pipe->keep)
        be_pipe_freshen(p);
    p->path = path;
    p->medium_ns = p->decode_ns = p->copy_ns = 0;
    p->rc = 0;
    if (path == BE_PATH_LOAD_REDIS)
        return; /* ask() has all of them */
    if (is_load(path))
        queue(p, BE_URGENT_LOAD, load_work, after_load);
    else
        queue(p, BE_URGENT_STORE, store_work, after_store);
}

int be_pipe_once(void *self, double *ns)
{
    struct pipe *pipe = self;
    for (uint32_t k = 0; k < pipe->n_parts; k++)
        for (uint32_t i = 0; i < pipe->n; i++)
            be_pipe_turn(&pipe->part[k].piece[i], i);
    int rc = pipe->keep || is_load(pipe->part[0].path) ? 0 : compute(pipe);
    if (rc != 0)
        return rc;
    const kvt_ns begin_ns = uv_hrtime();
    for (uint32_t k = 0; k < pipe->n_parts; k++)
        for (uint32_t i = 0; i < pipe->n; i++)
            start(&pipe->part[k].piece[i], pipe->part[k].path);
    pipe->asked = pipe->on_wire = 0;
    if (pipe->part[0].path == BE_PATH_LOAD_REDIS)
        ask(pipe);
    rc = be_client_run(&pipe->client);
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

/* How each repetition compares with the sample. */
static int take_ratios(const struct pipe *pipe, const struct part *part,
                       const struct be_sample *sample, struct be_samples *samples)
{
    const double median_ns[BE_SPANS] = {sample->medium_ns, sample->decode_ns, sample->copy_ns};
    int rc = 0;
    for (int k = 0; rc == 0 && k < BE_SPANS; k++)
        rc = be_samples_add_ratios(samples, sample, (enum be_span)k, part->spans[k] + 1,
                                   pipe->taken - 1, median_ns[k]);
    return rc;
}

/* A point: a sample for each part. */
int be_pipe_point(struct pipe *pipe, struct be_clock *clock)
{
    const struct be_sample usual = {.path = pipe->part[0].path,
                                    .dtype = pipe->format.geometry.dtype,
                                    .pieces = pipe->n,
                                    .threads = pipe->workers.threads,
                                    .together = pipe->n_parts,
                                    .raw_b = (double)pipe->raw_b};
    pipe->taken = 0;
    /* Before a store there is a step, too: no more time passes in all. */
    const bool load = is_load(usual.path);
    int rc = be_measure_point(clock,
                              &(struct be_point){.once = be_pipe_once,
                                                 .self = pipe,
                                                 .share = pipe->config->quick ? 1.4 : 3.5,
                                                 .rested = load ? 6 : 3,
                                                 .others = load},
                              &usual);
    for (uint32_t k = 0; rc == 0 && k < pipe->n_parts; k++) {
        struct be_sample sample = clock->samples->at[clock->samples->n - 1];
        take(pipe, &pipe->part[k], &sample);
        if (pipe->n_parts == 1)
            rc = take_ratios(pipe, &pipe->part[k], &sample, clock->samples);
        if (rc != 0)
            break;
        if (k == 0)
            clock->samples->at[clock->samples->n - 1] = sample;
        else
            rc = be_samples_add(clock->samples, &sample);
    }
    return rc;
}
