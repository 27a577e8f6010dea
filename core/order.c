/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * order.c - see order.h.
 *
 * The search for a victim asks the policy, parks what it names and cannot be spared, and asks again.
 * Each copy is parked once between two of its uses, so the search is O(1) amortised however much of
 * the place is in use.
 *
 * That parked copies come back at the leaving end is right for chains under LRU: when a copy with
 * children comes up, all that stands before it in the order has gone or is parked too, so once its
 * last child has gone it is due.
 */
#include "order.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- Tenants ---------------------------------------------------------------------------------- */

static uint32_t part_of_tenant(const struct kvt_place *place, uint32_t tenant)
{
    return tenant < place->n_parts ? tenant : place->n_parts - 1;
}

static uint32_t part_of_copy(const struct kvt_store_room *room, const struct kvt_place *place,
                             uint32_t copy)
{
    return place->n_parts == 1 ? 0 : part_of_tenant(place, kvt_copy_more(room, copy)->tenant);
}

static struct kvt_part *part_at(const struct kvt_store_room *room, struct kvt_place *place,
                                uint32_t copy)
{
    return &place->parts[part_of_copy(room, place, copy)];
}

void kvt_order_held(struct kvt_store_room *room, uint32_t copy, bool gained)
{
    struct kvt_part *part = part_at(room, kvt_place_of(room, copy), copy);
    if (gained)
        part->held_blocks++;
    else
        part->held_blocks--;
}

/* ---- Birth and death -------------------------------------------------------------------------- */

/* Blocks that the place can hold, as far as its policy needs to know. */
static uint64_t capacity_of(const struct kvt_store_room *room, const struct kvt_place *place)
{
    const struct kvt_tier_config *c = place->config;
    uint64_t most = c->capacity_blocks;
    if (place->tier == KVT_GPU) {
        const uint64_t pages = kvt_pager_total(&place->pager);
        if (pages != UINT64_MAX && pages / room->pages_per_block < most)
            most = pages / room->pages_per_block;
    } else if (c->capacity_b != UINT64_MAX && room->stored_b[place->tier]) {
        const uint64_t fit = c->capacity_b / room->stored_b[place->tier];
        most = fit < most ? fit : most;
    }
    return most ? most : 1;
}

int kvt_order_init(struct kvt_store_room *room, struct kvt_place *place)
{
    const struct kvt_tier_config *c = place->config;
    const uint32_t n = room->n_quotas ? room->n_quotas : 1;
    place->parts = room->alloc->get(room->alloc->self, n * sizeof *place->parts);
    if (!place->parts)
        return -ENOMEM;
    memset(place->parts, 0, n * sizeof *place->parts);
    place->n_parts = n;
    place->plain = n == 1 && c->evict->by_slot;
    const uint64_t capacity = capacity_of(room, place);
    for (uint32_t i = 0; i < n; i++) {
        struct kvt_part *part = &place->parts[i];
        part->quota = room->n_quotas ? room->quotas[i] : 1;
        struct kvt_evict_config config = c->evict_config;
        config.alloc = room->alloc;
        config.rows = kvt_room_rows(room, place->tier);
        config.capacity = capacity;
        if (capacity != UINT64_MAX && room->n_quotas) {
            const uint64_t own = (uint64_t)((double)capacity * part->quota);
            config.capacity = own ? own : 1;
        }
        if (kvt_evict_init(&part->evict, c->evict, &config))
            return -ENOMEM;
    }
    return 0;
}

void kvt_order_release(struct kvt_store_room *room, struct kvt_place *place)
{
    if (!place->parts)
        return;
    for (uint32_t i = 0; i < place->n_parts; i++)
        kvt_evict_release(&place->parts[i].evict);
    room->alloc->put(room->alloc->self, place->parts, place->n_parts * sizeof *place->parts);
    place->parts = NULL;
}

size_t kvt_order_memory_b(const struct kvt_store_room *room, const struct kvt_place *place)
{
    (void)room;
    size_t sum = place->n_parts * sizeof *place->parts;
    for (uint32_t i = 0; i < place->n_parts; i++)
        sum += kvt_evict_memory_b(&place->parts[i].evict);
    return sum;
}

int kvt_order_reserve(struct kvt_place *place, uint64_t copies)
{
    int error = 0;
    for (uint32_t i = 0; !error && i < place->n_parts; i++)
        error = kvt_evict_reserve(&place->parts[i].evict, copies);
    return error;
}

/* ---- Events ----------------------------------------------------------------------------------- */

static struct kvt_evict_item item_of(const struct kvt_store_room *room,
                                     const struct kvt_place *place, uint32_t copy, uint32_t block,
                                     const struct kvt_use *use)
{
    uint64_t id;
    memcpy(&id, kvt_block_at(room->blocks, block)->key + 2, sizeof id); /* kvt_key.lo */
    const double b = room->block_tokens;
    const struct kvt_prefill_cost *c = &room->prefill;
    const double past = (double)use->depth * b;
    return (struct kvt_evict_item){
        .id = id,
        .next_use = use->next,
        .now = room->now,
        .expiry = copy == KVT_NONE ? KVT_NEVER : kvt_copy_expiry_ns(room, copy),
        .depth = use->depth,
        .cost_ns = (float)(b * (c->ns_per_token + c->ns_per_token2 * (past + b / 2))),
        .size_b = place->item_b};
}

void kvt_order_miss(struct kvt_store_room *room, uint32_t place_index, uint32_t block,
                    uint32_t tenant, const struct kvt_use *use)
{
    struct kvt_place *place = &room->places[place_index];
    struct kvt_evict *e = &place->parts[part_of_tenant(place, tenant)].evict;
    if (!e->ops->miss)
        return;
    const struct kvt_evict_item item = item_of(room, place, KVT_NONE, block, use);
    e->ops->miss(e->state, &item);
}

void kvt_order_used_otherwise(struct kvt_store_room *room, uint32_t copy, const struct kvt_use *use)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_place *place = &room->places[c->place];
    struct kvt_part *part = part_at(room, place, copy);
    const struct kvt_evict *e = &part->evict;
    struct kvt_evict_item item;
    if (!e->ops->by_slot)
        item = item_of(room, place, copy, c->block, use);
    if (!c->known) {
        c->known = 1;
        part->known++;
        e->ops->insert(e->state, copy, &item);
        return;
    }
    if (c->parked) {
        c->parked = 0;
        e->ops->unpark(e->state, copy);
    }
    e->ops->hit(e->state, copy, &item);
}

void kvt_order_idle(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    struct kvt_place *place = &room->places[c->place];
    if (!c->parked || c->users || (place->closed && c->children))
        return;
    const struct kvt_evict *e = &part_at(room, place, copy)->evict;
    c->parked = 0;
    e->ops->unpark(e->state, copy);
}

void kvt_order_park(struct kvt_store_room *room, uint32_t copy)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    if (c->parked)
        return;
    const struct kvt_evict *e = &part_at(room, kvt_place_of(room, copy), copy)->evict;
    c->parked = 1;
    e->ops->park(e->state, copy);
}

void kvt_order_gone(struct kvt_store_room *room, uint32_t copy, bool evicted)
{
    struct kvt_copy *c = kvt_copy_at(room, copy);
    if (!c->known)
        return;
    struct kvt_place *place = &room->places[c->place];
    struct kvt_part *part = part_at(room, place, copy);
    uint64_t id = 0;
    if (!part->evict.ops->by_slot)
        memcpy(&id, kvt_block_at(room->blocks, c->block)->key + 2, sizeof id);
    part->evict.ops->remove(part->evict.state, copy, id, evicted);
    part->known--;
    c->known = c->parked = 0;
}

/* ---- Who leaves ------------------------------------------------------------------------------- */

static uint32_t victim_of_part(struct kvt_store_room *room, struct kvt_place *place,
                               const struct kvt_part *part)
{
    const struct kvt_evict *e = &part->evict;
    struct kvt_evict_item wanted;
    if (!e->ops->by_slot)
        wanted = (struct kvt_evict_item){.now = room->now, .next_use = KVT_NEVER};
    for (;;) {
        const uint32_t copy = e->ops->victim(e->state, &wanted);
        if (copy == KVT_NONE)
            return KVT_NONE;
        const struct kvt_copy *c = kvt_copy_at(room, copy);
        if (!c->users && !(place->closed && c->children))
            return copy;
        kvt_order_park(room, copy);
    }
}

/* Parked copies without users are there, but all have children, and their last descendants are in
 * use. Such a place is small, or this would not happen; so a walk round the table will do. */
static uint32_t any_unused(struct kvt_store_room *room, uint32_t place)
{
    const uint32_t end = room->copies.fresh;
    for (uint32_t k = 0; k < end; k++) {
        const uint32_t copy = (uint32_t)(((uint64_t)room->hand + (k > 0)) % end);
        room->hand = copy; /* the same again, until it has gone */
        const struct kvt_copy *c = kvt_copy_at(room, copy);
        if (c->state == KVT_COPY_READY && c->place == place && c->parked && !c->users)
            return copy;
    }
    return KVT_NONE;
}

uint32_t kvt_order_victim(struct kvt_store_room *room, uint32_t place_index)
{
    struct kvt_place *place = &room->places[place_index];
    if (!place->cached)
        return KVT_NONE;
    if (place->n_parts == 1) {
        const uint32_t copy = victim_of_part(room, place, place->parts);
        return copy != KVT_NONE || !place->closed ? copy : any_unused(room, place_index);
    }
    /* The fullest part first; parts that can spare nothing are passed over. */
    for (uint32_t tried = 0; tried < place->n_parts; tried++) {
        struct kvt_part *best = NULL;
        for (uint32_t i = 0; i < place->n_parts; i++) {
            struct kvt_part *part = &place->parts[i];
            if (part->passed != room->search &&
                (!best ||
                 (double)part->held_blocks * best->quota > (double)best->held_blocks * part->quota))
                best = part;
        }
        const uint32_t copy = victim_of_part(room, place, best);
        if (copy != KVT_NONE) {
            room->search++;
            return copy;
        }
        best->passed = room->search;
    }
    room->search++;
    return place->closed ? any_unused(room, place_index) : KVT_NONE;
}
