/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * reuse.c - see reuse.h.
 *
 * The history is a queue of sampled ids in order of their last look-up. It spans HORIZON times as many
 * distinct ids as the cache holds; where that is more than enough to learn from, the sample is thinned
 * by powers of two instead of the span.
 */
#include "reuse.h"

#include "mix.h"

#include <errno.h>
#include <string.h>

enum { SHIFT = 9, HORIZON = 4, ENOUGH = 8192, THINNEST = 8 };

struct past {
    uint64_t id;
    kvt_ns last;
    uint32_t newer, older;
    uint32_t uses;
};

static struct past *past_at(const struct kvt_reuse *r, uint32_t number)
{
    return kvt_pool_at_known(&r->pool, number, SHIFT, sizeof(struct past));
}

void kvt_reuse_init(struct kvt_reuse *r, const struct kvt_alloc *alloc, uint64_t capacity)
{
    memset(r, 0, sizeof *r);
    kvt_idmap_init(&r->map, alloc);
    kvt_pool_init(&r->pool, alloc, sizeof(struct past), SHIFT);
    r->newest = r->oldest = KVT_NONE;
    uint64_t span = capacity > UINT32_MAX ? UINT32_MAX : capacity * HORIZON;
    while (span > ENOUGH && r->sample_mask >> THINNEST == 0) {
        span /= 2;
        r->sample_mask = r->sample_mask << 1 | 1;
    }
}

void kvt_reuse_release(struct kvt_reuse *r)
{
    kvt_idmap_release(&r->map);
    kvt_pool_release(&r->pool);
}

int kvt_reuse_reserve(struct kvt_reuse *r, uint64_t residents)
{
    const uint64_t room = residents * HORIZON / (r->sample_mask + 1) + 1;
    if (room <= r->room)
        return 0;
    if (room >= KVT_NONE)
        return -ENOMEM;
    const int error = kvt_idmap_reserve(&r->map, room);
    if (error)
        return error;
    if (kvt_pool_reserve(&r->pool, room - r->map.count))
        return -ENOMEM;
    r->room = room;
    return 0;
}

/* The lowest age of a bucket. */
static double low(uint32_t bucket)
{
    if (bucket < 4)
        return bucket;
    return (double)((4 + (uint64_t)bucket % 4) << (bucket / 4 - 1));
}

/* From the greatest age down: n blocks reach the bucket above, and each of them was here for all of
 * this one. */
static void renew(struct kvt_reuse *r)
{
    for (uint32_t c = 0; c < KVT_REUSE_CLASSES; c++) {
        double n = 0, uses = 0, time = 0;
        for (uint32_t b = KVT_REUSE_BUCKETS; b-- > 0;) {
            const double width = low(b + 1) - low(b);
            const double here = (double)r->uses[c][b] + (double)r->ends[c][b];
            time += n * width + here * width / 2;
            n += here;
            uses += (double)r->uses[c][b];
            r->density[c][b] = time > 0 ? (float)(uses / time) : 0;
            r->uses[c][b] *= 0.875f;
            r->ends[c][b] *= 0.875f;
        }
    }
    r->events = 0;
}

static void count(struct kvt_reuse *r, float counts[KVT_REUSE_CLASSES][KVT_REUSE_BUCKETS],
                  const struct past *past, kvt_ns now)
{
    const uint64_t age = now > past->last ? now - past->last : 0;
    counts[kvt_reuse_class(past->uses)][kvt_reuse_bucket(age)] += 1;
    if (++r->events >= KVT_REUSE_RENEW)
        renew(r);
}

static void unlink_past(struct kvt_reuse *r, uint32_t number)
{
    const struct past *past = past_at(r, number);
    if (past->newer != KVT_NONE)
        past_at(r, past->newer)->older = past->older;
    else
        r->newest = past->older;
    if (past->older != KVT_NONE)
        past_at(r, past->older)->newer = past->newer;
    else
        r->oldest = past->newer;
}

static void link_newest(struct kvt_reuse *r, uint32_t number)
{
    struct past *past = past_at(r, number);
    past->newer = KVT_NONE;
    past->older = r->newest;
    if (r->newest != KVT_NONE)
        past_at(r, r->newest)->newer = number;
    else
        r->oldest = number;
    r->newest = number;
}

static void forget_oldest(struct kvt_reuse *r, kvt_ns now)
{
    const uint32_t number = r->oldest;
    const struct past *past = past_at(r, number);
    count(r, r->ends, past, now);
    unlink_past(r, number);
    kvt_idmap_remove(&r->map, past->id);
    kvt_pool_give(&r->pool, number);
}

void kvt_reuse_saw(struct kvt_reuse *r, uint64_t id, bool hit, kvt_ns now)
{
    if ((kvt_mix64(id) & r->sample_mask) != 0 || r->room == 0)
        return;
    uint32_t number = kvt_idmap_find(&r->map, id);
    if (number == KVT_NONE) {
        if (r->map.count == r->room)
            forget_oldest(r, now);
        number = kvt_pool_take(&r->pool);
        *past_at(r, number) = (struct past){.id = id};
        kvt_idmap_add(&r->map, id, number);
    } else {
        struct past *past = past_at(r, number);
        count(r, r->uses, past, now);
        past->uses = hit ? past->uses + (past->uses < UINT32_MAX) : 0;
        unlink_past(r, number);
    }
    past_at(r, number)->last = now;
    link_newest(r, number);
}

size_t kvt_reuse_memory_b(const struct kvt_reuse *r)
{
    return r->map.memory_b + kvt_pool_memory_b(&r->pool);
}

bool kvt_reuse_check(const struct kvt_reuse *r)
{
    uint64_t n = 0;
    uint32_t newer = KVT_NONE;
    for (uint32_t at = r->newest; at != KVT_NONE; at = past_at(r, at)->older) {
        if (past_at(r, at)->newer != newer || n++ == r->map.count ||
            kvt_idmap_find(&r->map, past_at(r, at)->id) != at)
            return false;
        newer = at;
    }
    return r->oldest == newer && n == r->map.count && n <= r->room && kvt_idmap_check(&r->map);
}
