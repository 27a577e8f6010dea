/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * calibrate_profile.c - measured values as a profile: a file in the catalogue's own form, to be
 * laid over it.
 *
 * Every value has its unit, evidence M, and a source that says how it was measured, when, and
 * how far off. There is neither a path nor a host's name in it. An entry is written only when
 * every key that the catalogue requires of it was measured; it replaces the catalogue's entry of
 * that name whole.
 */
#include "calibrate.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Digits that the catalogue's reader takes: decimal, four of them. */
static void print_value(FILE *out, enum catalog_unit unit, double value)
{
    switch (unit) {
    case CATALOG_BANDWIDTH:
        if (value >= 1e9)
            fprintf(out, "%.4g GB/s", value / 1e9);
        else
            fprintf(out, "%.4g MB/s", value / 1e6);
        break;
    case CATALOG_DURATION:
        fprintf(out, "%.0f ns", value);
        break;
    case CATALOG_BYTES:
        fprintf(out, "%.0f B", value);
        break;
    case CATALOG_COUNT:
        fprintf(out, "%.0f", value);
        break;
    default:
        fprintf(out, "%.4g", value);
    }
}

static const struct calibrate_value *
find(const struct calibrate *c, const struct catalog_section *s, const char *entry, const char *key)
{
    return calibrate_value(c, s->key, entry, key);
}

static bool complete(const struct calibrate *c, const struct catalog_section *s, const char *entry)
{
    for (size_t i = 0; i < s->n_fields; i++)
        if (s->fields[i].kind == CATALOG_VALUE && s->fields[i].required &&
            !find(c, s, entry, s->fields[i].key))
            return false;
    return true;
}

static void write_entry(FILE *out, const struct calibrate *c, const struct catalog_section *s,
                        const char *entry)
{
    fprintf(out, "  - name: %s\n    title: \"this machine, measured %s\"\n", entry, c->date);
    for (size_t i = 0; i < s->n_fields; i++) {
        const struct calibrate_value *v = find(c, s, entry, s->fields[i].key);
        if (!v)
            continue;
        fprintf(out, "    %s: {value: ", v->key);
        print_value(out, v->unit, v->value);
        fprintf(out, ", evidence: M, source: \"%s\"}\n", v->source);
    }
}

/* All entries of a section, in the order of their first value. */
static void write_section(FILE *out, const struct calibrate *c, const struct catalog_section *s)
{
    bool begun = false;
    for (uint32_t i = 0; i < c->n_values; i++) {
        const struct calibrate_value *v = &c->values[i];
        bool first = strcmp(v->section, s->key) == 0;
        for (uint32_t k = 0; first && k < i; k++)
            first = strcmp(c->values[k].section, s->key) != 0 ||
                    strcmp(c->values[k].entry, v->entry) != 0;
        if (!first || !complete(c, s, v->entry))
            continue;
        if (!begun)
            fprintf(out, "\n%s:\n", s->key);
        begun = true;
        write_entry(out, c, s, v->entry);
    }
}

int calibrate_write_profile(const struct calibrate *c, const char *path)
{
    FILE *out = fopen(path, "we");
    if (!out)
        return -errno;
    size_t n;
    const struct catalog_section *s = catalog_sections(&n);
    fprintf(
        out,
        "# A profile of one machine, measured %s by kvtwin calibrate (%s measurements).\n"
        "# Use it with --profile; its entries are called local, loopback, and as the codecs are.\n",
        c->date, c->config.quick ? "quick" : "full");
    for (size_t i = 0; i < n; i++)
        write_section(out, c, &s[i]);
    const bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        return -(errno ? errno : EIO);
    return 0;
}
