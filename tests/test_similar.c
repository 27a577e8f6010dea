/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_similar.c - core/similar.h: the same answers as comparing with every prompt, and the same
 * prompts as a plain list in the order of use.
 */
#include "core/similar.h"

#include <errno.h>
#include <string.h>

#include "dice.h"
#include "failing_alloc.h"
#include "prose.h"

enum { CAPACITY = 60, LONGEST = 1200, OPERATIONS = 1500, TEMPLATES = 4 };

/* ---- The model: a list, most recently used first, and a comparison with each -------------------------- */

struct kept {
    uint32_t text[LONGEST], n, number;
    uint64_t tag, born;
};

static struct kept kept[CAPACITY];
static uint32_t n_kept;
static uint64_t born;

static void model_drop(uint32_t i)
{
    memmove(&kept[i], &kept[i + 1], (n_kept - i - 1) * sizeof kept[0]);
    n_kept--;
}

static void model_first(uint32_t i)
{
    static struct kept one;
    one = kept[i];
    memmove(&kept[1], &kept[0], i * sizeof kept[0]);
    kept[0] = one;
}

static void model_add(const uint32_t *text, uint32_t n, uint64_t tag, uint32_t number)
{
    if (n_kept == CAPACITY)
        n_kept--;
    struct kept *k = &kept[n_kept++];
    memcpy(k->text, text, n * sizeof *text);
    k->n = n;
    k->tag = tag;
    k->number = number;
    k->born = born++;
    model_first(n_kept - 1);
}

static int model_find(struct kvt_ratio *r, double threshold, const uint32_t *query, uint32_t n,
                      double *best_ratio)
{
    int best = -1;
    for (uint32_t i = 0; i < n_kept; i++) {
        double ratio = 0;
        MUST(kvt_ratio(r, query, n, kept[i].text, kept[i].n, &ratio) == 0);
        if (ratio > threshold && (best < 0 || ratio > *best_ratio ||
                                  (!(ratio < *best_ratio) && kept[i].born < kept[best].born))) {
            best = (int)i;
            *best_ratio = ratio;
        }
    }
    return best;
}

/* ---- Prompts ------------------------------------------------------------------------------------------- */

static uint32_t templates[TEMPLATES][LONGEST], text[LONGEST + 100], n_text;

/* A template's beginning and some text; an edited prompt of before; one letter, again and again; tokens. */
static void draw_prompt(void)
{
    const uint64_t what = dice_below(10);
    if (what < 4) {
        const uint32_t shared = (uint32_t)dice_below(600), n = shared + (uint32_t)dice_below(500);
        memcpy(text, templates[dice_below(TEMPLATES)], shared * sizeof *text);
        n_text = prose_write(text, shared, n);
    } else if (what < 7 && n_kept > 0) {
        const struct kept *k = &kept[dice_below(n_kept)];
        memcpy(text, k->text, k->n * sizeof *text);
        n_text = prose_edit(text, k->n, (uint32_t)dice_below(8));
    } else if (what < 8) {
        n_text = 1 + (uint32_t)dice_below(900);
        for (uint32_t i = 0; i < n_text; i++)
            text[i] = dice_one_in(60) ? 'b' : 'a';
    } else if (what < 9) {
        n_text = (uint32_t)dice_below(6);
        for (uint32_t i = 0; i < n_text; i++)
            text[i] = 'a' + (uint32_t)dice_below(2);
    } else if (dice_one_in(2)) {
        n_text = 1 + (uint32_t)dice_below(300);
        for (uint32_t i = 0; i < n_text; i++)
            text[i] = (uint32_t)dice_word();
    } else { /* tokens, and most of them a template's */
        const uint32_t shared = (uint32_t)dice_below(600);
        memcpy(text, templates[0], shared * sizeof *text);
        n_text = prose_write(text, shared, shared + (uint32_t)dice_below(100));
        for (uint32_t i = n_text; i-- > 1;)
            text[i] = text[i] << 8 | text[i - 1];
    }
    n_text = n_text > LONGEST ? LONGEST : n_text;
}

static void compare_with_model(struct kvt_similar *s, struct kvt_ratio *r, double threshold)
{
    struct kvt_similar_found found;
    double ratio = 0;
    const int best = model_find(r, threshold, text, n_text, &ratio);
    MUST(kvt_similar_find(s, text, n_text, &found) == (best >= 0));
    if (best < 0) {
        MUST(found.prompt == KVT_NONE);
        return;
    }
    const struct kept *k = &kept[best];
    MUST(!(found.ratio < ratio) && !(found.ratio > ratio));
    MUST(found.prompt == k->number && found.tag == k->tag);
    uint32_t same = 0;
    while (same < k->n && same < n_text && k->text[same] == text[same])
        same++;
    MUST(kvt_similar_prefix(s, found.prompt, text, n_text) == same);
}

static const double thresholds[] = {0.9, 0.5, 0.7, 0.81, 0.97, 0, 1, 2.0 / 3};

START_TEST(random_operations)
{
    struct failing_alloc memory;
    struct kvt_similar s;
    struct kvt_ratio r;
    const double threshold = thresholds[_i];
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    prose_make_words();
    dice_seed((uint64_t)_i + 1);
    n_kept = 0;
    for (int t = 0; t < TEMPLATES; t++)
        prose_write(templates[t], 0, LONGEST);
    kvt_ratio_init(&r, alloc, 0);
    ck_assert_int_eq(kvt_similar_init(&s, alloc,
                                      &(struct kvt_similar_config){threshold, CAPACITY, LONGEST}),
                     0);
    for (int k = 0; k < OPERATIONS; k++) {
        const uint64_t what = dice_below(20);
        draw_prompt();
        if (what < 9) {
            uint32_t number;
            const uint64_t tag = dice_word();
            const int status = kvt_similar_add(&s, text, n_text, tag, &number);
            MUST(status == (n_text ? 0 : -EINVAL));
            if (status == 0)
                model_add(text, n_text, tag, number);
        } else if (what < 11 && n_kept > 0) {
            const uint32_t i = (uint32_t)dice_below(n_kept);
            kvt_similar_remove(&s, kept[i].number);
            model_drop(i);
        } else if (what < 13 && n_kept > 0) {
            const uint32_t i = (uint32_t)dice_below(n_kept);
            kvt_similar_use(&s, kept[i].number);
            model_first(i);
        } else {
            compare_with_model(&s, &r, threshold);
        }
        MUST(s.count == n_kept && kvt_similar_check(&s));
    }
    for (uint32_t i = 0; i < n_kept; i++) {
        uint32_t n;
        const uint32_t *elements = kvt_similar_elements(&s, kept[i].number, &n);
        MUST(n == kept[i].n && memcmp(elements, kept[i].text, n * sizeof *elements) == 0);
    }
    MUST(s.counts.seen > s.counts.compared || threshold == 0);
    MUST(s.counts.by_order > 0 || threshold < 0.5 || threshold > 0.99);
    MUST(s.counts.by_rest > 0 || threshold < 0.5 || threshold > 0.99);
    kvt_similar_release(&s);
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* Of texts in one language, hardly any is compared: their letters are alike, their grams are not. */
START_TEST(most_are_never_compared)
{
    enum { TEXTS = 400, LETTERS = 1000 };
    struct failing_alloc memory;
    struct kvt_similar s;
    struct kvt_similar_found found;
    uint32_t number, n;
    prose_make_words();
    dice_seed(5);
    ck_assert_int_eq(kvt_similar_init(&s, failing_alloc_init(&memory, 0),
                                      &(struct kvt_similar_config){0.9, TEXTS, LONGEST}),
                     0);
    for (uint64_t i = 0; i < TEXTS; i++) {
        prose_write(text, 0, LETTERS);
        ck_assert_int_eq(kvt_similar_add(&s, text, LETTERS, i, &number), 0);
    }
    const uint32_t *original = kvt_similar_elements(&s, 37, &n);
    memcpy(text, original, n * sizeof *text);
    n = prose_edit(text, n, 4);
    ck_assert_int_eq(kvt_similar_find(&s, text, n, &found), 1);
    ck_assert_uint_eq(found.prompt, 37);
    ck_assert_uint_eq(s.counts.compared, 1);
    ck_assert_uint_eq(s.counts.above, 1);
    ck_assert_uint_eq(s.counts.by_bag + s.counts.by_grams, TEXTS - 1);
    ck_assert_uint_gt(s.counts.by_grams, TEXTS / 10);
    kvt_similar_release(&s);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* One template in all: what is behind it tells. The stem may go, and come back as another prompt. */
START_TEST(one_template)
{
    enum { TEXTS = 300, TEMPLATE = 1000, LETTERS = 1100 };
    struct failing_alloc memory;
    struct kvt_similar s;
    struct kvt_similar_found found;
    uint32_t number;
    prose_make_words();
    dice_seed(6);
    prose_write(templates[0], 0, TEMPLATE);
    ck_assert_int_eq(kvt_similar_init(&s, failing_alloc_init(&memory, 0),
                                      &(struct kvt_similar_config){0.9, TEXTS, LONGEST}),
                     0);
    for (uint64_t i = 0; i < TEXTS; i++) {
        memcpy(text, templates[0], TEMPLATE * sizeof *text);
        prose_write(text, TEMPLATE, LETTERS);
        ck_assert_int_eq(kvt_similar_add(&s, text, LETTERS, i, &number), 0);
    }
    for (int round = 0; round < 3; round++) {
        memset(&s.counts, 0, sizeof s.counts);
        memcpy(text, templates[0], TEMPLATE * sizeof *text);
        prose_write(text, TEMPLATE, LETTERS);
        ck_assert_int_eq(kvt_similar_find(&s, text, LETTERS, &found), 1);
        ck_assert_uint_eq(s.counts.seen, TEXTS - (round > 0));
        ck_assert_uint_le(s.counts.compared, 3);
        const struct kvt_similar_counts before = s.counts;
        uint32_t n;
        memcpy(text, kvt_similar_elements(&s, 100, &n), LETTERS * sizeof *text);
        n = prose_edit(text, LETTERS, 2);
        ck_assert_int_eq(kvt_similar_find(&s, text, n, &found), 1);
        ck_assert_uint_eq(found.prompt, 100);
        ck_assert_uint_le(s.counts.compared - before.compared, round == 0 ? 3 : TEXTS);
        if (round == 0) {
            kvt_similar_remove(&s, 0);
        } else if (round == 1) {
            prose_write(text, 0, LETTERS);
            ck_assert_int_eq(kvt_similar_add(&s, text, LETTERS, 0, &number), 0);
            ck_assert_uint_eq(number, 0);
            kvt_similar_remove(&s, 1);
        }
    }
    kvt_similar_release(&s);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* The same with edited queries, a few and many, beside comparing with all; prompts share different beginnings of the
 * template. */
START_TEST(an_edited_template)
{
    enum { TEXTS = 200, TEMPLATE = 1000, QUERIES = 60 };
    static uint32_t texts[TEXTS][LONGEST], n_texts[TEXTS];
    struct failing_alloc memory;
    const struct kvt_alloc *alloc = failing_alloc_init(&memory, 0);
    struct kvt_similar s;
    struct kvt_ratio r;
    struct kvt_similar_found found;
    uint32_t number;
    prose_make_words();
    dice_seed(60 + (uint64_t)_i);
    prose_write(templates[0], 0, TEMPLATE);
    kvt_ratio_init(&r, alloc, 0);
    const double threshold = _i % 2 ? 0.9 : 0.8;
    ck_assert_int_eq(kvt_similar_init(&s, alloc,
                                      &(struct kvt_similar_config){threshold, TEXTS, LONGEST}),
                     0);
    for (uint32_t i = 0; i < TEXTS; i++) {
        const uint32_t shared = TEMPLATE - (dice_one_in(4) ? (uint32_t)dice_below(900) : 0);
        memcpy(texts[i], templates[0], shared * sizeof *text);
        n_texts[i] = prose_write(texts[i], shared, shared + (uint32_t)dice_below(150));
        ck_assert_int_eq(kvt_similar_add(&s, texts[i], n_texts[i], i, &number), 0);
    }
    for (int query = 0; query < QUERIES; query++) {
        const uint32_t like = (uint32_t)dice_below(TEXTS);
        memcpy(text, texts[like], n_texts[like] * sizeof *text);
        uint32_t n = prose_edit(text, n_texts[like], (uint32_t)dice_below(16));
        n = n > LONGEST ? LONGEST : n;
        uint32_t best = KVT_NONE;
        double most = threshold, ratio;
        for (uint32_t i = 0; i < TEXTS; i++) {
            MUST(kvt_ratio(&r, text, n, texts[i], n_texts[i], &ratio) == 0);
            best = ratio > most ? i : best;
            most = ratio > most ? ratio : most;
        }
        MUST(kvt_similar_find(&s, text, n, &found) == (best != KVT_NONE));
        MUST(best == KVT_NONE || (found.tag == best && !(found.ratio < most)));
    }
    ck_assert_uint_lt(s.counts.compared, s.counts.seen * 3 / 5);
    kvt_similar_release(&s);
    kvt_ratio_release(&r);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(no_memory)
{
    prose_make_words();
    for (uint64_t fail_at = 1;; fail_at++) {
        struct failing_alloc memory;
        struct kvt_similar s;
        struct kvt_similar_found found;
        uint32_t number;
        dice_seed(3);
        const struct kvt_alloc *alloc = failing_alloc_init(&memory, fail_at);
        int status = kvt_similar_init(&s, alloc, &(struct kvt_similar_config){0.5, 8, LONGEST});
        for (uint64_t i = 0; status == 0 && i < 12; i++) {
            prose_write(text, 0, 100 * (uint32_t)i + 5);
            status = kvt_similar_add(&s, text, 100 * (uint32_t)i + 5, i, &number);
            ck_assert(kvt_similar_check(&s));
        }
        if (status == 0) {
            status = kvt_similar_find(&s, text, 1100, &found);
            ck_assert(kvt_similar_check(&s));
            ck_assert(status == 1 || found.prompt == KVT_NONE);
        }
        ck_assert(status >= 0 || status == -ENOMEM);
        if (memory.gets < fail_at)
            ck_assert_int_eq(status, 1);
        if (s.alloc)
            kvt_similar_release(&s);
        ck_assert(failing_alloc_clean(&memory));
        if (memory.gets < fail_at)
            break;
    }
}
END_TEST

START_TEST(too_long)
{
    struct failing_alloc memory;
    struct kvt_similar s;
    struct kvt_similar_found found;
    uint32_t number;
    ck_assert_int_eq(kvt_similar_init(&s, failing_alloc_init(&memory, 0),
                                      &(struct kvt_similar_config){0.5, 1, 10}),
                     0);
    memset(text, 0, sizeof text);
    ck_assert_int_eq(kvt_similar_add(&s, text, 11, 0, &number), -EINVAL);
    ck_assert_int_eq(kvt_similar_find(&s, text, 11, &found), -EINVAL);
    ck_assert_int_eq(kvt_similar_find(&s, text, 10, &found), 0);
    ck_assert_int_eq(kvt_similar_add(&s, text, 10, 0, &number), 0);
    ck_assert_int_eq(kvt_similar_find(&s, text, 10, &found), 1);
    kvt_similar_release(&s);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("similar");
    TCase *tests = tcase_create("similar");
    tcase_add_loop_test(tests, random_operations, 0, sizeof thresholds / sizeof thresholds[0]);
    tcase_add_test(tests, most_are_never_compared);
    tcase_add_test(tests, one_template);
    tcase_add_loop_test(tests, an_edited_template, 0, 10);
    tcase_add_test(tests, no_memory);
    tcase_add_test(tests, too_long);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
