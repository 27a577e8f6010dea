/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * place.h - where copies of blocks lie: one place per engine and tier (gpu, host, disk), one shared
 * redis.
 *
 * A copy ties a block to a place. It is FILLING while its bytes are on their way, and READY when
 * they can be read. Outside the table, where nobody else finds them, are duplicates (PRIVATE until
 * filled, then ALONE) and the remains of a copy that is still in use but lost (VOID). Users count in
 * `users`: the requests that hold it, and every operation that reads or writes it.
 *
 *              new             arrived             last user leaves: on the LRU list
 *      nothing ----> FILLING ----> READY <--------------------------------------------+
 *                       |            |                                                |
 *                       | filler     +-- evict, expire, drop --> freed                +-- again used
 *                       v gives up   | engine lost while in use
 *                     VOID <---------+
 *                       +-- last user leaves --> freed
 *
 *      nothing ----> PRIVATE ----> READY if the block has no other copy here, else ALONE ---> freed
 *
 *   (L1) FILLING and READY copies are in their block's list and count as held by the place.
 *   (L2) A copy is on the place's LRU list exactly when it is READY and has no user.
 *   (L3) held_blocks <= capacity_blocks and held_b <= capacity_b, in a place that core manages.
 *   (L4) At most one copy of a block per place is in the block's list.
 *
 * GPU places own a pager: a copy's pages are a chain from `page` on. Elsewhere `page` is KVT_NONE.
 * Every copy takes the room of a whole block, so that a copy need not store its length; a partial
 * last block (kept only on request, for traces that name it) takes that room too.
 */
#ifndef KVT_PLACE_H
#define KVT_PLACE_H

#include "block.h"
#include "core.h"
#include "pager.h"

enum kvt_copy_state {
    KVT_COPY_FILLING,
    KVT_COPY_READY,
    KVT_COPY_PRIVATE, /* to be filled, outside the table */
    KVT_COPY_ALONE,   /* filled, outside the table: the block has another copy in the place */
    KVT_COPY_VOID
};

struct kvt_copy {
    uint32_t block;
    uint32_t newer, older; /* LRU neighbours */
    uint32_t next;         /* next copy of the same block */
    uint32_t page;         /* first GPU page */
    uint32_t expiry;       /* tick after which it is no longer valid, 0: never */
    uint16_t users;
    uint16_t place : 13; /* three per engine and one: 2048 engines fit */
    uint16_t state : 3;
};

struct kvt_place {
    const struct kvt_tier_config *config;
    enum kvt_tier_kind tier;
    kvt_engine_id engine; /* KVT_NONE for the shared tier */
    bool up;
    uint32_t newest, oldest; /* LRU list */
    uint64_t held_blocks, held_b;
    uint64_t copies;        /* in whatever state, the private and void ones too */
    uint64_t cached;        /* copies on the LRU list */
    struct kvt_pager pager; /* gpu only */
};

/* Everything about copies and places of a cluster. */
struct kvt_store_room {
    /* private: */
    struct kvt_blocks *blocks;
    struct kvt_pool copies;
    struct kvt_place *places;
    uint32_t n_places;
    uint32_t base[KVT_TIERS]; /* first place of a tier, KVT_NONE when absent */
    const struct kvt_alloc *alloc;
    uint32_t engines, block_tokens, page_tokens, pages_per_block;
    uint64_t stored_b[KVT_TIERS]; /* per copy */
    struct kvt_core_stats *stats; /* evictions and expiries are counted here; borrowed */
    /* Called when a copy leaves a host, disk or core-managed redis place, so that the world
     * frees it. */
    void (*gone)(void *self, uint32_t place, uint32_t block, kvt_key key);
    void *gone_self;
};

/* A TTL tick is 2^26 ns, about 67 ms: 32 bits of them last nine years. */
enum { KVT_TICK_SHIFT = 26 };

enum { KVT_COPIES_SHIFT = 13 }; /* copies to a segment of their pool, as a power of two */

static inline struct kvt_copy *kvt_copy_at(const struct kvt_store_room *room, uint32_t copy)
{
    return kvt_pool_at_known(&room->copies, copy, KVT_COPIES_SHIFT, sizeof(struct kvt_copy));
}
static inline struct kvt_place *kvt_place_of(const struct kvt_store_room *room, uint32_t copy)
{
    return &room->places[kvt_copy_at(room, copy)->place];
}

static inline bool kvt_copy_filled(const struct kvt_copy *c)
{
    return c->state == KVT_COPY_READY || c->state == KVT_COPY_ALONE;
}

/* Pages that `tokens` tokens take. */
static inline uint32_t kvt_pages_for(const struct kvt_store_room *room, uint64_t tokens)
{
    return (uint32_t)((tokens + room->page_tokens - 1) / room->page_tokens);
}

/* The copy of a block in a place that is in the block's list (FILLING or READY), else KVT_NONE.
 * An expired READY copy without users is freed on the way and counted, and is not found. */
uint32_t kvt_copy_find(struct kvt_store_room *room, uint32_t block, uint32_t place, kvt_ns now);

/* The same without any change; expired copies are not found. */
uint32_t kvt_copy_peek(const struct kvt_store_room *room, uint32_t block, uint32_t place,
                       kvt_ns now);

/* A new copy with one user in a place, FILLING (in the block's list) or PRIVATE. The caller made
 * room before. gpu: takes a block of pages, or the chain `pages` if that is not NULL. KVT_NONE
 * when pages or records lack. */
uint32_t kvt_copy_new(struct kvt_store_room *room, uint32_t block, uint32_t place,
                      enum kvt_copy_state state, const struct kvt_page_run *pages);

/* A FILLING copy has arrived. With a TTL in its tier the life starts now. */
void kvt_copy_ready(struct kvt_store_room *room, uint32_t copy, kvt_ns now);

/* A PRIVATE copy has arrived: READY for all if the block has no copy in its place, else ALONE. */
void kvt_copy_publish(struct kvt_store_room *room, uint32_t copy, kvt_ns now);

/* A copy in use will not arrive, or was lost: leaves the block's list if it is there. The caller
 * still is a user. */
void kvt_copy_void(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate);

void kvt_copy_use(struct kvt_store_room *room, uint32_t copy);
/* The last user's leaving puts a READY copy at the newest end of the LRU list, and frees any
 * other. */
void kvt_copy_unuse(struct kvt_store_room *room, uint32_t copy);

/* Renews the TTL where the tier says so. */
void kvt_copy_refresh(struct kvt_store_room *room, uint32_t copy, kvt_ns now);

/* Frees the oldest unused copy of the place. False when nothing can go. */
bool kvt_place_evict(struct kvt_store_room *room, uint32_t place, kvt_ns now);

/* Removes a READY copy without users, saying how it went. */
void kvt_copy_drop(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate);

/* How many more copies the place could hold if every unused one were evicted; UINT64_MAX when
 * unlimited. */
uint64_t kvt_place_available(const struct kvt_place *place);

/* True when one more block fits without evicting. */
bool kvt_place_fits(const struct kvt_store_room *room, const struct kvt_place *place);

/* Sets up the places (gpu 0 .. E-1, then host, disk per engine where present, then redis) of a
 * checked config. 0 or -ENOMEM. kvt_room_place gives a tier's place as seen from an engine,
 * KVT_NONE if absent. */
KVT_MUST_CHECK int kvt_room_init(struct kvt_store_room *room, const struct kvt_core_config *config,
                                 const struct kvt_alloc *alloc, struct kvt_blocks *blocks,
                                 struct kvt_core_stats *stats);
void kvt_room_release(struct kvt_store_room *room);
size_t kvt_room_memory_b(const struct kvt_store_room *room);

static inline uint32_t kvt_room_place(const struct kvt_store_room *room, enum kvt_tier_kind tier,
                                      uint32_t engine)
{
    const uint32_t base = room->base[tier];
    return base == KVT_NONE ? KVT_NONE : tier == KVT_REDIS ? base : base + engine;
}

#endif
