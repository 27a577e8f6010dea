/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * path.c - see path.h.
 */
#include "path.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { POSITION_BITS = 16, TAIL = 1 << 15 };
#define OWN ((uint64_t)1 << 53) /* paths are below 2^37, positions below 2^16 */

void wl_path_add(const struct wl_walk *walk, struct wl_path *path, uint64_t base, uint64_t digit,
                 uint32_t tokens)
{
    /* One token of own text and one of output always fit. */
    const uint32_t most = (uint32_t)wl_gen_count(&walk->plan, WL_CONTEXT_TOKENS) - 2;
    const uint32_t begin = path->n > 0 ? path->end[path->n - 1] : 0;
    const uint64_t number = path->n > 0 ? path->number[path->n - 1] : 0;
    assert(path->n < WL_PIECES_MOST && digit + 1 < base);
    if (tokens == 0 || begin == most)
        return;
    path->end[path->n] = tokens < most - begin ? begin + tokens : most;
    path->number[path->n++] = number * base + digit + 1;
}

static int name_blocks(struct wl_walk *walk, const struct wl_path *path, uint64_t request,
                       struct wl_record *r)
{
    const uint32_t block = walk->plan.block_tokens;
    const uint32_t n = (r->prompt_tokens + r->output_tokens) / block;
    const uint64_t own = OWN | request << POSITION_BITS;
    if (wl_grow(&walk->ids, &walk->room, n, sizeof walk->ids[0]) != 0)
        return -ENOMEM;
    uint32_t piece = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t end = (i + 1) * block;
        while (piece < path->n && path->end[piece] < end)
            piece++;
        walk->ids[i] = piece < path->n ? path->number[piece] << POSITION_BITS | i : own | i;
    }
    r->n_ids = n;
    r->ids = walk->ids;
    r->has_tail = r->prompt_tokens % block != 0;
    r->tail_id = own | TAIL | r->prompt_tokens / block;
    return 0;
}

static int walk_next(void *self, struct wl_record *record, struct wl_error *error)
{
    struct wl_walk *walk = self;
    const struct wl_gen_plan *plan = &walk->plan;
    if (walk->given == wl_gen_count(plan, WL_REQUESTS))
        return 0;
    const kvt_ns at_ns = wl_clock_next(&walk->clock);
    if (at_ns == KVT_NEVER)
        return 0;
    uint64_t state;
    const gsl_rng rng = wl_rng(&state, plan->seed, "request", walk->given);
    struct wl_path path = {0};
    *record = (struct wl_record){.at_ns = at_ns, .session = KVT_NONE};
    record->tenant = (uint32_t)gsl_rng_uniform_int(&rng, wl_gen_count(plan, WL_TENANTS));
    walk->draw(walk, &rng, &path);
    const uint32_t shared = path.n > 0 ? path.end[path.n - 1] : 0;
    const uint32_t room = (uint32_t)wl_gen_count(plan, WL_CONTEXT_TOKENS) - shared; /* >= 2 */
    const uint32_t own = wl_draw_tokens(&rng, wl_generate_value(&plan->g, WL_USER_TOKENS),
                                        wl_generate_value(&plan->g, WL_USER_CV), room - 1);
    record->prompt_tokens = shared + own;
    record->output_tokens = wl_draw_tokens(&rng, wl_generate_value(&plan->g, WL_ANSWER_TOKENS),
                                           wl_generate_value(&plan->g, WL_ANSWER_CV), room - own);
    if (name_blocks(walk, &path, walk->given, record) != 0)
        return wl_fail(error, -ENOMEM, NULL, 0, "generate", "expected more memory");
    walk->given++;
    return 1;
}

static void walk_rewind(void *self)
{
    struct wl_walk *walk = self;
    walk->given = 0;
    wl_clock_init(&walk->clock, &walk->plan.g.arrivals, wl_generate_value(&walk->plan.g, WL_RATE),
                  walk->plan.seed, "arrivals");
}

static void walk_close(void *self)
{
    struct wl_walk *walk = self;
    walk->free_self(walk->self);
    free(walk->ids);
    free(walk);
}

static const struct wl_feed_ops walk_ops = {walk_next, walk_rewind, walk_close};

int wl_walk_open(struct wl_feed *feed, const struct wl_walk *walk, struct wl_error *error)
{
    const uint64_t blocks = wl_gen_count(&walk->plan, WL_CONTEXT_TOKENS) / walk->plan.block_tokens;
    struct wl_walk *copy = blocks < TAIL ? malloc(sizeof *copy) : NULL;
    if (copy == NULL) {
        walk->free_self(walk->self);
        return blocks < TAIL ? wl_fail(error, -ENOMEM, NULL, 0, "generate", "expected more memory")
                             : wl_fail(error, -EINVAL, NULL, 0, "context_tokens",
                                       "expected less than %d blocks of %u tokens", TAIL,
                                       walk->plan.block_tokens);
    }
    *copy = *walk;
    feed->ops = &walk_ops;
    feed->self = copy;
    feed->requests = wl_gen_count(&walk->plan, WL_REQUESTS);
    walk_rewind(copy);
    return 0;
}
