/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_catalog_memory.c - loading the catalogue when memory runs out, at every kind of point.
 *
 * This program replaces the allocator under libyaml, libcyaml and the loader by one that refuses from the
 * Nth request on: each of the first ones, then every 499th up to success. Each refusal must end in
 * one line and no catalogue. Sanitizers bring their own allocator; there it is skipped.
 */
#include "kvt_test.h"
#include "malloc_fails.h"

#include <errno.h>
#include <string.h>

#include "../cli/catalog.h"

#if OWN_ALLOCATOR

START_TEST(no_memory)
{
    char error[512];
    struct catalog *c;
    int status = -1;
    long refusals = 0;

    for (long n = 0; status; n += n < 200 ? 1 : 499) {
        error[0] = '\0';
        left = n;
        armed = true;
        status = catalog_load(&c, "scenarios/catalog", error, sizeof error);
        armed = false;
        if (!status)
            break;
        refusals++;
        ck_assert_ptr_null(c);
        ck_assert_msg(error[0] && !strchr(error, '\n'), "request %ld: \"%s\"", n, error);
    }
    printf("catalogue: survived %ld refusals\n", refusals);
    ck_assert_int_gt(refusals, 200);
    catalog_free(c);
}
END_TEST

/* A profile that lacks memory leaves the catalogue as it was; any of its own files is one. */
START_TEST(no_memory_for_a_profile)
{
    char error[512];
    struct catalog *c;
    int status = -1;
    long refusals = 0;

    ck_assert_int_eq(catalog_load(&c, "scenarios/catalog", error, sizeof error), 0);
    struct catalog before = *c;
    for (long n = 0; status; n += n < 100 ? 1 : 97) {
        error[0] = '\0';
        left = n;
        armed = true;
        status = catalog_overlay(c, "scenarios/catalog/disks.yaml", error, sizeof error);
        armed = false;
        if (!status)
            break;
        refusals++;
        ck_assert_msg(error[0] && !strchr(error, '\n'), "request %ld: \"%s\"", n, error);
        ck_assert_mem_eq(&before, c, sizeof before);
    }
    ck_assert_int_gt(refusals, 100);
    ck_assert_uint_eq(c->disks.n, before.disks.n);
    ck_assert_ptr_ne(c->disks.entries, before.disks.entries);
    catalog_free(c);
}
END_TEST

#else

START_TEST(no_memory)
{
    kvt_test_skip("the allocator is not ours to replace here");
}
END_TEST

START_TEST(no_memory_for_a_profile)
{
    kvt_test_skip("the allocator is not ours to replace here");
}
END_TEST

#endif

int main(void)
{
    Suite *suite = suite_create("catalog_memory");
    TCase *tc = tcase_create("memory");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, no_memory);
    tcase_add_test(tc, no_memory_for_a_profile);
    suite_add_tcase(suite, tc);
    return kvt_test_main(suite);
}
