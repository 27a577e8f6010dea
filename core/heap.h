/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * heap.h - residents by a 64-bit key, smallest first: a heap of four children to a node.
 *
 * The key lies in the heap beside the slot, so that sifting reads no rows; four children of 16 bytes
 * are one cache line (LaMarca and Ladner, "The influence of caches on the performance of heaps", 1996).
 * Of equal keys the one with the smaller tie goes first, where ties are numbers of a sequence that
 * may wrap: they compare right as long as the residents' lie within 2^31 of each other.
 *
 * A row that may be in the heap begins with its place there; KVT_NONE says that it is not (parked).
 *
 *   (H1) No entry is smaller than its parent.
 *   (H2) entries[row.place].slot is the row's slot.
 *
 * Room is reserved beforehand; nothing here allocates otherwise.
 */
#ifndef KVT_HEAP_H
#define KVT_HEAP_H

#include "evict.h"

struct kvt_heap_entry {
    uint64_t key;
    uint32_t tie, slot;
};

/* The root is entry 3, the children of i are 4(i - 2) .. 4(i - 2) + 3. */
enum { KVT_HEAP_ROOT = 3 };

struct kvt_heap {
    /* private: */
    const struct kvt_alloc *alloc;
    struct kvt_pool *rows;
    struct kvt_heap_entry *entries; /* aligned to a line */
    void *memory;
    size_t memory_b;
    uint32_t end, room; /* entries KVT_HEAP_ROOT .. end - 1 are in use, of room */
};

void kvt_heap_init(struct kvt_heap *h, const struct kvt_alloc *alloc, struct kvt_pool *rows);
void kvt_heap_release(struct kvt_heap *h);

/* Room for n in all; grows at least by half. 0 or -ENOMEM (unchanged). */
KVT_MUST_CHECK int kvt_heap_reserve(struct kvt_heap *h, uint64_t n);

/* For the table of a policy whose state begins with its heap (evict.h). */
int kvt_heap_state_init(void *state, const struct kvt_evict_config *config);
void kvt_heap_state_release(void *state);
int kvt_heap_state_reserve(void *state, uint64_t residents);
size_t kvt_heap_state_memory_b(const void *state);

/* How many entries; UINT64_MAX when (H1) or (H2) does not hold. */
uint64_t kvt_heap_walk(const struct kvt_heap *h, size_t row_b);

static inline uint32_t *kvt_heap_place(const struct kvt_heap *h, size_t row_b, uint32_t slot)
{
    return (uint32_t *)kvt_pool_at_known(h->rows, slot, KVT_ROWS_SHIFT, row_b);
}

static inline bool kvt_heap_before(struct kvt_heap_entry a, struct kvt_heap_entry b)
{
    return a.key < b.key || (a.key == b.key && (int32_t)(a.tie - b.tie) < 0);
}

/* The smallest, or NULL when empty. */
static inline const struct kvt_heap_entry *kvt_heap_top(const struct kvt_heap *h)
{
    return h->end > KVT_HEAP_ROOT ? &h->entries[KVT_HEAP_ROOT] : NULL;
}

static inline void kvt_heap_set(struct kvt_heap *h, size_t row_b, uint32_t at,
                                struct kvt_heap_entry entry)
{
    h->entries[at] = entry;
    *kvt_heap_place(h, row_b, entry.slot) = at;
}

/* entry goes to `at` or above. */
static inline void kvt_heap_up(struct kvt_heap *h, size_t row_b, uint32_t at,
                               struct kvt_heap_entry entry)
{
    while (at > KVT_HEAP_ROOT) {
        const uint32_t parent = at / 4 + 2;
        if (!kvt_heap_before(entry, h->entries[parent]))
            break;
        kvt_heap_set(h, row_b, at, h->entries[parent]);
        at = parent;
    }
    kvt_heap_set(h, row_b, at, entry);
}

/* entry goes to `at` or below. */
static inline void kvt_heap_down(struct kvt_heap *h, size_t row_b, uint32_t at,
                                 struct kvt_heap_entry entry)
{
    for (;;) {
        const uint64_t first = 4 * ((uint64_t)at - 2);
        if (first >= h->end)
            break;
        const uint32_t end = first + 4 < h->end ? (uint32_t)first + 4 : h->end;
        uint32_t least = (uint32_t)first;
        for (uint32_t child = least + 1; child < end; child++)
            if (kvt_heap_before(h->entries[child], h->entries[least]))
                least = child;
        if (!kvt_heap_before(h->entries[least], entry))
            break;
        kvt_heap_set(h, row_b, at, h->entries[least]);
        at = least;
    }
    kvt_heap_set(h, row_b, at, entry);
}

static inline void kvt_heap_push(struct kvt_heap *h, size_t row_b, uint32_t slot, uint64_t key,
                                 uint32_t tie)
{
    kvt_heap_up(h, row_b, h->end++, (struct kvt_heap_entry){key, tie, slot});
}

/* A slot that is in the heap gets another key. */
static inline void kvt_heap_change(struct kvt_heap *h, size_t row_b, uint32_t slot, uint64_t key,
                                   uint32_t tie)
{
    const uint32_t at = *kvt_heap_place(h, row_b, slot);
    const struct kvt_heap_entry entry = {key, tie, slot};
    if (kvt_heap_before(entry, h->entries[at]))
        kvt_heap_up(h, row_b, at, entry);
    else
        kvt_heap_down(h, row_b, at, entry);
}

/* A slot that is in the heap leaves it. */
static inline void kvt_heap_remove(struct kvt_heap *h, size_t row_b, uint32_t slot)
{
    uint32_t *place = kvt_heap_place(h, row_b, slot);
    const uint32_t at = *place;
    *place = KVT_NONE;
    const struct kvt_heap_entry last = h->entries[--h->end];
    if (at == h->end)
        return;
    if (kvt_heap_before(last, h->entries[at]))
        kvt_heap_up(h, row_b, at, last);
    else
        kvt_heap_down(h, row_b, at, last);
}

static inline bool kvt_heap_is_out(const struct kvt_heap *h, size_t row_b, uint32_t slot)
{
    return *kvt_heap_place(h, row_b, slot) == KVT_NONE;
}

#endif
