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
#include <math.h>

#include "cli/validate.h"
#include "core/replay.h"
#include "real_fixture.h"
#include "record_fixture.h"
#include "sim/world.h"

enum { CHAIN = 6 };

/* ---- A real world that is measured and recorded. ------------------------------------------------ */

struct watched {
    struct real real;
    struct meter meter;
    struct kvt_record record;
    struct tape tape;
};

/* real_open with a meter before the port and a recorder behind the meter. */
static void watch(struct watched *w)
{
    const struct kvt_sink sink = tape_sink(&w->tape);
    int rc;
    real_open(&w->real);
    kvt_core_free(w->real.core);
    const struct kvt_port bare = be_world_port(w->real.world);
    static struct kvt_port port;
    port = meter_port(&w->meter, &bare);
    w->real.core = kvt_core_new(&w->real.core_config, &port, &real_heap, &rc);
    ck_assert_ptr_nonnull(w->real.core);
    ck_assert_int_eq(kvt_record_init(&w->record, &real_heap, &sink), 0);
    kvt_core_tap(w->real.core, meter_tap(&w->meter, kvt_record_tap(&w->record)));
    real_pass(&w->real, 1);
}

static void end_meter(struct meter *m, const struct kvt_core *core)
{
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    char digest[33];
    kvt_core_stats(core, &stats);
    kvt_core_gauges(core, KVT_NONE, &gauges);
    kvt_core_digest(core, digest);
    ck_assert_int_eq(m->error, 0);
    meter_end(m, &stats, &gauges, digest);
}

/* Ends recording and meter; then the recording, fed to a core without a world, must decide the same. */
static void replay_agrees(struct watched *w)
{
    struct kvt_replay replay;
    char digest[33];
    int rc;
    real_check(&w->real);
    end_meter(&w->meter, w->real.core);
    kvt_core_tap(w->real.core, NULL);
    ck_assert_int_eq(kvt_record_finish(&w->record), 0);
    kvt_record_release(&w->record);
    ck_assert_int_eq(kvt_replay_init(&replay, &real_heap, w->tape.bytes, w->tape.n, NULL), 0);
    const struct kvt_port port = kvt_replay_port(&replay);
    struct kvt_core *core = kvt_core_new(&w->real.core_config, &port, &real_heap, &rc);
    ck_assert_ptr_nonnull(core);
    while ((rc = kvt_replay_step(&replay, core)) > 0) {
    }
    ck_assert_int_eq(rc, 0);
    kvt_core_digest(core, digest);
    ck_assert_str_eq(digest, w->meter.digest);
    kvt_core_free(core);
    kvt_replay_release(&replay);
}

static void unwatch(struct watched *w)
{
    real_close(&w->real);
    tape_release(&w->tape);
    meter_release(&w->meter);
}

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

/* Something happens to the server; or nothing. */
static void mishap(struct real *r, bool *stalled)
{
    pid_t server = be_spawn_pid(r->spawn, 0);
    if (*stalled) {
        if (server > 0)
            kill(server, SIGCONT);
        *stalled = false;
    } else if (server == 0) {
        ck_assert_int_eq(be_spawn_restart(r->spawn, 0), 0);
    } else if (dice_one_in(2)) {
        kill(server, SIGSTOP);
        *stalled = true;
    } else {
        ck_assert_int_eq(be_spawn_kill(r->spawn, 0), 0);
    }
}

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

/* The simulated side: the same core on virtual hardware. */
struct simulated {
    struct sim_world *world;
    struct kvt_core *core;
    struct meter meter;
    kvt_ns now;
};

static void simulate(struct simulated *s, const struct real *like)
{
    struct sim_config config = {
        .seed = 1,
        .engines = like->config.engines,
        .kv_b_per_token = 256,
        .gpu = {.gpus = 1,
                .peak_flops = 1e12,
                .mfu = 1,
                .hbm_bps = 1e12,
                .weight_efficiency = 1,
                .kv_efficiency = 1,
                .dense_weight_b = 1e6,
                .linear_flops_per_token = 1e6,
                .kv_b_per_token = 256,
                .host_ns = 2e5},
        .host = {.h2d_bps = 1e9, .d2h_bps = 1e9, .copy_threads = 1, .copy_thread_bps = 1e9},
        .network = {.engine_nic_bps = 1e9,
                    .rtt_ns = 50000,
                    .connection_bps = INFINITY,
                    .connections = 2},
        .redis = {.nodes = like->redis_nodes,
                  .nic_bps = 1e9,
                  .process_bps = 1e9,
                  .command_ns = 3000,
                  .memory_b = UINT64_MAX,
                  .overhead_b = 90,
                  .samples = 5,
                  .evicts = true,
                  .timeout_ns = KVT_NEVER},
        .disk = {.read_bps = 1e9, .write_bps = 1e9, .channels = 4},
    };
    char why[200] = "";
    int rc;
    sim_gpu_prepare(&config.gpu);
    *s = (struct simulated){0};
    s->world = sim_world_new(&config, NULL, why, sizeof why);
    ck_assert_msg(s->world != NULL, "%s", why);
    const struct kvt_port bare = sim_world_port(s->world);
    static struct kvt_port port;
    port = meter_port(&s->meter, &bare);
    s->core = kvt_core_new(&like->core_config, &port, &real_heap, &rc);
    ck_assert_ptr_nonnull(s->core);
    kvt_core_tap(s->core, meter_tap(&s->meter, NULL));
}

/* real_request and real_drain, in virtual time. */
static void simulate_request(struct simulated *s, const struct real *like, uint64_t id,
                             const uint32_t *names, uint32_t blocks, uint32_t output_tokens)
{
    const struct kvt_world_ops *ops = sim_world_ops();
    kvt_key keys[CHAIN];
    struct kvt_namespace ns;
    ck_assert_int_eq(kvt_namespace_init(&ns, "", "epoch", "layout"), 0);
    for (uint32_t i = 0; i < blocks; i++)
        keys[i] = kvt_key_of_id(&ns, names[i]);
    const struct kvt_request request = {.id = id,
                                        .arrive_ns = s->now,
                                        .session = KVT_NONE,
                                        .prompt_tokens = blocks * like->config.block_tokens + 5,
                                        .output_tokens = output_tokens,
                                        .n_keys = blocks,
                                        .keys = keys};
    MUST(ops->advance(s->world, s->core, s->now) == 0);
    MUST(kvt_core_request(s->core, s->now, &request) == 0);
    while (ops->next(s->world) != KVT_NEVER) {
        s->now = ops->next(s->world);
        MUST(ops->advance(s->world, s->core, s->now) == 0);
    }
    MUST(kvt_core_unfinished(s->core) == 0);
}

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

static const struct validate_count *count_named(const struct validation *v, const char *name)
{
    for (size_t i = 0; i < v->n_counts; i++)
        if (strcmp(v->counts[i].name, name) == 0)
            return &v->counts[i];
    ck_abort_msg("no counter %s", name);
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
    replay_agrees(&w);
    end_meter(&s.meter, s.core);
    ck_assert_int_eq(validate_compare(&v, &w.meter, &s.meter, &w.real.core_config,
                                      &validate_default),
                     0);
    ck_assert_uint_eq(v.requests, 120);
    ck_assert_uint_eq(v.n_divergences, 0);
    for (size_t i = 0; i < v.n_counts; i++)
        ck_assert_msg(v.counts[i].real == v.counts[i].sim, "%s: %llu real, %llu sim",
                      v.counts[i].name, (unsigned long long)v.counts[i].real,
                      (unsigned long long)v.counts[i].sim);
    for (int tier = KVT_HOST; tier < KVT_TIERS; tier++) {
        const struct validate_keys *k = &v.keys[tier];
        ck_assert_uint_eq(k->stored_real, k->stored_both);
        ck_assert_uint_eq(k->stored_sim, k->stored_both);
        ck_assert_uint_eq(k->held_real, k->held_both);
        ck_assert_uint_eq(k->held_sim, k->held_both);
        ck_assert(!k->present || k->held_both > 0);
    }
    /* A comparison of nothing would agree, too. */
    ck_assert_uint_gt(count_named(&v, tiers[_i].hits)->real, 1000);
    ck_assert_uint_gt(count_named(&v, "evicted blocks gpu")->real, 20);
    if (tiers[_i].host > 0 && tiers[_i].host < 1000)
        ck_assert_uint_gt(count_named(&v, "evicted blocks host")->real, 20);
    if (tiers[_i].redis)
        keys_are_there(&w);
    validate_release(&v);
    kvt_core_free(s.core);
    sim_world_free(s.world);
    meter_release(&s.meter);
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
