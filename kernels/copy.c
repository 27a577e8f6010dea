/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * copy.c - gather and scatter on the CPU: memcpy, run by run.
 *
 * A run is a page of one plane, some kilobytes, so what a run costs beside its bytes is small, and the
 * library's memcpy is the best there is for each.
 */
#include "kernels.h"

#include "runs.h"

#include <string.h>

enum { EXPECT_B = 512 };

/* Pages lie anywhere, so the processor cannot foresee where the next run begins. */
static void expect(const char *next, size_t b)
{
    for (size_t i = 0; i < b && i < EXPECT_B; i += 64)
        __builtin_prefetch(next + i);
}

void k_gather(const struct k_geometry *g, const void *pool, const struct k_part *part, void *packed)
{
    struct k_run next;
    bool more = k_run_first(&next, g, part);
    while (more) {
        struct k_run run = next;
        more = k_run_next(&next, g, part);
        if (more)
            expect((const char *)pool + next.pool_b, next.b);
        memcpy((char *)packed + run.packed_b, (const char *)pool + run.pool_b, run.b);
    }
}

void k_scatter(const struct k_geometry *g, void *pool, const struct k_part *part,
               const void *packed)
{
    struct k_run run;
    for (bool more = k_run_first(&run, g, part); more; more = k_run_next(&run, g, part))
        memcpy((char *)pool + run.pool_b, (const char *)packed + run.packed_b, run.b);
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
