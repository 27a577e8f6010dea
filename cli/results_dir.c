/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * results_dir.c - see results_dir.h.
 *
 * The swap is renameat2(RENAME_EXCHANGE): at no time is there no folder, or half a one. Where
 * the file system cannot do that, the old folder is renamed out of the way first.
 *
 * Nothing is deleted that kvtwin did not make: a folder is taken for results when it is empty or
 * has a summary.json, and of its files only known names and pictures go.
 */
#include "results_dir.h"

#include "compare.h"
#include "mrc.h"
#include "plan.h"
#include "results.h"
#include "validate.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(char *why, size_t size, const char *path, int error, const char *what)
{
    snprintf(why, size, "%s: %s: %s", path, what, strerror(error));
    return -error;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

static bool is_listed(const char *name, const char *const *files)
{
    while (*files != NULL && strcmp(name, *files) != 0)
        files++;
    return *files != NULL;
}

/* Ours to delete: what a run, a validation, mrc, a comparison or a plan writes, and what is drawn or computed from it. */
static bool is_result_file(const char *name)
{
    return is_listed(name, results_files) || is_listed(name, validate_files) ||
           strcmp(name, validate_profile) == 0 || is_listed(name, mrc_files) ||
           is_listed(name, compare_files) || is_listed(name, plan_files) ||
           has_suffix(name, ".svg") || has_suffix(name, ".png") ||
           strcmp(name, "report.html") == 0 || strcmp(name, "cost.csv") == 0;
}

/* Calls visit for each entry of the folder but . and .. ; it may delete or move that entry. */
static int each_entry(int dirfd, void (*visit)(int dirfd, const char *name, void *self), void *self)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);

    if (stream == NULL) {
        int error = -errno;
        if (fd >= 0)
            close(fd);
        return error;
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(dirfd, entry->d_name, self);
    }
    closedir(stream);
    return 0;
}

static void visit_delete(int dirfd, const char *name, void *self)
{
    (void)self;
    unlinkat(dirfd, name, 0);
}

static void visit_count(int dirfd, const char *name, void *self)
{
    (void)dirfd;
    (void)name;
    ++*(size_t *)self;
}

/* Deletes what is ours, moves the rest into the folder *self. */
static void visit_retire(int dirfd, const char *name, void *self)
{
    if (is_result_file(name))
        unlinkat(dirfd, name, 0);
    else
        renameat(dirfd, name, *(const int *)self, name);
}

/* mkdir -p. Returns 0 or a negative errno. path is changed for a while and restored. */
static int make_parents(char *path)
{
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        int status = mkdir(path, 0777) != 0 && errno != EEXIST ? -errno : 0;
        *at = '/';
        if (status != 0)
            return status;
    }
    return mkdir(path, 0777) != 0 && errno != EEXIST ? -errno : 0;
}

/* Splits path (slashes at the end removed, links followed) into parent and name. */
static int split(const char *path, char parent[PATH_MAX], char name[NAME_MAX + 1])
{
    char real[PATH_MAX];

    if (realpath(path, real) == NULL) {
        if (errno == ELOOP || errno == ENAMETOOLONG || errno == ENOMEM || errno == EIO)
            return -errno;
        if (strlen(path) >= sizeof real)
            return -ENAMETOOLONG;
        strcpy(real, path);
    }
    size_t n = strlen(real);
    while (n > 1 && real[n - 1] == '/')
        real[--n] = '\0';
    char *slash = strrchr(real, '/');
    const char *last = slash != NULL ? slash + 1 : real;
    if (*last == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return -EINVAL;
    if (strlen(last) > NAME_MAX - strlen("..partial"))
        return -ENAMETOOLONG;
    strcpy(name, last);
    if (slash == NULL)
        strcpy(parent, ".");
    else if (slash == real)
        strcpy(parent, "/");
    else
        snprintf(parent, PATH_MAX, "%.*s", (int)(slash - real), real);
    return 0;
}

/* An existing `name` must be a folder of results, or empty, that we may change. */
static int check_target(const struct results_dir *d, char *why, size_t size)
{
    int fd = openat(d->parent_fd, d->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        if (errno == ENOENT)
            return 0;
        return fail(why, size, d->path, errno, "expected a folder for the results");
    }
    size_t entries = 0;
    struct stat st;
    int status = each_entry(fd, visit_count, &entries);
    if (status != 0) {
        status = fail(why, size, d->path, -status, "cannot be read");
    } else if (entries > 0 && fstatat(fd, "summary.json", &st, AT_SYMLINK_NOFOLLOW) != 0) {
        snprintf(why, size, "%s: expected an empty folder or earlier results: it holds other files",
                 d->path);
        status = -EEXIST;
    } else if (faccessat(fd, ".", W_OK | X_OK, 0) != 0) {
        status = fail(why, size, d->path, errno, "cannot be written");
    }
    close(fd);
    return status;
}

static int make_partial(struct results_dir *d, char *why, size_t size)
{
    if (mkdirat(d->parent_fd, d->partial, 0777) != 0 && errno != EEXIST)
        return fail(why, size, d->path, errno, "cannot be created");
    d->fd = openat(d->parent_fd, d->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0)
        return fail(why, size, d->path, errno, "cannot be created");
    if (flock(d->fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        close(d->fd);
        if (error != EWOULDBLOCK)
            return fail(why, size, d->path, error, "cannot be locked");
        snprintf(why, size, "%s: another run is writing there: wait, or choose another --out",
                 d->path);
        return -EBUSY;
    }
    int status = each_entry(d->fd, visit_delete, NULL); /* of a run that was killed */
    if (status == 0 && faccessat(d->fd, ".", W_OK | X_OK, 0) != 0)
        status = -errno;
    if (status != 0) {
        close(d->fd);
        return fail(why, size, d->path, -status, "cannot be written");
    }
    return 0;
}

int results_dir_open(struct results_dir *d, const char *path, char *why, size_t size)
{
    char parent[PATH_MAX] = ".";

    memset(d, 0, sizeof *d);
    int status = *path == '\0' ? -EINVAL : split(path, parent, d->name);
    if (status != 0)
        return fail(why, size, path, -status, "expected the name of a folder");
    snprintf(d->path, sizeof d->path, "%s", path);
    snprintf(d->partial, sizeof d->partial, ".%.*s.partial", NAME_MAX - 9, d->name);
    status = make_parents(parent);
    if (status != 0 &&
        status != -EROFS) /* a read-only root may still have writable folders below */
        return fail(why, size, path, -status, "cannot be created");
    d->parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->parent_fd < 0)
        return fail(why, size, path, errno, "cannot be created");
    status = check_target(d, why, size);
    if (status == 0)
        status = make_partial(d, why, size);
    if (status != 0)
        close(d->parent_fd);
    d->is_open = status == 0;
    return status;
}

static void close_both(struct results_dir *d)
{
    close(d->fd);
    close(d->parent_fd);
    d->is_open = false;
}

void results_dir_abort(struct results_dir *d)
{
    if (!d->is_open)
        return;
    each_entry(d->fd, visit_delete, NULL);
    unlinkat(d->parent_fd, d->partial, AT_REMOVEDIR);
    close_both(d);
}

/* After this `name` is the new folder and, if there was one, `partial` the old. */
static int swap(const struct results_dir *d)
{
    int p = d->parent_fd;
    char old[NAME_MAX + 1];

    if (renameat2(p, d->partial, p, d->name, RENAME_EXCHANGE) == 0)
        return 0;
    if (errno == ENOENT)
        return renameat(p, d->partial, p, d->name) != 0 ? -errno : 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    snprintf(old, sizeof old, ".%.*s.old", NAME_MAX - 9, d->name);
    if (renameat(p, d->name, p, old) != 0)
        return -errno;
    if (renameat(p, d->partial, p, d->name) != 0) {
        int error = -errno;
        renameat(p, old, p, d->name);
        return error;
    }
    renameat(p, old, p, d->partial);
    return 0;
}

int results_dir_install(struct results_dir *d, char *why, size_t size)
{
    assert(d->is_open);
    int status = swap(d);
    if (status != 0)
        return fail(why, size, d->path, -status, "cannot be put in place");

    int old = openat(d->parent_fd, d->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (old >= 0) {
        each_entry(old, visit_retire, &d->fd);
        close(old);
        unlinkat(d->parent_fd, d->partial, AT_REMOVEDIR);
    }
    close_both(d);
    return 0;
}
