/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * record.h - a request as a trace or generator has it, before it is cut into the cache's blocks.
 *
 * Between a feed (a loaded file, a binary file, a generator) and source.c only records pass:
 *
 *      text file -> lines.c -> read_*.c -> pack.c --\
 *      binary file -----------> binary.c ------------> struct wl_feed -> source.c -> kvt_request
 *      parameters ------------> gen_*.c ------------/
 *
 * (R1) at_ns never decreases.         (R2) prompt_tokens >= 1, prompt + output < 2^31 (core's bound).
 * (R3) ids[0 .. n_ids) name full blocks from the first on; there are at most as many as prompt and output
 *      fill. tail_id names the partial last block of the prompt, if has_tail.
 * (R4) tenant < WL_TENANTS_MOST.      (R5) n_ids <= WL_IDS_MOST.
 */
#ifndef WL_RECORD_H
#define WL_RECORD_H

#include "workload.h"

enum {
    WL_IDS_MOST = 1 << 22,     /* ids of one request: 2^31 tokens in blocks of 512 */
    WL_TENANTS_MOST = 1 << 20, /* each may have a namespace, 40 bytes */
    WL_TOKENS_MOST = INT32_MAX,
    WL_BLOCK_MOST = 1 << 20
};

struct wl_record {
    kvt_ns at_ns;
    uint32_t prompt_tokens, output_tokens, tenant;
    uint32_t session; /* KVT_NONE when unknown */
    uint32_t n_ids;
    bool has_tail;
    uint64_t tail_id;
    const uint64_t *ids; /* borrowed until the feed's next call */
};

/* Where records come from. next returns 1, 0 at the end, or a negative errno with a line in *error. */
struct wl_feed_ops {
    int (*next)(void *self, struct wl_record *record, struct wl_error *error);
    void (*rewind)(void *self);
    void (*close)(void *self);
};

struct wl_feed {
    const struct wl_feed_ops *ops;
    void *self;
    enum wl_format format;
    uint32_t block_tokens; /* of the ids */
    bool partial;          /* records may have tails */
    bool finite;           /* cheap to run through once more, and worth verifying */
    const kvt_key *keys;   /* ids index this array (prompts); NULL: ids are prefix ids */
    uint64_t requests;     /* generators: to come */
    const char *name;
};

/* The next record of an open source, before it is cut; skip, limit and rate_scale apply, and so do the
 * returns of wl_next. For writers and statistics; mixing it with wl_next is allowed. */
KVT_MUST_CHECK int wl_next_record(struct wl_source *source, struct wl_record *record);

/* Writes "file:line: key: " (line 0: left out, NULL file or key likewise) and the formatted rest into *error, as
 * one line: control characters become '?'. Returns status, so that callers can return wl_fail(...). */
int wl_fail(struct wl_error *error, int status, const char *file, uint64_t line, const char *key,
            const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Grows *memory, an array of n_now elements of size_b, to at least `least` elements (doubling). Returns
 * 0 or -ENOMEM with everything as it was. */
KVT_MUST_CHECK int wl_grow(void *memory, size_t *n_now, size_t least, size_t size_b);

#endif
