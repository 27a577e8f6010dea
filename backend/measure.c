/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * measure.c - samples, and how one is taken.
 *
 * A point of a grid is repeated for a share of time that does not depend on how fast it is: 50
 * ms in quick mode, 150 ms otherwise, half of it when it is measured again, but never fewer than REPEATS_LEAST times nor
 * more than REPEATS_MOST. The first repetition only warms up. What is kept is the median, which a
 * disturbance of less than half of the time leaves alone, and the 10th and 90th percentile.
 */
#include "measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../core/mix.h"

enum { REPEATS_LEAST = 5, REPEATS_MOST = 500, OTHER_B = 16 << 20 };

static const char *const names[BE_PATHS] = {"memcpy",     "upload",       "download",
                                            "peer",       "fill",         "checksum",
                                            "encode",     "decode",       "disk-write",
                                            "disk-read",  "redis-exists", "redis-get",
                                            "redis-set",  "redis-usage",  "load-host",
                                            "store-host", "load-redis",   "store-redis",
                                            "load-disk",  "store-disk"};

const char *be_path_name(enum be_path path)
{
    return names[path];
}

void be_samples_free(struct be_samples *samples)
{
    free(samples->at);
    free(samples->ratios);
    *samples = (struct be_samples){0};
}

int be_samples_add(struct be_samples *samples, const struct be_sample *sample)
{
    if (samples->n == samples->room) {
        const uint32_t room = samples->room ? 2 * samples->room : 64;
        struct be_sample *more = realloc(samples->at, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        samples->at = more;
        samples->room = room;
    }
    samples->at[samples->n++] = *sample;
    return 0;
}

int be_samples_add_ratios(struct be_samples *samples, const struct be_sample *sample,
                          enum be_span span, const double *ns, uint32_t n, double median_ns)
{
    if (!(median_ns > 0))
        return 0;
    if (samples->n_ratios + n > samples->room_ratios) {
        const uint32_t room = 2 * (samples->n_ratios + n);
        struct be_ratio *more = realloc(samples->ratios, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        samples->ratios = more;
        samples->room_ratios = room;
    }
    for (uint32_t i = 0; i < n; i++)
        samples->ratios[samples->n_ratios++] = (struct be_ratio){.path = sample->path,
                                                                 .span = span,
                                                                 .raw_b = sample->raw_b,
                                                                 .pieces = sample->pieces,
                                                                 .ratio = ns[i] / median_ns};
    return 0;
}

uint32_t be_processors(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 1024 ? 1024 : (uint32_t)n;
}

/* Some tens of milliseconds, so that no timer's beat is hit; with other bytes going through the caches meanwhile, or
 * without. A processor that has had nothing to do for long wakes up later than one that was busy a moment ago: after 2 to 12 ms
 * loads and questions are a tenth to a fifth faster than in a run that has a request now and then. Returns how long it
 * took. */
static double rest(uint64_t number, uint32_t times, bool others)
{
    static unsigned char other[OTHER_B];
    const uint64_t begin_ns = uv_hrtime();
    const long ns = (1000000 + (long)(kvt_mix64(number) % 5000000)) * (long)times;
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
    if (others)
        memset(other, (int)number, sizeof other);
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
    return (double)(uv_hrtime() - begin_ns);
}

int be_measure_point(struct be_clock *clock, const struct be_point *point,
                     const struct be_sample *sample)
{
    const struct be_measure_config *config = clock->config;
    const double share_ns = (config->quick ? 50e6 : 150e6) * (point->share > 0 ? point->share : 1) /
                            (config->again ? 2 : 1);
    struct be_sample kept = *sample;
    double *ns = malloc(REPEATS_MOST * sizeof *ns), spent_ns = 0;
    const double done = clock->points > 0 ? (double)clock->done / clock->points : 0;
    int rc = ns ? 0 : -ENOMEM;
    clock->done++;
    if (rc == 0 && config->tick && config->tick(config->self, done, be_path_name(sample->path)))
        rc = -EINTR;
    double warm_ns = 0;
    if (rc == 0)
        rc = point->once(point->self, &warm_ns);
    kept.repeats = 0;
    while (rc == 0 && kept.repeats < REPEATS_MOST &&
           (kept.repeats < REPEATS_LEAST || spent_ns < share_ns)) {
        if (point->rested > 0)
            spent_ns +=
                rest(config->seed + kept.repeats,
                     config->quick ? (point->rested + 2) / 3 : point->rested, point->others);
        rc = point->once(point->self, &ns[kept.repeats]);
        if (rc == 0)
            spent_ns += ns[kept.repeats++];
    }
    if (rc == 0) {
        kept.ns = be_quantile(ns, kept.repeats, 0.5);
        kept.low_ns = be_quantile(ns, kept.repeats, 0.1);
        kept.high_ns = be_quantile(ns, kept.repeats, 0.9);
        rc = be_samples_add(clock->samples, &kept);
        if (rc == 0 && kept.path == BE_PATH_REDIS_EXISTS)
            rc = be_samples_add_ratios(clock->samples, &kept, BE_SPAN_MEDIUM, ns, kept.repeats,
                                       kept.ns);
    }
    free(ns);
    return rc;
}
