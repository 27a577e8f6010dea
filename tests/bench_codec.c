/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * bench_codec.c - codec chains on synthetic KV: ratio, rates of one thread, and how far two
 * threads get.
 *
 * Two threads should do 1.8 times the work of one. What they can do on this machine at this
 * moment is measured just before by arithmetic that needs no memory: "machine_scaling". Below
 * 1.9 other work is using the processors, and the chains' scaling says little: "busy".
 */
#include <math.h>
#include <stdio.h>

#include "../backend/measure_team.h"
#include "../cli/codec_measure.h"
#include "../core/mix.h"

enum { ROUNDS = 5, SPINS = 5 * 1000 * 1000 };

static const char *const chains[] = {
    "none",   "fp16",   "int8",          "int4",        "lz4",
    "zstd-1", "zlib-1", "planes,zstd-1", "int8,zstd-1", "libdeflate-1",
};

static volatile uint64_t sink[2];

static int spin(void *self, uint32_t member)
{
    uint64_t x = sink[member];
    (void)self;
    for (int i = 0; i < SPINS; i++)
        x = kvt_mix64(x + 1);
    sink[member] = x;
    return 0;
}

/* Best of some rounds; NaN when threads cannot be had. */
static double spin_ns(uint32_t threads)
{
    double best_ns = INFINITY;
    int rc = 0;
    struct be_team *team = be_team_new(threads, spin, NULL, &rc);
    for (int i = 0; team && i < ROUNDS; i++) {
        double ns = INFINITY;
        if (be_team_run(team, &ns) == 0 && ns < best_ns)
            best_ns = ns;
    }
    if (team)
        be_team_free(team);
    return team ? best_ns : NAN;
}

int main(void)
{
    struct codec_data data;
    char error[CODEC_ERROR];
    for (int d = K_BF16; d <= K_FP32; d += K_FP32) {
        const struct codec_wish of = {.dtype = (enum k_dtype)d};
        if (codec_data_draw(&data, "kv", 1, &of, error) != 0) {
            fprintf(stderr, "bench_codec: %s\n", error);
            return 1;
        }
        for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
            struct codec_figures f;
            struct be_codec codec;
            const double machine = 2 * spin_ns(1) / spin_ns(2);
            if (be_codec_parse(&codec, chains[i], error, sizeof error) != 0 ||
                codec_measure(&f, &data, &codec, 2, 0.3) != 0)
                return 1;
            const double encode = f.all.encode_bps / f.one.encode_bps;
            const double decode = f.all.decode_bps / f.one.decode_bps;
            printf("{\"bench\": \"codec\", \"dtype\": \"%s\", \"chain\": \"%s\", \"ratio\": %.3f, "
                   "\"encode_mbps\": %.0f, \"decode_mbps\": %.0f, \"rms_relative\": %.2e, "
                   "\"encode_scaling\": %.2f, \"decode_scaling\": %.2f, \"machine_scaling\": %.2f, "
                   "\"busy\": %s}\n",
                   codec_dtype_name(data.piece.dtype), f.chain, f.ratio, f.one.encode_bps / 1e6,
                   f.one.decode_bps / 1e6, f.rms_relative, encode, decode, machine,
                   machine < 1.9 ? "true" : "false");
            fflush(stdout);
        }
        codec_data_free(&data);
    }
    return 0;
}
