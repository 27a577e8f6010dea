/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_fabric.c - gathers and spreads over the links between GPUs: formulas beside counting one by one,
 * and the simulated world beside the formulas, to the nanosecond where nobody else moves anything.
 */
#include "sim_fixture.h"

static struct sim_fabric roll(void)
{
    struct sim_fabric f = {.gpus = 2 + (uint32_t)dice_below(40),
                           .gpus_per_node = 1 + (uint32_t)dice_below(9),
                           .port_bps = 1e9 * (double)(1 + dice_below(900)) / 3,
                           .nic_bps = 1e9 * (double)(1 + dice_below(100)) / 7,
                           .pcie_bps = 1e10,
                           .latency_ns = dice_below(20000),
                           .part_b = 1 + dice_below(5000)};
    f.parts = 1 + (uint32_t)dice_below(f.gpus);
    f.leaving = dice_one_in(3) ? (uint32_t)dice_below(30) : 0;
    return f;
}

static void roll_parts(const struct sim_fabric *f, uint64_t *parts)
{
    for (uint32_t g = 0; g < sim_fabric_holders(f); g++)
        parts[g] = dice_one_in(3) ? 0 : dice_below(1 << 20);
}

/* Sender by receiver, of which one computes and the other holds shards, in units of 1 / d bytes, then rounded up once per link. */
static void check_plan(const struct sim_fabric *f, const uint64_t *parts, bool gather)
{
    struct sim_fabric_plan plan;
    const uint64_t d = gather ? f->parts : f->gpus;
    uint64_t sent[KVT_SHARD_GPUS] = {0}, got[KVT_SHARD_GPUS] = {0}; /* in 1 / d bytes */
    uint64_t left[SIM_FABRIC_NODES] = {0}, came[SIM_FABRIC_NODES] = {0};
    struct sim_fabric whole = *f;
    whole.gpus += f->leaving;
    for (uint32_t g = 0; g < whole.gpus; g++) {
        for (uint32_t to = 0; to < f->gpus; to++) {
            if (to == g)
                continue;
            const uint64_t b = parts[g] * f->part_b;
            const uint32_t from = gather ? g : to, into = gather ? to : g;
            sent[from] += b;
            got[into] += b;
            if (from / f->gpus_per_node != into / f->gpus_per_node) {
                left[from / f->gpus_per_node] += b;
                came[into / f->gpus_per_node] += b;
            }
        }
    }
    if (gather)
        sim_fabric_gather(f, parts, &plan);
    else
        sim_fabric_spread(f, parts, &plan);
    kvt_ns most = 0;
    for (uint32_t g = 0; g < whole.gpus; g++) {
        MUST(plan.out[g] == (sent[g] + d - 1) / d && plan.in[g] == (got[g] + d - 1) / d);
        const uint64_t b = plan.out[g] > plan.in[g] ? plan.out[g] : plan.in[g];
        const kvt_ns ns = b ? sim_fabric_link_ns(b, f->port_bps) : 0;
        most = ns > most ? ns : most;
    }
    for (uint32_t n = 0; n < sim_fabric_nodes(&whole); n++) {
        MUST(plan.nic_out[n] == (left[n] + d - 1) / d && plan.nic_in[n] == (came[n] + d - 1) / d);
        const uint64_t b = plan.nic_out[n] > plan.nic_in[n] ? plan.nic_out[n] : plan.nic_in[n];
        const kvt_ns ns =
            b ? sim_fabric_link_ns(b, f->nic_bps * sim_fabric_node_gpus(&whole, n)) : 0;
        most = ns > most ? ns : most;
    }
    MUST(sim_fabric_ns(f, &plan) == (most ? most + f->latency_ns : 0));
}

START_TEST(test_bytes_one_by_one)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        uint64_t parts[KVT_SHARD_GPUS];
        dice_seed(seed);
        const struct sim_fabric f = roll();
        roll_parts(&f, parts);
        check_plan(&f, parts, true);
        check_plan(&f, parts, false);
    }
}
END_TEST

/* By hand: 8 GPUs, 8 heads, 100,000 tokens of 32 layers, 4,096 bytes per layer and token, ports of
 * 300 GB/s. Spread over all by sequence each port sends 12,500 * 32 * 4096 * 7 / 8 bytes: 4.78 ms. On one
 * GPU, eight times as much: 38.2 ms. */
START_TEST(test_gather_by_hand)
{
    const struct sim_fabric f = {.gpus = 8,
                                 .gpus_per_node = 8,
                                 .port_bps = 300e9,
                                 .pcie_bps = 1e9,
                                 .latency_ns = 6500,
                                 .parts = 8,
                                 .part_b = 4096};
    uint64_t parts[KVT_SHARD_GPUS] = {0};
    struct sim_fabric_plan plan;
    for (int g = 0; g < 8; g++)
        parts[g] = 12500 * 32;
    sim_fabric_gather(&f, parts, &plan);
    ck_assert_uint_eq(plan.out[3], UINT64_C(12500) * 32 * 4096 * 7 / 8);
    ck_assert_uint_eq(sim_fabric_ns(&f, &plan), 4778667 + 6500); /* 4,778,666.7 rounded up */
    for (int g = 0; g < 8; g++)
        parts[g] = g ? 0 : 100000 * 32;
    sim_fabric_gather(&f, parts, &plan);
    ck_assert_uint_eq(sim_fabric_ns(&f, &plan), 38229334 + 6500);
    ck_assert_uint_eq(plan.in[0], 0);
    /* Two exchanges per layer move (G - 1) / G of their bytes. */
    ck_assert_double_eq_tol(sim_fabric_exchange_ns_per_b(&f), 7.0 / 8 / 300, 1e-12);
}
END_TEST

/* ---- The simulated world ------------------------------------------------------------------------- */

static int move(enum fixture_kind kind, uint32_t op, enum kvt_tier_kind tier, const uint64_t *parts,
                uint64_t tokens)
{
    const struct kvt_port port = sim_world_port(fixture.world);
    const struct kvt_block_ref block = {.tokens = (uint32_t)tokens, .page = KVT_NONE};
    const struct kvt_transfer t = {.op = {op},
                                   .tier = tier,
                                   .n_blocks = 1,
                                   .blocks = &block,
                                   .tokens = tokens,
                                   .gpu_parts = parts};
    return kind == LOAD ? port.ops->load(port.self, &t) : port.ops->store(port.self, &t);
}

START_TEST(test_alone_it_is_the_formula)
{
    for (uint64_t seed = 0; seed < 120; seed++) {
        uint64_t parts[KVT_SHARD_GPUS];
        struct sim_fabric_plan plan;
        dice_seed(seed);
        struct sim_config c = fixture_config();
        struct sim_fabric f = roll();
        const bool nodes = f.gpus <= f.gpus_per_node || f.gpus % f.gpus_per_node == 0;
        f.leaving = nodes ? f.leaving : 0;
        roll_parts(&f, parts);
        c.fabric = f;
        if (f.leaving) { /* an engine that has shrunk */
            c.fabric.gpus += f.leaving;
            c.fabric.leaving = 0;
            c.resized_fabric = f;
            c.resized_gpu = c.gpu;
        }
        const bool gather = dice_one_in(2);
        const kvt_ns begin = dice_below(1000000);
        if (gather)
            sim_fabric_gather(&f, parts, &plan);
        else
            sim_fabric_spread(&f, parts, &plan);
        fixture_begin(&c);
        if (f.leaving)
            sim_world_resize(fixture.world);
        fixture_advance(begin);
        ck_assert_int_eq(move(gather ? LOAD : STORE, 7, KVT_GPU, parts, 1000), 0);
        fixture_drain();
        MUST(fixture.n == 1 && fixture.seen[0].done.status == KVT_OK);
        MUST(fixture.seen[0].at == begin + sim_fabric_ns(&f, &plan));
        MUST(fixture.seen[0].done.span_ns[KVT_SPAN_COPY] == sim_fabric_ns(&f, &plan));
        MUST(fixture.seen[0].done.bytes == plan.sum_b);
        fixture_end();
    }
}
END_TEST

/* Two gathers from one GPU share its port, and take twice as long; from two GPUs to everybody they share
 * only what everybody receives. */
START_TEST(test_gathers_compete)
{
    struct sim_config c = fixture_config();
    c.fabric = (struct sim_fabric){.gpus = 4,
                                   .gpus_per_node = 4,
                                   .port_bps = NS_PER_BYTE(1),
                                   .pcie_bps = NS_PER_BYTE(1),
                                   .parts = 4,
                                   .part_b = 4};
    const uint64_t first[4] = {1000, 0, 0, 0}, third[4] = {0, 0, 1000, 0};
    fixture_begin(&c);
    ck_assert_int_eq(move(LOAD, 1, KVT_GPU, first, 10), 0);
    ck_assert_int_eq(move(LOAD, 2, KVT_GPU, first, 10), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture.seen[1].at, 6000); /* twice 3 of 4 parts of 4000 bytes */
    fixture_end();
    fixture_begin(&c);
    ck_assert_int_eq(move(LOAD, 1, KVT_GPU, first, 10), 0);
    ck_assert_int_eq(move(LOAD, 2, KVT_GPU, third, 10), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture.seen[1].at, 3000);
    fixture_end();
}
END_TEST

/* What comes from the host passes the PCIe of the GPU where it shall lie: one GPU's alone, or all. */
START_TEST(test_host_loads_pass_their_gpu)
{
    struct sim_config c = fixture_config();
    c.host.copy_threads = 0;
    c.host.h2d_bps = NS_PER_BYTE(0.25);
    c.fabric = (struct sim_fabric){.gpus = 4,
                                   .gpus_per_node = 4,
                                   .port_bps = 1e12,
                                   .pcie_bps = NS_PER_BYTE(1),
                                   .parts = 4,
                                   .part_b = 64};
    const uint64_t one[4] = {0, 400, 0, 0}, all[4] = {100, 100, 100, 100};
    fixture_begin(&c);
    ck_assert_int_eq(move(LOAD, 1, KVT_HOST, one, 400), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture.seen[0].at, 400 * 64 + 700);
    fixture_end();
    fixture_begin(&c);
    ck_assert_int_eq(move(LOAD, 1, KVT_HOST, all, 400), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture.seen[0].at, 100 * 64 + 700);
    fixture_end();
}
END_TEST

/* A step whose context is skewed takes as long as one that attends to that much more; exchanges add their
 * latency once and their time per token for each. */
START_TEST(test_steps_wait_for_the_busiest)
{
    struct sim_gpu g = fixture_gpu();
    sim_gpu_prepare(&g);
    const struct kvt_step even = {.repeat = 50, .n_decode = 3, .decode_tokens = 90000};
    struct kvt_step skewed = {.repeat = 50,
                              .n_decode = 3,
                              .decode_tokens = 60000,
                              .decode_skew_tokens = 30000};
    for (uint32_t j = 1; j <= 50; j++)
        ck_assert_uint_eq(sim_gpu_step_ns(&g, &skewed, j), sim_gpu_step_ns(&g, &even, j));
    const struct kvt_chunk chunk = {.past_tokens = 1000, .new_tokens = 300},
                           more = {.past_tokens = 5000, .new_tokens = 300};
    const struct kvt_step waits = {.repeat = 1,
                                   .n_chunks = 1,
                                   .chunks = &chunk,
                                   .chunk_skew_tokens = (const uint64_t[]){4000}},
                          plain = {.repeat = 1, .n_chunks = 1, .chunks = &more};
    ck_assert_uint_eq(sim_gpu_step_ns(&g, &waits, 1), sim_gpu_step_ns(&g, &plain, 1));
    const kvt_ns without = sim_gpu_step_ns(&g, &plain, 1);
    g.exchanges = 64;
    g.exchange_latency_ns = 5000;
    g.exchange_ns_per_token = 100;
    sim_gpu_prepare(&g);
    ck_assert_uint_eq(sim_gpu_step_ns(&g, &plain, 1), without + 64 * 5000 + 300 * 100);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fabric");
    TCase *tc = tcase_create("fabric");
    tcase_add_test(tc, test_bytes_one_by_one);
    tcase_add_test(tc, test_gather_by_hand);
    tcase_add_test(tc, test_alone_it_is_the_formula);
    tcase_add_test(tc, test_gathers_compete);
    tcase_add_test(tc, test_host_loads_pass_their_gpu);
    tcase_add_test(tc, test_steps_wait_for_the_busiest);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
