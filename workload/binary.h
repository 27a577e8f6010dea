/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * binary.h - our own trace format: compact, checked, streamed both ways.
 *
 * All numbers little endian. A file is a header, chunks, and an end mark.
 *
 *      header, 64 bytes                              chunk
 *      0   8  magic "kvtwtrc\n"                      0   4  size_b of the payload, 1 .. 2^27
 *      8   4  version, 1                             4   4  records in it, 1 .. size_b
 *      12  4  block_tokens of the ids, 1 .. 2^20     8   8  XXH3-64 of the payload, seed = its number from 0
 *      16  4  flags: 1 records may have tails        16     payload: see codec.h
 *      20  4  0
 *      24  8  requests                               end mark
 *      32  8  ids and tails, all together            0  16  zeros; nothing follows
 *      40  16 0
 *      56  8  XXH3-64 of bytes 0 .. 55
 *
 * The writer fills requests and ids in at the end, so it writes to a file that can be rewound; until then the
 * header is zeros, and a trace that was cut short is refused whole. The reader verifies everything once when it
 * opens, holds one chunk in memory, and verifies each chunk again when it comes back to it.
 *
 * (B1) at_ns ascends over the whole file. (B2) ids fit prompt and output, a tail is there only where a partial
 * block is. (B3) the counts of the header are exact.
 */
#ifndef WL_BINARY_H
#define WL_BINARY_H

#include <stdio.h>

#include "input.h"

/* The bytes that tell the format. */
bool wl_binary_magic(const unsigned char *bytes, size_t size_b);

/* Makes *feed a reader of in, which is moved in (released also on failure). Verifies all of it. Returns 0 or a
 * negative errno with a line in *error. */
KVT_MUST_CHECK int wl_binary_open(struct wl_feed *feed, struct wl_input *in,
                                  struct wl_error *error);

struct wl_binary_writer;

/* Writes to file, which stays the caller's and must be seekable and empty. Returns NULL for want of memory. */
struct wl_binary_writer *wl_binary_writer_new(FILE *file, uint32_t block_tokens, bool partial);
/* Returns 0 or a negative errno, which then sticks. */
KVT_MUST_CHECK int wl_binary_write(struct wl_binary_writer *writer, const struct wl_record *record);
/* Writes what is left and the header, and frees. Returns 0 or the first error of all. The caller still has to
 * look at fclose. */
KVT_MUST_CHECK int wl_binary_writer_close(struct wl_binary_writer *writer);

#endif
