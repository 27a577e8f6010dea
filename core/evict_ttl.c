/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_ttl.c - time to live, and nothing else: a block leaves when its time is up, and not before.
 *
 * What a store does that expires keys and refuses writes when full (Redis: noeviction with EXPIRE;
 * prompt caches that are sold by the five minutes). A full cache so keeps what it has and takes
 * nothing new until something expires; how long that is tells how much memory a TTL costs.
 *
 * A use may prolong the time (the owner says the new expiry with the hit). It only grows, or stays,
 * in all uses but one, so the row remembers it and the heap follows when the top is asked, as in
 * evict_gdsf.c.
 *
 * "Now" is the latest time that anybody told.
 */
#include "heap.h"

#include <assert.h>

struct row {
    uint32_t place; /* in the heap */
    uint32_t tie;   /* of the insert: of equal times, who came first leaves first */
    kvt_ns expiry;
};

struct state {
    struct kvt_heap heap; /* first (heap.h) */
    kvt_ns now;
    uint32_t ties;
};

enum { ROW_B = sizeof(struct row) };

static struct row *row_at(const struct state *s, uint32_t slot)
{
    return KVT_ROW(s->heap.rows, slot, struct row);
}

static void tell(struct state *s, const struct kvt_evict_item *item)
{
    if (item && item->now != KVT_NEVER && item->now > s->now)
        s->now = item->now;
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    struct row *row = row_at(s, slot);
    tell(s, item);
    row->tie = s->ties++;
    row->expiry = item->expiry;
    kvt_heap_push(&s->heap, ROW_B, slot, row->expiry, row->tie);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    struct row *row = row_at(s, slot);
    assert(row->place != KVT_NONE);
    tell(s, item);
    const bool sooner = item->expiry < row->expiry;
    row->expiry = item->expiry;
    if (sooner)
        kvt_heap_change(&s->heap, ROW_B, slot, row->expiry, row->tie);
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    struct state *s = self;
    tell(s, incoming);
    for (;;) {
        const struct kvt_heap_entry *top = kvt_heap_top(&s->heap);
        if (!top)
            return KVT_NONE;
        const struct row *row = row_at(s, top->slot);
        if (row->expiry == top->key)
            return row->expiry != KVT_NEVER && row->expiry <= s->now ? top->slot : KVT_NONE;
        kvt_heap_down(&s->heap, ROW_B, KVT_HEAP_ROOT,
                      (struct kvt_heap_entry){row->expiry, row->tie, top->slot});
    }
}

static void park(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(row_at(s, slot)->place != KVT_NONE);
    kvt_heap_remove(&s->heap, ROW_B, slot);
}

static void unpark(void *self, uint32_t slot)
{
    struct state *s = self;
    const struct row *row = row_at(s, slot);
    assert(row->place == KVT_NONE);
    kvt_heap_push(&s->heap, ROW_B, slot, row->expiry, row->tie);
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    (void)id;
    (void)evicted;
    struct state *s = self;
    if (row_at(s, slot)->place != KVT_NONE)
        kvt_heap_remove(&s->heap, ROW_B, slot);
}

static bool check(const void *self, char *why, size_t size)
{
    const struct state *s = self;
    if (kvt_heap_walk(&s->heap, ROW_B) == UINT64_MAX)
        return kvt_evict_wrong("heap", why, size);
    for (uint32_t at = KVT_HEAP_ROOT; at < s->heap.end; at++)
        if (s->heap.entries[at].key > row_at(s, s->heap.entries[at].slot)->expiry)
            return kvt_evict_wrong("order of expiry", why, size);
    return true;
}

const struct kvt_evict_ops kvt_evict_ttl = {
    .name = "ttl",
    .source = "Redis: maxmemory-policy noeviction, with EXPIRE",
    .row_b = ROW_B,
    .state_b = sizeof(struct state),
    .needs_ttl = true,
    .refuses = true,
    .init = kvt_heap_state_init,
    .release = kvt_heap_state_release,
    .reserve = kvt_heap_state_reserve,
    .insert = insert,
    .hit = hit,
    .victim = victim,
    .park = park,
    .unpark = unpark,
    .remove = remove,
    .memory_b = kvt_heap_state_memory_b,
    .check = check,
};
