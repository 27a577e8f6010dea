/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * disk_impl.h - what the files of the disk tier share; for them and their tests alone.
 *
 *      disk.c         the calls of disk.h: write, read, remove
 *      disk_folder.c  the folder: whose it is, the lock, what a crash left, clearing it
 *      disk_index.c   which values there are, who is changing one, how many bytes are taken
 *      disk_io.c      the system calls, and moving a whole file through them
 */
#ifndef BE_DISK_IMPL_H
#define BE_DISK_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "disk.h"

/* ---- System calls ----------------------------------------------------------------------------------- */

/* Those that values pass through, so that tests can let them fail. Each returns what the call of
 * its name does, or a negative errno. */
struct be_disk_io {
    int (*open)(void *self, int dir, const char *path, int flags);
    ssize_t (*pwrite)(void *self, int fd, const void *bytes, size_t n, off_t at);
    ssize_t (*pread)(void *self, int fd, void *bytes, size_t n, off_t at);
    int (*truncate)(void *self, int fd, off_t n);
    int (*sync)(void *self, int fd, bool data_only);
    int (*close)(void *self, int fd);
    int (*rename)(void *self, int from_dir, const char *from, int to_dir, const char *to);
    int (*unlink)(void *self, int dir, const char *path);
    int (*free_b)(void *self, int fd, uint64_t *b); /* of the file system, for this user */
    void *self;
};

extern const struct be_disk_io be_disk_system;

/* be_disk_open with calls of the tests' own. io is borrowed until close. */
KVT_MUST_CHECK struct be_disk *be_disk_open_on(const struct be_disk_io *io,
                                               const struct be_disk_config *config, int *rc,
                                               char *error, size_t error_size);

/* What O_DIRECT asks of addresses, offsets and lengths; and the size of a bounce buffer. */
enum { BE_DISK_ALIGN = 4096, BE_DISK_BOUNCE_B = 1 << 20 };

/* Buffers for what is not aligned, kept for the next call. */
struct be_disk_bounces {
    pthread_mutex_t lock;
    struct be_disk_bounce *free;
};

void be_disk_bounces_release(struct be_disk_bounces *bounces);

/* An open file through io. direct: fd was opened so. */
struct be_disk_file {
    const struct be_disk_io *io;
    struct be_disk_bounces *bounces;
    int fd;
    bool direct;
};

/* Writes bytes[n] as the whole file; reads its first n bytes. 0 or a negative errno: -EIO also
 * for calls that make no progress and for files that end too early. */
KVT_MUST_CHECK int be_disk_file_write(const struct be_disk_file *f, const void *bytes, size_t n);
KVT_MUST_CHECK int be_disk_file_read(const struct be_disk_file *f, void *bytes, size_t n);

/* ---- Index ------------------------------------------------------------------------------------------ */

struct be_disk_entry {
    struct be_disk_entry *chain;         /* in its bucket */
    struct be_disk_entry *newer, *older; /* in the list of all */
    uint64_t hash, file_b, charge_b;
    uint64_t generation; /* of its file: another number after each write */
    uint32_t pins;       /* walkers that stand here */
    bool has_file;       /* charge_b is counted in used_b */
    bool present;        /* readers may have it */
    bool busy;           /* somebody renames or unlinks its file */
    bool dead;           /* out of its bucket; lives only for its pins */
    char name[];
};

struct be_disk_index {
    pthread_mutex_t lock;
    pthread_cond_t idle; /* some entry is not busy any more */
    struct be_disk_entry **buckets;
    size_t n_buckets; /* a power of two */
    struct be_disk_entry *newest;
    uint64_t entries, files, generation;
    uint64_t quota_b, used_b;
    uint64_t in_flight_b; /* part of used_b: set aside, no file yet */
};

/* Stable over runs: it names the folder of a value. */
uint64_t be_disk_hash(const char *name);
bool be_disk_name_valid(const char *name);

KVT_MUST_CHECK int be_disk_index_init(struct be_disk_index *ix, uint64_t quota_b);
void be_disk_index_release(struct be_disk_index *ix);

/* Sets b bytes aside, or -ENOSPC. *in_flight_b: all that is set aside now, these included. */
KVT_MUST_CHECK int be_disk_reserve(struct be_disk_index *ix, uint64_t b, uint64_t *in_flight_b);
void be_disk_unreserve(struct be_disk_index *ix, uint64_t b);

/* Is it there, and which file of that name. */
bool be_disk_find(struct be_disk_index *ix, const char *name, uint64_t *generation);

enum be_disk_claim { BE_DISK_TO_WRITE, BE_DISK_TO_REMOVE };
/* The right to change a name's file; waits for whoever has it. To remove: the value cannot be
 * found from here on. NULL: to write, no memory; to remove, not there. Ended by one of the next
 * three. */
struct be_disk_entry *be_disk_claim(struct be_disk_index *ix, const char *name,
                                    enum be_disk_claim claim);
/* The file is the new one; charge_b of it was set aside. */
void be_disk_publish(struct be_disk_index *ix, struct be_disk_entry *e, uint64_t file_b,
                     uint64_t charge_b);
/* There is no file any more. */
void be_disk_forget(struct be_disk_index *ix, struct be_disk_entry *e);
/* All is as it was. */
void be_disk_unclaim(struct be_disk_index *ix, struct be_disk_entry *e);

/* A file that the scan found: counted whatever the quota says. */
KVT_MUST_CHECK int be_disk_index_add(struct be_disk_index *ix, const char *name, uint64_t file_b,
                                     uint64_t charge_b);
/* The file with this generation was not there: forgets it, if that is still the state. True when it did. */
bool be_disk_vanished(struct be_disk_index *ix, const char *name, uint64_t generation);

/* be_disk_each. */
void be_disk_index_each(struct be_disk_index *ix,
                        void (*fn)(void *self, const char *name, uint64_t b), void *self);

/* ---- The folder ------------------------------------------------------------------------------------- */

struct be_disk_folder {
    char *path;
    int root, lock, kv, tmp; /* open folders and file; -1: not open */
    uint64_t unit_b;         /* a file system's block */
    uint64_t recovered, discarded;
    bool made; /* by this open */
};

/* Opens, locks, scans into ix. On failure everything is closed again, and error says why. */
KVT_MUST_CHECK int be_disk_folder_open(struct be_disk_folder *f, const char *path,
                                       struct be_disk_index *ix, char *error, size_t error_size);
void be_disk_folder_close(struct be_disk_folder *f, bool keep);
/* What a file of this length and allocation counts with (D2). UINT64_MAX: more than there can be. */
uint64_t be_disk_charge(const struct be_disk_folder *f, uint64_t file_b, uint64_t allocated_b);

enum { BE_DISK_PATH = 3 + BE_DISK_NAME_MOST + 1 };
/* Below kv/: "a7/name". */
void be_disk_path(char path[BE_DISK_PATH], const char *name);
/* Makes the folder of such a path; sync: for good. 0 also when it is there. */
KVT_MUST_CHECK int be_disk_folder_make(const struct be_disk_folder *f, const char *path, bool sync);

#endif
