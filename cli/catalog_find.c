/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * catalog_find.c - finds entries of the catalogue by section and name, and says what was expected
 * where there is none: the nearest name, those that begin so, or all of them.
 */
#include "catalog.h"

#include <stdio.h>
#include <string.h>

#include "catalog_impl.h"
#include "near.h"

/* Where the list of a section is: all have the layout of the first. */
static void list_of(const struct catalog *c, const struct catalog_section *s, char **entries,
                    uint32_t *n)
{
    const char *list = (const char *)c + s->offset;

    memcpy(entries, list, sizeof *entries);
    memcpy(n, list + offsetof(struct catalog, gpus.n), sizeof *n);
}

const void *catalog_entry(const struct catalog *c, const struct catalog_section *s, uint32_t i)
{
    char *entries;
    uint32_t n;

    list_of(c, s, &entries, &n);
    return entries + i * s->entry_size;
}

uint32_t catalog_count(const struct catalog *c, const struct catalog_section *s)
{
    char *entries;
    uint32_t n;

    list_of(c, s, &entries, &n);
    return n;
}

static const void *find(const struct catalog *c, size_t list_offset, const char *name, char *error,
                        size_t error_size)
{
    size_t n;
    const struct catalog_section *s = catalog_sections(&n);
    const char *names[NAMES_MOST], *begins[NAMES_MOST], *near;
    uint32_t count, n_begins = 0;

    while (s->offset != list_offset)
        s++;
    count = catalog_count(c, s);
    for (uint32_t i = 0; i < count; i++) {
        const void *entry = catalog_entry(c, s, i);

        names[i] = catalog_name_of(entry);
        if (strcmp(names[i], name) == 0)
            return entry;
        if (*name && strncmp(names[i], name, strlen(name)) == 0)
            begins[n_begins++] = names[i];
    }
    near = n_begins ? NULL : near_word(name, names, count);
    if (near) {
        snprintf(error, error_size, "expected a %s of the catalogue, did you mean %s?", s->noun,
                 near);
    } else {
        snprintf(error, error_size, "expected a %s of the catalogue: ", s->noun);
        near_list(error, error_size, n_begins ? begins : names, n_begins ? n_begins : count);
    }
    return NULL;
}

#define FINDER(noun, list)                                                                         \
    const struct catalog_##noun *catalog_##noun(const struct catalog *c, const char *name,         \
                                                char *error, size_t error_size)                    \
    {                                                                                              \
        return find(c, offsetof(struct catalog, list), name, error, error_size);                   \
    }

FINDER(gpu, gpus)
FINDER(model, models)
FINDER(link, links)
FINDER(host, hosts)
FINDER(variation, variations)
FINDER(redis_node, redis_nodes)
FINDER(redis_server, redis_servers)
FINDER(disk, disks)
FINDER(codec, codecs)
FINDER(stack, stacks)
FINDER(redis_client, redis_clients)
FINDER(redis_failover, redis_failovers)
FINDER(price, prices)

const struct catalog_value *catalog_at(const struct catalog_curve *curve, uint32_t tp)
{
    const struct catalog_value *value = curve->n ? &curve->points[0].value : NULL;

    for (uint32_t i = 0; i < curve->n && curve->points[i].tp <= tp; i++)
        value = &curve->points[i].value;
    return value;
}
