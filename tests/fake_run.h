/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fake_run.h - notes and counters of a run that never was, for tests of what is written about a run.
 *
 * Not a model of anything: times and hits are drawn so that every outcome, source and ledger class
 * occurs, the sums hold, and two calls with the same seed give the same notes. Hits grow over time, as in
 * a cache that fills.
 */
#ifndef FAKE_RUN_H
#define FAKE_RUN_H

#include "../cli/results.h"
#include "../core/mix.h"

#include <string.h>

struct fake_run {
    uint64_t seed, draws;
    uint32_t requests;
    bool cache;
    uint32_t engines;
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    uint64_t orphan_b[KVT_TIERS];
    kvt_ns now;
};

static inline uint64_t fake_draw(struct fake_run *f, uint64_t below)
{
    return kvt_mix64(f->seed * UINT64_C(0x9e3779b97f4a7c15) + f->draws++) % below;
}

/* A skewed time: half the values are below mean / 2, few are many times as large. */
static inline kvt_ns fake_time(struct fake_run *f, kvt_ns mean)
{
    uint64_t u = 1 + fake_draw(f, 1000);
    return mean * 250 / u + fake_draw(f, mean / 10 + 1);
}

static inline void fake_options(struct results_options *o, const char *dir,
                                const struct fake_run *f)
{
    memset(o, 0, sizeof *o);
    o->dir = dir;
    o->world = "sim";
    o->scenario = "scenarios/fake.yaml";
    o->scenario_name = "fake";
    o->scenario_sha256 = "00ff";
    o->question = "Does a Redis tier pay for chat?";
    o->resolved = "question: Does a Redis tier pay for chat?\n";
    o->revision = "test";
    o->model = "llama-3.1-70b";
    o->gpu = "a100-80g-sxm";
    o->seed = f->seed;
    o->engines = f->engines;
    o->gpus_per_engine = 8;
    o->block_tokens = 512;
    o->page_tokens = 16;
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        o->tiers[tier] = (struct results_tier){tier != KVT_PEER, 4000 * (tier + 1) * (tier + 1),
                                               (uint64_t)(tier + 1) * (tier + 1) << 39};
}

/* Splits a prompt into ledger classes and draws the spans. */
static inline void fake_report(struct fake_run *f, struct kvt_report *p, double warmth)
{
    uint32_t blocks = p->prompt_tokens / 512, found = 0;

    p->source = KVT_TIERS;
    p->lookup_blocks = blocks;
    if (f->cache && (double)fake_draw(f, 100) < 85 * warmth + 5 && blocks > 0) {
        static const enum kvt_tier_kind tiers[] = {KVT_GPU,   KVT_GPU,   KVT_HOST, KVT_HOST,
                                                   KVT_REDIS, KVT_REDIS, KVT_DISK};
        p->source = tiers[fake_draw(f, 7)];
        found = (uint32_t)fake_draw(f, blocks + 1);
        if (found == 0)
            p->source = KVT_TIERS;
    }
    uint32_t near = p->source < KVT_TIERS && p->source != KVT_GPU ? found / 3 : 0;
    p->hit_blocks = found;
    if (found > 0) {
        p->ledger_tokens[KVT_HIT_GPU] += near * 512;
        p->ledger_tokens[KVT_HIT_GPU + p->source] += (found - near) * 512;
    }
    uint32_t rest = blocks - found;
    uint32_t evicted = (uint32_t)fake_draw(f, rest / 3 + 1), cheaper = (rest - evicted) / 20;
    p->ledger_tokens[KVT_COMPUTED_EVICTED] = evicted * 512;
    p->ledger_tokens[KVT_COMPUTED_CHEAPER] = cheaper * 512;
    p->ledger_tokens[KVT_COMPUTED_COLD] = (rest - evicted - cheaper) * 512;
    p->ledger_tokens[KVT_COMPUTED_TAIL] = p->prompt_tokens - blocks * 512;

    uint32_t moved = (found - near) * 512, computed = p->prompt_tokens - found * 512;
    p->span_ns[KVT_SPAN_HASH] = p->prompt_tokens * 300u;
    p->span_ns[KVT_SPAN_WAIT] = fake_time(f, f->cache ? 60000000 : 400000000);
    if (p->source == KVT_REDIS || p->source == KVT_DISK) {
        p->span_ns[KVT_SPAN_PROBE] = 400000 + fake_draw(f, 200000);
        p->span_ns[KVT_SPAN_QUEUED] = fake_time(f, 4000000);
        p->span_ns[KVT_SPAN_WIRE] = moved * UINT64_C(28000);
        p->span_ns[KVT_SPAN_DECODE] = p->source == KVT_REDIS ? moved * UINT64_C(9000) : 0;
        p->span_ns[KVT_SPAN_DESERIALISE] = moved * UINT64_C(4000);
    }
    if (p->source == KVT_HOST || p->source == KVT_REDIS || p->source == KVT_DISK)
        p->span_ns[KVT_SPAN_COPY] = moved * UINT64_C(3000);
    p->span_ns[KVT_SPAN_COMPUTE] = 20000000 + computed * UINT64_C(190000);
    p->first_token_ns = p->arrive_ns;
    for (unsigned span = 0; span < KVT_SPANS; span++)
        p->first_token_ns += p->span_ns[span];
    p->finish_ns = p->first_token_ns;
    if (p->output_tokens > 1)
        p->finish_ns += (p->output_tokens - 1) * (22000000 + fake_time(f, 8000000));
}

static inline void fake_count(struct fake_run *f, const struct kvt_report *p)
{
    struct kvt_core_stats *s = &f->stats;

    s->requests++;
    s->finished += p->outcome == KVT_FINISHED;
    s->rejected += p->outcome == KVT_REJECTED;
    s->failed += p->outcome == KVT_FAILED;
    s->hit_blocks += p->hit_blocks;
    s->lookup_blocks += p->lookup_blocks;
    if (p->outcome != KVT_FINISHED)
        return;
    s->prompt_tokens += p->prompt_tokens;
    s->output_tokens += p->output_tokens;
    for (unsigned class = 0; class < KVT_LEDGER; class ++)
        s->ledger_tokens[class] += p->ledger_tokens[class];
    s->paged_used_tokens += p->prompt_tokens + p->output_tokens;
    s->paged_allocated_tokens += (p->prompt_tokens + p->output_tokens + 15) / 16 * 16;
    s->contiguous_used_tokens += p->prompt_tokens + p->output_tokens;
    s->contiguous_allocated_tokens += 131072;
    for (unsigned tier = 0; tier < KVT_TIERS; tier++) {
        uint64_t moved = p->ledger_tokens[KVT_HIT_GPU + tier] * UINT64_C(327680);
        s->bytes_read[tier] += tier == KVT_GPU ? 0 : moved;
        s->bytes_written[tier] += tier == KVT_PEER ? 0 : p->prompt_tokens * UINT64_C(100000);
        uint64_t full = 4000 * (uint64_t)(tier + 1) * (tier + 1);
        f->gauges.held_blocks[tier] += tier == KVT_PEER ? 0 : p->prompt_tokens / 512 / 3;
        if (f->gauges.held_blocks[tier] > full) {
            s->evicted_blocks[tier] += f->gauges.held_blocks[tier] - full;
            f->gauges.held_blocks[tier] = full;
        }
        f->gauges.held_b[tier] = f->gauges.held_blocks[tier] << 27;
    }
    f->gauges.pages_total = 128000;
    f->gauges.pages_free = 128000 - f->gauges.held_blocks[KVT_GPU] * 30;
    f->gauges.pages_cached = f->gauges.held_blocks[KVT_GPU] * 20;
    f->gauges.waiting = (uint32_t)fake_draw(f, 6);
    f->gauges.running = 8 + (uint32_t)fake_draw(f, 12);
    f->gauges.loading = (uint32_t)fake_draw(f, 3);
}

/* Feeds the collector. f: seed, requests, cache and engines set, the rest zero. Reports go out at times that
 * never decrease, each after one step that made its tokens. */
static inline void fake_run(struct fake_run *f, struct results *r)
{
    for (uint32_t i = 0; i < f->requests; i++) {
        struct kvt_report p = {.id = i, .tenant = i % 3, .session = i % 7 == 0 ? KVT_NONE : i / 4};
        double warmth = 1.0 - 1.0 / (1.0 + 4.0 * i / (f->requests + 1.0));

        p.engine.v = i % f->engines;
        p.prompt_tokens = 1 + (uint32_t)fake_draw(f, 12000);
        p.output_tokens = (uint32_t)fake_draw(f, 400);
        p.outcome = fake_draw(f, 200) == 0   ? KVT_REJECTED
                    : fake_draw(f, 300) == 0 ? KVT_FAILED
                                             : KVT_FINISHED;
        fake_report(f, &p, warmth); /* as if it arrived at 0 */
        if (p.outcome != KVT_FINISHED)
            p.first_token_ns = p.finish_ns = 0;
        f->now += fake_time(f, 120 * KVT_MILLISECOND);
        if (f->now < p.finish_ns)
            f->now = p.finish_ns;
        p.arrive_ns = f->now - p.finish_ns;
        p.first_token_ns += p.arrive_ns;
        p.finish_ns = f->now;
        while (results_next_sample(r) < f->now)
            results_sample(r, results_next_sample(r), &f->stats, &f->gauges);
        if (p.outcome == KVT_FINISHED && p.output_tokens > 1) {
            struct kvt_note step = {.kind = KVT_NOTE_STEP,
                                    .now = f->now,
                                    .begin_ns = p.first_token_ns,
                                    .engine = p.engine,
                                    .iterations = p.output_tokens - 1,
                                    .n_decode = 1};
            results_note(r, &step);
        }
        fake_count(f, &p);
        struct kvt_note note = {.kind = KVT_NOTE_REPORT, .now = f->now, .report = &p};
        results_note(r, &note);
    }
}

static inline int fake_close(struct fake_run *f, struct results *r, char *why, size_t size)
{
    static const struct results_busy busy[] = {
        {"redis/0/process", 1, 0.42, 0.7, 1.5e6, 1234, UINT64_C(123456789012)},
        {"engine/0/nic", 1, 0.13, 0, 0, 777, UINT64_C(98765432100)},
    };
    const struct results_end end = {.stats = &f->stats,
                                    .gauges = &f->gauges,
                                    .orphan_b = f->orphan_b,
                                    .busy = busy,
                                    .n_busy = 2,
                                    .digest = "0123456789abcdef0123456789abcdef",
                                    .wall_ns = 123456789};

    return results_close(r, &end, why, size);
}

#endif
