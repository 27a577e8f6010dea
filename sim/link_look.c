/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * link_look.c - what links have seen, and whether the invariants of link_impl.h hold. Nothing here changes
 * anything but that rates are settled before one is told.
 */
#include "link_impl.h"

#include <assert.h>
#include <math.h>

link_work link_moved(const struct sim_links *l, const struct link *k, kvt_ns now)
{
    link_work moved = k->moved;
    for (uint32_t i = 0; i < k->n_on; i++)
        moved += flow_moved(&l->flow[k->on[i].flow], now);
    return moved;
}

double link_busy_ns(const struct sim_links *l, const struct link *k, kvt_ns now)
{
    double busy_ns = k->stats.busy_ns;
    if (k->capacity > 0 && k->capacity != RATE_INFINITE)
        busy_ns += (double)(link_moved(l, k, now) - k->moved_before) / (double)k->capacity;
    return busy_ns;
}

struct sim_link_stats sim_links_stats(const struct sim_links *l, kvt_ns now, uint32_t link)
{
    assert(link < l->n_links && now >= l->now);
    struct sim_link_stats stats = l->link[link].stats;
    stats.busy_ns = link_busy_ns(l, &l->link[link], now);
    return stats;
}

double sim_links_rate_bps(struct sim_links *l, sim_flow_id id)
{
    link_settle(l, l->now);
    const struct flow *flow = link_flow(l, id);
    if (!flow || flow->state == FLOW_DUE)
        return 0;
    return flow->rate == RATE_INFINITE ? INFINITY : (double)flow->rate / RATE_UNIT;
}

uint32_t sim_links_active(const struct sim_links *l, uint32_t link)
{
    return l->link[link].n_on;
}

/* L1, L5 */
static void check_link(const struct sim_links *l, uint32_t at)
{
    const struct link *k = &l->link[at];
    link_work demand = 0;
    uint64_t used = 0;
    assert(k->n_on == k->stats.active && k->n_on <= k->on_room);
    for (uint32_t i = 0; i < k->n_on; i++) {
        struct flow *flow = &l->flow[k->on[i].flow];
        assert(flow->state == FLOW_UNDER_WAY);
        assert(flow_links(flow)[k->on[i].nth] == at && flow_at(flow)[k->on[i].nth] == i);
        demand += flow->bound;
        used += flow->rate;
        assert(flow->bound >= k->least_bound); /* L6 */
    }
    (void)used;
    (void)demand;
    assert(demand == k->demand);
    assert(used == k->used);
    if (l->n_dirty == 0 && k->capacity != RATE_INFINITE)
        assert(used <= k->capacity && k->may_hold == (demand > k->capacity) &&
               k->tight == link_is_tight(k));
}

/* L2: whether this link is why the flow is not faster. */
static bool holds_back(const struct sim_links *l, const struct link *k, uint64_t rate)
{
    uint64_t as_fast = 0;
    for (uint32_t i = 0; i < k->n_on; i++) {
        if (l->flow[k->on[i].flow].rate > rate)
            return false;
        as_fast += l->flow[k->on[i].flow].rate == rate;
    }
    return k->tight && k->capacity - k->used < as_fast;
}

bool sim_links_check(const struct sim_links *l)
{
    for (uint32_t i = 0; i < l->n_links; i++)
        check_link(l, i);
    for (uint32_t i = 0; i < l->n_flows; i++) {
        const struct flow *flow = &l->flow[l->heap[i].flow];
        assert(flow->place == i && flow->serial == l->heap[i].serial); /* L3 */
        assert(i == 0 || link_ends_before(&l->heap[(i - 1) / 2], &l->heap[i]));
        bool held = l->n_dirty + l->n_touched > 0 || flow->rate == flow->bound;
        for (uint32_t j = 0; !held && j < flow->n_links; j++)
            held = holds_back(l, &l->link[flow_links(flow)[j]], flow->rate);
        assert(held);
    }
    assert(l->n_flows == 0 || l->heap[0].end_ns == KVT_NEVER || /* L4 */
           (l->n_armed > 0 && l->armed_ns[l->n_armed - 1] <= l->heap[0].end_ns));
    return true;
}
