/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_lru.c - least recently used: a queue in order of last use.
 *
 * The order is that of Mattson, Gecsei, Slutz and Traiger, "Evaluation techniques for storage
 * hierarchies", IBM Systems Journal 9 (1970). It is a stack algorithm: what a small cache holds, a
 * larger one holds too.
 *
 * With the victim's parents parked until nothing stands behind them, this is what paged engines do:
 * leaves leave in order of last use.
 */
#define LINE_ROW struct kvt_queue_link
#include "line.h"

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)item;
    line_renew(self, slot);
}

static void touch(const void *self, uint32_t slot)
{
    const struct line *l = self;
    kvt_queue_touch(l->rows, LINE_ROW_B, slot);
}

const struct kvt_evict_ops kvt_evict_lru = {
    .name = "lru",
    .source = "Mattson, Gecsei, Slutz, Traiger, IBM Systems Journal 9 (1970)",
    .state_b = sizeof(struct line),
    LINE_OPS,
    .insert = line_insert,
    .hit = hit,
    .victim = line_oldest,
    .touch = touch,
};
