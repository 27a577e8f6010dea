/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_fabric.c - the GPUs of a sharded engine as links: built, used, looked at. What moves how many
 * bytes over which of them, and how long that takes alone, is said in fabric.h.
 *
 * A gather or spread is one flow per port and NIC that takes part. They do not wait for each other:
 * the switch between them is never full, and the last one to end is the end.
 *
 * What comes from below, or goes there, passes the PCIe of the GPU where its shards lie, and with it
 * the engine's h2d or d2h, which is what the node's memory can feed; and where a GPU's PCIe is its port to
 * the others, that port.
 */
#include "world_impl.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static uint32_t links_of(const struct sim_world *w)
{
    const struct sim_fabric *f = sim_world_built(w);
    return f->gpus * GPU_LINKS + 2 * sim_fabric_nodes(f);
}

/* Ports and NICs, each way. */
static uint32_t wide_of(const struct sim_world *w)
{
    return 2 * (sim_world_built(w)->gpus + sim_fabric_nodes(sim_world_built(w)));
}

bool sim_fabric_build(struct sim_world *w, struct engine *e)
{
    const struct sim_fabric *f = sim_world_built(w);
    const double bps[GPU_LINKS] = {[GPU_OUT] = f->port_bps,
                                   [GPU_IN] = f->port_bps,
                                   [GPU_H2D] = f->pcie_bps,
                                   [GPU_D2H] = f->pcie_bps};
    e->gpu_links = w->alloc->get(w->alloc->self, links_of(w) * sizeof(*e->gpu_links));
    e->wide = w->alloc->get(w->alloc->self, wide_of(w) * sizeof(*e->wide));
    if (!e->gpu_links || !e->wide)
        return false;
    for (uint32_t i = 0; i < f->gpus * GPU_LINKS; i++)
        if (sim_links_add(&w->links, bps[i % GPU_LINKS], &e->gpu_links[i]) != 0)
            return false;
    for (uint32_t n = 0; n < 2 * sim_fabric_nodes(f); n++) {
        const double nic_bps =
            f->nic_bps > 0 ? f->nic_bps * sim_fabric_node_gpus(f, n / 2) : (double)INFINITY;
        if (sim_links_add(&w->links, nic_bps, &e->gpu_links[f->gpus * GPU_LINKS + n]) != 0)
            return false;
    }
    for (uint32_t i = 0; i < 2 * f->gpus; i++)
        e->wide[i] = e->gpu_links[i / 2 * GPU_LINKS + (i % 2 ? GPU_IN : GPU_OUT)];
    for (uint32_t n = 0; n < 2 * sim_fabric_nodes(f); n++)
        e->wide[2 * f->gpus + n] = e->gpu_links[f->gpus * GPU_LINKS + n];
    return true;
}

void sim_fabric_release(struct sim_world *w, struct engine *e)
{
    if (e->gpu_links)
        w->alloc->put(w->alloc->self, e->gpu_links, links_of(w) * sizeof(*e->gpu_links));
    if (e->wide)
        w->alloc->put(w->alloc->self, e->wide, wide_of(w) * sizeof(*e->wide));
    e->gpu_links = e->wide = NULL;
}

const uint32_t *sim_fabric_wide(const struct sim_world *w, const struct engine *e, bool nics,
                                uint32_t *n)
{
    const struct sim_fabric *f = sim_world_fabric(w);
    const uint32_t nodes = sim_fabric_nodes(f);
    *n = nics ? (nodes > 1 ? 2 * nodes : 0) : 2 * f->gpus;
    return e->wide + (nics ? 2 * sim_world_built(w)->gpus : 0);
}

bool sim_fabric_is_used(const struct sim_world *w, const struct engine *e)
{
    for (uint32_t i = 0; i < wide_of(w); i++)
        if (sim_links_active(&w->links, e->wide[i]) > 0)
            return true;
    return false;
}

uint32_t sim_fabric_flows(const struct sim_world *w)
{
    return sim_world_sharded(w) ? links_of(w) : 0;
}

/* ---- Using --------------------------------------------------------------------------------------- */

bool sim_fabric_take(const struct sim_world *w, struct op *op, bool moves)
{
    const struct kvt_alloc *a = w->alloc;
    if (sim_world_sharded(w) && !op->parts)
        op->parts = a->get(a->self, sim_world_built(w)->gpus * sizeof(*op->parts));
    if (moves && !op->plan)
        op->plan = a->get(a->self, sizeof(*op->plan));
    return (op->parts || !sim_world_sharded(w)) && (op->plan || !moves);
}

void sim_fabric_give(const struct sim_world *w, struct op *op)
{
    const struct kvt_alloc *a = w->alloc;
    if (op->parts)
        a->put(a->self, op->parts, sim_world_built(w)->gpus * sizeof(*op->parts));
    if (op->plan)
        a->put(a->self, op->plan, sizeof(*op->plan));
}

static void flow_over(struct sim_world *w, uint32_t o, uint64_t bytes, uint32_t link)
{
    if (bytes > 0)
        sim_pipe_flow(
            w, o,
            &(struct sim_flow){.bytes = bytes, .cap_bps = INFINITY, .n_links = 1, .links = {link}});
}

void sim_fabric_begin(struct sim_world *w, uint32_t o)
{
    struct op *op = kvt_pool_at(&w->ops, o);
    const struct sim_fabric *f = sim_world_fabric(w);
    struct engine *e = &w->engines[op->engine];
    struct sim_fabric_plan plan;
    if (op->moving)
        plan = *op->plan;
    else if (op->kind == OP_LOAD)
        sim_fabric_gather(f, op->parts, &plan);
    else
        sim_fabric_spread(f, op->parts, &plan);
    op->done.bytes = plan.sum_b;
    struct stage *s = sim_pipe_stage(op, KVT_SPAN_COPY, 0);
    s->travel_ns = plan.sum_b ? f->latency_ns : 0;
    const struct sim_fabric *built = sim_world_built(w);
    for (uint32_t g = 0; g < built->gpus; g++) {
        flow_over(w, o, plan.out[g], sim_world_gpu_link(w, e, g, GPU_OUT));
        flow_over(w, o, plan.in[g], sim_world_gpu_link(w, e, g, GPU_IN));
    }
    for (uint32_t n = 0; n < sim_fabric_nodes(built); n++) {
        const uint32_t *nic = &e->gpu_links[built->gpus * GPU_LINKS + 2 * n];
        flow_over(w, o, plan.nic_out[n], nic[0]);
        flow_over(w, o, plan.nic_in[n], nic[1]);
    }
    if (op->n_flowing > 0)
        sim_step_has_company(w, e);
}

void sim_fabric_device(struct sim_world *w, uint32_t o)
{
    const struct op *op = kvt_pool_at(&w->ops, o);
    const struct sim_fabric *f = sim_world_built(w);
    struct engine *e = &w->engines[op->engine];
    const bool up = op->kind == OP_LOAD;
    uint64_t sum = 0;
    for (uint32_t g = 0; g < f->gpus; g++)
        sum += op->parts[g];
    /* Of a load that a server could serve in part only, the parts shrink with it. */
    const double whole_b = (double)sum * (double)f->part_b;
    const double moved_b = op->n_good == op->n_blocks ? whole_b : fmin(whole_b, (double)op->raw_b);
    for (uint32_t g = 0; g < f->gpus; g++) {
        if (op->parts[g] == 0)
            continue;
        const double b = (double)op->parts[g] * (double)f->part_b * (moved_b / whole_b);
        struct sim_flow flow = {.bytes = (uint64_t)ceil(b),
                                .cap_bps = INFINITY,
                                .n_links = 2,
                                .links = {up ? e->h2d : e->d2h,
                                          sim_world_gpu_link(w, e, g, up ? GPU_H2D : GPU_D2H)}};
        if (f->port_is_pcie)
            flow.links[flow.n_links++] = sim_world_gpu_link(w, e, g, up ? GPU_IN : GPU_OUT);
        sim_pipe_flow(w, o, &flow);
    }
    if (f->port_is_pcie)
        sim_step_has_company(w, e);
}

void sim_world_resize(struct sim_world *world)
{
    assert(world->config.resized_fabric.gpus > 0);
    world->resized = true;
    for (uint32_t i = 0; i < world->config.engines; i++) {
        struct engine *e = &world->engines[i];
        e->exchange.then_port_b = sim_step_port_b(e, world->now);
        e->exchange.then_nic_b = sim_step_nic_b(e, world->now);
    }
}

/* ---- Looking ------------------------------------------------------------------------------------- */

uint32_t sim_fabric_parts(const struct sim_world *w)
{
    const struct sim_fabric *f = sim_world_built(w);
    if (!sim_world_sharded(w))
        return 0;
    return f->gpus * GPU_LINKS + (sim_fabric_nodes(f) > 1 ? 2 * sim_fabric_nodes(f) : 0);
}

/* What steps carried over a part without flows, of now_b over one that was always there: not before it joined, not after
 * it left. then_b: when that was. number: of the GPU or node, of which there are `n`, and `resized` later. */
static double quiet_b_of(const struct sim_world *w, uint32_t number, uint32_t n, uint32_t resized,
                         double now_b, double then_b)
{
    if (resized == 0 || (number < n && number < resized))
        return now_b;
    if (number < n)
        return w->resized ? then_b : now_b;
    return w->resized ? now_b - then_b : 0;
}

void sim_fabric_part(const struct sim_world *w, uint32_t engine, uint32_t n,
                     struct sim_part_stats *stats)
{
    static const char *const names[GPU_LINKS] = {"out", "in", "h2d", "d2h"};
    const struct sim_fabric *f = sim_world_built(w), *first = &w->config.fabric;
    const struct sim_fabric *then = &w->config.resized_fabric;
    const struct engine *e = &w->engines[engine];
    const struct exchange *x = &e->exchange;
    const struct sim_link_stats s = sim_links_stats(&w->links, w->now, e->gpu_links[n]);
    const uint32_t of_gpus = f->gpus * GPU_LINKS;
    double quiet_b = 0; /* of steps, without flows */
    if (n < of_gpus) {
        snprintf(stats->name, sizeof(stats->name), "engine%u/gpu%u/%s", engine, n / GPU_LINKS,
                 names[n % GPU_LINKS]);
        stats->rate_bps = n % GPU_LINKS < GPU_H2D ? f->port_bps : f->pcie_bps;
        if (n % GPU_LINKS < GPU_H2D)
            quiet_b = quiet_b_of(w, n / GPU_LINKS, first->gpus, then->gpus,
                                 sim_step_port_b(e, w->now), x->then_port_b);
    } else {
        const uint32_t node = (n - of_gpus) / 2;
        snprintf(stats->name, sizeof(stats->name), "engine%u/node%u/%s", engine, node,
                 (n - of_gpus) % 2 ? "nic_in" : "nic_out");
        stats->rate_bps = f->nic_bps * sim_fabric_node_gpus(f, node);
        quiet_b =
            quiet_b_of(w, node, sim_fabric_nodes(first), then->gpus ? sim_fabric_nodes(then) : 0,
                       sim_step_nic_b(e, w->now), x->then_nic_b);
    }
    stats->kind = SIM_PART_LINK;
    stats->servers = 1;
    stats->jobs = s.flows;
    stats->bytes = s.bytes + s.cancelled_bytes + (uint64_t)quiet_b;
    stats->carried_b = s.busy_ns * stats->rate_bps / 1e9 + quiet_b;
    const double busy_ns = s.busy_ns + quiet_b * 1e9 / stats->rate_bps;
    stats->busy_ratio = w->now > 0 ? fmin(busy_ns / (double)w->now, 1) : 0;
}
