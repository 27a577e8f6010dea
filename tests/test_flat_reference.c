/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_flat_reference.c - the flat cache beside published miss ratios, to every printed digit.
 *
 * The reference is a table of what libCacheSim gives for the same block sequences (two of its commits,
 * which differ in how S3-FIFO warms up). Every row is run, but for W-TinyLFU, which that version gets
 * wrong; test_evict.c holds ours to a model of the paper. Says "skipped" where the material is not.
 */
#include "core/flat.h"

#include "bench.h"
#include "flat_traces.h"
#include "kvt_test.h"

static const char reference[] = "../shared/reference/miss-ratios.csv";

struct row {
    char trace[16], policy[32], commit[16];
    unsigned long long capacity, requests;
    double miss_ratio;
};

static bool read_row(FILE *file, struct row *row)
{
    char line[256];
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "%15[^,],%llu,%31[^,],%llu,%lf,%15s", row->trace, &row->capacity,
                   row->policy, &row->requests, &row->miss_ratio, row->commit) == 6)
            return true;
    return false;
}

/* Ours that is meant, and its parameters; NULL: not held to this table. */
static const struct kvt_evict_ops *ours(const struct row *row, struct kvt_evict_config *config)
{
    static const char *const names[][2] = {
        {"LRU", "lru"}, {"FIFO", "fifo"}, {"LFU", "lfu"},       {"Sieve", "sieve"},
        {"ARC", "arc"}, {"GDSF", "gdsf"}, {"Belady", "belady"}, {"S3FIFO-0.1000-2", "s3-fifo"},
    };
    config->warm_up_main = strcmp(row->commit, "6d3d368") == 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(row->policy, names[i][0]) == 0)
            return kvt_evict_named(names[i][1]);
    return NULL;
}

static double miss_ratio(const struct kvt_evict_ops *ops, const struct kvt_evict_config *config,
                         const struct flat_trace *trace, const uint64_t *next_use)
{
    int error;
    struct kvt_flat *flat = kvt_flat_new(ops, config, &error);
    ck_assert_ptr_nonnull(flat);
    const uint64_t hits =
        kvt_flat_access(flat, trace->ids, ops->needs_future ? next_use : NULL, trace->n, NULL);
    kvt_flat_free(flat);
    return 1 - (double)hits / (double)trace->n;
}

START_TEST(equal_to_every_printed_digit)
{
    static const char *const traces[] = {"conv512", "agentic64"};
    const char *const name = traces[_i];
    struct flat_trace trace;
    FILE *file = fopen(reference, "r");
    if (!file || !flat_trace_read(&trace, name)) {
        kvt_test_skip("no reference figures or traces");
        if (file)
            fclose(file);
        return;
    }
    uint64_t *next_use = malloc(trace.n * sizeof *next_use);
    ck_assert_int_eq(kvt_flat_next_use(trace.ids, trace.n, &heap, next_use), 0);
    struct row row;
    unsigned compared = 0, wrong = 0;
    while (read_row(file, &row)) {
        struct kvt_evict_config config = {.capacity = row.capacity, .alloc = &heap};
        const struct kvt_evict_ops *ops = ours(&row, &config);
        if (strcmp(row.trace, name) != 0 || !ops)
            continue;
        ck_assert_uint_eq(row.requests, trace.n);
        char theirs[16], own[16];
        snprintf(theirs, sizeof theirs, "%.4f", row.miss_ratio);
        snprintf(own, sizeof own, "%.4f", miss_ratio(ops, &config, &trace, next_use));
        compared++;
        if (strcmp(theirs, own) == 0)
            continue;
        printf("%s, %llu blocks, %s (%s): %s, reference %s\n", name, row.capacity, ops->name,
               row.commit, own, theirs);
        fflush(stdout);
        wrong++;
    }
    ck_assert_uint_ge(compared, 40);
    ck_assert_uint_eq(wrong, 0);
    free(next_use);
    flat_trace_free(&trace);
    fclose(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("flat_reference");
    TCase *tcase = tcase_create("miss ratios");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, equal_to_every_printed_digit, 0, 2);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
