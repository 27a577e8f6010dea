/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_meter.c - the meter (cli/meter.h) beside a naive one: every operation is seen as the world saw it, and core
 * decides as if nobody looked.
 *
 * Between meter and world stands a spy that writes down what it is asked and answers as the world does; completions
 * are heard by a tap behind the meter's. The two logs, joined by hand, must be the meter's samples.
 */
#include "chaos_world.h"
#include "cli/meter.h"
#include "core/null.h"
#include "failing_alloc.h"
#include "sim_fixture.h"

/* glibc's own realloc, for one that fails on demand; a sanitizer brings another. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 1
void *__libc_realloc(void *memory, size_t size);
#else
#define OWN_ALLOCATOR 0
#endif

enum { REQUESTS = 120, MOST_KEYS = 24, SPIED_MOST = 20000 };

/* ---- The spy. -------------------------------------------------------------------------------- */

struct spied {
    enum meter_kind kind;
    enum kvt_tier_kind tier;
    uint32_t op, engine, blocks;
    uint64_t tokens;
    kvt_key first, last;
    bool refused;
};

static struct {
    struct kvt_port inner;
    struct spied asked[SPIED_MOST];
    uint32_t n_asked;
    struct kvt_done done[SPIED_MOST];
    kvt_ns done_ns[SPIED_MOST];
    uint32_t asked_of[SPIED_MOST]; /* which operation it ended */
    uint32_t n_done;
    uint64_t refusals_heard, notes;
} spy;

static int spy_transfer(enum meter_kind kind, int (*forward)(void *, const struct kvt_transfer *),
                        const struct kvt_transfer *t)
{
    MUST(spy.n_asked < SPIED_MOST);
    struct spied *s = &spy.asked[spy.n_asked++];
    *s = (struct spied){.kind = kind,
                        .tier = t->tier,
                        .op = t->op.v,
                        .engine = t->engine.v,
                        .blocks = t->n_blocks,
                        .tokens = t->tokens,
                        .first = t->blocks[0].key,
                        .last = t->blocks[t->n_blocks - 1].key};
    int answer = forward(spy.inner.self, t);
    s->refused = answer != 0;
    return answer;
}

static int spy_probe(void *self, const struct kvt_transfer *t)
{
    (void)self;
    return spy_transfer(METER_PROBE, spy.inner.ops->probe, t);
}

static int spy_load(void *self, const struct kvt_transfer *t)
{
    (void)self;
    return spy_transfer(METER_LOAD, spy.inner.ops->load, t);
}

static int spy_store(void *self, const struct kvt_transfer *t)
{
    (void)self;
    return spy_transfer(METER_STORE, spy.inner.ops->store, t);
}

static int spy_drop(void *self, const struct kvt_transfer *t)
{
    (void)self;
    return spy_transfer(METER_DROP, spy.inner.ops->drop, t);
}

static int spy_step(void *self, const struct kvt_step *step)
{
    (void)self;
    MUST(spy.n_asked < SPIED_MOST);
    struct spied *s = &spy.asked[spy.n_asked++];
    *s = (struct spied){.kind = METER_STEP,
                        .tier = KVT_GPU,
                        .op = step->op.v,
                        .engine = step->engine.v,
                        .blocks = step->repeat};
    int answer = spy.inner.ops->step(spy.inner.self, step);
    s->refused = answer != 0;
    return answer;
}

static void spy_interrupt(void *self, kvt_engine_id engine)
{
    (void)self;
    spy.inner.ops->interrupt(spy.inner.self, engine);
}

static void spy_arm(void *self, uint64_t timer, kvt_ns at)
{
    (void)self;
    spy.inner.ops->arm(spy.inner.self, timer, at);
}

static void spy_note(void *self, const struct kvt_note *note)
{
    (void)self;
    spy.notes++;
    if (spy.inner.ops->note)
        spy.inner.ops->note(spy.inner.self, note);
}

static struct kvt_port spy_port(const struct kvt_port *inner)
{
    static const struct kvt_port_ops ops = {.name = "spy",
                                            .probe = spy_probe,
                                            .load = spy_load,
                                            .store = spy_store,
                                            .drop = spy_drop,
                                            .step = spy_step,
                                            .interrupt = spy_interrupt,
                                            .arm = spy_arm,
                                            .note = spy_note};
    memset(&spy, 0, sizeof spy);
    spy.inner = *inner;
    return (struct kvt_port){&ops, NULL};
}

static void hear_request(void *self, kvt_ns now, const struct kvt_request *r)
{
    (void)self;
    (void)now;
    (void)r;
}

static void hear_done(void *self, kvt_ns now, const struct kvt_done *done)
{
    (void)self;
    MUST(spy.n_done < SPIED_MOST);
    uint32_t i = spy.n_asked;
    while (i > 0 && (spy.asked[i - 1].op != done->op.v || spy.asked[i - 1].refused))
        i--;
    MUST(i > 0);
    spy.asked_of[spy.n_done] = i - 1;
    spy.done_ns[spy.n_done] = now;
    spy.done[spy.n_done++] = *done;
}

static void hear_timer(void *self, kvt_ns now, uint64_t timer)
{
    (void)self;
    (void)now;
    (void)timer;
}

static void hear_updown(void *self, kvt_ns now, bool up, enum kvt_tier_kind tier,
                        kvt_engine_id engine)
{
    (void)self;
    (void)now;
    (void)up;
    (void)tier;
    (void)engine;
}

static void hear_refused(void *self, kvt_ns now, kvt_op_id op, int error)
{
    (void)self;
    (void)now;
    (void)op;
    (void)error;
    spy.refusals_heard++;
}

static const struct kvt_tap ear = {.request = hear_request,
                                   .done = hear_done,
                                   .timer = hear_timer,
                                   .updown = hear_updown,
                                   .refused = hear_refused};

/* What the meter measured is what the spy saw. */
static void agree(const struct meter *m)
{
    uint64_t refused = 0, all_refused = 0;
    ck_assert_int_eq(m->error, 0);
    ck_assert_uint_eq(m->n_samples, spy.n_done);
    for (uint32_t i = 0; i < spy.n_done; i++) {
        const struct meter_sample *s = &m->samples[i];
        const struct spied *a = &spy.asked[spy.asked_of[i]];
        const struct kvt_done *d = &spy.done[i];
        MUST(s->kind == a->kind && s->tier == a->tier && s->engine.v == a->engine);
        MUST(s->blocks == a->blocks && s->status == d->status && s->bytes == d->bytes);
        MUST(s->end_ns == spy.done_ns[i] && s->issue_ns <= s->end_ns);
        MUST(memcmp(s->span_ns, d->span_ns, sizeof s->span_ns) == 0);
        if (s->kind == METER_STEP) {
            MUST(s->blocks_ok == d->iterations);
            continue;
        }
        MUST(s->blocks_ok == d->blocks_ok && s->tokens == a->tokens);
        MUST(s->first_key + s->blocks <= m->n_keys);
        MUST(kvt_key_equal(m->keys[s->first_key], a->first));
        MUST(kvt_key_equal(m->keys[s->first_key + s->blocks - 1], a->last));
    }
    for (uint32_t i = 0; i < spy.n_asked; i++)
        refused += spy.asked[i].refused;
    for (unsigned k = 0; k < METER_KINDS; k++)
        all_refused += m->refused[k];
    MUST(refused == all_refused && refused == spy.refusals_heard);
}

/* ---- Runs. ----------------------------------------------------------------------------------- */

static void any_request(const struct kvt_core_config *c, uint64_t id, struct kvt_request *r,
                        kvt_key keys[MOST_KEYS])
{
    *r = (struct kvt_request){.id = id,
                              .session = KVT_NONE,
                              .prompt_tokens = 1 + (uint32_t)dice_below(c->block_tokens * 16),
                              .output_tokens = (uint32_t)dice_below(30),
                              .keys = keys};
    r->n_keys = (r->prompt_tokens + r->output_tokens) / c->block_tokens;
    r->n_keys = r->n_keys > MOST_KEYS ? MOST_KEYS : r->n_keys;
    const uint64_t root = dice_below(4), shared = dice_below(16);
    for (uint32_t i = 0; i < r->n_keys; i++)
        keys[i] = (kvt_key){.hi = kvt_mix64(i < shared ? root : 100 + id), .lo = kvt_mix64(i)};
}

static void config_init(struct kvt_core_config *c)
{
    kvt_core_config_init(c);
    c->engines = 2;
    c->block_tokens = 16;
    c->page_tokens = 4;
    c->gpu_pages = 120;
    c->max_batch_tokens = 200;
    c->max_batch_requests = 6;
    c->prefill = (struct kvt_prefill_cost){1e6, 3000, 1};
    static const enum kvt_tier_kind tiers[] = {KVT_HOST, KVT_REDIS, KVT_DISK};
    for (size_t i = 0; i < 3; i++)
        c->tiers[tiers[i]] = (struct kvt_tier_config){.present = true,
                                                      .capacity_blocks = 40 * (i + 1),
                                                      .capacity_b = UINT64_MAX,
                                                      .stored_b_per_token = 100,
                                                      .ttl_ns = KVT_NEVER,
                                                      .write_through = true,
                                                      .load_fixed_ns = 1000,
                                                      .load_ns_per_token = 100};
    c->tiers[KVT_REDIS].probe = true;
}

/* How a run is looked at: nobody, or a meter with or without the ear behind. */
struct look {
    struct meter *meter;
    bool ear;
};

static struct kvt_core *build(const struct kvt_core_config *config, struct failing_alloc *memory,
                              const struct kvt_port *port, const struct look *look)
{
    static struct kvt_port used;
    int error;
    used = *port;
    if (look->ear)
        used = spy_port(&used);
    if (look->meter)
        used = meter_port(look->meter, &used);
    struct kvt_core *core = kvt_core_new(config, &used, failing_alloc_init(memory, 0), &error);
    ck_assert_ptr_nonnull(core);
    if (look->meter)
        kvt_core_tap(core, meter_tap(look->meter, look->ear ? &ear : NULL));
    return core;
}

/* Also tells the meter that it is over. */
static void conclude(struct kvt_core *core, const struct look *look, char digest[33])
{
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    kvt_core_stats(core, &stats);
    kvt_core_gauges(core, KVT_NONE, &gauges);
    kvt_core_digest(core, digest);
    if (look->meter)
        meter_end(look->meter, &stats, &gauges, digest);
    kvt_core_free(core);
}

static void run_chaos(uint64_t seed, const struct look *look, char digest[33])
{
    struct kvt_core_config config;
    struct failing_alloc memory;
    struct chaos w;
    kvt_key keys[MOST_KEYS];
    config_init(&config);
    chaos_init(&w, seed, 20);
    const struct kvt_port port = chaos_port(&w);
    struct kvt_core *core = build(&config, &memory, &port, look);
    dice_seed(seed);
    for (uint64_t id = 0; id < REQUESTS; id++) {
        struct kvt_request r;
        any_request(&config, id, &r, keys);
        r.arrive_ns = w.now;
        MUST(kvt_core_request(core, w.now, &r) == 0);
        for (uint64_t n = dice_below(12); n && chaos_happen(&w, core); n--) {
        }
    }
    while (chaos_happen(&w, core)) {
    }
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
    if (look->meter && !look->meter->error)
        ck_assert_uint_eq(look->meter->n_reports, REQUESTS);
    conclude(core, look, digest);
    chaos_release(&w);
    ck_assert(failing_alloc_clean(&memory));
}

START_TEST(chaos_is_seen_as_it_was)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        char alone[33], watched[33];
        struct meter meter = {0};
        run_chaos(seed, &(struct look){0}, alone);
        run_chaos(seed, &(struct look){.meter = &meter, .ear = true}, watched);
        ck_assert_str_eq(alone, watched);
        agree(&meter);
        ck_assert(meter.ended);
        ck_assert_str_eq(meter.digest, watched);
        ck_assert_uint_gt(spy.refusals_heard, 0);
        ck_assert_uint_gt(spy.notes, REQUESTS);
        meter_release(&meter);
    }
}
END_TEST

/* Drives a world with a virtual clock. */
static void run_world(const struct kvt_core_config *config, const struct kvt_world_ops *ops,
                      void *self, const struct kvt_port *port, const struct look *look,
                      char digest[33])
{
    struct failing_alloc memory;
    kvt_key keys[MOST_KEYS];
    kvt_ns now = 0;
    struct kvt_core *core = build(config, &memory, port, look);
    for (uint64_t id = 0; id < REQUESTS; id++) {
        struct kvt_request r;
        any_request(config, id, &r, keys);
        r.arrive_ns = now += dice_below(20 * KVT_MILLISECOND);
        MUST(ops->advance(self, core, now) == 0);
        MUST(kvt_core_request(core, now, &r) == 0);
    }
    while (ops->next(self) != KVT_NEVER)
        MUST(ops->advance(self, core, ops->next(self)) == 0);
    ck_assert_uint_eq(kvt_core_unfinished(core), 0);
    conclude(core, look, digest);
    ck_assert(failing_alloc_clean(&memory));
}

static void run_null(const struct look *look, char digest[33])
{
    struct failing_alloc memory;
    struct kvt_core_config config;
    config_init(&config);
    struct kvt_null *null = kvt_null_new(failing_alloc_init(&memory, 0), NULL);
    const struct kvt_port port = kvt_null_port(null);
    dice_seed(5);
    run_world(&config, kvt_null_world(), null, &port, look, digest);
    kvt_null_free(null);
}

static void run_sim(const struct look *look, char digest[33])
{
    struct kvt_core_config config;
    struct sim_config sim = fixture_config();
    char why[200];
    config_init(&config);
    sim.engines = config.engines;
    sim_gpu_prepare(&sim.gpu);
    sim_gpu_prefill_cost(&sim.gpu, config.max_batch_tokens, &config.prefill);
    struct sim_world *world = sim_world_new(&sim, NULL, why, sizeof why);
    ck_assert_msg(world != NULL, "%s", why);
    const struct kvt_port port = sim_world_port(world);
    dice_seed(6);
    run_world(&config, sim_world_ops(), world, &port, look, digest);
    sim_world_free(world);
}

static void see_world(void (*run)(const struct look *, char *))
{
    char alone[33], watched[33], metered[33];
    struct meter meter = {0}, quiet = {0};
    run(&(struct look){0}, alone);
    run(&(struct look){.meter = &meter, .ear = true}, watched);
    ck_assert_str_eq(alone, watched);
    agree(&meter);
    run(&(struct look){.meter = &quiet}, metered);
    ck_assert_str_eq(alone, metered);
    ck_assert_uint_eq(quiet.n_samples, meter.n_samples);
    ck_assert_uint_eq(quiet.n_reports, REQUESTS);
    bool seen[METER_KINDS] = {false};
    for (size_t i = 0; i < meter.n_samples; i++) {
        const struct meter_sample *s = &meter.samples[i];
        kvt_ns spans = 0;
        for (int k = 0; k < KVT_SPANS; k++)
            spans += s->span_ns[k];
        MUST(spans <= s->end_ns - s->issue_ns);
        seen[s->kind] = true;
    }
    for (unsigned k = 0; k < METER_KINDS; k++)
        ck_assert_msg(seen[k], "no %s", meter_kind_name((enum meter_kind)k));
    meter_release(&meter);
    meter_release(&quiet);
}

START_TEST(null_world_is_seen_as_it_was)
{
    see_world(run_null);
}
END_TEST

START_TEST(simulation_is_seen_as_it_was)
{
    see_world(run_sim);
}
END_TEST

/* In the simulation an operation takes exactly its spans, so issue times are right, too. */
START_TEST(issue_times_are_those_of_the_world)
{
    char digest[33];
    struct meter meter = {0};
    size_t loads = 0;
    run_sim(&(struct look){.meter = &meter}, digest);
    for (size_t i = 0; i < meter.n_samples; i++) {
        const struct meter_sample *s = &meter.samples[i];
        kvt_ns spans = 0;
        if (s->kind != METER_LOAD || s->status != KVT_OK)
            continue;
        for (int k = 0; k < KVT_SPANS; k++)
            spans += s->span_ns[k];
        MUST(s->end_ns - s->issue_ns == spans);
        loads++;
    }
    ck_assert_uint_gt(loads, 5);
    meter_release(&meter);
}
END_TEST

/* (T3): whenever memory ends, the run goes on as it would have. The meter asks by realloc alone, and nobody else
 * here does. */
#if OWN_ALLOCATOR
static bool meter_starves;
static long meter_meals;

void *realloc(void *memory, size_t size)
{
    return meter_starves && meter_meals-- <= 0 ? NULL : __libc_realloc(memory, size);
}
#endif

START_TEST(without_memory_the_run_goes_on)
{
#if OWN_ALLOCATOR
    char alone[33], watched[33];
    struct meter whole = {0};
    run_chaos(3, &(struct look){.meter = &whole}, alone);
    for (long meals = 0;; meals++) {
        struct meter meter = {0};
        meter_starves = true;
        meter_meals = meals;
        run_chaos(3, &(struct look){.meter = &meter}, watched);
        meter_starves = false;
        ck_assert_str_eq(alone, watched);
        bool enough = meter.error == 0;
        ck_assert(enough || meter.error == -ENOMEM);
        ck_assert_uint_le(meter.n_samples, whole.n_samples);
        for (size_t i = 0; i < meter.n_samples; i++) /* what it has is right */
            MUST(memcmp(&meter.samples[i].issue_ns, &whole.samples[i].issue_ns,
                        2 * sizeof(kvt_ns)) == 0);
        meter_release(&meter);
        if (enough) {
            ck_assert_int_gt(meals, 3);
            break;
        }
    }
    meter_release(&whole);
#else
    kvt_test_skip("the sanitizer brings its own allocator");
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("meter");
    TCase *tcase = tcase_create("meter");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, chaos_is_seen_as_it_was);
    tcase_add_test(tcase, null_world_is_seen_as_it_was);
    tcase_add_test(tcase, simulation_is_seen_as_it_was);
    tcase_add_test(tcase, issue_times_are_those_of_the_world);
    tcase_add_test(tcase, without_memory_the_run_goes_on);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
