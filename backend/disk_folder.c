/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * disk_folder.c - the disk tier's folder: whose it is, the lock, what a crash left, clearing it.
 *
 * Files are deleted here, so a folder has to prove that it is a tier's before anything in it is
 * touched: its LOCK begins with our line, or it holds nothing (but an empty LOCK: the last
 * opener died before it wrote the line). Then, with flock held (the kernel lets go of it however
 * the process ends):
 *
 *      tmp/<any>                      half written: removed
 *      kv/<xx>/<name>                 kept and counted if it is a file of a value: a valid name in the folder that its
 *                                     hash says, not empty (what a power cut leaves of a write without sync)
 *      anything else below kv/        removed, folders with all that is in them
 *      anything else beside them      left alone
 *
 * Symbolic links are never followed. A tier that is not kept removes all of this at close, and
 * the folder itself if it made it; LOCK goes last, and an opener that got the lock of a LOCK
 * that is no longer there takes the new one instead.
 */
#include "disk_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "tree.h"

static const char magic[] = "kvtwin disk tier 1\n";

enum { FOLDERS = 256, LOCK_TRIES = 16 };

uint64_t be_disk_charge(const struct be_disk_folder *f, uint64_t file_b, uint64_t allocated_b)
{
    const uint64_t blocks = file_b / f->unit_b + (file_b % f->unit_b != 0);
    if (blocks > UINT64_MAX / f->unit_b)
        return UINT64_MAX;
    return blocks * f->unit_b > allocated_b ? blocks * f->unit_b : allocated_b;
}

static unsigned folder_of(const char *name)
{
    return (unsigned)(be_disk_hash(name) >> 56);
}

void be_disk_path(char path[BE_DISK_PATH], const char *name)
{
    snprintf(path, BE_DISK_PATH, "%02x/%s", folder_of(name), name);
}

/* ---- Whose it is ------------------------------------------------------------------------------------ */

/* Looks for LOCK, and for anything else, whose name (the beginning of it) goes into other. */
static int look_round(int root, bool *has_lock, char *other, size_t other_size)
{
    DIR *list = be_tree_list(root);
    if (!list)
        return -errno;
    int rc;
    const char *name;
    *has_lock = false;
    other[0] = '\0';
    while ((name = be_tree_next(list, &rc)))
        if (strcmp(name, "LOCK") == 0)
            *has_lock = true;
        else
            snprintf(other, other_size, "%s", name);
    closedir(list);
    return rc;
}

/* Is the open LOCK still the one in the folder? */
static bool lock_is_current(int root, int lock)
{
    struct stat ours, theirs;
    return fstat(lock, &ours) == 0 && fstatat(root, "LOCK", &theirs, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

/* Opens LOCK and locks it. Returns it, or -EBUSY, or what the system said. */
static int take_lock(int root)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        const int fd =
            openat(root, "LOCK", O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB)) {
            const int rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
            close(fd);
            return rc;
        }
        if (lock_is_current(root, fd))
            return fd;
        close(fd);
    }
    return -EBUSY;
}

/* With the lock: 1 when LOCK says that the folder is a tier's, 0 when LOCK is empty, -EEXIST
 * when it is something else's. */
static int read_lock(int lock)
{
    char line[sizeof magic];
    struct stat st;
    if (fstat(lock, &st))
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EEXIST;
    const ssize_t n = pread(lock, line, sizeof line, 0);
    if (n < 0)
        return -errno;
    if (n == 0)
        return 0;
    return (size_t)n == sizeof magic - 1 && memcmp(line, magic, sizeof magic - 1) == 0 ? 1
                                                                                       : -EEXIST;
}

static int say(char *error, size_t error_size, const char *path, const char *what, int rc)
{
    snprintf(error, error_size, "%.200s: %s: %s", path, what, strerror(-rc));
    return rc;
}

static int refuse(char *error, size_t error_size, const char *path, const char *other)
{
    snprintf(error, error_size,
             "%.200s: expected an empty folder or a disk tier's, but it holds %.80s", path, other);
    return -EEXIST;
}

/* Locks the folder if it is a tier's or empty, and makes it one. */
static int own(struct be_disk_folder *f, const char *path, char *error, size_t error_size)
{
    bool has_lock = false;
    char other[NAME_MAX + 1] = "";
    int rc = look_round(f->root, &has_lock, other, sizeof other);
    if (rc)
        return say(error, error_size, path, "cannot be listed", rc);
    if (!has_lock && other[0])
        return refuse(error, error_size, path, other);

    f->lock = take_lock(f->root);
    if (f->lock == -EBUSY) {
        snprintf(error, error_size, "%.200s: in use by another disk tier", path);
        return -EBUSY;
    }
    if (f->lock < 0)
        return say(error, error_size, path, "LOCK", f->lock);
    const int ours = read_lock(f->lock);
    if (ours == -EEXIST)
        return refuse(error, error_size, path, "a LOCK of something else");
    if (ours < 0)
        return say(error, error_size, path, "LOCK", ours);
    if (ours)
        return 0;
    rc = look_round(f->root, &has_lock, other, sizeof other);
    if (rc)
        return say(error, error_size, path, "cannot be listed", rc);
    if (other[0])
        return refuse(error, error_size, path, other);
    /* On the disk before there is anything else: a power cut must not leave us a folder that is not ours. */
    errno = EIO;
    if (pwrite(f->lock, magic, sizeof magic - 1, 0) != (ssize_t)(sizeof magic - 1) ||
        fsync(f->lock))
        return say(error, error_size, path, "LOCK", -errno);
    return 0;
}

/* ---- What is there ---------------------------------------------------------------------------------- */

/* Counts a value's file. 0; 1 when it is none; a negative errno. */
static int take_value(struct be_disk_folder *f, struct be_disk_index *ix, int dir, unsigned folder,
                      const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || !be_disk_name_valid(name) ||
        folder_of(name) != folder)
        return 1;
    f->recovered++;
    return be_disk_index_add(ix, name, (uint64_t)st.st_size,
                             be_disk_charge(f, (uint64_t)st.st_size, (uint64_t)st.st_blocks * 512));
}

static int scan_folder(struct be_disk_folder *f, struct be_disk_index *ix, int dir, unsigned folder)
{
    DIR *list = be_tree_list(dir);
    if (!list)
        return -errno;
    int rc;
    const char *name;
    while ((name = be_tree_next(list, &rc))) {
        rc = take_value(f, ix, dir, folder, name);
        if (rc == 1) {
            f->discarded++;
            rc = be_tree_remove(dir, name);
        }
        if (rc)
            break;
    }
    closedir(list);
    return rc;
}

/* 0 .. 255 for "00" .. "ff", else FOLDERS. */
static unsigned folder_number(const char *name)
{
    static const char digits[] = "0123456789abcdef";
    const char *hi = name[0] ? strchr(digits, name[0]) : NULL;
    const char *lo = hi && name[1] ? strchr(digits, name[1]) : NULL;
    return lo && name[2] == '\0' ? (unsigned)((hi - digits) * 16 + (lo - digits)) : FOLDERS;
}

static int scan_entry(struct be_disk_folder *f, struct be_disk_index *ix, const char *name)
{
    const unsigned folder = folder_number(name);
    const int dir = folder < FOLDERS ? be_tree_open(f->kv, name) : -ENOTDIR;
    if (dir >= 0) {
        const int rc = scan_folder(f, ix, dir, folder);
        close(dir);
        return rc;
    }
    if (dir != -ENOTDIR && dir != -ELOOP)
        return dir;
    f->discarded++;
    return be_tree_remove(f->kv, name);
}

static int scan(struct be_disk_folder *f, struct be_disk_index *ix)
{
    int rc = be_tree_clear(f->tmp, &f->discarded);
    if (rc)
        return rc;
    DIR *list = be_tree_list(f->kv);
    if (!list)
        return -errno;
    const char *name;
    while ((name = be_tree_next(list, &rc)) && (rc = scan_entry(f, ix, name)) == 0)
        continue;
    closedir(list);
    return rc;
}

/* A part of the tier's folder, made if it is not there; never a link to elsewhere. */
static int open_part(int root, const char *name, bool *made)
{
    if (mkdirat(root, name, 0700) == 0)
        *made = true;
    else if (errno != EEXIST)
        return -errno;
    return be_tree_open(root, name);
}

int be_disk_folder_make(const struct be_disk_folder *f, const char *path, bool sync)
{
    const char name[] = {path[0], path[1], '\0'};
    if (mkdirat(f->kv, name, 0700))
        return errno == EEXIST ? 0 : -errno;
    return sync && fsync(f->kv) ? -errno : 0;
}

static int open_parts(struct be_disk_folder *f, struct be_disk_index *ix, char *error,
                      size_t error_size)
{
    struct statvfs fs;
    bool made = false;
    if ((f->kv = open_part(f->root, "kv", &made)) < 0)
        return say(error, error_size, f->path, "kv", f->kv);
    if ((f->tmp = open_part(f->root, "tmp", &made)) < 0)
        return say(error, error_size, f->path, "tmp", f->tmp);
    if (fstatvfs(f->kv, &fs))
        return say(error, error_size, f->path, "kv", -errno);
    f->unit_b = fs.f_frsize ? fs.f_frsize : 4096;
    const int rc = scan(f, ix);
    if (rc)
        return say(error, error_size, f->path, "what is in it cannot be cleared up", rc);
    if (made && fsync(f->root)) /* what BE_SYNC_FULL syncs later hangs on it */
        return say(error, error_size, f->path, "cannot be synced", -errno);
    return 0;
}

/* ---- Open and close --------------------------------------------------------------------------------- */

static void close_all(struct be_disk_folder *f)
{
    const int fds[] = {f->tmp, f->kv, f->root, f->lock};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(f->path);
}

int be_disk_folder_open(struct be_disk_folder *f, const char *path, struct be_disk_index *ix,
                        char *error, size_t error_size)
{
    *f = (struct be_disk_folder){.root = -1, .lock = -1, .kv = -1, .tmp = -1};
    f->made = mkdir(path, 0700) == 0;
    if (!f->made && errno != EEXIST)
        return say(error, error_size, path, "cannot be made", -errno);
    /* The whole path: the process may be in another folder at close. */
    f->path = realpath(path, NULL);
    f->root = f->path ? open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = f->root < 0 ? say(error, error_size, path, "cannot be opened", -errno) : 0;
    if (rc == 0)
        rc = own(f, path, error, error_size);
    if (rc == 0)
        rc = open_parts(f, ix, error, error_size);
    if (rc) {
        if (f->made)
            rmdir(path); /* if nothing is in it yet */
        close_all(f);
    }
    return rc;
}

/* What it can: there is nobody to complain to, and the next opener clears up the rest. */
static void remove_tier(struct be_disk_folder *f)
{
    uint64_t removed = 0;
    if (be_tree_clear(f->kv, &removed) == 0)
        unlinkat(f->root, "kv", AT_REMOVEDIR);
    if (be_tree_clear(f->tmp, &removed) == 0)
        unlinkat(f->root, "tmp", AT_REMOVEDIR);
    if (faccessat(f->root, "kv", F_OK, 0) && faccessat(f->root, "tmp", F_OK, 0))
        unlinkat(f->root, "LOCK", 0);
    if (f->made)
        rmdir(f->path);
}

void be_disk_folder_close(struct be_disk_folder *f, bool keep)
{
    if (!keep)
        remove_tier(f);
    close_all(f);
}
