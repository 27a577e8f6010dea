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
    zipf->table = NULL;
    if (n == 1)
        return 0;
    double *weights = malloc(n * sizeof weights[0]);
    if (weights == NULL)
        return -ENOMEM;
    for (uint32_t k = 0; k < n; k++)
        weights[k] = pow(k + 1.0, -s);
    zipf->table = gsl_ran_discrete_preproc(n, weights);
    free(weights);
    return zipf->table != NULL ? 0 : -ENOMEM;
}

uint32_t wl_zipf_draw(const struct wl_zipf *zipf, const gsl_rng *rng)
{
    return zipf->table != NULL ? (uint32_t)gsl_ran_discrete(rng, zipf->table) : 0;
}

void wl_zipf_release(struct wl_zipf *zipf)
{
    if (zipf->table != NULL)
        gsl_ran_discrete_free(zipf->table);
    zipf->table = NULL;
}
