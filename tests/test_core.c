/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_core.c - core under a world that does whatever the port allows (chaos_world.h).
 *
 * Random small clusters: one to four engines, few pages, any subset of tiers, short TTLs, all
 * routers, both touch orders, chunks of a few tokens; random requests that share prefixes. After
 * every event all invariants are checked (kvt_core_check), and at the end that every request and
 * every operation ended exactly once, that nothing leaked, and that the run moved on by itself to
 * its end: no livelock, no stall.
 */
#include "../core/core.h"
#include "chaos_world.h"
#include "kvt_test.h"
#include "failing_alloc.h"

enum { ROUNDS = 250, REQUESTS = 60, KEYS = 64, PREFIXES = 6 };

/* -1: as drawn */
static int page_numbers = -1;
static uint64_t peer_loads; /* asked for so far */

static enum kvt_router_kind any_router(struct chaos *w)
{
    return (enum kvt_router_kind)chaos_draw(w, 4);
}

/* A nanosecond, or some tenths of a second. */
static kvt_ns any_ttl(struct chaos *w)
{
    return chaos_draw(w, 5) ? (1 + chaos_draw(w, 20)) * 100 * KVT_MILLISECOND : 1;
}

/* Any policy that the tier may have, leaves first or not. */
static void any_policy(struct chaos *w, struct kvt_tier_config *tier, bool gpu)
{
    size_t n = 0;
    while (kvt_evict_all[n])
        n++;
    const struct kvt_evict_ops *ops;
    do
        ops = kvt_evict_all[chaos_draw(w, n)];
    while ((gpu && ops->refuses) || (ops->needs_ttl && tier->ttl_ns == KVT_NEVER));
    tier->evict = ops;
    tier->prefix_closed = chaos_draw(w, 2);
    if (chaos_draw(w, 3) == 0)
        tier->evict_config = (struct kvt_evict_config){.small_ratio = 0.3,
                                                       .ghost_ratio = 0.5,
                                                       .protected_ratio = 0.5,
                                                       .threshold = 1,
                                                       .warm_up_main = true};
}

/* Engines read from each other, wherever there are several, at any predicted cost. */
static void any_peers(struct chaos *w, struct kvt_core_config *c)
{
    struct kvt_tier_config *tier = &c->tiers[KVT_PEER];
    tier->present = chaos_draw(w, 2) && c->engines > 1;
    tier->load_fixed_ns = (double)chaos_draw(w, 1000);
    tier->load_ns_per_token = (double)chaos_draw(w, 3000);
    tier->no_promote = chaos_draw(w, 4) == 0;
}

/* At most one tier is written back, and of those only one that core manages may be exclusive. */
static void any_writing(struct chaos *w, struct kvt_core_config *c)
{
    static const enum kvt_tier_kind below[] = {KVT_HOST, KVT_REDIS, KVT_DISK};
    for (int t = 0; t < 3; t++) {
        struct kvt_tier_config *tier = &c->tiers[below[t]];
        tier->write_after = chaos_draw(w, 4) ? 0 : 1 + (uint32_t)chaos_draw(w, 3);
        tier->fill_loaded = chaos_draw(w, 3) == 0;
        tier->no_promote = chaos_draw(w, 6) == 0;
    }
    struct kvt_tier_config *back = &c->tiers[below[chaos_draw(w, 3)]];
    if (c->partial_blocks || chaos_draw(w, 2))
        return;
    back->write_back = true;
    back->write_through = false;
    back->exclusive = back->manager == KVT_MANAGED_BY_CORE && chaos_draw(w, 2);
    back->no_promote &= !back->exclusive;
}

static void any_quotas(struct chaos *w, struct kvt_core_config *c)
{
    static const double shares[] = {0.5, 0.25, 0.2};
    c->n_quotas = chaos_draw(w, 3) ? 0 : 1 + (uint32_t)chaos_draw(w, 3);
    for (uint32_t i = 0; i < c->n_quotas; i++)
        c->quotas[i] = shares[i];
}

static void any_tier(struct chaos *w, struct kvt_tier_config *tier, bool shared)
{
    tier->present = chaos_draw(w, 2);
    tier->capacity_blocks = chaos_draw(w, 3) ? 1 + chaos_draw(w, 30) : UINT64_MAX;
    tier->ttl_ns = chaos_draw(w, 3) ? KVT_NEVER : any_ttl(w);
    tier->ttl_refresh = chaos_draw(w, 2);
    tier->write_through = chaos_draw(w, 4) > 0;
    tier->probe = chaos_draw(w, shared ? 2 : 6) == 0;
    tier->manager = shared && chaos_draw(w, 2) ? KVT_MANAGED_BY_SERVER : KVT_MANAGED_BY_CORE;
    tier->stored_b_per_token = 10;
    tier->stored_b_per_block = 3;
    tier->capacity_b = chaos_draw(w, 3) ? UINT64_MAX : 200 + chaos_draw(w, 4000);
    tier->load_fixed_ns = (double)chaos_draw(w, 1000);
    tier->load_ns_per_token = (double)chaos_draw(w, 3000);
    any_policy(w, tier, false);
}

/* Whether engines are sharded: -1 sometimes, 0 never, 1 always. */
static int sharded = -1;

/* Whether requests bring tokens, and parts of blocks are reused where they can be. */
static bool in_parts;
static uint64_t part_tokens;

/* Any policy and access, over a few GPUs that hold what the pages say, or less. */
static void any_shard(struct chaos *w, struct kvt_core_config *c)
{
    if (sharded == 0 || (sharded < 0 && chaos_draw(w, 3)))
        return;
    do {
        c->shard = (struct kvt_shard_config){.policy = kvt_shard_all[chaos_draw(w, 5)],
                                             .access = (enum kvt_shard_access)chaos_draw(w, 2),
                                             .gpus = 1 + (uint32_t)chaos_draw(w, 6),
                                             .layers = 1 + (uint32_t)chaos_draw(w, 9),
                                             .kv_heads = (uint32_t)chaos_draw(w, 5),
                                             .block_tokens = c->block_tokens,
                                             .slice_tokens =
                                                 1 + (uint32_t)chaos_draw(w, 4 * c->block_tokens),
                                             .replicas = 1 + (uint32_t)chaos_draw(w, 3),
                                             .interleaved = chaos_draw(w, 2),
                                             .recent_blocks = 1 + chaos_draw(w, 30)};
    } while (kvt_shard_check(&c->shard));
    struct kvt_shards shape;
    kvt_shards_init(&shape, &c->shard);
    const uint32_t pages_per_block = c->block_tokens / c->page_tokens;
    c->shard_room.page_gpu_b = shape.weight_sum;
    c->shard_room.unit_b = (uint64_t)c->shard.gpus * pages_per_block;
    c->shard_room.gpu_b = UINT64_MAX;
    if (c->gpu_pages != UINT64_MAX && chaos_draw(w, 6))
        c->shard_room.gpu_b = c->gpu_pages * c->shard_room.page_gpu_b;
}

static void any_config(struct chaos *w, struct kvt_core_config *c)
{
    kvt_core_config_init(c);
    c->engines = 1 + (uint32_t)chaos_draw(w, chaos_draw(w, 5) ? 4 : CHAOS_ENGINES);
    c->page_tokens = 1u << chaos_draw(w, 3);
    c->block_tokens = c->page_tokens * (chaos_draw(w, 4) ? 1 + (uint32_t)chaos_draw(w, 4) : 1);
    c->gpu_pages = chaos_draw(w, 8) ? 20 + chaos_draw(w, 200) : UINT64_MAX;
    c->tiers[KVT_GPU].capacity_blocks = chaos_draw(w, 4) ? UINT64_MAX : 1 + chaos_draw(w, 40);
    c->tiers[KVT_GPU].ttl_ns = chaos_draw(w, 4) ? KVT_NEVER : any_ttl(w);
    c->page_numbers = chaos_draw(w, 3) > 0;
    c->pages_per_request = (uint32_t)chaos_draw(w, 3);
    c->window_tokens = chaos_draw(w, 2) ? 0 : 1 + (uint32_t)chaos_draw(w, 40);
    c->max_batch_requests = 1 + (uint32_t)chaos_draw(w, 8);
    c->max_batch_tokens = c->max_batch_requests + 1 + (uint32_t)chaos_draw(w, 60);
    c->contiguous_tokens = (uint32_t)chaos_draw(w, 200);
    c->cache = chaos_draw(w, 10) > 0;
    c->single_flight = chaos_draw(w, 3) > 0;
    c->partial_blocks = chaos_draw(w, 3) == 0;
    c->recompute_last_token = chaos_draw(w, 3) > 0;
    c->match = chaos_draw(w, 5) ? KVT_MATCH_CHAIN : KVT_MATCH_EXACT;
    c->touch = chaos_draw(w, 2) ? KVT_TOUCH_HEAD : KVT_TOUCH_LEAF;
    c->router = any_router(w);
    c->load_choice = (enum kvt_load_choice)chaos_draw(w, 3);
    c->load_patience = chaos_draw(w, 3) ? 2 : chaos_draw(w, 2) ? 0.01 : 1e-9;
    c->store_pages_ratio = chaos_draw(w, 3) ? 0.125 : 0;
    c->prefill = (struct kvt_prefill_cost){1e6, (double)chaos_draw(w, 3000), 1};
    c->history_blocks = chaos_draw(w, 3) ? UINT64_MAX : chaos_draw(w, 20);
    any_policy(w, &c->tiers[KVT_GPU], true);
    any_quotas(w, c);
    any_tier(w, &c->tiers[KVT_HOST], false);
    any_tier(w, &c->tiers[KVT_REDIS], true);
    any_tier(w, &c->tiers[KVT_DISK], false);
    any_writing(w, c);
    any_shard(w, c);
    if (!c->shard.policy) /* peers lend no shards */
        any_peers(w, c);
    for (int t = 0; c->shard.policy && t < KVT_TIERS; t++) /* not together */
        c->tiers[t].write_back = c->tiers[t].exclusive = false;
    c->reuse_partial =
        in_parts && !c->partial_blocks && c->match == KVT_MATCH_CHAIN && !c->shard.policy;
}

/* A prompt that begins with a part of one of a few known beginnings and goes on alone. A key
 * stands for everything before it, so the keys of the part that is its own are salted with the
 * request's number. */
static void any_request(struct chaos *w, const struct kvt_core_config *c, uint64_t id,
                        struct kvt_request *r, kvt_key keys[KEYS])
{
    const uint32_t most = c->block_tokens * 12;
    *r = (struct kvt_request){.id = id, .arrive_ns = w->now, .session = KVT_NONE, .keys = keys};
    r->tenant = (uint32_t)chaos_draw(w, 4);
    r->prompt_tokens = 1 + (uint32_t)chaos_draw(w, most);
    r->output_tokens = chaos_draw(w, 5) ? (uint32_t)chaos_draw(w, 30) : 0;
    r->background = id % 5 == 3;
    if (r->background)
        r->output_tokens = 0;
    const uint32_t tokens = r->prompt_tokens + r->output_tokens;
    const uint32_t all = (tokens + c->block_tokens - 1) / c->block_tokens;
    r->n_keys = chaos_draw(w, 3) ? all : (uint32_t)chaos_draw(w, all + 1);
    if (r->n_keys > KEYS)
        r->n_keys = KEYS;
    const bool twice = chaos_draw(w, 20) == 0; /* nonsense: a block that follows itself */
    const uint64_t prefix = chaos_draw(w, PREFIXES), shared = chaos_draw(w, 14);
    for (uint32_t i = 0; i < r->n_keys; i++) {
        const uint64_t whose = i < shared ? prefix : 1000 + id;
        keys[i] = (kvt_key){.hi = kvt_mix64(whose + 77), .lo = kvt_mix64(whose << 16 | i)};
        if (twice && i)
            keys[i] = keys[i - 1];
    }
}

/* Tokens that go with the keys: of blocks behind the same block the first ones are the same, then no more. */
static void add_tokens(const struct kvt_core_config *c, struct kvt_request *r, uint32_t *tokens)
{
    for (uint32_t i = 0; i < r->prompt_tokens; i++) {
        const uint32_t block = i / c->block_tokens, same = block * 5 % c->block_tokens;
        const uint64_t whose = block < r->n_keys ? r->keys[block].lo : r->id;
        tokens[i] = (uint32_t)kvt_mix64((i % c->block_tokens < same ? 0 : whose) + i);
    }
    r->tokens = tokens;
    r->root = (kvt_key){r->tenant % 2 + 1, 5};
}

static void check_all(const struct kvt_core *core, const struct chaos *w, uint64_t seed)
{
    char why[200] = "";
    const bool good = kvt_core_check(core, why, sizeof why);
    ck_assert_msg(good, "seed %llu at %llu ns: %s", (unsigned long long)seed,
                  (unsigned long long)w->now, why);
    ck_assert_msg(!w->bad[0], "seed %llu: %s", (unsigned long long)seed, w->bad);
    ck_assert_msg(!w->entered_twice && !w->two_steps, "seed %llu", (unsigned long long)seed);
}

static void toggle(struct chaos *w, struct kvt_core *core, const struct kvt_core_config *c)
{
    static const enum kvt_tier_kind tiers[] = {KVT_HOST, KVT_REDIS, KVT_DISK, KVT_GPU};
    const enum kvt_tier_kind tier = tiers[chaos_draw(w, 4)];
    const kvt_engine_id engine = {(uint32_t)chaos_draw(w, c->engines)};
    w->inside = true;
    if (chaos_draw(w, 3) ==
        0) { /* one of the beginnings that all share, and a key that nobody has */
        kvt_key keys[15] = {{1, 2}};
        const uint64_t whose = chaos_draw(w, PREFIXES);
        for (uint32_t i = 1; i < 15; i++)
            keys[i] = (kvt_key){.hi = kvt_mix64(whose + 77), .lo = kvt_mix64(whose << 16 | i)};
        kvt_core_discard(core, w->now, keys, 15);
    } else if (c->shard.policy && chaos_draw(w, 3) == 0) {
        kvt_core_gpu_lost(core, w->now, engine, (uint32_t)chaos_draw(w, c->shard.gpus));
    } else if (chaos_draw(w, 2)) {
        if (tier == KVT_GPU) /* its step dies with it */
            w->step_of[engine.v] = false;
        kvt_core_down(core, w->now, tier, engine);
    } else {
        kvt_core_up(core, w->now, tier, engine);
    }
    w->inside = false;
}

static void all_up(struct chaos *w, struct kvt_core *core, const struct kvt_core_config *c)
{
    w->inside = true;
    for (uint32_t e = 0; e < c->engines; e++)
        for (int t = 0; t < KVT_TIERS; t++)
            kvt_core_up(core, w->now, (enum kvt_tier_kind)t, (kvt_engine_id){e});
    w->inside = false;
}

/* Returns the digest's first byte's worth of proof that something was decided. */
static void live(uint64_t seed, char digest[33])
{
    struct chaos w;
    chaos_init(&w, seed, seed % 3 ? 15 : 0);
    struct kvt_core_config c;
    any_config(&w, &c);
    if (page_numbers >= 0)
        c.page_numbers = page_numbers;
    ck_assert_msg(!kvt_core_config_check(&c), "%s", kvt_core_config_check(&c));
    const struct kvt_port port = chaos_port(&w);
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    int error;
    struct kvt_core *core = kvt_core_new(&c, &port, alloc, &error);
    ck_assert_ptr_nonnull(core);
    w.core = core;
    const bool faults = seed % 4 == 1;
    kvt_key keys[KEYS];
    uint32_t tokens[12 * 16]; /* the longest prompt of the largest blocks */
    for (uint64_t id = 0; id < REQUESTS; id++) {
        struct kvt_request r;
        any_request(&w, &c, id, &r, keys);
        if (in_parts)
            add_tokens(&c, &r, tokens);
        w.inside = true;
        ck_assert_int_eq(kvt_core_request(core, w.now, &r), 0);
        w.inside = false;
        check_all(core, &w, seed);
        for (uint64_t n = chaos_draw(&w, 12); n && chaos_happen(&w, core); n--)
            check_all(core, &w, seed);
        if (faults && chaos_draw(&w, 6) == 0) {
            toggle(&w, core, &c);
            check_all(core, &w, seed);
        }
    }
    all_up(&w, core, &c);
    uint64_t events = 0;
    while (kvt_core_unfinished(core)) {
        ck_assert_msg(chaos_happen(&w, core), "seed %llu: stalled with %llu unfinished",
                      (unsigned long long)seed, (unsigned long long)kvt_core_unfinished(core));
        check_all(core, &w, seed);
        ck_assert_msg(++events < 200000, "seed %llu: livelock", (unsigned long long)seed);
    }
    while (w.n_ops)
        chaos_happen(&w, core);
    check_all(core, &w, seed);
    ck_assert_uint_eq(w.reports, REQUESTS);
    ck_assert_uint_eq(w.issued, w.completed);
    struct kvt_core_gauges g;
    kvt_core_gauges(core, KVT_NONE, &g);
    ck_assert_uint_eq(g.waiting + g.loading + g.running, 0);
    if (c.gpu_pages != UINT64_MAX)
        ck_assert_uint_eq(g.pages_free + g.pages_cached, g.pages_total);
    kvt_core_digest(core, digest);
    struct kvt_core_stats stats;
    kvt_core_stats(core, &stats);
    part_tokens += stats.radix_reused_tokens;
    kvt_core_free(core);
    ck_assert(failing_alloc_clean(&memory));
    chaos_release(&w);
    peer_loads += w.peer_loads;
}

START_TEST(survives_anything)
{
    char digest[33];
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        live(seed * 977, digest);
    ck_assert_uint_gt(peer_loads, ROUNDS);
}
END_TEST

START_TEST(same_inputs_same_decisions)
{
    char first[33], second[33], other[33];
    live(4242, first);
    live(4242, second);
    live(4243, other);
    ck_assert_str_eq(first, second);
    ck_assert_str_ne(first, other);
}
END_TEST

/* Any sharding policy and access, with GPUs that fail. */
START_TEST(survives_anything_sharded)
{
    char digest[33];
    sharded = 1;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        live(seed * 1009, digest);
    sharded = -1;
}
END_TEST

/* Parts of blocks, too, with preemptions, refusals and engines that go down in the middle of a copy. */
START_TEST(survives_anything_in_parts)
{
    char digest[33];
    in_parts = true;
    part_tokens = 0;
    for (uint64_t seed = 1; seed <= ROUNDS / 2; seed++)
        live(seed * 1013, digest);
    in_parts = false;
    ck_assert_uint_gt(part_tokens, ROUNDS);
}
END_TEST

/* Numbers of pages decide nothing. */
START_TEST(counted_pages_decide_the_same)
{
    in_parts = _i;
    for (uint64_t seed = 5000; seed < 5040; seed++) {
        char numbered[33], counted[33];
        page_numbers = 1;
        live(seed, numbered);
        page_numbers = 0;
        live(seed, counted);
        page_numbers = -1;
        ck_assert_str_eq(numbered, counted);
    }
}
END_TEST

START_TEST(refuses_nonsense)
{
    struct chaos w;
    chaos_init(&w, 1, 0);
    w.inside = true;
    struct kvt_core_config c;
    kvt_core_config_init(&c);
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    const struct kvt_port port = chaos_port(&w);
    int error;
    struct kvt_core *core = kvt_core_new(&c, &port, alloc, &error);
    kvt_key keys[4] = {{0, 1}, {0, 2}, {0, 3}, {0, 4}};
    struct kvt_request r = {.prompt_tokens = 0, .keys = keys};
    ck_assert_int_eq(kvt_core_request(core, 10, &r), -EINVAL);
    r.prompt_tokens = 16;
    r.n_keys = 2; /* one block, two keys */
    ck_assert_int_eq(kvt_core_request(core, 10, &r), -EINVAL);
    r.n_keys = 1;
    r.arrive_ns = 11; /* arrives after it was delivered */
    ck_assert_int_eq(kvt_core_request(core, 10, &r), -EINVAL);
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
    /* completions and timers that belong to nothing are ignored */
    kvt_core_done(core, 10, &(struct kvt_done){.op = {12345}});
    kvt_core_timer(core, 10, UINT64_MAX);
    kvt_core_free(core);
    c.block_tokens = 24;
    ck_assert_ptr_nonnull(kvt_core_config_check(&c));
    ck_assert_ptr_null(kvt_core_new(&c, &port, alloc, &error));
    ck_assert_int_eq(error, -EINVAL);
    chaos_release(&w);
}
END_TEST

/* Memory may run out at any request for it: core refuses cleanly and everything is given back. */
START_TEST(bears_allocation_failure)
{
    for (uint64_t fail_at = 1;; fail_at++) {
        struct chaos w;
        chaos_init(&w, 99, 0);
        struct kvt_core_config c;
        kvt_core_config_init(&c);
        c.gpu_pages = 100;
        c.block_tokens = c.page_tokens = 4;
        c.tiers[KVT_HOST].present = c.tiers[KVT_REDIS].present = true;
        struct failing_alloc memory;
        const struct kvt_alloc *alloc = failing_alloc_init(&memory, fail_at);
        const struct kvt_port port = chaos_port(&w);
        int error;
        struct kvt_core *core = kvt_core_new(&c, &port, alloc, &error);
        uint64_t accepted = 0;
        if (!core)
            ck_assert_int_eq(error, -ENOMEM);
        for (uint64_t id = 0; core && id < 30; id++) {
            struct kvt_request r;
            kvt_key keys[KEYS];
            any_request(&w, &c, id, &r, keys);
            w.inside = true;
            const int rc = kvt_core_request(core, w.now, &r);
            w.inside = false;
            ck_assert(rc == 0 || rc == -ENOMEM);
            accepted += rc == 0;
            check_all(core, &w, fail_at);
            chaos_happen(&w, core);
        }
        while (core && kvt_core_unfinished(core) && chaos_happen(&w, core))
            check_all(core, &w, fail_at);
        ck_assert_uint_eq(w.reports, accepted);
        kvt_core_free(core);
        ck_assert(failing_alloc_clean(&memory));
        chaos_release(&w);
        if (memory.gets < fail_at)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core");
    TCase *cases = tcase_create("core");
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, survives_anything);
    tcase_add_test(cases, survives_anything_sharded);
    tcase_add_test(cases, survives_anything_in_parts);
    tcase_add_test(cases, same_inputs_same_decisions);
    tcase_add_loop_test(cases, counted_pages_decide_the_same, 0, 2);
    tcase_add_test(cases, refuses_nonsense);
    tcase_add_test(cases, bears_allocation_failure);
    suite_add_tcase(suite, cases);
    return kvt_test_main(suite);
}
