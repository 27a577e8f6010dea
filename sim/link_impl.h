/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * link_impl.h - what link.c (flows come and go), link_fill.c (what rates they get) and link_look.c (who looks on) share.
 *
 * Units: a rate is a whole number of 2^-16 bytes per second; work is what one unit of rate does
 * in one nanosecond, so a byte is BYTE_WORK of it. 128 bits hold any byte count there is.
 *
 * A flow's bound is the least of its own cap and its links' capacities. A link whose flows' bounds add up to no more
 * than its capacity can hold nobody back. One that could, and has less left over than one unit for each of its flows, is
 * tight; only tight links tie flows together (link_fill.c says why).
 *
 * Invariants, after link_settle:
 *
 *   (L1) used is the sum of the rates of the flows on a link, demand that of their bounds; used <= capacity.
 *   (L2) Each flow has its bound as rate, or is on a tight link where no flow is faster and where what is left over is
 *        less than one unit for each of the flows that are as fast.
 *   (L3) Each flow under way is in the heap once, at `place`; so is its end, if its rate stays as it is.
 *   (L4) The event queue holds an event of ours at the top of `armed`, and that is not later than the least end.
 *   (L5) A flow under way is on each of its links once, at on[at[i]].
 *   (L6) No flow on a link has a bound below its least_bound.
 */
#ifndef SIM_LINK_IMPL_H
#define SIM_LINK_IMPL_H

#include "link.h"

__extension__ typedef unsigned __int128 link_work;

#define RATE_UNIT     65536.0
#define RATE_INFINITE UINT64_MAX
#define BYTE_WORK     ((link_work)65536 * 1000000000)

enum { LINE_B = 64 };

enum flow_state { FLOW_UNUSED, FLOW_UNDER_WAY, FLOW_DUE, FLOW_CANCELLED_DUE };

/* One word per link of a flow: here, or, for a wide flow, in memory of its own. */
union flow_words {
    uint32_t own[SIM_FLOW_LINKS];
    uint32_t *many;
};

/* Three cache lines. Filling looks at the first one only, and at that once: what it asks of a flow
 * again and again (has it a rate yet?) lies in arrays of its own, next_rate and flow_mark. */
struct flow {
    uint64_t bound, rate;
    uint32_t n_links;
    union flow_words links;

    union flow_words at; /* L5 */
    link_work left;
    kvt_ns since_ns; /* of left and rate */
    uint64_t bytes;
    uint64_t serial; /* number of the start */
    uint64_t cap;
    sim_event_fn *fn;
    void *self;
    uint64_t arg;
    uint32_t place;      /* in the heap */
    uint32_t touched_at; /* in touched, or KVT_NONE */
    uint32_t next;       /* unused: next unused. due: next due */
    uint32_t generation;
    uint8_t state;   /* enum flow_state */
    bool end_is_old; /* settling: the heap has the end of another rate */
};

_Static_assert(sizeof(struct flow) == 3 * LINE_B, "flows start on a line if the first one does");

static inline const uint32_t *flow_links(const struct flow *flow)
{
    return flow->n_links > SIM_FLOW_LINKS ? flow->links.many : flow->links.own;
}

static inline uint32_t *flow_at(struct flow *flow)
{
    return flow->n_links > SIM_FLOW_LINKS ? flow->at.many : flow->at.own;
}

/* Its work up to now, and in its last nanosecond what its rate allowed. */
static inline link_work flow_moved(const struct flow *flow, kvt_ns now)
{
    const link_work moved = flow->bytes * BYTE_WORK - flow->left;
    return flow->rate == RATE_INFINITE ? moved
                                       : moved + (link_work)flow->rate * (now - flow->since_ns);
}

struct on_link {
    uint32_t flow, nth; /* this is the flow's nth link */
};

/* Three cache lines, too. Settling looks at the first one only. */
struct link {
    _Alignas(LINE_B) uint64_t capacity;
    uint64_t used;
    uint64_t left; /* filling: capacity for open flows */
    struct on_link *on;
    uint32_t n_on;
    uint32_t open;      /* filling: flows without a rate yet */
    uint32_t look_mark; /* of the last settling that looked at it */
    bool filled;        /* by that settling */
    bool may_hold;      /* bounds add up to more than its capacity, as of the last settling */
    bool tight;         /* as of the last settling */
    bool dirty;         /* flows or capacity changed since then; arrived: it has new flows */
    bool arrived;
    uint64_t least_bound; /* no flow on it has a lower one; RATE_INFINITE while there is none */

    link_work demand;
    link_work moved; /* by flows that went */
    link_work
        moved_before; /* by all, when the capacity last changed: then stats.busy_ns was true */
    uint32_t on_room;
    uint32_t named_mark; /* of the last wide flow that named it */
    struct sim_link_stats stats;
};

_Static_assert(sizeof(struct link) == 3 * LINE_B, "as of flows");

/* In the heap of flows: by (end, serial). */
struct link_end {
    kvt_ns end_ns;
    uint64_t serial;
    uint32_t flow;
};

static inline bool link_ends_before(const struct link_end *a, const struct link_end *b)
{
    return a->end_ns < b->end_ns || (a->end_ns == b->end_ns && a->serial < b->serial);
}

/* In the heap of links: by (share, link). */
struct link_share {
    uint64_t share;
    uint32_t link;
};

/* A link to be filled, before any of that: flows without a rate, and what is left for them. */
struct link_full {
    uint64_t left;
    uint32_t link, open;
};

/* The flow of a name; NULL when that is void. */
struct flow *link_flow(const struct sim_links *l, sim_flow_id id);

/* Finds new rates for the flows that the changes since the last settling can touch. */
void link_settle(struct sim_links *l, kvt_ns now);

/* As an invariant has it, once a settling has set rates. */
static inline bool link_is_tight(const struct link *k)
{
    return k->may_hold && (k->capacity - k->used < k->n_on || k->demand >> 64);
}

/* What a link has carried up to now. */
link_work link_moved(const struct sim_links *l, const struct link *k, kvt_ns now);

/* How long it was busy up to now. */
double link_busy_ns(const struct sim_links *l, const struct link *k, kvt_ns now);

/* Does a flow's work up to now; before any change of its rate. */
void flow_progress(struct flow *flow, kvt_ns now);

/* Puts a flow where it belongs in the heap after its end changed. */
void link_refile(struct sim_links *l, uint32_t f, kvt_ns end_ns);

#endif
