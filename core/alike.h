/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * alike.h - prompts that were computed before, kept as tokens: what they add to matching by keys.
 *
 * Keys of blocks say whether a prefix is the same, and nothing else. Where requests bring their
 * tokens, two more things can be asked of the prompts that came before:
 *
 *   similar   which of them is most like this one, and how many tokens do both begin with?
 *             (similar.h: ratio above a threshold; letters are compared where there are any)
 *   longest   how many tokens does this one begin with that any of them begins with as well?
 *             (radix.h: to the token, where keys tell whole blocks only)
 *
 * Both are hints: neither knows which tier still holds the KV of those tokens, or whether any does.
 * Prompts of all tenants are kept together; what may be reused is looked up by the asking prompt's
 * own keys, which tell tenants apart where they are salted.
 *
 *   (A1) A prompt is kept once, however often it comes. One that comes again counts as used again.
 *   (A2) Of the similar ones at most `prompts` are kept, of the tree at most `tree_tokens` tokens; least
 *        recently used goes first in both.
 *   (A3) Running out of memory loses hints and nothing else: a prompt is not kept, or not found.
 *
 * Memory: that of similar.h and radix.h, 24 bytes and the tokens beside letters, 21 bytes of index.
 */
#ifndef KVT_ALIKE_H
#define KVT_ALIKE_H

#include "idmap.h"
#include "radix.h"
#include "similar.h"

/* Tokens, and letters, of one prompt at most: longer ones are neither asked about nor kept. */
enum { KVT_ALIKE_MOST = 1 << 24 };

struct kvt_alike_config {
    double threshold; /* 0: no similar prompts */
    uint32_t prompts;
    bool tree;            /* the longest common prefix */
    uint64_t tree_tokens; /* UINT64_MAX: no bound */
};

/* A prompt's tokens, and its text where it came as text; borrowed during a call. */
struct kvt_wording {
    const uint32_t *tokens, *letters; /* letters: NULL, or the text's code points */
    uint32_t n_tokens, n_letters;
};

struct kvt_alike {
    struct kvt_similar similar;
    struct kvt_radix tree;
    /* private: */
    struct kvt_alike_config config;
    const struct kvt_alloc *alloc;
    struct kvt_pool kept; /* by number in `similar` */
    struct kvt_slab tokens;
    struct kvt_idmap by_hash;
};

/* 0 or -ENOMEM with nothing to release. alloc is borrowed. */
KVT_MUST_CHECK int kvt_alike_init(struct kvt_alike *a, const struct kvt_alloc *alloc,
                                  const struct kvt_alike_config *config);
void kvt_alike_release(struct kvt_alike *a); /* a zeroed one is fine */

/* Is there anything to ask? */
static inline bool kvt_alike_on(const struct kvt_alike *a)
{
    return a->config.threshold > 0 || a->config.tree;
}

/* Looks for the most similar prompt. True when there is one above the threshold: then *same tokens from the start
 * on are equal in both, compared one by one. It counts as used. */
bool kvt_alike_similar(struct kvt_alike *a, const struct kvt_wording *w, uint32_t *same);
/* Tokens from the start on that some prompt in the tree has as well. */
uint32_t kvt_alike_longest(const struct kvt_alike *a, const struct kvt_wording *w);

/* The prompt's KV was computed: it may be found from now on. The wording is copied. */
void kvt_alike_keep(struct kvt_alike *a, const struct kvt_wording *w);

size_t kvt_alike_memory_b(const struct kvt_alike *a);
/* Walks everything; for tests and asserts. */
bool kvt_alike_check(const struct kvt_alike *a);

#endif
