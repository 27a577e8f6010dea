/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * kvt_test.h - what every test program shares: its main.
 *
 * A test program is one file, tests/test_<thing>.c: static test functions, one suite, and
 *
 *      int main(void)
 *      {
 *          Suite *suite = suite_create("thing");
 *          ...
 *          return kvt_test_main(suite);
 *      }
 *
 * It runs with the repository's root as its working folder. What it cannot test here (material that this
 * machine lacks) it reports with kvt_test_skip and passes; the runner counts those lines.
 */
#ifndef KVT_TEST_H
#define KVT_TEST_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* Says on standard output that a test did not run, and why. Return from the test afterwards. */
static inline void kvt_test_skip(const char *why)
{
    printf("skipped: %s\n", why);
    fflush(stdout);
}

/* Runs the suite and frees it. Returns what main returns: 0 when every check passed. A line with
 * failures and errors that Check prints is read by tests/run.sh: print nothing that looks like it. */
static inline int kvt_test_main(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
