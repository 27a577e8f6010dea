/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * generate.c - the tables of kinds and of their parameters, and the one parser for both.
 *
 * Units are read here and not by cli/units.h, since workload/ stands below cli/; the spellings agree.
 */
#include "gen.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int (*open)(struct wl_feed *feed, const struct wl_gen_plan *plan, struct wl_error *error);
} kinds[WL_KINDS] = {
    [WL_CHAT] = {"chat", wl_gen_talk},
    [WL_AGENT] = {"agent", wl_gen_talk},
    [WL_RAG] = {"rag", wl_gen_rag},
    [WL_ZIPF_TREE] = {"zipf-tree", wl_gen_tree},
};

#define MOST_REQUESTS 268435456.0 /* 2^28: ids keep room for 24 bits of block index */
#define MOST_TOKENS   16777216.0
#define MOST_RATE     1e9
#define MOST_SECONDS  1e9

/* Defaults are order-of-magnitude figures of public traces, not of any one: chats of a few turns with short
 * questions and answers of some hundred tokens; agents with long instructions, tool outputs of a thousand or two
 * tokens and short answers. Columns: chat, agent, rag, zipf-tree. */
/* clang-format off */
const struct wl_generate_key wl_generate_keys[WL_PARAMS] = {
    [WL_REQUESTS] = {"requests", WL_UNIT_COUNT, 0, MOST_REQUESTS, {"10000", "10000", "10000", "10000"},
        "requests in all; 0: as many as the sessions have"},
    [WL_SESSIONS] = {"sessions", WL_UNIT_COUNT, 0, MOST_REQUESTS, {"0", "0", NULL, NULL},
        "sessions in all; 0: as many as the requests take"},
    [WL_RATE] = {"rate", WL_UNIT_RATE, 1e-6, MOST_RATE, {"1/s", "1/s", "1/s", "1/s"},
        "requests in the long run"},
    [WL_TENANTS] = {"tenants", WL_UNIT_COUNT, 1, WL_TENANTS_MOST, {"1", "1", "1", "1"},
        "equally busy tenants"},
    [WL_TURNS] = {"turns", WL_UNIT_NUMBER, 1, 10000, {"5", "3", NULL, NULL},
        "mean user turns of a session"},
    [WL_THINK] = {"think", WL_UNIT_DURATION, 0, MOST_SECONDS, {"30s", "60s", NULL, NULL},
        "mean pause of the user between an answer and the next turn"},
    [WL_PACE] = {"pace", WL_UNIT_NUMBER, 0.001, 1e9, {"30", "30", NULL, NULL},
        "answer tokens per second that the user or tool waits for"},
    [WL_SYSTEM_PROMPTS] = {"system_prompts", WL_UNIT_COUNT, 1, 1048576, {"4", "4", NULL, NULL},
        "different system prompts, drawn by a Zipf law"},
    [WL_SYSTEM_TOKENS] = {"system_tokens", WL_UNIT_COUNT, 0, MOST_TOKENS, {"1024", "8192", "512", "0"},
        "length of a system prompt"},
    [WL_USER_TOKENS] = {"user_tokens", WL_UNIT_NUMBER, 1, MOST_TOKENS, {"200", "300", "100", "200"},
        "mean new text of a user turn or question"},
    [WL_USER_CV] = {"user_cv", WL_UNIT_NUMBER, 0, 100, {"1.5", "1", "1", "1"},
        "spread of user_tokens: standard deviation / mean"},
    [WL_ANSWER_TOKENS] = {"answer_tokens", WL_UNIT_NUMBER, 1, MOST_TOKENS, {"300", "150", "200", "200"},
        "mean output"},
    [WL_ANSWER_CV] = {"answer_cv", WL_UNIT_NUMBER, 0, 100, {"1", "1.5", "1", "1"},
        "spread of answer_tokens"},
    [WL_CONTEXT_TOKENS] = {"context_tokens", WL_UNIT_COUNT, 4, MOST_TOKENS,
        {"32768", "131072", "32768", "32768"},
        "longest prompt and output; a session beyond starts over behind its system prompt"},
    [WL_STEPS] = {"steps", WL_UNIT_NUMBER, 1, 10000, {NULL, "8", NULL, NULL},
        "mean requests per user turn: tool calls and the answer"},
    [WL_STEP_TIME] = {"step_time", WL_UNIT_DURATION, 0, MOST_SECONDS, {NULL, "3s", NULL, NULL},
        "mean time that a tool takes"},
    [WL_TOOL_TOKENS] = {"tool_tokens", WL_UNIT_NUMBER, 1, MOST_TOKENS, {NULL, "1200", NULL, NULL},
        "mean output of a tool, which the next prompt takes in"},
    [WL_TOOL_CV] = {"tool_cv", WL_UNIT_NUMBER, 0, 100, {NULL, "2", NULL, NULL},
        "spread of tool_tokens"},
    [WL_DOCUMENTS] = {"documents", WL_UNIT_COUNT, 1, 1048576, {NULL, NULL, "1000", NULL},
        "documents that questions are about"},
    [WL_DOCUMENT_TOKENS] = {"document_tokens", WL_UNIT_NUMBER, 1, MOST_TOKENS, {NULL, NULL, "1500", NULL},
        "mean length of a document"},
    [WL_DOCUMENT_CV] = {"document_cv", WL_UNIT_NUMBER, 0, 100, {NULL, NULL, "0.5", NULL},
        "spread of document_tokens, over documents"},
    [WL_DOCUMENTS_PER_REQUEST] = {"documents_per_request", WL_UNIT_COUNT, 0, 16, {NULL, NULL, "3", NULL},
        "documents in front of each question"},
    [WL_SHUFFLE] = {"shuffle", WL_UNIT_BOOL, 0, 1, {NULL, NULL, "false", NULL},
        "documents in random order; false: the most popular first, which shares more"},
    [WL_FAN_OUT] = {"fan_out", WL_UNIT_COUNT, 1, 1048576, {NULL, NULL, NULL, "8"},
        "children of a node"},
    [WL_DEPTH] = {"depth", WL_UNIT_COUNT, 1, 36, {NULL, NULL, NULL, "4"}, "nodes on a path"},
    [WL_NODE_TOKENS] = {"node_tokens", WL_UNIT_NUMBER, 1, MOST_TOKENS, {NULL, NULL, NULL, "1024"},
        "mean text of a node"},
    [WL_NODE_CV] = {"node_cv", WL_UNIT_NUMBER, 0, 100, {NULL, NULL, NULL, "0.5"},
        "spread of node_tokens, over nodes"},
    [WL_ZIPF] = {"zipf", WL_UNIT_NUMBER, 0, 10, {"1", "1", "0.9", "1"},
        "exponent of the Zipf law: the k-th most popular has weight k^-zipf; 0: all equal"},
    [WL_FLOOD] = {"flood", WL_UNIT_RATE, 0, MOST_RATE, {"0/s", "0/s", "0/s", "0/s"},
        "prompts of a hostile tenant, none of which is ever repeated; 0/s: no such tenant"},
    [WL_FLOOD_TOKENS] = {"flood_tokens", WL_UNIT_COUNT, 1, MOST_TOKENS, {"8192", "8192", "8192", "8192"},
        "length of such a prompt"},
};
/* clang-format on */

const char *wl_kind_name(enum wl_kind kind)
{
    return kinds[kind].name;
}

/* ---- Values ----------------------------------------------------------------------------------------- */

struct scale {
    const char *unit;
    double factor;
};

static const struct scale rates[] = {
    {"/s", 1}, {"/min", 1.0 / 60}, {"/h", 1.0 / 3600}, {"/d", 1.0 / 86400}, {NULL, 0}};
static const struct scale durations[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1},
                                         {"min", 60},  {"h", 3600},  {"d", 86400}, {NULL, 0}};
static const struct scale plain[] = {{"", 1}, {NULL, 0}};

static bool parse_bool(const char *text, double *value)
{
    static const char *const words[] = {"false", "no", "off", "true", "yes", "on"};
    for (int i = 0; i < 6; i++)
        if (strcmp(text, words[i]) == 0) {
            *value = i >= 3;
            return true;
        }
    return false;
}

/* A decimal number, perhaps a blank, a unit of the list, nothing more. */
static bool parse_number(const char *text, const struct scale *units, double *value)
{
    const size_t n = strspn(text, "0123456789.");
    const bool exponent = (text[n] == 'e' || text[n] == 'E') &&
                          strspn(text + n + 1, "+-0123456789") > 0 && units == plain;
    char *end;
    if (n == 0 || (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')))
        return false;
    *value = strtod(text, &end);
    if (end != text + n && !exponent)
        return false;
    if (*end == ' ')
        end++;
    for (; units->unit != NULL; units++)
        if (strcmp(end, units->unit) == 0) {
            *value *= units->factor;
            return isfinite(*value);
        }
    return false;
}

static bool parse(const struct wl_generate_key *key, const char *text, double *value)
{
    switch (key->unit) {
    case WL_UNIT_BOOL:
        return parse_bool(text, value);
    case WL_UNIT_RATE:
        return parse_number(text, rates, value);
    case WL_UNIT_DURATION:
        return parse_number(text, durations, value);
    case WL_UNIT_COUNT:
        return parse_number(text, plain, value) && floor(*value) == *value;
    case WL_UNIT_NUMBER:
        break;
    }
    return parse_number(text, plain, value);
}

static int refuse(const struct wl_generate_key *key, struct wl_error *error)
{
    switch (key->unit) {
    case WL_UNIT_BOOL:
        return wl_fail(error, -EINVAL, NULL, 0, key->name, "expected true or false");
    case WL_UNIT_RATE:
        return wl_fail(error, -EINVAL, NULL, 0, key->name,
                       "expected a rate such as 4/s, 10/min or 3600/h, from %g/s to %g/s",
                       key->least, key->most);
    case WL_UNIT_DURATION:
        return wl_fail(error, -EINVAL, NULL, 0, key->name,
                       "expected a duration such as 500ms, 30s or 2min, at most %gs", key->most);
    case WL_UNIT_COUNT:
        return wl_fail(error, -EINVAL, NULL, 0, key->name,
                       "expected a whole number from %.0f to %.0f", key->least, key->most);
    case WL_UNIT_NUMBER:
        break;
    }
    return wl_fail(error, -EINVAL, NULL, 0, key->name, "expected a number from %g to %.10g",
                   key->least, key->most);
}

void wl_generate_init(struct wl_generate *g)
{
    *g = (struct wl_generate){.kind = WL_CHAT, .arrivals = {.kind = WL_POISSON}};
    for (int i = 0; i < WL_PARAMS; i++)
        g->value[i] = NAN;
}

static int set_kind(struct wl_generate *g, const char *value, struct wl_error *error)
{
    for (int i = 0; i < WL_KINDS; i++)
        if (strcmp(value, kinds[i].name) == 0) {
            g->kind = (enum wl_kind)i;
            return 0;
        }
    return wl_fail(error, -EINVAL, NULL, 0, "kind", "expected chat, agent, rag or zipf-tree");
}

int wl_generate_set(struct wl_generate *g, const char *key, const char *value,
                    struct wl_error *error)
{
    if (strcmp(key, "kind") == 0)
        return set_kind(g, value, error);
    if (strcmp(key, "arrivals") == 0) {
        const char *wrong = wl_arrivals_parse(&g->arrivals, value);
        return wrong == NULL ? 0 : wl_fail(error, -EINVAL, NULL, 0, key, "%s", wrong);
    }
    for (int i = 0; i < WL_PARAMS; i++) {
        const struct wl_generate_key *k = &wl_generate_keys[i];
        double number;
        if (strcmp(key, k->name) != 0)
            continue;
        if (!parse(k, value, &number) || number < k->least || number > k->most)
            return refuse(k, error);
        g->value[i] = number;
        return 0;
    }
    return wl_fail(error, -EINVAL, NULL, 0, key, "expected a parameter of a generator");
}

double wl_generate_value(const struct wl_generate *g, enum wl_param param)
{
    const char *fallback = wl_generate_keys[param].fallback[g->kind];
    double value = g->value[param];
    if (isnan(value) && (fallback == NULL || !parse(&wl_generate_keys[param], fallback, &value)))
        value = 0;
    return value;
}

int wl_generate_check(const struct wl_generate *g, struct wl_error *error)
{
    for (int i = 0; i < WL_PARAMS; i++)
        if (!isnan(g->value[i]) && wl_generate_keys[i].fallback[g->kind] == NULL)
            return wl_fail(error, -EINVAL, NULL, 0, wl_generate_keys[i].name,
                           "expected only with another kind, %s has no such parameter",
                           kinds[g->kind].name);
    const double context = wl_generate_value(g, WL_CONTEXT_TOKENS);
    if (wl_generate_value(g, WL_SYSTEM_TOKENS) > context - 2)
        return wl_fail(error, -EINVAL, NULL, 0, "system_tokens",
                       "expected at least 2 tokens less than context_tokens, %.0f", context);
    const bool sessions = g->kind == WL_CHAT || g->kind == WL_AGENT;
    if (wl_generate_value(g, WL_REQUESTS) == 0 &&
        (!sessions || wl_generate_value(g, WL_SESSIONS) == 0))
        return wl_fail(error, -EINVAL, NULL, 0, "requests", "expected at least 1%s",
                       sessions ? ", or sessions" : "");
    const double each = wl_generate_value(g, WL_DOCUMENTS_PER_REQUEST);
    if (g->kind == WL_RAG && each > wl_generate_value(g, WL_DOCUMENTS))
        return wl_fail(error, -EINVAL, NULL, 0, "documents_per_request",
                       "expected at most as many as documents");
    if (g->kind == WL_RAG && each * log2(wl_generate_value(g, WL_DOCUMENTS) + 1) > 36)
        return wl_fail(error, -EINVAL, NULL, 0, "documents_per_request",
                       "expected fewer: (documents + 1) ^ documents_per_request at most 2^36");
    if (g->kind == WL_ZIPF_TREE &&
        wl_generate_value(g, WL_DEPTH) * log2(wl_generate_value(g, WL_FAN_OUT) + 1) > 36)
        return wl_fail(error, -EINVAL, NULL, 0, "depth",
                       "expected less: (fan_out + 1) ^ depth at most 2^36");
    return 0;
}

int wl_gen_open(struct wl_feed *feed, const struct wl_generate *g, uint64_t seed,
                uint32_t block_tokens, struct wl_error *error)
{
    const int status = wl_generate_check(g, error);
    if (status != 0)
        return status;
    const struct wl_gen_plan plan = {.g = *g,
                                     .seed = seed,
                                     .block_tokens =
                                         block_tokens != 0 ? block_tokens : WL_BLOCK_TOKENS};
    *feed = (struct wl_feed){.format = WL_GENERATED,
                             .block_tokens = plan.block_tokens,
                             .partial = true,
                             .name = kinds[g->kind].name};
    const int opened = kinds[g->kind].open(feed, &plan, error);
    return opened == 0 && wl_generate_value(g, WL_FLOOD) > 0 ? wl_gen_flood(feed, &plan, error)
                                                             : opened;
}
