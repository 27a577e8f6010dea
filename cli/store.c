/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * store.c - see store.h.
 *
 * There is no fsync: after a power cut a file may be there with nothing in it, its checksum says so, and
 * the run is done again, which costs less than a wait for the medium after each.
 */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { HEAD_MOST = 192, NAME_DIGITS = 32 };

static const char temporary[] = ".being-written";

/* 32 of the 64 digits tell apart what there will ever be; the file says all of them. */
static void file_name(const char *identity, char name[NAME_DIGITS + 8])
{
    snprintf(name, NAME_DIGITS + 8, "%.*s.json", NAME_DIGITS, identity);
}

static int head_of(char head[HEAD_MOST], const char *identity, const char *bytes, size_t n)
{
    XXH128_hash_t sum = XXH3_128bits(bytes, n);
    return snprintf(head, HEAD_MOST, "kvtwin run 1 %.64s %016" PRIx64 "%016" PRIx64 " %zu\n",
                    identity, (uint64_t)sum.high64, (uint64_t)sum.low64, n);
}

int store_open(struct store *s, int dirfd, const char *name)
{
    s->fd = -1;
    if (mkdirat(dirfd, name, 0777) != 0 && errno != EEXIST)
        return -errno;
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
    else if (faccessat(fd, ".", W_OK | X_OK, 0) != 0)
        rc = -errno;
    if (rc != 0) {
        close(fd);
        return rc;
    }
    unlinkat(fd, temporary, 0);
    s->fd = fd;
    return 0;
}

void store_close(struct store *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* The whole file with a NUL behind it. */
static int read_all(int fd, char **bytes, size_t *n)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    char *text = malloc((size_t)st.st_size + 1);
    if (!text)
        return -ENOMEM;
    size_t at = 0;
    while (at < (size_t)st.st_size) {
        ssize_t got = read(fd, text + at, (size_t)st.st_size - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(text);
            return -EIO;
        }
        if (got == 0)
            break;
        at += (size_t)got;
    }
    text[at] = '\0';
    *bytes = text;
    *n = at;
    return 0;
}

int store_get(const struct store *s, const char *identity, char **bytes, size_t *n)
{
    char name[NAME_DIGITS + 8], head[HEAD_MOST], *text = NULL;
    size_t all = 0;
    file_name(identity, name);
    int fd = openat(s->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = read_all(fd, &text, &all);
    close(fd);
    if (rc != 0)
        return rc;
    /* The head is made anew from the bytes and compared: nothing of the file is believed. */
    const char *end = memchr(text, '\n', all);
    size_t skip = end ? (size_t)(end - text) + 1 : all;
    int len = head_of(head, identity, text + skip, all - skip);
    if (!end || (size_t)len != skip || memcmp(head, text, skip) != 0) {
        free(text);
        return -EBADMSG;
    }
    *n = all - skip;
    memmove(text, text + skip, *n + 1);
    *bytes = text;
    return 0;
}

static int write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(fd, bytes, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? -errno : -EIO;
        bytes += wrote;
        n -= (size_t)wrote;
    }
    return 0;
}

int store_put(const struct store *s, const char *identity, const char *bytes, size_t n)
{
    char name[NAME_DIGITS + 8], head[HEAD_MOST];
    file_name(identity, name);
    int len = head_of(head, identity, bytes, n);
    int fd = openat(s->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int rc = write_all(fd, head, (size_t)len);
    if (rc == 0)
        rc = write_all(fd, bytes, n);
    if (close(fd) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && renameat(s->fd, temporary, s->fd, name) != 0)
        rc = -errno;
    if (rc != 0)
        unlinkat(s->fd, temporary, 0);
    return rc;
}
