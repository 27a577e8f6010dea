/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * place.c - see place.h for the states of a copy and the invariants (L1) to (L4).
 *
 * A block's copies form a short list: at most one per tier and engine that holds it. Finding the
 * copy of a place walks that list; it is one or two long in practice, and its records lie near each
 * other.
 */
#include "place.h"

#include "order.h"
#include "orphans.h"
#include "shard_mask.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { AHEAD = 16 };

_Static_assert(sizeof(struct kvt_copy) == 20, "the figure in BENCHMARKS.md counts on it");

static void init_place(struct kvt_place *place, const struct kvt_core_config *config,
                       enum kvt_tier_kind tier, uint32_t engine)
{
    memset(place, 0, sizeof *place);
    place->config = &config->tiers[tier];
    place->tier = tier;
    place->engine.v = engine;
    place->up = true;
    place->closed = place->config->prefix_closed;
    place->ordered = tier == KVT_GPU || place->config->manager == KVT_MANAGED_BY_CORE;
    place->reserves = place->ordered && place->config->evict->reserve;
}

static uint64_t stored_b(const struct kvt_core_config *config, const struct kvt_tier_config *tier)
{
    return (uint64_t)((double)config->block_tokens * tier->stored_b_per_token + 0.5) +
           tier->stored_b_per_block;
}

/* Tiers whose policies have rows of one size share them: a copy belongs to one place at a time. */
static void init_rows(struct kvt_store_room *room, enum kvt_tier_kind tier, uint32_t row_b)
{
    for (uint32_t i = 0; i < room->n_rows; i++) {
        if (room->rows[i].record_b == row_b) {
            room->rows_of[tier] = (uint8_t)i;
            return;
        }
    }
    room->rows_of[tier] = (uint8_t)room->n_rows;
    kvt_pool_init(&room->rows[room->n_rows++], room->alloc, row_b, KVT_ROWS_SHIFT);
}

static void init_tiers(struct kvt_store_room *room, const struct kvt_core_config *config)
{
    static const enum kvt_tier_kind order[] = {KVT_GPU, KVT_HOST, KVT_DISK, KVT_REDIS};
    room->has_more = config->n_quotas > 0;
    for (int t = 0; t < KVT_TIERS; t++)
        room->base[t] = KVT_NONE;
    for (size_t t = 0; t < sizeof order / sizeof *order; t++) {
        const enum kvt_tier_kind tier = order[t];
        const struct kvt_tier_config *c = &config->tiers[tier];
        if (!c->present)
            continue;
        room->base[tier] = room->n_places;
        room->stored_b[tier] = stored_b(config, c);
        room->has_ttl |= c->ttl_ns != KVT_NEVER;
        room->has_more |= room->has_ttl;
        init_rows(room, tier, c->evict->row_b);
        const struct kvt_regions *regions = &config->regions;
        const bool shared = tier == KVT_REDIS, parted = shared && regions->n > 1;
        const uint32_t n = parted ? regions->n : shared ? 1 : config->engines;
        for (uint32_t e = 0; e < n; e++)
            init_place(&room->places[room->n_places++], config, tier,
                       parted   ? regions->first[e]
                       : shared ? KVT_NONE
                                : e);
    }
}

static int init_pagers(struct kvt_store_room *room, const struct kvt_core_config *config,
                       const struct kvt_alloc *alloc)
{
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

/* Never up, so nothing in it is found. */
static void init_limbo(struct kvt_store_room *room, uint32_t engine)
{
    room->limbo = room->n_places;
    kvt_mask_init(&room->books[engine]);
    room->places[room->limbo + engine] = (struct kvt_place){
        .config = room->places[engine].config,
        .tier = KVT_GPU,
        .engine = {engine},
        .book = &room->books[engine],
    };
}

static int init_books(struct kvt_store_room *room, const struct kvt_core_config *config)
{
    if (!config->shard.policy)
        return 0;
    const size_t size_b = config->engines * sizeof *room->books;
    room->books = room->alloc->get(room->alloc->self, size_b);
    if (!room->books)
        return -ENOMEM;
    memset(room->books, 0, size_b);
    struct kvt_shards *shape = &room->books->shards; /* scratch until the book is made */
    kvt_shards_init(shape, &config->shard);
    struct kvt_shard_config after = config->shard;
    after.gpus = config->resize.gpus;
    const bool grows = after.gpus > 0;
    kvt_pool_init(&room->shard_rows, room->alloc,
                  grows                 ? kvt_book_joint_row_b(&config->shard, &after)
                  : config->shard_alone ? kvt_mask_row_b(shape)
                                        : kvt_shard_row_b(shape),
                  KVT_SHARD_ROWS_SHIFT);
    for (uint32_t e = 0; e < config->engines; e++) {
        struct kvt_shard_book *book = &room->books[e];
        if (grows ? kvt_book_init_joint(book, &config->shard, &after, &config->shard_room,
                                        &room->shard_rows, room->alloc)
                  : kvt_book_init(book, &config->shard, &config->shard_room, &room->shard_rows,
                                  room->alloc))
            return -ENOMEM;
        room->places[e].book = &room->books[e];
        if (config->shard_alone)
            init_limbo(room, e);
    }
    return 0;
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
    room->prefill = config->prefill;
    room->quotas = config->quotas;
    room->n_quotas = config->n_quotas;
    room->regions = &config->regions;
    room->search = 1;
    room->linked = KVT_NONE;
    kvt_pool_init(&room->copies, alloc, sizeof(struct kvt_copy), KVT_COPIES_SHIFT);
    kvt_pool_init(&room->more, alloc, sizeof(struct kvt_copy_more), KVT_COPIES_SHIFT);
    room->limbo = KVT_NONE;
    room->room_places = config->engines * (config->shard_alone ? 4 : 3) + KVT_REGIONS_MOST;
    room->places = alloc->get(alloc->self, room->room_places * sizeof *room->places);
    if (!room->places)
        return -ENOMEM;
    init_tiers(room, config);
    if (init_pagers(room, config, alloc) || init_books(room, config))
        return -ENOMEM;
    for (uint32_t p = 0; p < room->n_places; p++) {
        struct kvt_place *place = &room->places[p];
        /* what equal blocks take weighs the same, whatever it is; nothing weighs nothing */
        const uint64_t b = room->stored_b[place->tier];
        place->item_b = b > UINT32_MAX ? UINT32_MAX : b ? (uint32_t)b : 1;
        if (kvt_order_init(room, place))
            return -ENOMEM;
    }
    return 0;
}

void kvt_room_release(struct kvt_store_room *room)
{
    if (room->places) {
        for (uint32_t p = 0; p < room->n_places; p++) {
            kvt_order_release(room, &room->places[p]);
            if (room->places[p].tier == KVT_GPU)
                kvt_pager_release(&room->places[p].pager);
        }
        room->alloc->put(room->alloc->self, room->places, room->room_places * sizeof *room->places);
    }
    room->places = NULL;
    if (room->books) {
        for (uint32_t e = 0; e < room->engines; e++)
            kvt_book_release(&room->books[e]);
        room->alloc->put(room->alloc->self, room->books, room->engines * sizeof *room->books);
        kvt_pool_release(&room->shard_rows);
    }
    room->books = NULL;
    for (uint32_t i = 0; i < room->n_rows; i++)
        kvt_pool_release(&room->rows[i]);
    kvt_pool_release(&room->more);
    kvt_pool_release(&room->copies);
}

size_t kvt_room_memory_b(const struct kvt_store_room *room)
{
    size_t sum = kvt_pool_memory_b(&room->copies) + kvt_pool_memory_b(&room->more) +
                 room->n_places * sizeof *room->places;
    for (uint32_t i = 0; i < room->n_rows; i++)
        sum += kvt_pool_memory_b(&room->rows[i]);
    if (room->books)
        sum += room->engines * sizeof *room->books + kvt_pool_memory_b(&room->shard_rows);
    for (uint32_t p = 0; p < room->n_places; p++)
        sum += kvt_order_memory_b(room, &room->places[p]);
    return sum;
}

/* Every record of the pool has its rows. */
static int cover_more(struct kvt_store_room *room)
{
    const uint32_t segments = room->copies.n_segments;
    const uint32_t last = (segments << KVT_COPIES_SHIFT) - 1;
    int error = room->has_more ? kvt_rows_cover(&room->more, last) : 0;
    if (!error && room->books)
        error = kvt_book_cover(&room->shard_rows, last);
    for (uint32_t i = 0; !error && i < room->n_rows; i++)
        error = kvt_rows_cover(&room->rows[i], last);
    if (!error)
        room->covered = segments;
    return error;
}

static inline int cover(struct kvt_store_room *room)
{
    return room->copies.n_segments == room->covered ? 0 : cover_more(room);
}

int kvt_room_reserve(struct kvt_store_room *room, uint32_t place_index, uint64_t spare)
{
    struct kvt_place *place = &room->places[place_index];
    if (kvt_pool_reserve(&room->copies, spare) || cover(room))
        return -ENOMEM;
    return place->reserves ? kvt_order_reserve(place, place->copies + spare) : 0;
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

/* ---- The block's list of copies
 * --------------------------------------------------------------- */

/* The copy, in the same place, of the block before; KVT_NONE when there is none. */
static uint32_t parent_of(const struct kvt_store_room *room, const struct kvt_copy *c)
{
    const uint32_t parent = kvt_block_at(room->blocks, c->block)->parent;
    /* a number that was forgotten may be used again, or free (block.h) */
    return parent == KVT_NONE || !kvt_block_live(room->blocks, parent)
               ? KVT_NONE
               : kvt_copy_in(room, parent, c->place);
}

/* The same for a copy that is about to be linked. Chains come in order, so its parent mostly is what was
 * linked last; by (L4) no other copy can be. */
static uint32_t parent_to_be(const struct kvt_store_room *room, const struct kvt_copy *c)
{
    if (room->linked != KVT_NONE) {
        const struct kvt_copy *last = kvt_copy_at(room, room->linked);
        const bool listed = last->state == KVT_COPY_FILLING || last->state == KVT_COPY_READY;
        if (listed && last->place == c->place &&
            last->block == kvt_block_at(room->blocks, c->block)->parent)
            return room->linked;
    }
    return parent_of(room, c);
}

static void link_copy(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_place *place = &room->places[c->place];
    const uint32_t parent = place->closed ? parent_to_be(room, c) : KVT_NONE;
    kvt_blocks_gains(room->blocks, c->block);
    struct kvt_block *b = kvt_block_at(room->blocks, c->block);
    c->next = b->copies;
    b->copies = copy;
    place->held_blocks++;
    place->held_b += room->stored_b[place->tier];
    room->linked = copy;
    if (room->n_quotas)
        kvt_order_held(room, copy, true);
    if (parent != KVT_NONE && kvt_copy_at(room, parent)->children < KVT_CHILDREN_MOST)
        kvt_copy_at(room, parent)->children++;
}

static inline void unlist(struct kvt_store_room *room, uint32_t copy)
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
}

void kvt_copy_unlist(struct kvt_store_room *room, uint32_t copy)
{
    unlist(room, copy);
}

static void unlink_copy(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate)
{
    const struct kvt_copy *c = kvt_copy_at(room, copy);
    unlist(room, copy);
    struct kvt_place *place = &room->places[c->place];
    place->held_blocks--;
    place->held_b -= room->stored_b[place->tier];
    if (room->n_quotas)
        kvt_order_held(room, copy, false);
    const uint32_t parent = place->closed ? parent_of(room, c) : KVT_NONE;
    if (parent != KVT_NONE && kvt_copy_at(room, parent)->children) {
        kvt_copy_at(room, parent)->children--;
        kvt_order_idle(room, parent);
    }
    kvt_blocks_lost(room->blocks, c->block, fate);
}

static void free_copy(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_place *place = &room->places[c->place];
    c->state = KVT_COPY_VOID; /* whoever walks the pool passes it by */
    place->copies--;
    if (place->tier == KVT_GPU)
        kvt_pager_give(&place->pager, c->page, room->pages_per_block);
    kvt_pool_give_known(&room->copies, copy, KVT_COPIES_SHIFT, sizeof(struct kvt_copy));
}

/* ---- Time to live ------------------------------------------------------------------------------- */

kvt_ns kvt_copy_expiry_ns(const struct kvt_store_room *room, uint32_t copy)
{
    const uint32_t tick = room->has_more ? kvt_copy_more(room, copy)->expiry : 0;
    return tick ? (kvt_ns)tick << KVT_TICK_SHIFT : KVT_NEVER;
}

bool kvt_copy_past(const struct kvt_store_room *room, uint32_t copy)
{
    const uint32_t tick = room->has_more ? kvt_copy_more(room, copy)->expiry : 0;
    return tick && (room->now >> KVT_TICK_SHIFT) >= tick;
}

/* What is in use does not expire under its users. */
static bool expired(const struct kvt_store_room *room, uint32_t copy)
{
    const struct kvt_copy *c = kvt_copy_at(room, copy);
    return room->has_more && c->state == KVT_COPY_READY && !c->users && kvt_copy_past(room, copy);
}

void kvt_copy_start_life(const struct kvt_store_room *room, uint32_t copy)
{
    const kvt_ns ttl = kvt_place_of(room, copy)->config->ttl_ns;
    if (ttl == KVT_NEVER)
        return;
    const kvt_ns end = kvt_ns_add(room->now, ttl) >> KVT_TICK_SHIFT;
    /* +1: rounds up, and 0 stays free for "never" */
    kvt_copy_more(room, copy)->expiry = end >= UINT32_MAX ? 0 : (uint32_t)end + 1;
}

void kvt_copy_renew(struct kvt_store_room *room, uint32_t copy)
{
    if (kvt_place_of(room, copy)->config->ttl_refresh &&
        kvt_copy_at(room, copy)->state == KVT_COPY_READY)
        kvt_copy_start_life(room, copy);
}

/* ---- Life of a copy ----------------------------------------------------------------------------- */

uint32_t kvt_copy_peek_alive(const struct kvt_store_room *room, uint32_t block, uint32_t place)
{
    const uint32_t copy = kvt_copy_in(room, block, place);
    return copy != KVT_NONE && expired(room, copy) ? KVT_NONE : copy;
}

uint32_t kvt_copy_find_alive(struct kvt_store_room *room, uint32_t block, uint32_t place)
{
    const uint32_t copy = kvt_copy_in(room, block, place);
    if (copy == KVT_NONE || !expired(room, copy))
        return copy;
    kvt_copy_drop(room, copy, KVT_FATE_EXPIRED);
    return KVT_NONE;
}

uint32_t kvt_copy_new(struct kvt_store_room *room, uint32_t block, uint32_t place_index,
                      enum kvt_copy_state state, uint32_t tenant, const struct kvt_page_run *pages)
{
    struct kvt_place *place = &room->places[place_index];
    struct kvt_page_run run = {.first = KVT_NONE};
    const uint32_t copy =
        kvt_pool_take_known(&room->copies, KVT_COPIES_SHIFT, sizeof(struct kvt_copy));
    if (copy == KVT_NONE)
        return KVT_NONE;
    if (pages)
        run = *pages;
    if (cover(room) || (place->reserves && kvt_order_reserve(place, place->copies + 1)) ||
        (!pages && place->tier == KVT_GPU &&
         !kvt_pager_take(&place->pager, room->pages_per_block, &run))) {
        kvt_copy_at(room, copy)->state = KVT_COPY_VOID;
        kvt_pool_give(&room->copies, copy);
        return KVT_NONE;
    }
    place->copies++;
    if (place->book)
        kvt_book_add(place->book, copy);
    if (room->limbo != KVT_NONE && place->book)
        kvt_orphans_adopt(room, copy, block, place_index);
    struct kvt_copy *c = kvt_copy_at(room, copy);
    *c = (struct kvt_copy){.block = block,
                           .next = KVT_NONE,
                           .page = run.first,
                           .users = 1,
                           .place = place_index & 0x1fff,
                           .state = state & 7u};
    if (room->has_more)
        *kvt_copy_more(room, copy) = (struct kvt_copy_more){.tenant = tenant};
    if (state == KVT_COPY_FILLING)
        link_copy(room, copy);
    return copy;
}

void kvt_copy_publish(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->state == KVT_COPY_PRIVATE && c->users > 0);
    if (kvt_copy_find(room, c->block, c->place) != KVT_NONE) {
        c->state = KVT_COPY_ALONE;
        return;
    }
    if (room->limbo != KVT_NONE && kvt_place_of(room, copy)->book)
        kvt_orphans_supersede(room, c->place, c->block);
    c->state = KVT_COPY_READY;
    link_copy(room, copy);
    if (room->has_ttl)
        kvt_copy_start_life(room, copy);
}

void kvt_copy_keep_alone(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->state == KVT_COPY_PRIVATE && c->users > 0);
    c->state = KVT_COPY_ALONE;
}

void kvt_copy_void(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->users > 0); /* hence does not count as cached */
    const bool listed = c->state == KVT_COPY_FILLING || c->state == KVT_COPY_READY;
    kvt_order_gone(room, copy, false);
    c->state = KVT_COPY_VOID;
    if (listed)
        unlink_copy(room, copy, fate);
}

/* A READY copy lost its last user. */
static inline void rest(struct kvt_place *place, uint32_t copy)
{
    place->cached++;
    if (place->book)
        kvt_book_rest(place->book, copy);
}

/* It has one again. */
void kvt_copy_wake(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_place *place = kvt_place_of(room, copy);
    place->cached--;
    if (!place->book)
        return;
    if (place->book->mask_b)
        kvt_orphans_rejoin(place->book, copy);
    kvt_book_wake(place->book, copy);
}

/* True when the copy is still there. */
static inline bool leave(struct kvt_store_room *room, struct kvt_place *place, struct kvt_copy *c,
                         uint32_t copy)
{
    assert(c->users > 0);
    if (c->users == KVT_USERS_MOST || --c->users)
        return true;
    assert(c->state != KVT_COPY_FILLING); /* its filler is a user and publishes or voids it first */
    if (c->state != KVT_COPY_READY) {
        if (place->book)
            kvt_book_remove(place->book, copy);
        free_copy(room, copy);
        return false;
    }
    rest(place, copy);
    return true;
}

void kvt_copy_unuse(struct kvt_store_room *room, uint32_t copy, const struct kvt_use *use)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_place *place = &room->places[c->place];
    if (!leave(room, place, c, copy) || c->users || c->state != KVT_COPY_READY || !place->ordered)
        return;
    if (!c->known)
        kvt_order_used(room, copy, use);
    else
        kvt_order_idle(room, copy);
}

void kvt_copy_used(struct kvt_store_room *room, uint32_t copy, const struct kvt_use *use)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_place *place = &room->places[c->place];
    if (!leave(room, place, c, copy) || c->state != KVT_COPY_READY)
        return;
    if (c->uses < KVT_USES_MOST)
        c->uses++;
    if (place->ordered)
        kvt_order_used(room, copy, use);
}

void kvt_copy_drop(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate)
{
    const struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->state == KVT_COPY_READY && !c->users);
    struct kvt_place *place = &room->places[c->place];
    if (fate == KVT_FATE_EVICTED)
        room->stats->evicted_blocks[place->tier]++;
    else if (fate == KVT_FATE_EXPIRED)
        room->stats->expired_blocks[place->tier]++;
    if (place->tier != KVT_GPU && place->config->manager == KVT_MANAGED_BY_CORE)
        room->gone(room->gone_self, c->place, c->block,
                   kvt_block_key(kvt_block_at(room->blocks, c->block)));
    place->cached--;
    if (place->book)
        kvt_book_evict(place->book, copy);
    if (place->book && place->book->mask_b)
        kvt_orphans_rejoin(place->book, copy);
    kvt_order_gone(room, copy, fate == KVT_FATE_EVICTED);
    unlink_copy(room, copy, fate);
    free_copy(room, copy);
}

/* Chains mostly leave from their end and have numbers in order: the blocks before this one are next, and
 * in a large table nobody has looked at them for long. */
static void fetch_soon(const struct kvt_store_room *room, uint32_t copy)
{
    const uint32_t block = kvt_copy_at(room, copy)->block;
    if (block >= AHEAD)
        __builtin_prefetch(kvt_block_at(room->blocks, block - AHEAD), 1);
}

bool kvt_place_evict(struct kvt_store_room *room, uint32_t place)
{
    if (!room->places[place].ordered)
        return false;
    if (room->limbo != KVT_NONE && room->places[place].book && kvt_orphans_evict_first(room, place))
        return true;
    const uint32_t copy = kvt_order_victim(room, place);
    if (copy == KVT_NONE)
        return false;
    fetch_soon(room, copy);
    kvt_copy_drop(room, copy, expired(room, copy) ? KVT_FATE_EXPIRED : KVT_FATE_EVICTED);
    return true;
}
