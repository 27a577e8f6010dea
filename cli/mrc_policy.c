/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc_policy.c - what other policies than LRU find: each is simulated, flat and as a prefix cache, at every
 * capacity of the table.
 *
 *      flat     core's flat cache (core/flat.h): each block a look-up of its own
 *      prefix   core itself in the null world, set up by scenarios/reference/lru.yaml with
 *               cache.tiers.gpu.evict, touch and prefix_closed: what `kvtwin run` does with that scenario
 *
 * The prompts were numbered once (workload/number.h); numbers stand for keys. Of a sample the caches are as small
 * as the sample's share of all look-ups, and differences to LRU count (mrc.h); so LRU is simulated too then.
 * A capacity below the longest prompt has no prefix figure here: core refuses prompts that cannot fit.
 */
#include "mrc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../core/core.h"
#include "../core/flat.h"
#include "../core/mix.h"
#include "../core/null.h"
#include "../workload/future.h"
#include "session.h"
#include "stop.h"

bool mrc_policy_usable(const struct kvt_evict_ops *ops)
{
    return !ops->needs_ttl && !ops->refuses;
}

static void *heap_get(void *self, size_t size_b)
{
    (void)self;
    return malloc(size_b);
}

static void heap_put(void *self, void *memory, size_t size_b)
{
    (void)self;
    (void)size_b;
    free(memory);
}

static const struct kvt_alloc heap = {heap_get, heap_put, NULL};

/* All simulations of a command. */
struct lab {
    struct mrc *m;
    char *why;
    uint64_t *ids; /* room for a prompt */
    kvt_key *keys;
    double share; /* of the sample in all look-ups; 1 when all are there */
    struct progress bar;
    uint64_t steps; /* prompts so far, of all simulations */
};

static int no_memory(const struct lab *lab)
{
    snprintf(lab->why, MRC_ERROR, "kvtwin mrc: out of memory");
    return -ENOMEM;
}

static void expand(const struct mrc_trace *t, size_t prompt, uint64_t *ids)
{
    const struct wl_run *run = t->runs + t->first_run[prompt];
    for (uint32_t n = t->prompts[prompt].n_blocks; n > 0; run++) {
        for (uint32_t i = 0; i < run->n; i++)
            *ids++ = run->first + i;
        n -= run->n;
    }
}

/* ---- The future ----------------------------------------------------------------------------------- */

/* For every look-up of every prompt, where its block is named next: flat, by look-up; else as core is told. */
static int look_ahead(struct lab *lab, bool flat, struct wl_future **out)
{
    const struct mrc_trace *t = &lab->m->trace;
    struct wl_future *f = *out = wl_future_begin();
    uint64_t at = 0;
    int status = f ? 0 : -ENOMEM;
    for (size_t p = 0; p < t->n && status == 0; p++) {
        const uint32_t n = t->prompts[p].n_blocks;
        expand(t, p, lab->ids);
        for (uint32_t i = 0; i < n && status == 0; i++, at++)
            status = wl_future_note(f, (uint32_t)lab->ids[i],
                                    flat ? at : (uint64_t)p << WL_FUTURE_SHIFT | i);
    }
    return status == 0 ? 0 : no_memory(lab);
}

/* ---- One simulation ------------------------------------------------------------------------------- */

static int stepped(struct lab *lab, kvt_ns now)
{
    progress_step(&lab->bar, ++lab->steps, now);
    return stop_wanted ? -EINTR : 0;
}

static int simulate_flat(struct lab *lab, const struct kvt_evict_ops *ops,
                         const struct kvt_core_config *config, const uint64_t *next,
                         uint64_t capacity, struct wl_mrc_hits *hits)
{
    const struct mrc_trace *t = &lab->m->trace;
    struct kvt_evict_config evict = config->tiers[KVT_GPU].evict_config;
    uint8_t *hit = malloc(t->longest_blocks + UINT64_C(1));
    int status = 0;
    evict.capacity = capacity;
    evict.alloc = &heap;
    struct kvt_flat *flat = kvt_flat_new(ops, &evict, &status);
    if (!flat || !hit) {
        kvt_flat_free(flat);
        free(hit);
        return no_memory(lab);
    }
    uint64_t at = 0, short_tokens = 0;
    status = 0;
    for (size_t p = 0; p < t->n && status == 0; p++) {
        const uint32_t n = t->prompts[p].n_blocks;
        expand(t, p, lab->ids);
        hits->blocks += kvt_flat_access(flat, lab->ids, next ? next + at : NULL, n, hit);
        short_tokens += n > 0 && hit[n - 1] ? t->prompts[p].short_tokens : 0;
        at += n;
        status = stepped(lab, t->prompts[p].at_ns);
    }
    hits->tokens = hits->blocks * lab->m->info.block_tokens - short_tokens;
    kvt_flat_free(flat);
    free(hit);
    return status;
}

static int feed(struct lab *lab, struct kvt_null *world, struct kvt_core *core,
                const uint64_t *next)
{
    const struct mrc_trace *t = &lab->m->trace;
    uint64_t at = 0;
    int status = 0;
    for (size_t p = 0; p < t->n && status == 0; p++) {
        const struct wl_chain *w = &t->prompts[p];
        expand(t, p, lab->ids);
        for (uint32_t i = 0; i < w->n_blocks; i++)
            lab->keys[i] = (kvt_key){.lo = kvt_mix64(lab->ids[i] + 1)};
        const struct kvt_request r = {.id = p,
                                      .arrive_ns = w->at_ns,
                                      .tenant = w->tenant,
                                      .session = KVT_NONE,
                                      .prompt_tokens = w->tokens,
                                      .n_keys = w->n_blocks,
                                      .keys = lab->keys,
                                      .next_use = next ? next + at : NULL};
        status = kvt_null_world()->advance(world, core, w->at_ns);
        if (status == 0)
            status = kvt_core_request(core, w->at_ns, &r);
        at += w->n_blocks;
        if (status == 0)
            status = stepped(lab, w->at_ns);
    }
    return status == 0 ? kvt_null_world()->advance(world, core, KVT_NEVER) : status;
}

static int simulate_prefix(struct lab *lab, const struct kvt_core_config *base,
                           const uint64_t *next, uint64_t capacity, struct wl_mrc_hits *hits)
{
    struct kvt_core_config config = *base;
    struct kvt_core_stats stats;
    int status = -ENOMEM;
    config.tiers[KVT_GPU].capacity_blocks = capacity;
    config.expected_blocks = lab->m->trace.numbers;
    struct kvt_null *world = kvt_null_new(&heap, NULL);
    if (!world)
        return no_memory(lab);
    const struct kvt_port port = kvt_null_port(world);
    struct kvt_core *core = kvt_core_new(&config, &port, &heap, &status);
    if (core) {
        status = feed(lab, world, core, next);
        kvt_core_stats(core, &stats);
        *hits = (struct wl_mrc_hits){stats.hit_blocks, stats.ledger_tokens[KVT_HIT_GPU]};
        kvt_core_free(core);
    }
    kvt_null_free(world);
    if (status != 0 && status != -EINTR)
        snprintf(lab->why, MRC_ERROR, "kvtwin mrc: the core at %llu blocks: %s",
                 (unsigned long long)capacity, strerror(-status));
    return status;
}

/* ---- A policy at all capacities ------------------------------------------------------------------- */

static void rates(const struct lab *lab, const struct wl_mrc_hits *hits, double rate[MRC_WHATS])
{
    const struct mrc_trace *t = &lab->m->trace;
    rate[MRC_BLOCKS] = (double)hits->blocks / (double)t->blocks;
    rate[MRC_TOKENS] = (double)hits->tokens / (double)t->tokens;
}

static uint64_t simulated_capacity(const struct lab *lab, uint64_t capacity)
{
    const double scaled = round((double)capacity * lab->share);
    if (capacity == UINT64_MAX || scaled > (double)lab->m->trace.numbers)
        return lab->m->trace.numbers + UINT64_C(1);
    return scaled < 1 ? 1 : (uint64_t)scaled;
}

static int simulate_point(struct lab *lab, const struct kvt_evict_ops *ops,
                          const struct kvt_core_config *config, const uint64_t *const next[2],
                          uint64_t capacity, struct mrc_point *point)
{
    struct wl_mrc_hits flat = {0}, prefix = {0};
    const uint64_t simulated = simulated_capacity(lab, capacity);
    int status = simulate_flat(lab, ops, config, next[0], simulated, &flat);
    const bool fits = simulated >= lab->m->trace.longest_blocks;
    if (status == 0 && fits)
        status = simulate_prefix(lab, config, next[1], simulated, &prefix);
    if (status != 0)
        return status;
    point->simulated = simulated;
    rates(lab, &flat, point->flat);
    if (fits)
        rates(lab, &prefix, point->prefix);
    else
        lab->steps += lab->m->trace.n;
    return 0;
}

/* The core's configuration with this policy, by way of the scenario's keys. */
static int configure(struct lab *lab, const struct kvt_evict_ops *ops,
                     struct kvt_core_config *config)
{
    const struct mrc_options *o = &lab->m->options;
    char evict[64], touch[64], block[64];
    const char *sets[] = {evict, touch, block, "cache.tiers.gpu.prefix_closed=true"};
    snprintf(evict, sizeof evict, "cache.tiers.gpu.evict=%.32s", ops->name);
    snprintf(touch, sizeof touch, "cache.tiers.gpu.touch=%s", wl_mrc_ways[o->touch]);
    snprintf(block, sizeof block, "cache.block_tokens=%u", lab->m->info.block_tokens);
    const struct session_arguments a = {.scenario = "scenarios/reference/lru.yaml",
                                        .world = "null",
                                        .sets = sets,
                                        .n_sets = o->prefix_closed ? 4 : 3};
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return no_memory(lab);
    int status = session_load(s, &a);
    if (status == 0)
        status = session_resolve(s);
    if (status == 0)
        *config = s->resolved.core;
    else
        snprintf(lab->why, MRC_ERROR, "%s", s->error);
    session_close(s);
    free(s);
    return status;
}

static int simulate_policy(struct lab *lab, const struct kvt_evict_ops *ops,
                           struct mrc_point *points)
{
    const struct mrc *m = lab->m;
    struct kvt_core_config config;
    struct wl_future *futures[2] = {NULL, NULL}; /* flat, prefix */
    const uint64_t *next[2] = {NULL, NULL};
    int status = configure(lab, ops, &config);
    for (int i = 0; i < 2 && status == 0 && ops->needs_future; i++) {
        status = look_ahead(lab, i == 0, &futures[i]);
        next[i] = status == 0 ? wl_future_all(futures[i]) : NULL;
    }
    for (size_t row = 0; row < m->n_table && status == 0; row++)
        status = simulate_point(lab, ops, &config, next, m->table[row].capacity, &points[row]);
    wl_future_free(futures[0]);
    wl_future_free(futures[1]);
    return status;
}

/* ---- All ------------------------------------------------------------------------------------------ */

static void clear(struct mrc_point *points, size_t n)
{
    for (size_t i = 0; i < n; i++)
        points[i] = (struct mrc_point){0, {NAN, NAN}, {NAN, NAN}};
}

/* small(policy) - small(lru) moves to where LRU really is. */
static void correct(const struct mrc *m, const struct mrc_point *lru, struct mrc_point *points)
{
    for (size_t row = 0; row < m->n_table; row++)
        for (int what = 0; what < MRC_WHATS; what++) {
            const double flat = m->table[row].rate[WL_MRC_FLAT][what],
                         prefix = m->table[row].rate[m->options.touch][what];
            struct mrc_point *p = &points[row];
            p->flat[what] = fmin(1, fmax(0, flat + p->flat[what] - lru[row].flat[what]));
            if (!isnan(p->prefix[what]))
                p->prefix[what] =
                    fmin(1, fmax(0, prefix + p->prefix[what] - lru[row].prefix[what]));
        }
}

static int simulate_all(struct lab *lab, struct mrc_point *lru)
{
    struct mrc *m = lab->m;
    const bool small = mrc_sampled(&m->options);
    int status = small ? simulate_policy(lab, kvt_evict_named("lru"), lru) : 0;
    for (size_t i = 0; i < m->options.n_policies && status == 0; i++) {
        struct mrc_point *points = m->points + i * m->n_table;
        status = simulate_policy(lab, m->options.policies[i], points);
        if (status != 0) {
            clear(points, small ? m->n_table : 0); /* without its LRU a part says nothing */
            break;
        }
        if (small)
            correct(m, lru, points);
        m->n_points += m->n_table;
    }
    return status;
}

int mrc_simulate(struct mrc *m, char *why)
{
    const size_t n = m->options.n_policies * m->n_table;
    const bool small = mrc_sampled(&m->options);
    const uint64_t most = m->trace.longest_blocks + UINT64_C(1);
    struct lab lab = {.m = m, .why = why, .share = 1};
    if (small)
        lab.share = (double)m->trace.blocks / (double)m->blocks;
    lab.ids = malloc(most * sizeof *lab.ids);
    lab.keys = malloc(most * sizeof *lab.keys);
    m->points = malloc((n + 1) * sizeof *m->points);
    struct mrc_point *lru = malloc((m->n_table + 1) * sizeof *lru);
    int status = lab.ids && lab.keys && m->points && lru ? 0 : no_memory(&lab);
    if (status == 0) {
        clear(m->points, n);
        clear(lru, m->n_table);
        progress_begin(&lab.bar, "policies",
                       (n + (small ? m->n_table : 0)) * 2 * (uint64_t)m->trace.n);
        status = simulate_all(&lab, lru);
        progress_end(&lab.bar);
    }
    m->stopped = status == -EINTR;
    free(lru);
    free(lab.ids);
    free(lab.keys);
    return status;
}
