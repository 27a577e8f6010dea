/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_cost_print.c - the two blocks after the summary table: what the run costs, and the verdict.
 */
#include "results_impl.h"

#include <string.h>

enum { CELL = 32 };

static void head(FILE *out, bool colour, const char *name, const char *columns)
{
    fprintf(out, "\n%s%-*s%s%s\n", colour ? "\033[1m" : "", *columns != '\0' ? 16 : 0, name,
            colour ? "\033[0m" : "", columns);
}

/* Cents where there are dollars, three digits below. */
static const char *usd_cell(char text[CELL], double usd)
{
    if (!isfinite(usd))
        return strcpy(text, "-");
    snprintf(text, CELL, usd >= 0.995 || usd == 0 ? "%.2f" : "%.3g", usd);
    return text;
}

static const char *percent_cell(char text[CELL], double ratio)
{
    if (!isfinite(ratio))
        return strcpy(text, "-");
    snprintf(text, CELL, "%.1f %%", 100 * ratio);
    return text;
}

static const char *duration_cell(char text[CELL], double s)
{
    if (!isfinite(s))
        return strcpy(text, "not in this run");
    if (s < 120)
        snprintf(text, CELL, "%.0f s", s);
    else if (s < 7200)
        snprintf(text, CELL, "%.0f min", s / 60);
    else
        snprintf(text, CELL, "%.1f h", s / 3600);
    return text;
}

/* What a part is made of, and where its price stands. */
static void print_basis(FILE *out, const struct cost_rate *rate, double count)
{
    if (rate->unpriced)
        fprintf(out, "no price in the catalogue: counted as 0");
    else if (rate->free_count > 0 && rate->free_count >= count)
        fprintf(out, "%.4g %s, %s", count, rate->of,
                strcmp(rate->name, "included") == 0 ? "included" : "come with the GPUs");
    else if (rate->free_count > 0)
        fprintf(out, "%.4g of %.4g %s, the rest comes with the GPUs; %s, %s",
                count - rate->free_count, count, rate->of, rate->name, rate->date);
    else if (rate->region[0] != '\0')
        fprintf(out, "%.4g %s%s; %s, %s, %s", count, rate->of,
                count != 1 && strncmp(rate->of, "Gi", 2) != 0 && strcmp(rate->of, "GB") != 0 ? "s"
                                                                                             : "",
                rate->name, rate->region, rate->date);
    else
        fprintf(out, "%.4g %s at %s, own price", count, rate->of, rate->price);
}

static void print_bill(FILE *out, const struct results *r, bool colour)
{
    const struct cost_figures *c = &r->cost;
    char a[CELL], b[CELL], d[CELL];

    head(out, colour, "cost", "       USD/h    share");
    for (unsigned part = 0; part < COST_PARTS; part++) {
        const struct cost_rate *rate = &r->options.cost->parts[part];
        if (!rate->present)
            continue;
        fprintf(out, "  %-14s%12s%9s   ", cost_part_name((enum cost_part)part),
                usd_cell(a, c->part_usd_per_hour[part]),
                percent_cell(b, ratio_of(c->part_usd_per_hour[part], c->usd_per_hour)));
        print_basis(out, rate,
                    part >= COST_ZONES ? c->moved_gb[part]
                    : part == COST_GPU ? c->gpus
                                       : rate->count);
        fputc('\n', out);
    }
    fprintf(out, "  %-14s%12s%9s   ", "= per hour", usd_cell(a, c->usd_per_hour), "");
    fprintf(out, "%s per million output tokens, %s per million input, %s per 1,000 requests\n",
            usd_cell(a, c->usd_per_mtok_output), usd_cell(b, c->usd_per_mtok_input),
            usd_cell(d, c->usd_per_1000_requests));
}

static void print_tiers(FILE *out, const struct results *r)
{
    char a[CELL], b[CELL], d[CELL], text[160];

    for (unsigned kind = 0; kind < KVT_TIERS; kind++) {
        const struct cost_tier *tier = &r->cost.tiers[kind];
        if (!tier->present)
            continue;
        const struct crossover *cross =
            r->options.crossovers != NULL
                ? crossovers_own(r->options.crossovers, (enum kvt_tier_kind)kind)
                : NULL;
        if (cross == NULL)
            strcpy(d, "-");
        else if (cross->tokens > 0)
            snprintf(d, CELL, "%u", cross->tokens);
        else
            strcpy(d, "never");
        fprintf(out, "  %-14s%12.0f%14s%12s%12s   %s\n", kvt_tier_name((enum kvt_tier_kind)kind),
                tier->saved_gpu_s, usd_cell(a, tier->saved_usd_per_hour),
                usd_cell(b, tier->usd_per_hour), d,
                verdict_tier(text, sizeof text, (enum kvt_tier_kind)kind, tier));
    }
}

static void print_equal(FILE *out, const struct results *r)
{
    const struct cost_equal *e = &r->equal;
    char a[CELL], b[CELL];

    if (!e->done)
        return;
    if (!e->reachable) {
        fprintf(out, "  at equal SLO: %s\n", e->note);
        return;
    }
    fprintf(out, "  at equal SLO: without cache %u engine%s, %s USD/h; with it %s %s", e->engines,
            e->engines == 1 ? "" : "s", usd_cell(a, e->usd_per_hour),
            percent_cell(b, fabs(e->saving_ratio)), e->saving_ratio < 0 ? "more" : "less");
    fprintf(out, "%s%s (%u runs)\n", e->note[0] != '\0' ? "; " : "", e->note, e->runs);
}

void cost_print(FILE *out, const struct results *r, bool colour)
{
    const struct cost_figures *c = &r->cost;
    const struct verdict *v = &r->verdict;
    char a[CELL], b[CELL], d[CELL], g[CELL];

    if (!c->present)
        return;
    print_bill(out, r, colour);
    head(out, colour, "verdict", "GPU-s saved   saved USD/h  cost USD/h  loads from");
    print_tiers(out, r);
    if (c->cache_usd_per_hour > 0) {
        fprintf(out, "  the cache saves %s USD/h of GPU time for %s USD/h",
                usd_cell(a, c->saved_usd_per_hour), usd_cell(b, c->cache_usd_per_hour));
        if (c->breakeven_hit_rate <= 1)
            fprintf(out, "; they are even at a hit rate of %s, after a cold start in %s\n",
                    percent_cell(d, c->breakeven_hit_rate), duration_cell(g, c->payback_s));
        else
            fprintf(out, "; no hit rate would make them even\n");
    }
    print_equal(out, r);
    if (v->saturates[0] != '\0')
        fprintf(out, "  fills up first: %s, %s busy, full at %.3g times the traffic; engines %s\n",
                v->saturates, percent_cell(a, v->busy_ratio), 1 / v->busy_ratio,
                percent_cell(b, v->engine_busy_ratio));
    else
        fprintf(out, "  fills up first: engines, busy %s of the time\n",
                percent_cell(b, v->engine_busy_ratio));
    fprintf(out, "  the next dollar: %s\n", v->next);
}
