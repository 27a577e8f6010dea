/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_gdsf.c - GreedyDual-Size-Frequency: who is worth least per byte leaves, and worth fades.
 *
 * Cherkasova, "Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching policy", HP
 * Laboratories 98-69R1 (1998), after Cao and Irani's GreedyDual-Size (USITS 1997). A block's priority
 * is
 *
 *      L + uses * cost / size
 *
 * as of its last use, where L is the priority of the last block evicted: so whatever is not used
 * falls behind all that is. Cost is the time to compute the block, where it is known, else 1; with
 * equal costs and sizes it is an order by frequency and age. Of equals, who was used longer ago
 * leaves. The paper judges an incoming block with the others, before L has risen; so does an owner
 * that heeds `competes`, and what it would have to push out for the block may be worth more.
 *
 * Priorities only ever grow, by (G1). So a use writes the new one into the row and leaves the heap
 * alone; victim brings the heap up to date from the top until the top is. A block used a thousand
 * times so moves once.
 *
 * (G1) L never falls, and no key in the heap is above the one in its row.
 *
 * Priorities are doubles, which order like the 64-bit words that hold them, being positive.
 */
#include "heap.h"

#include <assert.h>
#include <string.h>

struct row {
    uint32_t place; /* in the heap */
    uint32_t tie;   /* of the last use */
    uint64_t key;   /* of its priority */
    float weight;   /* cost / size */
    uint32_t uses;
};

struct state {
    struct kvt_heap heap; /* first (heap.h) */
    double floor;         /* L */
    uint32_t ties;        /* given so far */
};

enum { ROW_B = sizeof(struct row) };

static struct row *row_at(const struct state *s, uint32_t slot)
{
    return KVT_ROW(s->heap.rows, slot, struct row);
}

static uint64_t key_of(double priority)
{
    uint64_t key;
    memcpy(&key, &priority, sizeof key);
    return key;
}

static double priority_of(uint64_t key)
{
    double priority;
    memcpy(&priority, &key, sizeof priority);
    return priority;
}

static void worth(struct state *s, struct row *row)
{
    row->key = key_of(s->floor + (double)row->uses * (double)row->weight);
    row->tie = s->ties++;
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    struct row *row = row_at(s, slot);
    row->uses = 1;
    row->weight = (item->cost_ns > 0 ? item->cost_ns : 1.0f) /
                  (item->size_b > 0 ? (float)item->size_b : 1.0f);
    worth(s, row);
    kvt_heap_push(&s->heap, ROW_B, slot, row->key, row->tie);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct state *s = self;
    struct row *row = row_at(s, slot);
    assert(row->place != KVT_NONE);
    if (row->uses < UINT32_MAX)
        row->uses++;
    worth(s, row);
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    (void)incoming;
    struct state *s = self;
    for (;;) {
        const struct kvt_heap_entry *top = kvt_heap_top(&s->heap);
        if (!top)
            return KVT_NONE;
        const struct row *row = row_at(s, top->slot);
        if (row->tie == top->tie)
            return top->slot;
        kvt_heap_down(&s->heap, ROW_B, KVT_HEAP_ROOT,
                      (struct kvt_heap_entry){row->key, row->tie, top->slot});
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
    kvt_heap_push(&s->heap, ROW_B, slot, row->key, row->tie);
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    (void)id;
    struct state *s = self;
    const struct row *row = row_at(s, slot);
    const double priority = priority_of(row->key);
    if (evicted && priority > s->floor) /* one that was parked for long may lie below */
        s->floor = priority;
    if (row->place != KVT_NONE)
        kvt_heap_remove(&s->heap, ROW_B, slot);
}

static bool check(const void *self, char *why, size_t size)
{
    const struct state *s = self;
    if (kvt_heap_walk(&s->heap, ROW_B) == UINT64_MAX)
        return kvt_evict_wrong("heap", why, size);
    for (uint32_t at = KVT_HEAP_ROOT; at < s->heap.end; at++)
        if (s->heap.entries[at].key > row_at(s, s->heap.entries[at].slot)->key)
            return kvt_evict_wrong("order of priorities (G1)", why, size);
    return true;
}

const struct kvt_evict_ops kvt_evict_gdsf = {
    .name = "gdsf",
    .source = "Cherkasova, HP Laboratories 98-69R1 (1998)",
    .row_b = ROW_B,
    .state_b = sizeof(struct state),
    .competes = true,
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
