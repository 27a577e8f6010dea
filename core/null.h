/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * null.h - the null world: every operation ends at once, well, and has cost nothing.
 *
 * What is left of a run is its decisions: pure hit rates, at full speed. It is also the world to
 * copy when starting another one, for it keeps the whole contract of port.h and does nothing
 * besides.
 *
 * The clock. Operations carry no time, so the world keeps one: the time of the last event it
 * delivered, or the last finite `until` it was advanced to, whichever is later. Completions are due
 * at that time, and all are delivered before it moves on. Hence the driver's rule, the same for
 * every world with a virtual clock:
 *
 *      advance(world, core, t);  kvt_core_request(core, t, ..);      then look at next(), and so on
 *
 * Within one time completions come in the order of their operations; then timers, in the order of
 * (time, order of arming). A timer armed for the past is due now.
 */
#ifndef KVT_NULL_H
#define KVT_NULL_H

#include "alloc.h"
#include "observer.h"

struct kvt_null;

/* A world at time 0. alloc, and observer (may be NULL), are borrowed for its life. NULL when memory
 * is out. */
KVT_MUST_CHECK struct kvt_null *kvt_null_new(const struct kvt_alloc *alloc,
                                             const struct kvt_observer *observer);
void kvt_null_free(struct kvt_null *world);

/* The port to build a core on, and the operations that drive the world; self is the world. Borrowed
 * for its life. An operation is refused with -ENOMEM when the completion cannot be kept. A timer
 * that cannot be kept breaks the world: advance returns -ENOMEM from then on. */
struct kvt_port kvt_null_port(struct kvt_null *world);
const struct kvt_world_ops *kvt_null_world(void);

#endif
