/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * lab.h - one scenario run many times: what compare, sweep and plan have in common.
 *
 *      lab_option     takes the options that the three share off the command line
 *      lab_open       reads everything and checks every run before the first begins
 *      lab_run        one run, in whatever process
 *      lab_prepare    before a worker is forked: reads the traffic that the run shares with others
 *      lab_close
 *
 * A *point* is one choice of values for the varied keys; it is run once or, with replications, once for each
 * seed, the scenario's and the ones after it: *runs* are numbered point * replications + replication.
 * Every point gets the same seeds, so two points see the same traffic wherever the varied keys leave it
 * alone (common random numbers).
 *
 * Runs whose traffic is the same are a group: the parent reads it once, before it forks, and they are
 * ordered so that a group stands together.
 */
#ifndef CLI_LAB_H
#define CLI_LAB_H

#include <jansson.h>
#include <signal.h>

#include "session.h"
#include "store.h"
#include "vary.h"

enum { LAB_SETS_MOST = 256, LAB_COMMAND_MOST = 4096 };

struct lab_arguments {
    struct session_arguments session; /* sets points to the array below */
    const char *sets[LAB_SETS_MOST];
    const char *option; /* which names the keys: "--vary", "--over" */
    struct vary vary;
    const char *out, *metrics;
    bool json;
    uint32_t jobs;         /* 0: one per processor */
    uint32_t replications; /* at least 1 */
    char command[LAB_COMMAND_MOST];
};

/* Does argv[*i] belong to the shared options (or name the scenario)? Then takes it, moves *i to its last word and
 * returns 1. Returns 0 when not; -EINVAL or -ENOMEM with one line in error[SCENARIO_ERROR_SIZE]. */
int lab_option(struct lab_arguments *a, int argc, char **argv, int *i, char *error);
/* Before the first. */
void lab_arguments_init(struct lab_arguments *a, const char *option, int argc, char **argv);

/* One request of a run: what comparisons pair. */
struct lab_request {
    uint64_t ttft_ns; /* UINT64_MAX: not measured, or not finished */
    uint64_t tpot_ns; /* UINT64_MAX: fewer than two output tokens */
    uint64_t e2e_ns;
    uint32_t prompt_tokens, hit_tokens;
};

/* What a run leaves; released by lab_result_release. */
struct lab_result {
    char *json;                   /* summary.json's text */
    struct lab_request *requests; /* by id, NULL unless lab.requests */
    size_t n_requests;
};

struct lab_entry {
    char sha256[65];               /* of the resolved scenario, seed included */
    char identity[STORE_IDENTITY]; /* of everything that the result depends on */
    uint32_t group;                /* of the same traffic */
    double usd_per_hour; /* what its hardware is rented for; NAN: no prices, or it does not fit */
};

struct lab {
    const struct lab_arguments *arguments;
    struct session session; /* scenario and catalogue; the scenario has the values of some point */
    char name[NAME_MAX + 1];
    uint64_t seed; /* of replication 0, unless seed is varied */
    struct lab_entry *entries;
    size_t n_runs;
    size_t *order;      /* runs, groups together */
    bool requests;      /* wanted: requests in each result */
    bool baseline;      /* wanted: the same with the cache off, in the summary */
    bool rollout;       /* wanted: what a roll-out is compared with, one or two passes more */
    int64_t open_group; /* whose traffic session.source is; -1: none */
    uint32_t n_groups, *group_size;
    double
        rate_factor; /* 1.1: a tenth more traffic than the scenario has; 0: as it has. Set open_group to -1 with it */
    char constants[65]; /* hash over catalogue, profile, revision */
    char error[SCENARIO_ERROR_SIZE];
};

/* Before lab_open: this figure of summary.json is wanted, and what it takes is run. */
void lab_want(struct lab *lab, const char *figure);

/* *lab is zero but for arguments (borrowed), requests, baseline and rollout. Returns 0, or a negative errno with one
 * line in lab->error: session_exit says which exit code it deserves. */
KVT_MUST_CHECK int lab_open(struct lab *lab);
void lab_close(struct lab *lab);

/* (parent) Shaped for struct points; self is the struct lab *. */
int lab_prepare(void *self, size_t run, char *error);

/* Runs. Returns 0; -EINTR when *stop is set; or a negative errno with one line in error. */
KVT_MUST_CHECK int lab_run(struct lab *lab, size_t run, const volatile sig_atomic_t *stop,
                           struct lab_result *result, char *error);
void lab_result_release(struct lab_result *r);
/* When all runs are done: scenario.yaml and run.json into the folder open as dirfd; the session's values become those
 * of the first run. Returns 0 or a negative errno. */
KVT_MUST_CHECK int lab_write_setting(struct lab *lab, int dirfd);

/* The text of summary.json, to be freed; NULL without memory. Takes the object, which may be NULL. */
char *lab_json(json_t *all);

/* private: for lab_write.c. The scenario's values become those of a run. */
KVT_MUST_CHECK int lab_take_values(struct lab *lab, size_t run, char *error);
/* private: for lab_run.c. Session and traffic become those of a run. */
KVT_MUST_CHECK int lab_become(struct lab *lab, size_t run, char *error);

/* A result as bytes (free with free()), and back; the way back checks lengths and copies. -ENOMEM, -EBADMSG. */
KVT_MUST_CHECK int lab_pack(const struct lab_result *r, char **bytes, size_t *n);
KVT_MUST_CHECK int lab_unpack(struct lab_result *r, const char *bytes, size_t n);

/* Point and replication of a run. */
size_t lab_point(const struct lab *lab, size_t run);
uint32_t lab_replication(const struct lab *lab, size_t run);

/* One line on what was run, for below headlines: "conversation: sim world, llama-3.1-70b on ..., 12,031 requests". Returns
 * text. */
char *lab_describe(const struct lab *lab, char *text, size_t size);

#endif
