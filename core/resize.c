/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resize.c - an engine gets more GPUs, or fewer, while it serves.
 *
 * At that time its processes start anew, as many as there shall be GPUs: what they computed with beside cached blocks is
 * gone, so requests that run there go back to the queue, and steps, gathers and working pages are from then on those of
 * these GPUs. Cached blocks stay where they are and are found there; blocks that are placed from now on are placed
 * over these GPUs. Those of before are placed once more, in the order of their copies, and where that is elsewhere their shards
 * move, a batch at a time:
 *
 *      readers of before        a batch under way                    readers of before
 *      are waited for   ---->   BATCH blocks at most, pinned  ---->  are waited for   ----> the next batch, or over
 *      |                        |                                    |
 *      all rows are at rest     room is held on both GPUs;           rows say the new GPU; the old
 *                               reads find the old one               one's room is held until here
 *
 * A transfer that began before a batch's end may still read where its shards were: so their room there is given back only
 * when the last of those has ended. What a batch holds beside rows is the book's `extra`, hence (K2) holds on every GPU at
 * all times. Where the new GPU has no room, idle blocks leave it in the order of eviction, the block itself if it is next; if that is
 * not enough the block waits for the next pass, which begins when something was freed. A block that is evicted before its
 * turn is not moved. One that the world fails to move is taken up by the next pass.
 *
 * Fewer GPUs. Each has less room, for it holds more of the weights. So the new processes are started when the transfers
 * of before have ended, and all that does not fit on the GPUs that stay was evicted (shrink.c): until then nothing is
 * admitted. Then shards move as above, to where shrink.c has placed them. A block that finds no room, with nothing else on
 * its way, does not wait but goes: it keeps a GPU from leaving. A GPU beyond leaves when nothing lies on it any more,
 * which says that nobody reads there, either, and the last step of before has ended. All is over when the last one left.
 *
 *      DRAINS ---transfers of before ended, the rest fits---> WAITS <---> MOVES        WAITS ---> OVER ---all left---> SETTLED
 *
 * What stays as it was: the contiguous allocator that paging is compared with, and what eviction policies were told of
 * the capacity of the gpu tier (sizes of ghost lists and small queues).
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

enum { BATCH = 64 };

struct resizing {
    enum { WAITS, DRAINS, MOVES, OVER, SETTLED } phase;
    kvt_ns until_ns;  /* waits, drains: for transfers that began until then */
    uint32_t at, end; /* this pass has come so far among the copies of before */
    bool skipped;     /* some stay for another pass, */
    bool failed;      /* some because the world failed: it begins at once */
    uint64_t changes; /* which begins when something changed since the last of them */
    uint8_t *rows;    /* of the batch: where its blocks shall lie */
    bool stepping;    /* the step of before has not ended */
    bool left[KVT_SHARD_GPUS];
    uint32_t leaving; /* GPUs that shall leave and have not */
};

struct kvt_resize {
    bool begun;
    uint32_t left; /* engines that are not over */
    struct resizing *engines;
    uint8_t *rows;
    uint64_t *between; /* scratch: weights times tokens, by old and new GPU */
    struct kvt_shard_move *moves;
};

/* ---- Construction ------------------------------------------------------------------------------ */

static size_t rows_b(const struct kvt_core *core)
{
    return (size_t)core->config.engines * BATCH * core->room.books->shards.n;
}

static size_t pairs(const struct kvt_core *core)
{
    const struct kvt_shard_joint *j = core->room.books->joint;
    return (size_t)j->shape[0].config.gpus * j->shape[1].config.gpus;
}

int kvt_resize_init(struct kvt_core *core)
{
    const struct kvt_alloc *alloc = core->alloc;
    const uint32_t engines = core->config.engines;
    if (!core->config.resize.gpus)
        return 0;
    struct kvt_resize *r = alloc->get(alloc->self, sizeof *r);
    if (!r)
        return -ENOMEM;
    core->resize = r;
    *r = (struct kvt_resize){
        .left = engines,
        .engines = alloc->get(alloc->self, engines * sizeof *r->engines),
        .rows = alloc->get(alloc->self, rows_b(core)),
        .between = alloc->get(alloc->self, pairs(core) * sizeof *r->between),
        .moves = alloc->get(alloc->self, pairs(core) * sizeof *r->moves),
    };
    if (!r->engines || !r->rows || !r->between || !r->moves)
        return -ENOMEM;
    for (uint32_t e = 0; e < engines; e++)
        r->engines[e] = (struct resizing){.rows = r->rows + rows_b(core) / engines * e};
    return 0;
}

void kvt_resize_release(struct kvt_core *core)
{
    const struct kvt_alloc *alloc = core->alloc;
    struct kvt_resize *r = core->resize;
    if (!r)
        return;
    if (r->engines)
        alloc->put(alloc->self, r->engines, core->config.engines * sizeof *r->engines);
    if (r->rows)
        alloc->put(alloc->self, r->rows, rows_b(core));
    if (r->between)
        alloc->put(alloc->self, r->between, pairs(core) * sizeof *r->between);
    if (r->moves)
        alloc->put(alloc->self, r->moves, pairs(core) * sizeof *r->moves);
    alloc->put(alloc->self, r, sizeof *r);
    core->resize = NULL;
}

/* ---- Which GPUs --------------------------------------------------------------------------------- */

/* By how many an engine shrinks. */
static uint32_t fewer(const struct kvt_core *core)
{
    const struct kvt_shard_joint *j = core->room.books->joint;
    const uint32_t before = j->shape[0].config.gpus, after = j->shape[1].config.gpus;
    return before > after ? before - after : 0;
}

uint32_t kvt_resize_most(const struct kvt_core *core)
{
    return core->resize && core->resize->begun ? core->room.books->shards.config.gpus
                                               : core->config.shard.gpus;
}

bool kvt_resize_has(const struct kvt_core *core, uint32_t engine, uint32_t gpu)
{
    return gpu < kvt_resize_most(core) &&
           !(core->resize && core->resize->engines[engine].left[gpu]);
}

bool kvt_resize_drains(const struct kvt_core *core, uint32_t engine)
{
    return core->resize->engines[engine].phase == DRAINS;
}

/* Those that nothing lies on leave; then all may be over. */
static void leave(struct kvt_core *core, uint32_t engine)
{
    struct resizing *w = &core->resize->engines[engine];
    const struct kvt_shard_book *book = book_of(core, engine);
    for (uint32_t g = kvt_book_gpus(book); w->leaving && g < book->shards.config.gpus; g++) {
        if (w->left[g] || w->stepping || kvt_book_sum(book, &book->held, g))
            continue;
        w->left[g] = true;
        w->leaving--;
        core->stats.resize.left_gpus++;
        core->stats.resize.leaving_ns += core->now - core->stats.resize.begin_ns;
    }
    if (w->phase != OVER || w->leaving)
        return;
    w->phase = SETTLED;
    if (--core->resize->left > 0)
        return;
    core->stats.resize.over = true;
    core->stats.resize.end_ns = core->now;
}

/* ---- The time has come ------------------------------------------------------------------------- */

static void count_held(struct kvt_core *core)
{
    const struct kvt_shard_book *book = core->room.books;
    for (uint32_t copy = 0; copy < core->room.copies.fresh; copy++) {
        const struct kvt_copy *c = copy_at(core, copy);
        core->stats.resize.held_blocks +=
            c->place < core->config.engines && c->state == KVT_COPY_READY;
    }
    core->stats.resize.held_b =
        core->stats.resize.held_blocks * book->shards.weight_sum * book->room.unit_b;
}

/* The new processes are there. */
static void start(struct kvt_core *core, uint32_t engine)
{
    const struct kvt_resize_config *config = &core->config.resize;
    struct kvt_place *place = gpu_place(core, engine);
    struct kvt_shard_book *book = place->book;
    book->joint->after = true;
    if (fewer(core)) {
        core->stats.resize.evicted_blocks += kvt_shrink_fit(core, engine);
        book->leaving_b = book->room.gpu_b;
    }
    book->room.gpu_b = config->gpu_b;
    book->room.page_gpu_b = config->page_gpu_b;
    book->changes++;
    kvt_pager_resize(&place->pager, config->gpu_pages);
    core->resize->engines[engine].phase = WAITS;
    core->resize->engines[engine].end = core->room.copies.fresh;
}

static void begin(struct kvt_core *core, uint32_t engine)
{
    struct resizing *w = &core->resize->engines[engine];
    struct engine *e = &core->engines[engine];
    kvt_sharded_start_over(core, engine);
    w->until_ns = core->now;
    w->leaving = fewer(core);
    w->stepping = e->step_op != KVT_NONE;
    if (!w->leaving) {
        start(core, engine);
        return;
    }
    w->phase = DRAINS;
    if (w->stepping && e->step_repeat > 1 && !e->interrupted) { /* nobody needs its GPUs any more */
        e->interrupted = true;
        kvt_emit_interrupt(core, engine);
    }
}

void kvt_core_resize(struct kvt_core *core, kvt_ns now)
{
    assert(now >= core->now);
    if (now > core->now)
        core->now = core->room.now = now;
    if (core->tap && core->tap->resize)
        core->tap->resize(core->tap->self, now);
    struct kvt_core_config *config = &core->config;
    if (!core->resize || core->resize->begun)
        return;
    core->resize->begun = true;
    core->stats.resize.begun = true;
    core->stats.resize.begin_ns = now;
    core->stats.resize.gpus_before = config->engines * config->shard.gpus;
    core->stats.resize.gpus_after = config->engines * config->resize.gpus;
    count_held(core);
    for (uint32_t e = 0; e < config->engines; e++)
        begin(core, e);
    config->shard.gpus = config->resize.gpus;
    config->gpu_pages = config->resize.gpu_pages;
    config->shard_room.gpu_b = config->resize.gpu_b;
    config->shard_room.page_gpu_b = config->resize.page_gpu_b;
    config->prefill = core->room.prefill = config->resize.prefill;
    if (core->store_quota_blocks != UINT64_MAX)
        core->store_quota_blocks =
            1 + (uint64_t)(config->store_pages_ratio * (double)config->gpu_pages /
                           core->room.pages_per_block);
    for (uint32_t e = 0; e < config->engines; e++)
        kvt_pump(core, e);
}

/* ---- Moving ------------------------------------------------------------------------------------ */

static bool readers_left(const struct kvt_core *core, uint32_t engine, kvt_ns until_ns)
{
    for (uint32_t o = 0; o < core->ops.fresh; o++) {
        const struct op *op = op_at(core, o);
        if (op->live && op->engine == engine && op->begin_ns <= until_ns &&
            (op->kind == OP_LOAD || op->kind == OP_STORE))
            return true;
    }
    return false;
}

static const struct kvt_use no_use = {.next = KVT_NEVER};

enum kvt_turn kvt_move_room(struct kvt_core *core, uint32_t engine, uint32_t copy,
                            const uint64_t *need, uint64_t *evicted)
{
    struct kvt_shard_book *book = book_of(core, engine);
    const uint64_t working = kvt_working_pages(core, engine);
    kvt_copy_use(&core->room, copy);
    const bool could = kvt_book_could(book, need, working);
    kvt_copy_unuse(&core->room, copy, &no_use);
    if (!could)
        return KVT_NO_ROOM;
    while (!kvt_book_fits(book, need, working)) {
        const bool gone = kvt_gpu_evict(core, engine);
        assert(gone);
        *evicted += gone;
        if (!gone || copy_at(core, copy)->state != KVT_COPY_READY)
            return KVT_PASSED; /* it was the next to leave itself */
    }
    kvt_copy_use(&core->room, copy);
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        if (need[g])
            kvt_book_reserve(book, g, need[g]);
    return KVT_TAKEN;
}

/* Makes room where the copy shall lie, as `target` says, and holds it. */
static enum kvt_turn take_room(struct kvt_core *core, uint32_t engine, uint32_t copy,
                               const uint8_t *target)
{
    const struct kvt_shards *s = &book_of(core, engine)->shards;
    const uint8_t *row = kvt_book_row(book_of(core, engine), copy);
    uint64_t need[KVT_SHARD_GPUS] = {0};
    for (uint32_t k = 0; k < s->n; k++)
        if (target[k] != row[k])
            need[target[k]] += s->weight[k];
    return kvt_move_room(core, engine, copy, need, &core->stats.resize.evicted_blocks);
}

/* Writes where the copy shall lie into `target`. */
static void aim(struct kvt_core *core, uint32_t engine, uint8_t *row, uint8_t *target)
{
    struct kvt_shard_book *book = book_of(core, engine);
    struct kvt_shard_site site;
    if (fewer(core)) {
        memcpy(target, kvt_book_target(book, row), book->shards.n);
        return;
    }
    memcpy(&site, row + book->shards.n, sizeof site);
    kvt_book_place(book, &site);
    memcpy(target, book->placing, book->shards.n);
}

/* Takes a copy into the batch as its nth block, if it has to move and can. */
static enum kvt_turn take_copy(struct kvt_core *core, uint32_t engine, uint32_t copy, struct op *op,
                               uint32_t nth)
{
    struct kvt_shard_book *book = book_of(core, engine);
    const struct kvt_copy *c = copy_at(core, copy);
    const uint32_t n = book->shards.n;
    if (c->place != engine || c->state != KVT_COPY_READY)
        return KVT_PASSED;
    uint8_t *row = kvt_book_row(book, copy), *age = kvt_book_age(book, row);
    uint8_t *target = core->resize->engines[engine].rows + (size_t)nth * n;
    struct kvt_shard_site site;
    if (*age)
        return KVT_PASSED;
    memcpy(&site, row + n, sizeof site);
    kvt_sharded_try(core, engine);
    aim(core, engine, row, target);
    if (memcmp(target, row, n) == 0) {
        *age = 1;
        core->stats.resize.kept_blocks++;
        return KVT_PASSED;
    }
    const enum kvt_turn turn = take_room(core, engine, copy, target);
    if (turn != KVT_TAKEN) {
        kvt_sharded_undo(core, engine);
        return turn;
    }
    op->gpu[nth] = copy;
    op->lower[nth] = KVT_NONE;
    op->index[nth] = site.index;
    if (op->next)
        op->next[nth] = KVT_NEVER;
    core->refs[nth] =
        (struct kvt_block_ref){.key = kvt_block_key(kvt_block_at(&core->blocks, c->block)),
                               .block = {c->block},
                               .index = site.index,
                               .tokens = core->config.block_tokens,
                               .page = c->page};
    return KVT_TAKEN;
}

/* The copies from w->at on whose turn it is, and can be taken. Returns how many. */
static uint32_t fill_batch(struct kvt_core *core, uint32_t engine, uint32_t o)
{
    struct resizing *w = &core->resize->engines[engine];
    uint32_t n = 0;
    for (; n < BATCH && w->at < w->end; w->at++) {
        const enum kvt_turn turn = take_copy(core, engine, w->at, op_at(core, o), n);
        n += turn == KVT_TAKEN;
        if (turn != KVT_NO_ROOM)
            continue;
        if (fewer(core) && n > 0)
            return n; /* perhaps when these have moved */
        if (fewer(core) && !copy_at(core, w->at)->users) {
            kvt_copy_drop(&core->room, w->at, KVT_FATE_EVICTED);
            core->stats.resize.evicted_blocks++;
            continue;
        }
        w->skipped = true;
        w->changes = book_of(core, engine)->changes;
    }
    return n;
}

/* Every copy of before was looked at. */
static void end_pass(struct kvt_core *core, uint32_t engine)
{
    struct resizing *w = &core->resize->engines[engine];
    if (w->skipped) {
        w->skipped = false;
        w->at = 0;
        return;
    }
    w->phase = OVER;
    leave(core, engine);
}

static void move_batch(struct kvt_core *core, uint32_t engine)
{
    struct resizing *w = &core->resize->engines[engine];
    const uint32_t o = w->at < w->end ? kvt_op_new(core, OP_MOVE, BATCH) : KVT_NONE;
    w->failed &= w->at > 0;
    if (o == KVT_NONE && w->at < w->end)
        return; /* memory is out: another time */
    const uint32_t n = o == KVT_NONE ? 0 : fill_batch(core, engine, o);
    if (n == 0) {
        if (o != KVT_NONE)
            kvt_op_free(core, o);
        end_pass(core, engine);
        return;
    }
    struct op *op = op_at(core, o);
    op->engine = engine;
    op->tier = KVT_GPU;
    op->used = n;
    w->phase = MOVES;
    if (kvt_emit_transfer(core, o, core->refs, n, 0))
        return;
    const struct kvt_done refused = {.op = {o}, .status = KVT_BUSY};
    kvt_resize_done(core, o, &refused);
}

void kvt_resize_pump(struct kvt_core *core, uint32_t engine)
{
    struct resizing *w = &core->resize->engines[engine];
    struct kvt_shard_book *book = book_of(core, engine);
    w->stepping &= core->engines[engine].step_op != KVT_NONE;
    if (!core->resize->begun || w->phase == SETTLED)
        return;
    if (w->phase == OVER || w->phase == MOVES)
        leave(core, engine);
    if (w->phase > DRAINS || readers_left(core, engine, w->until_ns))
        return;
    if (w->phase == DRAINS)
        start(core, engine);
    bool any = false;
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        any |= book->extra[g] > 0;
    if (any)
        kvt_book_free_extra(book);
    leave(core, engine);
    if (w->at > 0 || book->changes != w->changes)
        move_batch(core, engine);
    const bool again = w->failed || book->changes != w->changes;
    if (w->phase == WAITS && w->at == 0 && again)
        move_batch(core, engine);
}

void kvt_resize_moves(struct kvt_core *core, const struct op *op, struct kvt_transfer *t)
{
    struct kvt_resize *r = core->resize;
    const struct kvt_shard_book *book = book_of(core, op->engine);
    const uint32_t n = book->shards.n, gpus = book->joint->shape[1].config.gpus;
    const uint8_t *target = r->engines[op->engine].rows;
    memset(r->between, 0, pairs(core) * sizeof *r->between);
    for (uint32_t k = 0; k < op->used; k++, target += n) {
        const uint8_t *row = kvt_book_row(book, op->gpu[k]);
        for (uint32_t i = 0; i < n; i++)
            if (row[i] != target[i])
                r->between[row[i] * gpus + target[i]] +=
                    (uint64_t)book->shards.weight[i] * core->config.block_tokens;
    }
    t->moves = r->moves;
    for (uint32_t i = 0; i < pairs(core); i++)
        if (r->between[i])
            r->moves[t->n_moves++] = (struct kvt_shard_move){i / gpus, i % gpus, r->between[i]};
}

/* The block lies elsewhere: what was extra is in its row, and the other way round. */
static void change_row(struct kvt_core *core, struct kvt_shard_book *book, uint32_t copy,
                       const uint8_t *target)
{
    uint8_t *row = kvt_book_row(book, copy);
    uint64_t weight = 0;
    for (uint32_t k = 0; k < book->shards.n; k++) {
        if (row[k] == target[k])
            continue;
        book->extra[target[k]] -= book->shards.weight[k];
        book->extra[row[k]] += book->shards.weight[k];
        weight += book->shards.weight[k];
        row[k] = target[k];
    }
    *kvt_book_age(book, row) = 1;
    core->stats.resize.moved_blocks++;
    core->stats.resize.moved_b += weight * book->room.unit_b;
}

void kvt_resize_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done)
{
    const struct op *op = op_at(core, o);
    const uint32_t n = op->used;
    const uint32_t good = done->blocks_ok < n ? done->blocks_ok : n;
    struct resizing *w = &core->resize->engines[op->engine];
    struct kvt_shard_book *book = book_of(core, op->engine);
    for (uint32_t k = 0; k < n; k++) {
        if (k < good)
            change_row(core, book, op->gpu[k], w->rows + (size_t)k * book->shards.n);
        kvt_copy_unuse(&core->room, op->gpu[k], &no_use);
    }
    w->skipped |= good < n;
    w->failed |= good < n;
    core->stats.resize.failed_blocks += n - good;
    w->phase = WAITS;
    w->until_ns = core->now;
    kvt_op_free(core, o);
}
