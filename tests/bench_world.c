/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_world.c - what an operation costs in the simulated world, without a core: CPU time and
 * events per store, load and probe for each tier, and per interrupted step, in a cluster of 4
 * engines and N Redis nodes.
 *
 *   bench_world [OPERATIONS]       per line; 20,000 unless told
 *
 * As in a replayed conversation: 24 blocks of 512 tokens an operation, at a rate that keeps the
 * Redis processes busy 60 % of the time (one node: one operation every 3.5 s; ten: every 0.35 s,
 * with up to ten flows each).
 */
#include "bench.h"

#include "../core/mix.h"
#include "../sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOCKS = 24, ENGINES = 4 };

static uint64_t delivered;

static void done(struct kvt_core *core, kvt_ns now, const struct kvt_done *d)
{
    (void)core;
    (void)now;
    (void)d;
    delivered++;
}

static void timer(struct kvt_core *core, kvt_ns now, uint64_t number)
{
    (void)core;
    (void)now;
    (void)number;
}

/* Llama-3.1-70B on eight A100-80, 100 Gb/s Ethernet, r7g.16xlarge nodes; round figures. */
static struct sim_world *cluster(uint32_t nodes)
{
    const struct sim_config c = {
        .seed = 1,
        .engines = ENGINES,
        .kv_b_per_token = 327680,
        .piece_b = 2 << 20,
        .gpu = {.gpus = 8,
                .peak_flops = 312e12,
                .mfu = 0.4,
                .mfu_half_tokens = 400,
                .hbm_bps = 2039e9,
                .weight_efficiency = 0.69,
                .kv_efficiency = 0.6,
                .dense_weight_b = 141e9,
                .linear_flops_per_token = 137e9,
                .prefill_flops_per_pair = 2621440,
                .decode_flops_per_pair = 2621440,
                .kv_b_per_token = 327680,
                .bus_bps = 222e9,
                .host_ns = 2e6},
        .host = {.h2d_bps = 100e9,
                 .d2h_bps = 100e9,
                 .copy_latency_ns = 10000,
                 .copy_threads = 16,
                 .copy_thread_bps = 10e9},
        .network = {.engine_nic_bps = 11.9e9,
                    .rtt_ns = 100000,
                    .connection_bps = 1.25e9,
                    .connections = 8},
        .redis = {.nodes = nodes,
                  .nic_bps = 3.7e9,
                  .process_bps = 1.9e9,
                  .command_ns = 3000,
                  .memory_b = (uint64_t)300 << 30,
                  .overhead_b = 90,
                  .samples = 5,
                  .evicts = true,
                  .timeout_ns = 5 * KVT_SECOND},
        .disk = {.read_bps = 27e9,
                 .write_bps = 16e9,
                 .read_latency_ns = 80000,
                 .write_latency_ns = 20000,
                 .channels = 64},
    };
    char why[200];
    struct sim_world *world = sim_world_new(&c, NULL, why, sizeof(why));
    if (!world) {
        fprintf(stderr, "bench_world: %s\n", why);
        exit(1);
    }
    sim_world_deliver(world, &(struct sim_deliver){.done = done, .timer = timer});
    return world;
}

static void must(int error)
{
    if (error) {
        fprintf(stderr, "bench_world: error %d\n", error);
        exit(1);
    }
}

static void measure(const char *name, struct sim_world *world, enum kvt_tier_kind tier,
                    int (*op)(void *self, const struct kvt_transfer *t), uint32_t n, kvt_ns gap_ns)
{
    static struct kvt_block_ref blocks[BLOCKS];
    struct sim_world_stats before, after;
    sim_world_stats(world, &before);
    const uint64_t first = delivered;
    kvt_ns now = before.now;
    const double begin = bench_cpu_s();
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < BLOCKS; k++)
            blocks[k] =
                (struct kvt_block_ref){.key = {1, kvt_mix64((uint64_t)(i % 50) * BLOCKS + k)},
                                       .tokens = 512};
        const struct kvt_transfer t = {.op = {i},
                                       .engine = {i % ENGINES},
                                       .tier = tier,
                                       .n_blocks = BLOCKS,
                                       .blocks = blocks,
                                       .tokens = 512 * BLOCKS,
                                       .ttl_ns = KVT_NEVER};
        must(op(world, &t));
        now += kvt_mix64(i) % (2 * gap_ns);
        must(sim_world_ops()->advance(world, NULL, now));
    }
    must(sim_world_ops()->advance(world, NULL, now + 100 * KVT_SECOND));
    const double took = bench_cpu_s() - begin;
    sim_world_stats(world, &after);
    printf("%-28s %8.0f ns each, %5.1f events each, %llu of %u delivered\n", name, took * 1e9 / n,
           (double)(after.events - before.events) / n, (unsigned long long)(delivered - first), n);
}

static void steps(struct sim_world *world, uint32_t n)
{
    const struct kvt_port port = sim_world_port(world);
    struct sim_world_stats stats;
    sim_world_stats(world, &stats);
    kvt_ns now = stats.now;
    const double begin = bench_cpu_s();
    for (uint32_t i = 0; i < n; i++) {
        const struct kvt_step s = {.repeat = 500,
                                   .n_decode = 32,
                                   .decode_tokens = 300000 + i,
                                   .window_tokens = 300000 + i};
        must(port.ops->step(port.self, &s));
        now += 50 * KVT_MILLISECOND;
        must(sim_world_ops()->advance(world, NULL, now));
        port.ops->interrupt(port.self, (kvt_engine_id){0});
        must(sim_world_ops()->advance(world, NULL, now += 200 * KVT_MILLISECOND));
    }
    printf("%-28s %8.0f ns each\n", "step, interrupted", (bench_cpu_s() - begin) * 1e9 / n);
}

int main(int argc, char **argv)
{
    const uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 20000;
    static const uint32_t sizes[] = {1, 4, 10, 32};
    if (n == 0)
        return 2;
    for (int i = 0; i < 4; i++) {
        struct sim_world *world = cluster(sizes[i]);
        const struct kvt_port_ops *ops = sim_world_port(world).ops;
        const kvt_ns gap_ns = 3500 * KVT_MILLISECOND / sizes[i];
        printf("%u Redis nodes\n", sizes[i]);
        measure("redis store", world, KVT_REDIS, ops->store, n, gap_ns);
        measure("redis load", world, KVT_REDIS, ops->load, n, gap_ns);
        measure("redis probe", world, KVT_REDIS, ops->probe, n, gap_ns);
        if (i == 0) {
            measure("host store", world, KVT_HOST, ops->store, n, gap_ns);
            measure("host load", world, KVT_HOST, ops->load, n, gap_ns);
            measure("disk store", world, KVT_DISK, ops->store, n, gap_ns);
            measure("disk load", world, KVT_DISK, ops->load, n, gap_ns);
            steps(world, n);
        }
        sim_world_free(world);
    }
    return 0;
}
