/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * hyperloglog.h - how many distinct things, of very many, from 64 KiB: HyperLogLog.
 *
 * Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog", AofA 2007: 2^16 registers hold the longest run of leading
 * zeros among hashes that fall to them. The number is read off by the estimator of Ertl, "New cardinality
 * estimation algorithms for HyperLogLog sketches", arXiv 1702.01284, 2017, section 4, which has no bias in
 * between few and many (the first one is a few per cent high around 2.5 things a register).
 *
 * Standard error: 1.04 / sqrt(65536) = 0.41 %.
 */
#ifndef WL_HYPERLOGLOG_H
#define WL_HYPERLOGLOG_H

#include "../core/types.h"

enum { WL_SKETCH_BITS = 16, WL_SKETCH_SIZE = 1 << WL_SKETCH_BITS };

/* Zero-initialised is empty. Large: not for the stack. */
struct wl_sketch {
    uint8_t longest[WL_SKETCH_SIZE];
};

/* hash: 64 mixed bits of the thing. */
void wl_sketch_add(struct wl_sketch *sketch, uint64_t hash);
double wl_sketch_count(const struct wl_sketch *sketch);
/* Relative standard error of the count. */
double wl_sketch_error(void);

#endif
