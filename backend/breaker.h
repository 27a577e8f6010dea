/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * breaker.h - a circuit breaker: when to stop asking a node that does not work, and when to try
 * again.
 *
 *               failures in a row                     the pause is over
 *      CLOSED --------------------> OPEN -------------------------------> HALF_OPEN
 *        ^                           ^  be_breaker_failed: pause doubles      |  |
 *        |                           +----------------------------------------+  |
 *        +-----------------------------------------------------------------------+
 *                                      be_breaker_connected
 *
 * Plain data and no clock of its own. A node that connects but never answers in time would open
 * and close for ever at the first pause; so only an answer makes the pause short again, a
 * connection alone does not.
 */
#ifndef BE_BREAKER_H
#define BE_BREAKER_H

#include "../core/types.h"

enum be_breaker_state { BE_BREAKER_CLOSED, BE_BREAKER_OPEN, BE_BREAKER_HALF_OPEN };

struct be_breaker {
    enum be_breaker_state state;
    uint32_t most_failures, failures; /* in a row */
    kvt_ns first_pause_ns, most_pause_ns;
    kvt_ns pause_ns; /* the next one */
    kvt_ns until_ns; /* open: when it may be tried */
};

/* Closed. most_failures >= 1, first_pause_ns >= 1. */
void be_breaker_init(struct be_breaker *breaker, uint32_t most_failures, kvt_ns first_pause_ns,
                     kvt_ns most_pause_ns);

/* Something failed. True when this opened the breaker: until until_ns. */
KVT_MUST_CHECK bool be_breaker_failed(struct be_breaker *breaker, kvt_ns now);

/* True, and half open, when it was open and the pause is over: one try is allowed. */
KVT_MUST_CHECK bool be_breaker_try(struct be_breaker *breaker, kvt_ns now);

/* The node can be reached: closes a half-open breaker. */
void be_breaker_connected(struct be_breaker *breaker);

/* The node answered a command in time. */
void be_breaker_answered(struct be_breaker *breaker);

#endif
