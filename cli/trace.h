/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * trace.h - what the parts of `kvtwin trace` share: cmd_trace.c reads the command line,
 * trace_stats.c counts, trace_print.c shows, trace_divergence.c tells where prompts part,
 * trace_write.c writes files.
 *
 * All of them read records (workload/record.h): what a trace names, before it is cut into a cache's
 * blocks. So figures are those of the trace itself, with its partial blocks.
 */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include <signal.h>

#include "../workload/divergence.h"

enum { TRACE_ERROR = 640 };

/* Set by Ctrl-C: whoever loops over requests ends then. */
extern volatile sig_atomic_t trace_stop;

/* ---- Figures (trace_stats.c) ------------------------------------------------------------------------- */

struct trace_spread {
    uint64_t n; /* 0: all others are NAN */
    double mean, p50, p90, p99, max;
};

/* A block is found when an earlier request named it: a cache that never forgets and is filled at
 * once. No cache of whole blocks finds more. */
struct trace_stats {
    struct wl_info info;
    uint64_t requests;
    kvt_ns duration_ns;     /* first to last arrival */
    double rate_per_s;      /* 1 / mean time between arrivals; NAN for less than two or no time */
    double interarrival_cv; /* sample deviation over mean; NAN likewise */
    struct trace_spread prompt, output; /* tokens */
    uint64_t prompt_tokens, output_tokens;
    uint64_t
        prompt_blocks; /* named by prompts, a partial last one included where the trace has it */
    uint64_t output_blocks;   /* named behind them: stored for the next turn */
    uint64_t distinct_blocks; /* of all */
    uint64_t hit_blocks;      /* leading blocks found, over all prompts */
    uint64_t hit_tokens;      /* min(prompt, blocks found * block_tokens), likewise */
    uint64_t whole_prompts;   /* every named block found, of at least one */
    uint64_t sessions;        /* 0: the trace knows none */
    uint64_t tenants;
    struct trace_spread reuse_s, reuse_requests; /* between two uses of a block, within 0.4 % */
};

/* Runs through source. tenant_salts: a block of one tenant is not found by another. Returns 0,
 * -EINTR when stopped, or a negative errno with a line in why. */
KVT_MUST_CHECK int trace_stats(struct trace_stats *stats, struct wl_source *source,
                               bool tenant_salts, char why[TRACE_ERROR]);

/* For people; name is the file or kind, rule how prefixes were made up (NULL: they were not). */
void trace_print(const struct trace_stats *stats, const char *name, const struct wl_synth *rule);
/* For machines. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int trace_print_json(const struct trace_stats *stats, const char *name,
                                    const struct wl_synth *rule);

/* ---- Divergence (trace_divergence.c) ------------------------------------------------------------------ */

/* A struct wl_prompt_sink's take; self is a struct wl_divergence. */
int trace_divergence_take(void *self, const struct wl_prompt *prompt);
/* A source without prompts: by the blocks that it names. Returns as trace_stats. */
KVT_MUST_CHECK int trace_divergence_walk(struct wl_divergence *d, struct wl_source *source,
                                         char why[TRACE_ERROR]);
/* For people, for machines, and every row as CSV; ranked before. 0 or a negative errno. */
void trace_divergence_print(const struct wl_divergence *d, const char *name);
KVT_MUST_CHECK int trace_divergence_print_json(const struct wl_divergence *d, const char *name);
KVT_MUST_CHECK int trace_divergence_csv(const struct wl_divergence *d, const char *path);

/* ---- Files (trace_write.c) --------------------------------------------------------------------------- */

enum trace_target { TRACE_BINARY, TRACE_JSONL, TRACE_TARGETS };

/* By the extension: .kvt (or .kvtrace), .jsonl; TRACE_TARGETS when neither. */
enum trace_target trace_target_of(const char *path);

/* What was written, and what could not be said in that format. */
struct trace_written {
    uint64_t requests, size_b;
    uint64_t output_blocks_left_out; /* JSONL: hash_ids name prompts only */
    uint64_t partial_left_out; /* JSONL: partial blocks, where not every prompt names its own */
};

/* Writes all of source to path, which appears complete or not at all: written beside it and
 * renamed. Returns 0, -EINTR when stopped, or a negative errno with a line in why; then nothing
 * is left, and an older file is as it was. */
KVT_MUST_CHECK int trace_write(struct trace_written *written, struct wl_source *source,
                               const char *path, char why[TRACE_ERROR]);

#endif
