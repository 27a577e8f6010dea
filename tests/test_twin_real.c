/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_twin_real.c - the twin test with the real world on one side.
 *
 *   a run in a crowd, and one in which Redis is killed, stalled and restarted at random, replayed through core without
 *   any world: the same decisions, to the last one
 *   the same requests in both worlds, where no decision depends on time: ledgers, evictions and keys agree exactly, and
 *   each key is where it is said to be
 *   values damaged behind our back: each is found out, computed instead, and written anew
 *
 * Everything that the real world loads is compared byte for byte (verify), so a wrong byte ends any of these.
 */
#include <hiredis/hiredis.h>

#include "mishaps.h"
#include "twin_fixture.h"

static void all_tiers(struct real *r)
{
    real_tier(r, KVT_HOST, 30);
    real_tier(r, KVT_REDIS, 1000);
    real_tier(r, KVT_DISK, 40);
}

static void ask_any(struct real *r, uint32_t families)
{
    uint32_t names[CHAIN], family = (uint32_t)dice_below(families);
    for (uint32_t i = 0; i < CHAIN; i++)
        names[i] = family * 100 + i;
    real_request(r, names, 1 + (uint32_t)dice_below(CHAIN), (uint32_t)dice_below(30));
}

START_TEST(a_crowd_and_its_twin)
{
    struct watched w = {0};
    real_init(&w.real, 16);
    w.real.config.engines = w.real.core_config.engines = 2;
    w.real.core_config.load_choice = KVT_LOAD_ADAPTIVE;
    w.real.core_config.load_patience = 0.5;
    w.real.core_config.prefill = (struct kvt_prefill_cost){2e5, 500, 0};
    all_tiers(&w.real);
    watch(&w);
    dice_seed(21);
    for (int i = 0; i < 200; i++) {
        ask_any(&w.real, 20);
        real_pass(&w.real, dice_below(1500) * KVT_MICROSECOND);
    }
    real_drain(&w.real, 20 * KVT_SECOND);
    replay_agrees(&w);
    ck_assert_uint_eq(w.meter.n_reports, 200);
    unwatch(&w);
}
END_TEST

/* ---- Redis comes and goes. ---------------------------------------------------------------------- */

START_TEST(mishaps_and_their_twin)
{
    struct watched w = {0};
    bool stalled = false;
    real_init(&w.real, 16);
    all_tiers(&w.real);
    w.real.config.redis.timeout_ns = 40 * KVT_MILLISECOND;
    watch(&w);
    dice_seed(22 + (uint64_t)_i);
    for (int i = 0; i < 150; i++) {
        ask_any(&w.real, 12);
        real_pass(&w.real, dice_below(6) * KVT_MILLISECOND);
        if (i % 15 == 14)
            mishap(&w.real, &stalled);
    }
    real_drain(&w.real, 20 * KVT_SECOND);
    if (stalled)
        mishap(&w.real, &stalled);
    ck_assert_uint_eq(w.real.finished, w.real.sent); /* each reported once, whatever happened */
    replay_agrees(&w);
    /* (R1) of redis.h: nobody waited past his deadline; workers may be in the middle of a piece. */
    uint64_t failed = 0;
    for (size_t i = 0; i < w.meter.n_samples; i++) {
        const struct meter_sample *s = &w.meter.samples[i];
        failed += s->status != KVT_OK && s->status != KVT_MISSING;
        if (s->tier == KVT_REDIS)
            MUST(s->end_ns - s->issue_ns < 2 * KVT_SECOND);
    }
    ck_assert_uint_gt(failed, 0);
    unwatch(&w);
}
END_TEST

/* ---- Both worlds. ------------------------------------------------------------------------------- */

/* Redis itself, by a connection of our own. */
static redisContext *connect_to(const struct real *r, uint32_t node)
{
    redisContext *redis = redisConnectUnix(r->nodes[node].path);
    ck_assert(redis != NULL && redis->err == 0);
    return redis;
}

static uint64_t number_of(redisContext *redis, const char *command)
{
    redisReply *reply = redisCommand(redis, command);
    ck_assert(reply != NULL && reply->type == REDIS_REPLY_INTEGER);
    uint64_t n = (uint64_t)reply->integer;
    freeReplyObject(reply);
    return n;
}

/* Every key that was stored is there, and no other. One piece a block here, so a block is a key. */
static void keys_are_there(const struct watched *w)
{
    const struct meter *m = &w->meter;
    uint64_t there = 0, found = 0, asked = 0;
    redisContext *redis[4];
    for (uint32_t n = 0; n < w->real.redis_nodes; n++) {
        redis[n] = connect_to(&w->real, n);
        there += number_of(redis[n], "DBSIZE");
    }
    for (size_t i = 0; i < m->n_samples; i++) {
        const struct meter_sample *s = &m->samples[i];
        if (s->kind != METER_STORE || s->tier != KVT_REDIS)
            continue;
        for (uint32_t k = 0; k < s->blocks_ok; k++, asked++) {
            const struct be_piece piece = {.key = m->keys[s->first_key + k],
                                           .tokens = REAL_BLOCK,
                                           .layers = w->real.config.geometry.layers};
            char name[BE_NAME_B], command[BE_NAME_B + 16];
            size_t len = be_piece_name(&piece, NULL, name);
            snprintf(command, sizeof command, "EXISTS %.*s", (int)len, name);
            for (uint32_t n = 0; n < w->real.redis_nodes; n++)
                found += number_of(redis[n], command);
        }
    }
    for (uint32_t n = 0; n < w->real.redis_nodes; n++)
        redisFree(redis[n]);
    ck_assert_uint_gt(asked, 20);
    ck_assert_uint_eq(found, asked);
    ck_assert_uint_eq(there, asked); /* no key was stored twice */
}

/* One after the other, loads always, no patience: little is left for time to decide. What is left is the
 * order in which blocks are let go, which is the order in which those who used them ended. So
 *
 *      a request ends with its prompt, when its store begins: the store is always the last to let go
 *      tiers with bounds stand alone, and those that stand together have none: else a load from one of
 *      them may end before or after a store to another
 *
 * (A store that ended before its request in one world, and behind it in the other, did change what the GPU
 * evicted next.) */
START_TEST(both_worlds_decide_the_same)
{
    static const struct {
        uint64_t host, redis, disk; /* blocks; 0: no such tier */
        const char *hits;
    } tiers[] = {{30, 0, 0, "hit_host"},
                 {0, 1000, 0, "hit_redis"},
                 {0, 0, 40, "hit_disk"},
                 {1000, 1000, 1000, "hit_host"}};
    struct watched w = {0};
    struct simulated s;
    struct validation v = {0};
    real_init(&w.real, 16);
    if (tiers[_i].host)
        real_tier(&w.real, KVT_HOST, tiers[_i].host);
    if (tiers[_i].redis)
        real_tier(&w.real, KVT_REDIS, tiers[_i].redis);
    if (tiers[_i].disk)
        real_tier(&w.real, KVT_DISK, tiers[_i].disk);
    w.real.redis_nodes = 2;
    watch(&w);
    simulate(&s, &w.real);
    dice_seed(23);
    for (uint64_t id = 0; id < 120; id++) {
        uint32_t names[CHAIN], family = (uint32_t)dice_below(14);
        uint32_t blocks = 1 + (uint32_t)dice_below(CHAIN), output = (uint32_t)dice_below(2);
        for (uint32_t i = 0; i < CHAIN; i++)
            names[i] = family * 100 + i;
        real_request(&w.real, names, blocks, output);
        real_drain(&w.real, 10 * KVT_SECOND);
        simulate_request(&s, &w.real, id, names, blocks, output);
    }
    worlds_agree(&w, &s, &v);
    ck_assert_uint_eq(v.requests, 120);
    for (int tier = KVT_HOST; tier < KVT_TIERS; tier++)
        ck_assert(!v.keys[tier].present || v.keys[tier].held_both > 0);
    /* A comparison of nothing would agree, too. */
    ck_assert_uint_gt(count_named(&v, tiers[_i].hits)->real, 1000);
    ck_assert_uint_gt(count_named(&v, "evicted blocks gpu")->real, 20);
    if (tiers[_i].host > 0 && tiers[_i].host < 1000)
        ck_assert_uint_gt(count_named(&v, "evicted blocks host")->real, 20);
    if (tiers[_i].redis)
        keys_are_there(&w);
    validate_release(&v);
    simulate_end(&s);
    unwatch(&w);
}
END_TEST

/* ---- Damage. ------------------------------------------------------------------------------------ */

/* Each value of the node is changed in one of several ways. Returns how many. */
static uint64_t damage_all(const struct real *r)
{
    redisContext *redis = connect_to(r, 0);
    redisReply *keys = redisCommand(redis, "KEYS *");
    ck_assert(keys != NULL && keys->type == REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < keys->elements; i++) {
        const redisReply *key = keys->element[i], *other = keys->element[i ? i - 1 : 1];
        redisReply *value = redisCommand(redis, "GET %b", i % 5 == 3 ? other->str : key->str,
                                         i % 5 == 3 ? other->len : key->len);
        ck_assert(value != NULL && value->type == REDIS_REPLY_STRING && value->len > 0);
        size_t n = value->len;
        if (i % 5 == 0) /* a flipped bit, anywhere */
            value->str[dice_below(n)] ^= (char)(1 << dice_below(8));
        else if (i % 5 == 1) /* cut */
            n = dice_below(n);
        else if (i % 5 == 2) /* noise */
            for (size_t k = 0; k < n; k++)
                value->str[k] = (char)dice_word();
        /* 3: the sound value of another key. 4: not even a string. */
        redisReply *set = i % 5 == 4
                              ? redisCommand(redis, "DEL %b", key->str, key->len)
                              : redisCommand(redis, "SET %b %b", key->str, key->len, value->str, n);
        ck_assert_ptr_nonnull(set);
        freeReplyObject(set);
        if (i % 5 == 4) {
            set = redisCommand(redis, "LPUSH %b x", key->str, key->len);
            ck_assert_ptr_nonnull(set);
            freeReplyObject(set);
        }
        freeReplyObject(value);
    }
    uint64_t n = keys->elements;
    freeReplyObject(keys);
    redisFree(redis);
    return n;
}

START_TEST(damaged_values_are_computed_instead)
{
    enum { FAMILIES = 10, DAMAGED = 2, WHOLE = DAMAGED + CHAIN };
    struct watched w = {0};
    struct real *r = &w.real;
    real_init(r, 16);
    real_tier(r, KVT_REDIS, 1000);
    watch(&w);
    dice_seed(24);
    for (uint32_t round = 0; round <= WHOLE; round++) {
        /* 0: everything is computed and stored. 1: found in Redis. 2: damaged. Then each visit finds the first
         * bad block of a chain and stores it anew; the last one finds none. */
        uint64_t before[KVT_LEDGER];
        memcpy(before, r->ledger, sizeof before);
        if (round == DAMAGED)
            ck_assert_uint_eq(damage_all(r), FAMILIES * CHAIN);
        for (uint32_t f = 0; f < FAMILIES; f++) {
            uint32_t names[CHAIN];
            for (uint32_t i = 0; i < CHAIN; i++)
                names[i] = f * 100 + i;
            real_request(r, names, CHAIN, 3);
            real_drain(r, 10 * KVT_SECOND);
        }
        uint64_t found = r->ledger[KVT_HIT_REDIS] - before[KVT_HIT_REDIS];
        uint64_t corrupt = r->ledger[KVT_COMPUTED_CORRUPT] - before[KVT_COMPUTED_CORRUPT];
        uint64_t cold = r->ledger[KVT_COMPUTED_COLD] - before[KVT_COMPUTED_COLD];
        const uint64_t all = FAMILIES * CHAIN * REAL_BLOCK;
        if (round == 0)
            ck_assert(found == 0 && cold == all);
        else if (round == DAMAGED)
            ck_assert_msg(found == 0 && corrupt > 0, "%llu found, %llu corrupt",
                          (unsigned long long)found, (unsigned long long)corrupt);
        else if (round == 1 || round == WHOLE)
            ck_assert_msg(found > all / 4 && corrupt == 0, "round %u: %llu found, %llu corrupt",
                          round, (unsigned long long)found, (unsigned long long)corrupt);
    }
    ck_assert_uint_eq(r->finished, r->sent);
    replay_agrees(&w);
    unwatch(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("twin real");
    TCase *tcase = tcase_create("twin real");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_crowd_and_its_twin);
    tcase_add_loop_test(tcase, mishaps_and_their_twin, 0, 2);
    tcase_add_loop_test(tcase, both_worlds_decide_the_same, 0, 4);
    tcase_add_test(tcase, damaged_values_are_computed_instead);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
