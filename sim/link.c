/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * link.c - see link.h.
 *
 * A change (start, end, capacity) touches only the flows that are connected to it through shared resources. That
 * component is collected by walking flows and resources alternately; its flows are brought up to date and filled anew:
 *
 *      repeat   level = the least of  (left capacity / open flows) over resources, and caps of open flows
 *               every open flow that is bound by that level gets it as its rate, and is frozen
 *               frozen flows take their rate from what is left on their resources
 *      until    no flow is open
 *
 * Each round freezes at least one flow. Flows are kept in order of their number within a component, so that sums are
 * formed in the same order in every run.
 *
 * A heap holds the flows by end time; one event in the queue stands for its top. An event finds its generation old if
 * the top has changed since.
 */
#include "link.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOT_IN_HEAP UINT32_MAX

struct sim_flow {
    double left_b, rate_bps, cap_bps;
    uint64_t bytes, mark;
    kvt_ns updated_ns, end_ns;
    uint32_t resources[SIM_FLOW_RESOURCES];
    uint32_t slot[SIM_FLOW_RESOURCES]; /* its place in each resource's list */
    uint32_t n, heap_at, next_free;
    bool active, open;
    sim_flow_fn *fn;
    void *self;
    uint64_t arg;
};

void sim_links_init(struct sim_links *l, struct sim_evq *events)
{
    memset(l, 0, sizeof *l);
    l->events = events;
    l->free_flow = KVT_NONE;
    l->armed_ns = KVT_NEVER;
}

void sim_links_release(struct sim_links *l)
{
    for (uint32_t r = 0; r < l->n_resources; r++)
        free(l->resources[r].flows);
    free(l->resources);
    free(l->flows);
    free(l->heap);
    free(l->work_flows);
    free(l->work_resources);
    memset(l, 0, sizeof *l);
}

int64_t sim_links_add(struct sim_links *l, double capacity_bps)
{
    assert(capacity_bps >= 0);
    if (l->n_resources == l->room_resources) {
        const uint32_t room = l->room_resources ? l->room_resources * 2 : 16;
        struct sim_resource *resources = realloc(l->resources, room * sizeof *resources);
        if (!resources)
            return -ENOMEM;
        l->resources = resources;
        uint32_t *work = realloc(l->work_resources, room * sizeof *work);
        if (!work)
            return -ENOMEM;
        l->work_resources = work;
        l->room_resources = room;
    }
    l->resources[l->n_resources] = (struct sim_resource){.capacity_bps = capacity_bps};
    return l->n_resources++;
}

/* ---- Heap of flows by end ------------------------------------------------------------------------ */

static bool ends_before(const struct sim_links *l, uint32_t a, uint32_t b)
{
    const struct sim_flow *fa = &l->flows[a], *fb = &l->flows[b];
    return fa->end_ns < fb->end_ns || (fa->end_ns == fb->end_ns && a < b);
}

static void heap_put(struct sim_links *l, uint32_t at, uint32_t flow)
{
    l->heap[at] = flow;
    l->flows[flow].heap_at = at;
}

static void heap_settle(struct sim_links *l, uint32_t at, uint32_t flow)
{
    while (at && ends_before(l, flow, l->heap[(at - 1) / 2])) {
        heap_put(l, at, l->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < l->n_heap && ends_before(l, l->heap[child + 1], l->heap[child]))
            child++;
        if (child >= l->n_heap || !ends_before(l, l->heap[child], flow))
            break;
        heap_put(l, at, l->heap[child]);
        at = child;
    }
    heap_put(l, at, flow);
}

static void heap_remove(struct sim_links *l, uint32_t flow)
{
    const uint32_t at = l->flows[flow].heap_at;
    if (at == NOT_IN_HEAP)
        return;
    l->flows[flow].heap_at = NOT_IN_HEAP;
    const uint32_t last = l->heap[--l->n_heap];
    if (last != flow)
        heap_settle(l, at, last);
}

/* ---- Rates --------------------------------------------------------------------------------------- */

/* Accounts for what flowed since the last change. */
static void update_resource(struct sim_resource *r, kvt_ns now)
{
    r->used_b += r->rate_bps * (double)(now - r->changed_ns) / 1e9;
    r->changed_ns = now;
}

static void update_flow(struct sim_flow *f, kvt_ns now)
{
    f->left_b -= f->rate_bps * (double)(now - f->updated_ns) / 1e9;
    if (f->left_b < 0)
        f->left_b = 0;
    f->updated_ns = now;
}

/* (F3): rounded up, and never before now. */
static kvt_ns end_of(const struct sim_flow *f, kvt_ns now)
{
    if (f->left_b <= 0)
        return now;
    if (f->rate_bps <= 0)
        return KVT_NEVER;
    const double ns = ceil(f->left_b * 1e9 / f->rate_bps);
    return ns >= 9e18 ? KVT_NEVER : kvt_ns_add(now, (kvt_ns)ns);
}

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Collects everything connected to the marked beginnings in work_flows[0, *nf) and work_resources[0, *nr). */
static void collect(struct sim_links *l, uint32_t *nf, uint32_t *nr)
{
    uint32_t f_done = 0, r_done = 0;
    while (f_done < *nf || r_done < *nr) {
        if (f_done < *nf) {
            const struct sim_flow *f = &l->flows[l->work_flows[f_done++]];
            for (uint32_t i = 0; i < f->n; i++) {
                struct sim_resource *r = &l->resources[f->resources[i]];
                if (r->mark != l->mark) {
                    r->mark = l->mark;
                    l->work_resources[(*nr)++] = f->resources[i];
                }
            }
            continue;
        }
        const struct sim_resource *r = &l->resources[l->work_resources[r_done++]];
        for (uint32_t i = 0; i < r->n_flows; i++) {
            struct sim_flow *f = &l->flows[r->flows[i]];
            if (f->mark != l->mark) {
                f->mark = l->mark;
                l->work_flows[(*nf)++] = r->flows[i];
            }
        }
    }
    qsort(l->work_flows, *nf, sizeof *l->work_flows, by_number);
}

static double lowest_level(const struct sim_links *l, const uint32_t *flows, uint32_t nf,
                           uint32_t nr)
{
    double level = INFINITY;
    for (uint32_t i = 0; i < nr; i++) {
        const struct sim_resource *r = &l->resources[l->work_resources[i]];
        if (r->open && r->left_bps / r->open < level)
            level = r->left_bps / r->open;
    }
    for (uint32_t i = 0; i < nf; i++)
        if (l->flows[flows[i]].cap_bps < level)
            level = l->flows[flows[i]].cap_bps;
    return level > 0 ? level : 0;
}

/* True when the flow can get no more than `level`: its cap, or a resource with no more to give. */
static bool bound_by(const struct sim_links *l, const struct sim_flow *f, double level)
{
    const double slack = level * (1 + 1e-12);
    if (f->cap_bps <= slack)
        return true;
    for (uint32_t i = 0; i < f->n; i++) {
        const struct sim_resource *r = &l->resources[f->resources[i]];
        if (r->left_bps <= slack * r->open)
            return true;
    }
    return false;
}

/* Progressive filling of the collected component. */
static void fill(struct sim_links *l, uint32_t nf, uint32_t nr)
{
    uint32_t open = nf;
    for (uint32_t i = 0; i < nr; i++) {
        struct sim_resource *r = &l->resources[l->work_resources[i]];
        r->left_bps = r->capacity_bps;
        r->open = r->n_flows;
        r->rate_bps = 0;
    }
    for (uint32_t i = 0; i < nf; i++)
        l->flows[l->work_flows[i]].open = true;
    while (open) {
        const double level = lowest_level(l, l->work_flows, open, nr);
        /* First see who is bound, then take: taking while looking would let early flows bind later ones. */
        uint32_t bound = 0;
        for (uint32_t i = 0; i < open; i++) {
            struct sim_flow *f = &l->flows[l->work_flows[i]];
            f->open = !bound_by(l, f, level);
            bound += !f->open;
        }
        assert(bound > 0);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < open; i++) {
            const uint32_t id = l->work_flows[i];
            struct sim_flow *f = &l->flows[id];
            if (f->open) {
                /* frozen ones change places with open ones, so that the array still holds all */
                l->work_flows[i] = l->work_flows[kept];
                l->work_flows[kept++] = id;
                continue;
            }
            f->rate_bps = level;
            for (uint32_t k = 0; k < f->n; k++) {
                struct sim_resource *r = &l->resources[f->resources[k]];
                r->left_bps = r->left_bps > level ? r->left_bps - level : 0;
                r->open--;
                r->rate_bps += level;
            }
        }
        open = kept;
    }
}

static void on_end(void *self, uint64_t arg, kvt_ns now);

/* Keeps one event in the queue for the flow that ends first. */
static void arm(struct sim_links *l)
{
    const kvt_ns at = l->n_heap ? l->flows[l->heap[0]].end_ns : KVT_NEVER;
    if (at == l->armed_ns)
        return;
    l->armed_ns = at;
    l->generation++;
    if (at == KVT_NEVER)
        return;
    const int error = sim_evq_push(l->events, at, on_end, l, l->generation);
    if (error)
        l->broken = error;
}

/* New rates for everything connected to the nf flows and nr resources that the caller has put into the work lists and
 * marked. */
static void refill(struct sim_links *l, kvt_ns now, uint32_t nf, uint32_t nr)
{
    collect(l, &nf, &nr);
    for (uint32_t i = 0; i < nr; i++)
        update_resource(&l->resources[l->work_resources[i]], now);
    for (uint32_t i = 0; i < nf; i++)
        update_flow(&l->flows[l->work_flows[i]], now);
    fill(l, nf, nr);
    for (uint32_t i = 0; i < nf; i++) {
        const uint32_t id = l->work_flows[i];
        struct sim_flow *f = &l->flows[id];
        f->end_ns = end_of(f, now);
        if (f->heap_at == NOT_IN_HEAP)
            f->heap_at = l->n_heap++;
        heap_settle(l, f->heap_at, id);
    }
    arm(l);
}

/* ---- Starting and ending -------------------------------------------------------------------------- */

static int grow_flows(struct sim_links *l)
{
    const uint32_t room = l->room_flows ? l->room_flows * 2 : 64;
    struct sim_flow *flows = realloc(l->flows, room * sizeof *flows);
    if (!flows)
        return -ENOMEM;
    l->flows = flows;
    uint32_t *heap = realloc(l->heap, room * sizeof *heap);
    if (!heap)
        return -ENOMEM;
    l->heap = heap;
    uint32_t *work = realloc(l->work_flows, room * sizeof *work);
    if (!work)
        return -ENOMEM;
    l->work_flows = work;
    l->room_flows = room;
    return 0;
}

static int room_on_resources(struct sim_links *l, const uint32_t *resources, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct sim_resource *r = &l->resources[resources[i]];
        if (r->n_flows < r->room_flows)
            continue;
        const uint32_t room = r->room_flows ? r->room_flows * 2 : 8;
        uint32_t *flows = realloc(r->flows, room * sizeof *flows);
        if (!flows)
            return -ENOMEM;
        r->flows = flows;
        r->room_flows = room;
    }
    return 0;
}

static bool valid(const struct sim_links *l, double cap_bps, const uint32_t *resources, uint32_t n)
{
    if (n > SIM_FLOW_RESOURCES || !(cap_bps > 0) || (!n && isinf(cap_bps)))
        return false;
    for (uint32_t i = 0; i < n; i++) {
        if (resources[i] >= l->n_resources)
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (resources[k] == resources[i])
                return false;
    }
    return true;
}

static void attach(struct sim_links *l, uint32_t id, kvt_ns now)
{
    struct sim_flow *f = &l->flows[id];
    for (uint32_t i = 0; i < f->n; i++) {
        struct sim_resource *r = &l->resources[f->resources[i]];
        if (!r->n_flows)
            r->busy_since_ns = now;
        f->slot[i] = r->n_flows;
        r->flows[r->n_flows++] = id;
    }
}

static void detach(struct sim_links *l, uint32_t id, kvt_ns now)
{
    const struct sim_flow *f = &l->flows[id];
    for (uint32_t i = 0; i < f->n; i++) {
        struct sim_resource *r = &l->resources[f->resources[i]];
        const uint32_t moved = r->flows[--r->n_flows];
        r->flows[f->slot[i]] = moved;
        struct sim_flow *m = &l->flows[moved];
        for (uint32_t k = 0; k < m->n; k++)
            if (m->resources[k] == f->resources[i])
                m->slot[k] = f->slot[i];
        if (!r->n_flows)
            r->busy_ns += now - r->busy_since_ns;
    }
}

int64_t sim_flow_start(struct sim_links *l, kvt_ns now, uint64_t bytes, double cap_bps,
                       const uint32_t *resources, uint32_t n, sim_flow_fn *fn, void *self,
                       uint64_t arg)
{
    if (!valid(l, cap_bps, resources, n))
        return -EINVAL;
    if ((l->free_flow == KVT_NONE && l->n_flows == l->room_flows && grow_flows(l)) ||
        room_on_resources(l, resources, n))
        return -ENOMEM;
    uint32_t id = l->free_flow;
    if (id != KVT_NONE)
        l->free_flow = l->flows[id].next_free;
    else
        id = l->n_flows++;
    struct sim_flow *f = &l->flows[id];
    *f = (struct sim_flow){.left_b = (double)bytes,
                           .cap_bps = cap_bps,
                           .bytes = bytes,
                           .updated_ns = now,
                           .n = n,
                           .heap_at = NOT_IN_HEAP,
                           .active = true,
                           .fn = fn,
                           .self = self,
                           .arg = arg};
    for (uint32_t i = 0; i < n; i++)
        f->resources[i] = resources[i];
    attach(l, id, now);
    l->active++;
    l->starts++;
    l->mark++;
    f->mark = l->mark;
    l->work_flows[0] = id;
    refill(l, now, 1, 0);
    return id;
}

/* Takes a flow out and shares what it had among those it was connected to. */
static void leave(struct sim_links *l, uint32_t id, kvt_ns now)
{
    struct sim_flow *f = &l->flows[id];
    detach(l, id, now);
    heap_remove(l, id);
    f->active = false;
    f->next_free = l->free_flow;
    l->free_flow = id;
    l->active--;
    l->mark++;
    uint32_t nr = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        l->resources[f->resources[i]].mark = l->mark;
        l->work_resources[nr++] = f->resources[i];
    }
    refill(l, now, 0, nr);
}

static void on_end(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_links *l = self;
    if (arg != l->generation)
        return;
    l->armed_ns = KVT_NEVER;
    /* One flow an event: its callback may start others. Those that end at the same time follow at once. */
    const uint32_t id = l->heap[0];
    const struct sim_flow ended = l->flows[id];
    for (uint32_t i = 0; i < ended.n; i++)
        l->resources[ended.resources[i]].bytes += ended.bytes;
    leave(l, id, now);
    ended.fn(ended.self, ended.arg, now);
}

void sim_flow_cancel(struct sim_links *l, kvt_ns now, uint32_t flow)
{
    assert(flow < l->n_flows && l->flows[flow].active);
    leave(l, flow, now);
}

void sim_link_set_capacity(struct sim_links *l, kvt_ns now, uint32_t resource, double capacity_bps)
{
    assert(resource < l->n_resources && capacity_bps >= 0);
    struct sim_resource *r = &l->resources[resource];
    l->mark++;
    r->mark = l->mark;
    update_resource(r, now); /* at the old rates */
    r->capacity_bps = capacity_bps;
    l->work_resources[0] = resource;
    refill(l, now, 0, 1);
}

/* ---- Looking -------------------------------------------------------------------------------------- */

double sim_flow_rate_bps(const struct sim_links *l, uint32_t flow)
{
    return l->flows[flow].rate_bps;
}

uint32_t sim_links_active(const struct sim_links *l)
{
    return l->active;
}

void sim_link_stats(const struct sim_links *l, uint32_t resource, kvt_ns now,
                    struct sim_link_stats *stats)
{
    const struct sim_resource *r = &l->resources[resource];
    const double used_b = r->used_b + r->rate_bps * (double)(now - r->changed_ns) / 1e9;
    const double could_b = r->capacity_bps * (double)now / 1e9;
    *stats =
        (struct sim_link_stats){.bytes = r->bytes,
                                .busy_ratio = could_b > 0 ? used_b / could_b : 0,
                                .busy_ns = r->busy_ns + (r->n_flows ? now - r->busy_since_ns : 0),
                                .flows = r->n_flows};
}

bool sim_links_check(const struct sim_links *l)
{
    for (uint32_t i = 0; i < l->n_resources; i++) {
        const struct sim_resource *r = &l->resources[i];
        double sum = 0;
        for (uint32_t k = 0; k < r->n_flows; k++)
            sum += l->flows[r->flows[k]].rate_bps;
        if (sum > r->capacity_bps * (1 + 1e-9))
            return false; /* (F1) */
    }
    for (uint32_t id = 0; id < l->n_flows; id++) {
        const struct sim_flow *f = &l->flows[id];
        if (!f->active)
            continue;
        bool held = f->rate_bps >= f->cap_bps * (1 - 1e-9);
        for (uint32_t i = 0; i < f->n && !held; i++) {
            const struct sim_resource *r = &l->resources[f->resources[i]];
            double sum = 0, most = 0;
            for (uint32_t k = 0; k < r->n_flows; k++) {
                const double rate = l->flows[r->flows[k]].rate_bps;
                sum += rate;
                most = rate > most ? rate : most;
            }
            held = sum >= r->capacity_bps * (1 - 1e-9) && f->rate_bps >= most * (1 - 1e-9);
        }
        if (!held)
            return false; /* (F2) */
    }
    return true;
}
