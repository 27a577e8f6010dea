/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * outline.h - where each key of a YAML file stands.
 *
 * libcyaml checks a file against a schema and fills structs, but forgets the lines of values. This is one
 * pass over libyaml's events that keeps what messages need: the path of every node and its line.
 * Paths read as on the command line: cache.tiers[1].capacity.
 *
 * Refused here, because no schema can see it: duplicate keys, anchors and aliases, several documents,
 * keys that are no plain scalars, nesting deeper than 16, more than 65,536 nodes, files above 1 MiB.
 */
#ifndef CLI_OUTLINE_H
#define CLI_OUTLINE_H

#include "../core/types.h"

enum outline_kind { OUTLINE_SCALAR, OUTLINE_MAPPING, OUTLINE_SEQUENCE };

struct outline_node {
    char *path;  /* of the node, "" for the root */
    char *value; /* of a scalar; NULL otherwise */
    uint32_t line;
    uint32_t parent; /* index of the mapping or sequence around it; KVT_NONE for the root */
    enum outline_kind kind;
};

struct outline {
    struct outline_node *nodes; /* in file order: parents stand before their children */
    uint32_t n;
    uint32_t room; /* private */
};

/* Reads a file of at most 1 MiB into *text (malloc; caller frees). On failure returns a negative errno
 * with one line, "file: what was expected", in error. */
KVT_MUST_CHECK int outline_read_file(const char *path, char **text, size_t *len, char *error,
                                     size_t error_size);

/* Outlines text[0 .. len); name stands for the file in messages. Returns 0, or a negative errno with one
 * line in error and nothing to release. */
KVT_MUST_CHECK int outline_init(struct outline *outline, const char *name, const char *text,
                                size_t len, char *error, size_t error_size);
void outline_release(struct outline *outline);

/* Replaces control characters by '?': keys and values of a file may hold them, messages must not. */
void outline_one_line(char *message);

/* The node at path, or NULL. */
const struct outline_node *outline_find(const struct outline *outline, const char *path);

#endif
