/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * device_host.c - main memory in the place of GPUs: each pool is a mapping, and every call is
 * its twin's.
 *
 * Pools are mapped, and faulted in where that leaves most of the memory free; otherwise a page
 * of memory exists from when it is first written, so a pool may be as large as the GPU's it
 * stands for. Large pages are asked for, as a pool's pages are visited in no order. Nothing is
 * kept but the mappings, so calls from any number of threads need no lock.
 */
#include "device.h"

#include "device_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { EARLY_B = 1 << 30 };

struct host {
    struct k_geometry g;
    size_t pool_b;
    uint32_t n_pools; /* mapped so far */
    void *pools[];
};

/* Faults are better taken now than in the middle of a transfer, unless `all_b` is a good part of
 * what is free, or so much that opening would take long. */
static bool fault_in(size_t all_b)
{
    const long pages = sysconf(_SC_AVPHYS_PAGES), page_b = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_b > 0 && all_b / (size_t)page_b < (size_t)pages / 4 &&
           all_b <= EARLY_B;
}

static void *map(size_t b, bool now)
{
    void *memory =
        mmap(NULL, b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    /* Where the kernel has none, small pages do. */
    (void)madvise(memory, b, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
    if (now)
        (void)madvise(memory, b, MADV_POPULATE_WRITE);
#else
    (void)now;
#endif
    return memory;
}

static void *host_stage_new(void *self, size_t b)
{
    (void)self;
    return map(b, fault_in(b));
}

static void host_stage_free(void *self, void *stage, size_t b)
{
    (void)self;
    if (stage)
        munmap(stage, b);
}

static int host_upload(void *self, uint32_t pool, const struct k_part *part, const void *packed)
{
    struct host *h = self;
    k_scatter(&h->g, h->pools[pool], part, packed);
    return 0;
}

static int host_download(void *self, uint32_t pool, const struct k_part *part, void *packed)
{
    struct host *h = self;
    k_gather(&h->g, h->pools[pool], part, packed);
    return 0;
}

static int host_fill(void *self, uint32_t pool, const struct k_part *part, uint64_t seed)
{
    struct host *h = self;
    k_fill(&h->g, h->pools[pool], part, seed);
    return 0;
}

static int host_checksum(void *self, uint32_t pool, const struct k_part *part, uint64_t *sum)
{
    struct host *h = self;
    *sum = k_checksum_paged(&h->g, h->pools[pool], part);
    return 0;
}

static int host_peer(void *self, uint32_t from_pool, const struct k_part *from, uint32_t to_pool,
                     const uint32_t *to_pages)
{
    struct host *h = self;
    k_copy_pages(&h->g, h->pools[from_pool], from, h->pools[to_pool], to_pages);
    return 0;
}

static const char *host_failure(void *self)
{
    (void)self;
    return "";
}

static void host_free(void *self)
{
    struct host *h = self;
    for (uint32_t i = 0; i < h->n_pools; i++)
        munmap(h->pools[i], h->pool_b);
    free(h);
}

static const struct be_device_ops host_ops = {
    .name = "host",
    .stage_new = host_stage_new,
    .stage_free = host_stage_free,
    .upload = host_upload,
    .download = host_download,
    .fill = host_fill,
    .checksum = host_checksum,
    .peer = host_peer,
    .failure = host_failure,
    .free = host_free,
};

int be_device_host_open(struct be_device *device, const struct be_device_config *config,
                        char *error, size_t error_size)
{
    struct host *h = malloc(sizeof(*h) + config->pools * sizeof(h->pools[0]));
    if (!h) {
        snprintf(error, error_size, "device: out of memory");
        return -ENOMEM;
    }
    *h = (struct host){.g = config->geometry, .pool_b = k_pool_b(&config->geometry)};
    for (; h->n_pools < config->pools; h->n_pools++) {
        h->pools[h->n_pools] = map(h->pool_b, fault_in(h->pool_b * config->pools));
        if (!h->pools[h->n_pools]) {
            snprintf(error, error_size, "device: pool %u of %u: no room for %zu bytes", h->n_pools,
                     config->pools, h->pool_b);
            host_free(h);
            return -ENOMEM;
        }
    }
    *device = (struct be_device){.ops = &host_ops, .self = h, .title = "host memory"};
    return 0;
}
