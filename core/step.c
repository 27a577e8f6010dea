/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * step.c - continuous batching with chunked prefill (Orca, OSDI 2022; Sarathi-Serve, OSDI 2024).
 *
 * An engine runs one step at a time. A step holds one token of every decoding request, and fills
 * the rest of the token budget with chunks of prompts, first come first served, those of background
 * requests last. While no prompt is
 * being prefilled nothing in the batch changes until a request finishes, so the step is issued once
 * with a repeat count; a request that becomes ready meanwhile interrupts it at the next iteration.
 *
 * Chunks are placed by absolute offset in the prompt: chunk boundaries never change a block's
 * identity. Before each chunk the cache is asked again for the block about to be computed; if it is
 * there by now (a load that had been given up arrived, another request computed it), the chunk
 * skips it and the ledger says so. If it is not, but another block begins as this one does, that much is
 * copied and not computed (part.c).
 *
 * Pages: every decoding request gets what it needs for all iterations before the step is issued.
 * When they lack, cached blocks are evicted, then repeat is lowered, then the request that came
 * last into the batch is preempted: it keeps no pages and starts over from the head of the queue.
 * The request that came first always goes on, so there is no livelock.
 */
#include "internal.h"

enum { MOST_REPEATS = 1024, RETRY_NS = 1000000 };

static bool decoding(const struct req *q)
{
    return q->computed >= q->target;
}

/* Pages that q must be given to hold `tokens` tokens. */
static uint64_t pages_to_grow(const struct kvt_core *core, const struct req *q, uint64_t tokens)
{
    const uint64_t want = kvt_pages_for(&core->room, tokens - held_tokens(core, q));
    return want > q->tail.n ? want - q->tail.n : 0;
}

static void preempt(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    core->stats.preemptions++;
    q->preemptions++;
    kvt_keep_output_blocks(core, r);
    kvt_send_back(core, r);
}

/* What the decoding part of a step will be. */
struct batch {
    uint32_t n_decode, n_growing, repeat;
    uint64_t decode_tokens, window_tokens, pages;
    bool prefill; /* some prompt is not complete */
};

static uint64_t capped(uint64_t tokens, uint32_t window)
{
    return window && tokens > window ? window : tokens;
}

static void survey(const struct kvt_core *core, const struct engine *e, struct batch *b)
{
    const uint32_t window = core->config.window_tokens;
    *b = (struct batch){.repeat = MOST_REPEATS};
    for (uint32_t r = e->lists[REQ_RUNNING].first; r != KVT_NONE; r = req_at(core, r)->next) {
        const struct req *q = req_at(core, r);
        if (!decoding(q)) {
            b->prefill = true;
            continue;
        }
        const uint32_t left = q->output_tokens - q->generated;
        const uint64_t context = (uint64_t)q->computed + 1;
        b->n_decode++;
        b->decode_tokens += context;
        b->window_tokens += capped(context, window);
        if (left < b->repeat)
            b->repeat = left;
        if (window && context < window) {
            b->n_growing++;
            if (window - context < b->repeat)
                b->repeat = (uint32_t)(window - context);
        }
    }
    if (b->prefill)
        b->repeat = 1;
}

static uint64_t pages_for_repeat(const struct kvt_core *core, const struct engine *e,
                                 uint32_t repeat)
{
    uint64_t pages = 0;
    for (uint32_t r = e->lists[REQ_RUNNING].first; r != KVT_NONE; r = req_at(core, r)->next) {
        const struct req *q = req_at(core, r);
        if (decoding(q))
            pages += pages_to_grow(core, q, (uint64_t)q->computed + repeat);
    }
    return pages;
}

/* Lowers repeat to what the pages that can be had allow. False when not even one iteration fits. */
static bool fit_repeat(const struct kvt_core *core, uint32_t engine, struct batch *b)
{
    const uint64_t available = working_available(core, engine);
    /* More than this no batch needs; when there is as much, nobody has to be asked. */
    if (b->n_decode * ((uint64_t)b->repeat / core->config.page_tokens + 1) <= available)
        return true;
    const struct engine *e = &core->engines[engine];
    while (b->repeat > 1 && pages_for_repeat(core, e, b->repeat) > available)
        b->repeat /= 2;
    return pages_for_repeat(core, e, b->repeat) <= available;
}

/* Chooses repeat, preempting if it must, and hands out the pages. */
static void give_pages(struct kvt_core *core, uint32_t engine, struct batch *b)
{
    struct engine *e = &core->engines[engine];
    for (survey(core, e, b); b->n_decode && !fit_repeat(core, engine, b); survey(core, e, b))
        preempt(core, e->lists[REQ_RUNNING].last);
    struct kvt_pager *pager = &gpu_place(core, engine)->pager;
    for (uint32_t r = e->lists[REQ_RUNNING].first; r != KVT_NONE; r = req_at(core, r)->next) {
        struct req *q = req_at(core, r);
        if (!decoding(q))
            continue;
        q->decoding_in_step = true;
        const uint32_t n = (uint32_t)pages_to_grow(core, q, (uint64_t)q->computed + b->repeat);
        if (!n)
            continue;
        struct kvt_page_run more;
        const bool got = kvt_make_room(core, engine, 0, n) && kvt_pager_take(pager, n, &more);
        assert(got);
        (void)got;
        kvt_pager_append(pager, &q->tail, &more);
    }
}

/* Skips blocks that are ready by now. True when the request ended because nothing was left to
 * compute. */
static bool consult(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    const uint32_t block_tokens = core->config.block_tokens;
    /* exact: the whole, or nothing. Gathered: what turns up now lies elsewhere. */
    const bool in_parts = core->config.match == KVT_MATCH_CHAIN && !gathers(core);
    while (in_parts && q->computed < q->target && q->computed % block_tokens == 0) {
        const uint32_t i = q->computed / block_tokens;
        if (i >= q->n_held)
            break;
        const uint32_t found = kvt_copy_find(&core->room, q->blocks[i], q->engine);
        if (found == KVT_NONE || copy_at(core, found)->state != KVT_COPY_READY)
            break;
        if (found != q->copies[i]) {
            kvt_copy_use(&core->room, found);
            const struct kvt_use use = use_of(q, i);
            kvt_copy_unuse(&core->room, q->copies[i], &use);
            q->copies[i] = found;
        }
        const uint32_t len = block_len(core, q, i);
        q->src[i] = KVT_HIT_GPU;
        q->computed = q->computed + len < q->target ? q->computed + len : q->target;
        core->stats.late_adopted_tokens += len;
    }
    if (q->computed < q->target)
        return false;
    if (!core->config.recompute_last_token)
        return kvt_prefill_complete(core, r);
    q->computed = q->target - 1;
    return false;
}

static uint32_t fill_chunks(struct kvt_core *core, uint32_t engine, uint64_t budget,
                            uint64_t *prefill_tokens)
{
    uint32_t n = 0, next;
    for (uint32_t r = core->engines[engine].lists[REQ_RUNNING].first; r != KVT_NONE && budget;
         r = next) {
        struct req *q = req_at(core, r);
        next = q->next;
        if (decoding(q) || consult(core, r) || decoding(q))
            continue;
        if (takes_parts(core))
            kvt_part_find(core, q);
        const uint32_t past = q->computed + q->part_tokens, left = q->target - past;
        q->chunk = left < budget ? left : (uint32_t)budget;
        core->chunks[n++] = (struct kvt_chunk){.past_tokens = past, .new_tokens = q->chunk};
        budget -= q->chunk;
        *prefill_tokens += q->chunk;
        core->engines[engine].step_background_tokens += q->background ? q->chunk : 0;
    }
    return n;
}

static void clear_step(struct kvt_core *core, struct engine *e)
{
    for (uint32_t r = e->lists[REQ_RUNNING].first; r != KVT_NONE; r = req_at(core, r)->next) {
        struct req *q = req_at(core, r);
        q->chunk = 0;
        q->decoding_in_step = false;
        kvt_part_drop(core, q);
    }
    e->step_op = KVT_NONE;
}

static bool any_decoding(const struct kvt_core *core, const struct engine *e)
{
    for (uint32_t r = e->lists[REQ_RUNNING].first; r != KVT_NONE; r = req_at(core, r)->next)
        if (decoding(req_at(core, r)))
            return true;
    return false;
}

/* The world did not take the step, or memory for it lacked. Perhaps nothing else is under way that
 * would bring core back, so it comes back by itself. */
static void step_refused(struct kvt_core *core, uint32_t engine)
{
    struct engine *e = &core->engines[engine];
    clear_step(core, e);
    if (!e->retry_armed)
        kvt_emit_arm(core, engine, kvt_ns_add(core->now, RETRY_NS));
    e->retry_armed = true;
}

void kvt_step_start(struct kvt_core *core, uint32_t engine)
{
    struct engine *e = &core->engines[engine];
    if (e->step_op != KVT_NONE || !e->lists[REQ_RUNNING].n || !e->up)
        return;
    struct batch b;
    uint64_t prefill_tokens;
    uint32_t n_chunks;
    do {
        give_pages(core, engine, &b);
        prefill_tokens = e->step_background_tokens = 0;
        n_chunks = b.prefill ? fill_chunks(core, engine, core->config.max_batch_tokens - b.n_decode,
                                           &prefill_tokens)
                             : 0;
        /* A prompt that turned out to be complete may leave a batch of nothing but fresh
         * decoders. */
    } while (!b.n_decode && !n_chunks && any_decoding(core, e));
    if (!b.n_decode && !n_chunks)
        return;
    struct kvt_step step = {.engine = {engine},
                            .repeat = b.repeat,
                            .n_chunks = n_chunks,
                            .chunks = core->chunks,
                            .n_decode = b.n_decode,
                            .n_window_growing = b.n_growing,
                            .decode_tokens = b.decode_tokens,
                            .window_tokens = b.window_tokens};
    if (!b.n_decode)
        step.repeat = 1;
    if (book_of(core, engine))
        kvt_sharded_skew(core, engine, &step);
    if (takes_parts(core) && n_chunks)
        kvt_part_step(core, engine, &step);
    const uint32_t o = kvt_op_new(core, OP_STEP, 0);
    if (o == KVT_NONE) {
        step_refused(core, engine);
        return;
    }
    op_at(core, o)->engine = engine;
    e->step_op = o;
    e->step_begin_ns = core->now;
    e->step_decode = b.n_decode;
    e->step_prefill_tokens = prefill_tokens;
    e->step_repeat = step.repeat;
    e->interrupted = false;
    core->stats.steps++;
    if (!kvt_emit_step(core, o, &step)) {
        kvt_op_free(core, o);
        step_refused(core, engine);
    }
}

/* The load that q gave up has not arrived, and now need not: who waited for it finds q's block. */
static void overtake_load(struct kvt_core *core, const struct req *q, uint32_t i)
{
    const uint32_t found = kvt_copy_find(&core->room, q->blocks[i], q->engine);
    if (found != KVT_NONE && copy_at(core, found)->state == KVT_COPY_FILLING)
        kvt_copy_void(&core->room, found, KVT_FATE_NONE);
}

/* Blocks that the tokens [.., computed) now complete become READY. */
static void blocks_complete(struct kvt_core *core, uint32_t r, uint32_t before)
{
    struct req *q = req_at(core, r);
    uint32_t i = before / core->config.block_tokens;
    for (; i < q->n_held; i++) {
        if ((uint64_t)i * core->config.block_tokens + block_len(core, q, i) > q->computed)
            break;
        const struct kvt_copy *c = copy_at(core, q->copies[i]);
        if (q->abandoned && c->state == KVT_COPY_PRIVATE)
            overtake_load(core, q, i);
        if (c->state == KVT_COPY_FILLING)
            kvt_copy_ready(&core->room, q->copies[i]);
        else if (c->state == KVT_COPY_PRIVATE)
            kvt_copy_publish(&core->room, q->copies[i]);
    }
}

static void chunk_done(struct kvt_core *core, uint32_t r, kvt_ns begin_ns)
{
    struct req *q = req_at(core, r);
    const uint32_t before = q->computed;
    kvt_part_done(core, q);
    q->computed += q->chunk;
    if (q->first_done) {
        q->recomputed_tokens += q->chunk;
        core->stats.recomputed_tokens += q->chunk;
    } else {
        q->stepped += q->chunk;
        q->span_ns[KVT_SPAN_COMPUTE] += core->now - begin_ns;
    }
    q->chunk = 0;
    blocks_complete(core, r, before);
    if (q->computed == q->target)
        kvt_prefill_complete(core, r);
}

static void decode_done(struct kvt_core *core, uint32_t r, uint32_t iterations)
{
    struct req *q = req_at(core, r);
    q->decoding_in_step = false;
    q->generated += iterations;
    q->computed += iterations;
    assert(q->generated <= q->output_tokens);
    if (q->generated == q->output_tokens) {
        kvt_keep_output_blocks(core, r);
        kvt_finish(core, r, KVT_FINISHED);
    }
}

bool kvt_prefill_complete(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    kvt_write_through(core, r, q->n_held);
    core->engines[q->engine].pending_prefill_tokens -= q->pending;
    q->pending = 0;
    if (!q->first_done) {
        kvt_book_ledger(core, q);
        kvt_wording_done(core, q);
        q->first_done = true;
        q->first_token_ns = core->now;
    }
    if (q->output_tokens)
        q->generated++;
    if (q->generated < q->output_tokens)
        return false;
    kvt_keep_output_blocks(core, r);
    kvt_finish(core, r, KVT_FINISHED);
    return true;
}

void kvt_step_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done)
{
    const uint32_t engine = op_at(core, o)->engine;
    struct engine *e = &core->engines[engine];
    kvt_op_free(core, o);
    if (e->step_op != o)
        return; /* the engine went down meanwhile, and its requests elsewhere */
    if (done->status != KVT_OK) {
        clear_step(core, e);
        return;
    }
    uint32_t iterations = done->iterations < e->step_repeat ? done->iterations : e->step_repeat;
    iterations += iterations == 0;
    core->stats.iterations += iterations;
    if (book_of(core, engine))
        kvt_sharded_attended(core, engine, iterations);
    const struct kvt_note note = {.kind = KVT_NOTE_STEP,
                                  .now = core->now,
                                  .engine = {engine},
                                  .begin_ns = e->step_begin_ns,
                                  .iterations = iterations,
                                  .n_decode = e->step_decode,
                                  .prefill_tokens = e->step_prefill_tokens,
                                  .background_tokens = e->step_background_tokens};
    e->step_op = KVT_NONE;
    uint32_t next;
    for (uint32_t r = e->lists[REQ_RUNNING].first; r != KVT_NONE; r = next) {
        struct req *q = req_at(core, r);
        next = q->next;
        if (q->chunk)
            chunk_done(core, r, e->step_begin_ns);
        else if (q->decoding_in_step)
            decode_done(core, r, iterations);
    }
    if (core->port.ops->note)
        core->port.ops->note(core->port.self, &note);
}
