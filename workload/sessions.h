/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * sessions.h - which prompts belong together: by their session, or by the first block that is their own.
 *
 * A sample of prompts must keep chains whole: a prompt that is in the sample while the one it continues is not
 * would find nothing there. So what is sampled is a session, by a hash of its name (spatial sampling: Waldspurger, Park,
 * Garthwaite, Ahmad, "Efficient MRC Construction with SHARDS", FAST 2015). A trace that knows no sessions has
 * them all the same: prompts that share their first block share a chain. But the first block is often a system prompt
 * that all share, and tells nothing. So:
 *
 *      | head: popular blocks      | body: blocks of this conversation or document
 *      | s s s s s s s s s s s s s | c c c c c c c c c c c c c c c c c c c c c c c
 *                                    ^ names the session
 *
 * A block is *popular* when more than a twentieth of the prompts hold it (where sessions are known: of the
 * sessions), and more than two do. That is learnt from a thousand prompts, evenly spread over the trace: at
 * a share of 5 % the standard error is 0.7 points. A session is named by the first block that is not popular; a
 * prompt of popular blocks alone by its last block.
 *
 * A twentieth: below it, a conversation that makes up a few per cent of a small trace would be taken to
 * pieces; far above, prompts that merely share a system prompt would be one session, and the sample be all or
 * nothing.
 */
#ifndef WL_SESSIONS_H
#define WL_SESSIONS_H

#include "intern.h"
#include "record.h"

enum { WL_SESSIONS_LEARN = 1000, WL_SESSIONS_POPULAR_PERCENT = 5 };

/* Zero-initialise; wl_sessions_release frees. */
struct wl_sessions {
    struct wl_intern popular; /* ids, numbered */
    bool tenant_salts;
    uint64_t records;      /* in the source */
    uint64_t with_session; /* of them, those that say which session they are of */
};

/* Reads the whole source, from its beginning, and rewinds it. Returns 0, or a negative errno with a line in
 * *error (borrowed from no one: copied). */
KVT_MUST_CHECK int wl_sessions_learn(struct wl_sessions *sessions, struct wl_source *source,
                                     bool tenant_salts, struct wl_error *error);
void wl_sessions_release(struct wl_sessions *sessions);

struct wl_member {
    kvt_key session;   /* equal: together */
    uint64_t hash;     /* of the session, for sampling */
    uint32_t head_ids; /* leading ids of the record that are popular */
};
struct wl_member wl_session_of(const struct wl_sessions *sessions, const struct wl_record *record);

/* The number of a popular id of this record, or KVT_NONE. */
uint32_t wl_sessions_popular(const struct wl_sessions *sessions, const struct wl_record *record,
                             uint64_t id);

#endif
