/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolve_resize.c - cache.shard.resize_at and resize_gpus: engines that get more GPUs while they serve.
 *
 * What an engine is afterwards is what the same scenario with cluster.gpus_per_engine: resize_gpus would make of it:
 * its memory, the time of its steps, the links of its GPUs, all resolved as for any other. That it happens is one entry
 * of the plan of faults (faults.h), the only one, so that results show what it did in the same manner.
 */
#include "resolve.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_GPUS = 8 }; /* as in model.c */

__attribute__((format(printf, 4, 5))) static int refuse(const struct scenario *s, const char *key,
                                                        char *error, const char *format, ...)
{
    char want[240];
    va_list args;
    va_start(args, format);
    vsnprintf(want, sizeof want, format, args);
    va_end(args);
    return resolve_refuse(s, key, want, error);
}

/* What growing needs; what it does not go together with: together.h. */
static int check(const struct resolved *r, const struct scenario *s, char *error)
{
    const struct scenario_shard *shard = &s->cache.shard;
    const struct kvt_shard_config *c = &r->core.shard;
    if (shard->resize_at_ns == KVT_NEVER)
        return refuse(s, "cache.shard.resize_at", error,
                      "expected a time, since cache.shard.resize_gpus is given");
    if (!shard->resize_gpus)
        return refuse(s, "cache.shard.resize_gpus", error,
                      "expected the GPUs of an engine from then on, more than %u", c->gpus);
    if (!c->policy)
        return refuse(s, "cache.shard.policy", error,
                      "expected one that shards, since cache.shard.resize_at is given");
    const bool nodes = c->gpus <= NODE_GPUS || c->gpus % NODE_GPUS == 0;
    if (c->gpus < 2 || !nodes)
        return refuse(s, "cluster.gpus_per_engine", error,
                      "expected 2 to %u, or whole nodes of that many, with cache.shard.resize_at",
                      NODE_GPUS);
    if (shard->resize_gpus <= c->gpus)
        return refuse(s, "cache.shard.resize_gpus", error,
                      "expected more than %u, the GPUs of an engine before: engines only grow",
                      c->gpus);
    return 0;
}

static void add_entry(struct resolved *r, const struct scenario *s)
{
    struct fault_plan *plan = &r->faults;
    struct fault *f = &plan->faults[plan->n++];
    *f = (struct fault){.at = FAULT_GROWTH,
                        .n = r->core.engines,
                        .at_ns = s->cache.shard.resize_at_ns,
                        .for_ns = KVT_NEVER,
                        .every_ns = KVT_NEVER};
    snprintf(f->target, sizeof f->target, "gpus/%u", r->core.resize.gpus);
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
    struct scenario then = *s;
    struct resolved *after = malloc(sizeof *after);
    if (!after) {
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
        return -ENOMEM;
    }
    then.cluster.gpus_per_engine = shard->resize_gpus;
    then.cache.shard.resize_at_ns = KVT_NEVER;
    then.cache.shard.resize_gpus = 0;
    rc = resolve(after, &then, catalog, block_tokens, error);
    if (rc != 0) { /* it speaks of cluster.gpus_per_engine, or of what depends on it */
        char why[SCENARIO_ERROR_SIZE];
        const char *expected = strstr(error, "expected");
        snprintf(why, sizeof why, "%s", expected ? expected : error);
        free(after);
        return refuse(s, "cache.shard.resize_gpus", error, "%.200s", why);
    }
    const struct kvt_core_config *core = &after->core;
    if (core->shard_room.gpu_b < r->core.shard_room.gpu_b)
        rc = refuse(s, "cache.tiers.gpu.capacity", error,
                    "expected auto or infinite with cache.shard.resize_at: so much over %u GPUs is "
                    "less on each",
                    core->shard.gpus);
    if (rc == 0) {
        r->core.resize = (struct kvt_resize_config){.gpus = core->shard.gpus,
                                                    .gpu_pages = core->gpu_pages,
                                                    .gpu_b = core->shard_room.gpu_b,
                                                    .page_gpu_b = core->shard_room.page_gpu_b,
                                                    .prefill = core->prefill};
        r->sim.grown_gpu = after->sim.gpu;
        r->sim.grown_fabric = after->sim.fabric;
        add_entry(r, s);
        resolve_add_note(r, "cache.shard.resize_gpus", "%.2f GB for KV on each GPU, %.2f before",
                         (double)core->shard_room.gpu_b / 1e9,
                         (double)r->core.shard_room.gpu_b / 1e9);
    }
    free(after);
    return rc;
}
