/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * disk.c - the disk tier's calls: write, read, remove. See disk.h for the promises.
 *
 * A write, in order:
 *
 *      set bytes aside       in the index, so that writers at the same time cannot pass the quota together;
 *                            with a reserve, the file system's free bytes are looked at too
 *      tmp/<number>          written, synced, its allocation compared with what was set aside
 *      claim the name        waits for whoever is renaming or unlinking it
 *      rename                the value is there, whole, or not at all (D1)
 *      publish               bytes set aside become the value's; those of the replaced one are free
 *
 * A read takes no claim: it opens the file by name, and what was opened stays whole however
 * often the name is replaced or removed meanwhile. A file's bytes stop counting when its name
 * goes, although a reader may hold on to them for as long as a read takes.
 *
 * Whatever fails, the temporary file is removed before its bytes are given back; if even that
 * fails, they stay set aside until the next start.
 */
#include "disk_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct be_disk {
    const struct be_disk_io *io;
    uint64_t reserve_b;
    enum be_sync sync;
    bool direct, keep;
    struct be_disk_folder folder;
    struct be_disk_index index;
    struct be_disk_bounces bounces;
    atomic_uint_fast64_t next_tmp;
    atomic_uint_fast64_t reads, writes, read_b, written_b, full, errors;
};

enum { TMP_NAME = 24 };

/* ---- System calls ----------------------------------------------------------------------------------- */

static int open_any(const struct be_disk *d, int dir, const char *path, int flags)
{
    int fd;
    do
        fd = d->io->open(d->io->self, dir, path, flags);
    while (fd == -EINTR);
    return fd;
}

static int open_file(const struct be_disk *d, int dir, const char *path, int flags)
{
    return open_any(d, dir, path, flags | (d->direct ? O_DIRECT : 0));
}

static int sync_file(const struct be_disk *d, int fd, bool data_only)
{
    int rc;
    do
        rc = d->io->sync(d->io->self, fd, data_only);
    while (rc == -EINTR);
    return rc;
}

static struct be_disk_file file_of(struct be_disk *d, int fd)
{
    return (
        struct be_disk_file){.io = d->io, .bounces = &d->bounces, .fd = fd, .direct = d->direct};
}

/* ---- Writing ---------------------------------------------------------------------------------------- */

/* Sets aside what a file of n bytes will count with. */
static int set_aside(struct be_disk *d, size_t n, uint64_t *charge_b)
{
    uint64_t in_flight_b, free_b;
    *charge_b = be_disk_charge(&d->folder, n, 0);
    int rc = be_disk_reserve(&d->index, *charge_b, &in_flight_b);
    if (rc || d->reserve_b == 0)
        return rc;
    /* What others have set aside may be on the disk already: then this errs towards refusing. */
    rc = d->io->free_b(d->io->self, d->folder.kv, &free_b);
    if (rc == 0 && (free_b < d->reserve_b || free_b - d->reserve_b < in_flight_b))
        rc = -ENOSPC;
    if (rc)
        be_disk_unreserve(&d->index, *charge_b);
    return rc;
}

/* The file may have been given more than its length: extent maps, a file system's habits. */
static int settle(struct be_disk *d, int fd, uint64_t *charge_b)
{
    struct stat st;
    uint64_t in_flight_b;
    if (fstat(fd, &st))
        return -errno;
    const uint64_t b =
        be_disk_charge(&d->folder, (uint64_t)st.st_size, (uint64_t)st.st_blocks * 512);
    if (b <= *charge_b)
        return 0;
    const int rc = be_disk_reserve(&d->index, b - *charge_b, &in_flight_b);
    if (rc == 0)
        *charge_b = b;
    return rc;
}

static int write_tmp(struct be_disk *d, const char *tmp, const void *bytes, size_t n,
                     uint64_t *charge_b)
{
    const int fd = open_file(d, d->folder.tmp, tmp, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return fd;
    const struct be_disk_file file = file_of(d, fd);
    int rc = be_disk_file_write(&file, bytes, n);
    if (rc == 0 && d->sync != BE_SYNC_NONE)
        rc = sync_file(d, fd, d->sync == BE_SYNC_DATA);
    if (rc == 0)
        rc = settle(d, fd, charge_b);
    const int closed = d->io->close(d->io->self, fd);
    return rc ? rc : closed;
}

/* The folder of a value that was just renamed into it. */
static int sync_folder(struct be_disk *d, const char *path)
{
    const char folder[] = {path[0], path[1], '\0'};
    const int fd = open_any(d, d->folder.kv, folder, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return fd;
    const int rc = sync_file(d, fd, false);
    d->io->close(d->io->self, fd);
    return rc;
}

/* Folders of values are made when the first value comes. */
static int move_in(struct be_disk *d, const char *tmp, const char *path)
{
    int rc = d->io->rename(d->io->self, d->folder.tmp, tmp, d->folder.kv, path);
    if (rc != -ENOENT)
        return rc;
    rc = be_disk_folder_make(&d->folder, path, d->sync == BE_SYNC_FULL);
    return rc ? rc : d->io->rename(d->io->self, d->folder.tmp, tmp, d->folder.kv, path);
}

/* From tmp/ to kv/. *charge_b: what is still set aside afterwards. On failure no new file is in
 * kv/, if the system lets us: where its folder cannot be synced and it cannot be removed either,
 * it is there and counts. */
static int publish(struct be_disk *d, const char *name, const char *tmp, size_t n,
                   uint64_t *charge_b)
{
    char path[BE_DISK_PATH];
    struct be_disk_entry *e = be_disk_claim(&d->index, name, BE_DISK_TO_WRITE);
    if (!e)
        return -ENOMEM;
    be_disk_path(path, name);
    int rc = move_in(d, tmp, path);
    if (rc) {
        be_disk_unclaim(&d->index, e);
        return rc;
    }
    if (d->sync == BE_SYNC_FULL && (rc = sync_folder(d, path)) != 0 &&
        d->io->unlink(d->io->self, d->folder.kv, path) == 0) {
        be_disk_forget(&d->index, e);
        return rc;
    }
    be_disk_publish(&d->index, e, n, *charge_b);
    *charge_b = 0;
    return rc;
}

static int write_value(struct be_disk *d, const char *name, const void *bytes, size_t n)
{
    uint64_t charge_b;
    char tmp[TMP_NAME];
    int rc = set_aside(d, n, &charge_b);
    if (rc)
        return rc;
    snprintf(tmp, sizeof tmp, "%llu", (unsigned long long)atomic_fetch_add(&d->next_tmp, 1));
    rc = write_tmp(d, tmp, bytes, n, &charge_b);
    if (rc == 0)
        rc = publish(d, name, tmp, n, &charge_b);
    if (rc) {
        const int removed = d->io->unlink(d->io->self, d->folder.tmp, tmp);
        if (removed == 0 || removed == -ENOENT)
            be_disk_unreserve(&d->index, charge_b);
    }
    return rc;
}

int be_disk_write(struct be_disk *d, const char *name, const void *bytes, size_t n)
{
    if (!be_disk_name_valid(name) || n == 0 || n > PTRDIFF_MAX)
        return -EINVAL;
    int rc = write_value(d, name, bytes, n);
    if (rc == -EDQUOT)
        rc = -ENOSPC;
    if (rc == 0) {
        atomic_fetch_add(&d->writes, 1);
        atomic_fetch_add(&d->written_b, n);
    } else {
        atomic_fetch_add(rc == -ENOSPC ? &d->full : &d->errors, 1);
    }
    return rc;
}

/* ---- Reading ---------------------------------------------------------------------------------------- */

static int read_file(struct be_disk *d, int fd, void *buffer, size_t room, size_t *n)
{
    const struct be_disk_file file = file_of(d, fd);
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    *n = (size_t)st.st_size;
    return *n > room ? -EMSGSIZE : be_disk_file_read(&file, buffer, *n);
}

static int read_value(struct be_disk *d, const char *name, void *buffer, size_t room, size_t *n)
{
    char path[BE_DISK_PATH];
    uint64_t generation;
    if (!be_disk_find(&d->index, name, &generation))
        return -ENOENT;
    be_disk_path(path, name);
    const int fd = open_file(d, d->folder.kv, path, O_RDONLY);
    if (fd == -ENOENT && be_disk_vanished(&d->index, name, generation))
        atomic_fetch_add(&d->errors, 1);
    if (fd < 0)
        return fd;
    const int rc = read_file(d, fd, buffer, room, n);
    d->io->close(d->io->self, fd);
    return rc;
}

int be_disk_read(struct be_disk *d, const char *name, void *buffer, size_t room, size_t *n)
{
    *n = 0;
    if (!be_disk_name_valid(name))
        return -EINVAL;
    const int rc = read_value(d, name, buffer, room, n);
    if (rc == 0) {
        atomic_fetch_add(&d->reads, 1);
        atomic_fetch_add(&d->read_b, *n);
    } else if (rc != -ENOENT && rc != -EMSGSIZE) {
        atomic_fetch_add(&d->errors, 1);
    }
    return rc;
}

/* ---- The rest --------------------------------------------------------------------------------------- */

int be_disk_remove(struct be_disk *d, const char *name)
{
    char path[BE_DISK_PATH];
    if (!be_disk_name_valid(name))
        return -EINVAL;
    struct be_disk_entry *e = be_disk_claim(&d->index, name, BE_DISK_TO_REMOVE);
    if (!e)
        return -ENOENT;
    be_disk_path(path, name);
    const int rc = d->io->unlink(d->io->self, d->folder.kv, path);
    if (rc == 0 || rc == -ENOENT)
        be_disk_forget(&d->index, e);
    else
        be_disk_unclaim(&d->index, e);
    if (rc)
        atomic_fetch_add(&d->errors, 1);
    return rc;
}

bool be_disk_has(struct be_disk *d, const char *name)
{
    uint64_t generation;
    return be_disk_name_valid(name) && be_disk_find(&d->index, name, &generation);
}

void be_disk_each(struct be_disk *d, void (*fn)(void *self, const char *name, uint64_t b),
                  void *self)
{
    be_disk_index_each(&d->index, fn, self);
}

void be_disk_stats(struct be_disk *d, struct be_disk_stats *stats)
{
    *stats = (struct be_disk_stats){
        .reads = atomic_load(&d->reads),
        .writes = atomic_load(&d->writes),
        .read_b = atomic_load(&d->read_b),
        .written_b = atomic_load(&d->written_b),
        .full = atomic_load(&d->full),
        .errors = atomic_load(&d->errors),
        .recovered = d->folder.recovered,
        .discarded = d->folder.discarded,
        .direct = d->direct,
    };
    pthread_mutex_lock(&d->index.lock);
    stats->files = d->index.files;
    stats->used_b = d->index.used_b;
    pthread_mutex_unlock(&d->index.lock);
}

/* ---- Open and close --------------------------------------------------------------------------------- */

/* Some file systems refuse O_DIRECT when a file is opened, some when it is used: tries both. */
static bool direct_works(struct be_disk *d)
{
    static const char probe[] = "probe", byte = 1;
    char back = 0;
    d->direct = true;
    const int fd = open_file(d, d->folder.tmp, probe, O_RDWR | O_CREAT);
    const struct be_disk_file file = file_of(d, fd);
    const bool works = fd >= 0 && be_disk_file_write(&file, &byte, 1) == 0 &&
                       be_disk_file_read(&file, &back, 1) == 0 && back == byte;
    if (fd >= 0)
        d->io->close(d->io->self, fd);
    d->io->unlink(d->io->self, d->folder.tmp, probe); /* even a refused open may have made it */
    return works;
}

struct be_disk *be_disk_open_on(const struct be_disk_io *io, const struct be_disk_config *config,
                                int *rc, char *error, size_t error_size)
{
    struct be_disk *d = calloc(1, sizeof(*d));
    *rc = d ? be_disk_index_init(&d->index, config->quota_b) : -ENOMEM;
    if (*rc) {
        snprintf(error, error_size, "%.200s: out of memory", config->folder);
        free(d);
        return NULL;
    }
    *rc = be_disk_folder_open(&d->folder, config->folder, &d->index, error, error_size);
    if (*rc) {
        be_disk_index_release(&d->index);
        free(d);
        return NULL;
    }
    d->io = io;
    d->reserve_b = config->reserve_b;
    d->sync = config->sync;
    d->keep = config->keep;
    pthread_mutex_init(&d->bounces.lock, NULL);
    d->direct = config->direct && direct_works(d);
    return d;
}

struct be_disk *be_disk_open(const struct be_disk_config *config, int *rc, char *error,
                             size_t error_size)
{
    return be_disk_open_on(&be_disk_system, config, rc, error, error_size);
}

void be_disk_close(struct be_disk *d)
{
    if (!d)
        return;
    be_disk_folder_close(&d->folder, d->keep);
    be_disk_bounces_release(&d->bounces);
    be_disk_index_release(&d->index);
    free(d);
}
