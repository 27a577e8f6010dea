/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mishaps.h - what can happen to a Redis server in the middle of a run.
 */
#ifndef MISHAPS_H
#define MISHAPS_H

#include <signal.h>

#include "real_fixture.h"

/* Something happens to the server; or nothing. */
static inline void mishap(struct real *r, bool *stalled)
{
    pid_t server = be_spawn_pid(r->spawn, 0);
    if (*stalled) {
        if (server > 0)
            kill(server, SIGCONT);
        *stalled = false;
    } else if (server == 0) {
        ck_assert_int_eq(be_spawn_restart(r->spawn, 0), 0);
    } else if (dice_one_in(2)) {
        kill(server, SIGSTOP);
        *stalled = true;
    } else {
        ck_assert_int_eq(be_spawn_kill(r->spawn, 0), 0);
    }
}

#endif
