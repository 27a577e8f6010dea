/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * check_gpu.c - kernels and device on hardware: `make check-gpu`. Without a GPU it says
 * "skipped: no GPU" and passes.
 *
 * First the bytes: every kernel on random shapes against its twin, and the device's calls, from
 * one thread and from several. Then the rates, best of nine by wall clock, which are printed and
 * not judged: kernels in bytes read and written per second, copies in bytes moved. Nothing forks
 * here: a GPU's context does not survive it.
 */
#include "bench.h"
#include "kernels_help.h"
#include "kvt_test.h"

#include "../backend/device.h"
#include "../kernels/cuda.h"

#include <cuda_runtime_api.h>
#include <errno.h>
#include <pthread.h>

enum { ROUNDS = 200, REPEATS = 9 };

static void must_work(int error)
{
    if (error != 0)
        ck_abort_msg("cuda: %s", cudaGetErrorString((cudaError_t)error));
}

/* n bytes on the device, `shift` bytes behind what cudaMalloc gives, with the bytes of `from`. */
static unsigned char *put_up(const void *from, size_t n, size_t shift)
{
    void *memory = NULL;
    must_work(cudaMalloc(&memory, n + shift + 16));
    must_work(cudaMemcpy((char *)memory + shift, from, n, cudaMemcpyHostToDevice));
    return (unsigned char *)memory + shift;
}

static void must_hold(const unsigned char *there, const void *want, size_t n)
{
    unsigned char *got = noise(n);
    must_work(cudaDeviceSynchronize());
    must_work(cudaMemcpy(got, there, n, cudaMemcpyDeviceToHost));
    MUST(memcmp(got, want, n) == 0);
    free(got);
}

static uint64_t sum_of(uint64_t *there, size_t n)
{
    uint64_t sum = 0;
    must_work(cudaDeviceSynchronize());
    must_work(cudaMemcpy(&sum, there, sizeof(sum), cudaMemcpyDeviceToHost));
    return k_cuda_checksum_end(sum, n);
}

START_TEST(kernels_do_what_their_twins_do)
{
    dice_seed(1);
    for (int round = 0; round < ROUNDS; round++) {
        struct kv_case c;
        draw_case(&c);
        size_t b = k_dtype_b(c.g.dtype), p = b * dice_below(16 / b), q = b * dice_below(16 / b);
        unsigned char *pool = noise(c.pool_b), *packed = noise(c.packed_b);
        unsigned char *pool2 = put_up(pool, c.pool_b, p), *packed2 = put_up(packed, c.packed_b, q);
        uint64_t zero = 0, seed = dice_word();
        uint64_t *sum = (uint64_t *)(void *)put_up(&zero, sizeof(zero), 0);
        struct k_part there = c.part;
        there.pages = (uint32_t *)(void *)put_up(c.pages, sizeof(c.pages), 0);

        must_work(k_cuda_scatter(&c.g, pool2, &there, packed2, NULL));
        k_scatter(&c.g, pool, &c.part, packed);
        must_hold(pool2, pool, c.pool_b);
        must_work(k_cuda_checksum_paged(&c.g, pool2, &there, sum, NULL));
        MUST(sum_of(sum, c.packed_b) == k_checksum(packed, c.packed_b));
        must_work(cudaMemset(sum, 0, sizeof(*sum)));
        must_work(k_cuda_checksum(packed2, c.packed_b, sum, NULL));
        MUST(sum_of(sum, c.packed_b) == k_checksum(packed, c.packed_b));
        must_work(k_cuda_fill(&c.g, pool2, &there, seed, NULL));
        k_fill(&c.g, pool, &c.part, seed);
        must_hold(pool2, pool, c.pool_b);
        must_work(k_cuda_gather(&c.g, pool2, &there, packed2, NULL));
        k_gather(&c.g, pool, &c.part, packed);
        must_hold(packed2, packed, c.packed_b);
        must_work(k_cuda_fill_packed(&c.g, &there, seed + 1, packed2, NULL));
        k_fill_packed(&c.g, &c.part, seed + 1, packed);
        must_hold(packed2, packed, c.packed_b);

        must_work(cudaFree(pool2 - p));
        must_work(cudaFree(packed2 - q));
        must_work(cudaFree(sum));
        must_work(cudaFree((void *)(uintptr_t)there.pages));
        free(pool);
        free(packed);
    }
}
END_TEST

/* All halves; and floats whose upper 20 bits differ, that is all exponents and all ties. */
START_TEST(casts_do_what_their_twins_do)
{
    enum { N = 1 << 20 };
    uint32_t *bits = malloc(4 * N);
    uint16_t *half = malloc(2 * N);
    float *wide = malloc(4 * N);
    MUST(bits && half && wide);
    dice_seed(2);
    for (uint32_t i = 0; i < N; i++)
        bits[i] = i << 12 | (dice_one_in(2) ? 0 : (uint32_t)dice_below(0x1000));
    memcpy(wide, bits, 4 * N);
    for (size_t shift = 0; shift < 2; shift++) {
        unsigned char *from = put_up(wide, 4 * N, 4 * shift), *to = put_up(wide, 4 * N, 2 * shift);
        void *to16 = to;
        must_work(k_cuda_cast_f32_to_fp16((void *)from, to16, N, NULL));
        k_cast_f32_to_fp16(wide, half, N);
        must_hold(to, half, 2 * N);
        must_work(k_cuda_cast_f32_to_bf16((void *)from, to16, N, NULL));
        k_cast_f32_to_bf16(wide, half, N);
        must_hold(to, half, 2 * N);
        for (uint32_t i = 0; i < N; i++)
            half[i] = (uint16_t)i;
        must_work(cudaMemcpy(to, half, 2 * N, cudaMemcpyHostToDevice));
        float *back = malloc(4 * N);
        MUST(back);
        must_work(k_cuda_cast_fp16_to_f32(to16, (void *)from, N, NULL));
        k_cast_fp16_to_f32(half, back, N);
        must_hold(from, back, 4 * N);
        must_work(k_cuda_cast_bf16_to_f32(to16, (void *)from, N, NULL));
        k_cast_bf16_to_f32(half, back, N);
        must_hold(from, back, 4 * N);
        free(back);
        must_work(cudaFree(from - 4 * shift));
        must_work(cudaFree(to - 2 * shift));
    }
    free(bits);
    free(half);
    free(wide);
}
END_TEST

/* ---- The device ------------------------------------------------------------------------------------------- */

static struct be_device device;

static void open_cuda(const struct k_geometry *g, uint32_t pools)
{
    char error[200];
    struct be_device_config config = {*g, pools};
    int rc = be_device_open(&device, "cuda", &config, error, sizeof(error));
    if (rc != 0)
        ck_abort_msg("%s", error);
}

enum { THREADS = 8, THREAD_PAGES = 32, POOLS = 2 };
/* 16 MiB for each thread's part: two chunks. */
static const struct k_geometry geometry = {8, 8, 128, 16, THREADS *THREAD_PAGES, K_BF16};

struct worker {
    pthread_t thread;
    uint32_t index;
    int wrong;
};

static void *work(void *self)
{
    struct worker *w = self;
    uint32_t pages[THREAD_PAGES];
    for (uint32_t i = 0; i < THREAD_PAGES; i++)
        pages[i] = i * THREADS + w->index;
    struct k_part part = {pages, 5, THREAD_PAGES * 16 - 9, 0, geometry.layers};
    size_t b = k_packed_b(&geometry, part.layers, part.tokens);
    char *up = device.ops->stage_new(device.self, b), *down = device.ops->stage_new(device.self, b);
    if (!up || !down) {
        w->wrong = 1000;
        return NULL;
    }
    for (uint32_t round = 0; round < 10; round++) {
        uint32_t pool = (round + w->index) % POOLS, other = (pool + 1) % POOLS;
        uint64_t sum = 0;
        k_fill_packed(&geometry, &part, round * 100 + w->index, up);
        w->wrong += device.ops->upload(device.self, pool, &part, up) != 0;
        w->wrong += device.ops->peer(device.self, pool, &part, other, pages) != 0;
        w->wrong += device.ops->checksum(device.self, other, &part, &sum) != 0;
        w->wrong += sum != k_checksum(up, b);
        memset(down, 0, b);
        w->wrong += device.ops->download(device.self, other, &part, down) != 0;
        w->wrong += memcmp(up, down, b) != 0;
        w->wrong += device.ops->fill(device.self, pool, &part, round) != 0;
        w->wrong += device.ops->download(device.self, pool, &part, down) != 0;
        k_fill_packed(&geometry, &part, round, up);
        w->wrong += memcmp(up, down, b) != 0;
    }
    device.ops->stage_free(device.self, up, b);
    device.ops->stage_free(device.self, down, b);
    return NULL;
}

START_TEST(the_device_keeps_bytes_for_many_threads)
{
    struct worker workers[THREADS] = {0};
    open_cuda(&geometry, POOLS);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i].index = i;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    for (uint32_t i = 0; i < THREADS; i++)
        ck_assert_msg(workers[i].wrong == 0, "%d wrong: %s", workers[i].wrong,
                      device.ops->failure(device.self));
    device.ops->free(device.self);
}
END_TEST

/* ---- Rates ------------------------------------------------------------------------------------------------ */

struct bench {
    struct k_geometry g;
    struct k_part part, there;
    void *pool, *packed, *stage;
    uint64_t *sum;
    size_t b;
};

static void bench_gather(struct bench *k)
{
    must_work(k_cuda_gather(&k->g, k->pool, &k->there, k->packed, NULL));
}
static void bench_scatter(struct bench *k)
{
    must_work(k_cuda_scatter(&k->g, k->pool, &k->there, k->packed, NULL));
}
static void bench_fill(struct bench *k)
{
    must_work(k_cuda_fill(&k->g, k->pool, &k->there, 1, NULL));
}
static void bench_checksum(struct bench *k)
{
    must_work(k_cuda_checksum(k->packed, k->b, k->sum, NULL));
}
static void bench_checksum_paged(struct bench *k)
{
    must_work(k_cuda_checksum_paged(&k->g, k->pool, &k->there, k->sum, NULL));
}
static void bench_cast(struct bench *k)
{
    must_work(k_cuda_cast_f32_to_bf16(k->packed, k->pool, k->b / 4, NULL));
}
static void bench_copy(struct bench *k)
{
    must_work(cudaMemcpyAsync(k->pool, k->packed, k->b, cudaMemcpyDeviceToDevice, NULL));
}
static void bench_upload(struct bench *k)
{
    MUST(device.ops->upload(device.self, 0, &k->part, k->stage) == 0);
}
static void bench_download(struct bench *k)
{
    MUST(device.ops->download(device.self, 0, &k->part, k->stage) == 0);
}
static void bench_peer(struct bench *k)
{
    MUST(device.ops->peer(device.self, 0, &k->part, 1, k->part.pages) == 0);
}

static void rate(struct bench *k, const char *name, void (*way)(struct bench *k), double moved_b)
{
    double best_s = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        must_work(cudaDeviceSynchronize());
        double begin_s = bench_wall_s();
        way(k);
        must_work(cudaDeviceSynchronize());
        double took_s = bench_wall_s() - begin_s;
        best_s = took_s < best_s ? took_s : best_s;
    }
    printf("%-24s %8.1f GB/s\n", name, moved_b / best_s / 1e9);
}

/* 512 MiB in one part of shuffled pages, a layer of the per-GPU shape of a 70B model at tp 8
 * among them: rows of 256 bytes. */
START_TEST(rates_are_printed)
{
    enum { PAGES = 1024 };
    static uint32_t pages[PAGES];
    struct bench k = {.g = {64, 1, 128, 16, PAGES, K_BF16}};
    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = (i * 389 + 7) % PAGES;
    k.part = (struct k_part){pages, 0, PAGES * 16, 0, k.g.layers};
    k.b = k_packed_b(&k.g, k.part.layers, k.part.tokens);
    open_cuda(&k.g, 2);
    k.there = k.part;
    k.there.pages = (uint32_t *)(void *)put_up(pages, sizeof(pages), 0);
    must_work(cudaMalloc(&k.pool, k.b));
    must_work(cudaMalloc(&k.packed, k.b));
    must_work(cudaMalloc((void **)&k.sum, 8));
    k.stage = device.ops->stage_new(device.self, k.b);
    ck_assert_ptr_nonnull(k.stage);
    memset(k.stage, 1, k.b);
    const double b = (double)k.b;
    printf("%s, %.0f MiB\n", device.title, b / 1048576);
    rate(&k, "copy (cudaMemcpy)", bench_copy, 2 * b);
    rate(&k, "gather", bench_gather, 2 * b);
    rate(&k, "scatter", bench_scatter, 2 * b);
    rate(&k, "fill", bench_fill, b);
    rate(&k, "checksum", bench_checksum, b);
    rate(&k, "checksum, paged", bench_checksum_paged, b);
    rate(&k, "cast f32 to bf16", bench_cast, 1.5 * b);
    rate(&k, "upload", bench_upload, b);
    rate(&k, "download", bench_download, b);
    rate(&k, "peer", bench_peer, b);
    device.ops->stage_free(device.self, k.stage, k.b);
    must_work(cudaFree(k.pool));
    must_work(cudaFree(k.packed));
    must_work(cudaFree(k.sum));
    must_work(cudaFree((void *)(uintptr_t)k.there.pages));
    device.ops->free(device.self);
}
END_TEST

int main(void)
{
    int gpus = 0;
    cudaError_t error = cudaGetDeviceCount(&gpus);
    if (error != cudaSuccess || gpus == 0) {
        printf("skipped: no GPU (%s)\n", cudaGetErrorString(error));
        return 0;
    }
    setenv("CK_FORK", "no", 1);
    Suite *suite = suite_create("gpu");
    TCase *tcase = tcase_create("hardware");
    tcase_add_test(tcase, kernels_do_what_their_twins_do);
    tcase_add_test(tcase, casts_do_what_their_twins_do);
    tcase_add_test(tcase, the_device_keeps_bytes_for_many_threads);
    tcase_add_test(tcase, rates_are_printed);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
