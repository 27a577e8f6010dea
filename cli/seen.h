/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * seen.h - which blocks a trace has named before, and in which request last.
 *
 * Open addressing with linear probing in two arrays, 16 bytes of key and 4 bytes of number a place:
 *
 *      keys  | k7 |    | k3 | k9 | ...        last[i] == 0: place i is free
 *      last  | 12 |  0 |  4 | 12 | ...        else the number of the last request, plus 1
 *
 * (S1) At most 4 of 5 places are taken. (S2) It grows by a quarter, so that at least 0.64 of the
 * places are taken afterwards: 20 / 0.64 = 31.3 bytes for a distinct block at most, once there
 * are a thousand. While it grows the old arrays stand beside the new ones.
 *
 * A place is found by a mixed key scaled to the number of places, which need not be a power of
 * two. Nothing is ever removed. A trace made to collide slows this down and makes nothing wrong.
 */
#ifndef CLI_SEEN_H
#define CLI_SEEN_H

#include "../core/types.h"

/* All zero is an empty one. */
struct seen {
    size_t n; /* distinct keys */
    /* private: */
    size_t places;
    kvt_key *keys;
    uint32_t *last;
};

/* Notes that request number `now` (below KVT_NONE) names key. Returns 1 and *before, the request
 * that named it last, 0 when none did, or -ENOMEM with nothing noted. */
KVT_MUST_CHECK int seen_use(struct seen *seen, kvt_key key, uint32_t now, uint32_t *before);

void seen_release(struct seen *seen);

#endif
