/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fabric.c - the formulas of fabric.h, in whole bytes and nanoseconds.
 */
#include "fabric.h"

#include <assert.h>
#include <math.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

const char *sim_fabric_check(const struct sim_fabric *f)
{
    if (f->gpus <= 1)
        return NULL;
    if (f->gpus > KVT_SHARD_GPUS || f->leaving > KVT_SHARD_GPUS - f->gpus || !f->gpus_per_node)
        return "an engine can have at most 256 GPUs, in nodes of at least one";
    if (!(f->port_bps > 0 && f->pcie_bps > 0) ||
        (sim_fabric_holders(f) > f->gpus_per_node && !(f->nic_bps > 0)))
        return "links between GPUs must have a bandwidth";
    if (!f->parts || f->parts > f->gpus || !f->part_b)
        return "shards must have bytes, and GPUs heads";
    return NULL;
}

uint32_t sim_fabric_node_gpus(const struct sim_fabric *f, uint32_t node)
{
    const uint32_t first = node * f->gpus_per_node;
    const uint32_t left = f->gpus > first ? f->gpus - first : 0;
    return left < f->gpus_per_node ? left : f->gpus_per_node;
}

/* The same fabric as if all GPUs that shards may lie on computed. */
static struct sim_fabric whole_of(const struct sim_fabric *f)
{
    struct sim_fabric whole = *f;
    whole.gpus += whole.leaving;
    whole.leaving = 0;
    return whole;
}

/* weights * part_b * n / d, rounded up. */
static uint64_t share_b(const struct sim_fabric *f, uint64_t weights, uint64_t n, uint64_t d)
{
    assert(d > 0); /* sim_fabric_check */
    return (uint64_t)(((wide)weights * f->part_b * n + d - 1) / d);
}

/* From where the parts lie (from) to everybody (to), each of whom takes 1 / d. */
static void plan_all(const struct sim_fabric *f, const uint64_t *parts, uint64_t d, uint64_t *from,
                     uint64_t *to, uint64_t *nic_from, uint64_t *nic_to)
{
    const struct sim_fabric whole = whole_of(f);
    uint64_t sum = 0;
    for (uint32_t g = 0; g < whole.gpus; g++)
        sum += parts[g];
    for (uint32_t g = 0; g < whole.gpus; g++) {
        const bool computes = g < f->gpus;
        from[g] = share_b(f, parts[g], f->gpus - computes, d);
        to[g] = computes ? share_b(f, sum - parts[g], 1, d) : 0;
    }
    const uint32_t nodes = sim_fabric_nodes(&whole);
    for (uint32_t n = 0; nodes > 1 && n < nodes; n++) {
        const uint32_t size = sim_fabric_node_gpus(f, n);
        uint64_t of_node = 0;
        for (uint32_t g = 0; g < sim_fabric_node_gpus(&whole, n); g++)
            of_node += parts[n * f->gpus_per_node + g];
        nic_from[n] = share_b(f, of_node, f->gpus - size, d);
        nic_to[n] = share_b(f, sum - of_node, size, d);
    }
}

static void sum_up(const struct sim_fabric *f, struct sim_fabric_plan *plan)
{
    for (uint32_t g = 0; g < sim_fabric_holders(f); g++)
        plan->sum_b += plan->out[g];
}

void sim_fabric_gather(const struct sim_fabric *f, const uint64_t *parts,
                       struct sim_fabric_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    plan_all(f, parts, f->parts, plan->out, plan->in, plan->nic_out, plan->nic_in);
    sum_up(f, plan);
}

void sim_fabric_spread(const struct sim_fabric *f, const uint64_t *parts,
                       struct sim_fabric_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    plan_all(f, parts, f->gpus, plan->in, plan->out, plan->nic_in, plan->nic_out);
    sum_up(f, plan);
}

void sim_fabric_move(const struct sim_fabric *f, const struct kvt_shard_move *moves, uint32_t n,
                     struct sim_fabric_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t from = moves[i].from / f->gpus_per_node, to = moves[i].to / f->gpus_per_node;
        const uint64_t b = moves[i].parts * f->part_b;
        plan->out[moves[i].from] += b;
        plan->in[moves[i].to] += b;
        if (from == to)
            continue;
        plan->nic_out[from] += b;
        plan->nic_in[to] += b;
    }
    sum_up(f, plan);
}

kvt_ns sim_fabric_link_ns(uint64_t b, double bps)
{
    const uint64_t rate = (uint64_t)(bps * 65536.0); /* as link.c rounds it */
    return (kvt_ns)(((wide)b * 65536 * 1000000000 + rate - 1) / rate);
}

static void longest(kvt_ns *most, uint64_t b, double bps)
{
    const kvt_ns ns = b ? sim_fabric_link_ns(b, bps) : 0;
    *most = ns > *most ? ns : *most;
}

kvt_ns sim_fabric_ns(const struct sim_fabric *f, const struct sim_fabric_plan *plan)
{
    const struct sim_fabric whole = whole_of(f);
    kvt_ns most = 0;
    for (uint32_t g = 0; g < whole.gpus; g++) {
        longest(&most, plan->out[g], f->port_bps);
        longest(&most, plan->in[g], f->port_bps);
    }
    const uint32_t nodes = sim_fabric_nodes(&whole);
    for (uint32_t n = 0; nodes > 1 && n < nodes; n++) {
        const double bps = f->nic_bps * sim_fabric_node_gpus(&whole, n);
        longest(&most, plan->nic_out[n], bps);
        longest(&most, plan->nic_in[n], bps);
    }
    return most ? most + f->latency_ns : 0;
}

double sim_fabric_exchange_ns_per_b(const struct sim_fabric *f)
{
    if (f->gpus <= 1)
        return 0;
    const double gpus = f->gpus;
    const double port = (gpus - 1) / (gpus * f->port_bps);
    const double nic =
        f->gpus > f->gpus_per_node ? (gpus - f->gpus_per_node) / (gpus * f->nic_bps) : 0;
    return 1e9 * (port > nic ? port : nic);
}

/* Bytes, and no more than pass in ns. */
static uint64_t at_most(double b, double bps, kvt_ns ns)
{
    const double most_b = bps * (double)ns / 1e9;
    return (uint64_t)(b < most_b ? b : most_b);
}

struct sim_fabric_traffic sim_fabric_traffic_of(const struct sim_fabric *f,
                                                const struct sim_gpu *gpu,
                                                const struct kvt_step *step)
{
    struct sim_fabric_traffic t = {.ns = sim_gpu_between_ns(gpu, step)};
    double tokens = step->n_decode;
    for (uint32_t i = 0; i < step->n_chunks; i++)
        tokens += step->chunks[i].new_tokens;
    const double gpus = f->gpus, size = f->gpus_per_node;
    const double reduced_b = gpu->collectives * gpu->collective_b_per_token * 2 * (gpus - 1) / gpus;
    const double exchanged_b = gpu->exchange_b_per_token;
    const double port_b = tokens * (reduced_b + exchanged_b * (gpus - 1) / gpus);
    t.port_b = at_most(port_b, f->port_bps, t.ns);
    const uint32_t nodes = sim_fabric_nodes(f);
    if (nodes > 1)
        t.nic_b = at_most(tokens * (reduced_b + exchanged_b * size * (gpus - size) / gpus),
                          f->nic_bps * sim_fabric_node_gpus(f, nodes - 1), t.ns);
    return t;
}
