/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cut.c - see cut.h. Two plain loops: nine million keys are cut for a run of the public conversation trace in
 * 16-token blocks.
 */
#include "cut.h"

const char *wl_cut_check(const struct wl_cut *cut)
{
    const uint32_t trace = cut->trace_tokens, block = cut->block_tokens;
    return trace % block == 0 || block % trace == 0
               ? NULL
               : "expected a multiple or a divisor of the trace's blocks";
}

uint64_t wl_cut_id_most(const struct wl_cut *cut)
{
    const uint64_t ratio = cut->trace_tokens / cut->block_tokens;
    return ratio <= 1 ? UINT64_MAX : UINT64_MAX / ratio - 1;
}

static kvt_key key_of(const struct wl_cut *cut, const struct kvt_namespace *ns, uint64_t id)
{
    return cut->keys != NULL ? cut->keys[id] : kvt_key_of_id(ns, id);
}

static uint32_t least(uint32_t a, uint64_t b)
{
    return b < a ? (uint32_t)b : a;
}

/* How many blocks the lengths ask for, the full ones among them, and those of the prompt that are full. */
struct wanted {
    uint32_t all, full, in_prompt;
};

static struct wanted wanted(const struct wl_cut *cut, const struct wl_record *r)
{
    const uint32_t block = cut->block_tokens;
    struct wanted w = {.in_prompt = r->prompt_tokens / block};
    if (cut->partial_blocks) {
        w.full = w.in_prompt;
        w.all = w.full + (r->prompt_tokens % block != 0);
    } else {
        w.full = w.all = (r->prompt_tokens + r->output_tokens) / block;
    }
    return w;
}

/* block_tokens divides trace_tokens. */
static uint32_t cut_finer(const struct wl_cut *cut, const struct wl_record *r,
                          const struct kvt_namespace *ns, kvt_key *keys)
{
    const struct wanted w = wanted(cut, r);
    const uint32_t ratio = cut->trace_tokens / cut->block_tokens;
    const uint32_t full = least(w.full, (uint64_t)r->n_ids * ratio);
    const uint32_t tail_begin = r->prompt_tokens / cut->trace_tokens * ratio;
    uint32_t n = full;
    if (keys != NULL)
        for (uint32_t i = 0, block = 0; i < full; block++)
            for (uint32_t j = 0; j < ratio && i < full; j++, i++)
                keys[i] = key_of(cut, ns, r->ids[block] * ratio + j);
    /* Behind the ids: what the tail names, which is the prompt's and nothing else. */
    const uint32_t most = cut->partial_blocks ? w.all : w.in_prompt;
    if (r->has_tail && n >= tail_begin)
        for (; n < most; n++)
            if (keys != NULL)
                keys[n] = key_of(cut, ns, r->tail_id * ratio + (n - tail_begin));
    return n;
}

/* trace_tokens divides block_tokens. */
static uint32_t cut_coarser(const struct wl_cut *cut, const struct wl_record *r,
                            const struct kvt_namespace *ns, kvt_key *keys)
{
    const struct wanted w = wanted(cut, r);
    const uint32_t ratio = cut->block_tokens / cut->trace_tokens;
    const uint32_t full = least(w.full, r->n_ids / ratio);
    if (keys != NULL)
        for (uint32_t i = 0; i < full; i++)
            keys[i] = key_of(cut, ns, r->ids[(size_t)(i + 1) * ratio - 1]);
    if (full == w.all || full != w.full)
        return full;
    /* The partial one ends with the prompt: its last trace block is the tail, or a full one. */
    const uint32_t in_trace = r->prompt_tokens / cut->trace_tokens;
    const bool ends_full = r->prompt_tokens % cut->trace_tokens == 0;
    if (ends_full ? in_trace > r->n_ids : !r->has_tail)
        return full;
    if (keys != NULL)
        keys[full] = key_of(cut, ns, ends_full ? r->ids[in_trace - 1] : r->tail_id);
    return full + 1;
}

uint32_t wl_cut_keys(const struct wl_cut *cut, const struct wl_record *record,
                     const struct kvt_namespace *ns, kvt_key *keys)
{
    return cut->trace_tokens >= cut->block_tokens ? cut_finer(cut, record, ns, keys)
                                                  : cut_coarser(cut, record, ns, keys);
}
