/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * line.h - a policy whose residents stand in one queue: all of it that does not say which policy it is.
 *
 *      to include it    #define LINE_ROW struct row      the policy's row, which begins with its links
 *                       #include "line.h"
 *      state            begins with a struct line
 *      table            LINE_OPS stands for everything that is here; what the policy is, insert, hit and
 *                       victim, it says itself. line_insert and line_oldest are for those who do nothing
 *                       else
 *
 * It is included for its functions, once in each policy's file, because the size of a row has to be known
 * where they are compiled (queue.h). Parked residents are out of line and come back as the next to
 * leave (evict.h).
 */
#include "queue.h"

#include <assert.h>

struct line {
    struct kvt_pool *rows;
    struct kvt_queue queue;
};

enum { LINE_ROW_B = sizeof(LINE_ROW) };

static int line_init(void *self, const struct kvt_evict_config *config)
{
    struct line *l = self;
    l->rows = config->rows;
    kvt_queue_init(&l->queue);
    return 0;
}

static inline void line_insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct line *l = self;
    kvt_queue_push(&l->queue, l->rows, LINE_ROW_B, slot);
}

static inline uint32_t line_oldest(void *self, const struct kvt_evict_item *incoming)
{
    (void)incoming;
    const struct line *l = self;
    return l->queue.oldest;
}

/* slot, which is in line, becomes the newest. */
static inline void line_renew(struct line *l, uint32_t slot)
{
    assert(!kvt_queue_is_out(l->rows, LINE_ROW_B, slot));
    if (l->queue.newest == slot)
        return;
    kvt_queue_remove(&l->queue, l->rows, LINE_ROW_B, slot);
    kvt_queue_push(&l->queue, l->rows, LINE_ROW_B, slot);
}

static void line_park(void *self, uint32_t slot)
{
    struct line *l = self;
    assert(!kvt_queue_is_out(l->rows, LINE_ROW_B, slot));
    kvt_queue_remove(&l->queue, l->rows, LINE_ROW_B, slot);
}

static void line_unpark(void *self, uint32_t slot)
{
    struct line *l = self;
    assert(kvt_queue_is_out(l->rows, LINE_ROW_B, slot));
    kvt_queue_push_oldest(&l->queue, l->rows, LINE_ROW_B, slot);
}

static void line_remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    (void)id;
    (void)evicted;
    struct line *l = self;
    if (!kvt_queue_is_out(l->rows, LINE_ROW_B, slot))
        kvt_queue_remove(&l->queue, l->rows, LINE_ROW_B, slot);
}

static uint32_t line_soon(const void *self)
{
    const struct line *l = self;
    return kvt_queue_second(&l->queue, l->rows, LINE_ROW_B);
}

static bool line_check(const void *self, char *why, size_t size)
{
    const struct line *l = self;
    return kvt_queue_walk(&l->queue, l->rows, LINE_ROW_B, KVT_NONE) != UINT64_MAX ||
           kvt_evict_wrong("queue", why, size);
}

#define LINE_OPS                                                                                   \
    .row_b = LINE_ROW_B, .by_slot = true, .init = line_init, .park = line_park,                    \
    .unpark = line_unpark, .remove = line_remove, .soon = line_soon, .check = line_check
