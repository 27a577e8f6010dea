/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * catalog_overlay.c - a profile: entries that were measured here, over those of the catalogue.
 *
 * A profile is written and read like the catalogue's own files, so what calibrate measured can be
 * looked at, corrected, and moved into the catalogue by hand. It may hold what a machine has:
 * hosts, links, Redis nodes and servers, disks, codecs. GPUs, models, stacks and prices are not
 * measured and stay in the catalogue.
 *
 * Entries own strings, all of which belong to the tree of the file that they came from. A list with
 * replaced entries is a new array of flat copies, so both trees must outlive it; the store keeps
 * them. Nothing changes until every new list is there.
 */
#include "catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_impl.h"

bool catalog_in_profile(const struct catalog_section *s)
{
    static const char *const sections[] = {"hosts",         "variations", "links", "redis_nodes",
                                           "redis_servers", "disks",      "codecs"};

    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (strcmp(s->key, sections[i]) == 0)
            return true;
    return false;
}

/* The list of a section with the profile's entries in it: *n of them, to be freed. NULL without
 * memory. */
static char *merge(const struct catalog *old, const struct catalog *part,
                   const struct catalog_section *s, uint32_t *n)
{
    uint32_t n_old = catalog_count(old, s), n_new = catalog_count(part, s);
    char *merged = calloc((size_t)n_old + n_new, s->entry_size);

    *n = n_old;
    if (merged && n_old)
        memcpy(merged, catalog_entry(old, s, 0), n_old * s->entry_size);
    for (uint32_t i = 0; merged && i < n_new; i++) {
        const void *entry = catalog_entry(part, s, i);
        uint32_t at = 0;

        while (at < *n &&
               strcmp(catalog_name_of(merged + at * s->entry_size), catalog_name_of(entry)) != 0)
            at++;
        memcpy(merged + at * s->entry_size, entry, s->entry_size);
        *n += at == *n;
    }
    return merged;
}

/* Makes the new lists, and puts them in place once all are there. */
static int merge_all(struct catalog *catalog, struct profile *p, const char *path, char *error,
                     size_t error_size)
{
    size_t n_sections;
    const struct catalog_section *s = catalog_sections(&n_sections);
    uint32_t n[SECTIONS_MOST];

    for (size_t i = 0; i < n_sections; i++) {
        if (catalog_count(p->part, &s[i]) == 0)
            continue;
        p->merged[i] = merge(catalog, p->part, &s[i], &n[i]);
        if (!p->merged[i]) {
            snprintf(error, error_size, "%.200s: out of memory", path);
            return -ENOMEM;
        }
        if (n[i] > NAMES_MOST) {
            snprintf(error, error_size, "%.200s: %s: expected at most %d, with the catalogue's",
                     path, s[i].key, NAMES_MOST);
            return -EINVAL;
        }
    }
    for (size_t i = 0; i < n_sections; i++) {
        char *list = (char *)catalog + s[i].offset;

        if (!p->merged[i])
            continue;
        memcpy(list, &p->merged[i], sizeof p->merged[i]);
        memcpy(list + offsetof(struct catalog, gpus.n), &n[i], sizeof n[i]);
    }
    return 0;
}

int catalog_overlay(struct catalog *catalog, const char *path, char *error, size_t error_size)
{
    struct store *store = (struct store *)(void *)catalog;
    struct profile *p = calloc(1, sizeof *p);
    int status;

    if (!p) {
        snprintf(error, error_size, "%.200s: out of memory", path);
        return -ENOMEM;
    }
    status = catalog_read(&store->schema.profile, NULL, path, &p->part, error, error_size);
    if (!status)
        status = merge_all(catalog, p, path, error, error_size);
    if (!status) {
        p->next = store->profiles;
        store->profiles = p;
        return 0;
    }
    for (size_t i = 0; i < SECTIONS_MOST; i++)
        free(p->merged[i]);
    catalog_release(&store->schema.profile, p->part);
    free(p);
    return status;
}
