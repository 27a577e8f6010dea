/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * coarse.h - sessions in order of their last use, each as one object with a size: how many blocks lie before it?
 *
 * Prompts are numbered 0, 1, 2, ...; an object lies where the last prompt that used it lies, with its size in
 * blocks. A Fenwick tree over the prompts sums sizes.
 */
#ifndef WL_COARSE_H
#define WL_COARSE_H

#include "../core/types.h"

struct wl_object {
    uint32_t last; /* prompt; KVT_NONE: never used */
    uint32_t size; /* blocks */
};

struct wl_coarse {
    uint64_t *tree; /* [0] unused */
    uint64_t n, total;
};

/* For n prompts. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_coarse_init(struct wl_coarse *coarse, uint64_t n);
void wl_coarse_release(struct wl_coarse *coarse);

/* Blocks of objects that were used after that prompt. */
uint64_t wl_coarse_after(const struct wl_coarse *coarse, uint64_t prompt);

/* prompt uses the object, which has `size` blocks from now on. */
void wl_coarse_use(struct wl_coarse *coarse, struct wl_object *object, uint64_t prompt,
                   uint32_t size);

#endif
