/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_kernels_cuda_source.c - the very text that nvcc compiles, run on the CPU (cuda_on_cpu.h), against the twins: same
 * bytes on random shapes, and nothing written elsewhere.
 *
 * Memory begins where malloc puts it, or some bytes behind, so that every width of unit has its turn. Grids and blocks are
 * drawn too: a kernel has to give the same result on any. The last tests are sinners, to show that the
 * launch layer would notice.
 */
#include "cuda_on_cpu.h"

#include "kernels_help.h"
#include "kvt_test.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { ROUNDS = 40 };
#else
enum { ROUNDS = 150 };
#endif

static void draw_grid(void)
{
    cuda_on_cpu.most_x = 1 + (uint32_t)dice_below(dice_one_in(2) ? 2 : 5);
    cuda_on_cpu.most_y = 1 + (uint32_t)dice_below(4);
    cuda_on_cpu.most_block = 1u << dice_below(5);
}

/* How far memory begins behind a multiple of 16: a multiple of the element's size. */
static size_t draw_shift(size_t element_b)
{
    return dice_one_in(2) ? 0 : element_b * dice_below(16 / element_b);
}

static void must_be_equal(const void *got, const void *want, size_t n)
{
    MUST(memcmp(got, want, n) == 0);
}

START_TEST(gather_and_scatter_do_what_their_twins_do)
{
    dice_seed((uint64_t)_i);
    for (int round = 0; round < ROUNDS; round++) {
        struct kv_case c;
        draw_case(&c);
        draw_grid();
        size_t b = k_dtype_b(c.g.dtype), p = draw_shift(b), q = draw_shift(b);
        unsigned char *pool = noise(c.pool_b + p), *pool2 = copy_of(pool, c.pool_b + p);
        unsigned char *packed = noise(c.packed_b + q), *packed2 = copy_of(packed, c.packed_b + q);
        k_gather(&c.g, pool + p, &c.part, packed + q);
        MUST(k_cuda_gather(&c.g, pool + p, &c.part, packed2 + q, NULL) == 0);
        must_be_equal(packed2, packed, c.packed_b + q);
        for (size_t i = 0; i < c.packed_b; i++)
            packed[q + i] ^= 0x5a;
        k_scatter(&c.g, pool + p, &c.part, packed + q);
        MUST(k_cuda_scatter(&c.g, pool2 + p, &c.part, packed + q, NULL) == 0);
        must_be_equal(pool2, pool, c.pool_b + p);
        free(pool);
        free(pool2);
        free(packed);
        free(packed2);
    }
}
END_TEST

START_TEST(fills_do_what_their_twins_do)
{
    dice_seed(100 + (uint64_t)_i);
    for (int round = 0; round < ROUNDS / 2; round++) {
        struct kv_case c;
        draw_case(&c);
        draw_grid();
        uint64_t seed = dice_word();
        unsigned char *pool = noise(c.pool_b), *pool2 = copy_of(pool, c.pool_b);
        unsigned char *packed = noise(c.packed_b), *packed2 = noise(c.packed_b);
        k_fill(&c.g, pool, &c.part, seed);
        MUST(k_cuda_fill(&c.g, pool2, &c.part, seed, NULL) == 0);
        must_be_equal(pool2, pool, c.pool_b);
        k_fill_packed(&c.g, &c.part, seed, packed);
        MUST(k_cuda_fill_packed(&c.g, &c.part, seed, packed2, NULL) == 0);
        must_be_equal(packed2, packed, c.packed_b);
        free(pool);
        free(pool2);
        free(packed);
        free(packed2);
    }
}
END_TEST

START_TEST(checksums_do_what_their_twins_do)
{
    dice_seed(200 + (uint64_t)_i);
    for (int round = 0; round < ROUNDS; round++) {
        struct kv_case c;
        draw_case(&c);
        draw_grid();
        size_t p = draw_shift(k_dtype_b(c.g.dtype));
        unsigned char *pool = noise(c.pool_b + p);
        uint64_t sum = 0;
        MUST(k_cuda_checksum_paged(&c.g, pool + p, &c.part, &sum, NULL) == 0);
        MUST(k_cuda_checksum_end(sum, c.packed_b) == k_checksum_paged(&c.g, pool + p, &c.part));
        free(pool);

        size_t n = dice_below(dice_one_in(2) ? 64 : 5000);
        size_t shift = dice_one_in(2) ? 0 : dice_below(16);
        unsigned char *bytes = noise(n + shift);
        sum = 0;
        MUST(k_cuda_checksum(bytes + shift, n, &sum, NULL) == 0);
        MUST(k_cuda_checksum_end(sum, n) == k_checksum(bytes + shift, n));
        free(bytes);
    }
}
END_TEST

/* Numbers of every exponent, special ones often. */
static uint32_t draw_bits(void)
{
    static const uint32_t special[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7f800001,
                                       0x7fc00000, 0x477fefff, 0x477ff000, 0x38800000, 0x387fffff,
                                       0x33000000, 0x33000001, 1,          0x007fffff, 0x7f7fffff};
    if (dice_one_in(8))
        return special[dice_below(sizeof(special) / sizeof(special[0]))];
    return (uint32_t)dice_word();
}

START_TEST(casts_do_what_their_twins_do)
{
    dice_seed(300 + (uint64_t)_i);
    for (int round = 0; round < ROUNDS / 2; round++) {
        size_t n = dice_below(600), p = dice_below(4), q = dice_below(4);
        draw_grid();
        float *wide = malloc((n + p + 1) * 4), *wide2 = malloc((n + p + 1) * 4);
        uint16_t *narrow = malloc((n + q + 1) * 2), *narrow2 = malloc((n + q + 1) * 2);
        MUST(wide && wide2 && narrow && narrow2);
        for (size_t i = 0; i < n; i++) {
            uint32_t bits = draw_bits();
            memcpy(wide + p + i, &bits, 4);
        }
        k_cast_f32_to_fp16(wide + p, narrow + q, n);
        MUST(k_cuda_cast_f32_to_fp16(wide + p, narrow2 + q, n, NULL) == 0);
        must_be_equal(narrow2 + q, narrow + q, 2 * n);
        k_cast_f32_to_bf16(wide + p, narrow + q, n);
        MUST(k_cuda_cast_f32_to_bf16(wide + p, narrow2 + q, n, NULL) == 0);
        must_be_equal(narrow2 + q, narrow + q, 2 * n);
        for (size_t i = 0; i < n; i++)
            narrow[q + i] = (uint16_t)dice_word();
        k_cast_fp16_to_f32(narrow + q, wide + p, n);
        MUST(k_cuda_cast_fp16_to_f32(narrow + q, wide2 + p, n, NULL) == 0);
        must_be_equal(wide2 + p, wide + p, 4 * n);
        k_cast_bf16_to_f32(narrow + q, wide + p, n);
        MUST(k_cuda_cast_bf16_to_f32(narrow + q, wide2 + p, n, NULL) == 0);
        must_be_equal(wide2 + p, wide + p, 4 * n);
        free(wide);
        free(wide2);
        free(narrow);
        free(narrow2);
    }
}
END_TEST

/* The launcher's own grid and block, once each. */
START_TEST(full_blocks_give_the_same)
{
    struct kv_case c;
    dice_seed(7);
    cuda_on_cpu.most_x = cuda_on_cpu.most_y = cuda_on_cpu.most_block = 0;
    c.g = (struct k_geometry){2, 2, 64, 16, 4, K_BF16};
    draw_pages(&c.g, c.pages, 3);
    c.part = (struct k_part){c.pages, 5, 40, 0, 2};
    size_t pool_b = k_pool_b(&c.g), packed_b = k_packed_b(&c.g, 2, 40);
    unsigned char *pool = noise(pool_b), *packed = noise(packed_b), *packed2 = noise(packed_b);
    uint64_t sum = 0;
    MUST(k_cuda_fill(&c.g, pool, &c.part, 9, NULL) == 0);
    MUST(k_cuda_gather(&c.g, pool, &c.part, packed, NULL) == 0);
    k_fill_packed(&c.g, &c.part, 9, packed2);
    must_be_equal(packed2, packed, packed_b);
    MUST(k_cuda_checksum_paged(&c.g, pool, &c.part, &sum, NULL) == 0);
    MUST(k_cuda_checksum_end(sum, packed_b) == k_checksum(packed, packed_b));
    MUST(cuda_on_cpu.launches == 3);
    free(pool);
    free(packed);
    free(packed2);
}
END_TEST

START_TEST(nothing_is_launched_for_nothing)
{
    struct k_geometry g = {2, 1, 2, 4, 1, K_BF16};
    struct k_part none = {NULL, 0, 0, 0, 2}, no_layers = {NULL, 0, 4, 1, 0};
    uint64_t sum = 0;
    MUST(k_cuda_gather(&g, NULL, &none, NULL, NULL) == 0);
    MUST(k_cuda_fill(&g, NULL, &no_layers, 1, NULL) == 0);
    MUST(k_cuda_checksum(NULL, 0, &sum, NULL) == 0);
    MUST(k_cuda_cast_f32_to_bf16(NULL, NULL, 0, NULL) == 0);
    MUST(cuda_on_cpu.launches == 0);
    MUST(k_cuda_checksum_end(sum, 0) == k_checksum("", 0));
}
END_TEST

START_TEST(planes_that_cannot_be_numbered_are_refused)
{
    struct k_geometry g = {1, 1, 4, 1u << 16, 1u << 16, K_FP32};
    uint32_t page = 0;
    struct k_part part = {&page, 0, UINT32_MAX, 0, 1};
    MUST(k_cuda_gather(&g, NULL, &part, NULL, NULL) == K_TOO_LARGE);
    MUST(k_cuda_fill(&g, NULL, &part, 1, NULL) == K_TOO_LARGE);
    MUST(k_cuda_checksum_paged(&g, NULL, &part, NULL, NULL) == K_TOO_LARGE);
}
END_TEST

/* ---- Sinners -------------------------------------------------------------------------------------------- */

struct sin {
    uint32_t *out;
};

K_KERNEL(half_of_a_barrier, struct sin)
{
    if (threadIdx.x % 2 == 0)
        K_BARRIER();
    a.out[threadIdx.x] = 1;
}

K_KERNEL(two_barriers_for_one, struct sin)
{
    if (threadIdx.x % 2 == 0) {
        K_BARRIER();
    } else {
        K_BARRIER();
    }
    a.out[threadIdx.x] = 1;
}

K_KERNEL(neighbours, struct sin)
{
    K_SHARED uint32_t shared[64];
    for (uint32_t round = 0; round < 20; round++) {
        shared[threadIdx.x] = round + threadIdx.x;
        K_BARRIER();
        a.out[threadIdx.x] += shared[(threadIdx.x + 1) % blockDim.x];
        K_BARRIER();
    }
}

START_TEST(the_launch_layer_notices_diverging_barriers)
{
    uint32_t out[64] = {0};
    struct sin a = {out};
    MUST(K_LAUNCH(half_of_a_barrier, 3, 2, 8, NULL, a) == CUDA_ON_CPU_DIVERGED);
    MUST(K_LAUNCH(two_barriers_for_one, 1, 1, 8, NULL, a) == CUDA_ON_CPU_DIVERGED);
    MUST(K_LAUNCH(half_of_a_barrier, 1, 1, 1, NULL, a) == 0); /* one thread cannot diverge */
    memset(out, 0, sizeof(out));
    MUST(K_LAUNCH(neighbours, 1, 1, 64, NULL, a) == 0);
    for (uint32_t i = 0; i < 64; i++)
        MUST(out[i] == 20 * ((i + 1) % 64) + 190);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels_cuda_source");
    TCase *tcase = tcase_create("source");
    tcase_add_loop_test(tcase, gather_and_scatter_do_what_their_twins_do, 0, 2);
    tcase_add_loop_test(tcase, fills_do_what_their_twins_do, 0, 2);
    tcase_add_loop_test(tcase, checksums_do_what_their_twins_do, 0, 2);
    tcase_add_loop_test(tcase, casts_do_what_their_twins_do, 0, 2);
    tcase_add_test(tcase, full_blocks_give_the_same);
    tcase_add_test(tcase, nothing_is_launched_for_nothing);
    tcase_add_test(tcase, planes_that_cannot_be_numbered_are_refused);
    tcase_add_test(tcase, the_launch_layer_notices_diverging_barriers);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
