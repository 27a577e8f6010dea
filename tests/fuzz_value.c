/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fuzz_value.c - stored values are not trusted: heads, meta values, and coded bytes of any chain
 * and shape.
 *
 * The first byte picks one of three readers and, for values, whether the checksum is put right
 * first (a fuzzer would never guess it). Room is exactly what the reader may use, so that a
 * sanitizer sees more. What is read as good must be what the reader asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/value.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VALUE, META, CODEC, MOST_B = 1 << 16 };

static const kvt_key key = {1, 2};

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Memory of exactly n bytes, never NULL. */
static void *room_of(size_t n)
{
    void *room = malloc(n ? n : 1);
    must(room != NULL);
    return room;
}

static void as_value(const uint8_t *data, size_t size, const struct be_format *f, bool sign)
{
    const struct be_piece p = be_piece_at(f, key, 8, 1);
    const struct be_shape shape = be_piece_shape(f, &p);
    unsigned char *value = room_of(size), *raw = room_of(be_shape_raw_b(&shape));
    unsigned char *scratch = room_of(be_value_scratch_b(f, 8));
    const void *payload = NULL;
    const char *why = NULL;
    struct be_head head;
    memcpy(value, data, size);
    if (sign && size >= BE_HEAD_B) {
        memset(value + 8, 0, 8);
        const uint64_t sum = XXH3_64bits(value, size);
        for (int i = 0; i < 8; i++)
            value[8 + i] = (unsigned char)(sum >> 8 * i);
    }
    const int sane = be_head_read(&head, value, size, &why);
    const enum kvt_status status = be_value_read(f, &p, value, size, raw, scratch, &payload, &why);
    must(status == KVT_OK || status == KVT_CORRUPT);
    if (status == KVT_OK) {
        must(sane == 0 && kvt_key_equal(head.piece.key, key) && head.epoch == f->epoch);
        memcpy(raw, payload, payload == raw ? 0 : be_shape_raw_b(&shape));
    }
    free(value);
    free(raw);
    free(scratch);
}

static void as_meta(const uint8_t *data, size_t size, const struct be_format *f)
{
    static const unsigned char k[64], v[64];
    const struct be_piece p = be_piece_at(f, key, 8, 1);
    const struct be_layer layer = {k, v, (const char *)data, sizeof k, sizeof v, size};
    const struct be_shape shape = be_piece_shape(f, &p);
    unsigned char *raw = room_of(be_shape_raw_b(&shape));
    unsigned char *scratch = room_of(be_value_scratch_b(f, 8));
    struct be_head heads[2];
    const char *why = NULL;
    if (be_meta_read(&heads[0], &heads[1], (const char *)data, size, &why) == 0)
        must(heads[0].raw_b <= BE_RAW_MOST_B && heads[1].payload_b <= heads[1].raw_b);
    must(be_layer_read(f, &p, &layer, raw, scratch, &why) != KVT_BUSY);
    free(raw);
    free(scratch);
}

/* Chain and shape from eight bytes; the rest is decoded. */
static void as_codec(const uint8_t *data, size_t size)
{
    if (size < 8)
        return;
    const struct be_codec codec = {(enum be_narrow)(data[0] & 7), data[0] & 8,
                                   (enum be_packer)(data[0] >> 4 & 7), data[1]};
    struct be_shape shape = {data[2] & 7U, data[3] & 63U, data[4] | (data[5] & 3U) << 8,
                             (enum k_dtype)(data[6] & 3), BE_K_AND_V};
    shape.parts = data[7] % 3 == 1 ? BE_K_ONLY : data[7] % 3 == 2 ? BE_V_ONLY : BE_K_AND_V;
    if (!be_codec_valid(&codec))
        return;
    unsigned char *in = room_of(size - 8), *raw = room_of(be_shape_raw_b(&shape));
    unsigned char *scratch = room_of(be_codec_scratch_b(&codec, &shape));
    memcpy(in, data + 8, size - 8);
    const int rc = be_codec_decode(&codec, &shape, in, size - 8, raw, scratch);
    if (rc == 0 &&
        codec.narrow == BE_NARROW_NONE) { /* then it is coded again to the same content */
        const size_t bound = be_codec_bound(&codec, &shape);
        unsigned char *out = room_of(bound), *back = room_of(be_shape_raw_b(&shape));
        size_t n;
        must(be_codec_encode(&codec, &shape, raw, out, bound, &n, scratch) == 0);
        must(be_codec_decode(&codec, &shape, out, n, back, scratch) == 0);
        must(memcmp(raw, back, be_shape_raw_b(&shape)) == 0);
        free(out);
        free(back);
    }
    free(in);
    free(raw);
    free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct be_codec codecs[] = {
        {BE_NARROW_NONE, false, BE_PACK_NONE, 0}, {BE_NARROW_INT8, false, BE_PACK_ZSTD, 1},
        {BE_NARROW_INT4, false, BE_PACK_LZ4, 0},  {BE_NARROW_FP16, true, BE_PACK_LIBDEFLATE, 1},
        {BE_NARROW_NONE, true, BE_PACK_ZLIB, 3},
    };
    struct be_format f = {
        .epoch = 7,
        .geometry = {.layers = 2, .heads = 1, .head_dim = 16, .page_tokens = 4, .dtype = K_FP32},
        .shards = 1,
        .piece_layers = 1,
    };
    if (size < 1 || size > MOST_B)
        return 0;
    f.codec = codecs[(data[0] >> 3) % 5];
    if (data[0] % 4 == VALUE)
        as_value(data + 1, size - 1, &f, data[0] & 128);
    else if (data[0] % 4 == META)
        as_meta(data + 1, size - 1, &f);
    else if (data[0] % 4 == CODEC)
        as_codec(data + 1, size - 1);
    return 0;
}
