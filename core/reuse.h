/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * reuse.h - how soon is a block used again, given how often it was and how long ago: learned from a
 * sample of the ids, as they come.
 *
 * The measure is uses to be expected per unit of time for which the block is kept, the *hit density*
 * of Beckmann, Chen and Cidon, "LHD: improving cache hit rate by maximizing hit density", NSDI 2018.
 * They take the time that the cache is going to keep it anyway; here it is the best time to keep it:
 * of the blocks of one class that have reached age a,
 *
 *      density(class, a) = max over b > a of  uses at ages in [a, b) / time spent at ages in [a, b)
 *
 * which is Gittins' index ("Bandit processes and dynamic allocation indices", JRSS B 41 (1979)). A
 * block that will be asked for in a minute or never so keeps its worth until the minute has passed.
 * What costs C to make again is worth C * density for as long as it takes the room.
 *
 * LHD learns from what its cache holds, and must keep some blocks against its own judgement, so as to
 * see what becomes of them. Here a history does that: it remembers a fixed sample of ids, chosen by
 * hash, far longer than the cache does, and sees a use whether it hit or not. An id that it has to
 * forget without another use ends at that age. So what is learned does not depend on what is evicted,
 * and the same requests teach the same.
 *
 * Ages are counted in buckets of a quarter of a power of two. Counts fade a little each time the
 * densities are worked out anew, which is once per RENEW events or quarter of the history.
 */
#ifndef KVT_REUSE_H
#define KVT_REUSE_H

#include "idmap.h"
#include "pool.h"

enum {
    KVT_REUSE_CLASSES = 6,      /* used 0, 1, 2, 3-4, 5-8, more times since it came */
    KVT_REUSE_BUCKETS = 62 * 4, /* of age */
    KVT_REUSE_RENEW = 1024      /* events */
};

struct kvt_reuse {
    /* private: */
    struct kvt_idmap map; /* sampled id to number in pool */
    struct kvt_pool pool;
    uint32_t newest, oldest;
    uint64_t room;        /* ids in the history, at most */
    uint64_t sample_mask; /* an id is in the sample when these bits of its hash are 0 */
    uint32_t events;      /* since the densities were worked out */
    float uses[KVT_REUSE_CLASSES][KVT_REUSE_BUCKETS];
    float ends[KVT_REUSE_CLASSES][KVT_REUSE_BUCKETS];
    float waiting[KVT_REUSE_CLASSES][KVT_REUSE_BUCKETS];
    float density[KVT_REUSE_CLASSES][KVT_REUSE_BUCKETS];
};

/* For a cache of that many blocks; room comes with reserve. */
void kvt_reuse_init(struct kvt_reuse *r, const struct kvt_alloc *alloc, uint64_t capacity);
void kvt_reuse_release(struct kvt_reuse *r);

/* Room for the history of a cache that holds so many. 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_reuse_reserve(struct kvt_reuse *r, uint64_t residents);

/* id was looked up at `now`, and was here or not. */
void kvt_reuse_saw(struct kvt_reuse *r, uint64_t id, bool hit, kvt_ns now);

static inline uint32_t kvt_reuse_class(uint32_t uses)
{
    static const uint8_t classes[] = {0, 1, 2, 3, 3, 4, 4, 4, 4};
    return uses < sizeof classes ? classes[uses] : KVT_REUSE_CLASSES - 1;
}

/* Ages 0 to 3 have buckets of their own; then four to a power of two. */
static inline uint32_t kvt_reuse_bucket(uint64_t age)
{
    if (age < 4)
        return (uint32_t)age;
    const uint32_t power = 63u - (uint32_t)__builtin_clzll(age);
    const uint32_t bucket = power * 4 - 4 + (uint32_t)(age >> (power - 2) & 3);
    return bucket < KVT_REUSE_BUCKETS ? bucket : KVT_REUSE_BUCKETS - 1;
}

/* Uses to be expected per unit of time of a block that came, was used `uses` times, and was last
 * looked up `age` ago. */
static inline float kvt_reuse_density(const struct kvt_reuse *r, uint32_t uses, uint64_t age)
{
    return r->density[kvt_reuse_class(uses)][kvt_reuse_bucket(age)];
}

size_t kvt_reuse_memory_b(const struct kvt_reuse *r);
bool kvt_reuse_check(const struct kvt_reuse *r);

#endif
