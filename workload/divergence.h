/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * divergence.h - where prompts part from what was there before, why, and what that costs.
 *
 * A prefix cache finds a prompt up to the first token in which it differs from every earlier one. Often
 * nearly all behind it is the same again: a clock in the system prompt, a request id in the first
 * line. This report says at which token prompts part, what stands there, and how many tokens behind
 * it were there before and are lost all the same.
 *
 *      earlier   You are a helpful assistant. It is 10:31:07. Answer ...
 *      now       You are a helpful assistant. It is 10:31:52. Answer ...
 *                <------- common prefix -------------><-- 2 --> <-- alike: lost
 *
 *   best earlier  the prompt with the longest common token prefix; of equals the latest. One that shares
 *                 nothing is compared with the prompt just before it.
 *   continued     the shorter of both is a prefix of the longer: nothing differs
 *   fresh         nothing in common, neither a prefix nor what stands behind
 *   position      of the first different token, from 0
 *   behind        tokens of the prompt from there on
 *   lost          of those, the ones that SequenceMatcher (core/ratio.h) matches with what stands behind in the
 *                 earlier prompt, if it matches at least half of the shorter rest; else 0. At most
 *                 WL_DIVERGENCE_WINDOW elements of each rest are looked at. Text is compared byte by byte,
 *                 4 bytes to a token: tokens of this project are cut every 4 bytes, so one letter more
 *                 would shift all behind it, which a real tokenizer mends after a word.
 *
 * No cache of prefixes can use what is lost; changing the prompt can. A trace that names blocks only
 * tells the block in which prompts part, and neither why nor what is lost.
 *
 * Memory: all prompts are kept, tokens twice (8 bytes each), and the text.
 */
#ifndef WL_DIVERGENCE_H
#define WL_DIVERGENCE_H

#include "workload.h"

enum { WL_DIVERGENCE_WINDOW = 1 << 16, WL_EXCERPT_B = 96 };

/* What stands where prompts part, in both of them. */
enum wl_cause {
    WL_CAUSE_TIMESTAMP,  /* a date, a clock, seconds or milliseconds since 1970 */
    WL_CAUSE_ID,         /* a UUID, hex digits, letters mixed with digits, six digits or more */
    WL_CAUSE_NUMBER,     /* fewer digits */
    WL_CAUSE_WHITESPACE, /* the same but for white space */
    WL_CAUSE_TEXT,       /* anything else */
    WL_CAUSE_UNKNOWN,    /* tokens or blocks, which do not tell */
    WL_CAUSES
};
const char *wl_cause_name(enum wl_cause cause);

/* The cause at byte `at`, the first in which a and b differ. It is inside both. */
enum wl_cause wl_cause_of(const char *a, size_t a_b, const char *b, size_t b_b, size_t at);

/* All requests that part for one cause at one position. */
struct wl_divergence_row {
    enum wl_cause cause;
    uint64_t position; /* in tokens, or in blocks */
    uint64_t requests, tokens_behind, tokens_lost;
    /* The pair that lost most: what both have before, then each one's own. Text only; else "". */
    uint64_t example[2]; /* requests: the earlier one, this one */
    char before[WL_EXCERPT_B], earlier[WL_EXCERPT_B], now[WL_EXCERPT_B];
    uint64_t example_lost; /* private */
};

struct wl_divergence {
    bool blocks, text; /* positions are blocks; causes are told */
    uint64_t requests, prompt_tokens;
    uint64_t continued, fresh; /* the rest are in rows */
    uint64_t common_tokens;    /* of all common prefixes */
    struct wl_divergence_row
        *rows; /* after wl_divergence_rank: most lost first, then most behind */
    size_t n_rows;
    struct wl_diverging *self; /* private */
};

/* 0 or -ENOMEM with nothing to release. */
KVT_MUST_CHECK int wl_divergence_init(struct wl_divergence *d);
void wl_divergence_release(struct wl_divergence *d); /* a zeroed one is fine */

/* The next prompt of a trace. 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_divergence_add(struct wl_divergence *d, const struct wl_prompt *prompt);
/* The next request of a trace of blocks, of which the first `found` blocks were named before and `named` are named
 * by its prompt. 0 or -ENOMEM. */
KVT_MUST_CHECK int wl_divergence_add_blocks(struct wl_divergence *d, uint64_t found, uint64_t named,
                                            uint64_t prompt_tokens, uint32_t block_tokens);
/* Puts rows in their order. */
void wl_divergence_rank(struct wl_divergence *d);

#endif
