/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * siblings.c - see siblings.h. A reference is a leaf's number, with the top bit set, or a node's; the leaves
 * and nodes know what is above them, so nothing here needs a stack.
 *
 * Looking up goes down by the asked tokens' own bits to some leaf. In a crit-bit tree that leaf shares as
 * much with them as any, which is found by comparing once. From there it goes up: the higher the subtree, the
 * less its leaves share, and each is searched in order, without the part that was searched before.
 */
#include "siblings.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { SHIFT = 10, PARENT_WORDS = 4, WORD_BITS = 32 };

#define LEAF (1u << 31)

struct leaf {
    kvt_key parent, key;
    uint32_t block;
    uint32_t up;      /* node; KVT_NONE: the root */
    uint32_t *tokens; /* NULL: not in use */
};

struct node {
    uint32_t child[2];
    uint32_t up;
    uint32_t at; /* bit in which those below differ: word * 32, and 0 for the top one of it */
};

/* What is looked for; tokens behind the n-th are not known. */
struct wanted {
    uint32_t parent[PARENT_WORDS];
    const uint32_t *tokens;
    uint32_t n;
};

static struct leaf *leaf_at(const struct kvt_siblings *s, uint32_t ref)
{
    return kvt_pool_at(&s->leaves, ref & ~LEAF);
}

static struct node *node_at(const struct kvt_siblings *s, uint32_t ref)
{
    return kvt_pool_at(&s->nodes, ref);
}

static bool is_leaf(uint32_t ref)
{
    return ref & LEAF;
}

static uint32_t *up_of(const struct kvt_siblings *s, uint32_t ref)
{
    return is_leaf(ref) ? &leaf_at(s, ref)->up : &node_at(s, ref)->up;
}

static struct wanted wanted_of(kvt_key parent, const uint32_t *tokens, uint32_t n)
{
    struct wanted w = {.tokens = tokens, .n = n};
    memcpy(w.parent, &parent, sizeof parent);
    return w;
}

/* 0 where that is not known. */
static uint32_t bit_of(const struct wanted *w, uint32_t at)
{
    const uint32_t i = at / WORD_BITS;
    if (i >= PARENT_WORDS + w->n)
        return 0;
    const uint32_t word = i < PARENT_WORDS ? w->parent[i] : w->tokens[i - PARENT_WORDS];
    return word >> (WORD_BITS - 1 - at % WORD_BITS) & 1u;
}

static uint32_t descend(const struct kvt_siblings *s, const struct wanted *w)
{
    uint32_t ref = s->root;
    while (!is_leaf(ref)) {
        const struct node *n = node_at(s, ref);
        ref = n->child[bit_of(w, n->at)];
    }
    return ref;
}

/* The first bit in which the leaf differs, or the end of what is known. */
static uint32_t differs_at(const struct kvt_siblings *s, uint32_t ref, const struct wanted *w)
{
    const struct leaf *leaf = leaf_at(s, ref);
    uint32_t i = 0, parent[PARENT_WORDS];
    memcpy(parent, &leaf->parent, sizeof parent);
    while (i < PARENT_WORDS && parent[i] == w->parent[i])
        i++;
    if (i < PARENT_WORDS)
        return i * WORD_BITS + (uint32_t)__builtin_clz(parent[i] ^ w->parent[i]);
    for (i = 0; i < w->n && leaf->tokens[i] == w->tokens[i];)
        i++;
    const uint32_t at = (PARENT_WORDS + i) * WORD_BITS;
    return i == w->n ? at : at + (uint32_t)__builtin_clz(leaf->tokens[i] ^ w->tokens[i]);
}

void kvt_siblings_init(struct kvt_siblings *s, const struct kvt_alloc *alloc, uint32_t block_tokens)
{
    *s = (struct kvt_siblings){.block_tokens = block_tokens, .root = KVT_NONE};
    kvt_pool_init(&s->leaves, alloc, sizeof(struct leaf), SHIFT);
    kvt_pool_init(&s->nodes, alloc, sizeof(struct node), SHIFT);
    kvt_slab_init(&s->tokens, alloc);
}

void kvt_siblings_release(struct kvt_siblings *s)
{
    kvt_pool_release(&s->leaves);
    kvt_pool_release(&s->nodes);
    kvt_slab_release(&s->tokens);
}

/* ---- Adding -------------------------------------------------------------------------------------- */

/* A leaf that stands nowhere yet. KVT_NONE: no memory for it and the node that it will need. */
static uint32_t new_leaf(struct kvt_siblings *s, kvt_key parent, const uint32_t *tokens)
{
    if (kvt_pool_reserve(&s->nodes, 1) || kvt_pool_reserve(&s->leaves, 1))
        return KVT_NONE;
    uint32_t *own = kvt_slab_take(&s->tokens, s->block_tokens);
    if (!own)
        return KVT_NONE;
    memcpy(own, tokens, s->block_tokens * sizeof *own);
    const uint32_t leaf = kvt_pool_take(&s->leaves);
    assert(leaf < LEAF - 1); /* each has tokens somewhere */
    *leaf_at(s, leaf) = (struct leaf){.parent = parent, .up = KVT_NONE, .tokens = own};
    return leaf | LEAF;
}

/* Whatever pointed to `from` points to `to`. */
static void replace(struct kvt_siblings *s, uint32_t from, uint32_t to)
{
    const uint32_t up = *up_of(s, from);
    *up_of(s, to) = up;
    if (up == KVT_NONE)
        s->root = to;
    else
        node_at(s, up)->child[node_at(s, up)->child[1] == from] = to;
}

/* A new leaf, beside the highest subtree all of which differs from it in bit `at`. */
static void insert(struct kvt_siblings *s, uint32_t leaf, uint32_t below, uint32_t at, uint32_t bit)
{
    for (uint32_t up; (up = *up_of(s, below)) != KVT_NONE && node_at(s, up)->at > at;)
        below = up;
    const uint32_t node = kvt_pool_take(&s->nodes);
    replace(s, below, node);
    struct node *n = node_at(s, node);
    n->at = at;
    n->child[bit] = leaf;
    n->child[!bit] = below;
    *up_of(s, leaf) = *up_of(s, below) = node;
}

int kvt_siblings_add(struct kvt_siblings *s, kvt_key parent, const uint32_t *tokens, uint32_t block,
                     kvt_key key)
{
    const struct wanted w = wanted_of(parent, tokens, s->block_tokens);
    const uint32_t end = (PARENT_WORDS + s->block_tokens) * WORD_BITS;
    const uint32_t near = s->root == KVT_NONE ? KVT_NONE : descend(s, &w);
    const uint32_t at = near == KVT_NONE ? 0 : differs_at(s, near, &w);
    const bool known = at == end;
    const uint32_t leaf = known ? near : new_leaf(s, parent, tokens);
    if (leaf == KVT_NONE)
        return -ENOMEM;
    leaf_at(s, leaf)->block = block;
    leaf_at(s, leaf)->key = key;
    if (near == KVT_NONE)
        s->root = leaf;
    else if (!known)
        insert(s, leaf, near, at, bit_of(&w, at));
    return 0;
}

/* ---- Looking up ---------------------------------------------------------------------------------- */

/* The first usable leaf below `top`, but not below `done`; or KVT_NONE. */
static uint32_t first_usable(const struct kvt_siblings *s, uint32_t top, uint32_t done,
                             kvt_sibling_test *usable, void *self)
{
    for (uint32_t ref = top;;) {
        if (ref != done && !is_leaf(ref)) {
            ref = node_at(s, ref)->child[0];
            continue;
        }
        if (ref != done && usable(self, leaf_at(s, ref)->block, leaf_at(s, ref)->key))
            return ref;
        for (;;) { /* to what comes next */
            if (ref == top)
                return KVT_NONE;
            const struct node *up = node_at(s, *up_of(s, ref));
            if (up->child[0] == ref) {
                ref = up->child[1];
                break;
            }
            ref = *up_of(s, ref);
        }
    }
}

uint32_t kvt_siblings_find(const struct kvt_siblings *s, kvt_key parent, const uint32_t *tokens,
                           uint32_t n, kvt_sibling_test *usable, void *self, uint32_t *block)
{
    assert(n <= s->block_tokens);
    *block = KVT_NONE;
    if (s->root == KVT_NONE)
        return 0;
    const struct wanted w = wanted_of(parent, tokens, n);
    uint32_t top = descend(s, &w), done = KVT_NONE;
    uint32_t words = differs_at(s, top, &w) / WORD_BITS; /* that all below `top` have in common */
    while (words > PARENT_WORDS) {
        uint32_t up;
        while ((up = *up_of(s, top)) != KVT_NONE && node_at(s, up)->at / WORD_BITS >= words)
            top = up;
        const uint32_t leaf = first_usable(s, top, done, usable, self);
        if (leaf != KVT_NONE) {
            *block = leaf_at(s, leaf)->block;
            return words - PARENT_WORDS;
        }
        if (up == KVT_NONE)
            return 0;
        done = top;
        words = node_at(s, up)->at / WORD_BITS;
    }
    return 0;
}

/* ---- Forgetting ---------------------------------------------------------------------------------- */

static void forget(struct kvt_siblings *s, uint32_t ref)
{
    struct leaf *leaf = leaf_at(s, ref);
    const uint32_t up = leaf->up;
    if (up == KVT_NONE) {
        s->root = KVT_NONE;
    } else {
        const struct node *n = node_at(s, up);
        replace(s, up, n->child[n->child[0] == ref]);
        kvt_pool_give(&s->nodes, up);
    }
    kvt_slab_give(&s->tokens, leaf->tokens, s->block_tokens);
    leaf->tokens = NULL;
    kvt_pool_give(&s->leaves, ref & ~LEAF);
}

void kvt_siblings_sweep(struct kvt_siblings *s, kvt_sibling_test *keep, void *self)
{
    for (uint32_t i = 0; i < s->leaves.fresh; i++) {
        const struct leaf *leaf = leaf_at(s, i);
        if (leaf->tokens && !keep(self, leaf->block, leaf->key))
            forget(s, i | LEAF);
    }
}

/* ---- Looking ------------------------------------------------------------------------------------- */

size_t kvt_siblings_memory_b(const struct kvt_siblings *s)
{
    return kvt_pool_memory_b(&s->leaves) + kvt_pool_memory_b(&s->nodes) + s->tokens.memory_b;
}

/* What is above the leaf leads down to it, in growing positions. */
static bool check_leaf(const struct kvt_siblings *s, uint32_t ref)
{
    const struct leaf *leaf = leaf_at(s, ref);
    const struct wanted w = wanted_of(leaf->parent, leaf->tokens, s->block_tokens);
    uint32_t at = UINT32_MAX, below = ref;
    for (uint32_t up; (up = *up_of(s, below)) != KVT_NONE; below = up) {
        const struct node *n = node_at(s, up);
        if (n->at >= at || n->child[bit_of(&w, n->at)] != below ||
            n->at >= (PARENT_WORDS + s->block_tokens) * WORD_BITS)
            return false;
        at = n->at;
    }
    return below == s->root;
}

bool kvt_siblings_check(const struct kvt_siblings *s)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < s->leaves.fresh; i++) {
        if (!leaf_at(s, i)->tokens)
            continue;
        if (!check_leaf(s, i | LEAF))
            return false;
        n++;
    }
    return n == s->leaves.in_use && s->nodes.in_use == (n ? n - 1 : 0) &&
           (n != 0) == (s->root != KVT_NONE);
}
