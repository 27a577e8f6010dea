/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * number.h - a trace's blocks as small dense numbers, in runs: what a laboratory of caches works on.
 *
 * A cache's identity of a block is a 128-bit key. Whoever only asks which blocks are equal needs less: ids of
 * the trace are numbered in order of appearance, and a block cut finer than the trace's takes a number of its
 * own beside its neighbours:
 *
 *      trace's id   7            -> k, the how-manieth id
 *      cut in 4     7.0 7.1 ...  -> 4k, 4k + 1, 4k + 2, 4k + 3
 *
 * What a prompt adds to all that came before gets consecutive numbers, however long it is. So a prompt is a few
 * runs of consecutive numbers, and a trace of nine million look-ups is some ten thousand runs.
 *
 *   (N1) Two blocks have one number exactly when wl_cut_keys (cut.h) gives them one key, with partial_blocks,
 *        and with or without a namespace per tenant.
 *   (N2) A prompt has as many blocks as wl_cut_keys gives keys. Blocks of output have none.
 */
#ifndef WL_NUMBER_H
#define WL_NUMBER_H

#include "intern.h"
#include "record.h"

struct wl_run {
    uint32_t first, n; /* first, first + 1, ... first + n - 1; n > 0 */
};

/* A prompt's blocks, in order. */
struct wl_chain {
    kvt_ns at_ns;
    uint32_t tokens; /* of the prompt */
    uint32_t tenant;
    uint32_t n_blocks;
    uint32_t short_tokens; /* that the last block lacks to be full; 0 without blocks */
    uint32_t n_runs;
    const struct wl_run *runs; /* borrowed until the next call on the numbering */
};

/* Zero-initialise, then wl_numbering_init; wl_numbering_release frees. */
struct wl_numbering {
    struct wl_intern ids;
    uint32_t ratio, block_tokens, trace_tokens;
    bool tenant_salts;
    struct wl_run *runs;
    size_t room;
    uint32_t guess; /* private: the number behind the last one */
};

/* For a source's blocks. Returns 0, or -EINVAL when block_tokens does not divide trace_block_tokens. */
KVT_MUST_CHECK int wl_numbering_init(struct wl_numbering *numbering, const struct wl_info *info,
                                     bool tenant_salts);
void wl_numbering_release(struct wl_numbering *numbering);

/* Numbers a record's prompt blocks. Returns 0; -ENOMEM; or -EFBIG beyond 2^31 numbers. */
KVT_MUST_CHECK int wl_number(struct wl_numbering *numbering, const struct wl_record *record,
                             struct wl_chain *prompt);

/* How many blocks wl_number would give; gives none. */
uint32_t wl_number_count(const struct wl_numbering *numbering, const struct wl_record *record);

/* Numbers given out so far: all are below this. */
static inline uint32_t wl_numbers(const struct wl_numbering *numbering)
{
    return (uint32_t)numbering->ids.n * numbering->ratio;
}

#endif
