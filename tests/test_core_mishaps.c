/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_core_mishaps.c - what core does when things go wrong at an awkward moment: an engine dies
 * while its pages are being read or written, a load is given up that others wait for, a world
 * refuses a step, a block is lost in the middle of a chain.
 */
#include "hand_world.h"

enum { B = 4 };

static struct kvt_core_config small(void)
{
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    c.block_tokens = c.page_tokens = B;
    c.gpu_pages = 100;
    c.max_batch_tokens = 1000;
    c.max_batch_requests = 8;
    c.load_choice = KVT_LOAD_ALWAYS;
    c.load_patience = 0;
    c.router = KVT_ROUTE_ROUND_ROBIN;
    c.prefill = (struct kvt_prefill_cost){0, 1e6, 0};
    return c;
}

static void with_tier(struct kvt_core_config *c, enum kvt_tier_kind tier)
{
    c->tiers[tier].present = true;
    c->tiers[tier].stored_b_per_token = 1;
}

static void down(struct hand *w, enum kvt_tier_kind tier, uint32_t engine)
{
    kvt_core_down(w->core, w->now, tier, (kvt_engine_id){engine});
    hand_check(w);
}

static void up(struct hand *w, enum kvt_tier_kind tier, uint32_t engine)
{
    kvt_core_up(w->core, w->now, tier, (kvt_engine_id){engine});
    hand_check(w);
}

static uint32_t count_open(const struct hand *w, enum hand_kind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->n; i++)
        n += w->ops[i].open && w->ops[i].kind == kind;
    return n;
}

static void fire_timers(struct hand *w)
{
    const uint32_t n = w->n_timers;
    for (uint32_t i = 0; i < n; i++)
        if (w->timer_at[i] > w->now && w->timer_at[i] != KVT_NEVER)
            w->now = w->timer_at[i];
    for (uint32_t i = 0; i < n; i++) {
        kvt_core_timer(w->core, w->now, w->timers[i]);
        hand_check(w);
    }
}

/* A store holds its pages beyond the end of the request: they die with the engine all the same. */
START_TEST(a_lost_engine_keeps_no_block_that_a_store_reads)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    struct hand_op *store = hand_find(&w, HAND_STORE);
    ck_assert_ptr_nonnull(store);
    down(&w, KVT_GPU, 0);
    up(&w, KVT_GPU, 0);
    hand_request(&w, 100, 16, 0, B);
    ck_assert_uint_eq(hand_find(&w, HAND_STEP)->chunks[0].past_tokens, 0);
    hand_end(&w, store, KVT_DOWN, 0);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_EVICTED], 16);
    hand_close(&w);
}
END_TEST

/* Nor one that a load was writing: nobody follows that load afterwards, however it ends. */
START_TEST(a_lost_engine_keeps_no_block_that_a_load_writes)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    c.tiers[KVT_GPU].capacity_blocks = 8;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_drain(&w);
    hand_request(&w, 500, 32, 0, B);
    hand_drain(&w);
    hand_request(&w, 100, 16, 0, B);
    struct hand_op *before = hand_find(&w, HAND_LOAD);
    ck_assert_uint_eq(before->n_blocks, 4);
    down(&w, KVT_GPU, 0);
    up(&w, KVT_GPU, 0);
    hand_request(&w, 100, 16, 0, B);
    ck_assert_uint_eq(count_open(&w, HAND_LOAD), 2);
    hand_end(&w, before, KVT_OK, 4);
    ck_assert_ptr_null(hand_find(&w, HAND_STEP));
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_HOST], 15);
    hand_close(&w);
}
END_TEST

/* Of a prompt that ends inside a block, the kept block holds the prompt's tokens and none of the
 * output's: those are computed again on the other engine. */
START_TEST(a_partial_block_does_not_cover_the_output)
{
    struct kvt_core_config c = small();
    c.engines = 2;
    c.partial_blocks = true;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 6, 10, B);
    hand_request(&w, 100, 6, 10, B);
    hand_drain(&w); /* both engines have it */
    hand_request(&w, 100, 6, 10, B);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 3); /* four tokens so far */
    down(&w, KVT_GPU, 0);
    struct hand_op *step = NULL;
    for (uint32_t i = 0; i < w.n; i++)
        if (w.ops[i].open && w.ops[i].engine == 1)
            step = &w.ops[i];
    ck_assert(step && step->n_chunks == 1);
    ck_assert_uint_eq(step->chunks[0].past_tokens, 6);
    ck_assert_uint_eq(step->chunks[0].new_tokens, 4);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->output_tokens, 10);
    hand_close(&w);
}
END_TEST

/* First come, first served also on the engine that takes over. */
START_TEST(a_lost_engine_hands_over_in_order)
{
    struct kvt_core_config c = small();
    c.engines = 2;
    with_tier(&c, KVT_HOST);
    c.tiers[KVT_GPU].capacity_blocks = 12;
    struct hand w;
    hand_open(&w, &c);
    down(&w, KVT_GPU, 1);
    hand_request(&w, 100, 16, 0, B);
    hand_drain(&w);
    hand_request(&w, 500, 48, 0, B);
    hand_drain(&w);
    hand_request(&w, 900, 12, 5, B); /* runs */
    hand_request(&w, 100, 16, 0, B); /* came later, and loads */
    ck_assert(hand_find(&w, HAND_STEP) && hand_find(&w, HAND_LOAD));
    up(&w, KVT_GPU, 1);
    down(&w, KVT_GPU, 0);
    const struct hand_op *step = &w.ops[w.n - 1];
    ck_assert(step->kind == HAND_STEP && step->engine == 1);
    ck_assert_uint_eq(step->chunks[0].new_tokens, 12);
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

/* Nothing else is under way that could wake core: it wakes itself. */
START_TEST(a_refused_step_is_tried_again)
{
    struct kvt_core_config c = small();
    struct hand w;
    hand_open(&w, &c);
    w.refuse_steps = 2;
    hand_request(&w, 100, 16, 0, B);
    ck_assert_ptr_null(hand_find(&w, HAND_STEP));
    for (int i = 0; i < 3 && !hand_find(&w, HAND_STEP); i++) {
        ck_assert_uint_gt(w.n_timers, 0);
        ck_assert_uint_gt(w.timer_at[w.n_timers - 1], w.now);
        w.now = w.timer_at[w.n_timers - 1];
        kvt_core_timer(w.core, w.now, w.timers[w.n_timers - 1]);
        hand_check(&w);
    }
    hand_drain(&w);
    ck_assert_uint_eq(w.n_reports, 1);
    hand_close(&w);
}
END_TEST

/* Not cold: it was computed before, only elsewhere. */
START_TEST(held_by_another_engine_is_not_cold)
{
    struct kvt_core_config c = small();
    c.engines = 2;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_drain(&w);
    hand_request(&w, 100, 20, 0, B);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_EVICTED], 16);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_COLD], 4);
    hand_close(&w);
}
END_TEST

/* No lookup reaches what lies behind a hole, however far behind. */
START_TEST(everything_behind_a_hole_is_orphaned)
{
    struct kvt_core_config c = small();
    c.tiers[KVT_GPU].capacity_blocks = 4;
    c.tiers[KVT_GPU].stored_b_per_token = 1;
    c.touch = KVT_TOUCH_HEAD; /* the head is the first to go */
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_drain(&w);
    uint64_t orphan_b[KVT_TIERS];
    kvt_core_orphans(w.core, orphan_b);
    ck_assert_uint_eq(orphan_b[KVT_GPU], 0);
    hand_request(&w, 500, 4, 0, B);
    hand_drain(&w);
    kvt_core_orphans(w.core, orphan_b);
    ck_assert_uint_eq(orphan_b[KVT_GPU], 3 * B);
    hand_close(&w);
}
END_TEST

/* Fills the host tier with a prompt of 16 tokens and pushes it off the GPU. */
static void in_host_only(struct hand *w)
{
    hand_request(w, 100, 16, 0, B);
    hand_drain(w);
    hand_request(w, 500, 48, 0, B);
    hand_drain(w);
}

/* One request loads, another waits for that load. The first loses patience and computes; what it
 * computed serves the second, though the load hangs on. */
START_TEST(followers_do_not_wait_for_an_abandoned_load)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    c.load_patience = 2;
    c.tiers[KVT_GPU].capacity_blocks = 12;
    struct hand w;
    hand_open(&w, &c);
    in_host_only(&w);
    hand_request(&w, 100, 16, 0, B);
    hand_request(&w, 100, 16, 0, B);
    struct hand_op *load = hand_find(&w, HAND_LOAD);
    ck_assert(load && count_open(&w, HAND_LOAD) == 1);
    fire_timers(&w);
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    ck_assert_uint_eq(w.n_reports, 3);
    ck_assert_ptr_nonnull(hand_find(&w, HAND_STEP));
    hand_end(&w, hand_find(&w, HAND_STEP), KVT_OK, 1);
    ck_assert_uint_eq(w.n_reports, 4);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_HIT_GPU], 15);
    hand_end(&w, load, KVT_OK, 4); /* too late for anybody */
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

/* Without single flight each loads for itself; who gives up computes in pages of its own. */
START_TEST(pages_of_an_abandoned_load_are_the_loads_own)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    c.load_patience = 2;
    c.single_flight = false;
    c.tiers[KVT_GPU].capacity_blocks = 16;
    struct hand w;
    hand_open(&w, &c);
    in_host_only(&w);
    hand_request(&w, 600, 16, 0, B); /* and room for all that follows */
    hand_drain(&w);
    hand_request(&w, 100, 16, 0, B);
    hand_request(&w, 100, 16, 0, B);
    ck_assert_uint_eq(count_open(&w, HAND_LOAD), 2);
    fire_timers(&w);
    struct kvt_core_gauges g;
    kvt_core_gauges(w.core, 0, &g);
    ck_assert_uint_eq(g.pages_total - g.pages_free - g.pages_cached, 4 * 4);
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

/* While the disk is still being asked what it holds, nothing is loaded from it. */
START_TEST(no_fall_back_to_a_disk_that_is_being_probed)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_REDIS);
    with_tier(&c, KVT_DISK);
    c.tiers[KVT_DISK].probe = true;
    c.tiers[KVT_REDIS].capacity_blocks = 2;
    c.tiers[KVT_GPU].capacity_blocks = 8;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_drain(&w); /* blocks 0 and 1 in redis, all four on disk */
    down(&w, KVT_REDIS, 0);
    hand_request(&w, 500, 32, 0, B);
    hand_drain(&w);
    up(&w, KVT_REDIS, 0);
    hand_request(&w, 100, 16, 0, B);
    struct hand_op *load = hand_find(&w, HAND_LOAD), *probe = hand_find(&w, HAND_PROBE);
    ck_assert(load && load->tier == KVT_REDIS && load->n_blocks == 2);
    ck_assert(probe && probe->tier == KVT_DISK && probe->n_blocks == 2);
    hand_end(&w, load, KVT_CORRUPT, 0);
    ck_assert_uint_eq(count_open(&w, HAND_LOAD), 0);
    hand_end(&w, probe, KVT_OK, 2);
    ck_assert_uint_le(count_open(&w, HAND_LOAD), 1);
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

/* Redis fails at the first block, so what the disk is to bring cannot be used; the disk hangs.
 * Patience ends that wait too, and the pages of the disk's load stay its own. */
START_TEST(patience_ends_for_loads_behind_a_hole)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_REDIS);
    with_tier(&c, KVT_DISK);
    c.load_patience = 2;
    c.tiers[KVT_REDIS].capacity_blocks = 2;
    c.tiers[KVT_GPU].capacity_blocks = 8;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_drain(&w); /* blocks 0 and 1 in redis, all four on disk */
    down(&w, KVT_REDIS, 0);
    hand_request(&w, 500, 32, 0, B);
    hand_drain(&w);
    up(&w, KVT_REDIS, 0);
    hand_request(&w, 100, 16, 0, B);
    down(&w, KVT_DISK, 0);
    struct hand_op *redis = hand_find(&w, HAND_LOAD);
    ck_assert(redis && redis->tier == KVT_REDIS && count_open(&w, HAND_LOAD) == 2);
    hand_end(&w, redis, KVT_TIMEOUT, 0);
    ck_assert_ptr_null(hand_find(&w, HAND_STEP));
    fire_timers(&w);
    const struct hand_op *step = hand_find(&w, HAND_STEP);
    ck_assert(step && step->chunks[0].past_tokens == 0 && step->chunks[0].new_tokens == 16);
    struct kvt_core_gauges g;
    kvt_core_gauges(w.core, 0, &g);
    ck_assert_uint_eq(g.pages_total - g.pages_free - g.pages_cached, 4 + 2);
    hand_end(&w, hand_find(&w, HAND_LOAD), KVT_CORRUPT, 0);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_LATE], 16);
    hand_close(&w);
}
END_TEST

/* An exact match is loaded whole or not at all. */
START_TEST(exact_match_is_not_cut_by_cost)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    c.match = KVT_MATCH_EXACT;
    c.load_choice = KVT_LOAD_ADAPTIVE;
    c.tiers[KVT_HOST].load_ns_per_token = 1e9; /* never worth it */
    c.tiers[KVT_GPU].capacity_blocks = 4;
    struct hand w;
    hand_open(&w, &c);
    hand_request(&w, 100, 16, 0, B);
    hand_drain(&w);
    hand_request(&w, 500, 8, 0, B); /* takes the place of blocks 2 and 3 */
    hand_drain(&w);
    hand_request(&w, 100, 16, 0, B);
    ck_assert_ptr_null(hand_find(&w, HAND_LOAD));
    ck_assert_uint_eq(hand_find(&w, HAND_STEP)->chunks[0].past_tokens, 0);
    hand_drain(&w);
    ck_assert_uint_eq(hand_last(&w)->ledger_tokens[KVT_COMPUTED_CHEAPER], 16);
    hand_close(&w);
}
END_TEST

/* A time too long to write down is never, not now. */
START_TEST(endless_patience_is_never_over)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    c.load_patience = 1e30;
    c.tiers[KVT_GPU].capacity_blocks = 12;
    struct hand w;
    hand_open(&w, &c);
    in_host_only(&w);
    hand_request(&w, 100, 16, 0, B);
    ck_assert_ptr_nonnull(hand_find(&w, HAND_LOAD));
    for (uint32_t i = 0; i < w.n_timers; i++)
        ck_assert_uint_gt(w.timer_at[i], UINT64_MAX / 2);
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

/* A server that keeps the time itself must be told when a hit begins it anew. */
START_TEST(a_load_carries_the_life_that_a_hit_begins_anew)
{
    for (int refresh = 0; refresh < 2; refresh++) {
        struct kvt_core_config c = small();
        with_tier(&c, KVT_REDIS);
        c.tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
        c.tiers[KVT_REDIS].probe = true;
        c.tiers[KVT_REDIS].ttl_ns = 10 * KVT_SECOND;
        c.tiers[KVT_REDIS].ttl_refresh = refresh;
        c.tiers[KVT_GPU].capacity_blocks = 12;
        struct hand w;
        hand_open(&w, &c);
        in_host_only(&w); /* here: in redis */
        hand_request(&w, 100, 16, 0, B);
        const struct hand_op *probe = hand_find(&w, HAND_PROBE);
        ck_assert(probe && probe->ttl_ns == 0);
        hand_end(&w, hand_find(&w, HAND_PROBE), KVT_OK, 4);
        const struct hand_op *load = hand_find(&w, HAND_LOAD);
        ck_assert(load && load->ttl_ns == (refresh ? 10 * KVT_SECOND : 0));
        hand_drain(&w);
        hand_close(&w);
    }
}
END_TEST

/* Two requests load the same block, each into pages of its own. */
START_TEST(pages_are_those_that_the_operation_names)
{
    struct kvt_core_config c = small();
    with_tier(&c, KVT_HOST);
    c.page_tokens = B / 2;
    c.single_flight = false;
    c.tiers[KVT_GPU].capacity_blocks = 16;
    struct hand w;
    hand_open(&w, &c);
    in_host_only(&w);
    hand_request(&w, 600, 16, 0, B);
    hand_drain(&w);
    hand_request(&w, 100, 16, 0, B);
    hand_request(&w, 100, 16, 0, B);
    uint32_t seen[4], n = 0;
    for (uint32_t i = 0; i < w.n; i++) {
        if (!w.ops[i].open)
            continue;
        ck_assert(w.ops[i].kind == HAND_LOAD && n < 4);
        ck_assert_uint_eq(kvt_core_pages(w.core, (kvt_engine_id){0}, w.ops[i].first_page, seen + n,
                                         2),
                          2);
        ck_assert_uint_eq(seen[n], w.ops[i].first_page);
        n += 2;
    }
    ck_assert_uint_eq(n, 4);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < i; j++)
            ck_assert_uint_ne(seen[i], seen[j]);
    hand_drain(&w);
    hand_close(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core mishaps");
    TCase *cases = tcase_create("mishaps");
    tcase_add_test(cases, a_lost_engine_keeps_no_block_that_a_store_reads);
    tcase_add_test(cases, a_lost_engine_keeps_no_block_that_a_load_writes);
    tcase_add_test(cases, a_partial_block_does_not_cover_the_output);
    tcase_add_test(cases, a_lost_engine_hands_over_in_order);
    tcase_add_test(cases, a_refused_step_is_tried_again);
    tcase_add_test(cases, held_by_another_engine_is_not_cold);
    tcase_add_test(cases, everything_behind_a_hole_is_orphaned);
    tcase_add_test(cases, followers_do_not_wait_for_an_abandoned_load);
    tcase_add_test(cases, pages_of_an_abandoned_load_are_the_loads_own);
    tcase_add_test(cases, no_fall_back_to_a_disk_that_is_being_probed);
    tcase_add_test(cases, patience_ends_for_loads_behind_a_hole);
    tcase_add_test(cases, exact_match_is_not_cut_by_cost);
    tcase_add_test(cases, endless_patience_is_never_over);
    tcase_add_test(cases, a_load_carries_the_life_that_a_hit_begins_anew);
    tcase_add_test(cases, pages_are_those_that_the_operation_names);
    suite_add_tcase(suite, cases);
    return kvt_test_main(suite);
}
