/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rollout_run.h - the passes that a roll-out is compared with: the same requests without one, and, where the
 * scenario warms up, the roll-out cold.
 */
#ifndef CLI_ROLLOUT_RUN_H
#define CLI_ROLLOUT_RUN_H

#include <signal.h>

#include "rollout.h"
#include "session.h"

/* asked: the tally of the scenario's own run. shown: with a progress bar. Fills *rollout (release with rollout_release in any case). Returns 0,
 * -EINTR when stopped, or another negative errno with one line in error[SCENARIO_ERROR_SIZE]. */
KVT_MUST_CHECK int rollout_compare(struct rollout *rollout, struct session *session,
                                   struct rollout_tally *asked, bool shown,
                                   const volatile sig_atomic_t *stop, char *error);

#endif
