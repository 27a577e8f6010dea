/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * catalog_impl.h - what the files of the catalogue share: its store, and reading one file of it.
 */
#ifndef CLI_CATALOG_IMPL_H
#define CLI_CATALOG_IMPL_H

#include <cyaml/cyaml.h>

#include "catalog.h"

/* Names: entries of one section, profiles included. */
enum { SECTIONS_MOST = 14, FIELDS_MOST = 32, NAMES_MOST = 256, PATH_SIZE = 256 };

/* What libcyaml needs to know, made from the tables at run time. */
struct schema {
    cyaml_schema_field_t fields[SECTIONS_MOST][FIELDS_MOST];
    cyaml_schema_value_t entry[SECTIONS_MOST];
    cyaml_schema_field_t top[SECTIONS_MOST][SECTIONS_MOST]; /* of the file that section i begins */
    cyaml_schema_value_t root[SECTIONS_MOST];
    cyaml_schema_field_t profile_top[SECTIONS_MOST];
    cyaml_schema_value_t profile;
};

/* A profile laid over the catalogue: its tree, and the lists it is part of. */
struct profile {
    struct profile *next;
    struct catalog *part; /* freed by libcyaml */
    void *merged
        [SECTIONS_MOST]; /* entries of that list, copied flat from part and the list before; or NULL */
};

struct store {
    struct catalog catalog; /* first: a struct catalog pointer is a store pointer */
    struct schema schema;
    struct catalog *parts[SECTIONS_MOST]; /* per file, at its first section; freed by libcyaml */
    struct profile *profiles;             /* the latest first */
};

/* Does a profile have this section? */
bool catalog_in_profile(const struct catalog_section *s);

/* Reads a file by a schema of the store's, and turns its texts into numbers. s: the file's first
 * section, NULL for a profile. 0 with *part (freed by cyaml_free with root); or a negative errno
 * with one line in error. */
KVT_MUST_CHECK int catalog_read(const cyaml_schema_value_t *root, const struct catalog_section *s,
                                const char *path, struct catalog **part, char *error,
                                size_t error_size);
void catalog_release(const cyaml_schema_value_t *root, struct catalog *part);

/* Of an entry of any section. */
static inline const char *catalog_name_of(const void *entry)
{
    return *(const char *const *)entry;
}

#endif
