/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cut.h - from a trace's blocks to the cache's: which keys a record has.
 *
 * With trace blocks of T tokens and cache blocks of C:
 *
 *      T = 4C   id    7          0 1 2 3        part j of id b is b * 4 + j
 *               cut   28 29 30 31
 *      C = 2T   ids   3 4 | 5 6                 a pair is named by its last id, which stands for all before
 *               cut     4 |   6
 *
 * Keys cover, in blocks of C: prompt and output, full blocks only; or with partial blocks the prompt, the last
 * one perhaps partial. Parts of a trace's partial block that are full by themselves take the id that the trace
 * gave the full block, where it names the output as well, else the tail's.
 */
#ifndef WL_CUT_H
#define WL_CUT_H

#include "record.h"

struct wl_cut {
    uint32_t trace_tokens, block_tokens;
    bool partial_blocks;
    const kvt_key *keys; /* ids index this; NULL: kvt_key_of_id */
};

/* Returns NULL when the sizes divide one another, else what was expected. */
const char *wl_cut_check(const struct wl_cut *cut);

/* The largest id that can be cut without two parts meeting. */
uint64_t wl_cut_id_most(const struct wl_cut *cut);

/* Writes the record's keys in ns to keys[0 .. n) and returns n. NULL keys: only counts. There are at most
 * (prompt + output) / block_tokens + 1. */
uint32_t wl_cut_keys(const struct wl_cut *cut, const struct wl_record *record,
                     const struct kvt_namespace *ns, kvt_key *keys);

#endif
