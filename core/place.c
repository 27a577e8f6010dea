/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * place.c - see place.h for the states of a copy and the invariants (L1) to (L4).
 *
 * A block's copies form a short list: at most one per tier and engine that holds it. Finding the
 * copy of a place walks that list; it is one or two long in practice, and its records lie near each
 * other.
 */
#include "place.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* A copy that ever has so many users at one time is never freed again: its count is no longer known. */
#define MOST_USERS UINT16_MAX

_Static_assert(sizeof(struct kvt_copy) == 28, "the figure in BENCHMARKS.md counts on it");

static void init_place(struct kvt_place *place, const struct kvt_core_config *config,
                       enum kvt_tier_kind tier, uint32_t engine)
{
    memset(place, 0, sizeof *place);
    place->config = &config->tiers[tier];
    place->tier = tier;
    place->engine.v = engine;
    place->up = true;
    place->newest = place->oldest = KVT_NONE;
}

static uint64_t stored_b(const struct kvt_core_config *config, const struct kvt_tier_config *tier)
{
    return (uint64_t)((double)config->block_tokens * tier->stored_b_per_token + 0.5) +
           tier->stored_b_per_block;
}

int kvt_room_init(struct kvt_store_room *room, const struct kvt_core_config *config,
                  const struct kvt_alloc *alloc, struct kvt_blocks *blocks,
                  struct kvt_core_stats *stats)
{
    memset(room, 0, sizeof *room);
    room->blocks = blocks;
    room->stats = stats;
    room->alloc = alloc;
    room->engines = config->engines;
    room->block_tokens = config->block_tokens;
    room->page_tokens = config->page_tokens;
    room->pages_per_block = config->block_tokens / config->page_tokens;
    kvt_pool_init(&room->copies, alloc, sizeof(struct kvt_copy), KVT_COPIES_SHIFT);
    const uint32_t most = config->engines * 3 + 1;
    room->places = alloc->get(alloc->self, most * sizeof *room->places);
    if (!room->places)
        return -ENOMEM;
    static const enum kvt_tier_kind order[] = {KVT_GPU, KVT_HOST, KVT_DISK, KVT_REDIS};
    for (int t = 0; t < KVT_TIERS; t++)
        room->base[t] = KVT_NONE;
    for (size_t t = 0; t < sizeof order / sizeof *order; t++) {
        const enum kvt_tier_kind tier = order[t];
        if (!config->tiers[tier].present)
            continue;
        room->base[tier] = room->n_places;
        room->stored_b[tier] = stored_b(config, &config->tiers[tier]);
        const uint32_t n = tier == KVT_REDIS ? 1 : config->engines;
        for (uint32_t e = 0; e < n; e++)
            init_place(&room->places[room->n_places++], config, tier,
                       tier == KVT_REDIS ? KVT_NONE : e);
    }
    for (uint32_t e = 0; e < config->engines; e++) {
        struct kvt_pager *pager = &room->places[e].pager;
        if (!config->page_numbers) {
            kvt_pager_init_counting(pager, config->gpu_pages);
            continue;
        }
        const int error = kvt_pager_init(pager, alloc, config->gpu_pages);
        if (error)
            return error;
        kvt_pager_expect(pager, room->pages_per_block);
    }
    return 0;
}

void kvt_room_release(struct kvt_store_room *room)
{
    if (room->places) {
        for (uint32_t p = 0; p < room->n_places; p++)
            if (room->places[p].tier == KVT_GPU)
                kvt_pager_release(&room->places[p].pager);
        room->alloc->put(room->alloc->self, room->places,
                         (room->engines * 3 + 1) * sizeof *room->places);
    }
    room->places = NULL;
    kvt_pool_release(&room->copies);
}

size_t kvt_room_memory_b(const struct kvt_store_room *room)
{
    return kvt_pool_memory_b(&room->copies) + room->n_places * sizeof *room->places;
}

uint64_t kvt_place_available(const struct kvt_place *place)
{
    const uint64_t capacity = place->config->capacity_blocks;
    return capacity == UINT64_MAX ? capacity : capacity - place->copies + place->cached;
}

bool kvt_place_fits(const struct kvt_store_room *room, const struct kvt_place *place)
{
    const struct kvt_tier_config *c = place->config;
    if (place->tier == KVT_GPU)
        return kvt_pager_free(&place->pager) >= room->pages_per_block &&
               place->copies < c->capacity_blocks;
    if (c->manager == KVT_MANAGED_BY_SERVER)
        return true;
    return place->held_blocks < c->capacity_blocks &&
           (c->capacity_b == UINT64_MAX ||
            place->held_b + room->stored_b[place->tier] <= c->capacity_b);
}

/* ---- LRU list -------------------------------------------------------------------------------- */

static void lru_push(struct kvt_store_room *room, struct kvt_place *place, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    c->newer = KVT_NONE;
    c->older = place->newest;
    if (place->newest != KVT_NONE)
        kvt_copy_at(room, place->newest)->newer = copy;
    else
        place->oldest = copy;
    place->newest = copy;
    place->cached++;
}

static void lru_remove(struct kvt_store_room *room, struct kvt_place *place, uint32_t copy)
{
    const struct kvt_copy *c = kvt_copy_at(room, copy);
    if (c->newer != KVT_NONE)
        kvt_copy_at(room, c->newer)->older = c->older;
    else
        place->newest = c->older;
    if (c->older != KVT_NONE)
        kvt_copy_at(room, c->older)->newer = c->newer;
    else
        place->oldest = c->newer;
    place->cached--;
}

/* ---- The block's list of copies
 * --------------------------------------------------------------- */

static void link_copy(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    kvt_blocks_gains(room->blocks, c->block);
    struct kvt_block *b = kvt_block_at(room->blocks, c->block);
    c->next = b->copies;
    b->copies = copy;
    struct kvt_place *place = &room->places[c->place];
    place->held_blocks++;
    place->held_b += room->stored_b[place->tier];
}

static void unlink_copy(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate)
{
    const struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_block *b = kvt_block_at(room->blocks, c->block);
    if (b->copies == copy) {
        b->copies = c->next;
    } else {
        struct kvt_copy *before = kvt_copy_at(room, b->copies);
        while (before->next != copy)
            before = kvt_copy_at(room, before->next);
        before->next = c->next;
    }
    struct kvt_place *place = &room->places[c->place];
    place->held_blocks--;
    place->held_b -= room->stored_b[place->tier];
    kvt_blocks_lost(room->blocks, c->block, fate);
}

static void free_copy(struct kvt_store_room *room, uint32_t copy)
{
    const struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_place *place = &room->places[c->place];
    place->copies--;
    if (place->tier == KVT_GPU)
        kvt_pager_give(&place->pager, c->page, room->pages_per_block);
    kvt_pool_give(&room->copies, copy);
}

/* What is in use does not expire under its users. */
static bool expired(const struct kvt_copy *c, kvt_ns now)
{
    return c->expiry && !c->users && (now >> KVT_TICK_SHIFT) >= c->expiry;
}

uint32_t kvt_copy_peek(const struct kvt_store_room *room, uint32_t block, uint32_t place,
                       kvt_ns now)
{
    uint32_t copy = kvt_block_at(room->blocks, block)->copies;
    while (copy != KVT_NONE) {
        const struct kvt_copy *c = kvt_copy_at(room, copy);
        if (c->place == place)
            return c->state == KVT_COPY_READY && expired(c, now) ? KVT_NONE : copy;
        copy = c->next;
    }
    return KVT_NONE;
}

uint32_t kvt_copy_find(struct kvt_store_room *room, uint32_t block, uint32_t place, kvt_ns now)
{
    uint32_t copy = kvt_block_at(room->blocks, block)->copies;
    while (copy != KVT_NONE) {
        const struct kvt_copy *c = kvt_copy_at(room, copy);
        if (c->place == place)
            break;
        copy = c->next;
    }
    if (copy == KVT_NONE)
        return KVT_NONE;
    const struct kvt_copy *c = kvt_copy_at(room, copy);
    if (c->state != KVT_COPY_READY || !expired(c, now))
        return copy;
    kvt_copy_drop(room, copy, KVT_FATE_EXPIRED);
    return KVT_NONE;
}

uint32_t kvt_copy_new(struct kvt_store_room *room, uint32_t block, uint32_t place_index,
                      enum kvt_copy_state state, const struct kvt_page_run *pages)
{
    struct kvt_place *place = &room->places[place_index];
    struct kvt_page_run run = {.first = KVT_NONE};
    const uint32_t copy = kvt_pool_take(&room->copies);
    if (copy == KVT_NONE)
        return KVT_NONE;
    if (pages) {
        run = *pages;
    } else if (place->tier == KVT_GPU &&
               !kvt_pager_take(&place->pager, room->pages_per_block, &run)) {
        kvt_pool_give(&room->copies, copy);
        return KVT_NONE;
    }
    place->copies++;
    struct kvt_copy *c = kvt_copy_at(room, copy);
    c->block = block;
    c->newer = c->older = c->next = KVT_NONE;
    c->page = run.first;
    c->expiry = 0;
    c->users = 1;
    c->place = place_index & 0x1fff;
    c->state = state & 7u;
    if (state == KVT_COPY_FILLING)
        link_copy(room, copy);
    return copy;
}

static void start_life(const struct kvt_store_room *room, struct kvt_copy *c, kvt_ns now)
{
    const kvt_ns ttl = room->places[c->place].config->ttl_ns;
    if (ttl == KVT_NEVER)
        return;
    const kvt_ns end = kvt_ns_add(now, ttl) >> KVT_TICK_SHIFT;
    /* +1: rounds up, and 0 stays free for "never" */
    c->expiry = end >= UINT32_MAX ? 0 : (uint32_t)end + 1;
}

void kvt_copy_ready(struct kvt_store_room *room, uint32_t copy, kvt_ns now)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->state == KVT_COPY_FILLING && c->users > 0);
    c->state = KVT_COPY_READY;
    start_life(room, c, now);
}

void kvt_copy_publish(struct kvt_store_room *room, uint32_t copy, kvt_ns now)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->state == KVT_COPY_PRIVATE && c->users > 0);
    if (kvt_copy_find(room, c->block, c->place, now) != KVT_NONE) {
        c->state = KVT_COPY_ALONE;
        return;
    }
    c->state = KVT_COPY_READY;
    link_copy(room, copy);
    start_life(room, c, now);
}

void kvt_copy_void(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->users > 0); /* hence not on the LRU list */
    const bool listed = c->state == KVT_COPY_FILLING || c->state == KVT_COPY_READY;
    c->state = KVT_COPY_VOID;
    if (listed)
        unlink_copy(room, copy, fate);
}

void kvt_copy_use(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    if (c->users == 0 && c->state == KVT_COPY_READY)
        lru_remove(room, &room->places[c->place], copy);
    if (c->users < MOST_USERS)
        c->users++;
}

void kvt_copy_unuse(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->users > 0);
    if (c->users == MOST_USERS || --c->users)
        return;
    assert(c->state != KVT_COPY_FILLING); /* its filler is a user and publishes or voids it first */
    if (c->state == KVT_COPY_READY)
        lru_push(room, &room->places[c->place], copy);
    else
        free_copy(room, copy);
}

void kvt_copy_refresh(struct kvt_store_room *room, uint32_t copy, kvt_ns now)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    if (room->places[c->place].config->ttl_refresh && c->state == KVT_COPY_READY)
        start_life(room, c, now);
}

void kvt_copy_drop(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->state == KVT_COPY_READY && !c->users);
    struct kvt_place *place = &room->places[c->place];
    if (fate == KVT_FATE_EVICTED)
        room->stats->evicted_blocks[place->tier]++;
    else if (fate == KVT_FATE_EXPIRED)
        room->stats->expired_blocks[place->tier]++;
    if (place->tier != KVT_GPU && place->config->manager == KVT_MANAGED_BY_CORE)
        room->gone(room->gone_self, c->place, c->block,
                   kvt_block_key(kvt_block_at(room->blocks, c->block)));
    lru_remove(room, place, copy);
    unlink_copy(room, copy, fate);
    free_copy(room, copy);
}

bool kvt_place_evict(struct kvt_store_room *room, uint32_t place, kvt_ns now)
{
    const uint32_t copy = room->places[place].oldest;
    if (copy == KVT_NONE)
        return false;
    const struct kvt_copy *c = kvt_copy_at(room, copy);
    kvt_copy_drop(room, copy, expired(c, now) ? KVT_FATE_EXPIRED : KVT_FATE_EVICTED);
    return true;
}
