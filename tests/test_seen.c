/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_seen.c - the table of blocks seen, beside a plain list, and its memory.
 */
#include "dice.h"

#include "../cli/seen.h"

enum { KEYS = 4000, USES = 200000 };

START_TEST(seen_remembers_the_last_use)
{
    uint32_t last[KEYS]; /* by number of the key; KVT_NONE: not yet */
    struct seen seen = {0};
    size_t distinct = 0;
    dice_seed(7);
    for (size_t i = 0; i < KEYS; i++)
        last[i] = KVT_NONE;
    for (uint32_t now = 0; now < USES; now++) {
        /* Dense ids, the same ids in another space, and zeros: all that traces have. */
        const uint64_t number = dice_below(now / 16 + 1 < KEYS ? now / 16 + 1 : KEYS);
        const kvt_key key = {number % 3, number / 3};
        uint32_t before = KVT_NONE;
        const int known = seen_use(&seen, key, now, &before);
        MUST(known == (last[number] != KVT_NONE));
        MUST(before == last[number]);
        distinct += known == 0;
        last[number] = now;
        MUST(seen.n == distinct);
    }
    seen_release(&seen);
    ck_assert_uint_eq(seen.n, 0);
}
END_TEST

START_TEST(seen_takes_32_bytes_for_a_key)
{
    struct seen seen = {0};
    uint32_t before;
    for (uint64_t i = 0; i < 300000; i++) {
        ck_assert(seen_use(&seen, (kvt_key){0, i}, 0, &before) == 0);
        const size_t bytes = seen.places * (sizeof seen.keys[0] + sizeof seen.last[0]);
        if (i >= 1000 && bytes > 32 * seen.n)
            ck_abort_msg("%zu bytes for %zu keys", bytes, seen.n);
    }
    seen_release(&seen);
}
END_TEST

START_TEST(seen_takes_the_largest_numbers)
{
    struct seen seen = {0};
    uint32_t before = 0;
    const kvt_key key = {UINT64_MAX, UINT64_MAX};
    ck_assert_int_eq(seen_use(&seen, key, KVT_NONE - 1, &before), 0);
    ck_assert_int_eq(seen_use(&seen, key, 3, &before), 1);
    ck_assert_uint_eq(before, KVT_NONE - 1);
    seen_release(&seen);
    seen_release(&seen);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("seen");
    TCase *tcase = tcase_create("seen");
    tcase_add_test(tcase, seen_remembers_the_last_use);
    tcase_add_test(tcase, seen_takes_32_bytes_for_a_key);
    tcase_add_test(tcase, seen_takes_the_largest_numbers);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
