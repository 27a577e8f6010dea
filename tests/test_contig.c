/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_contig.c - core/contig.h beside a naive model: a line of tokens, one byte each.
 */
#include "core/contig.h"

#include <errno.h>

#include "dice.h"
#include "failing_alloc.h"

enum { TOKENS = 1500, REGIONS = 60, OPERATIONS = 30000, MANY = 50000 };

struct region {
    uint64_t offset, tokens;
};

static bool used[TOKENS];

/* The lowest run of n free tokens. */
static uint64_t naive_first_fit(uint64_t n)
{
    uint64_t run = 0;
    for (uint64_t i = 0; i < TOKENS; i++) {
        run = used[i] ? 0 : run + 1;
        if (run == n)
            return i + 1 - n;
    }
    return KVT_CONTIG_NONE;
}

static void compare(const struct kvt_contig *c)
{
    uint64_t unused = 0, run = 0, largest = 0;
    for (uint64_t i = 0; i < TOKENS; i++) {
        run = used[i] ? 0 : run + 1;
        unused += !used[i];
        if (run > largest)
            largest = run;
    }
    MUST(kvt_contig_free_tokens(c) == unused);
    MUST(kvt_contig_largest_hole(c) == largest);
    MUST(kvt_contig_check(c));
}

START_TEST(random_operations)
{
    dice_seed((uint64_t)_i + 1);
    static struct region regions[REGIONS];
    uint32_t n = 0;
    uint64_t refused = 0;
    struct failing_alloc memory;
    struct kvt_contig c;
    ck_assert_int_eq(kvt_contig_init(&c, failing_alloc_init(&memory, 0), TOKENS), 0);
    for (int k = 0; k < OPERATIONS; k++) {
        if (n < REGIONS && (n == 0 || dice_below(9) < 5)) {
            const uint64_t tokens = 1 + dice_below(dice_one_in(20) ? TOKENS : 60);
            const uint64_t expected = naive_first_fit(tokens);
            MUST(kvt_contig_take(&c, tokens) == expected);
            refused += expected == KVT_CONTIG_NONE;
            if (expected != KVT_CONTIG_NONE) {
                memset(used + expected, true, tokens);
                regions[n++] = (struct region){expected, tokens};
            }
        } else {
            const uint32_t i = (uint32_t)dice_below(n);
            kvt_contig_give(&c, regions[i].offset, regions[i].tokens);
            memset(used + regions[i].offset, false, regions[i].tokens);
            regions[i] = regions[--n];
        }
        compare(&c);
    }
    ck_assert_uint_gt(refused, 0);
    ck_assert_uint_le(memory.gets,
                      2); /* room goes with the regions held, not with those ever taken */
    while (n--)
        kvt_contig_give(&c, regions[n].offset, regions[n].tokens);
    ck_assert_uint_eq(kvt_contig_largest_hole(&c), TOKENS);
    kvt_contig_release(&c);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(fragments_as_the_paper_says)
{
    struct failing_alloc memory;
    struct kvt_contig c;
    ck_assert_int_eq(kvt_contig_init(&c, failing_alloc_init(&memory, 0), 100), 0);
    for (uint64_t i = 0; i < 10; i++)
        ck_assert_uint_eq(kvt_contig_take(&c, 10), i * 10);
    for (uint64_t i = 0; i < 10; i += 2)
        kvt_contig_give(&c, i * 10, 10);
    ck_assert_uint_eq(kvt_contig_free_tokens(&c), 50); /* half is free */
    ck_assert_uint_eq(kvt_contig_largest_hole(&c), 10);
    ck_assert_uint_eq(kvt_contig_take(&c, 11), KVT_CONTIG_NONE); /* and of no use */
    kvt_contig_give(&c, 10, 10);
    ck_assert_uint_eq(kvt_contig_take(&c, 11), 0);
    kvt_contig_release(&c);
}
END_TEST

START_TEST(unlimited_and_empty)
{
    struct failing_alloc memory;
    struct kvt_contig c;
    ck_assert_int_eq(kvt_contig_init(&c, failing_alloc_init(&memory, 0), UINT64_MAX), 0);
    const uint64_t large = UINT64_C(1) << 62;
    ck_assert_uint_eq(kvt_contig_take(&c, large), 0);
    ck_assert_uint_eq(kvt_contig_take(&c, large), large);
    ck_assert_uint_eq(kvt_contig_take(&c, UINT64_MAX), KVT_CONTIG_NONE);
    kvt_contig_give(&c, 0, large);
    ck_assert(kvt_contig_check(&c));
    ck_assert_uint_eq(kvt_contig_take(&c, 5), 0);
    kvt_contig_release(&c);
    ck_assert_int_eq(kvt_contig_init(&c, &memory.alloc, 0), 0);
    ck_assert_uint_eq(kvt_contig_take(&c, 1), KVT_CONTIG_NONE);
    ck_assert_uint_eq(kvt_contig_largest_hole(&c), 0);
    ck_assert(kvt_contig_check(&c));
    kvt_contig_release(&c);
    c = (struct kvt_contig){0};
    kvt_contig_release(&c);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

/* Every other region of many is given back: as many holes as there can be. Memory fails at every
 * point; giving back must not need any. */
START_TEST(memory_fails)
{
    for (uint64_t n = 1;; n++) {
        struct failing_alloc memory;
        struct kvt_contig c;
        if (kvt_contig_init(&c, failing_alloc_init(&memory, n), UINT64_MAX) == 0) {
            uint64_t offset[1000], taken = 0, refused = 0;
            while (taken < 1000) {
                offset[taken] = kvt_contig_take(&c, 3);
                if (offset[taken] == KVT_CONTIG_NONE)
                    refused++;
                else
                    taken++;
                ck_assert(kvt_contig_check(&c));
            }
            ck_assert_uint_eq(refused, n <= memory.gets ? 1 : 0);
            const uint64_t gets = memory.gets;
            for (uint64_t i = 0; i < taken; i += 2)
                kvt_contig_give(&c, offset[i], 3);
            for (uint64_t i = 1; i < taken; i += 2)
                kvt_contig_give(&c, offset[i], 3);
            ck_assert_uint_eq(memory.gets, gets);
            ck_assert_uint_eq(kvt_contig_free_tokens(&c), UINT64_MAX);
            ck_assert(kvt_contig_check(&c));
        }
        kvt_contig_release(&c);
        ck_assert(failing_alloc_clean(&memory));
        if (memory.gets < n)
            break;
    }
}
END_TEST

/* Far more regions than there ever are: the time limit of the test is the assertion. */
START_TEST(many_regions)
{
    dice_seed(1);
    struct failing_alloc memory;
    struct kvt_contig c;
    struct region *regions = calloc(MANY, sizeof *regions);
    ck_assert_ptr_nonnull(regions);
    ck_assert_int_eq(kvt_contig_init(&c, failing_alloc_init(&memory, 0), UINT64_MAX), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        regions[i].tokens = 1 + dice_below(100);
        regions[i].offset = kvt_contig_take(&c, regions[i].tokens);
    }
    for (uint32_t k = 0; k < MANY; k++) {
        struct region *r = &regions[dice_below(MANY)];
        kvt_contig_give(&c, r->offset, r->tokens);
        r->tokens = 1 + dice_below(100);
        r->offset = kvt_contig_take(&c, r->tokens);
    }
    ck_assert(kvt_contig_check(&c));
    for (uint32_t i = 0; i < MANY; i++)
        kvt_contig_give(&c, regions[i].offset, regions[i].tokens);
    ck_assert_uint_eq(c.n_holes, 1);
    kvt_contig_release(&c);
    free(regions);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(check_can_fail)
{
    struct failing_alloc memory;
    struct kvt_contig c;
    ck_assert_int_eq(kvt_contig_init(&c, failing_alloc_init(&memory, 0), 100), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_ne(kvt_contig_take(&c, 10), KVT_CONTIG_NONE);
    kvt_contig_give(&c, 10, 10);
    const struct kvt_hole hole = c.holes[0];
    c.holes[0].tokens = 0;
    ck_assert(!kvt_contig_check(&c));
    c.holes[0].tokens = 30; /* touches the next */
    ck_assert(!kvt_contig_check(&c));
    c.holes[0] = (struct kvt_hole){5, 11}; /* not what is free */
    ck_assert(!kvt_contig_check(&c));
    c.holes[0] = c.holes[1]; /* the right ones in the wrong order */
    c.holes[1] = hole;
    ck_assert(!kvt_contig_check(&c));
    c.holes[1] = c.holes[0];
    c.holes[0] = hole;
    ck_assert(kvt_contig_check(&c));
    c.holes[1].tokens += 1; /* beyond the end */
    ck_assert(!kvt_contig_check(&c));
    kvt_contig_release(&c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contig");
    TCase *tcase = tcase_create("contig");
    tcase_set_timeout(tcase, 20);
    tcase_add_loop_test(tcase, random_operations, 0, 4);
    tcase_add_test(tcase, fragments_as_the_paper_says);
    tcase_add_test(tcase, unlimited_and_empty);
    tcase_add_test(tcase, memory_fails);
    tcase_add_test(tcase, many_regions);
    tcase_add_test(tcase, check_can_fail);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
