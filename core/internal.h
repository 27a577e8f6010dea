/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * internal.h - what the files of the core share: requests, operations, engines, and who does what.
 *
 *      core.c    inputs, construction             route.c   which engine
 *      admit.c   match, decide, take pages        fetch.c   probes and loads, abandoning, gathering
 *      back.c    write-back: what leaves the GPU is stored first
 *      wording.c what a request's tokens add to its keys
 *      part.c    parts of blocks, copied instead of computed
 *      step.c    batches, chunks, preemption      write.c   write-through, and blocks made by decoding
 *      emit.c    operations out, their digest     report.c  ledger, spans, the end of a request
 *      check.c   invariants                       look.c    gauges, orphans, memory
 *      sharded.c an engine's GPUs told apart      region.c  what lies in other regions
 *      orphans.c GPUs that evict each by itself   resize.c  an engine gets more of them, or fewer
 *      shrink.c  what still fits on fewer         recopy.c  copies that a GPU took with it
 *      discard.c what nobody will ask for again   lost.c    what a tier came back without
 *      gpu_lost.c what a GPU took with it        requests.c  its requests, in lists
 *
 * A request's life on its engine, as `state`:
 *
 *      WAITING ---admit---> GATHERING ---all its blocks are there---> RUNNING ---last token---> report
 *         ^                     |                                        |
 *         +----- replan --------+----------------- preempt --------------+
 *
 * While GATHERING it waits for its own probes and loads, and for blocks that others are filling
 * (single flight). While RUNNING it first prefills [computed, target), then decodes.
 *
 * Each prompt block carries in `src` the ledger class its tokens will be booked under; so the
 * ledger adds up by construction, and whatever happens on the way (a load fails, a block turns up)
 * rewrites src.
 */
#ifndef KVT_INTERNAL_H
#define KVT_INTERNAL_H

#include "alike.h"
#include "contig.h"
#include "order.h"
#include "place.h"
#include "siblings.h"
#include "tap.h"

#include <assert.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum req_state { REQ_WAITING, REQ_GATHERING, REQ_RUNNING };

/* What every step looks at comes first and lies together: batches are walked several times a
 * step. */
struct req {
    uint32_t next, prev; /* in its engine's list for `state` */
    uint32_t computed;   /* tokens whose KV is in place */
    uint32_t target; /* tokens to have before decoding goes on: prompt + generated at admission */
    uint32_t generated, prompt_tokens, output_tokens;
    uint32_t chunk; /* new tokens in the step under way; 0: not in it as prefill */
    /* blocks: n_keys numbers; n_match of them may be looked up (prompt blocks) */
    uint32_t n_keys, n_match, n_held; /* n_held: blocks [0, n_held) have a copy while admitted */
    struct kvt_page_run tail; /* pages behind the last held block: tail of the prompt and output */
    uint32_t stepped;         /* tokens computed by prefill steps of the first pass, for (C7) */
    bool decoding_in_step, abandoned, replan, first_done;
    bool background;   /* nobody waits for it */
    bool collecting;   /* sharded: its context is on its way to where it is computed with, */
    bool spread;       /* and is there */
    uint8_t copy;      /* sharded: which copy of each shard it reads */
    uint32_t attended; /* sharded, in place: blocks that the engine's decoding load holds of it */
    uint8_t probing;   /* bit per tier: a probe is under way, so no load fills its blocks yet */
    enum req_state state;
    uint32_t *blocks;   /* slab, n_keys */
    uint32_t *copies;   /* slab, n_keys: GPU copy used by this request, while admitted */
    uint8_t *src;       /* slab, n_keys bytes: enum kvt_ledger of each prompt block */
    uint64_t *next_use; /* slab, n_keys: next request that looks the block up; NULL: not known */
    uint32_t *tokens, *letters; /* slab: prompt_tokens, n_letters; while they may be asked about */
    uint32_t n_letters;
    bool asked, measured, by_alike; /* by_alike: an exact match was replaced by a shorter one */
    uint32_t alike_blocks;          /* whole blocks in common with the most similar prompt */
    uint32_t run;                   /* leading blocks that keys found at the last match */
    uint32_t measured_run, behind_tokens; /* what the tree knew behind that many blocks */
    uint32_t part_from, part_tokens; /* the step under way copies so many from that copy; 0: none */
    uint32_t parts[KVT_LEDGER];      /* copied in this admission, by class of the block it is for */
    kvt_key root;
    uint32_t gathered;   /* blocks [0, gathered) have arrived */
    uint32_t usable;     /* blocks [0, usable) need not be computed, as far as is known */
    uint32_t ops;        /* probes and loads of its own under way */
    uint32_t stored;     /* blocks [0, stored) were offered to the write-through tiers */
    uint32_t generation; /* tells timers and operations of former lives apart */
    uint32_t tenant, session, engine, region;
    struct kvt_page_run fixed; /* pages_per_request */
    uint32_t pending;          /* prefill tokens booked with the engine for the router */
    uint32_t preemptions, recomputed_tokens, hit_blocks;
    enum kvt_tier_kind source;
    uint32_t ledger[KVT_LEDGER];
    uint64_t id;
    uint64_t contig_at, contig_tokens;
    kvt_ns arrive_ns, deliver_ns, start_ns, first_token_ns;
    kvt_ns fetch_begin_ns, probe_ns;
    kvt_ns last_load_ns[KVT_SPANS]; /* spans of the load that ended last in this gathering */
    kvt_ns span_ns[KVT_SPANS];      /* settled so far */
};

enum op_kind { OP_PROBE, OP_LOAD, OP_STORE, OP_DROP, OP_STEP, OP_MOVE };

struct op {
    enum op_kind kind;
    bool cleans; /* store: writes back what shall leave the GPU */
    bool live;   /* false once completed: a second completion is ignored */
    enum kvt_tier_kind tier;
    uint32_t engine, req, generation; /* req KVT_NONE: nobody waits */
    uint32_t from;                    /* load from a peer: the engine that lends; else KVT_NONE */
    uint32_t far;                     /* store to another region: which; else KVT_NONE */
    uint32_t n;                       /* room in the arrays below */
    uint32_t used;                    /* store, move: how many are in it */
    uint32_t *index;                  /* positions in the request's chain */
    uint64_t *next;  /* as struct req's next_use, where core knows the future; else NULL */
    uint32_t *gpu;   /* load, store, move: GPU copies, each used by this op */
    uint32_t *lower; /* load: copies read. store: copies written. Each used by this op */
    kvt_ns begin_ns;
    uint64_t predicted_ns; /* load: booked with the engine */
    uint64_t *parts;       /* sharded gather: asked of each GPU; else NULL */
    uint8_t copy;          /* sharded: which copy of each shard it reads */
};

struct list {
    uint32_t first, last, n;
};

struct engine {
    struct list lists[3]; /* by enum req_state */
    uint32_t step_op;     /* KVT_NONE: idle */
    kvt_ns step_begin_ns;
    uint32_t step_decode;
    uint64_t step_prefill_tokens, step_background_tokens;
    uint32_t step_repeat;
    bool interrupted, up;
    bool retry_armed;                              /* a step was refused: a timer will try again */
    bool blocked;                                  /* the head of the queue found too few pages: */
    uint64_t blocked_pages, blocked_blocks;        /* try again when more than these can be had */
    uint64_t blocked_changes;                      /* sharded: or when the book has changed since */
    uint64_t inflight_load_ns[KVT_TIERS];          /* predicted, of loads under way */
    uint64_t lent_blocks;                          /* read by loads of other engines under way */
    uint32_t storing_blocks[KVT_TIERS];            /* held by stores under way */
    uint32_t storing_far_blocks[KVT_REGIONS_MOST]; /* the same of those to other regions */
    uint64_t cleaning_blocks;        /* of these, blocks that leave the GPU afterwards */
    uint64_t pending_prefill_tokens; /* of unfinished requests, as the router predicts them */
    uint64_t load_tokens;            /* prompt tokens of unfinished requests */
};

enum { GONE_ROOM = 256, BELOW_GPU = KVT_TIERS - 1 };

enum { REQUESTS_SHIFT = 8, OPS_SHIFT = 8 }; /* records to a segment, as powers of two */

struct kvt_core {
    struct kvt_core_config config;
    struct kvt_port port;
    const struct kvt_alloc *alloc;
    const struct kvt_tap *tap;
    struct kvt_blocks blocks;
    struct kvt_store_room room;
    struct kvt_slab slab;
    struct kvt_alike alike;
    struct kvt_siblings siblings; /* tokens of blocks, where parts of them are reused */
    uint64_t sweep_at;            /* so many of them: those that no GPU holds are forgotten */
    struct kvt_pool requests, ops;
    struct engine *engines;
    struct kvt_contig *contigs; /* one per engine */
    uint32_t *match_length;     /* per engine: router's scratch */
    struct kvt_block_ref *refs; /* scratch for one operation */
    uint32_t refs_room;
    struct kvt_chunk *chunks;          /* scratch for one step */
    struct kvt_step_copy *step_copies; /* likewise */
    struct kvt_core_stats stats;
    uint64_t next_engine[KVT_REGIONS_MOST]; /* whose turn it is, modulo their number (route.c) */
    uint64_t store_quota_blocks;            /* per engine and tier */
    uint32_t generations;
    uint64_t *gpu_parts;  /* sharded: scratch for one transfer */
    uint8_t *placed;      /* sharded: scratch for one admission, a row per block */
    uint64_t *chunk_skew; /* sharded: scratch for one step */
    uint32_t placed_room;
    struct kvt_resize *resize; /* NULL: engines keep their GPUs */
    struct kvt_recopy *recopy; /* NULL: copies that are lost are not made anew */
    struct {
        uint64_t recent[KVT_SHARD_GPUS], since;
    } tried;                             /* sharded: what a policy remembered before an attempt */
    enum kvt_tier_kind back;             /* the write-back tier; KVT_TIERS: none */
    enum kvt_tier_kind below[BELOW_GPU]; /* the GPU: in which order tiers are looked through */
    bool future; /* some policy wants to know when blocks will be looked up again */
    kvt_ns now;
    struct {
        uint32_t place, n;
        struct kvt_block_ref refs[GONE_ROOM];
    } gone;
    void *self_memory;
    size_t self_b;
    XXH3_state_t digest;
};

static inline struct req *req_at(const struct kvt_core *core, uint32_t r)
{
    return kvt_pool_at_known(&core->requests, r, REQUESTS_SHIFT, sizeof(struct req));
}
static inline struct op *op_at(const struct kvt_core *core, uint32_t o)
{
    return kvt_pool_at_known(&core->ops, o, OPS_SHIFT, sizeof(struct op));
}
static inline struct kvt_place *gpu_place(const struct kvt_core *core, uint32_t engine)
{
    return &core->room.places[engine];
}
/* Tokens of block i of a request: whole, or what is left for a partial last one. */
static inline uint32_t block_len(const struct kvt_core *core, const struct req *q, uint32_t i)
{
    const uint32_t b = core->config.block_tokens;
    const uint64_t end = (uint64_t)q->prompt_tokens + q->output_tokens;
    const uint64_t begin = (uint64_t)i * b;
    if (i < q->n_match && begin + b > q->prompt_tokens)
        return (uint32_t)(q->prompt_tokens - begin);
    return end - begin < b ? (uint32_t)(end - begin) : b;
}

static inline uint64_t pages_available(const struct kvt_core *core, uint32_t engine)
{
    const struct kvt_place *place = gpu_place(core, engine);
    const uint64_t free = kvt_pager_free(&place->pager);
    return free == UINT64_MAX ? free : free + place->cached * core->room.pages_per_block;
}
uint64_t kvt_sharded_pages(const struct kvt_core *core, uint32_t engine); /* sharded.c */
/* The same for pages beside blocks. */
static inline uint64_t working_available(const struct kvt_core *core, uint32_t engine)
{
    const uint64_t pages = pages_available(core, engine);
    if (!gpu_place(core, engine)->book)
        return pages;
    const uint64_t most = kvt_sharded_pages(core, engine);
    return pages < most ? pages : most;
}
static inline struct kvt_copy *copy_at(const struct kvt_core *core, uint32_t copy)
{
    return kvt_copy_at(&core->room, copy);
}
/* True when `engine` may load the block from this copy: another engine's GPU holds it. (The places of the GPUs
 * come first, by engine; one that is down holds nothing READY.) */
static inline bool lendable(const struct kvt_core *core, uint32_t copy, uint32_t engine)
{
    const struct kvt_copy *c = copy_at(core, copy);
    return c->state == KVT_COPY_READY && c->place != engine && c->place < core->config.engines &&
           !kvt_copy_past(&core->room, copy);
}
/* Tokens that the held blocks cover; the tail's pages begin behind them. */
static inline uint64_t held_tokens(const struct kvt_core *core, const struct req *q)
{
    const uint64_t covered = (uint64_t)q->n_held * core->config.block_tokens;
    return q->n_held == q->n_match && covered > q->prompt_tokens ? q->prompt_tokens : covered;
}
/* True when the ledger class means "found and used". */
static inline bool is_hit(uint8_t src)
{
    return src <= KVT_HIT_DISK;
}

/* True when somebody else is writing into the copy that the request holds for block i: its load,
 * or the request that it follows. Before a load has begun the copy is the request's own to fill. */
static inline bool filled_elsewhere(const struct kvt_core *core, const struct req *q, uint32_t i)
{
    const bool probing = q->probing >> (q->src[i] - KVT_HIT_GPU) & 1u;
    return is_hit(q->src[i]) && !probing && copy_at(core, q->copies[i])->state == KVT_COPY_FILLING;
}

/* What a policy is told of the request's use of block i. */
static inline struct kvt_use use_of(const struct req *q, uint32_t i)
{
    return (struct kvt_use){.next = q->next_use ? q->next_use[i] : KVT_NEVER, .depth = i};
}
/* What it is told of an operation's use of its kth block. */
static inline struct kvt_use use_of_op(const struct op *op, uint32_t k)
{
    return (struct kvt_use){.next = op->next ? op->next[k] : KVT_NEVER, .depth = op->index[k]};
}

/* A predicted time that is too long to write down is never over. */
static inline kvt_ns whole_ns(double ns)
{
    return ns < 0x1p63 ? (kvt_ns)ns : KVT_NEVER;
}

/* requests.c: at the end, or front, of the requests of its kind, of which background ones are the last (C10) */
void kvt_list_push(struct kvt_core *core, uint32_t r, enum req_state state, bool front);
void kvt_list_pull(struct kvt_core *core, uint32_t r);

/* route.c */
uint32_t kvt_route(struct kvt_core *core, const struct req *q);

/* admit.c: admits what can be from the head of the engine's queue. */
void kvt_admit(struct kvt_core *core, uint32_t engine);
/* Gives back every page and copy a request holds; blocks it finished stay cached. */
void kvt_release_memory(struct kvt_core *core, struct req *q);
/* Frees cached blocks until `blocks` more copies are allowed and `pages` pages are free (theirs
 * included). False, and nothing freed, when that cannot be reached. */
bool kvt_make_room(struct kvt_core *core, uint32_t engine, uint64_t blocks, uint64_t pages);

/* region.c */
/* The copy of a block that an engine reads from a tier whose place for it is `place`: its own one if READY, else,
 * where far regions are read, one that is. KVT_NONE: there is none. Changes nothing. */
uint32_t kvt_region_copy(const struct kvt_core *core, uint32_t block, enum kvt_tier_kind tier,
                         uint32_t place);
/* Whether a copy in Redis lies in another region than the engine. */
static inline bool kvt_copy_far(const struct kvt_core *core, uint32_t copy, uint32_t engine)
{
    return core->config.regions.n > 1 && copy != KVT_NONE &&
           core->room.places[copy_at(core, copy)->place].tier == KVT_REDIS &&
           copy_at(core, copy)->place != kvt_room_place(&core->room, KVT_REDIS, engine);
}
/* Whether usable block i of a request is to be read from another region. */
bool kvt_region_far(const struct kvt_core *core, const struct req *q, uint32_t i);
/* Predicted time to load so many tokens from Redis, far_tokens of them from another region; behind the fixed one. */
double kvt_region_load_ns(const struct kvt_core *core, uint64_t tokens, uint64_t far_tokens);
/* For port.h: where a copy of the redis tier lies. */
static inline uint32_t kvt_region_of_place(const struct kvt_core *core, uint32_t place)
{
    return core->config.regions.n > 1 && core->room.places[place].tier == KVT_REDIS
               ? place - core->room.base[KVT_REDIS]
               : 0;
}

/* wording.c */
/* Copies the request's tokens when something will be asked of them. False when memory is out: nothing taken. */
bool kvt_wording_take(struct kvt_core *core, struct req *q, const struct kvt_request *in);
void kvt_wording_give(struct kvt_core *core, struct req *q);
/* Keys found `run` leading blocks. How many of them a similar prompt begins with, too. */
uint32_t kvt_wording_ask(struct kvt_core *core, struct req *q, uint32_t run);
/* The ledger is booked: counts what came of it, and keeps the prompt for others. */
void kvt_wording_done(struct kvt_core *core, struct req *q);

/* part.c */
static inline bool takes_parts(const struct kvt_core *core)
{
    return core->config.cache && core->config.reuse_partial;
}
/* The request was admitted: the tokens of its blocks are known from now on. */
void kvt_part_know(struct kvt_core *core, const struct req *q);
/* The request is about to get a chunk, which begins a block: looks for a block to copy the beginning from, and
 * pins it. Sets q->part_from, q->part_tokens. */
void kvt_part_find(struct kvt_core *core, struct req *q);
/* Writes what was found into the step. */
void kvt_part_step(struct kvt_core *core, uint32_t engine, struct kvt_step *step);
/* The step is done: what was copied counts as computed, and as found. */
void kvt_part_done(struct kvt_core *core, struct req *q);
/* The step will not be, or is done. */
void kvt_part_drop(struct kvt_core *core, struct req *q);

/* back.c */
/* Frees the unused copy that leaves the GPU next, written back or not. False when none can go. */
bool kvt_gpu_evict(struct kvt_core *core, uint32_t engine);
/* kvt_make_room for somebody who can wait: what is dirty is stored first. False while the memory is not
 * there; it may be coming, and then the end of a store will tell. */
bool kvt_clear_room(struct kvt_core *core, uint32_t engine, uint64_t blocks, uint64_t pages);
/* Keeps a little free for decoding. */
void kvt_clear_ahead(struct kvt_core *core, uint32_t engine);
/* A block was used on the GPU, and the write-back tier is exclusive: what had been written there stays
 * behind no longer. */
void kvt_moved_up(struct kvt_core *core, uint32_t engine, uint32_t block);
/* A cleaning store is done with its kth block. */
void kvt_clean_done(struct kvt_core *core, const struct op *op, uint32_t k, bool good);
/* sharded.c: all of it only where the engine has a book. */
static inline struct kvt_shard_book *book_of(const struct kvt_core *core, uint32_t engine)
{
    return gpu_place(core, engine)->book;
}
/* Whether blocks lie otherwise than they are computed with. */
static inline bool apart(const struct kvt_core *core)
{
    const struct kvt_shard_config *c = &core->config.shard;
    return c->policy && c->policy->splits != KVT_SPLIT_HEAD && c->gpus > 1;
}
/* And have to be brought together first. */
static inline bool gathers(const struct kvt_core *core)
{
    return apart(core) && core->config.shard.access == KVT_ACCESS_GATHER;
}
/* Memory for requests of up to n blocks. False when it is out. */
KVT_MUST_CHECK bool kvt_sharded_reserve(struct kvt_core *core, uint32_t n);
/* Pages that running requests hold beside blocks. */
uint64_t kvt_working_pages(const struct kvt_core *core, uint32_t engine);
/* Places the blocks that the request has no copy of, and says whether all of it could be had: shards
 * of those blocks, and `pages` working pages. If not, nothing was placed. need: what it asks of each
 * GPU, for kvt_make_room_on. */
bool kvt_sharded_admits(struct kvt_core *core, const struct req *q, uint64_t pages, uint64_t *need);
/* The same for one block that the request will hold: its row is in book->placing. */
void kvt_sharded_place(struct kvt_core *core, const struct req *q, uint32_t i, uint64_t *need);
/* The same where the block may have an orphan (orphans.h), which stays where it is and is held until the block has a copy, or
 * is let go. */
void kvt_sharded_place_over(struct kvt_core *core, const struct req *q, uint32_t i, uint64_t *need);
void kvt_sharded_let_go(struct kvt_core *core, const struct req *q, uint32_t i);
/* Holds those of all blocks that kvt_sharded_admits placed. */
void kvt_sharded_hold(struct kvt_core *core, const struct req *q);
/* Before placements that may come to nothing, and after those that did. */
void kvt_sharded_try(struct kvt_core *core, uint32_t engine);
void kvt_sharded_undo(struct kvt_core *core, uint32_t engine);
/* Places block i and keeps it as the nth; gives back the nth that was kept, in book->placing. */
void kvt_sharded_keep(struct kvt_core *core, const struct req *q, uint32_t i, uint32_t nth,
                      uint64_t *need);
void kvt_sharded_placed(struct kvt_core *core, const struct req *q, uint32_t nth);
/* Like kvt_make_room, with so much on each GPU besides. */
bool kvt_make_room_on(struct kvt_core *core, uint32_t engine, uint64_t blocks, uint64_t pages,
                      const uint64_t *need);
/* shard_look.c: first page of block i among the request's own, where its context is gathered. */
uint32_t kvt_sharded_own_page(const struct kvt_core *core, const struct req *q, uint32_t i);
/* What a transfer moves from or to each GPU: core->gpu_parts, or NULL. */
const uint64_t *kvt_sharded_parts(struct kvt_core *core, struct op *op,
                                  const struct kvt_block_ref *refs, uint32_t n);
void kvt_sharded_op_end(struct kvt_core *core, const struct op *op);
/* Sends new blocks [from, end) of a request from where they were computed to where they shall lie. */
void kvt_sharded_spread(struct kvt_core *core, struct req *q, uint32_t end);
/* In place: what a step's decoding requests and chunks wait for. */
void kvt_sharded_skew(struct kvt_core *core, uint32_t engine, struct kvt_step *step);
void kvt_sharded_attended(struct kvt_core *core, uint32_t engine, uint32_t iterations);
/* All requests that run there wait anew. */
void kvt_sharded_start_over(struct kvt_core *core, uint32_t engine);
/* The request no longer decodes. */
void kvt_sharded_forget(struct kvt_core *core, struct req *q);

/* resize.c: all of it only where the number of GPUs can change, but for the next two. */
/* GPUs that are, were or, once it has begun, will be an engine's; and whether it has this one now. */
uint32_t kvt_resize_most(const struct kvt_core *core);
bool kvt_resize_has(const struct kvt_core *core, uint32_t engine, uint32_t gpu);
KVT_MUST_CHECK int kvt_resize_init(struct kvt_core *core);
void kvt_resize_release(struct kvt_core *core);
/* Whether the engine's processes wait for what was under way before: they start then, with fewer GPUs. */
bool kvt_resize_drains(const struct kvt_core *core, uint32_t engine);
/* Goes on moving, if nothing is on its way. */
void kvt_resize_pump(struct kvt_core *core, uint32_t engine);
/* What an operation moves. */
void kvt_resize_moves(struct kvt_core *core, const struct op *op, struct kvt_transfer *t);
void kvt_resize_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done);

/* shrink.c */
/* Places every block of an engine that shrinks once more, in its row's target, and evicts those worth least until all
 * others fit on the GPUs that stay: where they shall lie and where they lie. Nobody uses any of them. Places go by
 * the rule of after already, room is still that of before. Returns how many had to go. */
uint64_t kvt_shrink_fit(struct kvt_core *core, uint32_t engine);

/* What became of a copy whose turn to move, or to be copied, it is. */
enum kvt_turn {
    KVT_TAKEN,  /* it is used, and has room */
    KVT_PASSED, /* nothing is to be done, or it is gone */
    KVT_NO_ROOM /* it stays as it is */
};
/* resize.c: has so much room on each GPU held for a copy. Idle blocks leave for that, if it can be had, in the order of
 * eviction; the copy itself, if it is the next. */
enum kvt_turn kvt_move_room(struct kvt_core *core, uint32_t engine, uint32_t copy,
                            const uint64_t *need, uint64_t *evicted);

/* recopy.c: all of it only where it is known which copies were lost. */
KVT_MUST_CHECK int kvt_recopy_init(struct kvt_core *core);
void kvt_recopy_release(struct kvt_core *core);
/* A GPU failed, and blocks that lost all copies of a shard are gone. */
void kvt_recopy_lost(struct kvt_core *core, uint32_t engine, uint32_t gpu);
void kvt_recopy_pump(struct kvt_core *core, uint32_t engine);
void kvt_recopy_moves(struct kvt_core *core, const struct op *op, struct kvt_transfer *t);
void kvt_recopy_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done);

/* Whoever moves shards, of the two. */
static inline bool moves_shards(const struct kvt_core *core)
{
    return core->resize || core->recopy;
}
static inline void kvt_move_pump(struct kvt_core *core, uint32_t engine)
{
    if (core->resize)
        kvt_resize_pump(core, engine);
    else
        kvt_recopy_pump(core, engine);
}
static inline void kvt_move_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done)
{
    if (core->resize)
        kvt_resize_done(core, o, done);
    else
        kvt_recopy_done(core, o, done);
}

/* fetch.c */
void kvt_fetch_start(struct kvt_core *core, uint32_t r);
void kvt_fetch_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done);
void kvt_fetch_timer(struct kvt_core *core, uint32_t r);
/* Moves requests of the engine whose blocks have all arrived into the running list. */
void kvt_gather(struct kvt_core *core, uint32_t engine);
/* To the head of the queue, holding nothing: its place in the table is void for those who
 * followed it. */
void kvt_send_back(struct kvt_core *core, uint32_t r);
double kvt_prefill_ns(const struct kvt_core *core, uint64_t past, uint64_t n);

/* step.c */
void kvt_step_start(struct kvt_core *core, uint32_t engine);
void kvt_step_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done);
/* The prompt's KV is complete: books the ledger and yields the first token. True: request ended. */
bool kvt_prefill_complete(struct kvt_core *core, uint32_t r);

/* write.c */
/* A copy of the block to be filled in a place, for which others are evicted; or KVT_NONE. */
uint32_t kvt_write_reserve(struct kvt_core *core, uint32_t block, uint32_t place, uint32_t tenant,
                           const struct kvt_use *use);
void kvt_write_through(struct kvt_core *core, uint32_t r, uint32_t end);
void kvt_write_done(struct kvt_core *core, uint32_t o, const struct kvt_done *done);
void kvt_keep_output_blocks(struct kvt_core *core, uint32_t r);

/* report.c */
void kvt_book_ledger(struct kvt_core *core, struct req *q);
void kvt_finish(struct kvt_core *core, uint32_t r, enum kvt_outcome outcome);

/* emit.c: each fills in the op's number. False when the world did not accept; the op then is
 * gone. */
uint32_t kvt_op_new(struct kvt_core *core, enum op_kind kind, uint32_t n);
void kvt_op_free(struct kvt_core *core, uint32_t o);
bool kvt_emit_transfer(struct kvt_core *core, uint32_t o, const struct kvt_block_ref *refs,
                       uint32_t n, kvt_ns ttl_ns);
bool kvt_emit_step(struct kvt_core *core, uint32_t o, struct kvt_step *step);
void kvt_emit_interrupt(struct kvt_core *core, uint32_t engine);
void kvt_emit_arm(struct kvt_core *core, uint64_t timer, kvt_ns at);
void kvt_emit_gone(void *self, uint32_t place, uint32_t block, kvt_key key);
void kvt_flush_gone(struct kvt_core *core);

/* A new life: timers and operations of the one before no longer find it. A request's timer is
 * generation << 32 | number, and generations begin at 1: timers below that are engines. */
static inline void renew(struct kvt_core *core, struct req *q)
{
    q->generation = ++core->generations;
}

/* core.c: everything that an engine can do next. */
void kvt_pump(struct kvt_core *core, uint32_t engine);

#endif
