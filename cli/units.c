/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * units.c - values with units: one scanner for the number, one table of names per dimension.
 *
 * A number is scanned by hand before strtod sees it, because strtod also takes hex, "inf", "nan" and
 * leading blanks. Whole numbers of sizes and durations are multiplied as integers, so 2^63 bytes are
 * 2^63 bytes; only a number with a point or exponent goes through a double.
 *
 * Invariants:
 *   (U1) A failed parse leaves the caller's value untouched.
 *   (U2) A result is finite, and fits its type: overflow is refused, never wrapped or clamped.
 */
#include "units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One unit name and what it is worth in the base unit. Names are case sensitive: Mb is not MB. */
struct unit {
    const char *name;
    uint64_t scale;
};

static const struct unit size_units[] = {
    {"B", 1},
    {"KB", 1000},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", UINT64_C(1000000000000)},
    {"PB", UINT64_C(1000000000000000)},
    {"KiB", UINT64_C(1) << 10},
    {"MiB", UINT64_C(1) << 20},
    {"GiB", UINT64_C(1) << 30},
    {"TiB", UINT64_C(1) << 40},
    {"PiB", UINT64_C(1) << 50},
    {NULL, 0},
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", 1000000},
    {"s", 1000000000},
    {"min", UINT64_C(60) * 1000000000},
    {"h", UINT64_C(3600) * 1000000000},
    {"d", UINT64_C(86400) * 1000000000},
    {NULL, 0},
};

/* Bits per second; divided by 8 afterwards. */
static const struct unit bit_rate_units[] = {
    {"b/s", 1},        {"Kb/s", 1000},       {"kb/s", 1000},
    {"Mb/s", 1000000}, {"Gb/s", 1000000000}, {"Tb/s", UINT64_C(1000000000000)},
    {NULL, 0},
};

/* Seconds per unit of time; the rate is divided by it. */
static const struct unit event_units[] = {
    {"/s", 1}, {"/min", 60}, {"/h", 3600}, {"/d", 86400}, {NULL, 0},
};

static const struct unit flop_units[] = {
    {"FLOP/s", 1},
    {"KFLOP/s", 1000},
    {"MFLOP/s", 1000000},
    {"GFLOP/s", 1000000000},
    {"TFLOP/s", UINT64_C(1000000000000)},
    {"PFLOP/s", UINT64_C(1000000000000000)},
    {NULL, 0},
};

static const char want_size[] = "expected a size with unit, such as 512GiB";
static const char want_bandwidth[] = "expected a bandwidth with unit, such as 25GB/s or 100Gb/s";
static const char want_duration[] = "expected a duration with unit, such as 250ms or 24h";
static const char want_rate[] = "expected a rate with unit, such as 4/s or 10/min";
static const char want_flops[] = "expected a compute rate with unit, such as 312TFLOP/s";
static const char want_price[] = "expected a price with unit, such as 2.5USD/h";
static const char want_price_stored[] = "expected a price with unit, such as 0.08USD/GB-month";
static const char want_price_moved[] = "expected a price with unit, such as 0.01USD/GB";
static const char want_price_memory[] = "expected a price with unit, such as 0.0067USD/GiB-h";
static const char want_ratio[] = "expected a ratio such as 0.9 or 90%";
static const char want_number[] = "expected a plain number, such as 1.5";
static const char want_count[] = "expected a whole number, such as 512";
static const char want_bool[] = "expected true or false";
static const char want_capacity[] =
    "expected a capacity above zero: a size such as 512GiB, 20000blocks, auto or infinite";

static int refuse(const char **why, const char *sentence)
{
    if (why)
        *why = sentence;
    return -EINVAL;
}

/* A scanned number and where its unit begins. */
struct number {
    double value; /* finite */
    bool whole;   /* digits only: exact holds the value */
    bool fits;    /* whole, and below 2^64 */
    bool negative;
    uint64_t exact;
    const char *rest; /* behind the number and one optional blank */
};

static bool scan_digits(const char **at)
{
    const char *start = *at;
    while (isdigit((unsigned char)**at))
        (*at)++;
    return *at != start;
}

/* Scans [+-]digits[.digits][e[+-]digits] at the start of text. False when there is none or when it is
 * beyond a double. */
static bool scan_number(const char *text, struct number *n)
{
    const char *at = text;
    n->negative = *at == '-';
    if (*at == '-' || *at == '+')
        at++;
    const char *digits = at;
    if (!scan_digits(&at))
        return false;
    const char *digits_end = at;
    n->whole = digits == text;
    if (*at == '.') {
        at++;
        n->whole = false;
        if (!scan_digits(&at))
            return false;
    }
    if (*at == 'e' || *at == 'E') {
        const char *exponent = at + 1;
        if (*exponent == '+' || *exponent == '-')
            exponent++;
        if (scan_digits(&exponent)) {
            at = exponent;
            n->whole = false;
        }
    }
    n->value = strtod(text, NULL);
    if (!isfinite(n->value))
        return false;
    n->exact = 0;
    n->fits = n->whole;
    for (const char *d = digits; n->fits && d < digits_end; d++) {
        uint64_t digit = (uint64_t)(*d - '0');
        if (n->exact > (UINT64_MAX - digit) / 10)
            n->fits = false;
        else
            n->exact = n->exact * 10 + digit;
    }
    n->rest = at;
    if (*at == ' ' && at[1] != '\0')
        n->rest++;
    return true;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (; units->name; units++)
        if (strcmp(units->name, name) == 0)
            return units;
    return NULL;
}

/* number x scale as an integer, rounded to nearest. False when negative or beyond `most`. */
static bool scale_to_u64(const struct number *n, uint64_t scale, uint64_t most, uint64_t *value)
{
    if (n->negative)
        return false;
    if (n->whole) {
        if (!n->fits || n->exact > most / scale)
            return false;
        *value = n->exact * scale;
        return true;
    }
    double scaled = n->value * (double)scale;
    /* 2^64 - 1 rounds up to 2^64 as a double, so `<` keeps the conversion defined. */
    if (!(scaled + 0.5 < (double)most))
        return false;
    *value = (uint64_t)(scaled + 0.5);
    return true;
}

/* A quantity that ends as a double: number x scale / divisor. */
static int parse_scaled(const char *text, const struct unit *units, double divisor, double *value,
                        const char **why, const char *sentence)
{
    struct number n;
    if (!scan_number(text, &n) || n.negative)
        return refuse(why, sentence);
    const struct unit *unit = find_unit(units, n.rest);
    if (!unit)
        return refuse(why, sentence);
    double scaled = n.value * (double)unit->scale / divisor;
    if (!isfinite(scaled))
        return refuse(why, sentence);
    *value = scaled;
    return 0;
}

int units_bytes(const char *text, uint64_t *value_b, const char **why)
{
    struct number n;
    if (!scan_number(text, &n))
        return refuse(why, want_size);
    const struct unit *unit = find_unit(size_units, n.rest);
    if (!unit)
        return refuse(why, want_size);
    if (n.negative)
        return refuse(why, "expected a size that is not negative, such as 512GiB");
    if (!scale_to_u64(&n, unit->scale, UINT64_MAX - 1, value_b))
        return refuse(why, "expected a size below 16EiB");
    return 0;
}

int units_bandwidth(const char *text, double *value_bps, const char **why)
{
    if (parse_scaled(text, bit_rate_units, 8.0, value_bps, NULL, want_bandwidth) == 0)
        return 0;
    struct number n;
    if (!scan_number(text, &n) || n.negative)
        return refuse(why, want_bandwidth);
    size_t len = strlen(n.rest);
    char name[8];
    if (len < 3 || len - 2 >= sizeof name || strcmp(n.rest + len - 2, "/s") != 0)
        return refuse(why, want_bandwidth);
    memcpy(name, n.rest, len - 2);
    name[len - 2] = '\0';
    const struct unit *unit = find_unit(size_units, name);
    double scaled = unit ? n.value * (double)unit->scale : INFINITY;
    if (!isfinite(scaled))
        return refuse(why, want_bandwidth);
    *value_bps = scaled;
    return 0;
}

int units_duration(const char *text, kvt_ns *value_ns, const char **why)
{
    struct number n;
    if (!scan_number(text, &n))
        return refuse(why, want_duration);
    const struct unit *unit = find_unit(duration_units, n.rest);
    if (!unit)
        return refuse(why, want_duration);
    if (n.negative)
        return refuse(why, "expected a duration that is not negative, such as 250ms");
    if (!scale_to_u64(&n, unit->scale, KVT_NEVER - 1, value_ns))
        return refuse(why, "expected a duration below 584 years");
    return 0;
}

int units_rate(const char *text, double *value_per_s, const char **why)
{
    struct number n;
    if (!scan_number(text, &n) || n.negative)
        return refuse(why, want_rate);
    const struct unit *unit = find_unit(event_units, n.rest);
    if (!unit)
        return refuse(why, want_rate);
    *value_per_s = n.value / (double)unit->scale;
    return 0;
}

int units_flops(const char *text, double *value_flops, const char **why)
{
    return parse_scaled(text, flop_units, 1.0, value_flops, why, want_flops);
}

int units_price(const char *text, double *value_usd_per_h, const char **why)
{
    static const struct unit price_units[] = {{"USD/h", 1}, {NULL, 0}};
    return parse_scaled(text, price_units, 1.0, value_usd_per_h, why, want_price);
}

int units_price_stored(const char *text, double *value_usd_per_gb_month, const char **why)
{
    static const struct unit stored_units[] = {{"USD/GB-month", 1}, {NULL, 0}};
    return parse_scaled(text, stored_units, 1.0, value_usd_per_gb_month, why, want_price_stored);
}

int units_price_moved(const char *text, double *value_usd_per_gb, const char **why)
{
    static const struct unit moved_units[] = {{"USD/GB", 1}, {NULL, 0}};
    return parse_scaled(text, moved_units, 1.0, value_usd_per_gb, why, want_price_moved);
}

int units_price_memory(const char *text, double *value_usd_per_gib_h, const char **why)
{
    static const struct unit memory_units[] = {{"USD/GiB-h", 1}, {NULL, 0}};
    return parse_scaled(text, memory_units, 1.0, value_usd_per_gib_h, why, want_price_memory);
}

int units_ratio(const char *text, double *value, const char **why)
{
    static const struct unit ratio_units[] = {{"", 100}, {"%", 1}, {NULL, 0}};
    return parse_scaled(text, ratio_units, 100.0, value, why, want_ratio);
}

int units_number(const char *text, double *value, const char **why)
{
    struct number n;
    if (!scan_number(text, &n) || *n.rest != '\0')
        return refuse(why, want_number);
    *value = n.value;
    return 0;
}

int units_count(const char *text, uint64_t *value, const char **why)
{
    struct number n;
    if (!scan_number(text, &n) || *n.rest != '\0' || !n.whole)
        return refuse(why, want_count);
    if (!n.fits)
        return refuse(why, "expected a whole number below 2^64");
    *value = n.exact;
    return 0;
}

int units_bool(const char *text, bool *value, const char **why)
{
    static const char *const yes[] = {"true", "yes", "on"};
    static const char *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        bool is_yes = strcmp(text, yes[i]) == 0;
        if (is_yes || strcmp(text, no[i]) == 0) {
            *value = is_yes;
            return 0;
        }
    }
    return refuse(why, want_bool);
}

int units_capacity(const char *text, struct units_capacity *value, const char **why)
{
    if (strcmp(text, "auto") == 0 || strcmp(text, "infinite") == 0) {
        *value = (struct units_capacity){text[0] == 'a' ? UNITS_AUTO : UNITS_INFINITE, 0};
        return 0;
    }
    struct number n;
    if (!scan_number(text, &n))
        return refuse(why, want_capacity);
    bool blocks = strcmp(n.rest, "blocks") == 0;
    struct units_capacity parsed = {blocks ? UNITS_CAPACITY_BLOCKS : UNITS_CAPACITY_B, 0};
    if (blocks) {
        /* A part of a block holds nothing, so "1.5blocks" is refused, but 1e6blocks is a whole number. */
        if (!scale_to_u64(&n, 1, UINT64_MAX - 1, &parsed.value) ||
            (!n.whole && n.value != floor(n.value)))
            return refuse(why, want_capacity);
    } else if (units_bytes(text, &parsed.value, NULL) != 0) {
        return refuse(why, want_capacity);
    }
    if (parsed.value == 0)
        return refuse(why, want_capacity);
    *value = parsed;
    return 0;
}

/* Three significant digits without an exponent, for 0 <= value < 10000. */
static void show3(char *text, size_t size, double value, const char *unit)
{
    int decimals = value >= 100 || value == 0 ? 0 : value >= 10 ? 1 : 2;
    snprintf(text, size, "%.*f %s", decimals, value, unit);
}

const char *units_show_bytes(char *text, size_t size, double value_b)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t i = 0;
    while (value_b >= 1024 && i + 1 < sizeof names / sizeof names[0]) {
        value_b /= 1024;
        i++;
    }
    if (i == 0)
        snprintf(text, size, "%.0f B", value_b);
    else
        show3(text, size, value_b, names[i]);
    return text;
}

const char *units_show_ns(char *text, size_t size, double value_ns)
{
    static const struct {
        double least_ns;
        const char *name;
    } steps[] = {{86400e9, "d"}, {3600e9, "h"}, {120e9, "min"},
                 {1e9, "s"},     {1e6, "ms"},   {1e3, "us"}};
    static const double scale_ns[] = {86400e9, 3600e9, 60e9, 1e9, 1e6, 1e3};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (value_ns >= steps[i].least_ns) {
            show3(text, size, value_ns / scale_ns[i], steps[i].name);
            return text;
        }
    }
    snprintf(text, size, "%.0f ns", value_ns);
    return text;
}

const char *units_show_count(char *text, size_t size, uint64_t value)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t out = 0;
    for (int i = 0; i < n && out + 1 < size; i++) {
        text[out++] = digits[i];
        if ((n - 1 - i) % 3 == 0 && i + 1 < n && out + 1 < size)
            text[out++] = ',';
    }
    if (size > 0)
        text[out] = '\0';
    return text;
}
