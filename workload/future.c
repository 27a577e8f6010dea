/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * future.c - see future.h. One pass forward: each block remembers where it stood last, and that place is
 * told when the block appears again.
 */
#include "future.h"

#include "intern.h"
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct wl_future {
    uint64_t *next; /* by look-up */
    size_t n, room;
    size_t at;    /* of the request that is told next */
    size_t *last; /* by block: behind its last look-up so far; 0: none */
    size_t room_last;
};

struct wl_future *wl_future_begin(void)
{
    return calloc(1, sizeof(struct wl_future));
}

int wl_future_note(struct wl_future *f, uint32_t number, uint64_t position)
{
    const size_t had = f->room_last;
    if (wl_grow(&f->last, &f->room_last, number + (size_t)1, sizeof *f->last))
        return -ENOMEM;
    if (f->room_last > had)
        memset(f->last + had, 0, (f->room_last - had) * sizeof *f->last);
    if (wl_grow(&f->next, &f->room, f->n + 1, sizeof *f->next))
        return -ENOMEM;
    if (f->last[number] > 0)
        f->next[f->last[number] - 1] = position;
    f->next[f->n++] = KVT_NEVER;
    f->last[number] = f->n;
    return 0;
}

const uint64_t *wl_future_all(const struct wl_future *future)
{
    return future->next;
}

static int note_key(struct wl_future *f, struct wl_intern *keys, kvt_key key, uint64_t position)
{
    uint32_t number;
    return wl_intern(keys, key, &number, NULL) ? -ENOMEM : wl_future_note(f, number, position);
}

static int read_all(struct wl_future *f, struct wl_intern *keys, struct wl_source *source)
{
    struct kvt_request request;
    int got, rc = 0;
    wl_rewind(source);
    for (uint64_t r = 0; rc == 0 && (got = wl_next(source, &request)) != 0; r++) {
        if (got < 0)
            return got;
        for (uint32_t i = 0; rc == 0 && i < request.n_keys; i++)
            rc = note_key(f, keys, request.keys[i], r << WL_FUTURE_SHIFT | i);
    }
    wl_rewind(source);
    return rc;
}

static void forget_last(struct wl_future *f)
{
    free(f->last);
    f->last = NULL;
    f->room_last = 0;
}

int wl_future_new(struct wl_future **out, struct wl_source *source)
{
    struct wl_intern keys = {0};
    *out = NULL;
    struct wl_future *f = wl_future_begin();
    const int rc = f ? read_all(f, &keys, source) : -ENOMEM;
    wl_intern_release(&keys);
    if (rc) {
        wl_future_free(f);
        return rc;
    }
    forget_last(f); /* nothing more is noted */
    *out = f;
    return 0;
}

void wl_future_free(struct wl_future *future)
{
    if (future) {
        forget_last(future);
        free(future->next);
    }
    free(future);
}

void wl_future_rewind(struct wl_future *future)
{
    future->at = 0;
}

void wl_future_tell(struct wl_future *future, struct kvt_request *request)
{
    assert(future->at + request->n_keys <= future->n);
    request->next_use = future->next + future->at;
    future->at += request->n_keys;
}
