/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * anchors.h - how much of a sequence can match another at all, where most of its elements are popular.
 *
 * In a text of 200 elements or more nearly every letter is popular (ratio.h, T2). What is left, a dozenth
 * of English, are the *anchors* of b: a run begins at one, and grows over popular elements only from
 * there. So every match of b either holds an anchor, or is what (T3) finds: the common start of both
 * sequences, before the first anchor. (Anywhere else the corner of a part is the end of a run, which
 * stopped because the next two elements differ.)
 *
 *      b:   p o p u l A r  o n  e s  B  p o p u l a r
 *                     |<-- x -->|<-y>|                  x: A and what follows, as far as a has it
 *                                                       y: B and what precedes, as far as a has it
 *
 * Of the popular elements between two anchors no more can match than the longest x and the longest y in all
 * of a reach over; an anchor that a lacks matches not at all. What is left between is lost, whatever is
 * matched elsewhere, and
 *
 *      M <= n_b - lost
 *
 * Whether a has a given piece is asked of a filter that holds all its pieces of up to six elements, forwards
 * and backwards, by hash: it may say yes wrongly, never no. A piece of six is taken to go on for ever.
 *
 * Says something about one text behind one template, where letters, grams and lengths are all alike; about
 * sequences without popular elements nothing.
 */
#ifndef KVT_ANCHORS_H
#define KVT_ANCHORS_H

#include "alloc.h"

/* The pieces of one sequence a, and what marking another needs to count with. */
struct kvt_anchors {
    /* private: */
    const struct kvt_alloc *alloc;
    uint64_t *pieces; /* two filters: forwards, backwards */
    struct kvt_anchors_count *counts;
};

/* 0 or -ENOMEM with nothing to release. alloc is borrowed. 76 KiB. */
KVT_MUST_CHECK int kvt_anchors_init(struct kvt_anchors *s, const struct kvt_alloc *alloc);
void kvt_anchors_release(struct kvt_anchors *s); /* a zeroed one is fine */
size_t kvt_anchors_memory_b(const struct kvt_anchors *s);

/* Words that the marks of n elements take: a bit for each. */
static inline uint32_t kvt_anchors_words(uint32_t n)
{
    return n / 32 + 1;
}
/* Marks the anchors of b, kvt_anchors_words(n_b) words. An element that is popular may be marked as well, if not
 * *exact; one that is not always is. False, with undefined marks: nothing is known to be popular; *exact:
 * nothing is. */
bool kvt_anchors_mark(struct kvt_anchors *s, const uint32_t *b, uint32_t n_b, uint32_t *marks,
                      bool *exact);

/* Takes the pieces of a, until the next call. a is not kept. */
void kvt_anchors_ask(struct kvt_anchors *s, const uint32_t *a, uint32_t n_a);

/* How many elements of b from b[from] on cannot match the sequence asked about; when they are more than `most`,
 * any number above `most`. From the end of b on: what tells prompts apart is mostly there. marks NULL: nothing is
 * popular, and lost is what a lacks. */
uint32_t kvt_anchors_lost(const struct kvt_anchors *s, const uint32_t *b, uint32_t n_b,
                          const uint32_t *marks, uint32_t from, uint32_t most);

/* How long a run of b, anchors only, is at most that ends beyond b[from] and that the sequence asked about has;
 * KVT_ANCHORS_PIECE: that, or longer. */
enum { KVT_ANCHORS_PIECE = 6 };
uint32_t kvt_anchors_run(const struct kvt_anchors *s, const uint32_t *b, uint32_t n_b,
                         const uint32_t *marks, uint32_t from);

/* The same of the run that begins at b[j]. */
uint32_t kvt_anchors_run_at(const struct kvt_anchors *s, const uint32_t *b, uint32_t n_b,
                            const uint32_t *marks, uint32_t j);

#endif
