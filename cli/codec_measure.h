/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_measure.h - what a chain of codecs does to some KV: size, speed, error, and where that
 * pays.
 */
#ifndef CLI_CODEC_MEASURE_H
#define CLI_CODEC_MEASURE_H

#include "codec_data.h"

/* Rates are in uncompressed bytes, all threads together. */
struct codec_rate {
    double encode_bps, decode_bps;
};

struct codec_figures {
    char chain[40];
    bool
        refused; /* not for this data: NaN, infinity, or a range that the cast does not hold. All below is 0 */
    double ratio; /* raw / coded, without heads */
    double
        max_error; /* largest |x - x'|; NaN and infinities, which come back as they are, left out */
    double rms_relative;        /* square root of sum (x - x')^2 / sum x^2 */
    struct codec_rate one, all; /* one thread; as many as asked for */
};

/* Where a chain pays: with link bandwidth below this, in bytes per second; 0: nowhere.
 *
 *      serial      1 / B = 1 / (B * ratio) + 1 / rate          B = rate * (1 - 1 / ratio)
 *      pipelined   max(1 / (B * ratio), 1 / rate) <= 1 / B     B = rate
 *
 * Nothing pays with a ratio of 1 or less. */
double codec_pays_serial_bps(double ratio, double rate_bps);
double codec_pays_pipelined_bps(double ratio, double rate_bps);

/* Best of several passes over all data, until seconds have gone by for each of the two ways. 0;
 * -ENOMEM; -EAGAIN: no more threads; -EIO: what came back was not what a lossless chain was
 * given. */
KVT_MUST_CHECK int codec_measure(struct codec_figures *figures, const struct codec_data *data,
                                 const struct be_codec *codec, uint32_t threads, double seconds);

#endif
