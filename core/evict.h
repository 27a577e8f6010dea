/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict.h - what an eviction policy is: one table of functions, one file per policy.
 *
 * A policy orders the residents of one cache, and says who leaves next. It knows neither bytes nor
 * pages nor chains: residents are *slots*, small dense numbers that its owner chooses (place.c: the
 * number of a copy; flat.c: an entry of its table). What a policy keeps per slot lies in *rows*, one
 * record of row_b bytes per slot, shared by all caches of one owner whose policies have rows of that
 * size; a slot belongs to one cache at a time, so they do not collide.
 *
 *               insert                 victim says it, owner agrees: remove(evicted)
 *      absent ---------> resident ------------------------------------------------> absent (maybe a ghost)
 *         |                |   ^
 *         | miss           |   | hit: looked up and used
 *         v                v   |
 *      may adapt         parked ---- unpark: back to where it would leave next
 *
 * *Parking* is how an owner keeps a slot that must not leave now: it is in use, or (prefix-closed)
 * blocks of its chain still stand behind it. The owner asks for the victim, parks the one it cannot
 * spare, and asks again; each slot so costs one step and no scan is ever repeated. When the reason
 * has gone the slot is unparked: a queue puts it back at its leaving end, an order by value where
 * its value says. Everything that was not parked came later, so for LRU this *is* the order of leaves
 * by last use.
 *
 *   (E1) Between insert and remove a slot is resident, parked or not; never twice. Nor is an id
 *        resident twice in one cache.
 *   (E2) victim names a resident, unparked slot, and changes nothing that a second call would see:
 *        the same slot again, unless it was parked or removed. (Hands may move, reference bits may
 *        be cleared: once.) KVT_NONE only when no such slot exists, or the policy refuses to evict.
 *   (E3) Equal calls give equal answers: no clock, no addresses, no randomness but a fixed seed.
 *   (E4) insert, hit, victim, park, unpark, remove allocate nothing; their cost is O(1) amortised, or
 *        O(log n) for an order by value.
 *
 * To add a policy: one file core/evict_<name>.c with its table, and one line in the registry
 * (evict.c). Scenario files, messages, compare and the tests of all policies follow.
 */
#ifndef KVT_EVICT_H
#define KVT_EVICT_H

#include "alloc.h"
#include "pool.h"

/* What a policy may want to know of a block. The owner fills in what it knows; the rest is 0, or
 * KVT_NEVER for times. */
struct kvt_evict_item {
    uint64_t id;       /* of its content: ghosts and frequency sketches go by it */
    uint64_t next_use; /* position in the stream of the next look-up of this id; KVT_NEVER: none, or
                          unknown. Larger is later; of one request, deeper blocks count as later */
    kvt_ns now;        /* of the call; or the number of the look-up, where there is no time */
    kvt_ns expiry;     /* when it will have expired, from this call on; KVT_NEVER: does not */
    uint32_t depth;    /* position in its chain, in blocks */
    float cost_ns;     /* time to compute the block, after the context before it */
    uint32_t size_b;   /* bytes it takes here, 1 where all are equal */
};

/* Parameters; 0 means the policy's own default, which its file names with the source. */
struct kvt_evict_config {
    uint64_t capacity;      /* slots; UINT64_MAX: infinite */
    double small_ratio;     /* s3-fifo: small queue; w-tinylfu: window */
    double ghost_ratio;     /* s3-fifo: ghosts */
    double protected_ratio; /* w-tinylfu: protected part of the main space */
    uint32_t threshold;     /* s3-fifo: uses that move a block to the main queue */
    bool warm_up_main; /* s3-fifo: before the first eviction new blocks go to the main queue, when
                           the small one is full */
    struct kvt_pool *rows; /* borrowed; records of row_b bytes */
    const struct kvt_alloc *alloc;
};

/* Required unless marked (optional). */
struct kvt_evict_ops {
    const char *name;   /* as in scenario files: "s3-fifo" */
    const char *source; /* paper or system that defines it, in one line */
    uint32_t row_b;     /* bytes per slot, a multiple of 4, at least 4 */
    uint32_t state_b;   /* bytes per cache */
    bool by_slot;       /* looks at slots only: no item, no id need be filled in */
    bool needs_future;  /* next_use must be right: no live streams */
    bool needs_ttl;     /* expiry must be set: the tier has a TTL */
    bool competes;      /* defined with the incoming block among those judged: an owner that can
                           inserts it first, and then asks for a victim, which may be itself */
    bool refuses; /* victim may refuse though slots are there (ttl): not for memory that running
                           requests need */

    /* state is state_b zeroed bytes. 0, or -ENOMEM with nothing to release. */
    int (*init)(void *state, const struct kvt_evict_config *config);
    void (*release)(void *state); /* (optional) */
    /* (optional) Room for what is kept outside rows (heaps, ghosts) of up to that many residents; the
     * owner calls it, by kvt_evict_reserve, before it has so many. 0, or -ENOMEM (unchanged). */
    int (*reserve)(void *state, uint64_t residents);
    /* (optional) `item` was looked up and is not here. An insert of it may follow at once, after
     * others, or never. */
    void (*miss)(void *state, const struct kvt_evict_item *item);
    /* The slot becomes resident, as most recently used. Its row has undefined contents. The cache may
     * for a moment hold more than its capacity. */
    void (*insert)(void *state, uint32_t slot, const struct kvt_evict_item *item);
    /* A resident, unparked slot was used. */
    void (*hit)(void *state, uint32_t slot, const struct kvt_evict_item *item);
    /* Who leaves next, to make room for `incoming` (NULL: for something else). (E2) */
    uint32_t (*victim)(void *state, const struct kvt_evict_item *incoming);
    void (*park)(void *state, uint32_t slot);
    void (*unpark)(void *state, uint32_t slot);
    /* A resident slot, parked or not, is gone. evicted: for want of room, so that a policy with a
     * memory remembers it; false: expired, lost or deleted. id is that of its insert. */
    void (*remove)(void *state, uint32_t slot, uint64_t id, bool evicted);
    /* (optional) Fetches what a look-up of id will want to read, into the processor's cache. */
    void (*prefetch)(const void *state, uint64_t id);
    /* (optional) Fetches what a hit of that slot, which was inserted once, will want beside its row. */
    void (*touch)(const void *state, uint32_t slot);
    /* (optional) A guess who will leave soon, after the next one; changes nothing. Its id is then
     * fetched ahead. KVT_NONE: no idea. */
    uint32_t (*soon)(const void *state);
    /* (optional) Bytes of state beyond state_b and rows: ghosts, sketches, heaps. */
    size_t (*memory_b)(const void *state);
    /* (optional) Walks everything; true, or false with a sentence in why. For tests. */
    bool (*check)(const void *state, char *why, size_t size);
};

/* All policies, in the order in which they are listed to people; NULL-terminated. */
extern const struct kvt_evict_ops *const kvt_evict_all[];

/* By name; NULL when there is none. */
const struct kvt_evict_ops *kvt_evict_named(const char *name);

/* One policy at work. */
struct kvt_evict {
    const struct kvt_evict_ops *ops;
    void *state;
    const struct kvt_alloc *alloc;
};

/* config is copied as far as it is needed; rows and alloc stay borrowed. 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_evict_init(struct kvt_evict *e, const struct kvt_evict_ops *ops,
                                  const struct kvt_evict_config *config);
void kvt_evict_release(struct kvt_evict *e); /* a zeroed one is fine */
size_t kvt_evict_memory_b(const struct kvt_evict *e);

/* Before the owner lets the policy hold `residents` slots: makes room for what the policy keeps of
 * them outside rows, now and of as many that have left. Cheap when there is room. 0 or -ENOMEM. */
KVT_MUST_CHECK static inline int kvt_evict_reserve(struct kvt_evict *e, uint64_t residents)
{
    return e->ops->reserve ? e->ops->reserve(e->state, residents) : 0;
}

/* For check: writes which part of a policy is wrong, as a sentence; returns false. */
bool kvt_evict_wrong(const char *part, char *why, size_t size);

/* ---- Rows ------------------------------------------------------------------------------------- */

enum { KVT_ROWS_SHIFT = 13 };

/* Makes rows for slots 0 .. slot. 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_rows_cover(struct kvt_pool *rows, uint32_t slot);

/* `type` is the policy's row; its size is row_b. */
#define KVT_ROW(rows, slot, type)                                                                  \
    ((type *)kvt_pool_at_known((rows), (slot), KVT_ROWS_SHIFT, sizeof(type)))

#endif
