/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * drive.h - one run: a world, a core on it, requests in, observations out.
 *
 *      for each request:   samples due before it; world.advance to its delivery; kvt_core_request
 *      at the end:         world.advance until nothing is left to happen
 *
 * A request is delivered when the frontend is done with it, and in order of arrival: the frontend
 * hashes prompts of one after the other to the engines, so a short prompt does not overtake a long
 * one.
 *
 * Two watchdogs turn a livelock into a message: the world has no next event while requests are
 * unfinished; or events go on for an hour of the run's own time (real world: a minute) while
 * nothing is computed and nobody finishes.
 *
 * The real world has a clock of its own, so `now` is what it says: a request is delivered when its
 * time has come, or as soon as the loop is free, and latency still counts from the planned arrival.
 * Tokenising and the serving front end are modelled there, like GPU time, and hold a request back
 * as long as in the simulation.
 */
#ifndef CLI_DRIVE_H
#define CLI_DRIVE_H

#include <signal.h>

#include "../core/record.h"
#include "meter.h"
#include "real.h"
#include "resolve.h"
#include "results.h"

/* Where requests come from. */
struct drive_source {
    /* The next request, valid until the next call. Returns 1; 0 at the end; or a negative errno
     * with one line in error. Arrivals never decrease. */
    int (*next)(void *self, struct kvt_request *request, char *error, size_t error_size);
    /* (optional) Blocks that nobody asks for from the request on that came last: *n of them, told once. */
    const kvt_key *(*gone)(void *self, size_t *n);
    void *self;
    uint64_t expected; /* requests, for the progress bar; 0: unknown */
};

struct drive {
    const struct resolved *resolved;
    enum scenario_world world;
    const struct real_plan *plan;  /* real world only */
    const struct kvt_sink *record; /* gets every input of core (core/record.h); NULL: nobody */
    struct meter *meter;           /* measures every operation; NULL: nobody does */
    struct drive_source source;
    struct results *results;
    const struct kvt_observer *also;   /* hears what results hears; NULL: nobody */
    const char *label;                 /* of the progress bar; NULL: none */
    const volatile sig_atomic_t *stop; /* set: finish the event under way and return */
};

/* Runs to the end and closes d->results. Returns 0; -EINTR when stopped (results closed, marked
 * interrupted); or another negative errno with one line in error[SCENARIO_ERROR_SIZE]. *kept is
 * memory that the results refer to, or NULL: the caller frees it with free() after results_free. */
KVT_MUST_CHECK int drive_run(const struct drive *d, void **kept, char *error);

#endif
