/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world.h - the simulated world: a cluster behind the port, on a virtual clock.
 *
 *      engine e                                              redis node j
 *      +--------------------------------------------+        +--------------------------+
 *      | GPU   one step at a time                   |        | command  FIFO, 1 server  |
 *      |  ^ h2d link    | d2h link                  |        | process  link            |
 *      |  |             v                           |        | nic_tx, nic_rx  links    |
 *      | copy    FIFO, copy_threads servers         |  rtt   | keys     redis.h         |
 *      | codec   FIFO, cores servers  (per tier)    |<------>|                          |
 *      | nic_rx, nic_tx  links                      |        +--------------------------+
 *      | disk command FIFO, channels servers        |
 *      | disk_read, disk_write  links               |
 *      +--------------------------------------------+
 *
 * Links are shared max-min fairly (link.h), servers are first come first served (station.h). A Redis
 * process sends at most 64 KiB per client and turn of its loop (NET_MAX_WRITES_PER_EVENT in its
 * src/server.h), so its bytes are shared among clients like a link's; each engine reads from a node over
 * all its connections, hence with at most connections * connection_bps.
 *
 * A transfer is a pipeline. KV moves in pieces of at most piece_b stored bytes (config.h), and a piece
 * leaves a stage as soon as that stage is done with it:
 *
 *      load from    host     copy -> h2d                          (+ decode before copy, with a codec)
 *                   redis    command -> wire -> decode -> copy -> h2d
 *                   disk     command -> wire -> decode -> h2d
 *                   peer     d2h there -> wire -> h2d
 *      store to     host     d2h -> encode -> copy
 *                   redis    d2h -> copy -> encode -> wire -> command
 *                   disk     d2h -> encode -> command -> wire
 *
 * All stages take up their resources when the operation starts (t0); stage s is done with them, in
 * competition with everything else, at e(s). One piece takes f(s) in a stage nobody else uses, and l(s) to
 * travel on. The last piece leaves stage s at
 *
 *      E(s) = max(e(s) + sum of f(i) + l(i) over i < s,  E(s-1) + f(s)) + l(s),       E(-1) = t0
 *
 * Without competition and with equal pieces this is exact for a chain of single servers: one piece through
 * all stages, and the other n - 1 through the slowest. (t0 is issue time, or half a round trip later where
 * a request has to reach Redis or a peer first; l(wire) is half a round trip, l(h2d) and l(d2h) copy_latency_ns.)
 * E(s) - E(s-1) is the time by which stage s extends the end and is booked to its span: command -> queued,
 * wire -> wire (with both halves of the round trip), decode and encode -> decode, copy -> deserialise, h2d
 * and d2h -> copy. So spans sum to the operation's time, to the nanosecond.
 *
 * What the world knows, and core does not: which keys a Redis node still holds. A load asks in chain order
 * and stops at the first miss: blocks_ok blocks come back, with KVT_MISSING if that is not all. A store is
 * written when its last piece has arrived, blocks in chain order; where Redis refuses one for want of room,
 * status is KVT_BUSY. What host and disk hold is core's to know; the world believes it. An operation with
 * redis that has not ended after redis.timeout_ns ends with KVT_TIMEOUT and no block; its flows stop, its
 * commands still run (the server cannot know).
 *
 * A read from a peer takes up the d2h and nic_tx links of the engine that is read, and nic_rx and h2d of the one
 * that reads; its buffers are registered once, so nobody copies on the way. When either engine goes down it ends
 * with KVT_DOWN.
 *
 * Where the configuration has a machine with workers (config.h), transfers go piece by piece through threads that
 * share its cores instead, with times that vary: world_piece.c. Everything else is as above.
 *
 * Regions (config.h): a transfer with nodes of another one travels farther, over the link that all share which
 * go that way, as one more link of the same flow. One that has to do with several is under way until the farthest is done.
 *
 * What may befall parts of it (dead, cut off, slow, full, corrupt): fault.h.
 *
 * Not modelled: TCP slow start, GPU slowed by copies, Redis persistence and replication, faster links than the
 * network between engines of one node.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "../core/core.h"
#include "../core/observer.h"
#include "config.h"
#include "redis.h"

struct sim_world;

/* Builds the cluster, idle and empty, at time 0. config is copied; observer (may be NULL) is borrowed for
 * the world's life and gets core's notes. Returns NULL with one sentence in why[size] when the
 * configuration is not usable or memory is out. */
KVT_MUST_CHECK struct sim_world *sim_world_new(const struct sim_config *config,
                                               const struct kvt_observer *observer, char *why,
                                               size_t size);
void sim_world_free(struct sim_world *world);

/* The same with the memory of operations and keys from alloc (borrowed for the world's life) instead of
 * malloc. */
KVT_MUST_CHECK struct sim_world *sim_world_new_in(const struct sim_config *config,
                                                  const struct kvt_observer *observer,
                                                  const struct kvt_alloc *alloc, char *why,
                                                  size_t size);

/* The port to build a core on, and the operations that drive the world. Borrowed for the world's life;
 * self is the world.
 *
 * The port has no clock: an operation starts at the world's time, the latest of what was delivered and
 * what advance was asked for. So a driver first advances to t, then calls kvt_core_request(core, t, ..). */
struct kvt_port sim_world_port(struct sim_world *world);
const struct kvt_world_ops *sim_world_ops(void);

/* What happens before core sees a request: fixed cost, tokenising and hashing. The driver delivers a
 * request that much after its arrival. */
kvt_ns sim_world_frontend_ns(const struct sim_world *world, uint32_t prompt_tokens);

/* A tier (of one engine; for redis engine is ignored; KVT_GPU means the whole engine) stops or starts
 * answering. Operations under way there end now with KVT_DOWN, and so do new ones. What it holds stays.
 * The driver tells core by itself (kvt_core_down, kvt_core_up). */
void sim_world_set_down(struct sim_world *world, enum kvt_tier_kind tier, kvt_engine_id engine,
                        bool down);

/* From now on engines compute with config.resized_fabric.gpus GPUs: steps that begin, gathers and spreads are those of all of them.
 * The driver tells core by itself, right after (kvt_core_resize). */
void sim_world_resize(struct sim_world *world);

/* Where completions and timers go; by default into core. A test that has no core replaces it before the
 * first advance. Copied. */
struct sim_deliver {
    void (*done)(struct kvt_core *core, kvt_ns now, const struct kvt_done *done);
    void (*timer)(struct kvt_core *core, kvt_ns now, uint64_t timer);
};
void sim_world_deliver(struct sim_world *world, const struct sim_deliver *deliver);

/* ---- Looking. ------------------------------------------------------------------------------------ */

/* One part of the cluster. Ratios and means are over [0, now]. */
enum sim_part_kind { SIM_PART_GPU, SIM_PART_LINK, SIM_PART_STATION };

struct sim_part_stats {
    char name[32]; /* "engine0/gpu", "engine0/h2d", "redis3/process", ... */
    enum sim_part_kind kind;
    double rate_bps;  /* link: capacity; else 0 */
    uint32_t servers; /* station: servers; else 1 */
    uint64_t jobs;    /* gpu: steps that ended; link: flows that ended; station: operations */
    uint64_t bytes;   /* link: bytes of flows that ended; else 0 */
    double carried_b; /* link: bytes so far, flows under way included; else 0 */
    double
        busy_ratio; /* gpu: time in a step; link: bytes / (capacity * time); station: mean share of
                            servers at work. Never above 1 */
    double mean_wait_ns; /* station: from an operation's arrival to its first service; else 0 */
};

/* Parts are numbered from 0, engines first, in an order that depends on the configuration alone. */
uint32_t sim_world_parts(const struct sim_world *world);
void sim_world_part(const struct sim_world *world, uint32_t part, struct sim_part_stats *stats);

/* Bytes that went from one region's nodes or engines to another's, cancelled transfers included. */
uint64_t sim_world_between_b(const struct sim_world *world, uint32_t from, uint32_t to);

/* What Redis node `node` (< config.redis.nodes) counted. */
void sim_world_redis(const struct sim_world *world, uint32_t node, struct sim_redis_stats *stats);

struct sim_world_stats {
    kvt_ns now;
    uint64_t events;                        /* popped from the queue */
    uint64_t operations[KVT_TIERS];         /* probes, loads, stores, drops accepted, per tier */
    uint64_t steps, iterations, interrupts; /* interrupts: that cut a step short */
    uint64_t ended[KVT_STATUSES];           /* operations and steps by status */
    uint64_t keys_lost, breakers_opened;    /* by conditions (fault.h) */
    uint64_t under_way;                     /* operations and steps not yet delivered */
};
void sim_world_stats(const struct sim_world *world, struct sim_world_stats *stats);

#endif
