/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * stats.c - see stats.h. One pass; memory is 8 bytes per request and about 32 per distinct block.
 */
#include "stats.h"

#include "cut.h"
#include "intern.h"
#include "record.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SUB_BITS = 6, BUCKETS = (64 - SUB_BITS + 1) << SUB_BITS };

struct gatherer {
    struct wl_source *source;
    struct wl_stats *stats;
    struct wl_cut prompt, all; /* the same blocks: what is looked up, and what is named */
    struct kvt_namespace ns;
    struct wl_intern blocks, sessions, tenants;
    kvt_ns *last_ns; /* by block */
    size_t last_room;
    kvt_key *keys;
    size_t keys_room;
    uint32_t *prompts, *outputs;
    size_t prompts_room, outputs_room;
    uint64_t *gaps; /* histogram */
    uint64_t longest_ns;
    double mean_ns, square; /* of inter-arrival gaps (Welford) */
    kvt_ns first_ns, before_ns;
};

/* Values below 2^SUB_BITS have a bucket each; above, each doubling has 2^SUB_BITS. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 1u << SUB_BITS)
        return (unsigned)value;
    const unsigned shift = 63u - (unsigned)__builtin_clzll(value) - SUB_BITS;
    return ((shift + 1) << SUB_BITS) + (unsigned)(value >> shift) - (1u << SUB_BITS);
}

static double bucket_middle(unsigned bucket)
{
    if (bucket < 1u << SUB_BITS)
        return bucket;
    const unsigned shift = (bucket >> SUB_BITS) - 1;
    const double begin = ldexp((bucket & ((1u << SUB_BITS) - 1)) + (1u << SUB_BITS), (int)shift);
    return begin + ldexp(0.5, (int)shift);
}

static double gap_quantile_s(const struct gatherer *g, double q)
{
    const double rank = q * (double)g->stats->hit_blocks;
    uint64_t seen = 0;
    for (unsigned i = 0; i < BUCKETS && g->stats->hit_blocks > 0; i++) {
        seen += g->gaps[i];
        if ((double)seen >= rank)
            return fmin(bucket_middle(i), (double)g->longest_ns) / 1e9;
    }
    return 0;
}

static int by_size(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Nearest rank. values are sorted in place. */
static struct wl_spread spread_of(uint32_t *values, uint64_t n, uint64_t sum)
{
    if (n == 0)
        return (struct wl_spread){0};
    qsort(values, n, sizeof values[0], by_size);
    const uint64_t last = n - 1;
    return (struct wl_spread){.mean = (double)sum / (double)n,
                              .p50 = values[(n * 50 + 99) / 100 - 1],
                              .p90 = values[(n * 90 + 99) / 100 - 1],
                              .p99 = values[(n * 99 + 99) / 100 - 1],
                              .most = values[last]};
}

static void count_gap(struct gatherer *g, kvt_ns at_ns)
{
    struct wl_stats *s = g->stats;
    if (s->requests == 0) {
        g->first_ns = g->before_ns = at_ns;
        return;
    }
    const double gap = (double)(at_ns - g->before_ns);
    const double delta = gap - g->mean_ns;
    g->mean_ns += delta / (double)s->requests;
    g->square += delta * (gap - g->mean_ns);
    g->before_ns = at_ns;
}

static int count_lengths(struct gatherer *g, const struct wl_record *r)
{
    struct wl_stats *s = g->stats;
    const size_t n = s->requests;
    uint32_t index;
    if (wl_grow(&g->prompts, &g->prompts_room, n + 1, sizeof g->prompts[0]) != 0 ||
        wl_grow(&g->outputs, &g->outputs_room, n + 1, sizeof g->outputs[0]) != 0 ||
        wl_intern(&g->tenants, (kvt_key){0, r->tenant}, &index, NULL) != 0 ||
        (r->session != KVT_NONE &&
         wl_intern(&g->sessions, (kvt_key){0, r->session}, &index, NULL) != 0))
        return -ENOMEM;
    g->prompts[n] = r->prompt_tokens;
    g->outputs[n] = r->output_tokens;
    s->prompt_tokens += r->prompt_tokens;
    s->output_tokens += r->output_tokens;
    return 0;
}

/* Names a block at a time; *age_ns is the time since it was named last, KVT_NEVER if it was not. */
static int name_block(struct gatherer *g, kvt_key key, kvt_ns at_ns, kvt_ns *age_ns)
{
    uint32_t index;
    bool fresh = false;
    if (wl_intern(&g->blocks, key, &index, &fresh) != 0 ||
        wl_grow(&g->last_ns, &g->last_room, g->blocks.n, sizeof g->last_ns[0]) != 0)
        return -ENOMEM;
    *age_ns = fresh ? KVT_NEVER : at_ns - g->last_ns[index];
    g->last_ns[index] = at_ns;
    return 0;
}

static int count_blocks(struct gatherer *g, const struct wl_record *r)
{
    struct wl_stats *s = g->stats;
    const uint32_t n = wl_cut_keys(&g->prompt, r, NULL, NULL);
    const uint32_t n_all = wl_cut_keys(&g->all, r, NULL, NULL);
    kvt_ns age_ns;
    uint32_t hit = 0;
    if (wl_grow(&g->keys, &g->keys_room, n > n_all ? n : n_all, sizeof g->keys[0]) != 0)
        return -ENOMEM;
    wl_cut_keys(&g->prompt, r, &g->ns, g->keys);
    for (uint32_t i = 0; i < n; i++) {
        if (name_block(g, g->keys[i], r->at_ns, &age_ns) != 0)
            return -ENOMEM;
        if (age_ns == KVT_NEVER || hit < i)
            continue;
        hit++;
        g->gaps[bucket_of(age_ns)]++;
        g->longest_ns = age_ns > g->longest_ns ? age_ns : g->longest_ns;
    }
    /* What the output fills: behind the prompt's full blocks. */
    wl_cut_keys(&g->all, r, &g->ns, g->keys);
    for (uint32_t i = r->prompt_tokens / g->all.block_tokens; i < n_all; i++)
        if (name_block(g, g->keys[i], r->at_ns, &age_ns) != 0)
            return -ENOMEM;
    const uint64_t tokens = (uint64_t)hit * s->block_tokens;
    s->blocks += n;
    s->hit_blocks += hit;
    s->hit_tokens += tokens < r->prompt_tokens ? tokens : r->prompt_tokens;
    s->fully_hit += n > 0 && hit == n;
    return 0;
}

static int gather(struct gatherer *g, struct wl_error *error)
{
    struct wl_record r;
    int status;
    g->gaps = calloc(BUCKETS, sizeof g->gaps[0]);
    if (g->gaps == NULL)
        return -ENOMEM;
    while ((status = wl_next_record(g->source, &r)) == 1) {
        count_gap(g, r.at_ns);
        if (count_lengths(g, &r) != 0 || count_blocks(g, &r) != 0)
            return -ENOMEM;
        g->stats->requests++;
    }
    if (status < 0)
        wl_fail(error, status, NULL, 0, NULL, "%s", wl_source_error(g->source));
    return status;
}

static void finish(struct gatherer *g)
{
    struct wl_stats *s = g->stats;
    s->duration_s = (double)(g->before_ns - g->first_ns) / 1e9;
    if (s->duration_s > 0) {
        const double gaps = (double)(s->requests - 1);
        s->rate_per_s = gaps / s->duration_s;
        s->interarrival_cv = sqrt(g->square / gaps) / g->mean_ns;
    }
    s->prompt = spread_of(g->prompts, s->requests, s->prompt_tokens);
    s->output = spread_of(g->outputs, s->requests, s->output_tokens);
    s->unique_blocks = g->blocks.n;
    s->sessions = g->sessions.n;
    s->tenants = g->tenants.n;
    s->gap_p50_s = gap_quantile_s(g, 0.5);
    s->gap_p90_s = gap_quantile_s(g, 0.9);
    s->gap_p99_s = gap_quantile_s(g, 0.99);
    s->gap_max_s = (double)g->longest_ns / 1e9;
}

int wl_stats_of(struct wl_source *source, struct wl_stats *stats, struct wl_error *error)
{
    struct wl_info info;
    struct gatherer g = {.source = source, .stats = stats};
    *stats = (struct wl_stats){0};
    wl_source_info(source, &info);
    wl_source_cut(source, &g.prompt);
    g.all = g.prompt;
    g.prompt.partial_blocks = true;
    g.all.partial_blocks = false;
    stats->block_tokens = info.block_tokens;
    wl_rewind(source);
    int status = kvt_namespace_init(&g.ns, NULL, NULL, NULL);
    if (status == 0)
        status = gather(&g, error);
    if (status == 0)
        finish(&g);
    else if (status == -ENOMEM || status == -EIO)
        wl_fail(error, status, NULL, 0, "trace", "expected more memory");
    wl_intern_release(&g.blocks);
    wl_intern_release(&g.sessions);
    wl_intern_release(&g.tenants);
    free(g.last_ns);
    free(g.keys);
    free(g.prompts);
    free(g.outputs);
    free(g.gaps);
    wl_rewind(source);
    return status;
}
