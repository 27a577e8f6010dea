/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_faults.c - what breaks: random schedules over random clusters, and single stories.
 *
 *   any schedule      every request ends in one report, its ledger and spans add up, the core's invariants hold all
 *                     the way; the same again is the same; a recording of it, replayed, decides the same
 *   no ghost          between core and world a witness writes down what was stored where and who died when: no load
 *                     brings a block from a node that was dead all the while, or one that went with a node and was not
 *                     written since; none is good behind a value that failed its check
 *   stories           failover or not, by the timers; what a replica lacks; a share of the values; a breaker's pause
 */
#include "cli/faults.h"
#include "core/key.h"
#include "core/record.h"
#include "core/replay.h"
#include "failing_alloc.h"
#include "record_fixture.h"
#include "sim/fault.h"
#include "sim_fixture.h"

enum { REQUESTS = 250, KEYS_MOST = 24, WRITTEN = 1 << 15, OPS = 1 << 14, NODES = 4, ENGINES = 3 };

/* ---- The witness --------------------------------------------------------------------------------- */

static struct {
    struct kvt_port inner;
    struct sim_world *world;
    struct {
        bool live, load;
        enum kvt_tier_kind tier;
        kvt_ns issued_ns;
        uint32_t n;
        kvt_key keys[KEYS_MOST];
    } ops[OPS];
    struct {
        kvt_key key;
        bool used;
        kvt_ns written_ns; /* a store of it ended then, good or not: it may have arrived */
    } written[WRITTEN];
    const struct fault_plan *plan;
    uint64_t judged, refused;
} witness;

/* By the plan alone, without drawn times and replicas: dead from `from` to `until`? When did it last lose all by then? */
static bool dead_all_the_while(uint32_t node, kvt_ns from, kvt_ns until, kvt_ns *wiped_ns)
{
    bool dead = false;
    *wiped_ns = 0;
    for (uint32_t i = 0; i < witness.plan->n && !witness.plan->replicas; i++) {
        const struct fault *f = &witness.plan->faults[i];
        if (f->kind != FAULT_KILL || f->at != FAULT_REDIS || f->every_ns != KVT_NEVER ||
            node < f->first || node >= f->first + f->n || f->at_ns > until)
            continue;
        dead |= f->at_ns <= from && kvt_ns_add(f->at_ns, f->for_ns) > until;
        if (f->at_ns <= from && f->at_ns > *wiped_ns)
            *wiped_ns = f->at_ns;
    }
    return dead;
}

static uint32_t slot_of(kvt_key key)
{
    uint32_t i = (uint32_t)key.lo & (WRITTEN - 1);
    while (witness.written[i].used && !kvt_key_equal(witness.written[i].key, key))
        i = (i + 1) & (WRITTEN - 1);
    return i;
}

static void see(const struct kvt_transfer *t, bool load)
{
    MUST(t->op.v < OPS && t->n_blocks <= KEYS_MOST);
    witness.ops[t->op.v].live = true;
    witness.ops[t->op.v].load = load;
    witness.ops[t->op.v].tier = t->tier;
    struct sim_world_stats s;
    sim_world_stats(witness.world, &s);
    witness.ops[t->op.v].issued_ns = s.now;
    witness.ops[t->op.v].n = t->n_blocks;
    for (uint32_t i = 0; i < t->n_blocks; i++)
        witness.ops[t->op.v].keys[i] = t->blocks[i].key;
}

static int witness_load(void *self, const struct kvt_transfer *t)
{
    (void)self;
    see(t, true);
    return witness.inner.ops->load(witness.inner.self, t);
}

static int witness_store(void *self, const struct kvt_transfer *t)
{
    (void)self;
    see(t, false);
    return witness.inner.ops->store(witness.inner.self, t);
}

static void judge(struct kvt_core *core, kvt_ns now, const struct kvt_done *done)
{
    const uint32_t o = done->op.v;
    MUST(o < OPS);
    const bool redis = witness.ops[o].live && witness.ops[o].tier == KVT_REDIS;
    struct sim_world_stats s;
    sim_world_stats(witness.world, &s);
    MUST(now == s.now);
    for (uint32_t i = 0; redis && i < witness.ops[o].n; i++) {
        const kvt_key key = witness.ops[o].keys[i];
        const uint32_t slot = slot_of(key), node = kvt_key_server(key, NODES);
        if (!witness.ops[o].load) {
            witness.written[slot].key = key;
            witness.written[slot].used = true;
            witness.written[slot].written_ns = now;
        } else if (i < done->blocks_ok) {
            witness.judged++;
            kvt_ns wiped_ns;
            MUST(!dead_all_the_while(node, witness.ops[o].issued_ns, now, &wiped_ns));
            MUST(witness.written[slot].used && witness.written[slot].written_ns >= wiped_ns);
        }
    }
    witness.refused += redis && done->status == KVT_DOWN;
    witness.ops[o].live = false;
    kvt_core_done(core, now, done);
}

static void on_timer(struct kvt_core *core, kvt_ns now, uint64_t timer)
{
    kvt_core_timer(core, now, timer);
}

/* ---- A run --------------------------------------------------------------------------------------- */

struct story {
    struct kvt_core_config core;
    struct sim_config sim;
    struct fault_plan plan;
    uint64_t seed;
    kvt_ns gap_ns;
};

static struct {
    uint8_t times[REQUESTS];
    uint32_t reported, failed;
    uint64_t hash;
    char digest[33];
    struct kvt_core_stats stats;
    struct sim_world_stats world;
    struct fault_events events;
    kvt_ns ended_ns;
} run;

static void hear(void *self, const struct kvt_note *note)
{
    (void)self;
    if (note->kind != KVT_NOTE_REPORT)
        return;
    const struct kvt_report *r = note->report;
    uint64_t ledger = 0, spans = 0;
    MUST(r->id < REQUESTS && run.times[r->id]++ == 0);
    run.reported++;
    run.failed += r->outcome == KVT_FAILED;
    run.hash = kvt_mix64(run.hash ^ (r->finish_ns + r->id)) + r->first_token_ns;
    for (int c = 0; c < KVT_LEDGER; c++)
        ledger += r->ledger_tokens[c];
    for (int s = 0; s < KVT_SPANS; s++)
        spans += r->span_ns[s];
    if (r->outcome != KVT_FINISHED)
        return;
    MUST(ledger == r->prompt_tokens && spans == r->first_token_ns - r->arrive_ns);
}

/* Advances, with whatever breaks on the way. */
static void advance(struct fault_run *faults, struct sim_world *world, struct kvt_core *core,
                    kvt_ns until)
{
    for (kvt_ns due; (due = faults_next(faults)) <= until;) {
        MUST(sim_world_ops()->advance(world, core, due) == 0);
        MUST(faults_apply(faults, due) == 0);
    }
    MUST(sim_world_ops()->advance(world, core, until) == 0);
}

static void draw_request(const struct story *s, uint64_t i, struct kvt_request *r, kvt_key *keys)
{
    static const struct kvt_namespace ns = {{9, 8, 7}};
    const uint32_t block = s->core.block_tokens;
    const uint64_t root = dice_below(8);
    *r = (struct kvt_request){.id = i, .session = (uint32_t)root};
    r->prompt_tokens = 1 + (uint32_t)dice_below(20 * block);
    r->output_tokens = (uint32_t)dice_below(40);
    r->n_keys = r->prompt_tokens / block;
    const uint64_t shared = dice_below(20);
    uint64_t id = root + 1;
    for (uint32_t k = 0; k < r->n_keys; k++) {
        id = kvt_mix64(id + (k < shared ? 1 : 1000 + i));
        keys[k] = kvt_key_of_id(&ns, id);
    }
    r->keys = keys;
}

static void go(const struct story *s, struct tape *tape)
{
    static const struct kvt_observer observer = {.note = hear};
    static struct kvt_port_ops ops;
    struct failing_alloc memory, recorder;
    struct kvt_record record;
    char why[200] = "";
    int error = 0;
    memset(&run, 0, sizeof run);
    struct sim_world *world = sim_world_new(&s->sim, &observer, why, sizeof why);
    ck_assert_msg(world != NULL, "%s", why);
    witness.inner = sim_world_port(world);
    memset(&witness.ops, 0, sizeof witness.ops);
    memset(&witness.written, 0, sizeof witness.written);
    witness.world = world;
    witness.plan = &s->plan;
    ops = *witness.inner.ops;
    ops.load = witness_load;
    ops.store = witness_store;
    const struct kvt_port port = {&ops, witness.inner.self};
    sim_world_deliver(world, &(struct sim_deliver){.done = judge, .timer = on_timer});
    struct kvt_core *core = kvt_core_new(&s->core, &port, failing_alloc_init(&memory, 0), &error);
    ck_assert_msg(core != NULL, "%d %s", error, kvt_core_config_check(&s->core));
    if (tape) {
        const struct kvt_sink sink = tape_sink(tape);
        ck_assert_int_eq(kvt_record_init(&record, failing_alloc_init(&recorder, 0), &sink), 0);
        kvt_core_tap(core, kvt_record_tap(&record));
    }
    struct fault_run *faults = faults_begin(&s->plan, core, world, NULL);
    ck_assert(faults != NULL);
    dice_seed(s->seed);
    kvt_ns now = 0;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        kvt_key keys[KEYS_MOST];
        struct kvt_request r;
        now += dice_below(2 * s->gap_ns);
        draw_request(s, i, &r, keys);
        r.arrive_ns = now;
        advance(faults, world, core, now);
        MUST(kvt_core_request(core, now, &r) == 0);
        if (i % 10 == 0)
            ck_assert_msg(kvt_core_check(core, why, sizeof why), "%s (seed %llu)", why,
                          (unsigned long long)s->seed);
    }
    faults_last_request(faults);
    for (kvt_ns next; (next = sim_world_ops()->next(world)) != KVT_NEVER ||
                      (kvt_core_unfinished(core) > 0 && faults_next(faults) != KVT_NEVER);) {
        const kvt_ns due = faults_next(faults);
        now = next < due ? next : due;
        advance(faults, world, core, now);
    }
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
    ck_assert_msg(kvt_core_check(core, why, sizeof why), "%s", why);
    ck_assert_uint_eq(run.reported, REQUESTS);
    kvt_core_digest(core, run.digest);
    kvt_core_stats(core, &run.stats);
    sim_world_stats(world, &run.world);
    ck_assert_uint_eq(run.world.under_way, 0);
    run.ended_ns = now;
    faults_end(faults, now, &run.events);
    if (tape) {
        ck_assert_int_eq(kvt_record_finish(&record), 0);
        kvt_record_release(&record);
    }
    kvt_core_free(core);
    sim_world_free(world);
    ck_assert(failing_alloc_clean(&memory));
}

static void replay(const struct story *s, const struct tape *tape)
{
    struct failing_alloc memory, own;
    struct kvt_replay r;
    char digest[33];
    int error = 0, rc;
    ck_assert_int_eq(kvt_replay_init(&r, failing_alloc_init(&own, 0), tape->bytes, tape->n, NULL),
                     0);
    const struct kvt_port port = kvt_replay_port(&r);
    struct kvt_core *core = kvt_core_new(&s->core, &port, failing_alloc_init(&memory, 0), &error);
    ck_assert(core != NULL);
    while ((rc = kvt_replay_step(&r, core)) > 0) {
    }
    ck_assert_int_eq(rc, 0);
    kvt_core_digest(core, digest);
    ck_assert_str_eq(digest, run.digest);
    kvt_core_free(core);
    kvt_replay_release(&r);
}

/* ---- Clusters and schedules ---------------------------------------------------------------------- */

static struct kvt_tier_config tier(const struct sim_config *sim, uint64_t capacity_blocks)
{
    return (struct kvt_tier_config){.present = true,
                                    .capacity_blocks = capacity_blocks,
                                    .capacity_b = UINT64_MAX,
                                    .stored_b_per_token = sim->kv_b_per_token,
                                    .ttl_ns = KVT_NEVER,
                                    .write_through = true,
                                    .load_fixed_ns = 100000,
                                    .load_ns_per_token = 10};
}

static struct story plain(uint64_t seed)
{
    struct story s = {.sim = fixture_config(), .seed = seed, .gap_ns = 200 * KVT_MILLISECOND};
    kvt_core_config_init(&s.core);
    s.sim.seed = seed;
    s.sim.faults = true;
    s.sim.kv_b_per_token = 131072;
    s.sim.piece_b = 2 << 20;
    s.sim.host.h2d_bps = s.sim.host.d2h_bps = 20e9;
    s.sim.host.copy_threads = 4;
    s.sim.host.copy_thread_bps = 10e9;
    s.sim.network.engine_nic_bps = 11.9e9;
    s.sim.network.connection_bps = 1.25e9;
    s.sim.network.connections = 8;
    s.sim.redis.nodes = NODES;
    s.sim.redis.nic_bps = 3.7e9;
    s.sim.redis.process_bps = 1.9e9;
    s.sim.redis.timeout_ns = 500 * KVT_MILLISECOND;
    s.sim.disk.read_bps = 6.5e9;
    s.sim.disk.write_bps = 4e9;
    s.sim.disk.channels = 16;
    s.core.block_tokens = 64;
    s.core.page_tokens = 16;
    s.core.gpu_pages = 400;
    s.core.load_choice = KVT_LOAD_ALWAYS;
    s.core.tiers[KVT_REDIS] = tier(&s.sim, UINT64_MAX);
    s.core.tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
    s.plan = (struct fault_plan){.nodes = NODES,
                                 .engines = 1,
                                 .seed = seed,
                                 .failover_least_ns = 3 * KVT_SECOND,
                                 .failover_spread_ns = KVT_SECOND};
    sim_gpu_prepare(&s.sim.gpu);
    sim_gpu_prefill_cost(&s.sim.gpu, s.core.max_batch_tokens, &s.core.prefill);
    memset(&witness, 0, sizeof witness);
    return s;
}

static struct fault *add(struct story *s, enum scenario_fault_kind kind, enum fault_at at,
                         uint32_t first, kvt_ns at_ns, kvt_ns for_ns)
{
    struct fault *f = &s->plan.faults[s->plan.n++];
    *f = (struct fault){.kind = kind,
                        .at = at,
                        .first = first,
                        .n = 1,
                        .at_ns = at_ns,
                        .for_ns = for_ns,
                        .every_ns = KVT_NEVER,
                        .factor = kind == FAULT_SLOW ? 20 : 1,
                        .share = kind == FAULT_CORRUPT ? 0.3 : 0};
    snprintf(f->target, sizeof f->target, "%d/%u", (int)at, first);
    return f;
}

static void random_fault(struct story *s)
{
    static const struct {
        enum fault_at at;
        uint32_t kinds;
    } what[] = {{FAULT_REDIS, 31}, {FAULT_HOST, 29},  {FAULT_DISK, 31},
                {FAULT_GPU, 5},    {FAULT_ENGINE, 1}, {FAULT_NETWORK, 14}};
    const uint32_t w = (uint32_t)dice_below(6);
    enum scenario_fault_kind kind = (enum scenario_fault_kind)dice_below(FAULT_KINDS);
    while (!(what[w].kinds >> kind & 1))
        kind = (enum scenario_fault_kind)dice_below(FAULT_KINDS);
    const uint32_t parts = what[w].at == FAULT_REDIS ? NODES : s->sim.engines;
    const kvt_ns for_ns = dice_one_in(4) ? KVT_NEVER : (1 + dice_below(10000)) * KVT_MILLISECOND;
    struct fault *f = add(s, kind, what[w].at, (uint32_t)dice_below(parts),
                          dice_below(30000) * KVT_MILLISECOND, for_ns);
    if (dice_one_in(3)) {
        f->first = 0;
        f->n = parts;
    }
    if (dice_one_in(3) && for_ns != KVT_NEVER)
        f->every_ns = 5 * KVT_SECOND;
    if (kind == FAULT_SLOW && dice_one_in(2))
        f->latency_ns = dice_below(300) * KVT_MILLISECOND;
}

static struct story random_story(uint64_t seed)
{
    struct story s = plain(seed);
    dice_seed(seed + 77);
    s.sim.engines = s.core.engines = s.plan.engines = 1 + (uint32_t)dice_below(ENGINES);
    s.core.tiers[KVT_HOST] = tier(&s.sim, 20 + dice_below(200));
    s.core.tiers[KVT_DISK] = tier(&s.sim, 100 + dice_below(500));
    s.core.tiers[KVT_REDIS].probe = dice_one_in(3);
    if (s.core.engines > 1 && dice_one_in(2)) {
        s.core.tiers[KVT_PEER] = tier(&s.sim, UINT64_MAX);
        s.core.tiers[KVT_PEER].write_through = false;
        s.sim.peer.present = true;
        s.sim.peer.connections = 8;
    }
    s.core.router = (enum kvt_router_kind)dice_below(4);
    s.core.load_patience = dice_one_in(2) ? 2 : 0;
    s.core.single_flight = !dice_one_in(3);
    s.plan.replicas = s.sim.redis.replicated = dice_one_in(2);
    if (dice_one_in(4))
        s.sim.redis.timeout_ns = KVT_NEVER; /* what is cut off counts as dead */
    for (uint64_t n = 1 + dice_below(8); n > 0; n--)
        random_fault(&s);
    return s;
}

static void forget_events(void)
{
    free(run.events.event);
    run.events.event = NULL;
}

START_TEST(any_schedule)
{
    struct tape tape = {0};
    const struct story s = random_story((uint64_t)_i);
    go(&s, &tape);
    ck_assert_uint_eq(run.stats.finished + run.stats.rejected + run.failed, REQUESTS);
    replay(&s, &tape);
    char digest[33];
    memcpy(digest, run.digest, sizeof digest);
    const uint64_t hash = run.hash;
    const size_t events = run.events.n;
    forget_events();
    if (_i % 4 == 0) { /* the same again */
        go(&s, NULL);
        ck_assert_str_eq(digest, run.digest);
        ck_assert_uint_eq(hash, run.hash);
        ck_assert_uint_eq(events, run.events.n);
        forget_events();
    }
    tape_release(&tape);
}
END_TEST

/* ---- No ghosts ----------------------------------------------------------------------------------- */

START_TEST(nothing_comes_from_the_dead)
{
    struct story s = plain(40 + (uint64_t)_i);
    for (uint32_t i = 0; i < NODES; i++)
        add(&s, FAULT_KILL, FAULT_REDIS, i, (5 + 7 * i) * KVT_SECOND, 4 * KVT_SECOND);
    go(&s, NULL);
    ck_assert_uint_gt(witness.judged, 100);
    ck_assert_uint_gt(witness.refused, 0);
    ck_assert_uint_gt(run.stats.lost_blocks[KVT_REDIS], 0);
    ck_assert_uint_eq(run.events.n, NODES);
    forget_events();
}
END_TEST

/* ---- Stories ------------------------------------------------------------------------------------- */

static void kill_one(bool replicas, kvt_ns for_ns)
{
    struct story s = plain(7);
    s.plan.replicas = s.sim.redis.replicated = replicas;
    add(&s, FAULT_KILL, FAULT_REDIS, 1, 20 * KVT_SECOND, for_ns);
    go(&s, NULL);
    ck_assert_uint_eq(run.events.n, 1);
}

START_TEST(who_takes_over_and_when)
{
    kill_one(true, 20 * KVT_SECOND); /* the timers: 3 to 4 s */
    const struct fault_event *e = run.events.event;
    ck_assert(e->failed_over);
    ck_assert_uint_ge(e->until_ns - e->from_ns, 3 * KVT_SECOND);
    ck_assert_uint_le(e->until_ns - e->from_ns, 4 * KVT_SECOND);
    ck_assert_uint_eq(run.stats.lost_blocks[KVT_REDIS], 0);
    ck_assert_uint_le(run.world.keys_lost, 3); /* what had not arrived at the replica */
    forget_events();

    kill_one(
        true,
        2 * KVT_SECOND); /* started again before anybody notices: empty, and so is its replica */
    e = run.events.event;
    ck_assert(!e->failed_over);
    ck_assert_uint_eq(e->until_ns, e->from_ns + 2 * KVT_SECOND);
    ck_assert_uint_gt(run.world.keys_lost, 20);
    ck_assert_uint_gt(run.stats.lost_blocks[KVT_REDIS], 20);
    forget_events();

    kill_one(false, KVT_NEVER);
    e = run.events.event;
    ck_assert(!e->failed_over && e->until_ns == KVT_NEVER);
    ck_assert_uint_gt(run.world.keys_lost, 20);
    ck_assert_uint_gt(run.stats.ledger_tokens[KVT_COMPUTED_TIER_DOWN], 0);
    forget_events();
}
END_TEST

START_TEST(what_was_partitioned_is_kept)
{
    struct story s = plain(8);
    add(&s, FAULT_PARTITION, FAULT_REDIS, 0, 20 * KVT_SECOND, 5 * KVT_SECOND)->n = NODES;
    go(&s, NULL);
    ck_assert_uint_eq(run.world.keys_lost, 0);
    ck_assert_uint_eq(run.stats.lost_blocks[KVT_REDIS], 0);
    ck_assert_uint_gt(run.world.ended[KVT_TIMEOUT], 0);
    ck_assert_uint_gt(run.world.breakers_opened, 0);
    ck_assert_uint_gt(run.world.ended[KVT_DOWN], 0); /* then nobody asks any more */
    forget_events();
}
END_TEST

/* Late by the fault alone: from the deadline on breakers open. */
START_TEST(later_than_the_deadline)
{
    for (unsigned beyond = 0; beyond < 2; beyond++) {
        struct story s = plain(8);
        struct fault *f = add(&s, FAULT_SLOW, FAULT_REDIS, 0, 20 * KVT_SECOND, 5 * KVT_SECOND);
        f->n = NODES;
        f->factor = 1;
        f->latency_ns = beyond ? s.sim.redis.timeout_ns : s.sim.redis.timeout_ns / 100;
        go(&s, NULL);
        ck_assert_uint_eq(run.world.breakers_opened > 0, beyond);
        ck_assert_uint_eq(run.world.ended[KVT_TIMEOUT] > 0, beyond);
        ck_assert_uint_eq(run.world.ended[KVT_DOWN] > 0, beyond);
        ck_assert_uint_gt(run.stats.loaded_blocks[KVT_REDIS], 0);
        forget_events();
    }
}
END_TEST

START_TEST(full_and_corrupt)
{
    struct story s = plain(9);
    add(&s, FAULT_FULL, FAULT_REDIS, 0, 0, KVT_NEVER)->n = NODES;
    go(&s, NULL);
    ck_assert_uint_eq(run.stats.stored_blocks[KVT_REDIS], 0);
    ck_assert_uint_eq(run.stats.loaded_blocks[KVT_REDIS], 0);
    ck_assert_uint_gt(run.world.ended[KVT_BUSY], 0);
    forget_events();

    s = plain(9);
    struct fault *f = add(&s, FAULT_CORRUPT, FAULT_REDIS, 0, 0, KVT_NEVER);
    f->n = NODES;
    f->share = 1;
    go(&s, NULL);
    ck_assert_uint_gt(run.stats.stored_blocks[KVT_REDIS], 0);
    ck_assert_uint_eq(run.stats.loaded_blocks[KVT_REDIS], 0);
    ck_assert_uint_eq(run.stats.ledger_tokens[KVT_HIT_REDIS], 0);
    ck_assert_uint_gt(run.stats.ledger_tokens[KVT_COMPUTED_CORRUPT], 0);
    forget_events();
}
END_TEST

/* A fault that changes nothing leaves the run as it is, to the digest; a slow network does not. */
START_TEST(slow_is_slower)
{
    struct story s = plain(10);
    s.sim.faults = false;
    go(&s, NULL);
    char digest[33];
    const kvt_ns usual_ns = run.ended_ns;
    memcpy(digest, run.digest, sizeof digest);
    s.sim.faults = true;
    go(&s, NULL);
    ck_assert_str_eq(digest, run.digest);
    ck_assert_uint_eq(usual_ns, run.ended_ns);
    add(&s, FAULT_SLOW, FAULT_NETWORK, 0, 0, KVT_NEVER);
    go(&s, NULL);
    ck_assert_str_ne(digest, run.digest);
    forget_events();
}
END_TEST

START_TEST(faults_at_random_times_keep_to_their_mean)
{
    struct story s = plain(11);
    s.gap_ns = 100 * KVT_SECOND; /* seven hours */
    struct fault *f = add(&s, FAULT_FULL, FAULT_REDIS, 0, 0, KVT_SECOND);
    f->every_ns = 60 * KVT_SECOND;
    go(&s, NULL);
    const double expected = (double)run.ended_ns / (61.0 * KVT_SECOND);
    ck_assert_double_eq_tol((double)run.events.n, expected, 5 * sqrt(expected));
    for (size_t i = 1; i < run.events.n; i++)
        ck_assert_uint_ge(run.events.event[i].from_ns, run.events.event[i - 1].until_ns);
    forget_events();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("faults");
    TCase *t = tcase_create("schedules");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, any_schedule, 0, 60);
    tcase_add_loop_test(t, nothing_comes_from_the_dead, 0, 4);
    tcase_add_test(t, who_takes_over_and_when);
    tcase_add_test(t, what_was_partitioned_is_kept);
    tcase_add_test(t, later_than_the_deadline);
    tcase_add_test(t, full_and_corrupt);
    tcase_add_test(t, slow_is_slower);
    tcase_add_test(t, faults_at_random_times_keep_to_their_mean);
    suite_add_tcase(s, t);
    return kvt_test_main(s);
}
