/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * plain_alloc.h - core's memory from malloc, counted, and able to refuse once.
 *
 * The size given back must be the size taken: live_b is zero at the end only then.
 */
#ifndef PLAIN_ALLOC_H
#define PLAIN_ALLOC_H

#include "../core/alloc.h"

#include <stdlib.h>

struct plain_alloc {
    size_t live_b, peak_b;
    uint64_t calls;
    uint64_t fail_at; /* this call, counted from 1, gets nothing; 0: none */
    bool failed;
};

static void *plain_get(void *self, size_t size_b)
{
    struct plain_alloc *a = self;
    if (++a->calls == a->fail_at) {
        a->failed = true;
        return NULL;
    }
    a->live_b += size_b;
    if (a->live_b > a->peak_b)
        a->peak_b = a->live_b;
    return malloc(size_b);
}

static void plain_put(void *self, void *memory, size_t size_b)
{
    struct plain_alloc *a = self;
    if (memory)
        a->live_b -= size_b;
    free(memory);
}

static inline struct kvt_alloc plain_alloc(struct plain_alloc *a)
{
    return (struct kvt_alloc){plain_get, plain_put, a};
}

#endif
