/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wording.c - what a request's own tokens add to its keys (alike.h), and the books on it.
 *
 *      arrival        the tokens are copied, if anything is to be asked of them
 *      admission      keys found less than all whole blocks: the most similar prompt is looked for, once per
 *                     request. Where matching is exact, the blocks that both begin with are used as
 *                     far as they are held in an unbroken run: the same tokens at the same places, under the
 *                     request's own keys. Where matching goes by chain that run was found already
 *      prompt done    what was reused is booked; the prompt is kept for others, the copy given back
 *
 * So the similar prompt decides how far an exact match may be replaced by a shorter one, and never
 * which KV is used: what follows a differing token has another key.
 *
 * The token tree changes no decision. It counts what lies behind the last whole block found and that some earlier
 * prompt has as well: what a cache that matches tokens could have used beside, were everything held. What it does
 * use is part.c's.
 */
#include "internal.h"

#include <string.h>

bool kvt_wording_take(struct kvt_core *core, struct req *q, const struct kvt_request *in)
{
    const bool asks = kvt_alike_on(&core->alike) || takes_parts(core);
    if (!core->config.cache || !asks || !in->tokens || in->prompt_tokens > KVT_ALIKE_MOST ||
        (in->letters && in->n_letters > KVT_ALIKE_MOST))
        return true;
    const uint32_t n_letters = in->letters ? in->n_letters : 0;
    q->tokens = kvt_slab_take(&core->slab, in->prompt_tokens);
    if (q->tokens && n_letters)
        q->letters = kvt_slab_take(&core->slab, n_letters);
    if (!q->tokens || (n_letters && !q->letters)) {
        kvt_slab_give(&core->slab, q->tokens, in->prompt_tokens);
        q->tokens = NULL;
        return false;
    }
    memcpy(q->tokens, in->tokens, in->prompt_tokens * sizeof *q->tokens);
    if (n_letters)
        memcpy(q->letters, in->letters, n_letters * sizeof *q->letters);
    q->n_letters = n_letters;
    return true;
}

void kvt_wording_give(struct kvt_core *core, struct req *q)
{
    kvt_slab_give(&core->slab, q->tokens, q->prompt_tokens);
    kvt_slab_give(&core->slab, q->letters, q->n_letters);
    q->tokens = q->letters = NULL;
}

static struct kvt_wording wording_of(const struct req *q)
{
    return (struct kvt_wording){.tokens = q->tokens,
                                .letters = q->letters,
                                .n_tokens = q->prompt_tokens,
                                .n_letters = q->n_letters};
}

/* Tokens behind `run` whole blocks that the tree knows; without the last one, which is computed for its logits. When the tree knows a further whole block, that block is what is missing. */
static uint32_t behind(const struct kvt_core *core, const struct req *q, uint32_t run)
{
    const struct kvt_core_config *c = &core->config;
    const struct kvt_wording w = wording_of(q);
    uint32_t same = kvt_alike_longest(&core->alike, &w);
    if (same / c->block_tokens != run)
        return 0;
    if (same == q->prompt_tokens && c->recompute_last_token)
        same--;
    return same > run * c->block_tokens ? same - run * c->block_tokens : 0;
}

uint32_t kvt_wording_ask(struct kvt_core *core, struct req *q, uint32_t run)
{
    if (!q->tokens)
        return q->alike_blocks < run ? q->alike_blocks : run;
    if (!q->measured) {
        q->measured = true;
        q->measured_run = run;
        q->behind_tokens = behind(core, q, run);
    }
    if (run < q->n_match && !q->asked) {
        const struct kvt_wording w = wording_of(q);
        uint32_t same;
        q->asked = true;
        if (kvt_alike_similar(&core->alike, &w, &same))
            q->alike_blocks = same / core->config.block_tokens;
    }
    return q->alike_blocks < run ? q->alike_blocks : run;
}

void kvt_wording_done(struct kvt_core *core, struct req *q)
{
    struct kvt_core_stats *s = &core->stats;
    if (!q->tokens)
        return;
    const struct kvt_wording w = wording_of(q);
    const uint32_t held = q->alike_blocks < q->run ? q->alike_blocks : q->run;
    s->approx_common_tokens += (uint64_t)q->alike_blocks * core->config.block_tokens;
    s->approx_hits += held > 0;
    s->approx_hits_chain_found_anyway += held > 0 && q->run >= held;
    for (int c = KVT_HIT_GPU; q->by_alike && c <= KVT_HIT_DISK; c++)
        s->approx_reused_tokens += q->ledger[c];
    for (int c = 0; c < KVT_LEDGER; c++)
        s->radix_reused_tokens += q->parts[c];
    if (q->hit_blocks == q->measured_run)
        s->radix_possible_tokens += q->behind_tokens;
    kvt_alike_keep(&core->alike, &w);
    kvt_wording_give(core, q);
}
