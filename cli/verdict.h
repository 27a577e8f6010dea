/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * verdict.h - what a run says about the decision: does each tier pay, what fills up first, what the next
 * dollar should buy.
 *
 * The next dollar, by the first rule that applies:
 *
 *      (N1) A part that is not an engine is at least 80 % busy: more of that part.
 *      (N2) Engines are at least 90 % busy, and waiting is a fifth of the time to the first token or more:
 *           another engine.
 *      (N3) Tokens were computed because they had been evicted. Keeping them would have saved their GPU
 *           time and cost room: the tier with the most USD saved per USD of room, if that is above 1.
 *           Room is counted for every token computed so, which is more than distinct tokens need.
 *      (N4) Nothing. If a tier costs more than it saves: leaving out the one that loses most.
 *
 * Saturation is told by the busiest part. A link or server at 50 % is full at twice the traffic. An engine is
 * busy whenever it has a request, and takes more of them in a batch: for engines the share is how often,
 * not how full.
 */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include "cost.h"
#include "results.h"

struct verdict {
    char saturates[48];       /* "redis process", "engine h2d", "engine"; "": nothing was busy */
    double busy_ratio;        /* of the busiest of that kind */
    double engine_busy_ratio; /* of the busiest engine */
    unsigned rule;            /* 1 .. 4 of the head comment */
    char next[256];           /* one sentence */
    double next_ratio;        /* USD saved per USD, (N3); NAN elsewhere */
};

struct verdict_run {
    const struct cost_plan *plan;
    const struct cost_tally *tally;
    const struct cost_figures *cost;
    const uint64_t *ledger_tokens; /* [KVT_LEDGER] */
    const struct results_busy *busy;
    size_t n_busy;
    double duration_s, wait_share; /* mean queue time / mean TTFT, NAN: unknown */
};

void verdict_find(struct verdict *v, const struct verdict_run *run);

/* Does the tier pay, in one sentence. Returns text. */
const char *verdict_tier(char *text, size_t size, enum kvt_tier_kind kind,
                         const struct cost_tier *tier);

#endif
