/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * together.h - what cannot be asked for together: one table of pairs, each with the line that a user reads.
 *
 * Every feature that excludes another has a name here. Who brings a new one, or makes a pair work, changes one line of
 * the table in together.c and the line of each of both in ARCHITECTURE.md; tests/test_together.c tries every pair, those of the
 * table and all others, and prints what ARCHITECTURE.md has to say.
 *
 * What a feature needs (regions a redis tier, growing a time), and what one value excludes of another of the same
 * group, is not here but where that group is resolved; which faults which world knows is in faults.c.
 */
#ifndef CLI_TOGETHER_H
#define CLI_TOGETHER_H

#include "resolve.h"

enum together_feature {
    TOGETHER_REAL,
    TOGETHER_MACHINE,
    TOGETHER_FAULTS,
    TOGETHER_ROLLOUT,
    TOGETHER_REGIONS,
    TOGETHER_RATIO,
    TOGETHER_SHARD,
    TOGETHER_HEAD,
    TOGETHER_SLICES,
    TOGETHER_IN_PLACE,
    TOGETHER_COPIES,
    TOGETHER_RESIZE,
    TOGETHER_PEER,
    TOGETHER_BACK,
    TOGETHER_REDIS_BACK,
    TOGETHER_FUTURE,
    TOGETHER_PARTIAL,
    TOGETHER_RADIX,
    TOGETHER_PARTS,
    TOGETHER_SIMILAR,
    TOGETHER_WINDOW,
    TOGETHER_FEATURES
};

/* As they are called in ARCHITECTURE.md. */
extern const char *const together_names[TOGETHER_FEATURES];

struct together_refusal {
    enum together_feature a, b;
    const char *path; /* of the key that is complained about; *: the tier that b is about */
    const char *want; /* *: the model */
};

/* In the order in which they are complained about. */
extern const struct together_refusal together_refusals[];
extern const size_t together_n_refusals;

/* Which features the scenario asks for, into has[TOGETHER_FEATURES]. Of r only what resolve_tiers has filled is read. */
void together_look(bool has[], const struct resolved *r, const struct scenario *s,
                   const struct catalog_model *model);

/* Returns 0; or -EINVAL with the line of the first pair that is asked for in error[SCENARIO_ERROR_SIZE]. */
KVT_MUST_CHECK int together_check(const struct resolved *r, const struct scenario *s,
                                  const struct catalog_model *model, char *error);

#endif
