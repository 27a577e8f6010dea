/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * anchors.c - see anchors.h.
 *
 * Counting for marks goes by a table with one element per slot: who comes first has it, and others of
 * the same slot count as not popular. That errs on the side of more anchors, and a bound is weaker for
 * it, never wrong. What is popular comes often, and so nearly always first. Where the others of a slot are
 * together no more than a popular element takes, none of them was popular, and marks are exact.
 */
#include "anchors.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "ratio.h"

enum {
    PIECE = KVT_ANCHORS_PIECE,
    FILTER_BITS = 18,
    FILTER_WORDS = (1 << FILTER_BITS) / 64,
    COUNTS_BITS = 10
};

struct kvt_anchors_count {
    uint32_t element, count, others;
};

static const size_t pieces_b = 2 * FILTER_WORDS * sizeof(uint64_t);
static const size_t counts_b = ((size_t)1 << COUNTS_BITS) * sizeof(struct kvt_anchors_count);

int kvt_anchors_init(struct kvt_anchors *s, const struct kvt_alloc *alloc)
{
    *s = (struct kvt_anchors){.alloc = alloc};
    s->pieces = alloc->get(alloc->self, pieces_b);
    s->counts = alloc->get(alloc->self, counts_b);
    if (s->pieces && s->counts)
        return 0;
    kvt_anchors_release(s);
    return -ENOMEM;
}

void kvt_anchors_release(struct kvt_anchors *s)
{
    if (s->pieces)
        s->alloc->put(s->alloc->self, s->pieces, pieces_b);
    if (s->counts)
        s->alloc->put(s->alloc->self, s->counts, counts_b);
    *s = (struct kvt_anchors){0};
}

size_t kvt_anchors_memory_b(const struct kvt_anchors *s)
{
    return s->pieces ? pieces_b + counts_b : 0;
}

static uint32_t mix(uint32_t h, uint32_t element)
{
    return (h ^ element) * UINT32_C(0x9e3779b1);
}

/* ---- Marks -------------------------------------------------------------------------------------- */

static struct kvt_anchors_count *count_of(const struct kvt_anchors *s, uint32_t element)
{
    return &s->counts[mix(0, element) >> (32 - COUNTS_BITS)];
}

bool kvt_anchors_mark(struct kvt_anchors *s, const uint32_t *b, uint32_t n_b, uint32_t *marks,
                      bool *exact)
{
    const uint32_t most = kvt_ratio_popular_above(n_b);
    bool any = false, doubt = false;
    memset(s->counts, 0, counts_b);
    for (uint32_t j = 0; j < n_b; j++) {
        struct kvt_anchors_count *c = count_of(s, b[j]);
        if (c->count == 0)
            c->element = b[j];
        const bool own = c->element == b[j];
        c->count += own;
        c->others += !own;
        any |= c->count > most;
        doubt |= c->others > most;
    }
    *exact = !doubt;
    if (!any)
        return false;
    memset(marks, 0, kvt_anchors_words(n_b) * sizeof *marks);
    for (uint32_t j = 0; j < n_b; j++) {
        const struct kvt_anchors_count *c = count_of(s, b[j]);
        if (c->element != b[j] || c->count <= most)
            marks[j / 32] |= UINT32_C(1) << j % 32;
    }
    return true;
}

/* ---- Pieces ------------------------------------------------------------------------------------- */

static void put(uint64_t *filter, uint32_t h)
{
    h >>= 32 - FILTER_BITS;
    filter[h / 64] |= UINT64_C(1) << h % 64;
}

static bool has(const uint64_t *filter, uint32_t h)
{
    h >>= 32 - FILTER_BITS;
    return filter[h / 64] >> h % 64 & 1;
}

void kvt_anchors_ask(struct kvt_anchors *s, const uint32_t *a, uint32_t n_a)
{
    memset(s->pieces, 0, pieces_b);
    for (uint32_t i = 0; i < n_a; i++) {
        uint32_t h = 0;
        for (uint32_t k = 0; k < PIECE && i + k < n_a; k++)
            put(s->pieces, h = mix(h, a[i + k]));
        h = 0;
        for (uint32_t k = 0; k < PIECE && k <= i; k++)
            put(s->pieces + FILTER_WORDS, h = mix(h, a[i - k]));
    }
}

/* How many elements from *at on, a step apart, the other sequence may have in a row: up to PIECE, of
 * `room` that are there. All lengths are asked at once, as a guess where it ends would mostly be wrong. */
static uint32_t reach(const uint64_t *filter, const uint32_t *at, ptrdiff_t step, uint32_t room)
{
    uint32_t h = 0, had = 0;
    if (room >= PIECE) {
#pragma GCC unroll 6
        for (uint32_t k = 0; k < PIECE; k++, at += step) {
            h = mix(h, *at);
            had |= (uint32_t)has(filter, h) << k;
        }
    } else {
        for (uint32_t k = 0; k < room; k++, at += step) {
            h = mix(h, *at);
            had |= (uint32_t)has(filter, h) << k;
        }
    }
    return (uint32_t)__builtin_ctz(~had);
}

/* Of the popular elements between the anchors at `at` and `next`: how many neither reaches. With next ==
 * n_b there is none. */
static uint32_t lost_between(const struct kvt_anchors *s, const uint32_t *b, uint32_t n_b,
                             uint32_t at, uint32_t next)
{
    const uint32_t between = next - at - 1, x = reach(s->pieces, b + at, 1, n_b - at);
    if (x > between || x == PIECE)
        return 0;
    const uint32_t lost = x == 0; /* the anchor itself */
    uint32_t reached = x - !lost;
    if (next < n_b) {
        const uint32_t y = reach(s->pieces + FILTER_WORDS, b + next, -1, next + 1);
        if (y > between || y == PIECE)
            return lost;
        reached += y > 0 ? y - 1 : 0;
    }
    return lost + (reached < between ? between - reached : 0);
}

static uint32_t lacking(const struct kvt_anchors *s, const uint32_t *b, uint32_t n_b, uint32_t from,
                        uint32_t most)
{
    uint32_t lost = 0;
    for (uint32_t j = n_b; j-- > from && lost <= most;)
        lost += !has(s->pieces, mix(0, b[j]));
    return lost;
}

uint32_t kvt_anchors_lost(const struct kvt_anchors *s, const uint32_t *b, uint32_t n_b,
                          const uint32_t *marks, uint32_t from, uint32_t most)
{
    uint32_t lost = 0, next = n_b;
    if (!marks)
        return lacking(s, b, n_b, from, most);
    for (uint32_t word = kvt_anchors_words(n_b); word-- > from / 32 && lost <= most;)
        for (uint32_t left = marks[word]; left && lost <= most;) {
            const uint32_t bit = 31 - (uint32_t)__builtin_clz(left);
            left &= ~(UINT32_C(1) << bit);
            if (word * 32 + bit < from)
                return lost;
            lost += lost_between(s, b, n_b, word * 32 + bit, next);
            next = word * 32 + bit;
        }
    return lost;
}

static bool marked(const uint32_t *marks, uint32_t j)
{
    return marks[j / 32] >> j % 32 & 1;
}

uint32_t kvt_anchors_run_at(const struct kvt_anchors *s, const uint32_t *b, uint32_t n_b,
                            const uint32_t *marks, uint32_t j)
{
    uint32_t h = 0, n = 0;
    while (n < PIECE && j + n < n_b && marked(marks, j + n) && has(s->pieces, h = mix(h, b[j + n])))
        n++;
    return n;
}

uint32_t kvt_anchors_run(const struct kvt_anchors *s, const uint32_t *b, uint32_t n_b,
                         const uint32_t *marks, uint32_t from)
{
    uint32_t longest = 0;
    for (uint32_t j = from < PIECE ? 0 : from - PIECE + 1; j < n_b && longest < PIECE; j++) {
        const uint32_t n = kvt_anchors_run_at(s, b, n_b, marks, j);
        if (j + n > from && n > longest)
            longest = n;
    }
    return longest;
}
