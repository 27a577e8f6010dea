/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * record_fixture.h - what tests of recordings share: a sink in memory, and framing for bytes of
 * one's own.
 */
#ifndef RECORD_FIXTURE_H
#define RECORD_FIXTURE_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct tape {
    unsigned char *bytes;
    size_t n, room;
    uint64_t writes, fail_at; /* the fail_at-th write and later ones fail; 0: none */
};

static inline int tape_write(void *self, const void *bytes, size_t n)
{
    struct tape *t = self;
    if (++t->writes >= t->fail_at && t->fail_at)
        return -ENOSPC;
    if (t->n + n > t->room) {
        t->room = 2 * (t->n + n);
        t->bytes = realloc(t->bytes, t->room);
        if (!t->bytes)
            abort();
    }
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
    return 0;
}

static inline struct kvt_sink tape_sink(struct tape *t)
{
    return (struct kvt_sink){tape_write, t};
}

static inline void tape_release(struct tape *t)
{
    free(t->bytes);
    *t = (struct tape){0};
}

/* A sound recording around any bytes whatever, cut into chunks of at most chunk_b (> 0). */
static inline void tape_frame(struct tape *t, const void *records, size_t n, size_t chunk_b)
{
    static const unsigned char head[8] = {'K', 'V', 'T', 'R', 'E', 'C', KVT_RECORD_VERSION, 0};
    const unsigned char *at = records;
    tape_write(t, head, sizeof head);
    for (uint64_t chunk = 0;; chunk++) {
        const size_t part = n < chunk_b ? n : chunk_b;
        const uint64_t check = XXH3_64bits_withSeed(at, part, chunk);
        unsigned char frame[12];
        for (int i = 0; i < 4; i++)
            frame[i] = (unsigned char)(part >> (8 * i));
        for (int i = 0; i < 8; i++)
            frame[4 + i] = (unsigned char)(check >> (8 * i));
        tape_write(t, frame, sizeof frame);
        tape_write(t, at, part);
        if (!part)
            break;
        at += part;
        n -= part;
    }
}

#endif
