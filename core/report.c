/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report.c - how a request ends: its ledger, its spans, its report.
 *
 * The ledger is booked once, when the prompt's KV is complete for the first time: each block under
 * its `src`, what lies behind the last block as tail. A prompt whose last token was found still
 * computes it, for the logits, and that token is tail too. What was copied from the beginning of another block
 * is taken from its block's class and booked as found on the GPU. What a preemption computes again later
 * is counted apart.
 *
 * Spans: hash, probe, the load that ended last, and compute were measured; what remains of the time
 * to first token was spent waiting.
 */
#include "internal.h"

#include <string.h>

void kvt_book_ledger(struct kvt_core *core, struct req *q)
{
    memset(q->ledger, 0, sizeof q->ledger);
    uint32_t booked = 0, last_hit = KVT_NONE; /* KVT_NONE + 1 == 0, which no prompt of hits has */
    q->hit_blocks = 0;
    q->source = KVT_TIERS;
    for (uint32_t i = 0; i < q->n_match; i++) {
        /* of a prompt's blocks only the last can be partial */
        const uint32_t len = i + 1 < q->n_match ? core->config.block_tokens : block_len(core, q, i);
        const uint8_t src = q->src[i];
        q->ledger[src] += len;
        booked += len;
        if (!is_hit(src))
            continue;
        const enum kvt_tier_kind tier = (enum kvt_tier_kind)(src - KVT_HIT_GPU);
        q->hit_blocks++;
        last_hit = i;
        if (q->source == KVT_TIERS || tier > q->source)
            q->source = tier;
    }
    if (core->config.cache)
        q->ledger[KVT_COMPUTED_TAIL] += q->prompt_tokens - booked;
    else
        q->ledger[KVT_COMPUTED_COLD] += q->prompt_tokens - booked;
    uint32_t hits = 0;
    for (int c = 0; c < KVT_LEDGER; c++) { /* what was copied was found on the GPU */
        q->ledger[c] -= q->parts[c];
        q->ledger[KVT_HIT_GPU] += q->parts[c];
        if (q->parts[c] && q->source == KVT_TIERS)
            q->source = KVT_GPU;
    }
    for (int c = KVT_HIT_GPU; c <= KVT_HIT_DISK; c++)
        hits += q->ledger[c];
    if (booked == q->prompt_tokens && last_hit + 1 == q->n_match &&
        core->config.recompute_last_token) {
        q->ledger[q->src[last_hit]]--;
        q->ledger[KVT_COMPUTED_TAIL]++;
        hits--;
    }
    assert(hits + q->stepped == q->prompt_tokens); /* (C7) */
}

static void count_background(struct kvt_core *core, const struct req *q)
{
    core->stats.background.prompt_tokens += q->prompt_tokens;
    for (int c = KVT_HIT_DISK + 1; c < KVT_LEDGER; c++)
        core->stats.background.computed_tokens += q->ledger[c];
}

static void count_finished(struct kvt_core *core, const struct req *q)
{
    struct kvt_core_stats *s = &core->stats;
    for (int c = 0; c < KVT_LEDGER; c++)
        s->ledger_tokens[c] += q->ledger[c];
    s->finished++;
    s->prompt_tokens += q->prompt_tokens;
    s->output_tokens += q->generated;
    s->hit_blocks += q->hit_blocks;
    s->lookup_blocks += q->n_match;
    s->requests_fully_hit += q->n_match && q->hit_blocks == q->n_match;
    s->contiguous_allocated_tokens += q->contig_tokens;
    s->contiguous_used_tokens += q->contig_tokens ? q->computed : 0;
}

static void count_end(struct kvt_core *core, const struct req *q, enum kvt_outcome outcome,
                      uint64_t pages_allocated_tokens)
{
    struct kvt_core_stats *s = &core->stats;
    if (q->background) {
        s->background.ended++;
        if (outcome == KVT_FINISHED)
            count_background(core, q);
        return;
    }
    if (outcome == KVT_FINISHED) {
        s->paged_allocated_tokens += pages_allocated_tokens;
        s->paged_used_tokens += q->computed;
        count_finished(core, q);
    }
    s->rejected += outcome == KVT_REJECTED;
    s->failed += outcome == KVT_FAILED;
}

static void settle_wait(struct req *q)
{
    const kvt_ns ttft = q->first_token_ns - q->arrive_ns;
    kvt_ns known = 0;
    q->span_ns[KVT_SPAN_HASH] = q->deliver_ns - q->arrive_ns;
    for (int s = 0; s < KVT_SPANS; s++)
        known += q->span_ns[s];
    assert(known <= ttft);
    q->span_ns[KVT_SPAN_WAIT] += ttft - known;
}

void kvt_finish(struct kvt_core *core, uint32_t r, enum kvt_outcome outcome)
{
    struct req *q = req_at(core, r);
    struct engine *e = q->engine == KVT_NONE ? NULL : &core->engines[q->engine];
    struct kvt_report report = {.id = q->id,
                                .tenant = q->tenant,
                                .session = q->session,
                                .background = q->background,
                                .engine = {q->engine},
                                .outcome = outcome,
                                .prompt_tokens = q->prompt_tokens,
                                .output_tokens = q->generated,
                                .arrive_ns = q->arrive_ns,
                                .start_ns = q->start_ns,
                                .first_token_ns = q->first_token_ns,
                                .finish_ns = core->now,
                                .preemptions = q->preemptions,
                                .recomputed_tokens = q->recomputed_tokens,
                                .lookup_blocks = q->n_match,
                                .source = KVT_TIERS};
    if (outcome == KVT_FINISHED) {
        const uint64_t pages =
            (uint64_t)q->n_held * core->room.pages_per_block + q->tail.n + q->fixed.n;
        settle_wait(q);
        report.pages_allocated_tokens = pages * core->config.page_tokens;
        report.contiguous_tokens = q->contig_tokens;
        report.hit_blocks = q->hit_blocks;
        report.source = q->source;
        memcpy(report.ledger_tokens, q->ledger, sizeof report.ledger_tokens);
        memcpy(report.span_ns, q->span_ns, sizeof report.span_ns);
    }
    count_end(core, q, outcome, report.pages_allocated_tokens);
    if (e) {
        if (q->start_ns != KVT_NEVER)
            kvt_release_memory(core, q);
        if (q->contig_tokens)
            kvt_contig_give(&core->contigs[q->engine], q->contig_at, q->contig_tokens);
        e->load_tokens -= q->prompt_tokens;
        e->pending_prefill_tokens -= q->pending;
        kvt_list_pull(core, r);
    }
    kvt_blocks_unref(&core->blocks, q->blocks, q->n_keys);
    kvt_slab_give(&core->slab, q->blocks, q->n_keys);
    kvt_slab_give(&core->slab, q->copies, q->n_keys);
    kvt_slab_give(&core->slab, (void *)q->next_use, 2 * q->n_keys);
    kvt_slab_give(&core->slab, (void *)q->src, (q->n_keys + 3) / 4);
    kvt_wording_give(core, q);
    renew(core, q);
    kvt_pool_give(&core->requests, r);
    if (core->port.ops->note) {
        const struct kvt_note note = {.kind = KVT_NOTE_REPORT,
                                      .now = core->now,
                                      .report = &report,
                                      .engine = report.engine};
        core->port.ops->note(core->port.self, &note);
    }
}
