/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_peers.c - what one engine's GPU holds serves another: stories worked by hand, and a cluster whose engines
 * lend each other everything beside a single engine that has it all.
 */
#include "heap.h"
#include "hand_world.h"

#include "../core/null.h"
#include "dice.h"

enum { B = 4, PROMPT = 16 }; /* four blocks */

static struct kvt_core_config cluster(uint32_t engines)
{
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    c.engines = engines;
    c.block_tokens = c.page_tokens = B;
    c.gpu_pages = 100;
    c.page_numbers = true;
    c.max_batch_tokens = 1000;
    c.max_batch_requests = 8;
    c.router = KVT_ROUTE_ROUND_ROBIN;
    c.load_choice = KVT_LOAD_ALWAYS;
    c.load_patience = 0;
    c.prefill = (struct kvt_prefill_cost){0, 1e6, 0};
    c.tiers[KVT_PEER].present = true;
    return c;
}

static struct kvt_core_gauges gauges(const struct hand *w, uint32_t engine)
{
    struct kvt_core_gauges g;
    kvt_core_gauges(w->core, engine, &g);
    return g;
}

static void ask(struct hand *w, uint64_t name, uint32_t prompt)
{
    hand_request(w, name, prompt, 1, B);
}

static const struct hand_op *peer_load(struct hand *w, uint32_t engine, uint32_t from, uint32_t n)
{
    const struct hand_op *load = hand_find(w, HAND_LOAD);
    ck_assert_ptr_nonnull(load);
    ck_assert_uint_eq(load->tier, KVT_PEER);
    ck_assert_uint_eq(load->engine, engine);
    ck_assert_uint_eq(load->from, from);
    ck_assert_uint_eq(load->n_blocks, n);
    return load;
}

START_TEST(another_engines_blocks_are_loaded_and_kept)
{
    struct kvt_core_config c = cluster(2);
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 100, PROMPT);
    hand_drain(&w);
    ck_assert_uint_eq(gauges(&w, 0).pages_cached, 4);
    ask(&w, 100, PROMPT);
    peer_load(&w, 1, 0, 4);
    ck_assert_uint_eq(gauges(&w, 0).pages_cached, 0); /* pinned while they are read */
    hand_end(&w, hand_find(&w, HAND_LOAD), KVT_OK, 4);
    ck_assert_uint_eq(gauges(&w, 0).pages_cached, 4);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_PEER], PROMPT - 1);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_TAIL], 1);
    ck_assert_uint_eq(hand_last(&w)->source, KVT_PEER);
    for (int i = 0; i < 2; i++) { /* now both have them */
        ask(&w, 100, PROMPT);
        ck_assert_ptr_null(hand_find(&w, HAND_LOAD));
        hand_drain(&w);
        ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], PROMPT - 1);
    }
    hand_close(&w);
}
END_TEST

START_TEST(what_is_not_promoted_stays_with_the_lender)
{
    struct kvt_core_config c = cluster(2);
    c.tiers[KVT_PEER].no_promote = true;
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 100, PROMPT);
    hand_drain(&w);
    for (int i = 0; i < 3; i++) {
        ask(&w, 100, PROMPT);
        peer_load(&w, 1, 0, 4);
        hand_drain(&w);
        ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_PEER], PROMPT - 1);
        ck_assert_uint_eq(gauges(&w, 1).pages_cached, 0);
        ask(&w, 100, PROMPT);
        hand_drain(&w);
    }
    hand_close(&w);
}
END_TEST

START_TEST(a_lender_that_goes_down_costs_a_computation)
{
    struct kvt_core_config c = cluster(2);
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 100, PROMPT);
    hand_drain(&w);
    ask(&w, 100, PROMPT);
    peer_load(&w, 1, 0, 4);
    kvt_core_down(w.core, w.now, KVT_GPU, (kvt_engine_id){0});
    hand_check(&w);
    ck_assert_uint_eq(gauges(&w, 0).pages_free, 96); /* still read, whatever is in them */
    ask(&w, 100,
        PROMPT); /* nobody lends: it waits for the load of its own engine, as far as that is known */
    hand_end(&w, hand_find(&w, HAND_LOAD), KVT_DOWN, 0);
    ck_assert_uint_eq(gauges(&w, 0).pages_free, 100);
    ck_assert_ptr_null(hand_find(&w, HAND_LOAD));
    kvt_core_up(w.core, w.now, KVT_GPU, (kvt_engine_id){0});
    hand_drain(&w);
    ck_assert_uint_eq(w.n_reports, 3);
    ck_assert_uint_eq(w.reports[1].ledger_tokens[KVT_COMPUTED_TIER_DOWN], PROMPT);
    hand_close(&w);
}
END_TEST

START_TEST(a_run_of_blocks_has_one_lender)
{
    struct kvt_core_config c = cluster(3);
    c.tiers[KVT_PEER].no_promote = true;
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 100, 2 * B); /* engine 0 makes the first two blocks, engine 1 the next two */
    hand_drain(&w);
    ask(&w, 100, PROMPT);
    peer_load(&w, 1, 0, 2);
    hand_drain(&w);
    ask(&w, 100, PROMPT);
    peer_load(&w, 2, 0, 2);
    struct hand_op *first = hand_find(&w, HAND_LOAD);
    first->open = false; /* look behind it */
    const struct hand_op *second = peer_load(&w, 2, 1, 2);
    ck_assert_uint_eq(second->first_key.lo, 102);
    first->open = true;
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_PEER], PROMPT - 1);
    hand_close(&w);
}
END_TEST

START_TEST(of_several_lenders_the_one_who_lends_least)
{
    struct kvt_core_config c = cluster(4);
    struct hand w;
    hand_open(&w, &c);
    for (int i = 0; i < 2; i++) { /* engines 0 and 1 have it */
        ask(&w, 100, PROMPT);
        hand_drain(&w);
    }
    ask(&w, 100, PROMPT); /* engine 2: nobody lends yet, and the next one round that has it is 0 */
    peer_load(&w, 2, 0, 4);
    ask(&w, 100, PROMPT); /* engine 3: 0 would be the next one round, but lends */
    hand_find(&w, HAND_LOAD)->open = false;
    peer_load(&w, 3, 1, 4);
    w.ops[w.n - 2].open = true;
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

START_TEST(a_lender_waits_for_its_own_pages)
{
    struct kvt_core_config c = cluster(2);
    c.gpu_pages = 8;
    struct hand w;
    hand_open(&w, &c);
    ask(&w, 100, PROMPT);
    hand_drain(&w);
    ask(&w, 100, PROMPT);
    peer_load(&w, 1, 0, 4);
    ask(&w, 200, PROMPT + B); /* engine 0: wants six pages, of which it lends two */
    ck_assert_ptr_null(hand_find(&w, HAND_STEP));
    ck_assert_uint_eq(gauges(&w, 0).waiting, 1);
    hand_end(&w, hand_find(&w, HAND_LOAD), KVT_OK, 4);
    ck_assert_uint_eq(gauges(&w, 0).waiting, 0);
    hand_drain(&w);
    ck_assert_uint_eq(w.n_reports, 3);
    hand_close(&w);
}
END_TEST

START_TEST(peers_are_asked_before_what_is_no_faster)
{
    for (int dear = 0; dear < 2; dear++) {
        struct kvt_core_config c = cluster(2);
        c.tiers[KVT_REDIS].present = true;
        c.tiers[KVT_REDIS].load_ns_per_token = 2;
        c.tiers[KVT_PEER].load_ns_per_token = dear ? 3 : 2;
        struct hand w;
        hand_open(&w, &c);
        ask(&w, 100, PROMPT);
        hand_drain(&w);
        ask(&w, 100, PROMPT);
        ck_assert_uint_eq(hand_find(&w, HAND_LOAD)->tier, dear ? KVT_REDIS : KVT_PEER);
        ck_assert_uint_eq(hand_find(&w, HAND_LOAD)->from, dear ? KVT_NONE : 0);
        hand_drain(&w);
        hand_close(&w);
    }
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
    struct kvt_core_config c = cluster(1);
    ck_assert_str_eq(kvt_core_config_check(&c), "the peer tier needs another engine");
    c = cluster(2);
    ck_assert_ptr_null(kvt_core_config_check(&c));
    c.tiers[KVT_PEER].probe = true;
    ck_assert_ptr_nonnull(kvt_core_config_check(&c));
}
END_TEST

/* ---- Without time -------------------------------------------------------------------------------------------- */

/* Serves random chains, one after the other. GPUs without bounds. */
static struct kvt_core_stats serve(uint32_t engines, bool peers)
{
    struct kvt_core_config c = cluster(engines);
    c.gpu_pages = UINT64_MAX;
    c.page_numbers = false;
    c.tiers[KVT_PEER].present = peers;
    struct kvt_null *world = kvt_null_new(&heap, NULL);
    const struct kvt_port port = kvt_null_port(world);
    int error;
    struct kvt_core *core = kvt_core_new(&c, &port, &heap, &error);
    ck_assert_ptr_nonnull(core);
    dice_seed(5);
    for (uint64_t id = 0; id < 3000; id++) {
        kvt_key keys[16];
        const uint64_t family = dice_below(100);
        const uint32_t n = 1 + (uint32_t)dice_below(16);
        for (uint32_t i = 0; i < n; i++)
            keys[i] = (kvt_key){.hi = family + 1, .lo = i + 1};
        const struct kvt_request r = {.id = id,
                                      .session = KVT_NONE,
                                      .prompt_tokens = n * B + 1,
                                      .output_tokens = 1,
                                      .n_keys = n,
                                      .keys = keys};
        ck_assert_int_eq(kvt_core_request(core, 0, &r), 0);
        ck_assert_int_eq(kvt_null_world()->advance(world, core, 0), 0);
    }
    struct kvt_core_stats stats;
    char why[200] = "";
    kvt_core_stats(core, &stats);
    ck_assert_msg(kvt_core_check(core, why, sizeof why), "%s", why);
    ck_assert_uint_eq(stats.finished, 3000);
    kvt_core_free(core);
    kvt_null_free(world);
    return stats;
}

START_TEST(engines_that_lend_everything_find_what_one_would)
{
    const struct kvt_core_stats one = serve(1, false), apart = serve(5, false),
                                together = serve(5, true);
    ck_assert_uint_eq(together.hit_blocks, one.hit_blocks);
    ck_assert_uint_lt(apart.hit_blocks, one.hit_blocks);
    ck_assert_uint_eq(together.ledger_tokens[KVT_HIT_GPU] + together.ledger_tokens[KVT_HIT_PEER],
                      one.ledger_tokens[KVT_HIT_GPU]);
    ck_assert_uint_eq(together.ledger_tokens[KVT_HIT_PEER],
                      apart.ledger_tokens[KVT_COMPUTED_EVICTED]);
    ck_assert_uint_eq(together.loaded_blocks[KVT_PEER] * B, together.ledger_tokens[KVT_HIT_PEER]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("peers");
    TCase *tcase = tcase_create("peers");
    tcase_add_test(tcase, another_engines_blocks_are_loaded_and_kept);
    tcase_add_test(tcase, what_is_not_promoted_stays_with_the_lender);
    tcase_add_test(tcase, a_lender_that_goes_down_costs_a_computation);
    tcase_add_test(tcase, a_run_of_blocks_has_one_lender);
    tcase_add_test(tcase, of_several_lenders_the_one_who_lends_least);
    tcase_add_test(tcase, a_lender_waits_for_its_own_pages);
    tcase_add_test(tcase, peers_are_asked_before_what_is_no_faster);
    tcase_add_test(tcase, what_makes_no_sense_is_refused);
    tcase_add_test(tcase, engines_that_lend_everything_find_what_one_would);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
