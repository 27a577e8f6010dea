/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * device.h - the memory that holds KV pages, behind one interface: GPUs, or main memory in their
 * place.
 *
 *      be_device_open("cuda" | "host" | "auto")        chosen at run time
 *
 * A device has pools, one per GPU of the cluster that this process serves: engine e's shard s is
 * pool e * gpus_per_engine + s, and all have the same geometry. Pages come and go by numbers
 * that core decides; the device neither allocates nor counts them.
 *
 * Calls block until the bytes have arrived, and are made from worker threads; several at a time
 * are meant to overlap (cuda: streams of their own for up and down, per pool; kernels gather and
 * scatter on the device between pool and a bounce buffer there, pinned memory is copied by DMA).
 * Two calls at a time never name the same page for writing; that is core's promise (P6).
 *
 * Two builds. `make` needs no nvcc and has the host alone. `make cuda` compiles the kernels with
 * nvcc and links CUDA's runtime statically: build/cuda/kvtwin, which also starts where there is
 * no GPU or driver.
 */
#ifndef BE_DEVICE_H
#define BE_DEVICE_H

#include "../core/types.h"
#include "../kernels/kernels.h"

struct be_device_config {
    struct k_geometry geometry;
    uint32_t pools;
};

/* All are required. Functions that return int return 0 or a negative errno (-EIO: the device
 * failed, and what the call was to write is undefined). */
struct be_device_ops {
    const char *name; /* "host", "cuda" */
    /* Memory that upload and download can reach at full speed (cuda: pinned). NULL when it
     * lacks. Page aligned; contents undefined. From any thread. */
    void *(*stage_new)(void *self, size_t b);
    void (*stage_free)(void *self, void *stage, size_t b);
    /* packed (staging memory) to pages of the pool, and back. */
    int (*upload)(void *self, uint32_t pool, const struct k_part *part, const void *packed);
    int (*download)(void *self, uint32_t pool, const struct k_part *part, void *packed);
    int (*fill)(void *self, uint32_t pool, const struct k_part *part, uint64_t seed);
    int (*checksum)(void *self, uint32_t pool, const struct k_part *part, uint64_t *sum);
    /* Pages of one pool to pages of another (tokens, layers as in `from`; `to` gives pages). */
    int (*peer)(void *self, uint32_t from_pool, const struct k_part *from, uint32_t to_pool,
                const uint32_t *to_pages);
    /* One line on the first call that returned -EIO; "" as long as none did. Borrowed for the device's life. */
    const char *(*failure)(void *self);
    void (*free)(void *self);
};

struct be_device {
    const struct be_device_ops *ops;
    void *self;
    char title[128]; /* for reports: "host memory", "NVIDIA A100-SXM4-80GB x 8" */
};

/* Opens a device. name: "host", "cuda", or "auto": cuda where this build has it and a GPU is
 * there, else host. Returns 0; or a negative errno with one line in error: -ENODEV no such
 * device here, -ENOMEM the pools do not fit, -EINVAL a geometry that makes no sense. The caller
 * ends with device->ops->free. */
KVT_MUST_CHECK int be_device_open(struct be_device *device, const char *name,
                                  const struct be_device_config *config, char *error,
                                  size_t error_size);

/* What this build and machine offer, for doctor: "cuda: not in this build", "cuda: 2 x NVIDIA ...". */
void be_device_survey(char *text, size_t size);

#endif
