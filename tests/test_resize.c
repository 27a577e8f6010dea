/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_resize.c - engines that get more GPUs, or fewer, while they serve.
 *
 * Small engines under a world that does whatever the port allows (chaos_world.h), resized at any moment: after every event
 * all invariants hold, among them that no GPU holds more than it can. What a move names is checked by who asks for it; at
 * the end nothing is lost or invented, every block lies where it would be placed anew, GPUs that should leave have left, and
 * a recording replays to the same decisions. How many move is counted beside. In other worlds: test_resize_worlds.c.
 */
#include "../cli/shards.h"
#include "../core/null.h"
#include "heap.h"
#include "chaos_record.h"
#include "kvt_test.h"

enum { ROUNDS = 300, REQUESTS = 50, KEYS = 24, BLOCK = 500 };

/* ---- A world that looks at moves ---------------------------------------------------------------- */

struct mover {
    struct chaos chaos;
    struct kvt_port inner;
    struct kvt_core_config config;
    bool resized, under_way[CHAOS_ENGINES];
    uint64_t asked_parts; /* weights times tokens of all moves that were accepted */
    uint64_t moves;
};

static int store(void *self, const struct kvt_transfer *t)
{
    struct mover *m = self;
    if (!t->n_moves)
        return m->inner.ops->store(&m->chaos, t);
    uint64_t parts = 0;
    ck_assert(m->resized && t->tier == KVT_GPU && t->n_blocks > 0 && t->n_blocks <= 64);
    for (uint32_t i = 0; i < t->n_moves; i++) {
        const struct kvt_shard_move *move = &t->moves[i];
        ck_assert(move->from != move->to && move->from < m->config.shard.gpus);
        ck_assert(move->to < m->config.resize.gpus &&
                  move->parts > 0); /* never to one that leaves */
        for (uint32_t k = 0; k < i; k++)
            ck_assert(t->moves[k].from != move->from || t->moves[k].to != move->to);
        parts += move->parts;
    }
    ck_assert_uint_le(parts,
                      (uint64_t)t->n_blocks * m->config.shard.layers * m->config.block_tokens);
    const int rc = m->inner.ops->store(&m->chaos, t);
    if (rc == 0) {
        m->asked_parts += parts;
        m->moves++;
    }
    return rc;
}

/* The port's other operations, which want the chaos world: it comes first in struct mover. */
static struct kvt_port port_of(struct mover *m, struct kvt_port_ops *ops)
{
    m->inner = chaos_port(&m->chaos);
    *ops = *m->inner.ops;
    ops->store = store;
    return (struct kvt_port){ops, m};
}

static void any_config(struct chaos *w, struct kvt_core_config *c, bool shrinks)
{
    static const char *const policies[] = {"horizontal", "vertical", "hybrid", "single"};
    kvt_core_config_init(c);
    c->engines = 1 + (uint32_t)chaos_draw(w, 3);
    c->page_tokens = 1u << chaos_draw(w, 3);
    c->block_tokens = c->page_tokens * (1 + (uint32_t)chaos_draw(w, 4));
    c->page_numbers = false;
    c->gpu_pages = 40 + chaos_draw(w, 200);
    c->max_batch_requests = 1 + (uint32_t)chaos_draw(w, 8);
    c->max_batch_tokens = c->max_batch_requests + 1 + (uint32_t)chaos_draw(w, 60);
    c->single_flight = chaos_draw(w, 3) > 0;
    c->prefill = (struct kvt_prefill_cost){1e6, (double)chaos_draw(w, 3000), 1};
    c->tiers[KVT_HOST].present = chaos_draw(w, 2);
    c->tiers[KVT_HOST].write_through = true;
    c->tiers[KVT_HOST].stored_b_per_token = 10;
    struct kvt_shard_config after;
    do {
        c->shard = (struct kvt_shard_config){.policy = kvt_shard_named(policies[chaos_draw(w, 4)]),
                                             .access = KVT_ACCESS_GATHER,
                                             .gpus = 2 + (uint32_t)chaos_draw(w, 4),
                                             .layers = 1 + (uint32_t)chaos_draw(w, 12),
                                             .kv_heads = 4,
                                             .block_tokens = c->block_tokens,
                                             .slice_tokens =
                                                 1 + (uint32_t)chaos_draw(w, 3 * c->block_tokens),
                                             .replicas = 1,
                                             .interleaved = chaos_draw(w, 2),
                                             .recent_blocks = 1 + chaos_draw(w, 30)};
        after = c->shard;
        after.gpus += 1 + (uint32_t)chaos_draw(w, 8);
        if (shrinks) {
            const uint32_t gpus = after.gpus;
            after.gpus = c->shard.gpus;
            c->shard.gpus = gpus;
        }
    } while (kvt_shard_check(&c->shard) || kvt_shard_check(&after) ||
             kvt_shard_join_check(&c->shard, &after));
    const uint64_t pages_per_block = c->block_tokens / c->page_tokens;
    c->shard_room.page_gpu_b = 2 * (uint64_t)c->shard.layers;
    c->shard_room.unit_b = c->shard.gpus * pages_per_block;
    c->shard_room.gpu_b = c->gpu_pages * c->shard_room.page_gpu_b;
    if (shrinks) { /* each GPU has to hold more of the weights, and of the heads perhaps */
        c->resize = (struct kvt_resize_config){
            .gpus = after.gpus,
            .gpu_pages = 1 + c->gpu_pages * after.gpus / c->shard.gpus,
            .gpu_b = c->shard_room.gpu_b - chaos_draw(w, 2) * c->shard_room.gpu_b / 4,
            .page_gpu_b = c->shard_room.page_gpu_b + chaos_draw(w, c->shard.layers),
            .prefill = {1e6, (double)chaos_draw(w, 4000), 1}};
        return;
    }
    c->resize = (struct kvt_resize_config){.gpus = after.gpus,
                                           .gpu_pages = c->gpu_pages * after.gpus / c->shard.gpus,
                                           .gpu_b = c->shard_room.gpu_b +
                                                    chaos_draw(w, 2) * c->shard_room.gpu_b / 4,
                                           .page_gpu_b = c->shard_room.page_gpu_b -
                                                         chaos_draw(w, c->shard.layers),
                                           .prefill = {1e6, (double)chaos_draw(w, 2000), 1}};
}

static void check_all(const struct kvt_core *core, const struct mover *m, uint64_t seed)
{
    char why[200] = "";
    ck_assert_msg(kvt_core_check(core, why, sizeof why), "seed %llu at %llu ns: %s",
                  (unsigned long long)seed, (unsigned long long)m->chaos.now, why);
    ck_assert_msg(!m->chaos.bad[0], "seed %llu: %s", (unsigned long long)seed, m->chaos.bad);
}

/* Nothing runs: what GPUs hold is what blocks are, to the byte. */
static void check_rest(const struct kvt_core *core, const struct kvt_core_config *c, bool over,
                       uint64_t seed)
{
    struct kvt_core_gauges g;
    kvt_core_gauges(core, KVT_NONE, &g);
    uint64_t held_b = 0;
    for (uint32_t e = 0; e < c->engines; e++) {
        for (uint32_t i = 0; i < c->resize.gpus || i < c->shard.gpus; i++) {
            struct kvt_core_gpu gpu;
            ck_assert(kvt_core_gpu(core, (kvt_engine_id){e}, i, &gpu));
            ck_assert_uint_eq(gpu.working_b, 0);
            ck_assert_uint_le(gpu.shards_b, gpu.capacity_b);
            ck_assert(i < c->resize.gpus || !over || !gpu.capacity_b);
            held_b += gpu.shards_b;
        }
    }
    ck_assert_msg(held_b == g.held_blocks[KVT_GPU] * c->shard.layers * c->shard_room.unit_b,
                  "seed %llu: bytes were lost or invented", (unsigned long long)seed);
}

/* The longest chain lies where G' GPUs would have it. Of policies whose rule this test knows without a prefix. */
static void check_places(const struct kvt_core *core, const struct kvt_core_config *c)
{
    uint8_t gpus[KEYS * KVT_SHARD_GPUS], want[KVT_SHARD_GPUS];
    uint32_t n;
    if (c->shard.policy != kvt_shard_named("horizontal") &&
        c->shard.policy != kvt_shard_named("vertical"))
        return;
    struct kvt_shard_config config = c->shard;
    config.gpus = c->resize.gpus;
    struct kvt_shards s;
    kvt_shards_init(&s, &config);
    const uint32_t blocks = kvt_core_shard_chain(core, (kvt_engine_id){0}, gpus, sizeof gpus, &n);
    for (uint32_t i = 0; i < blocks; i++) {
        kvt_shards_place(&s, &(struct kvt_shard_site){{1, 1}, i}, want);
        for (uint32_t layer = 0; layer < config.layers; layer++)
            ck_assert_uint_eq(gpus[i * n + kvt_core_shard_of(core, layer)],
                              want[kvt_shard_of(&s, layer, 0)]);
    }
}

/* Engines and GPUs that fail, before, while and after shards move. */
static void toggle(struct chaos *w, struct kvt_core *core, const struct kvt_core_config *c)
{
    const kvt_engine_id engine = {(uint32_t)chaos_draw(w, c->engines)};
    w->inside = true;
    if (chaos_draw(w, 3)) {
        kvt_core_gpu_lost(core, w->now, engine, (uint32_t)chaos_draw(w, 14));
    } else {
        w->step_of[engine.v] = false;
        kvt_core_down(core, w->now, KVT_GPU, engine);
        if (chaos_draw(w, 2))
            kvt_core_up(core, w->now, KVT_GPU, engine);
    }
    w->inside = false;
}

static uint64_t moved_blocks, moves, left_gpus, evicted_blocks;

static void live(uint64_t seed, bool shrinks)
{
    static struct mover m;
    struct chaos *w = &m.chaos;
    struct kvt_port_ops ops;
    memset(&m, 0, sizeof m);
    chaos_init(w, seed, seed % 3 ? 0 : 15);
    any_config(w, &m.config, shrinks);
    const struct kvt_core_config *c = &m.config;
    ck_assert_msg(!kvt_core_config_check(c), "%s", kvt_core_config_check(c));
    const struct kvt_port port = port_of(&m, &ops);
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct tape tape = {0};
    struct kvt_record record;
    const struct kvt_sink sink = {tape_write, &tape};
    ck_assert_int_eq(kvt_record_init(&record, alloc, &sink), 0);
    int error;
    struct kvt_core *core = kvt_core_new(c, &port, alloc, &error);
    ck_assert_ptr_nonnull(core);
    kvt_core_tap(core, kvt_record_tap(&record));
    const uint64_t when = chaos_draw(w, REQUESTS);
    kvt_key keys[KEYS];
    for (uint64_t id = 0; id < REQUESTS; id++) {
        struct kvt_request r;
        chaos_request(w, c, id, 20, KEYS, &r, keys);
        w->inside = true;
        ck_assert_int_eq(kvt_core_request(core, w->now, &r), 0);
        w->inside = false;
        check_all(core, &m, seed);
        for (uint64_t n = chaos_draw(w, 14); n && chaos_happen(w, core); n--)
            check_all(core, &m, seed);
        if (seed % 7 == 3 && chaos_draw(w, 6) == 0) {
            toggle(w, core, c);
            check_all(core, &m, seed);
        }
        if (id == when ||
            (id > when && chaos_draw(w, 20) == 0)) { /* the second time nothing happens */
            m.resized = w->inside = true;
            kvt_core_resize(core, w->now);
            w->inside = false;
            check_all(core, &m, seed);
        }
    }
    w->inside = true;
    for (uint32_t e = 0; e < c->engines; e++)
        kvt_core_up(core, w->now, KVT_GPU, (kvt_engine_id){e});
    w->inside = false;
    for (uint64_t events = 0; w->n_ops || w->n_timers; events++) {
        chaos_happen(w, core);
        check_all(core, &m, seed);
        ck_assert_msg(events < 200000, "seed %llu: livelock", (unsigned long long)seed);
    }
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
    struct kvt_core_stats stats;
    kvt_core_stats(core, &stats);
    check_rest(core, c, stats.resize.over, seed);
    if (!w->fail_percent && seed % 7 != 3) {
        ck_assert_msg(stats.resize.over, "seed %llu: not over", (unsigned long long)seed);
        ck_assert_uint_eq(stats.resize.failed_blocks, 0);
        ck_assert_uint_eq(stats.resize.moved_b * c->block_tokens,
                          m.asked_parts * c->shard_room.unit_b);
        check_places(core, c);
        ck_assert_uint_eq(stats.resize.left_gpus,
                          shrinks ? c->engines * (c->shard.gpus - c->resize.gpus) : 0);
    }
    left_gpus += stats.resize.left_gpus;
    evicted_blocks += stats.resize.evicted_blocks;
    moved_blocks += stats.resize.moved_blocks;
    moves += m.moves;
    char digest[33];
    kvt_core_digest(core, digest);
    kvt_core_free(core);
    ck_assert_int_eq(kvt_record_finish(&record), 0);
    kvt_record_release(&record);
    ck_assert(failing_alloc_clean(&memory));
    chaos_replays(c, &tape, digest);
    free(tape.bytes);
    chaos_release(w);
}

START_TEST(nothing_is_lost_or_invented)
{
    moves = moved_blocks = left_gpus = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        live(seed * 1019, false);
    ck_assert_uint_gt(moves, ROUNDS / 2);
    ck_assert_uint_gt(moved_blocks, ROUNDS);
    ck_assert_uint_eq(left_gpus, 0);
}
END_TEST

START_TEST(nor_when_engines_shrink)
{
    moves = moved_blocks = left_gpus = evicted_blocks = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        live(seed * 1031, true);
    ck_assert_uint_gt(moves, ROUNDS / 2);
    ck_assert_uint_gt(moved_blocks, ROUNDS);
    ck_assert_uint_gt(left_gpus, ROUNDS);
    ck_assert_uint_gt(evicted_blocks, ROUNDS);
}
END_TEST

/* ---- How many move ------------------------------------------------------------------------------ */

/* Of 4,000 prefixes the rendezvous hash moves the G'-th part that must go to new GPUs, and nothing else; the modulo moves
 * a block unless both remainders are equal; a range slice that is first on its GPU stays. */
START_TEST(policies_move_what_they_must)
{
    struct kvt_shard_config before = {.policy = kvt_shard_named("single"),
                                      .gpus = 8,
                                      .layers = 32,
                                      .kv_heads = 8,
                                      .block_tokens = 16,
                                      .slice_tokens = 160,
                                      .replicas = 1,
                                      .recent_blocks = 1};
    struct kvt_shard_config after = before;
    after.gpus = 12;
    struct kvt_shards a, b;
    kvt_shards_init(&a, &before);
    kvt_shards_init(&b, &after);
    uint32_t moved = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        uint8_t old, new;
        const struct kvt_shard_site site = {{kvt_mix64(i), kvt_mix64(i + 5000)}, 0};
        kvt_shards_place(&a, &site, &old);
        kvt_shards_place(&b, &site, &new);
        ck_assert(old == new || new >= 8);
        moved += old != new;
    }
    ck_assert_uint_gt(moved, 4000 / 3 - 120);
    ck_assert_uint_lt(moved, 4000 / 3 + 120);
    before.policy = after.policy = kvt_shard_named("horizontal");
    kvt_shards_init(&a, &before);
    kvt_shards_init(&b, &after);
    for (uint32_t i = 0; i < 240; i++) { /* 24 slices, the least common multiple */
        uint8_t old, new;
        kvt_shards_place(&a, &(struct kvt_shard_site){{1, 1}, i}, &old);
        kvt_shards_place(&b, &(struct kvt_shard_site){{1, 1}, i}, &new);
        ck_assert_uint_eq(old == new, i / 10 < 8);
    }
}
END_TEST

/* Joint shards keep together what both rules do, and weigh all layers once. */
START_TEST(joint_shards_are_the_coarsest)
{
    struct kvt_shard_config before = {.policy = kvt_shard_named("vertical"),
                                      .layers = 61,
                                      .kv_heads = 8,
                                      .block_tokens = 16,
                                      .slice_tokens = 160,
                                      .replicas = 1,
                                      .recent_blocks = 1};
    struct kvt_shard_config after = before;
    for (uint32_t g = 2; g < 20; g++) {
        for (uint32_t more = g + 1; more < 40; more++) {
            struct kvt_shard_joint joint;
            struct kvt_shards s;
            before.gpus = g;
            after.gpus = more;
            before.interleaved = after.interleaved = more % 2;
            ck_assert_ptr_null(kvt_shard_join_check(&before, &after));
            kvt_shards_join(&joint, &s, &before, &after);
            uint32_t weight = 0, pairs = 0;
            bool seen[64][64] = {{false}};
            for (uint32_t layer = 0; layer < 61; layer++) {
                bool *pair = &seen[kvt_shard_of(&joint.shape[0], layer, 0)]
                                  [kvt_shard_of(&joint.shape[1], layer, 0)];
                pairs += !*pair;
                *pair = true;
            }
            for (uint32_t k = 0; k < s.n; k++)
                weight += s.weight[k];
            ck_assert_uint_eq(weight, 61);
            ck_assert_uint_eq(s.n, pairs);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resize");
    TCase *tc = tcase_create("resize");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, nothing_is_lost_or_invented);
    tcase_add_test(tc, nor_when_engines_shrink);
    tcase_add_test(tc, policies_move_what_they_must);
    tcase_add_test(tc, joint_shards_are_the_coarsest);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
