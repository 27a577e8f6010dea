/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * link.h - fluid flows that share links fairly.
 *
 * A link is anything with a capacity in bytes per second: a NIC's direction, a PCIe bus, the one
 * thread of a Redis process, a disk. A flow moves bytes over all of its links at one time, at
 * one rate. Rates are max-min fair: no flow can be made faster without making one slower that is
 * no faster than it. They hold until a flow starts or ends or a capacity changes, and are then
 * found anew by filling (Bertsekas and Gallager, Data Networks, 2nd ed., 1992, section 6.5.2),
 * for the flows that the change can touch.
 *
 * All changes at one instant are settled together, by an event at that instant; so twenty flows
 * that start at one time cost one computation.
 *
 * Exactness. Rates are whole multiples of 2^-16 bytes per second, rounded down; what is left of
 * a flow is counted in bytes * 2^-16 * 10^-9, which is what one unit of rate moves in one
 * nanosecond. All of it is integer arithmetic without rounding: no byte is lost or invented, and
 * the order of events leaves no trace in the figures. Two things are rounded: a rate (by less
 * than 2^-16 bytes per second), and the end of a flow, up to the next nanosecond.
 */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include "../core/alloc.h"
#include "../core/types.h"
#include "evq.h"

/* Links that a flow names in place. A wide flow, such as a collective over all ports of an engine, names more. */
#define SIM_FLOW_LINKS 8

/* Highest finite capacity or rate: 2^46 bytes per second, 70 TB/s. INFINITY is allowed, and is no bound at all. */
#define SIM_LINK_MOST_BPS 70368744177664.0

/* Names a flow from start to end. Never reused: the name of a flow that ended stays void. v is never 0. */
typedef struct {
    uint64_t v;
} sim_flow_id;

/* A flow to start. */
struct sim_flow {
    uint64_t bytes;                 /* 0 ends at once */
    double cap_bps;                 /* its own highest rate, say one connection's; INFINITY: none */
    uint32_t n_links;               /* 0 .. SIM_FLOW_LINKS; more: they lie in wide */
    uint32_t links[SIM_FLOW_LINKS]; /* each one once */
    const uint32_t *wide;           /* n_links of them, borrowed during the call */
    sim_event_fn *fn; /* called as fn(self, arg, end) when the last byte has been moved */
    void *self;
    uint64_t arg;
};

struct sim_link_stats {
    uint64_t flows;           /* ended here, and their functions were called */
    uint64_t bytes;           /* of those, exactly */
    uint64_t cancelled;       /* flows that were cancelled */
    uint64_t cancelled_bytes; /* whole bytes that those had moved */
    double busy_ns;  /* integral over time of rate / capacity, where that is a number; else 0 */
    uint32_t active; /* flows under way */
};

enum { SIM_LINKS_ARMED = 16 };

/* All links of a world, and all flows over them. */
struct sim_links {
    uint32_t n_links;
    uint32_t n_flows; /* under way */
    uint64_t started; /* flows so far */
    uint64_t settles; /* computations of rates so far */
    int error; /* not 0 (-ENOMEM): a change could not be settled, and nothing here is true any more */
    /* private: */
    kvt_ns now;
    struct sim_evq *events;
    const struct kvt_alloc *alloc;
    kvt_ns armed_ns[SIM_LINKS_ARMED]; /* events of ours in the queue, the next one last */
    uint32_t n_armed;
    bool inside; /* our event is under way, and will settle before it returns */
    uint32_t link_room, flow_room;
    void *link_memory, *flow_memory;
    struct link *link;
    struct flow *flow;
    struct link_end *heap; /* flows under way */
    uint32_t flows_made;   /* flow slots from here on were never used */
    uint32_t unused;       /* head of the list of unused flow slots */
    uint32_t due; /* head of the list of flows that ended, their functions still to be called */
    uint32_t n_dirty, n_touched;
    uint32_t *dirty;   /* links whose flows or capacity changed */
    uint32_t *touched; /* flows whose bound is new */
    uint64_t level;    /* of those changes: rates below it stay, as far as what left is concerned */
    uint64_t *next_rate; /* scratch of a settling, by flow; and which settling it is of */
    uint32_t *flow_mark;
    uint32_t *set_flow; /* flows that it looks at; then links that it looks at, and that it fills */
    uint32_t *looked;
    struct link_full *full;
    struct link_share *share;
    uint32_t mark, named_mark;
};

/* No links yet, and no memory taken. Events and allocator are borrowed until release. */
void sim_links_init(struct sim_links *l, struct sim_evq *events, const struct kvt_alloc *alloc);

/* Gives the memory back; flows under way are forgotten, and events still in the queue must not
 * run any more. Harmless on released or zeroed links. */
void sim_links_release(struct sim_links *l);

/* A new link; *link is its number: 0, 1, 2, ... capacity_bps: 0 (stalled), up to
 * SIM_LINK_MOST_BPS, or INFINITY. 0; -EINVAL for another capacity; -ENOMEM. */
KVT_MUST_CHECK int sim_links_add(struct sim_links *l, double capacity_bps, uint32_t *link);

/* The capacity from `now` on. Flows on a link of capacity 0 wait. 0; -EINVAL for a bad capacity,
 * nothing changed; -ENOMEM, see error. */
KVT_MUST_CHECK int sim_links_set_capacity(struct sim_links *l, kvt_ns now, uint32_t link,
                                          double capacity_bps);

/* Starts a flow. Its function is called exactly once, from the event queue and never from here,
 * unless it is cancelled; flows that end at one time are called in the order in which they
 * started. The function may start, cancel and change what it likes. *id may be NULL. 0; -EINVAL
 * for a bad rate, link number or link named twice; -ENOMEM; in both cases nothing was started. */
KVT_MUST_CHECK int sim_links_start(struct sim_links *l, kvt_ns now, const struct sim_flow *flow,
                                   sim_flow_id *id);

/* Ends a flow before its time: its function will not be called. True if it was under way (or had
 * ended at this very instant, with its function still to be called); false when the id is void.
 * See error. */
bool sim_links_cancel(struct sim_links *l, kvt_ns now, sim_flow_id id);

/* The rate of a flow after all changes so far; 0 when the id is void. */
double sim_links_rate_bps(struct sim_links *l, sim_flow_id id);

/* What a link has seen up to now. */
struct sim_link_stats sim_links_stats(const struct sim_links *l, kvt_ns now, uint32_t link);

/* Flows under way on it. */
uint32_t sim_links_active(const struct sim_links *l, uint32_t link);

/* True, or trips an assertion: every invariant of link.c. Takes time in flows and links. */
bool sim_links_check(const struct sim_links *l);

#endif
