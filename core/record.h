/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * record.h - writes down every input of a core with its time, so that the run can be replayed
 * (replay.h).
 *
 * A recorder is a tap (tap.h). It works in front of any world and knows none. What it writes is a
 * stream of records, cut into chunks that can be checked one by one:
 *
 *      recording   "KVTREC" version:2   chunk ...   chunk with n == 0
 *      chunk       n:4   check:8   n bytes of records         n <= 65536
 *      record      kind:1   time since the record before   fields
 *
 *      kind        fields
 *      1 request   id - id before, now - arrive, tenant, session + 1, prompt_tokens,
 *                  output_tokens, n_keys, then per key hi:8 lo:8
 *      2 done      op, status, blocks_ok, iterations, bytes, mask of spans that are not 0,
 *                  those spans
 *      3 timer     timer
 *      4 up        tier, engine + 1
 *      5 down      tier, engine + 1
 *      6 refused   op, -error; within the input before it
 *      7 wording   n, then n tokens of the prompt; m + 1, then m letters, or 0 for none; of the request
 *                  that comes next, at the same time. Only where requests bring them
 *      8 gpu lost  engine + 1, gpu
 *      9 root      hi:8 lo:8; of the wording that is the next record, at the same time. Only where requests
 *                  say what stands before their first block, and bring tokens
 *     10 lost      tier, engine + 1, part, parts
 *     11 background  as 1, of a request in the background
 *     12 discard   n, then n keys as in 1
 *     13 region    region; of the request whose records come next, at the same time. Only where it is not 0
 *     14 resize
 *     15 future    n, then per key next_use + 1, less that of the key before; of the request that comes next, at
 *                  the same time. Only where requests bring it: for policies that are told the future
 *
 * Numbers with a width are little endian; all others are LEB128 (seven bits a byte, low ones first,
 * the top bit says that more follow), at most ten bytes. Differences and "+ 1" are modulo 2^64 and
 * 2^32, so that every value survives, KVT_NONE as one byte. check is XXH3-64 of the n bytes, seeded
 * with the chunk's number: a flipped bit, a lost chunk, and two in the wrong order all show. A
 * record may cross from one chunk into the next.
 *
 * Not in the recording: core's configuration (the caller keeps it). Requests that core could not keep for want of
 * memory look like others.
 */
#ifndef KVT_RECORD_H
#define KVT_RECORD_H

#include "alloc.h"
#include "tap.h"

enum { KVT_RECORD_VERSION = 1, KVT_RECORD_CHUNK_B = 65536 };

enum kvt_record_kind {
    KVT_RECORD_REQUEST = 1,
    KVT_RECORD_DONE,
    KVT_RECORD_TIMER,
    KVT_RECORD_UP,
    KVT_RECORD_DOWN,
    KVT_RECORD_REFUSED,
    KVT_RECORD_WORDING,
    KVT_RECORD_GPU_LOST,
    KVT_RECORD_ROOT,
    KVT_RECORD_LOST,
    KVT_RECORD_BACKGROUND,
    KVT_RECORD_DISCARD,
    KVT_RECORD_REGION,
    KVT_RECORD_RESIZE,
    KVT_RECORD_FUTURE
};

/* Where the bytes go. write takes all n or returns a negative errno. Called from inside core. */
struct kvt_sink {
    int (*write)(void *self, const void *bytes, size_t n);
    void *self;
};

struct kvt_record {
    /* private: */
    struct kvt_tap tap;
    const struct kvt_alloc *alloc;
    struct kvt_sink sink;
    unsigned char *chunk; /* with room for its head in front */
    uint32_t used;        /* bytes of records in it */
    uint64_t n_chunks;
    kvt_ns now;
    uint64_t id;
    int error;
};

/* Begins a recording: writes its head. sink is copied, alloc borrowed. The struct must not move
 * afterwards. 0, -ENOMEM, or what the sink returned. */
KVT_MUST_CHECK int kvt_record_init(struct kvt_record *record, const struct kvt_alloc *alloc,
                                   const struct kvt_sink *sink);

/* To be set with kvt_core_tap before the first input. Borrowed until release. */
const struct kvt_tap *kvt_record_tap(const struct kvt_record *record);

/* Ends the recording: without it, it counts as cut. Returns 0, or the first error of the sink,
 * after which nothing more was written. The tap must not be called afterwards. */
KVT_MUST_CHECK int kvt_record_finish(struct kvt_record *record);

void kvt_record_release(struct kvt_record *record);

#endif
