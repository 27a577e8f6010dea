/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * parts.c - see parts.h.
 */
#include "parts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int parts_of_real(struct parts *parts, struct be_world *world, uint32_t nodes, kvt_ns now)
{
    *parts = (struct parts){0};
    parts->stats = calloc(nodes + 1, sizeof *parts->stats);
    parts->busy = calloc(nodes + 1, sizeof *parts->busy);
    if (!parts->stats || !parts->busy)
        return -ENOMEM;
    uint32_t threads;
    const struct be_workers_stats workers = be_world_workers(world, &threads);
    parts->busy[parts->n++] = (struct results_busy){
        .name = "machine/workers",
        .servers = threads,
        .busy_ratio = now > 0 ? (double)workers.busy_ns / ((double)now * threads) : 0,
        .queue_mean = NAN,
        .wait_mean_ns = workers.chores > 0 ? (double)workers.wait_ns / (double)workers.chores : NAN,
        .jobs = workers.chores,
    };
    for (uint32_t i = 0; i < nodes; i++) {
        struct be_redis_stats stats;
        be_world_redis(world, i, &stats);
        snprintf(parts->stats[i].name, sizeof parts->stats[i].name, "redis%u/sockets", i);
        parts->busy[parts->n++] = (struct results_busy){
            .name = parts->stats[i].name,
            .servers = 1,
            .busy_ratio = NAN,
            .queue_mean = NAN,
            .wait_mean_ns = NAN,
            .jobs = stats.replies,
            .bytes = stats.bytes_in + stats.bytes_out,
        };
    }
    return 0;
}

int parts_of_sim(struct parts *parts, const struct sim_world *world)
{
    uint32_t n = world ? sim_world_parts(world) : 0;
    *parts = (struct parts){0};
    if (n == 0)
        return 0;
    parts->stats = calloc(n, sizeof *parts->stats);
    parts->busy = calloc(n, sizeof *parts->busy);
    if (!parts->stats || !parts->busy)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        struct sim_part_stats *part = &parts->stats[parts->n];
        sim_world_part(world, i, part);
        if (part->kind == SIM_PART_GPU)
            continue;
        parts->busy[parts->n++] = (struct results_busy){
            .name = part->name,
            .servers = part->servers,
            .busy_ratio = part->busy_ratio,
            .queue_mean = NAN,
            .wait_mean_ns = part->kind == SIM_PART_STATION ? part->mean_wait_ns : NAN,
            .jobs = part->jobs,
            .bytes = part->bytes,
        };
    }
    return 0;
}
