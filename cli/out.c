/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * out.c - see out.h.
 *
 * Integers are written two digits at a time from the end into a small array, the usual way to halve the
 * number of divisions. A decimal is an integer of its last decimal place: 1.25 with three decimals is
 * 1250, split again. Doubles up to 2^53 / 10^decimals keep every digit so; beyond that the value has no
 * such digits to lose.
 *
 * Data is handed to the system by write(2); close(2) is checked, for file systems that report a full
 * disk only then. There is no fsync: a run can be repeated, and durability against a power cut would
 * cost more time than the simulation.
 */
#include "out.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint64_t powers[OUT_DECIMALS + 1] = {1,      10,      100,      1000,      10000,
                                                  100000, 1000000, 10000000, 100000000, 1000000000};

/* ---- Numbers. ---- */

size_t format_u64(char *text, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[20]; /* UINT64_MAX has 20 */
    size_t at = sizeof digits;

    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + 2 * value, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    memcpy(text, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

/* Exactly `width` digits of value, zeros in front. */
static void format_padded(char *text, uint64_t value, unsigned width)
{
    for (unsigned i = width; i-- > 0; value /= 10)
        text[i] = (char)('0' + value % 10);
}

size_t format_fixed(char *text, double value, unsigned decimals)
{
    size_t n = 0;

    assert(decimals <= OUT_DECIMALS);
    if (!isfinite(value))
        return 0;
    double scaled = fabs(value) * (double)powers[decimals];
    if (scaled >= 9.2e18) { /* no room for decimals in 64 bits: whole units, capped */
        decimals = 0;
        scaled = fmin(fabs(value), 9.2e18);
    }
    uint64_t units = (uint64_t)llround(scaled);
    if (value < 0 && units > 0)
        text[n++] = '-';
    n += format_u64(text + n, units / powers[decimals]);
    if (decimals > 0) {
        text[n++] = '.';
        format_padded(text + n, units % powers[decimals], decimals);
        n += decimals;
    }
    return n;
}

size_t format_ns_as_ms(char *text, kvt_ns value)
{
    size_t n = format_u64(text, value / 1000000);
    uint64_t rest = value % 1000000;

    if (rest > 0) {
        text[n++] = '.';
        format_padded(text + n, rest, 6);
        n += 6;
        while (text[n - 1] == '0')
            n--;
    }
    return n;
}

double round_to(double value, unsigned decimals)
{
    double power = (double)powers[decimals];

    if (!isfinite(value) || fabs(value) * power >= 9e15) /* beyond 2^53 every double is whole */
        return value;
    return round(value * power) / power;
}

/* ---- The file. ---- */

int out_open(struct out *o, int dirfd, const char *name)
{
    o->n = 0;
    o->written_b = 0;
    o->error = 0;
    o->fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (o->fd < 0)
        o->error = -errno;
    return o->error;
}

static void out_flush(struct out *o)
{
    const char *from = o->buffer;

    while (o->n > 0 && o->error == 0) {
        ssize_t wrote = write(o->fd, from, o->n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            o->error = -errno;
        } else {
            from += wrote;
            o->n -= (size_t)wrote;
            o->written_b += (uint64_t)wrote;
        }
    }
    o->n = 0;
}

int out_close(struct out *o)
{
    if (o->fd < 0)
        return o->error;
    out_flush(o);
    if (close(o->fd) != 0 && o->error == 0 && errno != EINTR)
        o->error = -errno;
    o->fd = -1;
    return o->error;
}

/* Room for one number or less. */
static char *out_room(struct out *o)
{
    if (o->n > OUT_BUFFER - OUT_NUMBER)
        out_flush(o);
    return o->buffer + o->n;
}

void out_char(struct out *o, char c)
{
    *out_room(o) = c;
    o->n++;
}

void out_text(struct out *o, const char *text)
{
    size_t length = strlen(text);

    while (length > 0) {
        size_t part = length < OUT_BUFFER - o->n ? length : OUT_BUFFER - o->n;
        memcpy(o->buffer + o->n, text, part);
        o->n += part;
        text += part;
        length -= part;
        if (o->n == OUT_BUFFER)
            out_flush(o);
    }
}

void out_field(struct out *o, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        out_text(o, text);
        return;
    }
    out_char(o, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            out_char(o, '"');
        out_char(o, *text);
    }
    out_char(o, '"');
}

void out_u64(struct out *o, uint64_t value)
{
    char *room = out_room(o);
    o->n += format_u64(room, value);
}

void out_fixed(struct out *o, double value, unsigned decimals)
{
    char *room = out_room(o);
    o->n += format_fixed(room, value, decimals);
}

void out_next(struct out *o, double value, int digits)
{
    char text[OUT_NUMBER] = "";
    if (isfinite(value))
        snprintf(text, sizeof text, "%.*g", digits, value);
    out_char(o, ',');
    out_text(o, text);
}

void out_ns_as_ms(struct out *o, kvt_ns value)
{
    char *room = out_room(o);
    o->n += format_ns_as_ms(room, value);
}
