/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_measure.c - measuring itself: teams, points, and every part on a small grid with main memory as device. What comes out
 * must be plausible, not fast: this runs on busy machines and under sanitizers.
 */
#include "../backend/measure.h"
#include "../backend/measure_client.h"
#include "../backend/measure_team.h"
#include "../backend/spawn.h"
#include "kvt_test.h"

#include <errno.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* ---- Teams and points ------------------------------------------------------------------------------ */

static _Atomic uint32_t turns[4];

static int count_turn(void *self, uint32_t member)
{
    const int *fails = self;
    turns[member]++;
    return *fails == (int)member ? -EIO : 0;
}

START_TEST(team_takes_turns)
{
    int fails = -1, rc;
    double ns;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        struct be_team *team = be_team_new(threads, count_turn, &fails, &rc);
        ck_assert_ptr_nonnull(team);
        for (uint32_t i = 0; i < 4; i++)
            turns[i] = 0;
        for (int turn = 0; turn < 100; turn++)
            ck_assert(be_team_run(team, &ns) == 0 && ns > 0);
        for (uint32_t i = 0; i < 4; i++)
            ck_assert_uint_eq(turns[i], i < threads ? 100 : 0);
        fails = (int)threads - 1;
        ck_assert_int_eq(be_team_run(team, &ns), -EIO);
        fails = -1;
        ck_assert_int_eq(be_team_run(team, &ns), 0);
        be_team_free(team);
    }
    ck_assert(be_team_new(0, count_turn, &fails, &rc) == NULL && rc == -EINVAL);
    ck_assert(be_team_new(BE_TEAM_MOST + 1, count_turn, &fails, &rc) == NULL && rc == -EINVAL);
    be_team_free(NULL);
}
END_TEST

static int tell_time(void *self, double *ns)
{
    uint32_t *calls = self;
    *ns = 1e6 * (1 + *calls % 10); /* 1 .. 10 ms */
    return ++*calls == 1000 ? -EIO : 0;
}

static bool tick_calls(void *self, double done, const char *what)
{
    uint32_t *left = self;
    ck_assert(done >= 0 && what && *what);
    return (*left)-- == 0;
}

START_TEST(point_is_a_median)
{
    uint32_t calls = 0, left = 2;
    struct be_measure_config config = {.quick = true, .tick = tick_calls, .self = &left};
    struct be_samples samples = {0};
    struct be_clock clock = {.config = &config, .samples = &samples, .points = 3};
    const struct be_sample sample = {.path = BE_PATH_MEMCPY, .pieces = 3};
    const struct be_point point = {.once = tell_time, .self = &calls, .share = 20};
    ck_assert_int_eq(be_measure_point(&clock, &point, &sample), 0);
    ck_assert(samples.n == 1 && samples.at[0].pieces == 3);
    ck_assert(samples.at[0].repeats > 100 && samples.at[0].repeats < 400); /* 1 s of 5.5 ms */
    ck_assert(fabs(samples.at[0].ns - 5.5e6) < 0.6e6);
    ck_assert(samples.at[0].low_ns < 2.2e6 && samples.at[0].high_ns > 8.8e6);
    calls = 998;
    ck_assert_int_eq(be_measure_point(&clock, &point, &sample), -EIO);
    ck_assert_int_eq(be_measure_point(&clock, &point, &sample), -EINTR);
    ck_assert_uint_eq(samples.n, 1);
    be_samples_free(&samples);
}
END_TEST

START_TEST(names_are_there)
{
    for (enum be_path p = 0; p < BE_PATHS; p++) {
        ck_assert(be_path_name(p) && *be_path_name(p));
        for (enum be_path q = 0; q < p; q++)
            ck_assert_str_ne(be_path_name(p), be_path_name(q));
    }
}
END_TEST

/* ---- Parts ----------------------------------------------------------------------------------------- */

static const char *const codecs[] = {"none", "int8", "planes-zstd-1"};
static char folder[64];

static struct be_measure_config small(void)
{
    return (struct be_measure_config){
        .quick = true,
        .geometry = {.layers = 2, .heads = 1, .head_dim = 32, .page_tokens = 16, .dtype = K_BF16},
        .block_tokens = 32,
        .piece_b = 1 << 20,
        .device = "host",
        .threads = 2,
        .connections = 2,
        .depth = 4,
        .codecs = codecs,
        .n_codecs = 3,
        .folder = folder,
        .verify = true,
        .seed = 3,
    };
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/kvtwin-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* Nothing may be left in it. */
static void remove_folder(void)
{
    ck_assert_int_eq(rmdir(folder), 0);
}

static uint32_t count(const struct be_samples *samples, enum be_path path)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < samples->n; i++) {
        const struct be_sample *s = &samples->at[i];
        n += s->path == path;
        if (s->repeats == 0) /* a size, not a time */
            continue;
        ck_assert(s->low_ns > 0 && s->low_ns <= s->ns && s->ns <= s->high_ns);
        ck_assert(s->ns < 60e9 && s->pieces >= 1 && s->repeats >= 5);
    }
    return n;
}

typedef int measure_fn(const struct be_measure_config *, struct be_samples *, char *, size_t);

static void measure(measure_fn *fn, const struct be_measure_config *config,
                    struct be_samples *samples, int wanted)
{
    char why[256] = "";
    const int rc = fn(config, samples, why, sizeof why);
    ck_assert_msg(rc == wanted, "%d: %s", rc, why);
}

START_TEST(copies)
{
    const struct be_measure_config config = small();
    struct be_samples samples = {0};
    measure(be_measure_copies, &config, &samples, 0);
    ck_assert_uint_eq(count(&samples, BE_PATH_MEMCPY), 6);
    ck_assert_uint_eq(count(&samples, BE_PATH_UPLOAD), 4);
    ck_assert_uint_eq(count(&samples, BE_PATH_DOWNLOAD), 4);
    ck_assert_uint_eq(count(&samples, BE_PATH_PEER), 2);
    ck_assert_uint_eq(count(&samples, BE_PATH_CHECKSUM), 2);
    be_samples_free(&samples);
}
END_TEST

START_TEST(values)
{
    struct be_measure_config config = small();
    struct be_samples samples = {0};
    measure(be_measure_codecs, &config, &samples, 0);
    ck_assert_uint_eq(count(&samples, BE_PATH_DECODE), 3);
    for (uint32_t i = 0; i < samples.n; i++)
        if (strcmp(samples.at[i].codec, "int8") == 0)
            ck_assert(samples.at[i].stored_b < 0.9 * samples.at[i].raw_b);
    be_samples_free(&samples);
    static const char *const wrong[] = {"none", "zstd-99"};
    config.codecs = wrong;
    config.n_codecs = 2;
    measure(be_measure_codecs, &config, &samples, -EINVAL);
    be_samples_free(&samples);
}
END_TEST

START_TEST(files)
{
    make_folder();
    struct be_measure_config config = small();
    struct be_samples samples = {0};
    measure(be_measure_disk, &config, &samples, 0);
    ck_assert_uint_eq(count(&samples, BE_PATH_DISK_READ), 6);
    ck_assert_uint_eq(count(&samples, BE_PATH_DISK_WRITE), 6);
    be_samples_free(&samples);
    remove_folder();
    char why[256];
    ck_assert_int_lt(be_measure_disk(&config, &samples, why, sizeof why), 0); /* it is gone */
    config.folder = NULL;
    measure(be_measure_disk, &config, &samples, -ENOTSUP);
    be_samples_free(&samples);
}
END_TEST

/* NULL, and the test is skipped, without redis-server. */
static struct be_spawn *servers(struct be_redis_address nodes[2])
{
    char why[256];
    const struct be_spawn_config config = {.n = 2, .memory_b = UINT64_MAX};
    struct be_spawn *spawn = be_spawn_new(&config, why, sizeof why);
    if (!spawn) {
        kvt_test_skip(why);
        return NULL;
    }
    for (uint32_t i = 0; i < 2; i++)
        nodes[i] = *be_spawn_address(spawn, i);
    return spawn;
}

START_TEST(servers_alone)
{
    struct be_redis_address nodes[2];
    struct be_measure_config config = small();
    struct be_samples samples = {0};
    measure(be_measure_redis, &config, &samples, -ENOTSUP);
    struct be_spawn *spawn = servers(nodes);
    if (!spawn)
        return;
    config.nodes = nodes;
    config.n_nodes = 2;
    measure(be_measure_redis, &config, &samples, 0);
    ck_assert_uint_eq(count(&samples, BE_PATH_REDIS_EXISTS), 5);
    ck_assert_uint_eq(count(&samples, BE_PATH_REDIS_GET), 12);
    ck_assert_uint_eq(count(&samples, BE_PATH_REDIS_SET), 12);
    ck_assert_uint_eq(count(&samples, BE_PATH_REDIS_USAGE), 3);
    for (uint32_t i = 0; i < samples.n; i++)
        if (samples.at[i].path == BE_PATH_REDIS_USAGE)
            ck_assert(samples.at[i].stored_b > samples.at[i].raw_b + 40);
    be_samples_free(&samples);
    be_spawn_kill(spawn, 0); /* a server that is gone is an error, and does not take for ever */
    char why[256] = "";
    ck_assert_int_lt(be_measure_redis(&config, &samples, why, sizeof why), 0);
    ck_assert(*why);
    be_samples_free(&samples);
    be_spawn_free(spawn);
}
END_TEST

START_TEST(loads_and_stores)
{
    struct be_redis_address nodes[2];
    struct be_measure_config config = small();
    struct be_samples samples = {0};
    static const char *const chains[] = {"none"};
    config.codecs = chains;
    make_folder();
    struct be_spawn *spawn = servers(nodes);
    config.nodes = nodes;
    config.n_nodes = spawn ? 2 : 0;
    measure(be_measure_pipes, &config, &samples, 0);
    ck_assert_uint_eq(count(&samples, BE_PATH_LOAD_HOST), 6);
    ck_assert_uint_eq(count(&samples, BE_PATH_LOAD_REDIS), spawn ? 12 : 0);
    ck_assert_uint_eq(count(&samples, BE_PATH_LOAD_DISK), 6);
    /* Stores are measured alone and in concert. */
    ck_assert_uint_eq(count(&samples, BE_PATH_STORE_HOST), 12);
    ck_assert_uint_eq(count(&samples, BE_PATH_STORE_REDIS), spawn ? 18 : 0);
    ck_assert_uint_eq(count(&samples, BE_PATH_STORE_DISK), 12);
    for (uint32_t i = 0; i < samples.n; i++) {
        const struct be_sample *s = &samples.at[i];
        if (s->path == BE_PATH_LOAD_REDIS || s->path == BE_PATH_LOAD_DISK)
            ck_assert(s->medium_ns > 0 && s->decode_ns >= 0 && s->copy_ns >= 0);
        if (s->path >= BE_PATH_LOAD_HOST)
            ck_assert(fabs(s->ns - s->medium_ns - s->decode_ns - s->copy_ns) < s->ns);
        ck_assert(s->together <= 1 || s->together == (spawn ? 3 : 2));
        if (s->path == BE_PATH_STORE_HOST || s->path == BE_PATH_LOAD_HOST)
            ck_assert(s->medium_ns == 0 && s->decode_ns == 0 && s->copy_ns > 0);
    }
    be_samples_free(&samples);
    be_spawn_free(spawn);
    remove_folder();
}
END_TEST

START_TEST(stops_when_told)
{
    uint32_t left = 3;
    struct be_measure_config config = small();
    struct be_samples samples = {0};
    config.tick = tick_calls;
    config.self = &left;
    measure(be_measure_copies, &config, &samples, -EINTR);
    ck_assert_uint_eq(samples.n, 3);
    left = 1;
    config.folder = NULL;
    measure(be_measure_pipes, &config, &samples, -EINTR);
    ck_assert_uint_eq(samples.n, 4);
    be_samples_free(&samples);
}
END_TEST

int main(void)
{
    gsl_set_error_handler_off();
    Suite *suite = suite_create("measure");
    TCase *small_parts = tcase_create("small"), *parts = tcase_create("parts");
    tcase_set_timeout(parts, 60);
    tcase_add_test(small_parts, team_takes_turns);
    tcase_add_test(small_parts, point_is_a_median);
    tcase_add_test(small_parts, names_are_there);
    tcase_add_test(parts, copies);
    tcase_add_test(parts, values);
    tcase_add_test(parts, files);
    tcase_add_test(parts, servers_alone);
    tcase_add_test(parts, loads_and_stores);
    tcase_add_test(parts, stops_when_told);
    suite_add_tcase(suite, small_parts);
    suite_add_tcase(suite, parts);
    return kvt_test_main(suite);
}
