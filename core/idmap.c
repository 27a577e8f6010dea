/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * idmap.c - see idmap.h.
 *
 * (X2) makes a removal exact: the counts along an id's way were raised by its addition and are
 * lowered again, unless one has saturated.
 */
#include "idmap.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { LINE_B = 64, SMALL = 1 << 14, FULL = (1 << KVT_IDMAP_ENTRIES) - 1 };

_Static_assert(sizeof(struct kvt_idmap_bucket) == LINE_B, "a bucket is one cache line");

/* Three of five entries in use at the limit; half of them while the map is small enough for the
 * processor's own cache, where a look-up costs no more than guessing wrong whether it goes on. */
static uint64_t buckets_for(uint64_t ids)
{
    return (ids <= SMALL ? ids * 2 / 5 : ids / 3) + 2;
}

void kvt_idmap_init(struct kvt_idmap *map, const struct kvt_alloc *alloc)
{
    memset(map, 0, sizeof *map);
    map->alloc = alloc;
}

void kvt_idmap_release(struct kvt_idmap *map)
{
    if (map->memory)
        map->alloc->put(map->alloc->self, map->memory, map->memory_b);
    map->memory = NULL;
    map->buckets = NULL;
    map->n_buckets = map->count = map->limit = 0;
    map->memory_b = 0;
}

static void place(struct kvt_idmap *map, uint64_t id, uint32_t number)
{
    uint64_t at = kvt_idmap_home(map, id);
    struct kvt_idmap_bucket *b = &map->buckets[at];
    while (b->used == FULL) {
        if (b->overflow < UINT16_MAX)
            b->overflow++;
        at = at + 1 == map->n_buckets ? 0 : at + 1;
        b = &map->buckets[at];
    }
    const int entry = __builtin_ctz(~(uint32_t)b->used);
    b->id[entry] = id;
    b->number[entry] = number;
    b->used = (uint16_t)(b->used | 1u << entry);
}

int kvt_idmap_reserve(struct kvt_idmap *map, uint64_t n)
{
    if (n <= map->limit)
        return 0;
    const struct kvt_idmap old = *map;
    const uint64_t least = map->limit + map->limit / 2;
    const uint64_t limit = n > least ? n : least;
    const uint64_t n_buckets = buckets_for(limit);
    if (n_buckets > SIZE_MAX / LINE_B - 1)
        return -ENOMEM;
    const size_t memory_b = n_buckets * LINE_B + LINE_B;
    unsigned char *memory = map->alloc->get(map->alloc->self, memory_b);
    if (!memory)
        return -ENOMEM;
    memset(memory, 0, memory_b);
    map->memory = memory;
    map->memory_b = memory_b;
    map->buckets = (void *)(memory + (-(uintptr_t)memory & (LINE_B - 1)));
    map->n_buckets = n_buckets;
    map->limit = limit;
    /* Buckets come in order of hash in both maps: no line is fetched twice. */
    for (uint64_t i = 0; i < old.n_buckets; i++)
        for (uint32_t m = old.buckets[i].used; m; m &= m - 1) {
            const int entry = __builtin_ctz(m);
            place(map, old.buckets[i].id[entry], old.buckets[i].number[entry]);
        }
    if (old.memory)
        old.alloc->put(old.alloc->self, old.memory, old.memory_b);
    return 0;
}

void kvt_idmap_add(struct kvt_idmap *map, uint64_t id, uint32_t number)
{
    assert(map->count < map->limit);
    place(map, id, number);
    map->count++;
}

void kvt_idmap_remove(struct kvt_idmap *map, uint64_t id)
{
    uint64_t at = kvt_idmap_home(map, id);
    for (;;) {
        struct kvt_idmap_bucket *b = &map->buckets[at];
        const uint32_t m = kvt_idmap_matches(b, id);
        if (m) {
            b->used = (uint16_t)(b->used & ~m);
            map->count--;
            return;
        }
        assert(b->overflow > 0);
        if (b->overflow < UINT16_MAX)
            b->overflow--;
        at = at + 1 == map->n_buckets ? 0 : at + 1;
    }
}

bool kvt_idmap_check(const struct kvt_idmap *map)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < map->n_buckets; i++)
        for (uint32_t m = map->buckets[i].used; m; m &= m - 1) {
            const int entry = __builtin_ctz(m);
            if (kvt_idmap_find(map, map->buckets[i].id[entry]) != map->buckets[i].number[entry])
                return false;
            n++;
        }
    return n == map->count && n <= map->limit;
}
