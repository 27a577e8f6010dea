/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * ranks.c - see ranks.h.
 */
#include "ranks.h"

#include <errno.h>
#include <string.h>

int kvt_ranks_init(struct kvt_ranks *r, const struct kvt_alloc *alloc)
{
    memset(r, 0, sizeof *r);
    r->queues = alloc->get(alloc->self, KVT_RANKS * sizeof *r->queues);
    if (!r->queues)
        return -ENOMEM;
    for (uint32_t rank = 0; rank < KVT_RANKS; rank++)
        kvt_queue_init(&r->queues[rank]);
    return 0;
}

void kvt_ranks_release(struct kvt_ranks *r, const struct kvt_alloc *alloc)
{
    if (r->queues)
        alloc->put(alloc->self, r->queues, KVT_RANKS * sizeof *r->queues);
    r->queues = NULL;
}

size_t kvt_ranks_memory_b(void)
{
    return KVT_RANKS * sizeof(struct kvt_queue);
}

uint64_t kvt_ranks_walk(const struct kvt_ranks *r, const struct kvt_pool *rows, size_t row_b)
{
    uint64_t n = 0;
    for (uint32_t rank = 0; rank < KVT_RANKS; rank++) {
        const uint64_t here = kvt_queue_walk(&r->queues[rank], rows, row_b, KVT_NONE);
        const bool marked = r->leaves[rank >> 6] >> (rank & 63) & 1;
        if (here == UINT64_MAX || marked != (here > 0))
            return UINT64_MAX;
        n += here;
    }
    for (uint32_t word = 0; word < KVT_RANKS >> 6; word++)
        if ((r->middle[word >> 6] >> (word & 63) & 1) != (r->leaves[word] != 0))
            return UINT64_MAX;
    for (uint32_t word = 0; word < KVT_RANKS >> 12; word++)
        if ((r->root >> word & 1) != (r->middle[word] != 0))
            return UINT64_MAX;
    return n;
}
