/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_sim_run.c - core and simulated world together: small random clusters, end to end.
 *
 *   every request ends in exactly one report, whatever the cluster, and something always moves (watchdog)
 *   the ledger of each sums to its prompt, its spans to its TTFT, and its times are in order
 *   what the engines' notes say adds up to what the world's GPUs did
 *   the same run twice is the same, to the digest and the last report; another seed is another run
 *   a hit that is counted shortens the time that is billed
 *   Little's law: requests in the system, on average, are arrival rate times mean stay
 */
#include "core/key.h"
#include "failing_alloc.h"
#include "sim_fixture.h"

enum { REQUESTS_MOST = 600, KEYS_MOST = 64 };

struct cluster {
    struct kvt_core_config core;
    struct sim_config sim;
    uint64_t traffic_seed;
    uint32_t requests;
    kvt_ns mean_gap_ns;
};

/* What was seen of one run. */
static struct {
    struct kvt_report reports[REQUESTS_MOST];
    kvt_ns ended_ns[REQUESTS_MOST];
    uint8_t times[REQUESTS_MOST];
    uint32_t reported;
    kvt_ns step_ns[8];
    uint64_t steps, iterations;
    kvt_ns now;
    uint64_t hash;
    char digest[33];
    struct kvt_core_stats stats;
    struct sim_world_stats world;
} run;

static void hear(void *self, const struct kvt_note *note)
{
    (void)self;
    MUST(note->now >= run.now);
    run.now = note->now;
    if (note->kind == KVT_NOTE_STEP) {
        run.step_ns[note->engine.v] += note->now - note->begin_ns;
        run.steps++;
        run.iterations += note->iterations;
        return;
    }
    const struct kvt_report *r = note->report;
    MUST(r->id < REQUESTS_MOST && run.times[r->id] == 0);
    run.times[r->id]++;
    run.reports[r->id] = *r;
    run.ended_ns[r->id] = note->now;
    run.reported++;
    run.hash = kvt_mix64(run.hash ^ (r->finish_ns + r->id)) + r->first_token_ns;
}

static void check_report(const struct kvt_report *r, kvt_ns arrive_ns)
{
    MUST(r->arrive_ns == arrive_ns);
    if (r->outcome != KVT_FINISHED)
        return;
    uint64_t ledger = 0;
    kvt_ns spans = 0;
    for (int i = 0; i < KVT_LEDGER; i++)
        ledger += r->ledger_tokens[i];
    for (int i = 0; i < KVT_SPANS; i++)
        spans += r->span_ns[i];
    MUST(ledger == r->prompt_tokens);
    MUST(spans == r->first_token_ns - r->arrive_ns);
    MUST(r->arrive_ns <= r->start_ns && r->start_ns <= r->first_token_ns &&
         r->first_token_ns <= r->finish_ns);
    MUST(r->hit_blocks <= r->lookup_blocks);
}

/* ---- Traffic: prompts that share prefixes, drawn from a tree -------------------------------------- */

/* Request i of the traffic. Half of the prompts of a session start with the whole of the one before. */
static void draw_request(const struct cluster *c, uint64_t i, struct kvt_request *r, kvt_key *keys)
{
    static const struct kvt_namespace ns = {{1, 2, 3}};
    const uint32_t block = c->core.block_tokens;
    const uint64_t root = dice_below(6);
    r->id = i;
    r->tenant = 0;
    r->session = (uint32_t)root;
    r->prompt_tokens = 1 + (uint32_t)dice_below(40 * block);
    r->output_tokens = (uint32_t)dice_below(60);
    r->n_keys = (r->prompt_tokens + r->output_tokens) / block;
    if (r->n_keys > KEYS_MOST)
        r->n_keys = KEYS_MOST;
    /* Up to a random depth, the chain is the root's; behind it, its own. */
    const uint64_t shared = dice_below(40);
    uint64_t id = root + 1;
    for (uint32_t k = 0; k < r->n_keys; k++) {
        id = kvt_mix64(id + (k < shared ? 1 : 1000 + i));
        keys[k] = kvt_key_of_id(&ns, id);
    }
    r->keys = keys;
}

/* ---- One run ------------------------------------------------------------------------------------- */

static struct kvt_core *build(const struct cluster *c, struct failing_alloc *memory,
                              struct sim_world **world)
{
    static const struct kvt_observer observer = {.note = hear};
    char why[200] = "";
    *world = sim_world_new(&c->sim, &observer, why, sizeof(why));
    ck_assert_msg(*world != NULL, "%s", why);
    const char *unusable = kvt_core_config_check(&c->core);
    ck_assert_msg(!unusable, "%s", unusable);
    static struct kvt_port port;
    port = sim_world_port(*world);
    int error = 0;
    struct kvt_core *core = kvt_core_new(&c->core, &port, failing_alloc_init(memory, 0), &error);
    ck_assert_msg(core != NULL, "error %d", error);
    return core;
}

/* Delivers until nothing is left. The watchdog: in a day of the run's own time somebody must end. */
static void drain(struct kvt_core *core, struct sim_world *world)
{
    const struct kvt_world_ops *ops = sim_world_ops();
    kvt_ns next, moved_ns = run.now;
    uint64_t left = kvt_core_unfinished(core);
    while ((next = ops->next(world)) != KVT_NEVER) {
        ck_assert_int_eq(ops->advance(world, core, next), 0);
        if (kvt_core_unfinished(core) != left) {
            left = kvt_core_unfinished(core);
            moved_ns = next;
        }
        MUST(next - moved_ns < 86400 * KVT_SECOND);
    }
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
}

static void check_engines(const struct cluster *c, struct sim_world *world)
{
    for (uint32_t i = 0; i < sim_world_parts(world); i++) {
        struct sim_part_stats p;
        sim_world_part(world, i, &p);
        ck_assert_msg(p.busy_ratio >= 0 && p.busy_ratio <= 1, "%s: %f", p.name, p.busy_ratio);
        uint32_t engine;
        if (p.kind == SIM_PART_GPU && sscanf(p.name, "engine%u/gpu", &engine) == 1)
            ck_assert_double_le(fabs(p.busy_ratio * (double)run.world.now -
                                     (double)run.step_ns[engine]),
                                1000);
    }
    ck_assert_uint_eq(run.world.steps, run.steps);
    ck_assert_uint_eq(run.world.iterations, run.iterations);
    (void)c;
}

static void go(const struct cluster *c, uint32_t check_every)
{
    struct failing_alloc memory;
    struct sim_world *world;
    static kvt_ns arrivals[REQUESTS_MOST];
    memset(&run, 0, sizeof(run));
    struct kvt_core *core = build(c, &memory, &world);
    dice_seed(c->traffic_seed);
    kvt_ns now = 0;
    char why[200] = "";
    for (uint32_t i = 0; i < c->requests; i++) {
        kvt_key keys[KEYS_MOST];
        struct kvt_request r;
        now += dice_below(2 * c->mean_gap_ns);
        draw_request(c, i, &r, keys);
        r.arrive_ns = arrivals[i] = now;
        ck_assert_int_eq(sim_world_ops()->advance(world, core, now), 0);
        ck_assert_int_eq(kvt_core_request(core, now, &r), 0);
        memset(keys, 0xee, sizeof(keys));
        if (check_every && i % check_every == 0)
            ck_assert_msg(kvt_core_check(core, why, sizeof(why)), "%s", why);
    }
    drain(core, world);
    ck_assert_msg(kvt_core_check(core, why, sizeof(why)), "%s", why);
    kvt_core_stats(core, &run.stats);
    kvt_core_digest(core, run.digest);
    sim_world_stats(world, &run.world);
    ck_assert_uint_eq(run.reported, c->requests);
    for (uint32_t i = 0; i < c->requests; i++)
        check_report(&run.reports[i], arrivals[i]);
    check_engines(c, world);
    kvt_core_free(core);
    sim_world_free(world);
    ck_assert(failing_alloc_clean(&memory));
}

/* ---- Clusters ------------------------------------------------------------------------------------ */

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

/* One engine of the fixture, roughly a real one: 128 KiB a token, 20 GB/s to the GPU. */
static struct cluster plain_cluster(void)
{
    struct cluster c = {.sim = fixture_config(),
                        .traffic_seed = 1,
                        .requests = 200,
                        .mean_gap_ns = 300 * KVT_MILLISECOND};
    kvt_core_config_init(&c.core);
    c.sim.kv_b_per_token = 131072;
    c.sim.piece_b = 2 << 20;
    c.sim.host.h2d_bps = c.sim.host.d2h_bps = 20e9;
    c.sim.host.copy_threads = 4;
    c.sim.host.copy_thread_bps = 10e9;
    c.sim.network.engine_nic_bps = 11.9e9;
    c.sim.network.connection_bps = 1.25e9;
    c.sim.network.connections = 8;
    c.sim.redis.nic_bps = 3.7e9;
    c.sim.redis.process_bps = 1.9e9;
    c.sim.disk.read_bps = 6.5e9;
    c.sim.disk.write_bps = 4e9;
    c.sim.disk.channels = 16;
    c.core.block_tokens = 64;
    c.core.page_tokens = 16;
    c.core.gpu_pages = 3000;
    sim_gpu_prepare(&c.sim.gpu);
    sim_gpu_prefill_cost(&c.sim.gpu, c.core.max_batch_tokens, &c.core.prefill);
    return c;
}

static struct cluster random_cluster(uint64_t seed)
{
    dice_seed(seed + 1000);
    struct cluster c = plain_cluster();
    c.traffic_seed = seed;
    c.sim.seed = seed;
    c.sim.engines = c.core.engines = 1 + (uint32_t)dice_below(3);
    c.mean_gap_ns = (1 + dice_below(dice_one_in(2) ? 10 : 400)) * KVT_MILLISECOND;
    c.core.gpu_pages = 200 + dice_below(2000);
    c.core.max_batch_tokens = dice_one_in(2) ? 8192 : 256 + (uint32_t)dice_below(512);
    c.core.max_batch_requests = dice_one_in(2) ? 64 : 1 + (uint32_t)dice_below(8);
    c.core.router = (enum kvt_router_kind)dice_below(4);
    c.core.load_choice = dice_one_in(3) ? KVT_LOAD_ALWAYS : KVT_LOAD_ADAPTIVE;
    c.core.match = dice_one_in(4) ? KVT_MATCH_EXACT : KVT_MATCH_CHAIN;
    c.core.single_flight = !dice_one_in(3);
    c.core.load_patience = dice_one_in(3) ? 0.1 : dice_one_in(2) ? 0 : 2;
    if (!dice_one_in(3))
        c.core.tiers[KVT_HOST] = tier(&c.sim, 1 + dice_below(300));
    if (!dice_one_in(3)) {
        c.core.tiers[KVT_REDIS] = tier(&c.sim, UINT64_MAX);
        c.core.tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
        c.core.tiers[KVT_REDIS].probe = dice_one_in(2);
        c.core.tiers[KVT_REDIS].ttl_ns = dice_one_in(2) ? KVT_NEVER : 10 * KVT_SECOND;
        c.sim.redis.nodes = 1 + (uint32_t)dice_below(4);
        c.sim.redis.memory_b = (100 + dice_below(2000)) << 20;
        c.sim.redis.evicts = !dice_one_in(4);
        c.sim.redis.timeout_ns = dice_one_in(3) ? 50 * KVT_MILLISECOND : KVT_NEVER;
    }
    if (dice_one_in(2))
        c.core.tiers[KVT_DISK] = tier(&c.sim, 1 + dice_below(1000));
    return c;
}

START_TEST(random_clusters_serve_everyone)
{
    struct cluster c = random_cluster((uint64_t)_i);
    go(&c, 50);
    ck_assert_uint_eq(run.stats.finished + run.stats.rejected, c.requests);
    ck_assert_uint_gt(run.stats.finished, 0);
}
END_TEST

START_TEST(tiny_caches_do_not_live_lock)
{
    /* Room for hardly more than the longest prompt, one block on the host, a Redis that keeps next to nothing,
     * loads that are always wanted and soon given up. */
    dice_seed((uint64_t)_i);
    struct cluster c = random_cluster(500 + (uint64_t)_i);
    c.core.gpu_pages = 40 * 4 + 8 + dice_below(8);
    c.core.max_batch_requests = 8;
    c.core.load_choice = KVT_LOAD_ALWAYS;
    c.core.load_patience = 0.01;
    c.core.tiers[KVT_HOST] = tier(&c.sim, 1 + dice_below(3));
    c.core.tiers[KVT_REDIS] = tier(&c.sim, UINT64_MAX);
    c.core.tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
    c.core.tiers[KVT_REDIS].ttl_ns = KVT_NEVER;
    c.sim.redis.memory_b = 40 << 20;
    c.mean_gap_ns = 10 * KVT_MILLISECOND;
    go(&c, 50);
    ck_assert_uint_eq(run.stats.finished + run.stats.rejected, c.requests);
}
END_TEST

START_TEST(the_same_run_twice)
{
    char digest[3][33];
    uint64_t hash[3];
    for (int i = 0; i < 3; i++) {
        struct cluster c = random_cluster(3);
        c.core.tiers[KVT_REDIS] = tier(&c.sim, UINT64_MAX);
        c.core.tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
        c.sim.redis.memory_b = 200 << 20; /* so that chance has a say */
        c.traffic_seed = c.sim.seed = i < 2 ? 3 : 4;
        go(&c, 0);
        memcpy(digest[i], run.digest, sizeof(run.digest));
        hash[i] = run.hash;
    }
    ck_assert_str_eq(digest[0], digest[1]);
    ck_assert_uint_eq(hash[0], hash[1]);
    ck_assert_str_ne(digest[0], digest[2]);
    ck_assert_uint_ne(hash[0], hash[2]);
}
END_TEST

/* ---- A hit is time saved ------------------------------------------------------------------------- */

/* Serves the same prompt of 32 blocks twice, alone, with `crowd` other prompts in between that drive it out of the
 * GPU. Returns the second TTFT in *second_ns, the first as value. */
static kvt_ns serve_twice(const struct cluster *c, uint32_t crowd, kvt_ns *second_ns)
{
    static const struct kvt_namespace ns = {{7}};
    struct failing_alloc memory;
    struct sim_world *world;
    memset(&run, 0, sizeof(run));
    struct kvt_core *core = build(c, &memory, &world);
    kvt_ns now = 0;
    for (uint32_t i = 0; i < crowd + 2; i++) {
        kvt_key keys[32];
        const uint64_t prompt = i == crowd + 1 ? 0 : i;
        for (uint32_t k = 0; k < 32; k++)
            keys[k] = kvt_key_of_id(&ns, prompt * 100 + k);
        struct kvt_request r = {.id = i,
                                .arrive_ns = now,
                                .prompt_tokens = 32 * 64,
                                .output_tokens = 2,
                                .n_keys = 32,
                                .keys = keys};
        ck_assert_int_eq(sim_world_ops()->advance(world, core, now), 0);
        ck_assert_int_eq(kvt_core_request(core, now, &r), 0);
        drain(core, world);
        now += 100 * KVT_SECOND;
    }
    kvt_core_stats(core, &run.stats);
    kvt_core_free(core);
    sim_world_free(world);
    const struct kvt_report *last = &run.reports[crowd + 1];
    *second_ns = last->first_token_ns - last->arrive_ns;
    return run.reports[0].first_token_ns - run.reports[0].arrive_ns;
}

START_TEST(hits_shorten_what_is_billed)
{
    /* Without a cache both take the same; from the GPU almost nothing is left; from below, what the load takes. */
    kvt_ns first_ns, second_ns, from[KVT_TIERS] = {0};
    struct cluster c = plain_cluster();
    c.core.cache = false;
    first_ns = serve_twice(&c, 0, &second_ns);
    ck_assert_uint_eq(first_ns, second_ns);
    const kvt_ns cold_ns = first_ns;
    for (int t = KVT_GPU; t < KVT_TIERS; t++) {
        if (t == KVT_PEER)
            continue;
        c = plain_cluster();
        if (t != KVT_GPU) {
            c.core.gpu_pages = 150; /* one prompt, and its output */
            c.core.tiers[t] = tier(&c.sim, t == KVT_REDIS ? UINT64_MAX : 1000);
            if (t == KVT_REDIS)
                c.core.tiers[t].manager = KVT_MANAGED_BY_SERVER;
            c.core.load_choice = KVT_LOAD_ALWAYS;
            c.core.load_patience = 0;
        }
        first_ns = serve_twice(&c, t == KVT_GPU ? 0 : 2, &from[t]);
        ck_assert_uint_eq(first_ns, cold_ns);
        const struct kvt_report *r = &run.reports[t == KVT_GPU ? 1 : 3];
        ck_assert_msg(r->hit_blocks >= 31, "%s: %u hits", kvt_tier_name((enum kvt_tier_kind)t),
                      r->hit_blocks);
        ck_assert_uint_eq(r->ledger_tokens[KVT_HIT_GPU + t] + r->ledger_tokens[KVT_COMPUTED_TAIL],
                          32 * 64);
        ck_assert_uint_ne(from[t], cold_ns);
    }
    ck_assert_uint_lt(from[KVT_GPU], cold_ns / 3);
    ck_assert_uint_lt(from[KVT_GPU], from[KVT_HOST]);
    ck_assert_uint_lt(from[KVT_HOST], from[KVT_REDIS]);
    /* 268 MB at 20 GB/s from the host; over the one Redis process at 1.9. */
    ck_assert_uint_ge(from[KVT_HOST], 2048 * UINT64_C(131072) / 20);
    ck_assert_uint_ge(from[KVT_REDIS], (kvt_ns)(2048 * 131072 / 1.9));
}
END_TEST

/* ---- Little's law -------------------------------------------------------------------------------- */

START_TEST(littles_law)
{
    struct cluster c = random_cluster(8);
    c.requests = REQUESTS_MOST;
    go(&c, 0);
    /* L by walking through arrivals and ends in time; lambda * W from the reports. */
    double integral = 0, stay = 0;
    kvt_ns at = 0;
    uint32_t in_system = 0, arrived = 0, most = 0;
    static bool ended[REQUESTS_MOST];
    memset(ended, 0, sizeof(ended));
    for (;;) {
        kvt_ns next = arrived < c.requests ? run.reports[arrived].arrive_ns : KVT_NEVER;
        uint32_t who = KVT_NONE;
        for (uint32_t i = 0; i < arrived; i++) {
            if (!ended[i] && run.ended_ns[i] < next) {
                next = run.ended_ns[i];
                who = i;
            }
        }
        if (next == KVT_NEVER)
            break;
        integral += (double)in_system * (double)(next - at);
        at = next;
        if (who == KVT_NONE) {
            arrived++;
            in_system++;
        } else {
            ended[who] = true;
            in_system--;
        }
        most = in_system > most ? in_system : most;
    }
    for (uint32_t i = 0; i < c.requests; i++)
        stay += (double)(run.ended_ns[i] - run.reports[i].arrive_ns);
    ck_assert_uint_eq(in_system, 0);
    ck_assert_uint_gt(most, 1);
    ck_assert_double_le(fabs(integral - stay), 1e-9 * stay);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim_run");
    TCase *c = tcase_create("sim_run");
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, random_clusters_serve_everyone, 0, 40);
    tcase_add_loop_test(c, tiny_caches_do_not_live_lock, 0, 12);
    tcase_add_test(c, the_same_run_twice);
    tcase_add_test(c, hits_shorten_what_is_billed);
    tcase_add_test(c, littles_law);
    suite_add_tcase(suite, c);
    return kvt_test_main(suite);
}
