/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * queue.h - residents in line: a doubly linked list over rows.
 *
 *      oldest <-> ... <-> newest          leaves at the oldest end, joins at the newest
 *
 * A row that is in line begins with its two links; they are slots, 8 bytes together. A row belongs
 * to one queue at a time. Whoever is parked is in no queue and says so in its first link, so that
 * parking takes no memory of its own.
 *
 * row_b is the size of the policy's row and known where this is compiled, hence functions in a
 * header: finding a row then takes a shift, a mask and one load.
 */
#ifndef KVT_QUEUE_H
#define KVT_QUEUE_H

#include "evict.h"

/* First in the row. */
struct kvt_queue_link {
    uint32_t newer, older; /* KVT_NONE at the ends; newer is KVT_QUEUE_OUT while in no queue */
};

#define KVT_QUEUE_OUT (KVT_NONE - 1)

struct kvt_queue {
    uint32_t newest, oldest; /* KVT_NONE when empty */
};

static inline struct kvt_queue_link *kvt_queue_at(const struct kvt_pool *rows, size_t row_b,
                                                  uint32_t slot)
{
    return (struct kvt_queue_link *)kvt_pool_at_known(rows, slot, KVT_ROWS_SHIFT, row_b);
}

static inline void kvt_queue_init(struct kvt_queue *q)
{
    q->newest = q->oldest = KVT_NONE;
}

static inline void kvt_queue_push(struct kvt_queue *q, const struct kvt_pool *rows, size_t row_b,
                                  uint32_t slot)
{
    *kvt_queue_at(rows, row_b, slot) = (struct kvt_queue_link){KVT_NONE, q->newest};
    if (q->newest != KVT_NONE)
        kvt_queue_at(rows, row_b, q->newest)->newer = slot;
    else
        q->oldest = slot;
    q->newest = slot;
}

/* As the next to leave. */
static inline void kvt_queue_push_oldest(struct kvt_queue *q, const struct kvt_pool *rows,
                                         size_t row_b, uint32_t slot)
{
    *kvt_queue_at(rows, row_b, slot) = (struct kvt_queue_link){q->oldest, KVT_NONE};
    if (q->oldest != KVT_NONE)
        kvt_queue_at(rows, row_b, q->oldest)->older = slot;
    else
        q->newest = slot;
    q->oldest = slot;
}

/* slot leaves the line; it is out, until it is pushed again. Its links are read before anything is
 * written: a neighbour's row is late, and what is read after writing to it would be late too. */
static inline void kvt_queue_remove(struct kvt_queue *q, const struct kvt_pool *rows, size_t row_b,
                                    uint32_t slot)
{
    struct kvt_queue_link *const at = kvt_queue_at(rows, row_b, slot);
    const struct kvt_queue_link link = *at;
    at->newer = KVT_QUEUE_OUT;
    if (link.newer != KVT_NONE)
        kvt_queue_at(rows, row_b, link.newer)->older = link.older;
    else
        q->newest = link.older;
    if (link.older != KVT_NONE)
        kvt_queue_at(rows, row_b, link.older)->newer = link.newer;
    else
        q->oldest = link.newer;
}

static inline bool kvt_queue_is_out(const struct kvt_pool *rows, size_t row_b, uint32_t slot)
{
    return kvt_queue_at(rows, row_b, slot)->newer == KVT_QUEUE_OUT;
}

/* slot, which is out, gets in line behind `before`: it leaves next after it. KVT_NONE: as the oldest. */
static inline void kvt_queue_push_behind(struct kvt_queue *q, const struct kvt_pool *rows,
                                         size_t row_b, uint32_t slot, uint32_t before)
{
    struct kvt_queue_link *link = kvt_queue_at(rows, row_b, slot);
    link->older = before;
    uint32_t *newer = before == KVT_NONE ? &q->oldest : &kvt_queue_at(rows, row_b, before)->newer;
    link->newer = *newer;
    if (*newer != KVT_NONE)
        kvt_queue_at(rows, row_b, *newer)->older = slot;
    else
        q->newest = slot;
    *newer = slot;
}

/* Who leaves after the oldest, or KVT_NONE. */
static inline uint32_t kvt_queue_second(const struct kvt_queue *q, const struct kvt_pool *rows,
                                        size_t row_b)
{
    return q->oldest == KVT_NONE ? KVT_NONE : kvt_queue_at(rows, row_b, q->oldest)->newer;
}

/* Fetches the rows that change when slot leaves the line. */
static inline void kvt_queue_touch(const struct kvt_pool *rows, size_t row_b, uint32_t slot)
{
    const struct kvt_queue_link *link = kvt_queue_at(rows, row_b, slot);
    if (link->newer < KVT_QUEUE_OUT)
        __builtin_prefetch(kvt_queue_at(rows, row_b, link->newer), 1);
    if (link->older < KVT_QUEUE_OUT)
        __builtin_prefetch(kvt_queue_at(rows, row_b, link->older), 1);
}

/* Walks the queue both ways. How many are in line, at most `most`; UINT64_MAX when its links do not
 * agree. */
static inline uint64_t kvt_queue_walk(const struct kvt_queue *q, const struct kvt_pool *rows,
                                      size_t row_b, uint64_t most)
{
    uint64_t n = 0;
    uint32_t newer = KVT_NONE;
    for (uint32_t at = q->newest; at != KVT_NONE; at = kvt_queue_at(rows, row_b, at)->older) {
        if (kvt_queue_at(rows, row_b, at)->newer != newer || n++ == most)
            return UINT64_MAX;
        newer = at;
    }
    return q->oldest == newer ? n : UINT64_MAX;
}

#endif
