/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * siblings.h - blocks by the tokens they hold: which of those behind this block begins most like that?
 *
 * Keys of blocks answer for whole blocks only. Here each known block lies under the key of the block before it
 * and its own tokens, so that the part of a block that is the same in another one is found to the token.
 * Equal parents mean equal tokens, tenant, model epoch and layout before it (key.h): what two siblings begin
 * with has the same KV in both.
 *
 * The set is a crit-bit tree (D. J. Bernstein, "Crit-bit trees"; D. R. Morrison, "PATRICIA", J. ACM 15(4), 1968): all
 * strings have one length, 4 words of parent and block_tokens words of tokens; a node knows the first bit in
 * which those below it differ, and nothing else.
 *
 *      tokens        1 2 3 4              bit of word 1
 *                    1 2 7 7             /             \
 *                    1 5 5 5       bit of word 2     1 5 5 5
 *                                  /         \
 *                              1 2 3 4     1 2 7 7
 *
 *   (Y1) A leaf for each pair of parent and tokens; one node less than leaves.
 *   (Y2) Positions grow on the way down. So all that begins with the same n tokens is one subtree, its leaves
 *        stand in the order of their tokens as numbers, and its shape does not depend on the order of adding.
 *
 * It does not know what is held where: the caller says so, leaf by leaf, when it asks, and sweeps out the
 * rest now and then.
 *
 * Memory: 64 bytes and the tokens (4 bytes each, rounded up to a power of two) per block.
 */
#ifndef KVT_SIBLINGS_H
#define KVT_SIBLINGS_H

#include "pool.h"
#include "types.h"

struct kvt_siblings {
    /* private: */
    uint32_t block_tokens;
    uint32_t root;
    struct kvt_pool leaves, nodes;
    struct kvt_slab tokens;
};

/* Takes no memory yet. alloc is borrowed. block_tokens is at most 2^20. */
void kvt_siblings_init(struct kvt_siblings *s, const struct kvt_alloc *alloc,
                       uint32_t block_tokens);
void kvt_siblings_release(struct kvt_siblings *s);

static inline uint64_t kvt_siblings_count(const struct kvt_siblings *s)
{
    return s->leaves.in_use;
}

/* The block with that number and key stands behind `parent` and holds these tokens, block_tokens of them. A
 * leaf that says so already gets the number anew, since numbers are used again. 0, or -ENOMEM with the set
 * unchanged. */
KVT_MUST_CHECK int kvt_siblings_add(struct kvt_siblings *s, kvt_key parent, const uint32_t *tokens,
                                    uint32_t block, kvt_key key);

/* May the block be used? Called while looking and sweeping; must not change the set. */
typedef bool kvt_sibling_test(void *self, uint32_t block, kvt_key key);

/* Of the usable blocks behind `parent`, the one that shares most of the n <= block_tokens tokens from the
 * first on; of several, the first in the order of their tokens. Returns how many, and *block; 0: none. */
uint32_t kvt_siblings_find(const struct kvt_siblings *s, kvt_key parent, const uint32_t *tokens,
                           uint32_t n, kvt_sibling_test *usable, void *self, uint32_t *block);

/* Forgets every block that is not to be kept. */
void kvt_siblings_sweep(struct kvt_siblings *s, kvt_sibling_test *keep, void *self);

size_t kvt_siblings_memory_b(const struct kvt_siblings *s);
/* (Y1), (Y2); for tests and asserts. */
bool kvt_siblings_check(const struct kvt_siblings *s);

#endif
