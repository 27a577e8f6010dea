/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * generate.h - what a generator draws: kinds of traffic, their parameters, arrival processes.
 *
 *   chat        sessions of several turns. A prompt is the previous prompt, its answer and new text from the
 *               user; the system prompt in front is shared. Then the user thinks.
 *   agent       the same with long system prompts, and after each user turn a burst of quick steps, each
 *               adding a tool's output.
 *   rag         single questions behind documents that are drawn by a Zipf law and so are shared.
 *   zipf-tree   a random prefix tree: at each node a child is drawn by a Zipf law, then comes own text.
 *
 * Lengths are lognormal with the stated mean and coefficient of variation (cv; 0: always the mean), rounded
 * to at least one token; turns and steps are geometric; think and step times exponential.
 *
 * `rate` counts requests per second in the long run. Chat and agent start sessions at rate / (requests per
 * session); their first minutes are therefore quieter. The arrival process governs starts of sessions (chat,
 * agent) or requests (rag, zipf-tree).
 *
 * One table names every parameter with its unit, help and default per kind. It serves scenario files, --set,
 * `kvtwin trace generate` and manuals alike.
 */
#ifndef WL_GENERATE_H
#define WL_GENERATE_H

#include "../core/types.h"

struct wl_error;

enum wl_kind { WL_CHAT, WL_AGENT, WL_RAG, WL_ZIPF_TREE, WL_KINDS };

/* Times between arrivals, all with the same mean. */
enum wl_arrival_kind {
    WL_POISSON, /* exponential: cv 1 */
    WL_GAMMA,   /* gamma(cv=2): bursty above 1, regular below */
    WL_DIURNAL, /* diurnal(amplitude=0.8,period=24h): Poisson at rate * (1 + amplitude * sin(2 pi t / period)) */
    WL_CONSTANT, /* always the mean */
    WL_ARRIVALS
};

struct wl_arrivals {
    enum wl_arrival_kind kind;
    double cv;        /* gamma: > 0 */
    double amplitude; /* diurnal: 0 .. 1 */
    double period_s;  /* diurnal */
};

enum wl_param {
    WL_REQUESTS,
    WL_SESSIONS,
    WL_RATE,
    WL_TENANTS,
    WL_TURNS,
    WL_THINK,
    WL_PACE,
    WL_SYSTEM_PROMPTS,
    WL_SYSTEM_TOKENS,
    WL_USER_TOKENS,
    WL_USER_CV,
    WL_ANSWER_TOKENS,
    WL_ANSWER_CV,
    WL_CONTEXT_TOKENS,
    WL_STEPS,
    WL_STEP_TIME,
    WL_TOOL_TOKENS,
    WL_TOOL_CV,
    WL_DOCUMENTS,
    WL_DOCUMENT_TOKENS,
    WL_DOCUMENT_CV,
    WL_DOCUMENTS_PER_REQUEST,
    WL_SHUFFLE,
    WL_FAN_OUT,
    WL_DEPTH,
    WL_NODE_TOKENS,
    WL_NODE_CV,
    WL_ZIPF,
    WL_FLOOD,
    WL_FLOOD_TOKENS,
    WL_PARAMS
};

struct wl_generate {
    enum wl_kind kind;
    struct wl_arrivals arrivals;
    double value[WL_PARAMS]; /* by enum wl_param, in base units (s, 1/s); NAN: the kind's default */
};

enum wl_unit {
    WL_UNIT_COUNT,    /* 2000 */
    WL_UNIT_NUMBER,   /* 0.9 */
    WL_UNIT_RATE,     /* 4/s, 10/min, 3600/h */
    WL_UNIT_DURATION, /* 30s, 500ms, 2min, 1h, 1d */
    WL_UNIT_BOOL
};

struct wl_generate_key {
    const char *name;
    enum wl_unit unit;
    double least, most;
    const char *fallback[WL_KINDS]; /* default as text; NULL: not a parameter of that kind */
    const char *help;
};

/* WL_PARAMS keys, in the order of enum wl_param. `kind` and `arrivals` are keys too, but no numbers. */
extern const struct wl_generate_key wl_generate_keys[WL_PARAMS];

/* Kind chat, Poisson, all else the kind's default. */
void wl_generate_init(struct wl_generate *g);

/* Sets one key ("kind", "arrivals", or one of the table) from text. Order does not matter. Returns 0, or
 * -EINVAL with "key: what was expected" in *error and *g as it was. */
KVT_MUST_CHECK int wl_generate_set(struct wl_generate *g, const char *key, const char *value,
                                   struct wl_error *error);

/* Are the parameters usable together, and all of the kind? Returns 0 or -EINVAL with a line as above. */
KVT_MUST_CHECK int wl_generate_check(const struct wl_generate *g, struct wl_error *error);

/* A parameter's value: as set, or the kind's default. 0 where the kind has none. */
double wl_generate_value(const struct wl_generate *g, enum wl_param param);

const char *wl_kind_name(enum wl_kind kind);
/* Writes the arrival process as it would be set: "gamma(cv=2)". Returns text. */
const char *wl_arrivals_show(const struct wl_arrivals *arrivals, char *text, size_t size);

#endif
