/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_host.c - the host tier: blocks in main memory that the device reaches at full speed.
 *
 * A slot holds one whole block, raw and packed, its shards one behind the other. Slots are cut
 * from slabs of staging memory (cuda: pinned), the first gigabyte of them when the world is
 * built, others as the tier fills up; how many there are at most is core's to bound. Which slot
 * a block has is an array by the block's number: core keeps a number for as long as any tier
 * holds the block. A slot that a block leaves is used again at once; core drops no copy that
 * somebody reads.
 */
#include "world_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SLAB_B = 16 << 20, EARLY_B = 1 << 30 }; /* EARLY_B: of slabs that are there from the start */

static size_t shard_b(const struct be_world *w)
{
    return k_packed_b(&w->config.geometry, w->config.geometry.layers, w->config.block_tokens);
}

void be_host_release(struct be_world *w)
{
    struct host_slabs *h = &w->host;
    for (uint32_t i = 0; i < h->n; i++)
        w->device.ops->stage_free(w->device.self, h->slab[i], h->slots_per_slab * h->slot_b);
    free(h->slab);
    free(h->free);
    for (uint32_t e = 0; w->engines && e < w->config.engines; e++)
        free(w->engines[e].host_slot);
}

static bool grow_slabs(struct be_world *w)
{
    struct host_slabs *h = &w->host;
    if (h->n == h->room) {
        const uint32_t room = h->room ? 2 * h->room : 16;
        void **more = realloc(h->slab, room * sizeof(*more));
        if (!more)
            return false;
        h->slab = more;
        h->room = room;
    }
    const uint32_t slots = (h->n + 1) * h->slots_per_slab;
    uint32_t *more = realloc(h->free, slots * sizeof *more);
    if (!more)
        return false;
    h->free = more;
    void *slab = w->device.ops->stage_new(w->device.self, h->slots_per_slab * h->slot_b);
    if (!slab)
        return false;
    h->slab[h->n++] = slab;
    while (h->slots < slots)
        h->free[h->n_free++] = h->slots++;
    return true;
}

int be_host_init(struct be_world *w)
{
    struct host_slabs *h = &w->host;
    h->slot_b = shard_b(w) * w->config.gpus_per_engine;
    h->slots_per_slab = h->slot_b >= SLAB_B ? 1 : (uint32_t)(SLAB_B / h->slot_b);
    const uint64_t all_b =
        w->config.engines * (w->config.host_b < EARLY_B ? w->config.host_b : EARLY_B);
    while (h->slots * h->slot_b < all_b && h->slots * h->slot_b < EARLY_B)
        if (!grow_slabs(w))
            return -ENOMEM;
    return 0;
}

static uint32_t *slot_at(struct engine *e, uint32_t block)
{
    if (block >= e->host_blocks) {
        const uint32_t n = block + block / 2 + 64;
        uint32_t *more = realloc(e->host_slot, n * sizeof *more);
        if (!more)
            return NULL;
        memset(more + e->host_blocks, 0xff, (n - e->host_blocks) * sizeof *more);
        e->host_slot = more;
        e->host_blocks = n;
    }
    return &e->host_slot[block];
}

static uint32_t slot_of(const struct engine *e, uint32_t block)
{
    return block < e->host_blocks ? e->host_slot[block] : KVT_NONE;
}

static char *memory_of(const struct be_world *w, uint32_t slot)
{
    const struct host_slabs *h = &w->host;
    return (char *)h->slab[slot / h->slots_per_slab] + slot % h->slots_per_slab * h->slot_b;
}

/* The slot a block is to be written to. KVT_NONE: no memory. */
static uint32_t take_slot(struct be_world *w, struct engine *e, uint32_t block)
{
    uint32_t *slot = slot_at(e, block);
    if (!slot)
        return KVT_NONE;
    if (*slot == KVT_NONE && (w->host.n_free || grow_slabs(w)))
        *slot = w->host.free[--w->host.n_free];
    return *slot;
}

static void give_slot(struct be_world *w, struct engine *e, uint32_t block)
{
    const uint32_t slot = slot_of(e, block);
    if (slot == KVT_NONE)
        return;
    e->host_slot[block] = KVT_NONE;
    w->host.free[w->host.n_free++] = slot;
}

/* ---- Operations ------------------------------------------------------------------------------ */

/* While the worker has the slot: when the operation has ended it may be another block's. */
static void verify(struct task *t, const struct k_part *part, const void *memory)
{
    k_fill_packed(&t->world->config.geometry, part, be_seed(t->op->blocks[t->block].key, t->piece),
                  t->raw);
    t->wrong = memcmp(t->raw, memory, shard_b(t->world)) != 0;
}

static void copy(struct be_chore *c)
{
    struct task *t = task_of(c);
    struct be_world *w = t->world;
    const struct be_piece piece = {.tokens = t->op->blocks[t->block].tokens,
                                   .shard = t->piece,
                                   .layers = w->config.geometry.layers};
    const struct k_part part = be_task_part(t, &piece);
    const struct be_pages pages = be_task_pages(t, &piece);
    char *memory = (char *)t->value_at + t->piece * shard_b(w);
    const int rc =
        t->op->kind == OP_LOAD ? be_pages_up(w, &pages, memory) : be_pages_down(w, &pages, memory);
    t->copy_ns = be_clock(w);
    if (rc != 0)
        t->status = KVT_DOWN;
    else
        t->value_b = shard_b(w);
    if (rc == 0 && t->op->kind == OP_LOAD && w->config.verify)
        verify(t, &part, memory);
}

static void after_copy(struct be_chore *c)
{
    struct task *t = task_of(c);
    if (t->op->kind == OP_LOAD && t->status == KVT_OK && t->world->config.verify)
        be_task_verified(t);
    be_task_end(t);
}

void be_host_start(struct task *t)
{
    struct be_world *w = t->world;
    struct engine *e = &w->engines[t->op->engine];
    const uint32_t block = t->op->blocks[t->block].number;
    const uint32_t slot = t->op->kind == OP_LOAD ? slot_of(e, block) : take_slot(w, e, block);
    if (slot == KVT_NONE) {
        t->status = t->op->kind == OP_LOAD ? KVT_MISSING : KVT_BUSY;
        be_task_end(t);
        return;
    }
    t->value_at = memory_of(w, slot);
    be_workers_ask(&w->workers, &t->chore,
                   t->op->kind == OP_LOAD ? BE_URGENT_LOAD : BE_URGENT_STORE, copy, after_copy);
}

void be_host_ended(struct op *op)
{
    struct be_world *w = op->world;
    for (uint32_t i = op->kind == OP_STORE ? op->first_bad : op->n_blocks; i < op->n_blocks; i++)
        give_slot(w, &w->engines[op->engine], op->blocks[i].number);
}

void be_host_probe(struct op *op)
{
    for (uint32_t i = 0; i < op->n_blocks; i++)
        if (slot_of(&op->world->engines[op->engine], op->blocks[i].number) == KVT_NONE)
            be_op_bad(op, i, KVT_MISSING);
    be_op_check(op);
}

void be_host_drop(struct op *op)
{
    struct be_world *w = op->world;
    for (uint32_t i = 0; i < op->n_blocks; i++)
        give_slot(w, &w->engines[op->engine], op->blocks[i].number);
    be_op_check(op);
}
