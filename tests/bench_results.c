/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_results.c - how fast a run is written down: notes and lines per second, memory per request.
 *
 *   bench_results [REQUESTS [DIR]]
 *
 * Without DIR the results go to a temporary folder and are removed.
 */
#include "bench.h"

#include "fake_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Without a cache and without files: what drawing the fake notes costs, and the baseline. */
static struct results *run(struct fake_run *f, const char *dir, double *took_s)
{
    struct results_options options;
    char why[512] = "";
    int error;

    fake_options(&options, dir, f);
    struct results *r = results_new(&options, &error, why, sizeof why);
    double begin = bench_wall_s();
    if (r != NULL)
        fake_run(f, r);
    *took_s = bench_wall_s() - begin;
    if (r == NULL || fake_close(f, r, why, sizeof why) != 0) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    return r;
}

int main(int argc, char **argv)
{
    uint32_t requests = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    char folder[] = "/tmp/bench_results.XXXXXX", dir[64], why[512], clear[96];
    double off_s, on_s, begin;
    struct fake_run off = {.seed = 1, .requests = requests, .engines = 4};
    struct fake_run on = {.seed = 1, .requests = requests, .engines = 4, .cache = true};

    if (argc <= 2 && mkdtemp(folder) == NULL)
        return 1;
    snprintf(dir, sizeof dir, "%s/run", folder);
    struct results *baseline = run(&off, NULL, &off_s);
    struct results *r = run(&on, argc > 2 ? argv[2] : dir, &on_s);
    begin = bench_wall_s();
    if (results_write(r, baseline, why, sizeof why) != 0) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    double write_s = bench_wall_s() - begin;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("requests %u: notes %.3f s in memory, %.3f s with requests.csv (%.2f million lines/s), "
           "other files %.3f s, peak %.1f MB (%.0f bytes per request and collector)\n",
           requests, off_s, on_s, requests / on_s / 1e6, write_s, (double)usage.ru_maxrss / 1024,
           (double)usage.ru_maxrss * 1024 / requests / 2);
    if (argc > 2)
        results_print(stdout, r, baseline, false);
    results_free(r);
    results_free(baseline);
    if (argc <= 2) {
        snprintf(clear, sizeof clear, "rm -rf %s", folder);
        return system(clear) != 0;
    }
    return 0;
}
