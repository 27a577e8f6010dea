/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_shards.c - shards.csv, placement.csv and shard_costs.csv: an engine's GPUs told apart. Files of a
 * run without sharding have no lines. Where figures come from: shards.h.
 */
#include "results_impl.h"

static void count(struct out *o, uint64_t value)
{
    out_char(o, ',');
    out_u64(o, value);
}

static void decimal(struct out *o, double value, unsigned decimals)
{
    out_char(o, ',');
    out_fixed(o, value, decimals);
}

void csv_shards(struct out *o, const struct results *r)
{
    const struct shards *s = &r->shards;
    double stored = 0, read = 0;
    for (uint32_t i = 0; i < s->n_gpus; i++) {
        stored += (double)s->gpu[i].held.stored_b;
        read += s->gpu[i].held.read_b;
    }
    out_text(
        o,
        "# Each GPU of each engine. capacity, shards (of cached and running blocks) and working "
        "(heads of "
        "what is beside blocks): at the end. stored, read: shards placed there, and gathered from "
        "or attended to "
        "there, since the start. out, in: over its port to other GPUs, all-reduces and exchanges "
        "included; h2d, d2h: over its PCIe. In the real world: copied to other GPUs and from them "
        "by "
        "gathers and spreads, and from and to the tiers below.\n");
    if (s->alone)
        out_text(o, "# orphans: of shards, those of blocks that lack another one.\n");
    out_text(
        o,
        "engine,gpu,capacity_bytes,shards_bytes,working_bytes,stored_bytes,stored_ratio,read_bytes,"
        "read_ratio,out_bytes,in_bytes,h2d_bytes,d2h_bytes,out_busy_ratio,in_busy_ratio");
    out_text(o, s->alone ? ",orphan_bytes\n" : "\n");
    for (uint32_t i = 0; i < s->n_gpus; i++) {
        const struct shards_gpu *g = &s->gpu[i];
        out_u64(o, g->engine);
        count(o, g->gpu);
        out_char(o, ',');
        if (g->held.capacity_b != UINT64_MAX)
            out_u64(o, g->held.capacity_b);
        count(o, g->held.shards_b);
        count(o, g->held.working_b);
        count(o, g->held.stored_b);
        decimal(o, ratio_of((double)g->held.stored_b, stored), 6);
        decimal(o, g->held.read_b, 0);
        decimal(o, ratio_of(g->held.read_b, read), 6);
        count(o, g->out_b);
        count(o, g->in_b);
        count(o, g->h2d_b);
        count(o, g->d2h_b);
        decimal(o, g->out_busy_ratio, 6);
        decimal(o, g->in_busy_ratio, 6);
        if (s->alone)
            count(o, g->held.orphans_b);
        out_char(o, '\n');
    }
}

void csv_placement(struct out *o, const struct results *r)
{
    const struct shards *s = &r->shards;
    out_text(o, "# The longest chain of blocks that is whole in engine 0 at the end: on which GPU "
                "each layer of each "
                "block lies (its first copy).\n");
    out_text(o, "block,position_tokens,layer,gpu\n");
    for (uint32_t i = 0; i < s->chain_blocks; i++) {
        for (uint32_t layer = 0; layer < s->layers; layer++) {
            out_u64(o, i);
            count(o, (uint64_t)i * s->block_tokens);
            count(o, layer);
            count(o, s->chain[(size_t)i * s->layers + layer]);
            out_char(o, '\n');
        }
    }
}

void csv_shard_costs(struct out *o, const struct results *r)
{
    const struct shards *s = &r->shards;
    out_text(o, "# Closed form: a cached context of `tokens`, one request alone on the engine. "
                "gather: until its shards "
                "have come together; first_token: gather and a step that computes its last token; "
                "token: a decoding step.\n");
    out_text(o,
             "policy,access,tokens,gather_ms,gather_bytes,first_token_ms,token_ms,held_balance\n");
    for (uint32_t i = 0; i < s->n_costs; i++) {
        const struct shards_cost *c = &s->cost[i];
        out_text(o, c->policy);
        out_char(o, ',');
        out_text(o, c->access);
        count(o, c->tokens);
        out_char(o, ',');
        out_ns_as_ms(o, c->gather_ns);
        count(o, c->gather_b);
        out_char(o, ',');
        out_ns_as_ms(o, c->first_token_ns);
        out_char(o, ',');
        out_ns_as_ms(o, c->token_ns);
        decimal(o, c->held_balance, 6);
        out_char(o, '\n');
    }
}
