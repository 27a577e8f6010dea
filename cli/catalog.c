/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * catalog.c - reads the catalogue.
 *
 * (Finding entries is in catalog_find.c, profiles are in catalog_overlay.c.)
 *
 * Per file three passes: outline.h (syntax, duplicate keys, and the line of every key), libcyaml
 * (names and shape, by a schema made from catalog_fields.c), then the texts become numbers
 * (units.h). Each pass answers in the same form, `file:line: key: what was expected`, and the
 * first complaint ends the load.
 *
 * Ownership: libcyaml allocates each file's tree; struct store keeps the trees beside the struct
 * catalog that points into them, and frees them by the schema that made them.
 */
#include "catalog.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog_impl.h"
#include "near.h"
#include "outline.h"
#include "units.h"

/* Where a complaint is written, and about which file. */
struct complaint {
    const char *path;
    const struct outline *outline;
    char *error;
    size_t error_size;
};

/* The first thing that libcyaml said, and the line it was at. */
struct heard {
    char message[256];
    char field[64];
    unsigned line;
};

/* ---- Schema ------------------------------------------------------------------------------------- */

static const cyaml_schema_field_t value_fields[] = {
    CYAML_FIELD_STRING_PTR("value", CYAML_FLAG_POINTER, struct catalog_value, text, 1, 64),
    CYAML_FIELD_STRING_PTR("source", CYAML_FLAG_POINTER, struct catalog_value, source, 1, 1024),
    CYAML_FIELD_STRING_PTR("evidence", CYAML_FLAG_POINTER, struct catalog_value, evidence, 1, 1),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t point_fields[] = {
    CYAML_FIELD_UINT("tp", CYAML_FLAG_DEFAULT, struct catalog_point, tp),
    CYAML_FIELD_STRING_PTR("value", CYAML_FLAG_POINTER, struct catalog_point, value.text, 1, 64),
    CYAML_FIELD_STRING_PTR("source", CYAML_FLAG_POINTER, struct catalog_point, value.source, 1,
                           1024),
    CYAML_FIELD_STRING_PTR("evidence", CYAML_FLAG_POINTER, struct catalog_point, value.evidence, 1,
                           1),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t point_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct catalog_point, point_fields),
};

static const cyaml_schema_field_t end_of_fields = CYAML_FIELD_END;

static cyaml_schema_field_t field_schema(const struct catalog_field *f)
{
    cyaml_schema_field_t field = {.key = f->key, .data_offset = (uint32_t)f->offset};

    switch (f->kind) {
    case CATALOG_STRING:
        field.value.type = CYAML_STRING;
        field.value.flags = CYAML_FLAG_POINTER;
        field.value.data_size = sizeof(char);
        field.value.string.min = 1;
        field.value.string.max = 256;
        break;
    case CATALOG_VALUE:
        field.value.type = CYAML_MAPPING;
        field.value.data_size = sizeof(struct catalog_value);
        field.value.mapping.fields = value_fields;
        break;
    case CATALOG_CURVE:
        field.value.type = CYAML_SEQUENCE;
        field.value.flags = CYAML_FLAG_POINTER;
        field.value.data_size = sizeof(struct catalog_point);
        field.value.sequence.entry = &point_schema;
        field.value.sequence.min = 1;
        field.value.sequence.max = 64;
        field.data_offset += (uint32_t)offsetof(struct catalog_curve, points);
        field.count_offset = (uint32_t)(f->offset + offsetof(struct catalog_curve, n));
        field.count_size = sizeof(uint32_t);
        break;
    }
    if (!f->required)
        field.value.flags = (enum cyaml_flag)(field.value.flags | CYAML_FLAG_OPTIONAL);
    return field;
}

/* The top-level key of section i: a list of its entries. All lists have the layout of the first. */
static cyaml_schema_field_t list_schema(const struct catalog_section *s,
                                        const cyaml_schema_value_t *entry)
{
    cyaml_schema_field_t field = {.key = s->key, .data_offset = (uint32_t)s->offset};

    field.value.type = CYAML_SEQUENCE;
    field.value.flags = CYAML_FLAG_POINTER;
    field.value.data_size = (uint32_t)s->entry_size;
    field.value.sequence.entry = entry;
    field.value.sequence.min = 1;
    field.value.sequence.max = NAMES_MOST;
    field.count_offset = (uint32_t)(s->offset + offsetof(struct catalog, gpus.n));
    field.count_size = sizeof(uint32_t);
    return field;
}

static void schema_init(struct schema *schema)
{
    size_t n;
    const struct catalog_section *s = catalog_sections(&n);

    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        for (; k < s[i].n_fields; k++)
            schema->fields[i][k] = field_schema(&s[i].fields[k]);
        schema->fields[i][k] = end_of_fields;
        schema->entry[i].type = CYAML_MAPPING;
        schema->entry[i].data_size = (uint32_t)s[i].entry_size;
        schema->entry[i].mapping.fields = schema->fields[i];
    }
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        for (size_t j = i; j < n && strcmp(s[i].file, s[j].file) == 0; j++) {
            cyaml_schema_field_t list = list_schema(&s[j], &schema->entry[j]);

            if (s[j].optional)
                list.value.flags = (enum cyaml_flag)(list.value.flags | CYAML_FLAG_OPTIONAL);
            schema->top[i][k++] = list;
        }
        schema->top[i][k] = end_of_fields;
        schema->root[i].type = CYAML_MAPPING;
        schema->root[i].flags = CYAML_FLAG_POINTER;
        schema->root[i].data_size = sizeof(struct catalog);
        schema->root[i].mapping.fields = schema->top[i];
    }
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!catalog_in_profile(&s[i]))
            continue;
        cyaml_schema_field_t list = list_schema(&s[i], &schema->entry[i]);

        list.value.flags = (enum cyaml_flag)(list.value.flags | CYAML_FLAG_OPTIONAL);
        schema->profile_top[k++] = list;
    }
    schema->profile_top[k] = end_of_fields;
    schema->profile = schema->root[0];
    schema->profile.mapping.fields = schema->profile_top;
}

/* ---- Complaints ------------------------------------------------------------------------------------ */

static int complain(const struct complaint *c, unsigned line, const char *key, const char *what)
{
    if (line)
        snprintf(c->error, c->error_size, "%s:%u: %s: %s", c->path, line, key, what);
    else
        snprintf(c->error, c->error_size, "%s: %s: %s", c->path, key, what);
    return -EINVAL;
}

/* The same, at the line of a path of the file. */
static int complain_at(const struct complaint *c, const char *path, const char *what)
{
    const struct outline_node *node = outline_find(c->outline, path);

    return complain(c, node ? node->line : 0, path, what);
}

static void hear(cyaml_log_t level, void *context, const char *format, va_list arguments)
{
    struct heard *heard = context;
    char text[256];
    const char *at;

    (void)level;
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    if (!heard->message[0]) {
        at = strncmp(text, "Load: ", 6) == 0 ? text + 6 : text;
        snprintf(heard->message, sizeof heard->message, "%s", at);
        return;
    }
    at = strstr(text, "(line: ");
    if (at && !heard->line)
        heard->line = (unsigned)strtoul(at + 7, NULL, 10);
    at = strstr(text, "field '");
    if (at && !heard->field[0])
        snprintf(heard->field, sizeof heard->field, "%.*s", (int)strcspn(at + 7, "'"), at + 7);
}

/* The first node from `line` on whose last path component is key. */
static const struct outline_node *node_named(const struct outline *o, const char *key,
                                             unsigned line)
{
    size_t len = strlen(key);

    for (uint32_t i = 0; i < o->n; i++) {
        size_t path_len = strlen(o->nodes[i].path);

        if (o->nodes[i].line < line || path_len < len)
            continue;
        if (strcmp(o->nodes[i].path + path_len - len, key) == 0 &&
            (path_len == len || o->nodes[i].path[path_len - len - 1] == '.'))
            return &o->nodes[i];
    }
    return NULL;
}

/* Appends the known word nearest to key, out of the keys of the section; NULL: of a profile, its sections. */
static void suggest(char *what, size_t size, const struct catalog_section *s, const char *key)
{
    const char *words[FIELDS_MOST + 4] = {"value", "source", "evidence", "tp"};
    size_t n = 4, len = strlen(what), n_sections;
    const struct catalog_section *all = catalog_sections(&n_sections);
    const char *near;

    for (size_t i = 0; s && i < s->n_fields && n < sizeof words / sizeof *words; i++)
        words[n++] = s->fields[i].key;
    for (size_t i = 0; !s && i < n_sections; i++)
        if (catalog_in_profile(&all[i]))
            words[n++] = all[i].key;
    near = near_word(key, words, n);
    if (near)
        snprintf(what + len, size - len, ", did you mean %s?", near);
}

static int complain_of_heard(const struct complaint *c, const struct catalog_section *s,
                             const struct heard *heard, cyaml_err_t status)
{
    static const char unexpected[] = "Unexpected key: ",
                      missing[] = "Missing required mapping field: ";
    char what[384] = "expected a key of the catalogue";
    const struct outline_node *node;

    /* libyaml has no words for a want of memory, and libcyaml passes that on. */
    if (status == CYAML_ERR_OOM || strstr(heard->message, "(null)")) {
        snprintf(c->error, c->error_size, "%s: out of memory", c->path);
        return -ENOMEM;
    }
    if (strncmp(heard->message, unexpected, sizeof unexpected - 1) == 0) {
        const char *key = heard->message + sizeof unexpected - 1;

        node = node_named(c->outline, key, heard->line);
        suggest(what, sizeof what, s, key);
        return complain(c, node ? node->line : heard->line, node ? node->path : key, what);
    }
    if (strncmp(heard->message, missing, sizeof missing - 1) == 0)
        return complain(c, heard->line, heard->message + sizeof missing - 1,
                        "expected this key, which is missing here");
    snprintf(what, sizeof what, "expected %s (%s)",
             status == CYAML_ERR_INVALID_VALUE ? "another kind of value" : "a well-formed entry",
             heard->message[0] ? heard->message : cyaml_strerror(status));
    node = heard->field[0] ? node_named(c->outline, heard->field, heard->line) : NULL;
    return complain(c, heard->line, node ? node->path : s ? s->key : "profile", what);
}

/* ---- From text to numbers ----------------------------------------------------------------------- */

static int parse_number(enum catalog_unit unit, const char *text, double *number, const char **why)
{
    uint64_t whole = 0;
    int status = -EINVAL;

    switch (unit) {
    case CATALOG_BYTES:
        status = units_bytes(text, &whole, why);
        *number = (double)whole;
        return status;
    case CATALOG_DURATION:
        status = units_duration(text, &whole, why);
        *number = (double)whole;
        return status;
    case CATALOG_COUNT:
        status = units_count(text, &whole, why);
        *number = (double)whole;
        return status;
    case CATALOG_BANDWIDTH:
        return units_bandwidth(text, number, why);
    case CATALOG_FLOPS:
        return units_flops(text, number, why);
    case CATALOG_PRICE:
        return units_price(text, number, why);
    case CATALOG_STORED:
        return units_price_stored(text, number, why);
    case CATALOG_MOVED:
        return units_price_moved(text, number, why);
    case CATALOG_DAY:
        return -EINVAL; /* of strings only */
    case CATALOG_RATIO:
        status = units_ratio(text, number, why);
        if (status == 0 && !(*number > 0 && *number <= 1)) {
            *why = "expected a ratio above 0 and at most 1";
            return -EINVAL;
        }
        return status;
    case CATALOG_NUMBER:
        status = units_number(text, number, why);
        if (status == 0 && *number < 0) {
            *why = "expected a number of at least 0";
            return -EINVAL;
        }
        return status;
    }
    return status;
}

static int type_value(const struct complaint *c, const char *path, enum catalog_unit unit,
                      struct catalog_value *v)
{
    char at[PATH_SIZE + 48];
    const char *why = "expected a value";

    if (!v->text)
        return 0;
    if (parse_number(unit, v->text, &v->number, &why)) {
        snprintf(at, sizeof at, "%s.value", path);
        return complain_at(c, at, why);
    }
    if (!strchr("SDMC", v->evidence[0])) {
        snprintf(at, sizeof at, "%s.evidence", path);
        return complain_at(c, at, "expected S, D, M or C");
    }
    return 0;
}

static int type_curve(const struct complaint *c, const char *path, enum catalog_unit unit,
                      struct catalog_curve *curve)
{
    char at[PATH_SIZE + 32];
    int status = 0;

    for (uint32_t i = 0; i < curve->n && !status; i++) {
        if (curve->points[i].tp <= (i ? curve->points[i - 1].tp : 0)) {
            snprintf(at, sizeof at, "%s[%u].tp", path, i);
            return complain_at(c, at, "expected degrees from 1 upwards, ascending");
        }
        snprintf(at, sizeof at, "%s[%u]", path, i);
        status = type_value(c, at, unit, &curve->points[i].value);
    }
    return status;
}

static int type_entry(const struct complaint *c, const struct catalog_section *s, uint32_t i,
                      char *entry)
{
    char path[PATH_SIZE];
    int status = 0;

    for (size_t k = 0; k < s->n_fields && !status; k++) {
        const struct catalog_field *f = &s->fields[k];

        snprintf(path, sizeof path, "%s[%u].%s", s->key, i, f->key);
        if (f->kind == CATALOG_STRING && f->unit == CATALOG_DAY &&
            !catalog_is_day(*(const char **)(void *)(entry + f->offset)))
            return complain_at(c, path, "expected a day of the calendar, such as 2026-11-09");
        if (f->kind == CATALOG_VALUE)
            status =
                type_value(c, path, f->unit, (struct catalog_value *)(void *)(entry + f->offset));
        else if (f->kind == CATALOG_CURVE)
            status =
                type_curve(c, path, f->unit, (struct catalog_curve *)(void *)(entry + f->offset));
    }
    return status;
}

static int type_section(const struct complaint *c, struct catalog *catalog,
                        const struct catalog_section *s)
{
    uint32_t n = catalog_count(catalog, s);
    char path[PATH_SIZE], *entries;

    memcpy(&entries, (const char *)catalog + s->offset, sizeof entries);
    for (uint32_t i = 0; i < n; i++) {
        char *entry = entries + i * s->entry_size;
        int status = type_entry(c, s, i, entry);

        if (status)
            return status;
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(catalog_name_of(entry), catalog_name_of(entries + j * s->entry_size)) == 0) {
                snprintf(path, sizeof path, "%s[%u].name", s->key, i);
                return complain_at(c, path, "expected a name that no earlier entry has");
            }
    }
    return 0;
}

/* ---- Loading ------------------------------------------------------------------------------------ */

static int load_text(const cyaml_schema_value_t *root, const struct catalog_section *first,
                     const struct complaint *c, const char *text, size_t len, struct catalog **part)
{
    size_t n;
    const struct catalog_section *s = catalog_sections(&n);
    struct heard heard = {.line = 0};
    cyaml_config_t config = {.log_fn = hear,
                             .log_ctx = &heard,
                             .log_level = CYAML_LOG_WARNING,
                             .mem_fn = cyaml_mem};
    void *tree = NULL;
    int status = 0;
    cyaml_err_t loaded = cyaml_load_data((const uint8_t *)text, len, &config, root, &tree, NULL);

    if (loaded != CYAML_OK)
        return complain_of_heard(c, first, &heard, loaded);
    if (!tree)
        return complain(c, 0, first ? first->key : "profile", "expected a list of entries");
    *part = tree;
    /* Lists of sections that are not in this file are empty. */
    for (size_t i = 0; i < n && !status; i++)
        status = type_section(c, *part, &s[i]);
    if (status) {
        catalog_release(root, *part);
        *part = NULL;
    }
    return status;
}

int catalog_read(const cyaml_schema_value_t *root, const struct catalog_section *s,
                 const char *path, struct catalog **part, char *error, size_t error_size)
{
    struct outline outline;
    struct complaint c = {.path = path,
                          .outline = &outline,
                          .error = error,
                          .error_size = error_size};
    char *text;
    size_t len;
    int status = outline_read_file(path, &text, &len, error, error_size);

    if (status)
        return status;
    status = outline_init(&outline, path, text, len, error, error_size);
    if (!status) {
        status = load_text(root, s, &c, text, len, part);
        outline_release(&outline);
    }
    free(text);
    return status;
}

void catalog_release(const cyaml_schema_value_t *root, struct catalog *part)
{
    const cyaml_config_t config = {.mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR};

    if (part)
        cyaml_free(&config, root, part, 0);
}

/* Loads the file that section `first` begins, with all its sections. */
static int load_file(struct store *store, size_t first, const char *path, char *error,
                     size_t error_size)
{
    size_t n;
    const struct catalog_section *s = catalog_sections(&n);
    int status = catalog_read(&store->schema.root[first], &s[first], path, &store->parts[first],
                              error, error_size);

    for (size_t i = first; i < n && !status && strcmp(s[i].file, s[first].file) == 0; i++)
        memcpy((char *)&store->catalog + s[i].offset, (char *)store->parts[first] + s[i].offset,
               sizeof store->catalog.gpus);
    return status;
}

/* Names that entries give of one another. */
static int check_references(const struct catalog *c, char *error, size_t error_size)
{
    char why[256];

    for (uint32_t i = 0; i < c->gpus.n; i++)
        if (!catalog_host(c, c->gpus.entries[i].host, why, sizeof why)) {
            snprintf(error, error_size, "gpus.yaml: gpus[%u].host: %s", i, why);
            return -EINVAL;
        }
    return catalog_check_prices(c, error, error_size);
}

int catalog_load(struct catalog **catalog, const char *folder, char *error, size_t error_size)
{
    size_t n;
    const struct catalog_section *s = catalog_sections(&n);
    struct store *store = calloc(1, sizeof *store);
    char path[4096];
    int status = 0;

    *catalog = NULL;
    if (!store) {
        snprintf(error, error_size, "%s: out of memory", folder);
        return -ENOMEM;
    }
    schema_init(&store->schema);
    for (size_t i = 0; i < n && !status; i++) {
        if (i > 0 && strcmp(s[i].file, s[i - 1].file) == 0)
            continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, s[i].file) >= (int)sizeof path) {
            snprintf(error, error_size, "%.64s...: expected a shorter path", folder);
            status = -ENAMETOOLONG;
        } else {
            status = load_file(store, i, path, error, error_size);
        }
    }
    if (!status)
        status = check_references(&store->catalog, error, error_size);
    if (status) {
        catalog_free(&store->catalog);
        return status;
    }
    *catalog = &store->catalog;
    return 0;
}

void catalog_free(struct catalog *catalog)
{
    struct store *store = (struct store *)(void *)catalog;

    if (!store)
        return;
    for (struct profile *p = store->profiles, *next; p; p = next) {
        next = p->next;
        for (size_t i = 0; i < SECTIONS_MOST; i++)
            free(p->merged[i]);
        catalog_release(&store->schema.profile, p->part);
        free(p);
    }
    for (size_t i = 0; i < SECTIONS_MOST; i++)
        catalog_release(&store->schema.root[i], store->parts[i]);
    free(store);
}
