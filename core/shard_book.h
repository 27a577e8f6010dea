/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_book.h - what lies on each GPU of one engine: bytes per GPU, and who can be asked for what.
 *
 * Beside the pager, which counts pages of the engine as a whole, a sharded engine keeps a book: for
 * each copy of a block in its gpu place a *row*, the first GPU of each shard (shard.h), and for each
 * GPU the sums over all rows.
 *
 *      GPU g holds   held[g] * unit_b                     shards of blocks, all their copies
 *                  + working pages * page_gpu_b           its heads of what running requests hold
 *                                                         beside blocks (tails, output, gathered KV)
 *      of            gpu_b                                what weights and activations leave
 *
 * One shard of weight w of one block takes w * unit_b bytes on each GPU that has a copy of it. A row
 * costs a byte per shard, rounded up to four: that is all that placement costs per block.
 *
 * Most rows of a policy that goes by layer say the same: shard k lies on GPU k. Such *even* rows are counted, not
 * added up: their sums are their number times `even`, the weights of one on each GPU.
 *
 *   (K1) held is the sum over the rows of all copies in the place, pinned over those in use: what no eviction can
 *        free. In both is what is held beside rows while shards move. Where GPUs are unlimited pinned is not kept.
 *   (K2) On no GPU do shards and working pages take more than gpu_b; on one that leaves, shards more than leaving_b.
 *   (K3) A block is in the place with all its shards, or not at all. By default they are evicted together. Where each GPU
 *        evicts alone (orphans.h), a block is in the place while each of its shards has a copy; what is left of one
 *        that lacks a shard is an *orphan*: it takes room, hence is among held, but nobody finds it.
 *
 * What a context is read by, in place, is kept in a *load*: how many tokens of each shard each GPU
 * has to attend to. Layers follow one another, so a step takes as long as its busiest GPU in each:
 *
 *      busy tokens = G * sum over shards k of weight(k) * max over GPUs g of tokens(k, g) / weights
 *
 * which is the tokens themselves when every layer is spread evenly, and G times that when each layer
 * lies on one GPU: the others then wait. What is beyond the tokens themselves is the *skew*.
 */
#ifndef KVT_SHARD_BOOK_H
#define KVT_SHARD_BOOK_H

#include "pool.h"
#include "shard.h"

enum { KVT_SHARD_ROWS_SHIFT = 13, KVT_MASK_MOST_B = 48 };

struct kvt_shard_room {
    uint64_t gpu_b; /* of each GPU, for blocks and working pages; UINT64_MAX: unlimited */
    uint64_t unit_b, page_gpu_b;
};

/* Tokens to attend to, by shard and GPU. */
struct kvt_shard_load {
    /* private: */
    uint32_t *tokens;              /* n * gpus */
    uint64_t sum;                  /* of block tokens added */
    uint64_t busy;                 /* sum over shards of weight * most */
    uint64_t iterations;           /* since it last changed, still to be added to `read` */
    uint32_t most[KVT_SHARD_GPUS]; /* of each shard's tokens over the GPUs, if not stale */
    bool stale[KVT_SHARD_GPUS];    /* by shard */
    bool any_stale;
    uint64_t weighted[KVT_SHARD_GPUS]; /* by GPU: sum over shards of weight * tokens */
};

/* A sum over rows, in weights of blocks. */
struct kvt_shard_sum {
    uint64_t even;                   /* even rows */
    uint64_t others[KVT_SHARD_GPUS]; /* all other rows, by GPU */
};

struct kvt_shard_book {
    struct kvt_shards shards;
    struct kvt_shard_room room;
    uint64_t
        leaving_b; /* room on each GPU that shards lie on, but are placed on no longer (resize.c) */
    struct kvt_shard_sum held, pinned; /* (K1) */
    struct kvt_shard_sum gone;         /* were held and no longer are */
    uint64_t even[KVT_SHARD_GPUS];     /* weights of one even row, all copies; see has_even */
    uint8_t even_row[KVT_SHARD_GPUS + KVT_MASK_MOST_B + 1];
    uint32_t even_b;                /* bytes of a row that tell whether it is even */
    bool has_even;                  /* a block has more than one shard */
    uint64_t asked[KVT_SHARD_GPUS]; /* weights * tokens that gathers under way read there */
    uint64_t read[KVT_SHARD_GPUS];  /* weights * tokens read there since the start: gathered, or
                                       attended to by decoding */
    uint64_t changes;               /* grows whenever something is freed or falls idle */
    /* where the next copy will lie: its owner has placed it */
    uint8_t placing[KVT_SHARD_GPUS + KVT_MASK_MOST_B + 1];
    uint32_t row_b; /* bytes of a row that mean something */
    /* of them behind its shards, a bit per GPU: what it had there was lost with the GPU. Counted nowhere, nor read. 0 where
     * there is a joint or a mask: of what can follow the shards of a row, only one does */
    uint32_t marks_b;
    /* NULL, or what an engine is resized by: shards are joint ones then, and a row goes on with its block's site, 1 if
     * it was placed by the rule of after, and, where the engine shrinks, where its shards shall lie then */
    struct kvt_shard_joint *joint;
    uint64_t
        extra[KVT_SHARD_GPUS]; /* held beside rows: where shards are coming, or were (resize.c) */
    /* Where shards are evicted alone, else mask_b is 0: bytes of a row's mask, where its neighbours begin, the queue of
     * what was set aside, and the weights of orphans (shard_mask.h, orphans.h) */
    uint32_t mask_b, aside_at;
    struct {
        uint32_t first, last, cursor[KVT_SHARD_GPUS];
    } aside;
    uint64_t orphans[KVT_SHARD_GPUS];
    struct kvt_shard_load decoding, chunk;
    uint32_t chunk_of, chunk_blocks; /* whose chunk it is, and how many of its blocks it has */
    /* private: */
    struct kvt_pool *rows; /* shared by all books of a cluster; a copy's number is its row's */
    const struct kvt_alloc *alloc;
};

/* Bytes of a row. */
static inline uint32_t kvt_shard_row_b(const struct kvt_shards *s)
{
    return (s->n + kvt_shard_marks_b(&s->config) + 3) / 4 * 4;
}

/* Whether what a row had on a GPU is lost; or something, anywhere. False where nothing is marked, as in a book with gaps. */
static inline bool kvt_book_marked(const struct kvt_shard_book *book, const uint8_t *row,
                                   uint32_t gpu)
{
    return book->marks_b && (row[book->shards.n + gpu / 8] >> gpu % 8 & 1);
}
static inline bool kvt_book_any_mark(const struct kvt_shard_book *book, const uint8_t *row)
{
    uint8_t any = 0;
    for (uint32_t i = 0; i < book->marks_b; i++)
        any |= row[book->shards.n + i];
    return any;
}
/* Weights of a row on a GPU, lost or not. */
uint64_t kvt_book_weight_on(const struct kvt_shard_book *book, const uint8_t *row, uint32_t gpu);

/* Whoever places blocks now. */
static inline struct kvt_shards *kvt_book_placer(struct kvt_shard_book *book)
{
    return book->joint ? &book->joint->shape[book->joint->after] : &book->shards;
}

/* How many GPUs blocks are placed on, and computed with, now: these have working pages. */
static inline uint32_t kvt_book_gpus(const struct kvt_shard_book *book)
{
    return book->joint ? book->joint->shape[book->joint->after].config.gpus
                       : book->shards.config.gpus;
}

/* Whether a row, or placing, is one by the rule of before. Only where there is a joint. */
static inline uint8_t *kvt_book_age(const struct kvt_shard_book *book, uint8_t *row)
{
    return row + book->shards.n + sizeof(struct kvt_shard_site);
}

/* Where the shards of a row shall lie. Only where there is a joint, of an engine that shrinks. */
static inline uint8_t *kvt_book_target(const struct kvt_shard_book *book, uint8_t *row)
{
    return kvt_book_age(book, row) + 1;
}

/* config is checked; rows has records of kvt_shard_row_b bytes and is borrowed. 0 or -ENOMEM with
 * nothing to release. */
KVT_MUST_CHECK int kvt_book_init(struct kvt_shard_book *book, const struct kvt_shard_config *config,
                                 const struct kvt_shard_room *room, struct kvt_pool *rows,
                                 const struct kvt_alloc *alloc);
void kvt_book_release(struct kvt_shard_book *book);

/* The same for an engine that can go from one configuration to the other (kvt_shard_join_check), of which rows have
 * kvt_book_joint_row_b bytes. Room is that of before. */
KVT_MUST_CHECK int kvt_book_init_joint(struct kvt_shard_book *book,
                                       const struct kvt_shard_config *before,
                                       const struct kvt_shard_config *after,
                                       const struct kvt_shard_room *room, struct kvt_pool *rows,
                                       const struct kvt_alloc *alloc);
uint32_t kvt_book_joint_row_b(const struct kvt_shard_config *before,
                              const struct kvt_shard_config *after);

/* Writes into `placing` where the block shall lie: kvt_shards_place, by whoever places now. */
void kvt_book_place(struct kvt_shard_book *book, const struct kvt_shard_site *site);

/* The shard, of those in rows, that holds a layer. */
uint32_t kvt_book_shard_of(const struct kvt_shard_book *book, uint32_t layer);

/* Makes rows for copies 0 .. copy. 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_book_cover(struct kvt_pool *rows, uint32_t copy);

static inline uint8_t *kvt_book_row(const struct kvt_shard_book *book, uint32_t copy)
{
    return kvt_pool_at(book->rows, copy);
}

/* ---- Memory ------------------------------------------------------------------------------------ */

/* A copy in use has come to the place, placed as `placing` says; it is gone, from use, or idle
 * (evicted); it is no longer used, or again. */
void kvt_book_add(struct kvt_shard_book *book, uint32_t copy);
void kvt_book_remove(struct kvt_shard_book *book, uint32_t copy);
void kvt_book_evict(struct kvt_shard_book *book, uint32_t copy);
void kvt_book_rest(struct kvt_shard_book *book, uint32_t copy);
void kvt_book_wake(struct kvt_shard_book *book, uint32_t copy);

/* Room for `extra` more, or less, on a GPU than rows say. The latter frees it. */
void kvt_book_reserve(struct kvt_shard_book *book, uint32_t gpu, uint64_t weight);
void kvt_book_free_extra(struct kvt_shard_book *book);
/* Takes a reservation back that came to nothing, or that a row counts from now on. */
void kvt_book_unreserve(struct kvt_shard_book *book, uint32_t gpu, uint64_t weight);

/* What a copy has on a GPU is lost, or there again: was not or was marked before. in_use: pinned. */
void kvt_book_mark(struct kvt_shard_book *book, uint32_t copy, bool in_use, uint32_t gpu,
                   bool lost);

/* A row of an idle copy, or of an orphan, was `before` until now: so it is no longer counted as held. */
void kvt_book_recount(struct kvt_shard_book *book, const uint8_t *before, const uint8_t *row);

/* Adds the weights of one row to need[gpus]. */
void kvt_book_count(const struct kvt_shard_book *book, const uint8_t *row, uint64_t *need);

/* Whether need (weights by GPU; NULL: none) fits beside `pages` working pages in all: now, or if all
 * idle copies were evicted. */
bool kvt_book_fits(const struct kvt_shard_book *book, const uint64_t *need, uint64_t pages);
bool kvt_book_could(const struct kvt_shard_book *book, const uint64_t *need, uint64_t pages);
/* The same as the former on one GPU, of those that blocks are placed on. */
bool kvt_book_fits_on(const struct kvt_shard_book *book, uint32_t gpu, const uint64_t *need,
                      uint64_t pages);

/* Working pages that could be had if all idle copies were evicted; UINT64_MAX: unlimited. */
uint64_t kvt_book_pages(const struct kvt_shard_book *book);

/* A sum on one GPU. */
static inline uint64_t kvt_book_sum(const struct kvt_shard_book *book,
                                    const struct kvt_shard_sum *sum, uint32_t g)
{
    return sum->others[g] + sum->even * book->even[g];
}

/* Bytes on a GPU with so many working pages. */
static inline uint64_t kvt_book_used_b(const struct kvt_shard_book *book, uint32_t g,
                                       uint64_t pages)
{
    return kvt_book_sum(book, &book->held, g) * book->room.unit_b + pages * book->room.page_gpu_b;
}

/* ---- Reading ----------------------------------------------------------------------------------- */

/* Adds to parts[gpus] what reading copy j of each shard of `tokens` tokens asks of each GPU. Of even rows
 * *even_tokens is added to instead; kvt_book_parts_even adds those up, once. */
void kvt_book_parts(const struct kvt_shard_book *book, const uint8_t *row, uint32_t j,
                    uint32_t tokens, uint64_t *parts, uint64_t *even_tokens);
void kvt_book_parts_even(const struct kvt_shard_book *book, uint32_t j, uint64_t even_tokens,
                         uint64_t *parts);

/* Which copy to read: the j whose busiest GPU, with what is asked of it already, is the least busy.
 * parts are those of j == 0. Ties go to the lower j. */
uint32_t kvt_book_choose(const struct kvt_shard_book *book, const uint64_t *parts);

/* `tokens` tokens of a block are, or are no longer, among what a load attends to, at copy j. */
void kvt_load_add(struct kvt_shard_book *book, struct kvt_shard_load *load, const uint8_t *row,
                  uint32_t j, uint32_t tokens);
void kvt_load_remove(struct kvt_shard_book *book, struct kvt_shard_load *load, const uint8_t *row,
                     uint32_t j, uint32_t tokens);
void kvt_load_clear(struct kvt_shard_book *book, struct kvt_shard_load *load);

/* So many steps attended to it, as it is. */
static inline void kvt_load_attended(struct kvt_shard_load *load, uint32_t iterations)
{
    load->iterations += iterations;
}
/* Adds what was attended to to book->read. */
void kvt_load_settle(struct kvt_shard_book *book, struct kvt_shard_load *load);

/* Busy tokens less tokens, rounded up: >= 0. */
uint64_t kvt_load_skew(struct kvt_shard_book *book, struct kvt_shard_load *load);

#endif
