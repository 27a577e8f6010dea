/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_rollout.c - what a roll-out cost: rollout.csv, keys of summary.json, a section of the table. The file of a
 * run without one has no lines. Where figures come from: rollout.h.
 */
#include "results_impl.h"

#include <assert.h>
#include <string.h>

void results_set_rollout(struct results *r, const struct rollout *rollout)
{
    r->rollout = rollout;
}

/* ---- rollout.csv ------------------------------------------------------------------------------------- */

static void decimal(struct out *o, double value, unsigned decimals)
{
    out_char(o, ',');
    if (isfinite(value))
        out_fixed(o, value, decimals);
}

void csv_rollout(struct out *o, const struct results *r)
{
    static const char *const columns[] = {"_requests", "_hit_rate", "_ttft_p50_ms", "_ttft_p95_ms"};
    const struct rollout *rollout = r->rollout;
    out_text(o,
             "# Requests by arrival, around a roll-out of the model. steady: without one, cold: "
             "nothing warmed up, warm: with the scenario's warm-up. moved_ratio: share of "
             "sessions that the new epoch serves, at the end of the interval. switch_s: the first "
             "step.\n");
    out_text(o, "time_s,interval_s,switch_s,moved_ratio");
    for (int p = 0; p < ROLLOUT_PASSES; p++)
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            out_char(o, ',');
            out_text(o, rollout_pass_names[p]);
            out_text(o, columns[c]);
        }
    out_char(o, '\n');
    for (size_t i = 0; rollout && i < rollout->n_bins; i++) {
        const struct rollout_bin *b = &rollout->bins[i];
        out_fixed(o, (double)b->end_ns / 1e9, 3);
        decimal(o, (double)(b->end_ns - b->begin_ns) / 1e9, 3);
        decimal(o, (double)rollout->config.at_ns / 1e9, 3);
        decimal(o, b->share, 6);
        for (int p = 0; p < ROLLOUT_PASSES; p++) {
            const bool ran = rollout->pass[p].present;
            decimal(o, ran ? (double)b->pass[p].requests : (double)NAN, 0);
            decimal(o, ratio_of((double)b->pass[p].hit_tokens, (double)b->pass[p].prompt_tokens),
                    6);
            decimal(o, ran ? b->pass[p].ttft_p50_ms : (double)NAN, 6);
            decimal(o, ran ? b->pass[p].ttft_p95_ms : (double)NAN, 6);
        }
        out_char(o, '\n');
    }
}

/* ---- summary.json ------------------------------------------------------------------------------------ */

static bool put(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) == 0;
}

static json_t *real(double value, unsigned decimals)
{
    return isfinite(value) ? json_real(round_to(value, decimals)) : json_null();
}

static bool put_pass(json_t *o, const char *name, const struct rollout_figures *f, bool priced)
{
    const struct {
        const char *key;
        double value;
        unsigned decimals;
    } all[] = {
        {"window_requests", (double)f->requests, 0},
        {"window_hit_rate", f->hit_rate, 6},
        {"window_ttft_p50_ms", f->ttft_p50_ms, 6},
        {"window_ttft_p95_ms", f->ttft_p95_ms, 6},
        {"window_ttft_p99_ms", f->ttft_p99_ms, 6},
        {"computed_tokens", (double)f->computed_tokens, 0},
        {"prefill_gpu_s", f->prefill_gpu_s, 6},
        {"busy_gpu_s", f->busy_gpu_s, 6},
        {"extra_computed_tokens", f->extra_tokens, 0},
        {"extra_prefill_gpu_s", f->extra_prefill_gpu_s, 6},
        {"extra_busy_gpu_s", f->extra_busy_gpu_s, 6},
        {"extra_usd", priced ? f->extra_usd : (double)NAN, 6},
        {"recovery_s", f->recovery_s, 3},
    };
    bool good = true;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char key[64];
        snprintf(key, sizeof key, "rollout_%s_%s", name, all[i].key);
        good &= put(o, key,
                    all[i].decimals || !isfinite(all[i].value)
                        ? real(all[i].value, all[i].decimals)
                        : json_integer((json_int_t)all[i].value));
    }
    return good;
}

int json_rollout(json_t *o, const struct results *r)
{
    const struct rollout *x = r->rollout;
    if (!x)
        return 0;
    bool good = put(o, "rollout_at_s", real((double)x->config.at_ns / 1e9, 9)) &&
                put(o, "rollout_end_s", real((double)x->end_ns / 1e9, 9)) &&
                put(o, "rollout_warm_up", json_string(rollout_warm_up_name(x->config.warm_up)));
    for (int p = 0; p < ROLLOUT_PASSES; p++)
        if (x->pass[p].present)
            good &= put_pass(o, rollout_pass_names[p], &x->pass[p], x->priced);
    if (x->pass[ROLLOUT_WARM].present) {
        good &= put(o, "rollout_warm_up_requests", json_integer((json_int_t)x->warm_requests));
        good &= put(o, "rollout_warm_up_late_requests", json_integer((json_int_t)x->warm_late));
        good &= put(o, "rollout_warm_up_tokens", json_integer((json_int_t)x->warm_tokens));
        good &= put(o, "rollout_warm_up_gpu_s", real(x->warm_prefill_gpu_s, 6));
        good &= put(o, "rollout_warm_up_usd", real(x->priced ? x->warm_usd : (double)NAN, 6));
    }
    const struct rollout_figures *own =
        &x->pass[x->pass[ROLLOUT_WARM].present ? ROLLOUT_WARM : ROLLOUT_COLD];
    good &= put(o, "rollout_window_hit_rate", real(own->hit_rate, 6));
    good &= put(o, "rollout_window_ttft_p95_ms", real(own->ttft_p95_ms, 6));
    good &= put(o, "rollout_extra_prefill_gpu_s", real(own->extra_prefill_gpu_s, 6));
    good &= put(o, "rollout_extra_usd", real(x->priced ? own->extra_usd : (double)NAN, 6));
    good &= put(o, "rollout_recovery_s", real(own->recovery_s, 3));
    good &= put(o, "definition_rollout",
                json_string("steady: the same requests without a roll-out; cold: with it, nothing "
                            "warmed up; warm: with the warm-up; no pass named: as the scenario has "
                            "it. window: requests from the first "
                            "step until rollout.watch after the last. extra: over the whole run, "
                            "less steady, warm-up included; prefill GPU time is that of an idle "
                            "engine"));
    return good ? 0 : -1;
}

/* ---- The table --------------------------------------------------------------------------------------- */

enum { CELL = 24 };

static const char *cell(char text[CELL], double value, int decimals, const char *unit)
{
    if (!isfinite(value))
        return strcpy(text, "-");
    snprintf(text, CELL, "%.*f%s", decimals, value, unit);
    return text;
}

/* With its sign, or nothing for what is the measure itself. */
static const char *more_cell(char text[CELL], bool more, double value, int decimals)
{
    if (!more || !isfinite(value))
        return strcpy(text, "-");
    snprintf(text, CELL, "%+.*f", decimals, value);
    return text;
}

static const char *ms_cell(char text[CELL], double ms)
{
    return ms < 999.5 ? cell(text, ms, ms < 99.95 ? 1 : 0, " ms") : cell(text, ms / 1e3, 2, " s");
}

static void print_pass(FILE *out, const struct rollout *x, enum rollout_pass p)
{
    const struct rollout_figures *f = &x->pass[p];
    char a[CELL], b[CELL], c[CELL], d[CELL], e[CELL], g[CELL], h[CELL], name[32];
    if (!f->present)
        return;
    snprintf(name, sizeof name, "%s%s",
             p == ROLLOUT_STEADY ? "no roll-out"
             : p == ROLLOUT_COLD ? "cold"
                                 : "warm-up ",
             p == ROLLOUT_WARM ? rollout_warm_up_name(x->config.warm_up) : "");
    const bool more = p != ROLLOUT_STEADY;
    fprintf(out, "  %-16s%9s%11s%10s%14.0f%12s%12s%10s%13s\n", name,
            cell(a, 100 * f->hit_rate, 1, " %"), ms_cell(b, f->ttft_p50_ms),
            ms_cell(c, f->ttft_p95_ms), (double)f->computed_tokens,
            cell(d, f->prefill_gpu_s, 0, ""), more_cell(e, more, f->extra_prefill_gpu_s, 0),
            more_cell(g, more && x->priced, f->extra_usd, 2),
            more && !isfinite(f->recovery_s) ? "not seen" : cell(h, f->recovery_s, 0, " s"));
}

void rollout_print(FILE *out, const struct results *r, bool colour)
{
    const struct rollout *x = r->rollout;
    if (!x)
        return;
    fprintf(
        out, "\n%s%-16s%s%s\n", colour ? "\033[1m" : "", "roll-out", colour ? "\033[0m" : "",
        "   hit rate   TTFT p50       p95      computed  prefill s     extra s       USD    hits "
        "back");
    for (int p = 0; p < ROLLOUT_PASSES; p++)
        print_pass(out, x, (enum rollout_pass)p);
    fprintf(out, "  %llu requests from %.0f s", (unsigned long long)x->pass[0].requests,
            (double)x->config.at_ns / 1e9);
    if (x->end_ns > x->config.at_ns && x->end_ns != KVT_NEVER)
        fprintf(out, ", all moved at %.0f s,", (double)x->end_ns / 1e9);
    fprintf(out, " to %.0f s; computed, s (of GPUs) and USD: of the whole run\n",
            (double)x->window_end_ns / 1e9);
    if (x->pass[0].requests == 0)
        fputs("  no request came after the switch: it is later than the traffic\n", out);
    if (x->pass[ROLLOUT_WARM].present)
        fprintf(out,
                "  warm-up: %llu requests, %llu tokens computed, %.0f GPU-s%s; %llu ended after "
                "the switch\n",
                (unsigned long long)x->warm_requests, (unsigned long long)x->warm_tokens,
                x->warm_prefill_gpu_s, x->priced ? "" : ", no price",
                (unsigned long long)x->warm_late);
}
