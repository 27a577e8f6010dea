/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * copy.c - gather and scatter on the CPU: memcpy, run by run.
 *
 * A run is a page of one plane, some kilobytes, so what a run costs beside its bytes is small,
 * and the library's memcpy is the best there is for each. It cannot know that a thousand runs
 * follow, though: parts that no cache will hold are written past the caches, which spares memory
 * from reading what is about to be overwritten.
 */
#include "kernels.h"

#include "runs.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Ahead of a run, and from where on a part is written past the caches. */
enum { EXPECT_B = 512, STREAM_B = 32 << 20 };

/* Pages lie anywhere, so the processor cannot foresee where the next run begins. */
static void expect(const char *next, size_t b)
{
    for (size_t i = 0; i < b && i < EXPECT_B; i += 64)
        __builtin_prefetch(next + i);
}

#if defined(__SSE2__)
static void stream(void *to, const void *from, size_t b)
{
    if (((uintptr_t)to | b) % 64 != 0) {
        memcpy(to, from, b);
        return;
    }
    const __m128i *p = from;
    __m128i *q = to;
    for (const __m128i *end = p + b / 16; p < end; p += 4, q += 4) {
        _mm_prefetch((const char *)p + 1024, _MM_HINT_T0);
        __m128i w = _mm_loadu_si128(p), x = _mm_loadu_si128(p + 1);
        __m128i y = _mm_loadu_si128(p + 2), z = _mm_loadu_si128(p + 3);
        _mm_stream_si128(q, w);
        _mm_stream_si128(q + 1, x);
        _mm_stream_si128(q + 2, y);
        _mm_stream_si128(q + 3, z);
    }
}
#else
#define stream memcpy
#endif

/* Copies one run of a part of part_b bytes. */
static void copy_run(void *to, const void *from, size_t b, size_t part_b)
{
    if (part_b < STREAM_B)
        memcpy(to, from, b);
    else
        stream(to, from, b);
}

/* What was streamed is in order before what is written next. */
static void settle(size_t part_b)
{
#if defined(__SSE2__)
    if (part_b >= STREAM_B)
        _mm_sfence();
#else
    (void)part_b;
#endif
}

void k_gather(const struct k_geometry *g, const void *pool, const struct k_part *part, void *packed)
{
    const size_t part_b = k_packed_b(g, part->layers, part->tokens);
    struct k_run next;
    bool more = k_run_first(&next, g, part);
    while (more) {
        struct k_run run = next;
        more = k_run_next(&next, g, part);
        if (more)
            expect((const char *)pool + next.pool_b, next.b);
        copy_run((char *)packed + run.packed_b, (const char *)pool + run.pool_b, run.b, part_b);
    }
    settle(part_b);
}

void k_scatter(const struct k_geometry *g, void *pool, const struct k_part *part,
               const void *packed)
{
    const size_t part_b = k_packed_b(g, part->layers, part->tokens);
    struct k_run run;
    for (bool more = k_run_first(&run, g, part); more; more = k_run_next(&run, g, part))
        copy_run((char *)pool + run.pool_b, (const char *)packed + run.packed_b, run.b, part_b);
    settle(part_b);
}

void k_copy_pages(const struct k_geometry *g, const void *from_pool, const struct k_part *from,
                  void *to_pool, const uint32_t *to_pages)
{
    struct k_part to = *from;
    struct k_run a, b;
    to.pages = to_pages;
    bool more = k_run_first(&a, g, from) && k_run_first(&b, g, &to);
    while (more) {
        memcpy((char *)to_pool + b.pool_b, (const char *)from_pool + a.pool_b, a.b);
        more = k_run_next(&a, g, from) && k_run_next(&b, g, &to);
    }
}
