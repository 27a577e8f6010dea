/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_arc.c - ARC: two lists, of blocks seen once and of blocks seen again, and a border between them
 * that moves by what each of them lost too early.
 *
 * Megiddo and Modha, "ARC: a self-tuning, low overhead replacement cache", FAST 2003; names as there.
 *
 *      T1 seen once, resident     T2 seen again, resident     c = capacity, |T1| + |T2| <= c
 *      B1 ghosts out of T1        B2 ghosts out of T2         |T1| + |B1| <= c, all four <= 2c
 *
 * p is the size T1 should have. A miss that finds its ghost in B1 says T1 was too small, p grows by
 * max(1, |B2| / |B1|); one in B2 lets it shrink likewise. p is a fraction, as later implementations
 * have it; the paper leaves open whether it is.
 *
 * The paper deletes surplus ghosts before it replaces; here the insert does, when it is known that the
 * block comes in. The outcome is the same: the ghost that goes is the oldest either way. Between a
 * miss and its insert other blocks may come, so a ghost is only used up by the insert.
 *
 * Parked slots count for their list. To be unparked is to be the oldest of it.
 */
#include "ghosts.h"
#include "queue.h"

#include <assert.h>

struct row {
    struct kvt_queue_link link;
    uint32_t list; /* 0: T1, 1: T2 */
};

struct state {
    struct kvt_pool *rows;
    struct kvt_queue t[2];
    uint64_t n[2]; /* parked ones too */
    uint64_t capacity;
    double p;
    struct kvt_ghosts b; /* queue 0: B1, queue 1: B2 */
    uint64_t asked_id;   /* of the last miss, and its ghost: mostly its insert is next */
    uint32_t asked;
    bool asked_holds; /* no ghost went since */
};

enum { ROW_B = sizeof(struct row) };

static struct row *row_at(const struct state *s, uint32_t slot)
{
    return KVT_ROW(s->rows, slot, struct row);
}

static int init(void *self, const struct kvt_evict_config *config)
{
    struct state *s = self;
    s->rows = config->rows;
    s->capacity = config->capacity;
    for (int i = 0; i < 2; i++)
        kvt_queue_init(&s->t[i]);
    kvt_ghosts_init(&s->b, config->alloc);
    return 0;
}

static void release(void *self)
{
    struct state *s = self;
    kvt_ghosts_release(&s->b);
}

/* As many ghosts as residents; +2: one more comes before one goes. */
static int reserve(void *self, uint64_t residents)
{
    struct state *s = self;
    return kvt_ghosts_reserve(&s->b, (residents < s->capacity ? residents : s->capacity) + 2);
}

static uint32_t ghost_of(const struct state *s, uint64_t id)
{
    return s->asked_holds && s->asked_id == id ? s->asked : kvt_ghosts_find(&s->b, id);
}

static void miss(void *self, const struct kvt_evict_item *item)
{
    struct state *s = self;
    const uint32_t ghost = kvt_ghosts_find(&s->b, item->id);
    s->asked_id = item->id;
    s->asked = ghost;
    s->asked_holds = true;
    if (ghost == KVT_NONE)
        return;
    const uint32_t here = ghost & 1;
    const double ratio = (double)s->b.length[!here] / (double)s->b.length[here];
    const double step = ratio > 1 ? ratio : 1;
    s->p += here ? -step : step;
    if (s->p < 0)
        s->p = 0;
    if (s->p > (double)s->capacity)
        s->p = (double)s->capacity;
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    struct state *s = self;
    const uint32_t ghost = ghost_of(s, item->id);
    s->asked_holds = false;
    if (ghost != KVT_NONE)
        kvt_ghosts_remove(&s->b, ghost);
    const uint32_t list = ghost != KVT_NONE;
    row_at(s, slot)->list = list;
    kvt_queue_push(&s->t[list], s->rows, ROW_B, slot);
    s->n[list]++;
    const uint64_t c = s->capacity, twice = c > UINT64_MAX / 2 ? UINT64_MAX : 2 * c;
    while (s->b.length[0] && s->n[0] + s->b.length[0] > c)
        kvt_ghosts_drop_oldest(&s->b, 0);
    while (s->b.length[1] && s->n[0] + s->n[1] + s->b.length[0] + s->b.length[1] > twice)
        kvt_ghosts_drop_oldest(&s->b, 1);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    struct state *s = self;
    struct row *row = row_at(s, slot);
    const uint32_t list = row->list;
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    row->list = 1;
    s->n[list]--;
    s->n[1]++;
    kvt_queue_remove(&s->t[list], s->rows, ROW_B, slot);
    kvt_queue_push(&s->t[1], s->rows, ROW_B, slot);
}

/* The paper's REPLACE. */
static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    const struct state *s = self;
    const double t1 = (double)s->n[0];
    bool from_t1 = s->n[1] == 0 || (s->n[0] > 0 && t1 > s->p);
    if (!from_t1 && s->n[0] > 0 && t1 >= s->p && incoming) {
        const uint32_t ghost = ghost_of(s, incoming->id);
        from_t1 = ghost != KVT_NONE && (ghost & 1);
    }
    const uint32_t slot = s->t[!from_t1].oldest;
    return slot != KVT_NONE ? slot : s->t[from_t1].oldest; /* all of the first choice are parked */
}

static void park(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(!kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_queue_remove(&s->t[row_at(s, slot)->list], s->rows, ROW_B, slot);
}

static void unpark(void *self, uint32_t slot)
{
    struct state *s = self;
    assert(kvt_queue_is_out(s->rows, ROW_B, slot));
    kvt_queue_push_oldest(&s->t[row_at(s, slot)->list], s->rows, ROW_B, slot);
}

static void remember(struct state *s, uint32_t list, uint64_t id)
{
    if (s->b.room == 0)
        return;
    assert(kvt_ghosts_find(&s->b, id) == KVT_NONE);     /* its insert saw to that */
    if (s->b.length[0] + s->b.length[1] == s->b.room) { /* many left, nobody came */
        s->asked_holds = false;
        kvt_ghosts_drop_oldest(&s->b, s->b.length[1] > s->b.length[0]);
    }
    kvt_ghosts_push(&s->b, list, id);
}

static void remove(void *self, uint32_t slot, uint64_t id, bool evicted)
{
    struct state *s = self;
    const uint32_t list = row_at(s, slot)->list;
    if (!kvt_queue_is_out(s->rows, ROW_B, slot))
        kvt_queue_remove(&s->t[list], s->rows, ROW_B, slot);
    s->n[list]--;
    if (evicted)
        remember(s, list, id);
}

static void prefetch(const void *self, uint64_t id)
{
    const struct state *s = self;
    kvt_ghosts_prefetch(&s->b, id);
}

static void touch(const void *self, uint32_t slot)
{
    const struct state *s = self;
    kvt_queue_touch(s->rows, ROW_B, slot);
}

static uint32_t soon(const void *self)
{
    const struct state *s = self;
    return kvt_queue_second(&s->t[(double)s->n[0] <= s->p], s->rows, ROW_B);
}

static size_t memory_b(const void *self)
{
    const struct state *s = self;
    return kvt_ghosts_memory_b(&s->b);
}

static bool check(const void *self, char *why, size_t size)
{
    const struct state *s = self;
    for (int i = 0; i < 2; i++)
        if (kvt_queue_walk(&s->t[i], s->rows, ROW_B, s->n[i]) == UINT64_MAX)
            return kvt_evict_wrong(i ? "list T2" : "list T1", why, size);
    return kvt_ghosts_check(&s->b) || kvt_evict_wrong("ghosts", why, size);
}

const struct kvt_evict_ops kvt_evict_arc = {
    .name = "arc",
    .source = "Megiddo, Modha, FAST 2003",
    .row_b = sizeof(struct row),
    .state_b = sizeof(struct state),
    .init = init,
    .release = release,
    .reserve = reserve,
    .miss = miss,
    .insert = insert,
    .hit = hit,
    .victim = victim,
    .park = park,
    .unpark = unpark,
    .remove = remove,
    .prefetch = prefetch,
    .touch = touch,
    .soon = soon,
    .memory_b = memory_b,
    .check = check,
};
