/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_regions.c - engines, Redis and traffic in several regions (core/region.h, sim/config.h, cli/regions.h).
 *
 *   a load from another region alone is the closed form of sim/world.h, to the nanosecond, whatever is narrowest
 *   two that go the same way share the link, two that go opposite ways do not
 *   core and world together, random traffic under every policy: every request ends once, in its own region; the bytes
 *   between regions are those of the blocks that core says came from or went to another one, on each link; the same
 *   seed twice is the same; a recording replays to the same digest
 *   recompute finds nothing of another region, remote-read does, replicate has it near
 *   homes follow the shares, and roaming is what was asked for
 */
#include <errno.h>

#include "cli/regions.h"
#include "core/key.h"
#include "core/replay.h"
#include "failing_alloc.h"
#include "record_fixture.h"
#include "sim_fixture.h"

/* ---- The world alone ---- */

/* Engines 0 and 1 in region 0, 2 in region 1; a Redis node in each. */
static struct sim_config two_regions(void)
{
    struct sim_config c = fixture_config();
    c.engines = 3;
    c.redis.nodes = 2;
    c.regions = (struct sim_regions){.engines = {.n = 2, .first = {0, 2, 3}},
                                     .rtt_ns = 2000001,
                                     .bps = NS_PER_BYTE(8),
                                     .connection_bps = NS_PER_BYTE(16)};
    return c;
}

/* Blocks of 1000 tokens, 64,000 bytes each, that lie in a region or are to. */
static void issue(enum fixture_kind kind, uint32_t op, uint32_t engine, uint32_t region, uint32_t n)
{
    struct kvt_block_ref refs[8];
    MUST(n <= 8);
    for (uint32_t i = 0; i < n; i++)
        refs[i] = (struct kvt_block_ref){.key = fixture_key(i), .tokens = 1000, .region = region};
    const struct kvt_transfer t = {.op = {op},
                                   .engine = {engine},
                                   .tier = KVT_REDIS,
                                   .n_blocks = n,
                                   .blocks = refs,
                                   .tokens = UINT64_C(1000) * n,
                                   .ttl_ns = kind == STORE ? KVT_NEVER : 0};
    const struct kvt_port port = sim_world_port(fixture.world);
    ck_assert_int_eq((kind == STORE ? port.ops->store : port.ops->load)(port.self, &t), 0);
}

/* Half a round trip there; one command, 3,000; four blocks on the wire at wire_ns a byte, its slowest stage; half a round
 * trip back; the last block through copy, 128,000, and h2d, 64,000, and 700. */
static void far_load_takes(const struct sim_config *c, uint64_t wire_ns)
{
    fixture_begin(c);
    issue(STORE, 1, 2, 1, 4);
    fixture_drain();
    ck_assert_uint_eq(sim_world_between_b(fixture.world, 1, 0), 0); /* near */
    const kvt_ns begin = fixture.now;
    issue(LOAD, 2, 0, 1, 4);
    fixture_drain();
    const struct kvt_done *d = &fixture_find(2)->done;
    ck_assert_int_eq(d->status, KVT_OK);
    ck_assert_uint_eq(fixture.now - begin,
                      1000000 + 3000 + wire_ns * 256000 + 1000001 + 128000 + 64000 + 700);
    ck_assert_uint_eq(fixture_span_sum(d), fixture.now - begin);
    ck_assert_uint_eq(sim_world_between_b(fixture.world, 1, 0), 256000);
    ck_assert_uint_eq(sim_world_between_b(fixture.world, 0, 1), 0);
    fixture_end();
}

START_TEST(a_far_load_alone_is_the_closed_form)
{
    struct sim_config c = two_regions();
    far_load_takes(&c, 8); /* the link */
    c.regions.connection_bps = NS_PER_BYTE(64);
    far_load_takes(&c, 16); /* four connections */
    c.regions.bps = NS_PER_BYTE(32);
    far_load_takes(&c, 32);
    c.regions.bps = c.regions.connection_bps = NS_PER_BYTE(1);
    far_load_takes(&c, 4); /* the process over there */
}
END_TEST

/* A store: d2h 2 ns a byte, copy 2, then the wire, 8, and a command; then the answer. */
START_TEST(a_far_store_alone_is_the_closed_form)
{
    const struct sim_config c = two_regions();
    fixture_begin(&c);
    issue(STORE, 1, 0, 1, 4);
    fixture_drain();
    ck_assert_uint_eq(fixture.now, 128000 + 700 + 128000 + 8 * 256000 + 1000000 + 3000 + 1000001);
    ck_assert_uint_eq(sim_world_between_b(fixture.world, 0, 1), 256000);
    issue(LOAD, 2, 0, 0, 4); /* what lies elsewhere is not here */
    fixture_drain();
    ck_assert_int_eq(fixture_find(2)->done.status, KVT_MISSING);
    fixture_end();
}
END_TEST

/* Engine 0 and 1 read from region 1, at one time or one after the other; or 0 reads while 2 reads from region 0. */
START_TEST(who_goes_the_same_way_shares_the_link)
{
    struct sim_config c = two_regions();
    c.redis.process_bps = c.redis.nic_bps = NS_PER_BYTE(1);
    kvt_ns took[3];
    for (int way = 0; way < 3; way++) {
        fixture_begin(&c);
        issue(STORE, 1, 2, 1, 4);
        issue(STORE, 2, 0, 0, 4);
        fixture_drain();
        const kvt_ns begin = fixture.now;
        issue(LOAD, 3, 0, 1, 4);
        if (way == 1)
            issue(LOAD, 4, 1, 1, 4);
        if (way == 2)
            issue(LOAD, 4, 2, 0, 4);
        fixture_drain();
        took[way] = fixture_find(3)->at - begin;
        fixture_end();
    }
    ck_assert_uint_eq(took[1] - took[0], 8 * 256000);
    ck_assert_uint_eq(took[2], took[0]);
}
END_TEST

START_TEST(worlds_that_make_no_sense_are_refused)
{
    char why[200];
    for (int i = 0; i < 7; i++) {
        struct sim_config c = two_regions();
        if (i == 1)
            c.regions.engines.first[2] = 2;
        else if (i == 2)
            c.regions.engines.first[1] = 0;
        else if (i == 3)
            c.redis.nodes = 3;
        else if (i == 4)
            c.regions.bps = 0;
        else if (i == 5)
            c.faults = true;
        else if (i == 6)
            c.regions.engines.n = KVT_REGIONS_MOST + 1;
        struct sim_world *w = sim_world_new(&c, NULL, why, sizeof why);
        ck_assert_msg((w != NULL) == (i == 0), "%d: %s", i, why);
        sim_world_free(w);
    }
}
END_TEST

/* ---- Core and world ---- */

enum { REQUESTS = 240, BLOCK = 64, KEYS = 40 };

struct outcome {
    uint32_t reported, times[REQUESTS];
    uint32_t region[REQUESTS];
    const struct kvt_regions *map;
    uint64_t hit_redis_tokens;
    kvt_ns ttft_ns;
    char digest[33];
    struct kvt_core_stats stats;
    uint64_t between_b[2];
    struct tape tape;
};

static void hear(void *self, const struct kvt_note *note)
{
    struct outcome *o = self;
    if (note->kind != KVT_NOTE_REPORT)
        return;
    const struct kvt_report *p = note->report;
    MUST(p->id < REQUESTS && o->times[p->id]++ == 0);
    MUST(p->outcome == KVT_FINISHED);
    MUST(kvt_region_of(o->map, p->engine.v) == o->region[p->id]);
    o->reported++;
    o->hit_redis_tokens += p->ledger_tokens[KVT_HIT_REDIS];
    o->ttft_ns += p->first_token_ns - p->arrive_ns;
}

struct cluster {
    struct kvt_core_config core;
    struct sim_config sim;
};

static struct cluster cluster(enum regions_policy policy, uint32_t seed)
{
    dice_seed(seed + 77);
    struct cluster c = {.sim = fixture_config()};
    kvt_core_config_init(&c.core);
    c.core.engines = c.sim.engines = 2 + (uint32_t)dice_below(3);
    c.sim.kv_b_per_token = 131072;
    c.sim.piece_b = 2 << 20;
    c.sim.host = (struct sim_host){.h2d_bps = 20e9,
                                   .d2h_bps = 20e9,
                                   .copy_latency_ns = 700,
                                   .copy_threads = 4,
                                   .copy_thread_bps = 10e9};
    c.sim.network.engine_nic_bps = 11.9e9;
    c.sim.network.connection_bps = 1.25e9;
    c.sim.redis.nic_bps = 3.7e9;
    c.sim.redis.process_bps = 1.9e9;
    c.sim.redis.nodes = 2 * (1 + (uint32_t)dice_below(3));
    c.core.block_tokens = BLOCK;
    c.core.page_tokens = 16;
    c.core.gpu_pages = 400 + dice_below(1000);
    c.core.max_batch_requests = 16;
    c.core.router = (enum kvt_router_kind)dice_below(4);
    c.core.load_choice = dice_one_in(2) ? KVT_LOAD_ALWAYS : KVT_LOAD_ADAPTIVE;
    c.core.load_patience = 0; /* what is given up has moved bytes, too */
    c.core.store_pages_ratio = dice_one_in(2) ? 0 : 0.125;
    c.core.tiers[KVT_REDIS] = (struct kvt_tier_config){.present = true,
                                                       .capacity_blocks = UINT64_MAX,
                                                       .capacity_b = UINT64_MAX,
                                                       .stored_b_per_token = 131072,
                                                       .ttl_ns = KVT_NEVER,
                                                       .write_through = true,
                                                       .probe = dice_one_in(2),
                                                       .load_fixed_ns = 100000,
                                                       .load_ns_per_token = 10};
    if (dice_one_in(2))
        c.core.tiers[KVT_REDIS].capacity_blocks = 50 + dice_below(500);
    c.core.regions = (struct kvt_regions){.n = 2,
                                          .first = {0, 1, c.core.engines},
                                          .read_far = policy == REGIONS_REMOTE_READ,
                                          .write_far = policy == REGIONS_REPLICATE,
                                          .load_fixed_ns = 65e6,
                                          .load_ns_per_token = 100};
    c.sim.regions = (struct sim_regions){.engines = c.core.regions,
                                         .rtt_ns = 65 * KVT_MILLISECOND,
                                         .bps = 6.25e9,
                                         .connection_bps = 1.03e9};
    sim_gpu_prepare(&c.sim.gpu);
    sim_gpu_prefill_cost(&c.sim.gpu, c.core.max_batch_tokens, &c.core.prefill);
    return c;
}

static void draw_request(struct kvt_request *r, uint64_t i, kvt_key *keys)
{
    static const struct kvt_namespace ns = {{1, 2, 3}};
    const uint64_t root = dice_below(5), shared = dice_below(KEYS);
    uint64_t id = root + 1;
    *r = (struct kvt_request){.id = i,
                              .session = (uint32_t)root,
                              .region = (uint32_t)dice_below(2),
                              .prompt_tokens = BLOCK + (uint32_t)dice_below(KEYS * BLOCK - 200),
                              .output_tokens = (uint32_t)dice_below(40),
                              .keys = keys};
    r->n_keys = (r->prompt_tokens + r->output_tokens) / BLOCK;
    for (uint32_t k = 0; k < r->n_keys; k++) {
        id = kvt_mix64(id + (k < shared ? 1 : 1000 + i));
        keys[k] = kvt_key_of_id(&ns, id);
    }
}

static void replay(const struct cluster *c, const struct outcome *o)
{
    struct failing_alloc memory;
    struct kvt_replay r;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    int rc = kvt_replay_init(&r, alloc, o->tape.bytes, o->tape.n, NULL);
    ck_assert_int_eq(rc, 0);
    const struct kvt_port port = kvt_replay_port(&r);
    struct kvt_core *core = kvt_core_new(&c->core, &port, alloc, &rc);
    ck_assert_ptr_nonnull(core);
    while ((rc = kvt_replay_step(&r, core)) == 1) {
    }
    ck_assert_int_eq(rc, 0);
    char digest[33];
    kvt_core_digest(core, digest);
    ck_assert_str_eq(digest, o->digest);
    kvt_core_free(core);
    kvt_replay_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}

static void go(const struct cluster *c, uint32_t seed, struct outcome *o)
{
    struct failing_alloc memory;
    char why[200] = "";
    *o = (struct outcome){.map = &c->core.regions};
    const struct kvt_observer observer = {hear, o};
    struct sim_world *world = sim_world_new(&c->sim, &observer, why, sizeof why);
    ck_assert_msg(world != NULL, "%s", why);
    const char *unusable = kvt_core_config_check(&c->core);
    ck_assert_msg(!unusable, "%s", unusable);
    const struct kvt_port port = sim_world_port(world);
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    int error;
    struct kvt_core *core = kvt_core_new(&c->core, &port, alloc, &error);
    ck_assert_ptr_nonnull(core);
    struct kvt_record record;
    const struct kvt_sink sink = tape_sink(&o->tape);
    ck_assert_int_eq(kvt_record_init(&record, alloc, &sink), 0);
    kvt_core_tap(core, kvt_record_tap(&record));
    dice_seed(seed);
    kvt_ns now = 0;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        kvt_key keys[KEYS];
        struct kvt_request r;
        now += dice_below(400 * KVT_MILLISECOND);
        draw_request(&r, i, keys);
        r.arrive_ns = now;
        o->region[i] = r.region;
        ck_assert_int_eq(sim_world_ops()->advance(world, core, now), 0);
        ck_assert_int_eq(kvt_core_request(core, now, &r), 0);
        if (i % 40 == 0)
            ck_assert_msg(kvt_core_check(core, why, sizeof why), "%s", why);
    }
    while (sim_world_ops()->next(world) != KVT_NEVER)
        ck_assert_int_eq(sim_world_ops()->advance(world, core, sim_world_ops()->next(world)), 0);
    ck_assert_msg(kvt_core_check(core, why, sizeof why), "%s", why);
    ck_assert_int_eq(kvt_record_finish(&record), 0);
    kvt_core_digest(core, o->digest);
    kvt_core_stats(core, &o->stats);
    o->between_b[0] = sim_world_between_b(world, 0, 1);
    o->between_b[1] = sim_world_between_b(world, 1, 0);
    ck_assert_uint_eq(o->reported, REQUESTS);
    kvt_core_free(core);
    kvt_record_release(&record);
    sim_world_free(world);
    ck_assert(failing_alloc_clean(&memory));
}

START_TEST(bytes_between_regions_are_those_of_far_blocks)
{
    const enum regions_policy policy = (enum regions_policy)(_i % 3);
    const uint32_t seed = (uint32_t)_i / 3;
    const struct cluster c = cluster(policy, seed);
    static struct outcome o, again;
    go(&c, seed, &o);
    const uint64_t far = o.stats.far_loaded_blocks + o.stats.far_stored_blocks;
    ck_assert_uint_eq(o.between_b[0] + o.between_b[1], far * BLOCK * 131072);
    ck_assert((o.stats.far_loaded_blocks > 0) == (policy == REGIONS_REMOTE_READ));
    ck_assert((o.stats.far_stored_blocks > 0) == (policy == REGIONS_REPLICATE));
    go(&c, seed, &again);
    ck_assert_str_eq(o.digest, again.digest);
    ck_assert_uint_eq(o.ttft_ns, again.ttft_ns);
    replay(&c, &o);
    tape_release(&o.tape);
    tape_release(&again.tape);
}
END_TEST

/* The same prompt first in one region, then, when all has been stored, in the other. */
static void serve_elsewhere(enum regions_policy policy, struct kvt_core_stats *s)
{
    struct cluster c = cluster(policy, 3);
    c.core.load_choice = KVT_LOAD_ALWAYS;
    c.core.tiers[KVT_REDIS].capacity_blocks = UINT64_MAX;
    static struct outcome o;
    char why[200] = "";
    o = (struct outcome){.map = &c.core.regions, .region = {0, 1}};
    const struct kvt_observer observer = {hear, &o};
    struct sim_world *world = sim_world_new(&c.sim, &observer, why, sizeof why);
    ck_assert_msg(world != NULL, "%s", why);
    const struct kvt_port port = sim_world_port(world);
    struct failing_alloc memory;
    int error;
    struct kvt_core *core = kvt_core_new(&c.core, &port, failing_alloc_init(&memory, 0), &error);
    ck_assert_ptr_nonnull(core);
    kvt_key keys[20];
    for (uint32_t i = 0; i < 20; i++)
        keys[i] = fixture_key(i);
    for (uint32_t i = 0; i < 2; i++) {
        const kvt_ns now = i * 100 * KVT_SECOND;
        const struct kvt_request r = {.id = i,
                                      .arrive_ns = now,
                                      .session = KVT_NONE,
                                      .region = i,
                                      .prompt_tokens = 20 * BLOCK + 1,
                                      .n_keys = 20,
                                      .keys = keys};
        ck_assert_int_eq(sim_world_ops()->advance(world, core, now), 0);
        ck_assert_int_eq(kvt_core_request(core, now, &r), 0);
    }
    const struct kvt_request nowhere = {.arrive_ns = 0,
                                        .region = 2,
                                        .prompt_tokens = 5,
                                        .session = KVT_NONE};
    ck_assert_int_eq(kvt_core_request(core, 100 * KVT_SECOND, &nowhere), -EINVAL);
    while (sim_world_ops()->next(world) != KVT_NEVER)
        ck_assert_int_eq(sim_world_ops()->advance(world, core, sim_world_ops()->next(world)), 0);
    ck_assert_uint_eq(o.reported, 2);
    kvt_core_stats(core, s);
    kvt_core_free(core);
    sim_world_free(world);
    ck_assert(failing_alloc_clean(&memory));
}

START_TEST(each_policy_does_what_it_says)
{
    struct kvt_core_stats s;
    serve_elsewhere(REGIONS_RECOMPUTE, &s);
    ck_assert_uint_eq(s.ledger_tokens[KVT_HIT_REDIS], 0);
    ck_assert_uint_eq(s.ledger_tokens[KVT_COMPUTED_EVICTED], 20 * BLOCK); /* held elsewhere only */
    ck_assert_uint_eq(s.stored_blocks[KVT_REDIS], 40);
    serve_elsewhere(REGIONS_REMOTE_READ, &s);
    ck_assert_uint_eq(s.ledger_tokens[KVT_HIT_REDIS], 20 * BLOCK);
    ck_assert_uint_eq(s.far_loaded_blocks, 20);
    ck_assert_uint_eq(s.stored_blocks[KVT_REDIS], 20);
    serve_elsewhere(REGIONS_REPLICATE, &s);
    ck_assert_uint_eq(s.ledger_tokens[KVT_HIT_REDIS], 20 * BLOCK);
    ck_assert_uint_eq(s.far_loaded_blocks, 0);
    ck_assert_uint_eq(s.far_stored_blocks, 20);
    ck_assert_uint_eq(s.stored_blocks[KVT_REDIS], 40);
}
END_TEST

START_TEST(cores_that_make_no_sense_are_refused)
{
    for (int i = 0; i < 8; i++) {
        struct cluster c = cluster(REGIONS_REMOTE_READ, 1);
        struct kvt_regions *r = &c.core.regions;
        if (i == 1)
            r->first[2]--;
        else if (i == 2)
            r->first[1] = 0;
        else if (i == 3)
            c.core.tiers[KVT_REDIS].present = false;
        else if (i == 4)
            r->n = 1;
        else if (i == 5)
            c.core.tiers[KVT_PEER].present = true;
        else if (i == 6)
            r->load_ns_per_token = -1;
        else if (i == 7)
            r->n = KVT_REGIONS_MOST + 1;
        ck_assert_msg(!kvt_core_config_check(&c.core) == (i == 0), "%d", i);
    }
}
END_TEST

/* ---- Whose requests go where ---- */

START_TEST(homes_follow_the_shares)
{
    enum { N = 40000 };
    struct regions r = {.n = 3, .share = {0.5, 0.3, 0.2}, .seed = 7};
    uint32_t home[3] = {0}, away[3] = {0}, moved = 0, less = 0;
    for (uint32_t i = 0; i < N; i++) {
        struct kvt_request q = {.id = i, .session = i / 4};
        r.roam = 0;
        const uint32_t at = regions_of_request(&r, &q);
        q.id = i / 4 * 4; /* the session's, whichever request asks */
        ck_assert_uint_eq(regions_of_request(&r, &q), at);
        q.id = i;
        home[at]++;
        r.roam = 0.1;
        const bool few = regions_of_request(&r, &q) != at;
        r.roam = 0.25;
        const uint32_t then = regions_of_request(&r, &q);
        ck_assert(!few || then != at); /* who roams goes on to */
        less += few;
        moved += then != at;
        away[then] += then != at && at == 0;
        r.roam = 1;
        ck_assert_uint_ne(regions_of_request(&r, &q), at);
    }
    for (int i = 0; i < 3; i++) /* 10,000 sessions: four standard deviations are 2 % */
        ck_assert_double_eq_tol((double)home[i] / N, r.share[i], 0.02);
    ck_assert_double_eq_tol((double)moved / N, 0.25, 0.01);
    ck_assert_double_eq_tol((double)less / N, 0.1, 0.01);
    ck_assert_double_eq_tol((double)away[1] / (away[1] + away[2]), 0.6, 0.04);
    const struct kvt_request q = {.id = 1, .session = KVT_NONE};
    ck_assert_uint_eq(regions_of_request(&(struct regions){.n = 1}, &q), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("regions");
    TCase *world = tcase_create("world");
    tcase_add_test(world, a_far_load_alone_is_the_closed_form);
    tcase_add_test(world, a_far_store_alone_is_the_closed_form);
    tcase_add_test(world, who_goes_the_same_way_shares_the_link);
    tcase_add_test(world, worlds_that_make_no_sense_are_refused);
    suite_add_tcase(s, world);
    TCase *core = tcase_create("core");
    tcase_set_timeout(core, 60);
    tcase_add_loop_test(core, bytes_between_regions_are_those_of_far_blocks, 0, 24);
    tcase_add_test(core, each_policy_does_what_it_says);
    tcase_add_test(core, cores_that_make_no_sense_are_refused);
    suite_add_tcase(s, core);
    TCase *traffic = tcase_create("traffic");
    tcase_add_test(traffic, homes_follow_the_shares);
    suite_add_tcase(s, traffic);
    return kvt_test_main(s);
}
