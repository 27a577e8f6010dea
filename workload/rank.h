/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rank.h - a set of slots 0, 1, 2, ... that answers "how many are below s?", and moves runs of them fast.
 *
 *      words     64 slots each, one bit a slot
 *      lines     8 words, 512 slots, 64 bytes: one line of the processor's cache
 *      tree      a Fenwick tree (Fenwick, Softw. Pract. Exper. 24(3), 1994) over the lines' counts
 *
 * A rank is a walk of log2(slots / 512) steps in the tree and at most 8 counts of bits. Setting or clearing a
 * run of n neighbours is a mask per word and one walk per line: n / 512 walks, not n.
 *
 *   (K1) rank(s) is the number of members below s.
 */
#ifndef WL_RANK_H
#define WL_RANK_H

#include "../core/types.h"

struct wl_rank {
    uint64_t *words;
    uint32_t *tree; /* [0] unused */
    uint64_t n_lines;
};

enum { WL_RANK_LINE = 512 };

/* Room for n slots, none of them members. Returns 0, or -ENOMEM with nothing to release. */
KVT_MUST_CHECK int wl_rank_init(struct wl_rank *rank, uint64_t n);
void wl_rank_release(struct wl_rank *rank);

static inline uint64_t wl_rank_slots(const struct wl_rank *rank)
{
    return rank->n_lines * WL_RANK_LINE;
}

/* How many members are below slot; slot <= wl_rank_slots. */
uint32_t wl_rank(const struct wl_rank *rank, uint64_t slot);

/* Slots first .. first + n - 1: none is a member; then all are. And back. */
void wl_rank_set(struct wl_rank *rank, uint64_t first, uint64_t n);
void wl_rank_clear(struct wl_rank *rank, uint64_t first, uint64_t n);

static inline bool wl_rank_has(const struct wl_rank *rank, uint64_t slot)
{
    return rank->words[slot / 64] >> (slot % 64) & 1;
}

/* At least n slots, members as they are. Returns 0, or -ENOMEM with nothing changed. */
KVT_MUST_CHECK int wl_rank_grow(struct wl_rank *rank, uint64_t n);

/* Moves all members together, to 0 .. members - 1, in order: first each owner of a member asks
 * wl_rank_packed for its new slot, between wl_rank_pack_begin and wl_rank_pack_end, where nothing else may
 * be called. One look-up in a table instead of a walk. */
void wl_rank_pack_begin(struct wl_rank *rank);
uint32_t wl_rank_packed(const struct wl_rank *rank, uint64_t slot); /* members below slot */
void wl_rank_pack_end(struct wl_rank *rank);

#endif
