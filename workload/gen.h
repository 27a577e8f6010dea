/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * gen.h - generators: how a kind of traffic plugs in.
 *
 * A generator holds what is alive (open sessions, the next arrival), never what is past: its memory does not
 * grow with the number of requests. All that is drawn for a session, turn or request comes from streams of its
 * own number (rng.h), so changing the rate moves requests in time and changes nothing else about them.
 *
 * Adding a kind: one file with a feed and a wl_gen_new_*, one line in generate.c's table of kinds, defaults in
 * its table of keys.
 */
#ifndef WL_GEN_H
#define WL_GEN_H

#include "arrivals.h"
#include "record.h"

/* What a generator is made of; copied. */
struct wl_gen_plan {
    struct wl_generate g;
    uint64_t seed;
    uint32_t block_tokens;
};

/* Opens the generator of g's kind as a feed. block_tokens 0: WL_BLOCK_TOKENS. Returns 0, -EINVAL or -ENOMEM
 * with a line in *error. */
KVT_MUST_CHECK int wl_gen_open(struct wl_feed *feed, const struct wl_generate *g, uint64_t seed,
                               uint32_t block_tokens, struct wl_error *error);

/* ---- Kinds. Each fills ops and self, and returns 0, -EINVAL or -ENOMEM with a line. ------------------- */

int wl_gen_talk(struct wl_feed *feed, const struct wl_gen_plan *plan, struct wl_error *error);
int wl_gen_rag(struct wl_feed *feed, const struct wl_gen_plan *plan, struct wl_error *error);
int wl_gen_tree(struct wl_feed *feed, const struct wl_gen_plan *plan, struct wl_error *error);

/* Mixes a flood of unique prompts, of one tenant more, into a feed just opened; closes it on failure. */
int wl_gen_flood(struct wl_feed *feed, const struct wl_gen_plan *plan, struct wl_error *error);

/* A whole-number parameter. */
static inline uint64_t wl_gen_count(const struct wl_gen_plan *plan, enum wl_param param)
{
    return (uint64_t)wl_generate_value(&plan->g, param);
}

#endif
