/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_resize_worlds.c - engines that get more GPUs, or fewer, in the simulated world and in the one without time.
 *
 * A move alone takes its closed form, and steps afterwards are those of an engine that always had as many GPUs. With
 * nothing else going on, each block held before has moved, was kept or was evicted for want of room, and those that were
 * evicted are the ones that LRU would have evicted next. In a world without time moves take none.
 */
#include "../cli/shards.h"
#include "../core/null.h"
#include "heap.h"
#include "kvt_test.h"
#include "resolved_text.h"

#include <string.h>

enum { KEYS = 24, BLOCK = 500 };

static struct kvt_report seen;

static void note(void *self, const struct kvt_note *n)
{
    (void)self;
    if (n->kind == KVT_NOTE_REPORT)
        seen = *n->report;
}

static void resolve_text(struct resolved *r, uint32_t gpus, const char *more)
{
    resolved_text(r, BLOCK,
                  "cluster: {model: llama-3.1-8b, gpu: h100-80g-sxm, gpus_per_engine: %u}\n"
                  "cache:\n  block_tokens: 500\n  page_tokens: 20\n"
                  "  shard: {policy: horizontal, variant: interleaved%s}\n"
                  "  tiers:\n    - {kind: gpu}\n",
                  gpus, more);
}

static void serve(struct kvt_core *core, const struct kvt_world_ops *ops, void *world, kvt_ns at,
                  uint64_t id, uint32_t blocks)
{
    kvt_key keys[KEYS];
    for (uint32_t i = 0; i < blocks; i++)
        keys[i] = (kvt_key){kvt_mix64(i + 1), kvt_mix64(i + 1000)};
    const struct kvt_request q = {.id = id,
                                  .arrive_ns = at,
                                  .session = KVT_NONE,
                                  .prompt_tokens = blocks * BLOCK + 1,
                                  .output_tokens = 2,
                                  .n_keys = blocks,
                                  .keys = keys};
    ck_assert_int_eq(ops->advance(world, core, at), 0);
    ck_assert_int_eq(kvt_core_request(core, at, &q), 0);
    while (ops->next(world) != KVT_NEVER)
        ck_assert_int_eq(ops->advance(world, core, ops->next(world)), 0);
}

/* An engine that holds blocks 0 to 8 and is about to get more GPUs, or fewer, with nothing else going on; and one that always
 * had as many as it will have. */
struct stage {
    struct resolved r, always;
    struct sim_world *world;
    struct kvt_core *core;
    const struct kvt_world_ops *ops;
};

static const uint64_t moved_b = UINT64_C(500) * 131072; /* of the one block that goes elsewhere */

static void begin_resize(struct stage *s, uint32_t before, uint32_t after)
{
    char why[200] = "", more[64];
    int error;
    snprintf(more, sizeof more, ", resize_at: 1s, resize_gpus: %u", after);
    resolve_text(&s->r, before, more);
    resolve_text(&s->always, after, "");
    static const struct kvt_observer observer = {note, NULL};
    s->world = sim_world_new(&s->r.sim, &observer, why, sizeof why);
    ck_assert_msg(s->world != NULL, "%s", why);
    const struct kvt_port port = sim_world_port(s->world);
    s->ops = sim_world_ops();
    s->core = kvt_core_new(&s->r.core, &port, &heap, &error);
    ck_assert_ptr_nonnull(s->core);
    serve(s->core, s->ops, s->world, 0, 1, 9);
    const kvt_ns at = 1000 * KVT_SECOND;
    ck_assert_int_eq(s->ops->advance(s->world, s->core, at), 0);
    sim_world_resize(s->world);
    kvt_core_resize(s->core, at);
}

/* Until nothing is under way: one block has moved, in its closed form. */
static void end_resize(struct stage *s, struct kvt_core_stats *stats)
{
    while (s->ops->next(s->world) != KVT_NEVER)
        ck_assert_int_eq(s->ops->advance(s->world, s->core, s->ops->next(s->world)), 0);
    kvt_core_stats(s->core, stats);
    ck_assert_uint_eq(stats->resize.moved_blocks, 1);
    ck_assert_uint_eq(stats->resize.kept_blocks, 8);
    ck_assert_uint_eq(stats->resize.evicted_blocks, 0);
    ck_assert_uint_eq(stats->resize.moved_b, moved_b);
    ck_assert_uint_eq(stats->resize.end_ns - stats->resize.begin_ns, moved_b / 400 + 5200);
}

/* From then on it is an engine like any other of that size. */
static void serves_like_any_other(struct stage *s)
{
    struct shards_cost first;
    serve(s->core, s->ops, s->world, 2000 * KVT_SECOND, 2, 9);
    ck_assert(shards_cost_of(&s->always, s->always.core.shard.policy, KVT_ACCESS_GATHER,
                             9 * BLOCK + 1, &first));
    ck_assert_uint_eq(seen.ledger_tokens[KVT_HIT_GPU], 9 * BLOCK);
    ck_assert_uint_eq(seen.first_token_ns - seen.arrive_ns, first.first_token_ns);
}

static void holds(const struct stage *s, uint32_t gpu, uint64_t shards_b, uint64_t capacity_b)
{
    struct kvt_core_gpu g;
    ck_assert(kvt_core_gpu(s->core, (kvt_engine_id){0}, gpu, &g));
    ck_assert_uint_eq(g.shards_b, shards_b);
    ck_assert_uint_eq(g.capacity_b, capacity_b);
}

static void close_stage(struct stage *s)
{
    kvt_core_free(s->core);
    sim_world_free(s->world);
}

/* Blocks 0 to 8 over 8 GPUs, then 16: only block 8 moves, from GPU 0 to GPU 8, in the other node: 500 tokens of 131,072
 * bytes through 8 NICs of 50 GB/s, which are slower than a port of 450 GB/s, and 5.2 us until the first byte. */
START_TEST(a_move_alone_takes_its_closed_form)
{
    static struct stage s;
    struct kvt_core_stats stats;
    begin_resize(&s, 8, 16);
    end_resize(&s, &stats);
    serves_like_any_other(&s);
    for (uint32_t i = 0; i < 16; i++)
        holds(&s, i, i < 9 ? moved_b : 0, s.always.core.shard_room.gpu_b);
    close_stage(&s);
}
END_TEST

/* The way back: blocks 0 to 8 over 16 GPUs, then 8: block 8 goes from GPU 8 in the other node to GPU 0, and GPU 8 leaves
 * when it has, GPUs 9 to 15 at once. */
START_TEST(and_so_does_one_to_fewer_gpus)
{
    static struct stage s;
    struct kvt_core_stats stats;
    begin_resize(&s, 16, 8);
    kvt_core_stats(s.core, &stats);
    ck_assert_uint_eq(stats.resize.left_gpus, 7);
    ck_assert(!stats.resize.over);
    end_resize(&s, &stats);
    ck_assert_uint_eq(stats.resize.left_gpus, 8);
    ck_assert_uint_eq(stats.resize.leaving_ns, moved_b / 400 + 5200);
    serves_like_any_other(&s);
    for (uint32_t i = 0; i < 16; i++)
        holds(&s, i,
              i == 0  ? 2 * moved_b
              : i < 8 ? moved_b
                      : 0,
              i < 8 ? s.always.core.shard_room.gpu_b : 0);
    close_stage(&s);
}
END_TEST

/* Layers modulo GPUs, 8 and then 4 of them. A block of 8 layers of 100 bytes takes 100 on each of 8 GPUs of 2,400 bytes, and
 * 200 on each of 4 of 2,000: ten blocks fit. What a request computes with takes as much again, per page. */
static void few_config(struct kvt_core_config *c)
{
    kvt_core_config_init(c);
    c->page_numbers = false;
    c->gpu_pages = 24;
    c->prefill = (struct kvt_prefill_cost){1e6, 1000, 1};
    c->shard = (struct kvt_shard_config){.policy = kvt_shard_named("vertical"),
                                         .access = KVT_ACCESS_GATHER,
                                         .gpus = 8,
                                         .layers = 8,
                                         .kv_heads = 4,
                                         .block_tokens = 16,
                                         .slice_tokens = 160,
                                         .replicas = 1,
                                         .interleaved = true,
                                         .recent_blocks = 1};
    c->shard_room = (struct kvt_shard_room){.gpu_b = 2400, .unit_b = 100, .page_gpu_b = 100};
    c->resize = (struct kvt_resize_config){4, 10, 2000, 200, {1e6, 2000, 1}};
}

enum { PROMPTS = 6, PROMPT_BLOCKS = 4 };

static void prompt(struct kvt_core *core, struct kvt_null *world, kvt_ns at, uint64_t id,
                   uint32_t which)
{
    kvt_key keys[PROMPT_BLOCKS];
    for (uint32_t i = 0; i < PROMPT_BLOCKS; i++)
        keys[i] = (kvt_key){kvt_mix64(which + 1), kvt_mix64(which * 100 + i)};
    const struct kvt_request q = {.id = id,
                                  .arrive_ns = at,
                                  .session = KVT_NONE,
                                  .prompt_tokens = PROMPT_BLOCKS * 16 + 1,
                                  .n_keys = PROMPT_BLOCKS,
                                  .keys = keys};
    ck_assert_int_eq(kvt_null_world()->advance(world, core, at), 0);
    ck_assert_int_eq(kvt_core_request(core, at, &q), 0);
    ck_assert_int_eq(kvt_null_world()->advance(world, core, at), 0);
}

/* Nothing else goes on: of what was held each block moved, was kept or was evicted; and of the six prompts, of which LRU keeps
 * the first blocks of the last ones, the last two are found whole and two blocks of the one before. */
START_TEST(what_is_worth_least_goes_and_nothing_else)
{
    static const uint32_t found[PROMPTS] = {0, 0, 0, 2, 4, 4};
    for (uint32_t ask = 0; ask < PROMPTS; ask++) {
        struct kvt_core_config c;
        int error;
        few_config(&c);
        ck_assert_msg(!kvt_core_config_check(&c), "%s", kvt_core_config_check(&c));
        const struct kvt_observer observer = {note, NULL};
        struct kvt_null *world = kvt_null_new(&heap, &observer);
        const struct kvt_port port = kvt_null_port(world);
        struct kvt_core *core = kvt_core_new(&c, &port, &heap, &error);
        ck_assert_ptr_nonnull(core);
        for (uint32_t i = 0; i < PROMPTS; i++)
            prompt(core, world, (i + 1) * KVT_SECOND, i, i);
        const kvt_ns at = 100 * KVT_SECOND;
        ck_assert_int_eq(kvt_null_world()->advance(world, core, at), 0);
        kvt_core_resize(core, at);
        ck_assert_int_eq(kvt_null_world()->advance(world, core, at), 0);
        struct kvt_core_stats s;
        struct kvt_core_gauges g;
        char why[200] = "";
        kvt_core_stats(core, &s);
        kvt_core_gauges(core, KVT_NONE, &g);
        ck_assert_msg(kvt_core_check(core, why, sizeof why), "%s", why);
        ck_assert(s.resize.over && s.resize.end_ns == at);
        ck_assert_uint_gt(s.resize.held_blocks, 10);
        ck_assert_uint_eq(s.resize.held_blocks,
                          s.resize.moved_blocks + s.resize.kept_blocks + s.resize.evicted_blocks);
        ck_assert_uint_eq(g.held_blocks[KVT_GPU], 10);
        ck_assert_uint_eq(s.resize.moved_blocks, 10);
        ck_assert_uint_eq(s.resize.moved_b, 10 * 4 * 100); /* layers 4 to 7 */
        ck_assert_uint_eq(s.resize.left_gpus, 4);
        prompt(core, world, 200 * KVT_SECOND, PROMPTS, ask);
        ck_assert_uint_eq(seen.id, PROMPTS);
        ck_assert_uint_eq(seen.hit_blocks, found[ask]);
        kvt_core_free(core);
        kvt_null_free(world);
    }
}
END_TEST

START_TEST(without_time_moves_take_none)
{
    static struct resolved r;
    int error;
    resolve_text(&r, 8, ", resize_at: 1s, resize_gpus: 16");
    struct kvt_null *world = kvt_null_new(&heap, NULL);
    const struct kvt_port port = kvt_null_port(world);
    const struct kvt_world_ops *ops = kvt_null_world();
    struct kvt_core *core = kvt_core_new(&r.core, &port, &heap, &error);
    ck_assert_ptr_nonnull(core);
    serve(core, ops, world, 0, 1, 20);
    const kvt_ns at = 1000 * KVT_SECOND;
    ck_assert_int_eq(ops->advance(world, core, at), 0);
    kvt_core_resize(core, at);
    ck_assert_int_eq(ops->advance(world, core, at), 0);
    struct kvt_core_stats stats;
    kvt_core_stats(core, &stats);
    ck_assert_uint_eq(stats.resize.end_ns, at);
    ck_assert_uint_eq(stats.resize.moved_blocks,
                      8); /* 8 to 15; 16 to 19 lie on GPU 0 to 3 both times */
    ck_assert_uint_eq(stats.resize.kept_blocks, 12);
    kvt_core_free(core);
    kvt_null_free(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resize, worlds");
    TCase *tc = tcase_create("resize");
    tcase_add_test(tc, a_move_alone_takes_its_closed_form);
    tcase_add_test(tc, and_so_does_one_to_fewer_gpus);
    tcase_add_test(tc, what_is_worth_least_goes_and_nothing_else);
    tcase_add_test(tc, without_time_moves_take_none);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
