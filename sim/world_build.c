/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_build.c - wires a cluster together from its configuration, and takes it apart.
 */
#include "world_fault.h"
#include "world_impl.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPS_SHIFT = 6, PIECES_SHIFT = 6, EVENTS_FIRST = 1024 };

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

static const struct kvt_alloc heap = {.get = heap_get, .put = heap_put};

/* ---- Is it usable? ------------------------------------------------------------------------------- */

static bool positive(double x)
{
    return x > 0 && isfinite(x);
}

/* A capacity that a link can have. */
static bool is_rate(double bps)
{
    return bps > 0 && bps <= SIM_LINK_MOST_BPS;
}

static const char *check_network(const struct sim_config *c, uint32_t connections)
{
    const struct sim_network *n = &c->network;
    if (!is_rate(n->engine_nic_bps))
        return "network.engine_nic_bps must be positive";
    if (!(n->connection_bps > 0) || connections == 0)
        return "network.connection_bps and connections must be positive";
    return NULL;
}

static const char *check_redis(const struct sim_config *c)
{
    const struct sim_redis *r = &c->redis;
    if (!is_rate(r->nic_bps) || !is_rate(r->process_bps) ||
        (r->process_write_bps != 0 && !is_rate(r->process_write_bps)))
        return "redis.nic_bps and process_bps must be positive";
    if (r->samples < 1 || r->samples > 64)
        return "redis.samples must be 1 to 64";
    if (r->memory_b == 0)
        return "redis.memory_b must be positive";
    if (r->timeout_ns == 0)
        return "redis.timeout_ns must be positive, or KVT_NEVER";
    return NULL;
}

static const char *check_regions(const struct sim_config *c)
{
    const struct sim_regions *r = &c->regions;
    const struct kvt_regions *e = &r->engines;
    if (e->n <= 1)
        return NULL;
    if (e->n > KVT_REGIONS_MOST || e->first[0] != 0 || e->first[e->n] != c->engines)
        return "regions must divide the engines among them";
    for (uint32_t i = 0; i < e->n; i++)
        if (e->first[i] >= e->first[i + 1])
            return "each region needs an engine";
    if (c->redis.nodes == 0 || c->redis.nodes % e->n != 0)
        return "each region needs as many Redis nodes as every other";
    if (!is_rate(r->bps) || !(r->connection_bps > 0))
        return "regions.bps and connection_bps must be positive";
    if (c->machine.workers > 0 || c->fabric.gpus > 1 || c->peer.present || c->faults)
        return "regions go with neither workers, shards, peers nor faults";
    return NULL;
}

static const char *check_machine(const struct sim_config *c)
{
    const struct sim_machine *m = &c->machine;
    if (m->cores == 0 || (c->redis.nodes > 0 && m->values == 0))
        return "machine.cores and values must be positive";
    if (!(m->get_share >= 0 && m->get_share <= 1) || !(m->set_share >= 0 && m->set_share <= 1))
        return "machine.get_share and set_share must be in 0 .. 1";
    if (m->worker_cores != 0 && !positive(m->worker_cores))
        return "machine.worker_cores must be positive, or 0";
    if (m->file_cores != 0 && !positive(m->file_cores))
        return "machine.file_cores must be positive, or 0";
    if (m->fill_bps != 0 && !positive(m->fill_bps))
        return "machine.fill_bps must be positive, or 0";
    for (int k = 0; k < SIM_VARIED; k++) {
        const double *ratio = m->varied[k].ratio;
        for (int i = 0; m->varied[k].present && i < SIM_QUANTILES; i++)
            if (!positive(ratio[i]) || (i > 0 && ratio[i] < ratio[i - 1]))
                return "ratios of machine.varied must be positive, and ascend";
    }
    return NULL;
}

static const char *check_resize(const struct sim_config *c)
{
    const struct sim_fabric *f = &c->fabric, *g = &c->resized_fabric;
    if (g->gpus == 0)
        return NULL;
    const uint32_t least = f->gpus < g->gpus ? f->gpus : g->gpus;
    if (least < 2 || f->gpus == g->gpus || g->gpus_per_node != f->gpus_per_node ||
        (least > f->gpus_per_node && least % f->gpus_per_node != 0))
        return "engines have two GPUs at least before and after, and of the fewer whole nodes "
               "beyond "
               "the first";
    if (f->leaving || g->leaving != (g->gpus < f->gpus ? f->gpus - g->gpus : 0))
        return "GPUs that an engine has no longer are those that leave";
    const char *why = sim_fabric_check(g);
    return why ? why : sim_gpu_check(&c->resized_gpu);
}

static const char *check(const struct sim_config *c)
{
    if (c->engines == 0)
        return "there must be at least one engine";
    if (!positive(c->kv_b_per_token))
        return "kv_b_per_token must be positive";
    if (!(c->hash_ns_per_token >= 0 && isfinite(c->hash_ns_per_token)))
        return "hash_ns_per_token must not be negative";
    if (!is_rate(c->host.h2d_bps) || !is_rate(c->host.d2h_bps))
        return "host.h2d_bps and d2h_bps must be positive";
    if (c->host.copy_threads > 0 && !positive(c->host.copy_thread_bps))
        return "host.copy_thread_bps must be positive";
    for (int t = 0; t < KVT_TIERS; t++) {
        const struct sim_codec *k = &c->codec[t];
        if (k->present && (!positive(k->ratio) || !positive(k->encode_bps) ||
                           !positive(k->decode_bps) || k->cores == 0))
            return "codec ratio, rates and cores must be positive";
    }
    if (c->disk.channels > 0 && (!is_rate(c->disk.read_bps) || !is_rate(c->disk.write_bps)))
        return "disk.read_bps and write_bps must be positive";
    const char *why = NULL;
    if (c->peer.present) {
        why = check_network(c, c->peer.connections);
        if (c->engines < 2 || c->codec[KVT_PEER].present)
            return "peers need two engines, and know no codec";
    }
    if (!why && c->redis.nodes > 0) {
        why = check_network(c, c->network.connections);
        why = why ? why : check_redis(c);
    }
    why = why ? why : check_regions(c);
    if (!why && c->machine.workers > 0)
        why = check_machine(c);
    if (!why && c->machine.workers > 0 && c->fabric.gpus > 1)
        why = "one machine's workers move no shards";
    if (!why && c->peer.present && c->fabric.gpus > 1)
        why = "peers lend no shards";
    why = why ? why : sim_fabric_check(&c->fabric);
    why = why ? why : check_resize(c);
    return why ? why : sim_gpu_check(&c->gpu);
}

/* ---- Building ------------------------------------------------------------------------------------ */

static void *take(const struct kvt_alloc *alloc, size_t size_b)
{
    void *memory = alloc->get(alloc->self, size_b);
    if (memory)
        memset(memory, 0, size_b);
    return memory;
}

static bool add_link(struct sim_world *w, uint32_t *link, double capacity_bps)
{
    return sim_links_add(&w->links, capacity_bps, link) == 0;
}

static bool add_station(struct sim_world *w, struct sim_station *station, uint32_t servers)
{
    return sim_station_init(station, servers, w->alloc) == 0;
}

static bool build_engine(struct sim_world *w, struct engine *e)
{
    const struct sim_config *c = &w->config;
    bool ok = add_link(w, &e->h2d, c->host.h2d_bps) && add_link(w, &e->d2h, c->host.d2h_bps);
    if (ok && c->host.copy_threads > 0)
        ok = add_station(w, &e->copy, c->host.copy_threads);
    for (int t = 0; ok && t < KVT_TIERS; t++)
        if (c->codec[t].present)
            ok = add_station(w, &e->codec[t], c->codec[t].cores);
    if (ok && (c->redis.nodes > 0 || c->peer.present))
        ok = add_link(w, &e->nic_rx, c->network.engine_nic_bps) &&
             add_link(w, &e->nic_tx, c->network.engine_nic_bps);
    if (ok && c->disk.channels > 0)
        ok = add_station(w, &e->disk, c->disk.channels) &&
             add_link(w, &e->disk_read, c->disk.read_bps) &&
             add_link(w, &e->disk_write, c->disk.write_bps);
    if (ok && sim_world_sharded(w))
        ok = sim_fabric_build(w, e);
    return ok;
}

static bool build_node(struct sim_world *w, struct node *node, uint32_t id)
{
    const struct sim_redis *r = &w->config.redis;
    node->keys = sim_redis_node_new(r, w->alloc, w->config.seed, id);
    return node->keys && add_station(w, &node->command, 1) &&
           add_link(w, &node->process, fmax(r->process_bps, r->process_write_bps)) &&
           add_link(w, &node->nic_rx, r->nic_bps) && add_link(w, &node->nic_tx, r->nic_bps);
}

static bool build_machine(struct sim_world *w)
{
    static const char *const streams[SIM_VARIED] = {
        "vary probe",    "vary get",       "vary set",       "vary read",     "vary write",
        "vary decode",   "vary encode",    "vary upload",    "vary download", "vary get many",
        "vary set many", "vary read many", "vary write many"};
    const struct sim_machine *m = &w->config.machine;
    for (int k = 0; k < SIM_VARIED; k++)
        sim_vary_init(&w->vary[k], &m->varied[k], w->config.seed, streams[k]);
    for (int k = 0; k < 2; k++)
        w->first[k] = w->last[k] = KVT_NONE;
    kvt_pool_init(&w->pieces, w->alloc, sizeof(struct piece), PIECES_SHIFT);
    const double worker_cores = m->worker_cores > 0 ? fmax(m->worker_cores, 1) : INFINITY;
    const double cores_of[SIM_WORKS] = {[SIM_COPIES] = worker_cores,
                                        [SIM_FILES] = m->file_cores > 0 ? fmax(m->file_cores, 1)
                                                                        : worker_cores};
    return sim_crew_init(&w->crew, &w->events, w->alloc, m->workers, m->cores, cores_of) == 0;
}

static bool build_regions(struct sim_world *w)
{
    const uint32_t n = sim_world_regions(w);
    bool ok = true;
    w->nodes_each = w->config.redis.nodes / n;
    for (uint32_t from = 0; from < n; from++)
        for (uint32_t to = 0; ok && to < n; to++)
            if (to != from)
                ok = add_link(w, &w->region_links[from][to], w->config.regions.bps);
    return ok;
}

static bool build(struct sim_world *w)
{
    const struct sim_config *c = &w->config;
    kvt_pool_init(&w->ops, w->alloc, sizeof(struct op), OPS_SHIFT);
    sim_evq_init(&w->events, w->alloc);
    sim_links_init(&w->links, &w->events, w->alloc);
    w->engines = take(w->alloc, c->engines * sizeof(*w->engines));
    w->nodes = take(w->alloc, c->redis.nodes * sizeof(*w->nodes) + 1);
    if (!w->engines || !w->nodes || sim_evq_reserve(&w->events, EVENTS_FIRST) != 0)
        return false;
    if (c->machine.workers > 0 && !build_machine(w))
        return false;
    for (uint32_t i = 0; i < c->engines; i++)
        if (!build_engine(w, &w->engines[i]))
            return false;
    for (uint32_t i = 0; i < c->redis.nodes; i++)
        if (!build_node(w, &w->nodes[i], i))
            return false;
    if (!build_regions(w))
        return false;
    return !c->faults || sim_faults_build(w);
}

struct sim_world *sim_world_new_in(const struct sim_config *config,
                                   const struct kvt_observer *observer,
                                   const struct kvt_alloc *alloc, char *why, size_t size)
{
    const char *unusable = check(config);
    struct sim_world *w = NULL;
    if (!unusable) {
        w = take(alloc, sizeof(*w));
        if (!w)
            unusable = "memory is out";
    }
    if (unusable) {
        if (size > 0)
            snprintf(why, size, "%s", unusable);
        return NULL;
    }
    w->config = *config;
    w->observer = observer;
    w->alloc = alloc;
    w->deliver = (struct sim_deliver){.done = kvt_core_done, .timer = kvt_core_timer};
    sim_gpu_prepare(&w->config.gpu);
    if (config->resized_fabric.gpus > 0)
        sim_gpu_prepare(&w->config.resized_gpu);
    if (build(w))
        return w;
    if (size > 0)
        snprintf(why, size, "memory is out");
    sim_world_free(w);
    return NULL;
}

struct sim_world *sim_world_new(const struct sim_config *config,
                                const struct kvt_observer *observer, char *why, size_t size)
{
    return sim_world_new_in(config, observer, &heap, why, size);
}

void sim_world_free(struct sim_world *world)
{
    struct sim_world *w = world;
    if (!w)
        return;
    const struct kvt_alloc *a = w->alloc;
    sim_op_release_all(w);
    sim_faults_release(w);
    sim_crew_release(&w->crew);
    if (w->pieces.alloc)
        kvt_pool_release(&w->pieces);
    for (uint32_t i = 0; w->engines && i < w->config.engines; i++) {
        sim_fabric_release(w, &w->engines[i]);
        sim_station_release(&w->engines[i].copy);
        sim_station_release(&w->engines[i].disk);
        for (int t = 0; t < KVT_TIERS; t++)
            sim_station_release(&w->engines[i].codec[t]);
    }
    for (uint32_t i = 0; w->nodes && i < w->config.redis.nodes; i++) {
        sim_redis_node_free(w->nodes[i].keys);
        sim_station_release(&w->nodes[i].command);
    }
    sim_links_release(&w->links);
    sim_evq_release(&w->events);
    a->put(a->self, w->engines, w->config.engines * sizeof(*w->engines));
    a->put(a->self, w->nodes, w->config.redis.nodes * sizeof(*w->nodes) + 1);
    a->put(a->self, w, sizeof(*w));
}
