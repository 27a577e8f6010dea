/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * value_head.c - pieces, their keys, and what a value says of itself: made, judged, compared.
 *
 * Judging comes in two steps. A head is sane when some writer could have written it: its numbers
 * are in range, its lengths are those that shape and codec lead to, and no product of them
 * overflows. A sane head fits when it is the one that this format writes for this piece. Only
 * what is sane is used in arithmetic, only what fits is decoded, so a reader needs no more room
 * than its own format says, whatever it receives.
 */
#include "value_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../core/key.h"

/* ---- Pieces ----------------------------------------------------------------------------------------- */

static uint32_t pieces_per_shard(const struct be_format *f)
{
    assert(f->piece_layers > 0);
    return f->geometry.layers / f->piece_layers + (f->geometry.layers % f->piece_layers != 0);
}

uint32_t be_piece_layers(const struct k_geometry *g, uint32_t tokens, size_t piece_b)
{
    const size_t layer_b = k_packed_b(g, 1, tokens);
    const size_t layers = layer_b ? piece_b / layer_b : g->layers;
    return layers < 1 ? 1 : layers > g->layers ? g->layers : (uint32_t)layers;
}

uint32_t be_pieces(const struct be_format *f)
{
    return f->shards * pieces_per_shard(f);
}

struct be_piece be_piece_at(const struct be_format *f, kvt_key key, uint32_t tokens, uint32_t i)
{
    const uint32_t n = pieces_per_shard(f), layer0 = i % n * f->piece_layers;
    const uint32_t left = f->geometry.layers - layer0;
    assert(i < be_pieces(f));
    return (struct be_piece){
        .key = key,
        .tokens = tokens,
        .shard = i / n,
        .layer0 = layer0,
        .layers = left < f->piece_layers ? left : f->piece_layers,
        .parts = BE_K_AND_V,
    };
}

static struct be_shape shape_of(const struct be_piece *p, uint64_t channels, enum k_dtype dtype)
{
    struct be_shape shape = {
        .layers = p->layers,
        .tokens = p->tokens,
        .channels = channels > UINT32_MAX ? 0 : (uint32_t)channels,
        .dtype = dtype,
    };
    shape.parts = p->parts == BE_K_ONLY   ? BE_K_ONLY
                  : p->parts == BE_V_ONLY ? BE_V_ONLY
                                          : BE_K_AND_V;
    return shape;
}

struct be_shape be_piece_shape(const struct be_format *f, const struct be_piece *p)
{
    return shape_of(p, (uint64_t)f->geometry.heads * f->geometry.head_dim, f->geometry.dtype);
}

struct be_shape be_head_shape(const struct be_head *head)
{
    return shape_of(&head->piece, (uint64_t)head->heads * head->head_dim, head->dtype);
}

size_t be_piece_name(const struct be_piece *p, const char *suffix, char name[BE_NAME_B])
{
    char hex[33];
    int len;
    kvt_key_hex(p->key, hex);
    if (!suffix)
        len = snprintf(name, BE_NAME_B, "kv:%s:%u:%u-%u", hex, p->shard, p->layer0,
                       p->layer0 + p->layers - 1);
    else if (p->shard == 0)
        len = snprintf(name, BE_NAME_B, "kv:%s:%u:%s", hex, p->layer0, suffix);
    else
        len = snprintf(name, BE_NAME_B, "kv:%s:%u:%s.%u", hex, p->layer0, suffix, p->shard);
    assert(len > 0 && len < BE_NAME_B);
    return (size_t)len;
}

/* ---- Heads ------------------------------------------------------------------------------------------ */

struct be_head be_head_of(const struct be_format *f, const struct be_piece *p)
{
    return (struct be_head){
        .version = BE_VALUE_VERSION,
        .piece = *p,
        .epoch = f->epoch,
        .heads = f->geometry.heads,
        .head_dim = f->geometry.head_dim,
        .model_layers = f->geometry.layers,
        .shards = f->shards,
        .dtype = f->geometry.dtype,
    };
}

struct be_format be_head_format(const struct be_head *head)
{
    return (struct be_format){
        .epoch = head->epoch,
        .geometry = {.layers = head->model_layers,
                     .heads = head->heads,
                     .head_dim = head->head_dim,
                     .dtype = head->dtype},
        .shards = head->shards,
        .piece_layers = head->piece.layers,
        .codec = head->codec,
    };
}

static bool codec_is_none(const struct be_codec *codec)
{
    return be_codec_equal(codec, &(struct be_codec){BE_NARROW_NONE, false, BE_PACK_NONE, 0});
}

static bool wrong(const char **why, const char *what)
{
    *why = what;
    return false;
}

bool be_head_sane(const struct be_head *head, const char **why)
{
    const struct be_piece *p = &head->piece;
    if (head->version != BE_VALUE_VERSION)
        return wrong(why, "version");
    if ((unsigned)head->dtype >= K_DTYPES || p->parts > BE_V_ONLY)
        return wrong(why, "type");
    if (!be_codec_valid(&head->codec))
        return wrong(why, "codec");
    if (p->shard >= head->shards)
        return wrong(why, "shard");
    if (p->layers > head->model_layers || p->layer0 > head->model_layers - p->layers)
        return wrong(why, "layers");
    const struct be_shape shape = be_head_shape(head);
    const size_t raw_b = be_shape_raw_b(&shape);
    if (raw_b == 0)
        return wrong(why, "shape");
    if (head->raw_b != raw_b)
        return wrong(why, "length");
    const bool none = codec_is_none(&head->codec);
    if (none ? head->payload_b != raw_b : head->payload_b >= raw_b || head->payload_b == 0)
        return wrong(why, "length");
    return true;
}

bool be_head_fits(const struct be_head *head, const struct be_format *f, const struct be_piece *p,
                  const char **why)
{
    const struct be_piece *q = &head->piece;
    if (!kvt_key_equal(q->key, p->key))
        return wrong(why, "key");
    if (head->epoch != f->epoch)
        return wrong(why, "epoch");
    if (q->tokens != p->tokens)
        return wrong(why, "tokens");
    if (q->shard != p->shard || head->shards != f->shards)
        return wrong(why, "shard");
    if (q->layer0 != p->layer0 || q->layers != p->layers || q->parts != p->parts)
        return wrong(why, "layers");
    if (head->heads != f->geometry.heads || head->head_dim != f->geometry.head_dim ||
        head->model_layers != f->geometry.layers || head->dtype != f->geometry.dtype)
        return wrong(why, "geometry");
    if (!be_codec_equal(&head->codec, &f->codec) && !codec_is_none(&head->codec))
        return wrong(why, "codec");
    return true;
}

/* ---- Payloads --------------------------------------------------------------------------------------- */

int be_payload_write(const struct be_codec *codec, const struct be_shape *shape, const void *raw,
                     void *out, size_t room, struct be_codec *used, uint64_t *payload_b,
                     void *scratch)
{
    const size_t raw_b = be_shape_raw_b(shape);
    if (raw_b == 0)
        return -EINVAL;
    if (!be_codec_is_copy(codec, shape->dtype)) {
        /* What does not become smaller finds no room. */
        size_t coded_b = 0;
        const int rc = be_codec_encode(codec, shape, raw, out, room < raw_b ? room : raw_b - 1,
                                       &coded_b, scratch);
        if (rc == 0) {
            *used = *codec;
            *payload_b = coded_b;
            return 0;
        }
        if (rc != -ENOSPC && rc != -EINVAL)
            return rc;
    }
    if (room < raw_b)
        return -ENOSPC;
    if (out != raw)
        memcpy(out, raw, raw_b);
    *used = (struct be_codec){BE_NARROW_NONE, false, BE_PACK_NONE, 0};
    *payload_b = raw_b;
    return 0;
}

enum kvt_status be_payload_read(const struct be_head *head, const void *payload, void *raw_room,
                                void *scratch, const char **why)
{
    const struct be_shape shape = be_head_shape(head);
    const int rc =
        be_codec_decode(&head->codec, &shape, payload, head->payload_b, raw_room, scratch);
    if (rc == -ENOMEM) {
        *why = "memory";
        return KVT_BUSY;
    }
    *why = rc != 0 ? "payload" : "";
    return rc != 0 ? KVT_CORRUPT : KVT_OK;
}
