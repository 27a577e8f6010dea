/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_impl.h - the inside of a collector, shared by the files results_*.c only.
 *
 *      results.c           notes and samples in, figures out
 *      results_timeline.c  samples and steps, by interval
 *      results_links.c     what links carried, by interval
 *      results_csv.c       requests, stages, ledger, distributions, utilisation
 *      results_json.c      summary.json, run.json
 *      results_cost.c      cost, verdict, crossover; results_cost_print.c for people
 *      results_faults.c    what broke, and what that did
 *      results_resize.c    engines that grew, everywhere
 *      results_rollout.c   a roll-out, everywhere
 *      results_regions.c   what goes between regions, everywhere
 *      results_metrics.c   metrics.prom
 *      results_print.c     the table for people
 *      results_dir.c       the folder
 *
 * Memory per measured request: four doubles, so that quantiles are those of the samples
 * themselves. The spans of the waterfall go into histograms instead, and requests.csv is written
 * as requests end.
 */
#ifndef CLI_RESULTS_IMPL_H
#define CLI_RESULTS_IMPL_H

#include "crossover.h"
#include "histogram.h"
#include "out.h"
#include "results.h"
#include "results_dir.h"
#include "verdict.h"

#include <jansson.h>
#include <math.h>

/* Rows of the waterfall: core's spans in order (they sum to TTFT), then sums. */
enum results_stage {
    STAGE_TTFT = KVT_SPANS, /* the sum so far */
    STAGE_GENERATION,       /* first token to last */
    STAGE_E2E,              /* TTFT + GENERATION */
    STAGES
};

/* The farthest tier that served a request: enum kvt_tier_kind; KVT_TIERS: none; then all together. */
enum { SOURCE_NONE = KVT_TIERS, SOURCE_ALL, SOURCES };

/* All values of one metric, in ns. Sorted by close. Doubles are exact up to 2^53 ns, 104 days. */
struct results_series {
    double *value_ns;
    uint64_t n, capacity;
    uint64_t sum_ns;
};

/* The state at the end of an interval. Counters are cumulative: a row less can be dropped. */
struct results_row {
    kvt_ns at_ns;
    uint64_t requests, ended, prompt_tokens;
    uint64_t ledger_tokens[KVT_LEDGER];
    uint64_t evicted_blocks[KVT_TIERS], bytes_read[KVT_TIERS], bytes_written[KVT_TIERS];
    struct kvt_core_gauges gauges;
};

/* What happened within an interval, spread evenly over the life of each step. */
struct results_bin {
    double output_tokens, busy_ns;
};

struct results_timeline {
    kvt_ns interval_ns; /* KVT_NEVER: none */
    bool automatic;     /* doubled when the rows are full */
    uint32_t n_rows, max_rows;
    struct results_row *rows; /* row i ends at (i + 1) * interval_ns; the last may end earlier */
    struct results_bin *bins; /* max_rows + 1, the last for what lies behind */
};

/* What links of the simulated world had carried at each sample (results_links.c). */
struct results_links {
    uint32_t n, rows;
    kvt_ns interval_ns;
    struct {
        char name[32];
        double rate_bps;
        uint32_t part; /* of the world */
    } * link;
    kvt_ns *at_ns;     /* by row */
    double *carried_b; /* by row, then link */
};

/* Finished, measured requests of one tenant. */
struct results_tenant {
    uint64_t requests, prompt_tokens, hit_tokens;
    kvt_ns ttft_ns; /* summed */
};

enum { RESULTS_TENANTS = 8 }; /* the first ones; requests.csv has all */

struct results_faults;

/* Requests that arrive within some time. NAN where there are none. */
struct results_window {
    uint64_t requests;
    double hit_rate, ttft_ms[3]; /* p50, p95, p99 */
};

/* One fault's windows: before, during, after. */
struct results_fault {
    struct results_window at[3];
    uint64_t affected, failed; /* requests */
    double recovered_s;
};

struct results {
    struct results_options options;
    int error; /* first error, negative errno */
    bool closed;
    struct results_dir dir;
    struct out requests_csv;

    kvt_ns first_arrival_ns, last_note_ns;
    uint64_t notes;
    uint64_t broken_ledgers, broken_spans; /* reports that do not add up: must stay 0 */
    uint64_t slo_met;
    struct results_series series[RESULTS_ITL];
    struct histogram itl;
    struct histogram (*stages)[STAGES]; /* [SOURCES], NULL in a baseline */
    kvt_ns *engine_busy_ns;             /* [engines], since the warm-up */
    uint64_t *engine_iterations, *engine_tokens;
    struct results_tenant tenants[RESULTS_TENANTS];
    uint64_t decode_tokens, decode_ns; /* for the token-weighted TPOT */
    struct results_timeline timeline;
    struct results_links links;
    uint64_t between_b[KVT_REGIONS_MOST][KVT_REGIONS_MOST]; /* from, to; simulated world */
    struct results_figures figures;
    struct cost_tally tally; /* the rest is set by close, equal by who looked */
    struct cost_figures cost;
    struct cost_equal equal;
    const struct rollout *rollout; /* NULL: there was none */
    struct verdict verdict;

    /* of results_end */
    struct kvt_core_stats stats;
    struct kvt_core_gauges gauges;
    uint64_t orphan_b[KVT_TIERS];
    struct results_busy *busy; /* engines first */
    size_t n_busy;
    char (*engine_names)[24];
    char digest[65];
    struct results_real real;
    struct shards shards;          /* policy NULL: none */
    struct lengths *lengths;       /* NULL in a baseline */
    struct results_faults *faults; /* NULL where nothing is to break */
    bool interrupted;
    uint64_t wall_ns, core_memory_b, tracked_blocks;
};

/* "gpu" .. "disk", "none", "all". */
const char *results_source_name(unsigned source);
/* "hash" .. "compute", "ttft", "generation", "e2e". */
const char *results_stage_name(unsigned stage);
/* When measuring began: the warm-up cut, or the first arrival. */
kvt_ns results_begin_ns(const struct results *r);

/* ---- results_timeline.c ---- */
KVT_MUST_CHECK int timeline_init(struct results_timeline *t, kvt_ns interval_ns);
void timeline_release(struct results_timeline *t);
void timeline_step(struct results_timeline *t, kvt_ns begin, kvt_ns end, uint64_t tokens);
void timeline_first_token(struct results_timeline *t, kvt_ns at);
void timeline_sample(struct results_timeline *t, kvt_ns at, const struct kvt_core_stats *stats,
                     const struct kvt_core_gauges *gauges);
void timeline_write(struct out *o, const struct results *r);

/* ---- results_links.c ---- */
/* last: the run is over, and `at` may be any time from the last sample on. 0 or -ENOMEM. */
KVT_MUST_CHECK int links_sample(struct results_links *l, kvt_ns at, kvt_ns interval_ns, bool last,
                                const struct sim_world *world);
void links_release(struct results_links *l);
void links_write(struct out *o, const struct results *r);

/* ---- results_csv.c: each writes one whole file, or line, into an open one. ---- */
void csv_requests_head(struct out *o);
void csv_request(struct out *o, const struct kvt_report *report, bool measured);
void csv_stages(struct out *o, const struct results *r);
void csv_ledger(struct out *o, const struct results *r, const struct results *baseline);
void csv_distributions(struct out *o, const struct results *r, const struct results *baseline);
void csv_utilization(struct out *o, const struct results *r);

/* ---- results_faults.c ---- */
struct results_faults *faults_new(void); /* NULL: memory is out */
void faults_free(struct results_faults *f);
KVT_MUST_CHECK int faults_note(struct results_faults *f, const struct kvt_report *report);
/* Takes the events over. */
KVT_MUST_CHECK int faults_close(struct results *r, struct fault_events *events);
void csv_faults(struct out *o, const struct results *r);
void csv_fault_timeline(struct out *o, const struct results *r);
/* How many there were; sets *event and *fault to number i, where there is one. */
size_t results_fault(const struct results *r, size_t i, const struct fault_event **event,
                     const struct results_fault **fault);

/* ---- results_cost.c: needs figures, busy and stats. ---- */
void cost_close(struct results *r);
void csv_cost(struct out *o, const struct results *r);
void csv_verdict(struct out *o, const struct results *r);
void csv_crossover(struct out *o, const struct results *r);
/* Adds the keys to summary.json's object. 0, or -1: out of memory. */
KVT_MUST_CHECK int json_cost(json_t *object, const struct results *r,
                             const struct results *baseline);
void cost_print(FILE *out, const struct results *r, bool colour);

/* ---- results_shards.c ---- */
void csv_shards(struct out *o, const struct results *r);
void csv_placement(struct out *o, const struct results *r);
void csv_shard_costs(struct out *o, const struct results *r);

/* ---- results_resize.c ---- */
/* Engines got more GPUs in this run: what others call faults is that. */
static inline bool has_resize(const struct results *r)
{
    return r->stats.resize.begun;
}
KVT_MUST_CHECK int json_resize(json_t *object, const struct results *r);
void resize_print(FILE *out, const struct results *r, bool colour);

/* ---- results_rollout.c ---- */
void csv_rollout(struct out *o, const struct results *r);
KVT_MUST_CHECK int json_rollout(json_t *object, const struct results *r);
void rollout_print(FILE *out, const struct results *r, bool colour);

/* ---- results_regions.c */
void regions_close(struct results *r, const struct sim_world *world);
/* All of them together. */
double regions_between_b(const struct results *r);
KVT_MUST_CHECK int json_regions(json_t *object, const struct results *r);
void regions_print(FILE *out, const struct results *r, bool colour);

/* ---- results_lengths.c: latency by length of the prompt. ---- */
struct lengths *lengths_new(void); /* freed with free(); NULL: out of memory */
void lengths_note(struct lengths *l, const struct kvt_report *report);
void csv_lengths(struct out *o, const struct results *r);

/* ---- the other files ---- */
void metrics_write(struct out *o, const struct results *r);
/* Text of summary.json or run.json, freed by the caller with free(); NULL: out of memory. */
char *json_summary(const struct results *r, const struct results *baseline);
char *json_run(const struct results *r);

/* Quantile q of a sorted series, in ns; NAN when empty. */
double series_quantile(const struct results_series *s, double q);
/* The same in ms for any metric, ITL included. */
double results_quantile_ms(const struct results *r, enum results_metric metric, double q);

/* ttft - the spans of a report, by the definitions of results.h. */
static inline kvt_ns report_ttft_ns(const struct kvt_report *p)
{
    return p->first_token_ns - p->arrive_ns;
}

static inline kvt_ns report_e2e_ns(const struct kvt_report *p)
{
    return p->finish_ns - p->arrive_ns;
}

static inline bool report_has_tpot(const struct kvt_report *p)
{
    return p->outcome == KVT_FINISHED && p->output_tokens >= 2;
}

/* a / b, NAN for b == 0. */
static inline double ratio_of(double a, double b)
{
    return b > 0 ? a / b : (double)NAN;
}

#endif
