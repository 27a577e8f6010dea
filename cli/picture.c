/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * picture.c - see picture.h.
 *
 * gnuplot is started without a shell, inside the folder, so that scripts name files as they are
 * called there, and no part of a user's path is ever read as a command (gnuplot runs file names
 * that begin with '<'). What it says is kept and shown only when it fails; scripts that meet
 * columns without values cause warnings which mean nothing to a user. Its own start-up files are
 * not read (-d).
 */
#include "picture.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datadir.h"

extern char **environ;

int picture_scripts(char scripts[PATH_MAX], char *why, size_t size)
{
    char data[PATH_MAX], absolute[PATH_MAX];

    if (datadir_find(data, sizeof data) == 0 && realpath(data, absolute) != NULL &&
        (size_t)snprintf(scripts, PATH_MAX, "%.*s/plots", PATH_MAX - 8, absolute) < PATH_MAX)
        return 0;
    snprintf(why, size, "plots: the folder of the plot scripts was not found: set KVTWIN_DATA");
    return -ENOENT;
}

/* The line in gnuplot's output that names the error: the last one that is no warning. */
static void find_error(const char *script, int log, char *why, size_t size)
{
    char text[8192], *rest = text, *line;
    const char *best = script;
    ssize_t n = pread(log, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[strspn(line, " \t^")] != '\0' && strstr(line, "warning:") == NULL)
            best = line;
    }
    snprintf(why, size, "gnuplot: %s", best);
}

/* Runs gnuplot inside dir, output into log. Returns its wait status, or a negative errno. */
static int run_gnuplot(const char *dir, const char *const arguments[], int log)
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    int wait_status = 0;
    union {
        const char *const *read_only;
        char *const *as_posix_wants;
    } argv = {arguments};

    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    int error = posix_spawn_file_actions_addchdir_np(&actions, dir);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, log, 1);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, log, 2);
    if (error == 0)
        error = posix_spawnp(&child, "gnuplot", &actions, NULL, argv.as_posix_wants, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        return -error;
    while (waitpid(child, &wait_status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return wait_status;
}

int picture_draw_more(const char *dir, const char *scripts, const char *script_name,
                      const char *name, const char *subtitle, const char *const *more, char *why,
                      size_t size)
{
    char script[PATH_MAX], file[PATH_MAX];
    const char *arguments[16] = {"gnuplot", "-d", "-c", script, scripts, subtitle, NULL};

    for (size_t i = 0; i < 6 && more[i] != NULL; i++)
        arguments[6 + i] = more[i];
    if ((size_t)snprintf(script, sizeof script, "%s/%s.gp", scripts, script_name) >=
        sizeof script) {
        snprintf(why, size, "%s: %s", scripts, strerror(ENAMETOOLONG));
        return -ENAMETOOLONG;
    }
    int log = memfd_create("gnuplot", MFD_CLOEXEC);
    if (log < 0) {
        snprintf(why, size, "gnuplot: %s", strerror(errno));
        return -errno;
    }
    int status = run_gnuplot(dir, arguments, log);
    if (status == -ENOENT)
        snprintf(why, size, "gnuplot: not found: install it (Debian: apt install gnuplot-nox)");
    else if (status < 0)
        snprintf(why, size, "gnuplot: %s", strerror(-status));
    else if (status > 0)
        find_error(script, log, why, size);
    close(log);
    static const char *const formats[] = {"svg", "png"};
    for (size_t i = 0; i < 2 && status > 0; i++) { /* half a picture is none */
        snprintf(file, sizeof file, "%s/%s.%s", dir, name, formats[i]);
        unlink(file);
    }
    return status > 0 ? -EIO : status;
}

int picture_draw(const char *dir, const char *scripts, const char *name, const char *subtitle,
                 char *why, size_t size)
{
    static const char *const none[] = {NULL};
    return picture_draw_more(dir, scripts, name, name, subtitle, none, why, size);
}
