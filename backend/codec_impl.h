/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_impl.h - the parts of a codec chain, for codec.c alone: each has sizes, a way there and
 * a way back.
 *
 * Bytes that were coded may lie at any address; raw bytes too. No part allocates but inside
 * libraries, and what those keep from call to call belongs to the thread (codec_pack.c).
 */
#ifndef BE_CODEC_IMPL_H
#define BE_CODEC_IMPL_H

#include "codec.h"

/* Elements that are converted at a time: small enough for the first cache, on the stack. */
enum { BE_TILE = 1024 };

/* ---- codec_cast.c: between raw elements, floats and 16 bits --------------------------------------- */

/* n <= BE_TILE elements at any address to floats, and back. */
void be_to_floats(enum k_dtype dtype, const unsigned char *bytes, float *floats, size_t n);
void be_from_floats(enum k_dtype dtype, const float *floats, unsigned char *bytes, size_t n);
/* No NaN and no infinity among n elements. */
bool be_all_finite(enum k_dtype dtype, const unsigned char *bytes, size_t n);

/* n elements. 0; -EINVAL when a finite number would become infinite. */
KVT_MUST_CHECK int be_cast(enum k_dtype from, enum k_dtype to, const unsigned char *in,
                           unsigned char *out, size_t n);

/* ---- codec_quant.c: int8 and int4 ----------------------------------------------------------------- */

/* Bytes of a quantised piece; 0: too large. */
size_t be_quant_b(enum be_narrow narrow, const struct be_shape *shape);
/* out receives be_quant_b bytes. 0; -EINVAL for NaN, infinity, or a range that fp32 cannot hold. */
KVT_MUST_CHECK int be_quantise(enum be_narrow narrow, const struct be_shape *shape,
                               const unsigned char *raw, unsigned char *out);
/* 0; -EBADMSG for a scale or zero point that be_quantise does not make. */
KVT_MUST_CHECK int be_dequantise(enum be_narrow narrow, const struct be_shape *shape,
                                 const unsigned char *in, unsigned char *raw);

/* ---- codec_planes.c: byte i of every element together --------------------------------------------- */

void be_split(const unsigned char *in, unsigned char *out, size_t elements, size_t element_b);
void be_merge(const unsigned char *in, unsigned char *out, size_t elements, size_t element_b);

/* ---- codec_pack.c: the compressors ---------------------------------------------------------------- */

/* Levels of a packer: least and most, 0 and 0 where it has none. */
struct be_levels {
    const char *name;
    uint8_t least, most;
};
extern const struct be_levels be_packer_levels[BE_PACK_LZ4 + 1];

/* Most bytes that packing n gives; 0: too large. */
size_t be_pack_bound(enum be_packer packer, size_t n);
/* 0 and *out_b; -ENOSPC; -ENOMEM. */
KVT_MUST_CHECK int be_pack(enum be_packer packer, int level, const void *in, size_t n, void *out,
                           size_t room, size_t *out_b);
/* Into exactly n bytes. 0; -EBADMSG; -ENOMEM. */
KVT_MUST_CHECK int be_unpack(enum be_packer packer, const void *in, size_t in_b, void *out,
                             size_t n);

#endif
