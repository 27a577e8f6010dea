/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * world_peer.c - the peer tier: pages of one engine's pools to pages of another's.
 *
 *      pages of `from` ---- device.peer, shard by shard ----> pages of the engine      [ on a worker ]
 *                                                               | download, with verify
 *                                                               v
 *                                                             compared like any loaded piece (world_task.c)
 *
 * Both engines are served by this process, and shard s of one reads shard s of the other: the pools have one
 * geometry, so nothing is coded or staged. How the bytes travel is the device's: a copy in main memory, or a DMA
 * between GPUs. Core keeps the pages that are read pinned until the operation ends (P6), so nobody writes them.
 * What arrived is downloaded from the reader's pages before that, when it is to be verified.
 */
#include "world_impl.h"

/* On a worker. */
void be_peer_copy(struct task *t)
{
    struct be_world *w = t->world;
    const struct be_device_ops *ops = w->device.ops;
    const struct be_piece piece = be_task_piece(t);
    const struct k_part to = be_task_part(t, &piece);
    struct k_part from = to;
    from.pages = &t->op->from_pages[(size_t)t->block * w->pages_per_block];
    const uint32_t to_pool = be_task_pool(t, piece.shard);
    const uint32_t from_pool = t->op->from * w->config.gpus_per_engine + piece.shard;
    int rc = ops->peer(w->device.self, from_pool, &from, to_pool, to.pages);
    t->copy_ns = be_clock(w);
    t->value_b = k_packed_b(&w->config.geometry, piece.layers, piece.tokens);
    if (rc == 0 && w->config.verify)
        rc = ops->download(w->device.self, to_pool, &to, t->value);
    t->payload = t->value;
    if (rc != 0)
        t->status = KVT_DOWN;
}
