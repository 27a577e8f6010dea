/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_matchers.c - no matcher ever reuses a token that differs, or one behind a difference.
 *
 * Random prompts, made of each other, go one by one past four matchers that have seen all before: the exact hash of
 * the whole prompt, the chain of block keys, the token radix tree, the most similar prompt. What each
 * would reuse is held against the longest prefix that the prompt really shares with one earlier prompt,
 * found by comparing with all.
 *
 *   exact        all of the prompt, or nothing
 *   chain        the true prefix in whole blocks
 *   radix        the true prefix, to the token
 *   approximate  no more than the chain: what a similar prompt shares is a prefix as well, and keys of
 *                blocks name prefixes. It adds to exact matching alone, and nothing to the chain.
 */
#include <string.h>

#include "core/key.h"
#include "core/radix.h"
#include "core/similar.h"
#include "dice.h"
#include "failing_alloc.h"
#include "workload/intern.h"

enum { PROMPTS = 400, LONGEST = 300 };

static uint32_t prompts[PROMPTS][LONGEST], lengths[PROMPTS];

/* The beginning of an earlier prompt, often all of it, with some tokens changed; and more behind it. */
static void draw(uint32_t p)
{
    uint32_t *to = prompts[p], n = 0;
    if (p > 0 && !dice_one_in(6)) {
        const uint64_t from = dice_below(p);
        n = dice_one_in(2) ? lengths[from] : (uint32_t)dice_below(lengths[from] + 1);
        memcpy(to, prompts[from], n * sizeof *to);
    }
    for (uint64_t changes = dice_below(4); changes > 0 && n > 0; changes--)
        to[dice_below(n)] = (uint32_t)dice_below(1000);
    const uint32_t more = n > 0 && dice_one_in(3) ? 0 : (uint32_t)dice_below(60);
    for (uint32_t i = 0; i < more && n < LONGEST; i++)
        to[n++] = (uint32_t)dice_below(1000);
    if (n == 0)
        to[n++] = 0;
    lengths[p] = n;
}

static uint32_t same(uint32_t p, uint32_t q)
{
    uint32_t n = 0;
    while (n < lengths[p] && n < lengths[q] && prompts[p][n] == prompts[q][n])
        n++;
    return n;
}

static uint32_t true_prefix(uint32_t p)
{
    uint32_t best = 0;
    for (uint32_t q = 0; q < p; q++)
        best = same(p, q) > best ? same(p, q) : best;
    return best;
}

struct matchers {
    struct kvt_namespace ns;
    struct wl_intern blocks, wholes;
    struct kvt_radix tree;
    struct kvt_similar similar;
    uint32_t block;
};

/* Whole blocks that all earlier prompts' keys know, from the first on; and notes this one's. */
static uint32_t by_chain(struct matchers *m, uint32_t p)
{
    kvt_key keys[LONGEST];
    const int64_t n = kvt_key_chain(&m->ns, prompts[p], lengths[p], m->block, false, keys);
    uint32_t found = 0;
    MUST(n >= 0);
    for (int64_t i = 0; i < n; i++) {
        uint32_t index;
        bool fresh;
        MUST(wl_intern(&m->blocks, keys[i], &index, &fresh) == 0);
        found += !fresh && found == i ? 1 : 0;
    }
    return found * m->block;
}

static uint32_t by_exact(struct matchers *m, uint32_t p)
{
    kvt_key key;
    uint32_t index;
    bool fresh;
    MUST(kvt_key_chain(&m->ns, prompts[p], lengths[p], LONGEST + 1, true, &key) == 1);
    MUST(wl_intern(&m->wholes, key, &index, &fresh) == 0);
    return fresh ? 0 : lengths[p];
}

static uint32_t by_radix(struct matchers *m, uint32_t p)
{
    uint32_t node;
    const uint64_t match = kvt_radix_match(&m->tree, prompts[p], lengths[p]);
    MUST(kvt_radix_hold(&m->tree, prompts[p], lengths[p], &node) == 0);
    return (uint32_t)match;
}

/* Of the one prompt that was found, and of no other. */
static uint32_t by_similar(struct matchers *m, uint32_t p)
{
    struct kvt_similar_found found;
    uint32_t reuse = 0, number;
    const int status = kvt_similar_find(&m->similar, prompts[p], lengths[p], &found);
    MUST(status >= 0);
    if (status == 1) {
        reuse = kvt_similar_reuse(&m->similar, found.prompt, prompts[p], lengths[p], m->block);
        MUST(reuse % m->block == 0 && reuse <= same(p, (uint32_t)found.tag));
        MUST(reuse + m->block > same(p, (uint32_t)found.tag));
    }
    MUST(kvt_similar_add(&m->similar, prompts[p], lengths[p], p, &number) == 0);
    return reuse;
}

static const struct {
    uint32_t block;
    double threshold;
} cases[] = {{1, 0.9}, {4, 0.9}, {16, 0.9}, {16, 0.5}, {16, 0.97}, {64, 0.7}};

START_TEST(only_the_true_prefix)
{
    uint64_t exact_tokens = 0, chain_tokens = 0, with_exact = 0, with_chain = 0, radix_tokens = 0;
    struct failing_alloc memory;
    struct matchers m = {.block = cases[_i].block};
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    dice_seed((uint64_t)_i + 1);
    ck_assert_int_eq(kvt_namespace_init(&m.ns, "", "", ""), 0);
    ck_assert_int_eq(kvt_radix_init(&m.tree, alloc, UINT64_MAX), 0);
    ck_assert_int_eq(kvt_similar_init(&m.similar, alloc,
                                      &(struct kvt_similar_config){cases[_i].threshold, PROMPTS,
                                                                   LONGEST}),
                     0);
    for (uint32_t p = 0; p < PROMPTS; p++) {
        draw(p);
        const uint32_t shared = true_prefix(p);
        const uint32_t exact = by_exact(&m, p), chain = by_chain(&m, p), radix = by_radix(&m, p),
                       similar = by_similar(&m, p);
        MUST(exact <= shared && (exact == 0 || exact == lengths[p]));
        MUST(chain == shared - shared % m.block);
        MUST(radix == shared);
        MUST(similar <= chain);
        exact_tokens += exact;
        chain_tokens += chain;
        radix_tokens += radix;
        with_exact += exact > similar ? exact : similar;
        with_chain += chain > similar ? chain : similar;
    }
    MUST(with_chain == chain_tokens);
    MUST(with_exact > exact_tokens);
    MUST(radix_tokens > chain_tokens || m.block == 1);
    wl_intern_release(&m.blocks);
    wl_intern_release(&m.wholes);
    kvt_radix_release(&m.tree);
    kvt_similar_release(&m.similar);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matchers");
    TCase *tests = tcase_create("matchers");
    tcase_add_loop_test(tests, only_the_true_prefix, 0, sizeof cases / sizeof cases[0]);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
