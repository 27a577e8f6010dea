/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench.h - what the benchmarks share: two clocks, and a heap that costs nothing beside malloc.
 *
 * Processor time for what runs in one thread of this program, so that other work on the machine
 * disturbs least; wall time for whole processes.
 */
#ifndef BENCH_H
#define BENCH_H

#include "../core/alloc.h"

#include "heap.h"

#include <stdlib.h>
#include <time.h>

static inline double bench_clock_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double bench_cpu_s(void)
{
    return bench_clock_s(CLOCK_THREAD_CPUTIME_ID);
}

static inline double bench_wall_s(void)
{
    return bench_clock_s(CLOCK_MONOTONIC);
}

#endif
