/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * heap.h - malloc and free as core's allocator, for tests and benchmarks that neither count memory nor refuse it
 * (failing_alloc.h does both).
 */
#ifndef TESTS_HEAP_H
#define TESTS_HEAP_H

#include <stdlib.h>

#include "../core/alloc.h"

static inline void *heap_get(void *self, size_t size_b)
{
    (void)self;
    return malloc(size_b);
}

static inline void heap_put(void *self, void *memory, size_t size_b)
{
    (void)self;
    (void)size_b;
    free(memory);
}

static const struct kvt_alloc heap = {heap_get, heap_put, NULL};

#endif
