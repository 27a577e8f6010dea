/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_op.c - operations of the real world: from the port to their completion.
 *
 * An operation keeps its own list of blocks and GPU pages, since what the port passes is borrowed
 * (P4). It knows how many pieces it has, hands them out one at a time in chain order, and ends
 * when the last one is back. Which blocks are good is a question of the first that is not:
 * blocks_ok counts leading blocks, and the rest may as well not be tried.
 *
 * Spans, as in the simulated world: the time from one stage's last piece to the next stage's. A
 * stage that was done before the one in front of it ended, in wall time, cost nothing.
 */
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Storage --------------------------------------------------------------------------------- */

static struct op *op_new(struct be_world *w)
{
    struct op *op = w->free_ops;
    if (op) {
        w->free_ops = op->next;
        return op;
    }
    if (w->n_ops == w->room_ops) {
        const uint32_t room = w->room_ops ? 2 * w->room_ops : 64;
        struct op **more = realloc(w->ops, room * sizeof(*more));
        if (!more)
            return NULL;
        w->ops = more;
        w->room_ops = room;
    }
    op = calloc(1, sizeof *op);
    if (op)
        w->ops[w->n_ops++] = op;
    return op;
}

static void op_free(struct op *op)
{
    op->live = false;
    op->next = op->world->free_ops;
    op->world->free_ops = op;
}

/* from: there may be pages that are read besides those that are written. */
static bool op_reserve(struct op *op, uint32_t n, uint32_t pages_per_block, bool from)
{
    if (n <= op->room_blocks)
        return true;
    struct op_block *blocks = realloc(op->blocks, n * sizeof *blocks);
    if (blocks)
        op->blocks = blocks;
    uint32_t *pages = realloc(op->pages, (size_t)n * pages_per_block * sizeof *pages);
    if (pages)
        op->pages = pages;
    uint32_t *from_pages = NULL;
    if (from)
        from_pages = realloc(op->from_pages, (size_t)n * pages_per_block * sizeof *from_pages);
    if (from_pages)
        op->from_pages = from_pages;
    if (!blocks || !pages || (from && !from_pages))
        return false;
    op->room_blocks = n;
    return true;
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static int fill_in(struct be_world *w, struct op *op, const struct kvt_transfer *t,
                   enum op_kind kind)
{
    const uint32_t generation = op->generation + 1, room = op->room_blocks;
    *op = (struct op){.world = w,
                      .kind = kind,
                      .id = t->op,
                      .engine = t->engine.v,
                      .from = t->from.v,
                      .tier = t->tier,
                      .n_blocks = t->n_blocks,
                      .first_bad = t->n_blocks,
                      .live = true,
                      .generation = generation,
                      .ttl_ns = t->ttl_ns,
                      .issued_ns = be_tick(w),
                      .deadline_ns = KVT_NEVER,
                      .blocks = op->blocks,
                      .pages = op->pages,
                      .from_pages = op->from_pages,
                      .room_blocks = room};
    for (uint32_t i = 0; i < t->n_blocks; i++) {
        const struct kvt_block_ref *ref = &t->blocks[i];
        op->blocks[i] =
            (struct op_block){.key = ref->key, .tokens = ref->tokens, .number = ref->block.v};
        if (kind != OP_LOAD && kind != OP_STORE)
            continue;
        uint32_t *pages = &op->pages[(size_t)i * w->pages_per_block];
        const uint32_t n = kvt_core_pages(w->core, t->engine, ref->page, pages, w->pages_per_block);
        if (n != w->pages_per_block || ref->tokens != w->config.block_tokens)
            return -EINVAL; /* a core without page numbers, or one that keeps partial blocks */
        if (t->tier == KVT_PEER && kvt_core_pages(w->core, t->from, ref->from_page,
                                                  &op->from_pages[(size_t)i * w->pages_per_block],
                                                  w->pages_per_block) != w->pages_per_block)
            return -EINVAL;
    }
    return be_sharded(w) && (kind == OP_LOAD || kind == OP_STORE) ? be_shard_op(op, t) : 0;
}

static uint32_t pieces_per_block(const struct be_world *w, enum kvt_tier_kind tier)
{
    return tier == KVT_HOST ? w->config.gpus_per_engine : be_pieces(&w->lanes[tier].format);
}

static void finish_at_once(struct op *op, enum kvt_status status)
{
    if (status != KVT_OK)
        be_op_bad(op, 0, status);
    be_op_check(op);
}

static void start(struct be_world *w, struct op *op)
{
    if (op->n_blocks == 0) {
        finish_at_once(op, KVT_OK);
    } else if (op->tier == KVT_REDIS && w->tier_down) {
        finish_at_once(op, KVT_DOWN);
    } else if (op->kind == OP_STORE && op->tier == KVT_GPU) {
        finish_at_once(op, KVT_OK); /* be_shard_op has done it */
    } else if (op->kind == OP_LOAD || op->kind == OP_STORE) {
        struct lane *lane = &w->lanes[op->tier];
        op->n_pieces = op->n_blocks * pieces_per_block(w, op->tier);
        op->waiting = true;
        op_push(op->kind == OP_LOAD ? &lane->loads : &lane->stores, op);
        be_lane_pump(w, op->tier);
    } else if (op->tier == KVT_REDIS) {
        (op->kind == OP_PROBE ? be_redis_probe : be_redis_drop)(op);
    } else if (op->tier == KVT_DISK) {
        (op->kind == OP_PROBE ? be_disk_probe : be_disk_drop)(op);
    } else {
        (op->kind == OP_PROBE ? be_host_probe : be_host_drop)(op);
    }
}

int be_op_start(struct be_world *w, const struct kvt_transfer *t, enum op_kind kind)
{
    if (t->tier < KVT_GPU || t->tier >= KVT_TIERS ||
        (t->tier == KVT_GPU && (!be_sharded(w) || (kind != OP_LOAD && kind != OP_STORE))))
        return -ENODEV;
    const bool shared = t->tier == KVT_REDIS && kind == OP_DROP; /* no engine takes part */
    if (!w->config.tiers[t->tier])
        return -ENODEV;
    if (!w->core || (!shared && t->engine.v >= w->config.engines))
        return -EINVAL;
    if (t->tier == KVT_PEER &&
        (kind != OP_LOAD || t->from.v >= w->config.engines || t->from.v == t->engine.v))
        return -EINVAL;
    if (w->error)
        return w->error;
    struct op *op = op_new(w);
    if (!op)
        return -ENOMEM;
    op->world = w;
    int rc =
        op_reserve(op, t->n_blocks, w->pages_per_block, w->config.tiers[KVT_PEER] || be_sharded(w))
            ? fill_in(w, op, t, kind)
            : -ENOMEM;
    if (rc != 0) {
        op_free(op);
        return rc;
    }
    w->stats.operations[t->tier]++;
    w->stats.under_way++;
    if (t->tier == KVT_REDIS) {
        op->deadline_ns = kvt_ns_add(op->issued_ns, w->config.redis.timeout_ns);
        be_timer(w, (struct timer){.at = op->deadline_ns,
                                   .kind = TIMER_DEADLINE,
                                   .generation = op->generation,
                                   .op = op});
    }
    start(w, op);
    return 0;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

void be_op_bad(struct op *op, uint32_t i, enum kvt_status status)
{
    if (i < op->first_bad) {
        op->first_bad = i;
        op->status = status;
    }
}

/* The deadline of an operation that still waits for something: nothing more is begun. What is
 * under way ends by its own deadline, which is the same, or in a worker. */
void be_op_expire(struct op *op)
{
    op->expired = true;
    if (op->started < op->n_pieces)
        be_op_bad(op, op->started / pieces_per_block(op->world, op->tier), KVT_TIMEOUT);
    be_op_check(op);
}

/* True when the operation will not begin another piece. Pieces begin in chain order, so those of
 * the blocks in front of one that failed are on their way already. */
static bool all_begun(const struct op *op)
{
    return op->expired || op->started >= op->n_pieces || op->first_bad < op->n_blocks;
}

static void unlink_waiting(struct op *op)
{
    struct lane *lane = &op->world->lanes[op->tier];
    struct op_list *list = op->kind == OP_LOAD ? &lane->loads : &lane->stores;
    struct op_list rest = {0};
    for (struct op *other; (other = op_pop(list));)
        if (other != op)
            op_push(&rest, other);
    *list = rest;
    op->waiting = false;
}

void be_op_check(struct op *op)
{
    if (op->ending || op->under_way || !all_begun(op))
        return;
    if (op->waiting)
        unlink_waiting(op);
    op->ending = true;
    op_push(&op->world->ready, op); /* never from inside an operation (P2) */
}

static kvt_ns step_to(kvt_ns *from, kvt_ns to)
{
    const kvt_ns by = to > *from ? to - *from : 0;
    *from += by;
    return by;
}

/* How far each stage's last piece extended the end. */
static void book_spans(const struct op *op, kvt_ns now, struct kvt_done *done)
{
    kvt_ns at = op->issued_ns;
    if (op->kind == OP_PROBE) {
        done->span_ns[KVT_SPAN_PROBE] = now - at;
        return;
    }
    done->span_ns[KVT_SPAN_QUEUED] = step_to(&at, op->begin_ns);
    if (op->kind == OP_LOAD) {
        done->span_ns[KVT_SPAN_WIRE] = step_to(&at, op->wire_ns);
        done->span_ns[KVT_SPAN_DECODE] = step_to(&at, op->decode_ns);
        done->span_ns[KVT_SPAN_COPY] = step_to(&at, op->copy_ns);
    } else {
        done->span_ns[KVT_SPAN_COPY] = step_to(&at, op->copy_ns);
        done->span_ns[KVT_SPAN_DECODE] = step_to(&at, op->decode_ns);
        done->span_ns[KVT_SPAN_WIRE] = step_to(&at, op->wire_ns);
    }
}

void be_op_deliver(struct op *op)
{
    struct be_world *w = op->world;
    const kvt_ns now = be_tick(w);
    struct kvt_done done = {.op = op->id,
                            .status = op->first_bad < op->n_blocks ? op->status : KVT_OK,
                            .blocks_ok = op->first_bad,
                            .bytes = op->bytes};
    book_spans(op, now, &done);
    if (op->tier == KVT_HOST)
        be_host_ended(op);
    w->stats.under_way--;
    w->stats.ended[done.status]++;
    op_free(op);
    if (w->core && !w->closing)
        kvt_core_done(w->core, now, &done);
}
