/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * runs.h - the contiguous pieces of a part of a pool, in the order of the packed layout.
 *
 * Within a plane (K or V of a layer) tokens of one page lie side by side, so a part falls into
 * one run per plane and page: page_tokens rows, fewer at both ends.
 *
 *      struct k_run run;
 *      for (bool more = k_run_first(&run, g, part); more; more = k_run_next(&run, g, part))
 *          ... run.pool_b, run.packed_b, run.b ...
 */
#ifndef K_RUNS_H
#define K_RUNS_H

#include "kernels.h"

#include <stdbool.h>

struct k_run {
    uint32_t plane; /* 2 * layer, plus 1 for V */
    uint32_t token; /* first of the run, in the block */
    uint32_t tokens;
    size_t pool_b, packed_b; /* where it begins */
    size_t b;                /* its length */
};

/* Places the run that begins at run->token of run->plane. */
static inline void k_run_place(struct k_run *run, const struct k_geometry *g,
                               const struct k_part *part)
{
    uint32_t index = run->token / g->page_tokens, slot = run->token % g->page_tokens;
    uint32_t left = part->first_token + part->tokens - run->token;
    size_t page = (size_t)run->plane * g->pages + part->pages[index];
    run->tokens = g->page_tokens - slot < left ? g->page_tokens - slot : left;
    run->pool_b = (page * g->page_tokens + slot) * k_row_b(g);
    run->b = run->tokens * k_row_b(g);
}

/* False when there is none. */
static inline bool k_run_first(struct k_run *run, const struct k_geometry *g,
                               const struct k_part *part)
{
    if (part->layers == 0 || part->tokens == 0)
        return false;
    run->plane = 2 * part->layer0;
    run->token = part->first_token;
    run->packed_b = 0;
    k_run_place(run, g, part);
    return true;
}

static inline bool k_run_next(struct k_run *run, const struct k_geometry *g,
                              const struct k_part *part)
{
    run->packed_b += run->b;
    run->token += run->tokens;
    if (run->token == part->first_token + part->tokens) {
        run->token = part->first_token;
        if (++run->plane == 2 * (part->layer0 + part->layers))
            return false;
    }
    k_run_place(run, g, part);
    return true;
}

#endif
