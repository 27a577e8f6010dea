/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims_times.c - claims about time; see claims_impl.h.
 *
 * Times of a load are those of the last request of a run; the scenarios see to it that the prompts before it
 * have filled the cache it loads from. Stages overlap: a piece travels while the one before is decoded. A
 * stage is therefore computed alone (all bytes through that stage, nothing else in its way), as the
 * document counts them, and the whole is what the simulation says.
 */
#include "claims_impl.h"

#include <errno.h>
#include <math.h>

#include "model.h"

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
    return claim_missing(w, "claim.measure",
                         "expected a last request that loads from the redis tier");
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

const struct claim_measure claim_times[] = {
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
    {0},
};
