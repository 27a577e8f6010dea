/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * coarse.c - see coarse.h.
 */
#include "coarse.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int wl_coarse_init(struct wl_coarse *coarse, uint64_t n)
{
    *coarse = (struct wl_coarse){.n = n};
    coarse->tree = calloc(n + 1, sizeof coarse->tree[0]);
    return coarse->tree != NULL ? 0 : -ENOMEM;
}

void wl_coarse_release(struct wl_coarse *coarse)
{
    free(coarse->tree);
    *coarse = (struct wl_coarse){0};
}

uint64_t wl_coarse_after(const struct wl_coarse *coarse, uint64_t prompt)
{
    uint64_t upto = 0;
    for (uint64_t at = prompt + 1; at > 0; at &= at - 1)
        upto += coarse->tree[at];
    return coarse->total - upto;
}

/* `by` wraps. */
static void add(struct wl_coarse *coarse, uint64_t prompt, uint64_t by)
{
    coarse->total += by;
    for (uint64_t at = prompt + 1; at <= coarse->n; at += at & -at)
        coarse->tree[at] += by;
}

void wl_coarse_use(struct wl_coarse *coarse, struct wl_object *object, uint64_t prompt,
                   uint32_t size)
{
    assert(prompt < coarse->n);
    if (object->last != KVT_NONE)
        add(coarse, object->last, -(uint64_t)object->size);
    *object = (struct wl_object){(uint32_t)prompt, size};
    add(coarse, prompt, size);
}
