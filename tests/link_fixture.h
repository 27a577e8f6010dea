/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * link_fixture.h - what tests of fair sharing have in common: links and flows in a queue of their own, and someone who
 * writes down which flow ended when.
 */
#ifndef LINK_FIXTURE_H
#define LINK_FIXTURE_H

#include "../sim/link.h"
#include "failing_alloc.h"
#include "kvt_test.h"

enum { FLOWS_MOST = 600 };

static struct failing_alloc memory;
static struct sim_evq events;
static struct sim_links links;
static kvt_ns ended_ns[FLOWS_MOST]; /* by arg */
static uint64_t order[FLOWS_MOST];  /* args, as they ended */
static uint32_t n_ended;

static inline void on_flow(void *self, uint64_t arg, kvt_ns at)
{
    (void)self;
    ck_assert_uint_lt(n_ended, FLOWS_MOST);
    ended_ns[arg] = at;
    order[n_ended++] = arg;
}

static inline void set_up(void)
{
    failing_alloc_init(&memory, 0);
    n_ended = 0;
    for (uint32_t i = 0; i < FLOWS_MOST; i++)
        ended_ns[i] = KVT_NEVER;
    sim_evq_init(&events, &memory.alloc);
    sim_links_init(&links, &events, &memory.alloc);
    links.mark = UINT32_MAX - 20; /* so that it wraps round */
}

static inline void tear_down(void)
{
    sim_links_release(&links);
    sim_evq_release(&events);
    ck_assert(failing_alloc_clean(&memory));
}

static inline uint32_t add(double bps)
{
    uint32_t link = KVT_NONE;
    ck_assert_int_eq(sim_links_add(&links, bps, &link), 0);
    return link;
}

/* A flow over up to two links (KVT_NONE: none). */
static inline sim_flow_id start(kvt_ns now, uint64_t bytes, double cap_bps, uint32_t a, uint32_t b,
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

static inline void run(kvt_ns until)
{
    sim_evq_run(&events, until);
    ck_assert(sim_links_check(&links));
    ck_assert(sim_evq_check(&events));
}

#endif
