/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * link_fill.c - max-min fair rates by filling, for the flows that a change can touch.
 *
 * Filling (Bertsekas and Gallager, Data Networks, 2nd ed., 1992, section 6.5.2): all flows grow
 * at one pace; when a link is full, its flows stay as they are and the rest grows on. Here from
 * link to link instead of bit by bit: the link with the least share, that is what is left of its
 * capacity over its flows without a rate, is the next to be full, and those flows get that
 * share. Shares of the other links do not shrink by that, so a heap whose keys may be out of
 * date on the low side finds the next one.
 *
 *      share of link k = (capacity - rates of its flows that have one) / flows that have none, rounded down
 *
 * A flow whose bound is not above the share at hand gets its bound first, as if it had a link of
 * its own. Among equal shares the link with the lower number goes first. So the rates are a
 * function of capacities, bounds and who is on which link, and of nothing else.
 *
 * They are found anew only where a change can be felt. Three facts, each exact to the last bit, say where that is. Say
 * that n flows are on a link.
 *
 *   Slack    A link that gives its flows a share leaves less than one unit for each, so less than n units in all. If a
 *            link has n units or more to spare with the rates found, it gave nobody a share, and they are what filling
 *            finds without it. And the other way round: if filling finds rates without a link, and they leave it n units
 *            or more, then its share was above the rate of each of its flows whenever one was given (what is left is
 *            the sum of the rates still to come, none of them lower, and n units), and it changes nothing. So only tight
 *            links (link_impl.h) need be filled: a node whose process is half idle does not tie two engines together,
 *            and a transfer from 32 nodes is 32 flows on one link, the engine's.
 *   Closure  Flows that no chain of tight links connects do not feel each other.
 *   Level    Filling gives rates from low to high. A flow that leaves was without one until its rate's turn came, and
 *            no link of its was full by then; without it they are full later still. So lower rates stay as they are. A
 *            flow that starts is felt when one of its links is full; arrival_level() finds a level below which none is.
 *
 * So a settling takes the flows whose bounds are new and those on tight links that changed, follows tight links from
 * flow to flow, leaving out rates below the level, and fills. If a link that was left out has too little to spare then,
 * it is taken in, with its flows, and filling starts over: each time more links, so that ends.
 *
 * Cost: flows found, times their links; a heap of the links filled.
 */
#include "link_impl.h"

#include <assert.h>

#define RATE_UNKNOWN (RATE_INFINITE - 1)

/* ---- Who is touched ------------------------------------------------------------------------------ */

struct set {
    uint32_t mark;
    uint32_t flows, links, looked;
    uint32_t closed; /* so many of the flows have had their tight links added */
    uint64_t level;  /* flows with lower rates keep them */
};

/* Tells apart what this settling has looked at. */
static uint32_t new_mark(struct sim_links *l)
{
    if (++l->mark == 0) {
        for (uint32_t f = 0; f < l->flows_made; f++)
            l->flow_mark[f] = 0;
        for (uint32_t k = 0; k < l->n_links; k++)
            l->link[k].look_mark = 0;
        l->mark = 1;
    }
    return l->mark;
}

static void add_flow(struct sim_links *l, struct set *set, uint32_t f)
{
    if (l->flow_mark[f] == set->mark)
        return;
    l->flow_mark[f] = set->mark;
    l->next_rate[f] = RATE_UNKNOWN;
    l->set_flow[set->flows++] = f;
}

static struct link *look_at(struct sim_links *l, struct set *set, uint32_t link)
{
    struct link *k = &l->link[link];
    if (k->look_mark != set->mark) {
        k->look_mark = set->mark;
        k->filled = false;
        l->looked[set->looked++] = link;
    }
    return k;
}

static bool was_added(const struct set *set, const struct link *k)
{
    return k->look_mark == set->mark && k->filled;
}

/* Adds a link that was not, and those of its flows whose rates may change. */
static void add_link(struct sim_links *l, struct set *set, uint32_t link)
{
    struct link *k = look_at(l, set, link);
    struct link_full full = {k->capacity, link, k->n_on};
    k->filled = true;
    for (uint32_t i = 0; i < k->n_on; i++) {
        const uint32_t f = k->on[i].flow;
        if (l->flow_mark[f] == set->mark)
            continue;
        if (l->flow[f].rate < set->level) {
            full.left -= l->flow[f].rate;
            full.open--;
        } else {
            add_flow(l, set, f);
        }
    }
    if (full.open > 0)
        l->full[set->links++] = full;
}

/* Below this level the new flows of a link do not make themselves felt on it. The highest such level would take a few
 * more passes. */
static uint64_t arrival_level(const struct sim_links *l, const struct link *k)
{
    if (k->capacity <= k->n_on)
        return 0;
    uint64_t left = k->capacity - k->n_on, level = left / k->n_on;
    uint32_t open = k->n_on;
    for (uint32_t i = 0; i < k->n_on; i++) {
        const struct flow *flow = &l->flow[k->on[i].flow];
        const uint64_t rate = flow->touched_at == KVT_NONE ? flow->rate : flow->bound;
        if (rate < level) {
            left -= rate;
            open--;
        }
    }
    return open == 0 ? RATE_INFINITE : left / open;
}

/* The flows whose bounds changed, and those on links that changed and were tight. */
static void add_changed(struct sim_links *l, struct set *set)
{
    for (uint32_t i = 0; i < l->n_dirty; i++) {
        struct link *k = look_at(l, set, l->dirty[i]);
        k->may_hold = k->capacity != RATE_INFINITE && k->demand > k->capacity;
        if (k->arrived && k->may_hold && set->level > 0) {
            const uint64_t level = arrival_level(l, k);
            if (level < set->level)
                set->level = level;
        }
        k->dirty = k->arrived = false;
        /* Infinite now: then its flows are all in touched. So many bounds: used might not hold their sum. */
        k->tight = k->capacity != RATE_INFINITE && (k->tight || k->demand >> 64);
    }
    for (uint32_t i = 0; i < l->n_touched; i++) {
        l->flow[l->touched[i]].touched_at = KVT_NONE;
        add_flow(l, set, l->touched[i]);
    }
    for (uint32_t i = 0; i < l->n_dirty; i++)
        if (l->link[l->dirty[i]].tight)
            add_link(l, set, l->dirty[i]);
    l->n_dirty = l->n_touched = 0;
}

/* The tight links of those flows, the flows on them, and so on. */
static void close_over(struct sim_links *l, struct set *set)
{
    for (; set->closed < set->flows; set->closed++) {
        const struct flow *flow = &l->flow[l->set_flow[set->closed]];
        const uint32_t *links = flow_links(flow);
        for (uint32_t j = 0; j < flow->n_links; j++)
            if (l->link[links[j]].tight && !was_added(set, &l->link[links[j]]))
                add_link(l, set, links[j]);
    }
}

/* ---- Filling ------------------------------------------------------------------------------------- */

static bool share_before(const struct link_share *a, const struct link_share *b)
{
    return a->share < b->share || (a->share == b->share && a->link < b->link);
}

/* Puts s in at node i of a heap of n, from where it can only move down. */
static void sift_share(struct link_share *heap, uint32_t n, uint32_t i, struct link_share s)
{
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && share_before(&heap[child + 1], &heap[child]))
            child++;
        if (!share_before(&heap[child], &s))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = s;
}

static void give_rate(struct sim_links *l, uint32_t f, uint64_t rate)
{
    const struct flow *flow = &l->flow[f];
    const uint32_t *links = flow_links(flow);
    l->next_rate[f] = rate;
    for (uint32_t i = 0; i < flow->n_links; i++) {
        struct link *k = &l->link[links[i]];
        k->left -= rate; /* of loose links neither is looked at */
        k->open--;
    }
}

/* Gives its bound to every flow of k that is not above the share. Returns whether there was one. */
static bool give_bounds(struct sim_links *l, const struct link *k, uint64_t share)
{
    bool any = false;
    if (share < k->least_bound)
        return false;
    for (uint32_t i = 0; i < k->n_on; i++) {
        const uint32_t f = k->on[i].flow;
        if (l->next_rate[f] == RATE_UNKNOWN && l->flow[f].bound <= share) {
            give_rate(l, f, l->flow[f].bound);
            any = true;
        }
    }
    return any;
}

static void fill(struct sim_links *l, const struct set *set)
{
    struct link_share *heap = l->share;
    uint32_t n = set->links;
    for (uint32_t i = 0; i < n; i++) {
        const struct link_full full = l->full[i];
        l->link[full.link].left = full.left;
        l->link[full.link].open = full.open;
        heap[i] = (struct link_share){full.left / full.open, full.link};
    }
    for (uint32_t i = n / 2; i-- > 0;)
        sift_share(heap, n, i, heap[i]);
    while (n > 0) {
        struct link_share s = heap[0];
        const struct link *k = &l->link[s.link];
        if (k->open > 0) {
            uint64_t share = k->left / k->open;
            assert(share >= s.share);
            if (share > s.share || give_bounds(l, k, share)) {
                /* It may have moved back. Without open flows the next look drops it. */
                s.share = k->open > 0 ? k->left / k->open : share;
                sift_share(heap, n, 0, s);
                continue;
            }
            for (uint32_t i = 0; k->open > 0; i++)
                if (l->next_rate[k->on[i].flow] == RATE_UNKNOWN)
                    give_rate(l, k->on[i].flow, share);
        }
        n--;
        if (n > 0)
            sift_share(heap, n, 0, heap[n]);
    }
}

/* ---- Taking effect ------------------------------------------------------------------------------- */

static void set_rate(struct sim_links *l, struct set *set, struct flow *flow, kvt_ns now,
                     uint64_t rate)
{
    const uint32_t *links = flow_links(flow);
    flow_progress(flow, now);
    for (uint32_t i = 0; i < flow->n_links; i++) {
        struct link *k = &l->link[links[i]];
        k->used += rate - flow->rate;
        if (k->may_hold)
            look_at(l, set, links[i]);
    }
    flow->rate = rate;
    flow->end_is_old = true;
}

static void set_rates(struct sim_links *l, struct set *set, kvt_ns now)
{
    for (uint32_t i = 0; i < set->flows; i++) {
        const uint32_t f = l->set_flow[i];
        struct flow *flow = &l->flow[f];
        if (l->next_rate[f] == RATE_UNKNOWN)
            l->next_rate[f] = flow->bound;
        if (l->next_rate[f] != flow->rate)
            set_rate(l, set, flow, now, l->next_rate[f]);
    }
}

/* Adds the links that are too full with these rates. Returns whether there are any: then filling starts over. */
static bool add_overfull(struct sim_links *l, struct set *set)
{
    const uint32_t before = set->links;
    for (uint32_t i = 0; i < set->looked; i++) {
        const struct link *k = &l->link[l->looked[i]];
        if (k->may_hold && !k->filled && k->used + k->n_on > k->capacity)
            add_link(l, set, l->looked[i]);
    }
    if (set->links == before)
        return false;
    for (uint32_t i = 0; i < set->flows; i++)
        l->next_rate[l->set_flow[i]] = RATE_UNKNOWN;
    return true;
}

static kvt_ns end_of(const struct flow *flow, kvt_ns now)
{
    if (flow->left == 0 || flow->rate == RATE_INFINITE)
        return now;
    if (flow->rate == 0)
        return KVT_NEVER;
    link_work ns = flow->left / flow->rate;
    ns += ns * flow->rate < flow->left;
    return ns > KVT_NEVER - now ? KVT_NEVER : now + (kvt_ns)ns;
}

void link_settle(struct sim_links *l, kvt_ns now)
{
    if (l->n_dirty == 0 && l->n_touched == 0)
        return;
    struct set set = {.mark = new_mark(l), .level = l->level};
    add_changed(l, &set);
    do {
        close_over(l, &set);
        fill(l, &set);
        set_rates(l, &set, now);
    } while (add_overfull(l, &set));
    for (uint32_t i = 0; i < set.flows; i++) {
        struct flow *flow = &l->flow[l->set_flow[i]];
        if (flow->end_is_old)
            link_refile(l, l->set_flow[i], end_of(flow, now));
        flow->end_is_old = false;
    }
    for (uint32_t i = 0; i < set.looked; i++) {
        struct link *k = &l->link[l->looked[i]];
        k->tight = link_is_tight(k);
    }
    l->level = RATE_INFINITE;
    l->settles++;
}
