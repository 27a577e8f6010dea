/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_quant.c - int8 and int4: groups of elements as whole numbers between the group's least
 * and greatest.
 *
 *      zero  = least              scale = (greatest - least) / most        most = 255 or 15
 *      code  = round((x - zero) / scale)             x' = zero + code * scale
 *
 * so that |x - x'| <= scale / 2, but for the rounding of floats (and of x' to the raw type). K
 * has channels with means of their own, so its groups run along the tokens of one channel; V has
 * none, and its groups run along the channels of one token. int8: the whole axis is one group;
 * int4: groups of 32, the last perhaps smaller.
 *
 *      matrix  = scale[groups] zero[groups] codes         fp32, little-endian; then the next matrix
 *      groups  : K  [token group][channel]         V  [token][channel group]
 *      codes   : [token][channel], one byte each; int4: a row is runs of 32 channels in 16 bytes, byte j
 *                holding channel j (low half) and j + 16 (high half); a last run of r < 32 takes
 *                h = ceil(r / 2) bytes with channels j and j + h
 *
 * A group narrower than `most` times the smallest normal float (3e-36) counts as constant: scale
 * 0, all codes 0, x' the least. A range that fp32 cannot hold is refused, as are NaN and
 * infinity. Rows are worked on in tiles of BE_TILE floats on the stack; a tile is a whole number
 * of runs.
 */
#include "codec_impl.h"

#include <endian.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "../kernels/variants.h"

enum { RUN = 32, PARAMETERS_B = 8 };

_Static_assert(BE_TILE % RUN == 0, "a tile is a whole number of runs");

/* One matrix: where its parts are. */
struct matrix {
    size_t tokens, channels;
    size_t group;     /* elements of a whole group along its axis */
    size_t per_line;  /* groups beside each other: K channels, V groups of a token */
    size_t groups;    /* in all */
    size_t row_b;     /* codes of one token */
    size_t element_b; /* raw */
    float most;       /* greatest code */
    bool four, is_k;
    enum k_dtype dtype;
};

static size_t codes_b(bool four, size_t n)
{
    return four ? n / RUN * (RUN / 2) + (n % RUN + 1) / 2 : n;
}

static struct matrix matrix_of(enum be_narrow narrow, const struct be_shape *shape, bool is_k)
{
    const bool four = narrow == BE_NARROW_INT4;
    struct matrix m = {
        .tokens = shape->tokens,
        .channels = shape->channels,
        .row_b = codes_b(four, shape->channels),
        .element_b = k_dtype_b(shape->dtype),
        .most = four ? 15 : 255,
        .four = four,
        .is_k = is_k,
        .dtype = shape->dtype,
    };
    const size_t axis = is_k ? m.tokens : m.channels;
    m.group = four ? RUN : axis;
    const size_t along = (axis + m.group - 1) / m.group;
    m.per_line = is_k ? m.channels : along;
    m.groups = along * (is_k ? m.channels : m.tokens);
    return m;
}

static size_t matrix_b(const struct matrix *m)
{
    return m->groups * PARAMETERS_B + m->tokens * m->row_b;
}

size_t be_quant_b(enum be_narrow narrow, const struct be_shape *shape)
{
    const struct matrix k = matrix_of(narrow, shape, true), v = matrix_of(narrow, shape, false);
    size_t b = 0;
    b += shape->parts != BE_V_ONLY ? matrix_b(&k) : 0;
    b += shape->parts != BE_K_ONLY ? matrix_b(&v) : 0;
    return b * shape->layers;
}

/* ---- Parameters of groups --------------------------------------------------------------------------- */

static void put_float(unsigned char *bytes, float x)
{
    uint32_t word;
    memcpy(&word, &x, sizeof word);
    word = htole32(word);
    memcpy(bytes, &word, sizeof word);
}

static float get_float(const unsigned char *bytes)
{
    uint32_t word;
    float x;
    memcpy(&word, bytes, sizeof word);
    word = le32toh(word);
    memcpy(&x, &word, sizeof x);
    return x;
}

/* Writes scales and zeroes of groups [g, g + n), n <= BE_TILE, and says by what each x - zero is
 * multiplied. Returns how many of them have a range that is no float. */
K_VARIANTS(uint32_t, put_pairs,
           (unsigned char *restrict scales, unsigned char *restrict zeroes, float most,
            const float *restrict low, const float *restrict high, float *restrict inverse,
            size_t n),
           (scales, zeroes, most, low, high, inverse, n))
{
    uint32_t odd = 0;
    for (size_t i = 0; i < n; i++) {
        const float range = high[i] - low[i], scale = range / most;
        odd += !(range <= FLT_MAX) ? 1U : 0U;
        inverse[i] = scale < FLT_MIN ? 0 : most / range;
        put_float(scales + 4 * i, scale < FLT_MIN ? 0 : scale);
        put_float(zeroes + 4 * i, low[i]);
    }
    return odd;
}

static bool put_groups(const struct matrix *m, unsigned char *out, size_t g, const float *low,
                       const float *high, float *inverse, size_t n)
{
    return put_pairs(out + 4 * g, out + 4 * (m->groups + g), m->most, low, high, inverse, n) == 0;
}

/* Reads them; returns how many are none that put_pairs writes. */
K_VARIANTS(uint32_t, get_pairs,
           (const unsigned char *restrict scales, const unsigned char *restrict zeroes, float most,
            float *restrict scale, float *restrict zero, size_t n),
           (scales, zeroes, most, scale, zero, n))
{
    uint32_t odd = 0;
    for (size_t i = 0; i < n; i++) {
        scale[i] = get_float(scales + 4 * i);
        zero[i] = get_float(zeroes + 4 * i);
        odd += !(scale[i] >= 0) ? 1U : 0U;
        odd += !(fabsf(zero[i]) <= FLT_MAX) ? 1U : 0U;
        odd += !(fabsf(zero[i] + most * scale[i]) <= FLT_MAX) ? 1U : 0U;
    }
    return odd;
}

static bool get_groups(const struct matrix *m, const unsigned char *in, size_t g, float *scale,
                       float *zero, size_t n)
{
    return get_pairs(in + 4 * g, in + 4 * (m->groups + g), m->most, scale, zero, n) == 0;
}

/* ---- Loops over a tile ------------------------------------------------------------------------------ */

K_VARIANTS(size_t, widen_range,
           (const float *restrict x, float *restrict low, float *restrict high, size_t n),
           (x, low, high, n))
{
    for (size_t i = 0; i < n; i++) {
        low[i] = x[i] < low[i] ? x[i] : low[i];
        high[i] = x[i] > high[i] ? x[i] : high[i];
    }
    return n;
}

/* Least and greatest of n, beginning with *low and *high: sixteen of each side by side. */
K_VARIANTS(size_t, fold_range,
           (const float *restrict x, float *restrict low, float *restrict high, size_t n),
           (x, low, high, n))
{
    enum { LANES = 16 };
    float least[LANES], greatest[LANES];
    size_t i = 0;
    for (size_t l = 0; l < LANES; l++) {
        least[l] = *low;
        greatest[l] = *high;
    }
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; l++) {
            least[l] = x[i + l] < least[l] ? x[i + l] : least[l];
            greatest[l] = x[i + l] > greatest[l] ? x[i + l] : greatest[l];
        }
    for (size_t l = 0; i + l < n; l++) {
        least[l] = x[i + l] < least[l] ? x[i + l] : least[l];
        greatest[l] = x[i + l] > greatest[l] ? x[i + l] : greatest[l];
    }
    for (size_t l = 0; l < LANES; l++) {
        *low = least[l] < *low ? least[l] : *low;
        *high = greatest[l] > *high ? greatest[l] : *high;
    }
    return n;
}

K_VARIANTS(size_t, codes_of,
           (const float *restrict x, const float *restrict zero, const float *restrict inverse,
            unsigned char *restrict codes, size_t n),
           (x, zero, inverse, codes, n))
{
    for (size_t i = 0; i < n; i++) /* never negative: zero is the least */
        codes[i] = (unsigned char)(int)((x[i] - zero[i]) * inverse[i] + 0.5F);
    return n;
}

K_VARIANTS(size_t, floats_of,
           (const unsigned char *restrict codes, const float *restrict zero,
            const float *restrict scale, float *restrict x, size_t n),
           (codes, zero, scale, x, n))
{
    for (size_t i = 0; i < n; i++)
        x[i] = zero[i] + (float)codes[i] * scale[i];
    return n;
}

/* Codes of a tile as nibbles, run by run. */
K_VARIANTS(size_t, pack_nibbles,
           (const unsigned char *restrict codes, unsigned char *restrict out, size_t n),
           (codes, out, n))
{
    size_t i = 0;
    for (; i + RUN <= n; i += RUN)
        for (size_t j = 0; j < RUN / 2; j++)
            out[i / 2 + j] = (unsigned char)(codes[i + j] | codes[i + RUN / 2 + j] << 4);
    const size_t half = (n - i + 1) / 2;
    for (size_t j = 0; j < half; j++)
        out[i / 2 + j] =
            (unsigned char)(codes[i + j] | (i + half + j < n ? codes[i + half + j] << 4 : 0));
    return n;
}

K_VARIANTS(size_t, unpack_nibbles,
           (const unsigned char *restrict in, unsigned char *restrict codes, size_t n),
           (in, codes, n))
{
    size_t i = 0;
    for (; i + RUN <= n; i += RUN)
        for (size_t j = 0; j < RUN / 2;
             j += 8) { /* eight bytes at a time; each stays in its place */
            uint64_t word, low, high;
            memcpy(&word, in + i / 2 + j, sizeof word);
            low = word & UINT64_C(0x0f0f0f0f0f0f0f0f);
            high = word >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f);
            memcpy(codes + i + j, &low, sizeof low);
            memcpy(codes + i + RUN / 2 + j, &high, sizeof high);
        }
    const size_t half = (n - i + 1) / 2;
    for (size_t j = 0; j < half; j++) {
        codes[i + j] = in[i / 2 + j] & 15;
        if (i + half + j < n)
            codes[i + half + j] = in[i / 2 + j] >> 4;
    }
    return n;
}

static void put_codes(const struct matrix *m, const float *x, const float *zero,
                      const float *inverse, unsigned char *out, size_t n)
{
    unsigned char codes[BE_TILE];
    if (!m->four) {
        codes_of(x, zero, inverse, out, n);
        return;
    }
    codes_of(x, zero, inverse, codes, n);
    pack_nibbles(codes, out, n);
}

static void get_codes(const struct matrix *m, const unsigned char *in, const float *zero,
                      const float *scale, float *x, size_t n)
{
    unsigned char codes[BE_TILE];
    if (m->four)
        unpack_nibbles(in, codes, n);
    floats_of(m->four ? codes : in, zero, scale, x, n);
}

/* ---- Matrices --------------------------------------------------------------------------------------- */

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static const unsigned char *raw_at(const struct matrix *m, const unsigned char *raw, size_t token,
                                   size_t channel)
{
    return raw + (token * m->channels + channel) * m->element_b;
}

static size_t code_at(const struct matrix *m, size_t token, size_t channel)
{
    return m->groups * PARAMETERS_B + token * m->row_b + codes_b(m->four, channel);
}

/* Channels [c, c + n) of tokens [from, to): a group each. */
static bool quantise_k(const struct matrix *m, const unsigned char *raw, unsigned char *out,
                       size_t from, size_t to, size_t c, size_t n)
{
    float x[BE_TILE], low[BE_TILE], high[BE_TILE], inverse[BE_TILE];
    be_to_floats(m->dtype, raw_at(m, raw, from, c), low, n);
    memcpy(high, low, n * sizeof *high);
    for (size_t t = from + 1; t < to; t++) {
        be_to_floats(m->dtype, raw_at(m, raw, t, c), x, n);
        widen_range(x, low, high, n);
    }
    if (!put_groups(m, out, from / m->group * m->per_line + c, low, high, inverse, n))
        return false;
    for (size_t t = from; t < to; t++) {
        be_to_floats(m->dtype, raw_at(m, raw, t, c), x, n);
        put_codes(m, x, low, inverse, out + code_at(m, t, c), n);
    }
    return true;
}

static bool dequantise_k(const struct matrix *m, const unsigned char *in, unsigned char *raw,
                         size_t from, size_t to, size_t c, size_t n)
{
    float x[BE_TILE], zero[BE_TILE], scale[BE_TILE];
    if (!get_groups(m, in, from / m->group * m->per_line + c, scale, zero, n))
        return false;
    for (size_t t = from; t < to; t++) {
        get_codes(m, in + code_at(m, t, c), zero, scale, x, n);
        be_from_floats(m->dtype, x, raw + (t * m->channels + c) * m->element_b, n);
    }
    return true;
}

/* One number for each group of [c, c + n) becomes one for each channel. */
K_VARIANTS(size_t, spread,
           (const float *restrict of_group, float *restrict of_channel, size_t group, size_t n),
           (of_group, of_channel, group, n))
{
    size_t i = 0, g = 0;
    for (; group == RUN && i + RUN <= n; i += RUN, g++)
        for (size_t k = 0; k < RUN; k++)
            of_channel[i + k] = of_group[g];
    for (size_t k = i; k < n; k++) /* a last, shorter one; or the only one */
        of_channel[k] = of_group[g];
    return n;
}

/* The whole row is one group: two passes over its tiles. */
static bool quantise_v_row(const struct matrix *m, const unsigned char *raw, unsigned char *out,
                           size_t t)
{
    float x[BE_TILE], zero[BE_TILE], inverse[BE_TILE], low, high;
    be_to_floats(m->dtype, raw_at(m, raw, t, 0), &low, 1);
    high = low;
    for (size_t c = 0; c < m->channels; c += BE_TILE) {
        const size_t n = least_of(BE_TILE, m->channels - c);
        be_to_floats(m->dtype, raw_at(m, raw, t, c), x, n);
        fold_range(x, &low, &high, n);
    }
    if (!put_groups(m, out, t, &low, &high, &inverse[0], 1))
        return false;
    spread(&low, zero, 0, least_of(BE_TILE, m->channels));
    const float inverse_of_row = inverse[0];
    spread(&inverse_of_row, inverse, 0, least_of(BE_TILE, m->channels));
    for (size_t c = 0; c < m->channels; c += BE_TILE) {
        const size_t n = least_of(BE_TILE, m->channels - c);
        if (m->channels > BE_TILE)
            be_to_floats(m->dtype, raw_at(m, raw, t, c), x, n);
        put_codes(m, x, zero, inverse, out + code_at(m, t, c), n);
    }
    return true;
}

/* Least and greatest of each run. */
K_VARIANTS(size_t, range_of_runs,
           (const float *restrict x, float *restrict low, float *restrict high, size_t n),
           (x, low, high, n))
{
    size_t i = 0, g = 0;
    for (; i + RUN <= n; i += RUN, g++) {
        const float *run = x + i;
        float least[RUN / 4], greatest[RUN / 4];
        for (size_t k = 0; k < RUN / 4; k++)
            least[k] = greatest[k] = run[k];
        for (size_t part = RUN / 4; part < RUN; part += RUN / 4)
            for (size_t k = 0; k < RUN / 4; k++) {
                least[k] = run[part + k] < least[k] ? run[part + k] : least[k];
                greatest[k] = run[part + k] > greatest[k] ? run[part + k] : greatest[k];
            }
        for (size_t k = 1; k < RUN / 4; k++) {
            least[0] = least[k] < least[0] ? least[k] : least[0];
            greatest[0] = greatest[k] > greatest[0] ? greatest[k] : greatest[0];
        }
        low[g] = least[0];
        high[g] = greatest[0];
    }
    for (size_t k = i; k < n; k++) {
        low[g] = k == i || x[k] < low[g] ? x[k] : low[g];
        high[g] = k == i || x[k] > high[g] ? x[k] : high[g];
    }
    return n;
}

/* Channels [c, c + n) of token t, in groups that are runs. */
static bool quantise_v_runs(const struct matrix *m, const unsigned char *raw, unsigned char *out,
                            size_t t, size_t c, size_t n)
{
    float x[BE_TILE], zero[BE_TILE], inverse[BE_TILE];
    float low[BE_TILE / RUN], high[BE_TILE / RUN], inverses[BE_TILE / RUN];
    be_to_floats(m->dtype, raw_at(m, raw, t, c), x, n);
    range_of_runs(x, low, high, n);
    if (!put_groups(m, out, t * m->per_line + c / RUN, low, high, inverses, (n + RUN - 1) / RUN))
        return false;
    spread(low, zero, RUN, n);
    spread(inverses, inverse, RUN, n);
    put_codes(m, x, zero, inverse, out + code_at(m, t, c), n);
    return true;
}

static bool dequantise_v(const struct matrix *m, const unsigned char *in, unsigned char *raw,
                         size_t t, size_t c, size_t n)
{
    float x[BE_TILE], zero[BE_TILE], scale[BE_TILE];
    float scales[BE_TILE / RUN], zeroes[BE_TILE / RUN];
    const size_t groups = m->four ? (n + RUN - 1) / RUN : 1;
    const size_t g = t * m->per_line + (m->four ? c / RUN : 0);
    if (!get_groups(m, in, g, scales, zeroes, groups))
        return false;
    spread(scales, scale, m->four ? RUN : 0, n);
    spread(zeroes, zero, m->four ? RUN : 0, n);
    get_codes(m, in + code_at(m, t, c), zero, scale, x, n);
    be_from_floats(m->dtype, x, raw + (t * m->channels + c) * m->element_b, n);
    return true;
}

static bool quantise_matrix(const struct matrix *m, const unsigned char *raw, unsigned char *out)
{
    for (size_t t = 0; t < m->tokens; t += m->is_k ? m->group : 1) {
        if (!m->is_k && !m->four) {
            if (!quantise_v_row(m, raw, out, t))
                return false;
            continue;
        }
        for (size_t c = 0; c < m->channels; c += BE_TILE) {
            const size_t n = least_of(BE_TILE, m->channels - c);
            if (!(m->is_k ? quantise_k(m, raw, out, t, least_of(t + m->group, m->tokens), c, n)
                          : quantise_v_runs(m, raw, out, t, c, n)))
                return false;
        }
    }
    return true;
}

static bool dequantise_matrix(const struct matrix *m, const unsigned char *in, unsigned char *raw)
{
    for (size_t t = 0; t < m->tokens; t += m->is_k ? m->group : 1)
        for (size_t c = 0; c < m->channels; c += BE_TILE) {
            const size_t n = least_of(BE_TILE, m->channels - c);
            if (!(m->is_k ? dequantise_k(m, in, raw, t, least_of(t + m->group, m->tokens), c, n)
                          : dequantise_v(m, in, raw, t, c, n)))
                return false;
        }
    return true;
}

/* ---- Pieces ----------------------------------------------------------------------------------------- */

/* Matrices of a piece, in order: K and V of each layer, or the one of them that there is. */
static size_t matrices(const struct be_shape *shape)
{
    return (size_t)shape->layers * (shape->parts == BE_K_AND_V ? 2 : 1);
}

static bool matrix_is_k(const struct be_shape *shape, size_t i)
{
    return shape->parts == BE_K_ONLY || (shape->parts == BE_K_AND_V && i % 2 == 0);
}

int be_quantise(enum be_narrow narrow, const struct be_shape *shape, const unsigned char *raw,
                unsigned char *out)
{
    const size_t raw_b = be_shape_raw_b(shape) / matrices(shape);
    for (size_t i = 0; i < matrices(shape); i++) {
        const struct matrix m = matrix_of(narrow, shape, matrix_is_k(shape, i));
        if (!be_all_finite(shape->dtype, raw, m.tokens * m.channels) ||
            !quantise_matrix(&m, raw, out))
            return -EINVAL;
        raw += raw_b;
        out += matrix_b(&m);
    }
    return 0;
}

int be_dequantise(enum be_narrow narrow, const struct be_shape *shape, const unsigned char *in,
                  unsigned char *raw)
{
    const size_t raw_b = be_shape_raw_b(shape) / matrices(shape);
    for (size_t i = 0; i < matrices(shape); i++) {
        const struct matrix m = matrix_of(narrow, shape, matrix_is_k(shape, i));
        if (!dequantise_matrix(&m, in, raw))
            return -EBADMSG;
        in += matrix_b(&m);
        raw += raw_b;
    }
    return 0;
}
