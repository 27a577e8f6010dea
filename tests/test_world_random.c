/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_world_random.c - conservation in the simulated world: random traffic, without a core.
 *
 * Everything ends exactly once, bytes add up, nothing is faster than its parts, no part is more than busy; the
 * same again gives the same.
 */
#include "sim_fixture.h"

struct issued {
    enum fixture_kind kind;
    enum kvt_tier_kind tier;
    uint32_t engine, n, tokens;
    kvt_ns at;
};

static struct sim_config random_cluster(void)
{
    struct sim_config c = fixture_config();
    c.seed = dice_below(1000);
    c.engines = 1 + (uint32_t)dice_below(3);
    c.redis.nodes = 1 + (uint32_t)dice_below(5);
    c.redis.memory_b = dice_below(2) ? UINT64_MAX : 200000;
    c.redis.evicts = dice_below(3) > 0;
    c.redis.timeout_ns = dice_below(2) ? KVT_NEVER : 3000000;
    c.host.copy_threads = (uint32_t)dice_below(4);
    c.disk.channels = 1 + (uint32_t)dice_below(4);
    c.piece_b = dice_below(2) ? 0 : 5000;
    c.codec[KVT_REDIS] = (struct sim_codec){.present = dice_below(2) > 0,
                                            .ratio = 1.37,
                                            .encode_bps = 3e8,
                                            .decode_bps = 1.1e9,
                                            .cores = 1 + (uint32_t)dice_below(4)};
    c.host.h2d_bps = 1e9 + (double)dice_below(1000000007);
    c.network.connection_bps = 1e7 + (double)dice_below(1000000007);
    return c;
}

static uint64_t random_traffic(uint64_t seed, struct issued *issued, uint32_t n)
{
    static const enum kvt_tier_kind tiers[] = {KVT_HOST, KVT_REDIS, KVT_REDIS, KVT_DISK};
    dice_seed(seed);
    const struct sim_config c = random_cluster();
    fixture_begin(&c);
    for (uint32_t i = 0; i < n; i++) {
        fixture_advance(fixture.now + dice_below(4) * dice_below(400000));
        struct issued *o = &issued[i];
        *o = (struct issued){.kind = (enum fixture_kind)dice_below(4),
                             .tier = tiers[dice_below(4)],
                             .engine = (uint32_t)dice_below(c.engines),
                             .n = (uint32_t)dice_below(12),
                             .tokens = 1 + (uint32_t)dice_below(300),
                             .at = fixture.now};
        kvt_ns ttl = o->kind != STORE ? 0
                     : dice_below(2)  ? KVT_NEVER
                                      : dice_below(100 * KVT_MILLISECOND);
        ck_assert_int_eq(fixture_issue(o->kind, i, o->engine, o->tier, dice_below(60), o->n,
                                       o->tokens, ttl),
                         0);
    }
    fixture_drain();
    uint64_t hash = 0;
    for (uint32_t i = 0; i < fixture.n; i++) {
        const struct seen *s = &fixture.seen[i];
        hash = kvt_mix64(hash ^ s->at) + s->done.op.v;
        hash = kvt_mix64(hash ^ s->done.status) + s->done.blocks_ok;
        for (int j = 0; j < KVT_SPANS; j++)
            hash = kvt_mix64(hash ^ s->done.span_ns[j]);
    }
    return hash;
}

/* Nothing is faster than its parts, and all of its time is accounted for. */
static void check_ended(const struct issued *o, const struct seen *s)
{
    const struct kvt_done *d = &s->done;
    MUST(fixture_span_sum(d) == s->at - o->at);
    MUST(d->blocks_ok <= o->n);
    MUST((d->status == KVT_OK) == (d->blocks_ok == o->n) || d->status == KVT_TIMEOUT ||
         (o->kind == DROP && d->status == KVT_OK));
    if (o->kind != LOAD && o->kind != STORE)
        MUST(d->bytes == 0);
    double fastest_ns = (double)d->bytes; /* no link carries more than a byte a nanosecond or two */
    if (o->kind == LOAD || o->kind == STORE)
        MUST(d->status == KVT_TIMEOUT || (double)(s->at - o->at) * 2.1 >= fastest_ns);
}

static uint64_t bytes_of(const char *format, uint32_t from, uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = from; i < n; i++) {
        char name[32];
        snprintf(name, sizeof(name), format, i);
        sum += fixture_part(name).bytes;
    }
    return sum;
}

START_TEST(random_traffic_adds_up)
{
    enum { N = 1500 };
    static struct issued issued[N];
    static const struct seen *by_op[N];
    random_traffic((uint64_t)_i, issued, N);
    ck_assert_uint_eq(fixture.n, N);
    memset(by_op, 0, sizeof(by_op));
    uint64_t read_b = 0, written_b = 0, disk_b = 0;
    bool timeouts = false;
    for (uint32_t i = 0; i < N; i++) {
        const struct seen *s = &fixture.seen[i];
        MUST(s->done.op.v < N && !by_op[s->done.op.v]);
        by_op[s->done.op.v] = s;
        const struct issued *o = &issued[s->done.op.v];
        check_ended(o, s);
        timeouts |= s->done.status == KVT_TIMEOUT;
        read_b += o->tier == KVT_REDIS && o->kind == LOAD ? s->done.bytes : 0;
        written_b += o->tier == KVT_REDIS && o->kind == STORE ? s->done.bytes : 0;
        disk_b += o->tier == KVT_DISK ? s->done.bytes : 0;
    }
    struct sim_world_stats w;
    sim_world_stats(fixture.world, &w);
    ck_assert_uint_eq(w.under_way, 0);
    const uint32_t parts = sim_world_parts(fixture.world);
    uint32_t engines = 0, nodes = 0;
    for (uint32_t i = 0; i < parts; i++) {
        struct sim_part_stats p;
        sim_world_part(fixture.world, i, &p);
        engines += strstr(p.name, "/gpu") != NULL;
        nodes += strstr(p.name, "/command") != NULL;
        ck_assert_msg(p.busy_ratio >= 0 && p.busy_ratio <= 1, "%s: %f", p.name, p.busy_ratio);
        if (p.kind == SIM_PART_LINK)
            ck_assert_msg((double)p.bytes <= p.rate_bps * (double)w.now / 1e9 * 1.000001, "%s",
                          p.name);
    }
    ck_assert_uint_eq(disk_b, bytes_of("engine%u/disk_read", 0, engines) +
                                  bytes_of("engine%u/disk_write", 0, engines));
    ck_assert_uint_eq(bytes_of("engine%u/nic_rx", 0, engines),
                      bytes_of("redis%u/nic_tx", 0, nodes));
    ck_assert_uint_eq(bytes_of("engine%u/nic_tx", 0, engines),
                      bytes_of("redis%u/nic_rx", 0, nodes));
    if (!timeouts) {
        ck_assert_uint_eq(read_b, bytes_of("redis%u/nic_tx", 0, nodes));
        ck_assert_uint_eq(written_b, bytes_of("redis%u/nic_rx", 0, nodes));
    }
    fixture_end();
}
END_TEST

START_TEST(same_traffic_same_world)
{
    enum { N = 800 };
    static struct issued issued[N];
    uint64_t hash[3];
    for (int i = 0; i < 3; i++) {
        hash[i] = random_traffic(i < 2 ? 5 : 6, issued, N);
        fixture_end();
    }
    ck_assert_uint_eq(hash[0], hash[1]);
    ck_assert_uint_ne(hash[0], hash[2]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("world_random");
    TCase *c = tcase_create("world_random");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, random_traffic_adds_up, 0, 12);
    tcase_add_test(c, same_traffic_same_world);
    suite_add_tcase(suite, c);
    return kvt_test_main(suite);
}
