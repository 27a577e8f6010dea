/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * kernels_launch.h - the functions of cuda.h: which kernel, how wide, on which grid. Like
 * kernels_device.h it is included by kernels.cu and by the tests, which define besides
 *
 *      K_LAUNCH(kernel, grid_x, grid_y, block, stream, args)     an int: 0, or the runtime's error
 */
#ifndef K_KERNELS_LAUNCH_H
#define K_KERNELS_LAUNCH_H

#include "cuda.h"
#include "kernels_device.h"

/* Blocks of K_BLOCK threads; along x enough for the work, and no more than fill the largest GPU
 * (132 multiprocessors, 8 such blocks each) several times over. The kernels stride over the
 * rest. */
enum { K_BLOCK = 256, K_GRID_X_MOST = 4224, K_GRID_Y_MOST = 65535 };

static inline uint32_t k_grid_x(uint64_t threads)
{
    uint64_t blocks = (threads + K_BLOCK - 1) / K_BLOCK;
    return blocks < K_GRID_X_MOST ? (uint32_t)blocks : (uint32_t)K_GRID_X_MOST;
}

static inline uint32_t k_grid_y(uint32_t planes)
{
    return planes < K_GRID_Y_MOST ? planes : (uint32_t)K_GRID_Y_MOST;
}

static inline struct k_place k_place_of(const struct k_geometry *g, const struct k_part *part,
                                        size_t unit_b, int packed)
{
    struct k_place p;
    p.pages = packed ? NULL : part->pages;
    p.pool_pages = g->pages;
    p.page_tokens = g->page_tokens;
    p.first_token = part->first_token;
    p.tokens = part->tokens;
    p.plane0 = 2 * part->layer0;
    p.planes = 2 * part->layers;
    p.row_n = (uint32_t)(k_row_b(g) / unit_b);
    return p;
}

static inline int k_empty(const struct k_part *part)
{
    return part->tokens == 0 || part->layers == 0;
}

/* cudaErrorInvalidValue */
enum { K_TOO_LARGE = 1 };

/* Units of a plane: 32 bits number them, as 64 bits take a GPU long to divide. False for too many. */
static inline int k_units(const struct k_place *p, uint64_t *units)
{
    *units = (uint64_t)p->tokens * p->row_n;
    return *units <= K_UNITS_MOST;
}

/* The largest unit that all of them are multiples of. */
static inline size_t k_unit_b(const void *p, const void *q, size_t row_b)
{
    size_t all = (size_t)p | (size_t)q | row_b;
    return all % 16 == 0 ? 16 : all % 8 == 0 ? 8 : all % 4 == 0 ? 4 : 2;
}

static int k_launch_copy(const struct k_geometry *g, const void *source, const void *target,
                         const struct k_part *part, int to_packed, void *stream)
{
    size_t unit_b = k_unit_b(source, target, k_row_b(g));
    struct k_copy a;
    uint64_t units;
    if (k_empty(part))
        return 0;
    a.from = k_place_of(g, part, unit_b, !to_packed);
    a.to = k_place_of(g, part, unit_b, to_packed);
    a.source = source;
    a.target = (void *)(size_t)target;
    if (!k_units(&a.from, &units))
        return K_TOO_LARGE;
    uint32_t x = k_grid_x((units + K_BATCH - 1) / K_BATCH), y = k_grid_y(a.from.planes);
    switch (unit_b) {
    case 16:
        return K_LAUNCH(k_copy_16, x, y, K_BLOCK, stream, a);
    case 8:
        return K_LAUNCH(k_copy_8, x, y, K_BLOCK, stream, a);
    case 4:
        return K_LAUNCH(k_copy_4, x, y, K_BLOCK, stream, a);
    default:
        return K_LAUNCH(k_copy_2, x, y, K_BLOCK, stream, a);
    }
}

int k_cuda_gather(const struct k_geometry *g, const void *pool, const struct k_part *part,
                  void *packed, void *stream)
{
    return k_launch_copy(g, pool, packed, part, 1, stream);
}

int k_cuda_scatter(const struct k_geometry *g, void *pool, const struct k_part *part,
                   const void *packed, void *stream)
{
    return k_launch_copy(g, packed, pool, part, 0, stream);
}

static int k_launch_fill(const struct k_geometry *g, const struct k_part *part, uint64_t seed,
                         void *target, int packed, void *stream)
{
    struct k_fill_args a;
    uint64_t units;
    if (k_empty(part))
        return 0;
    a.to = k_place_of(g, part, k_dtype_b(g->dtype), packed);
    a.target = target;
    a.seed = seed;
    a.dtype = (uint32_t)g->dtype;
    if (!k_units(&a.to, &units))
        return K_TOO_LARGE;
    return K_LAUNCH(k_fill_rows, k_grid_x(units), k_grid_y(a.to.planes), K_BLOCK, stream, a);
}

int k_cuda_fill(const struct k_geometry *g, void *pool, const struct k_part *part, uint64_t seed,
                void *stream)
{
    return k_launch_fill(g, part, seed, pool, 0, stream);
}

int k_cuda_fill_packed(const struct k_geometry *g, const struct k_part *part, uint64_t seed,
                       void *packed, void *stream)
{
    return k_launch_fill(g, part, seed, packed, 1, stream);
}

int k_cuda_checksum(const void *bytes, size_t n, uint64_t *sum, void *stream)
{
    struct k_sum a;
    if (n == 0)
        return 0;
    memset(&a, 0, sizeof(a));
    a.source = bytes;
    a.n_b = n;
    a.total = sum;
    if ((size_t)bytes % 8 == 0)
        return K_LAUNCH(k_sum_words, k_grid_x((n / 8 + K_BATCH) / K_BATCH), 1, K_SUM_THREADS,
                        stream, a);
    return K_LAUNCH(k_sum_bytes, k_grid_x(n / 8 + 1), 1, K_SUM_THREADS, stream, a);
}

int k_cuda_checksum_paged(const struct k_geometry *g, const void *pool, const struct k_part *part,
                          uint64_t *sum, void *stream)
{
    int whole = k_row_b(g) % 8 == 0 && (size_t)pool % 8 == 0;
    struct k_sum a;
    uint64_t units;
    if (k_empty(part))
        return 0;
    a.from = k_place_of(g, part, whole ? 8 : 1, 0);
    a.source = pool;
    a.n_b = k_packed_b(g, part->layers, part->tokens);
    a.total = sum;
    if (!k_units(&a.from, &units))
        return K_TOO_LARGE;
    if (whole)
        return K_LAUNCH(k_sum_rows, k_grid_x((units + K_BATCH - 1) / K_BATCH),
                        k_grid_y(a.from.planes), K_SUM_THREADS, stream, a);
    return K_LAUNCH(k_sum_bytes, k_grid_x(a.n_b / 8 + 1), 1, K_SUM_THREADS, stream, a);
}

uint64_t k_cuda_checksum_end(uint64_t sum, size_t n)
{
    return k_checksum_end(sum, n);
}

static struct k_cast k_cast_of(const void *from, void *to, size_t n, size_t from_b, size_t to_b)
{
    struct k_cast a;
    a.from = from;
    a.to = to;
    a.n = n;
    a.fours = (size_t)from % (4 * from_b) == 0 && (size_t)to % (4 * to_b) == 0;
    return a;
}

#define K_CAST(kernel, from_b, to_b)                                                               \
    struct k_cast a = k_cast_of(from, to, n, from_b, to_b);                                        \
    return n == 0 ? 0 : K_LAUNCH(kernel, k_grid_x(a.fours ? n / 4 + 1 : n), 1, K_BLOCK, stream, a)

int k_cuda_cast_f32_to_fp16(const float *from, uint16_t *to, size_t n, void *stream)
{
    K_CAST(k_f32_to_fp16, 4, 2);
}

int k_cuda_cast_f32_to_bf16(const float *from, uint16_t *to, size_t n, void *stream)
{
    K_CAST(k_f32_to_bf16, 4, 2);
}

int k_cuda_cast_fp16_to_f32(const uint16_t *from, float *to, size_t n, void *stream)
{
    K_CAST(k_fp16_to_f32, 2, 4);
}

int k_cuda_cast_bf16_to_f32(const uint16_t *from, float *to, size_t n, void *stream)
{
    K_CAST(k_bf16_to_f32, 2, 4);
}

#endif
