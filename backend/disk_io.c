/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * disk_io.c - the system calls under the disk tier, and moving a whole file through them.
 *
 * A call may do less than it was asked (signals, quotas, huge sizes), be interrupted, or make no
 * progress at all; the loops here end in each case: with the whole file, or with an error.
 *
 * O_DIRECT wants address, offset and length in multiples of a block. Here:
 *
 *      memory that is aligned     whole blocks go straight from and to the caller's memory
 *      the rest of it, and        through bounce buffers of 1 MiB, padded with zeroes; the length is
 *      memory that is not         put right at the end, by ftruncate
 *
 * Bounce buffers are kept: a page fault for each of their pages would cost as much as the copy.
 */
#include "disk_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- System calls ----------------------------------------------------------------------------------- */

static int system_open(void *self, int dir, const char *path, int flags)
{
    (void)self;
    const int fd = openat(dir, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd;
}

static ssize_t system_pwrite(void *self, int fd, const void *bytes, size_t n, off_t at)
{
    (void)self;
    const ssize_t done = pwrite(fd, bytes, n, at);
    return done < 0 ? -errno : done;
}

static ssize_t system_pread(void *self, int fd, void *bytes, size_t n, off_t at)
{
    (void)self;
    const ssize_t done = pread(fd, bytes, n, at);
    return done < 0 ? -errno : done;
}

static int system_truncate(void *self, int fd, off_t n)
{
    (void)self;
    return ftruncate(fd, n) ? -errno : 0;
}

static int system_sync(void *self, int fd, bool data_only)
{
    (void)self;
    return (data_only ? fdatasync(fd) : fsync(fd)) ? -errno : 0;
}

static int system_close(void *self, int fd)
{
    (void)self;
    /* Linux has closed it even when a signal came. */
    return close(fd) && errno != EINTR ? -errno : 0;
}

static int system_rename(void *self, int from_dir, const char *from, int to_dir, const char *to)
{
    (void)self;
    return renameat(from_dir, from, to_dir, to) ? -errno : 0;
}

static int system_unlink(void *self, int dir, const char *path)
{
    (void)self;
    return unlinkat(dir, path, 0) ? -errno : 0;
}

static int system_free_b(void *self, int fd, uint64_t *b)
{
    struct statvfs fs;
    (void)self;
    if (fstatvfs(fd, &fs))
        return -errno;
    *b = (uint64_t)fs.f_bavail * fs.f_frsize;
    return 0;
}

const struct be_disk_io be_disk_system = {
    .open = system_open,
    .pwrite = system_pwrite,
    .pread = system_pread,
    .truncate = system_truncate,
    .sync = system_sync,
    .close = system_close,
    .rename = system_rename,
    .unlink = system_unlink,
    .free_b = system_free_b,
};

/* ---- Bounce buffers --------------------------------------------------------------------------------- */

/* A free one's first bytes. */
struct be_disk_bounce {
    struct be_disk_bounce *next;
};

static void *bounce_take(struct be_disk_bounces *bounces)
{
    pthread_mutex_lock(&bounces->lock);
    struct be_disk_bounce *b = bounces->free;
    if (b)
        bounces->free = b->next;
    pthread_mutex_unlock(&bounces->lock);
    return b ? (void *)b : aligned_alloc(BE_DISK_ALIGN, BE_DISK_BOUNCE_B);
}

static void bounce_give(struct be_disk_bounces *bounces, void *memory)
{
    struct be_disk_bounce *b = memory;
    pthread_mutex_lock(&bounces->lock);
    b->next = bounces->free;
    bounces->free = b;
    pthread_mutex_unlock(&bounces->lock);
}

void be_disk_bounces_release(struct be_disk_bounces *bounces)
{
    while (bounces->free) {
        struct be_disk_bounce *b = bounces->free;
        bounces->free = b->next;
        free(b);
    }
    pthread_mutex_destroy(&bounces->lock);
}

/* ---- Whole files ------------------------------------------------------------------------------------ */

static bool is_aligned(const void *memory)
{
    return (uintptr_t)memory % BE_DISK_ALIGN == 0;
}

/* All of bytes[n] to offset at. unit: what offsets must stay multiples of; a part of one is written again. */
static int write_all(const struct be_disk_file *f, const char *bytes, size_t n, size_t at,
                     size_t unit)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = f->io->pwrite(f->io->self, f->fd, bytes + done, n - done, (off_t)(at + done));
        if (got == -EINTR)
            continue;
        if (got < 0)
            return (int)got;
        if ((size_t)got < unit)
            return -EIO;
        done += (size_t)got - (size_t)got % unit;
    }
    return 0;
}

/* At least `need` bytes from offset at into bytes[n]; n is more than need only behind the file's end. */
static int read_all(const struct be_disk_file *f, char *bytes, size_t n, size_t need, size_t at,
                    size_t unit)
{
    for (size_t done = 0; done < need;) {
        ssize_t got = f->io->pread(f->io->self, f->fd, bytes + done, n - done, (off_t)(at + done));
        if (got == -EINTR)
            continue;
        if (got < 0)
            return (int)got;
        if (done + (size_t)got >= need)
            return 0;
        if ((size_t)got < unit)
            return -EIO;
        done += (size_t)got - (size_t)got % unit;
    }
    return 0;
}

/* The next part that goes without a copy: whole blocks of aligned memory. */
static size_t straight_b(const void *memory, size_t left)
{
    return is_aligned(memory) ? left - left % BE_DISK_ALIGN : 0;
}

static size_t padded_b(size_t n)
{
    return (n + BE_DISK_ALIGN - 1) / BE_DISK_ALIGN * BE_DISK_ALIGN;
}

static int write_direct(const struct be_disk_file *f, const char *bytes, size_t n)
{
    size_t done = straight_b(bytes, n);
    int rc = write_all(f, bytes, done, 0, BE_DISK_ALIGN);
    if (rc || done == n)
        return rc;

    char *bounce = bounce_take(f->bounces);
    if (!bounce)
        return -ENOMEM;
    while (rc == 0 && done < n) {
        const size_t part = n - done < BE_DISK_BOUNCE_B ? n - done : BE_DISK_BOUNCE_B;
        memcpy(bounce, bytes + done, part);
        memset(bounce + part, 0, padded_b(part) - part);
        rc = write_all(f, bounce, padded_b(part), done, BE_DISK_ALIGN);
        done += part;
    }
    bounce_give(f->bounces, bounce);
    if (rc == 0 && padded_b(n) != n)
        rc = f->io->truncate(f->io->self, f->fd, (off_t)n);
    return rc;
}

int be_disk_file_write(const struct be_disk_file *f, const void *bytes, size_t n)
{
    return f->direct ? write_direct(f, bytes, n) : write_all(f, bytes, n, 0, 1);
}

static int read_direct(const struct be_disk_file *f, char *bytes, size_t n)
{
    size_t done = straight_b(bytes, n);
    int rc = read_all(f, bytes, done, done, 0, BE_DISK_ALIGN);
    if (rc || done == n)
        return rc;

    char *bounce = bounce_take(f->bounces);
    if (!bounce)
        return -ENOMEM;
    while (rc == 0 && done < n) {
        const size_t part = n - done < BE_DISK_BOUNCE_B ? n - done : BE_DISK_BOUNCE_B;
        rc = read_all(f, bounce, padded_b(part), part, done, BE_DISK_ALIGN);
        if (rc == 0)
            memcpy(bytes + done, bounce, part);
        done += part;
    }
    bounce_give(f->bounces, bounce);
    return rc;
}

int be_disk_file_read(const struct be_disk_file *f, void *bytes, size_t n)
{
    return f->direct ? read_direct(f, bytes, n) : read_all(f, bytes, n, n, 0, 1);
}
