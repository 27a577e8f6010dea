/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * rollout.h - a new epoch of the model goes into service while traffic runs: nothing that was cached before
 * matches a request that is served by it.
 *
 *      share
 *      100% |                      +-----------        each step moves `share` more of the sessions,
 *           |               +------+                   `every` apart; a session that has moved stays moved.
 *           |        +------+                          share 100 %: all at once
 *        0% |--------+
 *              |<--->|
 *          at-lead   at             time
 *           warm-up
 *
 * A roll-out stands between a source of requests and whoever is fed by it. Keys of requests that have moved are
 * renamed into the new epoch (kvt_key_in_epoch); all else about them stays. Who has moved follows from the hash of
 * session or tenant alone, so it is the same in every run; a request without a session decides for itself.
 *
 * A warm-up adds background requests (kvt_request.background) of the new epoch before the first step:
 *
 *      hot       the `blocks` prefixes used most since the start, spread evenly over the lead
 *      recent    the `blocks` prefixes used last, likewise
 *      shadow    each request that comes within the lead comes once more, without output
 *
 * A key names a whole prefix, and who uses a prefix uses all shorter ones, so the most (or last) used keys always
 * make whole chains; each chain's end is one prompt. All is decided from requests that came before at - lead, as an
 * operator would have to: nothing looks ahead.
 */
#ifndef WL_ROLLOUT_H
#define WL_ROLLOUT_H

#include "../core/key.h"
#include "../core/port.h"

enum wl_rollout_by { WL_BY_SESSION, WL_BY_TENANT };
enum wl_warm_up { WL_WARM_NONE, WL_WARM_HOT, WL_WARM_RECENT, WL_WARM_SHADOW };

struct wl_rollout_config {
    kvt_ns at_ns;    /* first step; KVT_NEVER: there is no roll-out */
    kvt_ns every_ns; /* from step to step; KVT_NEVER: there is one */
    double share;    /* of each step, above 0 */
    enum wl_rollout_by by;
    enum wl_warm_up warm_up;
    uint64_t blocks; /* hot, recent; UINT64_MAX: all */
    kvt_ns lead_ns;  /* at most at_ns */
    bool drop;       /* what was cached for the old epoch is, when everybody has moved */
    uint32_t block_tokens;
    struct kvt_namespace epoch; /* the new one */
};

/* How much of it happens in a pass over the requests; cold: no warm-up. */
enum wl_rollout_part { WL_ROLLOUT_ALL, WL_ROLLOUT_COLD, WL_ROLLOUT_NOTHING };

/* Background requests are numbered from here on. */
#define WL_BACKGROUND_ID ((uint64_t)1 << 63)

/* Share of sessions that have moved, 0 .. 1. */
double wl_rollout_share(const struct wl_rollout_config *config, kvt_ns at);
/* When the last step is: everybody has moved, or nobody will any more. */
kvt_ns wl_rollout_end_ns(const struct wl_rollout_config *config);
/* Is a request that arrives then served by the new epoch? */
bool wl_rollout_moved(const struct wl_rollout_config *config, kvt_ns arrive_ns, uint32_t tenant,
                      uint32_t session, uint64_t id);

struct wl_rollout;

/* Requests from wherever they come: 1, 0 at the end, or a negative errno with one line in error. */
struct wl_rollout_feed {
    int (*next)(void *self, struct kvt_request *request, char *error, size_t error_size);
    void *self;
};

/* config is copied. NULL: out of memory. */
struct wl_rollout *wl_rollout_new(const struct wl_rollout_config *config);
void wl_rollout_free(struct wl_rollout *rollout);

/* From the beginning, of a feed that is at its own. */
void wl_rollout_begin(struct wl_rollout *rollout, const struct wl_rollout_feed *feed,
                      enum wl_rollout_part part);

/* As a feed's next: self is a struct wl_rollout *. Arrivals do not decrease where the feed's do not; the
 * request is valid until the next call. Beside the feed's errors -ENOMEM. */
int wl_rollout_next(void *self, struct kvt_request *request, char *error, size_t error_size);

/* Keys of the old epoch, once: when the request given out last is the first one behind the last step of a
 * roll-out that drops, and moves everybody. Else NULL. Valid until wl_rollout_begin. self as above. */
const kvt_key *wl_rollout_gone(void *self, size_t *n);

#endif
