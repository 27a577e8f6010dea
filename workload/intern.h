/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * intern.h - numbers keys in order of appearance: 0, 1, 2, ...
 *
 * An open-addressing table of 32-bit indexes into an array of keys, linear probing, at most half full: 16 + 8
 * to 16 bytes per key. Nothing is ever taken out.
 */
#ifndef WL_INTERN_H
#define WL_INTERN_H

#include "../core/types.h"

/* Zero-initialise; free with wl_intern_release. keys[0 .. n) may be read. */
struct wl_intern {
    kvt_key *keys;
    size_t n, room;
    uint32_t *slots; /* index + 1; 0: empty */
    size_t n_slots;  /* a power of two, or 0 */
};

/* Finds key or appends it: *index is its number, *fresh (may be NULL) whether it is new. Returns 0 or
 * -ENOMEM (also beyond 2^32 - 2 keys) with nothing changed. */
KVT_MUST_CHECK int wl_intern(struct wl_intern *table, kvt_key key, uint32_t *index, bool *fresh);
/* The number of key, or KVT_NONE. */
uint32_t wl_intern_find(const struct wl_intern *table, kvt_key key);
void wl_intern_release(struct wl_intern *table);

#endif
