/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_siblings.c - core/siblings.h beside a naive model: a list of blocks, compared one by one.
 */
#include "core/siblings.h"

#include <errno.h>
#include <string.h>

#include "dice.h"
#include "failing_alloc.h"

enum { BLOCK = 6, PARENTS = 4, MOST = 400, OPERATIONS = 4000 };

struct one {
    kvt_key parent, key;
    uint32_t tokens[BLOCK], block;
    bool usable;
};

static struct one list[MOST];
static uint32_t n_list;

static struct one *named(uint32_t block, kvt_key key)
{
    for (uint32_t i = 0; i < n_list; i++)
        if (list[i].block == block && kvt_key_equal(list[i].key, key))
            return &list[i];
    ck_abort_msg("a block that is not there");
    return NULL;
}

static bool usable(void *self, uint32_t block, kvt_key key)
{
    ++*(uint32_t *)self;
    return named(block, key)->usable;
}

/* Few values, alike in their upper bits or not: so that nodes differ in every part of a word. */
static uint32_t token(void)
{
    static const uint32_t some[] = {0, 1, 2, 3, 0x80000000, 0x80000001, 0x40000000, UINT32_MAX};
    return some[dice_below(dice_one_in(3) ? 8 : 3)];
}

static uint32_t same(const uint32_t *a, const uint32_t *b, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

static bool before(const uint32_t *a, const uint32_t *b)
{
    const uint32_t i = same(a, b, BLOCK);
    return i < BLOCK && a[i] < b[i];
}

static uint32_t model_find(kvt_key parent, const uint32_t *tokens, uint32_t n, uint32_t *block)
{
    uint32_t most = 0;
    const struct one *best = NULL;
    for (uint32_t i = 0; i < n_list; i++) {
        const struct one *o = &list[i];
        const uint32_t t = same(tokens, o->tokens, n);
        if (!o->usable || !kvt_key_equal(parent, o->parent) || t < most || t == 0)
            continue;
        if (t > most || before(o->tokens, best->tokens)) {
            most = t;
            best = o;
        }
    }
    *block = best ? best->block : KVT_NONE;
    return most;
}

static void add(struct kvt_siblings *s, uint32_t operation)
{
    struct one new = {.parent = {dice_below(PARENTS), 7},
                      .key = {operation, 1},
                      .block = operation};
    for (uint32_t i = 0; i < BLOCK; i++)
        new.tokens[i] = token();
    new.usable = !dice_one_in(4);
    uint32_t i = 0;
    while (i < n_list && (!kvt_key_equal(list[i].parent, new.parent) ||
                          same(list[i].tokens, new.tokens, BLOCK) < BLOCK))
        i++;
    if (i == MOST)
        return;
    n_list += i == n_list;
    list[i] = new; /* the same tokens: number and key anew */
    MUST(kvt_siblings_add(s, new.parent, new.tokens, new.block, new.key) == 0);
}

static void find(const struct kvt_siblings *s)
{
    uint32_t tokens[BLOCK], block, want, asked = 0;
    const kvt_key parent = {dice_below(PARENTS + 1), 7};
    const uint32_t n = (uint32_t)dice_below(BLOCK + 1);
    for (uint32_t i = 0; i < BLOCK; i++)
        tokens[i] = token();
    const uint32_t t = kvt_siblings_find(s, parent, tokens, n, usable, &asked, &block);
    MUST(t == model_find(parent, tokens, n, &want) && block == want);
    MUST(asked <= n_list); /* nobody twice */
}

static bool keep(void *self, uint32_t block, kvt_key key)
{
    (void)self;
    return named(block, key)->usable;
}

static void sweep(struct kvt_siblings *s)
{
    kvt_siblings_sweep(s, keep, NULL);
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_list; i++)
        if (list[i].usable)
            list[n++] = list[i];
    n_list = n;
    for (uint32_t i = 0; i < n_list; i++)
        list[i].usable = !dice_one_in(4);
}

START_TEST(beside_a_list)
{
    struct failing_alloc memory;
    struct kvt_siblings s;
    dice_seed((uint64_t)_i + 1);
    n_list = 0;
    kvt_siblings_init(&s, failing_alloc_init(&memory, 0), BLOCK);
    for (uint32_t k = 0; k < OPERATIONS; k++) {
        if (dice_one_in(_i % 2 ? 200 : 40))
            sweep(&s);
        else if (dice_one_in(3))
            add(&s, k);
        else
            find(&s);
        MUST(kvt_siblings_count(&s) == n_list);
        if (k % 50 == 0)
            ck_assert(kvt_siblings_check(&s));
    }
    for (uint32_t i = 0; i < n_list; i++)
        list[i].usable = false;
    sweep(&s);
    ck_assert_uint_eq(kvt_siblings_count(&s), 0);
    ck_assert(kvt_siblings_check(&s));
    kvt_siblings_release(&s);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* What could not be added for want of memory is not there, and everything else still is. */
START_TEST(memory_lacks)
{
    for (uint64_t fail_at = 1;; fail_at++) {
        struct failing_alloc memory;
        struct kvt_siblings s;
        uint32_t added = 0;
        kvt_siblings_init(&s, failing_alloc_init(&memory, fail_at), BLOCK);
        for (uint32_t i = 0; i < 3000; i++) {
            const uint32_t tokens[BLOCK] = {i % 7, i};
            const int status = kvt_siblings_add(&s, (kvt_key){1, 1}, tokens, i, (kvt_key){i, 0});
            MUST(status == 0 || status == -ENOMEM);
            added += status == 0;
        }
        ck_assert_uint_eq(kvt_siblings_count(&s), added);
        ck_assert(kvt_siblings_check(&s));
        kvt_siblings_release(&s);
        ck_assert(failing_alloc_clean(&memory));
        if (memory.gets < fail_at)
            break;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("siblings");
    TCase *tests = tcase_create("siblings");
    tcase_add_loop_test(tests, beside_a_list, 0, 20);
    tcase_add_test(tests, memory_lacks);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
