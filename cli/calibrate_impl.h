/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_impl.h - what the files that fit share.
 */
#ifndef CLI_CALIBRATE_IMPL_H
#define CLI_CALIBRATE_IMPL_H

#include "calibrate.h"

/* An empty fit at the end of the list; NULL without memory. Taken back by c->n_fits--. */
struct calibrate_fit *calibrate_add_fit(struct calibrate *c);
/* A value with its source, which is `how` and when. What is no number, or below 0, is left out. 0 or -ENOMEM. */
KVT_MUST_CHECK int calibrate_add_value(struct calibrate *c, const char *section, const char *entry,
                                       const char *key, enum catalog_unit unit, double value,
                                       const char *how);

/* Which samples of a path; 0 and NULL: any. */
struct calibrate_pick {
    enum be_path path;
    uint32_t threads, connections, depth;
    const char *codec;
};

/* The time of one piece, all threads together, as a line in its bytes. *kept: the fit, borrowed
 * until the next one is added; NULL when there is nothing to fit. 0 or -ENOMEM. */
KVT_MUST_CHECK int calibrate_line(struct calibrate *c, const struct calibrate_pick *pick,
                                  const char *what, struct calibrate_fit **kept);
/* A path that threads share: one thread, and all of them. Rates; 0: none. 0 or -ENOMEM. */
KVT_MUST_CHECK int calibrate_threads(struct calibrate *c, enum be_path path, double rate_bps[2]);

#endif
