/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_impl.h - what the files of the simulated world share.
 *
 *      world.c         the port, timers, the loop                 world_build.c   construction
 *      world_step.c    steps, and what they exchange              world_fabric.c  links between GPUs
 *      world_op.c      life of an operation, from port to done    world_stats.c   looking
 *      world_pipe.c    the stages of a transfer, and their end
 *      world_piece.c   the same on one machine with workers: piece by piece
 *      world_fault.c   conditions of parts: dead, cut off, slow, ...
 *
 * Life of an operation:
 *
 *      port ---> (ASKED: on its way to Redis or a peer) ---> MOVING: stages under way ---> (WRITING) ---> ENDING ---> done
 *                  half a round trip                flows end one by one       a store's        delivered
 *                                                   last piece leaves          reply            at its time
 *
 * An operation that waits for a node which does not answer stays where it is until its deadline: what came before that
 * node's blocks is good. A timeout, or a tier that goes down, leads from anywhere straight to ENDING, now. Every event of an operation
 * carries its generation: an event of an earlier life, or of a path left in that way, finds another one and is
 * void.
 */
#ifndef SIM_WORLD_IMPL_H
#define SIM_WORLD_IMPL_H

#include "../core/key.h"
#include "../core/pool.h"
#include "crew.h"
#include "evq.h"
#include "link.h"
#include "station.h"
#include "world.h"

enum op_kind { OP_PROBE, OP_LOAD, OP_STORE, OP_DROP };
enum op_state { OP_FREE, OP_ASKED, OP_MOVING, OP_WRITING, OP_ENDING };

enum { STAGES_MOST = 6 };

/* One stage of a transfer: what it takes up, and when it is done with that. */
struct stage {
    kvt_ns end_ns;    /* e(s): done with all pieces, in competition */
    kvt_ns fill_ns;   /* f(s): one piece, alone */
    kvt_ns travel_ns; /* l(s): from this stage to the next */
    enum kvt_span span;
};

struct op_block {
    kvt_key key;
    uint32_t tokens, region;
};

struct op_flow {
    sim_flow_id id; /* 0 once it has ended */
    uint32_t stage;
};

struct op {
    uint32_t pool_word; /* the pool's, while free */
    uint32_t generation;
    enum op_kind kind;
    enum op_state state;
    kvt_op_id id;
    uint32_t engine;
    uint32_t from; /* peer: the engine that is read; else KVT_NONE */
    enum kvt_tier_kind tier;
    uint32_t n_blocks, n_good; /* n_good: leading blocks that take part */
    uint64_t tokens;           /* of those */
    uint64_t pieces, raw_b, stored_b;
    kvt_ns issued_ns, begin_ns; /* begin: t0 */
    kvt_ns ttl_ns;
    kvt_ns rtt_ns; /* to the farthest that it asks, and back */
    struct kvt_done done;
    uint32_t n_stages, n_flows, n_flowing; /* flows: started; not ended yet */
    uint32_t room_blocks, room_flows;      /* room is kept from life to life */
    uint64_t *parts; /* sharded: of the whole transfer, by GPU; room for all of them once used */
    bool parted;     /* parts are meant */
    bool moving;     /* shards go where plan says, which was taken when first needed */
    struct sim_fabric_plan *plan;
    /* conditions (fault.h) */
    enum kvt_status cut_short; /* why only n_good blocks; KVT_MISSING but for them */
    bool silent;               /* a node it asks does not answer */
    bool idle;                 /* and all others have */
    kvt_ns late_ns;            /* what comes from elsewhere comes later by so much */
    struct stage stages[STAGES_MOST];
    struct op_block *blocks; /* redis only: n_blocks */
    struct op_flow *flows;
    /* world_piece.c */
    uint64_t begun, left; /* pieces: begun, not through yet */
    double medium_ratio;  /* this operation's times beside the usual ones */
    kvt_ns medium_work_ns, server_ns, code_ns, copy_ns; /* of one piece */
    kvt_ns medium_at, code_at, copy_at; /* when the last piece so far left that stage */
};

/* One piece on its way, on a machine with workers. Outlives an operation that ended early. */
struct piece {
    uint32_t pool_word;
    uint32_t op, generation;
    uint32_t next;              /* waiting for the loop */
    kvt_ns value_ns, server_ns; /* work of the loop and, at the same time, of a server */
    uint32_t threads;           /* of the two, that are still at it */
};

/* What a step moves between GPUs (world_step.c), and how far it is. */
struct exchange {
    struct sim_fabric_traffic each; /* of one iteration */
    bool quiet;                     /* nobody else is on its links */
    kvt_ns since_ns, done_ns;       /* quiet: at since_ns it was done_ns of a step alone */
    uint32_t iteration, leg, legs;  /* else: which one, and how many the iteration has */
    kvt_ns first_ns, iteration_ns;  /* alone: when the iteration begins; how long it takes */
    sim_flow_id flow[2];            /* ports, NICs; 0: none */
    uint32_t flowing;
    double moved_port_b,
        moved_nic_b;                /* by this step, over each port and way, and each node's NICs */
    double port_b, nic_b;           /* carried without flows, by all steps */
    double then_port_b, then_nic_b; /* the same when the engine was resized */
};

struct engine {
    bool down[KVT_TIERS];
    bool stepping;
    bool timed;             /* the step's time is over, but not all of its pages are filled */
    uint32_t fills, number; /* jobs of this step that are not done; which step it is */
    uint32_t generation;    /* of the step's end */
    struct kvt_step step;   /* chunks: not kept */
    kvt_ns begin_ns;        /* of the step */
    kvt_ns alone_ns;        /* what its iterations take if nobody else is on its links */
    struct exchange exchange;
    const struct sim_gpu
        *gpu;            /* of the step: it ends as it began if the engine is resized meanwhile */
    uint32_t iterations; /* it will have run by then */
    enum kvt_status status;
    double slow;    /* of the step: it takes so many times its usual time */
    kvt_ns busy_ns; /* in steps that ended */
    uint64_t steps;
    uint32_t h2d, d2h, nic_rx, nic_tx, disk_read, disk_write; /* links */
    uint32_t
        *gpu_links; /* sharded: out, in, h2d, d2h of each GPU; then nic_out, nic_in of each node */
    uint32_t *wide; /* the same by kind: all ports, then all NICs */
    struct sim_station copy, disk;
    struct sim_station codec[KVT_TIERS];
};

struct node {
    struct sim_redis_node *keys;
    uint32_t process, nic_rx, nic_tx; /* links */
    struct sim_station command;
    uint64_t commands, stored_b; /* scratch: of the operation in hand */
};

struct sim_world {
    struct sim_config config;
    const struct kvt_observer *observer;
    const struct kvt_alloc *alloc;
    struct sim_deliver deliver;
    struct kvt_core *core; /* while advance runs */
    kvt_ns now;
    int broken; /* a negative errno once the simulator itself failed */
    bool redis_down;
    bool resized; /* engines compute with the GPUs of resized_fabric */
    struct sim_evq events;
    struct sim_links links;
    struct engine *engines;
    struct node *nodes;
    uint32_t nodes_each;                                       /* of a region */
    uint32_t region_links[KVT_REGIONS_MOST][KVT_REGIONS_MOST]; /* from, to; none to itself */
    struct kvt_pool ops;
    uint32_t ops_made; /* indices below were taken at least once */
    /* one machine; with workers only */
    struct sim_crew crew;
    struct kvt_pool pieces;
    bool serving;               /* the loop is at a value */
    uint32_t first[2], last[2]; /* questions and values that wait for it; KVT_NONE: none */
    struct sim_vary vary[SIM_VARIED];
    struct sim_faults *faults; /* NULL: nothing befalls */
    struct sim_world_stats stats;
};

/* world.c */

/* Schedules fn(world, arg, at). When that fails the world is broken. */
void sim_world_push(struct sim_world *w, kvt_ns at, sim_event_fn *fn, uint64_t arg);
void sim_world_done(struct sim_world *w, const struct kvt_done *done);
/* Whether an operation of `engine` with `tier` cannot work. Engine KVT_NONE: none takes part. */
bool sim_world_is_down(const struct sim_world *w, enum kvt_tier_kind tier, uint32_t engine);

static inline uint32_t sim_world_regions(const struct sim_world *w)
{
    const uint32_t n = w->config.regions.engines.n;
    return n > 1 ? n : 1;
}
static inline uint32_t sim_node_of(const struct sim_world *w, const struct op_block *b)
{
    return b->region * w->nodes_each + kvt_key_server(b->key, w->nodes_each);
}
/* Whether what a region's nodes hold is in another region than the engine. */
static inline bool sim_is_far(const struct sim_world *w, uint32_t engine, uint32_t region)
{
    const struct sim_regions *r = &w->config.regions;
    return r->engines.n > 1 && kvt_region_of(&r->engines, engine) != region;
}

/* world_op.c */

/* 0 or a negative errno, as the port wants it. */
int sim_op_start(struct sim_world *w, const struct kvt_transfer *t, enum op_kind kind);
/* All flows of a transfer have ended. */
void sim_op_moved(struct sim_world *w, uint32_t o);
/* Ends every operation that needs the tier (KVT_GPU: the engine) with KVT_DOWN. */
void sim_op_fail_all(struct sim_world *w, enum kvt_tier_kind tier, uint32_t engine);
/* A Redis node went (KVT_NONE: all of them), as seen by an engine (KVT_NONE: all): what is under way with it ends
 * with KVT_DOWN, or waits for its deadline. Reads from peers over that engine's network end too. */
void sim_op_interrupt(struct sim_world *w, uint32_t node, uint32_t engine, bool dead);
void sim_op_release_all(struct sim_world *w);

/* world_stats.c */
/* Whether part `part` is a link; which, and how fast it usually is. */
bool sim_part_link(const struct sim_world *w, uint32_t part, uint32_t *link, double *rate_bps);

/* world_fabric.c */
enum sim_gpu_link { GPU_OUT, GPU_IN, GPU_H2D, GPU_D2H, GPU_LINKS };

static inline bool sim_world_sharded(const struct sim_world *w)
{
    return w->config.fabric.gpus > 1;
}
/* The GPUs of now; and those that links are built for, all there ever are. */
static inline const struct sim_fabric *sim_world_fabric(const struct sim_world *w)
{
    return w->resized ? &w->config.resized_fabric : &w->config.fabric;
}
static inline const struct sim_fabric *sim_world_built(const struct sim_world *w)
{
    const struct sim_config *c = &w->config;
    return c->resized_fabric.gpus > c->fabric.gpus ? &c->resized_fabric : &c->fabric;
}
static inline uint32_t sim_world_gpu_link(const struct sim_world *w, const struct engine *e,
                                          uint32_t gpu, enum sim_gpu_link link)
{
    (void)w;
    return e->gpu_links[gpu * GPU_LINKS + link];
}
/* False when memory is out. */
bool sim_fabric_build(struct sim_world *w, struct engine *e);
void sim_fabric_release(struct sim_world *w, struct engine *e);
/* Memory of an operation for its parts, and for a plan if it moves shards; kept from life to life. False when it is out. */
bool sim_fabric_take(const struct sim_world *w, struct op *op, bool moves);
void sim_fabric_give(const struct sim_world *w, struct op *op);
/* Flows that one operation may start. */
uint32_t sim_fabric_flows(const struct sim_world *w);
/* Parts of an engine, to look at: how many, and the nth. */
uint32_t sim_fabric_parts(const struct sim_world *w);
void sim_fabric_part(const struct sim_world *w, uint32_t engine, uint32_t n,
                     struct sim_part_stats *stats);
/* Starts all flows of a gather (load) or spread (store), and writes down what they move. */
void sim_fabric_begin(struct sim_world *w, uint32_t o);
/* Starts what a load or store below moves over each GPU's PCIe. */
void sim_fabric_device(struct sim_world *w, uint32_t o);

/* All ports of an engine, or all NICs of its nodes: how many, and which. */
const uint32_t *sim_fabric_wide(const struct sim_world *w, const struct engine *e, bool nics,
                                uint32_t *n);
/* Whether a flow is on any of them. */
bool sim_fabric_is_used(const struct sim_world *w, const struct engine *e);

/* world_step.c */

int sim_step_start(struct sim_world *w, const struct kvt_step *s);
void sim_step_interrupt(struct sim_world *w, uint32_t engine);
/* The engine's step under way, if there is one, ends now with KVT_DOWN. */
void sim_step_down(struct sim_world *w, struct engine *e);
/* Somebody else's flows have begun on the engine's ports or NICs. */
void sim_step_has_company(struct sim_world *w, struct engine *e);
/* What each port carried, each way, and each node's NICs, for steps and without flows. */
double sim_step_port_b(const struct engine *e, kvt_ns now);
double sim_step_nic_b(const struct engine *e, kvt_ns now);

/* world_pipe.c */

/* One more stage of an operation, over by default when it began. */
struct stage *sim_pipe_stage(struct op *op, enum kvt_span span, kvt_ns fill_ns);
/* Starts a flow of the stage that was added last. */
void sim_pipe_flow(struct sim_world *w, uint32_t o, struct sim_flow *f);

/* Starts all stages of a transfer, now. Of Redis, nodes say what they have of it. */
void sim_pipe_begin(struct sim_world *w, uint32_t o);
/* All flows have ended: when the last piece is out. Adds to the operation's spans. */
kvt_ns sim_pipe_end(struct op *op);
/* Stops all flows. */
void sim_pipe_cancel(struct sim_world *w, struct op *op);
/* Lets every node run the commands booked with it; when the last one is through. */
kvt_ns sim_pipe_command_ns(struct sim_world *w);

/* world_piece.c */

static inline bool sim_on_machine(const struct sim_world *w)
{
    return w->config.machine.workers > 0;
}
/* Draws what this operation takes beside the usual: of its medium at once, since that is how long it is on the way. */
void sim_piece_draw(struct sim_world *w, struct op *op);
/* A probe or drop is at the servers: sim_op_asked follows when they have answered. */
void sim_piece_ask(struct sim_world *w, uint32_t o);
/* world_op.c */
void sim_op_asked(struct sim_world *w, uint32_t o);
/* Half a round trip of this operation. */
kvt_ns sim_piece_travel_ns(const struct op *op, kvt_ns half_ns);
/* Starts a transfer, now; sim_op_moved follows when all pieces are through. */
void sim_piece_begin(struct sim_world *w, uint32_t o);
/* All pieces are through: books the spans. Returns now. */
kvt_ns sim_piece_end(const struct sim_world *w, struct op *op);
/* Gives the pages of a step's chunks to workers. */
void sim_piece_fill(struct sim_world *w, uint32_t engine, const struct kvt_step *step);
/* A job of the engine's step is done. world.c */
void sim_step_filled(struct sim_world *w, uint32_t engine, uint32_t number);

#endif
