/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_real_world.c - how fast the real world moves blocks: each tier alone, through core's own
 * operations.
 *
 * A GPU of 64 blocks and chains that never fit together: every request brings eight blocks back
 * from the tier below and computes nothing but its tail. Beside each rate stands what one memcpy
 * of the same bytes reaches in the same run, since machines differ. Redis is spawned;
 * redis-benchmark beside our client is tests/bench_redis.sh.
 */
#include "bench.h"
#include "real_fixture.h"

enum { CHAIN = 8, FAMILIES = 16, ROUNDS = 12 };

static uint64_t counted;

static void ask(struct real *r, uint32_t family)
{
    uint32_t names[CHAIN];
    for (uint32_t i = 0; i < CHAIN; i++)
        names[i] = family * 100 + i;
    real_request(r, names, CHAIN, 0);
}

static double memcpy_bps(size_t b)
{
    char *from = malloc(b), *to = malloc(b);
    memset(from, 1, b);
    memset(to, 2, b);
    const double begin = bench_wall_s();
    for (int i = 0; i < 20; i++) {
        memcpy(to, from, b);
        counted += (uint64_t)to[i];
    }
    const double s = bench_wall_s() - begin;
    free(from);
    free(to);
    return 20.0 * (double)b / s;
}

static void one(const char *name, enum kvt_tier_kind tier, const char *codec)
{
    struct real r;
    char why[128];
    real_init(&r, 64);
    /* The block of a small model with two KV heads, 64 tokens: 768 KiB. */
    r.config.geometry = (struct k_geometry){.layers = 24,
                                            .heads = 2,
                                            .head_dim = 64,
                                            .page_tokens = 16,
                                            .pages = 64 * 4,
                                            .dtype = K_BF16};
    r.config.block_tokens = r.core_config.block_tokens = 64;
    r.core_config.page_tokens = 16;
    r.core_config.gpu_pages = 64 * 4;
    r.config.verify = false;
    r.config.redis.connections = 4;
    r.redis_memory_b = UINT64_C(1) << 30;
    if (be_codec_parse(&r.config.codec[tier], codec, why, sizeof why) != 0)
        abort();
    real_tier(&r, tier, 1000);
    real_open(&r);
    const double block_b = (double)k_packed_b(&r.config.geometry, 24, 64);
    struct kvt_core_stats stats;
    double begin = bench_wall_s();
    for (uint32_t f = 0; f < FAMILIES; f++) {
        ask(&r, f);
        real_drain(&r, 10 * KVT_SECOND);
    }
    double s = bench_wall_s() - begin;
    kvt_core_stats(r.core, &stats);
    const double stored = (double)stats.stored_blocks[tier] * block_b / s;
    begin = bench_wall_s();
    for (uint32_t i = 0; i < ROUNDS * FAMILIES; i++) {
        ask(&r, i % FAMILIES);
        if (i % 4 == 3)
            real_drain(&r, 10 * KVT_SECOND);
    }
    s = bench_wall_s() - begin;
    kvt_core_stats(r.core, &stats);
    const double loaded = (double)stats.loaded_blocks[tier] * block_b / s;
    const double copy = memcpy_bps(64 << 20);
    printf("%-20s store+fill %6.2f GB/s  load %6.2f GB/s  memcpy %6.2f GB/s  load/memcpy %.2f\n",
           name, stored / 1e9, loaded / 1e9, copy / 1e9, loaded / copy);
    real_close(&r);
}

int main(void)
{
    one("host", KVT_HOST, "none");
    one("redis", KVT_REDIS, "none");
    one("redis zstd-1", KVT_REDIS, "zstd-1");
    one("disk", KVT_DISK, "none");
    return counted == 1;
}
