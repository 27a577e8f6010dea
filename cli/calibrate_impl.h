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

/* ---- calibrate_group.c ---- */

enum calibrate_seen { CALIBRATE_WHOLE, CALIBRATE_MEDIUM, CALIBRATE_COPY, CALIBRATE_DECODE };

/* Which samples a fit is made to. */
struct calibrate_choice {
    const char *what;
    uint32_t paths;           /* bits */
    enum calibrate_seen seen; /* of what has no stages the whole */
    double least_b;           /* of a piece: smaller ones have no say */
    uint32_t least, most;     /* pieces; 0: any */
};

/* Fits the members (offsets of doubles in the model), from what the model says now, to the chosen samples, and leaves
 * them in the model. *kept: the fit, borrowed until the next is added; NULL when there is none. 0 or -ENOMEM. */
KVT_MUST_CHECK int calibrate_group(struct calibrate *c, struct calibrate_model *model,
                                   const struct calibrate_choice *choice, const size_t *members,
                                   const char *const *names, uint32_t n_members,
                                   const struct be_fit **kept);
/* What the model says of a sample, ns. */
double calibrate_predict(const struct calibrate *c, const struct calibrate_model *model,
                         const struct be_sample *sample, enum calibrate_seen seen);

/* ---- calibrate_vary.c ---- */

/* Values of section variations, from pieces of at least least_b raw bytes. 0 or -ENOMEM. */
KVT_MUST_CHECK int calibrate_vary(struct calibrate *c, double least_b);

#endif
