/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_step_links.c - steps and gathers on the same ports: by hand, in random company, and what their links
 * say they carried.
 */
#include "sim_fixture.h"

enum { STEP = 5, CHUNK = 1000 };

/* GPUs in one node, a nanosecond per byte, and a model whose all-reduces take 4 us per token. */
static struct sim_config config_of(uint32_t gpus)
{
    struct sim_config c = fixture_config();
    c.gpu.gpus = gpus;
    c.gpu.collectives = 8;
    c.gpu.collective_latency_ns = 1000;
    c.gpu.collective_b_per_token = 500.0 * gpus / (2 * (gpus - 1));
    c.gpu.bus_bps = NS_PER_BYTE(1);
    c.fabric = (struct sim_fabric){.gpus = gpus,
                                   .gpus_per_node = gpus,
                                   .port_bps = NS_PER_BYTE(1),
                                   .pcie_bps = NS_PER_BYTE(1),
                                   .parts = 1,
                                   .part_b = 1};
    return c;
}

static const struct kvt_chunk chunk = {.past_tokens = 10, .new_tokens = CHUNK};
static const struct kvt_step prefill = {.op = {STEP}, .repeat = 1, .n_chunks = 1, .chunks = &chunk};

/* Everybody reads so many bytes from the first GPU. */
static void gather(uint32_t op, uint64_t bytes, uint32_t gpus)
{
    const struct kvt_port port = sim_world_port(fixture.world);
    const struct kvt_block_ref block = {.tokens = 1, .page = KVT_NONE};
    uint64_t parts[KVT_SHARD_GPUS] = {bytes / (gpus - 1)};
    const struct kvt_transfer t = {.op = {op},
                                   .tier = KVT_GPU,
                                   .n_blocks = 1,
                                   .blocks = &block,
                                   .tokens = 1,
                                   .gpu_parts = parts};
    ck_assert_int_eq(port.ops->load(port.self, &t), 0);
}

static struct sim_part_stats part_named(const char *name)
{
    struct sim_part_stats stats;
    for (uint32_t i = 0; i < sim_world_parts(fixture.world); i++) {
        sim_world_part(fixture.world, i, &stats);
        if (strcmp(stats.name, name) == 0)
            return stats;
    }
    ck_abort_msg("there is no %s", name);
}

static kvt_ns alone_ns(const struct sim_config *c, const struct kvt_step *step, uint32_t iterations)
{
    struct sim_gpu gpu = c->gpu;
    sim_gpu_prepare(&gpu);
    return sim_gpu_step_ns(&gpu, step, iterations);
}

/* 4,000,000 bytes over each port take 4 ms of the step. Beside a gather that outlasts it each exchange has half
 * of the first GPU's port: the step takes 4 ms longer, and the gather as long as both have bytes. */
START_TEST(test_by_hand)
{
    const struct sim_config c = config_of(2);
    const kvt_ns alone = alone_ns(&c, &prefill, 1);
    for (int first = 0; first < 2; first++) { /* who begins */
        fixture_begin(&c);
        if (first)
            gather(1, 200000000, 2);
        ck_assert_int_eq(fixture_step(&prefill), 0);
        if (!first)
            gather(1, 200000000, 2);
        fixture_drain();
        const kvt_ns took = fixture_find(STEP)->at;
        ck_assert_uint_ge(took, alone + 4000000);
        ck_assert_uint_le(took, alone + 4000000 + 8);
        const kvt_ns gathered = fixture_find(1)->at;
        ck_assert_uint_ge(gathered, 204000000);
        ck_assert_uint_le(gathered, 204000000 + 8);
        ck_assert_double_eq_tol(part_named("engine0/gpu0/out").carried_b, 204000000, 10);
        ck_assert_double_eq_tol(part_named("engine0/gpu0/in").carried_b, 4000000, 10);
        ck_assert_double_eq_tol(part_named("engine0/gpu1/out").carried_b, 4000000, 10);
        fixture_end();
    }
}
END_TEST

/* With one byte of company at a time: a step in legs takes what it takes quietly. */
START_TEST(test_legs_beside_nobody_are_the_closed_form)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        dice_seed(seed);
        const uint32_t gpus = 2 + (uint32_t)dice_below(6);
        struct sim_config c = config_of(gpus);
        c.gpu.collective_b_per_token *= (double)dice_below(200) / 100;
        const struct kvt_step decode = {.op = {STEP},
                                        .repeat = 1 + (uint32_t)dice_below(40),
                                        .n_decode = 1 + (uint32_t)dice_below(200),
                                        .decode_tokens = 100000};
        const struct kvt_step *step = dice_one_in(2) ? &prefill : &decode;
        const kvt_ns alone = alone_ns(&c, step, step->repeat);
        fixture_begin(&c);
        ck_assert_int_eq(fixture_step(step), 0);
        const uint32_t n = 1 + (uint32_t)dice_below(20);
        for (uint32_t i = 0; i < n; i++) {
            fixture_advance(fixture.now + dice_below(alone / n) + 1);
            gather(100 + i, gpus - 1, gpus);
        }
        fixture_drain();
        const kvt_ns took = fixture_find(STEP)->at;
        MUST(took >= alone && took <= alone + 4 * n);
        fixture_end();
    }
}
END_TEST

/* Gathers and interrupts at random: never faster than alone, never slower than with all gathers in its way, and
 * each port has carried every byte of both, however often the step changed between quiet and legs. */
START_TEST(test_random_company)
{
    for (uint64_t seed = 0; seed < 150; seed++) {
        dice_seed(seed);
        const uint32_t gpus = 2 + (uint32_t)dice_below(6);
        struct sim_config c = config_of(gpus);
        const struct kvt_step decode = {.op = {STEP},
                                        .repeat = 30,
                                        .n_decode = 1 + (uint32_t)dice_below(200),
                                        .decode_tokens = 100000};
        uint64_t gathered_b = 0;
        fixture_begin(&c);
        if (dice_one_in(2)) {
            gather(99, 9000000 / (gpus - 1) * (gpus - 1), gpus);
            gathered_b = 9000000 / (gpus - 1) * (gpus - 1);
        }
        ck_assert_int_eq(fixture_step(&decode), 0);
        for (uint32_t i = 0; i < 6; i++) {
            fixture_advance(fixture.now + dice_below(60000000));
            const uint64_t b = dice_below(20000000) / (gpus - 1) * (gpus - 1);
            gather(100 + i, b, gpus);
            gathered_b += b;
            if (dice_one_in(6))
                fixture_interrupt(0);
        }
        fixture_drain();
        const struct seen *s = fixture_find(STEP);
        const kvt_ns alone = alone_ns(&c, &decode, s->done.iterations);
        MUST(s->done.status == KVT_OK && s->done.iterations >= 1 && s->done.iterations <= 30);
        MUST(s->at >= alone && s->at <= alone + gathered_b + 30 * 60);
        const double step_b = 4000.0 * decode.n_decode * s->done.iterations;
        MUST(fabs(part_named("engine0/gpu0/out").carried_b - step_b - (double)gathered_b) <
             100 + 1e-9 * step_b);
        MUST(fabs(part_named("engine0/gpu1/out").carried_b - step_b) < 100 + 1e-9 * step_b);
        MUST(fabs(part_named("engine0/gpu0/in").carried_b - step_b) < 100 + 1e-9 * step_b);
        fixture_end();
    }
}
END_TEST

/* A step that is alone carries as it goes, not at its end; and what goes down stops. */
START_TEST(test_what_it_carried_so_far)
{
    const struct sim_config c = config_of(4);
    const kvt_ns alone = alone_ns(&c, &prefill, 1);
    fixture_begin(&c);
    ck_assert_int_eq(fixture_step(&prefill), 0);
    fixture_advance(alone / 2);
    ck_assert_double_eq_tol(part_named("engine0/gpu3/out").carried_b, 2000000, 100);
    gather(1, 300000000, 4);
    fixture_advance(alone / 2 + 3000000);
    sim_world_set_down(fixture.world, KVT_GPU, (kvt_engine_id){0}, true);
    fixture_drain();
    ck_assert_int_eq(fixture_find(STEP)->done.status, KVT_DOWN);
    ck_assert_uint_eq(fixture_find(STEP)->done.iterations, 0);
    ck_assert_uint_eq(fixture_find(STEP)->at, alone / 2 + 3000000);
    ck_assert_double_le(part_named("engine0/gpu3/out").carried_b, 4000000);
    sim_world_set_down(fixture.world, KVT_GPU, (kvt_engine_id){0}, false);
    const kvt_ns begin = fixture.now;
    const struct kvt_step again = {.op = {6}, .repeat = 1, .n_chunks = 1, .chunks = &chunk};
    ck_assert_int_eq(fixture_step(&again), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(6)->at, begin + alone);
    fixture_end();
}
END_TEST

/* Two nodes: what the all-reduce and the exchanges in place take over ports and NICs, counted one by one. */
START_TEST(test_bytes_of_an_iteration)
{
    struct sim_config c = config_of(4);
    c.fabric.gpus_per_node = 2;
    c.fabric.nic_bps = NS_PER_BYTE(2);
    c.gpu.bus_bps = NS_PER_BYTE(2);
    c.gpu.exchanges = 8;
    c.gpu.exchange_b_per_token = 1200;
    c.gpu.exchange_ns_per_token = 1200 * sim_fabric_exchange_ns_per_b(&c.fabric);
    sim_gpu_prepare(&c.gpu);
    const struct sim_fabric_traffic t = sim_fabric_traffic_of(&c.fabric, &c.gpu, &prefill);
    /* 8 all-reduces of 4000 bytes over each port in all; exchanges: 3 of 4 parts leave a GPU, and of a
     * node's two GPUs two of four parts each leave the node. */
    ck_assert_uint_eq(t.port_b, CHUNK * (4000 + 900));
    ck_assert_uint_eq(t.nic_b, CHUNK * (4000 + 1200));
    ck_assert_uint_eq(t.ns,
                      CHUNK * (2 * 4000 + 1200)); /* 600 bytes over each GPU's share of the NICs */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("step links");
    TCase *tc = tcase_create("company");
    tcase_add_test(tc, test_by_hand);
    tcase_add_test(tc, test_legs_beside_nobody_are_the_closed_form);
    tcase_add_test(tc, test_random_company);
    tcase_add_test(tc, test_what_it_carried_so_far);
    tcase_add_test(tc, test_bytes_of_an_iteration);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
