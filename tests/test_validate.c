/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_validate.c - two metered runs beside each other (cli/validate.h).
 *
 *   a world beside itself: every row within, every counter equal, no divergence
 *   a world beside one whose Redis is slower: the rows of Redis are beyond, by the factor, and the others are not
 *   rows with few samples are not judged; differences below the floor are none
 *   meters made by hand: each class of cause, keys of every fate, requests that one world lost
 *   what is written can be read, and holds the same numbers
 */
#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <unistd.h>

#include "cli/validate.h"
#include "failing_alloc.h"
#include "malloc_fails.h"
#include "sim_fixture.h"

enum { REQUESTS = 300, MOST_KEYS = 24 };

/* ---- Runs in the simulated world. --------------------------------------------------------------- */

static struct kvt_core_config core_config;
static const struct results_real device = {.device = "main memory", .steps = 9, .late_steps = 2};

static void config_init(struct kvt_core_config *c)
{
    kvt_core_config_init(c);
    c->block_tokens = 16;
    c->page_tokens = 4;
    c->gpu_pages = 160;
    c->max_batch_tokens = 400;
    c->max_batch_requests = 8;
    c->load_choice = KVT_LOAD_ALWAYS;
    c->load_patience = 0;
    c->tiers[KVT_REDIS] = (struct kvt_tier_config){.present = true,
                                                   .capacity_blocks = UINT64_MAX,
                                                   .capacity_b = UINT64_MAX,
                                                   .stored_b_per_token = 64,
                                                   .ttl_ns = KVT_NEVER,
                                                   .write_through = true,
                                                   .probe = true,
                                                   .manager = KVT_MANAGED_BY_SERVER,
                                                   .load_fixed_ns = 1000,
                                                   .load_ns_per_token = 100};
    c->tiers[KVT_HOST] = c->tiers[KVT_REDIS];
    c->tiers[KVT_HOST].capacity_blocks = 60;
    c->tiers[KVT_HOST].probe = false;
    c->tiers[KVT_HOST].manager = KVT_MANAGED_BY_CORE;
}

/* redis_slower: factor on the time of its bytes and commands. */
static void run(struct meter *m, double redis_slower)
{
    const struct kvt_world_ops *ops = sim_world_ops();
    struct sim_config sim = fixture_config();
    struct failing_alloc memory;
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    char why[200], digest[33];
    int error;
    config_init(&core_config);
    sim.host.copy_threads = 4;
    sim.network.engine_nic_bps = 1e12; /* Redis alone is the bottleneck of its wire */
    sim.network.connection_bps = INFINITY;
    sim.network.rtt_ns = 2;
    sim.redis.nic_bps = 1e12;
    sim.redis.process_bps = 2e7 / redis_slower;
    sim.redis.command_ns = (kvt_ns)(20000 * redis_slower);
    sim_gpu_prepare(&sim.gpu);
    sim_gpu_prefill_cost(&sim.gpu, core_config.max_batch_tokens, &core_config.prefill);
    struct sim_world *world = sim_world_new(&sim, NULL, why, sizeof why);
    ck_assert_msg(world != NULL, "%s", why);
    const struct kvt_port bare = sim_world_port(world), port = meter_port(m, &bare);
    struct kvt_core *core =
        kvt_core_new(&core_config, &port, failing_alloc_init(&memory, 0), &error);
    ck_assert_ptr_nonnull(core);
    kvt_core_tap(core, meter_tap(m, NULL));
    dice_seed(31);
    kvt_ns now = 0;
    for (uint64_t id = 0; id < REQUESTS; id++) {
        kvt_key keys[MOST_KEYS];
        struct kvt_request r = {.id = id,
                                .session = KVT_NONE,
                                .prompt_tokens = 100 + (uint32_t)dice_below(200),
                                .output_tokens = (uint32_t)dice_below(20),
                                .keys = keys};
        const uint64_t root = dice_below(40);
        r.n_keys = r.prompt_tokens / core_config.block_tokens;
        for (uint32_t i = 0; i < r.n_keys; i++)
            keys[i] = (kvt_key){.hi = kvt_mix64(root), .lo = kvt_mix64(i)};
        r.arrive_ns = now += 100 * KVT_MILLISECOND + dice_below(50 * KVT_MILLISECOND);
        MUST(ops->advance(world, core, now) == 0);
        MUST(kvt_core_request(core, now, &r) == 0);
    }
    while (ops->next(world) != KVT_NEVER)
        MUST(ops->advance(world, core, ops->next(world)) == 0);
    kvt_core_stats(core, &stats);
    kvt_core_gauges(core, KVT_NONE, &gauges);
    kvt_core_digest(core, digest);
    meter_end(m, &stats, &gauges, digest);
    kvt_core_free(core);
    sim_world_free(world);
    ck_assert(failing_alloc_clean(&memory));
}

static const struct validate_row *row_named(const struct validation *v, const char *name)
{
    for (size_t i = 0; i < v->n_rows; i++)
        if (strcmp(v->rows[i].name, name) == 0)
            return &v->rows[i];
    return NULL;
}

START_TEST(a_world_beside_itself)
{
    struct meter a = {0}, b = {0};
    struct validation v = {0};
    run(&a, 1);
    run(&b, 1);
    ck_assert_int_eq(validate_compare(&v, &a, &b, &core_config, &validate_default), 0);
    ck_assert(v.within && v.same_decisions && v.n_divergences == 0);
    ck_assert_uint_eq(v.requests, REQUESTS);
    ck_assert_uint_gt(v.n_rows, 10);
    for (size_t i = 0; i < v.n_rows; i++) {
        const struct validate_row *row = &v.rows[i];
        ck_assert_uint_eq(row->real.n, row->sim.n);
        ck_assert(row->p50_error == 0 && row->p95_error == 0 && row->mean_error == 0);
        ck_assert(row->ks == 0 && row->ks_significance == 1);
        ck_assert_int_eq(row->verdict, row->real.n < 20 ? VALIDATE_FEW : VALIDATE_WITHIN);
        if (strncmp(row->name, "step", 4) != 0) {
            ck_assert_uint_eq(row->pairs, row->real.n);
            ck_assert(row->pair_p50_error == 0 && row->pair_p95_error == 0);
        }
    }
    for (size_t i = 0; i < v.n_counts; i++)
        ck_assert_uint_eq(v.counts[i].real, v.counts[i].sim);
    const struct validate_keys *redis = &v.keys[KVT_REDIS];
    ck_assert(redis->present && redis->stored_both > 100);
    ck_assert(redis->stored_real == redis->stored_both && redis->stored_sim == redis->stored_both);
    ck_assert(!v.keys[KVT_DISK].present);
    ck_assert_uint_lt(v.keys[KVT_HOST].held_both, v.keys[KVT_HOST].stored_both);
    validate_release(&v);
    meter_release(&a);
    meter_release(&b);
}
END_TEST

START_TEST(a_slower_redis_is_found_out)
{
    struct meter a = {0}, b = {0};
    struct validation v = {0};
    run(&a, 1);
    run(&b, 1.5);
    ck_assert_int_eq(validate_compare(&v, &a, &b, &core_config, &validate_default), 0);
    ck_assert(!v.within);
    static const struct {
        const char *name;
        bool beyond;
    } rows[] = {{"load redis medium", true},
                {"store redis medium", true},
                {"probe redis total", true},
                {"store host copy", false},
                {"step iteration", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct validate_row *row = row_named(&v, rows[i].name);
        ck_assert_msg(row != NULL && row->real.n >= 20, "%s", rows[i].name);
        ck_assert_msg(row->verdict == (rows[i].beyond ? VALIDATE_BEYOND : VALIDATE_WITHIN),
                      "%s: %.3f %.3f", row->name, row->p50_error, row->p95_error);
        if (!rows[i].beyond)
            continue;
        ck_assert_double_eq_tol(row->p50_error, 0.5, 0.1); /* other loads, too */
        ck_assert_double_eq_tol(row->pair_p50_error, 0.5, 0.05);
        ck_assert_uint_gt(row->pairs, row->real.n * 9 / 10);
        ck_assert_double_lt(row->ks_significance, 0.01);
    }
    /* With a wider tolerance the same is within. */
    validate_release(&v);
    struct validate_tolerance wide = validate_default;
    wide.p50 = wide.p95 = 1;
    wide.hit_points = 1;
    ck_assert_int_eq(validate_compare(&v, &a, &b, &core_config, &wide), 0);
    ck_assert(v.within && v.beyond == 0);
    /* And with a floor above all of it. */
    validate_release(&v);
    wide = validate_default;
    wide.floor_ns = 1e12;
    wide.hit_points = 1;
    ck_assert_int_eq(validate_compare(&v, &a, &b, &core_config, &wide), 0);
    ck_assert(v.within);
    /* And with nothing to judge. */
    validate_release(&v);
    wide = validate_default;
    wide.least = 100000;
    wide.hit_points = 1;
    ck_assert_int_eq(validate_compare(&v, &a, &b, &core_config, &wide), 0);
    ck_assert(v.within && v.judged == 0);
    validate_release(&v);
    meter_release(&a);
    meter_release(&b);
}
END_TEST

/* ---- By hand. ----------------------------------------------------------------------------------- */

enum { BY_HAND = 16 };

struct hand {
    struct kvt_report reports[BY_HAND];
    struct meter_sample samples[BY_HAND];
    kvt_key keys[BY_HAND];
    struct meter meter;
};

/* A request of 100 tokens, all of them in one class. */
static void reported(struct hand *h, uint64_t id, enum kvt_ledger class)
{
    struct kvt_report *r = &h->reports[h->meter.n_reports++];
    *r = (struct kvt_report){.id = id, .outcome = KVT_FINISHED, .prompt_tokens = 100};
    r->ledger_tokens[class] = 100;
}

/* One key, stored or dropped. */
static void kept(struct hand *h, enum meter_kind kind, uint64_t key, kvt_ns issue_ns, uint32_t ok)
{
    h->keys[h->meter.n_keys] = (kvt_key){key, key};
    h->samples[h->meter.n_samples++] = (struct meter_sample){.kind = kind,
                                                             .tier = KVT_HOST,
                                                             .blocks = 1,
                                                             .blocks_ok = ok,
                                                             .issue_ns = issue_ns,
                                                             .end_ns = issue_ns + 5,
                                                             .first_key = h->meter.n_keys};
    h->meter.n_keys++;
}

static struct validation compare(struct hand *a, struct hand *b)
{
    struct validation v = {0};
    a->meter.reports = a->reports;
    a->meter.samples = a->samples;
    a->meter.keys = a->keys;
    b->meter.reports = b->reports;
    b->meter.samples = b->samples;
    b->meter.keys = b->keys;
    config_init(&core_config);
    ck_assert_int_eq(validate_compare(&v, &a->meter, &b->meter, &core_config, &validate_default),
                     0);
    return v;
}

START_TEST(every_divergence_has_its_cause)
{
    static const struct {
        enum kvt_ledger real, sim;
        enum validate_cause cause;
    } cases[] = {
        {KVT_HIT_REDIS, KVT_COMPUTED_CORRUPT, CAUSE_DAMAGE},
        {KVT_COMPUTED_TIER_DOWN, KVT_HIT_REDIS, CAUSE_DOWN},
        {KVT_COMPUTED_SHARD_MISSING, KVT_HIT_REDIS, CAUSE_DOWN},
        {KVT_COMPUTED_EXPIRED, KVT_HIT_HOST, CAUSE_EXPIRY},
        {KVT_COMPUTED_LATE, KVT_HIT_REDIS, CAUSE_PATIENCE},
        {KVT_COMPUTED_LATE, KVT_COMPUTED_CHEAPER, CAUSE_PATIENCE},
        {KVT_COMPUTED_CHEAPER, KVT_HIT_HOST, CAUSE_CHOICE},
        {KVT_COMPUTED_EVICTED, KVT_HIT_REDIS, CAUSE_SERVER},
        {KVT_HIT_GPU, KVT_HIT_HOST, CAUSE_RESIDENCE},
        {KVT_HIT_GPU, KVT_COMPUTED_COLD, CAUSE_FLIGHT},
    };
    enum { CASES = sizeof cases / sizeof *cases };
    struct hand a = {0}, b = {0};
    for (uint64_t i = 0; i < CASES; i++) {
        reported(&a, i, cases[i].real);
        reported(&b, CASES - 1 - i, cases[CASES - 1 - i].sim); /* in another order of end */
    }
    reported(&a, 90, KVT_HIT_GPU); /* alike */
    reported(&b, 90, KVT_HIT_GPU);
    struct validation v = compare(&a, &b);
    ck_assert_uint_eq(v.n_divergences, CASES);
    ck_assert_uint_eq(v.requests, CASES + 1);
    for (size_t i = 0; i < CASES; i++) {
        const struct validate_divergence *d = &v.divergences[i];
        ck_assert_uint_eq(d->id, i);
        ck_assert_msg(d->cause == cases[i].cause, "%zu: %s", i, validate_cause_name(d->cause));
        ck_assert_uint_eq(d->tokens, 100);
        ck_assert(d->real == cases[i].real && d->sim == cases[i].sim);
    }
    ck_assert_uint_eq(v.causes[CAUSE_DOWN], 2);
    ck_assert(v.within);
    validate_release(&v);
}
END_TEST

START_TEST(what_nothing_explains_is_a_defect)
{
    struct hand a = {0}, b = {0};
    reported(&a, 1, KVT_HIT_GPU);
    reported(&a, 2, KVT_HIT_GPU);
    reported(&b, 2, KVT_HIT_GPU);
    b.reports[0].prompt_tokens = 101;
    reported(&b, 3, KVT_HIT_GPU);
    struct validation v = compare(&a, &b);
    ck_assert_uint_eq(v.n_divergences, 3); /* lost, changed, out of nowhere */
    ck_assert_uint_eq(v.causes[CAUSE_NONE], 3);
    ck_assert(!v.within);
    validate_release(&v);
}
END_TEST

START_TEST(engine_preemption_and_outcome_come_before_residence)
{
    struct hand a = {0}, b = {0};
    for (uint64_t id = 0; id < 3; id++) {
        reported(&a, id, KVT_HIT_GPU);
        reported(&b, id, KVT_HIT_HOST);
    }
    b.reports[0].engine.v = 1;
    b.reports[1].preemptions = 2;
    b.reports[2].outcome = KVT_FAILED;
    struct validation v = compare(&a, &b);
    ck_assert_int_eq(v.divergences[0].cause, CAUSE_ROUTE);
    ck_assert_int_eq(v.divergences[1].cause, CAUSE_PREEMPTION);
    ck_assert_int_eq(v.divergences[2].cause, CAUSE_OUTCOME);
    validate_release(&v);
}
END_TEST

START_TEST(keys_of_every_fate)
{
    struct hand a = {0}, b = {0};
    kept(&a, METER_STORE, 1, 10, 1); /* in both, and stays */
    kept(&b, METER_STORE, 1, 99, 1);
    kept(&a, METER_STORE, 2, 10, 1); /* dropped in one */
    kept(&a, METER_DROP, 2, 20, 0);
    kept(&b, METER_STORE, 2, 10, 1);
    kept(&a, METER_DROP, 3, 10, 0); /* dropped, then stored again, though the drop ends later */
    kept(&a, METER_STORE, 3, 10, 1);
    kept(&b, METER_STORE, 3, 5, 1);
    kept(&b, METER_DROP, 3, 6, 0);
    kept(&b, METER_STORE, 3, 7, 1);
    kept(&a, METER_STORE, 4, 10, 0); /* failed */
    kept(&b, METER_STORE, 5, 10, 1); /* in one only */
    struct validation v = compare(&a, &b);
    const struct validate_keys *k = &v.keys[KVT_HOST];
    ck_assert_uint_eq(k->stored_real, 3);
    ck_assert_uint_eq(k->stored_sim, 4);
    ck_assert_uint_eq(k->stored_both, 3);
    ck_assert_uint_eq(k->held_real, 2);
    ck_assert_uint_eq(k->held_sim, 4);
    ck_assert_uint_eq(k->held_both, 2);
    validate_release(&v);
}
END_TEST

START_TEST(nothing_beside_nothing)
{
    struct hand a = {0}, b = {0};
    struct validation v = compare(&a, &b);
    const struct validate_title title = {.scenario_name = "none",
                                         .model = "m",
                                         .gpu = "g",
                                         .real = &device};
    ck_assert(v.n_rows == 0 && v.n_divergences == 0 && v.judged == 0 && v.within);
    ck_assert(isnan(v.hit_rate_real));
    char *json = validate_json(&v, &title);
    json_t *all = json_loads(json, 0, NULL);
    ck_assert(json_is_null(json_object_get(all, "prefix_hit_rate_real")));
    ck_assert_uint_eq(json_array_size(json_object_get(all, "rows")), 0);
    json_decref(all);
    free(json);
    validate_release(&v);
}
END_TEST

/* ---- Files. ------------------------------------------------------------------------------------- */

static size_t lines_of(int dirfd, const char *name, char *first, size_t size)
{
    FILE *f = fdopen(openat(dirfd, name, O_RDONLY), "r");
    char *line = NULL;
    size_t room = 0, n = 0;
    ck_assert_msg(f != NULL, "%s", name);
    while (getline(&line, &room, f) > 0) {
        if (line[0] == '#')
            continue;
        if (n++ == 0)
            snprintf(first, size, "%s", line);
        ck_assert_msg(!strstr(line, "nan") && !strstr(line, "inf"), "%s: %s", name, line);
    }
    free(line);
    fclose(f);
    return n;
}

START_TEST(files_hold_what_was_found)
{
    struct meter a = {0}, b = {0};
    struct validation v = {0};
    const struct validate_title title = {.scenario = "a.yaml",
                                         .scenario_name = "a",
                                         .scenario_sha256 = "00",
                                         .revision = "r",
                                         .profile = "p.yaml",
                                         .model = "m",
                                         .gpu = "g",
                                         .seed = 3,
                                         .real = &device};
    const char *parent = getenv("TMPDIR");
    char dir[300], path[400], first[400];
    snprintf(dir, sizeof dir, "%.200s/kvtwin-test-XXXXXX", parent && *parent ? parent : "/tmp");
    run(&a, 1);
    run(&b, 1.5);
    ck_assert_int_eq(validate_compare(&v, &a, &b, &core_config, &validate_default), 0);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    int dirfd = open(dir, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(validate_write(dirfd, &v, &title), 0);
    ck_assert_uint_eq(lines_of(dirfd, "validate-rows.csv", first, sizeof first), v.n_rows + 1);
    ck_assert(strncmp(first, "row,real_n,", 11) == 0);
    ck_assert_uint_eq(lines_of(dirfd, "validate-cdf.csv", first, sizeof first), v.n_rows * 201 + 1);
    ck_assert_uint_eq(lines_of(dirfd, "validate-counts.csv", first, sizeof first), v.n_counts + 1);
    ck_assert_uint_eq(lines_of(dirfd, "validate-divergences.csv", first, sizeof first),
                      v.n_divergences + 1);
    snprintf(path, sizeof path, "%s/summary.json", dir);
    json_t *all = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(all);
    ck_assert_str_eq(json_string_value(json_object_get(all, "verdict")), "beyond");
    ck_assert_str_eq(json_string_value(json_object_get(all, "profile")), "p.yaml");
    ck_assert_int_eq(json_integer_value(json_object_get(all, "rows_beyond")), (long long)v.beyond);
    json_t *row = json_array_get(json_object_get(all, "rows"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(row, "name")), v.rows[0].name);
    ck_assert_double_eq_tol(json_real_value(json_object_get(row, "p50_error")), v.rows[0].p50_error,
                            1e-6);
    ck_assert_double_eq_tol(json_real_value(
                                json_object_get(json_object_get(row, "real"), "p95_ms")),
                            v.rows[0].real.p95 / 1e6, 1e-6);
    json_decref(all);
    for (size_t i = 0; validate_files[i]; i++)
        ck_assert_int_eq(unlinkat(dirfd, validate_files[i], 0), 0);
    close(dirfd);
    ck_assert_int_eq(rmdir(dir), 0); /* nothing else was left */
    validate_release(&v);
    meter_release(&a);
    meter_release(&b);
}
END_TEST

START_TEST(the_table_says_it_all)
{
    struct meter a = {0}, b = {0};
    struct validation v = {0};
    const struct validate_title title = {.scenario_name = "a",
                                         .model = "m",
                                         .gpu = "g",
                                         .real = &device};
    char *text = NULL;
    size_t n = 0;
    run(&a, 1);
    run(&b, 1.5);
    ck_assert_int_eq(validate_compare(&v, &a, &b, &core_config, &validate_default), 0);
    FILE *out = open_memstream(&text, &n);
    validate_print(out, &v, &title, false);
    fclose(out);
    for (size_t i = 0; i < v.n_rows; i++)
        ck_assert_msg(strstr(text, v.rows[i].name) != NULL, "%s", v.rows[i].name);
    ck_assert_ptr_nonnull(strstr(text, "+50.0 %"));
    ck_assert_ptr_nonnull(strstr(text, "\nbeyond: "));
    ck_assert_ptr_nonnull(strstr(text, "main memory"));
    ck_assert_ptr_nonnull(strstr(text, "2 of 9 steps"));
    ck_assert(!strstr(text, "nan") && !strstr(text, "\033"));
    free(text);
    validate_release(&v);
    meter_release(&a);
    meter_release(&b);
}
END_TEST

/* One round in which something else was going on does not decide, nor is it hidden. */
START_TEST(rounds_are_judged_by_their_medians)
{
    static const double slower[] = {1.5, 4, 1.5}; /* than what the simulation was told */
    struct meter real[3] = {0}, sim = {0};
    struct validation rounds[3] = {0}, alone = {0};
    const char *name = "store redis medium";
    run(&sim, 1.5);
    for (int i = 0; i < 3; i++) {
        run(&real[i], slower[i]);
        ck_assert_int_eq(validate_compare(&rounds[i], &real[i], &sim, &core_config,
                                          &validate_default),
                         0);
    }
    ck_assert_int_eq(validate_compare(&alone, &real[1], &sim, &core_config, &validate_default), 0);
    ck_assert(!alone.within && alone.rounds == 1);
    const struct validate_row *one = row_named(&alone, name);
    ck_assert(one->p50_low_ns == one->real.p50 && one->p50_high_ns == one->real.p50);
    rounds[2].rounds_same = 0;
    rounds[2].hit_rate_real += 0.5;
    ck_assert_int_eq(validate_rounds(rounds, 3), 0);
    const struct validate_row *row = row_named(&rounds[0], name);
    ck_assert_uint_eq(rounds[0].rounds, 3);
    ck_assert_uint_eq(rounds[0].rounds_same, 2);
    ck_assert(rounds[0].hit_rate_real > rounds[0].hit_rate_sim + 0.4); /* the worst round's */
    ck_assert(rounds[0].beyond == 0 && !rounds[0].within);
    ck_assert(row->p50_error == 0 && row->p95_error == 0);
    ck_assert_int_ne(row->verdict, VALIDATE_BEYOND);
    ck_assert(row->real.p50 == row->sim.p50 && row->p50_low_ns == row->sim.p50);
    ck_assert(row->p50_high_ns == one->real.p50 && row->p95_high_ns == one->real.p95);
    ck_assert_uint_eq(row->real.n, 2 * row->sim.n + one->real.n);
    for (size_t i = 1; i < row->real.n; i++)
        ck_assert(row->real_ns[i - 1] <= row->real_ns[i]);
    for (int i = 0; i < 3; i++) {
        validate_release(&rounds[i]);
        meter_release(&real[i]);
    }
    validate_release(&alone);
    meter_release(&sim);
}
END_TEST

START_TEST(without_memory_there_is_an_error)
{
#if OWN_ALLOCATOR
    struct meter a = {0}, b = {0};
    const struct validate_title title = {.scenario_name = "a",
                                         .model = "m",
                                         .gpu = "g",
                                         .real = &device};
    run(&a, 1);
    run(&b, 1.5);
    for (long n = 0;; n++) {
        struct validation v = {0};
        armed = true;
        left = n;
        int rc = validate_compare(&v, &a, &b, &core_config, &validate_default);
        char *json = rc == 0 ? validate_json(&v, &title) : NULL;
        armed = false;
        ck_assert(rc == 0 || rc == -ENOMEM);
        bool done = json != NULL;
        free(json);
        validate_release(&v);
        if (done) {
            ck_assert_int_gt(n, 20);
            break;
        }
    }
    meter_release(&a);
    meter_release(&b);
#else
    kvt_test_skip("the sanitizer brings its own allocator");
#endif
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("validate");
    TCase *tcase = tcase_create("validate");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_world_beside_itself);
    tcase_add_test(tcase, a_slower_redis_is_found_out);
    tcase_add_test(tcase, every_divergence_has_its_cause);
    tcase_add_test(tcase, what_nothing_explains_is_a_defect);
    tcase_add_test(tcase, engine_preemption_and_outcome_come_before_residence);
    tcase_add_test(tcase, keys_of_every_fate);
    tcase_add_test(tcase, nothing_beside_nothing);
    tcase_add_test(tcase, files_hold_what_was_found);
    tcase_add_test(tcase, the_table_says_it_all);
    tcase_add_test(tcase, rounds_are_judged_by_their_medians);
    tcase_add_test(tcase, without_memory_there_is_an_error);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
