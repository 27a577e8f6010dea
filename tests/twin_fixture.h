/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * twin_fixture.h - the real world on one side of a twin test: a run of it that is measured and recorded, the recording
 * fed to a core without any world, and the same requests in the simulated world.
 */
#ifndef TWIN_FIXTURE_H
#define TWIN_FIXTURE_H

#include <math.h>

#include "cli/validate.h"
#include "core/replay.h"
#include "real_fixture.h"
#include "record_fixture.h"
#include "sim/world.h"

enum { CHAIN = 6 };

/* ---- A real world that is measured and recorded. ------------------------------------------------ */

struct watched {
    struct real real;
    struct meter meter;
    struct kvt_record record;
    struct tape tape;
};

/* real_open with a meter before the port and a recorder behind the meter. */
static inline void watch(struct watched *w)
{
    const struct kvt_sink sink = tape_sink(&w->tape);
    int rc;
    real_open(&w->real);
    kvt_core_free(w->real.core);
    const struct kvt_port bare = be_world_port(w->real.world);
    static struct kvt_port port;
    port = meter_port(&w->meter, &bare);
    w->real.core = kvt_core_new(&w->real.core_config, &port, &heap, &rc);
    ck_assert_ptr_nonnull(w->real.core);
    ck_assert_int_eq(kvt_record_init(&w->record, &heap, &sink), 0);
    kvt_core_tap(w->real.core, meter_tap(&w->meter, kvt_record_tap(&w->record)));
    real_pass(&w->real, 1);
}

static inline void end_meter(struct meter *m, const struct kvt_core *core)
{
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    char digest[33];
    kvt_core_stats(core, &stats);
    kvt_core_gauges(core, KVT_NONE, &gauges);
    kvt_core_digest(core, digest);
    ck_assert_int_eq(m->error, 0);
    meter_end(m, &stats, &gauges, digest);
}

/* Ends recording and meter; then the recording, fed to a core without a world, must decide the same. */
static inline void replay_agrees(struct watched *w)
{
    struct kvt_replay replay;
    char digest[33];
    int rc;
    real_check(&w->real);
    end_meter(&w->meter, w->real.core);
    kvt_core_tap(w->real.core, NULL);
    ck_assert_int_eq(kvt_record_finish(&w->record), 0);
    kvt_record_release(&w->record);
    ck_assert_int_eq(kvt_replay_init(&replay, &heap, w->tape.bytes, w->tape.n, NULL), 0);
    const struct kvt_port port = kvt_replay_port(&replay);
    struct kvt_core *core = kvt_core_new(&w->real.core_config, &port, &heap, &rc);
    ck_assert_ptr_nonnull(core);
    while ((rc = kvt_replay_step(&replay, core)) > 0) {
    }
    ck_assert_int_eq(rc, 0);
    kvt_core_digest(core, digest);
    ck_assert_str_eq(digest, w->meter.digest);
    kvt_core_free(core);
    kvt_replay_release(&replay);
}

static inline void unwatch(struct watched *w)
{
    real_close(&w->real);
    tape_release(&w->tape);
    meter_release(&w->meter);
}

/* ---- The same, simulated. ----------------------------------------------------------------------- */

/* The simulated side: the same core on virtual hardware. */
struct simulated {
    struct sim_world *world;
    struct kvt_core *core;
    struct meter meter;
    kvt_ns now;
};

static inline void simulate(struct simulated *s, const struct real *like)
{
    struct sim_config config = {
        .seed = 1,
        .engines = like->config.engines,
        .kv_b_per_token = 256,
        .gpu = {.gpus = 1,
                .peak_flops = 1e12,
                .mfu = 1,
                .hbm_bps = 1e12,
                .weight_efficiency = 1,
                .kv_efficiency = 1,
                .dense_weight_b = 1e6,
                .linear_flops_per_token = 1e6,
                .kv_b_per_token = 256,
                .host_ns = 2e5},
        .host = {.h2d_bps = 1e9, .d2h_bps = 1e9, .copy_threads = 1, .copy_thread_bps = 1e9},
        .network = {.engine_nic_bps = 1e9,
                    .rtt_ns = 50000,
                    .connection_bps = INFINITY,
                    .connections = 2},
        .redis = {.nodes = like->redis_nodes,
                  .nic_bps = 1e9,
                  .process_bps = 1e9,
                  .command_ns = 3000,
                  .memory_b = UINT64_MAX,
                  .overhead_b = 90,
                  .samples = 5,
                  .evicts = true,
                  .timeout_ns = KVT_NEVER},
        .peer = {.present = like->config.tiers[KVT_PEER], .connections = 2},
        .disk = {.read_bps = 1e9, .write_bps = 1e9, .channels = 4},
    };
    const struct kvt_core_config *core = &like->core_config;
    if (core->shard.policy) {
        const double once_b =
            (double)k_packed_b(&like->config.geometry, like->config.geometry.layers, 1) *
            core->shard.gpus;
        config.kv_b_per_token = once_b;
        config.gpu.gpus = core->shard.gpus;
        config.gpu.bus_bps = 1e9;
        config.gpu.kv_b_per_token = once_b;
        config.fabric = (struct sim_fabric){
            .gpus = core->shard.gpus,
            .gpus_per_node = 8,
            .port_bps = 1e9,
            .pcie_bps = 1e9,
            .latency_ns = 5000,
            .parts = core->shard.gpus,
            .part_b = core->shard_room.unit_b / core->block_tokens,
        };
    }
    char why[200] = "";
    int rc;
    sim_gpu_prepare(&config.gpu);
    *s = (struct simulated){0};
    s->world = sim_world_new(&config, NULL, why, sizeof why);
    ck_assert_msg(s->world != NULL, "%s", why);
    const struct kvt_port bare = sim_world_port(s->world);
    static struct kvt_port port;
    port = meter_port(&s->meter, &bare);
    s->core = kvt_core_new(&like->core_config, &port, &heap, &rc);
    ck_assert_ptr_nonnull(s->core);
    kvt_core_tap(s->core, meter_tap(&s->meter, NULL));
}

/* real_request and real_drain, in virtual time. */
static inline void simulate_request(struct simulated *s, const struct real *like, uint64_t id,
                                    const uint32_t *names, uint32_t blocks, uint32_t output_tokens)
{
    const struct kvt_world_ops *ops = sim_world_ops();
    kvt_key keys[CHAIN];
    struct kvt_namespace ns;
    ck_assert_int_eq(kvt_namespace_init(&ns, "", "epoch", "layout"), 0);
    for (uint32_t i = 0; i < blocks; i++)
        keys[i] = kvt_key_of_id(&ns, names[i]);
    const struct kvt_request request = {.id = id,
                                        .arrive_ns = s->now,
                                        .tenant = like->tenant,
                                        .session = KVT_NONE,
                                        .prompt_tokens = blocks * like->config.block_tokens + 5,
                                        .output_tokens = output_tokens,
                                        .n_keys = blocks,
                                        .keys = keys};
    MUST(ops->advance(s->world, s->core, s->now) == 0);
    MUST(kvt_core_request(s->core, s->now, &request) == 0);
    while (ops->next(s->world) != KVT_NEVER) {
        s->now = ops->next(s->world);
        MUST(ops->advance(s->world, s->core, s->now) == 0);
    }
    MUST(kvt_core_unfinished(s->core) == 0);
}

static inline void simulate_end(struct simulated *s)
{
    kvt_core_free(s->core);
    sim_world_free(s->world);
    meter_release(&s->meter);
}

/* ---- Side by side. ------------------------------------------------------------------------------ */

static inline const struct validate_count *count_named(const struct validation *v, const char *name)
{
    for (size_t i = 0; i < v->n_counts; i++)
        if (strcmp(v->counts[i].name, name) == 0)
            return &v->counts[i];
    ck_abort_msg("no counter %s", name);
}

/* Ends both: the recording replays, and the worlds decided the same to the last block. v is the caller's to release. */
static inline void worlds_agree(struct watched *w, struct simulated *s, struct validation *v)
{
    replay_agrees(w);
    end_meter(&s->meter, s->core);
    ck_assert_int_eq(validate_compare(v, &w->meter, &s->meter, &w->real.core_config,
                                      &validate_default),
                     0);
    ck_assert_uint_eq(v->n_divergences, 0);
    for (size_t i = 0; i < v->n_counts; i++)
        ck_assert_msg(v->counts[i].real == v->counts[i].sim, "%s: %llu real, %llu sim",
                      v->counts[i].name, (unsigned long long)v->counts[i].real,
                      (unsigned long long)v->counts[i].sim);
    for (int tier = KVT_HOST; tier < KVT_TIERS; tier++) {
        const struct validate_keys *k = &v->keys[tier];
        ck_assert_uint_eq(k->stored_real, k->stored_both);
        ck_assert_uint_eq(k->stored_sim, k->stored_both);
        ck_assert_uint_eq(k->held_real, k->held_both);
        ck_assert_uint_eq(k->held_sim, k->held_both);
    }
}

#endif
