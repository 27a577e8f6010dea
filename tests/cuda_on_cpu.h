/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cuda_on_cpu.h - runs the text of kernels/kernels_device.h and kernels_launch.h as C, so that a
 * sanitizer can look at what a GPU would execute.
 *
 * A launch starts one POSIX thread per thread of a block. The blocks are run one after another,
 * as their order must not matter; within a block the threads run at once, K_BARRIER holds them
 * until all have come, and shared memory is one static variable per kernel: what one thread
 * writes and another reads without a barrier between is a data race here as it is there, and
 * TSan says so. Kernels that the hardware's rules forbid are found too: a barrier that some
 * threads of a block do not reach, or reach at another line, ends the launch with an error.
 *
 * `cuda_on_cpu` shrinks grids, so that kernels have to stride, and blocks, so that a launch is
 * cheap. Include in one place per program; it defines the functions of cuda.h.
 */
#ifndef CUDA_ON_CPU_H
#define CUDA_ON_CPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- The words of CUDA ---------------------------------------------------------------------------------- */

struct cuda_dim {
    uint32_t x, y;
};

static _Thread_local struct cuda_dim threadIdx, blockIdx;
static struct cuda_dim blockDim, gridDim;

typedef struct {
    _Alignas(16) uint32_t x;
    uint32_t y, z, w;
} uint4;
typedef struct {
    _Alignas(8) uint32_t x;
    uint32_t y;
} uint2;
typedef struct {
    _Alignas(16) float x;
    float y, z, w;
} float4;
typedef struct {
    _Alignas(8) uint16_t x;
    uint16_t y, z, w;
} ushort4;

#define K_KERNEL(name, type)                                                                       \
    static void name(type a);                                                                      \
    static void name##_entry(const void *args)                                                     \
    {                                                                                              \
        name(*(const type *)args);                                                                 \
    }                                                                                              \
    static void name(type a)
#define K_SHARED    static
#define K_BARRIER() cuda_on_cpu_barrier(__LINE__)
#define K_ADD(p, v) ((void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))

/* Launches run at once, or go where CUDA_ON_CPU_LAUNCH leads them: (entry, args, bytes of args,
 * grid_x, grid_y, block, stream) -> int. */
#ifndef CUDA_ON_CPU_LAUNCH
#define CUDA_ON_CPU_LAUNCH(entry, args, args_b, grid_x, grid_y, block, stream)                     \
    ((void)(args_b), (void)(stream), cuda_on_cpu_run(entry, args, grid_x, grid_y, block))
#endif
#define K_LAUNCH(kernel, grid_x, grid_y, block, stream, args)                                      \
    CUDA_ON_CPU_LAUNCH(kernel##_entry, &(args), sizeof(args), grid_x, grid_y, block, stream)

/* ---- A launch ------------------------------------------------------------------------------------------- */

enum { CUDA_ON_CPU_DIVERGED = 719 }; /* cudaErrorLaunchFailure */

static struct {
    uint32_t most_x, most_y, most_block; /* 0: as the launcher says */
    uint64_t launches, blocks, barriers;

    pthread_mutex_t lock;
    pthread_cond_t turned;
    uint32_t waiting,
        gone; /* threads of this block at the barrier, and behind the end of the kernel */
    uint64_t turn;
    int line;
    bool diverged;

    void (*entry)(const void *args);
    const void *args;
} cuda_on_cpu = {.lock = PTHREAD_MUTEX_INITIALIZER, .turned = PTHREAD_COND_INITIALIZER};

/* Opens the barrier when nobody else can come any more. */
static void cuda_on_cpu_try_turn(void)
{
    if (cuda_on_cpu.waiting == 0 || cuda_on_cpu.waiting + cuda_on_cpu.gone < blockDim.x)
        return;
    if (cuda_on_cpu.gone > 0)
        cuda_on_cpu.diverged = true;
    cuda_on_cpu.waiting = 0;
    cuda_on_cpu.turn++;
    pthread_cond_broadcast(&cuda_on_cpu.turned);
}

static void cuda_on_cpu_barrier(int line)
{
    pthread_mutex_lock(&cuda_on_cpu.lock);
    if (cuda_on_cpu.waiting == 0)
        cuda_on_cpu.line = line;
    else if (cuda_on_cpu.line != line)
        cuda_on_cpu.diverged = true;
    cuda_on_cpu.barriers++;
    uint64_t turn = cuda_on_cpu.turn;
    cuda_on_cpu.waiting++;
    cuda_on_cpu_try_turn();
    while (turn == cuda_on_cpu.turn)
        pthread_cond_wait(&cuda_on_cpu.turned, &cuda_on_cpu.lock);
    pthread_mutex_unlock(&cuda_on_cpu.lock);
}

/* The end of the kernel, for one block: the last to come opens the next block. No barrier of the
 * kernel's: who waits at one of those now does so in vain. */
static void cuda_on_cpu_leave(void)
{
    pthread_mutex_lock(&cuda_on_cpu.lock);
    uint64_t block = cuda_on_cpu.blocks;
    if (++cuda_on_cpu.gone == blockDim.x) {
        cuda_on_cpu.gone = 0;
        cuda_on_cpu.blocks++;
        pthread_cond_broadcast(&cuda_on_cpu.turned);
    } else {
        cuda_on_cpu_try_turn();
    }
    while (block == cuda_on_cpu.blocks)
        pthread_cond_wait(&cuda_on_cpu.turned, &cuda_on_cpu.lock);
    pthread_mutex_unlock(&cuda_on_cpu.lock);
}

static void *cuda_on_cpu_thread(void *index)
{
    threadIdx = (struct cuda_dim){(uint32_t)(uintptr_t)index, 0};
    for (uint32_t y = 0; y < gridDim.y; y++)
        for (uint32_t x = 0; x < gridDim.x; x++) {
            blockIdx = (struct cuda_dim){x, y};
            cuda_on_cpu.entry(cuda_on_cpu.args);
            cuda_on_cpu_leave();
        }
    return NULL;
}

static uint32_t cuda_on_cpu_least(uint32_t n, uint32_t most)
{
    return most > 0 && n > most ? most : n;
}

/* Returns 0, or CUDA_ON_CPU_DIVERGED. One launch at a time. */
static int cuda_on_cpu_run(void (*entry)(const void *args), const void *args, uint32_t grid_x,
                           uint32_t grid_y, uint32_t block)
{
    pthread_t threads[1024];
    if (grid_x == 0 || grid_y == 0 || block == 0 || block > 1024 || grid_y > 65535)
        return 9; /* cudaErrorInvalidConfiguration */
    gridDim = (struct cuda_dim){cuda_on_cpu_least(grid_x, cuda_on_cpu.most_x),
                                cuda_on_cpu_least(grid_y, cuda_on_cpu.most_y)};
    blockDim = (struct cuda_dim){cuda_on_cpu_least(block, cuda_on_cpu.most_block), 1};
    cuda_on_cpu.entry = entry;
    cuda_on_cpu.args = args;
    cuda_on_cpu.diverged = false;
    cuda_on_cpu.launches++;
    for (uintptr_t i = 0; i < blockDim.x; i++)
        if (pthread_create(&threads[i], NULL, cuda_on_cpu_thread, (void *)i) != 0)
            abort();
    for (uint32_t i = 0; i < blockDim.x; i++)
        pthread_join(threads[i], NULL);
    return cuda_on_cpu.diverged ? CUDA_ON_CPU_DIVERGED : 0;
}

#include "../kernels/kernels_launch.h"

#endif
