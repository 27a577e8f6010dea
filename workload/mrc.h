/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc.h - how many blocks of all prompts does a cache under LRU find, for every capacity, in one pass?
 *
 * Under LRU a larger cache holds all that a smaller one holds (Mattson et al. 1970): a block that lies d deep in
 * the order of last use is found by every cache of at least d blocks, and by no smaller one. Three ways to
 * count, all exact at every capacity:
 *
 *   flat   each block is a look-up of its own, in prompt order, hit or miss by itself. This is what cache
 *          simulators compute. No engine can use a block behind a hole, so it is too high for prompts.
 *   head   as a prefix cache counts: all blocks of a prompt are looked up when it arrives, and those before
 *          the first miss are hits; then all are used, the first one first, so that heads leave first.
 *   leaf   the same, but used from the last to the first: the ends of chains leave first, as in paged engines.
 *
 * For the prefix ways: block i is a hit at capacity c when blocks 0 .. i all lie at most c deep at the moment
 * that the prompt arrives; it needs the maximum of their depths. What the prompt's own blocks do afterwards
 * cannot change it. The cache after the prompt holds the c most recent blocks again, whether they were taken
 * one by one or all at once, so depths of the next prompt are right too. That holds for capacities of at least
 * the longest prompt; a smaller cache of an engine refuses such a prompt altogether, and here it keeps
 * what the order of use leaves.
 *
 * Cost: blocks that were last used side by side stay side by side (recency.h), so a prompt costs a few look-ups
 * per piece and not per block; and what its pieces need is a step or a ramp (curve.h), not a count per block.
 *
 * mrc_sample.h does the same from a sample of the sessions.
 */
#ifndef WL_MRC_H
#define WL_MRC_H

#include "curve.h"
#include "number.h"
#include "recency.h"

enum wl_mrc_way { WL_MRC_FLAT, WL_MRC_HEAD, WL_MRC_LEAF, WL_MRC_WAYS };

/* "flat", "head", "leaf". */
extern const char *const wl_mrc_ways[WL_MRC_WAYS];

/* ---- Counting --------------------------------------------------------------------------------- */

/* What some prompts add up to. Zero-initialised is nothing. */
struct wl_mrc_tally {
    uint64_t prompts, prompt_tokens, blocks;
    struct wl_curve curves[WL_MRC_WAYS];
};

void wl_mrc_tally_release(struct wl_mrc_tally *tally);
void wl_mrc_tally_seal(struct wl_mrc_tally *tally);

/* How far a prompt's blocks need a cache to go, up to the block that was looked at last. */
struct wl_mrc_walk {
    uint64_t head, leaf;
};

/* n blocks at the end of what walk has seen, in neighbouring slots, the first of them `after` blocks of later
 * prompts deep and then own_head and own_leaf of its own prompt's: counts them as the two prefix ways do. The
 * last of them lacks short_tokens. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_mrc_tally_piece(struct wl_mrc_tally *tally, struct wl_mrc_walk *walk,
                                      uint64_t after, uint64_t own_head, uint64_t own_leaf,
                                      uint64_t n, uint32_t short_tokens);
/* n blocks that need so much when each is a look-up of its own. */
KVT_MUST_CHECK int wl_mrc_tally_flat(struct wl_mrc_tally *tally, uint64_t depth, uint64_t n,
                                     uint32_t short_tokens);

/* Hits of a cache of so many blocks. The tally is sealed. */
struct wl_mrc_hits {
    uint64_t blocks, tokens;
};
struct wl_mrc_hits wl_mrc_tally_hits(const struct wl_mrc_tally *tally, enum wl_mrc_way way,
                                     uint64_t capacity, uint32_t block_tokens);

/* ---- One pass --------------------------------------------------------------------------------- */

/* Zero-initialised is empty. */
struct wl_mrc {
    struct wl_mrc_tally all;      /* once sealed */
    struct wl_mrc_tally *tenants; /* by number */
    size_t n_tenants;
    uint32_t longest_blocks;  /* the longest prompt */
    uint64_t repeated_blocks; /* named for the second time by a prompt: no chain does that */
    struct wl_recency recency;
};

/* The next prompt; all its numbers are below `numbers`, which never falls. Returns 0, -ENOMEM or -EFBIG; the
 * counts are void after a failure. */
KVT_MUST_CHECK int wl_mrc_add(struct wl_mrc *mrc, const struct wl_chain *prompt, uint32_t numbers);
/* No more prompts: adds up the tenants, and the tallies can be asked. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_mrc_seal(struct wl_mrc *mrc);
void wl_mrc_release(struct wl_mrc *mrc);

/* Distinct blocks of all prompts. */
static inline uint32_t wl_mrc_distinct(const struct wl_mrc *mrc)
{
    return wl_recency_live(&mrc->recency);
}

#endif
