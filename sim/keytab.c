/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * keytab.c - dense records behind a linear-probing hash table; see keytab.h.
 *
 * A key's home slot is the upper half of hash * n_slots, so the table need not be a power of two.
 *
 * Invariants:
 *   (K1) Between the home slot of a record and the slot that names it, no slot is empty.
 *   (K2) Each record is named by exactly one slot.
 *   (K3) count <= 5/8 of n_slots: most looks are for keys that are not there, and each slot passed is a record read. At
 *        5/8 that is 4 on average, at 7/8 it would be 32.
 */
#include "keytab.h"

#include <assert.h>
#include <string.h>

#include "../core/mix.h"

enum { FIRST_SLOTS = 64 };

static uint32_t home_of(kvt_key key, uint32_t n_slots)
{
    /* hi may be the same for all keys of a trace, and lo a small number mixed: fold, then mix again. */
    uint64_t hash = kvt_mix64(key.lo ^ (key.hi << 32 | key.hi >> 32));
    return (uint32_t)(((hash >> 32) * n_slots) >> 32);
}

void sim_keytab_init(struct sim_keytab *table, const struct kvt_alloc *alloc)
{
    *table = (struct sim_keytab){.alloc = alloc};
}

void sim_keytab_release(struct sim_keytab *table)
{
    const struct kvt_alloc *a = table->alloc;
    for (uint32_t i = 0; i < table->n_segments; i++)
        a->put(a->self, table->segments[i], SIM_KEYTAB_SEGMENT * sizeof(struct sim_key));
    a->put(a->self, table->segments, table->room_segments * sizeof(struct sim_key *));
    a->put(a->self, table->slots, table->n_slots * sizeof(*table->slots));
    sim_keytab_init(table, a);
}

void sim_keytab_clear(struct sim_keytab *table)
{
    table->count = 0;
    if (table->slots)
        memset(table->slots, 0xff, table->n_slots * sizeof(*table->slots));
}

/* The slot that names the record with that key; n_slots when there is none. */
static uint32_t slot_of(const struct sim_keytab *table, kvt_key key)
{
    if (table->count == 0)
        return table->n_slots;
    uint32_t slot = home_of(key, table->n_slots);
    for (;;) {
        uint32_t number = table->slots[slot];
        if (number == KVT_NONE)
            return table->n_slots;
        if (kvt_key_equal(sim_keytab_at(table, number)->key, key))
            return slot;
        if (++slot == table->n_slots)
            slot = 0;
    }
}

uint32_t sim_keytab_find(const struct sim_keytab *table, kvt_key key)
{
    uint32_t slot = slot_of(table, key);
    return slot == table->n_slots ? KVT_NONE : table->slots[slot];
}

/* The slot that names a record which is there: no other record has to be looked at. */
static uint32_t slot_naming(const struct sim_keytab *table, uint32_t number)
{
    uint32_t slot = home_of(sim_keytab_at(table, number)->key, table->n_slots);
    while (table->slots[slot] != number)
        if (++slot == table->n_slots)
            slot = 0;
    return slot;
}

static void name(uint32_t *slots, uint32_t n_slots, kvt_key key, uint32_t number)
{
    uint32_t slot = home_of(key, n_slots);
    while (slots[slot] != KVT_NONE)
        if (++slot == n_slots)
            slot = 0;
    slots[slot] = number;
}

static bool grow_slots(struct sim_keytab *table)
{
    const struct kvt_alloc *a = table->alloc;
    if (table->n_slots > UINT32_MAX / 2)
        return false;
    uint32_t n = table->n_slots ? table->n_slots * 2 : FIRST_SLOTS;
    uint32_t *slots = a->get(a->self, n * sizeof(*slots));
    if (!slots)
        return false;
    memset(slots, 0xff, n * sizeof(*slots));
    for (uint32_t i = 0; i < table->count; i++)
        name(slots, n, sim_keytab_at(table, i)->key, i);
    a->put(a->self, table->slots, table->n_slots * sizeof(*slots));
    table->slots = slots;
    table->n_slots = n;
    return true;
}

static bool grow_segments(struct sim_keytab *table)
{
    const struct kvt_alloc *a = table->alloc;
    if (table->n_segments == table->room_segments) {
        uint32_t room = table->room_segments ? table->room_segments * 2 : 8;
        struct sim_key **segments = a->get(a->self, room * sizeof(struct sim_key *));
        if (!segments)
            return false;
        if (table->n_segments)
            memcpy(segments, table->segments, table->n_segments * sizeof(struct sim_key *));
        a->put(a->self, table->segments, table->room_segments * sizeof(struct sim_key *));
        table->segments = segments;
        table->room_segments = room;
    }
    struct sim_key *segment = a->get(a->self, SIM_KEYTAB_SEGMENT * sizeof(*segment));
    if (!segment)
        return false;
    table->segments[table->n_segments++] = segment;
    return true;
}

bool sim_keytab_add(struct sim_keytab *table, kvt_key key)
{
    assert(sim_keytab_find(table, key) == KVT_NONE);
    if ((uint64_t)table->count + 1 > (uint64_t)table->n_slots * 5 / 8 && !grow_slots(table))
        return false;
    if (table->count == table->n_segments * SIM_KEYTAB_SEGMENT && !grow_segments(table))
        return false;
    uint32_t number = table->count++;
    sim_keytab_at(table, number)->key = key;
    name(table->slots, table->n_slots, key, number);
    return true;
}

/* Empties a slot and moves later ones of its run back, so that (K1) holds. */
static void empty_slot(struct sim_keytab *table, uint32_t hole)
{
    const uint32_t n = table->n_slots;
    uint32_t slot = hole;
    for (;;) {
        if (++slot == n)
            slot = 0;
        uint32_t number = table->slots[slot];
        if (number == KVT_NONE)
            break;
        uint32_t home = home_of(sim_keytab_at(table, number)->key, n);
        /* It may move to the hole if its home is not between the hole (excluded) and itself. */
        uint32_t from_home = slot >= home ? slot - home : slot + (n - home);
        uint32_t from_hole = slot >= hole ? slot - hole : slot + (n - hole);
        if (from_home >= from_hole) {
            table->slots[hole] = number;
            hole = slot;
        }
    }
    table->slots[hole] = KVT_NONE;
}

void sim_keytab_remove(struct sim_keytab *table, uint32_t number)
{
    assert(number < table->count);
    const uint32_t last = table->count - 1;
    empty_slot(table, slot_naming(table, number));
    if (number != last) {
        table->slots[slot_naming(table, last)] = number;
        *sim_keytab_at(table, number) = *sim_keytab_at(table, last);
    }
    table->count = last;
}

size_t sim_keytab_memory_b(const struct sim_keytab *table)
{
    return (size_t)table->n_segments * SIM_KEYTAB_SEGMENT * sizeof(struct sim_key) +
           table->room_segments * sizeof(struct sim_key *) + table->n_slots * sizeof(*table->slots);
}
