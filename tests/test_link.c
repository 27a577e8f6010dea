/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_link.c - fair sharing by hand: each time and rate is one that paper gives. And what must not be: nonsense, and
 * no memory. test_link_random.c does the rest.
 */
#include "link_fixture.h"

#include <errno.h>
#include <math.h>

/* ---- What paper gives ---------------------------------------------------------------------------- */

START_TEST(a_flow_alone_takes_bytes_over_rate_rounded_up)
{
    static const struct {
        uint64_t bytes;
        double bps;
        kvt_ns ns;
    } cases[] = {{1, 1e9, 1},
                 {1, 1e10, 1},
                 {11, 1e10, 2},
                 {1000000000, 1e9, 1000000000},
                 {2097152, 12.5e9, 167773},
                 {1, 3, 333333334},
                 {UINT64_C(40000000000000), 25e9, UINT64_C(1600000000000)},
                 {7, 0.5, UINT64_C(14000000000)}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        set_up();
        uint32_t a = add(cases[i].bps), b = add(2 * cases[i].bps);
        start(5, cases[i].bytes, INFINITY, b, a, 0);
        run(KVT_NEVER);
        ck_assert_uint_eq(ended_ns[0], 5 + cases[i].ns);
        ck_assert_uint_eq(sim_links_stats(&links, events.now, a).bytes, cases[i].bytes);
        tear_down();
    }
}
END_TEST

/* A carries 10 B/s, B 4 B/s; flow 0 is on both, flow 1 on A, flow 2 on B.
 *
 *      0 s  B is full first: flows 0 and 2 get 2, flow 1 gets 8
 *      4 s  flow 2 (8 B) ends; flow 0 (12 B left) gets 4, flow 1 (48 B left) 6
 *      7 s  flow 0 ends; flow 1 (30 B left) gets 10
 *     10 s  flow 1 ends */
START_TEST(three_flows_by_hand)
{
    uint32_t a = add(10), b = add(4);
    sim_flow_id f0 = start(0, 20, INFINITY, a, b, 0), f1 = start(0, 80, INFINITY, a, KVT_NONE, 1);
    start(0, 8, INFINITY, b, KVT_NONE, 2);
    ck_assert_double_eq(sim_links_rate_bps(&links, f0), 2);
    ck_assert_double_eq(sim_links_rate_bps(&links, f1), 8);
    run(4 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[2], 4 * KVT_SECOND);
    ck_assert_double_eq(sim_links_rate_bps(&links, f0), 4);
    ck_assert_double_eq(sim_links_rate_bps(&links, f1), 6);
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[0], 7 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[1], 10 * KVT_SECOND);
    ck_assert_double_eq(sim_links_rate_bps(&links, f0), 0);
    struct sim_link_stats s = sim_links_stats(&links, 20 * KVT_SECOND, b);
    ck_assert_uint_eq(s.flows, 2);
    ck_assert_uint_eq(s.bytes, 28);
    ck_assert_double_eq_tol(s.busy_ns, 7e9, 1);
    ck_assert_double_eq_tol(sim_links_stats(&links, 20 * KVT_SECOND, a).busy_ns, 10e9, 1);
}
END_TEST

START_TEST(a_cap_leaves_the_rest_to_others)
{
    uint32_t a = add(10);
    start(0, 10, 2, a, KVT_NONE, 0);
    start(0, 40, INFINITY, a, KVT_NONE, 1);
    start(0, 2, 1, KVT_NONE, KVT_NONE, 2);
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[0], 5 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[1], 5 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[2], 2 * KVT_SECOND);
}
END_TEST

START_TEST(flows_without_work_or_bound_end_at_once_through_the_queue)
{
    uint32_t stalled = add(0), wide_open = add(INFINITY);
    start(7, 0, INFINITY, stalled, KVT_NONE, 0);
    start(7, 1000, INFINITY, wide_open, KVT_NONE, 1);
    start(7, 1000, INFINITY, KVT_NONE, KVT_NONE, 2);
    start(7, 1000, INFINITY, stalled, KVT_NONE, 3);
    ck_assert_uint_eq(n_ended, 0);
    run(KVT_NEVER);
    ck_assert_uint_eq(n_ended, 3);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(order[i], i);
        ck_assert_uint_eq(ended_ns[i], 7);
    }
    ck_assert_uint_eq(links.n_flows, 1);
}
END_TEST

START_TEST(a_stalled_flow_goes_on_when_its_link_is_back)
{
    uint32_t a = add(10), b = add(100);
    start(0, 100, INFINITY, a, b, 0);
    run(4 * KVT_SECOND);
    ck_assert_int_eq(sim_links_set_capacity(&links, 4 * KVT_SECOND, a, 0), 0);
    run(9 * KVT_SECOND);
    ck_assert_int_eq(sim_links_set_capacity(&links, 9 * KVT_SECOND, a, 20), 0);
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[0], 12 * KVT_SECOND);
    ck_assert_double_eq_tol(sim_links_stats(&links, 12 * KVT_SECOND, a).busy_ns, 7e9, 1);
    start(12 * KVT_SECOND, 1000, INFINITY, a, KVT_NONE, 1);
    run(13 * KVT_SECOND);
    ck_assert_int_eq(sim_links_set_capacity(&links, 13 * KVT_SECOND, a, INFINITY), 0);
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[1], 13 * KVT_SECOND);
}
END_TEST

START_TEST(a_cancelled_flow_leaves_its_share_and_its_bytes)
{
    uint32_t a = add(10);
    sim_flow_id f0 = start(0, 1000, INFINITY, a, KVT_NONE, 0);
    start(0, 30, INFINITY, a, KVT_NONE, 1);
    run(KVT_SECOND * 5 / 2);
    ck_assert(sim_links_cancel(&links, KVT_SECOND * 5 / 2, f0));
    ck_assert(!sim_links_cancel(&links, KVT_SECOND * 5 / 2, f0));
    ck_assert(!sim_links_cancel(&links, KVT_SECOND * 5 / 2, (sim_flow_id){0}));
    start(KVT_SECOND * 5 / 2, 0, INFINITY, a, KVT_NONE, 2); /* takes the same place */
    ck_assert(!sim_links_cancel(&links, KVT_SECOND * 5 / 2, f0));
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[0], KVT_NEVER);
    ck_assert_uint_eq(ended_ns[1], 4250000000); /* 12.5 B, then 17.5 B at full speed */
    struct sim_link_stats s = sim_links_stats(&links, events.now, a);
    ck_assert_uint_eq(s.bytes, 30);
    ck_assert_uint_eq(s.cancelled, 1);
    ck_assert_uint_eq(s.cancelled_bytes, 12);
}
END_TEST

static sim_flow_id victim;

static void cancels_victim(void *self, uint64_t arg, kvt_ns at)
{
    on_flow(self, arg, at);
    ck_assert(sim_links_cancel(&links, at, victim));
    ck_assert(!sim_links_cancel(&links, at, victim));
}

START_TEST(a_flow_that_ended_at_this_instant_can_still_be_cancelled)
{
    uint32_t a = add(12);
    struct sim_flow flow = {
        .bytes = 12, .cap_bps = INFINITY, .n_links = 1, .links = {a}, .fn = cancels_victim};
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), 0);
    victim = start(0, 12, INFINITY, a, KVT_NONE, 1);
    start(0, 12, INFINITY, a, KVT_NONE, 2);
    run(KVT_NEVER);
    ck_assert_uint_eq(n_ended, 2);
    ck_assert_uint_eq(ended_ns[0], 3 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[1], KVT_NEVER);
    ck_assert_uint_eq(order[1], 2);
    struct sim_link_stats s = sim_links_stats(&links, events.now, a);
    ck_assert_uint_eq(s.flows, 2);
    ck_assert_uint_eq(s.bytes, 24);
    ck_assert_uint_eq(s.cancelled, 1);
    ck_assert_uint_eq(s.cancelled_bytes, 12);
}
END_TEST

/* Links of 9, 8 and 10 units. Without the first one, 1 and 2 get half of the others, 4 and 5, which fits it exactly; but
 * its own share is 4, too, and first in turn. */
START_TEST(a_link_that_is_just_full_has_its_turn)
{
    const double unit_bps = 1.0 / 65536;
    uint32_t a = add(9 * unit_bps), b = add(8 * unit_bps), c = add(10 * unit_bps);
    sim_flow_id f3 = start(0, 1, INFINITY, b, KVT_NONE, 3),
                f4 = start(0, 1, INFINITY, c, KVT_NONE, 4);
    sim_flow_id f5 = start(0, 1, INFINITY, b, KVT_NONE, 5),
                f6 = start(0, 1, INFINITY, c, KVT_NONE, 6);
    run(1);
    ck_assert_double_eq(sim_links_rate_bps(&links, f3), 4 * unit_bps);
    ck_assert_double_eq(sim_links_rate_bps(&links, f4), 5 * unit_bps);
    ck_assert(sim_links_cancel(&links, 1, f5));
    ck_assert(sim_links_cancel(&links, 1, f6));
    sim_flow_id f1 = start(1, 1, INFINITY, b, a, 1), f2 = start(1, 1, INFINITY, c, a, 2);
    ck_assert_double_eq(sim_links_rate_bps(&links, f1), 4 * unit_bps);
    ck_assert_double_eq(sim_links_rate_bps(&links, f2), 4 * unit_bps);
    ck_assert_double_eq(sim_links_rate_bps(&links, f3), 4 * unit_bps);
    ck_assert_double_eq(sim_links_rate_bps(&links, f4), 6 * unit_bps);
}
END_TEST

/* The sum of their bounds is 2^65 units. */
START_TEST(the_widest_link_is_shared_like_any_other)
{
    uint32_t a = add(SIM_LINK_MOST_BPS);
    sim_flow_id id[8];
    for (uint64_t i = 0; i < 8; i++)
        id[i] = start(0, UINT64_C(1) << 43, INFINITY, a, KVT_NONE, i);
    for (uint64_t i = 0; i < 8; i++)
        ck_assert_double_eq(sim_links_rate_bps(&links, id[i]), SIM_LINK_MOST_BPS / 8);
    run(KVT_NEVER);
    for (uint64_t i = 0; i < 8; i++)
        ck_assert_uint_eq(ended_ns[i], KVT_SECOND);
    ck_assert_double_eq(sim_links_stats(&links, events.now, a).busy_ns, 1e9);
}
END_TEST

START_TEST(short_flows_beside_a_long_one_leave_no_events_behind)
{
    uint32_t a = add(1e9), b = add(1e9);
    start(0, UINT64_C(1) << 45, INFINITY, a, KVT_NONE, 0);
    for (uint64_t i = 0; i < 100000; i++) {
        start(events.now, 100 + i % 7, INFINITY, b, i % 3 ? a : KVT_NONE, 1);
        n_ended = 0;
        sim_evq_run(&events, events.now + 300);
        ck_assert_uint_le(events.count, 4);
    }
}
END_TEST

/* ---- What must not be ---------------------------------------------------------------------------- */

START_TEST(nonsense_is_refused)
{
    uint32_t a = add(10), b;
    ck_assert_int_eq(sim_links_add(&links, -1, &b), -EINVAL);
    ck_assert_int_eq(sim_links_add(&links, NAN, &b), -EINVAL);
    ck_assert_int_eq(sim_links_add(&links, 1e15, &b), -EINVAL);
    ck_assert_int_eq(sim_links_set_capacity(&links, 0, a, -1), -EINVAL);
    ck_assert_int_eq(sim_links_set_capacity(&links, 0, 1, 1), -EINVAL);
    struct sim_flow flow = {.bytes = 1, .cap_bps = 1, .n_links = 2, .links = {a, a}, .fn = on_flow};
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), -EINVAL);
    flow.links[1] = 1;
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), -EINVAL);
    flow.n_links = 9; /* wide, and yet it names none */
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), -EINVAL);
    flow.n_links = 1;
    flow.cap_bps = 0;
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), -EINVAL);
    ck_assert_uint_eq(links.n_flows, 0);
    ck_assert_uint_eq(events.count, 0);
}
END_TEST

/* n more requests are met, and then none. */
static void grant(uint64_t n)
{
    memory.fail_at = memory.gets + n + 1;
    memory.for_good = true;
}

/* Memory runs out at every point in turn. A start that fails leaves nothing, and works once there is memory. */
START_TEST(without_memory_nothing_is_started)
{
    bool failed = true;
    for (uint64_t n = 0; failed; n++) {
        set_up();
        failed = false;
        grant(n);
        for (uint32_t k = 0; k < 20; k++) {
            uint32_t link;
            while (sim_links_add(&links, 1e9, &link) == -ENOMEM) {
                failed = true;
                memory.fail_at = 0;
            }
        }
        for (uint32_t i = 0; i < 150; i++) {
            struct sim_flow flow = {.bytes = 1000,
                                    .cap_bps = INFINITY,
                                    .n_links = 2,
                                    .links = {i % 20, (i * 7 + 1) % 20},
                                    .fn = on_flow,
                                    .arg = i};
            const uint32_t twelve[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
            if (flow.links[0] == flow.links[1])
                flow.n_links = 1;
            if (i % 10 == 0) {
                flow.n_links = 12;
                flow.wide = twelve;
            }
            uint32_t before = links.n_flows;
            while (sim_links_start(&links, i, &flow, NULL) == -ENOMEM) {
                ck_assert_uint_eq(links.n_flows, before);
                ck_assert(sim_links_check(&links));
                failed = true;
                memory.fail_at = 0;
            }
        }
        run(KVT_NEVER);
        ck_assert_uint_eq(n_ended, 150);
        ck_assert_int_eq(links.error, 0);
        tear_down();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link");
    TCase *fresh = tcase_create("fresh links"), *own = tcase_create("links of its own");
    tcase_add_checked_fixture(fresh, set_up, tear_down);
    tcase_add_test(fresh, three_flows_by_hand);
    tcase_add_test(fresh, a_cap_leaves_the_rest_to_others);
    tcase_add_test(fresh, flows_without_work_or_bound_end_at_once_through_the_queue);
    tcase_add_test(fresh, a_stalled_flow_goes_on_when_its_link_is_back);
    tcase_add_test(fresh, a_cancelled_flow_leaves_its_share_and_its_bytes);
    tcase_add_test(fresh, a_flow_that_ended_at_this_instant_can_still_be_cancelled);
    tcase_add_test(fresh, nonsense_is_refused);
    tcase_add_test(fresh, a_link_that_is_just_full_has_its_turn);
    tcase_add_test(fresh, the_widest_link_is_shared_like_any_other);
    tcase_add_test(fresh, short_flows_beside_a_long_one_leave_no_events_behind);
    tcase_add_test(own, a_flow_alone_takes_bytes_over_rate_rounded_up);
    tcase_add_test(own, without_memory_nothing_is_started);
    suite_add_tcase(suite, fresh);
    suite_add_tcase(suite, own);
    return kvt_test_main(suite);
}
