/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * redis.h - what one Redis node remembers: keys, sizes, life times, and whom it evicts.
 *
 * No time is modelled here: the world (world.h) queues commands and moves bytes, and asks this
 * file what the answer is. Values are only sizes. The node follows Redis 7 with `maxmemory` set,
 * after the descriptions in redis.conf, the key eviction page of redis.io and the comments of
 * src/evict.c and src/expire.c (github.com/redis/redis):
 *
 *   LRU clock  24 bits of seconds per key; idle time is the distance on that clock, so keys touched in
 *              the same second are equally old.
 *   Eviction   approximated. While a SET lacks room, `samples` keys are drawn at random and offered to
 *              a pool of the 16 idlest candidates seen so far; the idlest of the pool goes. The pool keeps
 *              the idle time with which a key came in: a key touched since then may still go, as in Redis.
 *              When samples cover all keys, the pool starts afresh: exact LRU at clock resolution.
 *   TTL        lazy: a command that meets an expired key deletes it. Active: 10 cycles a second, each
 *              looks at 20 random keys and repeats while more than 10 % of them had expired (at most 16
 *              times). Cycles are run when the next command comes in, and end at the first that found
 *              at most 10 %; those after it are skipped. Until then expired keys occupy memory.
 *   Memory     sum over keys of value bytes + overhead_b. A SET makes room first (a large value is in the
 *              query buffer, hence in used memory, before Redis looks at maxmemory), so the limit is never
 *              exceeded. With `evicts` false such a SET is refused.
 *
 * Invariants, asserted by sim_redis_node_check():
 *   (R1) memory = sum over keys of bytes + overhead_b, and is at most memory_b.
 *   (R2) Every key is found through the table, once.
 *   (R3) keys set = keys there + evicted + expired + deleted + replaced; the same for value bytes.
 *   (R4) The pool is sorted by idle time, idlest last.
 *
 * Random draws come from a stream of their own per node. The same commands at the same times
 * give the same answers. One key costs 38 to 45 bytes, see keytab.h.
 */
#ifndef SIM_REDIS_H
#define SIM_REDIS_H

#include "../core/alloc.h"
#include "config.h"

struct sim_redis_node;

/* Why a key went away. */
enum sim_redis_gone { SIM_REDIS_EVICTED, SIM_REDIS_EXPIRED, SIM_REDIS_DELETED, SIM_REDIS_REPLACED };

/* Counters grow only; keys and memory_b are of this moment. Bytes are value bytes, without
 * overhead_b, in all but memory. */
struct sim_redis_stats {
    uint64_t gets, hits;    /* GET, and those that found the key */
    uint64_t exists;        /* EXISTS; does not touch the key */
    uint64_t sets, refused; /* accepted; refused for want of room */
    uint64_t set_b;
    uint64_t gone[4], gone_b[4]; /* by enum sim_redis_gone */
    uint64_t keys, memory_b, peak_memory_b;
};

/* An empty node with the limits of *config (copied). alloc is borrowed until free. `id` names
 * its random stream under seed. NULL when memory is out. */
KVT_MUST_CHECK struct sim_redis_node *sim_redis_node_new(const struct sim_redis *config,
                                                         const struct kvt_alloc *alloc,
                                                         uint64_t seed, uint32_t id);
void sim_redis_node_free(struct sim_redis_node *node);

/* Told of every key that goes. Must not call the node. NULL: nobody (default). For tests and logs. */
void sim_redis_node_on_gone(struct sim_redis_node *node,
                            void (*gone)(void *self, kvt_key key, enum sim_redis_gone why),
                            void *self);

/* Commands. `now` never decreases. */

/* GET: true when the key is there; it counts as used now. */
bool sim_redis_node_get(struct sim_redis_node *node, kvt_ns now, kvt_key key);

/* GETEX: the same, and from now on the key lives until expire_ns. */
bool sim_redis_node_getex(struct sim_redis_node *node, kvt_ns now, kvt_key key, kvt_ns expire_ns);

/* EXISTS: the same without touching the key. */
bool sim_redis_node_exists(struct sim_redis_node *node, kvt_ns now, kvt_key key);

/* SET key to a value of value_b bytes (less than 2^40) that lives until expire_ns (KVT_NEVER:
 * for good). Returns 0; -ENOSPC when there is no room and none can be made (what was there
 * stays, less what was evicted in trying); -ENOMEM when the simulator's own memory is out. */
KVT_MUST_CHECK int sim_redis_node_set(struct sim_redis_node *node, kvt_ns now, kvt_key key,
                                      uint64_t value_b, kvt_ns expire_ns);

/* DEL: true when there was something to delete. */
bool sim_redis_node_del(struct sim_redis_node *node, kvt_ns now, kvt_key key);

/* The node lost its memory (a restart). Counts every key as deleted. */
void sim_redis_node_flush(struct sim_redis_node *node);

/* Looking. */
void sim_redis_node_stats(const struct sim_redis_node *node, struct sim_redis_stats *stats);

/* Idle time of a key on the LRU clock, in seconds; false when it is not in the table. An expired
 * key that no command has met yet is still in the table. Changes nothing. */
bool sim_redis_node_idle(const struct sim_redis_node *node, kvt_ns now, kvt_key key,
                         uint32_t *idle_s);

/* The simulator's own memory behind the node. */
size_t sim_redis_node_footprint_b(const struct sim_redis_node *node);

/* Walks everything. True, or false with one sentence in why[size]. */
bool sim_redis_node_check(const struct sim_redis_node *node, char *why, size_t size);

#endif
