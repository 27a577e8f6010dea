/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims_measures.c - what a claim can be about, computed from catalogue, scenario and simulated run.
 *
 * Each measure answers three things: the number; the setting it holds for, in a phrase; and what would have
 * to be true for the claimed number, found by solving for the constant it hangs on: a bandwidth, a number of cores, a
 * ratio, a price. No number of an answer stands here.
 *
 * Times of a load are those of the last request of a run; the scenarios see to it that the prompts before it
 * have filled the cache it loads from. Stages overlap: a piece travels while the one before is decoded. A
 * stage is therefore computed alone (all bytes through that stage, nothing else in its way), as the
 * document counts them, and the whole is what the simulation says.
 */
#include "claims.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../core/ratio.h"
#include "equal_slo.h"
#include "model.h"
#include "near.h"
#include "stop.h"

static const double gib = 1073741824.0;

static int missing(struct claim_work *w, const char *key, const char *expected)
{
    return resolve_refuse(&w->session->scenario, key, expected, w->error);
}

#define SAY(claim, ...)  snprintf((claim)->setting, sizeof(claim)->setting, __VA_ARGS__)
#define NEED(claim, ...) snprintf((claim)->needs, sizeof(claim)->needs, __VA_ARGS__)

static const struct resolved *resolved_of(const struct claim_work *w)
{
    return &w->session->resolved;
}

/* Raw KV of the claim's tokens. */
static double kv_b(const struct claim_work *w)
{
    return resolved_of(w)->kv_b_per_token * (double)w->claim->tokens;
}

/* The same as Redis keeps it. */
static double stored_b(const struct claim_work *w)
{
    return resolved_of(w)->core.tiers[KVT_REDIS].stored_b_per_token * (double)w->claim->tokens;
}

static const char *model_of(const struct claim_work *w)
{
    return w->session->scenario.cluster.model;
}

/* ---- Sizes ---- */

static int take_kv_bytes(struct claim_work *w, struct claim *c)
{
    if (!w->claim->tokens)
        return missing(w, "claim.tokens", "expected how many tokens it is about");
    c->computed = kv_b(w);
    SAY(c, "%s, %llu tokens of %.0f bytes", model_of(w), (unsigned long long)w->claim->tokens,
        resolved_of(w)->kv_b_per_token);
    NEED(c, "%.0f bytes of KV per token, %.2g times what this model has",
         w->claimed / (double)w->claim->tokens, w->claimed / c->computed);
    return 0;
}

static int take_stored_bytes(struct claim_work *w, struct claim *c)
{
    if (!w->claim->tokens)
        return missing(w, "claim.tokens", "expected how many tokens it is about");
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
        return missing(w, "claim.count", "expected how many prefixes of how many tokens");
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
        return missing(w, "claim.tokens", "expected tokens, and count: values per token");
    c->computed = tokens * values * 4;
    SAY(c, "%.0f tokens x %.0f values of 4 bytes", tokens, values);
    NEED(c, "%.0f such tensors in one", w->claimed / c->computed);
    return 0;
}

static int take_codec_ratio(struct claim_work *w, struct claim *c)
{
    const struct sim_codec *codec = &resolved_of(w)->sim.codec[KVT_REDIS];
    c->computed = codec->present ? codec->ratio : 1;
    SAY(c, "codec %s on 16-bit KV", w->session->scenario.cache.tiers[KVT_REDIS].codec);
    NEED(c,
         "%.1f bits of information in an element of 16, where this codec finds %.1f; or a lossy "
         "one",
         16 / w->claimed, 16 / c->computed);
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

/* ---- Stages of a load, each alone ---- */

static int take_hash(struct claim_work *w, struct claim *c)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    c->computed = (double)w->last.span_ns[KVT_SPAN_HASH];
    SAY(c, "%u tokens tokenised and hashed, and the front end", w->last.prompt_tokens);
    NEED(c, "%.2g us per token, tokenising included", w->claimed / w->last.prompt_tokens / 1e3);
    return 0;
}

/* What a load of the last request is: its tokens found, of which the tier is Redis. */
static int load_tokens(struct claim_work *w, double *tokens)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    *tokens = w->last.ledger_tokens[KVT_HIT_REDIS];
    if (*tokens > 0)
        return 0;
    return missing(w, "claim.measure", "expected a last request that loads from the redis tier");
}

static int take_fetch(struct claim_work *w, struct claim *c)
{
    const struct resolved *r = resolved_of(w);
    const struct sim_network *net = &r->sim.network;
    const struct sim_redis *redis = &r->sim.redis;
    double tokens = 0;
    int rc = load_tokens(w, &tokens);
    if (rc != 0)
        return rc;
    double bytes = tokens * r->core.tiers[KVT_REDIS].stored_b_per_token;
    double node =
        fmin(fmin(redis->nic_bps, redis->process_bps), net->connection_bps * net->connections);
    double bps = fmin(net->engine_nic_bps, node * redis->nodes);
    c->computed = (double)net->rtt_ns + bytes / bps * 1e9;
    SAY(c, "%.2f GB from %u Redis node%s at %.1f GB/s", bytes / 1e9, redis->nodes,
        redis->nodes == 1 ? "" : "s", bps / 1e9);
    NEED(c, "%.0f Gb/s out of Redis and into the host", 8 * bytes / w->claimed);
    return 0;
}

static int take_decode(struct claim_work *w, struct claim *c)
{
    const struct sim_codec *codec = &resolved_of(w)->sim.codec[KVT_REDIS];
    double tokens = 0;
    int rc = load_tokens(w, &tokens);
    if (rc != 0)
        return rc;
    double bytes = tokens * resolved_of(w)->kv_b_per_token;
    c->computed = codec->present ? bytes / (codec->decode_bps * codec->cores) * 1e9 : 0;
    SAY(c, "%.2f GB by %s on %u cores", bytes / 1e9,
        w->session->scenario.cache.tiers[KVT_REDIS].codec, codec->cores);
    NEED(c, "%.0f cores at %.0f MB/s each", bytes / w->claimed * 1e9 / codec->decode_bps,
         codec->decode_bps / 1e6);
    return 0;
}

static int take_deserialise(struct claim_work *w, struct claim *c)
{
    const struct sim_host *host = &resolved_of(w)->sim.host;
    double tokens = 0;
    int rc = load_tokens(w, &tokens);
    if (rc != 0)
        return rc;
    double bytes = tokens * resolved_of(w)->kv_b_per_token;
    double bps = host->copy_thread_bps * host->copy_threads;
    c->computed = host->copy_threads > 0 ? bytes / bps * 1e9 : 0;
    SAY(c, "%.2f GB copied by %u thread%s at %.1f GB/s", bytes / 1e9, host->copy_threads,
        host->copy_threads == 1 ? "" : "s", host->copy_thread_bps / 1e9);
    NEED(c, "%.0f GB/s of copying: %.1f threads", bytes / w->claimed,
         bytes / w->claimed * 1e9 / host->copy_thread_bps);
    return 0;
}

static int take_copy(struct claim_work *w, struct claim *c)
{
    const struct sim_host *host = &resolved_of(w)->sim.host;
    double tokens = 0;
    int rc = load_tokens(w, &tokens);
    if (rc != 0)
        return rc;
    double bytes = tokens * resolved_of(w)->kv_b_per_token;
    c->computed = (double)host->copy_latency_ns + bytes / host->h2d_bps * 1e9;
    SAY(c, "%.2f GB to %llu GPU(s) at %.0f GB/s", bytes / 1e9,
        (unsigned long long)w->session->scenario.cluster.gpus_per_engine, host->h2d_bps / 1e9);
    NEED(c, "%.0f GB/s into the GPU", bytes / w->claimed);
    return 0;
}

/* ---- Whole requests ---- */

static void say_request(const struct claim_work *w, struct claim *c, const struct kvt_report *p)
{
    const struct scenario_cluster *k = &w->session->scenario.cluster;
    double found = 0;
    for (unsigned t = 0; t < KVT_TIERS; t++)
        found += p->ledger_tokens[KVT_HIT_GPU + t];
    SAY(c, "%s on %llu x %s, %u tokens in (%.1f %% found), %u out", k->model,
        (unsigned long long)k->gpus_per_engine, k->gpu, p->prompt_tokens,
        100 * found / p->prompt_tokens, p->output_tokens);
}

static int take_ttft(struct claim_work *w, struct claim *c)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    c->computed = (double)(w->last.first_token_ns - w->last.arrive_ns);
    say_request(w, c, &w->last);
    NEED(c, "every stage before the first token together %.2g times as fast",
         c->computed / w->claimed);
    return 0;
}

static int take_e2e(struct claim_work *w, struct claim *c)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    c->computed = (double)(w->last.finish_ns - w->last.arrive_ns);
    double generation = (double)(w->last.finish_ns - w->last.first_token_ns);
    say_request(w, c, &w->last);
    if (generation > w->claimed)
        NEED(c, "another GPU: generating alone takes %.2f s", generation / 1e9);
    else
        NEED(c, "a first token after %.0f ms, generating takes the rest",
             (w->claimed - generation) / 1e6);
    return 0;
}

static int take_generation(struct claim_work *w, struct claim *c)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    const struct sim_gpu *g = &resolved_of(w)->sim.gpu;
    const struct kvt_report *p = &w->last;
    double each = w->claimed / p->output_tokens;
    double bytes = g->dense_weight_b + g->kv_b_per_token * p->prompt_tokens;
    c->computed = (double)(p->finish_ns - p->first_token_ns);
    say_request(w, c, p);
    NEED(c, "%.1f ms per token: weights and KV at %.2g TB/s, where the GPUs have %.3g", each / 1e6,
         bytes / each * 1e9 / 1e12, g->gpus * g->hbm_bps / 1e12);
    return 0;
}

/* The first request, which finds nothing: time to its first token, or to its last. */
static int take_cold(struct claim_work *w, struct claim *c, bool whole)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    const struct sim_gpu *g = &resolved_of(w)->sim.gpu;
    const struct kvt_report *p = &w->first;
    double n = p->prompt_tokens;
    double flops = n * g->linear_flops_per_token + g->prefill_flops_per_pair * n * n / 2;
    double rest = whole ? (double)(p->finish_ns - p->first_token_ns) : 0;
    c->computed = (double)((whole ? p->finish_ns : p->first_token_ns) - p->arrive_ns);
    say_request(w, c, p);
    double peak = flops / (g->gpus * g->peak_flops) * 1e9;
    if (c->computed < w->claimed)
        NEED(c, "prefill at %.0f %% of the GPUs' peak", 100 * peak / (w->claimed - rest));
    else if (w->claimed > rest + peak)
        NEED(c, "prefill at %.0f %% of the GPUs' peak, where it reaches %.0f %%",
             100 * peak / (w->claimed - rest), 100 * g->mfu);
    else
        NEED(c, "more or faster GPUs");
    return 0;
}

static int take_cold_ttft(struct claim_work *w, struct claim *c)
{
    return take_cold(w, c, false);
}

static int take_cold_e2e(struct claim_work *w, struct claim *c)
{
    return take_cold(w, c, true);
}

static int take_speedup(struct claim_work *w, struct claim *c)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    double cold = (double)(w->first.finish_ns - w->first.arrive_ns);
    double hit = (double)(w->last.finish_ns - w->last.arrive_ns);
    c->computed = cold / hit;
    say_request(w, c, &w->last);
    NEED(c, "a hit in %.2f s, generation included", cold / w->claimed / 1e9);
    return 0;
}

/* ---- Traffic ---- */

static int take_hit_rate(struct claim_work *w, struct claim *c)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    const struct results_figures *f = results_figures(w->results);
    c->computed = f->prefix_hit_rate;
    SAY(c, "%llu requests, %.0f %% of prompt tokens never seen before",
        (unsigned long long)f->finished,
        100 * (double)f->ledger_tokens[KVT_COMPUTED_COLD] / (double)f->prompt_tokens);
    NEED(c, "traffic in which %.0f %% of prompt tokens repeat, and room to keep them",
         100 * w->claimed);
    return 0;
}

static int take_ttft_p90(struct claim_work *w, struct claim *c)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    const struct results_figures *f = results_figures(w->results);
    c->computed = results_ttft_ns(w->results, 0.9);
    SAY(c, "%llu requests, %.0f %% of prompt tokens found", (unsigned long long)f->finished,
        100 * f->prefix_hit_rate);
    NEED(c, "queues %.2g times as long", w->claimed / c->computed);
    return 0;
}

static int take_saving(struct claim_work *w, struct claim *c)
{
    struct cost_equal e;
    int rc = claim_run(w);
    if (rc == 0)
        rc = equal_slo_find(&e, w->session, w->results, &stop_wanted, w->error);
    if (rc != 0)
        return rc;
    const struct cost_figures *cost = results_cost(w->results);
    c->computed = e.saving_ratio;
    if (e.reachable)
        SAY(c, "%u engines with cache, %.2f USD/h; %u as fast without, %.2f USD/h",
            resolved_of(w)->core.engines, cost->usd_per_hour, e.engines, e.usd_per_hour);
    else
        SAY(c, "%s", e.note);
    NEED(c, "as fast without cache only with %.0f engines",
         cost->usd_per_hour / (1 - w->claimed) /
             (cost->part_usd_per_hour[COST_GPU] / resolved_of(w)->core.engines));
    return 0;
}

/* ---- Redis ---- */

static int take_redis_price(struct claim_work *w, struct claim *c)
{
    const struct scenario_tier *tier = &w->session->scenario.cache.tiers[KVT_REDIS];
    const struct cost_rate *rate = &resolved_of(w)->cost.parts[COST_REDIS];
    char why[256];
    const struct catalog_redis_node *node =
        catalog_redis_node(w->session->catalog, tier->node, why, sizeof why);
    if (w->claim->bytes.kind != UNITS_CAPACITY_B || !node || rate->unpriced)
        return missing(w, "claim.bytes",
                       "expected how much, such as 2.8TB, on a node with a price");
    double usable = node->memory_b.number * node->usable_ratio.number;
    double copies = 1 + (double)tier->replicas, bytes = (double)w->claim->bytes.value;
    double nodes = copies * ceil(bytes / copies / usable);
    c->computed = nodes * rate->usd_per_unit;
    SAY(c, "%.0f x %s, %.0f GiB usable each, at %s (%s, %s)", nodes, tier->node, usable / gib,
        rate->price, rate->region, rate->date);
    NEED(c, "$%.3f per GiB and hour, where a usable one costs $%.3f; or %.0f such nodes",
         w->claimed / (bytes / gib), rate->usd_per_unit / (usable / gib),
         w->claimed / rate->usd_per_unit);
    return 0;
}

static int take_failover(struct claim_work *w, struct claim *c)
{
    char why[256];
    const struct catalog_redis_failover *f =
        w->claim->entry
            ? catalog_redis_failover(w->session->catalog, w->claim->entry, why, sizeof why)
            : NULL;
    if (!f)
        return missing(w, "claim.entry", w->claim->entry ? why : "expected an entry of failovers");
    c->computed = (double)failover_least_ns(f);
    SAY(c, "%s: detected after %s, elected, promoted; up to %.1f s more", f->title,
        f->detect_ns.text, (double)failover_spread_ns(f) / 1e9);
    NEED(c, "a dead primary told from a slow one within %.0f ms; or a planned switch",
         fmax(w->claimed - f->elect_ns.number - f->promote_ns.number, w->claimed / 2) / 1e6);
    return 0;
}

/* ---- Matching ---- */

static void *heap_get(void *self, size_t n)
{
    (void)self;
    return malloc(n);
}

static void heap_put(void *self, void *memory, size_t n)
{
    (void)self;
    (void)n;
    free(memory);
}

/* Code points of an ASCII text. Returns how many, 0 for other texts and none. */
static uint32_t code_points(const char *text, uint32_t points[CLAIM_TEXT])
{
    uint32_t n = 0;
    for (; text && text[n]; n++) {
        if (n == CLAIM_TEXT || (unsigned char)text[n] > 127)
            return 0;
        points[n] = (unsigned char)text[n];
    }
    return n;
}

static int take_similarity(struct claim_work *w, struct claim *c)
{
    static const struct kvt_alloc heap = {heap_get, heap_put, NULL};
    uint32_t a[CLAIM_TEXT], b[CLAIM_TEXT];
    uint32_t n = code_points(w->claim->query, a), m = code_points(w->claim->candidate, b);
    struct kvt_ratio ratio;
    if (n == 0 || m == 0)
        return missing(w, "claim.query", "expected two texts in ASCII: query and candidate");
    kvt_ratio_init(&ratio, &heap, 0);
    int rc = kvt_ratio(&ratio, a, n, b, m, &c->computed);
    kvt_ratio_release(&ratio);
    if (rc != 0)
        snprintf(w->error, SCENARIO_ERROR_SIZE, "out of memory");
    double both = n + m, matched = c->computed * both / 2;
    SAY(c, "%.0f of %u + %u letters matched", 2 * matched, n, m);
    NEED(c, "%.0f letters matched, where the shorter text has %u", w->claimed * both / 2,
         n < m ? n : m);
    return rc;
}

/* ---- The table ---- */

static const struct claim_measure measures[] = {
    {"kv-bytes", CLAIM_BYTES, CLAIM_EQUAL, take_kv_bytes},
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
    {"hash", CLAIM_NS, CLAIM_LESS, take_hash},
    {"fetch", CLAIM_NS, CLAIM_LESS, take_fetch},
    {"decode", CLAIM_NS, CLAIM_LESS, take_decode},
    {"deserialise", CLAIM_NS, CLAIM_LESS, take_deserialise},
    {"copy", CLAIM_NS, CLAIM_LESS, take_copy},
    {"ttft", CLAIM_NS, CLAIM_LESS, take_ttft},
    {"generation", CLAIM_NS, CLAIM_LESS, take_generation},
    {"e2e", CLAIM_NS, CLAIM_LESS, take_e2e},
    {"cold-ttft", CLAIM_NS, CLAIM_EQUAL, take_cold_ttft},
    {"cold-e2e", CLAIM_NS, CLAIM_EQUAL, take_cold_e2e},
    {"speedup", CLAIM_NUMBER, CLAIM_MORE, take_speedup},
    {"hit-rate", CLAIM_RATIO, CLAIM_MORE, take_hit_rate},
    {"ttft-p90", CLAIM_NS, CLAIM_EQUAL, take_ttft_p90},
    {"saving", CLAIM_RATIO, CLAIM_MORE, take_saving},
    {"redis-price", CLAIM_USD_PER_H, CLAIM_EQUAL, take_redis_price},
    {"similarity", CLAIM_NUMBER, CLAIM_EQUAL, take_similarity},
    {"failover", CLAIM_NS, CLAIM_LESS, take_failover},
};

enum { MEASURES = sizeof measures / sizeof *measures };

const struct claim_measure *claim_measure_named(const char *name, char *error, size_t size)
{
    const char *names[MEASURES];
    for (size_t i = 0; i < MEASURES; i++) {
        names[i] = measures[i].name;
        if (strcmp(name, names[i]) == 0)
            return &measures[i];
    }
    snprintf(error, size, "expected one of ");
    near_list(error, size, names, MEASURES);
    return NULL;
}
