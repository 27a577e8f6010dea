/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_data.h - KV for `kvtwin codec`: from a file of raw bytes, from a stored value, or drawn.
 */
#ifndef CLI_CODEC_DATA_H
#define CLI_CODEC_DATA_H

#include "../backend/codec.h"

/* What the command line says of the shape; 0 (dtype: K_DTYPES): nothing. */
struct codec_wish {
    uint32_t layers, heads, head_dim, tokens;
    enum k_dtype dtype;
};

/* Pieces of one layer each, one behind the other. */
struct codec_data {
    struct be_shape piece;
    size_t n_pieces, raw_b;
    unsigned char *raw;
    char title[200];
};

enum { CODEC_ERROR = 400 };

/* Names of synthetic data: "gaussian", "kv", "random", "zero". NULL behind the last. */
extern const char *const codec_synthetic[];
const char *codec_dtype_name(enum k_dtype dtype);

/* Each returns 0; or a negative errno with one line in error (-EINVAL: bad input). Freed with codec_data_free. */
KVT_MUST_CHECK int codec_data_read(struct codec_data *data, const char *path,
                                   const struct codec_wish *wish, char error[CODEC_ERROR]);
KVT_MUST_CHECK int codec_data_draw(struct codec_data *data, const char *synthetic, uint64_t seed,
                                   const struct codec_wish *wish, char error[CODEC_ERROR]);
void codec_data_free(struct codec_data *data);

#endif
