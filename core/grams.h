/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * grams.h - a sequence by its elements and its q-grams, counted by hash: what two have in common at most.
 *
 * Counts are saturating bytes; what did not fit is in one sum. So what two sketches have in common is never less
 * than what the sequences have, in whatever order. What that says of a ratio: similar.h.
 */
#ifndef KVT_GRAMS_H
#define KVT_GRAMS_H

#include "types.h"

enum { KVT_GRAMS_BAG_B = 256, KVT_GRAMS_B = 4096 };

struct kvt_grams {
    /* private: */
    uint8_t bag[KVT_GRAMS_BAG_B], grams[KVT_GRAMS_B];
    uint32_t bag_more, grams_more; /* not counted because a byte was full */
    uint32_t unused[2];            /* records stay whole vectors */
};

/* Counts n elements, and their grams of q elements each; q == 0: no grams. */
void kvt_grams_draw(struct kvt_grams *k, uint32_t q, const uint32_t *elements, uint32_t n);

/* Elements in common, at most; grams. */
uint32_t kvt_grams_bag(const struct kvt_grams *x, const struct kvt_grams *y);
uint32_t kvt_grams_common(const struct kvt_grams *x, const struct kvt_grams *y);

#endif
