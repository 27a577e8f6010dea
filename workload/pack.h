/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * pack.h - a whole trace in memory, as encoded chunks. What text readers fill.
 *
 * A reader may not know the trace's block size before the last line, so a pack keeps all of a record's ids
 * as they came, and splits the partial last one off when it is read back.
 */
#ifndef WL_PACK_H
#define WL_PACK_H

#include "codec.h"
#include "intern.h"

struct wl_pack_chunk {
    unsigned char *bytes;
    size_t size_b;
    uint32_t records;
};

/* Zero-initialise; wl_pack_release frees, also after a failure. */
struct wl_pack {
    struct wl_encoder encoder;
    struct wl_pack_chunk *chunks;
    size_t n, room;
    uint64_t records;
    struct wl_intern keys; /* prompts: ids are indexes of these */
    /* Reading back: set by the reader when it is done. */
    uint32_t block_tokens;
    bool partial; /* the last id of a prompt stands for ceil, not floor */
    /* private: */
    struct wl_decoder decoder;
    size_t next;
};

/* Appends a record (has_tail false, R1 to R5). Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_pack_add(struct wl_pack *pack, const struct wl_record *record);
/* Closes the last chunk. Returns 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_pack_seal(struct wl_pack *pack);
void wl_pack_release(struct wl_pack *pack);

/* self is a struct wl_pack; close releases and frees it. */
extern const struct wl_feed_ops wl_pack_feed;

#endif
