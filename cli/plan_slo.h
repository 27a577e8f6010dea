/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plan_slo.h - a service level objective: a figure, a limit, and on which side of it to be.
 *
 *      ttft_p95<2s      tpot_p99<=60ms      prefix_hit_rate>30%      output_tokens_per_s>=1000/s      ttft_p99.9<5s
 *
 * The figure is any number of summary.json, latencies with or without their _ms; ttft, tpot and e2e take any percentile.
 * The limit carries the unit of the figure: a duration, a ratio, a rate, bytes, USD/h, or a plain number.
 */
#ifndef CLI_PLAN_SLO_H
#define CLI_PLAN_SLO_H

#include "figure.h"
#include "interval.h"
#include "lab.h"

enum { SLO_TEXT = 96, SLOS_MOST = 8 };

struct slo {
    char text[SLO_TEXT];    /* as given */
    char name[FIGURE_NAME]; /* of the figure, in the summary's spelling */
    double quantile;        /* 0 .. 1 of `of`, taken from the requests; NAN: from the summary */
    enum { SLO_TTFT, SLO_TPOT, SLO_E2E } of;
    bool below, equal; /* < or <=; else > or >= */
    double limit;      /* in the figure's unit */
};

/* Returns 0; or -EINVAL with "--slo: TEXT: what was expected" in error[size]. */
KVT_MUST_CHECK int slo_parse(struct slo *slo, const char *text, const struct figures *known,
                             char *error, size_t size);

/* Its value in a run, NAN when the run does not define it. */
double slo_value(const struct slo *slo, const json_t *summary, const struct lab_request *requests,
                 size_t n);
/* The same with a 95 % interval where the requests give one. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int slo_interval(const struct slo *slo, const json_t *summary,
                                const struct lab_request *requests, size_t n, uint64_t seed,
                                struct interval *out);
/* NAN is not met. */
bool slo_met(const struct slo *slo, double value);
/* How far from the limit: below 1 within, above 1 beyond; INFINITY for NAN. */
double slo_strain(const struct slo *slo, double value);

#endif
