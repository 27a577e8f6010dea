/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results.h - what a run leaves: figures in memory, files in a folder, a table on the terminal.
 *
 * A collector watches one run. The driver's order of calls:
 *
 *      results_new        before anything is simulated: refuses an output folder that cannot be used
 *      results_note       for each note of the core (shape of an observer callback)
 *      results_sample     at each results_next_sample(), state of that moment, for the timeline
 *      results_close      the run is over: figures are computed, nothing is written yet
 *      results_write      files into a hidden folder beside the wanted one, then one rename
 *      results_print      the same figures for people
 *      results_free       also removes what a failed or abandoned run left behind
 *
 * The baseline (same traffic, cache off) is a second collector without a folder, closed before
 * results_write of the first. Collectors share nothing: two may run in two threads.
 *
 * Figures cover *measured* requests: those that arrive at or after options.warmup_ns. Counters
 * that belong to tiers (evictions, bytes, waste, steps) cover the whole run. Definitions of
 * TTFT, TPOT, ITL, E2E and queue time are in results_definitions[], which all files quote.
 *
 * Two runs with the same inputs leave the same bytes in every file but run.json.
 */
#ifndef CLI_RESULTS_H
#define CLI_RESULTS_H

#include "../core/core.h"
#include "cost.h"
#include "faults.h"
#include "regions.h"
#include "rollout.h"
#include "shards.h"

#include <stdio.h>

struct crossovers;
struct results;

/* Totals over the cluster; UINT64_MAX: without bound. For gpu capacity_blocks is what the pages hold. */
struct results_tier {
    bool present;
    uint64_t capacity_blocks, capacity_b;
};

/* Strings are borrowed for the collector's life; NULL counts as "". */
struct results_options {
    const char *dir;      /* wanted folder; NULL: in memory only (the baseline) */
    const char *world;    /* "null", "sim", "real" */
    const char *scenario; /* path as given by the user */
    const char *scenario_name;
    const char *scenario_sha256; /* hex, of the resolved scenario */
    const char *question;        /* as the scenario asks it */
    const char *resolved; /* the resolved scenario as YAML, with comments: becomes scenario.yaml */
    const char *revision; /* of the program */
    const char *model, *gpu; /* catalogue names, for titles */
    const char *command;     /* the command line, for run.json */
    uint64_t seed;
    uint32_t engines, gpus_per_engine, block_tokens, page_tokens;
    struct results_tier tiers[KVT_TIERS];
    bool faults;                   /* something breaks: requests are kept, to say what that did */
    const struct regions *regions; /* NULL: everything is in one */
    bool approximate, radix;       /* matching by tokens was asked for: its counters are shown */
    kvt_ns warmup_ns;
    kvt_ns
        interval_ns; /* of the timeline; 0: automatic, 500 to 1000 rows whatever the run's length;
                           KVT_NEVER: no timeline */
    kvt_ns slo_ttft_ns, slo_tpot_ns;     /* per request, for goodput; 0: none */
    uint64_t expected_requests;          /* sizing hint; 0: none */
    const struct cost_plan *cost;        /* what the cluster costs; NULL: not asked */
    const struct crossovers *crossovers; /* load or compute; NULL: not asked */
};

/* One server, link or device, as the world saw it. results adds a row per engine by itself
 * ("engine/0"), from the notes. */
struct results_busy {
    const char *name; /* "redis/0/process", "engine/1/nic-in"; borrowed until results_free */
    double servers;   /* how many jobs at one time; 1 for a link */
    double
        busy_ratio; /* mean busy servers / servers over the run; for a link: bytes / (rate * time) */
    double queue_mean;   /* mean number waiting, NAN when unknown */
    double wait_mean_ns; /* mean time in the queue, NAN when unknown */
    uint64_t jobs, bytes;
};

/* What the real world says of itself. */
struct results_real {
    char device[320]; /* what the KV was kept in; "": another world */
    uint64_t verified_b,
        corrupt_pieces; /* loaded KV that was compared; values that failed their check */
    uint64_t operations[KVT_STATUSES]; /* by how they ended */
    uint64_t steps,
        late_steps; /* late: pages were filled more than a millisecond behind the modelled end */
    kvt_ns late_ns_most;
};

/* What only the driver knows when the run is over. Copied, but for the names inside `busy`. */
struct results_end {
    const struct kvt_core_stats *stats;
    const struct kvt_core_gauges *gauges; /* of the end, summed over the cluster */
    const uint64_t *orphan_b;             /* [KVT_TIERS], or NULL */
    const struct results_busy *busy;
    size_t n_busy;
    const char *digest;              /* hex, of the decisions; copied */
    const struct results_real *real; /* NULL in other worlds; copied */
    struct shards *shards;           /* moved in; NULL: not sharded */
    struct fault_events *faults;     /* likewise; NULL: nothing broke */
    bool interrupted; /* the user stopped it: figures cover what was done until then */
    uint64_t wall_ns; /* real time spent on this run, for run.json */
    uint64_t core_memory_b, tracked_blocks; /* for run.json */
};

/* NAN where nothing was measured. */
struct results_latency {
    uint64_t n;
    double mean_ms, p50_ms, p95_ms, p99_ms, max_ms;
};

enum results_metric {
    RESULTS_TTFT,
    RESULTS_TPOT,
    RESULTS_E2E,
    RESULTS_QUEUE,
    RESULTS_ITL, /* per token, from a histogram: see histogram.h for the error bound */
    RESULTS_METRICS
};

struct results_figures {
    uint64_t requests; /* measured and ended, in whatever way */
    uint64_t finished, requests_failed, requests_rejected;
    uint64_t warmup_requests;              /* ended, but before the cut */
    uint64_t prompt_tokens, output_tokens; /* of finished requests */
    uint64_t ledger_tokens[KVT_LEDGER];    /* sums to prompt_tokens */
    uint64_t hit_tokens, hit_blocks, lookup_blocks;
    uint64_t preemptions, recomputed_tokens;
    uint64_t source_requests[KVT_TIERS + 1]; /* by farthest tier that served; last: none */
    struct results_latency latency[RESULTS_METRICS];
    double prefix_hit_rate;                       /* NAN without prompt tokens */
    double duration_s;                            /* first measured arrival to last end */
    double output_tokens_per_s, requests_per_s;   /* NAN when duration_s is 0 */
    double gpu_busy_ratio;                        /* engines' step time / (engines * duration) */
    double slo_met_ratio, goodput_requests_per_s; /* NAN without an SLO */
    double kv_waste_paged_ratio, kv_waste_contiguous_ratio;
};

/* One sentence each, indexed by results_metric. */
extern const char *const results_definitions[RESULTS_METRICS];
/* "ttft", "tpot", "e2e", "queue", "itl". */
extern const char *const results_metric_names[RESULTS_METRICS];

/* Writes "results/<name>" for the simulated world and "results/<name>-<world>" for others: a stable
 * name, so that a rerun replaces its own earlier results. Letters that do not belong in a file name
 * become '-'. Returns 0, or -ENAMETOOLONG. */
KVT_MUST_CHECK int results_default_dir(char *dir, size_t size, const char *scenario_name,
                                       const char *world);

/* Returns a collector, freed with results_free; or NULL with a negative errno in *error and one
 * line in why: -ENOMEM; or the output folder cannot be used (not writable, a file, a folder with
 * other things than results, in use by another run), for which nothing is left changed. Creates
 * missing parents of options->dir and the hidden folder ".<name>.partial" beside it. */
KVT_MUST_CHECK struct results *results_new(const struct results_options *options, int *error,
                                           char *why, size_t size);
void results_free(struct results *results);

/* Takes a note. self is the struct results *. Never fails here: out of memory or a failed write
 * is kept and returned by results_status and results_close. */
void results_note(void *self, const struct kvt_note *note);

/* When the next sample is due: the driver advances the world to that time (inclusive), then
 * samples. KVT_NEVER when there is no timeline. Each sample moves it on. */
kvt_ns results_next_sample(const struct results *results);

/* Records the state at `now` == results_next_sample(). stats and gauges (summed over the
 * cluster) are copied. Where a server evicts by itself the driver may put the server's own held
 * bytes and blocks into gauges first. */
void results_sample(struct results *results, kvt_ns now, const struct kvt_core_stats *stats,
                    const struct kvt_core_gauges *gauges);

/* What the links of a simulated world have carried by `now`: before results_sample at that time, and once
 * more before results_close. */
void results_sample_links(struct results *results, kvt_ns now, const struct sim_world *world);
void results_last_links(struct results *results, const struct sim_world *world);

/* 0, or the first error so far: a long run can stop early when the disk is full. */
KVT_MUST_CHECK int results_status(const struct results *results);

/* Ends collecting and computes the figures. Once. Returns 0 or the first error (-ENOMEM,
 * -ENOSPC, ...) with one line in why. */
KVT_MUST_CHECK int results_close(struct results *results, const struct results_end *end, char *why,
                                 size_t size);

/* The figures, after results_close. */
const struct results_figures *results_figures(const struct results *results);

/* What the real world said of itself, after results_close; device is "" in other worlds. */
const struct results_real *results_real(const struct results *results);

/* Quantile q of the time to first token, ns, after results_close. NAN without requests. */
double results_ttft_ns(const struct results *results, double q);

/* What it costs, after results_close; .present is false without a plan. */
const struct cost_figures *results_cost(const struct results *results);

/* Sets what a search for equal latency without cache found (equal_slo.h). After results_close. Copied. */
void results_set_equal(struct results *results, const struct cost_equal *equal);

/* What a roll-out came to (rollout_run.h). After results_close. Borrowed until results_free. */
void results_set_rollout(struct results *results, const struct rollout *rollout);

/* Writes all files and puts the folder in place, replacing earlier results in one step.
 * baseline: closed, or NULL. Returns 0; or a negative errno with one line in why, the earlier
 * results untouched and nothing else left. Pictures and other derived files of the earlier
 * results go with them; files that are not kvtwin's stay. */
KVT_MUST_CHECK int results_write(struct results *results, const struct results *baseline, char *why,
                                 size_t size);

/* summary.json's text (with a newline), freed by the caller with free(); NULL: out of memory. */
char *results_json(const struct results *results, const struct results *baseline);

/* Prints summary.json's text (with a newline) on out, for --json. Returns 0 or -ENOMEM, -EIO. */
KVT_MUST_CHECK int results_print_json(FILE *out, const struct results *results,
                                      const struct results *baseline);

/* Prints the table for people. baseline may be NULL. `colour`: emphasis by ANSI sequences. */
void results_print(FILE *out, const struct results *results, const struct results *baseline,
                   bool colour);

/* Names of the files in a results folder, NULL at the end. Pictures are not among them. */
extern const char *const results_files[];

#endif
