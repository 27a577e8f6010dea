/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * recency.h - all blocks in order of their last use, and how deep in that order a block lies: an LRU stack
 * (Mattson, Gecsei, Slutz, Traiger, IBM Systems Journal 9(2), 1970) that takes whole runs of blocks at once.
 *
 * Time is a row of slots. A prompt of n blocks gets the next n of them, block i the i-th; a block lives in the
 * slot of its last use, and the set of slots in use (rank.h) tells how many lie behind it:
 *
 *           |   prompt 1    |      prompt 2         |  prompt 3  |
 *      slot  . . . . 4 5 6 7 . . . 11 12 13 14 15 16 17 18 19 20      . : its block was used again since
 *                                                                     the most recent is slot 20
 *
 * One such row serves two orders, which differ only in how a prompt's own blocks lie behind one another:
 *
 *      head order   the prompt's first block is used first, hence is the deepest of its prompt
 *      leaf order   its last block is used first, hence is the deepest: ends of chains leave first
 *
 * With L slots in use, l(s) of them below s, and a block in slot s of a prompt that has slots b .. e - 1:
 *
 *      depth in head order = L - l(s)                             1 is the most recent
 *      depth in leaf order = L - l(e) + l(s) - l(b) + 1
 *
 * A piece, that is blocks in neighbouring slots of one prompt, needs that once: along it depths fall by one in
 * head order and rise by one in leaf order.
 *
 * Slots run out; then those in use are moved together, in order, and depths stay what they are. That happens
 * when less than half are in use, otherwise the row is made twice as long: its cost is constant per slot.
 *
 *   (Y1) A block that was used has exactly one slot, and that slot is in the set; no other slot is.
 *   (Y2) Slots of one prompt are neighbours but for those left since; later prompts have higher slots.
 *
 * A chain never names a block twice. Where a prompt does, the block lives in the slot of its last naming, in
 * both orders.
 */
#ifndef WL_RECENCY_H
#define WL_RECENCY_H

#include "rank.h"

/* A prompt that has slots, and what its owner keeps with it. */
struct wl_recency_prompt {
    uint32_t begin; /* its first slot; its end is where the next begins */
    uint64_t stamp; /* the owner's */
};

struct wl_recency {
    /* private: */
    struct wl_rank set;
    uint32_t *last; /* by block: slot + 1; 0: never used */
    size_t n_last;
    struct wl_recency_prompt *prompts;
    size_t n_prompts, room;
    uint32_t *hints; /* by line of slots (rank.h): the prompt that has its first slot */
    size_t n_hints;
    uint32_t next; /* slot */
    uint32_t live; /* slots in use: distinct blocks so far */
};

/* Neighbours in one prompt, or blocks never used. */
struct wl_piece {
    uint32_t n;
    bool seen;       /* the rest means something only then */
    uint32_t slot;   /* of its first block */
    uint32_t prompt; /* number of the prompt it was last used by */
};

/* Zero-initialised is empty. */
void wl_recency_release(struct wl_recency *recency);

/* Opens a prompt of n blocks whose numbers are below numbers. Slots of earlier pieces are void. The
 * stamp is the owner's and can be read back with wl_recency_stamp. Returns 0; -ENOMEM or -EFBIG (2^32 slots),
 * nothing changed. */
KVT_MUST_CHECK int wl_recency_begin(struct wl_recency *recency, uint32_t numbers, uint32_t n,
                                    uint64_t stamp);

/* The longest piece at the beginning of blocks first .. first + n - 1, n > 0. */
struct wl_piece wl_recency_look(const struct wl_recency *recency, uint32_t first, uint32_t n);

/* Depth of a seen piece's first block in head order, 1 for the most recent. */
uint32_t wl_recency_head(const struct wl_recency *recency, const struct wl_piece *piece);

/* The same in parts. */
struct wl_depth {
    uint32_t after; /* blocks of prompts after the piece's */
    uint32_t head; /* of its own prompt, down to the piece's first block (with it), in head order */
    uint32_t leaf; /* in leaf order */
};
struct wl_depth wl_recency_depth(const struct wl_recency *recency, const struct wl_piece *piece);

/* Uses the blocks of a piece that wl_recency_look just gave for `first`: they move into the open prompt, as its
 * blocks at .. at + piece->n - 1. Prompts are used from block 0 on, without gaps. */
void wl_recency_use(struct wl_recency *recency, uint32_t first, const struct wl_piece *piece,
                    uint32_t at);

/* Of the prompt that used the piece last. */
static inline uint64_t wl_recency_stamp(const struct wl_recency *recency,
                                        const struct wl_piece *piece)
{
    return recency->prompts[piece->prompt].stamp;
}

/* The open prompt's number: a piece that has it names a block for the second time. */
static inline uint32_t wl_recency_open(const struct wl_recency *recency)
{
    return (uint32_t)recency->n_prompts - 1;
}

static inline uint32_t wl_recency_live(const struct wl_recency *recency)
{
    return recency->live;
}

/* Walks everything; true, or false with a sentence in why. For tests. */
bool wl_recency_check(const struct wl_recency *recency, char *why, size_t size);

#endif
