/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admit.c - from the head of an engine's queue into its memory: match, decide, take pages.
 *
 * Match looks up every prompt block, nearest tier first, and writes what it finds into `src`:
 *
 *      block      0     1     2     3     4     5     6     7    | tail
 *      src        GPU   PEER  HOST  REDIS REDIS EVICT EVICT COLD | tail
 *                 <-------- usable --------->  <--- computed ---------->
 *
 * The first block that is nowhere ends the usable prefix: KV depends on all tokens before it. A
 * block behind that hole that is held all the same is booked under the hole's cause.
 *
 * Decide cuts the usable prefix where loading further is predicted to take longer than computing
 * the rest. The time to load is linear in tokens and the time to compute grows faster than linearly
 * with position, so the best cut lies at the end of a run of blocks from one tier; only those are
 * compared. Loads of different tiers run side by side: the slowest counts.
 *
 * Then all pages for the prompt are taken at once, evicting unused cached blocks. If they cannot be
 * had the request waits at the head of the queue, and nobody overtakes it.
 */
#include "internal.h"

enum { AHEAD = 8 };

static uint8_t hit_class(enum kvt_tier_kind tier)
{
    return (uint8_t)(KVT_HIT_GPU + (int)tier);
}

static uint8_t miss_class(const struct kvt_core *core, uint32_t block)
{
    static const uint8_t class_of[] = {[KVT_FATE_NONE] = KVT_COMPUTED_COLD,
                                       [KVT_FATE_EVICTED] = KVT_COMPUTED_EVICTED,
                                       [KVT_FATE_EXPIRED] = KVT_COMPUTED_EXPIRED,
                                       [KVT_FATE_SHARD] = KVT_COMPUTED_SHARD_MISSING,
                                       [KVT_FATE_LOST] = KVT_COMPUTED_TIER_DOWN};
    return class_of[kvt_block_at(&core->blocks, block)->fate];
}

static bool ready_anywhere(const struct kvt_core *core, uint32_t block)
{
    uint32_t copy = kvt_block_at(&core->blocks, block)->copies;
    while (copy != KVT_NONE && copy_at(core, copy)->state != KVT_COPY_READY)
        copy = copy_at(core, copy)->next;
    return copy != KVT_NONE;
}

static bool lent(const struct kvt_core *core, uint32_t block, uint32_t engine)
{
    if (!core->config.tiers[KVT_PEER].present)
        return false;
    uint32_t copy = kvt_block_at(&core->blocks, block)->copies;
    while (copy != KVT_NONE && !lendable(core, copy, engine))
        copy = copy_at(core, copy)->next;
    return copy != KVT_NONE;
}

/* Where a block that has a copy somewhere can be had from below the GPU, as a hit class; or why not.
 * What only another engine holds is not cold. */
static uint8_t look_in_tiers(struct kvt_core *core, const struct req *q, uint32_t block)
{
    bool down = false;
    for (int t = 0; t < BELOW_GPU; t++) {
        const enum kvt_tier_kind tier = core->below[t];
        if (tier == KVT_PEER && lent(core, block, q->engine))
            return KVT_HIT_PEER;
        const uint32_t place = kvt_room_place(&core->room, tier, q->engine);
        if (place == KVT_NONE)
            continue;
        const uint32_t own = kvt_copy_find(&core->room, block, place);
        const uint32_t copy =
            core->config.regions.read_far ? kvt_region_copy(core, block, tier, place) : own;
        if (copy == KVT_NONE || copy_at(core, copy)->state != KVT_COPY_READY)
            continue;
        if (kvt_place_of(&core->room, copy)->up)
            return hit_class(tier);
        down = true;
    }
    if (down)
        return KVT_COMPUTED_TIER_DOWN;
    const uint8_t cause = miss_class(core, block);
    return cause == KVT_COMPUTED_COLD && ready_anywhere(core, block) ? KVT_COMPUTED_EVICTED : cause;
}

static inline uint8_t look_below(struct kvt_core *core, const struct req *q, uint32_t i)
{
    const uint32_t block = q->blocks[i];
    return kvt_block_at(&core->blocks, block)->copies == KVT_NONE ? miss_class(core, block)
                                                                  : look_in_tiers(core, q, block);
}

/* A GPU copy that the request may use: READY, or being filled when it is willing to wait. */
static inline uint32_t look_gpu(struct kvt_core *core, const struct req *q, uint32_t i)
{
    const uint32_t copy = kvt_copy_find(&core->room, q->blocks[i], q->engine);
    if (copy == KVT_NONE || copy_at(core, copy)->state == KVT_COPY_READY)
        return copy;
    return core->config.single_flight ? copy : KVT_NONE;
}

static void match(struct kvt_core *core, struct req *q)
{
    uint32_t i = 0;
    uint8_t cause = KVT_COMPUTED_COLD;
    for (; i < q->n_held; i++) {
        q->copies[i] = look_gpu(core, q, i);
        const uint8_t src = q->copies[i] != KVT_NONE ? KVT_HIT_GPU : look_below(core, q, i);
        q->src[i] = src;
        if (!is_hit(src)) {
            cause = src;
            break;
        }
    }
    q->usable = i;
    for (; i < q->n_held; i++) {
        const uint32_t copy = look_gpu(core, q, i);
        /* Behind the hole only what is ready is of use; what is in flight would be waited for in
         * vain. */
        const bool ready = copy != KVT_NONE && copy_at(core, copy)->state == KVT_COPY_READY;
        q->copies[i] = ready ? copy : KVT_NONE;
        const uint8_t src = ready ? KVT_HIT_GPU : look_below(core, q, i);
        q->src[i] = is_hit(src) ? cause : src;
    }
    const uint32_t alike = kvt_wording_ask(core, q, q->usable);
    q->run = q->usable;
    q->by_alike = false;
    if (core->config.match == KVT_MATCH_EXACT && q->usable < q->n_held) {
        for (i = alike; i < q->usable; i++) {
            q->src[i] = cause;
            if (q->copies[i] != KVT_NONE && copy_at(core, q->copies[i])->state != KVT_COPY_READY)
                q->copies[i] = KVT_NONE;
        }
        q->usable = alike;
        q->by_alike = true;
    }
}

double kvt_prefill_ns(const struct kvt_core *core, uint64_t past, uint64_t n)
{
    const struct kvt_prefill_cost *c = &core->config.prefill;
    const double tokens = (double)n;
    return n ? c->fixed_ns +
                   tokens * (c->ns_per_token + c->ns_per_token2 * ((double)past + tokens / 2))
             : 0;
}

/* Loads of different tiers run side by side: the slowest counts. far_tokens: of Redis, in another region. */
static double predicted_load_ns(const struct kvt_core *core, uint32_t engine,
                                const uint64_t tokens[KVT_TIERS], uint64_t far_tokens)
{
    double load_ns = 0;
    for (int t = 0; t < BELOW_GPU; t++) {
        const enum kvt_tier_kind below = core->below[t];
        if (!tokens[below])
            continue;
        const struct kvt_tier_config *c = &core->config.tiers[below];
        const bool far = below == KVT_REDIS && far_tokens > 0;
        const double moving_ns = far ? kvt_region_load_ns(core, tokens[below], far_tokens)
                                     : (double)tokens[below] * c->load_ns_per_token;
        const double ns = (far ? core->config.regions.load_fixed_ns : c->load_fixed_ns) +
                          moving_ns + (double)core->engines[engine].inflight_load_ns[below];
        load_ns = ns > load_ns ? ns : load_ns;
    }
    return load_ns;
}

/* Cuts q->usable to where time to first token is predicted to be least. */
static void decide(struct kvt_core *core, struct req *q)
{
    const uint32_t b = core->config.block_tokens;
    if (core->config.load_choice == KVT_LOAD_ALWAYS)
        return;
    const bool exact = core->config.match == KVT_MATCH_EXACT; /* all of it, or nothing */
    const bool read_far = core->config.regions.read_far;
    uint64_t tokens[KVT_TIERS] = {0}, far_tokens = 0;
    uint32_t best = 0;
    double best_ns = kvt_prefill_ns(core, 0, q->target);
    for (uint32_t i = 0; i < q->usable; i++) {
        const enum kvt_tier_kind tier = (enum kvt_tier_kind)(q->src[i] - KVT_HIT_GPU);
        const bool far = read_far && kvt_region_far(core, q, i);
        tokens[tier] += b;
        far_tokens += far ? b : 0;
        if (core->config.load_choice == KVT_LOAD_NEVER) {
            if (tier != KVT_GPU)
                break;
            best = i + 1;
            continue;
        }
        if (i + 1 < q->usable && (exact || (q->src[i + 1] == q->src[i] &&
                                            (read_far && kvt_region_far(core, q, i + 1)) == far)))
            continue;
        const double load_ns = predicted_load_ns(core, q->engine, tokens, far_tokens);
        const uint64_t past = (uint64_t)(i + 1) * b < q->target ? (uint64_t)(i + 1) * b : q->target;
        const double ns = load_ns + kvt_prefill_ns(core, past, q->target - past);
        if (ns <= best_ns) {
            best_ns = ns;
            best = i + 1;
        }
    }
    if (exact && best < q->usable)
        best = 0;
    for (uint32_t i = best; i < q->usable; i++) {
        q->src[i] = KVT_COMPUTED_CHEAPER;
        if (q->copies[i] != KVT_NONE && copy_at(core, q->copies[i])->state != KVT_COPY_READY)
            q->copies[i] = KVT_NONE;
    }
    q->usable = best;
}

bool kvt_make_room(struct kvt_core *core, uint32_t engine, uint64_t blocks, uint64_t pages)
{
    const struct kvt_place *place = gpu_place(core, engine);
    if (place->book)
        return kvt_make_room_on(core, engine, blocks, pages, NULL);
    if (pages_available(core, engine) < pages || kvt_place_available(place) < blocks)
        return false;
    const uint64_t capacity = place->config->capacity_blocks;
    while (kvt_pager_free(&place->pager) < pages ||
           (capacity != UINT64_MAX && capacity - place->copies < blocks))
        if (!kvt_gpu_evict(core, engine))
            return false;
    return true;
}

/* What an admission takes, and what of its own hits now counts as available but will not be. */
struct need {
    uint64_t blocks, pages, own_blocks;
    uint64_t gpu[KVT_SHARD_GPUS]; /* sharded: weights of the new blocks */
};

/* Pages that a request holds as long as it is admitted: for a sliding window; and where a sharded
 * context is gathered, for that. */
static uint32_t fixed_pages(const struct kvt_core *core, const struct req *q)
{
    return core->config.pages_per_request +
           (gathers(core) ? q->n_held * core->room.pages_per_block : 0);
}

static struct need count_need(const struct kvt_core *core, const struct req *q)
{
    struct need n = {.pages = fixed_pages(core, q)};
    for (uint32_t i = 0; i < q->n_held; i++) {
        if (q->copies[i] == KVT_NONE)
            n.blocks++;
        else
            n.own_blocks += !copy_at(core, q->copies[i])->users;
    }
    n.pages += n.blocks * core->room.pages_per_block +
               kvt_pages_for(&core->room, q->target - held_tokens(core, q));
    return n;
}

/* Used from pages of the request's own, and not kept. */
static bool passes_through(const struct kvt_core *core, const struct req *q, uint32_t i)
{
    return is_hit(q->src[i]) && core->config.tiers[q->src[i] - KVT_HIT_GPU].no_promote;
}

/* What was found is not used after all. */
static void put_back(struct kvt_core *core, struct req *q)
{
    for (uint32_t i = 0; i < q->n_held; i++) {
        const struct kvt_use use = use_of(q, i);
        if (q->copies[i] != KVT_NONE)
            kvt_copy_unuse(&core->room, q->copies[i], &use);
    }
}

static void tell_misses(struct kvt_core *core, const struct req *q)
{
    if (!kvt_order_hears_misses(gpu_place(core, q->engine)))
        return;
    for (uint32_t i = 0; i < q->n_held; i++) {
        const struct kvt_use use = use_of(q, i);
        if (q->copies[i] == KVT_NONE)
            kvt_order_miss(&core->room, q->engine, q->blocks[i], q->tenant, &use);
    }
}

/* Takes what count_need counted. False when it cannot be had: then nothing is held. */
static bool take_memory(struct kvt_core *core, struct req *q, const struct need *need)
{
    if (kvt_room_reserve(&core->room, q->engine, q->n_held))
        return false;
    const bool sharded = book_of(core, q->engine) != NULL;
    uint32_t nth = 0;
    for (uint32_t i = 0; i < q->n_held; i++)
        if (q->copies[i] != KVT_NONE)
            kvt_copy_use(&core->room, q->copies[i]);
    if (sharded)
        kvt_sharded_hold(core, q);
    tell_misses(core, q);
    /* Without a write-back tier there is nothing to wait for, and the caller counted. */
    if (sharded ? !kvt_make_room_on(core, q->engine, need->blocks, need->pages, need->gpu)
                : !kvt_clear_room(core, q->engine, need->blocks, need->pages)) {
        assert(core->back != KVT_TIERS);
        put_back(core, q);
        return false;
    }
    struct kvt_pager *pager = &gpu_place(core, q->engine)->pager;
    for (uint32_t i = 0; i < q->n_held; i++) {
        if (q->copies[i] != KVT_NONE)
            continue;
        const bool taken = kvt_copy_peek(&core->room, q->blocks[i], q->engine) != KVT_NONE ||
                           passes_through(core, q, i);
        if (sharded)
            kvt_sharded_placed(core, q, nth++);
        q->copies[i] = kvt_copy_new(&core->room, q->blocks[i], q->engine,
                                    taken ? KVT_COPY_PRIVATE : KVT_COPY_FILLING, q->tenant, NULL);
        assert(q->copies[i] != KVT_NONE);
    }
    bool got = kvt_pager_take(pager, fixed_pages(core, q), &q->fixed);
    got = kvt_pager_take(pager, kvt_pages_for(&core->room, q->target - held_tokens(core, q)),
                         &q->tail) &&
          got;
    assert(got);
    (void)got;
    return true;
}

/* Puts one use of every held copy back. Order matters: the copy put back last is evicted last. */
void kvt_release_memory(struct kvt_core *core, struct req *q)
{
    struct kvt_pager *pager = &gpu_place(core, q->engine)->pager;
    const struct kvt_pool *rows = kvt_room_rows(&core->room, KVT_GPU);
    const bool leaf_first = core->config.touch == KVT_TOUCH_LEAF;
    if (q->attended)
        kvt_sharded_forget(core, q);
    kvt_part_drop(core, q);
    q->spread = false;
    const bool exclusive = core->back != KVT_TIERS && core->config.tiers[core->back].exclusive;
    const uint32_t n = q->n_held;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t i = leaf_first ? n - 1 - k : k;
        const uint32_t ahead = leaf_first ? i - AHEAD : i + AHEAD; /* wraps at the end */
        if (ahead < n && q->copies[ahead] != KVT_NONE)
            kvt_copy_prefetch(&core->room, q->copies[ahead], rows);
        const uint32_t copy = q->copies[i];
        if (copy == KVT_NONE)
            continue;
        const struct kvt_copy *c = copy_at(core, copy);
        /* A copy that this request was to fill will not come. One filled by a load stays: the
         * load is its user, and will tell. But nobody needs a private one, and its block may be
         * forgotten before the load ends. */
        if (c->state == KVT_COPY_READY) {
            kvt_copy_refresh(&core->room, copy);
            if (exclusive)
                kvt_moved_up(core, q->engine, q->blocks[i]);
        } else if (c->state == KVT_COPY_PRIVATE ||
                   (c->state == KVT_COPY_FILLING && !filled_elsewhere(core, q, i))) {
            kvt_copy_void(&core->room, copy, KVT_FATE_NONE);
        }
        const struct kvt_use use = use_of(q, i);
        kvt_copy_used(&core->room, copy, &use);
        q->copies[i] = KVT_NONE;
    }
    if (q->tail.n)
        kvt_pager_give(pager, q->tail.first, q->tail.n);
    if (q->fixed.n)
        kvt_pager_give(pager, q->fixed.first, q->fixed.n);
    q->tail = q->fixed = (struct kvt_page_run){KVT_NONE, KVT_NONE, 0};
    q->n_held = 0;
}

static void first_admission(struct kvt_core *core, struct req *q)
{
    q->start_ns = core->now;
    const uint64_t wanted = (uint64_t)q->prompt_tokens + q->output_tokens;
    q->contig_tokens =
        core->config.contiguous_tokens > wanted ? core->config.contiguous_tokens : wanted;
    q->contig_at = kvt_contig_take(&core->contigs[q->engine], q->contig_tokens);
    if (q->contig_at == KVT_CONTIG_NONE) {
        core->stats.contiguous_refused++;
        q->contig_tokens = 0;
    }
}

/* Pages that shall be left over after an admission, so that it is not undone by the next tokens:
 * one to grow, and beside others a hundredth of all (vLLM's watermark). Never more than the
 * request can come to need when it is alone, or it might wait for ever. */
static uint64_t headroom(const struct kvt_core *core, const struct req *q, bool others)
{
    if (core->config.gpu_pages == UINT64_MAX)
        return 0;
    const uint64_t whole = (uint64_t)q->prompt_tokens + q->output_tokens;
    const uint64_t to_grow =
        kvt_pages_for(&core->room, whole) > kvt_pages_for(&core->room, q->target) ? 1 : 0;
    const uint64_t watermark = core->config.gpu_pages / 100;
    return others && watermark > to_grow ? watermark : to_grow;
}

/* a + b, where a may be "no bound". */
static uint64_t at_least(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Whether every GPU of a sharded engine could hold its part. */
static bool admits_on_gpus(struct kvt_core *core, const struct req *q, struct need *need,
                           uint64_t spare)
{
    if (!book_of(core, q->engine))
        return true;
    const uint64_t working = need->pages - need->blocks * core->room.pages_per_block;
    return kvt_sharded_admits(core, q, working + spare, need->gpu);
}

/* True when the request at the head got its memory. */
static bool admit_one(struct kvt_core *core, uint32_t engine, uint32_t r)
{
    struct engine *e = &core->engines[engine];
    struct req *q = req_at(core, r);
    q->target = q->prompt_tokens + q->generated;
    const uint32_t full = q->target / core->config.block_tokens;
    q->n_held = full < q->n_keys ? full : q->n_keys;
    if (q->n_held < q->n_match)
        q->n_held = q->n_match;
    /* The prompt's blocks fit (core.c saw to that); of the output's, what is beyond capacity
     * lies in the tail. */
    const uint64_t most = core->config.tiers[KVT_GPU].capacity_blocks;
    if (q->n_held > most)
        q->n_held = (uint32_t)most;
    match(core, q);
    decide(core, q);
    struct need need = count_need(core, q);
    const bool others = e->lists[REQ_RUNNING].n + e->lists[REQ_GATHERING].n > 0;
    const uint64_t pages = need.pages + need.own_blocks * core->room.pages_per_block;
    const uint64_t coming = e->cleaning_blocks;
    if (at_least(pages_available(core, engine), coming * core->room.pages_per_block) <
            pages + headroom(core, q, others) ||
        at_least(kvt_place_available(gpu_place(core, engine)), coming) <
            need.blocks + need.own_blocks ||
        !admits_on_gpus(core, q, &need, headroom(core, q, others)) ||
        !take_memory(core, q, &need)) {
        q->n_held = 0;
        e->blocked = true;
        e->blocked_pages = pages_available(core, engine);
        e->blocked_blocks = kvt_place_available(gpu_place(core, engine));
        e->blocked_changes = book_of(core, engine) ? book_of(core, engine)->changes : 0;
        return false;
    }
    if (q->start_ns == KVT_NEVER)
        first_admission(core, q);
    if (takes_parts(core))
        kvt_part_know(core, q);
    q->gathered = 0;
    q->stored = 0;
    kvt_list_pull(core, r);
    kvt_list_push(core, r, REQ_GATHERING, false);
    kvt_fetch_start(core, r);
    return true;
}

/* Loads and stores that hold blocks of the engine. */
static bool transfers_under_way(const struct kvt_core *core, uint32_t engine)
{
    for (uint32_t o = 0; o < core->ops.fresh; o++) {
        const struct op *op = op_at(core, o);
        if (op->live && op->engine == engine &&
            (op->kind == OP_LOAD || op->kind == OP_STORE || op->kind == OP_MOVE))
            return true;
    }
    return false;
}

void kvt_admit(struct kvt_core *core, uint32_t engine)
{
    struct engine *e = &core->engines[engine];
    if (!e->up || (core->resize && kvt_resize_drains(core, engine)))
        return;
    while (e->lists[REQ_WAITING].n) {
        const uint32_t busy = e->lists[REQ_RUNNING].n + e->lists[REQ_GATHERING].n;
        if (busy >= core->config.max_batch_requests)
            return;
        if (e->blocked && busy && pages_available(core, engine) <= e->blocked_pages &&
            kvt_place_available(gpu_place(core, engine)) <= e->blocked_blocks &&
            (!book_of(core, engine) || book_of(core, engine)->changes == e->blocked_changes))
            return;
        e->blocked = false;
        const uint32_t r = e->lists[REQ_WAITING].first;
        if (admit_one(core, engine, r))
            continue;
        /* Of a sharded engine it is known only now that a GPU cannot hold its part even alone. */
        if (busy || !book_of(core, engine) || transfers_under_way(core, engine))
            return;
        kvt_finish(core, r, KVT_REJECTED);
    }
}
