/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * value.h - stored blocks: names of keys, and values that verify themselves. The bytes are in
 * FORMAT.md.
 *
 *      layout packed      one value per block and piece: kv:<digest>:<shard>:<layer>-<layer>
 *      layout per-layer   kv:<digest>:<layer>:k, :v (coded bytes), :meta (their head, as text)
 *
 * A piece is a range of layers of one shard (the heads of one GPU), small enough for one
 * command; a block is all its pieces. A value's head says everything that it must agree on with
 * the reader: version, digest, model epoch, geometry, which piece, which codec, lengths, and a
 * checksum over head and payload. Reading checks all of it before a byte reaches a page. A value
 * that does not fit is KVT_CORRUPT if it is damaged or not what its key says, and never anything
 * worse.
 */
#ifndef BE_VALUE_H
#define BE_VALUE_H

#include "codec.h"

enum be_layout { BE_PACKED, BE_PER_LAYER };

/* What reader and writer have in common, for a run. */
struct be_format {
    uint64_t epoch;             /* hash of model, weights' epoch and geometry */
    struct k_geometry geometry; /* of one shard; pages is not looked at */
    uint32_t shards;
    uint32_t piece_layers; /* layers per piece; the last piece may have fewer */
    struct be_codec codec;
};

/* Which piece of which block. */
struct be_piece {
    kvt_key key;
    uint32_t tokens;
    uint32_t shard;
    uint32_t layer0, layers;
    uint8_t parts; /* as be_shape.parts */
};

enum { BE_NAME_B = 80, BE_HEAD_B = 96 };

/* How many layers a piece has so that its raw bytes stay within piece_b; at least 1. */
uint32_t be_piece_layers(const struct k_geometry *g, uint32_t tokens, size_t piece_b);
uint32_t be_pieces(const struct be_format *f); /* per block: shards * ceil(layers / piece_layers) */
/* Piece i of a block. */
struct be_piece be_piece_at(const struct be_format *f, kvt_key key, uint32_t tokens, uint32_t i);
struct be_shape be_piece_shape(const struct be_format *f, const struct be_piece *p);

/* Writes the piece's key; returns its length. Per layer: suffix "k", "v" or "meta", else NULL.
 * The document's keys name no shard: those of shard 0 are exactly its own, others end in
 * ".<shard>". */
size_t be_piece_name(const struct be_piece *p, const char *suffix, char name[BE_NAME_B]);

/* Most bytes of a value, and scratch to make or read one. */
size_t be_value_bound(const struct be_format *f, uint32_t tokens);
size_t be_value_scratch_b(const struct be_format *f, uint32_t tokens);

/* Makes the value of a piece from its raw packed bytes. When the codec refuses the data, or does
 * not make it smaller, the value holds it uncoded and says so. 0 and *value_b; -ENOSPC; -ENOMEM;
 * -EINVAL for a piece of no bytes or more than BE_RAW_MOST_B. room of be_value_bound is always
 * enough. Where be_codec_is_copy, raw may be value + BE_HEAD_B itself, and nothing is copied;
 * else they do not overlap. */
KVT_MUST_CHECK int be_value_write(const struct be_format *f, const struct be_piece *p,
                                  const void *raw, void *value, size_t room, size_t *value_b,
                                  void *scratch);

/* Verifies value[value_b] against format and piece. KVT_OK: *payload points to raw bytes: into
 * the value when it is stored uncoded, else into raw_room (be_shape_raw_b of the piece), into
 * which it was decoded. Else, with one word of why in *why (static; "length", "checksum", "key",
 * ...), KVT_CORRUPT; or KVT_BUSY when a library lacked memory, and the value may be good. */
enum kvt_status be_value_read(const struct be_format *f, const struct be_piece *p,
                              const void *value, size_t value_b, void *raw_room, void *scratch,
                              const void **payload, const char **why);

/* ---- Heads ------------------------------------------------------------------------------------------- */

/* What a value says of itself, for inspect: any value, whatever format it has. */
struct be_head {
    uint16_t version;
    struct be_piece piece;
    uint64_t epoch;
    uint32_t heads, head_dim, model_layers, shards;
    enum k_dtype dtype;
    struct be_codec codec;
    uint64_t raw_b, payload_b, checksum;
};
/* 0, or -EBADMSG with why. Checks everything that can be checked without knowing the format; the checksum too. */
KVT_MUST_CHECK int be_head_read(struct be_head *head, const void *value, size_t value_b,
                                const char **why);
/* The format that a value with this head was written in, as far as the head knows: reads it with head->piece. */
struct be_format be_head_format(const struct be_head *head);

/* ---- Layout per-layer -------------------------------------------------------------------------------- */

/* One layer of one shard as three values. All borrowed. */
struct be_layer {
    const void *k, *v; /* coded bytes, without head */
    const char *meta;  /* JSON on one line, not terminated */
    size_t k_b, v_b, meta_b;
};

enum { BE_META_B = 640 }; /* most bytes of a meta value */

size_t be_layer_bound(const struct be_format *f, uint32_t tokens);

/* be_value_write for a piece of one layer: its three values one behind the other in
 * room[room_b], of which be_layer_bound is always enough. K and V are coded, or kept uncoded,
 * each by itself. */
KVT_MUST_CHECK int be_layer_write(const struct be_format *f, const struct be_piece *p,
                                  const void *raw, void *room, size_t room_b,
                                  struct be_layer *layer, void *scratch);

/* be_value_read for them; the raw bytes are always in raw_room. */
enum kvt_status be_layer_read(const struct be_format *f, const struct be_piece *p,
                              const struct be_layer *layer, void *raw_room, void *scratch,
                              const char **why);

/* A meta value alone: heads of K and of V, as be_head_read gives them (checksum: XXH3-64 of the coded bytes). */
KVT_MUST_CHECK int be_meta_read(struct be_head *k, struct be_head *v, const char *text,
                                size_t text_b, const char **why);

#endif
