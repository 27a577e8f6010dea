/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * path.h - prompts that are paths through shared pieces of text, then text of their own: rag and zipf-tree.
 *
 *      | piece a | piece b | piece c | own text | answer |
 *
 * Ids. A block belongs to the piece that holds its last token, and is named by all pieces up to there: (number of
 * the path so far) << 16 | its position. Paths are numbered without gaps in one another's way (base n for n - 1
 * pieces, digits from 1), so equal ids mean equal pieces before. Blocks with own text are named by the request.
 * Positions stay below 2^15; bit 15 marks the partial block at the prompt's end.
 */
#ifndef WL_PATH_H
#define WL_PATH_H

#include "gen.h"
#include "rng.h"

enum { WL_PIECES_MOST = 40 };

struct wl_path {
    uint32_t n;
    uint64_t number[WL_PIECES_MOST]; /* of the path up to and with this piece; below 2^37 */
    uint32_t end[WL_PIECES_MOST];    /* tokens up to and with it */
};

/* A generator of independent requests by arrival process. draw fills the path of one request. */
struct wl_walk {
    struct wl_gen_plan plan;
    void (*draw)(struct wl_walk *walk, const gsl_rng *rng, struct wl_path *path);
    void *
        self; /* the kind's own; freed by `free_self` with the walk, and on failure of wl_walk_open */
    void (*free_self)(void *self);
    /* private: */
    struct wl_clock clock;
    uint64_t given;
    uint64_t *ids;
    size_t room;
};

/* Appends a piece: `digit` numbers it among `base` - 1 siblings, from 0. What is longer than the context leaves
 * room for is cut short; nothing is appended behind a cut. */
void wl_path_add(const struct wl_walk *walk, struct wl_path *path, uint64_t base, uint64_t digit,
                 uint32_t tokens);

/* Copies *walk to the heap as feed. Returns 0, -EINVAL or -ENOMEM with a line. */
KVT_MUST_CHECK int wl_walk_open(struct wl_feed *feed, const struct wl_walk *walk,
                                struct wl_error *error);

#endif
