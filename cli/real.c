/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * real.c - opens and closes the real world of a plan.
 *
 *      open     servers -> temporary folder -> world          close    world -> folder -> servers
 *
 * Whatever fails on the way is closed again in the same order, so a run that cannot begin leaves
 * nothing: no process, no socket, no folder. If this process itself is killed, its servers die with
 * it (spawn.h), and the next run removes its temporary folders (scratch.h).
 */
#include "real.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../backend/scratch.h"
#include "../sim/gpu.h"

struct real {
    struct be_spawn *spawn;
    struct be_redis_address *nodes; /* of spawned servers */
    struct be_world *world;
    const struct sim_gpu *gpu;
    const struct real_plan *plan;
    bool tiers[KVT_TIERS];
    struct be_scratch scratch; /* temporary, of the disk tier */
    char folder[PATH_MAX];     /* in it */
};

/* ---- Time of steps ----------------------------------------------------------------------------------- */

static kvt_ns step_ns(void *self, const struct kvt_step *step, uint32_t iterations)
{
    const struct real *real = self;
    return sim_gpu_step_ns(real->gpu, step, iterations);
}

static uint32_t iterations_by(void *self, const struct kvt_step *step, kvt_ns elapsed_ns)
{
    const struct real *real = self;
    return sim_gpu_iterations_by(real->gpu, step, elapsed_ns);
}

/* ---- Opening ----------------------------------------------------------------------------------------- */

static int open_servers(struct real *real, struct be_world_config *config, char *error)
{
    const struct be_spawn_config *spawn = &real->plan->spawn;
    char why[256];
    config->redis.nodes = real->plan->nodes;
    if (spawn->n == 0)
        return 0;
    real->nodes = calloc(spawn->n, sizeof *real->nodes);
    if (!real->nodes) {
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
        return -ENOMEM;
    }
    real->spawn = be_spawn_new(spawn, why, sizeof why);
    if (!real->spawn) {
        snprintf(error, SCENARIO_ERROR_SIZE, "a Redis server of its own: %s", why);
        return -ECHILD;
    }
    for (uint32_t i = 0; i < spawn->n; i++)
        real->nodes[i] = *be_spawn_address(real->spawn, i);
    config->redis.nodes = real->nodes;
    return 0;
}

static int open_folder(struct real *real, struct be_world_config *config, char *error)
{
    char why[320];
    config->disk.folder = real->plan->folder;
    if (real->plan->folder)
        return 0;
    int rc = be_scratch_open(&real->scratch, NULL, why, sizeof why);
    if (rc == 0 && (rc = be_scratch_path(&real->scratch, "disk", real->folder)) != 0)
        snprintf(why, sizeof why, "%s", strerror(-rc));
    if (rc != 0) {
        snprintf(error, SCENARIO_ERROR_SIZE, "TMPDIR: the disk tier: %s", why);
        return rc;
    }
    config->disk.folder = real->folder;
    config->disk.keep = false;
    return 0;
}

static int open_world(struct real *real, struct be_world_config *config, bool cache,
                      const struct kvt_observer *observer, char *error)
{
    char why[256];
    int rc = 0;
    for (int kind = KVT_GPU + 1; kind < KVT_TIERS; kind++)
        config->tiers[kind] = config->tiers[kind] && cache;
    memcpy(real->tiers, config->tiers, sizeof real->tiers);
    if (config->tiers[KVT_REDIS])
        rc = open_servers(real, config, error);
    else
        config->redis.n_nodes = 0;
    if (rc == 0 && config->tiers[KVT_DISK])
        rc = open_folder(real, config, error);
    if (rc != 0)
        return rc;
    real->world = be_world_new(config, observer, &rc, why, sizeof why);
    if (!real->world)
        snprintf(error, SCENARIO_ERROR_SIZE, "the real world: %s", why);
    return rc;
}

struct real *real_open(const struct real_plan *plan, const struct resolved *r,
                       const struct kvt_observer *observer, const volatile sig_atomic_t *stop,
                       int *rc, char *error)
{
    struct real *real = calloc(1, sizeof *real);
    if (!real) {
        snprintf(error, SCENARIO_ERROR_SIZE, "out of memory");
        *rc = -ENOMEM;
        return NULL;
    }
    real->plan = plan;
    real->gpu = &r->sim.gpu;
    struct be_world_config config = plan->config;
    if (!r->core.shard.policy && config.shard.policy) { /* a baseline of engines in shards */
        config.shard.policy = NULL;
        config.geometry.pages = (uint32_t)r->core.gpu_pages;
    }
    config.compute = (struct be_compute){step_ns, iterations_by, real};
    config.stop = stop;
    *rc = open_world(real, &config, r->core.cache, observer, error);
    if (*rc == 0)
        return real;
    real_close(real);
    return NULL;
}

void real_close(struct real *real)
{
    if (!real)
        return;
    be_world_free(real->world);
    be_scratch_close(&real->scratch);
    be_spawn_free(real->spawn);
    free(real->nodes);
    free(real);
}

/* ---- Looking ----------------------------------------------------------------------------------------- */

struct be_world *real_world(const struct real *real)
{
    return real->world;
}

struct be_spawn *real_spawn(const struct real *real)
{
    return real->spawn;
}

void real_describe(const struct real *real, char *text, size_t size)
{
    const struct be_device *device = be_world_device(real->world);
    char redis[160] = "", where[100];
    if (real->tiers[KVT_REDIS] && real->spawn)
        snprintf(redis, sizeof redis, "; %u Redis server%s of its own", real->plan->spawn.n,
                 real->plan->spawn.n == 1 ? "" : "s");
    else if (real->tiers[KVT_REDIS])
        snprintf(redis, sizeof redis, "; Redis at %.90s%s",
                 be_redis_address_show(&real->plan->nodes[0], where, sizeof where),
                 real->plan->config.redis.n_nodes > 1 ? " and others" : "");
    snprintf(text, size, "KV in %.100s%s%s; GPU time is modelled", device->title, redis,
             real->tiers[KVT_DISK] ? "; files on disk" : "");
}
