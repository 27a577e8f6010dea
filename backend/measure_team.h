/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure_team.h - some threads that do the same at one time, as often as wanted, and how long
 * it took.
 */
#ifndef BE_MEASURE_TEAM_H
#define BE_MEASURE_TEAM_H

#include <uv.h>

#include "../core/types.h"

enum { BE_TEAM_MOST = 64 };

struct be_team;

/* member (0 ..) does its part, on its own memory. 0 or a negative errno. */
typedef int be_team_fn(void *self, uint32_t member);

/* threads: 1 .. BE_TEAM_MOST, the caller's among them. NULL with *rc: -ENOMEM, -EAGAIN (no more threads), -EINVAL. */
KVT_MUST_CHECK struct be_team *be_team_new(uint32_t threads, be_team_fn *fn, void *self, int *rc);
/* Lets all do it once. *ns: until the last one is done. 0, or the error of the first member that has one. */
int be_team_run(struct be_team *team, double *ns);
void be_team_free(struct be_team *team);

#endif
