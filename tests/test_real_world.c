/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_real_world.c - core on real memory, a real Redis and real files: every tier serves what it was given, byte for
 * byte; and whatever breaks on the way costs a computation and nothing else.
 *
 * Every run verifies each loaded piece against what its key stands for (config.verify), so a wrong byte anywhere
 * ends the run with -EILSEQ and the test with it.
 */
#include "core/replay.h"
#include "real_fixture.h"

/* Chains of a small tree: 12 families of 6 blocks. */
static void chain_of(uint32_t family, uint32_t *names)
{
    for (uint32_t i = 0; i < 6; i++)
        names[i] = family * 100 + i;
}

/* Serves n requests of random families, each after the one before has ended. */
static void serve(struct real *r, uint64_t seed, uint32_t n, uint32_t families)
{
    dice_seed(seed);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t names[6];
        chain_of((uint32_t)dice_below(families), names);
        real_request(r, names, 2 + (uint32_t)dice_below(5), (uint32_t)dice_below(40));
        real_drain(r, 10 * KVT_SECOND);
    }
}

/* The same in a crowd: arrivals on a clock, whatever is under way. */
static void crowd(struct real *r, uint64_t seed, uint32_t n, uint32_t families, kvt_ns gap_ns)
{
    dice_seed(seed);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t names[6];
        chain_of((uint32_t)dice_below(families), names);
        real_request(r, names, 1 + (uint32_t)dice_below(6), (uint32_t)dice_below(40));
        real_pass(r, gap_ns);
    }
    real_drain(r, 20 * KVT_SECOND);
}

/* One tier below a GPU that holds a tenth of what is asked for. */
static void one_tier(enum kvt_tier_kind tier, uint32_t gpus, const char *codec,
                     enum be_layout layout)
{
    static const enum kvt_ledger hit[] = {
        [KVT_HOST] = KVT_HIT_HOST, [KVT_REDIS] = KVT_HIT_REDIS, [KVT_DISK] = KVT_HIT_DISK};
    struct real r;
    char why[256];
    real_init(&r, 16);
    r.config.gpus_per_engine = gpus;
    r.config.redis.layout = layout;
    ck_assert_int_eq(be_codec_parse(&r.config.codec[tier], codec, why, sizeof why), 0);
    real_tier(&r, tier, 1000);
    real_open(&r);
    serve(&r, 1, 60, 12);
    crowd(&r, 2, 60, 12, KVT_MILLISECOND);
    struct be_world_stats stats;
    be_world_stats(r.world, &stats);
    real_check(&r);
    ck_assert_uint_eq(r.finished, r.sent);
    ck_assert_uint_gt(r.ledger[hit[tier]], 1000);
    ck_assert_uint_eq(r.ledger[KVT_COMPUTED_CORRUPT] + r.ledger[KVT_COMPUTED_TIER_DOWN], 0);
    if (r.config.codec[tier].narrow == BE_NARROW_NONE)
        ck_assert_uint_gt(stats.verified_pieces, 50);
    ck_assert_uint_gt(stats.filled_b, 0);
    real_close(&r);
}

START_TEST(host_serves_what_it_was_given)
{
    one_tier(KVT_HOST, 1, "none", BE_PACKED);
    one_tier(KVT_HOST, 2, "none", BE_PACKED);
}
END_TEST

START_TEST(redis_serves_what_it_was_given)
{
    one_tier(KVT_REDIS, 1, "none", BE_PACKED);
    one_tier(KVT_REDIS, 2, "zstd-1", BE_PACKED);
}
END_TEST

START_TEST(redis_in_the_documents_layout)
{
    one_tier(KVT_REDIS, 1, "zlib-3", BE_PER_LAYER);
    one_tier(KVT_REDIS, 1, "none", BE_PER_LAYER);
}
END_TEST

START_TEST(redis_with_a_lossy_codec)
{
    one_tier(KVT_REDIS, 1, "int8,zstd-1", BE_PACKED);
}
END_TEST

START_TEST(disk_serves_what_it_was_given)
{
    one_tier(KVT_DISK, 1, "none", BE_PACKED);
    one_tier(KVT_DISK, 2, "planes,lz4", BE_PACKED);
}
END_TEST

/* Pieces: a block in several values, the last one shorter. */
/* Engines in turn serve the same families, so each finds what another has computed; in a crowd, too. */
static void peers(uint32_t gpus, size_t piece_b)
{
    struct real r;
    real_init(&r, 24);
    r.config.engines = r.core_config.engines = 3;
    r.config.gpus_per_engine = gpus;
    r.config.piece_b = piece_b;
    r.core_config.router = KVT_ROUTE_ROUND_ROBIN;
    r.core_config.tiers[KVT_PEER].present = r.config.tiers[KVT_PEER] = true;
    real_open(&r);
    serve(&r, 11, 60, 10);
    crowd(&r, 12, 90, 10, KVT_MILLISECOND);
    struct be_world_stats stats;
    struct kvt_core_stats core;
    be_world_stats(r.world, &stats);
    kvt_core_stats(r.core, &core);
    real_check(&r);
    for (int i = 0; i < 500 && stats.verified_pieces < stats.pieces[KVT_PEER]; i++) {
        real_pass(&r, 10 * KVT_MILLISECOND); /* comparing comes last, and after the end */
        be_world_stats(r.world, &stats);
    }
    ck_assert_uint_eq(r.finished, r.sent);
    ck_assert_uint_gt(r.ledger[KVT_HIT_PEER], 1000);
    ck_assert_uint_gt(stats.pieces[KVT_PEER], 30);
    ck_assert_uint_eq(stats.verified_pieces, stats.pieces[KVT_PEER]);
    ck_assert_uint_eq(core.bytes_read[KVT_PEER],
                      core.loaded_blocks[KVT_PEER] * gpus *
                          k_packed_b(&r.config.geometry, r.config.geometry.layers, REAL_BLOCK));
    real_close(&r);
}

START_TEST(peers_serve_what_they_hold)
{
    peers(1, 1 << 20);
    peers(2, 1 << 20);
    peers(2, 2048); /* a layer a piece */
}
END_TEST

START_TEST(a_block_in_many_pieces)
{
    struct real r;
    real_init(&r, 16);
    r.config.geometry.layers = 5;
    r.config.piece_b = 2 * k_packed_b(&r.config.geometry, 1, REAL_BLOCK);
    real_tier(&r, KVT_REDIS, 1000);
    real_tier(&r, KVT_DISK, 1000);
    r.redis_nodes = 3;
    real_open(&r);
    serve(&r, 3, 60, 12);
    real_check(&r);
    ck_assert_uint_gt(r.ledger[KVT_HIT_REDIS], 1000);
    real_close(&r);
}
END_TEST

START_TEST(all_tiers_together_in_a_crowd)
{
    struct real r;
    real_init(&r, 24);
    r.config.engines = r.core_config.engines = 2;
    real_tier(&r, KVT_HOST, 30);
    real_tier(&r, KVT_REDIS, 1000);
    real_tier(&r, KVT_DISK, 40);
    r.redis_nodes = 2;
    r.redis_memory_b = 4 << 20;
    real_open(&r);
    crowd(&r, 4, 300, 24, KVT_MILLISECOND);
    real_check(&r);
    ck_assert_uint_gt(r.ledger[KVT_HIT_HOST], 100);
    ck_assert_uint_gt(r.ledger[KVT_HIT_REDIS] + r.ledger[KVT_HIT_DISK], 100);
    real_close(&r);
}
END_TEST

/* ---- What may break -------------------------------------------------------------------------- */

START_TEST(redis_killed_in_a_crowd_and_back)
{
    struct real r;
    real_init(&r, 16);
    real_tier(&r, KVT_REDIS, 1000);
    r.redis_nodes = 2;
    r.config.redis.timeout_ns = 300 * KVT_MILLISECOND;
    real_open(&r);
    crowd(&r, 5, 60, 12, KVT_MILLISECOND);
    ck_assert_int_eq(be_spawn_kill(r.spawn, 0), 0);
    crowd(&r, 6, 60, 12, KVT_MILLISECOND);
    ck_assert_int_eq(be_spawn_kill(r.spawn, 1), 0);
    crowd(&r, 7, 60, 12, KVT_MILLISECOND);
    const uint64_t before = r.ledger[KVT_HIT_REDIS];
    ck_assert_int_eq(be_spawn_restart(r.spawn, 0), 0);
    ck_assert_int_eq(be_spawn_restart(r.spawn, 1), 0);
    real_pass(&r, 1500 * KVT_MILLISECOND); /* the breakers close again */
    crowd(&r, 8, 120, 12, KVT_MILLISECOND);
    real_check(&r);
    ck_assert_uint_eq(r.finished, r.sent);
    ck_assert_uint_gt(r.ledger[KVT_HIT_REDIS], before);
    real_close(&r);
}
END_TEST

/* A server that is there but does not answer: nobody waits past the deadline. */
START_TEST(redis_stalled_costs_one_deadline)
{
    struct real r;
    real_init(&r, 16);
    real_tier(&r, KVT_REDIS, 1000);
    r.config.redis.timeout_ns = 200 * KVT_MILLISECOND;
    real_open(&r);
    serve(&r, 9, 40, 12);
    kill(be_spawn_pid(r.spawn, 0), SIGSTOP);
    const kvt_ns begin = real_now(&r);
    uint32_t names[6];
    for (uint32_t i = 0; i < 12; i++) {
        chain_of(i, names);
        real_request(&r, names, 6, 4);
    }
    real_drain(&r, 10 * KVT_SECOND);
    const kvt_ns took = real_now(&r) - begin;
    kill(be_spawn_pid(r.spawn, 0), SIGCONT);
    /* probe, load and a store of each may time out once, in parallel; the breaker then saves the rest */
    ck_assert_msg(took < 2500 * KVT_MILLISECOND, "%llu ms", (unsigned long long)took / 1000000);
    real_pass(&r, 500 * KVT_MILLISECOND);
    serve(&r, 10, 20, 12);
    real_check(&r);
    ck_assert_uint_eq(r.finished, r.sent);
    real_close(&r);
}
END_TEST

/* Ended in the middle of everything: nothing is lost but the run. */
START_TEST(closed_in_the_middle)
{
    for (uint32_t i = 0; i < 6; i++) {
        struct real r;
        real_init(&r, 16);
        real_tier(&r, KVT_HOST, 30);
        real_tier(&r, KVT_REDIS, 1000);
        real_tier(&r, KVT_DISK, 40);
        real_open(&r);
        for (uint32_t j = 0; j < 20; j++) {
            uint32_t names[6];
            chain_of(j % 12, names);
            real_request(&r, names, 6, 50);
            real_pass(&r, i * 300 * KVT_MICROSECOND + 1);
        }
        if (i % 2)
            be_spawn_kill(r.spawn, 0);
        real_close(&r);
    }
}
END_TEST

/* The twin test: the record of a real run, replayed without any world, gives the same decisions. */
static int keep(void *self, const void *bytes, size_t n)
{
    FILE *file = self;
    return fwrite(bytes, 1, n, file) == n ? 0 : -EIO;
}

static void replay_of(const struct kvt_core_config *config, const void *bytes, size_t n,
                      char digest[33])
{
    struct kvt_replay replay;
    int rc = 0;
    ck_assert_int_eq(kvt_replay_init(&replay, &heap, bytes, n, NULL), 0);
    const struct kvt_port port = kvt_replay_port(&replay);
    struct kvt_core *core = kvt_core_new(config, &port, &heap, &rc);
    ck_assert_ptr_nonnull(core);
    while ((rc = kvt_replay_step(&replay, core)) > 0) {
    }
    ck_assert_int_eq(rc, 0);
    kvt_core_digest(core, digest);
    kvt_core_free(core);
    kvt_replay_release(&replay);
}

START_TEST(a_run_can_be_replayed)
{
    struct real r;
    struct kvt_record record;
    char *text = NULL;
    size_t text_b = 0;
    FILE *file = open_memstream(&text, &text_b);
    real_init(&r, 16);
    real_tier(&r, KVT_HOST, 30);
    real_tier(&r, KVT_REDIS, 1000);
    real_open(&r);
    const struct kvt_sink sink = {keep, file};
    ck_assert_int_eq(kvt_record_init(&record, &heap, &sink), 0);
    kvt_core_tap(r.core, kvt_record_tap(&record));
    crowd(&r, 11, 100, 12, KVT_MILLISECOND);
    real_check(&r);
    kvt_core_tap(r.core, NULL);
    ck_assert_int_eq(kvt_record_finish(&record), 0);
    kvt_record_release(&record);
    fclose(file);
    char digest[33], again[33];
    kvt_core_digest(r.core, digest);
    replay_of(&r.core_config, text, text_b, again);
    ck_assert_str_eq(again, digest);
    free(text);
    real_close(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("real world");
    TCase *tiers = tcase_create("tiers"), *faults = tcase_create("faults");
    tcase_set_timeout(tiers, 30);
    tcase_set_timeout(faults, 30);
    tcase_add_test(tiers, host_serves_what_it_was_given);
    tcase_add_test(tiers, redis_serves_what_it_was_given);
    tcase_add_test(tiers, redis_in_the_documents_layout);
    tcase_add_test(tiers, redis_with_a_lossy_codec);
    tcase_add_test(tiers, disk_serves_what_it_was_given);
    tcase_add_test(tiers, a_block_in_many_pieces);
    tcase_add_test(tiers, peers_serve_what_they_hold);
    tcase_add_test(tiers, all_tiers_together_in_a_crowd);
    tcase_add_test(tiers, a_run_can_be_replayed);
    tcase_add_test(faults, redis_killed_in_a_crowd_and_back);
    tcase_add_test(faults, redis_stalled_costs_one_deadline);
    tcase_add_test(faults, closed_in_the_middle);
    suite_add_tcase(suite, tiers);
    suite_add_tcase(suite, faults);
    return kvt_test_main(suite);
}
