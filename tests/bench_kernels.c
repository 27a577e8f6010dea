/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_kernels.c - the CPU twins of the kernels beside the memory they run on.
 *
 *   bench_kernels [MIB]        bytes of each working set, 128 unless told
 *
 * Each figure is a ratio within one run: the kernel and its yardstick take turns, REPEATS times,
 * and the best of each counts, so that what disturbs the machine disturbs both. Yardsticks, over
 * the same bytes:
 *
 *      gather, scatter   memcpy from one buffer to another, in one call
 *      cast              the same, of half the bytes that the cast reads and writes together: memcpy reads and
 *                        writes alike, so both move the same number of bytes through memory
 *      checksum          the sum of all words, fetched ahead as there: what reading costs
 *
 * Pages are drawn without order. Processor time of one thread. From about 192 MiB on glibc's
 * memcpy writes past the caches, which nearly doubles it; gather and scatter do so from 32 MiB
 * on, the casts never.
 */
#include "bench.h"

#include "../core/mix.h"
#include "../kernels/kernels.h"

#include <stdio.h>
#include <string.h>

enum { REPEATS = 7, LAYERS = 2, PAGE_TOKENS = 16 };

struct bench {
    unsigned char *from, *to; /* b bytes each */
    size_t b;
    struct k_geometry g;
    struct k_part part;
    uint64_t sink;
};

static void by_memcpy(struct bench *k)
{
    memcpy(k->to, k->from, k->b);
}

static void by_memcpy_of_3_quarters(struct bench *k)
{
    memcpy(k->to, k->from, k->b / 4 * 3);
}

static void by_reading(struct bench *k)
{
    uint64_t sum[8] = {0};
    for (size_t i = 0; i < k->b; i += 64) {
        __builtin_prefetch(k->from + i + 1024);
        uint64_t line[8];
        memcpy(line, k->from + i, 64);
        for (int j = 0; j < 8; j++)
            sum[j] += line[j];
    }
    for (int j = 0; j < 8; j++)
        k->sink += sum[j];
}

static void gather(struct bench *k)
{
    k_gather(&k->g, k->from, &k->part, k->to);
}

static void scatter(struct bench *k)
{
    k_scatter(&k->g, k->to, &k->part, k->from);
}

static void checksum(struct bench *k)
{
    k->sink += k_checksum(k->from, k->b);
}

static void checksum_paged(struct bench *k)
{
    k->sink += k_checksum_paged(&k->g, k->from, &k->part);
}

static void fill(struct bench *k)
{
    k_fill(&k->g, k->to, &k->part, ++k->sink);
}

static void f32_to_fp16(struct bench *k)
{
    k_cast_f32_to_fp16((const void *)k->from, (void *)k->to, k->b / 4);
}

static void f32_to_bf16(struct bench *k)
{
    k_cast_f32_to_bf16((const void *)k->from, (void *)k->to, k->b / 4);
}

static void fp16_to_f32(struct bench *k)
{
    k_cast_fp16_to_f32((const void *)k->from, (void *)k->to, k->b / 4);
}

static void bf16_to_f32(struct bench *k)
{
    k_cast_bf16_to_f32((const void *)k->from, (void *)k->to, k->b / 4);
}

static double once_s(struct bench *k, void (*way)(struct bench *k))
{
    double begin_s = bench_cpu_s();
    way(k);
    return bench_cpu_s() - begin_s;
}

/* Prints bytes per second of `way` over `b` bytes, and how it compares. yardstick may be NULL. */
static void compare(struct bench *k, const char *name, void (*way)(struct bench *k),
                    void (*yardstick)(struct bench *k), size_t b)
{
    double way_s = 1e9, yardstick_s = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double s = yardstick ? once_s(k, yardstick) : 0;
        yardstick_s = s < yardstick_s ? s : yardstick_s;
        s = once_s(k, way);
        way_s = s < way_s ? s : way_s;
    }
    printf("%-28s %10.2f GB/s", name, (double)b / way_s / 1e9);
    if (yardstick)
        printf(" %10.2f GB/s   ratio %.2f", (double)b / yardstick_s / 1e9, yardstick_s / way_s);
    printf("\n");
}

/* The working set as a pool of rows of row_b bytes, its pages in the order of a shuffled pack. */
static void shape(struct bench *k, size_t row_b, enum k_dtype dtype, uint32_t *pages)
{
    k->g = (struct k_geometry){.layers = LAYERS,
                               .heads = (uint32_t)(row_b / 128 / k_dtype_b(dtype)),
                               .head_dim = 128,
                               .page_tokens = PAGE_TOKENS,
                               .pages = (uint32_t)(k->b / (2 * LAYERS * PAGE_TOKENS * row_b)),
                               .dtype = dtype};
    for (uint32_t i = 0; i < k->g.pages; i++) {
        uint32_t j = (uint32_t)(kvt_mix64(i) % (i + 1));
        pages[i] = pages[j];
        pages[j] = i;
    }
    k->part = (struct k_part){.pages = pages, .tokens = k->g.pages * PAGE_TOKENS, .layers = LAYERS};
}

int main(int argc, char **argv)
{
    size_t b = (size_t)(argc > 1 ? strtoull(argv[1], NULL, 10) : 128) << 20;
    struct bench k = {.from = aligned_alloc(4096, b), .to = aligned_alloc(4096, b), .b = b};
    uint32_t *pages = calloc(b / 256 / LAYERS / 2 + 1, sizeof(*pages));
    if (!k.from || !k.to || !pages || b == 0) {
        fprintf(stderr, "bench_kernels: no memory for two sets of %zu MiB\n", b >> 20);
        free(k.from);
        free(k.to);
        free(pages);
        return 1;
    }
    memset(k.to, 1, b);
    shape(&k, 1024, K_FP32, pages);
    k_fill_packed(&k.g, &k.part, 1, k.from);
    printf("%zu MiB, pages of %d tokens\n%-28s %15s %15s\n", b >> 20, PAGE_TOKENS, "", "kernel",
           "yardstick");
    for (size_t row_b = 256; row_b <= 2048; row_b *= 2) {
        char name[64];
        shape(&k, row_b, K_BF16, pages);
        snprintf(name, sizeof(name), "gather, rows of %zu B", row_b);
        compare(&k, name, gather, by_memcpy, b);
        snprintf(name, sizeof(name), "scatter, rows of %zu B", row_b);
        compare(&k, name, scatter, by_memcpy, b);
    }
    compare(&k, "cast f32 to fp16", f32_to_fp16, by_memcpy_of_3_quarters, b / 2 * 3);
    compare(&k, "cast f32 to bf16", f32_to_bf16, by_memcpy_of_3_quarters, b / 2 * 3);
    compare(&k, "checksum", checksum, by_reading, b);
    compare(&k, "checksum, paged", checksum_paged, by_reading, b);
    static const char *const dtypes[K_DTYPES] = {"bf16", "fp16", "fp32"};
    for (int dtype = 0; dtype < K_DTYPES; dtype++) {
        char name[64];
        shape(&k, 2048, (enum k_dtype)dtype, pages);
        snprintf(name, sizeof(name), "fill %s", dtypes[dtype]);
        compare(&k, name, fill, NULL, b);
    }
    /* The other way round: b / 2 bytes become b. */
    compare(&k, "cast fp16 to f32", fp16_to_f32, by_memcpy_of_3_quarters, b / 2 * 3);
    compare(&k, "cast bf16 to f32", bf16_to_f32, by_memcpy_of_3_quarters, b / 2 * 3);
    printf("checksum %016llx\n", (unsigned long long)k.sink);
    free(k.from);
    free(k.to);
    free(pages);
    return 0;
}
