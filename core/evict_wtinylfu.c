/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_wtinylfu.c - W-TinyLFU: a small window for what is new, and a main space into which one comes
 * only by having been asked for more often than the one who would leave.
 *
 * Einziger, Friedman and Manes, "TinyLFU: a highly efficient cache admission policy", ACM
 * Transactions on Storage 13 (2017). The window is an LRU queue of 1 % of the capacity, the main
 * space a segmented LRU whose protected part is 80 % of it; how often is said by a sketch (sketch.h).
 *
 *      new ---> window ---> candidate --- asked for more often than the probation's oldest? ---+
 *                                no: leaves                        yes: that one leaves        |
 *                                                                                              v
 *             protected (used again) <--- used --- probation <-------------------------- joins as newest
 *                 +---- oldest, when too long ---> probation, as newest
 *
 * Look-ups are counted whether they hit or not; an insert by itself is not. A candidate that is as
 * frequent as its rival leaves.
 *
 * victim only compares. That the candidate moves on is done by the insert that follows: the window is
 * then too long by one, and its oldest joins the probation.
 *
 * Parked slots count for the length of their part. To be unparked is to be the oldest of it.
 */
#include "queue.h"
#include "sketch.h"

#include <assert.h>

enum part { WINDOW, PROBATION, PROTECTED, PARTS };

struct row {
    struct kvt_queue_link link;
    uint32_t hash; /* of its id, for the sketch */
    uint32_t part;
};

struct state {
    struct kvt_pool *rows;
    struct kvt_queue queue[PARTS];
    uint64_t n[PARTS]; /* parked ones too */
    uint64_t window_room, protected_room;
    struct kvt_sketch sketch;
};

enum { ROW_B = sizeof(struct row) };

static struct row *row_at(const struct state *s, uint32_t slot)
{
    return KVT_ROW(s->rows, slot, struct row);
}

static int init(void *self, const struct kvt_evict_config *config)
{
    struct state *s = self;
    const double window = config->small_ratio > 0 ? config->small_ratio : 0.01;
    const double protected = config->protected_ratio > 0 ? config->protected_ratio : 0.8;
    s->rows = config->rows;
    s->window_room = window < 1 ? (uint64_t)((double)config->capacity * window) : config->capacity;
    if (s->window_room == 0)
        s->window_room = 1;
    const double main = (double)(config->capacity - s->window_room);
    s->protected_room = (uint64_t)(main * (protected < 1 ? protected : 1));
    for (int p = 0; p < PARTS; p++)
        kvt_queue_init(&s->queue[p]);
    return kvt_sketch_init(&s->sketch, config->alloc, config->capacity);
}

static void release(void *self)
{
    struct state *s = self;
    kvt_sketch_release(&s->sketch);
}

static void join(struct state *s, uint32_t slot, enum part part)
{
    row_at(s, slot)->part = part;
    s->n[part]++;
    kvt_queue_push(&s->queue[part], s->rows, ROW_B, slot);
}

static void leave(struct state *s, uint32_t slot)
{
    const uint32_t part = row_at(s, slot)->part;
    s->n[part]--;
    kvt_queue_remove(&s->queue[part], s->rows, ROW_B, slot);
}

/* Shortens a part to its room, as far as its slots are not parked. */
static void overflow(struct state *s, enum part part, uint64_t room)
{
    while (s->n[part] > room && s->queue[part].oldest != KVT_NONE) {
        const uint32_t slot = s->queue[part].oldest;
        leave(s, slot);
        join(s, slot, PROBATION);
    }
}

static void miss(void *self, const struct kvt_evict_item *item)
{
    struct state *s = self;
    kvt_sketch_add(&s->sketch, kvt_sketch_hash(item->id));
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    row_at(s, slot)->hash = kvt_sketch_hash(item->id);
    join(s, slot, WINDOW);
    overflow(s, WINDOW, s->window_room);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct state *s = self;
    const struct row *row = row_at(s, slot);
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_sketch_add(&s->sketch, row->hash);
    const enum part part = row->part == WINDOW ? WINDOW : PROTECTED;
    leave(s, slot);
    join(s, slot, part);
    overflow(s, PROTECTED, s->protected_room);
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    (void)incoming;
    const struct state *s = self;
    const uint32_t candidate = s->queue[WINDOW].oldest;
    uint32_t rival = s->queue[PROBATION].oldest;
    if (rival == KVT_NONE)
        rival = s->queue[PROTECTED].oldest;
    if (candidate == KVT_NONE || (rival != KVT_NONE && s->n[WINDOW] < s->window_room))
        return rival;
    if (rival == KVT_NONE)
        return candidate;
    const bool admitted = kvt_sketch_estimate(&s->sketch, row_at(s, candidate)->hash) >
                          kvt_sketch_estimate(&s->sketch, row_at(s, rival)->hash);
    return admitted ? rival : candidate;
}

static void park(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_queue_remove(&s->queue[row_at(s, slot)->part], s->rows, ROW_B, slot);
}

static void unpark(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_queue_push_oldest(&s->queue[row_at(s, slot)->part], s->rows, ROW_B, slot);
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    (void)id;
    (void)evicted;
    struct state *s = self;
    if (!kvt_queue_is_out(s->rows, ROW_B, slot))
        leave(s, slot);
    else
        s->n[row_at(s, slot)->part]--;
}

static void prefetch(const void *self, uint64_t id)
{
    const struct state *s = self;
    kvt_sketch_prefetch(&s->sketch, kvt_sketch_hash(id));
}

static void touch(const void *self, uint32_t slot)
{
    const struct state *s = self;
    kvt_queue_touch(s->rows, ROW_B, slot);
}

static uint32_t soon(const void *self)
{
    const struct state *s = self;
    return kvt_queue_second(&s->queue[WINDOW], s->rows, ROW_B);
}

static size_t memory_b(const void *self)
{
    const struct state *s = self;
    return s->sketch.memory_b;
}

static bool check(const void *self, char *why, size_t size)
{
    static const char *const names[PARTS] = {"window", "probation", "protected part"};
    const struct state *s = self;
    for (int p = 0; p < PARTS; p++)
        if (kvt_queue_walk(&s->queue[p], s->rows, ROW_B, s->n[p]) == UINT64_MAX)
            return kvt_evict_wrong(names[p], why, size);
    return true;
}

const struct kvt_evict_ops kvt_evict_wtinylfu = {
    .name = "w-tinylfu",
    .source = "Einziger, Friedman, Manes, ACM Transactions on Storage 13 (2017)",
    .row_b = ROW_B,
    .state_b = sizeof(struct state),
    .init = init,
    .release = release,
    .miss = miss,
    .insert = insert,
    .hit = hit,
    .victim = victim,
    .park = park,
    .unpark = unpark,
    .remove = remove,
    .prefetch = prefetch,
    .touch = touch,
    .soon = soon,
    .memory_b = memory_b,
    .check = check,
};
