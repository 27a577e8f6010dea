/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_units.c - values with units: each dimension's names, exactness of whole numbers, refusals.
 *
 * The refusals matter most: what is taken without a unit, or with junk behind it, is a wrong answer later.
 */
#include "cli/units.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "kvt_test.h"

/* Text that no parser of a dimension may accept, whatever it is. */
static const char *const junk[] = {
    "",      " ",     "GiB",  "nan", "inf",   "-inf",   "0x10",  "0x10GiB",  "1e999", "1e999GB",
    "1,5GB", "1.GB",  ".5GB", "--1", "1GiBx", "1 GiB ", " 1GiB", "1  GiB",   "1GIB",  "1gib",
    "1ss",   "1 s s", "1/ s", "s",   "e5",    "1e",     "1e+GB", "infinity", "1_000",
};

START_TEST(sizes)
{
    static const struct {
        const char *text;
        uint64_t value_b;
    } good[] = {
        {"0B", 0},
        {"1B", 1},
        {"512GiB", UINT64_C(512) << 30},
        {"512 GiB", UINT64_C(512) << 30},
        {"1.5KiB", 1536},
        {"2e3MB", UINT64_C(2000000000)},
        {"9007199254740993B", UINT64_C(9007199254740993)}, /* 2^53 + 1: not a double */
        {"18446744073709551614B", UINT64_MAX - 1},
        {"8TiB", UINT64_C(8) << 40},
        {"15PiB", UINT64_C(15) << 50},
        {"3kB", 3000},
        {"3KB", 3000},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint64_t value_b = 77;
        ck_assert_msg(units_bytes(good[i].text, &value_b, NULL) == 0, "%s", good[i].text);
        ck_assert_uint_eq(value_b, good[i].value_b);
    }
    static const char *const bad[] = {
        "1",
        "-1GiB",
        "18446744073709551615B",
        "18446744073709551616B",
        "16384PiB",
        "1e30B",
        "99999999999999999999999B",
        "1Gb",
        "1GB/s",
        "1s",
        "1blocks",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t value_b = 77;
        const char *why = NULL;
        ck_assert_msg(units_bytes(bad[i], &value_b, &why) == -EINVAL, "%s", bad[i]);
        ck_assert_uint_eq(value_b, 77);
        ck_assert_ptr_nonnull(why);
        ck_assert_int_eq(strncmp(why, "expected ", 9), 0);
    }
}
END_TEST

START_TEST(durations)
{
    static const struct {
        const char *text;
        kvt_ns value_ns;
    } good[] = {
        {"0s", 0},
        {"1ns", 1},
        {"250ms", 250 * KVT_MILLISECOND},
        {"1.5us", 1500},
        {"10min", 600 * KVT_SECOND},
        {"24h", 86400 * KVT_SECOND},
        {"1d", 86400 * KVT_SECOND},
        {"0.1s", 100000000},
        {"1000000000000000001ns", UINT64_C(1000000000000000001)},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        kvt_ns value_ns = 77;
        ck_assert_msg(units_duration(good[i].text, &value_ns, NULL) == 0, "%s", good[i].text);
        ck_assert_uint_eq(value_ns, good[i].value_ns);
    }
    static const char *const bad[] = {"5",         "-1s", "1m", "1sec", "18446744073709551615ns",
                                      "600000000h"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        kvt_ns value_ns = 77;
        ck_assert_msg(units_duration(bad[i], &value_ns, NULL) == -EINVAL, "%s", bad[i]);
        ck_assert_uint_eq(value_ns, 77);
    }
}
END_TEST

START_TEST(rates)
{
    double value = -1;
    ck_assert_int_eq(units_bandwidth("25GB/s", &value, NULL), 0);
    ck_assert_double_eq(value, 25e9);
    ck_assert_int_eq(units_bandwidth("100Gb/s", &value, NULL), 0);
    ck_assert_double_eq(value, 12.5e9);
    ck_assert_int_eq(units_bandwidth("1GiB/s", &value, NULL), 0);
    ck_assert_double_eq(value, 1073741824.0);
    ck_assert_int_eq(units_rate("4/s", &value, NULL), 0);
    ck_assert_double_eq(value, 4);
    ck_assert_int_eq(units_rate("30/min", &value, NULL), 0);
    ck_assert_double_eq(value, 0.5);
    ck_assert_int_eq(units_flops("312TFLOP/s", &value, NULL), 0);
    ck_assert_double_eq(value, 312e12);
    ck_assert_int_eq(units_price("2.5USD/h", &value, NULL), 0);
    ck_assert_double_eq(value, 2.5);
    ck_assert_int_eq(units_ratio("90%", &value, NULL), 0);
    ck_assert_double_eq(value, 0.9);
    ck_assert_int_eq(units_ratio("0.9", &value, NULL), 0);
    ck_assert_double_eq(value, 0.9);
    ck_assert_int_eq(units_number("-1.5e-3", &value, NULL), 0);
    ck_assert_double_eq(value, -1.5e-3);
    value = -1;
    ck_assert_int_eq(units_bandwidth("25GB", &value, NULL), -EINVAL);
    ck_assert_int_eq(units_bandwidth("1e300PB/s", &value, NULL), -EINVAL);
    ck_assert_int_eq(units_bandwidth("-1GB/s", &value, NULL), -EINVAL);
    ck_assert_int_eq(units_bandwidth("1/s", &value, NULL), -EINVAL);
    ck_assert_int_eq(units_rate("4", &value, NULL), -EINVAL);
    ck_assert_int_eq(units_rate("-4/s", &value, NULL), -EINVAL);
    ck_assert_int_eq(units_price("2.5", &value, NULL), -EINVAL);
    ck_assert_int_eq(units_price("2.5EUR/h", &value, NULL), -EINVAL);
    ck_assert_int_eq(units_ratio("-1%", &value, NULL), -EINVAL);
    ck_assert_int_eq(units_number("1.5x", &value, NULL), -EINVAL);
    ck_assert_double_eq(value, -1);
}
END_TEST

START_TEST(counts_and_words)
{
    uint64_t count = 77;
    ck_assert_int_eq(units_count("18446744073709551615", &count, NULL), 0);
    ck_assert_uint_eq(count, UINT64_MAX);
    static const char *const bad[] = {
        "18446744073709551616", "-1", "+1", "1.0", "1e3", "1B", "0x1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(units_count(bad[i], &count, NULL) == -EINVAL, "%s", bad[i]);
    ck_assert_uint_eq(count, UINT64_MAX);
    bool truth = false;
    ck_assert_int_eq(units_bool("yes", &truth, NULL), 0);
    ck_assert(truth);
    ck_assert_int_eq(units_bool("off", &truth, NULL), 0);
    ck_assert(!truth);
    ck_assert_int_eq(units_bool("1", &truth, NULL), -EINVAL);
    ck_assert_int_eq(units_bool("True", &truth, NULL), -EINVAL);
}
END_TEST

START_TEST(capacities)
{
    struct units_capacity c = {UNITS_AUTO, 77};
    ck_assert_int_eq(units_capacity("20000blocks", &c, NULL), 0);
    ck_assert(c.kind == UNITS_CAPACITY_BLOCKS && c.value == 20000);
    ck_assert_int_eq(units_capacity("1e6 blocks", &c, NULL), 0);
    ck_assert(c.kind == UNITS_CAPACITY_BLOCKS && c.value == 1000000);
    ck_assert_int_eq(units_capacity("1.5GiB", &c, NULL), 0);
    ck_assert(c.kind == UNITS_CAPACITY_B && c.value == 1610612736);
    ck_assert_int_eq(units_capacity("auto", &c, NULL), 0);
    ck_assert(c.kind == UNITS_AUTO && c.value == 0);
    ck_assert_int_eq(units_capacity("infinite", &c, NULL), 0);
    ck_assert(c.kind == UNITS_INFINITE && c.value == 0);
    static const char *const bad[] = {"0blocks",    "0B",   "-5GiB",  "-1blocks",
                                      "1.5blocks",  "12",   "blocks", "0.2B",
                                      "1e40blocks", "Auto", "autoo"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(units_capacity(bad[i], &c, NULL) == -EINVAL, "%s", bad[i]);
    ck_assert(c.kind == UNITS_INFINITE);
}
END_TEST

START_TEST(junk_is_refused_by_all)
{
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        uint64_t whole = 77;
        double real = 77;
        kvt_ns ns = 77;
        struct units_capacity c = {UNITS_AUTO, 77};
        ck_assert_msg(units_bytes(junk[i], &whole, NULL) != 0, "size %s", junk[i]);
        ck_assert_msg(units_duration(junk[i], &ns, NULL) != 0, "duration %s", junk[i]);
        ck_assert_msg(units_bandwidth(junk[i], &real, NULL) != 0, "bandwidth %s", junk[i]);
        ck_assert_msg(units_rate(junk[i], &real, NULL) != 0, "rate %s", junk[i]);
        ck_assert_msg(units_flops(junk[i], &real, NULL) != 0, "flops %s", junk[i]);
        ck_assert_msg(units_price(junk[i], &real, NULL) != 0, "price %s", junk[i]);
        ck_assert_msg(units_ratio(junk[i], &real, NULL) != 0, "ratio %s", junk[i]);
        ck_assert_msg(units_number(junk[i], &real, NULL) != 0, "number %s", junk[i]);
        ck_assert_msg(units_count(junk[i], &whole, NULL) != 0, "count %s", junk[i]);
        ck_assert_msg(units_capacity(junk[i], &c, NULL) != 0, "capacity %s", junk[i]);
        ck_assert(whole == 77 && real == 77 && ns == 77 && c.value == 77);
    }
}
END_TEST

START_TEST(shown)
{
    char text[32];
    ck_assert_str_eq(units_show_bytes(text, sizeof text, 0), "0 B");
    ck_assert_str_eq(units_show_bytes(text, sizeof text, 1536), "1.50 KiB");
    ck_assert_str_eq(units_show_bytes(text, sizeof text, 512.0 * 1073741824.0), "512 GiB");
    ck_assert_str_eq(units_show_ns(text, sizeof text, 999), "999 ns");
    ck_assert_str_eq(units_show_ns(text, sizeof text, 1.5e9), "1.50 s");
    ck_assert_str_eq(units_show_ns(text, sizeof text, 600e9), "10.0 min");
    ck_assert_str_eq(units_show_count(text, sizeof text, 0), "0");
    ck_assert_str_eq(units_show_count(text, sizeof text, 999), "999");
    ck_assert_str_eq(units_show_count(text, sizeof text, 12031), "12,031");
    ck_assert_str_eq(units_show_count(text, sizeof text, 144793823), "144,793,823");
    char small[4];
    ck_assert_str_eq(units_show_count(small, sizeof small, 144793823), "144");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("units");
    TCase *tests = tcase_create("units");
    tcase_add_test(tests, sizes);
    tcase_add_test(tests, durations);
    tcase_add_test(tests, rates);
    tcase_add_test(tests, counts_and_words);
    tcase_add_test(tests, capacities);
    tcase_add_test(tests, junk_is_refused_by_all);
    tcase_add_test(tests, shown);
    suite_add_tcase(suite, tests);
    return kvt_test_main(suite);
}
