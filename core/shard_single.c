/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * shard_single.c - one GPU for everything that begins alike: the one whose hash with the prefix is
 * highest (rendezvous hashing; Thaler and Ravishankar, IEEE/ACM ToN 1998).
 *
 * A chain is never torn apart, and a GPU more or less moves only the G-th part that must move. But
 * no context can be longer than one GPU holds, and a popular beginning makes its GPU hot.
 *
 * Replicas follow at fixed distances, as with all policies, and not by the next highest hash: then
 * where they are can be said without remembering it.
 */
#include "mix.h"
#include "shard.h"

static void place(struct kvt_shards *s, const struct kvt_shard_site *site, uint8_t *gpu)
{
    uint64_t most = 0;
    uint32_t best = 0;
    for (uint32_t g = 0; g < s->config.gpus; g++) {
        const uint64_t hash = kvt_mix64(
            site->prefix.lo ^ kvt_mix64(site->prefix.hi + g * UINT64_C(0x9e3779b97f4a7c15)));
        if (g == 0 || hash > most) {
            most = hash;
            best = g;
        }
    }
    gpu[0] = (uint8_t)best;
}

extern const struct kvt_shard_ops kvt_shard_single;
const struct kvt_shard_ops kvt_shard_single = {
    .name = "single",
    .source = "rendezvous hashing (Thaler and Ravishankar, IEEE/ACM ToN 1998)",
    .splits = 0,
    .divide = kvt_shard_divide_whole,
    .place = place,
};
