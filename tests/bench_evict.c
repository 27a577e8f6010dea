/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_evict.c - how fast the flat cache is: every policy on two sequences at two capacities each.
 *
 *      zipf10M    10 million draws over a million ids, p(rank) ~ 1/rank, ids shuffled
 *      conv16     conversation trace in 16-token blocks: 9,055,233 look-ups
 *
 * Prints million look-ups per second on one core, best of RUNS, beside the best that libCacheSim is
 * on record with (of any commit and run), the ratio of the two, the miss ratio, and bytes per block
 * of capacity, all told. Where a miss ratio is published for the same input, they must agree; the
 * generator is held to LRU's, 0.437 and 0.246.
 *
 *      bench_evict [policy] [zipf10M|conv16]
 *      bench_evict misses          miss ratios of all policies on two traces at five capacities each
 */
#include "bench.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>

#include "core/flat.h"
#include "flat_traces.h"

enum { RUNS = 3, DRAWS = 10000000, IDS = 1000000 };

static const char reference[] = "../shared/reference/throughput-libcachesim.csv";

struct input {
    const char *name;
    struct flat_trace trace;
    uint64_t *next_use;
    uint64_t capacities[2];
};

/* Ranks by inversion in the table of cumulated weights; ids are the ranks, shuffled. */
static bool zipf(struct flat_trace *t)
{
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    double *below = malloc(IDS * sizeof *below);
    uint64_t *id = malloc(IDS * sizeof *id);
    *t = (struct flat_trace){0};
    if (!rng || !below || !id)
        return false;
    gsl_rng_set(rng, 20230823);
    double sum = 0;
    for (uint64_t rank = 0; rank < IDS; rank++) {
        below[rank] = sum += 1 / (double)(rank + 1);
        id[rank] = rank;
    }
    gsl_ran_shuffle(rng, id, IDS, sizeof *id);
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double u = gsl_rng_uniform(rng) * sum;
        uint64_t low = 0, high = IDS - 1;
        while (low < high) {
            const uint64_t middle = (low + high) / 2;
            if (below[middle] > u)
                high = middle;
            else
                low = middle + 1;
        }
        flat_trace_add(t, id[low]);
    }
    gsl_rng_free(rng);
    free(below);
    free(id);
    return true;
}

/* Of the same name there, or NULL. */
static const char *theirs(const char *name)
{
    static const char *const names[][2] = {
        {"lru", "LRU"},       {"lfu", "LFU"}, {"fifo", "FIFO"},          {"s3-fifo", "S3FIFO"},
        {"sieve", "Sieve"},   {"arc", "ARC"}, {"w-tinylfu", "WTinyLFU"}, {"gdsf", "GDSF"},
        {"belady", "Belady"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i][0]) == 0)
            return names[i][1];
    return NULL;
}

/* The best rate on record, 0 when there is none. */
static double best_on_record(const char *input, const char *policy, uint64_t capacity)
{
    FILE *file = fopen(reference, "r");
    const char *name = theirs(policy);
    double best = 0;
    char line[256], on[16], of[32];
    unsigned long long blocks;
    double mqps;
    while (file && name && fgets(line, sizeof line, file))
        if (sscanf(line, "%*[^,],%15[^,],%31[^,],%llu,%*f,%*d,%*f,%*f,%lf", on, of, &blocks,
                   &mqps) == 4 &&
            strcmp(on, input) == 0 && strcmp(of, name) == 0 && blocks == capacity && mqps > best)
            best = mqps;
    if (file)
        fclose(file);
    return best;
}

static int measure(const struct kvt_evict_ops *ops, const struct input *in, uint64_t capacity)
{
    double best_s = HUGE_VAL;
    uint64_t hits = 0;
    size_t memory_b = 0;
    for (int run = 0; run < RUNS; run++) {
        const struct kvt_evict_config config = {.capacity = capacity, .alloc = &heap};
        int error;
        struct kvt_flat *flat = kvt_flat_new(ops, &config, &error);
        if (!flat)
            return 1;
        const double begin_s = bench_cpu_s();
        hits = kvt_flat_access(flat, in->trace.ids, ops->needs_future ? in->next_use : NULL,
                               in->trace.n, NULL);
        const double took_s = bench_cpu_s() - begin_s;
        best_s = took_s < best_s ? took_s : best_s;
        memory_b = kvt_flat_memory_b(flat);
        kvt_flat_free(flat);
    }
    const double rate = (double)in->trace.n / best_s / 1e6;
    const double record = best_on_record(in->name, ops->name, capacity);
    char beside[32] = "      -      -";
    if (record > 0)
        snprintf(beside, sizeof beside, "%7.2f %6.2f", record, rate / record);
    printf("%-10s %-8s %9llu %8.2f %s %8.4f %8.1f\n", ops->name, in->name,
           (unsigned long long)capacity, rate, beside, 1 - (double)hits / (double)in->trace.n,
           (double)memory_b / (double)capacity);
    fflush(stdout);
    return 0;
}

static int misses(const char *name, const uint64_t capacities[5])
{
    struct flat_trace trace;
    if (!flat_trace_read(&trace, name)) {
        printf("skipped: no %s\n", name);
        return 0;
    }
    uint64_t *next_use = malloc(trace.n * sizeof *next_use);
    if (!next_use || kvt_flat_next_use(trace.ids, trace.n, &heap, next_use))
        return 1;
    printf("%-10s", name);
    for (int c = 0; c < 5; c++)
        printf(" %8llu", (unsigned long long)capacities[c]);
    for (const struct kvt_evict_ops *const *ops = kvt_evict_all; *ops; ops++) {
        if ((*ops)->needs_ttl)
            continue;
        printf("\n%-10s", (*ops)->name);
        for (int c = 0; c < 5; c++) {
            const struct kvt_evict_config config = {.capacity = capacities[c], .alloc = &heap};
            int error;
            struct kvt_flat *flat = kvt_flat_new(*ops, &config, &error);
            if (!flat)
                return 1;
            const uint64_t hits = kvt_flat_access(flat, trace.ids, next_use, trace.n, NULL);
            printf(" %8.4f", 1 - (double)hits / (double)trace.n);
            kvt_flat_free(flat);
        }
    }
    printf("\n");
    free(next_use);
    flat_trace_free(&trace);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "misses") == 0)
        return misses("conv512", (const uint64_t[]){1000, 5000, 20000, 50000, 100000}) ||
               misses("agentic64", (const uint64_t[]){1000, 5000, 10000, 20000, 50000});
    struct input inputs[] = {
        {.name = "zipf10M", .capacities = {7627, 76270}},
        {.name = "conv16", .capacities = {160000, 1600000}},
    };
    const char *only = argc > 1 ? argv[1] : "", *only_input = argc > 2 ? argv[2] : "";
    printf("%-10s %-8s %9s %8s %7s %6s %8s %8s\n", "policy", "input", "capacity", "M/s", "record",
           "ratio", "misses", "B/block");
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct input *in = &inputs[i];
        if (*only_input && strcmp(only_input, in->name) != 0)
            continue;
        if (!(i == 0 ? zipf(&in->trace) : flat_trace_read(&in->trace, in->name))) {
            printf("skipped: no %s\n", in->name);
            continue;
        }
        in->next_use = malloc(in->trace.n * sizeof *in->next_use);
        if (!in->next_use || kvt_flat_next_use(in->trace.ids, in->trace.n, &heap, in->next_use))
            return 1;
        for (const struct kvt_evict_ops *const *ops = kvt_evict_all; *ops; ops++)
            for (int c = 0; c < 2; c++)
                if (!*only || strcmp(only, (*ops)->name) == 0)
                    if (measure(*ops, in, in->capacities[c]))
                        return 1;
        free(in->next_use);
        flat_trace_free(&in->trace);
    }
    return 0;
}
