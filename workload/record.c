/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * record.c - what every reader needs: messages of one line, arrays that grow.
 */
#include "record.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(struct wl_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void append(struct wl_error *error, const char *format, ...)
{
    const size_t n = strlen(error->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text + n, sizeof error->text - n, format, arguments);
    va_end(arguments);
}

int wl_fail(struct wl_error *error, int status, const char *file, uint64_t line, const char *key,
            const char *format, ...)
{
    error->text[0] = '\0';
    if (file != NULL && file[0] != '\0')
        append(error, "%.200s:", file);
    if (line != 0)
        append(error, "%llu:", (unsigned long long)line);
    if (error->text[0] != '\0')
        append(error, " ");
    if (key != NULL)
        append(error, "%.60s: ", key);
    const size_t n = strlen(error->text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text + n, sizeof error->text - n, format, arguments);
    va_end(arguments);
    for (char *c = error->text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    return status;
}

int wl_grow(void *memory, size_t *n_now, size_t least, size_t size_b)
{
    if (least <= *n_now)
        return 0;
    size_t n = *n_now < 16 ? 16 : *n_now;
    while (n < least) {
        if (n > SIZE_MAX / 2 / size_b)
            return -ENOMEM;
        n *= 2;
    }
    void *old;
    memcpy(&old, memory, sizeof old);
    void *grown = realloc(old, n * size_b);
    if (grown == NULL)
        return -ENOMEM;
    memcpy(memory, &grown, sizeof grown);
    *n_now = n;
    return 0;
}
