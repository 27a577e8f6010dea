/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * similar.h - prompts that were here before, and which of them is most like a new one.
 *
 * A bounded set of prompts (tokens, or the code points of a text), least recently used first out, and
 * one question: which of them has the highest ratio to a query (ratio.h, a = query, b = the prompt
 * here), if that is above a threshold? The answer is that of comparing with every one; the work is
 * not, because bounds from above are cheap. In this order, with n and m the lengths:
 *
 *      length   M <= min(n, m)
 *      bag      M <= elements in common in whatever order, by a sketch (grams.h)
 *      grams    M <= (G + (q - 1)(n + m + 1)) / (2q - 1), G the q-grams in common, by a sketch
 *      order    M <= the longest common subsequence with a beginning that many prompts here have, and all of
 *               what follows there (lcs.h)
 *      anchors  M <= the same less what is out of reach of all unpopular elements that follow (anchors.h); and what
 *               runs leave of that beginning, longest first, whatever follows (kvt_ratio_prefix)
 *      rest     M itself, from what is behind the prefix that both have, where that is short (kvt_ratio_rest)
 *      best     what cannot beat the best one so far, best bound first, of equals more grams first
 *      order    M <= the longest common subsequence of both; where none is popular, and the rests behind the common
 *               prefix are short and of few kinds of elements
 *      ratio    exact; gives up as soon as the wanted number of matches is out of reach
 *
 * The bound by grams is the q-gram lemma (Ukkonen, "Approximate string-matching with q-grams and
 * maximal matches", 1992) for blocks instead of edits. M matched elements in B blocks have at least
 * M - (q - 1) B grams in common. Two blocks have an unmatched element between them, in a or in b, so
 * B - 1 <= n + m - 2M. It says something where the threshold is above 2 (q - 1) / (2q - 1): q is 3
 * above 0.8, 2 above 2/3, and below that grams are not asked. Letters alone tell two texts in one
 * language hardly apart; their grams do.
 *
 * Prompts share beginnings. Each remembers the first prompt here that began as it does, its *stem*, and how much
 * they have in common. A query is held against the stem, once, and so against that much of every prompt: how
 * long the common prefix is, and how much of a beginning the query can have in order. What a stem has told is only a
 * saving: a prompt whose stem has gone is asked itself.
 *
 * A similar prompt is a hint, not a hit. KV depends on all tokens before it: what may be reused is the
 * longest common prefix, and kvt_similar_prefix says how long that is.
 *
 *   (S1) At most `capacity` prompts; the one used longest ago goes first.
 *   (S2) kvt_similar_find changes nothing but the counters.
 *   (S3) seen = by_length + by_bag + by_grams + by_rest + by_anchors + by_best + by_order + compared.
 *
 * Memory per prompt: 4 bytes per element (rounded up to a power of two), 4.4 KiB of sketches, a bit per element. Once: 490 KiB.
 */
#ifndef KVT_SIMILAR_H
#define KVT_SIMILAR_H

#include "anchors.h"
#include "grams.h"
#include "lcs.h"
#include "pool.h"
#include "ratio.h"

struct kvt_similar_config {
    double threshold;  /* 0 to 1; found is what lies above it */
    uint32_t capacity; /* prompts, at least 1 */
    uint32_t elements; /* of one prompt at most, up to KVT_RATIO_MOST; longer ones are not kept */
};

/* Over all look-ups so far. */
struct kvt_similar_counts {
    uint64_t lookups, found;
    uint64_t seen; /* pairs of a query and a prompt here */
    uint64_t by_length, by_bag, by_grams, by_rest, by_anchors, by_best,
        by_order;      /* told apart without comparing all, by what */
    uint64_t compared; /* in full, or the rest had it that it is above the best */
    uint64_t above; /* of the compared ones: above the threshold, and not below the best so far */
};

/* Found: a prompt and how like it is. */
struct kvt_similar_found {
    uint32_t prompt;
    uint32_t matches;
    double ratio;
    uint64_t tag;
};

struct kvt_similar_bid;   /* private: a candidate and its bound */
struct kvt_similar_stems; /* private: beginnings that prompts share */

struct kvt_similar {
    struct kvt_similar_counts counts;
    /* private: */
    struct kvt_similar_config config;
    const struct kvt_alloc *alloc;
    struct kvt_ratio ratio;
    struct kvt_anchors anchors;
    struct kvt_lcs lcs;
    struct kvt_pool prompts, sketches;
    struct kvt_slab elements; /* and the marks of their anchors */
    struct kvt_similar_bid *bids;
    struct kvt_similar_stems *stems;
    void *query;          /* its sketch */
    uint32_t first, last; /* most and least recently used */
    uint32_t count, q;
    uint64_t born;
};

/* 0 or -ENOMEM with nothing to release. alloc is borrowed. */
KVT_MUST_CHECK int kvt_similar_init(struct kvt_similar *s, const struct kvt_alloc *alloc,
                                    const struct kvt_similar_config *config);
void kvt_similar_release(struct kvt_similar *s); /* a zeroed one is fine */

/* Keeps a copy of a prompt as most recently used; tag is the caller's. When the set is full the one used
 * longest ago goes first. 0 and *prompt (dense, reused after removal); -EINVAL when it is empty or
 * longer than config.elements; -ENOMEM. After an error everything is as it was, but that one prompt may
 * have gone. */
KVT_MUST_CHECK int kvt_similar_add(struct kvt_similar *s, const uint32_t *elements, uint32_t n,
                                   uint64_t tag, uint32_t *prompt);
void kvt_similar_remove(struct kvt_similar *s, uint32_t prompt);
/* Makes it the most recently used. */
void kvt_similar_use(struct kvt_similar *s, uint32_t prompt);

/* The prompt with the highest ratio to the query above the threshold; of equals the one that was added
 * first. 1 and *found, 0 when there is none; -EINVAL when the query is longer than config.elements, or
 * -ENOMEM: then nothing is counted. Unless 1, found->prompt is KVT_NONE. */
KVT_MUST_CHECK int kvt_similar_find(struct kvt_similar *s, const uint32_t *query, uint32_t n,
                                    struct kvt_similar_found *found);

/* Elements from the start on in which the query and a prompt here are equal. */
uint32_t kvt_similar_prefix(const struct kvt_similar *s, uint32_t prompt, const uint32_t *query,
                            uint32_t n);
/* What may be reused of it: that prefix in whole blocks, of the same tokens at the same
 * places. block_tokens > 0. */
static inline uint32_t kvt_similar_reuse(const struct kvt_similar *s, uint32_t prompt,
                                         const uint32_t *query, uint32_t n, uint32_t block_tokens)
{
    const uint32_t same = kvt_similar_prefix(s, prompt, query, n);
    return same - same % block_tokens;
}
/* The prompt's elements, borrowed until the set changes. */
const uint32_t *kvt_similar_elements(const struct kvt_similar *s, uint32_t prompt, uint32_t *n);

/* Who goes when one more is added; KVT_NONE: there is room. */
static inline uint32_t kvt_similar_next_out(const struct kvt_similar *s)
{
    return s->count < s->config.capacity ? KVT_NONE : s->last;
}
/* The prompt that was used next before this one; KVT_NONE: none. Begin with s->first. */
uint32_t kvt_similar_after(const struct kvt_similar *s, uint32_t prompt);

size_t kvt_similar_memory_b(const struct kvt_similar *s);
/* Walks everything; for tests and asserts. */
bool kvt_similar_check(const struct kvt_similar *s);

#endif
