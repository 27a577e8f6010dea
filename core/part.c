/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * part.c - parts of blocks: where a prompt leaves the chain in the middle of a block that is held, what lies before
 * that token is copied instead of computed.
 *
 *      held     | system prompt    | and a question  | ...     block i of another prompt: same key before it,
 *      asking   | system prompt    | and an answ ...            the same first t tokens
 *                                    ~~~~~~~ t: copied, then computed from here on
 *
 * Keys name whole blocks, so the chain ends at block i. The KV of its first t tokens is the same all the same:
 * it depends on these tokens and those before them, which equal parent keys stand for. This is what a radix tree
 * over tokens finds (Zheng et al., "SGLang", NeurIPS 2024) and what paged attention calls copy on write (Kwon et
 * al., SOSP 2023, 4.4): blocks keep their size, whole blocks are shared, of the last one the beginning is copied.
 *
 *      admitted     the tokens of the request's whole blocks are remembered with their parents' keys (siblings.h)
 *      a chunk      is about to begin at the start of a block, which no copy holds by now (step.c). Of the blocks
 *                   behind the same parent that are READY on this engine, the one with the largest t is taken, of
 *                   several the first in the order of tokens. It is pinned, and named in the step
 *      the step     copies first, then computes; both write pages of the request's own
 *      done         t tokens count as found on the GPU, under the ledger's class of that tier. The pin goes
 *
 * So a copy lives no longer than a step, as its chunk does: nothing is promised between admission and the step,
 * what is preempted, sent back or refused has copied nothing, and a request that starts over asks anew. It asks
 * at each chunk that begins a block, mostly once: behind a block of its own it has no siblings.
 *
 *   - At least one token is left to compute, so that there is a chunk.
 *   - t need not fill pages: the copy is of tokens, into a page that nobody shares.
 *   - To be copied from is not to be looked up: neither the order of eviction nor a TTL changes by it.
 *   - Load or compute, and the router, count whole blocks only.
 *   - Tokens of outputs are not known, nor those of blocks of which no request brought the tokens; an output's block is
 *     known once a later prompt begins with it. A request that is preempted while it decodes gave its tokens back.
 *   - Blocks of other engines are not copied from; a sharded engine copies nothing (config.c).
 *
 * Running out of memory loses hints and nothing else.
 */
#include "internal.h"

enum { SWEEP_SPARE = 1024 };

/* Whose blocks are asked for. */
struct asking {
    const struct kvt_core *core;
    uint32_t engine;
};

/* Numbers of forgotten blocks are used again. */
static bool still(const struct kvt_core *core, uint32_t block, kvt_key key)
{
    return block < kvt_blocks_end(&core->blocks) && kvt_block_live(&core->blocks, block) &&
           kvt_key_equal(kvt_block_key(kvt_block_at(&core->blocks, block)), key);
}

static bool ready_here(void *self, uint32_t block, kvt_key key)
{
    const struct asking *a = self;
    if (!still(a->core, block, key))
        return false;
    const uint32_t copy = kvt_copy_peek(&a->core->room, block, a->engine);
    return copy != KVT_NONE && copy_at(a->core, copy)->state == KVT_COPY_READY;
}

/* Some request names it, or a GPU holds it. */
static bool of_use(void *self, uint32_t block, kvt_key key)
{
    const struct kvt_core *core = ((const struct asking *)self)->core;
    if (!still(core, block, key))
        return false;
    const struct kvt_block *b = kvt_block_at(&core->blocks, block);
    uint32_t copy = b->copies;
    while (copy != KVT_NONE && copy_at(core, copy)->place >= core->config.engines)
        copy = copy_at(core, copy)->next;
    return b->refs || copy != KVT_NONE;
}

/* What stands for everything before block i. False: not known. */
static bool parent_of(const struct kvt_core *core, const struct req *q, uint32_t i, kvt_key *key)
{
    if (i > q->n_keys)
        return false;
    *key = i ? kvt_block_key(kvt_block_at(&core->blocks, q->blocks[i - 1])) : q->root;
    return i || key->hi || key->lo;
}

void kvt_part_know(struct kvt_core *core, const struct req *q)
{
    const uint32_t b = core->config.block_tokens;
    kvt_key parent;
    for (uint32_t i = 0; q->tokens && i < q->n_match; i++) {
        const kvt_key key = kvt_block_key(kvt_block_at(&core->blocks, q->blocks[i]));
        if (parent_of(core, q, i, &parent) &&
            kvt_siblings_add(&core->siblings, parent, q->tokens + (size_t)i * b, q->blocks[i], key))
            break;
    }
    if (kvt_siblings_count(&core->siblings) < core->sweep_at)
        return;
    struct asking a = {.core = core};
    kvt_siblings_sweep(&core->siblings, of_use, &a);
    core->sweep_at = 2 * kvt_siblings_count(&core->siblings) + SWEEP_SPARE;
}

void kvt_part_find(struct kvt_core *core, struct req *q)
{
    const uint32_t b = core->config.block_tokens, i = q->computed / b;
    kvt_key parent;
    if (!q->tokens || q->computed % b || q->computed >= q->prompt_tokens ||
        !parent_of(core, q, i, &parent))
        return;
    assert(q->target == q->prompt_tokens && i <= q->n_held);
    const uint32_t left = q->target - q->computed;
    struct asking a = {.core = core, .engine = q->engine};
    uint32_t block;
    const uint32_t t = kvt_siblings_find(&core->siblings, parent, q->tokens + q->computed,
                                         left <= b ? left - 1 : b - 1, ready_here, &a, &block);
    if (!t)
        return;
    q->part_from = kvt_copy_peek(&core->room, block, q->engine);
    q->part_tokens = t;
    kvt_copy_use(&core->room, q->part_from);
}

void kvt_part_step(struct kvt_core *core, uint32_t engine, struct kvt_step *step)
{
    uint32_t n = 0;
    for (uint32_t r = core->engines[engine].lists[REQ_RUNNING].first; r != KVT_NONE;
         r = req_at(core, r)->next) {
        const struct req *q = req_at(core, r);
        if (!q->part_tokens)
            continue;
        const uint32_t i = q->computed / core->config.block_tokens;
        const struct kvt_copy *from = copy_at(core, q->part_from);
        core->step_copies[n++] =
            (struct kvt_step_copy){.from = kvt_block_key(kvt_block_at(&core->blocks, from->block)),
                                   .tokens = q->part_tokens,
                                   .page = i < q->n_held ? copy_at(core, q->copies[i])->page
                                                         : q->tail.first,
                                   .from_page = from->page};
    }
    step->n_copies = n;
    step->copies = core->step_copies;
}

void kvt_part_done(struct kvt_core *core, struct req *q)
{
    if (!q->part_tokens)
        return;
    const uint32_t i = q->computed / core->config.block_tokens;
    q->computed += q->part_tokens;
    if (!q->first_done)
        q->parts[i < q->n_match ? q->src[i] : KVT_COMPUTED_TAIL] += q->part_tokens;
    kvt_part_drop(core, q);
}

void kvt_part_drop(struct kvt_core *core, struct req *q)
{
    if (!q->part_tokens)
        return;
    /* Its policy knows it, or will when whoever made it leaves: so this use is never the first. */
    const struct kvt_use use = {.next = KVT_NEVER,
                                .depth = q->computed / core->config.block_tokens};
    kvt_copy_unuse(&core->room, q->part_from, &use);
    q->part_from = KVT_NONE;
    q->part_tokens = 0;
}
