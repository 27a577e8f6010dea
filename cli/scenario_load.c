/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * scenario_load.c - a scenario file, read by libcyaml against a schema made from the table of keys.
 *
 *      file -> outline (lines, duplicates) -> names checked -> libcyaml (shape) -> texts with lines
 *
 * The schema is generated, so that the table stays the only list of keys: a section becomes a
 * mapping, a key a string in one flat struct, and the tiers a sequence of structs. Every mapping
 * has the whole struct as its own, so offsets are those of the struct.
 *
 * libcyaml reports through a log: a first line with the cause, then a backtrace of fields with line
 * numbers. Both become one message.
 */
#include "scenario.h"

#include <cyaml/cyaml.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "near.h"
#include "outline.h"

/* A tier as libcyaml fills it. Lists have a count beside them. */
struct raw_tier {
    char *kind;
    char *text[SCENARIO_TIER_KEYS_MOST];
    char **list[SCENARIO_TIER_KEYS_MOST]; /* of keys that are lists, instead of text */
    unsigned list_count[SCENARIO_TIER_KEYS_MOST];
};

/* Likewise a fault. */
struct raw_fault {
    char *text[SCENARIO_FAULT_KEYS];
};

struct raw_scenario {
    char *text[SCENARIO_KEYS_MOST];
    struct raw_fault *faults;
    unsigned faults_count;
    struct raw_tier *tiers;
    unsigned tiers_count;
};

enum { FIELDS_MOST = SCENARIO_KEYS_MOST * 3, NAME_MOST = 48, LIST_MOST = 1024 };

/* The generated schema and the memory it points into. */
struct schema {
    cyaml_schema_value_t root, tier, name, fault;
    cyaml_schema_field_t fault_fields[SCENARIO_FAULT_KEYS + 1];
    cyaml_schema_field_t tier_fields[SCENARIO_TIER_KEYS_MOST + 2];
    cyaml_schema_field_t fields[FIELDS_MOST]; /* of all mappings, each ended by a NULL key */
    size_t n_fields;
    char names[FIELDS_MOST][NAME_MOST]; /* of sections */
    size_t n_names;
};

static cyaml_schema_field_t string_field(const char *name, size_t offset)
{
    cyaml_schema_field_t field = {
        .key = name,
        .data_offset = (uint32_t)offset,
        .value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char, 0,
                                     CYAML_UNLIMITED)},
    };
    return field;
}

static cyaml_schema_field_t sequence_field(const char *name, size_t offset, size_t count_offset,
                                           const cyaml_schema_value_t *entry, size_t entry_b)
{
    cyaml_schema_field_t field = {
        .key = name,
        .data_offset = (uint32_t)offset,
        .count_offset = (uint32_t)count_offset,
        .count_size = sizeof(unsigned),
        .value = {.type = CYAML_SEQUENCE,
                  .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                  .data_size = (uint32_t)entry_b,
                  .sequence = {.entry = entry, .min = 0, .max = LIST_MOST}},
    };
    return field;
}

/* Makes the mapping of the section `prefix` ("" or with its point at the end) and of those in
 * it. keys[first .. last) are in the section. Returns its fields. */
static const cyaml_schema_field_t *build_section(struct schema *schema, size_t first, size_t last,
                                                 const char *prefix)
{
    size_t n_keys;
    const struct scenario_key *keys = scenario_keys(&n_keys);
    /* Fields of one mapping stand together: room for the most there can be, the rest stays unused. */
    cyaml_schema_field_t *fields = &schema->fields[schema->n_fields];
    size_t n = 0, prefix_len = strlen(prefix);
    schema->n_fields += last - first + 2;
    assert(schema->n_fields <= FIELDS_MOST);
    for (size_t i = first; i < last;) {
        const char *name = keys[i].path + prefix_len;
        size_t len = strcspn(name, ".");
        if (keys[i].type == KEY_LATER) {
            i++;
            continue;
        }
        if (keys[i].type == KEY_FAULTS) {
            fields[n++] = sequence_field(name, offsetof(struct raw_scenario, faults),
                                         offsetof(struct raw_scenario, faults_count),
                                         &schema->fault, sizeof(struct raw_fault));
            i++;
            continue;
        }
        if (name[len] == '\0') {
            fields[n++] = string_field(name, offsetof(struct raw_scenario, text[i]));
            i++;
            continue;
        }
        char inner[NAME_MOST * 2];
        snprintf(inner, sizeof inner, "%s%.*s.", prefix, (int)len, name);
        size_t end = i + 1;
        while (end < last && strncmp(keys[end].path, inner, strlen(inner)) == 0)
            end++;
        char *section = schema->names[schema->n_names++];
        snprintf(section, NAME_MOST, "%.*s", (int)len, name);
        cyaml_schema_field_t field = {
            .key = section,
            .value = {.type = CYAML_MAPPING,
                      .flags = CYAML_FLAG_OPTIONAL,
                      .data_size = sizeof(struct raw_scenario),
                      .mapping = {.fields = build_section(schema, i, end, inner)}},
        };
        fields[n++] = field;
        i = end;
    }
    if (strcmp(prefix, "cache.") == 0)
        fields[n++] = sequence_field("tiers", offsetof(struct raw_scenario, tiers),
                                     offsetof(struct raw_scenario, tiers_count), &schema->tier,
                                     sizeof(struct raw_tier));
    fields[n].key = NULL;
    return fields;
}

static void build_schema(struct schema *schema)
{
    memset(schema, 0, sizeof *schema);
    schema->name =
        (cyaml_schema_value_t){CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED)};
    size_t n, fields = 0;
    const struct scenario_key *keys = scenario_tier_keys(&n);
    schema->tier_fields[fields++] = string_field("kind", offsetof(struct raw_tier, kind));
    for (size_t i = 0; i < n; i++) {
        if (keys[i].type == KEY_LIST)
            schema->tier_fields[fields++] =
                sequence_field(keys[i].path, offsetof(struct raw_tier, list[i]),
                               offsetof(struct raw_tier, list_count[i]), &schema->name,
                               sizeof(char *));
        else if (keys[i].type != KEY_LATER)
            schema->tier_fields[fields++] =
                string_field(keys[i].path, offsetof(struct raw_tier, text[i]));
    }
    schema->tier = (cyaml_schema_value_t){
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_tier, schema->tier_fields)};
    for (size_t i = 0; scenario_fault_keys[i]; i++)
        schema->fault_fields[i] =
            string_field(scenario_fault_keys[i], offsetof(struct raw_fault, text[i]));
    schema->fault = (cyaml_schema_value_t){
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct raw_fault, schema->fault_fields)};
    scenario_keys(&n);
    const cyaml_schema_field_t *root = build_section(schema, 0, n, "");
    schema->root =
        (cyaml_schema_value_t){CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw_scenario, root)};
}

/* ---- libcyaml's log, as one line -------------------------------------------------------------------- */

struct complaint {
    char cause[160];
    char field[64];
    unsigned line;
};

static void on_log(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
    struct complaint *c = ctx;
    char text[256];
    (void)level;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    const char *at = strstr(text, "(line: ");
    if (!at) {
        if (!c->cause[0] && !strstr(text, "Backtrace"))
            snprintf(c->cause, sizeof c->cause, "%.150s",
                     strncmp(text, "Load: ", 6) == 0 ? text + 6 : text);
        return;
    }
    if (c->line == 0)
        c->line = (unsigned)strtoul(at + strlen("(line: "), NULL, 10);
}

static int load_raw(const char *path, const char *text, size_t len, struct schema *schema,
                    const cyaml_config_t *config, struct raw_scenario **raw, char *error)
{
    struct complaint *c = config->log_ctx;
    cyaml_err_t rc = cyaml_load_data((const uint8_t *)text, len, config, &schema->root,
                                     (cyaml_data_t **)raw, NULL);
    if (rc == CYAML_OK && *raw)
        return 0;
    if (rc == CYAML_ERR_OOM) {
        snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: out of memory", path);
        return -ENOMEM;
    }
    snprintf(error, SCENARIO_ERROR_SIZE, "%.200s:%u: expected the shape of a scenario, but: %s",
             path, c->line ? c->line : 1, c->cause[0] ? c->cause : cyaml_strerror(rc));
    return -EINVAL;
}

/* ---- Names and shapes, with lines ------------------------------------------------------------------- */

static int refuse_node(const char *file, const struct outline_node *node, const char *message,
                       char *error)
{
    snprintf(error, SCENARIO_ERROR_SIZE, "%.150s:%u: %.300s", file, node->line, message);
    return -EINVAL;
}

/* The kind of tier that list entry `node` describes; KVT_TIERS with a message when it does not say. */
static enum kvt_tier_kind entry_kind(const struct outline *outline, const char *file,
                                     const struct outline_node *node, char *error)
{
    char path[128], message[200];
    if (node->kind != OUTLINE_MAPPING) {
        snprintf(message, sizeof message,
                 "%s: expected a tier such as {kind: host, capacity: 512GiB}", node->path);
        refuse_node(file, node, message, error);
        return KVT_TIERS;
    }
    snprintf(path, sizeof path, "%.100s.kind", node->path);
    const struct outline_node *kind = outline_find(outline, path);
    enum kvt_tier_kind tier = KVT_TIERS;
    if (kind && kind->kind == OUTLINE_SCALAR)
        tier = scenario_tier_named(kind->value);
    if (tier == KVT_TIERS) {
        snprintf(message, sizeof message, "%s: expected gpu, peer, host, redis or disk", path);
        refuse_node(file, kind ? kind : node, message, error);
    }
    return tier;
}

/* "cache.tiers[2].ttl" -> "cache.tiers.redis.ttl" for tier kinds[2]. False when path is not below an entry. */
static bool command_path(const char *path, const enum kvt_tier_kind *kinds, size_t n_kinds,
                         char *out, size_t size)
{
    static const char prefix[] = "cache.tiers[";
    if (strncmp(path, prefix, sizeof prefix - 1) != 0) {
        snprintf(out, size, "%s", path);
        return true;
    }
    char *end;
    unsigned long i = strtoul(path + sizeof prefix - 1, &end, 10);
    if (i >= n_kinds || end[0] != ']' || end[1] != '.')
        return false;
    snprintf(out, size, "cache.tiers.%s%s", kvt_tier_name(kinds[i]), end + 1);
    return true;
}

enum { TIERS_MOST = 64 };

/* Fills kinds[] from the list of tiers, each kind at most once. */
static int find_tiers(struct scenario *s, const struct outline *outline,
                      enum kvt_tier_kind kinds[TIERS_MOST], size_t *n_kinds, char *error)
{
    const struct outline_node *list = outline_find(outline, "cache.tiers");
    *n_kinds = 0;
    for (uint32_t i = 0; list && i < outline->n; i++) {
        const struct outline_node *node = &outline->nodes[i];
        if (node->parent != (uint32_t)(list - outline->nodes) || list->kind != OUTLINE_SEQUENCE)
            continue;
        enum kvt_tier_kind kind = entry_kind(outline, s->path, node, error);
        if (kind == KVT_TIERS)
            return -EINVAL;
        if (s->tier_line[kind]) {
            char message[128];
            snprintf(message, sizeof message,
                     "cache.tiers: expected one %s tier, the first is in line %u",
                     kvt_tier_name(kind), s->tier_line[kind]);
            return refuse_node(s->path, node, message, error);
        }
        s->tier_line[kind] = node->line;
        kinds[(*n_kinds)++] = kind; /* at most one of each kind: never beyond TIERS_MOST */
    }
    return 0;
}

/* A section or key at `path` has the right shape? Returns what was expected, or NULL. */
static const char *shape_expected(const struct outline_node *node, const struct scenario_key *key)
{
    if (!key && node->kind != OUTLINE_MAPPING)
        return "expected a section with keys";
    if (key && key->type == KEY_FAULTS)
        return node->kind == OUTLINE_SEQUENCE ? NULL : "expected a list of faults";
    if (key && key->type == KEY_LIST)
        return node->kind == OUTLINE_SEQUENCE ? NULL : "expected a list, such as [fp16, zlib-3]";
    if (key && node->kind != OUTLINE_SCALAR)
        return "expected one value";
    return NULL;
}

static int check_fault_node(struct scenario *s, const struct outline_node *node, char *error)
{
    char why[400];
    const char *name = strchr(node->path, ']');
    if (name && name[1] == '\0') {
        if (node->kind == OUTLINE_MAPPING)
            return 0;
        snprintf(why, sizeof why,
                 "%.60s: expected a fault such as {at: 30s, kill: redis/0, for: 20s}", node->path);
        return refuse_node(s->path, node, why, error);
    }
    for (size_t i = 0; name && name[1] == '.' && scenario_fault_keys[i]; i++) {
        if (strcmp(name + 2, scenario_fault_keys[i]) != 0)
            continue;
        if (node->kind == OUTLINE_SCALAR && !strpbrk(node->value, ",{}[]"))
            return 0;
        snprintf(why, sizeof why, "%.60s: expected one plain value", node->path);
        return refuse_node(s->path, node, why, error);
    }
    int at = snprintf(why, sizeof why, "%.60s: unknown key, expected one of ", node->path);
    near_list(why + at, sizeof why - (size_t)at, scenario_fault_keys, SCENARIO_FAULT_KEYS);
    return refuse_node(s->path, node, why, error);
}

static bool is_section(const char *path)
{
    size_t n, len = strlen(path);
    const struct scenario_key *keys = scenario_keys(&n);
    for (size_t i = 0; i < n; i++)
        if (strncmp(keys[i].path, path, len) == 0 && keys[i].path[len] == '.')
            return true;
    return false;
}

/* Checks one node's name and shape. */
static int check_node(struct scenario *s, const struct outline_node *node, const char *path,
                      char *error)
{
    const struct scenario_key *key = NULL;
    struct scenario_value *value;
    enum kvt_tier_kind tier;
    char why[SCENARIO_ERROR_SIZE];
    if (!is_section(path) && scenario_find(s, path, &key, &value, &tier, why) != 0)
        return refuse_node(s->path, node, why, error);
    const char *expected = shape_expected(node, key);
    if (!expected)
        return 0;
    snprintf(why, sizeof why, "%.200s: %s", path, expected);
    return refuse_node(s->path, node, why, error);
}

static int check_names(struct scenario *s, const struct outline *outline,
                       enum kvt_tier_kind kinds[TIERS_MOST], size_t *n_kinds, char *error)
{
    if (outline->nodes[0].kind != OUTLINE_MAPPING)
        return refuse_node(s->path, &outline->nodes[0],
                           "file: expected keys such as workload, cluster and cache", error);
    int rc = find_tiers(s, outline, kinds, n_kinds, error);
    for (uint32_t i = 1; rc == 0 && i < outline->n; i++) {
        const struct outline_node *node = &outline->nodes[i];
        char path[600];
        if (strncmp(node->path, "faults[", 7) == 0) {
            rc = check_fault_node(s, node, error);
            continue;
        }
        if (strcmp(node->path, "cache.tiers") == 0) {
            if (node->kind != OUTLINE_SEQUENCE)
                rc = refuse_node(s->path, node, "cache.tiers: expected a list of tiers", error);
            continue;
        }
        if (!command_path(node->path, kinds, *n_kinds, path, sizeof path))
            continue; /* the list entry itself */
        size_t len = strlen(path);
        const char *last = strrchr(node->path, '.');
        bool in_entry = strncmp(node->path, "cache.tiers[", 12) == 0;
        if (in_entry && last && strcmp(last, ".kind") == 0)
            continue;
        if (len > 0 && path[len - 1] == ']') {
            if (node->kind != OUTLINE_SCALAR)
                rc = refuse_node(s->path, node, "list: expected plain names", error);
            continue; /* an entry of a list whose own node has been checked */
        }
        rc = check_node(s, node, path, error);
    }
    return rc;
}

/* ---- Texts ------------------------------------------------------------------------------------------ */

static uint32_t line_of(const struct outline *outline, const char *path)
{
    const struct outline_node *node = outline_find(outline, path);
    return node ? node->line : 0;
}

static char *join(char *const *words, unsigned n)
{
    if (n == 0)
        return strdup("none");
    size_t size = 1;
    for (unsigned i = 0; i < n; i++)
        size += strlen(words[i]) + 1;
    char *text = malloc(size);
    size_t at = 0;
    for (unsigned i = 0; text && i < n; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? "," : "", words[i]);
    return text;
}

static int take(struct scenario_value *value, char *text, uint32_t line)
{
    *value = (struct scenario_value){.text = text, .source = SOURCE_FILE, .line = line};
    return text ? 0 : -ENOMEM;
}

/* The list as one text, as --set takes it. */
static char *join_faults(const struct raw_scenario *raw)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (unsigned f = 0; f < raw->faults_count; f++) {
        const char *between = f ? ", {" : "{";
        for (size_t i = 0; scenario_fault_keys[i]; i++) {
            if (!raw->faults[f].text[i])
                continue;
            fprintf(out, "%s%s: %s", between, scenario_fault_keys[i], raw->faults[f].text[i]);
            between = ", ";
        }
        fputs(between[0] == ',' && between[2] == '\0' ? "}" : f ? ", {}" : "{}", out);
    }
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static int take_faults(struct scenario *s, struct scenario_value *value,
                       const struct raw_scenario *raw, const struct outline *outline)
{
    for (unsigned f = 0; f < raw->faults_count && f < SCENARIO_FAULTS_MOST; f++) {
        char path[32];
        snprintf(path, sizeof path, "faults[%u]", f);
        s->fault_line[f] = line_of(outline, path);
    }
    return take(value, raw->faults_count ? join_faults(raw) : strdup("none"),
                line_of(outline, "faults"));
}

/* Copies what libcyaml read into the scenario, with lines. */
static int take_texts(struct scenario *s, const struct raw_scenario *raw,
                      const struct outline *outline, const enum kvt_tier_kind *kinds)
{
    size_t n;
    int rc = 0;
    const struct scenario_key *keys = scenario_keys(&n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (raw->text[i])
            rc = take(&s->values[i], strdup(raw->text[i]), line_of(outline, keys[i].path));
        else if (keys[i].type == KEY_FAULTS && outline_find(outline, keys[i].path))
            rc = take_faults(s, &s->values[i], raw, outline);
    }
    keys = scenario_tier_keys(&n);
    for (unsigned t = 0; t < raw->tiers_count; t++) {
        for (size_t i = 0; rc == 0 && i < n; i++) {
            const struct raw_tier *tier = &raw->tiers[t];
            bool list = keys[i].type == KEY_LIST;
            if (list ? !tier->list[i] : !tier->text[i])
                continue;
            char path[128];
            snprintf(path, sizeof path, "cache.tiers[%u].%s", t, keys[i].path);
            rc = take(&s->tier_values[kinds[t]][i],
                      list ? join(tier->list[i], tier->list_count[i]) : strdup(tier->text[i]),
                      line_of(outline, path));
        }
    }
    return rc;
}

int scenario_load_text(struct scenario *s, const char *path, const char *text, size_t len,
                       char *error)
{
    struct outline outline = {0};
    struct schema *schema = NULL;
    struct raw_scenario *raw = NULL;
    struct complaint complaint = {0};
    const cyaml_config_t config = {
        .log_fn = on_log,
        .log_ctx = &complaint,
        .mem_fn = cyaml_mem,
        .log_level = CYAML_LOG_ERROR,
        .flags = CYAML_CFG_NO_ALIAS,
    };
    enum kvt_tier_kind kinds[TIERS_MOST] = {KVT_GPU};
    size_t n_kinds = 0;
    memset(s, 0, sizeof *s);
    int rc = outline_init(&outline, path, text, len, error, SCENARIO_ERROR_SIZE);
    if (rc != 0)
        return rc;
    s->path = strdup(path);
    schema = malloc(sizeof *schema);
    if (!s->path || !schema) {
        snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: out of memory", path);
        rc = -ENOMEM;
        goto out;
    }
    rc = check_names(s, &outline, kinds, &n_kinds, error);
    if (rc != 0)
        goto out;
    build_schema(schema);
    rc = load_raw(path, text, len, schema, &config, &raw, error);
    if (rc != 0)
        goto out;
    rc = take_texts(s, raw, &outline, kinds);
    if (rc != 0)
        snprintf(error, SCENARIO_ERROR_SIZE, "%.200s: out of memory", path);
out:
    if (raw)
        cyaml_free(&config, &schema->root, raw, 0);
    free(schema);
    outline_release(&outline);
    if (rc != 0) {
        outline_one_line(error);
        scenario_release(s);
    }
    return rc;
}

int scenario_load(struct scenario *s, const char *path, char *error)
{
    char *text;
    size_t len;
    int rc = outline_read_file(path, &text, &len, error, SCENARIO_ERROR_SIZE);
    if (rc != 0)
        return rc;
    rc = scenario_load_text(s, path, text, len, error);
    free(text);
    return rc;
}

void scenario_release(struct scenario *s)
{
    free(s->path);
    for (size_t i = 0; i < SCENARIO_KEYS_MOST; i++)
        free(s->values[i].text);
    for (size_t kind = 0; kind < KVT_TIERS; kind++)
        for (size_t i = 0; i < SCENARIO_TIER_KEYS_MOST; i++)
            free(s->tier_values[kind][i].text);
    memset(s, 0, sizeof *s);
}
