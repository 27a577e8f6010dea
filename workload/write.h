/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * write.h - traces to files: our binary format, or Mooncake's JSON lines.
 *
 * Binary keeps everything. JSON lines are what other tools read, and lose what they have no place for: times
 * below a millisecond, and the ids of output blocks (a replay then computes what a decoded block would have held).
 *
 * A file appears under its name when it is complete; until then it is NAME.part, which an error takes away.
 */
#ifndef WL_WRITE_H
#define WL_WRITE_H

#include "workload.h"

/* WL_BINARY for .kvtrace, WL_MOONCAKE for .jsonl, WL_FORMATS for anything else. */
enum wl_format wl_write_format(const char *path);

/* Writes all requests of the source, from its start, to path, in the format of its extension. *requests says
 * how many. Returns 0, or a negative errno with a line in *error: -EINVAL for what the format cannot say or an
 * extension that is none. */
KVT_MUST_CHECK int wl_write(struct wl_source *source, const char *path, uint64_t *requests,
                            struct wl_error *error);

#endif
