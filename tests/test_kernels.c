/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * test_kernels.c - the CPU twins against models that take one element at a time and share no code with them.
 *
 * Casts are compared for all 2^16 halves and, the other way, for every float whose upper 20 bits differ (with lower bits
 * drawn), by a model that searches the nearest half in exact arithmetic. The checksum is computed from its
 * definition in 128-bit numbers. The fill is held to what kernels.h promises of it: the numbers that it
 * depends on and no others, and its moments.
 */
#include "../kernels/kernels.h"

#include "kernels_help.h"
#include "kvt_test.h"

#include <math.h>

enum { ROUNDS = 300 };

/* ---- Gather, scatter, pages to pages ------------------------------------------------------------------- */

START_TEST(gather_and_scatter_move_each_row_to_its_place)
{
    dice_seed((uint64_t)_i);
    for (int round = 0; round < ROUNDS; round++) {
        struct kv_case c;
        draw_case(&c);
        size_t row_b = k_row_b(&c.g);
        unsigned char *pool = noise(c.pool_b), *want = copy_of(pool, c.pool_b);
        unsigned char *packed = noise(c.packed_b), *given = noise(c.packed_b);
        k_gather(&c.g, pool, &c.part, packed);
        MUST(memcmp(pool, want, c.pool_b) == 0);
        k_scatter(&c.g, pool, &c.part, given);
        size_t at = 0;
        for (uint32_t p = 0; p < 2 * c.part.layers; p++)
            for (uint32_t t = 0; t < c.part.tokens; t++, at += row_b) {
                MUST(memcmp(packed + at, want + pool_row(&c, p, t), row_b) == 0);
                memcpy(want + pool_row(&c, p, t), given + at, row_b);
            }
        MUST(at == c.packed_b);
        MUST(memcmp(pool, want, c.pool_b) == 0);
        free(pool);
        free(want);
        free(packed);
        free(given);
    }
}
END_TEST

START_TEST(pages_go_to_pages)
{
    dice_seed(100 + (uint64_t)_i);
    for (int round = 0; round < ROUNDS; round++) {
        struct kv_case c, to;
        draw_case(&c);
        to = c;
        draw_pages(&c.g, to.pages, c.g.pages);
        to.part.pages = to.pages;
        unsigned char *from = noise(c.pool_b), *pool = noise(c.pool_b);
        unsigned char *want = copy_of(pool, c.pool_b);
        k_copy_pages(&c.g, from, &c.part, pool, to.pages);
        for (uint32_t p = 0; p < 2 * c.part.layers; p++)
            for (uint32_t t = 0; t < c.part.tokens; t++)
                memcpy(want + pool_row(&to, p, t), from + pool_row(&c, p, t), k_row_b(&c.g));
        MUST(memcmp(pool, want, c.pool_b) == 0);
        free(from);
        free(pool);
        free(want);
    }
}
END_TEST

/* 40 MiB and a bit, which are copied another way; rows of 256 bytes, and of 258, which no vector fits. */
START_TEST(parts_larger_than_a_cache_are_moved_too)
{
    enum { PAGES = 1300, TOKENS = PAGES * 16 - 3 };
    static uint32_t pages[PAGES];
    for (uint32_t i = 0; i < PAGES; i++)
        pages[i] = (i * 389 + 7) % PAGES;
    for (uint32_t dim = 128; dim <= 129; dim++) {
        struct k_geometry g = {4, 1, dim, 16, PAGES, K_BF16};
        struct k_part part = {pages, 0, TOKENS, 0, 4};
        size_t b = k_packed_b(&g, 4, TOKENS);
        void *pool = aligned_alloc(64, (k_pool_b(&g) + 63) / 64 * 64);
        unsigned char *packed = aligned_alloc(64, (b + 63) / 64 * 64);
        MUST(pool && packed);
        memset(packed, 0, b);
        k_fill(&g, pool, &part, 5);
        uint64_t sum = k_checksum_paged(&g, pool, &part);
        k_gather(&g, pool, &part, packed);
        MUST(k_checksum(packed, b) == sum);
        memset(pool, 0, k_pool_b(&g));
        k_scatter(&g, pool, &part, packed);
        MUST(k_checksum_paged(&g, pool, &part) == sum);
        free(pool);
        free(packed);
    }
}
END_TEST

START_TEST(empty_parts_touch_nothing)
{
    struct k_geometry g = {2, 1, 2, 4, 1, K_BF16};
    uint32_t page = 0;
    struct k_part no_tokens = {&page, 2, 0, 0, 2}, no_layers = {&page, 0, 4, 1, 0};
    k_gather(&g, NULL, &no_tokens, NULL);
    k_scatter(&g, NULL, &no_layers, NULL);
    k_fill(&g, NULL, &no_tokens, 1);
    k_fill_packed(&g, &no_layers, 1, NULL);
    k_fill_packed(&g, &no_tokens, 1, NULL);
    MUST(k_checksum_paged(&g, NULL, &no_tokens) == k_checksum(NULL, 0));
}
END_TEST

/* ---- Checksum ------------------------------------------------------------------------------------------- */

/* The second form in element.h's comment, which is not what is computed there. */
static uint64_t naive_checksum(const unsigned char *bytes, size_t n)
{
    unsigned __int128 sum = (unsigned __int128)n * UINT64_C(0xd6e8feb86659fd93);
    for (size_t i = 0; i < (n + 7) / 8; i++) {
        uint64_t word = 0;
        for (size_t j = 0; j < 8 && 8 * i + j < n; j++)
            word += (uint64_t)bytes[8 * i + j] << (8 * j);
        word ^= (uint64_t)((unsigned __int128)(i + 1) * UINT64_C(0x9e3779b97f4a7c15));
        unsigned __int128 lo = word % (UINT64_C(1) << 32), hi = word / (UINT64_C(1) << 32);
        sum += (lo + 1) * (hi + (UINT64_C(1) << 32)) - (UINT64_C(1) << 32);
    }
    return kvt_mix64((uint64_t)sum);
}

START_TEST(checksums_are_as_defined)
{
    dice_seed(200);
    for (size_t n = 0; n < 700; n++) {
        size_t shift = dice_below(8);
        unsigned char *bytes = noise(n + shift);
        MUST(k_checksum(bytes + shift, n) == naive_checksum(bytes + shift, n));
        free(bytes);
    }
}
END_TEST

START_TEST(a_checksum_of_pages_is_that_of_what_gather_gives)
{
    dice_seed(300 + (uint64_t)_i);
    for (int round = 0; round < ROUNDS; round++) {
        struct kv_case c;
        draw_case(&c);
        unsigned char *pool = noise(c.pool_b), *packed = noise(c.packed_b);
        k_gather(&c.g, pool, &c.part, packed);
        MUST(k_checksum_paged(&c.g, pool, &c.part) == naive_checksum(packed, c.packed_b));
        free(pool);
        free(packed);
    }
}
END_TEST

START_TEST(checksums_notice_bits_words_and_lengths)
{
    dice_seed(400);
    unsigned char *bytes = noise(520);
    uint64_t sum = k_checksum(bytes, 512);
    for (size_t bit = 0; bit < 8 * 512; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        MUST(k_checksum(bytes, 512) != sum);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t i = 0; i < 64; i++)
        for (size_t j = 0; j < i; j++) {
            unsigned char *other = copy_of(bytes, 512);
            memcpy(other + 8 * i, bytes + 8 * j, 8);
            memcpy(other + 8 * j, bytes + 8 * i, 8);
            MUST(k_checksum(other, 512) != sum);
            free(other);
        }
    /* Zeroes behind the end count by the length alone. */
    memset(bytes, 0, 520);
    for (size_t n = 0; n < 520; n++)
        MUST(k_checksum(bytes, n) != k_checksum(bytes, n + 1));
    free(bytes);
}
END_TEST

/* ---- Casts ---------------------------------------------------------------------------------------------- */

/* Value of a finite half with `mantissa` bits of mantissa. */
static double half_value(uint32_t h, int mantissa, int bias)
{
    uint32_t a = h & 0x7fff, exponent = a >> mantissa, fraction = a & ((1u << mantissa) - 1);
    double v = exponent == 0 ? ldexp(fraction, 1 - bias - mantissa)
                             : ldexp(fraction + (1u << mantissa), (int)exponent - bias - mantissa);
    return h & 0x8000 ? -v : v;
}

/* Magnitudes ascend with the bits of a half, infinity standing where the next exponent would begin. */
static uint32_t naive_half(float x, int mantissa, int bias, uint32_t infinity)
{
    double a = fabs((double)x);
    uint32_t low = 0, high = infinity;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (half_value(middle, mantissa, bias) <= a)
            low = middle;
        else
            high = middle;
    }
    double down = a - half_value(low, mantissa, bias), up = half_value(high, mantissa, bias) - a;
    uint32_t h = down < up || (down == up && low % 2 == 0) ? low : high;
    if (isinf(x))
        h = infinity;
    return h | (signbit(x) ? 0x8000 : 0);
}

static void must_cast_like(float x, uint16_t fp16, uint16_t bf16)
{
    if (isnan(x)) {
        MUST((fp16 & 0x7fff) > 0x7c00 && (bf16 & 0x7fff) > 0x7f80);
        MUST((fp16 & 0x8000) == (signbit(x) ? 0x8000 : 0));
        return;
    }
    MUST(fp16 == naive_half(x, 10, 15, 0x7c00));
    MUST(bf16 == naive_half(x, 7, 127, 0x7f80));
}

START_TEST(floats_become_the_nearest_halves)
{
    enum { N = 1 << 20, EACH = 1021 };
    static float x[EACH];
    static uint16_t fp16[EACH], bf16[EACH];
    dice_seed(500);
    for (uint32_t top = 0; top < N;) {
        uint32_t n = 0;
        for (; n < EACH && top < N; n++, top++) {
            /* Ties, and what lies just beside them, as often as anything else. */
            static const uint32_t ends[] = {0, 0, 1, 0x7ff, 0x800, 0xfff};
            uint32_t end = dice_one_in(2) ? ends[dice_below(6)] : (uint32_t)dice_below(0x1000);
            uint32_t bits = top << 12 | end;
            memcpy(&x[n], &bits, 4);
        }
        k_cast_f32_to_fp16(x, fp16, n);
        k_cast_f32_to_bf16(x, bf16, n);
        for (uint32_t i = 0; i < n; i++)
            must_cast_like(x[i], fp16[i], bf16[i]);
        /* The loop behind the vectors has to agree with them. */
        for (uint32_t i = 0; i < n; i += 97) {
            uint16_t one;
            k_cast_f32_to_fp16(x + i, &one, 1);
            MUST(one == fp16[i]);
            k_cast_f32_to_bf16(x + i, &one, 1);
            MUST(one == bf16[i]);
        }
    }
}
END_TEST

START_TEST(halves_become_the_same_number)
{
    static uint16_t half[65536];
    static float fp16[65536], bf16[65536];
    for (uint32_t h = 0; h < 65536; h++)
        half[h] = (uint16_t)h;
    k_cast_fp16_to_f32(half, fp16, 65536);
    k_cast_bf16_to_f32(half, bf16, 65536);
    for (uint32_t h = 0; h < 65536; h++) {
        uint32_t a = h & 0x7fff;
        float one;
        k_cast_fp16_to_f32(half + h, &one, 1);
        MUST(memcmp(&one, fp16 + h, 4) == 0);
        MUST(!signbit(fp16[h]) == !(h & 0x8000) && !signbit(bf16[h]) == !(h & 0x8000));
        if (a < 0x7c00)
            MUST((double)fp16[h] == half_value(h, 10, 15));
        else
            MUST(a == 0x7c00 ? isinf(fp16[h]) : isnan(fp16[h]));
        if (a < 0x7f80)
            MUST((double)bf16[h] == half_value(h, 7, 127));
        else
            MUST(a == 0x7f80 ? isinf(bf16[h]) : isnan(bf16[h]));
    }
}
END_TEST

/* ---- Fill ----------------------------------------------------------------------------------------------- */

/* Whole, in pieces, packed, wide and narrow: the same content. */
START_TEST(content_does_not_depend_on_how_it_is_filled)
{
    dice_seed(600 + (uint64_t)_i);
    for (int round = 0; round < ROUNDS / 3; round++) {
        struct kv_case c;
        draw_case(&c);
        uint64_t seed = dice_word();
        unsigned char *pool = noise(c.pool_b), *other = copy_of(pool, c.pool_b);
        unsigned char *packed = noise(c.packed_b), *gathered = noise(c.packed_b);
        k_fill(&c.g, pool, &c.part, seed);
        k_gather(&c.g, pool, &c.part, gathered);
        k_fill_packed(&c.g, &c.part, seed, packed);
        MUST(memcmp(packed, gathered, c.packed_b) == 0);

        struct k_part piece = c.part;
        for (uint32_t done = 0; done < c.part.tokens; done += piece.tokens) {
            piece.first_token = c.part.first_token + done;
            piece.tokens = 1 + (uint32_t)dice_below(c.part.tokens - done);
            for (uint32_t l = 0; l < c.part.layers; l++) {
                piece.layer0 = c.part.layer0 + l;
                piece.layers = 1;
                k_fill(&c.g, other, &piece, seed);
            }
        }
        MUST(memcmp(pool, other, c.pool_b) == 0);

        struct k_geometry wide = c.g;
        wide.dtype = K_FP32;
        size_t n = c.packed_b / k_dtype_b(c.g.dtype);
        float *floats = malloc(4 * n);
        uint16_t *halves = malloc(2 * n);
        MUST(floats && halves);
        k_fill_packed(&wide, &c.part, seed, floats);
        if (c.g.dtype == K_BF16)
            k_cast_f32_to_bf16(floats, halves, n);
        else
            k_cast_f32_to_fp16(floats, halves, n);
        MUST(memcmp(c.g.dtype == K_FP32 ? (void *)floats : halves, packed, c.packed_b) == 0);
        free(floats);
        free(halves);
        free(pool);
        free(other);
        free(packed);
        free(gathered);
    }
}
END_TEST

enum { LAYERS = 2, TOKENS = 4096, CHANNELS = 256 };
static float content[LAYERS][2][TOKENS][CHANNELS];

static void fill_content(uint64_t seed)
{
    struct k_geometry g = {LAYERS, 2, CHANNELS / 2, 16, TOKENS / 16, K_FP32};
    struct k_part part = {NULL, 0, TOKENS, 0, LAYERS};
    k_fill_packed(&g, &part, seed, content);
}

/* Correlation of two columns or rows of noise of n samples is within 5 / sqrt(n), at 5 standard errors. */
static double correlation(const float *a, const float *b, size_t n, size_t step)
{
    double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    for (size_t i = 0; i < n; i++) {
        double x = a[i * step], y = b[i * step];
        sa += x;
        sb += y;
        saa += x * x;
        sbb += y * y;
        sab += x * y;
    }
    double m = (double)n;
    return (sab - sa * sb / m) / sqrt((saa - sa * sa / m) * (sbb - sb * sb / m));
}

START_TEST(content_looks_like_kv)
{
    uint32_t outliers = 0;
    fill_content(1);
    for (int l = 0; l < LAYERS; l++)
        for (int v = 0; v < 2; v++)
            for (int c = 0; c < CHANNELS; c++) {
                double s = 0, ss = 0, s4 = 0;
                for (int t = 0; t < TOKENS; t++)
                    s += content[l][v][t][c];
                double mean = s / TOKENS;
                for (int t = 0; t < TOKENS; t++) {
                    double d = content[l][v][t][c] - mean;
                    ss += d * d;
                    s4 += d * d * d * d;
                }
                double variance = ss / TOKENS, kurtosis = s4 / TOKENS / variance / variance;
                outliers += fabs(mean) > 3;
                MUST(v == 0 || fabs(mean) < 0.05);
                MUST(fabs(mean) < 8.1);
                /* Widths 1/2 to 1, within 5 standard errors of 1 / sqrt(2 * 4096). */
                MUST(sqrt(variance) > 0.47 && sqrt(variance) < 1.06);
                /* A Gaussian has 3, the sum of four uniforms 2.7. */
                MUST(kurtosis > 2.4 && kurtosis < 3.1);
                if (c > 0)
                    MUST(fabs(correlation(&content[l][v][0][c - 1], &content[l][v][0][c], TOKENS,
                                          CHANNELS)) < 0.08);
            }
    /* 1 in 16 of 512 channels of K: 32, give or take five times 5.5. */
    MUST(outliers > 5 && outliers < 60);
}
END_TEST

START_TEST(content_depends_on_each_of_its_numbers)
{
    static float before[CHANNELS];
    fill_content(1);
    memcpy(before, content[1][1][7], sizeof(before));
    MUST(fabs(correlation(content[1][1][7], content[1][1][8], CHANNELS, 1)) < 0.32);
    MUST(fabs(correlation(content[1][1][7], content[0][1][7], CHANNELS, 1)) < 0.32);
    MUST(fabs(correlation(content[1][1][7], content[1][0][7], CHANNELS, 1)) < 0.32);
    fill_content(2);
    MUST(fabs(correlation(content[1][1][7], before, CHANNELS, 1)) < 0.32);
}
END_TEST

/* Stored blocks outlive a version of this program: their content must not change with it. */
START_TEST(content_and_checksums_are_those_of_version_1)
{
    struct k_geometry g = {2, 2, 16, 16, 4, K_BF16};
    struct k_part part = {NULL, 3, 50, 0, 2};
    static unsigned char packed[2 * 2 * 50 * 64];
    k_fill_packed(&g, &part, 12345, packed);
    uint64_t sum = k_checksum(packed, sizeof(packed));
    ck_assert_msg(sum == UINT64_C(0x622971675ba102e0), "%016llx", (unsigned long long)sum);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels");
    TCase *tcase = tcase_create("twins");
    tcase_add_loop_test(tcase, gather_and_scatter_move_each_row_to_its_place, 0, 2);
    tcase_add_loop_test(tcase, pages_go_to_pages, 0, 2);
    tcase_add_test(tcase, parts_larger_than_a_cache_are_moved_too);
    tcase_add_test(tcase, empty_parts_touch_nothing);
    tcase_add_test(tcase, checksums_are_as_defined);
    tcase_add_loop_test(tcase, a_checksum_of_pages_is_that_of_what_gather_gives, 0, 2);
    tcase_add_test(tcase, checksums_notice_bits_words_and_lengths);
    tcase_add_test(tcase, floats_become_the_nearest_halves);
    tcase_add_test(tcase, halves_become_the_same_number);
    tcase_add_loop_test(tcase, content_does_not_depend_on_how_it_is_filled, 0, 2);
    tcase_add_test(tcase, content_looks_like_kv);
    tcase_add_test(tcase, content_depends_on_each_of_its_numbers);
    tcase_add_test(tcase, content_and_checksums_are_those_of_version_1);
    suite_add_tcase(suite, tcase);
    return kvt_test_main(suite);
}
