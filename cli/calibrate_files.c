/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_files.c - measurements and fits as CSV, and their pictures.
 *
 *      samples.csv   one line per point of a grid, with what the fit makes of it
 *      fits.csv      one line per parameter
 *
 * observed_ns is what a fit was made to: the whole time, or of loads from Redis and disk the
 * time until the last byte had arrived.
 */
#include "calibrate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out.h"
#include "picture.h"

static void number(struct out *o, double value, unsigned decimals)
{
    out_char(o, ',');
    out_fixed(o, value, decimals);
}

static void write_sample(struct out *o, const struct be_sample *s, double predicted_ns)
{
    static const char *const dtypes[K_DTYPES] = {"bf16", "fp16", "fp32"};
    const bool medium = s->path == BE_PATH_LOAD_REDIS || s->path == BE_PATH_LOAD_DISK;
    const double observed_ns = medium ? s->medium_ns : s->ns;
    const uint32_t counts[] = {s->pieces,      s->threads, s->nodes,
                               s->connections, s->depth,   s->together > 1 ? s->together : 1};
    out_text(o, be_path_name(s->path));
    out_char(o, ',');
    out_field(o, s->codec);
    out_char(o, ',');
    out_text(o, dtypes[s->dtype]);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        out_char(o, ',');
        out_u64(o, counts[i]);
    }
    number(o, s->raw_b, 0);
    number(o, s->stored_b, 0);
    out_char(o, ',');
    out_u64(o, s->repeats);
    const double none = (double)NAN;
    number(o, s->ns > 0 ? s->ns : none, 0);
    number(o, s->ns > 0 ? s->low_ns : none, 0);
    number(o, s->ns > 0 ? s->high_ns : none, 0);
    const bool staged = s->path >= BE_PATH_LOAD_HOST;
    number(o, staged ? s->medium_ns : none, 0);
    number(o, staged ? s->decode_ns : none, 0);
    number(o, staged ? s->copy_ns : none, 0);
    number(o, s->ns > 0 ? observed_ns : none, 0);
    number(o, predicted_ns, 0);
    number(o, s->ns > 0 ? predicted_ns / observed_ns - 1 : none, 4);
    out_char(o, '\n');
}

static int write_samples(const struct calibrate *c, struct out *o, int dirfd)
{
    if (out_open(o, dirfd, "samples.csv") == 0)
        out_text(o, "path,codec,dtype,pieces,threads,nodes,connections,depth,together,piece_raw_b,"
                    "piece_stored_b,repeats,p50_ns,p10_ns,p90_ns,medium_ns,decode_ns,copy_ns,"
                    "observed_ns,predicted_ns,residual\n");
    for (uint32_t i = 0; i < c->samples.n; i++)
        write_sample(o, &c->samples.at[i], c->predicted_ns[i]);
    return out_close(o);
}

static int write_fits(const struct calibrate *c, struct out *o, int dirfd)
{
    if (out_open(o, dirfd, "fits.csv") == 0)
        out_text(o, "fit,parameter,value,standard_error,points,outliers,r2,residual_p50,"
                    "residual_p95,fits\n");
    for (uint32_t i = 0; i < c->n_fits; i++) {
        const struct calibrate_fit *f = &c->fits[i];
        for (uint32_t k = 0; k < f->n_names; k++) {
            out_field(o, f->what);
            out_char(o, ',');
            out_text(o, f->name[k]);
            number(o, f->fit.parameter[k], 1);
            number(o, f->fit.error[k], 1);
            out_char(o, ',');
            out_u64(o, f->fit.points);
            out_char(o, ',');
            out_u64(o, f->fit.outliers);
            number(o, f->fit.r2, 4);
            number(o, f->fit.residual_p50, 4);
            number(o, f->fit.residual_p95, 4);
            out_text(o, f->fit.fits ? ",yes\n" : ",no\n");
        }
    }
    return out_close(o);
}

int calibrate_write_data(const struct calibrate *c, const char *folder, char *why, size_t size)
{
    int rc = mkdir(folder, 0777) == 0 || errno == EEXIST ? 0 : -errno;
    int dirfd = rc == 0 ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    struct out *o = malloc(sizeof *o);
    if (rc == 0 && dirfd < 0)
        rc = -errno;
    if (rc == 0 && !o)
        rc = -ENOMEM;
    if (rc == 0)
        rc = write_samples(c, o, dirfd);
    if (rc == 0)
        rc = write_fits(c, o, dirfd);
    if (rc != 0)
        snprintf(why, size, "%s: %s", folder, strerror(-rc));
    free(o);
    if (dirfd >= 0)
        close(dirfd);
    return rc;
}

static bool has(const struct calibrate *c, enum be_path first, enum be_path last)
{
    for (uint32_t i = 0; i < c->samples.n; i++)
        if (c->samples.at[i].path >= first && c->samples.at[i].path <= last)
            return true;
    return false;
}

int calibrate_draw(const struct calibrate *c, const char *folder, char *why, size_t size)
{
    static const struct {
        const char *name;
        enum be_path first, last; /* paths, one of which it shows */
    } pictures[] = {
        {"calibrate-copies", BE_PATH_MEMCPY, BE_PATH_DOWNLOAD},
        {"calibrate-redis", BE_PATH_REDIS_GET, BE_PATH_REDIS_SET},
        {"calibrate-transfers", BE_PATH_LOAD_HOST, BE_PATH_STORE_DISK},
    };
    char scripts[PATH_MAX], subtitle[256];
    int rc = picture_scripts(scripts, why, size);
    snprintf(subtitle, sizeof subtitle, "%s, %u processors, %s", c->device,
             (unsigned)be_processors(), c->date);
    for (size_t i = 0; rc == 0 && i < sizeof pictures / sizeof *pictures; i++)
        if (has(c, pictures[i].first, pictures[i].last))
            rc = picture_draw(folder, scripts, pictures[i].name, subtitle, why, size);
    return rc;
}
