/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_planes.c - byte i of every element together: n elements become element_b planes of n bytes.
 *
 * The high bytes of KV (sign, exponent) are alike and compress; the low ones are noise. Kept
 * apart, each packer sees the one without the other. Elements are little-endian, so the last
 * plane is the alike one.
 */
#include "codec_impl.h"

#include <assert.h>
#include <string.h>

#include "../kernels/variants.h"

K_VARIANTS(size_t, split2,
           (const unsigned char *restrict in, unsigned char *restrict out, size_t n), (in, out, n))
{
    unsigned char *restrict high = out + n;
    for (size_t i = 0; i < n; i++) {
        uint16_t x;
        memcpy(&x, in + 2 * i, sizeof x);
        out[i] = (unsigned char)x;
        high[i] = (unsigned char)(x >> 8);
    }
    return n;
}

K_VARIANTS(size_t, merge2,
           (const unsigned char *restrict in, unsigned char *restrict out, size_t n), (in, out, n))
{
    const unsigned char *restrict high = in + n;
    for (size_t i = 0; i < n; i++) {
        const uint16_t x = (uint16_t)(in[i] | high[i] << 8);
        memcpy(out + 2 * i, &x, sizeof x);
    }
    return n;
}

K_VARIANTS(size_t, split4,
           (const unsigned char *restrict in, unsigned char *restrict out, size_t n), (in, out, n))
{
    for (size_t i = 0; i < n; i++) {
        uint32_t x;
        memcpy(&x, in + 4 * i, sizeof x);
        out[i] = (unsigned char)x;
        out[n + i] = (unsigned char)(x >> 8);
        out[2 * n + i] = (unsigned char)(x >> 16);
        out[3 * n + i] = (unsigned char)(x >> 24);
    }
    return n;
}

K_VARIANTS(size_t, merge4,
           (const unsigned char *restrict in, unsigned char *restrict out, size_t n), (in, out, n))
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t x = in[i] | (uint32_t)in[n + i] << 8 | (uint32_t)in[2 * n + i] << 16 |
                           (uint32_t)in[3 * n + i] << 24;
        memcpy(out + 4 * i, &x, sizeof x);
    }
    return n;
}

void be_split(const unsigned char *in, unsigned char *out, size_t elements, size_t element_b)
{
    assert(element_b == 2 || element_b == 4);
    (void)(element_b == 2 ? split2(in, out, elements) : split4(in, out, elements));
}

void be_merge(const unsigned char *in, unsigned char *out, size_t elements, size_t element_b)
{
    assert(element_b == 2 || element_b == 4);
    (void)(element_b == 2 ? merge2(in, out, elements) : merge4(in, out, elements));
}
