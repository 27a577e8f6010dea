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
 * Engines that are down are passed over, and so are those of other regions than the request's (region.h).
 *
 * Ties are common: idle engines are equally loaded, and a prompt that none of them knows costs the same
 * everywhere. In a world without time (null.h) engines are always idle. least-loaded and prefix-aware
 * settle them in this order, so that what is equal today does not all end up on one engine:
 *
 *      load     fewer prompt tokens waiting or running
 *      memory   fewer blocks held on the GPU: what comes in pushes out least there
 *      turn     the next one after the engine that was chosen last
 *
 * A shared beginning is no tie: where all prompts start with the same block and no load ever builds up,
 * prefix-aware has no reason to go elsewhere, nor has hash-affinity, and one engine serves them all.
 */
#include "internal.h"

#include "mix.h"

#include <string.h>

/* Those that may serve: engines first .. first + n - 1, all of the request's region. */
struct range {
    uint32_t region, first, n;
};

/* Engines in turn, from the one after who was chosen last: the kth. */
static uint32_t in_turn(const struct kvt_core *core, const struct range *in, uint32_t k)
{
    return in->first + (uint32_t)((core->next_engine[in->region] + (uint64_t)k) % in->n);
}

static uint32_t chosen(struct kvt_core *core, const struct range *in, uint32_t engine)
{
    if (engine != KVT_NONE)
        core->next_engine[in->region] = engine - in->first + 1;
    return engine;
}

static uint32_t round_robin(struct kvt_core *core, const struct range *in)
{
    for (uint32_t k = 0; k < in->n; k++) {
        const uint32_t e = in_turn(core, in, k);
        if (core->engines[e].up)
            return chosen(core, in, e);
    }
    return KVT_NONE;
}

/* Whether e rather than best, whose turn comes first, where nothing else speaks for either. */
static bool freer(const struct kvt_core *core, uint32_t e, uint32_t best)
{
    const uint64_t load = core->engines[e].load_tokens, least = core->engines[best].load_tokens;
    if (load != least)
        return load < least;
    return gpu_place(core, e)->held_blocks < gpu_place(core, best)->held_blocks;
}

static uint32_t least_loaded(struct kvt_core *core, const struct range *in)
{
    uint32_t best = KVT_NONE;
    for (uint32_t k = 0; k < in->n; k++) {
        const uint32_t e = in_turn(core, in, k);
        if (core->engines[e].up && (best == KVT_NONE || freer(core, e, best)))
            best = e;
    }
    return chosen(core, in, best);
}

static uint32_t hash_affinity(const struct kvt_core *core, const struct range *in, kvt_key first)
{
    uint32_t best = KVT_NONE;
    uint64_t best_hash = 0;
    for (uint32_t e = in->first; e < in->first + in->n; e++) {
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

static uint32_t prefix_aware(struct kvt_core *core, const struct range *in, const struct req *q)
{
    match_engines(core, q);
    uint32_t best = KVT_NONE;
    double best_ns = 0;
    for (uint32_t k = 0; k < in->n; k++) {
        const uint32_t e = in_turn(core, in, k);
        const struct engine *engine = &core->engines[e];
        if (!engine->up)
            continue;
        uint64_t hit = (uint64_t)core->match_length[e] * core->config.block_tokens;
        if (hit > q->prompt_tokens)
            hit = q->prompt_tokens;
        const double ns =
            (double)engine->pending_prefill_tokens * core->config.prefill.ns_per_token +
            kvt_prefill_ns(core, hit, q->prompt_tokens - hit);
        if (best == KVT_NONE || ns < best_ns || (!(ns > best_ns) && freer(core, e, best))) {
            best = e;
            best_ns = ns;
        }
    }
    return chosen(core, in, best);
}

uint32_t kvt_route(struct kvt_core *core, const struct req *q)
{
    if (core->config.engines == 1) { /* nobody to compare it with */
        core->match_length[0] = 0;
        return core->engines[0].up ? 0 : KVT_NONE;
    }
    struct range in = {.region = q->region};
    in.n = kvt_region_engines(&core->config.regions, core->config.engines, q->region, &in.first);
    switch (core->config.router) {
    case KVT_ROUTE_LEAST_LOADED:
        return least_loaded(core, &in);
    case KVT_ROUTE_HASH_AFFINITY:
        if (q->n_keys)
            return hash_affinity(core, &in,
                                 kvt_block_key(kvt_block_at(&core->blocks, q->blocks[0])));
        return least_loaded(core, &in);
    case KVT_ROUTE_PREFIX_AWARE:
        return prefix_aware(core, &in, q);
    case KVT_ROUTE_ROUND_ROBIN:
    default:
        return round_robin(core, &in);
    }
}
