/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec.h - records as bytes: 2 to 4 bytes per run of ids instead of 8 per id.
 *
 * Prompts repeat prefixes and append fresh blocks, so ids come in runs of consecutive numbers. A record is a
 * sequence of varints (7 bits a byte, low bits first, the top bit says that more follow; at most 10 bytes):
 *
 *      at - at of the record before, in ns (the first of a file: from 0)
 *      prompt_tokens, output_tokens, tenant, session + 1 (0: unknown)
 *      2 * n_ids + has_tail
 *      runs until n_ids are named:  zigzag(first - expected), length - 1
 *      zigzag(tail_id - expected)   if has_tail
 *
 * `expected` is 0 for the first run and afterwards the last id + 1; differences are modulo 2^64, zigzag
 * maps 0, -1, 1, -2 ... to 0, 1, 2, 3 ... . No run passes 2^64 - 1.
 *
 * The same bytes are the chunks of a binary trace (binary.h) and the memory of a loaded one (pack.h), so
 * rewinding costs nothing and one decoder is to be trusted with hostile bytes.
 */
#ifndef WL_CODEC_H
#define WL_CODEC_H

#include "record.h"

/* A chunk being filled. Zero-initialise; free with wl_encoder_release. */
struct wl_encoder {
    unsigned char *bytes;
    size_t size_b, room_b;
    uint32_t records;
    kvt_ns last_ns; /* arrival of the record before: survives wl_encoder_empty */
};

/* Appends one record, which must hold (R1) to (R5). Returns 0 or -ENOMEM (nothing appended). */
KVT_MUST_CHECK int wl_encode(struct wl_encoder *encoder, const struct wl_record *record);
void wl_encoder_empty(struct wl_encoder *encoder);
void wl_encoder_release(struct wl_encoder *encoder);

/* Reads chunks. Zero-initialise; free with wl_decoder_release. Owns the array that records borrow. */
struct wl_decoder {
    const unsigned char *at, *end; /* what is left of the chunk; borrowed */
    uint32_t records;              /* left in the chunk */
    kvt_ns last_ns;
    uint64_t *ids;
    size_t room;
};

/* Points at the next chunk. last_ns goes on: set it to 0 to start a trace over. */
void wl_decoder_chunk(struct wl_decoder *decoder, const unsigned char *bytes, size_t size_b,
                      uint32_t records);

/* The next record of the chunk: 1, 0 when there is none left, -EINVAL with a static sentence in *why when the
 * bytes are not a chunk (cut, a limit of record.h passed, bytes left over), or -ENOMEM. Reads nothing beyond
 * the chunk, whatever it holds. */
KVT_MUST_CHECK int wl_decode(struct wl_decoder *decoder, struct wl_record *record,
                             const char **why);
void wl_decoder_release(struct wl_decoder *decoder);

#endif
