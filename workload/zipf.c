/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * zipf.c - see zipf.h.
 */
#include "zipf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int wl_zipf_init(struct wl_zipf *zipf, uint32_t n, double s)
{
    zipf->n = n;
    zipf->sums = malloc(n * sizeof zipf->sums[0]);
    if (zipf->sums == NULL)
        return -ENOMEM;
    double sum = 0;
    for (uint32_t k = 0; k < n; k++)
        zipf->sums[k] = sum += pow(k + 1.0, -s);
    return 0;
}

/* The first rank whose sum is above the draw. */
uint32_t wl_zipf_draw(const struct wl_zipf *zipf, const gsl_rng *rng)
{
    const double draw = gsl_rng_uniform(rng) * zipf->sums[zipf->n - 1];
    uint32_t low = 0, high = zipf->n - 1;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (zipf->sums[middle] > draw)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void wl_zipf_release(struct wl_zipf *zipf)
{
    free(zipf->sums);
    zipf->sums = NULL;
}
