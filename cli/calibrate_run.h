/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_run.h - measuring this machine, part by part, for whoever wants a profile of it.
 *
 *      open ---> parts ---> [ fit, write (calibrate.h) ] ---> parts ---> [ fit, write ] ---> close
 *
 * `calibrate` measures once and is done; `validate --calibrate` measures between its real runs, too. Samples add up:
 * every fit is of all of them. Messages go to stderr, each with the name of the command in front.
 */
#ifndef CLI_CALIBRATE_RUN_H
#define CLI_CALIBRATE_RUN_H

#include "../backend/spawn.h"
#include "calibrate.h"
#include "catalog.h"

enum { CALIBRATE_NODES = 16, CALIBRATE_CODECS = 64 };

enum calibrate_part {
    CALIBRATE_COPIES,
    CALIBRATE_CODECS_PART,
    CALIBRATE_DISK,
    CALIBRATE_REDIS,
    CALIBRATE_TRANSFERS,
    CALIBRATE_PARTS
};
extern const char *const calibrate_part_names[CALIBRATE_PARTS];

/* What is measured, and how. */
struct calibrate_options {
    const char *who;    /* "kvtwin calibrate" */
    const char *disk;   /* where files are written */
    const char *device; /* auto, host or cuda */
    const char *model;  /* whose KV is moved; NULL: qwen2.5-0.5b */
    const char *redis[CALIBRATE_NODES];
    uint32_t n_redis;                                   /* 0: private servers are started */
    uint64_t threads, connections, depth, block_tokens; /* threads 0: one per processor */
    enum be_sync sync;
    bool quick, direct, verify, only[CALIBRATE_PARTS];
};

/* All parts of host memory and two private servers, as `calibrate` does by default. */
struct calibrate_options calibrate_usual(const char *who);

struct calibrate_run {
    struct calibrate c;
    const struct calibrate_options *options; /* borrowed */
    /* private: */
    struct be_redis_address nodes[CALIBRATE_NODES];
    const char *codecs[CALIBRATE_CODECS];
    struct catalog *catalog;
    struct be_spawn *spawn;
};

/* The catalogue, the device, servers. Sets the size of libuv's pool, which nobody may have used. Returns an exit code,
 * EXIT_DONE to go on; close it in any case. */
int calibrate_run_open(struct calibrate_run *run, const struct calibrate_options *options);

/* Measures these parts in this order, those that options want, with a bar on a terminal. What this machine does not have is
 * left out, and said so. Returns an exit code; interrupted: EXIT_FAILED. */
int calibrate_run_parts(struct calibrate_run *run, const enum calibrate_part *parts, uint32_t n);

/* All there is, in the order that calibrate has. */
int calibrate_run_all(struct calibrate_run *run);

/* Ends the servers; samples stay. */
void calibrate_run_rest(struct calibrate_run *run);
void calibrate_run_close(struct calibrate_run *run);

#endif
