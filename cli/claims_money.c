/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * claims_money.c - claims about hits, their price and what they save, and about Redis nodes; see claims_impl.h.
 */
#include "claims_impl.h"

#include <math.h>

#include "equal_slo.h"
#include "stop.h"

static const double gib = 1073741824.0;

/* ---- Traffic ---- */

static int take_hit_rate(struct claim_work *w, struct claim *c)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    const struct results_figures *f = results_figures(w->results);
    c->computed = f->prefix_hit_rate;
    SAY(c, "%llu requests, %.0f %% of prompt tokens never seen before",
        (unsigned long long)f->finished,
        100 * (double)f->ledger_tokens[KVT_COMPUTED_COLD] / (double)f->prompt_tokens);
    NEED(c, "traffic in which %.0f %% of prompt tokens repeat, and room to keep them",
         100 * w->claimed);
    return 0;
}

static int take_ttft_p90(struct claim_work *w, struct claim *c)
{
    int rc = claim_run(w);
    if (rc != 0)
        return rc;
    const struct results_figures *f = results_figures(w->results);
    c->computed = results_ttft_ns(w->results, 0.9);
    SAY(c, "%llu requests, %.0f %% of prompt tokens found", (unsigned long long)f->finished,
        100 * f->prefix_hit_rate);
    NEED(c, "queues %.2g times as long", w->claimed / c->computed);
    return 0;
}

static int take_saving(struct claim_work *w, struct claim *c)
{
    struct cost_equal e;
    int rc = claim_run(w);
    if (rc == 0)
        rc = equal_slo_find(&e, w->session, w->results, &stop_wanted, w->error);
    if (rc != 0)
        return rc;
    const struct cost_figures *cost = results_cost(w->results);
    c->computed = e.saving_ratio;
    if (e.reachable)
        SAY(c, "%u engines with cache, %.2f USD/h; %u as fast without, %.2f USD/h",
            resolved_of(w)->core.engines, cost->usd_per_hour, e.engines, e.usd_per_hour);
    else
        SAY(c, "%s", e.note);
    NEED(c, "as fast without cache only with %.0f engines",
         cost->usd_per_hour / (1 - w->claimed) /
             (cost->part_usd_per_hour[COST_GPU] / resolved_of(w)->core.engines));
    return 0;
}

/* ---- Redis ---- */

static int take_redis_price(struct claim_work *w, struct claim *c)
{
    const struct scenario_tier *tier = &w->session->scenario.cache.tiers[KVT_REDIS];
    const struct cost_rate *rate = &resolved_of(w)->cost.parts[COST_REDIS];
    char why[256];
    const struct catalog_redis_node *node =
        catalog_redis_node(w->session->catalog, tier->node, why, sizeof why);
    if (w->claim->bytes.kind != UNITS_CAPACITY_B || !node || rate->unpriced)
        return claim_missing(w, "claim.bytes",
                             "expected how much, such as 2.8TB, on a node with a price");
    double usable = node->memory_b.number * node->usable_ratio.number;
    double copies = 1 + (double)tier->replicas, bytes = (double)w->claim->bytes.value;
    double nodes = copies * ceil(bytes / copies / usable);
    c->computed = nodes * rate->usd_per_unit;
    SAY(c, "%.0f x %s, %.0f GiB usable each, at %s (%s, %s)", nodes, tier->node, usable / gib,
        rate->price, rate->region, rate->date);
    NEED(c, "$%.3f per GiB and hour, where a usable one costs $%.3f; or %.0f such nodes",
         w->claimed / (bytes / gib), rate->usd_per_unit / (usable / gib),
         w->claimed / rate->usd_per_unit);
    return 0;
}

static int take_failover(struct claim_work *w, struct claim *c)
{
    char why[256];
    const struct catalog_redis_failover *f =
        w->claim->entry
            ? catalog_redis_failover(w->session->catalog, w->claim->entry, why, sizeof why)
            : NULL;
    if (!f)
        return claim_missing(w, "claim.entry",
                             w->claim->entry ? why : "expected an entry of failovers");
    c->computed = (double)failover_least_ns(f);
    SAY(c, "%s: detected after %s, elected, promoted; up to %.1f s more", f->title,
        f->detect_ns.text, (double)failover_spread_ns(f) / 1e9);
    NEED(c, "a dead primary told from a slow one within %.0f ms; or a planned switch",
         fmax(w->claimed - f->elect_ns.number - f->promote_ns.number, w->claimed / 2) / 1e6);
    return 0;
}

const struct claim_measure claim_money[] = {
    {"hit-rate", CLAIM_RATIO, CLAIM_MORE, take_hit_rate},
    {"ttft-p90", CLAIM_NS, CLAIM_EQUAL, take_ttft_p90},
    {"saving", CLAIM_RATIO, CLAIM_MORE, take_saving},
    {"redis-price", CLAIM_USD_PER_H, CLAIM_EQUAL, take_redis_price},
    {"failover", CLAIM_NS, CLAIM_LESS, take_failover},
    {0},
};
