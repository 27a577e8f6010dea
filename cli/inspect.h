/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * inspect.h - what kvtwin inspect is made of: where stored bytes come from, and what decoded KV
 * looks like.
 */
#ifndef CLI_INSPECT_H
#define CLI_INSPECT_H

#include "../core/types.h"
#include "../kernels/kernels.h"

#define INSPECT_MOST_B (UINT64_C(1) << 30) /* larger values are refused unread */

/* ---- inspect_source.c: values by name, from a folder or from a Redis -------------------------------- */

struct inspect_source;

/* NULL with one line in error, in which no password appears; *rc -EINVAL: the address makes no
 * sense, else it could not be reached. */
struct inspect_source *inspect_source_folder(const char *folder, int *rc, char *error,
                                             size_t error_size);
struct inspect_source *inspect_source_redis(const char *address, int *rc, char *error,
                                            size_t error_size);
void inspect_source_free(struct inspect_source *source);

struct inspect_bytes {
    unsigned char *bytes; /* never NULL, even when n is 0; caller frees with free */
    size_t n;
    int64_t ttl_ms; /* left in Redis; -1: none */
};

/* 0; -ENOENT it is not there; -EISDIR, -EFBIG (over INSPECT_MOST_B); -EBADMSG a Redis key of
 * another type; else it could not be read. But for -ENOENT with one line in error. */
KVT_MUST_CHECK int inspect_get(struct inspect_source *source, const char *name,
                               struct inspect_bytes *value, char *error, size_t error_size);

/* ---- inspect_kv.c ----------------------------------------------------------------------------------- */

/* Of K, or of V. Mean and standard deviation are over finite elements; all four are NAN without any. */
struct inspect_stats {
    uint64_t elements, nan, infinite;
    double min, max, mean, deviation;
};

/* Of raw packed KV: layers * n_parts matrices of matrix_elements each. n_parts 2: stats[0] K, stats[1] V; 1: stats[0]. */
void inspect_kv(const void *raw, enum k_dtype dtype, uint32_t layers, size_t matrix_elements,
                uint32_t n_parts, struct inspect_stats stats[2]);

#endif
