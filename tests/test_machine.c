/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_machine.c - the simulated world on one machine with workers.
 *
 *      steps          end when their pages are filled, and fills go before stores
 *      questions      go before values that wait, and wait for the one that is moved
 *      conservation   random traffic with timeouts and tiers that go down: everything ends exactly once, spans add
 *                     up, no core is more than busy; the same again gives the same, another seed does not
 *
 * How long lone transfers take is test_measure_model.c's, what workers do first test_workers.c's.
 */
#include "sim_fixture.h"

enum { TOKENS = 64, TOKEN_B = 64, BLOCK_B = TOKENS * TOKEN_B };

/* Round figures: a block is 4,096 bytes; a worker copies one in 4,096 ns either way and fills one in 8,192. */
static struct sim_config machine_config(void)
{
    struct sim_config c = fixture_config();
    c.host = (struct sim_host){.h2d_bps = NS_PER_BYTE(1), .d2h_bps = NS_PER_BYTE(1)};
    c.network.rtt_ns = 10000;
    c.machine =
        (struct sim_machine){.workers = 2, .cores = 4, .fill_bps = NS_PER_BYTE(2), .values = 4};
    return c;
}

static void must_end_at(uint32_t op, kvt_ns at)
{
    const kvt_ns seen = fixture_find(op)->at;
    ck_assert_msg(seen == at, "operation %u ended at %llu, not %llu", op, (unsigned long long)seen,
                  (unsigned long long)at);
}

START_TEST(a_step_waits_for_its_pages)
{
    struct sim_config c = machine_config();
    c.kv_b_per_token = 1 << 20; /* a token is a job of a megabyte */
    fixture_begin(&c);
    const struct kvt_chunk chunk = {.new_tokens = 40};
    const struct kvt_step step = {.op = {1}, .repeat = 1, .n_chunks = 1, .chunks = &chunk};
    const kvt_ns gpu_ns = sim_gpu_chunk_ns(&c.gpu, 0, 40);
    ck_assert_int_eq(fixture_step(&step), 0);
    fixture_drain();
    const kvt_ns fill_ns = (kvt_ns)40 * (2u << 20); /* one worker fills, the other is for loads */
    ck_assert(fill_ns > gpu_ns);
    must_end_at(1, fill_ns);
    fixture_end();

    c.machine.fill_bps = 0; /* the GPU's own business */
    fixture_begin(&c);
    ck_assert_int_eq(fixture_step(&step), 0);
    fixture_drain();
    ck_assert(fixture_find(1)->at < fill_ns);
    fixture_end();
}
END_TEST

START_TEST(fills_go_before_stores)
{
    const struct sim_config c = machine_config();
    fixture_begin(&c);
    const struct kvt_chunk chunk = {.new_tokens = TOKENS};
    const struct kvt_step step = {.op = {9}, .repeat = 1, .n_chunks = 1, .chunks = &chunk};
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_HOST, 1, 1, TOKENS, 0), 0);
    ck_assert_int_eq(fixture_issue(STORE, 2, 0, KVT_HOST, 2, 1, TOKENS, 0), 0);
    ck_assert_int_eq(fixture_step(&step), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 3, 0, KVT_HOST, 1, 1, TOKENS, 0), 0);
    fixture_drain();
    must_end_at(3, BLOCK_B);               /* the worker that is kept for loads */
    must_end_at(1, BLOCK_B);               /* was begun already */
    must_end_at(2, BLOCK_B + 3 * BLOCK_B); /* after the fill of 2 ns a byte */
    fixture_end();
}
END_TEST

START_TEST(questions_go_before_values)
{
    struct sim_config c = machine_config();
    c.redis.process_bps = NS_PER_BYTE(10);
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 1, 6, TOKENS, KVT_NEVER), 0);
    fixture_drain();
    const kvt_ns begin_ns = fixture.now, value_ns = 3000 + 10 * BLOCK_B;
    ck_assert_int_eq(fixture_issue(LOAD, 2, 0, KVT_REDIS, 1, 6, TOKENS, 0), 0);
    ck_assert_int_eq(fixture_issue(PROBE, 3, 0, KVT_REDIS, 1, 2, TOKENS, 0), 0);
    fixture_drain();
    /* The first value is under way when the question comes; then the question, then the others. */
    must_end_at(3, begin_ns + 5000 + value_ns + 2 * 3000 + 5000);
    must_end_at(2, begin_ns + 5000 + 6 * value_ns + 2 * 3000 + 5000 + BLOCK_B);
    fixture_end();
}
END_TEST

/* ---- Random traffic -------------------------------------------------------------------------------- */

static const struct sim_variation wide = {true, {0.3, 0.5, 0.7, 0.9, 1, 1.3, 2, 4, 20}};

static struct sim_config wild_config(uint64_t seed)
{
    struct sim_config c = machine_config();
    c.seed = seed;
    c.engines = 2;
    c.redis.nodes = 2;
    c.redis.timeout_ns = 700000;
    c.piece_b = 1500;
    c.codec[KVT_REDIS] = (struct sim_codec){true, 1.5, NS_PER_BYTE(2), NS_PER_BYTE(1), 1};
    c.machine.workers = 1 + (uint32_t)dice_below(4);
    c.machine.cores = 1 + (uint32_t)dice_below(3);
    c.machine.worker_cores = 1.25;
    c.machine.file_cores = 1.75;
    c.machine.get_share = 0.5;
    c.machine.set_share = 1;
    c.machine.connection_ns = 4000;
    for (int k = 0; k < SIM_VARIED; k++)
        c.machine.varied[k] = wide;
    return c;
}

static uint32_t wild_traffic(void)
{
    static const enum kvt_tier_kind tiers[] = {KVT_HOST, KVT_REDIS, KVT_DISK};
    uint32_t op = 0;
    for (int turn = 0; turn < 600; turn++) {
        const enum kvt_tier_kind tier = tiers[dice_below(3)];
        const uint32_t engine = (uint32_t)dice_below(2);
        if (dice_one_in(40)) {
            sim_world_set_down(fixture.world, tier, (kvt_engine_id){engine}, true);
            sim_world_set_down(fixture.world, tier, (kvt_engine_id){engine}, false);
        }
        const enum fixture_kind kind = (enum fixture_kind)dice_below(4);
        ck_assert_int_eq(fixture_issue(kind, op++, engine, tier, dice_below(50),
                                       1 + (uint32_t)dice_below(9), TOKENS, KVT_NEVER),
                         0);
        fixture_advance(fixture.now + dice_below(200000));
    }
    fixture_drain();
    return op;
}

static uint64_t trail(uint64_t seed, uint64_t dice_at)
{
    uint64_t h = 0;
    dice_seed(dice_at);
    const struct sim_config c = wild_config(seed);
    fixture_begin(&c);
    const uint32_t n = wild_traffic();
    MUST(fixture.n == n);
    for (uint32_t op = 0; op < n; op++) {
        const struct seen *s = fixture_find(op);
        h = kvt_mix64(h ^ s->at) + s->done.status;
        MUST(s->done.status != KVT_OK || s->done.blocks_ok > 0);
    }
    struct sim_world_stats stats;
    sim_world_stats(fixture.world, &stats);
    MUST(stats.under_way == 0);
    const struct sim_part_stats cores = fixture_part("machine/cores");
    MUST(cores.busy_ratio > 0 && cores.busy_ratio <= 1 && cores.jobs > 0);
    fixture_end();
    return h;
}

START_TEST(everything_ends_once_and_again_the_same)
{
    const uint64_t dice_at = 100 + (uint64_t)_i;
    const uint64_t first = trail(1, dice_at);
    MUST(first == trail(1, dice_at));
    MUST(first != trail(2, dice_at));
}
END_TEST

START_TEST(what_cannot_be_built_is_refused)
{
    char why[200];
    for (int turn = 0; turn < 5; turn++) {
        struct sim_config c = machine_config();
        if (turn == 0)
            c.machine.cores = 0;
        else if (turn == 1)
            c.machine.values = 0;
        else if (turn == 2)
            c.machine.get_share = 1.5;
        else if (turn == 3)
            c.machine.fill_bps = -1;
        else
            c.machine.varied[0] = (struct sim_variation){true, {1, 1, 1, 1, 1, 1, 1, 1, 0.5}};
        *why = '\0';
        ck_assert_ptr_null(sim_world_new(&c, NULL, why, sizeof why));
        ck_assert_ptr_nonnull(strstr(why, "machine"));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("machine");
    TCase *exact = tcase_create("exact"), *random = tcase_create("conservation");
    tcase_add_test(exact, a_step_waits_for_its_pages);
    tcase_add_test(exact, fills_go_before_stores);
    tcase_add_test(exact, questions_go_before_values);
    tcase_add_test(exact, what_cannot_be_built_is_refused);
    tcase_add_loop_test(random, everything_ends_once_and_again_the_same, 0, 12);
    tcase_set_timeout(random, 30);
    suite_add_tcase(suite, exact);
    suite_add_tcase(suite, random);
    return kvt_test_main(suite);
}
