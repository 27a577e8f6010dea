/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * meter.h - measures every operation that core asks of a world, whichever world it is.
 *
 *      core ---- operations ----> meter ---- forwarded as they are ----> world
 *      core <----------------------- completions ------------------------ world
 *        \----- tap: what came in, and when -----> meter ---> another tap (a recorder)
 *
 * A port has no clock, and core acts only when something comes in; so an operation is issued at
 * the time of the input that led to it (in a world with a clock, when core has come to ask for it), and ends at the time of its completion. Both are the
 * world's own time: virtual in sim, monotonic in real. That makes samples of two worlds
 * comparable.
 *
 *   (T1) Core sees the same answers in the same order: with a meter it decides the same.
 *   (T2) One sample for each completed operation, in order of completion; none for one that was refused.
 *   (T3) Memory grows by doubling, not per operation. When there is none the meter keeps what it has, takes
 *        no more, and says so in `error`; the run goes on.
 */
#ifndef CLI_METER_H
#define CLI_METER_H

#include "../core/core.h"
#include "../core/tap.h"

enum meter_kind { METER_PROBE, METER_LOAD, METER_STORE, METER_DROP, METER_STEP, METER_KINDS };

/* "probe", "load", ... */
const char *meter_kind_name(enum meter_kind kind);

struct meter_sample {
    enum meter_kind kind;
    enum kvt_tier_kind tier; /* KVT_GPU for a step */
    kvt_engine_id engine;
    enum kvt_status status;
    uint32_t blocks, blocks_ok; /* step: iterations wanted, and done */
    uint64_t tokens;            /* of the blocks; step: computed, prefill and decode */
    uint64_t bytes;             /* as the world said */
    kvt_ns issue_ns, end_ns;
    kvt_ns span_ns[KVT_SPANS];
    uint64_t first_key; /* of its blocks, in chain order, in meter.keys; step: none */
};

/* private: an operation under way. */
struct meter_op;

struct meter {
    /* What was measured. */
    struct meter_sample *samples;
    size_t n_samples;
    kvt_key *keys;
    size_t n_keys;
    struct kvt_report *reports; /* in order of end */
    size_t n_reports;
    uint64_t refused[METER_KINDS];
    int error; /* 0, or -ENOMEM: the rest is missing */

    /* Set by meter_end. */
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    char digest[33];
    bool ended;

    /* private: */
    struct kvt_port inner;
    struct kvt_port_ops ops;
    struct kvt_tap tap;
    const struct kvt_tap *next;
    struct meter_op *under_way; /* by operation id */
    size_t room_ops, room_samples, room_keys, room_reports;
    kvt_ns now;
    kvt_ns (*clock)(void *self);
    void *clock_self;
};

/* All zero is an empty meter. It must not move while a core uses it, and serves one core. */
void meter_release(struct meter *m);

/* The port to build the core on, in place of `inner` (copied). */
struct kvt_port meter_port(struct meter *m, const struct kvt_port *inner);
/* The tap to set before the core's first input. next (may be NULL) is another one to pass
 * everything on to. Both are borrowed for the core's life. */
const struct kvt_tap *meter_tap(struct meter *m, const struct kvt_tap *next);

/* The world's own clock, if it has one: operations are issued when core asks for them, and not when the input that led
 * to them came in. Borrowed for the core's life. */
void meter_clock(struct meter *m, kvt_ns (*clock)(void *self), void *self);

/* The run is over: keeps its last figures. Where servers evict by themselves the caller puts
 * their figures into stats and gauges first, as for results. */
void meter_end(struct meter *m, const struct kvt_core_stats *stats,
               const struct kvt_core_gauges *gauges, const char *digest);

#endif
