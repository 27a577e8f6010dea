/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * input.c - see input.h. One buffer slides over the file: what is left of a cut line moves to its front, and
 * it grows only when a line is longer than all of it.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_B = 1 << 18 };

int wl_input_open(struct wl_input *in, const char *path, struct wl_error *error)
{
    *in = (struct wl_input){.name = path, .fd = -1};
    /* O_NONBLOCK: a pipe without writer must not hang us before we can refuse it. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const int status = -errno;
        return wl_fail(error, status, path, 0, NULL, "expected a trace that can be read: %s",
                       strerror(-status));
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return wl_fail(error, -EINVAL, path, 0, NULL, "expected a regular file");
    }
    in->fd = fd;
    in->size_b = (uint64_t)st.st_size;
    return 0;
}

void wl_input_memory(struct wl_input *in, const char *name, const void *bytes, size_t size_b)
{
    *in = (struct wl_input){.name = name, .fd = -1, .memory = bytes, .size_b = size_b};
    if (bytes == NULL)
        in->memory = (const unsigned char *)"";
}

void wl_input_release(struct wl_input *in)
{
    if (in->memory == NULL && in->name != NULL && in->fd >= 0)
        close(in->fd);
    free(in->buffer);
    *in = (struct wl_input){.fd = -1};
}

static int read_file(struct wl_input *in, char *to, size_t n_b, size_t *got_b)
{
    while (*got_b < n_b) {
        const ssize_t got =
            pread(in->fd, to + *got_b, n_b - *got_b, (off_t)(in->offset_b + *got_b));
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0)
            *got_b += (size_t)got;
    }
    return 0;
}

int wl_input_read(struct wl_input *in, void *to, size_t n_b, size_t *got_b, struct wl_error *error)
{
    *got_b = 0;
    if (in->memory != NULL) {
        const uint64_t left = in->offset_b < in->size_b ? in->size_b - in->offset_b : 0;
        *got_b = n_b < left ? n_b : (size_t)left;
        if (*got_b > 0)
            memcpy(to, in->memory + in->offset_b, *got_b);
    } else {
        const int status = read_file(in, to, n_b, got_b);
        if (status != 0)
            return wl_fail(error, status, in->name, 0, NULL,
                           "expected a trace that can be read: %s", strerror(-status));
    }
    in->offset_b += *got_b;
    return 0;
}

void wl_input_seek(struct wl_input *in, uint64_t offset_b)
{
    in->offset_b = offset_b;
    in->begin = in->end = 0;
    in->line = 0;
}

/* Reads more behind what the buffer holds. *got_b is 0 at the end of the file. */
static int fill(struct wl_input *in, size_t *got_b, struct wl_error *error)
{
    if (in->begin > 0 && in->begin < in->end)
        memmove(in->buffer, in->buffer + in->begin, in->end - in->begin);
    in->end -= in->begin;
    in->begin = 0;
    if (in->end == in->room_b) {
        if (in->room_b > WL_LINE_MOST_B)
            return wl_fail(error, -EINVAL, in->name, in->line + 1, NULL,
                           "expected a line of at most %d MiB", WL_LINE_MOST_B >> 20);
        if (wl_grow(&in->buffer, &in->room_b, in->room_b == 0 ? BUFFER_B : in->room_b + 1, 1) != 0)
            return wl_fail(error, -ENOMEM, in->name, in->line + 1, NULL, "expected more memory");
    }
    const int status = wl_input_read(in, in->buffer + in->end, in->room_b - in->end, got_b, error);
    in->end += *got_b;
    return status;
}

/* A line with its end, or what is left at the end of the file. */
static int take(struct wl_input *in, char **text, size_t *size_b, struct wl_error *error)
{
    size_t seen = 0;
    for (;;) {
        const size_t n = in->end - in->begin;
        char *lf = n > seen ? memchr(in->buffer + in->begin + seen, '\n', n - seen) : NULL;
        seen = n;
        size_t got_b = 0;
        if (lf == NULL) {
            const int status = fill(in, &got_b, error);
            if (status != 0)
                return status;
            if (got_b > 0)
                continue;
            if (n == 0)
                return 0;
        }
        *text = in->buffer + in->begin;
        *size_b = lf != NULL ? (size_t)(lf - *text) : n;
        in->begin += *size_b + (lf != NULL);
        in->line++;
        return 1;
    }
}

static bool is_blank(const char *text, size_t size_b)
{
    for (size_t i = 0; i < size_b; i++)
        if (text[i] != ' ' && text[i] != '\t')
            return false;
    return true;
}

int wl_input_line(struct wl_input *in, char **text, size_t *size_b, struct wl_error *error)
{
    int status;
    do {
        status = take(in, text, size_b, error);
        if (status != 1)
            return status;
        if (in->line == 1 && *size_b >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
            *text += 3;
            *size_b -= 3;
        }
        if (*size_b > 0 && (*text)[*size_b - 1] == '\r')
            (*size_b)--;
    } while (is_blank(*text, *size_b));
    return 1;
}
