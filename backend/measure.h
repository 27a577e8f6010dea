/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure.h - how fast this machine is: each path of KV bytes by itself, and as the real world
 * moves them, with everything else at work.
 *
 *      measure_copy.c    memcpy, upload, download, peer, fill, checksum       size x threads
 *      measure_codec.c   values written and read, per chain                   size, one thread
 *      measure_disk.c    files written and read                               size x threads
 *      measure_redis.c   round trips, GET and SET                             size x connections x depth
 *      measure_pipe.c    whole loads and stores: value -> worker -> pages     size x pieces x nodes
 *      measure_grid.c    .. which of them
 *      measure_fit.c     what the figures say: robust fits
 *
 * A sample is one point of a grid: the same transfer, repeated until the point has used up its
 * share of time, as median and 10th and 90th percentile. All times are wall time on the
 * monotonic clock; nothing is taken off.
 */
#ifndef BE_MEASURE_H
#define BE_MEASURE_H

#include "codec.h"
#include "device.h"
#include "disk.h"
#include "redis.h"

enum be_path {
    BE_PATH_MEMCPY,
    BE_PATH_UPLOAD,
    BE_PATH_DOWNLOAD,
    BE_PATH_PEER,
    BE_PATH_FILL,
    BE_PATH_CHECKSUM,
    BE_PATH_ENCODE, /* be_value_write: codec, head and checksum */
    BE_PATH_DECODE, /* be_value_read: verification and codec */
    BE_PATH_DISK_WRITE,
    BE_PATH_DISK_READ,
    BE_PATH_REDIS_EXISTS, /* `pieces` commands without a value */
    BE_PATH_REDIS_GET,
    BE_PATH_REDIS_SET,
    BE_PATH_REDIS_USAGE, /* no time: stored_b is what the server says that a value of raw_b takes up, with its key */
    BE_PATH_LOAD_HOST, /* from here on: as the real world does it */
    BE_PATH_STORE_HOST,
    BE_PATH_LOAD_REDIS,
    BE_PATH_STORE_REDIS,
    BE_PATH_LOAD_DISK,
    BE_PATH_STORE_DISK,
    BE_PATHS
};
const char *be_path_name(enum be_path path); /* "memcpy", "redis-get", "load-host", ... */

/* One point: `pieces` pieces of raw_b bytes each, moved by `threads` at a time. */
struct be_sample {
    enum be_path path;
    char codec[32];       /* as asked for; "" where there is none */
    enum k_dtype dtype;   /* of the KV that was coded */
    uint32_t pieces;      /* in one transfer; of threads that do the same: of all of them */
    uint32_t threads;     /* workers; 1 for Redis alone: the loop */
    uint32_t nodes;       /* Redis servers that have a part in it; else 0 */
    uint32_t connections; /* to each; else 0 */
    uint32_t depth;       /* commands under way per connection; else 0 */
    uint32_t together;    /* tiers that stored the same at one time; 0 and 1: alone */
    double raw_b;         /* of one piece, uncompressed */
    double stored_b;      /* of one piece, on the medium */
    uint32_t repeats;
    double ns, low_ns, high_ns; /* a whole transfer: median, p10, p90 */
    /* Of loads and stores, medians of the spans of world.h: how far the last piece of each stage
     * extended the end. A load has medium, decode, copy in this order; a store copy, decode,
     * medium. Else 0. */
    double medium_ns, decode_ns, copy_ns;
};

/* A stage of one repetition beside the median of its point. */
enum be_span { BE_SPAN_MEDIUM, BE_SPAN_DECODE, BE_SPAN_COPY, BE_SPANS };
struct be_ratio {
    enum be_path path;
    enum be_span span; /* of REDIS_EXISTS: MEDIUM is the whole */
    double raw_b;      /* of a piece */
    uint32_t pieces;
    double ratio;
};

struct be_samples {
    struct be_sample *at;
    uint32_t n, room;
    struct be_ratio *ratios; /* of loads, stores (one tier at a time) and probes */
    uint32_t n_ratios, room_ratios;
};
void be_samples_free(struct be_samples *samples);
/* 0 or -ENOMEM. */
KVT_MUST_CHECK int be_samples_add(struct be_samples *samples, const struct be_sample *sample);
/* The ratios of n repetitions to their median_ns; none when that is 0. 0 or -ENOMEM. */
KVT_MUST_CHECK int be_samples_add_ratios(struct be_samples *samples, const struct be_sample *sample,
                                         enum be_span span, const double *ns, uint32_t n,
                                         double median_ns);

struct be_measure_config {
    bool quick; /* a smaller grid, less time for each point */
    /* Not the first time: questions to Redis, and whole loads and stores of these tiers (bits), each tier alone and for
     * half as long. 0: all there is. */
    uint32_t again;
    struct k_geometry geometry; /* of the model; pages is not looked at */
    uint32_t block_tokens;
    size_t piece_b;     /* most raw bytes of a value */
    const char *device; /* see be_device_open */
    uint32_t threads;   /* that copy, or use the disk, at one time; 0: one per processor */
    /* Of whole loads and stores, as world.h has them; 0: one per processor, and one. They come
     * from libuv's pool, whose size is the caller's. */
    uint32_t workers;
    uint32_t cores; /* that the machine has; 0: those that are online. Of no use to measuring */
    const struct be_redis_address *nodes;
    uint32_t n_nodes, connections, depth;
    const char *const *codecs; /* chains */
    uint32_t n_codecs;
    const char *folder; /* for files: one is made in it and removed again */
    enum be_sync sync;
    bool direct;
    bool verify;   /* loads are compared with what has to be there, as world.h does */
    uint64_t seed; /* of contents */
    /* Called before each point with the share done so far and what comes next; true: stop. */
    bool (*tick)(void *self, double done, const char *what);
    void *self;
};

/* Each adds its samples. 0; -EINTR when tick said so; -ENOTSUP with one line in why when this
 * machine has no such thing; else a negative errno with one line in why. Samples taken before
 * stay. Not at the same time as each other. */
KVT_MUST_CHECK int be_measure_copies(const struct be_measure_config *config,
                                     struct be_samples *samples, char *why, size_t size);
KVT_MUST_CHECK int be_measure_codecs(const struct be_measure_config *config,
                                     struct be_samples *samples, char *why, size_t size);
KVT_MUST_CHECK int be_measure_disk(const struct be_measure_config *config,
                                   struct be_samples *samples, char *why, size_t size);
KVT_MUST_CHECK int be_measure_redis(const struct be_measure_config *config,
                                    struct be_samples *samples, char *why, size_t size);
/* Host, then Redis if there are nodes, then disk if there is a folder. */
KVT_MUST_CHECK int be_measure_pipes(const struct be_measure_config *config,
                                    struct be_samples *samples, char *why, size_t size);

/* ---- Fits ------------------------------------------------------------------------------------------ */

enum { BE_FIT_MOST = 8 };

/* A model of times: what it predicts for row i under parameters that are all positive. */
struct be_model {
    uint32_t n_parameters; /* <= BE_FIT_MOST */
    double (*predict)(const void *self, const double parameters[], uint32_t row);
    const void *self;
};

struct be_fit {
    bool valid; /* false: too few usable points, or no solution; nothing below is meant then */
    double parameter[BE_FIT_MOST], error[BE_FIT_MOST]; /* and its standard error */
    uint32_t points;                                   /* that were usable: finite, above 0 */
    uint32_t outliers;                 /* of them, those that had next to no weight in the end */
    double r2;                         /* of the logarithms of the times, all points alike */
    double residual_p50, residual_p95; /* |predicted / measured - 1| */
    bool fits;                         /* residual_p95 <= BE_FIT_TOLERANCE */
};
#define BE_FIT_TOLERANCE 0.20

/* Fits the model to n measured times: least squares of log(predicted / measured), iterated with
 * Tukey's bisquare weights, so that about a fifth of the points may be anything. parameter[]
 * holds a first guess, within a few orders of magnitude. A parameter that nothing depends on
 * keeps its guess, with an infinite error. False when there is no fit. */
bool be_fit_model(const struct be_model *model, const double *measured, uint32_t n,
                  struct be_fit *fit);

/* time = latency + bytes / rate: parameter[0] ns, parameter[1] bytes per second. The start is
 * GSL's robust line on relative residuals; then as above. With all sizes equal there is no line:
 * not valid. */
bool be_fit_line(const double *bytes, const double *ns, uint32_t n, struct be_fit *fit);

/* The quantile q of values, which are put in order. NAN for none. */
double be_quantile(double *values, uint32_t n, double q);

/* ---- Between the files that measure ---------------------------------------------------------------- */

/* Repeats once() until it has taken its share of time (but at least 5 times), and adds the
 * sample. once sets *ns and returns 0 or a negative errno. what: for tick. */
struct be_point {
    int (*once)(void *self, double *ns);
    void *self;
    double share; /* of a usual point's time; 0: 1 */
    /* The machine rests between repetitions, as it does between requests: processors sleep, and what that costs is part of the
     * time. The rest counts towards the share. So many times 2 to 12 ms, in quick mode a third; 0: none. */
    uint32_t rested;
    bool others; /* and other bytes go through the caches meanwhile */
};
struct be_clock { /* how far the grid is */
    const struct be_measure_config *config;
    struct be_samples *samples;
    uint32_t done, points;
};
KVT_MUST_CHECK int be_measure_point(struct be_clock *clock, const struct be_point *point,
                                    const struct be_sample *sample);
/* Processors that are online. */
uint32_t be_processors(void);

#endif
