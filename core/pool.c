/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pool.c - see pool.h.
 *
 * The directory of segments doubles; that is the only thing ever copied, one pointer per segment.
 * Slab classes hold 8 << c words; a freed array is linked through its first word into its class.
 * Slab segments are 256 KiB, or as large as one oversized array.
 */
#include "pool.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { SLAB_SEGMENT_B = 256 * 1024, SLAB_MIN_WORDS = 8, SLAB_HEADER_B = 32 };

struct slab_segment {
    struct slab_segment *next;
    size_t size_b;
};

void kvt_pool_init(struct kvt_pool *pool, const struct kvt_alloc *alloc, uint32_t record_b,
                   uint32_t shift)
{
    assert(record_b >= sizeof(uint32_t));
    memset(pool, 0, sizeof *pool);
    pool->alloc = alloc;
    pool->record_b = record_b;
    pool->shift = shift;
    pool->free_head = KVT_NONE;
}

static size_t segment_b(const struct kvt_pool *pool)
{
    return (size_t)pool->record_b << pool->shift;
}

void kvt_pool_release(struct kvt_pool *pool)
{
    for (uint32_t i = 0; i < pool->n_segments; i++)
        pool->alloc->put(pool->alloc->self, pool->segments[i], segment_b(pool));
    if (pool->segments)
        pool->alloc->put(pool->alloc->self, pool->segments,
                         pool->room_segments * sizeof *pool->segments);
    pool->segments = NULL;
    pool->n_segments = pool->room_segments = 0;
}

static int add_segment(struct kvt_pool *pool)
{
    if (((uint64_t)pool->n_segments + 1) << pool->shift >= KVT_NONE)
        return -ENOMEM;
    if (pool->n_segments == pool->room_segments) {
        const uint32_t room = pool->room_segments ? pool->room_segments * 2 : 16;
        unsigned char **bigger = pool->alloc->get(pool->alloc->self, room * sizeof *bigger);
        if (!bigger)
            return -ENOMEM;
        if (pool->segments) {
            memcpy(bigger, pool->segments, pool->n_segments * sizeof *bigger);
            pool->alloc->put(pool->alloc->self, pool->segments,
                             pool->room_segments * sizeof *pool->segments);
        }
        pool->segments = bigger;
        pool->room_segments = room;
    }
    unsigned char *segment = pool->alloc->get(pool->alloc->self, segment_b(pool));
    if (!segment)
        return -ENOMEM;
    pool->segments[pool->n_segments++] = segment;
    return 0;
}

static uint64_t spare_records(const struct kvt_pool *pool)
{
    return ((uint64_t)pool->n_segments << pool->shift) - pool->in_use;
}

int kvt_pool_reserve(struct kvt_pool *pool, uint64_t spare)
{
    while (spare_records(pool) < spare) {
        const int error = add_segment(pool);
        if (error)
            return error;
    }
    return 0;
}

uint32_t kvt_pool_take(struct kvt_pool *pool)
{
    uint32_t index = pool->free_head;
    if (index != KVT_NONE) {
        memcpy(&pool->free_head, kvt_pool_at(pool, index), sizeof pool->free_head);
    } else {
        if (pool->fresh >> pool->shift >= pool->n_segments && add_segment(pool))
            return KVT_NONE;
        index = pool->fresh++;
    }
    pool->in_use++;
    return index;
}

void kvt_pool_give(struct kvt_pool *pool, uint32_t index)
{
    assert(index < pool->fresh && pool->in_use > 0);
    memcpy(kvt_pool_at(pool, index), &pool->free_head, sizeof pool->free_head);
    pool->free_head = index;
    pool->in_use--;
}

size_t kvt_pool_memory_b(const struct kvt_pool *pool)
{
    return pool->n_segments * segment_b(pool) + pool->room_segments * sizeof *pool->segments;
}

void kvt_slab_init(struct kvt_slab *slab, const struct kvt_alloc *alloc)
{
    memset(slab, 0, sizeof *slab);
    slab->alloc = alloc;
}

void kvt_slab_release(struct kvt_slab *slab)
{
    struct slab_segment *segment = slab->segments;
    while (segment) {
        struct slab_segment *next = segment->next;
        slab->alloc->put(slab->alloc->self, segment, segment->size_b);
        segment = next;
    }
    slab->segments = NULL;
}

static uint32_t class_of(uint32_t n)
{
    uint32_t c = 0;
    while (((uint64_t)SLAB_MIN_WORDS << c) < n)
        c++;
    return c;
}

/* The rest of the old segment is lost: at most one array of the class that did not fit. */
static void *carve(struct kvt_slab *slab, size_t size_b)
{
    if ((size_t)(slab->end - slab->at) < size_b) {
        const size_t whole_b =
            size_b + SLAB_HEADER_B > SLAB_SEGMENT_B ? size_b + SLAB_HEADER_B : SLAB_SEGMENT_B;
        struct slab_segment *segment = slab->alloc->get(slab->alloc->self, whole_b);
        if (!segment)
            return NULL;
        *segment = (struct slab_segment){.next = slab->segments, .size_b = whole_b};
        slab->segments = segment;
        slab->memory_b += whole_b;
        slab->at = (unsigned char *)segment + SLAB_HEADER_B;
        slab->end = (unsigned char *)segment + whole_b;
    }
    void *memory = slab->at;
    slab->at += size_b;
    return memory;
}

uint32_t *kvt_slab_take(struct kvt_slab *slab, uint32_t n)
{
    const uint32_t c = class_of(n);
    if (c >= KVT_SLAB_CLASSES)
        return NULL;
    void *words = slab->free_lists[c];
    if (words) {
        memcpy(&slab->free_lists[c], words, sizeof(void *));
        return words;
    }
    return carve(slab, ((size_t)SLAB_MIN_WORDS << c) * sizeof(uint32_t));
}

void kvt_slab_give(struct kvt_slab *slab, uint32_t *words, uint32_t n)
{
    if (!words)
        return;
    const uint32_t c = class_of(n);
    memcpy(words, &slab->free_lists[c], sizeof(void *));
    slab->free_lists[c] = words;
}
