/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_twin.c - the twin test: what came into core, recorded and replayed without any world, gives
 * the same decisions and the same notes, byte for byte.
 *
 * It proves that core's decisions depend on its inputs alone: no clock, no address, no order of a
 * hash table, no uninitialised byte. So whatever differs between the simulator and real hardware is
 * in the inputs, which can be calibrated. Two worlds are recorded: the chaotic one (failures,
 * refusals, parts going down and up), and the simulated one.
 */
#include "chaos_world.h"
#include "core/replay.h"
#include "failing_alloc.h"
#include "record_fixture.h"
#include "sim_fixture.h"

enum { REQUESTS = 150, MOST_KEYS = 24, MOST_TOKENS = 1024, ROUNDS = 60 };

/* What a run left. */
struct outcome {
    char digest[33];
    struct tape notes;
    struct kvt_core_stats stats;
};

static void release(struct outcome *o)
{
    tape_release(&o->notes);
}

/* ---- Notes as numbers, for structs have holes ------------------------------------------------ */

static void write_note(struct tape *tape, const struct kvt_note *n)
{
    uint64_t v[64] = {(uint64_t)n->kind, n->now};
    size_t k = 2;
    if (n->kind == KVT_NOTE_STEP) {
        const uint64_t step[] = {n->engine.v, n->begin_ns, n->iterations, n->n_decode,
                                 n->prefill_tokens};
        memcpy(v + k, step, sizeof step);
        k += sizeof step / sizeof *step;
    } else {
        const struct kvt_report *r = n->report;
        const uint64_t report[] = {r->id,
                                   r->tenant,
                                   r->session,
                                   r->engine.v,
                                   r->outcome,
                                   r->prompt_tokens,
                                   r->output_tokens,
                                   r->arrive_ns,
                                   r->start_ns,
                                   r->finish_ns,
                                   r->first_token_ns,
                                   r->hit_blocks,
                                   r->preemptions,
                                   r->lookup_blocks,
                                   r->recomputed_tokens,
                                   (uint64_t)r->source,
                                   r->contiguous_tokens,
                                   r->pages_allocated_tokens};
        memcpy(v + k, report, sizeof report);
        k += sizeof report / sizeof *report;
        for (int c = 0; c < KVT_LEDGER; c++)
            v[k++] = r->ledger_tokens[c];
        for (int s = 0; s < KVT_SPANS; s++)
            v[k++] = r->span_ns[s];
    }
    tape_write(tape, v, k * sizeof *v);
}

static void hear(void *self, const struct kvt_note *note)
{
    write_note(self, note);
}

static void conclude(struct outcome *o, const struct kvt_core *core)
{
    kvt_core_digest(core, o->digest);
    kvt_core_stats(core, &o->stats);
}

static bool same(const struct outcome *a, const struct outcome *b)
{
    return strcmp(a->digest, b->digest) == 0 && a->notes.n == b->notes.n &&
           memcmp(a->notes.bytes, b->notes.bytes, a->notes.n) == 0 &&
           memcmp(&a->stats, &b->stats, sizeof a->stats) == 0;
}

/* ---- Replaying ------------------------------------------------------------------------------- */

/* Returns what the last step did: 0 when everything was fed. */
static int replay(const struct kvt_core_config *config, const struct tape *tape, struct outcome *o)
{
    *o = (struct outcome){.digest = ""};
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    const struct kvt_observer observer = {hear, &o->notes};
    struct kvt_replay r;
    MUST(kvt_replay_init(&r, alloc, tape->bytes, tape->n, &observer) == 0);
    const struct kvt_port port = kvt_replay_port(&r);
    int error;
    struct kvt_core *core = kvt_core_new(config, &port, alloc, &error);
    MUST(core != NULL);
    int status;
    while ((status = kvt_replay_step(&r, core)) > 0) {
    }
    char why[200];
    MUST(kvt_core_check(core, why, sizeof why));
    conclude(o, core);
    kvt_core_free(core);
    kvt_replay_release(&r);
    MUST(failing_alloc_clean(&memory));
    return status;
}

/* ---- Traffic and clusters -------------------------------------------------------------------- */

/* Tokens that are equal where the keys are, and as letters for half of them. */
static void any_wording(const struct kvt_core_config *c, struct kvt_request *r)
{
    static uint32_t tokens[MOST_TOKENS], letters[MOST_TOKENS];
    const uint32_t n = r->prompt_tokens;
    MUST(n <= MOST_TOKENS);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t block = i / c->block_tokens;
        const uint64_t from = block < r->n_keys ? r->keys[block].hi : r->id;
        tokens[i] = (uint32_t)kvt_mix64(from ^ i);
        letters[i] = tokens[i] % 256;
    }
    r->tokens = tokens;
    r->letters = dice_one_in(2) ? letters : NULL;
    r->n_letters = r->letters ? n : 0;
}

static void any_request(const struct kvt_core_config *c, uint64_t id, struct kvt_request *r,
                        kvt_key keys[MOST_KEYS])
{
    *r = (struct kvt_request){.id = id,
                              .tenant = (uint32_t)dice_below(3),
                              .session = dice_one_in(2) ? KVT_NONE : (uint32_t)dice_below(9),
                              .prompt_tokens = 1 + (uint32_t)dice_below(c->block_tokens * 16),
                              .output_tokens = (uint32_t)dice_below(40),
                              .background = id % 7 == 5,
                              .keys = keys};
    if (r->background)
        r->output_tokens = 0;
    r->n_keys = (r->prompt_tokens + r->output_tokens) / c->block_tokens;
    if (r->n_keys > MOST_KEYS)
        r->n_keys = MOST_KEYS;
    const uint64_t root = dice_below(4), shared = dice_below(16);
    for (uint32_t i = 0; i < r->n_keys; i++)
        keys[i] = (kvt_key){.hi = kvt_mix64(i < shared ? root : 100 + id), .lo = kvt_mix64(i)};
    if (!dice_one_in(4))
        any_wording(c, r);
}

static struct kvt_tier_config any_tier(uint64_t capacity_blocks)
{
    return (struct kvt_tier_config){.present = !dice_one_in(4),
                                    .capacity_blocks = capacity_blocks,
                                    .capacity_b = UINT64_MAX,
                                    .stored_b_per_token = 100,
                                    .ttl_ns = dice_one_in(2)
                                                  ? KVT_NEVER
                                                  : (1 + dice_below(20)) * 100 * KVT_MILLISECOND,
                                    .write_through = true,
                                    .load_fixed_ns = (double)dice_below(100000),
                                    .load_ns_per_token = (double)dice_below(2000)};
}

static void any_matching(struct kvt_core_config *c)
{
    c->match = dice_one_in(2) ? KVT_MATCH_CHAIN : KVT_MATCH_EXACT;
    c->approximate_threshold = dice_one_in(3) ? 0 : 0.2;
    c->approximate_prompts = 1 + (uint32_t)dice_below(60);
    c->count_partial = dice_one_in(2);
}

static void any_config(struct kvt_core_config *c)
{
    kvt_core_config_init(c);
    c->engines = 1 + (uint32_t)dice_below(4);
    c->block_tokens = 16;
    c->page_tokens = 4;
    c->gpu_pages = 80 + dice_below(300);
    c->max_batch_requests = 1 + (uint32_t)dice_below(12);
    c->max_batch_tokens = 32 + (uint32_t)dice_below(400);
    c->partial_blocks = dice_one_in(4);
    c->touch = dice_one_in(2) ? KVT_TOUCH_HEAD : KVT_TOUCH_LEAF;
    c->router = (enum kvt_router_kind)dice_below(4);
    c->load_choice = (enum kvt_load_choice)dice_below(2);
    c->load_patience = dice_one_in(2) ? 0.1 : 2;
    c->prefill = (struct kvt_prefill_cost){1e6, 3000, 1};
    c->tiers[KVT_HOST] = any_tier(1 + dice_below(60));
    c->tiers[KVT_DISK] = any_tier(1 + dice_below(200));
    c->tiers[KVT_REDIS] = any_tier(UINT64_MAX);
    c->tiers[KVT_REDIS].probe = dice_one_in(2);
    c->tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
    any_matching(c);
}

/* ---- The chaotic world ----------------------------------------------------------------------- */

static struct tape *chaos_notes;

static void chaos_hear(void *self, const struct kvt_note *note)
{
    (void)self;
    write_note(chaos_notes, note);
}

static void toggle(struct chaos *w, struct kvt_core *core, uint32_t engines)
{
    static const enum kvt_tier_kind tiers[] = {KVT_HOST, KVT_REDIS, KVT_DISK, KVT_GPU};
    const enum kvt_tier_kind tier = tiers[dice_below(4)];
    const kvt_engine_id engine = {(uint32_t)dice_below(engines)};
    if (dice_one_in(3)) {
        w->step_of[engine.v] &= tier != KVT_GPU;
        kvt_core_down(core, w->now, tier, engine);
    } else {
        kvt_core_up(core, w->now, tier, engine);
    }
}

/* Runs; records when tape is not NULL. */
static void run_chaos(const struct kvt_core_config *config, uint64_t seed, struct tape *tape,
                      struct outcome *o)
{
    *o = (struct outcome){.digest = ""};
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct chaos w;
    chaos_init(&w, seed, 20);
    chaos_notes = &o->notes;
    struct kvt_port_ops ops = *chaos_port(&w).ops;
    ops.note = chaos_hear;
    const struct kvt_port port = {&ops, &w};
    int error;
    struct kvt_core *core = kvt_core_new(config, &port, alloc, &error);
    MUST(core != NULL);
    struct kvt_record record;
    if (tape) {
        const struct kvt_sink sink = tape_sink(tape);
        MUST(kvt_record_init(&record, alloc, &sink) == 0);
        kvt_core_tap(core, kvt_record_tap(&record));
    }
    kvt_key keys[MOST_KEYS];
    dice_seed(seed);
    for (uint64_t id = 0; id < REQUESTS; id++) {
        struct kvt_request r;
        any_request(config, id, &r, keys);
        r.arrive_ns = w.now - dice_below(w.now + 1) / 8;
        MUST(kvt_core_request(core, w.now, &r) == 0);
        for (uint64_t n = dice_below(12); n && chaos_happen(&w, core); n--) {
        }
        if (dice_one_in(10))
            toggle(&w, core, config->engines);
    }
    MUST(w.refused > 0 || !config->tiers[KVT_HOST].present);
    if (tape) {
        MUST(kvt_record_finish(&record) == 0);
        kvt_record_release(&record);
    }
    conclude(o, core);
    kvt_core_free(core);
    chaos_release(&w);
    MUST(failing_alloc_clean(&memory));
}

START_TEST(chaos_and_its_twin)
{
    uint64_t similar = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct kvt_core_config config;
        dice_seed(seed * 1009);
        any_config(&config);
        MUST(kvt_core_config_check(&config) == NULL);
        struct tape tape = {0};
        struct outcome silent, recorded, twin;
        run_chaos(&config, seed, NULL, &silent);
        run_chaos(&config, seed, &tape, &recorded);
        MUST(same(&silent, &recorded)); /* listening disturbs nothing */
        MUST(replay(&config, &tape, &twin) == 0);
        MUST(same(&recorded, &twin));
        MUST(twin.stats.requests + twin.stats.background.requests == REQUESTS &&
             twin.stats.ops_issued > REQUESTS / 4);
        similar += twin.stats.approx_reused_tokens;
        release(&silent);
        release(&recorded);
        release(&twin);
        tape_release(&tape);
    }
    ck_assert_uint_gt(similar, 0);
}
END_TEST

/* A twin test that could not fail would prove nothing. */
START_TEST(another_core_is_no_twin)
{
    uint32_t differ = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct kvt_core_config config;
        dice_seed(seed * 1009);
        any_config(&config);
        struct tape tape = {0};
        struct outcome recorded, twin;
        run_chaos(&config, seed, &tape, &recorded);
        config.touch = config.touch == KVT_TOUCH_HEAD ? KVT_TOUCH_LEAF : KVT_TOUCH_HEAD;
        config.max_batch_tokens += 5;
        const int status = replay(&config, &tape, &twin);
        MUST(status == 0 || status == -EBADMSG);
        differ += status != 0 || strcmp(recorded.digest, twin.digest) != 0;
        release(&recorded);
        release(&twin);
        tape_release(&tape);
    }
    ck_assert_uint_eq(differ, 20);
}
END_TEST

/* ---- The simulated world --------------------------------------------------------------------- */

static struct sim_config simulated(struct kvt_core_config *c)
{
    struct sim_config sim = fixture_config();
    kvt_core_config_init(c);
    c->engines = sim.engines = 2;
    c->block_tokens = 64;
    c->page_tokens = 16;
    c->gpu_pages = 400;
    c->max_batch_tokens = 600;
    c->max_batch_requests = 20;
    sim_gpu_prepare(&sim.gpu);
    sim_gpu_prefill_cost(&sim.gpu, c->max_batch_tokens, &c->prefill);
    c->tiers[KVT_HOST] = any_tier(100);
    c->tiers[KVT_REDIS] = any_tier(UINT64_MAX);
    c->tiers[KVT_REDIS].manager = KVT_MANAGED_BY_SERVER;
    c->tiers[KVT_DISK] = any_tier(500);
    any_matching(c);
    for (int t = KVT_HOST; t < KVT_TIERS; t++)
        c->tiers[t].present = true;
    sim.redis.nodes = 2;
    sim.redis.memory_b = 1 << 20;
    return sim;
}

static void run_sim(const struct kvt_core_config *config, const struct sim_config *sim,
                    struct tape *tape, struct outcome *o)
{
    *o = (struct outcome){.digest = ""};
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    const struct kvt_observer observer = {hear, &o->notes};
    char why[200];
    struct sim_world *world = sim_world_new(sim, &observer, why, sizeof why);
    ck_assert_msg(world != NULL, "%s", why);
    const struct kvt_world_ops *ops = sim_world_ops();
    const struct kvt_port port = sim_world_port(world);
    int error;
    struct kvt_core *core = kvt_core_new(config, &port, alloc, &error);
    MUST(core != NULL);
    const struct kvt_sink sink = tape_sink(tape);
    struct kvt_record record;
    MUST(kvt_record_init(&record, alloc, &sink) == 0);
    kvt_core_tap(core, kvt_record_tap(&record));
    kvt_ns now = 0;
    for (uint64_t id = 0; id < REQUESTS; id++) {
        kvt_key keys[MOST_KEYS];
        struct kvt_request r;
        now += dice_below(40 * KVT_MILLISECOND);
        any_request(config, id, &r, keys);
        r.arrive_ns = now;
        MUST(ops->advance(world, core, now) == 0);
        MUST(kvt_core_request(core, now, &r) == 0);
    }
    while (kvt_core_unfinished(core))
        MUST(ops->advance(world, core, ops->next(world)) == 0);
    MUST(kvt_record_finish(&record) == 0);
    kvt_record_release(&record);
    conclude(o, core);
    kvt_core_free(core);
    sim_world_free(world);
    MUST(failing_alloc_clean(&memory));
}

START_TEST(simulation_and_its_twin)
{
    dice_seed((uint64_t)_i + 1);
    struct kvt_core_config config;
    const struct sim_config sim = simulated(&config);
    ck_assert_ptr_null(kvt_core_config_check(&config));
    struct tape tape = {0};
    struct outcome recorded, twin;
    run_sim(&config, &sim, &tape, &recorded);
    ck_assert_uint_eq(recorded.stats.finished + recorded.stats.background.ended, REQUESTS);
    ck_assert_uint_gt(recorded.stats.loaded_blocks[KVT_HOST] +
                          recorded.stats.loaded_blocks[KVT_REDIS] +
                          recorded.stats.loaded_blocks[KVT_DISK],
                      0);
    ck_assert_int_eq(replay(&config, &tape, &twin), 0);
    ck_assert_str_eq(recorded.digest, twin.digest);
    ck_assert(same(&recorded, &twin));
    release(&recorded);
    release(&twin);
    tape_release(&tape);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("twin");
    TCase *tcase = tcase_create("twin");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, chaos_and_its_twin);
    tcase_add_test(tcase, another_core_is_no_twin);
    tcase_add_loop_test(tcase, simulation_and_its_twin, 0, 5);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
