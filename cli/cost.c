/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cost.c - from a plan and a tally to USD: sums, products and ratios, nothing else.
 *
 *      USD/h of a part      (count - what is included) * price; the count of GPUs is a mean over time where it changes
 *      USD/h of transfer    moved GB * share * price / hours of the run
 *      USD per million      USD/h * hours measured / (tokens / 10^6), of all parts together
 *      saved USD/h          GPU hours that hits saved * price of a GPU / hours measured
 *      break-even hit rate  hit rate * cost / saved, as if savings grew with the hit rate in proportion
 *      payback              latest time at which saved(t) < USD/h of the cache * t
 *
 * The break-even is a straight line through one point. It is right for the neighbourhood of that point;
 * a sweep over capacity shows the curve.
 */
#include "cost.h"

#include <math.h>

static const double ns_per_hour = 3.6e12, s_per_hour = 3600;

const char *cost_part_name(enum cost_part part)
{
    static const char *const names[] = {"gpu", "redis", "host", "disk", "zones", "regions"};
    return names[part];
}

enum cost_part cost_part_of(enum kvt_tier_kind tier)
{
    return tier == KVT_HOST    ? COST_HOST
           : tier == KVT_REDIS ? COST_REDIS
           : tier == KVT_DISK  ? COST_DISK
                               : COST_PARTS;
}

static double ratio_of(double a, double b)
{
    return b != 0 ? a / b : (double)NAN;
}

double cost_prefill_ns(const struct kvt_prefill_cost *c, double k, double n)
{
    return n > 0 ? c->fixed_ns + n * (c->ns_per_token + c->ns_per_token2 * (k + n / 2)) : 0;
}

/* Rented by the hour; transfer is not. */
static double rented_usd_per_hour(const struct cost_rate *rate)
{
    return rate->present ? (rate->count - rate->free_count) * rate->usd_per_unit : 0;
}

static double usd_per_engine_ns(const struct cost_plan *plan)
{
    return plan->usd_per_gpu_hour * plan->gpus_per_engine / ns_per_hour;
}

void cost_count(struct cost_tally *tally, const struct cost_plan *plan, const struct kvt_report *p,
                kvt_ns begin_ns)
{
    double prompt = p->prompt_tokens, hits = 0, loading = 0;
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        hits += p->ledger_tokens[KVT_HIT_GPU + tier];
    double saved_ns = cost_prefill_ns(&plan->prefill, 0, hits);
    double spent_ns = cost_prefill_ns(&plan->prefill, 0, prompt) - saved_ns;
    for (unsigned tier = 0; tier < KVT_TIERS && hits > 0; tier++)
        tally->saved_ns[tier] += saved_ns * p->ledger_tokens[KVT_HIT_GPU + tier] / hits;
    for (unsigned class = KVT_COMPUTED_COLD; class < KVT_LEDGER && prompt > hits; class ++)
        tally->spent_ns[class] += spent_ns * p->ledger_tokens[class] / (prompt - hits);
    for (unsigned span = KVT_SPAN_PROBE; span <= KVT_SPAN_COPY; span++)
        loading += (double)p->span_ns[span];
    if (p->source < KVT_TIERS)
        tally->load_ns[p->source] += loading;

    double cache_usd_per_ns = 0, passed_ns = (double)(p->finish_ns - begin_ns);
    for (unsigned part = COST_REDIS; part <= COST_DISK; part++)
        cache_usd_per_ns += rented_usd_per_hour(&plan->parts[part]) / ns_per_hour;
    tally->balance_usd += saved_ns * usd_per_engine_ns(plan);
    if (tally->balance_usd < cache_usd_per_ns * passed_ns)
        tally->below_until_ns = p->finish_ns;
}

void cost_without_cache(struct cost_plan *plan)
{
    for (unsigned part = COST_REDIS; part < COST_PARTS; part++)
        plan->parts[part] = (struct cost_rate){.present = false};
    plan->inter_zone_ratio = plan->inter_region_ratio = 0;
    plan->regions = false;
}

double cost_mean_gpus(const struct kvt_core_stats *stats, kvt_ns begin_ns, kvt_ns end_ns)
{
    const kvt_ns at_ns = stats->resize.begin_ns;
    if (!stats->resize.begun || end_ns <= begin_ns)
        return 0;
    const double before = stats->resize.gpus_before, after = stats->resize.gpus_after;
    if (at_ns <= begin_ns) /* those that leave then, and do so during warm-up, are nobody's */
        return after;
    if (at_ns >= end_ns)
        return before;
    const double all_ns = (double)(end_ns - begin_ns), first_ns = (double)(at_ns - begin_ns);
    const double stay = before > after ? before - after - (double)stats->resize.left_gpus : 0;
    return (before * first_ns + (after + stay) * (all_ns - first_ns) +
            (double)stats->resize.leaving_ns) /
           all_ns;
}

/* Bytes to and from Redis that leave the zone or the region. */
static void compute_transfer(struct cost_figures *f, const struct cost_plan *plan,
                             const struct cost_run *run)
{
    const double share[COST_PARTS] = {
        [COST_ZONES] = plan->inter_zone_ratio, [COST_REGIONS] = plan->inter_region_ratio};
    for (unsigned part = COST_ZONES; part <= COST_REGIONS; part++) {
        f->moved_gb[part] = part == COST_REGIONS && plan->regions
                                ? run->between_b / 1e9
                                : run->moved_b / 1e9 * share[part];
        f->part_usd_per_hour[part] =
            run->moved_s > 0
                ? f->moved_gb[part] * plan->parts[part].usd_per_unit / (run->moved_s / s_per_hour)
                : 0;
    }
}

static void compute_tiers(struct cost_figures *f, const struct cost_plan *plan,
                          const struct cost_tally *tally, const struct cost_run *run)
{
    double hours = run->duration_s / s_per_hour;
    for (unsigned kind = 0; kind < KVT_TIERS; kind++) {
        struct cost_tier *tier = &f->tiers[kind];
        enum cost_part part = cost_part_of((enum kvt_tier_kind)kind);
        tier->present = kind == KVT_GPU || (kind == KVT_PEER && run->hit_tokens[kind] > 0) ||
                        (part != COST_PARTS && plan->parts[part].present);
        if (!tier->present)
            continue;
        tier->saved_gpu_s = tally->saved_ns[kind] / 1e9 * plan->gpus_per_engine;
        tier->load_s = tally->load_ns[kind] / 1e9;
        tier->usd_per_hour = part == COST_PARTS ? 0 : f->part_usd_per_hour[part];
        if (kind == KVT_REDIS)
            tier->usd_per_hour +=
                f->part_usd_per_hour[COST_ZONES] + f->part_usd_per_hour[COST_REGIONS];
        tier->saved_usd_per_hour = ratio_of(tally->saved_ns[kind] * usd_per_engine_ns(plan), hours);
        tier->pays_ratio = tier->usd_per_hour > 0 ? tier->saved_usd_per_hour / tier->usd_per_hour
                                                  : (double)INFINITY;
        double hit_rate = ratio_of((double)run->hit_tokens[kind], (double)run->prompt_tokens);
        tier->breakeven_hit_rate = tier->usd_per_hour > 0 ? ratio_of(hit_rate * tier->usd_per_hour,
                                                                     tier->saved_usd_per_hour)
                                                          : 0;
        f->saved_gpu_s += tier->saved_gpu_s;
    }
}

void cost_compute(struct cost_figures *f, const struct cost_plan *plan,
                  const struct cost_tally *tally, const struct cost_run *run)
{
    *f = (struct cost_figures){.present = plan->present};
    if (!plan->present)
        return;
    double hours = run->duration_s / s_per_hour, saved_ns = 0, hits = 0;
    for (unsigned part = COST_GPU; part <= COST_DISK; part++)
        f->part_usd_per_hour[part] = rented_usd_per_hour(&plan->parts[part]);
    struct cost_rate gpu = plan->parts[COST_GPU];
    gpu.count = f->gpus = run->gpus > 0 ? run->gpus : gpu.count;
    f->part_usd_per_hour[COST_GPU] = rented_usd_per_hour(&gpu);
    compute_transfer(f, plan, run);
    for (unsigned part = 0; part < COST_PARTS; part++)
        f->usd_per_hour += f->part_usd_per_hour[part];
    f->cache_usd_per_hour = f->usd_per_hour - f->part_usd_per_hour[COST_GPU];
    double usd = f->usd_per_hour * hours;
    f->usd_per_mtok_output = ratio_of(usd * 1e6, (double)run->output_tokens);
    f->usd_per_mtok_input = ratio_of(usd * 1e6, (double)run->prompt_tokens);
    f->usd_per_1000_requests = ratio_of(usd * 1e3, (double)run->requests);

    compute_tiers(f, plan, tally, run);
    for (unsigned kind = 0; kind < KVT_TIERS; kind++) {
        saved_ns += tally->saved_ns[kind];
        hits += (double)run->hit_tokens[kind];
    }
    f->saved_usd_per_hour = ratio_of(saved_ns * usd_per_engine_ns(plan), hours);
    f->payback_ratio = f->cache_usd_per_hour > 0 ? f->saved_usd_per_hour / f->cache_usd_per_hour
                                                 : (double)INFINITY;
    f->breakeven_hit_rate =
        f->cache_usd_per_hour > 0
            ? ratio_of(ratio_of(hits, (double)run->prompt_tokens) * f->cache_usd_per_hour,
                       f->saved_usd_per_hour)
            : 0;
    bool caught_up = f->saved_usd_per_hour >= f->cache_usd_per_hour;
    f->payback_s = !caught_up ? (double)NAN
                   : tally->below_until_ns > run->begin_ns
                       ? (double)(tally->below_until_ns - run->begin_ns) / 1e9
                       : 0;
}
