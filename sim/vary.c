/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * vary.c - ratios drawn by inversion of a piecewise linear distribution; see vary.h.
 */
#include "vary.h"

#include "../core/mix.h"

const double sim_quantile_at[SIM_QUANTILES] = {0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99};

double sim_variation_at(const struct sim_variation *v, double p)
{
    if (!v->present)
        return 1;
    if (p <= sim_quantile_at[0])
        return v->ratio[0];
    for (int i = 1; i < SIM_QUANTILES; i++) {
        const double from = sim_quantile_at[i - 1], to = sim_quantile_at[i];
        if (p <= to)
            return v->ratio[i - 1] + (v->ratio[i] - v->ratio[i - 1]) * (p - from) / (to - from);
    }
    return v->ratio[SIM_QUANTILES - 1];
}

void sim_vary_init(struct sim_vary *v, const struct sim_variation *variation, uint64_t seed,
                   const char *name)
{
    *v = (struct sim_vary){.variation = *variation, .seed = kvt_stream_seed(seed, name, 0)};
}

double sim_vary_next(struct sim_vary *v)
{
    if (!v->variation.present)
        return 1;
    const uint64_t word = kvt_mix64(v->seed + ++v->draws * UINT64_C(0x9e3779b97f4a7c15));
    return sim_variation_at(&v->variation, (double)(word >> 11) * 0x1p-53);
}
