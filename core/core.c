/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * core.c - construction, and the inputs: each takes note of the time, does its part, and lets the
 * engine that is concerned do whatever it now can (pump).
 */
#include "internal.h"

#include "key.h"

#include <errno.h>
#include <string.h>

enum { LINE_B = 64, FIRST_SWEEP = 1024 };

/* ---- Construction
 * ------------------------------------------------------------------------------ */

static void *take(const struct kvt_alloc *alloc, size_t n, size_t record_b)
{
    void *memory = alloc->get(alloc->self, n * record_b);
    if (memory)
        memset(memory, 0, n * record_b);
    return memory;
}

/* Nearest first; a peer before what is not predicted to be faster. */
static void order_tiers(struct kvt_core *core)
{
    static const enum kvt_tier_kind others[] = {KVT_HOST, KVT_REDIS, KVT_DISK};
    const struct kvt_tier_config *tiers = core->config.tiers;
    int n = 0;
    bool placed = false;
    for (int t = 0; t < BELOW_GPU - 1; t++) {
        const struct kvt_tier_config *other = &tiers[others[t]];
        if (!placed && other->present &&
            other->load_ns_per_token >= tiers[KVT_PEER].load_ns_per_token) {
            core->below[n++] = KVT_PEER;
            placed = true;
        }
        core->below[n++] = others[t];
    }
    if (!placed)
        core->below[n] = KVT_PEER;
}

/* The tree is as large as all GPU tiers together. */
static int init_alike(struct kvt_core *core)
{
    const struct kvt_core_config *c = &core->config;
    const uint64_t blocks = c->tiers[KVT_GPU].capacity_blocks;
    uint64_t tokens = blocks > UINT64_MAX / c->block_tokens ? UINT64_MAX : blocks * c->block_tokens;
    if (c->gpu_pages != UINT64_MAX && c->gpu_pages * c->page_tokens < tokens)
        tokens = c->gpu_pages * c->page_tokens;
    const struct kvt_alike_config alike = {
        .threshold = c->approximate_threshold,
        .prompts = c->approximate_prompts,
        .tree = c->count_partial,
        .tree_tokens = tokens > UINT64_MAX / c->engines ? UINT64_MAX : tokens * c->engines,
    };
    return c->cache ? kvt_alike_init(&core->alike, core->alloc, &alike) : 0;
}

static int build(struct kvt_core *core)
{
    const struct kvt_alloc *alloc = core->alloc;
    const uint32_t engines = core->config.engines;
    kvt_pool_init(&core->requests, alloc, sizeof(struct req), REQUESTS_SHIFT);
    kvt_pool_init(&core->ops, alloc, sizeof(struct op), OPS_SHIFT);
    kvt_slab_init(&core->slab, alloc);
    order_tiers(core);
    core->back = KVT_TIERS;
    for (int t = KVT_HOST; t < KVT_TIERS; t++)
        if (core->config.tiers[t].present && core->config.tiers[t].write_back)
            core->back = (enum kvt_tier_kind)t;
    for (int t = 0; t < KVT_TIERS; t++)
        core->future |= core->config.tiers[t].present && core->config.tiers[t].evict->needs_future;
    if (init_alike(core))
        return -ENOMEM;
    if (kvt_blocks_init(&core->blocks, alloc, core->config.expected_blocks,
                        core->config.history_blocks) ||
        kvt_room_init(&core->room, &core->config, alloc, &core->blocks, &core->stats))
        return -ENOMEM;
    core->room.gone = kvt_emit_gone;
    core->room.gone_self = core;
    core->engines = take(alloc, engines, sizeof *core->engines);
    core->contigs = take(alloc, engines, sizeof *core->contigs);
    core->match_length = take(alloc, engines, sizeof *core->match_length);
    core->chunks = take(alloc, core->config.max_batch_requests, sizeof *core->chunks);
    core->sweep_at = FIRST_SWEEP;
    kvt_siblings_init(&core->siblings, alloc, core->config.block_tokens);
    if (takes_parts(core)) {
        core->step_copies = take(alloc, core->config.max_batch_requests, sizeof *core->step_copies);
        if (!core->step_copies)
            return -ENOMEM;
    }
    if (!core->engines || !core->contigs || !core->match_length || !core->chunks)
        return -ENOMEM;
    if (core->room.books) {
        core->gpu_parts = take(alloc, KVT_SHARD_GPUS, sizeof *core->gpu_parts);
        core->chunk_skew = take(alloc, core->config.max_batch_requests, sizeof *core->chunk_skew);
        if (!core->gpu_parts || !core->chunk_skew || kvt_resize_init(core) || kvt_recopy_init(core))
            return -ENOMEM;
    }
    const uint64_t tokens = core->config.gpu_pages == UINT64_MAX
                                ? UINT64_MAX
                                : core->config.gpu_pages * core->config.page_tokens;
    for (uint32_t e = 0; e < engines; e++) {
        struct engine *engine = &core->engines[e];
        kvt_pager_tell(&gpu_place(core, e)->pager, core->port.ops->freed, core->port.self,
                       (kvt_engine_id){e});
        engine->step_op = KVT_NONE;
        engine->up = true;
        for (int l = 0; l < 3; l++)
            engine->lists[l] = (struct list){KVT_NONE, KVT_NONE, 0};
        if (kvt_contig_init(&core->contigs[e], alloc, tokens))
            return -ENOMEM;
    }
    const double share = core->config.store_pages_ratio;
    core->store_quota_blocks = UINT64_MAX;
    if (core->config.gpu_pages != UINT64_MAX && share > 0)
        core->store_quota_blocks =
            1 + (uint64_t)(share * (double)core->config.gpu_pages / core->room.pages_per_block);
    XXH3_128bits_reset(&core->digest);
    return 0;
}

struct kvt_core *kvt_core_new(const struct kvt_core_config *config, const struct kvt_port *port,
                              const struct kvt_alloc *alloc, int *error)
{
    *error = -EINVAL;
    const struct kvt_port_ops *o = port->ops;
    if (kvt_core_config_check(config) || !o || !o->probe || !o->load || !o->store || !o->drop ||
        !o->step || !o->interrupt || !o->arm)
        return NULL;
    *error = -ENOMEM;
    const size_t size_b =
        sizeof(struct kvt_core) + LINE_B; /* the digest's state wants a cache line */
    unsigned char *memory = take(alloc, 1, size_b);
    if (!memory)
        return NULL;
    struct kvt_core *core = (void *)(memory + (-(uintptr_t)memory & (LINE_B - 1)));
    core->self_memory = memory;
    core->self_b = size_b;
    core->config = *config;
    for (int t = 0; t < KVT_TIERS; t++)
        if (!core->config.tiers[t].evict)
            core->config.tiers[t].evict = kvt_evict_named("lru");
    core->port = *port;
    core->alloc = alloc;
    if (build(core)) {
        kvt_core_free(core);
        return NULL;
    }
    *error = 0;
    return core;
}

void kvt_core_free(struct kvt_core *core)
{
    if (!core)
        return;
    const struct kvt_alloc *alloc = core->alloc;
    const uint32_t engines = core->config.engines;
    if (core->contigs) {
        for (uint32_t e = 0; e < engines; e++)
            kvt_contig_release(&core->contigs[e]);
        alloc->put(alloc->self, core->contigs, engines * sizeof *core->contigs);
    }
    if (core->engines)
        alloc->put(alloc->self, core->engines, engines * sizeof *core->engines);
    if (core->match_length)
        alloc->put(alloc->self, core->match_length, engines * sizeof *core->match_length);
    if (core->chunks)
        alloc->put(alloc->self, core->chunks,
                   core->config.max_batch_requests * sizeof *core->chunks);
    if (core->step_copies)
        alloc->put(alloc->self, core->step_copies,
                   core->config.max_batch_requests * sizeof *core->step_copies);
    if (core->gpu_parts)
        alloc->put(alloc->self, core->gpu_parts, KVT_SHARD_GPUS * sizeof *core->gpu_parts);
    if (core->chunk_skew)
        alloc->put(alloc->self, core->chunk_skew,
                   core->config.max_batch_requests * sizeof *core->chunk_skew);
    if (core->placed)
        alloc->put(alloc->self, core->placed, (size_t)core->placed_room * core->room.books->row_b);
    kvt_resize_release(core);
    kvt_recopy_release(core);
    if (core->refs)
        alloc->put(alloc->self, core->refs, core->refs_room * sizeof *core->refs);
    kvt_alike_release(&core->alike);
    kvt_siblings_release(&core->siblings);
    kvt_room_release(&core->room);
    kvt_blocks_release(&core->blocks);
    kvt_pool_release(&core->requests);
    kvt_pool_release(&core->ops);
    kvt_slab_release(&core->slab);
    alloc->put(alloc->self, core->self_memory, core->self_b);
}

void kvt_core_tap(struct kvt_core *core, const struct kvt_tap *tap)
{
    core->tap = tap;
}

/* ---- What an engine can do next
 * ----------------------------------------------------------------- */

/* The batch changes when something joined it that the step under way does not hold. */
static bool joined(const struct kvt_core *core, const struct engine *e)
{
    const uint32_t last = e->lists[REQ_RUNNING].last;
    if (last == KVT_NONE)
        return false;
    const struct req *q = req_at(core, last);
    return !q->decoding_in_step && !q->chunk;
}

void kvt_pump(struct kvt_core *core, uint32_t engine)
{
    struct engine *e = &core->engines[engine];
    uint64_t before;
    if (moves_shards(core))
        kvt_move_pump(core, engine);
    do {
        const struct kvt_core_stats *s = &core->stats;
        before = s->finished + s->background.ended + s->replans + s->preemptions;
        kvt_admit(core, engine);
        kvt_gather(core, engine);
        if (e->step_op == KVT_NONE)
            kvt_step_start(core, engine);
        before = s->finished + s->background.ended + s->replans + s->preemptions - before;
    } while (before && e->step_op == KVT_NONE);
    if (e->step_op != KVT_NONE && e->step_repeat > 1 && !e->interrupted && joined(core, e)) {
        e->interrupted = true;
        kvt_emit_interrupt(core, engine);
    }
    kvt_clear_ahead(core, engine);
    if (moves_shards(core) && !e->lists[REQ_WAITING].n) /* nobody wants the room that it frees */
        kvt_move_pump(core, engine);
    kvt_flush_gone(core);
}

/* ---- Inputs
 * ------------------------------------------------------------------------------------- */

static void enter(struct kvt_core *core, kvt_ns now)
{
    assert(now >= core->now); /* (P3) */
    if (now > core->now)
        core->now = core->room.now = now;
}

static bool grow_refs(struct kvt_core *core, uint32_t n)
{
    if (n <= core->refs_room)
        return true;
    const uint32_t room = n < 512 ? 512 : n + n / 2;
    struct kvt_block_ref *refs = core->alloc->get(core->alloc->self, room * sizeof *refs);
    if (!refs)
        return false;
    if (core->refs)
        core->alloc->put(core->alloc->self, core->refs, core->refs_room * sizeof *refs);
    core->refs = refs;
    core->refs_room = room;
    return true;
}

/* All memory that the request's own life needs is taken here, so that it cannot lack later. */
static uint32_t request_new(struct kvt_core *core, const struct kvt_request *in, uint32_t n_keys)
{
    if (!grow_refs(core, n_keys) || !kvt_sharded_reserve(core, n_keys))
        return KVT_NONE;
    const uint32_t r = kvt_pool_take(&core->requests);
    if (r == KVT_NONE)
        return KVT_NONE;
    struct req *q = req_at(core, r);
    memset(q, 0, sizeof *q);
    q->prompt_tokens = in->prompt_tokens;
    q->blocks = kvt_slab_take(&core->slab, n_keys);
    q->copies = kvt_slab_take(&core->slab, n_keys);
    q->src = (void *)kvt_slab_take(&core->slab, (n_keys + 3) / 4);
    const bool future = core->future && in->next_use;
    if (future)
        q->next_use = (void *)kvt_slab_take(&core->slab, 2 * n_keys);
    if (!q->blocks || !q->copies || !q->src || (future && !q->next_use) ||
        !kvt_wording_take(core, q, in) ||
        kvt_blocks_intern(&core->blocks, in->keys, n_keys, q->blocks)) {
        kvt_slab_give(&core->slab, (void *)q->next_use, 2 * n_keys);
        kvt_slab_give(&core->slab, q->blocks, n_keys);
        kvt_slab_give(&core->slab, q->copies, n_keys);
        kvt_slab_give(&core->slab, (void *)q->src, (n_keys + 3) / 4);
        kvt_wording_give(core, q);
        kvt_pool_give(&core->requests, r);
        return KVT_NONE;
    }
    if (future)
        memcpy(q->next_use, in->next_use, n_keys * sizeof *q->next_use);
    renew(core, q);
    q->id = in->id;
    q->root = in->root;
    q->part_from = KVT_NONE;
    q->tenant = in->tenant;
    q->session = in->session;
    q->output_tokens = in->output_tokens;
    q->region = in->region;
    q->background = in->background;
    q->arrive_ns = in->arrive_ns;
    q->deliver_ns = core->now;
    q->start_ns = q->first_token_ns = KVT_NEVER;
    q->n_keys = n_keys;
    q->engine = KVT_NONE;
    q->tail = q->fixed = (struct kvt_page_run){KVT_NONE, KVT_NONE, 0};
    q->contig_at = KVT_CONTIG_NONE;
    return r;
}

/* A request fits if its whole life does, beside nobody. */
static bool fits_alone(const struct kvt_core *core, const struct req *q)
{
    if (q->n_match > core->config.tiers[KVT_GPU].capacity_blocks)
        return false;
    if (core->config.gpu_pages == UINT64_MAX)
        return true;
    const uint64_t whole = (uint64_t)q->prompt_tokens + q->output_tokens;
    const uint64_t partial = (uint64_t)q->n_match * core->config.block_tokens > q->prompt_tokens
                                 ? core->room.pages_per_block
                                 : 0;
    return kvt_pages_for(&core->room, whole) + partial + core->config.pages_per_request <=
           core->config.gpu_pages;
}

/* To an engine's queue. False when no engine is up. */
static bool enqueue(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    const uint32_t engine = kvt_route(core, q);
    if (engine == KVT_NONE)
        return false;
    struct engine *e = &core->engines[engine];
    uint64_t hit = 0;
    if (core->config.router == KVT_ROUTE_PREFIX_AWARE)
        hit = (uint64_t)core->match_length[engine] * core->config.block_tokens;
    q->engine = engine;
    q->pending = hit < q->prompt_tokens ? q->prompt_tokens - (uint32_t)hit : 0;
    e->pending_prefill_tokens += q->pending;
    e->load_tokens += q->prompt_tokens;
    kvt_list_push(core, r, REQ_WAITING, false);
    return true;
}

int kvt_core_request(struct kvt_core *core, kvt_ns now, const struct kvt_request *in)
{
    enter(core, now);
    const uint64_t tokens = (uint64_t)in->prompt_tokens + in->output_tokens;
    const uint32_t b = core->config.block_tokens;
    if (!in->prompt_tokens || (in->background && in->output_tokens) || tokens >= UINT32_MAX / 2 ||
        in->arrive_ns > now || in->n_keys > (tokens + b - 1) / b ||
        (in->region && in->region >= core->config.regions.n))
        return -EINVAL;
    const bool partial = core->config.partial_blocks;
    const uint32_t in_prompt = partial ? (in->prompt_tokens + b - 1) / b : in->prompt_tokens / b;
    /* A key beyond the prompt names a block that decoding completes; the last, incomplete one
     * has no use. */
    const uint32_t most = partial ? in_prompt : (uint32_t)(tokens / b);
    const uint32_t n_keys = !core->config.cache ? 0 : in->n_keys < most ? in->n_keys : most;
    if (core->tap)
        core->tap->request(core->tap->self, now, in);
    const uint32_t r = request_new(core, in, n_keys);
    if (r == KVT_NONE)
        return -ENOMEM;
    struct req *q = req_at(core, r);
    q->n_match = n_keys < in_prompt ? n_keys : in_prompt;
    core->stats.requests += !in->background;
    core->stats.background.requests += in->background;
    if (!fits_alone(core, q))
        kvt_finish(core, r, KVT_REJECTED);
    else if (!enqueue(core, r))
        kvt_finish(core, r, KVT_FAILED);
    else
        kvt_pump(core, req_at(core, r)->engine);
    return 0;
}

void kvt_core_done(struct kvt_core *core, kvt_ns now, const struct kvt_done *done)
{
    enter(core, now);
    if (core->tap)
        core->tap->done(core->tap->self, now, done);
    const uint32_t o = done->op.v;
    if (o >= core->ops.fresh || !op_at(core, o)->live)
        return;
    const struct op *op = op_at(core, o);
    const uint32_t engine = op->engine, from = op->from;
    switch (op->kind) {
    case OP_PROBE:
    case OP_LOAD:
        kvt_fetch_done(core, o, done);
        break;
    case OP_STORE:
        kvt_write_done(core, o, done);
        break;
    case OP_STEP:
        kvt_step_done(core, o, done);
        break;
    case OP_MOVE:
        kvt_move_done(core, o, done);
        break;
    case OP_DROP:
    default:
        kvt_op_free(core, o);
        return;
    }
    kvt_pump(core, engine);
    if (from != KVT_NONE) /* may have waited for the pages that were read */
        kvt_pump(core, from);
}

void kvt_core_timer(struct kvt_core *core, kvt_ns now, uint64_t timer)
{
    enter(core, now);
    if (core->tap)
        core->tap->timer(core->tap->self, now, timer);
    if (timer < core->config.engines) {
        core->engines[timer].retry_armed = false;
        kvt_pump(core, (uint32_t)timer);
        return;
    }
    const uint32_t r = (uint32_t)timer;
    if (r >= core->requests.fresh || req_at(core, r)->generation != timer >> 32)
        return;
    kvt_fetch_timer(core, r);
    kvt_pump(core, req_at(core, r)->engine);
}

/* Loads and stores hold pages of the engine until they end, those of its peers too, but what is in them is
 * gone. */
static void lose_pages_in_use(struct kvt_core *core, uint32_t engine)
{
    for (uint32_t o = 0; o < core->ops.fresh; o++) {
        const struct op *op = op_at(core, o);
        for (uint32_t k = 0; op->live && op->from == engine && k < op->n; k++)
            kvt_copy_void(&core->room, op->lower[k], KVT_FATE_EVICTED);
        const bool load = op->kind == OP_LOAD, reads = op->kind == OP_STORE || op->kind == OP_MOVE;
        if (!op->live || op->engine != engine || (!load && !reads))
            continue;
        const uint32_t n = load ? op->n : op->used;
        for (uint32_t k = 0; k < n; k++)
            kvt_copy_void(&core->room, op->gpu[k], load ? KVT_FATE_NONE : KVT_FATE_EVICTED);
    }
}

/* Everything on the engine is lost: its cached blocks, and the work on its requests, which go
 * elsewhere, in their order. */
static void engine_down(struct kvt_core *core, uint32_t engine)
{
    struct engine *e = &core->engines[engine];
    e->up = false;
    e->step_op = KVT_NONE;
    for (int state = REQ_GATHERING; state <= REQ_RUNNING; state++) {
        while (e->lists[state].n) {
            const uint32_t r = e->lists[state].last;
            req_at(core, r)->chunk = 0;
            req_at(core, r)->decoding_in_step = false;
            kvt_send_back(core, r);
        }
    }
    while (kvt_place_evict(&core->room, engine)) {
    }
    lose_pages_in_use(core, engine);
    uint32_t r;
    while ((r = e->lists[REQ_WAITING].first) != KVT_NONE) {
        struct req *q = req_at(core, r);
        kvt_list_pull(core, r);
        e->load_tokens -= q->prompt_tokens;
        e->pending_prefill_tokens -= q->pending;
        if (q->contig_tokens)
            kvt_contig_give(&core->contigs[engine], q->contig_at, q->contig_tokens);
        q->contig_tokens = 0;
        q->engine = KVT_NONE;
        if (!enqueue(core, r))
            kvt_finish(core, r, KVT_FAILED);
    }
}

static void updown(struct kvt_core *core, enum kvt_tier_kind tier, kvt_engine_id engine, bool up)
{
    const uint32_t place = kvt_room_place(&core->room, tier, engine.v);
    if (place == KVT_NONE || (tier != KVT_REDIS && engine.v >= core->config.engines) ||
        core->room.places[place].up == up)
        return;
    core->room.places[place].up = up;
    if (tier == KVT_GPU && up)
        core->engines[engine.v].up = true;
    else if (tier == KVT_GPU)
        engine_down(core, engine.v);
    for (uint32_t e = 0; e < core->config.engines; e++)
        kvt_pump(core, e);
}

void kvt_core_down(struct kvt_core *core, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine)
{
    enter(core, now);
    if (core->tap)
        core->tap->updown(core->tap->self, now, false, tier, engine);
    updown(core, tier, engine, false);
}

void kvt_core_up(struct kvt_core *core, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine)
{
    enter(core, now);
    if (core->tap)
        core->tap->updown(core->tap->self, now, true, tier, engine);
    updown(core, tier, engine, true);
}
