/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * radix.c - see radix.h.
 *
 * Children are found by one hash table for the whole tree, keyed by parent and first token: a system
 * prompt can have thousands of children, a list per node would be walked. The table doubles when it
 * has as many nodes as heads; when memory for that is out it stays, and chains grow.
 *
 * A split makes a new node of the upper part. The lower one keeps its number, so that whoever holds
 * the sequence that ends there still names it rightly.
 *
 *      before  parent -> [ a b c d ] #7       after  parent -> [ a b ] #9 -> [ c d ] #7
 *
 * Use goes from the leaf up: of a path the root's child is put first in the list last, which keeps the
 * order of (R3) without comparing any times.
 */
#include "radix.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "mix.h"

enum { NODES_SHIFT = 10, HEADS_LEAST = 64 };

struct node {
    uint32_t next; /* in its chain; of a free node the pool's */
    uint32_t parent;
    uint32_t before, after; /* by use, when unheld */
    uint32_t held, children;
    uint32_t *tokens;
    uint32_t n;
};

static struct node *node_at(const struct kvt_radix *t, uint32_t number)
{
    return kvt_pool_at(&t->nodes, number);
}

/* ---- Children ------------------------------------------------------------------------------------- */

static uint32_t *head_of(const struct kvt_radix *t, uint32_t parent, uint32_t token)
{
    return &t->heads[kvt_mix64((uint64_t)parent << 32 | token) & (t->heads_n - 1)];
}

static uint32_t child_of(const struct kvt_radix *t, uint32_t parent, uint32_t token)
{
    uint32_t number = *head_of(t, parent, token);
    while (number != KVT_NONE) {
        const struct node *c = node_at(t, number);
        if (c->parent == parent && c->tokens[0] == token)
            break;
        number = c->next;
    }
    return number;
}

static void chain(struct kvt_radix *t, uint32_t number)
{
    struct node *c = node_at(t, number);
    uint32_t *head = head_of(t, c->parent, c->tokens[0]);
    c->next = *head;
    *head = number;
}

static void unchain(struct kvt_radix *t, uint32_t number)
{
    const struct node *c = node_at(t, number);
    uint32_t *at = head_of(t, c->parent, c->tokens[0]);
    while (*at != number)
        at = &node_at(t, *at)->next;
    *at = c->next;
}

static void grow_heads(struct kvt_radix *t)
{
    uint32_t *old = t->heads;
    const uint32_t old_n = t->heads_n;
    if (t->nodes.in_use <= old_n || old_n > UINT32_MAX / 4)
        return;
    uint32_t *heads = t->alloc->get(t->alloc->self, (size_t)old_n * 2 * sizeof *heads);
    if (!heads)
        return;
    memset(heads, 0xff, (size_t)old_n * 2 * sizeof *heads);
    t->heads = heads;
    t->heads_n = old_n * 2;
    for (uint32_t i = 0; i < old_n; i++)
        for (uint32_t number = old[i], next; number != KVT_NONE; number = next) {
            next = node_at(t, number)->next;
            chain(t, number);
        }
    t->alloc->put(t->alloc->self, old, (size_t)old_n * sizeof *old);
}

/* ---- The list by use -------------------------------------------------------------------------------- */

static void list_before(struct kvt_radix *t, uint32_t number, uint32_t next)
{
    struct node *c = node_at(t, number);
    c->after = next;
    c->before = next == KVT_NONE ? t->last : node_at(t, next)->before;
    *(c->before == KVT_NONE ? &t->first : &node_at(t, c->before)->after) = number;
    *(next == KVT_NONE ? &t->last : &node_at(t, next)->before) = number;
}

static void unlist(struct kvt_radix *t, uint32_t number)
{
    const struct node *c = node_at(t, number);
    *(c->before == KVT_NONE ? &t->first : &node_at(t, c->before)->after) = c->after;
    *(c->after == KVT_NONE ? &t->last : &node_at(t, c->after)->before) = c->before;
}

static void hold_path(struct kvt_radix *t, uint32_t number)
{
    for (; number != KVT_RADIX_ROOT; number = node_at(t, number)->parent)
        if (node_at(t, number)->held++ == 0)
            unlist(t, number);
}

void kvt_radix_drop(struct kvt_radix *t, uint32_t node)
{
    for (; node != KVT_RADIX_ROOT; node = node_at(t, node)->parent) {
        assert(node_at(t, node)->held > 0);
        if (--node_at(t, node)->held == 0)
            list_before(t, node, t->first);
    }
}

/* ---- Start and end ----------------------------------------------------------------------------------- */

int kvt_radix_init(struct kvt_radix *t, const struct kvt_alloc *alloc, uint64_t capacity)
{
    *t = (struct kvt_radix){.alloc = alloc,
                            .capacity = capacity,
                            .first = KVT_NONE,
                            .last = KVT_NONE};
    kvt_pool_init(&t->nodes, alloc, sizeof(struct node), NODES_SHIFT);
    kvt_slab_init(&t->runs, alloc);
    t->heads = alloc->get(alloc->self, HEADS_LEAST * sizeof *t->heads);
    if (!t->heads || kvt_pool_take(&t->nodes) == KVT_NONE) {
        t->heads_n = t->heads ? HEADS_LEAST : 0;
        kvt_radix_release(t);
        return -ENOMEM;
    }
    t->heads_n = HEADS_LEAST;
    memset(t->heads, 0xff, HEADS_LEAST * sizeof *t->heads);
    *node_at(t, KVT_RADIX_ROOT) = (struct node){.next = KVT_NONE, .parent = KVT_NONE};
    return 0;
}

void kvt_radix_release(struct kvt_radix *t)
{
    if (!t->alloc)
        return;
    if (t->heads)
        t->alloc->put(t->alloc->self, t->heads, (size_t)t->heads_n * sizeof *t->heads);
    kvt_slab_release(&t->runs);
    kvt_pool_release(&t->nodes);
    *t = (struct kvt_radix){0};
}

size_t kvt_radix_memory_b(const struct kvt_radix *t)
{
    return kvt_pool_memory_b(&t->nodes) + t->runs.memory_b + (size_t)t->heads_n * sizeof *t->heads;
}

/* ---- Walking ------------------------------------------------------------------------------------------- */

/* How far tokens agree with the tree: `node` is where, `in` how many of its tokens agree (all of them
 * but at the end of the walk). */
struct walk {
    uint32_t node, in;
    uint64_t matched;
};

static struct walk walk(const struct kvt_radix *t, const uint32_t *tokens, uint64_t n)
{
    struct walk w = {KVT_RADIX_ROOT, 0, 0};
    while (w.matched < n) {
        const uint32_t child = child_of(t, w.node, tokens[w.matched]);
        if (child == KVT_NONE)
            break;
        const struct node *c = node_at(t, child);
        const uint64_t left = n - w.matched, most = left < c->n ? left : c->n;
        w.node = child;
        w.in = 1;
        while (w.in < most && c->tokens[w.in] == tokens[w.matched + w.in])
            w.in++;
        w.matched += w.in;
        if (w.in < c->n)
            break;
    }
    return w;
}

uint64_t kvt_radix_match(const struct kvt_radix *t, const uint32_t *tokens, uint64_t n)
{
    return walk(t, tokens, n).matched;
}

uint64_t kvt_radix_find(const struct kvt_radix *t, const uint32_t *tokens, uint64_t n,
                        uint32_t *node)
{
    const struct walk w = walk(t, tokens, n);
    *node = w.node;
    return w.matched;
}

uint32_t kvt_radix_parent(const struct kvt_radix *t, uint32_t node)
{
    return node_at(t, node)->parent;
}

uint64_t kvt_radix_depth(const struct kvt_radix *t, uint32_t node)
{
    uint64_t depth = 0;
    for (; node != KVT_RADIX_ROOT; node = node_at(t, node)->parent)
        depth += node_at(t, node)->n;
    return depth;
}

void kvt_radix_path(const struct kvt_radix *t, uint32_t node, uint32_t *tokens, uint64_t n)
{
    for (; n > 0; node = node_at(t, node)->parent) {
        const struct node *c = node_at(t, node);
        const uint64_t some = n < c->n ? n : c->n;
        memcpy(tokens + (n - some), c->tokens + (c->n - some), some * sizeof *tokens);
        n -= some;
    }
}

uint32_t kvt_radix_run(const struct kvt_radix *t, uint32_t node)
{
    return node_at(t, node)->n;
}

/* ---- Growing and shrinking ------------------------------------------------------------------------------ */

/* A node with a copy of n tokens, unheld and in no list, not yet found by anyone. KVT_NONE: no memory. */
static uint32_t new_node(struct kvt_radix *t, uint32_t parent, const uint32_t *tokens, uint32_t n)
{
    uint32_t *copy = kvt_slab_take(&t->runs, n);
    const uint32_t number = copy ? kvt_pool_take(&t->nodes) : KVT_NONE;
    if (number == KVT_NONE) {
        kvt_slab_give(&t->runs, copy, n);
        return KVT_NONE;
    }
    memcpy(copy, tokens, n * sizeof *copy);
    *node_at(t, number) = (struct node){.parent = parent, .tokens = copy, .n = n};
    return number;
}

/* Makes the first `upper` tokens of a node a node of their own; *number is then that one. */
static int split(struct kvt_radix *t, uint32_t *number, uint32_t upper)
{
    struct node *low = node_at(t, *number);
    const uint32_t rest = low->n - upper;
    uint32_t *tokens = kvt_slab_take(&t->runs, rest);
    const uint32_t top = tokens ? new_node(t, low->parent, low->tokens, upper) : KVT_NONE;
    if (top == KVT_NONE) {
        kvt_slab_give(&t->runs, tokens, rest);
        return -ENOMEM;
    }
    struct node *high = node_at(t, top);
    high->held = low->held;
    high->children = 1;
    if (!high->held)
        list_before(t, top, *number);
    unchain(t, *number);
    memcpy(tokens, low->tokens + upper, rest * sizeof *tokens);
    kvt_slab_give(&t->runs, low->tokens, low->n);
    low->tokens = tokens;
    low->n = rest;
    low->parent = top;
    chain(t, *number);
    chain(t, top);
    grow_heads(t);
    *number = top;
    return 0;
}

uint32_t kvt_radix_victim(const struct kvt_radix *t)
{
    return t->last;
}

uint64_t kvt_radix_evict(struct kvt_radix *t)
{
    const uint32_t number = t->last;
    if (number == KVT_NONE)
        return 0;
    const struct node *c = node_at(t, number);
    const uint32_t n = c->n;
    assert(c->children == 0 && c->held == 0); /* (R3) */
    unlist(t, number);
    unchain(t, number);
    node_at(t, c->parent)->children--;
    kvt_slab_give(&t->runs, c->tokens, n);
    kvt_pool_give(&t->nodes, number);
    t->tokens -= n;
    t->evicted += n;
    return n;
}

/* A leaf below *node, held as the path to it is. */
static int add_leaf(struct kvt_radix *t, uint32_t *node, const uint32_t *tokens, uint64_t n)
{
    if (n > t->capacity)
        return -ENOSPC;
    while (t->tokens > t->capacity - n)
        if (kvt_radix_evict(t) == 0)
            return -ENOSPC;
    const uint32_t leaf = new_node(t, *node, tokens, (uint32_t)n);
    if (leaf == KVT_NONE)
        return -ENOMEM;
    node_at(t, leaf)->held = 1;
    node_at(t, *node)->children++;
    chain(t, leaf);
    grow_heads(t);
    t->tokens += n;
    *node = leaf;
    return 0;
}

int kvt_radix_hold(struct kvt_radix *t, const uint32_t *tokens, uint64_t n, uint32_t *node)
{
    const struct walk w = walk(t, tokens, n);
    uint32_t at = w.node;
    if (at != KVT_RADIX_ROOT && w.in < node_at(t, at)->n) {
        const int error = split(t, &at, w.in);
        if (error)
            return error;
    }
    hold_path(t, at);
    if (w.matched < n) {
        const uint32_t end = at;
        const int error = add_leaf(t, &at, tokens + w.matched, n - w.matched);
        if (error) {
            kvt_radix_drop(t, end);
            return error;
        }
    }
    *node = at;
    return 0;
}

/* ---- Checking ------------------------------------------------------------------------------------------- */

static bool node_holds(const struct kvt_radix *t, uint32_t number, uint64_t *tokens)
{
    const struct node *c = node_at(t, number), *p = node_at(t, c->parent);
    *tokens += c->n;
    return c->n > 0 && (c->parent == KVT_RADIX_ROOT || p->held >= c->held) &&
           child_of(t, c->parent, c->tokens[0]) == number;
}

bool kvt_radix_check(const struct kvt_radix *t)
{
    uint64_t tokens = 0, nodes = 0, unheld = 0, listed = 0, children = 0;
    for (uint32_t i = 0; i < t->heads_n; i++)
        for (uint32_t c = t->heads[i]; c != KVT_NONE; c = node_at(t, c)->next) {
            nodes++;
            unheld += node_at(t, c)->held == 0;
            children += node_at(t, c)->children;
            if (!node_holds(t, c, &tokens))
                return false;
        }
    uint32_t before = KVT_NONE;
    for (uint32_t c = t->first; c != KVT_NONE && listed <= nodes; c = node_at(t, c)->after) {
        if (node_at(t, c)->before != before || node_at(t, c)->held)
            return false;
        before = c;
        listed++;
    }
    return tokens == t->tokens && tokens <= t->capacity && nodes + 1 == t->nodes.in_use &&
           children + node_at(t, KVT_RADIX_ROOT)->children == nodes && listed == unheld &&
           before == t->last && (t->last == KVT_NONE || node_at(t, t->last)->children == 0);
}
