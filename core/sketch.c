/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sketch.c - see sketch.h.
 *
 * The line takes the upper bits of the hash. What picks counters and bits inside it is the hash mixed
 * once more: a byte per row, and two times seven bits.
 */
#include "sketch.h"

#include <errno.h>
#include <string.h>

enum { LINE_B = 64, BLOCKS_PER_LINE = 4 };

_Static_assert(sizeof(struct kvt_sketch_line) == LINE_B, "an id's counters are one cache line");

int kvt_sketch_init(struct kvt_sketch *k, const struct kvt_alloc *alloc, uint64_t capacity)
{
    memset(k, 0, sizeof *k);
    if (capacity > UINT32_MAX) /* an infinite cache never asks; a line is picked by 32 bits */
        capacity = capacity == UINT64_MAX ? 1 : UINT32_MAX;
    k->alloc = alloc;
    k->n_lines = (capacity + BLOCKS_PER_LINE - 1) / BLOCKS_PER_LINE;
    k->sample = capacity * KVT_SKETCH_SAMPLE;
    k->memory_b = k->n_lines * LINE_B + LINE_B;
    k->memory = alloc->get(alloc->self, k->memory_b);
    if (!k->memory)
        return -ENOMEM;
    memset(k->memory, 0, k->memory_b);
    k->lines = (void *)((unsigned char *)k->memory + (-(uintptr_t)k->memory & (LINE_B - 1)));
    return 0;
}

void kvt_sketch_release(struct kvt_sketch *k)
{
    if (k->memory)
        k->alloc->put(k->alloc->self, k->memory, k->memory_b);
    k->memory = NULL;
}

static uint64_t inner(uint32_t hash)
{
    return kvt_mix64(hash + UINT64_C(0x9e3779b97f4a7c15));
}

static uint32_t column(uint64_t bits, uint32_t row)
{
    return (uint32_t)((bits >> row * 8 & 0xff) * KVT_SKETCH_COLUMNS >> 8);
}

static uint32_t counter(const struct kvt_sketch_line *line, uint32_t row, uint32_t col)
{
    return ((uint32_t)line->counters[row][col / 2] >> col % 2 * 4) & 15u;
}

static uint32_t least(const struct kvt_sketch_line *line, uint64_t bits)
{
    uint32_t m = KVT_SKETCH_MOST;
    for (uint32_t row = 0; row < KVT_SKETCH_ROWS; row++) {
        const uint32_t c = counter(line, row, column(bits, row));
        m = c < m ? c : m;
    }
    return m;
}

/* An id's two bits of the doorkeeper. */
static void door_bits(uint64_t bits, uint64_t mask[2])
{
    const uint32_t a = bits >> 32 & 127, b = bits >> 40 & 127;
    mask[0] = mask[1] = 0;
    mask[a >> 6] |= UINT64_C(1) << (a & 63);
    mask[b >> 6] |= UINT64_C(1) << (b & 63);
}

static bool at_door(const struct kvt_sketch_line *line, const uint64_t mask[2])
{
    return (line->door[0] & mask[0]) == mask[0] && (line->door[1] & mask[1]) == mask[1];
}

static void fade(struct kvt_sketch *k)
{
    for (uint64_t i = 0; i < k->n_lines; i++) {
        struct kvt_sketch_line *line = &k->lines[i];
        uint64_t words[sizeof line->counters / 8];
        memcpy(words, line->counters, sizeof words);
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            words[w] = words[w] >> 1 & UINT64_C(0x7777777777777777);
        memcpy(line->counters, words, sizeof words);
        line->door[0] = line->door[1] = 0;
    }
    k->added /= 2;
}

void kvt_sketch_add(struct kvt_sketch *k, uint32_t hash)
{
    struct kvt_sketch_line *line = kvt_sketch_line(k, hash);
    const uint64_t bits = inner(hash);
    uint64_t mask[2];
    door_bits(bits, mask);
    if (!at_door(line, mask)) {
        line->door[0] |= mask[0];
        line->door[1] |= mask[1];
    } else {
        const uint32_t m = least(line, bits);
        for (uint32_t row = 0; row < KVT_SKETCH_ROWS && m < KVT_SKETCH_MOST; row++) {
            const uint32_t col = column(bits, row);
            if (counter(line, row, col) == m)
                line->counters[row][col / 2] =
                    (uint8_t)(line->counters[row][col / 2] + (1u << col % 2 * 4));
        }
    }
    if (++k->added >= k->sample)
        fade(k);
}

uint32_t kvt_sketch_estimate(const struct kvt_sketch *k, uint32_t hash)
{
    const struct kvt_sketch_line *line = kvt_sketch_line(k, hash);
    const uint64_t bits = inner(hash);
    uint64_t mask[2];
    door_bits(bits, mask);
    return least(line, bits) + (at_door(line, mask) ? 1 : 0);
}
