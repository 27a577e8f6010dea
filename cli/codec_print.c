/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * codec_print.c - one line per chain, and below it what the last columns mean; or one JSON object.
 */
#include "codec_print.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "units.h"

enum { CELL = 24 };

static const char *show_bps(char text[CELL], double bps)
{
    static const char *const units[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
    size_t u = 0;
    while (bps >= 999.5 && u < 4) {
        bps /= 1000;
        u++;
    }
    snprintf(text, CELL,
             bps >= 99.5   ? "%.0f %s"
             : bps >= 9.95 ? "%.1f %s"
                           : "%.2f %s",
             bps, units[u]);
    return text;
}

static const char *show_error(char text[CELL], double error)
{
    snprintf(text, CELL, error > 0 ? "%.2e" : "0", error);
    return text;
}

static const char *show_below(char text[CELL], double bps)
{
    if (bps > 0)
        return show_bps(text, bps);
    snprintf(text, CELL, "never");
    return text;
}

static void print_line(const struct codec_figures *f, uint32_t threads)
{
    char a[CELL], b[CELL], c[CELL], d[CELL], e[CELL], g[CELL], h[CELL];
    if (f->refused) {
        printf("%-28s not for this data: NaN, infinity, or beyond what the cast holds\n", f->chain);
        return;
    }
    printf("%-28s %7.3f %10s %10s %9s %9s   %10s %10s %10s", f->chain, f->ratio,
           show_bps(a, f->one.encode_bps), show_bps(b, f->one.decode_bps),
           show_error(c, f->max_error), show_error(d, f->rms_relative),
           show_below(e, codec_pays_serial_bps(f->ratio, f->all.decode_bps)),
           show_below(g, codec_pays_pipelined_bps(f->ratio, f->all.decode_bps)),
           show_below(h, codec_pays_serial_bps(f->ratio, f->all.encode_bps)));
    if (threads > 1)
        printf("   x%-5.2f x%.2f", f->all.encode_bps / f->one.encode_bps,
               f->all.decode_bps / f->one.decode_bps);
    putchar('\n');
}

void codec_print(const struct codec_data *data, const struct codec_figures *figures, size_t n,
                 uint32_t threads)
{
    char size[CELL];
    printf("%s: %s of %s KV, %zu pieces of %u tokens x %u channels\n\n", data->title,
           units_show_bytes(size, sizeof size, (double)data->raw_b),
           codec_dtype_name(data->piece.dtype), data->n_pieces, data->piece.tokens,
           data->piece.channels);
    printf("%-28s %7s %10s %10s %9s %9s   %10s %10s %10s%s\n", "chain", "ratio", "encode", "decode",
           "max err", "rms rel", "load pays", "pipelined", "store pays",
           threads > 1 ? "   scaling" : "");
    for (size_t i = 0; i < n; i++)
        print_line(&figures[i], threads);
    printf(
        "\nRates are raw bytes per second of one core. A chain pays on links slower than the last "
        "columns say, with %u\n"
        "core%s: load pays = decode x (1 - 1 / ratio), bytes first received, then decoded; "
        "pipelined = decode, both at a\n"
        "time; store pays = encode x (1 - 1 / ratio). Errors are against the raw KV; rms rel = "
        "sqrt(sum (x - x')^2 / sum x^2).\n",
        threads, threads > 1 ? "s" : "");
}

static json_t *json_of(const struct codec_figures *f)
{
    const double r = f->ratio;
    if (f->refused)
        return json_pack("{s:s, s:b}", "chain", f->chain, "refused", 1);
    return json_pack("{s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "chain",
                     f->chain, "refused", 0, "ratio", r, "max_error", f->max_error,
                     "rms_relative_error", f->rms_relative, "encode_core_bps", f->one.encode_bps,
                     "decode_core_bps", f->one.decode_bps, "encode_bps", f->all.encode_bps,
                     "decode_bps", f->all.decode_bps, "load_pays_serial_below_bps",
                     codec_pays_serial_bps(r, f->all.decode_bps), "load_pays_pipelined_below_bps",
                     codec_pays_pipelined_bps(r, f->all.decode_bps), "store_pays_serial_below_bps",
                     codec_pays_serial_bps(r, f->all.encode_bps), "store_pays_pipelined_below_bps",
                     codec_pays_pipelined_bps(r, f->all.encode_bps));
}

int codec_print_json(const struct codec_data *data, const struct codec_figures *figures, size_t n,
                     uint32_t threads)
{
    json_t *chains = json_array();
    bool whole = chains != NULL;
    for (size_t i = 0; whole && i < n; i++)
        whole = json_array_append_new(chains, json_of(&figures[i])) == 0;
    json_t *root =
        json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:i, s:O}", "data", data->title, "dtype",
                  codec_dtype_name(data->piece.dtype), "raw_b", (json_int_t)data->raw_b, "pieces",
                  (json_int_t)data->n_pieces, "tokens", (int)data->piece.tokens, "channels",
                  (int)data->piece.channels, "threads", (int)threads, "chains", chains);
    whole = whole && root && json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0;
    putchar('\n');
    json_decref(root);
    json_decref(chains);
    return whole ? 0 : -ENOMEM;
}
