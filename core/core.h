/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * core.h - the shared cache core: every decision, no I/O, no clock, no threads, no randomness.
 *
 * One core serves a cluster: E engines (each a group of GPUs holding one copy of the model), each
 * with its own gpu tier and, where configured, host and disk tiers; and one shared redis tier. With a peer
 * tier engines also load from each other's GPUs. It holds nothing of its own, so only the predicted cost and
 * no_promote mean something there; it is looked through before the first tier that is not predicted to be
 * faster, while the others keep to the order of enum kvt_tier_kind.
 * Requests come in, operations go out through the port (port.h), and each request ends in exactly
 * one report.
 *
 * Invariants, asserted by kvt_core_check():
 *   (C1) Every accepted request ends in exactly one report.
 *   (C2) The ledger of a finished request sums to its prompt.
 *   (C3) The spans of a finished request sum to its TTFT.
 *   (C4) Pages: free + private + in block copies = all, on each engine.
 *   (C5) A copy is on its place's LRU list exactly when it is ready and nobody uses it.
 *   (C6) A place never holds more than its capacity.
 *   (C7) A hit is counted only for tokens that are then not computed.
 *   (C8) What a load reads from a peer is a copy on that engine's GPU, in use, and READY unless the engine
 *        went down.
 *   (C9) What a step copies the beginning of a block from is a copy on the same engine's GPU, in use, and READY
 *        unless the engine went down; nothing is copied for a request that no step computes.
 *   (C10) In an engine's queue and batches background requests stand behind all others.
 */
#ifndef KVT_CORE_H
#define KVT_CORE_H

#include "alloc.h"
#include "evict.h"
#include "port.h"
#include "region.h"
#include "shard_book.h"

enum kvt_router_kind {
    KVT_ROUTE_ROUND_ROBIN,
    KVT_ROUTE_LEAST_LOADED,  /* fewest tokens waiting or running */
    KVT_ROUTE_HASH_AFFINITY, /* rendezvous hash of the first block, whatever the load */
    KVT_ROUTE_PREFIX_AWARE   /* least predicted prefill: queued work + what is not cached there */
};

enum kvt_load_choice {
    KVT_LOAD_ADAPTIVE, /* whichever is predicted to be faster, per tier boundary */
    KVT_LOAD_ALWAYS,
    KVT_LOAD_NEVER
};

enum kvt_match_kind {
    KVT_MATCH_CHAIN, /* longest run of leading blocks */
    KVT_MATCH_EXACT  /* the whole prefix or nothing: one look at its last block */
};

/* Which end of a finished prompt is touched first, and so evicted first. LEAF keeps chains
 * whole. */
enum kvt_touch_order { KVT_TOUCH_HEAD, KVT_TOUCH_LEAF };

/* Who decides what leaves a tier. A server-managed tier (redis with maxmemory) evicts by itself:
 * core keeps a directory of what it stored there, as a hint, and learns by probe what is left. */
enum kvt_manager { KVT_MANAGED_BY_CORE, KVT_MANAGED_BY_SERVER };

enum { KVT_QUOTAS_MOST = 64 };

struct kvt_tier_config {
    bool present;

    /* Per place (engine, or the shared one); UINT64_MAX: infinite. On the gpu tier capacity_blocks
     * bounds whole blocks only; tails and output take pages beside them, so that a count of blocks
     * means the same as in a flat cache simulator. capacity_b is ignored there. */
    uint64_t capacity_blocks;
    uint64_t capacity_b;
    double stored_b_per_token;   /* after coding */
    uint32_t stored_b_per_block; /* header and key on top */

    /* Who leaves when room is short, where core decides (evict.h; NULL: LRU); capacity, rows and alloc of the
     * parameters are filled in by core. prefix_closed: blocks leave only after those that follow them
     * in their chains. */
    const struct kvt_evict_ops *evict;
    struct kvt_evict_config evict_config;
    bool prefix_closed;

    kvt_ns ttl_ns;    /* KVT_NEVER: none */
    bool ttl_refresh; /* a hit starts the TTL anew */
    /* What is written here, and when. All may be off: then the tier is only read. */
    bool write_through; /* computed blocks, when their prompt is complete */
    uint32_t
        write_after; /* with write_through: from so many uses on, the first one counted; 0, 1: at once */
    bool write_back;  /* blocks that leave the GPU, before they do; of one tier at most */
    bool fill_loaded; /* with write_through: also what was loaded from a tier farther away */

    /* What a hit here does. exclusive: the block moves to the GPU and is no longer held here (with
     * write_back, core-managed). no_promote: it is used once and not kept on the GPU. */
    bool exclusive, no_promote;
    bool probe; /* ask before loading */
    enum kvt_manager manager;

    /* Predicted cost of a load, for load-or-compute: fixed + tokens * per_token. */
    double load_fixed_ns, load_ns_per_token;
};

/* Predicted time to prefill n tokens after k of context on an idle engine:
 * fixed + n * (per_token + per_token2 * (k + n / 2)). A world's model fits the three numbers. */
struct kvt_prefill_cost {
    double fixed_ns, ns_per_token, ns_per_token2;
};

/* What becomes of each engine when it grows or shrinks (kvt_core_resize): the same as in kvt_core_config and kvt_shard_room, then. */
struct kvt_resize_config {
    uint32_t gpus; /* 0: never */
    uint64_t gpu_pages, gpu_b, page_gpu_b;
    struct kvt_prefill_cost prefill;
};

struct kvt_core_config {
    uint32_t engines;      /* 1 .. 2048 */
    uint32_t block_tokens; /* identity and transfer unit */
    uint32_t page_tokens;  /* GPU allocation unit; divides block_tokens */

    /* Pages per engine; UINT64_MAX: unlimited. With page_numbers pages are told apart, as real
     * memory wants it; without, they are only counted, which decides the same and is faster. */
    uint64_t gpu_pages;
    bool page_numbers;
    uint32_t pages_per_request; /* held by a running request beside its tokens (sliding windows) */
    uint32_t window_tokens;     /* sliding window of the model's local layers; 0: none */

    uint32_t max_batch_tokens;   /* per iteration: prefill chunk tokens + decode tokens */
    uint32_t max_batch_requests; /* running or loading at one time, per engine */

    /* What a contiguous allocator reserves per request: the model's context length. 0: prompt +
     * output, as if known in advance. */
    uint32_t contiguous_tokens;

    bool cache;                /* false: nothing is ever matched or kept (the baseline) */
    bool single_flight;        /* requests wait for blocks that another one is producing */
    bool partial_blocks;       /* a partial last prompt block has a key and is kept */
    bool recompute_last_token; /* a full hit still computes one token, for its logits */
    enum kvt_match_kind match;

    /* Where requests bring their tokens (alike.h, wording.c): a prompt of which keys found less than all
     * whole blocks is compared with so many earlier ones, and is similar to one when their ratio is above
     * the threshold; 0: no such thing. count_partial: also counts what matching by tokens could add at most.
     * reuse_partial: and does it (part.c); only where matching goes by chain. */
    double approximate_threshold;
    uint32_t approximate_prompts;
    bool count_partial, reuse_partial;

    enum kvt_touch_order touch;
    enum kvt_router_kind router;
    enum kvt_load_choice load_choice;

    /* A load may take this many times the predicted recompute before it is abandoned; 0: for
     * ever. */
    double load_patience;

    /* Stores to one tier may hold at most this share of an engine's pages at one time; what is
     * beyond is not stored. 0: no bound. */
    double store_pages_ratio;

    /* Where engines are, and what of the redis tier is where. */
    struct kvt_regions regions;

    /* Share of every tier that a tenant keeps when others want room, by tenant number; the last one is
     * for all further tenants together. 0: no quotas, first come first served. What others leave
     * unused a tenant may use beyond it. */
    uint32_t n_quotas;
    double quotas[KVT_QUOTAS_MOST];

    /* On which GPUs of an engine the blocks of its gpu tier lie, and how much each holds; policy NULL:
     * blocks and working pages alike lie on all GPUs evenly. Sharded, gpu_pages is what the GPUs
     * together hold, once. */
    struct kvt_shard_config shard;
    struct kvt_shard_room shard_room;
    struct kvt_resize_config resize; /* of sharded engines, once */
    bool shard_alone;                /* GPUs of a sharded engine evict each by itself (orphans.h) */

    struct kvt_prefill_cost prefill;
    struct kvt_tier_config
        tiers[KVT_TIERS]; /* KVT_GPU must be present; KVT_PEER needs another engine */

    /* Blocks that no tier holds and no request names are remembered, to tell evicted from cold:
     * at most so many; UINT64_MAX: all. */
    uint64_t history_blocks;
    uint64_t expected_blocks; /* sizing hint: distinct blocks; 0: none */
};

/* Sets every field to what a practitioner would call sane (one engine, gpu tier only,
 * unlimited). */
void kvt_core_config_init(struct kvt_core_config *config);

/* Returns NULL when the configuration is usable, else one sentence (static) that says what is
 * not. */
const char *kvt_core_config_check(const struct kvt_core_config *config);

/* Builds a core. config is copied; port and alloc are borrowed until kvt_core_free. Returns NULL
 * with errno-style *error (-EINVAL, -ENOMEM). */
KVT_MUST_CHECK struct kvt_core *kvt_core_new(const struct kvt_core_config *config,
                                             const struct kvt_port *port,
                                             const struct kvt_alloc *alloc, int *error);
void kvt_core_free(struct kvt_core *core);

/* ---- Inputs. `now` never decreases from one call to the next.
 * ------------------------------------- */

/* A prompt arrives. Returns 0 (a report will follow), -EINVAL (nonsense: no tokens, more keys than
 * blocks, output in the background, a region that there is not), or -ENOMEM (nothing kept). A prompt that can never fit is accepted and reported as
 * KVT_REJECTED. */
KVT_MUST_CHECK int kvt_core_request(struct kvt_core *core, kvt_ns now, const struct kvt_request *r);
void kvt_core_done(struct kvt_core *core, kvt_ns now, const struct kvt_done *done);
void kvt_core_timer(struct kvt_core *core, kvt_ns now, uint64_t timer);
/* Every engine grows or shrinks to config.resize.gpus GPUs (resize.c): its processes start anew, so requests that run
 * there start over; new blocks are placed over those GPUs from now on, cached ones move to where they would be placed
 * now, a few at a time, and are found and read where they are meanwhile. Those that fewer GPUs have no room for are
 * evicted first, the ones worth least; GPUs beyond leave when nothing lies on them. The second time, and where no engine
 * can, nothing happens. */
void kvt_core_resize(struct kvt_core *core, kvt_ns now);

/* A tier (of one engine, or the shared one: engine ignored; in regions the engine's own) stops or starts answering. Copies in a
 * tier that went down are unusable until it is up again. */
void kvt_core_down(struct kvt_core *core, kvt_ns now, enum kvt_tier_kind tier,
                   kvt_engine_id engine);
void kvt_core_up(struct kvt_core *core, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine);

/* A GPU of a sharded engine fails and a spare one takes its place, empty. Requests that run there start
 * over; a block that had a shard on it and no other copy of that is gone. Where another copy is left
 * it is read, and copied to the spare in the background (shard.rereplicate, recopy.c), or never; in place and by head it is there
 * again at once (shard.h says why), and where GPUs evict alone (orphans.h). Nothing happens in an engine that is not sharded. */
void kvt_core_gpu_lost(struct kvt_core *core, kvt_ns now, kvt_engine_id engine, uint32_t gpu);

/* What a tier held is gone, though it answers: a server or a host that came back empty. Only keys whose
 * kvt_key_server(key, parts) is `part`: one of `parts` servers; 0 of 1: all. Blocks that lie nowhere else
 * are computed again, booked under the tier that was down. Nothing happens on the gpu tier, whose
 * engine loses all it holds when it goes down. */
void kvt_core_lost(struct kvt_core *core, kvt_ns now, enum kvt_tier_kind tier, kvt_engine_id engine,
                   uint32_t part, uint32_t parts);

/* These blocks will not be asked for again: what is held of them and in use by nobody leaves every tier at once.
 * Copies in use stay, until they are evicted. A Redis that evicts by itself is forgotten and not told. */
void kvt_core_discard(struct kvt_core *core, kvt_ns now, const kvt_key *keys, size_t n);

/* ---- Looking, without touching.
 * ---------------------------------------------------------------- */

/* Counters since the start; all only grow. Per tier where indexed. */
struct kvt_core_stats {
    uint64_t requests, finished, rejected, failed;
    uint64_t prompt_tokens, output_tokens; /* of finished requests */
    uint64_t ledger_tokens[KVT_LEDGER];    /* of finished requests */
    uint64_t hit_blocks, lookup_blocks, requests_fully_hit;
    uint64_t evicted_blocks[KVT_TIERS], expired_blocks[KVT_TIERS], dropped_blocks[KVT_TIERS];
    uint64_t bytes_read[KVT_TIERS], bytes_written[KVT_TIERS];
    uint64_t stored_blocks[KVT_TIERS], loaded_blocks[KVT_TIERS], store_failures[KVT_TIERS];
    uint64_t store_shed_blocks[KVT_TIERS]; /* not offered: too many stores under way already */
    uint64_t preemptions, recomputed_tokens, abandoned_loads, single_flight_waits, replans;
    uint64_t
        late_adopted_tokens; /* computed by nobody after all: found ready when a chunk was due */
    uint64_t paged_allocated_tokens, paged_used_tokens; /* summed over requests at finish */
    uint64_t contiguous_allocated_tokens, contiguous_used_tokens; /* same requests */
    uint64_t contiguous_refused; /* requests for which no hole was large enough */
    uint64_t steps, iterations, ops_issued;

    /* Similar prompts: look-ups, and pairs of a query and an earlier prompt. above_threshold: of the compared ones,
     * those that were, and not below the best so far. found: look-ups with an answer. */
    uint64_t approx_lookups, approx_candidates_seen, approx_compared, approx_above_threshold,
        approx_found;
    /* Of finished prefills: whole blocks of tokens in common with the prompt found, held or not; look-ups
     * of which the first such block was held; of those, the ones in which the chain of keys names the same
     * blocks (by construction all: a common prefix is a prefix); tokens not computed thanks to it. */
    uint64_t approx_common_tokens, approx_hits, approx_hits_chain_found_anyway,
        approx_reused_tokens;
    /* count_partial: prompt tokens right behind the last block found, less than a block, that some prompt before
     * began with as well, in whatever engine or tenant, held or not. reuse_partial: tokens copied from the
     * beginnings of held blocks instead of being computed; they are in ledger_tokens[KVT_HIT_GPU]. */
    uint64_t radix_possible_tokens, radix_reused_tokens;
    /* kvt_core_resize, over all engines. held: of cached blocks, at that time. moved, kept: their shards changed GPUs, or
     * did not have to; all others were evicted before their turn came. moved_b: of the shards that did. failed: attempts.
     * over: the last engine is done, since end_ns. evicted: so that others find room on their new GPUs, or for want of
     * it. left_gpus: that an engine has no longer; leaving_ns: how long each of them still had to stay, summed up. */
    struct {
        uint64_t held_blocks, held_b, moved_blocks, moved_b, kept_blocks, failed_blocks;
        uint64_t evicted_blocks, left_gpus;
        uint32_t gpus_before, gpus_after; /* of all engines */
        kvt_ns begin_ns, end_ns, leaving_ns;
        bool begun, over;
    } resize;
    /* GPUs that evict each by itself, all engines. evicted_shards: for want of room, each copy. unusable_blocks: lacked a
     * shard from then on, though others stayed (they are among evicted_blocks). again_blocks: of which something still was
     * there when they were computed or loaded again; kept_b: so much. orphan_b: of shards of unusable blocks, now;
     * orphan_most_b: at most; orphan_b_ns: bytes times time. */
    struct {
        uint64_t evicted_shards, unusable_blocks, again_blocks, kept_b, orphan_b, orphan_most_b;
        double orphan_b_ns;
        kvt_ns
            weighed_ns; /* the integral is as of then: as of the last input, from kvt_core_stats */
    } alone;
    /* Copies of shards that were lost with a GPU and made anew, of blocks that had others. copied: blocks, and bytes of such
     * shards. evicted: so that they find room. took_ns: summed up over engines, as long as something was missing that could
     * be copied; begin_ns: since when, of the one that began last. left: engines of which something is missing still. */
    struct {
        uint64_t copied_blocks, copied_b, failed_blocks, evicted_blocks;
        kvt_ns begin_ns, took_ns;
        uint32_t left;
    } recopy;
    uint64_t shard_lost_blocks;      /* cached blocks that lost a shard with a GPU */
    uint64_t lost_blocks[KVT_TIERS]; /* that a tier came back without (kvt_core_lost) */
    uint64_t far_loaded_blocks,
        far_stored_blocks; /* of those of redis: from and to another region */

    /* Background requests, which are in none of the counters of requests and their tokens above: only in those of
     * the machine (evictions, bytes, steps). computed: prompt tokens that were not found. */
    struct {
        uint64_t requests, ended, prompt_tokens, computed_tokens;
    } background;
};

/* The state of this moment. engine KVT_NONE: summed over the cluster. */
struct kvt_core_gauges {
    uint32_t waiting, loading, running;
    uint64_t pages_total, pages_free, pages_cached; /* cached: held by blocks nobody uses */
    uint64_t held_blocks[KVT_TIERS], held_b[KVT_TIERS];
};

void kvt_core_stats(const struct kvt_core *core, struct kvt_core_stats *stats);
void kvt_core_gauges(const struct kvt_core *core, uint32_t engine, struct kvt_core_gauges *gauges);

/* One GPU of a sharded engine, at this moment; and since the start, where it says so. */
struct kvt_core_gpu {
    uint64_t capacity_b; /* UINT64_MAX: unlimited; 0: no longer the engine's */
    uint64_t shards_b;   /* of blocks, in whatever state */
    uint64_t orphans_b;  /* of these, of blocks that lack a shard */
    uint64_t working_b;  /* beside blocks */
    uint64_t stored_b;   /* shards placed there since the start */
    double read_b;       /* shards read there since the start: gathered, or attended to in place */
};

/* False when the engine is not sharded or has no such GPU. */
bool kvt_core_gpu(const struct kvt_core *core, kvt_engine_id engine, uint32_t gpu,
                  struct kvt_core_gpu *out);

/* The longest chain that is whole in the engine's gpu tier, as it lies: gpus[i * shards + k] is the
 * first GPU of shard k of block i, for at most room bytes. Returns its blocks; *shards 0 when not
 * sharded. Walks every block. */
uint32_t kvt_core_shard_chain(const struct kvt_core *core, kvt_engine_id engine, uint8_t *gpus,
                              size_t room, uint32_t *shards);

/* Which of a chain's shards holds a layer. */
uint32_t kvt_core_shard_of(const struct kvt_core *core, uint32_t layer);

/* Cached blocks of all engines that would be lost if exactly the GPUs of dead[] (by number within
 * each engine) died at once, and how many there are. */
void kvt_core_shard_loss(const struct kvt_core *core, const bool dead[KVT_SHARD_GPUS],
                         uint64_t *lost, uint64_t *blocks);

/* Bytes per tier held by blocks behind a hole (one before them is in no tier): no lookup can
 * reach them. Walks every block: for the end of a run, not for its middle. */
void kvt_core_orphans(const struct kvt_core *core, uint64_t orphan_b[KVT_TIERS]);

/* GPU pages of a block that an operation under way names, by its first one (kvt_block_ref.page):
 * at most n into pages[], in token order. Returns how many the block has; 0 when pages have no
 * numbers. By page and not by block, because two requests may hold copies of one block. A world may
 * ask from inside an operation too. */
uint32_t kvt_core_pages(const struct kvt_core *core, kvt_engine_id engine, uint32_t page,
                        uint32_t *pages, uint32_t n);

/* Where block i of a load or store under way lies, in an engine whose blocks are sharded (shard.h): row[k] is the
 * first GPU of shard k, whose copy j lies on kvt_shard_copy(.., row[k], j); of each shard the same copy is read, and
 * all are written: so not to be asked where GPUs evict alone (shard_alone) or one has failed. A world may ask from inside the operation; row stays as it is until the operation completes.
 * False: not sharded. */
struct kvt_block_shards {
    const uint8_t *row;
    uint32_t copy; /* which is read: by a gather, and by a store below */
};
bool kvt_core_shards(const struct kvt_core *core, kvt_op_id op, uint32_t i,
                     struct kvt_block_shards *shards);

/* A gather (a load from tier gpu), from inside the operation: pages in which the request computes, those of its
 * blocks one behind the other, at most n. They stay its own until the operation completes. Returns how many. */
uint32_t kvt_core_gather_pages(const struct kvt_core *core, kvt_op_id op, uint32_t *pages,
                               uint32_t n);

/* ---- Sequences of a step: for a world that has memory behind the pages. Sim and null need none
 * of this. May be asked from inside the step operation only: what a step will write is known
 * then, and the pages stay the sequences' own until it completes. What they say enters no digest:
 * it follows from what does. */

/* One request's part in a step: KV of `tokens` tokens from first_token on is computed. For a
 * decoding one that is a token per iteration, of which an interrupted step leaves the last ones
 * undone. */
struct kvt_sequence {
    uint64_t request; /* kvt_request.id */
    uint32_t first_token, tokens;
    bool decode;
    /* private: */
    uint32_t number;
};

/* One block of a sequence, as far as it has pages. */
struct kvt_sequence_block {
    kvt_key key;      /* of the whole block, where keyed */
    bool keyed;       /* false: nobody will ever share it */
    bool filled;      /* holds its KV already (the last token of a full hit is computed again) */
    uint32_t n_pages; /* with numbers; may be fewer than a block's */
    /* Where shards are gathered, of a block that is held: its shards are to be had elsewhere when it is complete, on
     * the GPUs in row (kvt_core_shards), under the number of this page (kvt_core_pages). Else NULL. */
    const uint8_t *row;
    uint32_t shard_page;
};

/* Steps through the sequences of the engine's step: *number KVT_NONE begins, false ends. */
bool kvt_core_sequence(const struct kvt_core *core, kvt_engine_id engine, uint32_t *number,
                       struct kvt_sequence *s);

/* Block `index` of the sequence; its pages, block_tokens / page_tokens at most, into pages[] in
 * token order. n_pages 0 when pages have no numbers, and where partial blocks are kept (such
 * blocks do not begin at multiples of block_tokens). */
void kvt_core_sequence_block(const struct kvt_core *core, const struct kvt_sequence *s,
                             uint32_t index, struct kvt_sequence_block *block, uint32_t *pages);

/* XXH3-128 over every operation issued so far: two runs that decided the same have the same
 * digest. */
void kvt_core_digest(const struct kvt_core *core, char hex[33]);

/* Requests that were accepted and have no report yet. */
uint64_t kvt_core_unfinished(const struct kvt_core *core);

/* Memory in use, in bytes, and how many blocks the block table knows. The first divided by the
 * second is the figure in BENCHMARKS.md. */
size_t kvt_core_memory_b(const struct kvt_core *core);
uint64_t kvt_core_tracked_blocks(const struct kvt_core *core);

/* Walks everything and checks the invariants above. True, or false with one sentence in
 * why[size]. Slow: use inside assert() and in tests. */
bool kvt_core_check(const struct kvt_core *core, char *why, size_t size);

#endif
