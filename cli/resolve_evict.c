/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * resolve_evict.c - who leaves a tier and what enters it: its policy and parameters, leaves first or not,
 * when it is written, and what each tenant may keep.
 *
 * A tier whose server evicts by itself (redis, outside the null world) knows one policy, the
 * server's. Others want `manager: core`: then core decides and deletes, and the server never does.
 */
#include "resolve.h"

#include <errno.h>
#include <string.h>

static int refuse(const struct scenario *s, int kind, const char *key, const char *expected,
                  char *error)
{
    char path[64];
    snprintf(path, sizeof path, "cache.tiers.%s.%s", kvt_tier_name((enum kvt_tier_kind)kind), key);
    return resolve_refuse(s, path, expected, error);
}

/* Leaves first is never worse in what was measured, and often better. But a server does not know of
 * chains, and whoever says which end of a prompt is touched first wants to see what that does. */
static bool closes_by_itself(const struct scenario *s, const struct kvt_tier_config *tier, int kind)
{
    return tier->manager == KVT_MANAGED_BY_CORE &&
           (kind != KVT_GPU || s->cache.tiers[KVT_GPU].touch == KVT_TOUCH_LEAF);
}

static int resolve_policy(struct resolved *r, const struct scenario *s, int kind, char *error)
{
    const struct scenario_tier *wanted = &s->cache.tiers[kind];
    struct kvt_tier_config *tier = &r->core.tiers[kind];
    const struct kvt_evict_ops *ops = kvt_evict_all[wanted->evict];
    char path[64];
    tier->evict = ops;
    tier->prefix_closed = wanted->prefix_closed == CLOSED_YES ||
                          (wanted->prefix_closed == CLOSED_AUTO && closes_by_itself(s, tier, kind));
    tier->evict_config = (struct kvt_evict_config){
        .small_ratio = wanted->evict_small,
        .ghost_ratio = wanted->evict_ghost,
        .protected_ratio = wanted->evict_protected,
        .threshold = (uint32_t)wanted->evict_threshold,
        .warm_up_main = wanted->evict_warm_up == 1,
    };
    snprintf(path, sizeof path, "cache.tiers.%s.evict", kvt_tier_name((enum kvt_tier_kind)kind));
    resolve_add_note(r, path, "%s", ops->source);
    if (ops->needs_ttl && wanted->ttl_ns == KVT_NEVER)
        return refuse(s, kind, "evict",
                      "expected a ttl beside it, such as 1h: this policy goes by nothing else",
                      error);
    if (ops->refuses && kind == KVT_GPU)
        return refuse(s, kind, "evict",
                      "expected a policy that evicts: running requests need the gpu's pages",
                      error);
    if (tier->manager == KVT_MANAGED_BY_SERVER &&
        (wanted->evict || wanted->prefix_closed == CLOSED_YES))
        return refuse(s, kind, wanted->evict ? "evict" : "prefix_closed",
                      "expected lru, not prefix-closed, as the server does; or `manager: core`",
                      error);
    return 0;
}

/* What a tier below the GPU is given, and what a hit there does. */
static int check_writing(const struct resolved *r, const struct scenario *s, int kind, int *back,
                         char *error)
{
    const struct scenario_tier *wanted = &s->cache.tiers[kind];
    if (wanted->write == WRITE_BACK && *back >= 0) {
        char want[96];
        snprintf(want, sizeof want,
                 "expected through, selective or none: %s is written back already",
                 kvt_tier_name((enum kvt_tier_kind) * back));
        return refuse(s, kind, "write", want, error);
    }
    if (wanted->write == WRITE_BACK) {
        *back = kind;
        if (kvt_evict_all[wanted->evict]->needs_future)
            return refuse(s, kind, "write",
                          "expected through: when a block leaves the GPU its future is not known",
                          error);
    }
    if (wanted->exclusive && wanted->write != WRITE_BACK)
        return refuse(s, kind, "exclusive",
                      "expected write: back beside it, or blocks would be lost", error);
    if (wanted->exclusive && r->core.tiers[kind].manager == KVT_MANAGED_BY_SERVER)
        return refuse(s, kind, "exclusive", "expected manager: core beside it", error);
    if (wanted->exclusive && !wanted->promote)
        return refuse(s, kind, "promote", "expected true: what is moved to the GPU is kept there",
                      error);
    return 0;
}

/* "50%, 30%, 20%", or "50%/30%/20%": by tenant number, the last for all further tenants together. */
static int resolve_quotas(struct resolved *r, const struct scenario *s, char *error)
{
    const char *text = s->cache.quotas;
    double sum = 0;
    if (!text || strcmp(text, "none") == 0)
        return 0;
    while (*text) {
        char word[48];
        const size_t len = strcspn(text, ",/"), skip = strspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)(len > skip ? len - skip : 0), text + skip);
        text += len + (text[len] != '\0');
        const char *why;
        double share;
        if (r->core.n_quotas == KVT_QUOTAS_MOST)
            return resolve_refuse(s, "cache.quotas", "expected at most 64 shares", error);
        if (units_ratio(word, &share, &why) != 0)
            return resolve_refuse(s, "cache.quotas", why, error);
        if (!(share > 0 && share <= 1))
            return resolve_refuse(s, "cache.quotas",
                                  "expected shares above 0 and at most 100 %, such as 60%,40%",
                                  error);
        r->core.quotas[r->core.n_quotas++] = share;
        sum += share;
    }
    if (sum > 1 + 1e-9) {
        char want[96];
        snprintf(want, sizeof want, "expected shares of at most 100 %% together, not %.4g %%",
                 100 * sum);
        return resolve_refuse(s, "cache.quotas", want, error);
    }
    return 0;
}

int resolve_evict(struct resolved *r, const struct scenario *s, char *error)
{
    int rc = resolve_quotas(r, s, error);
    int back = -1;
    for (int kind = 0; rc == 0 && kind < KVT_TIERS; kind++) {
        if (!s->cache.tiers[kind].enabled || kind == KVT_PEER) /* holds nothing, decides nothing */
            continue;
        rc = resolve_policy(r, s, kind, error);
        if (rc == 0 && kind != KVT_GPU)
            rc = check_writing(r, s, kind, &back, error);
    }
    return rc;
}
