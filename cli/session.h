/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * session.h - the input of a run: scenario, catalogue, profile, workload, and what they resolve to.
 *
 *      session_load       scenario with --world and --set; catalogue with --profile
 *      session_workload   opens the trace, or the generator
 *      session_resolve    the numbers that core and world run on; for the real world also its plan
 *      session_close
 *
 * In this order, each once; nothing is written, and no server or device is touched. Messages are
 * one line in `error`; session_exit says which exit code they deserve.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <limits.h>

#include "../workload/future.h"
#include "../workload/prompts.h"
#include "../workload/workload.h"
#include "catalog.h"
#include "drive.h"
#include "real.h"
#include "resolve.h"
#include "scenario.h"

/* As the command line has it. Borrowed for the session's life. */
struct session_arguments {
    const char *scenario;    /* path, as given */
    const char *world;       /* "null", "sim", "real"; NULL: the scenario's */
    const char *profile;     /* NULL: none */
    const char *const *sets; /* "key=value" */
    size_t n_sets;
};

struct session {
    struct scenario scenario;
    struct catalog *catalog;
    struct wl_source *source;
    struct wl_future *future;   /* NULL: no policy asks for it */
    struct wl_rollout *rollout; /* NULL: the model stays as it is */
    struct wl_prompts *prompts; /* NULL: matching goes by keys alone */
    struct wl_info info;
    struct resolved resolved;
    struct real_plan plan; /* the real world only */
    char trace[PATH_MAX], sha256[65];
    char error[SCENARIO_ERROR_SIZE];
};

/* *s is zero before. Each returns 0, or a negative errno with s->error. */
KVT_MUST_CHECK int session_load(struct session *s, const struct session_arguments *a);
KVT_MUST_CHECK int session_workload(struct session *s);
/* Does the scenario match by tokens? Then session_workload keeps the prompts themselves, too. */
bool session_asks_for_tokens(const struct scenario *s);
/* -ENOSPC: the model does not fit its GPUs, and s->resolved.budget says why. */
KVT_MUST_CHECK int session_resolve(struct session *s);
/* Safe in any state. */
void session_close(struct session *s);

/* Exit code for a status that one of the above returned. */
int session_exit(int status);

/* "null", "sim", "real". */
const char *session_world(const struct session *s);
/* The scenario's file name without folder and ending: what results are called. Returns name. */
char *session_name(const struct session *s, char *name, size_t size);
/* What results are told of a resolved session: no folder, no timeline, no command line; the caller
 * adds these. Borrows the session and name. */
struct results_options session_results(const struct session *s, const char *name);
/* Requests of the workload from its beginning, with a roll-out where the scenario has one. */
struct drive_source session_source(struct session *s);
/* The same with only a part of it: NOTHING for runs without cache. */
struct drive_source session_source_part(struct session *s, enum wl_rollout_part part);

#endif
