/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolve.h - scenario and catalogue become the numbers that core, sim and workload run on.
 *
 * All of it is arithmetic on the catalogue's constants. What a scenario leaves to "auto" is
 * decided here and noted, so that --explain can say where each number comes from.
 *
 * One set of constants serves twice: the simulated world takes its time from them, and core
 * predicts with them whether loading a block beats computing it.
 */
#ifndef CLI_RESOLVE_H
#define CLI_RESOLVE_H

#include "../core/core.h"
#include "../sim/config.h"
#include "../workload/rollout.h"
#include "budget.h"
#include "catalog.h"
#include "cost.h"
#include "faults.h"
#include "regions.h"
#include "scenario.h"

enum { RESOLVED_NOTES_MOST = 64 };

/* What was decided about a key, for --explain. */
struct resolved_note {
    char path[64];
    char text[160];
};

struct resolved {
    struct kvt_core_config core;
    struct sim_config sim;
    struct budget budget;
    double kv_b_per_token;   /* one copy, all layers that grow with the context */
    uint32_t context_tokens; /* the model's */
    /* Without sharding: for a baseline. */
    uint64_t plain_gpu_pages;
    struct sim_gpu plain_gpu;
    struct kvt_prefill_cost plain_prefill;
    bool plain_closed;      /* the gpu tier */
    double exchange_head_b; /* query and output of one head of all layers, per token */
    uint32_t query_heads;
    struct fault_plan faults; /* what breaks, and when */
    struct wl_rollout_config rollout;
    struct regions regions; /* whose requests are served where */
    /* Totals over the cluster, UINT64_MAX without bound: for reports. */
    uint64_t tier_blocks[KVT_TIERS], tier_b[KVT_TIERS];
    struct cost_plan cost; /* what all of it costs */
    struct resolved_note notes[RESOLVED_NOTES_MOST];
    uint32_t n_notes;
};

/* Resolves a typed scenario. block_tokens: of the workload, used where cache.block_tokens is
 * auto (> 0). Returns 0; or a negative errno with one line in error[SCENARIO_ERROR_SIZE].
 * -ENOSPC: the model does not fit, and r->budget holds the figures (budget_table prints them). */
KVT_MUST_CHECK int resolve(struct resolved *r, const struct scenario *s,
                           const struct catalog *catalog, uint32_t block_tokens, char *error);

/* The note on a key, or NULL: shaped for scenario_explain. self is a struct resolved *. */
const char *resolve_note(void *self, const char *path);

/* ---- resolve_tiers.c ------------------------------------------------------------------------------- */

/* Kinds of variation as the catalogue's names end: a host's "-get", "-set", ... */
extern const char *const resolve_varied[SIM_VARIED];

/* Tiers below the GPU, their devices and links; r->core and r->sim have everything else already. */
KVT_MUST_CHECK int resolve_tiers(struct resolved *r, const struct scenario *s,
                                 const struct catalog *catalog, const struct catalog_gpu *gpu,
                                 char *error);

/* On which GPUs KV lies; last, since it goes by all the rest. */
KVT_MUST_CHECK int resolve_shard(struct resolved *r, const struct scenario *s,
                                 const struct catalog_gpu *gpu, const struct catalog_model *model,
                                 char *error);

/* Sharded engines have so much memory as `plain_pages` pages take that lie on all GPUs evenly. */
void resolve_shard_pages(struct resolved *r, uint64_t plain_pages);

/* Of any policy on these engines: the compute model of reading in place, prepared, from that of tensor
 * parallelism; and fabric.h's part_b. */
void resolve_shard_in_place(const struct resolved *r, const struct kvt_shards *shape,
                            struct sim_gpu *gpu);
uint64_t resolve_shard_part_b(const struct resolved *r, const struct kvt_shards *shape);

/* ---- resolve_resize.c: engines that get more GPUs. After resolve_faults: it is one more entry of that plan, and the
 * only one. */
KVT_MUST_CHECK int resolve_resize(struct resolved *r, const struct scenario *s,
                                  const struct catalog *catalog, uint32_t block_tokens,
                                  char *error);

/* ---- resolve_rollout.c: last, since it goes by capacities and policies. */
KVT_MUST_CHECK int resolve_rollout(struct resolved *r, const struct scenario *s, char *error);

/* ---- resolve_regions.c: after tiers and policies. */
KVT_MUST_CHECK int resolve_regions(struct resolved *r, const struct scenario *s,
                                   const struct catalog *catalog, char *error);
/* How many regions the scenario names; 1: none. */
uint32_t resolve_regions_count(const struct scenario *s);

/* The same engines as if nothing were sharded. */
void resolve_unshard(struct resolved *r);

/* Policies of all tiers, and quotas; after resolve_tiers, which says who manages them. */
KVT_MUST_CHECK int resolve_evict(struct resolved *r, const struct scenario *s, char *error);

/* Adds a note; silently drops what does not fit. */
__attribute__((format(printf, 3, 4))) void resolve_add_note(struct resolved *r, const char *path,
                                                            const char *format, ...);

/* "where: expected", for names and values that only the catalogue can judge. Returns -EINVAL. */
int resolve_refuse(const struct scenario *s, const char *path, const char *expected, char *error);
/* The same with what was expected as printf has it. */
__attribute__((format(printf, 4, 5))) int
resolve_refusef(const struct scenario *s, const char *path, char *error, const char *format, ...);

#endif
