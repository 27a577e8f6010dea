/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * outline.c - one pass over libyaml's events that gives each key its path and line.
 *
 * A stack of open mappings and sequences; a mapping alternates between key and value. Duplicates are
 * found by comparing paths with the siblings before, quadratic in the number of keys of one mapping:
 * bounded by NODES_MOST and, in scenario files, a few dozen.
 */
#include "outline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

enum { DEPTH_MOST = 16, NODES_MOST = 65536, FILE_MOST_B = 1 << 20, PATH_MOST = 512 };

struct frame {
    uint32_t node;
    uint32_t entries; /* sequence: entries so far */
    char *key;        /* mapping: key whose value comes next; NULL when a key comes next */
    uint32_t key_line;
};

struct pass {
    struct outline *outline;
    struct frame stack[DEPTH_MOST];
    uint32_t depth;
    const char *name;
    char *error;
    size_t error_size;
};

void outline_one_line(char *message)
{
    for (char *c = message; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
}

static int refuse(struct pass *p, size_t line, const char *what, const char *expected)
{
    snprintf(p->error, p->error_size, "%s:%zu: %s: %s", p->name, line + 1, what, expected);
    outline_one_line(p->error);
    return -EINVAL;
}

static int no_memory(struct pass *p)
{
    snprintf(p->error, p->error_size, "%s: out of memory", p->name);
    return -ENOMEM;
}

/* Path of the value that comes next, into path[PATH_MOST]. False when it does not fit. */
static bool next_path(struct pass *p, char *path)
{
    if (p->depth == 0) {
        path[0] = '\0';
        return true;
    }
    struct frame *top = &p->stack[p->depth - 1];
    const char *base = p->outline->nodes[top->node].path;
    int n;
    if (top->key)
        n = snprintf(path, PATH_MOST, "%s%s%s", base, base[0] ? "." : "", top->key);
    else
        n = snprintf(path, PATH_MOST, "%s[%u]", base, top->entries);
    return n >= 0 && n < PATH_MOST;
}

static int add_node(struct pass *p, enum outline_kind kind, const char *value, size_t event_line)
{
    struct outline *o = p->outline;
    struct frame *top = p->depth ? &p->stack[p->depth - 1] : NULL;
    size_t line = top && top->key ? top->key_line : event_line;
    char path[PATH_MOST];
    if (!next_path(p, path))
        return refuse(p, line, "key", "expected a shorter key");
    for (uint32_t i = top ? top->node : 0; top && top->key && i < o->n; i++)
        if (o->nodes[i].parent == top->node && strcmp(o->nodes[i].path, path) == 0)
            return refuse(p, line, path, "expected once, but this is the second time");
    if (o->n == o->room) {
        if (o->n >= NODES_MOST)
            return refuse(p, line, "file", "expected at most 65536 values");
        uint32_t room = o->room ? o->room * 2 : 64;
        struct outline_node *nodes = realloc(o->nodes, room * sizeof *nodes);
        if (!nodes)
            return no_memory(p);
        o->nodes = nodes;
        o->room = room;
    }
    struct outline_node *node = &o->nodes[o->n];
    *node = (struct outline_node){
        .path = strdup(path),
        .value = value ? strdup(value) : NULL,
        .line = (uint32_t)line + 1,
        .parent = top ? top->node : KVT_NONE,
        .kind = kind,
    };
    o->n++;
    if (!node->path || (value && !node->value))
        return no_memory(p);
    if (top) {
        top->entries++;
        free(top->key);
        top->key = NULL;
    }
    return 0;
}

static bool key_comes_next(const struct pass *p)
{
    if (p->depth == 0)
        return false;
    const struct frame *top = &p->stack[p->depth - 1];
    return p->outline->nodes[top->node].kind == OUTLINE_MAPPING && !top->key;
}

static int on_scalar(struct pass *p, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t line = event->start_mark.line;
    if (event->data.scalar.anchor)
        return refuse(p, line, "anchor", "expected a file without anchors and aliases");
    if (strlen(value) != event->data.scalar.length)
        return refuse(p, line, "value", "expected text without NUL characters");
    if (!key_comes_next(p))
        return add_node(p, OUTLINE_SCALAR, value, line);
    struct frame *top = &p->stack[p->depth - 1];
    if (value[0] == '\0')
        return refuse(p, line, "key", "expected a name before the colon");
    top->key = strdup(value);
    top->key_line = (uint32_t)line;
    return top->key ? 0 : no_memory(p);
}

static int on_open(struct pass *p, enum outline_kind kind, const yaml_char_t *anchor, size_t line)
{
    if (anchor)
        return refuse(p, line, "anchor", "expected a file without anchors and aliases");
    if (key_comes_next(p))
        return refuse(p, line, "key", "expected a plain word as key");
    if (p->depth == DEPTH_MOST)
        return refuse(p, line, "file", "expected at most 16 levels");
    int rc = add_node(p, kind, NULL, line);
    if (rc == 0)
        p->stack[p->depth++] = (struct frame){.node = p->outline->n - 1};
    return rc;
}

/* Takes one event. Returns 0, or a negative errno with the message set. */
static int on_event(struct pass *p, const yaml_event_t *event)
{
    size_t line = event->start_mark.line;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(p, event);
    case YAML_MAPPING_START_EVENT:
        return on_open(p, OUTLINE_MAPPING, event->data.mapping_start.anchor, line);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(p, OUTLINE_SEQUENCE, event->data.sequence_start.anchor, line);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        p->depth--;
        return 0;
    case YAML_ALIAS_EVENT:
        return refuse(p, line, "alias", "expected a file without anchors and aliases");
    case YAML_DOCUMENT_START_EVENT:
        if (p->outline->n > 0)
            return refuse(p, line, "file", "expected one document, but a second one begins here");
        return 0;
    default:
        return 0;
    }
}

int outline_init(struct outline *outline, const char *name, const char *text, size_t len,
                 char *error, size_t error_size)
{
    *outline = (struct outline){0};
    struct pass p = {.outline = outline, .name = name, .error = error, .error_size = error_size};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return no_memory(&p);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    int rc = 0;
    for (bool end = false; !end && rc == 0;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            if (parser.error == YAML_MEMORY_ERROR) {
                rc = no_memory(&p);
                break;
            }
            char what[160];
            snprintf(what, sizeof what, "expected valid YAML, but %s",
                     parser.problem ? parser.problem : "it cannot be read");
            rc = refuse(&p, parser.problem_mark.line, "syntax", what);
            break;
        }
        rc = on_event(&p, &event);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    for (uint32_t i = 0; i < p.depth; i++)
        free(p.stack[i].key);
    if (rc == 0 && outline->n == 0)
        rc = refuse(&p, 0, "file", "expected a mapping of keys to values, but it is empty");
    if (rc != 0)
        outline_release(outline);
    return rc;
}

void outline_release(struct outline *outline)
{
    for (uint32_t i = 0; i < outline->n; i++) {
        free(outline->nodes[i].path);
        free(outline->nodes[i].value);
    }
    free(outline->nodes);
    *outline = (struct outline){0};
}

const struct outline_node *outline_find(const struct outline *outline, const char *path)
{
    for (uint32_t i = 0; i < outline->n; i++)
        if (strcmp(outline->nodes[i].path, path) == 0)
            return &outline->nodes[i];
    return NULL;
}

int outline_read_file(const char *path, char **text, size_t *len, char *error, size_t error_size)
{
    int rc = 0;
    char *buffer = NULL;
    FILE *file = fopen(path, "rb");
    if (!file) {
        rc = -errno;
        snprintf(error, error_size, "%s: expected a readable file: %s", path, strerror(-rc));
        return rc;
    }
    struct stat status;
    if (fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode)) {
        snprintf(error, error_size, "%s: expected a file, but it is a folder", path);
        rc = -EISDIR;
        goto out;
    }
    buffer = malloc(FILE_MOST_B + 1);
    if (!buffer) {
        snprintf(error, error_size, "%s: out of memory", path);
        rc = -ENOMEM;
        goto out;
    }
    *len = fread(buffer, 1, FILE_MOST_B + 1, file);
    if (ferror(file)) {
        snprintf(error, error_size, "%s: expected a readable file: read failed", path);
        rc = -EIO;
    } else if (*len > FILE_MOST_B) {
        snprintf(error, error_size, "%s: expected a file of at most 1 MiB", path);
        rc = -EFBIG;
    }
out:
    fclose(file);
    if (rc != 0) {
        free(buffer);
        return rc;
    }
    buffer[*len] = '\0';
    *text = buffer;
    return 0;
}
