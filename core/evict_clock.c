/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_clock.c - CLOCK, or second chance: first in, first out, but whoever was used goes round again.
 *
 * Corbato, "A paging experiment with the Multics system" (1968). A use sets a bit; the hand clears it
 * and passes on. The circle with a hand is kept as a queue: the hand is its oldest end, and to be
 * passed is to join again as the newest. A block comes in with its bit clear, so that one look-up
 * earns no second chance.
 *
 * (K1) After victim, the slot it named is oldest and its bit is clear.
 */
#include "queue.h"

struct row {
    struct kvt_queue_link link;
    uint32_t used;
};

#define LINE_ROW struct row
#include "line.h"

static struct row *row_at(const struct line *l, uint32_t slot)
{
    return KVT_ROW(l->rows, slot, struct row);
}

static void insert(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    row_at(self, slot)->used = 0;
    line_insert(self, slot, item);
}

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    row_at(self, slot)->used = 1;
}

static uint32_t victim(void *self, const struct kvt_evict_item *incoming)
{
    (void)incoming;
    struct line *l = self;
    for (;;) {
        const uint32_t slot = l->queue.oldest;
        if (slot == KVT_NONE || !row_at(l, slot)->used)
            return slot;
        row_at(l, slot)->used = 0;
        line_renew(l, slot);
    }
}

const struct kvt_evict_ops kvt_evict_clock = {
    .name = "clock",
    .source = "Corbato, A paging experiment with the Multics system (1968)",
    .state_b = sizeof(struct line),
    LINE_OPS,
    .insert = insert,
    .hit = hit,
    .victim = victim,
};
