/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rollout.c - see rollout.h. The next request of the feed is fetched ahead and kept pending, so that what
 * has to come before it can be sent first:
 *
 *      feed --> pending --+--> counted (until the warm-up is picked) --> renamed, if it has moved --> out
 *                         |
 *      picked prompts ----+  those whose time has come
 *      the shadow of what was sent last
 *
 * Counting takes 20 bytes and a key per prefix seen, until the prompts are picked; picking is one sort of them.
 */
#include "rollout.h"

#include "../core/mix.h"
#include "intern.h"
#include "record.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A prefix that was used: by its number in the table of keys. */
struct prefix {
    uint32_t
        parent; /* the prefix one block shorter; KVT_NONE at the start. Numbered lower than its own */
    uint32_t blocks;     /* how long it is */
    uint32_t uses, last; /* last: the request that used it last, counted from the start */
    uint32_t tenant;     /* whose request that was */
};

struct wl_rollout {
    struct wl_rollout_config c;
    struct wl_rollout_feed feed;
    enum wl_rollout_part part;

    struct kvt_request pending;
    bool have, shadow_due;
    kvt_key *keys; /* of the request given out */
    size_t keys_room;

    struct wl_intern seen;
    struct prefix *prefixes;
    size_t prefixes_room;
    uint32_t n_requests;

    struct wl_intern old; /* with drop: all keys of those who had not moved, outputs' too */
    bool all_moved, told;

    bool picked;
    uint32_t *prompts; /* prefixes to send, in this order */
    size_t n_prompts, sent;
    uint64_t next_id;
};

/* ---- Who has moved ----------------------------------------------------------------------------------- */

/* Steps so far; the first one counts as 1. */
static uint64_t steps_until(const struct wl_rollout_config *c, kvt_ns at)
{
    if (at < c->at_ns || c->at_ns == KVT_NEVER)
        return 0;
    return c->every_ns == KVT_NEVER ? 1 : 1 + (at - c->at_ns) / c->every_ns;
}

double wl_rollout_share(const struct wl_rollout_config *c, kvt_ns at)
{
    const double share = c->share * (double)steps_until(c, at);
    return share > 1 - 1e-9 ? 1 : share; /* ten times 10 % */
}

kvt_ns wl_rollout_end_ns(const struct wl_rollout_config *c)
{
    if (c->every_ns == KVT_NEVER || c->at_ns == KVT_NEVER)
        return c->at_ns;
    const double more = ceil(1 / c->share - 1e-9) - 1;
    const double end_ns = (double)c->at_ns + more * (double)c->every_ns;
    return end_ns < 0x1p63 ? c->at_ns + (uint64_t)more * c->every_ns : KVT_NEVER;
}

bool wl_rollout_moved(const struct wl_rollout_config *c, kvt_ns arrive_ns, uint32_t tenant,
                      uint32_t session, uint64_t id)
{
    uint64_t who = kvt_mix64(tenant + 1);
    if (c->by == WL_BY_SESSION)
        who = kvt_mix64(who ^ (session != KVT_NONE ? session : kvt_mix64(id)));
    return (double)(kvt_mix64(who) >> 11) * 0x1p-53 < wl_rollout_share(c, arrive_ns);
}

/* ---- Counting and picking ---------------------------------------------------------------------------- */

static uint32_t whole_blocks(const struct wl_rollout *r, const struct kvt_request *q)
{
    const uint32_t blocks = q->prompt_tokens / r->c.block_tokens;
    return blocks < q->n_keys ? blocks : q->n_keys;
}

static int count(struct wl_rollout *r, const struct kvt_request *q)
{
    const uint32_t n = whole_blocks(r, q);
    uint32_t parent = KVT_NONE;
    r->n_requests++;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t number;
        bool fresh;
        if (wl_intern(&r->seen, q->keys[i], &number, &fresh) ||
            wl_grow(&r->prefixes, &r->prefixes_room, r->seen.n, sizeof *r->prefixes))
            return -ENOMEM;
        struct prefix *p = &r->prefixes[number];
        if (fresh)
            *p = (struct prefix){.parent = parent, .blocks = i + 1};
        p->uses++;
        p->last = r->n_requests;
        p->tenant = q->tenant;
        parent = number;
    }
    return 0;
}

/* One prefix as it is sorted. */
struct candidate {
    uint32_t first, second; /* what ranks it, most before least */
    uint32_t blocks, number;
};

/* Ranks as said; then shorter ones first, which keeps chains whole. */
static int by_rank(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->first != y->first)
        return x->first > y->first ? -1 : 1;
    if (x->second != y->second)
        return x->second > y->second ? -1 : 1;
    if (x->blocks != y->blocks)
        return x->blocks < y->blocks ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

/* Of the chosen ones those that no longer one begins with. The rest are on their way. */
static void keep_ends(struct wl_rollout *r, const struct candidate *chosen, size_t n, bool *inner)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t parent = r->prefixes[chosen[i].number].parent;
        if (parent != KVT_NONE)
            inner[parent] = true;
    }
    for (size_t i = 0; i < n; i++)
        if (!inner[chosen[i].number])
            r->prompts[r->n_prompts++] = chosen[i].number;
}

static int pick(struct wl_rollout *r)
{
    const size_t all = r->seen.n;
    const size_t n = r->c.blocks < all ? (size_t)r->c.blocks : all;
    const bool hot = r->c.warm_up == WL_WARM_HOT;
    r->picked = true;
    if (n == 0)
        return 0;
    struct candidate *ranked = malloc(all * sizeof *ranked);
    bool *inner = calloc(all, sizeof *inner);
    r->prompts = malloc(n * sizeof *r->prompts);
    const int rc = ranked && inner && r->prompts ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < all; i++) {
        const struct prefix *p = &r->prefixes[i];
        ranked[i] = (struct candidate){.first = hot ? p->uses : p->last,
                                       .second = hot ? p->last : p->uses,
                                       .blocks = p->blocks,
                                       .number = (uint32_t)i};
    }
    if (rc == 0) {
        qsort(ranked, all, sizeof *ranked, by_rank);
        keep_ends(r, ranked, n, inner);
    }
    free(ranked);
    free(inner);
    return rc;
}

/* ---- Giving out -------------------------------------------------------------------------------------- */

static int make_keys(struct wl_rollout *r, size_t n)
{
    return n == 0 ? 0 : wl_grow(&r->keys, &r->keys_room, n, sizeof *r->keys);
}

/* Its first n keys, in the new epoch. */
static int rename_keys(struct wl_rollout *r, struct kvt_request *q, uint32_t n)
{
    if (make_keys(r, n))
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        r->keys[i] = kvt_key_in_epoch(q->keys[i], &r->c.epoch);
    q->keys = r->keys;
    q->n_keys = n;
    return 0;
}

static kvt_ns prompt_at_ns(const struct wl_rollout *r)
{
    const double part = (double)r->sent / (double)r->n_prompts;
    return r->c.at_ns - r->c.lead_ns + (kvt_ns)(part * (double)r->c.lead_ns);
}

static int send_prompt(struct wl_rollout *r, struct kvt_request *q)
{
    const kvt_ns at = prompt_at_ns(r);
    uint32_t number = r->prompts[r->sent++];
    const struct prefix *p = &r->prefixes[number];
    if (make_keys(r, p->blocks))
        return -ENOMEM;
    *q = (struct kvt_request){.id = r->next_id++,
                              .arrive_ns = at,
                              .tenant = p->tenant,
                              .session = KVT_NONE,
                              .prompt_tokens = p->blocks * r->c.block_tokens,
                              .n_keys = p->blocks,
                              .keys = r->keys,
                              .background = true};
    for (uint32_t i = p->blocks; i-- > 0; number = r->prefixes[number].parent)
        r->keys[i] = kvt_key_in_epoch(r->seen.keys[number], &r->c.epoch);
    return 0;
}

/* What was given out last, once more. The feed still holds it. */
static int send_shadow(struct wl_rollout *r, struct kvt_request *q)
{
    *q = r->pending;
    q->id = r->next_id++;
    q->session = KVT_NONE;
    q->output_tokens = 0;
    q->background = true;
    q->tokens = q->letters = NULL;
    q->n_letters = 0;
    return rename_keys(r, q, whole_blocks(r, q));
}

static int keep_old(struct wl_rollout *r, const struct kvt_request *q)
{
    for (uint32_t i = 0; i < q->n_keys; i++) {
        uint32_t number;
        if (wl_intern(&r->old, q->keys[i], &number, NULL))
            return -ENOMEM;
    }
    return 0;
}

static int send_pending(struct wl_rollout *r, struct kvt_request *q)
{
    *q = r->pending;
    r->have = false;
    const bool moved = r->part != WL_ROLLOUT_NOTHING &&
                       wl_rollout_moved(&r->c, q->arrive_ns, q->tenant, q->session, q->id);
    const bool in_lead = q->arrive_ns < r->c.at_ns && q->arrive_ns >= r->c.at_ns - r->c.lead_ns;
    r->shadow_due = r->part == WL_ROLLOUT_ALL && r->c.warm_up == WL_WARM_SHADOW && in_lead &&
                    whole_blocks(r, q) > 0;
    r->all_moved = r->part != WL_ROLLOUT_NOTHING && wl_rollout_share(&r->c, q->arrive_ns) >= 1;
    if (r->c.drop && !moved && keep_old(r, q))
        return -ENOMEM;
    return moved ? rename_keys(r, q, q->n_keys) : 0;
}

const kvt_key *wl_rollout_gone(void *self, size_t *n)
{
    struct wl_rollout *r = self;
    if (!r->all_moved || r->told || r->old.n == 0)
        return NULL;
    r->told = true;
    *n = r->old.n;
    return r->old.keys;
}

/* Counts the pending request, or picks when its time has come. */
static int look_at_pending(struct wl_rollout *r)
{
    const bool picks = r->part == WL_ROLLOUT_ALL &&
                       (r->c.warm_up == WL_WARM_HOT || r->c.warm_up == WL_WARM_RECENT);
    if (!picks || r->picked)
        return 0;
    return r->pending.arrive_ns < r->c.at_ns - r->c.lead_ns ? count(r, &r->pending) : pick(r);
}

int wl_rollout_next(void *self, struct kvt_request *request, char *error, size_t error_size)
{
    struct wl_rollout *r = self;
    int rc = 0;
    if (r->shadow_due) {
        r->shadow_due = false;
        rc = send_shadow(r, request);
    } else {
        if (!r->have) {
            const int got = r->feed.next(r->feed.self, &r->pending, error, error_size);
            if (got <= 0)
                return got;
            r->have = true;
            rc = look_at_pending(r);
        }
        if (rc == 0)
            rc = r->sent < r->n_prompts && prompt_at_ns(r) <= r->pending.arrive_ns
                     ? send_prompt(r, request)
                     : send_pending(r, request);
    }
    if (rc != 0)
        snprintf(error, error_size, "out of memory for the roll-out");
    return rc != 0 ? rc : 1;
}

/* ---- Birth and death --------------------------------------------------------------------------------- */

struct wl_rollout *wl_rollout_new(const struct wl_rollout_config *config)
{
    struct wl_rollout *r = calloc(1, sizeof *r);
    if (r)
        r->c = *config;
    return r;
}

static void forget(struct wl_rollout *r)
{
    wl_intern_release(&r->seen);
    wl_intern_release(&r->old);
    free(r->prefixes);
    free(r->prompts);
    free(r->keys);
}

void wl_rollout_begin(struct wl_rollout *r, const struct wl_rollout_feed *feed,
                      enum wl_rollout_part part)
{
    const struct wl_rollout_config c = r->c;
    forget(r);
    *r = (struct wl_rollout){.c = c, .feed = *feed, .part = part, .next_id = WL_BACKGROUND_ID};
}

void wl_rollout_free(struct wl_rollout *r)
{
    if (r)
        forget(r);
    free(r);
}
