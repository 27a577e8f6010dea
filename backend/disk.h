/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * disk.h - the disk tier: one file per block piece, published atomically, found again after a
 * crash.
 *
 *      <folder>/LOCK                        one process at a time; its first line says whose folder it is
 *      <folder>/kv/<two hex digits>/<name>  a value (value.h), complete
 *      <folder>/tmp/<number>                being written; removed at the next start
 *
 *   (D1) A file under kv/ is complete: it was written under tmp/, synced as set, and then renamed. (Against the
 *        end of the process at any moment whatever sync says; against the end of the machine with BE_SYNC_DATA.)
 *   (D2) Used bytes never exceed the quota: they are counted before they are written; a write that would is
 *        refused. A file counts with its allocated size, or with its length in whole blocks of the file
 *        system where that is more (file systems that allocate later, or compress).
 *   (D3) What is read has a value's own checksum; the disk tier itself looks only at lengths.
 *
 * Calls block, and may come from any threads at a time; the index is behind one lock that is
 * never held during I/O. Two calls on one name at a time: reads and writes are whole, one of two
 * writes wins.
 */
#ifndef BE_DISK_H
#define BE_DISK_H

#include "../core/types.h"

enum be_sync { BE_SYNC_NONE, BE_SYNC_DATA, BE_SYNC_FULL }; /* FULL: the folder too */

/* Longest name of a value, without its end. */
enum { BE_DISK_NAME_MOST = 79 };

struct be_disk_config {
    const char *
        folder; /* copied. Made if it is not there (its parent must be). Empty, or a tier's: else refused */
    uint64_t quota_b;   /* UINT64_MAX: what the file system has */
    uint64_t reserve_b; /* free bytes of the file system that are never taken */
    enum be_sync sync;
    bool
        direct; /* O_DIRECT where the file system can; any buffers, those aligned to 4096 without a copy */
    bool
        keep; /* false: all of the tier's files are removed at close, and the folder if open made it */
};

struct be_disk;

/* Opens and scans: removes what was half written and what no tier wrote under kv/, counts what
 * is there. Found values stay even beyond the quota; then nothing is written until enough was
 * removed. NULL with *rc and one line in error: -EBUSY another opener has it, in this process or
 * another; -EEXIST the folder holds files and is no tier; else what the system said. */
KVT_MUST_CHECK struct be_disk *be_disk_open(const struct be_disk_config *config, int *rc,
                                            char *error, size_t error_size);
/* No call may be under way. NULL is harmless. */
void be_disk_close(struct be_disk *disk);

/* name: up to BE_DISK_NAME_MOST bytes of [0-9a-zA-Z:._-], not beginning with '.'; n > 0.
 * Replaces what was there. 0; -ENOSPC (quota, reserve or file system full); -EINVAL a name or
 * length that cannot be; -EIO and other errors of the system. On failure nothing new is kept,
 * and what was there stays, unless the folder's own sync failed (FULL): then the name is gone.
 * While a value is replaced both count. */
KVT_MUST_CHECK int be_disk_write(struct be_disk *disk, const char *name, const void *bytes,
                                 size_t n);
/* Reads the whole file into buffer[room]. 0 and *n; -ENOENT; -EMSGSIZE and *n when it is longer than room; -EIO. */
KVT_MUST_CHECK int be_disk_read(struct be_disk *disk, const char *name, void *buffer, size_t room,
                                size_t *n);
/* 0, -ENOENT, or what the system said: then the value is still there. */
int be_disk_remove(struct be_disk *disk, const char *name);
bool be_disk_has(struct be_disk *disk, const char *name);

struct be_disk_stats {
    uint64_t files;  /* values there */
    uint64_t used_b; /* theirs (D2), and what is set aside for those being written */
    uint64_t reads, writes, read_b, written_b; /* that ended well */
    uint64_t full;                             /* writes that ended with -ENOSPC */
    uint64_t errors; /* calls that the system failed otherwise, and values that had vanished */
    uint64_t recovered, discarded; /* at open: values found; files and folders removed */
    bool direct;                   /* O_DIRECT is in use */
};
void be_disk_stats(struct be_disk *disk, struct be_disk_stats *stats);

/* Calls fn for every name with its length, in no order, without the lock; fn may call the
 * functions above. A value that is there all the while is told once; one that comes or goes
 * meanwhile, perhaps. */
void be_disk_each(struct be_disk *disk, void (*fn)(void *self, const char *name, uint64_t b),
                  void *self);

#endif
