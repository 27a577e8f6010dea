/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cast.c - whole arrays between float and its two 16-bit kinds. What happens to an element is in
 * element.h; here is the loop, in a form that gcc turns into eight elements at a time.
 */
#include "kernels.h"

#include "element.h"
#include "variants.h"

/* clang 14 knows no name for F16C at run time; it takes the loops below. */
#if defined(__x86_64__) && !defined(__clang__)
#define HAS_F16C 1
#include <immintrin.h>
#else
#define HAS_F16C 0
#endif

/* void cannot be returned by K_VARIANTS, so the loops return how far they came. */
K_VARIANTS(size_t, f32_to_fp16, (const float *restrict from, uint16_t *restrict to, size_t n),
           (from, to, n))
{
    for (size_t i = 0; i < n; i++)
        to[i] = k_fp16_of(from[i]);
    return n;
}

K_VARIANTS(size_t, f32_to_bf16, (const float *restrict from, uint16_t *restrict to, size_t n),
           (from, to, n))
{
    for (size_t i = 0; i < n; i++)
        to[i] = k_bf16_of(from[i]);
    return n;
}

K_VARIANTS(size_t, fp16_to_f32, (const uint16_t *restrict from, float *restrict to, size_t n),
           (from, to, n))
{
    for (size_t i = 0; i < n; i++)
        to[i] = k_of_fp16(from[i]);
    return n;
}

K_VARIANTS(size_t, bf16_to_f32, (const uint16_t *restrict from, float *restrict to, size_t n),
           (from, to, n))
{
    for (size_t i = 0; i < n; i++)
        to[i] = k_of_bf16(from[i]);
    return n;
}

#if HAS_F16C

/* The processor's own conversion gives what element.h says, NaN included, whatever the modes in MXCSR. */
__attribute__((target("avx,f16c"))) static size_t f32_to_fp16_f16c(const float *from, uint16_t *to,
                                                                   size_t n)
{
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        __m256 x = _mm256_loadu_ps(from + i);
        _mm_storeu_si128((void *)(to + i), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
    }
    return f32_to_fp16(from + i, to + i, n - i);
}

__attribute__((target("avx,f16c"))) static size_t fp16_to_f32_f16c(const uint16_t *from, float *to,
                                                                   size_t n)
{
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        __m128i x = _mm_loadu_si128((const void *)(from + i));
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(x));
    }
    return fp16_to_f32(from + i, to + i, n - i);
}

#endif

void k_cast_f32_to_fp16(const float *from, uint16_t *to, size_t n)
{
#if HAS_F16C
    if (__builtin_cpu_supports("f16c"))
        f32_to_fp16_f16c(from, to, n);
    else
#endif
        f32_to_fp16(from, to, n);
}

void k_cast_f32_to_bf16(const float *from, uint16_t *to, size_t n)
{
    f32_to_bf16(from, to, n);
}

void k_cast_fp16_to_f32(const uint16_t *from, float *to, size_t n)
{
#if HAS_F16C
    if (__builtin_cpu_supports("f16c"))
        fp16_to_f32_f16c(from, to, n);
    else
#endif
        fp16_to_f32(from, to, n);
}

void k_cast_bf16_to_f32(const uint16_t *from, float *to, size_t n)
{
    bf16_to_f32(from, to, n);
}
