/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * radix.c - see radix.h. All counts are taken in one walk before the passes.
 */
#include "radix.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = sizeof(uint64_t), VALUES = 256 };

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* One stable pass by byte `byte`. count[v]: how many have the value v there. */
static void pass(const double *from, double *to, size_t n, unsigned byte,
                 const size_t count[VALUES])
{
    size_t at[VALUES], sum = 0;

    for (unsigned v = 0; v < VALUES; v++) {
        at[v] = sum;
        sum += count[v];
    }
    for (size_t i = 0; i < n; i++)
        to[at[bits_of(from[i]) >> (8 * byte) & 0xff]++] = from[i];
}

int radix_sort(double *values, size_t n)
{
    size_t count[BYTES][VALUES] = {{0}};

    if (n < 2)
        return 0;
    double *scratch = malloc(n * sizeof *scratch), *from = values, *to = scratch;
    if (scratch == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = bits_of(values[i]);
        for (unsigned byte = 0; byte < BYTES; byte++)
            count[byte][bits >> (8 * byte) & 0xff]++;
    }
    for (unsigned byte = 0; byte < BYTES; byte++) {
        if (count[byte][bits_of(values[0]) >> (8 * byte) & 0xff] == n)
            continue;
        pass(from, to, n, byte, count[byte]);
        double *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != values)
        memcpy(values, from, n * sizeof *values);
    free(scratch);
    return 0;
}
