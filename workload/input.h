/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * input.h - bytes of a trace: a regular file or memory, as blocks or as lines.
 *
 * Only regular files: a trace is read from its start more than once, and a device may never end.
 */
#ifndef WL_INPUT_H
#define WL_INPUT_H

#include "record.h"

enum { WL_LINE_MOST_B = 64 << 20 };

/* Zero-initialise; free with wl_input_release. */
struct wl_input {
    const char *name; /* for messages; borrowed */
    int fd;
    const unsigned char *memory; /* NULL: the file */
    uint64_t size_b;
    uint64_t offset_b; /* of the next wl_input_read */
    /* private: lines */
    char *buffer;
    size_t room_b, begin, end;
    uint64_t line; /* number of the line given last, from 1 */
};

/* Opens path. Returns 0, or a negative errno with a line in *error. */
KVT_MUST_CHECK int wl_input_open(struct wl_input *in, const char *path, struct wl_error *error);
/* Reads memory instead, borrowed as long as the input lives. */
void wl_input_memory(struct wl_input *in, const char *name, const void *bytes, size_t size_b);
void wl_input_release(struct wl_input *in);

/* Reads n_b bytes, or fewer at the end; *got_b says how many. Returns 0 or a negative errno with a line. */
KVT_MUST_CHECK int wl_input_read(struct wl_input *in, void *to, size_t n_b, size_t *got_b,
                                 struct wl_error *error);
/* Starts over at offset_b, lines at 1. */
void wl_input_seek(struct wl_input *in, uint64_t offset_b);

/* The next line without its end (LF or CRLF), not NUL-terminated, borrowed until the next call: 1, 0 at the
 * end, or a negative errno with a line in *error. Blank lines are skipped but counted. A UTF-8 byte order mark
 * in front of the first is dropped. */
KVT_MUST_CHECK int wl_input_line(struct wl_input *in, char **text, size_t *size_b,
                                 struct wl_error *error);

#endif
