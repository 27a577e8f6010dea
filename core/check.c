/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * check.c - walks everything and holds it against the numbered invariants of core.h, place.h and
 * block.h.
 *
 * For assert() and tests: it costs time in proportion to all that is tracked. Nothing here has a
 * side effect, and no scratch memory is needed: what must agree is counted twice from two
 * directions.
 */
#include "internal.h"

#include "orphans.h"
#include "shard_mask.h"

#include <string.h>

/* What walking the blocks says about the places. The sums over all places are enough: a copy
 * counted for the wrong one is caught by the check of its own place number. */
struct census {
    uint64_t copies, filling, unused;
    uint64_t idle;
};

static bool complain(char *why, size_t size, const char *text)
{
    const size_t n = strlen(text) + 1;
    if (size)
        memcpy(why, text, n < size ? n : size);
    if (size && n >= size)
        why[size - 1] = '\0';
    return false;
}

static const char *check_block(const struct kvt_core *core, uint32_t number, struct census *sum)
{
    const struct kvt_block *b = kvt_block_at(&core->blocks, number);
    if (b->copies == KVT_NONE && !b->refs)
        sum->idle++;
    if (kvt_index_find(&core->blocks.index, kvt_block_key(b)) != number)
        return "block: the index does not find it under its key";
    for (uint32_t copy = b->copies; copy != KVT_NONE; copy = copy_at(core, copy)->next) {
        const struct kvt_copy *c = copy_at(core, copy);
        if (c->block == number && c->state == KVT_COPY_ORPHAN)
            continue;
        if (c->block != number || c->place >= core->room.n_places)
            return "(L1) a copy in a block's list belongs elsewhere";
        if (c->state != KVT_COPY_FILLING && c->state != KVT_COPY_READY)
            return "(L1) a private or void copy is in its block's list";
        if (c->state == KVT_COPY_FILLING && !c->users)
            return "(L1) a copy is being filled by nobody";
        for (uint32_t other = c->next; other != KVT_NONE; other = copy_at(core, other)->next)
            if (copy_at(core, other)->place == c->place)
                return "(L4) two copies of a block in one place";
        sum->copies++;
        sum->filling += c->state == KVT_COPY_FILLING;
        sum->unused += !c->users;
    }
    return NULL;
}

static const char *check_place(const struct kvt_core *core, uint32_t p, struct census *sum)
{
    const struct kvt_place *place = &core->room.places[p];
    sum->unused += place->cached;
    sum->copies += place->held_blocks;
    if (place->held_b != place->held_blocks * core->room.stored_b[place->tier])
        return "(C6) held bytes are not held blocks times their size";
    const struct kvt_tier_config *c = place->config;
    if (place->tier != KVT_GPU && c->manager == KVT_MANAGED_BY_CORE &&
        (place->held_blocks > c->capacity_blocks || place->held_b > c->capacity_b))
        return "(C6) a place holds more than its capacity";
    if (place->tier == KVT_GPU && c->capacity_blocks < place->copies)
        return "(C6) a gpu holds more blocks than its capacity";
    return NULL;
}

/* (O1) to (O3), as far as they can be seen without scratch memory. */
static const char *check_order(const struct kvt_core *core, char *text, size_t size)
{
    uint64_t children = 0, listed = 0, known = 0;
    for (uint32_t i = 0; i < core->room.copies.fresh; i++) {
        const struct kvt_copy *c = copy_at(core, i);
        if (c->state != KVT_COPY_READY && c->state != KVT_COPY_FILLING)
            continue;
        const struct kvt_place *place = &core->room.places[c->place];
        listed++;
        children += c->children;
        known += c->known;
        if (c->known && c->state != KVT_COPY_READY)
            return "(O1) a policy knows a copy that is not ready";
        if (!c->known && c->state == KVT_COPY_READY && !c->users && place->ordered)
            return "(O1) an unused copy is unknown to its place's policy";
        const bool aside = place->book && place->book->mask_b &&
                           kvt_mask_aside(place->book, i)->before != KVT_NOT_ASIDE;
        if (c->parked && !c->users && !(place->closed && c->children) && !aside)
            return "(O2) a copy is parked for no reason";
        if (c->children && !place->closed)
            return "(O3) children are counted where nobody asks";
    }
    if (children > listed)
        return "(O3) there are more children than copies";
    uint64_t in_parts = 0, held = 0, quota_held = 0;
    for (uint32_t p = 0; p < core->room.n_places; p++) {
        const struct kvt_place *place = &core->room.places[p];
        held += place->held_blocks;
        for (uint32_t i = 0; i < place->n_parts; i++) {
            const struct kvt_evict *e = &place->parts[i].evict;
            if (e->ops->check && !e->ops->check(e->state, text, size))
                return text;
            in_parts += place->parts[i].known;
            quota_held += place->parts[i].held_blocks;
        }
    }
    if (core->room.n_quotas && quota_held != held)
        return "tenants' blocks do not add up to those held";
    return in_parts == known ? NULL : "(O1) policies and copies disagree about who is known";
}

/* (K1) and (K2), each GPU by GPU; (K3) to (K6) where GPUs evict alone. */
static const char *check_books(const struct kvt_core *core)
{
    for (uint32_t e = 0; core->room.books && e < core->config.engines; e++) {
        const struct kvt_shard_book *book = &core->room.books[e];
        uint64_t held[KVT_SHARD_GPUS] = {0}, pinned[KVT_SHARD_GPUS] = {0};
        const bool limited = book->room.gpu_b != UINT64_MAX;
        for (uint32_t i = 0; i < core->room.copies.fresh; i++) {
            const struct kvt_copy *c = copy_at(core, i);
            if (c->state == KVT_COPY_ORPHAN && c->place == kvt_limbo_of(&core->room, e))
                kvt_book_count(book, kvt_book_row(book, i), held);
            if (c->place != e || (c->state == KVT_COPY_VOID && !c->users)) /* freed, or elsewhere */
                continue;
            kvt_book_count(book, kvt_book_row(book, i), held);
            if (limited && (c->state != KVT_COPY_READY || c->users))
                kvt_book_count(book, kvt_book_row(book, i), pinned);
        }
        for (uint32_t g = 0; g < book->shards.config.gpus; g++) {
            held[g] += book->extra[g];
            pinned[g] += book->extra[g];
            if (held[g] != kvt_book_sum(book, &book->held, g) ||
                (limited && pinned[g] != kvt_book_sum(book, &book->pinned, g)))
                return "(K1) what lies on a GPU is miscounted";
            const bool works = g < kvt_book_gpus(book);
            if (!kvt_resize_has(core, e, g) && kvt_book_sum(book, &book->held, g))
                return "(K2) shards lie on a GPU that the engine does not have";
            if (limited && kvt_book_used_b(book, g, works ? kvt_working_pages(core, e) : 0) >
                               (works ? book->room.gpu_b : book->leaving_b))
                return "(K2) a GPU holds more than it can";
        }
        const char *wrong = book->mask_b ? kvt_orphans_check(&core->room, e) : NULL;
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* (C4): pages in copies are those of copies that some request or list knows; the pager counts
 * the rest. Copies outside the table (private, void) are found through their users only, so
 * pages are counted from the pool. */
static const char *check_pages(const struct kvt_core *core)
{
    if (core->config.gpu_pages == UINT64_MAX)
        return NULL;
    uint64_t used = 0, in_requests = 0;
    for (uint32_t e = 0; e < core->config.engines; e++) {
        const struct kvt_pager *pager = &gpu_place(core, e)->pager;
        if (!kvt_pager_check(pager))
            return "(C4) a pager is broken";
        used += kvt_pager_used(pager);
        for (int l = 0; l < 3; l++)
            for (uint32_t r = core->engines[e].lists[l].first; r != KVT_NONE;
                 r = req_at(core, r)->next)
                in_requests += req_at(core, r)->tail.n + req_at(core, r)->fixed.n;
    }
    uint64_t lower = 0;
    for (uint32_t p = core->config.engines; p < core->room.n_places; p++)
        lower += core->room.places[p].held_blocks;
    for (uint32_t i = 0; i < core->room.copies.fresh; i++)
        lower += copy_at(core, i)->state == KVT_COPY_ORPHAN; /* has no pages */
    /* lower copies that a failed store voided are freed at once, so every other record is a GPU
     * copy */
    const uint64_t gpu_copies = core->room.copies.in_use - lower;
    if (used != in_requests + gpu_copies * core->room.pages_per_block)
        return "(C4) pages of copies and requests do not add up to those in use";
    return NULL;
}

static const char *check_requests(const struct kvt_core *core)
{
    uint64_t n = 0;
    for (uint32_t e = 0; e < core->config.engines; e++) {
        uint64_t load = 0, pending = 0;
        for (int l = 0; l < 3; l++) {
            for (uint32_t r = core->engines[e].lists[l].first; r != KVT_NONE;) {
                const struct req *q = req_at(core, r);
                if (q->engine != e || q->state != (enum req_state)l)
                    return "(C1) a request is in a list that is not its own";
                if (l == REQ_WAITING && (q->n_held || q->tail.n || q->fixed.n))
                    return "(C4) a waiting request holds memory";
                if (!q->background && q->prev != KVT_NONE && req_at(core, q->prev)->background)
                    return "(C10) a background request stands before another one";
                if (q->background && q->output_tokens)
                    return "(C10) a background request has output";
                if (q->region != kvt_region_of(&core->config.regions, e))
                    return "(G2) a request is in another region than it came with";
                load += q->prompt_tokens;
                pending += q->pending;
                n++;
                r = q->next;
            }
        }
        if (load != core->engines[e].load_tokens ||
            pending != core->engines[e].pending_prefill_tokens)
            return "an engine's load is miscounted";
    }
    const struct kvt_core_stats *s = &core->stats;
    if (n != core->requests.in_use ||
        s->requests + s->background.requests !=
            n + s->finished + s->rejected + s->failed + s->background.ended)
        return "(C1) requests do not add up";
    uint64_t ledger = 0;
    for (int c = 0; c < KVT_LEDGER; c++)
        ledger += s->ledger_tokens[c];
    return ledger == s->prompt_tokens ? NULL : "(C2) the ledger does not add up to the prompts";
}

/* (C8) */
static const char *check_peers(const struct kvt_core *core)
{
    uint64_t lent = 0, counted = 0;
    for (uint32_t e = 0; e < core->config.engines; e++)
        counted += core->engines[e].lent_blocks;
    for (uint32_t o = 0; o < core->ops.fresh; o++) {
        const struct op *op = op_at(core, o);
        if (!op->live || op->from == KVT_NONE)
            continue;
        lent += op->n;
        for (uint32_t k = 0; k < op->n; k++) {
            const struct kvt_copy *c = copy_at(core, op->lower[k]);
            if (op->from == op->engine || c->place != op->from || !c->users ||
                (c->state != KVT_COPY_READY && c->state != KVT_COPY_VOID))
                return "(C8) a peer load reads what is not there";
        }
    }
    return lent == counted ? NULL : "(C8) blocks lent to peers are miscounted";
}

/* (C9) */
static const char *check_parts(const struct kvt_core *core)
{
    for (uint32_t e = 0; e < core->config.engines; e++) {
        for (int l = 0; l < 3; l++) {
            for (uint32_t r = core->engines[e].lists[l].first; r != KVT_NONE;
                 r = req_at(core, r)->next) {
                const struct req *q = req_at(core, r);
                if (!q->part_tokens)
                    continue;
                const struct kvt_copy *c = copy_at(core, q->part_from);
                if (l != REQ_RUNNING || !q->chunk || c->place != e || !c->users ||
                    c->state != KVT_COPY_READY || q->part_tokens >= core->config.block_tokens)
                    return "(C9) a step copies what it cannot";
            }
        }
    }
    return kvt_siblings_check(&core->siblings) ? NULL
                                               : "tokens of blocks are not where they belong";
}

bool kvt_core_check(const struct kvt_core *core, char *why, size_t size)
{
    struct census blocks = {0}, places = {0};
    uint64_t live = 0;
    char order[128];
    const char *text = check_requests(core);
    for (uint32_t i = 0; !text && i < kvt_blocks_end(&core->blocks); i++) {
        if (!kvt_block_live(&core->blocks, i))
            continue;
        live++;
        text = check_block(core, i, &blocks);
    }
    for (uint32_t p = 0; !text && p < core->room.n_places; p++)
        text = check_place(core, p, &places);
    if (!text && (live != kvt_blocks_count(&core->blocks) || live != core->blocks.index.count))
        text = "(B1) block table and index disagree";
    if (!text && blocks.idle != core->blocks.idle)
        text = "(B2) idle blocks are miscounted";
    if (!text && blocks.copies != places.copies)
        text = "(L1) copies listed by blocks and held by places disagree";
    if (!text && blocks.unused != places.unused)
        text = "(L2) unused copies and LRU lists disagree";
    if (!text)
        text = check_order(core, order, sizeof order);
    if (!text)
        text = check_pages(core);
    if (!text)
        text = check_peers(core);
    if (!text)
        text = check_books(core);
    if (!text)
        text = check_parts(core);
    if (!text && core->config.cache && !kvt_alike_check(&core->alike))
        text = "(A1) prompts kept for matching are not what was kept";
    return text ? complain(why, size, text) : true;
}
