/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_lines.c - the lists of fits and values, and the fits of single paths: latency +
 * bytes / rate, for people to read and to compare with what whole loads and stores make of it.
 */
#include "calibrate_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void calibrate_forget(struct calibrate *c)
{
    free(c->predicted_ns);
    free(c->fits);
    free(c->values);
    c->predicted_ns = NULL;
    c->fits = NULL;
    c->values = NULL;
    c->n_fits = c->n_values = c->room_fits = c->room_values = 0;
}

void calibrate_free(struct calibrate *c)
{
    be_samples_free(&c->samples);
    calibrate_forget(c);
}

/* ---- Lists ----------------------------------------------------------------------------------------- */

struct calibrate_fit *calibrate_add_fit(struct calibrate *c)
{
    if (c->n_fits == c->room_fits) {
        const uint32_t room = c->room_fits ? 2 * c->room_fits : 32;
        struct calibrate_fit *more = realloc(c->fits, room * sizeof *more);
        if (!more)
            return NULL;
        c->fits = more;
        c->room_fits = room;
    }
    c->fits[c->n_fits] = (struct calibrate_fit){.n_names = 0};
    return &c->fits[c->n_fits++];
}

int calibrate_add_value(struct calibrate *c, const char *section, const char *entry,
                        const char *key, enum catalog_unit unit, double value, const char *how)
{
    if (!isfinite(value) || value < 0)
        return 0;
    if (c->n_values == c->room_values) {
        const uint32_t room = c->room_values ? 2 * c->room_values : 64;
        struct calibrate_value *more = realloc(c->values, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        c->values = more;
        c->room_values = room;
    }
    if (unit == CATALOG_BANDWIDTH) /* what nothing depends on may be anywhere */
        value = fmin(fmax(value, 1e3), 1e13);
    struct calibrate_value *v = &c->values[c->n_values++];
    *v = (struct calibrate_value){
        .section = section, .entry = entry, .key = key, .unit = unit, .value = value};
    snprintf(v->source, sizeof v->source, "measured %s by kvtwin calibrate: %s", c->date, how);
    return 0;
}

const struct calibrate_value *calibrate_value(const struct calibrate *c, const char *section,
                                              const char *entry, const char *key)
{
    for (uint32_t i = 0; i < c->n_values; i++)
        if (strcmp(c->values[i].section, section) == 0 && strcmp(c->values[i].entry, entry) == 0 &&
            strcmp(c->values[i].key, key) == 0)
            return &c->values[i];
    return NULL;
}

/* ---- Lines ----------------------------------------------------------------------------------------- */

static bool picked(const struct calibrate_pick *p, const struct be_sample *s)
{
    return s->path == p->path && s->ns > 0 && (!p->threads || s->threads == p->threads) &&
           (!p->connections || s->connections == p->connections) &&
           (!p->depth || s->depth == p->depth) && (!p->codec || strcmp(s->codec, p->codec) == 0);
}

static bool any(const struct calibrate *c, const struct calibrate_pick *p)
{
    for (uint32_t i = 0; i < c->samples.n; i++)
        if (picked(p, &c->samples.at[i]))
            return true;
    return false;
}

int calibrate_line(struct calibrate *c, const struct calibrate_pick *pick, const char *what,
                   struct calibrate_fit **kept)
{
    *kept = NULL;
    if (!any(c, pick))
        return 0;
    double *bytes = malloc(2 * c->samples.n * sizeof *bytes), *ns = bytes + c->samples.n;
    struct calibrate_fit *line = bytes ? calibrate_add_fit(c) : NULL;
    uint32_t n = 0;
    if (!line) {
        free(bytes);
        return -ENOMEM;
    }
    snprintf(line->what, sizeof line->what, "%s", what);
    line->name[0] = "latency_ns";
    line->name[1] = "rate_bps";
    line->n_names = 2;
    for (uint32_t i = 0; i < c->samples.n; i++) {
        const struct be_sample *s = &c->samples.at[i];
        if (!picked(pick, s))
            continue;
        bytes[n] = s->raw_b;
        ns[n++] = s->ns / s->pieces;
    }
    be_fit_line(bytes, ns, n, &line->fit);
    for (uint32_t i = 0; line->fit.valid && i < c->samples.n; i++) {
        const struct be_sample *s = &c->samples.at[i];
        if (picked(pick, s))
            c->predicted_ns[i] =
                s->pieces * (line->fit.parameter[0] + s->raw_b * 1e9 / line->fit.parameter[1]);
    }
    free(bytes);
    if (line->fit.valid)
        *kept = line;
    else
        c->n_fits--;
    return 0;
}

int calibrate_threads(struct calibrate *c, enum be_path path, double rate_bps[2])
{
    const uint32_t counts[2] = {1, c->config.threads};
    rate_bps[0] = rate_bps[1] = 0;
    for (int t = 0; t < 2; t++) {
        const struct calibrate_pick pick = {.path = path, .threads = counts[t]};
        struct calibrate_fit *line;
        char what[64];
        if (t == 1 && counts[1] == 1)
            break;
        snprintf(what, sizeof what, "%s, %u thread%s", be_path_name(path), (unsigned)counts[t],
                 counts[t] == 1 ? "" : "s");
        const int rc = calibrate_line(c, &pick, what, &line);
        if (rc != 0)
            return rc;
        if (line)
            rate_bps[t] = line->fit.parameter[1];
    }
    return 0;
}
