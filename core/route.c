/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * route.c - which engine serves a request.
 *
 *   round-robin     the next one
 *   least-loaded    fewest prompt tokens waiting or running
 *   hash-affinity   rendezvous hashing of the first block: highest mix(key, engine) wins (Thaler and
 *                   Ravishankar, IEEE/ACM ToN 1998), so that equal beginnings meet, whatever the load
 *   prefix-aware    least predicted time until the prompt is done: what already waits there plus what of this
 *                   prompt is not in that engine's own tiers (GPU, host, disk). The shared tier serves all
 *                   engines alike and so does not enter. Same idea as the cost of NVIDIA Dynamo's KV router.
 *
 * Engines that are down are passed over. Ties go to the lower load, then to the lower number.
 */
#include "internal.h"

#include "mix.h"

#include <string.h>

static uint32_t round_robin(struct kvt_core *core)
{
    for (uint32_t i = 0; i < core->config.engines; i++) {
        const uint32_t e = (uint32_t)(core->next_engine++ % core->config.engines);
        if (core->engines[e].up)
            return e;
    }
    return KVT_NONE;
}

static uint32_t least_loaded(const struct kvt_core *core)
{
    uint32_t best = KVT_NONE;
    for (uint32_t e = 0; e < core->config.engines; e++)
        if (core->engines[e].up &&
            (best == KVT_NONE || core->engines[e].load_tokens < core->engines[best].load_tokens))
            best = e;
    return best;
}

static uint32_t hash_affinity(const struct kvt_core *core, kvt_key first)
{
    uint32_t best = KVT_NONE;
    uint64_t best_hash = 0;
    for (uint32_t e = 0; e < core->config.engines; e++) {
        const uint64_t hash = kvt_mix64(first.lo ^ kvt_mix64(first.hi + e));
        if (core->engines[e].up && (best == KVT_NONE || hash > best_hash)) {
            best = e;
            best_hash = hash;
        }
    }
    return best;
}

/* Fills match_length[e] with the leading blocks that engine e holds in its own tiers. Walks the
 * copies of each block once for all engines, and stops where no engine goes on. */
static void match_engines(struct kvt_core *core, const struct req *q)
{
    uint32_t *length = core->match_length;
    memset(length, 0, core->config.engines * sizeof *length);
    for (uint32_t i = 0; i < q->n_match; i++) {
        bool grew = false;
        uint32_t copy = kvt_block_at(&core->blocks, q->blocks[i])->copies;
        while (copy != KVT_NONE) {
            const struct kvt_copy *c = kvt_copy_at(&core->room, copy);
            const struct kvt_place *place = &core->room.places[c->place];
            if (place->tier != KVT_REDIS && place->up && length[place->engine.v] == i) {
                length[place->engine.v] = i + 1;
                grew = true;
            }
            copy = c->next;
        }
        if (!grew)
            break;
    }
}

static uint32_t prefix_aware(struct kvt_core *core, const struct req *q)
{
    match_engines(core, q);
    uint32_t best = KVT_NONE;
    double best_ns = 0;
    for (uint32_t e = 0; e < core->config.engines; e++) {
        const struct engine *engine = &core->engines[e];
        if (!engine->up)
            continue;
        uint64_t hit = (uint64_t)core->match_length[e] * core->config.block_tokens;
        if (hit > q->prompt_tokens)
            hit = q->prompt_tokens;
        const double ns =
            (double)engine->pending_prefill_tokens * core->config.prefill.ns_per_token +
            kvt_prefill_ns(core, hit, q->prompt_tokens - hit);
        const bool better =
            best == KVT_NONE || ns < best_ns ||
            (!(ns > best_ns) && engine->load_tokens < core->engines[best].load_tokens);
        if (better) {
            best = e;
            best_ns = ns;
        }
    }
    return best;
}

uint32_t kvt_route(struct kvt_core *core, const struct req *q)
{
    switch (core->config.router) {
    case KVT_ROUTE_LEAST_LOADED:
        return least_loaded(core);
    case KVT_ROUTE_HASH_AFFINITY:
        if (q->n_keys)
            return hash_affinity(core, kvt_block_key(kvt_block_at(&core->blocks, q->blocks[0])));
        return least_loaded(core);
    case KVT_ROUTE_PREFIX_AWARE:
        return prefix_aware(core, q);
    case KVT_ROUTE_ROUND_ROBIN:
    default:
        return round_robin(core);
    }
}
