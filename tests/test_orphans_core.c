/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_orphans_core.c - whole cores whose GPUs evict each by itself (orphans.h), under a world that does whatever the port
 * allows: all invariants after every event, a gathered context is always read whole, and a recording replays to the
 * same decisions.
 */
#include "../core/orphans.h"
#include "../core/shard_mask.h"
#include "chaos_record.h"
#include "dice.h"
#include "heap.h"

enum { ROUNDS = 300, REQUESTS = 60, KEYS = 24 };

struct watch {
    struct chaos chaos; /* first: the port's other operations want it */
    struct kvt_core_config config;
    uint64_t gathers, saved;
};

static uint64_t tokens_of(const struct kvt_transfer *t)
{
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < t->n_blocks; i++)
        tokens += t->blocks[i].tokens;
    return tokens;
}

static uint64_t parts_sum(const struct watch *w, const struct kvt_transfer *t)
{
    uint64_t sum = 0;
    for (uint32_t g = 0; g < w->config.shard.gpus; g++)
        sum += t->gpu_parts[g];
    return sum;
}

/* A context that is gathered is read once, all layers of it. */
static int load(void *self, const struct kvt_transfer *t)
{
    struct watch *w = self;
    if (t->tier == KVT_GPU) {
        ck_assert_uint_eq(parts_sum(w, t), tokens_of(t) * w->config.shard.layers);
        w->gathers++;
    }
    return chaos_transfer(self, t);
}

/* What is spread is stored in all copies, or less where something was left. */
static int store(void *self, const struct kvt_transfer *t)
{
    struct watch *w = self;
    const uint64_t whole = tokens_of(t) * w->config.shard.layers * w->config.shard.replicas;
    if (t->tier == KVT_GPU) {
        ck_assert_uint_gt(parts_sum(w, t), 0);
        ck_assert_uint_le(parts_sum(w, t), whole);
        w->saved += whole - parts_sum(w, t);
    }
    return chaos_transfer(self, t);
}

static void any_core(struct chaos *w, struct kvt_core_config *c)
{
    static const char *const policies[] = {"horizontal", "vertical", "hybrid", "single"};
    static const char *const orders[] = {"lru", "fifo", "s3-fifo", "sieve", "arc", "gdsf"};
    kvt_core_config_init(c);
    c->engines = 1 + (uint32_t)chaos_draw(w, 3);
    c->page_tokens = 1u << chaos_draw(w, 3);
    c->block_tokens = c->page_tokens * (1 + (uint32_t)chaos_draw(w, 4));
    c->page_numbers = chaos_draw(w, 2);
    c->gpu_pages = 40 + chaos_draw(w, 200);
    c->max_batch_requests = 1 + (uint32_t)chaos_draw(w, 8);
    c->max_batch_tokens = c->max_batch_requests + 1 + (uint32_t)chaos_draw(w, 60);
    c->single_flight = chaos_draw(w, 3) > 0;
    c->touch = chaos_draw(w, 2) ? KVT_TOUCH_LEAF : KVT_TOUCH_HEAD;
    c->prefill = (struct kvt_prefill_cost){1e6, (double)chaos_draw(w, 3000), 1};
    c->tiers[KVT_GPU].evict = kvt_evict_named(orders[chaos_draw(w, 6)]);
    if (chaos_draw(w, 4) == 0)
        c->tiers[KVT_GPU].capacity_blocks = 14 + chaos_draw(w, 20);
    c->tiers[KVT_HOST].present = chaos_draw(w, 2);
    c->tiers[KVT_HOST].write_through = true;
    c->tiers[KVT_HOST].no_promote = chaos_draw(w, 3) == 0;
    c->tiers[KVT_HOST].stored_b_per_token = 10;
    c->tiers[KVT_HOST].capacity_blocks = 10 + chaos_draw(w, 100);
    c->shard_alone = true;
    do {
        c->shard = (struct kvt_shard_config){.policy = kvt_shard_named(policies[chaos_draw(w, 4)]),
                                             .access = chaos_draw(w, 2) ? KVT_ACCESS_GATHER
                                                                        : KVT_ACCESS_IN_PLACE,
                                             .gpus = 2 + (uint32_t)chaos_draw(w, 6),
                                             .layers = 1 + (uint32_t)chaos_draw(w, 12),
                                             .kv_heads = 4,
                                             .block_tokens = c->block_tokens,
                                             .slice_tokens =
                                                 1 + (uint32_t)chaos_draw(w, 3 * c->block_tokens),
                                             .replicas = 1 + (uint32_t)chaos_draw(w, 2),
                                             .interleaved = chaos_draw(w, 2),
                                             .recent_blocks = 1 + chaos_draw(w, 30)};
    } while (kvt_shard_check(&c->shard));
    const uint64_t pages_per_block = c->block_tokens / c->page_tokens;
    c->shard_room.page_gpu_b = 2 * (uint64_t)c->shard.layers;
    c->shard_room.unit_b = c->shard.gpus * pages_per_block;
    c->shard_room.gpu_b = c->gpu_pages * c->shard_room.page_gpu_b;
}

static void check_core(const struct kvt_core *core, const struct watch *w, uint64_t seed)
{
    char why[200] = "";
    ck_assert_msg(kvt_core_check(core, why, sizeof why), "seed %llu at %llu ns: %s",
                  (unsigned long long)seed, (unsigned long long)w->chaos.now, why);
    ck_assert_msg(!w->chaos.bad[0], "seed %llu: %s", (unsigned long long)seed, w->chaos.bad);
}

static void check_rest(const struct kvt_core *core, const struct kvt_core_config *c)
{
    struct kvt_core_stats s;
    uint64_t orphans_b = 0;
    kvt_core_stats(core, &s);
    for (uint32_t e = 0; e < c->engines; e++) {
        for (uint32_t i = 0; i < c->shard.gpus; i++) {
            struct kvt_core_gpu gpu;
            ck_assert(kvt_core_gpu(core, (kvt_engine_id){e}, i, &gpu));
            ck_assert_uint_eq(gpu.working_b, 0);
            ck_assert_uint_le(gpu.shards_b, gpu.capacity_b);
            ck_assert_uint_le(gpu.orphans_b, gpu.shards_b);
            orphans_b += gpu.orphans_b;
        }
    }
    ck_assert_uint_eq(orphans_b, s.alone.orphan_b);
    ck_assert_uint_le(s.alone.orphan_b, s.alone.orphan_most_b);
    ck_assert_uint_le(s.alone.unusable_blocks, s.evicted_blocks[KVT_GPU]);
}

/* Engines and GPUs that fail, blocks that nobody wants any more. */
static void mishap(struct chaos *w, struct kvt_core *core, const struct kvt_core_config *c,
                   const kvt_key *keys, uint32_t n)
{
    const kvt_engine_id engine = {(uint32_t)chaos_draw(w, c->engines)};
    const uint64_t kind = chaos_draw(w, 4);
    w->inside = true;
    if (kind < 2) {
        kvt_core_gpu_lost(core, w->now, engine, (uint32_t)chaos_draw(w, c->shard.gpus));
    } else if (kind == 2) {
        kvt_core_discard(core, w->now, keys, n);
    } else {
        w->step_of[engine.v] = false;
        kvt_core_down(core, w->now, KVT_GPU, engine);
        kvt_core_up(core, w->now, KVT_GPU, engine);
    }
    w->inside = false;
}

static struct totals {
    uint64_t unusable, again, gathers, saved, missing_tokens;
} totals;

static void live(uint64_t seed, uint64_t fail_at)
{
    static struct watch m;
    struct chaos *w = &m.chaos;
    memset(&m, 0, sizeof m);
    chaos_init(w, seed, seed % 3 ? 0 : 15);
    any_core(w, &m.config);
    const struct kvt_core_config *c = &m.config;
    ck_assert_msg(!kvt_core_config_check(c), "%s", kvt_core_config_check(c));
    struct kvt_port_ops ops = *chaos_port(w).ops;
    ops.load = load;
    ops.store = store;
    const struct kvt_port port = {&ops, &m};
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, fail_at);
    struct tape tape = {0};
    struct kvt_record record;
    const struct kvt_sink sink = {tape_write, &tape};
    ck_assert_int_eq(kvt_record_init(&record, &heap, &sink), 0);
    int error;
    struct kvt_core *core = kvt_core_new(c, &port, alloc, &error);
    ck_assert(core || fail_at);
    if (core)
        kvt_core_tap(core, kvt_record_tap(&record));
    kvt_key keys[KEYS];
    for (uint64_t id = 0; core && id < REQUESTS; id++) {
        struct kvt_request r;
        chaos_request(w, c, id, 40, KEYS, &r, keys);
        w->inside = true;
        const int rc = kvt_core_request(core, w->now, &r);
        w->inside = false;
        ck_assert(rc == 0 || (rc == -ENOMEM && fail_at));
        check_core(core, &m, seed);
        for (uint64_t n = chaos_draw(w, 14); n && chaos_happen(w, core); n--)
            check_core(core, &m, seed);
        if (seed % 5 == 3 && chaos_draw(w, 6) == 0) {
            mishap(w, core, c, keys, r.n_keys);
            check_core(core, &m, seed);
        }
    }
    for (uint64_t events = 0; core && (w->n_ops || w->n_timers); events++) {
        chaos_happen(w, core);
        check_core(core, &m, seed);
        ck_assert_msg(events < 200000, "seed %llu: livelock", (unsigned long long)seed);
    }
    if (core) {
        ck_assert_uint_eq(kvt_core_unfinished(core), 0);
        check_rest(core, c);
        struct kvt_core_stats s;
        kvt_core_stats(core, &s);
        totals.unusable += s.alone.unusable_blocks;
        totals.again += s.alone.again_blocks;
        totals.missing_tokens += s.ledger_tokens[KVT_COMPUTED_SHARD_MISSING];
        totals.gathers += m.gathers;
        totals.saved += m.saved;
    }
    char digest[33] = "";
    if (core)
        kvt_core_digest(core, digest);
    kvt_core_free(core);
    ck_assert_int_eq(kvt_record_finish(&record), 0);
    kvt_record_release(&record);
    ck_assert(failing_alloc_clean(&memory));
    if (core && !fail_at)
        chaos_replays(c, &tape, digest);
    free(tape.bytes);
    chaos_release(w);
}

START_TEST(nothing_is_lost_or_invented)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        live(seed * 1019, 0);
    ck_assert_uint_gt(totals.unusable, 1000);
    ck_assert_uint_gt(totals.again, 500);
    ck_assert_uint_gt(totals.missing_tokens, 1000);
    ck_assert_uint_gt(totals.gathers, 1000);
    ck_assert_uint_gt(totals.saved, 1000);
}
END_TEST

/* Memory is out once, at whatever point. */
START_TEST(memory_is_out)
{
    for (uint64_t fail_at = 1; fail_at < 90; fail_at++)
        live(7 + fail_at % 5, fail_at);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("orphans, cores");
    TCase *tc = tcase_create("orphans");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, nothing_is_lost_or_invented);
    tcase_add_test(tc, memory_is_out);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
