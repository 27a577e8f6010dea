/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_recopy.c - copies of shards that were lost with a GPU, made anew in the background.
 *
 * One story, counted exactly: a second GPU dies before or after they were copied, or nobody copies. Then engines under a world that
 * does whatever the port allows (chaos_world.h), whose GPUs fail at any moment: all invariants hold after every event, and when
 * nothing is on its way any more every shard has all its copies again. In the simulated world copying alone takes its closed form.
 */
#include "../cli/resolve.h"
#include "../core/null.h"
#include "../sim/fabric.h"
#include "../sim/world.h"
#include "heap.h"
#include "chaos_world.h"
#include "failing_alloc.h"
#include "kvt_test.h"
#include "resolved_text.h"

enum { B = 16, BLOCKS = 16, ROUNDS = 200, REQUESTS = 50, KEYS = 24 };

/* ---- One story ------------------------------------------------------------------------------------ */

/* Block i lies on GPU i mod 4 and on the one opposite, so even blocks lie on GPUs 0 and 2. It takes 400 bytes on each. */
static void story_config(struct kvt_core_config *c, bool rereplicate)
{
    kvt_core_config_init(c);
    c->page_numbers = false;
    c->gpu_pages = 1000;
    c->prefill = (struct kvt_prefill_cost){1e6, 1000, 1};
    c->shard = (struct kvt_shard_config){.policy = kvt_shard_named("horizontal"),
                                         .access = KVT_ACCESS_GATHER,
                                         .gpus = 4,
                                         .layers = 4,
                                         .kv_heads = 4,
                                         .block_tokens = B,
                                         .slice_tokens = B,
                                         .replicas = 2,
                                         .interleaved = true,
                                         .recent_blocks = 1,
                                         .rereplicate = rereplicate};
    c->shard_room = (struct kvt_shard_room){.gpu_b = 100000, .unit_b = 100, .page_gpu_b = 100};
}

static uint64_t lost_if(const struct kvt_core *core, uint32_t gpu)
{
    bool dead[KVT_SHARD_GPUS] = {false};
    uint64_t lost, blocks;
    dead[gpu] = true;
    kvt_core_shard_loss(core, dead, &lost, &blocks);
    return lost;
}

static uint64_t held_b(const struct kvt_core *core, uint32_t gpu)
{
    struct kvt_core_gpu g;
    ck_assert(kvt_core_gpu(core, (kvt_engine_id){0}, gpu, &g));
    return g.shards_b;
}

static void advance(struct kvt_core *core, struct kvt_null *world, kvt_ns at)
{
    char why[200] = "";
    ck_assert_int_eq(kvt_null_world()->advance(world, core, at), 0);
    ck_assert_msg(kvt_core_check(core, why, sizeof why), "%s", why);
}

/* An engine that has served one prompt, a second ago. */
static struct kvt_core *served(bool rereplicate, struct kvt_null *world)
{
    struct kvt_core_config c;
    int error;
    story_config(&c, rereplicate);
    ck_assert_msg(!kvt_core_config_check(&c), "%s", kvt_core_config_check(&c));
    const struct kvt_port port = kvt_null_port(world);
    struct kvt_core *core = kvt_core_new(&c, &port, &heap, &error);
    ck_assert_ptr_nonnull(core);
    kvt_key keys[BLOCKS];
    for (uint32_t i = 0; i < BLOCKS; i++)
        keys[i] = (kvt_key){1, kvt_mix64(i)};
    const struct kvt_request q = {.session = KVT_NONE,
                                  .prompt_tokens = BLOCKS * B + 1,
                                  .n_keys = BLOCKS,
                                  .keys = keys};
    ck_assert_int_eq(kvt_core_request(core, 0, &q), 0);
    advance(core, world, KVT_SECOND);
    return core;
}

/* GPU 0 dies, then GPU 2: at once, or when everything under way has ended. */
static uint64_t second_death(bool rereplicate, bool later)
{
    struct kvt_null *world = kvt_null_new(&heap, NULL);
    struct kvt_core *core = served(rereplicate, world);
    for (uint32_t g = 0; g < 4; g++) {
        ck_assert_uint_eq(held_b(core, g), BLOCKS / 2 * 400);
        ck_assert_uint_eq(lost_if(core, g), 0);
    }
    kvt_core_gpu_lost(core, KVT_SECOND, (kvt_engine_id){0}, 0);
    struct kvt_core_stats s;
    kvt_core_stats(core, &s);
    ck_assert_uint_eq(s.shard_lost_blocks, 0);
    ck_assert_uint_eq(lost_if(core, 2), BLOCKS / 2);
    ck_assert_uint_eq(lost_if(core, 1), 0);
    /* Its room is held while they are on their way. */
    ck_assert_uint_eq(held_b(core, 0), rereplicate ? BLOCKS / 2 * 400 : 0);
    if (later) {
        advance(core, world, KVT_SECOND);
        ck_assert_uint_eq(lost_if(core, 2), rereplicate ? 0 : BLOCKS / 2);
        kvt_core_stats(core, &s);
        ck_assert_uint_eq(s.recopy.copied_blocks, rereplicate ? BLOCKS / 2 : 0);
        ck_assert_uint_eq(s.recopy.copied_b, rereplicate ? BLOCKS / 2 * 400 : 0);
        ck_assert_uint_eq(s.recopy.left, 0);
        ck_assert_uint_eq(held_b(core, 0), rereplicate ? BLOCKS / 2 * 400 : 0);
    }
    kvt_core_gpu_lost(core, KVT_SECOND, (kvt_engine_id){0}, 2);
    advance(core, world, KVT_SECOND);
    kvt_core_stats(core, &s);
    const uint64_t lost = s.shard_lost_blocks;
    for (uint32_t g = 0; g < 4; g++)
        ck_assert_uint_eq(held_b(core, g), g % 2 || (later && rereplicate) ? BLOCKS / 2 * 400 : 0);
    kvt_core_free(core);
    kvt_null_free(world);
    return lost;
}

START_TEST(what_survives_a_second_death)
{
    ck_assert_uint_eq(second_death(true, true), 0);
    ck_assert_uint_eq(second_death(true, false), BLOCKS / 2);
    ck_assert_uint_eq(second_death(false, true), BLOCKS / 2);
    ck_assert_uint_eq(second_death(false, false), BLOCKS / 2);
}
END_TEST

/* The spare dies as well, while shards are on their way to it: they are copied once more, and not taken to be there. */
START_TEST(a_spare_that_dies_gets_them_again)
{
    struct kvt_null *world = kvt_null_new(&heap, NULL);
    struct kvt_core *core = served(true, world);
    kvt_core_gpu_lost(core, KVT_SECOND, (kvt_engine_id){0}, 0);
    kvt_core_gpu_lost(core, KVT_SECOND, (kvt_engine_id){0}, 0);
    advance(core, world, KVT_SECOND);
    struct kvt_core_stats s;
    kvt_core_stats(core, &s);
    ck_assert_uint_eq(s.recopy.failed_blocks, BLOCKS / 2);
    ck_assert_uint_eq(s.recopy.copied_blocks, BLOCKS / 2);
    ck_assert_uint_eq(s.shard_lost_blocks, 0);
    ck_assert_uint_eq(lost_if(core, 2), 0);
    kvt_core_free(core);
    kvt_null_free(world);
}
END_TEST

/* ---- Alone ----------------------------------------------------------------------------------------- */

static void resolve_text(struct resolved *r)
{
    resolved_text(r, 500,
                  "cluster: {model: llama-3.1-8b, gpu: h100-80g-sxm, gpus_per_engine: 8}\n"
                  "cache:\n  block_tokens: 500\n  page_tokens: 20\n"
                  "  shard: {policy: horizontal, variant: interleaved, replicas: 2}\n"
                  "  tiers:\n    - {kind: gpu}\n");
}

/* Blocks 0 to 8 over 8 GPUs, each on the one opposite too: 0, 4 and 8 lie on GPUs 0 and 4. GPU 0 dies, and three blocks of 500
 * tokens of 131,072 bytes go from GPU 4 to the spare, through ports of 450 GB/s, 5.2 us until the first byte. */
START_TEST(copying_alone_takes_its_closed_form)
{
    static struct resolved r;
    char why[200] = "";
    int error;
    resolve_text(&r);
    struct sim_world *world = sim_world_new(&r.sim, NULL, why, sizeof why);
    ck_assert_msg(world != NULL, "%s", why);
    const struct kvt_port port = sim_world_port(world);
    const struct kvt_world_ops *ops = sim_world_ops();
    struct kvt_core *core = kvt_core_new(&r.core, &port, &heap, &error);
    ck_assert_ptr_nonnull(core);
    kvt_key keys[9];
    for (uint32_t i = 0; i < 9; i++)
        keys[i] = (kvt_key){1, kvt_mix64(i)};
    const struct kvt_request q = {.session = KVT_NONE,
                                  .prompt_tokens = 9 * 500 + 1,
                                  .n_keys = 9,
                                  .keys = keys};
    ck_assert_int_eq(kvt_core_request(core, 0, &q), 0);
    while (ops->next(world) != KVT_NEVER)
        ck_assert_int_eq(ops->advance(world, core, ops->next(world)), 0);
    const kvt_ns at = 1000 * KVT_SECOND;
    ck_assert_int_eq(ops->advance(world, core, at), 0);
    kvt_core_gpu_lost(core, at, (kvt_engine_id){0}, 0);
    while (ops->next(world) != KVT_NEVER)
        ck_assert_int_eq(ops->advance(world, core, ops->next(world)), 0);
    struct kvt_core_stats s;
    kvt_core_stats(core, &s);
    const uint64_t copied_b = UINT64_C(3) * 500 * 131072;
    ck_assert_uint_eq(s.recopy.copied_blocks, 3);
    ck_assert_uint_eq(s.recopy.copied_b, copied_b);
    ck_assert_uint_eq(s.recopy.took_ns, copied_b / 450 + (copied_b % 450 > 0) + 5200);
    ck_assert_uint_eq(lost_if(core, 4), 0);
    kvt_core_free(core);
    sim_world_free(world);
}
END_TEST

/* ---- Whatever happens ------------------------------------------------------------------------------ */

static void any_config(struct chaos *w, struct kvt_core_config *c)
{
    static const char *const policies[] = {"horizontal", "vertical", "hybrid", "single"};
    kvt_core_config_init(c);
    c->engines = 1 + (uint32_t)chaos_draw(w, 3);
    c->page_tokens = 1u << chaos_draw(w, 3);
    c->block_tokens = c->page_tokens * (1 + (uint32_t)chaos_draw(w, 4));
    c->page_numbers = false;
    c->gpu_pages = 80 + chaos_draw(w, 300);
    c->max_batch_requests = 1 + (uint32_t)chaos_draw(w, 8);
    c->max_batch_tokens = c->max_batch_requests + 1 + (uint32_t)chaos_draw(w, 60);
    c->prefill = (struct kvt_prefill_cost){1e6, (double)chaos_draw(w, 3000), 1};
    c->tiers[KVT_HOST].present = chaos_draw(w, 2);
    c->tiers[KVT_HOST].stored_b_per_token = 10;
    do {
        c->shard = (struct kvt_shard_config){.policy = kvt_shard_named(policies[chaos_draw(w, 4)]),
                                             .access = KVT_ACCESS_GATHER,
                                             .gpus = 3 + (uint32_t)chaos_draw(w, 10),
                                             .layers = 1 + (uint32_t)chaos_draw(w, 14),
                                             .kv_heads = 4,
                                             .block_tokens = c->block_tokens,
                                             .slice_tokens =
                                                 1 + (uint32_t)chaos_draw(w, 3 * c->block_tokens),
                                             .replicas = 2 + (uint32_t)chaos_draw(w, 2),
                                             .interleaved = chaos_draw(w, 2),
                                             .recent_blocks = 1 + chaos_draw(w, 30),
                                             .rereplicate = chaos_draw(w, 5) > 0};
    } while (kvt_shard_check(&c->shard));
    c->shard_room.page_gpu_b = 2 * (uint64_t)c->shard.layers;
    c->shard_room.unit_b = c->shard.gpus * (c->block_tokens / c->page_tokens);
    c->shard_room.gpu_b = c->gpu_pages * c->shard_room.page_gpu_b;
}

static void check_all(const struct kvt_core *core, const struct chaos *w, uint64_t seed)
{
    char why[200] = "";
    ck_assert_msg(kvt_core_check(core, why, sizeof why), "seed %llu at %llu ns: %s",
                  (unsigned long long)seed, (unsigned long long)w->now, why);
    ck_assert_msg(!w->bad[0], "seed %llu: %s", (unsigned long long)seed, w->bad);
}

static void any_event(struct chaos *w, struct kvt_core *core, const struct kvt_core_config *c)
{
    const kvt_engine_id engine = {(uint32_t)chaos_draw(w, c->engines)};
    w->inside = true;
    if (chaos_draw(w, 6)) {
        kvt_core_gpu_lost(core, w->now, engine, (uint32_t)chaos_draw(w, c->shard.gpus));
    } else {
        w->step_of[engine.v] = false;
        kvt_core_down(core, w->now, KVT_GPU, engine);
        kvt_core_up(core, w->now, KVT_GPU, engine);
    }
    w->inside = false;
}

/* Nothing is on its way: all copies of what is held are there, to the byte. */
static void check_whole(const struct kvt_core *core, const struct kvt_core_config *c, uint64_t seed)
{
    struct kvt_core_gauges g;
    kvt_core_gauges(core, KVT_NONE, &g);
    uint64_t sum_b = 0;
    for (uint32_t e = 0; e < c->engines; e++) {
        for (uint32_t i = 0; i < c->shard.gpus; i++) {
            struct kvt_core_gpu gpu;
            ck_assert(kvt_core_gpu(core, (kvt_engine_id){e}, i, &gpu));
            sum_b += gpu.shards_b;
        }
    }
    ck_assert_msg(sum_b == g.held_blocks[KVT_GPU] * c->shard.layers * c->shard_room.unit_b *
                               c->shard.replicas,
                  "seed %llu: copies are missing, or too many", (unsigned long long)seed);
    for (uint32_t i = 0; i < c->shard.gpus; i++)
        ck_assert_uint_eq(lost_if(core, i), 0);
}

static uint64_t copied_blocks, lost_blocks;

static void live(uint64_t seed)
{
    static struct chaos world;
    struct chaos *w = &world;
    struct kvt_core_config c;
    chaos_init(w, seed, seed % 3 ? 0 : 15);
    any_config(w, &c);
    ck_assert_msg(!kvt_core_config_check(&c), "%s", kvt_core_config_check(&c));
    const struct kvt_port port = chaos_port(w);
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    int error;
    struct kvt_core *core = kvt_core_new(&c, &port, alloc, &error);
    ck_assert_ptr_nonnull(core);
    for (uint64_t id = 0; id < REQUESTS; id++) {
        kvt_key keys[KEYS];
        struct kvt_request r = {.id = id, .arrive_ns = w->now, .session = KVT_NONE, .keys = keys};
        r.prompt_tokens = 1 + (uint32_t)chaos_draw(w, c.block_tokens * 14);
        r.output_tokens = (uint32_t)chaos_draw(w, 20);
        r.n_keys = r.prompt_tokens / c.block_tokens;
        const uint64_t prefix = chaos_draw(w, 5), shared = 1 + chaos_draw(w, 14);
        for (uint32_t i = 0; i < r.n_keys; i++) {
            const uint64_t whose = i < shared ? prefix : 1000 + id;
            keys[i] = (kvt_key){kvt_mix64(whose + 77), kvt_mix64(whose << 16 | i)};
        }
        w->inside = true;
        ck_assert_int_eq(kvt_core_request(core, w->now, &r), 0);
        w->inside = false;
        check_all(core, w, seed);
        for (uint64_t n = chaos_draw(w, 14); n && chaos_happen(w, core); n--)
            check_all(core, w, seed);
        if (chaos_draw(w, 4) == 0) {
            any_event(w, core, &c);
            check_all(core, w, seed);
        }
    }
    for (uint64_t events = 0; w->n_ops || w->n_timers; events++) {
        chaos_happen(w, core);
        check_all(core, w, seed);
        ck_assert_msg(events < 200000, "seed %llu: livelock", (unsigned long long)seed);
    }
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
    struct kvt_core_stats stats;
    kvt_core_stats(core, &stats);
    if (!w->fail_percent && c.shard.rereplicate) {
        ck_assert_msg(!stats.recopy.left, "seed %llu: not over", (unsigned long long)seed);
        check_whole(core, &c, seed);
    }
    ck_assert(c.shard.rereplicate || !stats.recopy.copied_blocks);
    copied_blocks += stats.recopy.copied_blocks;
    lost_blocks += stats.shard_lost_blocks;
    kvt_core_free(core);
    ck_assert(failing_alloc_clean(&memory));
    chaos_release(w);
}

START_TEST(copies_come_back_whatever_happens)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        live(seed * 1033);
    ck_assert_uint_gt(copied_blocks, ROUNDS);
    ck_assert_uint_gt(lost_blocks, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recopy");
    TCase *tc = tcase_create("recopy");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, what_survives_a_second_death);
    tcase_add_test(tc, a_spare_that_dies_gets_them_again);
    tcase_add_test(tc, copying_alone_takes_its_closed_form);
    tcase_add_test(tc, copies_come_back_whatever_happens);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
