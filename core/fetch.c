/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fetch.c - bringing blocks to the GPU: probes, loads, waiting for others, giving up.
 *
 * Right after admission a request starts one load per tier that serves some of its blocks (after a
 * probe, where the tier wants one); of peers, one per run of blocks that one engine can lend: the one that lends
 * most from here on in the chain, of equals the one that lends least at the time, of those the next one round.
 * The request is ready to run when its own operations have ended and every block of its usable prefix is READY,
 * the ones that other requests are filling included.
 *
 * What may go wrong, and what follows (never a wrong answer):
 *
 *   missing, corrupt, down, timeout, busy   what lies on disk too is taken from there. The prefix ends at the first
 *                                           block that does not; it and what follows is computed, booked under the
 *                                           cause
 *   the load takes longer than patience     abandoned: the blocks are computed in pages of the request's own. The
 *     times the predicted recompute         load still ends some day, and its blocks are then found by a chunk
 *                                           that comes to them (step.c), or stay as cached blocks; those computed
 *                                           first serve whoever waited for the load
 *   a followed filler gives up (VOID)       the follower starts over from the head of the queue
 */
#include "internal.h"

#include <string.h>

static struct kvt_block_ref ref_of(const struct kvt_core *core, const struct req *q, uint32_t i)
{
    return (struct kvt_block_ref){.key = kvt_block_key(kvt_block_at(&core->blocks, q->blocks[i])),
                                  .block = {q->blocks[i]},
                                  .index = i,
                                  .tokens = block_len(core, q, i),
                                  .page = q->copies[i] == KVT_NONE
                                              ? KVT_NONE
                                              : copy_at(core, q->copies[i])->page};
}

/* Whether `tier` is to serve usable block i, which is still to come. */
static bool pending(const struct kvt_core *core, const struct req *q, enum kvt_tier_kind tier,
                    uint32_t i)
{
    return q->src[i] == KVT_HIT_GPU + (int)tier && !kvt_copy_filled(copy_at(core, q->copies[i]));
}

/* Writes the positions of such blocks from `first` on, `most` of them at most, into index (if not NULL).
 * Returns how many. */
static uint32_t list_blocks(const struct kvt_core *core, const struct req *q,
                            enum kvt_tier_kind tier, uint32_t first, uint32_t most, uint32_t *index)
{
    uint32_t n = 0;
    for (uint32_t i = first; i < q->usable && n < most; i++) {
        if (!pending(core, q, tier, i))
            continue;
        if (index)
            index[n] = i;
        n++;
    }
    return n;
}

/* From `first` on, the prompt is computed after all, booked under `cause`. A copy that another
 * request is filling cannot be computed into: having to skip over one means starting over. */
static void compute_instead(struct kvt_core *core, struct req *q, uint32_t first, uint8_t cause)
{
    for (uint32_t i = first; i < q->usable; i++) {
        q->replan |=
            q->src[i] == KVT_HIT_GPU && copy_at(core, q->copies[i])->state == KVT_COPY_FILLING;
        q->src[i] = cause;
    }
    if (first < q->usable)
        q->usable = first;
}

/* Sends out an operation whose op->index is filled. */
static void send(struct kvt_core *core, uint32_t r, uint32_t o)
{
    struct req *q = req_at(core, r);
    struct op *op = op_at(core, o);
    const struct kvt_tier_config *c = &core->config.tiers[op->tier];
    const uint32_t place =
        op->from != KVT_NONE ? op->from : kvt_room_place(&core->room, op->tier, q->engine);
    uint64_t tokens = 0, far_tokens = 0;
    for (uint32_t k = 0; k < op->n; k++) {
        const uint32_t i = op->index[k];
        core->refs[k] = ref_of(core, q, i);
        tokens += core->refs[k].tokens;
        op->gpu[k] = q->copies[i];
        if (op->next)
            op->next[k] = use_of(q, i).next;
        op->lower[k] = kvt_region_copy(core, q->blocks[i], op->tier, place);
        if (op->tier == KVT_GPU) /* read from where it is written to */
            op->lower[k] = KVT_NONE;
        core->refs[k].region = kvt_region_of_place(core, place);
        if (op->lower[k] != KVT_NONE) {
            core->refs[k].region = kvt_region_of_place(core, copy_at(core, op->lower[k])->place);
            far_tokens += kvt_copy_far(core, op->lower[k], q->engine) ? core->refs[k].tokens : 0;
            kvt_copy_use(&core->room, op->lower[k]);
            core->refs[k].from_page = copy_at(core, op->lower[k])->page;
        }
        if (op->kind == OP_LOAD)
            kvt_copy_use(&core->room, op->gpu[k]);
    }
    if (op->kind == OP_LOAD) {
        op->predicted_ns = whole_ns(far_tokens ? kvt_region_load_ns(core, tokens, far_tokens)
                                               : (double)tokens * c->load_ns_per_token);
        core->engines[q->engine].inflight_load_ns[op->tier] += op->predicted_ns;
        if (op->from != KVT_NONE)
            core->engines[op->from].lent_blocks += op->n;
    } else {
        q->probing = (uint8_t)(q->probing | 1u << op->tier);
    }
    q->ops++;
    const bool anew = op->kind == OP_LOAD && c->ttl_refresh && c->ttl_ns != KVT_NEVER;
    if (kvt_emit_transfer(core, o, core->refs, op->n, anew ? c->ttl_ns : 0))
        return;
    const struct kvt_done refused = {.op = {o}, .status = KVT_BUSY};
    kvt_fetch_done(core, o, &refused);
}

static uint32_t new_op(struct kvt_core *core, uint32_t r, enum kvt_tier_kind tier,
                       enum op_kind kind, uint32_t n)
{
    const struct req *q = req_at(core, r);
    const uint32_t o = kvt_op_new(core, kind, n);
    if (o == KVT_NONE)
        return KVT_NONE;
    struct op *op = op_at(core, o);
    op->tier = tier;
    op->engine = q->engine;
    op->req = r;
    op->generation = q->generation;
    return o;
}

/* Asks a tier for all that it is to serve. One that cannot even be asked, because memory for the
 * operation lacks, counts as late. */
static void start(struct kvt_core *core, uint32_t r, enum kvt_tier_kind tier, enum op_kind kind)
{
    struct req *q = req_at(core, r);
    const uint32_t n = list_blocks(core, q, tier, 0, UINT32_MAX, NULL);
    const uint32_t o = n ? new_op(core, r, tier, kind, n) : KVT_NONE;
    if (o != KVT_NONE) {
        list_blocks(core, q, tier, 0, n, op_at(core, o)->index);
        send(core, r, o);
        return;
    }
    for (uint32_t i = 0; i < q->usable; i++)
        if (pending(core, q, tier, i))
            compute_instead(core, q, i, KVT_COMPUTED_LATE);
}

/* ---- Peers -------------------------------------------------------------------------------------- */

/* The engine that can lend the longest run of the blocks that peers are to serve from *first on. Sets *first to
 * where that begins. KVT_NONE: there are no more such blocks. */
static uint32_t choose_lender(struct kvt_core *core, const struct req *q, uint32_t *first,
                              uint32_t *run)
{
    uint32_t *const length = core->match_length, engines = core->config.engines;
    memset(length, 0, engines * sizeof *length);
    uint32_t n = 0;
    bool grew = true;
    for (uint32_t i = *first; i < q->usable && grew; i++) {
        if (!pending(core, q, KVT_PEER, i))
            continue;
        if (n == 0)
            *first = i;
        grew = false;
        uint32_t copy = kvt_block_at(&core->blocks, q->blocks[i])->copies;
        for (; copy != KVT_NONE; copy = copy_at(core, copy)->next) {
            const uint32_t place = copy_at(core, copy)->place;
            if (lendable(core, copy, q->engine) && length[place] == n) {
                length[place] = n + 1;
                grew = true;
            }
        }
        n++;
    }
    uint32_t best = KVT_NONE;
    for (uint32_t k = 1; n && k < engines; k++) {
        const uint32_t e = (q->engine + k) % engines;
        if (best == KVT_NONE || length[e] > length[best] ||
            (length[e] == length[best] &&
             core->engines[e].lent_blocks < core->engines[best].lent_blocks))
            best = e;
    }
    assert(!n || length[best]); /* match saw a copy, and nothing has left other engines since */
    *run = n ? length[best] : 0;
    return best;
}

static void start_peers(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    uint32_t first = 0, run, lender;
    while ((lender = choose_lender(core, q, &first, &run)) != KVT_NONE) {
        const uint32_t o = new_op(core, r, KVT_PEER, OP_LOAD, run);
        if (o == KVT_NONE) {
            compute_instead(core, q, first, KVT_COMPUTED_LATE);
            return;
        }
        struct op *op = op_at(core, o);
        op->from = lender;
        list_blocks(core, q, KVT_PEER, first, run, op->index);
        first = op->index[run - 1] + 1;
        send(core, r, o);
    }
}

void kvt_fetch_start(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    q->fetch_begin_ns = core->now;
    q->probe_ns = 0;
    q->probing = 0;
    q->abandoned = q->replan = q->collecting = q->spread = false;
    memset(q->last_load_ns, 0, sizeof q->last_load_ns);
    for (uint32_t i = 0; i < q->usable; i++) {
        if (q->src[i] == KVT_HIT_GPU && copy_at(core, q->copies[i])->state == KVT_COPY_FILLING) {
            core->stats.single_flight_waits++;
            break;
        }
    }
    for (int t = 0; t < BELOW_GPU; t++) {
        const enum kvt_tier_kind tier = core->below[t];
        if (!core->config.tiers[tier].present)
            continue;
        if (tier == KVT_PEER)
            start_peers(core, r);
        else
            start(core, r, tier, core->config.tiers[tier].probe ? OP_PROBE : OP_LOAD);
    }
    if (q->ops && core->config.load_patience > 0) {
        const double patience_ns = core->config.load_patience * kvt_prefill_ns(core, 0, q->target);
        const kvt_ns at = kvt_ns_add(core->now, whole_ns(patience_ns));
        if (at != KVT_NEVER)
            kvt_emit_arm(core, (uint64_t)q->generation << 32 | r, at);
    }
}

static uint8_t class_of_status(const struct kvt_core *core, enum kvt_status status, uint32_t block,
                               bool expired)
{
    switch (status) {
    case KVT_CORRUPT:
        return KVT_COMPUTED_CORRUPT;
    case KVT_DOWN:
        return KVT_COMPUTED_TIER_DOWN;
    case KVT_TIMEOUT:
    case KVT_BUSY:
        return KVT_COMPUTED_LATE;
    default:
        return expired || kvt_block_at(&core->blocks, block)->fate == KVT_FATE_EXPIRED
                   ? KVT_COMPUTED_EXPIRED
                   : KVT_COMPUTED_EVICTED;
    }
}

/* The tier does not have, or has spoiled, a block that the directory promised. */
static void forget_lower(struct kvt_core *core, uint32_t copy, enum kvt_status status)
{
    if (copy == KVT_NONE || (status != KVT_MISSING && status != KVT_CORRUPT))
        return;
    const struct kvt_copy *c = copy_at(core, copy);
    if (c->state == KVT_COPY_READY && !c->users) {
        const bool past = kvt_copy_past(&core->room, copy);
        kvt_copy_drop(&core->room, copy, past ? KVT_FATE_EXPIRED : KVT_FATE_EVICTED);
    }
}

/* Ends the operation's use of what it read and wrote; good blocks become READY, failed ones stay
 * with the request that wants to compute them, or go. */
static void settle(struct kvt_core *core, const struct op *op, const struct kvt_done *done,
                   bool wanted)
{
    for (uint32_t k = 0; k < op->n; k++) {
        const bool good = k < done->blocks_ok;
        const uint32_t lower = op->lower[k];
        const struct kvt_use use = use_of_op(op, k);
        if (good && op->kind == OP_LOAD && kvt_copy_far(core, lower, op->engine))
            core->stats.far_loaded_blocks++;
        if (lower != KVT_NONE && good && op->kind == OP_LOAD) {
            kvt_copy_refresh(&core->room, lower);
            kvt_copy_used(&core->room, lower, &use);
        } else if (lower != KVT_NONE) {
            kvt_copy_unuse(&core->room, lower, &use);
        }
        if (k == done->blocks_ok)
            forget_lower(core, lower, done->status);
        if (op->kind != OP_LOAD)
            continue;
        struct kvt_copy *gpu = copy_at(core, op->gpu[k]);
        if (good && gpu->state == KVT_COPY_FILLING)
            kvt_copy_ready(&core->room, op->gpu[k]);
        else if (good && gpu->state == KVT_COPY_PRIVATE && core->config.tiers[op->tier].no_promote)
            kvt_copy_keep_alone(&core->room, op->gpu[k]);
        else if (good && gpu->state == KVT_COPY_PRIVATE)
            kvt_copy_publish(&core->room, op->gpu[k]);
        else if (!good && !wanted && gpu->state == KVT_COPY_FILLING)
            kvt_copy_void(&core->room, op->gpu[k], KVT_FATE_NONE);
        if (good && gpu->state == KVT_COPY_READY && core->config.tiers[op->tier].exclusive)
            kvt_moved_up(core, op->engine, gpu->block);
        kvt_copy_unuse(&core->room, op->gpu[k], &use);
    }
}

/* A tier failed from the op's block `good` on. What of it lies on the node's disk as well is
 * taken from there, in an operation of its own, if that is predicted to be faster than
 * computing. Returns the first block that has to be computed. */
static uint32_t fall_back(struct kvt_core *core, uint32_t r, const struct op *op, uint32_t good)
{
    struct req *q = req_at(core, r);
    const uint32_t first = op->index[good];
    const uint32_t place = kvt_room_place(&core->room, KVT_DISK, q->engine);
    if (op->tier == KVT_DISK || op->tier == KVT_GPU || place == KVT_NONE ||
        !core->room.places[place].up || q->probing >> KVT_DISK & 1u)
        return first;
    uint32_t k = good;
    for (; k < op->n && op->index[k] < q->usable; k++) {
        const uint32_t copy = kvt_copy_find(&core->room, q->blocks[op->index[k]], place);
        if (copy == KVT_NONE || copy_at(core, copy)->state != KVT_COPY_READY)
            break;
    }
    const struct kvt_tier_config *disk = &core->config.tiers[KVT_DISK];
    const uint64_t tokens = (uint64_t)(k - good) * core->config.block_tokens;
    const double load_ns = disk->load_fixed_ns + (double)tokens * disk->load_ns_per_token;
    const double compute_ns =
        kvt_prefill_ns(core, (uint64_t)first * core->config.block_tokens, tokens);
    const bool dear = core->config.load_choice == KVT_LOAD_ADAPTIVE && load_ns > compute_ns;
    const uint32_t o = k == good || dear ? KVT_NONE : new_op(core, r, KVT_DISK, OP_LOAD, k - good);
    if (o == KVT_NONE)
        return first;
    struct op *disk_op = op_at(core, o);
    for (uint32_t j = good; j < k; j++) {
        disk_op->index[j - good] = op->index[j];
        q->src[op->index[j]] = KVT_HIT_DISK;
    }
    const uint32_t end = k < op->n && op->index[k] < q->usable ? op->index[k] : q->usable;
    send(core, r, o);
    return end;
}

/* A world's clocks may differ by a little: what its spans claim beyond the operation's own time
 * is cut off. */
static void clip_spans(kvt_ns span_ns[KVT_SPANS], kvt_ns most_ns)
{
    for (int s = 0; s < KVT_SPANS; s++) {
        if (span_ns[s] > most_ns)
            span_ns[s] = most_ns;
        most_ns -= span_ns[s];
    }
}

/* The request's context has come together: after its loads, so the times add up. */
static void gathered(const struct kvt_core *core, struct req *q, const struct op *op,
                     const struct kvt_done *done)
{
    kvt_ns span_ns[KVT_SPANS];
    memcpy(span_ns, done->span_ns, sizeof span_ns);
    clip_spans(span_ns, core->now - op->begin_ns);
    for (int s = 0; s < KVT_SPANS; s++)
        q->last_load_ns[s] += span_ns[s];
    q->collecting = false;
    q->spread = true;
}

void kvt_fetch_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done)
{
    struct op *op = op_at(core, o);
    struct req *q = op->req == KVT_NONE ? NULL : req_at(core, op->req);
    const bool wanted = q && q->generation == op->generation;
    const uint32_t good = done->blocks_ok < op->n ? done->blocks_ok : op->n;
    const bool is_load = op->kind == OP_LOAD;
    if (is_load) {
        core->engines[op->engine].inflight_load_ns[op->tier] -= op->predicted_ns;
        if (op->from != KVT_NONE)
            core->engines[op->from].lent_blocks -= op->n;
        core->stats.bytes_read[op->tier] += done->bytes;
        core->stats.loaded_blocks[op->tier] += good;
    }
    const uint32_t first_bad_lower = good < op->n ? op->lower[good] : KVT_NONE;
    const bool past = first_bad_lower != KVT_NONE && kvt_copy_past(&core->room, first_bad_lower);
    settle(core, op, done, wanted);
    if (wanted) {
        q->ops--;
        if (is_load && op->tier == KVT_GPU) {
            gathered(core, q, op, done);
        } else if (is_load) {
            memcpy(q->last_load_ns, done->span_ns, sizeof q->last_load_ns);
            clip_spans(q->last_load_ns, core->now - op->begin_ns);
        } else {
            q->probing = (uint8_t)(q->probing & ~(1u << op->tier));
            q->probe_ns = core->now - op->begin_ns;
        }
        if (good < op->n) {
            const uint32_t first = op->index[good];
            const uint8_t cause = class_of_status(core, done->status, q->blocks[first], past);
            compute_instead(core, q, fall_back(core, op->req, op, good), cause);
        }
        if (!is_load && good)
            start(core, op->req, op->tier, OP_LOAD);
    }
    kvt_op_free(core, o);
}

/* ---- Gathering
 * --------------------------------------------------------------------------------- */

/* Whoever fills the copy is left to it; the request goes on in pages of its own. */
static void swap(struct kvt_core *core, struct req *q, uint32_t i, uint32_t nth)
{
    if (book_of(core, q->engine))
        kvt_sharded_placed(core, q, nth);
    const uint32_t own =
        kvt_copy_new(&core->room, q->blocks[i], q->engine, KVT_COPY_PRIVATE, q->tenant, NULL);
    const struct kvt_use use = use_of(q, i);
    assert(own != KVT_NONE);
    if (copy_at(core, q->copies[i])->state == KVT_COPY_PRIVATE)
        kvt_copy_void(&core->room, q->copies[i], KVT_FATE_NONE); /* of use to nobody else */
    kvt_copy_unuse(&core->room, q->copies[i], &use); /* whoever fills it still is a user */
    q->copies[i] = own;
}

/* One more block that somebody else is writing: swapped, or its place found. */
static void take_over(struct kvt_core *core, struct req *q, uint32_t i, uint64_t *n, uint64_t *need)
{
    if (!need)
        swap(core, q, i, (uint32_t)*n);
    else if (book_of(core, q->engine))
        kvt_sharded_keep(core, q, i, (uint32_t)*n, need);
    ++*n;
}

/* Counts the blocks that others are writing for the request, with what they need of each GPU; or
 * swaps them, without need: requests that it follows in the usable prefix, and loads of its own, some
 * of which may by now lie behind that prefix. */
static uint64_t on_the_way(struct kvt_core *core, uint32_t r, uint64_t *need)
{
    struct req *q = req_at(core, r);
    uint64_t n = 0;
    for (uint32_t i = q->gathered; i < q->usable; i++) {
        if (q->src[i] != KVT_HIT_GPU || kvt_copy_filled(copy_at(core, q->copies[i])))
            continue;
        take_over(core, q, i, &n, need);
    }
    for (uint32_t o = 0; o < core->ops.fresh; o++) {
        const struct op *op = op_at(core, o);
        if (!op->live || op->kind != OP_LOAD || op->req != r || op->generation != q->generation)
            continue;
        for (uint32_t k = 0; k < op->n; k++) {
            if (kvt_copy_filled(copy_at(core, op->gpu[k])))
                continue;
            take_over(core, q, op->index[k], &n, need);
        }
    }
    return n;
}

/* Room to compute what is on the way. */
static bool room_for_own(struct kvt_core *core, uint32_t r)
{
    const uint32_t engine = req_at(core, r)->engine;
    const bool sharded = book_of(core, engine) != NULL;
    uint64_t need[KVT_SHARD_GPUS] = {0};
    if (sharded)
        kvt_sharded_try(core, engine);
    const uint64_t n = on_the_way(core, r, need);
    const uint64_t pages = n * core->room.pages_per_block;
    if (!kvt_room_reserve(&core->room, engine, n) &&
        (sharded ? kvt_make_room_on(core, engine, n, pages, need)
                 : kvt_make_room(core, engine, n, pages)))
        return true;
    if (sharded)
        kvt_sharded_undo(core, engine);
    return false;
}

/* The patience of a request that waits for loads of its own is over. Without room for pages of its
 * own it goes on waiting. */
void kvt_fetch_timer(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    if (q->state != REQ_GATHERING || !q->ops || q->collecting)
        return;
    if (!room_for_own(core, r))
        return;
    uint32_t first = q->gathered;
    while (first < q->usable && kvt_copy_filled(copy_at(core, q->copies[first])))
        first++;
    on_the_way(core, r, NULL);
    core->stats.abandoned_loads++;
    compute_instead(core, q, first, KVT_COMPUTED_LATE);
    renew(core, q); /* what is under way no longer belongs to it */
    q->ops = 0;
    q->abandoned = true;
}

void kvt_send_back(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    kvt_release_memory(core, q);
    /* What was computed towards the first token will be computed again, or found in the cache. */
    q->recomputed_tokens += q->stepped;
    core->stats.recomputed_tokens += q->stepped;
    q->stepped = 0;
    if (!q->first_done)
        memset(q->parts, 0, sizeof q->parts);
    renew(core, q);
    q->ops = 0;
    kvt_list_pull(core, r);
    kvt_list_push(core, r, REQ_WAITING, true);
}

/* Where the time went between admission and now: the probe, and the load that ended last. Loads
 * run side by side, so a probe may lie under a longer load of another tier; then only what
 * sticks out counts. */
static void settle_spans(const struct kvt_core *core, struct req *q)
{
    const kvt_ns whole = core->now - q->fetch_begin_ns;
    if (q->abandoned) {
        q->span_ns[KVT_SPAN_QUEUED] += whole;
        return;
    }
    kvt_ns loads = 0;
    for (int s = 0; s < KVT_SPANS; s++) {
        q->span_ns[s] += q->last_load_ns[s];
        loads += q->last_load_ns[s];
    }
    const kvt_ns rest = whole > loads ? whole - loads : 0;
    q->span_ns[KVT_SPAN_PROBE] += q->probe_ns < rest ? q->probe_ns : rest;
}

static void begin_run(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    uint64_t there = (uint64_t)q->usable * core->config.block_tokens;
    if (q->usable == q->n_match && there > q->prompt_tokens) /* a partial last block */
        there = q->prompt_tokens;
    q->computed = there < q->target ? (uint32_t)there : q->target;
    if (q->computed == q->target && core->config.recompute_last_token)
        q->computed--;
    if (!q->first_done)
        settle_spans(core, q);
    kvt_list_pull(core, r);
    kvt_list_push(core, r, REQ_RUNNING, false);
    if (q->computed == q->target)
        kvt_prefill_complete(core, r);
}

/* Sharded: all of the usable prefix lies in shards, and shall lie where it is computed with. False
 * when there is nothing to wait for. What cannot be gathered is computed. */
static bool collect(struct kvt_core *core, uint32_t r)
{
    struct req *q = req_at(core, r);
    if (q->spread || !q->usable || !gathers(core))
        return false;
    const uint32_t o = new_op(core, r, KVT_GPU, OP_LOAD, q->usable);
    if (o == KVT_NONE) {
        compute_instead(core, q, 0, KVT_COMPUTED_LATE);
        return false;
    }
    q->collecting = true;
    for (uint32_t i = 0; i < q->usable; i++)
        op_at(core, o)->index[i] = i;
    send(core, r, o);
    return q->collecting; /* a world that did not take it has answered already */
}

void kvt_gather(struct kvt_core *core, uint32_t engine)
{
    uint32_t next;
    for (uint32_t r = core->engines[engine].lists[REQ_GATHERING].first; r != KVT_NONE; r = next) {
        struct req *q = req_at(core, r);
        next = q->next;
        if (q->ops)
            continue;
        while (q->gathered < q->usable && kvt_copy_filled(copy_at(core, q->copies[q->gathered])))
            q->gathered++;
        const bool ready = q->gathered >= q->usable;
        if (ready && !q->replan && collect(core, r)) {
            continue;
        } else if (ready && !q->replan) {
            begin_run(core, r);
        } else if (q->replan || copy_at(core, q->copies[q->gathered])->state == KVT_COPY_VOID) {
            core->stats.replans++;
            kvt_send_back(core, r);
        }
    }
}
