/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tap.h - listening to what comes into core.
 *
 * Core's decisions follow from its configuration and its inputs alone. A tap sees every input, in
 * order, before core acts on it; so whoever writes down what a tap sees can replay the run
 * (record.h, replay.h).
 *
 * Inputs are the entries of core.h and one more that is easily forgotten: the answer of an
 * operation. A world may refuse one (P1 of port.h: "nothing was kept"), core then goes another way,
 * and that is something core has learnt from outside. An accepted operation tells core nothing, so
 * only refusals are reported; `refused` comes between the input whose handling issued the operation
 * and the next input.
 *
 * A request that core turns down as nonsense (-EINVAL) is no input: it changed nothing.
 */
#ifndef KVT_TAP_H
#define KVT_TAP_H

#include "port.h"

/* All are required unless marked (optional). Each is called from inside core: it must not enter
 * core, and what it is given is borrowed until it returns. `up` false: the tier went down. */
struct kvt_tap {
    void (*request)(void *self, kvt_ns now, const struct kvt_request *request);
    void (*done)(void *self, kvt_ns now, const struct kvt_done *done);
    void (*timer)(void *self, kvt_ns now, uint64_t timer);
    void (*updown)(void *self, kvt_ns now, bool up, enum kvt_tier_kind tier, kvt_engine_id engine);
    void (*gpu_lost)(void *self, kvt_ns now, kvt_engine_id engine, uint32_t gpu); /* (optional) */
    void (*lost)(void *self, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine,
                 uint32_t part, uint32_t parts);                            /* (optional) */
    void (*discard)(void *self, kvt_ns now, const kvt_key *keys, size_t n); /* (optional) */
    void (*resize)(void *self, kvt_ns now);                                 /* (optional) */
    void (*refused)(void *self, kvt_ns now, kvt_op_id op, int error);       /* (optional) */
    void *self;
};

/* Sets the tap of a core, NULL for none. Borrowed until the core is freed or another is set. Set
 * before the first input, or the record begins in the middle. */
void kvt_core_tap(struct kvt_core *core, const struct kvt_tap *tap);

#endif
