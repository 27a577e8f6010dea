/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evq.c - a 4-ary heap of 16-byte keys, and events in slots that never move.
 *
 * A key is the time, then one word: number of the push (40 bits) over number of the slot (24
 * bits). Keys are unequal, and comparing two of them as 128-bit numbers orders them by (at,
 * seq); the slot rides along. What moves in the heap is keys only:
 *
 *      index     0 | 1  2  3  4 | 5  6  7  8 | 9 ...       children of i: 4i + 1 .. 4i + 4
 *                  ^ 64-byte boundary
 *
 * so the four children of a node are one cache line, and its sixteen grandchildren are four
 * lines in a row, asked for while the children are compared. Keys behind the last one are all
 * ones: a group of four is always whole, and the least of four needs no count (LaMarca and
 * Ladner, The influence of caches on the performance of heaps, JEA 1, 1996).
 *
 * A pop only makes the root hollow. The next push, usually from the event that was just called,
 * goes in at the root: the hole sinks to a leaf along the least children, and the new key rises
 * from there (Wegener, Bottom-up-heapsort, TCS 118, 1993), which is one way down where a pop and
 * a push are two. Without a push in between the last key is taken instead.
 *
 * Invariants:
 *
 *   (Q1) Keys are at [0, count), or at [1, count + 1) when the root is hollow. From there to room they are all ones.
 *   (Q2) No key is less than its parent, but for children of a hollow root.
 *   (Q3) Each key has a slot of its own; the other slots below `fresh` are in the list of unused ones, and pending
 *        events and unused slots together are `fresh`.
 *   (Q4) No key is before `now`.
 */
#include "evq.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { SLOT_BITS = 24, LINE_B = 64 };
#define SLOT_MASK ((UINT64_C(1) << SLOT_BITS) - 1)

__extension__ typedef unsigned __int128 wide;

struct sim_evq_key {
    kvt_ns at;
    uint64_t word;
};

/* An unused slot has the number of the next one in arg. */
struct sim_evq_slot {
    sim_event_fn *fn;
    void *self;
    uint64_t arg;
    uint64_t seq;
};

static const struct sim_evq_key all_ones = {UINT64_MAX, UINT64_MAX};

static inline wide value(const struct sim_evq_key *k)
{
    return (wide)k->at << 64 | k->word;
}

static uint32_t slot_of(const struct sim_evq_key *k)
{
    return (uint32_t)(k->word & SLOT_MASK);
}

void sim_evq_init(struct sim_evq *q, const struct kvt_alloc *alloc)
{
    *q = (struct sim_evq){.unused = KVT_NONE, .alloc = alloc};
}

/* ---- Memory -------------------------------------------------------------------------------------- */

/* Keys for room events and a hollow root, in whole groups. */
static size_t keys_for(uint32_t room)
{
    return 1 + ((size_t)room + 3) / 4 * 4;
}

/* Spare room to put key[1] on the boundary of a line. */
static size_t key_memory_b(uint32_t room)
{
    return LINE_B + keys_for(room) * sizeof(struct sim_evq_key);
}

static size_t slot_memory_b(uint32_t room)
{
    return LINE_B + room * sizeof(struct sim_evq_slot);
}

/* The first address from memory on that is `behind` bytes before a boundary. */
static void *place_in(void *memory, size_t behind)
{
    size_t off = ((uintptr_t)memory + behind) % LINE_B;
    return (char *)memory + (off ? LINE_B - off : 0);
}

static void give_back(struct sim_evq *q)
{
    if (q->room == 0)
        return;
    q->alloc->put(q->alloc->self, q->key_memory, key_memory_b(q->room));
    q->alloc->put(q->alloc->self, q->slot_memory, slot_memory_b(q->room));
}

void sim_evq_release(struct sim_evq *q)
{
    give_back(q);
    *q = (struct sim_evq){.unused = KVT_NONE, .alloc = q->alloc};
}

static int grow_to(struct sim_evq *q, uint32_t room)
{
    const struct kvt_alloc *a = q->alloc;
    void *key_memory = a->get(a->self, key_memory_b(room));
    void *slot_memory = a->get(a->self, slot_memory_b(room));
    if (!key_memory || !slot_memory) {
        a->put(a->self, key_memory, key_memory_b(room));
        a->put(a->self, slot_memory, slot_memory_b(room));
        return -ENOMEM;
    }
    struct sim_evq_key *key = place_in(key_memory, sizeof(*key));
    struct sim_evq_slot *slot = place_in(slot_memory, 0);
    const size_t before = q->room ? keys_for(q->room) : 0;
    if (before) {
        memcpy(key, q->key, before * sizeof(*key));
        memcpy(slot, q->slot, q->fresh * sizeof(*slot));
    }
    for (size_t i = before; i < keys_for(room); i++)
        key[i] = all_ones;
    give_back(q);
    q->key = key;
    q->slot = slot;
    q->key_memory = key_memory;
    q->slot_memory = slot_memory;
    q->room = room;
    return 0;
}

int sim_evq_reserve(struct sim_evq *q, uint32_t n)
{
    if (n > SIM_EVQ_MOST)
        return -ENOMEM;
    return n > q->room ? grow_to(q, n) : 0;
}

static int grow(struct sim_evq *q)
{
    if (q->room >= SIM_EVQ_MOST)
        return -ENOMEM;
    uint32_t room = q->room ? 2 * q->room : 64;
    return grow_to(q, room < SIM_EVQ_MOST ? room : SIM_EVQ_MOST);
}

/* ---- The heap ------------------------------------------------------------------------------------ */

static inline bool less(const struct sim_evq_key *a, const struct sim_evq_key *b)
{
    return value(a) < value(b);
}

/* Index of the least of the four keys from first on. Which one it is is a coin tossed twice, so
 * the comparisons are written to be no branches: two mispredictions in three levels cost more
 * than everything else here. Times decide, and only when two that matter are equal whole keys
 * are compared, which is a branch that is seldom taken. */
static inline size_t least_of_four(const struct sim_evq_key *key, size_t first)
{
    const struct sim_evq_key *k = key + first;
    const kvt_ns t0 = k[0].at, t1 = k[1].at, t2 = k[2].at, t3 = k[3].at;
    const kvt_ns low = t1 < t0 ? t1 : t0, high = t3 < t2 ? t3 : t2;
    size_t a = t1 < t0, b = 2 + (size_t)(t3 < t2);
    if (__builtin_expect((t0 == t1) | (t2 == t3) | (low == high), 0)) {
        a = less(&k[1], &k[0]);
        b = 2 + (size_t)less(&k[3], &k[2]);
        return first + (less(&k[b], &k[a]) ? b : a);
    }
    const size_t mask = 0 - (size_t)(high < low);
    return first + (a ^ ((a ^ b) & mask));
}

/* Of a key that may lie beyond the last one. */
static inline const void *address(const struct sim_evq_key *key, size_t i)
{
    return (const void *)((uintptr_t)key + i * sizeof(*key));
}

static inline void rise(struct sim_evq_key *key, size_t i, struct sim_evq_key k)
{
    while (i > 0) {
        size_t parent = (i - 1) / 4;
        if (value(&key[parent]) < value(&k))
            break;
        key[i] = key[parent];
        i = parent;
    }
    key[i] = k;
}

/* Puts k in at the hollow root, above the keys [1, n). */
static inline void sink(struct sim_evq_key *key, size_t n, struct sim_evq_key k)
{
    size_t i = 0;
    for (size_t child = 1; child < n; child = 4 * i + 1) {
        if (4 * child < n)
            for (size_t line = 0; line < 4; line++)
                __builtin_prefetch(address(key, 4 * (child + line) + 1));
        child = least_of_four(key, child);
        key[i] = key[child];
        i = child;
    }
    rise(key, i, k);
}

static void fill_root(struct sim_evq *q)
{
    struct sim_evq_key last = q->key[q->count];
    q->key[q->count] = all_ones;
    q->hollow = false;
    if (q->count > 0)
        sink(q->key, q->count, last);
}

/* ---- In and out ---------------------------------------------------------------------------------- */

static uint32_t take_slot(struct sim_evq *q)
{
    uint32_t s = q->unused;
    if (s == KVT_NONE)
        return q->fresh++;
    q->unused = (uint32_t)q->slot[s].arg;
    return s;
}

int sim_evq_push(struct sim_evq *q, kvt_ns at, sim_event_fn *fn, void *self, uint64_t arg)
{
    assert(at >= q->now);
    if (at == KVT_NEVER)
        return 0;
    if (q->pushed >= SIM_EVQ_MOST_PUSHES)
        return -EOVERFLOW;
    if (q->count == q->room) {
        int r = grow(q);
        if (r)
            return r;
    }
    uint32_t s = take_slot(q);
    q->slot[s] = (struct sim_evq_slot){.fn = fn, .self = self, .arg = arg, .seq = q->pushed};
    struct sim_evq_key k = {at, q->pushed << SLOT_BITS | s};
    q->pushed++;
    if (q->hollow) {
        q->hollow = false;
        sink(q->key, ++q->count, k);
    } else {
        rise(q->key, q->count++, k);
    }
    return 0;
}

bool sim_evq_pop(struct sim_evq *q, struct sim_event *event)
{
    if (q->hollow)
        fill_root(q);
    if (q->count == 0)
        return false;
    struct sim_evq_key k = q->key[0];
    uint32_t s = slot_of(&k);
    struct sim_evq_slot *slot = &q->slot[s];
    *event = (struct sim_event){
        .at = k.at, .seq = slot->seq, .fn = slot->fn, .self = slot->self, .arg = slot->arg};
    slot->arg = q->unused;
    q->unused = s;
    q->now = k.at;
    q->count--;
    q->hollow = true;
    /* Likely the next event: by then its slot is here. */
    if (q->count > 0)
        __builtin_prefetch(&q->slot[slot_of(&q->key[least_of_four(q->key, 1)])]);
    return true;
}

kvt_ns sim_evq_next(const struct sim_evq *q)
{
    if (q->count == 0)
        return KVT_NEVER;
    return q->key[q->hollow ? least_of_four(q->key, 1) : 0].at;
}

uint64_t sim_evq_run(struct sim_evq *q, kvt_ns until)
{
    uint64_t called = 0;
    struct sim_event e;
    for (; q->count > 0 && sim_evq_next(q) <= until; called++) {
        sim_evq_pop(q, &e);
        e.fn(e.self, e.arg, e.at);
    }
    if (until != KVT_NEVER && until > q->now)
        q->now = until;
    return called;
}

bool sim_evq_check(const struct sim_evq *q)
{
    const size_t first = q->hollow, end = first + q->count;
    const size_t keys = q->room ? keys_for(q->room) : 0;
    uint32_t unused = 0;
    (void)unused;
    for (size_t i = first; i < end; i++) { /* Q2, Q3, Q4 */
        const struct sim_evq_key *k = &q->key[i];
        (void)k;
        assert(k->at >= q->now);
        assert(slot_of(k) < q->fresh);
        assert((q->slot[slot_of(k)].seq << SLOT_BITS | slot_of(k)) == k->word);
        assert(i == 0 || (q->hollow && i <= 4) || value(&q->key[(i - 1) / 4]) < value(k));
    }
    for (size_t i = end; i < keys; i++) /* Q1 */
        assert(value(&q->key[i]) == value(&all_ones));
    for (uint32_t s = q->unused; s != KVT_NONE; s = (uint32_t)q->slot[s].arg) /* Q3 */
        assert(++unused <= q->fresh);
    assert(q->count + unused == q->fresh && q->fresh <= q->room);
    return true;
}
