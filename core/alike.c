/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * alike.c - see alike.h. The set of similar prompts keeps what it compares: letters, or the tokens where
 * there are none. Beside letters the tokens are kept here, under the same number, for what may be
 * reused is counted in tokens. When the set is full, whoever leaves it next is taken out first, so
 * that both always hold the same prompts.
 */
#include "alike.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { KEPT_SHIFT = 8 };

struct kept {
    uint32_t *tokens; /* NULL: the set's own elements are the tokens */
    uint32_t n_tokens;
    uint64_t hash;
};

static struct kept *kept_at(const struct kvt_alike *a, uint32_t prompt)
{
    return kvt_pool_at(&a->kept, prompt);
}

int kvt_alike_init(struct kvt_alike *a, const struct kvt_alloc *alloc,
                   const struct kvt_alike_config *config)
{
    const struct kvt_similar_config similar = {config->threshold, config->prompts, KVT_ALIKE_MOST};
    *a = (struct kvt_alike){.config = *config, .alloc = alloc};
    if (config->threshold > 0) {
        kvt_pool_init(&a->kept, alloc, sizeof(struct kept), KEPT_SHIFT);
        kvt_slab_init(&a->tokens, alloc);
        kvt_idmap_init(&a->by_hash, alloc);
        if (kvt_similar_init(&a->similar, alloc, &similar))
            return -ENOMEM;
    }
    if (config->tree && kvt_radix_init(&a->tree, alloc, config->tree_tokens)) {
        kvt_similar_release(&a->similar);
        return -ENOMEM;
    }
    return 0;
}

void kvt_alike_release(struct kvt_alike *a)
{
    if (a->config.threshold > 0) {
        kvt_idmap_release(&a->by_hash);
        kvt_slab_release(&a->tokens);
        kvt_pool_release(&a->kept);
    }
    kvt_similar_release(&a->similar);
    kvt_radix_release(&a->tree);
    *a = (struct kvt_alike){.config = {0}};
}

static const uint32_t *tokens_of(const struct kvt_alike *a, uint32_t prompt, uint32_t *n)
{
    const struct kept *k = kept_at(a, prompt);
    *n = k->n_tokens;
    return k->tokens ? k->tokens : kvt_similar_elements(&a->similar, prompt, n);
}

static uint32_t common_prefix(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b)
{
    const uint32_t most = n_a < n_b ? n_a : n_b;
    uint32_t n = 0;
    while (n < most && a[n] == b[n])
        n++;
    return n;
}

bool kvt_alike_similar(struct kvt_alike *a, const struct kvt_wording *w, uint32_t *same)
{
    struct kvt_similar_found found;
    *same = 0;
    if (a->config.threshold <= 0)
        return false;
    const int status = kvt_similar_find(&a->similar, w->letters ? w->letters : w->tokens,
                                        w->letters ? w->n_letters : w->n_tokens, &found);
    if (status != 1) /* too long, or no memory (A3): none found */
        return false;
    uint32_t n;
    const uint32_t *tokens = tokens_of(a, found.prompt, &n);
    *same = common_prefix(w->tokens, w->n_tokens, tokens, n);
    kvt_similar_use(&a->similar, found.prompt);
    return true;
}

uint32_t kvt_alike_longest(const struct kvt_alike *a, const struct kvt_wording *w)
{
    return a->config.tree ? (uint32_t)kvt_radix_match(&a->tree, w->tokens, w->n_tokens) : 0;
}

/* ---- Keeping -------------------------------------------------------------------------------------- */

static void forget(struct kvt_alike *a, uint32_t prompt)
{
    const struct kept *k = kept_at(a, prompt);
    kvt_idmap_remove(&a->by_hash, k->hash);
    kvt_slab_give(&a->tokens, k->tokens, k->n_tokens);
    kvt_similar_remove(&a->similar, prompt);
}

/* Records for all numbers that the set can give next. */
static bool cover(struct kvt_alike *a)
{
    while (a->kept.fresh <= a->similar.prompts.fresh)
        if (kvt_pool_take(&a->kept) == KVT_NONE)
            return false;
    return true;
}

static void add(struct kvt_alike *a, const struct kvt_wording *w, uint64_t hash)
{
    const uint32_t oldest = kvt_similar_next_out(&a->similar);
    if (oldest != KVT_NONE)
        forget(a, oldest);
    uint32_t *copy = w->letters ? kvt_slab_take(&a->tokens, w->n_tokens) : NULL;
    if ((w->letters && !copy) || !cover(a) ||
        kvt_idmap_reserve(&a->by_hash, a->by_hash.count + 1)) {
        kvt_slab_give(&a->tokens, copy, w->n_tokens);
        return;
    }
    uint32_t prompt;
    if (kvt_similar_add(&a->similar, w->letters ? w->letters : w->tokens,
                        w->letters ? w->n_letters : w->n_tokens, hash, &prompt)) {
        kvt_slab_give(&a->tokens, copy, w->n_tokens);
        return;
    }
    if (copy)
        memcpy(copy, w->tokens, w->n_tokens * sizeof *copy);
    kvt_idmap_add(&a->by_hash, hash, prompt);
    *kept_at(a, prompt) = (struct kept){.tokens = copy, .n_tokens = w->n_tokens, .hash = hash};
}

/* Another prompt with the same hash is as good as never seen: the first stays. */
static void keep_similar(struct kvt_alike *a, const struct kvt_wording *w)
{
    const uint64_t hash = XXH3_64bits(w->tokens, w->n_tokens * sizeof *w->tokens);
    const uint32_t prompt = a->by_hash.count > 0 ? kvt_idmap_find(&a->by_hash, hash) : KVT_NONE;
    if (prompt == KVT_NONE)
        add(a, w, hash);
    else
        kvt_similar_use(&a->similar, prompt);
}

void kvt_alike_keep(struct kvt_alike *a, const struct kvt_wording *w)
{
    uint32_t node;
    if (w->n_tokens > KVT_ALIKE_MOST || w->n_letters > KVT_ALIKE_MOST)
        return;
    if (a->config.threshold > 0)
        keep_similar(a, w);
    if (a->config.tree && kvt_radix_hold(&a->tree, w->tokens, w->n_tokens, &node) == 0)
        kvt_radix_drop(&a->tree, node);
}

/* ---- Looking -------------------------------------------------------------------------------------- */

size_t kvt_alike_memory_b(const struct kvt_alike *a)
{
    size_t b = 0;
    if (a->config.threshold > 0)
        b += kvt_similar_memory_b(&a->similar) + kvt_pool_memory_b(&a->kept) + a->tokens.memory_b +
             a->by_hash.memory_b;
    return a->config.tree ? b + kvt_radix_memory_b(&a->tree) : b;
}

bool kvt_alike_check(const struct kvt_alike *a)
{
    if (a->config.tree && !kvt_radix_check(&a->tree))
        return false;
    if (a->config.threshold <= 0)
        return true;
    uint64_t n = 0;
    for (uint32_t p = a->similar.first; p != KVT_NONE; p = kvt_similar_after(&a->similar, p), n++) {
        uint32_t n_tokens;
        const uint32_t *tokens = tokens_of(a, p, &n_tokens);
        const uint64_t hash = XXH3_64bits(tokens, n_tokens * sizeof *tokens);
        if (hash != kept_at(a, p)->hash || kvt_idmap_find(&a->by_hash, hash) != p)
            return false;
    }
    return n == a->by_hash.count && kvt_similar_check(&a->similar) &&
           (!n || kvt_idmap_check(&a->by_hash));
}
