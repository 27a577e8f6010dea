/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_sieve.c - SIEVE: a queue in order of arrival, and a hand that walks it and never moves anybody.
 *
 * Zhang, Yang, Yue, Vigfusson and Rashmi, "SIEVE is simpler than LRU", NSDI 2024. The hand goes from
 * the oldest to the newest: it clears the bit of whoever was used, and takes the first that was not.
 * Survivors stay where they are, so new blocks are sifted at the hand while old ones keep their place.
 *
 *      newest [ new new new | survivors ... <hand> not yet looked at ... ] oldest
 *
 * For KV blocks it is a poor choice: a prompt appends a run of blocks that nobody has used yet, so the
 * hand hardly ever wraps, and the cache turns into one that keeps what it had first.
 *
 * To be unparked is to be put under the hand, which is where the queue's next leaver is.
 *
 * (V1) hand is KVT_NONE, which means the oldest, or a slot in line.
 */
#include "queue.h"

#include <assert.h>

struct row {
    struct kvt_queue_link link;
    uint32_t used;
};

struct state {
    struct kvt_pool *rows;
    struct kvt_queue queue;
    uint32_t hand;
};

enum { ROW_B = sizeof(struct row) };

static int init(void *self, const struct kvt_evict_config *config)
{
    struct state *s = self;
    s->rows = config->rows;
    s->hand = KVT_NONE;
    kvt_queue_init(&s->queue);
    return 0;
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct state *s = self;
    KVT_ROW(s->rows, slot, struct row)->used = 0;
    kvt_queue_push(&s->queue, s->rows, ROW_B, slot);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct state *s = self;
    KVT_ROW(s->rows, slot, struct row)->used = 1;
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    (void)incoming;
    struct state *s = self;
    uint32_t at = s->hand == KVT_NONE ? s->queue.oldest : s->hand;
    if (at == KVT_NONE)
        return KVT_NONE;
    for (;;) {
        struct row *row = KVT_ROW(s->rows, at, struct row);
        if (!row->used)
            break;
        row->used = 0;
        at = row->link.newer == KVT_NONE ? s->queue.oldest : row->link.newer;
    }
    s->hand = at;
    return at;
}

static void leave(struct state *s, uint32_t slot)
{
    if (s->hand == slot)
        s->hand = KVT_ROW(s->rows, slot, struct row)->link.newer;
    kvt_queue_remove(&s->queue, s->rows, ROW_B, slot);
}

static void park(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    leave(s, slot);
}

static void unpark(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(kvt_queue_is_out(s->rows, ROW_B, slot));
    const uint32_t behind =
        s->hand == KVT_NONE ? KVT_NONE : KVT_ROW(s->rows, s->hand, struct row)->link.older;
    kvt_queue_push_behind(&s->queue, s->rows, ROW_B, slot, behind);
    s->hand = slot;
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    (void)id;
    (void)evicted;
    struct state *s = self;
    if (!kvt_queue_is_out(s->rows, ROW_B, slot))
        leave(s, slot);
}

static uint32_t soon(const void *self)
{
    const struct state *s = self;
    return s->hand == KVT_NONE ? KVT_NONE : KVT_ROW(s->rows, s->hand, struct row)->link.newer;
}

static bool check(const void *self, char *why, size_t size)
{
    const struct state *s = self;
    if (kvt_queue_walk(&s->queue, s->rows, ROW_B, KVT_NONE) == UINT64_MAX)
        return kvt_evict_wrong("queue", why, size);
    if (s->hand != KVT_NONE && kvt_queue_is_out(s->rows, ROW_B, s->hand))
        return kvt_evict_wrong("hand", why, size);
    return true;
}

const struct kvt_evict_ops kvt_evict_sieve = {
    .name = "sieve",
    .source = "Zhang, Yang, Yue, Vigfusson, Rashmi, NSDI 2024",
    .row_b = sizeof(struct row),
    .by_slot = true,
    .state_b = sizeof(struct state),
    .init = init,
    .insert = insert,
    .hit = hit,
    .victim = victim,
    .park = park,
    .unpark = unpark,
    .remove = remove,
    .soon = soon,
    .check = check,
};
