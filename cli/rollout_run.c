/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rollout_run.c - see rollout_run.h.
 */
#include "rollout_run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int pass(struct session *session, enum wl_rollout_part part, const char *label, bool shown,
                struct rollout_tally *tally, const volatile sig_atomic_t *stop, char *error)
{
    const struct resolved *resolved = &session->resolved;
    const struct results_options options = session_results(session, label);
    void *kept = NULL;
    int rc = 0;
    rollout_tally_init(tally, &resolved->rollout, &resolved->core.prefill);
    struct results *results = results_new(&options, &rc, error, SCENARIO_ERROR_SIZE);
    if (!results)
        return rc;
    const struct kvt_observer observer = {rollout_note, tally};
    const struct drive d = {
        .resolved = resolved,
        .world = (enum scenario_world)session->scenario.world,
        .source = session_source_part(session, part),
        .results = results,
        .also = &observer,
        .label = shown ? label : NULL,
        .stop = stop,
    };
    rc = drive_run(&d, &kept, error);
    results_free(results);
    free(kept);
    return rc;
}

int rollout_compare(struct rollout *rollout, struct session *session, struct rollout_tally *asked,
                    bool shown, const volatile sig_atomic_t *stop, char *error)
{
    const struct resolved *resolved = &session->resolved;
    const bool warms = resolved->rollout.warm_up != WL_WARM_NONE;
    struct rollout_tally steady = {0}, cold = {0};
    int rc = pass(session, WL_ROLLOUT_NOTHING, "no roll-out", shown, &steady, stop, error);
    if (rc == 0 && warms)
        rc = pass(session, WL_ROLLOUT_COLD, "no warm-up", shown, &cold, stop, error);
    if (rc == 0) {
        const struct rollout_terms terms = {
            .config = &resolved->rollout,
            .watch_ns = session->scenario.rollout.watch_ns,
            .gpus_per_engine = (uint32_t)session->scenario.cluster.gpus_per_engine,
            .usd_per_gpu_hour =
                resolved->cost.present ? resolved->cost.usd_per_gpu_hour : (double)NAN,
        };
        struct rollout_tally *const tallies[ROLLOUT_PASSES] = {&steady, warms ? &cold : asked,
                                                               warms ? asked : NULL};
        rc = rollout_close(rollout, &terms, tallies);
        if (rc != 0)
            snprintf(error, SCENARIO_ERROR_SIZE, "out of memory for the roll-out");
    }
    rollout_tally_release(&steady);
    rollout_tally_release(&cold);
    return rc;
}
