/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * port.h - the one interface between the cache core and a world. A newcomer reads this first.
 *
 * Core is a state machine. A world calls in with an event and the time; core answers with
 * operations. Nothing else connects the two.
 *
 *        into core  (core.h)                     out of core  (this file)
 *        ----------------------------            -----------------------------------------------
 *        kvt_core_request  a prompt arrives      probe      which blocks does that tier really hold?
 *        kvt_core_done     an operation ended    load       bring blocks from a tier to GPU pages
 *        kvt_core_timer    an armed timer        store      copy blocks from GPU pages to a tier
 *        kvt_core_up       a part came back      step       run engine iterations
 *        kvt_core_down     a part went away      interrupt  end a repeated step early
 *        kvt_core_lost     it came back empty    drop       delete blocks from a tier
 *        kvt_core_resize   engines resized       arm        call me at that time
 *
 * Rules, the same for every world:
 *
 *   (P1) An accepted probe, load, store, step or drop completes exactly once, by kvt_core_done.
 *   (P2) A world never calls core from inside an operation. It keeps the completion and delivers it
 *        later, at the same time if it likes.
 *   (P3) Every entry into core carries `now`, and now never runs backwards. Core does not ask for time.
 *   (P4) Arrays passed out (blocks, chunks) are borrowed until the operation returns.
 *   (P5) Several entries at one time are delivered in the order in which the world decided them. Given
 *        the same entries, core issues the same operations, byte for byte.
 *   (P6) GPU pages named by a load or store stay pinned until it completes: abandoned or not. So do those
 *        that a load from a peer reads, on the other engine; should that one go down, the load fails.
 *
 * A world that is not sure how to begin copies null.c, which does nothing, correctly.
 */
#ifndef KVT_PORT_H
#define KVT_PORT_H

#include "types.h"

struct kvt_core;

/* A prompt to serve. keys[i] names tokens [i * block_tokens, (i + 1) * block_tokens) of prompt
 * plus output; the last may stand for a partial block when the core was told to keep partial
 * blocks. There may be fewer keys than blocks: what has no key is computed and never shared. */
struct kvt_request {
    uint64_t id;            /* the caller's own, reported back; ascending */
    kvt_ns arrive_ns;       /* planned arrival: latency counts from here, <= now */
    uint32_t tenant;        /* small integer */
    uint32_t session;       /* KVT_NONE when unknown */
    uint32_t region;        /* where it is served, see region.h; 0 where there is one only */
    uint32_t prompt_tokens; /* >= 1 */
    uint32_t output_tokens; /* may be 0: prefill only */
    uint32_t n_keys;
    const kvt_key *keys; /* borrowed until kvt_core_request returns */
    /* (optional) For eviction policies that are told the future: per key, which request (counted from
     * the start of the stream) names it next; KVT_NEVER: none. Borrowed likewise. */
    const uint64_t *next_use;
    /* (optional) The prompt itself, for matching that looks at tokens (alike.h): prompt_tokens of them; and
     * where it came as text, the text's code points, by which prompts are then compared. Borrowed
     * likewise; NULL: not known. */
    const uint32_t *tokens, *letters;
    uint32_t n_letters;
    /* (optional) What stands for everything before the first block (kvt_namespace_key): first blocks are matched
     * by tokens only where that is the same. Zero: not known, so they are not. */
    kvt_key root;
    /* Nobody waits for it: it fills the cache. No output then; it stands behind all others in its engine's queue
     * and batches, is preempted before them, and is counted apart (kvt_core_stats.background). */
    bool background;
};

/* One block as an operation sees it. */
struct kvt_block_ref {
    kvt_key key;
    kvt_block_id block; /* dense handle; the same key keeps it while any tier holds the block */
    uint32_t index;     /* position in its chain: block 0 starts the prompt */
    uint32_t tokens;    /* block_tokens, or fewer for a partial last block */
    uint32_t page;      /* first GPU page, KVT_NONE for an unlimited pager; see kvt_core_pages */
    uint32_t from_page; /* peer load: the same of the copy that is read, on engine `from` */
    uint32_t region;    /* redis: where it lies, or is to lie (region.h); else 0 */
};

/* Shards that go from one GPU of an engine to another: weights times tokens (shard.h). */
struct kvt_shard_move {
    uint32_t from, to;
    uint64_t parts;
};

/* probe, load, store and drop are all "these blocks, that tier". Blocks stand in chain order for
 * probe, load and store, and in eviction order for drop. The peer tier is loaded from and nothing else: it
 * has no room of its own, but is what the GPUs of other engines hold; a load is from one of them. */
struct kvt_transfer {
    kvt_op_id op;
    kvt_engine_id engine; /* whose pages; for drop: whose tier, where the tier is per engine */
    enum kvt_tier_kind tier;
    kvt_engine_id from; /* peer load: whose GPU is read; else KVT_NONE */
    uint32_t n_blocks;
    const struct kvt_block_ref *blocks;
    uint64_t tokens; /* sum over the blocks */
    /* Where blocks of an engine are sharded (shard.h): weights times tokens that leave each of its GPUs,
     * or come to it. A load or store with tier KVT_GPU is between shards and what a request computes
     * with: gathered from there, or spread to there. NULL: evenly over all GPUs. A world with memory asks
     * kvt_core_shards for each block's own place (core.h). */
    const uint64_t *gpu_parts;
    /* A store with tier KVT_GPU that has moves, at least one: cached blocks go to other GPUs of the engine, shard by
     * shard, as it gets more or fewer; no pair of GPUs is named twice. Else NULL. What fails stays where it was. */
    const struct kvt_shard_move *moves;
    uint32_t n_moves;
    /* Life of the copies from now on. store: always, KVT_NEVER without TTL. load: where a hit
     * begins it anew. All others: 0, which changes nothing. */
    kvt_ns ttl_ns;
};

/* A piece of prefill: new_tokens after past_tokens of context, of which none is computed again. */
struct kvt_chunk {
    uint32_t past_tokens;
    uint32_t new_tokens;
};

/* KV that a step takes from another block instead of computing it: before its chunks, the first `tokens` tokens of
 * a cached block are copied to the beginning of a block of the request's own, which holds the same ones. The
 * source is read and never written. Fewer tokens than a block has; they need not fill pages. */
struct kvt_step_copy {
    kvt_key from; /* the block that is read */
    uint32_t tokens;
    uint32_t page,
        from_page; /* first page of either block, KVT_NONE without numbers; see kvt_core_pages */
};

/* One engine iteration, or `repeat` equal ones: every chunk is computed once and every decoding
 * request gets one token per iteration. repeat > 1 only with n_chunks == 0. Iteration i (from 0)
 * sees
 *
 *      decode context          decode_tokens + i * n_decode                        tokens
 *      with a sliding window   window_tokens + i * n_window_growing                tokens
 *
 * and core chooses repeat so that no request finishes, crosses the window or lacks a page inside
 * it. (decode_tokens counts the cached tokens each decoding request attends to, itself
 * included.) */
struct kvt_step {
    kvt_op_id op;
    kvt_engine_id engine;
    uint32_t repeat; /* >= 1 */
    uint32_t n_chunks;
    const struct kvt_chunk *chunks;
    uint32_t n_decode;
    uint32_t
        n_window_growing; /* decoding requests still shorter than the window; 0 without window */
    uint64_t decode_tokens;
    uint64_t window_tokens; /* sum of min(context, window); equals decode_tokens without window */
    /* Where contexts are read in place: tokens that would have to be added to decode_tokens, and to each
     * chunk's past_tokens, if all GPUs were to be as busy as the busiest is, layer by layer
     * (shard_book.h). The same in every iteration. 0, and NULL: as evenly as can be. */
    uint64_t decode_skew_tokens;
    const uint64_t *chunk_skew_tokens;
    /* At most one for each chunk, whose past_tokens hold what is copied; none with repeat > 1. The pages that are
     * read stay pinned until the step completes, as those do that it writes. */
    uint32_t n_copies;
    const struct kvt_step_copy *copies;
};

/* How an operation ended. */
struct kvt_done {
    kvt_op_id op;
    enum kvt_status status; /* of the first block that failed, KVT_OK if none did */
    uint32_t blocks_ok;     /* probe, load, store: leading blocks that are good; the rest failed */
    uint32_t iterations;    /* step: iterations run, 1 .. repeat */
    uint64_t bytes;         /* moved over the tier's own medium, after coding */
    kvt_ns span_ns[KVT_SPANS]; /* where the time went; their sum is at most the operation's time */
};

/* What became of one request; the pointers inside a report are borrowed until note returns. */
enum kvt_outcome {
    KVT_FINISHED,
    KVT_REJECTED, /* prompt and first token can never fit the engine's pages */
    KVT_FAILED    /* its engine went down and no other is up */
};

struct kvt_report {
    uint64_t id;
    uint32_t tenant, session;
    bool background;
    kvt_engine_id engine;
    enum kvt_outcome outcome;
    uint32_t prompt_tokens, output_tokens; /* output: tokens really produced */
    kvt_ns arrive_ns, start_ns, first_token_ns,
        finish_ns;                      /* start: pages given for the first time */
    uint32_t ledger_tokens[KVT_LEDGER]; /* sums to prompt_tokens when finished */
    uint32_t hit_blocks, lookup_blocks;
    uint32_t preemptions;
    uint32_t recomputed_tokens; /* computed again after preemptions; not in the ledger */
    enum kvt_tier_kind source;  /* farthest tier that served a block; KVT_TIERS when none did */
    kvt_ns span_ns[KVT_SPANS];  /* sums to first_token_ns - arrive_ns when finished */
    uint64_t pages_allocated_tokens; /* private and shared pages at finish, in tokens of room */
    uint64_t contiguous_tokens;      /* what a contiguous allocator reserved; 0 if it had no hole */
};

/* What core tells an observer. Observing changes nothing: without it the run is identical. */
enum kvt_note_kind {
    KVT_NOTE_REPORT, /* a request ended */
    KVT_NOTE_STEP    /* a step completed */
};

struct kvt_note {
    enum kvt_note_kind kind;
    kvt_ns now;
    const struct kvt_report *report; /* KVT_NOTE_REPORT */
    kvt_engine_id engine;            /* KVT_NOTE_STEP, and below */
    kvt_ns begin_ns;                 /* when the step was issued; it ended now */
    uint32_t iterations, n_decode;
    uint64_t prefill_tokens;
    uint64_t background_tokens; /* of them, for background requests */
};

/* What a world provides. Operations return 0 (accepted, will complete exactly once) or a
 * negative errno (nothing was kept; core treats it as KVT_BUSY). All are required unless marked
 * (optional). */
struct kvt_port_ops {
    const char *name;
    int (*probe)(void *self, const struct kvt_transfer *t);
    int (*load)(void *self, const struct kvt_transfer *t);
    int (*store)(void *self, const struct kvt_transfer *t);
    int (*drop)(void *self, const struct kvt_transfer *t);
    int (*step)(void *self, const struct kvt_step *s);
    /* The engine's repeated step shall complete at the end of the iteration now under way. No
     * completion of its own; harmless when the step is already ending. */
    void (*interrupt)(void *self, kvt_engine_id engine);
    /* Call kvt_core_timer(core, at, timer) at that time. There is no disarm: core ignores a
     * timer whose reason has gone. */
    void (*arm)(void *self, uint64_t timer, kvt_ns at);
    void (*note)(void *self, const struct kvt_note *note); /* (optional) */
    /* (optional) A GPU page with a number is nobody's any more, and no operation under way names it. For worlds that
     * keep more about a page than its number. Called from inside core: the world calls nothing back. */
    void (*freed)(void *self, kvt_engine_id engine, uint32_t page);
};

/* Operations and their table, as passed about. Both borrowed for the core's life. */
struct kvt_port {
    const struct kvt_port_ops *ops;
    void *self;
};

/* A world as its driver sees it: it holds completions and delivers them into core when told to
 * move on. */
struct kvt_world_ops {
    /* Delivers every event up to and including `until`, in order, into core. Events that core's
     * answers add are delivered too. Returns 0, or a negative errno when the world itself broke. */
    int (*advance)(void *self, struct kvt_core *core, kvt_ns until);
    /* Time of the next event; KVT_NEVER when there is none. */
    kvt_ns (*next)(void *self);
    /* (optional) What time it is, for a world whose clock runs by itself. Without it, it is the
     * latest time that advance was asked for. */
    kvt_ns (*now)(void *self);
};

#endif
