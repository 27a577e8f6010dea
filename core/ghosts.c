/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ghosts.c - see ghosts.h.
 */
#include "ghosts.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { SHIFT = 10 };

struct ghost {
    uint64_t id;
    uint32_t newer, older;
};

static struct ghost *ghost_at(const struct kvt_ghosts *g, uint32_t number)
{
    return kvt_pool_at_known(&g->pool, number, SHIFT, sizeof(struct ghost));
}

void kvt_ghosts_init(struct kvt_ghosts *g, const struct kvt_alloc *alloc)
{
    memset(g, 0, sizeof *g);
    kvt_idmap_init(&g->map, alloc);
    kvt_pool_init(&g->pool, alloc, sizeof(struct ghost), SHIFT);
    for (int q = 0; q < 2; q++)
        g->queue[q].newest = g->queue[q].oldest = KVT_NONE;
}

void kvt_ghosts_release(struct kvt_ghosts *g)
{
    kvt_idmap_release(&g->map);
    kvt_pool_release(&g->pool);
}

int kvt_ghosts_reserve(struct kvt_ghosts *g, uint64_t n)
{
    if (n <= g->room)
        return 0;
    if (n >= KVT_NONE / 2)
        return -ENOMEM;
    const int error = kvt_idmap_reserve(&g->map, n);
    if (error)
        return error;
    if (kvt_pool_reserve(&g->pool, n - g->map.count))
        return -ENOMEM;
    g->room = n;
    return 0;
}

void kvt_ghosts_push(struct kvt_ghosts *g, uint32_t which, uint64_t id)
{
    assert(g->map.count < g->room);
    const uint32_t number = kvt_pool_take(&g->pool);
    const uint32_t newest = g->queue[which].newest;
    *ghost_at(g, number) = (struct ghost){id, KVT_NONE, newest};
    if (newest != KVT_NONE)
        ghost_at(g, newest)->newer = number;
    else
        g->queue[which].oldest = number;
    g->queue[which].newest = number;
    g->length[which]++;
    kvt_idmap_add(&g->map, id, number << 1 | which);
}

void kvt_ghosts_remove(struct kvt_ghosts *g, uint32_t reference)
{
    const uint32_t number = reference >> 1, which = reference & 1;
    const struct ghost ghost = *ghost_at(g, number); /* read before anything is written */
    if (ghost.newer != KVT_NONE)
        ghost_at(g, ghost.newer)->older = ghost.older;
    else
        g->queue[which].newest = ghost.older;
    if (ghost.older != KVT_NONE)
        ghost_at(g, ghost.older)->newer = ghost.newer;
    else
        g->queue[which].oldest = ghost.newer;
    g->length[which]--;
    kvt_idmap_remove(&g->map, ghost.id);
    kvt_pool_give(&g->pool, number);
}

void kvt_ghosts_drop_oldest(struct kvt_ghosts *g, uint32_t which)
{
    assert(g->length[which] > 0);
    kvt_ghosts_remove(g, g->queue[which].oldest << 1 | which);
    if (g->queue[which].oldest != KVT_NONE) /* who will probably be next */
        kvt_idmap_prefetch(&g->map, ghost_at(g, g->queue[which].oldest)->id);
}

size_t kvt_ghosts_memory_b(const struct kvt_ghosts *g)
{
    return g->map.memory_b + kvt_pool_memory_b(&g->pool);
}

bool kvt_ghosts_check(const struct kvt_ghosts *g)
{
    if (!kvt_idmap_check(&g->map) || g->length[0] + g->length[1] != g->map.count ||
        g->map.count > g->room)
        return false;
    for (uint32_t which = 0; which < 2; which++) {
        uint64_t n = 0;
        uint32_t newer = KVT_NONE;
        for (uint32_t at = g->queue[which].newest; at != KVT_NONE; at = ghost_at(g, at)->older) {
            if (ghost_at(g, at)->newer != newer || n++ == g->length[which] ||
                kvt_idmap_find(&g->map, ghost_at(g, at)->id) != (at << 1 | which))
                return false;
            newer = at;
        }
        if (g->queue[which].oldest != newer || n != g->length[which])
            return false;
    }
    return true;
}
