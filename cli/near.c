/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * near.c - edit distance over short words, three rows at a time.
 *
 * Words of NEAR_MOST bytes or more are never near anything, so that the rows live on the stack.
 */
#include "near.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { NEAR_MOST = 64 };

static int lower(char c)
{
    return tolower((unsigned char)c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance; both lengths below NEAR_MOST. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][NEAR_MOST + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t replace = last[j - 1] + (lower(a[i - 1]) != lower(b[j - 1]));
            row[j] = least(replace, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[m];
}

const char *near_word(const char *word, const char *const *words, size_t n)
{
    size_t len = strlen(word);
    if (len == 0 || len >= NEAR_MOST)
        return NULL;
    size_t best = 1 + (len < 6 ? 1 : len < 9 ? 2 : 3);
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(words[i]);
        if (other >= NEAR_MOST)
            continue;
        size_t d = distance(word, len, words[i], other);
        if (d < best) {
            best = d;
            found = words[i];
        }
    }
    return found;
}

void near_list(char *text, size_t size, const char *const *words, size_t n)
{
    size_t at = strlen(text);
    for (size_t i = 0; i < n; i++) {
        const char *comma = i > 0 ? ", " : "";
        if (at + strlen(comma) + strlen(words[i]) + sizeof ", ..." > size) {
            snprintf(text + at, size - at, "%s", ", ...");
            return;
        }
        at += (size_t)snprintf(text + at, size - at, "%s%s", comma, words[i]);
    }
}
