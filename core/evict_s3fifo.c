/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_s3fifo.c - S3-FIFO: three queues that nobody moves within.
 *
 * Yang, Zhang, Qiu, Yue and Vigfusson, "FIFO queues are all you need for cache eviction", SOSP 2023.
 *
 *      new ---> small (a tenth) --- used `threshold` times ---> main: goes round while it was used
 *                   |                                             ^
 *                   | used less                                   | comes back in time
 *                   +---> gone, its id remembered in the ghosts --+
 *
 * A new block has the length of the small queue to prove itself; most blocks do not, and leave soon.
 * Uses are counted to 3 in the main queue, and each round takes one off.
 *
 * Defaults: small queue 0.1 of the capacity, ghosts 0.9, threshold 2 (those of libCacheSim; the paper
 * moves a block with more than one use). Two definitions are about for the time before the first
 * eviction: as in the paper every new block goes to the small queue, however long; with warm_up_main
 * those that do not fit into it start in the main queue.
 *
 * Parked slots count for the length of their queue, as they take room. To be unparked is to be the
 * oldest of it.
 */
#include "ghosts.h"
#include "queue.h"

#include <assert.h>

enum { MAIN_USES_MAX = 3 };

struct row {
    struct kvt_queue_link link;
    uint8_t uses; /* since it joined its queue; stays at 255 */
    bool in_main;
};

struct state {
    struct kvt_pool *rows;
    struct kvt_queue small, main;
    uint64_t n_small, n_main; /* parked ones too */
    uint64_t small_room, main_room;
    uint64_t capacity, ghosts_most;
    uint32_t threshold;
    uint32_t chosen; /* what victim said last, or KVT_NONE */
    bool warm_up_main, has_evicted;
    struct kvt_ghosts ghosts; /* in queue 0 */
};

enum { ROW_B = sizeof(struct row) };

static struct row *row_at(const struct state *s, uint32_t slot)
{
    return KVT_ROW(s->rows, slot, struct row);
}

static int init(void *self, const struct kvt_evict_config *config)
{
    struct state *s = self;
    const double capacity = (double)config->capacity;
    const double small = config->small_ratio > 0 ? config->small_ratio : 0.1;
    const double ghosts = config->ghost_ratio > 0 ? config->ghost_ratio : 0.9;
    s->rows = config->rows;
    s->capacity = config->capacity;
    s->small_room = small < 1 ? (uint64_t)(capacity * small) : config->capacity;
    if (s->small_room == 0)
        s->small_room = 1;
    s->main_room = config->capacity - s->small_room;
    s->ghosts_most = capacity * ghosts < 2e9 ? (uint64_t)(capacity * ghosts) : 2000000000;
    s->threshold = config->threshold ? config->threshold : 2;
    if (s->threshold > UINT8_MAX)
        s->threshold = UINT8_MAX;
    s->warm_up_main = config->warm_up_main;
    s->chosen = KVT_NONE;
    kvt_queue_init(&s->small);
    kvt_queue_init(&s->main);
    kvt_ghosts_init(&s->ghosts, config->alloc);
    return 0;
}

static void release(void *self)
{
    struct state *s = self;
    kvt_ghosts_release(&s->ghosts);
}

/* As many ghosts as a cache of that size would have; +2: one more comes before one goes. */
static int reserve(void *self, uint64_t residents)
{
    struct state *s = self;
    uint64_t n = s->ghosts_most;
    if (residents < s->capacity && (double)residents / (double)s->capacity * (double)n < (double)n)
        n = (uint64_t)((double)residents / (double)s->capacity * (double)n) + 1;
    return kvt_ghosts_reserve(&s->ghosts, n + 2);
}

static void push(struct state *s, uint32_t slot, bool in_main)
{
    *row_at(s, slot) = (struct row){.in_main = in_main};
    kvt_queue_push(in_main ? &s->main : &s->small, s->rows, ROW_B, slot);
    *(in_main ? &s->n_main : &s->n_small) += 1;
}

static void trim_ghosts(struct state *s, uint64_t most)
{
    while (s->ghosts.length[0] > most)
        kvt_ghosts_drop_oldest(&s->ghosts, 0);
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    const uint32_t ghost = kvt_ghosts_find(&s->ghosts, item->id);
    bool in_main = s->warm_up_main && !s->has_evicted && s->n_small >= s->small_room;
    if (ghost != KVT_NONE) {
        kvt_ghosts_remove(&s->ghosts, ghost);
        in_main = true;
    }
    trim_ghosts(s, s->ghosts_most);
    push(s, slot, in_main);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct state *s = self;
    struct row *row = row_at(s, slot);
    if (row->uses < UINT8_MAX)
        row->uses++;
    if (s->chosen == slot)
        s->chosen = KVT_NONE;
}

/* The oldest of the small queue that did not prove itself; those that did move on. KVT_NONE when
 * nothing is left. */
static uint32_t sift_small(struct state *s)
{
    uint32_t slot;
    while ((slot = s->small.oldest) != KVT_NONE && row_at(s, slot)->uses >= s->threshold) {
        kvt_queue_remove(&s->small, s->rows, ROW_B, slot);
        s->n_small--;
        push(s, slot, true);
    }
    return slot;
}

static uint32_t turn_main(struct state *s)
{
    uint32_t slot;
    while ((slot = s->main.oldest) != KVT_NONE && row_at(s, slot)->uses > 0) {
        struct row *row = row_at(s, slot);
        row->uses = (uint8_t)((row->uses < MAIN_USES_MAX ? row->uses : MAIN_USES_MAX) - 1);
        kvt_queue_remove(&s->main, s->rows, ROW_B, slot);
        kvt_queue_push(&s->main, s->rows, ROW_B, slot);
    }
    return slot;
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    (void)incoming;
    struct state *s = self;
    while (s->chosen == KVT_NONE) {
        const bool small_empty = s->small.oldest == KVT_NONE;
        const bool main_empty = s->main.oldest == KVT_NONE;
        if (small_empty && main_empty)
            return KVT_NONE;
        if (small_empty || (s->n_main > s->main_room && !main_empty))
            s->chosen = turn_main(s);
        else
            s->chosen = sift_small(s);
    }
    return s->chosen;
}

static void leave(struct state *s, uint32_t slot)
{
    kvt_queue_remove(row_at(s, slot)->in_main ? &s->main : &s->small, s->rows, ROW_B, slot);
    if (s->chosen == slot)
        s->chosen = KVT_NONE;
}

static void park(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    leave(s, slot);
}

static void unpark(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_queue_push_oldest(row_at(s, slot)->in_main ? &s->main : &s->small, s->rows, ROW_B, slot);
    s->chosen = KVT_NONE;
}

static void remember(struct state *s, uint64_t id)
{
    if (s->ghosts_most == 0 || s->ghosts.room < 2)
        return;
    assert(kvt_ghosts_find(&s->ghosts, id) == KVT_NONE); /* its insert saw to that */
    trim_ghosts(s, s->ghosts.room - 1);
    kvt_ghosts_push(&s->ghosts, 0, id);
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    struct state *s = self;
    const bool in_main = row_at(s, slot)->in_main;
    if (!kvt_queue_is_out(s->rows, ROW_B, slot))
        leave(s, slot);
    *(in_main ? &s->n_main : &s->n_small) -= 1;
    if (!evicted)
        return;
    s->has_evicted = true;
    if (!in_main)
        remember(s, id);
}

static void prefetch(const void *self, uint64_t id)
{
    const struct state *s = self;
    kvt_ghosts_prefetch(&s->ghosts, id);
}

static uint32_t soon(const void *self)
{
    const struct state *s = self;
    return kvt_queue_second(s->n_main > s->main_room ? &s->main : &s->small, s->rows, ROW_B);
}

static size_t memory_b(const void *self)
{
    const struct state *s = self;
    return kvt_ghosts_memory_b(&s->ghosts);
}

static bool check(const void *self, char *why, size_t size)
{
    const struct state *s = self;
    if (kvt_queue_walk(&s->small, s->rows, ROW_B, s->n_small) == UINT64_MAX)
        return kvt_evict_wrong("small queue", why, size);
    if (kvt_queue_walk(&s->main, s->rows, ROW_B, s->n_main) == UINT64_MAX)
        return kvt_evict_wrong("main queue", why, size);
    return kvt_ghosts_check(&s->ghosts) || kvt_evict_wrong("ghosts", why, size);
}

const struct kvt_evict_ops kvt_evict_s3fifo = {
    .name = "s3-fifo",
    .source = "Yang, Zhang, Qiu, Yue, Vigfusson, SOSP 2023",
    .row_b = sizeof(struct row),
    .state_b = sizeof(struct state),
    .init = init,
    .release = release,
    .reserve = reserve,
    .insert = insert,
    .hit = hit,
    .victim = victim,
    .park = park,
    .unpark = unpark,
    .remove = remove,
    .prefetch = prefetch,
    .soon = soon,
    .memory_b = memory_b,
    .check = check,
};
