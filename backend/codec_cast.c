/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_cast.c - elements to other elements: whole arrays, a tile at a time through the kernels'
 * casts.
 *
 * Coded bytes come from a network buffer and lie at any address, while the kernels want aligned
 * elements, so each tile is copied to the stack first: two copies inside the first cache. A cast
 * to 16 bits rounds to nearest even. It refuses a finite number that would become infinite (fp16
 * ends at 65,504), there or on the way back: the value is then stored as it is, because one
 * infinity in KV spoils every token behind it.
 */
#include "codec_impl.h"

#include <errno.h>
#include <string.h>

#include "../kernels/variants.h"

void be_to_floats(enum k_dtype dtype, const unsigned char *bytes, float *floats, size_t n)
{
    uint16_t tile[BE_TILE];
    if (dtype == K_FP32) {
        memcpy(floats, bytes, n * sizeof *floats);
        return;
    }
    memcpy(tile, bytes, n * sizeof *tile);
    if (dtype == K_FP16)
        k_cast_fp16_to_f32(tile, floats, n);
    else
        k_cast_bf16_to_f32(tile, floats, n);
}

void be_from_floats(enum k_dtype dtype, const float *floats, unsigned char *bytes, size_t n)
{
    uint16_t tile[BE_TILE];
    if (dtype == K_FP32) {
        memcpy(bytes, floats, n * sizeof *floats);
        return;
    }
    if (dtype == K_FP16)
        k_cast_f32_to_fp16(floats, tile, n);
    else
        k_cast_f32_to_bf16(floats, tile, n);
    memcpy(bytes, tile, n * sizeof *tile);
}

/* Elements whose exponent is all ones. */
K_VARIANTS(uint32_t, odd16, (const unsigned char *bytes, uint32_t exponent, size_t n),
           (bytes, exponent, n))
{
    uint16_t odd = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t x;
        memcpy(&x, bytes + 2 * i, sizeof x);
        odd = (uint16_t)(odd | ((x & exponent) == exponent));
    }
    return odd;
}

K_VARIANTS(uint32_t, odd32, (const unsigned char *bytes, size_t n), (bytes, n))
{
    uint32_t odd = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t x;
        memcpy(&x, bytes + 4 * i, sizeof x);
        odd |= (x & 0x7f800000) == 0x7f800000;
    }
    return odd;
}

bool be_all_finite(enum k_dtype dtype, const unsigned char *bytes, size_t n)
{
    if (dtype == K_FP32)
        return !odd32(bytes, n);
    return !odd16(bytes, dtype == K_FP16 ? 0x7c00 : 0x7f80, n);
}

/* One tile did not stay finite: was each such element odd before? */
static bool odd_before(enum k_dtype from, enum k_dtype to, const unsigned char *in,
                       const unsigned char *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!be_all_finite(to, out + i * k_dtype_b(to), 1) &&
            be_all_finite(from, in + i * k_dtype_b(from), 1))
            return false;
    return true;
}

/* Between two 16-bit types the way back may overflow too: 65,504 is 65,536 in bf16, and that is beyond fp16. */
static bool returns(enum k_dtype from, enum k_dtype to, const unsigned char *in,
                    const unsigned char *out, size_t n)
{
    float floats[BE_TILE];
    unsigned char back[BE_TILE * 2];
    be_to_floats(to, out, floats, n);
    be_from_floats(from, floats, back, n);
    return be_all_finite(from, back, n) || odd_before(from, from, in, back, n);
}

int be_cast(enum k_dtype from, enum k_dtype to, const unsigned char *in, unsigned char *out,
            size_t n)
{
    float floats[BE_TILE];
    for (size_t i = 0, part; i < n; i += part) {
        const unsigned char *at = in + i * k_dtype_b(from);
        unsigned char *there = out + i * k_dtype_b(to);
        part = n - i < BE_TILE ? n - i : BE_TILE;
        be_to_floats(from, at, floats, part);
        be_from_floats(to, floats, there, part);
        if (to == K_FP32)
            continue;
        if (!be_all_finite(to, there, part) && !odd_before(from, to, at, there, part))
            return -EINVAL;
        if (from != K_FP32 && !returns(from, to, at, there, part))
            return -EINVAL;
    }
    return 0;
}
