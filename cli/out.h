/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * out.h - a buffered text file whose bytes depend on the numbers alone.
 *
 * printf is slow for a million lines and takes its decimal point from the locale. This writer
 * formats integers and decimals by itself, each column with a stated number of decimals, into a buffer
 * of its own. Errors stick: after the first one nothing more is written, and out_close returns it.
 *
 * Rounding is half away from zero on the decimal grid (llround), at most OUT_DECIMALS decimals.
 */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include "../core/types.h"

enum { OUT_DECIMALS = 9, OUT_NUMBER = 48, OUT_BUFFER = 1 << 16 };

/* private: fields are out.c's own, but for error. Large: not for the stack. */
struct out {
    int fd;
    int error; /* 0, or the first negative errno */
    size_t n;
    uint64_t written_b;
    char buffer[OUT_BUFFER];
};

/* Creates (or empties) name in the folder open as dirfd. Returns 0 or a negative errno, which also
 * sticks: out_close is then still allowed. */
KVT_MUST_CHECK int out_open(struct out *o, int dirfd, const char *name);
/* Writes what is left and closes. Returns 0 or the first error of all. Twice is harmless. */
KVT_MUST_CHECK int out_close(struct out *o);

void out_char(struct out *o, char c);
void out_text(struct out *o, const char *text);
/* A field of a CSV line: quoted (RFC 4180) when it holds a comma, a quote or a line break. */
void out_field(struct out *o, const char *text);
void out_u64(struct out *o, uint64_t value);
/* With exactly `decimals` decimals; nothing at all for NAN and infinities (an empty CSV field). */
void out_fixed(struct out *o, double value, unsigned decimals);
/* A comma, then the value with at most so many significant digits; nothing behind the comma for NAN and infinities. */
void out_next(struct out *o, double value, int digits);
/* Nanoseconds as milliseconds, exact: up to six decimals, zeros at the end left out. */
void out_ns_as_ms(struct out *o, kvt_ns value);

/* The same into memory: writes no NUL, returns the length. text has room for OUT_NUMBER bytes. */
size_t format_u64(char *text, uint64_t value);
size_t format_fixed(char *text, double value, unsigned decimals);
size_t format_ns_as_ms(char *text, kvt_ns value);

/* value rounded to that many decimals, as a double again: for JSON. NAN stays. */
double round_to(double value, unsigned decimals);

#endif
