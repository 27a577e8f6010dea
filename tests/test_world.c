/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_world.c - the simulated world behind its port, one promise at a time, without a core.
 *
 *      closed forms   one transfer alone takes what passing it piece by piece through a chain of servers takes,
 *                     to the nanosecond, for every tier, direction, codec and piece size
 *      sharing        transfers that compete slow each other down as max-min fairness says
 *      steps          interrupts end a step at the end of an iteration, and never twice
 *      redis          what a node lost is reported missing; a node that is full refuses; deadlines; TTL
 *      conservation   random traffic: everything ends exactly once, bytes add up, nothing is faster than its
 *                     parts, no part is more than busy; the same again gives the same
 *      failure        tiers and engines that go down; memory that runs out
 */
#include "failing_alloc.h"
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

/* ---- Steps --------------------------------------------------------------------------------------- */

static const struct kvt_step decode_step = {
    .op = {5}, .repeat = 1000, .n_decode = 8, .decode_tokens = 80000, .window_tokens = 80000};

static kvt_ns decode_ns(uint32_t iterations)
{
    struct sim_gpu gpu = fixture_gpu();
    sim_gpu_prepare(&gpu);
    return sim_gpu_step_ns(&gpu, &decode_step, iterations);
}

START_TEST(step_runs_all_iterations)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    fixture_advance(123);
    ck_assert_int_eq(fixture_step(&decode_step), 0);
    ck_assert_int_ne(fixture_step(&decode_step), 0); /* one at a time */
    fixture_drain();
    const struct seen *s = fixture_find(5);
    ck_assert_uint_eq(s->at, 123 + decode_ns(1000));
    ck_assert_uint_eq(s->done.iterations, 1000);
    ck_assert_uint_eq(s->done.status, KVT_OK);
    ck_assert_uint_eq(s->done.span_ns[KVT_SPAN_COMPUTE], decode_ns(1000));
    struct kvt_chunk chunk = {.past_tokens = 10, .new_tokens = 1000};
    struct kvt_step prefill = {.op = {6}, .repeat = 1, .n_chunks = 1, .chunks = &chunk};
    kvt_ns begin = fixture.now;
    ck_assert_int_eq(fixture_step(&prefill), 0);
    chunk.new_tokens = 1; /* borrowed until return only */
    fixture_interrupt(0);
    fixture_drain();
    struct sim_gpu gpu = fixture_gpu();
    sim_gpu_prepare(&gpu);
    ck_assert_uint_eq(fixture_find(6)->at - begin, sim_gpu_chunk_ns(&gpu, 10, 1000));
    ck_assert_double_gt(fixture_part("engine0/gpu").busy_ratio, 0.99);
    fixture_end();
}
END_TEST

START_TEST(interrupt_ends_the_iteration_under_way)
{
    dice_seed(77);
    for (int i = 0; i < 300; i++) {
        struct sim_config c = fixture_config();
        fixture_begin(&c);
        ck_assert_int_eq(fixture_step(&decode_step), 0);
        uint32_t j = 1 + (uint32_t)dice_below(1000);
        /* At the very end of iteration j, within it, one nanosecond after its begin, and at once. */
        kvt_ns first = j == 1 ? 0 : decode_ns(j - 1), last = decode_ns(j);
        kvt_ns at = i % 3 == 0   ? last
                    : i % 3 == 1 ? first + 1
                                 : first + 1 + dice_below(last - first);
        fixture_advance(at < last ? at : last);
        if (fixture.n == 1) { /* iteration 1000 was over */
            ck_assert_uint_eq(j, 1000);
            fixture_interrupt(0);
        } else {
            fixture_interrupt(0);
            fixture_interrupt(0); /* twice is once */
            ck_assert_uint_eq(fixture.n, 0);
        }
        fixture_drain();
        ck_assert_uint_eq(fixture_find(5)->done.iterations, j);
        ck_assert_uint_eq(fixture_find(5)->at, last);
        ck_assert_uint_eq(fixture.n, 1);
        struct sim_world_stats stats;
        sim_world_stats(fixture.world, &stats);
        ck_assert_uint_eq(stats.interrupts, j < 1000); /* those that cut something short */
        fixture_end();
    }
}
END_TEST

START_TEST(a_later_interrupt_does_not_lengthen)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    fixture_interrupt(0); /* nothing under way */
    ck_assert_int_eq(fixture_step(&decode_step), 0);
    fixture_advance(decode_ns(10) - 5);
    fixture_interrupt(0);
    fixture_advance(decode_ns(10) - 1);
    fixture_interrupt(0);
    fixture_advance(decode_ns(10));
    ck_assert_uint_eq(fixture_find(5)->done.iterations, 10);
    /* The event of the step's planned end is still in the queue when the next step runs. */
    kvt_ns begin = fixture.now;
    struct kvt_step next = decode_step;
    next.op.v = 6;
    ck_assert_int_eq(fixture_step(&next), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(6)->done.iterations, 1000);
    ck_assert_uint_eq(fixture_find(6)->at, begin + decode_ns(1000));
    fixture_end();
}
END_TEST

START_TEST(timers_come_in_order)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    struct kvt_port port = sim_world_port(fixture.world);
    fixture_advance(50);
    port.ops->arm(port.self, 1, 200);
    port.ops->arm(port.self, 2, 100);
    port.ops->arm(port.self, 3, 200);
    port.ops->arm(port.self, 4, 7); /* in the past: now */
    port.ops->arm(port.self, 5, KVT_NEVER);
    ck_assert_uint_eq(fixture.n, 0);
    fixture_drain();
    static const uint64_t order[] = {4, 2, 1, 3};
    ck_assert_uint_eq(fixture.n, 4);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(fixture.seen[i].number, order[i]);
    ck_assert_uint_eq(fixture.seen[0].at, 50);
    fixture_end();
}
END_TEST

/* ---- Redis --------------------------------------------------------------------------------------- */

START_TEST(evicted_blocks_are_missing)
{
    struct sim_config c = fixture_config();
    c.redis.memory_b = 50 * (6400 + 90);
    fixture_begin(&c);
    uint32_t op = 0;
    for (uint32_t i = 0; i < 30; i++) { /* 30 prompts of 10 blocks: 5 fit */
        ck_assert_int_eq(fixture_issue(STORE, op++, 0, KVT_REDIS, i * 10, 10, 100, KVT_NEVER), 0);
        fixture_advance(fixture.now + 10 * KVT_SECOND);
    }
    struct sim_redis_stats s;
    sim_world_redis(fixture.world, 0, &s);
    ck_assert_uint_eq(s.keys, 50);
    ck_assert_uint_eq(s.gone[SIM_REDIS_EVICTED], 250);
    ck_assert_uint_le(s.memory_b, c.redis.memory_b);
    uint32_t there = 0;
    for (uint32_t i = 0; i < 30; i++) {
        ck_assert_int_eq(fixture_issue(PROBE, op, 0, KVT_REDIS, i * 10, 10, 100, 0), 0);
        ck_assert_int_eq(fixture_issue(LOAD, op + 1, 0, KVT_REDIS, i * 10, 10, 100, 0), 0);
        fixture_drain();
        const struct kvt_done *probe = &fixture_find(op)->done, *load = &fixture_find(op + 1)->done;
        ck_assert_uint_eq(probe->blocks_ok, load->blocks_ok);
        ck_assert_uint_eq(probe->status, load->status);
        ck_assert((load->status == KVT_OK) == (load->blocks_ok == 10));
        ck_assert_uint_eq(load->bytes, load->blocks_ok * 6400);
        there += load->blocks_ok;
        op += 2;
    }
    ck_assert_uint_gt(there, 10);
    ck_assert_uint_lt(there, 51);
    fixture_end();
}
END_TEST

START_TEST(a_hole_ends_what_is_good)
{
    struct sim_config c = fixture_config();
    c.redis.nodes = 3;
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 10, 100, KVT_NEVER), 0);
    fixture_drain();
    ck_assert_int_eq(fixture_issue(DROP, 2, 0, KVT_REDIS, 4, 1, 100, 0), 0);
    ck_assert_int_eq(fixture_issue(PROBE, 3, 0, KVT_REDIS, 0, 10, 100, 0), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 4, 0, KVT_REDIS, 0, 10, 100, 0), 0);
    fixture_drain();
    for (uint32_t op = 3; op <= 4; op++) {
        ck_assert_uint_eq(fixture_find(op)->done.status, KVT_MISSING);
        ck_assert_uint_eq(fixture_find(op)->done.blocks_ok, 4);
    }
    ck_assert_uint_eq(fixture_find(4)->done.bytes, 4 * 6400);
    ck_assert_uint_eq(fixture_part("engine0/nic_rx").bytes, 4 * 6400);
    struct sim_redis_stats s = {0};
    uint64_t gets = 0;
    for (uint32_t node = 0; node < 3; node++) {
        sim_world_redis(fixture.world, node, &s);
        gets += s.gets;
    }
    ck_assert_uint_eq(gets, 5); /* the fifth found nothing */
    fixture_end();
}
END_TEST

START_TEST(a_full_node_refuses)
{
    struct sim_config c = fixture_config();
    c.redis.memory_b = 5 * (6400 + 90);
    c.redis.evicts = false;
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 8, 100, KVT_NEVER), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(1)->done.status, KVT_BUSY);
    ck_assert_uint_eq(fixture_find(1)->done.blocks_ok, 5);
    ck_assert_int_eq(fixture_issue(DROP, 2, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_drain();
    ck_assert_int_eq(fixture_issue(STORE, 3, 0, KVT_REDIS, 8, 3, 100, KVT_NEVER), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(3)->done.status, KVT_OK);
    fixture_end();
}
END_TEST

START_TEST(copies_expire)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 3, 100, 5 * KVT_SECOND), 0);
    fixture_advance(4 * KVT_SECOND);
    ck_assert_int_eq(fixture_issue(PROBE, 2, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_advance(6 * KVT_SECOND);
    ck_assert_int_eq(fixture_issue(PROBE, 3, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(2)->done.blocks_ok, 3);
    ck_assert_uint_eq(fixture_find(3)->done.blocks_ok, 0);
    fixture_end();
}
END_TEST

START_TEST(what_is_on_its_way_is_not_there)
{
    struct sim_config c = fixture_config();
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 3, 100000, KVT_NEVER), 0);
    ck_assert_int_eq(fixture_issue(PROBE, 2, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(2)->done.blocks_ok, 0);
    ck_assert_int_eq(fixture_issue(PROBE, 3, 0, KVT_REDIS, 0, 3, 100, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(3)->done.blocks_ok, 3);
    fixture_end();
}
END_TEST

START_TEST(deadlines_are_kept)
{
    struct sim_config c = fixture_config();
    c.redis.timeout_ns = 1000000;
    fixture_begin(&c);
    /* Wire alone takes 1,024,000. */
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 4, 1000, KVT_NEVER), 0);
    fixture_drain();
    const struct seen *s = fixture_find(1);
    ck_assert_uint_eq(s->done.status, KVT_TIMEOUT);
    ck_assert_uint_eq(s->done.blocks_ok, 0);
    ck_assert_uint_eq(s->at, 1000000);
    ck_assert_uint_eq(fixture_span_sum(&s->done), 1000000);
    ck_assert_int_eq(fixture_issue(PROBE, 2, 0, KVT_REDIS, 0, 4, 1000, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(2)->done.blocks_ok, 0);
    /* Nor does a flow of the dead operation slow the next one down. */
    kvt_ns begin = fixture.now;
    ck_assert_int_eq(fixture_issue(STORE, 3, 0, KVT_REDIS, 0, 1, 1000, KVT_NEVER), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(3)->done.status, KVT_OK);
    ck_assert_uint_eq(fixture_find(3)->at - begin, 128000 + 700 + 128000 + 256000 + 10001 + 3000);
    /* The commands of many probes pile up beyond the deadline. */
    for (uint32_t i = 0; i < 20; i++)
        ck_assert_int_eq(fixture_issue(PROBE, 10 + i, 0, KVT_REDIS, 0, 20, 1000, 0), 0);
    begin = fixture.now;
    fixture_drain();
    for (uint32_t i = 0; i < 20; i++) {
        bool late = 10001 + (i + 1) * 20 * 3000 > 1000000;
        s = fixture_find(10 + i);
        ck_assert_uint_eq(s->done.status, late ? KVT_TIMEOUT : KVT_MISSING);
        ck_assert_uint_eq(s->at - begin, late ? 1000000 : 10001 + (i + 1) * 20 * 3000);
    }
    fixture_end();
}
END_TEST

/* ---- Down ---------------------------------------------------------------------------------------- */

START_TEST(down_ends_what_is_under_way)
{
    struct sim_config c = fixture_config();
    c.engines = 2;
    fixture_begin(&c);
    ck_assert_int_eq(fixture_issue(STORE, 1, 0, KVT_REDIS, 0, 4, 1000, KVT_NEVER), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 2, 1, KVT_REDIS, 0, 4, 1000, 0), 0);
    ck_assert_int_eq(fixture_issue(LOAD, 3, 1, KVT_HOST, 0, 4, 1000, 0), 0);
    ck_assert_int_eq(fixture_step(&decode_step), 0);
    fixture_advance(10);
    sim_world_set_down(fixture.world, KVT_REDIS, (kvt_engine_id){0}, true);
    ck_assert_uint_eq(fixture.n, 0);
    fixture_advance(10);
    ck_assert_uint_eq(fixture.n, 2);
    ck_assert_uint_eq(fixture_find(1)->done.status, KVT_DOWN);
    ck_assert_uint_eq(fixture_find(2)->done.status, KVT_DOWN);
    ck_assert_int_eq(fixture_issue(PROBE, 7, 0, KVT_REDIS, 0, 4, 1000, 0), 0);
    sim_world_set_down(fixture.world, KVT_GPU, (kvt_engine_id){0}, true);
    ck_assert_int_eq(fixture_issue(LOAD, 10, 0, KVT_HOST, 0, 4, 1000, 0), 0);
    fixture_advance(20);
    ck_assert_uint_eq(fixture_find(7)->done.status, KVT_DOWN);
    ck_assert_uint_eq(fixture_find(10)->done.status, KVT_DOWN);
    ck_assert_uint_eq(fixture_find(5)->done.status, KVT_DOWN);
    ck_assert_uint_eq(fixture_find(5)->at, 10);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(3)->done.status, KVT_OK);
    sim_world_set_down(fixture.world, KVT_REDIS, (kvt_engine_id){0}, false);
    sim_world_set_down(fixture.world, KVT_GPU, (kvt_engine_id){0}, false);
    ck_assert_int_eq(fixture_issue(STORE, 8, 0, KVT_REDIS, 0, 4, 1000, KVT_NEVER), 0);
    struct kvt_step next = decode_step;
    next.op.v = 9;
    ck_assert_int_eq(fixture_step(&next), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture_find(8)->done.status, KVT_OK);
    ck_assert_uint_eq(fixture_find(9)->done.iterations, 1000);
    struct sim_world_stats s;
    sim_world_stats(fixture.world, &s);
    ck_assert_uint_eq(s.under_way, 0);
    ck_assert_uint_eq(s.ended[KVT_DOWN], 5);
    fixture_end();
}
END_TEST

/* ---- Conservation -------------------------------------------------------------------------------- */

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

/* ---- What it refuses ----------------------------------------------------------------------------- */

START_TEST(nonsense_is_refused)
{
    char why[200];
    for (int i = 0; i < 12; i++) {
        struct sim_config c = fixture_config();
        switch (i) {
        case 0:
            c.engines = 0;
            break;
        case 1:
            c.kv_b_per_token = 0;
            break;
        case 2:
            c.host.h2d_bps = NAN;
            break;
        case 3:
            c.host.d2h_bps = INFINITY;
            break;
        case 4:
            c.host.copy_thread_bps = -1;
            break;
        case 5:
            c.redis.samples = 65;
            break;
        case 6:
            c.redis.process_bps = 0;
            break;
        case 7:
            c.network.connections = 0;
            break;
        case 8:
            c.disk.read_bps = 0;
            break;
        case 9:
            c.codec[KVT_REDIS].present = true;
            break;
        case 10:
            c.gpu.peak_flops = 0;
            break;
        default:
            c.redis.timeout_ns = 0;
            break;
        }
        why[0] = 0;
        ck_assert_ptr_null(sim_world_new(&c, NULL, why, sizeof(why)));
        ck_assert_msg(why[0] != 0, "case %d", i);
    }
    struct sim_config c = fixture_config();
    c.redis = (struct sim_redis){0};
    c.disk = (struct sim_disk){0};
    fixture_begin(&c);
    ck_assert_int_lt(fixture_issue(LOAD, 1, 0, KVT_REDIS, 0, 1, 1, 0), 0);
    ck_assert_int_lt(fixture_issue(LOAD, 1, 0, KVT_DISK, 0, 1, 1, 0), 0);
    ck_assert_int_lt(fixture_issue(LOAD, 1, 0, KVT_GPU, 0, 1, 1, 0), 0);
    ck_assert_int_lt(fixture_issue(LOAD, 1, 7, KVT_HOST, 0, 1, 1, 0), 0);
    fixture_drain();
    ck_assert_uint_eq(fixture.n, 0);
    fixture_end();
}
END_TEST

START_TEST(out_of_memory_at_every_point)
{
    struct failing_alloc f;
    bool whole = false;
    for (uint64_t refuse = 1; !whole; refuse++) {
        ck_assert_uint_lt(refuse, 500);
        const struct kvt_alloc *alloc = failing_alloc_init(&f, refuse);
        f.for_good = true;
        memset(&fixture, 0, sizeof(fixture));
        struct sim_config c = fixture_config();
        c.redis.nodes = 3;
        char why[100];
        fixture.world = sim_world_new_in(&c, NULL, alloc, why, sizeof(why));
        if (!fixture.world) {
            ck_assert(failing_alloc_clean(&f));
            continue;
        }
        sim_world_deliver(fixture.world,
                          &(struct sim_deliver){.done = fixture_done, .timer = fixture_timer});
        uint32_t accepted = 0;
        int broken = 0;
        for (uint32_t i = 0; i < 400 && !broken; i++) {
            int r = fixture_issue(i % 2 ? LOAD : STORE, i, 0, i % 3 ? KVT_REDIS : KVT_DISK, i * 7,
                                  1 + i % 40, 10, KVT_NEVER);
            ck_assert(r == 0 || r == -ENOMEM);
            accepted += r == 0;
            if (i % 10 == 9)
                broken = sim_world_ops()->advance(fixture.world, NULL, fixture.now + 100000);
        }
        if (!broken)
            broken = sim_world_ops()->advance(fixture.world, NULL, KVT_NEVER);
        ck_assert(broken == 0 || broken == -ENOMEM);
        if (!broken) /* whatever was accepted has ended */
            ck_assert_uint_eq(fixture.n, accepted);
        whole = accepted == 400 && f.gets < refuse;
        fixture_end();
        ck_assert(failing_alloc_clean(&f));
    }
}
END_TEST

START_TEST(frontend_counts_tokens)
{
    struct sim_config c = fixture_config();
    c.frontend_ns = 1000;
    c.hash_ns_per_token = 2.5;
    fixture_begin(&c);
    ck_assert_uint_eq(sim_world_frontend_ns(fixture.world, 0), 1000);
    ck_assert_uint_eq(sim_world_frontend_ns(fixture.world, 1001), 1000 + 2503);
    fixture_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("world");
    TCase *c = tcase_create("world");
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
    tcase_add_test(c, step_runs_all_iterations);
    tcase_add_test(c, interrupt_ends_the_iteration_under_way);
    tcase_add_test(c, a_later_interrupt_does_not_lengthen);
    tcase_add_test(c, timers_come_in_order);
    tcase_add_test(c, evicted_blocks_are_missing);
    tcase_add_test(c, a_hole_ends_what_is_good);
    tcase_add_test(c, a_full_node_refuses);
    tcase_add_test(c, copies_expire);
    tcase_add_test(c, what_is_on_its_way_is_not_there);
    tcase_add_test(c, deadlines_are_kept);
    tcase_add_test(c, down_ends_what_is_under_way);
    tcase_add_loop_test(c, random_traffic_adds_up, 0, 12);
    tcase_add_test(c, same_traffic_same_world);
    tcase_add_test(c, nonsense_is_refused);
    tcase_add_test(c, out_of_memory_at_every_point);
    tcase_add_test(c, frontend_counts_tokens);
    suite_add_tcase(suite, c);
    return kvt_test_main(suite);
}
