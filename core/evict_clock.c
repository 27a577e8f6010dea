/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_clock.c - CLOCK, or second chance: first in, first out, but whoever was used goes round again.
 *
 * Corbato, "A paging experiment with the Multics system" (1968). A use sets a bit; the hand clears it
 * and passes on. The circle with a hand is kept as a queue: the hand is its oldest end, and to be
 * passed is to join again as the newest. A block comes in with its bit clear, so that one look-up
 * earns no second chance.
 *
 * (K1) After victim, the slot it named is oldest and its bit is clear.
 */
#include "queue.h"

#include <assert.h>

struct row {
    struct kvt_queue_link link;
    uint32_t used;
};

struct state {
    struct kvt_pool *rows;
    struct kvt_queue queue; /* oldest: under the hand */
};

enum { ROW_B = sizeof(struct row) };

static int init(void *self, const struct kvt_evict_config *config)
{
    struct state *s = self;
    s->rows = config->rows;
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
    for (;;) {
        const uint32_t slot = s->queue.oldest;
        if (slot == KVT_NONE || !KVT_ROW(s->rows, slot, struct row)->used)
            return slot;
        KVT_ROW(s->rows, slot, struct row)->used = 0;
        kvt_queue_remove(&s->queue, s->rows, ROW_B, slot);
        kvt_queue_push(&s->queue, s->rows, ROW_B, slot);
    }
}

static void park(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_queue_remove(&s->queue, s->rows, ROW_B, slot);
}

static void unpark(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_queue_push_oldest(&s->queue, s->rows, ROW_B, slot);
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    (void)id;
    (void)evicted;
    struct state *s = self;
    if (!kvt_queue_is_out(s->rows, ROW_B, slot))
        kvt_queue_remove(&s->queue, s->rows, ROW_B, slot);
}

static uint32_t soon(const void *self)
{
    const struct state *s = self;
    return kvt_queue_second(&s->queue, s->rows, ROW_B);
}

static bool check(const void *self, char *why, size_t size)
{
    const struct state *s = self;
    return kvt_queue_walk(&s->queue, s->rows, ROW_B, KVT_NONE) != UINT64_MAX ||
           kvt_evict_wrong("queue", why, size);
}

const struct kvt_evict_ops kvt_evict_clock = {
    .name = "clock",
    .source = "Corbato, A paging experiment with the Multics system (1968)",
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
