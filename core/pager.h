/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pager.h - the pages of one engine's GPU memory: which are free, and which follow one another.
 *
 * KV is kept in pages of equal size that need not lie side by side, as virtual memory does it
 * (PagedAttention: Kwon et al., SOSP 2023). So any n free pages serve any request; what is lost is
 * only the unused end of a last page. contig.h shows what the same requests would lose without
 * pages.
 *
 * A page knows the pages next to it in its chain. The first page of a chain also knows the last one
 * and how many there are. Chains that were given back lie on stacks, whole:
 *
 *      free   [7 -> 3 -> 4 -> .]            run   0 -> 1 -> 6 -> .   {first 0, last 6, n 3}
 *             [2 -> 5 -> .]
 *
 * so giving back is O(1), and so is taking what was given back in the same size, which is what
 * blocks of equal size do all the time. 20 bytes per page. Chains used last, and warm in the
 * processor's cache, go out first; then come fresh pages in ascending order, so that the first runs
 * lie contiguously in memory. Fresh pages are not touched, hence a large pager costs nothing until
 * it is used.
 *
 *   (G1) fresh <= total; pages [fresh, total) were never taken.
 *   (G2) used + pages on the stacks = fresh.
 *   (G3) Every chain ends in KVT_NONE, and its first page tells its last and its length.
 *
 * A pager may also only count, within its total or, unlimited, without end: its pages then have no
 * numbers, first and last are KVT_NONE, and everything is O(1). Worlds without memory need no more.
 * Reference counts are the copies' (place.h), not the pages'.
 */
#ifndef KVT_PAGER_H
#define KVT_PAGER_H

#include "alloc.h"

#include <assert.h>

/* A chain of n pages in token order. Empty: n == 0, first and last KVT_NONE. Moved, not copied:
 * each chain has one owner. */
struct kvt_page_run {
    uint32_t first, last;
    uint32_t n;
};

struct kvt_page {
    uint32_t next, prev; /* prev is void for the first page of a chain */
    /* of the first page of a chain: */
    uint32_t last, n;
    uint32_t under; /* on the stack: the first page of the chain below */
};

struct kvt_pager {
    /* private: */
    const struct kvt_alloc *alloc;
    struct kvt_page *page; /* NULL: only counts */
    uint64_t total, used;
    uint32_t fresh;
    uint32_t quantum;   /* chains of this size have a stack of their own */
    uint32_t stacks[2]; /* first pages of the topmost chains: any size, quantum */
    void (*freed)(void *self, kvt_engine_id engine, uint32_t page); /* NULL: nobody is told */
    void *freed_self;
    kvt_engine_id engine;
};

/* Tells the size that runs will have most often, so that chains of that size are kept whole for
 * them: cutting a chain is the only thing that walks it. To be called before the first page is
 * taken. */
static inline void kvt_pager_expect(struct kvt_pager *p, uint32_t quantum)
{
    p->quantum = quantum;
}

/* From now on somebody is told of every page with a number that is given back, before it can be taken again. */
static inline void kvt_pager_tell(struct kvt_pager *p,
                                  void (*freed)(void *self, kvt_engine_id engine, uint32_t page),
                                  void *self, kvt_engine_id engine)
{
    p->freed = freed;
    p->freed_self = self;
    p->engine = engine;
}

/* `pages` free pages; UINT64_MAX: unlimited. Returns 0, -ENOMEM, or -EINVAL when there are more
 * than 32 bits can name. */
KVT_MUST_CHECK int kvt_pager_init(struct kvt_pager *p, const struct kvt_alloc *alloc,
                                  uint64_t pages);
/* The same without numbers; cannot fail. */
void kvt_pager_init_counting(struct kvt_pager *p, uint64_t pages);

/* More pages than before, or fewer but as many as are used, of one that only counts. */
static inline void kvt_pager_resize(struct kvt_pager *p, uint64_t pages)
{
    assert(!p->page && pages >= p->used);
    p->total = pages;
}

/* Also of one that is all zeroes. */
void kvt_pager_release(struct kvt_pager *p);

/* UINT64_MAX when unlimited. */
static inline uint64_t kvt_pager_total(const struct kvt_pager *p)
{
    return p->total;
}
static inline uint64_t kvt_pager_used(const struct kvt_pager *p)
{
    return p->used;
}
/* UINT64_MAX when unlimited. */
static inline uint64_t kvt_pager_free(const struct kvt_pager *p)
{
    return p->total == UINT64_MAX ? UINT64_MAX : p->total - p->used;
}

/* Takes n pages as a run. False, and *run empty, when fewer are free. n may be 0. O(1) for a
 * quantum that was given back, O(n) at most. */
KVT_MUST_CHECK static inline bool kvt_pager_take(struct kvt_pager *p, uint32_t n,
                                                 struct kvt_page_run *run);

/* Appends *more to *run; the caller forgets *more. O(1). */
void kvt_pager_append(struct kvt_pager *p, struct kvt_page_run *run,
                      const struct kvt_page_run *more);

/* Moves the first n <= run->n pages to *head; *run keeps the rest. O(the shorter part). */
void kvt_pager_split(struct kvt_pager *p, struct kvt_page_run *run, uint32_t n,
                     struct kvt_page_run *head);

/* Gives back the whole chain of n pages that starts at first (KVT_NONE when pages have no
 * numbers, or n == 0). O(1). */
static inline void kvt_pager_give(struct kvt_pager *p, uint32_t first, uint32_t n);

/* The page after `page` in its chain; KVT_NONE after the last, and without numbers. */
static inline uint32_t kvt_pager_next(const struct kvt_pager *p, uint32_t page)
{
    assert(page == KVT_NONE || !p->page || page < p->fresh);
    return page == KVT_NONE || !p->page ? KVT_NONE : p->page[page].next;
}

/* Bytes that the pager holds. */
size_t kvt_pager_memory_b(const struct kvt_pager *p);

/* The invariants above. O(free pages): for assert() and tests. */
bool kvt_pager_check(const struct kvt_pager *p);

/* ---- What only counts is counted in place ------------------------------------------------------ */

/* The same where pages have numbers. n > 0 in give. */
KVT_MUST_CHECK bool kvt_pager_take_numbered(struct kvt_pager *p, uint32_t n,
                                            struct kvt_page_run *run);
void kvt_pager_give_numbered(struct kvt_pager *p, uint32_t first, uint32_t n);

static inline bool kvt_pager_take(struct kvt_pager *p, uint32_t n, struct kvt_page_run *run)
{
    if (p->page)
        return kvt_pager_take_numbered(p, n, run);
    const bool there = kvt_pager_free(p) >= n;
    *run = (struct kvt_page_run){KVT_NONE, KVT_NONE, there ? n : 0};
    p->used += run->n;
    return there;
}

static inline void kvt_pager_give(struct kvt_pager *p, uint32_t first, uint32_t n)
{
    assert(n <= p->used);
    if (p->page && n)
        kvt_pager_give_numbered(p, first, n);
    else
        p->used -= n;
}

#endif
