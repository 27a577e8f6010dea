/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolve.c - the engine: model, GPU, stack, pages. Tiers below it are in resolve_tiers.c.
 *
 *      pages per engine = what the memory budget leaves for KV / bytes of a page          (auto)
 *                       = the given bytes or blocks, at most what the budget leaves       (sim)
 *
 * The null world has no memory that could be short: there a capacity in blocks bounds only what
 * is kept of finished prompts, and running requests find pages without end. That is the question
 * a hit-rate curve asks.
 */
#include "resolve.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "cost_prices.h"
#include "model.h"
#include "together.h"

enum { PIECE_B = 2 << 20 }; /* transfers move in pieces of 2 MiB */

int resolve_refuse(const struct scenario *s, const char *path, const char *expected, char *error)
{
    char where[SCENARIO_ERROR_SIZE / 2];
    snprintf(error, SCENARIO_ERROR_SIZE, "%s: %.250s", scenario_where(s, path, where, sizeof where),
             expected);
    return -EINVAL;
}

int resolve_refusef(const struct scenario *s, const char *path, char *error, const char *format,
                    ...)
{
    char want[240];
    va_list args;
    va_start(args, format);
    vsnprintf(want, sizeof want, format, args);
    va_end(args);
    return resolve_refuse(s, path, want, error);
}

void resolve_add_note(struct resolved *r, const char *path, const char *format, ...)
{
    if (r->n_notes == RESOLVED_NOTES_MOST)
        return;
    struct resolved_note *note = &r->notes[r->n_notes++];
    snprintf(note->path, sizeof note->path, "%s", path);
    va_list args;
    va_start(args, format);
    vsnprintf(note->text, sizeof note->text, format, args);
    va_end(args);
}

const char *resolve_note(void *self, const char *path)
{
    const struct resolved *r = self;
    for (uint32_t i = 0; i < r->n_notes; i++)
        if (strcmp(r->notes[i].path, path) == 0)
            return r->notes[i].text;
    return NULL;
}

/* The catalogue's entries that an engine is made of. */
struct parts {
    struct catalog_model shaped; /* the catalogue's, with the scenario's type of KV */
    const struct catalog_model *model;
    const struct catalog_gpu *gpu;
    const struct catalog_stack *stack;
};

static int find_parts(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
                      struct parts *parts, char *error)
{
    const struct scenario_cluster *cluster = &s->cluster;
    char why[256];
    parts->model = catalog_model(catalog, cluster->model, why, sizeof why);
    if (!parts->model)
        return resolve_refuse(s, "cluster.model", why, error);
    parts->gpu = catalog_gpu(catalog, cluster->gpu, why, sizeof why);
    if (!parts->gpu)
        return resolve_refuse(s, "cluster.gpu", why, error);
    parts->stack = catalog_stack(catalog, cluster->stack, why, sizeof why);
    if (!parts->stack)
        return resolve_refuse(s, "cluster.stack", why, error);
    parts->shaped = *parts->model;
    parts->model = &parts->shaped;
    if (cluster->kv_dtype != DTYPE_AUTO)
        parts->shaped.kv_bits.number = cluster->kv_dtype == DTYPE_FP32 ? 32 : 16;
    resolve_add_note(r, "cluster.kv_dtype", "%g bits per element", parts->model->kv_bits.number);
    resolve_add_note(r, "cluster.model", "%s, %.0f KV bytes per token", parts->model->title,
                     r->kv_b_per_token = model_kv_b_per_token(parts->model, 1));
    resolve_add_note(r, "cluster.gpu", "%s", parts->gpu->title);
    resolve_add_note(r, "cluster.stack", "%s", parts->stack->title);
    r->context_tokens = (uint32_t)parts->model->context_tokens.number;
    return 0;
}

/* Batch limits: the scenario's, or the stack's own. */
static int resolve_batch(struct resolved *r, const struct scenario *s, const struct parts *parts,
                         char *error)
{
    uint64_t tokens = s->cluster.max_batch_tokens, requests = s->cluster.max_batch_requests;
    if (!tokens) {
        tokens = (uint64_t)parts->stack->batch_tokens.number;
        resolve_add_note(r, "cluster.max_batch_tokens", "%llu, of stack %s",
                         (unsigned long long)tokens, parts->stack->name);
    }
    if (!requests) {
        requests = (uint64_t)parts->stack->batch_requests.number;
        if (requests >= tokens && s->cluster.max_batch_tokens)
            requests = tokens - 1;
        resolve_add_note(r, "cluster.max_batch_requests", "%llu, of stack %s",
                         (unsigned long long)requests, parts->stack->name);
    }
    if (tokens <= requests)
        return resolve_refuse(
            s, "cluster.max_batch_tokens",
            "expected more than cluster.max_batch_requests: every running request "
            "decodes one token",
            error);
    r->core.max_batch_tokens = (uint32_t)tokens;
    r->core.max_batch_requests = (uint32_t)requests;
    return 0;
}

static int resolve_budget(struct resolved *r, const struct scenario *s, const struct parts *parts,
                          char *error)
{
    double ratio = s->cluster.gpu_memory_ratio;
    if (ratio <= 0) {
        ratio = parts->stack->memory_ratio.number;
        resolve_add_note(r, "cluster.gpu_memory_ratio", "%g, of stack %s", ratio,
                         parts->stack->name);
    }
    int rc =
        budget_compute(&r->budget, parts->gpu, parts->model, (uint32_t)s->cluster.gpus_per_engine,
                       ratio, r->core.max_batch_tokens, r->core.max_batch_requests);
    /* Without time there is no batch either: hit rates of a given capacity need no GPU that could hold it. */
    bool asked = s->world != WORLD_NULL || s->cache.tiers[KVT_GPU].capacity.kind == UNITS_AUTO;
    if (rc == 0 || !asked)
        return 0;
    char why[256];
    budget_complaint(&r->budget, why, sizeof why);
    resolve_refuse(s, "cluster.model", why, error);
    return rc;
}

/* Pages of the budget, and of each running request beside its tokens. */
static uint64_t budget_pages(struct resolved *r)
{
    uint32_t page = r->core.page_tokens;
    r->core.pages_per_request = (uint32_t)ceil(r->budget.request_kv_tokens / page);
    r->core.window_tokens = r->budget.window_tokens;
    return r->budget.kv_tokens / page;
}

static int resolve_pages(struct resolved *r, const struct scenario *s, char *error)
{
    const struct units_capacity *capacity = &s->cache.tiers[KVT_GPU].capacity;
    struct kvt_core_config *core = &r->core;
    uint32_t pages_per_block = core->block_tokens / core->page_tokens;
    uint64_t most = budget_pages(r), pages;
    uint64_t blocks = capacity->value;
    if (capacity->kind == UNITS_CAPACITY_B)
        blocks = (uint64_t)((double)capacity->value / (r->kv_b_per_token * core->block_tokens));
    if (capacity->kind == UNITS_AUTO) {
        pages = most;
    } else if (s->world == WORLD_NULL) {
        core->gpu_pages = UINT64_MAX;
        core->pages_per_request = 0;
        if (capacity->kind != UNITS_INFINITE)
            core->tiers[KVT_GPU].capacity_blocks = blocks;
        r->tier_blocks[KVT_GPU] = core->tiers[KVT_GPU].capacity_blocks;
        if (blocks == 0 && capacity->kind != UNITS_INFINITE)
            return resolve_refuse(s, "cache.tiers.gpu.capacity",
                                  "expected room for at least one block", error);
        return 0;
    } else {
        pages = blocks > most / pages_per_block ? most + 1 : blocks * pages_per_block;
        if (pages > most) {
            char want[200];
            snprintf(want, sizeof want,
                     "expected at most %llublocks, which is what %s leaves on %u x %s",
                     (unsigned long long)(most / pages_per_block), r->budget.model, r->budget.gpus,
                     r->budget.gpu);
            return resolve_refuse(s, "cache.tiers.gpu.capacity", want, error);
        }
    }
    if (pages == 0)
        return resolve_refuse(s, "cache.tiers.gpu.capacity", "expected room for at least one page",
                              error);
    core->gpu_pages = pages < KVT_NONE ? pages : KVT_NONE - 1;
    r->tier_blocks[KVT_GPU] = pages / pages_per_block * core->engines;
    if (capacity->kind == UNITS_AUTO)
        resolve_add_note(r, "cache.tiers.gpu.capacity",
                         "%llu pages of %u tokens per engine, what the memory budget leaves",
                         (unsigned long long)pages, core->page_tokens);
    return 0;
}

static int resolve_core(struct resolved *r, const struct scenario *s, const struct parts *parts,
                        uint32_t block_tokens, char *error)
{
    const struct scenario_cache *cache = &s->cache;
    struct kvt_core_config *core = &r->core;
    kvt_core_config_init(core);
    core->page_numbers = s->world == WORLD_REAL; /* the others have no memory behind their pages */
    core->engines = (uint32_t)s->cluster.engines;
    core->block_tokens = cache->block_tokens ? (uint32_t)cache->block_tokens : block_tokens;
    core->page_tokens = cache->page_tokens ? (uint32_t)cache->page_tokens : core->block_tokens;
    if (!cache->block_tokens)
        resolve_add_note(r, "cache.block_tokens", "%u, of the workload", core->block_tokens);
    if (core->block_tokens % core->page_tokens != 0) {
        char want[96];
        snprintf(want, sizeof want, "expected a divisor of the block, which has %u tokens",
                 core->block_tokens);
        return resolve_refuse(s, "cache.page_tokens", want, error);
    }
    core->cache = cache->enabled;
    core->single_flight = cache->single_flight;
    core->partial_blocks = cache->partial_blocks;
    core->recompute_last_token = cache->recompute_last_token;
    core->match = cache->match_chain ? KVT_MATCH_CHAIN : KVT_MATCH_EXACT;
    core->approximate_threshold = cache->approximate_threshold;
    core->approximate_prompts = (uint32_t)cache->approximate_candidates;
    core->count_partial = cache->match_radix;
    core->reuse_partial = cache->match_radix && cache->match_chain;
    core->touch = (enum kvt_touch_order)cache->tiers[KVT_GPU].touch;
    core->router = (enum kvt_router_kind)s->cluster.router;
    core->load_choice = (enum kvt_load_choice)cache->load_or_compute;
    core->load_patience = cache->load_patience;
    core->history_blocks = cache->history_blocks;
    core->contiguous_tokens =
        s->cluster.contiguous_tokens ? (uint32_t)s->cluster.contiguous_tokens : r->context_tokens;
    if (!s->cluster.contiguous_tokens)
        resolve_add_note(r, "cluster.contiguous_tokens", "%u, the model's context",
                         core->contiguous_tokens);
    int rc = resolve_batch(r, s, parts, error);
    return rc ? rc : resolve_budget(r, s, parts, error);
}

static int resolve_sim(struct resolved *r, const struct scenario *s, const struct parts *parts,
                       char *error)
{
    struct sim_config *sim = &r->sim;
    char why[256];
    sim->seed = s->seed;
    sim->engines = r->core.engines;
    sim->kv_b_per_token = r->kv_b_per_token;
    sim->piece_b = PIECE_B;
    sim->frontend_ns = (kvt_ns)parts->stack->frontend_ns.number;
    sim->hash_ns_per_token = parts->stack->tokenise_ns.number + parts->stack->hash_ns.number;
    if (model_engine(parts->gpu, parts->model, parts->stack, (uint32_t)s->cluster.gpus_per_engine,
                     &sim->gpu, why, sizeof why) != 0)
        return resolve_refuse(s, "cluster.gpus_per_engine", why, error);
    const char *wrong = sim_gpu_check(&sim->gpu);
    if (wrong)
        return resolve_refuse(s, "cluster.gpu", wrong, error);
    sim_gpu_prepare(&sim->gpu);
    sim_gpu_prefill_cost(&sim->gpu, r->core.max_batch_tokens, &r->core.prefill);
    return 0;
}

/* Keys that are accepted in every world, so that one file serves all of them. */
static void note_real_keys(struct resolved *r)
{
    static const char *const paths[] = {
        "real.device",
        "real.threads",
        "real.verify",
        "real.stage",
        "cache.tiers.redis.address",
        "cache.tiers.redis.layout",
        "cache.tiers.redis.depth",
        "cache.tiers.disk.folder",
        "cache.tiers.disk.sync",
        "cache.tiers.disk.direct",
        "cache.tiers.disk.keep",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        resolve_add_note(r, paths[i], "no meaning in this world, only in the real one");
}

int resolve(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
            uint32_t block_tokens, char *error)
{
    memset(r, 0, sizeof *r);
    for (size_t kind = 0; kind < KVT_TIERS; kind++)
        r->tier_blocks[kind] = r->tier_b[kind] = UINT64_MAX;
    struct parts parts;
    int rc = find_parts(r, s, catalog, &parts, error);
    if (rc == 0)
        rc = resolve_core(r, s, &parts, block_tokens, error);
    if (rc == 0)
        rc = resolve_sim(r, s, &parts, error);
    if (rc == 0)
        rc = resolve_pages(r, s, error);
    if (rc == 0)
        rc = resolve_tiers(r, s, catalog, parts.gpu, error);
    if (rc == 0)
        rc = together_check(r, s, parts.model, error);
    if (rc == 0)
        rc = resolve_evict(r, s, error);
    if (rc == 0)
        rc = resolve_shard(r, s, parts.gpu, parts.model, error);
    if (rc == 0)
        rc = resolve_rollout(r, s, error);
    if (rc == 0)
        rc = resolve_regions(r, s, catalog, error);
    if (rc == 0)
        rc = cost_plan_init(r, s, catalog, error);
    if (rc == 0)
        rc = resolve_faults(r, s, catalog, error);
    if (rc == 0)
        rc = resolve_resize(r, s, catalog, block_tokens, error);
    if (rc != 0)
        return rc;
    if (s->world != WORLD_REAL)
        note_real_keys(r);
    const char *wrong = kvt_core_config_check(&r->core);
    if (wrong) {
        snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: expected a usable configuration: %s", s->path,
                 wrong);
        return -EINVAL;
    }
    return 0;
}
