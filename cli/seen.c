/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * seen.c - see seen.h.
 */
#include "seen.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "../core/mix.h"

enum { PLACES_LEAST = 1024 };

/* The place of key, or the free one where it belongs. */
static size_t find(const struct seen *seen, kvt_key key)
{
    const uint64_t hash = kvt_mix64(key.lo ^ kvt_mix64(key.hi));
    size_t at = (size_t)((hash >> 32) * seen->places >> 32);
    while (seen->last[at] != 0 && !kvt_key_equal(seen->keys[at], key))
        at = at + 1 == seen->places ? 0 : at + 1;
    return at;
}

static int grow(struct seen *seen)
{
    struct seen more = {.n = seen->n, .places = seen->places + seen->places / 4};
    if (more.places < PLACES_LEAST)
        more.places = PLACES_LEAST;
    if (more.places > UINT32_MAX) /* find() scales 32 bits */
        return -ENOMEM;
    more.keys = calloc(more.places, sizeof more.keys[0]);
    more.last = calloc(more.places, sizeof more.last[0]);
    if (!more.keys || !more.last) {
        seen_release(&more);
        return -ENOMEM;
    }
    for (size_t i = 0; i < seen->places; i++) {
        if (seen->last[i] == 0)
            continue;
        const size_t at = find(&more, seen->keys[i]);
        more.keys[at] = seen->keys[i];
        more.last[at] = seen->last[i];
    }
    free(seen->keys);
    free(seen->last);
    seen->places = more.places;
    seen->keys = more.keys;
    seen->last = more.last;
    return 0;
}

int seen_use(struct seen *seen, kvt_key key, uint32_t now, uint32_t *before)
{
    assert(now < KVT_NONE);
    if (seen->n >= seen->places / 5 * 4) { /* (S1), whether key is new or not */
        const int rc = grow(seen);
        if (rc != 0)
            return rc;
    }
    const size_t at = find(seen, key);
    const bool known = seen->last[at] != 0;
    if (known) {
        *before = seen->last[at] - 1;
    } else {
        seen->keys[at] = key;
        seen->n++;
    }
    seen->last[at] = now + 1;
    return known;
}

void seen_release(struct seen *seen)
{
    free(seen->keys);
    free(seen->last);
    *seen = (struct seen){0};
}
