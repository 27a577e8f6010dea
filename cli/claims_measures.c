/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims_measures.c - what a claim can be about, by name; see claims_impl.h.
 */
#include <string.h>

#include "claims_impl.h"
#include "near.h"

static const struct claim_measure *const tables[] = {claim_sizes, claim_times, claim_money,
                                                     claim_matching};

enum { TABLES = sizeof tables / sizeof *tables, MEASURES_MOST = 64 };

const struct claim_measure *claim_measure_named(const char *name, char *error, size_t size)
{
    const char *names[MEASURES_MOST];
    size_t n = 0;
    for (size_t t = 0; t < TABLES; t++)
        for (const struct claim_measure *m = tables[t]; m->name && n < MEASURES_MOST; m++) {
            names[n++] = m->name;
            if (strcmp(name, m->name) == 0)
                return m;
        }
    snprintf(error, size, "expected one of ");
    near_list(error, size, names, n);
    return NULL;
}
