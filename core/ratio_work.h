/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ratio_work.h - one comparison at work: what ratio.c prepares and ratio_match.c uses up.
 */
#ifndef KVT_RATIO_WORK_H
#define KVT_RATIO_WORK_H

#include "ratio.h"

/* Codes that equal nothing on the other side. */
#define KVT_RATIO_NOT_IN_A UINT32_MAX
#define KVT_RATIO_NOT_IN_B (UINT32_MAX - 1)

struct kvt_ratio_box {
    uint32_t a_begin, a_end, b_begin, b_end;
};

struct kvt_ratio_run {
    uint32_t i, j, next;
};

/* One comparison; all arrays lie in the words of struct kvt_ratio. */
struct kvt_ratio_work {
    const uint32_t *a, *b;
    uint32_t n_a, n_b, shorter;
    const uint32_t *marks; /* a bit per element of b, 0: popular; NULL: to be counted */
    /* coding */
    uint32_t *table, table_shift, table_mask;
    uint32_t *element, *count, *first; /* per code; first[codes] is the end of the last */
    uint32_t codes;
    bool direct;     /* elements are codes */
    uint32_t *at;    /* positions in b of each unpopular code, ascending */
    uint32_t *chain; /* the next place in b with the same two codes, or another of its slot */
    uint32_t *code_a, *code_b; /* with one element that equals nothing before and behind */
    /* runs */
    uint32_t *head, *tail; /* lists by length, 0 .. shorter */
    struct kvt_ratio_run *runs;
    uint32_t n_runs, room, free_run;
    uint32_t floor, longest; /* (M1); longest: of lists and of what was thrown away */
    /* boxes */
    struct kvt_ratio_box *boxes;
    uint32_t n_boxes;
    uint32_t *box_of;
    uint64_t matches, open, least;
    struct {
        uint32_t from;
        uint64_t matches; /* of rows from there on, since it was added */
    } tails[KVT_RATIO_RUNS];
    uint32_t n_tails;
};

/* Finds the matches, step by step; true, and their number in w->matches, or false when w->least
 * cannot be reached. The codes are placed. */
bool kvt_ratio_match(struct kvt_ratio_work *w);

/* See kvt_ratio_prefix. w->least is 0, and both have elements. */
void kvt_ratio_match_prefix(struct kvt_ratio_work *w, struct kvt_ratio_cut by_run[KVT_RATIO_RUNS]);

/* Both sequences at most so long, with elements of b below 256: true, and the number of matches, at once. False:
 * they are not. */
enum { KVT_RATIO_SHORT = 64 };
bool kvt_ratio_short(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b,
                     uint32_t *matches);

#endif
