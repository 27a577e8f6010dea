/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims_impl.h - what the files of measures share.
 *
 *      claims_sizes.c      bytes: of KV, of what Redis keeps, of memory
 *      claims_times.c      stages of a load, each alone; whole requests
 *      claims_money.c      hits, their price and what they save; Redis nodes and their failures
 *      claims_matching.c   how alike two texts are; what a look-up costs
 *      claims_measures.c   all of them by name
 *
 * Each measure answers three things: the number; the setting it holds for, in a phrase (SAY); and what would have to be
 * true for the claimed number (NEED), found by solving for the constant it hangs on: a bandwidth, a number of cores, a
 * ratio, a price. No number of an answer stands in the code.
 */
#ifndef CLI_CLAIMS_IMPL_H
#define CLI_CLAIMS_IMPL_H

#include "claims.h"

#define SAY(claim, ...)  snprintf((claim)->setting, sizeof(claim)->setting, __VA_ARGS__)
#define NEED(claim, ...) snprintf((claim)->needs, sizeof(claim)->needs, __VA_ARGS__)

/* Tables, which end with a measure without a name. */
extern const struct claim_measure claim_sizes[], claim_times[], claim_money[], claim_matching[];

/* Refuses: the claim lacks a key that its measure needs. -EINVAL. */
static inline int claim_missing(struct claim_work *w, const char *key, const char *expected)
{
    return resolve_refuse(&w->session->scenario, key, expected, w->error);
}

static inline const struct resolved *resolved_of(const struct claim_work *w)
{
    return &w->session->resolved;
}

/* Raw KV of the claim's tokens. */
static inline double kv_b(const struct claim_work *w)
{
    return resolved_of(w)->kv_b_per_token * (double)w->claim->tokens;
}

/* The same as Redis keeps it. */
static inline double stored_b(const struct claim_work *w)
{
    return resolved_of(w)->core.tiers[KVT_REDIS].stored_b_per_token * (double)w->claim->tokens;
}

static inline const char *model_of(const struct claim_work *w)
{
    return w->session->scenario.cluster.model;
}

#endif
