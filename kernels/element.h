/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * element.h - one element at a time: what a cast, a checksum and a fill do to it. The twins and
 * the kernels both run this text, so they can differ in which element they take when, and in
 * nothing else.
 *
 * Bytes have to be equal on every machine. So there is integer arithmetic, and float additions
 * and multiplications that are rounded once each, to nearest even: compiled without contraction
 * (gcc -ffp-contract=off, nvcc -fmad=false). Subnormal floats are never operands, so it does not
 * matter whether a processor flushes them. No branches: the loops around are to be vectorised.
 */
#ifndef K_ELEMENT_H
#define K_ELEMENT_H

#include "kernels.h"

#include <string.h>

#ifdef __CUDACC__
#define K_ELEMENT static __host__ __device__ __forceinline__
#else
#define K_ELEMENT static inline __attribute__((always_inline, unused))
#endif

/* ---- Casts ------------------------------------------------------------------------------------------ */

K_ELEMENT uint32_t k_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof(u));
    return u;
}

K_ELEMENT float k_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof(x));
    return x;
}

/* Rounds by adding half of the last place, less one unit if the place is even. A NaN becomes
 * quiet and keeps its upper bits, so that none turns into infinity. */
K_ELEMENT uint16_t k_bf16_of(float x)
{
    uint32_t u = k_bits(x);
    uint32_t rounded = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
    uint32_t nan = u >> 16 | 0x40u;
    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

K_ELEMENT float k_of_bf16(uint16_t h)
{
    return k_float((uint32_t)h << 16);
}

/* Three cases by magnitude. From 65536 on it is infinity (65520 and up get there by rounding);
 * NaN as above, which is what x86 does (VCVTPS2PH). Below 2^-14 the result is subnormal: adding
 * one half, whose last place is 2^-24, leaves the result in the low bits, rounded by the adder;
 * what is itself subnormal gives zero and is taken as zero. Else the exponent is shifted and the
 * mantissa rounded, as for bf16. */
K_ELEMENT uint16_t k_fp16_of(float x)
{
    uint32_t u = k_bits(x), sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
    uint32_t special = a > 0x7f800000u ? 0x7e00u | (a >> 13 & 0x3ffu) : 0x7c00u;
    uint32_t tiny = k_bits(k_float(a < 0x00800000u ? 0u : a) + 0.5f) - 0x3f000000u;
    uint32_t normal = (a - 0x38000000u + 0xfffu + (a >> 13 & 1u)) >> 13;
    uint32_t finite = a < 0x38800000u ? tiny : normal;
    return (uint16_t)(sign | (a >= 0x47800000u ? special : finite));
}

/* Exact. A subnormal is a mantissa behind an exponent that is one too high: taken off again as a float. */
K_ELEMENT float k_of_fp16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, a = (uint32_t)(h & 0x7fffu) << 13;
    uint32_t normal = a + 0x38000000u;
    uint32_t special = a > 0x0f800000u ? a | 0x7fc00000u : 0x7f800000u;
    uint32_t tiny = k_bits(k_float(a + 0x38800000u) - k_float(0x38800000u));
    uint32_t finite = a < 0x00800000u ? tiny : normal;
    return k_float(sign | (a >= 0x0f800000u ? special : finite));
}

/* ---- Checksum --------------------------------------------------------------------------------------- */

/* What word number i, `word`, adds to the sum: halves lo and hi of word ^ (i + 1) * K give
 *
 *      lo * hi + (lo << 32) + hi  =  (lo + 1) * (hi + 2^32) - 2^32        modulo 2^64
 *
 * of which the right side shows that any change within one half changes the value. Positions
 * differ in their key, so words cannot be exchanged unseen either. */
#define K_CHECKSUM_KEY UINT64_C(0x9e3779b97f4a7c15)

K_ELEMENT uint64_t k_checksum_word(uint64_t word, uint64_t i)
{
    uint64_t x = word ^ ((i + 1) * K_CHECKSUM_KEY);
    return (x & 0xffffffffu) * (x >> 32) + (x << 32 | x >> 32);
}

K_ELEMENT uint64_t k_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The checksum of n bytes whose words add up to sum. */
K_ELEMENT uint64_t k_checksum_end(uint64_t sum, uint64_t n)
{
    return k_mix(sum + n * UINT64_C(0xd6e8feb86659fd93));
}

/* ---- Fill ------------------------------------------------------------------------------------------- */

/* A channel's mean, and its width over the width of four_uniform. Widths lie in [1/2, 1) for K.
 * One channel of K in sixteen is an outlier, with a mean of 4 to 8 either way; the others' means
 * lie within 1/2. V has no mean and one width. All this belongs to layer and channel, as in a
 * model, not to the seed. */
struct k_channel {
    float mean, scale;
};

/* lowbias32's constants (Wellons, "Prospecting for hash functions", 2018). */
K_ELEMENT uint32_t k_mix32(uint32_t x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* plane: 2 * layer, plus 1 for V. */
K_ELEMENT struct k_channel k_channel_of(uint32_t plane, uint32_t channel)
{
    uint32_t h = k_mix32(plane * 0x9e3779b1u + channel * 0x85ebca77u + 1u);
    uint32_t k = plane & 1u ? 0u : 1u;
    float unit = 0x1.bb67aep-16f; /* one over the width of four_uniform: sqrt(3) / 2^16 */
    float width = (float)(256u + k * (h & 0xffu)) * 0x1p-9f;
    float high = (float)(1024u + (h >> 8 & 0x3ffu)) * 0x1p-8f;
    float low = (float)(h >> 8 & 0x3ffu) * 0x1p-11f;
    float mean = (h >> 18 & 15u) == 0 ? high : low;
    struct k_channel c;
    c.mean = (float)k * (h >> 31 ? -mean : mean);
    c.scale = width * unit;
    return c;
}

/* Stands for (seed, plane, token); all channels of the row start from it. */
K_ELEMENT uint64_t k_fill_row(uint64_t seed, uint32_t plane, uint32_t token)
{
    uint64_t h = k_mix(seed + (plane + UINT64_C(1)) * K_CHECKSUM_KEY);
    return k_mix(h + (token + UINT64_C(1)) * K_CHECKSUM_KEY);
}

/* The sum of four uniform 16-bit numbers, less its mean: bell-shaped, within 3.46 widths of 2^16 / sqrt(3). */
K_ELEMENT int32_t k_four_uniform(uint64_t row, uint32_t channel)
{
    uint32_t a = k_mix32((uint32_t)row + channel * 0x9e3779b1u);
    uint32_t b = (a ^ (uint32_t)(row >> 32)) * 0x2c1b3c6du;
    b ^= b >> 15;
    return (int32_t)((a & 0xffffu) + (a >> 16) + (b & 0xffffu) + (b >> 16)) - 131070;
}

K_ELEMENT float k_fill_element(uint64_t row, uint32_t channel, struct k_channel c)
{
    float spread = (float)k_four_uniform(row, channel) * c.scale;
    return c.mean + spread;
}

#endif
