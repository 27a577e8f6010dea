/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * crossover.c - see crossover.h.
 *
 * A tier's rates follow from codec, link and host in resolve_tiers.c and nowhere else: each row is the
 * scenario resolved once more with another codec.
 */
#include "crossover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static double load_ns(const struct kvt_tier_config *tier, uint32_t tokens)
{
    return tier->load_fixed_ns + tier->load_ns_per_token * tokens;
}

static double compute_ns(const struct resolved *r, uint32_t tokens)
{
    return (double)sim_gpu_prefill_ns(&r->sim.gpu, 0, tokens, r->core.max_batch_tokens);
}

/* From the longest length down: the first block that is slower to load ends it. */
static uint32_t find_tokens(const struct resolved *r, const struct kvt_tier_config *tier)
{
    uint32_t block = r->core.block_tokens, at = r->context_tokens / block * block;
    uint32_t best = 0;
    for (; at > 0 && load_ns(tier, at) <= compute_ns(r, at); at -= block)
        best = at;
    return best;
}

static void fill(struct crossover *row, const struct resolved *r, enum kvt_tier_kind kind)
{
    const struct kvt_tier_config *tier = &r->core.tiers[kind];
    row->tier = kind;
    row->ratio = r->sim.codec[kind].present ? r->sim.codec[kind].ratio : 1;
    row->tokens = find_tokens(r, tier);
    for (uint32_t i = 0; i < CROSSOVER_LENGTHS; i++) {
        if (crossover_tokens(i) > r->context_tokens)
            break;
        row->load_ms[i] = load_ns(tier, crossover_tokens(i)) / 1e6;
        row->compute_ms[i] = compute_ns(r, crossover_tokens(i)) / 1e6;
        row->n_lengths = i + 1;
    }
}

/* The row of one tier and codec, unless the scenario cannot have it (a block would not fit). */
static void add(struct crossovers *out, struct resolved *scratch, const struct resolved *r,
                const struct scenario *s, const struct catalog *catalog, enum kvt_tier_kind kind,
                const char *codec, bool own)
{
    char error[SCENARIO_ERROR_SIZE], why[256];
    struct scenario other = *s;
    const struct catalog_gpu *gpu = catalog_gpu(catalog, s->cluster.gpu, why, sizeof why);
    *scratch = *r;
    if (!own) {
        other.cache.tiers[kind].codec = codec;
        memset(scratch->sim.codec, 0, sizeof scratch->sim.codec);
        if (!gpu || resolve_tiers(scratch, &other, catalog, gpu, error) != 0)
            return;
    }
    struct crossover *row = &out->rows[out->n++];
    *row = (struct crossover){.own = own};
    snprintf(row->codec, sizeof row->codec, "%s", codec);
    fill(row, scratch, kind);
}

int crossovers_find(struct crossovers *out, const struct resolved *r, const struct scenario *s,
                    const struct catalog *catalog)
{
    struct resolved *scratch = malloc(sizeof *scratch);
    out->n = 0;
    out->rows = calloc((size_t)KVT_TIERS * (catalog->codecs.n + 1), sizeof *out->rows);
    if (!scratch || !out->rows) {
        free(scratch);
        free(out->rows);
        out->rows = NULL;
        return -ENOMEM;
    }
    for (int k = KVT_HOST; k < KVT_TIERS; k++) {
        enum kvt_tier_kind kind = (enum kvt_tier_kind)k;
        if (!r->core.tiers[k].present || !r->core.cache)
            continue;
        const char *own = s->cache.tiers[k].codec;
        add(out, scratch, r, s, catalog, kind, own, true);
        for (uint32_t i = 0; i < catalog->codecs.n; i++)
            if (strcmp(catalog->codecs.entries[i].name, own) != 0)
                add(out, scratch, r, s, catalog, kind, catalog->codecs.entries[i].name, false);
    }
    free(scratch);
    return 0;
}

const struct crossover *crossovers_own(const struct crossovers *c, enum kvt_tier_kind tier)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (c->rows[i].tier == tier && c->rows[i].own)
            return &c->rows[i];
    return NULL;
}
