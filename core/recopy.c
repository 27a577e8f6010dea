/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * recopy.c - copies of shards that were lost with a GPU are made anew, in the background.
 *
 * A GPU fails and an empty spare takes its place. Blocks of which it had the last copy of some shard are gone (gpu_lost.c); of
 * others it is marked in their rows what they have lost there: from then on that is neither counted nor read, and a
 * second GPU that fails takes a block if it had what is left. Where configured, what is marked is copied to the spare:
 *
 *      GPU lost: rows are marked ---> a batch: BATCH blocks at most, pinned,   ---> marks go ---> the next batch, until
 *                                     room for them held on the spare                             none is left
 *
 * The rule says where copies of a shard lie (shard.h), by number of the GPU; so the spare is where they have to be, and
 * nothing else has to be remembered once they are there. A shard comes from its first copy that is left. One batch per
 * engine is on its way at a time, over the ports and NICs that all traffic shares.
 *
 * Nobody reads a copy that is not there, so nobody has to be waited for. Room: as for shards that move (resize.c); what finds
 * none waits for the next pass, which begins when something was freed. If a GPU fails meanwhile all of the batch counts
 * as failed: perhaps it was read from there, or went there.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

enum { BATCH = 64 };

struct copying {
    bool wanted;      /* something is marked, or may be */
    bool moves;       /* a batch is on its way, */
    bool stale;       /* and a GPU has failed since it began */
    uint32_t at, end; /* this pass has come so far among the copies that may be marked */
    bool skipped;     /* some stay for another pass, */
    uint64_t changes; /* which begins when something changed since the last of them */
    kvt_ns since_ns;
    uint8_t *marks; /* of the batch: what is copied */
};

struct kvt_recopy {
    struct copying *engines;
    uint8_t *marks;
    uint64_t *between; /* scratch: weights times tokens, from and to GPU */
    struct kvt_shard_move *moves;
};

static const struct kvt_use no_use = {.next = KVT_NEVER};

/* ---- Construction ------------------------------------------------------------------------------ */

static size_t marks_b(const struct kvt_core *core)
{
    return (size_t)core->config.engines * BATCH * core->room.books->marks_b;
}

static size_t pairs(const struct kvt_core *core)
{
    return (size_t)core->config.shard.gpus * core->config.shard.gpus;
}

int kvt_recopy_init(struct kvt_core *core)
{
    const struct kvt_alloc *alloc = core->alloc;
    const uint32_t engines = core->config.engines;
    if (!core->room.books->marks_b || !core->config.shard.rereplicate)
        return 0;
    struct kvt_recopy *r = alloc->get(alloc->self, sizeof *r);
    if (!r)
        return -ENOMEM;
    core->recopy = r;
    *r = (struct kvt_recopy){
        .engines = alloc->get(alloc->self, engines * sizeof *r->engines),
        .marks = alloc->get(alloc->self, marks_b(core)),
        .between = alloc->get(alloc->self, pairs(core) * sizeof *r->between),
        .moves = alloc->get(alloc->self, pairs(core) * sizeof *r->moves),
    };
    if (!r->engines || !r->marks || !r->between || !r->moves)
        return -ENOMEM;
    for (uint32_t e = 0; e < engines; e++)
        r->engines[e] = (struct copying){.marks = r->marks + marks_b(core) / engines * e};
    return 0;
}

void kvt_recopy_release(struct kvt_core *core)
{
    const struct kvt_alloc *alloc = core->alloc;
    struct kvt_recopy *r = core->recopy;
    if (!r)
        return;
    if (r->engines)
        alloc->put(alloc->self, r->engines, core->config.engines * sizeof *r->engines);
    if (r->marks)
        alloc->put(alloc->self, r->marks, marks_b(core));
    if (r->between)
        alloc->put(alloc->self, r->between, pairs(core) * sizeof *r->between);
    if (r->moves)
        alloc->put(alloc->self, r->moves, pairs(core) * sizeof *r->moves);
    alloc->put(alloc->self, r, sizeof *r);
    core->recopy = NULL;
}

/* ---- A GPU fails ------------------------------------------------------------------------------- */

void kvt_recopy_lost(struct kvt_core *core, uint32_t engine, uint32_t gpu)
{
    struct kvt_shard_book *book = book_of(core, engine);
    if (!book->marks_b)
        return;
    for (uint32_t copy = 0; copy < core->room.copies.fresh; copy++) {
        const struct kvt_copy *c = copy_at(core, copy);
        if (c->place != engine || (c->state == KVT_COPY_VOID && !c->users))
            continue;
        const uint8_t *row = kvt_book_row(book, copy);
        if (!kvt_book_marked(book, row, gpu) && kvt_book_weight_on(book, row, gpu))
            kvt_book_mark(book, copy, c->state != KVT_COPY_READY || c->users, gpu, true);
    }
    if (!core->recopy)
        return;
    struct copying *w = &core->recopy->engines[engine];
    if (!w->wanted) {
        w->since_ns = core->stats.recopy.begin_ns = core->now;
        core->stats.recopy.left++;
    }
    w->wanted = true;
    w->stale = w->moves;
    w->skipped = false;
    w->at = 0;
    w->end = core->room.copies.fresh;
    w->changes = book->changes - 1;
}

/* ---- Copying ----------------------------------------------------------------------------------- */

/* Takes a copy into the batch as its nth block, if it lacks something and there is room for it. */
static bool take_copy(struct kvt_core *core, uint32_t engine, uint32_t copy, struct op *op,
                      uint32_t nth)
{
    struct kvt_shard_book *book = book_of(core, engine);
    struct copying *w = &core->recopy->engines[engine];
    const struct kvt_copy *c = copy_at(core, copy);
    const uint8_t *row = kvt_book_row(book, copy);
    uint64_t need[KVT_SHARD_GPUS] = {0};
    if (c->place != engine || (c->state != KVT_COPY_READY && c->state != KVT_COPY_FILLING) ||
        !kvt_book_any_mark(book, row))
        return false;
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        if (kvt_book_marked(book, row, g))
            need[g] = kvt_book_weight_on(book, row, g);
    enum kvt_turn turn = KVT_NO_ROOM;
    if (c->state == KVT_COPY_READY)
        turn = kvt_move_room(core, engine, copy, need, &core->stats.recopy.evicted_blocks);
    if (turn == KVT_NO_ROOM) {
        w->skipped = true;
        w->changes = book->changes;
    }
    if (turn != KVT_TAKEN)
        return false;
    memcpy(w->marks + (size_t)nth * book->marks_b, row + book->shards.n, book->marks_b);
    op->gpu[nth] = copy;
    op->lower[nth] = KVT_NONE;
    op->index[nth] = 0; /* the world has no use for it */
    if (op->next)
        op->next[nth] = KVT_NEVER;
    core->refs[nth] =
        (struct kvt_block_ref){.key = kvt_block_key(kvt_block_at(&core->blocks, c->block)),
                               .block = {c->block},
                               .tokens = core->config.block_tokens,
                               .page = c->page};
    return true;
}

/* Every copy was looked at. */
static void end_pass(struct kvt_core *core, struct copying *w)
{
    w->at = 0;
    if (w->skipped) {
        w->skipped = false;
        return;
    }
    w->wanted = false;
    core->stats.recopy.left--;
    core->stats.recopy.took_ns += core->now - w->since_ns;
}

void kvt_recopy_pump(struct kvt_core *core, uint32_t engine)
{
    struct copying *w = &core->recopy->engines[engine];
    if (!w->wanted || w->moves || (w->at == 0 && book_of(core, engine)->changes == w->changes))
        return;
    const uint32_t o = kvt_op_new(core, OP_MOVE, BATCH);
    uint32_t n = 0;
    if (o == KVT_NONE)
        return; /* memory is out: another time */
    for (; n < BATCH && w->at < w->end; w->at++)
        n += take_copy(core, engine, w->at, op_at(core, o), n);
    if (n == 0) {
        kvt_op_free(core, o);
        end_pass(core, w);
        return;
    }
    struct op *op = op_at(core, o);
    op->engine = engine;
    op->tier = KVT_GPU;
    op->used = n;
    w->moves = true;
    w->stale = false;
    if (kvt_emit_transfer(core, o, core->refs, n, 0))
        return;
    const struct kvt_done refused = {.op = {o}, .status = KVT_BUSY};
    kvt_recopy_done(core, o, &refused);
}

static bool in_batch(const struct kvt_shard_book *book, const struct copying *w, uint32_t nth,
                     uint32_t gpu)
{
    return w->marks[(size_t)nth * book->marks_b + gpu / 8] >> gpu % 8 & 1;
}

/* What one shard of a block has to be copied from its first copy left to others. */
static void add_shard(struct kvt_core *core, const struct kvt_shard_book *book,
                      const struct copying *w, uint32_t nth, const uint8_t *row, uint32_t k)
{
    const struct kvt_shards *s = &book->shards;
    uint32_t from = KVT_NONE;
    for (uint32_t j = 0; from == KVT_NONE && j < s->copies; j++)
        if (!in_batch(book, w, nth, kvt_shard_copy(s, row[k], j)))
            from = kvt_shard_copy(s, row[k], j);
    assert(from != KVT_NONE); /* the block would be gone */
    for (uint32_t j = 0; from != KVT_NONE && j < s->copies; j++) {
        const uint32_t to = kvt_shard_copy(s, row[k], j);
        if (in_batch(book, w, nth, to))
            core->recopy->between[from * s->config.gpus + to] +=
                (uint64_t)s->weight[k] * core->config.block_tokens;
    }
}

void kvt_recopy_moves(struct kvt_core *core, const struct op *op, struct kvt_transfer *t)
{
    struct kvt_recopy *r = core->recopy;
    const struct kvt_shard_book *book = book_of(core, op->engine);
    const uint32_t gpus = book->shards.config.gpus;
    memset(r->between, 0, pairs(core) * sizeof *r->between);
    for (uint32_t nth = 0; nth < op->used; nth++)
        for (uint32_t k = 0; k < book->shards.n; k++)
            add_shard(core, book, &r->engines[op->engine], nth, kvt_book_row(book, op->gpu[nth]),
                      k);
    t->moves = r->moves;
    for (uint32_t i = 0; i < pairs(core); i++)
        if (r->between[i])
            r->moves[t->n_moves++] = (struct kvt_shard_move){i / gpus, i % gpus, r->between[i]};
}

/* The nth block of the batch gives its room back, or has in it what was copied. */
static void end_copy(struct kvt_core *core, const struct op *op, uint32_t nth, bool good)
{
    struct kvt_shard_book *book = book_of(core, op->engine);
    const uint32_t copy = op->gpu[nth];
    const uint8_t *row = kvt_book_row(book, copy);
    for (uint32_t g = 0; g < book->shards.config.gpus; g++) {
        if (!in_batch(book, &core->recopy->engines[op->engine], nth, g))
            continue;
        const uint64_t weight = kvt_book_weight_on(book, row, g);
        kvt_book_unreserve(book, g, weight);
        if (!good)
            continue;
        kvt_book_mark(book, copy, true, g, false);
        core->stats.recopy.copied_b += weight * book->room.unit_b;
    }
    core->stats.recopy.copied_blocks += good;
    core->stats.recopy.failed_blocks += !good;
    kvt_copy_unuse(&core->room, copy, &no_use);
}

void kvt_recopy_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done)
{
    const struct op *op = op_at(core, o);
    struct copying *w = &core->recopy->engines[op->engine];
    struct kvt_shard_book *book = book_of(core, op->engine);
    const uint32_t ok = done->blocks_ok < op->used ? done->blocks_ok : op->used;
    const uint32_t good = w->stale ? 0 : ok, n = op->used;
    for (uint32_t nth = 0; nth < n; nth++)
        end_copy(core, op, nth, nth < good && copy_at(core, op->gpu[nth])->state == KVT_COPY_READY);
    w->moves = false;
    if (good < n) {
        w->skipped = true;
        w->changes = book->changes - 1; /* tried again as soon as this pass is over */
    }
    kvt_op_free(core, o);
}
