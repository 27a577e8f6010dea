/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * mrc_sample.h - hits for every capacity from a sample of the sessions, and how far they may be off.
 *
 * SHARDS (Waldspurger et al., FAST 2015) keeps what a hash chooses and scales distances by the rate. For chains the
 * unit has to be a session (sessions.h), and a trace has few of them, of very unequal length: one per cent
 * of the public conversation trace is 74 sessions. Scaling what so few do gives hit rates that are off by several
 * points. So the sample is asked only for what it alone can tell, and the rest is counted over all prompts,
 * where it costs next to nothing:
 *
 *   distances   A session, seen from outside, is one object as large as its longest prompt. The order of last
 *               use of these objects, of all sessions, says how many blocks lie between two uses: 12 bytes a
 *               session and a walk in a tree per prompt. No distance is scaled.
 *   difference  The objects alone predict hits: a prompt finds what its session's longest prompt covers.
 *               Only what the prediction misses comes from the sample (Cochran, "Sampling Techniques", 1977,
 *               section 12: double sampling; the difference estimator):
 *
 *                   rate(c) = predicted over all + (found - predicted) over the sample
 *
 *   control     An infinite cache misses each distinct block once, and how many there are a sketch of 64 KiB tells
 *               within half a per cent (hyperloglog.h): the curve is scaled to end there.
 *
 * Sums over the sample are divided by the look-ups of the sample, not by rate times all. That takes the place of
 * SHARDS-adj, which books the difference as hits at the smallest distance: of sessions it may be half the
 * sample.
 *
 * Fixed size, after SHARDS with a maximum: the rate follows from how many blocks may be tracked. SHARDS
 * lowers its threshold while it runs, because it passes once. A trace can be passed twice: the first pass learns
 * the sessions and their sizes, the threshold is the largest under which they fit, and stays.
 *
 * The error bar is the standard error over twenty parts of the sample, by hash (delete-one jackknife); that of
 * the sketch; and a third, which no sample shrinks: objects count less than all distinct blocks, because a session's
 * branches and partial ends are more than its longest prompt. How much less is known in the end, and what the curve
 * would be if all distances were longer by that enters like a standard error.
 */
#ifndef WL_MRC_SAMPLE_H
#define WL_MRC_SAMPLE_H

#include <signal.h>

#include "mrc.h"
#include "sessions.h"

enum { WL_MRC_PARTS = 20 };

struct wl_mrc_sampling {
    double rate; /* of the sessions, 0 < rate <= 1; used when most_blocks is 0 */
    uint64_t
        most_blocks; /* of the sample, each session as large as its longest prompt; 0: by rate */
    uint64_t seed;   /* another one, another sample */
    bool tenant_salts;
    const volatile sig_atomic_t *stop; /* (optional) set: return -EINTR */
};

struct wl_mrc_sample;

/* Passes the source (from its beginning; rewound afterwards). Returns 0 and *out (wl_mrc_sample_free frees);
 * -EINTR; -ERANGE when no session is in the sample; or a negative errno; with a line in *error. */
KVT_MUST_CHECK int wl_mrc_sample_new(struct wl_mrc_sample **out, struct wl_source *source,
                                     const struct wl_mrc_sampling *sampling,
                                     struct wl_error *error);
void wl_mrc_sample_free(struct wl_mrc_sample *sample);

/* What was sampled. */
struct wl_mrc_sample_info {
    uint64_t prompts, prompt_tokens, blocks;                  /* of the source */
    uint64_t sampled_prompts, sampled_tokens, sampled_blocks; /* looked up */
    uint64_t sessions, sampled_sessions;
    uint64_t tracked_blocks; /* distinct blocks of the sample */
    uint64_t popular_ids;    /* shared by so many that they name no session */
    double distinct_blocks;  /* of the source: the sketch's */
    double rate;             /* share of sessions, by threshold */
    uint32_t longest_blocks; /* prompt */
    bool by_session;         /* the trace names sessions */
};
void wl_mrc_sample_info(const struct wl_mrc_sample *sample, struct wl_mrc_sample_info *info);

/* Is the record's session in the sample? */
bool wl_mrc_sample_takes(const struct wl_mrc_sample *sample, const struct wl_record *record);

/* Hit rates, 0 .. 1, and their standard errors. */
struct wl_mrc_rate {
    double blocks, tokens;
    double blocks_error, tokens_error;
};
struct wl_mrc_rate wl_mrc_sample_rate(const struct wl_mrc_sample *sample, enum wl_mrc_way way,
                                      uint64_t capacity);

#endif
