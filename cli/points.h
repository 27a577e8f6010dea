/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * points.h - many runs at a time, each in a process of its own.
 *
 *      parent   prepare(i)   fork ---------------------------------------> done(i, bytes)
 *                              |                                             ^
 *      child                   +-> work(i) -> bytes into memory shared, exit +
 *
 * A child inherits what the parent has read (a trace, the catalogue) without a copy, and ends without
 * touching it. One that crashes or is killed costs its own point and nothing else. Children die with
 * their parent. Results come back in the order in which they end: who needs an order sorts by index.
 */
#ifndef CLI_POINTS_H
#define CLI_POINTS_H

#include <signal.h>

#include "../core/types.h"

enum { POINTS_ERROR_SIZE = 512 };

struct points {
    const size_t *todo; /* indices, in the order in which they are begun */
    size_t n;
    uint32_t jobs; /* at one time; 0: one per processor that this process may use */
    void *self;
    /* (optional) Instead of todo: the next index. Returns 1; 0 when there is none now; or a negative errno. */
    int (*next)(void *self, size_t *i);
    /* (optional, with next) Whatever else there is to attend to, called every few milliseconds. Returns 1 while
     * more may come out of next, 0 when nothing more will; or a negative errno. */
    int (*idle)(void *self);
    /* (optional) In the parent, before the child of i is made. Returns 0 or a negative errno, which
     * fails the point, with one line in error. */
    int (*prepare)(void *self, size_t i, char *error);
    /* In the child. Returns 0 with *bytes from malloc, which are the result; or a negative errno with one
     * line in error. -EINTR: stopped, the point counts as not run. */
    int (*work)(void *self, size_t i, char **bytes, size_t *n_bytes, char *error);
    /* In the parent. bytes (borrowed until return) are NULL when the point failed; error then says why.
     * Returns 0, or a negative errno, with which points_run ends. */
    int (*done)(void *self, size_t i, const char *bytes, size_t n_bytes, const char *error);
    const char *label;                 /* of the progress bar; NULL: none */
    uint64_t finished, all;            /* where the bar begins (points found finished), and ends */
    const volatile sig_atomic_t *stop; /* set: children are ended, points_run returns -EINTR */
};

/* Returns 0 when every point was done, failed ones included; -EINTR when stopped; or a negative errno
 * with one line in error[POINTS_ERROR_SIZE]. No child is left behind. */
KVT_MUST_CHECK int points_run(const struct points *p, char *error);

/* How many processors this process may use. */
uint32_t points_processors(void);

#endif
