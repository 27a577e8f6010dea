/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ratio_short.c - see ratio.h: two sequences of at most 64 small elements, by words of bits.
 *
 * In short strings what costs is not the pairs but everything around them: codes, lists, and wrong guesses of
 * the processor. Here the question "which b[j] equal a[i]?" is one word per row, and the definition is followed
 * literally, part by part. With R(k, i) the set of columns j at which a run of k or more begins in row i,
 *
 *      R(1, i) = equal[i], within the part's columns
 *      R(k + m, i) = R(k, i) & R(m, i + k) >> k
 *
 * k doubles as long as any row has such a run, then the powers below are tried from above: 2 log k passes over
 * the rows find the longest run. The first row that is left, and its lowest column, are what (T1) asks for.
 * So few elements are never popular: (T2) and (T3) have nothing to say.
 */
#include "ratio_work.h"

#include <string.h>

enum {
    WIDE = KVT_RATIO_SHORT,
    LENGTHS = 8, /* 1, 2, 4, .. 64, and one that no run has */
    SMALL = 256
};

/* Columns below `end`. */
static uint64_t columns_below(uint32_t end)
{
    return end < WIDE ? (UINT64_C(1) << end) - 1 : ~UINT64_C(0);
}

/* to[i] = R(k + m, i) from r = R(k, .) and s = R(m, .), for rows that leave room for it; is there any? */
static bool longer(uint64_t *to, const uint64_t *r, uint32_t k, const uint64_t *s, uint32_t m,
                   const struct kvt_ratio_box *x)
{
    uint64_t any = 0;
    for (uint32_t i = x->a_begin; i + k + m <= x->a_end; i++)
        any |= to[i] = r[i] & s[i + k] >> k;
    return any != 0;
}

/* The longest run of a part: its length, 0 when there is none. */
static uint32_t longest_run(const uint64_t *equal, const struct kvt_ratio_box *x, uint32_t *row,
                            uint32_t *column)
{
    uint64_t power[LENGTHS][WIDE], spare[2][WIDE], any = 0;
    const uint64_t mask = columns_below(x->b_end) & ~columns_below(x->b_begin);
    for (uint32_t i = x->a_begin; i < x->a_end; i++)
        any |= power[0][i] = equal[i] & mask;
    if (any == 0)
        return 0;
    uint32_t n = 1, t = 0;
    while (longer(power[t + 1], power[t], n, power[t], n, x))
        n *= 2, t++;
    uint64_t *runs = power[t], *next = spare[0];
    for (uint32_t m = n / 2; t-- > 0; m /= 2) {
        if (!longer(next, runs, n, power[t], m, x))
            continue;
        runs = next;
        next = spare[next == spare[0]];
        n += m;
    }
    uint32_t i = x->a_begin;
    while (runs[i] == 0)
        i++;
    *row = i;
    *column = (uint32_t)__builtin_ctzll(runs[i]);
    return n;
}

bool kvt_ratio_short(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b,
                     uint32_t *matches)
{
    uint64_t at[SMALL], equal[WIDE];
    struct kvt_ratio_box parts[WIDE + 1];
    uint32_t n_parts = 0, sum = 0, all = 0;
    for (uint32_t j = 0; j < n_b; j++)
        all |= b[j];
    if (n_a > WIDE || n_b > WIDE || all >= SMALL)
        return false;
    for (uint32_t i = 0; i < n_a; i++)
        at[a[i] % SMALL] = 0;
    for (uint32_t j = 0; j < n_b; j++)
        at[b[j]] = 0;
    for (uint32_t j = 0; j < n_b; j++)
        at[b[j]] |= UINT64_C(1) << j;
    for (uint32_t i = 0; i < n_a; i++)
        equal[i] = a[i] < SMALL ? at[a[i]] : 0;
    parts[n_parts++] = (struct kvt_ratio_box){0, n_a, 0, n_b};
    while (n_parts > 0) {
        const struct kvt_ratio_box x = parts[--n_parts];
        uint32_t i, j, n;
        if (x.a_begin == x.a_end || x.b_begin == x.b_end ||
            (n = longest_run(equal, &x, &i, &j)) == 0)
            continue;
        sum += n;
        parts[n_parts++] = (struct kvt_ratio_box){x.a_begin, i, x.b_begin, j};
        parts[n_parts++] = (struct kvt_ratio_box){i + n, x.a_end, j + n, x.b_end};
    }
    *matches = sum;
    return true;
}
