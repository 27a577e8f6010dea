/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scratch.c - temporary folders, and those of the dead; see scratch.h.
 *
 * Between two that sweep the same folder its lock decides: one has it, the other goes on. A new folder's maker waits
 * for the lock, since a sweep may just be looking at it; a sweep never waits.
 *
 * A process is held by a pidfd before it is looked at, so that what is ended is what was looked at, whoever gets its
 * number next.
 */
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

static const char prefix[] = "kvtwin-run-", letters[] = "XXXXXX", magic[] = "kvtwin scratch 1\n";

enum { MAGIC_B = sizeof magic - 1, DEATH_MS = 5000 };

static const char *usual_base(void)
{
    const char *base = getenv("TMPDIR");
    return base && base[0] == '/' ? base : "/tmp";
}

/* ---- Processes (F4) ---------------------------------------------------------------------------------- */

enum whose { NOBODY, OURS, UNKNOWN };

/* Whether process pid works in the open folder. */
static enum whose whose_process(pid_t pid, int folder)
{
    char path[64];
    struct stat about, theirs, ours;
    if (stat("/proc/self/cwd", &theirs) != 0 || fstat(folder, &ours) != 0)
        return UNKNOWN;
    snprintf(path, sizeof path, "/proc/%ld", (long)pid);
    if (stat(path, &about) != 0)
        return NOBODY;
    if (about.st_uid != geteuid())
        return NOBODY;
    snprintf(path, sizeof path, "/proc/%ld/cwd", (long)pid);
    if (stat(path, &theirs) != 0)
        return errno == ENOENT || errno == ESRCH ? NOBODY : UNKNOWN; /* dead, not waited for */
    return theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino ? OURS : NOBODY;
}

/* The number in the file, 0 when there is none. */
static pid_t read_pid(int folder)
{
    char text[24] = "";
    const int fd = openat(folder, "pid", O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    const ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    const long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    return pid > 1 && pid <= INT_MAX ? (pid_t)pid : 0;
}

/* True when no process is left that wrote its number into the folder. */
static bool end_process(int folder)
{
    const pid_t pid = read_pid(folder);
    if (pid == 0 || pid == getpid())
        return true;
    const int process = pidfd_open(pid, 0);
    if (process < 0)
        return errno == ESRCH;
    const enum whose whose = whose_process(pid, folder);
    bool gone = whose == NOBODY;
    if (whose == OURS && pidfd_send_signal(process, SIGKILL, NULL, 0) == 0) {
        struct pollfd end = {.fd = process, .events = POLLIN};
        gone = poll(&end, 1, DEATH_MS) == 1;
    }
    close(process);
    return gone;
}

/* The same for all folders of an open one. */
static bool end_processes(int root)
{
    DIR *list = be_tree_list(root);
    if (!list)
        return false;
    const char *name;
    bool gone = true;
    int rc = 0;
    while (gone && (name = be_tree_next(list, &rc))) {
        const int folder = be_tree_open(root, name);
        if (folder < 0)
            continue;
        gone = end_process(folder);
        close(folder);
    }
    closedir(list);
    return gone && rc == 0;
}

/* ---- Removing ---------------------------------------------------------------------------------------- */

/* All but OWNER, then that, then the folder itself by its name in `base`. */
static bool remove_all(int base, const char *name, int root)
{
    DIR *list = be_tree_list(root);
    const char *entry;
    int rc = -EIO;
    while (list && (entry = be_tree_next(list, &rc)))
        if (strcmp(entry, "OWNER") != 0 && (rc = be_tree_remove(root, entry)) != 0)
            break;
    if (list)
        closedir(list);
    return rc == 0 && (unlinkat(root, "OWNER", 0) == 0 || errno == ENOENT) &&
           unlinkat(base, name, AT_REMOVEDIR) == 0;
}

/* Is the open OWNER still the one in the folder? Else another sweep was faster. */
static bool is_current(int root, const struct stat *owner)
{
    struct stat there;
    return fstatat(root, "OWNER", &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           there.st_ino == owner->st_ino && there.st_dev == owner->st_dev;
}

/* OWNER, locked, when the folder is a dead program's (F1 to F3); else negative. */
static int lock_dead(int root)
{
    char line[MAGIC_B + 1];
    struct stat about;
    if (fstat(root, &about) != 0 || about.st_uid != geteuid())
        return -1;
    const int owner = openat(root, "OWNER", O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (owner < 0)
        return -1;
    if (fstat(owner, &about) == 0 && S_ISREG(about.st_mode) && about.st_uid == geteuid() &&
        flock(owner, LOCK_EX | LOCK_NB) == 0 && is_current(root, &about) &&
        read(owner, line, sizeof line) == MAGIC_B && memcmp(line, magic, MAGIC_B) == 0)
        return owner;
    close(owner);
    return -1;
}

static bool sweep_one(int base, const char *name)
{
    const int root = be_tree_open(base, name);
    if (root < 0)
        return false;
    const int owner = lock_dead(root);
    const bool removed = owner >= 0 && end_processes(root) && remove_all(base, name, root);
    if (owner >= 0)
        close(owner);
    close(root);
    return removed;
}

uint32_t be_scratch_sweep(const char *base)
{
    const int folder = open(base ? base : usual_base(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = folder < 0 ? NULL : be_tree_list(folder);
    const char *name;
    uint32_t removed = 0;
    int rc;
    while (list && (name = be_tree_next(list, &rc)))
        if (strncmp(name, prefix, strlen(prefix)) == 0 &&
            strlen(name) == strlen(prefix) + strlen(letters))
            removed += sweep_one(folder, name);
    if (list)
        closedir(list);
    if (folder >= 0)
        close(folder);
    return removed;
}

/* ---- A folder of our own ----------------------------------------------------------------------------- */

/* Where files cannot be locked the line is not written, and nobody will ever remove the folder but us. */
static int take(struct be_scratch *s)
{
    s->owner = openat(s->root, "OWNER", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->owner < 0)
        return -errno;
    int rc;
    do
        rc = flock(s->owner, LOCK_EX);
    while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return 0;
    errno = EIO;
    return write(s->owner, magic, MAGIC_B) == MAGIC_B ? 0 : -errno;
}

int be_scratch_open(struct be_scratch *s, const char *base, char *why, size_t size)
{
    *s = (struct be_scratch){.root = -1, .owner = -1};
    if (!base)
        base = usual_base();
    be_scratch_sweep(base);
    int rc = 0;
    if ((size_t)snprintf(s->path, sizeof s->path, "%s/%s%s", base, prefix, letters) >=
        sizeof s->path)
        rc = -ENAMETOOLONG;
    else if (!mkdtemp(s->path))
        rc = -errno;
    if (rc != 0)
        s->path[0] = '\0';
    else if ((s->root = open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        rc = -errno;
    else
        rc = take(s);
    if (rc == 0)
        return 0;
    snprintf(why, size, "no temporary folder below %.200s: %s", base, strerror(-rc));
    be_scratch_close(s);
    return rc;
}

int be_scratch_path(const struct be_scratch *s, const char *name, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/%s", s->path, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

void be_scratch_close(struct be_scratch *s)
{
    if (s->path[0] == '\0')
        return;
    if (s->root >= 0)
        (void)remove_all(AT_FDCWD, s->path, s->root);
    else
        (void)rmdir(s->path);
    if (s->owner >= 0)
        close(s->owner);
    if (s->root >= 0)
        close(s->root);
    *s = (struct be_scratch){.path = ""};
}
