/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * malloc_fails.h - malloc, calloc and realloc that fail on demand, libraries' calls included.
 *
 * For code that allocates through libraries (libcyaml, jansson, GSL) and so cannot be handed an
 * allocator. While `armed`, `left` more requests are served and all later ones refused. Replaces
 * the program's allocator, so it is left out
 * (OWN_ALLOCATOR 0) where a sanitizer brings its own, and outside glibc.
 */
#ifndef MALLOC_FAILS_H
#define MALLOC_FAILS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif
#if !defined(OWN_ALLOCATOR) && defined(__GLIBC__)
#define OWN_ALLOCATOR 1
#endif

#if OWN_ALLOCATOR

static bool armed;
static long left;

/* glibc's own, under the names it keeps for replacements like these. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);

static bool refuses(void)
{
    if (!armed || left-- > 0)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return refuses() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return refuses() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
    return refuses() ? NULL : __libc_realloc(memory, size);
}

#endif /* OWN_ALLOCATOR */

#endif
