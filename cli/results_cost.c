/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_cost.c - cost and verdict of a run: figures at its end, cost.csv, verdict.csv, crossover.csv, the
 * keys in summary.json. The block for people is in results_cost_print.c.
 *
 * A collector without a plan (the null world) has none of it: the files then hold their column names alone.
 */
#include "results_impl.h"

#include <assert.h>

#include <string.h>

/* Decimals of derived columns. */
enum { USD = 6, RATIO = 6, MS = 6 };

void results_set_equal(struct results *r, const struct cost_equal *equal)
{
    r->equal = *equal;
}

const struct cost_figures *results_cost(const struct results *r)
{
    assert(r->closed);
    return &r->cost;
}

/* ---- At the end of the run ---- */

void cost_close(struct results *r)
{
    const struct results_figures *f = &r->figures;
    if (r->options.cost == NULL || !r->options.cost->present)
        return;
    struct cost_run run = {
        .duration_s = f->duration_s,
        .output_tokens = f->output_tokens,
        .prompt_tokens = f->prompt_tokens,
        .requests = f->finished,
        .moved_b =
            (double)r->stats.bytes_read[KVT_REDIS] + (double)r->stats.bytes_written[KVT_REDIS],
        .moved_s = (double)r->last_note_ns / 1e9,
        .between_b = regions_between_b(r),
        .begin_ns = results_begin_ns(r),
        .gpus = cost_mean_gpus(&r->stats, results_begin_ns(r), r->last_note_ns),
    };
    for (unsigned tier = 0; tier < KVT_TIERS; tier++)
        run.hit_tokens[tier] = f->ledger_tokens[KVT_HIT_GPU + tier];
    cost_compute(&r->cost, r->options.cost, &r->tally, &run);
    const struct verdict_run verdict = {
        .plan = r->options.cost,
        .tally = &r->tally,
        .cost = &r->cost,
        .ledger_tokens = f->ledger_tokens,
        .busy = r->busy,
        .n_busy = r->n_busy,
        .duration_s = f->duration_s,
        .wait_share = ratio_of(f->latency[RESULTS_QUEUE].mean_ms, f->latency[RESULTS_TTFT].mean_ms),
    };
    verdict_find(&r->verdict, &verdict);
}

/* ---- CSV ---- */

static void decimal(struct out *o, double value, unsigned decimals)
{
    out_char(o, ',');
    out_fixed(o, value, decimals);
}

static void field(struct out *o, const char *text)
{
    out_char(o, ',');
    out_field(o, text);
}

static void cost_row(struct out *o, const struct results *r, const char *name, double usd,
                     double begin, const struct cost_rate *rate)
{
    const struct cost_figures *c = &r->cost;
    static const struct cost_rate none = {.name = ""};
    bool sum = rate == NULL;

    rate = sum ? &none : rate;
    out_text(o, name);
    decimal(o, usd, USD);
    decimal(o, begin, USD);
    decimal(o, begin + usd, USD);
    decimal(o, ratio_of(usd, c->usd_per_hour), RATIO);
    decimal(o, ratio_of(usd * c->usd_per_mtok_output, c->usd_per_hour), USD);
    decimal(o, sum ? (double)NAN : rate->count, 3);
    decimal(o, sum ? (double)NAN : rate->free_count, 3);
    field(o, rate->of);
    decimal(o, sum ? (double)NAN : rate->usd_per_unit, 9);
    field(o, rate->price);
    field(o, rate->unpriced ? "none" : rate->name);
    field(o, rate->region);
    field(o, rate->date);
    field(o, rate->evidence);
    field(o, rate->source);
    out_char(o, '\n');
}

void csv_cost(struct out *o, const struct results *r)
{
    const struct cost_plan *plan = r->options.cost;
    double begin = 0;

    out_text(o, "# Where the money goes. usd_per_hour of each part, stacked from begin to end; "
                "total is their sum, saved_gpu_time the GPU time that hits saved at the GPUs' "
                "price.\n"
                "# count is what is there, free_count of it comes with the GPUs' instances; zones "
                "and regions: GB moved. usd_per_unit is per hour, or per GB.\n"
                "# entry: in the catalogue; own: the scenario's price. Evidence: S read in the "
                "source, D derived, M measured, C commonly known.\n");
    out_text(o, "part,usd_per_hour,begin_usd_per_hour,end_usd_per_hour,ratio,usd_per_mtok_output,"
                "count,free_count,of,usd_per_unit,price,entry,region,date,evidence,source\n");
    if (!r->cost.present)
        return;
    for (unsigned part = 0; part < COST_PARTS; part++) {
        struct cost_rate rate = plan->parts[part];
        if (!rate.present)
            continue;
        if (part >= COST_ZONES)
            rate.count = r->cost.moved_gb[part];
        if (part == COST_GPU)
            rate.count = r->cost.gpus;
        double usd = r->cost.part_usd_per_hour[part];
        cost_row(o, r, cost_part_name((enum cost_part)part), usd, begin, &rate);
        begin += usd;
    }
    cost_row(o, r, "total", begin, 0, NULL);
    cost_row(o, r, "saved_gpu_time", r->cost.saved_usd_per_hour, 0, NULL);
}

void csv_verdict(struct out *o, const struct results *r)
{
    out_text(o,
             "# Does each tier pay? saved_gpu_s: GPU seconds that hits in it saved; load_s: time "
             "to first tokens spent on loading, by farthest tier.\n"
             "# pays_ratio: saved / cost, empty where nothing is charged. breakeven_hit_rate: "
             "prefix hit rate from this tier at which both are equal, by proportion.\n"
             "# crossover_tokens: from this length on loading is faster than computing on an "
             "idle cluster; empty: never.\n");
    out_text(o, "tier,saved_gpu_s,load_s,saved_usd_per_hour,usd_per_hour,pays_ratio,hit_rate,"
                "breakeven_hit_rate,crossover_tokens\n");
    for (unsigned kind = 0; kind < KVT_TIERS && r->cost.present; kind++) {
        const struct cost_tier *tier = &r->cost.tiers[kind];
        if (!tier->present)
            continue;
        const struct crossover *cross =
            r->options.crossovers != NULL
                ? crossovers_own(r->options.crossovers, (enum kvt_tier_kind)kind)
                : NULL;
        out_text(o, kvt_tier_name((enum kvt_tier_kind)kind));
        decimal(o, tier->saved_gpu_s, 3);
        decimal(o, tier->load_s, 3);
        decimal(o, tier->saved_usd_per_hour, USD);
        decimal(o, tier->usd_per_hour, USD);
        decimal(o, tier->pays_ratio, RATIO);
        decimal(o,
                ratio_of((double)r->figures.ledger_tokens[KVT_HIT_GPU + kind],
                         (double)r->figures.prompt_tokens),
                RATIO);
        decimal(o, tier->breakeven_hit_rate, RATIO);
        out_char(o, ',');
        if (cross != NULL && cross->tokens > 0)
            out_u64(o, cross->tokens);
        out_char(o, '\n');
    }
}

void csv_crossover(struct out *o, const struct results *r)
{
    const struct crossovers *all = r->options.crossovers;

    out_text(o,
             "# Load or compute, by tier and codec, on an idle cluster: what core predicts for a "
             "load of so many tokens, and prefill of as many.\n"
             "# own: 1 for the scenario's chain. crossover_tokens: from there on loading is "
             "faster; empty: never within the model's context.\n");
    out_text(o, "tier,codec,own,ratio,tokens,load_ms,compute_ms,crossover_tokens\n");
    for (uint32_t i = 0; all != NULL && i < all->n; i++) {
        const struct crossover *row = &all->rows[i];
        for (uint32_t k = 0; k < row->n_lengths; k++) {
            out_text(o, kvt_tier_name(row->tier));
            field(o, row->codec);
            out_text(o, row->own ? ",1" : ",0");
            decimal(o, row->ratio, RATIO);
            out_char(o, ',');
            out_u64(o, crossover_tokens(k));
            decimal(o, row->load_ms[k], MS);
            decimal(o, row->compute_ms[k], MS);
            out_char(o, ',');
            if (row->tokens > 0)
                out_u64(o, row->tokens);
            out_char(o, '\n');
        }
    }
}

/* ---- summary.json ---- */

static bool put(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) == 0;
}

static bool put_real(json_t *o, const char *key, double value, unsigned decimals)
{
    return put(o, key, isfinite(value) ? json_real(round_to(value, decimals)) : json_null());
}

static bool put_parts(json_t *o, const struct results *r)
{
    const struct cost_plan *plan = r->options.cost;
    bool good = true;
    char key[64], text[512];

    for (unsigned part = 0; part < COST_PARTS; part++) {
        const struct cost_rate *rate = &plan->parts[part];
        const char *name = cost_part_name((enum cost_part)part);
        snprintf(key, sizeof key, "cost_usd_per_hour_%s", name);
        good &= put_real(o, key, r->cost.part_usd_per_hour[part], USD);
        if (!rate->present)
            continue;
        if (rate->unpriced)
            snprintf(text, sizeof text, "none in the catalogue: counted as 0");
        else if (rate->region[0] != '\0')
            snprintf(text, sizeof text, "%s, %s, %s, %s", rate->price, rate->name, rate->region,
                     rate->date);
        else
            snprintf(text, sizeof text, "%s%s%s", rate->price, rate->price[0] != '\0' ? ", " : "",
                     rate->name);
        snprintf(key, sizeof key, "price_%s", name);
        good &= put(o, key, json_string(text));
    }
    return good;
}

static bool put_equal(json_t *o, const struct results *r)
{
    const struct cost_equal *e = &r->equal;
    bool good = put_real(o, "cost_saving_ratio", e->done ? e->saving_ratio : (double)NAN, RATIO);

    if (!e->done)
        return good & put(o, "cost_saving_note",
                          json_string("not searched: run with --equal-slo (or prices.equal_slo), "
                                      "which finds how many engines are as fast without cache"));
    good &= put(o, "equal_slo_reachable", json_boolean(e->reachable));
    good &= put(o, "equal_slo_engines", e->reachable ? json_integer(e->engines) : json_null());
    good &= put_real(o, "equal_slo_cost_usd_per_hour", e->usd_per_hour, USD);
    good &= put_real(o, "equal_slo_ttft_p95_ms", e->ttft_p95_ms, MS);
    good &= put_real(o, "equal_slo_tpot_p95_ms", e->tpot_p95_ms, MS);
    good &= put_real(o, "equal_slo_reached_ttft_p95_ms", e->reached_ttft_p95_ms, MS);
    good &= put_real(o, "equal_slo_reached_tpot_p95_ms", e->reached_tpot_p95_ms, MS);
    good &= put(o, "equal_slo_runs", json_integer(e->runs));
    return good & put(o, "cost_saving_note", json_string(e->note));
}

static bool put_verdict(json_t *o, const struct results *r)
{
    const struct verdict *v = &r->verdict;
    bool good = true;
    char key[64], text[160];

    for (unsigned kind = 0; kind < KVT_TIERS; kind++) {
        const struct cost_tier *tier = &r->cost.tiers[kind];
        const char *name = kvt_tier_name((enum kvt_tier_kind)kind);
        if (!tier->present)
            continue;
        snprintf(key, sizeof key, "verdict_%s", name);
        good &= put(o, key,
                    json_string(verdict_tier(text, sizeof text, (enum kvt_tier_kind)kind, tier)));
        snprintf(key, sizeof key, "saved_gpu_s_%s", name);
        good &= put_real(o, key, tier->saved_gpu_s, 3);
        snprintf(key, sizeof key, "saved_usd_per_hour_%s", name);
        good &= put_real(o, key, tier->saved_usd_per_hour, USD);
        snprintf(key, sizeof key, "load_s_%s", name);
        good &= put_real(o, key, tier->load_s, 3);
        const struct crossover *cross =
            r->options.crossovers != NULL
                ? crossovers_own(r->options.crossovers, (enum kvt_tier_kind)kind)
                : NULL;
        if (cross == NULL)
            continue;
        snprintf(key, sizeof key, "crossover_tokens_%s", name);
        good &= put(o, key, cross->tokens > 0 ? json_integer(cross->tokens) : json_null());
    }
    good &=
        put(o, "busiest_part", v->saturates[0] != '\0' ? json_string(v->saturates) : json_null());
    good &= put_real(o, "busiest_part_ratio", v->busy_ratio, RATIO);
    good &= put_real(o, "busiest_part_full_at_traffic", ratio_of(1, v->busy_ratio), 3);
    good &= put_real(o, "busiest_engine_ratio", v->engine_busy_ratio, RATIO);
    good &= put(o, "next_dollar", json_string(v->next));
    return good & put(o, "next_dollar_rule", json_integer(v->rule));
}

static bool put_definitions(json_t *o)
{
    bool good =
        put(o, "definition_cost",
            json_string("rent of GPUs, Redis nodes, memory and disks per hour, and transfer "
                        "over the run's hours; per token and per request: the whole bill "
                        "over each of them, never to be added"));
    good &= put(o, "definition_cost_saved",
                json_string("GPU time that found tokens would have taken on an idle engine, at the "
                            "price of a GPU; not yet a smaller bill: see cost_saving_ratio"));
    good &=
        put(o, "definition_cost_saving_ratio",
            json_string("1 - cost / cost of the fewest engines without cache that meet the same "
                        "p95 TTFT and TPOT on the same requests, found by simulation"));
    return good & put(o, "definition_cost_breakeven_hit_rate",
                      json_string("prefix hit rate at which saved and cost of the cache are equal, "
                                  "as if savings were in proportion to it"));
}

int json_cost(json_t *o, const struct results *r, const struct results *baseline)
{
    const struct cost_figures *c = &r->cost;

    if (!c->present)
        return 0;
    bool good = put_real(o, "cost_usd_per_hour", c->usd_per_hour, USD) && put_parts(o, r);
    good &= put_real(o, "cost_cache_usd_per_hour", c->cache_usd_per_hour, USD);
    good &= put_real(o, "cost_usd_per_mtok_output", c->usd_per_mtok_output, USD);
    good &= put_real(o, "cost_usd_per_mtok_input", c->usd_per_mtok_input, USD);
    good &= put_real(o, "cost_usd_per_1000_requests", c->usd_per_1000_requests, USD);
    if (baseline != NULL && baseline->cost.present) {
        const struct cost_figures *b = &baseline->cost;
        good &= put_real(o, "baseline_cost_usd_per_hour", b->usd_per_hour, USD);
        good &= put_real(o, "baseline_cost_usd_per_mtok_output", b->usd_per_mtok_output, USD);
        good &= put_real(o, "baseline_cost_usd_per_1000_requests", b->usd_per_1000_requests, USD);
    }
    good &= put_real(o, "cost_saved_gpu_s", c->saved_gpu_s, 3);
    good &= put_real(o, "cost_saved_usd_per_hour", c->saved_usd_per_hour, USD);
    good &= put_real(o, "cost_payback_ratio", c->payback_ratio, RATIO);
    good &= put_real(o, "cost_payback_s", c->payback_s, 3);
    good &= put_real(o, "cost_breakeven_hit_rate", c->breakeven_hit_rate, RATIO);
    good &= put_equal(o, r) && put_verdict(o, r) && put_definitions(o);
    return good ? 0 : -1;
}
