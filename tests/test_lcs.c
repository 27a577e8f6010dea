/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_lcs.c - core/lcs.h beside the table of lengths, filled cell by cell.
 */
#include "core/lcs.h"

#include <errno.h>
#include <string.h>

#include "dice.h"
#include "failing_alloc.h"

enum { MOST = 300, ROUNDS = 1500 };

static uint32_t a[MOST], b[MOST], n_a, n_b;
static uint32_t lengths[MOST + 1]; /* of each prefix of b with a */

static void model(void)
{
    static uint32_t row[MOST + 1];
    memset(row, 0, sizeof row);
    lengths[0] = 0;
    for (uint32_t j = 0; j < n_b; j++) {
        uint32_t corner = 0;
        for (uint32_t i = 0; i < n_a; i++) {
            const uint32_t above = row[i + 1];
            row[i + 1] = a[i] == b[j] ? corner + 1 : above > row[i] ? above : row[i];
            corner = above;
        }
        lengths[j + 1] = row[n_a];
    }
}

static void draw(uint32_t base)
{
    const uint32_t letters = 1 + (uint32_t)dice_below(dice_one_in(3) ? 200 : 6);
    n_a = (uint32_t)dice_below(MOST);
    n_b = (uint32_t)dice_below(MOST);
    const uint32_t same = (uint32_t)dice_below(MOST);
    for (uint32_t i = 0; i < n_a; i++)
        a[i] = base + (uint32_t)dice_below(letters);
    for (uint32_t j = 0; j < n_b; j++)
        b[j] = j < same && j < n_a ? a[j] : base + (uint32_t)dice_below(letters + 3);
}

START_TEST(prefixes)
{
    static uint32_t most[MOST + 1];
    struct failing_alloc memory;
    struct kvt_lcs o;
    uint64_t sharp = 0;
    dice_seed((uint64_t)_i + 1);
    ck_assert_int_eq(kvt_lcs_init(&o, failing_alloc_init(&memory, 0)), 0);
    for (int round = 0; round < ROUNDS; round++) {
        draw(_i == 0 ? 'a' - 90 : _i == 1 ? 250 : 70000);
        bool small = true;
        for (uint32_t i = 0; i < n_a; i++)
            small &= a[i] < 256;
        model();
        kvt_lcs_ask(&o, a, n_a);
        kvt_lcs_prefixes(&o, b, n_b, most);
        for (uint32_t j = 0; j <= n_b; j++)
            MUST(small && n_a > 0 ? most[j] == lengths[j] : most[j] >= lengths[j] && most[j] <= j);
        sharp += most[n_b] == lengths[n_b];
        const uint64_t all = kvt_lcs_bound(&o, b, n_b);
        const uint32_t shorter = n_a < n_b ? n_a : n_b;
        MUST(all == (small ? lengths[n_b] : shorter));
        kvt_lcs_prefixes(&o, b, n_b, most); /* as often as wanted */
        MUST(most[n_b] >= lengths[n_b]);
    }
    ck_assert_uint_gt(sharp, ROUNDS / 20);
    kvt_lcs_release(&o);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

START_TEST(limits)
{
    enum { LONG = 9000 };
    static uint32_t x[LONG], most[KVT_LCS_MOST + 1];
    struct failing_alloc memory;
    struct kvt_lcs o;
    ck_assert_int_eq(kvt_lcs_init(&o, failing_alloc_init(&memory, 1)), -ENOMEM);
    kvt_lcs_release(&o);
    ck_assert_int_eq(kvt_lcs_init(&o, failing_alloc_init(&memory, 0)), 0);
    ck_assert_uint_gt(kvt_lcs_memory_b(&o), 1 << 18);
    for (uint32_t i = 0; i < LONG; i++)
        x[i] = i % 250;
    for (uint32_t n = KVT_LCS_MOST - 1; n <= KVT_LCS_MOST + 1; n++) {
        kvt_lcs_ask(&o, x, n);
        kvt_lcs_prefixes(&o, x, KVT_LCS_MOST, most);
        for (uint32_t k = 0; k <= KVT_LCS_MOST; k++)
            ck_assert_uint_eq(most[k], k < n ? k : n);
        ck_assert_uint_eq(kvt_lcs_bound(&o, x + 1, LONG - 1), n); /* too much work */
    }
    kvt_lcs_release(&o);
    ck_assert(failing_alloc_clean(&memory));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lcs");
    TCase *tests = tcase_create("lcs");
    tcase_add_loop_test(tests, prefixes, 0, 3);
    tcase_add_test(tests, limits);
    tcase_set_timeout(tests, 120);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
