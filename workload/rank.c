/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rank.c - see rank.h.
 */
#include "rank.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 64, LINE_WORDS = WL_RANK_LINE / WORD };

int wl_rank_init(struct wl_rank *rank, uint64_t n)
{
    const uint64_t lines = n / WL_RANK_LINE + 1;
    *rank = (struct wl_rank){.n_lines = lines};
    rank->words = calloc(lines * LINE_WORDS, sizeof rank->words[0]);
    rank->tree = calloc(lines + 1, sizeof rank->tree[0]);
    if (rank->words != NULL && rank->tree != NULL)
        return 0;
    wl_rank_release(rank);
    return -ENOMEM;
}

void wl_rank_release(struct wl_rank *rank)
{
    free(rank->words);
    free(rank->tree);
    *rank = (struct wl_rank){0};
}

static uint32_t bits(uint64_t word)
{
    return (uint32_t)__builtin_popcountll(word);
}

/* In slot's line. */
static uint32_t rank_in_line(const struct wl_rank *rank, uint64_t slot)
{
    const uint64_t line = slot / WL_RANK_LINE, word = slot / WORD;
    uint32_t below = 0;
    for (uint64_t w = line * LINE_WORDS; w < word; w++)
        below += bits(rank->words[w]);
    if (slot % WORD != 0)
        below += bits(rank->words[word] << (WORD - slot % WORD));
    return below;
}

uint32_t wl_rank(const struct wl_rank *rank, uint64_t slot)
{
    assert(slot <= wl_rank_slots(rank));
    uint32_t below = rank_in_line(rank, slot);
    for (uint64_t at = slot / WL_RANK_LINE; at > 0; at &= at - 1)
        below += rank->tree[at];
    return below;
}

/* `by` wraps: adding 2^32 - n takes n away. */
static void count_line(struct wl_rank *rank, uint64_t line, uint32_t by)
{
    for (uint64_t at = line + 1; at <= rank->n_lines; at += at & -at)
        rank->tree[at] += by;
}

static void change(struct wl_rank *rank, uint64_t first, uint64_t n, bool member)
{
    assert(first + n <= wl_rank_slots(rank));
    const uint64_t end = first + n;
    while (first < end) {
        const uint64_t line = first / WL_RANK_LINE, line_end = (line + 1) * WL_RANK_LINE;
        const uint64_t upto = end < line_end ? end : line_end;
        const uint32_t here = (uint32_t)(upto - first);
        while (first < upto) {
            const uint64_t word = first / WORD, bit = first % WORD;
            const uint64_t most = WORD - bit, take = upto - first < most ? upto - first : most;
            const uint64_t mask = (take == WORD ? ~UINT64_C(0) : (UINT64_C(1) << take) - 1) << bit;
            assert(member ? (rank->words[word] & mask) == 0 : (rank->words[word] & mask) == mask);
            rank->words[word] ^= mask;
            first += take;
        }
        count_line(rank, line, member ? here : -here);
    }
}

void wl_rank_set(struct wl_rank *rank, uint64_t first, uint64_t n)
{
    change(rank, first, n, true);
}

void wl_rank_clear(struct wl_rank *rank, uint64_t first, uint64_t n)
{
    change(rank, first, n, false);
}

/* ---- All of it -------------------------------------------------------------------------------- */

/* The tree of counts that stand in it line by line. A node holds the lines of the 2^k up to it, k its lowest
 * set bit: it gives its sum to the next that holds it too. */
static void build(struct wl_rank *rank)
{
    for (uint64_t at = 1; at <= rank->n_lines; at++) {
        const uint64_t up = at + (at & -at);
        if (up <= rank->n_lines)
            rank->tree[up] += rank->tree[at];
    }
}

static void count_lines(struct wl_rank *rank)
{
    for (uint64_t line = 0; line < rank->n_lines; line++) {
        uint32_t n = 0;
        for (uint64_t w = 0; w < LINE_WORDS; w++)
            n += bits(rank->words[line * LINE_WORDS + w]);
        rank->tree[line + 1] = n;
    }
}

int wl_rank_grow(struct wl_rank *rank, uint64_t n)
{
    struct wl_rank longer;
    if (n <= wl_rank_slots(rank))
        return 0;
    if (wl_rank_init(&longer, n) != 0)
        return -ENOMEM;
    if (rank->words != NULL)
        memcpy(longer.words, rank->words, rank->n_lines * LINE_WORDS * sizeof rank->words[0]);
    wl_rank_release(rank);
    *rank = longer;
    count_lines(rank);
    build(rank);
    return 0;
}

/* tree[line] is then the members before the line. */
void wl_rank_pack_begin(struct wl_rank *rank)
{
    count_lines(rank);
    uint32_t below = 0;
    for (uint64_t line = 0; line < rank->n_lines; line++) {
        rank->tree[line] = below;
        below += rank->tree[line + 1];
    }
    rank->tree[rank->n_lines] = below;
}

uint32_t wl_rank_packed(const struct wl_rank *rank, uint64_t slot)
{
    return rank->tree[slot / WL_RANK_LINE] + rank_in_line(rank, slot);
}

void wl_rank_pack_end(struct wl_rank *rank)
{
    const uint32_t n = rank->tree[rank->n_lines];
    memset(rank->words, 0, rank->n_lines * LINE_WORDS * sizeof rank->words[0]);
    memset(rank->words, 0xff, n / WORD * sizeof rank->words[0]);
    if (n % WORD != 0)
        rank->words[n / WORD] = (UINT64_C(1) << n % WORD) - 1;
    rank->tree[0] = 0;
    count_lines(rank);
    build(rank);
}
