/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * contig.h - what GPU memory would look like without pages: one contiguous region per request,
 * first fit.
 *
 * Inference servers before paging reserved a request's whole possible length at once and in one
 * piece. Kwon et al. ("Efficient Memory Management for Large Language Model Serving with
 * PagedAttention", SOSP 2023) name the two losses: inside the regions (reserved, not yet or never
 * used) and between them (holes too small for anyone). This allocator runs beside the pager on the
 * same requests, so that both losses are measured. It never decides anything.
 *
 * Memory is a line of tokens. Its holes stand in an array ordered by offset; taking cuts the lowest
 * hole that is large enough, giving back coalesces. A search is linear in the holes, of which there
 * is at most one more than there are regions: a few hundred.
 *
 *   (H1) Holes are ascending, not empty, and no two touch.
 *   (H2) Holes and regions together are the capacity.
 *   (H3) There is room for one hole more than there are regions, so giving back needs no memory.
 */
#ifndef KVT_CONTIG_H
#define KVT_CONTIG_H

#include "alloc.h"

/* No hole is large enough. */
#define KVT_CONTIG_NONE UINT64_MAX

struct kvt_hole {
    uint64_t offset, tokens;
};

struct kvt_contig {
    /* private: */
    const struct kvt_alloc *alloc;
    struct kvt_hole *holes;
    uint64_t capacity, free;
    size_t n_holes, room, n_regions;
};

/* One hole of capacity_tokens (UINT64_MAX: unlimited, which is just very long). 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_contig_init(struct kvt_contig *c, const struct kvt_alloc *alloc,
                                   uint64_t capacity_tokens);
/* Also of one that is all zeroes. */
void kvt_contig_release(struct kvt_contig *c);

/* Takes a region of tokens > 0. Returns its offset, or KVT_CONTIG_NONE when no hole is large
 * enough, or memory for the hole list is out. */
KVT_MUST_CHECK uint64_t kvt_contig_take(struct kvt_contig *c, uint64_t tokens);

/* Gives a whole region back, as taken. */
void kvt_contig_give(struct kvt_contig *c, uint64_t offset, uint64_t tokens);

/* Free in all, and in the largest single hole: what lies between is external fragmentation. */
static inline uint64_t kvt_contig_free_tokens(const struct kvt_contig *c)
{
    return c->free;
}
uint64_t kvt_contig_largest_hole(const struct kvt_contig *c);

/* The invariants above. O(holes): for assert() and tests. */
bool kvt_contig_check(const struct kvt_contig *c);

#endif
