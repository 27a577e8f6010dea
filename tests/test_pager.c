/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_pager.c - core/pager.h beside a naive model: arrays of page numbers.
 *
 * The model holds each run as a list of its pages. After every operation the chains are walked and
 * compared; so a page in two chains, a lost page or a wrong order shows at once. The model does not
 * say which pages are taken; that the order is last in, first out, and ascending at first, has
 * tests of its own.
 */
#include "core/pager.h"

#include <errno.h>

#include "dice.h"
#include "failing_alloc.h"

enum { PAGES = 300, RUNS = 24, OPERATIONS = 40000 };

struct model_run {
    struct kvt_page_run run;
    uint32_t page[PAGES];
};

static struct model_run runs[RUNS];
static bool taken[PAGES];

static void walk(const struct kvt_pager *p, const struct model_run *m)
{
    uint32_t page = m->run.first, last = KVT_NONE;
    for (uint32_t i = 0; i < m->run.n; i++) {
        MUST(page == m->page[i]);
        last = page;
        page = kvt_pager_next(p, page);
    }
    MUST(page == KVT_NONE);
    MUST(last == m->run.last);
}

/* What a run that was just taken consists of. */
static void learn(const struct kvt_pager *p, const struct kvt_page_run *run, uint32_t *page)
{
    uint32_t at = run->first;
    for (uint32_t i = 0; i < run->n; i++) {
        MUST(at < PAGES && !taken[at]);
        taken[at] = true;
        page[i] = at;
        at = kvt_pager_next(p, at);
    }
    MUST(at == KVT_NONE);
}

static uint32_t taken_pages(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < PAGES; i++)
        n += taken[i];
    return n;
}

static void grow_run(struct kvt_pager *p, struct model_run *m)
{
    const uint32_t n = (uint32_t)dice_below(dice_one_in(10) ? PAGES : 12);
    struct kvt_page_run more;
    const bool fits = n <= kvt_pager_free(p);
    MUST(kvt_pager_take(p, n, &more) == fits);
    MUST(more.n == (fits ? n : 0));
    learn(p, &more, m->page + m->run.n);
    kvt_pager_append(p, &m->run, &more);
}

static void move_head(struct kvt_pager *p, struct model_run *from, struct model_run *to)
{
    const uint32_t n = (uint32_t)dice_below(from->run.n + 1u);
    struct kvt_page_run head;
    kvt_pager_split(p, &from->run, n, &head);
    MUST(head.n == n);
    memcpy(to->page + to->run.n, from->page, n * sizeof *to->page);
    memmove(from->page, from->page + n, from->run.n * sizeof *from->page);
    kvt_pager_append(p, &to->run, &head);
}

static void give_run(struct kvt_pager *p, struct model_run *m)
{
    for (uint32_t i = 0; i < m->run.n; i++)
        taken[m->page[i]] = false;
    kvt_pager_give(p, m->run.first, m->run.n);
    m->run = (struct kvt_page_run){KVT_NONE, KVT_NONE, 0};
}

START_TEST(random_operations)
{
    dice_seed((uint64_t)_i + 1);
    struct failing_alloc memory;
    struct kvt_pager p;
    ck_assert_int_eq(kvt_pager_init(&p, failing_alloc_init(&memory, 0), PAGES), 0);
    kvt_pager_expect(&p, (uint32_t)_i * 2);
    ck_assert(kvt_pager_check(&p));
    for (int i = 0; i < RUNS; i++)
        runs[i].run = (struct kvt_page_run){KVT_NONE, KVT_NONE, 0};
    for (int k = 0; k < OPERATIONS; k++) {
        struct model_run *a = &runs[dice_below(RUNS)], *b = &runs[dice_below(RUNS)];
        switch (dice_below(4)) {
        case 0:
        case 1:
            grow_run(&p, a);
            break;
        case 2:
            if (a != b)
                move_head(&p, a, b);
            break;
        default:
            give_run(&p, a);
        }
        walk(&p, a);
        walk(&p, b);
        MUST(kvt_pager_used(&p) == taken_pages());
        MUST(kvt_pager_free(&p) == PAGES - taken_pages());
        MUST(kvt_pager_total(&p) == PAGES);
        MUST(kvt_pager_check(&p));
    }
    for (int i = 0; i < RUNS; i++)
        give_run(&p, &runs[i]);
    ck_assert_uint_eq(kvt_pager_free(&p), PAGES);
    ck_assert_uint_eq(taken_pages(), 0);
    ck_assert(kvt_pager_check(&p));
    kvt_pager_release(&p);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(ascends_then_reuses_last_in_first_out)
{
    struct failing_alloc memory;
    struct kvt_pager p;
    struct kvt_page_run a, b, c;
    ck_assert_int_eq(kvt_pager_init(&p, failing_alloc_init(&memory, 0), 10), 0);
    ck_assert(kvt_pager_take(&p, 3, &a));
    ck_assert(kvt_pager_take(&p, 4, &b));
    for (uint32_t i = 0; i < 2; i++)
        ck_assert_uint_eq(kvt_pager_next(&p, i), i + 1);
    ck_assert_uint_eq(a.first, 0);
    ck_assert_uint_eq(b.first, 3);
    ck_assert_uint_eq(b.last, 6);
    kvt_pager_give(&p, a.first, a.n);
    kvt_pager_give(&p, b.first, b.n);
    ck_assert(kvt_pager_take(&p, 9, &c)); /* b, then a, then two fresh ones */
    static const uint32_t expected[] = {3, 4, 5, 6, 0, 1, 2, 7, 8, KVT_NONE};
    uint32_t page = c.first;
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_eq(page, expected[i]);
        page = kvt_pager_next(&p, page);
    }
    kvt_pager_release(&p);
}
END_TEST

START_TEST(takes_all_or_nothing)
{
    struct failing_alloc memory;
    struct kvt_pager p;
    struct kvt_page_run run;
    ck_assert_int_eq(kvt_pager_init(&p, failing_alloc_init(&memory, 0), 5), 0);
    ck_assert(!kvt_pager_take(&p, 6, &run));
    ck_assert_uint_eq(run.n, 0);
    ck_assert_uint_eq(kvt_pager_free(&p), 5);
    ck_assert(kvt_pager_take(&p, 0, &run));
    ck_assert_uint_eq(run.first, KVT_NONE);
    ck_assert(kvt_pager_take(&p, 5, &run));
    ck_assert(!kvt_pager_take(&p, 1, &run));
    kvt_pager_release(&p);
    ck_assert_int_eq(kvt_pager_init(&p, &memory.alloc, 0), 0);
    ck_assert(!kvt_pager_take(&p, 1, &run));
    ck_assert(kvt_pager_check(&p));
    kvt_pager_release(&p);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(unlimited_only_counts)
{
    struct failing_alloc memory;
    struct kvt_pager p;
    struct kvt_page_run run, more, head;
    ck_assert_int_eq(kvt_pager_init(&p, failing_alloc_init(&memory, 0), UINT64_MAX), 0);
    ck_assert_uint_eq(memory.gets, 0);
    ck_assert(kvt_pager_take(&p, 1000, &run));
    ck_assert(kvt_pager_take(&p, 50, &more));
    kvt_pager_append(&p, &run, &more);
    kvt_pager_split(&p, &run, 30, &head);
    ck_assert_uint_eq(run.n, 1020);
    ck_assert_uint_eq(head.n, 30);
    ck_assert_uint_eq(head.first, KVT_NONE);
    ck_assert_uint_eq(run.last, KVT_NONE);
    ck_assert_uint_eq(kvt_pager_used(&p), 1050);
    ck_assert_uint_eq(kvt_pager_free(&p), UINT64_MAX);
    ck_assert_uint_eq(kvt_pager_total(&p), UINT64_MAX);
    ck_assert_uint_eq(kvt_pager_next(&p, KVT_NONE), KVT_NONE);
    kvt_pager_give(&p, head.first, head.n);
    kvt_pager_give(&p, run.first, run.n);
    ck_assert_uint_eq(kvt_pager_used(&p), 0);
    ck_assert(kvt_pager_check(&p));
    kvt_pager_release(&p);
}
END_TEST

START_TEST(refuses_at_birth)
{
    struct failing_alloc memory;
    struct kvt_pager p;
    ck_assert_int_eq(kvt_pager_init(&p, failing_alloc_init(&memory, 1), 100), -ENOMEM);
    kvt_pager_release(&p);
    ck_assert_int_eq(kvt_pager_init(&p, &memory.alloc, KVT_NONE), -EINVAL);
    kvt_pager_release(&p);
    p = (struct kvt_pager){0};
    kvt_pager_release(&p);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(check_can_fail)
{
    struct failing_alloc memory;
    struct kvt_pager p;
    struct kvt_page_run a, b;
    ck_assert_int_eq(kvt_pager_init(&p, failing_alloc_init(&memory, 0), 10), 0);
    ck_assert(kvt_pager_take(&p, 4, &a) && kvt_pager_take(&p, 2, &b));
    kvt_pager_give(&p, a.first, a.n);
    ck_assert(kvt_pager_check(&p));
    p.fresh += 6; /* six more than there are, all of them taken */
    p.used += 6;
    ck_assert(!kvt_pager_check(&p));
    p.fresh -= 6;
    p.used -= 6;
    p.page[a.last].next = a.first; /* a circle */
    ck_assert(!kvt_pager_check(&p));
    p.page[a.last].next = b.first; /* a page that somebody owns */
    ck_assert(!kvt_pager_check(&p));
    p.page[a.last].next = 9; /* a fresh one */
    ck_assert(!kvt_pager_check(&p));
    p.page[a.first].next = KVT_NONE; /* lost ones */
    ck_assert(!kvt_pager_check(&p));
    p.page[a.first].next = a.first + 1; /* whole again */
    p.page[a.last].next = KVT_NONE;
    ck_assert(kvt_pager_check(&p));
    p.page[a.first].last = a.first; /* a first page that tells a wrong last one */
    ck_assert(!kvt_pager_check(&p));
    kvt_pager_release(&p);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pager");
    TCase *tcase = tcase_create("pager");
    tcase_add_loop_test(tcase, random_operations, 0, 4);
    tcase_add_test(tcase, ascends_then_reuses_last_in_first_out);
    tcase_add_test(tcase, takes_all_or_nothing);
    tcase_add_test(tcase, unlimited_only_counts);
    tcase_add_test(tcase, refuses_at_birth);
    tcase_add_test(tcase, check_can_fail);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
