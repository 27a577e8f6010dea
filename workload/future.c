/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * future.c - see future.h. One pass forward: each key remembers where it stood last, and that place is
 * told when the key appears again.
 */
#include "future.h"

#include "intern.h"
#include "record.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct wl_future {
    uint64_t *next; /* by key, in order of appearance */
    size_t n, room;
    size_t at; /* of the request that is told next */
};

/* Where each distinct key stood last. */
struct last {
    struct wl_intern keys;
    size_t *at;
    size_t room;
};

static int add_key(struct wl_future *f, struct last *last, kvt_key key, uint64_t position)
{
    uint32_t number;
    bool fresh;
    if (wl_intern(&last->keys, key, &number, &fresh) ||
        wl_grow(&last->at, &last->room, last->keys.n, sizeof *last->at) ||
        wl_grow(&f->next, &f->room, f->n + 1, sizeof *f->next))
        return -ENOMEM;
    if (!fresh)
        f->next[last->at[number]] = position;
    last->at[number] = f->n;
    f->next[f->n++] = KVT_NEVER;
    return 0;
}

static int read_all(struct wl_future *f, struct last *last, struct wl_source *source)
{
    struct kvt_request request;
    int got, rc = 0;
    wl_rewind(source);
    for (uint64_t r = 0; rc == 0 && (got = wl_next(source, &request)) != 0; r++) {
        if (got < 0)
            return got;
        for (uint32_t i = 0; rc == 0 && i < request.n_keys; i++)
            rc = add_key(f, last, request.keys[i], r << WL_FUTURE_SHIFT | i);
    }
    wl_rewind(source);
    return rc;
}

int wl_future_new(struct wl_future **out, struct wl_source *source)
{
    struct last last = {0};
    *out = NULL;
    struct wl_future *f = calloc(1, sizeof *f);
    const int rc = f ? read_all(f, &last, source) : -ENOMEM;
    wl_intern_release(&last.keys);
    free(last.at);
    if (rc)
        wl_future_free(f);
    else
        *out = f;
    return rc;
}

void wl_future_free(struct wl_future *future)
{
    if (future)
        free(future->next);
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
