/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * breaker.h - a circuit breaker: when to stop asking a node that does not work, and when to try
 * again.
 *
 *               failures in a row                     the pause is over
 *      CLOSED --------------------> OPEN -------------------------------> HALF_OPEN
 *        ^                           ^  kvt_breaker_failed: pause doubles      |  |
 *        |                           +----------------------------------------+  |
 *        +-----------------------------------------------------------------------+
 *                                      kvt_breaker_connected
 *
 * What real clients have (backend/redis.h), and what the simulated world models of them (sim/world_fault.c). Plain
 * data and no clock of its own. A node that connects but never answers in time would open
 * and close for ever at the first pause; so only an answer makes the pause short again, a
 * connection alone does not.
 */
#ifndef KVT_BREAKER_H
#define KVT_BREAKER_H

#include "types.h"

/* What clients do unless told otherwise. */
#define KVT_BREAKER_FAILURES 5
#define KVT_BREAKER_PAUSE_NS KVT_SECOND
#define KVT_BREAKER_MOST_NS  (30 * KVT_SECOND)

enum kvt_breaker_state { KVT_BREAKER_CLOSED, KVT_BREAKER_OPEN, KVT_BREAKER_HALF_OPEN };

struct kvt_breaker {
    enum kvt_breaker_state state;
    uint32_t most_failures, failures; /* in a row */
    kvt_ns first_pause_ns, most_pause_ns;
    kvt_ns pause_ns; /* the next one */
    kvt_ns until_ns; /* open: when it may be tried */
};

/* Closed. most_failures >= 1, first_pause_ns >= 1. */
void kvt_breaker_init(struct kvt_breaker *breaker, uint32_t most_failures, kvt_ns first_pause_ns,
                      kvt_ns most_pause_ns);

/* Something failed. True when this opened the breaker: until until_ns. */
KVT_MUST_CHECK bool kvt_breaker_failed(struct kvt_breaker *breaker, kvt_ns now);

/* True, and half open, when it was open and the pause is over: one try is allowed. */
KVT_MUST_CHECK bool kvt_breaker_try(struct kvt_breaker *breaker, kvt_ns now);

/* The node can be reached: closes a half-open breaker. */
void kvt_breaker_connected(struct kvt_breaker *breaker);

/* The node answered a command in time. */
void kvt_breaker_answered(struct kvt_breaker *breaker);

#endif
