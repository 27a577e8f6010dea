/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * orphans.c - see orphans.h.
 *
 * A queue entry is passed by each GPU's cursor at most once, and leaves only when its copy is used or gone; both cost a
 * look at every cursor. So an eviction is O(GPUs + shards of a block), amortised, however unevenly GPUs fill.
 */
#include "orphans.h"

#include "order.h"
#include "shard_mask.h"

#include <assert.h>
#include <string.h>

static const uint64_t MINUS = UINT64_MAX; /* modulo 2^64 */

/* ---- The queue --------------------------------------------------------------------------------- */

static void set_aside(struct kvt_shard_book *book, uint32_t copy)
{
    const uint32_t last = book->aside.last;
    *kvt_mask_aside(book, copy) = (struct kvt_aside){.before = last, .behind = KVT_NONE};
    if (last == KVT_NONE)
        book->aside.first = copy;
    else
        kvt_mask_aside(book, last)->behind = copy;
    book->aside.last = copy;
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        if (book->aside.cursor[g] == KVT_NONE)
            book->aside.cursor[g] = copy;
}

/* To be the first to leave, wherever GPUs look. */
static void set_aside_first(struct kvt_shard_book *book, uint32_t copy)
{
    const uint32_t first = book->aside.first;
    *kvt_mask_aside(book, copy) = (struct kvt_aside){.before = KVT_NONE, .behind = first};
    if (first == KVT_NONE)
        book->aside.last = copy;
    else
        kvt_mask_aside(book, first)->before = copy;
    book->aside.first = copy;
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        book->aside.cursor[g] = copy;
}

void kvt_orphans_rejoin(struct kvt_shard_book *book, uint32_t copy)
{
    struct kvt_aside *a = kvt_mask_aside(book, copy);
    if (a->before == KVT_NOT_ASIDE)
        return;
    if (a->before == KVT_NONE)
        book->aside.first = a->behind;
    else
        kvt_mask_aside(book, a->before)->behind = a->behind;
    if (a->behind == KVT_NONE)
        book->aside.last = a->before;
    else
        kvt_mask_aside(book, a->behind)->before = a->before;
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        if (book->aside.cursor[g] == copy)
            book->aside.cursor[g] = a->behind;
    a->before = KVT_NOT_ASIDE;
}

/* ---- Orphans ----------------------------------------------------------------------------------- */

void kvt_orphans_weigh(struct kvt_core_stats *stats, kvt_ns now)
{
    stats->alone.orphan_b_ns +=
        (double)stats->alone.orphan_b * (double)(now - stats->alone.weighed_ns);
    stats->alone.weighed_ns = now;
}

/* The weights of orphans change by so much, which is negative modulo 2^64 where they become less. */
static void weigh(struct kvt_store_room *room, const struct kvt_shard_book *book, uint64_t weight)
{
    struct kvt_core_stats *stats = room->stats;
    kvt_orphans_weigh(stats, room->now);
    stats->alone.orphan_b += weight * book->room.unit_b;
    if (stats->alone.orphan_b > stats->alone.orphan_most_b)
        stats->alone.orphan_most_b = stats->alone.orphan_b;
}

static struct kvt_shard_book *book_of(const struct kvt_store_room *room, uint32_t copy)
{
    return kvt_place_of(room, copy)->book;
}

static uint32_t orphan_of(const struct kvt_store_room *room, uint32_t engine, uint32_t block)
{
    return kvt_copy_in(room, block, kvt_limbo_of(room, engine));
}

/* A copy that is READY and idle, and counted nowhere as such any more. */
static void become_orphan(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_place *place = &room->places[c->place];
    struct kvt_shard_book *book = place->book;
    kvt_order_gone(room, copy, fate != KVT_FATE_SHARD);
    place->cached--;
    place->copies--;
    place->held_blocks--;
    place->held_b -= room->stored_b[place->tier];
    kvt_pager_give(&place->pager, c->page, room->pages_per_block);
    c->page = KVT_NONE;
    c->state = KVT_COPY_ORPHAN;
    c->place = kvt_limbo_of(room, place->engine.v) & 0x1fff;
    kvt_blocks_lost(room->blocks, c->block, KVT_FATE_SHARD); /* its copy still is in its list */
    weigh(room, book, kvt_mask_count(book, kvt_book_row(book, copy), 1, book->orphans));
    if (fate != KVT_FATE_SHARD)
        return; /* it is aside */
    kvt_orphans_rejoin(book, copy);
    set_aside_first(book, copy);
}

/* An orphan no longer is one; its bytes are somebody else's business. */
static void end_orphan(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_shard_book *book = book_of(room, copy);
    kvt_orphans_rejoin(book, copy);
    weigh(room, book, MINUS * kvt_mask_count(book, kvt_book_row(book, copy), MINUS, book->orphans));
    kvt_copy_unlist(room, copy);
    kvt_blocks_lost(room->blocks, c->block, fate);
    c->state = KVT_COPY_VOID; /* whoever walks the pool passes it by */
    c->users = 0;
    kvt_pool_give_known(&room->copies, copy, KVT_COPIES_SHIFT, sizeof(struct kvt_copy));
}

void kvt_orphan_drop(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate)
{
    kvt_book_evict(book_of(room, copy), copy);
    end_orphan(room, copy, fate);
}

/* ---- A GPU frees its part ---------------------------------------------------------------------- */

/* Marks what of a row lies on a GPU as gone; of a GPU that failed, what lies nowhere else. Returns copies of shards. */
static uint32_t take_off(const struct kvt_shard_book *book, uint8_t *row, uint32_t gpu, bool failed)
{
    const struct kvt_shards *s = &book->shards;
    uint32_t n = 0;
    for (uint32_t k = 0; k < s->n; k++) {
        for (uint32_t j = 0; j < s->copies; j++) {
            if (kvt_shard_copy(s, row[k], j) != gpu || kvt_mask_lacks(book, row, k, j))
                continue;
            kvt_mask_set(book, row, k, j);
            n++;
            if (failed && kvt_mask_alive(book, row, k)) { /* is copied anew */
                const uint32_t i = k * s->copies + j;
                row[s->n + i / 8] &= (uint8_t) ~(1u << i % 8);
                n--;
            }
        }
    }
    return n;
}

/* A copy that is idle: what it took over when it was new is like the rest of it. */
static void settle(struct kvt_shard_book *book, uint8_t *row)
{
    uint8_t before[sizeof book->placing];
    if (!*kvt_mask_fresh(book, row))
        return;
    memcpy(before, row, book->row_b);
    memset(row + book->shards.n, 0, book->mask_b + 1);
    kvt_book_recount(book, before, row);
}

/* What a copy has on a GPU leaves it, and what follows from that. */
static void strip(struct kvt_store_room *room, uint32_t copy, uint32_t gpu, bool failed)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_shard_book *book = book_of(room, copy);
    uint8_t *row = kvt_book_row(book, copy);
    uint8_t before[sizeof book->placing];
    settle(book, row);
    const uint64_t was = kvt_mask_weight_on(book, row, gpu);
    memcpy(before, row, book->row_b);
    const uint32_t n = take_off(book, row, gpu, failed);
    if (!n)
        return;
    const uint64_t weight = was - kvt_mask_weight_on(book, row, gpu);
    const enum kvt_fate fate = failed ? KVT_FATE_SHARD : KVT_FATE_EVICTED;
    kvt_book_recount(book, before, row);
    book->gone.others[gpu] += weight;
    book->changes++;
    room->stats->alone.evicted_shards += failed ? 0 : n;
    if (c->state == KVT_COPY_ORPHAN) {
        book->orphans[gpu] -= weight;
        weigh(room, book, MINUS * weight);
    }
    bool empty = true;
    for (uint32_t k = 0; empty && k < book->shards.n; k++)
        empty = !kvt_mask_alive(book, row, k);
    if (empty && c->state == KVT_COPY_ORPHAN) {
        end_orphan(room, copy, fate);
    } else if (empty) {
        kvt_copy_drop(room, copy, fate);
    } else if (c->state == KVT_COPY_READY && !kvt_mask_whole(book, row)) {
        room->stats->evicted_blocks[KVT_GPU] += !failed;
        room->stats->alone.unusable_blocks += !failed;
        become_orphan(room, copy, fate);
    }
}

bool kvt_orphans_evict(struct kvt_store_room *room, uint32_t engine, uint32_t gpu)
{
    struct kvt_shard_book *book = room->places[engine].book;
    for (;;) {
        uint32_t copy = book->aside.cursor[gpu];
        if (copy == KVT_NONE) {
            copy = kvt_order_victim(room, engine);
            if (copy == KVT_NONE)
                return false;
            kvt_order_park(room, copy);
            set_aside(book, copy);
        }
        book->aside.cursor[gpu] = kvt_mask_aside(book, copy)->behind;
        if (!kvt_mask_weight_on(book, kvt_book_row(book, copy), gpu))
            continue;
        strip(room, copy, gpu, false);
        return true;
    }
}

bool kvt_orphans_evict_first(struct kvt_store_room *room, uint32_t engine)
{
    const uint32_t copy = room->places[engine].book->aside.first;
    if (copy == KVT_NONE)
        return false;
    if (kvt_copy_at(room, copy)->state == KVT_COPY_ORPHAN)
        kvt_orphan_drop(room, copy, KVT_FATE_EVICTED);
    else
        kvt_copy_drop(room, copy, KVT_FATE_EVICTED);
    return true;
}

void kvt_orphans_lose(struct kvt_store_room *room, uint32_t copy, uint32_t gpu)
{
    strip(room, copy, gpu, true);
}

/* ---- Again ------------------------------------------------------------------------------------- */

void kvt_orphans_place(struct kvt_store_room *room, uint32_t engine, uint32_t block,
                       const struct kvt_shard_site *site, uint64_t *need, uint64_t *own)
{
    struct kvt_shard_book *book = room->places[engine].book;
    struct kvt_shards *s = &book->shards;
    const uint32_t orphan = orphan_of(room, engine, block);
    uint8_t *placing = book->placing;
    if (orphan == KVT_NONE) {
        kvt_book_place(book, site);
        kvt_book_count(book, placing, need);
        return;
    }
    const uint8_t *row = kvt_book_row(book, orphan);
    bool missing[KVT_SHARD_GPUS];
    memcpy(placing, row, s->n);
    memset(placing + s->n, 0, book->mask_b + 1);
    for (uint32_t k = 0; k < s->n; k++)
        missing[k] = !kvt_mask_alive(book, row, k);
    for (uint32_t k = 0; k < s->n; k++) {
        for (uint32_t j = 0; j < s->copies; j++) {
            if (!kvt_mask_lacks(book, row, k, j))
                kvt_mask_set(book, placing, k, j);
            else if (!missing[k] && s->config.policy->remembers) /* an update, too */
                s->recent[kvt_shard_copy(s, row[k], j)] += s->weight[k];
        }
    }
    kvt_shards_replace(s, site, missing, placing);
    *kvt_mask_fresh(book, placing) = 1;
    kvt_mask_stored(book, placing, 1, need);
    (void)kvt_mask_count(book, row, 1, own);
}

/* An orphan is pinned, or no longer. */
static void pin(struct kvt_shard_book *book, uint32_t orphan, uint64_t sign)
{
    (void)kvt_mask_count(book, kvt_book_row(book, orphan), sign, book->pinned.others);
}

void kvt_orphans_hold(struct kvt_store_room *room, uint32_t engine, uint32_t block)
{
    struct kvt_shard_book *book = room->places[engine].book;
    const uint32_t orphan = orphan_of(room, engine, block);
    if (orphan == KVT_NONE)
        return;
    assert(!kvt_copy_at(room, orphan)->users);
    kvt_copy_at(room, orphan)->users = 1;
    kvt_orphans_rejoin(book, orphan);
    pin(book, orphan, 1);
}

/* It was looked for: so it comes last of what was set aside. */
void kvt_orphans_let_go(struct kvt_store_room *room, uint32_t engine, uint32_t block)
{
    struct kvt_shard_book *book = room->places[engine].book;
    const uint32_t orphan = orphan_of(room, engine, block);
    if (orphan == KVT_NONE)
        return;
    assert(kvt_copy_at(room, orphan)->users);
    kvt_copy_at(room, orphan)->users = 0;
    pin(book, orphan, MINUS);
    set_aside(book, orphan);
}

void kvt_orphans_adopt(struct kvt_store_room *room, uint32_t copy, uint32_t block, uint32_t engine)
{
    struct kvt_shard_book *book = room->places[engine].book;
    uint8_t *row = kvt_book_row(book, copy);
    *kvt_mask_aside(book, copy) = (struct kvt_aside){.before = KVT_NOT_ASIDE};
    if (!*kvt_mask_fresh(book, row))
        return;
    const uint32_t orphan = orphan_of(room, engine, block);
    assert(orphan != KVT_NONE && kvt_copy_at(room, orphan)->users);
    /* it counts for the copy now, which was counted whole */
    pin(book, orphan, MINUS);
    const uint64_t weight =
        kvt_mask_count(book, kvt_book_row(book, orphan), MINUS, book->held.others);
    room->stats->alone.again_blocks++;
    room->stats->alone.kept_b += weight * book->room.unit_b;
    end_orphan(room, orphan, KVT_FATE_NONE);
}

void kvt_orphans_supersede(struct kvt_store_room *room, uint32_t engine, uint32_t block)
{
    const uint32_t orphan = orphan_of(room, engine, block);
    if (orphan != KVT_NONE)
        kvt_orphan_drop(room, orphan, KVT_FATE_NONE);
}

/* ---- Checking ---------------------------------------------------------------------------------- */

static const char *check_queue(const struct kvt_store_room *room, uint32_t engine, uint64_t *n)
{
    const struct kvt_shard_book *book = room->places[engine].book;
    bool passed[KVT_SHARD_GPUS];
    uint32_t before = KVT_NONE;
    *n = 0;
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        passed[g] = true;
    for (uint32_t copy = book->aside.first; copy != KVT_NONE;
         copy = kvt_mask_aside(book, copy)->behind) {
        const struct kvt_copy *c = kvt_copy_at(room, copy);
        const bool orphan = c->state == KVT_COPY_ORPHAN && c->place == kvt_limbo_of(room, engine);
        if (kvt_mask_aside(book, copy)->before != before || c->users ||
            (!orphan && (c->state != KVT_COPY_READY || c->place != engine || !c->parked)))
            return "(K6) something is set aside that should not be";
        *n += orphan;
        for (uint32_t g = 0; g < book->shards.config.gpus; g++) {
            passed[g] &= book->aside.cursor[g] != copy;
            if (passed[g] && kvt_mask_weight_on(book, kvt_book_row(book, copy), g))
                return "(K6) a GPU has passed by what lies on it";
        }
        before = copy;
    }
    if (before != book->aside.last)
        return "(K6) the end of what is set aside is elsewhere";
    for (uint32_t g = 0; g < book->shards.config.gpus; g++)
        if (passed[g] && book->aside.cursor[g] != KVT_NONE)
            return "(K6) a GPU looks at what is not set aside";
    return NULL;
}

const char *kvt_orphans_check(const struct kvt_store_room *room, uint32_t engine)
{
    const struct kvt_shard_book *book = room->places[engine].book;
    uint64_t sum[KVT_SHARD_GPUS] = {0}, orphans = 0, queued;
    for (uint32_t copy = 0; copy < room->copies.fresh; copy++) {
        const struct kvt_copy *c = kvt_copy_at(room, copy);
        const uint8_t *row = kvt_book_row(book, copy);
        if (c->place == engine && c->state == KVT_COPY_READY && !kvt_mask_whole(book, row))
            return "(K3) a block that can be used lacks a shard";
        if (c->state != KVT_COPY_ORPHAN || c->place != kvt_limbo_of(room, engine))
            continue;
        orphans++;
        if (kvt_mask_whole(book, row) || !kvt_mask_count(book, row, 1, sum))
            return "(K5) an orphan lacks nothing, or has nothing";
        if (kvt_copy_in(room, c->block, engine) != KVT_NONE)
            return "(K4) an orphan beside a copy of its block";
        if (orphan_of(room, engine, c->block) != copy)
            return "(K4) an orphan is not in its block's list, or not alone";
    }
    if (memcmp(sum, book->orphans, sizeof sum) != 0)
        return "(K5) what orphans have on a GPU is miscounted";
    const char *wrong = check_queue(room, engine, &queued);
    if (!wrong && queued != orphans)
        wrong = "(K6) an orphan was not set aside";
    return wrong;
}
