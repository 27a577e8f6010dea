/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gen_flood.c - a hostile tenant beside any generator: prompts that are never repeated, at a rate of
 * its own.
 *
 * Nothing of it can ever hit, and all of it asks to be kept: what it does to the others' hit rate is
 * what quotas are for. It is one tenant more than the generator has, draws from a stream of its own, so
 * that the others' requests stay as they are to the bit, and ends with them.
 *
 * Ids: bit 63, which no generator sets; the request's number << 24; the position of the block.
 */
#include "gen.h"
#include "rng.h"

#include <errno.h>
#include <stdlib.h>

enum { POSITION_BITS = 24, ANSWER_TOKENS = 16 };

struct flood {
    struct wl_feed inner;
    struct wl_gen_plan plan;
    uint64_t state; /* of the stream of arrivals */
    gsl_rng rng;
    double mean_s;
    kvt_ns next_ns;
    uint64_t given;
    bool have, ended; /* have: `pending` is the inner feed's next one */
    struct wl_record pending;
    uint64_t *ids;
    uint32_t n_ids;
};

static void start(struct flood *f)
{
    f->rng = wl_rng(&f->state, f->plan.seed, "flood", 0);
    f->next_ns = wl_draw_ns(&f->rng, f->mean_s);
    f->given = 0;
    f->have = f->ended = false;
}

static void fill(struct flood *f, struct wl_record *record)
{
    for (uint32_t i = 0; i < f->n_ids; i++)
        f->ids[i] = UINT64_C(1) << 63 | f->given << POSITION_BITS | i;
    *record = (struct wl_record){
        .at_ns = f->next_ns,
        .prompt_tokens = (uint32_t)wl_gen_count(&f->plan, WL_FLOOD_TOKENS),
        .output_tokens = ANSWER_TOKENS,
        .tenant = (uint32_t)wl_gen_count(&f->plan, WL_TENANTS),
        .session = KVT_NONE,
        .n_ids = f->n_ids,
        .ids = f->ids,
    };
    f->given++;
    f->next_ns = kvt_ns_add(f->next_ns, wl_draw_ns(&f->rng, f->mean_s));
}

static int next(void *self, struct wl_record *record, struct wl_error *error)
{
    struct flood *f = self;
    if (!f->have && !f->ended) {
        const int got = f->inner.ops->next(f->inner.self, &f->pending, error);
        if (got < 0)
            return got;
        f->have = got > 0;
        f->ended = got == 0;
    }
    if (f->ended)
        return 0;
    if (f->next_ns < f->pending.at_ns) {
        fill(f, record);
    } else {
        *record = f->pending;
        f->have = false;
    }
    return 1;
}

static void rewind_feed(void *self)
{
    struct flood *f = self;
    f->inner.ops->rewind(f->inner.self);
    start(f);
}

static void close_feed(void *self)
{
    struct flood *f = self;
    f->inner.ops->close(f->inner.self);
    free(f->ids);
    free(f);
}

int wl_gen_flood(struct wl_feed *feed, const struct wl_gen_plan *plan, struct wl_error *error)
{
    static const struct wl_feed_ops ops = {.next = next,
                                           .rewind = rewind_feed,
                                           .close = close_feed};
    const double rate = wl_generate_value(&plan->g, WL_FLOOD);
    struct flood *f = calloc(1, sizeof *f);
    const uint32_t n = (uint32_t)wl_gen_count(plan, WL_FLOOD_TOKENS) / plan->block_tokens;
    uint64_t *ids = calloc(n + 1, sizeof *ids);
    if (f == NULL || ids == NULL) {
        free(f);
        free(ids);
        feed->ops->close(feed->self);
        return wl_fail(error, -ENOMEM, NULL, 0, "generate", "expected more memory");
    }
    *f = (struct flood){.inner = *feed, .plan = *plan, .mean_s = 1 / rate, .ids = ids, .n_ids = n};
    start(f);
    feed->ops = &ops;
    feed->self = f;
    feed->requests +=
        (uint64_t)((double)feed->requests * rate / wl_generate_value(&plan->g, WL_RATE));
    return 0;
}
