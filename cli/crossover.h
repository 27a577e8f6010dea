/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * crossover.h - load or compute: from which length on a tier is faster than the GPU, by codec.
 *
 *      load(n)     what core predicts for n tokens from the tier: fixed + n * per token
 *      compute(n)  prefill of n tokens on an idle engine, in the stack's chunks
 *      crossover   the least whole number of blocks from which load <= compute up to the model's context
 *
 * Both are of an idle cluster; under load both grow, and the run says by how much. Prefill grows with the
 * square of the length and loading does not, so where there is a crossover, longer prefixes gain more.
 */
#ifndef CLI_CROSSOVER_H
#define CLI_CROSSOVER_H

#include "catalog.h"
#include "resolve.h"
#include "scenario.h"

enum { CROSSOVER_LENGTHS = 15 }; /* 64 tokens, doubled: up to 1 Mi */

struct crossover {
    enum kvt_tier_kind tier;
    char codec[64];
    bool own;           /* the scenario's chain; the others are single codecs of the catalogue */
    double ratio;       /* raw bytes per stored byte */
    uint32_t tokens;    /* the crossover; 0: loading never pays within the context */
    uint32_t n_lengths; /* of them within the context */
    double load_ms[CROSSOVER_LENGTHS], compute_ms[CROSSOVER_LENGTHS];
};

struct crossovers {
    struct crossover
        *rows; /* by tier; the scenario's own first, then by name as in the catalogue */
    uint32_t n;
};

/* Tokens of the i-th length. */
static inline uint32_t crossover_tokens(uint32_t i)
{
    return 64u << i;
}

/* Every tier below the GPU that r has, with its own chain and with each codec of the catalogue.
 * Returns 0 or -ENOMEM. The caller frees rows. */
KVT_MUST_CHECK int crossovers_find(struct crossovers *out, const struct resolved *r,
                                   const struct scenario *s, const struct catalog *catalog);

/* The row of a tier's own chain; NULL: none. */
const struct crossover *crossovers_own(const struct crossovers *c, enum kvt_tier_kind tier);

#endif
