/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_ratio_rest.c - kvt_ratio_rest and kvt_ratio_prefix beside the full comparison, which test_ratio.c holds against difflib.
 *
 * Pairs are made to break the condition: few letters, periods that go on behind the prefix at another phase, pieces
 * of the prefix behind it, lengths around 200, where popular elements begin. What is popular is counted here, by
 * the definition.
 */
#include "core/ratio.h"

#include <errno.h>
#include <string.h>

#include "dice.h"
#include "failing_alloc.h"
#include "prose.h"

enum { PREFIX = 700, REST = 540, MOST = PREFIX + REST, ROUNDS = 5000 };

static uint32_t a[MOST + 200], b[MOST], n_a, n_b;
static uint32_t marks[MOST / 32 + 1];

/* Marks what is not popular in b; false when nothing is popular. */
static bool mark(void)
{
    bool any = false;
    memset(marks, 0, sizeof marks);
    for (uint32_t j = 0; j < n_b; j++) {
        uint32_t count = 0;
        for (uint32_t k = 0; k < n_b; k++)
            count += b[k] == b[j];
        if (n_b >= 200 && count > n_b / 100 + 1)
            any = true;
        else
            marks[j / 32] |= UINT32_C(1) << j % 32;
    }
    return any;
}

static uint32_t same_from_start(void)
{
    uint32_t same = 0;
    while (same < n_a && same < n_b && a[same] == b[same])
        same++;
    return same;
}

static void draw_letters(uint32_t *to, uint32_t from, uint32_t n, uint32_t letters)
{
    for (uint32_t i = from; i < n; i++) {
        const uint32_t x = (uint32_t)dice_below(letters);
        to[i] = 'a' + (dice_one_in(3) ? x : x * x / letters);
    }
}

/* What follows the prefix in one of the two. */
static void draw_rest(uint32_t *to, uint32_t from, uint32_t n, uint32_t letters, uint32_t period)
{
    const uint64_t kind = dice_below(5);
    const uint32_t phase = (uint32_t)dice_below(period);
    if (kind == 0) {
        prose_write(to, from, n);
    } else if (kind == 1) { /* goes on like the prefix, at another phase */
        for (uint32_t i = from; i < n; i++)
            to[i] = i >= period + phase ? to[i - period + (i == from ? phase : 0)] : 'a';
    } else {
        draw_letters(to, from, n, letters);
    }
    for (uint64_t pieces = dice_below(4); pieces > 0 && kind > 2 && n > from; pieces--) {
        const uint32_t at = from + (uint32_t)dice_below(n - from);
        const uint32_t with = (uint32_t)dice_below(at + 1);
        for (uint32_t k = 0; k < 30 && at + k < n && with + k < at; k++)
            to[at + k] = to[with + k];
    }
}

static void draw_pair(void)
{
    static const uint32_t alphabets[] = {1, 2, 3, 5, 12, 26, 60, 300, 5000};
    const uint32_t letters = alphabets[dice_below(9)];
    const uint32_t prefix = (uint32_t)dice_below(dice_one_in(2) ? 40 : PREFIX);
    const uint32_t most = dice_one_in(8) ? REST : dice_one_in(3) ? 150 : 30;
    const uint32_t period = 1 + (uint32_t)dice_below(12);
    if (dice_one_in(4)) {
        prose_write(a, 0, prefix);
    } else {
        draw_letters(a, 0, prefix, letters);
        for (uint32_t i = period; i < prefix && letters < 6; i++)
            a[i] = dice_one_in(40) ? a[i] : a[i - period];
    }
    memcpy(b, a, prefix * sizeof *a);
    n_a = prefix + (uint32_t)dice_below(most);
    n_b = dice_one_in(5) ? 195 + (uint32_t)dice_below(10) : prefix + (uint32_t)dice_below(most);
    n_b = n_b < prefix ? prefix : n_b;
    draw_rest(a, prefix, n_a, letters, period);
    draw_rest(b, prefix, n_b, letters, period);
    if (dice_one_in(3)) /* the same text behind both, elsewhere */
        for (uint32_t k = 0, at = prefix + (uint32_t)dice_below(5);
             at + k < n_a && prefix + k < n_b; k++)
            b[prefix + k] = a[at + k];
}

START_TEST(beside_the_full_comparison)
{
    struct failing_alloc memory;
    struct kvt_ratio r;
    uint64_t told = 0, told_popular = 0, more = 0, refused = 0;
    prose_make_words();
    dice_seed((uint64_t)_i + 1);
    kvt_ratio_init(&r, failing_alloc_init(&memory, 0), 0);
    for (int round = 0; round < ROUNDS; round++) {
        draw_pair();
        const bool popular = mark();
        const uint32_t same = same_from_start();
        uint32_t matches = KVT_NONE;
        if (!kvt_ratio_rest(a, n_a, b, n_b, popular ? marks : NULL, same, &matches)) {
            refused++;
            continue;
        }
        MUST(kvt_ratio_reserve(&r, n_a, n_b) == 0);
        const uint32_t expected = kvt_ratio_matches(&r, a, n_a, b, n_b, 0);
        MUST(matches == expected);
        told++;
        told_popular += popular;
        more += popular && matches > same;
    }
    ck_assert_uint_gt(told, ROUNDS / 4);
    ck_assert_uint_gt(told_popular, ROUNDS / 10);
    ck_assert_uint_gt(more, ROUNDS / 50);
    ck_assert_uint_gt(refused, ROUNDS / 20);
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

static uint32_t text_of(const char *text, uint32_t *to)
{
    uint32_t n = 0;
    for (; text[n]; n++)
        to[n] = (unsigned char)text[n];
    return n;
}

/* By hand: what is told, and what must not be. */
START_TEST(by_hand)
{
    static const struct {
        const char *a, *b;
        uint32_t matches; /* KVT_NONE: not to be told */
    } cases[] = {
        {"", "", 0},
        {"abc", "abc", 3},
        {"abc", "", 0},
        {"abc", "abcdef", 3},
        {"abcxd", "abcyd", 4},              /* prefix, and d */
        {"abcxwxyz", "abcuwxyz", KVT_NONE}, /* wxyz is longer than abc: it comes first */
        {"abcxwxy", "abcuwxy", 6},          /* as long, but later */
        {"ab1bc2", "ab3abc", 4},
        {"aaa", "aaaa", 3},
        {"xyq", "xyxyq", KVT_NONE}, /* xyq begins in the prefix of a, and is longer than it */
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        uint32_t matches = KVT_NONE;
        n_a = text_of(cases[k].a, a);
        n_b = text_of(cases[k].b, b);
        const bool told = kvt_ratio_rest(a, n_a, b, n_b, NULL, same_from_start(), &matches);
        ck_assert_msg(told == (cases[k].matches != KVT_NONE), "%s | %s", cases[k].a, cases[k].b);
        ck_assert_msg(matches == cases[k].matches, "%s | %s: %u", cases[k].a, cases[k].b, matches);
    }
}
END_TEST

/* A template with a number in it, in front of two texts: what it is for. */
START_TEST(template)
{
    int told = 0;
    struct failing_alloc memory;
    struct kvt_ratio r;
    prose_make_words();
    dice_seed(12);
    kvt_ratio_init(&r, failing_alloc_init(&memory, 0), 0);
    for (int round = 0; round < 500; round++) {
        uint32_t matches;
        prose_write(a, 0, PREFIX);
        memcpy(b, a, PREFIX * sizeof *a);
        n_a = prose_write(a, PREFIX, PREFIX + 100);
        n_b = prose_write(b, PREFIX, PREFIX + 100);
        MUST(mark());
        if (!kvt_ratio_rest(a, n_a, b, n_b, marks, same_from_start(), &matches))
            continue;
        told++;
        MUST(kvt_ratio_reserve(&r, n_a, n_b) == 0);
        MUST(kvt_ratio_matches(&r, a, n_a, b, n_b, 0) == matches);
    }
    ck_assert_int_gt(told, 450);
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* ---- Of a beginning, whatever follows ------------------------------------------------------------- */

/* The longest run that ends behind b[n]; and how many elements from there on a has at all. */
static uint32_t run_behind(uint32_t n, bool popular, uint32_t *known)
{
    uint32_t longest = 0;
    *known = 0;
    for (uint32_t j = 0; j < n_b; j++) {
        bool has = false;
        for (uint32_t i = 0; i < n_a; i++) {
            uint32_t k = 0;
            while (i + k < n_a && j + k < n_b && a[i + k] == b[j + k] &&
                   (!popular || (marks[(j + k) / 32] >> (j + k) % 32 & 1)))
                k++;
            longest = j + k > n && k > longest ? k : longest;
            has |= a[i] == b[j];
        }
        *known += j >= n && has;
    }
    return longest;
}

/* A beginning that both have, edited in a: what is said of it holds for b, and is not always all of it. */
START_TEST(whatever_follows)
{
    struct failing_alloc memory;
    struct kvt_ratio r;
    uint64_t asked = 0, lost = 0, settled = 0;
    prose_make_words();
    dice_seed((uint64_t)_i + 101);
    kvt_ratio_init(&r, failing_alloc_init(&memory, 0), 0);
    for (int round = 0; round < 500; round++) {
        struct kvt_ratio_cut by_run[KVT_RATIO_RUNS];
        uint32_t known;
        draw_pair();
        uint32_t n = (uint32_t)dice_below(n_b + 1);
        if (dice_one_in(2)) { /* a template */
            prose_write(a, 0, PREFIX);
            memcpy(b, a, PREFIX * sizeof *a);
            n_a = PREFIX;
            n = PREFIX - (uint32_t)dice_below(100);
            n_b = prose_write(b, n, n + (uint32_t)dice_below(60));
        }
        n_a = prose_edit(a, n_a, (uint32_t)dice_below(8));
        for (uint32_t j = n; j < n_b && dice_one_in(2); j++)
            b[j] = 1000000 + j; /* nobody has it */
        if (!mark())
            continue;
        MUST(kvt_ratio_reserve(&r, n_a, n_b) == 0);
        kvt_ratio_prefix(&r, a, n_a, b, n, marks, by_run);
        const uint32_t run = run_behind(n, true, &known);
        const uint32_t matches = kvt_ratio_matches(&r, a, n_a, b, n_b, 0);
        for (uint32_t k = 0; k < KVT_RATIO_RUNS; k++) {
            const uint32_t shorter = n_a < n ? n_a : n;
            MUST(by_run[k].most <= shorter && by_run[k].row <= n_a);
            MUST(k == 0 || by_run[k].most >= by_run[k - 1].most);
        }
        if (run + 1 >= KVT_RATIO_RUNS)
            continue;
        MUST(matches <= by_run[run + 1].most + known);
        asked++;
        lost += by_run[run + 1].most < (n_a < n ? n_a : n);
        settled += known == 0 && matches == by_run[run + 1].most;
    }
    ck_assert_uint_gt(asked, 60);
    ck_assert_uint_gt(lost, 30);
    ck_assert_uint_gt(settled, 3);
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ratio_rest");
    TCase *tests = tcase_create("ratio_rest");
    tcase_add_loop_test(tests, beside_the_full_comparison, 0, 4);
    tcase_add_test(tests, by_hand);
    tcase_add_test(tests, template);
    tcase_add_loop_test(tests, whatever_follows, 0, 4);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
