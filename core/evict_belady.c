/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_belady.c - Belady's MIN: who is used again latest leaves. The bound for all others.
 *
 * Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5
 * (1966); that it is best was shown by Mattson and others (1970). Best is meant for blocks of equal
 * size that hit one by one and always come in. For a prefix cache it is a bound when leaves go first
 * (the owner's parking): of one prompt the deeper block counts as used later.
 *
 * Blocks that are never used again leave before all others, deepest first. They are most of the
 * blocks of real traffic, so they do not go into the heap: they queue by depth (ranks.h).
 *
 * (B1) A slot that is not parked is in the heap or, if it is never used again, in the queue of its
 *      depth.
 */
#include "heap.h"
#include "ranks.h"

#include <assert.h>

/* Both ways of being in line begin with a word; they share it. */
struct row {
    union {
        uint32_t place;             /* in the heap */
        struct kvt_queue_link link; /* in the queue of its depth */
    };
    uint64_t next_use;
    uint32_t rank; /* its depth */
    bool parked;
};

struct state {
    struct kvt_heap heap; /* first (heap.h); key: ~next_use */
    const struct kvt_alloc *alloc;
    struct kvt_ranks never;
};

enum { ROW_B = sizeof(struct row) };

static struct row *row_at(const struct state *s, uint32_t slot)
{
    return KVT_ROW(s->heap.rows, slot, struct row);
}

static int init(void *self, const struct kvt_evict_config *config)
{
    struct state *s = self;
    s->alloc = config->alloc;
    kvt_heap_init(&s->heap, config->alloc, config->rows);
    return kvt_ranks_init(&s->never, config->alloc);
}

static void release(void *self)
{
    struct state *s = self;
    kvt_heap_release(&s->heap);
    kvt_ranks_release(&s->never, s->alloc);
}

static void enter(struct state *s, uint32_t slot)
{
    struct row *row = row_at(s, slot);
    row->parked = false;
    if (row->next_use == KVT_NEVER)
        kvt_ranks_push(&s->never, s->heap.rows, ROW_B, row->rank, slot);
    else
        kvt_heap_push(&s->heap, ROW_B, slot, ~row->next_use, 0);
}

static void leave(struct state *s, uint32_t slot)
{
    struct row *row = row_at(s, slot);
    row->parked = true;
    if (row->next_use == KVT_NEVER)
        kvt_ranks_remove(&s->never, s->heap.rows, ROW_B, row->rank, slot);
    else
        kvt_heap_remove(&s->heap, ROW_B, slot);
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    struct row *row = row_at(s, slot);
    row->next_use = item->next_use;
    row->rank = item->depth < KVT_RANK_MAX ? item->depth : KVT_RANK_MAX;
    enter(s, slot);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    struct row *row = row_at(s, slot);
    assert(!row->parked);
    if (row->next_use != KVT_NEVER && item->next_use != KVT_NEVER) {
        row->next_use = item->next_use;
        kvt_heap_change(&s->heap, ROW_B, slot, ~row->next_use, 0);
        return;
    }
    leave(s, slot);
    row->next_use = item->next_use;
    enter(s, slot);
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    (void)incoming;
    const struct state *s = self;
    const uint32_t slot = kvt_ranks_highest(&s->never);
    if (slot != KVT_NONE)
        return slot;
    const struct kvt_heap_entry *top = kvt_heap_top(&s->heap);
    return top ? top->slot : KVT_NONE;
}

static void park(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(!row_at(s, slot)->parked);
    leave(s, slot);
}

static void unpark(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(row_at(s, slot)->parked);
    enter(s, slot);
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    (void)id;
    (void)evicted;
    struct state *s = self;
    if (!row_at(s, slot)->parked)
        leave(s, slot);
}

static size_t memory_b(const void *self)
{
    const struct state *s = self;
    return s->heap.memory_b + kvt_ranks_memory_b();
}

static bool check(const void *self, char *why, size_t size)
{
    const struct state *s = self;
    if (kvt_heap_walk(&s->heap, ROW_B) == UINT64_MAX)
        return kvt_evict_wrong("heap", why, size);
    return kvt_ranks_walk(&s->never, s->heap.rows, ROW_B) != UINT64_MAX ||
           kvt_evict_wrong("queues by depth", why, size);
}

const struct kvt_evict_ops kvt_evict_belady = {
    .name = "belady",
    .source = "Belady, IBM Systems Journal 5 (1966)",
    .row_b = ROW_B,
    .state_b = sizeof(struct state),
    .needs_future = true,
    .init = init,
    .release = release,
    .reserve = kvt_heap_state_reserve,
    .insert = insert,
    .hit = hit,
    .victim = victim,
    .park = park,
    .unpark = unpark,
    .remove = remove,
    .memory_b = memory_b,
    .check = check,
};
