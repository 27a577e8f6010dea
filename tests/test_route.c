/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_route.c - which engine a request goes to (core/route.c), in a world worked by hand.
 */
#include "hand_world.h"

enum { B = 4 };

static struct kvt_core_config three_engines(enum kvt_router_kind router)
{
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    c.engines = 3;
    c.router = router;
    c.block_tokens = c.page_tokens = B;
    c.gpu_pages = 100;
    c.max_batch_tokens = 1000;
    c.max_batch_requests = 8;
    c.prefill = (struct kvt_prefill_cost){0, 1e6, 0};
    return c;
}

START_TEST(round_robin_goes_round)
{
    const struct kvt_core_config c = three_engines(KVT_ROUTE_ROUND_ROBIN);
    struct hand w;
    hand_open(&w, &c);
    for (uint64_t i = 0; i < 6; i++)
        hand_request(&w, 100 * i, 8, 0, B);
    hand_drain(&w);
    for (uint32_t i = 0; i < 6; i++)
        ck_assert_uint_eq(w.reports[i].engine.v, i % 3);
    hand_close(&w);
}
END_TEST

START_TEST(least_loaded_counts_tokens)
{
    const struct kvt_core_config c = three_engines(KVT_ROUTE_LEAST_LOADED);
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 40, 0, B);
    hand_request(&w, 200, 8, 0, B);
    hand_request(&w, 300, 12, 0, B);
    hand_request(&w, 400, 4, 0, B); /* joins the 8 */
    ck_assert_uint_eq(hand_find(&w, HAND_STEP)->engine, 0);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->engine.v, 1);
    hand_close(&w);
}
END_TEST

START_TEST(hash_affinity_goes_by_the_first_block)
{
    const struct kvt_core_config c = three_engines(KVT_ROUTE_HASH_AFFINITY);
    struct hand w;
    hand_open(&w, &c);
    for (uint64_t i = 0; i < 5; i++)
        hand_request(&w, 700, 8 + 4 * (uint32_t)i, 0, B);
    hand_drain(&w);
    for (uint32_t i = 1; i < 5; i++)
        ck_assert_uint_eq(w.reports[i].engine.v, w.reports[0].engine.v);
    hand_close(&w);
}
END_TEST

START_TEST(prefix_aware_goes_where_the_prefix_is)
{
    const struct kvt_core_config c = three_engines(KVT_ROUTE_PREFIX_AWARE);
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_request(&w, 200, 16, 0, B);
    hand_request(&w, 300, 16, 0, B);
    hand_drain(&w);
    hand_request(&w, 200, 20, 0, B); /* all idle: to where its prefix lies */
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->engine.v, w.reports[1].engine.v);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 16);
    hand_close(&w);
}
END_TEST

/* One request at a time, so every engine is idle. */
START_TEST(ties_settle_by_memory_then_in_turn)
{
    static const enum kvt_router_kind routers[] = {KVT_ROUTE_LEAST_LOADED, KVT_ROUTE_PREFIX_AWARE};
    static const uint32_t tokens[] = {8, 24, 8, 8, 8, 4, 4};
    /* blocks held: 2 0 0, 2 6 0, 2 6 2, 4 6 2, 4 6 4, 5 6 4, 5 6 5 */
    static const uint32_t engine[] = {0, 1, 2, 0, 2, 0, 2};
    struct hand w;
    for (int k = 0; k < 2; k++) {
        const struct kvt_core_config c = three_engines(routers[k]);
        hand_open(&w, &c);
        for (uint32_t i = 0; i < 7; i++) {
            hand_request(&w, 100 * (i + 1), tokens[i], 0, B);
            hand_drain(&w);
            ck_assert_uint_eq(hand_last(&w)->engine.v, engine[i]);
        }
        hand_close(&w);
    }
    struct kvt_core_config c = three_engines(KVT_ROUTE_LEAST_LOADED);
    c.cache = false; /* nothing is held: in turn */
    hand_open(&w, &c);
    for (uint32_t i = 0; i < 6; i++) {
        hand_request(&w, 100, 8, 0, B);
        hand_drain(&w);
        ck_assert_uint_eq(hand_last(&w)->engine.v, i % 3);
    }
    hand_close(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route");
    TCase *cases = tcase_create("route");
    tcase_add_test(cases, round_robin_goes_round);
    tcase_add_test(cases, least_loaded_counts_tokens);
    tcase_add_test(cases, hash_affinity_goes_by_the_first_block);
    tcase_add_test(cases, prefix_aware_goes_where_the_prefix_is);
    tcase_add_test(cases, ties_settle_by_memory_then_in_turn);
    suite_add_tcase(suite, cases);
    return kvt_test_main(suite);
}
