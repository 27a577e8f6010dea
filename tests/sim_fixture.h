/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sim_fixture.h - what tests of the simulated world share: a cluster with round figures, and someone in core's place
 * who writes down what the world delivers.
 *
 * Rates are 10^9 bytes per second over a power of two, so a byte takes a whole number of nanoseconds and closed forms
 * hold to the nanosecond.
 */
#ifndef SIM_FIXTURE_H
#define SIM_FIXTURE_H

#include <math.h>
#include <string.h>

#include "core/mix.h"
#include "dice.h"
#include "sim/world.h"

/* Bytes per second when a byte takes that many nanoseconds. */
#define NS_PER_BYTE(ns) (1e9 / (ns))

/* A small engine, about the speed of an A100 with an 8B model. */
static inline struct sim_gpu fixture_gpu(void)
{
    return (struct sim_gpu){
        .gpus = 1,
        .peak_flops = 312e12,
        .mfu = 0.5,
        .mfu_half_tokens = 200,
        .hbm_bps = 2039e9,
        .weight_efficiency = 0.7,
        .kv_efficiency = 0.6,
        .dense_weight_b = 16e9,
        .linear_flops_per_token = 14e9,
        .head_flops_per_request = 1e9,
        .prefill_flops_per_pair = 524288,
        .decode_flops_per_pair = 524288,
        .kv_b_per_token = 131072,
        .host_ns = 1e6,
        .host_ns_per_request = 1e4,
    };
}

/* One engine, one Redis node, everything present, no codec. A token is 64 bytes, a block a piece. */
static inline struct sim_config fixture_config(void)
{
    struct sim_config c = {
        .seed = 1,
        .engines = 1,
        .kv_b_per_token = 64,
        .gpu = fixture_gpu(),
        .host = {.h2d_bps = NS_PER_BYTE(1),
                 .d2h_bps = NS_PER_BYTE(2),
                 .copy_latency_ns = 700,
                 .copy_threads = 1,
                 .copy_thread_bps = NS_PER_BYTE(2)},
        .network = {.engine_nic_bps = NS_PER_BYTE(1),
                    .rtt_ns = 10001,
                    .connection_bps = NS_PER_BYTE(4),
                    .connections = 4},
        .redis = {.nodes = 1,
                  .nic_bps = NS_PER_BYTE(2),
                  .process_bps = NS_PER_BYTE(4),
                  .command_ns = 3000,
                  .memory_b = UINT64_MAX,
                  .overhead_b = 90,
                  .samples = 5,
                  .evicts = true,
                  .timeout_ns = KVT_NEVER},
        .disk = {.read_bps = NS_PER_BYTE(2),
                 .write_bps = NS_PER_BYTE(8),
                 .read_latency_ns = 80000,
                 .write_latency_ns = 20000,
                 .channels = 1},
    };
    return c;
}

/* ---- In core's place ----------------------------------------------------------------------------- */

enum { SEEN_MOST = 20000 };

struct seen {
    kvt_ns at;
    bool timer;
    uint64_t number; /* of the timer */
    struct kvt_done done;
};

static struct {
    struct sim_world *world;
    bool in_call; /* an operation of the port is under way: nothing may be delivered */
    kvt_ns now;
    uint32_t n;
    struct seen seen[SEEN_MOST];
} fixture;

static inline void fixture_done(struct kvt_core *core, kvt_ns now, const struct kvt_done *done)
{
    (void)core;
    MUST(!fixture.in_call && now >= fixture.now && fixture.n < SEEN_MOST);
    fixture.now = now;
    fixture.seen[fixture.n++] = (struct seen){.at = now, .done = *done};
}

static inline void fixture_timer(struct kvt_core *core, kvt_ns now, uint64_t timer)
{
    (void)core;
    MUST(!fixture.in_call && now >= fixture.now && fixture.n < SEEN_MOST);
    fixture.now = now;
    fixture.seen[fixture.n++] = (struct seen){.at = now, .timer = true, .number = timer};
}

static inline void fixture_begin(const struct sim_config *config)
{
    char why[200] = "";
    memset(&fixture, 0, sizeof(fixture));
    fixture.world = sim_world_new(config, NULL, why, sizeof(why));
    ck_assert_msg(fixture.world != NULL, "%s", why);
    sim_world_deliver(fixture.world,
                      &(struct sim_deliver){.done = fixture_done, .timer = fixture_timer});
}

static inline void fixture_end(void)
{
    sim_world_free(fixture.world);
    fixture.world = NULL;
}

static inline void fixture_advance(kvt_ns until)
{
    ck_assert_int_eq(sim_world_ops()->advance(fixture.world, NULL, until), 0);
    if (until != KVT_NEVER)
        fixture.now = until;
}

/* Delivers everything there is. */
static inline void fixture_drain(void)
{
    while (sim_world_ops()->next(fixture.world) != KVT_NEVER)
        fixture_advance(sim_world_ops()->next(fixture.world));
}

static inline kvt_key fixture_key(uint64_t i)
{
    return (kvt_key){.hi = 9, .lo = kvt_mix64(i)};
}

enum fixture_kind { PROBE, LOAD, STORE, DROP };

/* Issues an operation on n blocks of `tokens` each, with keys first, first + 1, ... */
static inline int fixture_issue(enum fixture_kind kind, uint32_t op, uint32_t engine,
                                enum kvt_tier_kind tier, uint64_t first, uint32_t n,
                                uint32_t tokens, kvt_ns ttl_ns)
{
    static struct kvt_block_ref blocks[4096];
    MUST(n <= 4096);
    for (uint32_t i = 0; i < n; i++)
        blocks[i] = (struct kvt_block_ref){.key = fixture_key(first + i), .tokens = tokens};
    struct kvt_transfer t = {.op = {op},
                             .engine = {engine},
                             .tier = tier,
                             .n_blocks = n,
                             .blocks = blocks,
                             .tokens = (uint64_t)n * tokens,
                             .ttl_ns = ttl_ns};
    struct kvt_port port = sim_world_port(fixture.world);
    fixture.in_call = true;
    int r = kind == PROBE   ? port.ops->probe(port.self, &t)
            : kind == LOAD  ? port.ops->load(port.self, &t)
            : kind == STORE ? port.ops->store(port.self, &t)
                            : port.ops->drop(port.self, &t);
    fixture.in_call = false;
    memset(blocks, 0xee, n * sizeof(*blocks)); /* borrowed until return only */
    return r;
}

static inline int fixture_step(const struct kvt_step *step)
{
    struct kvt_port port = sim_world_port(fixture.world);
    fixture.in_call = true;
    int r = port.ops->step(port.self, step);
    fixture.in_call = false;
    return r;
}

static inline void fixture_interrupt(uint32_t engine)
{
    struct kvt_port port = sim_world_port(fixture.world);
    fixture.in_call = true;
    port.ops->interrupt(port.self, (kvt_engine_id){engine});
    fixture.in_call = false;
}

/* The completion of an operation; there must be exactly one. */
static inline const struct seen *fixture_find(uint32_t op)
{
    const struct seen *found = NULL;
    for (uint32_t i = 0; i < fixture.n; i++) {
        if (!fixture.seen[i].timer && fixture.seen[i].done.op.v == op) {
            ck_assert_msg(!found, "operation %u completed twice", op);
            found = &fixture.seen[i];
        }
    }
    ck_assert_msg(found != NULL, "operation %u did not complete", op);
    return found;
}

static inline kvt_ns fixture_span_sum(const struct kvt_done *done)
{
    kvt_ns sum = 0;
    for (int i = 0; i < KVT_SPANS; i++)
        sum += done->span_ns[i];
    return sum;
}

static inline struct sim_part_stats fixture_part(const char *name)
{
    struct sim_part_stats s;
    for (uint32_t i = 0; i < sim_world_parts(fixture.world); i++) {
        sim_world_part(fixture.world, i, &s);
        if (strcmp(s.name, name) == 0)
            return s;
    }
    ck_abort_msg("there is no part %s", name);
}

#endif
