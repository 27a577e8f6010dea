/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * heap.c - see heap.h.
 */
#include "heap.h"

#include <errno.h>
#include <string.h>

enum { LINE_B = 64 };

_Static_assert(sizeof(struct kvt_heap_entry) == 16, "four children are one cache line");

void kvt_heap_init(struct kvt_heap *h, const struct kvt_alloc *alloc, struct kvt_pool *rows)
{
    *h = (struct kvt_heap){.alloc = alloc, .rows = rows};
    h->end = h->room = KVT_HEAP_ROOT;
}

void kvt_heap_release(struct kvt_heap *h)
{
    if (h->memory)
        h->alloc->put(h->alloc->self, h->memory, h->memory_b);
    h->memory = NULL;
    h->memory_b = 0;
    h->end = h->room = KVT_HEAP_ROOT;
}

int kvt_heap_reserve(struct kvt_heap *h, uint64_t n)
{
    if (n <= h->room - KVT_HEAP_ROOT)
        return 0;
    const uint64_t least = (uint64_t)h->room + h->room / 2;
    uint64_t room = n + KVT_HEAP_ROOT > least ? n + KVT_HEAP_ROOT : least;
    if (n >= KVT_NONE - KVT_HEAP_ROOT)
        return -ENOMEM;
    if (room > KVT_NONE)
        room = KVT_NONE;
    const size_t memory_b = room * sizeof *h->entries + LINE_B;
    unsigned char *memory = h->alloc->get(h->alloc->self, memory_b);
    if (!memory)
        return -ENOMEM;
    struct kvt_heap_entry *entries = (void *)(memory + (-(uintptr_t)memory & (LINE_B - 1)));
    for (uint32_t at = KVT_HEAP_ROOT; at < h->end; at++)
        entries[at] = h->entries[at];
    if (h->memory)
        h->alloc->put(h->alloc->self, h->memory, h->memory_b);
    h->memory = memory;
    h->memory_b = memory_b;
    h->entries = entries;
    h->room = (uint32_t)room;
    return 0;
}

int kvt_heap_state_init(void *state, const struct kvt_evict_config *config)
{
    kvt_heap_init(state, config->alloc, config->rows);
    return 0;
}

void kvt_heap_state_release(void *state)
{
    kvt_heap_release(state);
}

int kvt_heap_state_reserve(void *state, uint64_t residents)
{
    return kvt_heap_reserve(state, residents);
}

size_t kvt_heap_state_memory_b(const void *state)
{
    const struct kvt_heap *h = state;
    return h->memory_b;
}

uint64_t kvt_heap_walk(const struct kvt_heap *h, size_t row_b)
{
    for (uint32_t at = KVT_HEAP_ROOT; at < h->end; at++) {
        if (*kvt_heap_place(h, row_b, h->entries[at].slot) != at)
            return UINT64_MAX;
        if (at > KVT_HEAP_ROOT && kvt_heap_before(h->entries[at], h->entries[at / 4 + 2]))
            return UINT64_MAX;
    }
    return h->end - KVT_HEAP_ROOT;
}
