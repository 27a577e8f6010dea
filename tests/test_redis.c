/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_redis.c - sim/redis.h and its key table beside naive models over random operations.
 *
 * The naive node is an array with a linear search. It does not know whom the node evicts or when it expires
 * actively: it hears of it, and checks that it was allowed (eviction: only when room is needed and, where
 * samples cover all keys, only a key that is idlest at clock resolution; expiry: only what had expired).
 * How well sampling approximates LRU is measured on a stream of Zipf-like requests, beside exact LRU.
 */
#include <errno.h>
#include <string.h>

#include "core/mix.h"
#include "dice.h"
#include "failing_alloc.h"
#include "sim/keytab.h"
#include "sim/redis.h"

static struct failing_alloc memory;

static void seed_with(uint64_t seed)
{
    dice_seed(seed);
    failing_alloc_init(&memory, 0);
}

static kvt_key key_of(uint64_t i)
{
    return (kvt_key){.hi = 7, .lo = kvt_mix64(i)};
}

/* ---- The key table ------------------------------------------------------------------------------- */

START_TEST(keytab_beside_array)
{
    enum { KEYS = 3000 };
    seed_with((uint64_t)_i);
    static uint8_t there[KEYS];
    memset(there, 0, sizeof(there));
    uint32_t count = 0;
    struct sim_keytab t;
    sim_keytab_init(&t, &memory.alloc);
    for (int step = 0; step < 60000; step++) {
        /* Keys that all have the same upper or lower half must not hurt. */
        uint64_t i = dice_below(KEYS);
        kvt_key key = _i % 2 ? (kvt_key){.hi = i, .lo = 3} : (kvt_key){.hi = 1, .lo = i};
        uint32_t number = sim_keytab_find(&t, key);
        MUST((number != KVT_NONE) == there[i]);
        bool grow = dice_below(100) < (step / 15000 % 2 ? 20u : 80u);
        if (number == KVT_NONE && grow) {
            MUST(sim_keytab_add(&t, key));
            sim_keytab_at(&t, count)->expire_ns = i;
            there[i] = 1;
            count++;
        } else if (number != KVT_NONE && !grow) {
            MUST(sim_keytab_at(&t, number)->expire_ns == i);
            sim_keytab_remove(&t, number);
            there[i] = 0;
            count--;
        }
        MUST(t.count == count);
    }
    sim_keytab_release(&t);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(keytab_is_small)
{
    seed_with(1);
    struct sim_keytab t;
    sim_keytab_init(&t, &memory.alloc);
    double worst = 0;
    for (uint32_t i = 0; i < 600000; i++) {
        MUST(sim_keytab_add(&t, key_of(i)));
        if (i >= 50000) {
            double each = (double)sim_keytab_memory_b(&t) / (i + 1);
            worst = each > worst ? each : worst;
        }
    }
    ck_assert_msg(worst <= 48, "%.1f bytes a key", worst);
    ck_assert_uint_eq(memory.in_use_b, sim_keytab_memory_b(&t));
    sim_keytab_release(&t);
}
END_TEST

/* ---- A naive node -------------------------------------------------------------------------------- */

enum { KEYS = 200 };

struct naive {
    bool there[KEYS];
    uint64_t value_b[KEYS];
    kvt_ns used_ns[KEYS], expire_ns[KEYS];
    uint64_t memory_b, memory_limit_b, overhead_b;
    uint64_t need_b; /* of the SET under way: the node may evict while memory + need > limit */
    kvt_ns now;
    bool exact; /* samples cover all keys */
};

static uint32_t naive_index(kvt_key key)
{
    for (uint32_t i = 0; i < KEYS; i++)
        if (kvt_key_equal(key, key_of(i)))
            return i;
    ck_abort_msg("a key that nobody set");
}

static void naive_remove(struct naive *n, uint32_t i)
{
    n->there[i] = false;
    n->memory_b -= n->value_b[i] + n->overhead_b;
}

static void naive_gone(void *self, kvt_key key, enum sim_redis_gone why)
{
    struct naive *n = self;
    uint32_t i = naive_index(key);
    MUST(n->there[i]);
    if (why == SIM_REDIS_EXPIRED)
        MUST(n->expire_ns[i] <= n->now);
    if (why == SIM_REDIS_EVICTED) {
        MUST(n->memory_b + n->need_b > n->memory_limit_b);
        for (uint32_t j = 0; n->exact && j < KEYS; j++)
            if (n->there[j])
                MUST(n->used_ns[i] / KVT_SECOND <= n->used_ns[j] / KVT_SECOND);
    }
    naive_remove(n, i);
}

static bool naive_alive(const struct naive *n, uint32_t i)
{
    return n->there[i] && n->expire_ns[i] > n->now;
}

static void random_commands(int seed, uint32_t samples, uint64_t limit_b, bool evicts, bool ttl)
{
    seed_with((uint64_t)seed);
    struct sim_redis config = {.memory_b = limit_b,
                               .overhead_b = 90,
                               .samples = samples,
                               .evicts = evicts};
    struct naive n = {.memory_limit_b = limit_b, .overhead_b = 90, .exact = samples == 64};
    struct sim_redis_node *node = sim_redis_node_new(&config, &memory.alloc, (uint64_t)seed, 3);
    ck_assert_ptr_nonnull(node);
    sim_redis_node_on_gone(node, naive_gone, &n);
    for (int step = 0; step < 30000; step++) {
        char why[100] = "";
        uint32_t i = (uint32_t)dice_below(KEYS);
        n.now += dice_below(500 * KVT_MILLISECOND);
        switch (dice_below(8)) {
        case 0:
        case 1: {
            bool alive = naive_alive(&n, i);
            MUST(sim_redis_node_exists(node, n.now, key_of(i)) == alive);
            break;
        }
        case 2:
        case 3: {
            bool alive = naive_alive(&n, i);
            MUST(sim_redis_node_get(node, n.now, key_of(i)) == alive);
            if (alive)
                n.used_ns[i] = n.now;
            break;
        }
        case 4: {
            bool alive = naive_alive(&n, i);
            MUST(sim_redis_node_del(node, n.now, key_of(i)) == alive);
            MUST(!n.there[i]);
            break;
        }
        default: {
            uint64_t value_b = 1 + dice_below(limit_b == UINT64_MAX ? 5000 : limit_b / 8);
            kvt_ns expire =
                ttl && dice_below(4) ? n.now + dice_below(60 * KVT_SECOND) + 1 : KVT_NEVER;
            n.need_b = value_b + n.overhead_b;
            int r = sim_redis_node_set(node, n.now, key_of(i), value_b, expire);
            if (evicts)
                MUST(r == 0);
            if (r == -ENOSPC) {
                uint64_t old = n.there[i] ? n.value_b[i] + n.overhead_b : 0;
                ck_assert_uint_gt(n.memory_b - old + n.need_b, limit_b);
                break;
            }
            MUST(r == 0);
            MUST(!n.there[i]); /* a value replaced was reported */
            n.there[i] = true;
            n.value_b[i] = value_b;
            n.used_ns[i] = n.now;
            n.expire_ns[i] = expire;
            n.memory_b += n.need_b;
            break;
        }
        }
        struct sim_redis_stats s;
        sim_redis_node_stats(node, &s);
        MUST(s.memory_b == n.memory_b && s.memory_b <= limit_b);
        if (step % 64 == 0)
            ck_assert_msg(sim_redis_node_check(node, why, sizeof(why)), "seed %d: %s", seed, why);
    }
    struct sim_redis_stats s;
    sim_redis_node_stats(node, &s);
    ck_assert_uint_gt(s.hits, 0);
    ck_assert((s.gone[SIM_REDIS_EVICTED] > 0) == (evicts && limit_b != UINT64_MAX));
    ck_assert((s.refused > 0) == (!evicts && limit_b != UINT64_MAX));
    ck_assert((s.gone[SIM_REDIS_EXPIRED] > 0) == ttl);
    sim_redis_node_flush(node);
    ck_assert_uint_eq(n.memory_b, 0);
    sim_redis_node_free(node);
    ck_assert(failing_alloc_clean(&memory));
}

START_TEST(exact_with_all_samples)
{
    /* At most 64 keys fit: 64 samples see them all. */
    random_commands(_i, 64, 64 * 100, true, _i % 2);
}
END_TEST

START_TEST(sampled)
{
    random_commands(100 + _i, 5, 100000, true, _i % 2);
}
END_TEST

START_TEST(no_eviction)
{
    random_commands(200 + _i, 5, 50000, false, _i % 2);
}
END_TEST

START_TEST(unlimited)
{
    random_commands(300 + _i, 5, UINT64_MAX, true, _i % 2);
}
END_TEST

START_TEST(replacing_needs_only_the_difference)
{
    seed_with(1);
    struct sim_redis config = {.memory_b = 1000, .samples = 5, .evicts = false};
    struct sim_redis_node *node = sim_redis_node_new(&config, &memory.alloc, 1, 0);
    ck_assert_int_eq(sim_redis_node_set(node, 0, key_of(1), 900, KVT_NEVER), 0);
    ck_assert_int_eq(sim_redis_node_set(node, 1, key_of(1), 1000, KVT_NEVER), 0);
    ck_assert_int_eq(sim_redis_node_set(node, 2, key_of(1), 1001, KVT_NEVER), -ENOSPC);
    ck_assert_int_eq(sim_redis_node_set(node, 3, key_of(2), 1, KVT_NEVER), -ENOSPC);
    ck_assert(sim_redis_node_get(node, 4, key_of(1)));
    sim_redis_node_free(node);
}
END_TEST

/* ---- Approximated LRU ---------------------------------------------------------------------------- */

/* Share of hits of a Zipf-like stream on a cache of `room` equal values. samples 0: exact LRU. */
static double hit_share(uint32_t samples, uint32_t room, uint32_t keys)
{
    seed_with(11);
    struct sim_redis config = {.memory_b = room * 100u,
                               .overhead_b = 0,
                               .samples = samples ? samples : 5,
                               .evicts = true};
    struct sim_redis_node *node = sim_redis_node_new(&config, &memory.alloc, 5, 0);
    uint64_t *used = calloc(keys, sizeof(*used));
    uint32_t hits = 0, n = 60000, held = 0;
    for (uint32_t t = 1; t <= n; t++) {
        double u = (double)(dice_below(1u << 30) + 1) / (1u << 30);
        uint32_t i = (uint32_t)((double)keys * u * u * u) % keys; /* density ~ x^(-2/3) */
        if (samples) {
            if (sim_redis_node_get(node, t * KVT_SECOND, key_of(i)))
                hits++;
            else
                ck_assert_int_eq(sim_redis_node_set(node, t * KVT_SECOND, key_of(i), 100,
                                                    KVT_NEVER),
                                 0);
            continue;
        }
        hits += used[i] != 0;
        if (!used[i] && held == room) {
            uint32_t oldest = KVT_NONE;
            for (uint32_t j = 0; j < keys; j++)
                if (used[j] && (oldest == KVT_NONE || used[j] < used[oldest]))
                    oldest = j;
            used[oldest] = 0;
        } else if (!used[i]) {
            held++;
        }
        used[i] = t;
    }
    free(used);
    sim_redis_node_free(node);
    return (double)hits / n;
}

START_TEST(sampling_approaches_lru)
{
    double lru = hit_share(0, 200, 1000), one = hit_share(1, 200, 1000),
           five = hit_share(5, 200, 1000), ten = hit_share(10, 200, 1000);
    /* redis.conf: 5 is good enough, 10 approximates very closely. */
    ck_assert_msg(lru > five && five > one - 0.002, "lru %f ten %f five %f one %f", lru, ten, five,
                  one);
    ck_assert_msg(lru - ten < 0.01, "lru %f ten %f five %f one %f", lru, ten, five, one);
    ck_assert_msg(lru - five < 0.03, "lru %f ten %f five %f one %f", lru, ten, five, one);
}
END_TEST

START_TEST(evicts_mostly_old_keys)
{
    /* 10,000 keys used one per second, then one SET after the other: by how far is the victim's rank from
     * the oldest? With samples and pool it must be in the oldest tenth nearly always. */
    enum { N = 10000 };
    seed_with(3);
    struct sim_redis config = {.memory_b = N, .samples = 5, .evicts = true};
    struct sim_redis_node *node = sim_redis_node_new(&config, &memory.alloc, 9, 0);
    for (uint32_t i = 0; i < N; i++)
        MUST(sim_redis_node_set(node, i * KVT_SECOND, key_of(i), 1, KVT_NEVER) == 0);
    for (uint32_t i = 0; i < N / 10; i++)
        ck_assert_int_eq(sim_redis_node_set(node, (N + i) * KVT_SECOND, key_of(N + i), 1,
                                            KVT_NEVER),
                         0);
    uint32_t gone_old = 0, gone = 0, idle;
    for (uint32_t i = 0; i < N; i++) {
        bool there = sim_redis_node_idle(node, 2 * N * KVT_SECOND, key_of(i), &idle);
        gone += !there;
        gone_old += !there && i < N / 4;
    }
    ck_assert_uint_ge(gone, N / 10 - 50);
    ck_assert_msg(gone_old * 10 >= gone * 8, "%u of %u from the oldest quarter", gone_old, gone);
    sim_redis_node_free(node);
}
END_TEST

START_TEST(getex_begins_the_life_anew)
{
    seed_with(1);
    struct sim_redis config = {.memory_b = UINT64_MAX, .samples = 5, .evicts = true};
    struct sim_redis_node *node = sim_redis_node_new(&config, &memory.alloc, 1, 0);
    MUST(sim_redis_node_set(node, 0, key_of(1), 1, 10 * KVT_SECOND) == 0);
    MUST(sim_redis_node_set(node, 0, key_of(2), 1, 10 * KVT_SECOND) == 0);
    MUST(sim_redis_node_getex(node, 9 * KVT_SECOND, key_of(1), 19 * KVT_SECOND));
    MUST(sim_redis_node_get(node, 9 * KVT_SECOND, key_of(2)));
    MUST(sim_redis_node_exists(node, 15 * KVT_SECOND, key_of(1)));
    MUST(!sim_redis_node_exists(node, 15 * KVT_SECOND, key_of(2)));
    MUST(!sim_redis_node_getex(node, 19 * KVT_SECOND, key_of(1), KVT_NEVER));
    sim_redis_node_free(node);
}
END_TEST

START_TEST(clock_has_one_second_and_24_bits)
{
    seed_with(1);
    struct sim_redis config = {.memory_b = UINT64_MAX, .samples = 5, .evicts = true};
    struct sim_redis_node *node = sim_redis_node_new(&config, &memory.alloc, 1, 0);
    kvt_ns t = ((kvt_ns)1 << 24) * KVT_SECOND - KVT_SECOND;
    ck_assert_int_eq(sim_redis_node_set(node, t, key_of(1), 1, KVT_NEVER), 0);
    uint32_t idle = 99;
    ck_assert(sim_redis_node_idle(node, t + KVT_SECOND - 1, key_of(1), &idle));
    ck_assert_uint_eq(idle, 0);
    ck_assert(sim_redis_node_idle(node, t + 5 * KVT_SECOND, key_of(1), &idle));
    ck_assert_uint_eq(idle, 5);
    ck_assert(!sim_redis_node_idle(node, t, key_of(2), &idle));
    sim_redis_node_free(node);
}
END_TEST

START_TEST(expired_keys_leave_without_being_asked_for)
{
    enum { N = 5000 };
    seed_with(1);
    struct sim_redis config = {.memory_b = UINT64_MAX, .samples = 5, .evicts = true};
    struct sim_redis_node *node = sim_redis_node_new(&config, &memory.alloc, 1, 0);
    for (uint32_t i = 0; i < N; i++)
        MUST(sim_redis_node_set(node, 0, key_of(i), 1, 10 * KVT_SECOND) == 0);
    ck_assert(!sim_redis_node_exists(node, 9 * KVT_SECOND, key_of(N)));
    struct sim_redis_stats s;
    sim_redis_node_stats(node, &s);
    ck_assert_uint_eq(s.keys, N);
    /* A second later ten cycles of up to 16 * 20 looks are due. */
    ck_assert(!sim_redis_node_exists(node, 10 * KVT_SECOND, key_of(N)));
    sim_redis_node_stats(node, &s);
    ck_assert_uint_le(s.keys, N * 6 / 10);
    for (uint32_t i = 0; i < 3000; i++)
        ck_assert(
            !sim_redis_node_exists(node, 10 * KVT_SECOND + i * 100 * KVT_MILLISECOND, key_of(N)));
    sim_redis_node_stats(node, &s);
    ck_assert_uint_le(s.keys, N / 10);
    ck_assert_uint_eq(s.keys + s.gone[SIM_REDIS_EXPIRED], N);
    sim_redis_node_free(node);
}
END_TEST

START_TEST(same_seed_same_victims)
{
    uint64_t left[3] = {0};
    for (int run = 0; run < 3; run++) {
        seed_with(4);
        struct sim_redis config = {.memory_b = 1000, .samples = 5, .evicts = true};
        struct sim_redis_node *node =
            sim_redis_node_new(&config, &memory.alloc, run < 2 ? 1 : 2, 0);
        for (uint32_t i = 0; i < 2000; i++)
            MUST(sim_redis_node_set(node, i * KVT_SECOND, key_of(i), 10, KVT_NEVER) == 0);
        for (uint32_t i = 0; i < 2000; i++)
            if (sim_redis_node_exists(node, 3000 * KVT_SECOND, key_of(i)))
                left[run] = kvt_mix64(left[run] + i);
        sim_redis_node_free(node);
    }
    ck_assert_uint_eq(left[0], left[1]);
    ck_assert_uint_ne(left[0], left[2]);
}
END_TEST

START_TEST(out_of_memory_changes_nothing)
{
    struct sim_redis config = {.memory_b = UINT64_MAX, .samples = 5, .evicts = true};
    for (uint64_t refuse = 1;; refuse++) {
        seed_with(1);
        memory.fail_at = refuse;
        memory.for_good = true;
        struct sim_redis_node *node = sim_redis_node_new(&config, &memory.alloc, 1, 0);
        uint32_t ok = 0;
        for (uint32_t i = 0; node && i < 3000; i++) {
            int r = sim_redis_node_set(node, 0, key_of(i), 10, KVT_NEVER);
            MUST(r == 0 || r == -ENOMEM);
            if (r == 0)
                ok++;
            else
                MUST(!sim_redis_node_exists(node, 0, key_of(i)));
        }
        char why[100] = "";
        if (node)
            ck_assert_msg(sim_redis_node_check(node, why, sizeof(why)), "%s", why);
        sim_redis_node_free(node);
        ck_assert(failing_alloc_clean(&memory));
        if (ok == 3000)
            break;
        ck_assert_uint_lt(refuse, 100);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("redis");
    TCase *c = tcase_create("redis");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, keytab_beside_array, 0, 4);
    tcase_add_test(c, keytab_is_small);
    tcase_add_loop_test(c, exact_with_all_samples, 0, 4);
    tcase_add_loop_test(c, sampled, 0, 4);
    tcase_add_loop_test(c, no_eviction, 0, 4);
    tcase_add_loop_test(c, unlimited, 0, 4);
    tcase_add_test(c, replacing_needs_only_the_difference);
    tcase_add_test(c, sampling_approaches_lru);
    tcase_add_test(c, evicts_mostly_old_keys);
    tcase_add_test(c, getex_begins_the_life_anew);
    tcase_add_test(c, clock_has_one_second_and_24_bits);
    tcase_add_test(c, expired_keys_leave_without_being_asked_for);
    tcase_add_test(c, same_seed_same_victims);
    tcase_add_test(c, out_of_memory_changes_nothing);
    suite_add_tcase(suite, c);
    return kvt_test_main(suite);
}
