/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * keytab.h - the key table of a simulated Redis node.
 *
 * Records lie densely in fixed segments, so that a number below `count` drawn at random is a key
 * drawn at random; a hash table of 32-bit record numbers leads from key to record. It is open
 * addressing with linear probing and deletion by shifting back (Knuth, TAOCP 3, 6.4, algorithm
 * R), at most 5/8 full. Taking a record away moves the last record into its place.
 *
 * 32 bytes a record, 6.4 to 12.8 bytes of hash table, and at most one segment of slack.
 */
#ifndef SIM_KEYTAB_H
#define SIM_KEYTAB_H

#include "../core/alloc.h"

/* Records per segment. */
#define SIM_KEYTAB_SEGMENT 1024u

/* Sizes of values stay below this. */
#define SIM_KEYTAB_VALUE_LIMIT_B ((uint64_t)1 << 40)

struct sim_key {
    kvt_key key;
    uint64_t value_b : 40;
    uint64_t clock : 24; /* LRU clock at the last use */
    kvt_ns expire_ns;
};

struct sim_keytab {
    uint32_t count; /* records are 0 .. count - 1 */
    /* private: */
    const struct kvt_alloc *alloc;
    struct sim_key **segments;
    uint32_t n_segments, room_segments;
    uint32_t *slots; /* record number, or KVT_NONE */
    uint32_t n_slots;
};

void sim_keytab_init(struct sim_keytab *table, const struct kvt_alloc *alloc);
void sim_keytab_release(struct sim_keytab *table);

/* Forgets every key, keeps the memory. */
void sim_keytab_clear(struct sim_keytab *table);

/* The number of the record with that key, or KVT_NONE. */
uint32_t sim_keytab_find(const struct sim_keytab *table, kvt_key key);

/* Adds a record for a key that is not there, all but its key undefined. Its number is the old
 * count. False when memory is out: nothing changed. */
KVT_MUST_CHECK bool sim_keytab_add(struct sim_keytab *table, kvt_key key);

/* Takes away record `number`. The last record gets its number. */
void sim_keytab_remove(struct sim_keytab *table, uint32_t number);

size_t sim_keytab_memory_b(const struct sim_keytab *table);

static inline struct sim_key *sim_keytab_at(const struct sim_keytab *table, uint32_t number)
{
    return &table->segments[number / SIM_KEYTAB_SEGMENT][number % SIM_KEYTAB_SEGMENT];
}

#endif
