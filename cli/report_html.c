/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * report_html.c - text, CSV tables and SVG pictures as HTML.
 *
 * gnuplot names its markers gpPt0, gpPt1 ... in every picture, and one page has many: each id and each reference to
 * one (href, xlink:href, url()) gets a number in front. Nothing else of a picture is touched.
 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SVG_MOST = 2 << 20, CSV_MOST = 64 << 20 };

void html_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else if ((unsigned char)*text < ' ' && *text != '\n')
            fputc(' ', out);
        else
            fputc(*text, out);
    }
}

char *html_slurp(int dirfd, const char *file, size_t most, size_t *len)
{
    struct stat st;
    int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 0 && (size_t)st.st_size <= most)
        text = malloc((size_t)st.st_size + 1);
    size_t n = 0;
    while (text) {
        ssize_t got = n < (size_t)st.st_size ? read(fd, text + n, (size_t)st.st_size - n) : 0;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    if (text)
        text[n] = '\0';
    if (len)
        *len = n;
    return text;
}

/* ---- CSV ---- */

size_t html_split(char *line, char **fields, size_t most)
{
    size_t n = 0;
    for (char *at = line; n < most;) {
        char *to = at;
        bool quoted = *at == '"';
        fields[n++] = to;
        at += quoted;
        while (*at && (quoted || *at != ',')) {
            if (quoted && *at == '"') {
                if (at[1] != '"') {
                    quoted = false;
                    at++;
                    continue;
                }
                at++;
            }
            *to++ = *at++;
        }
        bool more = *at == ',';
        at++;
        *to = '\0';
        if (!more)
            break;
    }
    return n;
}

static bool is_number(const char *text)
{
    char *end;
    if (*text == '\0')
        return false;
    (void)strtod(text, &end);
    return *end == '\0';
}

/* Six digits are enough to read; the file has them all. */
static void put_field(FILE *out, const char *text)
{
    if (is_number(text)) {
        double value = strtod(text, NULL);
        bool whole = strpbrk(text, ".eE") == NULL;
        fprintf(out, whole ? "<td class=n>%.0f</td>" : "<td class=n>%.6g</td>", value);
        return;
    }
    fputs("<td>", out);
    html_text(out, text);
    fputs("</td>", out);
}

static bool chosen(const char *name, const char *const *columns)
{
    for (; columns && *columns; columns++)
        if (strcmp(*columns, name) == 0)
            return true;
    return columns == NULL;
}

size_t html_csv(FILE *out, int dirfd, const char *file, const char *const *columns, size_t most)
{
    char *text = html_slurp(dirfd, file, CSV_MOST, NULL), *rest = text, *line;
    char *fields[CSV_COLUMNS];
    bool shown[CSV_COLUMNS] = {false}, head = true;
    size_t rows = 0, more = 0, n_columns = 0;
    while (text && (line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == '#' || line[0] == '\0')
            continue;
        if (!head && rows == most) {
            more++;
            continue;
        }
        size_t n = html_split(line, fields, CSV_COLUMNS);
        if (head) {
            fputs("<div class=wide><table><thead><tr>", out);
            n_columns = n;
            for (size_t i = 0; i < n; i++) {
                shown[i] = chosen(fields[i], columns);
                if (!shown[i])
                    continue;
                fputs("<th>", out);
                for (char *c = fields[i]; *c; c++)
                    fputc(*c == '_' ? ' ' : *c == '<' || *c == '&' ? '?' : *c, out);
                fputs("</th>", out);
            }
            fputs("</tr></thead><tbody>\n", out);
            head = false;
            continue;
        }
        fputs("<tr>", out);
        for (size_t i = 0; i < n && i < n_columns; i++)
            if (shown[i])
                put_field(out, fields[i]);
        fputs("</tr>\n", out);
        rows++;
    }
    if (!head)
        fputs("</tbody></table></div>\n", out);
    if (more > 0)
        fprintf(out, "<p class=small>%zu more lines are in %s.</p>\n", more, file);
    free(text);
    return rows;
}

/* ---- SVG ---- */

/* Copies text, with a number in front of each id and reference. */
static void put_svg(FILE *out, const char *text, unsigned number)
{
    static const char *const before[] = {" id='",    " id=\"",    "xlink:href='#", "xlink:href=\"#",
                                         " href='#", " href=\"#", "url(#"};
    for (const char *at = text; *at;) {
        size_t matched = 0;
        for (size_t i = 0; i < sizeof before / sizeof *before && matched == 0; i++)
            if (strncmp(at, before[i], strlen(before[i])) == 0)
                matched = strlen(before[i]);
        if (matched == 0) {
            fputc(*at++, out);
            continue;
        }
        fprintf(out, "%.*sp%u-", (int)matched, at, number);
        at += matched;
    }
}

int html_svg(FILE *out, int dirfd, const char *file, unsigned number)
{
    char *text = html_slurp(dirfd, file, SVG_MOST, NULL);
    char *begin = text ? strstr(text, "<svg") : NULL, *end = begin ? strstr(begin, "</svg>") : NULL;
    /* A picture of ours has no script; another one stays out. */
    if (!end || strstr(begin, "<script")) {
        free(text);
        return end ? -EINVAL : -ENOENT;
    }
    end[strlen("</svg>")] = '\0';
    fputs("<figure>", out);
    put_svg(out, begin, number);
    fputs("</figure>\n", out);
    free(text);
    return 0;
}
