/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ratio_rest.c - see ratio.h: two sequences with a long common prefix, by what is behind it alone.
 *
 * Prompts begin with the same template, and comparing that again and again finds what is known. Let P be the number of
 * elements in which a and b are equal from the start on; at P they differ, or one ends. A *run* is a stretch
 * of equal elements of which none is popular in b; it may be on any diagonal. If the first block that is taken
 * holds (i, i) for some i < P, growing over equal elements, as (T2) says, makes it [0, P) on both sides.
 * Nothing is left of it, and
 *
 *      M(a, b) = P + M(a behind P, b behind P),      popular being what is popular in all of b.
 *
 * When is that block the first one? Let
 *
 *      inside   be the longest run of the prefix with itself, (i, i) to (i + inside, i + inside), so the longest
 *               stretch of its elements without a popular one;
 *      outside  the longest run that ends beyond P in a and in b. It may have begun before P in either.
 *
 *   1. A run at (i, j) that ends within P in a is no longer than `inside`: what a has there b has at i as well, so
 *      there is a run at (i, i) of that length. The same with j for one that ends within P in b. So
 *      if outside <= inside, `inside` is the longest of all.
 *   2. (T1) then takes one on the diagonal, within the prefix. Let (s, s) be the first of length `inside`
 *      there, and (i, j) what (T1) takes: i <= s, so it ends within P in a, and by the argument of 1 there is one at
 *      (i, i): i = s. And j <= s, so it ends within P in b too: one at (j, j), hence j = s.
 *   3. If outside = 0, every run ends within P on one side. Without an element in the prefix that is not popular there
 *      is no run at all, and (T3) takes the prefix; with one, 2 holds. Behind P nothing matches: M = P.
 *
 * Behind P (T3) never has anything to take: every part begins where the next two elements differ, at P or behind a
 * block that grew as far as it could.
 *
 * So `outside` is looked for behind P only, from pairs of equal elements that are not popular: about 100 letters of
 * English have eight. What does not keep the condition, is long, or has many runs, is for the full comparison.
 * Parts are searched literally, by cutting each run to the part: with few runs nothing is faster.
 */
#include "ratio_work.h"

#include <string.h>

enum { MOST = 512, RUNS = 64, HEADS_BITS = 8, NONE = UINT16_MAX };

/* Positions are those of the whole sequences. */
struct rest {
    const uint32_t *a, *b, *marks;
    uint32_t n_a, n_b, same;
    uint32_t outside; /* see above */
    uint32_t n_runs;
    struct kvt_ratio_run runs[RUNS]; /* maximal ones behind the prefix; next: their length */
};

static inline bool unpopular(const struct rest *r, uint32_t j)
{
    return !r->marks || (r->marks[j / 32] >> j % 32 & 1);
}

static inline bool run_at(const struct rest *r, uint32_t i, uint32_t j)
{
    return r->a[i] == r->b[j] && unpopular(r, j);
}

static inline uint32_t head_of(uint32_t element)
{
    return element * UINT32_C(0x9e3779b1) >> (32 - HEADS_BITS);
}

/* Takes down the run that begins at (i, j). False: there are too many. */
static bool add_run(struct rest *r, uint32_t i, uint32_t j)
{
    uint32_t n = 1, before = 0;
    if (r->n_runs == RUNS)
        return false;
    while (i + n < r->n_a && j + n < r->n_b && run_at(r, i + n, j + n))
        n++;
    while (before < i && before < j && run_at(r, i - 1 - before, j - 1 - before))
        before++; /* only where it comes out of the prefix */
    r->runs[r->n_runs++] = (struct kvt_ratio_run){i, j, n};
    r->outside = before + n > r->outside ? before + n : r->outside;
    return true;
}

/* All runs behind the prefix, in the order of (T1). */
static bool find_runs(struct rest *r)
{
    uint16_t heads[1 << HEADS_BITS], chain[MOST];
    memset(heads, 0xff, sizeof heads);
    for (uint32_t j = r->n_b; j-- > r->same;) {
        if (!unpopular(r, j))
            continue;
        uint16_t *head = &heads[head_of(r->b[j])];
        chain[j - r->same] = *head;
        *head = (uint16_t)(j - r->same);
    }
    for (uint32_t i = r->same; i < r->n_a; i++)
        for (uint32_t k = heads[head_of(r->a[i])]; k != NONE; k = chain[k]) {
            const uint32_t j = r->same + k;
            if (r->a[i] != r->b[j] || (i > r->same && k > 0 && run_at(r, i - 1, j - 1)))
                continue;
            if (!add_run(r, i, j))
                return false;
        }
    return true;
}

/* Is `inside` at least n? n > 0. */
static bool inside(const struct rest *r, uint32_t n)
{
    uint32_t run = 0;
    if (!r->marks)
        return r->same >= n;
    for (uint32_t j = 0; j < r->same && run < n;) {
        if (j % 32 == 0 && r->marks[j / 32] == 0) {
            run = 0;
            j += 32;
            continue;
        }
        run = unpopular(r, j++) ? run + 1 : 0;
    }
    return run >= n;
}

/* The part of a run that lies in x, if it is better than *best. */
static void consider(const struct kvt_ratio_run *run, const struct kvt_ratio_box *x,
                     struct kvt_ratio_run *best)
{
    uint32_t from = x->a_begin > run->i ? x->a_begin - run->i : 0, to = run->next;
    if (run->j + from < x->b_begin)
        from = x->b_begin - run->j;
    if (run->i + from >= x->a_end || run->j + from >= x->b_end)
        return;
    to = to < x->a_end - run->i ? to : x->a_end - run->i;
    to = to < x->b_end - run->j ? to : x->b_end - run->j;
    if (to <= from || to - from < best->next)
        return;
    const struct kvt_ratio_run piece = {run->i + from, run->j + from, to - from};
    if (piece.next > best->next || piece.i < best->i || (piece.i == best->i && piece.j < best->j))
        *best = piece;
}

static void add_part(struct kvt_ratio_box *parts, uint32_t *n_parts, struct kvt_ratio_box x)
{
    if (x.a_begin < x.a_end && x.b_begin < x.b_end)
        parts[(*n_parts)++] = x;
}

static uint32_t match(const struct rest *r)
{
    struct kvt_ratio_box parts[MOST + 2]; /* one more per block, and a block has an element */
    uint32_t n_parts = 0, sum = 0;
    add_part(parts, &n_parts, (struct kvt_ratio_box){r->same, r->n_a, r->same, r->n_b});
    while (n_parts > 0) {
        const struct kvt_ratio_box x = parts[--n_parts];
        struct kvt_ratio_run best = {0, 0, 0};
        for (uint32_t k = 0; k < r->n_runs; k++)
            consider(&r->runs[k], &x, &best);
        uint32_t i = best.i, j = best.j, n = best.next;
        if (n == 0)
            continue;
        while (i > x.a_begin && j > x.b_begin && r->a[i - 1] == r->b[j - 1])
            i--, j--, n++;
        while (i + n < x.a_end && j + n < x.b_end && r->a[i + n] == r->b[j + n])
            n++;
        sum += n;
        add_part(parts, &n_parts, (struct kvt_ratio_box){x.a_begin, i, x.b_begin, j});
        add_part(parts, &n_parts, (struct kvt_ratio_box){i + n, x.a_end, j + n, x.b_end});
    }
    return sum;
}

bool kvt_ratio_rest(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b,
                    const uint32_t *marks, uint32_t same, uint32_t *matches)
{
    struct rest r;
    if (n_a - same > MOST || n_b - same > MOST)
        return false;
    r.a = a, r.b = b, r.marks = marks;
    r.n_a = n_a, r.n_b = n_b, r.same = same;
    r.outside = r.n_runs = 0;
    if (!find_runs(&r) || (r.outside > 0 && !inside(&r, r.outside)))
        return false;
    *matches = same + (r.n_runs > 0 ? match(&r) : 0);
    return true;
}
