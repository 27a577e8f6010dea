/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * value.c - layout packed: a head of 96 bytes in front of the coded bytes of a piece. FORMAT.md
 * draws it.
 *
 * Numbers are little-endian wherever this runs; the digest stands as its hex digits read. The
 * checksum is the XXH3-64 of the whole value with the checksum's own bytes as zeroes: a value
 * that arrives is walked over once, then its head is compared with what the reader asked for,
 * then it is decoded. Uncoded values are not copied at all.
 */
#include "value_impl.h"

#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,
    AT_HEAD_B = 6,
    AT_CHECKSUM = 8,
    AT_KEY = 16,
    AT_EPOCH = 32,
    AT_TOKENS = 40,
    AT_SHARD = 44,
    AT_SHARDS = 48,
    AT_HEADS = 52,
    AT_HEAD_DIM = 56,
    AT_MODEL_LAYERS = 60,
    AT_LAYER0 = 64,
    AT_LAYERS = 68,
    AT_PARTS = 72,
    AT_DTYPE = 73,
    AT_NARROW = 74,
    AT_PLANES = 75,
    AT_PACKER = 76,
    AT_LEVEL = 77,
    AT_ZERO = 78,
    AT_RAW_B = 80,
    AT_PAYLOAD_B = 88,
};

static const char magic[4] = {'K', 'V', 'T', '1'};

_Static_assert(AT_PAYLOAD_B + 8 == BE_HEAD_B, "the head ends where the payload begins");
_Static_assert(K_BF16 == 0 && K_FP16 == 1 && K_FP32 == 2, "types are stored by number");
_Static_assert(BE_K_AND_V == 0 && BE_K_ONLY == 1 && BE_V_ONLY == 2, "parts are stored by number");
_Static_assert(BE_NARROW_FP16 == 1 && BE_NARROW_BF16 == 2 && BE_NARROW_INT8 == 3 &&
                   BE_NARROW_INT4 == 4,
               "casts are stored by number");
_Static_assert(BE_PACK_ZLIB == 1 && BE_PACK_LIBDEFLATE == 2 && BE_PACK_ZSTD == 3 &&
                   BE_PACK_LZ4 == 4,
               "packers are stored by number");

static void put(unsigned char *at, size_t n, uint64_t x)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (unsigned char)(x >> 8 * i);
}

static uint64_t get(const unsigned char *at, size_t n)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++)
        x |= (uint64_t)at[i] << 8 * i;
    return x;
}

static uint32_t get32(const unsigned char *at)
{
    return (uint32_t)get(at, 4);
}

/* As the digits of a key's name stand. */
static void put_key(unsigned char *at, kvt_key key)
{
    for (int i = 0; i < 8; i++) {
        at[i] = (unsigned char)(key.hi >> (56 - 8 * i));
        at[8 + i] = (unsigned char)(key.lo >> (56 - 8 * i));
    }
}

static kvt_key get_key(const unsigned char *at)
{
    kvt_key key = {0, 0};
    for (int i = 0; i < 8; i++) {
        key.hi = key.hi << 8 | at[i];
        key.lo = key.lo << 8 | at[8 + i];
    }
    return key;
}

static void put_head(unsigned char *at, const struct be_head *h)
{
    memset(at, 0, BE_HEAD_B);
    memcpy(at + AT_MAGIC, magic, sizeof magic);
    put(at + AT_VERSION, 2, h->version);
    put(at + AT_HEAD_B, 2, BE_HEAD_B);
    put_key(at + AT_KEY, h->piece.key);
    put(at + AT_EPOCH, 8, h->epoch);
    put(at + AT_TOKENS, 4, h->piece.tokens);
    put(at + AT_SHARD, 4, h->piece.shard);
    put(at + AT_SHARDS, 4, h->shards);
    put(at + AT_HEADS, 4, h->heads);
    put(at + AT_HEAD_DIM, 4, h->head_dim);
    put(at + AT_MODEL_LAYERS, 4, h->model_layers);
    put(at + AT_LAYER0, 4, h->piece.layer0);
    put(at + AT_LAYERS, 4, h->piece.layers);
    at[AT_PARTS] = h->piece.parts;
    at[AT_DTYPE] = (unsigned char)h->dtype;
    at[AT_NARROW] = (unsigned char)h->codec.narrow;
    at[AT_PLANES] = h->codec.planes;
    at[AT_PACKER] = (unsigned char)h->codec.packer;
    at[AT_LEVEL] = h->codec.level;
    put(at + AT_RAW_B, 8, h->raw_b);
    put(at + AT_PAYLOAD_B, 8, h->payload_b);
}

static void get_head(struct be_head *h, const unsigned char *at)
{
    *h = (struct be_head){
        .version = (uint16_t)get(at + AT_VERSION, 2),
        .piece = {.key = get_key(at + AT_KEY),
                  .tokens = get32(at + AT_TOKENS),
                  .shard = get32(at + AT_SHARD),
                  .layer0 = get32(at + AT_LAYER0),
                  .layers = get32(at + AT_LAYERS),
                  .parts = at[AT_PARTS]},
        .epoch = get(at + AT_EPOCH, 8),
        .heads = get32(at + AT_HEADS),
        .head_dim = get32(at + AT_HEAD_DIM),
        .model_layers = get32(at + AT_MODEL_LAYERS),
        .shards = get32(at + AT_SHARDS),
        .dtype = (enum k_dtype)at[AT_DTYPE],
        .codec = {.narrow = (enum be_narrow)at[AT_NARROW],
                  .planes = at[AT_PLANES] != 0,
                  .packer = (enum be_packer)at[AT_PACKER],
                  .level = at[AT_LEVEL]},
        .raw_b = get(at + AT_RAW_B, 8),
        .payload_b = get(at + AT_PAYLOAD_B, 8),
        .checksum = get(at + AT_CHECKSUM, 8),
    };
}

static uint64_t checksum(const unsigned char *value, size_t value_b)
{
    static const unsigned char zeroes[8];
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, value, AT_CHECKSUM);
    XXH3_64bits_update(&state, zeroes, sizeof zeroes);
    XXH3_64bits_update(&state, value + AT_KEY, value_b - AT_KEY);
    return XXH3_64bits_digest(&state);
}

/* ---- The two ways ----------------------------------------------------------------------------------- */

static struct be_piece whole_piece(const struct be_format *f, uint32_t tokens)
{
    return (struct be_piece){.tokens = tokens, .layers = f->piece_layers, .parts = BE_K_AND_V};
}

size_t be_value_bound(const struct be_format *f, uint32_t tokens)
{
    const struct be_piece p = whole_piece(f, tokens);
    const struct be_shape shape = be_piece_shape(f, &p);
    return BE_HEAD_B + be_shape_raw_b(&shape);
}

size_t be_value_scratch_b(const struct be_format *f, uint32_t tokens)
{
    const struct be_piece p = whole_piece(f, tokens);
    const struct be_shape shape = be_piece_shape(f, &p);
    return be_codec_scratch_b(&f->codec, &shape);
}

int be_value_write(const struct be_format *f, const struct be_piece *p, const void *raw,
                   void *value, size_t room, size_t *value_b, void *scratch)
{
    const struct be_shape shape = be_piece_shape(f, p);
    struct be_head head = be_head_of(f, p);
    unsigned char *bytes = value;
    if (room < BE_HEAD_B)
        return -ENOSPC;
    const int rc = be_payload_write(&f->codec, &shape, raw, bytes + BE_HEAD_B, room - BE_HEAD_B,
                                    &head.codec, &head.payload_b, scratch);
    if (rc != 0)
        return rc;
    head.raw_b = be_shape_raw_b(&shape);
    put_head(bytes, &head);
    *value_b = BE_HEAD_B + head.payload_b;
    put(bytes + AT_CHECKSUM, 8, checksum(bytes, *value_b));
    return 0;
}

int be_head_read(struct be_head *head, const void *value, size_t value_b, const char **why)
{
    const unsigned char *bytes = value;
    *why = "truncated";
    if (value_b < BE_HEAD_B)
        return -EBADMSG;
    *why = "magic";
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return -EBADMSG;
    get_head(head, bytes);
    if (!be_head_sane(head, why))
        return -EBADMSG;
    *why = "head";
    if (get(bytes + AT_HEAD_B, 2) != BE_HEAD_B || get(bytes + AT_ZERO, 2) != 0 ||
        bytes[AT_PLANES] > 1)
        return -EBADMSG;
    *why = "length";
    if (head->payload_b != value_b - BE_HEAD_B)
        return -EBADMSG;
    *why = "checksum";
    if (head->checksum != checksum(bytes, value_b))
        return -EBADMSG;
    *why = "";
    return 0;
}

enum kvt_status be_value_read(const struct be_format *f, const struct be_piece *p,
                              const void *value, size_t value_b, void *raw_room, void *scratch,
                              const void **payload, const char **why)
{
    struct be_head head;
    if (be_head_read(&head, value, value_b, why) != 0 || !be_head_fits(&head, f, p, why))
        return KVT_CORRUPT;
    const unsigned char *coded = (const unsigned char *)value + BE_HEAD_B;
    if (head.payload_b == head.raw_b) { /* uncoded: a coded payload is smaller */
        *payload = coded;
        return KVT_OK;
    }
    *payload = raw_room;
    return be_payload_read(&head, coded, raw_room, scratch, why);
}
