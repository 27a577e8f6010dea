/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * kernels.h - what is done to KV bytes where they lie: each function on the CPU, and the same on
 * a GPU.
 *
 * Two layouts. A pool is the paged memory of one GPU, for H of the model's KV heads:
 *
 *      pool     [layer][K, V][page][token in page][head][dim]          row = one token: H * head_dim elements
 *      packed   [layer][K, V][token][head][dim]                        layers [layer0, layer0 + layers)
 *
 * A block of T tokens lies in ceil(T / page_tokens) pages, anywhere in the pool, the last
 * perhaps partly filled. Packed is how a block travels: what is staged, coded, stored and
 * checked.
 *
 * The functions without suffix are the CPU twins: the definition of what the kernels do, byte
 * for byte. Those of cuda.h do the same on a device. Nothing here allocates, blocks or keeps
 * state; all are safe from any thread on memory of the caller's own.
 */
#ifndef K_KERNELS_H
#define K_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum k_dtype { K_BF16, K_FP16, K_FP32, K_DTYPES };

/* A pool's shape. */
struct k_geometry {
    uint32_t layers;
    uint32_t heads; /* KV heads of this pool */
    uint32_t head_dim;
    uint32_t page_tokens;
    uint32_t pages; /* in the pool */
    enum k_dtype dtype;
};

static inline size_t k_dtype_b(enum k_dtype dtype)
{
    return dtype == K_FP32 ? 4 : 2;
}
/* Bytes of one token in one layer, K or V. */
static inline size_t k_row_b(const struct k_geometry *g)
{
    return (size_t)g->heads * g->head_dim * k_dtype_b(g->dtype);
}
static inline size_t k_pool_b(const struct k_geometry *g)
{
    return 2 * (size_t)g->layers * g->pages * g->page_tokens * k_row_b(g);
}
/* Bytes of `tokens` tokens in `layers` layers, packed. */
static inline size_t k_packed_b(const struct k_geometry *g, uint32_t layers, uint32_t tokens)
{
    return 2 * (size_t)layers * tokens * k_row_b(g);
}

/* Part of a block: the pages that hold it, and which tokens and layers of it are meant. pages[i]
 * holds tokens [i * page_tokens, (i + 1) * page_tokens) of the block. */
struct k_part {
    const uint32_t *pages;
    uint32_t first_token, tokens; /* in the block */
    uint32_t layer0, layers;
};

/* Pool to packed: packed receives k_packed_b(g, part->layers, part->tokens) bytes. */
void k_gather(const struct k_geometry *g, const void *pool, const struct k_part *part,
              void *packed);

/* Packed to pool. */
void k_scatter(const struct k_geometry *g, void *pool, const struct k_part *part,
               const void *packed);

/* Pages of one pool to pages of another, or of the same, of equal geometry: the tokens and
 * layers of `from`, to to_pages. No page is on both sides. */
void k_copy_pages(const struct k_geometry *g, const void *from_pool, const struct k_part *from,
                  void *to_pool, const uint32_t *to_pages);

/* Content that follows from a seed, in place of a model's: element (layer, K or V, token,
 * channel) of the block named by seed is a fixed function of these five numbers. Roughly
 * Gaussian per channel, with a mean and a width of the channel's own for K, so that codecs find
 * about what they find in real KV. The token is the one in the block (first_token + i), so a
 * block filled in pieces equals one filled at once. */
void k_fill(const struct k_geometry *g, void *pool, const struct k_part *part, uint64_t seed);

/* The same content, packed. part->pages is not looked at. */
void k_fill_packed(const struct k_geometry *g, const struct k_part *part, uint64_t seed,
                   void *packed);

/* 64-bit checksum of n bytes; not for adversaries. Defined so that thousands of threads can
 * share the work: a sum over 8-byte words of a mix of the word and its position; bytes behind
 * the last whole word count as a word padded with zeroes. */
uint64_t k_checksum(const void *bytes, size_t n);

/* k_checksum of what k_gather would give, without packing. */
uint64_t k_checksum_paged(const struct k_geometry *g, const void *pool, const struct k_part *part);

/* n elements, rounded to nearest even; infinities stay, NaN stays NaN. Not in place. */
void k_cast_f32_to_fp16(const float *from, uint16_t *to, size_t n);
void k_cast_f32_to_bf16(const float *from, uint16_t *to, size_t n);
void k_cast_fp16_to_f32(const uint16_t *from, float *to, size_t n);
void k_cast_bf16_to_f32(const uint16_t *from, float *to, size_t n);

#ifdef __cplusplus
}
#endif

#endif
