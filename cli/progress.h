/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * progress.h - a bar on a terminal, nothing elsewhere.
 *
 * Drawn on stderr at most ten times a second and only if stderr is a terminal; wiped when done, so that
 * what follows starts on a clean line.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "../core/types.h"

struct progress {
    bool shown;
    const char *label; /* borrowed */
    uint64_t expected; /* 0: unknown, then counts only */
    const char *what;  /* counted instead of requests, set after begin: "points"; NULL: requests */
    uint64_t calls;    /* private, like all below */
    uint64_t drawn_wall_ns, began_wall_ns;
};

void progress_begin(struct progress *p, const char *label, uint64_t expected);
/* done: requests so far; now: the run's own time. Cheap enough to call for each request. */
void progress_step(struct progress *p, uint64_t done, kvt_ns now);
void progress_end(struct progress *p);

/* Monotonic wall clock, ns. */
uint64_t wall_clock_ns(void);

#endif
