/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * flat.c - see flat.h.
 *
 * Slots are handed out in order and taken over by whoever replaces their block, so blocks that came
 * together keep neighbouring rows. A map (idmap.h) leads from ids to slots, an array back.
 *
 * What costs time is memory, not work: a look-up that hits reads a line of the map and one of the
 * rows, both at random. So look-ups are begun in stages, each as far ahead of the next as memory
 * takes: FAR ahead, the line of the map is fetched; NEAR ahead, the map is asked, and the row of what
 * it finds is fetched, with what the policy keeps by id (ghosts, sketch); NEXT ahead, the policy
 * fetches what that row leads to. The answer given counts only when its turn comes, as the look-ups in
 * between may change it; asking twice costs less than waiting once. Evictions fetch ahead likewise,
 * by the policy's guess who leaves soon.
 */
#include "flat.h"

#include "idmap.h"

#include <errno.h>
#include <string.h>

enum { FAR = 16, NEAR = 8, NEXT = 3 };

struct kvt_flat {
    const struct kvt_alloc *alloc;
    struct kvt_evict evict;
    struct kvt_pool rows;
    struct kvt_idmap map;
    uint64_t *ids; /* by slot */
    uint32_t capacity, resident;
    uint32_t
        spare; /* slot of the block that comes in above capacity, for a policy where it competes */
    uint64_t now; /* look-ups so far */
};

static int allocate(struct kvt_flat *f, const struct kvt_evict_ops *ops,
                    const struct kvt_evict_config *evict)
{
    struct kvt_evict_config config = *evict;
    config.rows = &f->rows;
    const uint64_t slots = f->capacity + UINT64_C(1);
    f->spare = f->capacity;
    f->ids = f->alloc->get(f->alloc->self, slots * sizeof *f->ids);
    if (!f->ids || kvt_rows_cover(&f->rows, f->spare) || kvt_idmap_reserve(&f->map, slots) ||
        kvt_evict_init(&f->evict, ops, &config) || kvt_evict_reserve(&f->evict, slots))
        return -ENOMEM;
    return 0;
}

struct kvt_flat *kvt_flat_new(const struct kvt_evict_ops *ops, const struct kvt_evict_config *evict,
                              int *error)
{
    *error = -EINVAL;
    if (evict->capacity == 0 || evict->capacity > UINT32_C(1) << 31)
        return NULL;
    *error = -ENOMEM;
    struct kvt_flat *f = evict->alloc->get(evict->alloc->self, sizeof *f);
    if (!f)
        return NULL;
    *f = (struct kvt_flat){.alloc = evict->alloc, .capacity = (uint32_t)evict->capacity};
    kvt_pool_init(&f->rows, f->alloc, ops->row_b, KVT_ROWS_SHIFT);
    kvt_idmap_init(&f->map, f->alloc);
    *error = allocate(f, ops, evict);
    if (*error) {
        kvt_flat_free(f);
        return NULL;
    }
    return f;
}

void kvt_flat_free(struct kvt_flat *f)
{
    if (!f)
        return;
    kvt_evict_release(&f->evict);
    kvt_idmap_release(&f->map);
    kvt_pool_release(&f->rows);
    if (f->ids)
        f->alloc->put(f->alloc->self, f->ids, (f->capacity + UINT64_C(1)) * sizeof *f->ids);
    f->alloc->put(f->alloc->self, f, sizeof *f);
}

static void take(struct kvt_flat *f, uint32_t slot, const struct kvt_evict_item *item)
{
    f->ids[slot] = item->id;
    kvt_idmap_add(&f->map, item->id, slot);
    f->evict.ops->insert(f->evict.state, slot, item);
}

/* What the eviction after next will want: its block's line of the map, and what the policy keeps of
 * those that left. */
static void fetch_soon(const struct kvt_flat *f)
{
    const struct kvt_evict_ops *ops = f->evict.ops;
    const uint32_t slot = ops->soon ? ops->soon(f->evict.state) : KVT_NONE;
    if (slot == KVT_NONE)
        return;
    kvt_idmap_prefetch(&f->map, f->ids[slot]);
    if (ops->prefetch)
        ops->prefetch(f->evict.state, f->ids[slot]);
}

/* The slot of a block that has left, or KVT_NONE when the policy lets nothing go. */
static uint32_t evict(struct kvt_flat *f, const struct kvt_evict_item *item)
{
    const struct kvt_evict_ops *ops = f->evict.ops;
    const uint32_t slot = ops->victim(f->evict.state, item);
    if (slot == KVT_NONE)
        return KVT_NONE;
    const uint64_t id = f->ids[slot];
    ops->remove(f->evict.state, slot, id, true);
    kvt_idmap_remove(&f->map, id);
    fetch_soon(f);
    return slot;
}

static void miss(struct kvt_flat *f, const struct kvt_evict_item *item)
{
    const struct kvt_evict_ops *ops = f->evict.ops;
    if (ops->miss)
        ops->miss(f->evict.state, item);
    if (f->resident < f->capacity) {
        take(f, f->resident++, item);
    } else if (ops->competes) {
        take(f, f->spare, item);
        f->spare = evict(f, item);
    } else {
        const uint32_t slot = evict(f, item);
        if (slot != KVT_NONE)
            take(f, slot, item);
    }
}

/* Without a branch on whether id is found, which nobody can predict; nor does it follow the few that
 * lie beyond their bucket. */
static uint32_t fetch_ahead(const struct kvt_flat *f, uint64_t id)
{
    const struct kvt_idmap_bucket *b = &f->map.buckets[kvt_idmap_home(&f->map, id)];
    const uint32_t m = kvt_idmap_matches(b, id);
    const uint32_t entry = (uint32_t)__builtin_ctz(m | 1u << (KVT_IDMAP_ENTRIES - 1));
    const uint32_t slot = b->number[entry];
    __builtin_prefetch(kvt_pool_at(&f->rows, slot), 1);
    if (f->evict.ops->prefetch)
        f->evict.ops->prefetch(f->evict.state, id);
    return slot;
}

uint64_t kvt_flat_access(struct kvt_flat *f, const uint64_t *ids, const uint64_t *next_use,
                         uint64_t n, uint8_t *hits)
{
    struct kvt_evict_item item = {.next_use = KVT_NEVER, .expiry = KVT_NEVER, .size_b = 1};
    uint32_t slots[NEAR] = {0}; /* of the look-ups that are near, as far as they were found */
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n && i < FAR; i++)
        kvt_idmap_prefetch(&f->map, ids[i]);
    for (uint64_t i = 0; i < n; i++) {
        if (i + FAR < n)
            kvt_idmap_prefetch(&f->map, ids[i + FAR]);
        if (i + NEAR < n)
            slots[i % NEAR] = fetch_ahead(f, ids[i + NEAR]);
        if (f->evict.ops->touch &&
            f->resident > 0) /* slot 0 was inserted, so all that may be here were */
            f->evict.ops->touch(f->evict.state, slots[(i + NEXT) % NEAR]);
        item.id = ids[i];
        item.now = f->now++;
        if (next_use)
            item.next_use = next_use[i];
        const uint32_t slot = kvt_idmap_find(&f->map, item.id);
        const bool found = slot != KVT_NONE;
        if (found)
            f->evict.ops->hit(f->evict.state, slot, &item);
        else
            miss(f, &item);
        sum += found;
        if (hits)
            hits[i] = found;
    }
    return sum;
}

uint64_t kvt_flat_resident(const struct kvt_flat *f)
{
    return f->resident;
}

size_t kvt_flat_memory_b(const struct kvt_flat *f)
{
    return sizeof *f + f->map.memory_b + kvt_pool_memory_b(&f->rows) +
           (f->capacity + UINT64_C(1)) * sizeof *f->ids + kvt_evict_memory_b(&f->evict);
}

int kvt_flat_next_use(const uint64_t *ids, uint64_t n, const struct kvt_alloc *alloc,
                      uint64_t *next_use)
{
    struct kvt_idmap map;
    kvt_idmap_init(&map, alloc);
    if (n >= KVT_NONE)
        return -ENOMEM;
    if (kvt_idmap_reserve(&map, n < 4096 ? n + 1 : 4096))
        return -ENOMEM;
    for (uint64_t i = n; i-- > 0;) {
        if (i >= FAR)
            kvt_idmap_prefetch(&map, ids[i - FAR]);
        uint32_t *later = kvt_idmap_number(&map, ids[i]);
        if (later) {
            next_use[i] = *later;
            *later = (uint32_t)i;
            continue;
        }
        next_use[i] = KVT_NEVER;
        if (kvt_idmap_reserve(&map, map.count + 1)) {
            kvt_idmap_release(&map);
            return -ENOMEM;
        }
        kvt_idmap_add(&map, ids[i], (uint32_t)i);
    }
    kvt_idmap_release(&map);
    return 0;
}
