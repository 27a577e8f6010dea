/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec.h - chains of codecs on packed KV: what is done to a block's bytes before they are stored.
 *
 *      raw (bf16, fp16, fp32)  ->  cast or quantise  ->  byte planes  ->  compress     encode
 *                             <-                    <-               <-               decode
 *
 * At most one step of each kind, in this order, written as in scenarios: "fp16,zlib-3",
 * "int8,zstd-1", "planes-zstd-1" (the catalogue's short form of "planes,zstd-1"), "none". Steps:
 *
 *      fp16, bf16       fp32 KV as 16 bits; on 16-bit KV of the same type nothing, of the other a cast
 *      int8             affine: K per channel over the tokens, V per token over the channels (KIVI,
 *                       ICML 2024, section 3), fp32 scale and zero point each (codec_quant.c)
 *      int4             the same with 4 bits, in groups of 32 along the same axis
 *      planes           byte i of every element together (Blosc's shuffle); not behind int8 and int4
 *      zlib-1..9, libdeflate-1..12, zstd-1..19, lz4
 *
 * Decoding trusts nothing: every length is checked against what the shape implies before it is
 * used, nothing is written beyond raw_b bytes, nothing is allocated. Decoding gives the raw type
 * again; lossy steps have lost what they lost.
 */
#ifndef BE_CODEC_H
#define BE_CODEC_H

#include "../core/types.h"
#include "../kernels/kernels.h"

/* A packed part of a block: layers * 2 matrices of tokens x channels elements. channels = heads * head_dim. */
struct be_shape {
    uint32_t layers, tokens, channels;
    enum k_dtype dtype;
    /* Which matrices there are: both by default; one alone for values that hold K or V of a layer. */
    enum { BE_K_AND_V, BE_K_ONLY, BE_V_ONLY } parts;
};

/* No piece is larger: what a hostile header may make a reader believe. */
#define BE_RAW_MOST_B ((size_t)1 << 30)

/* 0 for a shape that holds nothing, is larger than BE_RAW_MOST_B, or whose type or parts no shape has. */
size_t be_shape_elements(const struct be_shape *shape);
size_t be_shape_raw_b(const struct be_shape *shape);

enum be_narrow { BE_NARROW_NONE, BE_NARROW_FP16, BE_NARROW_BF16, BE_NARROW_INT8, BE_NARROW_INT4 };
enum be_packer { BE_PACK_NONE, BE_PACK_ZLIB, BE_PACK_LIBDEFLATE, BE_PACK_ZSTD, BE_PACK_LZ4 };

/* A chain. Plain data: copied, compared field by field, written into values. */
struct be_codec {
    enum be_narrow narrow;
    bool planes;
    enum be_packer packer;
    uint8_t level; /* of the packer; 0 where it has none */
};

/* Reads a chain. Returns 0; or -EINVAL with what was expected in error. */
KVT_MUST_CHECK int be_codec_parse(struct be_codec *codec, const char *text, char *error,
                                  size_t error_size);
/* Writes it in canonical form ("fp16,planes,zstd-1", "none"). Returns text. */
char *be_codec_name(const struct be_codec *codec, char *text, size_t size);
/* False for numbers that no chain has: what a hostile header may hold. */
bool be_codec_valid(const struct be_codec *codec);
bool be_codec_equal(const struct be_codec *a, const struct be_codec *b);

/* True when encoding is a plain copy for this type: then coders need no scratch and callers may skip them. */
bool be_codec_is_copy(const struct be_codec *codec, enum k_dtype dtype);

/* Most bytes that encoding can give; with this room encode never lacks any. 0 for a shape that
 * be_shape_raw_b does not know, or that the packer cannot take. */
size_t be_codec_bound(const struct be_codec *codec, const struct be_shape *shape);
/* Bytes of scratch that both directions need, for one call at a time. */
size_t be_codec_scratch_b(const struct be_codec *codec, const struct be_shape *shape);

/* Encodes raw into out[room]. *out_b: bytes written. 0; -ENOSPC when room is short; -ENOMEM when
 * a library lacks memory; -EINVAL when the codec is not for this data (the caller stores it
 * without): NaN or infinity under int8 and int4, a finite number that fp16 or bf16 would make
 * infinite, a bound of 0. scratch may be NULL when be_codec_scratch_b is 0. Thread-safe with
 * memory of the caller's own. */
KVT_MUST_CHECK int be_codec_encode(const struct be_codec *codec, const struct be_shape *shape,
                                   const void *raw, void *out, size_t room, size_t *out_b,
                                   void *scratch);

/* Decodes in[in_b] into exactly be_shape_raw_b(shape) bytes. 0, -EBADMSG when the bytes are not
 * what encode makes of such a shape, -ENOMEM. */
KVT_MUST_CHECK int be_codec_decode(const struct be_codec *codec, const struct be_shape *shape,
                                   const void *in, size_t in_b, void *raw, void *scratch);

#endif
