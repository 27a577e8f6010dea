/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * grams.c - see grams.h.
 *
 * What two sketches have in common is the sum of the smaller of each two counts, sixteen at a time, by
 * the compilers' vector types. Counts stop at 255, and all that was not counted is in one number per
 * sketch: of it, the smaller of both may be in common as well.
 */
#include "grams.h"

#include <string.h>

enum { FULL = 255, LANES_B = 16 };

_Static_assert(sizeof(struct kvt_grams) % LANES_B == 0, "vectors");
_Static_assert(KVT_GRAMS_B / LANES_B * FULL <= UINT16_MAX, "sums of lanes fit");

static void count_one(uint8_t *count, uint32_t *more)
{
    if (*count < FULL)
        ++*count;
    else
        ++*more;
}

void kvt_grams_draw(struct kvt_grams *k, uint32_t q, const uint32_t *elements, uint32_t n)
{
    memset(k, 0, sizeof *k);
    for (uint32_t i = 0; i < n; i++)
        count_one(&k->bag[elements[i] * UINT32_C(0x9e3779b1) >> 24], &k->bag_more);
    for (uint32_t i = 0; q > 0 && i + q <= n; i++) {
        uint32_t h = 0;
        for (uint32_t g = 0; g < q; g++)
            h = (h ^ elements[i + g]) * UINT32_C(0x9e3779b1);
        count_one(&k->grams[h >> 20], &k->grams_more);
    }
}

typedef uint8_t lanes8 __attribute__((vector_size(LANES_B)));
typedef uint16_t lanes16 __attribute__((vector_size(LANES_B)));

static uint32_t common(const uint8_t *x, const uint8_t *y, uint32_t n_b)
{
    lanes16 sum = {0};
    for (uint32_t i = 0; i < n_b; i += LANES_B) {
        lanes8 a, b;
        memcpy(&a, x + i, sizeof a);
        memcpy(&b, y + i, sizeof b);
        const lanes8 less = (lanes8)(a < b);
        const lanes16 least = (lanes16)((a & less) | (b & ~less));
        sum += (least & 0xff) + (least >> 8);
    }
    uint32_t all = 0;
    for (uint32_t i = 0; i < LANES_B / 2; i++)
        all += sum[i];
    return all;
}

static uint32_t smaller(uint32_t x, uint32_t y)
{
    return x < y ? x : y;
}

uint32_t kvt_grams_bag(const struct kvt_grams *x, const struct kvt_grams *y)
{
    return common(x->bag, y->bag, KVT_GRAMS_BAG_B) + smaller(x->bag_more, y->bag_more);
}

uint32_t kvt_grams_common(const struct kvt_grams *x, const struct kvt_grams *y)
{
    return common(x->grams, y->grams, KVT_GRAMS_B) + smaller(x->grams_more, y->grams_more);
}
