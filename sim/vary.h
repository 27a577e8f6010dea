/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * vary.h - how much longer or shorter than usual: ratios drawn from measured quantiles.
 *
 * What a machine does twice it does not do twice in the same time. A variation is the distribution
 * of time / usual time of one kind of work, as quantiles of what was measured; between two of them the inverse of
 * the distribution is a line, beyond the first and the last it ends. Nothing about its form is assumed: tails that
 * come from the operating system are as heavy as they were.
 *
 * Each kind has a stream of its own (core/mix.h), so that drawing from one shifts no other.
 */
#ifndef SIM_VARY_H
#define SIM_VARY_H

#include <stdbool.h>
#include <stdint.h>

enum { SIM_QUANTILES = 9 };
/* 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99 */
extern const double sim_quantile_at[SIM_QUANTILES];

struct sim_variation {
    bool present;                /* false: always as usual */
    double ratio[SIM_QUANTILES]; /* > 0, ascending */
};

/* The ratio at probability p in [0, 1]. 1 where there is no variation. */
double sim_variation_at(const struct sim_variation *v, double p);

struct sim_vary {
    struct sim_variation variation;
    uint64_t seed, draws;
};

/* A stream of the run's, by name. */
void sim_vary_init(struct sim_vary *v, const struct sim_variation *variation, uint64_t seed,
                   const char *name);
/* The next ratio. Without variation 1, and nothing is drawn. */
double sim_vary_next(struct sim_vary *v);

#endif
