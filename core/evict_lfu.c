/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_lfu.c - least frequently used, while resident; of equals, whoever joined its class first.
 *
 * The order is old (Aho, Denning and Ullman, "Principles of optimal page replacement", JACM 18
 * (1971), call it A0 when probabilities are known); constant time is Shah, Mitra and Matani, "An O(1)
 * algorithm for implementing the LFU cache eviction scheme" (2010): a queue per number of uses. Here
 * the queues are found by number (ranks.h) instead of by a list of lists.
 *
 * A count starts at 1 with the insert and is forgotten with the block. Beyond 65,535 uses all counts
 * are equal, and the order is that of last use.
 *
 * Like SIEVE, a poor choice for KV blocks: what was popular first stays for ever.
 */
#include "ranks.h"

#include <assert.h>

struct row {
    struct kvt_queue_link link;
    uint32_t uses;
};

struct state {
    struct kvt_pool *rows;
    const struct kvt_alloc *alloc;
    struct kvt_ranks ranks;
};

enum { ROW_B = sizeof(struct row) };

static int init(void *self, const struct kvt_evict_config *config)
{
    struct state *s = self;
    s->rows = config->rows;
    s->alloc = config->alloc;
    return kvt_ranks_init(&s->ranks, s->alloc);
}

static void release(void *self)
{
    struct state *s = self;
    kvt_ranks_release(&s->ranks, s->alloc);
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct state *s = self;
    KVT_ROW(s->rows, slot, struct row)->uses = 1;
    kvt_ranks_push(&s->ranks, s->rows, ROW_B, 1, slot);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct state *s = self;
    struct row *row = KVT_ROW(s->rows, slot, struct row);
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_ranks_remove(&s->ranks, s->rows, ROW_B, row->uses, slot);
    if (row->uses < KVT_RANK_MAX)
        row->uses++;
    kvt_ranks_push(&s->ranks, s->rows, ROW_B, row->uses, slot);
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    (void)incoming;
    const struct state *s = self;
    return kvt_ranks_lowest(&s->ranks);
}

static void park(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_ranks_remove(&s->ranks, s->rows, ROW_B, KVT_ROW(s->rows, slot, struct row)->uses, slot);
}

static void unpark(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_ranks_push_oldest(&s->ranks, s->rows, ROW_B, KVT_ROW(s->rows, slot, struct row)->uses,
                          slot);
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    (void)id;
    (void)evicted;
    if (!kvt_queue_is_out(((struct state *)self)->rows, ROW_B, slot))
        park(self, slot);
}

static void touch(const void *self, uint32_t slot)
{
    const struct state *s = self;
    kvt_queue_touch(s->rows, ROW_B, slot);
}

static size_t memory_b(const void *self)
{
    (void)self;
    return kvt_ranks_memory_b();
}

static bool check(const void *self, char *why, size_t size)
{
    const struct state *s = self;
    return kvt_ranks_walk(&s->ranks, s->rows, ROW_B) != UINT64_MAX ||
           kvt_evict_wrong("queues by uses", why, size);
}

const struct kvt_evict_ops kvt_evict_lfu = {
    .name = "lfu",
    .source = "Shah, Mitra, Matani, An O(1) algorithm for implementing LFU (2010)",
    .row_b = sizeof(struct row),
    .by_slot = true,
    .state_b = sizeof(struct state),
    .init = init,
    .release = release,
    .insert = insert,
    .hit = hit,
    .victim = victim,
    .park = park,
    .unpark = unpark,
    .remove = remove,
    .touch = touch,
    .memory_b = memory_b,
    .check = check,
};
