/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_measure_model.c - the model that calibrate fits, against the simulated world itself; fits of samples that such a
 * world would give; and the profile, written and read back.
 *
 * Transfers of 1 to 16 equal pieces on machines drawn anew, alone and three at one time. The world rounds each piece of
 * work up to whole nanoseconds, and the ends of threads that share the cores, too: at most six times a piece.
 */
#include "../cli/calibrate.h"
#include "../core/key.h"
#include "sim_fixture.h"

#include <gsl/gsl_errno.h>
#include <unistd.h>

enum { PIECES_MOST = 16, TOKENS = 64 };

static const double close_ns = 200;

static double draw(double low, double high)
{
    return low * pow(high / low, (double)dice_below(1000001) / 1e6);
}

static struct calibrate_model draw_model(void)
{
    return (struct calibrate_model){
        .h2d_bps = draw(1e8, 1e10),
        .d2h_bps = draw(1e8, 1e10),
        .copy_latency_ns = (double)dice_below(20000),
        .rtt_ns = 2.0 * (double)dice_below(50000),
        .command_ns = (double)(1 + dice_below(50000)),
        .connection_ns = (double)dice_below(50000),
        .connections = 1 + (uint32_t)dice_below(4),
        .process_bps = draw(1e8, 1e10),
        .process_write_bps = draw(1e8, 1e10),
        .coded = dice_one_in(2),
        .encode_bps = draw(1e8, 1e10),
        .decode_bps = draw(1e8, 1e10),
        .read_bps = draw(1e8, 1e10),
        .write_bps = draw(1e8, 1e10),
        .read_latency_ns = (double)dice_below(100000),
        .write_latency_ns = (double)dice_below(100000),
        .get_odds = draw(0.1, 10),
        .set_odds = draw(0.1, 10),
        .worker_cores = draw(0.5, 5),
        .file_cores = draw(0.5, 5),
        .workers = 1 + (uint32_t)dice_below(5),
        .cores = 1 + (uint32_t)dice_below(4),
        .values = 1 + (uint32_t)dice_below(6),
    };
}

static struct sim_config config_of(const struct calibrate_model *m, uint32_t nodes, double token_b)
{
    struct sim_config c = fixture_config();
    const struct sim_codec codec = {.present = m->coded,
                                    .ratio = 1,
                                    .encode_bps = m->encode_bps,
                                    .decode_bps = m->decode_bps,
                                    .cores = 1};
    c.kv_b_per_token = token_b;
    c.host = (struct sim_host){m->h2d_bps, m->d2h_bps, (kvt_ns)m->copy_latency_ns, 0, 0};
    c.network.rtt_ns = (kvt_ns)m->rtt_ns;
    c.network.connections = m->connections;
    c.machine = (struct sim_machine){.workers = m->workers,
                                     .cores = m->cores,
                                     .worker_cores = m->worker_cores,
                                     .file_cores = m->file_cores,
                                     .get_share = calibrate_share(m->get_odds),
                                     .set_share = calibrate_share(m->set_odds),
                                     .connection_ns = (kvt_ns)m->connection_ns,
                                     .values = m->values};
    c.redis.nodes = nodes;
    c.redis.process_bps = m->process_bps;
    c.redis.process_write_bps = m->process_write_bps;
    c.redis.command_ns = (kvt_ns)m->command_ns;
    c.disk = (struct sim_disk){m->read_bps, m->write_bps, (kvt_ns)m->read_latency_ns,
                               (kvt_ns)m->write_latency_ns, 1};
    for (int tier = 0; tier < KVT_TIERS; tier++)
        c.codec[tier] = codec;
    return c;
}

/* Keys that lie on the servers in turn. */
static void deal_keys(kvt_key keys[PIECES_MOST], uint32_t nodes)
{
    uint64_t next = dice_word();
    for (uint32_t i = 0; i < PIECES_MOST; i++) {
        do
            keys[i] = fixture_key(next++);
        while (kvt_key_server(keys[i], nodes) != i % nodes);
    }
}

static void issue(const struct calibrate_transfer *t, const kvt_key *keys, uint32_t op)
{
    struct kvt_block_ref blocks[PIECES_MOST];
    for (uint32_t i = 0; i < t->pieces; i++)
        blocks[i] = (struct kvt_block_ref){.key = keys[i], .tokens = TOKENS};
    const struct kvt_transfer transfer = {.op = {op},
                                          .tier = t->tier,
                                          .n_blocks = t->pieces,
                                          .blocks = blocks,
                                          .tokens = (uint64_t)t->pieces * TOKENS,
                                          .ttl_ns = t->load ? 0 : KVT_NEVER};
    struct kvt_port port = sim_world_port(fixture.world);
    fixture.in_call = true;
    MUST((t->load ? port.ops->load : port.ops->store)(port.self, &transfer) == 0);
    fixture.in_call = false;
}

static struct calibrate_spans look(uint32_t op, kvt_ns begin_ns)
{
    const struct seen *seen = fixture_find(op);
    const kvt_ns *span = seen->done.span_ns;
    kvt_ns sum = 0;
    for (int k = 0; k < KVT_SPANS; k++)
        sum += span[k];
    MUST(seen->done.status == KVT_OK && sum == seen->at - begin_ns);
    return (struct calibrate_spans){.medium_ns =
                                        (double)(span[KVT_SPAN_QUEUED] + span[KVT_SPAN_WIRE]),
                                    .decode_ns = (double)span[KVT_SPAN_DECODE],
                                    .copy_ns =
                                        (double)(span[KVT_SPAN_DESERIALISE] + span[KVT_SPAN_COPY]),
                                    .ns = (double)(seen->at - begin_ns)};
}

/* Issues the transfer in an idle world, and returns its spans. */
static struct calibrate_spans simulate(const struct calibrate_transfer *t, const kvt_key *keys,
                                       uint32_t op)
{
    const kvt_ns begin_ns = fixture.now;
    issue(t, keys, op);
    fixture_drain();
    return look(op, begin_ns);
}

static bool near(double a, double b)
{
    return fabs(a - b) <= close_ns;
}

static void must_be_alike(const struct calibrate_spans *seen, const struct calibrate_spans *form)
{
    MUST(near(seen->ns, form->ns) && near(seen->medium_ns, form->medium_ns));
    MUST(near(seen->decode_ns, form->decode_ns) && near(seen->copy_ns, form->copy_ns));
}

START_TEST(model_is_the_world)
{
    static const enum kvt_tier_kind tiers[] = {KVT_HOST, KVT_REDIS, KVT_DISK};
    dice_seed(20);
    for (int turn = 0; turn < 400; turn++) {
        const struct calibrate_model model = draw_model();
        const double token_b = (double)(1 + dice_below(8192));
        const uint32_t nodes = 1 + (uint32_t)dice_below(3);
        const struct sim_config config = config_of(&model, nodes, token_b);
        kvt_key keys[PIECES_MOST];
        deal_keys(keys, nodes);
        fixture_begin(&config);
        const enum kvt_tier_kind tier = tiers[dice_below(3)];
        struct calibrate_transfer t = {.tier = tier,
                                       .pieces = 1 + (uint32_t)dice_below(PIECES_MOST),
                                       .raw_b = token_b * TOKENS,
                                       .stored_b = token_b * TOKENS};
        t.nodes = nodes < t.pieces ? nodes : t.pieces;
        for (int load = 0; load < 2; load++) { /* a store first: what it leaves is loaded */
            t.load = load != 0;
            const struct calibrate_spans seen = simulate(&t, keys, 1 + (uint32_t)load),
                                         form = calibrate_lone(&model, &t);
            must_be_alike(&seen, &form);
        }
        fixture_end();
    }
}
END_TEST

START_TEST(stores_to_all_tiers_are_the_world)
{
    static const enum kvt_tier_kind tiers[] = {KVT_HOST, KVT_REDIS, KVT_DISK};
    dice_seed(25);
    for (int turn = 0; turn < 200; turn++) {
        const struct calibrate_model model = draw_model();
        const double token_b = (double)(1 + dice_below(8192));
        const uint32_t nodes = 1 + (uint32_t)dice_below(3),
                       pieces = 1 + (uint32_t)dice_below(PIECES_MOST);
        const struct sim_config config = config_of(&model, nodes, token_b);
        struct calibrate_transfer t[3];
        struct calibrate_spans form[3];
        kvt_key keys[PIECES_MOST];
        deal_keys(keys, nodes);
        fixture_begin(&config);
        const kvt_ns begin_ns = fixture.now;
        for (uint32_t k = 0; k < 3; k++) {
            t[k] = (struct calibrate_transfer){.tier = tiers[k],
                                               .pieces = pieces,
                                               .nodes = nodes < pieces ? nodes : pieces,
                                               .raw_b = token_b * TOKENS,
                                               .stored_b = token_b * TOKENS};
            issue(&t[k], keys, 1 + k);
        }
        fixture_drain();
        calibrate_together(&model, t, 3, form);
        for (uint32_t k = 0; k < 3; k++) {
            const struct calibrate_spans seen = look(1 + k, begin_ns);
            must_be_alike(&seen, &form[k]);
        }
        fixture_end();
    }
}
END_TEST

START_TEST(probe_is_the_world)
{
    dice_seed(21);
    for (uint32_t n = 1; n <= 256; n *= 4) {
        const struct calibrate_model model = draw_model();
        const struct sim_config config = config_of(&model, 1, 64);
        fixture_begin(&config);
        MUST(fixture_issue(PROBE, 1, 0, KVT_REDIS, 5, n, TOKENS, 0) == 0);
        fixture_drain();
        MUST(near((double)fixture_find(1)->at, calibrate_lone_probe_ns(&model, n)));
        fixture_end();
    }
}
END_TEST

/* ---- Fits of what a known machine would give ------------------------------------------------------- */

static void add(struct calibrate *c, const struct calibrate_model *model, enum be_path path,
                enum kvt_tier_kind tier, bool load, uint32_t pieces, uint32_t nodes, double raw_b)
{
    const struct calibrate_transfer t = {tier,  load,      pieces, nodes < pieces ? nodes : pieces,
                                         raw_b, raw_b + 96};
    const struct calibrate_spans s = calibrate_lone(model, &t);
    double noise = 1 + 0.02 * ((double)dice_below(2001) / 1000 - 1);
    if (dice_one_in(12))
        noise *= 4; /* something else ran */
    const struct be_sample sample = {.path = path,
                                     .pieces = pieces,
                                     .threads = 2,
                                     .nodes = tier == KVT_REDIS ? nodes : 0,
                                     .connections = 8,
                                     .depth = 16,
                                     .raw_b = raw_b,
                                     .stored_b = raw_b + 96,
                                     .repeats = 9,
                                     .ns = s.ns * noise,
                                     .low_ns = s.ns * noise * 0.9,
                                     .high_ns = s.ns * noise * 1.2,
                                     .medium_ns = s.medium_ns * noise,
                                     .decode_ns = s.decode_ns,
                                     .copy_ns = s.copy_ns * noise};
    MUST(be_samples_add(&c->samples, &sample) == 0);
}

static const struct calibrate_model truth = {
    .h2d_bps = 6e9,
    .d2h_bps = 4e9,
    .copy_latency_ns = 120000, /* as long as a large piece's copy, or noise of 2 % would hide it */
    .rtt_ns = 40000,
    .connection_ns = 25000,
    .connections = 8,
    .process_bps = 1.5e9,
    .process_write_bps = 0.8e9,
    .command_ns = 3000,
    .coded = true,
    .encode_bps = 4e9,
    .decode_bps = 7e9,
    .read_bps = 2e9,
    .write_bps = 6e8,
    .read_latency_ns = 60000,
    .write_latency_ns = 250000,
    .workers = 3,
    .cores = 2,
    .get_odds = 2,
    .set_odds = 1.5,
    .worker_cores = 1.3,
    .file_cores = 1.7,
    .values = 8 * 16,
};

static void measure_truth(struct calibrate *c)
{
    static const char *const codecs[] = {"none", "zstd-1", "made-up"};
    *c = (struct calibrate){.date = "2026-01-02", .device = "test", .memory_b = 8e9};
    c->config.threads = 2;
    c->config.workers = 3;
    c->config.cores = 2;
    c->config.connections = 8;
    c->config.depth = 16;
    c->config.codecs = codecs;
    c->config.n_codecs = 3;
    for (int turn = 0; turn < 3; turn++) {
        const double sizes[] = {98304, 786432, 1572864};
        for (uint32_t n = 1; n <= 16; n *= 2) {
            for (int s = 0; s < 3; s++) {
                add(c, &truth, BE_PATH_LOAD_HOST, KVT_HOST, true, n, 0, sizes[s]);
                add(c, &truth, BE_PATH_STORE_HOST, KVT_HOST, false, n, 0, sizes[s]);
                add(c, &truth, BE_PATH_LOAD_DISK, KVT_DISK, true, n, 0, sizes[s]);
                add(c, &truth, BE_PATH_STORE_DISK, KVT_DISK, false, n, 0, sizes[s]);
                for (uint32_t nodes = 1; nodes <= 2; nodes++) {
                    add(c, &truth, BE_PATH_LOAD_REDIS, KVT_REDIS, true, n, nodes, sizes[s]);
                    add(c, &truth, BE_PATH_STORE_REDIS, KVT_REDIS, false, n, nodes, sizes[s]);
                }
            }
        }
        for (uint32_t n = 1; n <= 256; n *= 4) {
            const struct be_sample sample = {.path = BE_PATH_REDIS_EXISTS,
                                             .pieces = n,
                                             .nodes = 1,
                                             .ns = calibrate_lone_probe_ns(&truth, n)};
            MUST(be_samples_add(&c->samples, &sample) == 0);
        }
    }
    const struct be_sample others[] = {{.path = BE_PATH_REDIS_USAGE,
                                        .raw_b = 1572960,
                                        .stored_b = 1835080},
                                       {.path = BE_PATH_ENCODE,
                                        .codec = "none",
                                        .raw_b = 1e6,
                                        .stored_b = 1e6 + 96,
                                        .ns = 2e5,
                                        .low_ns = 2e5,
                                        .high_ns = 2e5,
                                        .pieces = 1},
                                       {.path = BE_PATH_DECODE,
                                        .codec = "none",
                                        .raw_b = 1e6,
                                        .stored_b = 1e6 + 96,
                                        .ns = 1e5,
                                        .low_ns = 1e5,
                                        .high_ns = 1e5,
                                        .pieces = 1},
                                       {.path = BE_PATH_ENCODE,
                                        .codec = "zstd-1",
                                        .raw_b = 1e6,
                                        .stored_b = 8e5,
                                        .ns = 2e6,
                                        .low_ns = 2e6,
                                        .high_ns = 2e6,
                                        .pieces = 1},
                                       {.path = BE_PATH_DECODE,
                                        .codec = "zstd-1",
                                        .raw_b = 1e6,
                                        .stored_b = 8e5,
                                        .ns = 1e6,
                                        .low_ns = 1e6,
                                        .high_ns = 1e6,
                                        .pieces = 1}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        MUST(be_samples_add(&c->samples, &others[i]) == 0);
}

static void must_value(const struct calibrate *c, const char *section, const char *entry,
                       const char *key, double wanted)
{
    const struct calibrate_value *v = calibrate_value(c, section, entry, key);
    ck_assert_msg(v != NULL, "no value %s.%s.%s", section, entry, key);
    ck_assert_msg(fabs(v->value / wanted - 1) < 0.05, "%s.%s.%s is %g, not %g", section, entry, key,
                  v->value, wanted);
    ck_assert(strstr(v->source, "measured 2026-01-02") == v->source);
}

START_TEST(a_known_machine_is_found)
{
    struct calibrate c;
    dice_seed(22);
    measure_truth(&c);
    MUST(calibrate_fit(&c) == 0);
    must_value(&c, "hosts", "local", "h2d", truth.h2d_bps);
    must_value(&c, "hosts", "local", "d2h", truth.d2h_bps);
    must_value(&c, "hosts", "local", "copy_latency", truth.copy_latency_ns);
    must_value(&c, "links", "loopback", "round_trip", truth.rtt_ns);
    must_value(&c, "links", "loopback", "bandwidth", 2 * truth.process_bps);
    must_value(&c, "hosts", "local", "workers", 3);
    must_value(&c, "hosts", "local", "cores", 2);
    must_value(&c, "hosts", "local", "worker_cores", truth.worker_cores);
    must_value(&c, "hosts", "local", "file_cores", truth.file_cores);
    must_value(&c, "redis_servers", "local", "process", truth.process_bps);
    must_value(&c, "redis_servers", "local", "process_write", truth.process_write_bps);
    must_value(&c, "codecs", "none", "encode", truth.encode_bps);
    must_value(&c, "codecs", "none", "decode", truth.decode_bps);
    must_value(&c, "redis_servers", "local", "command", truth.command_ns);
    must_value(&c, "redis_servers", "local", "connection", truth.connection_ns);
    must_value(&c, "redis_servers", "local", "key_overhead", 1835080 - 1572960);
    must_value(&c, "disks", "local", "read", truth.read_bps);
    must_value(&c, "disks", "local", "read_latency", truth.read_latency_ns);
    must_value(&c, "disks", "local", "write", truth.write_bps);
    must_value(&c, "disks", "local", "write_latency", truth.write_latency_ns);
    must_value(&c, "codecs", "zstd-1", "ratio", 1.25);
    must_value(&c, "codecs", "zstd-1", "decode", 1e9);
    MUST(calibrate_value(&c, "codecs", "made-up", "ratio") == NULL);
    for (uint32_t i = 0; i < c.samples.n; i++) /* each load and store has its prediction */
        MUST(c.samples.at[i].path < BE_PATH_LOAD_HOST || c.predicted_ns[i] > 0);
    calibrate_free(&c);
}
END_TEST

START_TEST(nothing_measured_is_nothing_said)
{
    struct calibrate c = {.date = "2026-01-02"};
    MUST(calibrate_fit(&c) == 0 && c.n_fits == 0 && c.n_values == 0);
    calibrate_free(&c);
    /* One point of each is no fit either. */
    dice_seed(23);
    c = (struct calibrate){.date = "2026-01-02"};
    c.config.threads = 2;
    add(&c, &truth, BE_PATH_LOAD_HOST, KVT_HOST, true, 1, 0, 65536);
    add(&c, &truth, BE_PATH_LOAD_REDIS, KVT_REDIS, true, 1, 1, 65536);
    add(&c, &truth, BE_PATH_LOAD_DISK, KVT_DISK, true, 1, 0, 65536);
    MUST(calibrate_fit(&c) == 0 && c.n_fits == 0);
    MUST(calibrate_value(&c, "hosts", "local", "h2d") == NULL);
    calibrate_free(&c);
}
END_TEST

START_TEST(profile_is_read_back)
{
    char folder[] = "/tmp/kvtwin-profile-XXXXXX", file[64], why[512] = "";
    MUST(mkdtemp(folder) != NULL);
    snprintf(file, sizeof file, "%s/profile.yaml", folder);
    struct calibrate c;
    dice_seed(24);
    measure_truth(&c);
    MUST(calibrate_fit(&c) == 0 && calibrate_write_profile(&c, file) == 0);
    struct catalog *catalog;
    ck_assert_msg(catalog_load(&catalog, "scenarios/catalog", why, sizeof why) == 0, "%s", why);
    const uint32_t codecs = catalog->codecs.n;
    ck_assert_msg(catalog_overlay(catalog, file, why, sizeof why) == 0, "%s", why);
    const struct catalog_redis_server *server =
        catalog_redis_server(catalog, "local", why, sizeof why);
    const struct catalog_host *host = catalog_host(catalog, "local", why, sizeof why);
    const struct catalog_disk *disk = catalog_disk(catalog, "local", why, sizeof why);
    const struct catalog_link *link = catalog_link(catalog, "loopback", why, sizeof why);
    const struct catalog_codec *codec = catalog_codec(catalog, "zstd-1", why, sizeof why);
    MUST(server && host && disk && link && codec && catalog->codecs.n == codecs);
    MUST(catalog_redis_node(catalog, "local", why, sizeof why) != NULL);
    MUST(fabs(server->process_bps.number / truth.process_bps - 1) < 0.05);
    MUST(fabs(host->copy_latency_ns.number / truth.copy_latency_ns - 1) < 0.05);
    MUST(host->staging.text && host->staging.number == 0);
    MUST(disk->channels.number == 3 && host->workers.number == 3 && server->samples.number == 5);
    MUST(strcmp(link->round_trip_ns.evidence, "M") == 0 && codec->ratio.number == 1.25);
    catalog_free(catalog);
    calibrate_free(&c);
    unlink(file);
    rmdir(folder);
}
END_TEST

START_TEST(profile_that_cannot_be_written)
{
    const struct calibrate c = {.date = "2026-01-02"};
    MUST(calibrate_write_profile(&c, "/nonexistent/profile.yaml") < 0);
}
END_TEST

int main(void)
{
    gsl_set_error_handler_off();
    Suite *suite = suite_create("measure_model");
    TCase *model = tcase_create("model"), *fits = tcase_create("fits");
    tcase_set_timeout(model, 20);
    tcase_set_timeout(fits, 20);
    tcase_add_test(model, model_is_the_world);
    tcase_add_test(model, stores_to_all_tiers_are_the_world);
    tcase_add_test(model, probe_is_the_world);
    tcase_add_test(fits, a_known_machine_is_found);
    tcase_add_test(fits, nothing_measured_is_nothing_said);
    tcase_add_test(fits, profile_is_read_back);
    tcase_add_test(fits, profile_that_cannot_be_written);
    suite_add_tcase(suite, model);
    suite_add_tcase(suite, fits);
    return kvt_test_main(suite);
}
