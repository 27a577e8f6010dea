/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * kernels.cu - the kernels as nvcc takes them. All of their text is in kernels_device.h and
 * kernels_launch.h, where the tests find it too; here are only the words that C lacks.
 *
 * Built with -fmad=false: a fused multiply-add would round once where the twins round twice.
 */
#include <cuda_runtime.h>

#define K_KERNEL(name, type) extern "C" __global__ void name(type a)
#define K_SHARED             __shared__
#define K_BARRIER()          __syncthreads()
#define K_ADD(p, v)          atomicAdd((unsigned long long *)(p), (unsigned long long)(v))

/* An earlier error stays to be seen by whoever made it. */
#define K_LAUNCH(kernel, grid_x, grid_y, block, stream, args)                                      \
    (kernel<<<dim3(grid_x, grid_y), (block), 0, (cudaStream_t)(stream)>>>(args),                   \
     (int)cudaPeekAtLastError())

#include "kernels_launch.h"
