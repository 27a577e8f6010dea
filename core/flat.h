/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * flat.h - a flat cache: every block is a request of its own, of size 1, hit or miss by itself.
 *
 * This is what cache simulators compute and what published miss ratios mean. It knows no chains: a
 * block behind a hole hits here, though no engine could use it. Its policies are those of the tiers
 * (evict.h), so a miss ratio that agrees here with the literature speaks for them too.
 *
 * Look-ups come in batches. The table of a batch's blocks is fetched ahead, so that their cache
 * misses overlap; the results are those of one look-up after the other.
 *
 *   (F1) At most capacity blocks are resident. A miss inserts, after evicting one block if full;
 *        where the policy refuses to evict, the block is not kept. Where the incoming block competes
 *        (evict.h), it is inserted first and may itself be the one that goes.
 *
 * All memory is taken when the cache is made, for its whole capacity: 37 bytes a block and up. Who
 * knows how many distinct blocks will come asks for no more than that; the results are the same.
 */
#ifndef KVT_FLAT_H
#define KVT_FLAT_H

#include "evict.h"

struct kvt_flat;

/* evict: capacity and parameters; its rows are ignored, its alloc is borrowed for life. Returns NULL
 * with *error -ENOMEM, or -EINVAL for a capacity of 0 or above 2^31. */
KVT_MUST_CHECK struct kvt_flat *kvt_flat_new(const struct kvt_evict_ops *ops,
                                             const struct kvt_evict_config *evict, int *error);
void kvt_flat_free(struct kvt_flat *flat);

/* Looks up n blocks in order. next_use[i] as in struct kvt_evict_item, or NULL (only for policies
 * that do not need the future). hits (optional) gets a byte per look-up: 1 hit, 0 miss. Returns how
 * many hit. */
uint64_t kvt_flat_access(struct kvt_flat *flat, const uint64_t *ids, const uint64_t *next_use,
                         uint64_t n, uint8_t *hits);

uint64_t kvt_flat_resident(const struct kvt_flat *flat);
size_t kvt_flat_memory_b(const struct kvt_flat *flat);

/* next_use[i]: the smallest j > i with ids[j] == ids[i], else KVT_NEVER. 0 or -ENOMEM. */
KVT_MUST_CHECK int kvt_flat_next_use(const uint64_t *ids, uint64_t n, const struct kvt_alloc *alloc,
                                     uint64_t *next_use);

#endif
