/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * future.h - when each block of a workload will be looked up again: what Belady's policy is told.
 *
 * All requests are read once ahead. For key i of request r, next_use is that of its next appearance,
 * as position
 *
 *      number of the request << WL_FUTURE_SHIFT | position in its chain
 *
 * so that of one request's blocks the deeper ones count as later, and leave first. 8 bytes per key
 * of the workload.
 *
 * Who has look-ups in another form than a source notes them one by one, with positions of his own.
 */
#ifndef WL_FUTURE_H
#define WL_FUTURE_H

#include "workload.h"

enum { WL_FUTURE_SHIFT = 24 };

struct wl_future;

/* Reads the source from its beginning to its end, and rewinds it. 0 and *out (free with
 * wl_future_free), or a negative errno (wl_source_error(source) may say more). */
KVT_MUST_CHECK int wl_future_new(struct wl_future **out, struct wl_source *source);
void wl_future_free(struct wl_future *future);

/* The same of look-ups that come one by one. An empty one, or NULL when memory is out. */
struct wl_future *wl_future_begin(void);
/* The next look-up names the block with this number, small and dense, at a position that rises. 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_future_note(struct wl_future *future, uint32_t number, uint64_t position);
/* The position of the same block's next look-up, or KVT_NEVER, of every look-up noted so far. Borrowed until the
 * next wl_future_note. */
const uint64_t *wl_future_all(const struct wl_future *future);

/* To be called when the source was rewound. */
void wl_future_rewind(struct wl_future *future);

/* The request that the source gave next: sets request->next_use, borrowed from the future. */
void wl_future_tell(struct wl_future *future, struct kvt_request *request);

#endif
