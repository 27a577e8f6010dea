/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * equal_slo.h - how many engines without a cache are as fast as the run was with one: by running them.
 *
 * The same requests run with the cache off on 1, 2, 4, ... engines, and then between the last number that was
 * too slow and the first that was not, until the fewest engines are found that meet the target: the scenario's
 * SLO, or else the p95 of TTFT and TPOT that the cached run reached. Latency falls with engines; a search by
 * halves finds the least number without running all.
 *
 * Engines shorten queues, not prompts: if 95 % of prompts take longer to compute alone than the target allows, no
 * number will do. The search ends there: when doubling brings less than 1 % while the engines are idle half of the
 * time, or at 64 times the scenario's engines.
 */
#ifndef CLI_EQUAL_SLO_H
#define CLI_EQUAL_SLO_H

#include <signal.h>

#include "results.h"
#include "session.h"

/* cached: closed, of this session, with cost. Returns 0 with *equal filled, -EINTR when stopped, or another
 * negative errno with one line in error[SCENARIO_ERROR_SIZE]. Leaves the session's workload rewound. */
KVT_MUST_CHECK int equal_slo_find(struct cost_equal *equal, struct session *session,
                                  const struct results *cached, const volatile sig_atomic_t *stop,
                                  char *error);

#endif
