/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_cost.c - bills by hand, prices as scenarios choose them, and the verdict's rules.
 *
 * Scenarios go the whole way from text to plan on the shipped catalogue; a bill is then recomputed here from
 * the catalogue's numbers. Sums over requests are compared with hand-made ones.
 */
#include "cli/cost_prices.h"
#include "cli/crossover.h"
#include "cli/verdict.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "kvt_test.h"

static struct catalog *catalogue;

static void setup(void)
{
    char why[512];
    ck_assert_msg(catalog_load(&catalogue, "scenarios/catalog", why, sizeof why) == 0, "%s", why);
}

static void teardown(void)
{
    catalog_free(catalogue);
}

static const char text[] =
    "prices: {inter_zone_ratio: 0}\n"
    "cluster: {model: llama-3.1-70b, gpu: a100-80g-sxm, engines: 2, gpus_per_engine: 4}\n"
    "cache:\n"
    "  block_tokens: 256\n"
    "  tiers:\n"
    "    - {kind: host, capacity: 256GiB}\n"
    "    - {kind: redis, nodes: 4, replicas: 1}\n"
    "    - {kind: disk, capacity: 6TB}\n";

static struct scenario s;
static struct resolved r;
static char error[SCENARIO_ERROR_SIZE];

/* Resolves text with changes, NULL-terminated. What is made ends with scenario_release(&s). */
static int make(const char *const *sets)
{
    ck_assert_msg(scenario_load_text(&s, "x.yaml", text, strlen(text), error) == 0, "%s", error);
    int rc = 0;
    for (size_t i = 0; rc == 0 && sets && sets[i]; i++)
        rc = scenario_set(&s, sets[i], error);
    if (rc == 0)
        rc = scenario_type(&s, error);
    if (rc == 0)
        rc = resolve(&r, &s, catalogue, 512, error);
    return rc;
}

static void made(const char *const *sets)
{
    ck_assert_msg(make(sets) == 0, "%s", error);
}

static void refused(const char *set, const char *message)
{
    const char *const sets[] = {set, NULL};
    ck_assert_int_eq(make(sets), -EINVAL);
    ck_assert_str_eq(error, message);
    scenario_release(&s);
}

/* ---- Prices ---- */

START_TEST(prices_as_usual)
{
    made(NULL);
    const struct cost_plan *p = &r.cost;
    ck_assert(p->present);
    ck_assert_double_eq_tol(p->usd_per_gpu_hour, 27.44705 / 8, 1e-12);
    ck_assert_double_eq(p->parts[COST_GPU].count, 8);
    ck_assert_str_eq(p->parts[COST_GPU].name, "aws-p4de.24xlarge");
    ck_assert_str_eq(p->parts[COST_GPU].date, "2026-11-09");
    ck_assert_double_eq(p->parts[COST_REDIS].count, 4); /* replicas are nodes too */
    ck_assert_double_eq(p->parts[COST_REDIS].usd_per_unit, 6.981);
    /* 512 GiB of the instance's 1152, 12 TB with the 8 that it brings */
    ck_assert_double_eq(p->parts[COST_HOST].count, 512);
    ck_assert_double_eq(p->parts[COST_HOST].free_count, 512);
    ck_assert_double_eq(p->parts[COST_DISK].count, 12000);
    ck_assert_double_eq(p->parts[COST_DISK].free_count, 8000);
    ck_assert_double_eq_tol(p->parts[COST_DISK].usd_per_unit, 0.08 / 730, 1e-12);
    ck_assert(!p->parts[COST_ZONES].present && !p->parts[COST_REGIONS].present);
    /* A usable GiB twice, for the replica. */
    ck_assert_double_eq_tol(p->room_usd_per_gib_hour[KVT_REDIS], 2 * 6.981 / (419.09 * 0.75), 1e-6);
    scenario_release(&s);
}
END_TEST

START_TEST(nodes_follow_the_capacity)
{
    /* 314.3 GiB of each of these nodes are usable. */
    static const struct {
        const char *capacity, *replicas;
        double nodes;
    } rows[] = {{"64GiB", "0", 1}, {"314GiB", "0", 1}, {"315GiB", "0", 2},
                {"4TiB", "0", 14}, {"4TiB", "1", 28},  {"10000blocks", "0", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char capacity[64], replicas[64];
        snprintf(capacity, sizeof capacity, "cache.tiers.redis.capacity=%s", rows[i].capacity);
        snprintf(replicas, sizeof replicas, "cache.tiers.redis.replicas=%s", rows[i].replicas);
        const char *const sets[] = {"cache.tiers.redis.nodes=auto", capacity, replicas, NULL};
        made(sets);
        ck_assert_msg(r.cost.parts[COST_REDIS].count == rows[i].nodes, "%s, %s replicas: %g nodes",
                      rows[i].capacity, rows[i].replicas, r.cost.parts[COST_REDIS].count);
        ck_assert_uint_eq(r.sim.redis.nodes * (rows[i].replicas[0] == '1' ? 2 : 1),
                          (uint32_t)rows[i].nodes);
        scenario_release(&s);
    }
    refused("cache.tiers.redis.nodes=auto",
            "--set: cache.tiers.redis.nodes: expected a number: auto counts nodes by a capacity in "
            "bytes or blocks");
    static const char *const many[] = {"cache.tiers.redis.nodes=auto",
                                       "cache.tiers.redis.capacity=1PiB", NULL};
    ck_assert_int_eq(make(many), -EINVAL);
    ck_assert_str_eq(error, "--set: cache.tiers.redis.nodes: expected a number: the capacity takes "
                            "more than 1024 nodes");
    scenario_release(&s);
}
END_TEST

START_TEST(prices_of_ones_own)
{
    static const char *const sets[] = {"prices.gpu=2USD/h",
                                       "prices.redis=self",
                                       "prices.host=0.01 USD/GiB-h",
                                       "prices.disk=ebs-io2-storage",
                                       "prices.zones=0.03USD/GB",
                                       "prices.inter_zone_ratio=0.5",
                                       "prices.inter_region_ratio=10%",
                                       NULL};
    made(sets);
    const struct cost_plan *p = &r.cost;
    ck_assert_double_eq(p->usd_per_gpu_hour, 2);
    ck_assert_str_eq(p->parts[COST_GPU].name, "own");
    ck_assert_str_eq(p->parts[COST_GPU].region, "");
    ck_assert_str_eq(p->parts[COST_REDIS].name, "ec2-r7g.16xlarge");
    ck_assert_double_eq(p->parts[COST_REDIS].usd_per_unit, 3.4272);
    ck_assert_double_eq(p->parts[COST_HOST].free_count, 0);
    ck_assert_double_eq(p->parts[COST_HOST].usd_per_unit, 0.01);
    ck_assert_double_eq(p->parts[COST_DISK].free_count, 0);
    ck_assert_double_eq_tol(p->parts[COST_DISK].usd_per_unit, 0.125 / 730, 1e-12);
    ck_assert_double_eq(p->parts[COST_ZONES].usd_per_unit, 0.03);
    ck_assert_double_eq(p->inter_zone_ratio, 0.5);
    ck_assert_str_eq(p->parts[COST_REGIONS].name, "transfer-cross-region");
    scenario_release(&s);

    static const char *const whole[] = {"cluster.engines=3", "prices.whole_instances=true",
                                        "prices.host=included", NULL};
    made(whole);
    ck_assert_double_eq(r.cost.parts[COST_GPU].count, 16);
    ck_assert_double_eq(r.cost.parts[COST_HOST].free_count, r.cost.parts[COST_HOST].count);
    scenario_release(&s);

    static const char *const off[] = {"cache.enabled=false", "prices.inter_zone_ratio=1", NULL};
    made(off);
    ck_assert(r.cost.parts[COST_GPU].present);
    for (unsigned part = COST_REDIS; part < COST_PARTS; part++)
        ck_assert(!r.cost.parts[part].present);
    scenario_release(&s);

    static const char *const gpu_only[] = {"cache.tiers.redis.enabled=false",
                                           "cache.tiers.host.enabled=false",
                                           "cache.tiers.disk.enabled=false", NULL};
    made(gpu_only);
    ck_assert(!r.cost.parts[COST_REDIS].present);
    ck_assert(isnan(r.cost.room_usd_per_gib_hour[KVT_REDIS]));
    scenario_release(&s);
    /* No redis tier at all: not even its defaults are there. */
    ck_assert_int_eq(scenario_load_text(&s, "x.yaml", "seed: 1\n", 8, error), 0);
    ck_assert_int_eq(scenario_type(&s, error), 0);
    ck_assert_int_eq(resolve(&r, &s, catalogue, 512, error), 0);
    scenario_release(&s);

    static const char *const null[] = {"world=null", NULL};
    made(null);
    ck_assert(!r.cost.present);
    scenario_release(&s);
}
END_TEST

START_TEST(prices_refused)
{
    refused("prices.gpu=27.4", "--set: prices.gpu: expected a price with unit, such as 2.5USD/h");
    refused("prices.gpu=27.4EUR/h",
            "--set: prices.gpu: expected a price with unit, such as 2.5USD/h");
    refused("prices.gpu=-1USD/h",
            "--set: prices.gpu: expected a price with unit, such as 2.5USD/h");
    refused("prices.gpu=aws-p5.48xlarge",
            "--set: prices.gpu: expected a price of a100-80g-sxm, but "
            "that is one of h100-80g-sxm");
    refused("prices.gpu=aws-p4de.24xlarg", "--set: prices.gpu: expected a price of the catalogue: "
                                           "aws-p4de.24xlarge");
    refused("prices.gpu=ebs-gp3-storage", "--set: prices.gpu: expected a price of kind gpu, but "
                                          "ebs-gp3-storage is one of disk");
    refused("prices.redis=elasticache-redis-r7g.large",
            "--set: prices.redis: expected a price of cache.r7g.16xlarge, but that is one of "
            "cache.r7g.large");
    refused("prices.host=0.01USD/h",
            "--set: prices.host: expected a price with unit, such as 0.0067USD/GiB-h");
    refused("prices.disk=0.08",
            "--set: prices.disk: expected a price with unit, such as 0.08USD/GB-month");
    refused("prices.zones=0.02USD/GiB",
            "--set: prices.zones: expected a price with unit, such as 0.01USD/GB");
    refused("prices.inter_zone_ratio=2", "--set: prices.inter_zone_ratio: expected 0 to 1");
}
END_TEST

/* ---- Bills ---- */

/* Two engines of 4 GPUs at 2 USD; Redis 3 USD/h; prefill 1 ms + 10 us per token. */
static const struct cost_plan hand = {
    .present = true,
    .parts = {[COST_GPU] = {.present = true, .count = 8, .usd_per_unit = 2},
              [COST_REDIS] = {.present = true, .count = 2, .usd_per_unit = 1.5},
              [COST_ZONES] = {.present = true, .usd_per_unit = 0.02}},
    .inter_zone_ratio = 0.5,
    .engines = 2,
    .gpus_per_engine = 4,
    .usd_per_gpu_hour = 2,
    .prefill = {.fixed_ns = 1e6, .ns_per_token = 1e4},
};

static struct kvt_report report(uint32_t gpu, uint32_t redis, uint32_t evicted, kvt_ns finish_ns)
{
    struct kvt_report p = {.prompt_tokens = gpu + redis + evicted, .finish_ns = finish_ns};
    p.ledger_tokens[KVT_HIT_GPU] = gpu;
    p.ledger_tokens[KVT_HIT_REDIS] = redis;
    p.ledger_tokens[KVT_COMPUTED_EVICTED] = evicted;
    p.source = redis ? KVT_REDIS : gpu ? KVT_GPU : KVT_TIERS;
    p.span_ns[KVT_SPAN_WIRE] = redis ? 5 * KVT_MILLISECOND : 0;
    p.span_ns[KVT_SPAN_COPY] = redis ? KVT_MILLISECOND : 0;
    return p;
}

START_TEST(bill_by_hand)
{
    struct cost_tally tally = {.balance_usd = 0};
    struct cost_figures f;
    const struct kvt_report p[] = {report(0, 0, 1000, KVT_SECOND),
                                   report(3000, 1000, 500, 1800 * KVT_SECOND)};
    for (size_t i = 0; i < 2; i++)
        cost_count(&tally, &hand, &p[i], 0);
    /* saved: 1 + 4000 x 0.01 = 41 ms, three quarters of it on the GPU */
    ck_assert_double_eq_tol(tally.saved_ns[KVT_GPU], 30.75e6, 1);
    ck_assert_double_eq_tol(tally.saved_ns[KVT_REDIS], 10.25e6, 1);
    ck_assert_double_eq_tol(tally.load_ns[KVT_REDIS], 6e6, 1);
    /* spent: 1 + 10 ms of the first, 5 ms of the second, whose first millisecond is saved */
    ck_assert_double_eq_tol(tally.spent_ns[KVT_COMPUTED_EVICTED], 16e6, 1);
    ck_assert_double_eq_tol(tally.balance_usd, 0.041 / 3600 * 4 * 2, 1e-12);
    ck_assert_uint_eq(tally.below_until_ns, 1800 * KVT_SECOND);

    const struct cost_run run = {.duration_s = 1800,
                                 .output_tokens = 200,
                                 .prompt_tokens = 5500,
                                 .requests = 2,
                                 .hit_tokens = {[KVT_GPU] = 3000, [KVT_REDIS] = 1000},
                                 .moved_b = 10e9,
                                 .moved_s = 3600};
    cost_compute(&f, &hand, &tally, &run);
    ck_assert_double_eq_tol(f.part_usd_per_hour[COST_GPU], 16, 1e-12);
    ck_assert_double_eq_tol(f.part_usd_per_hour[COST_REDIS], 3, 1e-12);
    ck_assert_double_eq_tol(f.moved_gb[COST_ZONES], 5, 1e-12);
    ck_assert_double_eq_tol(f.part_usd_per_hour[COST_ZONES], 0.1, 1e-12);
    ck_assert_double_eq_tol(f.usd_per_hour, 19.1, 1e-12);
    ck_assert_double_eq_tol(f.cache_usd_per_hour, 3.1, 1e-12);
    ck_assert_double_eq_tol(f.usd_per_mtok_output, 19.1 / 2 / 200e-6, 1e-6);
    ck_assert_double_eq_tol(f.usd_per_mtok_input, 19.1 / 2 / 5500e-6, 1e-6);
    ck_assert_double_eq_tol(f.usd_per_1000_requests, 19.1 / 2 / 2e-3, 1e-6);
    ck_assert_double_eq_tol(f.saved_gpu_s, 0.041 * 4, 1e-12);
    ck_assert_double_eq_tol(f.saved_usd_per_hour, 0.041 / 3600 * 8 * 2, 1e-12);
    ck_assert_double_eq_tol(f.payback_ratio, f.saved_usd_per_hour / 3.1, 1e-12);
    ck_assert(isnan(f.payback_s));
    ck_assert_double_eq_tol(f.breakeven_hit_rate, 4000.0 / 5500 / f.payback_ratio, 1e-6);
    ck_assert_double_eq_tol(f.tiers[KVT_REDIS].usd_per_hour, 3.1, 1e-12);
    ck_assert_double_eq_tol(f.tiers[KVT_REDIS].saved_usd_per_hour, 0.01025 / 3600 * 8 * 2, 1e-12);
    ck_assert(!f.tiers[KVT_HOST].present && !f.tiers[KVT_DISK].present);
    ck_assert(isinf(f.tiers[KVT_GPU].pays_ratio));

    struct cost_plan bare = hand;
    cost_without_cache(&bare);
    cost_compute(&f, &bare, &tally, &run);
    ck_assert_double_eq_tol(f.usd_per_hour, 16, 1e-12);
    bare.present = false;
    cost_compute(&f, &bare, &tally, &run);
    ck_assert(!f.present);
}
END_TEST

/* 16 GPUs for a quarter of the time, then 8; of those that leave four take 10 s longer, four have not left. And 8, then 16. */
START_TEST(gpus_that_come_and_go_by_hand)
{
    struct kvt_core_stats stats = {.requests = 1};
    ck_assert_double_eq(cost_mean_gpus(&stats, 0, 1000 * KVT_SECOND), 0);
    stats.resize.begun = true;
    stats.resize.begin_ns = 350 * KVT_SECOND;
    stats.resize.gpus_before = 16;
    stats.resize.gpus_after = 8;
    stats.resize.left_gpus = 4;
    stats.resize.leaving_ns = 4 * 10 * KVT_SECOND;
    ck_assert_double_eq_tol(cost_mean_gpus(&stats, 100 * KVT_SECOND, 1100 * KVT_SECOND),
                            (16 * 250 + (8 + 4) * 750 + 40) / 1000.0, 1e-12);
    ck_assert_double_eq(cost_mean_gpus(&stats, 100 * KVT_SECOND, 200 * KVT_SECOND), 16);
    stats.resize.gpus_before = 8;
    stats.resize.gpus_after = 16;
    stats.resize.left_gpus = 0;
    stats.resize.leaving_ns = 0;
    ck_assert_double_eq_tol(cost_mean_gpus(&stats, 100 * KVT_SECOND, 1100 * KVT_SECOND),
                            (8 * 250 + 16 * 750) / 1000.0, 1e-12);
    ck_assert_double_eq_tol(cost_mean_gpus(&stats, 400 * KVT_SECOND, 1100 * KVT_SECOND), 16, 1e-12);
    ck_assert_double_eq(cost_mean_gpus(&stats, KVT_SECOND, KVT_SECOND), 0);
    struct cost_tally tally = {.balance_usd = 0};
    struct cost_figures f;
    const struct cost_run run = {.duration_s = 1000, .requests = 1, .gpus = 14};
    const struct cost_run plain = {.duration_s = 1000, .requests = 1};
    cost_compute(&f, &hand, &tally, &plain);
    const double usd = f.part_usd_per_hour[COST_GPU];
    ck_assert_double_eq(f.gpus, hand.parts[COST_GPU].count);
    cost_compute(&f, &hand, &tally, &run);
    ck_assert_double_eq_tol(f.part_usd_per_hour[COST_GPU], usd / hand.parts[COST_GPU].count * 14,
                            1e-9);
}
END_TEST

/* Savings at a constant rate pay a constant rent back as soon as they come, but for a dear beginning. */
START_TEST(payback_by_hand)
{
    struct cost_tally tally = {.balance_usd = 0};
    struct cost_plan plan = hand;
    struct cost_figures f;
    plan.parts[COST_ZONES].present = false;
    plan.prefill = (struct kvt_prefill_cost){.ns_per_token = 1e6}; /* 1000 tokens: 1 s, 8 USD/h */
    /* An hour in which a second of an engine is saved every second, after ten minutes of nothing:
     * 8/3600 (t - 600) >= 3/3600 t from t = 960 s on. */
    for (kvt_ns t = 1; t <= 3600; t++) {
        struct kvt_report p = report(t > 600 ? 1000 : 0, 0, t > 600 ? 0 : 1000, t * KVT_SECOND);
        cost_count(&tally, &plan, &p, 0);
    }
    const struct cost_run run = {.duration_s = 3600,
                                 .prompt_tokens = 3600000,
                                 .hit_tokens = {[KVT_GPU] = 3000000}};
    cost_compute(&f, &plan, &tally, &run);
    ck_assert_double_eq_tol(f.payback_s, 959, 1.001);
    ck_assert_double_eq_tol(f.saved_usd_per_hour, 8.0 * 3000 / 3600, 1e-9);
    ck_assert_double_eq_tol(f.breakeven_hit_rate, 3.0 / 8, 1e-9);
}
END_TEST

/* ---- Verdict ---- */

static struct verdict judged(const struct results_busy *busy, size_t n, double wait_share,
                             uint64_t evicted)
{
    static struct cost_tally tally;
    static struct cost_figures cost;
    struct cost_plan plan = hand;
    struct verdict v;
    uint64_t ledger[KVT_LEDGER] = {[KVT_COMPUTED_EVICTED] = evicted};
    tally = (struct cost_tally){.balance_usd = 0};
    tally.spent_ns[KVT_COMPUTED_EVICTED] = (double)evicted * 1e4;
    for (unsigned t = 0; t < KVT_TIERS; t++) {
        plan.room_usd_per_gib_hour[t] = NAN;
        plan.kv_b_per_token[t] = 1 << 20;
    }
    plan.room_usd_per_gib_hour[KVT_HOST] = 0.01;
    plan.room_usd_per_gib_hour[KVT_REDIS] = 0.02;
    const struct cost_run run = {.duration_s = 60, .prompt_tokens = 1000, .requests = 1};
    cost_compute(&cost, &plan, &tally, &run);
    const struct verdict_run given = {&plan, &tally, &cost, ledger, busy, n, 60, wait_share};
    verdict_find(&v, &given);
    return v;
}

START_TEST(verdict_rules)
{
    struct results_busy busy[] = {{.name = "engine/0", .busy_ratio = 0.95},
                                  {.name = "engine/1", .busy_ratio = 0.5},
                                  {.name = "engine0/h2d", .busy_ratio = 0.3},
                                  {.name = "redis3/process", .busy_ratio = 0.85}};
    struct verdict v = judged(busy, 4, 0.5, 1000);
    ck_assert_uint_eq(v.rule, 1);
    ck_assert_str_eq(v.saturates, "redis process");
    ck_assert_double_eq(v.busy_ratio, 0.85);
    ck_assert_double_eq(v.engine_busy_ratio, 0.95);
    ck_assert_msg(strstr(v.next, "another Redis node") != NULL, "%s", v.next);

    busy[3].busy_ratio = 0.2;
    v = judged(busy, 4, 0.5, 1000);
    ck_assert_uint_eq(v.rule, 2);
    ck_assert_str_eq(v.saturates, "engine h2d");

    /* A token saves 10 us x 4 GPUs x 2 USD/h; it needs a MiB for a minute, cheapest on the host:
     * 22.2 nUSD for 163 nUSD, which is not worth it. */
    v = judged(busy, 4, 0.1, 1000);
    ck_assert_uint_eq(v.rule, 4);
    ck_assert_msg(strstr(v.next, "less of the redis tier") != NULL, "%s", v.next);

    v = judged(NULL, 0, NAN, 0);
    ck_assert_uint_eq(v.rule, 4);
    ck_assert_str_eq(v.saturates, "");
}
END_TEST

START_TEST(verdict_buys_room)
{
    struct cost_tally tally = {.spent_ns = {[KVT_COMPUTED_EVICTED] = 3.6e12}}; /* an engine hour */
    struct cost_figures cost = {.present = true};
    struct cost_plan plan = hand;
    uint64_t ledger[KVT_LEDGER] = {[KVT_COMPUTED_EVICTED] = 1 << 20};
    for (unsigned t = 0; t < KVT_TIERS; t++) {
        plan.room_usd_per_gib_hour[t] = NAN;
        plan.kv_b_per_token[t] = 1 << 17; /* 128 GiB */
    }
    plan.room_usd_per_gib_hour[KVT_HOST] = 0.01; /* 1.28 USD for 8 */
    plan.room_usd_per_gib_hour[KVT_REDIS] = 0.02;
    const struct verdict_run given = {.plan = &plan,
                                      .tally = &tally,
                                      .cost = &cost,
                                      .ledger_tokens = ledger,
                                      .duration_s = 3600,
                                      .wait_share = NAN};
    struct verdict v;
    verdict_find(&v, &given);
    ck_assert_uint_eq(v.rule, 3);
    ck_assert_double_eq_tol(v.next_ratio, 8 / 1.28, 1e-9);
    ck_assert_msg(strstr(v.next, "room in the host tier") != NULL, "%s", v.next);
}
END_TEST

/* ---- Load or compute ---- */

START_TEST(crossover_is_where_it_says)
{
    static const char *const slow[] = {"cluster.network=ethernet-10g", "cluster.gpu=h100-80g-sxm",
                                       "cache.tiers.redis.codec=zlib-3",
                                       "cache.tiers.redis.codec_cores=1", NULL};
    static const char *const *const cases[] = {NULL, slow};
    for (size_t c = 0; c < 2; c++) {
        struct crossovers all;
        made(cases[c]);
        ck_assert_int_eq(crossovers_find(&all, &r, &s, catalogue), 0);
        ck_assert_uint_gt(all.n, 30);
        for (uint32_t i = 0; i < all.n; i++) {
            const struct crossover *row = &all.rows[i];
            ck_assert_uint_eq(row->tokens % r.core.block_tokens, 0);
            for (uint32_t k = 0; k < row->n_lengths; k++) {
                /* Every length at or beyond the crossover is faster to load. */
                if (row->tokens > 0 && crossover_tokens(k) >= row->tokens)
                    ck_assert_double_le(row->load_ms[k], row->compute_ms[k]);
                if (row->tokens == 0 && k + 1 == row->n_lengths)
                    ck_assert_double_gt(row->load_ms[k], row->compute_ms[k]);
            }
        }
        const struct crossover *own = crossovers_own(&all, KVT_REDIS);
        ck_assert_ptr_nonnull(own);
        ck_assert_str_eq(own->codec, s.cache.tiers[KVT_REDIS].codec);
        ck_assert_double_eq_tol(own->load_ms[4],
                                (r.core.tiers[KVT_REDIS].load_fixed_ns +
                                 1024 * r.core.tiers[KVT_REDIS].load_ns_per_token) /
                                    1e6,
                                1e-9);
        /* One core inflating fp16 KV is slower than four H100 at any length up to here. */
        ck_assert(c == 0 ? own->tokens > 0 : own->tokens != 256);
        ck_assert_ptr_null(crossovers_own(&all, KVT_GPU));
        free(all.rows);
        scenario_release(&s);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cost");
    TCase *plan = tcase_create("plan"), *bill = tcase_create("bill");

    tcase_add_checked_fixture(plan, setup, teardown);
    tcase_add_test(plan, prices_as_usual);
    tcase_add_test(plan, nodes_follow_the_capacity);
    tcase_add_test(plan, prices_of_ones_own);
    tcase_add_test(plan, prices_refused);
    tcase_add_test(plan, crossover_is_where_it_says);
    suite_add_tcase(suite, plan);
    tcase_add_test(bill, bill_by_hand);
    tcase_add_test(bill, gpus_that_come_and_go_by_hand);
    tcase_add_test(bill, payback_by_hand);
    tcase_add_test(bill, verdict_rules);
    tcase_add_test(bill, verdict_buys_room);
    suite_add_tcase(suite, bill);
    return kvt_test_main(suite);
}
