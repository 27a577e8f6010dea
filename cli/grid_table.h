/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * grid_table.h - the points of a grid as a table for people: a row per point, a column per figure.
 */
#ifndef CLI_GRID_TABLE_H
#define CLI_GRID_TABLE_H

#include <stdio.h>

#include "figure.h"
#include "vary.h"

struct grid_table {
    const struct vary *vary;
    const struct figures *metrics;
    /* As in struct curves. */
    void (*get)(void *self, size_t point, const char *metric, double value[3]);
    /* What stands in the row of a point without values ("not run"), or NULL: it has values. */
    const char *(*state)(void *self, size_t point);
    /* Is the row marked with *? (optional) */
    bool (*mark)(void *self, size_t point);
    void *self;
    bool bounds;      /* half of the interval beside each value */
    size_t rows_most; /* more are left out in the middle, and that is said; 0: all */
    bool colour;
};

void grid_table_print(FILE *out, const struct grid_table *t);

/* Figures that a table begins with: hits and evictions of the tiers that have any, latency and throughput unless
 * no time passes, cost when there is one. */
void grid_default_metrics(struct figures *f, const struct vary *vary, bool null_world,
                          void (*get)(void *self, size_t point, const char *metric,
                                      double value[3]),
                          void *self);

#endif
