/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_mrc.c - hits for every capacity: how long one pass takes, and how far a sample is off.
 *
 *      bench_mrc [SIZES]
 *
 * The conversation trace in 16-token blocks (9,055,233 look-ups of 5,674,025 blocks), from the file to the curve: exact;
 * and from 1 % of the sessions, for 20 seeds, with the mean absolute error of the prefix hit rate over 100 capacities,
 * evenly on a log scale from the longest prompt to all blocks. Then the worst case for runs: 10 million draws of a
 * Zipf distribution, each a prompt of one block. Last, one pass beside SIZES (20) simulations in the null world, on both public
 * traces and in both touch orders, each of which must agree to the token.
 */
#include "bench.h"
#include "mrc_direct.h"

#include "../core/mix.h"
#include "../workload/mrc_sample.h"

#include <stdio.h>
#include <string.h>

enum { RUNS = 5, SEEDS = 20, POINTS = 100 };

static const char conversation[] = "../shared/traces/conversation_trace.jsonl";
static const char agentic[] = "../shared/traces/agentic_merged_60.jsonl";

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct wl_source *open_trace(const char *path, uint32_t block_tokens)
{
    struct wl_options o;
    struct wl_source *source = NULL;
    struct wl_error error;
    wl_options_init(&o);
    o.path = path;
    o.block_tokens = block_tokens;
    o.partial_blocks = true;
    o.max_output_tokens = 0;
    if (wl_open(&source, &o, &error) != 0)
        printf("skipped: %s\n", error.text);
    return source;
}

/* ---- Exact ------------------------------------------------------------------------------------ */

static int bench_exact(uint32_t block_tokens, struct wl_mrc *kept)
{
    double seconds[RUNS];
    for (int i = 0; i < RUNS; i++) {
        const double begin = bench_wall_s();
        struct wl_source *source = open_trace(conversation, block_tokens);
        struct wl_mrc mrc = {0};
        if (!source || direct_mrc(source, &mrc) != 0)
            return 1;
        seconds[i] = bench_wall_s() - begin;
        wl_close(source);
        if (i + 1 == RUNS)
            *kept = mrc;
        else
            wl_mrc_release(&mrc);
    }
    qsort(seconds, RUNS, sizeof *seconds, ascending);
    printf("exact, blocks of %u tokens: %llu look-ups of %u blocks, file to curve: best %.3f s, "
           "median %.3f s\n",
           block_tokens, (unsigned long long)kept->all.blocks, wl_mrc_distinct(kept), seconds[0],
           seconds[RUNS / 2]);
    return 0;
}

/* ---- Sampled ---------------------------------------------------------------------------------- */

struct outcome {
    double seconds, off, error;
    int inside;
};

static int one_sample(const struct wl_mrc *exact, double rate, uint64_t seed, struct outcome *out)
{
    const struct wl_mrc_sampling sampling = {.rate = rate, .seed = seed};
    struct wl_mrc_sample *s;
    struct wl_error error;
    const double begin = bench_wall_s();
    struct wl_source *source = open_trace(conversation, 16);
    if (!source || wl_mrc_sample_new(&s, source, &sampling, &error) != 0)
        return 1;
    *out = (struct outcome){0};
    double sum[POINTS];
    for (int i = 0; i < POINTS; i++) {
        const struct wl_mrc_rate r =
            wl_mrc_sample_rate(s, WL_MRC_LEAF, direct_size(exact, i, POINTS));
        sum[i] = r.blocks;
        out->error += r.blocks_error / POINTS;
        const struct wl_mrc_hits h =
            wl_mrc_tally_hits(&exact->all, WL_MRC_LEAF, direct_size(exact, i, POINTS), 16);
        const double off = fabs(sum[i] - (double)h.blocks / (double)exact->all.blocks);
        out->off += off / POINTS;
        out->inside += off <= 2 * r.blocks_error;
    }
    out->seconds = bench_wall_s() - begin;
    wl_mrc_sample_free(s);
    wl_close(source);
    return 0;
}

static int bench_sample(const struct wl_mrc *exact, double rate)
{
    double seconds[SEEDS], off[SEEDS], sum = 0, error = 0;
    int inside = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct outcome o;
        if (one_sample(exact, rate, seed, &o) != 0)
            return 1;
        seconds[seed - 1] = o.seconds;
        off[seed - 1] = o.off;
        sum += o.off / SEEDS;
        error += o.error / SEEDS;
        inside += o.inside;
    }
    qsort(seconds, SEEDS, sizeof *seconds, ascending);
    qsort(off, SEEDS, sizeof *off, ascending);
    printf(
        "%.3g %% of the sessions, %d seeds: file to 100 points: median %.3f s, worst %.3f s; "
        "prefix hit rate off by %.4f in the mean, %.4f at worst; error bar %.4f, within twice it "
        "%.0f %%\n",
        100 * rate, SEEDS, seconds[SEEDS / 2], seconds[SEEDS - 1], sum, off[SEEDS - 1], error,
        100.0 * inside / (SEEDS * POINTS));
    return 0;
}

/* ---- Zipf ------------------------------------------------------------------------------------- */

static int bench_zipf(void)
{
    enum { IDS = 1000000, DRAWS = 10000000 };
    double *upto = malloc(IDS * sizeof *upto), sum = 0;
    uint32_t *draws = malloc(DRAWS * sizeof *draws);
    struct wl_mrc mrc = {0};
    if (!upto || !draws)
        return 1;
    for (int i = 0; i < IDS; i++)
        upto[i] = sum += 1.0 / (i + 1);
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double at = (double)(kvt_mix64(i * UINT64_C(0x9e3779b97f4a7c15) + 1) >> 11) * 0x1p-53;
        uint32_t low = 0, high = IDS - 1;
        while (low < high) {
            const uint32_t middle = (low + high) / 2;
            if (upto[middle] < at * sum)
                low = middle + 1;
            else
                high = middle;
        }
        draws[i] = (uint32_t)(low * UINT64_C(7919) %
                              IDS); /* neighbours in rank are no neighbours in number */
    }
    const double begin = bench_wall_s();
    int status = 0;
    for (uint32_t i = 0; i < DRAWS && status == 0; i++) {
        const struct wl_run run = {draws[i], 1};
        const struct wl_chain p = {.tokens = 1, .n_blocks = 1, .n_runs = 1, .runs = &run};
        status = wl_mrc_add(&mrc, &p, IDS);
    }
    if (status == 0)
        status = wl_mrc_seal(&mrc);
    const double seconds = bench_wall_s() - begin;
    printf("zipf, 10 million prompts of one block: %.2f s, three curves; misses at "
           "7,627: %.4f, at 76,270: %.4f\n",
           seconds, 1 - (double)wl_mrc_tally_hits(&mrc.all, WL_MRC_FLAT, 7627, 1).blocks / DRAWS,
           1 - (double)wl_mrc_tally_hits(&mrc.all, WL_MRC_FLAT, 76270, 1).blocks / DRAWS);
    wl_mrc_release(&mrc);
    free(upto);
    free(draws);
    return status != 0;
}

/* ---- Beside simulations ----------------------------------------------------------------------- */

static int bench_direct(const char *path, int sizes)
{
    struct wl_source *source = open_trace(path, 0);
    struct wl_mrc mrc = {0};
    struct wl_info info;
    int same = 0;
    if (!source)
        return 0;
    wl_source_info(source, &info);
    const double begin = bench_wall_s();
    if (direct_mrc(source, &mrc) != 0)
        return 1;
    const double once = bench_wall_s() - begin;
    for (int i = 0; i < 2 * sizes; i++) {
        const bool leaf = i % 2 == 1;
        const uint64_t size = direct_size(&mrc, i / 2, sizes);
        struct wl_mrc_hits direct = {0, 0};
        if (direct_hits(source, size, leaf ? KVT_TOUCH_LEAF : KVT_TOUCH_HEAD, &direct) != 0)
            return 1;
        const struct wl_mrc_hits curve =
            wl_mrc_tally_hits(&mrc.all, leaf ? WL_MRC_LEAF : WL_MRC_HEAD, size, info.block_tokens);
        same += curve.blocks == direct.blocks && curve.tokens == direct.tokens;
    }
    printf("%s: one pass %.3f s, %d simulations %.2f s: %d agree to the token\n",
           strrchr(path, '/') + 1, once, 2 * sizes, bench_wall_s() - begin - once, same);
    wl_mrc_release(&mrc);
    wl_close(source);
    return same != 2 * sizes;
}

int main(int argc, char **argv)
{
    const int sizes = argc > 1 && atoi(argv[1]) > 1 ? atoi(argv[1]) : 20;
    struct wl_mrc exact = {0}, whole = {0};
    struct wl_source *source = open_trace(conversation, 0);
    wl_close(source);
    if (!source)
        return bench_zipf();
    int status = bench_exact(512, &whole);
    if (status == 0)
        status = bench_exact(16, &exact);
    if (status == 0)
        status = bench_sample(&exact, 0.01);
    if (status == 0)
        status = bench_sample(&exact, 0.1);
    wl_mrc_release(&exact);
    wl_mrc_release(&whole);
    if (status == 0)
        status = bench_zipf();
    if (status == 0)
        status = bench_direct(conversation, sizes);
    return status == 0 ? bench_direct(agentic, sizes) : status;
}
