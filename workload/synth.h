/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * synth.h - makes up prefixes for traces that have lengths only. The rule is in workload.h, struct wl_synth.
 */
#ifndef WL_SYNTH_H
#define WL_SYNTH_H

#include "record.h"

enum { WL_SYNTH_OPEN = 1024 }; /* conversations open at one time */

struct wl_synth_chat {
    kvt_ns last_ns;
    uint32_t text_tokens; /* prompt and output so far */
    uint32_t session;
};

/* Zero-initialise, then wl_synth_init; free with wl_synth_release. */
struct wl_synth_state {
    struct wl_synth rule;
    uint64_t seed, requests;
    uint32_t block_tokens;
    struct wl_synth_chat open[WL_SYNTH_OPEN];
    uint32_t n_open, sessions;
    uint64_t *ids;
    size_t room;
};

void wl_synth_init(struct wl_synth_state *state, const struct wl_synth *rule, uint64_t seed,
                   uint32_t block_tokens);
void wl_synth_release(struct wl_synth_state *state);

/* Fills session and ids of a record that has all else, in order of time: full blocks of prompt and output.
 * Returns 0, -ENOMEM, or -EINVAL when there would be more blocks than WL_IDS_MOST. */
KVT_MUST_CHECK int wl_synth_fill(struct wl_synth_state *state, struct wl_record *record);

#endif
