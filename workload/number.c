/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * number.c - see number.h. A look-up per id of the trace, none per block.
 */
#include "number.h"

#include <errno.h>
#include <stdlib.h>

enum { NUMBERS_SHIFT = 31 };

int wl_numbering_init(struct wl_numbering *numbering, const struct wl_info *info, bool tenant_salts)
{
    if (info->block_tokens == 0 || info->trace_block_tokens % info->block_tokens != 0)
        return -EINVAL;
    *numbering = (struct wl_numbering){.ratio = info->trace_block_tokens / info->block_tokens,
                                       .block_tokens = info->block_tokens,
                                       .trace_tokens = info->trace_block_tokens,
                                       .tenant_salts = tenant_salts};
    return 0;
}

void wl_numbering_release(struct wl_numbering *numbering)
{
    wl_intern_release(&numbering->ids);
    free(numbering->runs);
    *numbering = (struct wl_numbering){0};
}

/* Parts from .. from + parts of an id go to the end of the prompt. */
static int add(struct wl_numbering *n, const struct wl_record *r, struct wl_chain *prompt,
               uint64_t id, uint32_t from, uint32_t parts)
{
    const kvt_key key = {.hi = n->tenant_salts ? (uint64_t)r->tenant + 1 : 0, .lo = id};
    /* Ids that once came one after the other mostly do so again: then no table has to be asked. */
    uint32_t index = n->guess;
    const int status = index < n->ids.n && kvt_key_equal(n->ids.keys[index], key)
                           ? 0
                           : wl_intern(&n->ids, key, &index, NULL);
    if (status != 0)
        return status;
    n->guess = index + 1;
    if (((uint64_t)index + 1) * n->ratio > UINT64_C(1) << NUMBERS_SHIFT)
        return -EFBIG;
    const uint32_t first = index * n->ratio + from;
    prompt->n_blocks += parts;
    if (prompt->n_runs > 0) {
        struct wl_run *last = &n->runs[prompt->n_runs - 1];
        if (last->first + last->n == first) {
            last->n += parts;
            return 0;
        }
    }
    if (wl_grow(&n->runs, &n->room, (size_t)prompt->n_runs + 1, sizeof n->runs[0]) != 0)
        return -ENOMEM;
    n->runs[prompt->n_runs++] = (struct wl_run){first, parts};
    return 0;
}

/* Prompt blocks: full ones that ids name, and all. */
struct extent {
    uint32_t by_ids, all, tail_begin;
};

static struct extent extent_of(const struct wl_numbering *n, const struct wl_record *r)
{
    const uint32_t full = r->prompt_tokens / n->block_tokens;
    const uint64_t named = (uint64_t)r->n_ids * n->ratio;
    struct extent e = {.by_ids = named < full ? (uint32_t)named : full,
                       .tail_begin = r->prompt_tokens / n->trace_tokens * n->ratio};
    const uint32_t all = full + (r->prompt_tokens % n->block_tokens != 0);
    e.all = r->has_tail && e.by_ids >= e.tail_begin ? all : e.by_ids;
    return e;
}

uint32_t wl_number_count(const struct wl_numbering *n, const struct wl_record *r)
{
    return extent_of(n, r).all;
}

int wl_number(struct wl_numbering *n, const struct wl_record *r, struct wl_chain *prompt)
{
    *prompt = (struct wl_chain){.at_ns = r->at_ns, .tokens = r->prompt_tokens, .tenant = r->tenant};
    const struct extent e = extent_of(n, r);
    int status = 0;
    for (uint32_t b = 0; prompt->n_blocks < e.by_ids && status == 0; b++) {
        const uint32_t left = e.by_ids - prompt->n_blocks;
        status = add(n, r, prompt, r->ids[b], 0, left < n->ratio ? left : n->ratio);
    }
    /* Behind the ids: what the tail names. An id may have named full parts of the tail already, when
     * the trace knows the output too. */
    if (status == 0 && prompt->n_blocks < e.all)
        status = add(n, r, prompt, r->tail_id, prompt->n_blocks - e.tail_begin,
                     e.all - prompt->n_blocks);
    if ((uint64_t)prompt->n_blocks * n->block_tokens > r->prompt_tokens)
        prompt->short_tokens = prompt->n_blocks * n->block_tokens - r->prompt_tokens;
    prompt->runs = n->runs;
    return status;
}
