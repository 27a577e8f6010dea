/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * breaker.c - the circuit breaker of breaker.h.
 *
 * Invariants:
 *   (B1) failures < most_failures while closed.
 *   (B2) first_pause_ns <= pause_ns <= most_pause_ns.
 *   (B3) Between two openings without an answer in between, the pause doubles until it is the longest one.
 */
#include "breaker.h"

#include <assert.h>

void kvt_breaker_init(struct kvt_breaker *breaker, uint32_t most_failures, kvt_ns first_pause_ns,
                      kvt_ns most_pause_ns)
{
    assert(most_failures >= 1 && first_pause_ns >= 1);
    if (most_pause_ns < first_pause_ns)
        most_pause_ns = first_pause_ns;
    *breaker = (struct kvt_breaker){
        .state = KVT_BREAKER_CLOSED,
        .most_failures = most_failures,
        .first_pause_ns = first_pause_ns,
        .most_pause_ns = most_pause_ns,
        .pause_ns = first_pause_ns,
    };
}

bool kvt_breaker_failed(struct kvt_breaker *breaker, kvt_ns now)
{
    if (breaker->state == KVT_BREAKER_OPEN)
        return false;
    if (breaker->state == KVT_BREAKER_CLOSED && ++breaker->failures < breaker->most_failures)
        return false;
    breaker->state = KVT_BREAKER_OPEN;
    breaker->failures = 0;
    breaker->until_ns = kvt_ns_add(now, breaker->pause_ns);
    breaker->pause_ns = breaker->pause_ns > breaker->most_pause_ns / 2 ? breaker->most_pause_ns
                                                                       : 2 * breaker->pause_ns;
    return true;
}

bool kvt_breaker_try(struct kvt_breaker *breaker, kvt_ns now)
{
    if (breaker->state != KVT_BREAKER_OPEN || now < breaker->until_ns)
        return false;
    breaker->state = KVT_BREAKER_HALF_OPEN;
    return true;
}

void kvt_breaker_connected(struct kvt_breaker *breaker)
{
    if (breaker->state == KVT_BREAKER_HALF_OPEN)
        breaker->state = KVT_BREAKER_CLOSED;
}

void kvt_breaker_answered(struct kvt_breaker *breaker)
{
    if (breaker->state != KVT_BREAKER_CLOSED)
        return;
    breaker->failures = 0;
    breaker->pause_ns = breaker->first_pause_ns;
}
