/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * kernels_help.h - random pools and parts, and where an element lies by the drawing of
 * kernels.h, without its code.
 */
#ifndef KERNELS_HELP_H
#define KERNELS_HELP_H

#include <stdlib.h>
#include <string.h>

#include "../kernels/kernels.h"
#include "dice.h"

enum { PAGES_MOST = 40 };

struct kv_case {
    struct k_geometry g;
    struct k_part part;
    uint32_t pages[PAGES_MOST];
    size_t pool_b, packed_b;
};

/* n different pages of g, in no order. */
static inline void draw_pages(const struct k_geometry *g, uint32_t *pages, uint32_t n)
{
    uint32_t all[PAGES_MOST];
    for (uint32_t i = 0; i < g->pages; i++)
        all[i] = i;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = i + (uint32_t)dice_below(g->pages - i), page = all[j];
        all[j] = all[i];
        pages[i] = all[i] = page;
    }
}

/* Rows from 2 bytes on, odd ones among them; one page or many; parts that begin and end anywhere. */
static inline void draw_case(struct kv_case *c)
{
    static const uint32_t dims[] = {1, 2, 3, 4, 5, 8, 16, 20, 64, 128};
    *c = (struct kv_case){0};
    c->g = (struct k_geometry){
        .layers = 1 + (uint32_t)dice_below(5),
        .heads = 1 + (uint32_t)dice_below(dice_one_in(4) ? 8 : 3),
        .head_dim = dims[dice_below(sizeof(dims) / sizeof(dims[0]))],
        .page_tokens = 1 + (uint32_t)dice_below(dice_one_in(3) ? 64 : 17),
        .pages = 1 + (uint32_t)dice_below(dice_one_in(3) ? 3 : 12),
        .dtype = (enum k_dtype)dice_below(K_DTYPES),
    };
    uint32_t n = 1 + (uint32_t)dice_below(c->g.pages), room = n * c->g.page_tokens;
    draw_pages(&c->g, c->pages, n);
    c->part.pages = c->pages;
    c->part.first_token = dice_one_in(2) ? 0 : (uint32_t)dice_below(room);
    c->part.tokens = 1 + (uint32_t)dice_below(room - c->part.first_token);
    c->part.layer0 = dice_one_in(2) ? 0 : (uint32_t)dice_below(c->g.layers);
    c->part.layers = 1 + (uint32_t)dice_below(c->g.layers - c->part.layer0);
    c->pool_b = k_pool_b(&c->g);
    c->packed_b = k_packed_b(&c->g, c->part.layers, c->part.tokens);
}

/* The row of token t (from the part's first) of plane p (from the part's first) in the pool. */
static inline size_t pool_row(const struct kv_case *c, uint32_t p, uint32_t t)
{
    const struct k_geometry *g = &c->g;
    uint32_t token = c->part.first_token + t;
    size_t plane = 2 * c->part.layer0 + p;
    size_t page = c->part.pages[token / g->page_tokens];
    return ((plane * g->pages + page) * g->page_tokens + token % g->page_tokens) * g->heads *
           g->head_dim * (g->dtype == K_FP32 ? 4 : 2);
}

/* Exactly n bytes of noise, so that a sanitizer sees the first byte outside. Caller frees. */
static inline unsigned char *noise(size_t n)
{
    unsigned char *bytes = malloc(n > 0 ? n : 1);
    if (!bytes)
        abort();
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)(kvt_mix64(dice.seed + ++dice.draws) >> 8);
    return bytes;
}

static inline unsigned char *copy_of(const unsigned char *from, size_t n)
{
    unsigned char *bytes = malloc(n > 0 ? n : 1);
    if (!bytes)
        abort();
    memcpy(bytes, from, n);
    return bytes;
}

#endif
