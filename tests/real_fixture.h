/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * real_fixture.h - what tests of the real world share: a small cluster on main memory, its private Redis and its folder, a
 * core on top, and someone who counts what core reports.
 *
 * The model is tiny (2 layers, 2 heads of 16) and steps are short, so a run of some hundred requests takes a second.
 */
#ifndef REAL_FIXTURE_H
#define REAL_FIXTURE_H

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../backend/spawn.h"
#include "../backend/world.h"
#include "../core/key.h"
#include "../core/record.h"
#include "heap.h"
#include "dice.h"
#include "kvt_test.h"

/* A benchmark, which includes bench.h first, has no test to fail. */
#ifdef BENCH_H
#define REAL_MUST_SAY(what, why)                                                                   \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "%s: %s\n", #what, why);                                               \
            exit(EXIT_FAILURE);                                                                    \
        }                                                                                          \
    } while (0)
#else
#define REAL_MUST_SAY(what, why) ck_assert_msg(what, "%s: %s", #what, why)
#endif
#define REAL_MUST(what) REAL_MUST_SAY(what, "does not hold")

enum { REAL_BLOCK = 32, REAL_PAGE = 8 };

struct real {
    /* Set before real_open; real_init gives defaults. */
    struct kvt_core_config core_config;
    struct be_world_config config;
    uint32_t redis_nodes;
    uint64_t redis_memory_b;
    kvt_ns step_fixed_ns, step_ns_per_token;
    uint32_t tenant; /* of the next request */
    /* After it. */
    struct be_spawn *spawn;
    struct be_redis_address nodes[4];
    struct be_world *world;
    struct kvt_core *core;
    const struct kvt_world_ops *ops;
    char folder[64];
    uint64_t sent, reports, finished, not_adding_up;
    uint64_t ledger[KVT_LEDGER];
};

static kvt_ns real_step_ns(void *self, const struct kvt_step *step, uint32_t iterations)
{
    const struct real *r = self;
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < step->n_chunks && step->chunks; i++)
        tokens += step->chunks[i].new_tokens;
    return iterations * r->step_fixed_ns + tokens * r->step_ns_per_token;
}

static uint32_t real_iterations_by(void *self, const struct kvt_step *step, kvt_ns elapsed_ns)
{
    const struct real *r = self;
    const kvt_ns n = elapsed_ns / r->step_fixed_ns + 1;
    return n < step->repeat ? (uint32_t)n : step->repeat;
}

static void real_note(void *self, const struct kvt_note *note)
{
    struct real *r = self;
    if (note->kind != KVT_NOTE_REPORT)
        return;
    const struct kvt_report *report = note->report;
    uint64_t sum = 0;
    for (int i = 0; i < KVT_LEDGER; i++) {
        r->ledger[i] += report->ledger_tokens[i];
        sum += report->ledger_tokens[i];
    }
    r->reports++;
    r->finished += report->outcome == KVT_FINISHED;
    r->not_adding_up += report->outcome == KVT_FINISHED && sum != report->prompt_tokens;
}

/* One engine with room for `blocks` blocks, gpu tier only. */
static inline void real_init(struct real *r, uint32_t blocks)
{
    memset(r, 0, sizeof *r);
    struct kvt_core_config *core = &r->core_config;
    kvt_core_config_init(core);
    core->engines = 1;
    core->block_tokens = REAL_BLOCK;
    core->page_tokens = REAL_PAGE;
    core->gpu_pages = blocks * (REAL_BLOCK / REAL_PAGE);
    core->page_numbers = true;
    core->load_choice = KVT_LOAD_ALWAYS;
    core->load_patience = 0;
    core->max_batch_tokens = 512;
    core->max_batch_requests = 16;
    r->config = (struct be_world_config){
        .engines = 1,
        .gpus_per_engine = 1,
        .block_tokens = REAL_BLOCK,
        .geometry = {.layers = 2,
                     .heads = 2,
                     .head_dim = 16,
                     .page_tokens = REAL_PAGE,
                     .pages = (uint32_t)core->gpu_pages,
                     .dtype = K_BF16},
        .device = "host",
        .epoch = 7,
        .piece_b = 1 << 20,
        .threads = 2,
        .verify = true,
    };
    r->config.tiers[KVT_GPU] = true;
    r->config.redis.connections = 2;
    r->config.redis.depth = 16;
    r->config.redis.timeout_ns = 2 * KVT_SECOND;
    r->redis_nodes = 1;
    r->redis_memory_b = UINT64_C(64) << 20;
    r->step_fixed_ns = 200 * KVT_MICROSECOND;
    r->step_ns_per_token = 500;
}

/* Adds a tier to core and world. blocks: its capacity. */
static inline void real_tier(struct real *r, enum kvt_tier_kind tier, uint64_t blocks)
{
    struct kvt_tier_config *c = &r->core_config.tiers[tier];
    const double token_b = (double)k_packed_b(&r->config.geometry, r->config.geometry.layers, 1);
    *c = (struct kvt_tier_config){.present = true,
                                  .capacity_blocks = blocks,
                                  .capacity_b = UINT64_MAX,
                                  .stored_b_per_token = token_b * r->config.gpus_per_engine,
                                  .ttl_ns = KVT_NEVER,
                                  .write_through = true,
                                  .load_fixed_ns = 1000,
                                  .load_ns_per_token = 1};
    if (tier == KVT_REDIS) {
        c->capacity_blocks = UINT64_MAX;
        c->manager = KVT_MANAGED_BY_SERVER;
        c->probe = true;
    }
    r->config.tiers[tier] = true;
}

static inline void real_open(struct real *r)
{
    char why[512] = "";
    int rc = 0;
    if (r->config.tiers[KVT_REDIS]) {
        const struct be_spawn_config spawn = {.n = r->redis_nodes,
                                              .memory_b = r->redis_memory_b,
                                              .evicts = true};
        r->spawn = be_spawn_new(&spawn, why, sizeof why);
        REAL_MUST_SAY(r->spawn != NULL, why);
        for (uint32_t i = 0; i < r->redis_nodes; i++)
            r->nodes[i] = *be_spawn_address(r->spawn, i);
        r->config.redis.nodes = r->nodes;
        r->config.redis.n_nodes = r->redis_nodes;
    }
    if (r->config.tiers[KVT_DISK]) {
        const char *parent = getenv("TMPDIR");
        snprintf(r->folder, sizeof r->folder, "%.40s/kvtwin-test-XXXXXX",
                 parent && *parent ? parent : "/tmp");
        REAL_MUST(mkdtemp(r->folder) != NULL);
        r->config.disk.folder = r->folder;
        r->config.disk.quota_b = UINT64_MAX;
    }
    r->config.compute = (struct be_compute){real_step_ns, real_iterations_by, r};
    const struct kvt_observer observer = {real_note, r};
    static struct kvt_observer kept[8];
    static int n_kept;
    struct kvt_observer *mine = &kept[n_kept++ % 8];
    *mine = observer;
    r->world = be_world_new(&r->config, mine, &rc, why, sizeof why);
    REAL_MUST_SAY(r->world != NULL, why);
    r->ops = be_world_ops();
    const struct kvt_port port = be_world_port(r->world);
    REAL_MUST(kvt_core_config_check(&r->core_config) == NULL);
    r->core = kvt_core_new(&r->core_config, &port, &heap, &rc);
    REAL_MUST(r->core != NULL);
}

static inline kvt_ns real_now(const struct real *r)
{
    return r->ops->now(r->world);
}

/* Lets ns pass. */
static inline void real_pass(struct real *r, kvt_ns ns)
{
    REAL_MUST(r->ops->advance(r->world, r->core, kvt_ns_add(real_now(r), ns)) == 0);
}

/* A request whose prompt is `blocks` whole blocks and a tail of 5 tokens; blocks of one name and index are one block. */
static inline void real_request(struct real *r, const uint32_t *names, uint32_t blocks,
                                uint32_t output_tokens)
{
    kvt_key keys[64];
    struct kvt_namespace ns;
    REAL_MUST(blocks <= 64);
    REAL_MUST(kvt_namespace_init(&ns, "", "epoch", "layout") == 0);
    for (uint32_t i = 0; i < blocks; i++)
        keys[i] = kvt_key_of_id(&ns, names[i]);
    const kvt_ns now = real_now(r);
    const struct kvt_request request = {.id = r->sent,
                                        .arrive_ns = now,
                                        .tenant = r->tenant,
                                        .session = KVT_NONE,
                                        .prompt_tokens = blocks * r->config.block_tokens + 5,
                                        .output_tokens = output_tokens,
                                        .n_keys = blocks,
                                        .keys = keys};
    REAL_MUST(kvt_core_request(r->core, now, &request) == 0);
    r->sent++;
}

/* Until nothing is under way, for at most ns. */
static inline void real_drain(struct real *r, kvt_ns ns)
{
    const kvt_ns end = kvt_ns_add(real_now(r), ns);
    while (r->ops->next(r->world) != KVT_NEVER && real_now(r) < end)
        real_pass(r, 2 * KVT_MILLISECOND);
    REAL_MUST(kvt_core_unfinished(r->core) == 0);
}

/* What has to hold at the end of every run. */
static inline void real_check(struct real *r)
{
    char why[256] = "";
    struct be_world_stats stats;
    be_world_stats(r->world, &stats);
    REAL_MUST(r->reports == r->sent);
    REAL_MUST(r->not_adding_up == 0);
    REAL_MUST(stats.wrong_pieces == 0);
    REAL_MUST(stats.under_way == 0);
    REAL_MUST_SAY(kvt_core_check(r->core, why, sizeof why), why);
}

static inline void real_close(struct real *r)
{
    be_world_free(r->world);
    kvt_core_free(r->core);
    be_spawn_free(r->spawn);
    if (r->folder[0])
        REAL_MUST(rmdir(r->folder) == 0); /* the world leaves nothing in it */
}

#endif
