/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * curves.h - pictures over a grid: bars, curves with bands, a heat map. What compare and sweep draw.
 *
 * All values go into one file, curves.csv, in long form, one line per metric and point, scaled to the unit
 * that its axis has; a script of plots/ draws one metric of it:
 *
 *      one numeric key (of one or more)       curves.gp: a curve for each choice of the other values
 *      two numeric keys and no other          heat.gp as well
 *      none                                   bars.gp: a bar for each point
 */
#ifndef CLI_CURVES_H
#define CLI_CURVES_H

#include "figure.h"
#include "out.h"
#include "vary.h"

struct curves {
    const struct vary *vary;
    const struct figures *metrics;
    /* Value and 95 % bounds (NAN: none) of a metric at a point, unscaled; value NAN: no such point. */
    void (*get)(void *self, size_t point, const char *metric, double value[3]);
    void *self;
    const char *subtitle;
    const char *band; /* what the bounds are, for the key; "" */
    bool heat;        /* heat maps wanted where they can be drawn */
    size_t reference; /* bars: a line at this point's value; SIZE_MAX: none */
    uint32_t jobs;    /* pictures drawn at a time; 0: one per processor */
};

/* Writes curves.csv into an open file. */
void curves_write(struct out *o, const struct curves *c);

/* Draws each metric into the folder `dir`, which has curves.csv, several at a time. Returns 0 or a negative errno with one line in
 * why. */
KVT_MUST_CHECK int curves_draw(const struct curves *c, const char *dir, char *why, size_t size);

#endif
