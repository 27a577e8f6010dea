/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * units.h - values with units, as people write them in scenarios, catalogues and on the command line.
 *
 * A size, rate, duration or price without its unit is refused: "4" may be seconds, milliseconds or a
 * mistake. One blank may stand between number and unit. Numbers are decimal: 12, 1.5, 2e6; never hex,
 * infinity or NaN. Nothing may follow the unit.
 *
 *      size        B, KB MB GB TB PB (10^3..), KiB MiB GiB TiB PiB (2^10..)       -> bytes
 *      bandwidth   any size unit with /s, and b/s Kb/s Mb/s Gb/s Tb/s (bits)      -> bytes per second
 *      duration    ns us ms s min h d                                             -> nanoseconds
 *      event rate  4/s  10/min  3600/h  5/d                                       -> per second
 *      compute     FLOP/s with K M G T P                                          -> FLOP per second
 *      price       USD/h, USD/GB-month, USD/GB, USD/GiB-h                         -> per that
 *      ratio       0.9 or 90%
 *      capacity    a size, 20000blocks, auto, infinite
 *
 * Every parser reads the whole of text, returns 0 and sets *value, or returns -EINVAL, leaves *value
 * alone and, when why is not NULL, points *why at a static sentence that begins with "expected". Values
 * are never negative, but for units_number.
 */
#ifndef CLI_UNITS_H
#define CLI_UNITS_H

#include "../core/types.h"

KVT_MUST_CHECK int units_bytes(const char *text, uint64_t *value_b, const char **why);
KVT_MUST_CHECK int units_bandwidth(const char *text, double *value_bps, const char **why);
/* Never yields KVT_NEVER: a duration beyond 584 years is refused. */
KVT_MUST_CHECK int units_duration(const char *text, kvt_ns *value_ns, const char **why);
KVT_MUST_CHECK int units_rate(const char *text, double *value_per_s, const char **why);
KVT_MUST_CHECK int units_flops(const char *text, double *value_flops, const char **why);
KVT_MUST_CHECK int units_price(const char *text, double *value_usd_per_h, const char **why);
/* Decimal GB, kept for a month of 730 hours; decimal GB moved; binary GiB for an hour. */
KVT_MUST_CHECK int units_price_stored(const char *text, double *value_usd_per_gb_month,
                                      const char **why);
KVT_MUST_CHECK int units_price_moved(const char *text, double *value_usd_per_gb, const char **why);
KVT_MUST_CHECK int units_price_memory(const char *text, double *value_usd_per_gib_h,
                                      const char **why);

/* 0.9 or 90%; 0 <= value; bounds above are the caller's. */
KVT_MUST_CHECK int units_ratio(const char *text, double *value, const char **why);
/* A plain number of either sign, without unit. */
KVT_MUST_CHECK int units_number(const char *text, double *value, const char **why);
/* A whole number of at least 0, without unit, sign, point or exponent. */
KVT_MUST_CHECK int units_count(const char *text, uint64_t *value, const char **why);
/* true or false (also yes, no, on, off), as YAML writers expect. */
KVT_MUST_CHECK int units_bool(const char *text, bool *value, const char **why);

enum units_capacity_kind { UNITS_CAPACITY_B, UNITS_CAPACITY_BLOCKS, UNITS_AUTO, UNITS_INFINITE };

struct units_capacity {
    enum units_capacity_kind kind;
    uint64_t value; /* bytes or blocks, > 0; 0 for auto and infinite */
};

/* Zero is refused: a tier that holds nothing is a tier to leave out. */
KVT_MUST_CHECK int units_capacity(const char *text, struct units_capacity *value, const char **why);

/* ---- The way back, for tables. Each writes at most size bytes into text, NUL included, and returns
 * text. Three significant digits, binary units for sizes. ------------------------------------------ */

const char *units_show_bytes(char *text, size_t size, double value_b);
const char *units_show_ns(char *text, size_t size, double value_ns);
const char *units_show_count(char *text, size_t size, uint64_t value); /* 12,031 */

#endif
