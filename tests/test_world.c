/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_world.c - the simulated world behind its port, one promise at a time, without a core.
 *
 *      steps          interrupts end a step at the end of an iteration, and never twice
 *      redis          what a node lost is reported missing; a node that is full refuses; deadlines; TTL
 *      failure        tiers and engines that go down; memory that runs out
 *
 * How long things take is in test_world_times.c, what random traffic adds up to in test_world_random.c.
 */
#include "failing_alloc.h"
#include "sim_fixture.h"

#include <errno.h>

/* ---- Steps --------------------------------------------------------------------------------------- */

static const struct kvt_step decode_step = {
    .op = {5}, .repeat = 1000, .n_decode = 8, .decode_tokens = 80000, .window_tokens = 80000};

static kvt_ns decode_ns(uint32_t iterations)
{
    struct sim_gpu gpu = fixture_gpu();
    sim_gpu_prepare(&gpu);
    return sim_gpu_step_ns(&gpu, &decode_step, iterations);
}

START_TEST(step_runs_all_iterations)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    fixture_advance(123);
    ck_assert_int_eq(fixture_step(&decode_step), 0);
    ck_assert_int_ne(fixture_step(&decode_step), 0); /* one at a time */
    fixture_drain();
    const struct seen *s = fixture_find(5);
    ck_assert_uint_eq(s->at, 123 + decode_ns(1000));
    ck_assert_uint_eq(s->done.iterations, 1000);
    ck_assert_uint_eq(s->done.status, KVT_OK);
    ck_assert_uint_eq(s->done.span_ns[KVT_SPAN_COMPUTE], decode_ns(1000));
    struct kvt_chunk chunk = {.past_tokens = 10, .new_tokens = 1000};
    struct kvt_step prefill = {.op = {6}, .repeat = 1, .n_chunks = 1, .chunks = &chunk};
    kvt_ns begin = fixture.now;
    ck_assert_int_eq(fixture_step(&prefill), 0);
    chunk.new_tokens = 1; /* borrowed until return only */
    fixture_interrupt(0);
    fixture_drain();
    struct sim_gpu gpu = fixture_gpu();
    sim_gpu_prepare(&gpu);
    ck_assert_uint_eq(fixture_find(6)->at - begin, sim_gpu_chunk_ns(&gpu, 10, 1000));
    ck_assert_double_gt(fixture_part("engine0/gpu").busy_ratio, 0.99);
    fixture_end();
}
END_TEST

START_TEST(interrupt_ends_the_iteration_under_way)
{
    dice_seed(77);
    for (int i = 0; i < 300; i++) {
        struct sim_config c = fixture_config();
        fixture_begin(&c);
        ck_assert_int_eq(fixture_step(&decode_step), 0);
        uint32_t j = 1 + (uint32_t)dice_below(1000);
        /* At the very end of iteration j, within it, one nanosecond after its begin, and at once. */
        kvt_ns first = j == 1 ? 0 : decode_ns(j - 1), last = decode_ns(j);
        kvt_ns at = i % 3 == 0   ? last
                    : i % 3 == 1 ? first + 1
                                 : first + 1 + dice_below(last - first);
        fixture_advance(at < last ? at : last);
        if (fixture.n == 1) { /* iteration 1000 was over */
            ck_assert_uint_eq(j, 1000);
            fixture_interrupt(0);
        } else {
            fixture_interrupt(0);
            fixture_interrupt(0); /* twice is once */
            ck_assert_uint_eq(fixture.n, 0);
        }
        fixture_drain();
        ck_assert_uint_eq(fixture_find(5)->done.iterations, j);
        ck_assert_uint_eq(fixture_find(5)->at, last);
        ck_assert_uint_eq(fixture.n, 1);
        struct sim_world_stats stats;
        sim_world_stats(fixture.world, &stats);
        ck_assert_uint_eq(stats.interrupts, j < 1000); /* those that cut something short */
        fixture_end();
    }
}
END_TEST

START_TEST(a_later_interrupt_does_not_lengthen)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    fixture_interrupt(0); /* nothing under way */
    ck_assert_int_eq(fixture_step(&decode_step), 0);
    fixture_advance(decode_ns(10) - 5);
    fixture_interrupt(0);
    fixture_advance(decode_ns(10) - 1);
    fixture_interrupt(0);
    fixture_advance(decode_ns(10));
    ck_assert_uint_eq(fixture_find(5)->done.iterations, 10);
    /* The event of the step's planned end is still in the queue when the next step runs. */
    kvt_ns begin = fixture.now;
    struct kvt_step next = decode_step;
    next.op.v = 6;
    ck_assert_int_eq(fixture_step(&next), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(6)->done.iterations, 1000);
    ck_assert_uint_eq(fixture_find(6)->at, begin + decode_ns(1000));
    fixture_end();
}
END_TEST

START_TEST(timers_come_in_order)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    struct kvt_port port = sim_world_port(fixture.world);
    fixture_advance(50);
    port.ops->arm(port.self, 1, 200);
    port.ops->arm(port.self, 2, 100);
    port.ops->arm(port.self, 3, 200);
    port.ops->arm(port.self, 4, 7); /* in the past: now */
    port.ops->arm(port.self, 5, KVT_NEVER);
    ck_assert_uint_eq(fixture.n, 0);
    fixture_drain();
    static const uint64_t order[] = {4, 2, 1, 3};
    ck_assert_uint_eq(fixture.n, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(fixture.seen[i].number, order[i]);
    ck_assert_uint_eq(fixture.seen[0].at, 50);
    fixture_end();
}
END_TEST

/* ---- Redis --------------------------------------------------------------------------------------- */

START_TEST(evicted_blocks_are_missing)
{
    struct sim_config c = fixture_config();
    c.redis.memory_b = 50 * (6400 + 90);
    fixture_begin(&c);
    uint32_t op = 0;
    for (uint32_t i = 0; i < 30; i++) { /* 30 prompts of 10 blocks: 5 fit */
        ck_assert_int_eq(fixture_issue(STORE, op++, 0, KVT_REDIS, i * 10, 10, 100, KVT_NEVER), 0);
        fixture_advance(fixture.now + 10 * KVT_SECOND);
    }
    struct sim_redis_stats s;
    sim_world_redis(fixture.world, 0, &s);
    ck_assert_uint_eq(s.keys, 50);
    ck_assert_uint_eq(s.gone[SIM_REDIS_EVICTED], 250);
    ck_assert_uint_le(s.memory_b, c.redis.memory_b);
    uint32_t there = 0;
    for (uint32_t i = 0; i < 30; i++) {
        ck_assert_int_eq(fixture_issue(PROBE, op, 0, KVT_REDIS, i * 10, 10, 100, 0), 0);
        ck_assert_int_eq(fixture_issue(LOAD, op + 1, 0, KVT_REDIS, i * 10, 10, 100, 0), 0);
        fixture_drain();
        const struct kvt_done *probe = &fixture_find(op)->done, *load = &fixture_find(op + 1)->done;
        ck_assert_uint_eq(probe->blocks_ok, load->blocks_ok);
        ck_assert_uint_eq(probe->status, load->status);
        ck_assert((load->status == KVT_OK) == (load->blocks_ok == 10));
        ck_assert_uint_eq(load->bytes, load->blocks_ok * 6400);
        there += load->blocks_ok;
        op += 2;
    }
    ck_assert_uint_gt(there, 10);
    ck_assert_uint_lt(there, 51);
    fixture_end();
}
END_TEST

START_TEST(a_hole_ends_what_is_good)
{
    struct sim_config c = fixture_config();
    c.redis.nodes = 3;
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 10, 100, KVT_NEVER), 0);
    fixture_drain();
    ck_assert_int_eq(fixture_issue(DROP, 2, 0, KVT_REDIS, 4, 1, 100, 0), 0);
    ck_assert_int_eq(fixture_issue(PROBE, 3, 0, KVT_REDIS, 0, 10, 100, 0), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 4, 0, KVT_REDIS, 0, 10, 100, 0), 0);
    fixture_drain();
    for (uint32_t op = 3; op <= 4; op++) {
        ck_assert_uint_eq(fixture_find(op)->done.status, KVT_MISSING);
        ck_assert_uint_eq(fixture_find(op)->done.blocks_ok, 4);
    }
    ck_assert_uint_eq(fixture_find(4)->done.bytes, 4 * 6400);
    ck_assert_uint_eq(fixture_part("engine0/nic_rx").bytes, 4 * 6400);
    struct sim_redis_stats s = {0};
    uint64_t gets = 0;
    for (uint32_t node = 0; node < 3; node++) {
        sim_world_redis(fixture.world, node, &s);
        gets += s.gets;
    }
    ck_assert_uint_eq(gets, 5); /* the fifth found nothing */
    fixture_end();
}
END_TEST

START_TEST(a_full_node_refuses)
{
    struct sim_config c = fixture_config();
    c.redis.memory_b = 5 * (6400 + 90);
    c.redis.evicts = false;
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 8, 100, KVT_NEVER), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(1)->done.status, KVT_BUSY);
    ck_assert_uint_eq(fixture_find(1)->done.blocks_ok, 5);
    ck_assert_int_eq(fixture_issue(DROP, 2, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_drain();
    ck_assert_int_eq(fixture_issue(STORE, 3, 0, KVT_REDIS, 8, 3, 100, KVT_NEVER), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(3)->done.status, KVT_OK);
    fixture_end();
}
END_TEST

START_TEST(copies_expire)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 3, 100, 5 * KVT_SECOND), 0);
    fixture_advance(4 * KVT_SECOND);
    ck_assert_int_eq(fixture_issue(PROBE, 2, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_advance(6 * KVT_SECOND);
    ck_assert_int_eq(fixture_issue(PROBE, 3, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(2)->done.blocks_ok, 3);
    ck_assert_uint_eq(fixture_find(3)->done.blocks_ok, 0);
    fixture_end();
}
END_TEST

START_TEST(what_is_on_its_way_is_not_there)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 3, 100000, KVT_NEVER), 0);
    ck_assert_int_eq(fixture_issue(PROBE, 2, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(2)->done.blocks_ok, 0);
    ck_assert_int_eq(fixture_issue(PROBE, 3, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(3)->done.blocks_ok, 3);
    fixture_end();
}
END_TEST

START_TEST(deadlines_are_kept)
{
    struct sim_config c = fixture_config();
    c.redis.timeout_ns = 1000000;
    fixture_begin(&c);
    /* Wire alone takes 1,024,000. */
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 4, 1000, KVT_NEVER), 0);
    fixture_drain();
    const struct seen *s = fixture_find(1);
    ck_assert_uint_eq(s->done.status, KVT_TIMEOUT);
    ck_assert_uint_eq(s->done.blocks_ok, 0);
    ck_assert_uint_eq(s->at, 1000000);
    ck_assert_uint_eq(fixture_span_sum(&s->done), 1000000);
    ck_assert_int_eq(fixture_issue(PROBE, 2, 0, KVT_REDIS, 0, 4, 1000, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(2)->done.blocks_ok, 0);
    /* Nor does a flow of the dead operation slow the next one down. */
    kvt_ns begin = fixture.now;
    ck_assert_int_eq(fixture_issue(STORE, 3, 0, KVT_REDIS, 0, 1, 1000, KVT_NEVER), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(3)->done.status, KVT_OK);
    ck_assert_uint_eq(fixture_find(3)->at - begin, 128000 + 700 + 128000 + 256000 + 10001 + 3000);
    /* The commands of many probes pile up beyond the deadline. */
    for (uint32_t i = 0; i < 20; i++)
        ck_assert_int_eq(fixture_issue(PROBE, 10 + i, 0, KVT_REDIS, 0, 20, 1000, 0), 0);
    begin = fixture.now;
    fixture_drain();
    for (uint32_t i = 0; i < 20; i++) {
        bool late = 10001 + (i + 1) * 20 * 3000 > 1000000;
        s = fixture_find(10 + i);
        ck_assert_uint_eq(s->done.status, late ? KVT_TIMEOUT : KVT_MISSING);
        ck_assert_uint_eq(s->at - begin, late ? 1000000 : 10001 + (i + 1) * 20 * 3000);
    }
    fixture_end();
}
END_TEST

/* ---- Down ---------------------------------------------------------------------------------------- */

START_TEST(down_ends_what_is_under_way)
{
    struct sim_config c = fixture_config();
    c.engines = 2;
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 4, 1000, KVT_NEVER), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 2, 1, KVT_REDIS, 0, 4, 1000, 0), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 3, 1, KVT_HOST, 0, 4, 1000, 0), 0);
    ck_assert_int_eq(fixture_step(&decode_step), 0);
    fixture_advance(10);
    sim_world_set_down(fixture.world, KVT_REDIS, (kvt_engine_id){0}, true);
    ck_assert_uint_eq(fixture.n, 0);
    fixture_advance(10);
    ck_assert_uint_eq(fixture.n, 2);
    ck_assert_uint_eq(fixture_find(1)->done.status, KVT_DOWN);
    ck_assert_uint_eq(fixture_find(2)->done.status, KVT_DOWN);
    ck_assert_int_eq(fixture_issue(PROBE, 7, 0, KVT_REDIS, 0, 4, 1000, 0), 0);
    sim_world_set_down(fixture.world, KVT_GPU, (kvt_engine_id){0}, true);
    ck_assert_int_eq(fixture_issue(LOAD, 10, 0, KVT_HOST, 0, 4, 1000, 0), 0);
    fixture_advance(20);
    ck_assert_uint_eq(fixture_find(7)->done.status, KVT_DOWN);
    ck_assert_uint_eq(fixture_find(10)->done.status, KVT_DOWN);
    ck_assert_uint_eq(fixture_find(5)->done.status, KVT_DOWN);
    ck_assert_uint_eq(fixture_find(5)->at, 10);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(3)->done.status, KVT_OK);
    sim_world_set_down(fixture.world, KVT_REDIS, (kvt_engine_id){0}, false);
    sim_world_set_down(fixture.world, KVT_GPU, (kvt_engine_id){0}, false);
    ck_assert_int_eq(fixture_issue(STORE, 8, 0, KVT_REDIS, 0, 4, 1000, KVT_NEVER), 0);
    struct kvt_step next = decode_step;
    next.op.v = 9;
    ck_assert_int_eq(fixture_step(&next), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(8)->done.status, KVT_OK);
    ck_assert_uint_eq(fixture_find(9)->done.iterations, 1000);
    struct sim_world_stats s;
    sim_world_stats(fixture.world, &s);
    ck_assert_uint_eq(s.under_way, 0);
    ck_assert_uint_eq(s.ended[KVT_DOWN], 5);
    fixture_end();
}
END_TEST

/* ---- What it refuses ----------------------------------------------------------------------------- */

START_TEST(nonsense_is_refused)
{
    char why[200];
    for (int i = 0; i < 12; i++) {
        struct sim_config c = fixture_config();
        switch (i) {
        case 0:
            c.engines = 0;
            break;
        case 1:
            c.kv_b_per_token = 0;
            break;
        case 2:
            c.host.h2d_bps = NAN;
            break;
        case 3:
            c.host.d2h_bps = INFINITY;
            break;
        case 4:
            c.host.copy_thread_bps = -1;
            break;
        case 5:
            c.redis.samples = 65;
            break;
        case 6:
            c.redis.process_bps = 0;
            break;
        case 7:
            c.network.connections = 0;
            break;
        case 8:
            c.disk.read_bps = 0;
            break;
        case 9:
            c.codec[KVT_REDIS].present = true;
            break;
        case 10:
            c.gpu.peak_flops = 0;
            break;
        default:
            c.redis.timeout_ns = 0;
            break;
        }
        why[0] = 0;
        ck_assert_ptr_null(sim_world_new(&c, NULL, why, sizeof(why)));
        ck_assert_msg(why[0] != 0, "case %d", i);
    }
    struct sim_config c = fixture_config();
    c.redis = (struct sim_redis){0};
    c.disk = (struct sim_disk){0};
    fixture_begin(&c);
    ck_assert_int_lt(fixture_issue(LOAD, 1, 0, KVT_REDIS, 0, 1, 1, 0), 0);
    ck_assert_int_lt(fixture_issue(LOAD, 1, 0, KVT_DISK, 0, 1, 1, 0), 0);
    ck_assert_int_lt(fixture_issue(LOAD, 1, 0, KVT_GPU, 0, 1, 1, 0), 0);
    ck_assert_int_lt(fixture_issue(LOAD, 1, 7, KVT_HOST, 0, 1, 1, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture.n, 0);
    fixture_end();
}
END_TEST

START_TEST(out_of_memory_at_every_point)
{
    struct failing_alloc f;
    bool whole = false;
    for (uint64_t refuse = 1; !whole; refuse++) {
        ck_assert_uint_lt(refuse, 500);
        const struct kvt_alloc *alloc = failing_alloc_init(&f, refuse);
        f.for_good = true;
        memset(&fixture, 0, sizeof(fixture));
        struct sim_config c = fixture_config();
        c.redis.nodes = 3;
        char why[100];
        fixture.world = sim_world_new_in(&c, NULL, alloc, why, sizeof(why));
        if (!fixture.world) {
            ck_assert(failing_alloc_clean(&f));
            continue;
        }
        sim_world_deliver(fixture.world,
                          &(struct sim_deliver){.done = fixture_done, .timer = fixture_timer});
        uint32_t accepted = 0;
        int broken = 0;
        for (uint32_t i = 0; i < 400 && !broken; i++) {
            int r = fixture_issue(i % 2 ? LOAD : STORE, i, 0, i % 3 ? KVT_REDIS : KVT_DISK, i * 7,
                                  1 + i % 40, 10, KVT_NEVER);
            ck_assert(r == 0 || r == -ENOMEM);
            accepted += r == 0;
            if (i % 10 == 9)
                broken = sim_world_ops()->advance(fixture.world, NULL, fixture.now + 100000);
        }
        if (!broken)
            broken = sim_world_ops()->advance(fixture.world, NULL, KVT_NEVER);
        ck_assert(broken == 0 || broken == -ENOMEM);
        if (!broken) /* whatever was accepted has ended */
            ck_assert_uint_eq(fixture.n, accepted);
        whole = accepted == 400 && f.gets < refuse;
        fixture_end();
        ck_assert(failing_alloc_clean(&f));
    }
}
END_TEST

START_TEST(frontend_counts_tokens)
{
    struct sim_config c = fixture_config();
    c.frontend_ns = 1000;
    c.hash_ns_per_token = 2.5;
    fixture_begin(&c);
    ck_assert_uint_eq(sim_world_frontend_ns(fixture.world, 0), 1000);
    ck_assert_uint_eq(sim_world_frontend_ns(fixture.world, 1001), 1000 + 2503);
    fixture_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("world");
    TCase *c = tcase_create("world");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, step_runs_all_iterations);
    tcase_add_test(c, interrupt_ends_the_iteration_under_way);
    tcase_add_test(c, a_later_interrupt_does_not_lengthen);
    tcase_add_test(c, timers_come_in_order);
    tcase_add_test(c, evicted_blocks_are_missing);
    tcase_add_test(c, a_hole_ends_what_is_good);
    tcase_add_test(c, a_full_node_refuses);
    tcase_add_test(c, copies_expire);
    tcase_add_test(c, what_is_on_its_way_is_not_there);
    tcase_add_test(c, deadlines_are_kept);
    tcase_add_test(c, down_ends_what_is_under_way);
    tcase_add_test(c, nonsense_is_refused);
    tcase_add_test(c, out_of_memory_at_every_point);
    tcase_add_test(c, frontend_counts_tokens);
    suite_add_tcase(suite, c);
    return kvt_test_main(suite);
}
