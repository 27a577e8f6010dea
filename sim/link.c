/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * link.c - flows come, move their bytes, and go. Which rate each of them gets is link_fill.c's
 * business; who looks on is link_look.c's.
 *
 *      start ---> under way ---> due ---> function called
 *                     |            |
 *                     +---cancel---+---> gone
 *
 * A flow's work is done lazily: `left` is true as of `since_ns` and is brought up to date only
 * when the rate changes, or at the end. A heap knows which flow ends next.
 *
 * Whatever changes puts an event into the queue at that very instant, if there is none yet; it
 * settles all changes of the instant at once. Then an event at the least end waits for that
 * flow. An event that turns out to be needless does no harm: it looks, and finds nothing to do.
 * So none is ever taken back, and none is added while an earlier one of ours is known to be in
 * the queue. `armed` remembers the last few of those, latest first, each earlier than the one
 * before; if there are more, the latest one is forgotten, and will be a needless one.
 */
#include "link_impl.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

void sim_links_init(struct sim_links *l, struct sim_evq *events, const struct kvt_alloc *alloc)
{
    *l = (struct sim_links){.events = events,
                            .alloc = alloc,
                            .unused = KVT_NONE,
                            .due = KVT_NONE,
                            .level = RATE_INFINITE};
}

/* ---- Memory -------------------------------------------------------------------------------------- */

/* Of a link and its place in share, full, dirty and looked; likewise of a flow. */
enum {
    LINK_B = sizeof(struct link) + sizeof(struct link_share) + sizeof(struct link_full) +
             2 * sizeof(uint32_t),
    FLOW_B = sizeof(struct flow) + sizeof(struct link_end) + sizeof(uint64_t) + 3 * sizeof(uint32_t)
};

/* With room to put the first one on a cache line. */
static size_t link_memory_b(uint32_t room)
{
    return LINE_B + (size_t)room * LINK_B;
}

static size_t flow_memory_b(uint32_t room)
{
    return LINE_B + (size_t)room * FLOW_B;
}

static void *on_line(void *memory)
{
    const size_t off = (uintptr_t)memory % LINE_B;
    return (char *)memory + (off ? LINE_B - off : 0);
}

static void *get(struct sim_links *l, size_t size_b)
{
    return l->alloc->get(l->alloc->self, size_b);
}

static void put(struct sim_links *l, void *memory, size_t size_b)
{
    l->alloc->put(l->alloc->self, memory, size_b);
}

static void copy(void *to, const void *from, size_t size_b)
{
    if (size_b > 0)
        memcpy(to, from, size_b);
}

static int grow_links(struct sim_links *l)
{
    const uint32_t room = l->link_room ? 2 * l->link_room : 16;
    void *link_memory = get(l, link_memory_b(room));
    if (!link_memory)
        return -ENOMEM;
    struct link *link = on_line(link_memory);
    struct link_share *share = (struct link_share *)(link + room);
    struct link_full *full = (struct link_full *)(share + room);
    uint32_t *dirty = (uint32_t *)(full + room);
    copy(link, l->link, l->n_links * sizeof(*link));
    copy(dirty, l->dirty, l->n_dirty * sizeof(*dirty));
    put(l, l->link_memory, link_memory_b(l->link_room));
    l->link_memory = link_memory;
    l->link = link;
    l->share = share;
    l->full = full;
    l->dirty = dirty;
    l->looked = dirty + room;
    l->link_room = room;
    return 0;
}

static int grow_flows(struct sim_links *l)
{
    const uint32_t room = l->flow_room ? 2 * l->flow_room : 64;
    void *flow_memory = get(l, flow_memory_b(room));
    if (!flow_memory)
        return -ENOMEM;
    struct flow *flow = on_line(flow_memory);
    struct link_end *heap = (struct link_end *)(flow + room);
    uint64_t *next_rate = (uint64_t *)(heap + room);
    uint32_t *touched = (uint32_t *)(next_rate + room);
    uint32_t *flow_mark = touched + 2 * (size_t)room;
    copy(flow, l->flow, l->flows_made * sizeof(*flow));
    copy(heap, l->heap, l->n_flows * sizeof(*heap));
    copy(touched, l->touched, l->n_touched * sizeof(*touched));
    copy(flow_mark, l->flow_mark, l->flows_made * sizeof(*flow_mark));
    copy(next_rate, l->next_rate, l->flows_made * sizeof(*next_rate));
    put(l, l->flow_memory, flow_memory_b(l->flow_room));
    l->flow_memory = flow_memory;
    l->flow = flow;
    l->heap = heap;
    l->touched = touched;
    l->set_flow = touched + room;
    l->next_rate = next_rate;
    l->flow_mark = flow_mark;
    l->flow_room = room;
    return 0;
}

/* Room for one more flow on a link. */
static int grow_link(struct sim_links *l, struct link *k)
{
    if (k->n_on < k->on_room)
        return 0;
    const uint32_t room = k->on_room ? 2 * k->on_room : 8;
    struct on_link *on = get(l, room * sizeof(*on));
    if (!on)
        return -ENOMEM;
    copy(on, k->on, k->n_on * sizeof(*on));
    put(l, k->on, k->on_room * sizeof(*on));
    k->on = on;
    k->on_room = room;
    return 0;
}

/* A wide flow's words: its links, and where it is on them. */
static size_t wide_b(uint32_t n_links)
{
    return 2 * (size_t)n_links * sizeof(uint32_t);
}

static void forget_wide(struct sim_links *l, struct flow *flow)
{
    if (flow->n_links > SIM_FLOW_LINKS)
        put(l, flow->links.many, wide_b(flow->n_links));
    flow->n_links = 0;
}

void sim_links_release(struct sim_links *l)
{
    for (uint32_t i = 0; i < l->n_links; i++)
        if (l->link[i].on)
            put(l, l->link[i].on, l->link[i].on_room * sizeof(*l->link[i].on));
    put(l, l->link_memory, link_memory_b(l->link_room));
    for (uint32_t f = 0; f < l->flows_made; f++)
        if (l->flow[f].n_links > SIM_FLOW_LINKS)
            forget_wide(l, &l->flow[f]);
    put(l, l->flow_memory, flow_memory_b(l->flow_room));
    sim_links_init(l, l->events, l->alloc);
}

/* ---- The heap of ends ---------------------------------------------------------------------------- */

static void put_at(struct sim_links *l, uint32_t i, struct link_end e)
{
    l->heap[i] = e;
    l->flow[e.flow].place = i;
}

/* Puts e in at the hole i, or where it belongs above or below. */
static void settle_end(struct sim_links *l, uint32_t i, struct link_end e)
{
    for (uint32_t up = (i - 1) / 2; i > 0 && link_ends_before(&e, &l->heap[up]); up = (i - 1) / 2) {
        put_at(l, i, l->heap[up]);
        i = up;
    }
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child + 1 < l->n_flows && link_ends_before(&l->heap[child + 1], &l->heap[child]))
            child++;
        if (child >= l->n_flows || !link_ends_before(&l->heap[child], &e))
            break;
        put_at(l, i, l->heap[child]);
        i = child;
    }
    put_at(l, i, e);
}

void link_refile(struct sim_links *l, uint32_t f, kvt_ns end_ns)
{
    settle_end(l, l->flow[f].place, (struct link_end){end_ns, l->flow[f].serial, f});
}

static void unfile(struct sim_links *l, uint32_t f)
{
    const uint32_t hole = l->flow[f].place;
    const struct link_end last = l->heap[--l->n_flows];
    if (hole < l->n_flows)
        settle_end(l, hole, last);
}

/* ---- Events -------------------------------------------------------------------------------------- */

static void on_event(void *self, uint64_t arg, kvt_ns now);

/* Sees to it that we are called at that time, or before. */
static int arm(struct sim_links *l, kvt_ns at)
{
    if (at == KVT_NEVER || l->inside || (l->n_armed > 0 && l->armed_ns[l->n_armed - 1] <= at))
        return 0;
    int r = sim_evq_push(l->events, at, on_event, l, 0);
    if (r)
        return r;
    if (l->n_armed == SIM_LINKS_ARMED)
        memmove(l->armed_ns, l->armed_ns + 1, --l->n_armed * sizeof(*l->armed_ns));
    l->armed_ns[l->n_armed++] = at;
    return 0;
}

static void must_arm(struct sim_links *l, kvt_ns at)
{
    int r = arm(l, at);
    if (r && !l->error)
        l->error = r;
}

static void make_dirty(struct sim_links *l, uint32_t k)
{
    if (!l->link[k].dirty)
        l->dirty[l->n_dirty++] = k;
    l->link[k].dirty = true;
}

static void touch(struct sim_links *l, uint32_t f)
{
    if (l->flow[f].touched_at != KVT_NONE)
        return;
    l->flow[f].touched_at = l->n_touched;
    l->touched[l->n_touched++] = f;
}

static void untouch(struct sim_links *l, uint32_t f)
{
    const uint32_t hole = l->flow[f].touched_at;
    if (hole == KVT_NONE)
        return;
    const uint32_t last = l->touched[--l->n_touched];
    l->touched[hole] = last;
    l->flow[last].touched_at = hole;
    l->flow[f].touched_at = KVT_NONE;
}

void flow_progress(struct flow *flow, kvt_ns now)
{
    const kvt_ns took_ns = now - flow->since_ns;
    flow->since_ns = now;
    if (flow->rate == RATE_INFINITE) {
        flow->left = 0;
    } else if (took_ns > 0) {
        link_work done = (link_work)flow->rate * took_ns;
        flow->left -= done < flow->left ? done : flow->left;
    }
}

/* ---- Flows and their links ----------------------------------------------------------------------- */

static void attach(struct sim_links *l, uint32_t f)
{
    struct flow *flow = &l->flow[f];
    const uint32_t *links = flow_links(flow);
    uint32_t *at = flow_at(flow);
    for (uint32_t i = 0; i < flow->n_links; i++) {
        struct link *k = &l->link[links[i]];
        at[i] = k->n_on;
        k->on[k->n_on++] = (struct on_link){f, i};
        k->stats.active++;
        k->demand += flow->bound;
        if (flow->bound < k->least_bound)
            k->least_bound = flow->bound;
        k->arrived = true;
        make_dirty(l, links[i]);
    }
}

static void detach(struct sim_links *l, uint32_t f, kvt_ns now)
{
    struct flow *flow = &l->flow[f];
    const uint32_t *links = flow_links(flow), *at = flow_at(flow);
    const link_work moved = flow_moved(flow, now);
    for (uint32_t i = 0; i < flow->n_links; i++) {
        struct link *k = &l->link[links[i]];
        k->moved += moved;
        k->used -= flow->rate;
        k->demand -= flow->bound;
        k->stats.active--;
        const struct on_link last = k->on[--k->n_on];
        k->on[at[i]] = last;
        flow_at(&l->flow[last.flow])[last.nth] = at[i];
        if (k->n_on == 0)
            k->least_bound = RATE_INFINITE;
        make_dirty(l, links[i]);
    }
    if (flow->touched_at == KVT_NONE &&
        flow->rate < l->level) /* one without a rate yet held nobody back */
        l->level = flow->rate;
    untouch(l, f);
    unfile(l, f);
}

static uint64_t bound_of(const struct sim_links *l, const struct flow *flow)
{
    const uint32_t *links = flow_links(flow);
    uint64_t bound = flow->cap;
    for (uint32_t i = 0; i < flow->n_links; i++)
        if (l->link[links[i]].capacity < bound)
            bound = l->link[links[i]].capacity;
    return bound;
}

static void drop_slot(struct sim_links *l, uint32_t f)
{
    struct flow *flow = &l->flow[f];
    forget_wide(l, flow);
    flow->state = FLOW_UNUSED;
    flow->generation++;
    flow->next = l->unused;
    l->unused = f;
}

static void count_ended(struct sim_links *l, const struct flow *flow)
{
    for (uint32_t i = 0; i < flow->n_links; i++) {
        struct sim_link_stats *stats = &l->link[flow_links(flow)[i]].stats;
        stats->flows++;
        stats->bytes += flow->bytes;
    }
}

static void count_cancelled(struct sim_links *l, const struct flow *flow, uint64_t moved_b)
{
    for (uint32_t i = 0; i < flow->n_links; i++) {
        struct sim_link_stats *stats = &l->link[flow_links(flow)[i]].stats;
        stats->cancelled++;
        stats->cancelled_bytes += moved_b;
    }
}

/* Moves the flows that end now to the list of due ones, in order. */
static void collect(struct sim_links *l, kvt_ns now)
{
    uint32_t *tail = &l->due;
    while (l->n_flows > 0 && l->heap[0].end_ns <= now) {
        const uint32_t f = l->heap[0].flow;
        struct flow *flow = &l->flow[f];
        detach(l, f, now);
        flow->state = FLOW_DUE;
        flow->next = KVT_NONE;
        *tail = f;
        tail = &flow->next;
    }
}

static void on_event(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_links *l = self;
    (void)arg;
    l->now = now;
    while (l->n_armed > 0 && l->armed_ns[l->n_armed - 1] <= now)
        l->n_armed--;
    link_settle(l, now);
    collect(l, now);
    l->inside = true;
    while (l->due != KVT_NONE) {
        const uint32_t f = l->due;
        const struct flow flow = l->flow[f];
        l->due = flow.next;
        if (flow.state != FLOW_CANCELLED_DUE)
            count_ended(l, &flow);
        drop_slot(l, f);
        if (flow.state == FLOW_CANCELLED_DUE)
            continue;
        flow.fn(flow.self, flow.arg, now);
    }
    l->inside = false;
    link_settle(l,
                now); /* those that stay move up, and those that the functions started get going */
    if (l->n_flows > 0)
        must_arm(l, l->heap[0].end_ns);
}

/* ---- What the world calls ------------------------------------------------------------------------ */

/* In units, rounded down; false when it is not a rate. */
static bool rate_of(double bps, uint64_t *rate)
{
    if (!(bps >= 0) || (bps > SIM_LINK_MOST_BPS && !isinf(bps)))
        return false;
    *rate = isinf(bps) ? RATE_INFINITE : (uint64_t)(bps * RATE_UNIT);
    return true;
}

int sim_links_add(struct sim_links *l, double capacity_bps, uint32_t *link)
{
    struct link k = {.least_bound = RATE_INFINITE};
    if (!rate_of(capacity_bps, &k.capacity))
        return -EINVAL;
    if (l->n_links == l->link_room) {
        int r = grow_links(l);
        if (r)
            return r;
    }
    *link = l->n_links;
    l->link[l->n_links++] = k;
    return 0;
}

int sim_links_set_capacity(struct sim_links *l, kvt_ns now, uint32_t link, double capacity_bps)
{
    uint64_t capacity;
    if (link >= l->n_links || !rate_of(capacity_bps, &capacity))
        return -EINVAL;
    struct link *k = &l->link[link];
    assert(now >= l->now);
    l->now = now;
    if (capacity == k->capacity)
        return 0;
    k->stats.busy_ns = link_busy_ns(l, k, now);
    k->moved_before = link_moved(l, k, now);
    k->capacity = capacity;
    l->level = 0;
    make_dirty(l, link);
    for (uint32_t i = 0; i < k->n_on; i++) {
        struct flow *flow = &l->flow[k->on[i].flow];
        const uint64_t bound = bound_of(l, flow);
        const uint32_t *links = flow_links(flow);
        for (uint32_t j = 0; j < flow->n_links; j++) {
            struct link *other = &l->link[links[j]];
            other->demand += bound;
            other->demand -= flow->bound;
            if (bound < other->least_bound)
                other->least_bound = bound;
            make_dirty(l, links[j]);
        }
        flow->bound = bound;
        touch(l, k->on[i].flow);
    }
    must_arm(l, now);
    return l->error;
}

static const uint32_t *links_of(const struct sim_flow *flow)
{
    return flow->n_links > SIM_FLOW_LINKS ? flow->wide : flow->links;
}

/* Whether each link is there, and named once. */
static bool links_make_sense(struct sim_links *l, const struct sim_flow *flow)
{
    const uint32_t *links = links_of(flow);
    if (!links)
        return false;
    l->named_mark++;
    for (uint32_t i = 0; i < flow->n_links; i++) {
        if (links[i] >= l->n_links || l->link[links[i]].named_mark == l->named_mark)
            return false;
        l->link[links[i]].named_mark = l->named_mark;
    }
    return true;
}

/* 0 when the flow makes sense. */
static int look_over(struct sim_links *l, const struct sim_flow *flow, uint64_t *cap)
{
    if (l->named_mark == UINT32_MAX) { /* marks of long ago must not look like new ones */
        for (uint32_t k = 0; k < l->n_links; k++)
            l->link[k].named_mark = 0;
        l->named_mark = 0;
    }
    return rate_of(flow->cap_bps, cap) && *cap > 0 && links_make_sense(l, flow) ? 0 : -EINVAL;
}

/* All that may fail of a start, so that nothing has to be undone. */
static int make_room(struct sim_links *l, kvt_ns now, const struct sim_flow *flow, uint32_t **wide)
{
    const uint32_t *links = links_of(flow);
    int r = 0;
    if (l->unused == KVT_NONE && l->flows_made == l->flow_room)
        r = grow_flows(l);
    for (uint32_t i = 0; !r && i < flow->n_links; i++)
        r = grow_link(l, &l->link[links[i]]);
    *wide = NULL;
    if (!r && flow->n_links > SIM_FLOW_LINKS) {
        *wide = get(l, wide_b(flow->n_links));
        r = *wide ? 0 : -ENOMEM;
    }
    r = r ? r : arm(l, now);
    if (r && *wide)
        put(l, *wide, wide_b(flow->n_links));
    return r;
}

static uint32_t take_slot(struct sim_links *l)
{
    const uint32_t f = l->unused;
    if (f == KVT_NONE) {
        l->flow[l->flows_made].generation = 1;
        l->flow_mark[l->flows_made] = 0;
        return l->flows_made++;
    }
    l->unused = l->flow[f].next;
    return f;
}

int sim_links_start(struct sim_links *l, kvt_ns now, const struct sim_flow *flow, sim_flow_id *id)
{
    uint64_t cap;
    uint32_t *wide;
    int r = look_over(l, flow, &cap);
    if (!r)
        r = make_room(l, now, flow, &wide);
    if (r)
        return r;
    assert(now >= l->now);
    l->now = now;
    const uint32_t f = take_slot(l);
    struct flow *new = &l->flow[f];
    *new = (struct flow){.cap = cap,
                         .left = flow->bytes * BYTE_WORK,
                         .bytes = flow->bytes,
                         .since_ns = now,
                         .serial = l->started++,
                         .n_links = flow->n_links,
                         .touched_at = KVT_NONE,
                         .generation = new->generation,
                         .state = FLOW_UNDER_WAY,
                         .fn = flow->fn,
                         .self = flow->self,
                         .arg = flow->arg};
    if (flow->n_links > SIM_FLOW_LINKS) {
        new->links.many = wide;
        new->at.many = wide + flow->n_links;
        copy(wide, flow->wide, flow->n_links * sizeof(*wide));
    } else {
        copy(new->links.own, flow->links, flow->n_links * sizeof(*flow->links));
    }
    new->bound = bound_of(l, new);
    new->place = l->n_flows++;
    link_refile(l, f, flow->bytes == 0 ? now : KVT_NEVER);
    attach(l, f);
    touch(l, f);
    if (id)
        id->v = (uint64_t) new->generation << 32 | f;
    return 0;
}

struct flow *link_flow(const struct sim_links *l, sim_flow_id id)
{
    const uint32_t f = (uint32_t)id.v;
    if (f >= l->flows_made || l->flow[f].generation != (uint32_t)(id.v >> 32))
        return NULL;
    return l->flow[f].state == FLOW_UNDER_WAY || l->flow[f].state == FLOW_DUE ? &l->flow[f] : NULL;
}

bool sim_links_cancel(struct sim_links *l, kvt_ns now, sim_flow_id id)
{
    struct flow *flow = link_flow(l, id);
    if (!flow)
        return false;
    if (flow->state == FLOW_DUE) {
        flow->state = FLOW_CANCELLED_DUE;
        count_cancelled(l, flow, flow->bytes);
        return true;
    }
    assert(now >= l->now);
    l->now = now;
    flow_progress(flow, now);
    const link_work left_b = (flow->left + BYTE_WORK - 1) / BYTE_WORK;
    detach(l, (uint32_t)id.v, now);
    count_cancelled(l, flow, flow->bytes - (uint64_t)left_b);
    drop_slot(l, (uint32_t)id.v);
    must_arm(l, now);
    return true;
}
