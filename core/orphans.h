/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * orphans.h - shards that are evicted alone, GPU by GPU, and what then stays behind.
 *
 * By default an engine's GPUs agree: a block leaves all of them at once (K3). Where they do not (`shard_alone` in core.h)
 * each is a cache of its own: when a GPU lacks room, what leaves is the part of a block that lies on it, in the engine's
 * order of eviction, and nowhere else does anything leave.
 *
 *                    a GPU evicts its part,                       computed or loaded again:
 *                    some shard has no copy left                  takes over what is still there
 *      READY, idle -------------------------------> ORPHAN -------------------------------------> FILLING
 *          |  ^                                       |
 *          |  | every shard still                     | a GPU evicts its part: the last of it
 *          |  | has a copy                            | superseded: another copy became READY
 *          +--+                                       v
 *                                                    gone
 *
 * A block that lacks a shard is not in the place: it is listed under the engine's *limbo*, a place that is never up, so
 * neither matching nor routing finds it. It holds no pages (those count what can be used), but its bytes on each GPU.
 *
 * Order. All GPUs go by one order, each by what of it lies there: for LRU that is what GPUs would do each by itself, since a
 * use touches all of a block. What the policy names and one GPU cannot use is *set aside*, in a queue that all GPUs read,
 * each from its own cursor on; orphans stay in it where they are. So what was due earlier leaves a GPU earlier, whether
 * it is of use or not: a GPU does not know. Each GPU passes each entry once. What the failure of a GPU made useless is put
 * first: that everybody knows.
 *
 * Again. The placement of shards that are still there is remembered; only what is missing is placed, by the rule, and needs
 * room. Access by gathering sends only that (shard_mask.h). A copy that is given up before it is READY takes with it what it
 * took over. What the limits of the engine as a whole ask for (blocks, pages) still leaves whole, first in the order first.
 *
 * Pinning. A copy in use is pinned on all GPUs. An orphan is not, but from when room is made for its block until that is
 * there (hold).
 *
 *   (K4) An engine has no orphan of a block of which it has a FILLING or READY copy.
 *   (K5) orphans[g] of the book is the weight on GPU g of all orphans; each lacks a shard, and each has one.
 *   (K6) In the queue are all orphans that are not held, and idle READY copies, which are parked; each once. Before a GPU's
 *        cursor nothing lies on it.
 */
#ifndef KVT_ORPHANS_H
#define KVT_ORPHANS_H

#include "place.h"

/* Where orphans of an engine are listed, as a place; only where the room has a limbo. */
static inline uint32_t kvt_limbo_of(const struct kvt_store_room *room, uint32_t engine)
{
    return room->limbo + engine;
}

/* Frees what leaves the GPU next. False when nothing idle lies there. */
bool kvt_orphans_evict(struct kvt_store_room *room, uint32_t engine, uint32_t gpu);

/* Frees, on all GPUs, what was set aside first. False when nothing was. */
KVT_NOINLINE bool kvt_orphans_evict_first(struct kvt_store_room *room, uint32_t engine);

/* A GPU failed; a spare one takes its place: what had a copy elsewhere is there again at once (it is not copied in the
 * background, as recopy.c does for blocks that leave whole), the rest is gone. The copy is an
 * orphan of the engine, or READY and idle. */
void kvt_orphans_lose(struct kvt_store_room *room, uint32_t copy, uint32_t gpu);

/* Places a block that the engine has no copy of, in its book's placing; adds the weights that have to be made room for to
 * need[gpus], and those of an orphan, which are pinned from the next call on, to own[gpus]. */
void kvt_orphans_place(struct kvt_store_room *room, uint32_t engine, uint32_t block,
                       const struct kvt_shard_site *site, uint64_t *need, uint64_t *own);
/* Between that and its copy nothing of it leaves; or it does not come to a copy. Without an orphan nothing happens. */
void kvt_orphans_hold(struct kvt_store_room *room, uint32_t engine, uint32_t block);
void kvt_orphans_let_go(struct kvt_store_room *room, uint32_t engine, uint32_t block);

/* For place.c. A new copy, which is counted and was placed so, takes an orphan over. */
KVT_NOINLINE void kvt_orphans_adopt(struct kvt_store_room *room, uint32_t copy, uint32_t block,
                                    uint32_t engine);
/* Another copy of the block is READY. */
KVT_NOINLINE void kvt_orphans_supersede(struct kvt_store_room *room, uint32_t engine,
                                        uint32_t block);
/* A copy is used, or leaves. */
KVT_NOINLINE void kvt_orphans_rejoin(struct kvt_shard_book *book, uint32_t copy);

/* Frees an orphan. */
void kvt_orphan_drop(struct kvt_store_room *room, uint32_t copy, enum kvt_fate fate);

/* Brings the integral over time up to now. */
void kvt_orphans_weigh(struct kvt_core_stats *stats, kvt_ns now);

/* For check.c: (K4) to (K6) of one engine. NULL, or what is wrong. */
const char *kvt_orphans_check(const struct kvt_store_room *room, uint32_t engine);

#endif
