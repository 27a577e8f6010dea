/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_look.c - where a sharded engine's blocks lie, for worlds that have memory behind the pages.
 *
 * Of a block that is cached there are two places to know: the GPU of each shard, which is the row of its copy
 * (shard_book.h), and, while a request computes with a gathered context, the request's own pages: as many as it has
 * blocks, in chain order, behind those for sliding windows (admit.c). Nothing here changes anything.
 */
#include "internal.h"

bool kvt_core_shards(const struct kvt_core *core, kvt_op_id id, uint32_t i,
                     struct kvt_block_shards *shards)
{
    const struct op *op = op_at(core, id.v);
    if (!core->room.books || (op->kind != OP_LOAD && op->kind != OP_STORE) || i >= op->n)
        return false;
    const struct kvt_shard_book *book = book_of(core, op->engine);
    const uint8_t *row = kvt_book_row(book, op->gpu[i]);
    /* The same copy of each shard is read. Not so where some are not there (shard_mask.h) or were lost with a GPU
     * (recopy.c): the real world refuses the one, and none of its GPUs fails. */
    assert(!book->mask_b && !kvt_book_any_mark(book, row));
    *shards = (struct kvt_block_shards){.row = row, .copy = op->copy};
    return true;
}

/* The page `skip` places behind the first one of a run. */
static uint32_t page_of(const struct kvt_pager *pager, const struct kvt_page_run *run,
                        uint64_t skip)
{
    uint32_t page = run->n ? run->first : KVT_NONE;
    for (; skip && page != KVT_NONE; skip--)
        page = kvt_pager_next(pager, page);
    return page;
}

uint32_t kvt_core_gather_pages(const struct kvt_core *core, kvt_op_id id, uint32_t *pages,
                               uint32_t n)
{
    const struct op *op = op_at(core, id.v);
    if (op->req == KVT_NONE || op->kind != OP_LOAD || op->tier != KVT_GPU)
        return 0;
    const struct kvt_pager *pager = &gpu_place(core, op->engine)->pager;
    const uint32_t all = op->n * core->room.pages_per_block;
    uint32_t page = page_of(pager, &req_at(core, op->req)->fixed, core->config.pages_per_request);
    uint32_t got = 0;
    for (; got < all && got < n && page != KVT_NONE; page = kvt_pager_next(pager, page))
        pages[got++] = page;
    return got;
}

uint32_t kvt_sharded_own_page(const struct kvt_core *core, const struct req *q, uint32_t i)
{
    return page_of(&gpu_place(core, q->engine)->pager, &q->fixed,
                   core->config.pages_per_request + (uint64_t)i * core->room.pages_per_block);
}
