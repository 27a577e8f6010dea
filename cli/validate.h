/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * validate.h - what two worlds made of the same requests, beside each other.
 *
 * Two meters (meter.h), one of the real world and one of the simulated, become
 *
 *      rows          a kind of time (load redis medium, ttft, ...): both distributions, errors, a verdict
 *      counts        a number that has to be the same in both: hits, evictions, ledger, ...
 *      tiers         which keys were stored, and which were there at the end
 *      divergences   requests whose tokens were accounted otherwise, each with the class of its cause
 *
 * Errors are relative to the real world: what was measured is the truth, and the simulation is
 * judged.
 */
#ifndef CLI_VALIDATE_H
#define CLI_VALIDATE_H

#include <stdio.h>

#include "meter.h"
#include "results.h"
#include "validate_stats.h"

/* ---- Times. ---- */

/* A stage sums the spans that both worlds book to it. */
enum validate_part {
    VALIDATE_MEDIUM, /* queued and wire: the tier's own medium */
    VALIDATE_CODEC,  /* decode, encode, verify */
    VALIDATE_COPY,   /* deserialise and copy: between host and GPU pages */
    VALIDATE_TOTAL,  /* from issue to completion */
    VALIDATE_PARTS
};

enum validate_verdict {
    VALIDATE_WITHIN,
    VALIDATE_BEYOND,
    VALIDATE_FEW /* too few samples in one of the worlds: shown, not judged */
};
const char *validate_verdict_name(enum validate_verdict verdict);

struct validate_tolerance {
    double p50, p95;   /* relative errors that are allowed */
    double floor_ns;   /* a difference below is none */
    size_t least;      /* samples in each world for a verdict */
    double hit_points; /* prefix hit rates may differ by so much, absolutely */
};
/* 10 %, 25 %, 20 us, 20 samples, 0.01. */
extern const struct validate_tolerance validate_default;

/* One kind of time in both worlds. */
struct validate_row {
    char name[40];
    double *real_ns, *sim_ns; /* ascending; owned */
    struct sample_figures real, sim;
    double mean_error, p50_error, p95_error, p99_error; /* relative_error; NAN without samples */
    double ks, ks_significance;
    /* The same operation in both worlds: same kind, tier, engine and blocks, and the same turn
     * of them; for requests the same id. Median of the relative errors, and p95 of their
     * amounts. */
    size_t pairs;
    double pair_p50_error, pair_p95_error;
    /* Least and largest p50 and p95 of the real world's rounds; with one round both are that round's. */
    double p50_low_ns, p50_high_ns, p95_low_ns, p95_high_ns;
    enum validate_verdict verdict;
};

/* ---- Decisions. ---- */

/* Why a request was accounted otherwise. All but the last are time's doing: core decided by what
 * was known, or true, at that moment. */
enum validate_cause {
    CAUSE_DAMAGE,     /* a value was corrupt */
    CAUSE_DOWN,       /* a tier was down, or did not answer in time */
    CAUSE_OUTCOME,    /* failed or rejected in one of them */
    CAUSE_EXPIRY,     /* a TTL ran out before, or after */
    CAUSE_CHOICE,     /* load or compute: predicted from the queues of that moment */
    CAUSE_PATIENCE,   /* a load turned slower than computing */
    CAUSE_ROUTE,      /* another engine was less loaded */
    CAUSE_PREEMPTION, /* pages ran out at another moment */
    CAUSE_SERVER,     /* Redis evicts the oldest of a random sample of keys */
    CAUSE_RESIDENCE, /* operations ended in another order, so another tier held the blocks, or none */
    CAUSE_FLIGHT,    /* the blocks were just being produced by another request */
    CAUSE_NONE,      /* unexplained: a defect */
    CAUSES
};
/* One word, and one sentence. */
const char *validate_cause_name(enum validate_cause cause);
const char *validate_cause_text(enum validate_cause cause);

struct validate_divergence {
    uint64_t id; /* of the request */
    enum validate_cause cause;
    uint32_t tokens; /* in another class of the ledger */
    enum kvt_ledger real,
        sim; /* the class that most of them had; equal when only blocks were counted otherwise */
};

struct validate_count {
    const char *name; /* static */
    uint64_t real, sim;
    const char *cause; /* why they may differ; static */
};

struct validate_keys {
    bool present;
    uint64_t stored_real, stored_sim, stored_both; /* distinct keys, per engine where the tier is */
    uint64_t held_real, held_sim,
        held_both; /* stored and not dropped by core; servers may have evicted some */
};

enum { VALIDATE_ROWS_MOST = 40, VALIDATE_COUNTS_MOST = 80 };

struct validation {
    struct validate_tolerance tolerance;
    struct validate_row rows[VALIDATE_ROWS_MOST];
    size_t n_rows;
    struct validate_count counts[VALIDATE_COUNTS_MOST];
    size_t n_counts;
    struct validate_keys keys[KVT_TIERS];
    struct validate_divergence *divergences; /* by id; owned */
    size_t n_divergences;
    uint64_t causes[CAUSES];            /* divergences by cause */
    uint64_t requests;                  /* that both worlds reported */
    double hit_rate_real, hit_rate_sim; /* prefix hit rate; NAN without prompt tokens */
    bool same_decisions;                /* the digests are equal */
    size_t rounds, rounds_same; /* of the real world; in which nothing was decided otherwise */
    size_t judged, beyond;      /* rows */
    bool within;                /* the verdict over all */
};

/* Compares. v is zero before; *config is what both cores ran on. 0 or -ENOMEM; release in either case. */
KVT_MUST_CHECK int validate_compare(struct validation *v, const struct meter *real,
                                    const struct meter *sim, const struct kvt_core_config *config,
                                    const struct validate_tolerance *tolerance);
void validate_release(struct validation *v);

/* Several real runs beside one simulation, each compared: rounds[0] becomes the comparison with all of them. A row's
 * real figures are then medians over the rounds, its samples those of all rounds together, and the verdict is about
 * the medians: what one round had against it, another run of the machine's other guests say, does not decide.
 * Decisions are the round's that differed most. All rounds remain the caller's to release. n > 0. 0 or -ENOMEM. */
KVT_MUST_CHECK int validate_rounds(struct validation *rounds, size_t n);

/* ---- The parts of compare. ---- */

KVT_MUST_CHECK int validate_rows(struct validation *v, const struct meter *real,
                                 const struct meter *sim);
/* Errors, distance and verdict of a row from its figures and its sorted samples. */
void validate_judge(struct validate_row *row, const struct validate_tolerance *tolerance);
/* The verdict over all, from rows and decisions. */
void validate_conclude(struct validation *v);
KVT_MUST_CHECK int validate_decisions(struct validation *v, const struct meter *real,
                                      const struct meter *sim,
                                      const struct kvt_core_config *config);

/* ---- Showing. ---- */

/* What the figures are of. Borrowed. */
struct validate_title {
    const char *scenario, *scenario_name, *scenario_sha256, *revision, *profile, *model, *gpu;
    uint64_t seed;
    const struct results_real *real; /* of the real run */
};

void validate_print(FILE *out, const struct validation *v, const struct validate_title *title,
                    bool colour);
/* The whole as JSON with a newline, caller frees; NULL without memory. */
char *validate_json(const struct validation *v, const struct validate_title *title);
/* Writes every file of validate_files[] into the folder open as dirfd. 0 or a negative errno. */
KVT_MUST_CHECK int validate_write(int dirfd, const struct validation *v,
                                  const struct validate_title *title);
/* NULL at the end; summary.json comes last. */
extern const char *const validate_files[];
/* The constants, where --calibrate made them: not written by validate_write. */
extern const char validate_profile[];

#endif
