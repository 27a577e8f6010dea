/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc.c - see mrc.h. A prompt is walked twice: for the prefix ways as it finds the order of use, before any of
 * its blocks moves; for the flat way block by block, while they move.
 *
 * Flat. When the first block of a piece has moved to the front, the next one has one block less behind its old
 * slot and one more at the front: all blocks of a piece have the depth of the first.
 */
#include "mrc.h"

#include "record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const wl_mrc_ways[WL_MRC_WAYS] = {"flat", "head", "leaf"};

/* ---- Counting --------------------------------------------------------------------------------- */

void wl_mrc_tally_release(struct wl_mrc_tally *tally)
{
    for (int way = 0; way < WL_MRC_WAYS; way++)
        wl_curve_release(&tally->curves[way]);
    *tally = (struct wl_mrc_tally){0};
}

void wl_mrc_tally_seal(struct wl_mrc_tally *tally)
{
    for (int way = 0; way < WL_MRC_WAYS; way++)
        wl_curve_seal(&tally->curves[way]);
}

static int count(struct wl_curve *curve, uint64_t at, uint64_t n, uint32_t short_tokens)
{
    const int status = wl_curve_step(curve, at, n);
    return status == 0 && short_tokens != 0 ? wl_curve_short(curve, at, short_tokens) : status;
}

int wl_mrc_tally_flat(struct wl_mrc_tally *tally, uint64_t depth, uint64_t n, uint32_t short_tokens)
{
    return count(&tally->curves[WL_MRC_FLAT], depth, n, short_tokens);
}

/* Depths rise along the piece: what lies below the walk's maximum needs that, the rest is a ramp. */
static int count_leaf(struct wl_mrc_tally *tally, struct wl_mrc_walk *walk, uint64_t depth,
                      uint64_t n, uint32_t short_tokens)
{
    struct wl_curve *curve = &tally->curves[WL_MRC_LEAF];
    const uint64_t covered = walk->leaf < depth ? 0 : walk->leaf - depth + 1;
    const uint64_t low = covered < n ? covered : n;
    int status = low > 0 ? wl_curve_step(curve, walk->leaf, low) : 0;
    if (status == 0 && low < n) {
        status = wl_curve_ramp(curve, depth + low, n - low);
        walk->leaf = depth + n - 1;
    }
    return status == 0 && short_tokens != 0 ? wl_curve_short(curve, walk->leaf, short_tokens)
                                            : status;
}

int wl_mrc_tally_piece(struct wl_mrc_tally *tally, struct wl_mrc_walk *walk, uint64_t after,
                       uint64_t own_head, uint64_t own_leaf, uint64_t n, uint32_t short_tokens)
{
    /* In head order depths fall along the piece: the first one is the deepest. */
    if (walk->head < after + own_head)
        walk->head = after + own_head;
    const int status = count(&tally->curves[WL_MRC_HEAD], walk->head, n, short_tokens);
    return status == 0 ? count_leaf(tally, walk, after + own_leaf, n, short_tokens) : status;
}

struct wl_mrc_hits wl_mrc_tally_hits(const struct wl_mrc_tally *tally, enum wl_mrc_way way,
                                     uint64_t capacity, uint32_t block_tokens)
{
    const struct wl_hits hits = wl_curve_at(&tally->curves[way], capacity);
    return (struct wl_mrc_hits){hits.blocks, hits.blocks * block_tokens - hits.short_tokens};
}

/* ---- One pass --------------------------------------------------------------------------------- */

/* The tally of the prompt's tenant. NULL: no memory. */
static struct wl_mrc_tally *tally_of(struct wl_mrc *mrc, const struct wl_chain *p)
{
    const size_t before = mrc->n_tenants;
    if (wl_grow(&mrc->tenants, &mrc->n_tenants, (size_t)p->tenant + 1, sizeof mrc->tenants[0]) != 0)
        return NULL;
    memset(mrc->tenants + before, 0, (mrc->n_tenants - before) * sizeof mrc->tenants[0]);
    struct wl_mrc_tally *tally = &mrc->tenants[p->tenant];
    tally->prompts++;
    tally->prompt_tokens += p->tokens;
    tally->blocks += p->n_blocks;
    return tally;
}

/* The piece at block i of a run; tokens that its last block lacks if it is the prompt's. */
struct at {
    const struct wl_run *run;
    uint32_t i;     /* in the run */
    uint32_t block; /* in the prompt */
};

static uint32_t short_of(const struct wl_chain *p, const struct at *at,
                         const struct wl_piece *piece)
{
    return at->block + piece->n == p->n_blocks ? p->short_tokens : 0;
}

static bool ended(const struct wl_chain *p, const struct at *at)
{
    return at->block == p->n_blocks;
}

static void step(struct at *at, uint32_t n)
{
    at->block += n;
    at->i += n;
    if (at->i == at->run->n) {
        at->run++;
        at->i = 0;
    }
}

/* Up to the first block that nobody used before. */
static int count_prefix(struct wl_mrc *mrc, const struct wl_chain *p, struct wl_mrc_tally *tally)
{
    struct wl_mrc_walk walk = {0};
    struct at at = {.run = p->runs};
    int status = 0;
    while (!ended(p, &at) && status == 0) {
        const struct wl_piece piece =
            wl_recency_look(&mrc->recency, at.run->first + at.i, at.run->n - at.i);
        if (!piece.seen)
            break;
        const struct wl_depth d = wl_recency_depth(&mrc->recency, &piece);
        status = wl_mrc_tally_piece(tally, &walk, d.after, d.head, d.leaf, piece.n,
                                    short_of(p, &at, &piece));
        step(&at, piece.n);
    }
    return status;
}

static int use(struct wl_mrc *mrc, const struct wl_chain *p, struct wl_mrc_tally *tally)
{
    const uint32_t open = wl_recency_open(&mrc->recency);
    struct at at = {.run = p->runs};
    int status = 0;
    while (!ended(p, &at) && status == 0) {
        const uint32_t first = at.run->first + at.i;
        const struct wl_piece piece = wl_recency_look(&mrc->recency, first, at.run->n - at.i);
        if (piece.seen) {
            const uint32_t depth = wl_recency_head(&mrc->recency, &piece);
            status = wl_mrc_tally_flat(tally, depth, piece.n, short_of(p, &at, &piece));
            mrc->repeated_blocks += piece.prompt == open ? piece.n : 0;
        }
        wl_recency_use(&mrc->recency, first, &piece, at.block);
        step(&at, piece.n);
    }
    return status;
}

int wl_mrc_add(struct wl_mrc *mrc, const struct wl_chain *p, uint32_t numbers)
{
    struct wl_mrc_tally *tally = tally_of(mrc, p);
    if (tally == NULL)
        return -ENOMEM;
    if (p->n_blocks == 0)
        return 0;
    if (p->n_blocks > mrc->longest_blocks)
        mrc->longest_blocks = p->n_blocks;
    int status = wl_recency_begin(&mrc->recency, numbers, p->n_blocks, 0);
    if (status == 0)
        status = count_prefix(mrc, p, tally);
    return status == 0 ? use(mrc, p, tally) : status;
}

int wl_mrc_seal(struct wl_mrc *mrc)
{
    int status = 0;
    for (size_t i = 0; i < mrc->n_tenants; i++) {
        struct wl_mrc_tally *t = &mrc->tenants[i];
        mrc->all.prompts += t->prompts;
        mrc->all.prompt_tokens += t->prompt_tokens;
        mrc->all.blocks += t->blocks;
        for (int way = 0; way < WL_MRC_WAYS && status == 0; way++)
            status = wl_curve_add(&mrc->all.curves[way], &t->curves[way]);
        wl_mrc_tally_seal(t);
    }
    wl_mrc_tally_seal(&mrc->all);
    return status;
}

void wl_mrc_release(struct wl_mrc *mrc)
{
    wl_mrc_tally_release(&mrc->all);
    for (size_t i = 0; i < mrc->n_tenants; i++)
        wl_mrc_tally_release(&mrc->tenants[i]);
    free(mrc->tenants);
    wl_recency_release(&mrc->recency);
    *mrc = (struct wl_mrc){0};
}
