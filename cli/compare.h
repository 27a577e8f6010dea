/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * compare.h - variants of a scenario beside each other: what differs, and what is noise.
 *
 *      compare_pairs.c   two runs of the same requests: differences with intervals
 *      compare_print.c   the table for people
 *      compare_write.c   compare.csv, differences.csv, summary.json, and the pictures
 *      cmd_compare.c     the command
 *
 * Every variant is compared with a *reference*: one variant for all, or, with --baseline KEY=VALUE, for each
 * the variant that has that value of KEY and all else the same.
 */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H

#include <jansson.h>
#include <stdio.h>

#include "figure.h"
#include "interval.h"
#include "lab.h"

/* Figures whose difference has an interval, in the summary's names. */
enum compare_paired {
    PAIRED_HIT_RATE,
    PAIRED_TTFT_MEAN,
    PAIRED_TTFT_P50,
    PAIRED_TTFT_P95,
    PAIRED_TTFT_P99,
    PAIRED_TPOT_MEAN,
    PAIRED_TPOT_P50,
    PAIRED_TPOT_P95,
    PAIRED_E2E_MEAN,
    PAIRED
};
extern const char *const compare_paired_names[PAIRED];

enum compare_verdict {
    VERDICT_NONE,   /* no interval: too few requests */
    VERDICT_SAME,   /* not one request differs */
    VERDICT_NOISE,  /* the interval contains 0 */
    VERDICT_BETTER, /* it does not */
    VERDICT_WORSE
};
extern const char *const compare_verdict_names[]; /* "-", "same", "noise", "better", "worse" */

/* Two runs. Values in ms, the hit rate as a ratio. */
struct compare_pairs {
    size_t n;                           /* requests measured in both */
    size_t alone;                       /* in one of them only: failed or rejected in the other */
    bool other_traffic;                 /* the requests are not the same: nothing below holds */
    struct interval difference[PAIRED]; /* variant - reference; value NAN: not known */
    enum compare_verdict verdict[PAIRED];
};

/* Compares a variant's requests with the reference's. times: false in the null world, where none passes. The
 * seed is that of the resampling. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int compare_pair(const struct lab_request *variant, size_t n_variant,
                                const struct lab_request *reference, size_t n_reference, bool times,
                                uint64_t seed, struct compare_pairs *out);

struct compare_row {
    bool begun;      /* false: missing, the comparison was stopped before */
    json_t *summary; /* NULL: failed, or missing */
    struct lab_request *requests;
    size_t n_requests;
    char *error;      /* why it failed */
    size_t reference; /* row; itself: it is one */
    struct compare_pairs pairs;
};

struct comparison {
    struct lab *lab;
    struct compare_row *rows;
    size_t n;
    size_t missing, failed;
    struct figures metrics; /* shown */
    bool chosen;            /* by --metrics */
    bool stopped;
};

/* Figures that a table begins with: hits and evictions of the tiers that have any; times unless null. */
void compare_default_metrics(struct comparison *c);

/* What rows have in common in front, "", "cache.tiers.gpu." */
void compare_print(FILE *out, const struct comparison *c, bool colour);

/* Writes all files of the comparison into the folder. Returns 0 or a negative errno. */
KVT_MUST_CHECK int compare_write(int dirfd, const struct comparison *c);
/* Text of summary.json, freed by the caller; NULL: out of memory. */
char *compare_json(const struct comparison *c);
/* Pictures of the shown metrics, into the folder at `dir`. Returns 0 or a negative errno with one line in why. */
KVT_MUST_CHECK int compare_draw(const struct comparison *c, const char *dir, char *why,
                                size_t size);

/* Names of the files, NULL at the end. */
extern const char *const compare_files[];

#endif
