/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_real_shards.c - engines whose GPUs are told apart, on real memory.
 *
 *   the same requests in both worlds, under every policy that is gathered, with and without copies: hits, evictions,
 *   keys, what each GPU holds, and what passes between GPUs, in and out, agree exactly
 *   whatever is served is compared byte for byte: as many as were served
 *   a run in a crowd, and one in which Redis is killed, stalled and restarted, replayed through core without any
 *   world: the same decisions
 *   values below do not depend on the policy
 *   a byte that is changed in one pool is found
 */
#include <hiredis/hiredis.h>

#include "mishaps.h"
#include "twin_fixture.h"

enum { GPUS = 4, LAYERS = 8 };

struct shape {
    const char *policy;
    bool interleaved;
    uint32_t replicas, layers;
};

static const struct shape shapes[] = {
    {"horizontal", false, 1, LAYERS}, {"horizontal", true, 1, LAYERS},
    {"horizontal", true, 2, LAYERS},  {"vertical", false, 1, LAYERS},
    {"vertical", true, 1, LAYERS},    {"vertical", false, 1, 6},
    {"hybrid", false, 1, LAYERS},     {"hybrid", false, 2, LAYERS},
    {"hybrid", false, 1, 3},          {"single", false, 1, LAYERS},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, OTHERS = 7 };

/* Bytes of a token in all layers and heads. */
static uint64_t once_b(const struct real *r)
{
    return k_packed_b(&r->config.geometry, r->config.geometry.layers, 1) * GPUS;
}

/* One engine of GPUs GPUs, which together have room for `blocks` blocks, once. */
static void shard(struct real *r, const struct shape *shape, uint32_t blocks)
{
    struct kvt_core_config *core = &r->core_config;
    real_init(r, blocks);
    r->config.gpus_per_engine = GPUS;
    r->config.geometry.layers = shape->layers;
    r->config.geometry.heads = 1;
    core->shard = (struct kvt_shard_config){.policy = kvt_shard_named(shape->policy),
                                            .access = KVT_ACCESS_GATHER,
                                            .gpus = GPUS,
                                            .layers = shape->layers,
                                            .kv_heads = GPUS,
                                            .block_tokens = REAL_BLOCK,
                                            .slice_tokens = 2 * REAL_BLOCK,
                                            .replicas = shape->replicas,
                                            .interleaved = shape->interleaved,
                                            .recent_blocks = 16};
    ck_assert_ptr_null(kvt_shard_check(&core->shard));
    core->shard_room = (struct kvt_shard_room){.gpu_b = blocks * REAL_BLOCK * once_b(r) / GPUS,
                                               .unit_b = REAL_BLOCK * once_b(r) / shape->layers,
                                               .page_gpu_b = REAL_PAGE * once_b(r) / GPUS};
    r->config.shard = core->shard;
    r->config.cells =
        (uint32_t)be_cells_needed(&core->shard, core->shard_room.gpu_b, core->shard_room.unit_b,
                                  core->shard_room.page_gpu_b, REAL_BLOCK / REAL_PAGE);
}

static void ask_any(struct real *r, uint32_t families)
{
    uint32_t names[CHAIN], family = (uint32_t)dice_below(families);
    for (uint32_t i = 0; i < CHAIN; i++)
        names[i] = family * 100 + i;
    real_request(r, names, 1 + (uint32_t)dice_below(CHAIN), (uint32_t)dice_below(30));
}

/* ---- Both worlds. ------------------------------------------------------------------------------- */

/* What the simulated world says of one link. */
static uint64_t link_b(const struct sim_world *world, uint32_t gpu, const char *way)
{
    char name[64];
    snprintf(name, sizeof name, "engine0/gpu%u/%s", gpu, way);
    for (uint32_t i = 0; i < sim_world_parts(world); i++) {
        struct sim_part_stats part;
        sim_world_part(world, i, &part);
        if (strcmp(part.name, name) == 0)
            return part.bytes;
    }
    ck_abort_msg("no link %s", name);
}

/* What each GPU holds, and what passed its ports. */
static void gpus_agree(const struct real *r, const struct simulated *s, bool even)
{
    uint64_t passed = 0;
    for (uint32_t g = 0; g < GPUS; g++) {
        struct kvt_core_gpu real, sim;
        struct be_gpu_stats gpu;
        MUST(kvt_core_gpu(r->core, (kvt_engine_id){0}, g, &real));
        MUST(kvt_core_gpu(s->core, (kvt_engine_id){0}, g, &sim));
        MUST(be_world_gpu(r->world, 0, g, &gpu));
        ck_assert_uint_eq(real.shards_b, sim.shards_b);
        ck_assert_uint_eq(real.stored_b, sim.stored_b);
        ck_assert_uint_eq(real.working_b, 0);
        ck_assert_uint_eq(gpu.working_b, 0);
        if (even) /* else cells of smaller shards are not full */
            ck_assert_uint_eq(gpu.shards_b, real.shards_b);
        ck_assert_uint_ge(gpu.shards_b, real.shards_b);
        ck_assert_uint_eq(gpu.gather_out_b + gpu.spread_out_b, link_b(s->world, g, "out"));
        ck_assert_uint_eq(gpu.gather_in_b + gpu.spread_in_b, link_b(s->world, g, "in"));
        ck_assert_uint_eq(gpu.up_b, link_b(s->world, g, "h2d"));
        ck_assert_uint_eq(gpu.down_b, link_b(s->world, g, "d2h"));
        passed += gpu.gather_out_b;
    }
    ck_assert_uint_gt(passed, 0);
}

/* Every byte that was served has been looked at: of all blocks that came to pages from anywhere. Workers compare when
 * they have nothing else to do, so what was served last may take a little. */
static void all_was_compared(struct real *r)
{
    struct kvt_core_stats stats;
    struct be_world_stats world;
    uint64_t served = 0;
    kvt_core_stats(r->core, &stats);
    be_world_stats(r->world, &world);
    for (int tier = 0; tier < KVT_TIERS; tier++)
        served += stats.loaded_blocks[tier];
    for (int i = 0; i < 1000 && world.verified_b < served * REAL_BLOCK * once_b(r); i++) {
        real_pass(r, KVT_MILLISECOND);
        be_world_stats(r->world, &world);
    }
    ck_assert_uint_gt(stats.loaded_blocks[KVT_GPU], 0);
    ck_assert_uint_eq(stats.loaded_blocks[KVT_GPU], stats.hit_blocks);
    ck_assert_uint_eq(world.verified_b, served * REAL_BLOCK * once_b(r));
    ck_assert_uint_eq(world.wrong_pieces, 0);
}

START_TEST(both_worlds_decide_the_same)
{
    /* Every policy with Redis; some with each of the others, and with none. */
    static const struct {
        enum kvt_tier_kind tier;
        int shape;
    } others[] = {{KVT_GPU, 0},  {KVT_GPU, 5},  {KVT_GPU, 7}, {KVT_HOST, 2},
                  {KVT_HOST, 6}, {KVT_DISK, 5}, {KVT_DISK, 7}};
    ck_assert_uint_eq(sizeof others / sizeof *others, OTHERS);
    const bool redis = _i < SHAPES;
    const struct shape *shape = &shapes[redis ? _i : others[_i - SHAPES].shape];
    const enum kvt_tier_kind tier = redis ? KVT_REDIS : others[_i - SHAPES].tier;
    struct watched w = {0};
    struct simulated s;
    struct validation v = {0};
    shard(&w.real, shape, 40);
    if (tier != KVT_GPU)
        real_tier(&w.real, tier, tier == KVT_REDIS ? 1000 : 60);
    watch(&w);
    simulate(&s, &w.real);
    dice_seed(31);
    for (uint64_t id = 0; id < 60; id++) {
        uint32_t names[CHAIN], family = (uint32_t)dice_below(10);
        uint32_t blocks = 1 + (uint32_t)dice_below(CHAIN), output = (uint32_t)dice_below(2);
        for (uint32_t i = 0; i < CHAIN; i++)
            names[i] = family * 100 + i;
        real_request(&w.real, names, blocks, output);
        real_drain(&w.real, 10 * KVT_SECOND);
        simulate_request(&s, &w.real, id, names, blocks, output);
        if (id % 15 == 14)
            MUST(be_world_shards_check(w.real.world));
    }
    gpus_agree(&w.real, &s, shape->layers == LAYERS);
    all_was_compared(&w.real);
    struct kvt_core_stats real, sim;
    kvt_core_stats(w.real.core, &real);
    kvt_core_stats(s.core, &sim);
    ck_assert_uint_eq(real.bytes_read[KVT_GPU], sim.bytes_read[KVT_GPU]);
    ck_assert_uint_eq(real.bytes_written[KVT_GPU], sim.bytes_written[KVT_GPU]);
    worlds_agree(&w, &s, &v);
    /* A comparison of nothing would agree, too. */
    ck_assert_uint_gt(count_named(&v, "hit blocks")->real, 50);
    ck_assert_uint_gt(count_named(&v, "evicted blocks gpu")->real, 20);
    ck_assert(tier == KVT_GPU || v.keys[tier].held_both > 0);
    validate_release(&v);
    simulate_end(&s);
    unwatch(&w);
}
END_TEST

/* ---- In a crowd. -------------------------------------------------------------------------------- */

START_TEST(a_crowd_and_its_twin)
{
    struct watched w = {0};
    shard(&w.real, &shapes[(const int[]){0, 5, 7, 9}[_i]], 60);
    w.real.config.engines = w.real.core_config.engines = 2;
    w.real.core_config.load_choice = KVT_LOAD_ADAPTIVE;
    w.real.core_config.load_patience = 0.5;
    w.real.core_config.prefill = (struct kvt_prefill_cost){2e5, 500, 0};
    real_tier(&w.real, KVT_HOST, 30);
    real_tier(&w.real, KVT_REDIS, 1000);
    real_tier(&w.real, KVT_DISK, 40);
    watch(&w);
    dice_seed(41 + (uint64_t)_i);
    for (int i = 0; i < 100; i++) {
        ask_any(&w.real, 20);
        real_pass(&w.real, dice_below(1500) * KVT_MICROSECOND);
    }
    real_drain(&w.real, 20 * KVT_SECOND);
    ck_assert_uint_eq(w.real.finished, w.real.sent);
    MUST(be_world_shards_check(w.real.world));
    replay_agrees(&w);
    unwatch(&w);
}
END_TEST

START_TEST(redis_dies_in_the_middle)
{
    struct watched w = {0};
    bool stalled = false;
    shard(&w.real, &shapes[_i ? 6 : 0], 40);
    real_tier(&w.real, KVT_REDIS, 1000);
    w.real.config.redis.timeout_ns = 40 * KVT_MILLISECOND;
    watch(&w);
    dice_seed(51 + (uint64_t)_i);
    for (int i = 0; i < 150; i++) {
        ask_any(&w.real, 12);
        real_pass(&w.real, dice_below(6) * KVT_MILLISECOND);
        if (i % 15 == 14)
            mishap(&w.real, &stalled);
    }
    real_drain(&w.real, 20 * KVT_SECOND);
    if (stalled)
        mishap(&w.real, &stalled);
    ck_assert_uint_eq(w.real.finished, w.real.sent);
    uint64_t failed = 0;
    for (size_t i = 0; i < w.meter.n_samples; i++)
        failed += w.meter.samples[i].status != KVT_OK && w.meter.samples[i].status != KVT_MISSING;
    ck_assert_uint_gt(failed, 0);
    replay_agrees(&w);
    unwatch(&w);
}
END_TEST

/* ---- Values. ------------------------------------------------------------------------------------ */

/* Of names and values of all keys, in whatever order. */
static uint64_t sum_of_values(const struct real *r, size_t *n)
{
    redisContext *redis = redisConnectUnix(r->nodes[0].path);
    ck_assert(redis != NULL && redis->err == 0);
    redisReply *keys = redisCommand(redis, "KEYS *");
    ck_assert(keys != NULL && keys->type == REDIS_REPLY_ARRAY);
    uint64_t sum = 0;
    for (size_t i = 0; i < keys->elements; i++) {
        redisReply *value =
            redisCommand(redis, "GET %b", keys->element[i]->str, keys->element[i]->len);
        ck_assert(value != NULL && value->type == REDIS_REPLY_STRING);
        sum += k_checksum(value->str, value->len) *
               (1 + 2 * k_checksum(keys->element[i]->str, keys->element[i]->len));
        freeReplyObject(value);
    }
    *n = keys->elements;
    freeReplyObject(keys);
    redisFree(redis);
    return sum;
}

START_TEST(values_do_not_depend_on_the_policy)
{
    uint64_t first = 0;
    for (size_t i = 0; i < SHAPES; i++) {
        struct watched w = {0};
        size_t n;
        if (shapes[i].layers != LAYERS)
            continue;
        shard(&w.real, &shapes[i], 60);
        w.real.config.piece_b = 3 * k_packed_b(&w.real.config.geometry, 1, REAL_BLOCK);
        real_tier(&w.real, KVT_REDIS, 1000);
        watch(&w);
        for (uint32_t f = 0; f < 3; f++) {
            uint32_t names[CHAIN];
            for (uint32_t k = 0; k < CHAIN; k++)
                names[k] = f * 100 + k;
            real_request(&w.real, names, CHAIN, 2);
            real_drain(&w.real, 10 * KVT_SECOND);
        }
        const uint64_t sum = sum_of_values(&w.real, &n);
        ck_assert_uint_eq(n, 3 * CHAIN * GPUS * 3); /* 8 layers in pieces of 3 */
        if (i == 0)
            first = sum;
        ck_assert_uint_eq(sum, first);
        replay_agrees(&w);
        unwatch(&w);
    }
}
END_TEST

/* ---- A wrong byte. ------------------------------------------------------------------------------ */

/* Changes one bit of a byte of one page of a pool: of the heads of GPU d of a block, where they lie. False: the pool
 * has no such page. */
static bool damage(const struct real *r, uint32_t pool, kvt_key key, uint32_t d, uint32_t layer,
                   uint32_t token)
{
    const struct be_device *device = be_world_device(r->world);
    struct k_geometry g = r->config.geometry;
    g.layers = be_cells_layers(&r->config.shard);
    const size_t b = k_packed_b(&g, g.layers, REAL_PAGE);
    unsigned char *there = malloc(b), *wanted = malloc(b);
    ck_assert(there != NULL && wanted != NULL);
    bool found = false;
    for (uint32_t cell = 0; cell < r->config.cells && !found; cell++) {
        const struct k_part part = {.pages = &cell, .tokens = REAL_PAGE, .layers = g.layers};
        struct k_part of = part;
        of.first_token = token / REAL_PAGE * REAL_PAGE;
        ck_assert_int_eq(device->ops->download(device->self, pool, &part, there), 0);
        k_fill_packed(&g, &of, be_seed(key, d), wanted);
        if (memcmp(there, wanted, b) != 0)
            continue;
        found = true;
        there[(2 * layer * REAL_PAGE + token % REAL_PAGE) * k_row_b(&g) + 5] ^= 0x10;
        ck_assert_int_eq(device->ops->upload(device->self, pool, &part, there), 0);
    }
    free(there);
    free(wanted);
    return found;
}

START_TEST(a_changed_byte_is_found)
{
    struct watched w = {0};
    struct real *r = &w.real;
    struct kvt_namespace ns;
    uint32_t names[CHAIN];
    shard(r, &shapes[1], 60); /* interleaved: block i on GPU i mod 4 */
    watch(&w);
    for (uint32_t i = 0; i < CHAIN; i++)
        names[i] = i;
    for (int round = 0; round < 2; round++) {
        real_request(r, names, CHAIN, 2);
        real_drain(r, 10 * KVT_SECOND);
    }
    MUST(kvt_namespace_init(&ns, "", "epoch", "layout") == 0);
    const kvt_key key = kvt_key_of_id(&ns, 2);
    /* Heads of another GPU: pool 2 has no other copy of them, not even one that nobody uses any more. */
    const uint32_t d = (3 + (uint32_t)_i % (GPUS - 1)) % GPUS, layer = (uint32_t)_i % LAYERS;
    const uint32_t token = (uint32_t)_i * 7 % REAL_BLOCK;
    ck_assert(damage(r, 2, key, d, layer, token));
    ck_assert(!damage(r, 2, key, d, layer, token));
    struct be_world_stats stats;
    be_world_stats(r->world, &stats);
    ck_assert_uint_eq(stats.wrong_pieces, 0);
    real_request(r, names, CHAIN, 2);
    int rc = 0;
    for (int i = 0; i < 1000 && rc == 0; i++)
        rc = r->ops->advance(r->world, r->core, real_now(r) + KVT_MILLISECOND);
    ck_assert_int_eq(rc, -EILSEQ);
    be_world_stats(r->world, &stats);
    ck_assert_uint_eq(stats.wrong_pieces, 1);
    kvt_core_tap(r->core, NULL);
    kvt_record_release(&w.record);
    unwatch(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("real shards");
    TCase *tcase = tcase_create("real shards");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, both_worlds_decide_the_same, 0, SHAPES + OTHERS);
    tcase_add_loop_test(tcase, a_crowd_and_its_twin, 0, 4);
    tcase_add_loop_test(tcase, redis_dies_in_the_middle, 0, 2);
    tcase_add_test(tcase, values_do_not_depend_on_the_policy);
    tcase_add_loop_test(tcase, a_changed_byte_is_found, 0, 6);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
