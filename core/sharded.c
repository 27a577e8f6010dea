/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sharded.c - an engine whose GPUs are told apart: where blocks go, what fits, and what is waited for.
 *
 * Policies (shard.h) say where the shards of a block lie, and a book per engine (shard_book.h) what
 * that adds up to. Here is what the rest of core asks of them.
 *
 * Memory. A block is in the gpu place with all its shards or not at all (K3), so policies of eviction
 * go on ordering blocks. Room is made until every GPU has what it needs; a block that is evicted for
 * the sake of one GPU leaves the others too, unless GPUs evict alone (orphans.h). What running requests hold beside blocks lies on all GPUs
 * evenly, head by head, as tensor parallelism computes it.
 *
 * Access.
 *
 *      gather     before a request runs, its cached blocks are copied to all GPUs, each of which gets
 *                 its heads, into working pages of the request's own: a load whose tier is KVT_GPU.
 *                 Blocks that it computes go the other way when the prompt is complete, by a store. So
 *                 a context in use takes its room twice, and steps cost what they always cost.
 *      in place   blocks are attended to where they lie. New ones are written there by the steps that
 *                 compute them. No copies; but a step waits for its busiest GPU in each layer: its
 *                 skew. Of each request one copy of all its shards is read, the one that adds least to
 *                 the busiest GPU when it begins to decode.
 *
 * `head` is read in place, whatever the access: every GPU computes with the heads that it holds.
 */
#include "internal.h"

#include "orphans.h"
#include "shard_mask.h"

#include <string.h>

static struct kvt_shard_site site_of(const struct kvt_core *core, const struct req *q, uint32_t i)
{
    return (struct kvt_shard_site){.prefix =
                                       kvt_block_key(kvt_block_at(&core->blocks, q->blocks[0])),
                                   .index = i};
}

bool kvt_sharded_reserve(struct kvt_core *core, uint32_t n)
{
    if (!core->room.books || n <= core->placed_room)
        return true;
    const uint32_t row_b = core->room.books->row_b;
    const uint32_t room = n < 512 ? 512 : n + n / 2;
    uint8_t *placed = core->alloc->get(core->alloc->self, (size_t)room * row_b);
    if (!placed)
        return false;
    core->alloc->put(core->alloc->self, core->placed, (size_t)core->placed_room * row_b);
    core->placed = placed;
    core->placed_room = room;
    return true;
}

/* ---- Memory ------------------------------------------------------------------------------------ */

uint64_t kvt_working_pages(const struct kvt_core *core, uint32_t engine)
{
    const struct kvt_place *place = gpu_place(core, engine);
    return core->config.gpu_pages == UINT64_MAX
               ? 0
               : kvt_pager_used(&place->pager) - place->copies * core->room.pages_per_block;
}

uint64_t kvt_sharded_pages(const struct kvt_core *core, uint32_t engine)
{
    const uint64_t most = kvt_book_pages(book_of(core, engine));
    const uint64_t working = kvt_working_pages(core, engine);
    return most == UINT64_MAX ? most : most > working ? most - working : 0;
}

void kvt_sharded_place(struct kvt_core *core, const struct req *q, uint32_t i, uint64_t *need)
{
    struct kvt_shard_book *book = book_of(core, q->engine);
    const struct kvt_shard_site site = site_of(core, q, i);
    kvt_book_place(book, &site);
    kvt_book_count(book, book->placing, need);
}

void kvt_sharded_place_over(struct kvt_core *core, const struct req *q, uint32_t i, uint64_t *need)
{
    uint64_t own[KVT_SHARD_GPUS] = {0};
    if (core->room.limbo == KVT_NONE) {
        kvt_sharded_place(core, q, i, need);
        return;
    }
    const struct kvt_shard_site site = site_of(core, q, i);
    kvt_orphans_place(&core->room, q->engine, q->blocks[i], &site, need, own);
    kvt_orphans_hold(&core->room, q->engine, q->blocks[i]);
}

void kvt_sharded_let_go(struct kvt_core *core, const struct req *q, uint32_t i)
{
    if (core->room.limbo != KVT_NONE && book_of(core, q->engine))
        kvt_orphans_let_go(&core->room, q->engine, q->blocks[i]);
}

void kvt_sharded_hold(struct kvt_core *core, const struct req *q)
{
    for (uint32_t i = 0; core->room.limbo != KVT_NONE && i < q->n_held; i++)
        if (q->copies[i] == KVT_NONE)
            kvt_orphans_hold(&core->room, q->engine, q->blocks[i]);
}

void kvt_sharded_try(struct kvt_core *core, uint32_t engine)
{
    const struct kvt_shards *s = kvt_book_placer(book_of(core, engine));
    core->tried.since = s->since_halving_blocks;
    if (s->config.policy->remembers)
        memcpy(core->tried.recent, s->recent, sizeof s->recent);
}

void kvt_sharded_undo(struct kvt_core *core, uint32_t engine)
{
    struct kvt_shards *s = kvt_book_placer(book_of(core, engine));
    s->since_halving_blocks = core->tried.since;
    if (s->config.policy->remembers)
        memcpy(s->recent, core->tried.recent, sizeof s->recent);
}

static void keep_placing(struct kvt_core *core, uint32_t engine, uint32_t nth)
{
    const struct kvt_shard_book *book = book_of(core, engine);
    memcpy(core->placed + (size_t)nth * book->row_b, book->placing, book->row_b);
}

void kvt_sharded_keep(struct kvt_core *core, const struct req *q, uint32_t i, uint32_t nth,
                      uint64_t *need)
{
    kvt_sharded_place(core, q, i, need);
    keep_placing(core, q->engine, nth);
}

/* The same, over what an orphan of the block has; that is counted as own. */
static void keep_over(struct kvt_core *core, const struct req *q, uint32_t i, uint32_t nth,
                      uint64_t *need, uint64_t *own)
{
    const struct kvt_shard_site site = site_of(core, q, i);
    kvt_orphans_place(&core->room, q->engine, q->blocks[i], &site, need, own);
    keep_placing(core, q->engine, nth);
}

bool kvt_sharded_admits(struct kvt_core *core, const struct req *q, uint64_t pages, uint64_t *need)
{
    struct kvt_shard_book *book = book_of(core, q->engine);
    const struct kvt_shards *s = &book->shards;
    uint64_t own[KVT_SHARD_GPUS] = {0};
    kvt_sharded_try(core, q->engine);
    memset(need, 0, KVT_SHARD_GPUS * sizeof *need);
    uint32_t nth = 0;
    for (uint32_t i = 0; i < q->n_held; i++) {
        if (q->copies[i] != KVT_NONE) {
            if (!copy_at(core, q->copies[i])->users) /* now idle, but will not be */
                kvt_book_count(book, kvt_book_row(book, q->copies[i]), own);
            continue;
        }
        if (book->mask_b)
            keep_over(core, q, i, nth++, need, own);
        else
            kvt_sharded_keep(core, q, i, nth++, need);
    }
    for (uint32_t g = 0; g < s->config.gpus; g++)
        own[g] += need[g];
    if (kvt_book_could(book, own, kvt_working_pages(core, q->engine) + pages))
        return true;
    kvt_sharded_undo(core, q->engine);
    return false;
}

void kvt_sharded_placed(struct kvt_core *core, const struct req *q, uint32_t nth)
{
    struct kvt_shard_book *book = book_of(core, q->engine);
    memcpy(book->placing, core->placed + (size_t)nth * book->row_b, book->row_b);
}

/* What the engine as a whole lacks leaves whole, what a GPU lacks leaves that GPU. */
static bool make_room_alone(struct kvt_core *core, uint32_t engine, uint64_t blocks, uint64_t pages,
                            const uint64_t *need, uint64_t working)
{
    const struct kvt_place *place = gpu_place(core, engine);
    const uint64_t capacity = place->config->capacity_blocks;
    while (kvt_pager_free(&place->pager) < pages ||
           (capacity != UINT64_MAX && capacity - place->copies < blocks))
        if (!kvt_place_evict(&core->room, engine))
            return false;
    for (uint32_t g = 0; g < place->book->shards.config.gpus; g++)
        while (!kvt_book_fits_on(place->book, g, need, working))
            if (!kvt_orphans_evict(&core->room, engine, g))
                return false;
    return true;
}

bool kvt_make_room_on(struct kvt_core *core, uint32_t engine, uint64_t blocks, uint64_t pages,
                      const uint64_t *need)
{
    const struct kvt_place *place = gpu_place(core, engine);
    const struct kvt_shard_book *book = place->book;
    const uint64_t of_blocks = need ? blocks * core->room.pages_per_block : 0;
    const uint64_t working =
        kvt_working_pages(core, engine) + (pages > of_blocks ? pages - of_blocks : 0);
    if (pages_available(core, engine) < pages || kvt_place_available(place) < blocks ||
        !kvt_book_could(book, need, working))
        return false;
    if (book->mask_b)
        return make_room_alone(core, engine, blocks, pages, need, working);
    const uint64_t capacity = place->config->capacity_blocks;
    while (kvt_pager_free(&place->pager) < pages ||
           (capacity != UINT64_MAX && capacity - place->copies < blocks) ||
           !kvt_book_fits(book, need, working))
        if (!kvt_gpu_evict(core, engine))
            return false;
    return true;
}

/* ---- Transfers --------------------------------------------------------------------------------- */

/* Adds what reading copy j of each of the operation's blocks asks of each GPU. */
static void count_copy(const struct kvt_shard_book *book, const struct op *op,
                       const struct kvt_block_ref *refs, uint32_t n, uint32_t j, uint64_t *parts)
{
    uint64_t even = 0;
    for (uint32_t k = 0; k < n; k++)
        kvt_book_parts(book, kvt_book_row(book, op->gpu[k]), j, refs[k].tokens, parts, &even);
    kvt_book_parts_even(book, j, even, parts);
}

/* Weights times tokens of all copies of the operation's blocks; of those that are spread, what is not there already. */
static void count_all(const struct kvt_shard_book *book, const struct op *op,
                      const struct kvt_block_ref *refs, uint32_t n, uint64_t *parts)
{
    if (book->mask_b && op->kind == OP_STORE) {
        for (uint32_t k = 0; k < n; k++)
            kvt_mask_stored(book, kvt_book_row(book, op->gpu[k]), refs[k].tokens, parts);
        return;
    }
    for (uint32_t j = 0; j < book->shards.copies; j++)
        count_copy(book, op, refs, n, j, parts);
}

/* The copy of a shard to read instead of the jth, if that was lost. */
static uint32_t living(const struct kvt_shard_book *book, const uint8_t *row, uint32_t k,
                       uint32_t j)
{
    const struct kvt_shards *s = &book->shards;
    for (uint32_t tried = 1;
         tried < s->copies && kvt_book_marked(book, row, kvt_shard_copy(s, row[k], j)); tried++)
        j = (j + 1) % s->copies;
    return kvt_shard_copy(s, row[k], j);
}

/* Of one copy each: the one that asks least of GPUs that are asked for much; another one of shards whose copy is not
 * there, or was lost. Returns which. */
static uint8_t count_one(const struct kvt_shard_book *book, const struct op *op,
                         const struct kvt_block_ref *refs, uint32_t n, uint64_t *parts)
{
    const uint32_t gpus = book->shards.config.gpus;
    uint64_t first[KVT_SHARD_GPUS] = {0}, even = 0;
    bool any = false;
    for (uint32_t k = 0; k < n; k++) {
        const uint8_t *row = kvt_book_row(book, op->gpu[k]);
        if (kvt_book_any_mark(book, row))
            any = true;
        else
            kvt_book_parts(book, row, 0, refs[k].tokens, first, &even);
    }
    kvt_book_parts_even(book, 0, even, first);
    const uint32_t j = kvt_book_choose(book, first);
    if (book->mask_b) { /* (shard_mask.h says which) */
        count_copy(book, op, refs, n, j, parts);
        return (uint8_t)j;
    }
    for (uint32_t g = 0; g < gpus; g++)
        parts[kvt_shard_copy(&book->shards, g, j)] = first[g];
    for (uint32_t b = 0; any && b < n; b++) {
        const uint8_t *row = kvt_book_row(book, op->gpu[b]);
        for (uint32_t k = 0; kvt_book_any_mark(book, row) && k < book->shards.n; k++)
            parts[living(book, row, k, j)] += (uint64_t)book->shards.weight[k] * refs[b].tokens;
    }
    return (uint8_t)j;
}

const uint64_t *kvt_sharded_parts(struct kvt_core *core, struct op *op,
                                  const struct kvt_block_ref *refs, uint32_t n)
{
    if (!core->room.books || (op->kind != OP_LOAD && op->kind != OP_STORE))
        return NULL;
    struct kvt_shard_book *book = book_of(core, op->engine);
    const uint32_t gpus = book->shards.config.gpus;
    uint64_t *parts = core->gpu_parts;
    memset(parts, 0, gpus * sizeof *parts);
    /* Read from shards: gathered, or stored below. Written to them: spread, or loaded from below. */
    const bool reads = (op->kind == OP_LOAD) == (op->tier == KVT_GPU);
    if (!reads) {
        count_all(book, op, refs, n, parts);
        return parts;
    }
    op->copy = count_one(book, op, refs, n, parts);
    op->parts = (void *)kvt_slab_take(&core->slab, 2 * gpus);
    for (uint32_t g = 0; g < gpus; g++) {
        book->read[g] += parts[g];
        if (!op->parts) /* merely unknown to those who choose next */
            continue;
        op->parts[g] = parts[g];
        book->asked[g] += parts[g];
    }
    return parts;
}

void kvt_sharded_op_end(struct kvt_core *core, const struct op *op)
{
    struct kvt_shard_book *book = book_of(core, op->engine);
    const uint32_t gpus = book->shards.config.gpus;
    for (uint32_t g = 0; g < gpus; g++)
        book->asked[g] -= op->parts[g];
    kvt_slab_give(&core->slab, (void *)op->parts, 2 * gpus);
}

/* What the request computed lies in its working pages alone, and stays there: others cannot gather it. */
static void keep_from_others(struct kvt_core *core, const struct req *q, uint32_t end)
{
    for (uint32_t i = q->stored; i < end; i++)
        if (!is_hit(q->src[i]) && copy_at(core, q->copies[i])->state == KVT_COPY_READY) {
            core->stats.store_failures[KVT_GPU]++;
            kvt_copy_void(&core->room, q->copies[i], KVT_FATE_NONE);
        }
}

void kvt_sharded_spread(struct kvt_core *core, struct req *q, uint32_t end)
{
    if (!gathers(core) || end <= q->stored)
        return;
    const uint32_t o = kvt_op_new(core, OP_STORE, end - q->stored);
    if (o == KVT_NONE) {
        keep_from_others(core, q, end);
        return;
    }
    struct op *op = op_at(core, o);
    op->tier = KVT_GPU;
    op->engine = q->engine;
    uint32_t n = 0;
    for (uint32_t i = q->stored; i < end; i++) {
        const struct kvt_copy *c = copy_at(core, q->copies[i]);
        if (is_hit(q->src[i]) || c->state != KVT_COPY_READY)
            continue;
        op->gpu[n] = q->copies[i];
        op->lower[n] = KVT_NONE;
        op->index[n] = i;
        if (op->next)
            op->next[n] = use_of(q, i).next;
        kvt_copy_use(&core->room, op->gpu[n]);
        core->refs[n++] =
            (struct kvt_block_ref){.key = kvt_block_key(kvt_block_at(&core->blocks, q->blocks[i])),
                                   .block = {q->blocks[i]},
                                   .index = i,
                                   .tokens = block_len(core, q, i),
                                   .page = c->page};
    }
    op->used = n;
    core->engines[q->engine].storing_blocks[KVT_GPU] += n;
    if (n && kvt_emit_transfer(core, o, core->refs, n, 0))
        return;
    const struct kvt_done refused = {.op = {o}, .status = KVT_BUSY};
    kvt_write_done(core, o, &refused);
}

/* ---- Steps ------------------------------------------------------------------------------------- */

/* Adds what reading copy j of the request's first blocks asks of each GPU. */
static void count_context(const struct kvt_core *core, const struct req *q, uint32_t blocks,
                          uint32_t j, uint64_t *parts)
{
    const struct kvt_shard_book *book = book_of(core, q->engine);
    uint64_t even = 0;
    for (uint32_t i = 0; i < blocks; i++)
        kvt_book_parts(book, kvt_book_row(book, q->copies[i]), j, block_len(core, q, i), parts,
                       &even);
    kvt_book_parts_even(book, j, even, parts);
}

/* Which copy the request reads from now on. */
static void choose_copy(const struct kvt_core *core, struct req *q, uint32_t blocks)
{
    struct kvt_shard_book *book = book_of(core, q->engine);
    uint64_t parts[KVT_SHARD_GPUS] = {0}, chosen[KVT_SHARD_GPUS] = {0};
    q->copy = 0;
    if (book->shards.copies == 1)
        return;
    count_context(core, q, blocks, 0, parts);
    q->copy = (uint8_t)kvt_book_choose(book, parts);
    if (book->mask_b) /* another one may be read in its stead */
        count_context(core, q, blocks, q->copy, chosen);
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        if (!book->mask_b)
            chosen[kvt_shard_copy(&book->shards, g, q->copy)] = parts[g];
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        book->asked[g] += chosen[g];
}

/* What choose_copy asked for is no longer. */
static void unask(const struct kvt_core *core, const struct req *q)
{
    struct kvt_shard_book *book = book_of(core, q->engine);
    uint64_t parts[KVT_SHARD_GPUS] = {0};
    if (book->shards.copies == 1)
        return;
    count_context(core, q, q->attended, q->copy, parts);
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        book->asked[g] -= parts[g];
}

static void begin_decoding(struct kvt_core *core, struct req *q)
{
    struct kvt_shard_book *book = book_of(core, q->engine);
    choose_copy(core, q, q->n_held);
    for (uint32_t i = 0; i < q->n_held; i++)
        kvt_load_add(book, &book->decoding, kvt_book_row(book, q->copies[i]), q->copy,
                     block_len(core, q, i));
    q->attended = q->n_held;
}

void kvt_sharded_forget(struct kvt_core *core, struct req *q)
{
    struct kvt_shard_book *book = book_of(core, q->engine);
    for (uint32_t i = 0; i < q->attended; i++)
        kvt_load_remove(book, &book->decoding, kvt_book_row(book, q->copies[i]), q->copy,
                        block_len(core, q, i));
    unask(core, q);
    q->attended = 0;
}

/* Of a chunk after `past` tokens: the blocks that it attends to and that are in place. */
static uint64_t chunk_skew(struct kvt_core *core, const struct req *q)
{
    struct kvt_shard_book *book = book_of(core, q->engine);
    const uint32_t done = q->computed / core->config.block_tokens;
    const uint32_t blocks = done < q->n_held ? done : q->n_held;
    /* Chunks of one request mostly follow one another: then only the last one's blocks are new. */
    if (book->chunk_of != q->generation || book->chunk_blocks > blocks) {
        kvt_load_clear(book, &book->chunk);
        book->chunk_of = q->generation;
        book->chunk_blocks = 0;
    }
    for (; book->chunk_blocks < blocks; book->chunk_blocks++)
        kvt_load_add(book, &book->chunk, kvt_book_row(book, q->copies[book->chunk_blocks]), 0,
                     core->config.block_tokens);
    return kvt_load_skew(book, &book->chunk);
}

void kvt_sharded_skew(struct kvt_core *core, uint32_t engine, struct kvt_step *step)
{
    if (gathers(core) || !apart(core))
        return;
    struct kvt_shard_book *book = book_of(core, engine);
    const struct engine *e = &core->engines[engine];
    uint32_t n = 0;
    for (uint32_t r = e->lists[REQ_RUNNING].first; r != KVT_NONE; r = req_at(core, r)->next) {
        struct req *q = req_at(core, r);
        if (q->chunk)
            core->chunk_skew[n++] = chunk_skew(core, q);
        else if (q->decoding_in_step && !q->attended && q->n_held)
            begin_decoding(core, q);
    }
    step->decode_skew_tokens = kvt_load_skew(book, &book->decoding);
    if (n)
        step->chunk_skew_tokens = core->chunk_skew;
}

void kvt_sharded_attended(struct kvt_core *core, uint32_t engine, uint32_t iterations)
{
    kvt_load_attended(&book_of(core, engine)->decoding, iterations);
}

void kvt_sharded_start_over(struct kvt_core *core, uint32_t engine)
{
    struct engine *e = &core->engines[engine];
    /* The step under way runs to its end, for nobody. */
    for (int state = REQ_GATHERING; state <= REQ_RUNNING; state++) {
        while (e->lists[state].n) {
            const uint32_t r = e->lists[state].last;
            req_at(core, r)->chunk = 0;
            req_at(core, r)->decoding_in_step = false;
            kvt_send_back(core, r);
        }
    }
}

/* ---- Looking ----------------------------------------------------------------------------------- */

bool kvt_core_gpu(const struct kvt_core *core, kvt_engine_id engine, uint32_t gpu,
                  struct kvt_core_gpu *out)
{
    if (!core->room.books || engine.v >= core->config.engines || gpu >= kvt_resize_most(core))
        return false;
    const bool has = kvt_resize_has(core, engine.v, gpu);
    struct kvt_shard_book *book = book_of(core, engine.v);
    kvt_load_settle(book, &book->decoding);
    const double unit_b = (double)book->room.unit_b;
    const uint64_t held = kvt_book_sum(book, &book->held, gpu);
    const uint64_t gone = kvt_book_sum(book, &book->gone, gpu);
    const bool works = gpu < kvt_book_gpus(book);
    *out = (struct kvt_core_gpu){
        .capacity_b = works ? book->room.gpu_b
                      : has ? book->leaving_b
                            : 0,
        .shards_b = held * book->room.unit_b,
        .orphans_b = book->orphans[gpu] * book->room.unit_b,
        .working_b = works ? kvt_working_pages(core, engine.v) * book->room.page_gpu_b : 0,
        .stored_b = (held + gone) * book->room.unit_b,
        .read_b = (double)book->read[gpu] * unit_b / core->config.block_tokens};
    return true;
}

static uint32_t ready_copy(const struct kvt_core *core, uint32_t block, uint32_t engine)
{
    if (!kvt_block_live(&core->blocks, block))
        return KVT_NONE;
    uint32_t copy = kvt_block_at(&core->blocks, block)->copies;
    while (copy != KVT_NONE && copy_at(core, copy)->place != engine)
        copy = copy_at(core, copy)->next;
    return copy != KVT_NONE && copy_at(core, copy)->state == KVT_COPY_READY ? copy : KVT_NONE;
}

/* Length of the chain that ends with the block, 0 if it has a hole; bounded as in look.c. */
static uint32_t chain_length(const struct kvt_core *core, uint32_t block, uint32_t engine)
{
    uint32_t n = 0;
    for (; block != KVT_NONE; block = kvt_block_at(&core->blocks, block)->parent)
        if (ready_copy(core, block, engine) == KVT_NONE || ++n > kvt_blocks_count(&core->blocks))
            return 0;
    return n;
}

uint32_t kvt_core_shard_of(const struct kvt_core *core, uint32_t layer)
{
    return core->room.books ? kvt_book_shard_of(core->room.books, layer) : 0;
}

uint32_t kvt_core_shard_chain(const struct kvt_core *core, kvt_engine_id engine, uint8_t *gpus,
                              size_t room, uint32_t *shards)
{
    *shards = 0;
    if (!core->room.books || engine.v >= core->config.engines)
        return 0;
    const struct kvt_shard_book *book = book_of(core, engine.v);
    uint32_t best = KVT_NONE, most = 0;
    *shards = book->shards.n;
    for (uint32_t b = 0; room > 0 && b < kvt_blocks_end(&core->blocks); b++) {
        /* whoever is followed by the next number is not the end of its chain */
        const bool followed = b + 1 < kvt_blocks_end(&core->blocks) &&
                              ready_copy(core, b + 1, engine.v) != KVT_NONE &&
                              kvt_block_at(&core->blocks, b + 1)->parent == b;
        const uint32_t n = followed ? 0 : chain_length(core, b, engine.v);
        if (n > most && (size_t)n * book->shards.n <= room) {
            most = n;
            best = b;
        }
    }
    for (uint32_t i = most; i-- > 0; best = kvt_block_at(&core->blocks, best)->parent) {
        const uint8_t *row = kvt_book_row(book, ready_copy(core, best, engine.v));
        if (book->mask_b)
            kvt_mask_read(book, row, 0, gpus + (size_t)i * book->shards.n);
        else
            memcpy(gpus + (size_t)i * book->shards.n, row, book->shards.n);
    }
    return most;
}
