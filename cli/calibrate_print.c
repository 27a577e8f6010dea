/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_print.c - what was measured, for people and as JSON.
 */
#include "calibrate.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "units.h"

/* "2.41 GB/s" or "13.1 us", by what the parameter's name ends in. */
static const char *show(char *text, size_t size, const char *name, double value)
{
    if (strstr(name, "_bps") && value > 1e12)
        snprintf(text, size, "no limit");
    else if (strstr(name, "_bps"))
        snprintf(text, size, "%.3g GB/s", value / 1e9);
    else if (!strstr(name, "_ns"))
        snprintf(text, size, "%.3g", value);
    else if (value < 1)
        snprintf(text, size, "0");
    else
        units_show_ns(text, size, value);
    return text;
}

static void print_fits(const struct calibrate *c, FILE *out)
{
    fprintf(out, "%-34s %-16s %12s %8s %8s %9s %9s\n", "", "", "", "+/-", "R^2", "resid p50",
            "p95");
    for (uint32_t i = 0; i < c->n_fits; i++) {
        const struct calibrate_fit *f = &c->fits[i];
        for (uint32_t k = 0; k < f->n_names; k++) {
            const double value = f->fit.parameter[k], share = 100 * f->fit.error[k] / value;
            char text[32], error[16] = "-";
            if (share < 1000)
                snprintf(error, sizeof error, "%.0f %%", share);
            fprintf(out, "%-34s %-16s %12s %8s", k == 0 ? f->what : "", f->name[k],
                    show(text, sizeof text, f->name[k], value), error);
            if (k == 0)
                fprintf(out, " %8.3f %7.0f %% %7.0f %%%s", f->fit.r2, 100 * f->fit.residual_p50,
                        100 * f->fit.residual_p95, f->fit.fits ? "" : "   does not fit");
            fputc('\n', out);
        }
    }
}

static void print_codecs(const struct calibrate *c, FILE *out)
{
    bool begun = false;
    for (uint32_t i = 0; i < c->n_values; i++) {
        const struct calibrate_value *v = &c->values[i];
        if (strcmp(v->section, "codecs") != 0 || strcmp(v->key, "ratio") != 0)
            continue;
        const struct calibrate_value *encode = calibrate_value(c, "codecs", v->entry, "encode"),
                                     *decode = calibrate_value(c, "codecs", v->entry, "decode");
        if (!begun)
            fprintf(out, "\n%-34s %8s %14s %14s   per core, uncompressed bytes\n", "codec", "ratio",
                    "encode", "decode");
        begun = true;
        fprintf(out, "%-34s %8.3f %9.3f GB/s %9.3f GB/s\n", v->entry, v->value,
                encode ? encode->value / 1e9 : 0, decode ? decode->value / 1e9 : 0);
    }
}

static void print_verdict(const struct calibrate *c, FILE *out)
{
    uint32_t bad = 0;
    for (uint32_t i = 0; i < c->n_fits; i++)
        bad += !c->fits[i].fit.fits;
    if (bad > 0)
        fprintf(out,
                "\n%u of %u fits miss more than one point in twenty by over %.0f %%: there the "
                "model is not this machine.\n",
                (unsigned)bad, (unsigned)c->n_fits, 100 * BE_FIT_TOLERANCE);
}

void calibrate_print(const struct calibrate *c, FILE *out)
{
    fprintf(out, "%s, %u processors, %u workers, %s measurements, %s\n\n", c->device,
            (unsigned)be_processors(), (unsigned)c->config.threads,
            c->config.quick ? "quick" : "full", c->date);
    print_fits(c, out);
    print_codecs(c, out);
    print_verdict(c, out);
}

/* ---- JSON ------------------------------------------------------------------------------------------ */

/* NULL for what is no number. */
static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_of_sample(const struct be_sample *s, double predicted_ns)
{
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o}",
        "path", be_path_name(s->path), "codec", s->codec, "pieces", (int)s->pieces, "threads",
        (int)s->threads, "nodes", (int)s->nodes, "connections", (int)s->connections, "depth",
        (int)s->depth, "together", (int)s->together, "piece_raw_b", real(s->raw_b),
        "piece_stored_b", real(s->stored_b), "repeats", (int)s->repeats, "p50_ns", real(s->ns),
        "p10_ns", real(s->low_ns), "p90_ns", real(s->high_ns), "medium_ns", real(s->medium_ns),
        "decode_ns", real(s->decode_ns), "copy_ns", real(s->copy_ns), "predicted_ns",
        real(predicted_ns));
}

static json_t *json_of_fit(const struct calibrate_fit *f)
{
    json_t *parameters = json_object();
    for (uint32_t k = 0; k < f->n_names; k++)
        json_object_set_new(parameters, f->name[k],
                            json_pack("{s:o, s:o}", "value", real(f->fit.parameter[k]), "error",
                                      real(f->fit.error[k])));
    return json_pack("{s:s, s:o, s:i, s:i, s:o, s:o, s:o, s:b}", "fit", f->what, "parameters",
                     parameters, "points", (int)f->fit.points, "outliers", (int)f->fit.outliers,
                     "r2", real(f->fit.r2), "residual_p50", real(f->fit.residual_p50),
                     "residual_p95", real(f->fit.residual_p95), "fits", (int)f->fit.fits);
}

int calibrate_print_json(const struct calibrate *c, FILE *out)
{
    json_t *samples = json_array(), *fits = json_array(), *values = json_array();
    for (uint32_t i = 0; i < c->samples.n; i++)
        json_array_append_new(samples, json_of_sample(&c->samples.at[i], c->predicted_ns[i]));
    for (uint32_t i = 0; i < c->n_fits; i++)
        json_array_append_new(fits, json_of_fit(&c->fits[i]));
    for (uint32_t i = 0; i < c->n_values; i++) {
        const struct calibrate_value *v = &c->values[i];
        json_array_append_new(values, json_pack("{s:s, s:s, s:s, s:o, s:s}", "section", v->section,
                                                "name", v->entry, "key", v->key, "value",
                                                real(v->value), "source", v->source));
    }
    json_t *root =
        json_pack("{s:s, s:s, s:i, s:b, s:o, s:o, s:o}", "date", c->date, "device", c->device,
                  "processors", (int)be_processors(), "quick", (int)c->config.quick, "samples",
                  samples, "fits", fits, "values", values);
    if (!root)
        return -ENOMEM;
    const int rc = json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    fputc('\n', out);
    json_decref(root);
    return rc == 0 ? 0 : -EIO;
}
