/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_fit.c - what the simulator should believe of this machine.
 *
 * Two kinds of fits. Each path by itself gets a line, latency + bytes / rate, for people to
 * read. What the simulator takes comes from whole loads and stores, as the real world does them,
 * and from the simulator's own idea of them (calibrate_model.c): the values are those with which
 * its time for these transfers is nearest to the measured one.
 *
 *      values                                        samples                         of each, the
 *      decode of no codec                            loads of many, redis and disk   their decode stage
 *      encode of no codec                            stores of one, redis and disk   their decode stage
 *      copy_latency, h2d                             loads of many, redis (or host)  their copy stage
 *      d2h                                           stores of one, redis (or host)  their copy stage
 *      worker_cores                                  stores of many                  their copy stage
 *      round_trip, command, connection               redis-exists                    whole time
 *      process, get_share                            load-redis                      time to the last reply
 *      process_write, set_share                      store-redis                     from coding to the last reply
 *      read_latency, read, file_cores                load-disk                       time to the last file
 *      write_latency, write                          store-disk                      whole time
 *      fill                                          fill, one thread                its line
 *
 * Rates other than the disk's are those of pieces of at least half a block: a scenario stores whole blocks. Stores to all tiers at one
 * time have no say: they show what the model makes of things that it was not fitted to. How
 * far times spread is calibrate_vary.c's.
 */
#include "calibrate_impl.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/config.h"

#define BIT(path) (1u << BE_PATH_##path)

/* "16 points, residual p50 4 %, p95 12 %", and a word when that is too much. */
static void say(const struct be_fit *fit, const char *how, char text[160])
{
    snprintf(text, 160, "%s; %u points, residual p50 %.0f %%, p95 %.0f %%%s", how,
             (unsigned)fit->points, 100 * fit->residual_p50, 100 * fit->residual_p95,
             fit->fits ? "" : ", so the model fits badly");
}

#define MEMBER(name) offsetof(struct calibrate_model, name)

static uint32_t nodes_seen(const struct calibrate *c)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < c->samples.n; i++)
        if (c->samples.at[i].path == BE_PATH_LOAD_REDIS && c->samples.at[i].nodes > most)
            most = c->samples.at[i].nodes;
    return most;
}

/* Raw bytes of the largest piece of a load or store. */
static double largest_b(const struct calibrate *c)
{
    double most_b = 0;
    for (uint32_t i = 0; i < c->samples.n; i++)
        if (c->samples.at[i].path >= BE_PATH_LOAD_HOST)
            most_b = fmax(most_b, c->samples.at[i].raw_b);
    return most_b;
}

/* One thread that fills pages: its line, or where there are too few sizes for one the largest. */
static double fill_bps(const struct calibrate *c, double line_bps)
{
    double most_b = 0, bps = line_bps;
    for (uint32_t i = 0; line_bps <= 0 && i < c->samples.n; i++) {
        const struct be_sample *s = &c->samples.at[i];
        if (s->path != BE_PATH_FILL || s->threads != 1 || s->raw_b <= most_b || s->ns <= 0)
            continue;
        most_b = s->raw_b;
        bps = s->pieces * s->raw_b * 1e9 / s->ns;
    }
    return bps;
}

static int fit_host(struct calibrate *c, struct calibrate_model *model)
{
    static const size_t members[] = {MEMBER(copy_latency_ns), MEMBER(h2d_bps), MEMBER(d2h_bps),
                                     MEMBER(worker_cores)};
    static const char *const names[] = {"copy_latency_ns", "h2d_bps", "d2h_bps", "worker_cores"};
    /* With Redis, of what lies in staging, as it does for every tier but main memory: fresh from the socket. */
    const bool redis = nodes_seen(c) > 0;
    const double least_b = largest_b(c) / 2;
    /* A piece alone says how fast one worker is, many say how much several of them get done. Loads are of many, and the copy
     * that counts is the last one's, by a worker that is awake: one that slept takes half as long again. */
    const struct calibrate_choice up_way = {redis ? "loads of many pieces, copies"
                                                  : "loads of one piece, copies",
                                            redis ? BIT(LOAD_REDIS) : BIT(LOAD_HOST),
                                            CALIBRATE_COPY,
                                            least_b,
                                            redis ? SIM_MANY : 1,
                                            redis ? 0 : 1},
                                  down_way = {"stores of one piece, copies",
                                              redis ? BIT(STORE_REDIS) : BIT(STORE_HOST),
                                              CALIBRATE_COPY,
                                              least_b,
                                              1,
                                              1},
                                  many = {"stores of many pieces, copies",
                                          redis ? BIT(STORE_REDIS) : BIT(STORE_HOST),
                                          CALIBRATE_COPY,
                                          least_b,
                                          2,
                                          0};
    const struct be_fit *fit, *down_fit = NULL, *together = NULL;
    double up[2], down[2], copy[2], fill[2], other[2];
    char how[160];
    int rc = calibrate_threads(c, BE_PATH_MEMCPY, copy);
    if (rc == 0)
        rc = calibrate_threads(c, BE_PATH_UPLOAD, up);
    if (rc == 0)
        rc = calibrate_threads(c, BE_PATH_DOWNLOAD, down);
    if (rc == 0)
        rc = calibrate_threads(c, BE_PATH_FILL, fill);
    for (enum be_path path = BE_PATH_PEER; rc == 0 && path <= BE_PATH_CHECKSUM; path++)
        if (path != BE_PATH_FILL)
            rc = calibrate_threads(c, path, other);
    /* Each says something of the others: from a first guess they are made again. */
    const uint32_t n_fits = c->n_fits;
    for (int turn = 0; rc == 0 && turn < 3; turn++) {
        c->n_fits = n_fits;
        rc = calibrate_group(c, model, &up_way, members, names, 2, &fit);
        if (rc == 0 && fit)
            rc = calibrate_group(c, model, &down_way, &members[2], &names[2], 1, &down_fit);
        if (rc == 0 && fit)
            rc = calibrate_group(c, model, &many, &members[3], &names[3], 1, &together);
    }
    if (rc != 0 || !fit || !down_fit)
        return rc;
    say(fit, "loads and stores, between main memory and pages", how);
    const struct {
        const char *key;
        enum catalog_unit unit;
        double value;
        const char *how;
    } values[] = {
        {"h2d", CATALOG_BANDWIDTH, model->h2d_bps, how},
        {"d2h", CATALOG_BANDWIDTH, model->d2h_bps, how},
        {"copy_latency", CATALOG_DURATION, model->copy_latency_ns, how},
        {"node", CATALOG_BANDWIDTH,
         fmax(fmax(model->h2d_bps, model->d2h_bps), fmax(up[1], down[1])),
         "the most that all threads moved together, or one engine alone"},
        {"memcpy", CATALOG_BANDWIDTH, copy[0] > 0 ? copy[0] : model->h2d_bps,
         "memcpy in main memory, one thread"},
        {"staging", CATALOG_COUNT, 0, "received bytes lie in staging memory already"},
        {"workers", CATALOG_COUNT, model->workers,
         "one per processor, and one for loads, or as set"},
        {"cores", CATALOG_COUNT, model->cores, "processors that are online"},
        {"worker_cores", CATALOG_NUMBER, together ? fmax(1, model->worker_cores) : -1,
         "stores of two pieces and more"},
        {"fill", CATALOG_BANDWIDTH, fill_bps(c, fill[0]), "pages filled by one thread"},
    };
    for (size_t i = 0; rc == 0 && i < sizeof values / sizeof *values; i++)
        if (values[i].value > 0 || values[i].unit == CATALOG_COUNT)
            rc = calibrate_add_value(c, "hosts", "local", values[i].key, values[i].unit,
                                     values[i].value, values[i].how);
    return rc;
}

/* ---- Without a codec ------------------------------------------------------------------------------- */

/* Values are made and verified whatever the codec; of large pieces, since a rate is all that the simulator has for it.
 * Stores are mostly of one piece, which nothing else disturbs, loads of many. */
static int fit_none(struct calibrate *c, struct calibrate_model *model)
{
    static const size_t decode[] = {MEMBER(decode_bps)}, encode[] = {MEMBER(encode_bps)};
    static const char *const decode_names[] = {"decode_bps"}, *const encode_names[] = {
                                                                  "encode_bps"};
    const double most_b = largest_b(c);
    const struct calibrate_choice loads = {"loads of many pieces, verified",
                                           BIT(LOAD_REDIS) | BIT(LOAD_DISK),
                                           CALIBRATE_DECODE,
                                           most_b / 2,
                                           SIM_MANY,
                                           0},
                                  stores = {"stores of one piece, values made",
                                            BIT(STORE_REDIS) | BIT(STORE_DISK),
                                            CALIBRATE_DECODE,
                                            most_b / 2,
                                            1,
                                            1};
    const struct be_fit *up, *down;
    char how[160];
    model->coded = true;
    model->decode_bps = model->encode_bps = 5e9;
    int rc = calibrate_group(c, model, &loads, decode, decode_names, 1, &up);
    if (rc == 0)
        rc = calibrate_group(c, model, &stores, encode, encode_names, 1, &down);
    if (rc != 0 || !up || !down)
        return rc;
    say(down, "values made on the way to Redis and disk", how);
    rc = calibrate_add_value(c, "codecs", "none", "ratio", CATALOG_NUMBER, 1, how);
    if (rc == 0)
        rc = calibrate_add_value(c, "codecs", "none", "encode", CATALOG_BANDWIDTH,
                                 model->encode_bps, how);
    say(up, "values verified on the way from Redis and disk", how);
    if (rc == 0)
        rc = calibrate_add_value(c, "codecs", "none", "decode", CATALOG_BANDWIDTH,
                                 model->decode_bps, how);
    return rc;
}

/* ---- Redis ----------------------------------------------------------------------------------------- */

/* What one connection carries by itself, with a deep pipeline. */
static int fit_alone(struct calibrate *c, double *connection_bps)
{
    static const struct {
        enum be_path path;
        const char *name;
    } paths[] = {{BE_PATH_REDIS_GET, "redis-get"}, {BE_PATH_REDIS_SET, "redis-set"}};
    const uint32_t connections[2] = {1, c->config.connections}, depth[2] = {1, c->config.depth};
    *connection_bps = 0;
    for (int p = 0; p < 2; p++) {
        for (int i = 0; i < 4; i++) {
            const struct calibrate_pick pick = {.path = paths[p].path,
                                                .connections = connections[i / 2],
                                                .depth = depth[i % 2]};
            struct calibrate_fit *line;
            char what[64];
            if ((i / 2 && connections[1] == 1) || (i % 2 && depth[1] == 1))
                continue;
            snprintf(what, sizeof what, "%s, %u connection%s, depth %u", paths[p].name,
                     (unsigned)pick.connections, pick.connections == 1 ? "" : "s",
                     (unsigned)pick.depth);
            const int rc = calibrate_line(c, &pick, what, &line);
            if (rc != 0)
                return rc;
            if (line && p == 0 && i < 2)
                *connection_bps = fmax(*connection_bps, line->fit.parameter[1]);
        }
    }
    return 0;
}

/* Bytes that the server needs for a value beyond those of the value; of the largest that was asked about. */
static double overhead_b(const struct calibrate *c)
{
    double most_b = 0, overhead = (double)NAN;
    for (uint32_t i = 0; i < c->samples.n; i++) {
        const struct be_sample *s = &c->samples.at[i];
        if (s->path == BE_PATH_REDIS_USAGE && s->raw_b > most_b && s->stored_b >= s->raw_b) {
            most_b = s->raw_b;
            overhead = s->stored_b - s->raw_b;
        }
    }
    return overhead;
}

static int add_redis_values(struct calibrate *c, const struct calibrate_model *model,
                            const struct be_fit *fit, const struct be_fit *stores,
                            double connection_bps)
{
    const double fastest_bps = fmax(model->process_bps, model->process_write_bps);
    const uint32_t nodes = nodes_seen(c);
    char how[160], write_how[160];
    say(fit, "loads through Redis servers on this machine, while workers verify and upload", how);
    say(stores, "stores through Redis servers on this machine", write_how);
    const double overhead = overhead_b(c);
    const struct {
        const char *section, *entry, *key;
        enum catalog_unit unit;
        double value;
        const char *how;
    } values[] = {
        {"links", "loopback", "bandwidth", CATALOG_BANDWIDTH, nodes * fastest_bps,
         "none: what the servers gave, which share the processors"},
        {"links", "loopback", "round_trip", CATALOG_DURATION, model->rtt_ns, how},
        {"links", "loopback", "connection", CATALOG_BANDWIDTH, fmax(connection_bps, fastest_bps),
         "GET through one connection, and at least what a server gives"},
        {"redis_nodes", "local", "memory", CATALOG_BYTES, floor(c->memory_b / 4),
         "a quarter of the memory that was free"},
        {"redis_nodes", "local", "usable", CATALOG_RATIO, 1, "as set"},
        {"redis_nodes", "local", "nic", CATALOG_BANDWIDTH, nodes * fastest_bps,
         "none: as the loopback link"},
        {"redis_servers", "local", "process", CATALOG_BANDWIDTH, model->process_bps, how},
        {"redis_servers", "local", "process_write", CATALOG_BANDWIDTH, model->process_write_bps,
         write_how},
        {"redis_servers", "local", "get_share", CATALOG_NUMBER, calibrate_share(model->get_odds),
         how},
        {"redis_servers", "local", "set_share", CATALOG_NUMBER, calibrate_share(model->set_odds),
         write_how},
        {"redis_servers", "local", "connection", CATALOG_DURATION,
         model->connections > 1 ? model->connection_ns : -1, how},
        {"redis_servers", "local", "command", CATALOG_DURATION, model->command_ns, how},
        {"redis_servers", "local", "key_overhead", CATALOG_BYTES, isnan(overhead) ? 85 : overhead,
         "MEMORY USAGE of a whole block's value: key, entry, and what the allocator rounds up"},
        {"redis_servers", "local", "samples", CATALOG_COUNT, 5, "the server's default"},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof values / sizeof *values; i++)
        rc = calibrate_add_value(c, values[i].section, values[i].entry, values[i].key,
                                 values[i].unit, values[i].value, values[i].how);
    return rc;
}

static int fit_redis(struct calibrate *c, struct calibrate_model *model)
{
    static const size_t asked[] = {MEMBER(rtt_ns), MEMBER(command_ns), MEMBER(connection_ns)},
                        moved[] = {MEMBER(process_bps)}, beside[] = {MEMBER(get_odds)},
                        written[] = {MEMBER(process_write_bps)}, with[] = {MEMBER(set_odds)};
    static const char
        *const asked_names[] = {"round_trip_ns", "command_ns", "connection_ns"},
               *const moved_names[] = {"process_bps"}, *const beside_names[] = {"get_odds"},
               *const written_names[] = {"process_write_bps"}, *const with_names[] = {"set_odds"};
    const double least_b = largest_b(c) / 2;
    /* A value alone says how long one takes, many say how much of the cores. */
    const struct calibrate_choice
        asking = {"probes, redis", BIT(REDIS_EXISTS), CALIBRATE_WHOLE, 0, 0, 0},
        load = {"loads of one value, redis", BIT(LOAD_REDIS), CALIBRATE_MEDIUM, least_b, 1, 1},
        loads = {"loads of many values, redis", BIT(LOAD_REDIS), CALIBRATE_MEDIUM, least_b, 2, 0},
        store = {"stores of one value, redis", BIT(STORE_REDIS), CALIBRATE_MEDIUM, least_b, 1, 1},
        stores = {
            "stores of many values, redis", BIT(STORE_REDIS), CALIBRATE_MEDIUM, least_b, 2, 0};
    const struct be_fit *fit, *probes;
    struct be_fit loaded, stored;
    double connection_bps;
    int rc = fit_alone(c, &connection_bps);
    if (rc == 0)
        rc = calibrate_group(c, model, &asking, asked, asked_names, model->connections > 1 ? 3 : 2,
                             &probes);
    if (rc == 0)
        rc = calibrate_group(c, model, &load, moved, moved_names, 1, &fit);
    if (rc != 0 || !fit)
        return rc;
    loaded = stored = *fit;
    rc = calibrate_group(c, model, &loads, beside, beside_names, 1, &fit);
    if (rc == 0 && fit)
        loaded = *fit;
    if (rc == 0)
        rc = calibrate_group(c, model, &store, written, written_names, 1, &fit);
    if (rc == 0)
        rc = calibrate_group(c, model, &stores, with, with_names, 1, &fit);
    if (rc == 0 && fit)
        stored = *fit;
    return rc ? rc : add_redis_values(c, model, &loaded, &stored, connection_bps);
}

/* ---- Disk ------------------------------------------------------------------------------------------ */

static int fit_disk(struct calibrate *c, struct calibrate_model *model)
{
    static const size_t reads[] = {MEMBER(read_latency_ns), MEMBER(read_bps), MEMBER(file_cores)},
                        writes[] = {MEMBER(write_latency_ns), MEMBER(write_bps)};
    static const char *const read_names[] = {"read_latency_ns", "read_bps", "file_cores"},
                             *const write_names[] = {"write_latency_ns", "write_bps"};
    const struct calibrate_choice
        loading = {"loads, disk", BIT(LOAD_DISK), CALIBRATE_MEDIUM, 0, 0, 0},
        storing = {"stores, disk", BIT(STORE_DISK), CALIBRATE_WHOLE, 0, 0, 0};
    const struct be_fit *fit;
    double rate[2];
    char how[160];
    int rc = calibrate_threads(c, BE_PATH_DISK_READ, rate);
    if (rc == 0)
        rc = calibrate_threads(c, BE_PATH_DISK_WRITE, rate);
    if (rc == 0)
        rc = calibrate_group(c, model, &loading, reads, read_names, 3, &fit);
    if (rc != 0 || !fit)
        return rc;
    say(fit,
        c->config.direct ? "loads from files, around the page cache"
                         : "loads from files in the page cache",
        how);
    rc = calibrate_add_value(c, "disks", "local", "read", CATALOG_BANDWIDTH, model->read_bps, how);
    if (rc == 0)
        rc = calibrate_add_value(c, "disks", "local", "read_latency", CATALOG_DURATION,
                                 model->read_latency_ns, how);
    if (rc == 0)
        rc = calibrate_add_value(c, "hosts", "local", "file_cores", CATALOG_NUMBER,
                                 fmax(1, model->file_cores), how);
    if (rc == 0)
        rc = calibrate_group(c, model, &storing, writes, write_names, 2, &fit);
    if (rc != 0)
        return rc;
    if (fit)
        say(fit,
            c->config.sync == BE_SYNC_NONE ? "stores to files, not synced"
                                           : "stores to files, synced",
            how);
    rc =
        calibrate_add_value(c, "disks", "local", "write", CATALOG_BANDWIDTH, model->write_bps, how);
    if (rc == 0)
        rc = calibrate_add_value(c, "disks", "local", "write_latency", CATALOG_DURATION,
                                 model->write_latency_ns, how);
    if (rc == 0)
        rc = calibrate_add_value(c, "disks", "local", "channels", CATALOG_COUNT, model->workers,
                                 "worker threads");
    return rc;
}

/* ---- Codecs ---------------------------------------------------------------------------------------- */

/* The sample of a chain with the largest pieces. timed: with a time, else a ratio of another type. */
static const struct be_sample *codec_sample(const struct calibrate *c, enum be_path path,
                                            const char *codec, bool timed)
{
    const struct be_sample *best = NULL;
    for (uint32_t i = 0; i < c->samples.n; i++) {
        const struct be_sample *s = &c->samples.at[i];
        if (s->path == path && (s->ns > 0) == timed && strcmp(s->codec, codec) == 0 &&
            (!best || s->raw_b > best->raw_b))
            best = s;
    }
    return best;
}

/* To four digits; what only a value's head makes larger than raw is 1. */
static double ratio_of(const struct be_sample *s)
{
    return round(1e3 * s->raw_b / s->stored_b) / 1e3;
}

static int add_codec(struct calibrate *c, const char *name)
{
    const struct be_sample *encode = codec_sample(c, BE_PATH_ENCODE, name, true),
                           *decode = codec_sample(c, BE_PATH_DECODE, name, true),
                           *fp16 = codec_sample(c, BE_PATH_ENCODE, name, false);
    char longer[32], how[160];
    if (!encode || !decode || calibrate_value(c, "codecs", name, "encode"))
        return 0;
    snprintf(how, sizeof how,
             "values of %.0f KiB made and verified, synthetic KV, one thread; encode p10-p90 %+.0f "
             "to %+.0f %%",
             encode->raw_b / 1024, 100 * (encode->low_ns / encode->ns - 1),
             100 * (encode->high_ns / encode->ns - 1));
    snprintf(longer, sizeof longer, "int8,%.24s", name);
    const struct be_sample *int8 = codec_sample(c, BE_PATH_ENCODE, longer, false),
                           *narrow = codec_sample(c, BE_PATH_ENCODE, "int8", true);
    int rc = calibrate_add_value(c, "codecs", name, "ratio", CATALOG_NUMBER, ratio_of(encode), how);
    if (rc == 0 && fp16)
        rc = calibrate_add_value(c, "codecs", name, "ratio_fp16", CATALOG_NUMBER, ratio_of(fp16),
                                 how);
    if (rc == 0 && int8 && narrow)
        rc = calibrate_add_value(c, "codecs", name, "ratio_int8", CATALOG_NUMBER,
                                 ratio_of(int8) / ratio_of(narrow), how);
    if (rc == 0)
        rc = calibrate_add_value(c, "codecs", name, "encode", CATALOG_BANDWIDTH,
                                 encode->raw_b * 1e9 / encode->ns, how);
    if (rc == 0)
        rc = calibrate_add_value(c, "codecs", name, "decode", CATALOG_BANDWIDTH,
                                 decode->raw_b * 1e9 / decode->ns, how);
    return rc;
}

/* Loads and stores beside what the model says of them, those that it was not fitted to as well. */
static void predict_all(struct calibrate *c, const struct calibrate_model *model)
{
    for (uint32_t i = 0; i < c->samples.n; i++) {
        const struct be_sample *s = &c->samples.at[i];
        if (s->path >= BE_PATH_LOAD_HOST)
            c->predicted_ns[i] =
                calibrate_predict(c, model, s,
                                  s->path == BE_PATH_LOAD_REDIS || s->path == BE_PATH_LOAD_DISK
                                      ? CALIBRATE_MEDIUM
                                      : CALIBRATE_WHOLE);
    }
}

int calibrate_fit(struct calibrate *c)
{
    const uint32_t values = c->config.connections * c->config.depth;
    /* First guesses: any machine of these years within two orders of magnitude. */
    struct calibrate_model model = {
        .h2d_bps = 5e9,
        .d2h_bps = 5e9,
        .copy_latency_ns = 1e4,
        .rtt_ns = 3e4,
        .connection_ns = 2e4,
        .connections = c->config.connections ? c->config.connections : 1,
        .process_bps = 1e9,
        .process_write_bps = 1e9,
        .command_ns = 2e3,
        .read_bps = 2e9,
        .write_bps = 5e8,
        .read_latency_ns = 3e4,
        .write_latency_ns = 1e5,
        .workers = c->config.workers ? c->config.workers : be_processors() + 1,
        .get_odds = 1,
        .set_odds = 1,
        .worker_cores = 1,
        .file_cores = 1,
        .cores = c->config.cores ? c->config.cores : be_processors(),
        .values = values ? values : 1,
    };
    calibrate_forget(c);
    c->predicted_ns = malloc((c->samples.n + 1) * sizeof *c->predicted_ns);
    if (!c->predicted_ns)
        return -ENOMEM;
    for (uint32_t i = 0; i < c->samples.n; i++)
        c->predicted_ns[i] = (double)NAN;
    int rc = fit_none(c, &model);
    if (rc == 0)
        rc = fit_host(c, &model);
    if (rc == 0)
        rc = fit_redis(c, &model);
    if (rc == 0)
        rc = fit_disk(c, &model);
    if (rc == 0)
        rc = calibrate_vary(c, largest_b(c) / 2);
    predict_all(c, &model);
    for (uint32_t i = 0; rc == 0 && i < c->config.n_codecs; i++)
        rc = add_codec(c, c->config.codecs[i]);
    return rc;
}
