/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * order.h - in which order the copies of a place leave it.
 *
 * Between a place (place.h) and its eviction policy (evict.h) stands what a policy knows nothing of:
 *
 *   users      a copy in use cannot leave. It stays where the policy has it; when it comes up it is
 *              parked, and comes back with its next use, or when its last user has left.
 *   chains     in a prefix-closed place a copy with children, copies of the blocks that follow it,
 *              does not leave before them: a hole would make them unreachable. It is parked too, and
 *              comes back when its last child has gone.
 *   tenants    with quotas each tenant's copies have a policy of their own. Who holds most, measured
 *              by its quota, gives first: so a tenant within its quota loses nothing to others, and
 *              room that nobody wants is for all.
 *
 *   (O1) A policy knows exactly the READY copies of its place that were idle (without users) once.
 *   (O2) Parked copies are in use or, in a prefix-closed place, have children.
 *   (O3) copy.children never exceeds the number of copies in the place whose block follows this
 *        one. It falls short where a copy came back in front of children that had outlived the one
 *        before; it then leaves early.
 *
 * Memory comes first: if everything unused has children that are in use (a store is reading them),
 * the owner may still ask for a copy, and gets one without regard to chains.
 */
#ifndef KVT_ORDER_H
#define KVT_ORDER_H

#include "place.h"

/* Sets up the policies of a place, one per quota or one alone. 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_order_init(struct kvt_store_room *room, struct kvt_place *place);
void kvt_order_release(struct kvt_store_room *room, struct kvt_place *place);
size_t kvt_order_memory_b(const struct kvt_store_room *room, const struct kvt_place *place);

/* Before the place holds `copies` copies in all: memory for what its policies keep of them. 0 or
 * -ENOMEM. */
KVT_MUST_CHECK int kvt_order_reserve(struct kvt_place *place, uint64_t copies);

/* The block was looked for in the place and is about to be written there. */
void kvt_order_miss(struct kvt_store_room *room, uint32_t place, uint32_t block, uint32_t tenant,
                    const struct kvt_use *use);
/* False: the place's policy does not care, and need not be told. */
static inline bool kvt_order_hears_misses(const struct kvt_place *place)
{
    return place->ordered && place->config->evict->miss;
}

/* A READY copy was used, or came to be. */
static inline void kvt_order_used(struct kvt_store_room *room, uint32_t copy,
                                  const struct kvt_use *use);

/* The reason for which a copy may have been parked has gone: it has no users, or one child less. */
void kvt_order_idle(struct kvt_store_room *room, uint32_t copy);

/* An unused copy that its policy knows, named by kvt_order_victim, is kept all the same: until its next
 * use, or until it is idle again. */
void kvt_order_park(struct kvt_store_room *room, uint32_t copy);

/* The copy leaves the place. */
void kvt_order_gone(struct kvt_store_room *room, uint32_t copy, bool evicted);

/* The place has gained or lost the copy, whatever its policy knows. */
void kvt_order_held(struct kvt_store_room *room, uint32_t copy, bool gained);

/* An unused READY copy that shall leave next, KVT_NONE when there is none or the policy refuses. It
 * stays where it is. */
uint32_t kvt_order_victim(struct kvt_store_room *room, uint32_t place);

/* The same where there is more to it: a tenant, an item to describe, a copy that was parked. */
void kvt_order_used_otherwise(struct kvt_store_room *room, uint32_t copy,
                              const struct kvt_use *use);

/* Every block of every prompt comes through here, and mostly all there is to do is to tell the policy. */
static inline void kvt_order_used(struct kvt_store_room *room, uint32_t copy,
                                  const struct kvt_use *use)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    const struct kvt_place *place = &room->places[c->place];
    struct kvt_part *part = place->parts;
    if (!place->plain || c->parked) {
        kvt_order_used_otherwise(room, copy, use);
    } else if (c->known) {
        part->evict.ops->hit(part->evict.state, copy, NULL);
    } else {
        c->known = 1;
        part->known++;
        part->evict.ops->insert(part->evict.state, copy, NULL);
    }
}

#endif
