/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * device.c - opening a device by name.
 *
 * The host is always there. CUDA is there in a build made for it (make cuda, which defines
 * KVT_CUDA) on a machine with a GPU and its driver; the runtime is linked statically and looks
 * for the driver by itself, so such a build also starts without one. "auto" tries CUDA and takes
 * the host where there is none; a GPU that is there but cannot hold the pools is an error, not a
 * reason to measure something else.
 */
#include "device.h"

#include "device_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Largest pool, so that no product of the geometry's numbers can wrap. */
#define POOL_MOST_B ((uint64_t)1 << 50)

/* NULL, or what does not make sense. */
static const char *config_fault(const struct be_device_config *config)
{
    const struct k_geometry *g = &config->geometry;
    if (config->pools == 0 || config->pools > BE_POOLS_MOST)
        return "pools: 1 to 4096 expected";
    if (g->dtype < 0 || g->dtype >= K_DTYPES)
        return "dtype: bf16, fp16 or fp32 expected";
    if (g->layers == 0 || g->heads == 0 || g->head_dim == 0 || g->page_tokens == 0 || g->pages == 0)
        return "layers, heads, head_dim, page_tokens, pages: each at least 1 expected";
    /* The channels of a row and the planes are 32-bit numbers. */
    if (g->layers > UINT32_MAX / 2 || (uint64_t)g->heads * g->head_dim > UINT32_MAX / 4)
        return "layers, heads * head_dim: below 2^30 expected";
    unsigned __int128 b = (unsigned __int128)2 * g->layers * g->pages * g->page_tokens;
    if (b > POOL_MOST_B || b * k_row_b(g) > POOL_MOST_B)
        return "a pool: at most 1 PiB expected";
    return NULL;
}

int be_device_open(struct be_device *device, const char *name,
                   const struct be_device_config *config, char *error, size_t error_size)
{
    const char *fault = config_fault(config);
    if (fault) {
        snprintf(error, error_size, "device: %s", fault);
        return -EINVAL;
    }
    if (strcmp(name, "host") == 0)
        return be_device_host_open(device, config, error, error_size);
    if (strcmp(name, "cuda") == 0)
        return be_device_cuda_open(device, config, error, error_size);
    if (strcmp(name, "auto") != 0) {
        snprintf(error, error_size, "device: '%s': auto, cuda or host expected", name);
        return -EINVAL;
    }
    int rc = be_device_cuda_open(device, config, error, error_size);
    return rc == -ENODEV ? be_device_host_open(device, config, error, error_size) : rc;
}

void be_device_survey(char *text, size_t size)
{
    char cuda[256];
    be_device_cuda_survey(cuda, sizeof(cuda));
    snprintf(text, size, "host: main memory; cuda: %s", cuda);
}

#ifndef KVT_CUDA

int be_device_cuda_open(struct be_device *device, const struct be_device_config *config,
                        char *error, size_t error_size)
{
    (void)device;
    (void)config;
    snprintf(error, error_size, "device: cuda: not in this build (make cuda)");
    return -ENODEV;
}

void be_device_cuda_survey(char *text, size_t size)
{
    snprintf(text, size, "not in this build (make cuda)");
}

#endif
