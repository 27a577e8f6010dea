/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sketch.h - how often was this id looked up lately, in about two bytes per id.
 *
 * TinyLFU's (Einziger, Friedman and Manes, ACM Transactions on Storage 13 (2017)): a count-min sketch
 * (Cormode and Muthukrishnan, 2005) of four-bit counters that only raises the smallest of an id's
 * counters, behind a Bloom filter, the *doorkeeper*, which keeps ids that come once out of it. After
 * a sample of ten times the capacity all counters are halved and the doorkeeper is emptied, so that
 * the past fades.
 *
 * All of an id lies in one cache line, which its hash picks:
 *
 *      | 4 rows of 24 counters of 4 bits (48 B) | doorkeeper, 128 bits (16 B) |
 *
 * with one counter per row and two bits of the doorkeeper. There is a line for every four blocks of
 * capacity, 16 bytes per block.
 */
#ifndef KVT_SKETCH_H
#define KVT_SKETCH_H

#include "alloc.h"
#include "mix.h"

enum {
    KVT_SKETCH_ROWS = 4,
    KVT_SKETCH_COLUMNS = 24,
    KVT_SKETCH_MOST = 15,
    KVT_SKETCH_SAMPLE = 10 /* times the capacity */
};

struct kvt_sketch_line {
    uint8_t counters[KVT_SKETCH_ROWS][KVT_SKETCH_COLUMNS / 2];
    uint64_t door[2];
};

struct kvt_sketch {
    /* private: */
    const struct kvt_alloc *alloc;
    struct kvt_sketch_line *lines; /* aligned to a line */
    void *memory;
    size_t memory_b;
    uint64_t n_lines;
    uint64_t added, sample;
};

/* For a cache of that capacity. 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_sketch_init(struct kvt_sketch *k, const struct kvt_alloc *alloc,
                                   uint64_t capacity);
void kvt_sketch_release(struct kvt_sketch *k);

/* What the sketch goes by: 32 bits of an id, so that a policy can keep them per slot. */
static inline uint32_t kvt_sketch_hash(uint64_t id)
{
    return (uint32_t)(kvt_mix64(id) >> 32);
}

void kvt_sketch_add(struct kvt_sketch *k, uint32_t hash);

/* 0 .. 16; never too low for the present sample, but for counters that stop at 15. */
uint32_t kvt_sketch_estimate(const struct kvt_sketch *k, uint32_t hash);

static inline struct kvt_sketch_line *kvt_sketch_line(const struct kvt_sketch *k, uint32_t hash)
{
    return &k->lines[(uint64_t)hash * k->n_lines >> 32];
}

static inline void kvt_sketch_prefetch(const struct kvt_sketch *k, uint32_t hash)
{
    __builtin_prefetch(kvt_sketch_line(k, hash), 1);
}

#endif
