/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report.h - one HTML file about one or more results folders: everything inline, nothing fetched, no script.
 *
 *      cmd_report.c      arguments, folders, the frame of the page
 *      report_folder.c   one folder: question, setting, answer, pictures, tables, assumptions, how to reproduce
 *      report_html.c     text, CSV tables and SVG pictures as HTML
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <jansson.h>
#include <stdio.h>

#include "catalog.h"

/* ---- report_html.c ---- */

/* Text with <, >, & and quotes made harmless; control characters become blanks. */
void html_text(FILE *out, const char *text);

enum { CSV_COLUMNS = 512 };

/* Cuts one line of CSV into at most `most` fields, in place (RFC 4180 quotes, no line breaks within). Returns how
 * many. */
size_t html_split(char *line, char **fields, size_t most);

/* A CSV file as a table: comments left out, with the given columns alone (NULL-terminated; NULL: all), at most
 * `most` rows, and a line that says how many more there are. Empty fields stay empty. Returns rows shown; 0 also
 * when there is no such file. */
size_t html_csv(FILE *out, int dirfd, const char *file, const char *const *columns, size_t most);

/* An SVG file inline, its ids prefixed so that pictures of one page do not share them. Returns 0, or a negative
 * errno: not there, not an SVG, larger than 2 MiB. */
int html_svg(FILE *out, int dirfd, const char *file, unsigned number);

/* A whole file, NUL-terminated; NULL: not there, or larger than `most`. Freed by the caller. */
char *html_slurp(int dirfd, const char *file, size_t most, size_t *len);

/* ---- report_folder.c ---- */

/* A section about a folder. pictures counts the pictures of the page, for their ids. Returns 0; or -EINVAL with one
 * line in why when it holds no results. */
KVT_MUST_CHECK int report_folder(FILE *out, const char *dir, const struct catalog *catalog,
                                 unsigned *pictures, char *why, size_t size);

#endif
