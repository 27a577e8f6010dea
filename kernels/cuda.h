/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cuda.h - the kernels of kernels.h on a GPU: what the twin of the same name does, on the
 * device's memory.
 *
 * Every function puts one launch, of all layers together, on a stream (a cudaStream_t; NULL: the
 * default one) of the current device and returns at once: 0, or the runtime's error number as it
 * is (cudaGetErrorString knows it). All pointers are the device's, part->pages too, which has to
 * stay until the kernel has run. Pool and packed memory are aligned to 16 bytes as cudaMalloc
 * gives them; less is slower, not wrong.
 *
 * A checksum on the device is a sum that has to be ended on the host: *sum (8 bytes of the
 * device's memory) is added to, and is 0 before; k_cuda_checksum_end makes of it what k_checksum
 * returns.
 */
#ifndef K_CUDA_H
#define K_CUDA_H

#include "kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

int k_cuda_gather(const struct k_geometry *g, const void *pool, const struct k_part *part,
                  void *packed, void *stream);
int k_cuda_scatter(const struct k_geometry *g, void *pool, const struct k_part *part,
                   const void *packed, void *stream);

int k_cuda_fill(const struct k_geometry *g, void *pool, const struct k_part *part, uint64_t seed,
                void *stream);
int k_cuda_fill_packed(const struct k_geometry *g, const struct k_part *part, uint64_t seed,
                       void *packed, void *stream);

int k_cuda_checksum(const void *bytes, size_t n, uint64_t *sum, void *stream);
int k_cuda_checksum_paged(const struct k_geometry *g, const void *pool, const struct k_part *part,
                          uint64_t *sum, void *stream);
/* n: of the checksum's bytes; for a part, k_packed_b of it. */
uint64_t k_cuda_checksum_end(uint64_t sum, size_t n);

int k_cuda_cast_f32_to_fp16(const float *from, uint16_t *to, size_t n, void *stream);
int k_cuda_cast_f32_to_bf16(const float *from, uint16_t *to, size_t n, void *stream);
int k_cuda_cast_fp16_to_f32(const uint16_t *from, float *to, size_t n, void *stream);
int k_cuda_cast_bf16_to_f32(const uint16_t *from, float *to, size_t n, void *stream);

#ifdef __cplusplus
}
#endif

#endif
