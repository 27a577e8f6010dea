/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * fill.c - content from a seed, on the CPU. What an element is, element.h says.
 *
 * A channel's mean and scale depend on plane and channel, not on the token. So channels are
 * taken in strips of STRIP: their parameters are worked out once per run and used for each of
 * its tokens. Every loop is vectorised.
 */
#include "kernels.h"

#include "element.h"
#include "runs.h"
#include "variants.h"

#include <string.h>

enum { STRIP = 256 };

/* Parameters of n channels from `channel`. Returns n. */
K_VARIANTS(uint32_t, strip_channels,
           (uint32_t plane, uint32_t channel, uint32_t n, float *restrict mean,
            float *restrict scale),
           (plane, channel, n, mean, scale))
{
    for (uint32_t i = 0; i < n; i++) {
        struct k_channel c = k_channel_of(plane, channel + i);
        mean[i] = c.mean;
        scale[i] = c.scale;
    }
    return n;
}

/* n channels from `channel` of one row, into `to`. Returns n. */
K_VARIANTS(uint32_t, strip_fill,
           (uint64_t row, uint32_t channel, uint32_t n, const float *restrict mean,
            const float *restrict scale, float *restrict to),
           (row, channel, n, mean, scale, to))
{
    for (uint32_t i = 0; i < n; i++) {
        struct k_channel c = {mean[i], scale[i]};
        to[i] = k_fill_element(row, channel + i, c);
    }
    return n;
}

/* A run that begins at `to`. */
static void fill_run(const struct k_geometry *g, void *to, const struct k_run *run, uint64_t seed)
{
    const uint32_t channels = g->heads * g->head_dim;
    float mean[STRIP], scale[STRIP], wide[STRIP];
    for (uint32_t channel = 0; channel < channels; channel += STRIP) {
        uint32_t n = channels - channel < STRIP ? channels - channel : STRIP;
        strip_channels(run->plane, channel, n, mean, scale);
        for (uint32_t t = 0; t < run->tokens; t++) {
            void *at = (char *)to + t * k_row_b(g) + channel * k_dtype_b(g->dtype);
            strip_fill(k_fill_row(seed, run->plane, run->token + t), channel, n, mean, scale, wide);
            if (g->dtype == K_BF16)
                k_cast_f32_to_bf16(wide, at, n);
            else if (g->dtype == K_FP16)
                k_cast_f32_to_fp16(wide, at, n);
            else
                memcpy(at, wide, n * sizeof(*wide));
        }
    }
}

void k_fill(const struct k_geometry *g, void *pool, const struct k_part *part, uint64_t seed)
{
    struct k_run run;
    for (bool more = k_run_first(&run, g, part); more; more = k_run_next(&run, g, part))
        fill_run(g, (char *)pool + run.pool_b, &run, seed);
}

void k_fill_packed(const struct k_geometry *g, const struct k_part *part, uint64_t seed,
                   void *packed)
{
    const uint32_t end = 2 * (part->layer0 + part->layers);
    struct k_run run = {.token = part->first_token, .tokens = part->tokens};
    run.b = part->tokens * k_row_b(g);
    for (run.plane = 2 * part->layer0; run.plane < end; run.plane++) {
        fill_run(g, (char *)packed + run.packed_b, &run, seed);
        run.packed_b += run.b;
    }
}
