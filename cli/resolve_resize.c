/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolve_resize.c - cache.shard.resize_at and resize_gpus: engines that get more GPUs, or fewer, while they serve.
 *
 * What an engine is afterwards is what the same scenario with cluster.gpus_per_engine: resize_gpus would make of it:
 * its memory, the time of its steps, the links of its GPUs, all resolved as for any other. That it happens is one entry
 * of the plan of faults (faults.h), the only one, so that results show what it did in the same manner. Where fewer GPUs cannot
 * hold the model, numbers in between are tried, so that the message names one that would do.
 */
#include "resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_GPUS = 8 }; /* as in model.c */

/* The NICs of a node are those of its GPUs: links are built for all that are there at any time. */
static bool whole_nodes(uint32_t gpus)
{
    return gpus <= NODE_GPUS || gpus % NODE_GPUS == 0;
}

/* What another number of GPUs needs; what it does not go together with: together.h. */
static int check(const struct resolved *r, const struct scenario *s, char *error)
{
    const struct scenario_shard *shard = &s->cache.shard;
    const struct kvt_shard_config *c = &r->core.shard;
    if (shard->resize_at_ns == KVT_NEVER)
        return resolve_refusef(s, "cache.shard.resize_at", error,
                               "expected a time, since cache.shard.resize_gpus is given");
    if (!shard->resize_gpus)
        return resolve_refusef(
            s, "cache.shard.resize_gpus", error,
            "expected the GPUs of an engine from then on, another number than %u", c->gpus);
    if (!c->policy)
        return resolve_refusef(s, "cache.shard.policy", error,
                               "expected one that shards, since cache.shard.resize_at is given");
    if (shard->resize_gpus == c->gpus)
        return resolve_refusef(s, "cache.shard.resize_gpus", error,
                               "expected another number than %u, the GPUs of an engine before",
                               c->gpus);
    const bool fewer = shard->resize_gpus < c->gpus;
    if (c->gpus < 2 || !whole_nodes(fewer ? (uint32_t)shard->resize_gpus : c->gpus))
        return resolve_refusef(
            s, fewer ? "cache.shard.resize_gpus" : "cluster.gpus_per_engine", error,
            "expected 2 to %u, or whole nodes of that many, with cache.shard.resize_at", NODE_GPUS);
    return 0;
}

static void add_entry(struct resolved *r, const struct scenario *s)
{
    struct fault_plan *plan = &r->faults;
    struct fault *f = &plan->faults[plan->n++];
    *f = (struct fault){.at = FAULT_RESIZE,
                        .n = r->core.engines,
                        .at_ns = s->cache.shard.resize_at_ns,
                        .for_ns = KVT_NEVER,
                        .every_ns = KVT_NEVER};
    snprintf(f->target, sizeof f->target, "gpus/%u", r->core.resize.gpus);
}

static int resolve_with(struct resolved *after, const struct scenario *s,
                        const struct catalog *catalog, uint32_t block_tokens, uint32_t gpus,
                        char *error)
{
    struct scenario then = *s;
    then.cluster.gpus_per_engine = gpus;
    then.cache.shard.resize_at_ns = KVT_NEVER;
    then.cache.shard.resize_gpus = 0;
    return resolve(after, &then, catalog, block_tokens, error);
}

/* Why it cannot be so many; of fewer than before, and the least that can be. `after` is scratch. */
static int refuse_gpus(struct resolved *after, const struct resolved *r, const struct scenario *s,
                       const struct catalog *catalog, uint32_t block_tokens, char *error)
{
    char why[SCENARIO_ERROR_SIZE], ignored[SCENARIO_ERROR_SIZE];
    const uint32_t before = r->core.shard.gpus, wanted = (uint32_t)s->cache.shard.resize_gpus;
    const char *expected = strstr(error, "expected"); /* of cluster.gpus_per_engine, or the like */
    snprintf(why, sizeof why, "%s", expected ? expected + strlen("expected ") : error);
    if (wanted > before)
        return resolve_refusef(s, "cache.shard.resize_gpus", error, "expected %.200s", why);
    uint32_t gpus = wanted + 1;
    while (gpus < before && (!whole_nodes(gpus) ||
                             resolve_with(after, s, catalog, block_tokens, gpus, ignored) != 0))
        gpus++;
    if (gpus == before)
        return resolve_refusef(s, "cache.shard.resize_gpus", error,
                               "expected no fewer than the %u of before; %u would want %.150s",
                               before, wanted, why);
    return resolve_refusef(s, "cache.shard.resize_gpus", error,
                           "expected a number such as %u; %u would want %.150s", gpus, wanted, why);
}

int resolve_resize(struct resolved *r, const struct scenario *s, const struct catalog *catalog,
                   uint32_t block_tokens, char *error)
{
    const struct scenario_shard *shard = &s->cache.shard;
    if (shard->resize_at_ns == KVT_NEVER && !shard->resize_gpus)
        return 0;
    int rc = check(r, s, error);
    if (rc != 0)
        return rc;
    struct resolved *after = malloc(sizeof *after);
    if (!after) {
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
        return -ENOMEM;
    }
    rc = resolve_with(after, s, catalog, block_tokens, (uint32_t)shard->resize_gpus, error);
    if (rc != 0) {
        rc = refuse_gpus(after, r, s, catalog, block_tokens, error);
        free(after);
        return rc;
    }
    const struct kvt_core_config *core = &after->core;
    const uint32_t before = r->core.shard.gpus;
    if (core->shard.gpus > before && core->shard_room.gpu_b < r->core.shard_room.gpu_b)
        rc = resolve_refusef(
            s, "cache.tiers.gpu.capacity", error,
            "expected auto or infinite with cache.shard.resize_at: so much over %u GPUs is "
            "less on each",
            core->shard.gpus);
    if (rc == 0) {
        r->core.resize = (struct kvt_resize_config){.gpus = core->shard.gpus,
                                                    .gpu_pages = core->gpu_pages,
                                                    .gpu_b = core->shard_room.gpu_b,
                                                    .page_gpu_b = core->shard_room.page_gpu_b,
                                                    .prefill = core->prefill};
        r->sim.resized_gpu = after->sim.gpu;
        r->sim.resized_fabric = after->sim.fabric;
        if (core->shard.gpus < before)
            r->sim.resized_fabric.leaving = before - core->shard.gpus;
        add_entry(r, s);
        resolve_add_note(r, "cache.shard.resize_gpus", "%.2f GB for KV on each GPU, %.2f before",
                         (double)core->shard_room.gpu_b / 1e9,
                         (double)r->core.shard_room.gpu_b / 1e9);
    }
    free(after);
    return rc;
}
