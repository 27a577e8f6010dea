/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_radix.c - core/radix.h beside a naive model: a list of sequences with the time of their last use.
 *
 * The model knows no nodes. A prefix is cached when some sequence of the list begins with it; its last
 * use is the latest of theirs. What the tree evicts is cut off from the sequences, and must be at the
 * end of those used longest ago that nobody holds.
 */
#include "core/radix.h"

#include <errno.h>
#include <string.h>

#include "dice.h"
#include "failing_alloc.h"

enum { LONGEST = 60, SEQUENCES = 3000, HELD = 12, OPERATIONS = 6000, CAPACITY = 900 };

struct sequence {
    uint32_t tokens[LONGEST], n, users;
    uint64_t used;
};

static struct sequence list[SEQUENCES];
static uint32_t n_list;
static uint64_t now;

static uint32_t common(const uint32_t *x, uint32_t n, const uint32_t *y, uint32_t m)
{
    uint32_t same = 0;
    while (same < n && same < m && x[same] == y[same])
        same++;
    return same;
}

static uint32_t model_match(const uint32_t *tokens, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < n_list; i++) {
        const uint32_t same = common(tokens, n, list[i].tokens, list[i].n);
        best = same > best ? same : best;
    }
    return best;
}

/* Different prefixes: of each sequence those that none before it has. */
static uint64_t model_tokens(void)
{
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < n_list; i++) {
        uint32_t best = 0;
        for (uint32_t k = 0; k < i; k++) {
            const uint32_t same = common(list[i].tokens, list[i].n, list[k].tokens, list[k].n);
            best = same > best ? same : best;
        }
        tokens += list[i].n - best;
    }
    return tokens;
}

/* When a prefix was used last; whether somebody holds it. */
static uint64_t last_use(const uint32_t *tokens, uint32_t n, bool *held)
{
    uint64_t used = 0;
    *held = false;
    for (uint32_t i = 0; i < n_list; i++)
        if (common(tokens, n, list[i].tokens, list[i].n) == n) {
            used = list[i].used > used ? list[i].used : used;
            *held |= list[i].users > 0;
        }
    return used;
}

static struct sequence *model_find(const uint32_t *tokens, uint32_t n)
{
    for (uint32_t i = 0; i < n_list; i++)
        if (list[i].n == n && common(tokens, n, list[i].tokens, n) == n)
            return &list[i];
    MUST(n_list < SEQUENCES);
    struct sequence *s = &list[n_list++];
    *s = (struct sequence){.n = n};
    memcpy(s->tokens, tokens, n * sizeof *tokens);
    return s;
}

/* True when an earlier one is the same by now, and has taken over its users and use. */
static bool merged(uint32_t i)
{
    for (uint32_t k = 0; k < i; k++)
        if (list[k].n == list[i].n &&
            common(list[k].tokens, list[k].n, list[i].tokens, list[i].n) == list[k].n) {
            list[k].users += list[i].users;
            list[k].used = list[k].used > list[i].used ? list[k].used : list[i].used;
            return true;
        }
    return false;
}

/* One eviction of the tree, held against the model, and done there. */
static void evict(struct kvt_radix *t)
{
    uint32_t path[LONGEST];
    const uint32_t victim = kvt_radix_victim(t);
    if (victim == KVT_NONE) {
        MUST(kvt_radix_evict(t) == 0);
        for (uint32_t i = 0; i < n_list; i++) {
            bool held;
            last_use(list[i].tokens, list[i].n, &held);
            MUST(held || list[i].n == 0);
        }
        return;
    }
    const uint32_t depth = (uint32_t)kvt_radix_depth(t, victim), run = kvt_radix_run(t, victim);
    kvt_radix_path(t, victim, path, depth);
    bool held;
    const uint64_t used = last_use(path, depth, &held);
    MUST(!held);
    for (uint32_t i = 0; i < n_list; i++) {
        const uint64_t other = last_use(list[i].tokens, list[i].n, &held);
        MUST(held || list[i].n == 0 || used <= other);
    }
    MUST(kvt_radix_evict(t) == run);
    for (uint32_t i = 0; i < n_list; i++)
        if (common(path, depth, list[i].tokens, list[i].n) > depth - run)
            list[i].n = depth - run;
    for (uint32_t i = 0; i < n_list; i++)
        if ((list[i].n == 0 && !list[i].users) || merged(i))
            list[i--] = list[--n_list];
}

static uint32_t draw(uint32_t *tokens)
{
    uint32_t n = 0;
    if (n_list > 0 && !dice_one_in(4)) {
        const struct sequence *s = &list[dice_below(n_list)];
        n = (uint32_t)dice_below(s->n + 1);
        memcpy(tokens, s->tokens, n * sizeof *tokens);
    }
    const uint32_t more = (uint32_t)dice_below(12);
    for (uint32_t i = 0; i < more && n < LONGEST; i++)
        tokens[n++] = (uint32_t)dice_below(4);
    return n;
}

struct holder {
    struct sequence s;
    uint32_t node;
};

START_TEST(random_operations)
{
    static struct holder holders[HELD];
    uint32_t n_holders = 0, tokens[LONGEST];
    struct failing_alloc memory;
    struct kvt_radix t;
    dice_seed((uint64_t)_i + 1);
    n_list = 0;
    now = 0;
    ck_assert_int_eq(kvt_radix_init(&t, failing_alloc_init(&memory, 0), UINT64_MAX), 0);
    for (int k = 0; k < OPERATIONS; k++) {
        const uint64_t what = dice_below(10);
        const uint32_t n = draw(tokens);
        now++;
        if (what < 4 && n_holders < HELD) {
            struct holder *h = &holders[n_holders++];
            h->s.n = n;
            memcpy(h->s.tokens, tokens, n * sizeof *tokens);
            MUST(kvt_radix_hold(&t, tokens, n, &h->node) == 0);
            MUST(kvt_radix_depth(&t, h->node) == n);
            model_find(tokens, n)->users++;
        } else if (what < 7 && n_holders > 0) {
            const uint32_t i = (uint32_t)dice_below(n_holders);
            const struct holder *h = &holders[i];
            kvt_radix_path(&t, h->node, tokens, h->s.n);
            MUST(common(tokens, h->s.n, h->s.tokens, h->s.n) == h->s.n);
            kvt_radix_drop(&t, h->node);
            struct sequence *s = model_find(h->s.tokens, h->s.n);
            s->users--;
            s->used = now;
            holders[i] = holders[--n_holders];
        } else if (what < 8) {
            while (t.tokens > 250 && kvt_radix_victim(&t) != KVT_NONE)
                evict(&t);
            evict(&t);
        }
        const uint32_t m = draw(tokens);
        MUST(kvt_radix_match(&t, tokens, m) == model_match(tokens, m));
        MUST(t.tokens == model_tokens());
        MUST(kvt_radix_check(&t));
    }
    kvt_radix_release(&t);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* Within capacity whatever happens; refused only when what is held leaves too little room. */
START_TEST(capacity)
{
    static struct holder holders[HELD];
    uint32_t n_holders = 0, tokens[LONGEST], refused = 0;
    struct failing_alloc memory;
    struct kvt_radix t;
    dice_seed(9);
    ck_assert_int_eq(kvt_radix_init(&t, failing_alloc_init(&memory, 0), 300), 0);
    for (int k = 0; k < OPERATIONS; k++) {
        if (n_holders == HELD || (n_holders > 0 && dice_one_in(2))) {
            const uint32_t i = (uint32_t)dice_below(n_holders);
            MUST(kvt_radix_match(&t, holders[i].s.tokens, holders[i].s.n) == holders[i].s.n);
            kvt_radix_drop(&t, holders[i].node);
            holders[i] = holders[--n_holders];
        } else {
            struct holder *h = &holders[n_holders];
            h->s.n = (uint32_t)dice_below(LONGEST) + 1;
            for (uint32_t i = 0; i < h->s.n; i++)
                h->s.tokens[i] = (uint32_t)dice_below(i < 5 ? 2 : 100);
            const int status = kvt_radix_hold(&t, h->s.tokens, h->s.n, &h->node);
            MUST(status == 0 || status == -ENOSPC);
            n_holders += status == 0;
            refused += status != 0;
            MUST(status == 0 || n_holders > 0); /* alone, each fits */
        }
        MUST(kvt_radix_check(&t));
    }
    MUST(refused > 0 && t.evicted > 0);
    MUST(kvt_radix_hold(&t, tokens, 301, &tokens[0]) == -ENOSPC);
    kvt_radix_release(&t);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(to_the_token)
{
    const uint32_t a[] = {1, 2, 3, 4, 5, 6, 7}, b[] = {1, 2, 3, 9}, c[] = {1, 2, 3, 4, 5, 8, 8, 8};
    struct failing_alloc memory;
    struct kvt_radix t;
    uint32_t at_a, at_b;
    ck_assert_int_eq(kvt_radix_init(&t, failing_alloc_init(&memory, 0), UINT64_MAX), 0);
    ck_assert_uint_eq(kvt_radix_match(&t, a, 7), 0);
    ck_assert_int_eq(kvt_radix_hold(&t, a, 7, &at_a), 0);
    ck_assert_int_eq(kvt_radix_hold(&t, b, 4, &at_b), 0);
    ck_assert_uint_eq(t.tokens, 8);
    ck_assert_uint_eq(kvt_radix_match(&t, c, 8), 5);
    ck_assert_uint_eq(kvt_radix_match(&t, c, 4), 4);
    ck_assert_uint_eq(kvt_radix_whole(5, 4), 4);
    ck_assert_uint_eq(kvt_radix_whole(5, 1), 5);
    kvt_radix_drop(&t, at_a);
    ck_assert_uint_eq(kvt_radix_evict(&t), 4); /* 4 5 6 7; 1 2 3 is held with b */
    ck_assert_uint_eq(kvt_radix_match(&t, c, 8), 3);
    ck_assert_uint_eq(kvt_radix_evict(&t), 0);
    kvt_radix_drop(&t, at_b);
    ck_assert_uint_eq(kvt_radix_evict(&t), 1);
    ck_assert_uint_eq(kvt_radix_evict(&t), 3);
    ck_assert_uint_eq(t.tokens, 0);
    kvt_radix_release(&t);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* Thousands of children below one node, and long runs. */
START_TEST(many_children)
{
    enum { CHILDREN = 20000, SYSTEM = 500 };
    static uint32_t tokens[SYSTEM + 2], nodes[CHILDREN];
    struct failing_alloc memory;
    struct kvt_radix t;
    ck_assert_int_eq(kvt_radix_init(&t, failing_alloc_init(&memory, 0), UINT64_MAX), 0);
    for (uint32_t i = 0; i < SYSTEM; i++)
        tokens[i] = i;
    for (uint32_t k = 0; k < CHILDREN; k++) {
        tokens[SYSTEM] = tokens[SYSTEM + 1] = k;
        ck_assert_int_eq(kvt_radix_hold(&t, tokens, SYSTEM + 2, &nodes[k]), 0);
    }
    ck_assert_uint_eq(t.tokens, SYSTEM + 2 * CHILDREN);
    ck_assert(kvt_radix_check(&t));
    for (uint32_t k = 0; k < CHILDREN; k++)
        kvt_radix_drop(&t, nodes[k]);
    uint64_t gone = 0;
    for (uint64_t n; (n = kvt_radix_evict(&t)) > 0; gone += n)
        ;
    ck_assert_uint_eq(gone, SYSTEM + 2 * CHILDREN);
    kvt_radix_release(&t);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(no_memory)
{
    for (uint64_t fail_at = 1;; fail_at++) {
        struct failing_alloc memory;
        struct kvt_radix t;
        uint32_t node, failed = 0, tokens[400];
        dice_seed(fail_at);
        const struct kvt_alloc *alloc = failing_alloc_init(&memory, fail_at);
        const int status = kvt_radix_init(&t, alloc, UINT64_MAX);
        ck_assert(status == 0 || status == -ENOMEM);
        for (int k = 0; status == 0 && k < 3000; k++) {
            const uint32_t n = 1 + (uint32_t)dice_below(400);
            for (uint32_t i = 0; i < n; i++)
                tokens[i] = (uint32_t)dice_below(2);
            const int held = kvt_radix_hold(&t, tokens, n, &node);
            ck_assert(held == 0 || held == -ENOMEM);
            failed += held != 0;
            if (held == 0)
                kvt_radix_drop(&t, node);
        }
        if (status == 0)
            ck_assert(kvt_radix_check(&t) && failed <= 1);
        kvt_radix_release(&t);
        ck_assert(failing_alloc_clean(&memory));
        if (memory.gets < fail_at)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("radix");
    TCase *tests = tcase_create("radix");
    tcase_add_loop_test(tests, random_operations, 0, 3);
    tcase_add_test(tests, capacity);
    tcase_add_test(tests, to_the_token);
    tcase_add_test(tests, many_children);
    tcase_add_test(tests, no_memory);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
