/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * datadir.c - finding the catalogue, the scenarios and the plot scripts.
 *
 * A program built in a checkout should use that checkout's files, edited or not, and an installed one the
 * installed files, from whatever folder it is started. So the place is found at run time, by looking for
 * scenarios/catalog/ beside the executable before falling back to the path given to the compiler. An
 * executable under /usr/local/bin has /usr and / as its folders above, which hold no scenarios/catalog/.
 *
 * The environment's KVTWIN_DATA wins and is not second-guessed: if it is wrong the caller hears about it,
 * rather than working with files from another place.
 */
#include "datadir.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef KVT_DATADIR
#define KVT_DATADIR "/usr/local/share/kvtwin"
#endif

static bool holds_catalogue(const char *folder)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/scenarios/catalog", folder);
    if (length < 0 || (size_t)length >= sizeof path)
        return false;
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* -ENOENT: not there, look on. */
static int take(const char *folder, char *out, size_t size)
{
    if (!holds_catalogue(folder))
        return -ENOENT;
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/')
        length--;
    if (length >= size)
        return -ENAMETOOLONG;
    memcpy(out, folder, length);
    out[length] = '\0';
    return 0;
}

/* Cuts the last component off a path. False when nothing is left but the root. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return false;
    *slash = '\0';
    return true;
}

static bool executable(char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length <= 0)
        return false;
    path[length] = '\0';
    return true;
}

static int in_checkout(char *out, size_t size)
{
    char path[PATH_MAX];
    if (!executable(path, sizeof path) || !go_up(path) || !go_up(path))
        return -ENOENT;
    for (int up = 2; up <= 3 && go_up(path); up++) {
        int error = take(path, out, size);
        if (error != -ENOENT)
            return error;
    }
    return -ENOENT;
}

/* bin/kvtwin and share/kvtwin move together: a staged or relocated installation works as it stands. */
static int beside_installation(char *out, size_t size)
{
    char path[PATH_MAX];
    if (!executable(path, sizeof path) || !go_up(path) || !go_up(path))
        return -ENOENT;
    size_t length = strlen(path);
    static const char share[] = "/share/kvtwin";
    if (sizeof share > sizeof path - length)
        return -ENOENT;
    memcpy(path + length, share, sizeof share);
    return take(path, out, size);
}

int datadir_find(char *out, size_t size)
{
    const char *set = getenv("KVTWIN_DATA");
    if (set != NULL && set[0] != '\0')
        return take(set, out, size);
    int error = in_checkout(out, size);
    if (error == -ENOENT)
        error = take(".", out, size);
    if (error == -ENOENT)
        error = beside_installation(out, size);
    if (error == -ENOENT)
        error = take(KVT_DATADIR, out, size);
    return error;
}
