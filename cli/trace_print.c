/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * trace_print.c - the figures of a trace, as a table for people and as one flat JSON object.
 *
 * Counts are exact, times have three significant digits. A "-", in JSON null, is "not defined
 * here": no second request, no block used twice. JSON keys carry their unit; ratios are rounded
 * to 10^-6, times to the nanosecond.
 */
#include "trace.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "out.h"
#include "units.h"

enum { CELL = 32 };

/* ---- For people -------------------------------------------------------------------------------------- */

static const char *count_cell(char text[CELL], double value)
{
    return isfinite(value) ? units_show_count(text, CELL, (uint64_t)llround(value)) : "-";
}

static const char *time_cell(char text[CELL], double value_s)
{
    return isfinite(value_s) ? units_show_ns(text, CELL, value_s * 1e9) : "-";
}

static void print_spread(const char *name, const struct trace_spread *s,
                         const char *(*cell)(char *, double))
{
    const double values[] = {s->mean, s->p50, s->p90, s->p99, s->max};
    char text[CELL];
    printf("  %-18s", name);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        printf(" %13s", cell(text, values[i]));
    putchar('\n');
}

static void print_heads(const char *name)
{
    printf("\n%-20s %13s %13s %13s %13s %13s\n", name, "mean", "p50", "p90", "p99", "max");
}

static void print_count(const char *name, uint64_t value, const char *note)
{
    char text[CELL];
    printf("  %-18s %13s%s%s\n", name, units_show_count(text, sizeof text, value),
           *note ? "  " : "", note);
}

static void print_share(const char *name, uint64_t part, uint64_t whole)
{
    char a[CELL], b[CELL];
    printf("  %-18s %13s of %s", name, units_show_count(a, sizeof a, part),
           units_show_count(b, sizeof b, whole));
    if (whole > 0)
        printf(", %.2f %%", 100 * (double)part / (double)whole);
    putchar('\n');
}

static void print_rule(const struct wl_synth *rule)
{
    char idle[CELL];
    printf("\nThe trace has lengths only, so prefixes are made up, and what is found follows from "
           "this rule:\n"
           "each prompt starts with one shared system prompt of %u tokens. With probability %g a "
           "request\n"
           "continues, of the conversations idle for at most %s, the one with the longest text "
           "that is\n"
           "shorter than its prompt; the rest of the prompt is new. Otherwise it starts one.\n",
           rule->system_tokens, rule->continues,
           units_show_ns(idle, sizeof idle, (double)rule->idle_ns));
}

static void print_head(const struct trace_stats *s, const char *name)
{
    char text[CELL];
    printf("%s\n", name);
    printf("  %-18s %s, blocks of %u tokens%s\n", "format", s->info.name,
           s->info.trace_block_tokens,
           s->info.trace_partial ? ", the last of a prompt may be partial" : ", full blocks only");
    printf("  %-18s %s\n", "requests", units_show_count(text, sizeof text, s->requests));
    printf("  %-18s %s\n", "duration", units_show_ns(text, sizeof text, (double)s->duration_ns));
    if (isfinite(s->rate_per_s))
        printf("  %-18s %.3g requests/s\n", "mean rate", s->rate_per_s);
    else
        printf("  %-18s -\n", "mean rate");
    if (isfinite(s->interarrival_cv))
        printf("  %-18s %.3g\n", "inter-arrival cv", s->interarrival_cv);
    else
        printf("  %-18s -\n", "inter-arrival cv");
    printf("  %-18s %s\n", "sessions",
           s->sessions > 0 ? units_show_count(text, sizeof text, s->sessions) : "unknown");
    printf("  %-18s %s\n", "tenants", units_show_count(text, sizeof text, s->tenants));
}

void trace_print(const struct trace_stats *s, const char *name, const struct wl_synth *rule)
{
    print_head(s, name);
    print_heads("tokens");
    print_spread("prompt", &s->prompt, count_cell);
    print_spread("output", &s->output, count_cell);

    printf("\nblocks\n");
    print_count("of prompts", s->prompt_blocks, "");
    if (s->output_blocks > 0)
        print_count("of outputs", s->output_blocks, "stored for later prompts");
    print_count("distinct", s->distinct_blocks, "");

    printf("\nfound, at most (an infinite cache)\n");
    print_share("blocks", s->hit_blocks, s->prompt_blocks);
    print_share("tokens", s->hit_tokens, s->prompt_tokens);
    print_share("whole prompts", s->whole_prompts, s->requests);

    print_heads("reuse gap of a block");
    print_spread("time", &s->reuse_s, time_cell);
    print_spread("requests", &s->reuse_requests, count_cell);
    if (rule)
        print_rule(rule);
}

/* ---- For machines ------------------------------------------------------------------------------------ */

/* The object under construction; out of memory sticks. */
struct object {
    json_t *json;
    bool failed;
};

static void put(struct object *o, const char *key, json_t *value)
{
    if (json_object_set_new(o->json, key, value) != 0)
        o->failed = true;
}

static void put_text(struct object *o, const char *key, const char *text)
{
    json_t *value = json_string(text); /* NULL when text is not UTF-8 */
    put(o, key, value ? value : json_string("(not UTF-8)"));
}

static void put_count(struct object *o, const char *key, uint64_t value)
{
    put(o, key, json_integer((json_int_t)value));
}

static void put_real(struct object *o, const char *key, double value, unsigned decimals)
{
    put(o, key, isfinite(value) ? json_real(round_to(value, decimals)) : json_null());
}

static void put_ratio(struct object *o, const char *key, uint64_t part, uint64_t whole)
{
    put_real(o, key, whole > 0 ? (double)part / (double)whole : NAN, 6);
}

static void put_spread(struct object *o, const char *stem, const char *unit,
                       const struct trace_spread *s, unsigned decimals)
{
    const struct {
        const char *name;
        double value;
    } all[] = {
        {"mean", s->mean}, {"p50", s->p50}, {"p90", s->p90}, {"p99", s->p99}, {"max", s->max}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_%s_%s", stem, all[i].name, unit);
        put_real(o, key, all[i].value, decimals);
    }
}

static void put_traffic(struct object *o, const struct trace_stats *s)
{
    put_text(o, "format", s->info.name);
    put_count(o, "block_tokens", s->info.trace_block_tokens);
    put(o, "partial_blocks", json_boolean(s->info.trace_partial));
    put_count(o, "requests", s->requests);
    put_real(o, "duration_s", (double)s->duration_ns / 1e9, 9);
    put_real(o, "requests_per_s", s->rate_per_s, 6);
    put_real(o, "interarrival_cv", s->interarrival_cv, 6);
    put(o, "sessions", s->sessions > 0 ? json_integer((json_int_t)s->sessions) : json_null());
    put_count(o, "tenants", s->tenants);
    put_count(o, "prompt_tokens", s->prompt_tokens);
    put_spread(o, "prompt", "tokens", &s->prompt, 3);
    put_count(o, "output_tokens", s->output_tokens);
    put_spread(o, "output", "tokens", &s->output, 3);
}

static void put_reuse(struct object *o, const struct trace_stats *s)
{
    put_count(o, "prompt_blocks", s->prompt_blocks);
    put_count(o, "output_blocks", s->output_blocks);
    put_count(o, "distinct_blocks", s->distinct_blocks);
    put_count(o, "hit_blocks", s->hit_blocks);
    put_ratio(o, "hit_block_ratio", s->hit_blocks, s->prompt_blocks);
    put_count(o, "hit_tokens", s->hit_tokens);
    put_ratio(o, "hit_token_ratio", s->hit_tokens, s->prompt_tokens);
    put_count(o, "whole_prompts", s->whole_prompts);
    put_ratio(o, "whole_prompt_ratio", s->whole_prompts, s->requests);
    put_count(o, "reuses", s->reuse_s.n);
    put_spread(o, "reuse_gap", "s", &s->reuse_s, 9);
    put_spread(o, "reuse_gap", "requests", &s->reuse_requests, 3);
}

int trace_print_json(const struct trace_stats *s, const char *name, const struct wl_synth *rule)
{
    struct object o = {.json = json_object()};
    if (!o.json)
        return -ENOMEM;
    put_text(&o, "trace", name);
    put_traffic(&o, s);
    put_reuse(&o, s);
    if (rule) {
        put_count(&o, "synth_system_tokens", rule->system_tokens);
        put_real(&o, "synth_continues", rule->continues, 6);
        put_real(&o, "synth_idle_s", (double)rule->idle_ns / 1e9, 9);
    }
    char *text = o.failed ? NULL : json_dumps(o.json, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(o.json);
    if (!text)
        return -ENOMEM;
    puts(text);
    free(text);
    return 0;
}
