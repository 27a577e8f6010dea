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
 * function of capacities, bounds and who is on which link, and of nothing else; what a change
 * cannot touch keeps its rates to the last bit.
 *
 * What a change can touch: the flows on links that changed and are or were tight; from a flow
 * its tight links; from a tight link its flows; and so on. A loose link never has the least
 * share: the least of its flows' bounds is not above it. So leaving it out changes nothing.
 *
 * Cost: the flows' tight links twice, and a heap of tight links.
 */
#include "link_impl.h"

#include <assert.h>

#define RATE_UNKNOWN (RATE_INFINITE - 1)

void link_meter(struct link *k, kvt_ns now)
{
    if (now == k->since_ns) /* as often as a link has flows, in one settling */
        return;
    if (k->capacity > 0 && k->capacity != RATE_INFINITE)
        k->stats.busy_ns += (double)(now - k->since_ns) * ((double)k->used / (double)k->capacity);
    k->since_ns = now;
}

/* ---- Who is touched ------------------------------------------------------------------------------ */

struct set {
    uint32_t mark;
    uint32_t flows, links;
};

static void add_flow(struct sim_links *l, struct set *set, uint32_t f)
{
    if (l->flow_mark[f] == set->mark)
        return;
    l->flow_mark[f] = set->mark;
    l->next_rate[f] = RATE_UNKNOWN;
    l->set_flow[set->flows++] = f;
}

static void add_flows_of(struct sim_links *l, struct set *set, const struct link *k)
{
    for (uint32_t i = 0; i < k->n_on; i++)
        add_flow(l, set, k->on[i].flow);
}

/* Tells apart what this settling has looked at. */
static uint32_t new_mark(struct sim_links *l)
{
    if (++l->mark == 0) {
        for (uint32_t f = 0; f < l->flows_made; f++)
            l->flow_mark[f] = 0;
        for (uint32_t k = 0; k < l->n_links; k++)
            l->link[k].set_mark = 0;
        l->mark = 1;
    }
    return l->mark;
}

/* The flows whose bounds changed, and those on links that changed and are or were tight. */
static void add_changed(struct sim_links *l, struct set *set)
{
    for (uint32_t i = 0; i < l->n_dirty; i++) {
        struct link *k = &l->link[l->dirty[i]];
        const bool was_tight = k->tight;
        k->dirty = false;
        k->tight = k->capacity != RATE_INFINITE && k->demand > k->capacity;
        if (was_tight || k->tight)
            add_flows_of(l, set, k);
    }
    l->n_dirty = 0;
    for (uint32_t i = 0; i < l->n_touched; i++) {
        l->flow[l->touched[i]].touched_at = KVT_NONE;
        add_flow(l, set, l->touched[i]);
    }
    l->n_touched = 0;
}

/* Adds a link unless it is loose or was added. Returns whether it did. */
static bool add_link(struct sim_links *l, struct set *set, uint32_t link)
{
    struct link *k = &l->link[link];
    if (!k->tight || k->set_mark == set->mark)
        return false;
    k->set_mark = set->mark;
    k->left = k->capacity;
    k->open = k->n_on;
    l->share[set->links++] = (struct link_share){k->capacity / k->n_on, link};
    return true;
}

static void take_all(struct sim_links *l, struct set *set)
{
    set->flows = l->n_flows;
    for (uint32_t i = 0; i < l->n_flows; i++) {
        l->set_flow[i] = l->heap[i].flow;
        l->next_rate[l->heap[i].flow] = RATE_UNKNOWN;
    }
    for (uint32_t k = 0; k < l->n_links; k++)
        add_link(l, set, k);
}

/* Once half of all flows are found, it is quicker to take them all, and changes nothing. After
 * four times in a row they are looked for only each fourth time. */
static struct set gather(struct sim_links *l)
{
    struct set set = {.mark = new_mark(l)};
    add_changed(l, &set);
    const bool look = l->most_taken < 4 || l->settles % 4 == 0;
    for (uint32_t i = 0; look && i < set.flows && 2 * set.flows <= l->n_flows; i++) {
        const struct flow *flow = &l->flow[l->set_flow[i]];
        const uint32_t *links = flow_links(flow);
        for (uint32_t j = 0; j < flow->n_links; j++)
            if (add_link(l, &set, links[j]))
                add_flows_of(l, &set, &l->link[links[j]]);
    }
    const bool most = 2 * set.flows > l->n_flows;
    if (look)
        l->most_taken = most ? l->most_taken + (l->most_taken < 4) : 0;
    if (!look || most)
        take_all(l, &set);
    return set;
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

static void set_rate(struct sim_links *l, uint32_t f, kvt_ns now, uint64_t rate)
{
    struct flow *flow = &l->flow[f];
    const uint32_t *links = flow_links(flow);
    flow_progress(flow, now);
    for (uint32_t i = 0; i < flow->n_links; i++) {
        struct link *k = &l->link[links[i]];
        if (k->capacity == RATE_INFINITE)
            continue;
        link_meter(k, now);
        k->used += rate - flow->rate;
    }
    flow->rate = rate;
    link_refile(l, f, end_of(flow, now));
}

void link_settle(struct sim_links *l, kvt_ns now)
{
    if (l->n_dirty == 0 && l->n_touched == 0)
        return;
    const struct set set = gather(l);
    fill(l, &set);
    for (uint32_t i = 0; i < set.flows; i++) {
        const uint32_t f = l->set_flow[i];
        const uint64_t next = l->next_rate[f];
        const uint64_t rate = next == RATE_UNKNOWN ? l->flow[f].bound : next;
        if (rate != l->flow[f].rate)
            set_rate(l, f, now, rate);
    }
    l->settles++;
}
