/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * prompts.h - the prompts of a workload themselves, for matching that looks at tokens.
 *
 * A trace of prompts (workload.h) becomes keys of blocks when it is read, and its text is gone. Where a run
 * asks what keys cannot answer (core/alike.h), the prompts are kept beside, and told with each request.
 *
 *      sink = wl_prompts_sink(prompts);  options.prompts = &sink;  wl_open(...)
 *      wl_next(source, &request);  wl_prompts_tell(prompts, &request)
 *
 * Text is told twice: as tokens (4 bytes each, as the reader cuts them) and as letters, its Unicode code
 * points, which is what Python compares.
 *
 * Memory: 4 bytes per token, 40 per prompt.
 */
#ifndef WL_PROMPTS_H
#define WL_PROMPTS_H

#include "workload.h"

struct wl_prompts;

/* NULL when memory is out; freed with wl_prompts_free (NULL is ignored). */
KVT_MUST_CHECK struct wl_prompts *wl_prompts_new(void);
void wl_prompts_free(struct wl_prompts *prompts);

/* Keeps what a reader shows. prompts is borrowed. */
struct wl_prompt_sink wl_prompts_sink(struct wl_prompts *prompts);

/* To be called when the source was rewound. */
void wl_prompts_rewind(struct wl_prompts *prompts);

/* The request that the source gave next: sets its tokens, its root and, where it came as text, its letters, borrowed until
 * the next call. 0, or -ENOMEM. */
KVT_MUST_CHECK int wl_prompts_tell(struct wl_prompts *prompts, struct kvt_request *request);

#endif
