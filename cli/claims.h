/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims.h - a number that somebody states, beside the one that this program computes.
 *
 * A scenario with a `claim` section is a claim: what is said, by whom, the number, and which measure of the scenario
 * it is about. Nothing of the answer stands in the file: constants come from the catalogue, times from a
 * simulated run of the scenario, and the condition under which the number would hold from solving for what it
 * hangs on.
 *
 *      claim: {says: "...", source: "...", measure: fetch, value: 40ms}
 *
 * scenarios/claims/ holds one per number of the architecture document; scenarios/anchors/ published measurements,
 * where `value` is what was measured and `unknown` the input that nobody published and that moves the result most.
 */
#ifndef CLI_CLAIMS_H
#define CLI_CLAIMS_H

#include "results.h"
#include "session.h"

enum claim_unit { CLAIM_NS, CLAIM_BYTES, CLAIM_RATIO, CLAIM_USD_PER_H, CLAIM_NUMBER };

/* Which side of the claimed number is as good as the claim: a latency may be less, a saving more. */
enum claim_side { CLAIM_EQUAL, CLAIM_LESS, CLAIM_MORE };

enum { CLAIM_TEXT = 320 };

/* One claim, answered. Strings are copies. */
struct claim {
    char name[64]; /* of the file, without folder, number and ending */
    char says[CLAIM_TEXT], source[CLAIM_TEXT], unknown[CLAIM_TEXT], measure[32];
    enum claim_unit unit;
    enum claim_side side;
    double claimed, computed; /* ns, bytes, plain ratio, USD/h; computed NAN: there is none */
    bool holds;               /* within the tolerance, or on the good side */
    char setting[CLAIM_TEXT]; /* what was computed, in a phrase */
    char needs[CLAIM_TEXT];   /* what would have to be true; "" where it holds */
};

/* Everything that a measure may look at. Runs are made when first asked for. */
struct claim_work {
    struct session *session;
    const struct scenario_claim *claim; /* of the session's scenario */
    double claimed;
    /* A run, once claim_run has succeeded: the last request that ended, and the figures. */
    struct results *results;
    struct meter *meter;
    struct kvt_report last, first;
    char *error;
};

/* Reads, runs and answers the claim in that file. 0; or a negative errno with one line in
 * error[SCENARIO_ERROR_SIZE], -EINVAL also when the file states no claim. */
KVT_MUST_CHECK int claim_answer(struct claim *claim, const char *path, char *error);

/* "40 ms", "4.10 GB", "80 %", "$250/h". Returns text. */
const char *claim_show(char *text, size_t size, enum claim_unit unit, double value);

/* ---- claims_measures.c ---- */

struct claim_measure {
    const char *name;
    enum claim_unit unit;
    enum claim_side side;
    /* Fills computed, setting and needs. 0, or a negative errno with one line in work->error. */
    int (*take)(struct claim_work *work, struct claim *claim);
};

/* NULL: no such measure, and error lists those there are. */
const struct claim_measure *claim_measure_named(const char *name, char *error, size_t size);

/* Runs the scenario, once. 0, or a negative errno with one line in work->error. */
KVT_MUST_CHECK int claim_run(struct claim_work *work);

#endif
