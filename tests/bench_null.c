/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_null.c - pure cache speed: the null world on a real trace, cut into 16-token blocks.
 *
 * The conversation trace of Mooncake has 288,500 blocks of 512 tokens; cut, that is 9,055,233
 * lookups of 5,674,025 distinct blocks. One engine, LRU, infinite and 500,000 blocks. Timed is
 * everything between a parsed trace and the last completion: cutting, keys, core and the null
 * world. Prints million blocks per second, best and median of five, and core's bytes per tracked
 * block.
 */
#include "bench.h"

#include "../core/core.h"
#include "../core/null.h"
#include "../workload/workload.h"

#include <stdio.h>
#include <time.h>

enum { RUNS = 5 };

static const char trace[] = "../shared/traces/conversation_trace.jsonl";

struct outcome {
    double seconds;
    uint64_t blocks, hits;
    double bytes_per_block;
};

static int run(struct wl_source *source, uint64_t capacity, struct outcome *out)
{
    struct kvt_core_config config;
    struct wl_info info;
    wl_source_info(source, &info);
    kvt_core_config_init(&config);
    config.block_tokens = config.page_tokens = info.block_tokens;
    config.partial_blocks = true;
    config.recompute_last_token = config.single_flight = false;
    config.page_numbers = false;
    config.max_batch_tokens = 1000000;
    config.tiers[KVT_GPU].capacity_blocks = capacity;
    config.expected_blocks = info.distinct_keys;
    struct kvt_null *world = kvt_null_new(&heap, NULL);
    const struct kvt_port port = kvt_null_port(world);
    int error;
    struct kvt_core *core = kvt_core_new(&config, &port, &heap, &error);
    if (!core)
        return 1;
    struct kvt_request r;
    wl_rewind(source);
    const double begin = bench_wall_s();
    while (wl_next(source, &r) == 1)
        if (kvt_null_world()->advance(world, core, r.arrive_ns) ||
            kvt_core_request(core, r.arrive_ns, &r))
            return 1;
    if (kvt_null_world()->advance(world, core, KVT_NEVER))
        return 1;
    out->seconds = bench_wall_s() - begin;
    struct kvt_core_stats stats;
    kvt_core_stats(core, &stats);
    out->blocks = stats.lookup_blocks;
    out->hits = stats.hit_blocks;
    out->bytes_per_block = (double)kvt_core_memory_b(core) / (double)kvt_core_tracked_blocks(core);
    kvt_core_free(core);
    kvt_null_free(world);
    return 0;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    struct wl_options options;
    struct wl_error why;
    struct wl_source *source;
    wl_options_init(&options);
    options.path = trace;
    options.block_tokens = 16;
    options.partial_blocks = true;
    options.max_output_tokens = 0;
    if (wl_open(&source, &options, &why)) {
        printf("skipped: %s\n", why.text);
        return 0;
    }
    static const uint64_t capacities[] = {UINT64_MAX, 500000};
    printf("null world, conversation trace in 16-token blocks\n%12s %10s %10s %10s %12s %10s\n",
           "capacity", "blocks", "hits", "best M/s", "median M/s", "B/block");
    for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++) {
        double rates[RUNS];
        struct outcome o = {0};
        for (int i = 0; i < RUNS; i++) {
            if (run(source, capacities[c], &o))
                return 1;
            rates[i] = (double)o.blocks / o.seconds / 1e6;
        }
        qsort(rates, RUNS, sizeof *rates, ascending);
        char name[24] = "infinite";
        if (capacities[c] != UINT64_MAX)
            snprintf(name, sizeof name, "%llu", (unsigned long long)capacities[c]);
        printf("%12s %10llu %10llu %10.2f %12.2f %10.1f\n", name, (unsigned long long)o.blocks,
               (unsigned long long)o.hits, rates[RUNS - 1], rates[RUNS / 2], o.bytes_per_block);
    }
    wl_close(source);
    return 0;
}
