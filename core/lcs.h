/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lcs.h - how many elements of a sequence a query can have at most, if they must come in the same order.
 *
 * Matches of a ratio (ratio.h) are in order, so there are never more than the longest common subsequence has.
 * Bit vectors give its length, 64 elements of the query at a time (Hyyro, "Bit-parallel LCS-length
 * computation revisited", 2004); a common prefix is part of it. They take a bit per element of the query and kind of
 * element, so they are for text: elements below 256, queries of up to 8,192. For everything else what both have in
 * whatever order is asked instead. Tokens are of so many kinds that this is nearly as sharp.
 */
#ifndef KVT_LCS_H
#define KVT_LCS_H

#include "alloc.h"

/* Elements of a prefix that kvt_lcs_prefixes looks at. */
enum { KVT_LCS_MOST = 8192 };

struct kvt_lcs {
    /* private: */
    const struct kvt_alloc *alloc;
    uint64_t *bits; /* where each small element stands in the query, a vector of work; or counts */
    const uint32_t *query;
    uint32_t n, words; /* of one vector; 0: no vectors for this query */
};

/* 0 or -ENOMEM with nothing to release. alloc is borrowed. 257 KiB. */
KVT_MUST_CHECK int kvt_lcs_init(struct kvt_lcs *o, const struct kvt_alloc *alloc);
void kvt_lcs_release(struct kvt_lcs *o); /* a zeroed one is fine */
size_t kvt_lcs_memory_b(const struct kvt_lcs *o);

/* Takes a query, borrowed until the next one. */
void kvt_lcs_ask(struct kvt_lcs *o, const uint32_t *query, uint32_t n);

/* Of all of b: the prefix that both have, and the longest common subsequence behind it. Where that would be no
 * cheaper than comparing: the length of the shorter one. */
uint64_t kvt_lcs_bound(const struct kvt_lcs *o, const uint32_t *b, uint32_t n_b);

/* most[k]: of the first k elements of b, k = 0 .. n_b <= KVT_LCS_MOST; so n_b + 1 numbers. */
void kvt_lcs_prefixes(const struct kvt_lcs *o, const uint32_t *b, uint32_t n_b, uint32_t *most);

#endif
