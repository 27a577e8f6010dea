/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tree.c - folders listed and removed; see tree.h.
 */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MOST = 16 };

DIR *be_tree_list(int folder)
{
    const int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    if (!list && fd >= 0)
        close(fd);
    return list;
}

const char *be_tree_next(DIR *list, int *rc)
{
    const struct dirent *d;
    do {
        errno = 0;
        d = readdir(list);
    } while (d && (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0));
    *rc = d ? 0 : -errno;
    return d ? d->d_name : NULL;
}

int be_tree_open(int folder, const char *name)
{
    const int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int clear(int folder, int depth, uint64_t *removed);

static int remove_entry(int folder, const char *name, int depth)
{
    uint64_t removed = 0;
    if (unlinkat(folder, name, 0) == 0)
        return 0;
    if (errno != EISDIR)
        return -errno;
    if (depth >= DEPTH_MOST)
        return -ELOOP;
    const int fd = be_tree_open(folder, name);
    if (fd < 0)
        return fd;
    const int rc = clear(fd, depth + 1, &removed);
    close(fd);
    if (rc)
        return rc;
    return unlinkat(folder, name, AT_REMOVEDIR) ? -errno : 0;
}

static int clear(int folder, int depth, uint64_t *removed)
{
    DIR *list = be_tree_list(folder);
    if (!list)
        return -errno;
    int rc;
    const char *name;
    while ((name = be_tree_next(list, &rc)) && (rc = remove_entry(folder, name, depth)) == 0)
        ++*removed;
    closedir(list);
    return rc;
}

int be_tree_remove(int folder, const char *name)
{
    return remove_entry(folder, name, 0);
}

int be_tree_clear(int folder, uint64_t *removed)
{
    return clear(folder, 0, removed);
}
