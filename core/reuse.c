/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * reuse.c - see reuse.h.
 *
 * Figures of choice, by the flat miss ratios of the conversation and the agentic trace at five sizes
 * each: a HORIZON of 8 is best for small caches, 2 for large ones, by a point or less in between; a
 * sample of 8,192 ids does as well as eight times that; FADE lets a count half in 23 renewals.
 *
 * The history is a queue of sampled ids in order of their last look-up. It spans HORIZON times as many
 * distinct ids as the cache holds; where that is more than enough to learn from, the sample is thinned
 * by powers of two instead of the span.
 */
#include "reuse.h"

#include "mix.h"

#include <errno.h>
#include <string.h>

enum { SHIFT = 9, HORIZON = 8, ENOUGH = 8192, THINNEST = 8 };

#define FADE 0.97f

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

/* How many get no further than bucket b, for whatever reason. */
static double gone(const struct kvt_reuse *r, uint32_t c, uint32_t b)
{
    return (double)r->uses[c][b] + (double)r->ends[c][b] + (double)r->waiting[c][b];
}

static float *cell(float counts[KVT_REUSE_CLASSES][KVT_REUSE_BUCKETS], const struct past *past,
                   kvt_ns now)
{
    const uint64_t age = now > past->last ? now - past->last : 0;
    return &counts[kvt_reuse_class(past->uses)][kvt_reuse_bucket(age)];
}

/* The best that can be got of a class from bucket `from` on: held as far as some bucket, uses per
 * time, for the bucket where that is most. n blocks come so far. */
static float best_from(const struct kvt_reuse *r, uint32_t c, uint32_t from, uint32_t end, double n)
{
    double uses = 0, time = 0, best = 0;
    for (uint32_t b = from; b < end && n > 0; b++) {
        const double width = low(b + 1) - low(b);
        const double here = gone(r, c, b);
        n -= here;
        time += (n > 0 ? n : 0) * width + here * width / 2;
        uses += (double)r->uses[c][b];
        if (uses > best * time)
            best = uses / time;
    }
    return (float)best;
}

/* Those that are still waiting count too, as far as they have come: what did not happen yet is known
 * of them. (Leaving them out would make every block look sure of its next use while the history
 * fills.) */
static void count_waiting(struct kvt_reuse *r, kvt_ns now)
{
    memset(r->waiting, 0, sizeof r->waiting);
    for (uint32_t at = r->newest; at != KVT_NONE; at = past_at(r, at)->older)
        *cell(r->waiting, past_at(r, at), now) += 1;
}

static void renew(struct kvt_reuse *r, kvt_ns now)
{
    count_waiting(r, now);
    for (uint32_t c = 0; c < KVT_REUSE_CLASSES; c++) {
        uint32_t end = KVT_REUSE_BUCKETS;
        while (end > 0 && gone(r, c, end - 1) == 0)
            end--;
        double n = 0;
        memset(r->density[c], 0, sizeof r->density[c]);
        for (uint32_t b = end; b-- > 0;) {
            n += gone(r, c, b);
            r->density[c][b] = best_from(r, c, b, end, n);
        }
        for (uint32_t b = 0; b < end; b++) {
            r->uses[c][b] *= FADE;
            r->ends[c][b] *= FADE;
        }
    }
    r->events = 0;
}

static void count(struct kvt_reuse *r, float counts[KVT_REUSE_CLASSES][KVT_REUSE_BUCKETS],
                  const struct past *past, kvt_ns now)
{
    *cell(counts, past, now) += 1;
    if (++r->events >= KVT_REUSE_RENEW && r->events >= r->map.count / 4)
        renew(r, now);
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
