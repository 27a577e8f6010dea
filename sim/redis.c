/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis.c - approximated LRU, TTL and the memory limit of one Redis node; see redis.h for the
 * model.
 *
 * The eviction pool is an array sorted by idle time, so the best candidate is the last one. A
 * candidate is kept by key, not by record number: records move. A candidate that was deleted in
 * between is a ghost and is skipped, which costs nothing but the look.
 */
#include "redis.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../core/mix.h"
#include "keytab.h"

enum {
    POOL = 16,         /* candidates remembered */
    SAMPLES_MOST = 64, /* redis.conf's own limit */
    CYCLE_KEYS = 20,   /* looked at per round of active expiry */
    CYCLE_ROUNDS = 16, /* per cycle: stands for the share of CPU that Redis allows it */
    CYCLE_STALE = 10   /* another round while more than 1 in so many had expired */
};

#define CYCLE_NS   (100 * KVT_MILLISECOND)
#define CLOCK_MASK 0xffffffu /* 24 bits */

struct candidate {
    kvt_key key;
    uint32_t idle_s; /* when it came into the pool */
};

struct sim_redis_node {
    struct sim_redis config;
    const struct kvt_alloc *alloc;
    struct sim_keytab keys;
    struct sim_redis_stats stats;
    struct candidate pool[POOL]; /* idlest last */
    uint32_t n_pool;
    uint64_t random;   /* state of the stream */
    uint64_t cycle;    /* number of the last active expiry cycle */
    kvt_ns soonest_ns; /* no key expires before; may lag behind */
    void (*gone)(void *self, kvt_key key, enum sim_redis_gone why);
    void *gone_self;
};

/* ---- Small parts --------------------------------------------------------------------------------- */

static uint32_t clock_of(kvt_ns now)
{
    return (uint32_t)(now / KVT_SECOND) & CLOCK_MASK;
}

/* Seconds since the key was used, on a clock that comes round after 194 days. */
static uint32_t idle_of(const struct sim_key *k, kvt_ns now)
{
    return (clock_of(now) - (uint32_t)k->clock) & CLOCK_MASK;
}

/* Uniform in [0, n), n > 0: splitmix64, then the upper half of a product (Lemire 2019, whose
 * correction of a bias below n / 2^64 is left out). */
static uint32_t draw(struct sim_redis_node *node, uint32_t n)
{
    node->random += UINT64_C(0x9e3779b97f4a7c15);
    __extension__ typedef unsigned __int128 wide;
    return (uint32_t)(((wide)kvt_mix64(node->random) * n) >> 64);
}

static void forget(struct sim_redis_node *node, uint32_t number, enum sim_redis_gone why)
{
    const struct sim_key *k = sim_keytab_at(&node->keys, number);
    kvt_key key = k->key;
    node->stats.gone[why]++;
    node->stats.gone_b[why] += k->value_b;
    node->stats.memory_b -= k->value_b + node->config.overhead_b;
    sim_keytab_remove(&node->keys, number);
    if (node->keys.count == 0)
        node->soonest_ns = KVT_NEVER;
    if (node->gone)
        node->gone(node->gone_self, key, why);
}

static bool expired(const struct sim_key *k, kvt_ns now)
{
    return k->expire_ns <= now;
}

/* ---- Expiry -------------------------------------------------------------------------------------- */

/* One look at CYCLE_KEYS random keys. True when more than 1 in CYCLE_STALE had expired. */
static bool cycle_round(struct sim_redis_node *node, kvt_ns now)
{
    uint32_t looked = 0, found = 0;
    if (node->keys.count <= CYCLE_KEYS) {
        for (uint32_t i = node->keys.count; i-- > 0; looked++) {
            if (expired(sim_keytab_at(&node->keys, i), now)) {
                forget(node, i, SIM_REDIS_EXPIRED);
                found++;
            }
        }
        return false; /* all were looked at */
    }
    for (; looked < CYCLE_KEYS && node->keys.count > 0; looked++) {
        uint32_t i = draw(node, node->keys.count);
        if (expired(sim_keytab_at(&node->keys, i), now)) {
            forget(node, i, SIM_REDIS_EXPIRED);
            found++;
        }
    }
    return found * CYCLE_STALE > looked;
}

/* Runs the active expiry cycles that were due since the last command. */
static void catch_up(struct sim_redis_node *node, kvt_ns now)
{
    uint64_t due = now / CYCLE_NS - node->cycle;
    node->cycle = now / CYCLE_NS;
    if (now < node->soonest_ns)
        return;
    bool stale = true;
    for (; due > 0 && stale; due--)
        for (int round = 0; round < CYCLE_ROUNDS && stale; round++)
            stale = cycle_round(node, now);
}

/* The record of a key that is there and alive. An expired one is deleted on the way. */
static uint32_t look_up(struct sim_redis_node *node, kvt_ns now, kvt_key key)
{
    catch_up(node, now);
    uint32_t number = sim_keytab_find(&node->keys, key);
    if (number != KVT_NONE && expired(sim_keytab_at(&node->keys, number), now)) {
        forget(node, number, SIM_REDIS_EXPIRED);
        return KVT_NONE;
    }
    return number;
}

/* ---- Eviction ------------------------------------------------------------------------------------ */

static void offer(struct sim_redis_node *node, kvt_ns now, uint32_t number)
{
    const struct sim_key *k = sim_keytab_at(&node->keys, number);
    struct candidate c = {.key = k->key, .idle_s = idle_of(k, now)};
    struct candidate *pool = node->pool;
    uint32_t at = 0;
    while (at < node->n_pool && pool[at].idle_s < c.idle_s)
        at++;
    if (node->n_pool < POOL) {
        memmove(&pool[at + 1], &pool[at], (node->n_pool - at) * sizeof(*pool));
        pool[at] = c;
        node->n_pool++;
    } else if (at > 0) { /* the least idle one falls out */
        memmove(&pool[0], &pool[1], (at - 1) * sizeof(*pool));
        pool[at - 1] = c;
    }
}

/* Offers config.samples distinct keys to the pool, by Floyd's algorithm (Bentley, CACM 30:9, 1987). */
static void fill_pool(struct sim_redis_node *node, kvt_ns now)
{
    const uint32_t n = node->keys.count, samples = node->config.samples;
    if (samples >= n) {
        node->n_pool = 0;
        for (uint32_t i = 0; i < n; i++)
            offer(node, now, i);
        return;
    }
    uint32_t drawn[SAMPLES_MOST];
    for (uint32_t i = 0; i < samples; i++) {
        uint32_t most = n - samples + i, number = draw(node, most + 1);
        for (uint32_t j = 0; j < i; j++) {
            if (drawn[j] == number) {
                number = most;
                break;
            }
        }
        drawn[i] = number;
        offer(node, now, number);
    }
}

/* Evicts one key. False when there is none. */
static bool evict_one(struct sim_redis_node *node, kvt_ns now)
{
    while (node->keys.count > 0) {
        fill_pool(node, now);
        while (node->n_pool > 0) {
            uint32_t number = sim_keytab_find(&node->keys, node->pool[--node->n_pool].key);
            if (number != KVT_NONE) {
                forget(node, number, SIM_REDIS_EVICTED);
                return true;
            }
        }
    }
    return false;
}

/* ---- Commands ------------------------------------------------------------------------------------ */

static uint32_t read_key(struct sim_redis_node *node, kvt_ns now, kvt_key key)
{
    uint32_t number = look_up(node, now, key);
    node->stats.gets++;
    if (number == KVT_NONE)
        return KVT_NONE;
    node->stats.hits++;
    sim_keytab_at(&node->keys, number)->clock = clock_of(now) & CLOCK_MASK;
    return number;
}

bool sim_redis_node_get(struct sim_redis_node *node, kvt_ns now, kvt_key key)
{
    return read_key(node, now, key) != KVT_NONE;
}

bool sim_redis_node_getex(struct sim_redis_node *node, kvt_ns now, kvt_key key, kvt_ns expire_ns)
{
    uint32_t number = read_key(node, now, key);
    if (number == KVT_NONE)
        return false;
    sim_keytab_at(&node->keys, number)->expire_ns = expire_ns;
    if (expire_ns < node->soonest_ns)
        node->soonest_ns = expire_ns;
    return true;
}

bool sim_redis_node_exists(struct sim_redis_node *node, kvt_ns now, kvt_key key)
{
    node->stats.exists++;
    return look_up(node, now, key) != KVT_NONE;
}

/* Makes room for a value of `cost` bytes, overhead included, under `key`. Returns false when
 * that cannot be. *number is the record of the key's present value, or KVT_NONE: eviction may
 * take that, too. */
static bool make_room(struct sim_redis_node *node, kvt_ns now, kvt_key key, uint64_t cost,
                      uint32_t *number)
{
    const uint64_t limit = node->config.memory_b;
    *number = look_up(node, now, key);
    if (cost > limit)
        return false;
    for (;;) {
        uint64_t before = 0;
        if (*number != KVT_NONE)
            before = sim_keytab_at(&node->keys, *number)->value_b + node->config.overhead_b;
        if (node->stats.memory_b - before <= limit - cost)
            return true;
        if (!node->config.evicts || !evict_one(node, now))
            return false;
        if (*number != KVT_NONE) /* records move */
            *number = sim_keytab_find(&node->keys, key);
    }
}

int sim_redis_node_set(struct sim_redis_node *node, kvt_ns now, kvt_key key, uint64_t value_b,
                       kvt_ns expire_ns)
{
    assert(value_b < SIM_KEYTAB_VALUE_LIMIT_B);
    const uint64_t cost = value_b + node->config.overhead_b;
    uint32_t number;
    if (!make_room(node, now, key, cost, &number)) {
        node->stats.refused++;
        return -ENOSPC;
    }
    if (number == KVT_NONE) {
        number = node->keys.count;
        if (!sim_keytab_add(&node->keys, key))
            return -ENOMEM;
    } else {
        const struct sim_key *k = sim_keytab_at(&node->keys, number);
        node->stats.gone[SIM_REDIS_REPLACED]++;
        node->stats.gone_b[SIM_REDIS_REPLACED] += k->value_b;
        node->stats.memory_b -= k->value_b + node->config.overhead_b;
        if (node->gone)
            node->gone(node->gone_self, key, SIM_REDIS_REPLACED);
    }
    struct sim_key *k = sim_keytab_at(&node->keys, number);
    k->value_b = value_b & (SIM_KEYTAB_VALUE_LIMIT_B - 1);
    k->clock = clock_of(now) & CLOCK_MASK;
    k->expire_ns = expire_ns;
    if (expire_ns < node->soonest_ns)
        node->soonest_ns = expire_ns;
    node->stats.sets++;
    node->stats.set_b += value_b;
    node->stats.memory_b += cost;
    if (node->stats.memory_b > node->stats.peak_memory_b)
        node->stats.peak_memory_b = node->stats.memory_b;
    return 0;
}

bool sim_redis_node_del(struct sim_redis_node *node, kvt_ns now, kvt_key key)
{
    uint32_t number = look_up(node, now, key);
    if (number == KVT_NONE)
        return false;
    forget(node, number, SIM_REDIS_DELETED);
    return true;
}

void sim_redis_node_flush(struct sim_redis_node *node)
{
    while (node->keys.count > 0)
        forget(node, node->keys.count - 1, SIM_REDIS_DELETED);
    node->n_pool = 0;
}

/* ---- Life, and looking --------------------------------------------------------------------------- */

struct sim_redis_node *sim_redis_node_new(const struct sim_redis *config,
                                          const struct kvt_alloc *alloc, uint64_t seed, uint32_t id)
{
    assert(config->samples >= 1 && config->samples <= SAMPLES_MOST);
    struct sim_redis_node *node = alloc->get(alloc->self, sizeof(*node));
    if (!node)
        return NULL;
    *node = (struct sim_redis_node){
        .config = *config,
        .alloc = alloc,
        .random = kvt_stream_seed(seed, "redis", id),
        .soonest_ns = KVT_NEVER,
    };
    sim_keytab_init(&node->keys, alloc);
    return node;
}

void sim_redis_node_free(struct sim_redis_node *node)
{
    if (!node)
        return;
    const struct kvt_alloc *alloc = node->alloc;
    sim_keytab_release(&node->keys);
    alloc->put(alloc->self, node, sizeof(*node));
}

void sim_redis_node_on_gone(struct sim_redis_node *node,
                            void (*gone)(void *self, kvt_key key, enum sim_redis_gone why),
                            void *self)
{
    node->gone = gone;
    node->gone_self = self;
}

void sim_redis_node_stats(const struct sim_redis_node *node, struct sim_redis_stats *stats)
{
    *stats = node->stats;
    stats->keys = node->keys.count;
}

bool sim_redis_node_idle(const struct sim_redis_node *node, kvt_ns now, kvt_key key,
                         uint32_t *idle_s)
{
    uint32_t number = sim_keytab_find(&node->keys, key);
    if (number == KVT_NONE)
        return false;
    *idle_s = idle_of(sim_keytab_at(&node->keys, number), now);
    return true;
}

size_t sim_redis_node_footprint_b(const struct sim_redis_node *node)
{
    return sizeof(*node) + sim_keytab_memory_b(&node->keys);
}

bool sim_redis_node_check(const struct sim_redis_node *node, char *why, size_t size)
{
    const struct sim_redis_stats *s = &node->stats;
    const char *broken = NULL;
    uint64_t memory_b = 0, value_b = 0, gone = 0, gone_b = 0;
    for (uint32_t i = 0; i < node->keys.count; i++) {
        const struct sim_key *k = sim_keytab_at(&node->keys, i);
        value_b += k->value_b;
        memory_b += k->value_b + node->config.overhead_b;
        if (sim_keytab_find(&node->keys, k->key) != i)
            broken = "(R2) a key is not found through the table";
    }
    for (int i = 0; i < 4; i++) {
        gone += s->gone[i];
        gone_b += s->gone_b[i];
    }
    if (memory_b != s->memory_b || memory_b > node->config.memory_b)
        broken = "(R1) memory is not the sum over the keys, or beyond the limit";
    if (s->sets != node->keys.count + gone || s->set_b != value_b + gone_b)
        broken = "(R3) keys or bytes set are not those there and those gone";
    for (uint32_t i = 1; i < node->n_pool; i++)
        if (node->pool[i - 1].idle_s > node->pool[i].idle_s)
            broken = "(R4) the eviction pool is not sorted";
    if (broken && size > 0)
        snprintf(why, size, "%s", broken);
    return broken == NULL;
}
