/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_anchors.c - core/anchors.h: no match is ever counted as lost, marks are those of the definition, and
 * of two texts that have nothing to do with each other a good deal is lost.
 */
#include "core/anchors.h"

#include <errno.h>
#include <string.h>

#include "core/ratio.h"
#include "dice.h"
#include "failing_alloc.h"
#include "prose.h"

enum { MOST = 900, ROUNDS = 4000 };

static uint32_t a[MOST + 200], b[MOST + 200], marks[MOST / 32 + 10], n_a, n_b;
static bool exact;

static bool popular(uint32_t j)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < n_b; k++)
        count += b[k] == b[j];
    return n_b >= 200 && count > n_b / 100 + 1;
}

/* Few letters and many, prose, tokens that share slots of any table; a copy with edits, the same beginning, or
 * another. Many are popular in most. */
static void draw(void)
{
    const uint64_t kind = dice_below(5), letters = 1 + dice_below(kind == 3 ? 5000 : 40);
    n_a = (uint32_t)dice_below(MOST);
    for (uint32_t i = 0; i < n_a; i++)
        a[i] = kind == 3 ? (uint32_t)dice_below(letters) * 4096
                         : 'a' + (uint32_t)dice_below(1 + dice_below(letters));
    if (kind < 2)
        prose_write(a, 0, n_a);
    n_b = n_a;
    memcpy(b, a, n_a * sizeof *a);
    if (dice_one_in(3)) {
        n_b = prose_edit(b, n_a, (uint32_t)dice_below(12));
    } else {
        n_b = (uint32_t)dice_below(MOST);
        const uint32_t same = (uint32_t)dice_below((n_a < n_b ? n_a : n_b) + 1);
        prose_write(b, same, n_b);
    }
}

/* The longest run of anchors that ends behind b[from], cell by cell; KVT_ANCHORS_PIECE at most. */
static uint32_t longest_run(uint32_t from)
{
    uint32_t longest = 0;
    for (uint32_t j = 0; j < n_b; j++)
        for (uint32_t i = 0; i < n_a; i++) {
            uint32_t k = 0;
            while (i + k < n_a && j + k < n_b && a[i + k] == b[j + k] &&
                   (marks[(j + k) / 32] >> (j + k) % 32 & 1))
                k++;
            longest = j + k > from && k > longest ? k : longest;
        }
    return longest < KVT_ANCHORS_PIECE ? longest : KVT_ANCHORS_PIECE;
}

START_TEST(never_too_much)
{
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_anchors s;
    struct kvt_ratio r;
    uint64_t marked = 0, lost_in_all = 0, sure = 0;
    prose_make_words();
    dice_seed((uint64_t)_i + 1);
    kvt_ratio_init(&r, alloc, 0);
    ck_assert_int_eq(kvt_anchors_init(&s, alloc), 0);
    for (int round = 0; round < ROUNDS; round++) {
        draw();
        memset(marks, 0xff, sizeof marks);
        kvt_anchors_ask(&s, a, n_a);
        MUST(kvt_ratio_reserve(&r, n_a, n_b) == 0);
        const uint32_t matches = kvt_ratio_matches(&r, a, n_a, b, n_b, 0);
        const bool any = kvt_anchors_mark(&s, b, n_b, marks, &exact);
        sure += exact;
        if (!any) {
            if (exact)
                MUST(n_b == 0 || !popular((uint32_t)dice_below(n_b)));
            MUST(matches <= n_b - kvt_anchors_lost(&s, b, n_b, NULL, 0, n_b));
            continue;
        }
        marked++;
        MUST(n_b >= 200);
        MUST(kvt_anchors_words(n_b) > (n_b - 1) / 32);
        for (uint32_t k = 0; k < 20; k++) {
            const uint32_t j = (uint32_t)dice_below(n_b);
            const bool anchor = marks[j / 32] >> j % 32 & 1;
            MUST(anchor ? !exact || !popular(j) : popular(j));
        }
        const uint32_t lost = kvt_anchors_lost(&s, b, n_b, marks, 0, n_b);
        MUST(matches <= n_b - lost);
        const uint32_t from = (uint32_t)dice_below(n_b);
        const uint32_t behind = kvt_anchors_lost(&s, b, n_b, marks, from, n_b);
        MUST(behind <= lost && behind <= n_b - from);
        MUST(behind >= kvt_anchors_lost(&s, b, n_b, marks, from + 1, n_b));
        const uint32_t most = (uint32_t)dice_below(n_b + 1);
        const uint32_t some = kvt_anchors_lost(&s, b, n_b, marks, 0, most);
        MUST(some == lost || (some > most && some <= lost));
        lost_in_all += lost;
        if (round % 8 == 0)
            MUST(kvt_anchors_run(&s, b, n_b, marks, from) >= longest_run(from));
    }
    ck_assert_uint_gt(marked, ROUNDS / 4);
    ck_assert_uint_gt(sure, ROUNDS / 2);
    ck_assert_uint_gt(lost_in_all / marked, 10);
    kvt_anchors_release(&s);
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* By hand: xyz are the anchors of b, all else is popular. */
START_TEST(by_hand)
{
    struct failing_alloc memory;
    struct kvt_anchors s;
    ck_assert_int_eq(kvt_anchors_init(&s, failing_alloc_init(&memory, 0)), 0);
    n_b = 300;
    for (uint32_t j = 0; j < n_b; j++)
        b[j] = 'o';
    b[100] = 'x', b[200] = 'y', b[250] = 'z';
    ck_assert(kvt_anchors_mark(&s, b, n_b, marks, &exact));
    for (uint32_t j = 0; j < n_b; j++)
        ck_assert_int_eq(marks[j / 32] >> j % 32 & 1, b[j] != 'o');
    /* a is "ooxoo y": two before x and two behind, y alone, no z; the 100 before x may be a common start. */
    const char text[] = "ooxoo y";
    n_a = sizeof text - 1;
    for (uint32_t i = 0; i < n_a; i++)
        a[i] = (unsigned char)text[i];
    kvt_anchors_ask(&s, a, n_a);
    ck_assert_uint_eq(kvt_anchors_lost(&s, b, n_b, marks, 0, n_b), (99 - 2) + 49 + 1 + 49);
    /* Itself: nothing. */
    kvt_anchors_ask(&s, b, n_b);
    ck_assert_uint_eq(kvt_anchors_lost(&s, b, n_b, marks, 0, n_b), 0);
    kvt_anchors_ask(&s, a, 0);
    ck_assert_uint_eq(kvt_anchors_lost(&s, b, n_b, marks, 0, n_b), 200);
    kvt_anchors_release(&s);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* Two texts of 2,000 characters behind one template: more than the tenth that a threshold of 0.9 allows. */
START_TEST(another_text_behind_a_template)
{
    enum { LONG = 2000, SHARED = 1500 };
    static uint32_t x[LONG], y[LONG], anchors[LONG / 32 + 1];
    struct failing_alloc memory;
    struct kvt_anchors s;
    prose_make_words();
    dice_seed(9);
    prose_write(x, 0, LONG);
    memcpy(y, x, sizeof x);
    prose_write(y, SHARED, LONG);
    ck_assert_int_eq(kvt_anchors_init(&s, failing_alloc_init(&memory, 0)), 0);
    ck_assert(kvt_anchors_mark(&s, y, LONG, anchors, &exact));
    kvt_anchors_ask(&s, x, LONG);
    ck_assert_uint_gt(kvt_anchors_lost(&s, y, LONG, anchors, 0, LONG), LONG / 10);
    ck_assert_uint_lt(kvt_anchors_lost(&s, y, LONG, anchors, 0, LONG), LONG - SHARED);
    kvt_anchors_release(&s);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(nothing_popular)
{
    struct failing_alloc memory;
    struct kvt_anchors s;
    ck_assert_int_eq(kvt_anchors_init(&s, failing_alloc_init(&memory, 0)), 0);
    memset(b, 0, sizeof b);
    ck_assert(!kvt_anchors_mark(&s, b, 0, marks, &exact));
    ck_assert(!kvt_anchors_mark(&s, b, 199, marks, &exact));
    ck_assert(kvt_anchors_mark(&s, b, 200, marks, &exact));
    for (uint32_t j = 0; j < MOST; j++)
        b[j] = j;
    ck_assert(!kvt_anchors_mark(&s, b, MOST, marks, &exact));
    kvt_anchors_release(&s);
    ck_assert(failing_alloc_clean(&memory));
    for (uint64_t fail_at = 1; fail_at <= 2; fail_at++) {
        ck_assert_int_eq(kvt_anchors_init(&s, failing_alloc_init(&memory, fail_at)), -ENOMEM);
        ck_assert(failing_alloc_clean(&memory));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("anchors");
    TCase *tests = tcase_create("anchors");
    tcase_add_loop_test(tests, never_too_much, 0, 3);
    tcase_add_test(tests, by_hand);
    tcase_add_test(tests, another_text_behind_a_template);
    tcase_add_test(tests, nothing_popular);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
