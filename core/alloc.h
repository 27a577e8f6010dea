/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * alloc.h - where core gets its memory from.
 *
 * Core calls neither malloc nor free: the world hands it this table. Core asks for large segments
 * only (arena.h), most of them at start-up; a test can refuse the Nth request and see that nothing
 * breaks.
 */
#ifndef KVT_ALLOC_H
#define KVT_ALLOC_H

#include "types.h"

struct kvt_alloc {
    /* Returns size_b bytes aligned for any type, or NULL. Contents are undefined. */
    void *(*get)(void *self, size_t size_b);
    /* Takes back what get returned; size_b is the same as then. NULL is ignored. */
    void (*put)(void *self, void *memory, size_t size_b);
    void *self;
};

#endif
