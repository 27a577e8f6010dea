/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shards.c - shards.h: counting, and closed forms.
 */
#include "shards.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../sim/fabric.h"

static const char *const access_names[] = {"gather", "in_place"};

/* ---- Closed forms -------------------------------------------------------------------------------- */

/* Where a context's blocks lie, and what attending to them in place waits for. */
struct layout {
    struct kvt_shards shards;
    uint64_t weights[KVT_SHARD_GPUS];                /* held, all copies */
    uint64_t parts[KVT_SHARD_GPUS];                  /* weights times tokens of one copy */
    uint64_t tokens[KVT_SHARD_GPUS][KVT_SHARD_GPUS]; /* by shard and GPU */
};

static void lay_out(struct layout *l, uint32_t blocks)
{
    struct kvt_shards *s = &l->shards;
    for (uint32_t i = 0; i < blocks; i++) {
        uint8_t row[KVT_SHARD_GPUS];
        const struct kvt_shard_site site = {{1, 1}, i};
        kvt_shards_place(s, &site, row);
        for (uint32_t k = 0; k < s->n; k++) {
            for (uint32_t j = 0; j < s->copies; j++)
                l->weights[kvt_shard_copy(s, row[k], j)] += s->weight[k];
            l->parts[row[k]] += (uint64_t)s->weight[k] * s->config.block_tokens;
            l->tokens[k][row[k]] += s->config.block_tokens;
        }
    }
}

/* As core/shard_book.h defines it. */
static uint64_t skew_of(const struct layout *l, uint32_t blocks)
{
    const struct kvt_shards *s = &l->shards;
    uint64_t busy = 0;
    for (uint32_t k = 0; k < s->n; k++) {
        uint64_t most = 0;
        for (uint32_t g = 0; g < s->config.gpus; g++)
            most = l->tokens[k][g] > most ? l->tokens[k][g] : most;
        busy += most * s->weight[k];
    }
    return (busy * s->config.gpus + s->weight_sum - 1) / s->weight_sum -
           (uint64_t)blocks * s->config.block_tokens;
}

static double balance_of(const double *value, uint32_t n)
{
    double sum = 0, most = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += value[i];
        most = fmax(most, value[i]);
    }
    return sum > 0 ? most * n / sum : (double)NAN;
}

bool shards_cost_of(const struct resolved *r, const struct kvt_shard_ops *policy,
                    enum kvt_shard_access access, uint64_t tokens, struct shards_cost *cost)
{
    struct kvt_shard_config c = r->core.shard;
    c.policy = policy;
    c.access = access;
    if (policy != r->core.shard.policy)
        c.interleaved = false;
    if (kvt_shard_check(&c))
        return false;
    struct layout *l = calloc(1, sizeof *l);
    if (!l)
        return false;
    kvt_shards_init(&l->shards, &c);
    /* The last token is computed, so its block may be cut. */
    const uint32_t blocks = (uint32_t)((tokens - 1) / c.block_tokens);
    lay_out(l, blocks);
    const bool apart = policy->splits != KVT_SPLIT_HEAD && c.gpus > 1;
    const bool in_place = apart && access == KVT_ACCESS_IN_PLACE;
    struct sim_gpu gpu = r->plain_gpu;
    if (in_place)
        resolve_shard_in_place(r, &l->shards, &gpu);
    const uint64_t skew = in_place ? skew_of(l, blocks) : 0;
    struct sim_fabric f = r->sim.fabric;
    f.part_b = resolve_shard_part_b(r, &l->shards);
    struct sim_fabric_plan plan = {0};
    if (apart && !in_place)
        sim_fabric_gather(&f, l->parts, &plan);
    const struct kvt_chunk chunk = {.past_tokens = (uint32_t)tokens - 1, .new_tokens = 1};
    const struct kvt_step first = {.repeat = 1,
                                   .n_chunks = 1,
                                   .chunks = &chunk,
                                   .chunk_skew_tokens = &skew};
    const struct kvt_step next = {.repeat = 1,
                                  .n_decode = 1,
                                  .decode_tokens = tokens,
                                  .decode_skew_tokens = skew};
    double held[KVT_SHARD_GPUS];
    for (uint32_t g = 0; g < c.gpus; g++)
        held[g] = (double)l->weights[g];
    *cost = (struct shards_cost){.policy = policy->name,
                                 .access = access_names[access],
                                 .tokens = tokens,
                                 .gather_ns = apart && !in_place ? sim_fabric_ns(&f, &plan) : 0,
                                 .gather_b = plan.sum_b,
                                 .held_balance = balance_of(held, c.gpus)};
    cost->first_token_ns = cost->gather_ns + sim_gpu_step_ns(&gpu, &first, 1);
    cost->token_ns = sim_gpu_step_ns(&gpu, &next, 1);
    free(l);
    return true;
}

static void add_costs(struct shards *s, const struct resolved *r)
{
    for (uint32_t p = 0; kvt_shard_all[p] && p < SHARDS_POLICIES; p++)
        for (int access = 0; access < 2; access++)
            for (uint32_t i = 0; i < SHARDS_LENGTHS; i++)
                s->n_costs += shards_cost_of(r, kvt_shard_all[p], (enum kvt_shard_access)access,
                                             UINT64_C(1024) << i, &s->cost[s->n_costs]);
}

/* ---- Counting ------------------------------------------------------------------------------------ */

static void add_link(struct shards_gpu *g, const struct sim_part_stats *part, const char *link)
{
    if (strcmp(link, "out") == 0) {
        g->out_b = part->bytes;
        g->out_busy_ratio = part->busy_ratio;
    } else if (strcmp(link, "in") == 0) {
        g->in_b = part->bytes;
        g->in_busy_ratio = part->busy_ratio;
    } else if (strcmp(link, "h2d") == 0) {
        g->h2d_b = part->bytes;
    } else {
        g->d2h_b = part->bytes;
    }
}

static void add_links(struct shards *s, const struct sim_world *world)
{
    for (uint32_t i = 0; world && i < sim_world_parts(world); i++) {
        struct sim_part_stats part;
        unsigned engine, gpu;
        int n = 0;
        sim_world_part(world, i, &part);
        if (sscanf(part.name, "engine%u/gpu%u/%n", &engine, &gpu, &n) == 2 && n > 0 &&
            gpu < s->gpus)
            add_link(&s->gpu[engine * s->gpus + gpu], &part, part.name + n);
    }
}

/* What the real world copied; there steps exchange nothing, and ports are not told apart from memory. */
static void add_copies(struct shards *s, const struct be_world *world)
{
    for (uint32_t i = 0; world && i < s->n_gpus; i++) {
        struct shards_gpu *g = &s->gpu[i];
        struct be_gpu_stats stats;
        if (!be_world_gpu(world, g->engine, g->gpu, &stats))
            continue;
        g->out_b = stats.gather_out_b + stats.spread_out_b;
        g->in_b = stats.gather_in_b + stats.spread_in_b;
        g->h2d_b = stats.up_b;
        g->d2h_b = stats.down_b;
    }
}

static void weigh(struct shards *s)
{
    double *value = calloc(s->n_gpus, sizeof *value);
    if (!value)
        return;
    uint32_t living = 0;
    for (uint32_t i = 0; i < s->n_gpus; i++)
        if (s->gpu[i].gpu < s->living)
            value[living++] = (double)s->gpu[i].held.shards_b;
    s->held_balance = balance_of(value, living);
    for (uint32_t i = 0; i < s->n_gpus; i++)
        value[i] = (double)s->gpu[i].held.stored_b;
    s->stored_balance = balance_of(value, s->n_gpus);
    for (uint32_t i = 0; i < s->n_gpus; i++)
        value[i] = s->gpu[i].held.read_b;
    s->read_balance = balance_of(value, s->n_gpus);
    free(value);
}

/* The next choice of k out of n in lexical order. */
static bool next_choice(uint32_t *chosen, uint32_t k, uint32_t n)
{
    uint32_t i = k;
    while (i > 0 && chosen[i - 1] == n - k + i - 1)
        i--;
    if (i == 0)
        return false;
    chosen[i - 1]++;
    for (; i < k; i++)
        chosen[i] = chosen[i - 1] + 1;
    return true;
}

/* All choices of k, as long as they are not too many to count. */
static void add_loss(struct shards *s, const struct kvt_core *core, uint32_t k)
{
    static const double looks_most = 2e8; /* about a second */
    double choices = 1;
    for (uint32_t i = 0; i < k; i++)
        choices *= (double)(s->living - i) / (i + 1);
    if (k > s->living || choices * (double)kvt_core_tracked_blocks(core) * s->living > looks_most)
        return;
    uint32_t chosen[SHARDS_LOSS_MOST];
    for (uint32_t i = 0; i < k; i++)
        chosen[i] = i;
    double sum = 0, worst = 0;
    do {
        bool dead[KVT_SHARD_GPUS] = {false};
        uint64_t lost, blocks;
        for (uint32_t i = 0; i < k; i++)
            dead[chosen[i]] = true;
        kvt_core_shard_loss(core, dead, &lost, &blocks);
        const double ratio = blocks ? (double)lost / (double)blocks : 0;
        sum += ratio;
        worst = fmax(worst, ratio);
    } while (next_choice(chosen, k, s->living));
    s->loss[s->n_loss++] =
        (struct shards_loss){.dead = k, .mean_ratio = sum / choices, .worst_ratio = worst};
}

/* The longest chain, spread out from shards to layers. */
static int add_chain(struct shards *s, const struct resolved *r, const struct kvt_core *core)
{
    if (r->core.shard.policy->splits == KVT_SPLIT_HEAD)
        return 0; /* each layer of each block lies on all GPUs */
    uint32_t n;
    (void)kvt_core_shard_chain(core, (kvt_engine_id){0}, NULL, 0, &n); /* shards of a block */
    const size_t room = (size_t)r->context_tokens / s->block_tokens * n + n;
    uint8_t *rows = malloc(room);
    if (!rows)
        return -ENOMEM;
    const uint32_t blocks = kvt_core_shard_chain(core, (kvt_engine_id){0}, rows, room, &n);
    s->chain = blocks ? malloc((size_t)blocks * s->layers) : NULL;
    for (uint32_t i = 0; s->chain && i < blocks; i++)
        for (uint32_t layer = 0; layer < s->layers; layer++)
            s->chain[(size_t)i * s->layers + layer] =
                rows[(size_t)i * n + kvt_core_shard_of(core, layer)];
    s->chain_blocks = s->chain ? blocks : 0;
    free(rows);
    return blocks && !s->chain ? -ENOMEM : 0;
}

/* Where GPUs evict each by itself. After the GPUs. */
static void add_orphans(struct shards *s, const struct kvt_core_stats *stats)
{
    double room_b = 0;
    for (uint32_t i = 0; i < s->n_gpus; i++)
        room_b +=
            s->gpu[i].held.capacity_b == UINT64_MAX ? INFINITY : (double)s->gpu[i].held.capacity_b;
    s->alone = true;
    s->evicted_shards = stats->alone.evicted_shards;
    s->unusable_blocks = stats->alone.unusable_blocks;
    s->again_blocks = stats->alone.again_blocks;
    s->kept_b = stats->alone.kept_b;
    s->orphan_b = stats->alone.orphan_b;
    s->orphan_most_b = stats->alone.orphan_most_b;
    s->orphan_mean_b =
        stats->alone.weighed_ns ? stats->alone.orphan_b_ns / (double)stats->alone.weighed_ns : 0;
    s->orphan_mean_ratio = isinf(room_b) ? (double)NAN : s->orphan_mean_b / room_b;
}

int shards_collect(struct shards *s, const struct resolved *r, const struct kvt_core *core,
                   const struct sim_world *sim, const struct be_world *real)
{
    const struct kvt_shard_config *c = &r->core.shard;
    *s = (struct shards){0};
    if (!c->policy)
        return 0;
    struct kvt_core_stats stats;
    kvt_core_stats(core, &stats);
    s->policy = c->policy->name;
    s->access = access_names[c->access];
    s->replicas = c->replicas;
    s->gpus = c->gpus;
    if (stats.resize.begun && r->core.resize.gpus > c->gpus)
        s->gpus = r->core.resize.gpus; /* else: all that there were */
    s->living = stats.resize.over ? r->core.resize.gpus : s->gpus;
    s->layers = c->layers;
    s->block_tokens = c->block_tokens;
    s->lost_blocks = stats.shard_lost_blocks;
    s->recopies = c->rereplicate;
    s->stats = stats;
    s->n_gpus = r->core.engines * s->gpus;
    s->gpu = calloc(s->n_gpus, sizeof *s->gpu);
    if (!s->gpu)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->n_gpus; i++) {
        s->gpu[i].engine = i / s->gpus;
        s->gpu[i].gpu = i % s->gpus;
        (void)kvt_core_gpu(core, (kvt_engine_id){s->gpu[i].engine}, s->gpu[i].gpu, &s->gpu[i].held);
    }
    if (r->core.shard_alone)
        add_orphans(s, &stats);
    add_links(s, sim);
    add_copies(s, real);
    weigh(s);
    for (uint32_t k = 1; k <= SHARDS_LOSS_MOST; k++)
        add_loss(s, core, k);
    if (add_chain(s, r, core) != 0) {
        shards_release(s);
        return -ENOMEM;
    }
    add_costs(s, r);
    return 0;
}

void shards_release(struct shards *s)
{
    free(s->gpu);
    free(s->chain);
    *s = (struct shards){0};
}
