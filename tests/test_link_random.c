/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_link_random.c - fair sharing at random: against two naive solvers, over time against a naive simulator, and
 * whether every byte is where it should be.
 *
 * The naive solver is the definition in link_fill.c written down without any cleverness: over all links, from the
 * beginning, one flow or link at a time, in the same integers; rates and ends have to be the same. That the definition
 * is max-min fairness is checked against textbook filling in floating point, within what rounding down may cost.
 */
#include "dice.h"
#include "link_fixture.h"

#include <math.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

enum { LINKS_MOST = 16 };

/* ---- The naive solver ---------------------------------------------------------------------------- */

struct naive_flow {
    bool under_way;
    uint64_t bytes, cap, rate;
    wide left;
    uint32_t n_links, links[LINKS_MOST];
    sim_flow_id id;
};

static struct naive {
    uint32_t n_links, n_flows;
    uint64_t capacity[LINKS_MOST]; /* UINT64_MAX: infinite */
    struct naive_flow flow[FLOWS_MOST];
} naive;

static uint64_t naive_bound(const struct naive_flow *f)
{
    uint64_t bound = f->cap;
    for (uint32_t i = 0; i < f->n_links; i++)
        if (naive.capacity[f->links[i]] < bound)
            bound = naive.capacity[f->links[i]];
    return bound;
}

static bool is_on(const struct naive_flow *f, uint32_t link)
{
    for (uint32_t i = 0; i < f->n_links; i++)
        if (f->links[i] == link)
            return true;
    return false;
}

/* Share of a link among its flows that are not fixed; UINT64_MAX when there are none. */
static uint64_t naive_share(uint32_t link, const bool *fixed)
{
    uint64_t left = naive.capacity[link], open = 0;
    for (uint32_t f = 0; f < naive.n_flows; f++) {
        if (!naive.flow[f].under_way || !is_on(&naive.flow[f], link))
            continue;
        if (fixed[f] && naive.capacity[link] != UINT64_MAX)
            left -= naive.flow[f].rate;
        open += !fixed[f];
    }
    return open == 0 || naive.capacity[link] == UINT64_MAX ? UINT64_MAX : left / open;
}

static void naive_fill(void)
{
    bool fixed[FLOWS_MOST] = {false};
    for (uint32_t f = 0; f < naive.n_flows; f++)
        fixed[f] = !naive.flow[f].under_way;
    for (;;) {
        uint64_t least = UINT64_MAX;
        uint32_t link = KVT_NONE;
        for (uint32_t k = 0; k < naive.n_links; k++) {
            uint64_t share = naive_share(k, fixed);
            if (share < least) {
                least = share;
                link = k;
            }
        }
        bool bounded = false;
        for (uint32_t f = 0; f < naive.n_flows; f++)
            if (!fixed[f] && naive_bound(&naive.flow[f]) <= least) {
                naive.flow[f].rate = naive_bound(&naive.flow[f]);
                fixed[f] = bounded = true;
            }
        if (bounded)
            continue;
        if (link == KVT_NONE)
            return;
        for (uint32_t f = 0; f < naive.n_flows; f++)
            if (!fixed[f] && is_on(&naive.flow[f], link)) {
                naive.flow[f].rate = least;
                fixed[f] = true;
            }
    }
}

/* Textbook filling: everybody who can grows by what the tightest link or bound allows. */
static void textbook_fill(double *rate)
{
    bool fixed[FLOWS_MOST];
    double left[LINKS_MOST];
    for (uint32_t k = 0; k < naive.n_links; k++)
        left[k] = naive.capacity[k] == UINT64_MAX ? INFINITY : (double)naive.capacity[k];
    for (uint32_t f = 0; f < naive.n_flows; f++) {
        fixed[f] = !naive.flow[f].under_way;
        rate[f] = 0;
    }
    for (;;) {
        double step = INFINITY;
        uint32_t open[LINKS_MOST] = {0};
        for (uint32_t f = 0; f < naive.n_flows; f++) {
            if (fixed[f])
                continue;
            step = fmin(step, (double)naive.flow[f].cap - rate[f]);
            for (uint32_t i = 0; i < naive.flow[f].n_links; i++)
                open[naive.flow[f].links[i]]++;
        }
        for (uint32_t k = 0; k < naive.n_links; k++)
            if (open[k] > 0)
                step = fmin(step, left[k] / open[k]);
        if (isinf(step))
            return;
        for (uint32_t k = 0; k < naive.n_links; k++)
            left[k] -= step * open[k];
        for (uint32_t f = 0; f < naive.n_flows; f++) {
            if (fixed[f])
                continue;
            rate[f] += step;
            bool full = rate[f] >= (double)naive.flow[f].cap * (1 - 1e-12);
            for (uint32_t i = 0; i < naive.flow[f].n_links; i++) {
                uint32_t k = naive.flow[f].links[i];
                full |= left[k] <= 1e-12 * (double)naive.capacity[k];
            }
            fixed[f] = full;
        }
    }
}

/* ---- Random cases -------------------------------------------------------------------------------- */

static uint64_t units(double bps)
{
    return isinf(bps) ? UINT64_MAX : (uint64_t)(bps * 65536);
}

/* Round numbers half of the time, so that shares tie; sometimes stalled or infinite. */
static double random_bps(bool may_stall)
{
    switch (dice_below(12)) {
    case 0:
        return may_stall ? 0 : 5e8;
    case 1:
        return INFINITY;
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
        return 1e9 * (double)(1 + dice_below(6));
    default:
        return 1e6 + (double)dice_below(1000000000) * 7.31;
    }
}

static void random_links(void)
{
    naive.n_flows = 0;
    naive.n_links = (uint32_t)(1 + dice_below(LINKS_MOST));
    for (uint32_t k = 0; k < naive.n_links; k++) {
        double bps = random_bps(true);
        naive.capacity[k] = units(bps);
        ck_assert_uint_eq(add(bps), k);
    }
}

/* Starts it on both sides. */
static void start_both(kvt_ns now, struct sim_flow *flow)
{
    struct naive_flow *n = &naive.flow[naive.n_flows];
    flow->fn = on_flow;
    flow->arg = naive.n_flows++;
    *n = (struct naive_flow){.under_way = true,
                             .bytes = flow->bytes,
                             .cap = units(flow->cap_bps),
                             .left = (wide)flow->bytes * 65536 * 1000000000,
                             .n_links = flow->n_links};
    memcpy(n->links, flow->wide ? flow->wide : flow->links, flow->n_links * sizeof(*n->links));
    ck_assert_int_eq(sim_links_start(&links, now, flow, &n->id), 0);
}

static void start_random(kvt_ns now, uint64_t bytes)
{
    uint32_t many[LINKS_MOST];
    double cap_bps = dice_below(3) ? INFINITY : random_bps(false);
    struct sim_flow flow = {.bytes = bytes, .cap_bps = cap_bps};
    uint32_t want = (uint32_t)dice_below(naive.n_links < 4 ? naive.n_links + 1 : 5);
    while (flow.n_links < want) {
        uint32_t k = (uint32_t)dice_below(naive.n_links);
        bool twice = false;
        for (uint32_t i = 0; i < flow.n_links; i++)
            twice |= flow.links[i] == k;
        if (!twice)
            flow.links[flow.n_links++] = k;
    }
    /* Some take up most links at once, as a collective over all ports of an engine does. */
    if (naive.n_links > SIM_FLOW_LINKS && dice_below(6) == 0) {
        const uint32_t first = (uint32_t)dice_below(naive.n_links);
        flow.n_links = SIM_FLOW_LINKS + 1 + (uint32_t)dice_below(naive.n_links - SIM_FLOW_LINKS);
        for (uint32_t i = 0; i < flow.n_links; i++)
            many[i] = (first + i) % naive.n_links;
        flow.wide = many;
    }
    start_both(now, &flow);
}

START_TEST(random_rates_are_those_of_the_naive_solvers)
{
    static double textbook[FLOWS_MOST];
    dice_seed((uint64_t)_i);
    for (int round = 0; round < 60; round++) {
        set_up();
        random_links();
        for (uint64_t n = 1 + dice_below(60); n > 0; n--)
            start_random(0, UINT64_C(1) << 60);
        naive_fill();
        textbook_fill(textbook);
        for (uint32_t f = 0; f < naive.n_flows; f++) {
            double bps = sim_links_rate_bps(&links, naive.flow[f].id);
            ck_assert_msg(units(bps) == naive.flow[f].rate, "seed %d, round %d, flow %u", _i, round,
                          f);
            if (isinf(bps))
                continue;
            /* Rounding down costs each link less than one unit per flow, and the next ones may gain that. */
            ck_assert_double_eq_tol(bps * 65536, textbook[f], 1e-9 * textbook[f] + 100);
        }
        ck_assert(sim_links_check(&links));
        tear_down();
    }
}
END_TEST

/* ---- Over time ----------------------------------------------------------------------------------- */

static kvt_ns naive_now;
static kvt_ns naive_ended_ns[FLOWS_MOST];
static double naive_busy_ns[LINKS_MOST];

static void naive_meter(kvt_ns until)
{
    for (uint32_t k = 0; k < naive.n_links; k++) {
        double used = 0;
        for (uint32_t f = 0; f < naive.n_flows; f++)
            if (naive.flow[f].under_way && is_on(&naive.flow[f], k))
                used += (double)naive.flow[f].rate;
        if (naive.capacity[k] > 0 && naive.capacity[k] != UINT64_MAX)
            naive_busy_ns[k] += used / (double)naive.capacity[k] * (double)(until - naive_now);
    }
}

static kvt_ns naive_end(const struct naive_flow *f)
{
    if (f->left == 0 || f->rate == UINT64_MAX)
        return naive_now;
    return f->rate == 0 ? KVT_NEVER : naive_now + (kvt_ns)((f->left + f->rate - 1) / f->rate);
}

/* Moves the naive simulator to `until`, ending flows before it, or also at it. */
static void naive_advance(kvt_ns until, bool also_at)
{
    while (until >= naive_now) {
        kvt_ns next = KVT_NEVER;
        naive_fill();
        for (uint32_t f = 0; f < naive.n_flows; f++)
            if (naive.flow[f].under_way && naive_end(&naive.flow[f]) < next)
                next = naive_end(&naive.flow[f]);
        const bool ends = next < until || (also_at && next == until);
        kvt_ns to = ends ? next : until;
        naive_meter(to);
        for (uint32_t f = 0; f < naive.n_flows; f++) {
            struct naive_flow *n = &naive.flow[f];
            if (!n->under_way)
                continue;
            wide done = (wide)n->rate * (to - naive_now);
            bool over = ends && naive_end(n) == to;
            n->left = over ? 0 : n->left - (done < n->left ? done : n->left);
            if (over) {
                n->under_way = false;
                naive_ended_ns[f] = to;
            }
        }
        naive_now = to;
        if (!ends)
            return;
    }
}

enum { TRANSFER_ENGINES = 4, TRANSFER_NODES = 6 };

/* Links of a cluster: of engines, then of nodes, then of the nodes' processes. */
static void cluster_links(void)
{
    naive.n_flows = 0;
    naive.n_links = TRANSFER_ENGINES + 2 * TRANSFER_NODES;
    for (uint32_t k = 0; k < naive.n_links; k++) {
        const double bps = k < TRANSFER_ENGINES ? 11.9e9 : (double)(1 + dice_below(4)) * 1e9;
        naive.capacity[k] = units(bps);
        ck_assert_uint_eq(add(bps), k);
    }
}

/* One flow from each of some nodes to an engine, of as many bytes as it has blocks. */
static void start_transfer(kvt_ns now)
{
    const uint32_t engine = (uint32_t)dice_below(TRANSFER_ENGINES);
    const uint64_t block_b = 1 + dice_below(4000000);
    for (uint32_t node = 0; node < TRANSFER_NODES && naive.n_flows < FLOWS_MOST; node++) {
        struct sim_flow flow = {.bytes = block_b * dice_below(4),
                                .cap_bps = 1.9e9,
                                .n_links = 3,
                                .links = {engine, TRANSFER_ENGINES + node,
                                          TRANSFER_ENGINES + TRANSFER_NODES + node}};
        if (flow.bytes > 0)
            start_both(now, &flow);
    }
}

static void random_change(kvt_ns now, bool cluster)
{
    if (dice_below(cluster ? 20 : 5) == 0) {
        uint32_t k = (uint32_t)dice_below(naive.n_links);
        double bps = random_bps(true);
        naive.capacity[k] = units(bps);
        ck_assert_int_eq(sim_links_set_capacity(&links, now, k, bps), 0);
    } else if (dice_below(cluster ? 10 : 4) == 0 && naive.n_flows > 0) {
        struct naive_flow *n = &naive.flow[dice_below(naive.n_flows)];
        ck_assert(sim_links_cancel(&links, now, n->id) == n->under_way);
        n->under_way = false;
    } else if (cluster) {
        start_transfer(now);
    } else if (naive.n_flows < FLOWS_MOST) {
        start_random(now, dice_below(20) ? dice_below(20000000) : 0);
    }
}

static void everything_goes(int seed, int round)
{
    for (uint32_t k = 0; k < naive.n_links; k++) { /* what is stalled gets moving */
        naive.capacity[k] = units(1e9);
        ck_assert_int_eq(sim_links_set_capacity(&links, naive_now, k, 1e9), 0);
    }
    run(KVT_NEVER);
    naive_advance(KVT_NEVER - 1, true);
    for (uint32_t f = 0; f < naive.n_flows; f++)
        ck_assert_msg(ended_ns[f] == naive_ended_ns[f], "seed %d, round %d, flow %u: %llu, %llu",
                      seed, round, f, (unsigned long long)ended_ns[f],
                      (unsigned long long)naive_ended_ns[f]);
    ck_assert_uint_eq(links.n_flows, 0);
    for (uint32_t k = 0; k < naive.n_links; k++)
        ck_assert_double_eq_tol(sim_links_stats(&links, events.now, k).busy_ns, naive_busy_ns[k],
                                1e-9 * naive_busy_ns[k] + 1e-3);
}

/* Both move from change to change; every flow has to end at the same nanosecond in both. */
static void timelines(int seed, bool cluster)
{
    dice_seed(1000 + (uint64_t)seed);
    for (int round = 0; round < 12; round++) {
        set_up();
        if (cluster)
            cluster_links();
        else
            random_links();
        memset(naive_ended_ns, 0xff, sizeof(naive_ended_ns));
        memset(naive_busy_ns, 0, sizeof(naive_busy_ns));
        naive_now = 0;
        kvt_ns now = 0;
        for (int change = 0; change < 150; change++) {
            now += dice_below(3) ? dice_below(8000000) : 0;
            /* Half of the changes find the flows that end at that instant ended, half come before. */
            if (dice_below(2)) {
                run(now);
                naive_advance(now, true);
            } else {
                run(now > 0 ? now - 1 : 0);
                naive_advance(now > 0 ? now - 1 : 0, true);
                naive_advance(now, false);
            }
            random_change(now, cluster);
        }
        everything_goes(seed, round);
        tear_down();
    }
}

START_TEST(random_timelines_end_like_the_naive_simulator)
{
    timelines(_i, false);
}
END_TEST

START_TEST(transfers_from_many_nodes_end_like_the_naive_simulator)
{
    timelines(_i, true);
}
END_TEST

/* ---- Conservation -------------------------------------------------------------------------------- */

static uint64_t link_b[LINKS_MOST], link_flows[LINKS_MOST], open_flows;
static uint64_t link_cancelled[LINKS_MOST], link_cancelled_b[LINKS_MOST]; /* b: whole flows */
static uint64_t generations_left;

struct conserved {
    struct sim_flow flow;
    sim_flow_id id;
    bool under_way;
};

static struct conserved conserved[200];

static void start_conserved(kvt_ns now, uint64_t i);

static void on_conserved(void *self, uint64_t arg, kvt_ns at)
{
    struct conserved *c = &conserved[arg];
    (void)self;
    ck_assert(c->under_way);
    c->under_way = false;
    open_flows--;
    for (uint32_t i = 0; i < c->flow.n_links; i++) {
        link_b[c->flow.links[i]] += c->flow.bytes;
        link_flows[c->flow.links[i]]++;
    }
    if (generations_left == 0)
        return;
    generations_left--;
    start_conserved(at, arg);
    uint64_t other = dice_below(200);
    if (dice_below(8) == 0 && conserved[other].under_way) {
        ck_assert(sim_links_cancel(&links, at, conserved[other].id));
        conserved[other].under_way = false;
        open_flows--;
        for (uint32_t i = 0; i < conserved[other].flow.n_links; i++) {
            link_cancelled[conserved[other].flow.links[i]]++;
            link_cancelled_b[conserved[other].flow.links[i]] += conserved[other].flow.bytes;
        }
        start_conserved(at, other);
    }
    if (dice_below(8) == 0) {
        const double bps = random_bps(true);
        ck_assert_int_eq(sim_links_set_capacity(&links, at, (uint32_t)dice_below(naive.n_links),
                                                bps),
                         0);
    }
}

static void start_conserved(kvt_ns now, uint64_t i)
{
    struct conserved *c = &conserved[i];
    c->flow = (struct sim_flow){.fn = on_conserved, .arg = i};
    c->flow.bytes = dice_below(10) ? dice_below(3000000) : 0;
    c->flow.cap_bps = dice_below(2) ? INFINITY : 1e8;
    c->flow.n_links = 1 + (uint32_t)dice_below(3);
    uint32_t first = (uint32_t)dice_below(naive.n_links);
    for (uint32_t j = 0; j < c->flow.n_links; j++)
        c->flow.links[j] = (first + j) % naive.n_links;
    ck_assert_int_eq(sim_links_start(&links, now, &c->flow, &c->id), 0);
    c->under_way = true;
    open_flows++;
}

START_TEST(every_flow_ends_once_and_no_byte_is_lost)
{
    dice_seed(77 + (uint64_t)_i);
    random_links();
    while (naive.n_links < 3) {
        naive.n_links++;
        add(1e9);
    }
    memset(link_b, 0, sizeof(link_b));
    memset(link_flows, 0, sizeof(link_flows));
    memset(link_cancelled, 0, sizeof(link_cancelled));
    memset(link_cancelled_b, 0, sizeof(link_cancelled_b));
    open_flows = 0;
    generations_left = 4000;
    for (uint64_t i = 0; i < 200; i++)
        start_conserved(0, i);
    for (int i = 0; i < 1000 && sim_evq_next(&events) != KVT_NEVER; i++)
        run(sim_evq_next(&events));
    generations_left = 0;
    for (uint32_t k = 0; k < naive.n_links; k++)
        ck_assert_int_eq(sim_links_set_capacity(&links, events.now, k, 1e9), 0);
    run(KVT_NEVER);
    ck_assert_uint_eq(open_flows, 0);
    ck_assert_uint_eq(links.n_flows, 0);
    for (uint32_t k = 0; k < naive.n_links; k++) {
        struct sim_link_stats s = sim_links_stats(&links, events.now, k);
        ck_assert_uint_eq(s.bytes, link_b[k]);
        ck_assert_uint_eq(s.flows, link_flows[k]);
        ck_assert_uint_eq(s.cancelled, link_cancelled[k]);
        ck_assert_uint_le(s.cancelled_bytes, link_cancelled_b[k]);
        ck_assert_uint_eq(s.active, 0);
        ck_assert_double_le(s.busy_ns, (double)events.now * (1 + 1e-9));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link, random");
    TCase *fresh = tcase_create("fresh links"), *own = tcase_create("links of its own");
    tcase_add_checked_fixture(fresh, set_up, tear_down);
    tcase_add_loop_test(fresh, every_flow_ends_once_and_no_byte_is_lost, 0, 16);
    tcase_add_loop_test(own, random_rates_are_those_of_the_naive_solvers, 0, 8);
    tcase_add_loop_test(own, random_timelines_end_like_the_naive_simulator, 0, 12);
    tcase_add_loop_test(own, transfers_from_many_nodes_end_like_the_naive_simulator, 0, 12);
    suite_add_tcase(suite, fresh);
    suite_add_tcase(suite, own);
    return kvt_test_main(suite);
}
