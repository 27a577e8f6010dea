/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims_sizes.c - claims about bytes: of KV, of what Redis keeps, of memory; see claims_impl.h.
 */
#include "claims_impl.h"

#include <math.h>

#include "model.h"

/* ---- Sizes ---- */

static int take_kv_bytes(struct claim_work *w, struct claim *c)
{
    if (!w->claim->tokens)
        return claim_missing(w, "claim.tokens", "expected how many tokens it is about");
    c->computed = kv_b(w);
    SAY(c, "%s, %llu tokens of %.0f bytes", model_of(w), (unsigned long long)w->claim->tokens,
        resolved_of(w)->kv_b_per_token);
    NEED(c, "%.0f bytes of KV per token, %.2g times what this model has",
         w->claimed / (double)w->claim->tokens, w->claimed / c->computed);
    return 0;
}

/* Keys and values of one layer. */
static int take_layer_bytes(struct claim_work *w, struct claim *c)
{
    char why[256];
    const struct catalog_model *model =
        catalog_model(w->session->catalog, model_of(w), why, sizeof why);
    if (!w->claim->tokens || !model)
        return claim_missing(w, "claim.tokens", "expected how many tokens it is about");
    c->computed = kv_b(w) / model->layers.number;
    SAY(c, "%s, %llu tokens, one of %.0f layers", model_of(w), (unsigned long long)w->claim->tokens,
        model->layers.number);
    NEED(c, "%.0f bytes of KV per token and layer, where this model has %.0f",
         w->claimed / (double)w->claim->tokens, c->computed / (double)w->claim->tokens);
    return 0;
}

static int take_stored_bytes(struct claim_work *w, struct claim *c)
{
    if (!w->claim->tokens)
        return claim_missing(w, "claim.tokens", "expected how many tokens it is about");
    const struct sim_codec *codec = &resolved_of(w)->sim.codec[KVT_REDIS];
    c->computed = stored_b(w);
    SAY(c, "%s, %llu tokens, codec %s at %.3g : 1", model_of(w),
        (unsigned long long)w->claim->tokens, w->session->scenario.cache.tiers[KVT_REDIS].codec,
        codec->present ? codec->ratio : 1);
    NEED(c, "a codec of %.3g : 1 for this model's KV", kv_b(w) / w->claimed);
    return 0;
}

static int take_prefixes_bytes(struct claim_work *w, struct claim *c)
{
    double copies = 1 + (double)w->session->scenario.cache.tiers[KVT_REDIS].replicas;
    double n = (double)w->claim->count;
    if (!w->claim->tokens || !w->claim->count)
        return claim_missing(w, "claim.count", "expected how many prefixes of how many tokens");
    c->computed = n * copies * stored_b(w);
    SAY(c, "%s, %.0f prefixes of %llu tokens, %.0f cop%s", model_of(w), n,
        (unsigned long long)w->claim->tokens, copies, copies > 1 ? "ies" : "y");
    NEED(c, "%.0f bytes stored per token, where the codec leaves %.0f",
         w->claimed / n / copies / (double)w->claim->tokens,
         resolved_of(w)->core.tiers[KVT_REDIS].stored_b_per_token);
    return 0;
}

/* One tensor of fp32 with `count` values per token: K or V of one layer. */
static int take_tensor_bytes(struct claim_work *w, struct claim *c)
{
    double tokens = (double)w->claim->tokens, values = (double)w->claim->count;
    if (!w->claim->tokens || !w->claim->count)
        return claim_missing(w, "claim.tokens", "expected tokens, and count: values per token");
    c->computed = tokens * values * 4;
    SAY(c, "%.0f tokens x %.0f values of 4 bytes", tokens, values);
    NEED(c, "%.0f such tensors in one", w->claimed / c->computed);
    return 0;
}

static int take_codec_ratio(struct claim_work *w, struct claim *c)
{
    const struct sim_codec *codec = &resolved_of(w)->sim.codec[KVT_REDIS];
    c->computed = codec->present ? codec->ratio : 1;
    const int bits = w->session->scenario.cluster.kv_dtype == DTYPE_FP32 ? 32 : 16;
    SAY(c, "codec %s on %d-bit KV", w->session->scenario.cache.tiers[KVT_REDIS].codec, bits);
    NEED(c,
         "%.1f bits of information in an element of %d, where this codec finds %.1f; or a lossy "
         "one",
         bits / w->claimed, bits, bits / c->computed);
    return 0;
}

/* ---- Memory ---- */

static void say_budget(const struct claim_work *w, struct claim *c)
{
    const struct budget *b = &resolved_of(w)->budget;
    SAY(c, "%s on %u x %s, per GPU", b->model, b->gpus, b->gpu);
}

static int take_weights(struct claim_work *w, struct claim *c)
{
    c->computed = resolved_of(w)->budget.weights_b;
    say_budget(w, c);
    NEED(c, "%.3g times the weights of this model on each GPU", w->claimed / c->computed);
    return 0;
}

static int take_activations(struct claim_work *w, struct claim *c)
{
    const struct budget *b = &resolved_of(w)->budget;
    c->computed = b->activations_b;
    say_budget(w, c);
    NEED(c, "batches of about %.0f tokens, where the stack takes %u",
         resolved_of(w)->core.max_batch_tokens * w->claimed / c->computed,
         resolved_of(w)->core.max_batch_tokens);
    return 0;
}

static int take_kv_room(struct claim_work *w, struct claim *c)
{
    const struct budget *b = &resolved_of(w)->budget;
    c->computed = b->kv_b;
    say_budget(w, c);
    NEED(c, "%.1f GB of a GPU kept from the cache", (c->computed - w->claimed) / 1e9);
    return 0;
}

static int take_free(struct claim_work *w, struct claim *c)
{
    const struct budget *b = &resolved_of(w)->budget;
    c->computed = b->free_b;
    say_budget(w, c);
    NEED(c, "a stack that takes %.0f %% of the memory, where this one takes %.0f %%",
         100 * (1 - w->claimed / b->memory_b), 100 * (1 - b->free_b / b->memory_b));
    return 0;
}

/* Weights that stay in host memory cross the bus for every iteration. */
static int take_stream_weights(struct claim_work *w, struct claim *c)
{
    const struct resolved *r = resolved_of(w);
    double all = r->budget.weights_b * r->budget.gpus;
    c->computed = all / r->sim.host.h2d_bps * 1e9;
    SAY(c, "%s, %.0f GB over %.0f GB/s between host and %u GPUs", model_of(w), all / 1e9,
        r->sim.host.h2d_bps / 1e9, r->budget.gpus);
    NEED(c, "%.0f TB/s between host and GPUs", all / w->claimed * 1e9 / 1e12);
    return 0;
}

static int take_waste(struct claim_work *w, struct claim *c, bool paged)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    const struct results_figures *f = results_figures(w->results);
    c->computed = paged ? f->kv_waste_paged_ratio : f->kv_waste_contiguous_ratio;
    SAY(c, "%llu requests of mean %.0f + %.0f tokens; %s %u tokens",
        (unsigned long long)f->finished, (double)f->prompt_tokens / (double)f->finished,
        (double)f->output_tokens / (double)f->finished, paged ? "pages of" : "each reserves",
        paged ? resolved_of(w)->core.page_tokens : resolved_of(w)->core.contiguous_tokens);
    if (paged)
        NEED(c, "far larger pages, or far shorter requests");
    else
        NEED(c, "requests that use %.0f %% of the longest context", 100 * (1 - w->claimed));
    return 0;
}

static int take_waste_contiguous(struct claim_work *w, struct claim *c)
{
    return take_waste(w, c, false);
}

static int take_waste_paged(struct claim_work *w, struct claim *c)
{
    return take_waste(w, c, true);
}

const struct claim_measure claim_sizes[] = {
    {"kv-bytes", CLAIM_BYTES, CLAIM_EQUAL, take_kv_bytes},
    {"layer-bytes", CLAIM_BYTES, CLAIM_EQUAL, take_layer_bytes},
    {"stored-bytes", CLAIM_BYTES, CLAIM_EQUAL, take_stored_bytes},
    {"prefixes-bytes", CLAIM_BYTES, CLAIM_EQUAL, take_prefixes_bytes},
    {"tensor-bytes", CLAIM_BYTES, CLAIM_EQUAL, take_tensor_bytes},
    {"codec-ratio", CLAIM_NUMBER, CLAIM_MORE, take_codec_ratio},
    {"weights", CLAIM_BYTES, CLAIM_EQUAL, take_weights},
    {"activations", CLAIM_BYTES, CLAIM_EQUAL, take_activations},
    {"kv-room", CLAIM_BYTES, CLAIM_EQUAL, take_kv_room},
    {"free", CLAIM_BYTES, CLAIM_EQUAL, take_free},
    {"stream-weights", CLAIM_NS, CLAIM_LESS, take_stream_weights},
    {"waste-contiguous", CLAIM_RATIO, CLAIM_EQUAL, take_waste_contiguous},
    {"waste-paged", CLAIM_RATIO, CLAIM_LESS, take_waste_paged},
    {0},
};
