/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_value.c - the seconds of prefill that a block is still going to save, per byte and second it
 * takes the room: who saves least leaves.
 *
 *      value = cost to compute it again * uses to be expected per unit of time / bytes
 *
 * The middle factor is a hit density (Beckmann, Chen and Cidon, NSDI 2018), learned online per number
 * of uses and age (reuse.h says how it differs from LHD's, and why). The first is the owner's, and differs: a block deep in a prompt
 * attends to all that is before it, so it costs several times what the first one does, and an order
 * by hits alone does not know.
 *
 * LHD draws candidates at random. Here blocks stand in queues by class of uses and of cost per byte
 * (half powers of two), each in order of last use. In a queue all have nearly the same worth but for
 * their age; so the two ends of each queue are looked at, the oldest and the newest, as density
 * mostly falls with age and sometimes, for what recurs at intervals, rises. At most 96 queues of which
 * few are in use; the rest is not looked at.
 *
 * While nothing is known all values are 0, and of equals who was used longest ago leaves: LRU.
 */
#include "queue.h"
#include "reuse.h"

#include <assert.h>
#include <string.h>

enum {
    LEVELS = 16,     /* of cost per byte; the first one seen is FIRST_LEVEL */
    FIRST_LEVEL = 4, /* costs rise along a chain: more room above */
    QUEUES = KVT_REUSE_CLASSES * LEVELS
};

struct row {
    struct kvt_queue_link link;
    uint64_t last; /* look-up */
    float weight;  /* cost / bytes */
    uint16_t uses; /* since it came */
    uint16_t queue;
};

struct state {
    struct kvt_pool *rows;
    struct kvt_queue queue[QUEUES];
    uint64_t in_use[(QUEUES + 63) / 64]; /* queues that are not empty */
    int32_t base;                        /* half power of two that is level 0 */
    bool based;
    uint64_t now;
    struct kvt_reuse reuse;
};

enum { ROW_B = sizeof(struct row) };

static struct row *row_at(const struct state *s, uint32_t slot)
{
    return KVT_ROW(s->rows, slot, struct row);
}

static int init(void *self, const struct kvt_evict_config *config)
{
    struct state *s = self;
    s->rows = config->rows;
    for (uint32_t q = 0; q < QUEUES; q++)
        kvt_queue_init(&s->queue[q]);
    kvt_reuse_init(&s->reuse, config->alloc, config->capacity);
    return 0;
}

static void release(void *self)
{
    struct state *s = self;
    kvt_reuse_release(&s->reuse);
}

static int reserve(void *self, uint64_t residents)
{
    struct state *s = self;
    return kvt_reuse_reserve(&s->reuse, residents);
}

/* A float's exponent and first bit of mantissa number its half power of two. */
static uint32_t level_of(struct state *s, float weight)
{
    uint32_t bits;
    memcpy(&bits, &weight, sizeof bits);
    const int32_t half = (int32_t)(bits >> 22);
    if (!s->based) {
        s->base = half - FIRST_LEVEL;
        s->based = true;
    }
    const int32_t level = half - s->base;
    return level < 0 ? 0 : level < LEVELS ? (uint32_t)level : LEVELS - 1;
}

static void mark(struct state *s, uint32_t q)
{
    if (s->queue[q].oldest != KVT_NONE)
        s->in_use[q / 64] |= UINT64_C(1) << q % 64;
    else
        s->in_use[q / 64] &= ~(UINT64_C(1) << q % 64);
}

static void leave(struct state *s, uint32_t slot)
{
    const uint32_t q = row_at(s, slot)->queue;
    kvt_queue_remove(&s->queue[q], s->rows, ROW_B, slot);
    mark(s, q);
}

static void tell(struct state *s, const struct kvt_evict_item *item)
{
    if (item && item->now != KVT_NEVER && item->now > s->now)
        s->now = item->now;
}

static void miss(void *self, const struct kvt_evict_item *item)
{
    struct state *s = self;
    tell(s, item);
    kvt_reuse_saw(&s->reuse, item->id, false, s->now);
}

static void enter(struct state *s, uint32_t slot, struct row *row)
{
    row->queue = (uint16_t)(kvt_reuse_class(row->uses) * LEVELS + level_of(s, row->weight));
    row->last = s->now;
    kvt_queue_push(&s->queue[row->queue], s->rows, ROW_B, slot);
    mark(s, row->queue);
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    struct row *row = row_at(s, slot);
    tell(s, item);
    row->uses = 0;
    row->weight = (item->cost_ns > 0 ? item->cost_ns : 1.0f) /
                  (item->size_b > 0 ? (float)item->size_b : 1.0f);
    enter(s, slot, row);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    struct row *row = row_at(s, slot);
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    tell(s, item);
    kvt_reuse_saw(&s->reuse, item->id, true, s->now);
    leave(s, slot);
    if (row->uses < UINT16_MAX)
        row->uses++;
    enter(s, slot, row);
}

struct least {
    uint32_t slot;
    float value;
    uint64_t last;
};

static void consider(const struct state *s, uint32_t slot, struct least *least)
{
    const struct row *row = row_at(s, slot);
    const float value = row->weight * kvt_reuse_density(&s->reuse, row->uses, s->now - row->last);
    if (least->slot == KVT_NONE || value < least->value ||
        (value == least->value && row->last < least->last))
        *least = (struct least){slot, value, row->last};
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    struct state *s = self;
    tell(s, incoming);
    struct least least = {.slot = KVT_NONE};
    for (uint32_t word = 0; word < sizeof s->in_use / sizeof *s->in_use; word++)
        for (uint64_t m = s->in_use[word]; m; m &= m - 1) {
            const struct kvt_queue *q = &s->queue[word * 64 + (uint32_t)__builtin_ctzll(m)];
            consider(s, q->oldest, &least);
            consider(s, q->newest, &least);
        }
    return least.slot;
}

static void park(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    leave(s, slot);
}

/* At the end where the oldest are: its own age, which the row holds, says what it is worth. */
static void unpark(void *self, uint32_t slot)
{
    struct state *s = self;
    const struct row *row = row_at(s, slot);
    assert(kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_queue_push_oldest(&s->queue[row->queue], s->rows, ROW_B, slot);
    mark(s, row->queue);
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    (void)id;
    (void)evicted;
    struct state *s = self;
    if (!kvt_queue_is_out(s->rows, ROW_B, slot))
        leave(s, slot);
}

static void touch(const void *self, uint32_t slot)
{
    const struct state *s = self;
    kvt_queue_touch(s->rows, ROW_B, slot);
}

static size_t memory_b(const void *self)
{
    const struct state *s = self;
    return kvt_reuse_memory_b(&s->reuse);
}

static bool check(const void *self, char *why, size_t size)
{
    const struct state *s = self;
    for (uint32_t q = 0; q < QUEUES; q++) {
        const uint64_t n = kvt_queue_walk(&s->queue[q], s->rows, ROW_B, KVT_NONE);
        if (n == UINT64_MAX || (n > 0) != (s->in_use[q / 64] >> q % 64 & 1))
            return kvt_evict_wrong("queues by worth", why, size);
    }
    return kvt_reuse_check(&s->reuse) || kvt_evict_wrong("history of uses", why, size);
}

const struct kvt_evict_ops kvt_evict_value = {
    .name = "value",
    .source = "density: Beckmann, Chen, Cidon, NSDI 2018; cost: seconds of prefill",
    .row_b = ROW_B,
    .state_b = sizeof(struct state),
    .init = init,
    .release = release,
    .reserve = reserve,
    .miss = miss,
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
