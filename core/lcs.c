/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lcs.c - see lcs.h.
 *
 * A vector holds one row of the table of lengths: a zero where the length grows from one element of the query to
 * the next. Adding moves the zero of each stretch down to the lowest element that matches; only what
 * leaves the last word makes one more. So the length of all rows, one after the other, is the sum of those
 * carries, and a query that is held against one long sequence has held itself against all its prefixes.
 */
#include "lcs.h"

#include <errno.h>
#include <string.h>

enum {
    SMALL = 256,        /* elements with a bit vector */
    WORDS_MOST = 128,   /* of one vector: queries of up to 8,192 elements */
    STEPS_MOST = 16384, /* rows times words: beyond that comparing is no dearer */
    COUNTS_BITS = 16
};

static const size_t bits_b = (size_t)(SMALL + 1) * WORDS_MOST * sizeof(uint64_t);

_Static_assert((SMALL + 1) * WORDS_MOST * sizeof(uint64_t) >= sizeof(uint32_t) << COUNTS_BITS,
               "counts go where vectors are");

int kvt_lcs_init(struct kvt_lcs *o, const struct kvt_alloc *alloc)
{
    *o = (struct kvt_lcs){.alloc = alloc, .bits = alloc->get(alloc->self, bits_b)};
    return o->bits ? 0 : -ENOMEM;
}

void kvt_lcs_release(struct kvt_lcs *o)
{
    if (o->bits)
        o->alloc->put(o->alloc->self, o->bits, bits_b);
    *o = (struct kvt_lcs){0};
}

size_t kvt_lcs_memory_b(const struct kvt_lcs *o)
{
    return o->bits ? bits_b : 0;
}

void kvt_lcs_ask(struct kvt_lcs *o, const uint32_t *query, uint32_t n)
{
    o->query = query;
    o->n = n;
    o->words = (n + 63) / 64;
    if (o->words > WORDS_MOST)
        o->words = 0;
    memset(o->bits, 0, (size_t)SMALL * o->words * sizeof *o->bits);
    for (uint32_t i = 0; i < n && o->words > 0; i++) {
        if (query[i] < SMALL)
            o->bits[query[i] * o->words + i / 64] |= UINT64_C(1) << i % 64;
        else
            o->words = 0;
    }
}

/* One more element of the other sequence, below SMALL: by how much the length grows. The row begins in the
 * word `from`, at the bits `behind`. */
static uint32_t next_row(const struct kvt_lcs *o, uint64_t *row, uint32_t from, uint64_t behind,
                         uint32_t element)
{
    const uint64_t *at = o->bits + (size_t)element * o->words;
    uint64_t carry = 0, mask = behind;
    for (uint32_t k = from; k < o->words; k++, mask = ~UINT64_C(0)) {
        const uint64_t v = row[k], u = v & at[k] & mask;
        const uint64_t sum = v + u, all = sum + carry;
        carry = (uint64_t)(sum < v) | (uint64_t)(all < sum);
        row[k] = all | (v - u);
    }
    return (uint32_t)carry;
}

uint64_t kvt_lcs_bound(const struct kvt_lcs *o, const uint32_t *b, uint32_t n_b)
{
    const uint32_t shorter = o->n < n_b ? o->n : n_b, words = o->words;
    uint32_t same = 0;
    while (words > 0 && same < shorter && o->query[same] == b[same])
        same++;
    const uint32_t from = same / 64;
    if (words == 0 || same == shorter || (uint64_t)(words - from) * (n_b - same) > STEPS_MOST)
        return shorter;
    uint64_t *row = o->bits + (size_t)SMALL * words, common = same;
    const uint64_t behind = ~UINT64_C(0) << same % 64; /* of the first word */
    memset(row + from, 0xff, (words - from) * sizeof *row);
    for (uint32_t j = same; j < n_b; j++)
        if (b[j] < SMALL)
            common += next_row(o, row, from, behind, b[j]);
    return common;
}

/* What both have in whatever order, counted by a hash: never less than there is. */
static void in_any_order(const struct kvt_lcs *o, const uint32_t *b, uint32_t n_b, uint32_t *most)
{
    uint32_t *left = (uint32_t *)o->bits;
    memset(left, 0, sizeof *left << COUNTS_BITS);
    for (uint32_t i = 0; i < o->n; i++)
        left[o->query[i] * UINT32_C(0x9e3779b1) >> (32 - COUNTS_BITS)]++;
    most[0] = 0;
    for (uint32_t j = 0; j < n_b; j++) {
        uint32_t *one = &left[b[j] * UINT32_C(0x9e3779b1) >> (32 - COUNTS_BITS)];
        const uint32_t had = *one > 0;
        *one -= had;
        most[j + 1] = most[j] + had;
    }
}

void kvt_lcs_prefixes(const struct kvt_lcs *o, const uint32_t *b, uint32_t n_b, uint32_t *most)
{
    if (o->words == 0) {
        in_any_order(o, b, n_b, most);
        return;
    }
    uint64_t *row = o->bits + (size_t)SMALL * o->words;
    memset(row, 0xff, o->words * sizeof *row);
    most[0] = 0;
    for (uint32_t j = 0; j < n_b; j++)
        most[j + 1] = most[j] + (b[j] < SMALL ? next_row(o, row, 0, ~UINT64_C(0), b[j]) : 0);
}
