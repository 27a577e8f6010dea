/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evq.c - see evq.h. A 4-ary heap of 16-byte keys; what an event carries lies apart, by slot.
 *
 *      key   | at (8 B) | sequence (40 bits) , slot (24 bits) |
 *
 * A key is compared as one 128-bit number: time, then sequence (the slot never decides, sequences differ). The four
 * children of a key, 4 i + 1 .. 4 i + 4, fill exactly one cache line, because the heap begins 16 bytes before the end
 * of one: a level of the heap costs one line, and a million events have ten levels.
 *
 * Taking the first out moves the hole down to a leaf along the smallest children without looking at the last key, which
 * nearly always belongs near the bottom, and then lets that key rise (Wegener's bottom-up heapsort). The smallest of
 * four is found without branches; they would be guessed wrong half of the time.
 */
#include "evq.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_B = 64, BEFORE = 3, SLOT_BITS = 24, FIRST_ROOM = 256 };

#define SLOT_MASK ((UINT64_C(1) << SLOT_BITS) - 1)

void sim_evq_init(struct sim_evq *q)
{
    memset(q, 0, sizeof *q);
}

void sim_evq_release(struct sim_evq *q)
{
    free(q->memory);
    free(q->payload);
    free(q->free_slots);
    memset(q, 0, sizeof *q);
}

int sim_evq_reserve(struct sim_evq *q, uint32_t n)
{
    if (n <= q->room)
        return 0;
    if (n > SLOT_MASK)
        return -E2BIG;
    uint64_t room = q->room ? q->room : FIRST_ROOM;
    while (room < n)
        room *= 2;
    if (room > SLOT_MASK)
        room = SLOT_MASK;
    /* Each array is replaced only when its own growing went well: what is there stays usable. */
    struct sim_evq_payload *payload = realloc(q->payload, room * sizeof *payload);
    if (!payload)
        return -ENOMEM;
    q->payload = payload;
    uint32_t *slots = realloc(q->free_slots, room * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    q->free_slots = slots;
    const size_t bytes = (room + BEFORE + 4) * sizeof(struct sim_evq_key);
    void *memory = aligned_alloc(LINE_B, (bytes + LINE_B - 1) / LINE_B * LINE_B);
    if (!memory)
        return -ENOMEM;
    struct sim_evq_key *heap = (struct sim_evq_key *)memory + BEFORE;
    if (q->n)
        memcpy(heap, q->heap, q->n * sizeof *heap);
    free(q->memory);
    q->memory = memory;
    q->heap = heap;
    q->room = (uint32_t)room;
    return 0;
}

__extension__ typedef unsigned __int128 wide;

static inline wide whole(struct sim_evq_key k)
{
    return (wide)k.at << 64 | k.order;
}

static inline bool before(struct sim_evq_key a, struct sim_evq_key b)
{
    return whole(a) < whole(b);
}

/* Lets k rise from the hole at i. */
static inline void rise(struct sim_evq_key *heap, uint32_t i, struct sim_evq_key k)
{
    while (i) {
        const uint32_t parent = (i - 1) / 4;
        if (!before(k, heap[parent]))
            break;
        heap[i] = heap[parent];
        i = parent;
    }
    heap[i] = k;
}

int sim_evq_push(struct sim_evq *q, kvt_ns at, sim_event_fn *fn, void *self, uint64_t arg)
{
    assert(at >= q->now); /* (E1) */
    if (q->n == q->room) {
        const int error = sim_evq_reserve(q, q->n + 1);
        if (error)
            return error;
    }
    const uint32_t slot = q->n_free ? q->free_slots[--q->n_free] : q->fresh++;
    q->payload[slot] = (struct sim_evq_payload){fn, self, arg};
    rise(q->heap, q->n++, (struct sim_evq_key){at, q->sequence++ << SLOT_BITS | slot});
    return 0;
}

/* Moves the hole at the root down to a leaf; returns where it ended. Only whole families of four are compared without
 * branches; the last family may be smaller. */
static inline uint32_t sink_hole(struct sim_evq_key *heap, uint32_t n)
{
    uint32_t i = 0;
    for (;;) {
        const uint32_t first = 4 * i + 1;
        if (first + 4 > n)
            break;
        /* the family after next is one of 16 lines; the nearest four are worth a guess */
        __builtin_prefetch(&heap[4 * first + 1]);
        __builtin_prefetch(&heap[4 * first + 5]);
        __builtin_prefetch(&heap[4 * first + 9]);
        __builtin_prefetch(&heap[4 * first + 13]);
        const uint32_t a = first + before(heap[first + 1], heap[first]);
        const uint32_t b = first + 2 + before(heap[first + 3], heap[first + 2]);
        const uint32_t least = before(heap[b], heap[a]) ? b : a;
        heap[i] = heap[least];
        i = least;
    }
    const uint32_t first = 4 * i + 1;
    if (first < n) {
        uint32_t least = first;
        for (uint32_t c = first + 1; c < n; c++)
            if (before(heap[c], heap[least]))
                least = c;
        heap[i] = heap[least];
        i = least;
    }
    return i;
}

bool sim_evq_pop(struct sim_evq *q, struct sim_event *event)
{
    if (!q->n)
        return false;
    const struct sim_evq_key first = q->heap[0];
    const uint32_t slot = (uint32_t)(first.order & SLOT_MASK);
    const struct sim_evq_payload *p = &q->payload[slot];
    __builtin_prefetch(p);
    const struct sim_evq_key last = q->heap[--q->n];
    if (q->n)
        rise(q->heap, sink_hole(q->heap, q->n), last);
    q->free_slots[q->n_free++] = slot;
    q->now = first.at;
    *event = (struct sim_event){first.at, p->fn, p->self, p->arg};
    return true;
}

uint64_t sim_evq_run(struct sim_evq *q, kvt_ns until)
{
    uint64_t n = 0;
    struct sim_event e;
    while (q->n && q->heap[0].at <= until && sim_evq_pop(q, &e)) {
        e.fn(e.self, e.arg, e.at);
        n++;
    }
    return n;
}

bool sim_evq_check(const struct sim_evq *q)
{
    for (uint32_t i = 1; i < q->n; i++)
        if (!before(q->heap[(i - 1) / 4], q->heap[i]))
            return false;
    if (q->n && q->heap[0].at < q->now)
        return false;
    /* Slots: each below fresh is either waiting in the heap or free, and none is both. */
    uint64_t in_heap = 0, freed = 0, all = 0;
    for (uint32_t i = 0; i < q->n; i++)
        in_heap += (q->heap[i].order & SLOT_MASK) + 1;
    for (uint32_t i = 0; i < q->n_free; i++)
        freed += (uint64_t)q->free_slots[i] + 1;
    for (uint32_t i = 0; i < q->fresh; i++)
        all += (uint64_t)i + 1;
    return q->n + q->n_free == q->fresh && in_heap + freed == all;
}
