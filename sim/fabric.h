/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fabric.h - the links between the GPUs of one engine, and what it costs to read a sharded context.
 *
 *      node 0                                           node 1
 *      gpu 0 == out, in ==+            +== nic_out ===>         +== out, in == gpu 8
 *      gpu 1 == out, in ==+-- switch --+                switch -+== ...
 *      ...                |            +<== nic_in ====         |
 *      gpu 7 == out, in ==+                                     +== out, in == gpu 15
 *        |                                                        |
 *       h2d, d2h (PCIe) to the host's memory                     h2d, d2h
 *
 * Each GPU has a port to a switch that is never full (NVLink and NVSwitch; where there is none, its
 * PCIe), each way; each node its NICs, one per GPU, used together; each GPU its own PCIe to the host.
 * Every one is a link (link.h) that all traffic shares: gathers, spreads, what steps exchange, and where a GPU's
 * PCIe is its port also what comes from its host.
 *
 * Gather (KVT_ACCESS_GATHER). Shards go from where they lie to every GPU that computes with them. With
 * tensor parallelism GPU d computes with 1 / H of the heads, H = min(KV heads, G), 1 for a latent. Let
 * P(g) be what is read from GPU g, in bytes, and P its sum. Then
 *
 *      out(g)        P(g) * (G - 1) / H              in(d)        (P - P(d)) / H
 *      nic_out(n)    P(n) * (G - |n|) / H            nic_in(n)    (P - P(n)) * |n| / H
 *
 * with P(n) summed over the GPUs of node n and |n| their number. All of them run at one time, so
 *
 *      time = latency + the longest of bytes / rate over all of these
 *
 * (the alpha-beta cost of a personalised all-to-all: Thakur, Rabenseifner and Gropp, IJHPCA 2005; NCCL's
 * all-to-all is point to point sends as well). Spread is the way back: each GPU sends what it has
 * computed, 1 / G of every block, to where its shards shall lie:
 *
 *      in(g)         P(g) * (G - 1) / G              out(d)       (P - P(d)) / G          likewise the NICs
 *
 * An engine that shrinks may have shards on GPUs that it computes with no longer. They send, all of P(g) G / H, and take
 * nothing; |n| counts GPUs that compute.
 *
 * Move. An engine that grows or shrinks sends shards from old to new places. With M(g, h) bytes from GPU g to GPU h
 *
 *      out(g)        sum of M(g, h) over h           in(h)        sum of M(g, h) over g
 *      nic_out(n)    the same, of those              nic_in(n)    likewise
 *                    that go to other nodes
 *
 * In place. Nothing is copied; each layer of each step exchanges, per token of the step,
 *
 *      query         heads * key dim * 2 bytes       from all GPUs, by heads, to where shards lie
 *      output        heads * value dim * 2 bytes     back, with a log-sum-exp of 4 bytes per head where
 *                                                    a layer's context lies on several GPUs
 *      new KV        its bytes * copies              to where it shall lie
 *
 * in two exchanges, each of which starts with `latency` and whose busiest port takes (G - 1) / G of those
 * bytes, its NIC (G - |n|) / G:
 *
 *      per layer and step     2 * latency + tokens * bytes * max((G - 1) / (G * port), (G - |n|) / (G * nic))
 *
 * For sequence shards that is Helix (arXiv 2507.07120, section 2.1: all-to-all over query heads, then
 * LSE merge) and pass-Q ring attention (arXiv 2411.01783, section 3); for layer shards the hand-over of
 * activations to the GPU that has the layer, and back. Heads need neither: their all-reduce is in gpu.h
 * for every engine. What waiting for the busiest GPU costs is the step's skew (core/shard_book.h).
 *
 * Steps. An all-reduce of D bytes passes 2 (G - 1) / G * D over each port, each way, as a ring does, and as much
 * over each node's NICs: there are as many rings as NICs, each with its part of D. An iteration moves
 *
 *      port          collectives * D * 2 (G - 1) / G + exchanged bytes * (G - 1) / G
 *      NICs of n     collectives * D * 2 (G - 1) / G + exchanged bytes * |n| (G - |n|) / G          |n|: a full node
 *
 * but no more than the link can carry in the time that these take (where a switch that reduces is measured to be
 * faster than ports are, fewer bytes pass). How that competes with gathers and spreads: world_step.c.
 *
 * Rounding. Bytes of a link are rounded up to whole ones, rates down to 2^-16 bytes per second (link.h),
 * times of a link up to whole nanoseconds; the exchange's time per token is a part of the step's, which
 * is rounded once (gpu.c).
 */
#ifndef SIM_FABRIC_H
#define SIM_FABRIC_H

#include "../core/shard.h"
#include "gpu.h"

/* Of one engine. */
struct sim_fabric {
    uint32_t gpus;    /* 0 or 1: not told apart, and nothing below is looked at */
    uint32_t leaving; /* behind these: shards lie on them still, but nothing is computed there */
    uint32_t gpus_per_node; /* the last node may have fewer */
    double port_bps;        /* of a GPU to the others, each way */
    bool port_is_pcie;      /* what comes from the host, or goes there, passes the port, too */
    double nic_bps;         /* of a GPU's share of its node's NICs, each way */
    double pcie_bps;        /* of a GPU to and from the host */
    kvt_ns latency_ns;      /* until the first byte of an exchange */
    uint32_t parts;         /* H: GPUs that compute with different heads */
    uint64_t part_b;        /* bytes of one token of weight 1 (shard.h) */
};

enum { SIM_FABRIC_NODES = KVT_SHARD_GPUS };

/* Bytes over each link. */
struct sim_fabric_plan {
    uint64_t out[KVT_SHARD_GPUS], in[KVT_SHARD_GPUS];
    uint64_t nic_out[SIM_FABRIC_NODES], nic_in[SIM_FABRIC_NODES];
    uint64_t sum_b; /* over all ports out */
};

/* NULL when usable, else one sentence (static). */
const char *sim_fabric_check(const struct sim_fabric *f);

/* GPUs that shards may lie on. */
static inline uint32_t sim_fabric_holders(const struct sim_fabric *f)
{
    return f->gpus + f->leaving;
}
/* Nodes, and GPUs of one, that compute. */
static inline uint32_t sim_fabric_nodes(const struct sim_fabric *f)
{
    return (f->gpus + f->gpus_per_node - 1) / f->gpus_per_node;
}
uint32_t sim_fabric_node_gpus(const struct sim_fabric *f, uint32_t node);

/* parts[holders]: weights times tokens that leave each GPU (gather), or come to it (spread). */
void sim_fabric_gather(const struct sim_fabric *f, const uint64_t *parts,
                       struct sim_fabric_plan *plan);
void sim_fabric_spread(const struct sim_fabric *f, const uint64_t *parts,
                       struct sim_fabric_plan *plan);

/* Moves between GPUs, exactly. */
void sim_fabric_move(const struct sim_fabric *f, const struct kvt_shard_move *moves, uint32_t n,
                     struct sim_fabric_plan *plan);

/* How long a plan takes when nobody else moves anything; 0 when it moves nothing. */
kvt_ns sim_fabric_ns(const struct sim_fabric *f, const struct sim_fabric_plan *plan);

/* Time of b bytes over a link of that rate, alone. */
kvt_ns sim_fabric_link_ns(uint64_t b, double bps);

/* What one exchange of b bytes per token costs per token, and as a whole: the ns per byte that each GPU
 * contributes to. */
double sim_fabric_exchange_ns_per_b(const struct sim_fabric *f);

/* What one iteration of a step moves, and how long that takes alone; latencies are not in it. */
struct sim_fabric_traffic {
    kvt_ns ns;
    uint64_t port_b; /* over each port, each way */
    uint64_t nic_b;  /* over the NICs of each node, each way; 0: one node */
};

struct sim_fabric_traffic sim_fabric_traffic_of(const struct sim_fabric *f,
                                                const struct sim_gpu *gpu,
                                                const struct kvt_step *step);

#endif
