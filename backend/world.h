/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world.h - the real world: the port on real memory, a real Redis and real files, under the
 * monotonic clock.
 *
 *      loop (the caller's thread, inside advance)           workers (libuv's pool)
 *      +--------------------------------------------+      +--------------------------------------+
 *      | core's operations -> blocks -> pieces      | ---> | download, encode, write a file       |
 *      | Redis sockets, deadlines, timers, core     | <--- | read a file, verify, decode, upload  |
 *      +--------------------------------------------+      | fill pages with what a model would   |
 *                                                          +--------------------------------------+
 *
 * Time is nanoseconds since the first advance (or be_world_start). An operation is cut into
 * blocks, a block into pieces (value.h); each piece goes through its stages by itself, so the
 * stages of one operation overlap. A piece needs a staging buffer from a bounded ring from its
 * first byte to its last; pieces wait for one in order. An operation ends when its last piece has
 * left the last stage, or failed; its spans are how far each stage's last piece extended the end,
 * as in the simulated world.
 *
 *      load    gpu     shards to where a request computes       copy
 *              peer    pages to pages                           copy
 *              redis   GET -> verify, decode -> upload          wire | decode | copy
 *              disk    read -> verify, decode -> upload         wire | decode | copy
 *              host    upload                                   copy
 *      store   redis   download -> encode -> SET                copy | decode | wire
 *              disk    download -> encode -> write, rename      copy | decode | wire
 *              host    download                                 copy
 *
 * Waiting for staging is queued. Without a codec decode is the checksum. The way to a worker is
 * copy's.
 *
 *   (W1) No byte reaches a page before its value was verified whole; an operation that has ended
 *        never writes to its pages again.
 *   (W2) Every accepted operation completes exactly once, and one that names Redis at the latest when
 *        its deadline has passed and the workers have let go of its pages.
 *   (W3) Whatever fails below is a status: missing, down, timeout, corrupt, busy. None stops a run.
 *
 * Engines whose GPUs are told apart (core/shard.h): a step fills the pages that its request computes with, and copies
 * each block that it completes to where its shards lie, before core hears that it is there. So nothing is left to do
 * for the store to tier gpu that core issues when a prompt is complete, but for blocks of output, which have no place
 * until then. What a load from tier gpu copies, pool to pool, is what the simulated world books for it (sim/fabric.h).
 *
 * Compute is modelled: a step lasts as long as `compute` says, and meanwhile its pages are really
 * filled, with content that follows from each block's key. With `verify` every loaded piece is
 * compared with that content, byte for byte (lossy codecs: by checksum after the upload only); a
 * difference is a defect of ours, and ends the run with -EILSEQ.
 */
#ifndef BE_WORLD_H
#define BE_WORLD_H

#include <signal.h>

#include "../core/core.h"
#include "../core/observer.h"
#include "cells.h"
#include "device.h"
#include "disk.h"
#include "redis.h"
#include "value.h"
#include "workers.h"

/* How long the GPU would take. */
struct be_compute {
    kvt_ns (*step_ns)(void *self, const struct kvt_step *step,
                      uint32_t iterations); /* the first so many */
    /* The iteration under way after elapsed_ns, from 1; at most step->repeat. */
    uint32_t (*iterations_by)(void *self, const struct kvt_step *step, kvt_ns elapsed_ns);
    void *self;
};

struct be_world_config {
    uint32_t engines, gpus_per_engine, block_tokens;
    struct k_geometry geometry; /* of one GPU's pool: heads and pages are one GPU's share */
    /* Engines whose GPUs are told apart, by any policy but `head`, whose blocks lie as an engine's without shards do;
     * gathered. Policy NULL: none. geometry.pages are then core's pages, and each pool has so many cells (cells.h). */
    struct kvt_shard_config shard;
    uint32_t cells;
    const char *device; /* see be_device_open */
    uint64_t epoch;     /* see be_format */
    size_t piece_b;     /* most raw bytes of a value */
    uint32_t threads;   /* workers; 0: one per processor, and one */
    uint64_t stage_b;   /* staging memory; 0: automatic */
    bool verify;
    bool tiers[KVT_TIERS];            /* which there are */
    struct be_codec codec[KVT_TIERS]; /* of redis and disk; host keeps raw bytes */
    uint64_t host_b;                  /* of the host tier, per engine */
    struct {
        const struct be_redis_address *nodes;
        uint32_t n_nodes, connections;
        uint32_t depth; /* values asked for at a time, per connection; > 0 */
        enum be_layout layout;
        kvt_ns timeout_ns; /* per operation; KVT_NEVER: ten seconds, for nothing waits for ever */
    } redis;
    struct be_disk_config disk; /* folder: each engine gets one below it; quota_b: of each */
    struct be_compute compute;
    const volatile sig_atomic_t
        *stop; /* advance returns early when it is set. NULL: nothing stops it */
};

struct be_world;

/* Opens everything. config is copied, but for strings and nodes, which are borrowed until it
 * returns. observer (may be NULL) is borrowed for the world's life. NULL with one line in why: no
 * such device, not enough memory, Redis not reachable (or it refuses the password), folder not
 * usable. */
KVT_MUST_CHECK struct be_world *be_world_new(const struct be_world_config *config,
                                             const struct kvt_observer *observer, int *error,
                                             char *why, size_t size);
/* Ends operations under way without telling core, waits for the workers, closes everything. */
void be_world_free(struct be_world *world);

struct kvt_port be_world_port(struct be_world *world);

/* advance returns when real time has come to `until`, when `stop` is set, or when nothing is
 * under way and no timer is armed and until is KVT_NEVER; next is `now` while anything is under
 * way; now is the clock. */
const struct kvt_world_ops *be_world_ops(void);

/* Lets the clock begin at 0 now. Without it the first advance does. */
void be_world_start(struct be_world *world);

/* What the world counted. */
struct be_world_stats {
    uint64_t operations[KVT_TIERS], pieces[KVT_TIERS];
    uint64_t ended[KVT_STATUSES];
    uint64_t corrupt_pieces, verified_pieces, verified_b, wrong_pieces;
    uint64_t steps, iterations, filled_b;
    uint64_t late_ns_most,
        late_steps; /* steps whose pages were filled later than the modelled end */
    uint64_t under_way;
};
void be_world_stats(const struct be_world *world, struct be_world_stats *stats);

/* One GPU of an engine whose blocks lie in shards. Copies within a GPU are in neither in nor out. */
struct be_gpu_stats {
    uint64_t shards_b, working_b; /* bytes of cells in use now */
    uint64_t gather_out_b, gather_in_b, spread_out_b, spread_in_b;
    uint64_t up_b, down_b; /* from tiers below, and to them */
};
/* False: no such GPU, or nothing is sharded. */
bool be_world_gpu(const struct be_world *world, uint32_t engine, uint32_t gpu,
                  struct be_gpu_stats *stats);

/* Cells of all engines add up. Slow: for assert() and tests. */
bool be_world_shards_check(const struct be_world *world);

/* What its workers did so far (workers.h); *threads: how many there are. */
struct be_workers_stats be_world_workers(const struct be_world *world, uint32_t *threads);

/* What Redis node `node` said of itself when it was last asked (once a second, and at be_world_ask). */
struct be_node_stats {
    bool known;
    uint64_t keys, memory_b, evicted_keys, expired_keys, hits, misses;
};
void be_world_node(const struct be_world *world, uint32_t node, struct be_node_stats *stats);
/* Asks all nodes again and waits for the answers, at most a second. */
void be_world_ask(struct be_world *world);

void be_world_redis(const struct be_world *world, uint32_t node, struct be_redis_stats *stats);
void be_world_disk(const struct be_world *world, uint32_t engine, struct be_disk_stats *stats);
const struct be_device *be_world_device(const struct be_world *world);

/* Seed of a block's content on one shard, from the block's key: what a model would compute there. */
uint64_t be_seed(kvt_key key, uint32_t shard);

#endif
