/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * radix.h - cached token sequences as a tree, so that a prefix is found to the token, not to the block.
 *
 * Each node but the root is a run of tokens; the path from the root to a node spells a cached
 * sequence. A new sequence shares nodes as far as it agrees, a node is split where it stops agreeing.
 * After RadixAttention (Zheng et al., "SGLang: Efficient Execution of Structured Language Model
 * Programs", NeurIPS 2024).
 *
 * What it adds to a chain of block keys is the part of a block behind the last full one: with pages of
 * p tokens, kvt_radix_whole(match, p) tokens can be reused, whatever the block size.
 *
 *      "a b c d e"         [a b]            one path, three sequences
 *      "a b c x"          /     \           held counts the sequences in use that
 *      "a b y"        [c]        [y]        go through a node
 *                    /   \
 *                [d e]   [x]
 *
 *   (R1) Children of one node begin with different tokens; no node but the root is empty.
 *   (R2) A node is held by as many users as all of its children together, or more.
 *   (R3) Unheld nodes are in a list by last use, the parent always before its child: so the last in
 *        the list is a leaf, and who goes next is known without a search.
 *   (R4) `tokens` is the sum over all nodes, and at most `capacity` .
 *
 * Nodes are not joined again when what made them split has gone: both parts keep their own last use.
 *
 * Memory: 48 bytes per node, 4 per token (rounded up per node to a power of two), 4 to 8 per node for
 * finding children.
 */
#ifndef KVT_RADIX_H
#define KVT_RADIX_H

#include "pool.h"

struct kvt_radix {
    uint64_t tokens;  /* held by the tree */
    uint64_t evicted; /* so far */
    /* private: */
    const struct kvt_alloc *alloc;
    uint64_t capacity;
    struct kvt_pool nodes;
    struct kvt_slab runs;
    uint32_t *heads; /* children by parent and first token: chains through nodes */
    uint32_t heads_n;
    uint32_t first, last; /* unheld nodes, by last use */
};

/* The node that all sequences start from. */
enum { KVT_RADIX_ROOT = 0 };

/* For `capacity` tokens at most; UINT64_MAX: no bound. 0 or -ENOMEM with nothing to release. */
KVT_MUST_CHECK int kvt_radix_init(struct kvt_radix *t, const struct kvt_alloc *alloc,
                                  uint64_t capacity);
void kvt_radix_release(struct kvt_radix *t); /* a zeroed one is fine */

/* Tokens from the start on that some cached sequence has as well. Changes nothing. */
uint64_t kvt_radix_match(const struct kvt_radix *t, const uint32_t *tokens, uint64_t n);
/* The same, and *node the one in which (or at whose end) they stop agreeing: KVT_RADIX_ROOT for 0. */
uint64_t kvt_radix_find(const struct kvt_radix *t, const uint32_t *tokens, uint64_t n,
                        uint32_t *node);
/* The node before it on its path; KVT_RADIX_ROOT for the first. node is not the root. */
uint32_t kvt_radix_parent(const struct kvt_radix *t, uint32_t node);

/* Of a match, what can be reused in whole pages. page_tokens > 0. */
static inline uint64_t kvt_radix_whole(uint64_t match, uint32_t page_tokens)
{
    return match - match % page_tokens;
}

/* Caches a sequence and holds it: nothing of it goes before kvt_radix_drop(*node), which has to come
 * once. Makes room by evicting what is held by nobody. 0; -ENOSPC when what is in use leaves too
 * little room, -ENOMEM: then nothing is held, but something may have been evicted, and a node split.
 * n is at most UINT32_MAX - 1. */
KVT_MUST_CHECK int kvt_radix_hold(struct kvt_radix *t, const uint32_t *tokens, uint64_t n,
                                  uint32_t *node);
/* The sequence that ends at the node is in use no more: cached, as most recently used. */
void kvt_radix_drop(struct kvt_radix *t, uint32_t node);

/* The leaf that would go next, or KVT_NONE when all are held. */
uint32_t kvt_radix_victim(const struct kvt_radix *t);
/* Lets it go: how many tokens, 0 when there was none. */
uint64_t kvt_radix_evict(struct kvt_radix *t);

/* Length of the path to a node; and its last `n` tokens, n being at most that. */
uint64_t kvt_radix_depth(const struct kvt_radix *t, uint32_t node);
void kvt_radix_path(const struct kvt_radix *t, uint32_t node, uint32_t *tokens, uint64_t n);
/* Tokens of the node alone. */
uint32_t kvt_radix_run(const struct kvt_radix *t, uint32_t node);

size_t kvt_radix_memory_b(const struct kvt_radix *t);
/* Walks everything; for tests and asserts. */
bool kvt_radix_check(const struct kvt_radix *t);

#endif
