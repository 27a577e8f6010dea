/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_impl.h - what the files of the real world share.
 *
 *      world.c         the port, the loop, timers           world_build.c   construction, looking
 *      world_op.c      operations and their end             world_redis.c   Redis: commands and replies
 *      world_task.c    pieces: staging, workers, verify     world_disk.c    files
 *      world_step.c    modelled steps, filled pages         world_host.c    main memory
 *      world_peer.c    engine to engine                 world_shard.c   GPU to GPU: gathered and spread
 *      world_page.c    pages as core numbers them, and where they are on the device
 *
 * Life of an operation:
 *
 *      port ---> waiting in its lane ---> pieces under way, each a task ---> last one back ---> done
 *                  (one piece a turn)      wire, worker, wire
 *
 * A lane is a tier with its tasks. Operations of a lane take turns, a piece each, so that they
 * share it as flows share a link; loads go before stores. Once a block has failed, pieces of
 * later ones do not start any more; what is under way is waited for, since it may write into
 * pages.
 */
#ifndef BE_WORLD_IMPL_H
#define BE_WORLD_IMPL_H

#include "workers.h"
#include "world.h"

#include <stddef.h>

enum op_kind { OP_PROBE, OP_LOAD, OP_STORE, OP_DROP };

/* PAGES_MOST: of a block in shards. */
enum { LANES = KVT_TIERS, NAMES_MOST = 3, PAGES_MOST = 256 };

struct op_block {
    kvt_key key;
    uint32_t tokens;
    uint32_t number; /* kvt_block_id */
};

struct op {
    struct be_world *world;
    struct op *next; /* waiting in a lane, ready to be delivered, or free */
    enum op_kind kind;
    kvt_op_id id;
    uint32_t engine;
    uint32_t from; /* peer: whose pages are read */
    uint32_t copy; /* sharded: which copy of each shard is read */
    enum kvt_tier_kind tier;
    uint32_t n_blocks, n_pieces; /* pieces of all blocks */
    uint32_t started, under_way; /* pieces; of a probe or drop: commands */
    uint32_t first_bad;          /* n_blocks: none */
    enum kvt_status status;      /* of that one */
    bool waiting, expired, ending, live;
    uint32_t generation; /* tells deadlines of former lives apart */
    kvt_ns ttl_ns;
    kvt_ns issued_ns, deadline_ns; /* the world's clock */
    uint64_t bytes;
    kvt_ns begin_ns;                    /* the first piece's; 0: none yet */
    kvt_ns wire_ns, decode_ns, copy_ns; /* when the last piece left the stage; 0: none did */
    struct op_block *blocks;            /* room_blocks */
    uint32_t *pages;                    /* pages_per_block a block */
    uint32_t *from_pages; /* peer, gather: the same of what is read; where there are such */
    uint32_t room_blocks;
    struct be_chore chore; /* disk: removing files */
};

struct op_list {
    struct op *first, *last;
};

/* One piece under way. */
struct task {
    struct be_world *world;
    struct task *next; /* free */
    struct op *op;
    uint32_t block, piece;
    enum kvt_tier_kind lane;
    struct be_chore chore;
    /* Staging, made at first use: a value, the raw bytes of a piece, and scratch for the codec. */
    void *value, *raw, *scratch;
    size_t value_b;
    uint32_t replies_due;         /* commands that are not back yet */
    const void *part[NAMES_MOST]; /* the values of the piece: one, or k, v, meta; in `value` */
    size_t part_b[NAMES_MOST];
    void *value_at;             /* host: the block's slot */
    const void *payload;        /* raw bytes that went to the device */
    struct be_piece piece_done; /* what it was, when its operation may be gone */
    bool wrong;                 /* payload is not what has to be there */
    enum kvt_status status;
    kvt_ns wire_ns, decode_ns, copy_ns;
};

struct lane {
    struct task *tasks, *free;
    uint32_t n_tasks, storing; /* storing: tasks of stores, at most half */
    struct op_list loads, stores;
    struct be_format format;
    bool per_layer;
    size_t value_room, raw_room, scratch_room;
    bool pumping;
    uint32_t on_wire,
        on_wire_most; /* redis: GETs without a reply; no more are asked for at a time */
};

/* A stretch of one block that a step is to fill. */
struct fill {
    kvt_key key;          /* what its content follows from */
    uint32_t pages;       /* of the block: from here on in the engine's list */
    uint32_t first_token; /* in the block */
    uint32_t tokens;
    uint32_t
        iteration; /* decode: the one that makes the first token; each one more makes one more */
    bool decode;
    bool spread;          /* it completes a block whose shards are to be elsewhere: */
    uint32_t shard_pages; /* from here on in the engine's list */
};

struct engine {
    bool stepping, timed; /* timed: the modelled time is over */
    uint32_t generation;
    struct kvt_step step; /* chunks: not kept */
    kvt_ns begin_ns, end_ns;
    uint32_t iterations; /* it will have run by then */
    uint32_t asked;      /* iterations whose fills were asked for */
    struct fill *fills;
    uint32_t n_fills, room_fills;
    uint32_t *pages;
    uint32_t n_pages, room_pages;
    uint32_t fills_under_way;
    uint32_t drops_under_way[KVT_TIERS];
    struct be_disk *disk;
    struct be_cells cells;     /* sharded */
    struct be_gpu_stats *gpus; /* sharded: by GPU; counted on the loop */
    /* host tier: the slot of a block by its number, KVT_NONE when it has none */
    uint32_t *host_slot;
    uint32_t host_blocks;
};

/* A batch of fills for a worker. */
struct fill_job {
    struct fill_job *next;
    uint32_t engine;
    uint32_t first, end;                   /* fills of the engine */
    uint32_t from_iteration, to_iteration; /* of decoding ones */
    struct be_chore chore;
    uint64_t b;
    int rc;
};

enum timer_kind { TIMER_CORE, TIMER_STEP, TIMER_FILL, TIMER_DEADLINE, TIMER_INFO };

struct timer {
    kvt_ns at;
    uint64_t sequence;
    enum timer_kind kind;
    uint32_t generation;
    uint64_t name; /* core's timer, an engine's number */
    struct op *op;
};

struct host_slabs {
    void **slab;
    uint32_t n, room;
    uint32_t slots_per_slab, slots;
    size_t slot_b;
    uint32_t *free;
    uint32_t n_free, room_free;
};

struct node {
    struct be_node_stats stats;
    bool up, asking;
};

struct be_world {
    struct be_world_config config;
    const struct kvt_observer *observer;
    struct kvt_core *core; /* of the last advance */
    struct be_device device;
    uv_loop_t loop;
    uv_poll_t clock_poll;
    int clock_fd;
    bool loop_open, poll_open, started, closing;
    uint64_t origin_ns; /* uv_hrtime at time 0 */
    kvt_ns now;         /* the latest that core was told */
    int error;
    uint32_t pages_per_block, pieces_per_block;
    struct timer *timers;
    uint32_t n_timers, room_timers;
    uint64_t timer_sequence;
    struct op_list ready; /* ended without any wait: delivered by the loop (P2) */
    struct op *free_ops;
    struct op **ops;
    uint32_t n_ops, room_ops;
    struct lane lanes[LANES];
    struct engine *engines;
    struct fill_job *free_jobs;
    struct fill_job **jobs;
    uint32_t n_jobs, room_jobs;
    struct host_slabs host;
    struct be_redis *redis;
    struct node *nodes;
    uint32_t nodes_up;
    struct be_workers workers; /* self: the world */
    bool tier_down;
    char *folder;     /* of the disk tier */
    bool folder_made; /* by us */
    struct be_world_stats stats;
};

static inline struct task *task_of(struct be_chore *c)
{
    return (struct task *)(void *)((char *)c - offsetof(struct task, chore));
}

static inline void op_push(struct op_list *list, struct op *op)
{
    op->next = NULL;
    if (list->last)
        list->last->next = op;
    else
        list->first = op;
    list->last = op;
}
static inline struct op *op_pop(struct op_list *list)
{
    struct op *op = list->first;
    if (op) {
        list->first = op->next;
        if (!list->first)
            list->last = NULL;
    }
    return op;
}

/* world.c */

/* The clock, and what core is told: never backwards. */
kvt_ns be_clock(const struct be_world *w);
kvt_ns be_tick(struct be_world *w);
/* uv_hrtime of a time of the world. */
kvt_ns be_hrtime(const struct be_world *w, kvt_ns at);
/* Arms a timer; without memory the world is broken. */
void be_timer(struct be_world *w, struct timer timer);
int be_world_open_clock(struct be_world *w);

/* world_op.c */
int be_op_start(struct be_world *w, const struct kvt_transfer *t, enum op_kind kind);
/* Block i of the operation is not good. */
void be_op_bad(struct op *op, uint32_t i, enum kvt_status status);
/* If nothing is left to wait for, the loop will tell core. */
void be_op_check(struct op *op);
void be_op_deliver(struct op *op);
void be_op_expire(struct op *op);

/* world_task.c */
int be_lane_init(struct be_world *w, enum kvt_tier_kind tier);
void be_lane_release(struct be_world *w, enum kvt_tier_kind tier);
/* Starts what can start. */
void be_lane_pump(struct be_world *w, enum kvt_tier_kind tier);
struct be_piece be_task_piece(const struct task *t);
/* Loads: a value lies in t->value (disk: will, read by the worker). Verified, decoded and
 * uploaded on a worker; then the piece is through. */
void be_task_ingest(struct task *t);
/* Stores: downloaded and encoded into t->value on a worker; then written, and the piece is through. */
void be_task_produce(struct task *t);
/* The piece is through, t->status says how. On the loop. */
void be_task_end(struct task *t);
/* The piece was compared with what has to be there: t->wrong. On the loop. */
void be_task_verified(struct task *t);
/* On a worker: pool of the task's shard; pages to packed and back. They stamp the times. */
uint32_t be_task_pool(const struct task *t, uint32_t shard);
struct k_part be_task_part(const struct task *t, const struct be_piece *piece);

/* world_redis.c */
size_t be_redis_value_room(const struct be_world *w);
void be_redis_start(struct task *t);
void be_redis_put(struct task *t);
void be_redis_probe(struct op *op);
void be_redis_drop(struct op *op);
void be_redis_ask_all(struct be_world *w);
void be_redis_node_changed(void *self, uint32_t node, bool up);

/* world_disk.c */
void be_disk_start(struct task *t);
bool be_disk_fetch(
    struct task *t); /* on a worker: reads into t->value; false: t->status says why not */
void be_disk_keep(struct task *t); /* on a worker: writes t->value */
void be_disk_probe(struct op *op);
void be_disk_drop(struct op *op);

/* world_host.c */
int be_host_init(struct be_world *w);
void be_host_release(struct be_world *w);
void be_host_start(struct task *t);
void be_host_ended(struct op *op); /* gives back what a failed store had taken */
void be_host_probe(struct op *op);
void be_host_drop(struct op *op);

/* world_page.c: on a worker. Packed bytes to pages, as core numbers them, and back; content from a seed. 0 or the
 * device's error. */
struct be_pages {
    uint32_t engine;
    const uint32_t *pages;
    uint32_t first_token, tokens; /* in the block */
    uint32_t heads;               /* of which GPU */
    uint32_t layer0, layers;
    uint32_t copy; /* sharded, down: which is read */
};
int be_pages_up(struct be_world *w, const struct be_pages *p, const void *packed);
int be_pages_down(struct be_world *w, const struct be_pages *p, void *packed);
int be_pages_fill(struct be_world *w, const struct be_pages *p, uint64_t seed);
struct be_pages be_task_pages(const struct task *t, const struct be_piece *piece);
static inline bool be_sharded(const struct be_world *w)
{
    return w->config.shard.policy != NULL;
}

/* world_shard.c */
int be_shard_init(struct be_world *w);
void be_shard_release(struct be_world *w);
struct k_geometry be_shard_geometry(const struct be_world_config *config);
void be_shard_freed(void *self, kvt_engine_id engine, uint32_t page);
/* Pages get their cells: those of a step, and of an operation whose pages are filled in. 0 or negative errno. */
int be_shard_work(struct be_world *w, uint32_t engine, const uint32_t *pages, uint32_t n);
int be_shard_place(struct be_world *w, uint32_t engine, const uint32_t *pages, uint32_t n,
                   const uint8_t *row);
int be_shard_op(struct op *op, const struct kvt_transfer *t);
/* On a worker: one GPU's heads of a block, to where its request computes; and a block from there to its shards. */
void be_shard_gather(struct task *t);
int be_shard_spread(struct be_world *w, uint32_t engine, const uint32_t *from, const uint32_t *to);
/* On the loop: books what a piece moved that went well, and a block that was spread. */
void be_shard_moved(const struct task *t);
void be_shard_was_spread(struct be_world *w, uint32_t engine, const uint32_t *to);

/* world_peer.c: on a worker, from pages to pages; with verify, what arrived into t->value. */
void be_peer_copy(struct task *t);

/* world_step.c */
int be_step_start(struct be_world *w, const struct kvt_step *step);
void be_step_interrupt(struct be_world *w, uint32_t engine);
void be_step_timer(struct be_world *w, uint32_t engine, uint32_t generation, bool end);
void be_step_release(struct be_world *w);

#endif
