/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_future.c - what Belady's policy is told (workload/future.h), beside a search through all that
 * follows.
 */
#include "workload/future.h"

#include <stdlib.h>
#include <string.h>

#include "dice.h"

enum { MOST_KEYS = 60000 };

static struct {
    kvt_key key;
    uint64_t position;
} all[MOST_KEYS];

static struct wl_source *generate(uint64_t requests)
{
    struct wl_options options;
    struct wl_error error;
    struct wl_source *source;
    wl_options_init(&options);
    options.seed = 5;
    options.limit = requests;
    ck_assert_msg(wl_open(&source, &options, &error) == 0, "%s", error.text);
    return source;
}

START_TEST(every_next_use_beside_a_search)
{
    struct wl_source *source = generate(400);
    struct wl_future *future;
    struct kvt_request r;
    ck_assert_int_eq(wl_future_new(&future, source), 0);
    size_t n = 0;
    for (uint64_t id = 0; wl_next(source, &r) == 1; id++)
        for (uint32_t i = 0; i < r.n_keys && n < MOST_KEYS; i++, n++) {
            all[n].key = r.keys[i];
            all[n].position = id << WL_FUTURE_SHIFT | i;
        }
    ck_assert_uint_lt(n, MOST_KEYS);
    for (int pass = 0; pass < 2; pass++) { /* the second after a rewind */
        size_t at = 0, again = 0;
        wl_rewind(source);
        wl_future_rewind(future);
        while (wl_next(source, &r) == 1) {
            wl_future_tell(future, &r);
            for (uint32_t i = 0; i < r.n_keys; i++, at++) {
                size_t next = at + 1;
                while (next < n && !kvt_key_equal(all[next].key, all[at].key))
                    next++;
                const uint64_t expected = next < n ? all[next].position : KVT_NEVER;
                if (r.next_use[i] != expected)
                    ck_abort_msg("key %zu of the workload", at);
                again += next < n;
                if (pass == 0 &&
                    at > 3000) /* a search is slow; the beginning sees the most repeats */
                    goto end;
            }
        }
    end:
        ck_assert_uint_gt(again, 100);
    }
    wl_future_free(future);
    wl_close(source);
}
END_TEST

START_TEST(an_empty_future)
{
    struct wl_source *source = generate(0);
    struct wl_future *future;
    struct kvt_request r;
    ck_assert_int_eq(wl_future_new(&future, source), 0);
    ck_assert_int_eq(wl_next(source, &r), 0);
    wl_future_free(future);
    wl_future_free(NULL);
    wl_close(source);
}
END_TEST

/* Blocks by number, one by one, with any rising positions. */
START_TEST(noted_one_by_one)
{
    enum { LOOKUPS = 3000 };
    static uint32_t numbers[LOOKUPS];
    struct wl_future *future = wl_future_begin();
    ck_assert_ptr_nonnull(future);
    dice_seed(21);
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        numbers[i] = (uint32_t)dice_below(1 + i / 3) * (dice_one_in(50) ? 20 : 1);
        MUST(wl_future_note(future, numbers[i], UINT64_C(7) * i) == 0);
    }
    const uint64_t *next = wl_future_all(future);
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        uint32_t k = i + 1;
        while (k < LOOKUPS && numbers[k] != numbers[i])
            k++;
        MUST(next[i] == (k < LOOKUPS ? UINT64_C(7) * k : KVT_NEVER));
    }
    wl_future_free(future);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("future");
    TCase *tcase = tcase_create("future");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_next_use_beside_a_search);
    tcase_add_test(tcase, an_empty_future);
    tcase_add_test(tcase, noted_one_by_one);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
