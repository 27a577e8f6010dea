/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_data.c - KV to try codecs on.
 *
 * A file holds blocks in packed layout, [layer][K, V][token][head][channel], one behind the
 * other; how many follows from its size. Without --tokens it is one block. A stored value (by
 * its magic) is verified and decoded first.
 *
 * Synthetic data, all from one seed:
 *
 *      gaussian   standard normal, every element for itself
 *      kv         as K and V look: K has a mean of its own for each channel, large for one in 64, and a width of its own;
 *                 V is normal around zero with a width of its own for each channel
 *      random     random bits, NaN among them: nothing can be found
 *      zero       all bits zero: everything can
 *
 * None is real KV, which differs by model: "kv" has the features of it that decide what codecs
 * find.
 */
#include "codec_data.h"

#include <errno.h>
#include <fcntl.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../backend/value.h"
#include "../core/mix.h"

const char *const codec_synthetic[] = {"gaussian", "kv", "random", "zero", NULL};

const char *codec_dtype_name(enum k_dtype dtype)
{
    static const char *const names[K_DTYPES] = {"bf16", "fp16", "fp32"};
    return names[dtype];
}

void codec_data_free(struct codec_data *data)
{
    free(data->raw);
    data->raw = NULL;
}

/* Shape of one layer of a block. */
static struct be_shape piece_of(const struct codec_wish *wish, uint32_t tokens)
{
    const uint64_t heads = wish->heads ? wish->heads : 8;
    const uint64_t channels = heads * (wish->head_dim ? wish->head_dim : 128);
    return (struct be_shape){
        .layers = 1,
        .tokens = tokens,
        .channels = channels > UINT32_MAX ? 0 : (uint32_t)channels,
        .dtype = wish->dtype < K_DTYPES ? wish->dtype : K_BF16,
        .parts = BE_K_AND_V,
    };
}

/* ---- Files ------------------------------------------------------------------------------------------ */

/* The whole file into data->raw, at most BE_RAW_MOST_B and a head. */
static int read_file(struct codec_data *data, const char *path, char *error)
{
    struct stat st;
    int rc = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = -errno;
    } else if (!S_ISREG(st.st_mode) || st.st_size == 0 ||
               (uint64_t)st.st_size > BE_RAW_MOST_B + BE_HEAD_B) {
        snprintf(error, CODEC_ERROR, "%.200s: expected a regular file of 1 byte to 1 GiB", path);
        close(fd);
        return -EINVAL;
    } else {
        data->raw_b = (size_t)st.st_size;
        data->raw = malloc(data->raw_b);
        rc = data->raw ? 0 : -ENOMEM;
    }
    for (size_t n = 0; rc == 0 && n < data->raw_b;) {
        const ssize_t part = read(fd, data->raw + n, data->raw_b - n);
        if (part <= 0)
            rc = part < 0 ? -errno : -EIO; /* it became shorter meanwhile */
        else
            n += (size_t)part;
    }
    if (fd >= 0)
        close(fd);
    if (rc != 0)
        snprintf(error, CODEC_ERROR, "%.200s: %s", path, strerror(-rc));
    return rc == -ENOMEM || rc == -EIO || rc == 0 ? rc : -EINVAL;
}

/* Puts the raw bytes of a stored value in the value's place. */
static int unwrap(struct codec_data *data, const char *path, const struct codec_wish *wish,
                  char *error)
{
    struct be_head head;
    const char *why = "";
    if (wish->layers || wish->heads || wish->head_dim || wish->tokens || wish->dtype != K_DTYPES) {
        snprintf(error, CODEC_ERROR, "%.200s: expected no shape: a stored value has its own", path);
        return -EINVAL;
    }
    int rc = be_head_read(&head, data->raw, data->raw_b, &why);
    if (rc == 0) {
        const struct be_format format = be_head_format(&head);
        const struct be_shape shape = be_piece_shape(&format, &head.piece);
        unsigned char *raw = malloc(be_shape_raw_b(&shape));
        void *scratch = malloc(be_codec_scratch_b(&head.codec, &shape) + 1);
        const void *payload = NULL;
        rc = raw && scratch ? 0 : -ENOMEM;
        if (rc == 0 && be_value_read(&format, &head.piece, data->raw, data->raw_b, raw, scratch,
                                     &payload, &why) != KVT_OK)
            rc = -EBADMSG;
        if (rc == 0 && payload != raw)
            memcpy(raw, payload, be_shape_raw_b(&shape));
        free(scratch);
        free(data->raw);
        data->raw = raw;
        data->raw_b = be_shape_raw_b(&shape);
        data->piece = shape;
        data->piece.layers = 1;
        data->n_pieces = head.piece.layers;
    }
    if (rc != 0)
        snprintf(error, CODEC_ERROR, "%.200s: expected a whole stored value, found a wrong %s",
                 path, rc == -ENOMEM ? "size: out of memory" : why);
    return rc == -EBADMSG ? -EINVAL : rc;
}

/* Divides the bytes into pieces. */
static int divide(struct codec_data *data, const char *path, const struct codec_wish *wish,
                  char *error)
{
    const uint32_t layers = wish->layers ? wish->layers : 1;
    struct be_shape row = piece_of(wish, 1);
    const size_t token_b = be_shape_raw_b(&row) * (uint64_t)layers;
    uint64_t tokens = wish->tokens;
    if (token_b > 0 && tokens == 0)
        tokens = data->raw_b / token_b;
    row.tokens = tokens > UINT32_MAX ? 0 : (uint32_t)tokens;
    const size_t piece_b = be_shape_raw_b(&row);
    if (piece_b == 0 || data->raw_b % (piece_b * layers) != 0) {
        snprintf(
            error, CODEC_ERROR,
            "%.200s: expected a multiple of %zu bytes (%u layers of K and V, %u channels, %s)%s, "
            "found %zu",
            path, wish->tokens ? piece_b * layers : token_b, layers, row.channels,
            codec_dtype_name(row.dtype), wish->tokens ? " times the tokens" : "", data->raw_b);
        return -EINVAL;
    }
    data->piece = row;
    data->n_pieces = data->raw_b / piece_b;
    return 0;
}

int codec_data_read(struct codec_data *data, const char *path, const struct codec_wish *wish,
                    char error[CODEC_ERROR])
{
    *data = (struct codec_data){.raw = NULL};
    int rc = read_file(data, path, error);
    if (rc == 0) {
        const bool value = data->raw_b >= 4 && memcmp(data->raw, "KVT1", 4) == 0;
        rc = value ? unwrap(data, path, wish, error) : divide(data, path, wish, error);
    }
    if (rc != 0)
        codec_data_free(data);
    snprintf(data->title, sizeof data->title, "%.190s", path);
    return rc;
}

/* ---- Drawn ------------------------------------------------------------------------------------------ */

static void put(enum k_dtype dtype, unsigned char *at, const float *row, size_t n)
{
    uint16_t half[256];
    for (size_t i = 0, part; i < n; i += part) {
        part = n - i < 256 ? n - i : 256;
        if (dtype == K_FP32)
            memcpy(at + 4 * i, row + i, 4 * part);
        else if (dtype == K_FP16)
            k_cast_f32_to_fp16(row + i, half, part);
        else
            k_cast_f32_to_bf16(row + i, half, part);
        if (dtype != K_FP32)
            memcpy(at + 2 * i, half, 2 * part);
    }
}

/* One matrix of normal numbers: channel c around mean[c] with width[c]. */
static void draw_matrix(const struct codec_data *data, unsigned char *at, gsl_rng *rng,
                        const float *mean, const float *width, float *row)
{
    const struct be_shape *s = &data->piece;
    for (uint32_t t = 0; t < s->tokens; t++) {
        for (uint32_t c = 0; c < s->channels; c++)
            row[c] = mean[c] + width[c] * (float)gsl_ran_gaussian_ziggurat(rng, 1);
        put(s->dtype, at + (size_t)t * s->channels * k_dtype_b(s->dtype), row, s->channels);
    }
}

/* Means and widths of a matrix's channels. */
static void draw_channels(bool kv, bool is_k, gsl_rng *rng, float *mean, float *width, uint32_t n)
{
    for (uint32_t c = 0; c < n; c++) {
        mean[c] = 0;
        width[c] = 1;
        if (!kv)
            continue;
        width[c] = (float)(0.5 + gsl_rng_uniform(rng));
        if (is_k)
            mean[c] =
                (float)gsl_ran_gaussian_ziggurat(rng, gsl_rng_uniform(rng) < 1 / 64.0 ? 16 : 1);
    }
}

static int draw_normal(struct codec_data *data, bool kv, uint64_t seed)
{
    const uint32_t n = data->piece.channels;
    const size_t matrix_b = data->raw_b / data->n_pieces / 2;
    float *mean = malloc(3 * (size_t)n * sizeof *mean);
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_taus2);
    if (mean && rng) {
        gsl_rng_set(rng, (unsigned long)seed);
        for (size_t i = 0; i < 2 * data->n_pieces; i++) {
            draw_channels(kv, i % 2 == 0, rng, mean, mean + n, n);
            draw_matrix(data, data->raw + i * matrix_b, rng, mean, mean + n, mean + 2 * (size_t)n);
        }
    }
    const int rc = mean && rng ? 0 : -ENOMEM;
    free(mean);
    if (rng)
        gsl_rng_free(rng);
    return rc;
}

static void draw_bits(struct codec_data *data, uint64_t seed)
{
    for (size_t i = 0; i < data->raw_b; i += 8) {
        const uint64_t word = kvt_mix64(seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
        memcpy(data->raw + i, &word, data->raw_b - i < 8 ? data->raw_b - i : 8);
    }
}

int codec_data_draw(struct codec_data *data, const char *synthetic, uint64_t seed,
                    const struct codec_wish *wish, char error[CODEC_ERROR])
{
    *data = (struct codec_data){.n_pieces = wish->layers ? wish->layers : 4};
    data->piece = piece_of(wish, wish->tokens ? wish->tokens : 512);
    const size_t piece_b = be_shape_raw_b(&data->piece);
    if (piece_b == 0 || piece_b > BE_RAW_MOST_B / data->n_pieces) {
        snprintf(error, CODEC_ERROR, "expected a shape of 1 byte to 1 GiB");
        return -EINVAL;
    }
    data->raw_b = piece_b * data->n_pieces;
    data->raw = calloc(1, data->raw_b);
    int rc = data->raw ? 0 : -ENOMEM;
    const uint64_t stream = kvt_stream_seed(seed, synthetic, 0);
    if (rc == 0 && strcmp(synthetic, "random") == 0)
        draw_bits(data, stream);
    else if (rc == 0 && strcmp(synthetic, "zero") != 0)
        rc = draw_normal(data, strcmp(synthetic, "kv") == 0, stream);
    if (rc != 0) {
        snprintf(error, CODEC_ERROR, "out of memory");
        codec_data_free(data);
    }
    snprintf(data->title, sizeof data->title, "synthetic %s, seed %llu", synthetic,
             (unsigned long long)seed);
    return rc;
}
