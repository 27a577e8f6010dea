/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * value_layer.c - layout per-layer: K, V and what they are as three values, under the document's
 * own keys.
 *
 *      kv:<hash>:<layer>:k      coded bytes of K        kv:<hash>:<layer>:meta      one line of JSON
 *      kv:<hash>:<layer>:v      coded bytes of V
 *
 * Any JSON reader may read the meta value; this one takes only the very bytes that it would
 * write. It scans the text with bounded fields, prints what it scanned, and compares: blanks,
 * other orders, leading zeroes, numbers that wrap and a wrong checksum all fail in that one
 * comparison. The text ends with an XXH3-64 of what stands before it, and holds one for K and
 * one for V, so the three values agree or are not used: a K of another writer's, older or
 * swapped, has another checksum.
 */
#include "value_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../core/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { CODEC_B = 40 };

static const char *const dtype_names[K_DTYPES] = {"bf16", "fp16", "fp32"};

/* ---- Meta ------------------------------------------------------------------------------------------- */

/* Returns the length, or 0 when it does not fit. */
static size_t print_meta(char text[BE_META_B + 1], const struct be_head *k, const struct be_head *v)
{
    const struct be_piece *p = &k->piece;
    char hex[33], k_codec[CODEC_B], v_codec[CODEC_B];
    kvt_key_hex(p->key, hex);
    const int len =
        snprintf(text, BE_META_B,
                 "{\"kvtwin\":%u,\"key\":\"%s\",\"epoch\":\"%016" PRIx64 "\",\"layer\":%" PRIu32
                 ",\"layers\":%" PRIu32 ",\"shard\":%" PRIu32 ",\"shards\":%" PRIu32
                 ",\"dtype\":\"%s\",\"shape\":[%" PRIu32 ",%" PRIu32 ",%" PRIu32
                 "],\"k\":{\"codec\":\"%s\",\"raw_b\":%" PRIu64 ",\"stored_b\":%" PRIu64
                 ",\"xxh3\":\"%016" PRIx64 "\"},\"v\":{\"codec\":\"%s\",\"raw_b\":%" PRIu64
                 ",\"stored_b\":%" PRIu64 ",\"xxh3\":\"%016" PRIx64 "\"}",
                 k->version, hex, k->epoch, p->layer0, k->model_layers, p->shard, k->shards,
                 dtype_names[k->dtype], p->tokens, k->heads, k->head_dim,
                 be_codec_name(&k->codec, k_codec, sizeof k_codec), k->raw_b, k->payload_b,
                 k->checksum, be_codec_name(&v->codec, v_codec, sizeof v_codec), v->raw_b,
                 v->payload_b, v->checksum);
    if (len < 0 || len >= BE_META_B)
        return 0;
    const size_t n = (size_t)len;
    const int end = snprintf(text + n, BE_META_B + 1 - n, ",\"xxh3\":\"%016" PRIx64 "\"}",
                             (uint64_t)XXH3_64bits(text, n));
    return end < 0 || n + (size_t)end > BE_META_B ? 0 : n + (size_t)end;
}

/* Fields by a bounded scan: widths keep every number from overflowing. */
static bool scan_meta(const char *text, struct be_head *k, struct be_head *v)
{
    char dtype[8], k_codec[CODEC_B], v_codec[CODEC_B], error[160];
    const int n =
        sscanf(text,
               "{\"kvtwin\":%4" SCNu16 ",\"key\":\"%16" SCNx64 "%16" SCNx64
               "\",\"epoch\":\"%16" SCNx64 "\",\"layer\":%9" SCNu32 ",\"layers\":%9" SCNu32
               ",\"shard\":%9" SCNu32 ",\"shards\":%9" SCNu32
               ",\"dtype\":\"%7[a-z0-9]\",\"shape\":[%9" SCNu32 ",%9" SCNu32 ",%9" SCNu32
               "],\"k\":{\"codec\":\"%39[a-z0-9,-]\",\"raw_b\":%10" SCNu64
               ",\"stored_b\":%10" SCNu64 ",\"xxh3\":\"%16" SCNx64
               "\"},\"v\":{\"codec\":\"%39[a-z0-9,-]\",\"raw_b\":%10" SCNu64
               ",\"stored_b\":%10" SCNu64 ",\"xxh3\":\"%16" SCNx64 "\"}",
               &k->version, &k->piece.key.hi, &k->piece.key.lo, &k->epoch, &k->piece.layer0,
               &k->model_layers, &k->piece.shard, &k->shards, dtype, &k->piece.tokens, &k->heads,
               &k->head_dim, k_codec, &k->raw_b, &k->payload_b, &k->checksum, v_codec, &v->raw_b,
               &v->payload_b, &v->checksum);
    if (n != 20 || be_codec_parse(&k->codec, k_codec, error, sizeof error) != 0 ||
        be_codec_parse(&v->codec, v_codec, error, sizeof error) != 0)
        return false;
    for (int d = 0; d < K_DTYPES; d++)
        if (strcmp(dtype, dtype_names[d]) == 0) {
            k->dtype = (enum k_dtype)d;
            return true;
        }
    return false;
}

int be_meta_read(struct be_head *k, struct be_head *v, const char *text, size_t text_b,
                 const char **why)
{
    char copy[BE_META_B + 1], again[BE_META_B + 1];
    *k = *v = (struct be_head){.piece = {.layers = 1}};
    *why = "length";
    if (text_b == 0 || text_b > BE_META_B)
        return -EBADMSG;
    memcpy(copy, text, text_b);
    copy[text_b] = '\0';
    *why = "meta";
    if (!scan_meta(copy, k, v))
        return -EBADMSG;
    const struct be_head own = *v; /* v: all that K has, but for its own */
    *v = *k;
    v->codec = own.codec;
    v->raw_b = own.raw_b;
    v->payload_b = own.payload_b;
    v->checksum = own.checksum;
    k->piece.parts = BE_K_ONLY;
    v->piece.parts = BE_V_ONLY;
    if (print_meta(again, k, v) != text_b || memcmp(again, text, text_b) != 0)
        return -EBADMSG;
    return be_head_sane(k, why) && be_head_sane(v, why) ? 0 : -EBADMSG;
}

/* ---- The three -------------------------------------------------------------------------------------- */

static struct be_piece half_of(const struct be_piece *p, bool is_k)
{
    struct be_piece half = *p;
    half.parts = is_k ? BE_K_ONLY : BE_V_ONLY;
    return half;
}

size_t be_layer_bound(const struct be_format *f, uint32_t tokens)
{
    const struct be_piece p = {.tokens = tokens, .layers = 1, .parts = BE_K_AND_V};
    const struct be_shape shape = be_piece_shape(f, &p);
    return be_shape_raw_b(&shape) + BE_META_B;
}

/* K or V at `at`; *head says what it became. */
static int write_half(const struct be_format *f, const struct be_piece *half,
                      const unsigned char *raw, unsigned char *at, size_t room,
                      struct be_head *head, void *scratch)
{
    const struct be_shape shape = be_piece_shape(f, half);
    *head = be_head_of(f, half);
    head->raw_b = be_shape_raw_b(&shape);
    const int rc =
        be_payload_write(&f->codec, &shape, raw, at, room, &head->codec, &head->payload_b, scratch);
    if (rc == 0)
        head->checksum = XXH3_64bits(at, head->payload_b);
    return rc;
}

int be_layer_write(const struct be_format *f, const struct be_piece *p, const void *raw, void *room,
                   size_t room_b, struct be_layer *layer, void *scratch)
{
    const struct be_piece k = half_of(p, true), v = half_of(p, false);
    struct be_head k_head, v_head;
    char meta[BE_META_B + 1];
    unsigned char *at = room;
    if (p->layers != 1 || p->parts != BE_K_AND_V)
        return -EINVAL;
    int rc = write_half(f, &k, raw, at, room_b, &k_head, scratch);
    if (rc != 0)
        return rc;
    const size_t k_b = k_head.payload_b;
    rc = write_half(f, &v, (const unsigned char *)raw + k_head.raw_b, at + k_b, room_b - k_b,
                    &v_head, scratch);
    if (rc != 0)
        return rc;
    const size_t v_b = v_head.payload_b, meta_b = print_meta(meta, &k_head, &v_head);
    if (meta_b == 0)
        return -EINVAL;
    if (room_b - k_b - v_b < meta_b)
        return -ENOSPC;
    memcpy(at + k_b + v_b, meta, meta_b);
    *layer = (struct be_layer){
        .k = at,
        .v = at + k_b,
        .meta = (const char *)at + k_b + v_b,
        .k_b = k_b,
        .v_b = v_b,
        .meta_b = meta_b,
    };
    return 0;
}

static enum kvt_status read_half(const struct be_format *f, const struct be_piece *half,
                                 const struct be_head *head, const void *bytes, size_t n,
                                 void *raw_room, void *scratch, const char **why)
{
    if (!be_head_fits(head, f, half, why))
        return KVT_CORRUPT;
    *why = "length";
    if (head->payload_b != n)
        return KVT_CORRUPT;
    *why = "checksum";
    if (head->checksum != XXH3_64bits(bytes, n))
        return KVT_CORRUPT;
    return be_payload_read(head, bytes, raw_room, scratch, why);
}

enum kvt_status be_layer_read(const struct be_format *f, const struct be_piece *p,
                              const struct be_layer *layer, void *raw_room, void *scratch,
                              const char **why)
{
    const struct be_piece k = half_of(p, true), v = half_of(p, false);
    struct be_head k_head, v_head;
    if (be_meta_read(&k_head, &v_head, layer->meta, layer->meta_b, why) != 0)
        return KVT_CORRUPT;
    const enum kvt_status status =
        read_half(f, &k, &k_head, layer->k, layer->k_b, raw_room, scratch, why);
    if (status != KVT_OK)
        return status;
    return read_half(f, &v, &v_head, layer->v, layer->v_b, (unsigned char *)raw_room + k_head.raw_b,
                     scratch, why);
}
