/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_out.c - number formatting beside printf, CSV quoting, errors that stick; sorting beside qsort.
 */
#include "kvt_test.h"

#include "../cli/out.h"
#include "../cli/radix.h"
#include "../core/mix.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(numbers_as_text)
{
    static const uint64_t whole[] = {0,   1,    9,     10,      99,         100,
                                     101, 9999, 10000, 1234567, UINT32_MAX, UINT64_MAX};
    char text[OUT_NUMBER], expected[64];

    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        text[format_u64(text, whole[i])] = '\0';
        snprintf(expected, sizeof expected, "%llu", (unsigned long long)whole[i]);
        ck_assert_str_eq(text, expected);
    }
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t bits = kvt_mix64(i) >> (i % 64);
        double value = (double)(kvt_mix64(i + 7) % 2000000) / 64 - 15000; /* exact in binary */
        text[format_u64(text, bits)] = '\0';
        snprintf(expected, sizeof expected, "%llu", (unsigned long long)bits);
        ck_assert_str_eq(text, expected);
        text[format_fixed(text, value, 6)] = '\0';
        snprintf(expected, sizeof expected, "%.6f", value);
        ck_assert_str_eq(text, expected);
    }
    text[format_fixed(text, 0.125, 2)] = '\0';
    ck_assert_str_eq(text, "0.13"); /* half away from zero */
    text[format_fixed(text, -0.0004, 3)] = '\0';
    ck_assert_str_eq(text, "0.000"); /* no minus zero */
    text[format_fixed(text, 1e300, 6)] = '\0';
    ck_assert_str_eq(text, "9200000000000000000");
    ck_assert_uint_eq(format_fixed(text, (double)NAN, 3), 0);
    text[format_ns_as_ms(text, 0)] = '\0';
    ck_assert_str_eq(text, "0");
    text[format_ns_as_ms(text, 1500000)] = '\0';
    ck_assert_str_eq(text, "1.5");
    text[format_ns_as_ms(text, 12000001)] = '\0';
    ck_assert_str_eq(text, "12.000001");
}
END_TEST

START_TEST(fields_are_quoted_and_full_disk_sticks)
{
    struct out *o = malloc(sizeof *o);
    const char *path = "build/test_out.tmp";

    mkdir("build", 0777);
    ck_assert_int_eq(out_open(o, AT_FDCWD, path), 0);
    out_field(o, "plain");
    out_char(o, ',');
    out_field(o, "a,\"b\"");
    ck_assert_int_eq(out_close(o), 0);
    char text[64] = "";
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, f));
    fclose(f);
    unlink(path);
    ck_assert_str_eq(text, "plain,\"a,\"\"b\"\"\"");

    if (access("/dev/full", W_OK) == 0) {
        ck_assert_int_eq(out_open(o, AT_FDCWD, "/dev/full"), 0);
        for (unsigned i = 0; i < 100000; i++)
            out_u64(o, i);
        ck_assert_int_eq(o->error, -ENOSPC);
        ck_assert_int_eq(out_close(o), -ENOSPC);
        ck_assert_int_eq(out_close(o), -ENOSPC);
        ck_assert_int_eq(out_open(o, AT_FDCWD, "/dev/full"), 0);
        out_text(o, "short: seen by close only");
        ck_assert_int_eq(out_close(o), -ENOSPC);
    } else {
        kvt_test_skip("no /dev/full");
    }
    ck_assert_int_eq(out_open(o, AT_FDCWD, "build/no/such/folder"), -ENOENT);
    ck_assert_int_eq(out_close(o), -ENOENT);
    free(o);
}
END_TEST

/* ---- Sorting beside qsort. ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

START_TEST(radix_sorts)
{
    static const size_t sizes[] = {0, 1, 2, 3, 255, 256, 257, 10000};

    for (unsigned round = 0; round < 64 * 8; round++) {
        size_t n = sizes[round % 8];
        double *a = malloc((n + 1) * sizeof *a), *b = malloc((n + 1) * sizeof *b);
        for (size_t i = 0; i < n; i++)
            a[i] = b[i] = (double)(kvt_mix64(round * 100003u + i) >> (round / 8));
        if (n > 2 && round % 3 == 0)
            a[1] = b[1] = 0.25;
        qsort(b, n, sizeof *b, by_value);
        ck_assert_int_eq(radix_sort(a, n), 0);
        ck_assert(memcmp(a, b, n * sizeof *a) == 0);
        free(a);
        free(b);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("out");
    TCase *all = tcase_create("all");

    tcase_add_test(all, numbers_as_text);
    tcase_add_test(all, fields_are_quoted_and_full_disk_sticks);
    tcase_add_test(all, radix_sorts);
    suite_add_tcase(suite, all);
    return kvt_test_main(suite);
}
