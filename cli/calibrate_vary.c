/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_vary.c - how measured times spread about their medians.
 *
 * Each repetition of a whole load or store gives a ratio for each of its stages: its time over the median of its
 * point of the grid. So the spread has neither the grid's sizes in it nor what a fit gets wrong. Ratios of all points of a
 * kind are one distribution (of what stores have workers do, those of one piece, since that several of them get in each other's
 * way is the simulator's to say), and its quantiles (GSL, linear between order statistics) are the profile's: the
 * simulator draws from them (sim/vary.h). A tail is what it was; a quantile that so few repetitions cannot know is
 * the largest that they know.
 */
#include "calibrate_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "resolve.h"

#define BIT(path) (1u << BE_PATH_##path)

/* Fewer say nothing of a 20th. */
enum { RATIOS_LEAST = 40 };

static const struct {
    uint32_t paths; /* bits */
    enum be_span span;
    const char *how;
} kinds[SIM_VARIED] = {
    [SIM_VARY_PROBE] = {BIT(REDIS_EXISTS), BE_SPAN_MEDIUM, "probes"},
    [SIM_VARY_GET] = {BIT(LOAD_REDIS), BE_SPAN_MEDIUM, "loads, until the last value was there"},
    [SIM_VARY_SET] = {BIT(STORE_REDIS), BE_SPAN_MEDIUM, "stores, from the last value made"},
    [SIM_VARY_READ] = {BIT(LOAD_DISK), BE_SPAN_MEDIUM, "loads, until the last file was read"},
    [SIM_VARY_WRITE] = {BIT(STORE_DISK), BE_SPAN_MEDIUM, "stores, from the last value made"},
    [SIM_VARY_DECODE] = {BIT(LOAD_REDIS) | BIT(LOAD_DISK), BE_SPAN_DECODE, "values verified"},
    [SIM_VARY_ENCODE] = {BIT(STORE_REDIS) | BIT(STORE_DISK), BE_SPAN_DECODE, "values made"},
    [SIM_VARY_UPLOAD] = {BIT(LOAD_REDIS) | BIT(LOAD_DISK), BE_SPAN_COPY,
                         "loads, copied into pages"},
    [SIM_VARY_DOWNLOAD] = {BIT(STORE_REDIS) | BIT(STORE_DISK) | BIT(STORE_HOST), BE_SPAN_COPY,
                           "stores, copied out of pages"},
    [SIM_VARY_GET_MANY] = {BIT(LOAD_REDIS), BE_SPAN_MEDIUM, "loads of four values and more"},
    [SIM_VARY_SET_MANY] = {BIT(STORE_REDIS), BE_SPAN_MEDIUM, "stores of four values and more"},
    [SIM_VARY_READ_MANY] = {BIT(LOAD_DISK), BE_SPAN_MEDIUM, "loads of four files and more"},
    [SIM_VARY_WRITE_MANY] = {BIT(STORE_DISK), BE_SPAN_MEDIUM, "stores of four files and more"},
};

/* Whether points of so many pieces say something of a kind. */
static bool counts(int kind, uint32_t pieces)
{
    switch (kind) {
    case SIM_VARY_GET:
    case SIM_VARY_SET:
    case SIM_VARY_READ:
    case SIM_VARY_WRITE:
        return pieces < SIM_MANY;
    case SIM_VARY_DECODE:
    case SIM_VARY_ENCODE:
    case SIM_VARY_DOWNLOAD:
        return pieces == 1;
    case SIM_VARY_PROBE:
    case SIM_VARY_UPLOAD:
        return true;
    default:
        return pieces >= SIM_MANY;
    }
}

/* The ratios of a kind, of pieces of at least least_b. */
static uint32_t collect(const struct calibrate *c, int kind, double least_b, double *ratios)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->samples.n_ratios; i++) {
        const struct be_ratio *r = &c->samples.ratios[i];
        if ((kinds[kind].paths >> r->path & 1) != 0 && r->span == kinds[kind].span &&
            (r->path == BE_PATH_REDIS_EXISTS || r->raw_b >= least_b) && counts(kind, r->pieces))
            ratios[n++] = r->ratio;
    }
    return n;
}

static int add_kind(struct calibrate *c, int kind, double *ratios, uint32_t n)
{
    /* Their names are static: values keep them. */
    static char names[SIM_VARIED][32];
    static const char *const keys[SIM_QUANTILES] = {"p1",  "p5",  "p10", "p25", "p50",
                                                    "p75", "p90", "p95", "p99"};
    char how[160];
    double before = 0;
    int rc = 0;
    snprintf(names[kind], sizeof names[kind], "local-%s", resolve_varied[kind]);
    snprintf(how, sizeof how, "%s, over the median of their point of the grid; %u repetitions",
             kinds[kind].how, (unsigned)n);
    for (int i = 0; rc == 0 && i < SIM_QUANTILES; i++) {
        const double q = fmax(be_quantile(ratios, n, sim_quantile_at[i]), 1e-3);
        before = fmax(before, q);
        rc =
            calibrate_add_value(c, "variations", names[kind], keys[i], CATALOG_NUMBER, before, how);
    }
    return rc;
}

int calibrate_vary(struct calibrate *c, double least_b)
{
    double *ratios = malloc((c->samples.n_ratios + 1) * sizeof *ratios);
    int rc = ratios ? 0 : -ENOMEM;
    for (int kind = 0; rc == 0 && kind < SIM_VARIED; kind++) {
        const uint32_t n = collect(c, kind, least_b, ratios);
        if (n >= RATIOS_LEAST)
            rc = add_kind(c, kind, ratios, n);
    }
    free(ratios);
    return rc;
}
