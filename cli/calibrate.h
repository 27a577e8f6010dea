/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate.h - from measured times to the numbers that the simulator takes, and to files.
 *
 *      cmd_calibrate.c      the command: options, what is measured, in which order
 *      calibrate_model.c    how long a transfer that is alone takes in the simulated world
 *      calibrate_lines.c    fits of single paths, for people
 *      calibrate_group.c    fits of the model to loads and stores
 *      calibrate_fit.c      which fits, and the values that follow
 *      calibrate_vary.c     how measured times spread about their medians
 *      calibrate_profile.c  values as a profile in the catalogue's form
 *      calibrate_files.c    measurements and fits as CSV; pictures
 *      calibrate_print.c    tables, JSON
 */
#ifndef CLI_CALIBRATE_H
#define CLI_CALIBRATE_H

#include <stdio.h>

#include "../backend/measure.h"
#include "catalog.h"

/* ---- The model ------------------------------------------------------------------------------------- */

/* What of sim/config.h has a say in it, as real numbers: fits want derivatives. */
struct calibrate_model {
    double h2d_bps, d2h_bps, copy_latency_ns; /* one worker */
    double rtt_ns, connection_ns, command_ns, process_bps, process_write_bps;
    bool coded; /* on the way to and from Redis and disk; rates of one worker */
    double encode_bps, decode_bps;
    double read_bps, write_bps, read_latency_ns, write_latency_ns; /* one worker */
    double get_odds,
        set_odds; /* of the shares of struct sim_machine: share = odds / (1 + odds), so that no fit leaves 0 .. 1 */
    double worker_cores, file_cores; /* below 1 counts as 1 */
    uint32_t connections;            /* to each server; >= 1 */
    uint32_t workers, cores, values; /* as in struct sim_machine; >= 1 */
};

struct calibrate_transfer {
    enum kvt_tier_kind tier;
    bool load;              /* else a store */
    uint32_t pieces, nodes; /* pieces go to servers in turn */
    double raw_b, stored_b; /* of one piece */
};

/* Spans as the world's, in ns: queued and wire together, decode, copy (with deserialise), and their sum. */
struct calibrate_spans {
    double medium_ns, decode_ns, copy_ns, ns;
};

/* What sim/world_piece.c makes of a transfer that has the machine to itself. */
struct calibrate_spans calibrate_lone(const struct calibrate_model *model,
                                      const struct calibrate_transfer *transfer);
/* The same of transfers, all loads or all stores, that are begun together; spans of each. */
enum { CALIBRATE_TOGETHER = 4, CALIBRATE_PIECES = 128 };
void calibrate_together(const struct calibrate_model *model,
                        const struct calibrate_transfer *transfers, uint32_t n,
                        struct calibrate_spans *spans);
double calibrate_share(double odds);
/* A probe of n blocks on one server. */
double calibrate_lone_probe_ns(const struct calibrate_model *model, uint32_t n);

/* ---- Fits and values ------------------------------------------------------------------------------- */

enum { CALIBRATE_SOURCE = 256, CALIBRATE_NAMES = BE_FIT_MOST };

/* One fit, as tables show it. */
struct calibrate_fit {
    char what[64]; /* "memcpy, 1 thread" */
    const char
        *name[CALIBRATE_NAMES]; /* of parameters; they end in _ns or _bps, or are plain numbers */
    uint32_t n_names;
    struct be_fit fit;
};

/* One value of the profile. */
struct calibrate_value {
    const char *section, *entry,
        *key; /* as in the catalogue; entry is owned by codecs' names or static */
    enum catalog_unit unit;
    double value;
    char source[CALIBRATE_SOURCE];
};

struct calibrate {
    /* in */
    struct be_measure_config config;
    struct be_samples samples;
    char date[16]; /* 2026-11-25 */
    char device[128];
    double memory_b; /* free */
    /* out */
    double *predicted_ns; /* of each sample, by the fit that it belongs to; NAN: none */
    struct calibrate_fit *fits;
    uint32_t n_fits, room_fits;
    struct calibrate_value *values;
    uint32_t n_values, room_values;
};
void calibrate_free(struct calibrate *c);
/* Forgets fits and values; samples stay. */
void calibrate_forget(struct calibrate *c);

/* Fits everything there are samples of; what was fitted before is forgotten. 0 or -ENOMEM. */
KVT_MUST_CHECK int calibrate_fit(struct calibrate *c);
/* The value, or NULL when nothing was measured that says it. */
const struct calibrate_value *calibrate_value(const struct calibrate *c, const char *section,
                                              const char *entry, const char *key);

/* ---- Files and tables ------------------------------------------------------------------------------ */

/* The profile, as text for the catalogue's reader. 0 or a negative errno. */
KVT_MUST_CHECK int calibrate_write_profile(const struct calibrate *c, const char *path);
/* samples.csv and fits.csv into the folder, which is made if it is not there. 0, or a negative errno with one line in why. */
KVT_MUST_CHECK int calibrate_write_data(const struct calibrate *c, const char *folder, char *why,
                                        size_t size);
/* Pictures of both, beside them. -ENOENT: no gnuplot. */
KVT_MUST_CHECK int calibrate_draw(const struct calibrate *c, const char *folder, char *why,
                                  size_t size);
void calibrate_print(const struct calibrate *c, FILE *out);
/* 0 or -ENOMEM. */
KVT_MUST_CHECK int calibrate_print_json(const struct calibrate *c, FILE *out);

#endif
