/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * place.h - where copies of blocks lie: one place per engine and tier (gpu, host, disk), one shared
 * redis, or one in each region (region.h).
 *
 * A copy ties a block to a place. It is FILLING while its bytes are on their way, and READY when
 * they can be read. Outside the table, where nobody else finds them, are duplicates (PRIVATE until
 * filled, then ALONE) and the remains of a copy that is still in use but lost (VOID). Users count in
 * `users`: the requests that hold it, and every operation that reads or writes it.
 *
 *              new             arrived             last user leaves: may leave (order.h)
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
 *   (L2) A copy counts as cached exactly when it is READY and has no user.
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
#include "evict.h"
#include "pager.h"
#include "region.h"

#include <assert.h>

enum kvt_copy_state {
    KVT_COPY_FILLING,
    KVT_COPY_READY,
    KVT_COPY_PRIVATE, /* to be filled, outside the table */
    KVT_COPY_ALONE,   /* filled, outside the table: the block has another copy in the place */
    KVT_COPY_VOID,
    KVT_COPY_ORPHAN /* lacks a shard: in its block's list, but not in the place (orphans.h) */
};

struct kvt_copy {
    uint32_t block;
    uint32_t next;          /* next copy of the same block */
    uint32_t page;          /* first GPU page */
    uint32_t children : 22; /* copies in the same place of blocks that follow this one (order.h) */
    uint32_t uses : 8;      /* times it was used here, up to KVT_USES_MOST */
    uint32_t known : 1;     /* to the place's policy */
    uint32_t parked : 1;
    uint16_t users;
    uint16_t place : 13; /* three per engine and eight: 2048 engines fit */
    uint16_t state : 3;
};

/* A copy that ever has so many users at one time is never freed again: its count is no longer known. */
enum { KVT_USERS_MOST = UINT16_MAX, KVT_USES_MOST = 255, KVT_CHILDREN_MOST = (1 << 22) - 1 };

/* Kept beside a copy where some tier has a TTL, or tenants have quotas. */
struct kvt_copy_more {
    uint32_t expiry; /* tick after which it is no longer valid, 0: never */
    uint32_t tenant;
};

/* The copies of one tenant in a place, or of all where there are no quotas. */
struct kvt_part {
    struct kvt_evict evict;
    double quota; /* share of the place */
    uint64_t held_blocks;
    uint64_t known;  /* to the policy */
    uint64_t passed; /* by the search for a victim of this number */
};

struct kvt_place {
    const struct kvt_tier_config *config;
    enum kvt_tier_kind tier;
    kvt_engine_id engine; /* KVT_NONE for the shared tier; in regions the first of its own */
    bool up;
    bool closed;     /* prefix-closed: leaves of chains go first */
    bool ordered;    /* core decides who leaves; else the server does */
    bool reserves;   /* its policy wants memory before it holds more */
    bool plain;      /* one part, and its policy looks at slots only */
    uint32_t item_b; /* bytes of a block, as its policy sees them */
    uint32_t n_parts;
    struct kvt_part *parts;
    uint64_t held_blocks, held_b;
    uint64_t copies;             /* in whatever state, the private and void ones too */
    uint64_t cached;             /* READY copies without users */
    struct kvt_pager pager;      /* gpu only */
    struct kvt_shard_book *book; /* gpu of a sharded engine; else NULL */
};

/* Everything about copies and places of a cluster. */
struct kvt_store_room {
    /* private: */
    struct kvt_blocks *blocks;
    struct kvt_pool copies;
    struct kvt_pool more; /* struct kvt_copy_more by copy; empty without TTLs and quotas */
    struct kvt_pool rows[KVT_TIERS]; /* of policies, by copy; tiers with rows of one size share */
    uint32_t n_rows, covered;        /* covered: segments of copies that have rows */
    uint8_t rows_of[KVT_TIERS];
    struct kvt_pool shard_rows;   /* by copy; empty without sharding */
    struct kvt_shard_book *books; /* by engine; NULL without sharding */
    bool has_more, has_ttl;
    struct kvt_place *places;
    uint32_t n_places, room_places;
    uint32_t base[KVT_TIERS]; /* first place of a tier, KVT_NONE when absent */
    uint32_t limbo; /* behind the places one more per engine, for orphans; KVT_NONE: none */
    const struct kvt_alloc *alloc;
    uint32_t engines, block_tokens, page_tokens, pages_per_block;
    struct kvt_prefill_cost prefill;
    const struct kvt_regions *regions; /* the config's */
    const double *quotas;              /* by tenant, the last for all further ones */
    uint32_t n_quotas;                 /* 0: none */
    kvt_ns now;
    uint32_t hand;                /* where the last walk for an unused copy ended */
    uint32_t linked;              /* copy that came into its block's list last; KVT_NONE at first */
    uint64_t search;              /* searches for a victim among parts so far */
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
/* Fetches a copy and its policy's row ahead: both are misses in every cache level of a large cache. */
static inline void kvt_copy_prefetch(const struct kvt_store_room *room, uint32_t copy,
                                     const struct kvt_pool *rows)
{
    __builtin_prefetch(kvt_copy_at(room, copy), 1);
    __builtin_prefetch(kvt_pool_at(rows, copy), 1);
}

/* Only where room->has_more. */
static inline struct kvt_copy_more *kvt_copy_more(const struct kvt_store_room *room, uint32_t copy)
{
    return kvt_pool_at_known(&room->more, copy, KVT_COPIES_SHIFT, sizeof(struct kvt_copy_more));
}
static inline struct kvt_pool *kvt_room_rows(struct kvt_store_room *room, enum kvt_tier_kind tier)
{
    return &room->rows[room->rows_of[tier]];
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

/* The copy of a block in a place that is in the block's list, expired or not, else KVT_NONE. */
static inline uint32_t kvt_copy_in(const struct kvt_store_room *room, uint32_t block,
                                   uint32_t place)
{
    uint32_t copy = kvt_block_at(room->blocks, block)->copies;
    while (copy != KVT_NONE && kvt_copy_at(room, copy)->place != place)
        copy = kvt_copy_at(room, copy)->next;
    return copy;
}

/* The copy of a block in a place that is in the block's list (FILLING or READY), else KVT_NONE.
 * An expired READY copy without users is freed on the way and counted, and is not found. */
uint32_t kvt_copy_find_alive(struct kvt_store_room *room, uint32_t block, uint32_t place);
static inline uint32_t kvt_copy_find(struct kvt_store_room *room, uint32_t block, uint32_t place)
{
    return room->has_ttl ? kvt_copy_find_alive(room, block, place)
                         : kvt_copy_in(room, block, place);
}

/* The same without any change; expired copies are not found. */
uint32_t kvt_copy_peek_alive(const struct kvt_store_room *room, uint32_t block, uint32_t place);
static inline uint32_t kvt_copy_peek(const struct kvt_store_room *room, uint32_t block,
                                     uint32_t place)
{
    return room->has_ttl ? kvt_copy_peek_alive(room, block, place)
                         : kvt_copy_in(room, block, place);
}

/* Memory for `spare` more copies in a place. 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_room_reserve(struct kvt_store_room *room, uint32_t place, uint64_t spare);

/* A new copy with one user in a place, FILLING (in the block's list) or PRIVATE. The caller made
 * room before. gpu: takes a block of pages, or the chain `pages` if that is not NULL. KVT_NONE
 * when pages or records lack. */
uint32_t kvt_copy_new(struct kvt_store_room *room, uint32_t block, uint32_t place,
                      enum kvt_copy_state state, uint32_t tenant, const struct kvt_page_run *pages);

/* Takes a copy out of its block's list. */
void kvt_copy_unlist(struct kvt_store_room *room, uint32_t copy);

/* With a TTL in its tier the life of a READY copy starts now. Only where room->has_ttl. */
void kvt_copy_start_life(const struct kvt_store_room *room, uint32_t copy);

/* A FILLING copy has arrived. */
static inline void kvt_copy_ready(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    assert(c->state == KVT_COPY_FILLING && c->users > 0);
    c->state = KVT_COPY_READY;
    if (room->has_ttl)
        kvt_copy_start_life(room, copy);
}

/* A PRIVATE copy has arrived: READY for all if the block has no copy in its place, else ALONE. */
void kvt_copy_publish(struct kvt_store_room *room, uint32_t copy);

/* A PRIVATE copy has arrived, and stays with who brought it. */
void kvt_copy_keep_alone(struct kvt_store_room *room, uint32_t copy);

/* A copy in use will not arrive, or was lost: leaves the block's list if it is there. The caller
 * still is a user. */
void kvt_copy_void(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate);

/* What is known of one use of a block. */
struct kvt_use {
    uint64_t next;  /* of this block, as in struct kvt_evict_item; KVT_NEVER: not known */
    uint32_t depth; /* position in the chain */
};

/* An unused READY copy comes into use. */
void kvt_copy_wake(struct kvt_store_room *room, uint32_t copy);
static inline void kvt_copy_use(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    if (c->users == 0 && c->state == KVT_COPY_READY)
        kvt_copy_wake(room, copy);
    if (c->users < KVT_USERS_MOST)
        c->users++;
}
/* A user leaves that did something for or with the copy, but did not look it up: a store, a load
 * that filled it. A copy that is not READY and has no user is freed. `use` counts when the copy
 * becomes known to its policy by this. */
void kvt_copy_unuse(struct kvt_store_room *room, uint32_t copy, const struct kvt_use *use);
/* A user leaves that looked the copy up, or computed it: the policy hears of it. */
void kvt_copy_used(struct kvt_store_room *room, uint32_t copy, const struct kvt_use *use);

/* Renews the TTL where the tier says so. */
void kvt_copy_renew(struct kvt_store_room *room, uint32_t copy);
static inline void kvt_copy_refresh(struct kvt_store_room *room, uint32_t copy)
{
    if (room->has_ttl)
        kvt_copy_renew(room, copy);
}

/* When the copy will have expired; KVT_NEVER: does not. */
kvt_ns kvt_copy_expiry_ns(const struct kvt_store_room *room, uint32_t copy);
/* True when its time is over, in use or not. */
bool kvt_copy_past(const struct kvt_store_room *room, uint32_t copy);

/* Frees the unused copy that the place's policy wants gone. False when nothing can go. */
bool kvt_place_evict(struct kvt_store_room *room, uint32_t place);

/* Removes a READY copy without users, saying how it went. */
void kvt_copy_drop(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate);

/* How many more copies the place could hold if every unused one were evicted; UINT64_MAX when
 * unlimited. */
uint64_t kvt_place_available(const struct kvt_place *place);

/* True when one more block fits without evicting. */
bool kvt_place_fits(const struct kvt_store_room *room, const struct kvt_place *place);

/* Sets up the places (gpu 0 .. E-1, then host, disk per engine where present, then redis, by region) of a
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
    if (base != KVT_NONE && tier == KVT_REDIS)
        return base + kvt_region_of(room->regions, engine);
    return base == KVT_NONE ? KVT_NONE : base + engine;
}

#endif
