/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_world_times.c - how long a transfer takes in the simulated world, without a core.
 *
 *      closed forms   one transfer alone takes what passing it piece by piece through a chain of servers takes,
 *                     to the nanosecond, for every tier, direction, codec and piece size
 *      sharing        transfers that compete slow each other down as max-min fairness says
 */
#include "sim_fixture.h"

#include <errno.h>

/* ---- Closed forms -------------------------------------------------------------------------------- */

struct chain {
    uint32_t n;
    struct {
        kvt_ns piece_ns, travel_ns;
    } stage[8];
};

static void chain_add(struct chain *c, kvt_ns piece_ns, kvt_ns travel_ns)
{
    c->stage[c->n].piece_ns = piece_ns;
    c->stage[c->n++].travel_ns = travel_ns;
}

/* Piece by piece: a stage takes the next piece when it is free and the piece is there. */
static kvt_ns chain_ns(const struct chain *c, uint64_t pieces)
{
    kvt_ns free_ns[8] = {0}, out_ns = 0;
    for (uint64_t i = 0; i < pieces; i++) {
        out_ns = 0;
        for (uint32_t s = 0; s < c->n; s++) {
            kvt_ns begin_ns = out_ns > free_ns[s] ? out_ns : free_ns[s];
            free_ns[s] = begin_ns + c->stage[s].piece_ns;
            out_ns = free_ns[s] + c->stage[s].travel_ns;
        }
    }
    return out_ns;
}

static uint32_t power(uint32_t most)
{
    return 1u << dice_below(most + 1);
}

/* A transfer with everything drawn at random but one server to a stage, one node, and equal pieces. */
static void transfer_alone(enum fixture_kind kind, enum kvt_tier_kind tier)
{
    const uint32_t up_ns = power(4), down_ns = power(4), copy_ns = power(4), nic_ns = power(4),
                   node_ns = power(4), process_ns = power(4), connection_ns = power(6),
                   connections = power(3), read_ns = power(4), write_ns = power(4),
                   encode_ns = power(5), decode_ns = power(5), ratio = power(2);
    const bool staged = dice_below(3) > 0, coded = dice_below(2) > 0;
    const uint32_t n = 1 + (uint32_t)dice_below(30), tokens = 8 * (1 + (uint32_t)dice_below(64)),
                   cut = power(3);
    const uint64_t raw_b = 64 * tokens, stored_b = coded ? raw_b / ratio : raw_b;

    struct sim_config c = fixture_config();
    c.host.h2d_bps = NS_PER_BYTE(up_ns);
    c.host.d2h_bps = NS_PER_BYTE(down_ns);
    c.host.copy_threads = staged;
    c.host.copy_thread_bps = NS_PER_BYTE(copy_ns);
    c.network.engine_nic_bps = NS_PER_BYTE(nic_ns);
    c.network.connection_bps = NS_PER_BYTE(connection_ns);
    c.network.connections = connections;
    c.network.rtt_ns = dice_below(30000);
    c.redis.nic_bps = NS_PER_BYTE(node_ns);
    c.redis.process_bps = NS_PER_BYTE(process_ns);
    c.redis.command_ns = dice_below(20000);
    c.disk.read_bps = NS_PER_BYTE(read_ns);
    c.disk.write_bps = NS_PER_BYTE(write_ns);
    c.disk.read_latency_ns = dice_below(100000);
    c.disk.write_latency_ns = dice_below(100000);
    c.codec[tier] = (struct sim_codec){.present = coded,
                                       .ratio = ratio,
                                       .encode_bps = NS_PER_BYTE(encode_ns),
                                       .decode_bps = NS_PER_BYTE(decode_ns),
                                       .cores = 1};
    c.piece_b = stored_b / cut;

    const uint64_t raw = raw_b / cut, stored = stored_b / cut;
    kvt_ns wire_ns = nic_ns > node_ns ? nic_ns : node_ns;
    wire_ns = process_ns > wire_ns ? process_ns : wire_ns;
    const double cap_ns = (double)connection_ns / connections;
    const kvt_ns stored_wire_ns =
        (kvt_ns)((double)stored * ((double)wire_ns > cap_ns ? (double)wire_ns : cap_ns));
    const kvt_ns there_ns = c.network.rtt_ns / 2, back_ns = c.network.rtt_ns - there_ns;
    struct chain chain = {0};
    kvt_ns expected = 0;
    if (kind == LOAD) {
        if (tier == KVT_REDIS) {
            expected += there_ns;
            chain_add(&chain, c.redis.command_ns, 0);
            chain_add(&chain, stored_wire_ns, back_ns);
        } else if (tier == KVT_DISK) {
            chain_add(&chain, c.disk.read_latency_ns, 0);
            chain_add(&chain, stored * read_ns, 0);
        }
        if (coded)
            chain_add(&chain, raw * decode_ns, 0);
        if (staged && tier != KVT_DISK)
            chain_add(&chain, raw * copy_ns, 0);
        chain_add(&chain, raw * up_ns, c.host.copy_latency_ns);
    } else {
        chain_add(&chain, raw * down_ns, c.host.copy_latency_ns);
        if (staged && tier == KVT_REDIS)
            chain_add(&chain, raw * copy_ns, 0);
        if (coded)
            chain_add(&chain, raw * encode_ns, 0);
        if (staged && tier == KVT_HOST)
            chain_add(&chain, raw * copy_ns, 0);
        if (tier == KVT_REDIS) {
            chain_add(&chain, stored_wire_ns, there_ns);
            chain_add(&chain, c.redis.command_ns, 0);
            expected += back_ns;
        } else if (tier == KVT_DISK) {
            chain_add(&chain, c.disk.write_latency_ns, 0);
            chain_add(&chain, stored * write_ns, 0);
        }
    }
    expected += chain_ns(&chain, (uint64_t)n * cut);

    fixture_begin(&c);
    kvt_ns begin = 0;
    if (kind == LOAD) {
        ck_assert_int_eq(fixture_issue(STORE, 1, 0, tier, 0, n, tokens, KVT_NEVER), 0);
        fixture_drain();
        begin = fixture.now + dice_below(1000000);
        fixture_advance(begin);
    }
    ck_assert_int_eq(fixture_issue(kind, 2, 0, tier, 0, n, tokens, kind == STORE ? KVT_NEVER : 0),
                     0);
    fixture_drain();
    const struct seen *s = fixture_find(2);
    ck_assert_uint_eq(s->done.status, KVT_OK);
    ck_assert_uint_eq(s->done.blocks_ok, n);
    ck_assert_uint_eq(s->done.bytes, stored_b * n);
    ck_assert_msg(s->at - begin == expected, "tier %d kind %d: %llu instead of %llu ns", (int)tier,
                  (int)kind, (unsigned long long)(s->at - begin), (unsigned long long)expected);
    ck_assert_uint_eq(fixture_span_sum(&s->done), expected);
    fixture_end();
}

START_TEST(alone_is_a_chain_of_servers)
{
    static const enum kvt_tier_kind tiers[] = {KVT_HOST, KVT_REDIS, KVT_DISK};
    dice_seed((uint64_t)_i * 1000);
    for (int i = 0; i < 200; i++)
        transfer_alone(_i % 2 ? LOAD : STORE, tiers[_i / 2]);
}
END_TEST

START_TEST(load_from_redis_by_hand)
{
    /* 4 blocks of 1000 tokens, 64,000 bytes each. Half a round trip 5,000; one command 3,000; wire 4 ns a
     * byte, slowest: 256,000 a block, 1,024,000 in all; back 5,001; then the last block through copy, 128,000, and
     * h2d, 64,000, and 700. */
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 4, 1000, KVT_NEVER), 0);
    fixture_drain();
    kvt_ns begin = fixture.now;
    ck_assert_int_eq(fixture_issue(LOAD, 2, 0, KVT_REDIS, 0, 4, 1000, 0), 0);
    fixture_drain();
    const struct kvt_done *d = &fixture_find(2)->done;
    /* All 12,000 of the commands are the queued stage's, since the wire starts with the first. */
    ck_assert_uint_eq(fixture.now - begin, 5000 + 3000 + 1024000 + 5001 + 128000 + 64000 + 700);
    ck_assert_uint_eq(d->span_ns[KVT_SPAN_QUEUED], 12000);
    ck_assert_uint_eq(d->span_ns[KVT_SPAN_WIRE], 5000 + 1024000 - 9000 + 5001);
    ck_assert_uint_eq(d->span_ns[KVT_SPAN_DECODE], 0);
    ck_assert_uint_eq(d->span_ns[KVT_SPAN_DESERIALISE], 128000);
    ck_assert_uint_eq(d->span_ns[KVT_SPAN_COPY], 64700);
    fixture_end();
}
END_TEST

static int issue_peer(uint32_t op, uint32_t engine, uint32_t from, uint32_t n, uint32_t tokens)
{
    struct kvt_block_ref refs[8] = {{.tokens = 0}};
    MUST(n <= 8);
    for (uint32_t i = 0; i < n; i++)
        refs[i] = (struct kvt_block_ref){.key = {.lo = i}, .index = i, .tokens = tokens};
    const struct kvt_transfer t = {.op = {op},
                                   .engine = {engine},
                                   .tier = KVT_PEER,
                                   .from = {from},
                                   .n_blocks = n,
                                   .blocks = refs,
                                   .tokens = (uint64_t)n * tokens};
    const struct kvt_port port = sim_world_port(fixture.world);
    return port.ops->load(port.self, &t);
}

static struct sim_config peers_config(void)
{
    struct sim_config c = fixture_config();
    c.engines = 3;
    c.redis.nodes = 0;
    c.disk.channels = 0;
    c.peer = (struct sim_peer){.present = true, .connections = 2}; /* 2 ns a byte */
    return c;
}

START_TEST(load_from_a_peer_by_hand)
{
    /* 4 blocks of 1000 tokens, 64,000 bytes each. Half a round trip there, 5,000. d2h and wire take 2 ns a byte,
     * 128,000 a block, so the first block is through d2h after that and 700, the wire is done with the last one
     * 512,000 later, half a round trip back and it takes h2d, 64,000 and 700. */
    struct sim_config c = peers_config();
    fixture_begin(&c);
    ck_assert_int_eq(issue_peer(1, 0, 2, 4, 1000), 0);
    fixture_drain();
    const struct kvt_done *d = &fixture_find(1)->done;
    ck_assert_uint_eq(d->status, KVT_OK);
    ck_assert_uint_eq(d->blocks_ok, 4);
    ck_assert_uint_eq(d->bytes, 256000);
    ck_assert_uint_eq(fixture.now, 5000 + 128000 + 700 + 512000 + 5001 + 64000 + 700);
    ck_assert_uint_eq(fixture_span_sum(d), fixture.now);
    ck_assert_uint_eq(d->span_ns[KVT_SPAN_WIRE], 5000 + 128000 + 5001);
    ck_assert_uint_eq(d->span_ns[KVT_SPAN_COPY], 512000 + 700 + 64000 + 700);
    fixture_end();
}
END_TEST

/* One piece through all stages, the others through the slowest; whatever is the slowest. */
START_TEST(a_peer_alone_is_a_chain_of_servers)
{
    dice_seed(77);
    for (int i = 0; i < 300; i++) {
        struct sim_config c = peers_config();
        const uint32_t h2d = 1 + (uint32_t)dice_below(9), d2h = 1 + (uint32_t)dice_below(9),
                       nic = 1 + (uint32_t)dice_below(9);
        const uint32_t n = 1 + (uint32_t)dice_below(8), tokens = 1 + (uint32_t)dice_below(3000);
        c.host.h2d_bps = NS_PER_BYTE(h2d);
        c.host.d2h_bps = NS_PER_BYTE(d2h);
        c.host.copy_latency_ns = dice_below(3000);
        c.network.engine_nic_bps = NS_PER_BYTE(nic);
        c.network.connection_bps = INFINITY;
        c.network.rtt_ns = dice_below(50000);
        const uint64_t b = 64 * (uint64_t)tokens;
        uint32_t slowest = h2d > d2h ? h2d : d2h;
        slowest = nic > slowest ? nic : slowest;
        const kvt_ns expected = c.network.rtt_ns + 2 * c.host.copy_latency_ns +
                                b * (h2d + d2h + nic) + (n - 1) * b * slowest;
        fixture_begin(&c);
        ck_assert_int_eq(issue_peer(1, 1, 0, n, tokens), 0);
        fixture_drain();
        /* rates that divide a second unevenly cost a nanosecond of rounding a stage */
        const kvt_ns at = fixture_find(1)->at;
        ck_assert_msg(at >= expected && at <= expected + 3 * n, "%llu instead of %llu ns",
                      (unsigned long long)at, (unsigned long long)expected);
        ck_assert_uint_eq(fixture_span_sum(&fixture_find(1)->done), at);
        fixture_end();
    }
}
END_TEST

START_TEST(a_peer_on_one_machine_is_a_copy)
{
    /* A worker copies one block after the other, from page to page; no network. */
    struct sim_config c = peers_config();
    c.machine = (struct sim_machine){.workers = 1, .cores = 1};
    fixture_begin(&c);
    ck_assert_int_eq(issue_peer(1, 0, 2, 4, 1000), 0);
    fixture_drain();
    const struct kvt_done *d = &fixture_find(1)->done;
    ck_assert_uint_eq(d->status, KVT_OK);
    ck_assert_uint_eq(fixture_find(1)->at, 4 * (64000 + 700));
    ck_assert_uint_eq(d->span_ns[KVT_SPAN_COPY], 4 * (64000 + 700));
    fixture_end();
}
END_TEST

START_TEST(two_read_one_peer)
{
    /* Its d2h is the bottleneck of both: twice the time there. Readers of different peers are in nobody's way. */
    struct sim_config c = peers_config();
    c.network.rtt_ns = 0;
    c.host.copy_latency_ns = 0;
    fixture_begin(&c);
    ck_assert_int_eq(issue_peer(1, 0, 2, 1, 1000), 0);
    ck_assert_int_eq(issue_peer(2, 1, 2, 1, 1000), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(1)->at, 256000 + 128000 + 64000);
    ck_assert_uint_eq(fixture_find(2)->at, 256000 + 128000 + 64000);
    const kvt_ns begin = fixture.now;
    ck_assert_int_eq(issue_peer(3, 0, 1, 1, 1000), 0);
    ck_assert_int_eq(issue_peer(4, 1, 0, 1, 1000), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture.now - begin, 128000 + 128000 + 64000);
    fixture_end();
}
END_TEST

START_TEST(either_end_going_down_ends_it)
{
    struct sim_config c = peers_config();
    for (uint32_t gone = 0; gone < 3; gone++) {
        fixture_begin(&c);
        ck_assert_int_eq(issue_peer(1, 0, 2, 4, 1000), 0);
        fixture_advance(100000);
        sim_world_set_down(fixture.world, KVT_GPU, (kvt_engine_id){gone}, true);
        ck_assert_int_eq(issue_peer(2, 0, 2, 4, 1000), 0);
        fixture_drain();
        const enum kvt_status wanted = gone == 1 ? KVT_OK : KVT_DOWN;
        ck_assert_uint_eq(fixture_find(1)->done.status, wanted);
        ck_assert_uint_eq(fixture_find(1)->done.blocks_ok, wanted == KVT_OK ? 4 : 0);
        ck_assert_uint_eq(fixture_find(2)->done.status, wanted);
        if (wanted != KVT_OK)
            ck_assert_uint_eq(fixture_find(1)->at, 100000);
        fixture_end();
    }
}
END_TEST

START_TEST(a_peer_is_another_engine)
{
    struct sim_config c = peers_config();
    fixture_begin(&c);
    ck_assert_int_eq(issue_peer(1, 0, 0, 1, 1000), -EINVAL);
    ck_assert_int_eq(issue_peer(1, 0, 3, 1, 1000), -EINVAL);
    ck_assert_int_eq(issue_peer(1, 3, 0, 1, 1000), -EINVAL);
    ck_assert_int_eq(issue_peer(1, 0, KVT_NONE, 1, 1000), -EINVAL);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_PEER, 0, 1, 1000, KVT_NEVER), -EINVAL);
    fixture_end();
    c = fixture_config();
    fixture_begin(&c);
    ck_assert_int_eq(issue_peer(1, 0, 0, 1, 1000), -ENODEV);
    fixture_end();
}
END_TEST

START_TEST(many_servers_share_the_pieces)
{
    /* 10 pieces on 4 threads: three rounds. No other stage matters. */
    struct sim_config c = fixture_config();
    c.host.copy_threads = 4;
    c.host.copy_thread_bps = NS_PER_BYTE(64);
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(LOAD, 1, 0, KVT_HOST, 0, 10, 100, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture.now, 3 * 6400 * 64 + 6400 + 700);
    fixture_end();
}
END_TEST

START_TEST(nodes_work_side_by_side)
{
    /* Two nodes: the wire takes what the node with more of it takes. */
    struct sim_config c = fixture_config();
    c.redis.nodes = 2;
    c.network.rtt_ns = 0;
    c.host.copy_threads = 0;
    c.redis.command_ns = 0;
    fixture_begin(&c);
    enum { N = 32 };
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, N, 1000, KVT_NEVER), 0);
    fixture_drain();
    struct sim_redis_stats a, b;
    sim_world_redis(fixture.world, 0, &a);
    sim_world_redis(fixture.world, 1, &b);
    ck_assert_uint_eq(a.keys + b.keys, N);
    ck_assert_uint_ge(a.keys, N / 4);
    ck_assert_uint_ge(b.keys, N / 4);
    kvt_ns begin = fixture.now;
    uint64_t most = a.keys > b.keys ? a.keys : b.keys;
    ck_assert_int_eq(fixture_issue(LOAD, 2, 0, KVT_REDIS, 0, N, 1000, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture.now - begin, most * 64000 * 4 + 64000 + 700);
    fixture_end();
}
END_TEST

START_TEST(asking_takes_a_round_trip_and_the_commands)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(PROBE, 1, 0, KVT_REDIS, 0, 7, 100, 0), 0);
    ck_assert_int_eq(fixture_issue(DROP, 2, KVT_NONE, KVT_REDIS, 0, 2, 100, 0), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 3, 0, KVT_REDIS, 0, 2, 100, 0), 0);
    ck_assert_int_eq(fixture_issue(PROBE, 4, 0, KVT_HOST, 0, 7, 100, 0), 0);
    ck_assert_int_eq(fixture_issue(DROP, 5, 0, KVT_DISK, 0, 2, 100, 0), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 6, 0, KVT_DISK, 0, 0, 100, 0), 0);
    ck_assert_uint_eq(fixture.n, 0);
    fixture_drain();
    const struct seen *s = fixture_find(1);
    ck_assert_uint_eq(s->at, 10001 + 7 * 3000);
    ck_assert_uint_eq(s->done.status, KVT_MISSING);
    ck_assert_uint_eq(s->done.blocks_ok, 0);
    ck_assert_uint_eq(s->done.span_ns[KVT_SPAN_PROBE], s->at);
    ck_assert_uint_eq(fixture_find(2)->at, 10001 + 9 * 3000);
    ck_assert_uint_eq(fixture_span_sum(&fixture_find(2)->done), 10001 + 9 * 3000);
    s = fixture_find(3); /* one command finds out; no byte is moved */
    ck_assert_uint_eq(s->at, 10001 + 10 * 3000);
    ck_assert_uint_eq(s->done.status, KVT_MISSING);
    ck_assert_uint_eq(s->done.bytes, 0);
    ck_assert_uint_eq(fixture_span_sum(&s->done), s->at);
    ck_assert_uint_eq(fixture_find(4)->at, 0);
    ck_assert_uint_eq(fixture_find(4)->done.blocks_ok, 7);
    ck_assert_uint_eq(fixture_find(5)->at, 0);
    ck_assert_uint_eq(fixture_find(6)->at, 0);
    fixture_end();
}
END_TEST

/* ---- Sharing ------------------------------------------------------------------------------------- */

START_TEST(two_loads_share_a_link)
{
    struct sim_config c = fixture_config();
    c.host.copy_threads = 0;
    c.engines = 2;
    fixture_begin(&c);
    /* Engine 0: 100,000 tokens at 0, and as many when half of that is there. Engine 1 is on its own. */
    const kvt_ns alone = 6400000;
    ck_assert_int_eq(fixture_issue(LOAD, 1, 0, KVT_HOST, 0, 1, 100000, 0), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 2, 1, KVT_HOST, 0, 1, 100000, 0), 0);
    fixture_advance(alone / 2);
    ck_assert_int_eq(fixture_issue(LOAD, 3, 0, KVT_HOST, 0, 1, 100000, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(2)->at, alone + 700);
    ck_assert_uint_eq(fixture_find(1)->at, alone + alone / 2 + 700);
    ck_assert_uint_eq(fixture_find(3)->at, 2 * alone + 700);
    struct sim_part_stats s = fixture_part("engine0/h2d");
    ck_assert_uint_eq(s.bytes, 2 * alone);
    ck_assert_double_gt(s.busy_ratio, 0.999);
    ck_assert_double_le(s.busy_ratio, 1);
    fixture_end();
}
END_TEST

START_TEST(two_engines_share_a_redis_process)
{
    struct sim_config c = fixture_config();
    c.engines = 2;
    c.host.copy_threads = 0;
    c.network.rtt_ns = 0;
    c.redis.command_ns = 0;
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 1, 100000, KVT_NEVER), 0);
    fixture_drain();
    kvt_ns begin = fixture.now;
    ck_assert_int_eq(fixture_issue(LOAD, 2, 0, KVT_REDIS, 0, 1, 100000, 0), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 3, 1, KVT_REDIS, 0, 1, 100000, 0), 0);
    fixture_drain();
    for (uint32_t op = 2; op <= 3; op++)
        ck_assert_uint_eq(fixture_find(op)->at - begin, 2 * 6400000 * 4 + 6400000 + 700);
    fixture_end();
}
END_TEST

START_TEST(directions_do_not_share_a_nic_but_a_process)
{
    struct sim_config c = fixture_config();
    c.host.copy_threads = 0;
    c.network.rtt_ns = 0;
    c.redis.command_ns = 0;
    c.redis.process_bps =
        NS_PER_BYTE(1); /* 4 ns a byte for a store by the NIC, 2 of them together */
    c.redis.nic_bps = NS_PER_BYTE(4);
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 1, 100000, KVT_NEVER), 0);
    fixture_drain();
    kvt_ns begin = fixture.now;
    ck_assert_int_eq(fixture_issue(LOAD, 2, 0, KVT_REDIS, 0, 1, 100000, 0), 0);
    ck_assert_int_eq(fixture_issue(STORE, 3, 0, KVT_REDIS, 1, 1, 100000, KVT_NEVER), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(2)->at - begin, 6400000 * 4 + 6400000 + 700);
    ck_assert_uint_eq(fixture_find(3)->at - begin, 6400000 * 2 + 6400000 * 4 + 700);
    fixture_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("world_times");
    TCase *c = tcase_create("world_times");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, alone_is_a_chain_of_servers, 0, 6);
    tcase_add_test(c, load_from_redis_by_hand);
    tcase_add_test(c, load_from_a_peer_by_hand);
    tcase_add_test(c, a_peer_on_one_machine_is_a_copy);
    tcase_add_test(c, two_read_one_peer);
    tcase_add_test(c, a_peer_alone_is_a_chain_of_servers);
    tcase_add_test(c, either_end_going_down_ends_it);
    tcase_add_test(c, a_peer_is_another_engine);
    tcase_add_test(c, many_servers_share_the_pieces);
    tcase_add_test(c, nodes_work_side_by_side);
    tcase_add_test(c, asking_takes_a_round_trip_and_the_commands);
    tcase_add_test(c, two_loads_share_a_link);
    tcase_add_test(c, two_engines_share_a_redis_process);
    tcase_add_test(c, directions_do_not_share_a_nic_but_a_process);
    suite_add_tcase(suite, c);
    return kvt_test_main(suite);
}
