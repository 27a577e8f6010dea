/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * failing_alloc.h - memory for core (core/alloc.h) that fails on demand and keeps the books.
 *
 * The Nth request fails, once or from then on. Every block remembers its size in front of it, so
 * giving back another size, twice, or something else is found at once; failing_alloc_clean says
 * whether everything came back. The usual loop, which ends because a run without failure makes
 * finitely many requests:
 *
 *      for (uint64_t n = 1;; n++) {
 *          const struct kvt_alloc *alloc = failing_alloc_init(&f, n);
 *          ... use; expect either success or -ENOMEM with nothing broken ...
 *          ck_assert(failing_alloc_clean(&f));
 *          if (f.gets < n)
 *              break;
 *      }
 */
#ifndef FAILING_ALLOC_H
#define FAILING_ALLOC_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"

#define FAILING_ALLOC_LIVE UINT64_C(0x6b76742d6c697665)

struct failing_alloc {
    struct kvt_alloc alloc;
    uint64_t gets;    /* requests so far */
    uint64_t fail_at; /* the one to fail, from 1; 0: none */
    bool for_good;    /* and all after it */
    uint64_t blocks;  /* held by the user */
    size_t in_use_b;
    uint64_t wrong; /* given back with another size, or never taken */
};

struct failing_alloc_head {
    _Alignas(16) uint64_t live;
    size_t size_b;
};

static inline void *failing_alloc_get(void *self, size_t size_b)
{
    struct failing_alloc *f = self;
    f->gets++;
    if (f->fail_at && (f->gets == f->fail_at || (f->for_good && f->gets > f->fail_at)))
        return NULL;
    struct failing_alloc_head *head = malloc(sizeof *head + size_b);
    if (!head)
        abort();
    *head = (struct failing_alloc_head){FAILING_ALLOC_LIVE, size_b};
    memset(head + 1, 0xa5, size_b < 65536 ? size_b : 65536); /* contents are undefined: prove it */
    f->blocks++;
    f->in_use_b += size_b;
    return head + 1;
}

static inline void failing_alloc_put(void *self, void *memory, size_t size_b)
{
    struct failing_alloc *f = self;
    if (!memory)
        return;
    struct failing_alloc_head *head = (struct failing_alloc_head *)memory - 1;
    if (head->live != FAILING_ALLOC_LIVE || head->size_b != size_b) {
        f->wrong++;
        return;
    }
    head->live = 0;
    f->blocks--;
    f->in_use_b -= size_b;
    free(head);
}

static inline const struct kvt_alloc *failing_alloc_init(struct failing_alloc *f, uint64_t fail_at)
{
    *f = (struct failing_alloc){
        .alloc = {failing_alloc_get, failing_alloc_put, f},
        .fail_at = fail_at,
    };
    return &f->alloc;
}

/* Everything was given back, with the right sizes. */
static inline bool failing_alloc_clean(const struct failing_alloc *f)
{
    return f->blocks == 0 && f->in_use_b == 0 && f->wrong == 0;
}

#endif
