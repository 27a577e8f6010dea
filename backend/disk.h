/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * disk.h - the disk tier: one file per block piece, published atomically, found again after a crash.
 *
 *      <folder>/LOCK                        one process at a time
 *      <folder>/kv/<two hex digits>/<name>  a value (value.h), complete
 *      <folder>/tmp/<number>                being written; removed at the next start
 *
 *   (D1) A file under kv/ is complete: it was written under tmp/, synced as set, and then renamed.
 *   (D2) Used bytes (files' allocated sizes) never exceed the quota; a write that would is refused.
 *   (D3) What is read has a value's own checksum; the disk tier itself looks only at lengths.
 *
 * Calls block, and may come from any threads at a time; the index is behind one lock that is never held
 * during I/O. Two calls on one name at a time: reads and writes are whole, one of two writes wins.
 */
#ifndef BE_DISK_H
#define BE_DISK_H

#include "../core/types.h"

enum be_sync { BE_SYNC_NONE, BE_SYNC_DATA, BE_SYNC_FULL }; /* FULL: the folder too */

struct be_disk_config {
    const char *
        folder; /* made if it is not there; refused when it holds anything else than a tier's files */
    uint64_t quota_b;   /* UINT64_MAX: what the file system has */
    uint64_t reserve_b; /* free bytes of the file system that are never taken */
    enum be_sync sync;
    bool direct; /* O_DIRECT where the file system can; buffers are aligned inside */
    bool keep;   /* false: the folder's files are removed at close (a run leaves nothing) */
};

struct be_disk;

/* Opens and scans: removes what was half written, counts what is there. -EBUSY: another process has it; -EEXIST: foreign files.
 * NULL with one line in error. */
KVT_MUST_CHECK struct be_disk *be_disk_open(const struct be_disk_config *config, int *rc,
                                            char *error, size_t error_size);
void be_disk_close(struct be_disk *disk);

/* name: up to 79 bytes of [0-9a-zA-Z:._-], not beginning with '.'. 0; -ENOSPC (quota, reserve or file system full: nothing kept);
 * -EIO and other errors of the system (nothing kept). Replaces what was there. */
KVT_MUST_CHECK int be_disk_write(struct be_disk *disk, const char *name, const void *bytes,
                                 size_t n);
/* Reads the whole file into buffer[room]. 0 and *n; -ENOENT; -EMSGSIZE when it is longer than room; -EIO. */
KVT_MUST_CHECK int be_disk_read(struct be_disk *disk, const char *name, void *buffer, size_t room,
                                size_t *n);
int be_disk_remove(struct be_disk *disk, const char *name);
bool be_disk_has(struct be_disk *disk, const char *name);

struct be_disk_stats {
    uint64_t files, used_b, reads, writes, read_b, written_b, full, errors, recovered, discarded;
};
void be_disk_stats(struct be_disk *disk, struct be_disk_stats *stats);

/* Calls fn for every name, in no order, without the lock; fn may call the functions above. */
void be_disk_each(struct be_disk *disk, void (*fn)(void *self, const char *name, uint64_t b),
                  void *self);

#endif
