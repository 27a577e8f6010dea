/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc.h - what the parts of `kvtwin mrc` share: cmd_mrc.c reads the command line, mrc_work.c passes the
 * trace, mrc_policy.c simulates policies, mrc_price.c knows what a
 * capacity costs, mrc_print.c and mrc_write.c show what came out.
 *
 * Two ways to one table: exact (workload/mrc.h), or from a sample of the sessions (workload/mrc_sample.h).
 * LRU needs one pass for all capacities. Other policies have no such order, so they are simulated, each
 * at each capacity of the table, on the whole trace; or, small, on the sample (Waldspurger, Saemundsson, Ahmad, Park,
 * "Cache Modeling and Optimization using Miniature Simulations", USENIX ATC 2017): a cache of a hundredth of the size
 * sees a hundredth of the traffic. What such a small sample finds is far off for LRU as well, so only
 * the difference between the policy and LRU is taken from it:
 *
 *      rate(policy, c) = rate(lru, c) + small(policy, c * share) - small(lru, c * share)
 */
#ifndef CLI_MRC_H
#define CLI_MRC_H

#include <limits.h>
#include <stdio.h>

#include "../core/evict.h"
#include "../workload/mrc_sample.h"
#include "catalog.h"
#include "progress.h"
#include "results_dir.h"

enum {
    MRC_ERROR = 640,
    MRC_ROWS_MOST = 1024,
    MRC_POLICIES_MOST = 32,
    MRC_POINTS = 200 /* capacities in the file, between one block and all, evenly on a log scale */
};

/* Hit rates, by what is divided by what. */
enum mrc_what { MRC_BLOCKS, MRC_TOKENS, MRC_WHATS };

/* What room costs, and who says so. */
struct mrc_price {
    bool known;
    bool node, whole; /* of nodes; and of as many whole ones as hold the capacity */
    double usd_per_h; /* of unit_b bytes */
    double unit_b;    /* a GiB, a GB, or what a node holds */
    char unit[96];    /* "GiB", "GB of ebs-gp3-storage", "cache.r7g.16xlarge" */
    char entry[96];   /* of the catalogue; "own" */
    char text[64], region[64], date[16], source[512]; /* as there; own: text alone */
};

/* ---- Input ---------------------------------------------------------------------------------------- */

struct mrc_options {
    struct wl_options source;
    double sample;          /* rate; 0: exact, unless sample_blocks is given */
    uint64_t sample_blocks; /* 0: no bound */
    enum wl_mrc_way touch;  /* WL_MRC_HEAD or WL_MRC_LEAF: of policies, and of the table */
    const struct kvt_evict_ops *policies[MRC_POLICIES_MOST];
    size_t n_policies;
    bool prefix_closed;
    uint64_t capacities[MRC_ROWS_MOST]; /* asked for, blocks; none: a table of round numbers */
    size_t n_capacities;
    const char *model;     /* NULL: none */
    double kv_b_per_token; /* of the model; 0 without */
    struct mrc_price price;
    const char *command; /* the command line, for summary.json */
};

static inline bool mrc_sampled(const struct mrc_options *o)
{
    return o->sample > 0 || o->sample_blocks > 0;
}

/* ---- Figures -------------------------------------------------------------------------------------- */

/* Of one capacity. Rates 0 .. 1; errors are standard errors, 0 when exact; hits only when exact. */
struct mrc_row {
    uint64_t capacity; /* blocks; UINT64_MAX: infinite */
    double rate[WL_MRC_WAYS][MRC_WHATS], error[WL_MRC_WAYS][MRC_WHATS];
    struct wl_mrc_hits hits[WL_MRC_WAYS];
    uint64_t refused_prompts; /* longer than the capacity: an engine would refuse them */
};

/* A policy at a capacity of the table. NAN: not simulated. */
struct mrc_point {
    uint64_t simulated; /* capacity of the simulation, blocks */
    double flat[MRC_WHATS], prefix[MRC_WHATS];
};

/* Prompts kept for simulations: those of the sample, or all. */
struct mrc_trace {
    struct wl_chain *prompts; /* their runs are those from first_run on */
    size_t *first_run;        /* by prompt */
    size_t n, room, first_room;
    struct wl_run *runs;
    size_t n_runs, runs_room;
    uint32_t numbers, longest_blocks;
    uint64_t blocks, tokens;
};

struct mrc {
    struct mrc_options options;
    char name[NAME_MAX + 1]; /* of the trace */
    struct wl_info info;
    /* What was passed: one of the two. */
    struct wl_mrc exact;
    struct wl_mrc_sample *sample;
    struct wl_mrc_sample_info sampled;
    uint64_t prompts, prompt_tokens, blocks;
    double distinct_blocks;
    uint32_t longest_blocks;
    struct wl_curve lengths; /* prompts by their blocks */
    double wall_s;           /* of the pass */
    /* What came out. */
    struct mrc_row table[MRC_ROWS_MOST], *rows; /* rows: of the file; owned */
    size_t n_table, n_rows;
    struct mrc_trace trace;   /* only with policies */
    struct mrc_point *points; /* [policy * n_table + row]; owned; NULL without policies */
    size_t n_points;          /* simulated; fewer than all when stopped */
    bool stopped;
};

/* ---- Work. Each returns 0, or a negative errno with one line in why[MRC_ERROR]; -EINTR when stopped. */

/* Opens the trace and passes it. */
KVT_MUST_CHECK int mrc_pass(struct mrc *m, char *why);
/* Fills table and rows. */
KVT_MUST_CHECK int mrc_tabulate(struct mrc *m, char *why);
/* Fills points. -EINTR: as far as it came. */
KVT_MUST_CHECK int mrc_simulate(struct mrc *m, char *why);
void mrc_release(struct mrc *m);

/* The price that --node, --price and --per mean; each may be NULL, not both of node and own. Without a
 * node the catalogue may be NULL. 0, or -EINVAL with "--option: what was expected" in why[MRC_ERROR]. */
KVT_MUST_CHECK int mrc_price_find(struct mrc_price *price, const struct catalog *c,
                                  const char *node, const char *own, const char *per, char *why);

/* The figures of one capacity. */
void mrc_row_at(const struct mrc *m, uint64_t capacity, struct mrc_row *row);

/* A policy that evicts by itself: one that goes by a TTL alone does not. */
bool mrc_policy_usable(const struct kvt_evict_ops *ops);

/* ---- Output --------------------------------------------------------------------------------------- */

/* NAN without a model; and without a price. */
double mrc_gib(const struct mrc *m, uint64_t capacity);
double mrc_usd_per_h(const struct mrc *m, uint64_t capacity);
/* Whole nodes that hold it; 0 for an infinite one. Only with a price. */
uint64_t mrc_nodes(const struct mrc *m, uint64_t capacity);
/* "6.981 USD/h per cache.r7g.16xlarge with room for 314 GiB, whole nodes, rounded up; elasticache-..., us-east-1, list price of 2026-11-09" */
void mrc_price_say(const struct mrc_price *price, char *text, size_t size);

void mrc_print(FILE *out, const struct mrc *m);
/* summary.json's text, with a newline; 0, -ENOMEM or -EIO. */
KVT_MUST_CHECK int mrc_print_json(FILE *out, const struct mrc *m);
/* Writes every file into the open folder. */
KVT_MUST_CHECK int mrc_write(const struct mrc *m, const struct results_dir *folder, char *why);
/* Names of the files, NULL at the end. */
extern const char *const mrc_files[];

#endif
