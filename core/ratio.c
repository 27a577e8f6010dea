/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ratio.c - see ratio.h: working memory, and elements as codes.
 *
 * Before anything is compared (ratio_match.c) both sequences become dense codes, so that all later
 * questions are comparisons of small numbers and positions can be listed by code. An element of a
 * that b lacks gets a code that equals nothing, and so does a popular one, on either side. On the way
 * the elements that both have are counted, in whatever order: a bound that ends most comparisons.
 *
 * All arrays of one comparison lie in one piece of memory, which only ever grows.
 */
#include "ratio_work.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    RUN_WORDS = sizeof(struct kvt_ratio_run) / sizeof(uint32_t),
    BOX_WORDS = sizeof(struct kvt_ratio_box) / sizeof(uint32_t),
    RUNS_LEAST = 64
};

/* ---- Memory ------------------------------------------------------------------------------------ */

void kvt_ratio_init(struct kvt_ratio *r, const struct kvt_alloc *alloc, uint32_t runs)
{
    *r = (struct kvt_ratio){.alloc = alloc, .runs = runs};
}

void kvt_ratio_release(struct kvt_ratio *r)
{
    if (r->words)
        r->alloc->put(r->alloc->self, r->words, r->room * sizeof *r->words);
    r->words = NULL;
    r->room = 0;
}

static uint32_t table_bits(uint32_t n_b)
{
    uint32_t bits = 6;
    while (UINT32_C(1) << bits < 2 * n_b)
        bits++;
    return bits;
}

static uint32_t room_for_runs(const struct kvt_ratio *r, uint32_t n_a, uint32_t n_b)
{
    return r->runs ? r->runs : n_a + n_b + RUNS_LEAST;
}

static uint64_t words_for(const struct kvt_ratio *r, uint32_t n_a, uint32_t n_b)
{
    const uint64_t shorter = n_a < n_b ? n_a : n_b;
    const uint64_t coding = (UINT64_C(1) << table_bits(n_b)) + 3 * (uint64_t)n_b + 2;
    const uint64_t sequences = 3 * (uint64_t)n_b + 2 * (uint64_t)n_a + 4;
    return coding + sequences + RUN_WORDS * (uint64_t)room_for_runs(r, n_a, n_b) +
           (2 + BOX_WORDS) * (shorter + 1);
}

int kvt_ratio_reserve(struct kvt_ratio *r, uint32_t n_a, uint32_t n_b)
{
    if (n_a > KVT_RATIO_MOST || n_b > KVT_RATIO_MOST)
        return -EINVAL;
    const uint64_t wanted = words_for(r, n_a, n_b);
    if (wanted <= r->room)
        return 0;
    const uint64_t room = wanted + wanted / 4;
    uint32_t *words = r->alloc->get(r->alloc->self, room * sizeof *words);
    if (!words)
        return -ENOMEM;
    kvt_ratio_release(r);
    r->words = words;
    r->room = room;
    return 0;
}

static uint32_t *carve(uint32_t **at, uint64_t n)
{
    uint32_t *words = *at;
    *at += n;
    return words;
}

static void lay_out(const struct kvt_ratio *r, struct kvt_ratio_work *w)
{
    uint32_t *at = r->words;
    const uint32_t bits = table_bits(w->n_b);
    w->shorter = w->n_a < w->n_b ? w->n_a : w->n_b;
    w->room = room_for_runs(r, w->n_a, w->n_b);
    w->table = carve(&at, UINT64_C(1) << bits);
    w->table_shift = 32 - bits;
    w->table_mask = (UINT32_C(1) << bits) - 1;
    w->element = carve(&at, (uint64_t)w->n_b + 1);
    w->count = carve(&at, w->n_b);
    w->first = carve(&at, (uint64_t)w->n_b + 1);
    w->at = carve(&at, w->n_b);
    w->chain = carve(&at, w->n_b);
    w->code_a = carve(&at, (uint64_t)w->n_a + 2) + 1;
    w->code_b = carve(&at, (uint64_t)w->n_b + 2) + 1;
    w->head = carve(&at, (uint64_t)w->shorter + 1);
    w->tail = carve(&at, (uint64_t)w->shorter + 1);
    w->boxes = (struct kvt_ratio_box *)carve(&at, BOX_WORDS * ((uint64_t)w->shorter + 1));
    w->box_of = carve(&at, w->n_a);
    w->runs = (struct kvt_ratio_run *)carve(&at, RUN_WORDS * (uint64_t)w->room);
    assert((uint64_t)(at - r->words) <= r->room);
}

/* ---- Codes ------------------------------------------------------------------------------------- */

/* The slot of the table where x is, or would go. */
static inline uint32_t slot_of(const struct kvt_ratio_work *w, uint32_t x)
{
    uint32_t slot = (x * UINT32_C(0x9e3779b1)) >> w->table_shift;
    while (w->table[slot] && w->element[w->table[slot] - 1] != x)
        slot = (slot + 1) & w->table_mask;
    return slot;
}

/* Codes of b, popular or not, into code_b; how often each occurs into count. Elements smaller
 * than b is long, as most text has, are their own codes. */
static void code_elements(struct kvt_ratio_work *w)
{
    uint32_t most = 0;
    for (uint32_t j = 0; j < w->n_b; j++)
        most = w->b[j] > most ? w->b[j] : most;
    w->direct = most < w->n_b;
    w->codes = w->direct ? most + 1 : 0;
    if (w->direct) {
        memset(w->count, 0, w->codes * sizeof *w->count);
        memcpy(w->code_b, w->b, w->n_b * sizeof *w->b);
        for (uint32_t j = 0; j < w->n_b; j++)
            w->count[w->b[j]]++;
        return;
    }
    memset(w->table, 0, ((size_t)w->table_mask + 1) * sizeof *w->table);
    for (uint32_t j = 0; j < w->n_b; j++) {
        const uint32_t slot = slot_of(w, w->b[j]);
        if (!w->table[slot]) {
            w->element[w->codes] = w->b[j];
            w->count[w->codes] = 0;
            w->table[slot] = ++w->codes;
        }
        const uint32_t code = w->table[slot] - 1;
        w->count[code]++;
        w->code_b[j] = code;
    }
}

/* Codes of a into code_a; returns how many elements both have, in any order. Uses up `first`. */
static uint32_t code_other(struct kvt_ratio_work *w)
{
    uint32_t common = 0;
    memcpy(w->first, w->count, w->codes * sizeof *w->first);
    w->first[w->codes] = 0; /* of those that b lacks */
    for (uint32_t i = 0; i < w->n_a; i++) {
        const uint32_t x = w->a[i];
        const uint32_t code = !w->direct
                                  ? w->table[slot_of(w, x)] - 1 /* 0 - 1: KVT_RATIO_NOT_IN_A */
                              : x < w->codes ? x
                                             : KVT_RATIO_NOT_IN_A;
        const uint32_t k = code == KVT_RATIO_NOT_IN_A ? w->codes : code;
        const uint32_t had = w->first[k] > 0;
        w->code_a[i] = code;
        w->first[k] -= had;
        common += had;
    }
    return common;
}

/* Tells popular elements by their marks instead of their counts. */
static void count_by_marks(struct kvt_ratio_work *w)
{
    for (uint32_t j = 0; j < w->n_b; j++)
        if (!(w->marks[j / 32] >> j % 32 & 1))
            w->count[w->code_b[j]] = UINT32_MAX;
}

/* Lists where the unpopular elements of b are, and takes popular ones out of both codings. (T2) */
static void place_elements(struct kvt_ratio_work *w)
{
    const uint32_t most = w->marks ? w->n_b : kvt_ratio_popular_above(w->n_b);
    uint32_t *is_not = w->element; /* whose use is over: a code, or KVT_RATIO_NOT_IN_B */
    uint32_t begin = 0;
    for (uint32_t c = 0; c < w->codes; c++) {
        const bool popular = w->count[c] > most;
        is_not[c] = popular ? KVT_RATIO_NOT_IN_B : c;
        w->count[c] = popular ? 0 : w->count[c];
        w->first[c] = begin;
        begin += w->count[c];
    }
    is_not[w->codes] = KVT_RATIO_NOT_IN_B;
    for (uint32_t j = 0; j < w->n_b; j++) {
        const uint32_t c = w->code_b[j];
        w->code_b[j] = is_not[c];
        if (is_not[c] == c)
            w->at[w->first[c]++] = j;
    }
    for (uint32_t c = 0; c < w->codes; c++)
        w->first[c] -= w->count[c]; /* where it was */
    w->first[w->codes] = begin;
    for (uint32_t i = 0; i < w->n_a; i++) {
        const uint32_t c = w->code_a[i];
        w->code_a[i] = is_not[c < w->codes ? c : w->codes] == c ? c : KVT_RATIO_NOT_IN_A;
    }
    w->code_a[-1] = w->code_a[w->n_a] = KVT_RATIO_NOT_IN_A;
    w->code_b[-1] = w->code_b[w->n_b] = KVT_RATIO_NOT_IN_B;
}

/* ---- Comparing ----------------------------------------------------------------------------------- */

uint32_t kvt_ratio_matches(struct kvt_ratio *r, const uint32_t *a, uint32_t n_a, const uint32_t *b,
                           uint32_t n_b, uint32_t least)
{
    struct kvt_ratio_work w = {.a = a, .b = b, .n_a = n_a, .n_b = n_b, .least = least};
    uint32_t at_once;
    if (n_a <= KVT_RATIO_SHORT && n_b <= KVT_RATIO_SHORT &&
        kvt_ratio_short(a, n_a, b, n_b, &at_once)) {
        r->compared++;
        return at_once >= least ? at_once : KVT_NONE;
    }
    lay_out(r, &w);
    if (w.shorter < least)
        return KVT_NONE;
    if (w.shorter == 0)
        return 0;
    code_elements(&w);
    if (code_other(&w) < least)
        return KVT_NONE;
    r->compared++;
    place_elements(&w);
    return kvt_ratio_match(&w) && w.matches >= least ? (uint32_t)w.matches : KVT_NONE;
}

void kvt_ratio_prefix(struct kvt_ratio *r, const uint32_t *a, uint32_t n_a, const uint32_t *b,
                      uint32_t n_b, const uint32_t *marks, struct kvt_ratio_cut *by_run)
{
    struct kvt_ratio_work w = {.a = a, .b = b, .n_a = n_a, .n_b = n_b, .marks = marks};
    lay_out(r, &w);
    if (w.shorter == 0) {
        memset(by_run, 0, KVT_RATIO_RUNS * sizeof *by_run);
        return;
    }
    code_elements(&w);
    code_other(&w);
    count_by_marks(&w);
    place_elements(&w);
    kvt_ratio_match_prefix(&w, by_run);
}

uint32_t kvt_ratio_bag(struct kvt_ratio *r, const uint32_t *a, uint32_t n_a, const uint32_t *b,
                       uint32_t n_b)
{
    struct kvt_ratio_work w = {.a = a, .b = b, .n_a = n_a, .n_b = n_b};
    lay_out(r, &w);
    if (w.shorter == 0)
        return 0;
    code_elements(&w);
    return code_other(&w);
}

int kvt_ratio(struct kvt_ratio *r, const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b,
              double *ratio)
{
    const int error = kvt_ratio_reserve(r, n_a, n_b);
    if (error)
        return error;
    *ratio = kvt_ratio_of(kvt_ratio_matches(r, a, n_a, b, n_b, 0), (uint64_t)n_a + n_b);
    return 0;
}

uint64_t kvt_ratio_least(double threshold, uint64_t both)
{
    uint64_t least = (uint64_t)(threshold * (double)both / 2);
    while (least > 0 && kvt_ratio_of(least - 1, both) > threshold)
        least--;
    while (least <= both && !(kvt_ratio_of(least, both) > threshold))
        least++;
    return least;
}
