/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_datadir.c - the data folder is found where datadir.h says, in that order.
 *
 * The program runs from build/<name>/tests/ of a checkout, so "two or three folders above" is the real case.
 * Installed places are tested from outside, by cli_install.sh.
 */
#include "cli/datadir.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kvt_test.h"

static char scratch[] = "/tmp/kvtwin-datadir-XXXXXX";

static void make_scratch(void)
{
    strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static void drop_scratch(void)
{
    char path[PATH_MAX];
    for (const char *const *sub =
             (const char *const[]){"/scenarios/catalog", "/scenarios", "", NULL};
         *sub != NULL; sub++) {
        snprintf(path, sizeof path, "%s%s", scratch, *sub);
        rmdir(path);
    }
    unsetenv("KVTWIN_DATA");
}

static void fill_scratch(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/scenarios", scratch);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/scenarios/catalog", scratch);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(environment_wins)
{
    char found[PATH_MAX];
    fill_scratch();
    ck_assert_int_eq(setenv("KVTWIN_DATA", scratch, 1), 0);
    ck_assert_int_eq(datadir_find(found, sizeof found), 0);
    ck_assert_str_eq(found, scratch);
}
END_TEST

START_TEST(a_slash_at_the_end_goes)
{
    char set[PATH_MAX], found[PATH_MAX];
    fill_scratch();
    snprintf(set, sizeof set, "%s//", scratch);
    ck_assert_int_eq(setenv("KVTWIN_DATA", set, 1), 0);
    ck_assert_int_eq(datadir_find(found, sizeof found), 0);
    ck_assert_str_eq(found, scratch);
}
END_TEST

START_TEST(a_wrong_environment_is_not_overruled)
{
    char found[PATH_MAX];
    ck_assert_int_eq(setenv("KVTWIN_DATA", scratch, 1), 0);
    ck_assert_int_eq(datadir_find(found, sizeof found), -ENOENT);
}
END_TEST

START_TEST(checkout_is_found_from_anywhere)
{
    char root[PATH_MAX], found[PATH_MAX];
    ck_assert_ptr_nonnull(getcwd(root, sizeof root));
    unsetenv("KVTWIN_DATA");
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(datadir_find(found, sizeof found), 0);
    ck_assert_str_eq(found, root);
    ck_assert_int_eq(chdir(root), 0);
}
END_TEST

START_TEST(too_small_a_buffer_is_said)
{
    char found[PATH_MAX];
    fill_scratch();
    ck_assert_int_eq(setenv("KVTWIN_DATA", scratch, 1), 0);
    ck_assert_int_eq(datadir_find(found, strlen(scratch)), -ENAMETOOLONG);
    ck_assert_int_eq(datadir_find(found, strlen(scratch) + 1), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("datadir");
    TCase *tcase = tcase_create("order");
    tcase_add_checked_fixture(tcase, make_scratch, drop_scratch);
    tcase_add_test(tcase, environment_wins);
    tcase_add_test(tcase, a_slash_at_the_end_goes);
    tcase_add_test(tcase, a_wrong_environment_is_not_overruled);
    tcase_add_test(tcase, checkout_is_found_from_anywhere);
    tcase_add_test(tcase, too_small_a_buffer_is_said);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
