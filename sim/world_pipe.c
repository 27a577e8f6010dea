/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_pipe.c - the stages of a transfer: what they take up, and when the last piece leaves the
 * last one.
 *
 * The formula, and why, is in world.h. Here each stage is written down once, in the order in
 * which a piece passes, for each tier and direction. A stage of servers (command, copy, codec)
 * knows its end at once, since its queue is first come first served; a stage of links learns it
 * when its flows end.
 *
 * All pieces of an operation enter a station at once, as one job: what the station makes of that
 * is exact for the operation alone, and serves operations that overlap in turn rather than piece
 * by piece.
 */
#include "world_fault.h"
#include "world_impl.h"

#include <assert.h>
#include <math.h>

/* How long b bytes take, rounded up. */
static kvt_ns ns_of(double b, double bps)
{
    return (kvt_ns)ceil(b * 1e9 / bps);
}

struct stage *sim_pipe_stage(struct op *op, enum kvt_span span, kvt_ns fill_ns)
{
    assert(op->n_stages < STAGES_MOST);
    struct stage *s = &op->stages[op->n_stages++];
    *s = (struct stage){.end_ns = op->begin_ns, .fill_ns = fill_ns, .span = span};
    return s;
}

static double piece_raw_b(const struct op *op)
{
    return (double)op->raw_b / (double)op->pieces;
}

static double piece_stored_b(const struct op *op)
{
    return (double)op->stored_b / (double)op->pieces;
}

/* ---- Stages of servers --------------------------------------------------------------------------- */

/* All pieces, piece_ns each, through a station. */
static void serve(struct sim_world *w, struct op *op, struct sim_station *station,
                  enum kvt_span span, kvt_ns piece_ns)
{
    struct stage *s = sim_pipe_stage(op, span, piece_ns);
    s->end_ns = sim_station_submit(station, w->now, op->pieces, piece_ns).end_ns;
}

static void stage_copy(struct sim_world *w, struct op *op)
{
    const struct sim_host *host = &w->config.host;
    if (host->copy_threads > 0)
        serve(w, op, &w->engines[op->engine].copy, KVT_SPAN_DESERIALISE,
              sim_fault_copy_ns(w, op->engine, ns_of(piece_raw_b(op), host->copy_thread_bps)));
}

static void stage_codec(struct sim_world *w, struct op *op)
{
    const struct sim_codec *codec = &w->config.codec[op->tier];
    if (codec->present)
        serve(w, op, &w->engines[op->engine].codec[op->tier], KVT_SPAN_DECODE,
              ns_of(piece_raw_b(op), op->kind == OP_LOAD ? codec->decode_bps : codec->encode_bps));
}

static void stage_disk_command(struct sim_world *w, struct op *op)
{
    const struct sim_disk *disk = &w->config.disk;
    serve(w, op, &w->engines[op->engine].disk, KVT_SPAN_QUEUED,
          sim_fault_disk_ns(w, op->engine,
                            op->kind == OP_LOAD ? disk->read_latency_ns : disk->write_latency_ns));
}

kvt_ns sim_pipe_command_ns(struct sim_world *w)
{
    const struct sim_redis *redis = &w->config.redis;
    kvt_ns last_ns = w->now;
    for (uint32_t i = 0; i < redis->nodes; i++) {
        struct node *node = &w->nodes[i];
        if (node->commands == 0)
            continue;
        const kvt_ns end_ns = sim_station_submit(&node->command, w->now, node->commands,
                                                 sim_fault_command_ns(w, i, redis->command_ns))
                                  .end_ns;
        if (end_ns > last_ns)
            last_ns = end_ns;
    }
    return last_ns;
}

static void stage_redis_command(struct sim_world *w, struct op *op)
{
    struct stage *s = sim_pipe_stage(op, KVT_SPAN_QUEUED, w->config.redis.command_ns);
    s->end_ns = sim_pipe_command_ns(w);
}

/* ---- Stages of links ----------------------------------------------------------------------------- */

static void on_flow_end(void *self, uint64_t arg, kvt_ns now)
{
    struct sim_world *w = self;
    const uint32_t o = (uint32_t)arg;
    struct op *op = kvt_pool_at(&w->ops, o);
    struct op_flow *flow = &op->flows[arg >> 32];
    struct stage *s = &op->stages[flow->stage];
    flow->id.v = 0;
    if (now > s->end_ns)
        s->end_ns = now;
    if (--op->n_flowing == 0)
        sim_op_moved(w, o);
}

void sim_pipe_flow(struct sim_world *w, uint32_t o, struct sim_flow *f)
{
    struct op *op = kvt_pool_at(&w->ops, o);
    assert(op->n_flows < op->room_flows);
    struct op_flow *mine = &op->flows[op->n_flows];
    f->fn = on_flow_end;
    f->self = w;
    f->arg = (uint64_t)op->n_flows << 32 | o;
    *mine = (struct op_flow){.stage = op->n_stages - 1};
    int error = sim_links_start(&w->links, w->now, f, &mine->id);
    if (error && !w->broken)
        w->broken = error;
    op->n_flows++;
    op->n_flowing++;
}

static void flow_alone(struct sim_world *w, uint32_t o, uint64_t bytes, uint32_t link)
{
    sim_pipe_flow(
        w, o,
        &(struct sim_flow){.bytes = bytes, .cap_bps = INFINITY, .n_links = 1, .links = {link}});
}

/* Onto the GPUs of an engine, or from them. */
static void stage_device(struct sim_world *w, uint32_t o, uint32_t engine, bool up)
{
    struct op *op = kvt_pool_at(&w->ops, o);
    const struct sim_host *host = &w->config.host;
    const struct engine *e = &w->engines[engine];
    struct stage *s = sim_pipe_stage(op, KVT_SPAN_COPY,
                                     ns_of(piece_raw_b(op), up ? host->h2d_bps : host->d2h_bps));
    s->travel_ns = host->copy_latency_ns;
    if (op->parted)
        sim_fabric_device(w, o);
    else
        flow_alone(w, o, op->raw_b, up ? e->h2d : e->d2h);
}

static void stage_disk_wire(struct sim_world *w, uint32_t o)
{
    struct op *op = kvt_pool_at(&w->ops, o);
    const struct sim_disk *disk = &w->config.disk;
    const struct engine *e = &w->engines[op->engine];
    const bool up = op->kind == OP_LOAD;
    sim_pipe_stage(op, KVT_SPAN_WIRE,
                   ns_of(piece_stored_b(op), up ? disk->read_bps : disk->write_bps));
    flow_alone(w, o, op->stored_b, up ? e->disk_read : e->disk_write);
}

/* Between the network cards of two engines, in memory that both have registered. */
static void stage_peer_wire(struct sim_world *w, uint32_t o)
{
    struct op *op = kvt_pool_at(&w->ops, o);
    const struct sim_network *net = &w->config.network;
    const double sum_bps = w->config.peer.connections * net->connection_bps;
    const double cap_bps = sum_bps <= SIM_LINK_MOST_BPS ? sum_bps : INFINITY;
    struct stage *s = sim_pipe_stage(op, KVT_SPAN_WIRE,
                                     ns_of(piece_stored_b(op), fmin(cap_bps, net->engine_nic_bps)));
    s->travel_ns = net->rtt_ns - net->rtt_ns / 2;
    sim_pipe_flow(w, o,
                  &(struct sim_flow){.bytes = op->stored_b,
                                     .cap_bps = cap_bps,
                                     .n_links = 2,
                                     .links = {w->engines[op->from].nic_tx,
                                               w->engines[op->engine].nic_rx}});
}

/* What all connections to one node together carry, each no more than connection_bps. */
static double cap_of(const struct sim_world *w, double connection_bps, double own_bps)
{
    const double sum_bps = fmin(w->config.network.connections * connection_bps, own_bps);
    return sum_bps <= SIM_LINK_MOST_BPS ? sum_bps : INFINITY;
}

/* Whether nodes of other regions have a part in it. */
static bool goes_far(const struct sim_world *w, const struct op *op)
{
    bool any = false;
    for (uint32_t i = 0; sim_world_regions(w) > 1 && i < w->config.redis.nodes; i++)
        any |= w->nodes[i].stored_b > 0 && sim_is_far(w, op->engine, i / w->nodes_each);
    return any;
}

/* One flow for each node that has a part in it; between regions over the link that all share. */
static void stage_redis_wire(struct sim_world *w, uint32_t o)
{
    struct op *op = kvt_pool_at(&w->ops, o);
    const struct sim_network *net = &w->config.network;
    const struct sim_redis *redis = &w->config.redis;
    const struct engine *e = &w->engines[op->engine];
    const bool up = op->kind == OP_LOAD;
    /* A server is as fast as it is at either; a flow no faster than at its own direction. */
    const double way_bps =
        !up && redis->process_write_bps > 0 ? redis->process_write_bps : redis->process_bps;
    const double own_bps = redis->process_write_bps > 0 ? way_bps : INFINITY;
    const double near_bps = cap_of(w, net->connection_bps, own_bps);
    const double far_bps = cap_of(w, w->config.regions.connection_bps, own_bps);
    double alone_bps = fmin(fmin(near_bps, net->engine_nic_bps), fmin(redis->nic_bps, way_bps));
    if (goes_far(w, op))
        alone_bps = fmin(alone_bps, fmin(far_bps, w->config.regions.bps));
    struct stage *s = sim_pipe_stage(op, KVT_SPAN_WIRE, ns_of(piece_stored_b(op), alone_bps));
    s->travel_ns = up ? op->rtt_ns - op->rtt_ns / 2 : op->rtt_ns / 2;
    for (uint32_t i = 0; i < redis->nodes; i++) {
        const struct node *node = &w->nodes[i];
        if (node->stored_b == 0)
            continue;
        struct sim_flow f = {.bytes = node->stored_b,
                             .cap_bps = near_bps,
                             .n_links = 3,
                             .links = {node->process, up ? node->nic_tx : node->nic_rx,
                                       up ? e->nic_rx : e->nic_tx}};
        const uint32_t there = i / w->nodes_each;
        if (sim_is_far(w, op->engine, there)) {
            const uint32_t here = kvt_region_of(&w->config.regions.engines, op->engine);
            f.cap_bps = far_bps;
            f.links[f.n_links++] = w->region_links[up ? there : here][up ? here : there];
        }
        sim_pipe_flow(w, o, &f);
    }
}

/* ---- Pipelines ----------------------------------------------------------------------------------- */

static void begin_load(struct sim_world *w, uint32_t o, struct op *op)
{
    if (op->tier == KVT_PEER) {
        stage_device(w, o, op->from, false);
        stage_peer_wire(w, o);
        stage_device(w, o, op->engine, true);
        return;
    }
    if (op->tier == KVT_REDIS)
        stage_redis_command(w, op);
    if (op->tier == KVT_DISK)
        stage_disk_command(w, op);
    if (op->tier == KVT_REDIS)
        stage_redis_wire(w, o);
    if (op->tier == KVT_DISK)
        stage_disk_wire(w, o);
    stage_codec(w, op);
    if (op->tier != KVT_DISK)
        stage_copy(w, op);
    stage_device(w, o, op->engine, true);
}

static void begin_store(struct sim_world *w, uint32_t o, struct op *op)
{
    stage_device(w, o, op->engine, false);
    if (op->tier == KVT_REDIS)
        stage_copy(w, op);
    stage_codec(w, op);
    if (op->tier == KVT_HOST)
        stage_copy(w, op);
    if (op->tier == KVT_DISK) {
        stage_disk_command(w, op);
        stage_disk_wire(w, o);
    }
    if (op->tier == KVT_REDIS) {
        stage_redis_wire(w, o);
        stage_redis_command(w, op);
    }
}

void sim_pipe_begin(struct sim_world *w, uint32_t o)
{
    struct op *op = kvt_pool_at(&w->ops, o);
    assert(op->begin_ns == w->now && op->n_stages == 0 && op->n_flows == 0);
    if (op->tier == KVT_GPU) {
        sim_fabric_begin(w, o);
    } else if (op->pieces == 0) { /* Redis has none of it: its answer is all there is */
        stage_redis_command(w, op);
        op->stages[0].travel_ns = op->rtt_ns - op->rtt_ns / 2;
    } else if (op->kind == OP_LOAD) {
        begin_load(w, o, op);
    } else {
        begin_store(w, o, op);
    }
}

kvt_ns sim_pipe_end(struct op *op)
{
    kvt_ns out_ns = op->begin_ns; /* E */
    kvt_ns head_ns = 0;           /* until the first piece comes to the stage */
    for (uint32_t i = 0; i < op->n_stages; i++) {
        const struct stage *s = &op->stages[i];
        kvt_ns own_ns = kvt_ns_add(s->end_ns, head_ns), before_ns = kvt_ns_add(out_ns, s->fill_ns);
        kvt_ns end_ns = kvt_ns_add(own_ns > before_ns ? own_ns : before_ns, s->travel_ns);
        op->done.span_ns[s->span] += end_ns - out_ns;
        head_ns += s->fill_ns + s->travel_ns;
        out_ns = end_ns;
    }
    return out_ns;
}

void sim_pipe_cancel(struct sim_world *w, struct op *op)
{
    for (uint32_t f = 0; f < op->n_flows; f++)
        if (op->flows[f].id.v != 0)
            sim_links_cancel(&w->links, w->now, op->flows[f].id);
    op->n_flows = op->n_flowing = 0;
}
