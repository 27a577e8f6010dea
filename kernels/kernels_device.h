/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * kernels_device.h - the kernels, in what C11 and CUDA C++ have in common. kernels.cu includes
 * this text for nvcc; tests/cuda_on_cpu.h includes it too, and runs it thread by thread on the
 * CPU.
 *
 * Whoever includes it defines first
 *
 *      K_KERNEL(name, type)  the head of a kernel that takes one struct, `a`, by value
 *      K_SHARED              storage shared by the threads of a block
 *      K_BARRIER()           __syncthreads()
 *      K_ADD(p, v)           atomicAdd of 64 bits
 *      threadIdx, blockIdx, blockDim, gridDim
 *
 * Shape of a launch: blockIdx.y counts planes (K or V of a layer) and threads along x the units
 * of a plane; both stride by the grid, so any grid gives the same result, and one launch moves
 * all layers. A unit is the largest of 16, 8, 4 and 2 bytes that rows and pointers are multiples
 * of: neighbours in a warp take neighbouring units, and each thread has BATCH loads under way
 * before its first store.
 *
 * Version 1. `make cuda` prints registers and shared memory. Run on the CPU: all; on hardware:
 * none yet.
 */
#ifndef K_KERNELS_DEVICE_H
#define K_KERNELS_DEVICE_H

#include "element.h"

#ifdef __CUDACC__
#define K_DEVICE static __device__ __forceinline__
#else
#define K_DEVICE static inline
#endif

enum { K_BATCH = 4, K_SUM_THREADS = 256 };
#define K_UNITS_MOST 0x80000000u

/* Where a part lies, for the kernels. pages NULL: packed, else a pool. */
struct k_place {
    const uint32_t *pages;
    uint32_t pool_pages, page_tokens;
    uint32_t first_token, tokens;
    uint32_t plane0, planes;
    uint32_t row_n; /* length of a row, in units or elements or words, as the kernel has it */
};

/* Index of the first unit of a row. plane and token count from the part's first. */
K_DEVICE uint64_t k_row_at(const struct k_place *p, uint32_t plane, uint32_t token)
{
    uint64_t row;
    if (p->pages) {
        uint32_t t = p->first_token + token;
        uint64_t page =
            (uint64_t)(p->plane0 + plane) * p->pool_pages + p->pages[t / p->page_tokens];
        row = page * p->page_tokens + t % p->page_tokens;
    } else {
        row = (uint64_t)plane * p->tokens + token;
    }
    return row * p->row_n;
}

/* Index of unit i of a plane. */
K_DEVICE uint64_t k_unit_at(const struct k_place *p, uint32_t plane, uint32_t i)
{
    return k_row_at(p, plane, i / p->row_n) + i % p->row_n;
}

/* This thread among those along x, and how many they are: below 2^24, so that with K_UNITS_MOST
 * units in a plane no index wraps. */
K_DEVICE uint32_t k_thread(void)
{
    return blockIdx.x * blockDim.x + threadIdx.x;
}
K_DEVICE uint32_t k_threads(void)
{
    return gridDim.x * blockDim.x;
}

/* ---- Gather and scatter ------------------------------------------------------------------------------- */

struct k_copy {
    struct k_place from, to; /* of equal tokens, planes and rows */
    const void *source;
    void *target;
};

#define K_COPY_KERNEL(name, unit)                                                                  \
    K_KERNEL(name, struct k_copy)                                                                  \
    {                                                                                              \
        const unit *source = (const unit *)a.source;                                               \
        unit *target = (unit *)a.target;                                                           \
        const uint32_t n = a.from.tokens * a.from.row_n, step = k_threads();                       \
        for (uint32_t plane = blockIdx.y; plane < a.from.planes; plane += gridDim.y) {             \
            for (uint32_t i = k_thread(); i < n; i += K_BATCH * step) {                            \
                unit held[K_BATCH];                                                                \
                for (uint32_t j = 0; j < K_BATCH; j++)                                             \
                    if (i + j * step < n)                                                          \
                        held[j] = source[k_unit_at(&a.from, plane, i + j * step)];                 \
                for (uint32_t j = 0; j < K_BATCH; j++)                                             \
                    if (i + j * step < n)                                                          \
                        target[k_unit_at(&a.to, plane, i + j * step)] = held[j];                   \
            }                                                                                      \
        }                                                                                          \
    }

K_COPY_KERNEL(k_copy_16, uint4)
K_COPY_KERNEL(k_copy_8, uint2)
K_COPY_KERNEL(k_copy_4, uint32_t)
K_COPY_KERNEL(k_copy_2, uint16_t)

/* ---- Fill --------------------------------------------------------------------------------------------- */

struct k_fill_args {
    struct k_place to; /* row_n: channels */
    void *target;
    uint64_t seed;
    uint32_t dtype;
};

K_KERNEL(k_fill_rows, struct k_fill_args)
{
    const uint32_t n = a.to.tokens * a.to.row_n;
    for (uint32_t plane = blockIdx.y; plane < a.to.planes; plane += gridDim.y) {
        const uint32_t which = a.to.plane0 + plane;
        for (uint32_t i = k_thread(); i < n; i += k_threads()) {
            uint32_t token = i / a.to.row_n, channel = i % a.to.row_n;
            uint64_t at = k_row_at(&a.to, plane, token) + channel;
            uint64_t row = k_fill_row(a.seed, which, a.to.first_token + token);
            float x = k_fill_element(row, channel, k_channel_of(which, channel));
            if (a.dtype == K_BF16)
                ((uint16_t *)a.target)[at] = k_bf16_of(x);
            else if (a.dtype == K_FP16)
                ((uint16_t *)a.target)[at] = k_fp16_of(x);
            else
                ((float *)a.target)[at] = x;
        }
    }
}

/* ---- Checksum ----------------------------------------------------------------------------------------- */

/* Adds up a block's sums in shared memory, in halves, and adds the result to *total. Every
 * thread of the block calls it once; blockDim.x is a power of two up to K_SUM_THREADS. */
K_DEVICE void k_sum_block(uint64_t *shared, uint64_t sum, uint64_t *total)
{
    shared[threadIdx.x] = sum;
    K_BARRIER();
    for (uint32_t half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            shared[threadIdx.x] += shared[threadIdx.x + half];
        K_BARRIER();
    }
    if (threadIdx.x == 0)
        K_ADD(total, shared[0]);
}

struct k_sum {
    struct k_place
        from; /* k_sum_rows: row_n in words. k_sum_bytes: in bytes; planes 0: no place, bytes together */
    const void *source;
    uint64_t n_b; /* bytes, packed */
    uint64_t *total;
};

/* Word i of n bytes that lie together, missing bytes zero. */
K_DEVICE uint64_t k_word_of(const unsigned char *bytes, uint64_t n, uint64_t i)
{
    uint64_t word = 0;
    for (uint32_t j = 0; j < 8 && 8 * i + j < n; j++)
        word |= (uint64_t)bytes[8 * i + j] << (8 * j);
    return word;
}

/* Bytes that lie together, aligned to words. */
K_KERNEL(k_sum_words, struct k_sum)
{
    K_SHARED uint64_t shared[K_SUM_THREADS];
    const uint64_t *words = (const uint64_t *)a.source;
    const uint64_t n = a.n_b / 8, step = k_threads();
    uint64_t sum = 0;
    for (uint64_t i = k_thread(); i < n; i += K_BATCH * step) {
        uint64_t held[K_BATCH];
        for (uint32_t j = 0; j < K_BATCH; j++)
            held[j] = i + j * step < n ? words[i + j * step] : 0;
        for (uint32_t j = 0; j < K_BATCH; j++)
            if (i + j * step < n)
                sum += k_checksum_word(held[j], i + j * step);
    }
    if (k_thread() == 0 && a.n_b % 8 > 0)
        sum += k_checksum_word(k_word_of((const unsigned char *)a.source, a.n_b, n), n);
    k_sum_block(shared, sum, a.total);
}

/* Rows of whole words, in pages. */
K_KERNEL(k_sum_rows, struct k_sum)
{
    K_SHARED uint64_t shared[K_SUM_THREADS];
    const uint64_t *words = (const uint64_t *)a.source;
    const uint32_t n = a.from.tokens * a.from.row_n, step = k_threads();
    uint64_t sum = 0;
    for (uint32_t plane = blockIdx.y; plane < a.from.planes; plane += gridDim.y) {
        for (uint32_t i = k_thread(); i < n; i += K_BATCH * step) {
            uint64_t held[K_BATCH];
            for (uint32_t j = 0; j < K_BATCH; j++)
                held[j] = i + j * step < n ? words[k_unit_at(&a.from, plane, i + j * step)] : 0;
            for (uint32_t j = 0; j < K_BATCH; j++)
                if (i + j * step < n)
                    sum += k_checksum_word(held[j], (uint64_t)plane * n + i + j * step);
        }
    }
    k_sum_block(shared, sum, a.total);
}

/* Anything else: rows that end within a word, pointers that are not aligned. Byte by byte. */
K_KERNEL(k_sum_bytes, struct k_sum)
{
    K_SHARED uint64_t shared[K_SUM_THREADS];
    const unsigned char *bytes = (const unsigned char *)a.source;
    const uint64_t n = (a.n_b + 7) / 8, plane_b = (uint64_t)a.from.tokens * a.from.row_n;
    uint64_t sum = 0;
    for (uint64_t i = k_thread(); i < n; i += k_threads()) {
        uint64_t word = 0;
        for (uint32_t j = 0; j < 8 && 8 * i + j < a.n_b; j++) {
            uint64_t at = 8 * i + j;
            if (a.from.planes > 0)
                at = k_unit_at(&a.from, (uint32_t)(at / plane_b), (uint32_t)(at % plane_b));
            word |= (uint64_t)bytes[at] << (8 * j);
        }
        sum += k_checksum_word(word, i);
    }
    k_sum_block(shared, sum, a.total);
}

/* ---- Casts -------------------------------------------------------------------------------------------- */

struct k_cast {
    const void *from;
    void *to;
    uint64_t n;
    uint32_t fours; /* both pointers allow units of four elements */
};

/* Four elements at a time, then what is left. */
#define K_CAST_KERNEL(name, from_one, from_four, to_one, to_four, cast)                            \
    K_KERNEL(name, struct k_cast)                                                                  \
    {                                                                                              \
        const from_one *from = (const from_one *)a.from;                                           \
        to_one *to = (to_one *)a.to;                                                               \
        const uint64_t fours = a.fours ? a.n / 4 : 0;                                              \
        for (uint64_t i = k_thread(); i < fours; i += k_threads()) {                               \
            from_four x = ((const from_four *)a.from)[i];                                          \
            to_four y;                                                                             \
            y.x = cast(x.x);                                                                       \
            y.y = cast(x.y);                                                                       \
            y.z = cast(x.z);                                                                       \
            y.w = cast(x.w);                                                                       \
            ((to_four *)a.to)[i] = y;                                                              \
        }                                                                                          \
        for (uint64_t i = 4 * fours + k_thread(); i < a.n; i += k_threads())                       \
            to[i] = cast(from[i]);                                                                 \
    }

K_CAST_KERNEL(k_f32_to_fp16, float, float4, uint16_t, ushort4, k_fp16_of)
K_CAST_KERNEL(k_f32_to_bf16, float, float4, uint16_t, ushort4, k_bf16_of)
K_CAST_KERNEL(k_fp16_to_f32, uint16_t, ushort4, float, float4, k_of_fp16)
K_CAST_KERNEL(k_bf16_to_f32, uint16_t, ushort4, float, float4, k_of_bf16)

#endif
