/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * evict_fifo.c - first in, first out: a queue in order of arrival, which use does not change.
 *
 * The least a cache can do, and the yardstick of Belady, "A study of replacement algorithms for a
 * virtual-storage computer", IBM Systems Journal 5 (1966). A hit writes nothing. Not a stack
 * algorithm: a larger cache may miss more (Belady, Nelson and Shedler, CACM 12 (1969)).
 */
#define LINE_ROW struct kvt_queue_link
#include "line.h"

static void hit(void *self, uint32_t slot, const struct kvt_evict_item *item)
{
    (void)self;
    (void)slot;
    (void)item;
}

const struct kvt_evict_ops kvt_evict_fifo = {
    .name = "fifo",
    .source = "Belady, IBM Systems Journal 5 (1966)",
    .state_b = sizeof(struct line),
    LINE_OPS,
    .insert = line_insert,
    .hit = hit,
    .victim = line_oldest,
};
