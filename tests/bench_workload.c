/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_workload.c - how long traces take to load, cut and draw.
 *
 *   bench_workload [TRACE]      default: the public conversation trace, if it is there
 *
 * Best of five, one core, wall time. Opening includes the run through that verifies and counts.
 */
#include "workload/workload.h"

#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void bench(const char *name, const struct wl_options *o)
{
    double open_ms = 1e9, read_ms = 1e9;
    uint64_t requests = 0, keys = 0;
    for (int i = 0; i < 5; i++) {
        struct wl_source *s;
        struct wl_error error;
        struct kvt_request r = {0};
        const double begin = now_ms();
        if (wl_open(&s, o, &error) != 0) {
            printf("%s\n", error.text);
            exit(EXIT_FAILURE);
        }
        const double opened = now_ms();
        for (requests = keys = 0; wl_next(s, &r) == 1; requests++)
            keys += r.n_keys;
        const double ended = now_ms();
        wl_close(s);
        open_ms = opened - begin < open_ms ? opened - begin : open_ms;
        read_ms = ended - opened < read_ms ? ended - opened : read_ms;
    }
    printf("%-34s open %7.1f ms, read %7.1f ms: %8llu requests, %9llu keys, %6.1f M keys/s\n", name,
           open_ms, read_ms, (unsigned long long)requests, (unsigned long long)keys,
           (double)keys / read_ms / 1e3);
}

int main(int argc, char **argv)
{
    const char *trace = argc > 1 ? argv[1] : "../shared/traces/conversation_trace.jsonl";
    static const char *const kinds[] = {"chat", "agent", "rag", "zipf-tree"};
    struct wl_options o;
    struct wl_error error;
    struct rusage usage;
    gsl_set_error_handler_off();
    wl_options_init(&o);
    if (access(trace, R_OK) == 0) {
        o.path = trace;
        o.partial_blocks = true;
        bench("trace, its own blocks", &o);
        o.block_tokens = 16;
        bench("trace, cut into 16 tokens", &o);
    } else {
        printf("skipped: no %s\n", trace);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char name[40];
        wl_options_init(&o);
        if (wl_generate_set(&o.generate, "kind", kinds[i], &error) != 0 ||
            wl_generate_set(&o.generate, "requests", "200000", &error) != 0 ||
            wl_generate_set(&o.generate, "rate", "20/s", &error) != 0)
            return EXIT_FAILURE;
        snprintf(name, sizeof name, "%s, 512 tokens", kinds[i]);
        bench(name, &o);
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("peak memory %.1f MiB\n", (double)usage.ru_maxrss / 1024);
    return EXIT_SUCCESS;
}
