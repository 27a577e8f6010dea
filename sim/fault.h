/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fault.h - what befalls a part of the simulated cluster, from now on.
 *
 * A part is in a condition; usually in none. Who drives the world sets it (cli/faults.c has the schedule); the world
 * lets operations feel it, and core hears of it by how they end:
 *
 *                  redis node                     network of an engine      host, disk           gpu       link
 *      dead        refuses; its keys are another  -                         tier of the engine   engine    -
 *                  matter, see sim_world_lose                               is down              is down
 *      cut         does not answer: KVT_TIMEOUT   the same, all nodes;      as dead              -         -
 *                                                 peers: KVT_DOWN
 *      full        writes are refused: KVT_BUSY   -                         the same             -         -
 *      slow        links and commands             NICs                      links, copies,       steps     the link
 *                                                                           disk latency
 *      late_ns     each answer so much later      the same                  disk: each command   -         -
 *      corrupt     that share of the values read fails its check: KVT_CORRUPT                    -         -
 *
 * A client stops asking a node that has not answered or refused it, and tries again after a pause: one breaker
 * (core/breaker.h) for each engine and node, with the pauses of the real client. So a node that is back is used up
 * to a pause later. What is under way at the time: on a node that dies it ends with KVT_DOWN, since its connections
 * close; on one that is cut off it waits for its deadline. Without a deadline (redis.timeout_ns) what is cut off
 * counts as dead. An answer that is later than the deadline by late_ns alone is as good as none: so a node or network
 * that late opens breakers, too (what is written there all the same is not modelled).
 *
 * With config.redis.replicated each node has a replica: every write goes there over a NIC of its own, one after the
 * other, half a round trip away. What has not arrived when the node goes is what sim_world_lose(.., false) takes.
 *
 * Costs nothing, and changes no figure, unless config.faults is set.
 *
 * Not modelled: breakers that open since answers are late for want of bandwidth. The real client counts each command that
 * runs out of time, and any answer in time begins the count anew; here the commands of an operation are one flow, and
 * which of them would have been in time nobody knows. Also not: that replication shares the node's NIC; what a full resynchronisation costs; a client that prefers
 * its replica; TCP's own retries.
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "../core/types.h"

struct sim_world;

enum sim_at { SIM_AT_REDIS, SIM_AT_NETWORK, SIM_AT_HOST, SIM_AT_DISK, SIM_AT_GPU, SIM_AT_LINK };

struct sim_condition {
    bool dead, cut, full;
    double slow; /* rates are divided by it, times multiplied; 1: as usual */
    kvt_ns late_ns;
    double corrupt; /* 0 .. 1 */
};

/* As usual. */
static inline struct sim_condition sim_condition_none(void)
{
    return (struct sim_condition){.slow = 1};
}

/* Part `number` of a kind (Redis node, engine, or for SIM_AT_LINK the part of sim_world_part, which must be a
 * link) is in that condition from now on: all of it, in place of the one before. Needs config.faults. */
void sim_world_condition(struct sim_world *world, enum sim_at at, uint32_t number,
                         const struct sim_condition *condition);

/* A Redis node loses its keys: all, or only those that its replica does not have. */
void sim_world_lose(struct sim_world *world, uint32_t node, bool all);

/* The part's number by its name ("engine0/nic_rx"); UINT32_MAX when there is none, or it is no link. */
uint32_t sim_world_link_named(const struct sim_world *world, const char *name);

#endif
