/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * store.h - results of single runs, kept until all of a sweep are there.
 *
 * A folder of small files, each named after what was asked: its identity, a SHA-256 over everything
 * that a result depends on (the resolved scenario with its seed, the constants, the trace's bytes, the
 * program's revision). So a result is found again whatever sweep it belonged to, and none is found
 * for another question. A file appears whole, by rename, and says its own identity, length and
 * checksum: one that was cut, changed or renamed is not a result.
 *
 *      kvtwin run 1 IDENTITY XXH3-128 LENGTH\n   and then LENGTH bytes
 *
 * One process at a time uses a folder (a lock says so); others may read it.
 */
#ifndef CLI_STORE_H
#define CLI_STORE_H

#include "../core/types.h"

enum { STORE_IDENTITY = 65 }; /* hex digits and NUL */

/* private */
struct store {
    int fd; /* of the folder, locked; -1: closed */
};

/* Opens, making it if need be, the folder `name` in the folder open as dirfd, and clears what an
 * interrupted write left. Returns 0; -EBUSY when another process has it; or another negative errno. */
KVT_MUST_CHECK int store_open(struct store *s, int dirfd, const char *name);
void store_close(struct store *s);

/* Returns 0 with *bytes (free with free(), NUL behind them); -ENOENT when there is none; -EBADMSG when what
 * is there is not that result; or another negative errno. */
KVT_MUST_CHECK int store_get(const struct store *s, const char *identity, char **bytes, size_t *n);

/* Puts a result in place of whatever was there. Returns 0 or a negative errno. */
KVT_MUST_CHECK int store_put(const struct store *s, const char *identity, const char *bytes,
                             size_t n);

#endif
