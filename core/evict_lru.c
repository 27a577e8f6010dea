/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_lru.c - least recently used: a queue in order of last use.
 *
 * The order is that of Mattson, Gecsei, Slutz and Traiger, "Evaluation techniques for storage
 * hierarchies", IBM Systems Journal 9 (1970). It is a stack algorithm: what a small cache holds, a
 * larger one holds too.
 *
 * With the victim's parents parked until nothing stands behind them, this is what paged engines do:
 * leaves leave in order of last use.
 */
#include "queue.h"

#include <assert.h>

struct state {
    struct kvt_pool *rows;
    struct kvt_queue queue; /* newest: used last */
};

enum { ROW_B = sizeof(struct kvt_queue_link) };

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
    kvt_queue_push(&s->queue, s->rows, ROW_B, slot);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct state *s = self;
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    if (s->queue.newest == slot)
        return;
    kvt_queue_remove(&s->queue, s->rows, ROW_B, slot);
    kvt_queue_push(&s->queue, s->rows, ROW_B, slot);
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    (void)incoming;
    const struct state *s = self;
    return s->queue.oldest;
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

static void touch(const void *self, uint32_t slot)
{
    const struct state *s = self;
    kvt_queue_touch(s->rows, ROW_B, slot);
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

const struct kvt_evict_ops kvt_evict_lru = {
    .name = "lru",
    .source = "Mattson, Gecsei, Slutz, Traiger, IBM Systems Journal 9 (1970)",
    .row_b = ROW_B,
    .by_slot = true,
    .state_b = sizeof(struct state),
    .init = init,
    .insert = insert,
    .hit = hit,
    .victim = victim,
    .park = park,
    .unpark = unpark,
    .remove = remove,
    .touch = touch,
    .soon = soon,
    .check = check,
};
