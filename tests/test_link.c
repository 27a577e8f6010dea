/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_link.c - fair sharing: by hand, against two naive solvers, and over time against a naive simulator.
 *
 * The naive solver is the definition in link_fill.c written down without any cleverness: over all links, from the
 * beginning, one flow or link at a time, in the same integers; rates and ends have to be the same. That the definition
 * is max-min fairness is checked against textbook filling in floating point, within what rounding down may cost.
 */
#include "../sim/link.h"
#include "dice.h"
#include "failing_alloc.h"
#include "kvt_test.h"

#include <errno.h>
#include <math.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

enum { LINKS_MOST = 16, FLOWS_MOST = 600 };

/* ---- Material ------------------------------------------------------------------------------------ */

static struct failing_alloc memory;

/* n more requests are met, and then none. */
static void grant(uint64_t n)
{
    memory.fail_at = memory.gets + n + 1;
    memory.for_good = true;
}

static struct sim_evq events;
static struct sim_links links;
static kvt_ns ended_ns[FLOWS_MOST]; /* by arg */
static uint64_t order[FLOWS_MOST];  /* args, as they ended */
static uint32_t n_ended;

static void on_flow(void *self, uint64_t arg, kvt_ns at)
{
    (void)self;
    ck_assert_uint_lt(n_ended, FLOWS_MOST);
    ended_ns[arg] = at;
    order[n_ended++] = arg;
}

static void set_up(void)
{
    failing_alloc_init(&memory, 0);
    n_ended = 0;
    for (uint32_t i = 0; i < FLOWS_MOST; i++)
        ended_ns[i] = KVT_NEVER;
    sim_evq_init(&events, &memory.alloc);
    sim_links_init(&links, &events, &memory.alloc);
    links.mark = UINT32_MAX - 20; /* so that it wraps round */
}

static void tear_down(void)
{
    sim_links_release(&links);
    sim_evq_release(&events);
    ck_assert(failing_alloc_clean(&memory));
}

static uint32_t add(double bps)
{
    uint32_t link = KVT_NONE;
    ck_assert_int_eq(sim_links_add(&links, bps, &link), 0);
    return link;
}

/* A flow over up to two links (KVT_NONE: none). */
static sim_flow_id start(kvt_ns now, uint64_t bytes, double cap_bps, uint32_t a, uint32_t b,
                         uint64_t arg)
{
    struct sim_flow flow = {.bytes = bytes, .cap_bps = cap_bps, .fn = on_flow, .arg = arg};
    sim_flow_id id;
    if (a != KVT_NONE)
        flow.links[flow.n_links++] = a;
    if (b != KVT_NONE)
        flow.links[flow.n_links++] = b;
    ck_assert_int_eq(sim_links_start(&links, now, &flow, &id), 0);
    return id;
}

static void run(kvt_ns until)
{
    sim_evq_run(&events, until);
    ck_assert(sim_links_check(&links));
    ck_assert(sim_evq_check(&events));
}

/* ---- By hand ------------------------------------------------------------------------------------- */

START_TEST(a_flow_alone_takes_bytes_over_rate_rounded_up)
{
    static const struct {
        uint64_t bytes;
        double bps;
        kvt_ns ns;
    } cases[] = {{1, 1e9, 1},
                 {1, 1e10, 1},
                 {11, 1e10, 2},
                 {1000000000, 1e9, 1000000000},
                 {2097152, 12.5e9, 167773},
                 {1, 3, 333333334},
                 {UINT64_C(40000000000000), 25e9, UINT64_C(1600000000000)},
                 {7, 0.5, UINT64_C(14000000000)}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        set_up();
        uint32_t a = add(cases[i].bps), b = add(2 * cases[i].bps);
        start(5, cases[i].bytes, INFINITY, b, a, 0);
        run(KVT_NEVER);
        ck_assert_uint_eq(ended_ns[0], 5 + cases[i].ns);
        ck_assert_uint_eq(sim_links_stats(&links, events.now, a).bytes, cases[i].bytes);
        tear_down();
    }
}
END_TEST

/* A carries 10 B/s, B 4 B/s; flow 0 is on both, flow 1 on A, flow 2 on B.
 *
 *      0 s  B is full first: flows 0 and 2 get 2, flow 1 gets 8
 *      4 s  flow 2 (8 B) ends; flow 0 (12 B left) gets 4, flow 1 (48 B left) 6
 *      7 s  flow 0 ends; flow 1 (30 B left) gets 10
 *     10 s  flow 1 ends */
START_TEST(three_flows_by_hand)
{
    uint32_t a = add(10), b = add(4);
    sim_flow_id f0 = start(0, 20, INFINITY, a, b, 0), f1 = start(0, 80, INFINITY, a, KVT_NONE, 1);
    start(0, 8, INFINITY, b, KVT_NONE, 2);
    ck_assert_double_eq(sim_links_rate_bps(&links, f0), 2);
    ck_assert_double_eq(sim_links_rate_bps(&links, f1), 8);
    run(4 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[2], 4 * KVT_SECOND);
    ck_assert_double_eq(sim_links_rate_bps(&links, f0), 4);
    ck_assert_double_eq(sim_links_rate_bps(&links, f1), 6);
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[0], 7 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[1], 10 * KVT_SECOND);
    ck_assert_double_eq(sim_links_rate_bps(&links, f0), 0);
    struct sim_link_stats s = sim_links_stats(&links, 20 * KVT_SECOND, b);
    ck_assert_uint_eq(s.flows, 2);
    ck_assert_uint_eq(s.bytes, 28);
    ck_assert_double_eq_tol(s.busy_ns, 7e9, 1);
    ck_assert_double_eq_tol(sim_links_stats(&links, 20 * KVT_SECOND, a).busy_ns, 10e9, 1);
}
END_TEST

START_TEST(a_cap_leaves_the_rest_to_others)
{
    uint32_t a = add(10);
    start(0, 10, 2, a, KVT_NONE, 0);
    start(0, 40, INFINITY, a, KVT_NONE, 1);
    start(0, 2, 1, KVT_NONE, KVT_NONE, 2);
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[0], 5 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[1], 5 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[2], 2 * KVT_SECOND);
}
END_TEST

START_TEST(flows_without_work_or_bound_end_at_once_through_the_queue)
{
    uint32_t stalled = add(0), wide_open = add(INFINITY);
    start(7, 0, INFINITY, stalled, KVT_NONE, 0);
    start(7, 1000, INFINITY, wide_open, KVT_NONE, 1);
    start(7, 1000, INFINITY, KVT_NONE, KVT_NONE, 2);
    start(7, 1000, INFINITY, stalled, KVT_NONE, 3);
    ck_assert_uint_eq(n_ended, 0);
    run(KVT_NEVER);
    ck_assert_uint_eq(n_ended, 3);
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(order[i], i);
        ck_assert_uint_eq(ended_ns[i], 7);
    }
    ck_assert_uint_eq(links.n_flows, 1);
}
END_TEST

START_TEST(a_stalled_flow_goes_on_when_its_link_is_back)
{
    uint32_t a = add(10), b = add(100);
    start(0, 100, INFINITY, a, b, 0);
    run(4 * KVT_SECOND);
    ck_assert_int_eq(sim_links_set_capacity(&links, 4 * KVT_SECOND, a, 0), 0);
    run(9 * KVT_SECOND);
    ck_assert_int_eq(sim_links_set_capacity(&links, 9 * KVT_SECOND, a, 20), 0);
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[0], 12 * KVT_SECOND);
    ck_assert_double_eq_tol(sim_links_stats(&links, 12 * KVT_SECOND, a).busy_ns, 7e9, 1);
    start(12 * KVT_SECOND, 1000, INFINITY, a, KVT_NONE, 1);
    run(13 * KVT_SECOND);
    ck_assert_int_eq(sim_links_set_capacity(&links, 13 * KVT_SECOND, a, INFINITY), 0);
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[1], 13 * KVT_SECOND);
}
END_TEST

START_TEST(a_cancelled_flow_leaves_its_share_and_its_bytes)
{
    uint32_t a = add(10);
    sim_flow_id f0 = start(0, 1000, INFINITY, a, KVT_NONE, 0);
    start(0, 30, INFINITY, a, KVT_NONE, 1);
    run(KVT_SECOND * 5 / 2);
    ck_assert(sim_links_cancel(&links, KVT_SECOND * 5 / 2, f0));
    ck_assert(!sim_links_cancel(&links, KVT_SECOND * 5 / 2, f0));
    ck_assert(!sim_links_cancel(&links, KVT_SECOND * 5 / 2, (sim_flow_id){0}));
    start(KVT_SECOND * 5 / 2, 0, INFINITY, a, KVT_NONE, 2); /* takes the same place */
    ck_assert(!sim_links_cancel(&links, KVT_SECOND * 5 / 2, f0));
    run(KVT_NEVER);
    ck_assert_uint_eq(ended_ns[0], KVT_NEVER);
    ck_assert_uint_eq(ended_ns[1], 4250000000); /* 12.5 B, then 17.5 B at full speed */
    struct sim_link_stats s = sim_links_stats(&links, events.now, a);
    ck_assert_uint_eq(s.bytes, 30);
    ck_assert_uint_eq(s.cancelled, 1);
    ck_assert_uint_eq(s.cancelled_bytes, 12);
}
END_TEST

static sim_flow_id victim;

static void cancels_victim(void *self, uint64_t arg, kvt_ns at)
{
    on_flow(self, arg, at);
    ck_assert(sim_links_cancel(&links, at, victim));
    ck_assert(!sim_links_cancel(&links, at, victim));
}

START_TEST(a_flow_that_ended_at_this_instant_can_still_be_cancelled)
{
    uint32_t a = add(12);
    struct sim_flow flow = {
        .bytes = 12, .cap_bps = INFINITY, .n_links = 1, .links = {a}, .fn = cancels_victim};
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), 0);
    victim = start(0, 12, INFINITY, a, KVT_NONE, 1);
    start(0, 12, INFINITY, a, KVT_NONE, 2);
    run(KVT_NEVER);
    ck_assert_uint_eq(n_ended, 2);
    ck_assert_uint_eq(ended_ns[0], 3 * KVT_SECOND);
    ck_assert_uint_eq(ended_ns[1], KVT_NEVER);
    ck_assert_uint_eq(order[1], 2);
    struct sim_link_stats s = sim_links_stats(&links, events.now, a);
    ck_assert_uint_eq(s.flows, 2);
    ck_assert_uint_eq(s.bytes, 24);
    ck_assert_uint_eq(s.cancelled, 1);
    ck_assert_uint_eq(s.cancelled_bytes, 12);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    uint32_t a = add(10), b;
    ck_assert_int_eq(sim_links_add(&links, -1, &b), -EINVAL);
    ck_assert_int_eq(sim_links_add(&links, NAN, &b), -EINVAL);
    ck_assert_int_eq(sim_links_add(&links, 1e15, &b), -EINVAL);
    ck_assert_int_eq(sim_links_set_capacity(&links, 0, a, -1), -EINVAL);
    ck_assert_int_eq(sim_links_set_capacity(&links, 0, 1, 1), -EINVAL);
    struct sim_flow flow = {.bytes = 1, .cap_bps = 1, .n_links = 2, .links = {a, a}, .fn = on_flow};
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), -EINVAL);
    flow.links[1] = 1;
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), -EINVAL);
    flow.n_links = 9; /* wide, and yet it names none */
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), -EINVAL);
    flow.n_links = 1;
    flow.cap_bps = 0;
    ck_assert_int_eq(sim_links_start(&links, 0, &flow, NULL), -EINVAL);
    ck_assert_uint_eq(links.n_flows, 0);
    ck_assert_uint_eq(events.count, 0);
}
END_TEST

START_TEST(short_flows_beside_a_long_one_leave_no_events_behind)
{
    uint32_t a = add(1e9), b = add(1e9);
    start(0, UINT64_C(1) << 45, INFINITY, a, KVT_NONE, 0);
    for (uint64_t i = 0; i < 100000; i++) {
        start(events.now, 100 + i % 7, INFINITY, b, i % 3 ? a : KVT_NONE, 1);
        n_ended = 0;
        sim_evq_run(&events, events.now + 300);
        ck_assert_uint_le(events.count, 4);
    }
}
END_TEST

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

static void start_random(kvt_ns now, uint64_t bytes)
{
    struct naive_flow *n = &naive.flow[naive.n_flows];
    double cap_bps = dice_below(3) ? INFINITY : random_bps(false);
    struct sim_flow flow = {.bytes = bytes,
                            .cap_bps = cap_bps,
                            .fn = on_flow,
                            .arg = naive.n_flows};
    uint32_t want = (uint32_t)dice_below(naive.n_links < 4 ? naive.n_links + 1 : 5);
    while (flow.n_links < want) {
        uint32_t k = (uint32_t)dice_below(naive.n_links);
        bool twice = false;
        for (uint32_t i = 0; i < flow.n_links; i++)
            twice |= flow.links[i] == k;
        if (!twice)
            flow.links[flow.n_links++] = k;
    }
    *n = (struct naive_flow){.under_way = true,
                             .bytes = bytes,
                             .cap = units(cap_bps),
                             .left = (wide)bytes * 65536 * 1000000000,
                             .n_links = flow.n_links};
    memcpy(n->links, flow.links, sizeof(flow.links));
    /* Some take up most links at once, as a collective over all ports of an engine does. */
    if (naive.n_links > SIM_FLOW_LINKS && dice_below(6) == 0) {
        const uint32_t first = (uint32_t)dice_below(naive.n_links);
        n->n_links = flow.n_links =
            SIM_FLOW_LINKS + 1 + (uint32_t)dice_below(naive.n_links - SIM_FLOW_LINKS);
        for (uint32_t i = 0; i < n->n_links; i++)
            n->links[i] = (first + i) % naive.n_links;
        flow.wide = n->links;
    }
    ck_assert_int_eq(sim_links_start(&links, now, &flow, &n->id), 0);
    naive.n_flows++;
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

static void random_change(kvt_ns now)
{
    if (dice_below(5) == 0) {
        uint32_t k = (uint32_t)dice_below(naive.n_links);
        double bps = random_bps(true);
        naive.capacity[k] = units(bps);
        ck_assert_int_eq(sim_links_set_capacity(&links, now, k, bps), 0);
    } else if (dice_below(4) == 0 && naive.n_flows > 0) {
        struct naive_flow *n = &naive.flow[dice_below(naive.n_flows)];
        ck_assert(sim_links_cancel(&links, now, n->id) == n->under_way);
        n->under_way = false;
    } else if (naive.n_flows < FLOWS_MOST) {
        start_random(now, dice_below(20) ? dice_below(20000000) : 0);
    }
}

/* Both move from change to change; every flow has to end at the same nanosecond in both. */
START_TEST(random_timelines_end_like_the_naive_simulator)
{
    dice_seed(1000 + (uint64_t)_i);
    for (int round = 0; round < 12; round++) {
        set_up();
        random_links();
        memset(naive_ended_ns, 0xff, sizeof(naive_ended_ns));
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
            random_change(now);
        }
        for (uint32_t k = 0; k < naive.n_links; k++) { /* what is stalled gets moving */
            naive.capacity[k] = units(1e9);
            ck_assert_int_eq(sim_links_set_capacity(&links, now, k, 1e9), 0);
        }
        run(KVT_NEVER);
        naive_advance(KVT_NEVER - 1, true);
        for (uint32_t f = 0; f < naive.n_flows; f++)
            ck_assert_msg(ended_ns[f] == naive_ended_ns[f],
                          "seed %d, round %d, flow %u: %llu, %llu", _i, round, f,
                          (unsigned long long)ended_ns[f], (unsigned long long)naive_ended_ns[f]);
        ck_assert_uint_eq(links.n_flows, 0);
        tear_down();
    }
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

/* Memory runs out at every point in turn. A start that fails leaves nothing, and works once there is memory. */
START_TEST(without_memory_nothing_is_started)
{
    bool failed = true;
    for (uint64_t n = 0; failed; n++) {
        set_up();
        failed = false;
        grant(n);
        for (uint32_t k = 0; k < 20; k++) {
            uint32_t link;
            while (sim_links_add(&links, 1e9, &link) == -ENOMEM) {
                failed = true;
                memory.fail_at = 0;
            }
        }
        for (uint32_t i = 0; i < 150; i++) {
            struct sim_flow flow = {.bytes = 1000,
                                    .cap_bps = INFINITY,
                                    .n_links = 2,
                                    .links = {i % 20, (i * 7 + 1) % 20},
                                    .fn = on_flow,
                                    .arg = i};
            const uint32_t twelve[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
            if (flow.links[0] == flow.links[1])
                flow.n_links = 1;
            if (i % 10 == 0) {
                flow.n_links = 12;
                flow.wide = twelve;
            }
            uint32_t before = links.n_flows;
            while (sim_links_start(&links, i, &flow, NULL) == -ENOMEM) {
                ck_assert_uint_eq(links.n_flows, before);
                ck_assert(sim_links_check(&links));
                failed = true;
                memory.fail_at = 0;
            }
        }
        run(KVT_NEVER);
        ck_assert_uint_eq(n_ended, 150);
        ck_assert_int_eq(links.error, 0);
        tear_down();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link");
    TCase *by_hand = tcase_create("by hand"), *random = tcase_create("random");
    tcase_add_checked_fixture(by_hand, set_up, tear_down);
    tcase_add_test(by_hand, three_flows_by_hand);
    tcase_add_test(by_hand, a_cap_leaves_the_rest_to_others);
    tcase_add_test(by_hand, flows_without_work_or_bound_end_at_once_through_the_queue);
    tcase_add_test(by_hand, a_stalled_flow_goes_on_when_its_link_is_back);
    tcase_add_test(by_hand, a_cancelled_flow_leaves_its_share_and_its_bytes);
    tcase_add_test(by_hand, a_flow_that_ended_at_this_instant_can_still_be_cancelled);
    tcase_add_test(by_hand, nonsense_is_refused);
    tcase_add_test(by_hand, short_flows_beside_a_long_one_leave_no_events_behind);
    tcase_add_loop_test(by_hand, every_flow_ends_once_and_no_byte_is_lost, 0, 16);
    tcase_add_test(random, a_flow_alone_takes_bytes_over_rate_rounded_up);
    tcase_add_loop_test(random, random_rates_are_those_of_the_naive_solvers, 0, 8);
    tcase_add_loop_test(random, random_timelines_end_like_the_naive_simulator, 0, 12);
    tcase_add_test(random, without_memory_nothing_is_started);
    suite_add_tcase(suite, by_hand);
    suite_add_tcase(suite, random);
    return kvt_test_main(suite);
}
