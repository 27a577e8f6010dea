/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * workload_help.h - what the tests of workload/ share: sources of text in memory, digests of a pass.
 */
#ifndef WORKLOAD_HELP_H
#define WORKLOAD_HELP_H

#include "workload/workload.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Opens text as a trace called "t". */
static inline int open_text(struct wl_source **source, struct wl_options *options, const char *text,
                            struct wl_error *error)
{
    options->path = "t";
    return wl_open_memory(source, options, text, strlen(text), error);
}

/* Runs from where the source is to its end: digest over every field and key. Returns how many requests. */
static inline uint64_t digest_of(struct wl_source *source, uint64_t *digest)
{
    struct kvt_request r;
    uint64_t n = 0;
    *digest = 0;
    for (; wl_next(source, &r) == 1; n++) {
        const uint64_t head[] = {r.id,      r.arrive_ns,     r.tenant,
                                 r.session, r.prompt_tokens, r.output_tokens,
                                 r.n_keys};
        *digest = XXH3_64bits_withSeed(head, sizeof head, *digest);
        *digest = XXH3_64bits_withSeed(r.keys, r.n_keys * sizeof r.keys[0], *digest);
    }
    return n;
}

#endif
