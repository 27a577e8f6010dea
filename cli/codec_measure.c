/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_measure.c - encodes and decodes, first to look at the result, then against the clock.
 *
 * Every thread works through all pieces, with room of its own for what it makes; raw data are
 * shared. A pass is over when its last thread is. The best pass counts: what disturbs a pass can
 * only make it longer. Speeds are of the chain alone, without the value's head and checksum.
 */
#include "codec_measure.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../backend/measure_team.h"

enum { TILE = 256 };

double codec_pays_serial_bps(double ratio, double rate_bps)
{
    return ratio > 1 ? rate_bps * (1 - 1 / ratio) : 0;
}

double codec_pays_pipelined_bps(double ratio, double rate_bps)
{
    return ratio > 1 ? rate_bps : 0;
}

/* One thread's own. */
struct room {
    unsigned char *coded, *back, *scratch;
    size_t *coded_b;
};

struct work {
    const struct codec_data *data;
    const struct be_codec *codec;
    size_t piece_b, bound_b, scratch_b;
    struct room rooms[BE_TEAM_MOST];
    uint32_t n_rooms;
};

static int add_room(struct work *w)
{
    struct room *r = &w->rooms[w->n_rooms++];
    *r = (struct room){
        .coded = malloc(w->bound_b * w->data->n_pieces),
        .back = malloc(w->piece_b),
        .scratch = malloc(w->scratch_b + 1),
        .coded_b = calloc(w->data->n_pieces, sizeof *r->coded_b),
    };
    return r->coded && r->back && r->scratch && r->coded_b ? 0 : -ENOMEM;
}

static void release(struct work *w)
{
    for (uint32_t i = 0; i < w->n_rooms; i++) {
        free(w->rooms[i].coded);
        free(w->rooms[i].back);
        free(w->rooms[i].scratch);
        free(w->rooms[i].coded_b);
    }
}

static int encode_all(void *self, uint32_t member)
{
    struct work *w = self;
    struct room *r = &w->rooms[member];
    for (size_t i = 0; i < w->data->n_pieces; i++) {
        const int rc =
            be_codec_encode(w->codec, &w->data->piece, w->data->raw + i * w->piece_b,
                            r->coded + i * w->bound_b, w->bound_b, &r->coded_b[i], r->scratch);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int decode_piece(struct work *w, struct room *r, size_t i)
{
    return be_codec_decode(w->codec, &w->data->piece, r->coded + i * w->bound_b, r->coded_b[i],
                           r->back, r->scratch);
}

static int decode_all(void *self, uint32_t member)
{
    struct work *w = self;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < w->data->n_pieces; i++)
        rc = decode_piece(w, &w->rooms[member], i);
    return rc;
}

/* ---- Error ------------------------------------------------------------------------------------------ */

static void to_floats(enum k_dtype dtype, const unsigned char *at, float *x, size_t n)
{
    uint16_t half[TILE];
    memcpy(dtype == K_FP32 ? (void *)x : (void *)half, at, n * k_dtype_b(dtype));
    if (dtype == K_FP16)
        k_cast_fp16_to_f32(half, x, n);
    if (dtype == K_BF16)
        k_cast_bf16_to_f32(half, x, n);
}

struct error_sum {
    double largest, squares, of_squares;
};

static void compare(const struct work *w, const unsigned char *raw, const unsigned char *back,
                    struct error_sum *sum)
{
    const enum k_dtype dtype = w->data->piece.dtype;
    const size_t b = k_dtype_b(dtype), elements = w->piece_b / b;
    float x[TILE], y[TILE];
    for (size_t i = 0, n; i < elements; i += n) {
        n = elements - i < TILE ? elements - i : TILE;
        to_floats(dtype, raw + i * b, x, n);
        to_floats(dtype, back + i * b, y, n);
        for (size_t k = 0; k < n; k++) {
            const double error = fabs((double)x[k] - (double)y[k]);
            if (!isfinite(x[k]))
                continue;
            sum->largest = error > sum->largest ? error : sum->largest;
            sum->squares += error * error;
            sum->of_squares += (double)x[k] * (double)x[k];
        }
    }
}

static bool lossless(const struct be_codec *codec, enum k_dtype dtype)
{
    return codec->narrow == BE_NARROW_NONE ||
           (codec->narrow == BE_NARROW_FP16 && dtype == K_FP16) ||
           (codec->narrow == BE_NARROW_BF16 && dtype == K_BF16);
}

/* Encodes once, decodes once, and says what that did. */
static int look(struct work *w, struct codec_figures *f)
{
    struct error_sum sum = {0, 0, 0};
    size_t coded_b = 0;
    int rc = encode_all(w, 0);
    if (rc == -EINVAL) {
        f->refused = true;
        return 0;
    }
    for (size_t i = 0; rc == 0 && i < w->data->n_pieces; i++) {
        const unsigned char *raw = w->data->raw + i * w->piece_b;
        coded_b += w->rooms[0].coded_b[i];
        rc = decode_piece(w, &w->rooms[0], i);
        if (rc == 0 && lossless(w->codec, w->data->piece.dtype) &&
            memcmp(raw, w->rooms[0].back, w->piece_b) != 0)
            rc = -EIO;
        if (rc == 0)
            compare(w, raw, w->rooms[0].back, &sum);
    }
    if (rc != 0)
        return rc == -ENOMEM ? rc : -EIO;
    f->ratio = (double)w->data->raw_b / (double)coded_b;
    f->max_error = sum.largest;
    f->rms_relative = sum.of_squares > 0 ? sqrt(sum.squares / sum.of_squares) : 0;
    return 0;
}

/* ---- Speed ------------------------------------------------------------------------------------------ */

static int time_one_way(struct work *w, be_team_fn *fn, uint32_t threads, double seconds,
                        double *bps)
{
    int rc = 0;
    double best_ns = INFINITY, spent_ns = 0;
    struct be_team *team = be_team_new(threads, fn, w, &rc);
    if (!team)
        return rc;
    for (int pass = 0; rc == 0 && (pass < 2 || (spent_ns < seconds * 1e9 && pass < 1000)); pass++) {
        double ns = 0;
        rc = be_team_run(team, &ns);
        best_ns = ns < best_ns ? ns : best_ns;
        spent_ns += ns;
    }
    be_team_free(team);
    *bps = (double)w->data->raw_b * threads / (fmax(best_ns, 1) / 1e9);
    return rc;
}

static int time_both(struct work *w, uint32_t threads, double seconds, struct codec_rate *rate)
{
    const int rc = time_one_way(w, encode_all, threads, seconds, &rate->encode_bps);
    return rc ? rc : time_one_way(w, decode_all, threads, seconds, &rate->decode_bps);
}

int codec_measure(struct codec_figures *figures, const struct codec_data *data,
                  const struct be_codec *codec, uint32_t threads, double seconds)
{
    struct work w = {
        .data = data,
        .codec = codec,
        .piece_b = be_shape_raw_b(&data->piece),
        .bound_b = be_codec_bound(codec, &data->piece),
        .scratch_b = be_codec_scratch_b(codec, &data->piece),
    };
    *figures = (struct codec_figures){.refused = w.bound_b == 0};
    be_codec_name(codec, figures->chain, sizeof figures->chain);
    if (w.bound_b == 0)
        return 0;
    int rc = 0;
    while (rc == 0 && w.n_rooms < threads)
        rc = add_room(&w);
    if (rc == 0)
        rc = look(&w, figures);
    if (rc == 0 && !figures->refused)
        rc = time_both(&w, 1, seconds, &figures->one);
    figures->all = figures->one;
    if (rc == 0 && !figures->refused && threads > 1)
        rc = time_both(&w, threads, seconds, &figures->all);
    release(&w);
    return rc;
}
