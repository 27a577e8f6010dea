/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_stats.c - looking at the simulated world: how busy each part of the cluster was.
 *
 * Utilisation is reported for every part, because a part near saturation is where a model is
 * most wrong: a small error in its capacity becomes a large one in waiting time.
 */
#include "world_impl.h"

#include <math.h>

#include <assert.h>
#include <stdio.h>

/* ---- Parts: which ones there are, in order ------------------------------------------------------- */

struct part {
    const char *name;
    const struct engine *gpu;
    const struct sim_station *station;
    uint32_t servers, link;
    double rate_bps; /* link */
};

enum { PARTS_MOST = 16 };

static struct part link_part(const char *name, uint32_t link, double rate_bps)
{
    return (struct part){.name = name, .servers = 1, .link = link, .rate_bps = rate_bps};
}

static struct part station_part(const char *name, const struct sim_station *s, uint32_t servers)
{
    return (struct part){.name = name, .station = s, .servers = servers};
}

static uint32_t engine_parts(const struct sim_world *w, const struct engine *e,
                             struct part parts[PARTS_MOST])
{
    static const char *const codec_names[KVT_TIERS] = {"codec_gpu", "codec_peer", "codec_host",
                                                       "codec_redis", "codec_disk"};
    const struct sim_config *c = &w->config;
    uint32_t n = 0;
    parts[n++] = (struct part){.name = "gpu", .servers = 1, .gpu = e};
    parts[n++] = link_part("h2d", e->h2d, c->host.h2d_bps);
    parts[n++] = link_part("d2h", e->d2h, c->host.d2h_bps);
    if (c->host.copy_threads > 0)
        parts[n++] = station_part("copy", &e->copy, c->host.copy_threads);
    for (int t = 0; t < KVT_TIERS; t++)
        if (c->codec[t].present)
            parts[n++] = station_part(codec_names[t], &e->codec[t], c->codec[t].cores);
    if (c->redis.nodes > 0 || c->peer.present) {
        parts[n++] = link_part("nic_rx", e->nic_rx, c->network.engine_nic_bps);
        parts[n++] = link_part("nic_tx", e->nic_tx, c->network.engine_nic_bps);
    }
    if (c->disk.channels > 0) {
        parts[n++] = station_part("disk_command", &e->disk, c->disk.channels);
        parts[n++] = link_part("disk_read", e->disk_read, c->disk.read_bps);
        parts[n++] = link_part("disk_write", e->disk_write, c->disk.write_bps);
    }
    return n;
}

static uint32_t node_parts(const struct sim_world *w, const struct node *node,
                           struct part parts[PARTS_MOST])
{
    const struct sim_redis *r = &w->config.redis;
    parts[0] = station_part("command", &node->command, 1);
    parts[1] = link_part("process", node->process, fmax(r->process_bps, r->process_write_bps));
    parts[2] = link_part("nic_rx", node->nic_rx, r->nic_bps);
    parts[3] = link_part("nic_tx", node->nic_tx, r->nic_bps);
    return 4;
}

/* Links from each region to each other; then there are neither machine nor fabric. */
static uint32_t region_parts(const struct sim_world *w)
{
    return sim_world_regions(w) * (sim_world_regions(w) - 1);
}

uint32_t sim_world_parts(const struct sim_world *world)
{
    struct part parts[PARTS_MOST];
    uint32_t n = engine_parts(world, &world->engines[0], parts) * world->config.engines;
    if (world->config.redis.nodes > 0)
        n += node_parts(world, &world->nodes[0], parts) * world->config.redis.nodes;
    return n + sim_on_machine(world) + sim_fabric_parts(world) * world->config.engines +
           region_parts(world);
}

/* ---- What they did ------------------------------------------------------------------------------- */

static double ratio_of(double part, double whole)
{
    return whole > 0 ? (part < whole ? part / whole : 1) : 0;
}

static void look_at(const struct sim_world *w, const struct part *p, struct sim_part_stats *stats)
{
    stats->servers = p->servers;
    if (p->gpu) {
        const struct engine *e = p->gpu;
        kvt_ns busy_ns = e->busy_ns + (e->stepping ? w->now - e->begin_ns : 0);
        stats->kind = SIM_PART_GPU;
        stats->jobs = e->steps;
        stats->busy_ratio = ratio_of((double)busy_ns, (double)w->now);
    } else if (p->station) {
        stats->kind = SIM_PART_STATION;
        stats->jobs = p->station->jobs;
        stats->mean_wait_ns = sim_station_mean_wait_ns(p->station);
        stats->busy_ratio = sim_station_busy_ratio(p->station, w->now);
    } else {
        const struct sim_link_stats s = sim_links_stats(&w->links, w->now, p->link);
        stats->kind = SIM_PART_LINK;
        stats->rate_bps = p->rate_bps;
        stats->jobs = s.flows;
        stats->bytes = s.bytes + s.cancelled_bytes;
        stats->carried_b = s.busy_ns * p->rate_bps / 1e9;
        stats->busy_ratio = ratio_of(s.busy_ns, (double)w->now);
    }
}

/* The last part: all threads on the cores; jobs and waits are the workers'. */
static void look_at_machine(const struct sim_world *w, struct sim_part_stats *stats)
{
    snprintf(stats->name, sizeof stats->name, "machine/cores");
    stats->kind = SIM_PART_STATION;
    stats->servers = w->crew.cores;
    stats->jobs = w->crew.chores;
    stats->busy_ratio = sim_crew_busy_ratio(&w->crew, w->now);
    stats->mean_wait_ns = w->crew.chores ? (double)w->crew.wait_ns / (double)w->crew.chores : 0;
}

static void look_at_region(const struct sim_world *w, uint32_t n, struct sim_part_stats *stats)
{
    const uint32_t others = sim_world_regions(w) - 1, from = n / others;
    const uint32_t to = n % others + (n % others >= from);
    const struct part p = link_part("link", w->region_links[from][to], w->config.regions.bps);
    snprintf(stats->name, sizeof stats->name, "region%u-%u/link", from, to);
    look_at(w, &p, stats);
}

void sim_world_part(const struct sim_world *world, uint32_t part, struct sim_part_stats *stats)
{
    struct part parts[PARTS_MOST];
    const uint32_t engines = world->config.engines;
    const uint32_t each = engine_parts(world, &world->engines[0], parts);
    *stats = (struct sim_part_stats){0};
    assert(part < sim_world_parts(world));
    if (part < each * engines) {
        const uint32_t i = part / each;
        engine_parts(world, &world->engines[i], parts);
        snprintf(stats->name, sizeof(stats->name), "engine%u/%s", i, parts[part % each].name);
        look_at(world, &parts[part % each], stats);
        return;
    }
    part -= each * engines;
    const uint32_t of_redis = world->config.redis.nodes > 0 ? 4 * world->config.redis.nodes : 0;
    if (part >= of_redis && region_parts(world) > 0) {
        look_at_region(world, part - of_redis, stats);
        return;
    }
    if (part >= of_redis && sim_on_machine(world)) {
        look_at_machine(world, stats);
        return;
    }
    if (part >= of_redis) {
        const uint32_t per_engine = sim_fabric_parts(world);
        sim_fabric_part(world, (part - of_redis) / per_engine, (part - of_redis) % per_engine,
                        stats);
        return;
    }
    const uint32_t i = part / 4;
    const uint32_t n = node_parts(world, &world->nodes[i], parts);
    assert(n == 4);
    (void)n;
    snprintf(stats->name, sizeof(stats->name), "redis%u/%s", i, parts[part % 4].name);
    look_at(world, &parts[part % 4], stats);
}

bool sim_part_link(const struct sim_world *w, uint32_t part, uint32_t *link, double *rate_bps)
{
    struct part parts[PARTS_MOST];
    const uint32_t engines = w->config.engines;
    const uint32_t each = engine_parts(w, &w->engines[0], parts);
    if (part < each * engines) {
        engine_parts(w, &w->engines[part / each], parts);
        part %= each;
    } else if (part - each * engines < 4 * w->config.redis.nodes) {
        part -= each * engines;
        node_parts(w, &w->nodes[part / 4], parts);
        part %= 4;
    } else {
        return false;
    }
    *link = parts[part].link;
    *rate_bps = parts[part].rate_bps;
    return !parts[part].gpu && !parts[part].station;
}

uint64_t sim_world_between_b(const struct sim_world *world, uint32_t from, uint32_t to)
{
    const uint32_t link = world->region_links[from][to];
    const struct sim_link_stats s = sim_links_stats(&world->links, world->now, link);
    return s.bytes + s.cancelled_bytes;
}

void sim_world_redis(const struct sim_world *world, uint32_t node, struct sim_redis_stats *stats)
{
    assert(node < world->config.redis.nodes);
    sim_redis_node_stats(world->nodes[node].keys, stats);
}

void sim_world_stats(const struct sim_world *world, struct sim_world_stats *stats)
{
    *stats = world->stats;
    stats->now = world->now;
}
