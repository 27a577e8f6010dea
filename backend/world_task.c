/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_task.c - pieces on their way: staging, turns, and what workers do.
 *
 * A lane (a tier) has a fixed number of tasks, and with them of staging buffers: that is what
 * bounds memory, and how much is under way at Redis at one time. Who waits for a task takes
 * turns, one piece each. Stores get at most half of the tasks, so that a load never waits for a
 * slow store to end. At Redis no more large values are asked for at one time than `depth` says: a server
 * makes room for the replies of its whole pipeline at once.
 *
 *      load    GET or read -> [ verify whole, decode -> upload ] -> (compare)        [ ] on a worker
 *      store   [ download -> encode ] -> SET or write
 *      peer, gpu  [ pages to pages ] -> (compare)
 *
 * Comparing what was loaded with what must be there comes last and holds up only the staging
 * buffer: the operation has ended by then.
 */
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../core/mix.h"

enum { TASKS_MOST = 64, TASKS_LEAST = 4, ALIGN_B = 4096 };

static const uint64_t default_stage_b = UINT64_C(256) << 20;

/* ---- Lanes ----------------------------------------------------------------------------------- */

/* All staging is there from the start: pinning it, or faulting it in, takes longer than a piece. */
static bool make_room(struct task *t)
{
    struct be_world *w = t->world;
    const struct lane *lane = &w->lanes[t->lane];
    if (!t->value && lane->value_room)
        t->value = w->device.ops->stage_new(w->device.self, lane->value_room);
    if (!t->raw && lane->raw_room)
        t->raw = w->device.ops->stage_new(w->device.self, lane->raw_room);
    if (!t->scratch && lane->scratch_room)
        t->scratch = malloc(lane->scratch_room);
    return (t->value || !lane->value_room) && (t->raw || !lane->raw_room) &&
           (t->scratch || !lane->scratch_room);
}

static uint32_t tasks_for(const struct be_world *w, const struct lane *lane)
{
    const uint64_t each_b = lane->value_room + lane->raw_room + lane->scratch_room;
    const uint64_t stage_b = w->config.stage_b ? w->config.stage_b : default_stage_b;
    uint64_t n = each_b ? stage_b / each_b : 4 * (uint64_t)w->config.threads;
    n = n < TASKS_LEAST ? TASKS_LEAST : n;
    return n > TASKS_MOST ? TASKS_MOST : (uint32_t)n;
}

static size_t rounded(size_t b)
{
    return (b + ALIGN_B - 1) / ALIGN_B * ALIGN_B;
}

int be_lane_init(struct be_world *w, enum kvt_tier_kind tier)
{
    struct lane *lane = &w->lanes[tier];
    lane->per_layer = tier == KVT_REDIS && w->config.redis.layout == BE_PER_LAYER;
    lane->format = (struct be_format){
        .epoch = w->config.epoch,
        .geometry = w->config.geometry,
        .shards = w->config.gpus_per_engine,
        .piece_layers =
            lane->per_layer
                ? 1
                : be_piece_layers(&w->config.geometry, w->config.block_tokens, w->config.piece_b),
        .codec = w->config.codec[tier],
    };
    if (tier == KVT_HOST) { /* its slots are staging already; the room is for comparing */
        const size_t shard_b =
            k_packed_b(&w->config.geometry, w->config.geometry.layers, w->config.block_tokens);
        lane->raw_room = w->config.verify ? rounded(shard_b) : 0;
    } else if (tier == KVT_GPU) { /* a piece is all that one GPU computes with of a block */
        lane->format.piece_layers = w->config.geometry.layers;
        lane->value_room = lane->raw_room =
            w->config.verify ? rounded(k_packed_b(&w->config.geometry, w->config.geometry.layers,
                                                  w->config.block_tokens))
                             : 0;
    } else if (tier == KVT_PEER) { /* as with host: one to compare, and one to compare with */
        const size_t piece_b =
            k_packed_b(&w->config.geometry, lane->format.piece_layers, w->config.block_tokens);
        lane->value_room = lane->raw_room = w->config.verify ? rounded(piece_b) : 0;
    } else {
        const struct be_piece piece =
            be_piece_at(&lane->format, (kvt_key){0}, w->config.block_tokens, 0);
        const struct be_shape shape = be_piece_shape(&lane->format, &piece);
        lane->value_room =
            rounded(tier == KVT_REDIS ? be_redis_value_room(w)
                                      : be_value_bound(&lane->format, w->config.block_tokens));
        lane->raw_room = rounded(be_shape_raw_b(&shape));
        lane->scratch_room = rounded(be_value_scratch_b(&lane->format, w->config.block_tokens) + 1);
    }
    lane->on_wire_most = tier == KVT_REDIS ? w->config.redis.depth * w->config.redis.connections *
                                                 w->config.redis.n_nodes
                                           : UINT32_MAX;
    lane->n_tasks = tasks_for(w, lane);
    lane->tasks = calloc(lane->n_tasks, sizeof *lane->tasks);
    if (!lane->tasks)
        return -ENOMEM;
    for (uint32_t i = lane->n_tasks; i-- > 0;) {
        struct task *t = &lane->tasks[i];
        *t = (struct task){.world = w, .next = lane->free, .lane = tier};
        lane->free = t;
        if (!make_room(t))
            return -ENOMEM;
    }
    return 0;
}

void be_lane_release(struct be_world *w, enum kvt_tier_kind tier)
{
    struct lane *lane = &w->lanes[tier];
    for (uint32_t i = 0; lane->tasks && i < lane->n_tasks; i++) {
        struct task *t = &lane->tasks[i];
        if (t->value)
            w->device.ops->stage_free(w->device.self, t->value, lane->value_room);
        if (t->raw)
            w->device.ops->stage_free(w->device.self, t->raw, lane->raw_room);
        free(t->scratch);
    }
    free(lane->tasks);
    lane->tasks = NULL;
}

static void begin(struct lane *lane, struct op *op, uint32_t pieces_per_block)
{
    struct task *t = lane->free;
    lane->free = t->next;
    lane->storing += op->kind == OP_STORE;
    t->op = op;
    t->block = op->started / pieces_per_block;
    t->piece = op->started % pieces_per_block;
    t->status = KVT_OK;
    t->payload = NULL;
    t->wrong = false;
    t->value_b = 0;
    t->wire_ns = t->decode_ns = t->copy_ns = 0;
    op->started++;
    op->under_way++;
    t->world->stats.pieces[t->lane]++;
    if (!op->begin_ns)
        op->begin_ns = be_clock(t->world);
    if (t->lane == KVT_HOST)
        be_host_start(t);
    else if (t->lane == KVT_PEER || t->lane == KVT_GPU)
        be_task_ingest(t);
    else if (t->lane == KVT_DISK)
        be_disk_start(t);
    else
        be_redis_start(t);
}

/* The next operation of the list that may begin a piece; one that has begun all leaves the list. */
static struct op *next_turn(struct be_world *w, struct op_list *list)
{
    struct op_list held = {0};
    struct op *found = NULL;
    for (struct op *op; !found && (op = op_pop(list));) {
        if (op->expired || op->first_bad < op->n_blocks || op->started >= op->n_pieces)
            op->waiting = false;
        else if (op->kind == OP_STORE && w->engines[op->engine].drops_under_way[op->tier])
            op_push(&held, op); /* the world frees first, then fills */
        else
            found = op;
    }
    if (held.first) { /* back to the front, in their order */
        held.last->next = list->first;
        if (!list->first)
            list->last = held.last;
        list->first = held.first;
    }
    return found;
}

static uint32_t per_block(const struct be_world *w, enum kvt_tier_kind tier)
{
    return tier == KVT_HOST ? w->config.gpus_per_engine : be_pieces(&w->lanes[tier].format);
}

void be_lane_pump(struct be_world *w, enum kvt_tier_kind tier)
{
    struct lane *lane = &w->lanes[tier];
    if (lane->pumping || w->closing)
        return; /* a piece that failed at once came back here */
    lane->pumping = true;
    while (lane->free) {
        struct op_list *list = &lane->loads;
        struct op *op = lane->on_wire < lane->on_wire_most ? next_turn(w, list) : NULL;
        if (!op && lane->storing < (lane->n_tasks + 1) / 2) {
            list = &lane->stores;
            op = next_turn(w, list);
        }
        if (!op)
            break;
        if (op->started + 1 < op->n_pieces)
            op_push(list, op);
        else
            op->waiting = false;
        begin(lane, op, per_block(w, tier));
    }
    lane->pumping = false;
}

/* ---- The end of a piece ---------------------------------------------------------------------- */

static void later(kvt_ns *last, kvt_ns at)
{
    if (at > *last)
        *last = at;
}

static void task_free(struct task *t)
{
    struct lane *lane = &t->world->lanes[t->lane];
    t->op = NULL;
    t->next = lane->free;
    lane->free = t;
    be_lane_pump(t->world, t->lane);
}

/* Books the piece with its operation, which may end by it. */
static void settle(struct task *t)
{
    struct op *op = t->op;
    later(&op->wire_ns, t->wire_ns);
    later(&op->decode_ns, t->decode_ns);
    later(&op->copy_ns, t->copy_ns);
    if (t->status == KVT_OK && be_sharded(t->world))
        be_shard_moved(t);
    if (t->status == KVT_OK)
        op->bytes += t->value_b;
    else
        be_op_bad(op, t->block, t->status);
    t->world->stats.corrupt_pieces += t->status == KVT_CORRUPT;
    t->world->lanes[t->lane].storing -= op->kind == OP_STORE;
    op->under_way--;
    be_op_check(op);
}

void be_task_end(struct task *t)
{
    settle(t);
    task_free(t);
}

/* ---- On workers ------------------------------------------------------------------------------ */

struct be_piece be_task_piece(const struct task *t)
{
    const struct op_block *b = &t->op->blocks[t->block];
    const struct lane *lane = &t->world->lanes[t->lane];
    return be_piece_at(&lane->format, b->key, b->tokens, t->piece);
}

struct k_part be_task_part(const struct task *t, const struct be_piece *piece)
{
    return (struct k_part){.pages = &t->op->pages[(size_t)t->block * t->world->pages_per_block],
                           .tokens = piece->tokens,
                           .layer0 = piece->layer0,
                           .layers = piece->layers};
}

uint32_t be_task_pool(const struct task *t, uint32_t shard)
{
    return t->op->engine * t->world->config.gpus_per_engine + shard;
}

static void upload(struct task *t, const struct be_piece *piece)
{
    struct be_world *w = t->world;
    const struct be_pages pages = be_task_pages(t, piece);
    if (be_pages_up(w, &pages, t->payload) != 0)
        t->status = KVT_DOWN;
    t->copy_ns = be_clock(w);
}

static void ingest_value(struct task *t)
{
    const struct lane *lane = &t->world->lanes[t->lane];
    const struct be_piece piece = be_task_piece(t);
    const char *why = "";
    const kvt_ns begin_ns = be_clock(t->world);
    if (lane->per_layer) {
        const struct be_layer layer = {.k = t->part[0],
                                       .k_b = t->part_b[0],
                                       .v = t->part[1],
                                       .v_b = t->part_b[1],
                                       .meta = t->part[2],
                                       .meta_b = t->part_b[2]};
        t->status = be_layer_read(&lane->format, &piece, &layer, t->raw, t->scratch, &why);
        t->payload = t->raw;
    } else {
        t->status = be_value_read(&lane->format, &piece, t->value, t->value_b, t->raw, t->scratch,
                                  &t->payload, &why);
    }
    /* The way to the worker is the copy's, as it is where there is nothing to decode. */
    t->decode_ns = t->wire_ns + (be_clock(t->world) - begin_ns);
    if (t->status == KVT_OK)
        upload(t, &piece);
}

static int download(struct task *t, const struct be_piece *piece, void *packed)
{
    struct be_world *w = t->world;
    const struct be_pages pages = be_task_pages(t, piece);
    const int rc = be_pages_down(w, &pages, packed);
    t->copy_ns = be_clock(w);
    return rc;
}

static int encode(struct task *t, const struct be_piece *piece)
{
    const struct lane *lane = &t->world->lanes[t->lane];
    int rc;
    if (!lane->per_layer) {
        rc = be_value_write(&lane->format, piece, t->raw, t->value, lane->value_room, &t->value_b,
                            t->scratch);
        t->part[0] = t->value;
        t->part_b[0] = t->value_b;
        return rc;
    }
    struct be_layer layer;
    rc = be_layer_write(&lane->format, piece, t->raw, t->value, lane->value_room, &layer,
                        t->scratch);
    if (rc != 0)
        return rc;
    t->part[0] = layer.k;
    t->part[1] = layer.v;
    t->part[2] = layer.meta;
    t->part_b[0] = layer.k_b;
    t->part_b[1] = layer.v_b;
    t->part_b[2] = layer.meta_b;
    t->value_b = layer.k_b + layer.v_b + layer.meta_b;
    return 0;
}

static void produce_value(struct task *t)
{
    const struct be_piece piece = be_task_piece(t);
    int rc = download(t, &piece, t->raw);
    if (rc == 0)
        rc = encode(t, &piece);
    t->decode_ns = be_clock(t->world);
    if (rc != 0)
        t->status = rc == -ENOMEM || rc == -ENOSPC ? KVT_BUSY : KVT_DOWN;
}

/* ---- Verification ---------------------------------------------------------------------------- */

uint64_t be_seed(kvt_key key, uint32_t shard)
{
    return kvt_mix64(kvt_mix64(key.lo + shard) ^ key.hi);
}

static bool lossy(const struct be_codec *codec, enum k_dtype dtype)
{
    if (codec->narrow == BE_NARROW_NONE)
        return false;
    return !be_codec_is_copy(&(struct be_codec){.narrow = codec->narrow}, dtype);
}

/* The wanted bytes are made in what the load has no more use for. */
static void *spare_room(const struct task *t)
{
    return t->payload == t->raw ? t->value : t->raw;
}

static void compare(struct be_chore *c)
{
    struct task *t = task_of(c);
    const struct lane *lane = &t->world->lanes[t->lane];
    const struct k_part part = {.tokens = t->piece_done.tokens,
                                .layer0 = t->piece_done.layer0,
                                .layers = t->piece_done.layers};
    void *wanted = spare_room(t);
    k_fill_packed(&lane->format.geometry, &part, be_seed(t->piece_done.key, t->piece_done.shard),
                  wanted);
    t->wrong = memcmp(wanted, t->payload,
                      k_packed_b(&lane->format.geometry, part.layers, part.tokens)) != 0;
}

void be_task_verified(struct task *t)
{
    struct be_world *w = t->world;
    w->stats.verified_pieces++;
    w->stats.verified_b +=
        t->lane == KVT_HOST
            ? t->value_b
            : k_packed_b(&w->config.geometry, t->piece_done.layers, t->piece_done.tokens);
    if (!t->wrong)
        return;
    w->stats.wrong_pieces++;
    w->error = -EILSEQ; /* a defect of ours: no figure of this run is worth anything */
}

static void after_compare(struct be_chore *c)
{
    be_task_verified(task_of(c));
    task_free(task_of(c));
}

static void after_ingest(struct be_chore *c)
{
    struct task *t = task_of(c);
    struct be_world *w = t->world;
    const struct lane *lane = &w->lanes[t->lane];
    const bool check = w->config.verify && !w->closing && t->status == KVT_OK &&
                       !lossy(&lane->format.codec, lane->format.geometry.dtype);
    t->piece_done = be_task_piece(t);
    settle(t);
    t->op = NULL; /* may have ended */
    if (check)
        be_workers_ask(&w->workers, &t->chore, BE_URGENT_LAST, compare, after_compare);
    else
        task_free(t);
}

/* ---- Towards workers ------------------------------------------------------------------------- */

static void ingest(struct be_chore *c)
{
    struct task *t = task_of(c);
    if (t->lane == KVT_GPU)
        be_shard_gather(t);
    else if (t->lane == KVT_PEER)
        be_peer_copy(t);
    else if (t->lane != KVT_DISK || be_disk_fetch(t))
        ingest_value(t);
}

void be_task_ingest(struct task *t)
{
    be_workers_ask(&t->world->workers, &t->chore, BE_URGENT_LOAD, ingest, after_ingest);
}

static void produce(struct be_chore *c)
{
    struct task *t = task_of(c);
    produce_value(t);
    if (t->lane == KVT_DISK && t->status == KVT_OK)
        be_disk_keep(t);
}

static void after_produce(struct be_chore *c)
{
    struct task *t = task_of(c);
    if (t->lane == KVT_REDIS && t->status == KVT_OK && !t->world->closing)
        be_redis_put(t);
    else
        be_task_end(t);
}

void be_task_produce(struct task *t)
{
    be_workers_ask(&t->world->workers, &t->chore, BE_URGENT_STORE, produce, after_produce);
}
