/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ratio_match.c - see ratio.h: the matches, without searching anything twice.
 *
 * The definition is recursive, and done literally it searches each part anew: cubic in bad cases. But
 * M does not depend on the order in which parts are searched, so here the runs come to the parts:
 *
 *      b |     . box 3          Matches found so far cut a x b into *boxes*, rising from left
 *        |   ==                 below to right above. A box is searched by taking the longest
 *        |  . box 2             common run that lies in it, which cuts it in two.
 *        |==
 *        +----------- a
 *
 *   1. Elements of b get dense codes; an element of a that b lacks, or that is popular, gets one that
 *      equals nothing. Pairs of equal codes are walked once, and each maximal run of two or more goes
 *      to a list of its length.
 *   2. Lists are emptied from the longest on. A run that sticks out of its box is cut, and its pieces go
 *      to lists of shorter runs. One that fits is the longest of its box: every longer one would have
 *      come before. Lists are in the order of (T1), so it is also the right one among equals.
 *   3. Runs of one element need no list: with nothing longer in a box, (T1) takes the first pair by
 *      row and column, left of which nothing else is. One sweep over all boxes, with one cursor per
 *      element, does them, and ends with (T3).
 *
 * Memory for runs is bounded. When it is full the shortest list is thrown away; what was thrown away is
 * found again, in the boxes that are left, by another pass (1). If runs of one length alone do not fit,
 * that length is done without a list, by the argument of (3).
 *
 *   (M1) `floor` is the length from which on all runs of all boxes are on lists.
 *   (M2) Boxes are disjoint in rows and in columns and rise in both; box_of names the box of each row
 *        of a, KVT_NONE for rows that are matched or whose box has no column left.
 *   (M3) `open` is the sum of the smaller sides of all boxes: matches + open bounds M from above.
 *
 * The same tells what a can have of a beginning of b, T, whatever follows it (kvt_ratio_prefix). If no run that ends
 * behind T has n elements or more, all runs that do are those of a and T, so steps 1 and 2 down to n leave the same boxes
 * for every b that begins with T. All but the last lie in T with all their columns, and from then on each box is alone:
 * what they match in the end is settled. The last one goes on behind T, and of T it matches at most as many
 * elements as the smaller side has that it has in T. A block that grows beyond T only takes rows from what follows.
 *
 * Rows are relabelled on the smaller side of a cut only, so that costs n log n at worst.
 */
#include "ratio_work.h"

#include <assert.h>
#include <string.h>

/* ---- Boxes ------------------------------------------------------------------------------------- */

static uint32_t smaller_side(const struct kvt_ratio_box *x)
{
    const uint32_t rows = x->a_end - x->a_begin, columns = x->b_end - x->b_begin;
    return rows < columns ? rows : columns;
}

static void label(struct kvt_ratio_work *w, uint32_t begin, uint32_t end, uint32_t number)
{
    for (uint32_t i = begin; i < end; i++)
        w->box_of[i] = number;
}

static void first_box(struct kvt_ratio_work *w)
{
    w->n_boxes = 0;
    w->matches = w->open = 0;
    if (w->shorter == 0)
        return;
    w->boxes[w->n_boxes++] = (struct kvt_ratio_box){0, w->n_a, 0, w->n_b};
    label(w, 0, w->n_a, 0);
    w->open = w->shorter;
}

static void count_matches(struct kvt_ratio_work *w, uint32_t i, uint32_t n)
{
    w->matches += n;
    for (uint32_t k = 0; k < w->n_tails; k++)
        w->tails[k].matches += i >= w->tails[k].from ? n : 0;
}

/* Takes a run that lies in one box, extends it there (T2), and cuts the box. */
static void take(struct kvt_ratio_work *w, uint32_t i, uint32_t j, uint32_t n)
{
    const uint32_t number = w->box_of[i];
    const struct kvt_ratio_box x = w->boxes[number];
    while (i > x.a_begin && j > x.b_begin && w->a[i - 1] == w->b[j - 1])
        i--, j--, n++;
    while (i + n < x.a_end && j + n < x.b_end && w->a[i + n] == w->b[j + n])
        n++;
    const struct kvt_ratio_box left = {x.a_begin, i, x.b_begin, j};
    const struct kvt_ratio_box right = {i + n, x.a_end, j + n, x.b_end};
    const uint32_t left_side = smaller_side(&left), right_side = smaller_side(&right);
    count_matches(w, i, n);
    w->open = w->open - smaller_side(&x) + left_side + right_side;
    label(w, i, i + n, KVT_NONE);
    /* The side with more rows keeps the number, and with it its labels. */
    const bool left_stays = left.a_end - left.a_begin > right.a_end - right.a_begin;
    const struct kvt_ratio_box *stays = left_stays ? &left : &right,
                               *goes = left_stays ? &right : &left;
    if (smaller_side(stays))
        w->boxes[number] = *stays;
    else
        label(w, stays->a_begin, stays->a_end, KVT_NONE);
    if (smaller_side(goes)) {
        assert(w->n_boxes <= w->shorter);
        label(w, goes->a_begin, goes->a_end, w->n_boxes);
        w->boxes[w->n_boxes++] = *goes;
    } else {
        label(w, goes->a_begin, goes->a_end, KVT_NONE);
    }
}

static bool hopeless(const struct kvt_ratio_work *w)
{
    return w->matches + w->open < w->least;
}

/* ---- Lists of runs ------------------------------------------------------------------------------- */

static void clear_lists(struct kvt_ratio_work *w)
{
    for (uint32_t n = 0; n <= w->shorter; n++)
        w->head[n] = KVT_NONE;
    w->n_runs = 0;
    w->free_run = KVT_NONE;
    w->floor = 2;
    w->longest = 0;
}

/* Throws away the shortest list. (M1) */
static void drop_list(struct kvt_ratio_work *w)
{
    while (w->floor <= w->longest && w->head[w->floor] == KVT_NONE)
        w->floor++;
    assert(w->floor <= w->longest);
    w->runs[w->tail[w->floor]].next = w->free_run;
    w->free_run = w->head[w->floor];
    w->head[w->floor++] = KVT_NONE;
}

static uint32_t new_run(struct kvt_ratio_work *w, uint32_t n)
{
    while (w->free_run == KVT_NONE && w->n_runs == w->room && n >= w->floor)
        drop_list(w);
    if (n < w->floor)
        return KVT_NONE;
    if (w->free_run == KVT_NONE)
        return w->n_runs++;
    const uint32_t run = w->free_run;
    w->free_run = w->runs[run].next;
    return run;
}

/* At the end of the list of its length; or nowhere, when that is below the floor. */
static void add_run(struct kvt_ratio_work *w, uint32_t i, uint32_t j, uint32_t n)
{
    w->longest = n > w->longest ? n : w->longest;
    const uint32_t run = new_run(w, n);
    if (run == KVT_NONE)
        return;
    w->runs[run] = (struct kvt_ratio_run){i, j, KVT_NONE};
    if (w->head[n] == KVT_NONE)
        w->head[n] = run;
    else
        w->runs[w->tail[n]].next = run;
    w->tail[n] = run;
}

static inline uint32_t pair_slot(const struct kvt_ratio_work *w, const uint32_t *codes)
{
    return (codes[0] * UINT32_C(0x9e3779b1) + codes[1] * UINT32_C(0x85ebca6b)) >> w->table_shift;
}

/* Chains the places of b by two codes in a row, ascending: table has the first of each chain. */
static void chain_pairs(struct kvt_ratio_work *w)
{
    const uint32_t *cb = w->code_b;
    memset(w->table, 0xff, ((size_t)w->table_mask + 1) * sizeof *w->table);
    for (uint32_t j = w->n_b; j-- > 0;) {
        if (cb[j] == KVT_RATIO_NOT_IN_B || cb[j + 1] == KVT_RATIO_NOT_IN_B)
            continue;
        const uint32_t slot = pair_slot(w, cb + j);
        w->chain[j] = w->table[slot];
        w->table[slot] = j;
    }
}

/* How long the run from (i, j) on is; 0 when it begins earlier. It ends at the sides of its box. */
static uint32_t run_length(const struct kvt_ratio_work *w, const struct kvt_ratio_box *x,
                           uint32_t i, uint32_t j)
{
    const uint32_t *ca = w->code_a, *cb = w->code_b;
    if (ca[i] != cb[j] || j < x->b_begin || j >= x->b_end)
        return 0;
    if (i > x->a_begin && j > x->b_begin && ca[i - 1] == cb[j - 1])
        return 0;
    const uint32_t rows = x->a_end - i, columns = x->b_end - j;
    const uint32_t most = rows < columns ? rows : columns;
    uint32_t n = 1;
    while (n < most && ca[i + n] == cb[j + n])
        n++;
    return n;
}

/* Pass 1: all maximal runs of at least two in the boxes, in the order of (T1). */
static void list_runs(struct kvt_ratio_work *w)
{
    const uint32_t *ca = w->code_a, *cb = w->code_b;
    clear_lists(w);
    for (uint32_t i = 0; i + 1 < w->n_a; i++) {
        if (ca[i] == KVT_RATIO_NOT_IN_A || ca[i + 1] == KVT_RATIO_NOT_IN_A ||
            w->box_of[i] == KVT_NONE)
            continue;
        const struct kvt_ratio_box *x = &w->boxes[w->box_of[i]];
        for (uint32_t j = w->table[pair_slot(w, ca + i)]; j != KVT_NONE; j = w->chain[j]) {
            const uint32_t n = ca[i + 1] == cb[j + 1] ? run_length(w, x, i, j) : 0;
            if (n > 1)
                add_run(w, i, j, n);
        }
    }
}

/* Is x before y, by (T1)? */
static bool before(const struct kvt_ratio_run *x, const struct kvt_ratio_run *y)
{
    return x->i != y->i ? x->i < y->i : x->j < y->j;
}

static uint32_t merge(struct kvt_ratio_run *runs, uint32_t x, uint32_t y)
{
    uint32_t head = KVT_NONE, last = KVT_NONE;
    while (x != KVT_NONE || y != KVT_NONE) {
        const bool from_x = y == KVT_NONE || (x != KVT_NONE && !before(&runs[y], &runs[x]));
        const uint32_t next = from_x ? x : y;
        *(from_x ? &x : &y) = runs[next].next;
        *(last == KVT_NONE ? &head : &runs[last].next) = next;
        last = next;
    }
    return head;
}

static bool in_order(const struct kvt_ratio_run *runs, uint32_t head)
{
    for (uint32_t next; head != KVT_NONE; head = next) {
        next = runs[head].next;
        if (next != KVT_NONE && before(&runs[next], &runs[head]))
            return false;
    }
    return true;
}

/* Merge sort from below: sorted[k] is a list of 2^k runs, or none. Lists without pieces are in order. */
static uint32_t sort_list(struct kvt_ratio_run *runs, uint32_t head)
{
    uint32_t sorted[32], most = 0;
    if (in_order(runs, head))
        return head;
    while (head != KVT_NONE) {
        uint32_t list = head, k = 0;
        head = runs[head].next;
        runs[list].next = KVT_NONE;
        for (; k < most && sorted[k] != KVT_NONE; k++) {
            list = merge(runs, sorted[k], list);
            sorted[k] = KVT_NONE;
        }
        most = k == most ? most + 1 : most;
        sorted[k] = list;
    }
    uint32_t all = KVT_NONE;
    for (uint32_t k = 0; k < most; k++)
        all = sorted[k] == KVT_NONE ? all : merge(runs, sorted[k], all);
    return all;
}

/* Pieces of at least two elements that a run has in the boxes of today, back on their lists. True,
 * and nothing listed, when the run lies in one box as it is. */
static bool fits_or_cut(struct kvt_ratio_work *w, uint32_t i, uint32_t j, uint32_t n)
{
    const uint32_t end = i + n;
    for (uint32_t row = i; row < end;) {
        if (w->box_of[row] == KVT_NONE) {
            row++;
            continue;
        }
        const struct kvt_ratio_box *x = &w->boxes[w->box_of[row]];
        const uint32_t stop = x->a_end < end ? x->a_end : end;
        uint32_t from = row - i, to = stop - i; /* along the run */
        if (j + from < x->b_begin)
            from = x->b_begin > j ? x->b_begin - j : 0;
        if (j + to > x->b_end)
            to = x->b_end > j ? x->b_end - j : 0;
        if (from == 0 && to == n)
            return true;
        if (from + 1 < to)
            add_run(w, i + from, j + from, to - from);
        row = stop;
    }
    return false;
}

/* Step 2: takes runs, longest first, down to `shortest` and while all of that length are listed. False: hopeless. */
static bool take_runs(struct kvt_ratio_work *w, uint32_t shortest)
{
    for (uint32_t n = w->longest; n >= w->floor && n >= shortest; n--) {
        uint32_t run = sort_list(w->runs, w->head[n]);
        w->head[n] = KVT_NONE;
        while (run != KVT_NONE) {
            const struct kvt_ratio_run now = w->runs[run];
            w->runs[run].next = w->free_run;
            w->free_run = run;
            run = now.next;
            if (!fits_or_cut(w, now.i, now.j, n))
                continue;
            take(w, now.i, now.j, n);
            if (hopeless(w))
                return false;
        }
    }
    return true;
}

/* Step 2 without lists, for runs of n with no longer ones left anywhere: the first by row and column
 * in each box, then on to its right. */
static bool take_length(struct kvt_ratio_work *w, uint32_t n)
{
    const uint32_t *ca = w->code_a, *cb = w->code_b;
    for (uint32_t i = 0; i < w->n_a; i++) {
        if (ca[i] == KVT_RATIO_NOT_IN_A || w->box_of[i] == KVT_NONE)
            continue;
        const struct kvt_ratio_box *x = &w->boxes[w->box_of[i]];
        if (x->a_end - i < n)
            continue;
        for (uint32_t k = w->first[ca[i]], end = w->first[ca[i] + 1]; k < end; k++) {
            const uint32_t j = w->at[k];
            if (j < x->b_begin)
                continue;
            if (j + n > x->b_end)
                break;
            if (memcmp(ca + i, cb + j, n * sizeof *ca) != 0)
                continue;
            take(w, i, j, n);
            if (hopeless(w))
                return false;
            break;
        }
    }
    return true;
}

/* ---- The end ------------------------------------------------------------------------------------- */

static uint32_t common_start(const struct kvt_ratio_work *w, const struct kvt_ratio_box *x)
{
    const uint32_t most = smaller_side(x);
    uint32_t n = 0;
    while (n < most && w->a[x->a_begin + n] == w->b[x->b_begin + n])
        n++;
    return n;
}

/* Step 3 for one box. Columns only rise, within a box and from box to box: so do the cursors. */
static void finish_box(struct kvt_ratio_work *w, struct kvt_ratio_box x, uint32_t *cursor)
{
    for (uint32_t i = x.a_begin; i < x.a_end && x.b_begin < x.b_end;) {
        const uint32_t c = w->code_a[i];
        if (c == KVT_RATIO_NOT_IN_A) {
            i++;
            continue;
        }
        while (cursor[c] < w->first[c + 1] && w->at[cursor[c]] < x.b_begin)
            cursor[c]++;
        if (cursor[c] == w->first[c + 1] || w->at[cursor[c]] >= x.b_end) {
            i++;
            continue;
        }
        uint32_t begin = i, j = w->at[cursor[c]], n = 1;
        while (begin > x.a_begin && j > x.b_begin && w->a[begin - 1] == w->b[j - 1])
            begin--, j--, n++;
        while (begin + n < x.a_end && j + n < x.b_end && w->a[begin + n] == w->b[j + n])
            n++;
        const struct kvt_ratio_box left = {x.a_begin, begin, x.b_begin, j};
        count_matches(w, x.a_begin, n + common_start(w, &left));
        i = x.a_begin = begin + n;
        x.b_begin = j + n;
    }
    count_matches(w, x.a_begin, common_start(w, &x));
}

static bool finish(struct kvt_ratio_work *w)
{
    uint32_t *cursor = w->count; /* no longer needed */
    memcpy(cursor, w->first, w->codes * sizeof *cursor);
    for (uint32_t i = 0; i < w->n_a;) {
        if (w->box_of[i] == KVT_NONE) {
            i++;
            continue;
        }
        const struct kvt_ratio_box x = w->boxes[w->box_of[i]];
        finish_box(w, x, cursor);
        w->open -= smaller_side(&x);
        if (hopeless(w))
            return false;
        i = x.a_end;
    }
    return true;
}

bool kvt_ratio_match(struct kvt_ratio_work *w)
{
    chain_pairs(w);
    first_box(w);
    do {
        list_runs(w);
        const uint32_t listed_from = w->floor;
        if (w->longest < 2)
            break;
        if (w->floor > w->longest ? !take_length(w, w->longest) : !take_runs(w, 2))
            return false;
        /* Cutting may have raised the floor as well: then there is more to find. */
        if (listed_from == 2 && w->floor == 2)
            break;
    } while (true);
    return finish(w);
}

/* The box that reaches to both ends, as a tail; how much could match in it. */
static uint32_t add_tail(struct kvt_ratio_work *w)
{
    const uint32_t number = w->box_of[w->n_a - 1];
    const struct kvt_ratio_box none = {w->n_a, w->n_a, w->n_b, w->n_b};
    const struct kvt_ratio_box x = number == KVT_NONE ? none : w->boxes[number];
    assert(x.a_end == w->n_a && x.b_end == w->n_b);
    w->tails[w->n_tails].from = x.a_begin;
    w->tails[w->n_tails++].matches = 0;
    return smaller_side(&x);
}

void kvt_ratio_match_prefix(struct kvt_ratio_work *w, struct kvt_ratio_cut by_run[KVT_RATIO_RUNS])
{
    uint32_t n = KVT_RATIO_RUNS;
    chain_pairs(w);
    first_box(w);
    list_runs(w);
    while (n-- > 2) {
        take_runs(w, n);
        by_run[n].most = add_tail(w);
        by_run[n].row = w->tails[w->n_tails - 1].from;
    }
    finish(w);
    for (uint32_t k = 0; k < w->n_tails; k++)
        by_run[KVT_RATIO_RUNS - 1 - k].most += (uint32_t)(w->matches - w->tails[k].matches);
    by_run[0] = by_run[1] = by_run[2];
    for (n = 0; n < KVT_RATIO_RUNS && w->floor > 2; n++)
        by_run[n] = (struct kvt_ratio_cut){w->shorter, 0}; /* not all runs were there at once */
}
