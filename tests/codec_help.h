/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_help.h - what the tests of codecs and values share: KV to code, and memory that ends
 * where it says.
 */
#ifndef CODEC_HELP_H
#define CODEC_HELP_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../backend/codec.h"
#include "dice.h"

/* Chains of every kind; the last ones are slow. */
static const char *const some_chains[] = {
    "none",        "fp16",          "bf16",         "int8",        "int4",
    "planes",      "lz4",           "zstd-1",       "zlib-1",      "libdeflate-1",
    "planes,lz4",  "planes,zstd-1", "bf16,planes",  "int8,zstd-1", "int4,lz4",
    "fp16,zlib-3", "int8,zlib-1",   "int4,zstd-19", "zlib-9",      "fp16,planes,libdeflate-12",
};

enum { SOME_CHAINS = sizeof some_chains / sizeof some_chains[0] };

static inline struct be_codec chain_named(const char *name)
{
    struct be_codec codec;
    char error[160];
    if (be_codec_parse(&codec, name, error, sizeof error) != 0)
        ck_abort_msg("%s", error);
    return codec;
}

/* n bytes that end at the end of an allocation, at an address that no element likes. */
struct room {
    unsigned char *memory, *at;
};

static inline struct room room_of(size_t n)
{
    struct room r = {.memory = malloc(n + 1)};
    MUST(r.memory);
    r.at = r.memory + 1;
    memset(r.memory, 0xa5, n + 1);
    return r;
}

static inline float float_at(enum k_dtype dtype, const void *bytes, size_t i)
{
    uint16_t half;
    float x;
    memcpy(&half, (const unsigned char *)bytes + 2 * i, sizeof half);
    if (dtype == K_FP32)
        memcpy(&x, (const unsigned char *)bytes + 4 * i, sizeof x);
    else if (dtype == K_FP16)
        k_cast_fp16_to_f32(&half, &x, 1);
    else
        k_cast_bf16_to_f32(&half, &x, 1);
    return x;
}

static inline void put_float_at(enum k_dtype dtype, void *bytes, size_t i, float x)
{
    uint16_t half;
    if (dtype == K_FP32) {
        memcpy((unsigned char *)bytes + 4 * i, &x, sizeof x);
        return;
    }
    if (dtype == K_FP16)
        k_cast_f32_to_fp16(&x, &half, 1);
    else
        k_cast_f32_to_bf16(&x, &half, 1);
    memcpy((unsigned char *)bytes + 2 * i, &half, sizeof half);
}

/* Small, with rows and columns around the sizes of groups and tiles. */
static inline struct be_shape random_shape(void)
{
    static const uint32_t channels[] = {1, 2, 31, 32, 33, 64, 100, 1023, 1024, 1025, 2085};
    static const uint32_t tokens[] = {1, 2, 7, 31, 32, 33, 65};
    struct be_shape s = {
        .layers = 1 + (uint32_t)dice_below(3),
        .tokens = tokens[dice_below(7)],
        .channels = channels[dice_below(11)],
        .dtype = (enum k_dtype)dice_below(K_DTYPES),
    };
    const uint64_t parts = dice_below(4);
    s.parts = parts == 1 ? BE_K_ONLY : parts == 2 ? BE_V_ONLY : BE_K_AND_V;
    return s;
}

/* Numbers around a mean of each channel's own, some of them large. */
static inline void fill_kv(const struct be_shape *s, void *raw)
{
    for (size_t i = 0; i < be_shape_elements(s); i++) {
        const size_t channel = i % s->channels;
        const float mean = channel % 7 == 3 ? (float)channel : 0.25F;
        const float noise = (float)(int64_t)(dice_below(2001) - 1000) / 1000;
        put_float_at(s->dtype, raw, i, mean + noise);
    }
}

#endif
